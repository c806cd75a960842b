package tcp

import "github.com/handfast/handfast/pkt"

// sndQueue holds the bytes from SND.UNA on, by reference: in flight, then not
// yet sent. Chunks are given back as they are acknowledged; the bookkeeping
// stays while the connection is busy (Trim).
type sndQueue struct {
	pieces  []sndPiece // ring without wrap: head moves right, compacted on growth
	head    int
	cursor  int32  // piece of the last lookup: sending goes forward
	charged uint32 // what the pieces keep alive
	start   Seq    // first byte kept
	end     Seq    // after the last byte kept
}

// keepPieces is how many entries of bookkeeping the empty queue of an idle
// connection may keep, so that the next request allocates nothing.
const keepPieces = 4

// sndPiece is a run of bytes and the sequence number after it.
type sndPiece struct {
	ref pkt.Ref
	end Seq
}

func (q *sndQueue) init(at Seq) { q.start, q.end = at, at }

// len is the number of bytes kept.
func (q *sndQueue) len() int { return int(uint32(q.end - q.start)) }

// push appends bytes. If they continue the last piece in the same chunk, the
// piece just grows, so that small writes leave as full segments.
func (q *sndQueue) push(r pkt.Ref) {
	if len(r.B) == 0 {
		r.Release()
		return
	}
	q.end = q.end.Add(len(r.B))
	if n := len(q.pieces); n > q.head {
		last := &q.pieces[n-1]
		if k := len(last.ref.B); r.Chunk() != nil && last.ref.Chunk() == r.Chunk() && k < cap(last.ref.B) &&
			&last.ref.B[:k+1][k] == &r.B[0] {
			last.ref.B = last.ref.B[:k+len(r.B)]
			last.end = q.end
			r.Release() // the piece holds a reference already
			return
		}
	}
	if len(q.pieces) == cap(q.pieces) && q.head > len(q.pieces)/2 {
		n := copy(q.pieces, q.pieces[q.head:])
		clear(q.pieces[n:])
		q.pieces = q.pieces[:n]
		q.cursor = max(0, q.cursor-int32(q.head))
		q.head = 0
	}
	q.charged += uint32(r.Charge())
	q.pieces = append(q.pieces, sndPiece{r, q.end})
}

// ackTo drops the bytes before to.
func (q *sndQueue) ackTo(to Seq) {
	for q.head < len(q.pieces) {
		p := &q.pieces[q.head]
		if to.Less(p.end) {
			if skip := len(p.ref.B) - p.end.Sub(to); skip > 0 {
				before := p.ref.Charge()
				p.ref.B = p.ref.B[skip:]
				q.charged -= uint32(before - p.ref.Charge())
			}
			break
		}
		q.charged -= uint32(p.ref.Charge())
		p.ref.Release()
		*p = sndPiece{}
		q.head++
	}
	q.start = to
	if q.head == len(q.pieces) {
		q.pieces, q.head, q.cursor = q.pieces[:0], 0, 0
	}
}

// trim gives the bookkeeping of an empty queue back.
func (q *sndQueue) trim() {
	if len(q.pieces) == 0 && cap(q.pieces) > keepPieces {
		q.pieces = nil
	}
}

// view returns up to n bytes from seq on, retained for the taker: fewer where
// a third piece would begin. seq must lie in [start, end).
func (q *sndQueue) view(seq Seq, n int) (v pkt.View) {
	i := q.find(seq)
	p := &q.pieces[i]
	from := len(p.ref.B) - p.end.Sub(seq)
	k := min(n, len(p.ref.B)-from)
	v[0] = p.ref.Slice(from, from+k).Retain()
	if n -= k; n > 0 && i+1 < len(q.pieces) {
		p = &q.pieces[i+1]
		v[1] = p.ref.Slice(0, min(n, len(p.ref.B))).Retain()
		i++
	}
	q.cursor = int32(i)
	return v
}

// span is how many bytes view would return, without making it.
func (q *sndQueue) span(seq Seq, n int) int {
	i := q.find(seq)
	q.cursor = int32(i)
	k := q.pieces[i].end.Sub(seq)
	if i+1 < len(q.pieces) {
		k += len(q.pieces[i+1].ref.B)
	}
	return min(n, k)
}

// find returns the piece that contains seq: near the last one, or by halves.
func (q *sndQueue) find(seq Seq) int {
	for i := max(int(q.cursor), q.head); i < min(len(q.pieces), int(q.cursor)+3); i++ {
		p := &q.pieces[i]
		if seq.Less(p.end) {
			if len(p.ref.B) >= p.end.Sub(seq) {
				return i
			}
			break
		}
	}
	lo, hi := q.head, len(q.pieces)-1
	for lo < hi {
		if m := (lo + hi) / 2; seq.Less(q.pieces[m].end) {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// release drops everything.
func (q *sndQueue) release() {
	for ; q.head < len(q.pieces); q.head++ {
		q.pieces[q.head].ref.Release()
	}
	q.pieces, q.head, q.cursor, q.charged = nil, 0, 0, 0
	q.start = q.end
}
