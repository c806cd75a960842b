package wire

import "encoding/binary"

// NDPHopLimit is the hop limit of every message of neighbour discovery; one
// that arrives with another came through a router. RFC 4861 §7.1.
const NDPHopLimit = 255

// Types of neighbour discovery options. RFC 4861 §4.6, RFC 8106 §5.1.
const (
	NDPOptSourceLinkAddr = 1
	NDPOptTargetLinkAddr = 2
	NDPOptPrefixInfo     = 3
	NDPOptRedirected     = 4
	NDPOptMTU            = 5
	NDPOptRDNSS          = 25
)

// Lengths of the messages of neighbour discovery without options, in bytes,
// and of the link-layer address option for Ethernet.
const (
	nsLen       = 24
	rsLen       = 8
	raLen       = 16
	redirectLen = 40
	linkAddrLen = 8
)

// parseNDP checks what all messages have in common: type, code 0, the fixed
// part and options none of which has a length of 0 or beyond the end. RFC 4861
// §6.1, §7.1, §8.1. So walking over the options later cannot fail.
func parseNDP(m ICMPv6, typ uint8, fixed int) error {
	if len(m) < fixed {
		return ErrShort
	}
	if m[0] != typ || m[1] != 0 {
		return ErrType
	}
	for b := []byte(m[fixed:]); len(b) > 0; {
		_, _, rest, err := NextNDPOption(b)
		if err != nil {
			return err
		}
		b = rest // shorter by 8 at least
	}
	return nil
}

// NextNDPOption takes one option off b, which is not empty. opt is the whole
// option with type and length; rest is what follows and shorter than b by 8
// bytes at least. It fails with ErrOption if the length is 0 or beyond b.
func NextNDPOption(b []byte) (kind uint8, opt, rest []byte, err error) {
	if len(b) < 8 || b[1] == 0 {
		return 0, nil, nil, ErrOption
	}
	n := int(b[1]) * 8
	if n > len(b) {
		return 0, nil, nil, ErrOption
	}
	return b[0], b[:n:n], b[n:], nil
}

// FindNDPOption returns the first option of a kind in the options of a parsed
// message, nil if there is none.
func FindNDPOption(b []byte, kind uint8) []byte {
	for len(b) > 0 {
		k, opt, rest, err := NextNDPOption(b)
		if err != nil {
			return nil
		}
		if k == kind {
			return opt
		}
		b = rest
	}
	return nil
}

// NS is a neighbour solicitation. RFC 4861 §4.3.
type NS []byte

// ParseNS returns the view of a neighbour solicitation. It fails with
// ErrShort, ErrType (also for a code other than 0), ErrOption, and with
// ErrAddr if the target is a multicast address. Hop limit, checksum and the
// rules about source and destination are the caller's. RFC 4861 §7.1.1.
func ParseNS(m ICMPv6) (NS, error) {
	if err := parseNDP(m, ICMPv6NeighSolicit, nsLen); err != nil {
		return nil, err
	}
	if Addr(m[8:24]).IsMulticast() {
		return nil, ErrAddr
	}
	return NS(m), nil
}

// Target returns the address asked for.
func (n NS) Target() Addr { return Addr(n[8:24]) }

// Options returns the options; walk them with NextNDPOption.
func (n NS) Options() []byte { return n[nsLen:] }

// NA is a neighbour advertisement. RFC 4861 §4.4.
type NA []byte

// ParseNA returns the view of a neighbour advertisement. It fails as ParseNS
// does. RFC 4861 §7.1.2.
func ParseNA(m ICMPv6) (NA, error) {
	if err := parseNDP(m, ICMPv6NeighAdvert, nsLen); err != nil {
		return nil, err
	}
	if Addr(m[8:24]).IsMulticast() {
		return nil, ErrAddr
	}
	return NA(m), nil
}

// NAFlags are the flags of a neighbour advertisement.
type NAFlags uint8

// The flags of a neighbour advertisement.
const (
	NARouter    NAFlags = 0x80 // the sender is a router
	NASolicited NAFlags = 0x40 // it answers a solicitation
	NAOverride  NAFlags = 0x20 // it replaces a cached link-layer address
)

// Flags returns the flags.
func (n NA) Flags() NAFlags { return NAFlags(n[4]) & (NARouter | NASolicited | NAOverride) }

// Router reports whether the sender is a router.
func (n NA) Router() bool { return n.Flags()&NARouter != 0 }

// Solicited reports whether the message answers a solicitation.
func (n NA) Solicited() bool { return n.Flags()&NASolicited != 0 }

// Override reports whether a cached link-layer address is to be replaced.
func (n NA) Override() bool { return n.Flags()&NAOverride != 0 }

// Target returns the address the message is about.
func (n NA) Target() Addr { return Addr(n[8:24]) }

// Options returns the options; walk them with NextNDPOption.
func (n NA) Options() []byte { return n[nsLen:] }

// RS is a router solicitation. RFC 4861 §4.1.
type RS []byte

// ParseRS returns the view of a router solicitation; it fails with ErrShort,
// ErrType or ErrOption. RFC 4861 §6.1.1.
func ParseRS(m ICMPv6) (RS, error) {
	if err := parseNDP(m, ICMPv6RouterSolicit, rsLen); err != nil {
		return nil, err
	}
	return RS(m), nil
}

// Options returns the options; walk them with NextNDPOption.
func (r RS) Options() []byte { return r[rsLen:] }

// RA is a router advertisement. RFC 4861 §4.2.
type RA []byte

// ParseRA returns the view of a router advertisement; it fails with ErrShort,
// ErrType or ErrOption. RFC 4861 §6.1.2.
func ParseRA(m ICMPv6) (RA, error) {
	if err := parseNDP(m, ICMPv6RouterAdvert, raLen); err != nil {
		return nil, err
	}
	return RA(m), nil
}

// HopLimit returns the hop limit to use for what is sent, 0 if unspecified.
func (r RA) HopLimit() uint8 { return r[4] }

// Managed reports whether addresses are to be had by DHCPv6.
func (r RA) Managed() bool { return r[5]&0x80 != 0 }

// Other reports whether other configuration is to be had by DHCPv6.
func (r RA) Other() bool { return r[5]&0x40 != 0 }

// RouterLifetime returns for how many seconds the sender is a default router,
// 0 if it is none.
func (r RA) RouterLifetime() uint16 { return binary.BigEndian.Uint16(r[6:8]) }

// ReachableTime returns for how many milliseconds a confirmed neighbour is
// reachable, 0 if unspecified.
func (r RA) ReachableTime() uint32 { return binary.BigEndian.Uint32(r[8:12]) }

// RetransTimer returns how many milliseconds lie between solicitations, 0 if
// unspecified.
func (r RA) RetransTimer() uint32 { return binary.BigEndian.Uint32(r[12:16]) }

// Options returns the options; walk them with NextNDPOption.
func (r RA) Options() []byte { return r[raLen:] }

// Redirect tells of a better first hop. RFC 4861 §4.5.
type Redirect []byte

// ParseRedirect returns the view of a redirect. It fails with ErrShort,
// ErrType, ErrOption, and with ErrAddr if the destination is a multicast
// address, or the target is neither link-local nor the destination. RFC 4861
// §8.1.
func ParseRedirect(m ICMPv6) (Redirect, error) {
	if err := parseNDP(m, ICMPv6Redirect, redirectLen); err != nil {
		return nil, err
	}
	r := Redirect(m)
	if target, dst := r.Target(), r.Dst(); dst.IsMulticast() || target != dst && !target.IsLinkLocalUnicast() {
		return nil, ErrAddr
	}
	return r, nil
}

// Target returns the better first hop, or the destination itself if that is on
// the link.
func (r Redirect) Target() Addr { return Addr(r[8:24]) }

// Dst returns the address that is redirected.
func (r Redirect) Dst() Addr { return Addr(r[24:40]) }

// Options returns the options; walk them with NextNDPOption.
func (r Redirect) Options() []byte { return r[redirectLen:] }
