package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

var (
	alice4 = wire.AddrFrom4([4]byte{10, 0, 0, 1})
	bob4   = wire.AddrFrom4([4]byte{10, 0, 0, 2})
	alice6 = wire.AddrFrom16([16]byte{0xfd, 15: 1})
	bob6   = wire.AddrFrom16([16]byte{0xfd, 15: 2})
)

// tcpPacket describes a packet of the tests.
type tcpPacket struct {
	v6, eth      bool
	reverse      bool // from bob to alice
	flags        wire.TCPFlags
	seq, ack     uint32
	payload      int
	port         uint16 // alice's
	cut          int    // not 0: a super-segment
	udp          bool   // UDP instead
	csum         pkt.CsumState
	leaveGarbage bool // lengths and checksums hold what a device may leave
}

// build makes the packet as the stack hands it to a device.
func (d tcpPacket) build(pool *pkt.Pool) *pkt.Packet {
	p := pool.Packet()
	src, dst, sport, dport := alice4, bob4, d.port, uint16(9000)
	if d.v6 {
		src, dst = alice6, bob6
	}
	if d.reverse {
		src, dst, sport, dport = dst, src, dport, sport
	}
	body := make([]byte, d.payload)
	for i := range body {
		body[i] = byte(i * 7)
	}
	half := d.payload / 3
	p.Body = pkt.View{pkt.Bytes(body[:half]), pkt.Bytes(body[half:])}
	if half == 0 {
		p.Body = pkt.View{pkt.Bytes(body)}
	}
	proto, field := uint8(wire.ProtoTCP), tcpChecksum
	var l4 []byte
	if d.udp {
		proto, field = wire.ProtoUDP, udpChecksum
		l4 = p.Prepend(wire.UDPLen)
		wire.PutUDP(l4, sport, dport, d.payload)
	} else {
		l4 = p.Prepend(wire.TCPMinLen)
		wire.PutTCP(l4, sport, dport, d.seq, d.ack, d.flags, 1000, 0)
	}
	n := len(l4) + d.payload
	pseudo := wire.PseudoSum(&src, &dst, proto, uint32(n))
	switch d.csum {
	case pkt.CsumPartial:
		binary.BigEndian.PutUint16(l4[field:], pseudo)
	case pkt.CsumUnknown:
		sum := wire.Join(wire.Sum(l4, pseudo), wire.Sum(body, 0), len(l4))
		store(l4, field, sum)
	case pkt.CsumValid:
		binary.BigEndian.PutUint16(l4[field:], 0x1234)
	}
	d.network(p, src, dst, proto, n)
	p.Csum = d.csum
	p.L4 = uint16(len(p.Head) - len(l4))
	p.CsumStart, p.CsumOffset = p.L4, uint16(field)
	if d.cut > 0 {
		p.GSO, p.GSOSize, p.Segs = pkt.GSOTCPv4, uint16(d.cut), uint16((d.payload+d.cut-1)/d.cut)
		if d.v6 {
			p.GSO = pkt.GSOTCPv6
		}
		if d.udp {
			p.GSO = pkt.GSOUDP
		}
	}
	return p
}

func (d tcpPacket) network(p *pkt.Packet, src, dst wire.Addr, proto uint8, n int) {
	ethType := uint16(wire.EtherTypeIPv4)
	if d.v6 {
		ethType = wire.EtherTypeIPv6
		h := p.Prepend(wire.IPv6Len)
		wire.PutIPv6(h, &wire.IPv6Fields{Src: src, Dst: dst, NextHeader: proto, HopLimit: 64, PayloadLen: uint16(n)})
	} else {
		h := p.Prepend(wire.IPv4MinLen)
		wire.PutIPv4(h, &wire.IPv4Fields{Src: src, Dst: dst, Proto: proto, TTL: 64, TotalLen: uint16(wire.IPv4MinLen + n)})
	}
	if d.leaveGarbage {
		binary.BigEndian.PutUint16(p.Head[2:], 40)
		if d.v6 {
			binary.BigEndian.PutUint16(p.Head[2:], 0)
			binary.BigEndian.PutUint16(p.Head[4:], 40)
		}
	}
	if d.eth {
		h := p.Prepend(wire.EthernetLen)
		wire.PutEthernet(h, wire.MAC{2, 0, 0, 0, 0, 2}, wire.MAC{2, 0, 0, 0, 0, 1}, ethType)
		p.L3 = wire.EthernetLen
	}
}

// start is the first instant of the tests' files, with nanoseconds.
func start() time.Time { return time.Unix(1_700_000_000, 123_456_789).UTC() }

// readAll reads a file to its end.
func readAll(t *testing.T, file []byte) (packets []Packet, ifaces []Interface) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("NewReader: %v\n%x", err, file)
	}
	for {
		p, err := r.NextPacket()
		if err == io.EOF {
			return packets, append([]Interface(nil), r.Interfaces()...)
		}
		if err != nil {
			t.Fatalf("packet %d: %v\n%x", len(packets), err, file)
		}
		p.Data = bytes.Clone(p.Data)
		packets = append(packets, p)
	}
}

// checkSums verifies lengths and checksums of a recorded packet with package
// wire.
func checkSums(t *testing.T, name string, link LinkType, b []byte) {
	t.Helper()
	if link == Ethernet {
		b = b[wire.EthernetLen:]
	}
	var src, dst wire.Addr
	var proto uint8
	var payload []byte
	if b[0]>>4 == 4 {
		ip, err := wire.ParseIPv4(b)
		if err != nil || !ip.ChecksumOK() || len(ip) != len(b) {
			t.Errorf("%s: IPv4 header: error %v, checksum %v, length %d of %d", name, err, err == nil && ip.ChecksumOK(), len(ip), len(b))
			return
		}
		src, dst, proto, payload = ip.Src(), ip.Dst(), ip.Proto(), ip.Payload()
	} else {
		ip, err := wire.ParseIPv6(b)
		if err != nil || len(ip) != len(b) {
			t.Errorf("%s: IPv6 header: error %v, length %d of %d", name, err, len(ip), len(b))
			return
		}
		src, dst, proto, payload = ip.Src(), ip.Dst(), ip.NextHeader(), ip.Payload()
	}
	if wire.Sum(payload, wire.PseudoSum(&src, &dst, proto, uint32(len(payload)))) != 0xffff {
		t.Errorf("%s: transport checksum is wrong: %x", name, payload[:min(len(payload), 20)])
	}
}

// Whatever state a packet's checksum and lengths are in, the file holds what
// the wire would: finished ones.
func TestChecksumsAreFinished(t *testing.T) {
	const big = 9 * 1448
	for _, d := range []struct {
		name string
		p    tcpPacket
	}{
		{"complete", tcpPacket{flags: wire.FlagSYN, csum: pkt.CsumUnknown}},
		{"partial", tcpPacket{flags: wire.FlagACK, payload: 101, csum: pkt.CsumPartial}},
		{"partial, IPv6", tcpPacket{v6: true, flags: wire.FlagACK, payload: 1000, csum: pkt.CsumPartial}},
		{"partial, Ethernet", tcpPacket{eth: true, flags: wire.FlagACK, payload: 1, csum: pkt.CsumPartial}},
		{"partial, UDP", tcpPacket{udp: true, payload: 100, csum: pkt.CsumPartial}},
		{"vouched for", tcpPacket{flags: wire.FlagACK, payload: 77, csum: pkt.CsumValid}},
		{"vouched for, Ethernet, IPv6", tcpPacket{eth: true, v6: true, payload: 77, csum: pkt.CsumValid}},
		{"vouched for, UDP", tcpPacket{udp: true, payload: 3, csum: pkt.CsumValid}},
		{"super", tcpPacket{flags: wire.FlagACK, payload: big, cut: 1448, csum: pkt.CsumPartial}},
		{"super, lengths of one segment", tcpPacket{payload: big, cut: 1448, csum: pkt.CsumPartial, leaveGarbage: true}},
		{"super, IPv6, Ethernet", tcpPacket{v6: true, eth: true, payload: big, cut: 1428, csum: pkt.CsumPartial}},
		{"super, IPv6, lengths of one segment", tcpPacket{v6: true, payload: big, cut: 1428, csum: pkt.CsumValid, leaveGarbage: true}},
		{"super, UDP", tcpPacket{udp: true, payload: 3000, cut: 1000, csum: pkt.CsumPartial}},
		{"largest", tcpPacket{payload: 65535 - 40, cut: 1448, csum: pkt.CsumPartial}},
	} {
		var file bytes.Buffer
		var pool pkt.Pool
		w := NewWriter(&file)
		link := Raw
		if d.p.eth {
			link = Ethernet
		}
		i, err := w.AddInterface("x", link, 0)
		if err != nil {
			t.Fatal(err)
		}
		p := d.p.build(&pool)
		before := p.AppendTo(nil)
		if err := errors.Join(w.WritePacket(start(), i, Out, p, "why"), w.Close()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, p.AppendTo(nil)) {
			t.Errorf("%s: recording changed the packet", d.name)
		}
		p.Release()
		got, _ := readAll(t, file.Bytes())
		if len(got) != 1 || len(got[0].Data) != len(before) || got[0].OrigLen != len(before) {
			t.Errorf("%s: %d packets", d.name, len(got))
			continue
		}
		checkSums(t, d.name, link, got[0].Data)
		if want := (d.p.cut > 0); strings.Contains(got[0].Comment, " segments of ") != want || !strings.HasSuffix(got[0].Comment, "why") {
			t.Errorf("%s: comment %q", d.name, got[0].Comment)
		}
	}
}

// A partial sum that the stack got wrong must be seen in the file: finishing it
// is what a device does, and no more.
func TestWrongPartialSumIsNotHidden(t *testing.T) {
	var pool pkt.Pool
	p := tcpPacket{payload: 100, csum: pkt.CsumPartial}.build(&pool)
	p.Head[wire.IPv4MinLen+tcpChecksum]++
	var file bytes.Buffer
	w := NewWriter(&file)
	i, _ := w.AddInterface("x", Raw, 0)
	if err := errors.Join(w.WritePacket(start(), i, Out, p, ""), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, _ := readAll(t, file.Bytes())
	seg, err := wire.ParseTCP(got[0].Data[wire.IPv4MinLen:])
	if err != nil || seg.ChecksumOK(&alice4, &bob4) {
		t.Errorf("error %v; the checksum came out right", err)
	}
}

// Beyond 64 KiB an IP header cannot say the length; the checksum is right all
// the same.
func TestSuperSegmentBeyond64K(t *testing.T) {
	var pool pkt.Pool
	for _, v6 := range []bool{false, true} {
		p := tcpPacket{v6: v6, payload: 100_000, cut: 1448, csum: pkt.CsumPartial}.build(&pool)
		b := p.AppendTo(nil)
		finish(b, Raw, &p.Meta)
		src, dst, head := alice4, bob4, wire.IPv4MinLen
		if v6 {
			src, dst, head = alice6, bob6, wire.IPv6Len
		}
		if seg, err := wire.ParseTCP(b[head:]); err != nil || !seg.ChecksumOK(&src, &dst) {
			t.Errorf("IPv6 %v: error %v, checksum wrong", v6, err)
		}
		if n := binary.BigEndian.Uint16(b[2+2*(head/wire.IPv6Len):]); n != 0 {
			t.Errorf("IPv6 %v: the length says %d", v6, n)
		}
	}
}

// Garbage in a packet, or in its Meta, is recorded as it is.
func TestFinishSurvivesGarbage(t *testing.T) {
	var pool pkt.Pool
	for _, d := range []tcpPacket{
		{payload: 10}, {v6: true, payload: 10}, {eth: true, payload: 10}, {udp: true, payload: 10},
		{v6: true, eth: true, udp: true},
	} {
		whole := d.build(&pool).AppendTo(nil)
		for n := range len(whole) + 1 {
			for change := range min(n, 60) {
				b := bytes.Clone(whole[:n])
				b[change] ^= 0xff
				for _, m := range []pkt.Meta{
					{Csum: pkt.CsumValid}, {Segs: 2}, {Csum: pkt.CsumPartial, CsumStart: uint16(change * 3), CsumOffset: uint16(n)},
				} {
					finish(b, Raw, &m)
					finish(b, Ethernet, &m)
				}
			}
		}
	}
}

// What is written is read back: times to the nanosecond, directions, comments,
// interfaces with their statistics.
func TestRoundTrip(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file)
	tun, err1 := w.AddInterface("tun0", Raw, 0)
	eth, err2 := w.AddInterface("lan", Ethernet, 20)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ä", MaxComment/2) + "€"
	var want []Packet
	for i := range 40 {
		p := Packet{At: start().Add(time.Duration(i)), Interface: tun, Link: Raw, Dir: Direction(i % 3),
			Data: bytes.Repeat([]byte{byte(i)}, i), OrigLen: i}
		switch i % 4 {
		case 1:
			p.Comment = "what the stack says\nin two lines"
		case 2:
			p.Interface, p.Link = eth, Ethernet
			p.Data = p.Data[:min(i, 20)]
		case 3:
			p.Comment = long[:len(long)-len("€")]
		}
		want = append(want, p)
		comment := p.Comment
		if i%4 == 3 {
			comment = long
		}
		if err := w.WriteBytes(p.At, p.Interface, p.Dir, bytes.Repeat([]byte{byte(i)}, i), comment); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, ifaces := readAll(t, file.Bytes())
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i := range want {
		g, p := got[i], want[i]
		if !g.At.Equal(p.At) || g.Interface != p.Interface || g.Link != p.Link || g.Dir != p.Dir ||
			!bytes.Equal(g.Data, p.Data) || g.OrigLen != p.OrigLen || g.Comment != p.Comment {
			t.Errorf("packet %d: got %v %d %v %v %x %d %.40q, want %v %d %v %v %x %d %.40q", i,
				g.At, g.Interface, g.Link, g.Dir, g.Data, g.OrigLen, g.Comment,
				p.At, p.Interface, p.Link, p.Dir, p.Data, p.OrigLen, p.Comment)
		}
	}
	if len(ifaces) != 2 || ifaces[0].Name != "tun0" || ifaces[1].Name != "lan" || ifaces[1].SnapLen != 20 ||
		ifaces[0].Received != 30 || ifaces[1].Received != 10 {
		t.Errorf("interfaces: %+v", ifaces)
	}
}

// The calls that cannot be, and the end of a Writer's life.
func TestWriterRefuses(t *testing.T) {
	w := NewWriter(io.Discard)
	if _, err := w.AddInterface("x", 147, 0); err != ErrLinkType {
		t.Errorf("link type 147: %v", err)
	}
	if err := w.WriteBytes(start(), 0, In, nil, ""); err != ErrInterface {
		t.Errorf("a packet without an interface: %v", err)
	}
	for i := range MaxInterfaces {
		if n, err := w.AddInterface("x", Raw, 0); n != i || err != nil {
			t.Fatalf("interface %d: %d, %v", i, n, err)
		}
	}
	if _, err := w.AddInterface("x", Raw, 0); err != ErrInterface {
		t.Errorf("interface %d: %v", MaxInterfaces, err)
	}
	if err := w.WriteBytes(start(), 0, In, make([]byte, MaxPacket+1), ""); err != ErrTooBig {
		t.Errorf("a packet of %d bytes: %v", MaxPacket+1, err)
	}
	if err := w.WriteBytes(start(), 0, In, make([]byte, MaxPacket), ""); err != nil {
		t.Errorf("a packet of %d bytes: %v", MaxPacket, err)
	}
	if err := w.WriteBytes(start(), -1, In, nil, ""); err != ErrInterface {
		t.Errorf("interface -1: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	_, aerr := w.AddInterface("x", Raw, 0)
	for i, err := range []error{w.Close(), w.Flush(), w.Err(), w.WriteBytes(start(), 0, In, nil, ""), aerr} {
		if err != ErrClosed {
			t.Errorf("call %d after Close: %v", i, err)
		}
	}
}

// full is a disk that fills up.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, io.ErrShortBuffer
	}
	return len(b), nil
}

func TestWriterKeepsTheFirstError(t *testing.T) {
	w := NewWriter(&full{room: 300_000})
	i, err := w.AddInterface("x", Raw, 0)
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = w.WriteBytes(start(), i, In, make([]byte, 1000), "")
	}
	if err != io.ErrShortBuffer || n >= 1000 {
		t.Errorf("after %d packets: %v", n, err)
	}
	if err := w.Close(); err != io.ErrShortBuffer {
		t.Errorf("Close: %v", err)
	}
}

// Recording is on the path of every packet.
func TestWritePacketDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var pool pkt.Pool
	p := tcpPacket{payload: 60000, cut: 1448, csum: pkt.CsumPartial}.build(&pool)
	w := NewWriter(io.Discard)
	i, _ := w.AddInterface("x", Raw, 0)
	if n := testing.AllocsPerRun(200, func() { _ = w.WritePacket(start(), i, Out, p, "comment") }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkWritePacket(b *testing.B) {
	var pool pkt.Pool
	p := tcpPacket{payload: 1448, csum: pkt.CsumPartial}.build(&pool)
	w := NewWriter(io.Discard)
	i, _ := w.AddInterface("x", Raw, 0)
	b.ReportAllocs()
	b.SetBytes(int64(p.Len()))
	for b.Loop() {
		_ = w.WritePacket(start(), i, Out, p, "1.000000 #1 > . 1:1449(1448) ack 1 win 1000")
	}
}
