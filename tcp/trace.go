package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// The functions here are called only where c.cfg.Trace is set or check it
// themselves, so that an untraced connection pays for a nil check.

func (c *TCB) event(now mono.Time, kind trace.Kind, why trace.Why) trace.Event {
	return trace.Event{At: now, Conn: uint64(c.id), Kind: kind, Why: why, From: uint8(c.state), To: uint8(c.state),
		Cwnd: c.cc.Cwnd + c.inflate, SSThresh: c.cc.SSThresh, InFlight: c.flight(),
		SRTT: int64(c.SRTT), RTO: int64(c.RTO)}
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
	e.SACKBlocks, e.ECN = seg.Opts.NSACK, seg.ECN
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
	c.cfg.Trace.Trace(&e)
}

func (c *TCB) traceDrop(now mono.Time, seg *Segment, why trace.Why) {
	if c.cfg.Trace != nil {
		c.traceSegment(now, trace.Dropped, seg, why)
	}
}

func (c *TCB) traceTimer(now mono.Time, why trace.Why) {
	if c.cfg.Trace != nil {
		e := c.event(now, trace.Timer, why)
		c.cfg.Trace.Trace(&e)
	}
}

func (c *TCB) traceCongestion(now mono.Time, why trace.Why) {
	if c.cfg.Trace != nil {
		e := c.event(now, trace.Congestion, why)
		c.cfg.Trace.Trace(&e)
	}
}
