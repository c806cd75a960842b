package wire

import "testing"

func BenchmarkSum(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"20", 20}, {"64", 64}, {"1472", 1472}, {"65536", 65536}} {
		b.Run(c.name, func(b *testing.B) {
			buf := pattern(c.n)
			b.SetBytes(int64(c.n))
			var acc uint16
			for b.Loop() {
				acc = Sum(buf, acc)
			}
		})
	}
}

func BenchmarkSumCopy(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"64", 64}, {"1472", 1472}, {"65536", 65536}} {
		b.Run(c.name, func(b *testing.B) {
			src, dst := pattern(c.n), make([]byte, c.n)
			b.SetBytes(int64(c.n))
			var acc uint16
			for b.Loop() {
				acc = SumCopy(dst, src, acc)
			}
		})
	}
}

func BenchmarkParseTCP(b *testing.B) {
	seg := goodTCP()
	var o TCPOptions
	var sum uint32
	for b.Loop() {
		t, err := ParseTCP(seg)
		if err != nil {
			b.Fatal(err)
		}
		o.Parse(t.Options(), t.Flags()&FlagSYN != 0)
		sum += t.Seq() + t.Ack() + uint32(t.Window()) + o.TSVal
	}
	_ = sum
}

func BenchmarkPutTCP(b *testing.B) {
	var hdr [TCPMaxLen]byte
	o := TCPOptions{Has: HasTimestamps, TSVal: 1, TSEcr: 2}
	var seq uint32
	for b.Loop() {
		h := hdr[:TCPMinLen+o.Len()]
		PutTCP(h, 1, 2, seq, 4, FlagACK, 5, 0)
		o.Put(h[TCPMinLen:])
		seq += 1448
	}
}

func BenchmarkOptionsSYN(b *testing.B) {
	var raw [TCPMaxOptLen]byte
	o := TCPOptions{Has: HasMSS | HasWScale | HasSACKPermitted | HasTimestamps, MSS: 1460, WScale: 7}
	n := o.Put(raw[:])
	for b.Loop() {
		o.Parse(raw[:n], true)
	}
}

func BenchmarkPseudoSum(b *testing.B) {
	src, dst := AddrFrom4([4]byte{10, 0, 0, 1}), AddrFrom4([4]byte{10, 0, 0, 2})
	var n uint32
	for b.Loop() {
		n += uint32(PseudoSum(&src, &dst, ProtoTCP, n))
	}
}

func BenchmarkScriptAppendText(b *testing.B) {
	s := Script{Out: true, Flags: FlagPSH | FlagACK, Seq: 1, Len: 1448, Ack: 1, HasWin: true, Win: 1000,
		Opts: TCPOptions{Has: HasTimestamps, TSVal: 1, TSEcr: 2}}
	buf := make([]byte, 0, 256)
	for b.Loop() {
		buf = s.AppendText(buf[:0])
	}
}
