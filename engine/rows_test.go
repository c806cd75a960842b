package engine

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// rfc is the RFC profile.
func rfc() *tcp.Config { return tcp.DefaultConfig(tcp.ProfileRFC) }

func mustDial(t testing.TB, h *Harness, local, remote netip.AddrPort) *Conn {
	t.Helper()
	c, err := h.Dial(DialConfig{Local: local, Remote: remote})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The sender computes the checksum of every segment, over the pseudo-header
// too. RFC 9293 §3.1.
func TestR9293_M02_ChecksumOnEverySegment(t *testing.T) {
	for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
		h := newTestHarness(t, HarnessConfig{Config: Config{TCP: rfc()}}) // CheckPacket looks at all of them
		p, c := dialPeer(t, h, at(ends[0], 0), at(ends[1], 80))
		kinds := map[wire.TCPFlags]bool{}
		note := func() {
			for _, s := range segments(t, h) {
				kinds[s.Flags] = true
			}
		}
		h.Write(c, make([]byte, 1001)) // an odd number of bytes
		note()
		h.Advance(3 * time.Second) // sent again
		note()
		p.ack += 1001
		p.send(wire.FlagACK, "x")
		h.Advance(time.Second) // a delayed ACK
		note()
		h.Shutdown(c, false, true)
		note()
		h.Abort(c)
		note()
		h.Inject((&wireSegment{Src: at(ends[1], 9), Dst: at(ends[0], 9), Flags: wire.FlagSYN}).raw()) // CLOSED answers
		note()
		for _, f := range []wire.TCPFlags{wire.FlagACK | wire.FlagPSH, wire.FlagACK, wire.FlagACK | wire.FlagFIN, wire.FlagRST | wire.FlagACK} {
			if !kinds[f] {
				t.Errorf("%v: no segment with %v was sent: %v", ends[1], f, kinds)
			}
		}
	}
}

// The receiver verifies the checksum and drops what fails, before anything
// else. RFC 9293 §3.1.
func TestR9293_M03_BadChecksumDropped(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, at(us4, 0), at(them4, 80))
	s := p.seg(wire.FlagRST, "")
	b := s.raw()
	b[len(b)-4] ^= 1 // in the checksum
	h.Inject(b)
	if c.State() != tcp.Established {
		t.Errorf("%v after a RST with a bad checksum", c.State())
	}
	nothing(t, h, "a bad checksum is not answered")
	wantCount(t, h, TCPBadChecksum, 1)
}

// A passive OPEN never disturbs a connection that exists. RFC 9293 §3.9.1.1.
func TestR9293_M41_ListenIsolated(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: rfc()}})
	p, c := dialPeer(t, h, at(us4, 5000), at(them4, 80))
	l := listen(t, h, "0.0.0.0:5000")
	p.send(wire.FlagACK|wire.FlagPSH, "hello")
	var b [8]byte
	if n, _ := h.Read(c, b[:]); string(b[:n]) != "hello" || c.State() != tcp.Established {
		t.Errorf("read %q in %v", b[:n], c.State())
	}
	h.CloseListener(l)
	if c.State() != tcp.Established {
		t.Errorf("%v after the listener closed", c.State())
	}
}

// A program can LISTEN on a port while a connection from it is in SYN-SENT or
// SYN-RECEIVED. RFC 9293 §3.9.1.1.
// In the Linux profile it asks for that by ReuseAddr.
func TestR9293_M42_ListenDuringConnect(t *testing.T) {
	t.Run("RFC", func(t *testing.T) { listenDuringConnect(t, rfc(), false) })
	t.Run("Linux", func(t *testing.T) { listenDuringConnect(t, tcp.DefaultConfig(tcp.ProfileLinux), true) })
}

func listenDuringConnect(t *testing.T, cfg *tcp.Config, reuse bool) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: cfg}})
	c := mustDial(t, h, at(us4, 5000), at(them4, 80))
	syn := one(t, h)
	l, err := h.Listen(ListenConfig{Local: at(us4, 5000), ReuseAddr: reuse})
	if err != nil {
		t.Fatal(err)
	}
	acceptPeer(t, h, l, at(us4, 5000), at(them4, 81)) // the listener works
	p := &peer{t: t, h: h, us: syn.Src, them: syn.Dst, seq: 9, ack: syn.SEQ + 1, wnd: 1000}
	p.send(wire.FlagSYN, "") // crossing
	if c.State() != tcp.SynReceived {
		t.Fatalf("%v, want SYN-RECEIVED", c.State())
	}
	listen(t, h, "10.0.0.1:5001")
	h.Sent()
	p.send(wire.FlagACK, "")
	if c.State() != tcp.Established {
		t.Errorf("%v, want ESTABLISHED: the active open is not disturbed", c.State())
	}
}

// OPEN takes a local address. RFC 9293 §3.9.1.1.
func TestR9293_M43_LocalAddrParam(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("10.0.0.7/24")}})
	mustDial(t, h, netip.MustParseAddrPort("10.0.0.7:0"), at(them4, 80))
	if s := one(t, h); s.Src.Addr() != netip.MustParseAddr("10.0.0.7") {
		t.Errorf("the SYN comes from %v", s.Src)
	}
	if _, err := h.Dial(DialConfig{Local: netip.MustParseAddrPort("10.0.0.8:0"), Remote: at(them4, 80)}); err != ErrAddrNotAvail {
		t.Errorf("an address that is not ours: %v", err)
	}
}

// Without one, IP chooses the local address before the first SYN. RFC 9293
// §3.9.1.1.
func TestR9293_M44_SourceSelected(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"),
		netip.MustParsePrefix("192.168.1.1/24"), netip.MustParsePrefix("fd00::1/64")}})
	for remote, want := range map[string]string{"10.0.0.2": "10.0.0.1", "192.168.1.9": "192.168.1.1", "fd00::9": "fd00::1", "127.0.0.1": "127.0.0.1"} {
		c := mustDial(t, h, netip.AddrPort{}, at(netip.MustParseAddr(remote), 80))
		if got := c.LocalAddr().Addr().String(); got != want {
			t.Errorf("to %s from %s, want %s", remote, got, want)
		}
	}
}

// The local address stays what it was, whatever addresses come later. RFC 9293
// §3.9.1.1.
func TestR9293_M45_LocalAddrStable(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("172.16.0.1/16")}})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.E.AddAddress(h.Iface, netip.MustParsePrefix("10.0.0.1/24")) // would be chosen now
	h.Write(c, []byte("x"))
	h.Advance(5 * time.Second)
	all := segments(t, h)
	for _, s := range all {
		if s.Src != c.LocalAddr() || s.Src.Addr().String() != "172.16.0.1" {
			t.Errorf("from %v, want %v", s.Src, c.LocalAddr())
		}
	}
	if len(all) < 2 {
		t.Errorf("only %d segments", len(all))
	}
}

// OPEN to an address that is not one host's fails. RFC 9293 §3.9.1.1.
func TestR9293_M46_NoConnectToMulticast(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for _, a := range []string{"224.0.0.1", "239.1.2.3", "255.255.255.255", "10.0.0.255", "ff02::1"} {
		if _, err := h.Dial(DialConfig{Remote: at(netip.MustParseAddr(a), 80)}); err != ErrInvalidAddr {
			t.Errorf("%s: %v, want %v", a, err, ErrInvalidAddr)
		}
	}
	nothing(t, h, "no SYN")
}

// icmp4 makes an ICMP error about a packet that was sent, from a router.
func icmp4(typ, code uint8, rest uint32, about []byte) []byte {
	n := min(len(about), 28) // what RFC 792 asks for
	b := append(make([]byte, wire.ICMPLen), about[:n]...)
	wire.PutICMPv4(b, typ, code, rest)
	return ipPacket(netip.MustParseAddr("10.0.0.254"), parseIP(about).Src, wire.ProtoICMP, 0, 0, b)
}

func icmp6(typ, code uint8, rest uint32, about []byte) []byte {
	router := netip.MustParseAddr("fd00::fe")
	b := append(make([]byte, wire.ICMPLen), about[:min(len(about), 600)]...)
	src, dst := toAddr(router), toAddr(parseIP(about).Src)
	wire.PutICMPv6(b, &src, &dst, typ, code, rest)
	return ipPacket(router, parseIP(about).Src, wire.ProtoICMPv6, 0, 0, b)
}

// lastRaw returns the last packet sent.
func lastRaw(t testing.TB, h *Harness) []byte {
	t.Helper()
	s := h.Sent()
	if len(s) == 0 {
		t.Fatal("nothing was sent")
	}
	return s[len(s)-1].Raw
}

// Soft errors can be learnt: ICMP errors, too many retransmissions, urgent
// data. RFC 9293 §3.9.1.8.
func TestR9293_M47_SoftErrorReport(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: rfc()}})
	p, c := dialPeer(t, h, at(us4, 0), at(them4, 80))
	h.Write(c, []byte("data"))
	h.Ready()
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachHost, 0, lastRaw(t, h)))
	if r := h.Ready(); len(r) != 1 || r[0] != c {
		t.Errorf("%d connections are ready, want the one", len(r))
	}
	if e := c.SoftErr(); e != tcp.ReasonUnreachable {
		t.Errorf("soft error %v", e)
	}
	h.Advance(20 * time.Second) // R1
	if e := c.SoftErr(); e != tcp.ReasonRetransmitting {
		t.Errorf("soft error %v after many retransmissions", e)
	}
	h.Ready()
	s := p.seg(wire.FlagACK|wire.FlagURG, "urgent")
	s.UP = 6
	h.Inject(s.raw())
	if _, ok := c.Urgent(); !ok || len(h.Ready()) != 1 {
		t.Errorf("urgent data is not told of")
	}
}

// The program sets the Diffserv field. RFC 9293 §3.9.1.9.
func TestR9293_M48_SetDSCP(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	if _, err := h.Dial(DialConfig{Remote: at(them4, 80), TOS: 0xb8}); err != nil {
		t.Fatal(err)
	}
	if s := one(t, h); s.TOS != 0xb8 {
		t.Errorf("TOS %#x on the SYN, want 0xb8", s.TOS)
	}
	if _, err := h.Dial(DialConfig{Remote: at(them6, 80), TOS: 0x28}); err != nil {
		t.Fatal(err)
	}
	if s := one(t, h); s.TOS != 0x28 {
		t.Errorf("traffic class %#x on the SYN, want 0x28", s.TOS)
	}
}

// The TTL can be set; it is 64 otherwise. RFC 9293 §3.9.2.
func TestR9293_M49_SetTTL(t *testing.T) {
	for _, them := range []netip.Addr{them4, them6} {
		h := newTestHarness(t, HarnessConfig{})
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them, 80))
		h.Write(c, []byte("a"))
		if s := one(t, h); s.TTL != 64 {
			t.Errorf("TTL %d, want 64", s.TTL)
		}
		p.ack++
		p.send(wire.FlagACK, "")
		h.SetOptions(c, Options{TTL: 255, NoDelay: true})
		h.Write(c, []byte("b"))
		if s := one(t, h); s.TTL != 255 {
			t.Errorf("TTL %d, want 255", s.TTL)
		}
	}
}

// withOptions puts options, a multiple of four bytes, into an IPv4 header.
func withOptions(raw, options []byte) []byte {
	b := append(append(append([]byte{}, raw[:wire.IPv4MinLen]...), options...), raw[wire.IPv4MinLen:]...)
	b[0] = 0x40 | uint8((wire.IPv4MinLen+len(options))/4)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], wire.Finish(wire.Sum(b[:wire.IPv4MinLen+len(options)], 0)))
	return b
}

// arrivesWith reports what a SYN with IP options brings about.
func arrivesWith(t *testing.T, options ...byte) (answered bool, h *Harness) {
	t.Helper()
	h = newTestHarness(t, HarnessConfig{})
	listen(t, h, "10.0.0.1:80")
	h.Inject(withOptions((&wireSegment{Src: at(them4, 4000), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw(), options))
	for _, p := range h.Sent() {
		q := parseIP(p.Raw)
		if len(q.Payload) > 0 && p.Raw[0] != 0x45 {
			t.Errorf("the answer has IP options: %x", p.Raw)
		}
		answered = answered || q.Proto == wire.ProtoTCP
	}
	return answered, h
}

// IP options that are not understood are ignored. RFC 9293 §3.9.2.
func TestR9293_M50_UnknownIPOptions(t *testing.T) {
	if ok, _ := arrivesWith(t, 0x5e, 4, 1, 2); !ok {
		t.Error("a SYN with an unknown IP option was not answered")
	}
}

// The IP Timestamp option may be used; here it is ignored. RFC 9293 §3.9.2.
func TestR9293_Y10_IPTimestampIgnored(t *testing.T) {
	if ok, _ := arrivesWith(t, wire.IPv4OptTimestamp, 8, 5, 0, 0, 0, 0, 0); !ok {
		t.Error("a SYN with an IP Timestamp option was not answered")
	}
}

// The Record Route option may be used; here it is ignored. RFC 9293 §3.9.2.
func TestR9293_Y11_RecordRouteIgnored(t *testing.T) {
	if ok, _ := arrivesWith(t, wire.IPv4OptRecordRoute, 7, 4, 0, 0, 0, 0, 0); !ok {
		t.Error("a SYN with a Record Route option was not answered")
	}
}

// An active OPEN takes a source route. RFC 9293 §3.9.2.1. Deviation: it does
// not, and no header that is sent has room for one.
func TestR9293_M51_SourceRoute_Deviation(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	mustDial(t, h, netip.AddrPort{}, at(them4, 80))
	if b := lastRaw(t, h); b[0] != 0x45 {
		t.Errorf("a header with options: %x", b[:20])
	}
}

// A source route of the program overrides one that was received. RFC 9293
// §3.9.2.1. Deviation: neither is used, and what came with one is dropped,
// because a source route lets a stranger choose the way back.
func TestR9293_M52_SourceRouteOverride_Deviation(t *testing.T) {
	if ok, h := arrivesWith(t, wire.IPv4OptSSRR, 7, 8, 10, 0, 0, 9, 0); ok || h.Stats().HalfOpen != 0 {
		t.Error("a SYN with a strict source route was answered")
	}
}

// A passive OPEN answers along the route that a SYN came by. RFC 9293 §3.9.2.1.
// Deviation: such a SYN is dropped, or a stranger would choose the way back.
func TestR9293_M53_SourceRouteReturn_Deviation(t *testing.T) {
	if ok, h := arrivesWith(t, wire.IPv4OptLSRR, 7, 8, 10, 0, 0, 9, 0); ok || h.Stats().HalfOpen != 0 {
		t.Error("a SYN with a loose source route was answered")
	}
}

// A later source route overrides an earlier one. RFC 9293 §3.9.2.1. Deviation:
// on a connection, too, a segment with one is dropped, because a source route
// lets a stranger choose the way back.
func TestR9293_S24_SourceRouteLater_Deviation(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	s := p.seg(wire.FlagACK|wire.FlagPSH, "data")
	h.Inject(withOptions(s.raw(), []byte{wire.IPv4OptLSRR, 7, 8, 10, 0, 0, 9, 0}))
	if c.Buffered() != 0 {
		t.Error("the segment was taken")
	}
	for _, s := range h.Sent() {
		if q := parseIP(s.Raw); q.Proto != wire.ProtoICMP || q.Dst != them4 || s.Raw[0] != 0x45 {
			t.Errorf("answered by %x", s.Raw)
		}
	}
}

// Segments to addresses of many are dropped in silence, whatever they are. RFC
// 9293 §3.9.2.3.
func TestR9293_M57_NoMulticastSegments(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	listen(t, h, "0.0.0.0:80")
	listen(t, h, "[::]:81")
	for _, to := range []string{"224.0.0.1", "255.255.255.255", "10.0.0.255", "ff02::1"} {
		a := netip.MustParseAddr(to)
		from, port := them4, uint16(80)
		if !a.Is4() {
			from, port = them6, 81
		}
		for _, f := range []wire.TCPFlags{wire.FlagSYN, wire.FlagACK, wire.FlagRST, wire.FlagFIN | wire.FlagACK, 0} {
			h.Inject((&wireSegment{Src: at(from, 4000), Dst: at(a, port), SEQ: 1, Flags: f, WND: 1000}).raw())
			nothing(t, h, to+" "+f.String())
		}
	}
	if s := h.Stats(); s.HalfOpen != 0 {
		t.Errorf("%d half-open records", s.HalfOpen)
	}
	wantCount(t, h, TCPMulticast, 20)
}

// A SYN from an address that is not one host's is ignored. RFC 9293 §3.9.2.3.
func TestR9293_M63_BadSourceSyn(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	listen(t, h, "0.0.0.0:80")
	listen(t, h, "[::]:81")
	for _, from := range []string{"224.0.0.1", "255.255.255.255", "10.0.0.255", "0.0.0.0", "127.0.0.1", "10.0.0.1", "ff02::1", "::", "::1", "fd00::1"} {
		a := netip.MustParseAddr(from)
		to := at(us4, 80)
		if !a.Is4() {
			to = at(us6, 81)
		}
		h.Inject((&wireSegment{Src: at(a, 4000), Dst: to, SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw())
		nothing(t, h, from)
	}
	if s := h.Stats(); s.HalfOpen != 0 {
		t.Errorf("%d half-open records", s.HalfOpen)
	}
}

// The MSS sent is at most what IP can reassemble less the headers: here the
// interface's MTU less both headers. RFC 9293 §3.7.1.
func TestR9293_M67_MSSFromMMSR(t *testing.T) {
	for _, mtu := range []int{576, 1280, 1500, 9000, 65535} {
		h := newTestHarness(t, HarnessConfig{MTU: mtu})
		listen(t, h, "[::]:80")
		mustDial(t, h, netip.AddrPort{}, at(them4, 80))
		if s := one(t, h); int(s.Opts.MSS) != mtu-40 {
			t.Errorf("MTU %d: MSS %d on a SYN over IPv4", mtu, s.Opts.MSS)
		}
		if mtu >= 1280 { // RFC 8200 §5
			mustDial(t, h, netip.AddrPort{}, at(them6, 80))
			if s := one(t, h); int(s.Opts.MSS) != mtu-60 {
				t.Errorf("MTU %d: MSS %d on a SYN over IPv6", mtu, s.Opts.MSS)
			}
		}
		h.Inject((&wireSegment{Src: at(them4, 4000), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}).raw())
		if s := one(t, h); int(s.Opts.MSS) != mtu-40 {
			t.Errorf("MTU %d: MSS %d on a SYN-ACK", mtu, s.Opts.MSS)
		}
	}
}

// MSS is sent when it differs from the default; here always. RFC 9293 §3.7.1.
func TestR9293_S05_SendMSS(t *testing.T) {
	for _, mtu := range []int{576, 1280, 1500} { // 536 and 1220 are the defaults
		h := newTestHarness(t, HarnessConfig{MTU: mtu})
		for _, them := range []netip.Addr{them4, them6} {
			if them == them6 && mtu < 1280 { // RFC 8200 §5
				continue
			}
			mustDial(t, h, netip.AddrPort{}, at(them, 80))
			if s := one(t, h); s.Opts.Has&wire.HasMSS == 0 {
				t.Errorf("MTU %d: no MSS on the SYN to %v", mtu, them)
			}
		}
	}
}

// Where the MTU varies, MSS follows the smallest. RFC 9293 §3.7.3.
func TestR9293_S06_SmallestMTU(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, make([]byte, 3000))
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachFragNeeded, 1000, h.Sent()[0].Raw))
	h.Sent()
	_ = p
	mustDial(t, h, netip.AddrPort{}, at(them4, 81))
	if s := one(t, h); s.Opts.MSS != 960 {
		t.Errorf("MSS %d after a path of 1000 bytes is known, want 960", s.Opts.MSS)
	}
}

// Reports of errors can be switched off. RFC 9293 §3.9.1.8.
func TestR9293_S20_DisableReports(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: rfc()}})
	_, c := dialPeer(t, h, at(us4, 0), at(them4, 80))
	c.SetErrorReports(false)
	h.Write(c, []byte("data"))
	h.Ready()
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachHost, 0, lastRaw(t, h)))
	h.Advance(20 * time.Second)
	if r := h.Ready(); len(r) != 0 && c.SoftErr() != tcp.ReasonNone {
		t.Errorf("a soft error is reported")
	}
	if e := c.SoftErr(); e != tcp.ReasonNone {
		t.Errorf("soft error %v", e)
	}
}

// The Diffserv field can be changed during a connection. RFC 9293 §3.9.1.9.
func TestR9293_S21_ChangeDSCP(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	for _, tos := range []uint8{0x20, 0x00, 0xfc} {
		h.SetOptions(c, Options{TOS: tos, NoDelay: true})
		h.Write(c, []byte("x"))
		if s := one(t, h); s.TOS != tos {
			t.Errorf("TOS %#x, want %#x", s.TOS, tos)
		}
		p.ack++
		p.send(wire.FlagACK, "")
	}
}

// The Diffserv field is passed to IP as it is; the two ECN bits are not part of
// it. RFC 9293 §3.9.1.9, RFC 3168 §5.
func TestR9293_S22_DSCPUnchanged(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, netip.AddrPort{}, at(them6, 80))
	for dscp := range 64 {
		h.SetOptions(c, Options{TOS: uint8(dscp<<2 | dscp&3), NoDelay: true})
		h.Write(c, []byte("x"))
		if s := one(t, h); s.TOS != uint8(dscp<<2) {
			t.Errorf("traffic class %#x, want %#x", s.TOS, dscp<<2)
		}
		p.ack++
		p.send(wire.FlagACK, "")
	}
}

// Programs should not change the Diffserv field during a connection without
// need: the call's documentation says so. RFC 9293 §3.9.1.9.
func TestR9293_S23_DSCPAdvice(t *testing.T) {
	src, err := os.ReadFile("conn.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, _, _ := strings.Cut(string(src), "func (c *Conn) SetTOS")
	doc = doc[strings.LastIndex(doc, "\n\n"):]
	if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(doc, "//", " ")), " "), "should not change it") {
		t.Errorf("SetTOS does not advise:%s", doc)
	}
}

// The received Diffserv field may be passed up; it is. RFC 9293 §3.9.1.9.
func TestR9293_Y09_DSCPUp(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	p, c := acceptPeer(t, h, l, at(us4, 80), at(them4, 4000))
	s := p.seg(wire.FlagACK|wire.FlagPSH, "x")
	s.TOS = 0xb8
	h.Inject(s.raw())
	if got := c.ReceivedTOS(); got != 0xb8 {
		t.Errorf("TOS %#x, want 0xb8", got)
	}
}

// A retransmission may carry the IP identification of the original, but nobody
// relies on it: with DF it means nothing and is 0. RFC 9293 §3.8.1, RFC 6864 §4.1.
func TestR9293_Y04_IPIDNotUsed(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	h.Write(c, []byte("x"))
	h.Advance(5 * time.Second)
	sent := h.Sent()
	if len(sent) < 3 {
		t.Fatalf("%d packets: no retransmissions", len(sent))
	}
	for _, s := range sent {
		if q := parseIP(s.Raw); q.ID != 0 || !q.DF {
			t.Errorf("ID %d, DF %v", q.ID, q.DF)
		}
	}
}

// otherCC is NewReno under another name.
type otherCC struct{ cc.NewReno }

func (otherCC) Name() string { return "other" }

// Other congestion control may be used: it is chosen by the configuration. RFC
// 9293 §3.8.2.
func TestR9293_Y18_PluggableCC(t *testing.T) {
	cfg := rfc()
	cfg.Congestion = otherCC{}
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: cfg}})
	_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
	if got := h.Info(c).Congestion; got != "other" {
		t.Errorf("congestion control %q", got)
	}
}
