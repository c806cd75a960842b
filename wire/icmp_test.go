package wire

import (
	"bytes"
	"testing"
)

func TestICMPv4Echo(t *testing.T) {
	for _, reply := range []bool{false, true} {
		b := append(make([]byte, ICMPLen), "ping data"...)
		PutICMPv4Echo(b, reply, 0x1234, 0x5678)
		m, err := ParseICMPv4(b)
		if err != nil {
			t.Fatal(err)
		}
		typ := uint8(ICMPv4Echo)
		if reply {
			typ = ICMPv4EchoReply
		}
		if m.Type() != typ || m.Code() != 0 || m.ID() != 0x1234 || m.Seq() != 0x5678 || string(m.Payload()) != "ping data" || !m.ChecksumOK() || m.IsError() {
			t.Errorf("reply %v: % x", reply, b)
		}
		b[9] ^= 4
		if m.ChecksumOK() {
			t.Error("damage passes")
		}
	}
}

func TestICMPv4Errors(t *testing.T) {
	quoted := goodIPv4()[:28]
	for _, c := range []struct {
		typ, code uint8
		rest      uint32
		mtu       uint16
		pointer   uint8
		gateway   string
	}{
		{ICMPv4Unreachable, UnreachFragNeeded, 1400, 1400, 0, "0.0.5.120"},
		{ICMPv4Unreachable, UnreachPort, 0, 0, 0, "0.0.0.0"},
		{ICMPv4ParamProblem, 0, 20 << 24, 0, 20, "20.0.0.0"},
		{ICMPv4Redirect, 1, 0xc0000201, 0x0201, 192, "192.0.2.1"},
		{ICMPv4TimeExceeded, TimeExceededReassembly, 0, 0, 0, "0.0.0.0"},
	} {
		b := append(make([]byte, ICMPLen), quoted...)
		PutICMPv4(b, c.typ, c.code, c.rest)
		m, err := ParseICMPv4(b)
		if err != nil || m.Type() != c.typ || m.Code() != c.code || m.MTU() != c.mtu || m.Pointer() != c.pointer ||
			m.Gateway().String() != c.gateway || !bytes.Equal(m.Quoted(), quoted) || !m.ChecksumOK() || !m.IsError() {
			t.Errorf("type %d: % x, %v", c.typ, b, err)
		}
	}
}

func TestICMPv6(t *testing.T) {
	src, dst := test6()
	b := append(make([]byte, ICMPLen), "ping data"...)
	PutICMPv6Echo(b, &src, &dst, false, 0x1234, 0x5678)
	m, err := ParseICMPv6(b)
	if err != nil || m.Type() != ICMPv6Echo || m.ID() != 0x1234 || m.Seq() != 0x5678 || string(m.Payload()) != "ping data" || m.IsError() {
		t.Errorf("% x, %v", b, err)
	}
	if other := AddrFrom16([16]byte{1}); !m.ChecksumOK(&src, &dst) || m.ChecksumOK(&src, &other) {
		t.Error("the checksum does not cover the pseudo-header: RFC 4443 §2.3")
	}
	PutICMPv6Echo(b, &dst, &src, true, 0x1234, 0x5678)
	if m.Type() != ICMPv6EchoReply || m.Code() != 0 || !m.ChecksumOK(&dst, &src) {
		t.Errorf("reply: % x", b)
	}
	quoted := goodIPv6()
	b = append(make([]byte, ICMPLen), quoted...)
	PutICMPv6(b, &src, &dst, ICMPv6PacketTooBig, 0, 1280)
	if m, err = ParseICMPv6(b); err != nil || m.MTU() != 1280 || m.Pointer() != 1280 || !m.IsError() || !bytes.Equal(m.Quoted(), quoted) || !m.ChecksumOK(&src, &dst) {
		t.Errorf("packet too big: % x, %v", b, err)
	}
	if m.Checksum() != uint16(b[2])<<8|uint16(b[3]) {
		t.Errorf("Checksum %#x of % x", m.Checksum(), b[:4])
	}
}

func TestParseICMPTruncated(t *testing.T) {
	b := make([]byte, ICMPLen)
	for n := range len(b) + 1 {
		_, err4 := ParseICMPv4(b[:n])
		_, err6 := ParseICMPv6(b[:n])
		if ok := n == ICMPLen; ok != (err4 == nil) || ok != (err6 == nil) || !ok && (err4 != ErrShort || err6 != ErrShort) {
			t.Errorf("%d bytes: %v, %v", n, err4, err6)
		}
	}
}

// Errors are the types below 128, also those nobody has defined; of IPv4 only
// the five that quote. RFC 4443 §2.1, RFC 1122 §3.2.2.
func TestICMPIsError(t *testing.T) {
	v4 := map[int]bool{3: true, 4: true, 5: true, 11: true, 12: true}
	b := make([]byte, ICMPLen)
	for typ := range 256 {
		b[0] = byte(typ)
		if ICMPv4(b).IsError() != v4[typ] || ICMPv6(b).IsError() != (typ < 128) {
			t.Errorf("type %d: IPv4 %v, IPv6 %v", typ, ICMPv4(b).IsError(), ICMPv6(b).IsError())
		}
	}
}
