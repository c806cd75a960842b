package tcp

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// octet is what a map of single octets knows: the scoreboard's oracle.
type octet struct {
	kind   spanKind
	record uint32
}

// check compares the scoreboard with the oracle.
func (b *scoreboard) check(base Seq, octets []octet) error {
	var sacked, lost uint32
	at := base
	i := 0
	for k, o := range octets {
		at = base.Add(k)
		switch {
		case o.kind == spanSACKed:
			sacked++
		case o.kind.isLost():
			lost++
		}
		for i < len(b.spans) && b.spans[i].end.LessEq(at) {
			i++
		}
		got := octet{}
		if i < len(b.spans) && b.spans[i].start.LessEq(at) {
			got = octet{b.spans[i].kind, b.spans[i].record}
		}
		if got != o {
			return fmt.Errorf("octet %d is %v, want %v", k, got, o)
		}
	}
	if b.sacked != sacked || b.lost != lost {
		return fmt.Errorf("%d SACKed and %d lost, want %d and %d", b.sacked, b.lost, sacked, lost)
	}
	for j := 1; j < len(b.spans); j++ {
		if b.spans[j].start.Less(b.spans[j-1].end) || b.spans[j-1].joins(&b.spans[j]) {
			return fmt.Errorf("spans %v and %v", b.spans[j-1], b.spans[j])
		}
	}
	return nil
}

// The scoreboard says of every octet what a plain array says, whatever is
// assigned, forgotten and dropped, across the end of the sequence space.
func TestScoreboardAgainstOctets(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		base := Seq(1<<32 - 300)
		octets := make([]octet, 600)
		var b scoreboard
		for step := range 300 {
			from := r.IntN(len(octets))
			to := min(len(octets), from+1+r.IntN(80))
			kind := spanKind(r.IntN(int(spanAgain) + 1))
			switch r.IntN(20) {
			case 0:
				b.dropBefore(base.Add(from))
				clear(octets[:from])
			case 1:
				b.forgetSACKs()
				for i := range octets {
					if octets[i].kind == spanSACKed {
						octets[i] = octet{}
					}
				}
			default:
				s := span{kind: kind}
				if kind == spanAgain {
					s.record = uint32(r.IntN(3))
				}
				b.assign(base.Add(from), base.Add(to), s)
				for i := from; i < to; i++ {
					octets[i] = octet{kind, s.record}
				}
			}
			if err := b.check(base, octets); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			first := -1
			for i, o := range octets {
				if o.kind.isLost() {
					first = i
					break
				}
			}
			if s := b.firstLost(); s == nil && first >= 0 || s != nil && s.start != base.Add(first) {
				t.Fatalf("seed %d, step %d: first lost is %v, want octet %d", seed, step, s, first)
			}
			n := uint32(r.IntN(3))
			want := false
			for _, o := range octets[from:to] {
				want = want || o == octet{spanAgain, n}
			}
			if got := b.names(base.Add(from), base.Add(to), n); got != want {
				t.Fatalf("seed %d, step %d: names %t, want %t", seed, step, got, want)
			}
		}
	}
}
