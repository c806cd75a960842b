package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// checkACK is the fifth step of RFC 9293 §3.10.7.4 for ESTABLISHED and the
// states after it. It reports whether the segment is to be processed further.
func (c *TCB) checkACK(now mono.Time, seg *Segment) bool {
	switch {
	case !c.acceptableACK(seg):
		why := trace.WhyOldACK
		if c.snd.MAX.Less(seg.ACK) { // of something not yet sent
			why = trace.WhyAckOfUnsent
		}
		c.traceDrop(now, seg, why)
		c.challengeACK(now)
		return false
	case c.snd.UNA.Less(seg.ACK):
		c.newACK(now, seg)
		c.updateWindow(now, seg)
	case seg.ACK == c.snd.UNA:
		c.sameACK(now, seg)
	}
	if c.has(fPersist) || c.snd.WND == 0 {
		c.expiries = 0 // it answers: RFC 9293 §3.8.6.1 (MUST-37)
	}
	return c.ourFINAcked(now)
}

// acceptableACK is the test of RFC 5961 §5.2, which is MAY-12 of RFC 9293
// §3.10.7.4: neither of something unsent nor older than a window.
func (c *TCB) acceptableACK(seg *Segment) bool {
	return !c.snd.MAX.Less(seg.ACK) && !seg.ACK.Less(c.snd.UNA-Seq(c.snd.maxWND)) && !c.ghostACK(seg)
}

// ghostACK reports an ACK for something before our ISS, which was never sent
// although RFC 5961 §5.2 would let it pass early in a connection
// (draft-ietf-tcpm-tcp-ghost-acks).
func (c *TCB) ghostACK(seg *Segment) bool {
	return c.bytesOut < 1<<30 && seg.ACK.Less(c.snd.ISS+1)
}

// ourFINAcked makes the changes of state that the ACK of our FIN brings about.
func (c *TCB) ourFINAcked(now mono.Time) bool {
	if !c.finAcked() {
		return c.state != Closing // "ignore the segment"
	}
	switch c.state {
	case FinWait1:
		c.setState(now, FinWait2, OnACK)
		c.lingerFinWait2(now)
	case Closing:
		c.setState(now, TimeWait, OnACK)
		c.startTimeWait(now)
		return false
	case LastAck:
		c.end(now, OnACK, ReasonNone)
		return false
	}
	return true
}

// newACK handles an ACK that moves SND.UNA.
func (c *TCB) newACK(now mono.Time, seg *Segment) {
	acked := uint32(seg.ACK - c.snd.UNA)
	flight, prior := uint32(c.snd.MAX-c.snd.UNA), c.inFlight()
	wasFull := c.Room() == 0
	if c.out != nil {
		c.out.news = news{}
		c.out.acknowledged(c.snd.UNA, seg.ACK)
	}
	c.snd.UNA = seg.ACK
	c.snd.NXT = maxSeq(c.snd.NXT, seg.ACK)
	if to := seg.ACK; c.sndEnd().Less(to) { // the FIN is not in the queue
		c.snd.queue.ackTo(c.sndEnd())
	} else {
		c.snd.queue.ackTo(to)
	}
	if c.snd.urgent && c.snd.UP.LessEq(c.snd.UNA) {
		c.snd.urgent = false
	}
	c.expiries = 0 // the back-off stays until there is a sample: RFC 6298 §5.7, Karn
	c.pend &^= pendRetransmit | pendTLP
	if !c.has(fRecovery) {
		c.dupACKs = 0
		c.recover = maxSeq(c.recover, c.snd.UNA-1) // or it would be ahead again 2 GiB later
	}
	restart := c.acknowledge(now, seg, acked, flight, prior)
	c.flags &^= fCwndLimited
	c.growSend(flight)
	if c.snd.UNA == c.snd.MAX { // RFC 6298 §5.2
		c.deadlines[dRetransmit], c.progress = 0, 0
		c.flags &^= fPersist
	} else {
		c.progress = now
		if restart || c.userTimeout > 0 { // RFC 6298 §5.3; a user timeout counts from here
			c.armRetransmit(now)
		}
		if c.out != nil && !c.has(fPersist) && c.out.reneged(c.snd.UNA) { // it will not come without a timeout
			c.deadlines[dRetransmit] = min(c.deadlines[dRetransmit], now.Add(max(c.SRTT/2, renegingDelay)))
		}
	}
	if wasFull || c.snd.queue.len() == 0 {
		c.events |= EventWritable
	}
}

// sameACK handles an ACK that does not move SND.UNA.
func (c *TCB) sameACK(now mono.Time, seg *Segment) {
	duplicate := c.isDuplicate(seg)
	c.updateWindow(now, seg)
	if !c.has(fSACK) {
		if duplicate && c.snd.UNA != c.snd.MAX {
			c.duplicateACK(now)
		}
		return
	}
	o := c.out
	if o == nil || seg.Opts.NSACK == 0 && !(duplicate && o.tail.active) {
		return
	}
	o.news = news{}
	restart := c.acknowledge(now, seg, 0, uint32(c.snd.MAX-c.snd.UNA), c.inFlight())
	// With nothing outstanding it may still tell of a duplicate, RFC 2883.
	if restart && c.snd.UNA != c.snd.MAX && !c.has(fPersist) {
		c.armRetransmit(now)
	}
}

// acknowledge is what follows from what an ACK says: RTT, losses and recovery,
// and the congestion control's share. acked is by how much SND.UNA has moved,
// flight what was outstanding and prior what was in flight before. It reports
// whether the retransmission timer is to be restarted.
func (c *TCB) acknowledge(now mono.Time, seg *Segment, acked, flight, prior uint32) (restart bool) {
	o := c.out
	if o == nil {
		if c.has(fRecovery|fLoss) && !c.snd.UNA.Less(c.recover) {
			c.leaveRecovery(now)
		}
		return true
	}
	if c.readSACK(now, seg) && acked == 0 && c.dupACKs < 255 {
		c.dupACKs++
	}
	c.measure(now, seg, acked > 0)
	c.arrived = max(c.arrived, uint8(o.news.size/arrivedUnit))
	if c.path != nil && !c.has(fSACK) {
		c.pathACKed(now)
	}
	inRecovery := c.has(fRecovery)
	restart = true
	switch {
	case c.has(fSACK):
		restart = c.recoverSACK(now, seg, acked, flight)
	case c.spurious(seg, acked > 0):
		c.undoReduction(now)
	case inRecovery:
		restart = c.recoveryACK(now, acked)
	case c.has(fLoss) && !c.snd.UNA.Less(c.recover):
		c.leaveRecovery(now)
	}
	c.sampleRate(now, acked, flight, prior)
	if grow := c.ecnGrowth(); acked > 0 && grow && !inRecovery && !c.has(fRecovery) || c.ownsRecovery() {
		c.cfg.Congestion.OnAck(&c.cc, &o.sample)
	}
	c.updatePacing()
	return restart
}

// updateWindow follows RFC 9293 §3.10.7.4: only a segment that is newer than
// the last one used may change SND.WND.
//
// Deviation: one that acknowledges more than any before is newer, also when its
// SEQ is lower: a retransmission, a probe. The RFC would keep SND.WND, which
// counts from SND.UNA, and so believe in a window that nobody offered. Linux
// does as we do.
func (c *TCB) updateWindow(now mono.Time, seg *Segment) {
	if !c.snd.WL2.Less(seg.ACK) && !c.snd.WL1.Less(seg.SEQ) && !(c.snd.WL1 == seg.SEQ && c.snd.WL2 == seg.ACK) {
		return
	}
	opened := c.snd.WND == 0
	c.snd.WND = c.sndWindow(seg)
	c.snd.WL1, c.snd.WL2 = seg.SEQ, seg.ACK
	c.snd.maxWND = max(c.snd.maxWND, c.snd.WND)
	if opened && c.snd.WND > 0 {
		c.windowOpened(now)
	}
	if opened && c.has(fPersist) && c.snd.WND > 0 { // else it waits for the silly window override
		c.stopPersist()
	}
}

// windowOpened ends what a closed window had brought about, RFC 9293 §3.8.6:
// the back-off was that of probes, what was sent as a probe found no room, and
// R2 does not count the time (SHLD-17).
func (c *TCB) windowOpened(now mono.Time) {
	if c.backoff > 0 {
		c.grounds(trace.WhyWindowOpened)
		c.loseAll(now)
	}
	c.backoff = 0
	if c.progress != 0 {
		c.progress = now
	}
	if d := now.Add(c.RTO); c.deadlines[dRetransmit] > d {
		c.deadlines[dRetransmit] = d
	}
}

// isDuplicate is the definition of RFC 5681 §2, before the window is updated,
// but for whether something is outstanding. Into a closed window only probes go,
// and their answers all look like that.
func (c *TCB) isDuplicate(seg *Segment) bool {
	return c.snd.WND > 0 && seg.Data.Len() == 0 &&
		seg.Flags&(wire.FlagSYN|wire.FlagFIN) == 0 && c.sndWindow(seg) == c.snd.WND && seg.SEQ == c.rcv.NXT
}
