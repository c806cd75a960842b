package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// opens is the two ways to become ESTABLISHED.
var opens = map[string]func(testing.TB, ...tcptest.Option) *tcptest.Conn{
	"active": tcptest.Established, "passive": tcptest.Accepted}

// Windows are scaled only if both SYNs carried the option. RFC 7323 §2.2.
func TestR7323_2_2a_BothSYNs(t *testing.T) {
	scales := func(p *tcptest.Conn, snd, rcv uint8) {
		t.Helper()
		if i := p.Info(); i.SendScale != snd || i.ReceiveScale != rcv {
			t.Errorf("shifts %d and %d, want %d and %d", i.SendScale, i.ReceiveScale, snd, rcv)
		}
	}
	for name, open := range opens {
		t.Run(name, func(t *testing.T) {
			scales(open(t, tcptest.Wscale(7)), 7, 7)
			scales(open(t), 0, 0)
			// The peer has it, we do not.
			scales(open(t, tcptest.Wscale(7), tcptest.Config(func(c *tcp.Config) { c.NoWindowScale = true })), 0, 0)
		})
	}
	// We have it, the peer does not.
	ours := tcptest.Config(func(c *tcp.Config) { c.NoWindowScale, c.WindowScale = false, 7 })
	p := tcptest.SynSent(t, ours)
	p.Recv("< S. 0:0(0) ack 1 win 1000 <mss 1000>")
	p.Want("> . 1:1(0) ack 1 win 65535")
	scales(p, 0, 0)
	p = tcptest.Listen(t, ours)
	p.Recv("< S 0:0(0) win 1000 <mss 1000>")
	p.Want("> S. 0:0(0) ack 1 win 65535 <mss 1000>")
	p.Recv("< . 1:1(0) ack 1")
	scales(p, 0, 0)
}

// The window of a SYN or SYN-ACK is never scaled. RFC 7323 §2.2.
func TestR7323_2_2b_SYNNotScaled(t *testing.T) {
	p := tcptest.Closed(t, tcptest.Wscale(7), tcptest.Window(5000))
	p.Open()
	p.Want("> S 0:0(0) win 65535") // and not 2 MiB >> 7
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1 win 16384")
	if w := p.Info().SendWindow; w != 5000 {
		t.Errorf("SND.WND is %d after the SYN-ACK", w)
	}
	p.Recv("< . 1:1(0) ack 1 win 5000")
	if w := p.Info().SendWindow; w != 5000<<7 {
		t.Errorf("SND.WND is %d after an ACK", w)
	}

	p = tcptest.HalfOpen(t, tcptest.Wscale(7), tcptest.Window(5000)) // its SYN-ACK: win 65535
	p.Recv("< . 1:1(0) ack 1 win 100")
	if w := p.Info().SendWindow; w != 100<<7 {
		t.Errorf("SND.WND is %d after the third segment", w)
	}
}

// A shift of more than 14 is taken for 14. RFC 7323 §2.3.
func TestR7323_2_2c_ShiftAtMost14(t *testing.T) {
	for _, shift := range []uint8{14, 15, 31, 255} {
		for name, open := range opens {
			p := open(t, tcptest.Wscale(shift), tcptest.Config(func(c *tcp.Config) { c.WindowScale = 7 }))
			if got := p.Info().SendScale; got != 14 {
				t.Errorf("%s: shift %d is taken for %d", name, shift, got)
			}
		}
	}
}

// A SYN-ACK has timestamps only in answer to a SYN that had them. RFC 7323 §3.2.
func TestR7323_3_2a_SYN(t *testing.T) {
	p := tcptest.Closed(t, tcptest.Timestamps)
	p.Open()
	p.Want("> S 0:0(0) <mss 1000,sackOK,TS val 1000 ecr 0>")
	p = tcptest.Listen(t, tcptest.Timestamps)
	p.Recv(p.SYN())
	p.Want("> S. 0:0(0) ack 1 <mss 1000,sackOK,TS val 1000 ecr 100000>")
	p = tcptest.Listen(t, tcptest.Timestamps)
	p.Recv("< S 0:0(0) win 1000 <mss 1000>")
	p.Want("> S. 0:0(0) ack 1 <mss 1000>")
	p.Recv("< . 1:1(0) ack 1 <nop>")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1 <>")
}

// Once negotiated, timestamps are on every segment, RST included. RFC 7323 §3.2.
func TestR7323_3_2b_OnEverySegment(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1 <nop,nop,TS val 1000 ecr 100000>")
	p.At("500ms")
	p.Recv("< P. 1:11(10) ack 1")
	p.WantAt("700ms", "> . 11:11(0) ack 11 <nop,nop,TS val 1700 ecr 100500>") // a delayed ACK
	p.WantAt("1s", "> P. 1:11(10) ack 11 <nop,nop,TS val 2000 ecr 100500>")   // a retransmission, with today's clock
	p.Recv("< . 11:11(0) ack 11 win 0")
	p.Write(10)
	p.At("1900ms")
	p.WantNothing("the window is closed")
	p.WantAt("2s", "> . 11:12(1) ack 11 <nop,nop,TS val 3000 ecr 101000>") // a probe
	p.Recv("< . 11:11(0) ack 11 win 1000")
	p.Want("> P. 11:21(10) ack 11 <nop,nop,TS val 3000 ecr 102000>")
	p.Shutdown()
	p.Want("> F. 21:21(0) ack 11 <nop,nop,TS val 3000 ecr 102000>")
	p.Abort()
	p.Want("> R. 22:22(0) ack 11 <nop,nop,TS val 3000 ecr 102000>")
}

// A segment without timestamps on a connection that has them is dropped. RFC 7323 §3.2.
//
// Deviation: it is taken, as Linux takes it, because middleboxes strip options
// from single segments. The connection is never aborted for it.
func TestR7323_3_2c_MissingTimestamps(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	p.Write(10)
	p.Drop()
	p.Recv("< P. 1:11(10) ack 11 <nop>")
	p.WantUnread(10)
	if p.Info().Unacked != 0 {
		t.Error("its ACK did not count")
	}
	p.WantAt("200ms", "> . 11:11(0) ack 11 <nop,nop,TS val 1200 ecr 100000>") // TS.Recent stays
	p.WantState(tcp.Established)
}

// TSecr means nothing without ACK. RFC 7323 §3.2.
func TestR7323_3_2d_TSecrWithoutACK(t *testing.T) {
	p := tcptest.SynSent(t, tcptest.Timestamps)
	p.Advance("500ms")
	p.Recv("< S 0:0(0) win 1000 <mss 1000,sackOK,TS val 7 ecr 1499>") // a simultaneous open
	p.Want("> S. 0:0(0) ack 1")
	if i := p.Info(); i.SRTT != 0 {
		t.Errorf("SRTT is %v", i.SRTT)
	}
}

// The round trip is taken from TSecr only on ACKs that move SND.UNA. RFC 7323 §4.1.
func TestR7323_4_1_RTTFromTSecr(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps, tcptest.RTT(100*ms))
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.WantAt("1s", "> P. 1:11(10) ack 1 <nop,nop,TS val 2100 ecr 100000>")
	before := p.Info().SRTT
	p.At("1200ms")
	p.Recv("< . 1:1(0) ack 1") // acknowledges nothing
	p.Recv("< P. 1:11(10) ack 1")
	if got := p.Info().SRTT; got != before {
		t.Errorf("SRTT from %v to %v by what acknowledged nothing", before, got)
	}
	p.Recv("< . 11:11(0) ack 11 <nop,nop,TS val 101200 ecr 2100>") // of the retransmission: 200 ms
	if got := p.Info().SRTT; got != before+(200*ms-before)/8 {
		t.Errorf("SRTT is %v, it was %v", got, before)
	}
	p.Drop()
}

// TS.Recent follows segments that begin at or before the last ACK sent, and never goes back. RFC 7323 §4.3.
func TestR7323_4_3_TSRecent(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	p.Recv("< P. 1:11(10) ack 1 <nop,nop,TS val 100100 ecr 1000>")
	p.Recv("< P. 11:21(10) ack 1 <nop,nop,TS val 100200 ecr 1000>") // the ACK of the first is still delayed
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 21 <nop,nop,TS val 1200 ecr 100100>") // the time of the earlier
	p.Recv("< P. 31:41(10) ack 1 <nop,nop,TS val 100300 ecr 1000>")
	p.Want("> . 1:1(0) ack 21 <nop,nop,TS val 1200 ecr 100100,nop,nop,sack 31:41>") // out of order
	p.Recv("< P. 21:31(10) ack 1 <nop,nop,TS val 100250 ecr 1000>")
	p.Want("> . 1:1(0) ack 41 <nop,nop,TS val 1200 ecr 100250>")
	p.Recv("< . 41:41(0) ack 1 <nop,nop,TS val 100400 ecr 1000>") // an empty one counts as well
	p.Write(1)
	p.Want("> P. 1:2(1) ack 41 <nop,nop,TS val 1200 ecr 100400>")
	p.Recv("< P. 100000:100010(10) ack 1 <nop,nop,TS val 200000 ecr 1000>") // outside the window
	p.Want("> . 2:2(0) ack 41 <nop,nop,TS val 1200 ecr 100400>")
}

// Text beyond RCV.NXT, or that fills a hole, whose timestamp is a little older
// than TS.Recent was overtaken by the retransmission that filled the hole before:
// it is taken. What is older than reordering explains, or simply the next, is
// dropped as ever; and so is all of it in the RFC profile.
func TestPAWSAndReordering(t *testing.T) {
	for _, c := range []struct {
		profile tcp.Profile
		segment string
		taken   bool
	}{
		{tcp.ProfileLinux, "< . 3001:4001(1000) ack 1 <nop,nop,TS val 100100 ecr 0>", true},
		{tcp.ProfileLinux, "< . 3001:4001(1000) ack 1 <nop,nop,TS val 100099 ecr 0>", false},
		{tcp.ProfileLinux, "< . 2001:3001(1000) ack 1 <nop,nop,TS val 100199 ecr 0>", false},
		{tcp.ProfileRFC, "< . 3001:4001(1000) ack 1 <nop,nop,TS val 100049 ecr 0>", false}, // the ACK of the second is delayed
	} {
		p := tcptest.Established(t, tcptest.Profile(c.profile), tcptest.Timestamps)
		p.Recv("< . 1:1001(1000) ack 1 <nop,nop,TS val 100050 ecr 0>")
		p.Drop()
		p.Recv("< . 1001:2001(1000) ack 1 <nop,nop,TS val 100200 ecr 0>")
		p.Drop()
		p.Recv(c.segment)
		p.Drop()
		if got := p.Info().OutOfOrder != 0 || p.TCB().Buffered() > 2000; got != c.taken {
			t.Errorf("profile %d, %s: taken %t", c.profile, c.segment, got)
		}
	}
	for profile, taken := range map[tcp.Profile]int{tcp.ProfileLinux: 4000, tcp.ProfileRFC: 2000} {
		p := tcptest.Established(t, tcptest.Profile(profile), tcptest.Timestamps)
		for _, s := range []string{
			"< . 1:1001(1000) ack 1 <nop,nop,TS val 100050 ecr 0>",
			"< . 3001:4001(1000) ack 1 <nop,nop,TS val 100150 ecr 0>",
			"< . 1001:2001(1000) ack 1 <nop,nop,TS val 100200 ecr 0>", // again
			"< . 2001:3001(1000) ack 1 <nop,nop,TS val 100149 ecr 0>", // held back
		} {
			p.Recv(s)
			p.Drop()
		}
		if got := p.TCB().Buffered(); got != taken {
			t.Errorf("profile %d: a hole is filled by what was held back: %d octets in order, not %d", profile, got, taken)
		}
	}
}

// A RST is not subject to PAWS and leaves TS.Recent alone. RFC 7323 §5.2.
func TestR7323_5_2_RST(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	p.Recv("< R 2:2(0) <nop,nop,TS val 200000 ecr 0>") // in the window, and challenged
	p.Want("> . 1:1(0) ack 1 <nop,nop,TS val 1000 ecr 100000>")
	p.Recv("< R 1:1(0) <nop,nop,TS val 5 ecr 0>")
	p.WantErr(tcp.ReasonReset)
}

// A segment with an old timestamp is acknowledged and dropped. RFC 7323 §5.3.
func TestR7323_5_3_PAWS(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	p.Write(10)
	p.Drop()
	p.Recv("< P. 1:11(10) ack 11 <nop,nop,TS val 99999 ecr 1000>")
	p.Want("> . 11:11(0) ack 1 <nop,nop,TS val 1000 ecr 100000>")
	p.WantUnread(0)
	if p.Info().Unacked != 10 {
		t.Error("its ACK counted")
	}
	p.Recv("< P. 1:11(10) ack 11 <nop,nop,TS val 100000 ecr 1000>") // as old as the last is fine
	p.WantUnread(10)
	if p.Info().Unacked != 0 {
		t.Error("its ACK did not count")
	}
	// Timestamps wrap: a little more than the largest number is newer.
	p = tcptest.SynSent(t, tcptest.Timestamps)
	p.Recv("< S. 0:0(0) ack 1 win 1000 <mss 1000,sackOK,TS val 4294967295 ecr 1000>")
	p.Recv("< P. 1:11(10) ack 1 <nop,nop,TS val 5 ecr 1000>")
	p.WantUnread(10)
	p.Drop()
}

// Answers to replayed segments without text are few. RFC 7323 §5.3, RFC 5961 §7.
func TestPAWSAnswersAreThrottled(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	for range 100 {
		p.Recv("< . 1:1(0) ack 1 <nop,nop,TS val 5 ecr 1000>")
	}
	p.Want("> . 1:1(0) ack 1")
	p.WantNothing("one in 500 ms")
}

// The timestamp clock ticks once in a millisecond, and never back. RFC 7323 §5.4.
func TestR7323_5_4_Clock(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	for i := range 50 {
		at := time.Duration(i)*777*time.Millisecond + 999*time.Microsecond
		p.At(at.String())
		p.Recv("< . 0:0(0) ack 1") // a keepalive, answered at once
		p.Want(line("> . 1:1(0) ack 1 <nop,nop,TS val %d ecr 100000>", 1000+777*i))
	}
}

// After 24 days without a segment TS.Recent is not valid any more. RFC 7323 §5.5.
func TestR7323_5_5_24Days(t *testing.T) {
	old := "< P. 1:11(10) ack 1 <nop,nop,TS val 50000 ecr 1000>" // the peer has rebooted its clock
	p := tcptest.Established(t, tcptest.Timestamps)
	p.At("575h59m")
	p.Recv(old)
	p.WantUnread(0)
	p.Want("> . 1:1(0) ack 1")
	p.At("576h1m")
	// A forged segment outside the window must not set it instead.
	p.Recv("< P. 100000:100010(10) ack 1 <nop,nop,TS val 90000 ecr 1000>")
	p.Want("> . 1:1(0) ack 1")
	p.Recv(old)
	p.WantUnread(10)
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 11 <nop,nop,TS val 2073661200 ecr 50000>")
}
