package engine

import (
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// toTimeWaitPeer brings a connection into TIME-WAIT at our end.
func toTimeWaitPeer(t *testing.T, h *Harness, port uint16) (*peer, *Conn) {
	t.Helper()
	p, c := dialPeer(t, h, at(us4, port), at(them4, 80))
	h.Shutdown(c, false, true)
	p.ack++
	p.send(wire.FlagACK|wire.FlagFIN, "")
	h.Sent()
	if h.State(c) != tcp.TimeWait {
		t.Fatalf("%v, want TIME-WAIT", h.State(c))
	}
	return p, c
}

// Records are bounded; the oldest gives way.
func TestTimeWaitLimit(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{Limits: Limits{TimeWait: 3}}})
	var all []*Conn
	for port := range uint16(5) {
		_, c := toTimeWaitPeer(t, h, 4000+port)
		all = append(all, c)
	}
	for i, c := range all {
		want := tcp.TimeWait
		if i < 2 {
			want = tcp.Closed
		}
		if h.State(c) != want {
			t.Errorf("connection %d: %v, want %v", i, h.State(c), want)
		}
	}
	wantCount(t, h, TimeWaitOverflow, 2)
}

// Records end 60 s after the last FIN, in whatever order those come.
func TestTimeWaitEnds(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, first := toTimeWaitPeer(t, h, 4000)
	h.Advance(10 * time.Second)
	_, second := toTimeWaitPeer(t, h, 4001)
	h.Advance(10 * time.Second)
	p.seq--
	p.send(wire.FlagACK|wire.FlagFIN, "") // again: starts anew
	if s := one(t, h); s.Flags != wire.FlagACK {
		t.Errorf("the FIN again is answered by %v", s.String())
	}
	for _, x := range []struct {
		after         time.Duration
		first, second tcp.State
	}{{49 * time.Second, tcp.TimeWait, tcp.TimeWait}, {2 * time.Second, tcp.TimeWait, tcp.Closed}, {8 * time.Second, tcp.TimeWait, tcp.Closed}, {2 * time.Second, tcp.Closed, tcp.Closed}} {
		h.Advance(x.after)
		if h.State(first) != x.first || h.State(second) != x.second {
			t.Errorf("%v: %v and %v, want %v and %v", h.Now(), h.State(first), h.State(second), x.first, x.second)
		}
	}
	if d := h.E.Deadline(); d != 0 {
		t.Errorf("a deadline is left: %v", d)
	}
}

// A flow in TIME-WAIT is opened again by us after a second, with timestamps:
// sequence numbers and timestamps are beyond those of the old incarnation. RFC
// 6191 §2, RFC 9293 §3.4.1.
func TestTimeWaitReopened(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	ts := func(p *peer) { // answers with timestamps
		c, err := h.Dial(DialConfig{Local: at(us4, 4000), Remote: at(them4, 80)})
		if err != nil {
			t.Fatal(err)
		}
		s := one(t, h)
		p.us, p.them, p.seq, p.ack, p.wnd = s.Src, s.Dst, 1000, s.SEQ+1, 64000
		a := p.seg(wire.FlagSYN|wire.FlagACK, "")
		a.Opts.Has, a.Opts.TSVal, a.Opts.TSEcr = wire.HasTimestamps, 1, s.Opts.TSVal
		h.Inject(a.raw())
		p.seq++
		h.Shutdown(c, false, true)
		p.ack++
		f := p.seg(wire.FlagACK|wire.FlagFIN, "")
		f.Opts.Has, f.Opts.TSVal, f.Opts.TSEcr = wire.HasTimestamps, 2, s.Opts.TSVal
		h.Inject(f.raw())
		h.Sent()
		if h.State(c) != tcp.TimeWait {
			t.Fatalf("%v", h.State(c))
		}
	}
	p := &peer{t: t, h: h}
	ts(p)
	again := func() error {
		_, err := h.Dial(DialConfig{Local: at(us4, 4000), Remote: at(them4, 80)})
		return err
	}
	if err := again(); err != ErrAddrInUse {
		t.Errorf("at once: %v, want %v", err, ErrAddrInUse)
	}
	h.Advance(time.Second)
	old := p.ack
	if err := again(); err != nil {
		t.Fatalf("after a second: %v", err)
	}
	if s := one(t, h); int32(s.SEQ-old) <= 0 {
		t.Errorf("ISS %d is not beyond %d", s.SEQ, old)
	}
	wantCount(t, h, TimeWaitReused, 1)
	// Without timestamps nothing tells the incarnations apart.
	h2 := newTestHarness(t, HarnessConfig{})
	toTimeWaitPeer(t, h2, 4000)
	h2.Advance(59 * time.Second)
	if _, err := h2.Dial(DialConfig{Local: at(us4, 4000), Remote: at(them4, 80)}); err != ErrAddrInUse {
		t.Errorf("without timestamps: %v, want %v", err, ErrAddrInUse)
	}
}

// churn opens and closes connections to one port at a rate and returns how many
// failed for want of a port.
func churn(t *testing.T, p *pair, n, perSecond int, serverFirst bool) (failed int) {
	t.Helper()
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	some := make([]*Conn, 64)
	for i := range n {
		ca, err := p.a.Dial(p.now.now, &DialConfig{Remote: at(them4, 80)})
		if err == ErrNoPorts {
			failed++
			p.advance(time.Second / time.Duration(perSecond))
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		p.step()
		cb := l.Accept()
		if cb == nil {
			t.Fatalf("connection %d: %v, nothing to accept", i, ca.State())
		}
		first, second := ca, cb
		if serverFirst {
			first, second = cb, ca
		}
		first.Close(p.now.now)
		p.step()
		second.Close(p.now.now)
		p.step()
		if ca.State() == tcp.Established || cb.State() == tcp.Established {
			t.Fatalf("connection %d: %v and %v after both have closed", i, ca.State(), cb.State())
		}
		drainReady(p.a, some)
		drainReady(p.b, some)
		p.advance(time.Second / time.Duration(perSecond))
	}
	return failed
}

// T-RES-09: 40,000 connections a second to one port do not run out of the
// 28,232 ports of the range, whichever end closes first.
func TestConnectionChurn(t *testing.T) {
	n := 100_000
	if raceEnabled || testing.Short() {
		n = 35_000
	}
	for _, serverFirst := range []bool{false, true} {
		if serverFirst && raceEnabled {
			continue // one is slow enough
		}
		p := newPair(t, Config{}, 0)
		if failed := churn(t, p, n, 40_000, serverFirst); failed > 0 {
			t.Errorf("server first %v: %d of %d connections found no port", serverFirst, failed, n)
		}
		var sa, sb Stats
		p.a.Stats(&sa)
		p.b.Stats(&sb)
		if got := sb.Count[TCPPassiveOpens]; got != uint64(n) {
			t.Errorf("server first %v: %d connections, want %d", serverFirst, got, n)
		}
		if most := DefaultLimits().TimeWait; sa.TimeWait > most || sb.TimeWait > most {
			t.Errorf("server first %v: %d and %d records, at most %d", serverFirst, sa.TimeWait, sb.TimeWait, most)
		}
		if sa.Connections+sb.Connections != 0 {
			t.Errorf("server first %v: %d and %d connections are left", serverFirst, sa.Connections, sb.Connections)
		}
	}
}

// When all ports of the range rest in TIME-WAIT, Dial fails at once; a second
// later the first of them can be used again.
func TestPortsExhausted(t *testing.T) {
	p := newPair(t, Config{Limits: Limits{TimeWait: 1 << 16}}, 0)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	p.a.ports.setRange(40000, 40099)
	for range 100 {
		ca, cb := p.connect(t, l)
		ca.Close(p.now.now)
		p.step()
		cb.Close(p.now.now)
		p.step()
	}
	dial := func() error {
		_, err := p.a.Dial(p.now.now, &DialConfig{Remote: at(them4, 80)})
		return err
	}
	if err := dial(); err != ErrNoPorts {
		t.Errorf("all are used: %v, want %v", err, ErrNoPorts)
	}
	if _, err := p.a.Dial(p.now.now, &DialConfig{Remote: at(them4, 81)}); err != nil {
		t.Errorf("to another port: %v", err)
	}
	p.advance(time.Second)
	if err := dial(); err != nil {
		t.Errorf("after a second: %v", err)
	}
}
