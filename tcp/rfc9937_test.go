package tcp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// flightOf returns a connection with SACK and a round trip of 100 ms that has
// sent n segments of 1000 octets at time 0, cwnd n, as much as the peer's window
// takes queued behind them. Nothing is handed out in super-segments. It is 100 ms when it returns: ACKs may come.
func flightOf(t *testing.T, n int, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	opts = append([]tcptest.Option{tcptest.RTT(100 * ms), tcptest.Room(0), tcptest.Config(func(c *tcp.Config) { c.InitialWindow = uint32(n) })}, opts...)
	p := tcptest.Established(t, opts...)
	p.Write(100_000)
	p.At("100ms")
	if got := p.Drop(); got != n {
		t.Fatalf("%d segments left, want %d", got, n)
	}
	return p
}

// at is the number of the first octet of a segment; the first segment is 0.
func at(segment int) int { return 1 + 1000*segment }

// sackLine is an ACK of everything before segment una, with blocks given by
// their first segment and the one after their last.
func sackLine(una int, blocks ...int) string {
	l := line("< . 1:1(0) ack %d", at(una))
	for i := 0; i < len(blocks); i += 2 {
		sep := " "
		if i == 0 {
			sep = " <nop,nop,sack "
		}
		l += fmt.Sprintf("%s%d:%d", sep, at(blocks[i]), at(blocks[i+1]))
	}
	if len(blocks) > 0 {
		l += ">"
	}
	return l
}

// prrFigure is a table of RFC 9937 §8: for each ACK what was SACKed, cwnd and
// what is in flight before something is sent, and what is sent: N new, R again.
//
// The RFC's first figure has its tenth new segment leave with ACK 19, where in
// flight is exactly ssthresh, which its pseudocode does not allow (min(ssthresh -
// inflight, ...)). We follow the pseudocode: it leaves with ACK 20.
type prrFigure struct {
	lost       int // segments, from the first on
	cwnd, pipe string
	sent       string
}

var prrFigures = []prrFigure{
	{1, "20 20 19 18 18 17 17 16 16 15 15 14 14 13 13 12 12 11 10 10 10",
		"19 19 18 18 17 17 16 16 15 15 14 14 13 13 12 12 11 11 10 9 9",
		"N N R - N - N - N - N - N - N - N - - N N"},
	{15, "20 20 5 5 5", "19 19 4 4 4", "N N R R R"},
}

// play sends the ACKs of the figure, and demands what it says.
func (f *prrFigure) play(t *testing.T, p *tcptest.Conn) {
	t.Helper()
	cwnd, pipe, sent := strings.Fields(f.cwnd), strings.Fields(f.pipe), strings.Fields(f.sent)
	again, fresh := 0, 20
	for k := range cwnd {
		// An ACK each millisecond; those of segments 20 and 21 are a round trip later.
		when := 100 + k
		if f.lost+k >= 20 {
			when += 100
		}
		p.At(line("%dms", when))
		p.Recv(sackLine(0, f.lost, f.lost+k+1))
		left := 0
		switch sent[k] {
		case "N":
			p.Want(line("> . %d:%d(1000) ack 1", at(fresh), at(fresh+1)))
			fresh++
			left++
		case "R":
			p.Want(line("> . %d:%d(1000) ack 1", at(again), at(again+1)))
			again++
			left++
		}
		p.WantNothing("the figure has no more")
		i := p.Info()
		if got := fmt.Sprint((i.Cwnd+999)/1000, i.InFlight/1000-uint32(left)); got != cwnd[k]+" "+pipe[k] {
			t.Fatalf("ACK %d of the figure: cwnd and inflight are %s, want %s %s", k+1, got, cwnd[k], pipe[k])
		}
	}
}

// Both figures of RFC 9937 §8, with losses found by RACK and as RFC 6675 does.
func TestPRRFigures(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{"RACK": nil, "RFC 6675": {noRACK}} {
		for i := range prrFigures {
			t.Run(line("%s, figure %d", name, i+1), func(t *testing.T) {
				p := flightOf(t, 20, opts...)
				prrFigures[i].play(t, p)
				p.Drop()
			})
		}
	}
}

var noRACK = tcptest.Config(func(c *tcp.Config) { c.NoRACK = true })

// RecoverFS is what was outstanding and not SACKed when recovery began, and stays. RFC 9937 §6.1.
func TestR9937_6_1_RecoverFS(t *testing.T) {
	// The ACK that begins recovery delivers 0, 2, 3 and 4, which count: half of
	// them may leave. RecoverFS is 20 segments.
	p := flightOf(t, 20)
	p.Recv(sackLine(1, 2, 5))
	if i := p.Info(); !i.Recovery || i.SSThresh != 10_000 {
		t.Fatalf("recovery %v, ssthresh %d", i.Recovery, i.SSThresh)
	}
	p.Want(line("> . %d:%d(1000) ack 1", at(1), at(2)))
	p.Want(line("> . %d:%d(1000) ack 1", at(20), at(21)))
	p.WantNothing("two may leave")
	// New data makes it no larger: of each two delivered one leaves, until no more
	// than ssthresh is in flight.
	left := 2
	for k := 6; k <= 17; k++ {
		p.Recv(sackLine(1, 2, k))
		left += p.Drop()
		if want := (k - 1 + 1) / 2; left != want {
			t.Fatalf("%d delivered, %d sent, want %d", k-1, left, want)
		}
	}
	p.Drop()
	// Less what was SACKed before, in the first figure two segments of 22.
	p = flightOf(t, 20)
	prrFigures[0].play(t, p)
}

// While more than ssthresh is in flight, what leaves is in proportion to what arrives. RFC 9937 §6.2.
func TestR9937_6_2a_Proportional(t *testing.T) {
	p := flightOf(t, 20)
	prrFigures[0].play(t, p)
	// The last ACK of the figure: the end.
	p.At("221ms")
	p.Recv(sackLine(22))
	wantCwnd(t, p, 10_000, 10_000)
	p.Want(line("> . %d:%d(1000) ack 1", at(31), at(32)))
}

// Below ssthresh no more leaves than arrives, but for one segment for each safe ACK. RFC 9937 §6.2.
func TestR9937_6_2b_ReductionBound(t *testing.T) {
	p := flightOf(t, 20)
	prrFigures[1].play(t, p)
	// Segments 0, 1 and 2 went again, 102 to 104 ms. The SACKs of 20 and 21 come
	// first, and do not advance.
	for k := range 2 {
		p.At(line("%dms", 200+k))
		p.Recv(sackLine(0, 15, 21+k))
		p.Want(line("> . %d:%d(1000) ack 1", at(3+k), at(4+k)))
		p.WantNothing("the receiver got one")
	}
	// Each ACK of a retransmission lets two go, until ssthresh is in flight.
	next := 5
	for i, when := range []int{202, 203, 204, 300, 301} {
		p.At(line("%dms", when))
		p.Recv(sackLine(1+i, 15, 22))
		for range 2 {
			p.Want(line("> . %d:%d(1000) ack 1", at(next), at(next+1)))
			next++
		}
		p.WantNothing("one more than arrived")
		if f := p.Info().InFlight; f != uint32(6000+1000*i) {
			t.Errorf("%d in flight, want %d segments", f, 6+i)
		}
	}
	p.At("302ms")
	p.Recv(sackLine(6, 15, 22))
	p.Want(line("> . %d:%d(1000) ack 1", at(22), at(23)))
	p.WantNothing("ssthresh is in flight")
}

// An ACK is safe if it moves SND.UNA and shows no further loss. RFC 9937 §6.2.
func TestR9937_6_2c_SafeACK(t *testing.T) {
	for _, c := range []struct {
		name string
		ack  func(p *tcptest.Conn)
		sent int
	}{
		{"one that advances", func(p *tcptest.Conn) { p.Recv(sackLine(1, 15, 22)) }, 2},
		{"one that does not", func(p *tcptest.Conn) { p.Recv(sackLine(0, 2, 3, 15, 22)) }, 1},
		// Segment 2 went again after 1 did: so 1 is lost again. 0 and 2 have arrived.
		{"one that shows a loss", func(p *tcptest.Conn) { p.Recv(sackLine(1, 2, 3, 15, 22)) }, 2},
		{"one that shows none", func(p *tcptest.Conn) { p.Recv(sackLine(2, 15, 22)) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := flightOf(t, 20)
			prrFigures[1].play(t, p)
			p.At("200ms")
			p.Recv(sackLine(0, 15, 22))
			p.Drop()
			p.At("204ms")
			c.ack(p)
			if n := p.Drop(); n != c.sent {
				t.Errorf("%d segments left, want %d", n, c.sent)
			}
		})
	}
}

// The first transmission of an episode leaves whatever the window says. RFC 9937 §6.2.
func TestR9937_6_2d_ForcedRetransmit(t *testing.T) {
	// Six segments were sent, three are SACKed and one is lost: ssthresh, two
	// segments, is in flight, and nothing more may leave by the bound.
	p := flightOf(t, 4)
	p.Recv(sackLine(0, 1, 2))
	p.Recv(sackLine(0, 1, 3))
	p.Drop()
	p.Recv(sackLine(0, 1, 4))
	p.Want(line("> . %d:%d(1000) ack 1", at(0), at(1)))
	i := p.Info()
	if i.SSThresh != 2000 || i.Cwnd != 3000 || i.InFlight != 3000 || !i.Recovery {
		t.Errorf("cwnd %d, ssthresh %d, %d in flight, recovery %v", i.Cwnd, i.SSThresh, i.InFlight, i.Recovery)
	}
	p.WantNothing("one was forced")

	// By the reordering timer, without an ACK: one segment more than in flight.
	p = flightOf(t, 20)
	p.Recv(sackLine(0, 1, 2))
	p.Drop()
	p.WantAt("125ms", line("> . %d:%d(1000) ack 1", at(0), at(1)))
	p.WantNothing("one was forced")
	if i := p.Info(); i.Cwnd != i.InFlight {
		t.Errorf("cwnd %d, in flight %d", i.Cwnd, i.InFlight)
	}
}

// In flight is what is outstanding, less SACKed and lost, plus what of it was sent again since. RFC 9937 §6.2.
func TestR9937_6_2e_InFlight(t *testing.T) {
	p := flightOf(t, 20)
	want := func(n uint32) {
		t.Helper()
		i := p.Info()
		if i.InFlight != n*1000 || i.InFlight != i.Unacked-i.SACKed-i.Lost {
			t.Errorf("%d in flight, want %d segments; %d outstanding, %d SACKed, %d lost", i.InFlight, n, i.Unacked, i.SACKed, i.Lost)
		}
	}
	want(20)
	p.Recv(sackLine(0, 10, 12)) // two new segments left
	p.Drop()
	want(20)
	p.Recv(sackLine(0, 10, 13)) // 22 - 3 - 10 lost + 1 sent again
	p.Drop()
	want(10)
	if i := p.Info(); i.Lost != 9000 || i.SACKed != 3000 {
		t.Errorf("%d lost, %d SACKed", i.Lost, i.SACKed)
	}
}

// Without SACK, duplicate ACKs bring out no more than RecoverFS. RFC 9937 §6.2.
//
// Without SACK the window is that of RFC 6582, which lends a segment for each
// duplicate ACK; the bound is the same.
func TestR9937_6_2f_DuplicateACKsBounded(t *testing.T) {
	p := sentTen(t)
	for range 10_000 {
		p.Recv("< . 1:1(0) ack 1")
	}
	// Two by limited transmit; RecoverFS is 12 segments then.
	if sent := int(p.SndNXT()) - at(12) + 1000; sent > 12_000 {
		t.Errorf("%d octets left in recovery", sent)
	}
	if i := p.Info(); i.Cwnd > 5000+12_000 {
		t.Errorf("cwnd is %d", i.Cwnd)
	}
	p.Drop()
}

// Recovery ends with cwnd at ssthresh, however it went. RFC 9937 §6.4.
func TestR9937_6_4_Completion(t *testing.T) {
	for _, lost := range []int{1, 5, 15} {
		p := flightOf(t, 20)
		for k := lost; k < 20; k++ {
			p.Recv(sackLine(0, lost, k+1))
		}
		p.Drop()
		p.At("200ms")
		p.Recv(sackLine(22))
		i := p.Info()
		if i.Recovery || i.Cwnd != 10_000 || i.SSThresh != 10_000 {
			t.Errorf("%d lost: recovery %v, cwnd %d, ssthresh %d", lost, i.Recovery, i.Cwnd, i.SSThresh)
		}
		p.Drop()
	}
}

// As long as no ACK is safe, no more is sent in recovery than is delivered. RFC 9937 §7.
func TestR9937_7_Conservation(t *testing.T) {
	for seed := range uint64(50) {
		rnd := newRand(seed)
		p := flightOf(t, 20+rnd.IntN(40))
		lost := 1 + rnd.IntN(18)
		// Further losses behind them, and ACKs that are lost: one ACK tells of
		// several. SND.UNA stays.
		delivered, sent := 0, 0
		var before tcp.Info
		blocks := []int{lost, lost + 1}
		high := lost + 1
		for !p.Info().Recovery {
			before = p.Info()
			p.Recv(sackLine(0, blocks...))
			sent = p.Drop()
			high++
			blocks[1] = high
		}
		after := p.Info()
		delivered = int(after.SACKed-before.SACKed) / 1000
		for range 15 {
			n := 1 + rnd.IntN(3)
			before = p.Info()
			high += n
			blocks[len(blocks)-1] = high
			if rnd.IntN(3) == 0 && len(blocks) < 6 {
				blocks = append(blocks, high+1, high+2)
				high += 2
			}
			if high >= 20 {
				break
			}
			p.Recv(sackLine(0, blocks...))
			sent += p.Drop()
			after = p.Info()
			delivered += int(after.SACKed-before.SACKed) / 1000
			if sent > delivered {
				t.Fatalf("seed %d: %d segments sent, %d delivered", seed, sent, delivered)
			}
		}
	}
}

// With RACK-TLP, and what cwnd lets out at the end is spread over time. RFC 9937 §5.
func TestR9937_5_ExitIsPaced(t *testing.T) {
	p := flightOf(t, 20, tcptest.Pacing, tcptest.TailLossProbes)
	for k := 15; k < 20; k++ {
		p.Advance("1ms")
		p.Recv(sackLine(0, 15, k+1))
	}
	p.At("200ms")
	p.Drop()
	// All has arrived: nothing is in flight, and ten segments may leave.
	before := p.SndNXT()
	p.Recv(sackLine((int(before) - 1) / 1000))
	if i := p.Info(); i.Cwnd != 10_000 || i.PacingRate == 0 {
		t.Fatalf("cwnd %d, pacing rate %d", i.Cwnd, i.PacingRate)
	}
	if n := p.Drop(); n == 0 || n > 3 {
		t.Errorf("%d segments left at once", n)
	}
	p.Advance("100ms")
	if n := p.SndNXT() - before; n != 10_000 {
		t.Errorf("%d octets left in a round trip", n)
	}
	p.Drop()
}

// The rate of the older PRR is the same without safe ACKs; there is no choice of a bound. RFC 6937 §3.
//
// Deviation: RFC 9937 has replaced it. RFC 6937 leaves the bound to the
// implementer and counts what is in flight as pipe does; we take the slow start
// bound for safe ACKs only.
func TestR6937_3_SupersededBound(t *testing.T) {
	p := flightOf(t, 20)
	prrFigures[1].play(t, p)
	p.At("200ms")
	p.Recv(sackLine(0, 15, 21)) // delivers one, without progress: RFC 6937's slow start bound would send two
	if n := p.Drop(); n != 1 {
		t.Errorf("%d segments left, want 1", n)
	}
	p.At("202ms")
	p.Recv(sackLine(1, 15, 22)) // delivers two, and is safe
	if n := p.Drop(); n != 3 {
		t.Errorf("%d segments left, want 3", n)
	}
}
