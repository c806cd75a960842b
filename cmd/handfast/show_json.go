package main

import (
	"encoding/json"
	"io"

	"github.com/handfast/handfast/cmd/handfast/internal/demo"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/trace/ladder"
)

// jsonShow prints one object per line: what the ladders would show, the
// progress, and last the result: an event "done" or "failed".
type jsonShow struct {
	enc *json.Encoder
	o   *demo.Options
}

func newJSONShow(w io.Writer, o *demo.Options) *jsonShow { return &jsonShow{json.NewEncoder(w), o} }

// jsonStep is a step of a ladder. Sequence numbers count from each side's SYN.
type jsonStep struct {
	Event      string      `json:"event"` // "handshake", "repair" or "close"
	At         int64       `json:"at_ns"` // since the host's clock began
	From       string      `json:"from"`
	Flags      string      `json:"flags,omitempty"`
	Seq        uint32      `json:"seq"`
	Ack        uint32      `json:"ack"`
	Len        uint32      `json:"len"`
	SACK       [][2]uint32 `json:"sack,omitempty"`
	Why        string      `json:"why,omitempty"`
	Lost       bool        `json:"lost,omitempty"`
	Retransmit bool        `json:"retransmission,omitempty"`
	StateA     string      `json:"state_a"`
	StateB     string      `json:"state_b"`
}

func (j *jsonShow) steps(event string, steps []ladder.Step) {
	for i := range steps {
		s := &steps[i]
		x := jsonStep{Event: event, At: int64(s.At), From: hostNames[s.From], Seq: s.Seq, Ack: s.Ack, Len: s.Len,
			Lost: s.Lost, Retransmit: s.Retransmit, StateA: trace.StateName(s.States[0]), StateB: trace.StateName(s.States[1])}
		if s.Form != ladder.Local {
			x.Flags, x.SACK = s.Flags.String(), s.SACK[:s.NSACK]
		}
		if s.Why != trace.WhyNone {
			x.Why = s.Why.String()
		}
		j.enc.Encode(x)
	}
}

func (j *jsonShow) Connected(steps []ladder.Step) { j.steps("handshake", steps) }

func (j *jsonShow) Repaired(steps []ladder.Step) { j.steps("repair", steps) }

func (j *jsonShow) Closed(steps []ladder.Step) { j.steps("close", steps) }

func (j *jsonShow) Progress(p demo.Progress) {
	j.enc.Encode(struct {
		Event           string  `json:"event"`
		Bytes           int64   `json:"bytes"`
		Total           int64   `json:"total"`
		Seconds         float64 `json:"seconds"`
		BitsPerSecond   int64   `json:"bits_per_second"`
		Cwnd            uint32  `json:"cwnd"`
		Pacing          int64   `json:"pacing_bits_per_second"`
		Retransmissions uint64  `json:"retransmissions"`
	}{"progress", p.Bytes, p.Total, p.Elapsed.Seconds(), p.BitsPerSecond, p.Cwnd, p.Pacing, p.Retransmissions})
}

func (j *jsonShow) begin() {
	j.enc.Encode(struct {
		Event string       `json:"event"`
		File  string       `json:"file"`
		Total int64        `json:"total"`
		Wire  netem.Config `json:"wire"`
		MTU   int          `json:"mtu"`
		IPv6  bool         `json:"ipv6"`
		Seed  uint64       `json:"seed"`
		CC    string       `json:"congestion"`
	}{"begin", j.o.Source.String(), j.o.Source.Size, j.o.Wire, j.o.MTU, j.o.IPv6, j.o.Seed, j.o.Congestion})
}

func (j *jsonShow) stop(err error) {
	j.enc.Encode(struct {
		Event string `json:"event"`
		Error string `json:"error"`
	}{"failed", err.Error()})
}

func (j *jsonShow) end(r *result) {
	j.enc.Encode(struct {
		Event string `json:"event"`
		*result
	}{"done", r})
}
