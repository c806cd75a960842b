package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// Worlds as TestSeeds runs them.
func BenchmarkSeeds(b *testing.B) {
	events := uint64(0)
	for i := range b.N {
		r := Run(Generate(uint64(i%500 + 1)))
		if r.Err != nil {
			b.Fatal(r.Err)
		}
		events += r.Events
	}
	b.ReportMetric(float64(events)/float64(b.N), "events/op")
}

// One megabyte in packets of 1500 bytes, rules checked after each event.
func BenchmarkBulk(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(1 << 20)
	n := netem.Config{Delay: 50 * time.Microsecond, Rate: 10_000_000_000}
	for range b.N {
		send(b, 1<<20, HostConfig{Engine: engine.Config{TCP: bigBuffers(tcp.ProfileLinux)}}, n)
	}
}
