package engine

import (
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// ipFields are what a connection decides about its IP headers, but for ECN. The zero value
// is right for answers from no connection.
type ipFields struct {
	tos, ttl    uint8
	mayFragment bool // DF is not set
}

// sendSegment queues a segment that no connection's ring holds.
func (e *Engine) sendSegment(f *Flow, seg *tcp.Segment, iface *Interface) {
	if p := e.tcpPacket(f, seg, iface, ipFields{}); p != nil {
		e.control.Push(p)
	}
}

// tcpPacket makes a packet of a segment. The segment's data moves into it. A
// segment that no IP header can say the length of is dropped: nil.
func (e *Engine) tcpPacket(f *Flow, seg *tcp.Segment, iface *Interface, x ipFields) *pkt.Packet {
	p := e.pool.Packet()
	hlen := wire.TCPMinLen + seg.Opts.Len()
	h := p.Prepend(hlen)
	wire.PutTCP(h, f.LPort, f.RPort, uint32(seg.SEQ), uint32(seg.ACK), seg.Flags, seg.WND, seg.UP)
	if hlen > wire.TCPMinLen {
		seg.Opts.Put(h[wire.TCPMinLen:])
	}
	p.Body = seg.Data.Move()
	n := hlen + p.Body.Len()
	sum := wire.PseudoSum(&f.Local, &f.Remote, wire.ProtoTCP, uint32(n))
	if seg.MSSCut > 0 {
		p.GSOSize = seg.MSSCut
		p.Segs = uint16((p.Body.Len() + int(seg.MSSCut) - 1) / int(seg.MSSCut))
		p.GSO = pkt.GSOTCPv4
		if !f.is4() {
			p.GSO = pkt.GSOTCPv6
		}
	}
	if iface.TxChecksum || p.GSO != pkt.GSONone {
		wire.TCP(h).SetChecksum(sum)
		p.Csum, p.CsumStart, p.CsumOffset = pkt.CsumPartial, 0, 16
	} else {
		sum = wire.Sum(h, sum)
		sum = wire.Sum(p.Body[0].B, sum)
		sum = wire.Join(sum, wire.Sum(p.Body[1].B, 0), len(p.Body[0].B))
		wire.TCP(h).SetChecksum(wire.Finish(sum))
	}
	hdr := ip.Header{Src: f.Local, Dst: f.Remote, Proto: wire.ProtoTCP, TTL: e.ttl(x.ttl, &f.Remote), TOS: x.tos | seg.ECN, DF: !x.mayFragment}
	if x.mayFragment && f.is4() {
		hdr.ID = e.idents.Next4(&f.Local, &f.Remote, wire.ProtoTCP)
	}
	if r := ip.PutHeader(p, &hdr); r != ip.ReasonNone {
		e.stats.IP[r]++
		p.Release()
		return nil
	}
	p.Iface = uint16(iface.ID)
	return p
}
