package cc_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
)

// hyRun is a CUBIC sender in its initial slow start.
type hyRun struct {
	cubicRun
	began uint64 // delivered after the first ACK of the last round: what left next knows of it
	paced bool
}

func newHyRun() *hyRun {
	return &hyRun{cubicRun: cubicRun{s: cc.State{Cwnd: 100 * mss, SSThresh: cc.Infinite}, now: mono.Start}}
}

const usual = 40 * time.Millisecond // so that 5 ms more are noticed

// acks hands out n ACKs of one segment for packets of one round; newRound says
// whether a round begins with the first. It returns what they added to cwnd.
func (h *hyRun) acks(n int, rtt time.Duration, newRound bool) uint32 {
	before, prior := h.s.Cwnd, h.began
	for i := range n {
		h.now = h.now.Add(rtt / time.Duration(n))
		r := h.sample(mss)
		r.RTT, r.Paced, r.PriorDelivered = rtt, h.paced, prior
		if !newRound {
			r.PriorDelivered = 0
		} else if i == 0 {
			h.began = h.delivered
		}
		h.OnAck(&h.s, r)
	}
	return h.s.Cwnd - before
}

// inCSS has just entered CSS with the eighth ACK of a round at 50 ms.
func inCSS(t *testing.T) *hyRun {
	h := newHyRun()
	h.acks(10, usual, true)
	h.acks(10, usual, true)
	if d := h.acks(8, usual+10*time.Millisecond, true); d != 8*mss {
		t.Fatalf("8 samples added %d", d)
	}
	return h
}

// An ACK adds what it acknowledges, unpaced 8 segments at most. RFC 9406 §4.2.
func TestR9406_4_2a_Growth(t *testing.T) {
	for _, c := range []struct {
		acked, want uint32
		paced       bool
	}{{1, 1, false}, {mss, mss, false}, {8 * mss, 8 * mss, false}, {64 * mss, 8 * mss, false}, {64 * mss, 64 * mss, true}} {
		h := newHyRun()
		r := h.sample(c.acked)
		r.Paced = c.paced
		h.OnAck(&h.s, r)
		if d := h.s.Cwnd - 100*mss; d != c.want {
			t.Errorf("%+v: added %d", c, d)
		}
	}
}

// A round whose least RTT is an eighth longer, 4 to 16 ms, begins CSS. RFC 9406 §4.2.
func TestR9406_4_2b_DelayIncrease(t *testing.T) {
	for _, c := range []struct{ last, threshold time.Duration }{
		{time.Millisecond, 4 * time.Millisecond},
		{31 * time.Millisecond, 4 * time.Millisecond},
		{32 * time.Millisecond, 4 * time.Millisecond},
		{80 * time.Millisecond, 10 * time.Millisecond},
		{128 * time.Millisecond, 16 * time.Millisecond},
		{time.Second, 16 * time.Millisecond},
	} {
		for _, over := range []bool{false, true} {
			h := newHyRun()
			h.acks(20, c.last, true)
			rtt, want := c.last+c.threshold-time.Microsecond, uint32(20*mss)
			if over {
				rtt, want = c.last+c.threshold, 8*mss+12*mss/4
			}
			if d := h.acks(20, rtt, true); d != want {
				t.Errorf("%v after %v: 20 segments added %d, want %d", rtt, c.last, d, want)
			}
		}
	}
}

// The least RTT of a round counts, one short one among many long. RFC 9406 §4.2.
func TestR9406_4_2c_MinimumOfRound(t *testing.T) {
	h := newHyRun()
	h.acks(20, usual, true)
	h.acks(1, usual, true)
	if d := h.acks(19, 3*usual, false); d != 19*mss {
		t.Errorf("19 segments added %d", d)
	}
}

// Fewer than 8 samples in a round decide nothing. RFC 9406 §4.2.
func TestR9406_4_2d_EightSamples(t *testing.T) {
	h := newHyRun()
	h.acks(20, usual, true)
	if d := h.acks(7, 3*usual, true); d != 7*mss {
		t.Errorf("7 samples: added %d", d)
	}
	if d := h.acks(1, 3*usual, false); d != mss {
		t.Errorf("the eighth: added %d", d)
	}
	if d := h.acks(4, 3*usual, false); d != mss {
		t.Errorf("four after it: added %d", d)
	}
}

// CSS adds a quarter of what is acknowledged, to the byte. RFC 9406 §4.2.
func TestR9406_4_2e_CSSGrowth(t *testing.T) {
	h := inCSS(t)
	before := h.s.Cwnd
	for range 400 {
		h.OnAck(&h.s, h.inRound(1))
	}
	if d := h.s.Cwnd - before; d != 100 {
		t.Errorf("400 ACKs of a byte added %d", d)
	}
	h.OnAck(&h.s, h.inRound(64*mss))
	if d := h.s.Cwnd - before; d != 100+2*mss {
		t.Errorf("64 segments in one ACK added %d", d-100)
	}
}

// inRound is an ACK of n bytes of the round that goes on.
func (h *hyRun) inRound(n uint32) *cc.RateSample {
	r := h.sample(n)
	r.RTT, r.PriorDelivered = usual+10*time.Millisecond, 0
	return r
}

// When the RTT falls below the one that began CSS, slow start goes on. RFC 9406 §4.2.
func TestR9406_4_2f_Resume(t *testing.T) {
	h := inCSS(t)
	for n := range 3 {
		if d := h.acks(20, usual+10*time.Millisecond, true); d != 5*mss {
			t.Fatalf("round %d of CSS: added %d", n, d)
		}
	}
	h.acks(8, usual, true) // resumes with the eighth
	if d := h.acks(12, usual, false); d != 12*mss {
		t.Errorf("12 segments added %d", d)
	}
	for n := range 20 {
		if d := h.acks(20, usual, true); d != 20*mss || h.s.SSThresh != cc.Infinite {
			t.Fatalf("round %d of slow start: added %d, ssthresh %d", n, d, h.s.SSThresh)
		}
	}
}

// CSS ends slow start after 5 rounds, the one it began in included. RFC 9406 §4.2.
//
// ssthresh is cwnd, and growth goes on flat from there: RFC 9438 §4.10.
func TestR9406_4_2g_FiveRounds(t *testing.T) {
	h := inCSS(t)
	h.rtt = usual + 10*time.Millisecond
	for n := range 4 {
		if d := h.acks(20, h.rtt, true); d != 5*mss || h.s.SSThresh != cc.Infinite {
			t.Fatalf("round %d: added %d, ssthresh %d", n+2, d, h.s.SSThresh)
		}
	}
	before := h.s.Cwnd
	h.acks(1, h.rtt, true)
	if h.s.SSThresh != before || h.s.Cwnd-before > mss/50 {
		t.Fatalf("after 5 rounds: ssthresh %d, cwnd %d after %d", h.s.SSThresh, h.s.Cwnd, before)
	}
	for range 10 {
		h.round(40)
	}
	if d := h.s.Cwnd - before; d < 9*mss || d > 11*mss { // K = 0: Reno's pace
		t.Errorf("ten rounds added %d", d)
	}
}

// A loss or a mark ends it as well. RFC 9406 §4.2.
func TestR9406_4_2h_LossEndsIt(t *testing.T) {
	for _, ecn := range []bool{false, true} {
		h := inCSS(t)
		h.OnLossEvent(&h.s, &cc.Loss{Now: h.now, Flight: h.s.Cwnd, MSS: mss, ECN: ecn})
		h.s.Cwnd = h.s.SSThresh
		if d := h.acks(20, usual, true); d > mss || h.s.SSThresh == cc.Infinite {
			t.Errorf("mark %v: 20 segments added %d, ssthresh %d", ecn, d, h.s.SSThresh)
		}
	}
}

// Only the initial slow start is watched, none after a timeout. RFC 9406 §4.3.
func TestR9406_4_3_InitialOnly(t *testing.T) {
	h := newHyRun()
	h.acks(20, usual, true)
	h.timeout(true)
	for n := range 2 {
		if d := h.acks(20, usual*time.Duration(n+2), true); d != 20*mss {
			t.Errorf("20 segments added %d", d)
		}
	}
}

// A receiver that acknowledges rarely gives rounds of few samples. They are
// judged together, by the yardstick of the rounds before.
func TestHyStartRoundsOfFewACKs(t *testing.T) {
	for perRound := 1; perRound <= 7; perRound++ {
		h := newHyRun()
		for range 10 {
			h.acks(perRound, usual, true)
		}
		// A group of rounds that began before the increase must run out first.
		for n := 1; h.s.SSThresh == cc.Infinite; n++ {
			if n > 2*(8/perRound+1)+5 {
				t.Fatalf("%d ACKs a round: no end of slow start after %d rounds", perRound, n)
			}
			h.acks(perRound, usual+10*time.Millisecond, true)
		}
	}
}

// A sender that does not fill its window stays in slow start: the queue is not
// its own.
func TestHyStartWithoutUse(t *testing.T) {
	h := newHyRun()
	h.acks(20, usual, true)
	for range 20 {
		h.began = h.delivered
		for range 10 {
			r := h.sample(mss)
			r.RTT, r.PriorDelivered, r.CwndLimited = 3*usual, h.began, false
			h.OnAck(&h.s, r)
		}
	}
	if h.s.SSThresh != cc.Infinite {
		t.Fatalf("ssthresh %d", h.s.SSThresh)
	}
	if d := h.acks(20, 3*usual, true); d != 20*mss {
		t.Errorf("the round trip is longer by now, but constant: 20 segments added %d", d)
	}
}

// Samples without an RTT, or without any count of what was delivered, end
// nothing.
func TestHyStartWithoutSamples(t *testing.T) {
	for _, rtt := range []time.Duration{0, usual} {
		s := cc.State{Cwnd: 10 * mss, SSThresh: cc.Infinite}
		for n := range 1000 {
			cc.Cubic{}.OnAck(&s, &cc.RateSample{Acked: mss, MSS: mss, CwndLimited: true, RTT: rtt * time.Duration(n)})
		}
		if s.Cwnd != 1010*mss {
			t.Errorf("rtt %v: cwnd %d", rtt, s.Cwnd)
		}
	}
}

// On a path with a queue growth slows at one to two and a quarter times what the
// path holds without it, however the receiver acknowledges.
func TestHyStartFindsThePath(t *testing.T) {
	for _, c := range []struct {
		rtt  time.Duration
		bdp  uint32 // bytes
		each uint32 // bytes for one ACK
	}{
		{20 * time.Millisecond, 100 * mss, 2 * mss}, {20 * time.Millisecond, 1000 * mss, 2 * mss},
		{tenth, 1000 * mss, 2 * mss}, {tenth, 10_000 * mss, 2 * mss},
		{20 * time.Millisecond, 1000 * mss, 44 * mss}, {tenth, 10_000 * mss, 44 * mss},
	} {
		h := newHyRun()
		h.s.Cwnd = 10 * mss
		var slowed uint32
		for n := 0; slowed == 0 && n < 20; n++ {
			prior := h.began
			for left := h.s.Cwnd; left > 0 && slowed == 0; {
				acked := min(left, c.each)
				before, first := h.s.Cwnd, left == h.s.Cwnd
				left -= acked
				r := h.sample(acked)
				// What the path cannot hold waits in the queue.
				r.RTT = c.rtt * time.Duration(max(before, c.bdp)) / time.Duration(c.bdp)
				r.Paced, r.PriorDelivered = true, prior
				if first {
					h.began = h.delivered
				}
				if h.OnAck(&h.s, r); h.s.Cwnd-before < acked {
					slowed = before
				}
			}
		}
		if slowed < c.bdp || slowed > c.bdp/4*9 {
			t.Errorf("%+v: slow start slowed at %d, cwnd %d", c, slowed, h.s.Cwnd)
		}
	}
}
