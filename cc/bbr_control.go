package cc

import "time"

// What rules sending: draft-ietf-ccwg-bbr "Updating Control Parameters".

// initPacingRate is InitPacingRate, at the first RTT sample: the initial window
// in one round trip, times Startup's gain.
func (b *bbr) initPacingRate(r *RateSample) {
	srtt := r.SRTT
	if srtt <= 0 {
		srtt = r.RTT
	}
	if srtt > 0 {
		rate := mulDiv(uint64(b.initialCwnd)*bbrGains[bbrStartup].pacing, uint64(time.Second), 100*uint64(srtt))
		b.pacing = max(min(rate, bbrMaxRate), b.slowest())
	}
}

func (b *bbr) slowest() uint64 {
	return uint64(b.minPipeCwnd()) * uint64(time.Second) / uint64(bbrSlowest)
}

// setPacingRate is SetPacingRateWithGain: until the pipe was full the rate only
// grows, so that samples which the program limited do not slow the search.
//
// Deviation: the rate has a floor, four segments a second, because a path that
// was cut for minutes leaves samples of some bytes a second, and at those it
// would take minutes more to see that it works again. The window still bounds
// what is in flight.
func (b *bbr) setPacingRate(gain uint64) {
	if b.bw == 0 {
		return
	}
	rate := b.bw * gain * (100 - bbrPacingMargin) / (100 * 100)
	if b.fullBwReached || rate > b.pacing {
		b.pacing = max(rate, b.slowest())
	}
}

// setSendQuantum is SetSendQuantum: 1 ms of the rate, 64 KiB at most.
func (b *bbr) setSendQuantum() {
	n := b.pacing / uint64(time.Second/bbrQuantumTime)
	b.sendQuantum = max(uint32(min(n, bbrMaxQuantum)), bbrMinQuantum*b.mss)
}

// setCwnd is SetCwnd: towards max_inflight, up by what was delivered, down at
// once.
func (b *bbr) setCwnd(s *State, r *RateSample) {
	most := b.quantizationBudget(b.bdpMultiple(b.bw, bbrGains[b.mode].cwnd) + uint64(b.extraAcked))
	grown := volume(uint64(s.Cwnd) + uint64(r.Delivered))
	if b.fullBwReached {
		s.Cwnd = min(grown, most)
	} else if s.Cwnd < most || b.delivered-b.firstDelivered < uint64(b.initialCwnd) {
		s.Cwnd = grown
	}
	s.Cwnd = max(s.Cwnd, b.minPipeCwnd())
	b.boundCwndForProbeRTT(s)
	b.boundCwndForModel(s)
}

func (b *bbr) boundCwndForProbeRTT(s *State) {
	if b.mode == bbrProbeRTT {
		s.Cwnd = min(s.Cwnd, b.probeRTTCwnd)
	}
}

// boundCwndForModel is BoundCwndForModel, the table's "Volume Cap".
func (b *bbr) boundCwndForModel(s *State) {
	bound := uint32(bbrNoVolume)
	switch {
	case b.mode == bbrCruise || b.mode == bbrProbeRTT:
		bound = b.inflightWithHeadroom()
	case b.mode.probeBW():
		bound = b.inflightLongterm
	}
	bound = min(bound, b.inflightShortterm)
	s.Cwnd = min(s.Cwnd, max(bound, b.minPipeCwnd()))
}
