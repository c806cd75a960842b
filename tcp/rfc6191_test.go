package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// Both FINs of these connections have number 1: RCV.NXT is 2.

// With timestamps on both sides a SYN with a newer one opens a new connection, one with the same only with a higher number. RFC 6191 §2.
func TestR6191_2a_Timestamps(t *testing.T) {
	for _, c := range []struct {
		name  string
		syn   string
		reuse bool
	}{
		{"newer, lower number", "< S 4294960000:4294960000(0) win 1000 <mss 1000,sackOK,TS val 100001 ecr 0>", true},
		{"newer, higher number", "< S 70000:70000(0) win 1000 <mss 1000,sackOK,TS val 100001 ecr 0>", true},
		{"the same, higher number", "< S 3:3(0) win 1000 <mss 1000,sackOK,TS val 100000 ecr 0>", true},
		{"the same, RCV.NXT", "< S 2:2(0) win 1000 <mss 1000,sackOK,TS val 100000 ecr 0>", false},
		{"the same, lower number", "< S 1:1(0) win 1000 <mss 1000,sackOK,TS val 100000 ecr 0>", false},
		{"older, higher number", "< S 70000:70000(0) win 1000 <mss 1000,sackOK,TS val 99999 ecr 0>", false},
		{"none, higher number", "< S 70000:70000(0) win 1000 <mss 1000,sackOK>", true},
		{"none, lower number", "< S 1:1(0) win 1000 <mss 1000,sackOK>", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tcptest.TimeWait(t, tcptest.Timestamps)
			p.IntoRecord()
			p.Recv(c.syn)
			if !c.reuse {
				p.Want("> . 2:2(0) ack 2")
				p.WantState(tcp.TimeWait)
				return
			}
			p.WantState(tcp.SynReceived)
			p.Drop()
		})
	}
}

// Without timestamps a SYN with a number beyond the last opens a new connection. RFC 6191 §2.
func TestR6191_2b_SequenceNumber(t *testing.T) {
	for _, c := range []struct {
		seq   uint32
		reuse bool
	}{{3, true}, {1000, true}, {1<<31 + 1, true}, {2, false}, {1, false}, {1<<32 - 1, false}, {1<<31 + 3, false}} {
		p := tcptest.TimeWait(t)
		p.IntoRecord()
		p.Recv(line("< S %d:%d(0) win 1000 <mss 1000>", c.seq, c.seq))
		if got := p.State() == tcp.SynReceived; got != c.reuse {
			t.Errorf("SYN %d: taken %v, want %v", c.seq, got, c.reuse)
		}
		p.Drop()
	}
}

// Every other SYN is dropped in silence. RFC 6191 §2.
//
// Deviation: it is answered by an ACK, at most one in 500 ms, as RFC 5961 §4
// and Linux have it: a peer that has rebooted thereby finds out, and resets.
func TestR6191_2c_OtherSYN(t *testing.T) {
	for _, record := range []bool{false, true} {
		p := tcptest.TimeWait(t)
		if record {
			p.IntoRecord()
		}
		for range 50 {
			p.Recv("< S 1:1(0) win 1000 <mss 1000>")
			p.Recv("< S. 70000:70000(0) ack 2 win 1000 <mss 1000>") // it claims to know us
		}
		p.Want("> . 2:2(0) ack 2")
		p.WantNothing("one answer in 500 ms")
		p.WantState(tcp.TimeWait)
		p.WantDeadline("240s")
		p.At("500ms")
		p.Recv("< S 1:1(0) win 1000 <mss 1000>")
		p.Want("> . 2:2(0) ack 2")
	}
}

// TIME-WAIT ignores RST. RFC 1337 §3, F1.
func TestR1337_F1_RSTIgnored(t *testing.T) {
	for _, record := range []bool{false, true} {
		p := tcptest.TimeWait(t)
		if record {
			p.IntoRecord()
		}
		for _, text := range []string{"< R 2:2(0)", "< R. 2:2(0) ack 2", "< R 1:1(0)", "< R 3:3(0)", "< RS 2:2(0)", "< RF. 2:2(0) ack 2"} {
			p.Recv(text)
		}
		p.WantNothing("no answer either")
		p.WantState(tcp.TimeWait)
		p.WantDeadline("240s")
	}
}

// TIME-WAIT may be shortened by the timestamps of RFC 6191. RFC 9293 §3.6.1.
func TestR9293_S04_TimeWaitTimestamps(t *testing.T) {
	p := tcptest.TimeWait(t, tcptest.Timestamps)
	p.IntoRecord()
	p.At("1s") // of 240
	p.Recv("< S 1:1(0) win 1000 <mss 1000,sackOK,TS val 101000 ecr 0>")
	p.WantState(tcp.SynReceived)
	p.Drop()
}

// A SYN in TIME-WAIT opens the connection again, with a number of ours beyond all of the old one; an old one leads back. RFC 9293 §3.6.1.
func TestR9293_Y02_SynInTimeWait(t *testing.T) {
	p := tcptest.TimeWait(t)
	old := space(p.TCB())
	p.IntoRecord()
	p.SetISS(old.MAX - 1000) // what the clock says is less than what was used
	p.Recv("< S 90000:90000(0) win 1000 <mss 1000>")
	p.Want("> S. 0:0(0) ack 1") // both sides count anew
	p.Recv("< . 1:1(0) ack 1")
	p.WantState(tcp.Established)
	v := space(p.TCB())
	if got := v.ISS.Sub(old.MAX); got != 65537 {
		t.Errorf("the new ISS is %d beyond what was used", got)
	}
	n := uint32(old.RcvNXT - v.IRS)
	p.Recv(line("< P. %d:%d(1) ack 1", n-1, n))
	p.WantUnread(0)
	p.Want("> . 1:1(0) ack 1")

	p = tcptest.TimeWait(t)
	p.IntoRecord()
	p.Recv("< S 0:0(0) win 1000 <mss 1000>") // an old duplicate
	p.Want("> . 2:2(0) ack 2")
	p.WantState(tcp.TimeWait)
}

// T-BLD-09: segments of an earlier incarnation bring nothing into a later one.
func TestOldSegmentsInReusedConnections(t *testing.T) {
	rnd := newRand(9)
	for trial := range 300 {
		p := tcptest.Established(t, tcptest.Absolute(tcp.Seq(rnd.Uint32()), tcp.Seq(rnd.Uint32())))
		v := space(p.TCB())
		first := uint32(v.RcvNXT)
		p.Recv(line("< P. %d:%d(1000) ack %d", first, first+1000, v.MAX))
		p.Read(1000)
		p.Drop()
		p.Shutdown()
		p.Drop()
		v = space(p.TCB())
		p.Recv(line("< F. %d:%d(0) ack %d", v.RcvNXT, v.RcvNXT, v.MAX))
		p.Drop()
		p.IntoRecord()
		syn := uint32(v.RcvNXT) + 2 + rnd.Uint32()%1000
		p.Recv(line("< S %d:%d(0) win 1000 <mss 1000>", syn, syn))
		p.Drop()
		p.Recv(line("< . %d:%d(0) ack %d", syn+1, syn+1, p.SndNXT()))
		p.Drop()
		p.WantState(tcp.Established)
		for range 100 {
			seq := first + rnd.Uint32()%1000
			n := min(1+rnd.Uint32()%500, first+1000-seq)
			ack := uint32(v.MAX) - rnd.Uint32()%2
			p.Recv(line("< P. %d:%d(%d) ack %d", seq, seq+n, n, ack))
		}
		p.Drop()
		if got := p.TCB().Buffered(); got != 0 || p.Info().OutOfOrder != 0 {
			t.Fatalf("trial %d: %d octets of the earlier incarnation were taken", trial, got)
		}
	}
}
