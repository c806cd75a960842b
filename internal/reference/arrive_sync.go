package reference

// admission is what the first step lets through.
type admission uint8

const (
	admitNothing admission = iota
	admitACK               // the ACK field alone; see onlyACKCounts
	admitAll
)

// verdict is where the fifth step leaves the segment.
type verdict uint8

const (
	drop   verdict = iota // answered or not, finished
	ignore                // finished, but the ACK field was fine
	goOn
)

// otherStates is section 3.10.7.4. Its third step, security, does not apply.
func (a *arrival) otherStates() {
	if a.State == TimeWait && isRequest(a.s) {
		a.timeWaitRequest()
		return
	}
	admitted := a.first()
	if admitted == admitNothing || !a.second() || !a.fourth() {
		return
	}
	v := a.fifth()
	switch {
	case v == drop:
	case admitted == admitACK:
		a.unacceptable()
	case v == goOn:
		a.sixthToEighth()
	}
}

// timeWaitRequest is a SYN in TIME-WAIT, to which the sequence check does not
// apply (RFC 6191 section 2; RFC 9293 section 3.10.7.4, first step, last note but
// one). The two texts differ on a request that is turned down: RFC 6191 drops it
// silently, the fourth step answers any SYN with a challenge ACK. Both are right,
// unless nobody listens: then RFC 6191 has nothing to say.
func (a *arrival) timeWaitRequest() {
	switch {
	case reopensTimeWait(a.Vars, a.s):
		a.note(rule6191Open)
		a.passiveOpen()
		a.Reopened = true
	case a.Listener:
		a.note(rule6191Drop)
		a.wantACK(ackOptional)
	default:
		a.note(ruleSY1)
		a.challenge()
	}
}

// first is "First, check sequence number". A RST goes on to the second step,
// whose test on SEG.SEQ alone drops every RST that table 6 would, and keeps the
// ones MUST-66 protects.
func (a *arrival) first() admission {
	switch {
	case a.s.RST:
		return admitAll
	case simultaneousOpen(a.Vars, a.s):
		a.note(ruleSQ5Open)
		return admitAll
	case synBeforeWindow(a.Vars, a.s):
		a.note(ruleSQ4SYN)
	case acceptable(a.Vars, a.s):
		return admitAll
	case onlyACKCounts(a.Vars, a.s):
		if a.s.SEQ == a.RcvNXT {
			a.note(ruleSQ3)
		} else {
			a.note(ruleSQ5)
		}
		return admitACK
	default:
		a.note(ruleSQ2)
	}
	if repeatsSYN(a.Vars, a.s) {
		a.Instead = append(a.Instead, Reply{Kind: KindSYNACK, SEQ: a.ISS, ACK: a.RcvNXT})
	}
	a.unacceptable()
	return admitNothing
}

// second is "Second, check the RST bit" with the three checks of RFC 5961 section
// 3.2; false ends the processing. SEG.SEQ is the number on the wire: a RST
// trimmed to begin at RCV.NXT would match by accident.
func (a *arrival) second() bool {
	if !a.s.RST {
		return true
	}
	inWindow, exact := numberInWindow(a.Vars, a.s.SEQ), a.s.SEQ == a.RcvNXT
	switch {
	case a.State == TimeWait:
		a.note(rule1337)
		if inWindow && !exact && a.ChallengeBudget {
			a.wantACK(ackOptional) // check 3 of the text knows no exception for TIME-WAIT
		}
	case !inWindow:
		a.note(ruleRS2Drop)
	case !exact:
		a.note(ruleRS2Challenge)
		a.challenge()
	default:
		a.reset()
	}
	return false
}

// reset is the per-state part of the second step.
func (a *arrival) reset() {
	switch {
	case a.State == SynReceived && a.PassiveOpen:
		a.note(ruleRS1Listen)
		a.forget(Listen)
	case a.State == SynReceived:
		a.note(ruleRS1Refused)
		a.Signal = SignalRefused
		a.deleteTCB()
	case a.State == Closing || a.State == LastAck:
		a.note(ruleRS2Delete)
		a.deleteTCB()
	default:
		a.note(ruleRS2Reset)
		a.Signal = SignalReset
		a.deleteTCB()
	}
}

// fourth is "Fourth, check the SYN bit"; false ends the processing.
func (a *arrival) fourth() bool {
	switch {
	case !a.s.SYN || simultaneousOpen(a.Vars, a.s):
		return true
	case a.State == SynReceived && a.PassiveOpen:
		a.note(ruleSY1Listen)
		a.forget(Listen)
	default:
		a.note(ruleSY1)
		a.challenge()
	}
	return false
}

// fifth is "Fifth, check the ACK field".
func (a *arrival) fifth() verdict {
	switch {
	case !a.s.ACK:
		a.note(ruleAK1)
		return drop
	case a.State == SynReceived:
		return a.fifthSynReceived()
	case !ackInRange(a.Vars, a.s):
		a.note(ruleAK2)
		a.challenge()
		return drop
	case a.State == TimeWait:
		return a.fifthTimeWait()
	}
	a.fifthEstablished()
	switch {
	case a.State == FinWait1 && finIsAcked(a.Vars):
		a.note(ruleAK4FinWait2)
		a.State = FinWait2
	case a.State == Closing && finIsAcked(a.Vars):
		a.note(ruleAK4TimeWait)
		a.State, a.TimeWaitRestarted = TimeWait, true
	case a.State == Closing:
		a.note(ruleAK4Ignore)
		return ignore
	case a.State == LastAck && finIsAcked(a.Vars):
		a.note(ruleAK4Closed)
		a.deleteTCB()
		return drop
	}
	return goOn
}

// fifthSynReceived completes a handshake. Printed before it, the range of RFC
// 5961 would answer an ACK far outside with an ACK and one slightly outside with
// a RST; section 3.5.2 (2) wants a RST for every unacceptable ACK in
// SYN-RECEIVED, and the interval here is narrower than the range anyway. The
// literal order is allowed as well. After the RST the segment is dropped, which
// the text leaves unsaid, and the state stays.
func (a *arrival) fifthSynReceived() verdict {
	if !ackIsNew(a.Vars, a.s) {
		a.note(ruleAKReset)
		a.reply(KindRST, a.s.AckNo, 0)
		if !ackInRange(a.Vars, a.s) {
			a.Instead = append(a.Instead, Reply{Kind: KindACK, SEQ: a.SndNXT, ACK: a.RcvNXT})
		}
		return drop
	}
	a.note(ruleAKSynReceived)
	if a.s.SYN {
		// Figure 7 shows no answer to the SYN,ACK; by table 6 it would get one.
		a.wantACK(ackOptional)
	}
	a.State = Established
	a.SndUNA = a.s.AckNo
	a.setSendWindow()
	return goOn
}

// fifthEstablished is the processing of the ESTABLISHED state, which FIN-WAIT-1,
// FIN-WAIT-2, CLOSE-WAIT and CLOSING share by the text. LAST-ACK has it too: data
// may still be outstanding before our FIN.
func (a *arrival) fifthEstablished() {
	if ackIsNew(a.Vars, a.s) {
		a.note(ruleAKNew)
		a.SndUNA = a.s.AckNo
	} else {
		a.note(ruleAKDuplicate)
	}
	if updatesWindow(a.Vars, a.s) {
		a.note(ruleAK3)
		a.setSendWindow()
		if lt(a.s.SEQ, a.RcvNXT) {
			a.Free |= FreeSndWL1 // a trimmed segment begins at RCV.NXT
		}
	}
}

// fifthTimeWait: "The only thing that can arrive in this state is a
// retransmission of the remote FIN". Only that is acknowledged and restarts the
// timer; to answer a bare ACK would let two endpoints in TIME-WAIT answer each
// other for ever. Whether something else restarts the timer is left open, since
// the text does not expect it.
func (a *arrival) fifthTimeWait() verdict {
	if !isRetransmittedFIN(a.Vars, a.s) {
		a.note(ruleTW1NoFIN)
		a.Free |= FreeTimeWait
		return goOn
	}
	a.note(ruleTW1)
	a.TimeWaitRestarted = true
	a.wantACK(ackNow)
	return goOn
}

// sixthToEighth runs the rest. The sixth step, URG, moves RCV.UP and signals
// urgent data, neither of which is part of an Outcome.
func (a *arrival) sixthToEighth() {
	a.edge = a.RcvNXT + a.RcvWND
	a.seventh()
	a.eighth()
}

// seventh is "Seventh, process the segment text". A segment without text owes no
// ACK: "if it did, we would wind up ACKing ACKs" (section 3.5).
func (a *arrival) seventh() {
	if a.s.Len == 0 {
		return
	}
	if !acceptsText(a.State) {
		a.note(ruleTextIgnored)
		a.wantACK(ackOptional)
		return
	}
	start, n := a.newText()
	switch {
	case n == 0:
	case start == a.RcvNXT:
		a.note(ruleText)
		a.Delivered = n
		a.RcvNXT += n
		a.wantACK(ackOwed)
	default:
		a.note(ruleTextHeld)
		a.wantACK(ackNow)
	}
}

// newText is the part of the text that lies in the window: where it begins and
// how many octets it has.
func (a *arrival) newText() (start, n uint32) {
	start, n = a.s.SEQ+one(a.s.SYN), a.s.Len
	if lt(start, a.RcvNXT) {
		old := min(a.RcvNXT-start, n)
		start, n = start+old, n-old
	}
	if !lt(start, a.edge) {
		return start, 0
	}
	return start, min(n, a.edge-start)
}

// eighth is "Eighth, check the FIN bit". The FIN is processed when everything
// before it has been: when it stands at RCV.NXT, inside the window.
func (a *arrival) eighth() {
	if !a.s.FIN {
		return
	}
	if fin := a.s.finSEQ(); fin != a.RcvNXT || !lt(fin, a.edge) {
		a.finNotDue()
		return
	}
	switch {
	case a.State == Established:
		a.note(ruleFN1CloseWait)
		a.takeFIN(CloseWait, ackOwed)
	case a.State == FinWait1:
		a.note(ruleFN2Closing)
		a.takeFIN(Closing, ackOwed)
	case a.State == FinWait2 && a.before == FinWait1:
		a.note(ruleFN2TimeWait)
		a.takeFIN(TimeWait, ackNow)
	case a.State == FinWait2:
		a.note(ruleFN2FromFinWait2)
		a.takeFIN(TimeWait, ackNow)
	default:
		a.finAgain()
	}
}

// finNotDue: a FIN behind a gap counts like text behind a gap; one outside the
// window is trimmed off.
func (a *arrival) finNotDue() {
	a.note(ruleFN1Held)
	switch {
	case !acceptsText(a.State):
		a.wantACK(ackOptional)
	case lt(a.RcvNXT, a.s.finSEQ()) && lt(a.s.finSEQ(), a.edge):
		a.wantACK(ackNow)
	default:
		a.wantACK(ackOptional)
	}
}

// takeFIN advances RCV.NXT over the FIN. Its ACK may be delayed like any other
// (section 3.8.6.3), except on the way into TIME-WAIT, where "the other timers"
// are turned off.
func (a *arrival) takeFIN(next State, u urgency) {
	a.State = next
	a.RcvNXT++
	a.Signal = SignalClosing
	a.TimeWaitRestarted = a.TimeWaitRestarted || next == TimeWait
	a.wantACK(u)
}

// finAgain is a FIN at RCV.NXT when a FIN has been received before. The text
// would advance RCV.NXT once more, over a number that cannot exist: nothing
// follows a FIN (RFC 9293 section 4, "FIN"). So it is acknowledged and the state
// stays, as the text says; RCV.NXT stays too, and the user, told once, is not
// told again.
func (a *arrival) finAgain() {
	a.wantACK(ackNow)
	if a.State != TimeWait {
		a.note(ruleFN1Again)
		return
	}
	a.note(ruleFN1AgainTimeWait)
	a.TimeWaitRestarted = true
}
