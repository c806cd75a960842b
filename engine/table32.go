package engine

// table32 finds records of a slab by flow, as table finds entries. A slot is
// the record's hash in the upper and its index in the lower half of one word:
// 8 bytes, no pointers for the garbage collector to follow, and a record is
// touched only when all 32 bits of the hash agree. The zero value is an empty
// table; the slab bounds it.
//
// Every method gets the slab that the indices belong to, always the same one.
type table32[E any, P tableEntry[E]] struct {
	slots []uint64 // length is a power of two, or 0; 0 is an empty slot
	n     int
}

// table32MinSlots is the size of the smallest table, and what one shrinks to.
const table32MinSlots = 64

// slot32 packs a slot. Indices of a slab start at 1, so no slot is 0.
func slot32(hash, index uint32) uint64 { return uint64(hash)<<32 | uint64(index) }

// len returns the number of records.
func (t *table32[E, P]) len() int { return t.n }

// lookup returns the index of the record of a flow, 0 when there is none.
func (t *table32[E, P]) lookup(s *slab[E], hash uint32, f *Flow) uint32 {
	if t.n == 0 {
		return 0
	}
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		w := t.slots[i]
		if w == 0 {
			return 0
		}
		if uint32(w>>32) != hash {
			continue
		}
		if g, _ := P(s.at(uint32(w))).key(); *g == *f {
			return uint32(w)
		}
	}
}

// insert adds a record and reports whether it did: not when the table already
// has one of the same flow.
func (t *table32[E, P]) insert(s *slab[E], index uint32) bool {
	f, hash := P(s.at(index)).key()
	if t.lookup(s, hash, f) != 0 {
		return false
	}
	if 4*(t.n+1) > 3*len(t.slots) {
		t.resize(max(2*len(t.slots), table32MinSlots))
	}
	t.place(slot32(hash, index))
	t.n++
	return true
}

// place puts a slot's word into the first free slot of its run.
func (t *table32[E, P]) place(w uint64) {
	mask := uint32(len(t.slots) - 1)
	i := uint32(w>>32) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = w
}

// remove takes a record out, before it is freed, and reports whether it was
// there.
func (t *table32[E, P]) remove(s *slab[E], index uint32) bool {
	if t.n == 0 {
		return false
	}
	_, hash := P(s.at(index)).key()
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for w := slot32(hash, index); t.slots[i] != w; i = (i + 1) & mask {
		if t.slots[i] == 0 {
			return false
		}
	}
	t.closeGap(i)
	t.n--
	if 8*t.n < len(t.slots) && len(t.slots) > table32MinSlots {
		t.resize(max(len(t.slots)/4, table32MinSlots))
	}
	return true
}

// closeGap empties slot i and moves the rest of the run back, as table does.
func (t *table32[E, P]) closeGap(i uint32) {
	mask := uint32(len(t.slots) - 1)
	for j := (i + 1) & mask; t.slots[j] != 0; j = (j + 1) & mask {
		home := uint32(t.slots[j] >> 32)
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = 0
}

// resize moves all words to an array of n slots.
func (t *table32[E, P]) resize(n int) {
	old := t.slots
	t.slots = make([]uint64, n)
	for _, w := range old {
		if w != 0 {
			t.place(w)
		}
	}
}

// each calls f with the index of every record, in the order of the slots, until
// f returns false. f must not change the table.
func (t *table32[E, P]) each(f func(index uint32) bool) {
	for _, w := range t.slots {
		if w != 0 && !f(uint32(w)) {
			return
		}
	}
}
