package tcp

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Conversations with peers that are hostile, broken or merely unlucky, at the
// level of a TCB's fields.

// linux returns an ESTABLISHED TCB of the Linux profile without timestamps.
func linux(t *testing.T, change func(*Config)) (*pair, *TCB) {
	t.Helper()
	cfg := DefaultConfig(ProfileLinux)
	cfg.NoTimestamps = true
	if change != nil {
		change(cfg)
	}
	p := newPair(t, cfg)
	for p.a.State() != Established || p.b.State() != Established {
		if !p.step() {
			t.Fatal("no handshake")
		}
	}
	emitAll(&p.a, p.now)
	return p, &p.a
}

// emitAll lets a TCB send what it has, into the void, and returns how many
// segments that were.
func emitAll(c *TCB, now mono.Time) (n int) {
	var s Segment
	for ; c.Emit(now, &s, 65000); n++ {
		s.Data.Release()
	}
	return n
}

func zeros(n int) pkt.Ref { return pkt.Bytes(make([]byte, n)) }

// A receive buffer below one unit of the window scale still lets a window open.
func TestTinyBufferUnderALargeScale(t *testing.T) {
	p, c := linux(t, nil)
	c.SetBuffers(0, 100)
	for range 5000 {
		n := min(1460, int(c.rcv.WND()))
		if n == 0 {
			t.Fatalf("the window is closed after %d bytes, all of them read", c.bytesIn)
		}
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 1000, Flags: wire.FlagACK, Data: pkt.View{zeros(n)}})
		var refs [4]pkt.Ref
		for c.Buffered() > 0 {
			c.Take(1<<20, refs[:])
		}
		c.Consumed()
		p.now = p.now.Add(50 * time.Millisecond)
		c.Advance(p.now)
		emitAll(c, p.now)
	}
}

// BytesOut counts what goes out for the first time in a segment that begins
// with what was sent before.
func TestBytesOutOfMixedSegments(t *testing.T) {
	p, c := linux(t, nil)
	c.Queue(p.now, zeros(100))
	emitAll(c, p.now)
	c.Queue(p.now, zeros(2900))
	p.now = c.deadlines[dRetransmit]
	c.Advance(p.now)
	c.cc.Cwnd = 20000
	emitAll(c, p.now)
	if sent := uint64(uint32(c.snd.MAX - c.snd.ISS - 1)); c.bytesOut != sent {
		t.Errorf("%d bytes are counted, %d were sent", c.bytesOut, sent)
	}
}

// Data that arrives while we probe a closed window is an answer to the probes:
// the connection is not given up (RFC 9293 §3.8.6.1, MUST-37).
func TestDataAnswersProbes(t *testing.T) {
	p, c := linux(t, nil)
	c.Queue(p.now, zeros(5000))
	c.snd.WND = 0
	emitAll(c, p.now)
	for range 40 {
		p.now = c.Deadline()
		c.Advance(p.now)
		emitAll(c, p.now)
		if c.State() != Established {
			t.Fatalf("%v, %v; the peer was heard %v ago", c.State(), c.Err(), p.now.Sub(c.lastRcv))
		}
		p.now = p.now.Add(time.Millisecond)
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, Flags: wire.FlagACK, Data: pkt.View{zeros(10)}})
		emitAll(c, p.now)
	}
}

// A FIN far ahead does not hide the one that is in order.
func TestFINInOrderBeatsTheOneKept(t *testing.T) {
	p, c := linux(t, nil)
	for _, ahead := range []Seq{1000, 2000, 0} {
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT + ahead, ACK: c.snd.UNA, WND: 1000, Flags: wire.FlagACK | wire.FlagFIN})
		emitAll(c, p.now)
	}
	if c.State() != CloseWait {
		t.Errorf("%v after a FIN in order", c.State())
	}
}

// A connection that its program has closed does not probe a closed window for
// ever, even if it is answered: RFC 6429 §3.
func TestOrphanGivesUpAClosedWindow(t *testing.T) {
	for _, inFlight := range []bool{false, true} {
		p, c := linux(t, nil)
		c.Queue(p.now, zeros(100_000))
		if inFlight {
			emitAll(c, p.now)
		}
		c.snd.WND = 0
		c.Close(p.now)
		emitAll(c, p.now)
		began := p.now
		for c.State() != Closed {
			if p.now.Sub(began) > time.Hour {
				t.Fatalf("in flight %v: %v after an hour, %d bytes queued", inFlight, c.State(), c.Queued())
			}
			p.now = max(p.now, c.Deadline())
			c.Advance(p.now)
			if emitAll(c, p.now) > 0 {
				c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, Flags: wire.FlagACK})
				emitAll(c, p.now)
			}
		}
	}
}

// Urgent data leaves in ordinary segments, each with a pointer that is right
// for it: the pieces of a super-segment would all carry the first one's.
func TestUrgentDataIsNotCutLater(t *testing.T) {
	p, c := linux(t, nil)
	c.Queue(p.now, zeros(4000))
	c.SendUrgent(p.now, zeros(1))
	var s Segment
	for c.Emit(p.now, &s, 65000) {
		if s.MSSCut != 0 {
			t.Errorf("a super-segment of %d bytes", s.Data.Len())
		}
		if end := s.SEQ.Add(int(s.UP)); s.Has(wire.FlagURG) && end != c.snd.UP {
			t.Errorf("the pointer leads to %d, not %d", end, c.snd.UP)
		}
	}
}

// A SYN-ACK that was sent twice gives no RTT sample: Karn, RFC 6298 §3.
func TestNoSampleFromARepeatedSYNACK(t *testing.T) {
	cfg := DefaultConfig(ProfileLinux)
	now := mono.Start
	syn := Segment{SEQ: 100, WND: 1000, Flags: wire.FlagSYN}
	h := NewHalfOpen(now, cfg, &syn, &Params{ISS: 5000, MSS: 1460})
	now = now.Add(990 * time.Millisecond)
	if v := h.Arrive(now, cfg, &syn); v != HalfOpenSYNACK {
		t.Fatalf("verdict %d for the SYN again", v)
	}
	now = now.Add(5 * time.Millisecond)
	ack := Segment{SEQ: 101, ACK: 5001, WND: 1000, Flags: wire.FlagACK}
	h.Arrive(now, cfg, &ack)
	var c TCB
	c.Accept(now, cfg, &h)
	c.Arrive(now, &ack)
	if c.SRTT != 0 {
		t.Errorf("SRTT %v", c.SRTT)
	}
}

// The loss of the first segment behind a recovery is repaired by fast
// retransmit when SACK blocks prove that the duplicate ACKs are not those of our
// own retransmissions.
func TestLossRightBehindARecovery(t *testing.T) {
	p, c := linux(t, func(cfg *Config) { cfg.NoPacing = true })
	c.cc.Cwnd = 10 * 1460
	c.Queue(p.now, zeros(40*1460))
	emitAll(c, p.now)
	una, wnd := c.snd.UNA, uint16(c.snd.WND>>c.snd.scale)
	ack := func(a Seq, from, to int) {
		s := Segment{SEQ: c.rcv.NXT, ACK: a, WND: wnd, Flags: wire.FlagACK}
		if to > 0 {
			s.Opts.Has, s.Opts.NSACK = wire.HasSACK, 1
			s.Opts.SACK[0] = [2]uint32{uint32(una.Add(from * 1460)), uint32(una.Add(to * 1460))}
		}
		c.Arrive(p.now, &s)
		emitAll(c, p.now)
	}
	for i := 2; i <= 10; i++ { // segment 0 is lost
		ack(una, 1, i)
	}
	end := c.recover
	ack(end, 0, 0)
	if c.has(fRecovery) || c.snd.UNA != end {
		t.Fatal("the first recovery did not end")
	}
	n := end.Sub(una) / 1460
	for i := n + 2; i <= n+4; i++ { // segment n is lost
		ack(end, n+1, i)
	}
	if !c.has(fRecovery) {
		t.Error("three duplicate ACKs with SACK blocks started no recovery")
	}
}

// Reading a little of a small buffer sends no ACK that says nothing new: three
// of them would look like a loss.
func TestNoUselessWindowUpdates(t *testing.T) {
	p, c := linux(t, func(cfg *Config) { cfg.NoWindowScale, cfg.ReceiveBuffer = true, 3*1460 })
	c.quick = 0
	c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 1000, Flags: wire.FlagACK, Data: pkt.View{zeros(2000)}})
	p.now = p.now.Add(50 * time.Millisecond)
	c.Advance(p.now)
	emitAll(c, p.now)
	before := c.rcv.edge
	var refs [4]pkt.Ref
	c.Take(1200, refs[:])
	if due := c.Consumed(); due {
		emitAll(c, p.now)
		if c.rcv.edge == before {
			t.Error("an update went out that moves nothing")
		}
	}
}

// Segments of the peer that leave a small window as it is do not put the silly
// window override off (RFC 9293 §3.8.6.2.1).
func TestOverrideInSpiteOfTraffic(t *testing.T) {
	p, c := linux(t, func(cfg *Config) { cfg.NoWindowScale = true })
	c.Queue(p.now, zeros(5000))
	c.snd.WND = 300
	sent := 0
	for range 100 {
		p.now = p.now.Add(100 * time.Millisecond)
		c.Advance(p.now)
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 300, Flags: wire.FlagACK, Data: pkt.View{zeros(10)}})
		var s Segment
		for c.Emit(p.now, &s, 65000) {
			sent += s.Data.Len()
		}
	}
	if sent == 0 {
		t.Error("nothing was sent into a window of 300 in 10 s")
	}
}

// Data that arrived in order can be read after a reset in the Linux profile,
// and is flushed in the RFC profile (RFC 9293 §3.10.7.4); either way an ABORT
// gives the buffers back.
func TestUnreadDataAtAReset(t *testing.T) {
	for _, profile := range []Profile{ProfileLinux, ProfileRFC} {
		var pool pkt.Pool
		p, c := linux(t, func(cfg *Config) { cfg.Profile = profile })
		ch := pool.Chunk(100)
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 1000, Flags: wire.FlagACK, Data: pkt.View{ch.Ref(ch.Bytes()[:100])}})
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, Flags: wire.FlagRST})
		want := 0
		if profile == ProfileLinux {
			want = 100
		}
		if c.State() != Closed || c.Buffered() != want {
			t.Errorf("profile %d: %v, %d bytes can be read", profile, c.State(), c.Buffered())
		}
		c.Abort(p.now)
		if n, _ := pool.Outstanding(); n != 0 {
			t.Errorf("profile %d: %d chunks leaked", profile, n)
		}
	}
}

// A connection that acknowledges steadily in recovery does not end by its user
// timeout, and a new user timeout counts at once.
func TestUserTimeoutCountsFromProgress(t *testing.T) {
	p, c := linux(t, nil)
	c.SetUserTimeout(time.Second)
	c.cc.Cwnd = 40 * 1460
	c.Queue(p.now, zeros(40*1460))
	emitAll(c, p.now)
	una, wnd := c.snd.UNA, uint16(c.snd.WND>>c.snd.scale)
	ack := func(a Seq) {
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: a, WND: wnd, Flags: wire.FlagACK})
		emitAll(c, p.now)
	}
	for range 4 {
		ack(una)
	}
	for i := 1; i < 20; i++ { // a partial ACK every 100 ms
		p.now = p.now.Add(100 * time.Millisecond)
		ack(una.Add(i * 1460))
		c.Advance(p.now)
		emitAll(c, p.now)
		if c.State() != Established {
			t.Fatalf("%v after %d ACKs of new data", c.Err(), i)
		}
	}
	c.SetUserTimeout(50 * time.Millisecond)
	if d := c.Deadline().Sub(p.now); d > 50*time.Millisecond {
		t.Errorf("the new limit acts in %v", d)
	}
}

// What is acknowledged while losses are repaired may have arrived long ago: the
// smallest RTT is not replaced by how long it waited, however old it is, or RACK
// would learn nothing from retransmissions any more.
func TestRepairRaisesNoSmallestRTT(t *testing.T) {
	p, c := linux(t, nil)
	c.Queue(p.now, zeros(3*1460))
	emitAll(c, p.now)
	o := c.needOutstanding(p.now)
	o.minRTT, o.minRTTAt = 10*time.Millisecond, p.now
	for !c.has(fLoss) { // the probe, then the timeout
		p.now = c.Deadline()
		c.Advance(p.now)
		emitAll(c, p.now)
	}
	p.now = p.now.Add(minRTTWindow + time.Second) // the path was cut
	s := Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 1000, Flags: wire.FlagACK}
	s.Opts.Has, s.Opts.NSACK = wire.HasSACK, 1
	s.Opts.SACK[0] = [2]uint32{uint32(c.snd.UNA + 1460), uint32(c.snd.UNA + 2*1460)}
	c.Arrive(p.now, &s)
	if o.minRTT != 10*time.Millisecond {
		t.Errorf("the smallest RTT is %v", o.minRTT)
	}
	if c.SRTT > c.cfg.MaxRTO {
		t.Errorf("SRTT is %v, beyond the largest RTO", c.SRTT)
	}
}

// However low the rate, a packet does not put the next one off by more than a
// second: with nothing in flight no ACK comes that would raise the rate.
func TestPacingDoesNotStall(t *testing.T) {
	q := pace{rate: 1}
	now := mono.Start
	q.spend(now, 1460)
	if wait := q.departure.Sub(now); wait > time.Second {
		t.Errorf("the next packet waits for %v", wait)
	}
}

// What only may be lost is not sent again beyond a window that has shrunk.
func TestUncertainStaysInAShrunkWindow(t *testing.T) {
	p, c := linux(t, func(cfg *Config) { cfg.NoRACK, cfg.NoPacing = true, true })
	c.Queue(p.now, zeros(10*1460))
	emitAll(c, p.now)
	una := c.snd.UNA
	for i := 6; i <= 9; i++ {
		s := Segment{SEQ: c.rcv.NXT, ACK: una, WND: uint16(2 * 1460 >> c.snd.scale), Flags: wire.FlagACK}
		s.Opts.Has, s.Opts.NSACK = wire.HasSACK, 1
		s.Opts.SACK[0] = [2]uint32{uint32(una.Add(5 * 1460)), uint32(una.Add(i * 1460))}
		c.Arrive(p.now, &s)
	}
	b := &c.out.board
	b.assign(una, una.Add(2*1460), span{kind: spanAgain, record: c.out.again.next()})
	c.out.again.push(record{start: una, end: una.Add(2 * 1460), at: p.now})
	for i := 0; i < len(b.spans); i++ { // nothing is known to be lost
		if s := b.spans[i]; s.kind.isLost() {
			b.assign(s.start, s.end, span{})
			i = -1
		}
	}
	c.pend &^= pendRetransmit
	c.cc.Cwnd = 100 * 1460
	if !c.has(fRecovery) {
		t.Fatal("no recovery")
	}
	var s Segment
	for c.Emit(p.now, &s, 0) {
		if s.Data.Len() > 0 && !s.SEQ.Less(una.Add(int(c.snd.WND))) {
			t.Errorf("%v with a window of %d from %d", &s, c.snd.WND, una)
		}
		s.Data.Release()
	}
}
