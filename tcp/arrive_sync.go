package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// arriveSync is RFC 9293 §3.10.7.4: the eight steps for SYN-RECEIVED and the
// synchronised states, one function each.
func (c *TCB) arriveSync(now mono.Time, seg *Segment) (reset bool) {
	if c.state == TimeWait {
		c.arriveTimeWait(now, seg)
		return false
	}
	if c.repeatedSYN(seg) {
		return c.ecnRepeatedSYN(now, seg)
	}
	c.accSYNACKAgain(seg)
	if c.simultaneousSYNACK(seg) {
		seg.SEQ++
		seg.Flags &^= wire.FlagSYN
		seg.unscaled = true
	}
	n := seg.Data.Len()
	if !c.checkSequence(now, seg) { // first
		return false
	}
	if seg.Has(wire.FlagRST) { // second
		c.checkReset(now, seg)
		return false
	}
	// Third, check security: not implemented, as everywhere.
	if seg.Has(wire.FlagSYN) { // fourth
		c.checkSYN(now)
		return false
	}
	if !seg.Has(wire.FlagACK) { // fifth: without ACK it is dropped
		c.traceDrop(now, seg, trace.WhyNoACK)
		return false
	}
	if c.has(fSYNUnacked) { // SYN-RECEIVED, or FIN-WAIT-1 when CLOSE came in it
		if !seg.ACK.LessEq(c.snd.UNA) && !c.snd.MAX.Less(seg.ACK) {
			c.snd.WND, c.snd.WL1, c.snd.WL2 = c.sndWindow(seg), seg.SEQ, seg.ACK
			c.snd.maxWND = max(c.snd.maxWND, c.snd.WND)
			c.synAcked(now, seg, OnACK)
		} else if c.state == SynReceived {
			return true
		}
	}
	c.heard(now)
	if c.ecn != nil && c.acceptableACK(seg) {
		c.ecnArrived(now, seg, n)
	}
	if !c.checkACK(now, seg) || c.state == Closed || c.state == TimeWait {
		if c.state == TimeWait && seg.Has(wire.FlagFIN) {
			c.owe(pendACK, trace.WhyTimeWait) // a FIN is always answered, the eighth step
		}
		return false
	}
	if c.has(fDetached) && seg.Data.Len() > 0 && c.state.canReceive() {
		// Nobody will ever read this: RFC 9293 §3.6.1 (SHLD-3), RFC 2525 §2.17.
		c.traceDrop(now, seg, trace.WhyAborted)
		c.end(now, OnAbort, ReasonAborted)
		return true
	}
	c.text(now, seg)
	return false
}

// simultaneousSYNACK recognises the SYN-ACK that answers our SYN in a
// simultaneous open: its SYN is the one we know already, so the window check
// would drop it and its ACK would be lost. RFC 9293 figure 7 line 5 to 7.
func (c *TCB) simultaneousSYNACK(seg *Segment) bool {
	return c.state == SynReceived && !c.has(fPassive) && seg.Has(wire.FlagSYN|wire.FlagACK) &&
		!seg.Has(wire.FlagRST) && seg.SEQ == c.rcv.IRS && c.snd.ISS.Less(seg.ACK) && seg.ACK.LessEq(c.snd.MAX)
}

// acceptable is the test of RFC 9293 §3.10.7.4, table 6.
func acceptable(nxt Seq, wnd uint32, seq Seq, length uint32) bool {
	switch {
	case length == 0 && wnd == 0:
		return seq == nxt
	case length == 0:
		return seq.In(nxt, wnd)
	case wnd == 0:
		return false
	}
	return seq.In(nxt, wnd) || (seq+Seq(length)-1).In(nxt, wnd)
}

func (c *TCB) acceptable(seg *Segment, length uint32) bool {
	return acceptable(c.rcv.NXT, c.rcv.WND(), seg.SEQ, length)
}

// checkSequence is the first step, with PAWS before it (RFC 7323 §5.3). It
// trims an acceptable segment to the window.
func (c *TCB) checkSequence(now mono.Time, seg *Segment) bool {
	length := seg.LEN()
	rst := seg.Has(wire.FlagRST)
	if c.has(fTimestamps) && !rst && !c.paws(now, seg, length) {
		return false
	}
	if c.acceptable(seg, length) {
		if !rst && !seg.Has(wire.FlagSYN) { // those are judged by the number they came with
			c.noteOld(seg, length)
			c.trimToWindow(seg)
		}
		return true
	}
	if c.rcv.WND() == 0 && seg.SEQ == c.rcv.NXT && (rst || !seg.Has(wire.FlagSYN)) {
		// The window is closed, but ACK, URG and RST are processed all the
		// same (RFC 9293 §3.4, MUST-66); the text is not.
		if rst {
			return true
		}
		if seg.Has(wire.FlagACK) {
			c.probeAnswer(now, seg)
			return false
		}
	}
	c.traceDrop(now, seg, trace.WhyUnacceptable)
	if rst {
		return false
	}
	if c.oldACK(seg, length) {
		c.heard(now)
		fine := c.acceptableACK(seg)
		c.checkACK(now, seg)
		if !fine || c.state == Closed {
			return false
		}
	}
	if length > 0 && !seg.Has(wire.FlagSYN) {
		// A retransmission or a probe: its sender needs the answer.
		c.noteOld(seg, length)
		c.owe(pendACK, trace.WhyDuplicateACK)
	} else {
		c.challengeACK(now)
	}
	return false
}

// oldACK reports that an unacceptable segment lies just left of the window, so
// that its ACK field is worth processing: a keepalive, a repeated FIN in a
// simultaneous close. Otherwise two ends could answer each other for ever
// (draft-gont-tcpm-tcp-seq-validation).
func (c *TCB) oldACK(seg *Segment, length uint32) bool {
	return c.state != SynReceived && seg.Has(wire.FlagACK) && !seg.Has(wire.FlagSYN) &&
		(seg.SEQ == c.rcv.NXT-1 || length > 0 && seg.SEQ+Seq(length) == c.rcv.NXT)
}

// probeAnswer handles a segment with text at RCV.NXT while the window is
// closed: its ACK and URG count, its text is dropped, and it is answered.
func (c *TCB) probeAnswer(now mono.Time, seg *Segment) {
	if c.state == SynReceived {
		return
	}
	c.heard(now)
	if !c.checkACK(now, seg) || c.state == Closed || c.state == TimeWait {
		if c.state == Closing || c.state == TimeWait {
			c.challengeACK(now)
		}
		return
	}
	c.checkURG(seg)
	c.owe(pendACK, trace.WhyDuplicateACK)
}

// paws is the test R1 of RFC 7323 §5.3, and TS.Recent's update (R3).
func (c *TCB) paws(now mono.Time, seg *Segment, length uint32) bool {
	if seg.Opts.Has&wire.HasTimestamps == 0 {
		// RFC 7323 §3.2 would drop it. Deviation: accepted, as Linux does,
		// because some middleboxes strip options from single segments.
		return true
	}
	old := int32(seg.Opts.TSVal-c.tsRecent) < 0 && !c.overtaken(seg, length)
	if old && now.Sub(c.tsRecentAge) <= maxPAWSIdle { // RFC 7323 §5.5: after that TS.Recent says nothing
		c.traceDrop(now, seg, trace.WhyPAWS)
		if length > 0 && !seg.Has(wire.FlagSYN) && seg.SEQ.Less(c.rcv.NXT) {
			c.noteOld(seg, length) // RFC 2883 §4.3
			c.owe(pendACK, trace.WhyPAWS)
		} else {
			c.challengeACK(now)
		}
		return false
	}
	if seg.SEQ.LessEq(c.rcv.lastACK) && !seg.Has(wire.FlagSYN) && c.acceptable(seg, length) {
		c.tsRecent, c.tsRecentAge = seg.Opts.TSVal, now
	}
	return true
}

// overtaken reports a segment that is not old but was overtaken: text beyond
// RCV.NXT, or the next of the holes before what has arrived, that left a moment
// before a retransmission which arrived first, filled a hole and so took
// TS.Recent with it.
//
// Deviation: RFC 7323 §5.3 (R1) drops it, and Linux does, because its timestamp
// is older. On a path that reorders, each retransmission then costs the segments
// that it overtakes, and those cost others. The sequence space cannot wrap
// within pawsReordering below 170 Gbit/s, so it is no old duplicate. The RFC
// profile does as the RFC says.
func (c *TCB) overtaken(seg *Segment, length uint32) bool {
	return c.cfg.Profile == ProfileLinux && length > 0 && !seg.Has(wire.FlagSYN) && c.tsRecent-seg.Opts.TSVal <= pawsReordering &&
		(c.rcv.NXT.Less(seg.SEQ) || seg.SEQ == c.rcv.NXT && c.rcv.ooo != nil)
}

// pawsReordering is by how much the timestamp of such a segment may be older, in
// ticks of the peer's clock: a tenth of a second, where a tick is a millisecond.
const pawsReordering = 100

// trimToWindow cuts off what lies outside the receive window, SYN and FIN
// included, RFC 9293 §3.10.7.4.
func (c *TCB) trimToWindow(seg *Segment) {
	if k := c.rcv.NXT.Sub(seg.SEQ); k > 0 {
		if seg.Has(wire.FlagSYN) {
			seg.Flags &^= wire.FlagSYN
			seg.SEQ++
			k--
		}
		n := seg.Data.Len()
		if k > n { // the FIN, too, is old
			seg.Flags &^= wire.FlagFIN
			k = n
		}
		if seg.Has(wire.FlagURG) {
			if int(seg.UP) <= k {
				seg.Flags &^= wire.FlagURG
			} else {
				seg.UP -= uint16(k)
			}
		}
		seg.Data.TrimFront(k)
		seg.SEQ = seg.SEQ.Add(k)
	}
	room := c.rcv.edge.Sub(seg.SEQ)
	if n := seg.Data.Len(); n > max(0, room) {
		seg.Data.Truncate(max(0, room))
		seg.Flags &^= wire.FlagFIN | wire.FlagPSH
	} else if n == room && seg.Has(wire.FlagFIN) {
		seg.Flags &^= wire.FlagFIN // beyond the edge
	}
}

// checkReset is the second step: RFC 9293 with RFC 5961 §3.
//
// Deviation: in CLOSING and LAST-ACK, too, the program is told of the reset,
// where RFC 9293 closes in silence, because what it wrote may never have arrived.
func (c *TCB) checkReset(now mono.Time, seg *Segment) {
	if seg.SEQ != c.rcv.NXT {
		if seg.SEQ.In(c.rcv.NXT, c.rcv.WND()) {
			c.challengeACK(now)
		}
		return
	}
	why := ReasonReset
	if c.state == SynReceived && !c.answersEarly() {
		why = ReasonRefused
	}
	c.end(now, OnRST, why)
}

// checkSYN is the fourth step. In a synchronised state any SYN is answered by
// a challenge ACK (RFC 5961 §4). A passive open goes back to LISTEN: for a
// TCB that means it is gone.
func (c *TCB) checkSYN(now mono.Time) {
	c.challengeACK(now)
}

// challengeACK owes an ACK in answer to something unacceptable, at most one
// per interval and connection: a budget that is shared would be an oracle
// (RFC 5961 §7, CVE-2016-5696).
func (c *TCB) challengeACK(now mono.Time) {
	if now < c.challenge {
		return
	}
	c.challenge = now.Add(c.cfg.Challenge)
	c.owe(pendACK, trace.WhyChallengeACK)
}

// checkURG is the sixth step. The urgent pointer is the octet after the urgent
// data (RFC 9293 §3.8.5, MUST-62), clamped to what the window could hold.
func (c *TCB) checkURG(seg *Segment) {
	if !seg.Has(wire.FlagURG) || !c.state.canReceive() {
		return
	}
	up := seg.SEQ.Add(int(seg.UP))
	if c.cfg.StdURG {
		up++
	}
	if max := c.rcv.edge.Add(65535); max.Less(up) {
		up = max
	}
	if !c.rcv.urgent && c.rcv.NXT.Less(up) || c.rcv.urgent && c.rcv.UP.Less(up) {
		c.rcv.UP = up
		c.rcv.urgent = true
		c.events |= EventUrgent
	}
}

// text is the sixth to eighth step: URG, the segment text, the FIN.
func (c *TCB) text(now mono.Time, seg *Segment) {
	c.checkURG(seg)
	if !c.state.canReceive() {
		// The peer has sent a FIN: there can be nothing after it. Another FIN
		// is acknowledged, the state stays: the eighth step.
		if seg.Has(wire.FlagFIN) && c.state >= CloseWait {
			c.owe(pendACK, trace.WhyDuplicateACK)
		}
		return
	}
	n := uint32(seg.Data.Len())
	fin := seg.Has(wire.FlagFIN)
	finAt := seg.SEQ + Seq(n)
	switch {
	case n == 0 && !fin:
		return
	case seg.SEQ == c.rcv.NXT:
		if n > 0 {
			c.deliver(now, seg, n)
		}
	default:
		c.keepOutOfOrder(now, seg, fin, finAt)
		return
	}
	if !fin && c.rcv.ooo != nil && c.rcv.ooo.hasFIN {
		fin, finAt = true, c.rcv.ooo.fin
	}
	if fin && finAt == c.rcv.NXT {
		c.receiveFIN(now)
	}
}

// deliver is the seventh step for text at RCV.NXT.
func (c *TCB) deliver(now mono.Time, seg *Segment, n uint32) {
	if !c.admits(seg, true) {
		seg.Data.Release()
		return
	}
	before := c.rcv.queue.n
	c.rcv.NXT += Seq(n)
	c.bytesIn += uint64(n)
	if each := n / uint32(max(1, seg.Segs)); each > uint32(c.rcv.seen) {
		c.rcv.seen = uint16(min(each, uint32(c.rcv.MSS)))
	}
	if c.has(fRcvClosed) {
		seg.Data.Release()
	} else {
		v := seg.Data.Move()
		c.rcv.queue.push(v[0])
		c.rcv.queue.push(v[1])
	}
	filled := false
	if q := c.rcv.ooo; q != nil {
		nxt := c.rcv.NXT
		if q.count > 0 {
			c.noteDuplicate(q.overlap(nxt.Add(-int(n)), int(n)))
		}
		c.rcv.NXT = q.pull(nxt, &c.rcv.queue)
		c.bytesIn += uint64(c.rcv.NXT - nxt)
		filled = true // a gap is filled, in part at least: RFC 5681 §4.2
		if q.empty() {
			c.rcv.ooo = nil
		}
		if c.has(fRcvClosed) {
			c.rcv.queue.release()
		}
	}
	c.dupOwed = 0 // stale: RCV.NXT has moved
	if before == 0 {
		c.events |= EventReadable
	}
	c.tuneReceive(now, seg, n)
	c.scheduleACK(now, filled || seg.Segs > 1)
}

// keepOutOfOrder queues text beyond RCV.NXT and owes a duplicate ACK at once
// (RFC 9293 §3.10.7.4 SHLD-31 and MAY-13, RFC 5681 §4.2).
func (c *TCB) keepOutOfOrder(now mono.Time, seg *Segment, fin bool, finAt Seq) {
	if c.rcv.ooo == nil {
		c.rcv.ooo = new(oooQueue)
	}
	q := c.rcv.ooo
	if fin && !q.hasFIN { // the first one stands: a stream has one end
		q.fin, q.hasFIN = finAt, true
	}
	c.dupOwed = min(c.dupOwed+1, maxDuplicatesOwed)
	c.owe(0, trace.WhyDuplicateACK)
	if c.has(fRcvClosed) || seg.Data.Len() > 0 && !c.admits(seg, false) {
		seg.Data.Release()
	}
	most := c.outOfOrderLimit()
	if q.charged > most/2 && q.charged <= most && most <= tightQueue {
		tighten(&seg.Data)
	}
	for q.charged > most && q.count > 0 { // T-RES-06
		q.dropLast()
		if c.cfg.Memory != nil {
			c.cfg.Memory.Counts.Pruned++
		}
	}
	if n := seg.Data.Len(); n > 0 {
		c.noteDuplicate(q.overlap(seg.SEQ, n))
	}
	q.insert(seg.SEQ, seg.Data.Move())
	if q.empty() {
		c.rcv.ooo = nil
	}
}

// receiveFIN is the eighth step, for a FIN at RCV.NXT.
func (c *TCB) receiveFIN(now mono.Time) {
	c.rcv.NXT++
	c.flags |= fFINReceived
	c.dropOutOfOrder()
	c.owe(pendACK, trace.WhyACK)
	c.events |= EventReadable
	switch c.state {
	case Established:
		c.setState(now, CloseWait, OnFIN)
	case FinWait1: // with our FIN acknowledged it would be FIN-WAIT-2 by now
		c.setState(now, Closing, OnFIN)
	case FinWait2:
		c.setState(now, TimeWait, OnFIN)
		c.startTimeWait(now)
	}
}

// startTimeWait stops all timers and starts the 2 MSL one.
func (c *TCB) startTimeWait(now mono.Time) {
	c.deadlines = [numDeadlines]mono.Time{}
	c.deadlines[dLinger] = now.Add(c.cfg.TimeWait)
	c.progress = 0
	c.dropOutstanding()
	c.snd.queue.release()
}
