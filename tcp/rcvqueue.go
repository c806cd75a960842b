package tcp

import (
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
