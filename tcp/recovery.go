package tcp

import (
	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

const dupThresh = 3 // RFC 5681 §3.2

// duplicateACK counts towards a fast retransmit, or inflates the window in
// fast recovery: RFC 5681 §3.2 with RFC 6582.
func (c *TCB) duplicateACK(now mono.Time) {
	mss := c.effMSS()
	if c.dupACKs < 255 {
		c.dupACKs++
	}
	if c.has(fRecovery) {
		// One more segment has left the network; a peer that invents ACKs
		// gains no more than what was outstanding at the start (T-CC-03).
		if c.inflate+mss <= uint32(c.recover-c.snd.UNA) {
			c.inflate += mss
		}
		return
	}
	// RFC 6582 §3.2 step 2: not again for losses of the window before, nor for
	// duplicates of its end, which our own needless retransmissions cause.
	beyond := c.snd.UNA == c.recover && c.recover.Less(c.sacked) // SACK tells: these are no such duplicates
	if c.dupACKs < dupThresh || c.snd.UNA.LessEq(c.recover) && !beyond {
		return
	}
	c.flags |= fRecovery
	c.flags &^= fPartialACK | fTiming
	c.recover = c.snd.MAX
	c.cfg.Congestion.OnLossEvent(&c.cc, &cc.Loss{Now: now, Flight: c.lossFlight(), MSS: mss})
	c.cc.Cwnd = c.cc.SSThresh
	c.inflate = min(dupThresh*mss, uint32(c.recover-c.snd.UNA))
	c.owe(pendRetransmit, trace.WhyFastRetransmit)
	c.traceCongestion(now, trace.WhyRecoveryEntered)
}

// lossFlight is FlightSize without what limited transmit sent, RFC 5681 §3.2
// step 2.
func (c *TCB) lossFlight() uint32 {
	f := uint32(c.snd.MAX - c.snd.UNA)
	return min(f, max(c.cc.Cwnd, 2*c.effMSS()))
}

// recoveryACK handles an ACK of new data in fast recovery, RFC 6582 §3.2
// step 3. It reports whether the retransmission timer is to be restarted.
func (c *TCB) recoveryACK(now mono.Time, acked uint32) (restart bool) {
	mss := c.effMSS()
	if !c.snd.UNA.Less(c.recover) { // full ACK
		flight := uint32(c.snd.MAX - c.snd.UNA)
		c.cc.Cwnd = min(c.cc.SSThresh, max(flight, mss)+mss)
		c.leaveRecovery()
		c.traceCongestion(now, trace.WhyRecoveryLeft)
		return true
	}
	c.owe(pendRetransmit, trace.WhyPartialACK)
	c.inflate -= min(c.inflate, acked)
	if acked >= mss {
		c.inflate += mss
	}
	restart = !c.has(fPartialACK)
	c.flags |= fPartialACK
	return restart
}

func (c *TCB) leaveRecovery() {
	c.flags &^= fRecovery | fPartialACK
	c.inflate, c.dupACKs = 0, 0
}

// cwndRoom is how much cwnd lets out now: with what fast recovery lends, and
// with the one or two segments of limited transmit (RFC 3042).
func (c *TCB) cwndRoom() int {
	w := int64(c.cc.Cwnd) + int64(c.inflate)
	if !c.has(fRecovery) && c.dupACKs > 0 {
		w += int64(min(c.dupACKs, dupThresh-1)) * int64(c.effMSS())
	}
	return int(min(w-int64(c.flight()), 1<<30))
}
