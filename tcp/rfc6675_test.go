package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
)

// A segment is lost with three SACKed ranges above it, or more than two segments' worth of octets. RFC 6675 §4, IsLost.
func TestR6675_4a_IsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		ack  string
		lost uint32 // including the one that is sent again at once
	}{
		{"two segments are not enough", sackLine(0, 1, 3), 0},
		{"an octet more is", "< . 1:1(0) ack 1 <nop,nop,sack 1001:3002>", 1000},
		{"two ranges are not enough", "< . 1:1(0) ack 1 <nop,nop,sack 1001:1101 2001:2101>", 0},
		{"three ranges are, however small", "< . 1:1(0) ack 1 <nop,nop,sack 1001:1002 3001:3002 5001:5002>", 1000},
		{"of several holes those with enough above", sackLine(0, 1, 2, 3, 4, 5, 6, 7, 9), 5000 - 2000},
		{"all below three segments", sackLine(0, 10, 13), 10_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := flightOf(t, 20, noRACK)
			p.Recv(c.ack)
			i := p.Info()
			lost := i.Lost
			if i.Recovery {
				lost += 1000 * uint32(i.Retransmits)
			}
			if lost != c.lost || i.Recovery != (c.lost > 0) {
				t.Errorf("%d lost, recovery %v; want %d", lost, i.Recovery, c.lost)
			}
			p.Drop()
			// Time changes nothing: this is no RACK.
			p.At("300ms")
			if j := p.Info(); j.Lost != i.Lost {
				t.Errorf("%d lost after a while", j.Lost)
			}
		})
	}
}

// pipe counts what is neither SACKed nor lost, and what was sent again. RFC 6675 §4, SetPipe.
func TestR6675_4b_SetPipe(t *testing.T) {
	p := flightOf(t, 20, noRACK)
	want := func(segments uint32) {
		t.Helper()
		if got := p.Info().InFlight; got != segments*1000 {
			t.Errorf("pipe is %d, want %d segments", got, segments)
		}
	}
	want(20)
	p.Recv(sackLine(0, 5, 6)) // one SACKed; a new one left
	want(20)
	p.Recv(sackLine(0, 5, 7))
	want(20)
	p.Drop()
	// 22 sent, 3 SACKed, 5 lost of which one was sent again
	p.Recv(sackLine(0, 5, 8))
	p.Want("> . 1:1001(1000) ack 1")
	want(22 - 3 - 5 + 1)
	// One more arrives: half a segment may leave, and none does.
	p.Recv(sackLine(0, 5, 9))
	want(22 - 4 - 5 + 1)
	p.WantNothing("by proportion")
	p.Recv(sackLine(0, 5, 10))
	p.Want("> . 1001:2001(1000) ack 1")
	want(22 - 5 - 5 + 2)
	// What was lost and arrives after all counts no more.
	p.Recv(sackLine(0, 4, 10))
	want(22 - 6 - 4 + 2)
	p.Drop()
}

// What goes next: lost segments from the lowest on, then new data, then what may be lost, at last one rescue. RFC 6675 §4, NextSeg.
func TestR6675_4c_NextSeg(t *testing.T) {
	ten := func(t *testing.T, n int) *tcptest.Conn {
		p := quiet(t, noRACK, tenSegments, withSteady, tcptest.Room(0))
		p.Write(n)
		p.Drop()
		p.At("100ms")
		return p
	}
	t.Run("(1) then (2)", func(t *testing.T) {
		p := ten(t, 30_000)
		before := int(p.SndNXT()-1) / 1000
		p.Recv(sackLine(0, 1, 2, 3, 4, 5, 6, 7, before))
		for _, k := range []int{0, 2, 4, 6} {
			p.Want(line("> . %d:%d(1000) ack 1", at(k), at(k+1)))
		}
		p.Want(line("> . %d:%d(1000) ack 1", at(before), at(before+1)))
		p.Drop()
	})
	t.Run("(3) when there is nothing new", func(t *testing.T) {
		p := ten(t, 10_000)
		p.Recv(sackLine(0, 1, 4, 7, 8)) // above 5 and 6 only one segment is SACKed
		p.Want("> . 1:1001(1000) ack 1")
		p.Want("> . 4001:5001(1000) ack 1")
		p.Drop()
	})
	t.Run("(4) one rescue", func(t *testing.T) {
		p := ten(t, 10_000)
		p.Recv(sackLine(0, 1, 5)) // 5 to 9: nothing above them is SACKed
		p.Want("> . 1:1001(1000) ack 1")
		p.Want("> P. 9001:10001(1000) ack 1")
		p.WantNothing("one rescue")
		p.At("150ms")
		p.Recv(sackLine(0, 1, 6))
		p.WantNothing("one in a recovery")
		p.Recv(sackLine(10))
		if i := p.Info(); i.Recovery || i.Retransmits != 2 {
			t.Errorf("recovery %v, %d retransmissions", i.Recovery, i.Retransmits)
		}
		// The next recovery has its own.
		p.Write(10_000)
		p.Drop()
		p.At("250ms")
		p.Recv(sackLine(10, 11, 15))
		p.Want("> . 10001:11001(1000) ack 1")
		p.Want("> P. 19001:20001(1000) ack 1")
		p.Drop()
	})
	t.Run("RACK needs neither: tail loss probes do that", func(t *testing.T) {
		p := quiet(t, tenSegments, withSteady)
		p.Write(10_000)
		p.At("100ms")
		p.Drop()
		p.Recv(sackLine(0, 1, 5))
		p.Want("> . 1:1001(1000) ack 1")
		p.WantNothing("no rescue")
		p.Drop()
	})
}

// An ACK that moves SND.UNA makes the count of duplicates zero. RFC 6675 §5.
func TestR6675_5a_DupACKsReset(t *testing.T) {
	p := flightOf(t, 20, noRACK)
	block := func(una, to int) string { // less than enough to say that it is lost
		return line("< . 1:1(0) ack %d <nop,nop,sack %d:%d>", at(una), at(una+1), at(una+1)+to)
	}
	p.Recv(block(0, 100))
	p.Recv(block(0, 200))
	if n := p.Info().DupACKs; n != 2 {
		t.Errorf("%d duplicates", n)
	}
	p.Recv(block(2, 100))
	if n := p.Info().DupACKs; n != 0 {
		t.Errorf("%d duplicates after an ACK", n)
	}
	p.Recv(block(2, 200))
	p.Recv(block(2, 300))
	if i := p.Info(); i.Recovery {
		t.Error("recovery after two")
	}
	p.Recv(block(2, 400))
	if i := p.Info(); !i.Recovery {
		t.Error("no recovery after three")
	}
	p.Drop()
}

// Recovery begins with three duplicates or a loss; ssthresh is half of FlightSize, and the first hole goes again. RFC 6675 §5.
//
// RFC 9937 decides on cwnd until the end of it.
func TestR6675_5b_Enter(t *testing.T) {
	for name, acks := range map[string][]string{
		"three duplicates": {sackLine(0, 1, 2), "< . 1:1(0) ack 1 <nop,nop,sack 1001:2101>", "< . 1:1(0) ack 1 <nop,nop,sack 1001:2201>"},
		"a loss":           {sackLine(0, 1, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			p := flightOf(t, 20, noRACK)
			for _, ack := range acks[:len(acks)-1] {
				p.Recv(ack)
				p.Drop()
				if p.Info().Recovery {
					t.Fatal("too early")
				}
			}
			p.Recv(acks[len(acks)-1])
			p.Want("> . 1:1001(1000) ack 1")
			if i := p.Info(); !i.Recovery || i.SSThresh != 10_000 {
				t.Errorf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
			}
			p.Drop()
			high := (int(p.SndNXT()) - 1) / 1000
			p.At("200ms")
			p.Recv(sackLine(high-1, high-1, high)) // of HighData less one
			p.Drop()
		})
	}
}

// Recovery ends with the ACK of all that was sent when it began. RFC 6675 §5.
func TestR6675_5c_Leave(t *testing.T) {
	p := flightOf(t, 20, noRACK)
	p.Recv(sackLine(0, 1, 4))
	point := at(20) // HighData then
	p.Drop()
	for k := 5; k < 12; k++ {
		p.Recv(sackLine(0, 1, k)) // new data leaves, which does not move the point
	}
	p.Drop()
	if int(p.SndNXT()) <= point {
		t.Fatalf("SND.NXT is %d", p.SndNXT())
	}
	p.Recv(line("< . 1:1(0) ack %d", point-1))
	if !p.Info().Recovery {
		t.Error("it ended an octet too early")
	}
	p.Recv(line("< . 1:1(0) ack %d", point))
	if i := p.Info(); i.Recovery || i.Cwnd != 10_000 {
		t.Errorf("recovery %v, cwnd %d", i.Recovery, i.Cwnd)
	}
	p.Drop()
}

// A timeout ends recovery, and none begins before all that was sent by then is acknowledged. RFC 6675 §5.1.
func TestR6675_5_1a_TimeoutInRecovery(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{"RFC 6675": {noRACK}, "RACK": nil} {
		t.Run(name, func(t *testing.T) {
			p := flightOf(t, 20, opts...)
			p.Recv(sackLine(0, 1, 4))
			p.Drop()
			p.At("1100ms")
			p.Drop()
			i := p.Info()
			if i.Recovery || !i.Timeout || i.Cwnd != 1000 || i.SSThresh != 10_000 {
				t.Fatalf("recovery %v, timeout %v, cwnd %d, ssthresh %d", i.Recovery, i.Timeout, i.Cwnd, i.SSThresh)
			}
			point := int(p.SndNXT())
			p.At("1200ms")
			p.Recv(sackLine(4))
			p.Want(line("> . %d:%d(1000) ack 1", point, point+1000)) // F-RTO
			p.Drop()
			p.At("1300ms")
			p.Recv(line("< . 1:1(0) ack %d <nop,nop,sack %d:%d>", at(4), point, point+1000))
			p.Drop()
			for k := 8; k < 14; k++ { // as many duplicates as one likes
				p.Recv(sackLine(4, 7, k))
				p.Drop()
			}
			if i := p.Info(); i.Recovery || i.SSThresh != 10_000 {
				t.Errorf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
			}
			p.At("1350ms")
			p.Recv(line("< . 1:1(0) ack %d", point+1000))
			p.Drop()
			if i := p.Info(); i.Timeout {
				t.Error("the timeout is not over")
			}
			// From here on a loss is a new one.
			p.At("1400ms")
			una := (point-1)/1000 + 1
			p.Recv(sackLine(una, una+1, (int(p.SndNXT())-1)/1000))
			p.Advance("100ms")
			if i := p.Info(); !i.Recovery {
				t.Errorf("no recovery: %+v", i)
			}
			p.Drop()
		})
	}
}

// What was SACKed is not sent again after a timeout. RFC 6675 §5.1.
func TestR6675_5_1b_SACKAfterTimeout(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{"RFC 6675": {noRACK}, "RACK": nil} {
		t.Run(name, func(t *testing.T) {
			p := quiet(t, append([]tcptest.Option{tenSegments, tcptest.Room(0)}, opts...)...)
			p.Write(10_000)
			p.Drop()
			p.At("100ms")
			p.Recv(sackLine(0, 1, 3, 5, 6)) // and silence
			p.Drop()
			p.At("1100ms")
			p.Drop()
			again := map[int]bool{}
			for una := 1; una < 10; una++ {
				p.Advance("100ms")
				switch una {
				case 1:
					p.Recv(sackLine(3, 5, 6))
				case 4:
					p.Recv(sackLine(4, 5, 6))
				case 5:
					p.Recv(sackLine(6))
				default:
					if una > 6 {
						p.Recv(sackLine(una))
					}
				}
				for k := range 10 {
					if p.Sent(at(k)) {
						again[k] = true
					}
				}
				p.Drop()
			}
			if again[1] || again[2] || again[5] {
				t.Errorf("SACKed data was sent again: %v", again)
			}
			if !again[3] || !again[4] || !again[6] {
				t.Errorf("sent again: %v", again)
			}
		})
	}
}

// After a timeout the left edge goes again even if it was SACKed. RFC 2018 §5.
//
// Deviation: only if SND.UNA itself is SACKed, which shows that the peer has
// gone back on it; what is SACKed above it stays so, RFC 6675 §5.1.
func TestR2018_5a_LeftEdgeAfterTimeout(t *testing.T) {
	p := quiet(t, tenSegments)
	p.Write(3000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(0, 1, 3))
	p.At("200ms")
	p.Drop()
	p.Recv(sackLine(1)) // 1 and 2 were SACKed: this receiver reneges
	p.Advance("60ms")   // half of SRTT: not a whole RTO
	p.Want("> . 1001:2001(1000) ack 1")
	if i := p.Info(); i.SACKed != 0 || !i.Timeout {
		t.Errorf("%d SACKed, timeout %v", i.SACKed, i.Timeout)
	}
	p.Drop()
}

// A receiver that reneges is found out soon, and all that it has is what it acknowledges. RFC 2018 §8.
func TestR2018_8_SenderSurvivesReneging(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{"RFC 6675": {noRACK}, "RACK": nil, "probes": {tcptest.TailLossProbes}} {
		t.Run(name, func(t *testing.T) {
			p := quiet(t, append([]tcptest.Option{tenSegments, tcptest.Room(0)}, opts...)...)
			p.Write(8000)
			p.Drop()
			p.At("100ms")
			p.Recv(sackLine(0, 1, 3, 4, 8)) // then it throws all of it away
			p.Drop()
			p.At("200ms")
			una := 1
			p.Recv(sackLine(una))
			for step := 0; una < 8; step++ {
				if step > 100 {
					t.Fatalf("una %d after %d steps", una, step)
				}
				p.Advance("10ms")
				if p.Sent(at(una)) { // what is in order is kept, nothing else
					for p.Sent(at(una)) {
						una++
					}
					p.Drop()
					p.Advance("50ms")
					p.Recv(sackLine(una))
				}
			}
			if i := p.Info(); i.Unacked != 0 || i.SACKed != 0 || i.Lost != 0 {
				t.Errorf("%+v", i)
			}
			p.Drop()
		})
	}
	// The timer of reordering does not hide it.
	p := quiet(t, tenSegments)
	spread(p, 2, "0s")
	p.At("100ms")
	p.Recv(sackLine(0, 1, 2))
	p.Recv(sackLine(2)) // reordering: from here on RACK grants time
	spread(p, 2, "0s")
	p.At("180ms")
	spread(p, 2, "0s")
	p.At("190ms")
	spread(p, 2, "0s")
	p.At("200ms")
	p.Recv(sackLine(2, 3, 4))
	p.At("290ms")
	p.Want("> . 2001:3001(1000) ack 1")
	p.Recv(sackLine(3, 6, 7)) // 3 is gone; 4 and 5 may be late
	p.Advance("10ms")
	if i := p.Info(); i.Lost != 0 || i.Timeout {
		t.Fatalf("%d lost, timeout %v", i.Lost, i.Timeout)
	}
	p.Recv(sackLine(3, 6, 8)) // nor does what comes later
	p.Advance("40ms")
	if !p.Info().Timeout {
		t.Error("nothing was done about it")
	}
	p.Want("> . 3001:4001(1000) ack 1")
	p.Drop()
}

// A first block below the ACK, or inside the second, tells of a duplicate and is nothing for the scoreboard. RFC 2883 §4.
func TestR2883_4c_SenderDSACK(t *testing.T) {
	for _, c := range []struct {
		name   string
		ack    string
		dsack  bool
		sacked uint32
	}{
		{"below the ACK", sackLine(2, 0, 1), true, 0},
		{"up to the ACK", sackLine(2, 1, 2), true, 0},
		{"inside the second block", sackLine(1, 4, 5, 3, 6), true, 3000},
		{"the second block itself", sackLine(1, 3, 6, 3, 6), true, 3000},
		{"beyond the second block", sackLine(1, 5, 7, 3, 6), false, 4000},
		{"above it", sackLine(1, 4, 5), false, 1000},
		{"as the second block only", sackLine(2, 4, 5, 0, 1), false, 1000},
		{"of what was never sent", sackLine(1, 30, 31), false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := flightOf(t, 20)
			p.Recv(c.ack)
			i := p.Info()
			// A D-SACK widens the reordering window to half of min_RTT.
			window := 25 * ms
			if c.dsack {
				window = 50 * ms
			}
			if i.SACKed != c.sacked || i.ReorderWindow != window && i.ReorderWindow != 0 || c.dsack && i.ReorderWindow == 25*ms {
				t.Errorf("%d SACKed, window %v; want %d and %v", i.SACKed, i.ReorderWindow, c.sacked, window)
			}
			p.Drop()
		})
	}
}

// A duplicate ACK lets a new segment out, two at most, only with new SACK information and if the peer's window takes it. RFC 3042 §2.
func TestR3042_2_LimitedTransmitWithSACK(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{"RFC 6675": {noRACK}, "RACK": nil} {
		t.Run(name, func(t *testing.T) {
			p := flightOf(t, 10, opts...)
			p.Recv(sackLine(0, 1, 2))
			p.Want("> . 10001:11001(1000) ack 1")
			p.Recv(sackLine(0, 1, 2)) // nothing new
			p.WantNothing("no new SACK information")
			p.Recv(sackLine(0, 1, 3))
			p.Want("> . 11001:12001(1000) ack 1")
			wantCwnd(t, p, 10_000, infinite)
			p.Recv(sackLine(0, 1, 4)) // the third: recovery
			p.Want("> . 1:1001(1000) ack 1")
			p.Drop()
			if i := p.Info(); i.SSThresh != 5000 { // the two do not count
				t.Errorf("ssthresh is %d", i.SSThresh)
			}
		})
	}
	// The window closes it.
	p := flightOf(t, 10, tcptest.Window(10_000))
	p.Recv(sackLine(0, 1, 2))
	p.WantNothing("the peer's window is full")
}
