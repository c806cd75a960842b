package tcp

import (
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

const dupThresh = 3 // RFC 5681 §3.2

// duplicateACK counts towards a fast retransmit, or inflates the window in
// fast recovery, where the peer does not use SACK: RFC 5681 §3.2 with RFC 6582.
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
	if c.dupACKs < dupThresh || c.snd.UNA.LessEq(c.recover) {
		return
	}
	if c.duplicateProbeLost(now) {
		return
	}
	c.enterRecovery(now, uint32(c.snd.MAX-c.snd.UNA))
	if c.ownsRecovery() {
		return
	}
	c.cc.Cwnd = c.cc.SSThresh
	c.inflate = min(dupThresh*mss, uint32(c.recover-c.snd.UNA))
}

// ownsRecovery reports that the algorithm governs the window in recovery.
func (c *TCB) ownsRecovery() bool {
	_, ok := c.cfg.Congestion.(cc.Owner)
	return ok
}

// enterRecovery begins fast recovery: once per window of data, RFC 5681 §4.3.
// flight is FlightSize when the loss was detected; limited transmit does not
// count, RFC 5681 §3.2 step 2.
func (c *TCB) enterRecovery(now mono.Time, flight uint32) {
	c.flags |= fRecovery
	c.flags &^= fPartialACK
	c.recover = c.snd.MAX
	c.startUndo()
	c.out.tail.reset() // RFC 8985 §7.1
	c.onLoss(c.lossOf(now, flight))
	c.owe(pendRetransmit, trace.WhyFastRetransmit)
	c.traceCongestion(now, trace.WhyRecoveryEntered)
}

// lossOf describes a loss to the algorithm. What is outstanding beyond cwnd was
// sent under earlier windows, or as limited transmit.
func (c *TCB) lossOf(now mono.Time, flight uint32) *cc.Loss {
	l := &c.needOutstanding(now).loss
	*l = cc.Loss{Now: now, Flight: min(flight, max(c.cc.Cwnd, 2*c.effMSS())), MSS: c.effMSS()}
	return l
}

// startUndo remembers what is needed to take the coming reduction back.
func (c *TCB) startUndo() {
	c.needOutstanding(c.lastSnd).undo = undo{active: true, from: c.snd.UNA, until: c.snd.MAX}
}

// recoveryACK handles an ACK of new data in fast recovery without SACK,
// RFC 6582 §3.2 step 3. It reports whether the retransmission timer is to be
// restarted.
func (c *TCB) recoveryACK(now mono.Time, acked uint32) (restart bool) {
	mss := c.effMSS()
	if !c.snd.UNA.Less(c.recover) { // full ACK
		if !c.ownsRecovery() {
			flight := uint32(c.snd.MAX - c.snd.UNA)
			c.cc.Cwnd = min(c.cc.SSThresh, max(flight, mss)+mss)
		}
		c.leaveRecovery(now)
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

// leaveRecovery ends fast recovery, or the slow start after a timeout.
func (c *TCB) leaveRecovery(now mono.Time) {
	if !c.has(fRecovery | fLoss) {
		return
	}
	c.flags &^= fRecovery | fLoss | fPartialACK
	c.inflate, c.dupACKs = 0, 0
	c.pend &^= pendRetransmit
	c.cfg.Congestion.OnRecoveryExit(&c.cc, now)
	if c.out != nil {
		c.out.rack.recoveryEnded()
		c.out.undo.frto = frtoOff
		c.out.undo.until = c.snd.MAX
	}
	c.traceCongestion(now, trace.WhyRecoveryLeft)
}

// undoReduction takes the last reduction back, because nothing was lost: RFC
// 4015 §3.2. What was marked lost is on its way.
func (c *TCB) undoReduction(now mono.Time) {
	o := c.out
	o.undos++
	o.board.forgetLost()
	o.rack.judged = c.snd.UNA
	if c.has(fRecovery) && c.has(fSACK) {
		// Segments came later than was granted them, and those behind them may
		// do so too: else the next ACK would begin the same recovery again.
		o.rack.reordering = true
		c.widenReoWindow()
	}
	if c.has(fRecovery) && !c.ownsRecovery() {
		// PRR lets cwnd come down slowly: an algorithm that restores only what was
		// reduced (RFC 9438 §4.9) would see no reduction yet.
		c.cc.Cwnd = min(c.cc.Cwnd, c.cc.SSThresh)
	}
	c.backoff = 0
	c.flags &^= fRecovery | fLoss | fPartialACK
	c.inflate, c.dupACKs = 0, 0
	c.pend &^= pendRetransmit
	before := o.undo.interrupted
	o.undo = undo{}
	switch {
	case before == nil || c.ownsRecovery():
		c.cfg.Congestion.OnUndo(&c.cc, now)
	case c.snd.UNA.Less(before.recover) && o.board.sacked > 0:
		c.flags |= fRecovery
		c.recover, c.cc.Cwnd, o.undo = before.recover, before.cwnd, before.undo
	default:
		// The recovery is over, or has nothing to go by, with nothing SACKed
		// beyond a hole, and would hold the tail loss probe back.
		c.cc.Cwnd = max(c.cc.SSThresh, before.cwnd)
	}
	c.traceCongestion(now, trace.WhySpurious)
}

// recoverSACK is what an ACK brings about that acknowledges or SACKs something, on
// a connection with SACK: loss is detected, recovery begins, goes on or ends.
// flight is FlightSize before the ACK. It reports whether the retransmission
// timer is to be restarted.
func (c *TCB) recoverSACK(now mono.Time, seg *Segment, acked, flight uint32) (restart bool) {
	o := c.out
	advanced := acked > 0
	c.updateRACK(now, seg)
	if len(o.board.spans) == 0 && !c.has(fRecovery|fLoss) && seg.Opts.NSACK == 0 && !o.tail.active && !o.undo.active && c.path == nil {
		return advanced || c.timer() != timerRTO // nothing is missing
	}
	c.adaptReoWindow()
	if c.spurious(seg, advanced) {
		c.undoReduction(now)
	}
	if o.undo.active && !c.has(fRecovery|fLoss) && o.undo.until.Less(c.snd.UNA) {
		o.undo = undo{} // nothing can tell any more
	}
	wait := c.markLost(now)
	if c.path != nil {
		c.pathACKed(now)
	}
	if c.has(fRecovery|fLoss) && !c.snd.UNA.Less(c.recover) {
		if c.has(fRecovery) && !c.ownsRecovery() {
			c.cc.Cwnd = c.cc.SSThresh
		}
		c.leaveRecovery(now)
	}
	switch {
	case c.has(fLoss):
		c.stepFRTO(advanced)
	case c.has(fRecovery):
		if !c.ownsRecovery() {
			c.stepPRR(advanced)
		}
	case o.board.lost > 0 && !c.onlyProbeLost():
		c.enterRecovery(now, flight)
		if !c.ownsRecovery() {
			c.startPRR(acked)
			c.stepPRR(advanced)
		}
	}
	if c.tailProbeAcked(seg, advanced) && !c.has(fRecovery|fLoss) {
		c.tailProbeRepaired(now, flight)
	}
	if wait > 0 && !c.has(fPersist) && !o.reneged(c.snd.UNA) {
		c.armReorder(now, wait)
		return false
	}
	return advanced || c.timer() != timerRTO
}

// markLost finds out what is lost, by RACK or as RFC 6675 does. It returns how
// long RACK wants to wait for what may be reordered.
func (c *TCB) markLost(now mono.Time) (wait time.Duration) {
	c.grounds(trace.WhyRACK)
	if !c.cfg.NoRACK {
		return c.detectLoss(now)
	}
	c.grounds(trace.WhyDuplicates)
	k := &c.out.rack
	if to, ok := c.out.board.lostBelow(c.effMSS()); ok {
		from := c.snd.UNA
		if k.judgedIsSet {
			from = maxSeq(from, k.judged)
		}
		c.loseOriginals(now, from, to)
		k.judged, k.judgedIsSet = maxSeq(from, to), true
	} else if c.dupACKs >= dupThresh && !c.has(fRecovery|fLoss) {
		c.loseOriginals(now, c.snd.UNA, minSeq(c.snd.UNA.Add(int(c.effMSS())), c.snd.MAX))
	}
	return 0
}

// tailProbeRepaired reduces the window for a loss that a probe repaired before
// anybody saw it: RFC 8985 §7.4.2.
func (c *TCB) tailProbeRepaired(now mono.Time, flight uint32) {
	c.onLoss(c.lossOf(now, flight))
	if !c.ownsRecovery() {
		c.cc.Cwnd = min(c.cc.Cwnd, c.cc.SSThresh)
	}
	c.cfg.Congestion.OnRecoveryExit(&c.cc, now)
	c.traceCongestion(now, trace.WhyTailLossProbe)
}

// stepFRTO is RFC 5682 §3 after an ACK that did not show the timeout to be
// spurious: the first one that moves SND.UNA lets new data out before further
// retransmissions; anything else ends the attempt.
func (c *TCB) stepFRTO(advanced bool) {
	u := &c.out.undo
	if u.frto == frtoSent && advanced && c.snd.NXT.Less(c.sndEnd()) && c.usable() > 0 {
		u.frto = frtoNew
		return
	}
	u.frto = frtoOff
}

// cwndRoom is how much cwnd lets out now: with what fast recovery lends, and
// with the one or two segments of limited transmit (RFC 3042). With SACK both
// come of themselves, since what is SACKed is not in flight.
func (c *TCB) cwndRoom() int {
	w, _ := c.cfg.Congestion.Control(&c.cc)
	if c.has(fSACK | fLoss) {
		return int(min(int64(w)-int64(c.inFlight()), 1<<30))
	}
	room := int64(w) + int64(c.inflate)
	if !c.has(fRecovery) && c.dupACKs > 0 {
		room += int64(min(c.dupACKs, dupThresh-1)) * int64(c.effMSS())
	}
	return int(min(room-int64(c.flight()), 1<<30))
}
