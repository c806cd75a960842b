// Package pkt holds the bytes on their way: chunks that are shared by counting
// references, references into them, and packets made of headers and such
// references.
//
// Ownership is one rule: a Packet and a Ref have one owner at a time; handing
// one over hands over ownership, also when the receiver reports an error; the
// last owner calls Release once.
package pkt

// Ref is a piece of a chunk, or of memory that the garbage collector owns. The
// zero Ref is empty and owns nothing.
type Ref struct {
	B   []byte
	own *Chunk
}

// Bytes returns a Ref to b without an owner; Retain and Release do nothing.
func Bytes(b []byte) Ref { return Ref{B: b} }

// Len returns the number of bytes.
func (r Ref) Len() int { return len(r.B) }

// Retain adds an owner and returns the same reference.
func (r Ref) Retain() Ref {
	if r.own != nil {
		r.own.Retain()
	}
	return r
}

// Release gives this reference up.
func (r Ref) Release() {
	if r.own != nil {
		r.own.Release()
	}
}

// Slice returns bytes i to j of the reference, under the same ownership: it is
// not one more owner.
func (r Ref) Slice(i, j int) Ref { return Ref{B: r.B[i:j], own: r.own} }

// Chunk returns the chunk that owns the bytes, nil if the garbage collector does.
func (r Ref) Chunk() *Chunk { return r.own }

// Charge returns what holding the reference costs, in bytes: the size of the
// whole chunk, because a reference keeps all of it.
func (r Ref) Charge() int {
	if r.own == nil {
		return cap(r.B)
	}
	return len(r.own.buf)
}

// View is a payload by reference. There are two pieces, because a segment cut
// from a stream may cross one boundary between chunks; the second is used only
// when the first is.
type View [2]Ref

// Len returns the number of bytes in both pieces.
func (v *View) Len() int { return len(v[0].B) + len(v[1].B) }

// Retain adds an owner to each piece.
func (v *View) Retain() { v[0].Retain(); v[1].Retain() }

// Release gives both pieces up and empties the view.
func (v *View) Release() {
	v[0].Release()
	v[1].Release()
	*v = View{}
}

// Move returns the view and leaves v empty: ownership goes to the result.
func (v *View) Move() View {
	w := *v
	*v = View{}
	return w
}

// TrimFront drops the first n bytes; a piece that becomes empty is released.
func (v *View) TrimFront(n int) {
	for n > 0 {
		k := min(n, len(v[0].B))
		v[0].B = v[0].B[k:]
		n -= k
		if len(v[0].B) > 0 {
			return
		}
		v[0].Release()
		v[0], v[1] = v[1], Ref{}
		if len(v[0].B) == 0 {
			return
		}
	}
}

// Truncate keeps the first n bytes; a piece that becomes empty is released.
func (v *View) Truncate(n int) {
	if k := len(v[0].B); n <= k {
		v[0].B = v[0].B[:n]
		v[1].Release()
		v[1] = Ref{}
		if n == 0 {
			v[0].Release()
			v[0] = Ref{}
		}
	} else {
		v[1].B = v[1].B[:min(n-k, len(v[1].B))]
	}
}

// CopyTo copies the bytes into dst and returns how many fitted.
func (v *View) CopyTo(dst []byte) int {
	n := copy(dst, v[0].B)
	return n + copy(dst[n:], v[1].B)
}

// AppendTo appends the bytes to dst.
func (v *View) AppendTo(dst []byte) []byte {
	return append(append(dst, v[0].B...), v[1].B...)
}

// GSOType says how a super-segment is to be cut.
type GSOType uint8

// The kinds of super-segment. The segment's own IP header tells the family.
const (
	GSONone GSOType = iota
	GSOTCPv4
	GSOTCPv6
	GSOUDP
)

// CsumState says what is known about a packet's transport checksum.
type CsumState uint8

const (
	// CsumUnknown: not looked at yet (in), or complete in the header (out).
	CsumUnknown CsumState = iota
	// CsumPartial: the field holds the folded, not inverted sum of the
	// pseudo-header; the rest, from CsumStart to the end, is still to be added
	// and stored inverted at CsumStart+CsumOffset.
	CsumPartial
	// CsumValid: checked by whoever handed the packet in.
	CsumValid
)

// Meta is what is known about a packet beside its bytes.
type Meta struct {
	Hash                  uint32 // flow hash: symmetric and keyed; 0 if not computed
	GSOSize, Segs         uint16 // payload is Segs wire segments of GSOSize bytes each but the last (0/1: ordinary)
	CsumStart, CsumOffset uint16 // valid when Csum is CsumPartial; offsets into Head
	L3, L4                uint16 // offsets of the network and transport header in Head
	Iface                 uint16 // the engine's number of the interface to leave by, or that it came by
	GSO                   GSOType
	Csum                  CsumState
}

// HeadRoom is how many bytes of headers fit into a packet made with
// Pool.Packet: link, network with options, transport with options.
const HeadRoom = 160

// Packet is one frame, or one super-segment. Head holds all headers, Body the
// payload. In a packet received into one chunk, Head points into the chunk
// that Body[0] owns, even if the payload is empty.
type Packet struct {
	Head []byte
	Body View
	Meta
	next *Packet
	pool *Pool
	room [HeadRoom]byte
}

// Prepend grows Head by n bytes at its front and returns them, for the next
// lower layer's header. Only packets whose Head lies in their own head-room
// can grow; others panic, because that is a bug of the caller.
func (p *Packet) Prepend(n int) []byte {
	used := len(p.Head)
	start := len(p.room) - used - n
	p.Head = p.room[start:]
	return p.Head[:n:n]
}

// Len returns the length of headers and payload in bytes.
func (p *Packet) Len() int { return len(p.Head) + p.Body.Len() }

// SetFrame makes p a received packet: the bytes of r, split after head bytes.
// It takes r over. Head keeps the chunk's capacity, because what follows a
// frame in its chunk is spare room that its last owner may use.
func (p *Packet) SetFrame(r Ref, head int) {
	p.Head = r.B[:head]
	p.Body = View{{B: r.B[head:], own: r.own}}
}

// Release gives the packet and its payload back.
func (p *Packet) Release() {
	p.Body[0].Release()
	p.Body[1].Release()
	pool := p.pool
	p.Body = View{}
	p.Head = nil
	p.Meta = Meta{}
	p.next = nil
	p.pool = nil
	if pool != nil {
		pool.pkts.put.Add(1)
		packets.Put(p)
	}
}

// AppendTo appends the whole packet to dst, as it would be on the wire but for
// a checksum that is still partial.
func (p *Packet) AppendTo(dst []byte) []byte { return p.Body.AppendTo(append(dst, p.Head...)) }

// List is a queue of packets that costs no memory of its own. The zero List is
// empty. A packet is in one List at most.
type List struct {
	head, tail *Packet
	n          int
}

// Len returns the number of packets.
func (l *List) Len() int { return l.n }

// Push appends p.
func (l *List) Push(p *Packet) {
	p.next = nil
	if l.tail == nil {
		l.head = p
	} else {
		l.tail.next = p
	}
	l.tail = p
	l.n++
}

// Front returns the first packet without removing it, nil if there is none.
func (l *List) Front() *Packet { return l.head }

// Pop removes and returns the first packet, nil if there is none.
func (l *List) Pop() *Packet {
	p := l.head
	if p == nil {
		return nil
	}
	l.head = p.next
	if l.head == nil {
		l.tail = nil
	}
	p.next = nil
	l.n--
	return p
}

// Release releases every packet and empties the list.
func (l *List) Release() {
	for p := l.Pop(); p != nil; p = l.Pop() {
		p.Release()
	}
}

// Exclusive reports whether r is the only reference to its chunk, so that its
// owner may write into the spare room behind its bytes.
func (r Ref) Exclusive() bool { return r.own != nil && r.own.refs.Load() == 1 }
