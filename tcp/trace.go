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
		SRTT: int64(c.SRTT), RTO: int64(c.RTO), MSS: c.snd.MSS}
}

func (c *TCB) traceSegment(now mono.Time, kind trace.Kind, seg *Segment, why trace.Why) {
	e := c.event(now, kind, why)
	e.Seq, e.Ack, e.Flags, e.Len = uint32(seg.SEQ), uint32(seg.ACK), seg.Flags, uint32(seg.Data.Len())
	e.SACKBlocks = seg.Opts.NSACK
	e.Segs = max(1, seg.Segs)
	if seg.MSSCut > 0 {
		e.Segs = uint16((e.Len + uint32(seg.MSSCut) - 1) / uint32(seg.MSSCut))
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
