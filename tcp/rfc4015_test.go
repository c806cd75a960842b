package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// lateFlight returns a connection whose ten segments, and all ACKs, are late: the
// timeout at 1 s has sent the first again, which was needless. 20 more wait.
func lateFlight(t *testing.T, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	p := quiet(t, append(opts, tenSegments)...)
	p.Write(30_000)
	p.Drop()
	p.At("1s")
	if i := p.Info(); !i.Timeout || i.Retransmits != 1 || i.Cwnd > 1000 || i.SSThresh > 5000 {
		t.Fatalf("timeout %v, %d retransmissions, cwnd %d, ssthresh %d", i.Timeout, i.Retransmits, i.Cwnd, i.SSThresh)
	}
	p.Drop()
	return p
}

// wantUndone demands that nothing is being repaired and the windows are at least
// what they were.
func wantUndone(t *testing.T, p *tcptest.Conn, cwnd, ssthresh uint32) {
	t.Helper()
	if i := p.Info(); i.Timeout || i.Recovery || i.Cwnd < cwnd || i.SSThresh != ssthresh || i.Lost != 0 {
		t.Errorf("timeout %v, recovery %v, cwnd %d, ssthresh %d, %d lost; want cwnd %d, ssthresh %d", i.Timeout, i.Recovery,
			i.Cwnd, i.SSThresh, i.Lost, cwnd, ssthresh)
	}
}

// An ACK that covers a retransmission but echoes a time before it shows that it was needless. RFC 3522 §3.2.
func TestR3522_3_2_EifelDetection(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{
		"without SACK": {tcptest.Timestamps, tcptest.NoSACK}, "with SACK": {tcptest.Timestamps}} {
		t.Run(name+", after a timeout", func(t *testing.T) {
			p := lateFlight(t, opts...)
			p.At("1050ms")
			p.Recv("< . 1:1(0) ack 989 <nop,nop,TS val 200000 ecr 1100>") // the flight left at 1100
			wantUndone(t, p, 9880, infinite)
			p.Drop()
		})
		t.Run(name+", no sign of it", func(t *testing.T) {
			p := lateFlight(t, opts...)
			p.At("1100ms")
			p.Recv("< . 1:1(0) ack 989 <nop,nop,TS val 200000 ecr 2100>") // the retransmission left at 2100
			if i := p.Info(); !i.Timeout {
				t.Error("the timeout was taken back")
			}
			p.Drop()
		})
	}
	t.Run("in fast recovery", func(t *testing.T) {
		p := quiet(t, tcptest.Timestamps, tcptest.NoSACK, tenSegments)
		p.Write(9880)
		p.Drop()
		p.At("100ms")
		for range 3 { // segment 0 comes behind 3
			p.Recv("< . 1:1(0) ack 1 <nop,nop,TS val 200000 ecr 1100>")
		}
		p.Drop()
		if i := p.Info(); !i.Recovery || i.SSThresh >= 9880 {
			t.Fatalf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
		}
		p.At("105ms")
		p.Recv("< . 1:1(0) ack 3953 <nop,nop,TS val 200000 ecr 1100>")
		wantUndone(t, p, 9880, infinite)
		p.Drop()
	})
	t.Run("not without timestamps", func(t *testing.T) {
		p := lateFlight(t, tcptest.NoSACK)
		p.Recv(sackLine(1))
		if i := p.Info(); !i.Timeout {
			t.Error("the timeout was taken back")
		}
		p.Drop()
	})
}

// What a spurious timeout took is given back, once. RFC 4015 §3.2.
//
// Deviation: cwnd becomes what it was, not FlightSize and what the ACK
// acknowledged: pacing spreads what it lets out, and Linux does so.
func TestR4015_3_2_Response(t *testing.T) {
	p := lateFlight(t, tcptest.Timestamps)
	p.At("1050ms")
	p.Recv("< . 1:1(0) ack 989 <nop,nop,TS val 200000 ecr 1100>")
	wantUndone(t, p, 9880, infinite)
	if i := p.Info(); i.RTO < i.SRTT || i.Backoff != 0 || i.SRTT <= 100*ms {
		t.Errorf("RTO %v, back-off %d, SRTT %v", i.RTO, i.Backoff, i.SRTT) // the sample of 1050 ms counts
	}
	// Sending goes on with new data: nothing is sent a second time.
	p.Want("> . 9881:11857(1976) ack 1 cut 988")
	// A second sign of the same takes nothing more, nor gives it.
	before := p.Info()
	p.Recv("< . 1:1(0) ack 1977 <nop,nop,TS val 200000 ecr 1100,nop,nop,sack 1:989>")
	p.Drop()
	i := p.Info()
	if i.SSThresh != before.SSThresh || i.Cwnd > before.Cwnd+988 || i.Cwnd < before.Cwnd || i.Retransmits != before.Retransmits {
		t.Errorf("cwnd from %d to %d, ssthresh %d, %d retransmissions", before.Cwnd, i.Cwnd, i.SSThresh, i.Retransmits)
	}
	// The next loss is a loss again.
	p.At("2s")
	p.Recv("< . 1:1(0) ack 1977 <nop,nop,TS val 200000 ecr 1100,nop,nop,sack 2965:8893>")
	if i := p.Info(); !i.Recovery || i.SSThresh >= before.Cwnd {
		t.Errorf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
	}
	p.Drop()
}

// After a timeout two new segments go before further retransmissions; what arrives then tells. RFC 5682 §3.1.
func TestR5682_3_1_FRTO(t *testing.T) {
	start := func(t *testing.T) *tcptest.Conn {
		p := lateFlight(t)
		p.At("1050ms")
		p.Recv(sackLine(1)) // of which of the two?
		p.Want("> . 10001:12001(2000) ack 1 cut 1000")
		p.WantNothing("retransmissions wait")
		if i := p.Info(); !i.Timeout || i.Retransmits != 1 {
			t.Fatalf("timeout %v, %d retransmissions", i.Timeout, i.Retransmits)
		}
		return p
	}
	t.Run("spurious", func(t *testing.T) {
		p := start(t)
		p.Recv(sackLine(2)) // it was not sent again: the flight is merely late
		wantUndone(t, p, 10_000, infinite)
		p.Drop()
		for una := 3; una < 10; una++ {
			p.Recv(sackLine(una))
			p.Drop()
		}
		if i := p.Info(); i.Retransmits != 1 {
			t.Errorf("%d retransmissions", i.Retransmits)
		}
	})
	t.Run("genuine", func(t *testing.T) {
		p := start(t)
		p.At("1150ms")
		p.Recv(sackLine(1, 10, 11)) // the new data came, nothing else
		p.Want("> . 1001:2001(1000) ack 1")
		if i := p.Info(); !i.Timeout || i.SSThresh != 5000 {
			t.Errorf("timeout %v, ssthresh %d", i.Timeout, i.SSThresh)
		}
		// What arrives later of the first flight tells nothing any more.
		p.Recv(sackLine(1, 10, 12))
		p.Drop()
		p.At("1200ms")
		p.Recv(sackLine(3, 10, 12))
		if i := p.Info(); !i.Timeout {
			t.Error("taken back")
		}
		p.Drop()
	})
	t.Run("an ACK of all tells nothing", func(t *testing.T) {
		p := lateFlight(t)
		p.At("1050ms")
		p.Recv(sackLine(10))
		if i := p.Info(); i.Timeout || i.SSThresh != 5000 {
			t.Errorf("timeout %v, ssthresh %d", i.Timeout, i.SSThresh)
		}
		p.Drop()
	})
	t.Run("without new data", func(t *testing.T) {
		p := quiet(t, tenSegments)
		p.Write(10_000)
		p.At("1s")
		p.Drop()
		p.At("1050ms")
		p.Recv(sackLine(1))
		p.Want("> . 1001:3001(2000) ack 1 cut 1000") // slow start
		p.Drop()
	})
	// The second timeout in a row is no question any more.
	t.Run("the second timeout", func(t *testing.T) {
		p := lateFlight(t)
		p.At("3s")
		p.Drop()
		p.Recv(sackLine(1))
		p.Want("> . 1001:3001(2000) ack 1 cut 1000")
		p.Drop()
	})
}

// When D-SACKs have said of every retransmission that it was needless, the reduction is taken back. RFC 3708 §3, RFC 2883 §5.
func TestR3708_3_UndoByDSACK(t *testing.T) {
	// Segments 0 and 1 are late; both are sent again, and all arrives.
	story := func(t *testing.T) *tcptest.Conn {
		p := flightOf(t, 20)
		for k := 3; k < 8; k++ {
			p.Recv(sackLine(0, 2, k))
		}
		p.Drop()
		if i := p.Info(); i.Retransmits != 2 || !i.Recovery {
			t.Fatalf("%d retransmissions, recovery %v", i.Retransmits, i.Recovery)
		}
		p.At("110ms")
		p.Recv(sackLine(7)) // the originals
		p.Drop()
		return p
	}
	dsack := func(una, k int) string {
		return line("< . 1:1(0) ack %d <nop,nop,sack %d:%d>", at(una), at(k), at(k+1))
	}
	p := story(t)
	p.At("200ms")
	p.Recv(dsack(7, 0))
	if i := p.Info(); i.SSThresh != 10_000 {
		t.Fatalf("ssthresh is %d after one of two", i.SSThresh)
	}
	p.Recv(dsack(7, 1))
	wantUndone(t, p, 20_000, infinite)
	p.Drop()
	cwnd := p.Info().Cwnd
	p.Recv(dsack(7, 1)) // once more
	wantCwnd(t, p, cwnd, infinite)
	p.Drop()

	// The end of recovery changes nothing: nobody knows more until new data is
	// acknowledged.
	p = story(t)
	p.At("200ms")
	end := (int(p.SndNXT()) - 1) / 1000
	p.Recv(sackLine(end))
	p.Drop()
	wantCwnd(t, p, 10_000, 10_000)
	p.Recv(dsack(end, 0))
	p.Recv(dsack(end, 1))
	wantUndone(t, p, 20_000, infinite)
	p.Drop()

	// The network made a copy of something older: that says nothing of what was
	// sent again.
	p = knownPath(t, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 20 }))
	p.Write(60_000)
	p.Drop()
	p.At("200ms")
	for k := 3; k < 6; k++ {
		p.Recv(sackLine(1, 2, k))
	}
	p.Drop()
	if i := p.Info(); i.Retransmits != 1 || !i.Recovery {
		t.Fatalf("%d retransmissions, recovery %v", i.Retransmits, i.Recovery)
	}
	p.Recv(sackLine(1, 0, 1, 2, 5))
	if i := p.Info(); !i.Recovery || i.SSThresh == infinite {
		t.Errorf("a copy of segment 0 took recovery back: ssthresh %d", i.SSThresh)
	}
	p.Drop()
}

// An algorithm that restores only what was reduced has everything restored, also
// when PRR has not taken anything away yet. RFC 9438 §4.9.
func TestUndoBeforePRRHasReduced(t *testing.T) {
	for _, a := range []cc.Algorithm{cc.NewReno{}, cc.Cubic{}} {
		p := flightOf(t, 20, tcptest.Timestamps, tcptest.Config(func(c *tcp.Config) { c.Congestion = a }))
		cwnd := p.Info().Cwnd
		p.Recv("< . 1:1(0) ack 1 <nop,nop,TS val 200000 ecr 1100,nop,nop,sack 989:1977>")
		p.At("126ms") // the reordering timer
		if i := p.Info(); !i.Recovery || i.Cwnd < cwnd || i.SSThresh >= cwnd {
			t.Fatalf("%s: recovery %v, cwnd %d, ssthresh %d", a.Name(), i.Recovery, i.Cwnd, i.SSThresh)
		}
		p.Recv("< . 1:1(0) ack 1977 <nop,nop,TS val 200000 ecr 1100>")
		wantUndone(t, p, cwnd, infinite)
		p.Drop()
	}
}

// A timeout in the middle of recovery that turns out spurious gives recovery back as it was.
func TestSpuriousTimeoutInRecovery(t *testing.T) {
	p := flightOf(t, 20)
	for k := 2; k < 6; k++ { // 0 is lost
		p.Recv(sackLine(0, 1, k))
	}
	p.Drop()
	before := p.Info()
	if !before.Recovery || before.SSThresh != 10_000 {
		t.Fatalf("recovery %v, ssthresh %d", before.Recovery, before.SSThresh)
	}
	p.At("1100ms") // ACKs stop
	p.Drop()
	if i := p.Info(); !i.Timeout || i.Cwnd != 1000 {
		t.Fatalf("timeout %v, cwnd %d", i.Timeout, i.Cwnd)
	}
	p.At("1110ms")
	p.Recv(sackLine(0, 1, 7)) // and go on: 6 was not sent again
	i := p.Info()
	if i.Timeout || !i.Recovery || i.SSThresh != before.SSThresh {
		t.Errorf("timeout %v, recovery %v, ssthresh %d", i.Timeout, i.Recovery, i.SSThresh)
	}
	p.Drop()
	p.At("1200ms")
	p.Recv(sackLine(int(p.SndNXT()) / 1000))
	wantCwnd(t, p, 10_000, 10_000)
	p.Drop()
}
