package cc

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// What the tests' worlds go through together is every transition of the draft's
// diagram; what each goes through alone is checked when it ends.
func TestBBR_st_EveryTransition(t *testing.T) {
	var seen uint64
	collect := func(w *bbrWorld) {
		for _, f := range w.flows {
			seen |= f.b.edges
		}
	}
	clean := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 10) // the usual cycle
	clean.addFlow()
	clean.run(30 * time.Second)
	collect(clean)

	slower := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100) // DOWN to REFILL
	f := slower.addFlow()
	slower.untilMode(f, bbrUp, 10*time.Second)
	slower.untilMode(f, bbrDown, 10*time.Second)
	slower.rate = slower.rate * 8 / 10
	slower.run(4 * time.Second)
	collect(slower)

	starting := newBBRWorld(t, 1, 20*mbit, bbrTestRTT, 100) // ProbeRTT in Startup
	f = starting.addFlow()
	f.appRate = starting.rate / 10
	starting.run(12 * time.Second)
	collect(starting)

	// ProbeRTT out of every other state, and Startup again after an undo.
	for m := bbrDrain; m <= bbrUp; m++ {
		s, b := bbrInMode(m)
		b.drainStartRound = b.roundCount
		b.cycleStamp, b.bwProbeWait = b.now.Add(20*time.Second), 2*time.Second
		b.roundsSinceProbeUp = 0
		BBR{}.OnAck(s, bbrSample(b, func(r *RateSample) {
			r.Now = b.minRTTStamp.Add(bbrMinRTTWindow + 1)
			r.PriorDelivered = 0 // no round ends
			r.InFlight = 190_000 // no state ends for being empty
		}))
		if b.mode != bbrProbeRTT {
			t.Errorf("%v went to %v, not to ProbeRTT", m, b.mode)
		}
		seen |= b.edges

		s, b = bbrInMode(m)
		b.canUndo, b.undoMode = true, bbrStartup
		BBR{}.OnUndo(s, b.now)
		seen |= b.edges

		s, b = bbrInMode(m)
		b.canUndo, b.undoMode = true, bbrUp
		BBR{}.OnUndo(s, b.now)
		if m.probeBW() { // a probe is never under way in Drain
			seen |= b.edges
		}
	}
	want := bbrAllowedEdges()
	if missing := want &^ seen; missing != 0 {
		t.Errorf("not seen: %#x", missing)
	}
	if wrong := seen &^ want; wrong != 0 {
		t.Errorf("not in the diagram: %#x", wrong)
	}
}

// Steady traffic allocates nothing, loss and recovery neither.
func TestBBR_Allocations(t *testing.T) {
	if bbrRaceEnabled {
		t.Skip("the race detector allocates")
	}
	s, b := bbrInMode(bbrCruise)
	r := bbrSample(b, nil)
	p := &LostPacket{Now: b.now, Bytes: 1000, TxInFlight: 100_000, LostSince: 1000, TotalDelivered: b.delivered, MSS: 1000}
	l := &Loss{Now: b.now, Flight: 100_000, MSS: 1000}
	n := testing.AllocsPerRun(1000, func() {
		advance(r)
		BBR{}.OnSent(s, r.Now, 10_000, r.InFlight)
		BBR{}.OnLost(s, p)
		BBR{}.OnLossEvent(s, l)
		BBR{}.OnAck(s, r)
		BBR{}.OnRecoveryExit(s, r.Now)
		BBR{}.OnUndo(s, r.Now)
		BBR{}.Control(s)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// advance makes the next sample of the one before.
func advance(r *RateSample) {
	r.Now = r.Now.Add(10 * ms)
	r.TotalDelivered += 10_000
	r.PriorDelivered = r.TotalDelivered - 100_000
}

func BenchmarkBBR_OnAck(b *testing.B) {
	s, bb := bbrInMode(bbrCruise)
	r := bbrSample(bb, nil)
	r.TotalDelivered += 100_000
	b.ReportAllocs()
	for b.Loop() {
		advance(r)
		BBR{}.OnAck(s, r)
	}
}

func BenchmarkBBR_OnSent(b *testing.B) {
	s, bb := bbrInMode(bbrCruise)
	now := bb.now
	for b.Loop() {
		now += 1_000_000
		BBR{}.OnSent(s, now, 1000, 50_000)
	}
}

// FuzzBBR calls the methods with anything in any order: nothing panics, and
// window and rate stay in their ranges.
func FuzzBBR(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("an ACK, a loss, a timeout, idle; all of them again and again"))
	f.Add([]byte("\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\xff\x02\x80\x80\x80\x80\x80\x80\x80\x80"))
	seed := make([]byte, 0, 2000)
	for i := range 2000 {
		seed = append(seed, byte(i*i>>3), byte(i))
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &State{Cwnd: 10_000, SSThresh: Infinite}
		BBR{}.Init(s, mono.Start, 1000, 1)
		b := s.Ext.(*bbr)
		now, total := mono.Start, uint64(0)
		for len(data) >= 9 {
			op, x := data[0], binary.LittleEndian.Uint64(data[1:])
			data = data[9:]
			now = now.Add(time.Duration(x >> 3 % uint64(3*time.Second)))
			bbrFuzzCall(s, op, x, now, &total)
			cwnd, pacing := BBR{}.Control(s)
			if cwnd == 0 || cwnd > Infinite || pacing > 3*bbrMaxRate || b.mode > bbrProbeRTT || b.edges&^bbrAllowedEdges() != 0 {
				t.Fatalf("operation %d, %#x: cwnd %d, pacing %d, %v, transitions %#x", op, x, cwnd, pacing, b.mode, b.edges)
			}
			if b.inflightLongterm != bbrNoVolume && b.inflightLongterm > Infinite || b.nextSend > now.Add(bbrMaxGap) || b.sendQuantum < 2*b.mss {
				t.Fatalf("operation %d, %#x: %+v", op, x, *b)
			}
		}
	})
}

func bbrFuzzCall(s *State, op uint8, x uint64, now mono.Time, total *uint64) {
	lo, hi := uint32(x), uint32(x>>32)
	mss := uint32(x>>16)%9000 + 1
	switch op % 8 {
	case 0:
		BBR{}.OnLost(s, &LostPacket{Now: now, Bytes: lo, TxInFlight: hi, LostSince: lo ^ hi, TotalDelivered: *total,
			PriorDelivered: *total - min(*total, uint64(hi)), MSS: mss, AppLimited: x&1 != 0})
	case 1:
		BBR{}.OnRTO(s, &Loss{Now: now, Flight: lo, MSS: mss}, x&1 != 0)
	case 2:
		BBR{}.OnLossEvent(s, &Loss{Now: now, Flight: lo, MSS: mss, ECN: x&1 != 0})
	case 3:
		BBR{}.OnUndo(s, now)
		BBR{}.OnIdleRestart(s, now, lo)
	case 4:
		BBR{}.OnRecoveryExit(s, now)
		BBR{}.OnSent(s, now, lo, hi&3)
	default:
		*total += uint64(lo >> 8)
		BBR{}.OnAck(s, &RateSample{Now: now, Acked: lo, Delivered: lo >> 8, Lost: hi >> 30 * 1000, Flight: lo, InFlight: hi,
			RTT: time.Duration(x >> 20 % uint64(20*time.Second)), SRTT: time.Duration(lo), MSS: mss,
			TotalDelivered: *total, PriorDelivered: *total - min(*total, uint64(lo)), SampleDelivered: lo, SampleLost: hi >> 8,
			TxInFlight: hi, Interval: time.Duration(hi >> 4), Rate: x >> (op >> 2), AppLimited: op&16 != 0,
			CwndLimited: op&32 != 0, InRecovery: op&64 != 0, NoSACK: op&128 != 0})
	}
}
