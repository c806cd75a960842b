// Package cc holds congestion control algorithms. An Algorithm is code without
// state, shared by all connections; its State is data inside each connection.
// All arithmetic is on integers, so that results are the same on every machine.
package cc

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// State is what an algorithm remembers of one connection. Cwnd and SSThresh
// are in bytes; S and Ext belong to the algorithm.
type State struct {
	Cwnd     uint32
	SSThresh uint32
	S        [4]uint64
	Ext      any
}

// Infinite is the initial slow start threshold: "arbitrarily high",
// RFC 5681 §3.1.
const Infinite = 1<<31 - 1

// RateSample describes what one acknowledgement taught.
type RateSample struct {
	Now        mono.Time
	Acked      uint32        // bytes newly acknowledged by this ACK
	Flight     uint32        // bytes outstanding before this ACK
	RTT        time.Duration // newest sample; 0 when the ACK gave none
	SRTT       time.Duration // smoothed; 0 before the first sample
	MSS        uint32        // effective send MSS
	AppLimited bool          // cwnd was not the limit when this was sent
	InRecovery bool          // before or after this ACK
}

// Algorithm is one way to govern cwnd. Its methods are called with the
// connection's State and must not keep it. An Algorithm must be safe for use
// by many connections at once, which it is when it has no fields.
type Algorithm interface {
	// Name is what sysctl net.ipv4.tcp_congestion_control would call it.
	Name() string
	// Init sets up s for a new connection; Cwnd holds the initial window.
	Init(s *State, mss uint32, seed uint64)
	// OnSent follows each transmission of new data.
	OnSent(s *State, now mono.Time, bytes, flight uint32)
	// OnAck follows each acknowledgement of new data outside recovery. The
	// sample comes by value: through an interface a pointer would allocate.
	OnAck(s *State, r RateSample)
	// OnLossEvent is called once per window in which loss was detected other
	// than by timeout, on entering recovery. It sets SSThresh.
	OnLossEvent(s *State, now mono.Time, flight, mss uint32)
	// OnRTO is called when the retransmission timer expired; first says that
	// the segment had been sent only once, RFC 5681 §3.1. It sets SSThresh and
	// Cwnd.
	OnRTO(s *State, now mono.Time, flight, mss uint32, first bool)
	// OnUndo restores what the last OnLossEvent or OnRTO took, because that
	// turned out to be spurious.
	OnUndo(s *State)
	// OnIdleRestart is called before sending after an idle period of more than
	// one RTO; restart is the restart window in bytes, RFC 5681 §4.1.
	OnIdleRestart(s *State, now mono.Time, restart uint32)
	// Control returns the window to obey and the pacing rate in bytes a second
	// (0: none).
	Control(s *State, inRecovery bool) (cwnd uint32, pacing uint64)
}
