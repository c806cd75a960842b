package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// wantListen fails the test unless listening on each of some addresses ends in
// an error, nil for none. Nothing is left listening.
func wantListen(t *testing.T, h *Harness, what string, want error, local ...string) {
	t.Helper()
	for _, a := range local {
		l, err := h.Listen(ListenConfig{Local: netip.MustParseAddrPort(a)})
		if err != want {
			t.Errorf("%s: listen on %s: %v, want %v", what, a, err, want)
		}
		if err == nil {
			h.CloseListener(l)
		}
	}
}

// A connection that was given its local port holds it until it ends, however
// it ends, and TIME-WAIT does not: a server that starts again gets its port.
func TestDialHoldsItsPort(t *testing.T) {
	all := []string{"10.0.0.1:5000", "0.0.0.0:5000", "[::]:5000"}
	for _, x := range []struct {
		how  string
		end  func(h *Harness, p *peer, c *Conn)
		want tcp.State
	}{
		{"aborted", func(h *Harness, p *peer, c *Conn) { h.Abort(c) }, tcp.Closed},
		{"reset", func(h *Harness, p *peer, c *Conn) { p.send(wire.FlagRST, "") }, tcp.Closed},
		{"given up", func(h *Harness, p *peer, c *Conn) { h.Write(c, []byte("x")); h.Advance(time.Hour) }, tcp.Closed},
		{"closed by us", func(h *Harness, p *peer, c *Conn) {
			h.Close(c)
			p.ack++
			p.send(wire.FlagACK|wire.FlagFIN, "")
		}, tcp.TimeWait},
	} {
		h := newTestHarness(t, HarnessConfig{})
		p, c := dialPeer(t, h, at(us4, 5000), at(them4, 80))
		wantListen(t, h, "open", ErrAddrInUse, all...)
		wantListen(t, h, "open", nil, "10.0.0.1:5001", "[fd00::1]:5000")
		if _, err := h.Dial(DialConfig{Local: at(us4, 5000), Remote: at(them4, 80)}); err != ErrAddrInUse {
			t.Errorf("the same flow again: %v, want %v", err, ErrAddrInUse)
		}
		x.end(h, p, c)
		if h.State(c) != x.want {
			t.Fatalf("%s: %v, want %v", x.how, h.State(c), x.want)
		}
		wantListen(t, h, x.how, nil, all...)
		if n := h.E.binds.len(); n != 0 {
			t.Errorf("%s: %d ports are held for ever", x.how, n)
		}
	}
	h := newTestHarness(t, HarnessConfig{}) // an attempt that is refused
	mustDial(t, h, at(us4, 5000), at(them4, 80))
	s := one(t, h)
	h.Inject((&wireSegment{Src: s.Dst, Dst: s.Src, ACK: s.SEQ + 1, Flags: wire.FlagRST | wire.FlagACK}).raw())
	wantListen(t, h, "refused", nil, all...)
}

// Connections share a local port when they go to different ends: RFC 9293
// §3.3.1 tells connections apart by both. The last of them gives it back.
func TestDialsShareAPort(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	a, b := mustDial(t, h, at(us4, 5000), at(them4, 80)), mustDial(t, h, at(us4, 5000), at(them4, 81))
	h.Abort(a)
	wantListen(t, h, "one of two left", ErrAddrInUse, "10.0.0.1:5000")
	h.Abort(b)
	wantListen(t, h, "none left", nil, "10.0.0.1:5000")
}

// Nobody connects from a port that is listened on, as on Linux, whatever the
// listener allowed. Afterwards the port is free.
func TestDialFromAListenersPort(t *testing.T) {
	for _, local := range []string{"10.0.0.1:5000", "0.0.0.0:5000", "[::]:5000"} {
		for _, reuse := range []bool{false, true} {
			h := newTestHarness(t, HarnessConfig{})
			l, err := h.Listen(ListenConfig{Local: netip.MustParseAddrPort(local), ReuseAddr: reuse})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Dial(DialConfig{Local: at(us4, 5000), Remote: at(them4, 80)}); err != ErrAddrInUse {
				t.Errorf("%s: dial: %v, want %v", local, err, ErrAddrInUse)
			}
			_, c := acceptPeer(t, h, l, at(us4, 5000), at(them4, 4000)) // which holds nothing
			h.CloseListener(l)
			mustDial(t, h, at(us4, 5000), at(them4, 80))
			if c.State() != tcp.Established {
				t.Errorf("%s: %v", local, c.State())
			}
		}
	}
}

// ReuseAddr lets a listener have the port of connections, and no second
// listener; when it has gone, connections share the port again.
func TestListenReuseAddr(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	c := mustDial(t, h, at(us4, 5000), at(them4, 80))
	reuse := ListenConfig{Local: at(us4, 5000), ReuseAddr: true}
	for range 2 {
		l, err := h.Listen(reuse)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Listen(reuse); err != ErrAddrInUse {
			t.Errorf("a second listener: %v, want %v", err, ErrAddrInUse)
		}
		if _, err := h.Dial(DialConfig{Local: at(us4, 5000), Remote: at(them4, 81)}); err != ErrAddrInUse {
			t.Errorf("dial beside a listener: %v, want %v", err, ErrAddrInUse)
		}
		h.CloseListener(l)
		h.Abort(mustDial(t, h, at(us4, 5000), at(them4, 82)))
	}
	h.Abort(c)
	if n := h.E.binds.len(); n != 0 {
		t.Errorf("%d ports are held for ever", n)
	}
}

// No ephemeral port is one that a connection was given.
func TestEphemeralAvoidsGivenPorts(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	h.E.ports.setRange(40000, 40001)
	mustDial(t, h, at(us4, 40000), at(them4, 80))
	if c := mustDial(t, h, netip.AddrPort{}, at(them4, 81)); c.LocalAddr().Port() != 40001 {
		t.Errorf("from port %d", c.LocalAddr().Port())
	}
	if _, err := h.Dial(DialConfig{Remote: at(them4, 81)}); err != ErrNoPorts {
		t.Errorf("%v, want %v", err, ErrNoPorts)
	}
}
