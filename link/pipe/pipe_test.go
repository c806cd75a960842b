package pipe

import (
	"bytes"
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// segment makes a TCP segment with n bytes of payload, a super-segment if cut
// is less.
func segment(pool *pkt.Pool, n, cut int) *pkt.Packet {
	src, dst := wire.AddrFrom4([4]byte{10, 0, 0, 1}), wire.AddrFrom4([4]byte{10, 0, 0, 2})
	p := pool.Packet()
	h := p.Prepend(wire.TCPMinLen)
	wire.PutTCP(h, 1, 2, 1000, 2000, wire.FlagACK|wire.FlagPSH, 500, 0)
	wire.TCP(h).SetChecksum(wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(wire.TCPMinLen+n)))
	wire.PutIPv4(p.Prepend(wire.IPv4MinLen), &wire.IPv4Fields{TotalLen: uint16(wire.IPv4MinLen + wire.TCPMinLen + n),
		Flags: wire.IPv4DF, TTL: 64, Proto: wire.ProtoTCP, Src: src, Dst: dst})
	p.L4 = wire.IPv4MinLen
	p.Csum, p.CsumStart, p.CsumOffset = pkt.CsumPartial, wire.IPv4MinLen, 16
	if cut < n {
		p.GSO, p.GSOSize, p.Segs = pkt.GSOTCPv4, uint16(cut), uint16((n+cut-1)/cut)
	}
	c := pool.Chunk(pkt.Large)
	for i := range n {
		c.Bytes()[i] = byte(i)
	}
	p.Body[0] = c.Ref(c.Bytes()[:n])
	return p
}

// An MTU that no IPv4 link has, or that no length field can say, becomes the
// nearest that is possible (RFC 791 §3.1, §3.2), and both ends agree on it.
func TestMTUBounds(t *testing.T) {
	for mtu, want := range map[int]int{0: 1500, -1: 68, 1: 68, 68: 68, 1280: 1280, 65535: 65535, 65536: 65535, 65577: 65535, 1 << 30: 65535} {
		a, b := New(Options{MTU: mtu})
		if a.Caps().MTU != want || b.Caps().MTU != want {
			t.Errorf("MTU %d becomes %d and %d, want %d", mtu, a.Caps().MTU, b.Caps().MTU, want)
		}
	}
}

// All of a segment arrives over a pipe that passes super-segments, in one
// packet; a small payload that needs no cutting leaves the sender's buffer.
func TestSuperSegmentsArriveWhole(t *testing.T) {
	for _, x := range []struct {
		payload, cut int
		copied       bool
	}{
		{1, 1460, true}, {smallPayload - 1, 1460, true}, {smallPayload, 1460, false},
		{500, 260, false}, {500, 1, false}, {smallPayload - 1, smallPayload - 1, true}, {smallPayload - 1, smallPayload - 2, false},
		{30000, 1460, false},
	} {
		pool := new(pkt.Pool)
		a, b := New(Options{GSO: true, Pool: pool})
		var got []*pkt.Packet
		b.SetInput(func(batch []*pkt.Packet) { got = append(got, batch...) })
		p := segment(pool, x.payload, x.cut)
		want, chunk := p.AppendTo(nil)[wire.IPv4MinLen+wire.TCPMinLen:], p.Body[0].Chunk()
		if n, err := a.Write([]*pkt.Packet{p}); n != 1 || err != nil {
			t.Fatalf("%+v: %d written, %v", x, n, err)
		}
		if len(got) != 1 {
			t.Fatalf("%+v: %d packets arrived, want 1", x, len(got))
		}
		raw := got[0].AppendTo(nil)
		if !bytes.Equal(raw[min(len(raw), wire.IPv4MinLen+wire.TCPMinLen):], want) {
			t.Errorf("%+v: %d bytes arrived, want %d", x, len(raw), len(want)+40)
		}
		if n := int(wire.IPv4(raw).TotalLen()); n != len(raw) || got[0].Csum != pkt.CsumValid {
			t.Errorf("%+v: IP length %d in a packet of %d bytes, checksum state %v", x, n, len(raw), got[0].Csum)
		}
		if copied := got[0].Body[0].Chunk() != chunk; copied != x.copied {
			t.Errorf("%+v: copied %v", x, copied)
		}
		got[0].Release()
		if chunks, packets := pool.Outstanding(); chunks != 0 || packets != 0 {
			t.Errorf("%+v: %d chunks and %d packets are lost", x, chunks, packets)
		}
	}
}
