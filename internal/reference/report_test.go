package reference

import (
	"slices"
	"strings"
	"testing"
)

func TestCheckReplies(t *testing.T) {
	ack := Reply{Kind: KindACK, SEQ: 1, ACK: 2}
	other := Reply{Kind: KindACK, SEQ: 1, ACK: 3}
	rst := Reply{Kind: KindRST, SEQ: 9}
	owed, optional := ack, ack
	owed.Owed, optional.Optional = true, true
	for _, c := range []struct {
		name string
		o    Outcome
		got  []Reply
		ok   bool
	}{
		{"nothing wanted, nothing sent", Outcome{}, nil, true},
		{"nothing wanted, something sent", Outcome{}, []Reply{ack}, false},
		{"the wanted one", Outcome{Replies: []Reply{ack}}, []Reply{ack}, true},
		{"missing", Outcome{Replies: []Reply{ack}}, nil, false},
		{"wrong number", Outcome{Replies: []Reply{ack}}, []Reply{other}, false},
		{"wrong kind", Outcome{Replies: []Reply{ack}}, []Reply{rst}, false},
		{"twice", Outcome{Replies: []Reply{ack}}, []Reply{ack, ack}, false},
		{"owed, sent now", Outcome{Replies: []Reply{owed}}, []Reply{ack}, true},
		{"owed, later", Outcome{Replies: []Reply{owed}}, nil, true},
		{"owed, wrong", Outcome{Replies: []Reply{owed}}, []Reply{other}, false},
		{"optional, left out", Outcome{Replies: []Reply{optional}}, nil, true},
		{"instead", Outcome{Replies: []Reply{ack}, Instead: []Reply{rst}}, []Reply{rst}, true},
		{"a RST has no acknowledgment to compare", Outcome{Replies: []Reply{rst}}, []Reply{{Kind: KindRST, SEQ: 9, ACK: 5}}, true},
	} {
		if err := c.o.CheckReplies(c.got); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestExplain(t *testing.T) {
	v := Base(FinWait1)
	s := Seg{ACK: true, FIN: true, SEQ: v.RcvNXT, AckNo: v.SndNXT}
	a := newArrival(v, s)
	a.run()
	want := []ruleID{ruleAKNew, ruleAK3, ruleAK4FinWait2, ruleFN2TimeWait}
	if !slices.Equal(a.trail, want) {
		t.Errorf("trail of %v = %v, want %v", s, a.trail, want)
	}
	for id, r := range rules {
		if r.section == "" || r.text == "" {
			t.Errorf("rule %d has no text", id)
		}
	}
}

func TestExplainText(t *testing.T) {
	for _, c := range []struct {
		v     Vars
		s     Seg
		parts []string
	}{
		{Base(Established), Seg{RST: true, SEQ: rcv + 1}, []string{"RFC 9293 §3.10.7.4 second", "RFC 5961 §3.2", "R9293-RS2", "challenge ACK"}},
		{Base(TimeWait), Seg{RST: true, SEQ: rcv + 1}, []string{"RFC 1337", "ignored"}},
		{Base(CloseWait), Seg{ACK: true, SEQ: rcv + 1, AckNo: una - 1}, []string{"§3.10.7.4 fifth", "duplicate"}},
	} {
		got := Explain(c.v, c.s)
		for _, part := range c.parts {
			if !strings.Contains(got, part) {
				t.Errorf("Explain(%v, %v) = %q, without %q", c.v.State, c.s, got, part)
			}
		}
	}
}

func TestStrings(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{SynReceived.String(), "SYN-RECEIVED"},
		{State(11).String(), "State(11)"},
		{Seg{SYN: true, ACK: true, SEQ: 300, AckNo: 101, WND: 9, Len: 2}.String(), "<SEQ=300><ACK=101><CTL=SYN,ACK><WND=9><DATA=2>"},
		{Reply{Kind: KindRST, SEQ: 9}.String(), "<SEQ=9><CTL=RST>"},
		{Reply{Kind: KindRSTACK, ACK: 9}.String(), "<SEQ=0><ACK=9><CTL=RST,ACK>"},
		{Reply{Kind: KindACK, SEQ: 1, ACK: 2, Owed: true}.String(), "<SEQ=1><ACK=2><CTL=ACK> owed"},
		{SignalRefused.String() + SignalNone.String() + SignalReset.String() + SignalClosing.String(), "refusednoneresetclosing"},
		{Kind(0).String() + Signal(9).String(), "Kind(0)Signal(9)"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
