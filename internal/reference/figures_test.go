package reference

import "testing"

// The figures of RFC 9293 in which segments arrive, one arrival after the other,
// seen from the peer the line points at. Numbers are the figures' own.

// endpoint plays one peer of a figure: its variables, moved on by arrivals.
type endpoint struct {
	t *testing.T
	v Vars
}

// arrive feeds seg and checks the state and the reply, as Reply.String; "" for
// none. A reply that may be left out is checked like any other.
func (e *endpoint) arrive(line string, seg Seg, next State, reply string) {
	e.t.Helper()
	o := Arrive(e.v, seg)
	if o.State != next || only(e.t, o.Replies) != reply {
		e.t.Errorf("line %s: %v at %v: %v %v, want %v [%s]\nrules: %s",
			line, seg, e.v.State, o.State, o.Replies, next, reply, Explain(e.v, seg))
	}
	e.v = o.Vars
}

func listener(t *testing.T, nextISS uint32) *endpoint {
	return &endpoint{t, Vars{State: Listen, Listener: true, NextISS: nextISS, RcvWND: 1000, ChallengeBudget: true}}
}

func connecting(t *testing.T, iss uint32) *endpoint {
	return &endpoint{t, Vars{State: SynSent, ISS: iss, SndUNA: iss, SndNXT: iss + 1, RcvWND: 1000, ChallengeBudget: true}}
}

func connected(t *testing.T, snd, rcv uint32) *endpoint {
	return &endpoint{t, Vars{State: Established, ISS: snd - 1, SndUNA: snd, SndNXT: snd, SndWND: 1000, MaxSndWND: 1000,
		SndWL1: rcv - 1, SndWL2: snd, IRS: rcv - 1, RcvNXT: rcv, RcvWND: 1000, ChallengeBudget: true}}
}

// close is the CLOSE call of section 3.10.4 with nothing left to send.
func (e *endpoint) close() {
	next := FinWait1
	if e.v.State == CloseWait {
		next = LastAck
	}
	e.v.State, e.v.FinSent = next, true
	e.v.SndNXT++
}

// Figure 5 as a whole: every arrival in it, and its notes 1 and 2.
func TestFigure5(t *testing.T) {
	type edge struct{ from, to State }
	figure := map[edge]bool{
		{Listen, SynReceived}: true, {SynSent, SynReceived}: true, {SynSent, Established}: true,
		{SynReceived, Established}: true, {Established, CloseWait}: true,
		{FinWait1, FinWait2}: true, {FinWait1, Closing}: true, {FinWait2, TimeWait}: true,
		{Closing, TimeWait}: true, {LastAck, Closed}: true,
		{SynReceived, Listen}: true, // note 1
		{FinWait1, TimeWait}:  true, // note 2
	}
	reached := map[edge]bool{}
	everyCase(func(_ string, v Vars, s Seg) bool {
		if s.RST || v.State == TimeWait || v.State == Closed {
			return true // note 3, and what RFC 6191 adds
		}
		e := edge{v.State, Arrive(v, s).State}
		reached[e] = true
		switch {
		case e.from == e.to || figure[e]:
		case s.FIN && e.to == CloseWait && (e.from == SynSent || e.from == SynReceived):
			// ESTABLISHED on the way, in the same segment.
		default:
			t.Errorf("%v at %v goes to %v: not in figure 5\nrules: %s", s, v.State, e.to, Explain(v, s))
			return false
		}
		return true
	})
	for e := range figure {
		if !reached[e] {
			t.Errorf("no case goes from %v to %v", e.from, e.to)
		}
	}
}

func TestFigure6(t *testing.T) {
	a, b := connecting(t, 100), listener(t, 300)
	b.arrive("2", Seg{SYN: true, SEQ: 100, WND: 1000}, SynReceived, "<SEQ=300><ACK=101><CTL=SYN,ACK>")
	a.arrive("3", Seg{SYN: true, ACK: true, SEQ: 300, AckNo: 101, WND: 1000}, Established, "<SEQ=101><ACK=301><CTL=ACK>")
	b.arrive("4", Seg{ACK: true, SEQ: 101, AckNo: 301, WND: 1000}, Established, "")
	b.arrive("5", Seg{ACK: true, SEQ: 101, AckNo: 301, Len: 10, WND: 1000}, Established, "<SEQ=301><ACK=111><CTL=ACK> owed")
}

func TestFigure7(t *testing.T) {
	a, b := connecting(t, 100), connecting(t, 300)
	a.arrive("3", Seg{SYN: true, SEQ: 300, WND: 1000}, SynReceived, "<SEQ=100><ACK=301><CTL=SYN,ACK>")
	b.arrive("4", Seg{SYN: true, SEQ: 100, WND: 1000}, SynReceived, "<SEQ=300><ACK=101><CTL=SYN,ACK>")
	a.arrive("6", Seg{SYN: true, ACK: true, SEQ: 300, AckNo: 101, WND: 1000}, Established, "<SEQ=101><ACK=301><CTL=ACK> optional")
	b.arrive("7", Seg{SYN: true, ACK: true, SEQ: 100, AckNo: 301, WND: 1000}, Established, "<SEQ=301><ACK=101><CTL=ACK> optional")
}

func TestFigure8(t *testing.T) {
	a, b := connecting(t, 100), listener(t, 300)
	b.arrive("3", Seg{SYN: true, SEQ: 90, WND: 1000}, SynReceived, "<SEQ=300><ACK=91><CTL=SYN,ACK>")
	a.arrive("4", Seg{SYN: true, ACK: true, SEQ: 300, AckNo: 91, WND: 1000}, SynSent, "<SEQ=91><CTL=RST>")
	b.arrive("5", Seg{RST: true, SEQ: 91}, Listen, "")
	b.v.NextISS, b.v.RcvWND = 400, 1000 // the listener's, for the next connection
	b.arrive("6", Seg{SYN: true, SEQ: 100, WND: 1000}, SynReceived, "<SEQ=400><ACK=101><CTL=SYN,ACK>")
	a.arrive("7", Seg{SYN: true, ACK: true, SEQ: 400, AckNo: 101, WND: 1000}, Established, "<SEQ=101><ACK=401><CTL=ACK>")
	b.arrive("8", Seg{ACK: true, SEQ: 101, AckNo: 401, WND: 1000}, Established, "")
}

func TestFigure9(t *testing.T) {
	a, b := connecting(t, 400), connected(t, 300, 100)
	b.arrive("3", Seg{SYN: true, SEQ: 400, WND: 1000}, Established, "<SEQ=300><ACK=100><CTL=ACK>")
	a.arrive("4", Seg{ACK: true, SEQ: 300, AckNo: 100, WND: 1000}, SynSent, "<SEQ=100><CTL=RST>")
	b.arrive("5", Seg{RST: true, SEQ: 100}, Closed, "")
	b.arrive("7", Seg{SYN: true, SEQ: 400, WND: 1000}, Closed, "<SEQ=0><ACK=401><CTL=RST,ACK>")
}

func TestFigure10(t *testing.T) {
	a, b := &endpoint{t, Vars{State: Closed}}, connected(t, 300, 100)
	a.arrive("2", Seg{ACK: true, SEQ: 300, AckNo: 100, Len: 10}, Closed, "<SEQ=100><CTL=RST>")
	b.arrive("3", Seg{RST: true, SEQ: 100}, Closed, "")
}

func TestFigure11(t *testing.T) {
	const x, z = 700, 50
	a, b := listener(t, 0), listener(t, x)
	b.arrive("2", Seg{SYN: true, SEQ: z, WND: 1000}, SynReceived, "<SEQ=700><ACK=51><CTL=SYN,ACK>")
	a.arrive("3", Seg{SYN: true, ACK: true, SEQ: x, AckNo: z + 1, WND: 1000}, Listen, "<SEQ=51><CTL=RST>")
	b.arrive("4", Seg{RST: true, SEQ: z + 1}, Listen, "")
}

func TestFigure12(t *testing.T) {
	a, b := connected(t, 100, 300), connected(t, 300, 100)
	a.close()
	b.arrive("2", Seg{ACK: true, FIN: true, SEQ: 100, AckNo: 300, WND: 1000}, CloseWait, "<SEQ=300><ACK=101><CTL=ACK> owed")
	a.arrive("3", Seg{ACK: true, SEQ: 300, AckNo: 101, WND: 1000}, FinWait2, "")
	b.close()
	a.arrive("4", Seg{ACK: true, FIN: true, SEQ: 300, AckNo: 101, WND: 1000}, TimeWait, "<SEQ=101><ACK=301><CTL=ACK>")
	b.arrive("5", Seg{ACK: true, SEQ: 101, AckNo: 301, WND: 1000}, Closed, "")
}

func TestFigure13(t *testing.T) {
	a, b := connected(t, 100, 300), connected(t, 300, 100)
	a.close()
	b.close()
	a.arrive("2", Seg{ACK: true, FIN: true, SEQ: 300, AckNo: 100, WND: 1000}, Closing, "<SEQ=101><ACK=301><CTL=ACK> owed")
	b.arrive("2", Seg{ACK: true, FIN: true, SEQ: 100, AckNo: 300, WND: 1000}, Closing, "<SEQ=301><ACK=101><CTL=ACK> owed")
	a.arrive("3", Seg{ACK: true, SEQ: 301, AckNo: 101, WND: 1000}, TimeWait, "")
	b.arrive("3", Seg{ACK: true, SEQ: 101, AckNo: 301, WND: 1000}, TimeWait, "")
}
