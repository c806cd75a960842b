package tcp_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// diary keeps what a connection tells of loss, in short, with sequence numbers
// that count from the first octet.
type diary struct {
	lines []string
	all   []trace.Event
	iss   uint32
}

// diaried is quiet with a diary.
func diaried(t *testing.T, opts ...tcptest.Option) (*tcptest.Conn, *diary) {
	t.Helper()
	var cfg *tcp.Config
	d := new(diary)
	p := quiet(t, append(opts, tcptest.Config(func(c *tcp.Config) { c.InitialWindow, cfg = 10, c }))...)
	var space tcp.Space
	p.TCB().Space(&space)
	d.iss = uint32(space.ISS)
	cfg.Trace = trace.Multi(cfg.Trace, trace.Func(d.note))
	return p, d
}

func (d *diary) note(ev *trace.Event) {
	d.all = append(d.all, *ev)
	from := int32(ev.Seq - d.iss - 1)
	switch ev.Kind {
	case trace.SegmentOut:
		if ev.Len > 0 {
			d.lines = append(d.lines, fmt.Sprintf("out %d+%d %v", from, ev.Len, ev.Why))
		}
	case trace.MarkedLost:
		d.lines = append(d.lines, fmt.Sprintf("lost %d+%d %v", from, ev.Len, ev.Why))
	case trace.Timer, trace.Congestion:
		d.lines = append(d.lines, fmt.Sprintf("%v %v", ev.Kind, ev.Why))
	}
}

// want compares what was told since the last call.
func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(d.lines, want) {
		t.Errorf("told:\n%q\nwant:\n%q", d.lines, want)
	}
	d.lines = nil
}

// Of a loss that SACK blocks show, the trace tells what is taken for lost and
// why, what is sent again and why, and the mode of recovery meanwhile.
func TestTraceFastRecovery(t *testing.T) {
	p, d := diaried(t)
	spread(p, 5, "0s")
	d.lines = nil
	p.At("100ms")
	p.Recv(sackLine(1, 2, 5))
	p.Drop()
	d.want(t, "lost 1000+1000 rack", "congestion recovery entered", "out 1000+1000 fast retransmit")
	p.At("200ms")
	p.Recv(sackLine(5))
	p.Drop()
	d.want(t, "congestion recovery left")
	modes := map[trace.Recovery]int{}
	for _, ev := range d.all {
		modes[ev.Recovery]++
		if ev.Kind == trace.SegmentOut && ev.Why == trace.WhyFastRetransmit && (ev.Recovery != trace.RecoveryFast || ev.Lost != 0 && ev.Lost != 1000) {
			t.Errorf("the retransmission is told with recovery %v, lost %d", ev.Recovery, ev.Lost)
		}
	}
	if modes[trace.RecoveryFast] == 0 || modes[trace.RecoveryNone] == 0 || modes[trace.RecoveryTimeout] > 0 {
		t.Errorf("events by mode of recovery: %v", modes)
	}
}

// Without RACK the grounds are those of RFC 6675.
func TestTraceDuplicates(t *testing.T) {
	p, d := diaried(t, noRACK)
	spread(p, 5, "0s")
	d.lines = nil
	p.At("100ms")
	p.Recv(sackLine(1, 2, 5))
	p.Drop()
	d.lines = d.lines[:min(3, len(d.lines))] // a rescue retransmission may follow, RFC 6675 §4
	d.want(t, "lost 1000+1000 duplicates", "congestion recovery entered", "out 1000+1000 fast retransmit")
}

// The timers of RACK-TLP are told when they pass, and what they send says so.
// RFC 8985 §6.2 and §7.3.
func TestTraceTimers(t *testing.T) {
	p, d := diaried(t, tcptest.TailLossProbes)
	p.Write(1000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(1)) // now the round trip is known
	spread(p, 3, "0s")
	d.lines = nil
	p.At("200ms")
	p.Recv(sackLine(1, 2, 3)) // one of three: it may only be late
	d.want(t)
	p.Advance("50ms")
	p.Drop()
	d.want(t, "timer reordering timer", "lost 1000+1000 reordering timer", "congestion recovery entered", "out 1000+1000 reordering timer")
	p.Recv(sackLine(4))
	p.Drop()
	p.Write(1000)
	p.Drop()
	d.lines = nil
	p.Advance("450ms")
	p.Drop()
	if !slices.Contains(d.lines, "timer tail loss probe") || !slices.Contains(d.lines, "out 4000+1000 tail loss probe") {
		t.Errorf("told %q", d.lines)
	}
}

// A timeout that was needless: new data goes first and says why, and the undo
// is told. RFC 5682 §3.
func TestTraceSpuriousTimeout(t *testing.T) {
	p, d := diaried(t)
	p.Write(30_000)
	p.Drop()
	d.lines = nil
	p.At("1s")
	p.Drop()
	if len(d.lines) < 4 || d.lines[0] != "timer retransmission timeout" || d.lines[1] != "lost 0+10000 retransmission timeout" ||
		d.lines[len(d.lines)-1] != "out 0+1000 retransmission timeout" {
		t.Fatalf("the timeout is told as %q", d.lines)
	}
	d.lines = nil
	p.Recv(sackLine(1))
	p.Drop()
	if len(d.lines) == 0 || d.lines[0] != "out 10000+2000 f-rto" {
		t.Errorf("after the first ACK: %q", d.lines)
	}
	d.lines = nil
	p.Recv(sackLine(2))
	p.Drop()
	if len(d.lines) == 0 || d.lines[0] != "congestion spurious" {
		t.Errorf("after an ACK of what was not sent again: %q", d.lines)
	}
}

// What is too long for the path is sent again for that reason.
func TestTracePathMTU(t *testing.T) {
	p, d := diaried(t)
	spread(p, 2, "0s")
	d.lines = nil
	p.Do("the path narrows", func(now mono.Time, c *tcp.TCB) { c.PathMTU(now, 65535, 600) })
	p.Drop()
	d.want(t, "lost 0+1000 path mtu", "lost 1000+1000 path mtu", "out 0+2000 path mtu")
}

// An event has the SACK blocks themselves, of segments in both directions, and
// the rates as far as they are known.
func TestTraceBlocksAndRates(t *testing.T) {
	p, d := diaried(t, tcptest.Pacing)
	p.Recv("< . 3001:4001(1000) ack 1")
	p.Recv("< . 1001:2001(1000) ack 1")
	p.Drop()
	out := d.all[len(d.all)-1]
	irs := out.Ack - 1
	if out.Kind != trace.SegmentOut || out.SACKBlocks != 2 || out.SACK[0] != [2]uint32{irs + 1001, irs + 2001} || out.SACK[1] != [2]uint32{irs + 3001, irs + 4001} {
		t.Errorf("our ACK is told as %+v", out)
	}
	spread(p, 3, "0s")
	p.At("100ms")
	p.Recv(sackLine(1, 2, 3))
	p.Drop()
	var in trace.Event
	for _, ev := range d.all {
		if ev.Kind == trace.SegmentIn && ev.SACKBlocks > 0 {
			in = ev
		}
	}
	if in.SACK[0] != [2]uint32{d.iss + 2001, d.iss + 3001} || in.Pacing == 0 {
		t.Errorf("the peer's ACK is told as %+v", in)
	}
	p.Write(1000)
	p.Drop()
	if last := d.all[len(d.all)-1]; last.Rate == 0 {
		t.Errorf("no delivery rate after an ACK: %+v", last)
	}
}

// Info counts what was lost, sent again, reported as a duplicate and taken back.
func TestInfoOfLoss(t *testing.T) {
	p, _ := diaried(t)
	spread(p, 8, "0s")
	p.At("100ms")
	p.Recv(sackLine(0, 3, 8)) // three are late
	p.Drop()
	i := p.Info()
	if i.BytesAgain != 3000 || i.Retransmits != 3 || i.LostBytes != 3000 || i.Lost != 0 || i.SACKed != 5000 || i.DSACKs != 0 {
		t.Errorf("in recovery: %d bytes and %d segments again, %d lost, %d of them still, %d SACKed, %d D-SACKs",
			i.BytesAgain, i.Retransmits, i.LostBytes, i.Lost, i.SACKed, i.DSACKs)
	}
	p.Recv(sackLine(8))
	p.Recv(sackLine(8, 0, 1))
	p.Recv(sackLine(8, 1, 2))
	p.Recv(sackLine(8, 2, 3))
	p.Drop()
	if i = p.Info(); i.DSACKs != 3 || i.Undos != 1 || i.BytesAgain != 3000 {
		t.Errorf("after reports of all three: %d D-SACKs, %d undone, %d bytes again", i.DSACKs, i.Undos, i.BytesAgain)
	}
}
