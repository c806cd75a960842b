package ip

import (
	"math"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Header is what PutHeader makes an IP header of. Src and Dst are of one family.
type Header struct {
	Src, Dst  wire.Addr
	FlowLabel uint32 // IPv6, 20 bits
	ID        uint16 // IPv4 without DF: from IDs.Next4. Ignored with DF: a datagram that cannot be cut needs none (RFC 6864 §4.1)
	Proto     uint8
	TTL       uint8 // or hop limit; 0 means DefaultTTL: it is never sent (RFC 1122 §3.2.1.7)
	TOS       uint8 // or traffic class
	DF        bool  // IPv4: not to be fragmented on the way. TCP always sets it (RFC 1191 §3)
}

// PutHeader writes the IP header in front of p, whose Head starts with the
// transport header and has head-room. Lengths are those of p as it is, up to
// 65535, so that a super-segment gets one too. It sets p.L3 and p.L4, and moves
// p.CsumStart along if the checksum is partial; who prepends a link header
// moves all three again. The only failure is ReasonTooLong; p stays the
// caller's.
func PutHeader(p *pkt.Packet, h *Header) Reason {
	n := p.Len()
	ttl := h.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	hlen := wire.IPv4MinLen
	if !h.Dst.Is4() {
		hlen = wire.IPv6Len
		if n > math.MaxUint16 {
			return ReasonTooLong
		}
		wire.PutIPv6(p.Prepend(hlen), &wire.IPv6Fields{
			FlowLabel: h.FlowLabel, PayloadLen: uint16(n), TrafficClass: h.TOS,
			NextHeader: h.Proto, HopLimit: ttl, Src: h.Src, Dst: h.Dst,
		})
	} else {
		if n+hlen > math.MaxUint16 {
			return ReasonTooLong
		}
		f := wire.IPv4Fields{
			TotalLen: uint16(n + hlen), ID: h.ID, TOS: h.TOS,
			TTL: ttl, Proto: h.Proto, Src: h.Src, Dst: h.Dst,
		}
		if h.DF {
			f.Flags, f.ID = wire.IPv4DF, 0
		}
		wire.PutIPv4(p.Prepend(hlen), &f)
	}
	p.L3, p.L4 = 0, uint16(hlen)
	if p.Csum == pkt.CsumPartial {
		p.CsumStart += uint16(hlen)
	}
	return ReasonNone
}
