package ip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// addr returns an address from its text.
func addr(s string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(s)) }

// The two ends of most packets here.
var (
	peer4, self4 = addr("192.0.2.1"), addr("192.0.2.2")
	peer6, self6 = addr("2001:db8::1"), addr("2001:db8::2")
)

// v4 describes an IPv4 packet to build.
type v4 struct {
	src, dst wire.Addr
	proto    uint8
	ttl, tos uint8
	flags    uint8
	id       uint16
	off      int
	opts     []byte
	payload  []byte
}

// bytes returns the packet; unset fields get those of a UDP datagram from
// peer4 to self4.
func (p v4) bytes() []byte {
	if p.src == (wire.Addr{}) {
		p.src = peer4
	}
	if p.dst == (wire.Addr{}) {
		p.dst = self4
	}
	if p.proto == 0 {
		p.proto = wire.ProtoUDP
	}
	b := make([]byte, wire.IPv4MaxLen)
	n := (wire.IPv4MinLen + len(p.opts) + 3) &^ 3
	wire.PutIPv4(b, &wire.IPv4Fields{
		TotalLen: uint16(n + len(p.payload)), ID: p.id, FragOffset: uint16(p.off), TOS: p.tos,
		Flags: p.flags, TTL: p.ttl, Proto: p.proto, Src: p.src, Dst: p.dst, Options: p.opts,
	})
	return append(b[:n], p.payload...)
}

// v6 describes an IPv6 packet to build; exts are its extension headers.
type v6 struct {
	src, dst wire.Addr
	proto    uint8 // behind the extension headers
	tc       uint8
	exts     []ext
	payload  []byte
}

// ext is an extension header: its number and its bytes but for the first, which
// is filled in.
type ext struct {
	num uint8
	b   []byte
}

func (p v6) bytes() []byte {
	if p.src == (wire.Addr{}) {
		p.src = peer6
	}
	if p.dst == (wire.Addr{}) {
		p.dst = self6
	}
	if p.proto == 0 {
		p.proto = wire.ProtoUDP
	}
	var rest []byte
	first := p.proto
	for i := len(p.exts) - 1; i >= 0; i-- {
		e := append([]byte{first}, p.exts[i].b...)
		rest = append(e, rest...)
		first = p.exts[i].num
	}
	rest = append(rest, p.payload...)
	b := make([]byte, wire.IPv6Len)
	wire.PutIPv6(b, &wire.IPv6Fields{
		PayloadLen: uint16(len(rest)), NextHeader: first, HopLimit: 64, TrafficClass: p.tc, Src: p.src, Dst: p.dst,
	})
	return append(b, rest...)
}

// options returns a hop-by-hop or destination options header with the given
// options, padded.
func options(num uint8, opts ...byte) ext {
	b := append([]byte{0}, opts...)
	switch pad := (8 - (len(b)+1)%8) % 8; pad {
	case 0:
	case 1:
		b = append(b, 0)
	default:
		b = append(b, 1, byte(pad-2))
		b = append(b, make([]byte, pad-2)...)
	}
	b[0] = byte((len(b)+1)/8 - 1)
	return ext{num, b}
}

// routing returns a routing header.
func routing(typ, left uint8) ext {
	return ext{wire.ProtoRouting, []byte{0, typ, left, 0, 0, 0, 0}}
}

// fragHeader returns a fragment header.
func fragHeader(off int, more bool, id uint32) ext {
	b := make([]byte, wire.IPv6FragmentLen)
	wire.PutFragment(b, 0, off, more, id)
	return ext{wire.ProtoFragment, b[1:]}
}

// pattern returns n bytes that tell their place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// parse parses a whole packet.
func parse(b []byte) (d Datagram, r Reason) {
	r = Parse(b, len(b), false, &d)
	return d, r
}

// mustDrop fails unless the packet is dropped for the reason and owes the error.
func mustDrop(t *testing.T, what string, b []byte, want Reason, owed Problem) {
	t.Helper()
	d, r := parse(b)
	if r != want || d.Problem != owed {
		t.Errorf("%s: got %v owing %+v, want %v owing %+v\npacket %x", what, r, d.Problem, want, owed, b)
	}
}

// mustAccept fails unless the packet is accepted; it returns what Parse said.
func mustAccept(t *testing.T, what string, b []byte) Datagram {
	t.Helper()
	d, r := parse(b)
	if r != ReasonNone || d.Problem.Owed() {
		t.Errorf("%s: dropped as %v owing %+v\npacket %x", what, r, d.Problem, b)
	}
	return d
}

// problem6 is a Parameter Problem of IPv6.
func problem6(code uint8, pointer int) Problem {
	return Problem{Type: wire.ICMPv6ParamProblem, Code: code, Pointer: uint32(pointer)}
}

// received makes a packet as a device does: all bytes in one chunk, split behind
// head bytes, with a link header of 14 bytes in front.
func received(pool *pkt.Pool, b []byte, head int) *pkt.Packet {
	c := pool.Chunk(14 + len(b))
	buf := c.Bytes()[:14+len(b)]
	copy(buf[14:], b)
	p := pool.Packet()
	p.SetFrame(c.Ref(buf), 14+head)
	p.L3 = 14
	return p
}

// outgoing makes a packet with a transport header of hlen bytes in Head and the
// rest of b in Body, in two pieces.
func outgoing(pool *pkt.Pool, b []byte, hlen int) *pkt.Packet {
	p := pool.Packet()
	copy(p.Prepend(hlen), b[:hlen])
	body := b[hlen:]
	p.Body = pkt.View{pkt.Bytes(body[: len(body)/3 : len(body)/3]), pkt.Bytes(body[len(body)/3:])}
	if len(body) < 3 {
		p.Body = pkt.View{pkt.Bytes(body)}
	}
	return p
}

// noLeak fails if anything taken from the pool did not come back.
func noLeak(t *testing.T, pool *pkt.Pool) {
	t.Helper()
	if c, p := pool.Outstanding(); c != 0 || p != 0 {
		t.Errorf("%d chunks and %d packets leaked", c, p)
	}
}

// udp returns a UDP datagram with a right checksum.
func udp(src, dst *wire.Addr, payload []byte) []byte {
	b := make([]byte, 8+len(payload))
	copy(b[8:], payload)
	binary.BigEndian.PutUint16(b[0:], 4000)
	binary.BigEndian.PutUint16(b[2:], 53)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	sum := wire.Sum(b, wire.PseudoSum(src, dst, wire.ProtoUDP, uint32(len(b))))
	binary.BigEndian.PutUint16(b[6:], wire.FinishUDP(sum))
	return b
}

func ExampleReason() {
	fmt.Println(ReasonChecksum, "-", ReasonChecksum.Explain())
	// Output: ip_bad_checksum - the IPv4 header checksum is wrong
}
