package ip

import (
	"encoding/binary"

	"github.com/handfast/handfast/wire"
)

// nextHeaderAt is the offset of the next header field of the fixed header.
const nextHeaderAt = 6

// parse6 is Parse for IPv6.
func parse6(b []byte, total int, d *Datagram) Reason {
	if len(b) < wire.IPv6Len {
		return ReasonShort
	}
	end := wire.IPv6Len + int(binary.BigEndian.Uint16(b[4:6]))
	if end > total {
		return ReasonLength
	}
	w := binary.BigEndian.Uint32(b[0:4])
	d.V6 = true
	d.TOS, d.FlowLabel = uint8(w>>20), w&0xfffff
	d.Proto, d.TTL = b[nextHeaderAt], b[7]
	d.Src, d.Dst = wire.Addr(b[8:24]), wire.Addr(b[24:40])
	d.L4, d.End = wire.IPv6Len, end
	if r := d.addresses6(); r != ReasonNone {
		return r
	}
	if d.Proto == wire.ProtoTCP || d.Proto == wire.ProtoUDP || d.Proto == wire.ProtoICMPv6 {
		return ReasonNone
	}
	c := chain{b: b[:min(len(b), end)], d: d, at: wire.IPv6Len, announced: nextHeaderAt}
	return c.walk()
}

// addresses6 refuses addresses that no host can have and marks the special
// ones. RFC 4291 §2.5.2, §2.5.3, §2.7; v4-mapped ones are a form of this
// program's (and of sockets), not of a wire's.
func (d *Datagram) addresses6() Reason {
	if d.Src[0]&0xe0 == 0x20 && d.Dst[0]&0xe0 == 0x20 {
		return ReasonNone // both in 2000::/3: nothing special
	}
	if d.Src[0] == 0xff || d.Src.Is4() {
		return ReasonSource
	}
	d.SrcUnspecified = d.Src.IsUnspecified()
	d.Loopback = d.Src.IsLoopback() || d.Dst.IsLoopback()
	if d.Dst[0] == 0xff {
		scope := d.Dst[1] & 15
		if scope == 0 { // reserved: must be dropped
			return ReasonDestination
		}
		d.Multicast = true
		d.Loopback = d.Loopback || scope == scopeInterface
		return ReasonNone
	}
	if d.Dst.Is4() || d.Dst.IsUnspecified() {
		return ReasonDestination
	}
	return ReasonNone
}

// chain is a walk over extension headers, in the order in which they stand and
// each to its end before the next: RFC 8200 §4.
type chain struct {
	b         []byte // what is at hand, without padding
	d         *Datagram
	at        int  // the header we are at
	announced int  // where its number stands: what a Parameter Problem points at
	first     bool // behind the fragment header of a first fragment: only lengths count
}

// walk goes to the upper layer's header, or to the payload of a fragment. A
// first fragment is walked to the upper layer as well, because it must hold
// the whole chain (RFC 7112, RFC 8200 §4.5), but what stands behind its
// fragment header is processed only after reassembly.
func (c *chain) walk() Reason {
	next := c.d.Proto
	for n := 0; ours(next); n++ {
		if n == MaxHeaders {
			return ReasonHeaderCount
		}
		if next == wire.ProtoHopByHop && (c.at != wire.IPv6Len || c.first) {
			return c.problem(ReasonHeaderOrder, wire.ParamProblemNextHeader, c.announced)
		}
		hdr, r := c.header(next)
		if r != ReasonNone {
			return r
		}
		r, done := c.process(next, hdr)
		if r != ReasonNone || done {
			return r
		}
		next = hdr[0]
		c.announced = c.at
		c.at += len(hdr)
	}
	return c.upper(next)
}

// ours reports whether an extension header is one that a host processes. The
// others (AH, mobility, HIP, Shim6) are as unknown as any other number.
func ours(next uint8) bool {
	switch next {
	case wire.ProtoHopByHop, wire.ProtoRouting, wire.ProtoFragment, wire.ProtoDestOptions:
		return true
	}
	return false
}

// header returns the extension header at c.at.
func (c *chain) header(next uint8) ([]byte, Reason) {
	_, hdr, _, err := wire.NextExt(next, c.b[c.at:])
	if err == nil {
		return hdr, ReasonNone
	}
	need := 8
	if next != wire.ProtoFragment && len(c.b)-c.at >= 2 {
		need = (int(c.b[c.at+1]) + 1) * 8
	}
	return nil, c.short(need)
}

// short returns why a header of need bytes at c.at cannot be read.
func (c *chain) short(need int) Reason {
	switch {
	case c.at+need <= c.d.End:
		return ReasonHeadersSplit
	case c.first: // the pointer is zero: RFC 7112 §5
		return c.problem(ReasonFragmentTiny, wire.ParamProblemFirstFrag, 0)
	}
	return ReasonHeaderLength
}

func (c *chain) problem(r Reason, code uint8, pointer int) Reason {
	return c.d.owe(r, wire.ICMPv6ParamProblem, code, pointer)
}

// process does what an extension header asks for. done says that the walk ends
// here because the rest is a fragment's.
func (c *chain) process(next uint8, hdr []byte) (r Reason, done bool) {
	switch next {
	case wire.ProtoFragment:
		return c.fragment(wire.IPv6Fragment(hdr))
	case wire.ProtoRouting:
		// Segments left for a host is one too many, whatever the type: type 0
		// is dead (RFC 5095) and we know no other.
		if c.first || wire.IPv6Routing(hdr).SegmentsLeft() == 0 {
			return ReasonNone, false
		}
		return c.problem(ReasonRoutingHeader, wire.ParamProblemHeader, c.at+2), false
	}
	if c.first {
		return ReasonNone, false
	}
	return c.options(hdr), false
}

// options walks a hop-by-hop or destination options header. None of the known
// options concerns a host, so all that counts is what the type says about not
// being known. RFC 8200 §4.2.
func (c *chain) options(hdr []byte) Reason {
	opts := wire.TLVs(hdr)
	known, padding := 0, 0
	for rest := opts; len(rest) > 0; {
		at := c.at + len(hdr) - len(rest)
		kind, _, next, err := wire.NextTLV(rest)
		if err != nil {
			return c.problem(ReasonOption, wire.ParamProblemHeader, at)
		}
		if kind == wire.TLVPad1 || kind == wire.TLVPadN {
			if padding += len(rest) - len(next); padding > MaxPadding {
				return ReasonOptionCount
			}
			rest = next
			continue
		}
		padding = 0
		if known++; known > MaxOptions {
			return ReasonOptionCount
		}
		if r := c.unknown(kind, at); r != ReasonNone {
			return r
		}
		rest = next
	}
	return ReasonNone
}

// unknown applies the two top bits of an option's type. RFC 8200 §4.2.
func (c *chain) unknown(kind uint8, at int) Reason {
	switch kind & wire.TLVActionMask {
	case wire.TLVSkip: // which the router alert is as well
		return ReasonNone
	case wire.TLVDiscardICMP:
		return c.problem(ReasonUnknownOption, wire.ParamProblemOption, at)
	case wire.TLVDiscardICMPUnicast:
		if !c.d.Multicast {
			return c.problem(ReasonUnknownOption, wire.ParamProblemOption, at)
		}
	}
	return ReasonUnknownOption
}

// fragment reads a fragment header and decides whether the walk goes on behind
// it: for an atomic fragment, which is a whole packet (RFC 6946), and, looking
// at lengths only, for a first fragment. RFC 8200 §4.5.
//
// Deviation: a second fragment header is refused, although RFC 8200 §4.1 wants
// headers accepted in any number: a datagram cut twice by its source is
// nothing but a way to make the receiver reassemble twice.
func (c *chain) fragment(f wire.IPv6Fragment) (r Reason, done bool) {
	d := c.d
	if d.fragHdr != 0 {
		return ReasonHeaderOrder, true
	}
	d.fragHdr, d.fragNext = uint16(c.at), uint16(c.announced)
	off, more := f.Offset(), f.More()
	if off == 0 && !more {
		return ReasonNone, false
	}
	start := c.at + wire.IPv6FragmentLen
	d.Fragment, d.FragOff, d.More, d.FragID = true, off, more, f.ID()
	d.L4, d.Proto = start, f.NextHeader()
	n := d.End - start
	switch {
	case more && n%8 != 0: // points at the payload length
		return c.problem(ReasonFragmentLength, wire.ParamProblemHeader, 4), true
	case n <= 0:
		return ReasonFragmentLength, true
	case c.at-wire.IPv6Len+off+n > MaxDatagram: // points at the fragment offset
		return c.problem(ReasonFragmentRange, wire.ParamProblemHeader, c.at+2), true
	}
	c.first = off == 0
	return ReasonNone, !c.first
}

// upper ends the walk at the number next, which is no extension header of ours.
func (c *chain) upper(next uint8) Reason {
	d := c.d
	if c.first { // L4 and Proto stay the fragment's; the chain just had to be here
		var l4 []byte
		if c.at < len(c.b) {
			l4 = c.b[c.at:]
		}
		if need := transportLen(next, l4); c.at+need > d.End {
			return c.short(need)
		}
		return ReasonNone
	}
	d.L4, d.Proto = c.at, next
	switch next {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMPv6:
		return ReasonNone
	case wire.ProtoNoNext:
		return ReasonNoNextHeader
	}
	return c.problem(ReasonProtocol, wire.ParamProblemNextHeader, c.announced)
}
