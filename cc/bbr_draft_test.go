package cc

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// The example test cases of draft-ietf-ccwg-bbr, appendix "BBR Example Test
// Cases", in its order: Startup, Drain and ProbeBW.

const (
	mbit       = 1_000_000
	ms         = time.Millisecond
	bbrTestRTT = 40 * ms // round trip of most tests
)

// took reports whether the flow ever went from one state to the other.
func (f *bbrTestFlow) took(from, to bbrMode) bool {
	return f.b.edges>>(8*uint(from)+uint(to))&1 != 0
}

// within reports whether got is at most p percent away from want.
func within(got, want, p uint64) bool {
	return got*100 >= want*(100-p) && got*100 <= want*(100+p)
}

// Startup ends when three rounds bring less than 25 % more; the bandwidth is
// known within 2 %.
func TestBBR_fp_StartupPlateau(t *testing.T) {
	for _, bits := range []uint64{mbit, 20 * mbit, 100 * mbit} {
		for _, rtt := range []time.Duration{5 * ms, bbrTestRTT, 500 * ms} {
			w := newBBRWorld(t, 1, bits, rtt, 100)
			w.limit = max(w.limit, 100*bbrTestMSS)
			f := w.addFlow()
			w.until("end of Startup", 30*time.Second, func() bool { return f.b.mode != bbrStartup })
			if !within(f.b.maxBw, w.rate, 2) {
				t.Errorf("%d bit/s, %v: max_bw %d, the bottleneck has %d", bits, rtt, f.b.maxBw, w.rate)
			}
			if f.b.fullBwCount != 3 || !f.b.fullBwNow || !f.b.fullBwReached || !f.took(bbrStartup, bbrDrain) {
				t.Errorf("%d bit/s, %v: full_bw_count %d, now %v, reached %v, %v", bits, rtt, f.b.fullBwCount, f.b.fullBwNow, f.b.fullBwReached, f.log)
			}
		}
	}
}

// Startup ends on loss of more than 2 % in six places of one round, also when
// the program is the limit; five places do not end it.
func TestBBR_sl_StartupLoss(t *testing.T) {
	for _, c := range []struct {
		drop int
		ends bool
	}{{5, false}, {40, true}} {
		w := newBBRWorld(t, 1, 100*mbit, 100*ms, 10)
		f := w.addFlow()
		f.appRate = 2_000_000
		w.run(2 * time.Second)
		if !f.sample.AppLimited || f.b.mode != bbrStartup {
			t.Fatalf("%v, application-limited %v", f.b.mode, f.sample.AppLimited)
		}
		w.dropNext = c.drop
		w.run(time.Second)
		if f.b.fullBwReached != c.ends || f.b.fullBwNow != c.ends || (f.b.mode != bbrStartup) != c.ends {
			t.Errorf("%d lost: %v, full pipe %v", c.drop, f.b.mode, f.b.fullBwReached)
		}
		if c.ends && (!f.took(bbrStartup, bbrDrain) || f.b.inflightLongterm < 150_000 || f.b.inflightLongterm > 400_000) {
			t.Errorf("%v, inflight_longterm %d; 200,000 are in flight", f.log, f.b.inflightLongterm)
		}
	}
}

// Drain paces at half the bandwidth until what is in flight is the BDP.
func TestBBR_dr_Inflight(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrDrain, 5*time.Second)
	start := f.b.drainStartRound
	if want := f.b.bw * 50 / 100 * 99 / 100; !within(f.b.pacing, want, 1) {
		t.Errorf("pacing %d, want %d", f.b.pacing, want)
	}
	for f.b.mode == bbrDrain {
		if f.b.inflight <= f.b.inflightFor(f.b.bw) && f.b.lastACK == w.now && f.log[len(f.log)-1].at != w.now {
			t.Fatalf("%v: still Drain with %d in flight", w.now, f.b.inflight)
		}
		w.step()
	}
	if f.b.inflight > f.b.inflightFor(f.b.bw) || f.b.roundCount > start+3 {
		t.Errorf("left with %d in flight, after %d rounds", f.b.inflight, f.b.roundCount-start)
	}
	if !f.took(bbrDrain, bbrDown) {
		t.Errorf("Drain led to %v", f.b.mode)
	}
}

// Drain ends after three rounds, whatever is in flight.
func TestBBR_dr_Rounds(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrDrain, 5*time.Second)
	w.rate /= 4 // slower than Drain sends
	start := f.b.drainStartRound
	w.until("end of Drain", 5*time.Second, func() bool { return f.b.mode != bbrDrain })
	if f.b.mode != bbrDown || f.b.roundCount != start+4 || f.b.inflight <= f.b.inflightFor(f.b.bw) {
		t.Errorf("%v after %d rounds with %d in flight, the BDP is %d", f.b.mode, f.b.roundCount-start, f.b.inflight, f.b.inflightFor(f.b.bw))
	}
}

// ProbeBW_UP ends when three rounds bring less than 25 % more.
func TestBBR_fp_UpPlateau(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrUp, 10*time.Second)
	rounds := f.b.roundCount
	if f.b.fullBwNow {
		t.Error("the detector was not reset")
	}
	w.until("end of UP", 5*time.Second, func() bool { return f.b.mode != bbrUp })
	if f.b.mode != bbrDown || f.b.fullBwCount != 3 || !f.b.fullBwNow || f.b.roundCount < rounds+3 || w.dropped != 0 {
		t.Errorf("%v, full_bw_count %d after %d rounds, dropped %d", f.b.mode, f.b.fullBwCount, f.b.roundCount-rounds, w.dropped)
	}
}

// Loss of more than 2 % ends ProbeBW_UP also when the program is the limit;
// such loss says nothing about how much the path takes, so inflight_longterm
// stays.
func TestBBR_ls_UpLossApplicationLimited(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrUp, 10*time.Second)
	f.appRate = w.rate / 2
	w.run(200 * ms)
	if f.b.mode != bbrUp || !f.b.limited {
		t.Fatalf("%v, application-limited %v", f.b.mode, f.b.limited)
	}
	w.dropNext = 10
	w.until("end of UP", time.Second, func() bool { return f.b.mode != bbrUp })
	if !f.took(bbrUp, bbrDown) || !f.b.prevTooHigh || f.b.undoMode != bbrUp || f.b.inflightLongterm != bbrNoVolume {
		t.Errorf("%v, too high %v, inflight_longterm %d", f.b.mode, f.b.prevTooHigh, f.b.inflightLongterm)
	}
}

// Without loss, a program that sends less than the path takes keeps BBR in
// Startup, or in ProbeBW_UP.
func TestBBR_fp_StaysApplicationLimited(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 10)
	f := w.addFlow()
	f.appRate = w.rate / 10
	w.run(9 * time.Second)
	if f.b.mode != bbrStartup || len(f.log) != 1 {
		t.Errorf("Startup was left: %v", f.log)
	}

	w = newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f = w.addFlow()
	w.untilMode(f, bbrProbeRTT, 15*time.Second) // the next one is 10 s away
	w.untilMode(f, bbrUp, 5*time.Second)
	f.appRate = w.rate / 10
	n := len(f.log)
	w.run(5 * time.Second)
	if len(f.log) != n || f.b.roundCount < 100 {
		t.Errorf("UP was left: %v", f.log[n:])
	}
}

// ProbeBW_DOWN paces at 90 % until what is in flight leaves headroom below both
// inflight_longterm and the BDP.
func TestBBR_st_DownInflight(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 5)
	f := w.addFlow()
	w.until("loss while probing", 10*time.Second, func() bool { return f.b.inflightLongterm != bbrNoVolume })
	w.untilMode(f, bbrUp, 10*time.Second)
	w.untilMode(f, bbrDown, 10*time.Second)
	w.step()
	for seen := false; f.b.mode == bbrDown; w.step() {
		if f.b.lastACK == w.now && f.b.rate != 0 && !seen {
			seen = true
			if want := f.b.bw * 90 / 100 * 99 / 100; !within(f.b.pacing, want, 1) {
				t.Errorf("pacing %d, want %d", f.b.pacing, want)
			}
		}
	}
	if f.b.mode != bbrCruise || f.b.inflight > f.b.inflightWithHeadroom() || f.b.inflight > f.b.inflightFor(f.b.maxBw) {
		t.Errorf("%v with %d in flight, headroom begins at %d, the BDP is %d",
			f.b.mode, f.b.inflight, f.b.inflightWithHeadroom(), f.b.inflightFor(f.b.maxBw))
	}
	if got, most := f.b.inflightWithHeadroom(), f.b.inflightLongterm*85/100+1; got > most {
		t.Errorf("headroom leaves %d of %d", got, f.b.inflightLongterm)
	}
}

// ProbeBW_DOWN ends in ProbeBW_REFILL when the time to probe comes before the
// queue is gone.
func TestBBR_pw_DownTime(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrUp, 10*time.Second)
	w.untilMode(f, bbrDown, 10*time.Second)
	w.rate = w.rate * 8 / 10
	w.until("end of DOWN", 5*time.Second, func() bool { return f.b.mode != bbrDown })
	last := f.log[len(f.log)-1]
	if last.to != bbrRefill || w.now <= f.b.cycleStamp.Add(f.b.bwProbeWait) || f.b.bwProbeWait < 2*time.Second {
		t.Errorf("%v, %v after DOWN began; the wait was %v", last, w.now.Sub(f.b.cycleStamp), f.b.bwProbeWait)
	}
}

// When min_rtt is 10 s old, ProbeRTT halves what is in flight, of the old
// estimate and not of the queue's, for 200 ms and a round, and ProbeBW goes on.
func TestBBR_mr_ProbeRTT(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.run(3 * time.Second)
	stamp, old := f.b.minRTTStamp, f.b.minRTT
	w.lag = func(*bbrTestPacket) time.Duration { return 30 * ms }
	w.untilMode(f, bbrProbeRTT, 15*time.Second)
	entered := w.now
	if w.now <= stamp.Add(10*time.Second) || f.b.minRTT < old+30*ms {
		t.Errorf("ProbeRTT after %v, min_rtt %v", w.now.Sub(stamp), f.b.minRTT)
	}
	target := f.b.probeRTTCwnd
	if want := w.rate * uint64(old) / uint64(time.Second) / 2; !within(uint64(target), want, 3) {
		t.Errorf("probe_rtt_cwnd %d, half the BDP of the old min_rtt is %d", target, want)
	}
	prior := f.b.priorCwnd
	var reached mono.Time
	for f.b.mode == bbrProbeRTT {
		if f.s.Cwnd > target || f.b.probeRTTCwnd != target {
			t.Fatalf("%v: cwnd %d, probe_rtt_cwnd %d, was %d", w.now, f.s.Cwnd, f.b.probeRTTCwnd, target)
		}
		if !reached.IsSet() && f.inflight <= target {
			reached = w.now
		}
		w.step()
	}
	if d := w.now.Sub(reached); d < 200*ms || d > 400*ms || f.b.mode != bbrCruise {
		t.Errorf("in ProbeRTT from %v, low for %v, then %v", entered, d, f.b.mode)
	}
	if f.s.Cwnd < prior*9/10 {
		t.Errorf("cwnd %d after, %d before", f.s.Cwnd, prior)
	}
	if g := w.goodput(2*time.Second, f); g < 9000 {
		t.Errorf("%d.%02d %% of the link afterwards", g/100, g%100)
	}
}

// A connection that was idle while min_rtt grew old does not need ProbeRTT; it
// keeps its window and paces at its bandwidth.
func TestBBR_idle_SkipsProbeRTT(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrUp, 10*time.Second) // where the gain is not 1
	f.paused = true
	w.run(11 * time.Second)
	if f.inflight != 0 || f.b.mode == bbrProbeRTT {
		t.Fatalf("%d in flight, %v", f.inflight, f.b.mode)
	}
	cwnd := f.s.Cwnd
	f.paused = false
	w.run(10 * ms)
	if !f.b.idleRestart || f.s.Cwnd != cwnd {
		t.Errorf("idle_restart %v, cwnd %d, was %d", f.b.idleRestart, f.s.Cwnd, cwnd)
	}
	if want := f.b.bw * 99 / 100; f.b.pacing != want {
		t.Errorf("paced at %d, the bandwidth less 1 %% is %d", f.b.pacing, want)
	}
	n := len(f.log)
	w.run(2 * time.Second)
	for _, l := range f.log[n:] {
		if l.to == bbrProbeRTT {
			t.Errorf("%v", l)
		}
	}
	if f.b.idleRestart || f.b.minRTTStamp < w.now.Add(-3*time.Second) {
		t.Errorf("idle_restart %v, min_rtt of %v", f.b.idleRestart, f.b.minRTTStamp)
	}
}
