package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// pair joins an active and a passive TCB by a wire of fixed delay that may
// lose segments, so that whole exchanges can be tested without an engine.
type pair struct {
	t     *testing.T
	now   mono.Time
	a, b  TCB
	half  *HalfOpen
	cfg   *Config
	wires [2][]flying // to a, to b
	delay time.Duration
	lose  func() bool
}

type flying struct {
	at  mono.Time
	seg Segment
}

func newPair(t *testing.T, cfg *Config) *pair {
	p := &pair{t: t, now: mono.Start, cfg: cfg, delay: 5 * time.Millisecond}
	p.a.Open(p.now, cfg, &Params{ID: 1, ISS: 0xfffffff0, MSS: 1460})
	return p
}

func (p *pair) emit() {
	var s Segment
	send := func(to int) {
		if p.lose != nil && p.lose() {
			s.Data.Release()
			return
		}
		p.wires[to] = append(p.wires[to], flying{p.now.Add(p.delay), s})
	}
	for p.a.Emit(p.now, &s, 65000) {
		send(1)
	}
	if p.b.cfg != nil {
		for p.b.Emit(p.now, &s, 65000) {
			send(0)
		}
	}
}

// step advances to the next event and reports whether there was one.
func (p *pair) step() bool {
	p.emit()
	next := mono.Earlier(p.a.Deadline(), p.b.Deadline())
	if p.half != nil {
		next = mono.Earlier(next, p.half.Deadline)
	}
	for _, w := range p.wires {
		if len(w) > 0 {
			next = mono.Earlier(next, w[0].at)
		}
	}
	if next == 0 {
		return false
	}
	p.now = max(p.now, next)
	for len(p.wires[1]) > 0 && p.wires[1][0].at <= p.now {
		f := p.wires[1][0]
		p.wires[1] = p.wires[1][1:]
		p.toB(&f.seg)
	}
	for len(p.wires[0]) > 0 && p.wires[0][0].at <= p.now {
		f := p.wires[0][0]
		p.wires[0] = p.wires[0][1:]
		if p.a.Arrive(p.now, &f.seg) {
			p.t.Fatalf("a wants a reset for %v", &f.seg)
		}
	}
	p.a.Advance(p.now)
	if p.b.cfg != nil {
		p.b.Advance(p.now)
	}
	if h := p.half; h != nil {
		if resend, _ := h.Advance(p.now, p.cfg); resend {
			p.synack()
		}
	}
	return true
}

func (p *pair) synack() {
	var s Segment
	p.half.SYNACK(p.now, p.cfg, &s)
	if p.lose == nil || !p.lose() {
		p.wires[0] = append(p.wires[0], flying{p.now.Add(p.delay), s})
	}
}

func (p *pair) toB(s *Segment) {
	if p.b.cfg != nil {
		p.b.Arrive(p.now, s)
		return
	}
	if p.half == nil {
		if ArriveListen(s) == ListenSYN {
			h := NewHalfOpen(p.now, p.cfg, s, &Params{ID: 2, ISS: 77, MSS: 1460})
			p.half = &h
			p.synack()
		}
		return
	}
	switch p.half.Arrive(p.now, p.cfg, s) {
	case HalfOpenSYNACK:
		p.synack()
	case HalfOpenEstablished:
		p.b.Accept(p.now, p.cfg, p.half)
		p.half = nil
		p.b.Arrive(p.now, s)
	}
}

// transfer sends data from a to b and closes both ends, and checks what came.
func (p *pair) transfer(data []byte) {
	var pool pkt.Pool
	rest := data
	var got []byte
	closed := false
	for i := 0; i < 2_000_000; i++ {
		for len(rest) > 0 && p.a.Room() > 0 {
			n := min(len(rest), p.a.Room(), 50000)
			c := pool.Chunk(n)
			copy(c.Bytes(), rest[:n])
			p.a.Queue(p.now, c.Ref(c.Bytes()[:n]))
			rest = rest[n:]
		}
		if len(rest) == 0 && !closed && p.a.State() == Established {
			p.a.Close(p.now)
			closed = true
		}
		var refs [16]pkt.Ref
		for p.b.cfg != nil {
			n := p.b.Take(1<<20, refs[:])
			for _, r := range refs[:n] {
				got = append(got, r.B...)
				r.Release()
			}
			if n == 0 {
				break
			}
			p.b.Consumed()
		}
		if p.b.cfg != nil && p.b.EOF() && p.b.State() == CloseWait {
			p.b.Close(p.now)
		}
		if p.a.State() == Closed && p.b.State() == Closed {
			break
		}
		if !p.step() {
			p.t.Fatalf("nothing left to do: a %v, b %v, %d of %d bytes", p.a.State(), p.b.State(), len(got), len(data))
		}
	}
	if p.a.Err() != ReasonNone || p.b.Err() != ReasonNone {
		p.t.Fatalf("ended with %v and %v, %d of %d bytes", p.a.Err(), p.b.Err(), len(got), len(data))
	}
	if !bytes.Equal(got, data) {
		p.t.Fatalf("%d bytes arrived of %d, or not the same", len(got), len(data))
	}
	for w := range p.wires {
		for i := range p.wires[w] {
			p.wires[w][i].seg.Data.Release()
		}
	}
	if n, _ := pool.Outstanding(); n != 0 {
		p.t.Fatalf("%d chunks leaked", n)
	}
}

func TestPairTransfersInBothProfiles(t *testing.T) {
	for _, profile := range []Profile{ProfileLinux, ProfileRFC} {
		for _, loss := range []int{0, 1, 5, 20} {
			rnd := rand.New(rand.NewPCG(1, uint64(loss)))
			data := make([]byte, 300_000)
			for i := range data {
				data[i] = byte(rnd.Uint32())
			}
			p := newPair(t, DefaultConfig(profile))
			if loss > 0 {
				p.lose = func() bool { return rnd.IntN(100) < loss }
			}
			p.transfer(data)
			t.Logf("profile %d, loss %d %%: %v, %d retransmissions", profile, loss, p.now, p.a.retransmits)
		}
	}
}

func TestSizeOfTCB(t *testing.T) {
	if s := unsafe.Sizeof(TCB{}); s > 480 {
		t.Errorf("a TCB takes %d bytes", s)
	}
	t.Logf("TCB %d, HalfOpen %d, TimeWaitRecord %d, Segment %d, options %d bytes", unsafe.Sizeof(TCB{}),
		unsafe.Sizeof(HalfOpen{}), unsafe.Sizeof(TimeWaitRecord{}), unsafe.Sizeof(Segment{}), unsafe.Sizeof(wire.TCPOptions{}))
}
