package cc

import (
	"testing"
	"time"
)

// The example test cases of draft-ietf-ccwg-bbr that are about kinds of paths.

// Startup finds the bandwidth although ACKs arrive in bursts, and the window
// grows by what bursts of them acknowledge.
func TestBBR_AggregationInStartup(t *testing.T) {
	w := newBBRWorld(t, 1, 40*mbit, bbrTestRTT, 100)
	w.aggregate = 20 * ms
	f := w.addFlow()
	var cwnd, extra uint32
	w.until("end of Startup", 5*time.Second, func() bool {
		if f.b.mode == bbrStartup {
			cwnd, extra = max(cwnd, f.s.Cwnd), max(extra, f.b.extraAcked)
		}
		return f.b.mode != bbrStartup
	})
	burst := w.rate * 20 / 1000
	if uint64(extra) < burst/2 || uint64(extra) > 4*burst {
		t.Errorf("extra_acked %d, a burst has %d", extra, burst)
	}
	if bdp := f.b.bdpMultiple(f.b.maxBw, 100); uint64(cwnd) <= 2*bdp {
		t.Errorf("cwnd %d, the BDP is %d", cwnd, bdp)
	}
	if !within(f.b.maxBw, w.rate, 10) {
		t.Errorf("max_bw %d, the bottleneck has %d", f.b.maxBw, w.rate)
	}
}

// Bursts of ACKs that begin in ProbeBW_CRUISE make extra_acked, and with it the
// window, large enough for the silence between them; ten rounds after their end
// both are small again.
func TestBBR_AggregationInCruise(t *testing.T) {
	w := newBBRWorld(t, 1, 40*mbit, bbrTestRTT, 100)
	f := w.addFlow()
	w.untilMode(f, bbrCruise, 5*time.Second)
	quiet := f.s.Cwnd
	w.aggregate = 60 * ms
	w.run(2 * time.Second)
	burst := w.rate * 60 / 1000
	if uint64(f.b.extraAcked) < burst/2 || f.s.Cwnd < quiet+f.b.extraAcked/2 {
		t.Errorf("extra_acked %d of bursts of %d, cwnd %d after %d", f.b.extraAcked, burst, f.s.Cwnd, quiet)
	}
	if g := w.goodput(10*time.Second, f); g < 9300 {
		t.Errorf("%d.%02d %% of the link", g/100, g%100)
	}
	w.aggregate = 0
	rounds := f.b.roundCount
	w.until("ten more rounds", 5*time.Second, func() bool { return f.b.roundCount > rounds+11 })
	if uint64(f.b.extraAcked) > burst/5 {
		t.Errorf("extra_acked still %d", f.b.extraAcked)
	}
}

// On a path of less than a packet the window is four segments at least, so that
// delayed ACKs do not stop it, and the pacing rate is the path's.
func TestBBR_mc_SubPacketBDP(t *testing.T) {
	w := newBBRWorld(t, 1, 64_000, 20*ms, 10)
	w.limit = 40 * bbrTestMSS
	w.delayedACK = bbrTestRTT
	f := w.addFlow()
	w.untilMode(f, bbrCruise, 60*time.Second)
	before := f.delivered
	start := w.now
	w.maxQueued = 0
	for w.now < start.Add(60*time.Second) {
		w.step()
		if f.s.Cwnd < 4*bbrTestMSS && !f.inRecovery {
			t.Fatalf("%v: cwnd %d", w.now, f.s.Cwnd)
		}
		if f.b.mode.probeBW() && (f.b.pacing < w.rate*85/100 || f.b.pacing > w.rate*135/100) {
			t.Fatalf("%v: %v paces at %d, the bottleneck has %d", w.now, f.b.mode, f.b.pacing, w.rate)
		}
	}
	if got := f.delivered - before; got*100 < w.rate*60*93 {
		t.Errorf("delivered %d of %d", got, w.rate*60)
	}
	if w.maxQueued > 12*bbrTestMSS {
		t.Errorf("a queue of %d bytes", w.maxQueued)
	}
}

// Ten times the bandwidth is found within two probes: while inflight_longterm
// is the limit, it grows by twice as much in each round.
func TestBBR_TenTimesFaster(t *testing.T) {
	w := newBBRWorld(t, 1, 10*mbit, bbrTestRTT, 5)
	f := w.addFlow()
	w.until("inflight_longterm", 10*time.Second, func() bool { return f.b.inflightLongterm != bbrNoVolume })
	w.untilMode(f, bbrCruise, 10*time.Second)
	w.rate *= 10
	w.limit *= 10
	changed := w.now
	var grown []uint32 // by how much each round of UP raised it, in segments
	rounds, last := f.b.bwProbeUpRounds, f.b.inflightLongterm
	w.until("95 Mbit/s", 12*time.Second, func() bool {
		if f.b.mode == bbrUp && f.b.bwProbeUpRounds != rounds {
			grown = append(grown, (f.b.inflightLongterm-last)/bbrTestMSS)
			rounds, last = f.b.bwProbeUpRounds, f.b.inflightLongterm
		}
		return f.b.maxBw*100 >= w.rate*95
	})
	for i := 2; i < len(grown); i++ {
		if grown[i]*2 < grown[i-1]*3 {
			t.Errorf("inflight_longterm grew by %v segments in the rounds of UP", grown)
		}
	}
	if took := w.now.Sub(changed); took > 4*time.Second || len(grown) < 6 || grown[1] > 4 {
		t.Errorf("found after %v; inflight_longterm grew by %v segments in the rounds of UP", took, grown)
	}
	if g := w.goodput(10*time.Second, f); g < 9000 {
		t.Errorf("%d.%02d %% of the faster link", g/100, g%100)
	}
}

// A tenth of the bandwidth: loss lowers bw_shortterm at once, and two cycles
// later max_bw has forgotten the old one.
func TestBBR_mf_TenTimesSlower(t *testing.T) {
	w := newBBRWorld(t, 1, 100*mbit, bbrTestRTT, 10)
	f := w.addFlow()
	w.run(3 * time.Second)
	w.untilMode(f, bbrCruise, 5*time.Second)
	w.rate /= 10
	w.limit /= 10
	old := f.b.maxBw
	w.until("a lower bw_shortterm", 3*time.Second, func() bool { return f.b.bwShortterm < old/2 })
	if f.b.maxBw != old {
		t.Errorf("max_bw became %d within the cycle", f.b.maxBw)
	}
	w.untilMode(f, bbrDown, 20*time.Second)
	w.untilMode(f, bbrDown, 20*time.Second)
	w.untilMode(f, bbrCruise, 20*time.Second)
	if !within(f.b.maxBw, w.rate, 10) {
		t.Errorf("max_bw %d two cycles later, the bottleneck has %d", f.b.maxBw, w.rate)
	}
	if g := w.goodput(10*time.Second, f); g < 9000 {
		t.Errorf("%d.%02d %% of the slower link", g/100, g%100)
	}
}

// A policer that drops what exceeds its tokens, with a burst of credit: the
// short-term bounds follow it, and BBR ends near the token rate.
func TestBBR_ls_Policer(t *testing.T) {
	w := newBBRWorld(t, 1, 100*mbit, bbrTestRTT, 10)
	w.policer = &bbrPolicer{rate: 10 * mbit / 8, burst: 300 * bbrTestMSS, tokens: 300 * bbrTestMSS, last: w.now}
	f := w.addFlow()
	w.until("ProbeBW", 10*time.Second, func() bool { return f.b.mode.probeBW() })
	w.until("short-term bounds", 10*time.Second, func() bool {
		return f.b.bwShortterm < w.rate && f.b.inflightShortterm != bbrNoVolume
	})
	w.run(15 * time.Second)
	before, dropped := f.delivered, w.dropped
	w.run(30 * time.Second)
	got, lost := f.delivered-before, (w.dropped-dropped)*bbrTestMSS
	if got*100 < w.policer.rate*30*85 {
		t.Errorf("delivered %d of %d", got, w.policer.rate*30)
	}
	if lost*100 > 5*got {
		t.Errorf("lost %d, delivered %d", lost, got)
	}
}
