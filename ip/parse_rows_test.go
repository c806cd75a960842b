package ip

import (
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// A datagram whose version is not 4 is silently dropped. RFC 1122 §3.2.1.1.
func TestR1122_3_2_1_1_Version(t *testing.T) {
	for v := range 16 {
		if v == 4 || v == 6 {
			continue
		}
		b := v4{payload: pattern(8)}.bytes()
		b[0] = byte(v)<<4 | 5
		mustDrop(t, "another version", b, ReasonVersion, Problem{})
	}
	mustDrop(t, "nothing at all", nil, ReasonShort, Problem{})
}

// A datagram with a wrong header checksum or impossible lengths is silently dropped. RFC 1122 §3.2.1.2.
func TestR1122_3_2_1_2_Checksum(t *testing.T) {
	good := v4{opts: []byte{1, 1, 1, 1}, payload: pattern(30)}.bytes()
	for bit := range 24 * 8 { // every single bit of the header: one's complement finds all
		b := append([]byte(nil), good...)
		b[bit/8] ^= 1 << (bit % 8)
		if d, r := parse(b); r == ReasonNone || d.Problem.Owed() {
			t.Errorf("bit %d flipped: %v owing %+v, want a silent drop", bit, r, d.Problem)
		}
	}
	b := append([]byte(nil), good...)
	b[10] ^= 0x40
	mustDrop(t, "checksum", b, ReasonChecksum, Problem{})
	var d Datagram
	if r := Parse(b, len(b), true, &d); r != ReasonNone {
		t.Errorf("a checksum checked below us: %v", r)
	}
	for hlen := range 5 {
		b := append([]byte(nil), good...)
		b[0] = 0x40 | byte(hlen)
		mustDrop(t, "short header", b, ReasonHeaderLength, Problem{})
	}
	mustDrop(t, "header beyond the packet", good[:23], ReasonHeaderLength, Problem{})
	mustDrop(t, "total length beyond the packet", good[:len(good)-1], ReasonLength, Problem{})
	short := append([]byte(nil), good...)
	wire.IPv4(short).SetTotalLen(23)
	mustDrop(t, "total length below the header", short, ReasonLength, Problem{})
}

// arrival returns a table with one interface and the verdict on a packet there.
func arrival(t *testing.T) func(b []byte) (Datagram, Reason) {
	t.Helper()
	var tab Table
	if err := tab.AddInterface(Interface{ID: 1, MTU: 1500, Addrs: []Address{
		{Addr: self4, Bits: 24}, {Addr: self6, Bits: 64}, {Addr: addr("2001:db8::dad"), Bits: 64, Tentative: true},
	}}); err != nil {
		t.Fatal(err)
	}
	return func(b []byte) (Datagram, Reason) {
		d, r := parse(b)
		if d.Iface = 1; r == ReasonNone {
			r = tab.CheckArrival(&d)
		}
		return d, r
	}
}

// A datagram that is not for one of our addresses, a broadcast or a group of ours is silently dropped. RFC 1122 §3.2.1.3.
func TestR1122_3_2_1_3a_NotForUs(t *testing.T) {
	arrive := arrival(t)
	for _, c := range []struct {
		dst  string
		want Reason
	}{
		{"192.0.2.2", ReasonNone},
		{"192.0.2.3", ReasonNotLocal},
		{"198.51.100.1", ReasonNotLocal},
		{"255.255.255.255", ReasonNone},
		{"192.0.2.255", ReasonNone},
		{"198.51.100.255", ReasonNotLocal},
		{"224.0.0.1", ReasonNone},
		{"224.0.0.251", ReasonNotLocal},
		{"0.0.0.0", ReasonDestination},
		{"240.0.0.1", ReasonDestination},
		{"127.0.0.1", ReasonLoopback},
		{"2001:db8::2", ReasonNone},
		{"2001:db8::3", ReasonNotLocal},
		{"2001:db8::dad", ReasonNotLocal}, // tentative
		{"ff02::1", ReasonNone},
		{"ff02::1:ff00:2", ReasonNone},
		{"ff02::1:ff00:dad", ReasonNone}, // or nobody would notice a duplicate
		{"ff02::1:ff00:3", ReasonNotLocal},
		{"ff02::fb", ReasonNotLocal},
		{"ff00::1", ReasonDestination},
		{"ff01::1", ReasonLoopback},
		{"::1", ReasonLoopback},
		{"::", ReasonDestination},
	} {
		dst := addr(c.dst)
		b := v4{dst: dst, payload: pattern(8)}.bytes()
		if !dst.Is4() {
			b = v6{payload: pattern(8)}.bytes()
			copy(b[24:], dst[:])
		}
		d, r := arrive(b)
		if r != c.want || d.Problem.Owed() {
			t.Errorf("to %s: %v owing %+v, want a silent %v", c.dst, r, d.Problem, c.want)
		}
		if r == ReasonNone && d.Multicast != dst.IsMulticast() {
			t.Errorf("to %s: Multicast is %v", c.dst, d.Multicast)
		}
		if want := c.dst == "255.255.255.255" || c.dst == "192.0.2.255"; r == ReasonNone && d.Broadcast != want {
			t.Errorf("to %s: Broadcast is %v", c.dst, d.Broadcast)
		}
	}
}

// A source that is broadcast, multicast, or loopback from outside is silently dropped. RFC 1122 §3.2.1.3.
func TestR1122_3_2_1_3b_Source(t *testing.T) {
	arrive := arrival(t)
	for _, c := range []struct {
		src, dst string
		want     Reason
	}{
		{"255.255.255.255", "192.0.2.2", ReasonSource},
		{"192.0.2.255", "192.0.2.2", ReasonSource},
		{"224.0.0.1", "192.0.2.2", ReasonSource},
		{"239.1.2.3", "192.0.2.2", ReasonSource},
		{"240.0.0.1", "192.0.2.2", ReasonSource},
		{"0.1.2.3", "192.0.2.2", ReasonSource},
		{"0.0.0.0", "192.0.2.2", ReasonSource},
		{"0.0.0.0", "255.255.255.255", ReasonNone}, // DHCP
		{"127.0.0.1", "192.0.2.2", ReasonLoopback},
		{"192.0.2.2", "192.0.2.2", ReasonOwnSource}, // land
		{"192.0.2.2", "255.255.255.255", ReasonOwnSource},
		{"192.0.2.1", "192.0.2.2", ReasonNone},
		{"126.1.1.1", "192.0.2.2", ReasonNone},
		{"223.1.1.1", "192.0.2.2", ReasonNone},
		{"ff02::1", "2001:db8::2", ReasonSource},
		{"::", "2001:db8::2", ReasonSource},
		{"::", "ff02::1:ff00:2", ReasonNone}, // DAD
		{"::1", "2001:db8::2", ReasonLoopback},
		{"2001:db8::2", "2001:db8::2", ReasonOwnSource},
		{"2001:db8::dad", "2001:db8::2", ReasonNone}, // the other one with our tentative address
		{"fe80::1", "2001:db8::2", ReasonNone},
	} {
		src, dst := addr(c.src), addr(c.dst)
		b := v4{src: src, dst: dst, payload: pattern(8)}.bytes()
		if !dst.Is4() {
			b = v6{dst: dst, payload: pattern(8)}.bytes()
			copy(b[8:], src[:])
		}
		if d, r := arrive(b); r != c.want || d.Problem.Owed() {
			t.Errorf("%s to %s: %v owing %+v, want %v", c.src, c.dst, r, d.Problem, c.want)
		}
	}
	// A mapped address in an IPv6 header would pass for IPv4.
	for _, at := range []int{8, 24} {
		b := v6{payload: pattern(8)}.bytes()
		copy(b[at:], peer4[:])
		want := ReasonSource
		if at == 24 {
			want = ReasonDestination
		}
		mustDrop(t, "mapped", b, want, Problem{})
	}
}

// TTL 0 is never sent, and what is for us is never dropped for its TTL. RFC 1122 §3.2.1.7.
func TestR1122_3_2_1_7_TTL(t *testing.T) {
	for ttl := range uint8(3) {
		if d := mustAccept(t, "for us", v4{ttl: ttl, payload: pattern(8)}.bytes()); d.TTL != ttl {
			t.Errorf("TTL %d came out as %d", ttl, d.TTL)
		}
	}
	var pool pkt.Pool
	for _, dst := range []wire.Addr{peer4, peer6} {
		src := self4
		if !dst.Is4() {
			src = self6
		}
		p := outgoing(&pool, pattern(8), 8)
		if r := PutHeader(p, &Header{Src: src, Dst: dst, Proto: 17}); r != ReasonNone {
			t.Fatal(r)
		}
		if d := mustAccept(t, "sent", p.AppendTo(nil)); d.TTL != DefaultTTL {
			t.Errorf("sent with TTL %d, want %d", d.TTL, DefaultTTL)
		}
		p.Release()
	}
}

// An IP option of unknown kind is ignored. RFC 1122 §3.2.1.8.
func TestR1122_3_2_1_8_UnknownOption(t *testing.T) {
	for kind := range 256 {
		if kind == wire.IPv4OptNOP || kind == wire.IPv4OptLSRR || kind == wire.IPv4OptSSRR {
			continue
		}
		for _, n := range []int{2, 3, 11, 40} {
			opt := make([]byte, n)
			opt[0], opt[1] = byte(kind), byte(n)
			mustAccept(t, "unknown option", v4{opts: opt, payload: pattern(8)}.bytes())
		}
	}
	// Walked safely: an impossible length is answered (§3.2.2.5), not followed.
	problem := func(at int) Problem { return Problem{Type: wire.ICMPv4ParamProblem, Pointer: uint32(at)} }
	mustDrop(t, "length 0", v4{opts: []byte{7, 0, 0, 0}, payload: pattern(8)}.bytes(), ReasonOption, problem(20))
	mustDrop(t, "length 1", v4{opts: []byte{1, 7, 1, 0}, payload: pattern(8)}.bytes(), ReasonOption, problem(21))
	mustDrop(t, "beyond the header", v4{opts: []byte{1, 1, 7, 3}, payload: pattern(8)}.bytes(), ReasonOption, problem(22))
	mustDrop(t, "no length", v4{opts: []byte{1, 1, 1, 7}, payload: pattern(8)}.bytes(), ReasonOption, problem(23))
	mustAccept(t, "garbage behind the end", v4{opts: []byte{0, 7, 0, 131}, payload: pattern(8)}.bytes())
}

// IP options that are not understood are ignored. RFC 9293 §3.9.2, MUST-50.
func TestR9293_M50_UnknownIPOptions(t *testing.T) {
	d := mustAccept(t, "TCP with an unknown option", v4{proto: wire.ProtoTCP, opts: []byte{0x5e, 6, 1, 2, 3, 4}, payload: pattern(20)}.bytes())
	if d.L4 != 28 {
		t.Errorf("the segment starts at %d, want 28", d.L4)
	}
}

// No source route can be given on an active open. RFC 9293 §3.9.2.1, MUST-51.
// Deviation: headers are made without options. Source routes let strangers
// steer traffic, and networks drop them.
func TestR9293_M51_SourceRoute_Deviation(t *testing.T) {
	var pool pkt.Pool
	p := outgoing(&pool, pattern(20), 20)
	if r := PutHeader(p, &Header{Src: self4, Dst: peer4, Proto: wire.ProtoTCP, DF: true}); r != ReasonNone {
		t.Fatal(r)
	}
	if d := mustAccept(t, "sent", p.AppendTo(nil)); d.L4 != wire.IPv4MinLen {
		t.Errorf("a header of %d bytes: there are options", d.L4)
	}
	p.Release()
}

// sourceRoutes returns datagrams with a source route in each place it may have.
func sourceRoutes() [][]byte {
	var all [][]byte
	for _, kind := range []byte{wire.IPv4OptLSRR, wire.IPv4OptSSRR} {
		for _, opts := range [][]byte{{kind, 7, 4, 10, 0, 0, 1}, {1, kind, 3, 4}, {148, 4, 0, 0, kind, 3, 4}} {
			all = append(all, v4{proto: wire.ProtoTCP, opts: opts, payload: pattern(20)}.bytes())
		}
	}
	return all
}

// A source route received never competes with one of our own. RFC 9293 §3.9.2.1, MUST-52.
// Deviation: a segment with a source route is dropped before TCP sees it, so
// there is nothing to override.
func TestR9293_M52_SourceRouteOverride_Deviation(t *testing.T) {
	for _, b := range sourceRoutes() {
		mustDrop(t, "source route", b, ReasonSourceRoute, Problem{})
	}
}

// A passive open does not return along a received source route. RFC 9293 §3.9.2.1, MUST-53.
// Deviation: such a SYN is dropped: to answer along a route that a stranger
// chose would hand the connection to him.
func TestR9293_M53_SourceRouteReturn_Deviation(t *testing.T) {
	for _, b := range sourceRoutes() {
		mustDrop(t, "source route", b, ReasonSourceRoute, Problem{})
	}
}

// A later source route takes the place of an earlier one. RFC 9293 §3.9.2.1, SHLD-24.
// Deviation: neither is accepted, because both would let a stranger choose the
// way of our answers.
func TestR9293_S24_SourceRouteLater_Deviation(t *testing.T) {
	for _, b := range sourceRoutes() {
		mustDrop(t, "source route", b, ReasonSourceRoute, Problem{})
	}
}

// An unknown IPv4 protocol is answered with Destination Unreachable, protocol. RFC 1122 §3.2.2.1.
func TestR1122_3_2_2_1_ProtocolUnreachable(t *testing.T) {
	owed := Problem{Type: wire.ICMPv4Unreachable, Code: wire.UnreachProtocol}
	for proto := range 256 {
		b := v4{proto: uint8(proto), payload: pattern(24)}.bytes()
		b[9] = byte(proto)
		b[10], b[11] = 0, 0
		sum := wire.Finish(wire.Sum(b[:20], 0))
		b[10], b[11] = byte(sum>>8), byte(sum)
		switch proto {
		case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP:
			mustAccept(t, "known protocol", b)
		default:
			mustDrop(t, "unknown protocol", b, ReasonProtocol, owed)
		}
	}
	mustDrop(t, "a later fragment", v4{proto: 99, off: 8, payload: pattern(8)}.bytes(), ReasonProtocol, Problem{})
}

// Extension headers are accepted in any order, hop-by-hop options only first. RFC 8200 §4.1.
func TestR8200_4_1_AnyOrder(t *testing.T) {
	hop, dest, route, frag := options(0, 5, 2, 0, 0), options(60), routing(0, 0), fragHeader(0, false, 5)
	for _, exts := range [][]ext{
		{hop}, {dest}, {route}, {frag}, {hop, dest, route, frag, dest},
		{dest, route, dest}, {route, dest, dest, frag}, {frag, dest, route}, {dest, dest, dest, dest},
	} {
		n := 0
		for _, e := range exts {
			n += 1 + len(e.b)
		}
		for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMPv6} {
			d := mustAccept(t, "chain", v6{proto: proto, exts: exts, payload: pattern(24)}.bytes())
			if d.L4 != 40+n || d.Proto != proto || d.Fragment {
				t.Errorf("%d headers: L4 %d Proto %d Fragment %v, want %d %d false", len(exts), d.L4, d.Proto, d.Fragment, 40+n, proto)
			}
		}
	}
	mustDrop(t, "hop-by-hop second", v6{exts: []ext{dest, hop}, payload: pattern(8)}.bytes(),
		ReasonHeaderOrder, problem6(wire.ParamProblemNextHeader, 40))
	mustDrop(t, "hop-by-hop twice", v6{exts: []ext{hop, hop}, payload: pattern(8)}.bytes(),
		ReasonHeaderOrder, problem6(wire.ParamProblemNextHeader, 40))
	mustDrop(t, "second fragment header", v6{exts: []ext{frag, frag}, payload: pattern(8)}.bytes(), ReasonHeaderOrder, Problem{})
	mustDrop(t, "nothing follows", v6{proto: wire.ProtoNoNext, exts: []ext{dest}}.bytes(), ReasonNoNextHeader, Problem{})
	for _, e := range []ext{hop, dest, route} {
		b := v6{exts: []ext{e}, payload: pattern(8)}.bytes()
		b[41] = 200 // longer than the packet
		mustDrop(t, "header beyond the packet", b, ReasonHeaderLength, Problem{})
	}
}

// An unrecognized next header is answered with Parameter Problem, code 1. RFC 8200 §4.
func TestR8200_4a_UnknownNextHeader(t *testing.T) {
	for num := range 256 {
		switch num {
		case 0, 43, 44, 60, 6, 17, 58, 59:
			continue
		}
		b := v6{payload: pattern(24)}.bytes()
		b[6] = byte(num)
		mustDrop(t, "directly", b, ReasonProtocol, problem6(wire.ParamProblemNextHeader, 6))
		b = v6{exts: []ext{options(60), routing(3, 0)}, payload: pattern(24)}.bytes()
		b[48] = byte(num)
		mustDrop(t, "behind two headers", b, ReasonProtocol, problem6(wire.ParamProblemNextHeader, 48))
	}
}

// An unknown option is treated by the top two bits of its type. RFC 8200 §4.2.
func TestR8200_4_2_UnknownOption(t *testing.T) {
	for kind := 2; kind < 256; kind++ {
		for _, dst := range []wire.Addr{self6, addr("ff02::1")} {
			for _, num := range []uint8{wire.ProtoHopByHop, wire.ProtoDestOptions} {
				// Behind a PadN of three bytes, so that the pointer has something to find.
				b := v6{dst: dst, exts: []ext{options(num, 1, 1, 0, byte(kind), 1, 0)}, payload: pattern(8)}.bytes()
				owed := problem6(wire.ParamProblemOption, 45)
				switch kind >> 6 {
				case 0:
					mustAccept(t, "00: skip", b)
				case 1:
					mustDrop(t, "01: drop", b, ReasonUnknownOption, Problem{})
				case 2:
					mustDrop(t, "10: drop and answer", b, ReasonUnknownOption, owed)
				case 3:
					if dst.IsMulticast() {
						owed = Problem{}
					}
					mustDrop(t, "11: drop and answer unless multicast", b, ReasonUnknownOption, owed)
				}
			}
		}
	}
	mustDrop(t, "option beyond its header", v6{exts: []ext{options(60, 0x1e, 9, 0, 0)}, payload: pattern(8)}.bytes(),
		ReasonOption, problem6(wire.ParamProblemHeader, 42))
}

// A routing header is ignored without segments left, else answered with Parameter Problem, code 0. RFC 8200 §4.4, RFC 5095.
func TestR8200_4_4_RoutingHeader(t *testing.T) {
	for typ := range 256 {
		mustAccept(t, "no segments left", v6{exts: []ext{routing(byte(typ), 0)}, payload: pattern(8)}.bytes())
		for _, left := range []uint8{1, 255} {
			mustDrop(t, "segments left", v6{exts: []ext{options(60), routing(byte(typ), left)}, payload: pattern(8)}.bytes(),
				ReasonRoutingHeader, problem6(wire.ParamProblemHeader, 50))
		}
	}
}

// A fragment other than the last that is no multiple of 8, or one beyond 65535, is answered with Parameter Problem, code 0. RFC 8200 §4.5.
func TestR8200_4_5a_FragmentLength(t *testing.T) {
	for n := 1; n < 24; n++ {
		b := v6{exts: []ext{fragHeader(64, true, 1)}, payload: pattern(n)}.bytes()
		if n%8 == 0 {
			mustAccept(t, "multiple of 8", b)
		} else {
			mustDrop(t, "no multiple of 8", b, ReasonFragmentLength, problem6(wire.ParamProblemHeader, 4))
		}
		mustAccept(t, "the last one", v6{exts: []ext{fragHeader(64, false, 1)}, payload: pattern(n)}.bytes())
	}
	mustDrop(t, "beyond 65535", v6{exts: []ext{fragHeader(65528, false, 1)}, payload: pattern(8)}.bytes(),
		ReasonFragmentRange, problem6(wire.ParamProblemHeader, 42))
	mustDrop(t, "beyond 65535 with the headers before", v6{exts: []ext{options(60), fragHeader(65528, false, 1)}, payload: pattern(7)}.bytes(),
		ReasonFragmentRange, problem6(wire.ParamProblemHeader, 50))
	mustAccept(t, "up to 65535", v6{exts: []ext{fragHeader(65528, false, 1)}, payload: pattern(7)}.bytes())
	mustDrop(t, "empty", v6{exts: []ext{fragHeader(8, true, 1)}}.bytes(), ReasonFragmentLength, Problem{})
	mustDrop(t, "empty and last", v6{exts: []ext{fragHeader(8, false, 1)}}.bytes(), ReasonFragmentLength, Problem{})
}

// The first fragment must hold the whole header chain; else Parameter Problem, code 3. RFC 8200 §4.5, RFC 7112.
func TestR8200_4_5c_FirstFragmentChain(t *testing.T) {
	owed := problem6(wire.ParamProblemFirstFrag, 0)
	for _, c := range []struct {
		proto uint8
		need  int
	}{{wire.ProtoTCP, 20}, {wire.ProtoUDP, 8}, {wire.ProtoICMPv6, 8}} {
		for n := 8; n <= 32; n += 8 {
			b := v6{proto: c.proto, exts: []ext{fragHeader(0, true, 1)}, payload: make([]byte, n)}.bytes()
			if n < c.need {
				mustDrop(t, "transport header cut", b, ReasonFragmentTiny, owed)
			} else if d := mustAccept(t, "transport header whole", b); !d.Fragment || d.L4 != 48 || d.Proto != c.proto {
				t.Errorf("got %+v", d)
			}
		}
	}
	long := make([]byte, 40)
	long[12] = 15 << 4
	mustDrop(t, "TCP options cut", v6{proto: wire.ProtoTCP, exts: []ext{fragHeader(0, true, 1)}, payload: long}.bytes(), ReasonFragmentTiny, owed)
	mustDrop(t, "extension header cut", v6{proto: wire.ProtoDestOptions, exts: []ext{fragHeader(0, true, 1)}, payload: []byte{17, 1, 1, 4, 0, 0, 0, 0}}.bytes(), ReasonFragmentTiny, owed)
	mustDrop(t, "nothing behind an extension header", v6{proto: wire.ProtoUDP, exts: []ext{fragHeader(0, true, 1), options(60)}}.bytes(), ReasonFragmentTiny, owed)
	mustAccept(t, "extension header and UDP", v6{exts: []ext{fragHeader(0, true, 1), options(60)}, payload: pattern(8)}.bytes())
	// In IPv4 the same, in silence: RFC 1858.
	for n := 8; n <= 32; n += 8 {
		b := v4{proto: wire.ProtoTCP, flags: wire.IPv4MF, payload: make([]byte, n)}.bytes()
		if n < 20 {
			mustDrop(t, "IPv4", b, ReasonFragmentTiny, Problem{})
		} else {
			mustAccept(t, "IPv4", b)
		}
	}
}

// An atomic fragment is a whole packet. RFC 6946 §4.
func TestR6946_1_AtomicFragmentIsWhole(t *testing.T) {
	d := mustAccept(t, "atomic", v6{proto: wire.ProtoTCP, exts: []ext{options(60), fragHeader(0, false, 7), options(60)}, payload: pattern(20)}.bytes())
	if d.Fragment || d.L4 != 64 || d.Proto != wire.ProtoTCP {
		t.Errorf("got %+v", d)
	}
}

// Fragments other than the last are multiples of 8 bytes, and none reaches beyond 65535. RFC 791 §3.2.
func TestR791_3_2_FragmentBounds(t *testing.T) {
	for n := 1; n < 24; n++ {
		b := v4{flags: wire.IPv4MF, off: 64, payload: pattern(n)}.bytes()
		if n%8 == 0 {
			mustAccept(t, "multiple of 8", b)
		} else {
			mustDrop(t, "no multiple of 8", b, ReasonFragmentLength, Problem{})
		}
	}
	mustDrop(t, "ping of death", v4{off: 65528, payload: pattern(8)}.bytes(), ReasonFragmentRange, Problem{})
	mustDrop(t, "beyond with the header", v4{off: 65512, payload: pattern(4)}.bytes(), ReasonFragmentRange, Problem{})
	mustAccept(t, "up to 65535", v4{off: 65512, payload: pattern(3)}.bytes())
	mustDrop(t, "empty", v4{off: 8}.bytes(), ReasonFragmentLength, Problem{})
	for _, n := range []int{556, 576 - 20} { // every host takes 576 in one piece
		mustAccept(t, "576 bytes", v4{payload: pattern(n)}.bytes())
	}
}
