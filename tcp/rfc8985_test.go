package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// quiet returns a connection with a round trip of 100 ms that has sent nothing.
func quiet(t *testing.T, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	return tcptest.Established(t, append([]tcptest.Option{tcptest.RTT(100 * ms)}, opts...)...)
}

// spread sends full segments, a step apart, beginning now.
func spread(p *tcptest.Conn, n int, step string) {
	for i := range n {
		if i > 0 {
			p.Advance(step)
		}
		p.Write(1000)
	}
	p.Drop()
}

// knownPath is quiet after one segment, number 0, whose ACK came after 100 ms,
// so that RACK knows the round trip. cwnd is at least ten segments.
func knownPath(t *testing.T, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	p := quiet(t, append([]tcptest.Option{tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 })}, opts...)...)
	p.Write(1000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(1))
	return p
}

// RACK needs SACK, a tail loss probe needs RACK, and each connection has its own state. RFC 8985 §4.
func TestR8985_4a_NeedsSACK(t *testing.T) {
	for _, c := range []struct {
		name     string
		opts     []tcptest.Option
		deadline string // of two segments sent at time 0
		lost     bool   // one of two is found lost without three duplicates
	}{
		{"all of it", nil, "200ms", true},
		{"no SACK", []tcptest.Option{tcptest.NoSACK}, "1s", false},
		{"no RACK", []tcptest.Option{noRACK}, "1s", false},
		{"no probes", []tcptest.Option{tcptest.Config(func(c *tcp.Config) { c.NoTLP = true })}, "1s", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := quiet(t, append([]tcptest.Option{tcptest.TailLossProbes}, c.opts...)...)
			spread(p, 2, "0s")
			p.WantDeadline(c.deadline)
			p.At("100ms")
			p.Recv(sackLine(0, 1, 2))
			p.At("130ms")
			if got := p.Info().Recovery; got != c.lost {
				t.Errorf("recovery %v, want %v", got, c.lost)
			}
			p.Drop()
		})
	}
	// What one connection learns of reordering says nothing about another.
	p, other := quiet(t), quiet(t)
	spread(p, 2, "0s")
	p.At("100ms")
	p.Recv(sackLine(0, 1, 2))
	p.Recv(sackLine(2))
	if !p.Info().Reordering || other.Info().Reordering {
		t.Errorf("reordering %v, and %v elsewhere", p.Info().Reordering, other.Info().Reordering)
	}
}

// Departures are kept for each segment, more exactly than a quarter of min_RTT. RFC 8985 §4.
func TestR8985_4b_Granularity(t *testing.T) {
	p := tcptest.Established(t, tcptest.RTT(100*time.Microsecond))
	spread(p, 3, "20us")
	p.At("140us")
	p.Recv(sackLine(0, 2, 3)) // the reordering window is 25 us
	p.Want("> . 1:1001(1000) ack 1")
	if i := p.Info(); i.MinRTT != 100*time.Microsecond || i.Lost != 0 || i.SACKed != 1000 || i.InFlight != 2000 {
		t.Errorf("%+v", i)
	}
	p.WantDeadline("145us")
	p.At("144us")
	if i := p.Info(); i.Lost != 0 {
		t.Errorf("%d octets are lost", i.Lost)
	}
	p.At("145us") // left at 20 us
	p.Drop()
	if i := p.Info(); i.Lost == 0 && i.Retransmits != 2 {
		t.Errorf("%d octets are lost, %d retransmissions", i.Lost, i.Retransmits)
	}
}

// A retransmission has a new departure, is not lost, and is known as one. RFC 8985 §6.1.
//
// The second example of §9.1: a retransmission that is lost is found by one
// that left later.
func TestR8985_6_1_Transmit(t *testing.T) {
	p := quiet(t)
	spread(p, 4, "30ms")
	p.At("190ms")
	p.Recv(sackLine(0, 3, 4)) // 0, 1, and 2 left 30 ms or more before
	p.Want("> . 1:1001(1000) ack 1")
	if i := p.Info(); i.Lost != 2000 || i.InFlight != 1000 {
		t.Errorf("%d lost, %d in flight", i.Lost, i.InFlight) // not the one that was sent again
	}
	p.At("191ms")
	p.Recv(sackLine(0, 1, 2, 3, 4)) // late: it is the first transmission of 1
	p.Want("> . 2001:3001(1000) ack 1")
	p.At("291ms")
	p.Recv(sackLine(0, 1, 4)) // the retransmission of 2; that of 0 left 1 ms before it
	p.Drop()
	p.At("400ms")
	p.Drop()
	if i := p.Info(); i.Retransmits != 3 {
		t.Errorf("%d retransmissions, want 0, 2 and 0 again", i.Retransmits)
	}
	p.Recv(sackLine(4))
	if i := p.Info(); i.Recovery || i.InFlight != 0 {
		t.Errorf("recovery %v, %d in flight", i.Recovery, i.InFlight)
	}
}

// min_RTT is the smallest RTT of the last minutes, not of all time. RFC 8985 §6.2.
func TestR8985_6_2a_WindowedMinRTT(t *testing.T) {
	p := quiet(t)
	exchange := func(k int, rtt string) {
		p.Write(1000)
		p.Drop()
		p.Advance(rtt)
		p.Recv(sackLine(k + 1))
	}
	exchange(0, "100ms")
	exchange(1, "300ms")
	if i := p.Info(); i.MinRTT != 100*ms {
		t.Errorf("min_RTT is %v", i.MinRTT)
	}
	exchange(2, "80ms")
	if i := p.Info(); i.MinRTT != 80*ms {
		t.Errorf("min_RTT is %v", i.MinRTT)
	}
	p.Advance("4m") // the path is longer from now on
	exchange(3, "300ms")
	if i := p.Info(); i.MinRTT != 80*ms {
		t.Errorf("min_RTT is %v after 4 minutes", i.MinRTT)
	}
	p.Advance("61s")
	exchange(4, "300ms")
	if i := p.Info(); i.MinRTT != 300*ms {
		t.Errorf("min_RTT is %v after 5 minutes", i.MinRTT)
	}
}

// The ACK of a retransmission does not count if it echoes an older timestamp, or comes sooner than min_RTT. RFC 8985 §6.2.
func TestR8985_6_2b_AmbiguousRetransmission(t *testing.T) {
	// Segment 0 is sent again at 130 ms, being merely late. 4 and 5 left at 120
	// ms. If the ACK at 180 ms were that of the retransmission, RACK.rtt would be
	// 50 ms and 4 and 5 lost.
	story := func(t *testing.T, ack string, opts ...tcptest.Option) *tcptest.Conn {
		p := quiet(t, opts...)
		spread(p, 4, "0s")
		p.At("100ms")
		p.Recv(sackLine(0, 1, 2))
		p.At("120ms")
		p.Write(2000)
		p.Drop()
		p.At("130ms") // lost at 125 ms
		p.Drop()
		if p.Info().Retransmits != 1 {
			t.Fatalf("%d retransmissions", p.Info().Retransmits)
		}
		p.At("180ms")
		p.Recv(ack)
		return p
	}
	p := story(t, sackLine(4))
	if i := p.Info(); i.Retransmits != 1 || i.MinRTT != 100*ms || i.Lost != 0 {
		t.Errorf("%d retransmissions, min_RTT %v, %d lost", i.Retransmits, i.MinRTT, i.Lost)
	}
	p.Drop()
	// With timestamps an ACK that is slow enough is told apart. The clock was
	// 1000 at the SYN, 1100 at time 0.
	for _, c := range []struct {
		name, echo string
		valid      bool
	}{{"of the first transmission", "1100", false}, {"of the retransmission", "1225", true}} {
		t.Run(c.name, func(t *testing.T) {
			p := quiet(t, tcptest.Timestamps)
			for range 3 {
				p.Write(988)
			}
			p.Drop()
			p.At("100ms")
			p.Recv("< . 1:1(0) ack 1 <nop,nop,TS val 200000 ecr 1100,nop,nop,sack 989:1977>")
			p.At("124ms")
			p.Write(988) // leaves before the retransmission at 125 ms
			p.At("230ms")
			p.Drop()
			p.Recv("< . 1:1(0) ack 2965 <nop,nop,TS val 200000 ecr " + c.echo + ">")
			// If it is that of the retransmission, what left before it is lost,
			// after the reordering window at most.
			p.At("270ms")
			if lost := p.Info().Retransmits == 2; lost != c.valid {
				t.Errorf("%d retransmissions", p.Info().Retransmits)
			}
			p.Drop()
		})
	}
}

// A segment that was sent once and arrives below the highest that has arrived means reordering. RFC 8985 §6.2.
func TestR8985_6_2c_ReorderingSeen(t *testing.T) {
	for _, c := range []struct {
		name string
		acks []string
		want bool
	}{
		{"in order", []string{sackLine(1), sackLine(2), sackLine(4)}, false},
		{"a hole, repaired", []string{sackLine(0, 1, 4), sackLine(4)}, false}, // 0 was sent again
		{"SACKed below", []string{sackLine(0, 2, 3), sackLine(0, 1, 3)}, true},
		{"acknowledged below", []string{sackLine(0, 1, 2), sackLine(2)}, true},
		{"two blocks of one ACK", []string{sackLine(0, 3, 4, 1, 2)}, false}, // ascending
		{"more of the same", []string{sackLine(0, 1, 2), sackLine(0, 1, 3)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := quiet(t)
			spread(p, 4, "0s")
			p.At("100ms")
			for _, ack := range c.acks {
				p.Recv(ack)
			}
			if got := p.Info().Reordering; got != c.want {
				t.Errorf("reordering seen: %v", got)
			}
			p.Drop()
		})
	}
}

// The reordering window is 0 in recovery and with three SACKed, until reordering is seen; else a quarter of min_RTT. RFC 8985 §6.2.
func TestR8985_6_2d_ReorderingWindow(t *testing.T) {
	p := flightOf(t, 20)
	p.Recv(sackLine(0, 1, 2))
	if w := p.Info().ReorderWindow; w != 25*ms {
		t.Errorf("at first: %v", w)
	}
	p.Recv(sackLine(0, 1, 3))
	if w := p.Info().ReorderWindow; w != 25*ms {
		t.Errorf("with two SACKed: %v", w)
	}
	p.Recv(sackLine(0, 1, 4))
	if i := p.Info(); i.ReorderWindow != 0 || !i.Recovery {
		t.Errorf("with three SACKed: %v", i.ReorderWindow)
	}
	p.Drop()
	p.At("200ms")
	p.Recv(sackLine(20)) // still in recovery: 20 and 21 are on their way
	if i := p.Info(); i.ReorderWindow != 0 || !i.Recovery {
		t.Errorf("in recovery: %v", i.ReorderWindow)
	}
	p.Drop()

	// Reordering was seen: three SACKed segments prove nothing any more.
	p = flightOf(t, 20)
	p.Recv(sackLine(0, 1, 2))
	p.Recv(sackLine(2))
	p.Drop()
	p.Recv(sackLine(2, 3, 7))
	if i := p.Info(); i.ReorderWindow != 25*ms || i.Recovery {
		t.Errorf("reordering: window %v, recovery %v", i.ReorderWindow, i.Recovery)
	}
	p.Drop()
	p.At("124ms")
	p.WantNothing("it may come yet")
	p.At("125ms")
	p.Want("> . 2001:3001(1000) ack 1")
	if i := p.Info(); i.ReorderWindow != 25*ms || !i.Recovery {
		t.Errorf("reordering: window %v, recovery %v", i.ReorderWindow, i.Recovery)
	}
	p.Drop()
}

// steady is a congestion control whose window is always 20 segments.
type steady struct{ cc.NewReno }

func (steady) Init(s *cc.State, _ mono.Time, mss uint32, _ uint64) {
	s.Cwnd, s.SSThresh = 20*mss, 20*mss
}
func (steady) OnAck(*cc.State, *cc.RateSample)       {}
func (steady) OnLossEvent(*cc.State, *cc.Loss)       {}
func (steady) OnRTO(s *cc.State, l *cc.Loss, _ bool) { s.Cwnd = 20 * l.MSS }
func (steady) OnUndo(*cc.State, mono.Time)           {}

var withSteady = tcptest.Config(func(c *tcp.Config) { c.Congestion = steady{} })

// dsackStory has one segment lost, or late: it is sent again, and when late a
// D-SACK says so. It takes three round trips of 100 ms. first is the number of the
// first of its four segments.
func dsackStory(p *tcptest.Conn, first int, late bool) {
	for range 4 {
		p.Write(1000)
	}
	p.Drop()
	p.Advance("100ms")
	p.Recv(sackLine(first, first+1, first+2))
	p.Advance("100ms") // longer than any reordering window: SRTT bounds it
	p.Drop()
	p.Advance("100ms")
	p.Recv(sackLine(first + 4))
	if late {
		p.Recv(sackLine(first+4, first, first+1))
	}
	p.Advance("100ms")
	p.Drop()
}

// A D-SACK widens the window once in a round trip, SRTT at most; 16 recoveries without one reset it. RFC 8985 §6.2.
func TestR8985_6_2e_DSACKAdaptation(t *testing.T) {
	p := quiet(t, withSteady)
	want := func(when string, d time.Duration) {
		t.Helper()
		i := p.Info()
		if i.ReorderWindow != min(d, i.SRTT) {
			t.Errorf("%s: the window is %v, want %v of at most %v", when, i.ReorderWindow, d, i.SRTT)
		}
	}
	n := 0
	for k := range 3 {
		dsackStory(p, n, true)
		n += 4
		want(line("D-SACK %d", k+1), time.Duration(k+2)*25*ms)
	}
	// Two in one round trip count as one.
	for range 4 {
		p.Write(1000)
	}
	p.Drop()
	p.Recv(sackLine(n, n-1, n))
	p.Recv(sackLine(n, n-2, n-1))
	want("two at once", 125*ms)
	p.Advance("100ms")
	p.Recv(sackLine(n + 4))
	n += 4
	p.Drop()
	for k := range 15 {
		dsackStory(p, n, false)
		n += 4
		want(line("%d recoveries later", k+1), 125*ms)
	}
	dsackStory(p, n, false)
	want("16 recoveries later", 25*ms)
}

// What left before the newest that arrived is lost RACK.rtt and the window after its departure; a timer waits for it. RFC 8985 §6.2.
func TestR8985_6_2f_DetectLoss(t *testing.T) {
	// The first example of §9.1: P1 and P3 of three are lost.
	p := quiet(t)
	spread(p, 3, "30ms") // 0, 30 and 60 ms
	p.At("130ms")
	p.Recv(sackLine(0, 1, 2))
	p.Want("> . 1:1001(1000) ack 1") // it left 30 ms before what arrived
	p.At("230ms")
	p.Recv(sackLine(2))
	p.Want("> P. 2001:3001(1000) ack 1") // so did the third, before the retransmission
	p.At("330ms")
	p.Recv(sackLine(3))
	if i := p.Info(); i.Recovery || i.Retransmits != 2 {
		t.Errorf("recovery %v, %d retransmissions", i.Recovery, i.Retransmits)
	}

	// What left at the same time is in order of its numbers; the timer waits for
	// the last of what may be late.
	p = quiet(t)
	p.Write(1000)
	p.At("10ms")
	p.Write(2000) // 1 and 2
	p.Write(1000) // 3 at the same time
	p.Drop()
	p.At("110ms")
	p.Recv(sackLine(0, 2, 3)) // 0: 0+100+25, 1: 10+100+25, 3: it left after 2
	p.WantDeadline("135ms")
	p.WantAt("135ms", "> . 1:1001(1000) ack 1")
	if i := p.Info(); i.Lost != 1000 || i.InFlight != 2000 {
		t.Errorf("%d lost, %d in flight", i.Lost, i.InFlight)
	}
	p.Drop()

	// What left after the newest that arrived is never lost by this.
	p = quiet(t)
	spread(p, 3, "30ms")
	p.At("100ms")
	p.Recv(sackLine(1))
	p.WantDeadline("1100ms")
	p.At("1099ms")
	p.WantNothing("nothing that left later has arrived")
}

// On a timeout the first segment is lost, and what is older than a round trip and the window, not all. RFC 8985 §6.3.
func TestR8985_6_3_LostOnRTO(t *testing.T) {
	p := knownPath(t)
	p.Write(3000) // at 100 ms: RTO is 1 s
	p.At("900ms")
	p.Write(2000) // old enough by then
	p.At("1050ms")
	p.Write(2000) // too young
	p.Drop()
	p.WantAt("1100ms", "> . 1001:2001(1000) ack 1")
	if i := p.Info(); i.Lost != 4000 || i.InFlight != 3000 || i.Cwnd != 1000 {
		t.Errorf("%d lost, %d in flight, cwnd %d", i.Lost, i.InFlight, i.Cwnd)
	}
	p.Drop()

	// The first alone, however young: only it is overdue.
	p = knownPath(t)
	p.Write(1000)
	p.At("1090ms")
	p.Write(2000)
	p.Drop()
	p.WantAt("1100ms", "> . 1001:2001(1000) ack 1")
	if i := p.Info(); i.Lost != 0 || i.InFlight != 3000 {
		t.Errorf("%d lost, %d in flight", i.Lost, i.InFlight)
	}
	p.Drop()
}

// A probe is due after two SRTT, more for one segment, 1 s without an SRTT, and no later than the RTO. RFC 8985 §7.2.
func TestR8985_7_2_ProbeTimeout(t *testing.T) {
	for _, c := range []struct {
		name     string
		opts     []tcptest.Option
		segments int
		want     string
	}{
		{"two segments", []tcptest.Option{tcptest.RTT(100 * ms)}, 2, "200ms"},
		{"one, with the longest delayed ACK", []tcptest.Option{tcptest.RTT(100 * ms)}, 1, "400ms"},
		{"Linux: two segments and a little", []tcptest.Option{linuxProfile, tcptest.RTT(100 * ms)}, 2, "202ms"},
		{"Linux: one segment", []tcptest.Option{linuxProfile, tcptest.RTT(50 * ms)}, 1, "250ms"}, // the RTO is 250 ms
		{"before the RTO: at the RTO", []tcptest.Option{tcptest.RTT(800 * ms), shortRTO}, 2, "1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tcptest.Established(t, append(c.opts, tcptest.TailLossProbes)...)
			p.Write(c.segments * 1000)
			p.Drop()
			p.WantDeadline(c.want)
			p.At(c.want)
			if !p.Info().TailProbe {
				t.Error("no probe left")
			}
			p.Drop()
		})
	}
	// A lost SYN leaves no SRTT: RTO is 3 s.
	p := tcptest.SynSent(t, tcptest.TailLossProbes)
	p.WantAt("1s", "> S 0:0(0)")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1")
	p.Write(1000)
	p.Want("> P. 1:1001(1000) ack 1")
	p.WantDeadline("2s")
	p.WantAt("2s", "> P. 1:1001(1000) ack 1")
	p.WantDeadline("5s")
	p.Abort()
	p.Drop()

	// It starts again with new data and with an ACK of new data, but not in
	// recovery, after a timeout, or while something is SACKed.
	p = quiet(t, tcptest.TailLossProbes, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 }))
	p.Write(2000)
	p.WantDeadline("200ms")
	p.At("150ms")
	p.Write(1000)
	p.WantDeadline("350ms")
	p.At("160ms")
	p.Recv(sackLine(1))
	p.WantDeadline((160*ms + 2*p.Info().SRTT).String())
	p.At("170ms")
	p.Recv(sackLine(1, 2, 3))
	p.At("260ms") // the reordering timer has come and gone: recovery
	p.Drop()
	p.Write(1000)
	p.Drop()
	if d := p.Deadline().Sub(mono.Start.Add(100 * ms)); d < time.Second {
		t.Errorf("a deadline at %v in recovery", d)
	}
	p.At("300ms")
	p.Recv(sackLine(3))
	p.Write(2000)
	p.Drop()
	p.WantDeadline((300*ms + 2*p.Info().SRTT).String())
	p.Advance("1500ms") // probe and timeout
	p.Drop()
	if i := p.Info(); !i.Timeout || i.TailProbe {
		t.Errorf("timeout %v, probe %v", i.Timeout, i.TailProbe)
	}
}

var (
	linuxProfile = tcptest.Profile(tcp.ProfileLinux)
	// shortRTO lets the RTO come close to SRTT.
	shortRTO = tcptest.Config(func(c *tcp.Config) { c.MinRTO, c.MaxRTO = 100*ms, time.Second })
)

// A probe is new data if there is any that may go, else the last segment; then the RTO is armed. RFC 8985 §7.3.
func TestR8985_7_3_Probe(t *testing.T) {
	small := tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 3 })
	t.Run("new data beyond cwnd", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small)
		p.Write(10_000)
		p.Want("> . 1:3001(3000) ack 1 cut 1000")
		p.WantAt("200ms", "> . 3001:4001(1000) ack 1")
		p.WantDeadline("1200ms")
		p.WantAt("1200ms", "> . 1:1001(1000) ack 1") // one probe: now it is a timeout
		if i := p.Info(); i.Cwnd != 1000 || !i.Timeout {
			t.Errorf("cwnd %d, timeout %v", i.Cwnd, i.Timeout)
		}
		p.Drop()
	})
	t.Run("the last segment", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small)
		p.Write(2500)
		p.Drop()
		p.WantAt("200ms", "> P. 2001:2501(500) ack 1")
		p.WantDeadline("1200ms")
		p.Drop()
	})
	t.Run("the end of the last segment, where SACK blocks leave room for less", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small)
		p.Write(2000)
		p.Drop()
		p.Recv("< . 1001:2001(1000) ack 1")
		p.Drop()
		p.WantAt("200ms", "> P. 1013:2001(988) ack 1 <nop,nop,sack 1001:2001>")
		p.Drop()
	})
	t.Run("the last segment, with its FIN", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small)
		p.Write(1500)
		p.Shutdown()
		p.Drop()
		p.WantAt("200ms", "> FP. 1001:1501(500) ack 1")
		p.Drop()
	})
	t.Run("a window that takes no more", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small, tcptest.Window(2000))
		p.Write(10_000)
		p.Want("> . 1:2001(2000) ack 1 cut 1000")
		p.WantAt("200ms", "> . 1001:2001(1000) ack 1")
		p.Drop()
	})
	// One probe on its way at a time: until it is acknowledged, timeouts only.
	t.Run("one at a time", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small)
		p.Write(2000)
		p.Drop()
		p.WantAt("200ms", "> P. 1001:2001(1000) ack 1")
		p.At("300ms")
		p.Recv(sackLine(1))
		p.WantDeadline("1300ms")
		p.Write(1000)
		p.Drop()
		p.WantDeadline("1300ms")
		if !p.Info().TailProbe {
			t.Error("the probe is forgotten")
		}
		p.Drop()
	})
	// No second one without an RTT sample since, or SRTT would never follow.
	t.Run("a sample between two", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, small)
		p.Write(1000)
		p.Drop()
		p.WantAt("400ms", "> P. 1:1001(1000) ack 1")
		p.At("450ms")
		p.Recv(sackLine(1)) // of which of the two nobody knows: no sample
		p.Recv("< . 1:1(0) ack 1001 <nop,nop,sack 1:1001>")
		p.Write(1000)
		p.Drop()
		p.WantDeadline("1450ms")
		p.At("600ms")
		p.Recv(sackLine(2)) // this is one
		p.Write(1000)
		p.Drop()
		p.WantDeadline((800*ms + 2*p.Info().SRTT).String())
	})
}

// If the probe repaired the only loss, cwnd is reduced once all the same; if both copies arrived, it is not. RFC 8985 §7.4.
func TestR8985_7_4_ProbeAcked(t *testing.T) {
	// Ten segments left, the last was sent again as a probe.
	probed := func(t *testing.T) *tcptest.Conn {
		p := quiet(t, tcptest.TailLossProbes, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 }))
		p.Write(10_000)
		p.At("100ms")
		p.Recv(sackLine(9))
		p.Drop()
		p.Advance("1s") // not to the RTO
		p.Want("> P. 9001:10001(1000) ack 1")
		p.Drop()
		if i := p.Info(); !i.TailProbe || i.Timeout {
			t.Fatalf("probe %v, timeout %v", i.TailProbe, i.Timeout)
		}
		return p
	}
	more := func(p *tcptest.Conn) { // what is new is acknowledged as well
		p.Write(1000)
		p.Drop()
		p.Advance("50ms")
		p.Recv(sackLine(11))
	}
	for _, c := range []struct {
		name   string
		acks   []string
		reduce bool
	}{
		{"it repaired the loss", []string{sackLine(10)}, true},
		{"D-SACK with the ACK of both", []string{"< . 1:1(0) ack 10001 <nop,nop,sack 9001:10001>"}, false},
		{"D-SACK after the ACK of the first", []string{sackLine(10), "< . 1:1(0) ack 10001 <nop,nop,sack 9001:10001>"}, false},
		{"a duplicate ACK without SACK", []string{sackLine(10), sackLine(10)}, false},
		{"D-SACK of something else", []string{sackLine(10), "< . 1:1(0) ack 10001 <nop,nop,sack 1:1001>"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := probed(t)
			before := p.Info()
			for _, ack := range c.acks {
				p.Recv(ack)
			}
			if i := p.Info(); i.Cwnd < before.Cwnd {
				t.Errorf("cwnd from %d to %d before anything is known", before.Cwnd, i.Cwnd)
			}
			p.WantDeadline("none") // all is acknowledged
			more(p)
			i := p.Info()
			if reduced := i.Cwnd < before.Cwnd; reduced != c.reduce || i.Recovery {
				t.Errorf("cwnd from %d to %d, ssthresh %d, recovery %v", before.Cwnd, i.Cwnd, i.SSThresh, i.Recovery)
			}
			if i.TailProbe {
				t.Error("the episode is not over")
			}
			// Once.
			p.Write(1000)
			p.Drop()
			p.Advance("50ms")
			p.Recv(sackLine(12))
			if j := p.Info(); j.Cwnd < i.Cwnd {
				t.Errorf("again from %d to %d", i.Cwnd, j.Cwnd)
			}
		})
	}
	t.Run("new data as a probe", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 3 }))
		p.Write(4000)
		p.At("200ms")
		p.Drop()
		p.At("250ms")
		p.Recv(sackLine(4))
		p.Write(1000)
		p.Drop()
		p.At("300ms")
		p.Recv(sackLine(5))
		if i := p.Info(); i.Cwnd < 3000 || i.TailProbe || i.SSThresh != infinite {
			t.Errorf("cwnd %d, ssthresh %d, probe %v", i.Cwnd, i.SSThresh, i.TailProbe)
		}
	})
	// Several were lost: RACK finds them by the ACK of the probe, recovery
	// reduces, and the end of the probe does not do so again.
	t.Run("recovery instead", func(t *testing.T) {
		p := quiet(t, tcptest.TailLossProbes, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 }))
		p.Write(10_000)
		p.At("300ms")
		p.Want("> P. 1:10001(10000) ack 1 cut 1000")
		p.Want("> P. 9001:10001(1000) ack 1")
		p.Recv(sackLine(0, 9, 10)) // of the probe at 200 ms
		p.Want("> . 1:1001(1000) ack 1")
		if i := p.Info(); !i.Recovery || i.SSThresh != 5000 || i.TailProbe {
			t.Fatalf("recovery %v, ssthresh %d, probe %v", i.Recovery, i.SSThresh, i.TailProbe)
		}
		p.Write(20_000)
		for una := 1; una < 9; una++ {
			p.Advance("100ms")
			p.Recv(sackLine(una, 9, 10))
			p.Drop()
		}
		p.Advance("100ms")
		p.Recv(sackLine(11))
		if i := p.Info(); i.Recovery || i.SSThresh != 5000 || i.Cwnd < 5000 {
			t.Errorf("recovery %v, ssthresh %d, cwnd %d", i.Recovery, i.SSThresh, i.Cwnd)
		}
		p.Drop()
	})
}

// Of the timers of reordering, of probes, of retransmission and of closed windows one is armed. RFC 8985 §8.
func TestR8985_8_TimersExclusive(t *testing.T) {
	p := quiet(t, tcptest.TailLossProbes, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 }))
	p.Write(3000)
	p.Drop()
	p.WantDeadline("200ms") // the probe's
	p.At("100ms")
	p.Recv(sackLine(0, 1, 2))
	p.WantDeadline("125ms")                      // that of reordering
	p.WantAt("125ms", "> . 1:1001(1000) ack 1")  // and then
	p.WantDeadline("1125ms")                     // the retransmission timer
	p.WantAt("1125ms", "> . 1:1001(1000) ack 1") // and nothing between
	p.Recv("< . 1:1(0) ack 3001 win 0")          // nothing is outstanding
	p.WantDeadline("none")
	p.Write(1000)
	i := p.Info()
	if !i.Persist {
		t.Error("the window is closed: no probe is due")
	}
	p.WantNothing("the window is closed")
	p.Advance(i.RTO.String())
	p.Want("> . 3001:3002(1) ack 1")
	p.Recv("< . 1:1(0) ack 3001 win 60000")
	p.Drop()
	if i := p.Info(); i.Persist {
		t.Error("the window is open")
	}
}
