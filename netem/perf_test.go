package netem

import (
	"testing"

	"github.com/handfast/handfast/mono"
)

func TestSendDoesNotAllocate(t *testing.T) {
	w := New(parse(t, everything), 1)
	now := mono.Start
	n := testing.AllocsPerRun(10_000, func() {
		now = now.Add(80 * us)
		w.Send(now, 1000)
	})
	if n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkSend(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"clean", "clean"},
		{"ordinary", "rate 100mbit queue 64kb delay 10ms loss 1%"},
		{"everything", everything},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := New(parse(b, bb.text), 1)
			now := mono.Start
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(90 * us)
				w.Send(now, 1000)
			}
		})
	}
}
