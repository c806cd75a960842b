package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// RFC 1071 §3 works this example by hand.
func TestSumRFC1071Example(t *testing.T) {
	if got := Sum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 0); got != 0xddf2 {
		t.Errorf("Sum = %#04x, want 0xddf2", got)
	}
}

func TestSumAgainst16BitLoop(t *testing.T) {
	buf := pattern(400)
	ones := bytes.Repeat([]byte{0xff}, 400)
	zeros := make([]byte, 400)
	dst := make([]byte, 400)
	for _, src := range [][]byte{buf, ones, zeros} {
		for off := range 9 {
			for n := range 301 {
				for _, acc := range []uint16{0, 1, 0xffff, 0x8001} {
					p := src[off : off+n]
					want := referenceSum(p, acc)
					if got := Sum(p, acc); got != want {
						t.Fatalf("Sum of %d bytes at offset %d, acc %#x: %#04x, want %#04x", n, off, acc, got, want)
					}
					clear(dst)
					d := dst[8-off:]
					if got := SumCopy(d, p, acc); got != want {
						t.Fatalf("SumCopy of %d bytes at offset %d, acc %#x: %#04x, want %#04x", n, off, acc, got, want)
					}
					if !bytes.Equal(d[:n], p) || !bytes.Equal(d[n:], zeros[:len(d)-n]) {
						t.Fatalf("SumCopy of %d bytes at offset %d: the copy is wrong", n, off)
					}
				}
			}
		}
	}
}

func TestSumOfLargePieces(t *testing.T) {
	for _, n := range []int{copyBlock - 1, copyBlock, copyBlock + 1, 3*copyBlock + 65, 65535, 65536, 1 << 20} {
		b, dst := pattern(n), make([]byte, n)
		want := referenceSum(b, 7)
		if got := Sum(b, 7); got != want {
			t.Errorf("Sum of %d bytes: %#04x, want %#04x", n, got, want)
		}
		if got := SumCopy(dst, b, 7); got != want || !bytes.Equal(dst, b) {
			t.Errorf("SumCopy of %d bytes: %#04x, want %#04x, or the copy is wrong", n, got, want)
		}
		if got := SumCopy(b, b, 7); got != want || !bytes.Equal(dst, b) {
			t.Errorf("SumCopy of %d bytes onto themselves: %#04x, want %#04x", n, got, want)
		}
	}
}

func TestJoinOfAnyPieces(t *testing.T) {
	b := pattern(257)
	for n := range len(b) + 1 {
		if got, want := Join(Sum(b[:n], 0), Sum(b[n:], 0), n), Sum(b, 0); got != want {
			t.Fatalf("cut at %d: %#04x, want %#04x", n, got, want)
		}
	}
	// Three odd pieces: the length given is that of everything before.
	s := Join(Sum(b[:3], 0), Sum(b[3:10], 0), 3)
	if got, want := Join(s, Sum(b[10:], 0), 10), Sum(b, 0); got != want {
		t.Errorf("three pieces: %#04x, want %#04x", got, want)
	}
}

func TestPseudoSum(t *testing.T) {
	a4, b4 := test4()
	a6, b6 := test6()
	for _, c := range []struct {
		name     string
		src, dst Addr
		n        uint32
		header   []byte
	}{
		{"v4", a4, b4, 65535, append(append(a4[12:16:16], b4[12:]...), 0, 6, 0xff, 0xff)},
		{"v6", a6, b6, 0x12345, append(append(a6[:16:16], b6[:]...), 0, 1, 0x23, 0x45, 0, 0, 0, 6)},
		{"v6 with a mapped end", a6, b4, 20, append(append(a6[:16:16], b4[:]...), 0, 0, 0, 20, 0, 0, 0, 6)},
	} {
		if got, want := PseudoSum(&c.src, &c.dst, ProtoTCP, c.n), referenceSum(c.header, 0); got != want {
			t.Errorf("%s: %#04x, want %#04x", c.name, got, want)
		}
	}
}

func TestFinish(t *testing.T) {
	for _, c := range []struct{ sum, tcp, udp uint16 }{
		{0, 0xffff, 0xffff}, {0xffff, 0, 0xffff}, {0x1234, 0xedcb, 0xedcb}, {0xfffe, 1, 1},
	} {
		if Finish(c.sum) != c.tcp || FinishUDP(c.sum) != c.udp {
			t.Errorf("sum %#04x: Finish %#04x, FinishUDP %#04x; want %#04x, %#04x",
				c.sum, Finish(c.sum), FinishUDP(c.sum), c.tcp, c.udp)
		}
	}
}

// The example of RFC 1624 §4: equation 2 of RFC 1141 gives all ones here,
// equation 3 the zero that a full computation gives.
func TestUpdateRFC1624Example(t *testing.T) {
	if got := Update(0xdd2f, 0x5555, 0x3285); got != 0 {
		t.Errorf("Update = %#04x, want 0x0000", got)
	}
}

// Changing any word of a header and updating gives what summing it all again
// gives.
func TestUpdateAgainstFullSum(t *testing.T) {
	words := []uint16{0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x5555, 0x3285}
	b := pattern(20)
	b[0] = 0x45 // not all zero: RFC 1624 §5 excludes that
	for at := 2; at < 20; at += 2 {
		for _, old := range words {
			for _, now := range words {
				binary.BigEndian.PutUint16(b[at:], old)
				before := Finish(Sum(b, 0))
				binary.BigEndian.PutUint16(b[at:], now)
				if got, want := Update(before, old, now), Finish(Sum(b, 0)); got != want {
					t.Fatalf("word %d from %#04x to %#04x: %#04x, want %#04x", at/2, old, now, got, want)
				}
			}
		}
	}
	for _, old := range []uint32{0, 1, 0xffff, 0x10000, 0xffffffff, 0x89abcdef} {
		for _, now := range []uint32{0, 1, 0xffff, 0x10000, 0xffffffff, 0x01234567} {
			binary.BigEndian.PutUint32(b[8:], old)
			before := Finish(Sum(b, 0))
			binary.BigEndian.PutUint32(b[8:], now)
			if got, want := Update32(before, old, now), Finish(Sum(b, 0)); got != want {
				t.Fatalf("from %#08x to %#08x: %#04x, want %#04x", old, now, got, want)
			}
		}
	}
}

// One's complement detects every single flipped bit. T-PAR-05.
func TestEveryBitFlipIsDetected(t *testing.T) {
	seg := goodTCP()
	src, dst := test4()
	if !TCP(seg).ChecksumOK(&src, &dst) {
		t.Fatal("the intact segment fails")
	}
	for bit := range len(seg) * 8 {
		seg[bit/8] ^= 1 << (bit % 8)
		if TCP(seg).ChecksumOK(&src, &dst) {
			t.Fatalf("bit %d flipped, and the checksum still fits: % x", bit, seg)
		}
		seg[bit/8] ^= 1 << (bit % 8)
	}
	other := AddrFrom(netip.MustParseAddr("192.0.2.9"))
	if TCP(seg).ChecksumOK(&other, &dst) {
		t.Error("a foreign source address passes: the pseudo-header is not covered")
	}
}
