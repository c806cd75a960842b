// Package link is the border between the stack and what carries its packets:
// the interfaces that a device implements, and what a Host must know about it.
//
// Packets change owner at this border. Write owns every packet of its batch
// from the call on, also when it returns an error: the caller must not touch
// or release them. Read and a Pusher's input hand packets over to the
// receiver, who releases them. The slices of both belong to the caller of Read
// and Write and to the caller of input; nobody keeps them.
package link

import (
	"errors"
	"net/netip"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// ErrPacket is returned, possibly wrapped, by Queue.Write for a packet that
// the device's Caps exclude: longer than its MTU, a super-segment, or one with
// a checksum to finish. The packet is released; the others of its batch are
// sent.
var ErrPacket = errors.New("link: the device cannot carry this packet")

// Device is something that sends and receives packets.
type Device interface {
	// Caps says what the device is and can do. It does not change while the
	// device is open.
	Caps() Caps
	// Queues returns the device's queues, at least one, always the same ones.
	// A flow should stay on one queue, or its packets may change order.
	Queues() []Queue
	// Close ends the device; a second call does nothing and returns nil. A
	// blocked Read returns net.ErrClosed, as do later Reads and Writes.
	// Packets that the device still held are released. A Pusher's input is
	// not called once Close has returned: Close waits for a call under way,
	// so input must not call Close.
	Close() error
}

// Queue is one path in and out of a device. It serves one reader and one
// writer goroutine at a time; the two do not disturb each other.
type Queue interface {
	// Read blocks until there is at least one packet, stores up to len(batch)
	// and returns how many. It does not wait for more. The packets come from
	// the queue's pool and belong to the caller. A super-segment stays whole
	// and says so in its Meta. An error comes with n == 0; after net.ErrClosed
	// there will be no more packets.
	//
	// A packet that lies in one piece comes with all of its bytes in Head, and
	// Body[0] is an empty reference that owns them. A packet made of headers
	// and references (a super-segment from another Host in this process) comes
	// with all of its headers in Head and the payload in Body.
	Read(batch []*pkt.Packet) (n int, err error)

	// Write sends the batch in order and owns all of it, also on error. n
	// counts the packets that left; err is the first failure. Packets after a
	// failure are still tried, unless the device is closed. Write may block as
	// long as the device needs to take the packets, and no longer: a device
	// whose queue is full drops.
	Write(batch []*pkt.Packet) (n int, err error)
}

// Pusher is implemented by a Device that delivers packets itself (an in-memory
// pipe, a tunnel inside the process) instead of being read. Its queues' Read
// fails after SetInput.
type Pusher interface {
	// SetInput sets the function that receives batches and starts delivery. It
	// is called once. input owns the packets and must not keep the slice; it
	// is called from one goroutine at a time per queue, which may be the one
	// that writes at the other end, with no lock of the device held: input may
	// call Write. It may block delivery, so it should be short.
	SetInput(input func(batch []*pkt.Packet))
}

// Medium is the kind of frame that a device carries.
type Medium uint8

const (
	// IP: packets begin with the IP header.
	IP Medium = iota
	// Ethernet: packets begin with an Ethernet header of 14 bytes; neighbours
	// must be resolved.
	Ethernet
)

// String returns the medium's name.
func (m Medium) String() string {
	switch m {
	case IP:
		return "IP"
	case Ethernet:
		return "Ethernet"
	}
	return "unknown medium"
}

// HeaderLen returns the length of the link header in bytes.
func (m Medium) HeaderLen() int {
	if m == Ethernet {
		return wire.EthernetLen
	}
	return 0
}

// Offload is a set of what a device does for the stack.
type Offload uint8

const (
	// TxChecksum: Write accepts packets with pkt.CsumPartial.
	TxChecksum Offload = 1 << iota
	// RxChecksum: packets read carry pkt.CsumValid where it was checked.
	RxChecksum
	// TSO4 and TSO6: Write accepts TCP super-segments over IPv4 and IPv6.
	TSO4
	TSO6
	// GRO: packets read may be super-segments.
	GRO
)

// Has reports whether o includes all of x.
func (o Offload) Has(x Offload) bool { return o&x == x }

// Caps describes a device.
type Caps struct {
	Medium Medium
	// MTU is the largest IP packet in bytes, without the link header.
	MTU int
	// BatchSize is how many packets one Read or Write handles best; at least 1.
	BatchSize int
	// MaxGSO and MaxGRO bound a super-segment, headers included, in bytes, for
	// Write and for Read; 0 means that there are none.
	MaxGSO, MaxGRO int
	Offloads       Offload
	// Addr is the device's own Ethernet address; zero on other media.
	Addr wire.MAC
	// Local lists the addresses that the device was set up with, for Hosts
	// that are given none.
	Local []netip.Prefix
}
