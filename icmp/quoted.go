package icmp

import (
	"encoding/binary"

	"github.com/handfast/handfast/wire"
)

// Class says what an ICMP error means to the connection it is about.
type Class uint8

// The classes. RFC 1122 §4.2.3.9, RFC 9293 §3.9.2.2.
const (
	// Ignored is nothing to act on: Source Quench (RFC 6633, RFC 9293 MUST-55)
	// and redirects, which this host does not follow.
	Ignored Class = iota
	// Soft errors may pass: they are reported and never abort a connection
	// (RFC 9293 MUST-56).
	Soft
	// Hard errors end the attempt to connect. An established connection takes
	// them as soft (RFC 5927 §5.2): the deviation from SHLD-26 is package tcp's.
	Hard
	// TooBig says that the packet did not fit: MTU has the next hop's.
	TooBig
)

// String returns the class in a word.
func (c Class) String() string {
	switch c {
	case Ignored:
		return "ignored"
	case Soft:
		return "soft"
	case Hard:
		return "hard"
	case TooBig:
		return "too big"
	}
	return "unknown"
}

// Quoted is an ICMP error that came in and the packet of ours that it quotes.
// Nobody vouches for any of it.
type Quoted struct {
	Src, Dst wire.Addr // of the quoted packet: Src should be ours
	MTU      uint32    // bytes; only for TooBig; 0 from a router that did not say
	Pointer  uint32    // only for a parameter problem
	Seq      uint32    // quoted SEQ, if HasSeq
	ID       uint16    // identifier of a quoted echo, if HasID
	SrcPort  uint16    // valid if HasPorts, as is DstPort
	DstPort  uint16
	Len      int // of the quoted packet in bytes, by its own length field
	Type     uint8
	Code     uint8
	Proto    uint8 // of the quoted packet's upper layer
	Class    Class
	V6       bool
	HasPorts bool // TCP or UDP, and the ports were quoted
	HasSeq   bool // TCP, and SEQ was quoted
	HasID    bool // ICMP echo request
}

// maxQuotedHeaders is how many extension headers of a quoted IPv6 packet are
// skipped. We send one at most.
const maxQuotedHeaders = 8

// ParseQuoted reads an ICMP error, from its type on, whose checksum was right;
// v6 is the family. It fails with ErrShort if the message or the quoted IP
// header is cut, with ErrType if the message is no error, and with ErrVersion or
// ErrHeader if what it quotes is no packet of the family. Unknown errors of IPv6
// are Soft, those of IPv4 do not exist: RFC 4443 §2.4 a, RFC 1122 §3.2.2.
func ParseQuoted(v6 bool, msg []byte, q *Quoted) error {
	*q = Quoted{V6: v6}
	if len(msg) < wire.ICMPLen {
		return wire.ErrShort
	}
	q.Type, q.Code = msg[0], msg[1]
	if v6 {
		m := wire.ICMPv6(msg)
		if !m.IsError() {
			return wire.ErrType
		}
		q.classify6(m)
		return q.packet6(m.Quoted())
	}
	m := wire.ICMPv4(msg)
	if !m.IsError() {
		return wire.ErrType
	}
	q.classify4(m)
	return q.packet4(m.Quoted())
}

// classify4 sorts the errors of IPv4. Codes of unreachable that RFC 1122 does
// not call hard (it calls 2, 3 and 4 so) are soft, those of later documents too.
func (q *Quoted) classify4(m wire.ICMPv4) {
	switch q.Type {
	case wire.ICMPv4Unreachable:
		q.Class = Soft
		switch q.Code {
		case wire.UnreachProtocol, wire.UnreachPort:
			q.Class = Hard
		case wire.UnreachFragNeeded: // hard before RFC 1191 gave it a meaning
			q.Class, q.MTU = TooBig, uint32(m.MTU())
		}
	case wire.ICMPv4TimeExceeded:
		q.Class = Soft
	case wire.ICMPv4ParamProblem:
		q.Class, q.Pointer = Soft, uint32(m.Pointer())
	}
}

// classify6 sorts the errors of IPv6.
func (q *Quoted) classify6(m wire.ICMPv6) {
	q.Class = Soft
	switch q.Type {
	case wire.ICMPv6Unreachable:
		if q.Code == wire.Unreach6Prohibited || q.Code == wire.Unreach6Port {
			q.Class = Hard
		}
	case wire.ICMPv6PacketTooBig:
		q.Class, q.MTU = TooBig, m.MTU()
	case wire.ICMPv6ParamProblem:
		q.Pointer = m.Pointer()
	}
}

// packet4 reads the quoted IPv4 packet. Its lengths are those of the whole
// packet, of which usually only the start is here; its TTL and checksum were
// changed on the way, and some routers change its length too.
func (q *Quoted) packet4(b []byte) error {
	if len(b) < wire.IPv4MinLen {
		return wire.ErrShort
	}
	if b[0]>>4 != 4 {
		return wire.ErrVersion
	}
	p := wire.IPv4(b)
	hlen := p.HeaderLen()
	if hlen < wire.IPv4MinLen {
		return wire.ErrHeader
	}
	if hlen > len(b) {
		return wire.ErrShort
	}
	q.Src, q.Dst, q.Proto, q.Len = p.Src(), p.Dst(), p.Proto(), int(p.TotalLen())
	if p.FragOffset() == 0 {
		q.transport(b[hlen:])
	}
	return nil
}

// packet6 reads the quoted IPv6 packet, past its extension headers.
func (q *Quoted) packet6(b []byte) error {
	if len(b) < wire.IPv6Len {
		return wire.ErrShort
	}
	if b[0]>>4 != 6 {
		return wire.ErrVersion
	}
	p := wire.IPv6(b)
	q.Src, q.Dst, q.Len = p.Src(), p.Dst(), wire.IPv6Len+int(p.PayloadLen())
	if q.Src.Is4() || q.Dst.Is4() { // would be taken for a flow of IPv4
		return wire.ErrAddr
	}
	next, rest := p.NextHeader(), p.Payload()
	q.Proto = next
	for range maxQuotedHeaders {
		proto, hdr, r, err := wire.NextExt(next, rest)
		if err != nil {
			return nil // cut within: the addresses are all there is
		}
		if hdr == nil {
			q.transport(rest)
			return nil
		}
		q.Proto = proto
		if next == wire.ProtoFragment && wire.IPv6Fragment(hdr).Offset() != 0 {
			return nil
		}
		next, rest = proto, r
	}
	return nil
}

// transport reads what is quoted of the upper layer: of IPv4 often no more than
// 8 bytes, which hold the ports and TCP's SEQ.
func (q *Quoted) transport(b []byte) {
	switch q.Proto {
	case wire.ProtoTCP, wire.ProtoUDP:
		if len(b) < 4 {
			return
		}
		q.SrcPort, q.DstPort = binary.BigEndian.Uint16(b[0:2]), binary.BigEndian.Uint16(b[2:4])
		q.HasPorts = true
		if q.Proto == wire.ProtoTCP && len(b) >= 8 {
			q.Seq, q.HasSeq = binary.BigEndian.Uint32(b[4:8]), true
		}
	case wire.ProtoICMP, wire.ProtoICMPv6:
		request := byte(wire.ICMPv4Echo)
		if q.V6 {
			request = wire.ICMPv6Echo
		}
		if q.V6 == (q.Proto == wire.ProtoICMPv6) && len(b) >= 6 && b[0] == request {
			q.ID, q.HasID = binary.BigEndian.Uint16(b[4:6]), true
		}
	}
}
