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
	MarkedLost                  // Len octets from Seq on are taken for lost; Why says on what grounds
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
	WhyRACK         // lost: what left later has arrived, RFC 8985 §6.2
	WhyDuplicates   // lost: so much of what left later is SACKed, RFC 6675
	WhyPathMTU      // lost: it is longer than the path carries
	WhyFRTO         // new data before anything else is sent again, RFC 5682
	WhyWindowOpened // lost: it met a closed window
	WhyMTUProbe     // larger than others, to find the path's MTU, RFC 4821
	WhyBlackHole    // full-sized segments seem to vanish, RFC 4821 §7.7
	WhyEnd          // not a reason: how many there are
)

// Recovery says what a connection is doing about loss.
type Recovery uint8

// The kinds of recovery.
const (
	RecoveryNone    Recovery = iota
	RecoveryFast             // fast recovery, RFC 5681 §3.2, RFC 9937
	RecoveryTimeout          // the slow start after a timeout, RFC 5681 §3.1
)

// MaxSACK is how many SACK blocks an Event has room for, as many as a segment.
const MaxSACK = 4

// Event is one thing that happened to one connection. Fields that do not
// apply to the Kind are zero. It is EventSize octets large.
type Event struct {
	At         mono.Time
	Conn       uint64 // the connection's number in its engine; 0 for none
	Kind       Kind
	Why        Why
	From, To   uint8 // states before and after, as numbered by StateName; equal when nothing changed
	On         uint8 // of a StateChange: the trigger, as package tcp numbers it
	Recovery   Recovery
	SACKBlocks uint8 // of a segment: how many, of which SACK holds MaxSACK at most
	ECN        uint8 // of a segment: the codepoint of its IP header
	Flags      wire.TCPFlags
	Segs       uint16 // wire segments in a super-segment
	MSS        uint16 // of a SYN, its option (0: none); of a super-segment, the size of its cuts
	Seq, Ack   uint32 // as on the wire
	Len        uint32 // payload bytes
	Window     uint32 // scaled
	Cwnd       uint32
	SSThresh   uint32
	InFlight   uint32 // sent and not acknowledged
	Lost       uint32 // of that, taken for lost and not sent again
	SRTT       int64  // ns
	RTO        int64  // ns
	Pacing     uint64 // octets a second; 0: departures are not spread
	Rate       uint64 // of delivery, octets a second; 0: not measured
	SACK       [MaxSACK][2]uint32
}

// EventSize is the size of an Event in octets: two cache lines.
const EventSize = 128

// Sink receives events. Trace must not keep ev, block, or call back into the
// stack.
type Sink interface {
	Trace(ev *Event)
}
