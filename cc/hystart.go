package cc

import "time"

// hystart is HyStart++, RFC 9406: the initial slow start watches the round trip
// times; when they rise it goes on more slowly (Conservative Slow Start, CSS),
// back to full speed if they fall again, into congestion avoidance if not.
//
// RFC 9406 §4.2 judges a round only when it gave N_RTT_SAMPLE samples. Where one
// ACK covers many segments (a receiver with GRO, one ACK for 64 KiB) most rounds
// have fewer, and would pass their raised minimum on as the next yardstick, so
// that no increase is ever seen. Deviation: once there is a yardstick, such
// rounds run together until there are enough samples, so that it stays what it
// was. A sample is one ACK however much that covers: counting segments would
// judge by a single burst, which queues behind itself.
type hystart struct {
	roundEnd   uint64 // what was delivered when the round began
	lastMin    uint32 // lastRoundMinRTT in microseconds, 0: infinity
	currentMin uint32 // currentRoundMinRTT
	baseline   uint32 // cssBaselineMinRtt
	samples    uint8  // rttSampleCount, N_RTT_SAMPLE at most
	cssRounds  uint8  // left of CSS; 0: ordinary slow start
	rest       uint8  // bytes acknowledged in CSS that did not make one of growth
}

// RFC 9406 §4.3. The limit L is slowStartLimit.
const (
	minRTTThresh     = uint32(4 * time.Millisecond / time.Microsecond)
	maxRTTThresh     = uint32(16 * time.Millisecond / time.Microsecond)
	minRTTDivisor    = 8
	nRTTSample       = 8
	cssGrowthDivisor = 4
	cssRounds        = 5
)

// grow returns what an ACK adds to cwnd in the initial slow start. When CSS is
// over it sets SSThresh to Cwnd, which ends slow start, and returns 0.
//
// Round trips are measured always, but only a sender that fills its window
// decides by them: what others queue says nothing about a window that is not
// used, and a connection of small requests would leave slow start early.
func (h *hystart) grow(s *State, r *RateSample) uint32 {
	began := h.observe(r)
	if !r.CwndLimited {
		return 0
	}
	if began && h.cssRounds > 0 {
		if h.cssRounds--; h.cssRounds == 0 {
			s.SSThresh = s.Cwnd
			return 0
		}
	}
	growth := min(slowStartGrowth(r), maxWindow)
	if h.cssRounds > 0 {
		growth += uint32(h.rest)
		h.rest = uint8(growth % cssGrowthDivisor)
		growth /= cssGrowthDivisor
	}
	h.judge()
	return growth
}

// observe takes an ACK's sample and reports whether a round began with it: when
// the ACK is for a packet that left after the last one had begun.
func (h *hystart) observe(r *RateSample) (began bool) {
	if r.PriorDelivered >= h.roundEnd && r.TotalDelivered > h.roundEnd {
		began = true
		h.roundEnd = r.TotalDelivered
		if h.lastMin == 0 || h.samples >= nRTTSample {
			h.lastMin, h.currentMin, h.samples = h.currentMin, 0, 0
		}
	}
	if r.RTT > 0 {
		rtt := uint32(min(max(r.RTT.Microseconds(), 1), 1<<31))
		if h.currentMin == 0 || rtt < h.currentMin {
			h.currentMin = rtt
		}
		h.samples = min(h.samples+1, nRTTSample)
	}
	return began
}

// judge enters CSS when round trips take longer than in the round before, and
// leaves it when they no longer do. RFC 9406 §4.2.
func (h *hystart) judge() {
	switch {
	case h.samples < nRTTSample || h.lastMin == 0:
	case h.cssRounds > 0:
		if h.currentMin < h.baseline {
			h.cssRounds = 0
		}
	case h.currentMin >= h.lastMin+min(max(h.lastMin/minRTTDivisor, minRTTThresh), maxRTTThresh):
		h.baseline, h.cssRounds, h.rest = h.currentMin, cssRounds, 0
	}
}
