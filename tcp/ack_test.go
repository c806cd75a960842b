package tcp_test

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// A segment without ACK is dropped once SYNs are over. RFC 9293 §3.10.7.4.
func TestR9293_AK1_NoACK(t *testing.T) {
	for s := tcp.SynReceived; s <= tcp.TimeWait; s++ {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			n := p.RcvNXT()
			p.Recv(fmt.Sprintf("< P %d:%d(10)", n, n+10))
			p.Recv(fmt.Sprintf("< F %d:%d(0)", n, n))
			p.Recv(fmt.Sprintf("< - %d:%d(0)", n, n))
			p.WantNothing("not even an ACK")
			p.WantState(s)
			p.WantUnread(0)
		})
	}
	p := tcptest.HalfOpen(t)
	p.Recv("< P 1:11(10)")
	p.WantNothing("not even an ACK")
	p.WantState(tcp.SynReceived)
}

// An ACK of what was never sent is answered by an ACK, and its segment dropped. RFC 9293 §3.10.7.4.
func TestR9293_AK2_AckOfUnsent(t *testing.T) {
	for s := tcp.Established; s <= tcp.LastAck; s++ {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			n := p.RcvNXT()
			p.Recv(fmt.Sprintf("< FP. %d:%d(10) ack %d", n, n+10, p.SndNXT()+1))
			p.Want(fmt.Sprintf("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), n))
			p.WantState(s)
			p.WantUnread(0)
		})
	}
	for name, factory := range map[string]func(testing.TB, ...tcptest.Option) *tcptest.Conn{
		"SYN-RECEIVED": tcptest.SynReceived, "SYN-RECEIVED of a record": tcptest.HalfOpen} {
		t.Run(name, func(t *testing.T) { // here the answer is a RST
			p := factory(t)
			p.Recv("< . 1:1(0) ack 2")
			p.Want("> R 2:2(0)")
			p.Recv("< . 1:1(0) ack 0")
			p.Want("> R 0:0(0)")
			p.WantState(tcp.SynReceived)
		})
	}
}

// Only a segment that is newer than the one before updates the send window. RFC 9293 §3.10.7.4.
func TestR9293_AK3_WindowUpdate(t *testing.T) {
	p := tcptest.Established(t, tcptest.Window(5000))
	window := func(want uint32) {
		t.Helper()
		if got := p.Info().SendWindow; got != want {
			t.Errorf("SND.WND is %d, want %d", got, want)
		}
	}
	p.Recv("< . 101:101(0) ack 1 win 4000") // SND.WL1 < SEG.SEQ
	window(4000)
	p.Recv("< . 1:1(0) ack 1 win 3000") // older
	window(4000)
	p.Write(2000)
	p.Want("> P. 1:2001(2000) ack 1 cut 1000")
	p.Recv("< . 101:101(0) ack 1001 win 2000") // SND.WL1 = SEG.SEQ, SND.WL2 =< SEG.ACK
	window(2000)
	p.Recv("< . 101:101(0) ack 1 win 9000") // SEG.ACK < SND.WL2
	window(2000)
	p.Recv("< . 101:101(0) ack 1001 win 9000") // neither newer nor older
	window(9000)
	p.Recv("< . 1:1(0) ack 2001 win 100") // an older SEQ, but nothing acknowledged as much: it is newer
	window(100)
	if n := p.Info().Unacked; n != 0 {
		t.Errorf("%d octets unacknowledged", n)
	}
	p.Drop() // answers to what was out of order
}

// The ACK of our FIN moves FIN-WAIT-1, CLOSING and LAST-ACK on; an ACK of less does not. RFC 9293 §3.10.7.4.
func TestR9293_AK4_AckOfFIN(t *testing.T) {
	for from, to := range map[tcp.State]tcp.State{tcp.FinWait1: tcp.FinWait2, tcp.Closing: tcp.TimeWait, tcp.LastAck: tcp.Closed} {
		t.Run(from.String(), func(t *testing.T) {
			p := tcptest.In(t, from)
			n := p.RcvNXT()
			p.Recv(fmt.Sprintf("< . %d:%d(0) ack 1", n, n))
			p.WantState(from)
			p.Recv(fmt.Sprintf("< . %d:%d(0) ack 2", n, n))
			p.WantState(to)
			p.WantNothing("an ACK is not acknowledged")
		})
	}
	t.Run("data before the FIN", func(t *testing.T) {
		p := tcptest.Established(t)
		p.Write(500)
		p.Want("> P. 1:501(500) ack 1")
		p.Shutdown()
		p.Want("> F. 501:501(0) ack 1")
		p.Recv("< . 1:1(0) ack 501")
		p.WantState(tcp.FinWait1)
		p.Recv("< . 1:1(0) ack 502")
		p.WantState(tcp.FinWait2)
	})
}
