package ip

import (
	"encoding/binary"

	"github.com/handfast/handfast/wire"
)

// parse4 is Parse for IPv4. Its errors that are answered (RFC 1122 §3.2.2) are
// impossible options and unknown protocols; all others are silent.
func parse4(b []byte, total int, csumValid bool, d *Datagram) Reason {
	if len(b) < wire.IPv4MinLen {
		return ReasonShort
	}
	hlen := int(b[0]&15) * 4
	if hlen < wire.IPv4MinLen || hlen > total {
		return ReasonHeaderLength
	}
	if hlen > len(b) {
		return ReasonHeadersSplit
	}
	end := int(binary.BigEndian.Uint16(b[2:4]))
	if end < hlen || end > total {
		return ReasonLength
	}
	if !csumValid && wire.Sum(b[:hlen], 0) != 0xffff {
		return ReasonChecksum
	}
	d.TOS, d.TTL, d.Proto = b[1], b[8], b[9]
	d.L4, d.End = hlen, end
	d.Src = wire.AddrFrom4([4]byte(b[12:16]))
	d.Dst = wire.AddrFrom4([4]byte(b[16:20]))
	if r := d.addresses4(binary.BigEndian.Uint32(b[12:16]), binary.BigEndian.Uint32(b[16:20])); r != ReasonNone {
		return r
	}
	if hlen > wire.IPv4MinLen {
		if r := d.options4(b[wire.IPv4MinLen:hlen]); r != ReasonNone {
			return r
		}
	}
	if w := binary.BigEndian.Uint16(b[6:8]); w&0x3fff != 0 {
		d.FragID = uint32(binary.BigEndian.Uint16(b[4:6]))
		if r := d.fragment4(b[hlen:min(end, len(b))], int(w&0x1fff)*8, w&0x2000 != 0); r != ReasonNone {
			return r
		}
	}
	switch d.Proto {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP:
		return ReasonNone
	}
	if d.FragOff != 0 { // only the first fragment is answered
		return ReasonProtocol
	}
	return d.owe(ReasonProtocol, wire.ICMPv4Unreachable, wire.UnreachProtocol, 0)
}

// addresses4 refuses addresses that no host can have and marks the special
// ones. RFC 1122 §3.2.1.3.
func (d *Datagram) addresses4(src, dst uint32) Reason {
	if s, t := src>>24-1, dst>>24-1; s < 126 && t < 126 {
		return ReasonNone // both in 1.0.0.0 to 126.255.255.255: nothing special
	}
	switch {
	case src>>24 == 0 && src != 0, src >= 0xe0000000: // net 0; multicast, class E, broadcast
		return ReasonSource
	case dst>>24 == 0, dst >= 0xf0000000 && dst != 0xffffffff:
		return ReasonDestination
	}
	d.SrcUnspecified = src == 0
	d.Loopback = src>>24 == 127 || dst>>24 == 127
	d.Multicast = dst>>28 == 0xe
	d.Broadcast = dst == 0xffffffff
	return ReasonNone
}

// options4 walks the options. The only ones that matter are source routes;
// whatever else is there is ignored, known or not (RFC 1122 §3.2.1.8).
func (d *Datagram) options4(opts []byte) Reason {
	for rest := opts; len(rest) > 0; { // at most 40 steps: rest shrinks
		at := wire.IPv4MinLen + len(opts) - len(rest)
		kind, _, next, err := wire.NextOption(rest)
		if err != nil {
			return d.owe(ReasonOption, wire.ICMPv4ParamProblem, 0, at)
		}
		if kind == wire.IPv4OptLSRR || kind == wire.IPv4OptSSRR {
			return ReasonSourceRoute
		}
		rest = next
	}
	return ReasonNone
}

// fragment4 checks the piece of payload of a fragment; l4 is as much of it as
// is at hand. RFC 791 §3.2.
//
// Deviation: a first fragment that does not hold the transport header is
// dropped, although RFC 791 lets a link of MTU 68 cut there: no such link is
// left, and RFC 1858 explains who else cuts there.
func (d *Datagram) fragment4(l4 []byte, off int, more bool) Reason {
	d.Fragment, d.FragOff, d.More = true, off, more
	n := d.Len()
	switch {
	case n == 0 || more && n%8 != 0:
		return ReasonFragmentLength
	case d.L4+off+n > MaxDatagram:
		return ReasonFragmentRange
	case off != 0:
		return ReasonNone
	case n < transportLen(d.Proto, l4):
		return ReasonFragmentTiny
	}
	return ReasonNone
}

// transportLen returns how long the transport header at b is in bytes,
// judging by its first bytes; 0 for an unknown protocol.
func transportLen(proto uint8, b []byte) int {
	switch proto {
	case wire.ProtoTCP:
		if len(b) > 12 {
			return max(wire.TCPMinLen, int(b[12]>>4)*4)
		}
		return wire.TCPMinLen
	case wire.ProtoUDP, wire.ProtoICMP, wire.ProtoICMPv6:
		return 8
	}
	return 0
}
