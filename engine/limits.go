package engine

import "math/bits"

// Limits are the bounds of an Engine that its user may move: how much of each
// thing a peer, or all peers together, can make it hold. A field that is not
// positive stands for its default, a field beyond its largest value for that.
//
// What bounds one connection (its buffers, its ranges out of order) is
// package tcp's, what bounds fragments package ip's, neighbours package
// neigh's.
type Limits struct {
	// Connections is the number of connections in all states that have a TCB.
	// Default 1<<20, at most 1<<24. Beyond it a SYN is dropped and Dial fails.
	Connections int

	// ConnectionsPerPeer is the number of connections of one remote address.
	// Default: as Connections, because the peers of a proxy or of a test are
	// few. Servers open to all set it against one address that takes
	// everything.
	ConnectionsPerPeer int

	// HalfOpenPerListener is the number of half-open records of one listener
	// (RFC 4987 §2.2): beyond it a SYN is dropped and counted. Default 256.
	HalfOpenPerListener int

	// HalfOpen is the number of half-open records of all listeners together,
	// at most 320 bytes each. Default 1<<16.
	HalfOpen int

	// AcceptBacklog is the largest queue of connections that nobody has
	// accepted yet; a listener that asks for more gets this. Default 4096.
	AcceptBacklog int

	// TimeWait is the number of TIME-WAIT records, at most 128 bytes each.
	// Default 16384. Beyond it the oldest record gives way.
	TimeWait int

	// Orphans is the number of connections that the program has closed and
	// that still have something to send or to wait for. Default 1<<16. Beyond
	// it a closed connection is reset instead.
	Orphans int

	// MemoryBytes is what the queues of all connections may keep alive: bytes
	// received and not read, out of order, and not yet acknowledged, with the
	// whole of the buffers that hold them. Default 1 GiB, 256 MiB where an int
	// has 32 bits; at least 1 MiB. From two thirds of it on buffers grow no
	// more and those that are not read offer little; from seven eighths on new
	// connections are refused, what can come again is dropped, and connections
	// that nobody holds, or whose peers keep their windows closed, are reset.
	// Ignored if Config.Memory is set.
	MemoryBytes int

	// Listeners is the number of listening sockets. Default 4096.
	Listeners int

	// UDPSockets is the number of UDP sockets. Default 16384.
	UDPSockets int

	// UDPQueueBytes is what one UDP socket holds of datagrams that nobody has
	// read yet, counted with the buffers that hold them. Default 212992.
	UDPQueueBytes int

	// ResetsPerSecond is the number of resets to segments of no connection,
	// so that nobody can use this host to flood another. Default 1000, at most
	// a billion.
	ResetsPerSecond int

	// ICMPErrorsPerSecond is the number of ICMP errors sent (RFC 1812 §4.3.2.8,
	// RFC 4443 §2.4 (f)). Default 1000.
	ICMPErrorsPerSecond int
}

// The bounds that are not for the user to move.
const (
	// maxConnections is the largest Limits.Connections: a table of that many
	// slots of 8 bytes is the largest single piece of memory of an Engine.
	maxConnections = 1 << 24

	// maxRecords is the largest number of records of one kind. Indices have
	// 32 bits; this leaves them far from wrapping.
	maxRecords = 1 << 24

	// maxAcceptBacklog is the largest Limits.AcceptBacklog.
	maxAcceptBacklog = 1 << 16

	// minAcceptBacklog is the queue of a listener that asks for none or for
	// too few to work.
	minAcceptBacklog = 1

	// maxRatePerSecond bounds the rates: one per nanosecond of the clock.
	maxRatePerSecond = 1_000_000_000

	// resetBurst and icmpErrorBurst are how many may leave at one instant.
	resetBurst     = 100
	icmpErrorBurst = 50

	// minMemoryBytes leaves room between the levels for the largest segment.
	minMemoryBytes = 1 << 20

	// maxMemoryBytes keeps shares of it in 63 bits.
	maxMemoryBytes = 1 << (min(bits.UintSize, 56) - 2)

	// maxDatagram is the longest payload of a UDP datagram over IPv6, RFC 768.
	maxDatagram = 65535 - 8

	// maxBindings is the number of different local addresses and ports held.
	maxBindings = 1 << 16
)

// DefaultLimits returns the defaults of all fields.
func DefaultLimits() Limits { return Limits{}.filled() }

// filled returns l with defaults where a field is not positive and no field
// beyond its largest value.
func (l Limits) filled() Limits {
	l.Connections = clampLimit(l.Connections, 1<<20, maxConnections)
	l.ConnectionsPerPeer = clampLimit(l.ConnectionsPerPeer, l.Connections, l.Connections)
	l.HalfOpen = clampLimit(l.HalfOpen, 1<<16, maxRecords)
	l.HalfOpenPerListener = clampLimit(l.HalfOpenPerListener, 256, l.HalfOpen)
	l.AcceptBacklog = clampLimit(l.AcceptBacklog, 4096, maxAcceptBacklog)
	l.TimeWait = clampLimit(l.TimeWait, 16384, maxRecords)
	l.Orphans = clampLimit(l.Orphans, 1<<16, l.Connections)
	l.MemoryBytes = max(clampLimit(l.MemoryBytes, 1<<(28+bits.UintSize>>6<<1), maxMemoryBytes), minMemoryBytes)
	l.Listeners = clampLimit(l.Listeners, 4096, maxBindings)
	l.UDPSockets = clampLimit(l.UDPSockets, 16384, maxBindings)
	l.UDPQueueBytes = clampLimit(l.UDPQueueBytes, 212992, 1<<30)
	l.ResetsPerSecond = clampLimit(l.ResetsPerSecond, 1000, maxRatePerSecond)
	l.ICMPErrorsPerSecond = clampLimit(l.ICMPErrorsPerSecond, 1000, maxRatePerSecond)
	return l
}

// backlog returns the accept queue that a listener which asks for n gets.
func (l *Limits) backlog(n int) int { return min(max(n, minAcceptBacklog), l.AcceptBacklog) }

// clampLimit returns v, or the default when v is not positive, but at most most.
func clampLimit(v, byDefault, most int) int {
	if v <= 0 {
		v = byDefault
	}
	return min(v, most)
}
