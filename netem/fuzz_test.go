package netem

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// No sequence of sizes, times and configurations breaks the wire.
func FuzzWire(f *testing.F) {
	f.Add(everything, "down", uint64(1), int64(mono.Start), []byte{0, 1, 200, 255, 7, 7})
	f.Add("rate 1bit", "rate 10tbit queue 1p", uint64(2), int64(1<<62), []byte{255, 255, 255, 0, 0, 255})
	f.Add("police 1bit 100mb", "clean", uint64(3), int64(-1<<62), []byte{9, 9, 9})
	f.Fuzz(func(t *testing.T, first, second string, seed uint64, start int64, steps []byte) {
		c1, err1 := ParseConfig(first)
		c2, err2 := ParseConfig(second)
		if err1 != nil || err2 != nil || start > 1<<62 || start < -1<<62 {
			return
		}
		w := New(c1, seed)
		now := mono.Time(start)
		for i, b := range steps {
			if i == len(steps)/2 {
				w.SetConfig(c2)
			}
			now = now.Add(time.Duration(b>>4) * time.Duration(b) * time.Duration(b) * us)
			size := int(b&15) << (b & 15)
			fate := w.Send(now, size)
			if (fate.N == 0) != (fate.Reason != Delivered) || fate.N > MaxCopies {
				t.Fatalf("step %d: %+v", i, fate)
			}
			for _, at := range fate.At[:fate.N] {
				if at < now {
					t.Fatalf("step %d: sent at %v, arrives at %v", i, now, at)
				}
			}
			if fate.Corrupt && (fate.Bit < 0 || fate.Bit >= 8*size) {
				t.Fatalf("step %d: %+v of %d bytes", i, fate, size)
			}
		}
		if c := w.Counters(); c.Passed+c.Drops() != c.Packets || c.Packets != uint64(len(steps)) {
			t.Fatalf("counters %+v after %d packets", c, len(steps))
		}
	})
}
