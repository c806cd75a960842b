package wire

import "encoding/binary"

// IPv6FragmentLen is the length of a fragment header in bytes. RFC 8200 §4.5.
const IPv6FragmentLen = 8

// IsExt reports whether a next header number is one of the extension headers
// that NextExt can walk over. ESP is not: what follows it is encrypted.
func IsExt(next uint8) bool {
	switch next {
	case ProtoHopByHop, ProtoRouting, ProtoFragment, ProtoDestOptions, ProtoAH,
		ProtoMobility, ProtoHIP, ProtoShim6:
		return true
	}
	return false
}

// NextExt takes one extension header of the kind next off b. hdr is the whole
// header, at least 8 bytes, and proto the number of what follows it in rest,
// which is always shorter than b. If next is not an extension header (IsExt),
// hdr is nil, proto is next and rest is b. It fails with ErrShort if b ends
// within the header. How many headers a packet may have is the caller's bound.
func NextExt(next uint8, b []byte) (proto uint8, hdr, rest []byte, err error) {
	if !IsExt(next) {
		return next, nil, b, nil
	}
	if len(b) < 8 {
		return 0, nil, nil, ErrShort
	}
	var n int
	switch next {
	case ProtoFragment:
		n = IPv6FragmentLen
	case ProtoAH: // counts words of 4 bytes, less 2; RFC 4302 §2.2
		n = max(8, (int(b[1])+2)*4)
	default: // counts words of 8 bytes, less 1
		n = (int(b[1]) + 1) * 8
	}
	if n > len(b) {
		return 0, nil, nil, ErrShort
	}
	return b[0], b[:n:n], b[n:], nil
}

// IPv6Fragment is a fragment header. RFC 8200 §4.5.
type IPv6Fragment []byte

// ParseFragment returns the view of a fragment header, such as NextExt
// returns; ErrShort below 8 bytes.
func ParseFragment(hdr []byte) (IPv6Fragment, error) {
	if len(hdr) < IPv6FragmentLen {
		return nil, ErrShort
	}
	return IPv6Fragment(hdr[:IPv6FragmentLen]), nil
}

// NextHeader returns the number of what the fragmentable part begins with.
func (f IPv6Fragment) NextHeader() uint8 { return f[0] }

// Offset returns where the fragment belongs in the fragmentable part, in
// bytes: a multiple of 8, up to 65528.
func (f IPv6Fragment) Offset() int { return int(binary.BigEndian.Uint16(f[2:4]) &^ 7) }

// More reports whether more fragments follow.
func (f IPv6Fragment) More() bool { return f[3]&1 != 0 }

// ID returns the identification.
func (f IPv6Fragment) ID() uint32 { return binary.BigEndian.Uint32(f[4:8]) }

// PutFragment writes a fragment header into the first 8 bytes of b and returns
// 8. offset is in bytes and a multiple of 8.
func PutFragment(b []byte, next uint8, offset int, more bool, id uint32) int {
	b = b[:IPv6FragmentLen]
	w := uint16(offset) &^ 7
	if more {
		w |= 1
	}
	b[0], b[1] = next, 0
	binary.BigEndian.PutUint16(b[2:4], w)
	binary.BigEndian.PutUint32(b[4:8], id)
	return IPv6FragmentLen
}

// IPv6Routing is a routing header. RFC 8200 §4.4.
type IPv6Routing []byte

// ParseRouting returns the view of a routing header, such as NextExt returns;
// ErrShort below 8 bytes.
func ParseRouting(hdr []byte) (IPv6Routing, error) {
	if len(hdr) < 8 {
		return nil, ErrShort
	}
	return IPv6Routing(hdr), nil
}

// Type returns the routing type; 0 is dead, RFC 5095.
func (r IPv6Routing) Type() uint8 { return r[2] }

// SegmentsLeft returns how many nodes are still to be visited.
func (r IPv6Routing) SegmentsLeft() uint8 { return r[3] }

// Types of options in hop-by-hop and destination options headers. The top two
// bits of a type say what to do when it is unknown. RFC 8200 §4.2.
const (
	TLVPad1        = 0x00
	TLVPadN        = 0x01
	TLVRouterAlert = 0x05 // RFC 2711
	TLVJumbo       = 0xc2 // RFC 2675

	TLVActionMask         = 0xc0
	TLVSkip               = 0x00
	TLVDiscard            = 0x40 // silently
	TLVDiscardICMP        = 0x80 // Parameter Problem code 2, also to multicast
	TLVDiscardICMPUnicast = 0xc0 // Parameter Problem code 2, not to multicast
)

// TLVs returns the options of a hop-by-hop or destination options header that
// NextExt returned.
func TLVs(hdr []byte) []byte { return hdr[2:] }

// NextTLV takes one option off b, which is not empty. data is the option's
// data, empty for Pad1; rest is what follows and always shorter than b. It
// fails with ErrOption if the option reaches beyond b.
func NextTLV(b []byte) (kind uint8, data, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return 0, nil, nil, ErrOption
	case b[0] == TLVPad1:
		return TLVPad1, b[1:1], b[1:], nil
	case len(b) < 2 || 2+int(b[1]) > len(b):
		return b[0], nil, nil, ErrOption
	}
	n := 2 + int(b[1])
	return b[0], b[2:n:n], b[n:], nil
}
