package tcp_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// A RST resets only at RCV.NXT; elsewhere in the window it is challenged, outside it is dropped. RFC 5961 §3.2.
func TestR5961_3_2_RST(t *testing.T) {
	for s := tcp.SynReceived; s <= tcp.LastAck; s++ {
		t.Run(s.String(), func(t *testing.T) {
			p := tcptest.In(t, s)
			n := p.RcvNXT()
			for _, seq := range []uint32{n - 1, n - 1000, n + 65536, n + 1<<31} {
				p.Recv(line("< R %d:%d(0)", seq, seq))
				p.Recv(line("< R. %d:%d(0) ack %d", seq, seq, p.SndNXT()))
			}
			p.WantNothing("outside the window")
			p.Recv(line("< R %d:%d(0)", n+1, n+1))
			p.Want(line("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), n))
			p.Advance("500ms")
			p.Recv(line("< R %d:%d(0)", n+60_000, n+60_000))
			p.Want(line("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), n))
			p.WantState(s)
			p.Recv(line("< R %d:%d(0)", n, n))
			p.WantState(tcp.Closed)
			p.WantNothing("a RST is not answered")
		})
	}
}

// A SYN in a synchronised state is challenged whatever its number. RFC 5961 §4.2.
func TestR5961_4_2_SYN(t *testing.T) {
	for s := tcp.Established; s <= tcp.LastAck; s++ {
		t.Run(s.String(), func(t *testing.T) {
			for _, off := range []uint32{0, 1, 1<<32 - 1, 60_000, 70_000, 1 << 31} {
				for _, flags := range []string{"S", "S."} {
					p := tcptest.In(t, s)
					n := p.RcvNXT() + off
					p.Recv(line("< %s %d:%d(0) ack %d", flags, n, n, p.SndNXT()))
					p.Want(line("> . %d:%d(0) ack %d", p.SndNXT(), p.SndNXT(), p.RcvNXT()))
					p.WantState(s)
				}
			}
		})
	}
}

// SEG.ACK counts from SND.UNA - MAX.SND.WND to SND.NXT; other segments are acknowledged and dropped. RFC 5961 §5.2.
func TestR5961_5_2_AckRange(t *testing.T) {
	const una, nxt, wnd = 16_001, 19_001, 3000
	for _, c := range []struct {
		ack  int64
		good bool
	}{
		{nxt, true}, {nxt + 1, false}, {nxt + 1<<31 - 1, false},
		{una, true}, {una - wnd, true}, {una - wnd - 1, false}, {una - 1<<31 + 1, false},
	} {
		p := tcptest.Established(t, tcptest.Window(wnd), tcptest.NoSACK)
		for n := 1; n < una; n += 1000 {
			p.Write(1000)
			p.Recv(line("< . 1:1(0) ack %d", n+1000))
		}
		p.Write(4000) // the window takes 3000
		p.Drop()
		p.Recv(line("< P. 1:11(10) ack %d", uint32(c.ack)))
		if got := p.TCB().Buffered() == 10; got != c.good {
			t.Errorf("ack %d: taken %v, want %v", c.ack, got, c.good)
		}
		if !c.good {
			p.Want("> . 19001:19001(0) ack 1")
		}
		p.Drop()
	}
}

// Challenge ACKs are throttled. RFC 5961 §7.
//
// The RFC's example is ten in five seconds; here it is one in half a second.
func TestR5961_7a_Throttle(t *testing.T) {
	p := tcptest.Established(t)
	total := 0
	for range 1000 {
		p.Advance("10ms")
		p.Recv("< R 2:2(0)")
		p.Recv("< S 5:5(0)")
		p.Recv("< . 1:1(0) ack 77")
		p.Recv("< . 100000:100000(0) ack 1")
		total += p.Drop()
	}
	if total < 19 || total > 20 {
		t.Errorf("%d answers in ten seconds", total)
	}
}

// The throttle is each connection's own: what one spends does not show in another. RFC 5961 §7, CVE-2016-5696.
func TestR5961_7b_NoSharedBudget(t *testing.T) {
	difference := 0
	for trial := range 1000 {
		victim, mine := tcptest.Established(t), tcptest.Established(t)
		if trial%2 == 0 { // the guess hits the victim's window, and is challenged
			victim.Recv("< R 2:2(0)")
			victim.Want("> . 1:1(0) ack 1")
		} else {
			victim.Recv("< R 200000:200000(0)")
		}
		answers := 0
		for range 20 {
			mine.Advance("100ms")
			mine.Recv("< R 2:2(0)")
			answers += mine.Drop()
		}
		if trial%2 == 0 {
			answers = -answers
		}
		difference += answers
	}
	if difference != 0 {
		t.Errorf("right and wrong guesses differ by %d answers", difference)
	}
}

// An ACK of something before the ISS, which nobody can have, is refused although the range would hold it. RFC 5961 §5, draft-ietf-tcpm-tcp-ghost-acks.
func TestR5961_g_GhostACK(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv(line("< P. 1:11(10) ack %d", uint32(1<<32-100)))
	p.WantUnread(0)
	p.Want("> . 1:1(0) ack 1")
	p.Recv("< P. 1:11(10) ack 0") // the ISS itself
	p.WantUnread(0)
	p.Recv("< P. 1:11(10) ack 1")
	p.WantUnread(10)
	p.Drop()
}

// T-BLD-01: RSTs over the whole number space reset only where one hits RCV.NXT,
// and cost the connection two answers a second at most.
func TestBlindRSTSweep(t *testing.T) {
	c, now := plainTCB(t)
	var out tcp.Segment
	v := space(c)
	answers, start := 0, now
	const step = 1000
	for i := range (1 << 32) / step {
		seq := v.RcvNXT + 1 + tcp.Seq(i*step) // never RCV.NXT itself
		c.Arrive(now, &tcp.Segment{SEQ: seq, Flags: wire.FlagRST})
		if i%500 == 0 { // 8600 times: 500 RSTs in a millisecond
			now = now.Add(time.Millisecond)
			for c.Emit(now, &out, 65000) {
				answers++
			}
		}
	}
	if c.State() != tcp.Established {
		t.Fatalf("%v: %v", c.State(), c.Err())
	}
	if most := 2*int(now.Sub(start)/time.Second) + 2; answers > most {
		t.Errorf("%d answers in %v", answers, now.Sub(start))
	}
	c.Arrive(now, &tcp.Segment{SEQ: v.RcvNXT, Flags: wire.FlagRST})
	if c.Err() != tcp.ReasonReset {
		t.Errorf("the one that hits: %v", c.Err())
	}
}

// T-BLD-02: a million SYNs reset nothing and cost two answers a second.
func TestBlindSYNFlood(t *testing.T) {
	c, now := plainTCB(t)
	rnd := newRand(2)
	var out tcp.Segment
	answers := 0
	for i := range 1_000_000 {
		c.Arrive(now, &tcp.Segment{SEQ: tcp.Seq(rnd.Uint32()), ACK: tcp.Seq(rnd.Uint32()), WND: 1000,
			Flags: wire.FlagSYN | wire.TCPFlags(rnd.Uint32())&(wire.FlagACK|wire.FlagPSH|wire.FlagURG|wire.FlagFIN)})
		if i%100 == 0 {
			now = now.Add(time.Millisecond)
			for c.Emit(now, &out, 65000) {
				answers++
			}
		}
	}
	if c.State() != tcp.Established || answers > 21 {
		t.Errorf("%v, %d answers in ten seconds", c.State(), answers)
	}
}

// T-BLD-03: of a million forged segments in the window, with any ACK, no more
// are taken than RFC 5961 §5.2 leaves: MAX.SND.WND and what is in flight, of 2^32.
func TestBlindDataInjection(t *testing.T) {
	c, now := plainTCB(t)
	rnd := newRand(3)
	v := space(c)
	var out tcp.Segment
	taken := 0
	for range 1_000_000 {
		seq := v.RcvNXT + 1 + tcp.Seq(rnd.IntN(60_000)) // not at the left edge, or it would move
		c.Arrive(now, &tcp.Segment{SEQ: seq, ACK: tcp.Seq(rnd.Uint32()), WND: 1000, Flags: wire.FlagACK | wire.FlagPSH,
			Data: bytesView(1)})
		var i tcp.Info
		if c.Info(&i); i.OutOfOrder > 0 {
			taken++
			c, now = plainTCB(t)
		}
		for c.Emit(now, &out, 65000) {
			now = now.Add(time.Microsecond)
		}
	}
	if most := 1_000_000 * 3 * (int64(v.MaxSendWindow) + 1) / 2 >> 32; int64(taken) > most {
		t.Errorf("%d segments were taken, %d at most", taken, most)
	}
}

// T-BLD-03 with timestamps: who forges data must also guess a timestamp that is
// not older than the last, which halves what the range of ACKs leaves; with one
// from before the last none is taken, whatever the ACK. A segment without the
// option, which the deviation in paws lets through, is held to that range alone.
func TestBlindDataInjectionTimestamps(t *testing.T) {
	const tries = 300_000
	fresh := func() (*tcp.TCB, mono.Time, uint32) {
		p := tcptest.Established(t, tcptest.Timestamps)
		p.Recv("< P. 1:11(10) ack 1 <nop,nop,TS val 500000 ecr 0>")
		p.Read(10)
		p.Drop()
		return p.TCB(), mono.Start.Add(time.Second), 500_000
	}
	for name, x := range map[string]struct {
		option func(rnd *rand.Rand, last uint32) (uint32, bool)
		share  int64 // of the range, in halves
	}{
		"older":          {func(rnd *rand.Rand, last uint32) (uint32, bool) { return last - 1 - rnd.Uint32()>>1, true }, 0},
		"any":            {func(rnd *rand.Rand, _ uint32) (uint32, bool) { return rnd.Uint32(), true }, 1},
		"without option": {func(rnd *rand.Rand, _ uint32) (uint32, bool) { return 0, false }, 2},
	} {
		c, now, last := fresh()
		rnd := newRand(33)
		v := space(c)
		var out tcp.Segment
		taken := 0
		for range tries {
			seq := v.RcvNXT + 1 + tcp.Seq(rnd.IntN(60_000))
			seg := tcp.Segment{SEQ: seq, ACK: tcp.Seq(rnd.Uint32()), WND: 1000, Flags: wire.FlagACK | wire.FlagPSH, Data: bytesView(1)}
			if ts, has := x.option(rnd, last); has {
				seg.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: ts, TSEcr: rnd.Uint32()}
			}
			c.Arrive(now, &seg)
			var i tcp.Info
			if c.Info(&i); i.OutOfOrder > 0 || i.BytesIn > 10 {
				taken++
				c, now, last = fresh()
			}
			for c.Emit(now, &out, 65000) {
				now = now.Add(time.Microsecond)
			}
		}
		// The expectation, and three times its root.
		mean := tries * (int64(v.MaxSendWindow) + 1) * x.share / 2 >> 32
		if most := mean + 3*int64(isqrt(uint64(mean))) + x.share; int64(taken) > most {
			t.Errorf("%s: %d of %d segments were taken, %d at most", name, taken, tries, most)
		}
	}
}

// isqrt is the root, rounded down.
func isqrt(n uint64) (r uint64) {
	for (r+1)*(r+1) <= n {
		r++
	}
	return r
}

// T-BLD-05: forged ICMP errors neither abort nor slow a connection; one that
// quotes what is outstanding ends an attempt to connect.
func TestBlindICMP(t *testing.T) {
	rnd := newRand(5)
	p := tcptest.Established(t)
	p.Write(2000)
	p.Drop()
	before := p.Info()
	for i := range 100_000 {
		seq := tcp.Seq(rnd.Uint32())
		p.TCB().ICMPError(mono.Start, tcp.ReasonPortUnreachable, i%2 == 0, seq)
	}
	if after := p.Info(); after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	v := space(p.TCB())
	p.TCB().ICMPError(mono.Start, tcp.ReasonPortUnreachable, true, v.UNA) // even a good guess
	p.WantState(tcp.Established)
	if got := p.TCB().SoftErr(); got != tcp.ReasonPortUnreachable {
		t.Errorf("the soft error is %v", got)
	}

	p = tcptest.SynSent(t)
	v = space(p.TCB())
	p.TCB().ICMPError(mono.Start, tcp.ReasonPortUnreachable, true, v.ISS+1)
	p.TCB().ICMPError(mono.Start, tcp.ReasonPortUnreachable, true, v.ISS-1)
	p.WantState(tcp.SynSent)
	p.TCB().ICMPError(mono.Start, tcp.ReasonPortUnreachable, true, v.ISS)
	p.WantErr(tcp.ReasonPortUnreachable)
}
