package engine

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// ICMP errors reach the connection that sent the packet they quote, over both
// families, and no other. RFC 9293 §3.9.2.2.
func TestR9293_M54_ICMPDemux(t *testing.T) {
	for _, them := range []netip.Addr{them4, them6} {
		h := newTestHarness(t, HarnessConfig{})
		_, other := dialPeer(t, h, netip.AddrPort{}, at(them, 81))
		_, c := dialPeer(t, h, netip.AddrPort{}, at(them, 80))
		h.Write(c, []byte("data"))
		about := lastRaw(t, h)
		if them.Is4() {
			h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachNet, 0, about))
		} else {
			h.Inject(icmp6(wire.ICMPv6Unreachable, wire.Unreach6NoRoute, 0, about))
		}
		if e := c.SoftErr(); e != tcp.ReasonUnreachable {
			t.Errorf("%v: soft error %v", them, e)
		}
		if e := other.SoftErr(); e != tcp.ReasonNone {
			t.Errorf("%v: the other connection has %v", them, e)
		}
		wantCount(t, h, ICMPErrorsIn, 1)
		wantCount(t, h, ICMPErrorsForged, 0)
	}
}

// Source Quench is discarded in silence. RFC 9293 §3.9.2.2.
func TestR9293_M55_SourceQuench(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, []byte("data"))
	about := lastRaw(t, h)
	before := h.Info(c)
	h.Inject(icmp4(wire.ICMPv4SourceQuench, 0, 0, about))
	if after := h.Info(c); after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	nothing(t, h, "Source Quench")
	if e := c.SoftErr(); e != tcp.ReasonNone {
		t.Errorf("soft error %v", e)
	}
	wantCount(t, h, ICMPSourceQuench, 1)
}

// icmpError is an error of one family.
type icmpError struct{ typ, code uint8 }

// softErrors are those of RFC 9293 §3.9.2.2.
func softErrors() (v4, v6 []icmpError) {
	v4 = []icmpError{{wire.ICMPv4Unreachable, wire.UnreachNet}, {wire.ICMPv4Unreachable, wire.UnreachHost},
		{wire.ICMPv4Unreachable, wire.UnreachSourceRoute}, {wire.ICMPv4TimeExceeded, 0}, {wire.ICMPv4TimeExceeded, 1}, {wire.ICMPv4ParamProblem, 0}}
	v6 = []icmpError{{wire.ICMPv6Unreachable, wire.Unreach6NoRoute}, {wire.ICMPv6Unreachable, wire.Unreach6Addr},
		{wire.ICMPv6TimeExceeded, 0}, {wire.ICMPv6TimeExceeded, 1}, {wire.ICMPv6ParamProblem, 0}, {wire.ICMPv6ParamProblem, 1}, {wire.ICMPv6ParamProblem, 2}}
	return v4, v6
}

// Soft errors never end a connection, in SYN-SENT neither. RFC 9293 §3.9.2.2.
func TestR9293_M56_SoftICMPNoAbort(t *testing.T) {
	v4, v6 := softErrors()
	for _, x := range v4 {
		softNoAbort(t, them4, func(about []byte) []byte { return icmp4(x.typ, x.code, 0, about) })
	}
	for _, x := range v6 {
		softNoAbort(t, them6, func(about []byte) []byte { return icmp6(x.typ, x.code, 0, about) })
	}
}

func softNoAbort(t *testing.T, them netip.Addr, message func(about []byte) []byte) {
	t.Helper()
	h := newTestHarness(t, HarnessConfig{})
	opening := mustDial(t, h, netip.AddrPort{}, at(them, 79))
	h.Inject(message(lastRaw(t, h)))
	if opening.State() != tcp.SynSent {
		t.Errorf("%v after a soft error in SYN-SENT", opening.State())
	}
	if e := opening.SoftErr(); e == tcp.ReasonNone {
		t.Errorf("the soft error is not remembered")
	}
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them, 80))
	h.Write(c, []byte("data"))
	h.Inject(message(lastRaw(t, h)))
	if c.State() != tcp.Established {
		t.Errorf("%v after a soft error in ESTABLISHED", c.State())
	}
}

// Soft errors are there for the program to see. RFC 9293 §3.9.2.2.
func TestR9293_S25_SoftErrorVisible(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for _, x := range []struct {
		icmpError
		want tcp.Reason
	}{
		{icmpError{wire.ICMPv4Unreachable, wire.UnreachHost}, tcp.ReasonUnreachable},
		{icmpError{wire.ICMPv4TimeExceeded, 0}, tcp.ReasonTimeExceeded},
		{icmpError{wire.ICMPv4ParamProblem, 0}, tcp.ReasonParameterProblem},
		{icmpError{wire.ICMPv4Unreachable, wire.UnreachPort}, tcp.ReasonPortUnreachable},
		{icmpError{wire.ICMPv4Unreachable, wire.UnreachProtocol}, tcp.ReasonProtoUnreachable},
	} {
		_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		h.Write(c, []byte("data"))
		h.Inject(icmp4(x.typ, x.code, 0, lastRaw(t, h)))
		if e := c.SoftErr(); e != x.want {
			t.Errorf("type %d code %d: soft error %v, want %v", x.typ, x.code, e, x.want)
		}
	}
}

// Hard errors abort. RFC 9293 §3.9.2.2. Deviation: only an attempt to connect;
// on a synchronised connection they count as soft, RFC 5927 §5.2.
func TestR9293_S26_HardICMP_Deviation(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for i, code := range []uint8{wire.UnreachProtocol, wire.UnreachPort} {
		c := mustDial(t, h, netip.AddrPort{}, at(them4, uint16(80+i)))
		h.Inject(icmp4(wire.ICMPv4Unreachable, code, 0, lastRaw(t, h)))
		if c.State() != tcp.Closed || c.Err() == tcp.ReasonNone {
			t.Errorf("code %d in SYN-SENT: %v, %v", code, c.State(), c.Err())
		}
		_, c = dialPeer(t, h, netip.AddrPort{}, at(them4, uint16(90+i)))
		h.Write(c, []byte("data"))
		h.Inject(icmp4(wire.ICMPv4Unreachable, code, 0, lastRaw(t, h)))
		if c.State() != tcp.Established || c.SoftErr() == tcp.ReasonNone {
			t.Errorf("code %d in ESTABLISHED: %v", code, c.State())
		}
	}
	c := mustDial(t, h, netip.AddrPort{}, at(them6, 80))
	h.Inject(icmp6(wire.ICMPv6Unreachable, wire.Unreach6Port, 0, lastRaw(t, h)))
	if c.State() != tcp.Closed || c.Err() != tcp.ReasonPortUnreachable {
		t.Errorf("IPv6 in SYN-SENT: %v, %v", c.State(), c.Err())
	}
}

// A half-open record is given up for a hard error that quotes its SYN-ACK, and
// for no other.
func TestICMPForHalfOpen(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	h.Inject((&wireSegment{Src: at(them4, 4000), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw())
	synack := lastRaw(t, h)
	forged := append([]byte{}, synack...)
	forged[wire.IPv4MinLen+7]++ // SEQ
	for i, x := range []struct {
		code  uint8
		about []byte
		left  int
	}{{wire.UnreachPort, forged, 1}, {wire.UnreachHost, synack, 1}, {wire.UnreachPort, synack, 0}} {
		h.Inject(icmp4(wire.ICMPv4Unreachable, x.code, 0, x.about))
		if _, half := l.Pending(); half != x.left {
			t.Errorf("error %d: %d half-open records, want %d", i, half, x.left)
		}
	}
	wantCount(t, h, ICMPErrorsForged, 1)
}

// T-BLD-05: forged hard errors with any sequence number neither end nor slow a
// connection.
func TestForgedICMPErrors(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, make([]byte, 1000))
	about := append([]byte{}, lastRaw(t, h)...)
	before := h.Info(c)
	const seed = 5
	r := newTestRand(seed)
	for range 20_000 {
		copy(about[wire.IPv4MinLen+4:], r.bytes(4))
		code := []uint8{wire.UnreachProtocol, wire.UnreachPort, wire.UnreachFragNeeded}[r.IntN(3)]
		h.Inject(icmp4(wire.ICMPv4Unreachable, code, 68, about))
	}
	if after := h.Info(c); after != before {
		t.Errorf("seed %d: before %+v\nafter  %+v", seed, before, after)
	}
	if n := count(h, ICMPErrorsForged); n < 19_990 {
		t.Errorf("seed %d: %d errors were recognised as forged", seed, n)
	}
}

// A path that turns out narrower: the connection sends again in smaller pieces
// at once, the others to the same host when they next send. RFC 1191 §6.
func TestPathMTU(t *testing.T) {
	for _, them := range []netip.Addr{them4, them6} {
		h := newTestHarness(t, HarnessConfig{})
		_, c := dialPeer(t, h, netip.AddrPort{}, at(them, 80))
		p2, c2 := dialPeer(t, h, netip.AddrPort{}, at(them, 81))
		_ = p2
		h.Write(c, make([]byte, 5000))
		first := h.Sent()[0].Raw
		if them.Is4() {
			h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 1300, first))
		} else {
			h.Inject(icmp6(wire.ICMPv6PacketTooBig, 0, 1300, first))
		}
		again := h.Sent()
		if len(again) == 0 {
			t.Fatalf("%v: nothing is sent again", them)
		}
		h.Write(c2, make([]byte, 5000))
		for _, s := range append(again, h.Sent()...) {
			if len(s.Raw) > 1300 {
				t.Errorf("%v: a packet of %d bytes on a path of 1300", them, len(s.Raw))
			}
		}
	}
}

// A path at the floor that turns out narrower still: packets keep their size
// and may be cut on the way from then on, or nothing would ever arrive again.
// RFC 1191 §3.
func TestPathMTUBelowFloorLater(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, make([]byte, 3000))
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 552, h.Sent()[0].Raw))
	first := h.Sent()
	if len(first) == 0 || len(first[0].Raw) != 552 || !parseIP(first[0].Raw).DF {
		t.Fatalf("%d packets sent again, want some of 552 bytes with DF", len(first))
	}
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 296, first[0].Raw))
	h.Advance(5 * time.Second)
	later := h.Sent()
	if len(later) == 0 {
		t.Fatal("nothing is sent again")
	}
	ids := map[uint16]bool{}
	for _, s := range later {
		q := parseIP(s.Raw)
		if q.DF || len(s.Raw) > 552 || ids[q.ID] {
			t.Errorf("%d bytes, DF %v, ID %d, want at most 552 without DF and an ID of its own", len(s.Raw), q.DF, q.ID)
		}
		ids[q.ID] = true
	}
}

// T-BLD-06: a message that names a tiny MTU lowers the path to the floor and no
// further, and one that quotes nothing in flight does nothing.
func TestPathMTUFloor(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, make([]byte, 3000))
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 68, h.Sent()[0].Raw))
	sent := h.Sent()
	if len(sent) == 0 || len(sent[0].Raw) != 552 {
		t.Fatalf("%d packets sent again", len(sent))
	}
	if q := parseIP(sent[0].Raw); q.DF || q.ID == 0 {
		t.Errorf("DF %v, ID %d below the floor, where packets may have to be cut", q.DF, q.ID)
	}
	_, c6 := dialPeer(t, h, netip.AddrPort{}, at(them6, 80))
	h.Write(c6, make([]byte, 3000))
	first := h.Sent()[0].Raw
	h.Inject(icmp6(wire.ICMPv6PacketTooBig, 0, 1000, first))
	nothing(t, h, "an MTU below 1280 is void")
	if i := h.Info(c6); i.SendMSS < 1220 {
		t.Errorf("MSS %d over IPv6", i.SendMSS)
	}
}

// ping makes an echo request.
func ping(from, to netip.Addr, data []byte) []byte {
	b := append(make([]byte, wire.ICMPLen), data...)
	if from.Is4() {
		wire.PutICMPv4Echo(b, false, 7, 9)
		return ipPacket(from, to, wire.ProtoICMP, 0x28, 0, b)
	}
	src, dst := toAddr(from), toAddr(to)
	wire.PutICMPv6(b, &src, &dst, wire.ICMPv6Echo, 0, 7<<16|9)
	return ipPacket(from, to, wire.ProtoICMPv6, 0x28, 0, b)
}

// Echo requests are answered with their own data. RFC 1122 §3.2.2.6, RFC 4443 §4.2.
func TestEcho(t *testing.T) {
	for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
		for _, n := range []int{0, 1, 56, 57, 1400} {
			h := newTestHarness(t, HarnessConfig{})
			data := newTestRand(uint64(n)).bytes(n)
			h.Inject(ping(ends[1], ends[0], data))
			s := h.Sent()
			if len(s) != 1 {
				t.Fatalf("%d packets in answer to a ping of %d bytes", len(s), n)
			}
			q := parseIP(s[0].Raw)
			typ := byte(wire.ICMPv4EchoReply)
			if ends[0].Is6() {
				typ = wire.ICMPv6EchoReply
			}
			if q.Src != ends[0] || q.Dst != ends[1] || q.TOS != 0x28 || q.Payload[0] != typ || q.Payload[5] != 7 ||
				q.Payload[7] != 9 || !bytes.Equal(q.Payload[8:], data) {
				t.Errorf("ping of %d bytes: answered by %x", n, s[0].Raw)
			}
			wantCount(t, h, ICMPEchoes, 1)
		}
	}
}

// fragments cuts an IPv4 packet into fragments of at most n bytes of payload,
// a multiple of eight.
func fragments(raw []byte, n int) (all [][]byte) {
	payload := raw[wire.IPv4MinLen:]
	for off := 0; off < len(payload); off += n {
		k := min(n, len(payload)-off)
		b := append(append([]byte{}, raw[:wire.IPv4MinLen]...), payload[off:off+k]...)
		b[2], b[3] = byte(len(b)>>8), byte(len(b))
		b[4], b[5] = 0x12, 0x34
		b[6], b[7] = byte(off/8>>8), byte(off/8)
		if off+k < len(payload) {
			b[6] |= 0x20
		}
		b[10], b[11] = 0, 0
		sum := wire.Finish(wire.Sum(b[:wire.IPv4MinLen], 0))
		b[10], b[11] = byte(sum>>8), byte(sum)
		all = append(all, b)
	}
	return all
}

// joinFragments puts the payload of IPv4 fragments together.
func joinFragments(t *testing.T, sent []SentPacket) []byte {
	t.Helper()
	var whole []byte
	for _, s := range sent {
		p := wire.IPv4(s.Raw)
		if p.FragOffset() != len(whole) {
			t.Fatalf("a fragment at %d, want %d", p.FragOffset(), len(whole))
		}
		whole = append(whole, p.Payload()...)
	}
	return whole
}

// A ping that comes in fragments is answered in fragments.
func TestEchoFragmented(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	data := newTestRand(1).bytes(20_000)
	h.Inject(fragments(ping(them4, us4, data), 1480)...)
	sent := h.Sent()
	if len(sent) != 14 {
		t.Fatalf("%d fragments in answer", len(sent))
	}
	whole := joinFragments(t, sent)
	if whole[0] != wire.ICMPv4EchoReply || !wire.ICMPv4(whole).ChecksumOK() || !bytes.Equal(whole[8:], data) {
		t.Errorf("the answer is %d bytes, beginning %x", len(whole), whole[:8])
	}
}

// Pings to broadcast and multicast addresses of IPv4 are not answered; one to a
// group of IPv6 is, from an address of ours.
func TestEchoToMany(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for _, to := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
		h.Inject(ping(them4, netip.MustParseAddr(to), nil))
		nothing(t, h, to)
	}
	h.Inject(ping(them6, netip.MustParseAddr("ff02::1"), []byte("hello")))
	s := h.Sent()
	if len(s) != 1 || parseIP(s[0].Raw).Src != us6 {
		t.Errorf("a ping to ff02::1 is answered by %v", s)
	}
}

// What a fragmented datagram is missing is reported after its time: Time
// Exceeded, code 1. RFC 1122 §3.3.2.
func TestReassemblyTimeExceeded(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	all := fragments(ping(them4, us4, make([]byte, 3000)), 1480)
	h.Inject(all[0])
	h.Advance(29 * time.Second)
	nothing(t, h, "not yet")
	h.Advance(2 * time.Second)
	s := h.Sent()
	if len(s) != 1 {
		t.Fatalf("%d packets, want Time Exceeded", len(s))
	}
	q := parseIP(s[0].Raw)
	if q.Dst != them4 || q.Payload[0] != wire.ICMPv4TimeExceeded || q.Payload[1] != wire.TimeExceededReassembly || !bytes.Equal(q.Payload[8:28], all[0][:20]) {
		t.Errorf("sent %x", s[0].Raw)
	}
	h.Inject(all[2]) // the first one is missing: silence
	h.Advance(time.Minute)
	nothing(t, h, "without the first fragment")
}

// A protocol that nobody has: the error RFC 1122 §3.2.2.1 and RFC 8200 §4 ask for.
func TestUnknownProtocol(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	h.Inject(ipPacket(them4, us4, 132, 0, 0, make([]byte, 20)))
	if s := h.Sent(); len(s) != 1 || parseIP(s[0].Raw).Payload[0] != wire.ICMPv4Unreachable || parseIP(s[0].Raw).Payload[1] != wire.UnreachProtocol {
		t.Errorf("IPv4: %x", s)
	}
	h.Inject(ipPacket(them6, us6, 132, 0, 0, make([]byte, 20)))
	if s := h.Sent(); len(s) != 1 || parseIP(s[0].Raw).Payload[0] != wire.ICMPv6ParamProblem || parseIP(s[0].Raw).Payload[1] != wire.ParamProblemNextHeader {
		t.Errorf("IPv6: %x", s)
	}
	// Not for us: silence.
	h.Inject(ipPacket(them4, netip.MustParseAddr("10.0.0.99"), 132, 0, 0, make([]byte, 20)))
	nothing(t, h, "a packet for someone else")
}

// Messages about neighbours and routers mean nothing where there are none.
func TestNeighbourMessagesIgnored(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for _, typ := range []uint8{wire.ICMPv6RouterSolicit, wire.ICMPv6RouterAdvert, wire.ICMPv6NeighSolicit, wire.ICMPv6NeighAdvert, wire.ICMPv6Redirect} {
		b := make([]byte, 40)
		src, dst := toAddr(them6), toAddr(us6)
		wire.PutICMPv6(b, &src, &dst, typ, 0, 0)
		h.Inject(ipPacket(them6, us6, wire.ProtoICMPv6, 0, 255, b))
		nothing(t, h, "a message about neighbours")
	}
	wantCount(t, h, ICMPUnknown, 5)
}
