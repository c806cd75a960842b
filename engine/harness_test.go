package engine

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// A Harness drives an Engine by calls, packets and a clock.
func ExampleHarness() {
	h := NewHarness(HarnessConfig{})
	h.Listen(ListenConfig{Local: netip.MustParseAddrPort("10.0.0.1:80")})
	syn := wireSegment{Src: netip.MustParseAddrPort("10.0.0.2:4000"), Dst: netip.MustParseAddrPort("10.0.0.1:80"),
		SEQ: 1000, Flags: wire.FlagSYN, WND: 64000}
	h.Inject(syn.raw())
	h.Advance(10 * time.Second)
	for _, p := range h.Sent() {
		fmt.Println(p.At.Sub(h.Now())+10*time.Second, len(p.Raw), "bytes")
	}
	// Output:
	// 0s 44 bytes
	// 1s 44 bytes
	// 3s 44 bytes
	// 7s 44 bytes
}

// Advance stops at every deadline on the way: what is sent has the time at
// which it was due, however far the clock is moved at once.
func TestHarnessStopsAtDeadlines(t *testing.T) {
	times := func(step time.Duration) (all []time.Duration) {
		h := newTestHarness(t, HarnessConfig{})
		start := h.Now()
		mustDial(t, h, netip.AddrPort{}, at(them4, 80))
		for h.Now() < start.Add(3*time.Minute) {
			h.Advance(step)
		}
		for _, p := range h.Sent() {
			all = append(all, p.At.Sub(start))
		}
		return all
	}
	once, often := times(3*time.Minute), times(10*time.Millisecond)
	if fmt.Sprint(once) != fmt.Sprint(often) || len(once) != 7 || once[1] != time.Second {
		t.Errorf("SYNs at %v in one step, at %v in many", once, often)
	}
}

// CheckPacket finds any one damaged byte of a packet, but for fields that no
// checksum and no length covers.
func TestCheckPacket(t *testing.T) {
	free4 := map[int]bool{}                                                     // the header's checksum covers all
	free6 := map[int]bool{0: true, 1: true, 2: true, 3: true, 6: true, 7: true} // class, flow, next header, hop limit
	for _, raw := range [][]byte{
		(&wireSegment{Src: at(us4, 1), Dst: at(them4, 2), Flags: wire.FlagACK, Data: []byte("odd")}).raw(),
		udpPacket(at(us4, 1), at(them4, 2), []byte("odd")), ping(us4, them4, []byte("odd")),
		(&wireSegment{Src: at(us6, 1), Dst: at(them6, 2), Flags: wire.FlagACK, Data: []byte("odd")}).raw(),
		udpPacket(at(us6, 1), at(them6, 2), []byte("odd")), ping(us6, them6, []byte("odd")),
	} {
		if err := CheckPacket(raw); err != nil {
			t.Errorf("%x: %v", raw, err)
		}
		free := free4
		if raw[0]>>4 == 6 {
			free = free6
		}
		for i := range raw {
			raw[i] ^= 0x55
			if CheckPacket(raw) == nil && !free[i] {
				t.Errorf("%x: byte %d is wrong and nothing is said", raw, i)
			}
			raw[i] ^= 0x55
			if CheckPacket(raw[:i]) == nil {
				t.Errorf("%x: cut to %d bytes and nothing is said", raw, i)
			}
		}
	}
}

// A super-segment that is handed out has the checksum and the lengths of one
// long segment.
func TestHarnessSuperSegments(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{MaxGSO: 65535})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, make([]byte, 14_600))
	sent := h.Sent()
	if len(sent) == 0 || sent[0].Cut != 1460 || len(sent[0].Raw) < 5000 {
		t.Fatalf("%d packets", len(sent))
	}
}

// A batch that waits is processed as a whole before any of it is acknowledged.
// RFC 9293 §3.10.7.4.
func TestR9293_M59_BatchThenAck(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: rfc()}})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	var batch [][]byte
	for range 10 {
		s := p.seg(wire.FlagACK, string(make([]byte, 1000)))
		batch = append(batch, s.raw())
		p.seq += 1000
	}
	h.Inject(batch...)
	if s := one(t, h); s.ACK != p.seq || h.Info(c).Unread != 10_000 {
		t.Errorf("acknowledged %d of %d", s.ACK, p.seq)
	}
}

// An interface that is taken out: connections over it say nothing any more and
// time out; new ones find no route.
func TestRemoveInterface(t *testing.T) {
	for _, gso := range []int{0, 65535} {
		h := newTestHarness(t, HarnessConfig{MaxGSO: gso})
		_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		h.E.RemoveInterface(h.Iface)
		h.Write(c, make([]byte, 100_000))
		h.Advance(30 * time.Minute)
		nothing(t, h, "the interface is gone")
		if c.State() != tcp.Closed || c.Err() != tcp.ReasonTimeout {
			t.Errorf("%v, %v", c.State(), c.Err())
		}
		if _, err := h.Dial(DialConfig{Remote: at(them4, 80)}); err != ErrNoRoute {
			t.Errorf("%v, want %v", err, ErrNoRoute)
		}
		if chunks, packets := h.E.Pool().Outstanding(); chunks != 0 || packets != 0 {
			t.Errorf("%d chunks and %d packets are left", chunks, packets)
		}
	}
}

// Closing an Engine leaves nothing behind.
func TestEngineClose(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	_, c := acceptPeer(t, h, l, at(us4, 80), at(them4, 4000))
	h.Write(c, make([]byte, 100_000))
	h.Sent()
	p, _ := acceptPeer(t, h, l, at(us4, 80), at(them4, 4001))
	p.seq += 10
	p.send(wire.FlagACK, "out of order")
	h.Inject(syn(at(them4, 4002), 1))
	u := openUDP(t, h, "0.0.0.0:53", "")
	h.Inject(udpPacket(at(them4, 1), at(us4, 53), []byte("unread")))
	h.Inject(fragments(udpPacket(at(them4, 1), at(us4, 53), make([]byte, 3000)), 1480)[0])
	h.E.Close(h.Now())
	if s := h.Stats(); s.Connections+s.HalfOpen+s.Listeners+s.UDPSockets != 0 {
		t.Errorf("%+v", s)
	}
	if chunks, packets := h.E.Pool().Outstanding(); chunks != 0 || packets != 0 {
		t.Errorf("%d chunks and %d packets are left", chunks, packets)
	}
	if c.Err() != tcp.ReasonAborted || h.SendUDP(u, at(them4, 1), nil) != ErrClosed {
		t.Errorf("the connection: %v", c.Err())
	}
}

// Ready reports each connection whose readiness changed, once, and those that
// still have something to send go on sending meanwhile.
func TestReadyAndSendingAreApart(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	var peers []*peer
	var conns []*Conn
	for i := range 5 {
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, uint16(80+i)))
		peers, conns = append(peers, p), append(conns, c)
	}
	if n := len(h.Ready()); n != 5 {
		t.Errorf("%d connections are ready after the handshakes, want 5", n)
	}
	for i, p := range peers {
		p.send(wire.FlagACK|wire.FlagPSH, "request")
		p.send(wire.FlagACK|wire.FlagPSH, "request")
		if n := h.Write(conns[i], []byte("response")); n != 8 {
			t.Errorf("connection %d: wrote %d", i, n)
		}
		sent := segments(t, h)
		if last := sent[len(sent)-1]; string(last.Data) != "response" {
			t.Errorf("connection %d: sent %v", i, last.String())
		}
	}
	r := h.Ready()
	if len(r) != 5 {
		t.Errorf("%d connections are ready, want 5", len(r))
	}
	for i, c := range r {
		if c != conns[i] {
			t.Errorf("the ready connection %d is %v", i, c.RemoteAddr())
		}
	}
	if n := len(h.Ready()); n != 0 {
		t.Errorf("%d connections are ready again", n)
	}
}

// What a connection holds of unread bytes when it ends is its program's, until
// that lets go or the Engine closes.
func TestUnreadBytesOfEndedConnections(t *testing.T) {
	for name, let := range map[string]func(*Harness, *Conn){
		"read":         func(h *Harness, c *Conn) { h.Read(c, make([]byte, 100)) },
		"closed":       func(h *Harness, c *Conn) { h.Close(c) },
		"aborted":      func(h *Harness, c *Conn) { h.Abort(c) },
		"Engine.Close": func(h *Harness, c *Conn) { h.E.Close(h.Now()) },
	} {
		h := newTestHarness(t, HarnessConfig{})
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		h.Shutdown(c, false, true)
		p.ack++
		p.send(wire.FlagACK|wire.FlagFIN, "unread")
		if c.State() != tcp.TimeWait || c.Buffered() != 6 || len(h.E.unread) != 1 {
			t.Fatalf("%v, %d bytes wait", c.State(), c.Buffered())
		}
		let(h, c)
		if chunks, packets := h.E.Pool().Outstanding(); chunks != 0 || packets != 0 || len(h.E.unread) != 0 {
			t.Errorf("%s: %d chunks and %d packets are left", name, chunks, packets)
		}
	}
}
