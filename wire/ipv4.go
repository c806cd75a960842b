package wire

import "encoding/binary"

// Lengths of the IPv4 header in bytes. RFC 791 §3.1.
const (
	IPv4MinLen    = 20
	IPv4MaxLen    = 60
	IPv4MaxOptLen = IPv4MaxLen - IPv4MinLen
)

// The flags of IPv4, as IPv4.Flags returns them.
const (
	IPv4MF = 1 // more fragments
	IPv4DF = 2 // don't fragment
)

// ECN codepoints: the low two bits of TOS and traffic class. RFC 3168 §5.
const (
	ECNMask = 3
	NotECT  = 0
	ECT1    = 1
	ECT0    = 2
	CE      = 3
)

// Kinds of IPv4 options. RFC 791 §3.1, RFC 2113.
const (
	IPv4OptEOL         = 0
	IPv4OptNOP         = 1
	IPv4OptRecordRoute = 7
	IPv4OptTimestamp   = 68
	IPv4OptLSRR        = 131
	IPv4OptSSRR        = 137
	IPv4OptRouterAlert = 148
)

// IPv4 is a datagram whose lengths ParseIPv4 has checked.
type IPv4 []byte

// ParseIPv4 returns the view of a datagram, cut to its total length: bytes
// beyond are padding of the link. It fails with ErrShort below 20 bytes, with
// ErrVersion, with ErrHeader if the header length is below 20 or beyond b, and
// with ErrLength if the total length is below the header's or beyond b. The
// checksum is not looked at: see ChecksumOK. RFC 1122 §3.2.1.
func ParseIPv4(b []byte) (IPv4, error) {
	if len(b) < IPv4MinLen {
		return nil, ErrShort
	}
	if b[0]>>4 != 4 {
		return nil, ErrVersion
	}
	hlen := int(b[0]&15) * 4
	if hlen < IPv4MinLen || hlen > len(b) {
		return nil, ErrHeader
	}
	n := int(binary.BigEndian.Uint16(b[2:4]))
	if n < hlen || n > len(b) {
		return nil, ErrLength
	}
	return IPv4(b[:n:n]), nil
}

// HeaderLen returns the length of header and options in bytes, 20 to 60.
func (p IPv4) HeaderLen() int { return int(p[0]&15) * 4 }

// TOS returns the byte of Diffserv codepoint and ECN field.
func (p IPv4) TOS() uint8 { return p[1] }

// TotalLen returns the length field: header and payload, in bytes.
func (p IPv4) TotalLen() uint16 { return binary.BigEndian.Uint16(p[2:4]) }

// ID returns the identification of a fragmented datagram.
func (p IPv4) ID() uint16 { return binary.BigEndian.Uint16(p[4:6]) }

// Flags returns the bits IPv4DF and IPv4MF.
func (p IPv4) Flags() uint8 { return p[6] >> 5 & 3 }

// DF reports whether the datagram must not be fragmented.
func (p IPv4) DF() bool { return p[6]&0x40 != 0 }

// MF reports whether more fragments follow.
func (p IPv4) MF() bool { return p[6]&0x20 != 0 }

// FragOffset returns where the payload belongs in the whole datagram's, in
// bytes: a multiple of 8, up to 65528.
func (p IPv4) FragOffset() int { return int(binary.BigEndian.Uint16(p[6:8])&0x1fff) * 8 }

// IsFragment reports whether this is not a whole datagram.
func (p IPv4) IsFragment() bool { return binary.BigEndian.Uint16(p[6:8])&0x3fff != 0 }

// TTL returns the time to live, in hops.
func (p IPv4) TTL() uint8 { return p[8] }

// Proto returns the protocol of the payload.
func (p IPv4) Proto() uint8 { return p[9] }

// Checksum returns the stored header checksum.
func (p IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(p[10:12]) }

// Src returns the source address.
func (p IPv4) Src() Addr { return AddrFrom4([4]byte(p[12:16])) }

// Dst returns the destination address.
func (p IPv4) Dst() Addr { return AddrFrom4([4]byte(p[16:20])) }

// Options returns the bytes of the options; walk them with NextOption.
func (p IPv4) Options() []byte { return p[IPv4MinLen:p.HeaderLen()] }

// Payload returns the bytes after the header.
func (p IPv4) Payload() []byte { return p[p.HeaderLen():] }

// ChecksumOK reports whether the header checksum is right.
func (p IPv4) ChecksumOK() bool { return Sum(p[:p.HeaderLen()], 0) == 0xffff }

// update replaces the 16-bit word at offset i and corrects the checksum.
func (p IPv4) update(i int, word uint16) {
	old := binary.BigEndian.Uint16(p[i:])
	binary.BigEndian.PutUint16(p[i:], word)
	binary.BigEndian.PutUint16(p[10:12], Update(p.Checksum(), old, word))
}

// SetTTL stores the time to live and updates the checksum. RFC 1624.
func (p IPv4) SetTTL(ttl uint8) { p.update(8, uint16(ttl)<<8|uint16(p[9])) }

// SetTOS stores the Diffserv byte and updates the checksum. RFC 1624.
func (p IPv4) SetTOS(tos uint8) { p.update(0, uint16(p[0])<<8|uint16(tos)) }

// SetTotalLen stores the length field, in bytes, and updates the checksum. The
// view keeps its own length. RFC 1624.
func (p IPv4) SetTotalLen(n uint16) { p.update(2, n) }

// SetID stores the identification and updates the checksum. RFC 1624.
func (p IPv4) SetID(id uint16) { p.update(4, id) }

// IPv4Fields are what PutIPv4 makes a header of.
type IPv4Fields struct {
	TotalLen   uint16 // bytes, header with options included
	ID         uint16
	FragOffset uint16 // bytes, a multiple of 8
	TOS        uint8
	Flags      uint8 // IPv4DF, IPv4MF
	TTL        uint8
	Proto      uint8
	Src, Dst   Addr   // IPv4
	Options    []byte // at most 40 bytes, copied; padded with zeros to a multiple of four
}

// PutIPv4 writes a header with options and checksum into b and returns its
// length: 20 bytes and the padded options.
func PutIPv4(b []byte, h *IPv4Fields) int {
	n := align4(IPv4MinLen + len(h.Options))
	b = b[:n]
	b[0] = 4<<4 | byte(n/4)
	b[1] = h.TOS
	binary.BigEndian.PutUint16(b[2:4], h.TotalLen)
	binary.BigEndian.PutUint16(b[4:6], h.ID)
	binary.BigEndian.PutUint16(b[6:8], uint16(h.Flags&3)<<13|h.FragOffset/8)
	b[8], b[9] = h.TTL, h.Proto
	b[10], b[11] = 0, 0
	copy(b[12:16], h.Src[12:16])
	copy(b[16:20], h.Dst[12:16])
	clear(b[IPv4MinLen+copy(b[IPv4MinLen:], h.Options):])
	binary.BigEndian.PutUint16(b[10:12], Finish(Sum(b, 0)))
	return n
}

// NextOption takes one option off b, which is not empty. opt is the whole
// option with kind and length; rest is what follows and always shorter than b,
// so a walk over a header ends within 40 steps. After an end of list rest is
// nil. It fails with ErrOption if the length is below 2 or beyond b.
func NextOption(b []byte) (kind uint8, opt, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return 0, nil, nil, ErrOption
	case b[0] == IPv4OptEOL:
		return IPv4OptEOL, b[:1], nil, nil
	case b[0] == IPv4OptNOP:
		return IPv4OptNOP, b[:1], b[1:], nil
	case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b):
		return b[0], nil, nil, ErrOption
	}
	n := int(b[1])
	return b[0], b[:n], b[n:], nil
}
