package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// syn makes a SYN to port 80.
func syn(from netip.AddrPort, seq uint32) []byte {
	return (&wireSegment{Src: from, Dst: at(us4, 80), SEQ: seq, Flags: wire.FlagSYN, WND: 64000}).raw()
}

// A backlog of n lets n+1 completed handshakes wait, as on Linux; then SYNs and
// the last ACKs of handshakes are dropped, and a place that becomes free is used.
func TestBacklog(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l, err := h.Listen(ListenConfig{Local: at(us4, 80), Backlog: 2})
	if err != nil {
		t.Fatal(err)
	}
	var waiting []*peer
	for i := range 4 { // the fourth is half-open when the queue fills up
		p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, uint16(4000+i)), seq: 1, wnd: 64000}
		p.send(wire.FlagSYN, "")
		p.ack = one(t, h).SEQ + 1
		waiting = append(waiting, p)
	}
	for _, p := range waiting {
		p.send(wire.FlagACK, "")
	}
	if accept, half := l.Pending(); accept != 3 || half != 1 {
		t.Errorf("%d wait and %d are half-open, want 3 and 1", accept, half)
	}
	nothing(t, h, "a dropped ACK")
	h.Inject(syn(at(them4, 5000), 1))
	nothing(t, h, "a SYN when the queue is full")
	wantCount(t, h, ListenOverflow, 2)
	if c := h.Accept(l); c == nil || c.RemoteAddr().Port() != 4000 {
		t.Errorf("accepted %v, want the oldest", c)
	}
	h.Advance(time.Second) // the SYN-ACK again
	if s := one(t, h); s.Dst.Port() != 4003 || s.Flags != wire.FlagSYN|wire.FlagACK {
		t.Fatalf("sent %v", s.String())
	}
	waiting[3].send(wire.FlagACK, "")
	if accept, half := l.Pending(); accept != 3 || half != 0 {
		t.Errorf("%d wait and %d are half-open, want 3 and 0", accept, half)
	}
}

// Connections are accepted in the order in which their handshakes completed,
// however many have passed.
func TestAcceptOrder(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	open := func(port uint16) {
		p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, port), seq: 1, wnd: 64000}
		p.send(wire.FlagSYN, "")
		p.ack = one(t, h).SEQ + 1
		p.send(wire.FlagACK, "")
	}
	next := uint16(1000)
	for i := range uint16(500) {
		open(1000 + i)
		if i%3 != 0 {
			c := h.Accept(l)
			if c == nil || c.RemoteAddr().Port() != next {
				t.Fatalf("accepted %v, want port %d", c, next)
			}
			next++
		}
	}
	var some [4]*Listener
	if n := h.E.ReadyListeners(some[:]); n != 1 || some[0] != l {
		t.Errorf("%d listeners are ready", n)
	}
	for c := h.Accept(l); c != nil; c = h.Accept(l) {
		if c.RemoteAddr().Port() != next {
			t.Fatalf("accepted port %d, want %d", c.RemoteAddr().Port(), next)
		}
		next++
	}
	if next != 1500 {
		t.Errorf("the last is %d", next)
	}
}

// A half-open record sends its SYN-ACK again at 1, 3, 7, 15 and 31 s and is
// given up at 63 s, as on Linux.
func TestSYNACKRetransmission(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	start := h.Now()
	h.Inject(syn(at(them4, 4000), 1))
	h.Advance(2 * time.Minute)
	var times []time.Duration
	for _, s := range h.Sent() {
		times = append(times, s.At.Sub(start)/time.Second)
	}
	want := []time.Duration{0, 1, 3, 7, 15, 31}
	if len(times) != len(want) {
		t.Fatalf("SYN-ACKs at %v s, want %v", times, want)
	}
	for i := range want {
		if times[i] != want[i] {
			t.Errorf("SYN-ACK %d at %d s, want %d", i, times[i], want[i])
		}
	}
	if _, half := l.Pending(); half != 0 {
		t.Errorf("%d half-open records are left", half)
	}
	wantCount(t, h, HalfOpenTimeout, 1)
	wantCount(t, h, SYNACKsSent, 6)
}

// Closing a listener resets what nobody accepted, forgets what is half-open,
// and leaves alone what was accepted.
func TestCloseListener(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	_, accepted := acceptPeer(t, h, l, at(us4, 80), at(them4, 4000))
	p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4001), seq: 1, wnd: 64000}
	p.send(wire.FlagSYN, "")
	p.ack = one(t, h).SEQ + 1
	p.send(wire.FlagACK, "")
	h.Inject(syn(at(them4, 4002), 1))
	h.Sent()
	h.CloseListener(l)
	if s := one(t, h); s.Dst.Port() != 4001 || s.Flags&wire.FlagRST == 0 {
		t.Errorf("sent %v, want a RST to port 4001", s.String())
	}
	if accepted.State() != tcp.Established {
		t.Errorf("the accepted connection is in %v", accepted.State())
	}
	if s := h.Stats(); s.HalfOpen != 0 || s.Connections != 1 || s.Listeners != 0 {
		t.Errorf("%d half-open, %d connections, %d listeners", s.HalfOpen, s.Connections, s.Listeners)
	}
	h.Inject(syn(at(them4, 4003), 1))
	if s := one(t, h); s.Flags&wire.FlagRST == 0 {
		t.Errorf("a SYN to the closed port is answered by %v", s.String())
	}
	listen(t, h, "10.0.0.1:80") // the port is free again
}

// An exact address goes before a wildcard, IPv4 before the wildcard of both
// families, and that one may be for IPv6 alone.
func TestListenerChoice(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"),
		netip.MustParsePrefix("10.0.0.9/24"), netip.MustParsePrefix("fd00::1/64")}})
	exact := listen(t, h, "10.0.0.1:80")
	for _, x := range []struct {
		local string
		v6    bool
		ok    bool
	}{{"0.0.0.0:80", false, false}, {"[::]:80", false, false}, {"[::]:80", true, true}, {"10.0.0.1:80", false, false}, {"10.0.0.2:80", false, false}} {
		l, err := h.Listen(ListenConfig{Local: netip.MustParseAddrPort(x.local), V6Only: x.v6})
		if (err == nil) != x.ok {
			t.Errorf("%s: %v", x.local, err)
		}
		if err == nil && l.Addr().String() != x.local {
			t.Errorf("%s listens at %v", x.local, l.Addr())
		}
	}
	h.Inject(syn(at(them4, 4000), 1))
	if _, half := exact.Pending(); half != 1 {
		t.Errorf("the exact address got %d", half)
	}
	h.Sent()
	both := listen(t, h, "[::]:81")
	for _, to := range []netip.AddrPort{netip.MustParseAddrPort("10.0.0.9:81"), netip.MustParseAddrPort("[fd00::1]:81"), netip.MustParseAddrPort("10.0.0.9:80")} {
		from := them4
		if to.Addr().Is6() {
			from = them6
		}
		h.Inject((&wireSegment{Src: at(from, 4000), Dst: to, SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw())
	}
	if _, half := both.Pending(); half != 2 {
		t.Errorf("the wildcard of both families got %d, want 2", half)
	}
	rst := 0
	for _, s := range segments(t, h) {
		if s.Flags&wire.FlagRST != 0 {
			rst++
		}
	}
	if rst != 1 {
		t.Errorf("%d SYNs were refused, want the one to 10.0.0.9:80", rst)
	}
}

// Whom a segment is for is asked in a fixed order: a connection, a half-open
// record, a record in TIME-WAIT, a listener, nobody.
func TestDemuxOrder(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: plainTCP()}})
	l := listen(t, h, "10.0.0.1:80")
	p, c := acceptPeer(t, h, l, at(us4, 80), at(them4, 4000))
	again := (&wireSegment{Src: p.them, Dst: p.us, SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw()
	h.Inject(again) // a connection: challenge ACK
	if s := one(t, h); s.Flags != wire.FlagACK {
		t.Errorf("a SYN for a connection is answered by %v", s.String())
	}
	h.Shutdown(c, false, true)
	p.ack++
	p.send(wire.FlagACK|wire.FlagFIN, "")
	h.Sent()
	if s := h.Stats(); s.TimeWait != 1 || s.Connections != 0 {
		t.Fatalf("%d in TIME-WAIT, %d connections", s.TimeWait, s.Connections)
	}
	h.Advance(time.Second)
	h.Inject((&wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq - 10, Flags: wire.FlagSYN, WND: 1000}).raw())
	if s := one(t, h); s.Flags != wire.FlagACK {
		t.Errorf("an old SYN in TIME-WAIT is answered by %v", s.String())
	}
	h.Inject((&wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq + 10, Flags: wire.FlagSYN, WND: 1000}).raw())
	synack := one(t, h)
	if synack.Flags != wire.FlagSYN|wire.FlagACK || int32(synack.SEQ-p.ack) <= 0 {
		t.Errorf("a new SYN in TIME-WAIT is answered by %v, SND.NXT was %d", synack.String(), p.ack)
	}
	if s := h.Stats(); s.TimeWait != 0 || s.HalfOpen != 1 {
		t.Errorf("%d in TIME-WAIT, %d half-open", s.TimeWait, s.HalfOpen)
	}
	h.Inject((&wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq + 11, ACK: synack.SEQ + 1, Flags: wire.FlagACK, WND: 1000}).raw())
	if c := h.Accept(l); c == nil || c.State() != tcp.Established {
		t.Errorf("the new incarnation: %v", c)
	}
	h.Inject((&wireSegment{Src: at(them4, 4001), Dst: p.us, SEQ: 5, ACK: 77, Flags: wire.FlagACK, WND: 1000}).raw())
	if s := one(t, h); s.Flags != wire.FlagRST || s.SEQ != 77 {
		t.Errorf("an ACK for the listener is answered by %v", s.String())
	}
}

// When there is no room for the new incarnation, the old one goes on waiting.
func TestTimeWaitStaysWithoutRoom(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: plainTCP()}})
	l, _ := h.Listen(ListenConfig{Local: at(us4, 80), Backlog: 1})
	p, c := acceptPeer(t, h, l, at(us4, 80), at(them4, 4000))
	h.Shutdown(c, false, true)
	p.ack++
	p.send(wire.FlagACK|wire.FlagFIN, "")
	for i := range 2 {
		q := &peer{t: t, h: h, us: p.us, them: at(them4, uint16(4100+i)), seq: 1, wnd: 64000}
		h.Sent()
		q.send(wire.FlagSYN, "")
		q.ack = one(t, h).SEQ + 1
		q.send(wire.FlagACK, "")
	}
	h.Inject((&wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq + 10, Flags: wire.FlagSYN, WND: 1000}).raw())
	nothing(t, h, "no room")
	if s := h.Stats(); s.TimeWait != 1 {
		t.Errorf("%d in TIME-WAIT, want 1", s.TimeWait)
	}
}

// A connection to an address of our own goes by loopback: both ends live in one
// Engine and nothing leaves it.
func TestLoopback(t *testing.T) {
	for _, to := range []string{"127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "[fd00::1]:80", "0.0.0.0:80", "[::]:80"} {
		h := newTestHarness(t, HarnessConfig{})
		l := listen(t, h, "[::]:80")
		c := mustDial(t, h, netip.AddrPort{}, netip.MustParseAddrPort(to))
		d := h.Accept(l)
		if d == nil || c.State() != tcp.Established {
			t.Fatalf("%s: %v", to, c.State())
		}
		b := make([]byte, 200_000)
		n, left := 0, 100_000
		for range 100 {
			left -= h.Write(c, make([]byte, left))
			k, _ := h.Read(d, b[n:])
			n += k
			h.Advance(time.Millisecond)
		}
		if n != 100_000 {
			t.Errorf("%s: %d bytes arrived", to, n)
		}
		h.Close(c)
		if _, eof := h.Read(d, b); !eof {
			t.Errorf("%s: no end of file", to)
		}
		h.Close(d)
		if d.State() != tcp.Closed || h.State(c) != tcp.TimeWait {
			t.Errorf("%s: %v and %v", to, d.State(), h.State(c))
		}
		nothing(t, h, to)
		h.Advance(time.Minute)
		if s := h.Stats(); s.TimeWait != 0 || s.Connections != 0 {
			t.Errorf("%s: %d in TIME-WAIT, %d connections are left", to, s.TimeWait, s.Connections)
		}
		l.Close(h.Now())
		if chunks, packets := h.E.Pool().Outstanding(); chunks != 0 || packets != 0 {
			t.Errorf("%s: %d chunks and %d packets are left", to, chunks, packets)
		}
	}
}

// A connection may be to itself: the SYNs cross. RFC 9293 §3.5.
func TestConnectToSelf(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	self := netip.MustParseAddrPort("127.0.0.1:5000")
	c := mustDial(t, h, self, self)
	if c.State() != tcp.Established {
		t.Fatalf("%v", c.State())
	}
	h.Write(c, []byte("to myself"))
	var b [20]byte
	if n, _ := h.Read(c, b[:]); string(b[:n]) != "to myself" {
		t.Errorf("read %q", b[:n])
	}
}
