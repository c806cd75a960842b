package ladder

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// flight is a segment of the random transfers.
type flight struct {
	sent, due mono.Time
	lost      bool
	ev        trace.Event
}

// Whatever a network loses, delays or reorders, each segment is drawn with its
// own fate: what arrived is not lost, and the other way round.
func TestEverySegmentGetsItsFate(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var b Builder
		flights := randomTransfer(rnd)
		var arrivals []flight
		for _, f := range flights {
			b.Add(Left, &f.ev)
			if !f.lost {
				arrivals = append(arrivals, f)
			}
		}
		for len(arrivals) > 0 {
			first := 0
			for i := range arrivals {
				if arrivals[i].due < arrivals[first].due {
					first = i
				}
			}
			ev := arrivals[first].ev
			ev.At, ev.Kind, ev.Why = arrivals[first].due, trace.SegmentIn, 0
			b.Add(Right, &ev)
			arrivals = append(arrivals[:first], arrivals[first+1:]...)
		}
		// The receiver goes on, so that the last ones are not merely under way.
		b.Add(Right, &trace.Event{At: ms(1e6), Kind: trace.Congestion})
		checkFates(t, seed, flights, b.Steps())
		if t.Failed() {
			return
		}
	}
}

// randomTransfer sends data and sends again what was lost, over a wire of 5 to
// 6 ms; a retransmission leaves 20 ms or more after the segment before.
func randomTransfer(rnd *rand.Rand) (flights []flight) {
	now := ms(0)
	seq := rnd.Uint32()
	send := func(seq uint32, n uint32, why trace.Why) bool {
		lost := rnd.IntN(4) == 0
		flights = append(flights, flight{
			sent: now, due: now.Add(5*time.Millisecond + time.Duration(rnd.IntN(1_000_000))), lost: lost,
			ev: trace.Event{At: now, Kind: trace.SegmentOut, Flags: ack, Seq: seq, Len: n, Why: why},
		})
		return lost
	}
	for range 3 + rnd.IntN(60) {
		n := uint32(1 + rnd.IntN(3000))
		now = now.Add(time.Duration(rnd.IntN(2_000_000)))
		lost := send(seq, n, trace.WhyNewData)
		for lost || rnd.IntN(10) == 0 {
			now = now.Add(20*time.Millisecond + time.Duration(rnd.IntN(2_000_000)))
			lost = send(seq, n, trace.WhyRetransmitTimeout)
		}
		seq += n
	}
	return flights
}

func checkFates(t *testing.T, seed uint64, flights []flight, steps []Step) {
	t.Helper()
	var got []Step
	for _, s := range steps {
		if s.Form != Local {
			got = append(got, s)
		}
	}
	if len(got) != len(flights) {
		t.Errorf("seed %d: %d steps for %d segments", seed, len(got), len(flights))
		return
	}
	for i, f := range flights {
		s := got[i]
		again := f.ev.Why == trace.WhyRetransmitTimeout
		if s.At != f.sent || s.Len != f.ev.Len || s.Lost != f.lost || s.Retransmit != again || s.Form != Whole || !f.lost && s.Arrived != f.due {
			t.Errorf("seed %d, segment %d of %d: drawn %+v, was sent %v, due %v, lost %v, again %v", seed, i, len(flights), s, f.sent, f.due, f.lost, again)
		}
	}
}

// Clocks that do not begin together are brought together by Shift.
func TestShift(t *testing.T) {
	p := newPlay()
	p.handshake()
	var b Builder
	b.Shift(Right, -5*time.Second)
	for _, ev := range p.b.events[Left] {
		b.Add(Left, &ev)
	}
	for _, ev := range p.b.events[Right] {
		ev.At = ev.At.Add(5 * time.Second)
		b.Add(Right, &ev)
	}
	want, got := Draw(p.b.Steps(), Options{}), Draw(b.Steps(), Options{})
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// With the events of one side, nothing is known to be lost.
func TestOneSideAlone(t *testing.T) {
	p := newPlay()
	p.handshake()
	p.transfer()
	for side := Left; side <= Right; side++ {
		var b Builder
		for _, ev := range p.b.events[side] {
			b.Add(side, &ev)
		}
		segments, again := 0, 0
		for _, s := range b.Steps() {
			if s.Lost || s.Form != Whole && s.Form != Local || s.States[side.Other()] != Unknown {
				t.Errorf("side %d: %+v", side, s)
			}
			if s.Form == Whole {
				segments++
			}
			if s.Retransmit {
				again++
			}
		}
		want, wantAgain := 14, 1
		if side == Right {
			want, wantAgain = 13, 1 // the lost one is unknown there
		}
		if segments != want || again != wantAgain {
			t.Errorf("side %d: %d segments, %d again; want %d and %d", side, segments, again, want, wantAgain)
		}
	}
}

// A Builder keeps so many events and says how many it did not keep.
func TestBuilderIsBounded(t *testing.T) {
	var b Builder
	sink := b.Sink(Left)
	for i := range uint32(MaxEvents + 10) {
		sink.Trace(&trace.Event{At: mono.Start.Add(time.Duration(i)), Kind: trace.SegmentOut, Seq: i, Len: 1, Flags: ack})
	}
	steps := b.Steps()
	if len(b.events[Left]) != MaxEvents || !strings.HasPrefix(steps[len(steps)-1].Note, "10 more events") {
		t.Errorf("%d events kept, last step: %+v", len(b.events[Left]), steps[len(steps)-1])
	}
}

// checkLines verifies what every drawing must keep: the width, the style, the
// rails in their columns, and nothing that a terminal would act upon.
func checkLines(t *testing.T, lines []string, o Options) {
	t.Helper()
	d := NewDrawer(o)
	left := d.time + stateWidth + 2
	for _, line := range lines {
		r := []rune(line)
		if len(r) > d.o.Width {
			t.Errorf("%d columns of %d: %q", len(r), d.o.Width, line)
		}
		if len(r) <= left+d.way+1 || string(r[left]) != d.g.rail || string(r[left+d.way+1]) != d.g.rail {
			t.Errorf("a rail is not in its column: %q", line)
		}
		for _, c := range r {
			if c < ' ' || c == 0x7f || c >= 0x80 && (c < 0xa0 || o.ASCII) {
				t.Errorf("character %q in %q", c, line)
			}
		}
	}
}

func TestEveryWidth(t *testing.T) {
	for _, s := range stories {
		p := newPlay()
		s.tell(p)
		steps := p.b.Steps()
		for i := range steps {
			if steps[i].Form == Local {
				steps[i].Note = "\x1b[31mred\n\u202e" + strings.Repeat("long ", 100)
			}
		}
		for w := 0; w < 130; w++ {
			for _, ascii := range []bool{false, true} {
				o := Options{Width: w, ASCII: ascii, Names: [2]string{"a host with a very long name", "\xffbell\a"}}
				checkLines(t, Draw(steps, o), o)
			}
		}
	}
	o := Options{Width: MaxWidth + 1}
	checkLines(t, Draw(nil, o), o)
}

// Any events, in any order, are drawn in lines that keep their form.
func FuzzBuilder(f *testing.F) {
	f.Add([]byte{}, uint8(80))
	for _, s := range stories {
		p := newPlay()
		s.tell(p)
		var raw []byte
		for side := Left; side <= Right; side++ {
			for i := range p.b.events[side] {
				raw = encode(raw, side, &p.b.events[side][i])
			}
		}
		f.Add(raw, uint8(60))
	}
	f.Fuzz(func(t *testing.T, raw []byte, w uint8) {
		var b Builder
		for len(raw) >= eventSize && len(b.events[0])+len(b.events[1]) < 300 {
			side, ev := decode(raw)
			b.Add(side, &ev)
			raw = raw[eventSize:]
		}
		steps := b.Steps()
		for _, ascii := range []bool{false, true} {
			o := Options{Width: int(w), ASCII: ascii, Fold: int(w) % 5}
			checkLines(t, Draw(steps, o), o)
		}
	})
}

// eventSize is how many bytes encode makes of an event.
const eventSize = 20

// encode squeezes an event for the corpus; times are in steps of 1 ms.
func encode(b []byte, side Side, ev *trace.Event) []byte {
	b = append(b, byte(side)|byte(ev.Kind)<<1, byte(ev.Why), ev.From, ev.To, byte(ev.Flags), byte(ev.Segs))
	b = binary.LittleEndian.AppendUint16(b, uint16(ev.At.Sub(mono.Start)/time.Millisecond))
	b = binary.LittleEndian.AppendUint32(b, ev.Seq)
	b = binary.LittleEndian.AppendUint32(b, ev.Ack)
	return binary.LittleEndian.AppendUint32(b, ev.Len)
}

func decode(b []byte) (Side, trace.Event) {
	return Side(b[0] & 1), trace.Event{
		Kind: trace.Kind(b[0] >> 1), Why: trace.Why(b[1]), From: b[2], To: b[3],
		Flags: wire.TCPFlags(b[4]), Segs: uint16(b[5]), MSS: uint16(b[5]) * 7,
		At:  mono.Start.Add(time.Duration(binary.LittleEndian.Uint16(b[6:])) * time.Millisecond),
		Seq: binary.LittleEndian.Uint32(b[8:]), Ack: binary.LittleEndian.Uint32(b[12:]), Len: binary.LittleEndian.Uint32(b[16:]),
	}
}

func BenchmarkBuilder(b *testing.B) {
	flights := randomTransfer(rand.New(rand.NewPCG(1, 1)))
	var base Builder
	for i := 0; i < 10_000; i++ {
		ev := flights[i%len(flights)].ev
		ev.At, ev.Seq, ev.Len = ms(float64(i)/10), uint32(i)*1000, 1000
		base.Add(Left, &ev)
		ev.Kind, ev.At = trace.SegmentIn, ev.At.Add(5*time.Millisecond)
		base.Add(Right, &ev)
	}
	b.ReportAllocs()
	for b.Loop() {
		base.Steps()
	}
}
