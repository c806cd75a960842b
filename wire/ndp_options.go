package wire

import "encoding/binary"

// ParseLinkAddr returns the Ethernet address in a source or target link-layer
// address option; ErrOption unless the option has 8 bytes. RFC 4861 §4.6.1.
func ParseLinkAddr(opt []byte) (MAC, error) {
	if len(opt) != linkAddrLen {
		return MAC{}, ErrOption
	}
	return MAC(opt[2:8]), nil
}

// ParseMTUOption returns the MTU, in bytes, of an MTU option; ErrOption unless
// the option has 8 bytes. RFC 4861 §4.6.4.
func ParseMTUOption(opt []byte) (uint32, error) {
	if len(opt) != 8 {
		return 0, ErrOption
	}
	return binary.BigEndian.Uint32(opt[4:8]), nil
}

// InfiniteLifetime is the lifetime in seconds that means for ever.
const InfiniteLifetime = 0xffffffff

// PrefixInfo is a prefix information option. RFC 4861 §4.6.2.
type PrefixInfo []byte

const prefixInfoLen = 32

// ParsePrefixInfo returns the view of a prefix information option. It fails
// with ErrOption unless the option has 32 bytes, and with ErrLength if the
// prefix is longer than 128 bits.
func ParsePrefixInfo(opt []byte) (PrefixInfo, error) {
	if len(opt) != prefixInfoLen {
		return nil, ErrOption
	}
	if opt[2] > 128 {
		return nil, ErrLength
	}
	return PrefixInfo(opt), nil
}

// PrefixLen returns the length of the prefix in bits, 0 to 128.
func (p PrefixInfo) PrefixLen() int { return int(p[2]) }

// OnLink reports whether the prefix can be reached without a router.
func (p PrefixInfo) OnLink() bool { return p[3]&0x80 != 0 }

// Autonomous reports whether addresses may be made from the prefix. RFC 4862.
func (p PrefixInfo) Autonomous() bool { return p[3]&0x40 != 0 }

// Valid returns the valid lifetime in seconds, InfiniteLifetime for ever.
func (p PrefixInfo) Valid() uint32 { return binary.BigEndian.Uint32(p[4:8]) }

// Preferred returns the preferred lifetime in seconds, InfiniteLifetime for
// ever.
func (p PrefixInfo) Preferred() uint32 { return binary.BigEndian.Uint32(p[8:12]) }

// Prefix returns the prefix; bits beyond its length are undefined.
func (p PrefixInfo) Prefix() Addr { return Addr(p[16:32]) }

// RDNSS is a list of recursive name servers. RFC 8106 §5.1.
type RDNSS []byte

// ParseRDNSS returns the view of a name server option; ErrOption unless it has
// 8 bytes and at least one whole address.
func ParseRDNSS(opt []byte) (RDNSS, error) {
	if len(opt) < 24 || len(opt)%16 != 8 {
		return nil, ErrOption
	}
	return RDNSS(opt), nil
}

// Lifetime returns for how many seconds the servers may be used, 0 for no
// longer, InfiniteLifetime for ever.
func (r RDNSS) Lifetime() uint32 { return binary.BigEndian.Uint32(r[4:8]) }

// Len returns the number of servers, at least 1.
func (r RDNSS) Len() int { return len(r) / 16 }

// Addr returns server i, from 0 to Len-1.
func (r RDNSS) Addr(i int) Addr { return Addr(r[8+16*i : 24+16*i]) }

// putLinkAddr writes a link-layer address option at b[n:] unless mac is nil,
// and returns the new length.
func putLinkAddr(b []byte, n int, kind uint8, mac *MAC) int {
	if mac == nil {
		return n
	}
	b[n], b[n+1] = kind, 1
	copy(b[n+2:n+linkAddrLen], mac[:])
	return n + linkAddrLen
}

// PutNS writes a neighbour solicitation with its checksum into b and returns
// its length: 32 bytes, or 24 without a source link-layer address, mac nil, as
// duplicate address detection sends it. RFC 4861 §4.3, RFC 4862 §5.4.2.
func PutNS(b []byte, src, dst, target *Addr, mac *MAC) int {
	copy(b[8:nsLen], target[:])
	n := putLinkAddr(b, nsLen, NDPOptSourceLinkAddr, mac)
	PutICMPv6(b[:n], src, dst, ICMPv6NeighSolicit, 0, 0)
	return n
}

// PutNA writes a neighbour advertisement with its checksum into b and returns
// its length: 32 bytes, or 24 without a target link-layer address, mac nil. RFC
// 4861 §4.4.
func PutNA(b []byte, src, dst, target *Addr, flags NAFlags, mac *MAC) int {
	copy(b[8:nsLen], target[:])
	n := putLinkAddr(b, nsLen, NDPOptTargetLinkAddr, mac)
	PutICMPv6(b[:n], src, dst, ICMPv6NeighAdvert, 0, uint32(flags)<<24)
	return n
}

// PutRS writes a router solicitation with its checksum into b and returns its
// length: 16 bytes, or 8 without a source link-layer address, mac nil, as from
// the unspecified address. RFC 4861 §4.1.
func PutRS(b []byte, src, dst *Addr, mac *MAC) int {
	n := putLinkAddr(b, rsLen, NDPOptSourceLinkAddr, mac)
	PutICMPv6(b[:n], src, dst, ICMPv6RouterSolicit, 0, 0)
	return n
}
