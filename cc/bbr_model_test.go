package cc

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// Each state's gains are those of the draft's table; pacing stays 1 % below.
func TestBBR_gains_Table(t *testing.T) {
	for m, want := range map[bbrMode][2]uint64{
		bbrStartup: {277, 200}, bbrDrain: {50, 200}, bbrDown: {90, 200}, bbrCruise: {100, 200},
		bbrRefill: {100, 200}, bbrUp: {125, 225}, bbrProbeRTT: {100, 50},
	} {
		_, b := bbrInMode(m)
		b.fullBwReached = true
		b.setPacingRate(bbrGains[m].pacing)
		if got := b.pacing; got != 1_000_000*want[0]/100*99/100 {
			t.Errorf("%v: paced at %d", m, got)
		}
		if got := b.bdpMultiple(b.bw, bbrGains[m].cwnd); got != 100_000*want[1]/100 {
			t.Errorf("%v: %d in flight", m, got)
		}
	}
}

// The wait for the next probe is 2 to 3 s, the first round counts as 0 or 1,
// and the seed decides both.
func TestBBR_pw_RandomWait(t *testing.T) {
	var ones, long int
	const draws = 1000
	a, b := &bbr{random: 7}, &bbr{random: 7}
	for range draws {
		a.pickProbeWait()
		b.pickProbeWait()
		if a.bwProbeWait < 2*time.Second || a.bwProbeWait >= 3*time.Second || a.roundsSinceProbeUp > 1 {
			t.Fatalf("%v, %d rounds", a.bwProbeWait, a.roundsSinceProbeUp)
		}
		if a.bwProbeWait != b.bwProbeWait || a.roundsSinceProbeUp != b.roundsSinceProbeUp {
			t.Fatal("the same seed chose differently")
		}
		ones += int(a.roundsSinceProbeUp)
		if a.bwProbeWait > 2500*ms {
			long++
		}
	}
	if ones < 400 || ones > 600 || long < 400 || long > 600 {
		t.Errorf("of %d: %d times 1 round, %d times more than 2.5 s", draws, ones, long)
	}
}

// A probe comes after as many rounds as the target has packets, 63 at most, if
// 2 to 3 s are not over before.
func TestBBR_pw_RenoRounds(t *testing.T) {
	for _, c := range []struct{ cwnd, rounds uint32 }{
		{1000, 4}, {4000, 4}, {30_000, 30}, {62_000, 62}, {63_000, 63}, {99_000, 63}, {500_000, 63},
	} {
		s, b := bbrInMode(bbrCruise)
		s.Cwnd = c.cwnd
		b.now, b.cycleStamp, b.bwProbeWait = b.now.Add(time.Second), b.now, 2*time.Second
		b.roundsSinceProbeUp = c.rounds - 1
		early := b.timeToProbe(s)
		b.roundsSinceProbeUp++
		if early || !b.timeToProbe(s) {
			t.Errorf("target %d: a probe not exactly after %d rounds", c.cwnd, c.rounds)
		}
		b.roundsSinceProbeUp = 0
		b.now = b.cycleStamp.Add(2 * time.Second)
		early = b.timeToProbe(s)
		b.now++
		if early || !b.timeToProbe(s) {
			t.Errorf("target %d: a probe not exactly after 2 s", c.cwnd)
		}
	}
}

// The send quantum is 1 ms of the pacing rate, two segments at least and 64 KiB
// at most; the window is four segments at least.
func TestBBR_mc_Quantum(t *testing.T) {
	for _, c := range []struct {
		pacing uint64
		want   uint32
	}{{1, 2000}, {1_999_000, 2000}, {30_000_000, 30_000}, {65_535_999, 65_535}, {12_500_000_000, 65_536}, {bbrMaxRate, 65_536}} {
		b := &bbr{mss: 1000, pacing: c.pacing}
		if b.setSendQuantum(); b.sendQuantum != c.want {
			t.Errorf("%d bytes a second: quantum %d, want %d", c.pacing, b.sendQuantum, c.want)
		}
	}
	for m := bbrStartup; m <= bbrProbeRTT; m++ {
		s, b := bbrInMode(m)
		b.inflightShortterm, b.inflightLongterm, b.probeRTTCwnd = 1, 1, b.minPipeCwnd()
		s.Cwnd = 1
		b.setCwnd(s, bbrSample(b, nil))
		if s.Cwnd != 4000 {
			t.Errorf("%v: cwnd %d", m, s.Cwnd)
		}
	}
}

// max_bw is the largest sample of this cycle and the one before; samples that
// the program limited only raise it; a cycle without samples changes nothing.
func TestBBR_mf_Filter(t *testing.T) {
	s, b := bbrInMode(bbrCruise)
	b.maxBwFilter, b.maxBw = [2]uint64{}, 0
	sample := func(rate uint64, limited bool) {
		b.rate, b.limited = rate, limited
		b.updateMaxBw(s, bbrSample(b, nil))
	}
	want := func(n uint64) {
		t.Helper()
		if b.maxBw != n {
			t.Errorf("max_bw %d, want %d", b.maxBw, n)
		}
	}
	sample(500, false)
	sample(300, false)
	want(500)
	sample(400, true)
	want(500)
	sample(600, true)
	want(600)
	b.advanceMaxBwFilter()
	want(600)
	sample(550, true) // limited and lower: not a sample of the new cycle
	b.advanceMaxBwFilter()
	want(600)
	sample(200, false)
	want(600)
	b.advanceMaxBwFilter()
	want(200)
}

// The rate of a round with loss is what was delivered, 70 % of the last bound at
// least; probing states do not react.
func TestBBR_ls_ShortTerm(t *testing.T) {
	for m := bbrStartup; m <= bbrProbeRTT; m++ {
		for _, c := range []struct{ rate, bw, volume uint64 }{{900_000, 900_000, 90_000}, {100_000, 700_000, 140_000}} {
			s, b := bbrInMode(m)
			s.Cwnd = 200_000
			b.maxBw = 1_000_000
			b.now = b.minRTTStamp
			b.bwLatest, b.inflightNow, b.lossInRound = 0, 0, true
			r := bbrSample(b, func(r *RateSample) { r.Rate = c.rate; r.SampleDelivered = uint32(c.volume) })
			if c.volume == 140_000 {
				r.SampleDelivered = 50_000
			}
			b.rate = c.rate
			b.lossRoundEnd = r.PriorDelivered
			b.updateLatestDeliverySignals(r)
			b.updateCongestionSignals(s, r)
			wantBw, wantVolume := c.bw, uint64(max(uint32(c.volume), 140_000))
			if m.probing() {
				wantBw, wantVolume = bbrUnbounded, bbrNoVolume
			}
			if b.bwShortterm != wantBw || uint64(b.inflightShortterm) != wantVolume {
				t.Errorf("%v, %d bytes a second: bw_shortterm %d, inflight_shortterm %d; want %d, %d", m, c.rate, b.bwShortterm, b.inflightShortterm, wantBw, wantVolume)
			}
		}
	}
}

// Losses within 2 % of what was in flight count as delivered, beyond it they do
// not: a path that loses now and then does not talk the rate down.
func TestBBR_ls_ToleratedLoss(t *testing.T) {
	for _, c := range []struct {
		lost   uint32
		bw     uint64
		volume uint32
	}{{0, 980_000, 98_000}, {1000, 990_000, 99_000}, {2000, 1_000_000, 100_000}, {2001, 980_000, 98_000}, {30_000, 980_000, 98_000}} {
		_, b := bbrInMode(bbrCruise)
		b.rate = 980_000
		r := bbrSample(b, func(r *RateSample) { r.SampleDelivered, r.SampleLost, r.TxInFlight = 98_000, c.lost, 100_000 })
		if bw, volume := b.deliverySignals(r); bw != c.bw || volume != c.volume {
			t.Errorf("%d of 100000 lost: %d a second, %d at once; want %d, %d", c.lost, bw, volume, c.bw, c.volume)
		}
		b.noSACK = true
		if bw, _ := b.deliverySignals(r); bw != 980_000 {
			t.Errorf("%d of 100000 lost, without SACK: %d a second", c.lost, bw)
		}
	}
}

// Where in a burst loss crossed 2 %: the draft's equation.
func TestBBR_ls_InflightAtLoss(t *testing.T) {
	for _, c := range []struct{ tx, size, lost, want uint32 }{
		{100_000, 1000, 1000, 99_000 + 2020}, // nothing lost before: the prefix would be 2,020
		{100_000, 10_000, 10_000, 90_000 + 1836},
		{100_000, 1000, 3000, 99_000}, // 2 % were lost before
		{100_000, 1000, 2500, 99_000 + 489},
		{500, 1000, 1000, 0}, // more than was in flight
	} {
		if got := inflightAtLoss(&LostPacket{Bytes: c.size, TxInFlight: c.tx, LostSince: c.lost}); got != c.want {
			t.Errorf("%d of %d lost, %d in flight: %d, want %d", c.lost, c.size, c.tx, got, c.want)
		}
	}
}

// Where duplicate ACKs are all there is, any loss is too much.
func TestBBR_sl_NoSACK(t *testing.T) {
	for _, no := range []bool{false, true} {
		for _, m := range []bbrMode{bbrStartup, bbrUp} {
			s, b := bbrInMode(m)
			BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.NoSACK, r.PriorDelivered = no, 0 }))
			if b.mode != m {
				t.Fatalf("%v became %v", m, b.mode)
			}
			b.bwProbeSample = m == bbrUp
			BBR{}.OnLossEvent(s, &Loss{Now: b.now, Flight: 100_000, MSS: 1000})
			BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.NoSACK, r.InRecovery = no, true }))
			if (b.mode != m) != no || (b.undoMode == m) != no || !b.canUndo {
				t.Errorf("no SACK %v: %v became %v, undo_state %v", no, m, b.mode, b.undoMode)
			}
		}
	}
}

// A connection that was idle may count what it delivered from 0 again: rounds
// go on, as does the state machine.
func TestBBR_idle_CountsAgain(t *testing.T) {
	s, b := bbrInMode(bbrCruise)
	b.count(1 << 40)
	b.startRound()
	b.lossRoundEnd, b.bubbleStart, b.bubbleEnd = b.delivered, b.delivered, b.delivered
	rounds := b.roundCount
	BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.TotalDelivered, r.PriorDelivered = 10_000, 0 }))
	for range 20 {
		BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.PriorDelivered = r.TotalDelivered - min(r.TotalDelivered, 100_000) }))
	}
	if n := b.roundCount - rounds; n < 2 || n > 4 {
		t.Errorf("%d rounds in 200 ms at 100 ms", n)
	}
	if b.limited || b.lossRoundEnd > b.delivered {
		t.Errorf("application-limited %v, the loss round ends at %d of %d", b.limited, b.lossRoundEnd, b.delivered)
	}
}

// The window counts as the limit while it is full but for a quantum, in this
// round or the last.
func TestBBR_fp_CwndLimited(t *testing.T) {
	for _, c := range []struct {
		says   bool
		flight uint32
		want   bool
	}{{true, 100_000, true}, {true, 98_000, true}, {true, 97_999, false}, {true, 50_000, false}, {false, 100_000, false}} {
		s, b := bbrInMode(bbrCruise)
		b.sendQuantum, b.limitedThisRound, b.limitedLastRound = 2000, false, false
		s.Cwnd = 100_000
		ack := func(says bool, prior uint64) {
			b.updateRound(s, &RateSample{CwndLimited: says, Flight: c.flight, PriorDelivered: prior})
		}
		ack(c.says, 0)
		first := b.cwndLimited()
		ack(false, b.nextRoundDelivered)
		second := b.cwndLimited()
		ack(false, b.nextRoundDelivered)
		if first != c.want || second != c.want || b.cwndLimited() {
			t.Errorf("%+v: %v in this round, %v in the next, %v after it", c, first, second, b.cwndLimited())
		}
	}
}

// An ACK that shows no packet to have arrived ends no round and measures
// nothing, whatever the rest of the sample says.
func TestBBR_EmptySample(t *testing.T) {
	s, b := bbrInMode(bbrCruise)
	was := *b
	BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) {
		r.Delivered, r.TotalDelivered, r.PriorDelivered = 0, b.delivered, b.delivered
		r.Interval, r.Rate, r.SampleLost = 0, 0, 50_000
	}))
	if b.roundCount != was.roundCount || b.bwLatest != was.bwLatest || b.mode != was.mode || b.inflightNow != was.inflightNow {
		t.Errorf("%+v", *b)
	}
}

// A congestion mark is answered: it ends Startup and a probe, and otherwise
// lowers the short-term bounds. draft-ietf-ccwg-bbr "ECN" demands a response
// and leaves it open.
func TestBBR_CongestionMark(t *testing.T) {
	for m := bbrStartup; m <= bbrProbeRTT; m++ {
		s, b := bbrInMode(m)
		b.now = b.minRTTStamp
		b.bwProbeSample = m == bbrUp
		cwnd := s.Cwnd
		BBR{}.OnLossEvent(s, &Loss{Now: b.now, Flight: 90_000, MSS: 1000, ECN: true})
		if s.SSThresh != cwnd || b.recovery != bbrNotInRecovery || b.canUndo {
			t.Errorf("%v: ssthresh %d, recovery %d", m, s.SSThresh, b.recovery)
		}
		switch m {
		case bbrStartup:
			if !b.fullBwReached || b.inflightLongterm == bbrNoVolume {
				t.Errorf("%v goes on", m)
			}
		case bbrUp:
			if b.mode != bbrDown || b.inflightLongterm != 90_000 {
				t.Errorf("%v, inflight_longterm %d", b.mode, b.inflightLongterm)
			}
		case bbrCruise:
			for range 3 {
				BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.Rate = 800_000 }))
			}
			if b.bwShortterm == bbrUnbounded || b.inflightShortterm == bbrNoVolume {
				t.Errorf("%v: bw_shortterm %d, inflight_shortterm %d", m, b.bwShortterm, b.inflightShortterm)
			}
		}
	}
}

// BBR begins with the window of the algorithm it follows, and does not pace by
// itself before the first RTT sample.
func TestBBR_Swap(t *testing.T) {
	s := &State{Cwnd: 400_000, SSThresh: 300_000}
	BBR{}.Init(s, mono.Start.Add(time.Hour), 1448, 9)
	b := s.Ext.(*bbr)
	if cwnd, pacing := (BBR{}).Control(s); cwnd != 400_000 || pacing != 0 || b.mode != bbrStartup {
		t.Errorf("cwnd %d, pacing %d, %v", cwnd, pacing, b.mode)
	}
	BBR{}.OnSent(s, b.now, 1448, 0) // no ACK was seen: not a restart
	b.delivered = 5_000_000_000
	BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) { r.Rate, r.Interval, r.AppLimited = 0, 0, true }))
	cwnd, pacing := (BBR{}).Control(s)
	if cwnd < 400_000 || cwnd > 410_000 || b.idleRestart {
		t.Errorf("cwnd %d", cwnd)
	}
	if want := uint64(400_000 * 10 * 277 / 100); pacing != want {
		t.Errorf("paced at %d, want Startup's gain times a window in 100 ms, %d", pacing, want)
	}
	if (BBR{}).Name() != "bbr" {
		t.Error("name")
	}
}

// Nothing overflows from 1 byte a second to 100 Gbit/s and beyond, from 1 us to
// 10 s; the window stays within what a window can be.
func TestBBR_Range(t *testing.T) {
	for _, rate := range []uint64{1, 1000, 12_500_000_000, bbrMaxRate, 1 << 62} {
		for _, rtt := range []time.Duration{time.Microsecond, ms, 10 * time.Second} {
			s := &State{Cwnd: 10_000, SSThresh: Infinite}
			BBR{}.Init(s, mono.Start, 1000, 1)
			b := s.Ext.(*bbr)
			known := min(rate, bbrMaxRate)
			step := max(min(known/1000*uint64(rtt)/1_000_000/10, 1<<30), 1000)
			for i := range 3000 {
				BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) {
					r.Now = b.now.Add(rtt / 10)
					r.RTT, r.SRTT, r.Interval, r.Rate = rtt, rtt, rtt, rate
					r.Delivered = uint32(step)
					r.TotalDelivered = b.delivered + step
					r.PriorDelivered = r.TotalDelivered - min(r.TotalDelivered, 10*step)
					r.InFlight = uint32(min(known/1000*uint64(rtt)/1_000_000, 1<<31))
				}))
				BBR{}.OnSent(s, b.now, uint32(step), b.inflight)
				if s.Cwnd > Infinite || s.Cwnd < 1000 || b.pacing == 0 || b.nextSend < b.now {
					t.Fatalf("%d bytes a second, %v, ACK %d: cwnd %d, pacing %d", rate, rtt, i, s.Cwnd, b.pacing)
				}
			}
			// At 10 s each sample of min_rtt is as old as it may become: ProbeRTT
			// never ends for long, and the pipe is never seen full.
			full := b.fullBwReached || rtt >= bbrMinRTTWindow
			bdp := mulDiv(known, uint64(rtt), uint64(time.Second))
			if b.bw != known || uint64(s.Cwnd) < min(bdp/4, Infinite/4) || !full {
				t.Errorf("%d bytes a second, %v: bw %d, cwnd %d, the BDP is %d, %v", rate, rtt, b.bw, s.Cwnd, bdp, b.mode)
			}
		}
	}
	for _, c := range []struct{ a, b, c, want uint64 }{
		{6, 7, 2, 21}, {0, 5, 1, 0}, {1 << 40, 10_000_000_000, 1_000_000_000, 10 << 40},
		{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1}, {1<<64 - 1, 2, 1, 1<<64 - 1}, {1 << 63, 4, 2, 1<<64 - 1},
	} {
		if got := mulDiv(c.a, c.b, c.c); got != c.want {
			t.Errorf("%d*%d/%d = %d, want %d", c.a, c.b, c.c, got, c.want)
		}
	}
}
