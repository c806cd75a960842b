package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

// Advance tells the time: deadlines that have passed take effect, RFC 9293
// §3.10.8. Early or repeated calls are harmless.
func (c *TCB) Advance(now mono.Time) {
	if d := c.Deadline(); d.Due(now) && now.Sub(d) > suspended {
		c.wokeUp(now, now.Sub(d))
	}
	if c.deadlines[dRetransmit].Due(now) {
		c.deadlines[dRetransmit] = 0
		switch {
		case c.has(fPersist):
			c.onPersist(now)
		case c.timer() == timerProbe:
			c.onProbeTimeout(now)
		case c.timer() == timerReorder:
			c.onReorder(now)
		default:
			c.onRTO(now)
		}
	}
	if c.deadlines[dPace].Due(now) {
		c.deadlines[dPace] = 0 // Emit tries again
	}
	if c.deadlines[dDelayedACK].Due(now) {
		c.deadlines[dDelayedACK] = 0
		c.owe(pendACK, trace.WhyDelayedACK)
	}
	if c.deadlines[dKeepalive].Due(now) {
		c.deadlines[dKeepalive] = 0
		c.onKeepalive(now)
	}
	if c.deadlines[dLinger].Due(now) {
		c.deadlines[dLinger] = 0
		c.why = trace.WhyTimeWait
		if c.state == FinWait2 {
			c.why = trace.WhyFinWait2
		}
		c.end(now, OnTimeout, ReasonNone)
	}
}

// suspended is how late a deadline must be noticed to mean that the host slept,
// or was stopped: no timer is that late.
const suspended = time.Second

// wokeUp takes out of all limits the time in which nothing could be sent or
// heard. Whoever would be given up now because nobody answered is asked once
// more.
func (c *TCB) wokeUp(now mono.Time, slept time.Duration) {
	if c.progress != 0 {
		c.progress = min(c.progress.Add(slept), now)
	}
	c.flags &^= fTiming // it would count the sleep
	c.lastRcv = min(c.lastRcv.Add(slept), now)
	if c.keepSent > 0 {
		c.keepSent = min(c.keepSent, max(c.keepCount, 1)-1)
	}
	limit := c.cfg.Retries
	if c.has(fSYNUnacked) {
		limit = c.synRetries()
	}
	if limit > 0 {
		c.expiries = min(c.expiries, limit-1)
	}
}

// armRetransmit starts the retransmission timer anew: for a tail loss probe
// where that is allowed, when the RTO would expire at the latest (RFC 8985 §7.2),
// else for the RTO.
func (c *TCB) armRetransmit(now mono.Time) {
	c.armRTO(now)
	if !c.mayProbeTail() {
		return
	}
	rto := c.deadlines[dRetransmit]
	d := min(now.Add(c.probeTimeout()), rto)
	if q := &c.out.sent; q.len() > 0 {
		if e := q.r[q.head].at.Add(c.RTO); e > now {
			d = min(d, e)
		}
	}
	if d == rto && rto < now.Add(c.RTO) {
		return // R2 comes first
	}
	c.deadlines[dRetransmit] = d
	c.setTimer(timerProbe)
}

// armReorder waits for what may only be reordered, RFC 8985 §6.2.
func (c *TCB) armReorder(now mono.Time, wait time.Duration) {
	c.flags &^= fPersist
	c.deadlines[dRetransmit] = now.Add(wait)
	c.setTimer(timerReorder)
}

// onReorder is the reordering timer of RACK: what has not arrived by now is
// lost.
func (c *TCB) onReorder(now mono.Time) {
	if c.snd.UNA == c.snd.MAX || c.out == nil {
		return
	}
	c.traceTimer(now, trace.WhyReordering)
	o := c.out
	o.news = news{}
	c.grounds(trace.WhyReordering)
	wait := c.detectLoss(now)
	if c.path != nil {
		c.pathACKed(now)
	}
	if o.board.lost > 0 && !c.has(fRecovery|fLoss) && !c.onlyProbeLost() {
		c.enterRecovery(now, uint32(c.snd.MAX-c.snd.UNA))
		if !c.ownsRecovery() {
			c.startPRR(0)
			c.cc.Cwnd = c.inFlight() + c.effMSS()
		}
		c.updatePacing()
	}
	if wait > 0 {
		c.armReorder(now, wait)
		return
	}
	c.armRTO(now)
}

// armRTO starts the timer of RFC 6298. The user timeout never waits for a whole
// RTO.
func (c *TCB) armRTO(now mono.Time) {
	c.flags &^= fPersist
	c.setTimer(timerRTO)
	if c.progress == 0 {
		c.progress = now
	}
	d := now.Add(c.backedOff())
	if end := c.progress.Add(c.limit()); c.limit() > 0 && now < end {
		d = min(d, end)
	}
	c.deadlines[dRetransmit] = d
}

// limit is R2 as a time, 0 for none.
func (c *TCB) limit() time.Duration {
	if c.userTimeout > 0 {
		return time.Duration(c.userTimeout) * time.Millisecond
	}
	return c.cfg.UserTimeout
}

// onRTO is the retransmission timeout: RFC 6298 §5.4 to §5.7, RFC 5681 §3.1,
// RFC 9293 §3.8.3.
func (c *TCB) onRTO(now mono.Time) {
	if c.fastOpenRTO(now) || c.snd.MAX == c.snd.UNA {
		return // nothing is outstanding: a late call
	}
	c.traceTimer(now, trace.WhyRetransmitTimeout)
	if c.gaveUp(now) {
		return
	}
	c.expiries++
	if c.fo != nil {
		c.fastOpenTimeout()
	}
	if c.expiries == c.cfg.R1 { // RFC 9293 §3.8.3 (a): IP and the application are told
		c.events |= EventR1 | EventSoftError
		c.soft = ReasonRetransmitting
	}
	if c.has(fSYNUnacked) {
		c.flags |= fSYNLost
		c.flags &^= fTiming // Karn
		c.snd.NXT = c.snd.UNA
	} else {
		c.probeTimedOut()
		if c.confirmClaim(now) { // the size is to blame, not congestion
			c.armRTO(now)
			return
		}
		c.suspectBlackHole(now)
		c.repairTimeout(now)
	}
	c.backoff = min(c.backoff+1, 30)
	c.why = trace.WhyRetransmitTimeout
	c.armRTO(now)
}

// repairTimeout begins the slow start after a timeout: RFC 5681 §3.1, RFC 6675
// §5.1, RFC 8985 §6.3. What is SACKed stays so, unless the peer has gone back on
// it (RFC 2018 §8).
func (c *TCB) repairTimeout(now mono.Time) {
	o := c.needOutstanding(now)
	recovery := c.has(fRecovery)
	if !c.has(fLoss) {
		before := o.undo
		c.startUndo()
		if recovery && c.has(fSACK) {
			o.undo.interrupted = &interrupted{undo: before, cwnd: c.cc.Cwnd, recover: c.recover}
		}
		if c.has(fSACK) && c.expiries == 1 && !c.cfg.NoFRTO {
			o.undo.frto = frtoSent
		}
	} else {
		o.undo.frto = frtoOff
	}
	o.news = news{}
	if o.reneged(c.snd.UNA) {
		o.board.forgetSACKs()
		o.rack.judged = c.snd.UNA
	}
	// In fast recovery SSThresh has been reduced for this window of data: RFC 5681
	// §4.3.
	c.cfg.Congestion.OnRTO(&c.cc, c.lossOf(now, uint32(c.snd.MAX-c.snd.UNA)), c.expiries == 1 && !recovery)
	c.grounds(trace.WhyRetransmitTimeout)
	if c.has(fSACK) && !c.cfg.NoRACK {
		c.loseExpired(now)
	} else {
		c.loseAll(now)
	}
	c.flags &^= fRecovery | fPartialACK
	c.flags |= fLoss
	c.inflate, c.dupACKs = 0, 0
	c.recover = c.snd.MAX // RFC 6582 §4: late duplicates start no new recovery
	c.ecnReduced()
	o.tail.reset()
	c.pend &^= pendTLP
	c.pend |= pendRetransmit
	c.updatePacing()
	c.traceCongestion(now, trace.WhyRetransmitTimeout)
}

// gaveUp ends the connection when R2 is reached, RFC 9293 §3.8.3 (b).
func (c *TCB) gaveUp(now mono.Time) bool {
	limit := c.cfg.Retries
	if c.has(fSYNUnacked) {
		limit = c.synRetries()
	}
	since := c.progress
	if c.snd.WND == 0 && c.userTimeout == 0 && c.state.synchronized() {
		since = max(since, c.lastRcv) // the window is closed and the peer answers: MUST-37, SHLD-17
	}
	why := ReasonTimeout
	switch ut := c.limit(); {
	case ut > 0 && since != 0 && now >= since.Add(ut):
		if c.userTimeout > 0 {
			why = ReasonUserTimeout
		}
	case limit > 0 && c.expiries >= limit:
	case c.has(fDetached) && c.snd.WND == 0 && c.backoff >= c.cfg.orphanProbes():
	case c.has(fDetached) && c.cfg.OrphanRetries > 0 && c.expiries >= c.cfg.OrphanRetries:
	default:
		return false
	}
	if c.state.synchronized() {
		c.owe(pendRST, trace.WhyUserTimeout)
	}
	if c.soft != ReasonNone && c.soft != ReasonRetransmitting {
		why = c.soft // what ICMP said is the better explanation
	}
	c.end(now, OnTimeout, why)
	return true
}

// settle keeps a promise to the reader: whenever something is unsent or
// unacknowledged, a deadline is set. It is the last thing Emit does.
func (c *TCB) settle(now mono.Time) {
	if c.deadlines[dRetransmit] != 0 || c.state == Closed || c.state == TimeWait {
		return
	}
	if c.snd.UNA != c.snd.MAX {
		c.armRetransmit(now)
		return
	}
	unsent := c.snd.NXT.Less(c.sndEnd()) || c.has(fFINQueued) && c.snd.NXT == c.sndEnd()
	if unsent && c.state.synchronized() {
		c.startPersist(now)
	}
}

// startPersist waits for the window to open: probing when it is closed
// (RFC 9293 §3.8.6.1), and sending a silly segment after a while when it is
// merely small (§3.8.6.2.1, override).
func (c *TCB) startPersist(now mono.Time) {
	c.flags |= fPersist
	if c.progress == 0 {
		c.progress = now
	}
	d := c.backedOff() // the first after one RTO, then doubling: SHLD-29, SHLD-30
	if c.usable() > 0 {
		d = c.cfg.SillyOverride
		if w := c.ecnWait(now); w > 0 {
			d = w
		}
	}
	c.deadlines[dRetransmit] = now.Add(d)
}

// stopPersist ends probing, because the window is open again.
func (c *TCB) stopPersist() {
	c.flags &^= fPersist
	c.deadlines[dRetransmit] = 0
	c.backoff, c.expiries, c.progress = 0, 0, 0
}

// onPersist sends a probe, or what the small window takes.
func (c *TCB) onPersist(now mono.Time) {
	c.flags &^= fPersist
	if c.usable() > 0 {
		c.pend |= pendOverride
		c.why = trace.WhySillyWindow
		return
	}
	c.traceTimer(now, trace.WhyZeroWindowProbe)
	if c.gaveUpProbing(now) {
		return
	}
	c.owe(pendProbe, trace.WhyZeroWindowProbe)
	c.expiries = min(c.expiries+1, 254)
	c.backoff = min(c.backoff+1, 30)
	c.startPersist(now)
}

// orphanProbes is how often a connection that no program holds any more doubles
// the interval of its probes before it is given up, answered or not: nobody
// would free it otherwise. RFC 6429 §3 allows it; the number is Linux'.
const orphanProbes = 8

// gaveUpProbing ends a connection whose peer does not answer probes, or whose
// application set a limit.
func (c *TCB) gaveUpProbing(now mono.Time) bool {
	why := ReasonTimeout
	switch {
	case c.userTimeout > 0 && c.progress != 0 && now >= c.progress.Add(c.limit()):
		why = ReasonUserTimeout
	case c.cfg.Retries > 0 && c.expiries >= c.cfg.Retries:
	case c.cfg.UserTimeout > 0 && c.expiries > 0 && now >= c.lastRcv.Add(c.cfg.UserTimeout):
	case c.has(fDetached) && c.backoff >= c.cfg.orphanProbes():
	default:
		return false
	}
	c.owe(pendRST, trace.WhyUserTimeout)
	c.end(now, OnTimeout, why)
	return true
}

// armKeepalive sets the deadline of the next look at an idle connection.
func (c *TCB) armKeepalive(now mono.Time) {
	if !c.state.synchronized() || c.state == TimeWait {
		return // from ESTABLISHED on
	}
	c.deadlines[dKeepalive] = max(now+1, c.lastRcv.Add(time.Duration(c.keepIdle)*time.Millisecond))
}

// onKeepalive probes a connection on which nothing is outstanding and nothing
// was heard for the interval, RFC 9293 §3.8.4.
func (c *TCB) onKeepalive(now mono.Time) {
	if !c.has(fKeepalive) || !c.state.synchronized() || c.state == TimeWait {
		return
	}
	idle := time.Duration(c.keepIdle) * time.Millisecond
	switch {
	case c.snd.UNA != c.snd.MAX || c.has(fPersist): // MUST-26: the other timers watch
		c.deadlines[dKeepalive] = now.Add(idle)
		return
	case c.keepSent == 0 && now.Sub(c.lastRcv) < idle:
		c.armKeepalive(now)
		return
	case c.keepSent >= c.keepCount || c.userTimeout > 0 && c.keepSent > 0 &&
		now.Sub(c.lastRcv) >= time.Duration(c.userTimeout)*time.Millisecond:
		c.owe(pendRST, trace.WhyKeepalive)
		c.end(now, OnTimeout, ReasonKeepalive)
		return
	}
	c.keepSent++
	c.owe(pendKeepalive, trace.WhyKeepalive)
	c.deadlines[dKeepalive] = now.Add(time.Duration(c.keepInterval) * time.Millisecond)
}
