package tcp

import (
	"math/rand/v2"
	"testing"

	"github.com/handfast/handfast/pkt"
)

// writer appends octets as a Conn of the library does: small writes share a
// chunk, and some bytes belong to the garbage collector.
type writer struct {
	pool *pkt.Pool
	rnd  *rand.Rand
	tail *pkt.Chunk
	used int
	next Seq
}

func (w *writer) ref(n int) pkt.Ref {
	var b []byte
	var r pkt.Ref
	if w.rnd.IntN(5) == 0 {
		b = make([]byte, n)
		r = pkt.Bytes(b)
	} else {
		if w.tail == nil || w.tail.Size()-w.used < n {
			w.close()
			w.tail, w.used = w.pool.Chunk(pkt.Small), 0
		}
		b = w.tail.Bytes()[w.used : w.used+n]
		w.used += n
		w.tail.Retain()
		r = w.tail.Ref(b)
	}
	for i := range b {
		b[i] = octetAt(w.next.Add(i))
	}
	w.next = w.next.Add(n)
	return r
}

func (w *writer) close() {
	if w.tail != nil {
		w.tail.Release()
		w.tail = nil
	}
}

// Whatever is written, looked at and acknowledged: a view has the octets of its
// numbers, as many as span says, nothing is lost and no chunk leaks. The number
// space wraps in the middle.
func TestSendQueueAgainstOctets(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(11, seed))
		var pool pkt.Pool
		var q sndQueue
		start := Seq(1<<32 - 5000)
		q.init(start)
		w := writer{pool: &pool, rnd: rnd, next: start}
		for step := range 500 {
			switch rnd.IntN(10) {
			case 0, 1, 2:
				q.push(w.ref(rnd.IntN(1 << rnd.IntN(12))))
			case 3:
				q.ackTo(start.Add(rnd.IntN(q.len() + 1)))
				start = q.start
			case 4:
				q.trim()
			default:
				if q.len() > 0 {
					at := q.start.Add(rnd.IntN(q.len()))
					viewIsRight(t, &q, at, 1+rnd.IntN(q.end.Sub(at)))
				}
			}
			if q.start != start || q.end != w.next || q.len() != w.next.Sub(start) {
				t.Fatalf("seed %d step %d: [%d, %d) length %d, want [%d, %d)", seed, step, q.start, q.end, q.len(), start, w.next)
			}
		}
		for q.len() > 0 { // all of it, in order, as Emit takes it
			n := viewIsRight(t, &q, q.start, q.len())
			q.ackTo(q.start.Add(n))
		}
		q.push(w.ref(100))
		q.release()
		w.close()
		if n, _ := pool.Outstanding(); n != 0 || q.len() != 0 {
			t.Fatalf("seed %d: %d chunks leaked, %d octets left", seed, n, q.len())
		}
	}
}

// viewIsRight checks a view of up to n octets from at on, and returns how many
// it has.
func viewIsRight(t *testing.T, q *sndQueue, at Seq, n int) int {
	t.Helper()
	span := q.span(at, n)
	v := q.view(at, n)
	defer v.Release()
	got := v.Len()
	if got != span || got < 1 || got > n {
		t.Fatalf("a view of %d at %d has %d octets, span says %d", n, at, got, span)
	}
	for _, r := range v {
		for _, b := range r.B {
			if b != octetAt(at) {
				t.Fatalf("octet %d is %#02x, want %#02x", at, b, octetAt(at))
			}
			at++
		}
	}
	return got
}

// Small writes into one chunk are one piece, so that they leave as full
// segments and cost no book-keeping each.
func TestSmallWritesShareAPiece(t *testing.T) {
	var pool pkt.Pool
	var q sndQueue
	q.init(0)
	c := pool.Chunk(pkt.Large)
	for i := range 10_000 {
		c.Retain()
		q.push(c.Ref(c.Bytes()[i : i+1]))
	}
	if len(q.pieces) != 1 || q.span(0, 20_000) != 10_000 {
		t.Errorf("%d pieces, span %d", len(q.pieces), q.span(0, 20_000))
	}
	q.release()
	c.Release()
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}

// The queue's book-keeping is reused while octets come and go, however many.
func TestSendQueueBookkeepingIsBounded(t *testing.T) {
	var q sndQueue
	q.init(0)
	b := make([]byte, 10)
	for range 100_000 {
		q.push(pkt.Bytes(b))
		q.push(pkt.Bytes(b))
		if q.len() > 2000 {
			q.ackTo(q.start + 1005)
		}
	}
	if cap(q.pieces) > 2048 {
		t.Errorf("room for %d pieces for %d octets", cap(q.pieces), q.len())
	}
}

// One piece in, one out, with a thousand waiting: the cost of a piece must not
// grow with their number.
func BenchmarkSendQueueDeep(b *testing.B) {
	var q sndQueue
	q.init(0)
	buf := make([]byte, 10)
	for len(q.pieces) < 1000 || len(q.pieces) < cap(q.pieces) { // just full
		q.push(pkt.Bytes(buf))
	}
	for b.Loop() {
		q.ackTo(q.start + 10)
		q.push(pkt.Bytes(buf))
	}
}
