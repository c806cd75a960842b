package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// The figures of RFC 9293 §3.5 and §3.6 with the numbers that are in them, each
// as it is seen by either peer. Figure 5, the state machine, is TestEdges.

// Figure 6: the basic three-way handshake, and the segment with data after it.
func TestFigure6(t *testing.T) {
	t.Run("A", func(t *testing.T) {
		p := tcptest.Closed(t, tcptest.Absolute(100, 300))
		p.Open()
		p.Want("> S 100:100(0)") // line 2
		p.WantState(tcp.SynSent)
		p.Recv("< S. 300:300(0) ack 101") // 3
		p.WantState(tcp.Established)
		p.Want("> . 101:101(0) ack 301") // 4
		p.Write(10)
		p.Want("> P. 101:111(10) ack 301") // 5: an ACK takes no number
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Listen(t, tcptest.Absolute(300, 100))
		p.Recv("< S 100:100(0)")
		p.WantState(tcp.SynReceived)
		p.Want("> S. 300:300(0) ack 101")
		p.Recv("< . 101:101(0) ack 301")
		p.WantState(tcp.Established)
		p.Recv("< . 101:111(10) ack 301")
		p.Read(10)
		p.Advance("200ms")
		p.Want("> . 301:301(0) ack 111")
	})
}

// Figure 7: both open at the same time.
func TestFigure7(t *testing.T) {
	for name, n := range map[string][2]tcp.Seq{"A": {100, 300}, "B": {300, 100}} {
		t.Run(name, func(t *testing.T) {
			p := tcptest.SynSent(t, tcptest.Absolute(n[0], n[1])) // line 2, or 3
			p.Recv(p.SYN())
			p.WantState(tcp.SynReceived)
			if name == "A" {
				p.Want("> S. 100:100(0) ack 301") // 5
				p.Recv("< S. 300:300(0) ack 101") // 6
			} else {
				p.Want("> S. 300:300(0) ack 101")
				p.Recv("< S. 100:100(0) ack 301") // 7
			}
			p.WantState(tcp.Established)
			p.WantNothing("our SYN-ACK says all that an ACK would")
		})
	}
}

// Figure 8: an old duplicate SYN reaches the listener first.
func TestFigure8(t *testing.T) {
	t.Run("A", func(t *testing.T) {
		p := tcptest.SynSent(t, tcptest.Absolute(100, 400))
		p.Recv("< S. 300:300(0) ack 91") // line 4
		p.Want("> R 91:91(0)")           // 5
		p.WantState(tcp.SynSent)
		p.Recv("< S. 400:400(0) ack 101") // 7
		p.Want("> . 101:101(0) ack 401")  // 8
		p.WantState(tcp.Established)
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Listen(t, tcptest.Absolute(300, 90))
		p.Recv("< S 90:90(0)") // 3
		p.Want("> S. 300:300(0) ack 91")
		p.Recv("< R 91:91(0)") // 5
		p.WantState(tcp.Listen)
		p.SetISS(400)
		p.Recv("< S 100:100(0)") // 6
		p.Want("> S. 400:400(0) ack 101")
		p.Recv("< . 101:101(0) ack 401") // 8
		p.WantState(tcp.Established)
	})
}

// Figure 9: A has lost its memory and opens anew; B still has the connection.
func TestFigure9(t *testing.T) {
	t.Run("A", func(t *testing.T) {
		p := tcptest.SynSent(t, tcptest.Absolute(400, 299)) // line 3
		p.Recv("< . 300:300(0) ack 100")                    // 4
		p.Want("> R 100:100(0)")                            // 5
		p.WantState(tcp.SynSent)                            // 6
		p.WantAt("1s", "> S 400:400(0)")                    // 7
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Absolute(299, 99))
		p.Recv("< S 400:400(0)")         // 3
		p.Want("> . 300:300(0) ack 100") // 4
		p.WantState(tcp.Established)
		p.Recv("< R 100:100(0)") // 5
		p.WantErr(tcp.ReasonReset)
	})
}

// Figure 10: A has lost its memory, and B sends data.
func TestFigure10(t *testing.T) {
	t.Run("A", func(t *testing.T) {
		p := tcptest.Closed(t, tcptest.Absolute(0, 0))
		p.Recv("< . 300:310(10) ack 100") // line 2
		p.Want("> R 100:100(0)")          // 3
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Absolute(299, 99))
		p.Write(10)
		p.Want("> P. 300:310(10) ack 100")
		p.Recv("< R 100:100(0)")
		p.WantErr(tcp.ReasonReset)
	})
}

// Figure 11: an old duplicate SYN reaches B, and A listens too.
func TestFigure11(t *testing.T) {
	const z, x = 5000, 7000
	t.Run("A", func(t *testing.T) {
		p := tcptest.Listen(t, tcptest.Absolute(0, 0))
		p.Recv("< S. 7000:7000(0) ack 5001") // line 3
		p.Want("> R 5001:5001(0)")           // 4
		p.WantState(tcp.Listen)              // 5
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Listen(t, tcptest.Absolute(x, z))
		p.Recv("< S 5000:5000(0)") // 2
		p.Want("> S. 7000:7000(0) ack 5001")
		p.WantState(tcp.SynReceived)
		p.Recv("< R 5001:5001(0)") // 4
		p.WantState(tcp.Listen)    // 5
		p.WantDeadline("none")
	})
}

// Figure 12: A closes first, then B.
func TestFigure12(t *testing.T) {
	t.Run("A", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Absolute(99, 299))
		p.Shutdown()
		p.Want("> F. 100:100(0) ack 300") // line 2
		p.WantState(tcp.FinWait1)
		p.Recv("< . 300:300(0) ack 101") // 3
		p.WantState(tcp.FinWait2)
		p.Recv("< F. 300:300(0) ack 101") // 4
		p.WantState(tcp.TimeWait)
		p.Want("> . 101:101(0) ack 301") // 5
		p.At("239999ms")
		p.WantState(tcp.TimeWait)
		p.At("240s") // 6: 2 MSL
		p.WantErr(tcp.ReasonNone)
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Absolute(299, 99))
		p.Recv("< F. 100:100(0) ack 300")
		p.WantState(tcp.CloseWait)
		p.Want("> . 300:300(0) ack 101")
		p.Shutdown()
		p.Want("> F. 300:300(0) ack 101")
		p.WantState(tcp.LastAck)
		p.Recv("< . 101:101(0) ack 301")
		p.WantErr(tcp.ReasonNone)
	})
}

// Figure 13: both close at the same time.
func TestFigure13(t *testing.T) {
	t.Run("A", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Absolute(99, 299))
		p.Shutdown()
		p.Want("> F. 100:100(0) ack 300") // line 2
		p.Recv("< F. 300:300(0) ack 100")
		p.WantState(tcp.Closing)
		p.Want("> . 101:101(0) ack 301") // 3
		p.Recv("< . 301:301(0) ack 101")
		p.WantState(tcp.TimeWait) // 4
		p.At("240s")
		p.WantErr(tcp.ReasonNone)
	})
	t.Run("B", func(t *testing.T) {
		p := tcptest.Established(t, tcptest.Absolute(299, 99))
		p.Shutdown()
		p.Want("> F. 300:300(0) ack 100")
		p.Recv("< F. 100:100(0) ack 300")
		p.WantState(tcp.Closing)
		p.Want("> . 301:301(0) ack 101")
		p.Recv("< . 101:101(0) ack 301")
		p.WantState(tcp.TimeWait)
		p.At("240s")
		p.WantErr(tcp.ReasonNone)
	})
}
