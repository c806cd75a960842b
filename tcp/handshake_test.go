package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// A segment without RST to a CLOSED connection is answered by a RST that its sender must believe. RFC 9293 §3.10.7.1.
func TestR9293_CL1_ClosedResets(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"SYN", "< S 5000:5000(0)", "> R. 0:0(0) ack 5001"},
		{"SYN and data", "< S 5000:5100(100)", "> R. 0:0(0) ack 5101"},
		{"SYN and FIN", "< SF 5000:5000(0)", "> R. 0:0(0) ack 5002"},
		{"data without ACK", "< P 5000:5010(10)", "> R. 0:0(0) ack 5010"},
		{"FIN without ACK", "< F 5000:5010(10)", "> R. 0:0(0) ack 5011"},
		{"no flag at all", "< - 5000:5000(0)", "> R. 0:0(0) ack 5000"},
		{"ACK", "< . 5000:5000(0) ack 700", "> R 700:700(0)"},
		{"data", "< P. 5000:5100(100) ack 700", "> R 700:700(0)"},
		{"SYN-ACK", "< S. 5000:5000(0) ack 700", "> R 700:700(0)"},
		{"FIN", "< F. 5000:5000(0) ack 700", "> R 700:700(0)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tcptest.Closed(t, tcptest.Absolute(0, 0))
			p.Recv(c.in)
			p.Want(c.out)
			p.WantState(tcp.Closed)
		})
		t.Run(c.name+" to one that has been closed", func(t *testing.T) {
			p := tcptest.Established(t, tcptest.Absolute(0, 0))
			p.Abort()
			p.Want("> R. 1:1(0) ack 1")
			p.Recv(c.in)
			p.Want(c.out)
		})
	}
}

// A RST to a CLOSED connection is dropped without an answer. RFC 9293 §3.10.7.1.
func TestR9293_CL2_ClosedIgnoresRST(t *testing.T) {
	p := tcptest.Closed(t, tcptest.Absolute(0, 0))
	for _, in := range []string{"< R 5000:5000(0)", "< R. 5000:5000(0) ack 700", "< SR 5000:5000(0)", "< R. 5000:5010(10) ack 1"} {
		p.Recv(in)
		p.WantNothing("two ends could reset each other for ever")
	}
}

// LISTEN ignores RST, answers ACK by RST and SYN by SYN-ACK, and drops the rest. RFC 9293 §3.10.7.2.
func TestR9293_LI1_ListenEvents(t *testing.T) {
	for _, c := range []struct {
		in, out string // nothing is sent if out is empty
		state   tcp.State
	}{
		{"< R 0:0(0)", "", tcp.Listen},
		{"< R. 0:0(0) ack 700", "", tcp.Listen},
		{"< SR 0:0(0)", "", tcp.Listen},
		{"< . 0:0(0) ack 700", "> R 700:700(0)", tcp.Listen},
		{"< S. 0:0(0) ack 700", "> R 700:700(0)", tcp.Listen},
		{"< F. 0:0(0) ack 700", "> R 700:700(0)", tcp.Listen},
		{"< P. 0:100(100) ack 700", "> R 700:700(0)", tcp.Listen},
		{"< P 0:100(100)", "", tcp.Listen},
		{"< F 0:0(0)", "", tcp.Listen},
		{"< - 0:0(0)", "", tcp.Listen},
		{"< S 0:0(0)", "> S. 0:0(0) ack 1", tcp.SynReceived},
		{"< S 9000:9000(0)", "> S. 0:0(0) ack 1", tcp.SynReceived}, // the number is 0 from now on
		{"< SP 0:0(0)", "> S. 0:0(0) ack 1", tcp.SynReceived},
	} {
		t.Run(c.in, func(t *testing.T) {
			p := tcptest.Listen(t)
			p.Recv(c.in)
			if c.out != "" {
				p.Want(c.out)
			}
			p.WantNothing("there is no other answer")
			p.WantState(c.state)
		})
	}
}

// Data on a SYN is not delivered before the connection is established. RFC 9293 §3.10.7.2.
//
// It is dropped and not acknowledged: the peer sends it again.
func TestR9293_LI2_DataOnSYN(t *testing.T) {
	p := tcptest.Listen(t)
	p.Recv("< S 0:100(100)")
	p.Want("> S. 0:0(0) ack 1")
	p.Recv("< . 101:101(0) ack 1")
	p.WantState(tcp.Established)
	p.WantUnread(0)
	p.Recv("< P. 1:101(100) ack 1")
	p.Read(100)
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 101")
}

// SYN-SENT answers an ACK of what it has not sent by a RST. RFC 9293 §3.10.7.3.
func TestR9293_SS1_UnacceptableACK(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"< . 0:0(0) ack 0", "> R 0:0(0)"}, // SEG.ACK =< ISS
		{"< S. 0:0(0) ack 0", "> R 0:0(0)"},
		{"< S. 0:0(0) ack 2", "> R 2:2(0)"}, // SEG.ACK > SND.NXT
		{"< S. 0:0(0) ack 1000000", "> R 1000000:1000000(0)"},
		{"< F. 0:10(10) ack 2", "> R 2:2(0)"},
		{"< R. 0:0(0) ack 0", ""},
		{"< R. 0:0(0) ack 2", ""},
	} {
		t.Run(c.in, func(t *testing.T) {
			p := tcptest.SynSent(t)
			p.Recv(c.in)
			if c.out != "" {
				p.Want(c.out)
			}
			p.WantNothing("there is no other answer")
			p.WantState(tcp.SynSent)
			p.Recv(p.SYNACK())
			p.Want("> . 1:1(0) ack 1")
			p.WantState(tcp.Established)
		})
	}
}

// SYN-SENT is refused by a RST with an acceptable ACK; another RST is dropped. RFC 9293 §3.10.7.3.
func TestR9293_SS2_Refused(t *testing.T) {
	p := tcptest.SynSent(t)
	p.Recv("< R 0:0(0)")
	p.Recv("< R 1:1(0)")
	p.Recv("< SR 0:0(0)")
	p.WantState(tcp.SynSent)
	p.Recv("< R. 0:0(0) ack 1")
	p.WantErr(tcp.ReasonRefused)
	p.WantNothing("a RST is not answered")
	p.WantDeadline("none")
}

// SYN-SENT becomes ESTABLISHED by a SYN-ACK, which it acknowledges, and SYN-RECEIVED by a bare SYN. RFC 9293 §3.10.7.3.
func TestR9293_SS3_SYN(t *testing.T) {
	t.Run("SYN-ACK", func(t *testing.T) {
		p := tcptest.SynSent(t)
		p.Recv(p.SYNACK())
		p.WantState(tcp.Established)
		p.Want("> . 1:1(0) ack 1")
	})
	t.Run("SYN-ACK with data", func(t *testing.T) {
		p := tcptest.SynSent(t)
		p.Recv("< SP. 0:100(100) ack 1 win 65535 <mss 1000>")
		p.WantState(tcp.Established)
		p.Want("> . 1:1(0) ack 101")
		p.Read(100)
	})
	t.Run("SYN-ACK with data and FIN", func(t *testing.T) {
		p := tcptest.SynSent(t)
		p.Recv("< SFP. 0:100(100) ack 1 win 65535 <mss 1000>")
		p.WantState(tcp.CloseWait)
		p.Want("> . 1:1(0) ack 102")
		p.Read(100)
		p.WantEOF(true)
	})
	t.Run("SYN", func(t *testing.T) {
		p := tcptest.SynSent(t)
		p.Recv(p.SYN())
		p.WantState(tcp.SynReceived)
		p.Want("> S. 0:0(0) ack 1")
		p.Recv("< . 1:1(0) ack 1")
		p.WantState(tcp.Established)
		p.WantNothing("an ACK without text is not acknowledged")
	})
	t.Run("neither", func(t *testing.T) {
		p := tcptest.SynSent(t)
		p.Recv("< . 0:0(0) ack 1")
		p.Recv("< F. 0:0(0) ack 1")
		p.Recv("< - 0:0(0)")
		p.WantState(tcp.SynSent)
		p.WantNothing("neither SYN nor RST: dropped")
	})
}

// Data queued in SYN-SENT and SYN-RECEIVED leaves when the connection is established. RFC 9293 §3.10.2.
func TestSendBeforeEstablished(t *testing.T) {
	p := tcptest.SynSent(t)
	p.Write(100)
	p.WantNothing("data waits for the handshake")
	p.Recv(p.SYNACK())
	p.Want("> P. 1:101(100) ack 1") // it carries the ACK of the SYN
	p.WantNothing("no other ACK")

	p = tcptest.SynReceived(t)
	p.Write(100)
	p.WantNothing("data waits for the handshake")
	p.Recv("< . 1:1(0) ack 1")
	p.Want("> P. 1:101(100) ack 1")
}
