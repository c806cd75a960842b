package tcptest

import (
	"fmt"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// Want demands that the next segment that left is this one.
func (p *Conn) Want(text string) {
	p.t.Helper()
	p.next(text)
}

// WantAt lets time pass up to an instant since time 0, and demands that the
// next segment left exactly then.
func (p *Conn) WantAt(when, text string) {
	p.t.Helper()
	p.At(when)
	s := p.next(text)
	if s.at != p.now {
		p.fatalf("%q left at %v, want %v", s.line.String(), s.at.Sub(p.zero), p.clock())
	}
}

func (p *Conn) next(text string) sent {
	p.t.Helper()
	want, err := parse(text)
	if err != nil || !want.Out {
		p.fatalf("not a leaving segment: %q (%v)", text, err)
	}
	if len(p.out) == 0 {
		p.fatalf("nothing was sent, want %q", text)
	}
	s := p.out[0]
	if !want.matches(&s.line) {
		p.fatalf("sent %q\nwant %q", s.line.String(), text)
	}
	p.out = p.out[1:]
	return s
}

// WantNothing demands that nothing was sent beyond what was wanted; why is said
// if it was.
func (p *Conn) WantNothing(why string) {
	p.t.Helper()
	if len(p.out) > 0 {
		p.fatalf("sent %q, want nothing: %s", p.out[0].line.String(), why)
	}
}

// Drop forgets what was sent and not wanted, and returns how many segments
// that were: for tests of what comes after.
func (p *Conn) Drop() int {
	n := len(p.out)
	p.out = nil
	return n
}

// Data is a segment with data that left, or a super-segment: its relative number,
// how many octets, and how many in each piece; 0: it is one.
type Data struct{ Seq, Len, Cut int }

// TakeData returns what was sent with data and not wanted, and forgets all that
// was sent: for tests with a peer of their own.
func (p *Conn) TakeData() (all []Data) {
	for _, s := range p.out {
		if s.line.Len > 0 {
			all = append(all, Data{int(s.line.Seq), int(s.line.Len), int(s.line.Cut)})
		}
	}
	p.out = nil
	return all
}

// log is the conversation so far.
type log struct {
	text []byte
	why  string // of the last segment that the TCB sent
}

func (l *log) add(at time.Duration, text, comment string) {
	l.text = fmt.Appendf(l.text, "%11.6f %s", at.Seconds(), text)
	if comment != "" {
		l.text = fmt.Appendf(l.text, "  // %s", comment)
	}
	l.text = append(l.text, '\n')
}

func (p *Conn) note(format string, args ...any) {
	p.log.add(p.clock(), "* "+fmt.Sprintf(format, args...), "")
}

// change notes a change of state of a record, which nobody traces.
func (p *Conn) change(from, to tcp.State, on tcp.Trigger) {
	tcp.CheckEdge(from, to, on)
	p.changes = append(p.changes, Change{from, to, on})
	p.note("%v -> %v on %v", from, to, on)
}

func (p *Conn) errorf(format string, args ...any) {
	p.t.Helper()
	p.t.Errorf("%s\nThe conversation:\n%s", fmt.Sprintf(format, args...), p.log.text)
}

func (p *Conn) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\nThe conversation:\n%s", fmt.Sprintf(format, args...), p.log.text)
}

// sink listens to the TCB.
type sink struct{ p *Conn }

// Trace notes changes of state, the reason of what is sent, and drops.
func (s sink) Trace(ev *trace.Event) {
	switch ev.Kind {
	case trace.StateChange:
		c := Change{tcp.State(ev.From), tcp.State(ev.To), tcp.Trigger(ev.On)}
		s.p.changes = append(s.p.changes, c)
		s.p.note("%v -> %v on %v", c.From, c.To, c.On)
	case trace.SegmentOut:
		s.p.log.why = ev.Why.String()
	case trace.Dropped:
		s.p.note("dropped: %v", ev.Why)
	}
}

// Sent reports whether a segment with the octet of a relative number is among
// what was sent and not wanted yet.
func (p *Conn) Sent(number int) bool {
	for i := range p.out {
		if l := &p.out[i].line; uint32(number)-l.Seq < l.Len {
			return true
		}
	}
	return false
}
