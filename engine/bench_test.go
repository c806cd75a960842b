package engine

import (
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
)

func benchPair(b *testing.B, gso int) (*pair, *Listener) {
	p := newPair(b, Config{}, gso)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
	if err != nil {
		b.Fatal(err)
	}
	return p, l
}

// One end writes and the other reads, in wire segments and in super-segments.
func BenchmarkBulk(b *testing.B) {
	for name, gso := range map[string]int{"segments": 0, "super-segments": 65535} {
		b.Run(name, func(b *testing.B) {
			p, l := benchPair(b, gso)
			ca, cb := p.connect(b, l)
			var refs [64]pkt.Ref
			some := make([]*Conn, 8)
			b.SetBytes(64 << 10)
			b.ReportAllocs()
			for b.Loop() {
				p.write(p.a, ca, 64<<10)
				p.step()
				p.read(cb, refs[:])
				p.step()
				drainReady(p.a, some)
				drainReady(p.b, some)
				p.advance(time.Millisecond) // pacing needs time
			}
		})
	}
}

// A request of one byte and its response, both ends.
func BenchmarkRequestResponse(b *testing.B) {
	p, l := benchPair(b, 0)
	ca, cb := p.connect(b, l)
	var refs [64]pkt.Ref
	some := make([]*Conn, 8)
	b.ReportAllocs()
	for b.Loop() {
		p.write(p.a, ca, 1)
		p.step()
		p.read(cb, refs[:])
		p.write(p.b, cb, 1)
		p.step()
		p.read(ca, refs[:])
		drainReady(p.a, some)
		drainReady(p.b, some)
		p.advance(time.Microsecond)
	}
}

// Setting a connection up and closing it, both ends: 10 µs is the aim.
func BenchmarkConnect(b *testing.B) {
	p, l := benchPair(b, 0)
	some := make([]*Conn, 8)
	b.ReportAllocs()
	for b.Loop() {
		ca, cb := p.connect(b, l)
		ca.Close(p.now.now)
		p.step()
		cb.Close(p.now.now)
		p.step()
		drainReady(p.a, some)
		drainReady(p.b, some)
		p.advance(100 * time.Microsecond)
	}
}

// A SYN that nobody asked for, with the answer, when cookies answer.
func BenchmarkSYNFlood(b *testing.B) {
	h, _ := fullListener(b)
	h.check = false
	h.Discard(true)
	r := newTestRand(1)
	raw := make([][]byte, 1000)
	for i := range raw {
		raw[i] = spoofed(r)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h.Inject(raw[i%len(raw)])
		i++
	}
}
