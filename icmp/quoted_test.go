package icmp

import (
	"encoding/binary"
	"testing"

	"github.com/handfast/handfast/wire"
)

// tcpStart is the start of a segment from port 1000 to 80 with SEQ 0x01020304.
var tcpStart = []byte{0x03, 0xe8, 0, 80, 1, 2, 3, 4}

// message returns an ICMP error about a packet.
func message(typ, code uint8, rest uint32, quote []byte) []byte {
	b := make([]byte, 8, 8+len(quote))
	b[0], b[1] = typ, code
	binary.BigEndian.PutUint32(b[4:], rest)
	return append(b, quote...)
}

// ext6 returns an IPv6 packet with extension headers, each of them given by its
// number and its bytes but the first, before TCP.
func ext6(payload []byte, exts ...[]byte) []byte {
	next := uint8(wire.ProtoTCP)
	rest := payload
	for i := len(exts) - 1; i >= 0; i-- {
		rest = append(append([]byte{next}, exts[i][1:]...), rest...)
		next = exts[i][0]
	}
	return packet(self6, peer6, next, rest)
}

// Errors are hard, soft or to be ignored as RFC 1122 §4.2.3.9 and RFC 9293
// §3.9.2.2 say.
func TestClasses(t *testing.T) {
	want := func(v6 bool, typ, code uint8, class Class) {
		t.Helper()
		quote := packet(self4, peer4, wire.ProtoTCP, tcpStart)
		if v6 {
			quote = packet(self6, peer6, wire.ProtoTCP, tcpStart)
		}
		var q Quoted
		if err := ParseQuoted(v6, message(typ, code, 1400, quote), &q); err != nil || q.Class != class {
			t.Errorf("v6 %v type %d code %d: %v %v, want %v", v6, typ, code, q.Class, err, class)
		}
		if mtu := q.MTU; mtu != 0 != (class == TooBig) || class == TooBig && mtu != 1400 {
			t.Errorf("v6 %v type %d code %d: MTU %d", v6, typ, code, mtu)
		}
	}
	for code := range uint8(20) {
		class := Soft
		switch code {
		case 2, 3:
			class = Hard
		case 4:
			class = TooBig
		}
		want(false, wire.ICMPv4Unreachable, code, class)
		want(false, wire.ICMPv4SourceQuench, code, Ignored) // MUST-55
		want(false, wire.ICMPv4Redirect, code, Ignored)
		want(false, wire.ICMPv4TimeExceeded, code, Soft)
		want(false, wire.ICMPv4ParamProblem, code, Soft)
		class = Soft
		if code == 1 || code == 4 {
			class = Hard
		}
		want(true, wire.ICMPv6Unreachable, code, class)
		want(true, wire.ICMPv6PacketTooBig, code, TooBig)
		want(true, wire.ICMPv6TimeExceeded, code, Soft)
		want(true, wire.ICMPv6ParamProblem, code, Soft)
	}
	for c := range TooBig + 2 {
		if c.String() == "" {
			t.Errorf("class %d has no name", c)
		}
	}
}

func TestQuotedFlow(t *testing.T) {
	later6 := make([]byte, 8)
	wire.PutFragment(later6, 0, 16, true, 5)
	first6 := make([]byte, 8)
	wire.PutFragment(first6, 0, 0, true, 5)
	frag := func(b []byte) []byte { c := append([]byte(nil), b...); c[0] = wire.ProtoFragment; return c }
	dest := []byte{wire.ProtoDestOptions, 0, 1, 4, 0, 0, 0, 0}
	later4 := packet(self4, peer4, wire.ProtoTCP, tcpStart)
	later4[7] = 2
	echo4 := append([]byte{8, 0, 0, 0, 0x12, 0x34}, 0, 1)
	for _, c := range []struct {
		name           string
		v6             bool
		quote          []byte
		proto          uint8
		ports, seq, id bool
	}{
		{"TCP", false, packet(self4, peer4, wire.ProtoTCP, tcpStart), 6, true, true, false},
		{"TCP, seven bytes", false, packet(self4, peer4, wire.ProtoTCP, tcpStart[:7]), 6, true, false, false},
		{"TCP, three bytes", false, packet(self4, peer4, wire.ProtoTCP, tcpStart[:3]), 6, false, false, false},
		{"UDP", false, packet(self4, peer4, wire.ProtoUDP, tcpStart), 17, true, false, false},
		{"a later fragment", false, later4, 6, false, false, false},
		{"echo", false, packet(self4, peer4, wire.ProtoICMP, echo4), 1, false, false, true},
		{"echo reply", false, packet(self4, peer4, wire.ProtoICMP, make([]byte, 8)), 1, false, false, false},
		{"unknown", false, packet(self4, peer4, 99, tcpStart), 99, false, false, false},
		{"TCP6", true, ext6(tcpStart), 6, true, true, false},
		{"behind options", true, ext6(tcpStart, dest, dest), 6, true, true, false},
		{"first fragment", true, ext6(tcpStart, frag(first6)), 6, true, true, false},
		{"later fragment", true, ext6(tcpStart, frag(later6)), 6, false, false, false},
		{"cut in an extension header", true, ext6(nil, dest)[:44], 60, false, false, false},
		{"too many headers", true, ext6(tcpStart, dest, dest, dest, dest, dest, dest, dest, dest, dest), 60, false, false, false},
		{"echo6", true, packet(self6, peer6, wire.ProtoICMPv6, append([]byte{128}, echo4[1:]...)), 58, false, false, true},
	} {
		typ := uint8(wire.ICMPv4Unreachable)
		if c.v6 {
			typ = wire.ICMPv6Unreachable
		}
		var q Quoted
		if err := ParseQuoted(c.v6, message(typ, 1, 0, c.quote), &q); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		src, dst := self4, peer4
		if c.v6 {
			src, dst = self6, peer6
		}
		if q.Src != src || q.Dst != dst || q.Proto != c.proto || q.HasPorts != c.ports || q.HasSeq != c.seq || q.HasID != c.id {
			t.Errorf("%s: %+v", c.name, q)
		}
		if c.ports && (q.SrcPort != 1000 || q.DstPort != 80) || c.seq && q.Seq != 0x01020304 || c.id && q.ID != 0x1234 {
			t.Errorf("%s: %+v", c.name, q)
		}
	}
}

// The quoted length is the packet's own, not that of what is left of it: it
// stands in for the MTU that an old router does not name.
func TestQuotedLength(t *testing.T) {
	p := packet(self4, peer4, wire.ProtoTCP, make([]byte, 1480))[:28]
	var q Quoted
	if err := ParseQuoted(false, message(3, 4, 0, p), &q); err != nil || q.Len != 1500 || q.MTU != 0 || q.Class != TooBig {
		t.Errorf("%v %+v", err, q)
	}
}

func TestQuotedRefusals(t *testing.T) {
	good4, good6 := packet(self4, peer4, 6, tcpStart), packet(self6, peer6, 6, tcpStart)
	mapped := append([]byte(nil), good6...)
	copy(mapped[8:], self4[:])
	for _, c := range []struct {
		name string
		v6   bool
		msg  []byte
		want error
	}{
		{"nothing", false, nil, wire.ErrShort},
		{"no quote", false, message(3, 1, 0, nil), wire.ErrShort},
		{"half a header", false, message(3, 1, 0, good4[:19]), wire.ErrShort},
		{"half a header", true, message(1, 0, 0, good6[:39]), wire.ErrShort},
		{"IPv6 in ICMP", false, message(3, 1, 0, good6), wire.ErrVersion},
		{"IPv4 in ICMPv6", true, message(1, 0, 0, append(good4, make([]byte, 20)...)), wire.ErrVersion},
		{"IHL 4", false, message(3, 1, 0, append([]byte{0x44}, good4[1:]...)), wire.ErrHeader},
		{"options cut off", false, message(3, 1, 0, append([]byte{0x4f}, good4[1:]...)), wire.ErrShort},
		{"mapped address", true, message(1, 0, 0, mapped), wire.ErrAddr},
		{"echo", false, message(8, 0, 0, good4), wire.ErrType},
		{"neighbour solicitation", true, message(135, 0, 0, good6), wire.ErrType},
	} {
		var q Quoted
		if err := ParseQuoted(c.v6, c.msg, &q); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzQuoted(f *testing.F) {
	f.Add(message(3, 4, 1400, packet(self4, peer4, 6, tcpStart)), false)
	f.Add(message(3, 3, 0, packet(self4, peer4, 17, tcpStart)), false)
	f.Add(message(2, 0, 1280, ext6(tcpStart, []byte{60, 0, 1, 4, 0, 0, 0, 0})), true)
	f.Add(message(4, 1, 6, ext6(tcpStart, []byte{44, 0, 0, 1, 0, 0, 0, 0})), true)
	f.Add(message(1, 4, 0, packet(self6, peer6, 58, []byte{128, 0, 0, 0, 1, 2, 3, 4})), true)
	f.Fuzz(func(t *testing.T, msg []byte, v6 bool) {
		var q Quoted
		err := ParseQuoted(v6, msg, &q)
		if err != nil {
			return
		}
		if q.V6 != v6 || q.Src.Is4() == v6 || q.Dst.Is4() == v6 || q.HasSeq && !q.HasPorts || q.Len < 0 || q.Len > 65575 {
			t.Errorf("%+v\n%x", q, msg)
		}
		if q.Class == TooBig != (q.Type == 2 && v6 || q.Type == 3 && q.Code == 4 && !v6) {
			t.Errorf("%+v", q)
		}
	})
}

func BenchmarkParseQuoted(b *testing.B) {
	msg := message(3, 4, 1400, packet(self4, peer4, 6, tcpStart))
	var q Quoted
	for b.Loop() {
		ParseQuoted(false, msg, &q)
	}
}
