package engine

import "github.com/handfast/handfast/mono"

// timerLink is embedded in what stands in a timerHeap: its place there, counted
// from 1; 0 means that it waits for nothing.
type timerLink struct{ place int32 }

// index returns the place in the heap, 0 when in none.
func (l *timerLink) index() int32 { return l.place }

// setIndex is for the heap alone.
func (l *timerLink) setIndex(i int32) { l.place = i }

// timerEntry is what a timerHeap needs of its entries: that they embed
// timerLink. An entry can be in one heap at a time.
type timerEntry[T any] interface {
	*T
	index() int32
	setIndex(int32)
}

// timerSlot is one place of the heap. Time and id stand beside the pointer so
// that comparing does not touch the entries.
type timerSlot[P any] struct {
	at    mono.Time
	id    uint64
	entry P
}

// before is the order of the heap: by time, and at the same time by id. Without
// the id, runs from one seed would differ with the history of the heap.
func (a *timerSlot[P]) before(b *timerSlot[P]) bool {
	return a.at < b.at || a.at == b.at && a.id < b.id
}

// timerHeap holds entries by the time they wait for: a heap with four children
// per place, half as deep as a binary one and with siblings side by side in
// memory. Ids must be unique among the entries of a heap. The number of entries
// is bounded by that of the records or connections in it. The zero value is an
// empty heap.
type timerHeap[T any, P timerEntry[T]] struct {
	slots []timerSlot[P]
}

const (
	timerFanOut   = 4
	timerMinSlots = 64 // a heap's array does not shrink below this
)

// len returns the number of entries.
func (h *timerHeap[T, P]) len() int { return len(h.slots) }

// min returns the earliest time and its entry, the unset time and nil when the
// heap is empty.
func (h *timerHeap[T, P]) min() (mono.Time, P) {
	if len(h.slots) == 0 {
		return 0, nil
	}
	return h.slots[0].at, h.slots[0].entry
}

// time returns when an entry is due, the unset time when it is not in the heap.
func (h *timerHeap[T, P]) time(e P) mono.Time {
	i := e.index()
	if i == 0 {
		return 0
	}
	return h.slots[i-1].at
}

// push adds an entry that is in no heap. An unset time is never due: the entry
// is not added.
func (h *timerHeap[T, P]) push(at mono.Time, id uint64, e P) {
	if !at.IsSet() {
		return
	}
	h.slots = append(h.slots, timerSlot[P]{at, id, e})
	h.up(len(h.slots)-1, timerSlot[P]{at, id, e})
}

// update moves an entry of the heap to another time, earlier or later; to the
// unset time means to remove it. An entry that is not in the heap stays out.
func (h *timerHeap[T, P]) update(at mono.Time, e P) {
	i := int(e.index()) - 1
	if i < 0 {
		return
	}
	if !at.IsSet() {
		h.remove(e)
		return
	}
	s := h.slots[i]
	later := at > s.at
	s.at = at
	if later {
		h.down(i, s)
	} else {
		h.up(i, s)
	}
}

// remove takes an entry out and reports whether it was in.
func (h *timerHeap[T, P]) remove(e P) bool {
	i := int(e.index()) - 1
	if i < 0 {
		return false
	}
	e.setIndex(0)
	last := len(h.slots) - 1
	s := h.slots[last]
	h.slots[last] = timerSlot[P]{}
	h.slots = h.slots[:last]
	if i != last {
		if i > 0 && s.before(&h.slots[(i-1)/timerFanOut]) {
			h.up(i, s)
		} else {
			h.down(i, s)
		}
	}
	if c := cap(h.slots); c > timerMinSlots && last < c/8 {
		h.slots = append(make([]timerSlot[P], 0, max(c/4, timerMinSlots)), h.slots...)
	}
	return true
}

// popDue takes out and returns the first entry that is due at now, nil when
// none is.
func (h *timerHeap[T, P]) popDue(now mono.Time) P {
	if len(h.slots) == 0 || h.slots[0].at > now {
		return nil
	}
	e := h.slots[0].entry
	h.remove(e)
	return e
}

// up puts s where it belongs between place i, which is free, and the root.
func (h *timerHeap[T, P]) up(i int, s timerSlot[P]) {
	for i > 0 {
		parent := (i - 1) / timerFanOut
		if !s.before(&h.slots[parent]) {
			break
		}
		h.put(i, &h.slots[parent])
		i = parent
	}
	h.put(i, &s)
}

// down puts s where it belongs between place i, which is free, and the leaves.
func (h *timerHeap[T, P]) down(i int, s timerSlot[P]) {
	for {
		first := timerFanOut*i + 1
		if first >= len(h.slots) {
			break
		}
		least := first
		for c := first + 1; c < min(first+timerFanOut, len(h.slots)); c++ {
			if h.slots[c].before(&h.slots[least]) {
				least = c
			}
		}
		if !h.slots[least].before(&s) {
			break
		}
		h.put(i, &h.slots[least])
		i = least
	}
	h.put(i, &s)
}

// put stores a slot at place i and tells its entry.
func (h *timerHeap[T, P]) put(i int, s *timerSlot[P]) {
	h.slots[i] = *s
	s.entry.setIndex(int32(i + 1))
}
