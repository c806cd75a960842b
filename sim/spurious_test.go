package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// On a path that loses data but no ACK, and keeps their order, every reduction
// is deserved: none is taken back.
func TestNothingSpuriousWithoutReordering(t *testing.T) {
	n := netem.Config{Delay: 25 * time.Millisecond, Rate: 100_000_000, QueueBytes: 625_000, Loss: netem.PPM(10_000)}
	for _, name := range cc.Names() {
		cfg := tcp.DefaultConfig(tcp.ProfileLinux)
		cfg.Congestion, _ = cc.ByName(name)
		entered, spurious := 0, 0
		cfg.Trace = trace.Func(func(ev *trace.Event) {
			switch ev.Why {
			case trace.WhyRecoveryEntered:
				entered++
			case trace.WhySpurious:
				spurious++
			}
		})
		acks := n
		acks.Loss = 0
		sendOver(t, 8<<20, HostConfig{Engine: engine.Config{TCP: cfg}}, n, acks)
		if entered < 5 || spurious > 0 {
			t.Errorf("%s: %d recoveries, %d taken back", name, entered, spurious)
		}
	}
}
