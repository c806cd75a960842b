package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// Arrive processes a segment, RFC 9293 §3.10.7, and takes over its data. The
// reset result says that the segment must be answered as one to a connection
// that does not exist (ResetFor); other answers are left to Emit, so that a
// batch of segments is processed before any ACK is sent (MUST-59).
func (c *TCB) Arrive(now mono.Time, seg *Segment) (reset bool) {
	c.segsIn++
	if c.cfg != nil && c.cfg.Trace != nil {
		c.traceSegment(now, trace.SegmentIn, seg, trace.WhyNone)
	}
	if c.state == Established && seg.Flags&^(wire.FlagPSH|ecnFlags) == wire.FlagACK && seg.SEQ == c.rcv.NXT &&
		c.rcv.ooo == nil && c.arriveFast(now, seg) {
		seg.Data.Release() // a pure ACK may still hold its buffer
		c.account()
		return false
	}
	switch c.state {
	case Closed, Listen:
		reset = seg.Flags&wire.FlagRST == 0
		seg.SEQ = seg.SEQ.Add(seg.Data.Len()) // ResetFor acknowledges the text, which is released below
	case SynSent:
		reset = c.arriveSynSent(now, seg)
	default:
		reset = c.arriveSync(now, seg)
	}
	seg.Data.Release()
	c.account()
	return reset
}

// arriveFast handles what nearly every segment is: the next data, or an ACK
// that moves SND.UNA, on a connection where nothing is out of order. It does
// what the eight steps would do, or reports false and has done nothing.
func (c *TCB) arriveFast(now mono.Time, seg *Segment) bool {
	n := uint32(seg.Data.Len())
	if seg.ACK.Less(c.snd.UNA) || c.snd.MAX.Less(seg.ACK) || c.pend&(pendRST) != 0 || c.rcv.urgent {
		return false
	}
	if n > 0 && (n > c.rcv.WND() || c.has(fRcvClosed)) {
		return false
	}
	if n == 0 && seg.ACK == c.snd.UNA {
		return false // a duplicate ACK, a window update or a probe: the long way
	}
	if c.has(fTimestamps) {
		if seg.Opts.Has&wire.HasTimestamps == 0 || int32(seg.Opts.TSVal-c.tsRecent) < 0 {
			return false
		}
		if seg.SEQ.LessEq(c.rcv.lastACK) { // RFC 7323 §4.3
			c.tsRecent, c.tsRecentAge = seg.Opts.TSVal, now
		}
	}
	c.heard(now)
	if c.ecn != nil {
		c.ecnArrived(now, seg, int(n))
	}
	if seg.ACK != c.snd.UNA {
		c.newACK(now, seg)
	}
	c.updateWindow(now, seg)
	if n > 0 {
		c.deliver(now, seg, n)
	}
	return true
}

// heard notes a sign of life of the peer.
func (c *TCB) heard(now mono.Time) {
	c.lastRcv = now
	c.keepSent = 0
	if c.has(fPersist) {
		c.expiries = 0 // it answers: RFC 9293 §3.8.6.1 (MUST-37)
	}
}

// arriveSynSent is RFC 9293 §3.10.7.3.
func (c *TCB) arriveSynSent(now mono.Time, seg *Segment) (reset bool) {
	acked := false
	if seg.Has(wire.FlagACK) { // first, check the ACK bit
		if seg.ACK.LessEq(c.snd.ISS) || c.snd.MAX.Less(seg.ACK) {
			return !seg.Has(wire.FlagRST)
		}
		acked = true
	}
	if seg.Has(wire.FlagRST) { // second, check the RST bit
		if acked {
			c.end(now, OnRST, ReasonRefused)
		}
		return false
	}
	if !seg.Has(wire.FlagSYN) { // fifth: neither SYN nor RST
		return false
	}
	// Fourth, check the SYN bit.
	c.heard(now)
	c.rcv.IRS, c.rcv.NXT = seg.SEQ, seg.SEQ+1
	c.rcv.lastACK = c.rcv.NXT
	c.rcv.edge = c.rcv.NXT.Add(int(c.synWND()))
	p := peerOptions(&seg.Opts)
	c.negotiate(&p, !c.cfg.NoWindowScale)
	c.ecnAnswered(seg)
	if c.has(fTimestamps) {
		c.tsRecent, c.tsRecentAge = seg.Opts.TSVal, now
	}
	c.snd.WND, c.snd.WL1, c.snd.WL2 = uint32(seg.WND), seg.SEQ, seg.ACK
	c.snd.maxWND = c.snd.WND
	if !acked { // simultaneous open: our SYN goes again, as a SYN-ACK
		c.setState(now, SynReceived, OnSYN)
		c.snd.NXT = c.snd.ISS
		c.flags &^= fTiming
		return false
	}
	c.synAcked(now, seg, OnSYNACK)
	c.ecnSYNACK(now, seg)
	c.owe(pendACK, trace.WhyHandshake)
	// Data on the SYN-ACK goes on at the sixth step.
	seg.SEQ++
	seg.Flags &^= wire.FlagSYN
	if seg.Data.Len() > 0 || seg.Flags&(wire.FlagURG|wire.FlagFIN) != 0 {
		c.trimToWindow(seg)
		c.text(now, seg)
	}
	return false
}

// synAcked does what the acknowledgement of our SYN brings about, from
// SYN-SENT or SYN-RECEIVED.
func (c *TCB) synAcked(now mono.Time, seg *Segment, on Trigger) {
	if c.has(fTiming) && !c.has(fSYNLost) {
		c.sampleRTT(now, now.Sub(c.progress))
	}
	c.flags &^= fTiming | fSYNUnacked
	if c.has(fSYNLost) && c.SRTT == 0 && c.RTO < rtoAfterLostSYN {
		c.RTO = rtoAfterLostSYN // RFC 6298 §5.7
	}
	c.snd.UNA = c.snd.ISS + 1 // what is acknowledged beyond is left to the fifth step
	c.snd.NXT = maxSeq(c.snd.NXT, c.snd.UNA)
	c.fastOpenAcked(now, seg)
	c.backoff, c.expiries, c.progress = 0, 0, 0
	c.deadlines[dRetransmit] = 0
	c.openCongestion(now)
	if c.state != FinWait1 {
		c.setState(now, Established, on)
	}
	if c.has(fFINQueued) && c.state == Established { // CLOSE came while SYN-RECEIVED, with data queued
		c.setState(now, FinWait1, OnClose)
	}
	c.events |= EventWritable
	if c.has(fKeepalive) {
		c.armKeepalive(now)
	}
}
