package engine

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

func testGenerator(tick time.Duration) isnGenerator {
	return newISNGenerator(newSipKey(countingKey()), tick)
}

// The initial sequence number contains a clock with a tick of about 4 µs (RFC 9293 §3.4.1).
func TestR9293_M08_ISNClock(t *testing.T) {
	f := newTestRand(1).flow4()
	for _, c := range []struct {
		profile string
		tick    time.Duration
		after   time.Duration
		want    uint32
	}{
		{"RFC", isnTickRFC, 3999 * time.Nanosecond, 0},
		{"RFC", isnTickRFC, 4 * time.Microsecond, 1},
		{"RFC", isnTickRFC, time.Second, 250_000},
		{"RFC, once around: 4.77 hours", isnTickRFC, 4 * time.Microsecond << 32, 0},
		{"RFC by default", 0, time.Second, 250_000},
		{"Linux", isnTickLinux, time.Second, 15_625_000},
	} {
		g := testGenerator(c.tick)
		if got := g.isn(mono.Start.Add(c.after), &f) - g.isn(mono.Start, &f); got != c.want {
			t.Errorf("%s: %v later the number is %d higher, want %d", c.profile, c.after, got, c.want)
		}
	}
}

// The part of the initial sequence number that is not the clock cannot be computed from outside (RFC 9293 §3.4.1).
// A million numbers of different flows at one instant look drawn at random:
// collisions, the balance of the bits and the correlation of neighbours are
// within what chance gives, although the flows merely count up.
func TestR9293_M09_ISNUnpredictable(t *testing.T) {
	const n = 1_000_000
	g := testGenerator(isnTickRFC)
	all := make([]uint32, 0, n)
	var ones [32]int
	prev := 0.0
	var sum, sumSquares, sumProducts float64
	f := Flow{Local: wire.AddrFrom4([4]byte{10, 0, 0, 1}), LPort: 80, RPort: 40000}
	for i := range uint32(n) {
		f.Remote = wire.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0xc0a8_0000+i)))
		isn := g.isn(mono.Start, &f)
		all = append(all, isn)
		for b := range ones {
			ones[b] += int(isn >> b & 1)
		}
		x := float64(isn) / (1 << 32)
		sum, sumSquares, sumProducts = sum+x, sumSquares+x*x, sumProducts+x*prev
		prev = x
	}
	slices.Sort(all)
	collisions := n - len(slices.Compact(all))
	want := float64(n) * (n - 1) / 2 / (1 << 32) // 116.4
	if d := math.Abs(float64(collisions) - want); d > 3*math.Sqrt(want) {
		t.Errorf("%d collisions, want %.1f ± %.1f", collisions, want, 3*math.Sqrt(want))
	}
	for b, k := range ones {
		if d := math.Abs(float64(k) - n/2); d > 4*math.Sqrt(n/4) { // 4 sigma: there are 32 bits
			t.Errorf("bit %d is set %d times of %d", b, k, n)
		}
	}
	mean := sum / n
	r := (sumProducts/n - mean*mean) / (sumSquares/n - mean*mean)
	if math.Abs(r) > 3/math.Sqrt(n) {
		t.Errorf("neighbours correlate with r = %.5f, want less than %.5f", r, 3/math.Sqrt(n))
	}
}

// The initial sequence number is the clock plus a keyed hash of the flow (RFC 9293 §3.4.1).
func TestR9293_S01_ISNFormula(t *testing.T) {
	g := testGenerator(isnTickRFC)
	key := binary.LittleEndian.AppendUint64(nil, g.key.k0)
	key = binary.LittleEndian.AppendUint64(key, g.key.k1)
	rnd := newTestRand(2)
	for range 1000 {
		in := rnd.bytes(12)
		f, now := flowOfBytes(in), mono.Start+mono.Time(rnd.Int64N(1e17))
		want := uint32(now/4000) + uint32(sipPlain(2, 4, [16]byte(key), in))
		if got := g.isn(now, &f); got != want {
			t.Fatalf("%v at %d: %d, want M + F = %d", f, now, got, want)
		}
	}
}

// The initial sequence number is M + F(flow, secret) with a pseudo-random F: any change of the flow changes all of F (RFC 6528 §3).
func TestR6528_3a_ISNDependsOnWholeFlow(t *testing.T) {
	g := testGenerator(isnTickRFC)
	rnd := newTestRand(3)
	for bit := range 12 * 8 {
		changed := 0
		const flows = 200
		for range flows {
			in := rnd.bytes(12)
			a := flowOfBytes(in)
			in[bit/8] ^= 1 << (bit % 8)
			b := flowOfBytes(in)
			changed += bits.OnesCount32(g.isn(mono.Start, &a) - mono32(mono.Start) ^ (g.isn(mono.Start, &b) - mono32(mono.Start)))
		}
		// 16 of 32 bits each, 5 sigma of 200 x 32 coin flips.
		if d := changed - flows*16; d < -200 || d > 200 {
			t.Errorf("bit %d of the flow changes %d of %d bits of F, want about half", bit, changed, flows*32)
		}
	}
}

// mono32 is the clock part of a number in the RFC profile.
func mono32(now mono.Time) uint32 { return uint32(now / 4000) }

// A flow that comes again gets a higher number, by the clock alone; another flow's number says nothing about it (RFC 6528 §3).
func TestR6528_3b_ISNGrowsPerFlow(t *testing.T) {
	g := testGenerator(isnTickRFC)
	rnd := newTestRand(4)
	f := rnd.flow4()
	last := g.isn(mono.Start, &f)
	for step := range 10_000 {
		now := mono.Start.Add(time.Duration(step+1) * time.Millisecond)
		other := rnd.flow4()
		g.isn(now, &other) // whatever happens in between
		isn := g.isn(now, &f)
		if isn-last != 250 {
			t.Fatalf("%v: 1 ms later the number is %d higher, want 250", f, isn-last)
		}
		last = isn
	}
	// The difference of two flows' numbers is as random as the numbers.
	var ones [32]int
	const n = 100_000
	for range n {
		a := rnd.flow4()
		b := a
		b.RPort++
		d := g.isn(mono.Start, &b) - g.isn(mono.Start, &a)
		for i := range ones {
			ones[i] += int(d >> i & 1)
		}
	}
	for i, k := range ones {
		if math.Abs(float64(k)-n/2) > 4*math.Sqrt(n/4) {
			t.Errorf("bit %d of the difference of neighbouring flows is set %d times of %d", i, k, n)
		}
	}
}

// The secret has 128 bits, each of which matters, and nothing that is sent shows it (RFC 6528 §3).
func TestR6528_3c_ISNSecret(t *testing.T) {
	if n := unsafe.Sizeof(sipKey{}) * 8; n != 128 {
		t.Errorf("the secret has %d bits, want 128", n)
	}
	secret := countingKey()
	f := newTestRand(5).flow4()
	g := newISNGenerator(newSipKey(secret), isnTickRFC)
	seen := map[uint32]bool{g.isn(mono.Start, &f): true}
	for bit := range 128 {
		other := secret
		other[bit/8] ^= 1 << (bit % 8)
		g := newISNGenerator(newSipKey(other), isnTickRFC)
		isn := g.isn(mono.Start, &f)
		if seen[isn] {
			t.Errorf("a secret with bit %d changed gives a number that another gave", bit)
		}
		seen[isn] = true
	}
	if k := newSipKey(secret); g.key == k || g.tsKey == k || g.key == g.tsKey {
		t.Error("the keys are not derived: what one shows, the others share")
	}
}

// The offset of a flow's timestamps stays the same, differs from other flows' and is no part of its sequence numbers.
func TestTimestampOffset(t *testing.T) {
	g, again := testGenerator(isnTickRFC), testGenerator(isnTickRFC)
	rnd := newTestRand(6)
	agree := 0
	const n = 10_000
	for range n {
		f := rnd.flow4()
		next := f
		next.LPort++
		if g.tsOffset(&f) != again.tsOffset(&f) || g.tsOffset(&f) == g.tsOffset(&next) {
			t.Fatalf("%v: offset not the same, or the same as that of %v", f, next)
		}
		agree += 32 - bits.OnesCount32(g.tsOffset(&f)^(g.isn(mono.Start, &f)-mono32(mono.Start)))
	}
	if d := float64(agree - n*16); math.Abs(d) > 5*math.Sqrt(n*8) {
		t.Errorf("offset and F agree in %d of %d bits, want half", agree, n*32)
	}
}

func BenchmarkISN(b *testing.B) {
	g := testGenerator(isnTickLinux)
	f := newTestRand(7).flow4()
	now := mono.Start
	for b.Loop() {
		now += mono.Time(g.isn(now, &f) & 1023)
	}
}
