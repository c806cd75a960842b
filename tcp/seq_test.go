package tcp

import (
	"math/rand/v2"
	"testing"
)

// seqEdges are the numbers around which arithmetic modulo 2^32 goes wrong.
var seqEdges = []Seq{0, 1, 2, 1<<16 - 1, 1 << 16, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 2, 1<<32 - 1}

// Numbers compare by the shorter way round. RFC 9293 §3.4.
func TestSeqCompares(t *testing.T) {
	for _, s := range seqEdges {
		for _, d := range []int{1, 2, 1000, 65535, 1 << 20, 1 << 30, 1<<31 - 1} {
			u := s.Add(d)
			switch {
			case !s.Less(u) || u.Less(s):
				t.Errorf("%d is not before %d", s, u)
			case !s.LessEq(u) || u.LessEq(s):
				t.Errorf("%d is not before or at %d", s, u)
			case u.Sub(s) != d || s.Sub(u) != -d || u.Add(-d) != s:
				t.Errorf("%d and %d are not %d apart", s, u, d)
			case maxSeq(s, u) != u || maxSeq(u, s) != u:
				t.Errorf("the later of %d and %d is %d", s, u, maxSeq(s, u))
			}
		}
		if s.Less(s) || !s.LessEq(s) || s.Sub(s) != 0 || s.Add(0) != s || maxSeq(s, s) != s {
			t.Errorf("%d is not itself", s)
		}
	}
}

// A window holds its first number and not the one after its last; an empty one
// holds nothing. It may cross the end of the number space.
func TestSeqInWindow(t *testing.T) {
	for _, s := range seqEdges {
		for _, size := range []uint32{1, 2, 1000, 65535, 1 << 30} {
			for _, c := range []struct {
				at   Seq
				want bool
			}{
				{s, true}, {s + Seq(size) - 1, true}, {s + Seq(size), false}, {s - 1, false}, {s + Seq(size/2), true},
				{s + 1<<31, false},
			} {
				if got := c.at.In(s, size); got != c.want {
					t.Errorf("%d in [%d, +%d): %v", c.at, s, size, got)
				}
			}
		}
		if s.In(s, 0) || (s-1).In(s, 0) {
			t.Errorf("the empty window at %d holds something", s)
		}
	}
}

// The same numbers, moved along the circle, compare the same.
func TestSeqIsTheSameEverywhere(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		s, u, by := Seq(rnd.Uint32()), Seq(rnd.Uint32()), Seq(rnd.Uint32())
		size := rnd.Uint32()
		if s.Less(u) != (s+by).Less(u+by) || s.LessEq(u) != (s+by).LessEq(u+by) || s.Sub(u) != (s+by).Sub(u+by) ||
			s.In(u, size) != (s+by).In(u+by, size) {
			t.Fatalf("%d and %d, moved by %d (window %d)", s, u, by, size)
		}
	}
}
