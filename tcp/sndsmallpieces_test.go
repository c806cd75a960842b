package tcp

import (
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Bytes that lie in many small pieces leave when as many bytes in one piece
// would: a segment refers to two pieces at most, but that is no reason to wait.
// RFC 9293 §3.8.6.2.1.
func TestSmallPiecesDoNotWait(t *testing.T) {
	for _, size := range []int{10, 300, 1000, 1459} {
		p := established(t)
		c := &p.a
		start := c.snd.NXT
		c.Queue(p.now, pkt.Bytes(make([]byte, 100)))
		var s Segment
		c.Emit(p.now, &s, 65000)
		total := 0
		for total+size < 4000 { // below cwnd
			c.Queue(p.now, pkt.Bytes(make([]byte, size)))
			total += size
		}
		for c.Emit(p.now, &s, 65000) {
			if n := s.Data.Len(); n > 2*size {
				t.Errorf("pieces of %d: %v has %d bytes", size, &s, n)
			}
		}
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.MAX, WND: 65535, Flags: wire.FlagACK})
		for c.Emit(p.now, &s, 65000) {
			continue
		}
		if got := c.snd.MAX.Sub(start); got != 100+total {
			t.Errorf("pieces of %d: %d of %d bytes have left", size, got, 100+total)
		}
	}
}
