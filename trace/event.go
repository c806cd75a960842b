// Package trace describes what happens inside the stack as a stream of small
// fixed-size events, and turns such streams into text in script notation, JSON
// and comments of a packet capture.
//
// Emitting an event costs a nil check when nobody listens. A Sink is called
// with the shard's lock held: it must copy the Event and return.
package trace

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// Kind says what an Event is about.
type Kind uint8

// The kinds of events.
const (
	SegmentIn   Kind = iota + 1 // a segment arrived at a connection or record
	SegmentOut                  // a segment left; Why says why
	StateChange                 // From, To
	Timer                       // a deadline passed; Why says which
	Congestion                  // cwnd or ssthresh changed outside of ordinary growth
	Dropped                     // a segment was dropped; Why says why
	Closed                      // the connection ended; Why says how
)

// Why names the reason of an event: why a segment was sent, which timer fired,
// why something was dropped.
type Why uint8

// The reasons. The zero Why is "none".
const (
	WhyNone Why = iota
	WhyHandshake
	WhyNewData
	WhyRetransmitTimeout
	WhyFastRetransmit
	WhyPartialACK
	WhyFIN
	WhyACK
	WhyDelayedACK
	WhyDuplicateACK
	WhyWindowUpdate
	WhyChallengeACK
	WhyZeroWindowProbe
	WhyKeepalive
	WhyReset
	WhyUrgent
	WhyTimeWait
	WhyFinWait2
	WhyUserTimeout
	WhyUnacceptable
	WhyPAWS
	WhyNoACK
	WhyAckOfUnsent
	WhyOldACK
	WhyMemory
	WhyPeerReset
	WhyRefused
	WhyICMP
	WhyAborted
	WhyRecoveryEntered
	WhyRecoveryLeft
	WhySillyWindow
	WhyTailLossProbe
	WhyReordering
	WhySpurious
	WhyFastOpen
	WhySYNCookie
	WhyCongestionMark
	WhyEnd // not a reason: how many there are
)

// Event is one thing that happened to one connection. Fields that do not
// apply to the Kind are zero.
type Event struct {
	At         mono.Time
	Conn       uint64 // the connection's number in its engine; 0 for none
	Kind       Kind
	Why        Why
	From, To   uint8 // states before and after, as numbered by StateName; equal when nothing changed
	On         uint8 // of a StateChange: the trigger, as package tcp numbers it
	SACKBlocks uint8
	ECN        uint8 // of a segment: the codepoint of its IP header
	Flags      wire.TCPFlags
	Segs       uint16 // wire segments in a super-segment
	MSS        uint16 // of a SYN, its option (0: none); of a super-segment, the size of its cuts
	Seq, Ack   uint32 // as on the wire
	Len        uint32 // payload bytes
	Window     uint32 // scaled
	Cwnd       uint32
	SSThresh   uint32
	InFlight   uint32
	SRTT       int64 // ns
	RTO        int64 // ns
}

// Sink receives events. Trace must not keep ev, block, or call back into the
// stack.
type Sink interface {
	Trace(ev *Event)
}
