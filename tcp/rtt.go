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
func (c *TCB) measure(now mono.Time, seg *Segment, advanced bool) {
	n := &c.out.news
	switch {
	case n.resent:
	case advanced && n.oldest != 0:
		c.sampleRTT(now, now.Sub(n.oldest))
		return
	case n.sackAt != 0:
		c.sampleRTT(now, now.Sub(n.sackAt))
		return
	}
	if advanced && c.has(fTimestamps) && seg.Opts.Has&wire.HasTimestamps != 0 && seg.Opts.TSEcr != 0 {
		// A peer that lies cannot make it negative or absurd (T-CC-06).
		if ms := int32(c.tsNow(now) - seg.Opts.TSEcr); ms >= 0 && time.Duration(ms)*time.Millisecond <= c.cfg.MaxRTO {
			c.sampleRTT(now, max(time.Duration(ms)*time.Millisecond, time.Millisecond/2))
		}
	}
}

// sampleRTT is RFC 6298 §2.2 and §2.3. A sample beyond the largest RTO tells how
// long the path was cut, and would hold pacing and RACK back for as long again.
func (c *TCB) sampleRTT(now mono.Time, r time.Duration) {
	r = min(max(r, minRTTSample), c.cfg.MaxRTO)
	if c.out != nil {
		c.out.tail.stale = false
	}
	switch {
	case c.SRTT == 0:
		c.SRTT, c.RTTVAR = r, r/2
	case c.cfg.Profile == ProfileLinux && c.out != nil:
		c.out.rtt.sample(c, r)
	case c.out != nil && c.out.rtt.sampled(c):
		return // one in a round trip, as the gains of RFC 6298 expect
	default:
		// RTTVAR first: it uses the old SRTT.
		c.RTTVAR += ((c.SRTT - r).Abs() - c.RTTVAR) / 4
		c.SRTT += (r - c.SRTT) / 8
	}
	c.SRTT = max(c.SRTT, minRTTSample)
	c.RTO = c.rtoFrom(c.SRTT, c.RTTVAR)
	c.backoff = 0
}

// rttRound is what a connection that takes many samples in a round trip knows
// of them.
type rttRound struct {
	end   Seq // the round is over when this is acknowledged
	began bool
	mdev  time.Duration // deviation, smoothed sample by sample
	most  time.Duration // the largest mdev of the round
}

// sampled begins a round if the last one is over, and reports that it is not.
func (k *rttRound) sampled(c *TCB) bool {
	if k.began && c.snd.UNA.Less(k.end) {
		return true
	}
	k.end, k.began = c.snd.MAX, true
	return false
}

// sample takes one of many samples, as Linux does: SRTT follows each of them,
// RTTVAR rises at once with the largest deviation and falls once in a round
// trip, or RTO would come down to SRTT when a window's ACKs all say the same.
func (k *rttRound) sample(c *TCB, r time.Duration) {
	if k.mdev == 0 {
		k.mdev = c.RTTVAR
	}
	d := (c.SRTT - r).Abs()
	if gain := d - k.mdev; gain > 0 && r < c.SRTT {
		k.mdev += gain / 32 // the RTT falls: no reason to wait longer
	} else {
		k.mdev += gain / 4
	}
	c.SRTT += (r - c.SRTT) / 8
	k.most = max(k.most, k.mdev)
	c.RTTVAR = max(c.RTTVAR, k.most)
	if !k.sampled(c) {
		if k.most < c.RTTVAR {
			c.RTTVAR -= (c.RTTVAR - k.most) / 4
		}
		k.most = 0
	}
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
