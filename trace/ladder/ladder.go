// Package ladder draws one TCP connection, seen from both ends, as a ladder of
// text: a column of states for each host, an arrow for each segment, broken
// where a segment was lost, double where it was a retransmission.
//
//	           alice         │                                        │ bob
//	0.000000   SYN-SENT      │── S 0:0(0) win 65535 <mss 1460> ──────▶│ SYN-RECEIVED
//	0.010000   ESTABLISHED   │◀───── S. 0:0(0) ack 1 win 65535 ───────│
//
// A Builder makes the steps from the trace events of both hosts; an Observer
// makes them from packets captured at one place. Draw is a pure function from
// steps to lines.
package ladder

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// Side is one of the two hosts.
type Side uint8

// The sides.
const (
	Left Side = iota
	Right
)

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// Unknown is the state of a host that nothing is known about; its column stays
// empty.
const Unknown uint8 = 0xff

// Form says how much of a segment's way a Step stands for.
type Form uint8

// The forms of steps.
const (
	// Whole: the segment left From and arrived at the other side, or was lost.
	Whole Form = iota
	// Departure: it left; its arrival is a later step of its own, because
	// something in between matters to the order, or is not known.
	Departure
	// Arrival: it arrived at the side opposite to From; see Departure.
	Arrival
	// Local: no segment; something happened at From, as Note says.
	Local
)

// Step is one row of a ladder.
type Step struct {
	At      mono.Time // when it happened: of a Whole or Departure, when the segment left
	Arrived mono.Time // when the segment arrived; 0 if it did not or that is not known
	From    Side
	Form    Form

	Flags      wire.TCPFlags
	Seq, Ack   uint32 // relative to the first sequence numbers, unless asked otherwise
	Len        uint32 // payload bytes
	Window     uint32 // bytes, scaled
	MSS        uint16 // option of a SYN; 0: none
	Cut        uint16 // bytes per wire segment of a super-segment; 0 for an ordinary one
	NSACK      uint8  // blocks in SACK
	SACK       [trace.MaxSACK][2]uint32
	Why        trace.Why
	Lost       bool
	Retransmit bool // it carries sequence numbers that were sent before

	States [2]uint8 // of Left and Right after the step, as numbered by trace.StateName
	Note   string   // words to add; printed without control characters
}

// setSACK takes over SACK blocks, whose numbers count from base.
func (s *Step) setSACK(blocks [][2]uint32, base uint32) {
	s.NSACK = uint8(len(blocks))
	for i, b := range blocks {
		s.SACK[i] = [2]uint32{b[0] - base, b[1] - base}
	}
}

// ordinary reports whether a step is one of the many of a transfer in which
// nothing goes wrong, given the states before it.
func (s *Step) ordinary(before [2]uint8) bool {
	return s.Form == Whole && !s.Lost && !s.Retransmit && s.Note == "" && s.Why != trace.WhyTailLossProbe &&
		s.Flags&^wire.FlagPSH == wire.FlagACK && s.States == before
}

// The widths of Options, in characters.
const (
	MinWidth     = 60
	DefaultWidth = 80
	MaxWidth     = 500
)

// Options choose how a ladder looks. The zero Options are usable.
type Options struct {
	// Width is that of a line: 0 means DefaultWidth, others are brought into
	// [MinWidth, MaxWidth].
	Width int
	// Names head the columns; empty ones are "left" and "right".
	Names [2]string
	// Origin is the instant printed as 0; 0 means that of the first step.
	Origin mono.Time
	// ASCII restricts drawing to 7-bit characters.
	ASCII bool
	// Color adds ANSI escape sequences, which do not count for Width.
	Color bool
	// Fold draws a run of more than Fold ordinary steps (data and ACKs that
	// arrive and change no state) as its first, its last and one line for all
	// between. 0 draws everything; values below 3 count as 3.
	Fold int
}

// Draw returns the ladder's lines, without ends of line: a head with the names,
// and one line per step.
func Draw(steps []Step, o Options) []string {
	if o.Origin == 0 && len(steps) > 0 {
		o.Origin = steps[0].At
	}
	d := NewDrawer(o)
	lines := make([]string, 0, len(steps)+1)
	lines = append(lines, d.Head())
	for i := 0; i < len(steps); {
		n := 0
		if o.Fold > 0 {
			n = run(steps[i:], d.states)
		}
		if n <= max(3, o.Fold) {
			lines = append(lines, d.Step(&steps[i]))
			i++
			continue
		}
		lines = append(lines, d.Step(&steps[i]), d.Folded(steps[i+1:i+n-1]), d.Step(&steps[i+n-1]))
		i += n
	}
	return lines
}

// run returns how many ordinary steps there are at the beginning of steps. The
// first SACK blocks begin a run of their own, so that they are seen.
func run(steps []Step, before [2]uint8) int {
	sack := false
	for i := range steps {
		s := &steps[i]
		if !s.ordinary(before) || i > 0 && s.NSACK > 0 && !sack {
			return i
		}
		sack = sack || s.NSACK > 0
	}
	return len(steps)
}
