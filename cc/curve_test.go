package cc

import (
	"math"
	"testing"
	"time"
	"unsafe"
)

// formula is RFC 9438's W_cubic in bytes; t and k in seconds.
func formula(t, k float64, wMax, mss uint32) float64 {
	return 0.4*math.Pow(t-k, 3)*float64(mss) + float64(wMax)
}

// W_cubic is C(t-K)³ + W_max, C is 0.4, K cbrt((W_max-cwnd_epoch)/C). RFC 9438 §4.2.
func TestR9438_4_2a_Curve(t *testing.T) {
	for _, c := range []struct {
		wMax, cwnd, mss uint32
	}{
		{10_000, 7000, 1000},
		{100_000, 70_000, 1000},
		{1_448_000, 1_013_600, 1448},
		{10 << 20, 7 << 20, 1460},
		{maxWindow, maxWindow / 10 * 7, 1460},
		{maxWindow, 1, 1460},
		{maxWindow, maxWindow / 10 * 7, 1},
		{maxWindow, 2, 1},
		{maxWindow, 0, maxSegment},
		{60_000, 59_999, 1448},
		{9000, 9000, 1448}, // K is 0
		{5000, 9000, 1448}, // beyond W_max: flat at cwnd
	} {
		x := cubicState{cubicEpoch: cubicEpoch{wMax: c.wMax}}
		x.start(&State{Cwnd: c.cwnd}, &RateSample{MSS: c.mss})
		wMax := max(c.wMax, c.cwnd)
		k := math.Cbrt(float64(wMax-c.cwnd) / (0.4 * float64(c.mss)))
		if d := float64(x.k)/1e6 - k; d < -1e-9 || d > 1.001e-6 || x.wMax != wMax {
			t.Errorf("%+v: K %d µs and W_max %d, want %.6f s and %d", c, x.k, x.wMax, k, wMax)
		}
		for _, at := range []time.Duration{
			0, time.Microsecond, time.Millisecond, 100 * time.Millisecond, time.Second, 3 * time.Second,
			10 * time.Second, time.Minute, 10 * time.Minute, 20 * time.Minute, time.Hour, 24 * time.Hour, maxElapsed,
		} {
			want := formula(at.Seconds(), float64(x.k)/1e6, wMax, c.mss)
			want = min(max(want, 0), Infinite)
			// Rounding is by less than a byte, and floats have 53 bits.
			if got := float64(x.window(at)); math.Abs(got-want) > 1+want*1e-12 {
				t.Errorf("%+v: W(%v) = %.0f, want %.3f", c, at, got, want)
			}
		}
		// K is rounded up by a microsecond at most, and the slope at 0 is 3CK².
		if d := float64(c.cwnd) - float64(x.window(0)); d < 0 || d > 1.2e-6*k*k*float64(c.mss)+1 {
			t.Errorf("%+v: the curve begins at %d", c, x.window(0))
		}
	}
}

// The root is the inverse of the cube, for every size of gap and segment.
func TestRootIsInverse(t *testing.T) {
	for _, mss := range []uint32{1, 2, 3, 536, 1448, 8948, 65_535, maxSegment} {
		for shift := range 31 {
			for _, gap := range []uint32{1 << shift, 1<<shift + 1, 3 << shift >> 1, 2<<shift - 1} {
				gap = max(gap, 1)
				k := rootOf(gap, mss)
				if cubed(uint64(k), mss) < uint64(gap) || cubed(uint64(k-1), mss) >= uint64(gap) {
					t.Errorf("gap %d, mss %d: K %d gives %d, one less %d", gap, mss, k, cubed(uint64(k), mss), cubed(uint64(k-1), mss))
				}
			}
		}
	}
}

// Nothing overflows however far the time is from K, and the curve rises.
func TestCubeRises(t *testing.T) {
	for _, mss := range []uint32{1, 1448, maxSegment} {
		var last uint64
		for d := uint64(1); d != 0; d <<= 1 {
			v := cubed(d-1, mss)
			if v < last {
				t.Errorf("mss %d: %d µs make %d, fewer make %d", mss, d-1, v, last)
			}
			last = v
		}
		if last < Infinite {
			t.Errorf("mss %d: the curve ends at %d", mss, last)
		}
	}
}

// A share is exact to 2^-24, at the ends of its range as well.
func TestShare(t *testing.T) {
	for _, c := range []struct{ num, den, want uint64 }{
		{0, 1, 0},
		{1, 3, 1 << 24 / 3},
		{7, 2, 7 << 23},
		{maxWindow * maxWindow / 2, maxWindow, maxWindow / 2 << 24},
		{alphaNum * maxSegment * maxWindow, alphaDen * maxWindow, alphaNum * maxSegment << 24 / alphaDen},
		{1, alphaDen * maxWindow, 0},
	} {
		if got := share(c.num, c.den); got != c.want {
			t.Errorf("%d/%d = %d, want %d", c.num, c.den, got, c.want)
		}
	}
}

// After a loss at a larger window W_max is (1+β)/2 of cwnd. RFC 9438 §4.7.
//
// Another flow needs room, it seems.
func TestR9438_4_7_FastConvergence(t *testing.T) {
	for _, c := range []struct {
		wMax, cwnd uint32
		ecn        bool
		want       uint32
	}{
		{0, 100_000, false, 100_000},
		{100_000, 100_000, false, 100_000},
		{100_000, 120_000, false, 120_000},
		{100_000, 99_000, false, 84_150},
		{100_000, 50_000, false, 42_500},
		{100_000, 50_000, true, 46_250},  // β is 0.85 after a mark
		{100_000, 99_001, false, 99_001}, // less than a segment below: the same window
		{maxWindow, maxWindow / 2, false, 456_340_275},
	} {
		s := State{Cwnd: c.cwnd, SSThresh: c.cwnd - 1, Ext: &cubicState{cubicEpoch: cubicEpoch{wMax: c.wMax}}}
		Cubic{}.OnLossEvent(&s, &Loss{Flight: c.cwnd, MSS: 1000, ECN: c.ecn})
		if got := cubicOf(&s).wMax; got != c.want {
			t.Errorf("cwnd %d after W_max %d, mark %v: W_max %d, want %d", c.cwnd, c.wMax, c.ecn, got, c.want)
		}
		if got := cubicOf(&s).cwndPrior; got != c.cwnd {
			t.Errorf("cwnd %d: cwnd_prior %d", c.cwnd, got)
		}
	}
}

// What a connection carries stays small.
func TestCubicStateSize(t *testing.T) {
	if n := unsafe.Sizeof(cubicState{}); n >= 128 {
		t.Errorf("%d bytes", n)
	}
}
