package reference

// The numbers around which the cases are placed. Every interval is wide enough
// that no two positions meet by accident.
const (
	caseISS     = 100_000
	caseIRS     = 500_000
	caseNextISS = 200_000 // above every number of the old connection (RFC 9293 section 3.6.1)

	caseAcked    = 1000 // octets of ours acknowledged
	caseInFlight = 1000 // octets of ours outstanding
	caseReceived = 500  // octets of the peer's received, in one segment

	caseSndWND    = 8000
	caseMaxSndWND = 16_000 // the peer's window has been larger
	caseRcvWND    = 10_000
	caseSegWND    = 4000 // SEG.WND where it is not zero: neither SND.WND nor the maximum
	caseBelow     = 1000 // how far below the window "below" is
)

// The dimensions of Cases.
const (
	numFlagSets     = 32 // of SYN, ACK, RST, FIN, URG
	numSEQPositions = 5
	numACKPositions = 5

	// NumCases is the number of cases that Cases and CasesFrom yield.
	NumCases = numFlagSets * NumStates * numSEQPositions * numACKPositions * 2 * 2
)

// Base gives the variables of an endpoint in state s, as Cases uses them:
//
//	ISS 100000, IRS 500000; 500 octets received in one segment, the window 10000;
//	1000 octets sent and acknowledged, 1000 outstanding, and our FIN behind them
//	where the state says it was sent; SND.WND 8000, the largest seen 16000.
//
// SYN-RECEIVED is that of a passive OPEN. In FIN-WAIT-2 and TIME-WAIT nothing is
// outstanding; SYN-SENT and SYN-RECEIVED have sent their SYN only. CLOSED and
// LISTEN have no variables, and SYN-SENT none about the peer: the numbers there
// only place the cases.
func Base(s State) Vars { return baseAt(s, caseISS, caseIRS, caseNextISS) }

// baseAt is Base with other initial sequence numbers.
func baseAt(s State, iss, irs, nextISS uint32) Vars {
	v := Vars{
		State: s, Listener: s == Listen || s == TimeWait, ChallengeBudget: true,
		ISS: iss, SndUNA: iss + 1 + caseAcked, SndNXT: iss + 1 + caseAcked + caseInFlight,
		SndWND: caseSndWND, MaxSndWND: caseMaxSndWND, NextISS: nextISS,
		IRS: irs, RcvNXT: irs + 1 + caseReceived, RcvWND: caseRcvWND,
		SndWL1: irs + 1, SndWL2: iss + 1 + caseAcked,
	}
	switch s {
	case SynSent:
		v.SndUNA, v.SndNXT = iss, iss+1
		v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = 0, 0, 0, 0
	case SynReceived:
		v.PassiveOpen = true
		v.SndUNA, v.SndNXT, v.RcvNXT = iss, iss+1, irs+1
		v.MaxSndWND, v.SndWL1, v.SndWL2 = caseSndWND, irs, iss
	case FinWait1, FinWait2, Closing, LastAck, TimeWait:
		v.FinSent = true
		v.SndNXT++
	}
	switch s {
	case CloseWait, Closing, LastAck, TimeWait: // the last update came with the peer's FIN
		v.SndWL1 = v.RcvNXT
		v.RcvNXT++
	}
	if s == FinWait2 || s == TimeWait {
		v.SndUNA = v.SndNXT
		v.SndWL1, v.SndWL2 = v.RcvNXT-one(s == TimeWait), v.SndUNA
	}
	return v
}

// Cases yields every combination of 32 flag sets {SYN ACK RST FIN URG}, the 11
// states, 5 positions of SEG.SEQ, 5 of SEG.ACK, 0 or 1 octets of text and SEG.WND
// zero or not: NumCases in all, always in the same order, with the variables of
// [Base]. It stops when yield returns false.
func Cases(yield func(Vars, Seg) bool) { CasesFrom(Base, yield) }

// CasesFrom is Cases with the variables that base gives for each state, for
// instance those of a real endpoint brought there. The positions are taken from
// the variables:
//
//	SEG.SEQ  RCV.NXT-1000, RCV.NXT-1, RCV.NXT, RCV.NXT+RCV.WND/2, RCV.NXT+RCV.WND
//	SEG.ACK  SND.UNA-MAX.SND.WND-1, SND.UNA-1, SND.UNA, inside, SND.NXT+1
//
// where inside, of (SND.UNA, SND.NXT], is SND.NXT if a SYN or FIN of ours is last
// in flight, and else the middle. Where the interval is empty or the window zero
// it falls on SND.UNA or RCV.NXT.
func CasesFrom(base func(State) Vars, yield func(Vars, Seg) bool) {
	for s := range NumStates {
		v := base(State(s))
		seqs, acks := seqPositions(v), ackPositions(v)
		for flags := range numFlagSets {
			for i := range numSEQPositions * numACKPositions * 2 * 2 {
				seg := segWithFlags(flags)
				seg.Len, seg.WND = uint32(i&1), uint32(i>>1&1)*caseSegWND
				seg.AckNo = acks[i>>2%numACKPositions]
				seg.SEQ = seqs[i>>2/numACKPositions]
				if !yield(v, seg) {
					return
				}
			}
		}
	}
}

func segWithFlags(flags int) Seg {
	s := Seg{SYN: flags&1 != 0, ACK: flags&2 != 0, RST: flags&4 != 0, FIN: flags&8 != 0, URG: flags&16 != 0}
	s.UP = one(s.URG)
	return s
}

func seqPositions(v Vars) [numSEQPositions]uint32 {
	return [...]uint32{
		v.RcvNXT - caseBelow, v.RcvNXT - 1, v.RcvNXT,
		v.RcvNXT + v.RcvWND/2, v.RcvNXT + v.RcvWND,
	}
}

func ackPositions(v Vars) [numACKPositions]uint32 {
	inside := v.SndUNA + (v.SndNXT-v.SndUNA+1)/2
	if v.FinSent || v.State == SynSent || v.State == SynReceived {
		inside = v.SndNXT
	}
	return [...]uint32{
		v.SndUNA - v.MaxSndWND - 1, v.SndUNA - 1, v.SndUNA,
		inside, v.SndNXT + 1,
	}
}

// Variant is a family of variables for CasesFrom that differs from Base in one
// circumstance.
type Variant struct {
	Name string
	Base func(State) Vars
}

// Variants lists circumstances that Cases alone does not reach. A state to which
// one does not apply has the variables of Base.
func Variants() []Variant {
	with := func(change func(*Vars)) func(State) Vars {
		return func(s State) Vars {
			v := Base(s)
			change(&v)
			return v
		}
	}
	return []Variant{
		{"active open", with(func(v *Vars) { v.PassiveOpen = false })},
		{"receive window zero", with(func(v *Vars) { v.RcvWND = 0 })},
		{"receive window one", with(func(v *Vars) { v.RcvWND = 1 })},
		{"FIN still waiting behind data", with(func(v *Vars) {
			if v.FinSent && v.SndUNA != v.SndNXT {
				v.FinSent = false
				v.SndNXT--
			}
		})},
		{"nothing outstanding", with(func(v *Vars) {
			if v.State == Established || v.State == CloseWait {
				v.SndUNA = v.SndNXT
			}
		})},
		{"nobody listens", with(func(v *Vars) { v.Listener = false })},
		{"no challenge ACK left", with(func(v *Vars) { v.ChallengeBudget = false })},
		{"sequence numbers wrap", func(s State) Vars {
			return baseAt(s, 1<<32-caseAcked-caseInFlight/2, 1<<32-caseReceived-2, 50_000)
		}},
	}
}
