package engine

// tableEntry is what a table needs of its entries: the flow they are found by
// and its hash, computed once when the entry was made. Both must stay the same
// while the entry is in a table.
type tableEntry[E any] interface {
	*E
	key() (f *Flow, hash uint32)
}

// table finds entries by flow: open addressing with linear probing over one
// array of pointers, 8 bytes per slot. It is never more than 3/4 full, so a
// search always meets an empty slot. Deletion closes the gap by moving later
// entries of the same run back, so there are no tombstones and a table that
// has seen much churn is as fast as a fresh one.
//
// The hash must be keyed (sipKey.flow13): the peer chooses half of the flow.
// A table that is less than 1/8 full gives memory back. The zero table holds
// nothing and takes nothing; see newTable.
type table[E any, P tableEntry[E]] struct {
	slots []P // length is a power of two, or 0
	n     int
	max   int
}

// tableMinSlots is the size of the smallest table, and what one shrinks to.
const tableMinSlots = 64

// newTable returns an empty table for at most max entries.
func newTable[E any, P tableEntry[E]](max int) table[E, P] {
	return table[E, P]{max: max}
}

// len returns the number of entries.
func (t *table[E, P]) len() int { return t.n }

// lookup returns the entry of a flow, nil when there is none. hash is the
// flow's, from the function that the entries' hashes came from.
func (t *table[E, P]) lookup(hash uint32, f *Flow) P {
	if t.n == 0 {
		return nil
	}
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := t.slots[i]
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
	if 4*(t.n+1) > 3*len(t.slots) {
		t.resize(max(2*len(t.slots), tableMinSlots))
	}
	t.place(e, hash)
	t.n++
	return true
}

// place puts an entry into the first free slot of its run.
func (t *table[E, P]) place(e P, hash uint32) {
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = e
}

// remove takes an entry out and reports whether it was there. It looks for this
// very entry, not for another of the same flow.
func (t *table[E, P]) remove(e P) bool {
	if t.n == 0 {
		return false
	}
	_, hash := e.key()
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i] != e {
		if t.slots[i] == nil {
			return false
		}
		i = (i + 1) & mask
	}
	t.closeGap(i)
	t.n--
	if 8*t.n < len(t.slots) && len(t.slots) > tableMinSlots {
		t.resize(max(len(t.slots)/4, tableMinSlots))
	}
	return true
}

// closeGap empties slot i and moves back each later entry of the run that may
// stand there: one whose own slot is not behind the gap.
func (t *table[E, P]) closeGap(i uint32) {
	mask := uint32(len(t.slots) - 1)
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		_, h := t.slots[j].key()
		if (j-h)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = nil
}

// resize moves all entries to an array of n slots.
func (t *table[E, P]) resize(n int) {
	old := t.slots
	t.slots = make([]P, n)
	for _, e := range old {
		if e != nil {
			_, hash := e.key()
			t.place(e, hash)
		}
	}
}

// each calls f with every entry until f returns false. The order is that of the
// slots: it depends on key and history, so equal runs have equal orders. f must
// not change the table.
func (t *table[E, P]) each(f func(P) bool) {
	for _, e := range t.slots {
		if e != nil && !f(e) {
			return
		}
	}
}
