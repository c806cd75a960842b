package tcp

import "slices"

// scoreboard says what became of the octets between SND.UNA and SND.MAX, where
// it was anything but one transmission that is on its way: RFC 6675 §3 with the
// marks of RFC 8985 §5. Spans are in ascending order and do not overlap; what
// lies between them is in flight. Finding one is a search by halves.
type scoreboard struct {
	spans  []span
	sacked uint32 // bytes
	lost   uint32 // bytes marked lost and not sent again
	hint   Seq    // no span that is lost begins before it, while any is
}

// span is the octets [start, end), of one kind.
type span struct {
	start, end Seq
	record     uint32 // of spanAgain: the number of its transmission
	kind       spanKind
}

type spanKind uint8

const (
	spanNone      spanKind = iota
	spanSACKed             // the peer has it, RFC 2018
	spanLost               // lost, and sent once
	spanLostAgain          // lost, and sent more than once
	spanAgain              // sent again and on its way
)

// maxSACKed bounds how many spans SACK blocks can make: what a peer says
// beyond it is not believed. Lost spans and retransmissions lie between these
// and are bounded by the segments in flight.
const maxSACKed = 4096

func (k spanKind) isLost() bool { return k == spanLost || k == spanLostAgain }

// find returns the index of the first span that ends after seq.
func (b *scoreboard) find(seq Seq) int {
	if len(b.spans) > 0 && seq.Less(b.spans[0].end) {
		return 0
	}
	i, _ := slices.BinarySearchFunc(b.spans, seq, func(s span, q Seq) int {
		if s.end.LessEq(q) {
			return -1
		}
		return 1
	})
	return i
}

// count adds or takes away what a span contributes to the sums.
func (b *scoreboard) count(k spanKind, n uint32) {
	switch {
	case k == spanSACKed:
		b.sacked += n
	case k.isLost():
		b.lost += n
	}
}

// assign makes [from, to) be of s's kind, whatever it was before; spanNone
// makes it in flight.
func (b *scoreboard) assign(from, to Seq, s span) {
	if !from.Less(to) {
		return
	}
	i := b.find(from)
	j := i
	var left, right span // what remains of spans at the edges
	for ; j < len(b.spans) && b.spans[j].start.Less(to); j++ {
		o := b.spans[j]
		if o.start.Less(from) {
			left = o
			left.end = from
		}
		if to.Less(o.end) {
			right = o
			right.start = to
		}
		b.count(o.kind, -uint32(minSeq(o.end, to)-maxSeq(o.start, from)))
	}
	b.count(s.kind, uint32(to-from))
	s.start, s.end = from, to
	if s.kind.isLost() && (from.Less(b.hint) || b.lost == uint32(to-from)) {
		b.hint = from
	}
	var fresh [3]span
	n := 0
	put := func(t span) {
		if n > 0 && fresh[n-1].joins(&t) {
			fresh[n-1].end = t.end
			return
		}
		fresh[n] = t
		n++
	}
	if left.kind != spanNone {
		put(left)
	} else if i > 0 && s.kind != spanNone && b.spans[i-1].joins(&s) {
		i--
		put(b.spans[i])
	}
	if s.kind != spanNone {
		put(s)
	}
	if right.kind != spanNone {
		put(right)
	} else if j < len(b.spans) && n > 0 && fresh[n-1].joins(&b.spans[j]) {
		fresh[n-1].end = b.spans[j].end
		j++
	}
	b.spans = slices.Replace(b.spans, i, j, fresh[:n]...)
}

// joins reports whether t continues s and both can be one.
func (s *span) joins(t *span) bool {
	return s.end == t.start && s.kind == t.kind && (s.kind != spanAgain || s.record == t.record)
}

// lostOnce returns how many octets of [from, to) are lost and were sent once.
func (b *scoreboard) lostOnce(from, to Seq) (n uint32) {
	for i := b.find(from); i < len(b.spans) && b.spans[i].start.Less(to); i++ {
		if s := &b.spans[i]; s.kind == spanLost {
			n += uint32(minSeq(s.end, to) - maxSeq(s.start, from))
		}
	}
	return n
}

// dropBefore forgets everything before seq.
func (b *scoreboard) dropBefore(seq Seq) {
	i := 0
	for ; i < len(b.spans) && b.spans[i].end.LessEq(seq); i++ {
		b.count(b.spans[i].kind, -uint32(b.spans[i].end-b.spans[i].start))
	}
	b.spans = slices.Delete(b.spans, 0, i)
	if len(b.spans) > 0 && b.spans[0].start.Less(seq) {
		b.count(b.spans[0].kind, -uint32(seq-b.spans[0].start))
		b.spans[0].start = seq
	}
	b.hint = maxSeq(b.hint, seq)
}

// forgetLost takes lost octets for what they were before.
func (b *scoreboard) forgetLost() {
	b.spans = slices.DeleteFunc(b.spans, func(s span) bool { return s.kind.isLost() })
	b.lost = 0
}

// names reports whether a retransmission of [from, to) is still on its way.
func (b *scoreboard) names(from, to Seq, record uint32) bool {
	for i := b.find(from); i < len(b.spans) && b.spans[i].start.Less(to); i++ {
		if b.spans[i].kind == spanAgain && b.spans[i].record == record {
			return true
		}
	}
	return false
}

// firstLost returns the first span that is lost.
func (b *scoreboard) firstLost() *span {
	if b.lost == 0 {
		return nil
	}
	i := b.find(b.hint)
	for i < len(b.spans) && !b.spans[i].kind.isLost() {
		i++
	}
	if i == len(b.spans) {
		return nil
	}
	b.hint = b.spans[i].start
	return &b.spans[i]
}

// lostBelow returns the highest number below which so much was SACKed above that
// what is neither SACKed nor sent again is lost: RFC 6675 §4, IsLost.
func (b *scoreboard) lostBelow(mss uint32) (seq Seq, ok bool) {
	n, ranges := uint32(0), 0
	for i := len(b.spans) - 1; i >= 0; i-- {
		s := &b.spans[i]
		if s.kind != spanSACKed {
			continue
		}
		n += uint32(s.end - s.start)
		ranges++
		if n > (dupThresh-1)*mss || ranges >= dupThresh {
			return s.start, true
		}
	}
	return 0, false
}

// firstHole returns the first octets from seq on, below something SACKed, that
// are in flight and were sent once.
func (b *scoreboard) firstHole(seq Seq) (from, to Seq, ok bool) {
	high := len(b.spans) - 1
	for high >= 0 && b.spans[high].kind != spanSACKed {
		high--
	}
	for i := 0; i <= high; i++ {
		s := &b.spans[i]
		if seq.Less(s.start) {
			return seq, s.start, true
		}
		seq = s.end
	}
	return 0, 0, false
}

// lastHole returns the last octets in [una, high) that are not SACKed.
func (b *scoreboard) lastHole(una, high Seq) (from, to Seq) {
	i := len(b.spans) - 1
	for ; i >= 0 && b.spans[i].kind == spanSACKed && b.spans[i].end == high; i-- {
		high = b.spans[i].start
	}
	for ; i >= 0; i-- {
		if b.spans[i].kind == spanSACKed {
			return b.spans[i].end, high
		}
	}
	return una, high
}
