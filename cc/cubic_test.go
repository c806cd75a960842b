package cc_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
)

const tenth = 100 * time.Millisecond

// cubicRun is a CUBIC sender whose acknowledgements the test hands out.
type cubicRun struct {
	cc.Cubic
	s         cc.State
	now       mono.Time
	rtt       time.Duration
	delivered uint64
}

// newCubicRun is in congestion avoidance, at 0.7 of the window that it just lost
// at. That window is in bytes.
func newCubicRun(lostAt uint32, rtt time.Duration) *cubicRun {
	c := &cubicRun{s: cc.State{Cwnd: lostAt, SSThresh: cc.Infinite}, now: mono.Start, rtt: rtt}
	c.Init(&c.s, c.now, mss, 1)
	c.lose()
	return c
}

// sample is what an ACK for n bytes says while cwnd is the limit.
func (c *cubicRun) sample(n uint32) *cc.RateSample {
	c.delivered += uint64(n)
	return &cc.RateSample{Now: c.now, Acked: n, Delivered: n, Flight: c.s.Cwnd, RTT: c.rtt, SRTT: c.rtt, MSS: mss,
		TotalDelivered: c.delivered, PriorDelivered: c.delivered - min(c.delivered, uint64(c.s.Cwnd)), CwndLimited: true}
}

func (c *cubicRun) ack(n uint32) { c.OnAck(&c.s, c.sample(n)) }

// round acknowledges a window in n ACKs, evenly spread over a round trip.
func (c *cubicRun) round(n int) {
	left := c.s.Cwnd
	for i := range n {
		c.now = c.now.Add(c.rtt / time.Duration(n))
		share := left / uint32(n-i)
		left -= share
		c.ack(share)
	}
}

func (c *cubicRun) rounds(count, acks int) {
	for range count {
		c.round(acks)
	}
}

func (c *cubicRun) lose() {
	c.OnLossEvent(&c.s, &cc.Loss{Now: c.now, Flight: c.s.Cwnd, MSS: mss})
	c.s.Cwnd = c.s.SSThresh
	c.OnRecoveryExit(&c.s, c.now)
}

func (c *cubicRun) timeout(first bool) {
	c.OnRTO(&c.s, &cc.Loss{Now: c.now, Flight: c.s.Cwnd, MSS: mss}, first)
}

// within reports whether got is at most share of want away from it.
func within(got uint32, want, share float64) bool {
	return math.Abs(float64(got)-want) <= want*share
}

// The target is at most 1.5 cwnd and at least cwnd. RFC 9438 §4.2.
//
// So one ACK never adds more than half of what it acknowledges.
func TestR9438_4_2b_TargetClamp(t *testing.T) {
	c := newCubicRun(100_000, tenth)
	c.ack(mss)
	c.now = c.now.Add(time.Hour) // the curve is far above by now
	for range 1000 {
		before := c.s.Cwnd
		c.ack(mss)
		if d := c.s.Cwnd - before; d < mss/2-1 || d > mss/2+1 {
			t.Fatalf("one segment acknowledged added %d bytes to %d", d, before)
		}
	}
	c = newCubicRun(100_000, time.Millisecond) // the Reno-friendly region: the curve is below
	for range 2000 {
		before := c.s.Cwnd
		c.round(10)
		if c.s.Cwnd < before || c.s.Cwnd > before+mss+10 {
			t.Fatalf("a round made %d of %d", c.s.Cwnd, before)
		}
	}
}

// Time in which the application was the limit does not count. RFC 9438 §4.2, §5.8.
//
// The window goes on from where it was.
func TestR9438_4_2c_TimeWithoutUse(t *testing.T) {
	for name, pause := range map[string]func(*cubicRun){
		"nothing sent": func(c *cubicRun) {
			c.now = c.now.Add(time.Hour)
			c.OnSent(&c.s, c.now, mss, 0)
		},
		"sending little": func(c *cubicRun) {
			for range 3600 {
				c.now = c.now.Add(time.Second)
				r := c.sample(mss)
				r.CwndLimited = false
				c.OnAck(&c.s, r)
			}
		},
		"both": func(c *cubicRun) {
			for range 3600 {
				c.now = c.now.Add(time.Second)
				c.OnSent(&c.s, c.now, mss, 0)
				c.now = c.now.Add(c.rtt)
				r := c.sample(mss)
				r.CwndLimited = false
				c.OnAck(&c.s, r)
			}
		},
	} {
		busy, paused := newCubicRun(300_000, tenth), newCubicRun(300_000, tenth)
		busy.rounds(20, 50)
		paused.rounds(20, 50)
		pause(paused)
		if busy.s.Cwnd != paused.s.Cwnd {
			t.Errorf("%s: %d, want %d after the pause", name, paused.s.Cwnd, busy.s.Cwnd)
		}
		busy.rounds(60, 50)
		paused.rounds(60, 50)
		if busy.s.Cwnd != paused.s.Cwnd {
			t.Errorf("%s: %d, want %d at the end", name, paused.s.Cwnd, busy.s.Cwnd)
		}
	}
}

// A window of two segments, whose ACKs each empty the network, grows as if they
// did not: no time is lost between an ACK and the transmission it allows.
func TestCubicSmallWindowDoesNotFreeze(t *testing.T) {
	for _, rtt := range []time.Duration{time.Millisecond, 10 * time.Millisecond, tenth, time.Second} {
		c := newCubicRun(2*mss, rtt)
		other := newCubicRun(2*mss, rtt)
		for range 200 {
			c.OnSent(&c.s, c.now, mss, 0)
			c.round(1)
			other.round(1)
		}
		if c.s.Cwnd != other.s.Cwnd || c.s.Cwnd < 150*mss {
			t.Errorf("rtt %v: cwnd %d after 200 rounds, %d without pauses", rtt, c.s.Cwnd, other.s.Cwnd)
		}
	}
}

// Where the curve is slower than Reno, cwnd is W_est. RFC 9438 §4.3.
//
// That grows by α = 9/17 segments in a round until it is where cwnd was before
// the loss, then by one.
func TestR9438_4_3_RenoFriendly(t *testing.T) {
	c := newCubicRun(100_000, time.Millisecond)
	for n := range 200 {
		before := c.s.Cwnd
		c.round(100)
		want := mss * 9.0 / 17
		if before >= 100_000 {
			want = mss
		}
		crossing := before < 100_000 && c.s.Cwnd > 100_000
		if d := c.s.Cwnd - before; !crossing && !within(d, want, 0.02) {
			t.Fatalf("round %d from %d: %d bytes, want %.0f", n, before, d, want)
		}
	}
	if c.s.Cwnd < 200_000 {
		t.Errorf("%d after 200 rounds", c.s.Cwnd)
	}
}

// Below W_max each segment acknowledged adds (target-cwnd)/cwnd. RFC 9438 §4.4.
//
// So cwnd follows the curve to W_max.
func TestR9438_4_4_Concave(t *testing.T) {
	const wMax = 500_000
	c := newCubicRun(wMax, tenth)
	k := math.Cbrt(0.3 * wMax / mss / 0.4)
	c.ack(mss) // begins the stage
	start := c.now
	for range int(k / 0.1) {
		c.round(100)
		at := c.now.Sub(start).Seconds()
		want := wMax + 0.4*mss*math.Pow(at-k, 3)
		if at > 0.5 && !within(c.s.Cwnd, want, 0.01) {
			t.Errorf("after %.1f s: cwnd %d, want %.0f", at, c.s.Cwnd, want)
		}
		before := c.s.Cwnd
		target := wMax + 0.4*mss*math.Pow(at+0.1-k, 3)
		c.ack(mss)
		if d, want := c.s.Cwnd-before, (target-float64(before))/float64(before)*mss; math.Abs(float64(d)-want) > 1.01 {
			t.Fatalf("at %.1f s and %d: an ACK added %d, want %.2f", at, before, d, want)
		}
	}
	if c.s.Cwnd > wMax*1.01 {
		t.Errorf("cwnd %d, W_max %d", c.s.Cwnd, wMax)
	}
}

// Beyond W_max the same rule makes growth faster and faster. RFC 9438 §4.5.
func TestR9438_4_5_Convex(t *testing.T) {
	const wMax = 500_000
	c := newCubicRun(wMax, tenth)
	k := math.Cbrt(0.3 * wMax / mss / 0.4)
	c.ack(mss)
	start := c.now
	var last uint32
	for range 200 {
		before := c.s.Cwnd
		c.round(100)
		at := c.now.Sub(start).Seconds()
		if at < k+0.2 {
			continue
		}
		if want := wMax + 0.4*mss*math.Pow(at-k, 3); !within(c.s.Cwnd, want, 0.01) {
			t.Errorf("after %.1f s: cwnd %d, want %.0f", at, c.s.Cwnd, want)
		}
		if d := c.s.Cwnd - before; d < last {
			t.Errorf("after %.1f s: %d more, %d in the round before", at, d, last)
		} else {
			last = d
		}
	}
	if c.s.Cwnd < 2*wMax {
		t.Errorf("cwnd %d after 20 s", c.s.Cwnd)
	}
}

// A loss makes ssthresh 0.7 of FlightSize, two segments at least. RFC 9438 §4.6.
func TestR9438_4_6a_Reduction(t *testing.T) {
	for _, c := range []struct{ flight, want uint32 }{
		{100_000, 70_000}, {10_000, 7000}, {2858, 2000}, {2857, 2000}, {3000, 2100}, {1, 2000}, {0, 2000},
		{1 << 30, 751_619_276}, {math.MaxUint32, 3_006_477_106},
	} {
		s := cc.State{Cwnd: 100_000, SSThresh: cc.Infinite}
		cc.Cubic{}.OnLossEvent(&s, &cc.Loss{Flight: c.flight, MSS: mss})
		if s.SSThresh != c.want || s.Cwnd != 100_000 {
			t.Errorf("%d in flight: ssthresh %d, want %d; cwnd %d", c.flight, s.SSThresh, c.want, s.Cwnd)
		}
	}
}

// Marks may take cwnd down to one segment, and ssthresh to two. RFC 9438 §4.6.
func TestR9438_4_6a_MarksToOneSegment(t *testing.T) {
	s := cc.State{Cwnd: 10 * mss, SSThresh: 5 * mss}
	for range 20 {
		cc.Cubic{}.OnLossEvent(&s, &cc.Loss{Flight: s.Cwnd, MSS: mss, ECN: true})
		s.Cwnd = min(s.Cwnd, s.SSThresh)
	}
	if s.Cwnd != mss || s.SSThresh != 2*mss {
		t.Errorf("cwnd %d, ssthresh %d", s.Cwnd, s.SSThresh)
	}
}

// A window that is not used does not grow, in either phase. RFC 9438 §4.6, §5.8.
func TestR9438_4_6c_NoGrowthWithoutUse(t *testing.T) {
	for _, ssthresh := range []uint32{cc.Infinite, 50 * mss, mss} {
		c := &cubicRun{s: cc.State{Cwnd: 10 * mss, SSThresh: ssthresh}, now: mono.Start, rtt: tenth}
		for range 1000 {
			c.now = c.now.Add(c.rtt)
			r := c.sample(mss)
			r.CwndLimited = false
			c.OnAck(&c.s, r)
		}
		if c.s.Cwnd != 10*mss || c.s.SSThresh != ssthresh {
			t.Errorf("ssthresh %d: cwnd %d, ssthresh %d", ssthresh, c.s.Cwnd, c.s.SSThresh)
		}
	}
}

// After a timeout cwnd is one segment and ssthresh 0.7 of FlightSize. RFC 9438 §4.8.
//
// The next congestion avoidance begins flat at its own window.
func TestR9438_4_8_Timeout(t *testing.T) {
	c := newCubicRun(1_000_000, tenth)
	c.rounds(10, 50)
	flight := c.s.Cwnd
	c.timeout(true)
	if want := uint32(uint64(flight) * 7 / 10); c.s.Cwnd != mss || c.s.SSThresh != want {
		t.Fatalf("cwnd %d, ssthresh %d, want %d", c.s.Cwnd, c.s.SSThresh, want)
	}
	ssthresh := c.s.SSThresh
	c.timeout(false)
	if c.s.Cwnd != mss || c.s.SSThresh != ssthresh {
		t.Fatalf("second timeout: cwnd %d, ssthresh %d", c.s.Cwnd, c.s.SSThresh)
	}
	for c.s.Cwnd < c.s.SSThresh {
		before := c.s.Cwnd
		c.ack(mss)
		if c.s.Cwnd != min(before+mss, ssthresh) {
			t.Fatalf("slow start: %d after %d", c.s.Cwnd, before)
		}
	}
	for range 40 {
		c.round(100)
	}
	// K = 0, W_max = ssthresh; Reno's α would make 40 segments of these 40 rounds.
	if want := float64(ssthresh) + 0.4*mss*64; c.s.Cwnd < uint32(want) || c.s.Cwnd > uint32(want)+41*mss {
		t.Errorf("cwnd %d four seconds later, want %.0f or Reno's %d", c.s.Cwnd, want, ssthresh+40*mss)
	}
}

// What a spurious reduction took comes back, with the curve. RFC 9438 §4.9.
//
// Not if cwnd has outgrown it.
func TestR9438_4_9_Undo(t *testing.T) {
	for name, reduce := range map[string]func(*cubicRun){
		"loss":         (*cubicRun).lose,
		"timeout":      func(c *cubicRun) { c.timeout(true) },
		"two timeouts": func(c *cubicRun) { c.timeout(true); c.timeout(false) },
		"an outage":    func(c *cubicRun) { c.now = c.now.Add(time.Minute); c.timeout(true) },
		"loss, then ACKs": func(c *cubicRun) {
			now := c.now
			c.lose()
			c.rounds(2, 50)
			c.now = now
		},
	} {
		other, c := newCubicRun(500_000, tenth), newCubicRun(500_000, tenth)
		other.rounds(20, 50)
		c.rounds(20, 50)
		reduce(c)
		c.OnUndo(&c.s, c.now)
		if c.s.Cwnd != other.s.Cwnd || c.s.SSThresh != other.s.SSThresh {
			t.Errorf("%s: cwnd %d, ssthresh %d, want %d and %d", name, c.s.Cwnd, c.s.SSThresh, other.s.Cwnd, other.s.SSThresh)
		}
		other.rounds(50, 50)
		c.rounds(50, 50)
		if !within(c.s.Cwnd, float64(other.s.Cwnd), 0.001) {
			t.Errorf("%s: %d five seconds later, want %d", name, c.s.Cwnd, other.s.Cwnd)
		}
		before := c.s
		c.OnUndo(&c.s, c.now)
		if c.s.Cwnd != before.Cwnd || c.s.SSThresh != before.SSThresh {
			t.Errorf("%s: undone twice", name)
		}
	}
	c := newCubicRun(20_000, time.Millisecond)
	c.rounds(100, 10)
	grown := c.s
	c.OnUndo(&c.s, c.now)
	if grown.Cwnd <= 20_000 || c.s.Cwnd != grown.Cwnd || c.s.SSThresh != grown.SSThresh {
		t.Errorf("outgrown: cwnd %d became %d, ssthresh %d", grown.Cwnd, c.s.Cwnd, c.s.SSThresh)
	}
	small := &cubicRun{s: cc.State{Cwnd: mss, SSThresh: 70_000}, now: mono.Start} // slow start after a timeout
	small.lose()
	small.OnUndo(&small.s, small.now)
	if small.s.Cwnd != 2*mss || small.s.SSThresh != 70_000 {
		t.Errorf("after the floor: cwnd %d, ssthresh %d", small.s.Cwnd, small.s.SSThresh)
	}
	var fresh cc.State
	cc.Cubic{}.OnUndo(&fresh, 1)
	if fresh.Cwnd != 0 || fresh.Ext != nil {
		t.Error("undo of nothing did something")
	}
}

// Below ssthresh slow start is used, above it the curve. RFC 9438 §4.10.
//
// One ACK may reach into both.
func TestR9438_4_10_SlowStart(t *testing.T) {
	for _, c := range []struct {
		cwnd, ssthresh, acked, want uint32
		paced                       bool
	}{
		{4000, cc.Infinite, 1000, 5000, false},
		{4000, cc.Infinite, 64_000, 12_000, false},
		{4000, cc.Infinite, 64_000, 68_000, true},
		{4000, 6000, 1000, 5000, false},
		{4000, 6000, 2000, 6000, false},
		{4000, 6000, 4000, 6333, false}, // the rest: 1000·2000/6000 as Reno
		{1 << 30, cc.Infinite, 1000, 1 << 30, false},
		{1<<30 - 10, cc.Infinite, 1000, 1 << 30, false},
		{1 << 30, 1 << 29, 1000, 1 << 30, false},
		{3 << 30, 1 << 29, 1 << 31, 3 << 30, false},
	} {
		r := cubicRun{s: cc.State{Cwnd: c.cwnd, SSThresh: c.ssthresh}, now: mono.Start}
		sample := r.sample(c.acked)
		sample.Paced = c.paced
		r.OnAck(&r.s, sample)
		if r.s.Cwnd != c.want || r.s.SSThresh != c.ssthresh {
			t.Errorf("%+v: cwnd %d, ssthresh %d", c, r.s.Cwnd, r.s.SSThresh)
		}
	}
}

// A mark makes ssthresh 0.85 of FlightSize in congestion avoidance. RFC 8511 §3.1, §4.
//
// In slow start it counts like a loss.
func TestR8511_3_1_MarkCostsLess(t *testing.T) {
	for _, c := range []struct{ cwnd, ssthresh, flight, wantSS, wantCwnd uint32 }{
		{100_000, 50_000, 100_000, 85_000, 85_000},
		{100_000, 50_000, 60_000, 51_000, 51_000},
		{100_000, 100_000, 100_000, 70_000, 70_000},
		{100_000, cc.Infinite, 100_000, 70_000, 70_000},
		{2000, 1500, 2000, 2000, 1700},
		{1000, 500, 1000, 2000, 1000},
		{1000, 500, 0, 2000, 1000},
	} {
		s := cc.State{Cwnd: c.cwnd, SSThresh: c.ssthresh}
		cc.Cubic{}.OnLossEvent(&s, &cc.Loss{Flight: c.flight, MSS: mss, ECN: true})
		if s.SSThresh != c.wantSS || s.Cwnd != c.wantCwnd {
			t.Errorf("%+v: ssthresh %d, cwnd %d", c, s.SSThresh, s.Cwnd)
		}
	}
}

// After a pause cwnd is the restart window at most, and slow start leads back to
// 3/4 of where it was.
func TestCubicIdleRestart(t *testing.T) {
	for _, c := range []struct{ cwnd, ssthresh, wantCwnd, wantSS uint32 }{
		{100_000, 50_000, 10_000, 75_000},
		{100_000, 90_000, 10_000, 90_000},
		{100_000, cc.Infinite, 10_000, cc.Infinite},
		{10_000, 5000, 10_000, 5000},
		{3000, 5000, 3000, 5000},
	} {
		s := cc.State{Cwnd: c.cwnd, SSThresh: c.ssthresh}
		cc.Cubic{}.OnIdleRestart(&s, 1, 10_000)
		if s.Cwnd != c.wantCwnd || s.SSThresh != c.wantSS {
			t.Errorf("%+v: cwnd %d, ssthresh %d", c, s.Cwnd, s.SSThresh)
		}
	}
	c := newCubicRun(200_000, tenth)
	c.rounds(60, 50)
	was := c.s.Cwnd
	c.now = c.now.Add(time.Hour)
	c.OnIdleRestart(&c.s, c.now, 10_000)
	c.OnSent(&c.s, c.now, 10_000, 0)
	for range 6 {
		c.round(50)
	}
	if c.s.Cwnd < was/4*3 || c.s.Cwnd > was {
		t.Errorf("%d six rounds after a pause, %d before it", c.s.Cwnd, was)
	}
	c.rounds(100, 50)
	if c.s.Cwnd < was {
		t.Errorf("%d after a pause, %d before it", c.s.Cwnd, was)
	}
}

// An ACK of 64 KiB makes the window grow as the many small ones of the same
// instant would, in every phase.
func TestCubicStretchACKs(t *testing.T) {
	for _, rtt := range []time.Duration{time.Millisecond, 10 * time.Millisecond, tenth} {
		for _, lostAt := range []uint32{200_000, 2_000_000, 5_000_000} {
			one, many, spread := newCubicRun(lostAt, rtt), newCubicRun(lostAt, rtt), newCubicRun(lostAt, rtt)
			for n := range 150 {
				for left := one.s.Cwnd; left > 0; {
					n := min(left, 64*mss)
					step := time.Duration(uint64(rtt) * uint64(n) / uint64(one.s.Cwnd))
					left -= n
					one.now, many.now = one.now.Add(step), many.now.Add(step)
					one.ack(n)
					for range n / mss {
						many.ack(mss)
					}
					many.ack(n % mss)
				}
				spread.round(int(spread.s.Cwnd / mss))
				if !within(one.s.Cwnd, float64(many.s.Cwnd), 0.005) || !within(one.s.Cwnd, float64(spread.s.Cwnd), 0.03) {
					t.Fatalf("rtt %v, lost at %d, round %d: %d, with small ACKs %d, with spread ones %d",
						rtt, lostAt, n, one.s.Cwnd, many.s.Cwnd, spread.s.Cwnd)
				}
			}
		}
	}
}

// Dividing ACKs gains nothing: bytes are counted. RFC 3465 §2.
func TestCubicACKDivision(t *testing.T) {
	for _, rtt := range []time.Duration{time.Millisecond, tenth} {
		whole, bytes := newCubicRun(100_000, rtt), newCubicRun(100_000, rtt)
		for range 2000 {
			whole.now, bytes.now = whole.now.Add(rtt/70), bytes.now.Add(rtt/70)
			whole.ack(mss)
			for range mss {
				bytes.ack(1)
			}
		}
		if bytes.s.Cwnd > whole.s.Cwnd+whole.s.Cwnd/100 {
			t.Errorf("rtt %v: %d with whole ACKs, %d with single bytes", rtt, whole.s.Cwnd, bytes.s.Cwnd)
		}
	}
}

// A connection that changes to CUBIC in the middle of its life keeps its window
// and grows from there as Reno would at least.
func TestCubicTakesOver(t *testing.T) {
	c := &cubicRun{s: cc.State{Cwnd: 80_000, SSThresh: 40_000, Ext: "another's"}, now: mono.Start.Add(time.Hour), rtt: tenth}
	c.Init(&c.s, c.now, mss, 1)
	if c.s.Cwnd != 80_000 || c.s.SSThresh != 40_000 || c.s.Ext != nil {
		t.Fatalf("%+v", c.s)
	}
	c.rounds(20, 40)
	if c.s.Cwnd < 99_000 || c.s.Cwnd > 110_000 {
		t.Errorf("cwnd %d after 20 rounds", c.s.Cwnd)
	}
}

// A connection that has sent nothing, or has never filled its window, has no
// state.
func TestCubicStateAtFirstNeed(t *testing.T) {
	s := cc.State{Cwnd: 4000, SSThresh: cc.Infinite}
	var a cc.Algorithm = cc.Cubic{}
	a.Init(&s, 1, mss, 1)
	a.OnSent(&s, 1, 1000, 0)
	a.OnRecoveryExit(&s, 1)
	a.OnIdleRestart(&s, 1, 1000)
	if cwnd, pacing := a.Control(&s); s.Ext != nil || cwnd != 1000 || pacing != 0 || a.Name() != "cubic" {
		t.Errorf("%s: %+v, cwnd %d, pacing %d", a.Name(), s, cwnd, pacing)
	}
	a.OnAck(&s, &cc.RateSample{Acked: 1, MSS: mss})
	if s.Ext != nil {
		t.Error("something is remembered of an exchange that never filled the window")
	}
	a.OnAck(&s, &cc.RateSample{Acked: 1, MSS: mss, CwndLimited: true})
	if s.Ext == nil {
		t.Error("nothing remembered")
	}
}

// step drives c with one arbitrary event and checks what must hold after each:
// an ACK never shrinks cwnd nor grows it by more than it acknowledged, and cwnd
// stays between one segment and 1 GiB.
func (c *cubicRun) step(t *testing.T, what, arg, size uint32) {
	const maxWindow = 1 << 30
	before := c.s
	segment := size%9000 + 1
	c.now = c.now.Add(time.Duration(uint64(arg)*uint64(arg)) >> (what % 40))
	switch what >> 8 % 16 {
	case 0:
		c.OnLossEvent(&c.s, &cc.Loss{Now: c.now, Flight: min(arg, c.s.Cwnd), MSS: segment, ECN: size%2 == 0})
		c.s.Cwnd = min(c.s.Cwnd, c.s.SSThresh)
	case 1:
		c.OnRTO(&c.s, &cc.Loss{Now: c.now, Flight: min(arg, maxWindow), MSS: segment}, size%3 != 0)
	case 2:
		c.OnUndo(&c.s, c.now)
	case 3:
		c.OnIdleRestart(&c.s, c.now, 10*segment)
	case 4:
		c.OnSent(&c.s, c.now, segment, arg%2)
	case 5:
		c.OnRecoveryExit(&c.s, c.now)
	default:
		r := c.sample(arg % (c.s.Cwnd + 1))
		r.CwndLimited, r.Paced, r.MSS = what%8 != 0, what%3 == 0, segment
		r.RTT = time.Duration(size) << (what % 4)
		r.SRTT = r.RTT
		c.OnAck(&c.s, r)
		if c.s.Cwnd < before.Cwnd || c.s.Cwnd-before.Cwnd > r.Acked+segment+1 || !r.CwndLimited && c.s.Cwnd != before.Cwnd {
			t.Fatalf("%+v made cwnd %d of %d", r, c.s.Cwnd, before.Cwnd)
		}
	}
	if c.s.Cwnd == 0 || c.s.Cwnd > maxWindow || c.s.SSThresh == 0 {
		t.Fatalf("event %d (%d, %d): %+v of %+v", what, arg, size, c.s, before)
	}
}

// A million arbitrary events overflow nothing.
func TestCubicArbitraryEvents(t *testing.T) {
	seed := uint64(9438)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 100 {
		c := &cubicRun{s: cc.State{Cwnd: rng.Uint32()>>(2+rng.Uint32()%16) + 1, SSThresh: cc.Infinite}, now: mono.Start}
		for range 10_000 {
			c.step(t, rng.Uint32(), rng.Uint32()>>(rng.Uint32()%32), rng.Uint32()>>(rng.Uint32()%32))
		}
	}
}

// However a connection was treated, it grows again once it is used and nothing
// is lost: within 100 rounds to 60 segments more.
func TestCubicNeverFreezes(t *testing.T) {
	rng := rand.New(rand.NewPCG(2026, 5))
	for n := range 300 {
		c := &cubicRun{s: cc.State{Cwnd: 10 * mss, SSThresh: cc.Infinite}, now: mono.Start}
		for range 200 {
			c.step(t, rng.Uint32(), rng.Uint32()>>(rng.Uint32()%32), rng.Uint32()>>(rng.Uint32()%32))
		}
		before := min(c.s.Cwnd, 1<<29)
		c.rtt = tenth
		for range 100 {
			c.OnSent(&c.s, c.now, mss, 0)
			c.round(4)
		}
		if c.s.Cwnd < before+50*mss {
			t.Fatalf("history %d: cwnd %d after 100 rounds, %d before", n, c.s.Cwnd, before)
		}
	}
}

func FuzzCubic(f *testing.F) {
	f.Add([]byte{9, 0, 1, 2, 3, 4, 5, 6})
	f.Add([]byte("\x06\x10\xff\xff\x00\x00\xff\x00\x00\x0a\xff\x00\xff\x00\x01\x0a\x00\x01\x00\x00\x08\x0a\xff\xff\xff\xff\x7f\x0a"))
	f.Add([]byte("loss and timeout and undo and idle and growth, each at some time or other"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &cubicRun{s: cc.State{Cwnd: 10 * mss, SSThresh: cc.Infinite}, now: mono.Start}
		for ; len(b) >= 6; b = b[6:] {
			arg := uint32(b[2])<<16 | uint32(b[3])<<8 | uint32(b[4])
			c.step(t, uint32(b[0])<<8|uint32(b[1]), arg<<(b[5]%9), uint32(b[4])<<8|uint32(b[5]))
		}
	})
}

// Once the state is there nothing is allocated.
func TestCubicAllocatesNothing(t *testing.T) {
	var a cc.Algorithm = cc.Cubic{}
	c := newCubicRun(100_000, tenth)
	sample, loss := c.sample(mss), &cc.Loss{Flight: 100_000, MSS: mss}
	n := testing.AllocsPerRun(1000, func() {
		sample.Now = sample.Now.Add(time.Millisecond)
		a.OnSent(&c.s, 1, 1000, 0)
		a.OnAck(&c.s, sample)
		a.OnLossEvent(&c.s, loss)
		a.OnAck(&c.s, sample)
		a.OnRTO(&c.s, loss, true)
		a.OnAck(&c.s, sample)
		a.OnUndo(&c.s, 1)
		a.OnIdleRestart(&c.s, 1, 10_000)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Every algorithm goes by its name, and by no other.
func TestByName(t *testing.T) {
	names := cc.Names()
	if !slices.Equal(names, []string{"reno", "cubic", "bbr"}) {
		t.Errorf("%q", names)
	}
	for _, name := range names {
		if a, ok := cc.ByName(name); !ok || a.Name() != name {
			t.Errorf("%s: %v, %v", name, a, ok)
		}
	}
	for _, name := range []string{"", "Cubic", "vegas"} {
		if a, ok := cc.ByName(name); ok || a != nil {
			t.Errorf("%q: %v, %v", name, a, ok)
		}
	}
	names[0] = "changed"
	if cc.Names()[0] != "reno" {
		t.Error("the caller's slice is the table")
	}
}

func BenchmarkCubicOnAck(b *testing.B) {
	for name, rtt := range map[string]time.Duration{"curve": tenth, "reno": time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			c := newCubicRun(1_000_000, rtt)
			c.ack(mss)
			r := c.sample(mss)
			was := c.s
			b.ReportAllocs()
			for b.Loop() {
				r.Now = r.Now.Add(time.Microsecond)
				c.OnAck(&c.s, r)
				c.s.Cwnd = was.Cwnd
			}
		})
	}
}

func BenchmarkCubicEpoch(b *testing.B) {
	c := newCubicRun(1_000_000, tenth)
	for b.Loop() {
		c.s.Cwnd = 1_000_000
		c.lose()
		c.ack(mss)
	}
}
