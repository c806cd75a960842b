package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// A connection changes its congestion control in mid-transfer, from every
// algorithm to every other and back, at all moments of loss recovery, with SACK
// and without; all arrives, and the window never jumps.
func TestCongestionSwapped(t *testing.T) {
	bad := netem.Config{Delay: 10 * time.Millisecond, Rate: 40_000_000, QueueBytes: 100_000, Loss: netem.PPM(10_000)}
	for _, first := range cc.Names() {
		for _, second := range cc.Names() {
			for _, noSACK := range []bool{false, true} {
				cfg := tcp.DefaultConfig(tcp.ProfileLinux)
				cfg.Congestion, _ = cc.ByName(first)
				cfg.NoSACK = noSACK
				swaps, inRecovery := swapWhile(t, 2<<20, cfg, bad, [2]string{first, second})
				if swaps < 10 || inRecovery == 0 {
					t.Errorf("%s and %s, no SACK %v: %d swaps, %d of them in recovery", first, second, noSACK, swaps, inRecovery)
				}
			}
		}
	}
}

// swapWhile sends size octets and swaps the two algorithms all the time.
func swapWhile(t *testing.T, size uint64, cfg *tcp.Config, n netem.Config, names [2]string) (swaps, inRecovery int) {
	t.Helper()
	w := New(7)
	p := &bulk{t: t, w: w, size: size}
	h := HostConfig{Engine: engine.Config{TCP: cfg}}
	p.a, p.b = w.Host("a", h), w.Host("b", h)
	wire := w.Link(p.a, p.b, n, n)
	var err error
	if p.l, err = p.b.Engine().Listen(w.Now(), &engine.ListenConfig{Local: addrPort(wire.Addr(p.b, true))}); err != nil {
		t.Fatal(err)
	}
	p.l.Owner = p
	if p.from, err = p.a.Engine().Dial(w.Now(), &engine.DialConfig{Remote: addrPort(wire.Addr(p.b, true))}); err != nil {
		t.Fatal(err)
	}
	p.from.Owner = p
	w.At(w.Now(), p.Ready)
	var swap func()
	swap = func() {
		var before, after tcp.Info
		p.from.Info(&before)
		next, _ := cc.ByName(names[(swaps+1)%2])
		p.from.SetCongestion(w.Now(), next)
		p.from.Info(&after)
		if after.Congestion != next.Name() && before.State != tcp.Closed {
			t.Errorf("after the change to %s it is %s", next.Name(), after.Congestion)
		}
		if after.Cwnd != before.Cwnd && !before.Recovery {
			t.Errorf("the change from %s to %s made %d of cwnd %d", before.Congestion, after.Congestion, after.Cwnd, before.Cwnd)
		}
		if swaps++; before.Recovery || before.Timeout {
			inRecovery++
		}
		if p.got.n < p.size {
			w.After(17*time.Millisecond, swap)
		}
	}
	w.After(50*time.Millisecond, swap)
	if err := w.RunUntil(w.Now().Add(time.Hour), func() bool { return p.got.n == p.size && settled(p.a) && settled(p.b) }); err != nil {
		t.Fatalf("%v, no SACK %v: %v", names, cfg.NoSACK, err)
	}
	if p.got != p.sent {
		t.Errorf("%v: %d octets arrived with hash %#x, of %d with %#x", names, p.got.n, p.got.hash, p.sent.n, p.sent.hash)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return swaps, inRecovery
}
