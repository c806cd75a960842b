package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// wantRTT demands the state of the estimator and the timer.
func wantRTT(t *testing.T, p *tcptest.Conn, srtt, rttvar, rto time.Duration) {
	t.Helper()
	if i := p.Info(); i.SRTT != srtt || i.RTTVAR != rttvar || i.RTO != rto {
		t.Errorf("SRTT %v, RTTVAR %v, RTO %v; want %v, %v, %v", i.SRTT, i.RTTVAR, i.RTO, srtt, rttvar, rto)
	}
}

const ms = time.Millisecond

// RTO follows RFC 6298, and a segment sent twice is no measurement (Karn). RFC 9293 §3.8.1.
func TestR9293_M18_RTO_Karn(t *testing.T) {
	p := tcptest.Established(t, tcptest.RTT(400*ms))
	wantRTT(t, p, 400*ms, 200*ms, 1200*ms) // first sample: SRTT = R, RTTVAR = R/2
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.At("800ms")
	p.Recv("< . 1:1(0) ack 11")
	// RTTVAR = 3/4 200 ms + 1/4 |400 ms - 800 ms|, SRTT = 7/8 400 ms + 1/8 800 ms
	wantRTT(t, p, 450*ms, 250*ms, 1450*ms)

	p.Write(10)
	p.Want("> P. 11:21(10) ack 1")
	p.WantAt("2250ms", "> P. 11:21(10) ack 1")
	p.At("2260ms")
	p.Recv("< . 1:1(0) ack 21") // of which of the two?
	wantRTT(t, p, 450*ms, 250*ms, 2900*ms)

	p.Write(10) // until there is a new sample, RTO stays as long as it was: RFC 6298 §5.7
	p.Want("> P. 21:31(10) ack 1")
	p.WantAt("5160ms", "> P. 21:31(10) ack 1")
	p.Recv("< . 1:1(0) ack 31")
	p.Write(10)
	p.Want("> P. 31:41(10) ack 1")
	p.At("5610ms")
	p.Recv("< . 1:1(0) ack 41")
	wantRTT(t, p, 450*ms, 187500*time.Microsecond, 1200*ms)
}

// Slow start, congestion avoidance and the back-off of the timer are there. RFC 9293 §3.8.2.
func TestR9293_M19_CongestionBasics(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Write(60_000)
	p.Want("> . 1:4001(4000) ack 1 cut 1000") // the initial window, RFC 5681 §3.1
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> . 4001:8001(4000) ack 1 cut 1000") // two acknowledged, two more: four leave
	p.Recv("< . 1:1(0) ack 4001")
	p.Want("> . 8001:12001(4000) ack 1 cut 1000")
	if i := p.Info(); i.Cwnd != 8000 {
		t.Errorf("cwnd is %d after 4000 octets of slow start", i.Cwnd)
	}
	// The timer: 1 s, 2 s, 4 s.
	p.WantAt("1100ms", "> . 4001:5001(1000) ack 1")
	if i := p.Info(); i.Cwnd != 1000 || i.SSThresh != 4000 {
		t.Errorf("after a timeout: cwnd %d, ssthresh %d", i.Cwnd, i.SSThresh)
	}
	p.WantAt("3100ms", "> . 4001:5001(1000) ack 1")
	p.WantAt("7100ms", "> . 4001:5001(1000) ack 1")
	if i := p.Info(); i.SSThresh != 4000 {
		t.Errorf("the same segment lost again: ssthresh %d", i.SSThresh)
	}
	// Slow start to 4000, then a segment for each window.
	p.At("7200ms")
	p.Recv("< . 1:1(0) ack 12001")
	p.Drop()
	for ack := 12001; p.Info().Cwnd < 4000; {
		ack += 1000
		p.Recv(line("< . 1:1(0) ack %d", ack))
		p.Drop()
	}
	before := p.Info().Cwnd
	var acked uint32
	for p.Info().Cwnd == before {
		i := p.Info()
		una := p.SndNXT() - i.Unacked
		p.Recv(line("< . 1:1(0) ack %d", una+1000))
		p.Drop()
		acked += 1000
	}
	if i := p.Info(); i.Cwnd != before+1000 || acked != before {
		t.Errorf("congestion avoidance: %d acknowledged, cwnd from %d to %d", acked, before, i.Cwnd)
	}
}

// R1 asks IP for another way, R2 ends the connection. RFC 9293 §3.8.3.
func TestR9293_M20_R1AdviceR2Close(t *testing.T) {
	p := tcptest.Established(t)
	p.TCB().TakeEvents()
	p.Write(10)
	p.At("6999ms")
	if p.TCB().TakeEvents()&tcp.EventR1 != 0 {
		t.Error("R1 reached early")
	}
	p.At("7s") // 1 s, 2 s, 4 s: the third retransmission
	if p.TCB().TakeEvents()&tcp.EventR1 == 0 || p.TCB().SoftErr() != tcp.ReasonRetransmitting {
		t.Error("R1 reached, and nobody was told")
	}
	p.At("299999ms")
	p.WantState(tcp.Established)
	p.At("300s")
	p.WantErr(tcp.ReasonTimeout)
	p.Drop()
}

// Deviation: in the Linux profile R2 counts 15 retransmissions, about 15
// minutes, where RFC 9293 §3.9.1.1 has 5 minutes, because applications rely on it.
func TestLinuxR2(t *testing.T) {
	p := tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux), tcptest.Config(func(c *tcp.Config) { c.QuickACKs = 0 }))
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.At("924s")
	if n := p.Drop(); n != 15 {
		t.Errorf("%d retransmissions, want 15", n)
	}
	p.WantState(tcp.Established)
	p.Advance("1s")
	p.Want("> R. 11:11(0) ack 1")
	p.WantErr(tcp.ReasonTimeout)
}

// The application sets R2 of its connection. RFC 9293 §3.8.3.
func TestR9293_M21_UserSetsR2(t *testing.T) {
	p := tcptest.Established(t)
	p.TCB().SetUserTimeout(30 * time.Second)
	p.Write(10)
	p.At("29999ms")
	p.WantState(tcp.Established)
	p.Drop()
	p.WantAt("30s", "> R. 11:11(0) ack 1")
	p.WantErr(tcp.ReasonUserTimeout)

	p = tcptest.Established(t) // longer than the default works as well
	p.TCB().SetUserTimeout(time.Hour)
	p.Write(10)
	p.At("3599s")
	p.WantState(tcp.Established)
	p.Drop()
	p.WantAt("3600s", "> R. 11:11(0) ack 1")
	p.WantErr(tcp.ReasonUserTimeout)

	p = tcptest.Established(t) // progress starts it anew
	p.TCB().SetUserTimeout(30 * time.Second)
	p.Write(20)
	p.At("29s")
	p.Recv("< . 1:1(0) ack 11")
	p.At("58s")
	p.WantState(tcp.Established)
	p.Drop()
	p.WantAt("59s", "> R. 21:21(0) ack 1")
	p.WantErr(tcp.ReasonUserTimeout)
}

// SYNs are retransmitted the same way, and the application is told. RFC 9293 §3.8.3.
func TestR9293_M22_SynRetransNotified(t *testing.T) {
	p := tcptest.SynSent(t)
	p.TCB().TakeEvents()
	p.WantAt("1s", "> S 0:0(0)")
	p.WantAt("3s", "> S 0:0(0)")
	if p.TCB().TakeEvents()&tcp.EventR1 != 0 {
		t.Error("R1 reached early")
	}
	p.WantAt("7s", "> S 0:0(0)")
	if p.TCB().TakeEvents()&tcp.EventR1 == 0 || p.TCB().SoftErr() != tcp.ReasonRetransmitting {
		t.Error("R1 reached, and nobody was told")
	}
	p.Do("ICMP: host unreachable", func(now mono.Time, c *tcp.TCB) {
		c.ICMPError(now, tcp.ReasonUnreachable, false, 1<<32-700)
	})
	p.Advance("10m")
	p.Drop()
	p.WantErr(tcp.ReasonUnreachable) // the better explanation
}

// R2 of a SYN is at least three minutes. RFC 9293 §3.8.3.
func TestR9293_M23_SynR2ThreeMinutes(t *testing.T) {
	p := tcptest.SynSent(t)
	for _, at := range []string{"1s", "3s", "7s", "15s", "31s", "63s", "123s"} {
		p.WantAt(at, "> S 0:0(0)")
	}
	p.At("180s")
	p.WantState(tcp.SynSent)
	p.At("183s")
	p.WantErr(tcp.ReasonTimeout)
	p.WantNothing("nobody has answered: there is no one to reset")
}

// Deviation: in the Linux profile a SYN is given up after 127 s, below the
// three minutes of RFC 9293 §3.8.3, because users wait that long there.
func TestLinuxSynR2(t *testing.T) {
	p := tcptest.SynSent(t, tcptest.Profile(tcp.ProfileLinux))
	for _, at := range []string{"1s", "3s", "7s", "15s", "31s", "63s"} {
		p.WantAt(at, "> S 0:0(0)")
	}
	p.At("126s")
	p.WantState(tcp.SynSent)
	p.At("127s")
	p.WantErr(tcp.ReasonTimeout)
}

// A lost SYN makes the first RTO of data 3 s. RFC 6298 §5.7.
func TestRTOAfterLostSYN(t *testing.T) {
	p := tcptest.SynSent(t)
	p.WantAt("1s", "> S 0:0(0)")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1")
	if i := p.Info(); i.RTO != 3*time.Second || i.Cwnd != 1000 {
		t.Errorf("RTO %v, cwnd %d", i.RTO, i.Cwnd)
	}
}

// The SYN-ACK of a record is sent again, 1 s, 2 s, 4 s apart and five times, and then forgotten. RFC 6298 §5, RFC 4987 §3.2.
func TestSYNACKRetransmission(t *testing.T) {
	p := tcptest.HalfOpen(t)
	for _, at := range []string{"1s", "3s", "7s", "15s", "31s"} {
		p.WantAt(at, "> S. 0:0(0) ack 1")
	}
	p.At("62s")
	p.WantState(tcp.SynReceived)
	p.At("63s")
	p.WantState(tcp.Listen)
	p.WantDeadline("none")
}
