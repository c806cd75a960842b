package ip

import (
	"encoding/binary"
	"net/netip"

	"github.com/handfast/handfast/wire"
)

// Interface is what the internet layer knows about a link.
type Interface struct {
	ID       int // chosen by the caller, not negative; unique in a Table
	Name     string
	MTU      int  // bytes, IP header included
	Loopback bool // packets on it never leave the host
	Addrs    []Address
	groups   []wire.Addr
}

// Address is one address of an interface.
type Address struct {
	Addr       wire.Addr
	Bits       int  // length of the on-link prefix, in bits of the family
	Tentative  bool // not ours before Duplicate Address Detection is through (RFC 4862 §5.4)
	Deprecated bool // its preferred lifetime is over: not for new connections (RFC 4862 §5.5.4)
}

// AddressFrom returns the address of p, with its length, such as 10.0.0.1/24.
func AddressFrom(p netip.Prefix) Address {
	return Address{Addr: wire.AddrFrom(p.Addr()), Bits: p.Bits()}
}

// Prefix returns the on-link prefix, with the address itself in it.
func (a *Address) Prefix() netip.Prefix { return netip.PrefixFrom(a.Addr.Netip(), a.Bits) }

// holds reports whether b is within the address's prefix.
func (a *Address) holds(b *wire.Addr) bool {
	return a.Addr.Is4() == b.Is4() && commonBits(&a.Addr, b) >= mappedBits(&a.Addr, a.Bits)
}

// isBroadcast reports whether dst is the broadcast address of the prefix.
// Prefixes of 31 and 32 bits have none (RFC 3021).
func (a *Address) isBroadcast(dst uint32) bool {
	if !a.Addr.Is4() || a.Bits >= 31 {
		return false
	}
	host := ^uint32(0) >> a.Bits
	return (binary.BigEndian.Uint32(a.Addr[12:]) | host) == dst
}

// mappedBits turns a prefix length of the address's family into one of the 16
// bytes it is stored in.
func mappedBits(a *wire.Addr, bits int) int {
	if a.Is4() {
		return bits + 96
	}
	return bits
}

// Broadcast returns the broadcast address of an IPv4 prefix: all ones in its
// host part. ok is false for prefixes that have none: of IPv6, and of 31 or 32
// bits (RFC 3021).
func Broadcast(p netip.Prefix) (a wire.Addr, ok bool) {
	if !p.IsValid() || !p.Addr().Is4() || p.Bits() >= 31 {
		return wire.Addr{}, false
	}
	a = wire.AddrFrom(p.Addr())
	binary.BigEndian.PutUint32(a[12:], binary.BigEndian.Uint32(a[12:])|^uint32(0)>>p.Bits())
	return a, true
}

// find returns the interface's record of an address, nil if it has none.
func (i *Interface) find(a *wire.Addr) *Address {
	for k := range i.Addrs { // at most MaxAddresses
		if i.Addrs[k].Addr == *a {
			return &i.Addrs[k]
		}
	}
	return nil
}

// inGroup reports whether the interface takes what is sent to a multicast
// group: one joined, or one that every host is in (RFC 1112 §4, RFC 4291 §2.8):
// all hosts, and the solicited-node group of each address, tentative ones too.
func (i *Interface) inGroup(g *wire.Addr) bool {
	if *g == allHosts4 || *g == allNodes6 || i.Loopback && *g == allNodesSelf6 {
		return true
	}
	if g[0] == 0xff && g[1] == 0x02 && g[11] == 1 && g[12] == 0xff {
		for k := range i.Addrs {
			if a := &i.Addrs[k].Addr; !a.Is4() && *g == wire.SolicitedNode(a) {
				return true
			}
		}
	}
	for k := range i.groups { // at most MaxGroups
		if i.groups[k] == *g {
			return true
		}
	}
	return false
}

// The groups that every host is a member of.
var (
	allHosts4     = wire.AddrFrom4([4]byte{224, 0, 0, 1})
	allNodes6     = wire.Addr{0: 0xff, 1: 0x02, 15: 1}
	allNodesSelf6 = wire.Addr{0: 0xff, 1: 0x01, 15: 1}
)
