package engine

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// The events of records, which have no TCB to tell them: a handshake until the
// last ACK of it, and TIME-WAIT. They carry the number of the connection that
// the record becomes, or was. All of this is behind a nil check of the sink,
// so that a flood of SYNs costs no more for it.

// traceRecord tells of a segment that arrived at a record or left it. scale is
// the shift of its window; in TIME-WAIT, where no window matters any more, it
// is not kept, and 0.
func (e *Engine) traceRecord(now mono.Time, kind trace.Kind, why trace.Why, id uint32, s tcp.State, seg *tcp.Segment, scale uint8) {
	if e.tcp.Trace == nil {
		return
	}
	ev := trace.Event{At: now, Conn: uint64(id), Kind: kind, Why: why, From: uint8(s), To: uint8(s),
		Flags: seg.Flags, Segs: max(1, seg.Segs), Seq: uint32(seg.SEQ), Ack: uint32(seg.ACK),
		Len: uint32(seg.Data.Len()), SACKBlocks: seg.Opts.NSACK, SACK: seg.Opts.SACK, ECN: seg.ECN, Window: uint32(seg.WND)}
	if seg.Flags&wire.FlagSYN == 0 {
		ev.Window <<= scale // RFC 7323 §2.2: never that of a SYN
	} else if seg.Opts.Has&wire.HasMSS != 0 {
		ev.MSS = seg.Opts.MSS
	}
	e.event = ev
	e.tcp.Trace.Trace(&e.event)
}

// traceChange tells of a record's change of state.
func (e *Engine) traceChange(now mono.Time, id uint32, from, to tcp.State, on tcp.Trigger, why trace.Why) {
	if e.tcp.Trace == nil {
		return
	}
	e.event = trace.Event{At: now, Conn: uint64(id), Kind: trace.StateChange, Why: why,
		From: uint8(from), To: uint8(to), On: uint8(on)}
	e.tcp.Trace.Trace(&e.event)
}

// traceHalfOpen tells of the segment at hand, and of what a half-open record
// makes of it. The one that establishes the connection is left to the TCB.
func (e *Engine) traceHalfOpen(now mono.Time, h *halfOpen, v tcp.HalfOpenVerdict) {
	if e.tcp.Trace == nil || v == tcp.HalfOpenEstablished {
		return
	}
	scale, _ := h.rec.Scales(h.tcp)
	e.traceRecord(now, trace.SegmentIn, trace.WhyNone, h.rec.ID, tcp.SynReceived, &e.seg, scale)
	switch v {
	case tcp.HalfOpenGone, tcp.HalfOpenContradicted:
		on, why := tcp.OnSYN, trace.WhyNone
		if e.seg.Flags&wire.FlagRST != 0 {
			on, why = tcp.OnRST, trace.WhyPeerReset
		}
		e.traceChange(now, h.rec.ID, tcp.SynReceived, tcp.Listen, on, why)
	case tcp.HalfOpenDrop:
		e.traceRecord(now, trace.Dropped, trace.WhyUnacceptable, h.rec.ID, tcp.SynReceived, &e.seg, scale)
	}
}
