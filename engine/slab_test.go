package engine

import (
	"slices"
	"testing"
)

// A slab and a list of live indices get the same random steps: no index is
// given out twice, records keep their place and their content, come zeroed,
// and are iterated in ascending order.
func TestSlabAgainstModel(t *testing.T) {
	rnd := newTestRand(1)
	const most = 1000
	s := newSlab[int](most)
	model := map[uint32]*int{}
	var live []uint32
	for step := range 40_000 {
		growing := step/5000%2 == 0
		if i := rnd.IntN(len(live) + 1); i < len(live) && rnd.IntN(4) > 0 != growing {
			index := live[i]
			live = slices.Delete(live, i, i+1)
			if got := s.at(index); got != model[index] || *got != int(index) {
				t.Fatalf("step %d: record %d moved or changed", step, index)
			}
			delete(model, index)
			if !s.free(index) || s.free(index) || s.at(index) != nil {
				t.Fatalf("step %d: free of %d: want true once, and gone", step, index)
			}
		} else if index := s.alloc(); index != 0 {
			if model[index] != nil || *s.at(index) != 0 {
				t.Fatalf("step %d: index %d is in use, or its record not zero", step, index)
			}
			*s.at(index) = int(index)
			live, model[index] = append(live, index), s.at(index)
		} else if len(live) != most {
			t.Fatalf("step %d: full with %d of %d", step, len(live), most)
		}
		if s.len() != len(live) {
			t.Fatalf("step %d: len %d, want %d", step, s.len(), len(live))
		}
	}
	var seen []uint32
	s.each(func(index uint32) bool { seen = append(seen, index); return true })
	slices.Sort(live)
	if !slices.Equal(seen, live) {
		t.Errorf("each gave %d records, want the %d in use in ascending order", len(seen), len(live))
	}
}

// Indices that are not in use, whatever they are, are neither found nor freed.
func TestSlabUnusedIndex(t *testing.T) {
	s := newSlab[int](10)
	used := s.alloc()
	for _, index := range []uint32{0, used + 1, slabBlockLen, slabBlockLen + 1, 1 << 31, 1<<32 - 1} {
		if s.at(index) != nil || s.free(index) {
			t.Errorf("index %d is taken for one in use", index)
		}
	}
	var zero slab[int]
	if got := zero.alloc(); got != 0 {
		t.Errorf("the zero slab gave index %d", got)
	}
}

// After a flood all blocks but one go back, and that one is used again.
func TestSlabGivesBlocksBack(t *testing.T) {
	s := newSlab[[40]byte](10_000)
	for range 10_000 {
		s.alloc()
	}
	if s.alloc() != 0 {
		t.Error("more records than the bound")
	}
	s.each(func(index uint32) bool { return s.free(index) })
	held := 0
	for _, b := range s.blocks {
		if b != nil {
			held++
		}
	}
	if s.len() != 0 || held != 1 {
		t.Errorf("%d records and %d blocks, want none and one", s.len(), held)
	}
	if i := s.alloc(); s.at(i) == nil || s.blocks[(i-1)/slabBlockLen] == nil || s.spare != 0 {
		t.Error("the kept block was not used again")
	}
	for range slabBlockLen * 3 { // blocks that were given back are replaced
		if i := s.alloc(); s.at(i) == nil {
			t.Fatalf("index %d has no record", i)
		}
	}
	if n := len(s.blocks); n > (10_000+slabBlockLen-1)/slabBlockLen {
		t.Errorf("%d block numbers in use, want the old ones again", n)
	}
}

// A record that comes and goes at the edge of a block costs no allocation.
func TestSlabAllocs(t *testing.T) {
	skipUnderRace(t)
	s := newSlab[[40]byte](1000)
	for range slabBlockLen {
		s.alloc()
	}
	if n := testing.AllocsPerRun(1000, func() { s.free(s.alloc()) }); n != 0 {
		t.Errorf("%v allocations per record, want 0", n)
	}
}

// fifoContents reads a queue in both directions and fails when they differ.
func fifoContents(t *testing.T, q *fifo[tableRec, *tableRec], s *slab[tableRec]) []uint32 {
	t.Helper()
	var forth, back []uint32
	for i := q.front(); i != 0; i = q.next(s, i) {
		forth = append(forth, i)
	}
	for i := q.tail; i != 0; i = s.at(i).prev {
		back = append(back, i)
	}
	slices.Reverse(back)
	if !slices.Equal(forth, back) || q.len() != len(forth) {
		t.Fatalf("forwards %v, backwards %v, len %d", forth, back, q.len())
	}
	return forth
}

// Records leave in the order they came, and can be taken out anywhere.
func TestFIFOOrder(t *testing.T) {
	s := newSlab[tableRec](10)
	var q fifo[tableRec, *tableRec]
	for range 5 {
		q.pushBack(&s, s.alloc())
	}
	for _, c := range []struct {
		remove uint32
		want   []uint32
	}{
		{3, []uint32{1, 2, 4, 5}}, // middle
		{5, []uint32{1, 2, 4}},    // tail
		{1, []uint32{2, 4}},       // head
		{4, []uint32{2}},
		{2, nil}, // the only one
	} {
		if !q.remove(&s, c.remove) || q.remove(&s, c.remove) {
			t.Errorf("remove of %d: want true once", c.remove)
		}
		if got := fifoContents(t, &q, &s); !slices.Equal(got, c.want) {
			t.Errorf("after removing %d: %v, want %v", c.remove, got, c.want)
		}
	}
	q.pushBack(&s, 4)
	q.pushBack(&s, 3)
	if got := fifoContents(t, &q, &s); !slices.Equal(got, []uint32{4, 3}) {
		t.Errorf("a record that was removed comes again: %v, want [4 3]", got)
	}
}

// A queue and a slice of indices get the same random steps.
func TestFIFOAgainstSlice(t *testing.T) {
	rnd := newTestRand(2)
	s := newSlab[tableRec](200)
	var q fifo[tableRec, *tableRec]
	var model []uint32
	for step := range 5000 {
		if i := s.alloc(); i != 0 && rnd.IntN(2) == 0 {
			q.pushBack(&s, i)
			model = append(model, i)
		} else {
			s.free(i)
			if len(model) > 0 {
				at := rnd.IntN(len(model))
				q.remove(&s, model[at])
				s.free(model[at])
				model = slices.Delete(model, at, at+1)
			}
		}
		if step%20 == 0 && !slices.Equal(fifoContents(t, &q, &s), model) {
			t.Fatalf("step %d: the queue and the slice differ", step)
		}
	}
}

func BenchmarkSlab(b *testing.B) {
	s := newSlab[tableRec](1 << 16)
	var q fifo[tableRec, *tableRec]
	for range 10_000 {
		q.pushBack(&s, s.alloc())
	}
	b.Run("alloc free at 10000", func(b *testing.B) {
		for b.Loop() {
			i := s.alloc()
			q.pushBack(&s, i)
			front := q.front()
			q.remove(&s, front)
			s.free(front)
		}
	})
}
