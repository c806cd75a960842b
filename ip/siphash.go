package ip

import "math/bits"

// Key keeps choices that strangers must not foresee. Draw it at random, once.
type Key struct{ K0, K1 uint64 }

// sum returns SipHash-2-4 of four words, the last of which has its top byte
// overwritten by the length: callers use its low 56 bits. (J.-P. Aumasson and
// D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.)
func (k Key) sum(a, b, c, d uint64) uint64 {
	v0, v1 := k.K0^0x736f6d6570736575, k.K1^0x646f72616e646f6d
	v2, v3 := k.K0^0x6c7967656e657261, k.K1^0x7465646279746573
	for _, w := range [4]uint64{a, b, c, d<<8>>8 | 31<<56} {
		v3 ^= w
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= w
	}
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (a, b, c, d uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v1
	v0 += v3
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
