package ladder

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// change draws a change of state: with the segment that it made leave, with the
// segment that caused it, or as a step of its own.
func (m *merger) change(side Side, i int) {
	s := m.side[side]
	ev := &s.ev[i]
	if s.calls(i) {
		m.states[side] = ev.To
		return
	}
	n := m.row(side, s.before(i))
	if n < 0 {
		m.states[side] = ev.To
		k := len(m.steps) - 1
		if k > 0 && m.steps[k].joins(side, ev.At) && m.steps[k].Note != "" {
			m.steps[k].States = m.states // the timer's note says why
			return
		}
		note := ""
		if ev.Why != trace.WhyNone {
			note = ev.Why.String()
		}
		m.local(ev.At, side, note)
		return
	}
	if m.steps[n].From != side && m.steps[n].Form == Whole && m.crossed(side, n) {
		n = m.split(n, ev.At)
	}
	m.states[side] = ev.To
	for ; n < len(m.steps); n++ {
		m.steps[n].States[side] = ev.To
	}
}

// calls reports whether event i is a change of state by a call of the user,
// whose SYN or FIN follows at once and is drawn with it.
func (s *stream) calls(i int) bool {
	ev := &s.ev[i]
	if ev.Kind != trace.StateChange || ev.To != stateSynSent && ev.To != stateFinWait1 && ev.To != stateLastAck {
		return false
	}
	n := s.after(i)
	return n >= 0 && s.ev[n].Flags&(wire.FlagSYN|wire.FlagFIN) != 0
}

// crossed reports whether something was drawn at side between the departure of
// the segment of step n and now, so that its arrival cannot be shown there
// without turning the order round.
func (m *merger) crossed(side Side, n int) bool {
	for k := n + 1; k < len(m.steps); k++ {
		st := &m.steps[k]
		if st.From == side && st.Form != Arrival || st.States[side] != m.steps[n].States[side] {
			return true
		}
	}
	return false
}

// split makes a departure of step n, and a step of its arrival, whose number it
// returns.
func (m *merger) split(n int, at mono.Time) int {
	st := m.steps[n]
	m.steps[n].Form = Departure
	st.Form, st.At, st.Why = Arrival, at, trace.WhyNone
	to := m.add(st)
	if m.moved == nil {
		m.moved = make(map[int]int)
	}
	m.moved[n] = to
	return to
}

// remark adds words to the step in which event i at side is drawn.
func (m *merger) remark(side Side, i int, note string) {
	n := m.row(side, i)
	if n < 0 {
		m.local(m.last, side, note)
		return
	}
	m.steps[n].note(note)
}

// local adds a step without a segment. What happens at one instant shares one.
func (m *merger) local(at mono.Time, side Side, note string) {
	if k := len(m.steps) - 1; k >= 0 {
		st := &m.steps[k]
		if k > 0 && st.joins(side, at) {
			st.States = m.states
			st.note(note)
			return
		}
	}
	n := m.add(Step{At: at, From: side, Form: Local})
	m.steps[n].note(note)
}

// joins reports whether something that happens at side at this instant can
// share the step.
func (s *Step) joins(side Side, at mono.Time) bool {
	return s.Form == Local && s.From == side && s.At == at
}

// note adds words, once.
func (s *Step) note(words string) {
	switch {
	case words == "" || s.Note == words:
	case s.Note == "":
		s.Note = words
	default:
		s.Note += ", " + words
	}
}
