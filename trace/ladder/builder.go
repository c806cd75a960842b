package ladder

import (
	"fmt"
	"slices"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

const (
	// MaxEvents bounds what a Builder keeps of each side; later events are
	// counted, and the ladder ends by saying so.
	MaxEvents = 1 << 17
	// maxLook bounds how many segments back the one is looked for that an
	// arriving segment was: more than any flight.
	maxLook = 4096
	// maxLen bounds the length of a segment, in bytes. More would be a broken
	// event, and beyond 2^31 sequence numbers have no order.
	maxLen = 1 << 24
)

// Builder makes steps from the trace events of one connection at both of its
// ends. It pairs departures with arrivals by their sequence numbers and times;
// what left and never arrived was lost. The two streams must be of one clock
// (see Shift) and each in its order. A Builder that gets events of one side
// only draws what that side knows: nothing is lost then, and the other side's
// states are unknown.
//
// The zero Builder is ready; it is not safe for concurrent use.
type Builder struct {
	// Absolute keeps sequence numbers as on the wire; otherwise they count
	// from each side's first one.
	Absolute bool
	// Bases, if not nil, are the numbers to count from, for events that do not
	// begin with the SYNs.
	Bases *[2]uint32

	events [2][]trace.Event
	missed int
	shift  [2]time.Duration
}

// Shift is added to the times of all later events of a side, for hosts whose
// clocks do not begin together.
func (b *Builder) Shift(side Side, d time.Duration) { b.shift[side&1] = d }

// Add keeps a copy of an event that happened at a side.
func (b *Builder) Add(side Side, ev *trace.Event) {
	side &= 1
	if len(b.events[side]) >= MaxEvents {
		b.missed++
		return
	}
	e := *ev
	e.At = e.At.Add(b.shift[side])
	e.Len = min(e.Len, maxLen)
	b.events[side] = append(b.events[side], e)
}

// Sink returns a trace.Sink that adds events of all connections it is given to
// a side; trace.Filter picks the one.
func (b *Builder) Sink(side Side) trace.Sink {
	return trace.Func(func(ev *trace.Event) { b.Add(side, ev) })
}

// Steps returns the steps of what was added so far, in the order of their
// times. The Builder can be added to afterwards.
func (b *Builder) Steps() []Step {
	m := &merger{alone: -1}
	for side := Left; side <= Right; side++ {
		m.side[side] = newStream(b.events[side])
		m.states[side] = m.side[side].initial()
	}
	for side := Left; side <= Right; side++ {
		if len(b.events[side]) > 0 && len(b.events[side.Other()]) == 0 {
			m.alone = int(side)
		}
	}
	for side := Left; side <= Right; side++ {
		if m.side[side].noSYN() && !m.side[side.Other()].noSYN() {
			m.blind[side] = true
			m.states[side] = Unknown // in LISTEN, or in the midst of things
		}
	}
	switch {
	case b.Bases != nil:
		m.bases = *b.Bases
	case !b.Absolute:
		m.findBases()
	}
	if m.alone < 0 {
		m.match(Left)
		m.match(Right)
	}
	m.begin()
	m.merge()
	if b.missed > 0 {
		m.local(m.last, Left, fmt.Sprintf("%d more events were not kept", b.missed))
	}
	return m.steps
}

// stream is one side's events with what is found out about them.
type stream struct {
	ev   []trace.Event
	outs []departure
	next int // event to be merged next
	sent int // departures merged
	max  uint32
	any  bool // max is set
	// orphans are the steps of arrivals at the other side that nobody saw
	// leaving here, by the number of their event.
	orphans map[int]int
}

// departure is a segment that left, with what arrived of it.
type departure struct {
	ev     int // index of its event
	pieces []piece
	steps  []int // its rows
}

// piece is a part of a segment's sequence numbers that arrived.
type piece struct {
	from, to uint32
	at       mono.Time
	ev       int // index of the event at the receiver
}

func newStream(events []trace.Event) *stream {
	s := &stream{ev: events}
	for i := range events {
		if events[i].Kind == trace.SegmentOut {
			s.outs = append(s.outs, departure{ev: i})
		}
	}
	return s
}

// initial returns the state before the first event.
func (s *stream) initial() uint8 {
	for i := range s.ev {
		if s.ev[i].Kind == trace.StateChange {
			return s.ev[i].From
		}
	}
	for i := range s.ev {
		if s.ev[i].From != 0 {
			return s.ev[i].From
		}
	}
	return Unknown
}

// noSYN reports whether no segment with SYN is among the events.
func (s *stream) noSYN() bool {
	for i := range s.ev {
		if s.ev[i].Flags&wire.FlagSYN != 0 {
			return false
		}
	}
	return true
}

// span returns the sequence numbers that a segment takes up: SYN and FIN count
// as one each, RFC 9293 §3.4.
func span(ev *trace.Event) (from, to uint32) {
	n := ev.Len
	if ev.Flags&wire.FlagSYN != 0 {
		n++
	}
	if ev.Flags&wire.FlagFIN != 0 {
		n++
	}
	return ev.Seq, ev.Seq + n
}

// before compares sequence numbers, RFC 9293 §3.4.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// key is what makes a segment recognisable.
type key struct {
	seq, ack, n uint32
	flags       wire.TCPFlags
}

func keyOf(ev *trace.Event) key { return key{ev.Seq, ev.Ack, ev.Len, ev.Flags} }

// match finds, for each segment that arrived opposite to side, the departures
// it came from.
func (m *merger) match(side Side) {
	out, in := m.side[side], m.side[side.Other()]
	delay := m.leastDelay(side)
	for i := range in.ev {
		ev := &in.ev[i]
		if ev.Kind != trace.SegmentIn && !in.lateDrop(i) {
			continue
		}
		// The newest departure that can have been here by now comes first: if
		// the original was lost, what arrives is the retransmission. The least
		// delay is that of some segments only, hence the slack.
		if !out.arrive(out.until(ev.At.Add(-delay*3/4)), ev, i) {
			out.arrive(out.until(ev.At), ev, i)
		}
	}
}

// until returns how many departures there are up to an instant, inclusive.
func (s *stream) until(t mono.Time) int {
	n, _ := slices.BinarySearchFunc(s.outs, t+1, func(d departure, t mono.Time) int {
		if s.ev[d.ev].At < t {
			return -1
		}
		return 1
	})
	return n
}

// leastDelay returns the shortest time that a segment took which was sent only
// once, 0 if there is none.
func (m *merger) leastDelay(side Side) time.Duration {
	out, in := m.side[side], m.side[side.Other()]
	type once struct {
		at    mono.Time
		count int
	}
	sent := make(map[key]once, len(out.outs))
	for _, d := range out.outs {
		k := keyOf(&out.ev[d.ev])
		sent[k] = once{out.ev[d.ev].At, sent[k].count + 1}
	}
	least := time.Duration(-1)
	for i := range in.ev {
		ev := &in.ev[i]
		if o := sent[keyOf(ev)]; ev.Kind == trace.SegmentIn && o.count == 1 && ev.At >= o.at {
			if d := ev.At.Sub(o.at); least < 0 || d < least {
				least = d
			}
		}
	}
	return max(0, least)
}

// arrive records that the segment of ev, event i at the receiver, is here. A
// receiver may see several segments as one, or one in pieces. It reports
// whether any departure below the index newest fits.
func (s *stream) arrive(newest int, ev *trace.Event, i int) (found bool) {
	from, to := span(ev)
	if from == to {
		if d := s.find(newest, func(d *departure) bool {
			return len(d.pieces) == 0 && keyOf(&s.ev[d.ev]) == keyOf(ev)
		}); d != nil {
			d.pieces = append(d.pieces, piece{from, to, ev.At, i})
			return true
		}
		return false
	}
	for range maxLook {
		if from == to {
			break
		}
		d := s.find(newest, func(d *departure) bool { return s.carries(d, ev, from) })
		if d == nil {
			return found
		}
		_, end := span(&s.ev[d.ev])
		for _, p := range d.pieces {
			if before(from, p.from) && before(p.from, end) {
				end = p.from
			}
		}
		if before(to, end) {
			end = to
		}
		d.pieces = append(d.pieces, piece{from, end, ev.At, i})
		from, found = end, true
	}
	return found
}

// find returns the newest departure below the index newest that fits.
func (s *stream) find(newest int, fits func(*departure) bool) *departure {
	for i := newest - 1; i >= 0 && i >= newest-maxLook; i-- {
		if fits(&s.outs[i]) {
			return &s.outs[i]
		}
	}
	return nil
}

// carries reports whether d has sequence number n, of the same kind of segment
// as ev, and has not delivered it.
func (s *stream) carries(d *departure, ev *trace.Event, n uint32) bool {
	const kind = wire.FlagSYN | wire.FlagRST
	out := &s.ev[d.ev]
	from, to := span(out)
	if out.Flags&kind != ev.Flags&kind || before(n, from) || !before(n, to) {
		return false
	}
	for _, p := range d.pieces {
		if !before(n, p.from) && before(n, p.to) {
			return false
		}
	}
	return true
}

// lateDrop reports whether event i is the only one that tells of a segment that
// arrived and was dropped: usually its SegmentIn came before.
func (s *stream) lateDrop(i int) bool {
	if s.ev[i].Kind != trace.Dropped {
		return false
	}
	p := s.before(i)
	return p < 0 || s.ev[p].Kind != trace.SegmentIn || keyOf(&s.ev[p]) != keyOf(&s.ev[i])
}

// before returns the segment event before event i at the same instant, -1 if
// there is none.
func (s *stream) before(i int) int {
	for j := i - 1; j >= 0 && s.ev[j].At == s.ev[i].At; j-- {
		if k := s.ev[j].Kind; k == trace.SegmentIn || k == trace.SegmentOut {
			return j
		}
	}
	return -1
}

// after returns the departure after event i at the same instant, before any
// arrival, -1 if there is none.
func (s *stream) after(i int) int {
	for j := i + 1; j < len(s.ev) && s.ev[j].At == s.ev[i].At && s.ev[j].Kind != trace.SegmentIn; j++ {
		if s.ev[j].Kind == trace.SegmentOut {
			return j
		}
	}
	return -1
}
