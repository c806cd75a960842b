package cc

import (
	"math/bits"
	"time"

	"github.com/handfast/handfast/mono"
)

// Cubic is CUBIC, RFC 9438: after a reduction the window returns to where it
// was along a cubic curve in time, flat around that point and steep far from it,
// and never slower than NewReno would. The initial slow start is HyStart++
// (RFC 9406); a congestion mark costs less than a loss (RFC 8511).
//
// Windows are in bytes where the RFC counts segments, and fractions of a byte
// are kept, so that growth does not depend on how the receiver spreads its
// ACKs. State.Ext is nil until something is acknowledged or lost; S is not used.
type Cubic struct{}

const (
	// maxWindow is where growth ends: no window can be larger, RFC 7323 §2.3.
	maxWindow = 1 << 30

	betaLoss = 70 // β_cubic in percent, RFC 9438 §4.6
	betaECN  = 85 // after a mark, in percent, RFC 8511 §3.1

	// alphaNum/alphaDen is α_cubic = 3(1-β)/(1+β), RFC 9438 §4.3.
	alphaNum, alphaDen = 9, 17

	// fractionBits is how finely windows are kept: 2^-24 byte.
	fractionBits = 24

	// maxSpan bounds |t-K| in microseconds. Even with segments of one byte the
	// curve is 2 GiB away from W_max by then.
	maxSpan = 1 << 31
	// maxElapsed bounds t: 13 days, long after the curve left every window.
	maxElapsed = time.Duration(1 << 50)
	// maxSegment bounds the MSS that the curve is drawn with, in bytes.
	maxSegment = 1 << 16
)

// cubicState is what CUBIC remembers of one connection.
type cubicState struct {
	cubicEpoch
	hystart hystart
	last    mono.Time // until when t has been counted

	undo         cubicEpoch // before the last reduction, RFC 9438 §4.9
	undoCwnd     uint32     // 0: nothing to undo
	undoSSThresh uint32
}

// cubicEpoch is one stage of congestion avoidance: the curve and where we are on
// it. RFC 9438 §4.1.2. Windows are in bytes.
type cubicEpoch struct {
	t         time.Duration // since t_epoch, without times in which cwnd could not grow
	wEst      uint64        // W_est in units of 2^-24 byte
	wMax      uint32        // 0: undefined
	cwndPrior uint32        // cwnd_prior
	k         uint32        // K in microseconds
	mss       uint32        // segment size when the stage began, which gives the curve its scale
	fraction  uint32        // of cwnd, in units of 2^-24 byte
	on        bool          // false: the stage begins with the next ACK
}

// cubicOf returns the state behind s and makes it at first need.
func cubicOf(s *State) *cubicState {
	if x, ok := s.Ext.(*cubicState); ok {
		return x
	}
	x := new(cubicState)
	s.Ext = x
	return x
}

// Name returns "cubic", Linux' name of it.
func (Cubic) Name() string { return "cubic" }

// Init keeps the window. In the middle of a connection's life W_max is undefined
// as after the first slow start: the curve begins flat at cwnd, RFC 9438 §4.10.
func (Cubic) Init(s *State, now mono.Time, mss uint32, seed uint64) { s.Ext = nil }

// OnSent notes the end of a pause. A pause lasts from the last ACK to the next
// transmission, however often flight is 0: counted from the last transmission
// it would take whole round trips from a small window, whose ACKs each
// empty the network, and t would never pass.
func (Cubic) OnSent(s *State, now mono.Time, bytes, flight uint32) {
	if flight != 0 {
		return
	}
	if x, ok := s.Ext.(*cubicState); ok {
		x.last = now
	}
}

// OnAck grows cwnd in slow start (RFC 9438 §4.10) and congestion avoidance
// (§4.2 to §4.5); only while cwnd is what limits the sender (§5.8).
func (Cubic) OnAck(s *State, r *RateSample) {
	if s.Ext == nil && !r.CwndLimited {
		return // short exchanges need no state
	}
	x := cubicOf(s)
	acked := r.Acked
	if s.Cwnd < s.SSThresh {
		acked -= x.slowStart(s, r)
		if s.Cwnd < s.SSThresh {
			return
		}
	}
	x.avoidCongestion(s, r, acked)
}

// slowStart returns how much of r.Acked it used; the rest belongs to congestion
// avoidance if that begins with this ACK.
func (x *cubicState) slowStart(s *State, r *RateSample) (used uint32) {
	growth := slowStartGrowth(r)
	if s.SSThresh >= Infinite {
		before := s.SSThresh
		growth = x.hystart.grow(s, r)
		if s.SSThresh != before { // CSS is over
			x.cwndPrior = s.Cwnd // W_max is undefined, RFC 9438 §4.10
		}
	}
	if !r.CwndLimited {
		return 0
	}
	growth = min(growth, s.SSThresh-s.Cwnd, roomToGrow(s))
	s.Cwnd += growth
	return growth
}

// roomToGrow is how far cwnd is from the largest window.
func roomToGrow(s *State) uint32 {
	return maxWindow - min(s.Cwnd, maxWindow)
}

// avoidCongestion follows one ACK of acked bytes in congestion avoidance.
func (x *cubicState) avoidCongestion(s *State, r *RateSample, acked uint32) {
	if !x.on {
		x.start(s, r)
	} else if r.CwndLimited {
		// RFC 9438 §4.2: t does not include what the application left unused.
		x.t = min(x.t+min(max(r.Now.Sub(x.last), 0), maxElapsed), maxElapsed)
	}
	x.last = r.Now
	room := roomToGrow(s)
	if !r.CwndLimited || acked == 0 || s.Cwnd == 0 || room == 0 {
		return
	}
	acked = min(acked, s.Cwnd)
	x.growEstimate(s.Cwnd, acked, segment(r.MSS))
	var growth uint32
	if est := uint32(x.wEst >> fractionBits); x.window(x.t) < est { // Reno-friendly region
		growth = max(s.Cwnd, est) - s.Cwnd
	} else {
		growth = x.curveGrowth(s.Cwnd, acked, r)
	}
	// Deviation: never faster than slow start, because W_est may be far from a
	// cwnd of less than a segment after the MSS has changed.
	s.Cwnd += min(growth, acked, room)
}

// start begins a stage of congestion avoidance at cwnd. RFC 9438 §4.2; §4.8 and
// §4.10 where W_max is undefined; where cwnd is beyond W_max already, K would be
// the root of a negative number and the curve begins flat as well.
func (x *cubicState) start(s *State, r *RateSample) {
	x.on = true
	x.t, x.fraction = 0, 0
	x.mss = segment(r.MSS)
	x.wEst = uint64(s.Cwnd) << fractionBits
	x.k = 0
	if x.wMax > s.Cwnd {
		x.k = rootOf(x.wMax-s.Cwnd, x.mss)
	} else {
		x.wMax = s.Cwnd
	}
}

// growEstimate adds α segments to W_est for each cwnd acknowledged, RFC 9438
// §4.3; α is 1, as NewReno's, once W_est has reached cwnd_prior.
func (x *cubicState) growEstimate(cwnd, acked, mss uint32) {
	num, den := uint64(alphaNum), uint64(alphaDen)
	if x.wEst >= uint64(x.cwndPrior)<<fractionBits {
		num, den = 1, 1
	}
	x.wEst += share(num*uint64(mss)*uint64(acked), den*uint64(cwnd))
	x.wEst = min(x.wEst, maxWindow<<fractionBits)
}

// curveGrowth is by how many bytes an ACK moves cwnd towards where the curve is
// one RTT from now: (target-cwnd)/cwnd for each segment, RFC 9438 §4.4 and §4.5.
//
// An ACK of n segments has the effect of n ACKs: each of those would have found
// cwnd nearer to target by what the ones before added, (n-1)/2 steps on average.
func (x *cubicState) curveGrowth(cwnd, acked uint32, r *RateSample) uint32 {
	target := x.window(x.t + min(max(r.SRTT, 0), maxElapsed))
	target = min(max(target, cwnd), cwnd+cwnd/2)
	others := uint64(acked - min(acked, segment(r.MSS)))
	sum := uint64(x.fraction) + share(uint64(acked)*uint64(target-cwnd), uint64(cwnd)+others/2)
	x.fraction = uint32(sum & (1<<fractionBits - 1))
	return uint32(sum >> fractionBits)
}

// share is num/den in units of 2^-24. den is below 2^40, num/den below 2^40.
func share(num, den uint64) uint64 {
	return num/den<<fractionBits + num%den<<fractionBits/den
}

// segment keeps an MSS within what the arithmetic is made for.
func segment(mss uint32) uint32 { return min(max(mss, 1), maxSegment) }

// window is W_cubic(t) = C(t-K)³ + W_max in bytes, RFC 9438 §4.2.
func (e *cubicEpoch) window(t time.Duration) uint32 {
	d := t.Microseconds() - int64(e.k)
	if d < 0 {
		return e.wMax - uint32(min(cubed(uint64(-d), e.mss), uint64(e.wMax)))
	}
	return uint32(min(uint64(e.wMax)+cubed(uint64(d), e.mss), Infinite))
}

// cubed is C·d³ in bytes, rounded down: d is in microseconds, C is 0.4 segments
// a second cubed, RFC 9438 §5.1.
func cubed(d uint64, mss uint32) uint64 {
	d = min(d, maxSpan)
	hi, lo := bits.Mul64(d*d, d) // below 2^93
	m := 2 * uint64(mss)         // at most 2^17
	top, lo := bits.Mul64(lo, m)
	q, _ := bits.Div64(hi*m+top, lo, 5_000_000_000_000_000_000) // 5/2 of 10^18
	return q
}

// rootOf is K, the time in microseconds after which the curve has risen by gap
// bytes: the inverse of cubed, rounded up. RFC 9438 §4.2.
func rootOf(gap, mss uint32) uint32 {
	var below uint32 // cubed(below) < gap
	for bit := uint32(maxSpan / 2); bit != 0; bit /= 2 {
		if cubed(uint64(below+bit), mss) < uint64(gap) {
			below += bit
		}
	}
	return below + 1
}

// OnLossEvent remembers the window in W_max, less of it when W_max was larger
// (fast convergence, RFC 9438 §4.7), and sets SSThresh to β of FlightSize, two
// segments at least (§4.6). β is 0.7, after a congestion mark in congestion
// avoidance 0.85, RFC 8511 §3.1; fast convergence uses the same. A mark shrinks
// Cwnd as well, to one segment at least: SSThresh cannot say so, RFC 9438 §4.6.
//
// Deviation: larger means by a whole segment. The curve is flat around W_max, and
// a flow that loses again at the same window would otherwise take a few bytes
// less for a rival's arrival and give up a sixth of its share for nothing. Linux
// counts whole segments.
func (Cubic) OnLossEvent(s *State, l *Loss) {
	x := cubicOf(s)
	beta := uint64(betaLoss)
	if l.ECN && s.Cwnd > s.SSThresh { // not in slow start: RFC 8511 §4
		beta = betaECN
	}
	x.remember(s)
	x.on = false
	x.cwndPrior = s.Cwnd
	if x.wMax > s.Cwnd && x.wMax-s.Cwnd >= l.MSS {
		x.wMax = uint32(uint64(s.Cwnd) * (100 + beta) / 200)
	} else {
		x.wMax = s.Cwnd
	}
	reduced := uint32(uint64(l.Flight) * beta / 100)
	s.SSThresh = max(reduced, 2*l.MSS)
	if l.ECN {
		s.Cwnd = min(s.Cwnd, max(reduced, l.MSS))
	}
}

// OnRTO goes back to one segment, with SSThresh as after a loss unless the same
// segment timed out before. The next congestion avoidance begins with K = 0 and
// W_max = cwnd. RFC 9438 §4.8.
func (Cubic) OnRTO(s *State, l *Loss, first bool) {
	x := cubicOf(s)
	if first {
		x.remember(s)
		x.cwndPrior = s.Cwnd
		s.SSThresh = max(uint32(uint64(l.Flight)*betaLoss/100), 2*l.MSS)
	}
	x.on = false
	x.wMax = 0
	s.Cwnd = l.MSS
}

// remember keeps what OnUndo may bring back.
func (x *cubicState) remember(s *State) {
	x.undo, x.undoCwnd, x.undoSSThresh = x.cubicEpoch, s.Cwnd, s.SSThresh
}

// OnRecoveryExit does nothing: the next stage begins with the first ACK in it.
func (Cubic) OnRecoveryExit(s *State, now mono.Time) {}

// OnUndo takes the last reduction back, with the place on the curve, unless cwnd
// has outgrown it: RFC 9438 §4.9. A window that the floor of two segments had
// raised has not. The time since is not counted, which the RFC's t_epoch would
// do: during a long outage cwnd was not what limited the sender.
func (Cubic) OnUndo(s *State, now mono.Time) {
	x, ok := s.Ext.(*cubicState)
	if !ok || x.undoCwnd == 0 {
		return
	}
	if s.Cwnd < x.cwndPrior || s.Cwnd <= s.SSThresh {
		s.Cwnd, s.SSThresh, x.cubicEpoch = max(s.Cwnd, x.undoCwnd), x.undoSSThresh, x.undo
		x.last = now
	}
	x.undoCwnd = 0
}

// OnIdleRestart shrinks cwnd to the restart window, RFC 5681 §4.1. SSThresh stays
// within reach of what the path carried, at 3/4 of cwnd at least, as on Linux:
// slow start leads back there, and a new stage begins.
func (Cubic) OnIdleRestart(s *State, now mono.Time, restart uint32) {
	if s.Cwnd <= restart {
		return
	}
	s.SSThresh = max(s.SSThresh, s.Cwnd-s.Cwnd/4)
	s.Cwnd = restart
	if x, ok := s.Ext.(*cubicState); ok {
		x.on = false
	}
}

// Control returns cwnd, and leaves pacing to the connection.
func (Cubic) Control(s *State) (cwnd uint32, pacing uint64) { return s.Cwnd, 0 }
