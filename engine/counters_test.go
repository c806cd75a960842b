package engine

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// counterStory makes something happen that its counter counts.
type counterStory struct {
	limits Limits
	ecn    tcp.ECN // if not the default
	tell   func(t *testing.T, h *Harness)
}

func (s *counterStory) tcp() *tcp.Config {
	c := tcp.DefaultConfig(tcp.ProfileLinux)
	if s.ecn != tcp.ECNOff {
		c.ECN = s.ecn
	}
	return c
}

// cut shortens a packet of IPv4 to n bytes of payload.
func cut(raw []byte, n int) []byte {
	b := append([]byte{}, raw[:wire.IPv4MinLen+n]...)
	b[2], b[3], b[10], b[11] = byte(len(b)>>8), byte(len(b)), 0, 0
	sum := wire.Finish(wire.Sum(b[:wire.IPv4MinLen], 0))
	b[10], b[11] = byte(sum>>8), byte(sum)
	return b
}

func inject(raw ...[]byte) func(*testing.T, *Harness) {
	return func(t *testing.T, h *Harness) { h.Inject(raw...) }
}

// counterStories has one story for every counter. The port 80 listens, 53 is a
// UDP socket.
func counterStories() map[Counter]counterStory {
	ack := wireSegment{Src: at(them4, 4000), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagACK, WND: 1000}
	nobody := wireSegment{Src: at(them4, 4000), Dst: at(us4, 9), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}
	badOption := wireSegment{Src: at(them4, 4000), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}
	flip := func(raw []byte) []byte { raw[len(raw)-1]++; return raw }
	open := func(n int) func(t *testing.T, h *Harness) {
		return func(t *testing.T, h *Harness) {
			for i := range n {
				p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, uint16(4000+i)), seq: 1, wnd: 64000}
				p.send(wire.FlagSYN, "")
				for _, s := range segments(t, h) {
					p.ack = s.SEQ + 1
				}
				p.send(wire.FlagACK, "")
			}
		}
	}
	dial := func(t *testing.T, h *Harness) { dialPeer(t, h, netip.AddrPort{}, at(them4, 80)) }
	return map[Counter]counterStory{
		InPackets:   {tell: inject(nobody.raw())},
		OutPackets:  {tell: dial},
		NoInterface: {tell: noInterface},
		NoRoute: {tell: func(t *testing.T, h *Harness) {
			h.E.routes.Remove(ip.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: h.Iface})
			if _, err := h.Dial(DialConfig{Remote: netip.MustParseAddrPort("11.0.0.1:80")}); err != ErrNoRoute {
				t.Errorf("no route: %v", err)
			}
		}},
		TCPShort:         {tell: inject(cut(nobody.raw(), 19))},
		TCPBadChecksum:   {tell: inject(flip(ack.raw()))},
		TCPBadOptions:    {tell: inject(badOptions(badOption))},
		TCPMulticast:     {tell: inject((&wireSegment{Src: at(them4, 1), Dst: netip.MustParseAddrPort("224.0.0.1:80"), Flags: wire.FlagSYN}).raw())},
		TCPLand:          {tell: inject((&wireSegment{Src: at(them4, 0), Dst: at(us4, 80), Flags: wire.FlagSYN}).raw())},
		TCPNoConnection:  {tell: inject(nobody.raw())},
		TCPResetsSent:    {tell: inject(nobody.raw())},
		TCPResetsLimited: {limits: Limits{ResetsPerSecond: 1}, tell: func(t *testing.T, h *Harness) { repeat(h, 10*resetBurst, nobody.raw()) }},
		TCPActiveOpens:   {tell: dial},
		TCPPassiveOpens:  {tell: open(1)},
		TCPRefused: {tell: func(t *testing.T, h *Harness) {
			mustDial(t, h, netip.AddrPort{}, at(them4, 80))
			s := one(t, h)
			h.Inject((&wireSegment{Src: s.Dst, Dst: s.Src, ACK: s.SEQ + 1, Flags: wire.FlagRST | wire.FlagACK}).raw())
		}},
		TCPMarked: {tell: func(t *testing.T, h *Harness) {
			raw := ack.raw()
			raw[1] |= wire.CE
			h.Inject(mended(raw))
		}},
		TCPAgreedECN: {tell: func(t *testing.T, h *Harness) { ecnPeer(t, h) }},
		TCPReducedForMarks: {tell: func(t *testing.T, h *Harness) {
			p, c := ecnPeer(t, h)
			h.Write(c, []byte("x"))
			p.ack++
			p.send(wire.FlagACK|wire.FlagECE, "")
		}},
		TCPMTUProbes:  {tell: blackHole},
		TCPPathsFound: {tell: blackHole},
		TCPBlackHoles: {tell: blackHole},
		ICMPTooBigDoubted: {tell: func(t *testing.T, h *Harness) {
			_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 81))
			h.Write(c, []byte("x"))
			h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 9000, lastRaw(t, h)))
		}},
		ListenDropped:          {tell: inject((&wireSegment{Src: at(them4, 1), Dst: at(us4, 80), Flags: wire.FlagFIN}).raw())},
		ListenOverflow:         {limits: Limits{AcceptBacklog: 1}, tell: open(3)},
		ListenHalfOpenOverflow: {limits: Limits{HalfOpenPerListener: 1}, tell: inject(syn(at(them4, 1), 1), syn(at(them4, 2), 1))},
		HalfOpenOverflow: {limits: Limits{HalfOpen: 2}, tell: func(t *testing.T, h *Harness) {
			listen(t, h, "0.0.0.0:81")
			other := wireSegment{Src: at(them4, 3), Dst: at(us4, 81), Flags: wire.FlagSYN}
			for i := range uint16(4) { // each listener may have both records
				h.Inject(syn(at(them4, i+1), 1))
				other.Src = at(them4, i+1)
				h.Inject(other.raw())
			}
		}},
		HalfOpenTimeout:        {tell: func(t *testing.T, h *Harness) { h.Inject(syn(at(them4, 1), 1)); h.Advance(2 * time.Minute) }},
		HalfOpenReset:          {tell: inject(syn(at(them4, 1), 1), (&wireSegment{Src: at(them4, 1), Dst: at(us4, 80), SEQ: 2, Flags: wire.FlagRST}).raw())},
		SYNACKsSent:            {tell: inject(syn(at(them4, 1), 1))},
		SYNCookiesSent:         {limits: Limits{HalfOpenPerListener: 1}, tell: inject(syn(at(them4, 1), 1), syn(at(them4, 2), 1))},
		SYNCookiesAccepted:     {limits: Limits{HalfOpenPerListener: 1}, tell: cookie(0)},
		SYNCookiesRefused:      {limits: Limits{HalfOpenPerListener: 1}, tell: cookie(1)},
		FastOpenCookieRequests: {tell: fastOpens(nil)},
		FastOpenPassive:        {tell: fastOpens(goodCookie)},
		FastOpenRefusals:       {tell: fastOpens(func(*Harness) []byte { return []byte("nonsense") })},
		FastOpenRenewals: {tell: fastOpens(func(h *Harness) []byte {
			b := goodCookie(h)
			h.Advance(fastOpenKeyLife)
			return b
		})},
		FastOpenOverflow: {tell: func(t *testing.T, h *Harness) {
			for range 2 {
				fastOpens(goodCookie)(t, h)
			}
		}},
		FastOpenActive:        {tell: fastDials(5)},
		FastOpenActiveRefused: {tell: fastDials(0)},
		FastOpenBlackHoles: {tell: func(t *testing.T, h *Harness) {
			fastDials(5)(t, h)
			dialFast(t, h, at(them4, 80), "hello")
			h.Advance(8 * time.Second)
		}},
		HalfOpenContradicted: {ecn: tcp.ECNAccurate, tell: func(t *testing.T, h *Harness) {
			p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 1, wnd: 64000}
			p.send(wire.FlagSYN|wire.FlagECE|wire.FlagCWR|wire.FlagAE, "")
			p.seq = 1
			p.send(wire.FlagSYN|wire.FlagECE|wire.FlagCWR, "")
			if st := h.Stats(); st.HalfOpen != 0 || count(h, TCPResetsSent) != 1 {
				t.Errorf("%d records left, %d resets", st.HalfOpen, count(h, TCPResetsSent))
			}
		}},
		ConnectionsOverflow: {limits: Limits{Connections: 1}, tell: open(2)},
		PeerOverflow:        {limits: Limits{Connections: 10, ConnectionsPerPeer: 1}, tell: open(2)},
		OrphansOverflow:     {limits: Limits{Orphans: 1}, tell: orphans},
		TimeWaitOverflow: {limits: Limits{TimeWait: 1}, tell: func(t *testing.T, h *Harness) {
			toTimeWaitPeer(t, h, 4000)
			toTimeWaitPeer(t, h, 4001)
		}},
		TimeWaitReused: {tell: func(t *testing.T, h *Harness) {
			p, _ := toTimeWaitPeer(t, h, 81)
			listen(t, h, "10.0.0.1:81")
			h.Inject((&wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq + 9, Flags: wire.FlagSYN}).raw())
		}},
		TimeWaitACKs: {tell: func(t *testing.T, h *Harness) {
			p, _ := toTimeWaitPeer(t, h, 4000)
			p.seq--
			p.send(wire.FlagFIN|wire.FlagACK, "")
		}},
		UDPShort:       {tell: inject(cut(udpPacket(at(them4, 1), at(us4, 53), nil), 7))},
		UDPBadChecksum: {tell: inject(flip(udpPacket(at(them4, 1), at(us4, 53), []byte("x"))))},
		UDPNoChecksum: {tell: func(t *testing.T, h *Harness) {
			b := udpPacket(at(them6, 1), at(us6, 53), nil)
			b[46], b[47] = 0, 0
			h.Inject(b)
		}},
		UDPNoSocket:       {tell: inject(udpPacket(at(them4, 1), at(us4, 9), nil))},
		UDPQueueFull:      {limits: Limits{UDPQueueBytes: 1}, tell: func(t *testing.T, h *Harness) { repeat(h, 2, udpPacket(at(them4, 1), at(us4, 53), []byte("x"))) }},
		UDPIn:             {tell: inject(udpPacket(at(them4, 1), at(us4, 53), []byte("x")))},
		UDPOut:            {tell: func(t *testing.T, h *Harness) { h.SendUDP(openUDP(t, h, "0.0.0.0:54", ""), at(them4, 1), nil) }},
		ICMPShort:         {tell: inject(cut(ping(them4, us4, nil), 7))},
		ICMPBadChecksum:   {tell: inject(flip(ping(them4, us4, []byte("x"))))},
		ICMPEchoes:        {tell: inject(ping(them4, us4, nil))},
		ICMPErrorsIn:      {tell: quote(wire.ICMPv4Unreachable, 0)},
		ICMPErrorsForged:  {tell: quote(wire.ICMPv4Unreachable, 1)},
		ICMPSourceQuench:  {tell: quote(wire.ICMPv4SourceQuench, 0)},
		ICMPUnknown:       {tell: quote(wire.ICMPv4Redirect, 0)},
		ICMPErrorsSent:    {tell: inject(udpPacket(at(them4, 1), at(us4, 9), nil))},
		ICMPErrorsLimited: {tell: func(t *testing.T, h *Harness) { repeat(h, 2, udpPacket(at(them4, 1), at(us4, 9), nil)) }},
	}
}

// blackHole sends more than passes silently.
func blackHole(t *testing.T, h *Harness) {
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 81))
	newWay(p, c, 1300).transfer(1 << 18)
}

// goodCookie is what a listener of h wants to see from them4.
func goodCookie(h *Harness) []byte {
	f := Flow{Local: toAddr(us4), Remote: toAddr(them4)}
	c := h.E.freshCookie(h.Now(), &f)
	return c.B[:c.N]
}

// fastOpens sends a SYN with data and a cookie to a listener that lets one
// connection be pending.
func fastOpens(cookie func(*Harness) []byte) func(*testing.T, *Harness) {
	return func(t *testing.T, h *Harness) {
		h.E.EachListener(func(l *Listener) { l.SetFastOpen(1) })
		var b []byte
		if cookie != nil {
			b = cookie(h)
		}
		s := fastSYN(at(them4, uint16(1000+len(h.E.fast.pending))), b, "hello")
		h.Inject(s.raw())
	}
}

// fastDials opens a connection to a server whose cookie is known, which
// acknowledges n octets of the SYN's data.
func fastDials(n uint32) func(*testing.T, *Harness) {
	return func(t *testing.T, h *Harness) {
		for range 2 {
			c, s := dialFast(t, h, at(them4, 80), "hello")
			a := answer(&s, s.SEQ+1+min(n, uint32(len(s.Data))), []byte("abcd"))
			h.Inject(a.raw())
			h.Abort(c)
		}
	}
}

// mended is a packet of IPv4 with the checksum that it should have.
func mended(raw []byte) []byte {
	raw[10], raw[11] = 0, 0
	sum := wire.Finish(wire.Sum(raw[:wire.IPv4MinLen], 0))
	raw[10], raw[11] = byte(sum>>8), byte(sum)
	return raw
}

// ecnPeer makes a connection to port 80 whose ends use ECN.
func ecnPeer(t *testing.T, h *Harness) (*peer, *Conn) {
	t.Helper()
	p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 1, wnd: 64000}
	p.send(wire.FlagSYN|wire.FlagECE|wire.FlagCWR, "")
	p.ack = one(t, h).SEQ + 1
	p.send(wire.FlagACK, "")
	for _, l := range h.E.sortedListeners() {
		if c := h.Accept(l); c != nil {
			return p, c
		}
	}
	t.Fatal("no connection")
	return nil, nil
}

func noInterface(t *testing.T, h *Harness) {
	h.E.Input(h.Now(), 7, []*pkt.Packet{h.E.Pool().Packet()})
}

func repeat(h *Harness, n int, raw []byte) {
	for range n {
		h.Inject(raw)
	}
}

// badOptions makes a SYN with an option of length 0.
func badOptions(s wireSegment) []byte {
	s.Opts = wire.TCPOptions{MSS: 1000, Has: wire.HasMSS}
	raw := s.raw()
	h := wire.TCP(raw[wire.IPv4MinLen:])
	h[wire.TCPMinLen+1] = 0
	h.SetChecksum(0)
	src, dst := toAddr(them4), toAddr(us4)
	h.SetChecksum(wire.Finish(wire.Sum(h, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(h))))))
	return raw
}

// cookie completes a handshake by cookie; off is added to the acknowledgment.
func cookie(off uint32) func(*testing.T, *Harness) {
	return func(t *testing.T, h *Harness) {
		h.Inject(syn(at(them4, 1), 1))
		h.Sent()
		h.Inject(syn(at(them4, 2), 1))
		s := one(t, h)
		h.Inject((&wireSegment{Src: s.Dst, Dst: s.Src, SEQ: 2, ACK: s.SEQ + 1 + off, Flags: wire.FlagACK}).raw())
	}
}

// orphans closes two connections whose peers do not answer.
func orphans(t *testing.T, h *Harness) {
	for port := range uint16(2) {
		_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80+port))
		h.Close(c)
		h.Sent()
		if want := tcp.FinWait1; port == 1 && c.State() != tcp.Closed || port == 0 && c.State() != want {
			t.Errorf("orphan %d: %v", port, c.State())
		}
	}
}

// quote sends an ICMP error about data of ours, whose SEQ is off by some.
func quote(typ, off byte) func(*testing.T, *Harness) {
	return func(t *testing.T, h *Harness) {
		_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		h.Write(c, []byte("x"))
		about := append([]byte{}, lastRaw(t, h)...)
		about[wire.IPv4MinLen+7] += off
		h.Inject(icmp4(typ, 0, 0, about))
	}
}

// Every counter can be reached, by what its explanation says.
func TestEveryCounter(t *testing.T) {
	stories := counterStories()
	maps.Copy(stories, memoryStories())
	for c := range NumCounters {
		s, ok := stories[c]
		if !ok {
			t.Errorf("%v is never counted: nobody knows how", c)
			continue
		}
		h := newTestHarness(t, HarnessConfig{Config: Config{Limits: s.limits, TCP: s.tcp()}})
		listen(t, h, "0.0.0.0:80")
		openUDP(t, h, "[::]:53", "")
		before := count(h, c)
		s.tell(t, h)
		if count(h, c) == before {
			t.Errorf("%v is not counted", c)
		}
		if c.String() == "" || c.Help() == "" {
			t.Errorf("counter %d has no name or no explanation", c)
		}
	}
}

// A snapshot lists every counter once, those of package ip among them.
func TestStatsEach(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	h.Inject(ipPacket(them4, netip.MustParseAddr("10.0.0.99"), wire.ProtoTCP, 0, 0, make([]byte, 20)))
	st := h.Stats()
	names := map[string]uint64{}
	st.Each(func(name, help string, n uint64) {
		if _, twice := names[name]; twice || name == "" || help == "" {
			t.Errorf("%q, %q", name, help)
		}
		names[name] = n
	})
	if want := int(NumCounters) + int(ip.NumReasons) - 1; len(names) != want {
		t.Errorf("%d counters, want %d", len(names), want)
	}
	if names["in_packets"] != 1 || names["ip_not_for_us"] != 1 {
		t.Errorf("%v", names)
	}
}
