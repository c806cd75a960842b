package cc

import "github.com/handfast/handfast/mono"

// NewReno is the congestion control of RFC 5681: slow start, congestion
// avoidance, halving on loss. (Fast recovery itself, RFC 6582, is in package
// tcp.) Growth counts bytes, so that a receiver gains nothing by dividing its
// ACKs (RFC 3465, RFC 5681 §3.1).
//
// S[0] counts the bytes acknowledged towards the next increase; S[1] and S[2]
// keep cwnd and ssthresh from before the last reduction, for OnUndo.
type NewReno struct{}

// slowStartLimit is how many segments one ACK may add in slow start. RFC 5681
// §3.1 says 1; a receiver that merges segments (GRO) acknowledges many at
// once, and RFC 9406 §4.2 recommends 8 where the sender does not pace.
const slowStartLimit = 8

// slowStartGrowth is what one ACK adds to cwnd in slow start: what it
// acknowledged, without a limit while departures are paced, RFC 9406 §4.2.
func slowStartGrowth(r *RateSample) uint32 {
	if r.Paced {
		return r.Acked
	}
	return min(r.Acked, slowStartLimit*r.MSS)
}

// Name returns "reno", Linux' name of it.
func (NewReno) Name() string { return "reno" }

// Init keeps the initial window.
func (NewReno) Init(s *State, now mono.Time, mss uint32, seed uint64) {}

// OnSent does nothing.
func (NewReno) OnSent(s *State, now mono.Time, bytes, flight uint32) {}

// OnAck grows cwnd: by what was acknowledged in slow start, by one MSS for
// each cwnd acknowledged after it. RFC 5681 §3.1.
func (NewReno) OnAck(s *State, r *RateSample) {
	if !r.CwndLimited {
		return // cwnd was not tested: RFC 7661 §4
	}
	if s.Cwnd < s.SSThresh {
		s.Cwnd = min(s.Cwnd+slowStartGrowth(r), s.SSThresh)
		return
	}
	s.S[0] += uint64(r.Acked)
	if s.S[0] >= uint64(s.Cwnd) {
		s.S[0] -= uint64(s.Cwnd)
		s.Cwnd += r.MSS
	}
}

// OnLossEvent halves, RFC 5681 §3.2 step 2.
func (NewReno) OnLossEvent(s *State, l *Loss) {
	s.S[1], s.S[2] = uint64(s.Cwnd), uint64(s.SSThresh)
	s.SSThresh = max(l.Flight/2, 2*l.MSS)
	s.S[0] = 0
}

// OnRTO goes back to one segment, RFC 5681 §3.1 equation 4; when the same
// segment times out again, ssthresh stays.
func (NewReno) OnRTO(s *State, l *Loss, first bool) {
	if first {
		s.S[1], s.S[2] = uint64(s.Cwnd), uint64(s.SSThresh)
		s.SSThresh = max(l.Flight/2, 2*l.MSS)
	}
	s.Cwnd = l.MSS
	s.S[0] = 0
}

// OnRecoveryExit does nothing: cwnd is ssthresh.
func (NewReno) OnRecoveryExit(s *State, now mono.Time) {}

// OnUndo takes the last reduction back, RFC 4015 §3.2.
func (NewReno) OnUndo(s *State, now mono.Time) {
	if s.S[1] != 0 {
		s.Cwnd = max(s.Cwnd, uint32(s.S[1]))
		s.SSThresh = max(s.SSThresh, uint32(s.S[2]))
		s.S[1], s.S[2] = 0, 0
	}
}

// OnIdleRestart shrinks cwnd to the restart window, RFC 5681 §4.1.
func (NewReno) OnIdleRestart(s *State, now mono.Time, restart uint32) {
	s.Cwnd = min(s.Cwnd, restart)
}

// Control returns cwnd, and leaves pacing to the connection.
func (NewReno) Control(s *State) (cwnd uint32, pacing uint64) { return s.Cwnd, 0 }
