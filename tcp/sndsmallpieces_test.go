package tcp

import (
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Bytes that lie in many small pieces leave as soon as as many bytes in one
// piece would: a segment refers to two pieces at most, but that is no reason to
// wait for more data. RFC 9293 §3.8.6.2.1.
func TestSmallPiecesDoNotWait(t *testing.T) {
	p := established(t)
	c := &p.a
	start := c.snd.NXT
	for range 20 {
		c.Queue(p.now, pkt.Bytes(make([]byte, 300)))
	}
	var s Segment
	for range 20 {
		for c.Emit(p.now, &s, 65000) {
			if n := s.Data.Len(); n < 300 || n > 600 {
				t.Errorf("%v: %d bytes", &s, n)
			}
		}
		if c.has(fPersist) {
			t.Errorf("at %d: the rest waits for the override timer", c.snd.MAX-start)
		}
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.MAX, WND: 65535, Flags: wire.FlagACK})
	}
	if got := c.snd.MAX.Sub(start); got != 6000 {
		t.Errorf("%d of 6000 bytes have left", got)
	}
}
