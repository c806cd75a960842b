package tcptest

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// Bounds that no honest test reaches: beyond them something goes round in
// circles.
const (
	maxDeadlines = 100_000 // in one call of Advance
	maxOut       = 10_000  // segments after one stimulus
)

// Recv lets a segment arrive, and collects what is sent in consequence.
func (p *Conn) Recv(text string) {
	p.t.Helper()
	p.arrive(text)
	p.collect()
}

// RecvBatch lets segments arrive together, as a device hands them up: only then
// is it asked what to send.
func (p *Conn) RecvBatch(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.arrive(text)
	}
	p.collect()
}

// RecvOptions lets a segment arrive whose options are given as they lie in the
// header.
func (p *Conn) RecvOptions(text string, raw ...byte) {
	p.t.Helper()
	l := p.incoming(text)
	l.Opts.Parse(raw, l.Flags&wire.FlagSYN != 0)
	p.note("options % x", raw)
	p.deliver(&l)
	p.collect()
}

// arrive makes a segment of a line and hands it to whoever answers now.
func (p *Conn) arrive(text string) {
	p.t.Helper()
	l := p.incoming(text)
	p.deliver(&l)
}

// incoming reads a line and completes it.
func (p *Conn) incoming(text string) line {
	p.t.Helper()
	l, err := parse(text)
	if err != nil || l.Out {
		p.fatalf("not an arriving segment: %q (%v)", text, err)
	}
	if l.HasWin {
		p.window = uint16(l.Win)
	}
	l.HasWin, l.Win = true, uint32(p.window)
	if !l.hasOpts && p.s.timestamps && p.peerTimestamps() {
		l.Opts.Has |= wire.HasTimestamps
		l.Opts.TSVal = peerClock + uint32(p.now.Sub(p.zero)/time.Millisecond)
		l.Opts.TSEcr = p.lastTS
	}
	return l
}

// deliver hands a segment with its octets to whoever answers now.
func (p *Conn) deliver(l *line) {
	p.t.Helper()
	var seg tcp.Segment
	p.absolute(l, &seg)
	if l.Len > 0 {
		c := p.pool.Chunk(int(l.Len))
		b := c.Bytes()[:l.Len]
		first := l.Seq
		if l.Flags&wire.FlagSYN != 0 {
			first++
		}
		fill(b, first, incoming)
		seg.Data = pkt.View{c.Ref(b)}
	}
	p.log.add(p.clock(), l.String(), "")
	p.dispatch(&seg)
	seg.Data.Release() // whoever drops a segment in a record leaves its data
}

func (p *Conn) peerTimestamps() bool { return p.s.peer.Has&wire.HasTimestamps != 0 }

// dispatch hands a segment on as the demultiplexer of an engine would.
func (p *Conn) dispatch(seg *tcp.Segment) {
	p.t.Helper()
	switch p.phase {
	case phaseTCB:
		if p.tcb.Arrive(p.now, seg) {
			p.reset(seg)
		}
	case phaseListen:
		p.dispatchListen(seg)
	case phaseHalfOpen:
		p.dispatchHalfOpen(seg)
	case phaseTimeWait:
		p.dispatchTimeWait(seg)
	case phaseGone:
		p.reset(seg)
	}
}

func (p *Conn) dispatchListen(seg *tcp.Segment) {
	p.t.Helper()
	switch tcp.ArriveListen(seg) {
	case tcp.ListenReset:
		p.reset(seg)
	case tcp.ListenSYN:
		p.incarnate(p.s.params.ISS, seg.SEQ)
		p.half = tcp.NewHalfOpen(p.now, p.cfg, seg, &p.s.params)
		p.change(tcp.Listen, tcp.SynReceived, tcp.OnSYN)
		if p.s.taken != nil {
			p.phase = phaseTCB
			p.tcb.AcceptFastOpen(p.now, p.cfg, &p.half, seg, *p.s.taken)
			return
		}
		p.phase = phaseHalfOpen
		p.synack()
	}
}

func (p *Conn) synack() {
	p.t.Helper()
	var out tcp.Segment
	p.half.SYNACK(p.now, p.cfg, &out)
	p.sent(&out, "SYN-ACK of a record")
}

func (p *Conn) dispatchHalfOpen(seg *tcp.Segment) {
	p.t.Helper()
	var out tcp.Segment
	switch p.half.Arrive(p.now, p.cfg, seg) {
	case tcp.HalfOpenACK:
		p.half.ACK(p.now, p.cfg, &out)
		p.sent(&out, "ACK of a record")
	case tcp.HalfOpenSYNACK:
		p.synack()
	case tcp.HalfOpenReset:
		p.reset(seg)
	case tcp.HalfOpenGone:
		on := tcp.OnSYN
		if seg.Has(wire.FlagRST) {
			on = tcp.OnRST
		}
		p.change(tcp.SynReceived, tcp.Listen, on)
		p.phase = phaseListen
	case tcp.HalfOpenContradicted:
		p.reset(seg)
		p.change(tcp.SynReceived, tcp.Listen, tcp.OnSYN)
		p.phase = phaseListen
	case tcp.HalfOpenEstablished:
		p.phase = phaseTCB
		p.tcb.Accept(p.now, p.cfg, &p.half)
		if p.tcb.Arrive(p.now, seg) {
			p.reset(seg)
		}
	}
}

// IntoRecord replaces a TCB in TIME-WAIT by its record.
func (p *Conn) IntoRecord() {
	p.t.Helper()
	p.WantState(tcp.TimeWait)
	p.note("the record replaces the TCB")
	p.tw = p.tcb.TimeWaitRecord()
	p.phase = phaseTimeWait
	p.tcb = tcp.TCB{}
}

func (p *Conn) dispatchTimeWait(seg *tcp.Segment) {
	p.t.Helper()
	switch p.tw.Arrive(p.now, p.cfg, seg) {
	case tcp.TimeWaitACK:
		var out tcp.Segment
		p.tw.ACK(p.now, &out)
		p.sent(&out, "ACK of a record")
	case tcp.TimeWaitReuse:
		p.change(tcp.TimeWait, tcp.Closed, tcp.OnReuse)
		p.change(tcp.Closed, tcp.Listen, tcp.OnPassiveOpen)
		p.SetISS(p.tw.NextISS(p.s.params.ISS))
		p.phase = phaseListen
		p.dispatchListen(seg)
	}
}

// reset answers a segment as one to a connection that does not exist.
func (p *Conn) reset(seg *tcp.Segment) {
	p.t.Helper()
	var out tcp.Segment
	if tcp.ResetFor(seg, &out) {
		p.sent(&out, "reset")
	}
}

// collect asks the TCB for everything that it has to send, and checks what must
// hold after every step.
func (p *Conn) collect() {
	p.t.Helper()
	if p.phase != phaseTCB {
		return
	}
	for range maxOut {
		if !p.collectOne() {
			p.invariants()
			return
		}
	}
	p.fatalf("more than %d segments at once", maxOut)
}

func (p *Conn) collectOne() bool {
	p.t.Helper()
	var seg tcp.Segment
	if !p.tcb.Emit(p.now, &seg, p.s.room) {
		return false
	}
	p.sent(&seg, p.log.why)
	return true
}

// sent notes a segment that leaves, checks its octets and lets them go.
func (p *Conn) sent(seg *tcp.Segment, why string) {
	p.t.Helper()
	l := p.relative(seg, outgoing)
	p.log.add(p.clock(), l.String(), why)
	first := l.Seq
	if l.Flags&wire.FlagSYN != 0 {
		first++
	}
	for _, r := range seg.Data {
		p.check(r.B, first, outgoing, "sent")
		first += uint32(len(r.B))
	}
	if seg.Opts.Has&wire.HasTimestamps != 0 {
		p.lastTS = seg.Opts.TSVal
	}
	if !seg.Has(wire.FlagRST) {
		p.progress(seg)
	}
	seg.Data.Release()
	p.out = append(p.out, sent{p.now, l})
}

// progress notes how far the connection has come.
func (p *Conn) progress(seg *tcp.Segment) {
	p.t.Helper()
	if end := seg.SEQ + tcp.Seq(seg.LEN()); p.sndNXT.Less(end) {
		p.sndNXT = end
	}
	if seg.Has(wire.FlagACK) {
		p.rcvNXT = seg.ACK
		p.checkEdge(seg)
	}
}

// checkEdge demands that no window that was offered is taken back, RFC 9293
// §3.8.6, but for what rounding by its scale may cost, RFC 7323 §2.4.
func (p *Conn) checkEdge(seg *tcp.Segment) {
	p.t.Helper()
	if p.phase != phaseTCB {
		return
	}
	scale := p.Info().ReceiveScale
	if seg.Has(wire.FlagSYN) {
		scale = 0
	}
	edge := seg.ACK + tcp.Seq(seg.WND)<<scale
	if p.hasEdge && (edge + 1<<scale).LessEq(p.edge) {
		p.fatalf("the window shrank: its right edge went from %d to %d", p.edge-p.irs, edge-p.irs)
	}
	p.edge, p.hasEdge = edge, true
}

// invariants hold whenever Emit has said no.
func (p *Conn) invariants() {
	p.t.Helper()
	d := p.tcb.Deadline()
	if d != 0 && d <= p.now {
		p.fatalf("a deadline of %v has passed at %v", d.Sub(p.zero), p.clock())
	}
	if err := p.tcb.Check(p.now); err != nil {
		p.fatalf("%v", err)
	}
}

// clock is the time of the script.
func (p *Conn) clock() time.Duration { return p.now.Sub(p.zero) }

// At lets time pass up to an instant, given as a duration since time 0, and
// runs every deadline on the way.
func (p *Conn) At(when string) {
	p.t.Helper()
	p.until(p.zero.Add(p.duration(when)))
}

// Advance lets a duration pass and runs every deadline on the way.
func (p *Conn) Advance(by string) {
	p.t.Helper()
	p.until(p.now.Add(p.duration(by)))
}

func (p *Conn) duration(text string) time.Duration {
	p.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		p.fatalf("%v", err)
	}
	return d
}

func (p *Conn) until(end mono.Time) {
	p.t.Helper()
	if end < p.now {
		p.fatalf("time %v lies behind", end.Sub(p.zero))
	}
	for range maxDeadlines {
		d := p.Deadline()
		if d == 0 || d > end {
			p.now = end
			return
		}
		p.early(d)
		p.now = max(p.now, d)
		p.expire()
	}
	p.fatalf("more than %d deadlines", maxDeadlines)
}

// early demands that a call of Advance just before the deadline does nothing.
func (p *Conn) early(d mono.Time) {
	p.t.Helper()
	if p.phase != phaseTCB || d-1 <= p.now || p.s.pacing { // paced, a packet may go a moment before its time
		return
	}
	p.tcb.Advance(d - 1)
	var seg tcp.Segment
	if p.tcb.Emit(d-1, &seg, p.s.room) {
		p.fatalf("%v before the deadline: sent %v", time.Nanosecond, &seg)
	}
	if now := p.tcb.Deadline(); now != d {
		p.fatalf("an early Advance moved the deadline from %v to %v", d.Sub(p.zero), now.Sub(p.zero))
	}
}

// expire lets a deadline take effect.
func (p *Conn) expire() {
	p.t.Helper()
	switch p.phase {
	case phaseTCB:
		p.tcb.Advance(p.now)
		p.collect()
	case phaseHalfOpen:
		resend, gone := p.half.Advance(p.now, p.cfg)
		if resend {
			p.synack()
		}
		if gone {
			p.change(tcp.SynReceived, tcp.Listen, tcp.OnTimeout)
			p.phase = phaseListen
		}
	case phaseTimeWait:
		p.change(tcp.TimeWait, tcp.Closed, tcp.OnTimeout)
		p.phase = phaseGone
	}
}

// Deadline returns when the clock has the next effect; 0 if it has none.
func (p *Conn) Deadline() mono.Time {
	switch p.phase {
	case phaseTCB:
		return p.tcb.Deadline()
	case phaseHalfOpen:
		return p.half.Deadline
	case phaseTimeWait:
		return p.tw.Deadline
	}
	return 0
}

// WantDeadline demands that the next deadline is at an instant since time 0;
// "none" demands that there is none.
func (p *Conn) WantDeadline(when string) {
	p.t.Helper()
	got := "none"
	if d := p.Deadline(); d != 0 {
		got = d.Sub(p.zero).String()
	}
	if when != "none" {
		when = p.duration(when).String()
	}
	if got != when {
		p.fatalf("the deadline is %s, want %s", got, when)
	}
}
