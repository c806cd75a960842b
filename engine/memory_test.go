package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// scarce is the smallest budget there is.
var scarce = Limits{MemoryBytes: 1 << 20}

// hoard opens a connection that keeps n bytes to be sent alive.
func hoard(t testing.TB, h *Harness, port uint16, n int) (*peer, *Conn) {
	t.Helper()
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, port))
	c.Queue(h.now, pkt.Bytes(make([]byte, n)))
	h.Flush()
	h.Sent()
	return p, c
}

const (
	muchOfScarce = 720 << 10 // beyond two thirds
	mostOfScarce = 920 << 10 // beyond seven eighths
)

// memoryStories are those of the counters about memory.
func memoryStories() map[Counter]counterStory {
	story := func(tell func(t *testing.T, h *Harness)) counterStory {
		return counterStory{limits: scarce, tell: tell}
	}
	return map[Counter]counterStory{
		MemoryPressure: story(func(t *testing.T, h *Harness) { hoard(t, h, 81, muchOfScarce) }),
		MemoryHard:     story(func(t *testing.T, h *Harness) { hoard(t, h, 81, mostOfScarce) }),
		MemoryPruned: story(func(t *testing.T, h *Harness) {
			p, _ := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
			p.seq += 10
			p.send(wire.FlagACK, "out of order")
			h.Sent()
			hoard(t, h, 81, mostOfScarce)
			h.Advance(time.Second)
		}),
		MemoryOutOfOrderDropped: story(func(t *testing.T, h *Harness) {
			p, _ := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
			hoard(t, h, 81, mostOfScarce)
			p.seq += 10
			p.send(wire.FlagACK, "out of order")
		}),
		MemoryInOrderDropped: story(func(t *testing.T, h *Harness) {
			p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
			hoard(t, h, 81, mostOfScarce)
			p.send(wire.FlagACK, "taken")
			p.send(wire.FlagACK, "refused")
			if n := c.Buffered(); n != len("taken") {
				t.Errorf("%d bytes were taken", n)
			}
		}),
		MemoryRefused: story(func(t *testing.T, h *Harness) {
			hoard(t, h, 81, mostOfScarce)
			h.Inject(syn(at(them4, 1), 1))
			nothing(t, h, "no SYN is answered")
		}),
		MemoryOrphansReset: story(func(t *testing.T, h *Harness) {
			_, c := hoard(t, h, 81, mostOfScarce)
			h.Close(c)
			h.Sent()
			h.Advance(time.Second)
			if c.Err() != tcp.ReasonMemory || one(t, h).Flags&wire.FlagRST == 0 {
				t.Errorf("%v, %v", c.State(), c.Err())
			}
		}),
		MemoryStalledReset: story(func(t *testing.T, h *Harness) {
			p, c := hoard(t, h, 81, mostOfScarce)
			p.ack, p.wnd = c.sent(), 0
			p.send(wire.FlagACK, "")
			h.Advance(10 * time.Second)
			if c.Err() != tcp.ReasonMemory {
				t.Errorf("%v, %v", c.State(), c.Err())
			}
		}),
	}
}

// sent is the number after the last octet that was sent.
func (c *Conn) sent() uint32 {
	var s tcp.Space
	c.Space(&s)
	return uint32(s.MAX)
}

// What two Engines' connections keep alive is counted against a budget that
// they share, and comes back.
func TestMemoryIsShared(t *testing.T) {
	b := pkt.NewBudget(1 << 20)
	var h [2]*Harness
	var c [2]*Conn
	for i := range h {
		h[i] = newTestHarness(t, HarnessConfig{Config: Config{Memory: b}})
		_, c[i] = hoard(t, h[i], 80, 480<<10)
	}
	s := h[0].Stats().Memory
	if want := (MemoryStats{Level: tcp.LevelHard, Held: 480 << 10, Used: 960 << 10, Limit: 1 << 20}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	h[1].Abort(c[1])
	if s := h[0].Stats().Memory; s.Level != tcp.LevelNormal || s.Used != 480<<10 {
		t.Errorf("after one has ended: %+v", s)
	}
	h[0].E.Close(h[0].now)
	if b.Used() != 0 {
		t.Errorf("%d bytes are in use when nothing is left", b.Used())
	}
}

// Pressure begins at two thirds and ends at a half, so that a level is not left
// at every other segment.
func TestMemoryLevels(t *testing.T) {
	m := tcp.NewMemory(pkt.NewBudget(24 << 20))
	h := newTestHarness(t, HarnessConfig{})
	h.E.memory = m
	h.E.tcp.Memory = m
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	held := 0
	for _, x := range []struct {
		mb   int
		want tcp.Level
	}{{0, tcp.LevelNormal}, {15, tcp.LevelNormal}, {17, tcp.LevelPressure}, {20, tcp.LevelPressure}, {22, tcp.LevelHard}} {
		c.TCB.Queue(h.now, pkt.Bytes(make([]byte, x.mb<<20-held)))
		held = x.mb << 20
		if m.Look() != x.want {
			t.Errorf("at %d of 24 MiB: %v, want %v", x.mb, m.Level(), x.want)
		}
	}
	c.TCB.Abort(h.now)
	if m.Held() != 0 || m.Look() != tcp.LevelNormal || m.Counts.Pressure != 1 || m.Counts.Hard != 1 {
		t.Errorf("%d bytes held, %v, %+v", m.Held(), m.Level(), m.Counts)
	}
}

// A datagram that came in fragments is charged for about what it is.
func TestReassembledDatagramsAreChargedByLength(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	openUDP(t, h, "[::]:53", "")
	const n = 20 // of 10,000 bytes, and 212,992 may wait
	for range n {
		for _, f := range fragments(udpPacket(at(them4, 999), at(us4, 53), make([]byte, 10_000)), 1480) {
			h.Inject(f)
		}
	}
	if in, full := count(h, UDPIn), count(h, UDPQueueFull); in != n || full != 0 {
		t.Errorf("%d datagrams wait, %d did not fit", in, full)
	}
}
