package pkt

import (
	"sync"
	"sync/atomic"
)

// The sizes of pooled chunks, in bytes. A larger request gets a chunk of its
// own size that goes back to the garbage collector.
const (
	Small  = 2 << 10  // one frame of an ordinary link
	Medium = 8 << 10  // a jumbo frame, a small write
	Large  = 64 << 10 // a super-segment, a large write
)

// Chunk is a block of bytes that several owners share by counting references.
// Whoever holds a reference may read; only the one writer that the buffer
// rules name (ARCHITECTURE.md) may write, and only bytes that no Ref covers.
type Chunk struct {
	refs atomic.Int32
	pool *Pool
	buf  []byte
}

// Bytes returns the whole block, at its full capacity.
func (c *Chunk) Bytes() []byte { return c.buf }

// Size returns the block's capacity in bytes: what a holder is charged.
func (c *Chunk) Size() int { return len(c.buf) }

// Retain adds a reference.
func (c *Chunk) Retain() { c.refs.Add(1) }

// Release gives one reference up. The last one returns the block to its pool.
func (c *Chunk) Release() {
	n := c.refs.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		panic("pkt: a chunk was released more often than it was retained")
	}
	p := c.pool
	p.chunks.put.Add(1)
	c.pool = nil
	switch len(c.buf) {
	case Small:
		smallChunks.Put(c)
	case Medium:
		mediumChunks.Put(c)
	case Large:
		largeChunks.Put(c)
	}
}

// Ref returns a reference to part of the chunk, b, taking over the caller's
// count; b must be a slice of the chunk's bytes.
func (c *Chunk) Ref(b []byte) Ref { return Ref{B: b, own: c} }

var (
	smallChunks  = sync.Pool{New: func() any { return &Chunk{buf: make([]byte, Small)} }}
	mediumChunks = sync.Pool{New: func() any { return &Chunk{buf: make([]byte, Medium)} }}
	largeChunks  = sync.Pool{New: func() any { return &Chunk{buf: make([]byte, Large)} }}
	packets      = sync.Pool{New: func() any { return new(Packet) }}
)

// Pool hands out chunks and packets and counts them, so that the owner of a
// Pool (a Host, a World) can prove that everything came back. The memory
// itself is shared by all Pools of the process. A Pool is safe for concurrent
// use; the zero Pool is ready.
type Pool struct {
	chunks, pkts balance
}

// balance counts hand-outs and returns on separate cache lines, because they
// usually happen on different processors.
type balance struct {
	got atomic.Int64
	_   [56]byte
	put atomic.Int64
	_   [56]byte
}

// Chunk returns a chunk of at least size bytes with one reference. Its content
// is arbitrary.
func (p *Pool) Chunk(size int) *Chunk {
	var c *Chunk
	switch {
	case size <= Small:
		c = smallChunks.Get().(*Chunk)
	case size <= Medium:
		c = mediumChunks.Get().(*Chunk)
	case size <= Large:
		c = largeChunks.Get().(*Chunk)
	default:
		c = &Chunk{buf: make([]byte, size)}
	}
	p.chunks.got.Add(1)
	c.pool = p
	c.refs.Store(1)
	return c
}

// Tight returns a chunk of size bytes, or of a pooled size not twice as large,
// for bytes that may be kept for long and are charged by their chunk. Otherwise
// it is like Chunk; a chunk of its own size costs the garbage collector work.
func (p *Pool) Tight(size int) *Chunk {
	if size <= Medium || 2*size > Large {
		return p.Chunk(size)
	}
	c := &Chunk{buf: make([]byte, size)}
	p.chunks.got.Add(1)
	c.pool = p
	c.refs.Store(1)
	return c
}

// Packet returns an empty packet.
func (p *Pool) Packet() *Packet {
	q := packets.Get().(*Packet)
	p.pkts.got.Add(1)
	q.pool = p
	q.Head = q.room[len(q.room):]
	return q
}

// Outstanding returns how many chunks and packets are handed out and not yet
// back: 0 and 0 when nothing leaks and nothing is in use.
func (p *Pool) Outstanding() (chunks, packets int64) {
	return p.chunks.got.Load() - p.chunks.put.Load(), p.pkts.got.Load() - p.pkts.put.Load()
}
