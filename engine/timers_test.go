package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/handfast/handfast/mono"
)

// timed is an entry of a heap, with what the model knows about it.
type timed struct {
	timerLink
	id uint64
	at mono.Time // 0: not in the heap
}

func checkHeap(t *testing.T, h *timerHeap[timed, *timed], step int) {
	t.Helper()
	for i, s := range h.slots {
		if i > 0 && s.before(&h.slots[(i-1)/timerFanOut]) {
			t.Fatalf("step %d: place %d is before its parent", step, i)
		}
		if int(s.entry.place) != i+1 || s.entry.at != s.at || s.entry.id != s.id {
			t.Fatalf("step %d: place %d (%v, %d) does not match its entry %+v", step, i, s.at, s.id, *s.entry)
		}
	}
}

// A heap and a plain list get the same random steps; times are few, so that
// many are equal. What the heap gives is the earliest, and of those the one
// with the lowest id.
func TestTimerHeapAgainstList(t *testing.T) {
	rnd := newTestRand(1)
	var h timerHeap[timed, *timed]
	entries := make([]timed, 300)
	for i := range entries {
		entries[i].id = uint64(i) * 7919 % 300 // ids in another order than places
	}
	earliest := func() (best *timed, n int) {
		for i := range entries {
			e := &entries[i]
			if e.at == 0 {
				continue
			}
			if n++; best == nil || e.at < best.at || e.at == best.at && e.id < best.id {
				best = e
			}
		}
		return best, n
	}
	for step := range 20_000 {
		e := &entries[rnd.IntN(len(entries))]
		at := mono.Time(1 + rnd.IntN(40))
		switch op := rnd.IntN(8); {
		case op < 5 && e.at == 0:
			e.at = at
			h.push(at, e.id, e)
		case op < 4:
			e.at = at
			h.update(at, e)
		case op < 5:
			was := e.at != 0
			e.at = 0
			if h.remove(e) != was {
				t.Fatalf("step %d: remove gave %v", step, !was)
			}
		case op < 6:
			best, _ := earliest()
			if best != nil && best.at > at {
				best = nil
			}
			if got := h.popDue(at); got != best {
				t.Fatalf("step %d: popDue(%d) gave %+v, want %+v", step, at, got, best)
			}
			if best != nil {
				best.at = 0
			}
		}
		checkHeap(t, &h, step)
		best, n := earliest()
		if gotAt, got := h.min(); got != best || best != nil && gotAt != best.at || h.len() != n {
			t.Fatalf("step %d: min is %+v, want %+v; len %d, want %d", step, got, best, h.len(), n)
		}
		if h.time(e) != e.at {
			t.Fatalf("step %d: time is %v, want %v", step, h.time(e), e.at)
		}
	}
}

// Whatever the order of insertion, entries of one instant leave by id.
func TestTimerHeapEqualTimes(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1, 0}, {3, 6, 0, 5, 1, 4, 2}} {
		var h timerHeap[timed, *timed]
		entries := make([]timed, len(order))
		for _, i := range order {
			entries[i].id = uint64(i)
			h.push(100, uint64(i), &entries[i])
		}
		if e := h.popDue(99); e != nil {
			t.Errorf("order %v: %d is due before its time", order, e.id)
		}
		var got []uint64
		for e := h.popDue(100); e != nil; e = h.popDue(100) {
			got = append(got, e.id)
		}
		if !slices.Equal(got, []uint64{0, 1, 2, 3, 4, 5, 6}) {
			t.Errorf("inserted as %v: left as %v", order, got)
		}
	}
}

// An unset time is none: pushing with it does nothing, updating to it removes,
// and an entry that is in no heap is neither updated nor removed.
func TestTimerHeapUnset(t *testing.T) {
	var h timerHeap[timed, *timed]
	var e timed
	if at, got := h.min(); at.IsSet() || got != nil || h.popDue(1<<62) != nil {
		t.Error("the empty heap has a minimum")
	}
	h.push(0, 1, &e)
	h.update(50, &e)
	if h.len() != 0 || h.remove(&e) || h.time(&e).IsSet() {
		t.Error("an entry that was never in the heap is in it")
	}
	h.push(10, 1, &e)
	h.update(0, &e)
	if h.len() != 0 || e.index() != 0 {
		t.Error("updating to the unset time did not remove")
	}
}

// A heap that was large gives its memory back.
func TestTimerHeapShrinks(t *testing.T) {
	var h timerHeap[timed, *timed]
	entries := make([]timed, 10_000)
	for i := range entries {
		h.push(mono.Time(i+1), uint64(i), &entries[i])
	}
	for h.popDue(1<<62) != nil {
	}
	if c := cap(h.slots); c > timerMinSlots*8 {
		t.Errorf("room for %d entries in an empty heap", c)
	}
}

func TestTimerHeapAllocs(t *testing.T) {
	skipUnderRace(t)
	var h timerHeap[timed, *timed]
	entries := make([]timed, 1000)
	for i := range entries {
		h.push(mono.Time(i+1), uint64(i), &entries[i])
	}
	now := mono.Time(1)
	if n := testing.AllocsPerRun(1000, func() {
		e := h.popDue(now)
		h.push(now+2000, e.id, e)
		h.update(now+1000, e)
		now++
	}); n != 0 {
		t.Errorf("%v allocations per step, want 0", n)
	}
}

func BenchmarkTimerHeap(b *testing.B) {
	const n = 100_000
	var h timerHeap[timed, *timed]
	entries := make([]timed, n+1)
	rnd := newTestRand(1)
	now := mono.Start
	for i := range entries[:n] {
		h.push(now+mono.Time(1+rnd.IntN(1e9)), uint64(i), &entries[i])
	}
	extra := &entries[n]
	b.Run(fmt.Sprintf("push back and remove/%d", n), func(b *testing.B) {
		for b.Loop() {
			h.push(now+2e9, n, extra)
			h.remove(extra)
		}
	})
	b.Run(fmt.Sprintf("update later/%d", n), func(b *testing.B) {
		i, d := 0, mono.Time(0)
		for b.Loop() {
			if i += 7919; i >= n {
				i -= n
			}
			d += 10
			h.update(now+1e9+d, &entries[i])
		}
	})
	b.Run(fmt.Sprintf("pop and push/%d", n), func(b *testing.B) {
		for b.Loop() {
			at, e := h.min()
			h.popDue(at)
			h.push(at+1e9, e.id, e)
		}
	})
}
