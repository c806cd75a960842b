package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// T-CC-01: one ACK for each octet of a segment grows cwnd no more than one ACK
// for all of it.
func TestACKDivision(t *testing.T) {
	open := func() *tcptest.Conn {
		p := tcptest.Established(t, tcptest.MSS(1460))
		p.Write(30_000)
		p.Drop()
		return p
	}
	one, many := open(), open()
	one.Recv("< . 1:1(0) ack 1461")
	for ack := 2; ack <= 1461; ack++ {
		many.Recv(line("< . 1:1(0) ack %d", ack))
	}
	if a, b := one.Info().Cwnd, many.Info().Cwnd; b > a+1460 {
		t.Errorf("cwnd is %d after one ACK, %d after 1460", a, b)
	}
	one.Drop()
	many.Drop()
}

// T-CC-02: an ACK of what was not sent does not grow cwnd, and is answered
// twice a second at most.
func TestOptimisticACK(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(100_000)
	p.Drop()
	before := p.Info()
	answers := 0
	for i := range 1000 {
		p.Advance("1ms")
		p.Recv(line("< . 1:1(0) ack %d", p.SndNXT()+1+uint32(i)*1000))
		answers += p.Drop()
	}
	after := p.Info()
	if after.Cwnd > before.Cwnd || after.Unacked != before.Unacked || answers > 4 {
		t.Errorf("cwnd from %d to %d, unacknowledged from %d to %d, %d answers", before.Cwnd, after.Cwnd, before.Unacked,
			after.Unacked, answers)
	}
}

// T-CC-03: ten thousand duplicate ACKs bring out no more than what was
// outstanding when recovery began, and one segment.
func TestDuplicateACKSpoofing(t *testing.T) {
	for _, segments := range []int{1, 2, 4, 10, 40} {
		p := tcptest.Established(t, tcptest.NoSACK, tcptest.Wscale(7), tcptest.Window(60_000),
			tcptest.Config(func(c *tcp.Config) { c.InitialWindow = uint32(segments) }))
		p.Write(1_000_000)
		p.Drop()
		outstanding := int(p.SndNXT()) - 1
		for range 10_000 {
			p.Recv("< . 1:1(0) ack 1")
		}
		// Limited transmit sent two segments before recovery, then came one
		// retransmission and what was lent.
		atStart := outstanding + 2000
		sent := int(p.SndNXT()) - 1 - atStart + 1000
		if sent > atStart+1000 {
			t.Errorf("%d outstanding at the start: %d octets were sent for duplicate ACKs", atStart, sent)
		}
		p.Drop()
	}
}

// T-CC-06: whatever TSecr says, RTO stays within its bounds and does not fall
// far below the real round trip; a forged TSval from outside the window drops
// nothing later.
func TestTimestampLies(t *testing.T) {
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.NoSACK = true
	c, now := openTCB(t, cfg, &wire.TCPOptions{MSS: 1460, TSVal: 1000, Has: wire.HasMSS | wire.HasTimestamps})
	rnd := newRand(6)
	const rtt = 300 * time.Millisecond
	var seg tcp.Segment
	v := space(c)
	for i := range 20_000 {
		c.Queue(now, bytesView(100)[0])
		for c.Emit(now, &seg, 65000) {
			seg.Data.Release()
		}
		if rnd.IntN(3) == 0 { // lose it once: Karn leaves the timestamp as the only measure
			var info tcp.Info
			c.Info(&info)
			now = now.Add(info.RTO)
			c.Advance(now)
			for c.Emit(now, &seg, 65000) {
				seg.Data.Release()
			}
		}
		now = now.Add(rtt)
		c.Advance(now)
		for c.Emit(now, &seg, 65000) {
			seg.Data.Release()
		}
		ack := tcp.Segment{SEQ: v.RcvNXT, ACK: space(c).MAX, WND: 65535, Flags: wire.FlagACK}
		ack.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 1000 + uint32(i), TSEcr: rnd.Uint32()}
		c.Arrive(now, &ack)
		forged := tcp.Segment{SEQ: v.RcvNXT + 200_000, ACK: space(c).MAX, Flags: wire.FlagACK}
		forged.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: rnd.Uint32()}
		c.Arrive(now, &forged)
		var info tcp.Info
		c.Info(&info)
		if info.Unacked != 0 {
			t.Fatalf("step %d: the ACK was dropped", i)
		}
		if info.RTO < 200*time.Millisecond || info.RTO > 120*time.Second || info.RTO < rtt/2 {
			t.Fatalf("step %d: RTO is %v", i, info.RTO)
		}
	}
}

// T-CC-08: a window that jumps with every ACK, shrinks, closes and opens: what
// is sent stays left of the largest edge but for probes, and there is always
// progress within two RTOs while it is open.
func TestReceiveWindowGames(t *testing.T) {
	for seed := range uint64(20) {
		rnd := newRand(seed)
		c, now := plainTCB(t)
		v := space(c)
		edge := v.UNA + 65535
		var seg tcp.Segment
		opened := mono.Time(0) // since when the window is open and nothing was sent
		for step := range 5_000 {
			for c.Room() > 100_000 {
				c.Queue(now, bytesView(5000)[0])
			}
			c.Advance(now)
			for c.Emit(now, &seg, 65000) {
				end := seg.SEQ + tcp.Seq(seg.LEN())
				if (edge + 1).Less(end) && seg.Data.Len() > 0 && !space(c).UNA.Less(seg.SEQ+1) {
					t.Fatalf("seed %d step %d: %v ends %d beyond the largest edge", seed, step, &seg, end.Sub(edge))
				}
				if seg.Data.Len() > 0 {
					opened = now
				}
				seg.Data.Release()
			}
			if err := c.Check(now); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			s := space(c)
			var i tcp.Info
			c.Info(&i)
			if s.SendWindow > 0 && opened != 0 && now.Sub(opened) > 2*max(i.RTO, time.Second) {
				t.Fatalf("seed %d step %d: open for %v and nothing was sent: %+v", seed, step, now.Sub(opened), i)
			}
			now = now.Add(time.Duration(rnd.IntN(400)) * time.Millisecond)
			var wnd uint16
			if rnd.IntN(3) > 0 {
				wnd = uint16(rnd.IntN(1 << rnd.IntN(17)))
			}
			ack := s.UNA
			if rnd.IntN(3) == 0 && s.UNA.Less(s.MAX) {
				ack += tcp.Seq(rnd.IntN(s.MAX.Sub(s.UNA) + 1))
			}
			if rnd.IntN(4) > 0 {
				c.Arrive(now, &tcp.Segment{SEQ: v.RcvNXT, ACK: ack, WND: wnd, Flags: wire.FlagACK})
				edge = laterEdge(edge, ack+tcp.Seq(wnd))
				if wnd == 0 {
					opened = 0
				} else if opened == 0 {
					opened = now
				}
			}
			if c.State() != tcp.Established {
				t.Fatalf("seed %d step %d: %v, %v", seed, step, c.State(), c.Err())
			}
		}
		if s := space(c); s.UNA.Sub(v.UNA) < 50_000 {
			t.Errorf("seed %d: only %d octets were acknowledged", seed, s.UNA.Sub(v.UNA))
		}
	}
}

func laterEdge(a, b tcp.Seq) tcp.Seq {
	if a.Less(b) {
		return b
	}
	return a
}

// fixed is a congestion control that never changes its mind.
type fixed struct {
	cc.NewReno
	sent, acked, losses, timeouts *int
}

func (fixed) Name() string                                        { return "fixed" }
func (fixed) Init(s *cc.State, _ mono.Time, mss uint32, _ uint64) { s.Cwnd = 3 * mss }
func (f fixed) OnSent(*cc.State, mono.Time, uint32, uint32)       { *f.sent++ }
func (f fixed) OnAck(*cc.State, *cc.RateSample)                   { *f.acked++ }
func (f fixed) OnLossEvent(s *cc.State, l *cc.Loss) {
	*f.losses++
	s.SSThresh = 3 * l.MSS
}
func (f fixed) OnRTO(s *cc.State, l *cc.Loss, _ bool) {
	*f.timeouts++
	s.Cwnd = 3 * l.MSS
}

// Another congestion control can be put in. RFC 9293 §3.8.2.
func TestR9293_Y18_PluggableCC(t *testing.T) {
	var sent, acked, losses, timeouts int
	p := tcptest.Established(t, tcptest.NoSACK, tcptest.Config(func(c *tcp.Config) {
		c.Congestion = fixed{sent: &sent, acked: &acked, losses: &losses, timeouts: &timeouts}
	}))
	p.Write(100_000)
	p.Want("> . 1:3001(3000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> . 3001:5001(2000) ack 1 cut 1000")
	for range 3 {
		p.Recv("< . 1:1(0) ack 2001")
	}
	p.Drop()
	p.Advance("1s")
	p.Drop()
	if p.Info().Congestion != "fixed" || sent < 2 || acked != 1 || losses != 1 || timeouts != 1 {
		t.Errorf("%q: %d sent, %d ACKs, %d losses, %d timeouts", p.Info().Congestion, sent, acked, losses, timeouts)
	}
}
