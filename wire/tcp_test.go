package wire

import (
	"bytes"
	"testing"
)

// A SYN as Linux sends it, written out by hand, and every field of it.
func TestParseTCPFields(t *testing.T) {
	b := []byte{
		0xc3, 0x50, 0x01, 0xbb, // 50000, 443
		0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1,
		0xa1, 0xc2, 0xff, 0xff, // 10 words, AE, CWR, ECE and SYN; window
		0x12, 0x34, 0x80, 0x00,
		2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 7,
		'h', 'i',
	}
	s, err := ParseTCP(b)
	if err != nil {
		t.Fatal(err)
	}
	if s.SrcPort() != 50000 || s.DstPort() != 443 || s.Seq() != 0xdeadbeef || s.Ack() != 1 {
		t.Errorf("ports %d %d, seq %#x, ack %d", s.SrcPort(), s.DstPort(), s.Seq(), s.Ack())
	}
	if want := FlagAE | FlagCWR | FlagECE | FlagSYN; s.Flags() != want {
		t.Errorf("flags %v, want %v", s.Flags(), want)
	}
	if s.HeaderLen() != 40 || len(s.Options()) != 20 || string(s.Payload()) != "hi" {
		t.Errorf("header %d, options %d, payload %q", s.HeaderLen(), len(s.Options()), s.Payload())
	}
	if s.Checksum() != 0x1234 || s.Urgent() != 0x8000 {
		t.Errorf("checksum %#x, urgent %#x", s.Checksum(), s.Urgent())
	}
}

// The window is an unsigned number. RFC 9293 MUST-1.
func TestWindowUnsignedR9293M01(t *testing.T) {
	var b [20]byte
	PutTCP(b[:], 1, 2, 3, 4, FlagACK, 0xffff, 0)
	if w := TCP(b[:]).Window(); w != 65535 {
		t.Errorf("window %d, want 65535", w)
	}
}

func TestParseTCPRefuses(t *testing.T) {
	good := goodTCP()
	for n := range len(good) + 1 {
		s, err := ParseTCP(good[:n])
		switch {
		case n < TCPMinLen && err != ErrShort,
			n >= TCPMinLen && n < TCP(good).HeaderLen() && err != ErrHeader,
			n >= TCP(good).HeaderLen() && (err != nil || len(s.Payload()) != n-32):
			t.Errorf("first %d bytes: %v, %d bytes long", n, err, len(s))
		}
	}
	for words := range 16 {
		b := bytes.Clone(good)
		b[12] = byte(words)<<4 | b[12]&15
		_, err := ParseTCP(b)
		if ok := words >= 5 && words*4 <= len(b); ok != (err == nil) || !ok && err != ErrHeader {
			t.Errorf("data offset %d in %d bytes: %v", words, len(b), err)
		}
	}
}

func TestPutTCPRoundTrip(t *testing.T) {
	for n := TCPMinLen; n <= TCPMaxLen; n += 4 {
		for f := TCPFlags(0); f <= flagMask; f++ {
			b := bytes.Repeat([]byte{0xff}, n)
			PutTCP(b, 0x0102, 0x0304, 0x05060708, 0x090a0b0c, f|0xfe00, 0x0d0e, 0x0f10)
			s, err := ParseTCP(b)
			if err != nil {
				t.Fatal(err)
			}
			if s.SrcPort() != 0x0102 || s.DstPort() != 0x0304 || s.Seq() != 0x05060708 || s.Ack() != 0x090a0b0c ||
				s.Window() != 0x0d0e || s.Urgent() != 0x0f10 || s.Flags() != f || s.HeaderLen() != n || s.Checksum() != 0 {
				t.Fatalf("length %d, flags %v: % x", n, f, b[:20])
			}
			if b[12]&0x0e != 0 {
				t.Fatalf("reserved bits are set: %#02x", b[12])
			}
		}
	}
}

func TestTCPSetters(t *testing.T) {
	b := goodTCP()
	s := TCP(b)
	rest := bytes.Clone(b)
	s.SetSeq(0xfffffff0)
	s.SetAck(7)
	s.SetWindow(99)
	s.SetFlags(FlagAE | FlagFIN)
	s.SetChecksum(0xabcd)
	if s.Seq() != 0xfffffff0 || s.Ack() != 7 || s.Window() != 99 || s.Flags() != FlagAE|FlagFIN || s.Checksum() != 0xabcd {
		t.Errorf("% x", b[:20])
	}
	if s.HeaderLen() != 32 || !bytes.Equal(rest[:4], b[:4]) || !bytes.Equal(rest[18:], b[18:]) {
		t.Error("a setter wrote beyond its field")
	}
}

func TestTCPFlagsString(t *testing.T) {
	for _, c := range []struct {
		f    TCPFlags
		want string
	}{
		{0, "-"}, {FlagSYN, "S"}, {FlagSYN | FlagACK, "S."}, {FlagPSH | FlagACK, "P."}, {FlagFIN | FlagACK, "F."},
		{FlagRST, "R"}, {FlagRST | FlagACK, "R."}, {FlagACK, "."}, {FlagSYN | FlagECE | FlagCWR, "SEW"},
		{FlagSYN | FlagECE | FlagCWR | FlagAE, "SEWA"}, {FlagURG | FlagACK, ".U"}, {flagMask, "SFRP.UEWA"}, {0xfe00, "-"},
	} {
		if got := c.f.String(); got != c.want {
			t.Errorf("%#x prints %q, want %q", uint16(c.f), got, c.want)
		}
	}
}
