package ip

import (
	"encoding/binary"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Fragment cuts a datagram into fragments of at most mtu bytes, from the IP
// header on, and appends them to out. p is as PutHeader made it, without a link
// header; it is taken over, also on failure. If it fits it is passed on as it
// is, so that atomic fragments never leave (RFC 6946). id is the identification
// of an IPv6 packet, from IDs.Next6; IPv4 has it in the header. The payload is
// cut by reference. A partial checksum is finished first: no device can finish
// one across fragments.
//
// Fragments do not overlap, and all but the last are as large as mtu allows in
// multiples of 8 bytes. RFC 791 §3.2, RFC 8200 §4.5, RFC 5722 §4. The failures
// are ReasonTooBig for a datagram with DF or an MTU that is none, and
// ReasonHeaderLength for one with options or extension headers, or with more
// than a transport header in Head.
func Fragment(pool *pkt.Pool, p *pkt.Packet, mtu int, id uint32, out *pkt.List) Reason {
	if p.Len() <= mtu {
		out.Push(p)
		return ReasonNone
	}
	c, r := newCutter(pool, p, mtu, id)
	if r == ReasonNone {
		finishChecksum(p)
		for c.off < c.len { // at most MaxDatagram/8 steps: room is at least 8
			out.Push(c.next())
		}
	}
	p.Release()
	return r
}

// maxLead is how much a fragment takes from Head: the longest transport header.
// With both IP headers and a link's it fits into head-room.
const maxLead = 60

// cutter is a datagram on its way into pieces.
type cutter struct {
	pool *pkt.Pool
	p    *pkt.Packet
	hdr  []byte // the IP header
	lead []byte // what of the payload lies in Head
	off  int    // how much of the payload is done
	len  int    // of the payload
	room int    // payload per fragment, a multiple of 8
	id   uint32
	v6   bool
}

func newCutter(pool *pkt.Pool, p *pkt.Packet, mtu int, id uint32) (cutter, Reason) {
	hlen := int(p.L4)
	c := cutter{pool: pool, p: p, hdr: p.Head[:hlen], lead: p.Head[hlen:], len: p.Len() - hlen, id: id}
	c.v6 = p.Head[0]>>4 == 6
	switch {
	case c.v6 && hlen != wire.IPv6Len, !c.v6 && hlen != wire.IPv4MinLen, len(c.lead) > maxLead:
		return c, ReasonHeaderLength
	case c.v6 && mtu < MinMTU6, !c.v6 && (mtu < MinMTU4 || wire.IPv4(c.hdr).DF()):
		return c, ReasonTooBig
	}
	c.room = mtu - hlen
	if c.v6 {
		c.room -= wire.IPv6FragmentLen
	}
	c.room &^= 7
	return c, ReasonNone
}

// next makes the next fragment.
func (c *cutter) next() *pkt.Packet {
	q := c.pool.Packet()
	n := min(c.room, c.len-c.off)
	end := c.off + n
	if c.off < len(c.lead) { // headers are copied, they are few
		lead := c.lead[c.off:min(end, len(c.lead))]
		copy(q.Prepend(len(lead)), lead)
	}
	if from, to := max(c.off-len(c.lead), 0), end-len(c.lead); from < to {
		q.Body = c.p.Body
		q.Body.Retain()
		q.Body.Truncate(to)
		q.Body.TrimFront(from)
	}
	c.header(q, n, end < c.len)
	c.off = end
	return q
}

// header puts the IP header in front of a fragment with n bytes of payload.
func (c *cutter) header(q *pkt.Packet, n int, more bool) {
	if c.v6 {
		next := wire.IPv6(c.hdr).NextHeader()
		wire.PutFragment(q.Prepend(wire.IPv6FragmentLen), next, c.off, more, c.id)
		h := wire.IPv6(q.Prepend(len(c.hdr)))
		copy(h, c.hdr)
		h.SetPayloadLen(uint16(n + wire.IPv6FragmentLen))
		h[nextHeaderAt] = wire.ProtoFragment
		q.L4 = uint16(len(c.hdr) + wire.IPv6FragmentLen)
		return
	}
	h := q.Prepend(len(c.hdr))
	copy(h, c.hdr)
	putFragment4(h, len(c.hdr)+n, c.off, more)
	q.L4 = uint16(len(c.hdr))
}

// putFragment4 stores length, offset and the flag for more in an IPv4 header,
// and its checksum. All other flags are cleared.
func putFragment4(h []byte, total, off int, more bool) {
	w := uint16(off / 8)
	if more {
		w |= wire.IPv4MF << 13
	}
	binary.BigEndian.PutUint16(h[2:4], uint16(total))
	binary.BigEndian.PutUint16(h[6:8], w)
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:12], wire.Finish(wire.Sum(h, 0)))
}

// finishChecksum completes a partial transport checksum, in Head.
func finishChecksum(p *pkt.Packet) {
	if p.Csum != pkt.CsumPartial {
		return
	}
	start, at := int(p.CsumStart), int(p.CsumStart)+int(p.CsumOffset)
	// The field holds the sum of the pseudo-header, so it is counted once by
	// summing over it.
	sum := wire.Sum(p.Head[start:], 0)
	n := len(p.Head) - start
	for i := range p.Body {
		sum = wire.Join(sum, wire.Sum(p.Body[i].B, 0), n)
		n += len(p.Body[i].B)
	}
	// For UDP 0 would mean "none"; for the others it and all ones are the same.
	binary.BigEndian.PutUint16(p.Head[at:], wire.FinishUDP(sum))
	p.Csum = pkt.CsumUnknown
}
