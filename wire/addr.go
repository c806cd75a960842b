package wire

import (
	"encoding/binary"
	"net/netip"
)

// Addr is an IP address of either family in 16 bytes: an IPv4 address is
// stored v4-mapped, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). Unlike netip.Addr it
// has no zone and no pointer, so it hashes and compares as plain bytes. The
// zero Addr is the unspecified address of IPv6. ParseIPv6 refuses packets with
// v4-mapped addresses, therefore Is4 tells the family of a packet's addresses.
type Addr [16]byte

// mappedPrefix is what bytes 8 to 11 of a v4-mapped address hold.
const mappedPrefix = 0x0000ffff

// AddrFrom4 returns the address for four bytes of IPv4.
func AddrFrom4(a [4]byte) Addr {
	return Addr{10: 0xff, 11: 0xff, 12: a[0], 13: a[1], 14: a[2], 15: a[3]}
}

// AddrFrom16 returns the address for 16 bytes of IPv6.
func AddrFrom16(a [16]byte) Addr { return Addr(a) }

// AddrFrom converts from package netip. The zone is dropped; IPv4 and
// v4-mapped IPv6 both become v4-mapped; the invalid zero netip.Addr becomes
// the zero Addr.
func AddrFrom(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	return Addr(a.As16())
}

// Is4 reports whether a is an IPv4 address.
func (a Addr) Is4() bool {
	return binary.BigEndian.Uint64(a[0:8]) == 0 && binary.BigEndian.Uint32(a[8:12]) == mappedPrefix
}

// As4 returns the last four bytes: the IPv4 address if Is4.
func (a Addr) As4() [4]byte { return [4]byte(a[12:16]) }

// Netip converts to package netip; IPv4 comes out unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// IsUnspecified reports whether a is 0.0.0.0 or ::.
func (a Addr) IsUnspecified() bool {
	if a.Is4() {
		return binary.BigEndian.Uint32(a[12:16]) == 0
	}
	return a == Addr{}
}

// IsMulticast reports whether a is in 224.0.0.0/4 or ff00::/8.
func (a Addr) IsMulticast() bool {
	if a.Is4() {
		return a[12]&0xf0 == 0xe0
	}
	return a[0] == 0xff
}

// IsLoopback reports whether a is in 127.0.0.0/8 or is ::1.
func (a Addr) IsLoopback() bool {
	if a.Is4() {
		return a[12] == 127
	}
	return a == Addr{15: 1}
}

// IsLinkLocalUnicast reports whether a is in 169.254.0.0/16 or fe80::/10.
func (a Addr) IsLinkLocalUnicast() bool {
	if a.Is4() {
		return a[12] == 169 && a[13] == 254
	}
	return a[0] == 0xfe && a[1]&0xc0 == 0x80
}

// IsBroadcast reports whether a is 255.255.255.255. The broadcast address of a
// subnet is known only to who knows the prefix.
func (a Addr) IsBroadcast() bool {
	return a.Is4() && binary.BigEndian.Uint32(a[12:16]) == 0xffffffff
}

// String returns the usual text form; IPv4 without the mapping.
func (a Addr) String() string { return a.Netip().String() }

// SolicitedNode returns the solicited-node multicast group of an IPv6 address,
// ff02::1:ffXX:XXXX. RFC 4291 §2.7.1.
func SolicitedNode(a *Addr) Addr {
	return Addr{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
}

// MAC is an Ethernet address. The zero MAC means "none".
type MAC [6]byte

// BroadcastMAC returns ff:ff:ff:ff:ff:ff.
func BroadcastMAC() MAC { return MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// MulticastMAC returns the Ethernet group for a multicast address: 01:00:5e
// and 23 bits for IPv4 (RFC 1112 §6.4), 33:33 and 32 bits for IPv6 (RFC 2464
// §7).
func MulticastMAC(a *Addr) MAC {
	if a.Is4() {
		return MAC{0x01, 0x00, 0x5e, a[13] & 0x7f, a[14], a[15]}
	}
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// IsMulticast reports whether the group bit is set, which broadcast has too.
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// IsBroadcast reports whether m is ff:ff:ff:ff:ff:ff.
func (m MAC) IsBroadcast() bool { return m == BroadcastMAC() }

// String returns six pairs of hexadecimal digits separated by colons.
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, x := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return string(b)
}

// Protocol numbers of IPv4 and next headers of IPv6.
const (
	ProtoHopByHop    = 0
	ProtoICMP        = 1
	ProtoIGMP        = 2
	ProtoTCP         = 6
	ProtoUDP         = 17
	ProtoRouting     = 43
	ProtoFragment    = 44
	ProtoESP         = 50
	ProtoAH          = 51
	ProtoICMPv6      = 58
	ProtoNoNext      = 59
	ProtoDestOptions = 60
	ProtoMobility    = 135
	ProtoHIP         = 139
	ProtoShim6       = 140
)
