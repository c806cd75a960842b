package cc

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// The example test cases of draft-ietf-ccwg-bbr that are about loss, real and
// not, and what else happens to recovery.

// What a spurious fast recovery took is given back, and the probe that it ended
// begins again.
func TestBBR_un_FastRecovery(t *testing.T) {
	w := newBBRWorld(t, 1, 50*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrUp, 10*time.Second)
	w.run(60 * ms)
	cwnd, first := f.s.Cwnd, f.nextID
	w.lag = func(p *bbrTestPacket) time.Duration { // twelve packets are overtaken
		if p.id >= first && p.id < first+12 {
			return 8 * ms
		}
		return 0
	}
	w.until("recovery", time.Second, func() bool { return f.inRecovery })
	if f.b.undoBwShortterm != bbrUnbounded || f.b.undoInflightShortterm != bbrNoVolume || f.b.undoInflightLongterm != bbrNoVolume {
		t.Errorf("saved %d, %d, %d", f.b.undoBwShortterm, f.b.undoInflightShortterm, f.b.undoInflightLongterm)
	}
	w.until("the end of UP", time.Second, func() bool { return f.b.mode != bbrUp })
	if !f.took(bbrUp, bbrDown) || f.b.undoMode != bbrUp || f.b.inflightLongterm == bbrNoVolume || f.b.priorCwnd < cwnd {
		t.Errorf("%v, undo_state %v, inflight_longterm %d, prior_cwnd %d of %d", f.b.mode, f.b.undoMode, f.b.inflightLongterm, f.b.priorCwnd, cwnd)
	}
	w.until("undo", time.Second, func() bool { return f.undone == 1 })
	if f.b.mode != bbrRefill || f.b.inflightLongterm != bbrNoVolume || f.b.bwShortterm != bbrUnbounded || f.s.Cwnd < cwnd*8/9 || f.b.lossInRound {
		t.Errorf("%v, inflight_longterm %d, bw_shortterm %d, cwnd %d after %d", f.b.mode, f.b.inflightLongterm, f.b.bwShortterm, f.s.Cwnd, cwnd)
	}
	w.untilMode(f, bbrUp, time.Second)
}

// The same of a timeout while ACKs were held up.
func TestBBR_un_Timeout(t *testing.T) {
	for _, silent := range []bool{false, true} {
		w := newBBRWorld(t, 1, 50*mbit, bbrTestRTT, 100)
		f := w.addFlow()
		f.silent = silent
		w.untilMode(f, bbrUp, 10*time.Second)
		w.run(60 * ms)
		w.holdUntil = w.now.Add(500 * ms) // one timeout, not two
		cwnd := f.s.Cwnd
		w.until("timeout", time.Second, func() bool { return f.byTimeout })
		if f.s.Cwnd != bbrTestMSS || f.b.priorCwnd < cwnd || f.b.undoInflightLongterm != bbrNoVolume || f.b.undoMode != bbrUp {
			t.Errorf("cwnd %d, prior_cwnd %d of %d, undo_state %v", f.s.Cwnd, f.b.priorCwnd, cwnd, f.b.undoMode)
		}
		w.until("undo", time.Second, func() bool { return f.undone == 1 })
		if f.s.Cwnd < cwnd*9/10 || f.b.inflightLongterm != bbrNoVolume || f.b.inflightShortterm != bbrNoVolume {
			t.Errorf("cwnd %d of %d, inflight_longterm %d", f.s.Cwnd, cwnd, f.b.inflightLongterm)
		}
		w.untilMode(f, bbrUp, time.Second)
	}
}

// Startup that spurious loss ended goes on.
func TestBBR_un_Startup(t *testing.T) {
	s, b := bbrInMode(bbrStartup)
	b.initialCwnd = 10_000
	s.Cwnd = 200_000
	BBR{}.OnLost(s, &LostPacket{Now: b.now, Bytes: 1000, TxInFlight: 200_000, LostSince: 1000, TotalDelivered: b.delivered, MSS: 1000})
	b.lossEventsInRound = 6
	BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.SampleLost, r.Lost, r.InRecovery = 10_000, 1000, true }))
	if b.mode == bbrStartup || b.undoMode != bbrStartup || b.inflightLongterm == bbrNoVolume || !b.fullBwReached {
		t.Fatalf("%v, undo_state %v", b.mode, b.undoMode)
	}
	BBR{}.OnUndo(s, b.now)
	if b.mode != bbrStartup || b.fullBwReached || b.fullBwNow || b.inflightLongterm != bbrNoVolume || s.Cwnd < 200_000 {
		t.Errorf("%v, full pipe %v, inflight_longterm %d, cwnd %d", b.mode, b.fullBwReached, b.inflightLongterm, s.Cwnd)
	}
	b.enter(bbrCruise)
	BBR{}.OnUndo(s, b.now)
	if b.mode != bbrCruise {
		t.Error("a second undo of the same recovery does something")
	}
}

// ProbeRTT that interrupted Startup leads back to it.
func TestBBR_mr_InStartup(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	f.appRate = w.rate / 10
	w.untilMode(f, bbrProbeRTT, 12*time.Second)
	w.until("exit", 2*time.Second, func() bool { return f.b.mode != bbrProbeRTT })
	if f.b.mode != bbrStartup || f.b.fullBwReached {
		t.Errorf("%v, full pipe %v", f.b.mode, f.b.fullBwReached)
	}
	f.appRate = 0
	w.until("the link's rate", 5*time.Second, func() bool { return within(f.b.maxBw, w.rate, 2) })
}

// Loss in ProbeBW_UP sets inflight_longterm, once it is set, to what was in
// flight or to 70 % of the target, and ends UP.
func TestBBR_ls_UpLossLowersLongterm(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrUp, 10*time.Second)
	w.dropNext = 10
	w.until("inflight_longterm", 2*time.Second, func() bool { return f.b.inflightLongterm != bbrNoVolume })
	w.until("an UP without caution", 20*time.Second, func() bool { return f.b.mode == bbrUp && !f.b.prevTooHigh })
	old := f.b.inflightLongterm
	w.dropNext = 20
	w.until("end of UP", time.Second, func() bool { return f.b.mode != bbrUp })
	least := percent(f.b.targetInflight(&f.s), bbrBeta)
	if !f.b.prevTooHigh || f.b.bwProbeSample || f.b.inflightLongterm < least || f.b.inflightLongterm > old+10*bbrTestMSS {
		t.Errorf("too high %v, inflight_longterm %d after %d, 70 %% of the target %d", f.b.prevTooHigh, f.b.inflightLongterm, old, least)
	}
	if n := len(f.log); f.log[n-1].from != bbrUp || !f.took(bbrUp, bbrDown) {
		t.Errorf("%v", f.log[n-1])
	}
}

// What the program limits during ProbeBW_REFILL does not lower max_bw, and UP
// follows.
func TestBBR_mf_RefillApplicationLimited(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrRefill, 10*time.Second)
	maxBw := f.b.maxBw
	f.paused = true
	w.run(30 * ms)
	f.paused, f.appRate = false, w.rate/10
	w.untilMode(f, bbrUp, time.Second)
	w.run(500 * ms)
	if f.b.maxBw != maxBw || !f.b.limited || f.b.mode != bbrUp {
		t.Errorf("max_bw %d, was %d; application-limited %v, %v", f.b.maxBw, maxBw, f.b.limited, f.b.mode)
	}
	f.appRate = 0
	w.untilMode(f, bbrCruise, 5*time.Second)
	if g := w.goodput(5*time.Second, f); g < 9300 {
		t.Errorf("%d.%02d %% of the link afterwards", g/100, g%100)
	}
}

// After a timeout one segment goes out; when what was sent since has arrived
// for a round, the window is back, whether or not the connection shows its
// recovery.
func TestBBR_Timeout(t *testing.T) {
	for _, silent := range []bool{false, true} {
		w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100)
		f := w.addFlow()
		f.silent = silent
		w.untilMode(f, bbrCruise, 5*time.Second)
		w.lossPerMille = 1000
		w.until("timeout", 5*time.Second, func() bool { return f.byTimeout })
		if f.s.Cwnd != bbrTestMSS {
			t.Errorf("cwnd %d after the timeout", f.s.Cwnd)
		}
		w.run(3 * time.Second)
		w.lossPerMille = 0
		w.until("delivery", 5*time.Second, func() bool { return f.b.lastACK == w.now })
		w.run(3 * time.Second)
		if f.b.recovery != bbrNotInRecovery {
			t.Errorf("recovery still goes on")
		}
		if g := w.goodput(5*time.Second, f); g < 9000 {
			t.Errorf("silent %v: %d.%02d %% of the link afterwards", silent, g/100, g%100)
		}
	}
}

// A path that was cut for a minute is used again within seconds.
func TestBBR_LongOutage(t *testing.T) {
	w := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 20)
	f := w.addFlow()
	w.untilMode(f, bbrCruise, 5*time.Second)
	w.lossPerMille = 1000
	w.run(time.Minute)
	w.lossPerMille = 0
	w.run(10 * time.Second)
	if g := w.goodput(5*time.Second, f); g < 8000 {
		t.Errorf("%d.%02d %% of the link ten seconds later", g/100, g%100)
	}
}

// bbrInMode returns a connection that has measured 1 MB/s and 100 ms, in a
// state of choice.
func bbrInMode(m bbrMode) (*State, *bbr) {
	s := &State{Cwnd: 100_000, SSThresh: Infinite}
	BBR{}.Init(s, mono.Start, 1000, 1)
	b := s.Ext.(*bbr)
	for range 10 {
		BBR{}.OnAck(s, bbrSample(b, nil))
	}
	b.fullBwReached = m != bbrStartup
	b.resetFullBw()
	b.mode = m
	return s, b
}

// bbrSample is the next ACK in a steady flow of 1 MB/s at 100 ms: 10 ms and 10
// packets later than the last one, and the whole flight is one round.
func bbrSample(b *bbr, change func(*RateSample)) *RateSample {
	r := &RateSample{
		Now: b.now.Add(10 * ms), Acked: 10_000, Delivered: 10_000, Flight: 110_000, InFlight: 100_000,
		RTT: 100 * ms, SRTT: 100 * ms, MinRTT: 100 * ms, MSS: 1000,
		TotalDelivered: b.delivered + 10_000, PriorDelivered: b.delivered,
		SampleDelivered: 100_000, TxInFlight: 100_000, Interval: 100 * ms, Rate: 1_000_000, Paced: true,
	}
	if change != nil {
		change(r)
	}
	return r
}
