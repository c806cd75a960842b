package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// wantCwnd demands cwnd, with what fast recovery lends, and ssthresh.
func wantCwnd(t *testing.T, p *tcptest.Conn, cwnd, ssthresh uint32) {
	t.Helper()
	if i := p.Info(); i.Cwnd != cwnd || i.SSThresh != ssthresh {
		t.Errorf("cwnd %d, ssthresh %d; want %d and %d", i.Cwnd, i.SSThresh, cwnd, ssthresh)
	}
}

const infinite = 1<<31 - 1

// sentTen returns a connection without SACK that has 10 segments of 1000
// octets outstanding, cwnd 10000, and 20 more queued.
func sentTen(t *testing.T) *tcptest.Conn {
	p := tcptest.Established(t, tcptest.NoSACK, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 }))
	p.Write(30_000)
	p.Want("> . 1:10001(10000) ack 1 cut 1000")
	return p
}

// Slow start, then congestion avoidance, for each connection by itself. RFC 5681 §3.1.
func TestR5681_3_1a_SlowStartAndAvoidance(t *testing.T) {
	p, other := sentTen(t), sentTen(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	wantCwnd(t, p, 1000, 5000)
	wantCwnd(t, other, 10_000, infinite)
	p.Recv("< . 1:1(0) ack 10001") // all of it had arrived
	p.Drop()
	// One ACK for each segment: slow start up to ssthresh, then one segment a window.
	una := 10001
	for _, cwnd := range []uint32{5000, 5000, 5000, 5000, 6000, 6000} {
		una += 1000
		p.Recv(line("< . 1:1(0) ack %d", una))
		p.Drop()
		wantCwnd(t, p, cwnd, 5000)
	}
}

// The initial window is two segments above 2190 octets, three above 1095, else four. RFC 5681 §3.1.
func TestR5681_3_1b_InitialWindow(t *testing.T) {
	for _, c := range []struct{ mss, iw uint32 }{
		{536, 4}, {1000, 4}, {1095, 4}, {1096, 3}, {1460, 3}, {2190, 3}, {2191, 2}, {8960, 2},
	} {
		for name, open := range opens {
			p := open(t, tcptest.MSS(uint16(c.mss)))
			if got := p.Info().Cwnd; got != c.iw*c.mss {
				t.Errorf("%s, SMSS %d: IW is %d, want %d segments", name, c.mss, got, c.iw)
			}
		}
	}
	// Options take from the segment: SMSS is what is left.
	if got := tcptest.Established(t, tcptest.Timestamps, tcptest.MSS(1100)).Info().Cwnd; got != 4*1088 {
		t.Errorf("with timestamps IW is %d", got)
	}
	// The Linux profile takes the ten segments of RFC 6928.
	if got := tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux)).Info().Cwnd; got != 10_000 {
		t.Errorf("in the Linux profile IW is %d", got)
	}
}

// After a lost SYN or SYN-ACK the initial window is one segment, and ACKs of the handshake do not grow it. RFC 5681 §3.1.
func TestR5681_3_1c_LostSYN(t *testing.T) {
	p := tcptest.SynSent(t)
	p.WantAt("1s", "> S 0:0(0)")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1")
	wantCwnd(t, p, 1000, infinite)

	p = tcptest.HalfOpen(t)
	p.WantAt("1s", "> S. 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1")
	wantCwnd(t, p, 1000, infinite)

	p = tcptest.Established(t)
	p.Recv("< . 1:1(0) ack 1")
	p.Recv("< P. 1:11(10) ack 1")
	wantCwnd(t, p, 4000, infinite)
}

// The initial ssthresh is as good as infinite. RFC 5681 §3.1.
func TestR5681_3_1d_InitialSSThresh(t *testing.T) {
	wantCwnd(t, tcptest.Established(t), 4000, infinite)
	wantCwnd(t, tcptest.Accepted(t), 4000, infinite)
}

// In slow start an ACK of N octets adds min(N, SMSS). RFC 5681 §3.1.
//
// Deviation: up to eight SMSS for one ACK, because a receiver that merges
// segments acknowledges many at once (RFC 9406 §4.2 recommends L = 8 where the
// sender does not pace). Octets are counted, so that nothing is gained by
// dividing ACKs.
func TestR5681_3_1e_SlowStart(t *testing.T) {
	p := sentTen(t)
	p.Recv("< . 1:1(0) ack 501") // half a segment adds half of one
	wantCwnd(t, p, 10_500, infinite)
	p.Recv("< . 1:1(0) ack 1001")
	wantCwnd(t, p, 11_000, infinite)
	p.Recv("< . 1:1(0) ack 10001") // nine
	wantCwnd(t, p, 19_000, infinite)
	p.Drop()
}

// In congestion avoidance cwnd grows by one segment for a window, never faster. RFC 5681 §3.1.
func TestR5681_3_1f_CongestionAvoidance(t *testing.T) {
	p := sentTen(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 10001") // cwnd 9000, ssthresh 5000
	p.Drop()
	una, acked := 10001, uint32(0)
	cwnd := p.Info().Cwnd
	for range 200 {
		i := p.Info()
		if i.Unacked < 2000 {
			if p.TCB().Room() > 100_000 {
				p.Write(50_000)
			}
		}
		una += 700 // not whole segments
		p.Recv(line("< . 1:1(0) ack %d", una))
		p.Drop()
		acked += 700
		if now := p.Info().Cwnd; now != cwnd {
			if now != cwnd+1000 || acked < cwnd {
				t.Fatalf("cwnd from %d to %d after %d octets", cwnd, now, acked)
			}
			acked -= cwnd
			cwnd = now
		}
	}
	if cwnd < 14_000 {
		t.Errorf("cwnd is %d after many windows", cwnd)
	}
}

// A timeout of what was sent once halves FlightSize into ssthresh, another one leaves it; cwnd is one segment. RFC 5681 §3.1.
func TestR5681_3_1g_Timeout(t *testing.T) {
	p := sentTen(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	wantCwnd(t, p, 1000, 5000)
	p.WantAt("3s", "> . 1:1001(1000) ack 1")
	wantCwnd(t, p, 1000, 5000)
	p.Drop()

	p = tcptest.Established(t, tcptest.NoSACK)
	p.Write(1000)
	p.Drop()
	p.WantAt("1s", "> P. 1:1001(1000) ack 1")
	wantCwnd(t, p, 1000, 2000) // two segments at least
}

// A receiver acknowledges what is out of order at once, each time. RFC 5681 §3.2.
func TestR5681_3_2a_ImmediateDuplicateACK(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	for i := range 5 {
		p.Recv(line("< . %d:%d(1000) ack 1", 1001+1000*i, 2001+1000*i))
		p.Want("> . 1:1(0) ack 1 win 65535") // the same window, or it would not be a duplicate
	}
	p.Recv("< . 1:1001(1000) ack 1")
	p.Want("> . 1:1(0) ack 6001")
}

// Each of the first two duplicate ACKs lets one new segment out; cwnd stays. RFC 5681 §3.2, RFC 3042 §2.
func TestR5681_3_2b_LimitedTransmit(t *testing.T) {
	p := sentTen(t)
	p.Recv("< . 1:1(0) ack 1")
	p.Want("> . 10001:11001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 1")
	p.Want("> . 11001:12001(1000) ack 1")
	wantCwnd(t, p, 10_000, infinite)
	p.Recv("< . 1:1(0) ack 1")
	p.Want("> . 1:1001(1000) ack 1")

	p = sentTen(t) // the peer's window counts
	p.Recv("< . 1:1(0) ack 1 win 10000")
	p.Recv("< . 1:1(0) ack 1 win 10000")
	p.Recv("< . 1:1(0) ack 1 win 10000")
	p.WantNothing("10000 octets are on their way")
}

// The third duplicate ACK retransmits SND.UNA, with ssthresh half of FlightSize and cwnd three segments more. RFC 5681 §3.2.
func TestR5681_3_2c_FastRetransmit(t *testing.T) {
	p := sentTen(t)
	p.Recv("< . 1:1(0) ack 1")
	p.Recv("< . 1:1(0) ack 1")
	if p.Drop() != 2 || p.Info().Recovery {
		t.Error("limited transmit, and no more")
	}
	p.Recv("< . 1:1(0) ack 1")
	p.Want("> . 1:1001(1000) ack 1")
	p.WantNothing("one segment")
	wantCwnd(t, p, 8000, 5000) // FlightSize without what limited transmit sent
}

// Each further duplicate ACK lends one segment, the next ACK of new data takes it back. RFC 5681 §3.2.
func TestR5681_3_2d_InflateDeflate(t *testing.T) {
	p := sentTen(t)
	for range 3 {
		p.Recv("< . 1:1(0) ack 1")
	}
	p.Drop() // 12 segments outstanding
	for i := range 6 {
		p.Recv("< . 1:1(0) ack 1")
		wantCwnd(t, p, uint32(9000+1000*i), 5000)
		if i < 4 {
			p.WantNothing("12 segments are outstanding")
		} else {
			p.Want(line("> . %d:%d(1000) ack 1", 12001+1000*(i-4), 13001+1000*(i-4)))
		}
	}
	p.Recv("< . 1:1(0) ack 14001")
	if i := p.Info(); i.Recovery || i.Cwnd > 5000 {
		t.Errorf("after the ACK of new data: recovery %v, cwnd %d", i.Recovery, i.Cwnd)
	}
	p.Drop()
}

// A duplicate ACK has no data, SYN or FIN, the same number and window, and something is outstanding. RFC 5681 §2.
func TestR5681_2_DuplicateACK(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		dup  uint8
	}{
		"duplicate":          {"< . 1:1(0) ack 1", 1},
		"with data":          {"< P. 1:11(10) ack 1", 0},
		"with FIN":           {"< F. 1:1(0) ack 1", 0},
		"another window":     {"< . 1:1(0) ack 1 win 1000", 0},
		"an older ACK":       {"< . 1:1(0) ack 0", 0},
		"a keepalive":        {"< . 0:0(0) ack 1", 0},
		"new":                {"< . 1:1(0) ack 1001", 0},
		"with PSH, no data":  {"< P. 1:1(0) ack 1", 1},
		"outside the window": {"< . 90000:90000(0) ack 1", 0},
	} {
		p := sentTen(t)
		p.Recv(c.text)
		if got := p.Info().DupACKs; got != c.dup {
			t.Errorf("%s: %d duplicates", name, got)
		}
		p.Drop()
	}
	p := tcptest.Established(t)
	for range 5 {
		p.Recv("< . 1:1(0) ack 1")
	}
	if p.Info().DupACKs != 0 {
		t.Error("nothing is outstanding, and there are duplicates")
	}
}

// After more than one RTO of silence, cwnd is at most the initial window. RFC 5681 §4.1.
func TestR5681_4_1_RestartAfterIdle(t *testing.T) {
	grow := func() *tcptest.Conn {
		p := tcptest.Established(t, tcptest.NoSACK)
		for n := 1; n < 20_000; {
			p.Write(4000)
			p.Drop()
			n += 4000
			p.Recv(line("< . 1:1(0) ack %d", n))
		}
		if p.Info().Cwnd < 10_000 {
			t.Fatalf("cwnd is %d", p.Info().Cwnd)
		}
		p.Write(60_000)
		p.Drop()
		p.Recv(line("< . 1:1(0) ack %d", p.SndNXT()))
		p.Drop()
		p.Recv(line("< . 1:1(0) ack %d", p.SndNXT()))
		for p.Info().Unacked > 0 {
			p.Drop()
			p.Recv(line("< . 1:1(0) ack %d", p.SndNXT()))
		}
		return p
	}
	p := grow()
	cwnd := p.Info().Cwnd
	p.Advance("1s") // not more than one RTO
	p.Write(1000)
	p.Drop()
	if got := p.Info().Cwnd; got != cwnd {
		t.Errorf("cwnd from %d to %d after one RTO", cwnd, got)
	}
	p = grow()
	p.Advance("1001ms")
	p.Write(30_000)
	if n := p.SndNXT(); p.Info().Cwnd != 4000 || p.Drop() != 1 {
		t.Errorf("cwnd is %d after a pause, SND.NXT %d", p.Info().Cwnd, n)
	}
}

// An ACK comes within 500 ms, and for every second full segment at once. RFC 5681 §4.2.
func TestR5681_4_2a_DelayedACK(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:1001(1000) ack 1")
	p.WantAt("200ms", "> . 1:1(0) ack 1001")
	p.Recv("< . 1001:2001(1000) ack 1")
	p.WantNothing("the first")
	p.Recv("< . 2001:3001(1000) ack 1")
	p.Want("> . 1:1(0) ack 3001")
}

// What fills a gap, or part of it, is acknowledged at once. RFC 5681 §4.2.
func TestR5681_4_2b_GapFilled(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Recv("< . 2001:3001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< . 1:101(100) ack 1")
	p.Want("> . 1:1(0) ack 101")
	p.Recv("< . 101:2001(1900) ack 1")
	p.Want("> . 1:1(0) ack 3001")
	p.Recv("< . 3001:3101(100) ack 1")
	p.WantNothing("there is no gap any more")
	p.WantAt("200ms", "> . 1:1(0) ack 3101")
}

// Several losses in one window of data halve it once. RFC 5681 §4.3.
func TestR5681_4_3_OncePerWindow(t *testing.T) {
	p := sentTen(t)
	for range 3 {
		p.Recv("< . 1:1(0) ack 1")
	}
	p.Drop()
	for ack := 2001; ack <= 10001; ack += 2000 { // every second segment was lost
		p.Recv(line("< . 1:1(0) ack %d", ack))
		for range 4 {
			p.Recv(line("< . 1:1(0) ack %d", ack))
		}
		if i := p.Info(); i.SSThresh != 5000 || !i.Recovery {
			t.Errorf("at %d: ssthresh %d, recovery %v", ack, i.SSThresh, i.Recovery)
		}
		p.Drop()
	}
	p.Recv(line("< . 1:1(0) ack %d", p.SndNXT()))
	p.Drop()
	if i := p.Info(); i.Recovery || i.SSThresh != 5000 || i.Cwnd > 5000 {
		t.Errorf("at the end: %d, %d, recovery %v", i.Cwnd, i.SSThresh, i.Recovery)
	}
}
