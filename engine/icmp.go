package engine

import (
	"errors"

	"github.com/handfast/handfast/icmp"
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// The errors that a connected UDP socket learns from ICMP.
var (
	ErrRefused     = errors.New("connection refused")
	ErrUnreachable = errors.New("no route to host")
)

// maxQuote is how much of an ICMP error is read: the message's header, an IPv6
// header with eight extension headers of ours and the start of a TCP header
// are far less.
const maxQuote = 256

// newICMPLimiter makes the budget for errors, with randomness of its own.
func (e *Engine) newICMPLimiter(secret sipKey) *icmp.Limiter {
	key, draws := secret.derive(domainICMP), uint64(0)
	random := func() uint64 { draws++; return key.sum24(draws, 0) }
	c := icmp.LimiterConfig{PerSecond: e.limits.ICMPErrorsPerSecond, Burst: icmpErrorBurst}
	return icmp.NewLimiter(c, random)
}

// inputICMP handles a message: echo requests are answered, errors go to what
// they concern. Messages about neighbours and routers mean nothing on a medium
// that carries bare IP packets.
func (e *Engine) inputICMP(now mono.Time, p *pkt.Packet, d *ip.Datagram) {
	var buf [maxQuote]byte
	msg := buf[:copyDatagram(buf[:], p, d)]
	switch {
	case d.V6 != (d.Proto == wire.ProtoICMPv6):
		e.drop(p, ICMPUnknown)
	case len(msg) < wire.ICMPLen:
		e.drop(p, ICMPShort)
	case p.Csum != pkt.CsumValid && transportSum(p, d) != 0xffff:
		e.drop(p, ICMPBadChecksum)
	case icmp.IsEcho(msg, d.V6, d.Broadcast, d.Multicast):
		e.replyEcho(now, p, d, msg)
		p.Release()
	case d.V6 && wire.ICMPv6(msg).IsError(), !d.V6 && wire.ICMPv4(msg).IsError():
		e.inputICMPError(now, d, msg)
		p.Release()
	default:
		e.drop(p, ICMPUnknown)
	}
}

// copyDatagram copies the start of a datagram's payload, which may lie in
// pieces, and returns how much.
func copyDatagram(dst []byte, p *pkt.Packet, d *ip.Datagram) int {
	dst = dst[:min(len(dst), d.Len())]
	n := 0
	if len(p.Head) > d.L4 {
		n = copy(dst, p.Head[d.L4:])
	}
	return n + p.Body.CopyTo(dst[n:])
}

// replyEcho answers an echo request: its data go back where they came from, in
// fragments if they came in fragments. RFC 1122 §3.2.2.6, RFC 4443 §4.2.
func (e *Engine) replyEcho(now mono.Time, p *pkt.Packet, d *ip.Datagram, msg []byte) {
	local := d.Dst
	if d.Multicast {
		local = wire.Addr{}
	}
	iface, src, err := e.route(local, d.Src)
	if err != nil {
		return
	}
	q := e.pool.Packet()
	icmp.PutEchoReply(q.Prepend(wire.ICMPLen), msg, &d.Dst, &src)
	q.Body = payload(p, d, wire.ICMPLen)
	h := ip.Header{Src: src, Dst: d.Src, Proto: d.Proto, TTL: e.ttl(0, &d.Src), TOS: d.TOS &^ wire.ECNMask}
	if !d.V6 {
		h.ID = e.idents.Next4(&src, &d.Src, d.Proto)
	}
	if ip.PutHeader(q, &h) != ip.ReasonNone {
		q.Release()
		return
	}
	e.stats.Count[ICMPEchoes]++
	e.sendDatagram(now, q, iface, &src, &d.Src)
}

// sendICMPError tells the source of a packet what was wrong with it, unless the
// rules or the budget forbid it. The packet stays the caller's, its payload
// still in it.
func (e *Engine) sendICMPError(now mono.Time, p *pkt.Packet, d *ip.Datagram, w ip.Problem) {
	if e.routes.CheckArrival(d) != ip.ReasonNone {
		return // not for us: nor is the answer
	}
	c := icmp.Cause{Src: d.Src, Dst: d.Dst, Proto: d.Proto, NonInitial: d.FragOff > 0, Broadcast: d.Broadcast}
	var first [1]byte
	if d.L4 < d.End && copyDatagram(first[:], p, d) == 1 {
		c.Type, c.HasType = first[0], true
	}
	end := max(d.End, min(d.L4, p.Len()))
	head := p.Head[:min(len(p.Head), end)]
	rest := end - len(head)
	b0 := p.Body[0].B[:min(len(p.Body[0].B), rest)]
	if len(p.Head) >= end {
		b0 = nil
	}
	b1 := p.Body[1].B[:min(len(p.Body[1].B), rest-len(b0))]
	e.putICMPError(now, &c, w, head, b0, b1)
}

// sendTimeExceeded tells the source of a datagram that not all of its
// fragments came. RFC 1122 §3.3.2, RFC 8200 §4.5.
func (e *Engine) sendTimeExceeded(now mono.Time, x *ip.Expired) {
	w := ip.Problem{Type: wire.ICMPv4TimeExceeded, Code: wire.TimeExceededReassembly}
	if x.V6 {
		w.Type = wire.ICMPv6TimeExceeded
	}
	var d ip.Datagram
	// What was accepted as a fragment is read again to learn its protocol.
	d.Iface = x.Iface
	if ip.Parse(x.First, len(x.First), true, &d) != ip.ReasonNone || e.routes.CheckArrival(&d) != ip.ReasonNone {
		return
	}
	c := icmp.Cause{Src: x.Src, Dst: x.Dst, Proto: d.Proto, Broadcast: d.Broadcast}
	if d.L4 < d.End {
		c.Type, c.HasType = x.First[d.L4], true
	}
	e.putICMPError(now, &c, w, x.First, nil, nil)
}

// putICMPError sends an error about c, which quote holds.
func (e *Engine) putICMPError(now mono.Time, c *icmp.Cause, w ip.Problem, quote, quote1, quote2 []byte) {
	if !icmp.MayError(c, w.Type, w.Code) {
		return
	}
	local := c.Dst
	if _, ours := e.routes.IsLocal(&local); !ours {
		local = wire.Addr{}
	}
	iface, src, err := e.route(local, c.Src)
	if err != nil {
		return
	}
	if !e.icmpErrors.Allow(now, &c.Src) {
		e.stats.Count[ICMPErrorsLimited]++
		return
	}
	// The message is written in one piece, for its checksum; then its header
	// moves to Head, where every packet has it.
	chunk := e.pool.Chunk(icmp.MaxMessage)
	x := icmp.Error{Src: src, Dst: c.Src, Type: w.Type, Code: w.Code, Pointer: w.Pointer}
	n := icmp.PutError(chunk.Bytes()[:icmp.MaxMessage], &x, quote, quote1, quote2)
	q := e.pool.Packet()
	q.Body[0] = chunk.Ref(chunk.Bytes()[:n])
	h := ip.Header{Src: src, Dst: c.Src, Proto: wire.ProtoICMPv6, TTL: e.ttl(0, &c.Src)}
	if c.Src.Is4() {
		h.Proto = wire.ProtoICMP
		h.ID = e.idents.Next4(&src, &c.Src, wire.ProtoICMP)
	}
	copy(q.Prepend(wire.ICMPLen), chunk.Bytes())
	q.Body.TrimFront(wire.ICMPLen)
	if ip.PutHeader(q, &h) != ip.ReasonNone {
		q.Release()
		return
	}
	e.stats.Count[ICMPErrorsSent]++
	e.sendDatagram(now, q, iface, &src, &c.Src)
}

// portUnreachable is the error for a datagram to a port that nobody has. RFC
// 1122 §4.1.3.1, RFC 4443 §3.1.
func portUnreachable(v6 bool) ip.Problem {
	if v6 {
		return ip.Problem{Type: wire.ICMPv6Unreachable, Code: wire.Unreach6Port}
	}
	return ip.Problem{Type: wire.ICMPv4Unreachable, Code: wire.UnreachPort}
}

// inputICMPError takes an error to what sent the packet it quotes: RFC 9293
// §3.9.2.2 (MUST-54). What quotes nothing that is on its way is counted and
// ignored (RFC 5927 §4).
func (e *Engine) inputICMPError(now mono.Time, d *ip.Datagram, msg []byte) {
	var q icmp.Quoted
	err := icmp.ParseQuoted(d.V6, msg, &q)
	switch {
	case err != nil:
		e.stats.Count[ICMPShort]++
		return
	case q.Class == icmp.Ignored && !q.V6 && q.Type == wire.ICMPv4SourceQuench:
		e.stats.Count[ICMPSourceQuench]++ // RFC 9293 §3.9.2.2 (MUST-55), RFC 6633
		return
	case q.Class == icmp.Ignored:
		e.stats.Count[ICMPUnknown]++
		return
	}
	// An error about a packet goes to the address that sent it.
	ours := q.Src == d.Dst && q.HasPorts
	if ours && q.Proto == wire.ProtoTCP {
		ours = q.HasSeq && e.tcpError(now, &q)
	} else {
		ours = ours && e.udpError(now, &q)
	}
	if ours {
		e.stats.Count[ICMPErrorsIn]++
	} else {
		e.stats.Count[ICMPErrorsForged]++
	}
}

// tcpError takes an error to a connection or a half-open record. It reports
// false when the quoted segment is not in flight.
func (e *Engine) tcpError(now mono.Time, q *icmp.Quoted) bool {
	// The quoted segment came from us, so it names the flow as its receiver's
	// answer would, reversed.
	f := Flow{Local: q.Dst, Remote: q.Src, LPort: q.DstPort, RPort: q.SrcPort}.Reversed()
	hash := e.key.flow13(&f)
	if c := e.conns.lookup(hash, &f); c != nil {
		if !c.Outstanding(tcp.Seq(q.Seq)) {
			return false
		}
		if q.Class == icmp.TooBig {
			e.tooBig(now, q, c)
		} else {
			c.ICMPError(now, reasonOf(q), q.Class == icmp.Hard, tcp.Seq(q.Seq))
		}
		e.touch(c)
		return true
	}
	if i := e.halfTable.lookup(&e.half, hash, &f); i != 0 {
		h := e.half.at(i)
		if tcp.Seq(q.Seq) != h.rec.ISS {
			return false
		}
		switch q.Class {
		case icmp.TooBig:
			e.learnPathMTU(now, &q.Dst, int(min(q.MTU, 1<<30)), q.Len, e.ifaces[h.iface])
		case icmp.Hard: // nobody there: the SYN was forged, or its sender is gone
			tcp.CheckEdge(tcp.SynReceived, tcp.Listen, tcp.OnRST)
			e.traceChange(now, h.rec.ID, tcp.SynReceived, tcp.Listen, tcp.OnRST, trace.WhyPeerReset)
			e.stats.Count[HalfOpenReset]++
			e.dropHalfOpen(i)
		}
		return true
	}
	return false // TIME-WAIT has nothing in flight that matters
}

// reasonOf translates an error for a TCB.
func reasonOf(q *icmp.Quoted) tcp.Reason {
	switch {
	case !q.V6 && q.Type == wire.ICMPv4TimeExceeded, q.V6 && q.Type == wire.ICMPv6TimeExceeded:
		return tcp.ReasonTimeExceeded
	case !q.V6 && q.Type == wire.ICMPv4ParamProblem:
		return tcp.ReasonParameterProblem
	case q.V6 && q.Type == wire.ICMPv6ParamProblem:
		if q.Code == wire.ParamProblemNextHeader {
			return tcp.ReasonProtoUnreachable
		}
		return tcp.ReasonParameterProblem
	case q.V6 && q.Type == wire.ICMPv6Unreachable && q.Code == wire.Unreach6Port,
		!q.V6 && q.Type == wire.ICMPv4Unreachable && q.Code == wire.UnreachPort:
		return tcp.ReasonPortUnreachable
	case !q.V6 && q.Type == wire.ICMPv4Unreachable && q.Code == wire.UnreachProtocol:
		return tcp.ReasonProtoUnreachable
	}
	return tcp.ReasonUnreachable
}

// udpError takes an error to a UDP socket. Only a connected one is told: what
// others sent cannot be matched with what is quoted, and their programs could
// not tell which datagram it is about.
func (e *Engine) udpError(now mono.Time, q *icmp.Quoted) bool {
	u := e.findUDP(q.Src, q.SrcPort)
	if u == nil || q.Proto != wire.ProtoUDP {
		return false
	}
	if u.peer.IsValid() && (toAddr(u.peer.Addr()) != q.Dst || u.peer.Port() != q.DstPort) {
		return false
	}
	if q.Class == icmp.TooBig {
		if r, ok := e.routes.Lookup(q.Dst); ok {
			e.learnPathMTU(now, &q.Dst, int(min(q.MTU, 1<<30)), q.Len, e.ifaces[r.Interface])
		}
		return true
	}
	if u.peer.IsValid() {
		u.err = ErrUnreachable
		if r := reasonOf(q); r == tcp.ReasonPortUnreachable || r == tcp.ReasonProtoUnreachable {
			u.err = ErrRefused
		}
		u.notify()
	}
	return true
}
