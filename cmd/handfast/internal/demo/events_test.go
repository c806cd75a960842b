package demo

import (
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/trace/ladder"
	"github.com/handfast/handfast/wire"
)

// at makes a step in which both sides are in some states.
func at(a, b tcp.State, s ladder.Step) ladder.Step {
	s.States = [2]uint8{uint8(a), uint8(b)}
	return s
}

// ack and data are steps of a transfer; the FIN ends it.
var (
	ack  = ladder.Step{From: ladder.Left, Flags: wire.FlagACK, Ack: 101}
	data = ladder.Step{From: ladder.Right, Flags: wire.FlagACK, Seq: 1, Len: 100}
	fin  = ladder.Step{From: ladder.Right, Flags: wire.FlagACK | wire.FlagFIN, Seq: 101}
)

// The close begins two steps before the FIN. A CLOSE long before it is kept as
// a step of its own, with the state that it ends.
func TestFromFIN(t *testing.T) {
	const est, fw1 = tcp.Established, tcp.FinWait1
	early := []ladder.Step{at(est, est, data), at(est, fw1, ack), at(est, fw1, data), at(est, fw1, ack), at(est, fw1, data), at(tcp.CloseWait, fw1, fin)}
	late := []ladder.Step{at(est, est, data), at(est, est, ack), at(est, est, data), at(tcp.CloseWait, fw1, fin)}
	just := []ladder.Step{at(est, est, data), at(est, est, ack), at(est, fw1, data), at(est, fw1, ack), at(tcp.CloseWait, fw1, fin)}
	for _, x := range []struct {
		name  string
		steps []ladder.Step
		want  int
		first tcp.State // of B
		note  string    // of the second step
	}{
		{"CLOSE before the last data", early, 5, est, "CLOSE; data is still queued"},
		{"CLOSE with the FIN", late, 3, est, ""},
		{"CLOSE two steps before the FIN", just, 4, est, ""},
		{"no FIN", late[:2], 2, est, ""},
		{"nothing", nil, 0, 0, ""},
	} {
		got := fromFIN(x.steps)
		if len(got) != x.want {
			t.Errorf("%s: %d steps, want %d: %+v", x.name, len(got), x.want, got)
			continue
		}
		if len(got) > 1 && (tcp.State(got[0].States[1]) != x.first || got[1].Note != x.note) {
			t.Errorf("%s: begins with %+v", x.name, got[:2])
		}
	}
}

// A repair is shown whole or not at all.
func TestFirstRepair(t *testing.T) {
	lost, again, old := data, data, ack
	lost.Lost = true
	again.Retransmit = true
	old.Ack = 1
	whole := []ladder.Step{ack, lost, old, again, old, ack, data}
	if got := firstRepair(whole); len(got) != 5 || !got[0].Lost || got[4].Ack != 101 {
		t.Errorf("%+v", got)
	}
	for name, steps := range map[string][]ladder.Step{
		"nothing": nil, "no loss": {ack, data, ack}, "not sent again": whole[:3], "not acknowledged": whole[:5],
		"lost ACK": {{From: ladder.Left, Flags: wire.FlagACK, Lost: true}, data, ack},
	} {
		if got := firstRepair(steps); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A recorder counts what is on the wire, keeps the first events and the last
// ones, and never waits for whoever listens.
func TestRecorder(t *testing.T) {
	changed := make(chan struct{}, 1)
	r := newRecorder(changed)
	seq := uint32(1<<32 - 1000)
	out := func(why trace.Why, segs uint16) {
		n := uint32(segs) * 1000
		if why == trace.WhyACK {
			n = 0
		}
		ev := trace.Event{At: mono.Start, Kind: trace.SegmentOut, Why: why, Segs: segs, Seq: seq, Len: n, Cwnd: 5000, Pacing: 70}
		switch {
		case why == trace.WhyNewData || why == trace.WhyTailLossProbe && segs == 2:
			seq += n
		case n > 0:
			ev.Seq -= n
		}
		r.Trace(&ev)
	}
	r.Trace(&trace.Event{Kind: trace.SegmentOut, Flags: wire.FlagSYN, Why: trace.WhyHandshake, Seq: seq - 1})
	out(trace.WhyNewData, 3)
	out(trace.WhyFastRetransmit, 1)
	out(trace.WhyPartialACK, 1)
	out(trace.WhyRetransmitTimeout, 2)
	out(trace.WhyReordering, 1)
	out(trace.WhyPathMTU, 3)
	out(trace.WhyTailLossProbe, 1) // again
	out(trace.WhyTailLossProbe, 2) // new data
	for i, sack := range [][2]uint32{{7000, 8000}, {100, 200}, {7200, 7300}} {
		ev := trace.Event{Kind: trace.SegmentIn, Ack: 5000, SACKBlocks: 1, SACK: [trace.MaxSACK][2]uint32{sack, {7000, 8000}}}
		if i == 2 {
			ev.SACKBlocks = 2
		}
		r.Trace(&ev)
	}
	for range 3 { // nobody reads the channel
		r.Trace(&trace.Event{Kind: trace.StateChange, To: uint8(tcp.SynSent)})
	}
	for range keepFirst + keepLast {
		out(trace.WhyACK, 1)
	}
	sent, cwnd, pacing := r.counts()
	want := Sent{Segments: 15 + keepFirst + keepLast, Fast: 2, Timeout: 2, Probe: 1, Reordering: 1, Other: 3, Needless: 2, WithSACK: 3}
	if sent != want || sent.Again() != 9 || cwnd != 5000 || pacing != 70 {
		t.Errorf("%+v, want %+v; cwnd %d, pacing %d", sent, want, cwnd, pacing)
	}
	sum := want
	if sum.add(&want); sum.Again() != 18 || sum.Segments != 2*want.Segments || sum.Needless != 4 || sum.WithSACK != 6 {
		t.Errorf("the sum of two is %+v", sum)
	}
	if len(r.first) != keepFirst || r.last.Cap() != keepLast || !r.has(tcp.SynSent) || r.has(tcp.Established) {
		t.Errorf("%d first events, the last %d", len(r.first), r.last.Cap())
	}
}
