package engine

import "math/bits"

// slabBlockLen is the number of records per block of a slab: large enough that
// blocks are rare, small enough that one straggler keeps little alive.
const slabBlockLen = 128

// slab holds records by index, in blocks, so that pointers to records stay
// valid while it grows and nothing is copied. Indices start at 1: a link of 0
// is no link. A freed index is used again, the lowest of its block first, so
// equal runs use equal indices.
//
// A block whose last record is freed goes back to the garbage collector, except
// for one that is kept so that a slab around a block's edge does not allocate.
// The zero slab holds nothing and takes nothing; see newSlab.
type slab[T any] struct {
	blocks []*slabBlock[T] // by number - 1; nil: given back
	gone   []uint32        // the numbers of nil blocks
	open   uint32          // the first block with room, 0: none
	spare  uint32          // the one block kept without records, 0: none
	n, max int
}

// slabBlock is one block. Blocks with room form a list by number, 0 ends it.
type slabBlock[T any] struct {
	live       [slabBlockLen / 64]uint64 // one bit per record in use
	used       int
	prev, next uint32
	recs       [slabBlockLen]T
}

// newSlab returns an empty slab for at most max records, max < 1<<31.
func newSlab[T any](max int) slab[T] { return slab[T]{max: max} }

// len returns the number of records in use.
func (s *slab[T]) len() int { return s.n }

// alloc returns the index of a fresh record, which is zero, or 0 when max are
// in use.
func (s *slab[T]) alloc() uint32 {
	if s.n >= s.max {
		return 0
	}
	if s.open == 0 {
		s.addBlock()
	}
	num := s.open
	b := s.blocks[num-1]
	w := 0
	for b.live[w] == ^uint64(0) { // an open block has room
		w++
	}
	bit := bits.TrailingZeros64(^b.live[w])
	b.live[w] |= 1 << bit
	if num == s.spare {
		s.spare = 0
	}
	if b.used++; b.used == slabBlockLen {
		s.shut(num)
	}
	s.n++
	return (num-1)*slabBlockLen + uint32(w*64+bit) + 1
}

// at returns the record of an index, nil when it is not in use. The pointer is
// good until the record is freed.
func (s *slab[T]) at(index uint32) *T {
	b, slot := s.find(index)
	if b == nil {
		return nil
	}
	return &b.recs[slot]
}

// find returns the block and slot of an index in use, a nil block otherwise.
// Index 0 wraps around to a block that cannot exist.
func (s *slab[T]) find(index uint32) (*slabBlock[T], uint32) {
	num, slot := (index-1)/slabBlockLen, (index-1)%slabBlockLen
	if num >= uint32(len(s.blocks)) {
		return nil, 0
	}
	b := s.blocks[num]
	if b == nil || b.live[slot/64]>>(slot%64)&1 == 0 {
		return nil, 0
	}
	return b, slot
}

// free clears a record and takes it back. It reports false, and does nothing,
// when the index is not in use. The record must be in no list and no table.
func (s *slab[T]) free(index uint32) bool {
	b, slot := s.find(index)
	if b == nil {
		return false
	}
	var zero T // what the record referred to can be collected
	b.recs[slot] = zero
	b.live[slot/64] &^= 1 << (slot % 64)
	num := (index-1)/slabBlockLen + 1
	if b.used == slabBlockLen {
		s.unshut(num)
	}
	s.n--
	if b.used--; b.used == 0 {
		s.emptied(num)
	}
	return true
}

// emptied keeps a block without records as the spare one, or gives it back when
// there is one already.
func (s *slab[T]) emptied(num uint32) {
	if s.spare == 0 {
		s.spare = num
		return
	}
	s.shut(num)
	s.blocks[num-1] = nil
	s.gone = append(s.gone, num)
}

// addBlock makes a block and opens it.
func (s *slab[T]) addBlock() {
	var num uint32
	if last := len(s.gone) - 1; last >= 0 {
		num = s.gone[last]
		s.gone = s.gone[:last]
	} else {
		s.blocks = append(s.blocks, nil)
		num = uint32(len(s.blocks))
	}
	s.blocks[num-1] = new(slabBlock[T])
	s.unshut(num)
}

// unshut puts a block at the front of the list of those with room.
func (s *slab[T]) unshut(num uint32) {
	b := s.blocks[num-1]
	b.prev, b.next = 0, s.open
	if s.open != 0 {
		s.blocks[s.open-1].prev = num
	}
	s.open = num
}

// shut takes a block out of that list.
func (s *slab[T]) shut(num uint32) {
	b := s.blocks[num-1]
	if b.prev != 0 {
		s.blocks[b.prev-1].next = b.next
	} else {
		s.open = b.next
	}
	if b.next != 0 {
		s.blocks[b.next-1].prev = b.prev
	}
	b.prev, b.next = 0, 0
}

// each calls f with the index of every record in use, in ascending order, until
// f returns false. f may free the record it is called with, no other.
func (s *slab[T]) each(f func(index uint32) bool) {
	for num := range s.blocks {
		for w := range slabBlockLen / 64 {
			b := s.blocks[num]
			if b == nil { // never was, or f freed its last record
				break
			}
			for word := b.live[w]; word != 0; word &= word - 1 {
				slot := w*64 + bits.TrailingZeros64(word)
				if !f(uint32(num*slabBlockLen+slot) + 1) {
					return
				}
			}
		}
	}
}
