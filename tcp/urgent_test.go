package tcp_test

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// wantUrgent demands how many octets of urgent data are still to be read.
func wantUrgent(t *testing.T, p *tcptest.Conn, want int) {
	t.Helper()
	if n, ok := p.TCB().Urgent(); n != want || ok != (want > 0) {
		t.Errorf("urgent data: %d, %v; want %d", n, ok, want)
	}
}

// Urgent data can be sent and received. RFC 9293 §3.8.5.
func TestR9293_M30_UrgentSupported(t *testing.T) {
	p := tcptest.Established(t)
	p.Do("no Nagle", func(_ mono.Time, c *tcp.TCB) { c.SetNoDelay(true) })
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.WriteUrgent(5)
	p.Want("> P.U 11:16(5) ack 1 urg 5")
	p.Write(10)
	p.Want("> P. 16:26(10) ack 1")
	p.WantAt("1s", "> P.U 1:26(25) ack 1 urg 15") // sent again, it is still urgent
	p.Recv("< . 1:1(0) ack 26")

	p.Recv("< P.U 1:21(20) ack 26 urg 15")
	wantUrgent(t, p, 15)
	p.Read(20) // it is in line, where the stream has it
	wantUrgent(t, p, 0)
	p.Advance("200ms")
	p.Want("> . 26:26(0) ack 21")
}

// Urgent data may be of any length. RFC 9293 §3.8.5.
func TestR9293_M31_UrgentAnyLength(t *testing.T) {
	p := tcptest.Established(t, tcptest.Wscale(7), tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 120 }))
	// In ordinary segments, because each needs a pointer of its own.
	want := func(from, end int) {
		for ; from < end; from += 1000 {
			flags := ".U"
			if from+1000 == end {
				flags = "P.U"
			}
			p.Want(fmt.Sprintf("> %s %d:%d(1000) ack 1 urg %d", flags, from, from+1000, end-from))
		}
	}
	p.WriteUrgent(64_000)
	want(1, 64001)
	p.WriteUrgent(40_000)
	want(64001, 104001)
	// From the first octet on it is more than the field can say.
	p.WantAt("1s", "> .U 1:1001(1000) ack 1 urg 65535")

	p = tcptest.Established(t, tcptest.Wscale(7))
	p.Recv("< .U 1:60001(60000) ack 1 urg 65535")
	p.Want("> . 1:1(0) ack 60001")
	wantUrgent(t, p, 65535)
	p.Recv("< P.U 60001:120001(60000) ack 1 urg 60000")
	p.Want("> . 1:1(0) ack 120001")
	wantUrgent(t, p, 120_000)
	p.Read(100_000)
	wantUrgent(t, p, 20_000)
	p.Read(20_000)
	wantUrgent(t, p, 0)
	p.Drop()
}

// The application is told when an urgent pointer is new or advances, and only then. RFC 9293 §3.8.5.
func TestR9293_M32_UrgentNotify(t *testing.T) {
	p := tcptest.Established(t)
	told := func() bool { return p.TCB().TakeEvents()&tcp.EventUrgent != 0 }
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"< P. 1:11(10) ack 1", false},
		{"< P.U 11:21(10) ack 1 urg 30", true}, // up to 41: it may point beyond its segment
		{"< P.U 21:31(10) ack 1 urg 20", false},
		{"< P.U 31:36(5) ack 1 urg 15", true}, // up to 46
		{"< .U 36:36(0) ack 1 urg 20", true},  // without text
		{"< .U 36:36(0) ack 1 urg 1", false},  // it never goes back
		{"< P. 36:56(20) ack 1", false},
	} {
		p.Recv(c.in)
		if got := told(); got != c.want {
			t.Errorf("%s: told %v, want %v", c.in, got, c.want)
		}
	}
	wantUrgent(t, p, 55)
	p.Read(55)
	wantUrgent(t, p, 0)
	p.Advance("200ms")
	p.Drop()
}

// The application learns whether urgent data remains, and how much. RFC 9293 §3.8.5.
func TestR9293_M33_UrgentRemaining(t *testing.T) {
	p := tcptest.Established(t)
	wantUrgent(t, p, 0)
	p.Recv("< P.U 1:21(20) ack 1 urg 15")
	wantUrgent(t, p, 15)
	p.Read(5)
	wantUrgent(t, p, 10)
	p.Read(9)
	wantUrgent(t, p, 1)
	p.Read(1)
	wantUrgent(t, p, 0)
	p.Read(5)
	p.Recv("< P.U 21:31(10) ack 1 urg 4") // and anew
	p.Drop()
	wantUrgent(t, p, 4)
	p.Read(10)
	p.Advance("200ms")
	p.Drop()
}

// The urgent pointer points at the octet after the urgent data. RFC 9293 §3.8.5.
//
// Linux reads it so only with tcp_stdurg; there is no switch here.
func TestR9293_M62_UrgentPointerMeaning(t *testing.T) {
	p := tcptest.Established(t)
	p.WriteUrgent(1)
	p.Want("> P.U 1:2(1) ack 1 urg 1")
	p.Recv("< P.U 1:2(1) ack 2 urg 1")
	wantUrgent(t, p, 1)
	p.Read(1)
	wantUrgent(t, p, 0)
	p.Recv("< .U 2:2(0) ack 2 urg 0") // nothing is before it
	wantUrgent(t, p, 0)
	p.Advance("200ms")
	p.Drop()
}

// RST and URG are processed even when the receive window is zero. RFC 9293 §3.4.
func TestR9293_M66_RstUrgZeroWindow(t *testing.T) {
	full := func() *tcptest.Conn {
		p := tcptest.Established(t, tcptest.ReceiveBuffer(1000), tcptest.NoSACK)
		p.Recv("< P. 1:1001(1000) ack 1")
		p.Advance("200ms")
		p.Want("> . 1:1(0) ack 1001 win 0")
		p.TCB().TakeEvents()
		return p
	}
	for _, in := range []string{"< .U 1001:1001(0) ack 1 urg 10", "< P.U 1001:1011(10) ack 1 urg 10"} {
		p := full()
		p.Recv(in)
		p.Drop()
		if p.TCB().TakeEvents()&tcp.EventUrgent == 0 {
			t.Errorf("%s: nobody was told", in)
		}
		wantUrgent(t, p, 1010)
	}
	for _, in := range []string{"< R 1001:1001(0)", "< R. 1001:1001(0) ack 1", "< R. 1001:1011(10) ack 1"} {
		p := full()
		p.Recv(in)
		p.WantErr(tcp.ReasonReset)
	}
	for _, in := range []string{"< R 1002:1002(0)", "< R 1000:1000(0)"} {
		p := full()
		p.Recv(in)
		p.WantState(tcp.Established)
		p.WantNothing("outside of a window of zero")
	}
}

// In the Linux profile Nagle's algorithm does not hold urgent data back.
func TestNagleLetsUrgentDataGo(t *testing.T) {
	for profile, waits := range map[tcp.Profile]bool{tcp.ProfileLinux: false, tcp.ProfileRFC: true} {
		p := tcptest.Established(t, tcptest.Profile(profile))
		p.Write(100)
		p.Want("> P. 1:101(100) ack 1")
		p.WriteUrgent(1)
		if waits {
			p.WantNothing("something small is on its way")
			continue
		}
		p.Want("> P.U 101:102(1) ack 1 urg 1")
	}
}
