package tcptest

import (
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// phase says who answers segments.
type phase uint8

const (
	phaseTCB phase = iota
	phaseListen
	phaseHalfOpen
	phaseTimeWait // a record, no TCB any more
	phaseGone     // the record is gone, too
)

// Conn is one scripted connection: a TCB, or the record that stands for it
// before and after. Its methods end the test when something is not as wanted.
type Conn struct {
	t     testing.TB
	s     *setup
	cfg   *tcp.Config
	pool  pkt.Pool
	now   mono.Time
	zero  mono.Time // time 0 of the script
	phase phase
	tcb   tcp.TCB
	half  tcp.HalfOpen
	tw    tcp.TimeWaitRecord
	iss   tcp.Seq // what the script calls 0
	irs   tcp.Seq

	out     []sent // left and not wanted yet
	log     log
	changes []Change

	tail    *pkt.Chunk // small writes share it
	tailLen int
	written uint32 // relative number of the next octet to write
	read    uint32 // and to read
	window  uint16 // the peer's last
	lastTS  uint32 // the last TSVal that left
	sndNXT  tcp.Seq
	rcvNXT  tcp.Seq
	edge    tcp.Seq // right edge of the receive window as advertised
	hasEdge bool
}

// sent is a segment that left.
type sent struct {
	at   mono.Time
	line line
}

// Change is a change of state.
type Change struct {
	From, To tcp.State
	On       tcp.Trigger
}

func newConn(t testing.TB, opts []Option) *Conn {
	t.Helper()
	p := &Conn{t: t, s: newSetup(opts), now: mono.Start, zero: mono.Start}
	p.cfg = p.s.config()
	p.cfg.Trace = sink{p}
	p.incarnate(p.s.params.ISS, p.s.irs)
	p.window = p.s.window
	t.Cleanup(p.finish)
	return p
}

// incarnate sets the initial sequence numbers of the connection to come.
func (p *Conn) incarnate(iss, irs tcp.Seq) {
	p.s.params.ISS, p.s.irs = iss, irs
	if !p.s.absolute {
		p.iss, p.irs = iss, irs
	}
	p.sndNXT, p.rcvNXT = iss, irs
	p.written, p.read = uint32(iss-p.iss)+1, uint32(irs-p.irs)+1
	p.hasEdge = false
}

// SetISS sets our initial sequence number for the next OPEN, or the next SYN
// that a listener answers.
func (p *Conn) SetISS(iss tcp.Seq) { p.incarnate(iss, p.s.irs) }

// TCB returns the connection itself, for calls that change nothing.
func (p *Conn) TCB() *tcp.TCB { return &p.tcb }

// Do makes a call that this package has no method for, and collects what is
// sent in consequence.
func (p *Conn) Do(what string, call func(now mono.Time, c *tcp.TCB)) {
	p.t.Helper()
	p.note("%s", what)
	call(p.now, &p.tcb)
	p.collect()
}

// Info returns the TCB's snapshot.
func (p *Conn) Info() tcp.Info {
	var i tcp.Info
	p.tcb.Info(&i)
	return i
}

// State returns the connection's state, whoever keeps it.
func (p *Conn) State() tcp.State {
	switch p.phase {
	case phaseListen:
		return tcp.Listen
	case phaseHalfOpen:
		return tcp.SynReceived
	case phaseTimeWait:
		return tcp.TimeWait
	case phaseGone:
		return tcp.Closed
	}
	return p.tcb.State()
}

// Changes returns the changes of state so far.
func (p *Conn) Changes() []Change { return p.changes }

// SndNXT returns the relative number of the next octet that we would send.
func (p *Conn) SndNXT() uint32 { return uint32(p.sndNXT - p.iss) }

// RcvNXT returns the relative number that our last ACK asked for.
func (p *Conn) RcvNXT() uint32 { return uint32(p.rcvNXT - p.irs) }

// Write queues n octets of the pattern, as one SEND.
func (p *Conn) Write(n int) {
	p.t.Helper()
	p.note("write %d", n)
	if room := p.tcb.Room(); room < n {
		p.fatalf("write of %d octets, but there is room for %d", n, room)
	}
	for n > 0 {
		k := min(n, pkt.Large)
		p.tcb.Queue(p.now, p.octets(k))
		n -= k
	}
	p.collect()
}

// WriteUrgent queues n octets as urgent data.
func (p *Conn) WriteUrgent(n int) {
	p.t.Helper()
	p.note("write %d urgent", n)
	p.tcb.SendUrgent(p.now, p.octets(n))
	p.collect()
}

// octets returns the next n octets of the pattern behind those before, in the
// same chunk if it has room, as a Conn of the library does it.
func (p *Conn) octets(n int) pkt.Ref {
	if p.tail == nil || p.tail.Size()-p.tailLen < n {
		if p.tail != nil {
			p.tail.Release()
		}
		p.tail, p.tailLen = p.pool.Chunk(pkt.Large), 0
	}
	b := p.tail.Bytes()[p.tailLen : p.tailLen+n]
	fill(b, p.written, outgoing)
	p.written += uint32(n)
	p.tailLen += n
	p.tail.Retain()
	return p.tail.Ref(b)
}

// Read takes n octets, as one RECEIVE and the application's word that it is
// done with them. It is a failure if there are fewer.
func (p *Conn) Read(n int) {
	p.t.Helper()
	p.note("read %d", n)
	got := 0
	for got < n {
		var refs [8]pkt.Ref
		k := p.tcb.Take(n-got, refs[:])
		if k == 0 {
			p.fatalf("read of %d octets, but there are %d", n, got)
		}
		for _, r := range refs[:k] {
			p.check(r.B, p.read, incoming, "read")
			p.read += uint32(len(r.B))
			got += len(r.B)
			r.Release()
		}
	}
	p.tcb.Consumed()
	p.collect()
}

// Shutdown closes the sending side: the CLOSE of RFC 9293 §3.10.4, after which
// the application still receives.
func (p *Conn) Shutdown() {
	p.t.Helper()
	p.note("shutdown")
	p.tcb.Shutdown(p.now, false, true)
	p.collect()
}

// Close is the CLOSE of an application that lets go of the connection; of a
// listening one, that nobody listens any more.
func (p *Conn) Close() {
	p.t.Helper()
	p.note("close")
	if p.phase == phaseListen {
		p.change(tcp.Listen, tcp.Closed, tcp.OnClose)
		p.phase = phaseGone
		return
	}
	p.tcb.Close(p.now)
	p.collect()
}

// Abort is the ABORT of RFC 9293 §3.10.5.
func (p *Conn) Abort() {
	p.t.Helper()
	p.note("abort")
	p.tcb.Abort(p.now)
	p.collect()
}

// WantState demands a state.
func (p *Conn) WantState(s tcp.State) {
	p.t.Helper()
	if p.State() != s {
		p.fatalf("in %v, want %v", p.State(), s)
	}
}

// WantErr demands that the connection is CLOSED for this reason.
func (p *Conn) WantErr(r tcp.Reason) {
	p.t.Helper()
	p.WantState(tcp.Closed)
	if p.tcb.Err() != r {
		p.fatalf("ended with %q, want %q", p.tcb.Err(), r)
	}
}

// WantUnread demands that exactly n octets wait for the application.
func (p *Conn) WantUnread(n int) {
	p.t.Helper()
	if got := p.tcb.Buffered(); got != n {
		p.fatalf("%d octets can be read, want %d", got, n)
	}
}

// WantEOF demands that the end of the stream was reached, or was not.
func (p *Conn) WantEOF(want bool) {
	p.t.Helper()
	if got := p.tcb.EOF(); got != want {
		p.fatalf("end of the stream: %v, want %v", got, want)
	}
}

// finish is what every test ends with.
func (p *Conn) finish() {
	if !p.t.Failed() {
		if len(p.out) > 0 {
			p.errorf("nobody wanted %q", p.out[0].line.String())
		}
		if p.phase == phaseTCB {
			p.tcb.Abort(p.now)
			for p.collectOne() {
				p.out = nil
			}
		}
	}
	if p.tail != nil {
		p.tail.Release()
		p.tail = nil
	}
	if p.t.Failed() {
		return
	}
	// What was in order when the connection ended normally may still be taken.
	var refs [8]pkt.Ref
	for n := p.tcb.Take(1<<30, refs[:]); n > 0; n = p.tcb.Take(1<<30, refs[:]) {
		for _, r := range refs[:n] {
			r.Release()
		}
	}
	if n, _ := p.pool.Outstanding(); n != 0 {
		p.errorf("%d chunks leaked", n)
	}
}
