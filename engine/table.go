package engine

// tableEntry is what a table needs of its entries: the flow they are found by
// and its hash, computed once when the entry was made. Both must stay the same
// while the entry is in a table.
type tableEntry[E any] interface {
	*E
	key() (f *Flow, hash uint32)
}

const (
	// tableSegments is the number of parts of a table that grow one by one.
	// Growing a million entries at once would stop all traffic for some 50 ms,
	// because each entry has to be touched for its hash; a 64th of that is
	// less than a millisecond.
	tableSegments = 1 << tableSegmentBits

	tableSegmentBits = 6

	// segmentMinSlots is the size of the smallest part. It is large enough that
	// the ups and downs of a steady population do not make it grow and shrink.
	segmentMinSlots = 32
)

// table finds entries by flow: open addressing with linear probing over arrays
// of pointers, 8 bytes per slot. The upper bits of the hash choose the segment,
// the lower bits the slot.
//
// The hash must be keyed (sipKey.flow13): the peer chooses half of the flow.
// A table that is nearly empty gives memory back. The zero table holds nothing
// and takes nothing; see newTable.
type table[E any, P tableEntry[E]] struct {
	segments [tableSegments]segment[E, P]
	n, max   int
}

// newTable returns an empty table for at most max entries.
func newTable[E any, P tableEntry[E]](max int) table[E, P] {
	return table[E, P]{max: max}
}

// len returns the number of entries.
func (t *table[E, P]) len() int { return t.n }

// segment returns the part of the table that a hash belongs to.
func (t *table[E, P]) segment(hash uint32) *segment[E, P] {
	return &t.segments[hash>>(32-tableSegmentBits)]
}

// lookup returns the entry of a flow, nil when there is none. hash is the
// flow's, from the function that the entries' hashes came from.
func (t *table[E, P]) lookup(hash uint32, f *Flow) P {
	s := t.segment(hash)
	if len(s.slots) == 0 {
		return nil
	}
	mask := uint32(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := s.slots[i]
		if e == nil {
			return nil
		}
		if g, h := e.key(); h == hash && *g == *f {
			return e
		}
	}
}

// insert adds an entry and reports whether it did: not when the table holds max
// entries, nor when it already has one of the same flow.
func (t *table[E, P]) insert(e P) bool {
	f, hash := e.key()
	if t.n >= t.max || t.lookup(hash, f) != nil {
		return false
	}
	s := t.segment(hash)
	if 4*(s.n+1) > 3*len(s.slots) {
		s.resize(max(2*len(s.slots), segmentMinSlots))
	}
	s.place(e, hash)
	s.n++
	t.n++
	return true
}

// remove takes an entry out and reports whether it was there. It looks for this
// very entry, not for another of the same flow.
func (t *table[E, P]) remove(e P) bool {
	_, hash := e.key()
	s := t.segment(hash)
	if !s.removeEntry(e, hash) {
		return false
	}
	s.n--
	t.n--
	if 8*s.n < len(s.slots) && len(s.slots) > segmentMinSlots {
		s.resize(max(len(s.slots)/4, segmentMinSlots))
	}
	return true
}

// each calls f with every entry until f returns false. The order is that of the
// slots: it depends on key and history, so equal runs have equal orders. f must
// not change the table.
func (t *table[E, P]) each(f func(P) bool) {
	for i := range t.segments {
		for _, e := range t.segments[i].slots {
			if e != nil && !f(e) {
				return
			}
		}
	}
}

// segment is one part of a table. It is never more than 3/4 full, so a search
// always meets an empty slot. Deletion closes the gap by moving later entries
// of the same run back, so there are no tombstones and a table that has seen
// much churn is as fast as a fresh one.
type segment[E any, P tableEntry[E]] struct {
	slots []P // length is a power of two, or 0
	n     int
}

// place puts an entry into the first free slot of its run.
func (s *segment[E, P]) place(e P, hash uint32) {
	mask := uint32(len(s.slots) - 1)
	i := hash & mask
	for s.slots[i] != nil {
		i = (i + 1) & mask
	}
	s.slots[i] = e
}

// removeEntry empties the slot of an entry and reports whether there was one.
func (s *segment[E, P]) removeEntry(e P, hash uint32) bool {
	if len(s.slots) == 0 {
		return false
	}
	mask := uint32(len(s.slots) - 1)
	i := hash & mask
	for s.slots[i] != e {
		if s.slots[i] == nil {
			return false
		}
		i = (i + 1) & mask
	}
	s.closeGap(i)
	return true
}

// closeGap empties slot i and moves back each later entry of the run that may
// stand there: one whose own slot is not behind the gap.
func (s *segment[E, P]) closeGap(i uint32) {
	mask := uint32(len(s.slots) - 1)
	for j := (i + 1) & mask; s.slots[j] != nil; j = (j + 1) & mask {
		_, h := s.slots[j].key()
		if (j-h)&mask >= (j-i)&mask {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = nil
}

// resize moves all entries to an array of n slots.
func (s *segment[E, P]) resize(n int) {
	old := s.slots
	s.slots = make([]P, n)
	for _, e := range old {
		if e != nil {
			_, hash := e.key()
			s.place(e, hash)
		}
	}
}
