package ip

import (
	"bytes"
	"slices"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

const (
	// unknownLen: the last fragment has not been seen.
	unknownLen = -1
	// recordCost is what the record of one incomplete datagram is charged, in
	// bytes: its struct, its places in maps and lists, and the list of pieces.
	recordCost = 512
	// pieceCost is what each piece adds to that.
	pieceCost = 16
	// maxFreeRecords is how many records are kept to be used again.
	maxFreeRecords = 64
	// maxHeader is the longest run of headers before the payload of a first
	// fragment, in bytes, that is kept; chains of extension headers can be
	// longer, but not of honest ones.
	maxHeader = 1024
)

// piece is one fragment: bytes off to end of the payload, at pos in the buffer.
type piece struct{ off, end, pos int32 }

// assembly is a datagram that is not complete. The bytes of its fragments lie
// in one buffer in the order of arrival, each range once; the first fragment's
// IP header stands right before its piece.
type assembly struct {
	key      fragKey
	source   *fragSource
	since    mono.Time // the first fragment came
	buf      *pkt.Chunk
	frags    []piece // by off; never overlapping
	used     int     // bytes of buf
	got      int     // bytes of payload
	total    int     // length of the payload, or unknownLen
	headerAt int     // where in buf the first fragment's header starts
	header   int     // its length; 0: the first fragment is missing
	firstLen int     // payload bytes of the first fragment
	fragHdr  int     // where in it the IPv6 fragment header starts
	fragNext int     // and where the number is that announces it
	charged  int
	iface    int
	ecn      uint8 // bit 1<<ECN for each ECN field seen
	poisoned bool
	age      links
	mates    links
}

// links are an assembly's places in a list.
type links struct{ prev, next *assembly }

// ageList is a list of datagrams by age.
type ageList struct{ front, back *assembly }

// byAge and bySource pick the links of one list or the other.
func byAge(a *assembly) *links    { return &a.age }
func bySource(a *assembly) *links { return &a.mates }

func (l *ageList) push(a *assembly, of func(*assembly) *links) {
	*of(a) = links{prev: l.back}
	if l.back == nil {
		l.front = a
	} else {
		of(l.back).next = a
	}
	l.back = a
}

func (l *ageList) remove(a *assembly, of func(*assembly) *links) {
	x := of(a)
	if x.prev == nil {
		l.front = x.next
	} else {
		of(x.prev).next = x.next
	}
	if x.next == nil {
		l.back = x.prev
	} else {
		of(x.next).prev = x.prev
	}
	*x = links{}
}

func (a *assembly) complete() bool { return a.total == a.got && a.header > 0 }

// insert puts a fragment where it belongs. Whatever is inconsistent poisons the
// datagram: overlaps, a piece beyond the last one, two different ends, more
// pieces than MaxFragments. An exact duplicate is dropped by itself.
func (r *Reassembler) insert(a *assembly, d *Datagram, p *pkt.Packet) Reason {
	if a.poisoned {
		return ReasonFragmentOverlap
	}
	off, end := int32(d.FragOff), int32(d.FragOff+d.Len())
	k, _ := slices.BinarySearchFunc(a.frags, off, func(x piece, off int32) int { return int(x.off - off) })
	if k < len(a.frags) && a.frags[k].off == off && a.frags[k].end == end && !a.contradicts(d, int(end)) {
		if a.same(&a.frags[k], d, p) {
			return ReasonFragmentDuplicate
		}
		return r.poison(a, ReasonFragmentOverlap)
	}
	switch {
	case k > 0 && a.frags[k-1].end > off, k < len(a.frags) && a.frags[k].off < end, a.contradicts(d, int(end)):
		return r.poison(a, ReasonFragmentOverlap)
	case len(a.frags) == MaxFragments:
		return r.poison(a, ReasonFragmentCount)
	}
	header := 0
	if off == 0 {
		header = d.L4
	}
	if header > maxHeader {
		return r.poison(a, ReasonFragmentRange)
	}
	if reason := r.grow(a, a.used+header+d.Len()); reason != ReasonNone {
		return reason
	}
	if header > 0 {
		a.headerAt, a.header, a.firstLen = a.used, header, d.Len()
		a.fragHdr, a.fragNext = int(d.fragHdr), int(d.fragNext)
		a.used += copyPacket(a.buf.Bytes()[a.used:], p, 0, header)
	}
	copyPacket(a.buf.Bytes()[a.used:], p, d.L4, d.Len())
	a.frags = slices.Insert(a.frags, k, piece{off: off, end: end, pos: int32(a.used)})
	a.used += d.Len()
	a.got += d.Len()
	a.ecn |= 1 << d.ECN()
	a.iface = d.Iface
	if !d.More {
		a.total = int(end)
	}
	if a.header > 0 && a.total != unknownLen && a.length() > MaxDatagram {
		return r.poison(a, ReasonFragmentRange)
	}
	return ReasonNone
}

// length returns what the length field of the whole packet will say: in IPv6 it
// does not count the fixed header.
func (a *assembly) length() int {
	if a.key.v6 {
		return a.header - wire.IPv6Len - wire.IPv6FragmentLen + a.total
	}
	return a.header + a.total
}

// contradicts reports whether a fragment that ends at end disagrees with the
// others about the length of the datagram.
func (a *assembly) contradicts(d *Datagram, end int) bool {
	if a.total != unknownLen {
		return end > a.total || !d.More && end != a.total || d.More && end == a.total
	}
	return !d.More && len(a.frags) > 0 && end <= int(a.frags[len(a.frags)-1].end)
}

// same reports whether the fragment has the bytes of x.
func (a *assembly) same(x *piece, d *Datagram, p *pkt.Packet) bool {
	have := a.buf.Bytes()[x.pos : x.pos+x.end-x.off]
	skip := int(p.L3) + d.L4
	for _, b := range [...][]byte{p.Head, p.Body[0].B, p.Body[1].B} {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b = b[skip:]
		skip = 0
		n := min(len(b), len(have))
		if !bytes.Equal(b[:n], have[:n]) {
			return false
		}
		have = have[n:]
	}
	return len(have) == 0
}

// grow makes the buffer hold n bytes, in steps of the pool's sizes, and pays
// for one more piece.
func (r *Reassembler) grow(a *assembly, n int) Reason {
	if !r.charge(a, pieceCost) {
		return ReasonFragmentMemory
	}
	old := a.buf
	if old != nil && n <= old.Size() {
		return ReasonNone
	}
	size := pkt.Small
	for n > size { // Small, Medium, Large, and once more for headers before 64 KiB
		size *= 4
		if size > pkt.Medium && size < pkt.Large {
			size = pkt.Large
		}
	}
	if size > pkt.Large {
		size = pkt.Large + maxHeader
	}
	if !r.charge(a, size) {
		return ReasonFragmentMemory
	}
	a.buf = r.pool.Chunk(size)
	if old != nil {
		copy(a.buf.Bytes(), old.Bytes()[:a.used])
		r.refund(a, old.Size())
		old.Release()
	}
	return ReasonNone
}

// copyPacket copies n bytes of p, from from bytes behind the start of the IP
// header on, and returns how many there were.
func copyPacket(dst []byte, p *pkt.Packet, from, n int) int {
	dst = dst[:n]
	skip, done := int(p.L3)+from, 0
	for _, b := range [...][]byte{p.Head, p.Body[0].B, p.Body[1].B} {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		done += copy(dst[done:], b[skip:])
		skip = 0
	}
	return done
}

// mixedECN reports whether one fragment says that it met congestion and another
// that it could not have: such a datagram can only be dropped. RFC 3168 §5.3.
func (a *assembly) mixedECN() bool {
	return a.ecn&(1<<wire.CE) != 0 && a.ecn&(1<<wire.NotECT) != 0
}

// assemble makes the whole packet of a complete datagram. The header is the
// first fragment's, with the fragment header taken out (RFC 8200 §4.5), the
// length corrected, and congestion marked if any fragment is (RFC 3168 §5.3). d
// and the Reason become what Parse says about it.
func (r *Reassembler) assemble(a *assembly, d *Datagram) (*pkt.Packet, Reason) {
	src := a.buf.Bytes()
	hdr := src[a.headerAt : a.headerAt+a.header]
	hlen := a.header
	if a.key.v6 {
		hlen -= wire.IPv6FragmentLen
	}
	chunk := r.pool.Tight(hlen + a.total)
	b := chunk.Bytes()[:hlen+a.total]
	if a.key.v6 {
		copy(b, hdr[:a.fragHdr])
		copy(b[a.fragHdr:], hdr[a.fragHdr+wire.IPv6FragmentLen:])
		b[a.fragNext] = hdr[a.fragHdr]
		h := wire.IPv6(b)
		h.SetPayloadLen(uint16(len(b) - wire.IPv6Len))
		if a.ecn&(1<<wire.CE) != 0 {
			h.SetTrafficClass(h.TrafficClass() | wire.CE)
		}
	} else {
		copy(b, hdr)
		if a.ecn&(1<<wire.CE) != 0 {
			b[1] |= wire.CE
		}
		putFragment4(b[:hlen], len(b), 0, false)
	}
	for _, x := range a.frags {
		copy(b[hlen+int(x.off):], src[x.pos:x.pos+x.end-x.off])
	}
	reason := Parse(b, len(b), true, d)
	if reason == ReasonNone {
		hlen = min(d.L4+transportLen(d.Proto, b[d.L4:]), len(b))
	}
	p := r.pool.Packet()
	p.SetFrame(chunk.Ref(b), hlen)
	p.L3, p.L4 = 0, uint16(d.L4)
	return p, reason
}
