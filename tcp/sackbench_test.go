package tcp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// scattered returns a TCB whose scoreboard has n SACKed spans, one segment each,
// behind a hole of as much. Segments left a microsecond apart.
func scattered(tb testing.TB, n int, reordering bool, change func(*Config)) (c *TCB, now mono.Time) {
	cfg := DefaultConfig(ProfileLinux)
	cfg.NoTimestamps, cfg.NoPacing, cfg.SendBuffer = true, true, 64<<20
	cfg.InitialWindow = uint32(4*n + 100)
	change(cfg)
	c, now = new(TCB), mono.Start
	var seg Segment
	c.Open(now, cfg, &Params{ID: 1, ISS: 1<<32 - 5000, MSS: 1460})
	for c.Emit(now, &seg, 0) {
		continue
	}
	now = now.Add(10 * time.Millisecond)
	c.Arrive(now, &Segment{SEQ: 99, ACK: c.snd.ISS + 1, WND: 65535, Flags: wire.FlagSYN | wire.FlagACK,
		Opts: wire.TCPOptions{Has: wire.HasMSS | wire.HasSACKPermitted | wire.HasWScale, MSS: 1460, WScale: 11}})
	c.Arrive(now, &Segment{SEQ: 100, ACK: c.snd.ISS + 1, WND: 65535, Flags: wire.FlagACK})
	block := pkt.Bytes(make([]byte, 1460))
	for range 2*n + 2 {
		c.Queue(now, block)
		for c.Emit(now, &seg, 0) {
			continue
		}
		now = now.Add(time.Microsecond)
	}
	c.out.rack.reordering = reordering
	for k := range n {
		from := uint32(c.snd.UNA) + uint32(1460*(2*k+1))
		c.Arrive(now, sackACK(c, [2]uint32{from, from + 1460}))
		for c.Emit(now, &seg, 0) {
			continue
		}
	}
	return c, now
}

// sackACK is an ACK of nothing new with SACK blocks.
func sackACK(c *TCB, blocks ...[2]uint32) *Segment {
	s := &Segment{SEQ: c.rcv.NXT, ACK: c.snd.UNA, WND: 65535, Flags: wire.FlagACK}
	s.Opts.Has, s.Opts.NSACK = wire.HasSACK, uint8(copy(s.Opts.SACK[:], blocks))
	return s
}

// What an ACK with four SACK blocks costs, one of which has an octet of news,
// somewhere in a scoreboard of so many spans; RACK has found the losses, or waits
// for what may be late.
func BenchmarkACKWithSACK(b *testing.B) {
	for _, n := range []int{10, 1000, 4000} {
		for _, how := range []string{"RACK", "RACK-waiting", "RFC6675"} {
			b.Run(fmt.Sprintf("%s/spans=%d", how, n), func(b *testing.B) {
				c, now := scattered(b, n, how == "RACK-waiting", func(c *Config) { c.NoRACK = how == "RFC6675" })
				rnd := rand.New(rand.NewPCG(1, 1))
				base := uint32(c.snd.UNA)
				ends := make([]uint32, n)
				seg := sackACK(c)
				seg.Opts.NSACK = 4
				b.ReportAllocs()
				for b.Loop() {
					for i := range 4 {
						k := rnd.IntN(n)
						if i == 0 && ends[k] < 1400 {
							ends[k]++
						}
						from := base + uint32(1460*(2*k+1))
						seg.Opts.SACK[i] = [2]uint32{from, from + 1460 + ends[k]}
					}
					c.Arrive(now, seg)
				}
			})
		}
	}
}
