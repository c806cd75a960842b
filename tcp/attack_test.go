package tcp_test

import (
	"math/rand/v2"
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// newRand returns a generator that a failing test's seed repeats.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 99)) }

// bytesView returns n octets that the garbage collector owns.
func bytesView(n int) pkt.View { return pkt.View{pkt.Bytes(make([]byte, n))} }

// plainTCB returns an ESTABLISHED TCB under the RFC profile without options,
// with a window of 65535 on both sides, for tests with more segments than a
// conversation can hold.
func plainTCB(t testing.TB) (*tcp.TCB, mono.Time) {
	cfg := tcp.DefaultConfig(tcp.ProfileRFC)
	cfg.NoSACK, cfg.NoTimestamps, cfg.NoWindowScale = true, true, true
	return openTCB(t, cfg, &wire.TCPOptions{MSS: 1460, Has: wire.HasMSS})
}

// openTCB returns a TCB after an active open towards a peer with these options.
func openTCB(t testing.TB, cfg *tcp.Config, peer *wire.TCPOptions) (*tcp.TCB, mono.Time) {
	c, now := new(tcp.TCB), mono.Start
	var seg tcp.Segment
	c.Open(now, cfg, &tcp.Params{ID: 1, ISS: 1<<32 - 5000, MSS: 1460})
	for c.Emit(now, &seg, 65000) {
		continue
	}
	c.Arrive(now, &tcp.Segment{SEQ: 1<<32 - 3, ACK: 1<<32 - 4999, WND: 65535, Flags: wire.FlagSYN | wire.FlagACK, Opts: *peer})
	for c.Emit(now, &seg, 65000) {
		continue
	}
	if c.State() != tcp.Established {
		t.Fatalf("the handshake ended in %v", c.State())
	}
	return c, now
}

// space returns a snapshot of a TCB's sequence spaces.
func space(c *tcp.TCB) (s tcp.Space) {
	c.Space(&s)
	return s
}
