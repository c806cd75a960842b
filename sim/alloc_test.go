package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// A transfer under way costs no allocation per event: not in the engines, not on
// the wire, not for the rules.
func TestStepAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	w := New(1)
	p := &bulk{t: t, w: w, size: 1 << 40}
	h := HostConfig{Engine: engine.Config{TCP: bigBuffers(tcp.ProfileLinux)}}
	p.a, p.b = w.Host("a", h), w.Host("b", h)
	n := netem.Config{Delay: 50 * time.Microsecond, Rate: 1_000_000_000}
	wire := w.Link(p.a, p.b, n, n)
	var err error
	if p.l, err = p.b.Engine().Listen(w.Now(), &engine.ListenConfig{Local: addrPort(wire.Addr(p.b, false))}); err != nil {
		t.Fatal(err)
	}
	p.l.Owner = p
	if p.from, err = p.a.Engine().Dial(w.Now(), &engine.DialConfig{Remote: addrPort(wire.Addr(p.b, false))}); err != nil {
		t.Fatal(err)
	}
	p.from.Owner = p
	w.At(w.Now(), p.Ready)
	steps := func() {
		for range 1000 {
			if !w.Step() {
				t.Fatalf("stopped: %v", w.Err())
			}
		}
	}
	for range 20 { // slow start, growing queues
		steps()
	}
	if n := testing.AllocsPerRun(20, steps); n > 0 {
		t.Errorf("%v allocations in 1000 events", n)
	}
	for _, c := range []*engine.Conn{p.from, p.to} {
		c.Abort(w.Now())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
