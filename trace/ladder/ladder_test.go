package ladder

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden from what is drawn")

const (
	fin = wire.FlagFIN
	syn = wire.FlagSYN
	rst = wire.FlagRST
	psh = wire.FlagPSH
	ack = wire.FlagACK
)

// play writes down what two hosts do, with 10 ms between them.
type play struct {
	b     Builder
	delay time.Duration
	isn   [2]uint32
}

func newPlay() *play {
	return &play{delay: 10 * time.Millisecond, isn: [2]uint32{4294967290, 7000}}
}

func ms(n float64) mono.Time { return mono.Start.Add(time.Duration(n * float64(time.Millisecond))) }

func (p *play) state(at mono.Time, side Side, from, to uint8, why trace.Why) {
	p.b.Add(side, &trace.Event{At: at, Kind: trace.StateChange, From: from, To: to, Why: why})
}

// seg is a segment with numbers relative to the first ones.
type seg struct {
	flags  wire.TCPFlags
	seq, n uint32
	ack    uint32
	segs   uint16
	why    trace.Why
}

func (p *play) event(kind trace.Kind, at mono.Time, side, from Side, s seg) *trace.Event {
	ev := &trace.Event{At: at, Kind: kind, Why: s.why, Flags: s.flags, Seq: p.isn[from] + s.seq, Len: s.n, Window: 65535, Segs: s.segs}
	if s.flags&ack != 0 {
		ev.Ack = p.isn[from.Other()] + s.ack
	}
	if s.flags&syn != 0 || s.segs > 1 {
		ev.MSS = 1000
	}
	if kind != trace.SegmentOut {
		ev.Why = trace.WhyNone
	}
	p.b.Add(side, ev)
	return ev
}

// lose sends a segment that does not arrive.
func (p *play) lose(at mono.Time, from Side, s seg) { p.event(trace.SegmentOut, at, from, from, s) }

// recv is the arrival of a segment.
func (p *play) recv(at mono.Time, side Side, s seg) {
	p.event(trace.SegmentIn, at, side, side.Other(), s)
}

func (p *play) handshake() {
	p.state(ms(0), Left, 0, 2, 0)
	p.lose(ms(0), Left, seg{flags: syn, why: trace.WhyHandshake})
	p.recv(ms(10), Right, seg{flags: syn})
	p.state(ms(10), Right, 1, 3, 0)
	p.lose(ms(10), Right, seg{flags: syn | ack, ack: 1, why: trace.WhyHandshake})
	p.recv(ms(20), Left, seg{flags: syn | ack, ack: 1})
	p.state(ms(20), Left, 2, 4, 0)
	p.lose(ms(20), Left, seg{flags: ack, seq: 1, ack: 1, why: trace.WhyHandshake})
	p.recv(ms(30), Right, seg{flags: ack, seq: 1, ack: 1})
	p.state(ms(30), Right, 3, 4, 0)
}

// transfer is data of which the second segment is lost, found missing by three
// duplicate ACKs and sent again.
func (p *play) transfer() {
	for i := range uint32(5) {
		s := seg{flags: ack, seq: 1 + 1000*i, n: 1000, ack: 1, why: trace.WhyNewData}
		p.lose(ms(30+float64(i)), Left, s)
		if i == 1 {
			continue
		}
		p.recv(ms(40+float64(i)), Right, s)
		a := seg{flags: ack, seq: 1, ack: 1001, why: trace.WhyDuplicateACK}
		p.lose(ms(40+float64(i)), Right, a)
	}
	for i := range 5 {
		if i != 1 {
			p.recv(ms(50+float64(i)), Left, seg{flags: ack, seq: 1, ack: 1001})
		}
	}
	p.b.Add(Left, &trace.Event{At: ms(54), Kind: trace.Congestion, Why: trace.WhyRecoveryEntered, Cwnd: 3500, SSThresh: 3500})
	again := seg{flags: ack, seq: 1001, n: 1000, ack: 1, why: trace.WhyFastRetransmit}
	p.lose(ms(54), Left, again)
	p.recv(ms(64), Right, again)
	p.lose(ms(64), Right, seg{flags: ack, seq: 1, ack: 5001, why: trace.WhyACK})
	p.recv(ms(74), Left, seg{flags: ack, seq: 1, ack: 5001})
}

func (p *play) close() {
	p.state(ms(100), Left, 4, 5, 0)
	p.lose(ms(100), Left, seg{flags: fin | ack, seq: 5001, ack: 1, why: trace.WhyFIN})
	p.recv(ms(110), Right, seg{flags: fin | ack, seq: 5001, ack: 1})
	p.state(ms(110), Right, 4, 7, 0)
	p.lose(ms(110), Right, seg{flags: ack, seq: 1, ack: 5002, why: trace.WhyACK})
	p.recv(ms(120), Left, seg{flags: ack, seq: 1, ack: 5002})
	p.state(ms(120), Left, 5, 6, 0)
	p.state(ms(150), Right, 7, 9, 0)
	p.lose(ms(150), Right, seg{flags: fin | ack, seq: 1, ack: 5002, why: trace.WhyFIN})
	p.recv(ms(160), Left, seg{flags: fin | ack, seq: 1, ack: 5002})
	p.state(ms(160), Left, 6, 10, 0)
	p.lose(ms(160), Left, seg{flags: ack, seq: 5002, ack: 2, why: trace.WhyACK})
	p.recv(ms(170), Right, seg{flags: ack, seq: 5002, ack: 2})
	p.state(ms(170), Right, 9, 0, 0)
	p.b.Add(Left, &trace.Event{At: ms(60160), Kind: trace.Timer, Why: trace.WhyTimeWait})
	p.state(ms(60160), Left, 10, 0, trace.WhyTimeWait)
}

// blind is a handshake of which the right host tells nothing but its end.
func (p *play) blind() {
	p.handshake()
	p.b.events[Right] = nil
	p.recv(ms(30), Right, seg{flags: ack, seq: 1, ack: 1})
	p.state(ms(30), Right, 0, 4, 0)
	p.lose(ms(31), Left, seg{flags: ack, seq: 1, n: 5, ack: 1})
	p.recv(ms(41), Right, seg{flags: ack, seq: 1, n: 5, ack: 1})
}

// simultaneous close: the FINs cross. RFC 9293 figure 13.
func (p *play) crossing() {
	for side := Left; side <= Right; side++ {
		p.state(ms(100), side, 4, 5, 0)
		p.lose(ms(100), side, seg{flags: fin | ack, seq: 1, ack: 1, why: trace.WhyFIN})
		p.recv(ms(110), side, seg{flags: fin | ack, seq: 1, ack: 1})
		p.state(ms(110), side, 5, 8, 0)
		p.lose(ms(110), side, seg{flags: ack, seq: 2, ack: 2, why: trace.WhyACK})
		p.recv(ms(120), side, seg{flags: ack, seq: 2, ack: 2})
		p.state(ms(120), side, 8, 10, 0)
	}
}

// super is a super-segment that arrives in pieces, of which one is missing, and
// one that arrives glued to the next.
func (p *play) super() {
	p.lose(ms(0), Left, seg{flags: ack | psh, seq: 1, n: 5000, ack: 1, segs: 5, why: trace.WhyNewData})
	p.recv(ms(10), Right, seg{flags: ack, seq: 1, n: 2000, ack: 1})
	p.recv(ms(10), Right, seg{flags: ack | psh, seq: 3001, n: 2000, ack: 1})
	p.lose(ms(20), Left, seg{flags: ack, seq: 2001, n: 500, ack: 1, why: trace.WhyRetransmitTimeout})
	p.lose(ms(20), Left, seg{flags: ack, seq: 2501, n: 500, ack: 1, why: trace.WhyRetransmitTimeout})
	p.recv(ms(30), Right, seg{flags: ack, seq: 2001, n: 1000, ack: 1, segs: 2})
	p.recv(ms(40), Right, seg{flags: rst, seq: 9001})
	p.b.Add(Right, &trace.Event{At: ms(40), Kind: trace.Dropped, Why: trace.WhyUnacceptable, Flags: rst, Seq: p.isn[Left] + 9001, Window: 65535})
	p.recv(ms(41), Right, seg{flags: rst | ack, seq: 5001, ack: 1})
	p.state(ms(41), Right, 4, 0, trace.WhyPeerReset)
	p.b.Add(Right, &trace.Event{At: ms(41), Kind: trace.Closed, Why: trace.WhyPeerReset})
	p.lose(ms(50), Left, seg{flags: ack, seq: 5001, n: 10, ack: 1, why: trace.WhyNewData})
}

// stories are the plays of the golden files.
var stories = []struct {
	name string
	tell func(p *play)
	o    Options
}{
	{"handshake", func(p *play) { p.handshake() }, Options{}},
	{"handshake-ascii-60", func(p *play) { p.handshake() }, Options{ASCII: true, Width: 60, Names: [2]string{"alice", "bob"}}},
	{"blind", func(p *play) { p.blind() }, Options{ASCII: true}},
	{"loss", func(p *play) { p.handshake(); p.transfer() }, Options{}},
	{"loss-ascii-100", func(p *play) { p.handshake(); p.transfer() }, Options{ASCII: true, Width: 100}},
	{"close", func(p *play) { p.handshake(); p.transfer(); p.close() }, Options{Fold: 3, Names: [2]string{"client", "server"}}},
	{"crossing", func(p *play) { p.crossing() }, Options{}},
	{"super", func(p *play) { p.super() }, Options{}},
	{"color", func(p *play) { p.handshake(); p.transfer() }, Options{Color: true, Width: 60}},
}

func TestGolden(t *testing.T) {
	for _, s := range stories {
		p := newPlay()
		s.tell(p)
		got := strings.Join(Draw(p.b.Steps(), s.o), "\n") + "\n"
		file := filepath.Join("testdata", s.name+".golden")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s (go test -update rewrites it):\n got:\n%swant:\n%s", s.name, got, want)
		}
	}
}
