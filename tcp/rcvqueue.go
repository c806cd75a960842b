package tcp

import (
	"slices"

	"github.com/handfast/handfast/pkt"
)

// rcvQueue holds bytes in order that the application has not taken yet, where
// the device put them.
type rcvQueue struct {
	refs    []pkt.Ref
	head    int
	n       uint32 // bytes
	charged uint32 // what the refs keep alive
}

// push appends a payload. One that is small for its buffer is copied behind
// its neighbour if there is room, so that a peer that sends tiny segments
// cannot pin a buffer with each.
func (q *rcvQueue) push(r pkt.Ref) {
	k := len(r.B)
	if k == 0 {
		r.Release()
		return
	}
	q.n += uint32(k)
	if n := len(q.refs); n > q.head && absorb(&q.refs[n-1], r) {
		return
	}
	if len(q.refs) == cap(q.refs) && q.head > len(q.refs)/2 {
		n := copy(q.refs, q.refs[q.head:])
		clear(q.refs[n:])
		q.refs, q.head = q.refs[:n], 0
	}
	q.charged += uint32(r.Charge())
	q.refs = append(q.refs, r)
}

// absorb copies r behind last and releases it, if r wastes most of its chunk
// and last alone owns one with room.
func absorb(last *pkt.Ref, r pkt.Ref) bool {
	if len(r.B)*4 > r.Charge() || !last.Exclusive() || cap(last.B)-len(last.B) < len(r.B) {
		return false
	}
	last.B = append(last.B, r.B...)
	r.Release()
	return true
}

// take moves up to max bytes to dst and returns how many refs it filled. The
// bytes now belong to the caller.
func (q *rcvQueue) take(max int, dst []pkt.Ref) (refs, bytes int) {
	for refs < len(dst) && max > 0 && q.head < len(q.refs) {
		r := &q.refs[q.head]
		k := len(r.B)
		if k > max {
			dst[refs] = r.Slice(0, max).Retain()
			charge := r.Charge()
			r.B = r.B[max:]
			q.charged -= uint32(charge - r.Charge())
			refs++
			bytes += max
			break
		}
		dst[refs] = *r
		q.charged -= uint32(r.Charge())
		*r = pkt.Ref{}
		q.head++
		refs++
		bytes += k
		max -= k
	}
	q.n -= uint32(bytes)
	q.shrink()
	return refs, bytes
}

// peek copies up to len(dst) bytes without taking them.
func (q *rcvQueue) peek(dst []byte) (n int) {
	for i := q.head; i < len(q.refs) && n < len(dst); i++ {
		n += copy(dst[n:], q.refs[i].B)
	}
	return n
}

func (q *rcvQueue) shrink() {
	if q.head == len(q.refs) {
		q.refs, q.head = q.refs[:0], 0
	}
}

// trim gives the bookkeeping of an empty queue back.
func (q *rcvQueue) trim() {
	if len(q.refs) == 0 && cap(q.refs) > keepPieces {
		q.refs = nil
	}
}

// release drops everything.
func (q *rcvQueue) release() {
	for ; q.head < len(q.refs); q.head++ {
		q.refs[q.head].Release()
	}
	*q = rcvQueue{}
}

// oooQueue holds what arrived out of order, as ranges in ascending order that
// neither touch nor overlap. Finding a place is a search by halves; the number
// of ranges is bounded.
type oooQueue struct {
	ranges  []oooRange
	fin     Seq // where the peer's FIN is, when hasFIN
	hasFIN  bool
	recent  [4]Seq // a byte in each of the ranges that changed last, newest first (RFC 2018 §4)
	nrecent uint8
	charged uint32
}

// oooRange is the bytes [start, end).
type oooRange struct {
	start, end Seq
	refs       []pkt.Ref
}

// insert adds bytes at seq, dropping what is there already, and takes the view
// over. The range that holds them is then the most recent one, even if nothing
// was new.
func (q *oooQueue) insert(seq Seq, v pkt.View) {
	if v.Len() == 0 { // a FIN alone may still hold its buffer
		v.Release()
		return
	}
	first := seq
	for v.Len() > 0 {
		i, _ := slices.BinarySearchFunc(q.ranges, seq, func(r oooRange, s Seq) int { return r.end.Sub(s) })
		// r is the first range that ends at or after seq.
		if i < len(q.ranges) && q.ranges[i].start.LessEq(seq) && seq.Less(q.ranges[i].end) {
			n := min(q.ranges[i].end.Sub(seq), v.Len())
			v.TrimFront(n)
			seq = seq.Add(n)
			continue
		}
		n := v.Len() // the new bytes up to the next range
		if j := q.next(i, seq); j < len(q.ranges) {
			n = min(n, q.ranges[j].start.Sub(seq))
		}
		q.add(i, seq, cut(&v, n), n)
		seq = seq.Add(n)
	}
	q.touch(first)
}

// next returns the index of the first range that starts after seq, given the
// first that ends at or after it.
func (q *oooQueue) next(i int, seq Seq) int {
	if i < len(q.ranges) && q.ranges[i].start.LessEq(seq) {
		return i + 1
	}
	return i
}

// cut splits the first n bytes off v.
func cut(v *pkt.View, n int) pkt.View {
	if n == v.Len() {
		return v.Move()
	}
	w := *v
	w.Retain()
	w.Truncate(n)
	v.TrimFront(n)
	return w
}

// add puts n bytes at seq, which no range holds; i is the first range that
// ends at or after seq. It merges ranges that now touch.
func (q *oooQueue) add(i int, seq Seq, v pkt.View, n int) {
	if i == len(q.ranges) || q.ranges[i].end != seq {
		if len(q.ranges) >= maxOutOfOrder {
			q.dropLast() // the newest counts more than the farthest, RFC 2018 §8
			i = min(i, len(q.ranges))
		}
		q.ranges = slices.Insert(q.ranges, i, oooRange{start: seq, end: seq})
	}
	r := &q.ranges[i]
	for _, ref := range v {
		if len(ref.B) == 0 {
			ref.Release()
			continue
		}
		if k := len(r.refs); k > 0 && absorb(&r.refs[k-1], ref) {
			continue
		}
		q.charged += uint32(ref.Charge())
		r.refs = append(r.refs, ref)
	}
	r.end = seq.Add(n)
	if i+1 < len(q.ranges) && q.ranges[i+1].start == r.end {
		next := &q.ranges[i+1]
		if len(r.refs) < len(next.refs) { // the shorter one moves
			r.refs = slices.Insert(next.refs, 0, r.refs...)
		} else {
			r.refs = append(r.refs, next.refs...)
		}
		r.end = next.end
		q.ranges = slices.Delete(q.ranges, i+1, i+2)
	}
}

// touch makes the range that holds seq the most recent one.
func (q *oooQueue) touch(seq Seq) {
	at := q.find(seq)
	k := 0
	keep := [4]Seq{seq}
	n := 1
	for k < int(q.nrecent) && n < len(keep) {
		if i := q.find(q.recent[k]); i >= 0 && i != at {
			keep[n] = q.recent[k]
			n++
		}
		k++
	}
	q.recent, q.nrecent = keep, uint8(n)
}

// find returns the index of the range that holds seq, or -1.
func (q *oooQueue) find(seq Seq) int {
	i, _ := slices.BinarySearchFunc(q.ranges, seq, func(r oooRange, s Seq) int {
		if r.end.LessEq(s) {
			return -1
		}
		return 1
	})
	if i < len(q.ranges) && q.ranges[i].start.LessEq(seq) {
		return i
	}
	return -1
}

// blocks fills dst with SACK blocks, most recently changed first, then the
// others in ascending order, and returns how many. RFC 2018 §4.
func (q *oooQueue) blocks(dst [][2]uint32) int {
	n := 0
	var used [4]int
	put := func(i int) {
		for _, u := range used[:n] {
			if u == i {
				return
			}
		}
		if n < len(dst) && n < len(used) {
			dst[n] = [2]uint32{uint32(q.ranges[i].start), uint32(q.ranges[i].end)}
			used[n] = i
			n++
		}
	}
	for _, s := range q.recent[:q.nrecent] {
		if i := q.find(s); i >= 0 {
			put(i)
		}
	}
	for i := 0; i < len(q.ranges) && n < len(dst) && n < len(used); i++ {
		put(i)
	}
	return n
}

// pull moves the bytes that continue at nxt to the in-order queue and returns
// the new RCV.NXT.
func (q *oooQueue) pull(nxt Seq, to *rcvQueue) Seq {
	n := 0
	for ; n < len(q.ranges) && q.ranges[n].start.LessEq(nxt); n++ {
		r := &q.ranges[n]
		skip := nxt.Sub(r.start)
		for _, ref := range r.refs {
			q.charged -= uint32(ref.Charge())
			if k := min(skip, len(ref.B)); k > 0 {
				ref.B = ref.B[k:]
				skip -= k
			}
			to.push(ref)
		}
		nxt = maxSeq(nxt, r.end)
	}
	q.ranges = slices.Delete(q.ranges, 0, n)
	return nxt
}

// bytes is how much payload is held.
func (q *oooQueue) bytes() (n uint32) {
	for i := range q.ranges {
		n += uint32(q.ranges[i].end - q.ranges[i].start)
	}
	return n
}

// dropLast gives up the range farthest from SND.UNA's side, which the peer
// will have to send again: what to do when memory runs out (T-RES-06).
func (q *oooQueue) dropLast() {
	i := len(q.ranges) - 1
	for _, ref := range q.ranges[i].refs {
		q.charged -= uint32(ref.Charge())
		ref.Release()
	}
	q.ranges = q.ranges[:i]
}

// release drops everything.
func (q *oooQueue) release() {
	for len(q.ranges) > 0 {
		q.dropLast()
	}
	q.nrecent = 0
}
