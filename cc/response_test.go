package cc_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
)

// lossPath is one sender on a path with a fixed round trip time that loses a
// packet now and then: the model of RFC 9438 §5. ACKs come evenly spread, one
// for perACK packets; recovery lasts one round trip.
type lossPath struct {
	rtt    time.Duration
	every  int // packets between losses, on average
	perACK int
	seed   uint64 // 0: exactly every packets
}

// meanCwnd is the mean of cwnd in segments over time, over many losses after the
// first few.
func (p lossPath) meanCwnd(a cc.Algorithm) float64 {
	const skip, losses = 20, 60
	rng := rand.New(rand.NewPCG(p.seed, 9438))
	now := mono.Start
	s := cc.State{Cwnd: 10 * mss, SSThresh: cc.Infinite}
	a.Init(&s, now, mss, 1)
	var area, total float64
	pass := func(d time.Duration, n int) {
		now = now.Add(d)
		if n >= skip {
			area += float64(s.Cwnd) / mss * d.Seconds()
			total += d.Seconds()
		}
	}
	r := &cc.RateSample{Acked: uint32(p.perACK) * mss, RTT: p.rtt, SRTT: p.rtt, MinRTT: p.rtt, MSS: mss, CwndLimited: true}
	var sent int
	for n := range skip + losses {
		until := p.every
		if p.seed != 0 {
			until = int(rng.ExpFloat64() * float64(p.every))
		}
		for sent < until {
			pass(p.rtt*time.Duration(p.perACK)*mss/time.Duration(s.Cwnd), n)
			sent += p.perACK
			r.Now, r.Flight = now, s.Cwnd
			r.TotalDelivered += uint64(r.Acked)
			r.PriorDelivered = r.TotalDelivered - min(r.TotalDelivered, uint64(s.Cwnd))
			a.OnAck(&s, r)
		}
		a.OnLossEvent(&s, &cc.Loss{Now: now, Flight: s.Cwnd, MSS: mss})
		s.Cwnd = s.SSThresh
		sent = int(s.Cwnd / mss)
		pass(p.rtt, n)
		a.OnRecoveryExit(&s, now)
	}
	return area / total
}

// response is RFC 9438's mean window in segments: equation 7 of §5.1, or Reno's
// (equation 3 of §4.3) where that is more.
func (p lossPath) response() float64 {
	loss := 1 / float64(p.every)
	return max(math.Sqrt(1.5/loss), 1.054*math.Pow(p.rtt.Seconds()/loss, 0.75))
}

// The mean window is what the response function promises. RFC 9438 §5.1.
//
// That is so whether losses come evenly or at random, and one ACK covers few
// packets or many; and it is no less than NewReno's.
func TestR9438_5_1_ResponseFunction(t *testing.T) {
	paths := []struct {
		rtt   time.Duration
		every int
	}{
		{time.Millisecond, 10_000}, {10 * time.Millisecond, 100}, {10 * time.Millisecond, 10_000},
		{50 * time.Millisecond, 3000}, {50 * time.Millisecond, 30_000}, {tenth, 100}, {tenth, 1000},
		{tenth, 10_000}, {tenth, 30_000}, {3 * tenth, 1000}, {3 * tenth, 10_000},
	}
	for _, c := range paths {
		for _, perACK := range []int{1, 10} {
			for _, seed := range []uint64{0, 1} {
				p := lossPath{c.rtt, c.every, perACK, seed}
				cubic, reno, want := p.meanCwnd(cc.Cubic{}), p.meanCwnd(cc.NewReno{}), p.response()
				if share := cubic / want; share < 0.9 || share > 1.35 {
					t.Errorf("%+v: a mean of %.1f segments, want %.1f (%.2f)", p, cubic, want, share)
				}
				if cubic < 0.95*reno {
					t.Errorf("%+v: a mean of %.1f segments, NewReno %.1f", p, cubic, reno)
				}
			}
		}
	}
}
