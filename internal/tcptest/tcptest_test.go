package tcptest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// fake stands for a *testing.T, to see how a conversation fails.
type fake struct {
	testing.TB
	text    string
	cleanup func()
}

func (f *fake) Helper()          {}
func (f *fake) Cleanup(c func()) { f.cleanup = c }
func (f *fake) Failed() bool     { return f.text != "" }
func (f *fake) Errorf(format string, args ...any) {
	f.text += fmt.Sprintf(format, args...)
}
func (f *fake) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(f)
}

// run plays a conversation to its end and returns what it complained about.
func run(t *testing.T, script func(testing.TB)) string {
	t.Helper()
	f := &fake{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		script(f)
	}()
	f.cleanup()
	return f.text
}

func TestConversation(t *testing.T) {
	p := tcptest.Established(t, tcptest.MSS(1000), tcptest.NoSACK, tcptest.Wscale(7))
	p.Write(3000)
	p.Want("> P. 1:3001(3000) ack 1 cut 1000")
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 3001 win 1000")
	p.WantNothing("all is acknowledged")
	p.Recv("< P. 1:501(500) ack 3001")
	p.WantAt("300ms", "> . 3001:3001(0) ack 501")
	p.Read(500)
	p.WantUnread(0)
	p.Close()
	p.Want("> F. 3001:3001(0) ack 501 win 16381")
	p.WantState(tcp.FinWait1)
	if c := p.Changes(); len(c) != 3 || c[2] != (tcptest.Change{From: tcp.Established, To: tcp.FinWait1, On: tcp.OnClose}) {
		t.Errorf("the changes of state are %v", c)
	}
	if p.SndNXT() != 3002 || p.RcvNXT() != 501 {
		t.Errorf("SND.NXT %d, RCV.NXT %d", p.SndNXT(), p.RcvNXT())
	}
}

// Every factory leads to the state of its name, under all the options.
func TestFactories(t *testing.T) {
	sets := map[string][]tcptest.Option{
		"default":    nil,
		"scaled":     {tcptest.Wscale(7)},
		"timestamps": {tcptest.Timestamps, tcptest.MSS(1460), tcptest.RTT(30 * time.Millisecond)},
		"linux":      {tcptest.Profile(tcp.ProfileLinux), tcptest.V6, tcptest.Room(0)},
		"plain":      {tcptest.NoSACK, tcptest.PeerMSS(0), tcptest.OurMSS(1220), tcptest.ISN(0, 0)},
	}
	for name, opts := range sets {
		t.Run(name, func(t *testing.T) {
			for s := tcp.Closed; s < tcp.NumStates; s++ {
				tcptest.In(t, s, opts...).WantState(s)
			}
			tcptest.HalfOpen(t, opts...).WantState(tcp.SynReceived)
			tcptest.Accepted(t, opts...).WantState(tcp.Established)
			p := tcptest.TimeWait(t, opts...)
			p.IntoRecord()
			p.WantState(tcp.TimeWait)
		})
	}
}

func TestTimestampsAreFilledIn(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps, tcptest.RTT(50*time.Millisecond))
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1 win 65535 <nop,nop,TS val 1050 ecr 100000>")
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 11")
	if i := p.Info(); i.RTO != time.Second || i.SRTT != 50*time.Millisecond+(50*time.Millisecond)/8 {
		t.Errorf("SRTT %v, RTO %v", i.SRTT, i.RTO)
	}
}

// What goes wrong is said, with the conversation.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		want   string
		script func(testing.TB)
	}{
		{"nothing was sent, want", func(t testing.TB) { tcptest.Established(t).Want("> . 1:1(0) ack 1") }},
		{"want \"> P. 1:11(10) ack 2\"", func(t testing.TB) {
			p := tcptest.Established(t)
			p.Write(10)
			p.Want("> P. 1:11(10) ack 2")
		}},
		{"want nothing: no", func(t testing.TB) {
			p := tcptest.Established(t)
			p.Write(10)
			p.WantNothing("no")
		}},
		{"nobody wanted", func(t testing.TB) { tcptest.Established(t).Write(10) }},
		{"not a leaving segment", func(t testing.TB) { tcptest.Closed(t).Want("< . 1:1(0) ack 1") }},
		{"not an arriving segment", func(t testing.TB) { tcptest.Closed(t).Recv("> . 1:1(0) ack 1") }},
		{"in CLOSED, want LISTEN", func(t testing.TB) { tcptest.Closed(t).WantState(tcp.Listen) }},
		{"room for 0", func(t testing.TB) { tcptest.FinWait2(t).Write(1) }},
		{"read of 1 octets, but there are 0", func(t testing.TB) { tcptest.Established(t).Read(1) }},
		{"left at 1s, want 1.1s", func(t testing.TB) {
			p := tcptest.FinWait1(t)
			p.WantAt("1100ms", "> F. 1:1(0) ack 1")
		}},
		{"the deadline is 1s, want 2s", func(t testing.TB) { tcptest.FinWait1(t).WantDeadline("2s") }},
		{"lies behind", func(t testing.TB) { tcptest.FinWait1(t).At("-1s") }},
		{"octet 1 of the stream", func(t testing.TB) { tcptest.Corrupt(tcptest.Closed(t)) }},
	} {
		got := run(t, c.script)
		if !strings.Contains(got, c.want) || !strings.Contains(got, "The conversation:\n") {
			t.Errorf("want a failure that says %q, got %q", c.want, got)
		}
	}
}

// A chunk that nobody gives back is found.
func TestLeak(t *testing.T) {
	got := run(t, func(t testing.TB) { tcptest.Leak(tcptest.Established(t)) })
	if !strings.Contains(got, "1 chunks leaked") {
		t.Errorf("a leak was reported as %q", got)
	}
}
