package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

var cookie8 = tcp.FastOpenCookie{B: [16]byte{1, 2, 3, 4, 5, 6, 7, 8}, N: 8}

// fastSYN returns an active open with a cookie, whose SYN has left with data.
func fastSYN(t *testing.T, data int, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	p := tcptest.Closed(t, append(opts, tcptest.FastOpen(tcp.FastOpenRequest{Cookie: cookie8, MSS: 1000, Wait: true}))...)
	p.Open()
	p.WantNothing("the SYN waits for data")
	p.WantDeadline("none")
	p.Write(data)
	return p
}

// taken returns a connection that a SYN with 100 octets has opened; its SYN-ACK
// has left.
func taken(t *testing.T, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	p := tcptest.Listen(t, append(opts, tcptest.TakesFastOpen(tcp.FastOpenCookie{}))...)
	p.Recv("< S 0:100(100) win 65535 <mss 1000,FO 0102030405060708,nop,nop>")
	p.Want("> S. 0:0(0) ack 101 <mss 1000>")
	p.WantState(tcp.SynReceived)
	p.WantUnread(100)
	return p
}

func wantFastOpen(t *testing.T, p *tcptest.Conn, want tcp.FastOpenResult) {
	t.Helper()
	if got := p.Info().FastOpen; got != want {
		t.Errorf("Fast Open: %v, want %v", got, want)
	}
}

// What of the data on our SYN is acknowledged by the SYN-ACK is done with; the
// rest leaves at once, as the first segment of the connection.
func TestFastOpenAcknowledged(t *testing.T) {
	for _, c := range []struct {
		ack    string
		rest   string
		result tcp.FastOpenResult
	}{
		{"501", "> . 501:501(0) ack 1", tcp.FastOpenAccepted},
		{"301", "> P. 301:501(200) ack 1", tcp.FastOpenPartly},
		{"1", "> P. 1:501(500) ack 1", tcp.FastOpenRefused},
	} {
		p := fastSYN(t, 500)
		p.Want("> S 0:500(500) <mss 1000,nop,nop,sackOK,FO 0102030405060708,nop,nop>")
		wantFastOpen(t, p, tcp.FastOpenPending)
		p.Advance("10ms")
		p.Recv("< S. 0:0(0) ack " + c.ack + " win 65535 <mss 1000,nop,nop,sackOK>")
		p.Want(c.rest)
		p.WantState(tcp.Established)
		if i := p.Info(); i.SRTT != 10*time.Millisecond {
			t.Errorf("ack %s: SRTT %v", c.ack, i.SRTT)
		}
		p.Recv("< . 1:1(0) ack 501 win 65535")
		wantFastOpen(t, p, c.result)
		if i := p.Info(); i.BytesOut != 500 || i.Unacked != 0 || i.Retransmits != 0 {
			t.Errorf("ack %s: %+v", c.ack, i)
		}
	}
}

// A SYN-ACK that acknowledges more than was on the SYN is answered by a reset.
func TestFastOpenAckTooHigh(t *testing.T) {
	p := fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.Recv("< S. 0:0(0) ack 502 win 65535")
	p.Want("> R 502:502(0)")
	p.WantState(tcp.SynSent)
}

// The data on a SYN is at most one segment of the size that the server announced
// when it gave the cookie, with the options of the SYN; without that size, of the
// default.
func TestFastOpenLimit(t *testing.T) {
	for _, c := range []struct {
		mss  uint16
		want string
	}{
		{1000, "> S 0:980(980)"}, // 20 bytes of options
		{0, "> S 0:516(516)"},
		{9000, "> S 0:1380(1380)"}, // our path carries 1400
		{100, "> S 0:80(80)"},
		{1, "> S 0:28(28)"}, // the least that is believed is 48
	} {
		p := tcptest.Closed(t, tcptest.MSS(1400), tcptest.FastOpen(tcp.FastOpenRequest{Cookie: cookie8, MSS: c.mss, Wait: true}))
		p.Open()
		p.Write(5000)
		p.Want(c.want)
		p.Recv(p.SYNACK())
		p.Drop()
	}
}

// With all options and the longest cookie the header is full, and the SYN still
// no longer than the limit.
func TestFastOpenFullHeader(t *testing.T) {
	long := tcp.FastOpenCookie{N: 16}
	p := tcptest.Closed(t, tcptest.Timestamps, tcptest.Wscale(7), tcptest.FastOpen(tcp.FastOpenRequest{Cookie: long, MSS: 1000, Wait: true}))
	p.Open()
	p.Write(5000)
	p.Want("> S 0:960(960)")
	p.Recv(p.SYNACK())
	p.Drop()
}

// Without a cookie the SYN asks for one, and carries no data. RFC 7413 §4.2.1.
func TestFastOpenRequestsCookie(t *testing.T) {
	p := tcptest.Closed(t, tcptest.FastOpen(tcp.FastOpenRequest{Wait: true}))
	p.Open()
	p.Write(10)
	p.Want("> S 0:0(0) <mss 1000,nop,nop,sackOK,FO,nop,nop>")
	p.Recv("< S. 0:0(0) ack 1 win 65535 <mss 800,FO 0102030405060708,nop,nop>")
	p.Want("> P. 1:11(10) ack 1")
	wantFastOpen(t, p, tcp.FastOpenNoData)
	n := p.TCB().TakeFastOpenNews()
	if n.Cookie != cookie8 || n.MSS != 800 || !n.Answered || !n.Offered || n.SYNLost {
		t.Errorf("learnt %+v", n)
	}
	p.Recv("< . 1:1(0) ack 11")
}

// A cookie that nobody asked for is not kept.
func TestFastOpenUnsolicited(t *testing.T) {
	p := tcptest.Closed(t, tcptest.FastOpen(tcp.FastOpenRequest{NoOption: true, Wait: true}))
	p.Open()
	p.Write(10)
	p.Want("> S 0:10(10) <mss 1000,nop,nop,sackOK>")
	p.Recv("< S. 0:0(0) ack 11 win 65535 <FO 0102030405060708,nop,nop>")
	p.Want("> . 11:11(0) ack 1")
	wantFastOpen(t, p, tcp.FastOpenAccepted)
	if n := p.TCB().TakeFastOpenNews(); n.Cookie.N != 0 {
		t.Errorf("learnt %+v", n)
	}
}

// A SYN that is sent again carries neither data nor the option. RFC 7413.
func TestR7413_4_4_PlainRetransmission(t *testing.T) {
	p := fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.WantAt("1s", "> S 0:0(0) <mss 1000,nop,nop,sackOK>")
	p.WantAt("3s", "> S 0:0(0) <mss 1000,nop,nop,sackOK>")
	p.Recv("< S. 0:0(0) ack 1 win 65535 <mss 1000,nop,nop,sackOK>")
	p.Want("> P. 1:501(500) ack 1")
	n := p.TCB().TakeFastOpenNews()
	if !n.SYNLost || n.Result != tcp.FastOpenRefused {
		t.Errorf("learnt %+v", n)
	}
	p.Recv("< . 1:1(0) ack 501")
}

// The answer to the first SYN may come after the second has left: it
// acknowledges the data all the same.
func TestFastOpenLateSYNACK(t *testing.T) {
	p := fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.WantAt("1s", "> S 0:0(0)")
	p.Recv("< S. 0:0(0) ack 501 win 65535 <mss 1000>")
	p.Want("> . 501:501(0) ack 1")
	wantFastOpen(t, p, tcp.FastOpenAccepted)
	if i := p.Info(); i.SRTT != 0 {
		t.Errorf("an RTT of %v was measured by a SYN that was sent twice", i.SRTT)
	}
}

// Two ends that open at once, ours with data: our SYN goes again as a SYN-ACK
// without it, and the data follows. If the peer took it from the SYN, it does not.
func TestFastOpenSimultaneous(t *testing.T) {
	for _, c := range []struct{ ack, rest string }{
		{"< S. 0:0(0) ack 1 win 65535", "> P. 1:501(500) ack 1"},
		{"< S. 0:0(0) ack 501 win 65535", ""},
		{"< . 1:1(0) ack 201 win 65535", "> P. 201:501(300) ack 1"},
	} {
		p := fastSYN(t, 500)
		p.Want("> S 0:500(500)")
		p.Recv("< S 0:0(0) win 65535 <mss 1000>")
		p.Want("> S. 0:0(0) ack 1 <mss 1000>")
		p.WantState(tcp.SynReceived)
		p.Recv(c.ack)
		p.WantState(tcp.Established)
		if c.rest != "" {
			p.Want(c.rest)
			p.Recv("< . 1:1(0) ack 501")
		}
		p.Drop()
	}
}

// CLOSE in SYN-SENT, which would delete the TCB, lets a connection with Fast
// Open deliver what was written.
func TestFastOpenCloseEarly(t *testing.T) {
	p := fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.Close()
	p.WantState(tcp.SynSent)
	p.Recv("< S. 0:0(0) ack 1 win 65535 <mss 1000>")
	p.Want("> FP. 1:501(500) ack 1")
	p.WantState(tcp.FinWait1)
	p.Recv("< . 1:1(0) ack 502")
	p.WantState(tcp.FinWait2)

	p = fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.Shutdown()
	p.Recv("< S. 0:0(0) ack 501 win 65535 <mss 1000>")
	p.Want("> F. 501:501(0) ack 1")
	p.WantState(tcp.FinWait1)

	p = tcptest.Closed(t, tcptest.FastOpen(tcp.FastOpenRequest{Cookie: cookie8, Wait: true}))
	p.Open()
	p.Close() // nothing was written: there is nothing to deliver
	p.WantErr(tcp.ReasonClosed)
}

// A SYN that waits for data can be sent without, for programs that read first.
func TestFastOpenHurry(t *testing.T) {
	p := tcptest.Closed(t, tcptest.FastOpen(tcp.FastOpenRequest{Cookie: cookie8, Wait: true}))
	p.Open()
	p.Advance("1h")
	p.WantNothing("no data")
	if !p.TCB().FastOpenWaits() || !p.TCB().Writable() {
		t.Error("does not wait, or cannot be written to")
	}
	for _, first := range []bool{true, false} {
		p.Do("hurry", func(now mono.Time, c *tcp.TCB) {
			if c.Hurry(now, 10*time.Millisecond) != first {
				t.Errorf("the first call: %v", !first)
			}
		})
		p.WantNothing("patience")
		p.Advance("5ms")
	}
	p.WantDeadline("1h0m1.01s")
	p.Want("> S 0:0(0) <mss 1000,nop,nop,sackOK,FO 0102030405060708,nop,nop>")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1")
	wantFastOpen(t, p, tcp.FastOpenNoData)
}

// A reset in answer to a SYN with data refuses the connection.
func TestFastOpenRefusedConnection(t *testing.T) {
	p := fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.Recv("< R. 0:0(0) ack 501")
	p.WantErr(tcp.ReasonRefused)
}

// Three timeouts in a row are a black hole, before the handshake is over and
// after it; a word of the peer's in between says that it is none.
func TestFastOpenBlackHole(t *testing.T) {
	p := fastSYN(t, 500)
	p.Want("> S 0:500(500)")
	p.Advance("6s")
	if p.TCB().TakeFastOpenNews().BlackHole {
		t.Error("after two timeouts")
	}
	p.Advance("2s")
	if !p.TCB().TakeFastOpenNews().BlackHole {
		t.Error("not after three timeouts of the SYN")
	}
	p.Drop()

	for _, word := range []bool{false, true} {
		p = fastSYN(t, 500)
		p.Recv("< S. 0:0(0) ack 501 win 65535 <mss 1000>")
		if word {
			p.Recv("< P. 1:2(1) ack 501 win 65535")
		}
		p.Write(100)
		p.Advance("20s")
		if got := p.TCB().TakeFastOpenNews().BlackHole; got == word {
			t.Errorf("the peer has said something: %v, a black hole: %v", word, got)
		}
		p.Drop()
	}
}

// The data of a SYN can be read, and answered, before the peer has acknowledged
// our SYN-ACK.
func TestFastOpenAnswersEarly(t *testing.T) {
	p := taken(t)
	p.Read(100)
	p.Write(2000)
	p.Want("> P. 1:2001(2000) ack 101 cut 1000")
	p.WantState(tcp.SynReceived)
	wantFastOpen(t, p, tcp.FastOpenReceived)
	p.Advance("10ms")
	p.Recv("< . 101:101(0) ack 2001 win 65535")
	p.WantState(tcp.Established)
	if i := p.Info(); i.SRTT != 10*time.Millisecond || i.Unacked != 0 {
		t.Errorf("%+v", i)
	}
	p.Recv("< P. 101:201(100) ack 2001")
	p.Drop()
	p.Read(100)
}

// The window of the SYN bounds the answer, and is not scaled.
func TestFastOpenAnswerWindow(t *testing.T) {
	p := tcptest.Listen(t, tcptest.Wscale(7), tcptest.TakesFastOpen(tcp.FastOpenCookie{}))
	p.Recv("< S 0:10(10) win 1500 <mss 1000,nop,wscale 7,FO 0102030405060708,nop,nop>")
	p.Want("> S. 0:0(0) ack 11 <mss 1000,nop,wscale 7>")
	p.Write(5000)
	p.Want("> . 1:1001(1000) ack 11")
	p.Recv("< . 11:11(0) ack 1001 win 1000")
	p.Drop()
}

// A small buffer takes only so much of a SYN's data; the rest comes again.
func TestFastOpenSmallBuffer(t *testing.T) {
	p := tcptest.Listen(t, tcptest.ReceiveBuffer(60), tcptest.TakesFastOpen(tcp.FastOpenCookie{}))
	p.Recv("< S 0:100(100) win 65535 <mss 1000>")
	p.Want("> S. 0:0(0) ack 61 win 0 <mss 1000>")
	p.WantUnread(60)
	p.Recv("< P. 61:101(40) ack 1 win 65535")
	p.Drop()
	p.Read(60)
	p.Drop()
}

// Until our SYN-ACK is acknowledged only that is sent again, whatever followed
// it; then what followed goes again as well.
func TestFastOpenSYNACKRetransmission(t *testing.T) {
	p := taken(t)
	p.Write(2000)
	p.Want("> P. 1:2001(2000) ack 101 cut 1000")
	p.WantAt("1s", "> S. 0:0(0) ack 101 <mss 1000>")
	p.WantAt("3s", "> S. 0:0(0) ack 101 <mss 1000>")
	p.WantNothing("only the SYN-ACK")
	p.Recv("< . 101:101(0) ack 1 win 65535")
	p.WantState(tcp.Established)
	if p.Drop() == 0 {
		t.Error("what followed the SYN-ACK was not sent again")
	}
	p.Recv("< . 101:101(0) ack 1001 win 65535")
	p.Drop()
	p.Recv("< . 101:101(0) ack 2001 win 65535")
	p.WantNothing("all has arrived")
	if i := p.Info(); i.Unacked != 0 || i.Unsent != 0 || i.Retransmits < 3 {
		t.Errorf("%+v", i)
	}
}

// The ACK of a repeated SYN-ACK may cover data that came through: it is not sent
// again.
func TestFastOpenLateACK(t *testing.T) {
	p := taken(t)
	p.Write(2000)
	p.Drop()
	p.WantAt("1s", "> S. 0:0(0) ack 101 <mss 1000>")
	p.Recv("< . 101:101(0) ack 2001 win 65535")
	p.WantState(tcp.Established)
	p.WantNothing("all has arrived")
}

// A SYN that comes again, plain as RFC 7413 wants it, means that our
// SYN-ACK is lost: it goes again, and acknowledges the data.
func TestFastOpenSYNAgain(t *testing.T) {
	p := taken(t)
	p.Advance("900ms")
	p.Recv("< S 0:0(0) win 65535 <mss 1000>")
	p.Want("> S. 0:0(0) ack 101 <mss 1000>")
	p.Recv("< S 0:100(100) win 65535 <mss 1000>")
	p.Want("> S. 0:0(0) ack 101 <mss 1000>")
	p.WantUnread(100)
	p.Recv("< . 101:101(0) ack 1 win 65535")
	p.WantState(tcp.Established)
	if i := p.Info(); i.SRTT != 0 {
		t.Errorf("an RTT of %v was measured by a SYN-ACK that was sent twice", i.SRTT)
	}
}

// A SYN-ACK that nobody acknowledges is given up after its retransmissions.
func TestFastOpenGivesUp(t *testing.T) {
	p := taken(t)
	p.Advance("5m")
	if n := p.Drop(); n != 5 {
		t.Errorf("the SYN-ACK was sent again %d times", n)
	}
	p.WantErr(tcp.ReasonTimeout)
}

// A reset ends a connection in SYN-RECEIVED, and its program, which has it
// already, reads of a reset.
func TestFastOpenReset(t *testing.T) {
	p := taken(t)
	p.Recv("< R 101:101(0)")
	p.WantErr(tcp.ReasonReset)
	p = taken(t, tcptest.Profile(tcp.ProfileLinux))
	p.Recv("< R 101:101(0)")
	p.WantErr(tcp.ReasonReset)
	p.WantUnread(100)
	p = taken(t)
	p.Recv("< R 150:150(0)")
	p.Want("> . 1:1(0) ack 101") // a challenge
	p.WantState(tcp.SynReceived)
}

// A program may close before the handshake is over: what it wrote and the FIN
// follow the SYN-ACK.
func TestFastOpenCloseBeforeACK(t *testing.T) {
	p := taken(t)
	p.Read(100)
	p.Write(10)
	p.Want("> P. 1:11(10) ack 101")
	p.Close()
	p.WantState(tcp.FinWait1)
	p.Want("> F. 11:11(0) ack 101")
	p.WantAt("1s", "> S. 0:0(0) ack 101 <mss 1000>")
	p.Recv("< . 101:101(0) ack 12 win 65535")
	p.WantState(tcp.FinWait2)

	p = taken(t)
	p.Close() // with data unread
	p.Want("> R. 1:1(0) ack 101")
	p.WantErr(tcp.ReasonAborted)
}

// A cookie for the client goes on the SYN-ACK, and on its repetition.
func TestFastOpenRenewsCookie(t *testing.T) {
	p := tcptest.Listen(t, tcptest.TakesFastOpen(cookie8))
	p.Recv("< S 0:10(10) win 65535 <mss 1000,FO 0909090909090909,nop,nop>")
	p.Want("> S. 0:0(0) ack 11 <mss 1000,FO 0102030405060708,nop,nop>")
	p.WantAt("1s", "> S. 0:0(0) ack 11 <mss 1000,FO 0102030405060708,nop,nop>")
	p.Recv("< . 11:11(0) ack 1 win 65535")
}

// Over a link of 68 octets, the least of IPv4, there is room for all options and
// to ask for a cookie, but not for a cookie: the SYN goes without, and without
// data.
func TestFastOpenLeastMTU(t *testing.T) {
	for _, c := range []struct {
		cookie tcp.FastOpenCookie
		want   string
	}{
		{tcp.FastOpenCookie{}, "> S 0:0(0) <mss 28,sackOK,TS val 1000 ecr 0,nop,wscale 7,FO,nop,nop>"},
		{cookie8, "> S 0:0(0) <mss 28,sackOK,TS val 1000 ecr 0,nop,wscale 7>"},
	} {
		p := tcptest.Closed(t, tcptest.OurMSS(28), tcptest.Timestamps, tcptest.Wscale(7),
			tcptest.FastOpen(tcp.FastOpenRequest{Cookie: c.cookie, MSS: 1000, Wait: true}))
		p.Open()
		p.Write(5)
		p.Want(c.want)
		p.Recv(p.SYNACK())
		p.Drop()
	}
}

// Urgent data does not travel with the SYN, which would have to say so: it
// follows, with its pointer.
func TestFastOpenUrgent(t *testing.T) {
	p := tcptest.Closed(t, tcptest.FastOpen(tcp.FastOpenRequest{Cookie: cookie8, MSS: 1000, Wait: true}))
	p.Open()
	p.WriteUrgent(6)
	p.Want("> S 0:0(0) <mss 1000,nop,nop,sackOK,FO 0102030405060708,nop,nop>")
	p.Recv(p.SYNACK())
	p.Want("> P.U 1:7(6) ack 1 urg 6")
}
