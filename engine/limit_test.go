package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// passed counts the events that pass when one is tried every step for d.
func passed(b *tokenBucket, from mono.Time, d, step time.Duration) (n int) {
	for now := from; now < from.Add(d); now = now.Add(step) {
		if b.allow(now) {
			n++
		}
	}
	return n
}

func TestTokenBucket(t *testing.T) {
	for _, c := range []struct {
		name             string
		perSecond, burst uint32
		d, step          time.Duration
		want             int
	}{
		{"more than allowed: the burst, then the rate", 1000, 100, 10 * time.Second, 100 * time.Microsecond, 100 + 9999},
		{"less than allowed: all", 1000, 1, time.Second, 2 * time.Millisecond, 500},
		{"exactly the rate", 1000, 1, time.Second, time.Millisecond, 1000},
		{"one a second", 1, 1, 10 * time.Second, time.Millisecond, 10},
		{"a rate that does not divide a second is never exceeded by more than one", 3, 1, 1000 * time.Second, 10 * time.Millisecond, 2942},
		{"none per second", 0, 5, time.Second, time.Millisecond, 0},
		{"no burst", 5, 0, time.Second, time.Millisecond, 0},
		{"as many as nanoseconds", 1<<32 - 1, 1, time.Microsecond, 1, 1000},
	} {
		b := newTokenBucket(c.perSecond, c.burst)
		if got := passed(&b, mono.Start, c.d, c.step); got != c.want {
			t.Errorf("%s: %d passed, want %d", c.name, got, c.want)
		}
	}
}

// After a rest the bucket is full, however long the rest, and not fuller.
func TestTokenBucketRefills(t *testing.T) {
	b := newTokenBucket(10, 5)
	for _, rest := range []time.Duration{0, 500 * time.Millisecond, time.Hour, 1000 * time.Hour} {
		now := mono.Start.Add(10 * rest)
		b := b
		for range 10 {
			b.allow(mono.Start)
		}
		n := 0
		for range 10 {
			if b.allow(now) {
				n++
			}
		}
		if want := 5; rest > 0 && n != want || rest == 0 && n != 0 {
			t.Errorf("after %v: %d at once, want %d", 10*rest, n, want)
		}
	}
}

// A clock that steps back lets nothing extra through, and does not block longer
// than it stepped.
func TestTokenBucketClockBack(t *testing.T) {
	b := newTokenBucket(10, 1)
	late := mono.Start.Add(time.Minute)
	if !b.allow(late) || b.allow(mono.Start) {
		t.Error("want the first to pass, and not the one before it in time")
	}
	if !b.allow(late.Add(100 * time.Millisecond)) {
		t.Error("refused when the clock has caught up")
	}
}

// Random calls never pass more than burst + rate x time in any interval.
func FuzzTokenBucket(f *testing.F) {
	f.Add(uint32(1000), uint32(100), []byte{0, 1, 2, 3, 255, 0, 0, 0, 0})
	f.Add(uint32(3), uint32(1), []byte{255, 255, 255})
	f.Fuzz(func(t *testing.T, perSecond, burst uint32, steps []byte) {
		perSecond, burst = perSecond%2_000_000, burst%1000
		b := newTokenBucket(perSecond, burst)
		now, n := mono.Start, int64(0)
		for _, s := range steps[:min(len(steps), 4096)] {
			now = now.Add(time.Duration(s) * 10 * time.Microsecond)
			if b.allow(now) {
				n++
			}
			// +1: the interval is rounded down to a nanosecond.
			if most := int64(burst) + int64(perSecond)*int64(now-mono.Start)*1001/1000/int64(time.Second) + 1; n > most {
				t.Fatalf("%d per second, burst %d: %d passed by %v, at most %d may", perSecond, burst, n, now, most)
			}
		}
	})
}

// All defaults are positive, and filling twice changes nothing.
func TestLimitsDefaults(t *testing.T) {
	l := DefaultLimits()
	if s := fmt.Sprintf("%+v", l); strings.Contains(s, ":0") || strings.Contains(s, ":-") {
		t.Errorf("a default is not positive: %s", s)
	}
	if l.filled() != l {
		t.Errorf("filling the defaults changes them:\n%+v\n%+v", l, l.filled())
	}
}

// A value of the user stands unless it is too large; parts never exceed wholes.
func TestLimitsFilled(t *testing.T) {
	l := Limits{Connections: 10, HalfOpen: 1 << 30, AcceptBacklog: 8, TimeWait: -1}.filled()
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"Connections", l.Connections, 10},
		{"ConnectionsPerPeer", l.ConnectionsPerPeer, 10},
		{"Orphans", l.Orphans, 10},
		{"HalfOpen", l.HalfOpen, maxRecords},
		{"TimeWait", l.TimeWait, 16384},
		{"backlog of a listener that asks for 0", l.backlog(0), minAcceptBacklog},
		{"backlog of a listener that asks for 5", l.backlog(5), 5},
		{"backlog of a listener that asks for too many", l.backlog(100), 8},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
	if resets := newTokenBucket(uint32(l.ResetsPerSecond), resetBurst); passed(&resets, mono.Start, 1, 1) != 1 {
		t.Error("the default lets no reset through")
	}
	if errors := newTokenBucket(uint32(l.ICMPErrorsPerSecond), icmpErrorBurst); passed(&errors, mono.Start, 1, 1) != 1 {
		t.Error("the default lets no ICMP error through")
	}
}

func BenchmarkTokenBucket(b *testing.B) {
	bucket := newTokenBucket(1_000_000, 100)
	now := mono.Start
	for b.Loop() {
		now += 500
		bucket.allow(now)
	}
}
