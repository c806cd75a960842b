package engine

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/handfast/handfast/wire"
)

func openUDP(t testing.TB, h *Harness, local, remote string) *UDP {
	t.Helper()
	c := UDPConfig{Local: netip.MustParseAddrPort(local)}
	if remote != "" {
		c.Remote = netip.MustParseAddrPort(remote)
	}
	u, err := h.OpenUDP(c)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Datagrams arrive whole, with their source, and go out the same way.
func TestUDP(t *testing.T) {
	for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
		for _, n := range []int{0, 1, 511, 1400} {
			h := newTestHarness(t, HarnessConfig{})
			u := openUDP(t, h, "[::]:53", "")
			data := newTestRand(uint64(n)).bytes(n)
			h.Inject(udpPacket(at(ends[1], 999), at(ends[0], 53), data))
			b, from, ok := h.RecvUDP(u)
			if !ok || !bytes.Equal(b, data) || from != at(ends[1], 999) {
				t.Errorf("received %d bytes from %v, want %d", len(b), from, n)
			}
			if err := h.SendUDP(u, from, data); err != nil {
				t.Fatal(err)
			}
			s := h.Sent()
			if len(s) != 1 || !bytes.Equal(parseIP(s[0].Raw).Payload[8:], data) || parseIP(s[0].Raw).Src != ends[0] {
				t.Errorf("sent %v", s)
			}
		}
	}
}

// The queue of a socket is bounded by what the datagrams hold; what does not
// fit is dropped and counted, and reading makes room.
func TestUDPQueueBound(t *testing.T) {
	const limit = 100_000
	h := newTestHarness(t, HarnessConfig{Config: Config{Limits: Limits{UDPQueueBytes: limit}}})
	u := openUDP(t, h, "0.0.0.0:53", "")
	for range 1000 {
		h.Inject(udpPacket(at(them4, 999), at(us4, 53), make([]byte, 10)))
	}
	n, charged, dropped := u.Pending()
	if charged > limit || charged < limit-5000 || uint64(n)+dropped != 1000 || dropped == 0 {
		t.Errorf("%d wait, charged %d; %d dropped", n, charged, dropped)
	}
	wantCount(t, h, UDPQueueFull, dropped)
	for range n {
		h.RecvUDP(u)
	}
	if n, charged, _ := u.Pending(); n != 0 || charged != 0 {
		t.Errorf("%d wait, charged %d, after reading all", n, charged)
	}
	h.Inject(udpPacket(at(them4, 999), at(us4, 53), []byte("room again")))
	if b, _, ok := h.RecvUDP(u); !ok || string(b) != "room again" {
		t.Errorf("received %q", b)
	}
	var some [4]*UDP
	if n := h.E.ReadyUDP(some[:]); n != 1 || some[0] != u {
		t.Errorf("%d sockets are ready", n)
	}
	u.Close()
	if chunks, packets := h.E.Pool().Outstanding(); chunks != 0 || packets != 0 {
		t.Errorf("%d chunks and %d packets are left", chunks, packets)
	}
}

// A port that nobody has: port unreachable, quoting the datagram; a broadcast
// or a bad checksum: silence. RFC 1122 §4.1.3.1.
func TestPortUnreachable(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
		raw := udpPacket(at(ends[1], 999), at(ends[0], 7), []byte("anyone there?"))
		h.Inject(raw)
		s := h.Sent()
		if len(s) != 1 {
			t.Fatalf("%d packets in answer", len(s))
		}
		q := parseIP(s[0].Raw)
		want := []byte{wire.ICMPv4Unreachable, wire.UnreachPort}
		if ends[0].Is6() {
			want = []byte{wire.ICMPv6Unreachable, wire.Unreach6Port}
		}
		if q.Dst != ends[1] || !bytes.Equal(q.Payload[:2], want) || !bytes.Equal(q.Payload[8:], raw) {
			t.Errorf("sent %x", s[0].Raw)
		}
	}
	h.Inject(udpPacket(at(them4, 999), netip.MustParseAddrPort("10.0.0.255:7"), nil))
	bad := udpPacket(at(them4, 999), at(us4, 7), []byte("x"))
	bad[len(bad)-1]++
	h.Inject(bad)
	nothing(t, h, "broadcast, bad checksum")
	wantCount(t, h, UDPBadChecksum, 1)
	wantCount(t, h, UDPNoSocket, 3)
}

// A connected socket takes its peer's datagrams alone, sends without an
// address, and learns that nobody is there.
func TestUDPConnected(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	u := openUDP(t, h, "0.0.0.0:5000", "10.0.0.2:53")
	h.Inject(udpPacket(at(them4, 54), at(us4, 5000), []byte("stranger")))
	if b, _, ok := h.RecvUDP(u); ok {
		t.Errorf("received %q of a stranger", b)
	}
	h.Sent()
	if err := h.SendUDP(u, netip.AddrPort{}, []byte("query")); err != nil {
		t.Fatal(err)
	}
	about := lastRaw(t, h)
	forged := append([]byte{}, about...)
	forged[wire.IPv4MinLen+3]++ // another port of the peer
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachPort, 0, forged))
	if err := u.Err(); err != nil {
		t.Errorf("a forged error: %v", err)
	}
	var some [4]*UDP
	h.E.ReadyUDP(some[:])
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachPort, 0, about))
	if h.E.ReadyUDP(some[:]) != 1 {
		t.Errorf("the socket is not ready")
	}
	if err := u.Err(); err != ErrRefused {
		t.Errorf("%v, want %v", err, ErrRefused)
	}
	if err := u.Err(); err != nil {
		t.Errorf("the error comes twice: %v", err)
	}
	h.Inject(icmp4(wire.ICMPv4Unreachable, wire.UnreachHost, 0, about))
	if err := u.Err(); err != ErrUnreachable {
		t.Errorf("%v, want %v", err, ErrUnreachable)
	}
}

// Large datagrams come and go in fragments.
func TestUDPFragments(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	u := openUDP(t, h, "[::]:53", "")
	data := newTestRand(3).bytes(30_001)
	all := fragments(udpPacket(at(them4, 999), at(us4, 53), data), 1480)
	for i := range all { // in another order
		h.Inject(all[(i*5+3)%len(all)])
	}
	b, _, ok := h.RecvUDP(u)
	if !ok || !bytes.Equal(b, data) {
		t.Fatalf("received %d bytes, want %d", len(b), len(data))
	}
	if err := h.SendUDP(u, at(them4, 999), data); err != nil {
		t.Fatal(err)
	}
	sent := h.Sent()
	if whole := joinFragments(t, sent); !bytes.Equal(whole[8:], data) {
		t.Errorf("sent %d bytes in %d fragments", len(whole), len(sent))
	}
	for _, s := range sent {
		if len(s.Raw) > 1500 {
			t.Errorf("a fragment of %d bytes", len(s.Raw))
		}
	}
	// Over IPv6, and back in: the other end is an Engine too.
	h6 := newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("fd00::2/64")}})
	v := openUDP(t, h6, "[::]:999", "")
	if err := h.SendUDP(u, at(them6, 999), data); err != nil {
		t.Fatal(err)
	}
	for _, s := range h.Sent() {
		h6.Inject(s.Raw)
	}
	if b, from, ok := h6.RecvUDP(v); !ok || !bytes.Equal(b, data) || from != at(us6, 53) {
		t.Errorf("received %d bytes from %v", len(b), from)
	}
}

// What cannot be sent is refused.
func TestUDPErrors(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	u := openUDP(t, h, "0.0.0.0:53", "")
	for _, x := range []struct {
		to   string
		n    int
		want error
	}{{"10.0.0.2:0", 1, ErrInvalidAddr}, {"10.0.0.2:7", 65508, ErrTooLong}, {"10.0.0.2:7", 65507, nil}, {"[fd00::2]:7", 1, ErrNoRoute}, {"10.0.0.255:7", 1, nil}} {
		if err := h.SendUDP(u, netip.MustParseAddrPort(x.to), make([]byte, x.n)); err != x.want {
			t.Errorf("%d bytes to %s: %v, want %v", x.n, x.to, err, x.want)
		}
	}
	if _, err := h.OpenUDP(UDPConfig{Local: netip.MustParseAddrPort("0.0.0.0:53")}); err != ErrAddrInUse {
		t.Errorf("the port twice: %v", err)
	}
	u.Close()
	if err := h.SendUDP(u, at(them4, 7), nil); err != ErrClosed {
		t.Errorf("on a closed socket: %v", err)
	}
	openUDP(t, h, "0.0.0.0:53", "")
}

// A datagram to ourselves stays inside.
func TestUDPLoopback(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	u := openUDP(t, h, "[::]:53", "")
	for _, to := range []string{"127.0.0.1:53", "10.0.0.1:53", "[::1]:53", "[fd00::1]:53"} {
		data := newTestRand(9).bytes(60_000) // fits the loopback's MTU
		if err := h.SendUDP(u, netip.MustParseAddrPort(to), data); err != nil {
			t.Fatal(err)
		}
		if b, from, ok := h.RecvUDP(u); !ok || !bytes.Equal(b, data) || from.String() != to {
			t.Errorf("%s: received %d bytes from %v", to, len(b), from)
		}
	}
	nothing(t, h, "loopback")
}
