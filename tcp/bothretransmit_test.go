package tcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
)

// Data in both directions over a wire that loses segments. When both ends have
// gone back to SND.UNA, each has received what lies between the other's SND.NXT
// and SND.MAX: an ACK with SEQ=SND.NXT would be unacceptable to both, and
// neither would hear the other again. RFC 9293 §3.10.7.4, first step.
func TestBothEndsRetransmit(t *testing.T) {
	const size = 300_000
	for seed := range uint64(40) {
		cfg := DefaultConfig(ProfileLinux)
		cfg.ReceiveBuffer = 2 * size // nobody reads
		p := newPair(t, cfg)
		for p.a.State() != Established || p.b.State() != Established {
			if !p.step() {
				t.Fatal("no handshake")
			}
		}
		p.a.Queue(p.now, pkt.Bytes(make([]byte, size)))
		p.b.Queue(p.now, pkt.Bytes(make([]byte, size)))
		rng := rand.New(rand.NewPCG(seed, 0))
		p.lose = func() bool { return rng.Uint64N(100) < 8 }
		for end := p.now.Add(10 * time.Minute); p.a.Queued()+p.b.Queued() > 0; {
			if !p.step() || p.now > end || p.a.State() == Closed || p.b.State() == Closed {
				t.Fatalf("seed %d: after %v a waits for %d octets, b for %d; %v, %v",
					seed, p.now, p.a.Queued(), p.b.Queued(), p.a.Err(), p.b.Err())
			}
		}
		if n, m := p.a.Buffered(), p.b.Buffered(); n != size || m != size {
			t.Errorf("seed %d: %d and %d octets arrived, want %d", seed, n, m, size)
		}
	}
}
