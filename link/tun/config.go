package tun

import (
	"net/netip"

	"github.com/handfast/handfast/pkt"
)

// Config says what Open opens. The zero Config makes an interface that the
// kernel names, and leaves it down and without an address.
type Config struct {
	// Name is the interface to open or make, at most 15 bytes. It may hold one
	// %d, for which the kernel finds a number; "" is "tun%d".
	Name string
	// MTU is the largest IP packet in bytes, 68 to 65535; 0 takes what the
	// interface has, 1500 if it is new.
	MTU int
	// QueueLen is how many packets the kernel keeps for the reader before it
	// drops; 0 takes what the interface has, 500 if it is new.
	QueueLen int
	// Kernel are the addresses of the kernel's side, with the prefix that the
	// kernel shall find behind the interface. They bring the interface up.
	Kernel []netip.Prefix
	// Local are the addresses of this side: Caps.Local.
	Local []netip.Prefix
	// NoOffload does without virtio headers: no super-segments, and every
	// checksum computed.
	NoOffload bool
	// Pool is where packets read come from; nil makes one for the device.
	Pool *pkt.Pool
}

// Stats counts what a device has done since Open.
type Stats struct {
	RxPackets uint64 // read; a super-segment is one
	RxBytes   uint64
	RxInvalid uint64 // dropped: the virtio header contradicts the packet
	TxPackets uint64 // written
	TxBytes   uint64
	TxDropped uint64 // dropped: the kernel had no room
	TxErrors  uint64 // refused, by the device's Caps or by the kernel
}
