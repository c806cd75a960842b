package tcp

import (
	"fmt"

	"github.com/handfast/handfast/trace"
)

// State is a connection state of RFC 9293 §3.3.2.
type State uint8

// The eleven states.
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

// NumStates is how many states there are.
const NumStates = 11

// String returns the RFC's name of the state.
func (s State) String() string { return trace.StateName(uint8(s)) }

// synchronized reports whether both ends have exchanged SYNs, RFC 9293 §3.3.2.
func (s State) synchronized() bool { return s >= Established }

// canReceive reports whether the peer may still send data in this state.
func (s State) canReceive() bool { return s == Established || s == FinWait1 || s == FinWait2 }

// Trigger is what makes a state change.
type Trigger uint8

// The triggers.
const (
	OnPassiveOpen Trigger = iota + 1
	OnActiveOpen
	OnClose
	OnAbort
	OnSYN
	OnSYNACK
	OnACK // of our SYN, or of our FIN
	OnFIN
	OnRST
	OnTimeout
	OnReuse // a new incarnation takes the pair of sockets over, RFC 6191
)

var triggerNames = [...]string{"", "passive OPEN", "active OPEN", "CLOSE", "ABORT", "rcv SYN", "rcv SYN,ACK",
	"rcv ACK", "rcv FIN", "rcv RST", "timeout", "new SYN"}

// String names the trigger in the words of RFC 9293 figure 5.
func (t Trigger) String() string { return triggerNames[t] }

// Edge is one change of state that the protocol allows.
type Edge struct {
	From, To State
	On       Trigger
	RFC      string // where it is specified
}

// Edges is the whole state machine: figure 5 of RFC 9293 with the resets,
// aborts and timeouts that the figure leaves out. Every change of state of a
// TCB or of a record is checked against it.
//
// Left out on purpose: LISTEN to SYN-SENT (a SEND on a listening socket,
// RFC 9293 §3.10.2), which no sockets interface offers. The figure's note 2,
// FIN-WAIT-1 to TIME-WAIT on a FIN with the ACK of ours, is two edges here, as
// it is in the steps of §3.10.7.4: the ACK leads to FIN-WAIT-2 in the fifth
// step, the FIN to TIME-WAIT in the eighth.
var Edges = [...]Edge{
	{Closed, Listen, OnPassiveOpen, "RFC 9293 §3.10.1"},
	{Closed, SynSent, OnActiveOpen, "RFC 9293 §3.10.1"},
	{Listen, SynReceived, OnSYN, "RFC 9293 §3.10.7.2"},
	{Listen, Closed, OnClose, "RFC 9293 §3.10.4"},
	{SynSent, SynReceived, OnSYN, "RFC 9293 §3.10.7.3"},
	{SynSent, Established, OnSYNACK, "RFC 9293 §3.10.7.3"},
	{SynSent, Closed, OnClose, "RFC 9293 §3.10.4"},
	{SynSent, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{SynSent, Closed, OnRST, "RFC 9293 §3.10.7.3"},
	{SynSent, Closed, OnTimeout, "RFC 9293 §3.8.3"},
	{SynReceived, Established, OnACK, "RFC 9293 §3.10.7.4"},
	{SynReceived, FinWait1, OnClose, "RFC 9293 §3.10.4"},
	{SynReceived, Listen, OnRST, "RFC 9293 §3.10.7.4"},
	{SynReceived, Listen, OnSYN, "RFC 9293 §3.10.7.4"},
	{SynReceived, Listen, OnTimeout, "RFC 4987 §3.2"},
	{SynReceived, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{SynReceived, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{SynReceived, Closed, OnTimeout, "RFC 9293 §3.8.3"},
	{Established, FinWait1, OnClose, "RFC 9293 §3.10.4"},
	{Established, CloseWait, OnFIN, "RFC 9293 §3.10.7.4"},
	{Established, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{Established, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{Established, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{FinWait1, FinWait2, OnACK, "RFC 9293 §3.10.7.4"},
	{FinWait1, Closing, OnFIN, "RFC 9293 §3.10.7.4"},
	{FinWait1, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{FinWait1, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{FinWait1, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{FinWait2, TimeWait, OnFIN, "RFC 9293 §3.10.7.4"},
	{FinWait2, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{FinWait2, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{FinWait2, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{CloseWait, LastAck, OnClose, "RFC 9293 §3.10.4"},
	{CloseWait, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{CloseWait, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{CloseWait, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{Closing, TimeWait, OnACK, "RFC 9293 §3.10.7.4"},
	{Closing, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{Closing, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{Closing, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{LastAck, Closed, OnACK, "RFC 9293 §3.10.7.4"},
	{LastAck, Closed, OnRST, "RFC 9293 §3.10.7.4"},
	{LastAck, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{LastAck, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{TimeWait, Closed, OnTimeout, "RFC 9293 §3.10.8"},
	{TimeWait, Closed, OnAbort, "RFC 9293 §3.10.5"},
	{TimeWait, Closed, OnReuse, "RFC 6191 §2"},
}

// edgeIndex finds an edge in one load: the position in Edges plus one.
var edgeIndex = func() (t [NumStates][NumStates][OnReuse + 1]uint8) {
	for i, e := range Edges {
		t[e.From][e.To][e.On] = uint8(i + 1)
	}
	return t
}()

// CheckEdge panics when the state machine has no such edge: that is never
// the peer's doing, only a bug of ours. It returns the edge's index in Edges.
func CheckEdge(from, to State, on Trigger) int {
	i := edgeIndex[from][to][on]
	if i == 0 {
		panic(fmt.Sprintf("tcp: no edge from %v to %v on %v", from, to, on))
	}
	return int(i) - 1
}
