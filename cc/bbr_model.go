package cc

import (
	"math/bits"
	"time"
)

// What BBR knows of the path: draft-ietf-ccwg-bbr "Updating Network Path Model
// Parameters".

// mulDiv returns a*b/c, the largest number where that does not fit. c is not 0.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi == 0 {
		return lo / c
	}
	if hi >= c {
		return bbrUnbounded
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}

// volume makes a window of a number of bytes.
func volume(n uint64) uint32 { return uint32(min(n, Infinite)) }

// updateRound is UpdateRound; it also keeps C.is_cwnd_limited, which covers the
// last round trip. That the window was the limit is believed only when it was
// full but for a quantum: for algorithms that grow by it, half full may do.
func (b *bbr) updateRound(s *State, r *RateSample) {
	b.roundStart = r.PriorDelivered >= b.nextRoundDelivered
	if b.roundStart {
		b.startRound()
		b.roundCount++
		b.roundsSinceProbeUp++
		b.limitedLastRound, b.limitedThisRound = b.limitedThisRound, false
		b.extraAckedRounds[b.roundCount%bbrExtraAckedRounds] = 0
		b.extraAcked = 0
		if b.fullBwReached {
			for _, n := range b.extraAckedRounds {
				b.extraAcked = max(b.extraAcked, n)
			}
		}
	}
	b.limitedThisRound = b.limitedThisRound || r.CwndLimited && uint64(r.Flight)+uint64(b.sendQuantum) >= uint64(s.Cwnd)
}

// cwndLimited is C.is_cwnd_limited.
func (b *bbr) cwndLimited() bool { return b.limitedThisRound || b.limitedLastRound }

// updateMaxBw is UpdateMaxBw: a sample that the program limited counts only if
// it shows more than was known.
func (b *bbr) updateMaxBw(s *State, r *RateSample) {
	b.updateRound(s, r)
	if b.rate > 0 && (b.rate >= b.maxBw || !b.limited) {
		b.maxBwFilter[0] = max(b.maxBwFilter[0], b.rate)
		b.maxBw = max(b.maxBwFilter[0], b.maxBwFilter[1])
	}
}

// advanceMaxBwFilter is AdvanceMaxBwFilter: a ProbeBW cycle is over. One
// without any sample does not make the one before it forgotten.
func (b *bbr) advanceMaxBwFilter() {
	if b.maxBwFilter[0] == 0 {
		return
	}
	b.maxBwFilter[1], b.maxBwFilter[0] = b.maxBwFilter[0], 0
	b.maxBw = b.maxBwFilter[1]
}

func (b *bbr) boundBwForModel() { b.bw = min(b.maxBw, b.bwShortterm) }

// updateACKAggregation is UpdateACKAggregation: how much more was acknowledged
// at once than the bandwidth explains, at most, in the last 10 rounds.
func (b *bbr) updateACKAggregation(s *State, r *RateSample) {
	expected := mulDiv(b.bw, uint64(max(r.Now.Sub(b.extraAckedStart), 0)), uint64(time.Second))
	if b.extraAckedDelivered <= expected {
		b.extraAckedDelivered = 0
		b.extraAckedStart = r.Now
		expected = 0
	}
	b.extraAckedDelivered += uint64(r.Delivered)
	extra := min(volume(b.extraAckedDelivered-min(b.extraAckedDelivered, expected)), s.Cwnd)
	slot := &b.extraAckedRounds[b.roundCount%bbrExtraAckedRounds]
	*slot = max(*slot, extra)
	b.extraAcked = max(b.extraAcked, extra)
}

// updateLatestDeliverySignals is UpdateLatestDeliverySignals, near the start of
// an ACK.
func (b *bbr) updateLatestDeliverySignals(r *RateSample) {
	b.lossRoundOver = false
	bw, inflight := b.deliverySignals(r)
	b.bwLatest = max(b.bwLatest, bw)
	b.inflightNow = max(b.inflightNow, inflight)
	if r.PriorDelivered >= b.lossRoundEnd {
		b.lossRoundEnd = b.delivered
		b.lossRoundOver = true
	}
}

// advanceLatestDeliverySignals is AdvanceLatestDeliverySignals, near the end of
// an ACK.
func (b *bbr) advanceLatestDeliverySignals(r *RateSample) {
	if b.lossRoundOver {
		b.bwLatest, b.inflightNow = b.deliverySignals(r)
	}
}

// deliverySignals returns what a sample says of the path's bandwidth, and of
// how much may be in flight, for the short-term bounds.
//
// Deviation: losses within LossThresh count as delivered. The draft takes what
// was delivered, which on a path that loses one packet in a hundred whatever is
// sent is a hundredth less than what was in flight, round after round: because
// the bounds then follow their own shadow, 62 rounds between two probes cost a
// quarter of the rate. A path that delivers less for another reason still lowers
// them.
func (b *bbr) deliverySignals(r *RateSample) (bw uint64, inflight uint32) {
	bw, inflight = b.rate, volume(uint64(r.SampleDelivered))
	if r.SampleLost == 0 || r.SampleDelivered == 0 || b.tooHigh(r.SampleLost, r.TxInFlight) {
		return bw, inflight
	}
	bw += mulDiv(bw, uint64(r.SampleLost), uint64(r.SampleDelivered))
	return bw, volume(uint64(r.SampleDelivered) + uint64(r.SampleLost))
}

func (b *bbr) resetCongestionSignals() {
	b.lossInRound = false
	b.bwLatest = 0
	b.inflightNow = 0
}

func (b *bbr) resetShortTermModel() {
	b.bwShortterm = bbrUnbounded
	b.inflightShortterm = bbrNoVolume
}

// updateCongestionSignals is UpdateCongestionSignals: once a round, loss while
// not probing lowers the short-term bounds to what was delivered, by 30 % at
// most.
func (b *bbr) updateCongestionSignals(s *State, r *RateSample) {
	b.updateMaxBw(s, r)
	if r.Lost > 0 && b.lossEventsInRound < bbrStartupLossCount {
		b.lossEventsInRound++
	}
	if !b.lossRoundOver {
		return
	}
	if b.lossInRound && !b.mode.probing() {
		if b.bwShortterm == bbrUnbounded {
			b.bwShortterm = b.maxBw
		}
		if b.inflightShortterm == bbrNoVolume {
			b.inflightShortterm = s.Cwnd
		}
		b.bwShortterm = max(b.bwLatest, b.bwShortterm*bbrBeta/100)
		b.inflightShortterm = max(b.inflightNow, percent(b.inflightShortterm, bbrBeta))
	}
	b.lossInRound = false
}

// percent returns p percent of n; p is at most 100.
func percent(n uint32, p uint64) uint32 { return uint32(uint64(n) * p / 100) }

// updateMinRTT is UpdateMinRTT. The window of ProbeRTT is computed before a
// sample from a full queue may replace the estimate that has expired.
func (b *bbr) updateMinRTT(r *RateSample) {
	b.minRTTExpired = r.Now > b.minRTTStamp.Add(bbrMinRTTWindow)
	if b.minRTTExpired && b.mode != bbrProbeRTT {
		b.probeRTTCwnd = max(volume(b.bdpMultiple(b.bw, bbrGains[bbrProbeRTT].cwnd)), b.minPipeCwnd())
	}
	if r.RTT > 0 && (b.minRTT == 0 || r.RTT < b.minRTT || b.minRTTExpired) {
		b.minRTT = r.RTT
		b.minRTTStamp = r.Now
	}
}

// bdpMultiple is BDPMultiple: gain percent of what rate needs in flight, the
// initial window while nothing was measured.
func (b *bbr) bdpMultiple(rate, gain uint64) uint64 {
	if b.minRTT == 0 || rate == 0 {
		return uint64(b.initialCwnd)
	}
	return mulDiv(rate*gain, uint64(b.minRTT), 100*uint64(time.Second))
}

// quantizationBudget is QuantizationBudget: room for the quanta that sender
// and receiver handle as one, and for delayed ACKs.
func (b *bbr) quantizationBudget(n uint64) uint32 {
	n = max(n, bbrOffloadQuanta*uint64(b.sendQuantum), uint64(b.minPipeCwnd()))
	if b.mode == bbrUp {
		n += 2 * uint64(b.mss)
	}
	return volume(n)
}

// inflightFor is Inflight(1.0) for the given bandwidth.
func (b *bbr) inflightFor(rate uint64) uint32 {
	return b.quantizationBudget(b.bdpMultiple(rate, 100))
}

// targetInflight is TargetInflight: the estimated BDP, unless congestion cut
// the window.
func (b *bbr) targetInflight(s *State) uint32 {
	return min(volume(b.bdpMultiple(b.bw, 100)), s.Cwnd)
}

// inflightWithHeadroom is InflightWithHeadroom: a part of what the path took
// without much loss is left for others.
func (b *bbr) inflightWithHeadroom() uint32 {
	if b.inflightLongterm == bbrNoVolume {
		return bbrNoVolume
	}
	headroom := max(b.mss, percent(b.inflightLongterm, bbrHeadroom))
	return max(b.inflightLongterm-min(headroom, b.inflightLongterm), b.minPipeCwnd())
}
