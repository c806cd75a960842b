package tcp_test

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// A RST in SYN-RECEIVED leads back to LISTEN without a word, or refuses an active open. RFC 9293 §3.10.7.4.
func TestR9293_RS1_SynReceived(t *testing.T) {
	t.Run("passive", func(t *testing.T) {
		p := tcptest.HalfOpen(t)
		p.Recv("< R 1:1(0)")
		p.WantState(tcp.Listen)
		p.WantNothing("a RST is not answered")
		p.WantDeadline("none")
		p.Recv(p.SYN())
		p.Want("> S. 0:0(0) ack 1") // it listens as before
	})
	t.Run("active", func(t *testing.T) {
		p := tcptest.SynReceived(t)
		p.Write(100)
		p.Recv("< R 1:1(0)")
		p.WantErr(tcp.ReasonRefused)
		p.WantNothing("a RST is not answered")
	})
	for name, factory := range map[string]func(testing.TB, ...tcptest.Option) *tcptest.Conn{
		"passive": tcptest.HalfOpen, "active": tcptest.SynReceived} {
		t.Run(name+", not at RCV.NXT", func(t *testing.T) {
			p := factory(t)
			p.Recv("< R 100000:100000(0)")
			p.Recv("< R 0:0(0)")
			p.WantNothing("outside the window")
			p.Recv("< R 2:2(0)")
			p.Want("> . 1:1(0) ack 1") // RFC 5961 §3
			p.WantState(tcp.SynReceived)
		})
	}
}

// A RST resets at RCV.NXT only; elsewhere in the window it is challenged, outside it is ignored. RFC 9293 §3.10.7.4, RFC 5961 §3.
func TestR9293_RS2_RST(t *testing.T) {
	for s := tcp.Established; s <= tcp.LastAck; s++ {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			rst := func(offset int) {
				at := p.RcvNXT() + uint32(offset)
				p.Recv(fmt.Sprintf("< R %d:%d(0)", at, at))
			}
			for _, outside := range []int{-1, -1000, 65535, 1 << 30} {
				rst(outside)
			}
			p.WantNothing("outside the window")
			ack := fmt.Sprintf("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), p.RcvNXT())
			for _, inside := range []int{1, 65000} {
				rst(inside)
				p.Want(ack)
				p.Advance("500ms")
			}
			p.Drop() // retransmissions of the FIN, where there is one
			p.WantState(s)
			rst(0)
			p.WantErr(tcp.ReasonReset)
			p.WantNothing("a RST is not answered")
			p.WantDeadline("none")
		})
	}
}

// Text on a RST does not bring it to RCV.NXT. RFC 5961 §3.2.
func TestRSTWithText(t *testing.T) {
	for name, p := range map[string]*tcptest.Conn{"TCB": tcptest.Established(t), "record": tcptest.HalfOpen(t)} {
		state := p.State()
		p.Recv("< R 4294967287:6(15)") // from -9 to 5: trimmed it would begin at 1
		p.WantNothing(name)
		p.WantState(state)
	}
}

// Text on an old SYN does not make it a new one. RFC 5961 §4.
func TestOldSYNWithText(t *testing.T) {
	p := tcptest.HalfOpen(t)
	p.Recv("< S. 4294967287:6(15) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.WantState(tcp.SynReceived)
	p.Recv("< S 0:15(15)") // the same as before, with text: the SYN-ACK was lost
	p.Want("> S. 0:0(0) ack 1")
	p.WantState(tcp.SynReceived)
}

// The answer to a RST that was meant is a RST that is believed. RFC 5961 §3.2.
func TestResetByChallenge(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.Recv("< R 101:101(0)") // the peer had sent 100 octets that were lost
	p.Want("> . 11:11(0) ack 1")
	p.Recv("< R 1:1(0)")
	p.WantErr(tcp.ReasonReset)
}

// A SYN in a synchronised state is challenged and dropped, whatever its number. RFC 9293 §3.10.7.4, RFC 5961 §4.
func TestR9293_SY1_SYN(t *testing.T) {
	for s := tcp.Established; s <= tcp.LastAck; s++ {
		for _, offset := range []int{-1, 0, 1, 1000, 1 << 30, -(1 << 30)} {
			for _, flags := range []string{"S", "S.", "SF."} {
				t.Run(fmt.Sprint(s, " ", flags, " ", offset), func(t *testing.T) {
					p := tcptest.In(t, s)
					at := p.RcvNXT() + uint32(offset)
					line := fmt.Sprintf("< %s %d:%d(0)", flags, at, at)
					if flags != "S" {
						line += " ack 1"
					}
					p.Recv(line)
					p.Want(fmt.Sprintf("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), p.RcvNXT()))
					p.WantNothing("no RST, no second ACK")
					p.WantState(s)
				})
			}
		}
	}
}

// In TIME-WAIT a newer SYN makes room for a new connection; an older one is challenged. RFC 6191 §2, RFC 5961 §4.
func TestSYNInTimeWait(t *testing.T) {
	t.Run("newer", func(t *testing.T) {
		p := tcptest.TimeWait(t)
		p.IntoRecord()
		p.Recv("< S 5000:5000(0) win 1000 <mss 1000>")
		p.WantState(tcp.SynReceived)
		p.Want("> S. 0:0(0) ack 1")
		p.Recv("< . 1:1(0) ack 1")
		p.WantState(tcp.Established)
	})
	t.Run("older", func(t *testing.T) {
		p := tcptest.TimeWait(t)
		p.IntoRecord()
		p.Recv("< S 1:1(0) win 1000 <mss 1000>")
		p.Want("> . 2:2(0) ack 2")
		p.WantState(tcp.TimeWait)
	})
	t.Run("older by its number, newer by its timestamp", func(t *testing.T) {
		p := tcptest.TimeWait(t, tcptest.Timestamps)
		p.IntoRecord()
		p.Advance("10ms")
		p.Recv("< S 1:1(0) win 1000 <mss 1000,nop,nop,TS val 100010 ecr 0>")
		p.WantState(tcp.SynReceived)
		p.Want("> S. 0:0(0) ack 1")
	})
	t.Run("newer by its number, older by its timestamp", func(t *testing.T) {
		p := tcptest.TimeWait(t, tcptest.Timestamps)
		p.IntoRecord()
		p.Recv("< S 5000:5000(0) win 1000 <mss 1000,nop,nop,TS val 99999 ecr 0>")
		p.Want("> . 2:2(0) ack 2")
		p.WantState(tcp.TimeWait)
	})
}

// A new incarnation starts beyond all that the old one sent. RFC 9293 §3.6.1.
func TestNextISS(t *testing.T) {
	r := tcp.TimeWaitRecord{SndNXT: 1<<32 - 10}
	for _, c := range []struct{ computed, want tcp.Seq }{
		{1<<32 - 100, 65527}, {1<<32 - 10, 65527}, {65526, 65527}, {65527, 65527}, {1 << 30, 1 << 30},
	} {
		if got := r.NextISS(c.computed); got != c.want {
			t.Errorf("for %d: %d, want %d", c.computed, got, c.want)
		}
	}
}

// A RST in TIME-WAIT does not end the wait. RFC 1337 §3.
func TestRSTInTimeWait(t *testing.T) {
	for _, record := range []bool{false, true} {
		p := tcptest.TimeWait(t)
		if record {
			p.IntoRecord()
		}
		p.Recv("< R 2:2(0)")
		p.Recv("< R. 2:2(0) ack 2")
		p.WantState(tcp.TimeWait)
		p.WantNothing("a RST is not answered")
	}
}
