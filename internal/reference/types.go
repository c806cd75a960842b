package reference

import (
	"fmt"
	"strings"
)

// State is one of the eleven states of RFC 9293 section 3.3.2. A value above
// TimeWait is treated as CLOSED.
type State uint8

// The states, in the order of RFC 9293 section 3.3.2 with CLOSED first.
const (
	Closed State = iota
	Listen
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

// NumStates counts the states.
const NumStates = int(TimeWait) + 1

var stateNames = [NumStates]string{
	"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	"FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
}

// String returns the name the RFC uses, such as "SYN-RECEIVED".
func (s State) String() string {
	if int(s) >= NumStates {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return stateNames[s]
}

// Vars are the variables of RFC 9293 section 3.3.1 that decide what an arriving
// segment does, and the few facts about the endpoint that the text refers to in
// prose. Sequence numbers are modulo 2^32; windows are octets, scaling already
// applied, and at most 2^30 (RFC 7323 section 2.3). Timestamps are off.
type Vars struct {
	State State

	// PassiveOpen: SYN-RECEIVED was reached from LISTEN, not from SYN-SENT
	// (RFC 9293 section 3.5, MUST-11).
	PassiveOpen bool
	// Listener: a passive OPEN waits on this local socket, so a new connection
	// can start out of TIME-WAIT (RFC 9293 section 3.6.1, MAY-2).
	Listener bool
	// FinSent: our FIN has been sent and is the octet before SndNXT. False in
	// FIN-WAIT-1, CLOSING and LAST-ACK while the FIN still waits behind data.
	FinSent bool
	// ChallengeBudget: the throttle of RFC 5961 section 7 lets an ACK out now.
	ChallengeBudget bool

	ISS       uint32 // initial send sequence number
	SndUNA    uint32 // oldest unacknowledged
	SndNXT    uint32 // next to be sent
	SndWND    uint32 // send window, octets
	SndWL1    uint32 // SEG.SEQ of the last window update
	SndWL2    uint32 // SEG.ACK of the last window update
	MaxSndWND uint32 // largest window ever seen from the peer, octets (RFC 5961 section 5.2)
	NextISS   uint32 // the ISS a connection opened by this segment will choose

	IRS    uint32 // initial receive sequence number
	RcvNXT uint32 // next expected
	RcvWND uint32 // receive window, octets
}

// Seg is an arriving segment (RFC 9293 section 3.3.1, "current segment
// variables").
type Seg struct {
	SYN, ACK, RST, FIN, URG, PSH bool

	SEQ   uint32
	AckNo uint32 // SEG.ACK; meaningless unless ACK is set
	WND   uint32 // octets, scaling already applied
	UP    uint32 // urgent pointer, an offset from SEQ
	Len   uint32 // octets of text: SEG.LEN without SYN and FIN
}

// LEN is SEG.LEN: octets of text, and one each for SYN and FIN (RFC 9293
// section 3.4).
func (s Seg) LEN() uint32 { return s.Len + one(s.SYN) + one(s.FIN) }

// finSEQ is the sequence number its FIN occupies, or would occupy.
func (s Seg) finSEQ() uint32 { return s.SEQ + one(s.SYN) + s.Len }

// String writes the segment in the notation of RFC 9293 section 3.5.
func (s Seg) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<SEQ=%d>", s.SEQ)
	if s.ACK {
		fmt.Fprintf(&b, "<ACK=%d>", s.AckNo)
	}
	var ctl []string
	for _, f := range [...]struct {
		on   bool
		name string
	}{{s.SYN, "SYN"}, {s.FIN, "FIN"}, {s.RST, "RST"}, {s.PSH, "PSH"}, {s.URG, "URG"}, {s.ACK, "ACK"}} {
		if f.on {
			ctl = append(ctl, f.name)
		}
	}
	fmt.Fprintf(&b, "<CTL=%s><WND=%d>", strings.Join(ctl, ","), s.WND)
	if s.Len > 0 {
		fmt.Fprintf(&b, "<DATA=%d>", s.Len)
	}
	return b.String()
}

// Kind is the form of a reply.
type Kind uint8

// The forms a reply can take.
const (
	KindRST    Kind = iota + 1 // <SEQ=...><CTL=RST>
	KindRSTACK                 // <SEQ=0><ACK=...><CTL=RST,ACK>
	KindACK                    // <SEQ=...><ACK=...><CTL=ACK>
	KindSYNACK                 // <SEQ=...><ACK=...><CTL=SYN,ACK>
)

// String names the control bits, such as "RST,ACK".
func (k Kind) String() string {
	switch k {
	case KindRST:
		return "RST"
	case KindRSTACK:
		return "RST,ACK"
	case KindACK:
		return "ACK"
	case KindSYNACK:
		return "SYN,ACK"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Reply is one segment sent in answer. It carries no text; an ACK may as well
// ride on a segment with text (RFC 9293 section 3.10.7.4, seventh step).
type Reply struct {
	Kind Kind
	SEQ  uint32
	ACK  uint32 // zero for KindRST, which has no acknowledgment

	// Owed: the ACK is due but may be delayed (RFC 9293 section 3.8.6.3), so it
	// may be missing now.
	Owed bool
	// Optional: the text permits the reply without asking for it.
	Optional bool
}

// String writes the reply in the notation of RFC 9293 section 3.5.
func (r Reply) String() string {
	s := fmt.Sprintf("<SEQ=%d>", r.SEQ)
	if r.Kind != KindRST {
		s += fmt.Sprintf("<ACK=%d>", r.ACK)
	}
	s += "<CTL=" + r.Kind.String() + ">"
	if r.Owed {
		s += " owed"
	}
	if r.Optional {
		s += " optional"
	}
	return s
}

// same reports whether a segment on the wire is this reply.
func (r Reply) same(got Reply) bool {
	return r.Kind == got.Kind && r.SEQ == got.SEQ && (r.Kind == KindRST || r.ACK == got.ACK)
}

// Signal is what the user is told.
type Signal uint8

// The signals of RFC 9293 section 3.10.7.
const (
	SignalNone    Signal = iota
	SignalRefused        // "connection refused": the handshake was reset
	SignalReset          // "connection reset"
	SignalClosing        // "connection closing": the peer's FIN, end of file after the text before it
)

// String names the signal.
func (s Signal) String() string {
	switch s {
	case SignalNone:
		return "none"
	case SignalRefused:
		return "refused"
	case SignalReset:
		return "reset"
	case SignalClosing:
		return "closing"
	}
	return fmt.Sprintf("Signal(%d)", uint8(s))
}

// Free is a set of results that the text leaves undetermined in a given case:
// a comparison must not look at them.
type Free uint8

// The results that can be free.
const (
	FreeSndWND    Free = 1 << iota // SndWND and MaxSndWND
	FreeSndWL1                     // SndWL1
	FreeSndWL2                     // SndWL2
	FreeTimeWait                   // TimeWaitRestarted
	FreeVariables                  // every sequence variable: there is no TCB behind the state
)

// Outcome is everything the RFC decides about one arrival. The embedded Vars are
// the variables afterwards; RcvWND is left at its value before, since the new
// one depends on the room in the buffer.
type Outcome struct {
	Vars

	// Replies holds at most one segment: acknowledgments are aggregated (RFC
	// 9293 section 3.10.7.4, MUST-58).
	Replies []Reply
	// Instead lists answers the texts also support in place of Replies.
	Instead []Reply

	Delivered uint32 // octets of text the user may read because of this segment
	Signal    Signal

	// TimeWaitRestarted: the 2 MSL time-wait timer starts, or starts over.
	TimeWaitRestarted bool
	// Deleted: the TCB is gone and the state is CLOSED.
	Deleted bool
	// Reopened: the TIME-WAIT state gave way to a new connection; State and the
	// variables are the new connection's.
	Reopened bool

	Free Free
}

// CheckReplies reports how the segments got, sent in answer, differ from what o
// allows; nil if they do not. A reply that is owed or optional may be missing.
// Only Kind, SEQ and ACK of got are looked at. It does not block.
func (o Outcome) CheckReplies(got []Reply) error {
	if len(got) == 1 {
		for _, r := range o.Instead {
			if r.same(got[0]) {
				return nil
			}
		}
	}
	if len(got) > len(o.Replies) {
		return fmt.Errorf("sent %v, want at most %v", got, o.Replies)
	}
	for i, want := range o.Replies {
		switch {
		case i < len(got) && !want.same(got[i]):
			return fmt.Errorf("sent %v, want %v", got[i], want)
		case i >= len(got) && !want.Owed && !want.Optional:
			return fmt.Errorf("sent nothing, want %v", want)
		}
	}
	return nil
}
