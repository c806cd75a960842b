package sim

import (
	"encoding/binary"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// glue makes one packet of each run of TCP segments in a batch that continue
// each other, as a device with GRO does, and returns what the batch is then.
// Only segments are glued whose checksum is right.
func (h *Host) glue(batch []*pkt.Packet) []*pkt.Packet {
	out := batch[:0]
	for i := 0; i < len(batch); {
		first := parseGlue(batch[i])
		last, size := first, batch[i].Len()
		j := i + 1
		for ; j < len(batch) && first.head > 0; j++ {
			next := parseGlue(batch[j])
			if !first.continued(&last, &next) || size+next.data > h.cfg.MaxGRO {
				break
			}
			last = next
			size += next.data
		}
		p := batch[i]
		if j > i+1 {
			p = h.join(batch[i:j], &first, size)
		}
		out = append(out, p)
		i = j
	}
	clear(batch[len(out):])
	return out
}

// gluable is what glue wants to know of a packet; head is 0 if it cannot be
// glued.
type gluable struct {
	l4         int // where the TCP header begins
	head, data int // bytes of headers and of payload
	next       uint32
	ack        uint32
	ports      uint32
	window     uint16
	flags      wire.TCPFlags // ACK and those of ECN, which are one counter with AccECN
	ecn        uint8         // of the IP header: what is marked and what is not are never one
	push       bool
}

// continued reports whether b may follow a in a run: a is its last so far, and
// what is called first its first. All segments but the last are of one size.
func (first *gluable) continued(a, b *gluable) bool {
	return b.head == first.head && b.l4 == first.l4 && b.next-uint32(b.data) == a.next && b.ports == first.ports && b.ack == first.ack &&
		b.window == first.window && b.flags == first.flags && b.ecn == first.ecn && a.data == first.data && b.data <= first.data && !a.push
}

// ecnFlags are the flags that ECN uses.
const ecnFlags = wire.FlagAE | wire.FlagCWR | wire.FlagECE

// parseGlue looks at a packet: it can be glued if it is a TCP segment with data
// and no flags but ACK, PSH and those of ECN, right behind the fixed header of its IP.
func parseGlue(p *pkt.Packet) (g gluable) {
	if p.Segs > 1 || len(p.Head) < wire.IPv4MinLen+wire.TCPMinLen {
		return g
	}
	var src, dst wire.Addr
	l4, ecn := wire.IPv4MinLen, uint8(0)
	switch {
	case p.Head[0] == 0x45:
		ip := wire.IPv4(p.Head)
		if ip.Proto() != wire.ProtoTCP || ip.IsFragment() || int(ip.TotalLen()) != p.Len() || !ip.ChecksumOK() {
			return g
		}
		src, dst, ecn = ip.Src(), ip.Dst(), ip.TOS()&wire.ECNMask
	case p.Head[0]>>4 == 6 && len(p.Head) >= wire.IPv6Len+wire.TCPMinLen:
		l4 = wire.IPv6Len
		ip := wire.IPv6(p.Head)
		if ip.NextHeader() != wire.ProtoTCP || l4+int(ip.PayloadLen()) != p.Len() {
			return g
		}
		src, dst, ecn = ip.Src(), ip.Dst(), ip.TrafficClass()&wire.ECNMask
	default:
		return g
	}
	t := wire.TCP(p.Head[l4:])
	head := l4 + t.HeaderLen()
	if t.HeaderLen() < wire.TCPMinLen || head > len(p.Head) || head >= p.Len() || t.Flags()&^(wire.FlagPSH|ecnFlags) != wire.FlagACK {
		return g
	}
	sum := wire.Sum(t, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(p.Len()-l4)))
	if wire.Join(sum, wire.Sum(p.Body[0].B, 0), len(t)) != 0xffff {
		return g
	}
	data := p.Len() - head
	return gluable{l4: l4, head: head, data: data, next: t.Seq() + uint32(data), ack: t.Ack(), ports: binary.BigEndian.Uint32(t),
		window: t.Window(), flags: t.Flags() &^ wire.FlagPSH, ecn: ecn, push: t.Flags()&wire.FlagPSH != 0}
}

// join makes one packet of a run: the first one's headers, with the last one's
// PSH. The timestamp is the first one's, too: it is the one that the ACK of all
// has to echo (RFC 7323 §4.3).
func (h *Host) join(run []*pkt.Packet, first *gluable, size int) *pkt.Packet {
	c := h.w.pool.Chunk(size)
	b := append(c.Bytes()[:0], run[0].Head[:first.head]...)
	flags := first.flags
	for _, p := range run {
		flags |= wire.TCP(p.Head[first.l4:]).Flags()
		b = append(b, p.Head[first.head:]...)
		b = p.Body.AppendTo(b)
		p.Release()
	}
	q := h.w.pool.Packet()
	q.SetFrame(c.Ref(b), first.head)
	q.Segs, q.GSOSize, q.GSO, q.Csum = uint16(len(run)), uint16(first.data), pkt.GSOTCPv4, pkt.CsumValid
	if first.l4 == wire.IPv6Len {
		wire.IPv6(b).SetPayloadLen(uint16(size - wire.IPv6Len))
		q.GSO = pkt.GSOTCPv6
	} else {
		wire.IPv4(b).SetTotalLen(uint16(size))
	}
	wire.TCP(b[first.l4:]).SetFlags(flags)
	return q
}
