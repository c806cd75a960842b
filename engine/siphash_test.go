package engine

import (
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/handfast/handfast/wire"
)

// sipVectors are the published 64-bit results of SipHash-2-4 for the key
// 00 01 .. 0f and the inputs "", 00, 00 01, .. 00 01 .. 3e.
var sipVectors = [64]uint64{
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
	0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
	0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
	0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
	0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
	0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
}

// sipPlain is SipHash-c-d of any bytes, written from the paper's description
// with no regard for speed: what the functions under test are compared with.
func sipPlain(c, d int, key [16]byte, in []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	v := [4]uint64{k0, k1, k0, k1}
	for i, b := range []byte("somepseudorandomlygeneratedbytes") {
		v[i/8] ^= uint64(b) << (56 - 8*(i%8))
	}
	rounds := func(n int) {
		for range n {
			v[0] += v[1]
			v[2] += v[3]
			v[1] = bits.RotateLeft64(v[1], 13)
			v[3] = bits.RotateLeft64(v[3], 16)
			v[1] ^= v[0]
			v[3] ^= v[2]
			v[0] = bits.RotateLeft64(v[0], 32)
			v[2] += v[1]
			v[0] += v[3]
			v[1] = bits.RotateLeft64(v[1], 17)
			v[3] = bits.RotateLeft64(v[3], 21)
			v[1] ^= v[2]
			v[3] ^= v[0]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	padded := append([]byte(nil), in...)
	for len(padded)%8 != 7 {
		padded = append(padded, 0)
	}
	padded = append(padded, byte(len(in)))
	for ; len(padded) > 0; padded = padded[8:] {
		m := binary.LittleEndian.Uint64(padded)
		v[3] ^= m
		rounds(c)
		v[0] ^= m
	}
	v[2] ^= 0xff
	rounds(d)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// countingBytes returns 00 01 02 ...
func countingBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func countingKey() [16]byte { return [16]byte(countingBytes(16)) }

// flowOfBytes makes the flow whose hash input is b: 12 bytes for IPv4, 36
// otherwise.
func flowOfBytes(b []byte) Flow {
	var f Flow
	n := (len(b) - 4) / 2
	if n == 4 {
		f.Local, f.Remote = wire.AddrFrom4([4]byte(b)), wire.AddrFrom4([4]byte(b[4:]))
	} else {
		f.Local, f.Remote = wire.Addr(b[:16]), wire.Addr(b[16:32])
	}
	f.LPort = binary.LittleEndian.Uint16(b[2*n:])
	f.RPort = binary.LittleEndian.Uint16(b[2*n+2:])
	return f
}

// The plain implementation that other tests compare with gives the published
// results for every length.
func TestSipPlainVectors(t *testing.T) {
	for n, want := range sipVectors {
		if got := sipPlain(2, 4, countingKey(), countingBytes(n)); got != want {
			t.Errorf("%d bytes: %#016x, want %#016x", n, got, want)
		}
	}
}

// Each sum of this package is the published result for input of its length.
func TestSipVectors(t *testing.T) {
	k := newSipKey(countingKey())
	f4, f6 := flowOfBytes(countingBytes(12)), flowOfBytes(countingBytes(36))
	words := countingBytes(16)
	for _, c := range []struct {
		name string
		n    int
		got  uint64
	}{
		{"no word", 0, k.start().word2(sipLength(0, 0)).final4()},
		{"one word", 8, k.start().word2(binary.LittleEndian.Uint64(words)).word2(sipLength(8, 0)).final4()},
		{"two words", 16, k.sum24(binary.LittleEndian.Uint64(words), binary.LittleEndian.Uint64(words[8:]))},
		{"flow of IPv4", 12, k.flow24(&f4)},
		{"flow of IPv6", 36, k.flow24(&f6)},
	} {
		if want := sipVectors[c.n]; c.got != want {
			t.Errorf("%s: %#016x, want %#016x", c.name, c.got, want)
		}
	}
}

// SipHash-1-3 and 2-4 of flows agree with the plain implementation on the bytes
// that they say they take in.
func TestSipFlowsAgree(t *testing.T) {
	rnd := newTestRand(1)
	for i := range 2000 {
		key := [16]byte(rnd.bytes(16))
		k := newSipKey(key)
		in := rnd.bytes(12 + i%2*24)
		f := flowOfBytes(in)
		if got, want := k.flow13(&f), uint32(sipPlain(1, 3, key, in)); got != want {
			t.Fatalf("1-3, key %x, flow %v: %#x, want %#x", key, f, got, want)
		}
		if got, want := k.flow24(&f), sipPlain(2, 4, key, in); got != want {
			t.Fatalf("2-4, key %x, flow %v: %#x, want %#x", key, f, got, want)
		}
	}
}

// A flow with one IPv4 and one IPv6 end (no packet has them, a program may ask)
// is hashed whole, so that its IPv6 end counts.
func TestSipMixedFamilies(t *testing.T) {
	k := newSipKey(countingKey())
	a := Flow{Local: wire.AddrFrom4([4]byte{10, 0, 0, 1}), Remote: wire.Addr{0: 0x20, 15: 1}, LPort: 1, RPort: 2}
	b := a
	b.Remote[1] = 1
	if k.flow13(&a) == k.flow13(&b) || k.flow24(&a) == k.flow24(&b) {
		t.Errorf("%v and %v have the same hash", a, b)
	}
}

// Derived keys differ from each other and from their source, in about half of
// the bits.
func TestSipDeriveSeparates(t *testing.T) {
	k := newSipKey(countingKey())
	keys := []sipKey{k}
	for d := domainISN; d <= domainTable; d++ {
		keys = append(keys, k.derive(d))
	}
	for i, a := range keys {
		for j, b := range keys[:i] {
			n := bits.OnesCount64(a.k0^b.k0) + bits.OnesCount64(a.k1^b.k1)
			if n < 36 || n > 92 { // 64 ± 5 sigma
				t.Errorf("keys %d and %d differ in %d of 128 bits", i, j, n)
			}
		}
	}
}

func TestFlowString(t *testing.T) {
	v4 := Flow{wire.AddrFrom4([4]byte{10, 9, 0, 1}), wire.AddrFrom4([4]byte{10, 9, 0, 2}), 80, 40000}
	v6 := Flow{wire.Addr{15: 1}, wire.Addr{0: 0xfe, 1: 0x80, 15: 2}, 443, 5}
	for _, c := range []struct {
		f    Flow
		want string
	}{
		{v4, "10.9.0.1:80>10.9.0.2:40000"},
		{v4.Reversed(), "10.9.0.2:40000>10.9.0.1:80"},
		{v6, "[::1]:443>[fe80::2]:5"},
	} {
		if got := c.f.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestSipAllocs(t *testing.T) {
	skipUnderRace(t)
	k := newSipKey(countingKey())
	f := flowOfBytes(countingBytes(36))
	sum := uint64(0)
	if n := testing.AllocsPerRun(100, func() { sum += uint64(k.flow13(&f)) + k.flow24(&f) }); n != 0 {
		t.Errorf("%v allocations per pair of sums, want 0", n)
	}
}

func BenchmarkFlowHash(b *testing.B) {
	k := newSipKey(countingKey())
	for _, c := range []struct {
		name string
		f    Flow
	}{{"v4", flowOfBytes(countingBytes(12))}, {"v6", flowOfBytes(countingBytes(36))}} {
		b.Run("13/"+c.name, func(b *testing.B) {
			f := c.f
			for b.Loop() {
				f.RPort = uint16(k.flow13(&f))
			}
		})
		b.Run("24/"+c.name, func(b *testing.B) {
			f := c.f
			for b.Loop() {
				f.RPort = uint16(k.flow24(&f))
			}
		})
	}
}
