package wire

import (
	"bytes"
	"testing"
)

func goodIPv6() []byte {
	src, dst := test6()
	b := append(make([]byte, IPv6Len), pattern(16)...)
	PutIPv6(b, &IPv6Fields{FlowLabel: 0xabcde, PayloadLen: 16, TrafficClass: 0xb8 | CE, NextHeader: ProtoUDP, HopLimit: 64, Src: src, Dst: dst})
	return b
}

func TestIPv6Fields(t *testing.T) {
	src, dst := test6()
	b := goodIPv6()
	if want := []byte{0x6b, 0xba, 0xbc, 0xde, 0, 16, 17, 64, 0x20, 0x01}; !bytes.Equal(b[:10], want) {
		t.Errorf("% x, want % x", b[:10], want)
	}
	p, err := ParseIPv6(append(b, "padding"...))
	if err != nil {
		t.Fatal(err)
	}
	if p.TrafficClass() != 0xbb || p.FlowLabel() != 0xabcde || p.PayloadLen() != 16 || p.NextHeader() != ProtoUDP || p.HopLimit() != 64 ||
		p.Src() != src || p.Dst() != dst || !bytes.Equal(p.Payload(), pattern(16)) {
		t.Errorf("% x", []byte(p))
	}
	for v := range 256 {
		p.SetTrafficClass(uint8(v))
		p.SetHopLimit(uint8(v))
		if p.TrafficClass() != uint8(v) || p.HopLimit() != uint8(v) || p.FlowLabel() != 0xabcde || p[0]>>4 != 6 {
			t.Fatalf("set to %d: % x", v, []byte(p[:8]))
		}
	}
	p.SetPayloadLen(0x1234)
	if p.PayloadLen() != 0x1234 || p.NextHeader() != ProtoUDP {
		t.Errorf("% x", []byte(p[:8]))
	}
}

func TestParseIPv6Refuses(t *testing.T) {
	good := goodIPv6()
	for n := range good {
		want := ErrLength
		if n < IPv6Len {
			want = ErrShort
		}
		if _, err := ParseIPv6(good[:n]); err != want {
			t.Errorf("first %d bytes: %v, want %v", n, err, want)
		}
	}
	for v := range 16 {
		b := bytes.Clone(good)
		b[0] = byte(v)<<4 | b[0]&15
		if _, err := ParseIPv6(b); (err == nil) != (v == 6) || err != nil && err != ErrVersion {
			t.Errorf("version %d: %v", v, err)
		}
	}
	for n := range 1 << 16 {
		b := bytes.Clone(good)
		b[4], b[5] = byte(n>>8), byte(n)
		p, err := ParseIPv6(b)
		if ok := n <= 16; ok != (err == nil) || ok && len(p.Payload()) != n || !ok && err != ErrLength {
			t.Fatalf("payload length %d of 16: %v", n, err)
		}
	}
}

// A packet from or to ::ffff:a.b.c.d must not be taken for one of IPv4.
func TestParseIPv6RefusesMappedAddresses(t *testing.T) {
	mapped, _ := test4()
	for _, at := range []int{8, 24} {
		b := goodIPv6()
		copy(b[at:], mapped[:])
		if _, err := ParseIPv6(b); err != ErrAddr {
			t.Errorf("mapped address at %d: %v", at, err)
		}
	}
}

func TestNextExt(t *testing.T) {
	body := pattern(64)
	header := func(next, n byte) []byte {
		b := bytes.Clone(body)
		b[0], b[1] = next, n
		return b
	}
	for _, c := range []struct {
		name string
		kind uint8
		b    []byte
		size int
		err  error
	}{
		{"hop-by-hop", ProtoHopByHop, header(ProtoTCP, 0), 8, nil},
		{"routing", ProtoRouting, header(ProtoTCP, 2), 24, nil},
		{"destination options to the end", ProtoDestOptions, header(ProtoTCP, 7), 64, nil},
		{"destination options beyond", ProtoDestOptions, header(ProtoTCP, 8), 0, ErrShort},
		{"the longest length", ProtoMobility, header(ProtoTCP, 255), 0, ErrShort},
		{"fragment, second byte reserved", ProtoFragment, header(ProtoTCP, 255), 8, nil},
		{"authentication counts by four", ProtoAH, header(ProtoTCP, 4), 24, nil},
		{"authentication, length 0", ProtoAH, header(ProtoTCP, 0), 8, nil},
		{"seven bytes", ProtoHopByHop, header(ProtoTCP, 0)[:7], 0, ErrShort},
		{"nothing", ProtoFragment, nil, 0, ErrShort},
	} {
		proto, hdr, rest, err := NextExt(c.kind, c.b)
		if err != c.err || len(hdr) != c.size || err == nil && (proto != ProtoTCP || len(rest) != len(c.b)-c.size) {
			t.Errorf("%s: proto %d, %d bytes, %d left, %v", c.name, proto, len(hdr), len(rest), err)
		}
	}
	for _, kind := range []uint8{ProtoTCP, ProtoUDP, ProtoICMPv6, ProtoNoNext, ProtoESP} {
		proto, hdr, rest, err := NextExt(kind, body)
		if proto != kind || hdr != nil || len(rest) != len(body) || err != nil {
			t.Errorf("%d is not an extension header: %d, % x, %v", kind, proto, hdr, err)
		}
	}
}

// A chain of any headers in any order comes to its end. RFC 8200 §4.1.
func TestExtensionChainR8200_4_1(t *testing.T) {
	var b []byte
	kinds := []uint8{ProtoHopByHop, ProtoDestOptions, ProtoRouting, ProtoFragment, ProtoDestOptions, ProtoAH, ProtoUDP}
	for i, next := range kinds[1:] {
		h := make([]byte, 8)
		h[0] = next
		if kinds[i] == ProtoDestOptions {
			h[1] = 1
			h = append(h, make([]byte, 8)...)
		}
		b = append(b, h...)
	}
	proto, steps := kinds[0], 0
	for IsExt(proto) {
		next, hdr, rest, err := NextExt(proto, b)
		if err != nil || hdr == nil || len(rest) >= len(b) {
			t.Fatalf("step %d over %d: %v", steps, proto, err)
		}
		proto, b = next, rest
		steps++
	}
	if proto != ProtoUDP || steps != 6 || len(b) != 0 {
		t.Errorf("ended at %d after %d steps with %d bytes", proto, steps, len(b))
	}
}

func TestFragmentRoundTrip(t *testing.T) {
	for offset := 0; offset < 1<<16; offset += 8 {
		for _, more := range []bool{false, true} {
			b := bytes.Repeat([]byte{0xff}, 9)
			n := PutFragment(b, ProtoTCP, offset, more, 0xdeadbeef)
			f, err := ParseFragment(b)
			if err != nil || n != 8 || f.Offset() != offset || f.More() != more || f.ID() != 0xdeadbeef || f.NextHeader() != ProtoTCP || b[1] != 0 || b[8] != 0xff {
				t.Fatalf("offset %d, more %v: % x, %v", offset, more, b, err)
			}
		}
	}
	if _, err := ParseFragment(make([]byte, 7)); err != ErrShort {
		t.Errorf("seven bytes: %v", err)
	}
}

func TestRouting(t *testing.T) {
	r, err := ParseRouting([]byte{ProtoTCP, 0, 4, 3, 0, 0, 0, 0})
	if err != nil || r.Type() != 4 || r.SegmentsLeft() != 3 {
		t.Errorf("% x, %v", []byte(r), err)
	}
	if _, err := ParseRouting(make([]byte, 7)); err != ErrShort {
		t.Errorf("seven bytes: %v", err)
	}
}

func TestTLVs(t *testing.T) {
	hdr := []byte{ProtoTCP, 1, 0x00, 0x01, 0x02, 0, 0, 0x05, 0x02, 0, 7, 0xc2, 0x00, 0x01, 0x00, 0x00}
	type tlv struct {
		kind uint8
		n    int
	}
	want := []tlv{{TLVPad1, 0}, {TLVPadN, 2}, {TLVRouterAlert, 2}, {TLVJumbo, 0}, {TLVPadN, 0}, {TLVPad1, 0}}
	b := TLVs(hdr)
	for i, w := range want {
		kind, data, rest, err := NextTLV(b)
		if err != nil || kind != w.kind || len(data) != w.n || len(rest) >= len(b) {
			t.Fatalf("option %d: kind %#x, % x, %v; want %+v", i, kind, data, err, w)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Errorf("left over: % x", b)
	}
	for _, bad := range [][]byte{nil, {1}, {5, 1}, {0xc2, 4, 0, 0, 0}} {
		if _, _, _, err := NextTLV(bad); err != ErrOption {
			t.Errorf("% x: %v", bad, err)
		}
	}
}

// What to do with an unknown option is in its top bits. RFC 8200 §4.2.
func TestTLVActionR8200_4_2(t *testing.T) {
	for kind, want := range map[uint8]uint8{0x3f: TLVSkip, 0x7f: TLVDiscard, 0xbf: TLVDiscardICMP, 0xff: TLVDiscardICMPUnicast} {
		if got := kind & TLVActionMask; got != want {
			t.Errorf("%#x: %#x, want %#x", kind, got, want)
		}
	}
}
