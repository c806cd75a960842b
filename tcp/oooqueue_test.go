package tcp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/handfast/handfast/pkt"
)

// oracle is the plain meaning of the receive queues: which octet is where.
type oracle map[Seq]byte

// octetAt is the value of the octet with a number, so that content needs no
// book-keeping of its own.
func octetAt(s Seq) byte { return byte(uint32(s) * 2654435761 >> 24) }

// payload returns the octets from seq on, as a device would deliver them: in a
// chunk, sometimes cut in two.
func payload(pool *pkt.Pool, rnd *rand.Rand, seq Seq, n int) pkt.View {
	piece := func(seq Seq, n int) pkt.Ref {
		c := pool.Chunk(n)
		b := c.Bytes()[:n]
		for i := range b {
			b[i] = octetAt(seq.Add(i))
		}
		return c.Ref(b)
	}
	if n > 1 && rnd.IntN(4) == 0 {
		k := 1 + rnd.IntN(n-1)
		return pkt.View{piece(seq, k), piece(seq.Add(k), n-k)}
	}
	return pkt.View{piece(seq, n)}
}

// list returns the ranges in their order.
func (q *oooQueue) list() (rs []oooRange) {
	for _, b := range q.blocks {
		rs = append(rs, b...)
	}
	return rs
}

// index returns which of list holds seq, or -1.
func (q *oooQueue) index(seq Seq) int {
	return slices.IndexFunc(q.list(), func(r oooRange) bool { return r.start.LessEq(seq) && seq.Less(r.end) })
}

// check compares the queue with the oracle, and its own sums with what it holds.
func (q *oooQueue) check(want oracle) error {
	n, charged := 0, 0
	ranges := q.list()
	for i := range ranges {
		r := &ranges[i]
		if p, ok := q.find(r.start); !ok || q.at(p).start != r.start {
			return fmt.Errorf("range %d at %d is not found", i, r.start)
		}
		if !r.start.Less(r.end) || i > 0 && !ranges[i-1].end.Less(r.start) {
			return fmt.Errorf("range %d is %d:%d, the one before ends at %d", i, r.start, r.end, ranges[max(0, i-1)].end)
		}
		at := r.start
		for _, ref := range r.refs {
			charged += ref.Charge()
			for _, b := range ref.B {
				if _, ok := want[at]; !ok || b != octetAt(at) {
					return fmt.Errorf("octet %d is %#02x, want %#02x (%v)", at, b, octetAt(at), ok)
				}
				at++
				n++
			}
		}
		if at != r.end {
			return fmt.Errorf("range %d is %d:%d and holds octets up to %d", i, r.start, r.end, at)
		}
	}
	switch {
	case n != len(want) || int(q.bytes()) != n:
		return fmt.Errorf("%d octets (%d by their sum), want %d", n, q.bytes(), len(want))
	case charged != int(q.charged):
		return fmt.Errorf("charged %d, holds %d", q.charged, charged)
	case len(ranges) > maxOutOfOrder, len(ranges) != q.count:
		return fmt.Errorf("%d ranges, %d by the count", len(ranges), q.count)
	}
	return nil
}

// Whatever arrives in whatever order: the queue holds each octet once, ranges
// neither touch nor overlap, what is pulled is what was put in, and no chunk is
// lost. The number space wraps in the middle.
func TestOutOfOrderQueueAgainstMap(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(7, seed))
		var pool pkt.Pool
		var q oooQueue
		var in rcvQueue
		want := oracle{}
		base := Seq(1<<32 - 3000)
		nxt := base
		for step := range 400 {
			switch rnd.IntN(12) {
			case 0: // what is missing at RCV.NXT comes
				n := 1 + rnd.IntN(300)
				v := payload(&pool, rnd, nxt, n)
				in.push(v[0])
				in.push(v[1])
				end := q.pull(nxt.Add(n), &in)
				for s := range want {
					if s.Less(end) {
						delete(want, s)
					}
				}
				nxt = end
			case 1:
				if q.count > 0 && rnd.IntN(4) == 0 {
					last := q.list()[q.count-1]
					for s := last.start; s != last.end; s++ {
						delete(want, s)
					}
					q.dropLast()
				}
			default:
				seq := nxt.Add(1 + rnd.IntN(4000))
				n := 1 + rnd.IntN(1<<rnd.IntN(11))
				q.insert(seq, payload(&pool, rnd, seq, n))
				for i := range n {
					want[seq.Add(i)] = 0
				}
				if at := q.index(seq); at < 0 || q.index(q.recent[0]) != at {
					t.Fatalf("seed %d step %d: the newest segment is not in the first block", seed, step)
				}
			}
			if err := q.check(want); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			checkBlocks(t, &q)
		}
		if int(in.n) != nxt.Sub(base) {
			t.Fatalf("seed %d: %d octets in order, RCV.NXT moved by %d", seed, in.n, nxt.Sub(base))
		}
		takeAll(t, &in, base)
		q.release()
		if n, _ := pool.Outstanding(); n != 0 {
			t.Fatalf("seed %d: %d chunks leaked", seed, n)
		}
	}
}

// takeAll empties a queue in odd portions and checks the octets.
func takeAll(t *testing.T, in *rcvQueue, at Seq) {
	t.Helper()
	var refs [3]pkt.Ref
	for size := 1; in.n > 0; size = size*2%997 + 1 {
		k, bytes := in.take(size, refs[:])
		for _, r := range refs[:k] {
			for _, b := range r.B {
				if b != octetAt(at) {
					t.Fatalf("octet %d is %#02x, want %#02x", at, b, octetAt(at))
				}
				at++
			}
			bytes -= len(r.B)
			r.Release()
		}
		if bytes != 0 || k == 0 {
			t.Fatalf("take of %d: %d refs, %d octets not in them", size, k, bytes)
		}
	}
	if in.charged != 0 {
		t.Fatalf("the empty queue is charged %d", in.charged)
	}
}

// checkBlocks demands that SACK blocks are whole ranges, each once.
func checkBlocks(t *testing.T, q *oooQueue) {
	t.Helper()
	var dst [4][2]uint32
	n := q.sackBlocks(dst[:])
	if n != min(4, q.count) {
		t.Fatalf("%d blocks of %d ranges", n, q.count)
	}
	for i, b := range dst[:n] {
		at := q.index(Seq(b[0]))
		if at < 0 || q.list()[at].start != Seq(b[0]) || q.list()[at].end != Seq(b[1]) {
			t.Fatalf("block %v is no range", b)
		}
		for _, other := range dst[:i] {
			if other == b {
				t.Fatalf("block %v is there twice", b)
			}
		}
	}
}

// A queue that is full gives the farthest range up for the newest, whether it
// lies before it or behind. RFC 2018 §8.
func TestOutOfOrderQueueIsBounded(t *testing.T) {
	var pool pkt.Pool
	var q oooQueue
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range maxOutOfOrder {
		q.insert(Seq(1000+10*i), payload(&pool, rnd, Seq(1000+10*i), 1))
	}
	last := Seq(1000 + 10*(maxOutOfOrder-1))
	for _, seq := range []Seq{500, last + 100, last - 5, 20_000_000} {
		q.insert(seq, payload(&pool, rnd, seq, 1))
		if _, ok := q.find(seq); q.count != maxOutOfOrder || !ok {
			t.Errorf("at %d: %d ranges, found %t", seq, q.count, ok)
		}
	}
	if _, ok := q.find(last); ok {
		t.Error("the farthest range was not given up")
	}
	q.insert(505, payload(&pool, rnd, 505, 20_000_000-505+10)) // one segment over all of them
	if q.count != 2 {
		t.Errorf("%d ranges after one segment over all but the first", q.count)
	}
	q.release()
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}
