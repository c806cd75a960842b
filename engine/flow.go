package engine

import (
	"encoding/binary"
	"net/netip"

	"github.com/handfast/handfast/wire"
)

// Flow names one end's view of a conversation: RFC 9293 §3.4.1 calls it the
// connection's four values. Local and LPort are this host's, Remote and RPort
// the peer's, whatever direction a packet travels in. IPv4 addresses are stored
// v4-mapped, as wire.Addr has them. Flows are comparable with ==.
type Flow struct {
	Local, Remote wire.Addr
	LPort, RPort  uint16
}

// String prints the flow as "local:port>remote:port", with IPv6 addresses in
// brackets. It allocates; it is for messages and traces.
func (f Flow) String() string {
	l := netip.AddrPortFrom(f.Local.Netip(), f.LPort)
	r := netip.AddrPortFrom(f.Remote.Netip(), f.RPort)
	return l.String() + ">" + r.String()
}

// Reversed returns the same conversation as its peer names it. A packet that an
// ICMP error quotes was sent by this host, so its addresses stand the other way
// round from those of a packet that arrives.
func (f Flow) Reversed() Flow {
	return Flow{Local: f.Remote, Remote: f.Local, LPort: f.RPort, RPort: f.LPort}
}

// is4 reports whether both ends are IPv4, so that the low four bytes of each
// address say everything.
func (f *Flow) is4() bool {
	const mapped = 0xffff_0000 // bytes 8 to 11 of ::ffff:0:0/96, little-endian
	l, r := &f.Local, &f.Remote
	return binary.LittleEndian.Uint64(l[:8])|binary.LittleEndian.Uint64(r[:8]) == 0 &&
		binary.LittleEndian.Uint32(l[8:12]) == mapped &&
		binary.LittleEndian.Uint32(r[8:12]) == mapped
}

// ports returns both ports as the four bytes that a hash takes in.
func (f *Flow) ports() uint64 { return uint64(f.LPort) | uint64(f.RPort)<<16 }

// word4 returns both IPv4 addresses as one word.
func (f *Flow) word4() uint64 {
	return uint64(binary.LittleEndian.Uint32(f.Local[12:])) |
		uint64(binary.LittleEndian.Uint32(f.Remote[12:]))<<32
}
