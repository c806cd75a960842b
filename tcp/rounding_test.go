package tcp

import (
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// What the scale cannot express does not shrink the window, and does not let it grow without bound. RFC 7323 §2.4.
//
// A window that nobody reads comes to an end after the buffer and one unit. To
// that end what is announced is rounded down at last, by less than a unit; what
// was offered once is taken all the same.
func TestR7323_2_4_Rounding(t *testing.T) {
	const size, scale = 7 * 1460, 7
	const unit = 1 << scale
	cfg := DefaultConfig(ProfileRFC)
	cfg.NoTimestamps, cfg.WindowScale, cfg.ReceiveBuffer = true, scale, size
	for _, n := range []int{1, 50, 100, 127, 128, 129, 300, 1460} {
		p := newPair(t, cfg)
		for p.b.State() != Established {
			p.step()
		}
		c := &p.b
		var pool pkt.Pool
		var s Segment
		first := c.rcv.NXT
		edge, announced := c.rcv.edge, first
		for int(c.rcv.queue.n) < 2*size {
			before := c.rcv.queue.n
			k := pool.Chunk(n)
			c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 1000, Flags: wire.FlagACK, Data: pkt.View{k.Ref(k.Bytes()[:n])}})
			c.owe(pendACK, 0)
			for c.Emit(p.now, &s, 65000) {
				if a := s.ACK + Seq(s.WND)<<scale; a.Add(unit).LessEq(announced) {
					t.Fatalf("segments of %d: the announced edge went from %d to %d", n, announced-first, a-first)
				} else {
					announced = a
				}
			}
			if c.rcv.edge.Less(edge) {
				t.Fatalf("segments of %d: the right edge went from %d to %d", n, edge-first, c.rcv.edge-first)
			}
			edge = c.rcv.edge
			if c.rcv.queue.n == before {
				break // the window is closed
			}
		}
		if got := int(c.rcv.queue.n); got <= size-unit || got > size+unit {
			t.Errorf("segments of %d: %d octets were taken for a buffer of %d", n, got, size)
		}
		c.rcv.queue.release()
	}
}
