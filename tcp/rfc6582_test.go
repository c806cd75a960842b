package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// recover starts at the ISS: a loss right at the beginning is repaired like any other. RFC 6582 §3.2 step 1.
func TestR6582_1_RecoverStartsAtISS(t *testing.T) {
	for _, iss := range []tcp.Seq{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1} {
		p := tcptest.Established(t, tcptest.NoSACK, tcptest.ISN(iss, 5))
		p.Write(4000)
		p.Want("> P. 1:4001(4000) ack 1 cut 1000")
		for range 3 {
			p.Recv("< . 1:1(0) ack 1")
		}
		p.Want("> . 1:1001(1000) ack 1")
	}
}

// Fast retransmit needs an ACK beyond recover, which then is the highest number sent. RFC 6582 §3.2 step 2.
func TestR6582_2_EnterOnlyBeyondRecover(t *testing.T) {
	p := sentTen(t)
	for range 3 {
		p.Recv("< . 1:1(0) ack 1")
	}
	p.Drop()                                       // 12000 were sent: recover
	p.Recv("< . 1:1(0) ack 12001")                 // the whole window
	p.Want("> . 12001:14001(2000) ack 1 cut 1000") // cwnd is min(ssthresh, FlightSize + SMSS), which are 0 and 1 segment
	if p.Info().Recovery {
		t.Error("recovery goes on")
	}
	for range 4 { // these may come from segments that were sent twice
		p.Recv("< . 1:1(0) ack 12001")
	}
	if i := p.Info(); i.Recovery || i.SSThresh != 5000 {
		t.Errorf("duplicate ACKs of recover: recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
	}
	p.Drop()
	p.Recv("< . 1:1(0) ack 13001") // beyond it
	p.Drop()
	for range 3 {
		p.Recv("< . 1:1(0) ack 13001")
	}
	if !p.Info().Recovery {
		t.Error("duplicate ACKs beyond recover start nothing")
	}
	p.Drop()
}

// A full ACK sets cwnd to min(ssthresh, max(FlightSize, SMSS) + SMSS). RFC 6582 §3.2 step 3.
func TestR6582_3a_FullACK(t *testing.T) {
	for _, c := range []struct {
		dups int // after the third; each beyond four sends a new segment
		cwnd uint32
	}{
		{0, 2000}, // nothing is in flight
		{4, 2000}, // as before
		{5, 2000}, // one new segment: max(1, 1) + 1
		{6, 3000}, // two
		{7, 4000}, // three
		{9, 5000}, // five: ssthresh
	} {
		p := sentTen(t)
		for range 3 + c.dups {
			p.Recv("< . 1:1(0) ack 1")
		}
		p.Drop()
		p.Recv("< . 1:1(0) ack 12001")
		p.Drop()
		if i := p.Info(); i.Recovery || i.Cwnd != c.cwnd || i.SSThresh != 5000 {
			t.Errorf("%d duplicates: recovery %v, cwnd %d, ssthresh %d; want cwnd %d", 3+c.dups, i.Recovery, i.Cwnd, i.SSThresh, c.cwnd)
		}
	}
}

// A partial ACK retransmits the next hole, and takes what it acknowledges off cwnd but for one segment. RFC 6582 §3.2 step 3.
//
// Deviation: cwnd is not taken below ssthresh, which is what recovery shall
// end with, because an ACK that covers more than was lent means that ACKs were
// lost.
func TestR6582_3b_PartialACK(t *testing.T) {
	p := sentTen(t)
	for range 3 + 5 {
		p.Recv("< . 1:1(0) ack 1")
	}
	p.Drop()                      // 1:1001 again, and one new segment: up to 13001
	wantCwnd(t, p, 13_000, 5000)  // 5000 + 8000
	p.Recv("< . 1:1(0) ack 4001") // of 4000
	wantCwnd(t, p, 10_000, 5000)  // 13000 - 4000 + 1000
	p.Want("> . 4001:5001(1000) ack 1")
	p.Want("> . 13001:14001(1000) ack 1") // cwnd 10000, 9000 outstanding
	if !p.Info().Recovery {
		t.Error("a partial ACK ended recovery")
	}
	p.Recv("< . 1:1(0) ack 4501") // less than a segment: nothing is added back
	wantCwnd(t, p, 9500, 5000)
	p.Want("> . 4501:5501(1000) ack 1")
	p.Recv("< . 1:1(0) ack 11501") // 7000, more than is lent
	wantCwnd(t, p, 6000, 5000)
	p.Drop()
	p.Recv("< . 1:1(0) ack 12001")
	if p.Info().Recovery {
		t.Error("the full ACK did not end recovery")
	}
	p.Drop()
}

// Only the first partial ACK starts the retransmission timer anew. RFC 6582 §3.2 step 3.
func TestR6582_3c_TimerOnFirstPartialACK(t *testing.T) {
	p := sentTen(t)
	p.At("100ms")
	for range 3 {
		p.Recv("< . 1:1(0) ack 1")
	}
	p.Drop()
	p.WantDeadline("1100ms") // of the segment that was sent again
	p.At("300ms")
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> . 2001:3001(1000) ack 1")
	p.WantDeadline("1300ms")
	for i, at := range []string{"500ms", "700ms", "900ms", "1100ms"} {
		p.At(at)
		p.Recv(line("< . 1:1(0) ack %d", 3001+1000*i))
		p.Want(line("> . %d:%d(1000) ack 1", 3001+1000*i, 4001+1000*i))
		p.Drop()
		p.WantDeadline("1300ms")
	}
	p.At("1300ms") // too many losses for one at a time: slow start
	if i := p.Info(); i.Recovery || i.Cwnd != 1000 {
		t.Errorf("recovery %v, cwnd %d", i.Recovery, i.Cwnd)
	}
	p.Drop()
}

// After a timeout, duplicate ACKs of what was sent before start no recovery. RFC 6582 §4.
func TestR6582_4_RecoverAfterTimeout(t *testing.T) {
	p := sentTen(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	wantCwnd(t, p, 1000, 5000)
	p.Recv("< . 1:1(0) ack 2001") // 2001 was lost as well
	p.Drop()
	for range 5 { // late ones
		p.Recv("< . 1:1(0) ack 2001")
	}
	if i := p.Info(); i.Recovery || i.SSThresh != 5000 {
		t.Errorf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
	}
	p.Drop()
	// All that was sent before has arrived: what it answers to are our
	// needless retransmissions.
	p.Recv("< . 1:1(0) ack 10001")
	p.Drop()
	for range 5 {
		p.Recv("< . 1:1(0) ack 10001")
	}
	if i := p.Info(); i.Recovery || i.SSThresh != 5000 {
		t.Errorf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
	}
	p.Drop()
}
