package link

import (
	"encoding/binary"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Finish makes of a packet what a device can carry that has none of the
// offloads: frames in one piece of memory each, checksums complete. A
// super-segment is cut. Bytes are copied and summed in one pass, into chunks
// of pool. p is taken over; the frames are appended to out and belong to the
// caller.
//
// It is software GSO (RFC 9293 §3.7.5 leaves segmentation offload to
// implementations): sequence numbers advance, FIN and PSH stay on the last
// piece, CWR on the first (RFC 3168 §6.1.2), IPv4 identification counts up.
func Finish(pool *pkt.Pool, p *pkt.Packet, out []*pkt.Packet) []*pkt.Packet {
	if p.GSO != pkt.GSONone && p.GSOSize > 0 && p.Body.Len() > int(p.GSOSize) {
		out = cut(pool, p, out)
	} else {
		out = append(out, flatten(pool, p))
	}
	p.Release()
	return out
}

// flatten copies one ordinary packet and completes its checksum on the way.
func flatten(pool *pkt.Pool, p *pkt.Packet) *pkt.Packet {
	n := p.Len()
	c := pool.Chunk(n)
	b := c.Bytes()[:n]
	h := copy(b, p.Head)
	if p.Csum == pkt.CsumPartial {
		start := int(p.CsumStart)
		sum := wire.Sum(b[start:h], 0) // the field holds the pseudo-header's sum
		sum = copySum(b[h:], &p.Body, sum, h-start)
		binary.BigEndian.PutUint16(b[start+int(p.CsumOffset):], wire.FinishUDP(sum))
	} else {
		p.Body.CopyTo(b[h:])
	}
	return frame(pool, p, c, n)
}

// copySum copies a view and adds it to a sum that covers at bytes so far.
func copySum(dst []byte, v *pkt.View, sum uint16, at int) uint16 {
	for _, r := range v {
		if at&1 == 0 {
			sum = wire.SumCopy(dst, r.B, sum)
		} else {
			sum = wire.Join(sum, wire.SumCopy(dst, r.B, 0), at)
		}
		dst = dst[len(r.B):]
		at += len(r.B)
	}
	return sum
}

// frame wraps a chunk as a received or sendable frame of n bytes.
func frame(pool *pkt.Pool, p *pkt.Packet, c *pkt.Chunk, n int) *pkt.Packet {
	q := pool.Packet()
	q.Hash, q.L3, q.L4, q.Iface = p.Hash, p.L3, p.L4, p.Iface
	q.SetFrame(c.Ref(c.Bytes()[:n]), n)
	return q
}

// cut makes frames of a TCP super-segment.
func cut(pool *pkt.Pool, p *pkt.Packet, out []*pkt.Packet) []*pkt.Packet {
	h := len(p.Head)
	l3, l4 := int(p.L3), int(p.L4)
	v6 := p.GSO == pkt.GSOTCPv6
	t := wire.TCP(p.Head[l4:])
	total := p.Body.Len()
	seq, flags := t.Seq(), t.Flags()
	// What the checksums of all pieces have in common: the pseudo-header
	// without its length, as the whole segment's has it.
	pseudo := t.Checksum()
	whole := uint16(h - l4 + total)
	view := p.Body
	for off := 0; off < total; {
		n := min(int(p.GSOSize), total-off)
		c := pool.Chunk(h + n)
		b := c.Bytes()[:h+n]
		copy(b, p.Head)
		s := wire.TCP(b[l4:])
		s.SetSeq(seq + uint32(off))
		f := flags
		if off > 0 {
			f &^= wire.FlagCWR
		}
		if off+n < total {
			f &^= wire.FlagFIN | wire.FlagPSH
		}
		s.SetFlags(f)
		// Replace the length in the pseudo-header's sum: one's complement
		// subtraction is the addition of the complement.
		sum := add(add(pseudo, ^whole), uint16(h-l4+n))
		s.SetChecksum(sum)
		sum = wire.Sum(b[l4:h], 0)
		sum = sumPiece(b[h:], &view, n, sum, h-l4)
		s.SetChecksum(wire.Finish(sum))
		if v6 {
			wire.IPv6(b[l3:]).SetPayloadLen(uint16(h - l3 - wire.IPv6Len + n))
		} else {
			ip := wire.IPv4(b[l3:])
			ip.SetTotalLen(uint16(h - l3 + n))
			if off > 0 && !ip.DF() {
				ip.SetID(ip.ID() + uint16(off/int(p.GSOSize)))
			}
		}
		out = append(out, frame(pool, p, c, h+n))
		off += n
	}
	return out
}

// sumPiece copies the next n bytes of a view, which moves on without touching
// ownership, and adds them to a sum that covers at bytes.
func sumPiece(dst []byte, v *pkt.View, n int, sum uint16, at int) uint16 {
	for n > 0 {
		if len(v[0].B) == 0 {
			v[0], v[1] = v[1], pkt.Ref{}
		}
		k := min(n, len(v[0].B))
		if at&1 == 0 {
			sum = wire.SumCopy(dst, v[0].B[:k], sum)
		} else {
			sum = wire.Join(sum, wire.SumCopy(dst, v[0].B[:k], 0), at)
		}
		v[0].B = v[0].B[k:]
		dst = dst[k:]
		at += k
		n -= k
	}
	return sum
}

func add(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s + s>>16)
}
