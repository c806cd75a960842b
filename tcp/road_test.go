package tcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// road joins two ESTABLISHED TCBs: data goes from a to b through a bottleneck of
// some rate and a queue behind it, ACKs come back after the delay alone. After
// warming up it allocates nothing.
type road struct {
	now   mono.Time
	start mono.Time
	a, b  TCB
	rate  int64         // bytes a second
	delay time.Duration // each way
	queue time.Duration // longest wait at the bottleneck
	idle  mono.Time     // when the bottleneck is free

	lose func() bool          // of data
	late func() time.Duration // more delay, behind the bottleneck

	wires [2][]flying // to a, to b; in order of time
	heads [2]int
	pool  pkt.Pool
	refs  [16]pkt.Ref
	got   int // octets that the program at b has taken
	peer  *receiver
	room  uint32
}

// newRoad returns a road of 10 Mbit/s and a round trip, with as much queue.
func newRoad(tb testing.TB, cfg *Config, rtt time.Duration) *road {
	l := newLane(tb, cfg)
	r := &road{a: l.a, b: l.b, now: l.now, start: l.now, rate: 1_250_000, delay: rtt / 2, queue: max(rtt, 10*time.Millisecond)}
	return r
}

// fly puts a segment on a wire, behind all that arrives before it.
func (r *road) fly(to int, at mono.Time, s *Segment) {
	w := r.wires[to]
	if len(w) == cap(w) && r.heads[to] > len(w)/2 {
		w = w[:copy(w, w[r.heads[to]:])]
		r.heads[to] = 0
	}
	w = append(w, flying{at, *s})
	for i := len(w) - 1; i > r.heads[to] && w[i].at < w[i-1].at; i-- {
		w[i], w[i-1] = w[i-1], w[i]
	}
	r.wires[to] = w
}

// data sends a segment of a through the bottleneck.
func (r *road) data(s *Segment) {
	from := max(r.now, r.idle)
	if r.lose != nil && r.lose() || from.Sub(r.now) > r.queue {
		s.Data.Release()
		return
	}
	r.idle = from.Add(time.Duration(int64(s.Data.Len()+60) * int64(time.Second) / r.rate))
	// A device has its own buffers: what is received keeps no chunk of a's alive.
	if n := s.Data.Len(); n > 0 {
		c := r.pool.Chunk(n)
		b := c.Bytes()[:n]
		k := copy(b, s.Data[0].B)
		copy(b[k:], s.Data[1].B)
		s.Data.Release()
		s.Data = pkt.View{c.Ref(b)}
	}
	at := r.idle.Add(r.delay)
	if r.late != nil {
		at = at.Add(r.late())
	}
	r.fly(1, at, s)
}

// run lets time pass; a has always something to send and b always reads.
func (r *road) run(d time.Duration) {
	var s Segment
	for end := r.now.Add(d); ; {
		for r.a.Room() > 0 && r.a.Queued() < 1<<20 {
			c := r.pool.Chunk(pkt.Large)
			n := min(r.a.Room(), pkt.Large)
			r.a.Queue(r.now, c.Ref(c.Bytes()[:n]))
		}
		for r.a.Emit(r.now, &s, r.room) {
			r.data(&s)
		}
		for r.b.Emit(r.now, &s, r.room) {
			r.fly(0, r.now.Add(r.delay), &s)
		}
		next := mono.Earlier(r.a.Deadline(), r.b.Deadline())
		for i := range r.wires {
			if r.heads[i] < len(r.wires[i]) {
				next = mono.Earlier(next, r.wires[i][r.heads[i]].at)
			}
		}
		if next == 0 || next > end {
			r.now = end
			return
		}
		r.now = max(r.now, next)
		r.arrive(0, &r.a)
		r.arrive(1, &r.b)
		r.a.Advance(r.now)
		r.b.Advance(r.now)
	}
}

func (r *road) arrive(to int, c *TCB) {
	for r.heads[to] < len(r.wires[to]) && r.wires[to][r.heads[to]].at <= r.now {
		f := &r.wires[to][r.heads[to]]
		r.heads[to]++
		if to == 1 && r.peer != nil {
			r.got += r.peer.arrive(&f.seg)
			f.seg.Data.Release()
			r.fly(0, r.now.Add(r.delay), &r.peer.ack)
		} else {
			c.Arrive(r.now, &f.seg)
		}
		f.seg.Data = pkt.View{}
	}
	if to == 0 || r.peer != nil {
		return
	}
	for {
		n := c.Take(1<<20, r.refs[:])
		for _, ref := range r.refs[:n] {
			r.got += len(ref.B)
			ref.Release()
		}
		if n == 0 {
			break
		}
	}
	c.Consumed()
}

// receiver stands for b where its queues are not the point: it acknowledges each
// segment, with SACK.
type receiver struct {
	next   Seq
	ranges []span // out of order, the latest first
	ack    Segment
}

// newReceiver takes over from b.
func (r *road) newReceiver() {
	r.peer = &receiver{next: r.b.rcv.NXT, ranges: make([]span, 0, 4096)}
	r.peer.ack = Segment{SEQ: r.a.rcv.NXT, WND: 65535, Flags: wire.FlagACK}
}

// arrive takes a segment, makes the ACK of it and returns how many octets are new
// in order.
func (v *receiver) arrive(s *Segment) int {
	before := v.next
	n := span{start: s.SEQ, end: s.SEQ.Add(s.Data.Len())}
	kept := v.ranges[:0]
	for _, o := range v.ranges { // joins what touches
		if o.start.LessEq(n.end) && n.start.LessEq(o.end) {
			n.start, n.end = minSeq(n.start, o.start), maxSeq(n.end, o.end)
		} else {
			kept = append(kept, o)
		}
	}
	v.ranges = kept
	switch {
	case n.start.LessEq(v.next):
		v.next = maxSeq(v.next, n.end)
	case len(v.ranges) < cap(v.ranges):
		v.ranges = append(v.ranges, span{})
		copy(v.ranges[1:], v.ranges)
		v.ranges[0] = n
	}
	v.ack.ACK = v.next
	v.ack.Opts = wire.TCPOptions{}
	if len(v.ranges) > 0 {
		v.ack.Opts.Has = wire.HasSACK
		for i := range min(4, len(v.ranges)) {
			v.ack.Opts.SACK[i] = [2]uint32{uint32(v.ranges[i].start), uint32(v.ranges[i].end)}
			v.ack.Opts.NSACK++
		}
	}
	return v.next.Sub(before)
}

// goodput is octets a second over some time from now on.
func (r *road) goodput(d time.Duration) int {
	before := r.got
	r.run(d)
	return int(int64(r.got-before) * int64(time.Second) / int64(d))
}

// outage loses everything for a time at the beginning of each period.
func (r *road) outage(period, dark time.Duration) {
	r.lose = func() bool { return r.now.Sub(r.start)%period < dark }
}

// T-CC-04: a burst of losses each second does not keep a connection down as it
// does one that waits for timeouts.
func TestShrew(t *testing.T) {
	for _, rtt := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond} {
		cfg := DefaultConfig(ProfileLinux)
		free := newRoad(t, cfg, rtt).goodput(20 * time.Second)
		r := newRoad(t, cfg, rtt)
		r.outage(time.Second, 50*time.Millisecond)
		got := r.goodput(20 * time.Second)
		t.Logf("RTT %v: %d of %d octets a second, %d %%", rtt, got, free, 100*got/free)
		if 100*got < 60*free {
			t.Errorf("RTT %v: %d of %d octets a second, want 60 %%", rtt, got, free)
		}
	}
}

// T-CC-09: a fifth of the packets up to a round trip late, none lost: four fifths
// of the rate remain, and after ten seconds hardly anything is sent in vain.
func TestReorderingAsDenial(t *testing.T) {
	seeds := uint64(3)
	if raceEnabled || testing.Short() {
		seeds = 1
	}
	for _, rtt := range []time.Duration{10 * time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond} {
		for seed := range seeds {
			cfg := DefaultConfig(ProfileLinux)
			free := newRoad(t, cfg, rtt).goodput(20 * time.Second)
			r := newRoad(t, cfg, rtt)
			r.queue = time.Second // the window of an undisturbed path has room in it
			rnd := rand.New(rand.NewPCG(seed, 9))
			r.late = func() time.Duration {
				if rnd.IntN(5) > 0 {
					return 0
				}
				return time.Duration(rnd.Int64N(int64(rtt)))
			}
			r.run(10 * time.Second)
			again, out := r.a.retransmits, r.a.segsOut
			got := r.goodput(10 * time.Second)
			again, out = r.a.retransmits-again, r.a.segsOut-out
			t.Logf("RTT %v, seed %d: %d of %d octets a second, %d of %d segments sent again", rtt, seed, got, free, again, out)
			if 5*got < 4*free || 20*again > out {
				t.Errorf("RTT %v, seed %d: %d of %d octets a second, %d of %d segments sent again", rtt, seed, got, free, again, out)
			}
		}
	}
}

// undone counts recoveries that were taken for spurious.
type undone struct{ entered, spurious int }

func (u *undone) Trace(e *trace.Event) {
	switch {
	case e.Kind != trace.Congestion || e.Conn != 1:
	case e.Why == trace.WhySpurious:
		u.spurious++
	case e.Why == trace.WhyRecoveryEntered, e.Why == trace.WhyRetransmitTimeout:
		u.entered++
	}
}

// What is lost on a path that keeps the order is never taken for spurious, also
// not the losses that another recovery left behind.
func TestLossesAreNotSpurious(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"timestamps": func(*Config) {}, "no timestamps": func(c *Config) { c.NoTimestamps = true }} {
		for percent := 1; percent < 12; percent++ {
			cfg := DefaultConfig(ProfileLinux)
			change(cfg)
			u := &undone{}
			cfg.Trace = u
			r := newRoad(t, cfg, 40*time.Millisecond)
			rnd := rand.New(rand.NewPCG(uint64(percent), 3))
			r.lose = func() bool { return rnd.IntN(100) < percent }
			r.run(20 * time.Second)
			if u.entered == 0 || u.spurious > 0 {
				t.Errorf("%s, %d %% lost: %d recoveries, %d taken back", name, percent, u.entered, u.spurious)
			}
		}
	}
}

// A lossy path costs the sender no allocation either.
func TestLossAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, change := range map[string]func(*Config){
		"RACK": func(*Config) {}, "RFC 6675": func(c *Config) { c.NoRACK = true }, "BBR": func(c *Config) { c.Congestion = cc.BBR{} }} {
		for _, room := range []uint32{0, 65000} {
			cfg := DefaultConfig(ProfileLinux)
			cfg.NoTimestamps = true
			change(cfg)
			r := newRoad(t, cfg, 20*time.Millisecond)
			r.room = room
			r.newReceiver()
			rnd := rand.New(rand.NewPCG(1, 2))
			r.lose = func() bool { return rnd.IntN(50) == 0 }
			r.run(20 * time.Second)
			again := r.a.retransmits
			if n := testing.AllocsPerRun(50, func() { r.run(100 * time.Millisecond) }); n != 0 {
				t.Errorf("%s, room %d: %v allocations in 100 ms", name, room, n)
			}
			if r.a.retransmits == again {
				t.Errorf("%s: nothing was lost", name)
			}
		}
	}
}
