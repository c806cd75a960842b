package reference

import "testing"

// The tests write segments relative to the numbers of Base:
//
//	ours:   iss | 1000 acknowledged | una ... nxt (1000 outstanding)
//	theirs: irs | 500 received      | rcv ... rcv+10000 (window)
const (
	iss = caseISS
	una = iss + 1 + caseAcked
	nxt = una + caseInFlight
	irs = caseIRS
	rcv = irs + 1 + caseReceived
	wnd = caseRcvWND
	mxw = caseMaxSndWND
)

// step is one arrival and what must come of it. Zero values mean: no reply,
// nothing delivered, no signal, variables as before.
type step struct {
	rule  string // requirement row, then what it says
	state State
	vars  func(*Vars) // differences from Base(state)
	seg   Seg

	next      State
	reply     string // as Reply.String, "" for none
	instead   string
	delivered uint32
	signal    Signal
	timeWait  bool
	deleted   bool
	reopened  bool
	after     func(*Vars) // what else differs afterwards; nil: not compared once there is no TCB
}

func (st step) run(t *testing.T) {
	t.Helper()
	v := Base(st.state)
	if st.vars != nil {
		st.vars(&v)
	}
	got := Arrive(v, st.seg)
	fail := func(what string, got, want any) {
		t.Helper()
		t.Errorf("%v at %v:\n%s = %v, want %v\nvars %+v\nrules: %s", st.seg, st.state, what, got, want, v, Explain(v, st.seg))
	}
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			fail(what, got, want)
		}
	}
	check("state", got.State, st.next)
	check("reply", only(t, got.Replies), st.reply)
	check("instead", only(t, got.Instead), st.instead)
	check("delivered", got.Delivered, st.delivered)
	check("signal", got.Signal, st.signal)
	check("time-wait started", got.TimeWaitRestarted, st.timeWait)
	check("deleted", got.Deleted, st.deleted)
	check("reopened", got.Reopened, st.reopened)
	if got.Free&FreeVariables != 0 {
		check("a TCB is left", got.State != Closed && got.State != Listen, false)
		return
	}
	want := v
	want.State = st.next
	if st.after != nil {
		st.after(&want)
	}
	check("variables", got.Vars, want)
}

func only(t *testing.T, rs []Reply) string {
	t.Helper()
	switch len(rs) {
	case 0:
		return ""
	case 1:
		return rs[0].String()
	}
	t.Errorf("more than one reply: %v", rs)
	return ""
}

func runSteps(t *testing.T, steps []step) {
	for _, st := range steps {
		t.Run(st.rule, st.run)
	}
}

func TestClosed(t *testing.T) {
	runSteps(t, []step{
		{rule: "CL1 without ACK the RST acknowledges the whole segment", state: Closed, next: Closed,
			seg: Seg{SYN: true, FIN: true, SEQ: 7, Len: 10}, reply: "<SEQ=0><ACK=19><CTL=RST,ACK>"},
		{rule: "CL1 not even a flag is needed", state: Closed, next: Closed,
			seg: Seg{SEQ: 7}, reply: "<SEQ=0><ACK=7><CTL=RST,ACK>"},
		{rule: "CL1 with ACK the RST takes its number", state: Closed, next: Closed,
			seg: Seg{SYN: true, ACK: true, SEQ: 7, AckNo: 99}, reply: "<SEQ=99><CTL=RST>"},
		{rule: "CL2 a RST is discarded", state: Closed, next: Closed,
			seg: Seg{RST: true, SEQ: 7}},
		{rule: "CL2 a RST,ACK too", state: Closed, next: Closed,
			seg: Seg{RST: true, ACK: true, SEQ: 7, AckNo: 99}},
	})
}

func TestListen(t *testing.T) {
	opened := func(v *Vars) {
		v.PassiveOpen = true
		v.IRS, v.RcvNXT = 7, 8
		v.ISS, v.SndUNA, v.SndNXT = caseNextISS, caseNextISS, caseNextISS+1
		v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = 4000, 4000, 7, caseNextISS
	}
	synack := "<SEQ=200000><ACK=8><CTL=SYN,ACK>"
	runSteps(t, []step{
		{rule: "LI1 first RST", state: Listen, next: Listen,
			seg: Seg{RST: true, SYN: true, ACK: true, SEQ: 7, AckNo: 9}},
		{rule: "LI1 then ACK, before SYN", state: Listen, next: Listen,
			seg: Seg{SYN: true, ACK: true, SEQ: 7, AckNo: 9}, reply: "<SEQ=9><CTL=RST>"},
		{rule: "LI1 then SYN", state: Listen, next: SynReceived,
			seg: Seg{SYN: true, SEQ: 7, WND: 4000}, reply: synack, after: opened},
		{rule: "LI1 anything else", state: Listen, next: Listen,
			seg: Seg{FIN: true, URG: true, SEQ: 7, Len: 1}},
		{rule: "LI2 text on the SYN is neither delivered nor acknowledged", state: Listen, next: SynReceived,
			seg: Seg{SYN: true, SEQ: 7, Len: 10, WND: 4000}, reply: synack, after: opened},
		{rule: "LI2 nor is a FIN", state: Listen, next: SynReceived,
			seg: Seg{SYN: true, FIN: true, SEQ: 7, WND: 4000}, reply: synack, after: opened},
	})
}

func TestSynSent(t *testing.T) {
	tfo := func(v *Vars) { v.SndNXT = iss + 1 + 100 } // 100 octets ride on the SYN
	runSteps(t, []step{
		{rule: "SS1 ACK of nothing", state: SynSent, next: SynSent,
			seg: Seg{ACK: true, SEQ: 7, AckNo: iss}, reply: "<SEQ=100000><CTL=RST>"},
		{rule: "SS1 ACK of what was not sent", state: SynSent, next: SynSent,
			seg: Seg{SYN: true, ACK: true, SEQ: 7, AckNo: iss + 2}, reply: "<SEQ=100002><CTL=RST>"},
		{rule: "SS1 but a RST is never answered", state: SynSent, next: SynSent,
			seg: Seg{RST: true, ACK: true, SEQ: 7, AckNo: iss + 2}},
		{rule: "SS1 an interval: part of the text on the SYN may be acknowledged", state: SynSent, vars: tfo,
			seg:  Seg{SYN: true, ACK: true, SEQ: 7, AckNo: iss + 51, WND: 4000},
			next: Established, reply: "<SEQ=100101><ACK=8><CTL=ACK>", after: func(v *Vars) {
				v.IRS, v.RcvNXT, v.SndUNA = 7, 8, iss+51
				v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = 4000, 4000, 7, iss+51
			}},
		{rule: "SS2 RST with an acceptable ACK, whatever its SEQ", state: SynSent,
			seg:  Seg{RST: true, ACK: true, SEQ: 0, AckNo: iss + 1},
			next: Closed, signal: SignalRefused, deleted: true},
		{rule: "SS2 RST without ACK", state: SynSent, next: SynSent, seg: Seg{RST: true, SEQ: 0}},
		{rule: "SS3 SYN,ACK", state: SynSent,
			seg:  Seg{SYN: true, ACK: true, SEQ: 7, AckNo: iss + 1, WND: 4000},
			next: Established, reply: "<SEQ=100001><ACK=8><CTL=ACK>", after: func(v *Vars) {
				v.IRS, v.RcvNXT, v.SndUNA = 7, 8, iss+1
				v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = 4000, 4000, 7, iss+1
			}},
		{rule: "SS3 SYN,ACK with text and FIN: one ACK for all", state: SynSent,
			seg:  Seg{SYN: true, ACK: true, FIN: true, SEQ: 7, AckNo: iss + 1, Len: 10, WND: 4000},
			next: CloseWait, reply: "<SEQ=100001><ACK=19><CTL=ACK>", delivered: 10, signal: SignalClosing,
			after: func(v *Vars) {
				v.IRS, v.RcvNXT, v.SndUNA = 7, 19, iss+1
				v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = 4000, 4000, 7, iss+1
			}},
		{rule: "SS3 SYN alone", state: SynSent,
			seg:  Seg{SYN: true, SEQ: 7, WND: 4000, Len: 10},
			next: SynReceived, reply: "<SEQ=100000><ACK=8><CTL=SYN,ACK>", after: func(v *Vars) {
				v.IRS, v.RcvNXT = 7, 8
				v.SndWND, v.MaxSndWND, v.SndWL1 = 4000, 4000, 7
			}},
		{rule: "SS3 an acceptable ACK alone opens nothing", state: SynSent, next: SynSent,
			seg: Seg{ACK: true, FIN: true, SEQ: 7, AckNo: iss + 1, Len: 10}},
	})
}

// Table 6, one row per case of its four, and what lies just outside.
func TestAcceptable(t *testing.T) {
	for _, c := range []struct {
		seq, length, wnd uint32
		want             bool
	}{
		{rcv, 0, 0, true}, {rcv - 1, 0, 0, false}, {rcv + 1, 0, 0, false},
		{rcv, 0, 10, true}, {rcv + 9, 0, 10, true}, {rcv + 10, 0, 10, false}, {rcv - 1, 0, 10, false},
		{rcv, 1, 0, false}, {rcv - 1, 2, 0, false},
		{rcv, 1, 10, true}, {rcv + 9, 5, 10, true}, {rcv + 10, 5, 10, false},
		{rcv - 4, 5, 10, true}, {rcv - 5, 5, 10, false},
		// Wider than the window on both sides: neither end is inside.
		{rcv - 1, 12, 10, false},
	} {
		v := Vars{RcvNXT: rcv, RcvWND: c.wnd}
		if got := acceptable(v, Seg{SEQ: c.seq, Len: c.length}); got != c.want {
			t.Errorf("SQ1 SEQ=RCV.NXT%+d LEN=%d RCV.WND=%d: %v, want %v", int32(c.seq-rcv), c.length, c.wnd, got, c.want)
		}
	}
}

const estACK = "<SEQ=102001><ACK=500501><CTL=ACK>" // <SEQ=SND.NXT><ACK=RCV.NXT> of Base(Established)

func TestCheckSequence(t *testing.T) {
	shut := func(v *Vars) { v.RcvWND = 0 }
	updated := func(v *Vars) { v.SndUNA, v.SndWND, v.SndWL1, v.SndWL2 = una+10, 4000, rcv, una+10 }
	acked := Seg{ACK: true, SEQ: rcv, AckNo: una + 10, WND: 4000}
	with := func(s Seg, change func(*Seg)) Seg { change(&s); return s }
	runSteps(t, []step{
		{rule: "SQ2 above the window", state: Established, next: Established,
			seg: with(acked, func(s *Seg) { s.SEQ = rcv + wnd }), reply: estACK},
		{rule: "SQ2 below the window, even without ACK", state: Established, next: Established,
			seg: Seg{SEQ: rcv - 400, Len: 400}, reply: estACK},
		{rule: "SQ2 with RST silently", state: Established, next: Established,
			seg: Seg{RST: true, SEQ: rcv - 400, Len: 400}},
		{rule: "SQ2 the throttle may hold the ACK back", state: Established, next: Established,
			vars: func(v *Vars) { v.ChallengeBudget = false },
			seg:  with(acked, func(s *Seg) { s.SEQ = rcv + wnd }), reply: estACK + " optional"},
		{rule: "SQ3 zero window: ACK processed, text not", state: Established, vars: shut, next: Established,
			seg: with(acked, func(s *Seg) { s.Len = 1 }), reply: estACK, after: updated},
		{rule: "SQ3 zero window: an empty segment is plainly acceptable", state: Established, vars: shut, next: Established,
			seg: acked, after: updated},
		{rule: "SQ3 zero window: RST with text", state: Established, vars: shut, next: Closed,
			seg: Seg{RST: true, SEQ: rcv, Len: 20}, signal: SignalReset, deleted: true},
		{rule: "SQ4 old octets are not delivered twice", state: Established, next: Established,
			seg:   Seg{ACK: true, SEQ: rcv - 30, AckNo: una - 1, Len: 50},
			reply: estACKat(rcv+20) + " owed", delivered: 20, after: func(v *Vars) { v.RcvNXT += 20 }},
		{rule: "SQ4 octets beyond the window are not taken, nor the FIN behind them", state: Established,
			vars: func(v *Vars) { v.RcvWND = 5 }, next: Established,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: una - 1, Len: 9},
			reply: estACKat(rcv+5) + " owed", delivered: 5, after: func(v *Vars) { v.RcvNXT += 5 }},
		{rule: "SQ4 a FIN that is the first number outside is trimmed", state: Established,
			vars: func(v *Vars) { v.RcvWND = 5 }, next: Established,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: una - 1, Len: 5},
			reply: estACKat(rcv+5) + " owed", delivered: 5, after: func(v *Vars) { v.RcvNXT += 5 }},
		{rule: "SQ5 keepalive at RCV.NXT-1: ACK field processed and answered", state: Established, next: Established,
			seg: with(acked, func(s *Seg) { s.SEQ = rcv - 1 }), reply: estACK,
			after: func(v *Vars) { updated(v); v.SndWL1 = rcv - 1 }},
		{rule: "SQ5 keepalive with its garbage octet", state: Established, next: Established,
			seg: with(acked, func(s *Seg) { s.SEQ, s.Len = rcv-1, 1 }), reply: estACK,
			after: func(v *Vars) { updated(v); v.SndWL1 = rcv - 1 }},
		{rule: "SQ5 simultaneous close, the FIN again with the ACK of ours", state: Closing, next: TimeWait,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: nxt + 1, WND: 8000},
			reply: "<SEQ=102002><ACK=500502><CTL=ACK>", timeWait: true,
			after: func(v *Vars) { v.SndUNA, v.SndWL2 = nxt+1, nxt+1 }},
		{rule: "SQ5 simultaneous close, the FIN again without it", state: Closing, next: Closing,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: nxt, WND: 8000},
			reply: "<SEQ=102002><ACK=500502><CTL=ACK>",
			after: func(v *Vars) { v.SndUNA, v.SndWL2 = nxt, nxt }},
		{rule: "SQ5 not for SYN-RECEIVED", state: SynReceived, next: SynReceived,
			seg: Seg{ACK: true, SEQ: irs, AckNo: iss + 1}, reply: "<SEQ=100001><ACK=500001><CTL=ACK>"},
	})
}

// estACKat is <SEQ=SND.NXT><ACK=ack> of Base(Established).
func estACKat(ack uint32) string {
	return Reply{Kind: KindACK, SEQ: nxt, ACK: ack}.String()
}

func TestReset(t *testing.T) {
	for _, c := range []struct {
		state  State
		signal Signal
	}{
		{Established, SignalReset}, {FinWait1, SignalReset}, {FinWait2, SignalReset}, {CloseWait, SignalReset},
		{Closing, SignalNone}, {LastAck, SignalNone},
	} {
		at := Base(c.state).RcvNXT
		challenge := Reply{Kind: KindACK, SEQ: Base(c.state).SndNXT, ACK: at}.String()
		runSteps(t, []step{
			{rule: "RS2 at RCV.NXT", state: c.state, next: Closed, signal: c.signal, deleted: true,
				seg: Seg{RST: true, SEQ: at}},
			{rule: "RS2 at RCV.NXT with text and a bad ACK", state: c.state, next: Closed, signal: c.signal, deleted: true,
				seg: Seg{RST: true, ACK: true, SEQ: at, AckNo: 1, Len: 30}},
			{rule: "RS2 in the window", state: c.state, next: c.state, reply: challenge,
				seg: Seg{RST: true, SEQ: at + 1}},
			{rule: "RS2 in the window, throttled", state: c.state, next: c.state,
				vars: func(v *Vars) { v.ChallengeBudget = false },
				seg:  Seg{RST: true, SEQ: at + 1}},
			{rule: "RS2 just below", state: c.state, next: c.state, seg: Seg{RST: true, SEQ: at - 1}},
			{rule: "RS2 just below with text into the window", state: c.state, next: c.state,
				seg: Seg{RST: true, SEQ: at - 1, Len: 2}},
			{rule: "RS2 just above", state: c.state, next: c.state, seg: Seg{RST: true, SEQ: at + wnd}},
		})
	}
	runSteps(t, []step{
		{rule: "RS1 passive", state: SynReceived, next: Listen, seg: Seg{RST: true, SEQ: irs + 1}},
		{rule: "RS1 active", state: SynReceived, vars: func(v *Vars) { v.PassiveOpen = false },
			seg: Seg{RST: true, SEQ: irs + 1}, next: Closed, signal: SignalRefused, deleted: true},
		{rule: "RS2 SYN-RECEIVED in the window", state: SynReceived, next: SynReceived,
			seg: Seg{RST: true, SEQ: irs + 2}, reply: "<SEQ=100001><ACK=500001><CTL=ACK>"},
		{rule: "1337 TIME-WAIT outlives a RST", state: TimeWait, next: TimeWait, seg: Seg{RST: true, SEQ: rcv + 1}},
	})
}

func TestSYN(t *testing.T) {
	for s := Established; s <= LastAck; s++ {
		v := Base(s)
		challenge := Reply{Kind: KindACK, SEQ: v.SndNXT, ACK: v.RcvNXT}.String()
		for _, seq := range seqPositions(v) {
			step{rule: "SY1", state: s, next: s, reply: challenge,
				seg: Seg{SYN: true, SEQ: seq}}.run(t)
			step{rule: "SY1", state: s, next: s, reply: challenge,
				seg: Seg{SYN: true, ACK: true, SEQ: seq, AckNo: v.SndNXT, Len: 1}}.run(t)
		}
	}
	active := func(v *Vars) { v.PassiveOpen = false }
	ack := "<SEQ=100001><ACK=500001><CTL=ACK>"
	synack := "<SEQ=100000><ACK=500001><CTL=SYN,ACK>"
	runSteps(t, []step{
		{rule: "SY1 in the window, passive: LISTEN", state: SynReceived, next: Listen,
			seg: Seg{SYN: true, SEQ: irs + 1}},
		{rule: "SY1 in the window, active: challenge ACK", state: SynReceived, vars: active, next: SynReceived,
			seg: Seg{SYN: true, SEQ: irs + 1}, reply: ack},
		{rule: "SQ2 the same SYN again", state: SynReceived, next: SynReceived,
			seg: Seg{SYN: true, SEQ: irs}, reply: ack, instead: synack},
		{rule: "SQ4 the same SYN again with text does not reach the fourth step", state: SynReceived, next: SynReceived,
			seg: Seg{SYN: true, SEQ: irs, Len: 10}, reply: ack, instead: synack},
		{rule: "SQ5 only the active side takes a SYN,ACK", state: SynReceived, next: SynReceived,
			seg: Seg{SYN: true, ACK: true, SEQ: irs, AckNo: iss + 1}, reply: ack},
	})
}

func TestACK(t *testing.T) {
	runSteps(t, []step{
		{rule: "AK1 without ACK the text is lost", state: Established, next: Established,
			seg: Seg{FIN: true, SEQ: rcv, Len: 10}},
		{rule: "AK2 of what was never sent", state: Established, next: Established,
			seg: Seg{ACK: true, SEQ: rcv, AckNo: nxt + 1, Len: 10}, reply: estACK},
		{rule: "AK2 too old", state: Established, next: Established,
			seg: Seg{ACK: true, SEQ: rcv, AckNo: una - mxw - 1, Len: 10}, reply: estACK},
		{rule: "AK2 throttled", state: Established, next: Established, vars: func(v *Vars) { v.ChallengeBudget = false },
			seg: Seg{ACK: true, SEQ: rcv, AckNo: nxt + 1}},
		{rule: "AK2 the oldest that counts: ignored, but the text is taken", state: Established, next: Established,
			seg:   Seg{ACK: true, SEQ: rcv, AckNo: una - mxw, Len: 10, WND: 4000},
			reply: estACKat(rcv+10) + " owed", delivered: 10, after: func(v *Vars) { v.RcvNXT += 10 }},
		{rule: "AK2 the newest that counts", state: Established, next: Established,
			seg: Seg{ACK: true, SEQ: rcv, AckNo: nxt, WND: 20_000}, after: func(v *Vars) {
				v.SndUNA, v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = nxt, 20_000, 20_000, rcv, nxt
			}},
		{rule: "AK3 newer SEQ", state: Established, next: Established, vars: wl(rcv-1, una+5),
			seg: Seg{ACK: true, SEQ: rcv, AckNo: una, WND: 1}, after: updatedTo(1, rcv, una)},
		{rule: "AK3 same SEQ, same ACK", state: Established, next: Established, vars: wl(rcv, una),
			seg: Seg{ACK: true, SEQ: rcv, AckNo: una, WND: 1}, after: updatedTo(1, rcv, una)},
		{rule: "AK3 same SEQ, older ACK", state: Established, next: Established, vars: wl(rcv, una+1),
			seg: Seg{ACK: true, SEQ: rcv, AckNo: una, WND: 1}, after: wl(rcv, una+1)},
		{rule: "AK3 older SEQ", state: Established, next: Established, vars: wl(rcv+1, una),
			seg: Seg{ACK: true, SEQ: rcv, AckNo: una, WND: 1}, after: wl(rcv+1, una)},
		{rule: "AK4 FIN-WAIT-1, our FIN", state: FinWait1, next: FinWait2,
			seg:   Seg{ACK: true, SEQ: rcv, AckNo: nxt + 1, WND: 8000},
			after: func(v *Vars) { v.SndUNA, v.SndWL1, v.SndWL2 = nxt+1, rcv, nxt+1 }},
		{rule: "AK4 FIN-WAIT-1, all but our FIN", state: FinWait1, next: FinWait1,
			seg:   Seg{ACK: true, SEQ: rcv, AckNo: nxt, WND: 8000},
			after: func(v *Vars) { v.SndUNA, v.SndWL1, v.SndWL2 = nxt, rcv, nxt }},
		{rule: "AK4 FIN-WAIT-1, all sent, our FIN not among it", state: FinWait1, next: FinWait1,
			vars:  func(v *Vars) { v.FinSent, v.SndNXT = false, nxt },
			seg:   Seg{ACK: true, SEQ: rcv, AckNo: nxt, WND: 8000},
			after: func(v *Vars) { v.SndUNA, v.SndWL1, v.SndWL2 = nxt, rcv, nxt }},
		{rule: "AK4 CLOSING, our FIN", state: Closing, next: TimeWait, timeWait: true,
			seg:   Seg{ACK: true, SEQ: rcv + 1, AckNo: nxt + 1, WND: 8000},
			after: func(v *Vars) { v.SndUNA, v.SndWL1, v.SndWL2 = nxt+1, rcv+1, nxt+1 }},
		{rule: "AK4 CLOSING, less: the rest is ignored", state: Closing, next: Closing,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv + 1, AckNo: nxt, Len: 5, WND: 8000},
			after: func(v *Vars) { v.SndUNA, v.SndWL1, v.SndWL2 = nxt, rcv+1, nxt }},
		{rule: "AK4 LAST-ACK, our FIN", state: LastAck, next: Closed, deleted: true,
			seg: Seg{ACK: true, SEQ: rcv + 1, AckNo: nxt + 1}},
		{rule: "AK4 LAST-ACK, less", state: LastAck, next: LastAck,
			seg:   Seg{ACK: true, SEQ: rcv + 1, AckNo: nxt, WND: 8000},
			after: func(v *Vars) { v.SndUNA, v.SndWL1, v.SndWL2 = nxt, rcv+1, nxt }},
	})
}

func wl(wl1, wl2 uint32) func(*Vars) { return func(v *Vars) { v.SndWL1, v.SndWL2 = wl1, wl2 } }

func updatedTo(wnd, wl1, wl2 uint32) func(*Vars) {
	return func(v *Vars) { v.SndWND, v.SndWL1, v.SndWL2 = wnd, wl1, wl2 }
}

func TestACKInSynReceived(t *testing.T) {
	established := func(v *Vars) {
		v.SndUNA, v.SndWND, v.SndWL1, v.SndWL2 = iss+1, 4000, irs+1, iss+1
	}
	runSteps(t, []step{
		{rule: "acceptable", state: SynReceived, next: Established,
			seg: Seg{ACK: true, SEQ: irs + 1, AckNo: iss + 1, WND: 4000}, after: established},
		{rule: "acceptable, with text and FIN", state: SynReceived, next: CloseWait,
			seg:       Seg{ACK: true, FIN: true, SEQ: irs + 1, AckNo: iss + 1, WND: 4000, Len: 10},
			delivered: 10, signal: SignalClosing, reply: "<SEQ=100001><ACK=500012><CTL=ACK> owed",
			after: func(v *Vars) { established(v); v.RcvNXT = irs + 12 }},
		{rule: "of nothing", state: SynReceived, next: SynReceived,
			seg: Seg{ACK: true, SEQ: irs + 1, AckNo: iss, Len: 10}, reply: "<SEQ=100000><CTL=RST>"},
		{rule: "of what was not sent", state: SynReceived, next: SynReceived,
			seg:   Seg{ACK: true, SEQ: irs + 1, AckNo: iss + 2},
			reply: "<SEQ=100002><CTL=RST>", instead: "<SEQ=100001><ACK=500001><CTL=ACK>"},
		{rule: "AK1 none", state: SynReceived, next: SynReceived, seg: Seg{SEQ: irs + 1, Len: 10}},
	})
}

func TestText(t *testing.T) {
	for _, s := range []State{Established, FinWait1, FinWait2} {
		ack := func(n uint32) string {
			return Reply{Kind: KindACK, SEQ: Base(s).SndNXT, ACK: rcv + n}.String()
		}
		runSteps(t, []step{
			{rule: "at RCV.NXT", state: s, next: s, delivered: 10, reply: ack(10) + " owed",
				seg: Seg{ACK: true, PSH: true, SEQ: rcv, AckNo: una - 1, Len: 10}, after: func(v *Vars) { v.RcvNXT += 10 }},
			{rule: "Y13 behind a gap", state: s, next: s, reply: ack(0),
				seg: Seg{ACK: true, SEQ: rcv + 10, AckNo: una - 1, Len: 10}},
			{rule: "no text, no ACK", state: s, next: s,
				seg: Seg{ACK: true, SEQ: rcv + 10, AckNo: una - 1}},
		})
	}
	for _, s := range []State{CloseWait, LastAck} {
		v := Base(s)
		step{rule: "text after the FIN", state: s, next: s,
			reply: Reply{Kind: KindACK, SEQ: v.SndNXT, ACK: v.RcvNXT, Optional: true}.String(),
			seg:   Seg{ACK: true, SEQ: v.RcvNXT, AckNo: una - 1, Len: 10}}.run(t)
	}
}

func TestFIN(t *testing.T) {
	runSteps(t, []step{
		{rule: "FN1 after text", state: Established, next: CloseWait, delivered: 10, signal: SignalClosing,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: una - 1, Len: 10},
			reply: estACKat(rcv+11) + " owed", after: func(v *Vars) { v.RcvNXT += 11 }},
		{rule: "FN1 behind a gap", state: Established, next: Established,
			seg: Seg{ACK: true, FIN: true, SEQ: rcv + 1, AckNo: una - 1}, reply: estACK},
		{rule: "FN1 again in CLOSE-WAIT", state: CloseWait, next: CloseWait,
			seg: Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: una - 1}, reply: estACKat(rcv + 1)},
		{rule: "FN1 a second one in CLOSE-WAIT does not move RCV.NXT", state: CloseWait, next: CloseWait,
			seg: Seg{ACK: true, FIN: true, SEQ: rcv + 1, AckNo: una - 1}, reply: estACKat(rcv + 1)},
		{rule: "FN2 FIN-WAIT-1 and the ACK of ours", state: FinWait1, next: TimeWait, timeWait: true, signal: SignalClosing,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: nxt + 1, WND: 8000},
			reply: "<SEQ=102002><ACK=500502><CTL=ACK>",
			after: func(v *Vars) { v.RcvNXT++; v.SndUNA, v.SndWL1, v.SndWL2 = nxt+1, rcv, nxt+1 }},
		{rule: "FN2 FIN-WAIT-1 alone", state: FinWait1, next: Closing, signal: SignalClosing,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: una - 1, WND: 8000},
			reply: "<SEQ=102002><ACK=500502><CTL=ACK> owed", after: func(v *Vars) { v.RcvNXT++ }},
		{rule: "FN2 FIN-WAIT-2", state: FinWait2, next: TimeWait, timeWait: true, signal: SignalClosing,
			seg:   Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: nxt + 1, WND: 8000},
			reply: "<SEQ=102002><ACK=500502><CTL=ACK>", after: func(v *Vars) { v.RcvNXT++ }},
	})
}

func TestTimeWait(t *testing.T) {
	const ack = "<SEQ=102002><ACK=500502><CTL=ACK>"
	reopened := func(seq uint32) func(*Vars) {
		return func(v *Vars) {
			v.PassiveOpen, v.FinSent = true, false
			v.IRS, v.RcvNXT = seq, seq+1
			v.ISS, v.SndUNA, v.SndNXT = caseNextISS, caseNextISS, caseNextISS+1
			v.SndWND, v.MaxSndWND, v.SndWL1, v.SndWL2 = 4000, 4000, seq, caseNextISS
		}
	}
	alone := func(v *Vars) { v.Listener = false }
	fin := Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: nxt + 1}
	runSteps(t, []step{
		{rule: "TW1 the FIN again", state: TimeWait, next: TimeWait, seg: fin, reply: ack, timeWait: true},
		{rule: "TW1 the FIN again with its text", state: TimeWait, next: TimeWait, reply: ack, timeWait: true,
			seg: Seg{ACK: true, FIN: true, SEQ: rcv - 30, AckNo: nxt + 1, Len: 30}},
		{rule: "TW1 not if it acknowledges the future", state: TimeWait, next: TimeWait, reply: ack,
			seg: Seg{ACK: true, FIN: true, SEQ: rcv, AckNo: nxt + 2}},
		{rule: "TW1 not without ACK", state: TimeWait, next: TimeWait, reply: ack,
			seg: Seg{FIN: true, SEQ: rcv}},
		{rule: "TW1 a keepalive is answered but restarts nothing", state: TimeWait, next: TimeWait, reply: ack,
			seg: Seg{ACK: true, SEQ: rcv, AckNo: nxt + 1}},
		{rule: "TW1 a bare ACK is not answered", state: TimeWait, next: TimeWait,
			seg: Seg{ACK: true, SEQ: rcv + 1, AckNo: nxt + 1}},
		{rule: "6191 a request above RCV.NXT", state: TimeWait, next: SynReceived, reopened: true,
			seg: Seg{SYN: true, SEQ: rcv + 2, WND: 4000}, reply: "<SEQ=200000><ACK=500504><CTL=SYN,ACK>", after: reopened(rcv + 2)},
		{rule: "6191 far above the window too, and its text waits", state: TimeWait, next: SynReceived, reopened: true,
			seg: Seg{SYN: true, SEQ: rcv + 100_000, WND: 4000, Len: 9}, reply: "<SEQ=200000><ACK=600502><CTL=SYN,ACK>", after: reopened(rcv + 100_000)},
		{rule: "6191 at RCV.NXT is not above", state: TimeWait, next: TimeWait,
			seg: Seg{SYN: true, SEQ: rcv + 1}, reply: ack + " optional"},
		{rule: "6191 an old duplicate", state: TimeWait, next: TimeWait,
			seg: Seg{SYN: true, SEQ: irs}, reply: ack + " optional"},
		{rule: "SY1 nobody listens", state: TimeWait, vars: alone, next: TimeWait,
			seg: Seg{SYN: true, SEQ: rcv + 2}, reply: ack},
		{rule: "SY1 a SYN,ACK is no request", state: TimeWait, next: TimeWait,
			seg: Seg{SYN: true, ACK: true, SEQ: rcv + 2, AckNo: nxt + 1}, reply: ack},
		{rule: "1337 a RST is ignored", state: TimeWait, next: TimeWait, seg: Seg{RST: true, SEQ: rcv + 1}},
		{rule: "1337 or at most challenged", state: TimeWait, next: TimeWait, reply: ack + " optional",
			seg: Seg{RST: true, SEQ: rcv + 2}},
	})
}
