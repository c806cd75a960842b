package pkt

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// outstanding fails the test unless a pool has exactly so many chunks and
// packets out.
func outstanding(t *testing.T, p *Pool, chunks, packets int64) {
	t.Helper()
	if c, q := p.Outstanding(); c != chunks || q != packets {
		t.Fatalf("%d chunks and %d packets are out, want %d and %d", c, q, chunks, packets)
	}
}

// chunkOf returns a chunk's reference to the given bytes.
func chunkOf(p *Pool, b []byte) Ref {
	c := p.Chunk(len(b))
	return c.Ref(c.Bytes()[:copy(c.Bytes(), b)])
}

// A chunk comes in the smallest size that fits, and goes back with the last of
// its references.
func TestChunkSizesAndReferences(t *testing.T) {
	var p Pool
	for _, c := range []struct{ ask, get int }{{0, Small}, {Small, Small}, {Small + 1, Medium}, {Medium, Medium},
		{Medium + 1, Large}, {Large, Large}, {Large + 1, Large + 1}} {
		ch := p.Chunk(c.ask)
		if ch.Size() != c.get || len(ch.Bytes()) != c.get {
			t.Errorf("%d bytes asked for, %d given, want %d", c.ask, ch.Size(), c.get)
		}
		r := ch.Ref(ch.Bytes()[:1])
		if !r.Exclusive() {
			t.Errorf("%d bytes: the first reference is not the only one", c.ask)
		}
		s := r.Retain().Slice(0, 0)
		if r.Exclusive() || s.Charge() != c.get {
			t.Errorf("%d bytes: two references, exclusive %v, charge %d", c.ask, r.Exclusive(), s.Charge())
		}
		r.Release()
		outstanding(t, &p, 1, 0)
		s.Release()
		outstanding(t, &p, 0, 0)
	}
}

// What is kept for long does not keep more than twice its size.
func TestTightChunks(t *testing.T) {
	var p Pool
	for _, c := range []struct{ ask, get int }{{1, Small}, {Small + 1, Medium}, {Medium + 1, Medium + 1}, {10_000, 10_000},
		{Large / 2, Large / 2}, {Large/2 + 1, Large}, {Large + 1, Large + 1}} {
		ch := p.Tight(c.ask)
		if ch.Size() != c.get || len(ch.Bytes()) != c.get {
			t.Errorf("%d bytes asked for, %d given, want %d", c.ask, ch.Size(), c.get)
		}
		outstanding(t, &p, 1, 0)
		ch.Release()
		outstanding(t, &p, 0, 0)
	}
}

// Releasing once too often is a bug of the caller's, and says so.
func TestReleasingTooOftenPanics(t *testing.T) {
	var p Pool
	c := &Chunk{buf: make([]byte, 1), pool: &p} // of no pooled size: nobody else gets it
	c.refs.Store(1)
	c.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	c.Release()
}

// A reference to memory of the garbage collector's costs nothing to hold or
// release.
func TestBytesHaveNoOwner(t *testing.T) {
	r := Bytes([]byte("abc"))
	r.Retain().Release()
	r.Release()
	if r.Len() != 3 || r.Chunk() != nil || r.Exclusive() || r.Charge() != 3 {
		t.Errorf("%+v", r)
	}
}

// A View behaves as the bytes it refers to, however they are split, and drops
// each reference as soon as nothing of it is left.
func TestViewAsBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var p Pool
	for range 20_000 {
		want := make([]byte, rnd.IntN(12))
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		cut := rnd.IntN(len(want) + 1)
		var v View
		if cut > 0 || len(want) == 0 {
			v = View{chunkOf(&p, want[:cut])}
			if cut < len(want) {
				v[1] = chunkOf(&p, want[cut:])
			}
		} else {
			v = View{chunkOf(&p, want)}
		}
		for v.Len() > 0 {
			n := rnd.IntN(v.Len() + 1)
			if rnd.IntN(2) == 0 {
				v.TrimFront(n)
				want = want[n:]
			} else {
				v.Truncate(n)
				want = want[:n]
			}
			if got := v.AppendTo(nil); !bytes.Equal(got, want) || v.Len() != len(want) {
				t.Fatalf("%x, want %x", got, want)
			}
			held := int64(0)
			for _, r := range v {
				if r.Chunk() != nil {
					held++
				}
				if r.Chunk() != nil && r.Len() == 0 {
					t.Fatal("an empty piece keeps its chunk")
				}
			}
			outstanding(t, &p, held, 0)
			if n == 0 {
				break
			}
		}
		w := v.Move()
		v.Release() // empty: of no effect
		dst := make([]byte, 20)
		if k := w.CopyTo(dst); !bytes.Equal(dst[:k], want) {
			t.Fatalf("copied %x, want %x", dst[:k], want)
		}
		w.Retain()
		w2 := w
		w.Release()
		w2.Release()
		outstanding(t, &p, 0, 0)
	}
}

// Headers are written back to front; a packet gives everything back at once.
func TestPacketHeadRoom(t *testing.T) {
	var p Pool
	q := p.Packet()
	copy(q.Prepend(3), "tcp")
	copy(q.Prepend(2), "ip")
	q.Body = View{chunkOf(&p, []byte("data"))}
	q.Segs = 7
	if got := string(q.AppendTo(nil)); got != "iptcpdata" || q.Len() != 9 {
		t.Errorf("%q, %d bytes", got, q.Len())
	}
	q.Prepend(HeadRoom - 5)
	outstanding(t, &p, 1, 1)
	q.Release()
	outstanding(t, &p, 0, 0)
	q = p.Packet()
	if q.Len() != 0 || q.Meta != (Meta{}) {
		t.Errorf("a fresh packet has %d bytes and %+v", q.Len(), q.Meta)
	}
	q.SetFrame(chunkOf(&p, []byte("headpayload")), 4)
	if string(q.Head) != "head" || string(q.Body[0].B) != "payload" {
		t.Errorf("%q and %q", q.Head, q.Body[0].B)
	}
	q.Release()
	outstanding(t, &p, 0, 0)
}

// A list is a queue.
func TestList(t *testing.T) {
	var p Pool
	var l List
	var in []*Packet
	for range 5 {
		q := p.Packet()
		in = append(in, q)
		l.Push(q)
	}
	if l.Len() != 5 || l.Front() != in[0] {
		t.Errorf("%d packets", l.Len())
	}
	for _, want := range in[:3] {
		got := l.Pop()
		if got != want {
			t.Error("out of order")
		}
		got.Release()
	}
	l.Release()
	if l.Len() != 0 || l.Front() != nil || l.Pop() != nil {
		t.Error("not empty after Release")
	}
	outstanding(t, &p, 0, 0)
}
