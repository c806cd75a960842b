package ip

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// byteMap is a datagram as an array that remembers who wrote what: the model
// that the Reassembler is compared with.
type byteMap struct {
	have     [512]bool
	data     [512]byte
	seen     []modelFrag
	total    int
	maxEnd   int
	poisoned bool
}

type modelFrag struct {
	off, end int
	more     bool
	data     []byte
}

// add takes a fragment in and returns the payload when it is complete.
func (m *byteMap) add(f modelFrag) []byte {
	if m.poisoned {
		return nil
	}
	for _, s := range m.seen {
		if s.off == f.off && s.end == f.end && s.more == f.more && bytes.Equal(s.data, f.data) {
			return nil
		}
	}
	m.poisoned = !f.more && (m.total >= 0 && m.total != f.end || m.maxEnd >= f.end) || m.total >= 0 && f.end > m.total || len(m.seen) == MaxFragments
	for i := f.off; i < f.end; i++ {
		m.poisoned = m.poisoned || m.have[i]
		m.have[i], m.data[i] = true, f.data[i-f.off]
	}
	m.seen = append(m.seen, f)
	m.maxEnd = max(m.maxEnd, f.end)
	if !f.more {
		m.total = f.end
	}
	if m.poisoned || m.total < 0 {
		return nil
	}
	for _, h := range m.have[:m.total] {
		if !h {
			return nil
		}
	}
	return m.data[:m.total]
}

// randomSet returns the fragments of a random datagram, shuffled, some twice,
// and in two of three sets damaged in some way.
func randomSet(rng *rand.Rand) []modelFrag {
	payload := make([]byte, 16+rng.IntN(400))
	for i := range payload {
		payload[i] = byte(rng.Uint32())
	}
	var set []modelFrag
	for off := 0; off < len(payload); {
		end := min(len(payload), off+8*(1+rng.IntN(6)))
		set = append(set, modelFrag{off, end, end < len(payload), payload[off:end]})
		off = end
	}
	for range rng.IntN(3) { // duplicates
		set = append(set, set[rng.IntN(len(set))])
	}
	switch rng.IntN(6) {
	case 0: // an overlap, of the same or other bytes
		off := 8 * rng.IntN(len(payload)/8)
		end := min(len(payload), off+8*(1+rng.IntN(4)))
		f := modelFrag{off, end, end < len(payload), append([]byte(nil), payload[off:end]...)}
		if rng.IntN(2) == 0 {
			f.data[0] ^= 1
		}
		set = append(set, f)
	case 1: // another end
		f := set[rng.IntN(len(set))]
		f.more = false
		set = append(set, f)
	case 2: // beyond the end
		off := (len(payload) + 7) &^ 7
		set = append(set, modelFrag{off, off + 8, rng.IntN(2) == 0, make([]byte, 8)})
	case 3: // a hole
		k := rng.IntN(len(set))
		set = append(set[:k], set[k+1:]...)
	}
	rng.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
	return set
}

// T-FRG-01: on random sets of fragments, with overlaps, contradictions, holes
// and duplicates, the Reassembler and a map of bytes agree after each fragment.
func TestReassemblyAgainstByteMap(t *testing.T) {
	const seed, sets = 17, 20_000
	rng := rand.New(rand.NewPCG(seed, 0))
	x := newReasm(t, ReassemblyConfig{})
	delivered, poisoned := 0, 0
	for i := range sets {
		x.now = x.now.Add(time.Second)
		x.r.Advance(x.now, nil)
		set := randomSet(rng)
		m := &byteMap{total: unknownLen}
		for k, f := range set {
			if f.off == 0 && !f.more {
				continue // an atomic fragment, no business of the Reassembler
			}
			b := v4{id: uint16(i), off: f.off, payload: f.data}
			if f.more {
				b.flags = wire.IPv4MF
			}
			raw := b.bytes()
			if i%2 == 0 {
				raw = v6{exts: []ext{fragHeader(f.off, f.more, uint32(i))}, payload: f.data}.bytes()
			}
			want := m.add(f)
			whole, d, r := x.add(raw)
			if (whole != nil) != (want != nil) || whole != nil && !bytes.Equal(whole[d.L4:], want) {
				t.Fatalf("seed %d, set %d, fragment %d (%d to %d, more %v): %v\ngot  %x\nwant %x", seed, i, k, f.off, f.end, f.more, r, whole, want)
			}
			if m.poisoned != (r == ReasonFragmentOverlap || r == ReasonFragmentCount) {
				t.Fatalf("seed %d, set %d, fragment %d: %v, the model says poisoned: %v", seed, i, k, r, m.poisoned)
			}
			if want != nil { // what comes later begins anew
				delivered++
				m = &byteMap{total: unknownLen}
			}
		}
		if m.poisoned {
			poisoned++
		}
	}
	if delivered < sets/3 || poisoned < sets/10 {
		t.Errorf("only %d delivered and %d poisoned of %d: the sets are not what they should be", delivered, poisoned, sets)
	}
	x.end()
}

// T-FRG-02: 100,000 fragments of 8 bytes from 1,000 sources hold no more than
// the cap, and an honest datagram among them still comes through.
func TestFragmentSmack(t *testing.T) {
	const seed, attack, every = 23, 100_000, 500
	rng := rand.New(rand.NewPCG(seed, 0))
	x := newReasm(t, ReassemblyConfig{})
	payload := pattern(3000)
	sent, arrived, peak := 0, 0, 0
	for i := range attack {
		x.now = x.now.Add(100 * time.Microsecond)
		x.r.Advance(x.now, nil)
		src := addr("10.0.0.0")
		binary.BigEndian.PutUint16(src[14:], uint16(rng.IntN(1000)))
		x.add(v4{src: src, id: uint16(rng.Uint32()), flags: wire.IPv4MF, off: 8 * rng.IntN(8000), payload: pattern(8)}.bytes())
		if i%every == 0 {
			sent++
		}
		switch i % every { // the three fragments of a ping, 10 ms apart
		case 0, 100, 200:
			off := i % every / 100 * 1480
			f := v4{proto: wire.ProtoICMP, id: uint16(i / every), off: off, payload: payload[off:min(off+1480, len(payload))]}
			if off+1480 < len(payload) {
				f.flags = wire.IPv4MF
			}
			if whole, _, _ := x.add(f.bytes()); whole != nil {
				arrived++
			}
		}
		peak = max(peak, x.r.Charged())
	}
	if arrived*10 < sent*9 {
		t.Errorf("seed %d: %d of %d honest datagrams came through, want 90 %%", seed, arrived, sent)
	}
	if peak > ReassemblyMemory || peak < ReassemblyMemory/2 {
		t.Errorf("at most %d bytes were charged, the cap is %d", peak, ReassemblyMemory)
	}
	x.r.Advance(x.now.Add(time.Minute), nil)
	if x.r.Charged() != 0 {
		t.Errorf("%d bytes charged a minute later", x.r.Charged())
	}
	x.end()
}

// One source can hold its share and no more; others are not touched by it.
func TestReassemblyShare(t *testing.T) {
	for _, is6 := range []bool{false, true} {
		x := newReasm(t, ReassemblyConfig{})
		payload := pattern(16)
		honest := func(off, end int, more bool) []byte {
			if is6 {
				return v6{src: addr("2001:db8:77::1"), exts: []ext{fragHeader(off, more, 1)}, payload: payload[off:end]}.bytes()
			}
			f := v4{src: addr("198.51.100.1"), off: off, payload: payload[off:end]}
			if more {
				f.flags = wire.IPv4MF
			}
			return f.bytes()
		}
		x.add(honest(0, 8, true))
		for i := range 20_000 {
			b := v4{id: uint16(i), flags: wire.IPv4MF, off: 800, payload: pattern(800)}.bytes()
			if is6 { // many addresses of one network
				src := peer6
				binary.BigEndian.PutUint32(src[12:], uint32(i))
				b = v6{src: src, exts: []ext{fragHeader(800, true, uint32(i))}, payload: pattern(800)}.bytes()
			}
			x.add(b)
		}
		if x.r.Charged() > ReassemblyShare+4096 {
			t.Errorf("v6 %v: one source holds %d bytes, its share is %d", is6, x.r.Charged(), ReassemblyShare)
		}
		if x.r.Stats().Evicted == 0 {
			t.Error("nothing was evicted: the test does not reach the bound")
		}
		if whole, _, r := x.add(honest(8, 16, false)); whole == nil {
			t.Errorf("v6 %v: the other source's datagram is gone: %v", is6, r)
		}
		x.end()
	}
}

// Memory that is too small for one datagram drops it, without a loop or a leak.
func TestReassemblyTinyMemory(t *testing.T) {
	for _, memory := range []int{1, recordCost, recordCost + pieceCost + pkt.Small, 12 << 10} {
		x := newReasm(t, ReassemblyConfig{Memory: memory})
		payload := pattern(16 << 10)
		for off := 0; off < len(payload); off += 1024 {
			whole, _, r := x.add(frag4(payload, off, off+1024, off+1024 < len(payload)))
			if whole != nil || r != ReasonNone && r != ReasonFragmentMemory {
				t.Errorf("memory %d: %v, whole: %v", memory, r, whole != nil)
			}
		}
		x.end()
	}
}

func FuzzReassembler(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2, 2, 0}, false)
	f.Add([]byte{2, 2, 0, 0, 2, 1, 0, 2, 1}, true)
	f.Add([]byte{0, 3, 1, 1, 4, 1, 9, 9, 0, 200, 31, 0}, true)
	f.Add([]byte{4, 1, 0, 2, 1, 0, 0, 2, 1}, false)
	f.Fuzz(func(t *testing.T, script []byte, is6 bool) {
		x := newReasm(t, ReassemblyConfig{Memory: 64 << 10})
		m := &byteMap{total: unknownLen}
		for ; len(script) >= 3; script = script[3:] { // offset and length in units of 8, flags
			off, n, more := int(script[0]&31)*8, int(script[1]&7)*8, script[2]&1 != 0
			if !more {
				n += int(script[2] >> 5)
			}
			if n < 8 || off == 0 && !more {
				continue
			}
			data := bytes.Repeat([]byte{script[2] & 2}, n)
			b := v4{off: off, payload: data}
			if more {
				b.flags = wire.IPv4MF
			}
			raw := b.bytes()
			if is6 {
				raw = v6{exts: []ext{fragHeader(off, more, 0)}, payload: data}.bytes()
			}
			want := m.add(modelFrag{off, off + n, more, data})
			whole, d, r := x.add(raw)
			if (whole != nil) != (want != nil) || whole != nil && !bytes.Equal(whole[d.L4:], want) {
				t.Fatalf("%v: got %x, want %x", r, whole, want)
			}
			if want != nil {
				m = &byteMap{total: unknownLen}
			}
		}
		x.end()
	})
}

// BenchmarkReassemble is the cost per fragment: of a datagram in three, and of
// a flood of small ones that never complete.
func BenchmarkReassemble(b *testing.B) {
	run := func(b *testing.B, next func(i int) []byte) {
		var pool pkt.Pool
		r := NewReassembler(&pool, ReassemblyConfig{})
		now, i := t0, 0
		for b.Loop() {
			raw := next(i)
			i++
			var d Datagram
			Parse(raw, len(raw), true, &d)
			p := pool.Packet()
			p.SetFrame(pkt.Bytes(raw), d.L4)
			now = now.Add(time.Microsecond)
			if done, _ := r.Add(now, &d, p); done != nil {
				done.Release()
			}
		}
		r.Close()
	}
	payload := pattern(4000)
	b.Run("benign", func(b *testing.B) {
		frags := [][]byte{frag4(payload, 0, 1480, true), frag4(payload, 1480, 2960, true), frag4(payload, 2960, 4000, false)}
		run(b, func(i int) []byte { return frags[i%3] })
	})
	b.Run("flood", func(b *testing.B) {
		raw := frag4(payload, 8, 16, true)
		run(b, func(i int) []byte {
			binary.BigEndian.PutUint16(raw[4:], uint16(i))
			binary.BigEndian.PutUint16(raw[14:], uint16(i%1000))
			return raw
		})
	})
}
