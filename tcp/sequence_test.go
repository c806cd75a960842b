package tcp_test

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// A segment is acceptable by four cases of its length and the receive window. RFC 9293 §3.4, table 6.
func TestR9293_SQ1_Acceptability(t *testing.T) {
	// The window is [1, 1001), or closed with RCV.NXT 1001. What is acceptable
	// is seen from its ACK of our octet: one that is not leaves it unacknowledged.
	for _, c := range []struct {
		closed     bool
		seq, len   uint32
		acceptable bool
	}{
		{closed: true, seq: 1001, len: 0, acceptable: true},
		{closed: true, seq: 999, len: 0},
		{closed: true, seq: 1002, len: 0},
		{closed: true, seq: 1000, len: 0, acceptable: true}, // not by the table, but by SQ5
		{closed: false, seq: 1, len: 0, acceptable: true},
		{closed: false, seq: 1000, len: 0, acceptable: true},
		{closed: false, seq: 1001, len: 0},
		{closed: false, seq: 1<<32 - 1, len: 0},
		{closed: true, seq: 1002, len: 1},
		{closed: true, seq: 990, len: 10},
		{closed: false, seq: 1, len: 1, acceptable: true},
		{closed: false, seq: 1000, len: 1, acceptable: true},   // the last octet
		{closed: false, seq: 1000, len: 500, acceptable: true}, // its first octet is in the window
		{closed: false, seq: 1<<32 - 50, len: 52, acceptable: true},
		{closed: false, seq: 1<<32 - 50, len: 50}, // up to number 0, which is old
		{closed: false, seq: 1001, len: 1},
		{closed: false, seq: 5000, len: 10},
	} {
		t.Run(fmt.Sprintf("closed %v seq %d len %d", c.closed, c.seq, c.len), func(t *testing.T) {
			p := tcptest.Established(t, tcptest.ReceiveBuffer(1000), tcptest.NoSACK)
			if c.closed {
				p.Recv("< . 1:1001(1000) ack 1")
				p.Advance("200ms")
				p.Want("> . 1:1(0) ack 1001 win 0")
			}
			p.Write(1)
			p.Drop()
			p.Recv(fmt.Sprintf("< . %d:%d(%d) ack 2", c.seq, c.seq+c.len, c.len))
			p.Drop()
			if got := p.Info().Unacked == 0; got != c.acceptable {
				t.Errorf("acceptable: %v, want %v", got, c.acceptable)
			}
		})
	}
}

// An unacceptable segment is answered by an ACK and dropped; a RST is dropped without answer. RFC 9293 §3.10.7.4.
func TestR9293_SQ2_UnacceptableAnswered(t *testing.T) {
	for s := tcp.Established; s <= tcp.LastAck; s++ {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			state := p.State()
			ack := fmt.Sprintf("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), p.RcvNXT())
			p.Recv("< R 200000:200000(0)")
			p.WantNothing("a RST outside the window is dropped silently")
			p.Recv("< P. 200000:200100(100) ack 1")
			p.Want(ack)
			p.WantUnread(0)
			p.Advance("700ms")
			p.Recv("< . 200000:200000(0) ack 1")
			p.Want(ack)
			p.WantNothing("one answer is enough")
			p.WantState(state)
		})
	}
}

// Answers to unacceptable segments without text are few. RFC 5961 §7.
func TestChallengesAreThrottled(t *testing.T) {
	p := tcptest.Established(t)
	for range 100 {
		p.Recv("< . 200000:200000(0) ack 1")
	}
	p.Want("> . 1:1(0) ack 1")
	p.WantNothing("one in 500 ms")
	p.Advance("500ms")
	p.Recv("< . 200000:200000(0) ack 1")
	p.Want("> . 1:1(0) ack 1")
}

// With a window of zero, valid ACK, URG and RST still count. RFC 9293 §3.10.7.4.
func TestR9293_SQ3_ZeroWindow(t *testing.T) {
	p := tcptest.Established(t, tcptest.ReceiveBuffer(1000), tcptest.NoSACK)
	p.Recv("< . 1:1001(1000) ack 1")
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 1001 win 0")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1001 win 0")
	p.Recv("< P.U 1001:1006(5) ack 11 urg 5") // no room for the text
	p.Want("> . 11:11(0) ack 1001 win 0")
	p.WantUnread(1000)
	if p.Info().Unacked != 0 {
		t.Error("the ACK did not count")
	}
	if p.TCB().TakeEvents()&tcp.EventUrgent == 0 {
		t.Error("the urgent pointer did not count")
	}
	p.Recv("< R 1001:1001(0)")
	p.WantErr(tcp.ReasonReset)
}

// Of a segment that overlaps the window only what lies inside is used; SYN and FIN are trimmed as well. RFC 9293 §3.10.7.4.
func TestR9293_SQ4_Trimming(t *testing.T) {
	begin := func(t *testing.T) *tcptest.Conn {
		p := tcptest.Established(t, tcptest.ReceiveBuffer(1000), tcptest.NoSACK)
		p.Recv("< P. 1:501(500) ack 1") // the window is [501, 1001)
		return p
	}
	t.Run("left", func(t *testing.T) {
		p := begin(t)
		p.Recv("< P. 401:601(200) ack 1")
		p.WantUnread(600)
		p.Read(600)
		p.Want("> . 1:1(0) ack 601 win 1000")
	})
	t.Run("right, with the FIN", func(t *testing.T) {
		p := begin(t)
		p.Recv("< FP. 501:1101(600) ack 1")
		p.WantState(tcp.Established)
		p.Want("> . 1:1(0) ack 1001 win 0")
		p.Read(1000)
		p.Want("> . 1:1(0) ack 1001 win 1000")
		p.Recv("< FP. 1001:1101(100) ack 1")
		p.Want("> . 1:1(0) ack 1102")
		p.WantState(tcp.CloseWait)
		p.Read(100)
	})
	t.Run("the FIN alone lies beyond", func(t *testing.T) {
		p := begin(t)
		p.Recv("< FP. 501:1001(500) ack 1")
		p.WantState(tcp.Established)
		p.Want("> . 1:1(0) ack 1001 win 0")
		p.WantUnread(1000)
	})
	t.Run("both sides", func(t *testing.T) {
		// Neither the first nor the last octet is in the window: table 6 calls
		// it unacceptable, although the window lies inside.
		p := begin(t)
		p.Recv("< FP. 1:2001(2000) ack 1")
		p.Want("> . 1:1(0) ack 501")
		p.WantUnread(500)
	})
	t.Run("old FIN", func(t *testing.T) {
		p := begin(t)
		p.Recv("< FP. 401:501(100) ack 1") // its FIN is number 501
		p.WantState(tcp.CloseWait)
		p.Want("> . 1:1(0) ack 502")
		p.Recv("< FP. 401:501(100) ack 1") // all of it is old now
		p.Want("> . 1:1(0) ack 502")
		p.WantUnread(500)
	})
	t.Run("out of order beyond the edge", func(t *testing.T) {
		p := begin(t)
		p.Recv("< FP. 901:1101(200) ack 1")
		p.Want("> . 1:1(0) ack 501")
		p.Recv("< P. 501:901(400) ack 1")
		p.Want("> . 1:1(0) ack 1001 win 0")
		p.WantUnread(1000)
		p.WantState(tcp.Established)
	})
}

// One number below the window, the ACK still counts, so that two ends do not answer each other for ever. RFC 9293 §3.10.7.4, appendix A.2.
func TestR9293_SQ5_SequenceJustLeft(t *testing.T) {
	t.Run("simultaneous close", func(t *testing.T) {
		// The peer repeats its FIN, and acknowledges ours with it. Without the
		// ACK both would stay in CLOSING and answer each other's FIN.
		p := tcptest.Closing(t)
		p.Recv("< F. 1:1(0) ack 2")
		p.WantState(tcp.TimeWait)
		p.Want("> . 2:2(0) ack 2") // the peer repeats because it has no ACK of its FIN
	})
	t.Run("keepalive", func(t *testing.T) {
		p := tcptest.Established(t)
		p.Write(10)
		p.Want("> P. 1:11(10) ack 1")
		p.Recv("< . 0:0(0) ack 11")
		if p.Info().Unacked != 0 {
			t.Error("the ACK of a keepalive probe did not count")
		}
		p.Want("> . 11:11(0) ack 1") // the probe is answered
	})
	t.Run("LAST-ACK", func(t *testing.T) {
		p := tcptest.LastAck(t)
		p.Recv("< F. 1:1(0) ack 2")
		p.WantErr(tcp.ReasonNone)
	})
}

// A segment that is out of order is kept, and acknowledged with what fills the gap. RFC 9293 §3.10.7.4.
func TestOutOfOrder(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Recv("< P. 1001:2001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< FP. 3001:3501(500) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< P. 1:1001(1000) ack 1")
	p.Want("> . 1:1(0) ack 2001")
	p.WantState(tcp.Established)
	p.Recv("< P. 1501:3001(1500) ack 1")
	p.Want("> . 1:1(0) ack 3502")
	p.WantState(tcp.CloseWait)
	p.Read(3500)
	p.WantEOF(true)
}
