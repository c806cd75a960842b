package reference

import (
	"reflect"
	"testing"
)

// everyCase yields Cases and then the cases of each variant, by name.
func everyCase(yield func(name string, v Vars, s Seg) bool) {
	for _, variant := range append([]Variant{{"base", Base}}, Variants()...) {
		more := true
		CasesFrom(variant.Base, func(v Vars, s Seg) bool {
			more = yield(variant.Name, v, s)
			return more
		})
		if !more {
			return
		}
	}
}

func TestCasesCount(t *testing.T) {
	var n int
	perState := map[State]int{}
	Cases(func(v Vars, _ Seg) bool {
		n++
		perState[v.State]++
		return true
	})
	if n != 35_200 {
		t.Errorf("%d cases, want 35200", n)
	}
	if n != NumCases {
		t.Errorf("%d cases, NumCases says %d", n, NumCases)
	}
	for s := range NumStates {
		if perState[State(s)] != 3200 {
			t.Errorf("%v has %d cases, want 3200", State(s), perState[State(s)])
		}
	}
}

func TestCasesStop(t *testing.T) {
	var n int
	Cases(func(Vars, Seg) bool {
		n++
		return n < 10
	})
	if n != 10 {
		t.Errorf("%d cases after the tenth said stop", n)
	}
}

// No case is another one twice, but for the positions the documentation of
// CasesFrom names.
func TestCasesDistinct(t *testing.T) {
	type one struct {
		v Vars
		s Seg
	}
	seen := map[State]map[one]bool{}
	Cases(func(v Vars, s Seg) bool {
		if seen[v.State] == nil {
			seen[v.State] = map[one]bool{}
		}
		seen[v.State][one{v, s}] = true
		return true
	})
	for s, m := range seen {
		want := 3200
		switch s {
		case FinWait2, TimeWait: // nothing outstanding: inside is SND.UNA
			want = 3200 * 4 / 5
		case SynSent: // no window seen: too old is old
			want = 3200 * 4 / 5
		}
		if len(m) != want {
			t.Errorf("%v has %d distinct cases, want %d", s, len(m), want)
		}
	}
}

// The positions are where CasesFrom says, judged by the decisions themselves.
func TestCasePositions(t *testing.T) {
	for s := SynReceived; s <= TimeWait; s++ {
		v := Base(s)
		for i, want := range []bool{false, false, true, true, false} {
			if seq := seqPositions(v)[i]; numberInWindow(v, seq) != want {
				t.Errorf("%v SEQ position %d = RCV.NXT%+d: in window is not %v", s, i, int32(seq-v.RcvNXT), want)
			}
		}
		for i, want := range []bool{false, true, true, true, false} {
			if ack := ackPositions(v)[i]; ackInRange(v, Seg{AckNo: ack}) != want {
				t.Errorf("%v ACK position %d = SND.UNA%+d: in range is not %v", s, i, int32(ack-v.SndUNA), want)
			}
		}
	}
}

// Every rule decides some case, or Explain would have text that nobody can meet.
func TestEveryRuleReached(t *testing.T) {
	var reached [numRules]bool
	everyCase(func(_ string, v Vars, s Seg) bool {
		a := newArrival(v, s)
		a.run()
		for _, id := range a.trail {
			reached[id] = true
		}
		return true
	})
	for id, ok := range reached {
		if !ok {
			t.Errorf("no case reaches %v", rules[id])
		}
	}
}

// What holds for every arrival whatsoever.
func TestInvariants(t *testing.T) {
	everyCase(func(name string, v Vars, s Seg) bool {
		if msg := violated(v, s, Arrive(v, s)); msg != "" {
			t.Errorf("%s: %v at %v: %s\nvars %+v\nrules: %s", name, s, v.State, msg, v, Explain(v, s))
			return false
		}
		return true
	})
}

// violated names an invariant that o, the outcome of s at v, breaks; "" if none.
func violated(v Vars, s Seg, o Outcome) string {
	advanced := o.RcvNXT - v.RcvNXT
	same := o.Free&FreeVariables == 0 && !o.Reopened && v.State >= SynReceived && v.State <= TimeWait
	switch {
	case len(o.Replies) > 1:
		return "more than one reply (MUST-58)"
	case s.RST && len(o.Replies) > 0 && o.Replies[0].Kind != KindACK:
		return "a RST is answered by more than a challenge ACK (section 4, RST)"
	case o.Deleted != (o.State == Closed && v.State >= SynSent && v.State <= TimeWait):
		return "deleted and CLOSED are not the same"
	case o.Delivered > s.Len:
		return "more delivered than arrived"
	case o.Delivered > 0 && !s.ACK:
		return "text delivered without ACK (fifth step)"
	case o.Delivered > 0 && v.State == Listen:
		return "text delivered before ESTABLISHED (section 3.5)"
	case same && advanced != o.Delivered && advanced != o.Delivered+1:
		return "RCV.NXT moved over something else than text and a FIN"
	case same && advanced == o.Delivered+1 && (!s.FIN || o.Signal != SignalClosing):
		return "RCV.NXT moved over a FIN that is not there or not signalled"
	case same && advanced > v.RcvWND:
		return "RCV.NXT left the window"
	case same && lt(o.SndUNA, v.SndUNA):
		return "SND.UNA moved back"
	case same && lt(o.SndNXT, o.SndUNA):
		return "SND.UNA passed SND.NXT"
	case same && o.MaxSndWND < v.MaxSndWND:
		return "MAX.SND.WND shrank"
	case o.TimeWaitRestarted && o.State != TimeWait:
		return "2 MSL runs outside TIME-WAIT"
	case o.State == TimeWait && v.State != TimeWait && !o.TimeWaitRestarted:
		return "TIME-WAIT entered without 2 MSL"
	case o.Reopened && (v.State != TimeWait || o.State != SynReceived):
		return "reopened from or to elsewhere"
	}
	return ""
}

// The urgent pointer and PSH are not part of an outcome (the sixth step is about
// signals only, section 3.8.5).
func TestUrgentChangesNothing(t *testing.T) {
	everyCase(func(name string, v Vars, s Seg) bool {
		plain := s
		plain.URG, plain.UP, plain.PSH = false, 0, false
		s.PSH = true
		if got, want := Arrive(v, s), Arrive(v, plain); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v at %v: %+v, want %+v", name, s, v.State, got, want)
			return false
		}
		return true
	})
}

// Sequence numbers are modulo 2^32 (section 3.4): the same cases, moved so that
// both spaces wrap inside the windows, have the same outcomes, moved.
func TestSequenceSpaceHasNoOrigin(t *testing.T) {
	const toISS, toIRS = uint32(1<<32 - 1 - caseAcked - 500), uint32(1<<32 - 1 - caseReceived - 1)
	moveSnd, moveRcv := toISS-caseISS, toIRS-caseIRS
	moved := func(v Vars) Vars {
		v.ISS, v.SndUNA, v.SndNXT, v.SndWL2, v.NextISS = v.ISS+moveSnd, v.SndUNA+moveSnd, v.SndNXT+moveSnd, v.SndWL2+moveSnd, v.NextISS+moveSnd
		v.IRS, v.RcvNXT, v.SndWL1 = v.IRS+moveRcv, v.RcvNXT+moveRcv, v.SndWL1+moveRcv
		return v
	}
	everyCase(func(name string, v Vars, s Seg) bool {
		far := s
		far.SEQ, far.AckNo = s.SEQ+moveRcv, s.AckNo+moveSnd
		want, got := Arrive(v, s), Arrive(moved(v), far)
		if want.Free&FreeVariables == 0 {
			want.Vars = moved(want.Vars)
		} else {
			want.NextISS += moveSnd
		}
		for _, rs := range [][]Reply{want.Replies, want.Instead} {
			for i := range rs {
				if rs[i].Kind != KindRSTACK { // its SEQ is zero in any space
					rs[i].SEQ += moveSnd
				}
				if rs[i].Kind != KindRST {
					rs[i].ACK += moveRcv
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v at %v, moved:\n%+v, want\n%+v", name, s, v.State, got, want)
			return false
		}
		return true
	})
}

// The throttle of RFC 5961 section 7 decides about replies and nothing else.
func TestThrottleHoldsBackOnlyACKs(t *testing.T) {
	everyCase(func(name string, v Vars, s Seg) bool {
		v.ChallengeBudget = true
		free := Arrive(v, s)
		v.ChallengeBudget = false
		held := Arrive(v, s)
		for _, r := range held.Replies {
			if len(free.Replies) != 1 || !r.same(free.Replies[0]) {
				t.Errorf("%s: %v at %v: %v only when throttled", name, s, v.State, r)
				return false
			}
		}
		if len(free.Replies) > len(held.Replies) && free.Replies[0].Kind != KindACK {
			t.Errorf("%s: %v at %v: %v was throttled", name, s, v.State, free.Replies[0])
			return false
		}
		held.Replies, free.Replies = nil, nil
		held.ChallengeBudget = true
		if !reflect.DeepEqual(held, free) {
			t.Errorf("%s: %v at %v: throttled %+v, want %+v", name, s, v.State, held, free)
			return false
		}
		return true
	})
}

// Whatever the numbers: no panic, and the invariants that need no sane window.
func FuzzArrive(f *testing.F) {
	for i, s := range []Seg{
		{SYN: true, SEQ: 7},
		{ACK: true, SEQ: 500_501, AckNo: 101_001, Len: 10, WND: 1},
		{ACK: true, FIN: true, SEQ: 500_501, AckNo: 102_002},
		{RST: true, SEQ: 500_501},
		{SYN: true, ACK: true, SEQ: 500_000, AckNo: 100_001},
		{ACK: true, FIN: true, SEQ: 1<<32 - 1, AckNo: 1 << 31, Len: 1<<32 - 1, WND: 1 << 30},
	} {
		f.Add(uint8(i+2), uint8(i), s.SEQ, s.AckNo, s.Len, s.WND, uint32(caseRcvWND))
	}
	f.Fuzz(func(t *testing.T, state, flags uint8, seq, ack, length, swnd, rwnd uint32) {
		v := Base(State(state) % (TimeWait + 1))
		v.State = State(state)
		v.RcvWND = rwnd % (1 << 30)
		s := segWithFlags(int(flags) % numFlagSets)
		s.SEQ, s.AckNo, s.Len, s.WND = seq, ack, length%(1<<30), swnd
		if msg := violated(v, s, Arrive(v, s)); msg != "" {
			t.Errorf("%v at %v: %s\nvars %+v\nrules: %s", s, v.State, msg, v, Explain(v, s))
		}
	})
}
