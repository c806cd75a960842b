package wire

import (
	"bytes"
	"testing"
)

func goodUDP() []byte {
	src, dst := test4()
	b := append(make([]byte, UDPLen), "question"...)
	PutUDP(b, 5353, 53, 8)
	UDP(b).SetChecksum(FinishUDP(Sum(b, PseudoSum(&src, &dst, ProtoUDP, uint32(len(b))))))
	return b
}

func TestUDPFields(t *testing.T) {
	src, dst := test4()
	u, err := ParseUDP(goodUDP())
	if err != nil {
		t.Fatal(err)
	}
	if u.SrcPort() != 5353 || u.DstPort() != 53 || u.Length() != 16 || string(u.Payload()) != "question" || !u.ChecksumOK(&src, &dst) {
		t.Errorf("% x", []byte(u))
	}
	u[9] ^= 1
	if u.ChecksumOK(&src, &dst) {
		t.Error("damage passes")
	}
}

// A computed 0 is sent as all ones and verifies; a received 0 means none, over
// IPv4 only. RFC 768, and RFC 8200 §8.1 for IPv6.
func TestUDPZeroChecksumR768_1(t *testing.T) {
	src, dst := test4()
	b := make([]byte, UDPLen+2)
	PutUDP(b, 1000, 2000, 2)
	// The last two octets bring the sum to all ones.
	s := Sum(b, PseudoSum(&src, &dst, ProtoUDP, uint32(len(b))))
	b[8], b[9] = byte(^s>>8), byte(^s)
	s = Sum(b, PseudoSum(&src, &dst, ProtoUDP, uint32(len(b))))
	if Finish(s) != 0 || FinishUDP(s) != 0xffff {
		t.Fatalf("sum %#04x: the example is wrong, or the checksum is sent as %#04x", s, FinishUDP(s))
	}
	u := UDP(b)
	u.SetChecksum(FinishUDP(s))
	if !u.ChecksumOK(&src, &dst) {
		t.Error("all ones does not verify")
	}
	u.SetChecksum(0)
	if !u.ChecksumOK(&src, &dst) {
		t.Error("no checksum is refused over IPv4")
	}
	src6, dst6 := test6()
	if u.ChecksumOK(&src6, &dst6) {
		t.Error("no checksum is accepted over IPv6: RFC 8200 §8.1")
	}
}

// A length below 8 or beyond IP's payload is refused, what is beyond the
// length ignored.
func TestUDPLengthR768_2(t *testing.T) {
	good := append(goodUDP(), "beyond"...)
	for n := range 1 << 16 {
		b := bytes.Clone(good)
		b[4], b[5] = byte(n>>8), byte(n)
		u, err := ParseUDP(b)
		if ok := n >= 8 && n <= len(b); ok != (err == nil) || ok && len(u) != n || !ok && err != ErrLength {
			t.Fatalf("length %d of %d: %v, %d bytes", n, len(b), err, len(u))
		}
	}
	for n := range 16 {
		want := ErrLength
		if n < UDPLen {
			want = ErrShort
		}
		if _, err := ParseUDP(good[:n]); err != want {
			t.Errorf("first %d bytes: %v, want %v", n, err, want)
		}
	}
}
