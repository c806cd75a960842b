package icmp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// target returns the i-th of many addresses.
func target(i int) wire.Addr {
	a := addr("2001:db8::")
	binary.BigEndian.PutUint32(a[12:], uint32(i))
	return a
}

// allowed returns how many of n errors, spread over d and all to different
// targets, a new Limiter lets through.
func allowed(seed uint64, n int, d time.Duration) int {
	l := NewLimiter(LimiterConfig{}, rand.New(rand.NewPCG(seed, 0)).Uint64)
	k := 0
	for i := range n {
		a := target(i)
		if l.Allow(mono.Start.Add(d*time.Duration(i)/time.Duration(n)), &a) {
			k++
		}
	}
	return k
}

// The sending of errors is limited by a token bucket. RFC 4443 §2.4 f.
func TestR4443_2_4f_TokenBucket(t *testing.T) {
	for seed := range uint64(20) {
		// A token costs one on average, so a burst gives about 50, and ten
		// seconds of flood about 10,000.
		if k := allowed(seed, 100_000, 0); k < 30 || k > 90 {
			t.Errorf("seed %d: a burst of %d", seed, k)
		}
		if k := allowed(seed, 100_000, 10*time.Second); k < 9_500 || k > 11_500 {
			t.Errorf("seed %d: %d errors in 10 s, want about 1000 per second", seed, k)
		}
		if k := allowed(seed, 1000, 10*time.Second); k != 1000 {
			t.Errorf("seed %d: %d of 1000 errors in 10 s", seed, k)
		}
	}
}

// Each target gets one error per second. RFC 4443 §2.4 f.
func TestR4443_2_4f_PerTarget(t *testing.T) {
	l := NewLimiter(LimiterConfig{}, rand.New(rand.NewPCG(1, 0)).Uint64)
	a, b := addr("192.0.2.1"), addr("192.0.2.2")
	k := 0
	for ms := range 10_000 {
		now := mono.Start.Add(time.Duration(ms) * time.Millisecond)
		if l.Allow(now, &a) {
			k++
		}
		if ms == 500 && !l.Allow(now, &b) {
			t.Error("one target uses up another's share")
		}
	}
	if k != 10 {
		t.Errorf("%d errors to one target in 10 s, want 10", k)
	}
	if end := mono.Start.Add(10 * time.Second); l.Allow(end-1, &a) || !l.Allow(end, &a) {
		t.Error("the second does not end after a second")
	}
	free := NewLimiter(LimiterConfig{Interval: -1}, rand.New(rand.NewPCG(1, 0)).Uint64)
	for i := range 10 {
		if !free.Allow(mono.Start, &a) {
			t.Errorf("error %d refused although single targets are not limited", i)
		}
	}
}

// T-BLD-04, T-BLD-10: one who spends the budget and counts what is left for him
// cannot tell whether another target got an error in between. The counts with
// and without that error differ by less than their own scatter.
func TestLimiterIsNoOracle(t *testing.T) {
	const trials = 4000
	var sum [2]int
	var seen [2][200]int
	for i := range trials {
		secret := i & 1
		l := NewLimiter(LimiterConfig{}, rand.New(rand.NewPCG(uint64(i), 7)).Uint64)
		if secret == 1 {
			victim := target(1 << 20)
			l.Allow(mono.Start, &victim)
		}
		k := 0
		for j := range 199 {
			a := target(j)
			if l.Allow(mono.Start, &a) {
				k++
			}
		}
		sum[secret] += k
		seen[secret][k]++
	}
	if diff := sum[0] - sum[1]; diff < 0 || diff > 2*trials/2 {
		t.Errorf("the sums over %d trials differ by %d: more than one error each", trials, diff)
	}
	// The best guess from a single count is right in half the trials plus half
	// the distance of the two distributions.
	right := 0
	for k := range seen[0] {
		right += max(seen[0][k], seen[1][k])
	}
	if right*100 > trials*60 {
		t.Errorf("a single count gives the secret away in %d of %d trials", right, trials)
	}
}

// An error that its target's share forbids costs nothing.
func TestLimiterRefusalIsFree(t *testing.T) {
	l := NewLimiter(LimiterConfig{Burst: 10}, func() uint64 { return 1 }) // one token each
	a := addr("192.0.2.1")
	for range 1000 {
		l.Allow(mono.Start, &a)
	}
	k := 0
	for i := range 100 {
		b := target(i)
		if l.Allow(mono.Start, &b) {
			k++
		}
	}
	if k != 9 {
		t.Errorf("%d errors left after one, want 9", k)
	}
}

// The table has a fixed size; more targets than it holds only send more, within
// the bucket's bounds, and time that stands still or leaps does no harm.
func TestLimiterExtremes(t *testing.T) {
	l := NewLimiter(LimiterConfig{PerSecond: -5, Burst: 1 << 30}, func() uint64 { return 0 })
	a := target(1)
	for _, now := range []mono.Time{mono.Start, mono.Start, 1 << 62, 1 << 62, 1<<63 - 1} {
		l.Allow(now, &a)
	}
	k := 0
	l = NewLimiter(LimiterConfig{}, rand.New(rand.NewPCG(4, 0)).Uint64)
	for i := range 1_000_000 {
		a := target(i % 5000)
		if l.Allow(mono.Start.Add(time.Duration(i)*time.Microsecond), &a) {
			k++
		}
	}
	if k > 1200 {
		t.Errorf("%d errors within a second", k)
	}
}

// When more targets come than are remembered, those served last are.
func TestLimiterForgetsTheOldest(t *testing.T) {
	random, first := rand.New(rand.NewPCG(6, 0)), 2
	l := NewLimiter(LimiterConfig{}, func() uint64 {
		if first > 0 { // the key is random, errors are free
			first--
			return random.Uint64()
		}
		return 0
	})
	now := mono.Start
	for i := range 2000 {
		a := target(i)
		now = now.Add(10 * time.Microsecond)
		l.Allow(now, &a)
	}
	known := 0
	for i := 1900; i < 2000; i++ {
		a := target(i)
		if !l.Allow(now, &a) {
			known++
		}
	}
	if known < 95 {
		t.Errorf("%d of the last 100 targets are remembered", known)
	}
}

func TestLimiterAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := NewLimiter(LimiterConfig{}, rand.New(rand.NewPCG(4, 0)).Uint64)
	now, i := mono.Start, 0
	if n := testing.AllocsPerRun(1000, func() {
		a := target(i)
		i++
		now = now.Add(time.Millisecond)
		l.Allow(now, &a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	l := NewLimiter(LimiterConfig{}, rand.New(rand.NewPCG(4, 0)).Uint64)
	now, a := mono.Start, target(1)
	for b.Loop() {
		now = now.Add(time.Microsecond)
		a[15]++
		l.Allow(now, &a)
	}
}
