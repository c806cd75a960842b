package netem

import (
	"math/rand/v2"
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
)

// Packets leave the heap by time, and among equals by the order of sending.
func TestFlightOrder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		var f flight
		sent := map[*pkt.Packet]carried{}
		for i := range 500 {
			p := new(pkt.Packet)
			at := mono.Start + mono.Time(r.IntN(50))
			f.push(at, p)
			sent[p] = carried{at: at, seq: uint64(i)}
		}
		var last carried
		for i := range 500 {
			next := f.next()
			c := sent[f.pop()]
			if c.at != next || i > 0 && !last.before(&c) {
				t.Fatalf("seed %d: %v (packet %d) after %v (packet %d)", seed, c.at, c.seq, last.at, last.seq)
			}
			last = c
		}
		if f.len() != 0 || f.next() != 0 {
			t.Fatalf("seed %d: %d left", seed, f.len())
		}
	}
}

// round sends a batch and takes it out at the other end.
func round(a, b *Device, pool *pkt.Pool, batch []*pkt.Packet) int {
	for i := range batch {
		c := pool.Chunk(1500)
		p := pool.Packet()
		p.SetFrame(c.Ref(c.Bytes()[:1500]), 40)
		batch[i] = p
	}
	a.Write(batch)
	n, _, _ := b.in.takeDue(batch, 1<<62)
	for _, p := range batch[:n] {
		p.Release()
	}
	return n
}

func TestCarryingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	var pool pkt.Pool
	a, b := Pair(&pool, netem.Config{}, netem.Config{}, 1, Options{})
	batch := make([]*pkt.Packet, 16)
	if n := testing.AllocsPerRun(1000, func() { round(a, b, &pool, batch) }); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
	finish(t, &pool, a, b)
}

func BenchmarkCarry(b *testing.B) {
	var pool pkt.Pool
	left, right := Pair(&pool, netem.Config{}, netem.Config{}, 1, Options{})
	batch := make([]*pkt.Packet, 16)
	b.SetBytes(16 * 1500)
	b.ReportAllocs()
	for b.Loop() {
		if n := round(left, right, &pool, batch); n != 16 {
			b.Fatalf("%d of 16 arrived", n)
		}
	}
}
