package trace

// states are the names of RFC 9293 §3.3.2, at the numbers that events carry.
var states = [...]string{
	"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
	"FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
}

// StateName returns the RFC 9293 §3.3.2 name of a state: CLOSED is 0, LISTEN 1,
// SYN-SENT 2, SYN-RECEIVED 3, ESTABLISHED 4, FIN-WAIT-1 5, FIN-WAIT-2 6,
// CLOSE-WAIT 7, CLOSING 8, LAST-ACK 9, TIME-WAIT 10. Other numbers are "?".
func StateName(s uint8) string {
	if int(s) < len(states) {
		return states[s]
	}
	return "?"
}

var kinds = [...]string{
	SegmentIn:   "in",
	SegmentOut:  "out",
	StateChange: "state",
	Timer:       "timer",
	Congestion:  "congestion",
	Dropped:     "dropped",
	Closed:      "closed",
	MarkedLost:  "lost",
}

// String returns the kind in one lower-case word, "?" for a number that is no
// kind.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return "?"
}

var whys = [WhyEnd]string{
	WhyNone:              "none",
	WhyHandshake:         "handshake",
	WhyNewData:           "new data",
	WhyRetransmitTimeout: "retransmission timeout",
	WhyFastRetransmit:    "fast retransmit",
	WhyPartialACK:        "partial ack",
	WhyFIN:               "fin",
	WhyACK:               "ack",
	WhyDelayedACK:        "delayed ack",
	WhyDuplicateACK:      "duplicate ack",
	WhyWindowUpdate:      "window update",
	WhyChallengeACK:      "challenge ack",
	WhyZeroWindowProbe:   "zero-window probe",
	WhyKeepalive:         "keepalive",
	WhyReset:             "reset",
	WhyUrgent:            "urgent",
	WhyTimeWait:          "time-wait",
	WhyFinWait2:          "fin-wait-2",
	WhyUserTimeout:       "user timeout",
	WhyUnacceptable:      "unacceptable",
	WhyPAWS:              "paws",
	WhyNoACK:             "no ack",
	WhyAckOfUnsent:       "ack of unsent",
	WhyOldACK:            "old ack",
	WhyMemory:            "memory",
	WhyPeerReset:         "reset by peer",
	WhyRefused:           "refused",
	WhyICMP:              "icmp",
	WhyAborted:           "aborted",
	WhyRecoveryEntered:   "recovery entered",
	WhyRecoveryLeft:      "recovery left",
	WhySillyWindow:       "silly window",
	WhyTailLossProbe:     "tail loss probe",
	WhyReordering:        "reordering timer",
	WhySpurious:          "spurious",
	WhyFastOpen:          "fast open",
	WhySYNCookie:         "syn cookie",
	WhyCongestionMark:    "congestion mark",
	WhyRACK:              "rack",
	WhyDuplicates:        "duplicates",
	WhyPathMTU:           "path mtu",
	WhyFRTO:              "f-rto",
	WhyWindowOpened:      "window opened",
	WhyMTUProbe:          "mtu probe",
	WhyBlackHole:         "black hole",
}

// String returns the reason in lower-case words, "none" for the zero Why, "?"
// for a number that is no reason.
func (w Why) String() string {
	if w < WhyEnd {
		return whys[w]
	}
	return "?"
}

// Retransmission reports whether a segment sent for this reason carries bytes
// that were sent before. A tail loss probe may, or may bring new ones.
func (w Why) Retransmission() bool {
	switch w {
	case WhyRetransmitTimeout, WhyFastRetransmit, WhyPartialACK, WhyReordering, WhyPathMTU, WhyWindowOpened:
		return true
	}
	return false
}

var recoveries = [...]string{RecoveryNone: "none", RecoveryFast: "fast", RecoveryTimeout: "timeout"}

// String returns the kind of recovery in one lower-case word, "?" for a number
// that is none.
func (r Recovery) String() string {
	if int(r) < len(recoveries) {
		return recoveries[r]
	}
	return "?"
}
