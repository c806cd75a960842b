package tcp

import (
	"slices"

	"github.com/handfast/handfast/pkt"
)

// oooQueue holds what arrived out of order, as ranges in ascending order that
// neither touch nor overlap. They lie in blocks of some dozens, so that finding
// one is a search by halves and adding or removing one moves little, wherever it
// is. How many there can be follows from what they keep alive, and has a bound
// of its own.
type oooQueue struct {
	blocks  [][]oooRange // none is empty
	count   int          // ranges in all
	fin     Seq          // where the peer's FIN is, when hasFIN
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

// oooBlock is how many ranges a block has when it is split in two.
const oooBlock = 64

// place is where a range is: the block and the index in it. The place behind
// the last range is the end.
type place struct{ b, i int }

func (q *oooQueue) at(p place) *oooRange { return &q.blocks[p.b][p.i] }

func (q *oooQueue) isEnd(p place) bool { return p.b == len(q.blocks) }

func (q *oooQueue) next(p place) place {
	if p.i++; p.i == len(q.blocks[p.b]) {
		return place{p.b + 1, 0}
	}
	return p
}

// endsAfter returns the place of the first range that ends after seq, or, with
// touching, at it.
func (q *oooQueue) endsAfter(seq Seq, touching bool) place {
	before := func(r *oooRange) bool { return r.end.Less(seq) || !touching && r.end == seq }
	lo, hi := 0, len(q.blocks)
	for lo < hi {
		if m := (lo + hi) / 2; before(&q.blocks[m][len(q.blocks[m])-1]) {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == len(q.blocks) {
		return place{lo, 0}
	}
	b := q.blocks[lo]
	i, j := 0, len(b)
	for i < j {
		if m := (i + j) / 2; before(&b[m]) {
			i = m + 1
		} else {
			j = m
		}
	}
	return place{lo, i}
}

// put inserts r at p and returns where it is then.
func (q *oooQueue) put(p place, r oooRange) place {
	q.count++
	if q.isEnd(p) {
		if p.b == 0 {
			q.blocks = append(q.blocks, append(make([]oooRange, 0, 4), r))
			return p
		}
		p = place{p.b - 1, len(q.blocks[p.b-1])}
	}
	if b := q.blocks[p.b]; len(b) >= oooBlock {
		half := slices.Clone(b[oooBlock/2:])
		clear(b[oooBlock/2:])
		q.blocks[p.b] = b[:oooBlock/2]
		q.blocks = slices.Insert(q.blocks, p.b+1, half)
		if p.i > oooBlock/2 {
			p = place{p.b + 1, p.i - oooBlock/2}
		}
	}
	q.blocks[p.b] = slices.Insert(q.blocks[p.b], p.i, r)
	return p
}

// remove takes the range at p out. Its references belong to the caller.
func (q *oooQueue) remove(p place) {
	q.count--
	if len(q.blocks[p.b]) == 1 {
		q.blocks = slices.Delete(q.blocks, p.b, p.b+1)
		return
	}
	q.blocks[p.b] = slices.Delete(q.blocks[p.b], p.i, p.i+1)
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
		p := q.endsAfter(seq, true)
		if !q.isEnd(p) && q.at(p).start.LessEq(seq) && seq.Less(q.at(p).end) {
			n := min(q.at(p).end.Sub(seq), v.Len())
			v.TrimFront(n)
			seq = seq.Add(n)
			continue
		}
		n := v.Len() // the new bytes up to the next range
		next := p
		if !q.isEnd(p) && q.at(p).start.LessEq(seq) {
			next = q.next(p)
		}
		if !q.isEnd(next) {
			n = min(n, q.at(next).start.Sub(seq))
		}
		q.add(p, seq, cut(&v, n), n)
		seq = seq.Add(n)
	}
	q.touch(first)
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

// add puts n bytes at seq, which no range holds; p is the first range that ends
// at or after seq. It merges ranges that now touch.
func (q *oooQueue) add(p place, seq Seq, v pkt.View, n int) {
	if q.isEnd(p) || q.at(p).end != seq {
		if q.count >= maxOutOfOrder {
			q.dropLast() // the newest counts more than the farthest, RFC 2018 §8
			p = q.endsAfter(seq, true)
		}
		p = q.put(p, oooRange{start: seq, end: seq})
	}
	r := q.at(p)
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
	if p = q.next(p); q.isEnd(p) || q.at(p).start != r.end {
		return
	}
	next := q.at(p)
	if len(r.refs) < len(next.refs) { // the shorter one moves
		r.refs = slices.Insert(next.refs, 0, r.refs...)
	} else {
		r.refs = append(r.refs, next.refs...)
	}
	r.end = next.end
	q.remove(p)
}

// touch makes the range that holds seq the most recent one.
func (q *oooQueue) touch(seq Seq) {
	p, ok := q.find(seq)
	if !ok {
		return
	}
	q.forget(q.at(p).start, q.at(p).end)
	n := min(int(q.nrecent)+1, len(q.recent))
	copy(q.recent[1:n], q.recent[:])
	q.recent[0], q.nrecent = seq, uint8(n)
}

// forget takes what lies in [from, to) out of the recent ones.
func (q *oooQueue) forget(from, to Seq) {
	n := uint8(0)
	for _, s := range q.recent[:q.nrecent] {
		if s.Less(from) || to.LessEq(s) {
			q.recent[n] = s
			n++
		}
	}
	q.nrecent = n
}

// find returns the place of the range that holds seq.
func (q *oooQueue) find(seq Seq) (p place, ok bool) {
	p = q.endsAfter(seq, false)
	return p, !q.isEnd(p) && q.at(p).start.LessEq(seq)
}

// sackBlocks fills dst with SACK blocks, most recently changed first, then the
// others in ascending order, and returns how many. RFC 2018 §4.
func (q *oooQueue) sackBlocks(dst [][2]uint32) int {
	dst = dst[:min(len(dst), len(q.recent))]
	n := 0
	put := func(r *oooRange) {
		for _, b := range dst[:n] {
			if b[0] == uint32(r.start) {
				return
			}
		}
		dst[n] = [2]uint32{uint32(r.start), uint32(r.end)}
		n++
	}
	for _, s := range q.recent[:q.nrecent] {
		if p, ok := q.find(s); ok && n < len(dst) {
			put(q.at(p))
		}
	}
	for p := (place{}); n < len(dst) && !q.isEnd(p); p = q.next(p) {
		put(q.at(p))
	}
	return n
}

// pull moves the bytes that continue at nxt to the in-order queue and returns
// the new RCV.NXT.
func (q *oooQueue) pull(nxt Seq, to *rcvQueue) Seq {
	for q.count > 0 && q.at(place{}).start.LessEq(nxt) {
		r := q.at(place{})
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
		q.forget(r.start, r.end)
		q.remove(place{})
	}
	return nxt
}

// bytes is how much payload is held.
func (q *oooQueue) bytes() (n uint32) {
	for p := (place{}); !q.isEnd(p); p = q.next(p) {
		n += uint32(q.at(p).end - q.at(p).start)
	}
	return n
}

// empty reports that neither bytes nor a FIN are held.
func (q *oooQueue) empty() bool { return q.count == 0 && !q.hasFIN }

// dropLast gives up the range farthest from SND.UNA's side, which the peer
// will have to send again: what to do when memory runs out (T-RES-06).
func (q *oooQueue) dropLast() {
	b := len(q.blocks) - 1
	p := place{b, len(q.blocks[b]) - 1}
	r := q.at(p)
	for _, ref := range r.refs {
		q.charged -= uint32(ref.Charge())
		ref.Release()
	}
	q.forget(r.start, r.end)
	q.remove(p)
}

// release drops everything.
func (q *oooQueue) release() {
	for q.count > 0 {
		q.dropLast()
	}
	q.nrecent = 0
}
