package reference

// arrival is one segment on its way through section 3.10.7; the embedded Outcome
// grows as the steps run.
type arrival struct {
	Outcome
	s Seg

	before State  // the state on arrival, for messages and FIN-WAIT-1
	edge   uint32 // RCV.NXT+RCV.WND before any text is taken: the first number outside
	ack    urgency
	trail  []ruleID
}

// urgency is how strongly the steps so far ask for an ACK. Several steps may ask;
// one ACK answers all (RFC 9293 section 3.10.7.4, MUST-58).
type urgency uint8

const (
	ackNone     urgency = iota
	ackOptional         // permitted, not asked for
	ackOwed             // now or delayed
	ackNow
)

// Arrive says what RFC 9293 section 3.10.7 does with segment s at an endpoint
// whose variables are v: the next state, the reply, what is delivered and
// signalled, and the variables afterwards. It is a pure function, defined for
// every input, and does not block.
func Arrive(v Vars, s Seg) Outcome {
	a := newArrival(v, s)
	a.run()
	return a.Outcome
}

func newArrival(v Vars, s Seg) *arrival {
	return &arrival{Outcome: Outcome{Vars: v}, s: s, before: v.State}
}

func (a *arrival) run() {
	switch {
	case a.State == Listen:
		a.listen()
	case a.State == SynSent:
		a.synSent()
	case a.State >= SynReceived && a.State <= TimeWait:
		a.otherStates()
	default:
		a.closed()
	}
	a.sendACK()
}

// closed is section 3.10.7.1.
func (a *arrival) closed() {
	switch {
	case a.s.RST:
		a.note(ruleCL2)
	case a.s.ACK:
		a.note(ruleCL1)
		a.reply(KindRST, a.s.AckNo, 0)
	default:
		a.note(ruleCL1)
		a.reply(KindRSTACK, 0, a.s.SEQ+a.s.LEN())
	}
}

// listen is section 3.10.7.2.
func (a *arrival) listen() {
	switch {
	case a.s.RST: // first
		a.note(ruleLI1RST)
	case a.s.ACK: // second
		a.note(ruleLI1ACK)
		a.reply(KindRST, a.s.AckNo, 0)
	case a.s.SYN: // third
		a.note(ruleLI1SYN)
		a.passiveOpen()
	default: // fourth
		a.note(ruleLI1Drop)
	}
}

// passiveOpen is the third step of section 3.10.7.2. Text and FIN on the SYN are
// "queued for processing later", and section 3.5 wants no text delivered before
// ESTABLISHED, so RCV.NXT covers the SYN alone. The text does not set the send
// window here; it is set when the handshake completes.
func (a *arrival) passiveOpen() {
	v := &a.Vars
	v.State, v.PassiveOpen, v.FinSent = SynReceived, true, false
	v.RcvNXT, v.IRS = a.s.SEQ+1, a.s.SEQ
	v.ISS = v.NextISS
	v.SndUNA, v.SndNXT = v.ISS, v.ISS+1
	v.SndWND, v.SndWL1, v.SndWL2, v.MaxSndWND = a.s.WND, a.s.SEQ, v.ISS, a.s.WND
	a.Free |= FreeSndWND | FreeSndWL1 | FreeSndWL2
	a.reply(KindSYNACK, v.ISS, v.RcvNXT)
}

// synSent is section 3.10.7.3. Its third step, security, does not apply.
func (a *arrival) synSent() {
	if !a.synSentACK() {
		return
	}
	switch {
	case a.s.RST:
		a.synSentRST()
	case a.s.SYN:
		a.synSentSYN()
	default: // fifth
		a.note(ruleSS3Drop)
	}
}

// synSentACK is the first step of section 3.10.7.3; false ends the processing.
func (a *arrival) synSentACK() bool {
	if !a.s.ACK || lt(a.ISS, a.s.AckNo) && ackIsNew(a.Vars, a.s) {
		return true
	}
	if a.s.RST {
		a.note(ruleSS1Drop)
		return false
	}
	a.note(ruleSS1RST)
	a.reply(KindRST, a.s.AckNo, 0)
	return false
}

// synSentRST is the second step of section 3.10.7.3. RFC 5961 would first compare
// SEG.SEQ with RCV.NXT, but nothing has been received that could have set it,
// and section 3.5.3 calls the RST acceptable if it acknowledges the SYN. The
// signal is "refused": section 3.10.7.3 says "connection reset", but tells it
// apart from no other cause, and 3.10.7.4 names the same event on a handshake
// from an active OPEN "connection refused".
func (a *arrival) synSentRST() {
	if !a.s.ACK {
		a.note(ruleSS2Drop)
		return
	}
	a.note(ruleSS2Refused)
	a.Signal = SignalRefused
	a.deleteTCB()
}

// synSentSYN is the fourth step of section 3.10.7.3. The send window is set in
// both branches: RFC 9293 prints the three assignments once, behind the second,
// while RFC 1122 section 4.2.2.20 (c) requires them on entering ESTABLISHED.
// Processing goes on with the state just entered, so a FIN on the SYN,ACK is
// processed: it can be validated by then.
func (a *arrival) synSentSYN() {
	a.RcvNXT, a.IRS = a.s.SEQ+1, a.s.SEQ
	a.setSendWindow()
	if !a.s.ACK {
		a.note(ruleSS3SynReceived)
		a.State, a.PassiveOpen = SynReceived, false
		a.Free |= FreeSndWL2 // SEG.ACK means nothing without the ACK bit
		a.reply(KindSYNACK, a.ISS, a.RcvNXT)
		return
	}
	a.note(ruleSS3Established)
	a.SndUNA = a.s.AckNo
	a.State = Established
	a.wantACK(ackNow)
	a.sixthToEighth()
}

func (a *arrival) setSendWindow() {
	a.SndWND, a.SndWL1, a.SndWL2 = a.s.WND, a.s.SEQ, a.s.AckNo
	a.MaxSndWND = max(a.MaxSndWND, a.s.WND)
}

func (a *arrival) note(id ruleID) { a.trail = append(a.trail, id) }

func (a *arrival) reply(k Kind, seq, ack uint32) {
	a.Replies = append(a.Replies, Reply{Kind: k, SEQ: seq, ACK: ack})
}

func (a *arrival) wantACK(u urgency) { a.ack = max(a.ack, u) }

// sendACK forms the one ACK the steps asked for: <SEQ=SND.NXT><ACK=RCV.NXT>, with
// the variables as the steps left them.
func (a *arrival) sendACK() {
	if a.ack == ackNone {
		return
	}
	a.Replies = append(a.Replies, Reply{
		Kind: KindACK, SEQ: a.SndNXT, ACK: a.RcvNXT,
		Owed: a.ack == ackOwed, Optional: a.ack == ackOptional,
	})
}

// challenge answers with the challenge ACK of RFC 5961 as far as its throttle
// (section 7) allows.
func (a *arrival) challenge() {
	if a.ChallengeBudget {
		a.wantACK(ackNow)
	}
}

// unacceptable answers a segment that failed the first step. The same throttle
// may hold the ACK back, but need not: two endpoints that answer each other's
// unacceptable segments without end are the danger, and a stack may tell those
// apart in other ways.
func (a *arrival) unacceptable() {
	if a.ChallengeBudget {
		a.wantACK(ackNow)
	} else {
		a.wantACK(ackOptional)
	}
}

// deleteTCB enters CLOSED. No variable outlives the TCB.
func (a *arrival) deleteTCB() {
	a.forget(Closed)
	a.Deleted = true
}

// forget enters a state without a connection, CLOSED or LISTEN.
func (a *arrival) forget(s State) {
	a.Vars = Vars{State: s, Listener: a.Listener, NextISS: a.NextISS, ChallengeBudget: a.ChallengeBudget}
	a.Free |= FreeVariables
}
