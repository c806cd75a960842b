package engine

import (
	"errors"
	"net/netip"

	"github.com/handfast/handfast/icmp"
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// The errors of an Engine's calls. A Host turns them into the standard
// library's.
var (
	ErrAddrInUse       = errors.New("address already in use")
	ErrAddrNotAvail    = errors.New("cannot assign requested address")
	ErrNoRoute         = errors.New("network is unreachable")
	ErrNoPorts         = errors.New("no ephemeral port is free")
	ErrLimit           = errors.New("too many connections")
	ErrInvalidAddr     = errors.New("not the address of one host")
	ErrTooLong         = errors.New("message too long")
	ErrClosed          = errors.New("closed")
	ErrNoSuchInterface = errors.New("no such interface")
)

// Config is what an Engine is made from.
type Config struct {
	// Secret keys sequence numbers, ports and hash tables. It must be random
	// and never leave the host (RFC 6528 §3); in a simulation it is the seed.
	Secret [16]byte
	// Pool is where packets and buffers come from; nil: one of the Engine's own.
	Pool *pkt.Pool
	// TCP is what connections take over; nil: the default of the Linux profile.
	TCP    *tcp.Config
	Limits Limits
	// Memory is a budget shared with other Engines, for what the queues of all
	// their connections keep alive; nil: Limits.MemoryBytes for this one alone.
	Memory *pkt.Budget
	// FirstPort and LastPort are the range of ephemeral ports, 1024 at least;
	// 0 and 0, or a range that is none, stand for Linux' 32768 to 60999.
	FirstPort, LastPort uint16
	// NewConn allocates a connection, so that a caller can embed Conn first in
	// a struct of its own and one allocation serves both; nil: new(Conn).
	NewConn func() *Conn
}

// Interface is where packets come from and go to.
type Interface struct {
	ID   int
	Name string
	// MTU is the largest IP packet in bytes, 68 to 65535; IPv6 needs 1280.
	MTU int
	// MaxGSO is the largest packet in bytes, headers included and at most
	// 65535, that may be handed out as a super-segment: whoever takes it
	// carries or cuts it. At most MTU means none.
	MaxGSO int
	// TxChecksum: checksums are finished by whoever takes the packets.
	TxChecksum bool
	loopback   bool
	held       bool     // Hold
	parked     connRing // connections with something to say, while held
}

// Engine is many connections and what they share. It is not safe for
// concurrent use.
type Engine struct {
	cfg    Config
	limits Limits
	pool   *pkt.Pool
	tcp    *tcp.Config
	key    sipKey
	isn    isnGenerator
	ports  *ports
	binds  *bindTable
	nextID uint32

	ifaces []*Interface // by ID
	routes *ip.Table
	paths  *ip.PathMTU
	reass  *ip.Reassembler
	idents *ip.IDs

	conns     table[Conn, *Conn]
	orphans   int
	unread    map[*Conn]struct{} // ended, and still holding bytes for their programs
	perPeer   map[wire.Addr]int  // passive connections by remote address; nil: not limited
	timers    timerHeap[Conn, *Conn]
	half      slab[halfOpen]
	halfTable table32[halfOpen, *halfOpen]
	halfTimer timerHeap[halfOpen, *halfOpen]
	tw        slab[timeWait]
	twTable   table32[timeWait, *timeWait]
	twQueue   fifo[timeWait, *timeWait]
	listeners map[portKey]*Listener
	udp       map[portKey]*UDP
	udpCount  int

	control  pkt.List // packets that belong to no connection's ring
	loop     pkt.List // packets to ourselves
	out      connRing // connections that may have something to send
	ready    connRing // connections whose readiness changed
	readyL   []*Listener
	readyUDP []*UDP
	resets   tokenBucket

	resetKey   sipKey // of the prices of resets
	resetDraws uint64

	icmpErrors *icmp.Limiter
	cookieKey  sipKey
	fast       fastOpen
	policy     policy
	pathGen    uint16 // moves on whenever a path turns out narrower, or may be wider again

	memory *tcp.Memory
	relief relief

	seg, reply tcp.Segment // scratch
	event      trace.Event // scratch
	dgram      ip.Datagram
	stats      Stats
}

// New makes an Engine with a loopback interface, number 0.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg, limits: cfg.Limits.filled(), pool: cfg.Pool, tcp: cfg.TCP}
	e.ready.ready = true
	e.policy = defaultPolicy()
	secret := newSipKey(cfg.Secret)
	e.key = secret.derive(domainTable)
	if e.pool == nil {
		e.pool = new(pkt.Pool)
	}
	if e.tcp == nil {
		e.tcp = tcp.DefaultConfig(tcp.ProfileLinux)
	}
	budget := cfg.Memory
	if budget == nil {
		budget = pkt.NewBudget(e.limits.MemoryBytes)
	}
	e.memory = tcp.NewMemory(budget)
	own := *e.tcp
	own.Memory = e.memory
	e.tcp = &own
	tick := isnTickLinux
	if e.tcp.Profile == tcp.ProfileRFC {
		tick = isnTickRFC
	}
	e.isn = newISNGenerator(secret, tick)
	e.ports = newPorts(secret)
	e.ports.setRange(cfg.FirstPort, cfg.LastPort)
	e.binds = newBindTable(maxBindings)
	e.conns = newTable[Conn](e.limits.Connections)
	e.half = newSlab[halfOpen](e.limits.HalfOpen)
	e.tw = newSlab[timeWait](e.limits.TimeWait)
	if e.limits.ConnectionsPerPeer < e.limits.Connections {
		e.perPeer = map[wire.Addr]int{}
	}
	e.unread = map[*Conn]struct{}{}
	e.listeners = map[portKey]*Listener{}
	e.udp = map[portKey]*UDP{}
	e.resetKey = secret.derive(domainReset)
	e.resets = newTokenBucket(uint32(e.limits.ResetsPerSecond), resetBurst)
	e.fast = newFastOpen(secret)
	e.initIP(secret)
	lo := e.AddInterface(Interface{Name: "lo", MTU: 65535, MaxGSO: 65535, TxChecksum: true})
	lo.loopback = true
	e.AddAddress(lo.ID, netip.MustParsePrefix("127.0.0.1/8"))
	e.AddAddress(lo.ID, netip.MustParsePrefix("::1/128"))
	return e
}

// Pool returns where the Engine's packets come from.
func (e *Engine) Pool() *pkt.Pool { return e.pool }

// TCPConfig returns what new connections take over.
func (e *Engine) TCPConfig() *tcp.Config { return e.tcp }

// Input processes a batch of packets that came by an interface. The Engine
// owns them from here on. Answers wait for Output, so that a whole batch is
// processed before anything is acknowledged (RFC 9293 MUST-59).
func (e *Engine) Input(now mono.Time, iface int, batch []*pkt.Packet) {
	if iface < 0 || iface >= len(e.ifaces) || e.ifaces[iface] == nil {
		for _, p := range batch {
			e.stats.Count[NoInterface]++
			p.Release()
		}
		return
	}
	for _, p := range batch {
		p.Iface = uint16(iface)
		e.input(now, p)
	}
	e.relieve(now)
}

// Advance lets deadlines that have passed take effect. Early calls are
// harmless.
func (e *Engine) Advance(now mono.Time) {
	for {
		c := e.timers.popDue(now)
		if c == nil {
			break
		}
		switch d := c.Deadline(); {
		case d.Due(now):
			c.TCB.Advance(now)
			e.touch(c)
		case c.Busy(now):
			e.timers.push(mono.Earlier(d, now.Add(c.RTO)), uint64(c.id), c)
		default:
			c.Trim()
			if d != 0 {
				e.timers.push(d, uint64(c.id), c)
			}
		}
	}
	e.advanceHalfOpen(now)
	e.advanceTimeWait(now)
	e.advanceIP(now)
	e.relieve(now)
}

// Deadline returns when Advance must be called next; 0 when nothing waits for
// the clock. It is exact: the heap's first entry is brought up to date first,
// because deadlines that move away are not filed again at once.
func (e *Engine) Deadline() mono.Time {
	d := mono.Time(0)
	for e.timers.len() > 0 {
		at, c := e.timers.min()
		if real := c.Deadline(); real != at {
			e.timers.remove(c)
			c.Trim()
			if real != 0 {
				e.timers.push(real, uint64(c.id), c)
			}
			continue
		}
		d = at
		break
	}
	if e.halfTimer.len() > 0 {
		at, _ := e.halfTimer.min()
		d = mono.Earlier(d, at)
	}
	if i := e.twQueue.front(); i != 0 {
		d = mono.Earlier(d, e.tw.at(i).rec.Deadline)
	}
	return mono.Earlier(d, e.reass.Deadline())
}

// Wake returns a time not after Deadline, more cheaply: calling Advance then
// may find nothing to do.
func (e *Engine) Wake() mono.Time {
	d, _ := e.timers.min()
	h, _ := e.halfTimer.min()
	d = mono.Earlier(d, h)
	if i := e.twQueue.front(); i != 0 {
		d = mono.Earlier(d, e.tw.at(i).rec.Deadline)
	}
	return mono.Earlier(d, e.reass.Deadline())
}

// Output fills batch with packets to send and returns how many. It takes
// turns between connections with something to say. Call it after any other
// call, until it returns 0. The packets belong to the caller; Meta.Iface says
// where each must go.
func (e *Engine) Output(now mono.Time, batch []*pkt.Packet) int {
	n := 0
	e.agePaths(now)
	for n < len(batch) {
		if p := e.loop.Pop(); p != nil {
			p.Iface = 0
			e.input(now, p)
			continue
		}
		if p := e.control.Pop(); p != nil {
			n += e.emitPacket(p, batch[n:])
			continue
		}
		c := e.out.pop()
		if c == nil {
			break
		}
		if p := e.outputConn(now, c); p != nil {
			n += e.emitPacket(p, batch[n:])
		}
	}
	return n
}

// emitPacket puts a finished packet where it goes: to the caller, or back in
// when it is for ourselves.
func (e *Engine) emitPacket(p *pkt.Packet, batch []*pkt.Packet) int {
	e.stats.Count[OutPackets]++
	if e.ifaces[p.Iface].loopback {
		p.Csum = pkt.CsumValid
		e.loop.Push(p)
		return 0
	}
	batch[0] = p
	return 1
}

// Ready stores connections whose readiness changed and returns how many. Each
// is reported once until it changes again.
func (e *Engine) Ready(dst []*Conn) int {
	n := 0
	for n < len(dst) {
		c := e.ready.pop()
		if c == nil {
			break
		}
		dst[n] = c
		n++
	}
	return n
}

// ReadyListeners stores listeners that got a connection to accept.
func (e *Engine) ReadyListeners(dst []*Listener) int {
	n := copy(dst, e.readyL)
	for _, l := range dst[:n] {
		l.inReady = false
	}
	e.readyL = e.readyL[:copy(e.readyL, e.readyL[n:])]
	return n
}

// ReadyUDP stores UDP sockets that got a datagram or an error.
func (e *Engine) ReadyUDP(dst []*UDP) int {
	n := copy(dst, e.readyUDP)
	for _, u := range dst[:n] {
		u.inReady = false
	}
	e.readyUDP = e.readyUDP[:copy(e.readyUDP, e.readyUDP[n:])]
	return n
}

// EachConn calls f for every connection with a TCB until it reports false.
func (e *Engine) EachConn(f func(*Conn) bool) { e.conns.each(f) }

// EachHalfOpen calls f for every half-open record.
func (e *Engine) EachHalfOpen(f func(flow Flow, h *tcp.HalfOpen)) {
	e.half.each(func(i uint32) bool {
		h := e.half.at(i)
		f(h.flow, &h.rec)
		return true
	})
}

// EachTimeWait calls f for every TIME-WAIT record.
func (e *Engine) EachTimeWait(f func(flow Flow, r *tcp.TimeWaitRecord)) {
	e.tw.each(func(i uint32) bool {
		t := e.tw.at(i)
		f(t.flow, &t.rec)
		return true
	})
}

// EachListener calls f for every listener.
func (e *Engine) EachListener(f func(*Listener)) {
	for _, l := range e.sortedListeners() {
		f(l)
	}
}

// connID hands out the numbers by which traces name connections, never 0.
func (e *Engine) connID() uint32 {
	e.nextID++
	if e.nextID == 0 {
		e.nextID = 1
	}
	return e.nextID
}

// toAddr converts an address of the caller's.
func toAddr(a netip.Addr) wire.Addr {
	if !a.IsValid() {
		return wire.Addr{}
	}
	return wire.AddrFrom(a)
}
