package link

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// segment is a TCP packet as the stack hands it out: headers, payload in two
// pieces, checksum partial.
func segment(pool *pkt.Pool, v6 bool, flags wire.TCPFlags, payload []byte, split, mss int) *pkt.Packet {
	src, dst := wire.AddrFrom(netip.MustParseAddr("10.0.0.1")), wire.AddrFrom(netip.MustParseAddr("10.0.0.2"))
	if v6 {
		src, dst = wire.AddrFrom(netip.MustParseAddr("fd00::1")), wire.AddrFrom(netip.MustParseAddr("fd00::2"))
	}
	p := pool.Packet()
	opts := wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 7, TSEcr: 9}
	h := p.Prepend(wire.TCPMinLen + opts.Len())
	wire.PutTCP(h, 1000, 80, 0xfffffff0, 55, flags, 4096, 0)
	opts.Put(h[wire.TCPMinLen:])
	for i, b := range [][]byte{payload[:split], payload[split:]} {
		if len(b) > 0 {
			c := pool.Chunk(len(b))
			p.Body[i] = c.Ref(c.Bytes()[:copy(c.Bytes(), b)])
		}
	}
	if split == 0 {
		p.Body[0], p.Body[1] = p.Body[1], pkt.Ref{}
	}
	wire.TCP(h).SetChecksum(wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(h)+len(payload))))
	p.Csum, p.CsumOffset = pkt.CsumPartial, 16
	if len(payload) > mss {
		p.GSO, p.GSOSize, p.Segs = pkt.GSOTCPv4, uint16(mss), uint16((len(payload)+mss-1)/mss)
		if v6 {
			p.GSO = pkt.GSOTCPv6
		}
	}
	ip.PutHeader(p, &ip.Header{Src: src, Dst: dst, Proto: wire.ProtoTCP, DF: true})
	return p
}

// What Finish makes is, piece by piece, what a TCP without offloads would have
// sent: right lengths and checksums, sequence numbers that advance (through
// zero, too), FIN and PSH on the last piece, CWR on the first, options on all.
func TestFinishCutsAsTCPWouldHave(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	const all = wire.FlagACK | wire.FlagPSH | wire.FlagFIN | wire.FlagCWR
	for round := range 2000 {
		var pool pkt.Pool
		payload := make([]byte, rnd.IntN(5000))
		for i := range payload {
			payload[i] = byte(rnd.Uint32())
		}
		v6, mss := round%2 == 1, 1+rnd.IntN(1500)
		if len(payload)/mss > 100 {
			mss = 100
		}
		frames := Finish(&pool, segment(&pool, v6, all, payload, rnd.IntN(len(payload)+1), mss), nil)
		if want := max(1, (len(payload)+mss-1)/mss); len(frames) != want {
			t.Fatalf("round %d: %d bytes cut by %d are %d frames", round, len(payload), mss, len(frames))
		}
		var got []byte
		for i, f := range frames {
			if f.Body.Len() != 0 || f.Csum != pkt.CsumUnknown || f.GSO != pkt.GSONone {
				t.Fatalf("round %d: frame %d is not one in one piece", round, i)
			}
			var d ip.Datagram
			if r := ip.Parse(f.Head, len(f.Head), false, &d); r != ip.ReasonNone || d.End != len(f.Head) {
				t.Fatalf("round %d: frame %d: %v, ends at %d of %d", round, i, r, d.End, len(f.Head))
			}
			s, err := wire.ParseTCP(f.Head[d.L4:d.End])
			if err != nil || !s.ChecksumOK(&d.Src, &d.Dst) {
				t.Fatalf("round %d: frame %d: %v, or its checksum is wrong", round, i, err)
			}
			want := all
			if i > 0 {
				want &^= wire.FlagCWR
			}
			if i < len(frames)-1 {
				want &^= wire.FlagFIN | wire.FlagPSH
			}
			if s.Seq() != 0xfffffff0+uint32(len(got)) || s.Ack() != 55 || s.Flags() != want || len(s.Options()) != 12 {
				t.Fatalf("round %d: frame %d: %v", round, i, s)
			}
			got = append(got, s.Payload()...)
			f.Release()
		}
		if !bytes.Equal(got, payload) {
			t.Fatalf("round %d: the payload changed", round)
		}
		if c, p := pool.Outstanding(); c != 0 || p != 0 {
			t.Fatalf("round %d: %d chunks and %d packets leaked", round, c, p)
		}
	}
}

// A packet whose checksum is complete keeps it: a wrong one stays wrong.
func TestFinishKeepsACompleteChecksum(t *testing.T) {
	var pool pkt.Pool
	p := segment(&pool, false, wire.FlagACK, []byte("abc"), 1, 1000)
	p.Csum = pkt.CsumUnknown
	wire.TCP(p.Head[p.L4:]).SetChecksum(0x1234)
	f := Finish(&pool, p, nil)[0]
	if sum := wire.TCP(f.Head[f.L4:]).Checksum(); sum != 0x1234 {
		t.Errorf("checksum %#x", sum)
	}
	f.Release()
}

func BenchmarkFinish(b *testing.B) {
	var pool pkt.Pool
	payload := make([]byte, 44*1448)
	var frames []*pkt.Packet
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		frames = Finish(&pool, segment(&pool, false, wire.FlagACK, payload, 1000, 1448), frames[:0])
		for _, f := range frames {
			f.Release()
		}
	}
}
