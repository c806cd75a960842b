package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// cleanPair is newPair over a wire that loses nothing.
func cleanPair(t testing.TB) *pair {
	p := newPair(t, 1)
	for _, h := range p.w.Hosts() {
		p.wire.SetConfig(h, netem.Config{Delay: time.Millisecond, Rate: 100_000_000})
	}
	return p
}

// arrivals calls f with each segment that arrives at a host, whole.
func arrivals(h *Host, f func(at mono.Time, b []byte, t wire.TCP)) {
	h.Tap(func(at mono.Time, out bool, p *pkt.Packet) {
		if out {
			return
		}
		b := p.AppendTo(nil)
		if t := segmentIn(b); t != nil {
			f(at, b, t)
		}
	})
}

// Of ACKs that a box thins few arrive, and none of what is more than an ACK is
// missing: the transfer is whole.
func TestBoxThinsACKs(t *testing.T) {
	p := cleanPair(t)
	p.wire.SetBox(p.b, Box{OneACKIn: 5})
	acks := 0
	arrivals(p.a, func(_ mono.Time, _ []byte, t wire.TCP) { acks++ })
	p.transfer(200_000)
	c := p.wire.BoxCounters(p.b)
	if c.DroppedACKs < 10 || c.Drops() != c.DroppedACKs || uint64(acks) > c.DroppedACKs {
		t.Errorf("%d segments arrived, %+v", acks, c)
	}
	if err := p.w.Close(); err != nil {
		t.Error(err)
	}
}

// ACKs that a box gathers leave together, later; data does not wait for them.
func TestBoxGathersACKs(t *testing.T) {
	p := cleanPair(t)
	const gather = 20 * time.Millisecond
	p.wire.SetBox(p.b, Box{DelayACKs: time.Millisecond, GatherACKs: gather})
	at := map[mono.Time]int{}
	arrivals(p.a, func(now mono.Time, b []byte, t wire.TCP) {
		if t.Flags()&^wire.FlagPSH == wire.FlagACK {
			at[now.Add(-time.Millisecond)/mono.Time(gather)]++
		}
	})
	p.transfer(200_000)
	together := 0
	for _, n := range at {
		together = max(together, n)
	}
	if c := p.wire.BoxCounters(p.b); c.HeldACKs < 10 || together < 4 {
		t.Errorf("at most %d ACKs arrived together, %+v", together, c)
	}
	if err := p.w.Close(); err != nil {
		t.Error(err)
	}
}

// A box that is taken down with ACKs in it leaks nothing.
func TestBoxIsEmptiedByClose(t *testing.T) {
	p := cleanPair(t)
	p.wire.SetBox(p.b, Box{DelayACKs: time.Hour})
	p.left = 100_000
	p.dial(p.listen())
	p.w.At(p.w.Now(), p.Ready)
	p.w.RunUntil(p.w.Now().Add(time.Second), nil)
	if c := p.wire.BoxCounters(p.b); c.HeldACKs == 0 {
		t.Fatalf("%+v", c)
	}
	for _, c := range []*engine.Conn{p.from, p.to} {
		c.Abort(p.w.Now())
	}
	if err := p.w.Close(); err != nil {
		t.Error(err)
	}
}

// What a box strips from SYNs is not in force afterwards, and checksums are
// right.
func TestBoxStrips(t *testing.T) {
	for _, c := range []struct {
		strip Strip
		gone  wire.OptionSet
	}{
		{StripTimestamps, wire.HasTimestamps}, {StripSACKPermitted, wire.HasSACKPermitted}, {StripWindowScale, wire.HasWScale},
		{StripMSS, wire.HasMSS}, {StripTimestamps | StripMSS, wire.HasTimestamps | wire.HasMSS}, {0, 0},
	} {
		p := cleanPair(t)
		for _, h := range p.w.Hosts() {
			p.wire.SetBox(h, Box{Strip: c.strip})
			arrivals(h, func(_ mono.Time, b []byte, s wire.TCP) {
				var o wire.TCPOptions
				syn := s.Flags()&wire.FlagSYN != 0
				o.Parse(s.Options(), syn)
				all := wire.HasTimestamps | wire.HasSACKPermitted | wire.HasWScale | wire.HasMSS
				if syn && o.Has&all != all&^c.gone {
					t.Errorf("without %#x a SYN has %#x", c.gone, o.Has)
				}
				src, dst := wire.IPv6(b).Src(), wire.IPv6(b).Dst()
				if !s.ChecksumOK(&src, &dst) {
					t.Errorf("the checksum is wrong behind the box: %v", s.Flags())
				}
			})
		}
		p.transfer(50_000)
		if n := p.wire.BoxCounters(p.a).Stripped; n > 0 != (c.strip != 0) {
			t.Errorf("%d options stripped, wanted %#x", n, c.strip)
		}
	}
}

// Unknown options, flags of ECN and reserved bits are cleared on all segments,
// and no others; the checksum follows.
func TestBoxEdits(t *testing.T) {
	src, dst := wire.AddrFrom(netip.MustParseAddr("10.0.0.1")), wire.AddrFrom(netip.MustParseAddr("10.0.0.2"))
	segment := func(ecn uint8) []byte {
		opts := []byte{wire.TCPOptTimestamps, 10, 1, 2, 3, 4, 5, 6, 7, 8, wire.TCPOptAccECN0, 5, 9, 9, 9, 1}
		b := make([]byte, wire.IPv4MinLen+wire.TCPMinLen+len(opts)+3)
		wire.PutIPv4(b, &wire.IPv4Fields{TotalLen: uint16(len(b)), TTL: 64, Proto: wire.ProtoTCP, TOS: 0xb8 | ecn, Src: src, Dst: dst})
		s := wire.TCP(b[wire.IPv4MinLen:])
		flags := wire.FlagACK | wire.FlagPSH | wire.FlagECE | wire.FlagCWR | wire.FlagAE
		wire.PutTCP(s[:wire.TCPMinLen+len(opts)], 1, 2, 3, 4, flags, 5, 0)
		s[12] |= 0x0e // reserved bits
		copy(s[wire.TCPMinLen:], opts)
		copy(s[wire.TCPMinLen+len(opts):], "abc")
		s.SetChecksum(wire.Finish(wire.Sum(s, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(s))))))
		return b
	}
	all := wire.FlagECE | wire.FlagCWR | wire.FlagAE
	for _, c := range []struct {
		box      Box
		ecn, now uint8
		flags    wire.TCPFlags // what is left of those of ECN
		reserved byte
		unknown  bool
	}{
		{Box{}, 2, 2, all, 0x0e, true},
		{Box{ClearECN: true}, 2, 0, all, 0x0e, true},
		{Box{ClearECN: true}, 3, 0, all, 0x0e, true},
		{Box{ClearCE: true}, 3, 2, all, 0x0e, true},
		{Box{ClearCE: true}, 1, 1, all, 0x0e, true},
		{Box{ClearFlags: true}, 0, 0, 0, 0x0e, true},
		{Box{ClearReserved: true}, 0, 0, wire.FlagECE | wire.FlagCWR, 0, true},
		{Box{Strip: StripUnknown}, 0, 0, all, 0x0e, false},
		{Box{Strip: StripTimestamps}, 0, 0, all, 0x0e, true}, // no SYN
	} {
		b := segment(c.ecn)
		x := boxState{Box: c.box}
		x.edit(b)
		p, s := wire.IPv4(b), segmentIn(b)
		var o wire.TCPOptions
		o.Parse(s.Options(), false)
		if !p.ChecksumOK() || !s.ChecksumOK(&src, &dst) {
			t.Errorf("%+v: checksums %t %t", c.box, p.ChecksumOK(), s.ChecksumOK(&src, &dst))
		}
		if p.TOS() != 0xb8|c.now || s.Flags()&all != c.flags || s[12]&0x0e != c.reserved || s.Flags()&(wire.FlagACK|wire.FlagPSH) == 0 {
			t.Errorf("%+v: TOS %#x, flags %v, reserved %#x", c.box, p.TOS(), s.Flags(), s[12]&0x0e)
		}
		if o.Has&wire.HasTimestamps == 0 || o.Has&wire.HasAccECN != 0 != c.unknown || string(s.Payload()) != "abc" {
			t.Errorf("%+v: options %#x, %q", c.box, o.Has, s.Payload())
		}
	}
}

// No packet makes a box fail: whatever has a version is looked at within its
// bytes, and everything else is left alone.
func TestBoxEditsAnything(t *testing.T) {
	x := boxState{Box: Box{Strip: 0xff, ClearECN: true, ClearCE: true, ClearFlags: true, ClearReserved: true}}
	for seed := range uint64(20000) {
		b := make([]byte, mix(seed)%100)
		Stream(seed).Fill(b, 0)
		if len(b) > 9 {
			b[0] = []byte{0x45, 0x46, 0x60, b[0]}[seed&3]
			b[9], b[6] = wire.ProtoTCP, []byte{b[6], wire.ProtoTCP}[seed>>2&1]
		}
		x.edit(b)
	}
	if x.count.Stripped == 0 || x.count.ClearedFlags == 0 || x.count.ClearedECN == 0 {
		t.Errorf("nothing was ever edited: %+v", x.count)
	}
}

// Before a black hole small packets pass and large ones do not, and nobody says
// so.
func TestBoxSwallows(t *testing.T) {
	p := cleanPair(t)
	p.wire.SetBox(p.a, Box{MaxPacket: 1000})
	p.left = 50_000
	p.dial(p.listen())
	p.w.At(p.w.Now(), p.Ready)
	p.w.RunUntil(p.w.Now().Add(time.Second), nil)
	if n := p.wire.BoxCounters(p.a).Vanished; n == 0 || p.from.State() != tcp.FinWait1 && p.from.State() != tcp.Established {
		t.Errorf("%d packets vanished, %v", n, p.from.State())
	}
	p.wire.SetBox(p.a, Box{})
	if err := p.w.RunUntil(p.w.Now().Add(time.Hour), func() bool { return p.got == 50_000 }); err != nil || p.got != 50_000 {
		t.Errorf("%d bytes arrived, %v", p.got, err)
	}
}

// Two wires through one bottleneck share its rate, its queue and its partition.
func TestLinkThrough(t *testing.T) {
	w := New(1)
	var h [4]*Host
	for i := range h {
		h[i] = w.Host(string(rune('a'+i)), HostConfig{})
	}
	n := netem.Config{Delay: time.Millisecond, Rate: 1_000_000}
	first := w.Link(h[0], h[1], n, n)
	second := w.LinkThrough(h[2], h[3], first)
	var got [2]mono.Time
	for i, l := range []*Wire{first, second} {
		from, to := h[2*i], h[2*i+1]
		u, err := from.Engine().OpenUDP(w.Now(), &engine.UDPConfig{Local: addrPort(l.Addr(from, false))})
		if err != nil {
			t.Fatal(err)
		}
		to.Tap(func(at mono.Time, out bool, p *pkt.Packet) {
			if !out {
				got[i] = at
			}
		})
		if err := u.Send(w.Now(), addrPort(l.Addr(to, false)), make([]byte, 1222)); err != nil {
			t.Fatal(err)
		}
	}
	start := w.Now()
	w.RunUntil(start.Add(time.Second), nil)
	// 1250 bytes take 10 ms, and the second packet waits for the first.
	if got[0].Sub(start) != 11*time.Millisecond || got[1].Sub(start) != 21*time.Millisecond {
		t.Errorf("arrivals after %v and %v", got[0].Sub(start), got[1].Sub(start))
	}
	if first.Counters(h[0]) != second.Counters(h[2]) || first.Counters(h[0]).Packets != 2 {
		t.Errorf("%+v", first.Counters(h[0]))
	}
	second.Partition()
	if !first.dirs[0].Config().Down {
		t.Error("a partition of one is none of the other")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
