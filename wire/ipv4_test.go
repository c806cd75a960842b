package wire

import (
	"bytes"
	"testing"
)

// goodIPv4 is a datagram with a router alert and eight bytes of payload.
func goodIPv4() []byte {
	src, dst := test4()
	b := append(make([]byte, 24), pattern(8)...)
	PutIPv4(b, &IPv4Fields{TotalLen: 32, ID: 0xbeef, TOS: 0xb8 | ECT0, Flags: IPv4DF, TTL: 64, Proto: ProtoUDP,
		Src: src, Dst: dst, Options: []byte{IPv4OptRouterAlert, 4, 0, 0}})
	return b
}

// A header written out by hand, and every field of it.
func TestIPv4FieldsAndChecksum(t *testing.T) {
	b := []byte{0x45, 0x00, 0x00, 0x14, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x00, 0x00, 0xac, 0x10, 0x0a, 0x63, 0xac, 0x10, 0x0a, 0x0c}
	c := Finish(referenceSum(b, 0))
	b[10], b[11] = byte(c>>8), byte(c)
	p, err := ParseIPv4(append(b, "padding"...))
	if err != nil {
		t.Fatal(err)
	}
	if p.HeaderLen() != 20 || p.TotalLen() != 20 || p.ID() != 0x1c46 || p.Flags() != IPv4DF || !p.DF() || p.MF() || p.FragOffset() != 0 ||
		p.TTL() != 64 || p.Proto() != ProtoTCP || p.TOS() != 0 || p.IsFragment() || len(p.Options()) != 0 || len(p.Payload()) != 0 {
		t.Errorf("% x", []byte(p))
	}
	if p.Src().String() != "172.16.10.99" || p.Dst().String() != "172.16.10.12" || p.Checksum() != c || !p.ChecksumOK() {
		t.Errorf("%v > %v, checksum %#x, right %v", p.Src(), p.Dst(), p.Checksum(), p.ChecksumOK())
	}
}

func TestPutIPv4RoundTrip(t *testing.T) {
	src, dst := test4()
	for optLen := range IPv4MaxOptLen + 1 {
		for _, h := range []IPv4Fields{
			{TotalLen: 60, ID: 1, TTL: 1, Proto: ProtoICMP},
			{TotalLen: 60, ID: 0xffff, TTL: 255, Proto: ProtoTCP, Flags: IPv4MF, FragOffset: 65528, TOS: 0xff},
			{TotalLen: 60, Flags: IPv4DF | IPv4MF, FragOffset: 8},
		} {
			h.Src, h.Dst, h.Options = src, dst, bytes.Repeat([]byte{IPv4OptNOP}, optLen)
			b := bytes.Repeat([]byte{0xee}, 60)
			n := PutIPv4(b, &h)
			p, err := ParseIPv4(b)
			if err != nil {
				t.Fatalf("%+v: %v", h, err)
			}
			if n != p.HeaderLen() || n != align4(20+optLen) || !p.ChecksumOK() || p.TotalLen() != 60 || p.ID() != h.ID || p.TTL() != h.TTL ||
				p.Proto() != h.Proto || p.Flags() != h.Flags || p.FragOffset() != int(h.FragOffset) || p.TOS() != h.TOS || p.Src() != src || p.Dst() != dst {
				t.Fatalf("%+v becomes % x", h, b[:n])
			}
			if !bytes.Equal(p.Options()[:optLen], h.Options) || bytes.Count(p.Options()[optLen:], []byte{0}) != n-20-optLen {
				t.Fatalf("%d bytes of options become % x", optLen, p.Options())
			}
		}
	}
}

// Version, header length and total length are verified. RFC 1122 §3.2.1.1 and
// §3.2.1.2.
func TestParseIPv4RefusesR1122(t *testing.T) {
	good := goodIPv4()
	for n := range good {
		want := ErrLength
		if n < 20 {
			want = ErrShort
		} else if n < 24 {
			want = ErrHeader
		}
		if _, err := ParseIPv4(good[:n]); err != want {
			t.Errorf("first %d bytes: %v, want %v", n, err, want)
		}
	}
	for first := range 256 {
		b := bytes.Clone(good)
		b[0] = byte(first)
		var want error
		switch hlen := first & 15 * 4; {
		case first>>4 != 4:
			want = ErrVersion
		case hlen < 20 || hlen > 32:
			want = ErrHeader
		}
		if _, err := ParseIPv4(b); err != want {
			t.Errorf("first byte %#02x: %v, want %v", first, err, want)
		}
	}
	for total := range 1 << 16 {
		b := bytes.Clone(good)
		b[2], b[3] = byte(total>>8), byte(total)
		p, err := ParseIPv4(b)
		if ok := total >= 24 && total <= 32; ok != (err == nil) || ok && len(p) != total || !ok && err != ErrLength {
			t.Fatalf("total length %d of 32: %v, %d bytes", total, err, len(p))
		}
	}
}

func TestIPv4BadChecksumR1122_3_2_1_2(t *testing.T) {
	b := goodIPv4()
	for bit := range 24 * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		if p, err := ParseIPv4(b); err == nil && p.HeaderLen() == 24 && p.ChecksumOK() {
			t.Fatalf("bit %d flipped and the checksum fits", bit)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	b[24] ^= 0xff
	if p, err := ParseIPv4(b); err != nil || !p.ChecksumOK() {
		t.Error("the payload is none of the header checksum's business")
	}
}

// A field set with an incremental update leaves the checksum a full
// computation gives.
func TestIPv4SettersUpdateChecksum(t *testing.T) {
	b := goodIPv4()
	p := IPv4(b)
	check := func(what string, v int) {
		t.Helper()
		full := bytes.Clone(b[:24])
		full[10], full[11] = 0, 0
		if want := Finish(Sum(full, 0)); p.Checksum() != want {
			t.Fatalf("%s %d: checksum %#04x, want %#04x", what, v, p.Checksum(), want)
		}
	}
	for v := range 256 {
		p.SetTTL(uint8(v))
		check("TTL", v)
		p.SetTOS(uint8(v))
		check("TOS", v)
		if p.TTL() != uint8(v) || p.TOS() != uint8(v) || p.Proto() != ProtoUDP || p.HeaderLen() != 24 {
			t.Fatalf("% x", b[:24])
		}
	}
	for v := 0; v < 1<<16; v += 251 {
		p.SetTotalLen(uint16(v))
		check("total length", v)
		p.SetID(uint16(v))
		check("ID", v)
		if p.TotalLen() != uint16(v) || p.ID() != uint16(v) {
			t.Fatalf("% x", b[:24])
		}
	}
}

// Unknown options are walked over, safely. RFC 1122 §3.2.1.8, T-PAR-03.
func TestIPv4OptionsR1122_3_2_1_8(t *testing.T) {
	for _, c := range []struct {
		name  string
		raw   []byte
		kinds []byte
		err   error
	}{
		{"none", nil, nil, nil},
		{"unknown between known", []byte{1, 99, 3, 7, 148, 4, 0, 0}, []byte{1, 99, 148}, nil},
		{"end of list hides the rest", []byte{1, 0, 99, 0}, []byte{1, 0}, nil},
		{"length 0", []byte{7, 0, 1, 1}, nil, ErrOption},
		{"length 1", []byte{1, 7, 1, 1}, []byte{1}, ErrOption},
		{"beyond the end", []byte{7, 5, 4, 1}, nil, ErrOption},
		{"no length", []byte{1, 1, 1, 7}, []byte{1, 1, 1}, ErrOption},
	} {
		var kinds []byte
		var err error
		for b := c.raw; len(b) > 0 && err == nil; {
			var kind uint8
			var opt []byte
			if kind, opt, b, err = NextOption(b); err == nil {
				kinds = append(kinds, kind)
				if opt[0] != kind {
					t.Errorf("%s: option % x has kind %d", c.name, opt, kind)
				}
			}
		}
		if !bytes.Equal(kinds, c.kinds) || err != c.err {
			t.Errorf("%s: kinds %v, %v; want %v, %v", c.name, kinds, err, c.kinds, c.err)
		}
	}
	if _, _, _, err := NextOption(nil); err != ErrOption {
		t.Errorf("no option in nothing: %v", err)
	}
}
