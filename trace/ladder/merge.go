package ladder

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// State numbers that decide where a change of state is drawn.
const (
	stateSynSent  = 2
	stateFinWait1 = 5
	stateLastAck  = 9
)

// merger brings two streams of events into one order and turns them into steps.
type merger struct {
	side   [2]*stream
	bases  [2]uint32 // sequence number printed as 0
	states [2]uint8
	steps  []Step
	last   mono.Time // of what was merged
	// blind sides tell nothing of their handshake (half-open records, cookies):
	// SYNs to and from them are taken to have made their way.
	blind [2]bool
	alone int         // the only side with events, -1 if both have
	moved map[int]int // of a step that was split: from its departure to its arrival
}

// begin draws the states that all begins with, if they are not what the first
// segment brings.
func (m *merger) begin() {
	first := mono.Time(0)
	for _, s := range m.side {
		if len(s.ev) > 0 && (first == 0 || s.ev[0].At < first) {
			first = s.ev[0].At
		}
	}
	if first != 0 && m.states != [2]uint8{Unknown, Unknown} {
		m.steps = append(m.steps, Step{At: first, Form: Local, States: m.states})
	}
}

// findBases takes each side's SYN as its 0, or else makes 1 of the first
// sequence number that is known of it.
func (m *merger) findBases() {
	var known [2]int // 0 nothing, 1 a segment, 2 a SYN
	for side := Left; side <= Right; side++ {
		for i := range m.side[side].ev {
			ev := &m.side[side].ev[i]
			sender := side
			switch ev.Kind {
			case trace.SegmentOut:
			case trace.SegmentIn:
				sender = side.Other()
			default:
				continue
			}
			switch {
			case ev.Flags&wire.FlagSYN != 0:
				if known[sender] < 2 {
					m.bases[sender], known[sender] = ev.Seq, 2
				}
			case known[sender] == 0:
				m.bases[sender], known[sender] = ev.Seq-1, 1
			}
			if r := sender.Other(); known[r] == 0 && ev.Flags&wire.FlagACK != 0 {
				m.bases[r], known[r] = ev.Ack-1, 1
			}
		}
	}
}

// merge goes through both streams by time. Of one instant, arrivals are drawn
// before what leaves, but after the same segment's departure.
func (m *merger) merge() {
	l, r := m.side[Left], m.side[Right]
	for l.next < len(l.ev) || r.next < len(r.ev) {
		side := Left
		switch {
		case l.next == len(l.ev):
			side = Right
		case r.next == len(r.ev):
		case r.ev[r.next].At < l.ev[l.next].At:
			side = Right
		case r.ev[r.next].At == l.ev[l.next].At && m.rank(Right) < m.rank(Left):
			side = Right
		}
		s := m.side[side]
		i := s.next
		s.next++
		m.last = s.ev[i].At
		m.event(side, i)
	}
}

// rank orders the next events of both sides when they are of one instant.
func (m *merger) rank(side Side) int {
	s := m.side[side]
	switch {
	case m.waits(side):
		return 2
	case s.ev[s.next].Kind == trace.SegmentOut || s.calls(s.next):
		return 1
	}
	return 0
}

// waits reports whether the next event at side is the arrival of something that
// has not been drawn leaving.
func (m *merger) waits(side Side) bool {
	s, other := m.side[side], m.side[side.Other()]
	i := s.next
	if s.ev[i].Kind != trace.SegmentIn {
		return false
	}
	for j := other.sent; j < len(other.outs) && other.ev[other.outs[j].ev].At == s.ev[i].At; j++ {
		for _, p := range other.outs[j].pieces {
			if p.ev == i {
				return true
			}
		}
	}
	return false
}

func (m *merger) event(side Side, i int) {
	s := m.side[side]
	ev := &s.ev[i]
	switch ev.Kind {
	case trace.SegmentOut:
		m.depart(side)
	case trace.SegmentIn:
		m.arrival(side, i, "")
	case trace.StateChange:
		m.change(side, i)
	case trace.Dropped:
		note := "dropped: " + ev.Why.String()
		if s.lateDrop(i) {
			m.arrival(side, i, note)
		} else {
			m.remark(side, s.before(i), note)
		}
	case trace.Timer:
		if s.after(i) < 0 { // else the segment's reason says it
			m.local(ev.At, side, ev.Why.String()+" timer")
		}
	case trace.Congestion:
		note := "cwnd " + strconv.FormatUint(uint64(ev.Cwnd), 10) + " ssthresh " + strconv.FormatUint(uint64(ev.SSThresh), 10)
		if ev.Why != trace.WhyNone {
			note = ev.Why.String() + ": " + note
		}
		m.local(ev.At, side, note)
	case trace.MarkedLost:
		from := ev.Seq - m.bases[side]
		note := "lost " + strconv.FormatUint(uint64(from), 10) + ":" + strconv.FormatUint(uint64(from+ev.Len), 10)
		if ev.Why != trace.WhyNone {
			note += " (" + ev.Why.String() + ")"
		}
		m.local(ev.At, side, note)
	case trace.Closed:
		if ev.Why == trace.WhyNone {
			return
		}
		if p := s.before(i); p >= 0 {
			m.remark(side, p, ev.Why.String())
		} else {
			m.local(ev.At, side, "closed: "+ev.Why.String())
		}
	}
}

// depart draws the next segment that leaves side: as one step, or, when some of
// it was lost and some not, as one for each stretch.
func (m *merger) depart(side Side) {
	s := m.side[side]
	d := &s.outs[s.sent]
	s.sent++
	ev := &s.ev[d.ev]
	from, to := span(ev)
	again := s.again(ev)
	st := m.step(side, ev)
	slices.SortFunc(d.pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(int32(a.from-from), int32(b.from-from)), cmp.Compare(a.at, b.at))
	})
	if m.alone < 0 && len(d.pieces) == 0 && !(ev.Flags&wire.FlagSYN != 0 && m.blind[side.Other()]) {
		if m.inFlight(side, ev.At) {
			st.Form = Departure
		} else {
			st.Lost = true
		}
	}
	st.Retransmit = again
	if len(d.pieces) == 0 || from == to {
		if len(d.pieces) > 0 {
			st.Arrived = d.pieces[0].at
		}
		d.steps = append(d.steps, m.add(st))
		return
	}
	for at := from; at != to; {
		end, arrived, lost := d.stretch(at, to)
		part := st
		part.Lost, part.Arrived = lost, arrived
		part.cutTo(at-from, end-from, to-from)
		d.steps = append(d.steps, m.add(part))
		at = end
	}
}

// stretch returns where the stretch of sequence numbers from at on ends that
// shares one fate, and that fate. pieces are sorted and do not overlap.
func (d *departure) stretch(at, to uint32) (end uint32, arrived mono.Time, lost bool) {
	end, lost = at, true
	for _, p := range d.pieces {
		switch {
		case p.from == end:
			end, arrived, lost = p.to, max(arrived, p.at), false
		case before(end, p.from):
			if end == at {
				return p.from, 0, true
			}
			return end, arrived, false
		}
	}
	if lost {
		return to, 0, true
	}
	return end, arrived, false
}

// cutTo makes of a segment's step that of its sequence numbers i to j out of n.
func (s *Step) cutTo(i, j, n uint32) {
	if i == 0 && j == n {
		return
	}
	fin := s.Flags&wire.FlagFIN != 0
	s.Seq += i
	s.Len = j - i
	switch {
	case j < n:
		s.Flags &^= wire.FlagFIN | wire.FlagPSH
	case fin:
		s.Len--
	}
	if i > 0 {
		s.Flags &^= wire.FlagSYN
	} else if s.Flags&wire.FlagSYN != 0 {
		s.Len--
	}
}

// inFlight reports whether the other side's events end before a segment could
// have been missed.
func (m *merger) inFlight(side Side, at mono.Time) bool {
	in := m.side[side.Other()].ev
	return len(in) == 0 || in[len(in)-1].At <= at
}

// again reports whether a segment repeats sequence numbers, and counts it as
// sent. Probes of a closed window and of an idle peer do so on purpose.
func (s *stream) again(ev *trace.Event) bool {
	from, to := span(ev)
	again := ev.Why.Retransmission()
	if from != to {
		if s.any && before(from, s.max) && ev.Why != trace.WhyZeroWindowProbe && ev.Why != trace.WhyKeepalive {
			again = true
		}
		if !s.any || before(s.max, to) {
			s.max, s.any = to, true
		}
	}
	return again
}

// step fills in what an event says of a segment.
func (m *merger) step(from Side, ev *trace.Event) Step {
	st := Step{
		At: ev.At, From: from, Flags: ev.Flags, Seq: ev.Seq - m.bases[from], Len: ev.Len,
		Window: ev.Window, Why: ev.Why,
	}
	if ev.Flags&wire.FlagACK != 0 {
		st.Ack = ev.Ack - m.bases[from.Other()]
	}
	switch {
	case ev.Flags&wire.FlagSYN != 0:
		st.MSS = ev.MSS
	case ev.Segs > 1:
		st.Cut = ev.MSS
	}
	st.setSACK(ev.SACK[:min(ev.SACKBlocks, trace.MaxSACK)], m.bases[from.Other()])
	return st
}

// add appends a step with the states as they are.
func (m *merger) add(st Step) int {
	st.States = m.states
	m.steps = append(m.steps, st)
	return len(m.steps) - 1
}

// arrival handles event i at side, a segment that came in. Nothing is drawn but
// a note, unless nobody drew it leaving.
func (m *merger) arrival(side Side, i int, note string) {
	if m.row(side, i) >= 0 {
		if note != "" {
			m.remark(side, i, note)
		}
		return
	}
	ev := &m.side[side].ev[i]
	st := m.step(side.Other(), ev)
	st.Form, st.Why, st.Arrived, st.Note = Arrival, trace.WhyNone, ev.At, note
	if m.alone >= 0 || ev.Flags&wire.FlagSYN != 0 && m.blind[side.Other()] {
		st.Form = Whole
		st.Retransmit = m.side[side.Other()].again(ev)
	}
	n := m.add(st)
	s := m.side[side.Other()]
	if s.orphans == nil {
		s.orphans = make(map[int]int)
	}
	s.orphans[i] = n
}

// row returns the step in which event i at side, an arrival or a departure, is
// drawn; -1 if it is not.
func (m *merger) row(side Side, i int) int {
	if i < 0 {
		return -1
	}
	s, other := m.side[side], m.side[side.Other()]
	if s.ev[i].Kind == trace.SegmentOut {
		j, ok := slices.BinarySearchFunc(s.outs, i, func(d departure, i int) int { return cmp.Compare(d.ev, i) })
		if !ok || len(s.outs[j].steps) == 0 {
			return -1
		}
		return s.outs[j].steps[len(s.outs[j].steps)-1]
	}
	if n, ok := other.orphans[i]; ok {
		return n
	}
	for j := other.sent - 1; j >= 0 && j >= other.sent-maxLook; j-- {
		d := &other.outs[j]
		for _, p := range d.pieces {
			if p.ev == i {
				n := m.rowOf(side.Other(), d, p)
				if to, ok := m.moved[n]; ok {
					return to
				}
				return n
			}
		}
	}
	return -1
}

// rowOf returns the step of a departure that holds a piece.
func (m *merger) rowOf(side Side, d *departure, p piece) int {
	for _, n := range d.steps {
		st := &m.steps[n]
		if !st.Lost && !before(p.from-m.bases[side], st.Seq) && (p.from == p.to || before(p.from-m.bases[side], st.end())) {
			return n
		}
	}
	return d.steps[len(d.steps)-1]
}

// end returns the sequence number behind the step's segment.
func (s *Step) end() uint32 {
	ev := trace.Event{Seq: s.Seq, Len: s.Len, Flags: s.Flags}
	_, to := span(&ev)
	return to
}
