package ip

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/handfast/handfast/wire"
)

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]Reason{}
	for r := range NumReasons {
		name := r.String()
		if !strings.HasPrefix(name, "ip_") || name != strings.ToLower(name) || strings.Contains(name, " ") {
			t.Errorf("reason %d is called %q, want snake case behind ip_", r, name)
		}
		if other, dup := seen[name]; dup {
			t.Errorf("reasons %d and %d are both called %q", other, r, name)
		}
		seen[name] = r
		if r.Explain() == "" {
			t.Errorf("%v has no explanation", r)
		}
	}
	if NumReasons.String() == "" || NumReasons.Explain() == "" {
		t.Error("a reason out of range has no name")
	}
}

func TestParseFields4(t *testing.T) {
	b := v4{tos: 0x2e<<2 | wire.CE, ttl: 3, proto: wire.ProtoTCP, flags: wire.IPv4DF, id: 77, payload: pattern(33)}.bytes()
	b = append(b, 0, 0, 0) // padding
	d := mustAccept(t, "plain", b)
	want := Datagram{Src: peer4, Dst: self4, L4: 20, End: 53, Proto: 6, TTL: 3, TOS: 0x2e<<2 | 3}
	if d != want {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
	if d.ECN() != wire.CE || d.Len() != 33 {
		t.Errorf("ECN %d, Len %d", d.ECN(), d.Len())
	}
	d = mustAccept(t, "with options", v4{opts: []byte{148, 4, 0, 0, 1, 1}, payload: pattern(8)}.bytes())
	if d.L4 != 28 || d.End != 36 {
		t.Errorf("with options: L4 %d, End %d, want 28, 36", d.L4, d.End)
	}
}

func TestParseFields6(t *testing.T) {
	b := v6{tc: 0xb9, proto: wire.ProtoTCP, payload: pattern(20)}.bytes()
	b[1] |= 0x0a
	b[2], b[3] = 0xbc, 0xde
	b = append(b, 9, 9)
	d := mustAccept(t, "plain", b)
	want := Datagram{Src: peer6, Dst: self6, L4: 40, End: 60, Proto: 6, TTL: 64, TOS: 0xb9, V6: true, FlowLabel: 0xabcde}
	if d != want {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
}

// A used Datagram leaves nothing behind in the next.
func TestParseResets(t *testing.T) {
	d := Datagram{Iface: 7}
	first := v6{proto: wire.ProtoUDP, exts: []ext{fragHeader(8, true, 99)}, payload: pattern(16)}.bytes()
	if r := Parse(first, len(first), false, &d); r != ReasonNone || !d.Fragment {
		t.Fatalf("fragment: %v %+v", r, d)
	}
	second := v4{dst: addr("255.255.255.255"), payload: pattern(8)}.bytes()
	if r := Parse(second, len(second), false, &d); r != ReasonNone {
		t.Fatal(r)
	}
	want := Datagram{Src: peer4, Dst: addr("255.255.255.255"), L4: 20, End: 28, Proto: 17, Broadcast: true, Iface: 7}
	if d != want {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
}

// The payload may lie elsewhere, the headers may not. A header that is in the
// packet but not at hand is told from one that is not in the packet.
func TestParseSplit(t *testing.T) {
	whole4 := v4{opts: []byte{1, 1, 1, 1}, payload: pattern(100)}.bytes()
	whole6 := v6{exts: []ext{options(wire.ProtoDestOptions)}, payload: pattern(100)}.bytes()
	for _, c := range []struct {
		name string
		b    []byte
		hdr  int
	}{{"IPv4", whole4, 24}, {"IPv6", whole6, 48}} {
		for n := range len(c.b) + 1 {
			var d Datagram
			r := Parse(c.b[:n], len(c.b), false, &d)
			want := ReasonNone
			switch {
			case n < 20 || c.name == "IPv6" && n < 40:
				want = ReasonShort
			case n < c.hdr:
				want = ReasonHeadersSplit
			}
			if r != want {
				t.Errorf("%s with %d of %d bytes at hand: %v, want %v", c.name, n, len(c.b), r, want)
			}
		}
	}
}

// corpus holds one packet of each kind.
func corpus() [][]byte {
	return [][]byte{
		v4{payload: pattern(8)}.bytes(),
		v4{proto: wire.ProtoTCP, payload: pattern(40)}.bytes(),
		v4{opts: []byte{7, 7, 4, 0, 0, 0, 0, 1}, payload: pattern(8)}.bytes(),
		v4{opts: []byte{131, 7, 4, 0, 0, 0, 0}, payload: pattern(8)}.bytes(),
		v4{flags: wire.IPv4MF, payload: pattern(16)}.bytes(),
		v4{off: 16, payload: pattern(5)}.bytes(),
		v6{payload: pattern(8)}.bytes(),
		v6{exts: []ext{options(0, 5, 2, 0, 0), routing(2, 0), options(60)}, payload: pattern(8)}.bytes(),
		v6{exts: []ext{routing(0, 3)}, payload: pattern(8)}.bytes(),
		v6{exts: []ext{fragHeader(0, true, 1)}, payload: pattern(16)}.bytes(),
		v6{exts: []ext{fragHeader(0, false, 1)}, payload: pattern(16)}.bytes(),
		v6{exts: []ext{options(60, 0xc1, 1, 0), fragHeader(24, false, 1)}, payload: pattern(3)}.bytes(),
		v6{exts: []ext{fragHeader(0, true, 1), options(60)}, payload: pattern(16)}.bytes(),
		v6{proto: wire.ProtoNoNext}.bytes(),
	}
}

// checkSane fails if what Parse accepted, or owes an error for, cannot be.
func checkSane(t *testing.T, b []byte, total int, d *Datagram, r Reason) {
	t.Helper()
	switch {
	case r >= NumReasons:
		t.Fatalf("reason %d\n%x", r, b)
	case r != ReasonNone && d.Problem.Owed():
		if int(d.Problem.Pointer) > total {
			t.Fatalf("%v: pointer %d beyond the packet of %d\n%x", r, d.Problem.Pointer, total, b)
		}
	case r == ReasonNone:
		if d.Problem.Owed() || d.L4 < 20 || d.End < d.L4 || d.End > total || d.Src.IsMulticast() || d.V6 == d.Src.Is4() {
			t.Fatalf("accepted %+v of %d\n%x", *d, total, b)
		}
		if d.Fragment && (d.Len() == 0 || d.FragOff+d.Len() > MaxDatagram || d.More && d.Len()%8 != 0) {
			t.Fatalf("accepted fragment %+v\n%x", *d, b)
		}
	}
}

// Length lies: every prefix, and every single byte of a packet changed to every
// value, with the checksum taken as valid so that damage gets further.
func TestParseDamaged(t *testing.T) {
	for _, good := range corpus() {
		for n := range good {
			var d Datagram
			checkSane(t, good[:n], n, &d, Parse(good[:n], n, true, &d))
		}
		for i := range good {
			b := append([]byte(nil), good...)
			for v := range 256 {
				b[i] = byte(v)
				var d Datagram
				checkSane(t, b, len(b), &d, Parse(b, len(b), true, &d))
			}
		}
	}
}

// A long chain of headers is dropped as soon as the bound is met, so it costs
// no more than eight headers do.
func TestParseLongChain(t *testing.T) {
	for _, n := range []int{MaxHeaders, MaxHeaders + 1, 100} {
		p := v6{payload: pattern(8)}
		for range n {
			p.exts = append(p.exts, options(wire.ProtoDestOptions))
		}
		d, r := parse(p.bytes())
		switch {
		case n == MaxHeaders && (r != ReasonNone || d.L4 != 40+8*n):
			t.Errorf("%d headers: %v, L4 %d", n, r, d.L4)
		case n > MaxHeaders && (r != ReasonHeaderCount || d.Problem.Owed()):
			t.Errorf("%d headers: %v owing %+v, want a silent %v", n, r, d.Problem, ReasonHeaderCount)
		}
	}
}

func TestParseTooManyOptions(t *testing.T) {
	opts := func(n int) []byte {
		var b []byte
		for range n {
			b = append(b, 0x1e, 2, 0, 0)
		}
		return b
	}
	mustAccept(t, "eight options", v6{exts: []ext{options(60, opts(MaxOptions)...)}, payload: pattern(8)}.bytes())
	mustAccept(t, "padding after each", v6{exts: []ext{options(60, 1, 4, 0, 0, 0, 0, 0x1e, 0, 1, 4, 0, 0, 0, 0, 0x1e, 0)}, payload: pattern(8)}.bytes())
	mustDrop(t, "nine options", v6{exts: []ext{options(60, opts(MaxOptions+1)...)}, payload: pattern(8)}.bytes(), ReasonOptionCount, Problem{})
	mustDrop(t, "a run of Pad1", v6{exts: []ext{options(60, make([]byte, 14)...)}, payload: pattern(8)}.bytes(), ReasonOptionCount, Problem{})
	mustDrop(t, "a long PadN", v6{exts: []ext{options(60, append([]byte{1, 12}, make([]byte, 12)...)...)}, payload: pattern(8)}.bytes(), ReasonOptionCount, Problem{})
}

// Random chains never confuse the walk.
func TestParseRandomChains(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	nums := []uint8{0, 43, 44, 60, 6, 17, 58, 59, 50, 51, 135, 200}
	counts := map[Reason]int{}
	for i := range 200_000 {
		b := v6{payload: make([]byte, rng.IntN(64))}.bytes()
		for k := 40; k < len(b); k++ {
			b[k] = byte(rng.Uint32())
			if k%8 == 0 {
				b[k] = nums[rng.IntN(len(nums))]
			} else if k%8 == 1 {
				b[k] = byte(rng.IntN(3))
			}
		}
		b[6] = nums[rng.IntN(len(nums))]
		var d Datagram
		at := rng.IntN(len(b) + 1)
		r := Parse(b[:at], len(b), true, &d)
		checkSane(t, b, len(b), &d, r)
		counts[r]++
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, i)
		}
	}
	for _, r := range []Reason{ReasonNone, ReasonRoutingHeader, ReasonHeaderOrder, ReasonHeadersSplit, ReasonProtocol, ReasonUnknownOption} {
		if counts[r] == 0 {
			t.Errorf("no chain ended with %v: the test does not reach it", r)
		}
	}
}

func TestParseAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, b := range corpus() {
		var d Datagram
		if n := testing.AllocsPerRun(100, func() { Parse(b, len(b), false, &d) }); n != 0 {
			t.Errorf("%v allocations for %x", n, b)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range corpus() {
		f.Add(b, uint16(len(b)), uint16(len(b)))
		f.Add(b, uint16(len(b)/2), uint16(len(b)+6))
	}
	f.Fuzz(func(t *testing.T, b []byte, at, total uint16) {
		var d Datagram
		r := Parse(b[:min(int(at), len(b))], int(total), true, &d)
		checkSane(t, b, int(total), &d, r)
		if len(b) > 40 && b[0]>>4 == 4 { // and with a checksum that is right
			hlen := max(20, min(len(b), int(b[0]&15)*4))
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], wire.Finish(wire.Sum(b[:hlen], 0)))
			checkSane(t, b, len(b), &d, Parse(b, len(b), false, &d))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	chain := v6{payload: pattern(8)}
	for range 100 {
		chain.exts = append(chain.exts, options(wire.ProtoDestOptions))
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"v4", v4{payload: pattern(40), proto: 6}.bytes()},
		{"v6", v6{payload: pattern(40), proto: 6}.bytes()},
		{"v6chain100", chain.bytes()},
	} {
		b.Run(c.name, func(b *testing.B) {
			var d Datagram
			for b.Loop() {
				Parse(c.b, len(c.b), false, &d)
			}
		})
	}
}
