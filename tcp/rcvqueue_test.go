package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/handfast/handfast/pkt"
)

// Whatever is pushed, looked at and taken, in whatever portions: the octets
// come out in order, once, and the charge is that of the chunks held.
func TestReceiveQueueAgainstOctets(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(13, seed))
		var pool pkt.Pool
		var q rcvQueue
		in, out := Seq(1<<32-3000), Seq(1<<32-3000)
		for step := range 500 {
			switch rnd.IntN(4) {
			case 0, 1:
				n := 1 + rnd.IntN(1<<rnd.IntN(12))
				v := payload(&pool, rnd, in, n)
				q.push(v[0])
				q.push(v[1])
				in = in.Add(n)
			case 2:
				buf := make([]byte, rnd.IntN(3000))
				n := q.peek(buf)
				if n != min(len(buf), in.Sub(out)) {
					t.Fatalf("seed %d step %d: peek of %d has %d", seed, step, len(buf), n)
				}
				for i, b := range buf[:n] {
					if b != octetAt(out.Add(i)) {
						t.Fatalf("seed %d step %d: octet %d is wrong in peek", seed, step, out.Add(i))
					}
				}
			default:
				var refs [2]pkt.Ref
				k, bytes := q.take(rnd.IntN(3000), refs[:])
				for _, r := range refs[:k] {
					for _, b := range r.B {
						if b != octetAt(out) {
							t.Fatalf("seed %d step %d: octet %d is wrong", seed, step, out)
						}
						out++
					}
					bytes -= len(r.B)
					r.Release()
				}
				if bytes != 0 {
					t.Fatalf("seed %d step %d: take counts %d too many", seed, step, bytes)
				}
				q.trim()
			}
			charged := 0
			for _, r := range q.refs[q.head:] {
				charged += r.Charge()
			}
			if int(q.n) != in.Sub(out) || int(q.charged) != charged {
				t.Fatalf("seed %d step %d: %d octets charged %d, want %d charged %d", seed, step, q.n, q.charged, in.Sub(out), charged)
			}
		}
		q.release()
		if n, _ := pool.Outstanding(); n != 0 {
			t.Fatalf("seed %d: %d chunks leaked", seed, n)
		}
	}
}

// Segments of one octet share a chunk: a peer cannot pin one with each.
func TestTinySegmentsShareAChunk(t *testing.T) {
	var pool pkt.Pool
	var q rcvQueue
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 10_000 {
		v := payload(&pool, rnd, Seq(i), 1)
		q.push(v[0])
	}
	if q.charged > 12*pkt.Small {
		t.Errorf("10000 octets are charged %d", q.charged)
	}
	takeAll(t, &q, 0)
	q.release()
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}

// A chunk that somebody else reads as well is never written to.
func TestSharedChunksAreNotAbsorbedInto(t *testing.T) {
	var pool pkt.Pool
	var q rcvQueue
	c := pool.Chunk(pkt.Small)
	spare := c.Bytes()[100:200]
	for i := range spare {
		spare[i] = 7
	}
	c.Retain() // the other reader
	q.push(c.Ref(c.Bytes()[:100]))
	d := pool.Chunk(pkt.Small)
	q.push(d.Ref(d.Bytes()[:10]))
	if len(q.refs) != 2 {
		t.Errorf("%d pieces", len(q.refs))
	}
	for _, b := range spare {
		if b != 7 {
			t.Fatal("bytes behind a shared piece were overwritten")
		}
	}
	q.release()
	c.Release()
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}

// One segment in, one out, with a thousand waiting: the cost of a segment must
// not grow with their number.
func BenchmarkReceiveQueueDeep(b *testing.B) {
	var q rcvQueue
	buf := make([]byte, 1000)
	for len(q.refs) < 1000 || len(q.refs) < cap(q.refs) { // just full
		q.push(pkt.Bytes(buf))
	}
	var refs [1]pkt.Ref
	for b.Loop() {
		q.take(1000, refs[:])
		q.push(pkt.Bytes(buf))
	}
}
