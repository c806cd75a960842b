package engine

import (
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// input takes one packet, which begins with its IP header, up to its protocol.
func (e *Engine) input(now mono.Time, p *pkt.Packet) {
	e.stats.Count[InPackets]++
	d := &e.dgram
	d.Iface = int(p.Iface)
	r := ip.Parse(p.Head, p.Len(), p.Csum == pkt.CsumValid, d)
	if r == ip.ReasonNone {
		r = e.routes.CheckArrival(d)
	}
	if r != ip.ReasonNone {
		e.dropIP(now, p, d, r)
		return
	}
	p.L3, p.L4 = 0, uint16(d.L4)
	if d.Fragment {
		done, r := e.reass.Add(now, d, p)
		if r != ip.ReasonNone {
			e.stats.IP[r]++
			if done != nil {
				e.dropIP(now, done, d, r)
			}
			return
		}
		if done == nil {
			return
		}
		p = done
	}
	switch d.Proto {
	case wire.ProtoTCP:
		e.inputTCP(now, p, d)
	case wire.ProtoUDP:
		e.inputUDP(now, p, d)
	case wire.ProtoICMP, wire.ProtoICMPv6:
		e.inputICMP(now, p, d)
	default:
		p.Release()
	}
}

// dropIP counts and releases a packet and sends the ICMP error that is owed.
func (e *Engine) dropIP(now mono.Time, p *pkt.Packet, d *ip.Datagram, r ip.Reason) {
	e.stats.IP[r]++
	if d.Problem.Owed() {
		e.sendICMPError(now, p, d, d.Problem)
	}
	p.Release()
}

// payload takes the payload out of a packet: what follows the header of n bytes
// at L4, up to the end of the datagram. The packet is left with its headers.
func payload(p *pkt.Packet, d *ip.Datagram, n int) pkt.View {
	if len(p.Head) > d.L4+n || p.Body.Len() == 0 { // all in one piece
		b := p.Head[d.L4+n : max(d.L4+n, min(d.End, len(p.Head)))]
		r := pkt.Bytes(b)
		if c := p.Body[0].Chunk(); c != nil {
			r = c.Ref(b)
		}
		p.Body[0] = pkt.Ref{}
		return pkt.View{r}
	}
	v := p.Body.Move()
	v.Truncate(d.End - d.L4 - n)
	return v
}

// transportSum is the checksum of a datagram's payload with its pseudo-header,
// which ICMP of IPv4 has none of: 0xffff if it is right.
func transportSum(p *pkt.Packet, d *ip.Datagram) uint16 {
	n := d.Len()
	sum := uint16(0)
	if d.Proto != wire.ProtoICMP {
		sum = wire.PseudoSum(&d.Src, &d.Dst, d.Proto, uint32(n))
	}
	head := p.Head[d.L4:min(d.End, len(p.Head))]
	sum = wire.Sum(head, sum)
	n -= len(head)
	at := len(head)
	for _, r := range p.Body {
		k := min(n, len(r.B))
		if k <= 0 {
			break
		}
		if at&1 == 0 {
			sum = wire.Sum(r.B[:k], sum)
		} else {
			sum = wire.Join(sum, wire.Sum(r.B[:k], 0), at)
		}
		at += k
		n -= k
	}
	return sum
}

// inputTCP checks a segment and finds who it is for: connections, half-open
// records, TIME-WAIT records, listeners, nobody.
func (e *Engine) inputTCP(now mono.Time, p *pkt.Packet, d *ip.Datagram) {
	t, err := wire.ParseTCP(p.Head[d.L4:min(d.End, len(p.Head))])
	switch {
	case err != nil:
		e.drop(p, TCPShort)
		return
	case d.Multicast || d.Broadcast || d.SrcUnspecified:
		e.drop(p, TCPMulticast) // RFC 9293 §3.9.2.3 (MUST-57, MUST-63)
		return
	case p.Csum == pkt.CsumUnknown && transportSum(p, d) != 0xffff:
		e.drop(p, TCPBadChecksum)
		return
	}
	f := Flow{Local: d.Dst, Remote: d.Src, LPort: t.DstPort(), RPort: t.SrcPort()}
	if f.LPort == 0 || f.RPort == 0 || f.Local == f.Remote && !e.ifaces[p.Iface].loopback {
		e.drop(p, TCPLand)
		return
	}
	e.seg.Parse(t)
	e.seg.ECN = d.ECN()
	if e.seg.ECN == wire.CE {
		e.stats.Count[TCPMarked]++
	}
	e.seg.Segs = max(1, p.Segs)
	if e.seg.Opts.Has&wire.HasBad != 0 {
		e.stats.Count[TCPBadOptions]++
	}
	e.seg.Data = payload(p, d, t.HeaderLen())
	hash := e.key.flow13(&f)
	iface := e.ifaces[p.Iface]
	e.demux(now, &f, hash, iface)
	e.seg.Data.Release()
	p.Release()
}

func (e *Engine) demux(now mono.Time, f *Flow, hash uint32, iface *Interface) {
	if c := e.conns.lookup(hash, f); c != nil {
		c.rcvTOS = e.dgram.TOS
		if c.Arrive(now, &e.seg) {
			e.reset(now, f, iface)
		}
		e.touch(c)
		return
	}
	if i := e.halfTable.lookup(&e.half, hash, f); i != 0 {
		e.inputHalfOpen(now, i, f, iface)
		return
	}
	if i := e.twTable.lookup(&e.tw, hash, f); i != 0 {
		e.inputTimeWait(now, i, f, hash, iface)
		return
	}
	if l := e.findListener(f); l != nil {
		e.inputListen(now, l, f, hash, iface)
		return
	}
	e.stats.Count[TCPNoConnection]++
	e.reset(now, f, iface)
}

// reset answers the segment at hand as CLOSED does, RFC 9293 §3.10.7.1, within
// a bound on how many of them.
func (e *Engine) reset(now mono.Time, f *Flow, iface *Interface) {
	if !tcp.ResetFor(&e.seg, &e.reply) {
		return
	}
	if !e.resets.allowFor(now, e.resetPrice()) {
		e.stats.Count[TCPResetsLimited]++
		return
	}
	e.stats.Count[TCPResetsSent]++
	e.sendSegment(f, &e.reply, iface)
}

// dearReset is what one reset in so many costs of the budget; the others are
// free.
const dearReset = 4

// resetPrice is random, so that who spends the budget and counts what is left
// does not learn whether somebody else got a reset, which would tell that a
// connection he guesses does not exist (CVE-2016-5696).
func (e *Engine) resetPrice() uint32 {
	e.resetDraws++
	if e.resetKey.sum24(e.resetDraws, 0)%dearReset != 0 {
		return 0
	}
	return dearReset
}

func (e *Engine) drop(p *pkt.Packet, why Counter) {
	e.stats.Count[why]++
	p.Release()
}
