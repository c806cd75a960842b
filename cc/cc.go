// Package cc holds congestion control algorithms. An Algorithm is code without
// state, shared by all connections; its State is data inside each connection.
// All arithmetic is on integers, so that results are the same on every machine.
package cc

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// State is what an algorithm remembers of one connection. Cwnd and SSThresh
// are in bytes; S and Ext belong to the algorithm. Ext is nil until the
// algorithm needs it; what it points to is one connection's alone.
type State struct {
	Cwnd     uint32
	SSThresh uint32
	S        [4]uint64
	Ext      any
}

// Infinite is the initial slow start threshold: "arbitrarily high",
// RFC 5681 §3.1.
const Infinite = 1<<31 - 1

// RateSample describes what one acknowledgement taught. The names in brackets
// are those of draft-ietf-ccwg-bbr.
type RateSample struct {
	Now       mono.Time
	Acked     uint32        // bytes by which SND.UNA moved
	Delivered uint32        // bytes newly known to have arrived, acknowledged or SACKed [RS.newly_acked]
	Lost      uint32        // bytes marked lost since the last sample [RS.newly_lost]
	Flight    uint32        // bytes in flight before this ACK [RS.prior_in_flight]
	InFlight  uint32        // bytes in flight after it [C.inflight]
	RTT       time.Duration // newest sample; 0 when the ACK gave none [RS.rtt]
	SRTT      time.Duration // smoothed; 0 before the first sample
	MinRTT    time.Duration // smallest of the last minutes; 0 before the first sample
	MSS       uint32        // effective send MSS [C.SMSS]

	// The delivery rate, from the newest packet that this ACK says arrived.
	// Interval is 0 when the ACK gave no valid sample.
	TotalDelivered  uint64        // [C.delivered]; an idle connection may begin again at 0
	PriorDelivered  uint64        // TotalDelivered when that packet was sent [P.delivered]
	SampleDelivered uint32        // delivered between its departure and now [RS.delivered]
	SampleLost      uint32        // lost between its departure and now [RS.lost]
	TxInFlight      uint32        // in flight just after it was sent [RS.tx_in_flight]
	Interval        time.Duration // the longer of the send and the ACK interval [RS.interval]
	Rate            uint64        // SampleDelivered in Interval, bytes a second [RS.delivery_rate]
	AppLimited      bool          // the packet left while the program was the limit [RS.is_app_limited]

	CwndLimited bool // cwnd was what stopped the sender since the last ACK
	InRecovery  bool // loss recovery goes on after this ACK
	Paced       bool // departures are spread over time
	NoSACK      bool // at most one loss a round trip can be seen [not C.has_selective_acks]
}

// Loss describes why the window must shrink.
type Loss struct {
	Now    mono.Time
	Flight uint32 // FlightSize, RFC 5681 §2
	MSS    uint32
	ECN    bool // a congestion mark, nothing was lost (RFC 3168 §6.1.2, RFC 8511)
}

// Algorithm is one way to govern cwnd. Its methods are called with the
// connection's State and must keep neither it nor the sample. An Algorithm must
// be safe for use by many connections at once, which it is when it has no
// fields.
type Algorithm interface {
	// Name is what sysctl net.ipv4.tcp_congestion_control would call it.
	Name() string
	// Init sets up s for a new connection, or for one that changes to this
	// algorithm while it lives. Cwnd and SSThresh hold what to begin with, S
	// and Ext nothing.
	Init(s *State, now mono.Time, mss uint32, seed uint64)
	// OnSent precedes each transmission of new data; flight is what is in
	// flight before it.
	OnSent(s *State, now mono.Time, bytes, flight uint32)
	// OnAck follows each ACK that acknowledges or SACKs something new: outside
	// recovery, after a timeout (slow start), and in recovery only for
	// algorithms that own it.
	OnAck(s *State, r *RateSample)
	// OnLossEvent is called once per window in which loss was detected other
	// than by timeout, or a congestion mark arrived, before the window is
	// reduced. It sets SSThresh.
	OnLossEvent(s *State, l *Loss)
	// OnRTO is called when the retransmission timer expired; first says that
	// the segment had been sent only once, RFC 5681 §3.1. It sets SSThresh and
	// Cwnd.
	OnRTO(s *State, l *Loss, first bool)
	// OnRecoveryExit follows the end of recovery; Cwnd is SSThresh by then,
	// unless the algorithm owns recovery.
	OnRecoveryExit(s *State, now mono.Time)
	// OnUndo restores what the last OnLossEvent or OnRTO took, because that
	// turned out to be spurious.
	OnUndo(s *State, now mono.Time)
	// OnIdleRestart is called before sending after an idle period of more than
	// one RTO; restart is the restart window in bytes, RFC 5681 §4.1.
	OnIdleRestart(s *State, now mono.Time, restart uint32)
	// Control returns the window to obey and the pacing rate in bytes a second;
	// rate 0 leaves it to the connection, which derives it from cwnd and SRTT.
	Control(s *State) (cwnd uint32, pacing uint64)
}

// Owner is an Algorithm that governs the window in recovery as well, where
// Proportional Rate Reduction (RFC 9937) does for the others, and wants to know
// of every loss.
type Owner interface {
	Algorithm
	// OnLost is called for each packet that is marked lost, before the sample
	// of the ACK that showed it.
	OnLost(s *State, p *LostPacket)
}

// LostPacket is a packet that was marked lost.
type LostPacket struct {
	Now            mono.Time
	Bytes          uint32 // [P.size]
	TxInFlight     uint32 // in flight just after it was sent [P.tx_in_flight]
	LostSince      uint32 // lost since it was sent, itself included [RS.lost]
	TotalDelivered uint64 // [C.delivered]
	PriorDelivered uint64 // [P.delivered]
	MSS            uint32
	AppLimited     bool // [P.is_app_limited]
}
