package tcp

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// median is how long the middle one of n calls takes.
func median(n int, call func()) time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		call()
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n/2]
}

// sackCost is what an ACK with four blocks costs with n SACKed spans.
func sackCost(t *testing.T, how string, n int) time.Duration {
	c, now := scattered(t, n, how == "RACK, waiting", func(c *Config) { c.NoRACK = how == "RFC 6675" })
	rnd := rand.New(rand.NewPCG(1, 1))
	base := uint32(c.snd.UNA)
	seg := sackACK(c)
	seg.Opts.NSACK = 4
	step := uint32(0)
	return median(3000, func() {
		step++
		for i := range 4 {
			from := base + uint32(1460*(2*rnd.IntN(n)+1))
			seg.Opts.SACK[i] = [2]uint32{from, from + 1460 + step/3%1400}
		}
		c.Arrive(now, seg)
	})
}

// T-RES-07: an ACK with four SACK blocks costs hardly more with a scoreboard of
// 4,000 spans than with ten: what it looks at grows with the logarithm.
func TestLargeScoreboardCost(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("measures time")
	}
	for _, how := range []string{"RACK", "RACK, waiting", "RFC 6675"} {
		few, many := sackCost(t, how, 10), sackCost(t, how, 4000)
		t.Logf("%s: %v and %v", how, few, many)
		if many > 20*few {
			t.Errorf("%s: %v with 4000 spans, %v with ten", how, many, few)
		}
	}
}

// wide is a congestion control that no loss impresses.
type wide struct{ cc.NewReno }

func (wide) Init(s *cc.State, _ mono.Time, _ uint32, _ uint64) { s.Cwnd, s.SSThresh = 1<<20, 1<<20 }
func (wide) OnLossEvent(*cc.State, *cc.Loss)                   {}
func (wide) OnRTO(*cc.State, *cc.Loss, bool)                   {}

// T-RES-05: a peer with the smallest MSS that SACKs single octets all over a
// buffer of 16 MiB: the book-keeping stays within its bounds, and so does the
// cost of an ACK.
func TestSmallMSSAndHostileSACK(t *testing.T) {
	acks := 200_000
	if raceEnabled || testing.Short() {
		acks = 10_000
	}
	cfg := DefaultConfig(ProfileLinux)
	cfg.NoTimestamps, cfg.SendBuffer, cfg.InitialWindow = true, 16<<20, 1000
	cfg.Congestion, cfg.NoPacing = wide{}, true
	c, now := new(TCB), mono.Start
	var seg Segment
	drain := func() {
		for c.Emit(now, &seg, 65000) {
			seg.Data.Release()
		}
	}
	c.Open(now, cfg, &Params{ID: 1, ISS: 1<<32 - 5000, MSS: 1460})
	drain()
	c.Arrive(now, &Segment{SEQ: 99, ACK: c.snd.ISS + 1, WND: 65535, Flags: wire.FlagSYN | wire.FlagACK,
		Opts: wire.TCPOptions{Has: wire.HasMSS | wire.HasSACKPermitted | wire.HasWScale, MSS: 1, WScale: 14}})
	block := make([]byte, 1<<20)
	rnd := rand.New(rand.NewPCG(5, 5))
	spans, records := 0, 0
	ack := func() {
		for c.Room() >= len(block) {
			c.Queue(now, pkt.Bytes(block))
		}
		drain()
		in := sackACK(c)
		in.Opts.NSACK, in.Opts.Has = 4, wire.HasSACK
		out := int(c.snd.MAX - c.snd.UNA)
		if rnd.IntN(20) == 0 && out > 0 { // some progress, or cwnd would stay small
			in.ACK = in.ACK.Add(1 + rnd.IntN(min(out, 2000)))
		}
		for i := range 4 {
			from := uint32(c.snd.UNA) + uint32(rnd.IntN(out+10))
			in.Opts.SACK[i] = [2]uint32{from, from + uint32(1+rnd.IntN(3))}
		}
		c.Arrive(now, in)
		spans, records = max(spans, len(c.out.board.spans)), max(records, c.out.again.len()+c.out.sent.len())
	}
	hostile := median(acks, func() {
		now = now.Add(20 * time.Microsecond)
		if d := c.Deadline(); d != 0 && d <= now {
			c.Advance(now)
		}
		ack()
	})
	if c.effMSS() < 48-20 || c.state != Established {
		t.Fatalf("%v, MSS %d", c.state, c.effMSS())
	}
	if err := c.Check(now); err != nil {
		t.Error(err)
	}
	b := &c.out.board
	out := uint32(c.snd.MAX - c.snd.UNA)
	if b.sacked+b.lost > out {
		t.Errorf("%d SACKed and %d lost of %d", b.sacked, b.lost, out)
	}
	t.Logf("%v an ACK, up to %d spans and %d records, %d outstanding", hostile, spans, records, out)
	if spans > 4*maxSACKed {
		t.Errorf("%d spans", spans)
	}
	if raceEnabled || testing.Short() {
		return
	}
	if benign := sackCost(t, "RACK", 10); hostile > 20*benign {
		t.Errorf("%v an ACK, a benign one %v", hostile, benign)
	}
}

// The number of SACKed spans has a bound: what a peer says beyond it is not
// believed, and what fits into what is there still is.
func TestSACKedSpansBounded(t *testing.T) {
	c, now := scattered(t, maxSACKed/2, false, func(c *Config) { c.NoRACK = true; c.InitialWindow = 4 * maxSACKed })
	base := c.snd.UNA
	for k := range 3 * maxSACKed { // single octets between
		from := uint32(base.Add(1460*(2*(k%(maxSACKed/2))+2) + 100 + 3*(k/(maxSACKed/2))))
		c.Arrive(now, sackACK(c, [2]uint32{from, from + 1}))
	}
	n := 0
	for _, s := range c.out.board.spans {
		if s.kind == spanSACKed {
			n++
		}
	}
	if n > maxSACKed+1 {
		t.Errorf("%d SACKed spans", n)
	}
	before := c.out.board.sacked
	first := c.out.board.spans[0]
	for _, s := range c.out.board.spans {
		if s.kind == spanSACKed {
			first = s
			break
		}
	}
	c.Arrive(now, sackACK(c, [2]uint32{uint32(first.start), uint32(first.end) + 10}))
	if c.out.board.sacked != before+10 {
		t.Errorf("a span that grows: %d SACKed after %d", c.out.board.sacked, before)
	}
}
