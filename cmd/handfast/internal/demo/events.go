package demo

import (
	"slices"
	"sync"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/trace/ladder"
	"github.com/handfast/handfast/wire"
)

// What is kept of each host's events: the first ones, for the ladders of the
// handshake and of the first loss, and the last ones, for that of the close.
const (
	keepFirst = 4096
	keepLast  = 8192
)

// recorder is the trace.Sink of one host. It is called with the host's lock
// held, so it copies and returns.
type recorder struct {
	changed chan<- struct{} // told after a change of state

	mu      sync.Mutex
	first   []trace.Event
	last    *trace.Ring
	state   tcp.State
	reached [tcp.NumStates]bool
	iss     uint32 // our SYN's
	max     uint32 // behind the highest sequence number sent
	cwnd    uint32
	pacing  uint64 // octets a second
	sent    Sent
}

// Sent is what a host sent, in segments as they were on the wire.
type Sent struct {
	Segments uint64 `json:"segments"`
	// Of them, sent again, by the reason.
	Fast       uint64 `json:"fast_retransmit"`  // SACK blocks or duplicate ACKs showed the loss, RFC 8985, RFC 6675, RFC 6582
	Timeout    uint64 `json:"timeout"`          // of retransmission, RFC 6298
	Probe      uint64 `json:"tail_loss_probe"`  // RFC 8985 §7
	Reordering uint64 `json:"reordering_timer"` // of RACK, RFC 8985 §6.2
	Other      uint64 `json:"other"`
	// Needless is how many retransmissions the receiver reported as
	// duplicates, RFC 2883.
	Needless uint64 `json:"needless"`
	// WithSACK is how many segments arrived with SACK blocks, RFC 2018.
	WithSACK uint64 `json:"acks_with_sack"`
}

// Again is how many segments were sent again, for whatever reason.
func (s *Sent) Again() uint64 { return s.Fast + s.Timeout + s.Probe + s.Reordering + s.Other }

// add adds what another host sent.
func (s *Sent) add(x *Sent) {
	s.Segments += x.Segments
	s.Fast += x.Fast
	s.Timeout += x.Timeout
	s.Probe += x.Probe
	s.Reordering += x.Reordering
	s.Other += x.Other
	s.Needless += x.Needless
	s.WithSACK += x.WithSACK
}

func newRecorder(changed chan<- struct{}) *recorder {
	return &recorder{changed: changed, last: trace.NewRing(keepLast)}
}

// Trace notes an event.
func (r *recorder) Trace(ev *trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.first) < keepFirst {
		r.first = append(r.first, *ev)
	}
	r.last.Trace(ev)
	switch ev.Kind {
	case trace.SegmentOut:
		r.out(ev)
	case trace.SegmentIn:
		r.in(ev)
	case trace.StateChange:
		r.state = tcp.State(ev.To)
		r.reached[r.state] = true
		select {
		case r.changed <- struct{}{}:
		default: // the one who waits has not looked yet, and will see this too
		}
	}
}

func (r *recorder) out(ev *trace.Event) {
	if ev.Flags&wire.FlagSYN != 0 {
		r.iss, r.max = ev.Seq, ev.Seq
	}
	n := uint64(max(1, ev.Segs))
	r.sent.Segments += n
	end := ev.Seq + ev.Len
	switch again := int32(r.max-end) >= 0 && ev.Len > 0; {
	case ev.Why == trace.WhyTailLossProbe && again:
		r.sent.Probe += n
	case ev.Why == trace.WhyFastRetransmit || ev.Why == trace.WhyPartialACK:
		r.sent.Fast += n
	case ev.Why == trace.WhyRetransmitTimeout:
		r.sent.Timeout += n
	case ev.Why == trace.WhyReordering:
		r.sent.Reordering += n
	case ev.Why.Retransmission():
		r.sent.Other += n
	}
	if int32(end-r.max) > 0 {
		r.max = end
	}
	if ev.Cwnd != 0 {
		r.cwnd, r.pacing = ev.Cwnd, ev.Pacing
	}
}

func (r *recorder) in(ev *trace.Event) {
	if ev.SACKBlocks == 0 {
		return
	}
	r.sent.WithSACK++
	first := ev.SACK[0]
	below := int32(first[1]-ev.Ack) <= 0
	within := ev.SACKBlocks > 1 && int32(first[0]-ev.SACK[1][0]) >= 0 && int32(ev.SACK[1][1]-first[1]) >= 0
	if below || within { // RFC 2883 §4
		r.sent.Needless++
	}
}

// has reports whether the connection was in a state.
func (r *recorder) has(s tcp.State) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reached[s]
}

// now returns the connection's state.
func (r *recorder) now() tcp.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// counts returns what was sent so far, the congestion window in bytes and the
// pacing rate in bytes a second.
func (r *recorder) counts() (sent Sent, cwnd uint32, pacing uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent, r.cwnd, r.pacing
}

// beginning returns the steps of the first events.
func (n *network) beginning() []ladder.Step {
	var b ladder.Builder
	n.shift(&b)
	for i, r := range n.events {
		r.mu.Lock()
		for k := range r.first {
			b.Add(ladder.Side(i), &r.first[k])
		}
		r.mu.Unlock()
	}
	return b.Steps()
}

// upToEstablished cuts off what comes after the handshake.
func upToEstablished(steps []ladder.Step) []ladder.Step {
	for i := range steps {
		if steps[i].States == [2]uint8{uint8(tcp.Established), uint8(tcp.Established)} {
			return steps[:i+1]
		}
	}
	return steps
}

// firstRepair returns the steps from the first loss of a piece of the file up
// to the ACK of its retransmission; none, if there was no loss early enough for
// all of that to be kept.
func firstRepair(steps []ladder.Step) []ladder.Step {
	data := func(s *ladder.Step) bool { return s.From == ladder.Right && s.Len > 0 && s.Form != ladder.Arrival }
	lost, again := -1, -1
	for i := range steps {
		s := &steps[i]
		switch {
		case lost < 0:
			if data(s) && s.Lost {
				lost = i
			}
		case again < 0:
			if data(s) && s.Retransmit && !s.Lost && s.Seq-steps[lost].Seq < steps[lost].Len {
				again = i
			}
		case s.From == ladder.Left && s.Form != ladder.Local && s.Ack-1-steps[lost].Seq < 1<<31 && !s.Lost:
			return steps[lost : i+1]
		}
	}
	return nil
}

// shift tells a Builder how the clocks of the two Hosts stand to each other.
func (n *network) shift(b *ladder.Builder) {
	b.Shift(ladder.Right, n.b.Time(mono.Start).Sub(n.a.Time(mono.Start)))
}

// closing returns the steps of the close: from the last segments before the
// first FIN to the end.
func (n *network) closing() []ladder.Step {
	var iss [2]uint32
	b := ladder.Builder{Bases: &iss} // the SYNs are long gone
	n.shift(&b)
	for i, r := range n.events {
		r.mu.Lock()
		iss[i] = r.iss
		for _, ev := range r.last.Snapshot(nil) {
			b.Add(ladder.Side(i), &ev)
		}
		r.mu.Unlock()
	}
	return fromFIN(b.Steps())
}

// beforeFIN is how many steps before the first FIN are kept, to see what it
// comes after.
const beforeFIN = 2

// fromFIN cuts off what happened before the close. A CLOSE that came earlier
// than its FIN, because data was still queued, is kept.
func fromFIN(steps []ladder.Step) []ladder.Step {
	fin := slices.IndexFunc(steps, func(s ladder.Step) bool { return s.Flags&wire.FlagFIN != 0 })
	start := max(0, fin-beforeFIN)
	for i := start; i > 0; i-- {
		if !closes(steps[i-1].States, steps[i].States) {
			continue
		}
		if i == start {
			return steps[start-1:] // so that the state before is seen too
		}
		closed := steps[i]
		closed.Form, closed.Note = ladder.Local, "CLOSE; data is still queued"
		before := closed
		before.Note, before.States = "", steps[i-1].States
		return append([]ladder.Step{before, closed}, steps[start:]...)
	}
	return steps[start:]
}

// closes reports whether one side has called CLOSE between two steps.
func closes(before, after [2]uint8) bool {
	for i := range after {
		if s := tcp.State(after[i]); before[i] != after[i] && (s == tcp.FinWait1 || s == tcp.LastAck) {
			return true
		}
	}
	return false
}
