package wire

import "encoding/binary"

// IPv6Len is the length of the IPv6 header in bytes. RFC 8200 §3.
const IPv6Len = 40

// IPv6MinMTU is what every link carries, in bytes. RFC 8200 §5.
const IPv6MinMTU = 1280

// IPv6 is a packet whose lengths ParseIPv6 has checked.
type IPv6 []byte

// ParseIPv6 returns the view of a packet, cut to its payload length: bytes
// beyond are padding of the link. It fails with ErrShort below 40 bytes, with
// ErrVersion, with ErrLength if the payload length is beyond b, and with
// ErrAddr if source or destination is v4-mapped: such packets have no business
// on a wire, and Addr would take them for IPv4. A jumbogram (RFC 2675) has a
// payload length of 0 and comes out with an empty payload.
func ParseIPv6(b []byte) (IPv6, error) {
	if len(b) < IPv6Len {
		return nil, ErrShort
	}
	if b[0]>>4 != 6 {
		return nil, ErrVersion
	}
	n := IPv6Len + int(binary.BigEndian.Uint16(b[4:6]))
	if n > len(b) {
		return nil, ErrLength
	}
	p := IPv6(b[:n:n])
	if p.Src().Is4() || p.Dst().Is4() {
		return nil, ErrAddr
	}
	return p, nil
}

// TrafficClass returns the byte of Diffserv codepoint and ECN field.
func (p IPv6) TrafficClass() uint8 { return p[0]<<4 | p[1]>>4 }

// FlowLabel returns the flow label of 20 bits.
func (p IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(p[0:4]) & 0xfffff }

// PayloadLen returns the length field: all after the fixed header, in bytes.
func (p IPv6) PayloadLen() uint16 { return binary.BigEndian.Uint16(p[4:6]) }

// NextHeader returns the number of the first extension header, or of the
// upper layer protocol if there is none.
func (p IPv6) NextHeader() uint8 { return p[6] }

// HopLimit returns the hop limit.
func (p IPv6) HopLimit() uint8 { return p[7] }

// Src returns the source address.
func (p IPv6) Src() Addr { return Addr(p[8:24]) }

// Dst returns the destination address.
func (p IPv6) Dst() Addr { return Addr(p[24:40]) }

// Payload returns the bytes after the fixed header, extension headers
// included.
func (p IPv6) Payload() []byte { return p[IPv6Len:] }

// SetHopLimit stores the hop limit.
func (p IPv6) SetHopLimit(n uint8) { p[7] = n }

// SetTrafficClass stores the Diffserv byte.
func (p IPv6) SetTrafficClass(tc uint8) {
	p[0] = p[0]&0xf0 | tc>>4
	p[1] = p[1]&0x0f | tc<<4
}

// SetPayloadLen stores the length field, in bytes. The view keeps its own
// length.
func (p IPv6) SetPayloadLen(n uint16) { binary.BigEndian.PutUint16(p[4:6], n) }

// IPv6Fields are what PutIPv6 makes a header of.
type IPv6Fields struct {
	FlowLabel    uint32 // 20 bits
	PayloadLen   uint16 // bytes
	TrafficClass uint8
	NextHeader   uint8
	HopLimit     uint8
	Src, Dst     Addr
}

// PutIPv6 writes the fixed header into the first 40 bytes of b and returns 40.
func PutIPv6(b []byte, h *IPv6Fields) int {
	b = b[:IPv6Len]
	binary.BigEndian.PutUint32(b[0:4], 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(b[4:6], h.PayloadLen)
	b[6], b[7] = h.NextHeader, h.HopLimit
	copy(b[8:24], h.Src[:])
	copy(b[24:40], h.Dst[:])
	return IPv6Len
}
