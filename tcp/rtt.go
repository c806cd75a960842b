package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

const rtoAfterLostSYN = 3 * time.Second // RFC 6298 §5.7

// measure takes an RTT sample from an ACK, if it can: from when the oldest
// octets that it acknowledges left, or what it SACKs, never from octets that
// left more than once (Karn, RFC 6298 §3), or else from the timestamp, whose
// unit is a millisecond (RFC 7323 §4.1).
func (c *TCB) measure(now mono.Time, seg *Segment, advanced bool, flight uint32) {
	n := &c.out.news
	// Of many samples in a round trip each must count less: RFC 7323 §4.1 and
	// appendix G, for a peer that acknowledges every second segment.
	perRTT := time.Duration(max(1, (flight+2*c.effMSS()-1)/(2*c.effMSS())))
	switch {
	case n.resent:
	case advanced && n.oldest != 0:
		c.sampleRTT(now, now.Sub(n.oldest), perRTT)
		return
	case n.sackAt != 0:
		c.sampleRTT(now, now.Sub(n.sackAt), perRTT)
		return
	}
	if advanced && c.has(fTimestamps) && seg.Opts.Has&wire.HasTimestamps != 0 && seg.Opts.TSEcr != 0 {
		// A peer that lies cannot make it negative or absurd (T-CC-06).
		if ms := int32(c.tsNow(now) - seg.Opts.TSEcr); ms >= 0 && time.Duration(ms)*time.Millisecond <= c.cfg.MaxRTO {
			c.sampleRTT(now, max(time.Duration(ms)*time.Millisecond, time.Millisecond/2), perRTT)
		}
	}
}

// sampleRTT is RFC 6298 §2.2 and §2.3, for a sample that is one of so many in a
// round trip.
func (c *TCB) sampleRTT(now mono.Time, r, perRTT time.Duration) {
	r = max(r, minRTTSample)
	if c.SRTT == 0 {
		c.SRTT, c.RTTVAR = r, r/2
	} else {
		// RTTVAR first: it uses the old SRTT.
		c.RTTVAR += ((c.SRTT - r).Abs() - c.RTTVAR) / (4 * perRTT)
		c.SRTT += (r - c.SRTT) / (8 * perRTT)
		c.SRTT = max(c.SRTT, minRTTSample)
	}
	c.RTO = c.rtoFrom(c.SRTT, c.RTTVAR)
	c.backoff = 0
}

// clockGranularity is G of RFC 6298 §2: the clock is exact to a nanosecond,
// but timers are not.
const clockGranularity = time.Millisecond

// rtoFrom computes RTO. The Linux profile applies its minimum to the variance
// term, as Linux does, so that RTO is at least SRTT + 200 ms; the RFC profile
// to the sum.
func (c *TCB) rtoFrom(srtt, rttvar time.Duration) time.Duration {
	v := max(clockGranularity, 4*rttvar)
	if c.cfg.Profile == ProfileLinux {
		v = max(v, c.cfg.MinRTO)
	}
	return min(max(srtt+v, c.cfg.MinRTO), c.cfg.MaxRTO)
}

// backedOff is RTO after the current number of doublings, RFC 6298 §5.5.
func (c *TCB) backedOff() time.Duration {
	d := c.RTO
	for i := uint8(0); i < c.backoff && d < c.cfg.MaxRTO; i++ {
		d *= 2
	}
	return min(d, c.cfg.MaxRTO)
}
