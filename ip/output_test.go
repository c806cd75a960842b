package ip

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

func TestPutHeader(t *testing.T) {
	var pool pkt.Pool
	for _, c := range []struct {
		h    Header
		n    int
		want Datagram
		id   uint16
		df   bool
	}{
		{Header{Src: self4, Dst: peer4, Proto: 6, TTL: 9, TOS: 0xb9, DF: true, ID: 55}, 1000,
			Datagram{Src: self4, Dst: peer4, Proto: 6, TTL: 9, TOS: 0xb9, L4: 20, End: 1020}, 0, true},
		{Header{Src: self4, Dst: peer4, Proto: 17, ID: 55}, 65515,
			Datagram{Src: self4, Dst: peer4, Proto: 17, TTL: 64, L4: 20, End: 65535}, 55, false},
		{Header{Src: self6, Dst: peer6, Proto: 17, TTL: 255, TOS: 0xb9, FlowLabel: 0xabcde, DF: true}, 65535,
			Datagram{Src: self6, Dst: peer6, Proto: 17, TTL: 255, TOS: 0xb9, L4: 40, End: 65575, V6: true, FlowLabel: 0xabcde}, 0, false},
	} {
		p := outgoing(&pool, pattern(c.n), 8)
		p.Csum, p.CsumStart, p.CsumOffset = pkt.CsumPartial, 0, 6
		if r := PutHeader(p, &c.h); r != ReasonNone {
			t.Fatalf("%+v: %v", c.h, r)
		}
		b := p.AppendTo(nil)
		if d := mustAccept(t, "made", b); d != c.want {
			t.Errorf("got  %+v\nwant %+v", d, c.want)
		}
		if p.L3 != 0 || int(p.L4) != c.want.L4 || int(p.CsumStart) != c.want.L4 {
			t.Errorf("L3 %d L4 %d CsumStart %d, want 0 %d %d", p.L3, p.L4, p.CsumStart, c.want.L4, c.want.L4)
		}
		if !bytes.Equal(b[c.want.L4:], pattern(c.n)) {
			t.Error("the payload changed")
		}
		if !c.want.V6 && (wire.IPv4(b).ID() != c.id || wire.IPv4(b).DF() != c.df) {
			t.Errorf("id %d DF %v, want %d %v", wire.IPv4(b).ID(), wire.IPv4(b).DF(), c.id, c.df)
		}
		p.Release()
		p = outgoing(&pool, make([]byte, 65536), 8)
		if r := PutHeader(p, &c.h); r != ReasonTooLong || p.Len() != 65536 {
			t.Errorf("64 KiB of payload: %v, %d bytes; want %v and no change", r, p.Len(), ReasonTooLong)
		}
		p.Release()
	}
	noLeak(t, &pool)
}

// A datagram that cannot be fragmented has identification 0, others a unique one. RFC 6864 §4.
func TestR6864_4_AtomicID(t *testing.T) {
	var pool pkt.Pool
	for _, df := range []bool{true, false} {
		p := outgoing(&pool, pattern(8), 8)
		PutHeader(p, &Header{Src: self4, Dst: peer4, Proto: 17, DF: df, ID: 4711})
		if id := wire.IPv4(p.Head).ID(); (id == 0) != df || wire.IPv4(p.Head).DF() != df {
			t.Errorf("DF %v: id %d", df, id)
		}
		p.Release()
	}
	g := NewIDs(Key{1, 2})
	seen := make([]bool, 1<<16)
	for i := range 1 << 16 { // a permutation: no id twice before all were used
		id := g.Next4(&self4, &peer4, 17)
		if seen[id] {
			t.Fatalf("id %d repeats after %d datagrams", id, i)
		}
		seen[id] = true
	}
}

// Fragment identifications cannot be predicted from earlier ones. RFC 7739 §5.
func TestR7739_1_UnpredictableIDs(t *testing.T) {
	const n = 1_000_000
	g := NewIDs(Key{0x0706050403020100, 0x0f0e0d0c0b0a0908})
	hits6, hits4 := 0, 0
	var p6, d6 uint32
	var p4, d4 uint16
	for range n { // does a difference repeat?
		a := g.Next6(&self6, &peer6)
		if a-p6 == d6 {
			hits6++
		}
		p6, d6 = a, a-p6
		b := g.Next4(&self4, &peer4, 17)
		if b-p4 == d4 {
			hits4++
		}
		p4, d4 = b, b-p4
	}
	if hits6 > 3 {
		t.Errorf("IPv6: the difference before predicts %d of %d ids, chance is 0.0002", hits6, n)
	}
	if hits4 > 15+4*4 { // mean n/65536, four standard deviations
		t.Errorf("IPv4: the difference before predicts %d of %d ids, chance is 15", hits4, n)
	}
	// Not a global counter: traffic to one destination tells nothing about that
	// to another, not even for one that shares its counter.
	near := 0
	for i := range 10_000 {
		other := addr("2001:db8:ffff::")
		binary.BigEndian.PutUint32(other[12:], uint32(i))
		if diff := int32(g.Next6(&self6, &other) - g.Next6(&self6, &peer6)); -1000 < diff && diff < 1000 {
			near++
		}
	}
	if near > 3 {
		t.Errorf("%d of 10000 ids to others are near that of a known destination", near)
	}
	if NewIDs(Key{1, 1}).Next6(&self6, &peer6) == NewIDs(Key{1, 2}).Next6(&self6, &peer6) {
		t.Error("the key does not matter")
	}
}

// Key and message are 00 01 02 ..., as in the SipHash paper; our function always
// hashes 31 bytes.
func TestSipHash(t *testing.T) {
	k := Key{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	if got, want := sipHash(k, 15), uint64(0xa129ca6149be45e5); got != want {
		t.Fatalf("the test's own SipHash of the paper's 15 bytes is %#x, want %#x", got, want)
	}
	got := k.sum(0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x1716151413121110, 0x001e1d1c1b1a1918)
	if want := sipHash(k, 31); got != want {
		t.Errorf("31 bytes: got %#x, want %#x", got, want)
	}
}

// sipHash is SipHash-2-4 of the first n numbers as bytes, written down plainly.
func sipHash(k Key, n int) uint64 {
	msg := make([]byte, n/8*8+8)
	for i := range n {
		msg[i] = byte(i)
	}
	msg[len(msg)-1] = byte(n)
	rotl := func(x uint64, n uint) uint64 { return x<<n | x>>(64-n) }
	v := [4]uint64{k.K0 ^ 0x736f6d6570736575, k.K1 ^ 0x646f72616e646f6d, k.K0 ^ 0x6c7967656e657261, k.K1 ^ 0x7465646279746573}
	round := func() {
		v[0] += v[1]
		v[1] = rotl(v[1], 13) ^ v[0]
		v[0] = rotl(v[0], 32)
		v[2] += v[3]
		v[3] = rotl(v[3], 16) ^ v[2]
		v[0] += v[3]
		v[3] = rotl(v[3], 21) ^ v[0]
		v[2] += v[1]
		v[1] = rotl(v[1], 17) ^ v[2]
		v[2] = rotl(v[2], 32)
	}
	for i := 0; i < len(msg); i += 8 {
		m := binary.LittleEndian.Uint64(msg[i:])
		v[3] ^= m
		round()
		round()
		v[0] ^= m
	}
	v[2] ^= 0xff
	for range 4 {
		round()
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// cut fragments a UDP datagram of n bytes of payload and returns the fragments'
// bytes.
func cut(t *testing.T, pool *pkt.Pool, is4 bool, n, mtu int, partial bool) [][]byte {
	t.Helper()
	h := Header{Src: self6, Dst: peer6, Proto: 17}
	if is4 {
		h = Header{Src: self4, Dst: peer4, Proto: 17, ID: 321}
	}
	b := udp(&h.Src, &h.Dst, pattern(n))
	if partial {
		binary.BigEndian.PutUint16(b[6:], wire.PseudoSum(&h.Src, &h.Dst, 17, uint32(len(b))))
	}
	p := outgoing(pool, b, 8)
	if partial {
		p.Csum, p.CsumOffset = pkt.CsumPartial, 6
	}
	if r := PutHeader(p, &h); r != ReasonNone {
		t.Fatal(r)
	}
	var out pkt.List
	if r := Fragment(pool, p, mtu, 654, &out); r != ReasonNone {
		t.Fatalf("%d bytes, MTU %d: %v", n, mtu, r)
	}
	var all [][]byte
	for p := out.Pop(); p != nil; p = out.Pop() {
		if p.Len() > mtu {
			t.Errorf("a fragment of %d bytes for an MTU of %d", p.Len(), mtu)
		}
		all = append(all, p.AppendTo(nil))
		p.Release()
	}
	return all
}

// A sender never makes fragments that overlap. RFC 5722 §4.
func TestR5722_4_SenderDoesNotOverlap(t *testing.T) {
	var pool pkt.Pool
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 300 {
		is4, mtu := i%2 == 0, MinMTU6+rng.IntN(3000)
		if is4 && i%4 == 0 {
			mtu = MinMTU4 + rng.IntN(2000)
		}
		n := rng.IntN(65535 - 8 - 20)
		frags := cut(t, &pool, is4, n, mtu, i%3 == 0)
		var whole []byte
		for k, b := range frags {
			d := mustAccept(t, "fragment", b)
			if len(frags) == 1 {
				if d.Fragment {
					t.Fatalf("seed %d round %d: an atomic fragment", seed, i)
				}
			} else if !d.Fragment || d.FragOff != len(whole) || d.More != (k < len(frags)-1) || d.End != len(b) {
				t.Fatalf("seed %d round %d: fragment %d of %d: %+v after %d bytes", seed, i, k, len(frags), d, len(whole))
			} else if want := uint32(654); !is4 && d.FragID != want || is4 && d.FragID != 321 {
				t.Fatalf("fragment id %d", d.FragID)
			}
			if d.More && d.Len() != (mtu-d.L4)&^7 {
				t.Errorf("fragment of %d bytes, an MTU of %d has room for %d", d.Len(), mtu, (mtu-d.L4)&^7)
			}
			whole = append(whole, b[d.L4:d.End]...)
		}
		src, dst := self6, peer6
		if is4 {
			src, dst = self4, peer4
		}
		want := udp(&src, &dst, pattern(n))
		if len(frags) == 1 && i%3 == 0 { // passed on as it is: the checksum is for the device to finish
			copy(whole[6:8], want[6:8])
		}
		if !bytes.Equal(whole, want) {
			t.Fatalf("seed %d round %d: %d bytes in MTU %d do not come out as they were", seed, i, n, mtu)
		}
	}
	noLeak(t, &pool)
}

func TestFragmentRefusals(t *testing.T) {
	var pool pkt.Pool
	for _, c := range []struct {
		name string
		h    Header
		mtu  int
		want Reason
	}{
		{"DF", Header{Src: self4, Dst: peer4, Proto: 17, DF: true}, 1000, ReasonTooBig},
		{"MTU below 68", Header{Src: self4, Dst: peer4, Proto: 17}, 67, ReasonTooBig},
		{"MTU below 1280", Header{Src: self6, Dst: peer6, Proto: 17}, 1279, ReasonTooBig},
	} {
		p := outgoing(&pool, pattern(2000), 8)
		PutHeader(p, &c.h)
		var out pkt.List
		if r := Fragment(&pool, p, c.mtu, 1, &out); r != c.want || out.Len() != 0 {
			t.Errorf("%s: %v and %d packets, want %v and none", c.name, r, out.Len(), c.want)
		}
	}
	p := outgoing(&pool, v4{opts: []byte{1, 1, 1, 1}, payload: pattern(2000)}.bytes(), 32)
	p.L4 = 24
	var out pkt.List
	if r := Fragment(&pool, p, 1000, 1, &out); r != ReasonHeaderLength {
		t.Errorf("options: %v", r)
	}
	p = outgoing(&pool, pattern(2000), maxLead+1)
	PutHeader(p, &Header{Src: self6, Dst: peer6, Proto: 17})
	if r := Fragment(&pool, p, 1280, 1, &out); r != ReasonHeaderLength {
		t.Errorf("payload in Head: %v", r)
	}
	p = outgoing(&pool, pattern(2000), maxLead)
	PutHeader(p, &Header{Src: self6, Dst: peer6, Proto: 17})
	if r := Fragment(&pool, p, 1280, 1, &out); r != ReasonNone || out.Len() != 2 {
		t.Errorf("the longest transport header: %v, %d fragments", r, out.Len())
	}
	out.Front().Prepend(14) // a link header still fits
	out.Release()
	noLeak(t, &pool)
}

func TestOutputAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var pool pkt.Pool
	h4 := Header{Src: self4, Dst: peer4, Proto: 6, DF: true}
	h6 := Header{Src: self6, Dst: peer6, Proto: 6}
	g := NewIDs(Key{1, 2})
	payload := pattern(4000)
	var out pkt.List
	for name, f := range map[string]func(){
		"PutHeader": func() {
			for _, h := range [...]*Header{&h4, &h6} {
				p := pool.Packet()
				p.Prepend(20)
				PutHeader(p, h)
				p.Release()
			}
		},
		"IDs": func() { g.Next4(&self4, &peer4, 17); g.Next6(&self6, &peer6) },
		"Fragment": func() {
			p := pool.Packet()
			p.Prepend(8)
			p.Body[0] = pkt.Bytes(payload)
			PutHeader(p, &Header{Src: self6, Dst: peer6, Proto: 17})
			Fragment(&pool, p, 1280, 1, &out)
			out.Release()
		},
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPutHeader(b *testing.B) {
	var pool pkt.Pool
	p := pool.Packet()
	p.Prepend(20)
	head := p.Head
	h4 := Header{Src: self4, Dst: peer4, Proto: 6, DF: true}
	h6 := Header{Src: self6, Dst: peer6, Proto: 6}
	b.Run("v4", func(b *testing.B) {
		for b.Loop() {
			p.Head = head
			PutHeader(p, &h4)
		}
	})
	b.Run("v6", func(b *testing.B) {
		for b.Loop() {
			p.Head = head
			PutHeader(p, &h6)
		}
	})
}

func BenchmarkIDs(b *testing.B) {
	g := NewIDs(Key{1, 2})
	b.Run("v4", func(b *testing.B) {
		for b.Loop() {
			g.Next4(&self4, &peer4, 17)
		}
	})
	b.Run("v6", func(b *testing.B) {
		for b.Loop() {
			g.Next6(&self6, &peer6)
		}
	})
}
