package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// traced is an ESTABLISHED connection and the events since it was opened.
func traced(t *testing.T, opts ...tcptest.Option) (*tcptest.Conn, *[]trace.Event) {
	t.Helper()
	var cfg *tcp.Config
	events := new([]trace.Event)
	p := tcptest.Closed(t, append(opts, tcptest.NoSACK, tcptest.Config(func(c *tcp.Config) { cfg = c }))...)
	cfg.Trace = trace.Multi(cfg.Trace, trace.Func(func(ev *trace.Event) { *events = append(*events, *ev) }))
	p.Open()
	p.Want("> S 0:0(0)")
	p.Recv("< S. 0:0(0) ack 1 win 65535 <mss 1000>")
	p.Want("> . 1:1(0) ack 1")
	return p, events
}

// The MSS of an event is a SYN's option, a super-segment's cut, and nothing
// else, whatever has been negotiated.
func TestTraceMSS(t *testing.T) {
	p, events := traced(t)
	p.Write(3000)
	p.Want("> P. 1:3001(3000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 3001 win 1000")
	var segments [3]int // SYNs, super-segments, others
	for _, ev := range *events {
		switch {
		case ev.Kind != trace.SegmentOut && ev.Kind != trace.SegmentIn:
			if ev.MSS != 0 {
				t.Errorf("%v has MSS %d", ev.Kind, ev.MSS)
			}
		case ev.Flags&wire.FlagSYN != 0:
			segments[0]++
			if ev.MSS != 1000 {
				t.Errorf("SYN %v: MSS %d, want the option's 1000", ev.Kind, ev.MSS)
			}
		case ev.Segs > 1:
			segments[1]++
			if ev.MSS != 1000 || ev.Segs != 3 {
				t.Errorf("super-segment: %d cuts of %d, want 3 of 1000", ev.Segs, ev.MSS)
			}
		default:
			segments[2]++
			if ev.MSS != 0 {
				t.Errorf("ordinary segment %v: MSS %d, want 0", ev.Kind, ev.MSS)
			}
		}
	}
	if segments != [3]int{2, 1, 2} {
		t.Errorf("traced %v SYNs, super-segments and others, want 2, 1, 2", segments)
	}
}

// A change of state tells a reason only where it has one of its own: not that
// of the segment that was last owed.
func TestTraceWhyOfStates(t *testing.T) {
	for _, x := range []struct {
		name string
		act  func(p *tcptest.Conn)
		to   tcp.State
		why  trace.Why
	}{
		{"close", func(p *tcptest.Conn) { p.Close(); p.Want("> F. 1:1(0) ack 2001") }, tcp.FinWait1, trace.WhyNone},
		{"reset", func(p *tcptest.Conn) { p.Recv("< R 2001:2001(0)") }, tcp.Closed, trace.WhyPeerReset},
		{"abort", func(p *tcptest.Conn) { p.Abort(); p.Want("> R. 1:1(0) ack 2001") }, tcp.Closed, trace.WhyAborted},
	} {
		t.Run(x.name, func(t *testing.T) {
			p, events := traced(t)
			p.Recv("< . 1:1001(1000) ack 1 win 1000")
			p.Recv("< P. 1001:2001(1000) ack 1 win 1000")
			p.Want("> . 1:1(0) ack 2001") // leaves a reason behind
			p.Read(2000)
			x.act(p)
			for _, ev := range *events {
				if ev.Kind != trace.StateChange || tcp.State(ev.From) != tcp.Established {
					continue
				}
				if tcp.State(ev.To) != x.to || ev.Why != x.why {
					t.Errorf("%v because of %v, want %v because of %v", tcp.State(ev.To), ev.Why, x.to, x.why)
				}
				return
			}
			t.Error("no change of state was traced")
		})
	}
}
