package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// TimeWaitRecord is a connection in TIME-WAIT, reduced to what answers old
// segments and decides about new incarnations.
type TimeWaitRecord struct {
	SndNXT, RcvNXT Seq
	Deadline       mono.Time
	TSRecent       uint32
	TSOffset       uint32
	challenge      mono.Time // no answer before this, but to a FIN
	wnd            uint32    // receive window, scaled
	maxWND         uint32    // the largest the peer ever offered
	WND            uint16    // for the ACK, as on the wire
	Timestamps     bool
	ace            uint8 // of AccECN, for the ACK
}

// TimeWaitRecord returns the record of a TCB in TIME-WAIT. The TCB may be
// dropped for it, but for data that the application has not taken.
func (c *TCB) TimeWaitRecord() TimeWaitRecord {
	return TimeWaitRecord{SndNXT: c.snd.MAX, RcvNXT: c.rcv.NXT, Deadline: c.deadlines[dLinger],
		TSRecent: c.tsRecent, TSOffset: c.tsOffset, challenge: c.challenge,
		wnd: c.rcv.WND(), maxWND: c.snd.maxWND, WND: uint16(min(c.rcv.WND()>>c.rcv.scale, 65535)),
		Timestamps: c.has(fTimestamps), ace: c.accLast()}
}

// TimeWaitVerdict is what comes of a segment for a connection in TIME-WAIT.
type TimeWaitVerdict uint8

// The verdicts of TimeWaitRecord.Arrive.
const (
	TimeWaitDrop  TimeWaitVerdict = iota
	TimeWaitACK                   // answer with ACK
	TimeWaitReuse                 // a new incarnation: forget the record, treat the SYN as in LISTEN
)

// Arrive is RFC 9293 §3.10.7.4 for TIME-WAIT.
//
// A RST is ignored (RFC 1337 §3, F1), so that no stray one ends the wait. A
// SYN opens a new incarnation by the rules of RFC 6191 §2.
//
// Deviation: a SYN that those rules refuse is answered by a (throttled) ACK,
// as Linux and RFC 5961 §4 have it, where RFC 6191 would be silent: a peer
// that has rebooted thereby finds out, and resets.
func (r *TimeWaitRecord) Arrive(now mono.Time, cfg *Config, seg *Segment) TimeWaitVerdict {
	ts := r.Timestamps && seg.Opts.Has&wire.HasTimestamps != 0
	switch {
	case seg.Has(wire.FlagRST):
		return TimeWaitDrop
	case seg.Has(wire.FlagSYN):
		if !seg.Has(wire.FlagACK) && r.newer(seg, ts) {
			CheckEdge(TimeWait, Closed, OnReuse)
			return TimeWaitReuse
		}
		return r.Challenge(now, cfg)
	case ts && int32(seg.Opts.TSVal-r.TSRecent) < 0: // PAWS
		return r.Challenge(now, cfg)
	case seg.Has(wire.FlagFIN|wire.FlagACK) && r.finAgain(seg) && r.acceptableACK(seg):
		r.Deadline = now.Add(cfg.TimeWait)
		return TimeWaitACK
	case !acceptable(r.RcvNXT, r.wnd, seg.SEQ, seg.LEN()):
		return r.Challenge(now, cfg)
	case !seg.Has(wire.FlagACK):
		return TimeWaitDrop
	case seg.LEN() > 0 || !r.acceptableACK(seg):
		return r.Challenge(now, cfg)
	}
	return TimeWaitDrop
}

// finAgain reports whether the segment ends with the FIN that is known, or with
// one more at RCV.NXT: the eighth step of RFC 9293 §3.10.7.4.
func (r *TimeWaitRecord) finAgain(seg *Segment) bool {
	end := seg.SEQ + Seq(seg.LEN())
	return end == r.RcvNXT || end == r.RcvNXT+1 && r.wnd > 0
}

// acceptableACK is the check of RFC 5961 §5.2: everything has been
// acknowledged, so that SND.UNA is SND.NXT.
func (r *TimeWaitRecord) acceptableACK(seg *Segment) bool {
	return uint32(r.SndNXT-seg.ACK) <= r.maxWND
}

// newer reports whether a SYN may open a new incarnation, RFC 6191 §2.
func (r *TimeWaitRecord) newer(seg *Segment, ts bool) bool {
	if ts && seg.Opts.TSVal != r.TSRecent {
		return int32(seg.Opts.TSVal-r.TSRecent) > 0
	}
	return r.RcvNXT.Less(seg.SEQ)
}

// NextISS returns a sequence number that a new incarnation's SYN or SYN-ACK
// may start with, given the one that was computed: beyond all that the old one
// sent, RFC 9293 §3.4.1 and §3.6.1 (MAY-2).
func (r *TimeWaitRecord) NextISS(iss Seq) Seq {
	if least := r.SndNXT + 65535 + 2; iss.Less(least) {
		return least
	}
	return iss
}

// Challenge is the verdict for what is answered by an ACK as often as the
// throttle of RFC 5961 §7 allows, such as a SYN that nobody listens for.
func (r *TimeWaitRecord) Challenge(now mono.Time, cfg *Config) TimeWaitVerdict {
	if now < r.challenge {
		return TimeWaitDrop
	}
	r.challenge = now.Add(cfg.Challenge)
	return TimeWaitACK
}

// ACK fills out with the record's answer.
func (r *TimeWaitRecord) ACK(now mono.Time, out *Segment) {
	out.Reset()
	out.SEQ, out.ACK, out.Flags, out.WND = r.SndNXT, r.RcvNXT, wire.FlagACK|wire.TCPFlags(r.ace)<<aceShift, r.WND
	if r.Timestamps {
		out.Opts.Has |= wire.HasTimestamps
		out.Opts.TSVal = uint32(int64(now)/int64(time.Millisecond)) + r.TSOffset
		out.Opts.TSEcr = r.TSRecent
	}
}

// arriveTimeWait lets the record decide for a TCB that is still whole.
func (c *TCB) arriveTimeWait(now mono.Time, seg *Segment) {
	r := c.TimeWaitRecord()
	switch r.Arrive(now, c.cfg, seg) {
	case TimeWaitACK:
		c.owe(pendACK, trace.WhyTimeWait)
	case TimeWaitReuse:
		c.end(now, OnReuse, ReasonNone)
		return
	}
	c.challenge, c.deadlines[dLinger] = r.challenge, r.Deadline
}
