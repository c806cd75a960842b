package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// way is what packets of the Harness go through in a test of paths: those
// that do not pass vanish, and the peer acknowledges what arrives in order.
type way struct {
	p      *peer
	c      *Conn
	passes int // bytes of the largest packet that passes
	told   int // what a router says of others; 0: nothing
	got    uint32
	later  map[uint32]uint32 // out of order: sequence number and length
	sizes  map[int]int       // how many packets of a size were sent
	lose   func(size int) bool
}

func newWay(p *peer, c *Conn, passes int) *way {
	return &way{p: p, c: c, passes: passes, got: p.ack, later: map[uint32]uint32{}, sizes: map[int]int{}}
}

// round carries what was sent and lets 10 ms pass. It reports how many bytes
// have arrived in order so far.
func (w *way) round() int {
	h := w.p.h
	for _, s := range h.Sent() {
		g := parseTCP(w.p.t, s.Raw)
		size := len(s.Raw)
		if s.Cut > 0 {
			size += s.Cut - len(g.Data)
		}
		w.sizes[size]++
		if size > w.passes && parseIP(s.Raw).DF {
			if w.told > 0 {
				h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, uint32(w.told), s.Raw))
			}
			continue
		}
		if w.lose != nil && w.lose(size) {
			continue
		}
		if len(g.Data) == 0 || int32(g.SEQ-w.got) < 0 && int32(g.SEQ+uint32(len(g.Data))-w.got) <= 0 {
			continue
		}
		w.later[g.SEQ] = max(w.later[g.SEQ], uint32(len(g.Data)))
		for again := true; again; {
			again = false
			for seq, n := range w.later {
				if int32(seq-w.got) <= 0 {
					if end := seq + n; int32(end-w.got) > 0 {
						w.got = end
					}
					delete(w.later, seq)
					again = true
				}
			}
		}
		w.p.ack = w.got
		w.p.send(wire.FlagACK, "")
	}
	h.Advance(10 * time.Millisecond)
	return int(w.got - w.p.ours - 1)
}

// transfer sends n bytes and returns how long it took.
func (w *way) transfer(n int) time.Duration {
	h := w.p.h
	start, end := h.Now(), int(w.got-w.p.ours-1)+n
	for left := n; ; {
		left -= h.Write(w.c, make([]byte, min(left, 60_000)))
		if w.round() >= end && left == 0 {
			return h.Now().Sub(start)
		}
		if h.Now().Sub(start) > time.Hour {
			w.p.t.Fatalf("%d bytes left after an hour: %+v", end-int(w.got-w.p.ours-1), h.Info(w.c))
		}
	}
}

// RBH-1, T-BLD-06: a path on which full segments vanish while nobody says so
// carries 1 MB within 30 s, and later connections on it lose nothing.
func TestRBH_1_BlackHole(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	w := newWay(p, c, 1300)
	if d := w.transfer(1 << 20); d > 30*time.Second {
		t.Errorf("1 MB took %v", d)
	}
	i := h.Info(c)
	if i.PathMTU > 1300 || i.PathMTU < 1300-8 {
		t.Errorf("packets of %d bytes on a path of 1300", i.PathMTU)
	}
	if count(h, TCPBlackHoles) == 0 || count(h, TCPMTUProbes) == 0 || count(h, TCPPathsFound) == 0 {
		t.Error("it is not counted")
	}
	p, c = dialPeer(t, h, netip.AddrPort{}, at(them4, 81))
	w = newWay(p, c, 1300)
	if d := w.transfer(1 << 20); d > 5*time.Second || h.Info(c).Retransmits > 0 || h.Info(c).PathMTU != i.PathMTU {
		t.Errorf("the next one took %v and retransmitted %d times, with packets of %d bytes", d, h.Info(c).Retransmits, h.Info(c).PathMTU)
	}
	if n := count(h, TCPBlackHoles); n > 1 {
		t.Errorf("%d black holes", n)
	}
}

// When the interval has passed, the path is searched again, and a connection that
// finds it whole uses it so; the next one begins there.
func TestBlackHoleEnds(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	w := newWay(p, c, 1300)
	w.transfer(1 << 20)
	w.passes = 1500
	w.transfer(1 << 20)
	if i := h.Info(c); i.PathMTU > 1300 {
		t.Errorf("searched again at once: packets of %d bytes", i.PathMTU)
	}
	h.Advance(11 * time.Minute)
	w.transfer(1 << 20)
	if i := h.Info(c); i.PathMTU != 1500 || i.Searching {
		t.Errorf("packets of %d bytes, searching %v", i.PathMTU, i.Searching)
	}
	p, c = dialPeer(t, h, netip.AddrPort{}, at(them4, 81))
	newWay(p, c, 1500).transfer(1 << 16)
	if i := h.Info(c); i.PathMTU != 1500 || i.Retransmits > 0 {
		t.Errorf("the next connection: packets of %d bytes, %d retransmissions", i.PathMTU, i.Retransmits)
	}
}

// A path narrows while a connection is busy, after large segments have arrived:
// the messages are doubted first, and believed within a few round trips, with no
// timeout. RFC 1191 §6.5, RFC 5927 §7.2.
func TestPathNarrowsLate(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	w := newWay(p, c, 1500)
	w.transfer(1 << 20)
	w.passes, w.told = 1000, 1000
	if d := w.transfer(1 << 16); d > 2*time.Second {
		t.Errorf("64 KiB took %v", d)
	}
	if i := h.Info(c); i.PathMTU != 1000 || count(h, TCPBlackHoles) > 0 {
		t.Errorf("packets of %d bytes, %d black holes", i.PathMTU, count(h, TCPBlackHoles))
	}
}

// T-BLD-06: of 10,000 forged messages, with numbers that are not on their way and
// with numbers that are, not one makes a transfer smaller or slower.
func TestForgedTooBig(t *testing.T) {
	const seed, size, forgeries, each = 6, 4 << 20, 10_000, 200
	run := func(forge bool, known bool) (time.Duration, tcp.Info) {
		h := newTestHarness(t, HarnessConfig{})
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		w := newWay(p, c, 1500)
		w.transfer(1 << 16) // large segments have arrived
		r := newTestRand(seed)
		start, forged := h.Now(), 0
		for left := size; left > 0 || h.Info(c).Unacked > 0; w.round() {
			left -= h.Write(c, make([]byte, min(left, 60_000)))
			if !forge || forged == forgeries {
				continue
			}
			about := (&wireSegment{Src: p.us, Dst: p.them, SEQ: p.ack, Flags: wire.FlagACK, Data: make([]byte, 1400)}).raw()
			for range each {
				if !known {
					copy(about[wire.IPv4MinLen+4:], r.bytes(4))
				}
				h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, []uint32{68, 0, 552, 1000, 9000, 65535}[r.IntN(6)], about))
			}
			forged += each
		}
		if forge && forged < forgeries {
			t.Errorf("%d messages only, in %v", forged, h.Now().Sub(start))
		}
		return h.Now().Sub(start), h.Info(c)
	}
	quiet, _ := run(false, false)
	for _, known := range []bool{false, true} {
		d, i := run(true, known)
		if d*9 > quiet*10 || i.PathMTU != 1500 {
			t.Errorf("seed %d, numbers known %v: %v instead of %v, packets of %d bytes", seed, known, d, quiet, i.PathMTU)
		}
	}
}

// What is known of a path expires after ten minutes: packets grow again on
// connections that live, and DF is set again. RFC 1191 §6.3.
func TestR1191_3b_ExpiryReachesConnections(t *testing.T) {
	for _, mtu := range []int{1000, 68} {
		h := newTestHarness(t, HarnessConfig{})
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		w := newWay(p, c, max(mtu, ip.PathFloor4))
		w.told = mtu
		h.Write(c, make([]byte, 1400))
		h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, uint32(mtu), h.Sent()[0].Raw))
		w.round()
		if i := h.Info(c); int(i.PathMTU) != max(mtu, ip.PathFloor4) {
			t.Errorf("packets of %d bytes on a path of %d", i.PathMTU, mtu)
		}
		w.transfer(1000)
		h.Advance(ip.PathMTUExpiry + time.Second)
		h.Write(c, make([]byte, 2920))
		for _, s := range h.Sent() {
			if q := parseIP(s.Raw); len(s.Raw) != 1500 || !q.DF {
				t.Errorf("%d bytes, DF %v, after what was known of a path of %d has expired", len(s.Raw), q.DF, mtu)
			}
		}
	}
}

// The message that switches DF off has everything sent again at once. RFC 1191 §3.
func TestBelowFloorResendsAtOnce(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, make([]byte, 3000))
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 552, h.Sent()[0].Raw))
	first := h.Sent()
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 296, first[0].Raw))
	again := h.Sent()
	if len(again) == 0 || len(again) < len(first) {
		t.Fatalf("%d of %d packets are sent again", len(again), len(first))
	}
	for _, s := range again {
		if parseIP(s.Raw).DF {
			t.Error("DF is set")
		}
	}
}

// A message while the SYN is on its way, about data of TCP Fast Open on it: what
// follows the handshake fits the path.
func TestTooBigInSynSent(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	c := mustDial(t, h, netip.AddrPort{}, at(them4, 80))
	syn := lastRaw(t, h)
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 600, syn))
	s := parseTCP(t, syn)
	a := wireSegment{Src: s.Dst, Dst: s.Src, SEQ: 9, ACK: s.SEQ + 1, Flags: wire.FlagSYN | wire.FlagACK, WND: 64000,
		Opts: wire.TCPOptions{MSS: 1460, Has: wire.HasMSS}}
	h.Inject(a.raw())
	h.Sent()
	h.Write(c, make([]byte, 3000))
	for _, s := range h.Sent() {
		if len(s.Raw) > 600 {
			t.Errorf("a packet of %d bytes on a path of 600", len(s.Raw))
		}
	}
}

// The quoted number must be on its way. RFC 8201 §4, RFC 5927 §4.
func TestR8201_4c_QuotedSegment(t *testing.T) {
	for _, them := range []netip.Addr{them4, them6} {
		h := newTestHarness(t, HarnessConfig{})
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them, 80))
		h.Write(c, make([]byte, 3000))
		about := h.Sent()[0].Raw
		inject := func(about []byte) {
			if them.Is4() {
				h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 1300, about))
			} else {
				h.Inject(icmp6(wire.ICMPv6PacketTooBig, 0, 1300, about))
			}
		}
		head := wire.IPv4MinLen
		if them.Is6() {
			head = wire.IPv6Len
		}
		for _, off := range []byte{5, 0xff} { // one octet before and 5 << 16 behind
			forged := append([]byte{}, about...)
			if off == 5 {
				forged[head+5] += off
			} else {
				copy(forged[head+4:], []byte{byte(p.ours >> 24), byte(p.ours >> 16), byte(p.ours >> 8), byte(p.ours)})
			}
			inject(forged)
			nothing(t, h, "forged")
		}
		wantCount(t, h, ICMPErrorsForged, 2)
		inject(about)
		if len(h.Sent()) == 0 || h.Info(c).PathMTU != 1300 {
			t.Errorf("%v: packets of %d bytes after a true message", them, h.Info(c).PathMTU)
		}
	}
}

// An MTU that grows again lets live connections use it.
func TestSetMTURises(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{MTU: 1500})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	w := newWay(p, c, 65535)
	for _, mtu := range []int{1500, 1300, 1500, 600, 1400} {
		if mtu < ip.MinMTU6 {
			continue
		}
		if err := h.E.SetMTU(h.Iface, mtu); err != nil {
			t.Fatal(err)
		}
		w.sizes = map[int]int{}
		w.transfer(100_000)
		for n := range w.sizes {
			if n > mtu {
				t.Errorf("packets of %d bytes over an MTU of %d", n, mtu)
			}
		}
		if w.sizes[mtu] == 0 {
			t.Errorf("no packet of %d bytes", mtu)
		}
	}
}

// At the instant at which a suspended host wakes, everything is due at once: each
// connection sends one segment at most, and those whose peers answer live on.
func TestWakeWithoutStorm(t *testing.T) {
	for name, x := range map[string]struct {
		cfg   *tcp.Config
		sleep time.Duration
	}{
		"Linux, 5 minutes": {tcp.DefaultConfig(tcp.ProfileLinux), 5 * time.Minute},
		"Linux, 3 hours":   {tcp.DefaultConfig(tcp.ProfileLinux), 3 * time.Hour},
		"RFC, 3 hours":     {tcp.DefaultConfig(tcp.ProfileRFC), 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTestHarness(t, HarnessConfig{Config: Config{TCP: x.cfg}})
			var peers []*peer
			var conns []*Conn
			const n = 200
			for i := range uint16(n) {
				p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80+i))
				peers, conns = append(peers, p), append(conns, c)
				switch i % 3 {
				case 0: // data is on its way
					h.Write(c, make([]byte, 5000))
				case 1: // two keepalive probes are unanswered
					h.SetOptions(c, Options{KeepAlive: true, KeepIdle: time.Second, KeepInterval: time.Second, KeepCount: 3, UserTimeout: 20 * time.Minute})
				}
				h.Sent()
			}
			h.Advance(3500 * time.Millisecond)
			h.Sent()
			h.now = h.now.Add(x.sleep) // the clock jumps: nothing was called meanwhile
			h.E.Advance(h.now)
			h.Flush()
			sent := h.Sent()
			if len(sent) > n {
				t.Errorf("%d packets at the instant of waking, for %d connections", len(sent), n)
			}
			for _, p := range peers { // the peers still answer
				p.send(wire.FlagACK, "")
			}
			h.Advance(500 * time.Millisecond)
			for i, c := range conns {
				if c.State() != tcp.Established {
					t.Errorf("connection %d: %v, %v", i, c.State(), c.Err())
				}
			}
		})
	}
}

// Time-outs that run by the clock end when it has jumped beyond them: TIME-WAIT,
// half-open records, cookies.
func TestWakeEndsRecords(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	toTimeWaitPeer(t, h, 4000)
	listen(t, h, "10.0.0.1:82")
	h.Inject((&wireSegment{Src: at(them4, 1), Dst: at(us4, 82), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw())
	h.Sent()
	if st := h.Stats(); st.TimeWait != 1 || st.HalfOpen != 1 {
		t.Fatalf("%d in TIME-WAIT, %d half-open", st.TimeWait, st.HalfOpen)
	}
	h.now = h.now.Add(time.Hour)
	h.E.Advance(h.now)
	h.Flush()
	if st := h.Stats(); st.TimeWait != 0 || len(h.Sent()) > 1 {
		t.Errorf("%d in TIME-WAIT", st.TimeWait)
	}
	h.Advance(5 * time.Minute)
	if st := h.Stats(); st.HalfOpen != 0 {
		t.Errorf("%d half-open", st.HalfOpen)
	}
}

// Super-segments that were cut for an MTU which has fallen since, and got lost:
// what is sent again is cut for the new one.
func TestSetMTUWithSuperSegments(t *testing.T) {
	p := newPair(t, Config{}, 65535)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := p.connect(t, l)
	p.write(p.a, c, 14_000)
	for _, q := range p.batch[:p.a.Output(p.now.now, p.batch[:])] {
		if q.GSOSize == 0 {
			t.Errorf("a packet of %d bytes, want super-segments", q.Len())
		}
		q.Release()
	}
	if err := p.a.SetMTU(c.Interface(), 700); err != nil {
		t.Fatal(err)
	}
	again := 0
	for range 6 {
		p.now.now = p.a.Deadline()
		p.a.Advance(p.now.now)
		for _, q := range p.batch[:p.a.Output(p.now.now, p.batch[:])] {
			again++
			n := q.Len()
			if q.GSOSize > 0 {
				n = len(q.Head) + int(q.GSOSize)
			}
			if n > 700 {
				t.Errorf("segments of %d bytes over an MTU of 700", n)
			}
			q.Release()
		}
	}
	if again == 0 {
		t.Error("nothing was sent again")
	}
}

// A middlebox that takes all options out of what follows the handshake leaves a
// connection that believes in timestamps and SACK with neither: what is lost is
// found by timers, and everything arrives.
func TestOptionsStrippedLater(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := connectTo(t, h, fullOptions())
	if i := h.Info(c); !i.Timestamps || !i.SACK {
		t.Fatalf("%+v", i)
	}
	w := newWay(p, c, 65535)
	n := 0
	w.lose = func(int) bool { n++; return n%50 == 0 }
	if d := w.transfer(1 << 20); d > 30*time.Second {
		t.Errorf("1 MB took %v", d)
	}
}

// A middlebox that rewrites the MSS option decides how large segments are, within
// what the link carries and what makes sense at all.
func TestRewrittenMSS(t *testing.T) {
	for announced, mtu := range map[uint16]int{500: 540, 1300: 1340, 9000: 1500, 65535: 1500, 1: 88} {
		h := newTestHarness(t, HarnessConfig{})
		o := fullOptions()
		o.MSS = announced
		p, c := connectTo(t, h, o)
		w := newWay(p, c, 65535)
		w.transfer(1 << 15)
		if w.sizes[mtu] == 0 || int(h.Info(c).PathMTU) != mtu {
			t.Errorf("an MSS of %d: packets of %d bytes, want %d", announced, h.Info(c).PathMTU, mtu)
		}
	}
}
