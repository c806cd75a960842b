package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// A RST may carry data; it is a RST all the same. RFC 9293 §3.5.3.
func TestR9293_S02_RstWithData(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< RP. 1:21(20) ack 1")
	p.WantErr(tcp.ReasonReset)
	p.WantUnread(0)

	p = tcptest.SynSent(t)
	p.Recv("< R. 0:20(20) ack 1")
	p.WantErr(tcp.ReasonRefused)

	p = tcptest.Established(t, tcptest.ReceiveBuffer(1000)) // the window is closed
	p.Recv("< . 1:1001(1000) ack 1")
	p.Advance("200ms")
	p.Drop()
	p.Recv("< R. 1001:1021(20) ack 1")
	p.WantErr(tcp.ReasonReset)
}

// A close with data unread, or data after it, tells the peer by RST that it is lost. RFC 9293 §3.6.1.
func TestR9293_S03_CloseUnreadRst(t *testing.T) {
	for _, s := range []tcp.State{tcp.Established, tcp.FinWait1, tcp.FinWait2} {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			p.Recv("< P. 1:101(100) ack 1")
			p.Close()
			p.Want(line("> R. %d:%d(0) ack 101", p.SndNXT(), p.SndNXT()))
			p.WantErr(tcp.ReasonAborted)

			p = tcptest.In(t, s)
			p.Close()
			p.Drop()
			n := p.SndNXT()
			p.Recv(line("< P. 1:101(100) ack %d", n))
			p.Want(line("> R %d:%d(0)", n, n))
			p.WantErr(tcp.ReasonAborted)
		})
	}
	t.Run("CLOSE-WAIT", func(t *testing.T) {
		p := tcptest.Established(t)
		p.Recv("< FP. 1:101(100) ack 1")
		p.Want("> . 1:1(0) ack 102")
		p.Close()
		p.Want("> R. 1:1(0) ack 102")
		p.WantErr(tcp.ReasonAborted)
	})
	t.Run("all was read", func(t *testing.T) {
		p := tcptest.Established(t)
		p.Recv("< P. 1:101(100) ack 1")
		p.Read(100)
		p.Close()
		p.Want("> F. 1:1(0) ack 101")
	})
}

// A close may end reading as well. RFC 9293 §3.6.1.
func TestR9293_Y01_CloseStopsRead(t *testing.T) {
	p := tcptest.Established(t)
	p.Close()
	p.Want("> F. 1:1(0) ack 1")
	p.WantEOF(true)
	p.WantState(tcp.FinWait1)

	p = tcptest.Established(t) // a Shutdown does not
	p.Shutdown()
	p.Want("> F. 1:1(0) ack 1")
	p.WantEOF(false)
	p.Recv("< P. 1:101(100) ack 2")
	p.Read(100)
	p.WantAt("200ms", "> . 2:2(0) ack 101")
}

// ACKs are delayed, and travel with data where there is some. RFC 9293 §3.8.6.3.
func TestR9293_S18_DelayedAck(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< P. 1:101(100) ack 1")
	p.At("199ms")
	p.WantNothing("an answer may come")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 101")
	p.At("1100ms")
	p.Recv("< . 101:101(0) ack 11")
	p.WantNothing("it was acknowledged already")
	p.Recv("< P. 101:111(10) ack 11")
	p.At("1150ms")
	p.Recv("< P. 111:121(10) ack 11") // the first of both counts
	p.WantAt("1300ms", "> . 11:11(0) ack 121")
}

// Every second full segment is acknowledged at once. RFC 9293 §3.8.6.3.
func TestR9293_S19_AckEverySecond(t *testing.T) {
	for _, size := range []int{1000, 536, 200} { // full is what the peer sends
		p := tcptest.Established(t)
		n := 1
		for i := range 20 {
			p.Recv(line("< . %d:%d(%d) ack 1", n, n+size, size))
			n += size
			if i%2 == 0 {
				p.WantNothing("the first of two")
			} else {
				p.Want(line("> . 1:1(0) ack %d", n))
			}
		}
	}
	p := tcptest.Established(t) // one that was glued of two and more
	p.Recv("< . 1:3001(3000) ack 1 cut 1000")
	p.Want("> . 1:1(0) ack 3001")
	p.WantNothing("one ACK")
}

// Segments out of order are kept. RFC 9293 §3.10.7.4.
func TestR9293_S31_QueueOutOfOrder(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	for _, n := range []int{4001, 2001, 1001, 6001} {
		p.Recv(line("< P. %d:%d(1000) ack 1", n, n+1000))
		p.Want("> . 1:1(0) ack 1")
	}
	p.Recv("< F. 7001:7001(0) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.WantUnread(0)
	p.Recv("< . 1:1001(1000) ack 1")
	p.Want("> . 1:1(0) ack 3001")
	p.Recv("< . 3001:4001(1000) ack 1")
	p.Want("> . 1:1(0) ack 5001")
	p.Recv("< . 4501:6501(2000) ack 1") // overlaps both
	p.Want("> . 1:1(0) ack 7002")
	p.WantState(tcp.CloseWait)
	p.Read(7000)
	p.WantEOF(true)
}

// A segment in the window but not at its left edge is acknowledged at once. RFC 9293 §3.10.7.4.
func TestR9293_Y13_ImmediateDupAck(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Recv("< P. 1001:1011(10) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< P. 65000:65010(10) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< F. 3001:3001(0) ack 1") // a FIN is text as well
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< . 3001:3001(0) ack 1")
	p.WantNothing("without text there is nothing to acknowledge")
}

// SEG.ACK is judged by the range of RFC 5961. RFC 9293 §3.10.7.4.
func TestR9293_Y12_AckRange5961(t *testing.T) {
	for s := tcp.Established; s <= tcp.FinWait2; s++ {
		p := tcptest.In(t, s, tcptest.Window(1000))
		n := p.SndNXT()
		for _, ack := range []uint32{n + 1, n + 1<<30, n - 1002, n - 1<<30} {
			p.Recv(line("< P. 1:11(10) ack %d", ack))
			p.WantUnread(0)
			p.Want(line("> . %d:%d(0) ack 1", n, n))
			p.Advance("500ms")
			p.Drop()
		}
		p.Recv(line("< P. 1:11(10) ack %d", n))
		p.WantUnread(10)
	}
}

// A keepalive probe with one octet of garbage is answered, and the octet goes nowhere. RFC 9293 §3.8.4.
func TestR9293_Y06_GarbageOctetTolerated(t *testing.T) {
	for s := tcp.Established; s <= tcp.LastAck; s++ {
		p := tcptest.In(t, s)
		n := p.RcvNXT()
		p.Recv(line("< . %d:%d(1) ack %d", n-1, n, p.SndNXT()-1))
		p.Want(line("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), n))
		p.WantUnread(0)
		p.WantState(s)
	}
}

// Windows are 32-bit numbers on both sides. RFC 9293 §3.1.
func TestR9293_C01_Window32(t *testing.T) {
	p := tcptest.Established(t, tcptest.Wscale(14), tcptest.ReceiveBuffer(1<<30), tcptest.Window(65535))
	i := p.Info()
	if i.SendWindow != 65535<<14 {
		t.Errorf("SND.WND is %d", i.SendWindow)
	}
	p.Recv("< P. 1:11(10) ack 1")
	p.WantAt("200ms", "> . 1:1(0) ack 11 win 65535")
	if i = p.Info(); i.ReceiveWindow != 65535<<14 {
		t.Errorf("RCV.WND is %d", i.ReceiveWindow)
	}
	p.Recv("< P. 900000000:900000010(10) ack 1")
	if i = p.Info(); i.OutOfOrder != 10 {
		t.Error("a segment far inside the window was not taken")
	}
	p.Drop()
}

// Explicit congestion notification is used as RFC 3168 describes it, where the peer asks or a Config says so. RFC 9293 §3.8.2.
func TestR9293_S08_ECN(t *testing.T) {
	p := tcptest.Listen(t)
	p.Recv("< SEW 0:0(0) win 10000 <mss 1000>")
	p.Want("> S.E 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1 win 10000")
	p.Write(2000)
	p.Want("> [ect0] P. 1:2001(2000) ack 1 cut 1000")
	p.Recv("< [ce] P.E 1:11(10) ack 2001")
	p.Write(10)
	p.Want("> [ect0] P.EW 2001:2011(10) ack 11")
	p.Read(10)
}

// A user timeout option is ignored. RFC 5482 §3.
func TestR5482_3a_Ignored(t *testing.T) {
	p := tcptest.SynSent(t)
	p.Recv("< S. 0:0(0) ack 1 win 1000 <mss 1000,uto 1s>")
	p.Want("> . 1:1(0) ack 1 <>")
	p.Recv("< . 1:1(0) ack 1 <uto 1s>")
	p.WantNothing("nor is it answered")
	p.Write(10)
	p.Advance("4m59s")
	p.WantState(tcp.Established)
	p.Drop()
	p.Advance("1s")
	p.WantErr(tcp.ReasonTimeout)
	p.Drop()
}

// Keepalives exist. RFC 9293 §3.8.4.
func TestR9293_Y05_Keepalive(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, time.Minute, 10*time.Second, 2)
	p.WantAt("1m", "> . 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1") // it lives
	p.WantAt("2m", "> . 0:0(0) ack 1")
	p.WantAt("2m10s", "> . 0:0(0) ack 1")
	p.At("2m20s")
	p.WantErr(tcp.ReasonKeepalive)
	p.Drop()
}

// A keepalive probe is an empty segment one number below SND.NXT. RFC 9293 §3.8.4.
func TestR9293_S12_KeepaliveNoData(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, time.Minute, 10*time.Second, 9)
	p.WantAt("1m", "> . 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.Recv("< P. 1:11(10) ack 11")
	p.Read(10)
	p.At("90s")
	p.Drop()
	p.WantAt("2m", "> . 10:10(0) ack 11")
}

// T-CC-10: a peer that lost its power is found out by keepalive 10 s, 3 x 5 s
// after 25 s.
func TestKeepaliveFindsDeadPeer(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, 10*time.Second, 5*time.Second, 3)
	p.At("24999ms")
	p.WantState(tcp.Established)
	if n := p.Drop(); n != 3 {
		t.Errorf("%d probes", n)
	}
	p.At("25s")
	p.WantErr(tcp.ReasonKeepalive)
	p.Drop()
}

// Linux' numbers: 2 h, then 9 probes 75 s apart; a user timeout wins over them.
func TestKeepaliveNumbers(t *testing.T) {
	p := tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux))
	keepalive(p, true, 0, 0, 0)
	p.WantAt("2h", "> . 0:0(0) ack 1")
	p.At("2h10m") // eight more
	if n := p.Drop(); n != 8 {
		t.Errorf("%d probes more", n)
	}
	p.WantState(tcp.Established)
	p.At("2h11m15s")
	p.WantErr(tcp.ReasonKeepalive)
	p.Drop()

	p = tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux))
	keepalive(p, true, time.Minute, 10*time.Second, 9)
	p.Do("user timeout", func(_ mono.Time, c *tcp.TCB) { c.SetUserTimeout(75 * time.Second) })
	p.At("79s")
	p.WantState(tcp.Established)
	p.At("80s")
	p.WantState(tcp.Closed)
	p.Drop()
}

// The application is told when R1 is reached. RFC 9293 §3.8.3.
func TestR9293_S09_TellAtR1(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(10)
	p.At("3s")
	if p.TCB().SoftErr() != tcp.ReasonNone {
		t.Error("told before R1")
	}
	p.At("7s")
	if p.TCB().TakeEvents()&tcp.EventSoftError == 0 || p.TCB().SoftErr() != tcp.ReasonRetransmitting {
		t.Error("not told at R1")
	}
	if p.TCB().SoftErr() != tcp.ReasonNone {
		t.Error("told twice")
	}
	p.WantState(tcp.Established)
	p.Drop()
}

// R1 is three retransmissions. RFC 9293 §3.8.3.
func TestR9293_S10_R1(t *testing.T) {
	for _, profile := range []tcp.Profile{tcp.ProfileRFC, tcp.ProfileLinux} {
		p := tcptest.Established(t, tcptest.Profile(profile))
		p.TCB().TakeEvents()
		p.Write(10)
		p.Drop()
		n := 0
		for p.TCB().TakeEvents()&tcp.EventR1 == 0 && n < 10 {
			p.Advance("10ms")
			n += p.Drop()
		}
		if n != 3 {
			t.Errorf("profile %d: R1 is %d retransmissions", profile, n)
		}
	}
}

// R2 is at least 100 s. RFC 9293 §3.8.3.
func TestR9293_S11_R2(t *testing.T) {
	for profile, least := range map[tcp.Profile]time.Duration{tcp.ProfileRFC: 300 * time.Second, tcp.ProfileLinux: 900 * time.Second} {
		p := tcptest.Established(t, tcptest.Profile(profile))
		p.Write(10)
		p.Advance((least - time.Second).String())
		p.WantState(tcp.Established)
		p.Advance("2m")
		p.WantState(tcp.Closed)
		p.Drop()
	}
}
