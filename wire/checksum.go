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
	s, t := uint64(bits.ReverseBytes16(acc)), uint64(0)
	var c, d uint64
	for len(b) >= 64 {
		// Two chains, so that one addition need not wait for the other.
		p := (*[64]byte)(b)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[0:8]), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[8:16]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[16:24]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(p[24:32]), c)
		s, c = bits.Add64(s, 0, c)
		s += c
		t, d = bits.Add64(t, binary.LittleEndian.Uint64(p[32:40]), 0)
		t, d = bits.Add64(t, binary.LittleEndian.Uint64(p[40:48]), d)
		t, d = bits.Add64(t, binary.LittleEndian.Uint64(p[48:56]), d)
		t, d = bits.Add64(t, binary.LittleEndian.Uint64(p[56:64]), d)
		t, d = bits.Add64(t, 0, d)
		t += d
		b = b[64:]
	}
	s, c = bits.Add64(s, t, 0)
	s, c = bits.Add64(s, 0, c)
	s += c
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s += c // cannot wrap again: a carry leaves at most 2^64-2
		b = b[8:]
	}
	return foldTail(s, b)
}

// SumCopy copies src to dst and returns what Sum(src, acc) would, in the same
// pass over the bytes. dst must be at least as long as src and must not
// overlap it, unless both begin at the same byte.
func SumCopy(dst, src []byte, acc uint16) uint16 {
	s, t := uint64(bits.ReverseBytes16(acc)), uint64(0)
	var c, d uint64
	dst = dst[:len(src)]
	for len(src) >= 32 && len(dst) >= 32 {
		p, q := (*[32]byte)(src), (*[32]byte)(dst)
		w0, w1 := binary.LittleEndian.Uint64(p[0:8]), binary.LittleEndian.Uint64(p[8:16])
		w2, w3 := binary.LittleEndian.Uint64(p[16:24]), binary.LittleEndian.Uint64(p[24:32])
		binary.LittleEndian.PutUint64(q[0:8], w0)
		binary.LittleEndian.PutUint64(q[8:16], w1)
		binary.LittleEndian.PutUint64(q[16:24], w2)
		binary.LittleEndian.PutUint64(q[24:32], w3)
		s, c = bits.Add64(s, w0, 0)
		s, c = bits.Add64(s, w1, c)
		s, c = bits.Add64(s, 0, c)
		s += c
		t, d = bits.Add64(t, w2, 0)
		t, d = bits.Add64(t, w3, d)
		t, d = bits.Add64(t, 0, d)
		t += d
		src, dst = src[32:], dst[32:]
	}
	s, c = bits.Add64(s, t, 0)
	s, c = bits.Add64(s, 0, c)
	s += c
	for len(src) >= 8 {
		w := binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(dst, w)
		s, c = bits.Add64(s, w, 0)
		s += c
		src, dst = src[8:], dst[8:]
	}
	copy(dst, src)
	return foldTail(s, src)
}

// foldTail adds the last bytes, fewer than eight, to a little-endian sum,
// folds it to 16 bits and turns it into network order.
func foldTail(s uint64, b []byte) uint16 {
	s = uint64(uint32(s)) + s>>32 // 33 bits at most: room for what follows
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
