package engine

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// The two ends that tests use: us is the Harness, them whoever the test plays.
var (
	us4   = netip.MustParseAddr("10.0.0.1")
	them4 = netip.MustParseAddr("10.0.0.2")
	us6   = netip.MustParseAddr("fd00::1")
	them6 = netip.MustParseAddr("fd00::2")
)

func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// segment is a TCP segment as a test writes it or as the Engine sent it.
type wireSegment struct {
	Src, Dst netip.AddrPort
	SEQ, ACK uint32
	Flags    wire.TCPFlags
	WND, UP  uint16
	Opts     wire.TCPOptions
	Data     []byte
	TOS, TTL uint8 // TTL 0 means 64
	DF       bool
}

func (s *wireSegment) String() string {
	w := wire.Script{Out: true, Flags: s.Flags, Seq: s.SEQ, Len: uint32(len(s.Data)), Ack: s.ACK,
		HasWin: true, Win: uint32(s.WND), Urg: s.UP, Opts: s.Opts}
	return fmt.Sprintf("%v%s", s.Dst, w.String()[1:])
}

// raw makes the packet.
func (s *wireSegment) raw() []byte {
	hlen := wire.TCPMinLen + s.Opts.Len()
	b := make([]byte, hlen+len(s.Data))
	wire.PutTCP(b, s.Src.Port(), s.Dst.Port(), s.SEQ, s.ACK, s.Flags, s.WND, s.UP)
	if s.Opts.Len() > 0 {
		s.Opts.Put(b[wire.TCPMinLen:hlen])
	}
	b[12] = b[12]&0x0f | uint8(hlen/4)<<4
	copy(b[hlen:], s.Data)
	src, dst := toAddr(s.Src.Addr()), toAddr(s.Dst.Addr())
	wire.TCP(b).SetChecksum(0)
	wire.TCP(b).SetChecksum(wire.Finish(wire.Sum(b, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(b))))))
	return ipPacket(s.Src.Addr(), s.Dst.Addr(), wire.ProtoTCP, s.TOS, s.TTL, b)
}

// ipPacket puts an IP header before a payload.
func ipPacket(from, to netip.Addr, proto, tos, ttl uint8, payload []byte) []byte {
	src, dst := toAddr(from), toAddr(to)
	if ttl == 0 {
		ttl = 64
	}
	if to.Is4() {
		p := make([]byte, wire.IPv4MinLen, wire.IPv4MinLen+len(payload))
		wire.PutIPv4(p, &wire.IPv4Fields{TotalLen: uint16(len(p) + len(payload)), Flags: wire.IPv4DF,
			TOS: tos, TTL: ttl, Proto: proto, Src: src, Dst: dst})
		return append(p, payload...)
	}
	p := make([]byte, wire.IPv6Len, wire.IPv6Len+len(payload))
	wire.PutIPv6(p, &wire.IPv6Fields{PayloadLen: uint16(len(payload)), TrafficClass: tos,
		NextHeader: proto, HopLimit: ttl, Src: src, Dst: dst})
	return append(p, payload...)
}

// udpPacket makes a datagram.
func udpPacket(from, to netip.AddrPort, data []byte) []byte {
	b := make([]byte, wire.UDPLen+len(data))
	wire.PutUDP(b, from.Port(), to.Port(), len(data))
	copy(b[wire.UDPLen:], data)
	src, dst := toAddr(from.Addr()), toAddr(to.Addr())
	wire.UDP(b).SetChecksum(wire.FinishUDP(wire.Sum(b, wire.PseudoSum(&src, &dst, wire.ProtoUDP, uint32(len(b))))))
	return ipPacket(from.Addr(), to.Addr(), wire.ProtoUDP, 0, 0, b)
}

// packet is any packet that was sent, taken apart as far as IP.
type packet struct {
	Src, Dst netip.Addr
	Proto    uint8
	TOS, TTL uint8
	DF       bool
	ID       uint16
	Payload  []byte
}

func parseIP(raw []byte) packet {
	if raw[0]>>4 == 4 {
		p := wire.IPv4(raw)
		src, dst := p.Src(), p.Dst()
		return packet{src.Netip(), dst.Netip(), p.Proto(), p.TOS(), p.TTL(), p.DF(), p.ID(), p.Payload()}
	}
	p := wire.IPv6(raw)
	src, dst := p.Src(), p.Dst()
	return packet{src.Netip(), dst.Netip(), p.NextHeader(), p.TrafficClass(), p.HopLimit(), true, 0, p.Payload()}
}

// parseTCP takes a packet apart that must be a segment.
func parseTCP(t testing.TB, raw []byte) wireSegment {
	t.Helper()
	p := parseIP(raw)
	if p.Proto != wire.ProtoTCP {
		t.Fatalf("a packet of protocol %d, want TCP: %x", p.Proto, raw)
	}
	h, err := wire.ParseTCP(p.Payload)
	if err != nil {
		t.Fatalf("%v: %x", err, raw)
	}
	s := wireSegment{Src: netip.AddrPortFrom(p.Src, h.SrcPort()), Dst: netip.AddrPortFrom(p.Dst, h.DstPort()),
		SEQ: h.Seq(), ACK: h.Ack(), Flags: h.Flags(), WND: h.Window(), UP: h.Urgent(),
		Data: p.Payload[h.HeaderLen():], TOS: p.TOS, TTL: p.TTL, DF: p.DF}
	s.Opts.Parse(h.Options(), s.Flags&wire.FlagSYN != 0)
	return s
}

// newTestHarness makes a Harness whose packets are checked when the test ends.
func newTestHarness(t testing.TB, c HarnessConfig) *Harness {
	t.Helper()
	h := NewHarness(c)
	t.Cleanup(func() {
		t.Helper()
		if err := h.Err(); err != nil {
			t.Errorf("a packet that was sent: %v", err)
		}
	})
	return h
}

// plainTCP is the Linux profile without options that change with time.
func plainTCP() *tcp.Config {
	c := tcp.DefaultConfig(tcp.ProfileLinux)
	c.NoTimestamps, c.NoSACK, c.NoWindowScale = true, true, true
	return c
}

// segments returns what was sent as segments; anything else fails the test.
func segments(t testing.TB, h *Harness) []wireSegment {
	t.Helper()
	var all []wireSegment
	for _, p := range h.Sent() {
		all = append(all, parseTCP(t, p.Raw))
	}
	return all
}

// one returns the only segment that was sent.
func one(t testing.TB, h *Harness) wireSegment {
	t.Helper()
	all := segments(t, h)
	if len(all) != 1 {
		t.Fatalf("%d segments sent, want 1: %v", len(all), all)
	}
	return all[0]
}

// nothing fails the test if anything was sent.
func nothing(t testing.TB, h *Harness, why string) {
	t.Helper()
	for _, p := range h.Sent() {
		t.Errorf("%s: sent %x", why, p.Raw)
	}
}

// peer is the other end of one connection, played by a test.
type peer struct {
	t        testing.TB
	h        *Harness
	us, them netip.AddrPort
	iss      uint32 // of the peer
	ours     uint32 // ISS of the Engine
	seq, ack uint32 // of the peer's next segment
	wnd      uint16
	mss      uint16 // announced in the SYN; 0: none
}

// seg makes the peer's next segment.
func (p *peer) seg(flags wire.TCPFlags, data string) wireSegment {
	return wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq, ACK: p.ack, Flags: flags, WND: p.wnd, Data: []byte(data)}
}

// send lets the peer's next segment arrive.
func (p *peer) send(flags wire.TCPFlags, data string) {
	s := p.seg(flags, data)
	if flags&wire.FlagSYN != 0 && p.mss > 0 {
		s.Opts.MSS, s.Opts.Has = p.mss, wire.HasMSS
	}
	p.h.Inject(s.raw())
	p.seq += uint32(len(data))
	if flags&(wire.FlagSYN|wire.FlagFIN) != 0 {
		p.seq++
	}
}

// dialPeer opens a connection to a peer that answers.
func dialPeer(t testing.TB, h *Harness, us, them netip.AddrPort) (*peer, *Conn) {
	t.Helper()
	c, err := h.Dial(DialConfig{Local: us, Remote: them})
	if err != nil {
		t.Fatal(err)
	}
	syn := one(t, h)
	p := &peer{t: t, h: h, us: syn.Src, them: them, iss: 5_000_000, ours: syn.SEQ, seq: 5_000_000, ack: syn.SEQ + 1, wnd: 64000, mss: 1460}
	p.send(wire.FlagSYN|wire.FlagACK, "")
	if c.State() != tcp.Established {
		t.Fatalf("%v after the SYN-ACK", c.State())
	}
	h.Sent()
	return p, c
}

// acceptPeer lets a peer connect to a listener.
func acceptPeer(t testing.TB, h *Harness, l *Listener, us, them netip.AddrPort) (*peer, *Conn) {
	t.Helper()
	p := &peer{t: t, h: h, us: us, them: them, iss: 7_000_000, seq: 7_000_000, wnd: 64000, mss: 1460}
	p.send(wire.FlagSYN, "")
	synack := one(t, h)
	p.ours, p.ack = synack.SEQ, synack.SEQ+1
	p.send(wire.FlagACK, "")
	c := h.Accept(l)
	if c == nil {
		t.Fatalf("no connection after the handshake: %v", synack)
	}
	h.Sent()
	return p, c
}

// listen opens a listener.
func listen(t testing.TB, h *Harness, local string) *Listener {
	t.Helper()
	l, err := h.Listen(ListenConfig{Local: netip.MustParseAddrPort(local)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// count returns a counter.
func count(h *Harness, c Counter) uint64 { s := h.Stats(); return s.Count[c] }

// wantCount fails the test unless a counter has a value.
func wantCount(t testing.TB, h *Harness, c Counter, want uint64) {
	t.Helper()
	if got := count(h, c); got != want {
		t.Errorf("%v = %d, want %d", c, got, want)
	}
}
