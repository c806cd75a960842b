package tcp_test

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// TIME-WAIT acknowledges a FIN that comes again, and starts its timer anew. RFC 9293 §3.10.7.4.
func TestR9293_TW1_FINAgain(t *testing.T) {
	for _, record := range []bool{false, true} {
		t.Run(fmt.Sprint("record ", record), func(t *testing.T) {
			p := tcptest.TimeWait(t)
			if record {
				p.IntoRecord()
			}
			p.WantDeadline("240s")
			p.At("100s")
			p.Recv("< F. 1:1(0) ack 2")
			p.Want("> . 2:2(0) ack 2")
			p.WantDeadline("340s")
			p.Recv("< F. 1:1(0) ack 2")
			p.Want("> . 2:2(0) ack 2") // at once: the peer repeats it for a reason
			p.At("150s")
			p.Recv("< . 2:2(0) ack 2")
			p.Recv("< . 1:1(0) ack 2")
			p.Drop()
			p.WantDeadline("340s") // only a FIN counts
			p.At("340s")
			p.WantState(tcp.Closed)
		})
	}
}

// A FIN counts one sequence number, is acknowledged, and pushes what is before it. RFC 9293 §3.10.7.4.
func TestR9293_FN1_FIN(t *testing.T) {
	for s := tcp.Established; s <= tcp.FinWait2; s++ {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			p.WantEOF(false)
			p.Recv("< F. 1:101(100) ack 1") // no PSH
			p.Want(fmt.Sprintf("> . %d:%d(0) ack 102", p.SndNXT(), p.SndNXT()))
			p.WantNothing("one ACK is enough")
			p.WantUnread(100)
			p.WantEOF(false) // the data first
			p.Read(100)
			p.WantEOF(true)
			p.WantNothing("no window update to one who has closed")
		})
	}
	for _, s := range []tcp.State{tcp.CloseWait, tcp.Closing, tcp.LastAck, tcp.TimeWait} {
		t.Run(s.String(), func(t *testing.T) { // there is no second one
			p := tcptest.In(t, s)
			p.Recv("< F. 2:2(0) ack 1")
			p.Recv("< FP. 2:12(10) ack 1")
			p.WantState(s)
			p.WantUnread(0)
			if p.RcvNXT() != 2 {
				t.Errorf("RCV.NXT is %d", p.RcvNXT())
			}
			p.Drop()
		})
	}
	for _, s := range []tcp.State{tcp.Closed, tcp.Listen, tcp.SynSent} {
		t.Run(s.String(), func(t *testing.T) { // it cannot be checked here
			p := tcptest.In(t, s)
			p.Recv("< F 0:0(0)")
			p.Recv("< F. 0:0(0) ack 1")
			p.WantState(s)
			p.Drop()
		})
	}
}

// A FIN in FIN-WAIT-1 leads to TIME-WAIT if ours is acknowledged with it, else to CLOSING. RFC 9293 §3.10.7.4.
func TestR9293_FN2_FINInFinWait1(t *testing.T) {
	p := tcptest.FinWait1(t)
	p.Recv("< F. 1:1(0) ack 2")
	p.WantState(tcp.TimeWait)
	p.Want("> . 2:2(0) ack 2")
	p.WantDeadline("240s") // no other timer is left

	p = tcptest.FinWait1(t)
	p.Recv("< F. 1:1(0) ack 1")
	p.WantState(tcp.Closing)
	p.Want("> . 2:2(0) ack 2")
	p.WantAt("1s", "> F. 1:1(0) ack 2") // ours is still on its way
}

// CLOSE sends one FIN behind the data, and never a second. RFC 9293 §3.10.4.
func TestR9293_US1_CLOSE(t *testing.T) {
	t.Run("SYN-RECEIVED with nothing to send", func(t *testing.T) {
		p := tcptest.SynReceived(t)
		p.Shutdown()
		p.WantState(tcp.FinWait1)
		p.Want("> F. 1:1(0) ack 1")
		p.Recv("< . 1:1(0) ack 2")
		p.WantState(tcp.FinWait2)
	})
	t.Run("SYN-RECEIVED with nothing to send, the SYN acknowledged first", func(t *testing.T) {
		p := tcptest.SynReceived(t)
		p.Shutdown()
		p.Want("> F. 1:1(0) ack 1")
		p.Recv("< . 1:1(0) ack 1")
		p.WantState(tcp.FinWait1)
		p.Recv("< . 1:1(0) ack 2")
		p.WantState(tcp.FinWait2)
	})
	t.Run("SYN-RECEIVED, and SYN-ACK and FIN are lost", func(t *testing.T) {
		p := tcptest.SynReceived(t)
		p.Shutdown()
		p.Want("> F. 1:1(0) ack 1")
		p.WantAt("1s", "> S. 0:0(0) ack 1")
		p.Want("> F. 1:1(0) ack 1")
		p.Recv("< . 1:1(0) ack 2")
		p.WantState(tcp.FinWait2)
	})
	t.Run("SYN-RECEIVED with data", func(t *testing.T) {
		p := tcptest.SynReceived(t)
		p.Write(100)
		p.Shutdown()
		p.WantState(tcp.SynReceived)
		p.WantNothing("it is queued until the data has been sent")
		p.Recv("< . 1:1(0) ack 1")
		p.WantState(tcp.FinWait1)
		p.Want("> FP. 1:101(100) ack 1")
	})
	t.Run("ESTABLISHED with more data than the window takes", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Window(1000))
		p.Write(1500)
		p.Want("> . 1:1001(1000) ack 1")
		p.Shutdown()
		p.WantState(tcp.FinWait1)
		p.WantNothing("the FIN waits for the data")
		p.Recv("< . 1:1(0) ack 1001 win 1000")
		p.Want("> FP. 1001:1501(500) ack 1")
	})
	t.Run("again", func(t *testing.T) {
		for s := tcp.FinWait1; s <= tcp.TimeWait; s++ {
			if s == tcp.CloseWait {
				continue // has not closed yet
			}
			p := tcptest.In(t, s)
			p.Shutdown()
			p.Close()
			p.WantNothing("there is one FIN")
			p.WantState(s)
		}
	})
	t.Run("CLOSE-WAIT", func(t *testing.T) {
		p := tcptest.CloseWait(t)
		p.Write(10)
		p.Want("> P. 1:11(10) ack 2")
		p.Shutdown()
		p.Want("> F. 11:11(0) ack 2")
		p.WantState(tcp.LastAck)
		p.Shutdown()
		p.WantNothing("there is one FIN")
	})
	t.Run("SYN-SENT", func(t *testing.T) {
		p := tcptest.SynSent(t)
		p.Write(10)
		p.Shutdown()
		p.WantErr(tcp.ReasonClosed)
		p.WantNothing("the peer knows of nothing")
	})
}

// ABORT sends a RST where the peer may wait for us, and drops all that was queued. RFC 9293 §3.10.5.
func TestR9293_US2_ABORT(t *testing.T) {
	for _, s := range []tcp.State{tcp.SynReceived, tcp.Established, tcp.FinWait1, tcp.FinWait2, tcp.CloseWait} {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s, tcptest.Window(1000))
			if p.TCB().Room() > 0 {
				p.Write(3000)
				p.Drop()
			}
			p.Abort()
			p.Want(fmt.Sprintf("> R. %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), p.RcvNXT()))
			p.WantErr(tcp.ReasonAborted)
			p.WantDeadline("none")
			if p.TCB().Queued() != 0 || p.TCB().Room() != 0 {
				t.Error("the send queue was not flushed")
			}
		})
	}
	for _, s := range []tcp.State{tcp.Closed, tcp.SynSent, tcp.Closing, tcp.LastAck, tcp.TimeWait} {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			p.Abort()
			p.WantNothing("nobody needs to know")
			p.WantState(tcp.Closed)
			p.WantDeadline("none")
		})
	}
}

// A CLOSE with data unread tells the peer that it is lost. RFC 9293 §3.6.1, RFC 2525 §2.17.
func TestCloseWithUnreadData(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< P. 1:101(100) ack 1")
	p.Close()
	p.Want("> R. 1:1(0) ack 101")
	p.WantErr(tcp.ReasonAborted)

	p = tcptest.Established(t)
	p.Close()
	p.Want("> F. 1:1(0) ack 1")
	p.Recv("< P. 1:101(100) ack 2") // too late
	p.Want("> R 2:2(0)")
	p.WantErr(tcp.ReasonAborted)
}

// The user timeout drops what was queued, tells the application and deletes the connection. RFC 9293 §3.10.8.
func TestR9293_TO1_UserTimeout(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(5000)
	p.Want("> . 1:4001(4000) ack 1 cut 1000")
	p.At("299999ms")
	p.WantState(tcp.Established)
	if p.Drop() == 0 {
		t.Error("no retransmission")
	}
	p.WantAt("300s", "> R. 4001:4001(0) ack 1") // five minutes, RFC 9293 §3.9.1.1
	p.WantErr(tcp.ReasonTimeout)
	p.WantDeadline("none")
	if p.TCB().Queued() != 0 {
		t.Error("the send queue was not flushed")
	}
	if e := p.TCB().TakeEvents(); e&(tcp.EventReadable|tcp.EventWritable) != tcp.EventReadable|tcp.EventWritable {
		t.Errorf("events %b: nobody is woken", e)
	}
}

// A host that has lost its sequence numbers keeps quiet for one MSL, or takes the risk. RFC 9293 §3.4.3.
//
// The risk is taken, as all do: the clock of the ISN goes on across a restart.
func TestR9293_QT1_QuietTime(t *testing.T) {
	p := tcptest.Closed(t)
	p.Open()
	p.Want("> S 0:0(0)") // in the first instant of the clock
}
