package wire

import (
	"encoding/binary"
	"math/bits"
)

// The checksum of RFC 1071: one's complement sums are the same whatever the
// byte order and word width they are taken in, up to a swap of the result. So
// the bytes are added as little-endian words of 64 bits with their carries,
// and only the folded result is turned round.
//
// A sum is 0 only if everything summed was 0; multiples of 65535 give 0xffff.
// Every way of computing it keeps that, hence sums may be compared with ==.

// Sum returns the one's complement sum of b and acc, folded to 16 bits and not
// inverted. An odd last byte counts as if a zero followed; see Join for pieces
// of odd length.
func Sum(b []byte, acc uint16) uint16 {
	s, carries := uint64(bits.ReverseBytes16(acc)), uint64(0)
	for len(b) >= 64 {
		// Each block is a chain of its own from zero, so that the processor
		// can begin the next one before this one's carries are through.
		p := (*[64]byte)(b)
		x, c := bits.Add64(binary.LittleEndian.Uint64(p[0:8]), binary.LittleEndian.Uint64(p[8:16]), 0)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(p[16:24]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(p[24:32]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(p[32:40]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(p[40:48]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(p[48:56]), c)
		x, c = bits.Add64(x, binary.LittleEndian.Uint64(p[56:64]), c)
		carries += c
		s, c = bits.Add64(s, x, 0)
		carries += c
		b = b[64:]
	}
	for len(b) >= 8 {
		var c uint64
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		carries += c
		b = b[8:]
	}
	// Halves of 32 bits leave room for everything that is still to come; there
	// is at most a carry for every 8 bytes of memory.
	s = s&0xffffffff + s>>32 + carries
	if len(b) >= 4 {
		s += uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		s += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		s += uint64(b[0])
	}
	return bits.ReverseBytes16(fold(s))
}

// copyBlock is how much SumCopy copies before it sums: a multiple of two, and
// small enough for source and destination to stay in the first-level cache.
const copyBlock = 4096

// SumCopy copies src to dst and returns what Sum(src, acc) would, fetching the
// bytes from memory once. dst must be at least as long as src and must not
// overlap it, unless both begin at the same byte. Copying and summing take
// turns, because the runtime's copy moves more at a time than a loop over
// words can.
func SumCopy(dst, src []byte, acc uint16) uint16 {
	dst = dst[:len(src)]
	for len(src) > copyBlock {
		copy(dst[:copyBlock], src[:copyBlock])
		acc = Sum(src[:copyBlock], acc)
		dst, src = dst[copyBlock:], src[copyBlock:]
	}
	copy(dst, src)
	return Sum(src, acc)
}

// fold adds the 16-bit words of s with end-around carry.
func fold(s uint64) uint16 {
	s = uint64(uint32(s)) + s>>32
	s = uint64(uint32(s)) + s>>32
	s = s&0xffff + s>>16
	s = s&0xffff + s>>16
	return uint16(s)
}

// Join returns the sum of a piece of n bytes with sum a, followed by a piece
// with sum b. After an odd number of bytes the second piece stands on the
// other half of each word, so its sum is swapped.
func Join(a, b uint16, n int) uint16 {
	if n&1 != 0 {
		b = bits.ReverseBytes16(b)
	}
	s := uint32(a) + uint32(b)
	return uint16(s + s>>16)
}

// PseudoSum returns the sum of the pseudo-header for n bytes of an upper layer
// protocol between two addresses: IPv4's (RFC 9293 §3.1) if both are IPv4,
// else IPv6's (RFC 8200 §8.1). n counts the upper layer's header too.
func PseudoSum(src, dst *Addr, proto uint8, n uint32) uint16 {
	s := uint64(proto) + uint64(n)
	s += uint64(binary.BigEndian.Uint32(src[12:16])) + uint64(binary.BigEndian.Uint32(dst[12:16]))
	if src.Is4() && dst.Is4() {
		return fold(s)
	}
	for i := 0; i < 12; i += 4 {
		s += uint64(binary.BigEndian.Uint32(src[i:])) + uint64(binary.BigEndian.Uint32(dst[i:]))
	}
	return fold(s)
}

// Finish returns the value to store for a sum: its complement.
func Finish(sum uint16) uint16 { return ^sum }

// FinishUDP returns the value to store in a UDP header: the complement, but
// all ones instead of 0, which would mean "no checksum". RFC 768.
func FinishUDP(sum uint16) uint16 {
	if sum == 0xffff {
		return 0xffff
	}
	return ^sum
}

// Update returns the stored checksum after one 16-bit field it covers changed
// from old to new: RFC 1624 §3, equation 3. For UDP the caller maps 0 to all
// ones.
func Update(check, old, new uint16) uint16 {
	return ^fold(uint64(^check) + uint64(^old) + uint64(new))
}

// Update32 is Update for a field of 32 bits on an even offset.
func Update32(check uint16, old, new uint32) uint16 {
	return ^fold(uint64(^check) + uint64(^old) + uint64(new))
}
