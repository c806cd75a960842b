package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// Emit fills seg with the next segment that is due, in a fixed order: RST,
// SYN, retransmission, new data (with the FIN behind it), duplicate ACKs, ACK,
// probe. It must be called after any other call, until it reports false. room
// is the most payload one packet may carry: data is handed out in
// super-segments of up to room bytes, to be cut into pieces of seg.MSSCut.
// The references in seg.Data belong to the caller.
func (c *TCB) Emit(now mono.Time, seg *Segment, room uint32) bool {
	seg.Reset()
	if c.accWhole() {
		room = 0
	}
	if c.pend&pendRST != 0 {
		return c.emitRST(now, seg)
	}
	if c.state < SynSent {
		return false
	}
	if c.has(fSYNUnacked) {
		if c.snd.NXT == c.snd.ISS || c.pend&pendSYN != 0 {
			return !c.holdsSYN() && c.emitSYN(now, seg)
		}
		if (c.state == SynSent || c.state == SynReceived) && !c.answersEarly() {
			if c.state == SynReceived && c.emitACK(now, seg) { // to what was unacceptable
				return true
			}
			c.pend = 0
			c.settle(now)
			return false
		}
	}
	if c.accAnswers() && c.emitACK(now, seg) {
		return true
	}
	if c.state != FinWait2 && c.state != TimeWait && c.emitPayload(now, seg, room) {
		return true
	}
	if c.emitACK(now, seg) {
		return true
	}
	c.noteAppLimited()
	c.settle(now)
	return false
}

// emitPayload sends data: what was lost before what is new, but for one case,
// F-RTO (RFC 5682 §3).
func (c *TCB) emitPayload(now mono.Time, seg *Segment, room uint32) bool {
	if c.out != nil {
		if c.pend&pendTLP != 0 && c.emitTailProbe(now, seg) {
			return true
		}
		newFirst := c.out.undo.frto == frtoNew && c.pend&pendRetransmit == 0
		if newFirst && c.emitData(now, seg, room) {
			return true
		}
		if c.emitLost(now, seg, room) {
			return true
		}
		if c.out.board.lost > 0 {
			return false
		}
	}
	return c.emitData(now, seg, room) || c.emitUncertain(now, seg)
}

// sent finishes any segment but a RST: what every segment carries.
func (c *TCB) sent(now mono.Time, seg *Segment, why trace.Why) bool {
	seg.ACK = c.rcv.NXT
	seg.Flags |= wire.FlagACK
	seg.WND = c.advertise()
	c.pend &^= pendACK
	c.deadlines[dDelayedACK] = 0
	c.ecnSent(seg)
	c.reported()
	c.count(now, seg, why)
	return true
}

// count does the book-keeping of a segment that leaves.
func (c *TCB) count(now mono.Time, seg *Segment, why trace.Why) {
	n := uint32(seg.Data.Len())
	c.segsOut++
	if seg.MSSCut > 0 {
		c.segsOut += (n - 1) / uint32(seg.MSSCut)
	}
	if c.cfg.Trace != nil {
		c.traceSegment(now, trace.SegmentOut, seg, why)
	}
}

// emitRST makes the RST of an abort: SEQ is SND.NXT, RFC 9293 §3.10.5.
func (c *TCB) emitRST(now mono.Time, seg *Segment) bool {
	c.pend = 0
	seg.SEQ, seg.ACK = c.snd.MAX, c.rcv.NXT
	seg.Flags = wire.FlagRST | wire.FlagACK
	if c.has(fTimestamps) { // RFC 7323 §3.2: should be on RST too
		seg.Opts.Has |= wire.HasTimestamps
		seg.Opts.TSVal, seg.Opts.TSEcr = c.tsNow(now), c.tsRecent
	}
	c.ecnSent(seg)
	c.count(now, seg, c.why)
	return true
}

// emitSYN makes our SYN, or SYN-ACK in SYN-RECEIVED.
func (c *TCB) emitSYN(now mono.Time, seg *Segment) bool {
	seg.SEQ = c.snd.ISS
	seg.Flags = wire.FlagSYN
	seg.WND = c.synWND()
	if c.state != SynSent {
		seg.Flags |= wire.FlagACK
		seg.ACK = c.rcv.NXT
		c.rcv.lastACK = c.rcv.NXT
		if e := c.rcv.NXT.Add(int(seg.WND)); c.rcv.edge.Less(e) {
			c.rcv.edge = e
		}
	}
	c.synOptions(now, &seg.Opts)
	c.snd.NXT = maxSeq(c.snd.NXT, c.snd.ISS+1)
	c.synFastOpen(seg)
	c.ecnSYN(seg)
	fitSYN(&seg.Opts, c.rcv.MSS)
	if c.snd.MAX == c.snd.ISS {
		c.snd.MAX = c.snd.NXT
		c.progress = now
		c.flags |= fTiming
	} else {
		c.retransmits++
	}
	c.pend &^= pendACK | pendSYN
	if c.deadlines[dRetransmit] == 0 {
		c.armRetransmit(now)
	}
	why := trace.WhyHandshake
	if c.expiries > 0 {
		why = trace.WhyRetransmitTimeout
	}
	c.count(now, seg, why)
	return true
}

// emitData sends what windows and rules let out from SND.NXT on, and the FIN
// when the queue ends there.
func (c *TCB) emitData(now mono.Time, seg *Segment, room uint32) bool {
	avail := c.sndEnd().Sub(c.snd.NXT)
	fin := c.has(fFINQueued) && avail >= 0 && c.state != Established && c.state != CloseWait
	if avail <= 0 && !(fin && c.snd.NXT == c.sndEnd()) {
		return false
	}
	if c.snd.NXT == c.snd.UNA && c.snd.MAX == c.snd.UNA {
		c.restartAfterIdle(now)
	}
	c.segOptions(now, &seg.Opts)
	mss := c.cutSize(seg)
	if c.snd.urgent {
		room = 0 // one urgent pointer cannot be right in all pieces of a super-segment
	}
	usable, cwnd := c.usable(), c.cwndRoom()
	if usable <= 0 || c.ecnWait(now) > 0 {
		return c.refuse(seg)
	}
	if cwnd < mss && cwnd < avail && c.inFlight() > 0 || cwnd <= 0 {
		c.cwndLimited()
		return c.refuse(seg)
	}
	if c.path != nil {
		if sent, hold := c.emitPathProbe(now, seg, avail, usable, cwnd); sent || hold {
			return sent || c.refuse(seg)
		}
	}
	n := min(avail, usable, max(cwnd, mss), max(c.burst(int(room), mss), mss))
	override := c.pend&pendOverride != 0
	n, ok := c.silly(n, avail, usable, mss, fin, override)
	if !ok {
		return c.refuse(seg)
	}
	// What the rules let out is one thing, how much of it two references hold
	// another: what is beyond them must not look like a small segment next time.
	c.pend &^= pendOverride
	if n > 0 {
		k := c.snd.queue.span(c.snd.NXT, n)
		if k < n && k < mss {
			c.pend |= pendOverride
		} else if k < n {
			k -= k % mss
		}
		n = k
	}
	if n > mss {
		seg.MSSCut = uint16(mss)
	}
	if !c.mayDepart(now) {
		return c.refuse(seg)
	}
	why := trace.WhyNewData
	if c.out != nil && c.out.undo.frto == frtoNew {
		why = trace.WhyFRTO
	}
	c.makeData(now, seg, n, fin && n == avail && usable > n, why)
	if n%mss != 0 {
		c.out.small = c.snd.NXT
	}
	return true
}

// quiet reports whether Nagle's algorithm lets n bytes go that end in less
// than a segment: nothing is outstanding.
//
// Deviation: in the Linux profile it is enough that no other small segment is,
// as Greg Minshall proposed (draft-minshall-nagle) and Linux does: otherwise
// the end of each large write would wait for a delayed ACK. Urgent data does
// not wait there.
func (c *TCB) quiet(n, mss int) bool {
	if c.cfg.Profile == ProfileLinux {
		return c.out == nil || c.snd.urgent ||
			!c.snd.UNA.Less(c.out.small) || c.snd.NXT.Less(c.out.small) // beyond NXT it is 2 GiB old
	}
	return (c.snd.NXT == c.snd.UNA || c.onlySYNACK()) && n < mss
}

// cwndLimited notes that cwnd is what stops the sender.
func (c *TCB) cwndLimited() {
	c.flags |= fCwndLimited
	if c.out != nil {
		c.out.pace.waiting = false
	}
}

// refuse empties a segment that will not be sent.
func (c *TCB) refuse(seg *Segment) bool { seg.Reset(); return false }

// cutSize is the payload of a full segment with the options that seg has.
func (c *TCB) cutSize(seg *Segment) int {
	mss := int(c.effMSS())
	if seg.Opts.NSACK > 0 || seg.Opts.Has&wire.HasAccECN != 0 {
		mss = int(c.snd.MSS) - seg.Opts.Len()
	}
	return max(mss, 1)
}

// silly applies Nagle's algorithm (RFC 9293 §3.7.4) and the sender's silly
// window avoidance (§3.8.6.2.1): of n bytes that could go it returns how many
// shall, and whether any segment goes at all.
func (c *TCB) silly(n, avail, usable, mss int, fin, override bool) (int, bool) {
	if n == 0 { // a bare FIN
		return 0, true
	}
	tail := n % mss
	if tail == 0 {
		return n, true
	}
	again := c.snd.MAX.Sub(c.snd.NXT) // bytes that were sent before are no small packet of ours
	idle := c.quiet(n, mss)
	switch {
	case again > 0 && n <= again:
	case n == avail && (!c.has(fNagle) || idle || fin): // (2) all that there is
	case n == usable && n < mss && 2*uint32(n) >= c.snd.maxWND && (idle || !c.has(fNagle)): // (3)
	case override:
	case n > mss:
		n -= tail // the full ones go, the rest waits
	case again > 0:
		n = again // what is behind it waits
	default:
		return 0, false
	}
	return n, true
}

// makeData fills the segment with n bytes from SND.NXT on, fin says with the
// FIN behind them.
func (c *TCB) makeData(now mono.Time, seg *Segment, n int, fin bool, why trace.Why) {
	seg.SEQ = c.snd.NXT
	c.ecnData(seg, n)
	if n > 0 {
		seg.Data = c.snd.queue.view(c.snd.NXT, n)
	}
	end := c.snd.NXT.Add(n)
	if fin {
		seg.Flags |= wire.FlagFIN
		end++
		if n == 0 && why == trace.WhyNewData {
			why = trace.WhyFIN
		}
	}
	if n > 0 && c.snd.NXT.Add(n) == c.sndEnd() { // RFC 9293 §3.9.1.2 (MUST-61, SHLD-27)
		seg.Flags |= wire.FlagPSH
	}
	if c.snd.NXT.Less(c.snd.MAX) { // a probe of a closed window was sent before
		c.retransmits++
	}
	if fresh := c.snd.NXT.Add(n).Sub(c.snd.MAX); fresh > 0 {
		c.bytesOut += uint64(fresh)
	}
	c.cfg.Congestion.OnSent(&c.cc, now, uint32(n), c.inFlight())
	if c.out == nil || c.flight() == 0 { // the algorithm may have a rate for restarts
		c.needOutstanding(now)
		c.updatePacing()
	}
	c.departed(now, c.snd.NXT, end, seg.size(n), false)
	c.snd.NXT = end
	c.snd.MAX = maxSeq(c.snd.MAX, end)
	if c.quick > 0 && n > 0 && now.Sub(c.lastRcv) < c.cfg.DelayedACK && c.bytesIn > 0 {
		c.quick, c.flags = 0, c.flags|fDialogue // ACKs will travel with answers
	}
	c.lastSnd = now
	c.urgentPointer(seg)
	c.drained(n)
	c.sent(now, seg, why)
	if c.deadlines[dRetransmit] == 0 || c.has(fPersist) || c.timer() == timerProbe { // RFC 6298 §5.1, RFC 8985 §7.2
		c.armRetransmit(now)
	}
}

// urgentPointer marks a segment while urgent data is still ahead of it. Only
// the first 65,535 octets after SEQ can be pointed at: data beyond is marked
// when its turn comes (MUST-31).
func (c *TCB) urgentPointer(seg *Segment) {
	if !c.snd.urgent {
		return
	}
	if d := c.snd.UP.Sub(seg.SEQ); d > 0 {
		seg.Flags |= wire.FlagURG
		seg.UP = uint16(min(d, 65535))
	}
}

// restartAfterIdle lets cwnd decay when nothing was sent for an RTO, RFC 5681
// §4.1.
func (c *TCB) restartAfterIdle(now mono.Time) {
	if c.lastSnd != 0 && now.Sub(c.lastSnd) > c.RTO && !c.cfg.NoIdleRestart {
		c.cfg.Congestion.OnIdleRestart(&c.cc, now, initialWindow(c.cfg, c.effMSS()))
		c.lastSnd = now
	}
}

// emitACK sends what carries no data: owed duplicate ACKs, an ACK, a probe.
func (c *TCB) emitACK(now mono.Time, seg *Segment) bool {
	why := c.why
	// Deviation: the highest number sent instead of SND.NXT, which a timeout
	// pulls back (RFC 9293 §3.10.7.4 has <SEQ=SND.NXT>). The peer may have what
	// lies between and find the ACK unacceptable; when both ends retransmit,
	// neither would ever use an ACK of the other's again. BSD and Linux do so
	// too. Not beyond a window that shrank.
	seg.SEQ = c.snd.MAX
	if c.snd.UNA.Add(int(c.snd.WND)).Less(seg.SEQ) {
		seg.SEQ = c.snd.NXT
	}
	switch {
	case c.dupOwed > 0:
		c.dupOwed--
		why = trace.WhyDuplicateACK
	case c.pend&pendProbe != 0:
		return c.emitProbe(now, seg)
	case c.pend&pendKeepalive != 0: // no data: RFC 9293 §3.8.4 (SHLD-12)
		c.pend &^= pendKeepalive
		seg.SEQ = c.snd.NXT - 1
		why = trace.WhyKeepalive
	case c.pend&pendACK != 0:
	default:
		return false
	}
	c.segOptions(now, &seg.Opts)
	return c.sent(now, seg, why)
}

// emitProbe makes a zero-window probe, RFC 9293 §3.8.6.1: one octet beyond the
// window.
//
// Deviation: in the Linux profile the probe is an old, empty segment instead,
// as Linux sends it; it provokes the same ACK and never has to be taken back.
func (c *TCB) emitProbe(now mono.Time, seg *Segment) bool {
	c.pend &^= pendProbe
	c.segOptions(now, &seg.Opts)
	seg.SEQ = c.snd.UNA - 1
	if c.cfg.Profile == ProfileRFC {
		seg.SEQ = c.snd.UNA
		if c.snd.queue.len() > 0 {
			seg.Data = c.snd.queue.view(seg.SEQ, 1)
		} else if c.has(fFINQueued) {
			seg.Flags |= wire.FlagFIN
		}
		// If it is taken, the ACK covers it: SND.MAX knows, SND.NXT does not.
		c.snd.MAX = maxSeq(c.snd.MAX, seg.SEQ+1)
	}
	c.urgentPointer(seg)
	return c.sent(now, seg, trace.WhyZeroWindowProbe)
}
