package tun_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/oracle"
	"github.com/handfast/handfast/internal/require"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/tun"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// patience bounds a wait for the kernel of this machine.
const patience = 10 * time.Second

// ends are the two addresses of a link: the kernel's and ours.
type ends struct{ kernel, ours netip.Prefix }

func families() map[string]ends {
	return map[string]ends{
		"IPv4": {netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("10.9.0.2/24")},
		"IPv6": {netip.MustParsePrefix("fd09::1/64"), netip.MustParsePrefix("fd09::2/64")},
	}
}

// lab is a kernel in a namespace of its own, and the device that leads to it.
type lab struct {
	*testing.T
	ends
	ns   *oracle.Namespace
	dev  *tun.Device
	pool *pkt.Pool
}

func open(t *testing.T, e ends, plain bool) *lab {
	t.Helper()
	require.TUN(t)
	l := &lab{T: t, ends: e, ns: oracle.New(t), pool: new(pkt.Pool)}
	err := l.ns.Do(func() (err error) {
		l.dev, err = tun.Open(tun.Config{Kernel: []netip.Prefix{e.kernel}, MTU: 1500, NoOffload: plain, Pool: l.pool})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { l.dev.Close() })
	t.Cleanup(func() {
		watchdog.Stop()
		l.dev.Close()
		if c, p := l.pool.Outstanding(); c != 0 || p != 0 {
			t.Errorf("%d chunks and %d packets are missing", c, p)
		}
	})
	return l
}

// everyWay runs f over both families, with virtio headers and without.
func everyWay(t *testing.T, f func(l *lab)) {
	for name, e := range families() {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/plain=%v", name, plain), func(t *testing.T) { f(open(t, e, plain)) })
		}
	}
}

// datagram is an IP packet taken apart.
type datagram struct {
	src, dst wire.Addr
	proto    uint8
	l4       int
	payload  []byte
}

// parse returns false for what is not between the two ends: the kernel also
// looks for routers and other neighbours on a new link.
func (l *lab) parse(b []byte) (d datagram, ok bool) {
	if l.ours.Addr().Is4() {
		p, err := wire.ParseIPv4(b)
		if err != nil {
			return d, false
		}
		d = datagram{p.Src(), p.Dst(), p.Proto(), p.HeaderLen(), p.Payload()}
	} else {
		p, err := wire.ParseIPv6(b)
		if err != nil {
			return d, false
		}
		d = datagram{p.Src(), p.Dst(), p.NextHeader(), wire.IPv6Len, p.Payload()}
	}
	return d, d.src.Netip() == l.kernel.Addr() && d.dst.Netip() == l.ours.Addr()
}

// await reads until a packet of the protocol comes from the kernel's address to
// ours. The test releases it.
func (l *lab) await(proto uint8) (*pkt.Packet, datagram) {
	l.Helper()
	q := l.dev.Queues()[0]
	var batch [1]*pkt.Packet
	for {
		if _, err := q.Read(batch[:]); err != nil {
			l.Fatalf("waiting for protocol %d: %v (%+v)", proto, err, l.dev.Stats())
		}
		p := batch[0]
		if len(p.Head) != p.Len() {
			l.Fatalf("Head holds %d of %d bytes", len(p.Head), p.Len())
		}
		if d, ok := l.parse(p.Head); ok && d.proto == proto {
			return p, d
		}
		p.Release()
	}
}

// packet makes a packet from us to the kernel around an upper layer's header
// and payload, which are kept apart as Head and Body.
func (l *lab) packet(proto uint8, header, payload []byte) *pkt.Packet {
	p := l.pool.Packet()
	copy(p.Prepend(len(header)), header)
	src, dst := wire.AddrFrom(l.ours.Addr()), wire.AddrFrom(l.kernel.Addr())
	n := len(header) + len(payload)
	if l.ours.Addr().Is4() {
		wire.PutIPv4(p.Prepend(wire.IPv4MinLen), &wire.IPv4Fields{
			TotalLen: uint16(wire.IPv4MinLen + n), TTL: 64, Proto: proto, Flags: wire.IPv4DF, Src: src, Dst: dst})
	} else {
		wire.PutIPv6(p.Prepend(wire.IPv6Len), &wire.IPv6Fields{
			PayloadLen: uint16(n), NextHeader: proto, HopLimit: 64, Src: src, Dst: dst})
	}
	p.L4 = uint16(len(p.Head) - len(header))
	// Two pieces with an odd boundary.
	for i, part := range [][]byte{payload[:len(payload)/2|1&len(payload)], payload[len(payload)/2|1&len(payload):]} {
		if len(part) > 0 {
			c := l.pool.Chunk(len(part))
			copy(c.Bytes(), part)
			p.Body[i] = c.Ref(c.Bytes()[:len(part)])
		}
	}
	return p
}

// partial leaves the checksum, at offset in the upper layer's header, to the device.
func (l *lab) partial(p *pkt.Packet, proto uint8, offset uint16) *pkt.Packet {
	src, dst := wire.AddrFrom(l.ours.Addr()), wire.AddrFrom(l.kernel.Addr())
	p.Csum, p.CsumStart, p.CsumOffset = pkt.CsumPartial, p.L4, offset
	sum := wire.PseudoSum(&src, &dst, proto, uint32(p.Len()-int(p.L4)))
	p.Head[p.L4+offset], p.Head[p.L4+offset+1] = byte(sum>>8), byte(sum)
	return p
}

func (l *lab) write(p *pkt.Packet) {
	l.Helper()
	if n, err := l.dev.Queues()[0].Write([]*pkt.Packet{p}); n != 1 || err != nil {
		l.Fatalf("Write: %d, %v", n, err)
	}
}

func TestKernelAnswersPing(t *testing.T) {
	everyWay(t, func(l *lab) {
		msg := make([]byte, wire.ICMPLen+32)
		copy(msg[wire.ICMPLen:], "abcdefghijklmnopqrstuvwxyz012345")
		proto := uint8(wire.ProtoICMP)
		if l.ours.Addr().Is4() {
			wire.PutICMPv4Echo(msg, false, 7, 1)
		} else {
			proto = wire.ProtoICMPv6
			src, dst := wire.AddrFrom(l.ours.Addr()), wire.AddrFrom(l.kernel.Addr())
			wire.PutICMPv6Echo(msg, &src, &dst, false, 7, 1)
		}
		l.write(l.packet(proto, msg[:wire.ICMPLen], msg[wire.ICMPLen:]))
		p, d := l.await(proto)
		defer p.Release()
		if !bytes.Equal(d.payload[4:], msg[4:]) {
			l.Errorf("answer % x\nto       % x", d.payload, msg)
		}
		if c := p.Body[0].Charge(); c != pkt.Small {
			l.Errorf("a packet of %d bytes is held in %d", p.Len(), c)
		}
	})
}

func TestUDPBothWays(t *testing.T) {
	everyWay(t, func(l *lab) {
		c, err := l.ns.ListenPacket("udp", netip.AddrPortFrom(l.kernel.Addr(), 0).String())
		if err != nil {
			l.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.ours.Addr(), 7))
		if _, err := c.WriteTo([]byte("question"), to); err != nil {
			l.Fatal(err)
		}
		p, d := l.await(wire.ProtoUDP)
		u, err := wire.ParseUDP(d.payload)
		if err != nil || string(u.Payload()) != "question" || u.DstPort() != 7 {
			l.Fatalf("% x: %v", d.payload, err)
		}
		switch rx := l.dev.Caps().Offloads.Has(link.RxChecksum); {
		case rx && (p.Csum != pkt.CsumPartial || int(p.CsumStart) != d.l4):
			l.Errorf("the kernel finished a checksum in spite of the offload: %+v", p.Meta)
		case !rx && (p.Csum != pkt.CsumUnknown || !u.ChecksumOK(&d.src, &d.dst)):
			l.Errorf("checksum %04x is wrong without the offload: %+v", u.Checksum(), p.Meta)
		}
		port := u.SrcPort()
		p.Release()

		answer := []byte("an answer of odd length")
		var h [wire.UDPLen]byte
		wire.PutUDP(h[:], 7, port, len(answer))
		l.write(l.partial(l.packet(wire.ProtoUDP, h[:], answer), wire.ProtoUDP, 6))
		buf := make([]byte, 100)
		n, from, err := c.ReadFrom(buf)
		if err != nil || string(buf[:n]) != string(answer) || from.String() != to.String() {
			l.Errorf("the kernel received %q from %v, %v", buf[:n], from, err)
		}
	})
}

// shake answers the kernel's SYN and returns its port and what it sends next.
func (l *lab) shake(mss uint16) (port uint16, seq uint32) {
	l.Helper()
	p, d := l.await(wire.ProtoTCP)
	syn, err := wire.ParseTCP(d.payload)
	if err != nil || syn.Flags() != wire.FlagSYN {
		l.Fatalf("no SYN: % x, %v", d.payload, err)
	}
	port, seq = syn.SrcPort(), syn.Seq()+1
	p.Release()
	h := make([]byte, wire.TCPMinLen+4)
	wire.PutTCP(h, 80, port, 1000, seq, wire.FlagSYN|wire.FlagACK, 65535, 0)
	copy(h[wire.TCPMinLen:], []byte{2, 4, byte(mss >> 8), byte(mss)})
	l.write(l.partial(l.packet(wire.ProtoTCP, h, nil), wire.ProtoTCP, 16))
	return port, seq
}

// A kernel's TCP socket and hand-made segments: what it sends in one go comes
// whole, and a super-segment of ours is taken whole.
func TestSuperSegmentsStayWhole(t *testing.T) {
	for name, e := range families() {
		t.Run(name, func(t *testing.T) {
			l := open(t, e, false)
			if !l.dev.Caps().Offloads.Has(link.GRO | link.TSO4 | link.TSO6) {
				t.Fatalf("offloads %b", l.dev.Caps().Offloads)
			}
			dialled := make(chan net.Conn, 1)
			go func() {
				c, err := l.ns.Dial("tcp", netip.AddrPortFrom(l.ours.Addr(), 80).String())
				if err != nil {
					t.Errorf("the kernel: %v", err)
				}
				dialled <- c
			}()
			const mss = 1000
			port, seq := l.shake(mss)
			c := <-dialled
			if c == nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			l.superFromKernel(c, mss, seq)
			l.superToKernel(c, mss, port, seq)
		})
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// superFromKernel has the kernel send eight segments, which its initial window
// of ten allows (RFC 6928). It makes two super-segments of them, because it
// keeps one within half of the window.
func (l *lab) superFromKernel(c net.Conn, mss int, seq uint32) {
	l.Helper()
	sent := pattern(8 * mss)
	if _, err := c.Write(sent); err != nil {
		l.Fatal(err)
	}
	want := pkt.GSOTCPv4
	if !l.ours.Addr().Is4() {
		want = pkt.GSOTCPv6
	}
	var got []byte
	packets := 0
	for len(got) < len(sent) {
		p, d := l.await(wire.ProtoTCP)
		t, err := wire.ParseTCP(d.payload)
		if err != nil {
			l.Fatal(err)
		}
		if n := len(t.Payload()); n > 0 { // not the handshake's ACK
			if t.Seq() != seq+uint32(len(got)) {
				l.Errorf("SEQ %d after %d bytes from %d", t.Seq(), len(got), seq)
			}
			if p.GSO != want || int(p.GSOSize) != mss || int(p.Segs) != n/mss || n < 2*mss || p.Csum != pkt.CsumPartial {
				l.Errorf("%d bytes with MSS %d came as %+v", n, mss, p.Meta)
			}
			got = append(got, t.Payload()...)
			packets++
		}
		p.Release()
	}
	if !bytes.Equal(got, sent) || packets > 3 {
		l.Errorf("%d bytes in %d packets; %d were sent at once", len(got), packets, len(sent))
	}
}

func (l *lab) superToKernel(c net.Conn, mss int, port uint16, seq uint32) {
	l.Helper()
	sent := pattern(60 * mss)
	h := make([]byte, wire.TCPMinLen)
	wire.PutTCP(h, 80, port, 1001, seq, wire.FlagACK|wire.FlagPSH, 65535, 0)
	p := l.partial(l.packet(wire.ProtoTCP, h, sent), wire.ProtoTCP, 16)
	p.GSO, p.GSOSize, p.Segs = pkt.GSOTCPv4, uint16(mss), 60
	if !l.ours.Addr().Is4() {
		p.GSO = pkt.GSOTCPv6
	}
	l.write(p)
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
		l.Errorf("the kernel's application read %d of %d bytes, %v", n, len(sent), err)
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	l := open(t, families()["IPv4"], false)
	q := l.dev.Queues()[0]
	done := make(chan error, 1)
	go func() {
		var batch [4]*pkt.Packet
		for {
			n, err := q.Read(batch[:])
			for _, p := range batch[:n] {
				p.Release()
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	l.write(l.packet(wire.ProtoUDP, make([]byte, 8), nil)) // the reader is most likely waiting by now
	if err := l.dev.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := l.dev.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if n, err := q.Write([]*pkt.Packet{l.packet(wire.ProtoUDP, make([]byte, 8), nil)}); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close: %d, %v", n, err)
	}
	if err := l.ns.Do(func() error {
		_, err := net.InterfaceByName(l.dev.Name())
		return err
	}); err == nil {
		t.Errorf("%s is still there", l.dev.Name())
	}
}

func TestWriteSendsTheRestOfABatch(t *testing.T) {
	l := open(t, families()["IPv4"], true)
	c, err := l.ns.ListenPacket("udp", netip.AddrPortFrom(l.kernel.Addr(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	port := uint16(c.LocalAddr().(*net.UDPAddr).Port)
	udp := func(payload []byte) *pkt.Packet {
		var h [wire.UDPLen]byte
		wire.PutUDP(h[:], 7, port, len(payload))
		return l.partial(l.packet(wire.ProtoUDP, h[:], payload), wire.ProtoUDP, 6)
	}
	n, err := l.dev.Queues()[0].Write([]*pkt.Packet{udp([]byte("one")), udp(make([]byte, 1473)), udp([]byte("two"))})
	if n != 2 || !errors.Is(err, link.ErrPacket) {
		t.Errorf("Write with one packet of 1501 bytes: %d, %v", n, err)
	}
	buf := make([]byte, 2000)
	for _, want := range []string{"one", "two"} {
		if n, _, err := c.ReadFrom(buf); err != nil || string(buf[:n]) != want {
			t.Errorf("the kernel received %q, %v; want %q", buf[:n], err, want)
		}
	}
	if s := l.dev.Stats(); s.TxPackets != 2 || s.TxErrors != 1 || s.TxDropped != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOpenConfiguresTheKernelsSide(t *testing.T) {
	require.TUN(t)
	ns := oracle.New(t)
	both := families()
	var dev *tun.Device
	var ifi *net.Interface
	var addrs []net.Addr
	err := ns.Do(func() (err error) {
		dev, err = tun.Open(tun.Config{Name: "hf%d", MTU: 9000, QueueLen: 77,
			Kernel: []netip.Prefix{both["IPv4"].kernel, both["IPv6"].kernel}, Local: []netip.Prefix{both["IPv4"].ours}})
		if err != nil {
			return err
		}
		if err := dev.AddRoute(netip.MustParsePrefix("192.0.2.1/24")); err != nil {
			return err
		}
		if ifi, err = net.InterfaceByName(dev.Name()); err == nil {
			addrs, err = ifi.Addrs()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	caps := dev.Caps()
	if dev.Name() != "hf0" || ifi.MTU != 9000 || caps.MTU != 9000 || ifi.Flags&net.FlagUp == 0 {
		t.Errorf("%s: %+v, caps %+v", dev.Name(), ifi, caps)
	}
	if len(caps.Local) != 1 || caps.Local[0] != both["IPv4"].ours {
		t.Errorf("local addresses %v", caps.Local)
	}
	text := fmt.Sprint(addrs)
	for _, e := range both {
		if !bytes.Contains([]byte(text), []byte(e.kernel.String())) {
			t.Errorf("%v is missing among %v", e.kernel, text)
		}
	}
	c, err := ns.Dial("udp", "192.0.2.9:9")
	if err != nil {
		t.Fatalf("the route: %v", err)
	}
	defer c.Close()
	if a := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); a != both["IPv4"].kernel.Addr() {
		t.Errorf("the kernel reaches 192.0.2.9 from %v", a)
	}
}

func TestOpenRefuses(t *testing.T) {
	require.TUN(t)
	ns := oracle.New(t)
	for name, cfg := range map[string]tun.Config{
		"a small MTU":         {MTU: 67},
		"a large MTU":         {MTU: 65536},
		"a negative queue":    {QueueLen: -1},
		"a long name":         {Name: "a-name-of-more-than-fifteen-bytes"},
		"no address":          {Kernel: []netip.Prefix{{}}},
		"the name of another": {Name: "lo"},
	} {
		err := ns.Do(func() error {
			d, err := tun.Open(cfg)
			if err == nil {
				d.Close()
			}
			return err
		})
		if err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	var left []net.Interface
	if err := ns.Do(func() (err error) { left, err = net.Interfaces(); return err }); err != nil || len(left) != 1 {
		t.Errorf("interfaces left: %v, %v", left, err)
	}
}
