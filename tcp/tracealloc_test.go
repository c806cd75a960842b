package tcp

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// A connection that is traced allocates nothing for it, also while it recovers.
func TestTraceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	events := 0
	cfg := DefaultConfig(ProfileLinux)
	cfg.NoPacing = true
	cfg.Memory = NewMemory(pkt.NewBudget(1 << 30))
	cfg.Trace = trace.Func(func(ev *trace.Event) { events += int(ev.SACKBlocks) + 1 })
	var c TCB
	now := mono.Start
	c.Open(now, cfg, &Params{ID: 1, ISS: 1000, MSS: 1000})
	var seg Segment
	emit := func() {
		for c.Emit(now, &seg, 0) {
			seg.Data.Release()
		}
	}
	emit()
	ack := func(n Seq, blocks ...[2]Seq) {
		seg.Reset()
		seg.SEQ, seg.ACK, seg.Flags, seg.WND = 5001, n, wire.FlagACK, 60_000
		for i, b := range blocks {
			seg.Opts.SACK[i] = [2]uint32{uint32(b[0]), uint32(b[1])}
			seg.Opts.NSACK, seg.Opts.Has = uint8(i+1), wire.HasSACK
		}
		c.Arrive(now, &seg)
	}
	seg.Reset()
	seg.SEQ, seg.ACK, seg.Flags, seg.WND = 5000, 1001, wire.FlagSYN|wire.FlagACK, 60_000
	seg.Opts.MSS, seg.Opts.Has = 1000, wire.HasMSS|wire.HasSACKPermitted
	c.Arrive(now, &seg)
	buf := make([]byte, 1000)
	round := func() { // the first of all segments is lost
		for range 5 {
			c.Queue(now, pkt.Ref{B: buf})
		}
		emit()
		now = now.Add(10 * time.Millisecond)
		if c.snd.MAX.Sub(c.snd.UNA) > 1000 {
			ack(c.snd.UNA, [2]Seq{c.snd.UNA + 1000, c.snd.MAX})
			now = now.Add(5 * time.Millisecond)
			c.Advance(now)
			emit()
		}
		for c.snd.UNA != c.sndEnd() {
			now = now.Add(10 * time.Millisecond)
			ack(c.snd.MAX)
			emit()
		}
	}
	for range 50 {
		round()
	}
	before := events
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per round", n)
	}
	if events < before+1000 {
		t.Errorf("only %d events", events-before)
	}
}
