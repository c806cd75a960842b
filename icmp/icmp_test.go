package icmp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/handfast/handfast/wire"
)

// addr returns an address from its text.
func addr(s string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(s)) }

var (
	peer4, self4 = addr("192.0.2.1"), addr("192.0.2.2")
	peer6, self6 = addr("2001:db8::1"), addr("2001:db8::2")
)

// packet returns an IP packet between two addresses with proto and payload.
func packet(src, dst wire.Addr, proto uint8, payload []byte) []byte {
	if dst.Is4() {
		b := make([]byte, wire.IPv4MinLen, wire.IPv4MinLen+len(payload))
		wire.PutIPv4(b, &wire.IPv4Fields{TotalLen: uint16(cap(b)), TTL: 64, Proto: proto, Src: src, Dst: dst})
		return append(b, payload...)
	}
	b := make([]byte, wire.IPv6Len, wire.IPv6Len+len(payload))
	wire.PutIPv6(b, &wire.IPv6Fields{PayloadLen: uint16(len(payload)), NextHeader: proto, HopLimit: 64, Src: src, Dst: dst})
	return append(b, payload...)
}

// pattern returns n bytes that tell their place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// refused fails unless MayError says want.
func refused(t *testing.T, what string, c Cause, typ, code uint8, want bool) {
	t.Helper()
	if got := !MayError(&c, typ, code); got != want {
		t.Errorf("%s: refused %v, want %v", what, got, want)
	}
}

// No ICMP error is sent about an error, a broadcast or multicast, a later fragment, or a source that is not one host. RFC 1122 §3.2.2.
func TestR1122_3_2_2b_NoErrorAbout(t *testing.T) {
	ok := Cause{Src: peer4, Dst: self4, Proto: wire.ProtoUDP}
	refused(t, "plain UDP", ok, wire.ICMPv4Unreachable, wire.UnreachPort, false)
	for what, change := range map[string]func(c *Cause){
		"a later fragment":          func(c *Cause) { c.NonInitial = true },
		"a broadcast":               func(c *Cause) { c.Dst = addr("255.255.255.255") },
		"the broadcast of a subnet": func(c *Cause) { c.Broadcast = true },
		"a group":                   func(c *Cause) { c.Dst = addr("224.0.0.1") },
		"a broadcast frame":         func(c *Cause) { c.LinkBroadcast = true },
		"source 0.0.0.0":            func(c *Cause) { c.Src = addr("0.0.0.0") },
		"source on net 0":           func(c *Cause) { c.Src = addr("0.1.2.3") },
		"source a group":            func(c *Cause) { c.Src = addr("224.0.0.1") },
		"source broadcast":          func(c *Cause) { c.Src = addr("255.255.255.255") },
		"source class E":            func(c *Cause) { c.Src = addr("240.0.0.1") },
		"ICMP without a type":       func(c *Cause) { c.Proto = wire.ProtoICMP },
	} {
		c := ok
		change(&c)
		refused(t, what, c, wire.ICMPv4Unreachable, wire.UnreachPort, true)
	}
	for typ := range 256 {
		query := false
		switch typ {
		case 0, 8, 9, 10, 13, 14, 15, 16, 17, 18:
			query = true
		}
		c := Cause{Src: peer4, Dst: self4, Proto: wire.ProtoICMP, Type: uint8(typ), HasType: true}
		refused(t, "about ICMP", c, wire.ICMPv4ParamProblem, 0, !query)
	}
	refused(t, "loopback", Cause{Src: addr("127.0.0.1"), Dst: addr("127.0.0.1"), Proto: wire.ProtoUDP},
		wire.ICMPv4Unreachable, wire.UnreachPort, false)
}

// No ICMPv6 error is sent about an error, a redirect, multicast but for two exceptions, or a source that is not one node. RFC 4443 §2.4.
func TestR4443_2_4e_NoErrorAbout(t *testing.T) {
	ok := Cause{Src: peer6, Dst: self6, Proto: wire.ProtoUDP}
	refused(t, "plain UDP", ok, wire.ICMPv6Unreachable, wire.Unreach6Port, false)
	for what, change := range map[string]func(c *Cause){
		"a later fragment":      func(c *Cause) { c.NonInitial = true },
		"source ::":             func(c *Cause) { c.Src = wire.Addr{} },
		"source a group":        func(c *Cause) { c.Src = addr("ff02::1") },
		"ICMPv6 without a type": func(c *Cause) { c.Proto = wire.ProtoICMPv6 },
	} {
		c := ok
		change(&c)
		refused(t, what, c, wire.ICMPv6Unreachable, wire.Unreach6Port, true)
		refused(t, what+", Packet Too Big", c, wire.ICMPv6PacketTooBig, 0, true)
	}
	for typ := range 256 {
		c := Cause{Src: peer6, Dst: self6, Proto: wire.ProtoICMPv6, Type: uint8(typ), HasType: true}
		refused(t, "about ICMPv6", c, wire.ICMPv6ParamProblem, 0, typ < 128 || typ == wire.ICMPv6Redirect)
	}
	for _, c := range []Cause{
		{Src: peer6, Dst: addr("ff02::1"), Proto: wire.ProtoUDP},
		{Src: peer6, Dst: self6, Proto: wire.ProtoUDP, LinkBroadcast: true},
	} {
		refused(t, "multicast: port", c, wire.ICMPv6Unreachable, wire.Unreach6Port, true)
		refused(t, "multicast: next header", c, wire.ICMPv6ParamProblem, wire.ParamProblemNextHeader, true)
		refused(t, "multicast: time", c, wire.ICMPv6TimeExceeded, 1, true)
		refused(t, "multicast: too big", c, wire.ICMPv6PacketTooBig, 0, false)
		refused(t, "multicast: option", c, wire.ICMPv6ParamProblem, wire.ParamProblemOption, false)
	}
}

// An error quotes the octets just as they were received. RFC 1122 §3.2.2.
func TestR1122_3_2_2a_QuotesAsReceived(t *testing.T) {
	for n := range 700 {
		p := packet(peer4, self4, wire.ProtoUDP, pattern(n))
		b := make([]byte, MaxMessage)
		k := min(n, 17)
		m := PutError(b, &Error{Src: self4, Dst: peer4, Type: wire.ICMPv4Unreachable, Code: wire.UnreachPort}, p[:20], p[20:20+k], p[20+k:])
		want := min(len(p), MaxError4-wire.IPv4MinLen-wire.ICMPLen)
		msg := wire.ICMPv4(b[:m])
		if m != wire.ICMPLen+want || !bytes.Equal(msg.Quoted(), p[:want]) || !msg.ChecksumOK() {
			t.Fatalf("%d bytes of payload: a message of %d, checksum %v; want %d quoted", n, m, msg.ChecksumOK(), want)
		}
		if msg.Type() != wire.ICMPv4Unreachable || msg.Code() != wire.UnreachPort || binary.BigEndian.Uint32(msg[4:]) != 0 {
			t.Fatalf("header %x", msg[:8])
		}
	}
	b := make([]byte, 64)
	PutError(b, &Error{Src: self4, Dst: peer4, Type: wire.ICMPv4ParamProblem, Pointer: 21}, pattern(30))
	if p := wire.ICMPv4(b).Pointer(); p != 21 {
		t.Errorf("pointer %d, want 21", p)
	}
}

// An ICMPv6 error quotes as much as fits in 1280 bytes. RFC 4443 §2.4.
func TestR4443_2_4c_QuoteSize(t *testing.T) {
	for _, n := range []int{0, 8, 1000, 1191, 1192, 1193, 1400, 65000} {
		p := packet(peer6, self6, wire.ProtoUDP, pattern(n))
		b := make([]byte, MaxMessage+100)
		m := PutError(b, &Error{Src: self6, Dst: peer6, Type: wire.ICMPv6ParamProblem, Code: 1, Pointer: 0x10006}, p)
		want := min(len(p), 1280-40-8)
		msg := wire.ICMPv6(b[:m])
		if m != 8+want || !bytes.Equal(msg.Quoted(), p[:want]) || !msg.ChecksumOK(&self6, &peer6) || msg.Pointer() != 0x10006 {
			t.Errorf("%d bytes of payload: a message of %d, pointer %#x, checksum %v", n, m, msg.Pointer(), msg.ChecksumOK(&self6, &peer6))
		}
	}
}

// Datagrams to a closed port are answered with Destination Unreachable, port. RFC 1122 §3.2.2.1, §4.1.3.1.
func TestR1122_4_1_3_1_PortUnreachable(t *testing.T) {
	p := packet(peer4, self4, wire.ProtoUDP, []byte{0x10, 0, 0x20, 0, 0, 8, 0, 0})
	b := make([]byte, MaxMessage)
	n := PutError(b, &Error{Src: self4, Dst: peer4, Type: wire.ICMPv4Unreachable, Code: wire.UnreachPort}, p)
	var q Quoted // and the other end understands it
	if err := ParseQuoted(false, b[:n], &q); err != nil {
		t.Fatal(err)
	}
	if q.Class != Hard || !q.HasPorts || q.SrcPort != 0x1000 || q.DstPort != 0x2000 || q.Src != peer4 || q.Dst != self4 || q.Len != 28 {
		t.Errorf("got %+v", q)
	}
}

// A closed port is code 4 of Destination Unreachable in ICMPv6. RFC 4443 §3.1.
func TestR4443_3_1_PortUnreachable(t *testing.T) {
	p := packet(peer6, self6, wire.ProtoUDP, []byte{0x10, 0, 0x20, 0, 0, 8, 0, 0})
	b := make([]byte, MaxMessage)
	n := PutError(b, &Error{Src: self6, Dst: peer6, Type: wire.ICMPv6Unreachable, Code: wire.Unreach6Port}, p)
	var q Quoted
	if err := ParseQuoted(true, b[:n], &q); err != nil {
		t.Fatal(err)
	}
	if q.Code != 4 || q.Class != Hard || q.SrcPort != 0x1000 || q.DstPort != 0x2000 || q.Src != peer6 || q.Dst != self6 {
		t.Errorf("got %+v", q)
	}
}

// An echo reply has the data of the request and comes from the address asked; requests to a broadcast are dropped. RFC 1122 §3.2.2.6.
func TestR1122_3_2_2_6_EchoReply(t *testing.T) {
	for n := range 70 {
		req := make([]byte, 8+n)
		copy(req[8:], pattern(n))
		wire.PutICMPv4Echo(req, false, 0x1234, uint16(n))
		if !IsEcho(req, false, false, false) || IsEcho(req, false, true, false) || IsEcho(req, false, false, true) {
			t.Fatal("which requests are answered")
		}
		want := append([]byte(nil), req...)
		wire.PutICMPv4Echo(want, true, 0x1234, uint16(n))
		got := append([]byte(nil), req...)
		PutEchoReply(got, req, &self4, &self4)
		if !wire.ICMPv4(got).ChecksumOK() || !bytes.Equal(got[4:], want[4:]) || got[0] != wire.ICMPv4EchoReply || got[1] != 0 {
			t.Errorf("%d bytes of data:\ngot  %x\nwant %x", n, got, want)
		}
		PutEchoReply(req, req, &self4, &self4) // in place
		if !bytes.Equal(req, got) {
			t.Errorf("in place: %x, want %x", req, got)
		}
	}
	if IsEcho([]byte{8, 0, 0, 0, 0, 0, 0}, false, false, false) || IsEcho(make([]byte, 8), false, false, false) {
		t.Error("what is no request is answered")
	}
}

// An echo request to a group is answered from a unicast address. RFC 4443 §4.2.
func TestR4443_4_2_EchoReply(t *testing.T) {
	for _, asked := range []wire.Addr{self6, addr("ff02::1")} {
		req := make([]byte, 8+31)
		copy(req[8:], pattern(31))
		wire.PutICMPv6Echo(req, &peer6, &asked, false, 7, 9)
		if !IsEcho(req, true, false, asked.IsMulticast()) {
			t.Fatal("not answered")
		}
		got := append([]byte(nil), req...)
		PutEchoReply(got, req, &asked, &self6)
		m := wire.ICMPv6(got)
		if m.Type() != wire.ICMPv6EchoReply || !m.ChecksumOK(&self6, &peer6) || !bytes.Equal(got[4:], req[4:]) {
			t.Errorf("asked %v: %x, checksum %v", asked, got, m.ChecksumOK(&self6, &peer6))
		}
	}
}

// Unknown types of ICMP are discarded. RFC 1122 §3.2.2.
func TestR1122_3_2_2_UnknownType(t *testing.T) {
	msg := append(make([]byte, 8), packet(self4, peer4, wire.ProtoTCP, pattern(8))...)
	for typ := range 256 {
		msg[0] = byte(typ)
		var q Quoted
		err := ParseQuoted(false, msg, &q)
		switch typ {
		case 3, 4, 5, 11, 12:
			if err != nil {
				t.Errorf("type %d: %v", typ, err)
			}
		default:
			if err != wire.ErrType || IsEcho(msg, false, false, false) != (typ == 8) {
				t.Errorf("type %d: %v, want %v", typ, err, wire.ErrType)
			}
		}
	}
}

// An unknown error of ICMPv6 is passed up, an unknown informational message is dropped. RFC 4443 §2.4.
func TestR4443_2_4b_UnknownType(t *testing.T) {
	msg := append(make([]byte, 8), packet(self6, peer6, wire.ProtoTCP, pattern(8))...)
	for typ := range 256 {
		msg[0] = byte(typ)
		var q Quoted
		err := ParseQuoted(true, msg, &q)
		if typ >= 128 && err != wire.ErrType {
			t.Errorf("type %d: %v, want %v", typ, err, wire.ErrType)
		}
		if typ < 128 && (err != nil || !q.HasSeq || typ > 4 && q.Class != Soft) {
			t.Errorf("type %d: %v %+v", typ, err, q)
		}
	}
}

// Redirects are taken from the first hop only, else dropped; a host sends none. RFC 1122 §3.2.2.2.
// Deviation: none is taken, because on a link with one router they gain nothing
// and a forged one diverts traffic.
func TestR1122_3_2_2_2_Redirect_Deviation(t *testing.T) {
	msg := append([]byte{wire.ICMPv4Redirect, 1, 0, 0, 192, 0, 2, 9}, packet(self4, peer4, wire.ProtoTCP, pattern(8))...)
	var q Quoted
	if err := ParseQuoted(false, msg, &q); err != nil || q.Class != Ignored {
		t.Errorf("%v, %v", err, q.Class)
	}
}

func TestMayErrorAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := Cause{Src: peer4, Dst: self4, Proto: wire.ProtoUDP}
	p, b := packet(peer4, self4, wire.ProtoUDP, pattern(100)), make([]byte, MaxMessage)
	e := Error{Src: self4, Dst: peer4, Type: wire.ICMPv4Unreachable}
	var q Quoted
	if n := testing.AllocsPerRun(100, func() {
		MayError(&c, 3, 3)
		k := PutError(b, &e, p[:20], p[20:])
		ParseQuoted(false, b[:k], &q)
		PutEchoReply(b, p, &self4, &self4)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
