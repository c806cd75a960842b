package ladder

import (
	"strings"
	"testing"

	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// A ladder shows the SACK blocks themselves, in the numbers of the side whose
// data they are about, what is taken for lost, and which timer of RACK-TLP sent
// something again.
func TestSACKAndProbes(t *testing.T) {
	var b Builder
	const left, right = 4_000_000_000, 70_000
	seg := func(side Side, at float64, why trace.Why, seq, ack, n uint32, blocks ...[2]uint32) {
		isn, peer := uint32(left), uint32(right)
		if side == Right {
			isn, peer = peer, isn
		}
		ev := trace.Event{At: ms(at), Kind: trace.SegmentOut, Why: why, From: 4, To: 4, Flags: wire.FlagACK, Seq: isn + seq, Ack: peer + ack, Len: n, Window: 65535}
		for i, x := range blocks {
			ev.SACK[i] = [2]uint32{peer + x[0], peer + x[1]}
			ev.SACKBlocks++
		}
		b.Add(side, &ev)
		if why == trace.WhyNewData && seq == 1 { // the one that is lost
			return
		}
		ev.Kind, ev.At = trace.SegmentIn, ms(at+10)
		b.Add(side.Other(), &ev)
	}
	for i, side := range []Side{Left, Right} { // so that numbers count from the SYNs
		ev := trace.Event{At: ms(float64(i)), Kind: trace.SegmentOut, From: 4, To: 4, Flags: wire.FlagSYN, Seq: []uint32{left, right}[i]}
		b.Add(side, &ev)
	}
	seg(Left, 20, trace.WhyNewData, 1, 1, 1000)
	seg(Left, 20, trace.WhyNewData, 1001, 1, 1000)
	seg(Right, 30, trace.WhyDuplicateACK, 1, 1, 0, [2]uint32{1001, 2001}, [2]uint32{3001, 4001})
	b.Add(Left, &trace.Event{At: ms(45), Kind: trace.MarkedLost, Why: trace.WhyReordering, From: 4, To: 4, Seq: left + 1, Len: 1000})
	seg(Left, 45, trace.WhyReordering, 1, 1, 1000)
	seg(Right, 55, trace.WhyACK, 1, 2001, 0)
	seg(Left, 65, trace.WhyTailLossProbe, 1001, 1, 1000)
	seg(Left, 70, trace.WhyTailLossProbe, 2001, 1, 500)
	text := strings.Join(Draw(b.Steps(), Options{Width: 100, ASCII: true}), "\n")
	for _, want := range []string{
		". 1:1(0) ack 1 win 65535 sack 1001:2001 3001:4001 --",
		"* lost 1:1001 (reordering timer)",
		"== . 1:1001(1000) ack 1 win 65535 (RACK) ==",
		"== . 1001:2001(1000) ack 1 win 65535 (TLP) ==",
		"-- . 2001:2501(500) ack 1 win 65535 (TLP) --",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	narrow := strings.Join(Draw(b.Steps(), Options{Width: 72, ASCII: true}), "\n")
	if !strings.Contains(narrow, "sack 1001:2001 ...") {
		t.Errorf("where room is short the first block should stay:\n%s", narrow)
	}
}

// A run of ordinary steps ends where the first SACK block comes, so that folding
// does not hide it.
func TestFoldShowsFirstSACK(t *testing.T) {
	var steps []Step
	for i := range 20 {
		s := Step{At: ms(float64(i)), From: Side(i % 2), Flags: wire.FlagACK, Seq: uint32(i), States: [2]uint8{4, 4}}
		if i%2 == 1 && i > 8 {
			s.NSACK, s.SACK[0] = 1, [2]uint32{100, uint32(200 + i)}
		}
		steps = append(steps, s)
	}
	text := strings.Join(Draw(steps, Options{Fold: 3, ASCII: true}), "\n")
	for _, want := range []string{"sack 100:209", "sack 100:219"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "sack 100:213") {
		t.Errorf("not folded:\n%s", text)
	}
}

// An Observer reads the blocks of a capture.
func TestObserverSACK(t *testing.T) {
	var o Observer
	opts := wire.TCPOptions{Has: wire.HasSACK, NSACK: 1, SACK: [4][2]uint32{{5101, 5201}}}
	b := make([]byte, wire.TCPMinLen+opts.Len())
	wire.PutTCP(b, 1, 2, 900, 5001, wire.FlagACK, 100, 0)
	opts.Put(b[wire.TCPMinLen:])
	b[12] = b[12]&0x0f | uint8(len(b)/4)<<4
	seg, err := wire.ParseTCP(b)
	if err != nil {
		t.Fatal(err)
	}
	if s := o.Add(ms(1), Left, seg, 0); s.NSACK != 1 || s.SACK[0] != [2]uint32{101, 201} {
		t.Errorf("%d blocks, %v", s.NSACK, s.SACK)
	}
	o = Observer{Absolute: true}
	if s := o.Add(ms(1), Left, seg, 0); s.NSACK != 1 || s.SACK[0] != [2]uint32{5101, 5201} {
		t.Errorf("absolute: %d blocks, %v", s.NSACK, s.SACK)
	}
}
