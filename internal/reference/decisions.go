package reference

// This file holds every decision that RFC 9293 section 3.10.7 leaves to the
// reader, or that another RFC takes, as a named function.

// acceptable is table 6 of RFC 9293 section 3.10.7.4, the acceptability test of
// the first step, exactly as printed.
func acceptable(v Vars, s Seg) bool {
	switch n := s.LEN(); {
	case n == 0 && v.RcvWND == 0:
		return s.SEQ == v.RcvNXT
	case n == 0:
		return between(v.RcvNXT, s.SEQ, v.RcvWND)
	case v.RcvWND == 0:
		return false
	default:
		return between(v.RcvNXT, s.SEQ, v.RcvWND) || between(v.RcvNXT, s.SEQ+n-1, v.RcvWND)
	}
}

// numberInWindow tells whether one sequence number lies in the receive window.
// A window of zero still holds RCV.NXT itself, as in the first row of table 6:
// RSTs must be processed with a zero window (RFC 9293 section 3.4, MUST-66).
func numberInWindow(v Vars, seq uint32) bool {
	return seq == v.RcvNXT || between(v.RcvNXT, seq, v.RcvWND)
}

// onlyACKCounts: the segment is unacceptable, but its ACK field is processed
// before it is acknowledged and dropped. Text, FIN, SYN and RST do not profit.
//
//   - RCV.WND is zero and the segment begins at RCV.NXT: "special allowance
//     should be made to accept valid ACKs" (RFC 9293 section 3.10.7.4, first
//     step). Two endpoints that probe each other's closed window depend on it.
//   - The segment begins at RCV.NXT-1: a keepalive probe, or the FIN of a
//     simultaneous close sent again. RFC 9293 appendix A.2 asks implementers to
//     consider draft-gont-tcpm-tcp-seq-validation-04, after which the ACK field
//     of such a segment counts. Only in synchronized states: no peer has a
//     reason to send one earlier, except the SYN,ACK of simultaneousOpen.
//   - TIME-WAIT and the peer's FIN again, with or without text before it: the
//     fifth step wants to see it and the first would not let it through.
func onlyACKCounts(v Vars, s Seg) bool {
	if !s.ACK || s.SYN || s.RST {
		return false
	}
	switch {
	case v.RcvWND == 0 && s.SEQ == v.RcvNXT:
		return true
	case v.State == SynReceived:
		return false
	case s.SEQ == v.RcvNXT-1:
		return true
	}
	return v.State == TimeWait && isRetransmittedFIN(v, s)
}

// isRetransmittedFIN: the segment ends with the FIN that was received as the
// octet before RCV.NXT. Only meaningful once a FIN was received.
func isRetransmittedFIN(v Vars, s Seg) bool {
	return s.FIN && s.finSEQ() == v.RcvNXT-1
}

// simultaneousOpen: the SYN,ACK of figure 7 line 6, which repeats the SYN that
// brought SYN-SENT to SYN-RECEIVED and acknowledges ours. By table 6 it is
// unacceptable (or, with text, has a SYN in a synchronized state), yet the
// figure and MUST-10 want ESTABLISHED; draft-gont-tcpm-tcp-seq-validation-04
// lists it too. Its SYN lies before the window and is trimmed off.
func simultaneousOpen(v Vars, s Seg) bool {
	return v.State == SynReceived && !v.PassiveOpen && s.SYN && s.ACK && !s.RST &&
		s.SEQ == v.IRS && v.RcvNXT == v.IRS+1 && ackIsNew(v, s)
}

// synBeforeWindow: SYN-RECEIVED and a SYN whose own number is outside the
// window, so that it is trimmed off (RFC 9293 section 3.10.7.4, first step, last
// item). What is then left has no standing of its own: the whole segment counts
// as unacceptable. Otherwise the SYN sent again with text on it would pass table
// 6 by its last octet and send a passive connection back to LISTEN.
func synBeforeWindow(v Vars, s Seg) bool {
	return v.State == SynReceived && s.SYN && !numberInWindow(v, s.SEQ)
}

// repeatsSYN: the SYN that opened this connection, once more. The text answers
// with an ACK; sending the SYN,ACK again is a retransmission, which is allowed
// at any time, and serves the peer better.
func repeatsSYN(v Vars, s Seg) bool {
	return v.State == SynReceived && s.SYN && !s.ACK && s.SEQ == v.IRS
}

// ackIsNew is the "acceptable ack" of RFC 9293 section 3.4. In SYN-SENT it is an
// interval, not SEG.ACK = SND.NXT, since a SYN may carry text (section
// 3.10.7.3, first step).
func ackIsNew(v Vars, s Seg) bool {
	return lt(v.SndUNA, s.AckNo) && leq(s.AckNo, v.SndNXT)
}

// ackInRange is the input check of RFC 5961 section 5.2, MAY-12 of RFC 9293:
// SND.UNA-MAX.SND.WND =< SEG.ACK =< SND.NXT. Without the lower end a forged ACK
// passes with one chance in two.
func ackInRange(v Vars, s Seg) bool {
	low := v.SndUNA - v.MaxSndWND
	return s.AckNo-low <= v.SndNXT-low
}

// finIsAcked: our FIN was sent, is the last octet sent, and nothing is
// outstanding.
func finIsAcked(v Vars) bool { return v.FinSent && v.SndUNA == v.SndNXT }

// updatesWindow is the test against old segments of the fifth step (RFC 9293
// section 3.10.7.4): SND.WL1 < SEG.SEQ, or equal and SND.WL2 =< SEG.ACK. SEG.SEQ
// is taken as it arrived, before any trimming.
func updatesWindow(v Vars, s Seg) bool {
	return leq(v.SndUNA, s.AckNo) && leq(s.AckNo, v.SndNXT) &&
		(lt(v.SndWL1, s.SEQ) || v.SndWL1 == s.SEQ && leq(v.SndWL2, s.AckNo))
}

// reopensTimeWait: a connection request in TIME-WAIT opens a new connection,
// with timestamps off, if its number is above every number of the old one (RFC
// 6191 section 2; RFC 9293 section 3.6.1, MAY-2). RCV.NXT itself is not above: the
// comparison is strict. A SYN,ACK is no request. Some passive OPEN must be there
// to take it.
func reopensTimeWait(v Vars, s Seg) bool {
	return v.Listener && isRequest(s) && lt(v.RcvNXT, s.SEQ)
}

// isRequest: the segment asks for a connection.
func isRequest(s Seg) bool { return s.SYN && !s.ACK && !s.RST }

// acceptsText: the states in which the seventh step takes text and the eighth
// step a first FIN.
func acceptsText(s State) bool {
	return s == Established || s == FinWait1 || s == FinWait2
}
