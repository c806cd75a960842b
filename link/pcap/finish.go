package pcap

import (
	"encoding/binary"
	"strconv"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// maxExt bounds the extension headers on the way to the transport header: none
// of ours sends more than a few.
const maxExt = 8

// finish makes the bytes of a recorded packet what they would be on the wire.
//
// A partial checksum is finished from the sum that the stack stored, as a
// device would, so that a wrong one is seen in the file. Super-segments, and
// packets whose checksum was vouched for below us, may carry anything in those
// fields (the kernel leaves them half done on a TUN device): theirs are
// computed anew.
func finish(b []byte, link LinkType, m *pkt.Meta) {
	switch {
	case m.Segs > 1:
		whole(b, link)
	case m.Csum == pkt.CsumPartial:
		start := int(m.CsumStart)
		field := start + int(m.CsumOffset)
		if field+2 <= len(b) {
			store(b[start:], int(m.CsumOffset), wire.Sum(b[start:], 0))
		}
	case m.Csum == pkt.CsumValid:
		recompute(b, link)
	}
}

// store puts the finished sum at field. RFC 768 reserves the value 0 of UDP's,
// which is told by its place.
func store(b []byte, field int, sum uint16) {
	c := wire.Finish(sum)
	if field == udpChecksum {
		c = wire.FinishUDP(sum)
	}
	binary.BigEndian.PutUint16(b[field:], c)
}

// Where the checksum is in its header.
const (
	tcpChecksum = 16
	udpChecksum = 6
)

// whole sets the lengths of a super-segment's headers to what is there. More
// than 64 KiB cannot be said; the length is 0 then, which readers of captures
// know from segmentation offload.
func whole(b []byte, link LinkType) {
	l3 := network(b, link)
	if l3 < 0 {
		return
	}
	ip := b[l3:]
	switch {
	case ip[0]>>4 == 4 && len(ip) >= wire.IPv4MinLen:
		head := int(ip[0]&15) * 4
		if head < wire.IPv4MinLen || head > len(ip) {
			return
		}
		binary.BigEndian.PutUint16(ip[2:], length16(len(ip)))
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], wire.Finish(wire.Sum(ip[:head], 0)))
	case ip[0]>>4 == 6 && len(ip) >= wire.IPv6Len:
		binary.BigEndian.PutUint16(ip[4:], length16(len(ip)-wire.IPv6Len))
	default:
		return
	}
	if l4, t := locate(b, link); l4 > 0 && t.proto == wire.ProtoUDP && len(b)-l4 >= wire.UDPLen {
		binary.BigEndian.PutUint16(b[l4+4:], length16(len(b)-l4))
	}
	recompute(b, link)
}

func length16(n int) uint16 {
	if n > 0xffff {
		return 0
	}
	return uint16(n)
}

// recompute stores the checksum of a whole TCP or UDP packet.
func recompute(b []byte, link LinkType) {
	l4, t := locate(b, link)
	if l4 < 0 {
		return
	}
	seg := b[l4:t.end]
	field := tcpChecksum
	switch t.proto {
	case wire.ProtoTCP:
		if len(seg) < wire.TCPMinLen {
			return
		}
	case wire.ProtoUDP:
		field = udpChecksum
		if len(seg) < wire.UDPLen || t.src.Is4() && binary.BigEndian.Uint16(seg[field:]) == 0 {
			return // no checksum was wanted
		}
	default:
		return
	}
	binary.BigEndian.PutUint16(seg[field:], 0)
	store(seg, field, wire.Sum(seg, wire.PseudoSum(&t.src, &t.dst, t.proto, uint32(len(seg)))))
}

// transport says what the header that locate found belongs to.
type transport struct {
	src, dst wire.Addr
	proto    uint8
	end      int // of the IP packet: behind it is a link's padding
}

// network returns the offset of the IP header, -1 if there is none.
func network(b []byte, link LinkType) int {
	l3 := 0
	if link == Ethernet {
		e, err := wire.ParseEthernet(b)
		if err != nil || e.Type() != wire.EtherTypeIPv4 && e.Type() != wire.EtherTypeIPv6 {
			return -1
		}
		l3 = e.HeaderLen()
	}
	if l3 >= len(b) {
		return -1
	}
	return l3
}

// locate returns the offset of the transport header in b, -1 if there is none
// or the packet is a fragment.
func locate(b []byte, link LinkType) (int, transport) {
	var t transport
	l3 := network(b, link)
	if l3 < 0 {
		return -1, t
	}
	ip := b[l3:]
	if ip[0]>>4 == 4 {
		if len(ip) >= wire.IPv4MinLen && binary.BigEndian.Uint16(ip[2:]) == 0 {
			// The length of a super-segment above 64 KiB.
			p := wire.IPv4(ip)
			if p.HeaderLen() < wire.IPv4MinLen || p.HeaderLen() > len(ip) {
				return -1, t
			}
			return l3 + p.HeaderLen(), transport{p.Src(), p.Dst(), p.Proto(), len(b)}
		}
		p, err := wire.ParseIPv4(ip)
		if err != nil || p.IsFragment() {
			return -1, t
		}
		return l3 + p.HeaderLen(), transport{p.Src(), p.Dst(), p.Proto(), l3 + len(p)}
	}
	p, err := wire.ParseIPv6(ip)
	if err != nil {
		return -1, t
	}
	if p.PayloadLen() == 0 {
		p = wire.IPv6(ip)
	}
	t = transport{p.Src(), p.Dst(), p.NextHeader(), l3 + len(p)}
	rest := p.Payload()
	for range maxExt {
		if !wire.IsExt(t.proto) {
			return t.end - len(rest), t
		}
		if t.proto == wire.ProtoFragment {
			break
		}
		if t.proto, _, rest, err = wire.NextExt(t.proto, rest); err != nil {
			break
		}
	}
	return -1, t
}

// appendGSO appends what a super-segment stands for.
func appendGSO(b []byte, m *pkt.Meta) []byte {
	b = strconv.AppendUint(b, uint64(m.Segs), 10)
	b = append(b, " segments of "...)
	b = strconv.AppendUint(b, uint64(m.GSOSize), 10)
	return append(b, " bytes"...)
}
