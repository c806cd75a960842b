package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// The functions here are called only where c.cfg.Trace is set or check it
// themselves, so that an untraced connection pays for a nil check.

func (c *TCB) event(now mono.Time, kind trace.Kind, why trace.Why) trace.Event {
	e := trace.Event{At: now, Conn: uint64(c.id), Kind: kind, Why: why, From: uint8(c.state), To: uint8(c.state),
		Cwnd: c.cc.Cwnd + c.inflate, SSThresh: c.cc.SSThresh, InFlight: c.flight(),
		SRTT: int64(c.SRTT), RTO: int64(c.RTO)}
	switch {
	case c.has(fRecovery):
		e.Recovery = trace.RecoveryFast
	case c.has(fLoss):
		e.Recovery = trace.RecoveryTimeout
	}
	if o := c.out; o != nil {
		e.Lost, e.Pacing, e.Rate = o.board.lost, o.pace.rate, o.sample.Rate
	}
	return e
}

// tell hands an event to the sink, without allocating where connections share a
// Memory: what is passed through an interface cannot stay on the stack.
func (c *TCB) tell(e *trace.Event) {
	if m := c.cfg.Memory; m != nil {
		m.event = *e
		c.cfg.Trace.Trace(&m.event)
		return
	}
	kept := *e
	c.cfg.Trace.Trace(&kept)
}

// endWhy is the reason of the change to CLOSED. A timeout has noted it just
// before; everything else is known by how the connection ended.
func (c *TCB) endWhy(on Trigger, err Reason) trace.Why {
	switch {
	case on == OnTimeout:
		return c.why
	case err == ReasonRefused:
		return trace.WhyRefused
	case err == ReasonReset:
		return trace.WhyPeerReset
	case err == ReasonAborted:
		return trace.WhyAborted
	case err >= ReasonUnreachable && err <= ReasonParameterProblem:
		return trace.WhyICMP
	}
	return trace.WhyNone
}

func (c *TCB) traceSegment(now mono.Time, kind trace.Kind, seg *Segment, why trace.Why) {
	e := c.event(now, kind, why)
	e.Seq, e.Ack, e.Flags, e.Len = uint32(seg.SEQ), uint32(seg.ACK), seg.Flags, uint32(seg.Data.Len())
	e.SACKBlocks, e.SACK, e.ECN = seg.Opts.NSACK, seg.Opts.SACK, seg.ECN
	e.Segs = max(1, seg.Segs)
	switch {
	case seg.Flags&wire.FlagSYN != 0 && seg.Opts.Has&wire.HasMSS != 0:
		e.MSS = seg.Opts.MSS
	case seg.MSSCut > 0:
		e.MSS = seg.MSSCut
		e.Segs = uint16((e.Len + uint32(seg.MSSCut) - 1) / uint32(seg.MSSCut))
	case e.Segs > 1: // glued on arrival, so of one size but for the last
		e.MSS = uint16(min((e.Len+uint32(e.Segs)-1)/uint32(e.Segs), 65535))
	}
	e.Window = uint32(seg.WND)
	if seg.Flags&wire.FlagSYN == 0 {
		shift := c.rcv.scale
		if kind == trace.SegmentIn {
			shift = c.snd.scale
		}
		e.Window <<= shift
	}
	c.tell(&e)
}

func (c *TCB) traceDrop(now mono.Time, seg *Segment, why trace.Why) {
	if c.cfg.Trace != nil {
		c.traceSegment(now, trace.Dropped, seg, why)
	}
}

// noteLost notes that [from, to) is taken for lost, on the grounds that were
// being looked at.
func (c *TCB) noteLost(now mono.Time, from, to Seq) {
	c.out.lostWhy = c.out.grounds
	if c.cfg.Trace != nil {
		e := c.event(now, trace.MarkedLost, c.out.lostWhy)
		e.Seq, e.Len = uint32(from), uint32(to-from)
		c.tell(&e)
	}
}

// grounds says what will be the reason if anything is found lost now.
func (c *TCB) grounds(why trace.Why) {
	if c.out != nil {
		c.out.grounds = why
	}
}

// whyAgain is the reason for which what is lost is sent again: how the loss was
// found, where that tells more than the kind of recovery.
func (c *TCB) whyAgain() trace.Why {
	switch why := c.out.lostWhy; why {
	case trace.WhyReordering, trace.WhyPathMTU, trace.WhyWindowOpened:
		return why
	}
	if c.has(fLoss) {
		return trace.WhyRetransmitTimeout
	}
	return trace.WhyFastRetransmit
}

func (c *TCB) traceTimer(now mono.Time, why trace.Why) {
	if c.cfg.Trace != nil {
		e := c.event(now, trace.Timer, why)
		c.tell(&e)
	}
}

func (c *TCB) traceCongestion(now mono.Time, why trace.Why) {
	if c.cfg.Trace != nil {
		e := c.event(now, trace.Congestion, why)
		c.tell(&e)
	}
}
