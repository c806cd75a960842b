package tcp

import (
	"testing"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// lane carries segments between two TCBs without an engine and without delay.
type lane struct {
	a, b TCB
	pool pkt.Pool
	now  mono.Time
	seg  Segment
	refs [8]pkt.Ref
	mark bool // every ECN-capable segment
}

func newLane(tb testing.TB, cfg *Config) *lane {
	l := &lane{now: mono.Start}
	l.a.Open(l.now, cfg, &Params{ID: 1, ISS: 1<<32 - 100_000, MSS: 1460})
	l.a.Emit(l.now, &l.seg, 65000)
	h := NewHalfOpen(l.now, cfg, &l.seg, &Params{ID: 2, ISS: 1<<32 - 50_000, MSS: 1460})
	var out Segment
	h.SYNACK(l.now, cfg, &out)
	l.now = l.now.Add(1_000_000)
	l.a.Arrive(l.now, &out)
	l.a.Emit(l.now, &l.seg, 65000)
	l.b.Accept(l.now, cfg, &h)
	l.b.Arrive(l.now, &l.seg)
	l.run()
	if l.a.State() != Established || l.b.State() != Established {
		tb.Fatalf("the handshake ended in %v and %v", l.a.State(), l.b.State())
	}
	return l
}

// run carries segments until neither side has one.
func (l *lane) run() {
	for busy := true; busy; {
		busy = false
		for l.a.Emit(l.now, &l.seg, 65000) {
			if l.mark && l.seg.ECN != wire.NotECT {
				l.seg.ECN = wire.CE
				l.seg.Segs = uint16((l.seg.Data.Len() + 1447) / 1448)
			}
			l.b.Arrive(l.now, &l.seg)
			busy = true
		}
		for l.b.Emit(l.now, &l.seg, 65000) {
			l.a.Arrive(l.now, &l.seg)
			busy = true
		}
	}
}

// send queues n octets at a and takes what has arrived at b.
func (l *lane) send(n int) {
	c := l.pool.Chunk(n)
	l.a.Queue(l.now, c.Ref(c.Bytes()[:n]))
	l.run()
	l.take(&l.b)
}

func (l *lane) take(c *TCB) {
	for {
		n := c.Take(1<<20, l.refs[:])
		for _, r := range l.refs[:n] {
			r.Release()
		}
		if n == 0 {
			break
		}
	}
	c.Consumed()
}

// step lets a little time pass, with the deadlines in it.
func (l *lane) step() {
	l.now = l.now.Add(10_000_000)
	l.a.Advance(l.now)
	l.b.Advance(l.now)
}

// Nothing is allocated per segment, whatever the segments are.
func TestSegmentsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	plain := DefaultConfig(ProfileRFC)
	plain.NoSACK, plain.NoTimestamps, plain.NoWindowScale = true, true, true
	classic, accurate := DefaultConfig(ProfileLinux), DefaultConfig(ProfileLinux)
	classic.ECN, accurate.ECN = ECNOn, ECNAccurate
	for _, cfg := range []*Config{classic, accurate} { // CUBIC goes down to one segment, and then to one a timeout
		cfg.Congestion, cfg.NoPacing = cc.NewReno{}, true
	}
	for name, cfg := range map[string]*Config{"ECN": classic, "AccECN": accurate, "Linux": DefaultConfig(ProfileLinux), "RFC": DefaultConfig(ProfileRFC), "plain": plain} {
		for what, round := range map[string]func(l *lane){
			"stream": func(l *lane) { l.send(30_000); l.now = l.now.Add(100_000_000) }, // pacing needs time
			"request and response": func(l *lane) {
				l.send(100)
				c := l.pool.Chunk(1000)
				l.b.Queue(l.now, c.Ref(c.Bytes()[:1000]))
				l.run()
				l.take(&l.a)
			},
			"marked": func(l *lane) {
				l.mark = true
				l.send(30_000)
				l.mark = false
				for range 5 { // delayed ACKs
					l.step()
					l.run()
				}
				l.take(&l.b)
				l.now = l.now.Add(100_000_000)
			},
			"delayed ACK": func(l *lane) { l.send(10); l.step(); l.step(); l.run() },
			"forged": func(l *lane) {
				for _, f := range []wire.TCPFlags{wire.FlagRST, wire.FlagSYN, wire.FlagACK, wire.FlagFIN, 0} {
					l.b.Arrive(l.now, &Segment{SEQ: l.b.rcv.NXT + 10, ACK: l.b.snd.UNA - 1000, Flags: f})
				}
				l.run()
				l.step()
			},
		} {
			l := newLane(t, cfg)
			for range 50 { // until pools and book-keeping are warm
				round(l)
			}
			if n := testing.AllocsPerRun(200, func() { round(l) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", name, what, n)
			}
			l.a.Abort(l.now)
			l.b.Abort(l.now)
			if n, _ := l.pool.Outstanding(); n != 0 {
				t.Errorf("%s, %s: %d chunks leaked", name, what, n)
			}
		}
	}
}

// A super-segment out and in, its ACK back.
func BenchmarkStream64K(b *testing.B) {
	l := newLane(b, DefaultConfig(ProfileLinux))
	b.SetBytes(64 << 10)
	for b.Loop() {
		l.send(64 << 10)
	}
}

// A small request and its response.
func BenchmarkRequestResponse(b *testing.B) {
	l := newLane(b, DefaultConfig(ProfileLinux))
	for b.Loop() {
		l.send(100)
		c := l.pool.Chunk(100)
		l.b.Queue(l.now, c.Ref(c.Bytes()[:100]))
		l.run()
		l.take(&l.a)
	}
}
