package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// stream is a program that sends whenever there is room, and one that reads
// whatever comes.
type stream struct {
	w        *World
	a        *Host
	l        *engine.Listener
	from, to *engine.Conn
	idle     bool // nobody reads
	got      uint64
}

func (s *stream) Ready() {
	if c := s.l.Accept(); c != nil {
		s.to, c.Owner = c, s
	}
	for room := s.from.Room(); room > 0; room = s.from.Room() {
		c := s.a.pool.Chunk(pkt.Large)
		s.from.Queue(s.w.Now(), c.Ref(c.Bytes()[:min(pkt.Large, room)]))
	}
	if s.to == nil || s.idle {
		return
	}
	var refs [64]pkt.Ref
	for n := s.to.Take(1<<30, refs[:]); n > 0; n = s.to.Take(1<<30, refs[:]) {
		for _, r := range refs[:n] {
			s.got += uint64(len(r.B))
			r.Release()
		}
	}
	s.to.Consumed()
}

// newStream begins one between two hosts with these configurations.
func newStream(t *testing.T, cfg *tcp.Config, n netem.Config) *stream {
	t.Helper()
	w := New(1)
	s := &stream{w: w}
	h := HostConfig{Engine: engine.Config{TCP: cfg}, MaxGSO: 65535}
	s.a = w.Host("a", h)
	b := w.Host("b", h)
	wire := w.Link(s.a, b, n, n)
	to := addrPort(wire.Addr(b, false))
	var err error
	if s.l, err = b.Engine().Listen(w.Now(), &engine.ListenConfig{Local: to}); err != nil {
		t.Fatal(err)
	}
	s.l.Owner = s
	if s.from, err = s.a.Engine().Dial(w.Now(), &engine.DialConfig{Remote: to}); err != nil {
		t.Fatal(err)
	}
	s.from.Owner = s
	return s
}

func (s *stream) run(t *testing.T, d time.Duration) {
	t.Helper()
	if err := s.w.RunUntil(s.w.Now().Add(d), nil); err != nil {
		t.Fatal(err)
	}
}

func (s *stream) close(t *testing.T) {
	t.Helper()
	s.from.Abort(s.w.Now())
	if s.to != nil {
		s.to.Abort(s.w.Now())
	}
	if err := s.w.Close(); err != nil {
		t.Error(err)
	}
}

// Neither buffer is what limits a sender in slow start on a long path, nor
// later: the first seconds bring as much as with buffers that are large from the
// start. (So do ten seconds at 1 Gbit/s: 1050 MB against 1056.)
func TestBuffersKeepAheadOfALongPath(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million events")
	}
	path := netem.Config{Delay: 50 * time.Millisecond, Rate: 200_000_000, QueueBytes: 2_500_000}
	for _, plain := range []bool{false, true} {
		fixed := tcp.DefaultConfig(tcp.ProfileLinux)
		fixed.NoTimestamps = plain
		tuned := *fixed
		fixed.SendBuffer, fixed.ReceiveBuffer = 64<<20, 64<<20
		var got [2]uint64
		for i, cfg := range []*tcp.Config{fixed, &tuned} {
			s := newStream(t, cfg, path)
			s.run(t, 5*time.Second)
			got[i] = s.got
			s.close(t)
		}
		if got[1] < got[0]/100*95 || got[0] < 80_000_000 {
			t.Errorf("timestamps %v: %d bytes with large buffers, %d with growing ones", !plain, got[0], got[1])
		}
	}
}

// A program that does not read gets no more than the first buffer, and what the
// sender may queue stays small as well.
func TestBuffersOfAnIdleProgramStaySmall(t *testing.T) {
	s := newStream(t, tcp.DefaultConfig(tcp.ProfileLinux), netem.Config{Delay: 10 * time.Millisecond, Rate: 100_000_000})
	s.idle = true
	s.run(t, 10*time.Second)
	var from, to tcp.Info
	s.from.Info(&from)
	s.to.Info(&to)
	if to.ReceiveBuffer != 64<<10 || to.Held > 256<<10 || from.SendBuffer > 256<<10 {
		t.Errorf("receive buffer %d with %d held, send buffer %d", to.ReceiveBuffer, to.Held, from.SendBuffer)
	}
	s.close(t)
}
