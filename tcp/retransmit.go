package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// emitLost sends again what is lost, from the lowest number on (RFC 6675 §4,
// NextSeg rule 1): as cwnd, the peer's window and pacing let it, but for a first
// segment that must go whatever they say.
func (c *TCB) emitLost(now mono.Time, seg *Segment, room uint32) bool {
	forced := c.pend&pendRetransmit != 0
	if !c.has(fSACK) && c.has(fRecovery) { // RFC 6582: one segment for each partial ACK
		c.pend &^= pendRetransmit
		return forced && c.emitRange(now, seg, c.snd.UNA, int(c.effMSS()), c.why)
	}
	s := c.out.board.firstLost()
	if s == nil {
		c.pend &^= pendRetransmit
		return false
	}
	from, n := s.start, s.end.Sub(s.start)
	mss := int(c.effMSS())
	if forced {
		n = min(n, mss)
	} else {
		window := c.snd.UNA.Add(int(c.snd.WND)).Sub(from)
		if window <= 0 {
			return false
		}
		cwnd := c.cwndRoom()
		if cwnd < min(mss, n) && c.inFlight() > 0 {
			c.cwndLimited()
			return false
		}
		if !c.mayDepart(now) {
			return false
		}
		k := min(n, max(cwnd, mss), window, max(c.burst(int(room), mss), mss))
		if k < n && k > mss {
			k -= k % mss
		}
		n = k
	}
	c.pend &^= pendRetransmit
	return c.emitRange(now, seg, from, n, c.whyAgain())
}

// emitUncertain sends again what only may be lost, when fast recovery lets
// something out and there is nothing new: RFC 6675 §4, NextSeg rules 3 and 4. RACK
// has its timers and the tail loss probe instead.
func (c *TCB) emitUncertain(now mono.Time, seg *Segment) bool {
	o := c.out
	mss := int(c.effMSS())
	if !c.cfg.NoRACK || !c.has(fSACK) || !c.has(fRecovery) || o == nil || c.snd.NXT.Less(c.sndEnd()) && c.usable() > 0 ||
		c.cwndRoom() < mss || !c.mayDepart(now) {
		return false
	}
	window := func(from Seq) bool { return from.Less(c.snd.UNA.Add(int(c.snd.WND))) } // which may have shrunk
	if from, to, ok := o.board.firstHole(c.snd.UNA); ok {
		return window(from) && c.emitRange(now, seg, from, min(to.Sub(from), mss), trace.WhyFastRetransmit)
	}
	from, to := o.board.lastHole(c.snd.UNA, c.snd.MAX)
	if o.prr.rescued || from == to {
		return false
	}
	if from = maxSeq(from, to.Add(-mss)); !window(from) {
		return false
	}
	o.prr.rescued = true
	return c.emitRange(now, seg, from, to.Sub(from), trace.WhyFastRetransmit)
}

// emitTailProbe sends a tail loss probe, RFC 8985 §7.3: new data if there is
// any and the peer's window takes it, else the last segment again.
func (c *TCB) emitTailProbe(now mono.Time, seg *Segment) bool {
	c.pend &^= pendTLP
	if c.flight() == 0 || c.snd.NXT != c.snd.MAX {
		return false
	}
	t := &c.out.tail
	avail := c.sndEnd().Sub(c.snd.NXT)
	c.segOptions(now, &seg.Opts)
	mss := min(int(c.effMSS()), c.cutSize(seg)) // SACK blocks leave room for less
	if n := min(avail, mss); n > 0 && c.usable() >= n {
		n = c.snd.queue.span(c.snd.NXT, n)
		c.makeData(now, seg, n, false, trace.WhyTailLossProbe)
		*t = tailProbe{end: c.snd.NXT, active: true, stale: true}
		c.armRTO(now)
		return true
	}
	seg.Reset()
	last := &c.out.sent
	if last.len() == 0 {
		return false
	}
	r := last.r[len(last.r)-1]
	from := maxSeq(r.start, c.snd.UNA)
	data := minSeq(r.end, c.sndEnd()).Sub(from)
	if cut := int(c.effMSS()); data > cut { // as it was cut then
		k := (data - 1) / cut * cut
		from, data = from.Add(k), data-k
	}
	from = from.Add(max(0, data-mss)) // its end counts
	*t = tailProbe{end: c.snd.MAX, active: true, resent: true, stale: true}
	if !c.emitRange(now, seg, from, mss, trace.WhyTailLossProbe) {
		return false
	}
	c.armRTO(now)
	return true
}

// emitRange sends up to n octets from a number on again, with the FIN if it
// follows and was sent too. Segments are cut by today's MSS.
func (c *TCB) emitRange(now mono.Time, seg *Segment, from Seq, n int, why trace.Why) bool {
	if c.snd.UNA == c.snd.MAX {
		return false
	}
	seg.SEQ = from
	c.segOptions(now, &seg.Opts)
	mss := c.cutSize(seg)
	// One segment stays one, also where SACK blocks make it smaller, and one
	// urgent pointer cannot be right in all pieces of a super-segment.
	if n <= int(c.effMSS()) || c.snd.urgent {
		n = min(n, mss)
	}
	n = min(n, maxSeq(c.sndEnd(), from).Sub(from), c.snd.MAX.Sub(from))
	if n > mss {
		k := max(c.snd.queue.span(from, n), 1)
		if k < n && k > mss { // two references hold no more: full segments only
			k -= k % mss
		}
		n = k
	}
	if n > 0 {
		seg.Data = c.snd.queue.view(from, n)
		n = seg.Data.Len()
	}
	if n > mss {
		seg.MSSCut = uint16(mss)
	}
	end := from.Add(n)
	if end == c.sndEnd() && c.finSent() {
		seg.Flags |= wire.FlagFIN
		end++
	}
	if n > 0 && from.Add(n) == c.sndEnd() {
		seg.Flags |= wire.FlagPSH
	}
	c.departed(now, from, end, seg.size(n), true)
	c.noteResent(now, uint32(end-from))
	c.snd.NXT = maxSeq(c.snd.NXT, end)
	c.out.bytesAgain += uint64(n)
	c.retransmits += max(1, (uint32(n)+uint32(mss)-1)/uint32(mss))
	c.lastSnd = now
	c.urgentPointer(seg)
	c.sent(now, seg, why)
	switch {
	case c.has(fPartialACK): // RFC 6582 §3.2: but for the first, recoveryACK
		if c.deadlines[dRetransmit] == 0 {
			c.armRTO(now)
		}
	case c.deadlines[dRetransmit] == 0:
		c.armRTO(now)
	case from == c.snd.UNA && c.timer() != timerReorder: // RFC 6298 §5 (a); RACK waits for others, RFC 8985 §8
		c.armRTO(now)
	}
	return true
}
