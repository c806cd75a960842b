package ip

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// ReassemblyConfig bounds a Reassembler. A zero field means the default of
// limits.go.
type ReassemblyConfig struct {
	Memory   int           // bytes charged in all
	Share    int           // bytes charged for one source
	Timeout4 time.Duration // from the first fragment that arrives
	Timeout6 time.Duration
}

// Reassembler collects the fragments of datagrams of both families: in any
// order, with duplicates. RFC 791 §3.2, RFC 815, RFC 8200 §4.5. A datagram
// whose fragments overlap is dropped whole, with all that still come (RFC
// 5722), in silence.
//
// Deviation: IPv4 is treated the same way, although RFC 791 §3.2 lets the newer
// fragment win: what overlaps is an attack or broken, and two receivers that
// disagree about the winner are the point of the attack.
//
// Fragments are copied, so that a small one does not keep a large buffer; all
// memory is charged, to everyone together and to each source (in IPv6, to each
// network of 64 bits), and the oldest datagram goes first when it runs out.
type Reassembler struct {
	pool    *pkt.Pool
	c       ReassemblyConfig
	index   map[fragKey]*assembly
	sources map[wire.Addr]*fragSource
	ages    [2]ageList // IPv4, IPv6: each has one timeout, so it is in order
	charged int
	free    *assembly // records to use again, linked by older.next
	nfree   int
	stats   ReassemblyStats
}

// ReassemblyStats counts what happened to datagrams, as against fragments,
// which Add's Reason is about.
type ReassemblyStats struct {
	Completed uint64
	TimedOut  uint64
	Evicted   uint64 // for want of memory
	Poisoned  uint64 // overlapping, inconsistent, or in too many pieces
}

// fragKey says which fragments belong together. The protocol counts for IPv4
// only (RFC 791 §3.2, RFC 8200 §4.5); the interface where addresses need it.
type fragKey struct {
	src, dst wire.Addr
	id       uint32
	iface    int32
	proto    uint8
	v6       bool
}

// fragSource is what one source is charged.
type fragSource struct {
	charged int
	all     ageList
}

// NewReassembler returns an empty Reassembler that takes buffers from pool.
func NewReassembler(pool *pkt.Pool, c ReassemblyConfig) *Reassembler {
	return &Reassembler{
		pool: pool, c: c.filled(),
		index:   make(map[fragKey]*assembly),
		sources: make(map[wire.Addr]*fragSource),
	}
}

// filled returns c with defaults where a field is 0.
func (c ReassemblyConfig) filled() ReassemblyConfig {
	if c.Memory == 0 {
		c.Memory = ReassemblyMemory
	}
	if c.Share == 0 {
		c.Share = min(ReassemblyShare, c.Memory)
	}
	if c.Timeout4 == 0 {
		c.Timeout4 = ReassemblyTimeout4
	}
	if c.Timeout6 == 0 {
		c.Timeout6 = ReassemblyTimeout6
	}
	return c
}

// Config returns the bounds in force.
func (r *Reassembler) Config() ReassemblyConfig { return r.c }

// SetConfig changes the bounds, also for what is incomplete now; a field that
// is 0 takes its default. What is beyond a smaller memory goes when the next
// fragment comes.
func (r *Reassembler) SetConfig(c ReassemblyConfig) { r.c = c.filled() }

// expires returns when a datagram of a family is given up.
func (r *Reassembler) expires(family int, a *assembly) mono.Time {
	if family == 1 {
		return a.since.Add(r.c.Timeout6)
	}
	return a.since.Add(r.c.Timeout4)
}

// Charged returns the bytes held: buffers and records of all incomplete
// datagrams.
func (r *Reassembler) Charged() int { return r.charged }

// Len returns the number of incomplete datagrams.
func (r *Reassembler) Len() int { return len(r.index) }

// Stats returns the counters.
func (r *Reassembler) Stats() ReassemblyStats { return r.stats }

// Add takes in one fragment, p, which Parse described in d: p.L3 is where the
// IP header starts in p.Head, and all headers lie in Head. It takes p over.
//
// If the datagram is complete, done is the whole of it, the caller's to
// release: one buffer with all headers in Head, without fragment header, L3 and
// L4 set, the transport checksum still to be verified. d then describes it as
// Parse does, and the Reason, if any, is Parse's about the whole, with d.Problem.
// Without done, ReasonNone means that the fragment is kept; other reasons, that
// it was dropped. Whoever calls Add has called Advance with the same time.
func (r *Reassembler) Add(now mono.Time, d *Datagram, p *pkt.Packet) (done *pkt.Packet, reason Reason) {
	if p.Len()-int(p.L3) < d.End {
		p.Release()
		return nil, ReasonLength
	}
	key := keyOf(d)
	a := r.index[key]
	if a == nil {
		if a = r.open(now, key); a == nil {
			p.Release()
			return nil, ReasonFragmentMemory
		}
	}
	reason = r.insert(a, d, p)
	p.Release()
	if reason != ReasonNone || !a.complete() {
		return nil, reason
	}
	if a.mixedECN() {
		r.close(a)
		return nil, ReasonFragmentECN
	}
	done, reason = r.assemble(a, d)
	r.close(a)
	r.stats.Completed++
	return done, reason
}

// Expired is a datagram that was given up. Its source is owed Time Exceeded,
// code 1: only datagrams whose first fragment arrived are reported.
type Expired struct {
	Src, Dst wire.Addr
	Iface    int
	First    []byte // the first fragment from its IP header on, as it came; valid during the call
	V6       bool
}

// Advance gives up all datagrams whose time is over and calls owed, which may
// be nil, for each that an ICMP error is owed for. RFC 1122 §3.3.2, RFC 8200
// §4.5.
func (r *Reassembler) Advance(now mono.Time, owed func(x *Expired)) {
	for f := range r.ages {
		for a := r.ages[f].front; a != nil && r.expires(f, a).Due(now); a = r.ages[f].front { // each round ends one
			if owed != nil && a.header > 0 && !a.poisoned {
				owed(&Expired{
					Src: a.key.src, Dst: a.key.dst, V6: a.key.v6, Iface: a.iface,
					First: a.buf.Bytes()[a.headerAt : a.headerAt+a.header+a.firstLen],
				})
			}
			r.stats.TimedOut++
			r.close(a)
		}
	}
}

// Deadline returns when Advance is next needed; 0 if nothing waits.
func (r *Reassembler) Deadline() mono.Time {
	var t mono.Time
	for f := range r.ages {
		if a := r.ages[f].front; a != nil {
			t = mono.Earlier(t, r.expires(f, a))
		}
	}
	return t
}

// Close drops everything.
func (r *Reassembler) Close() {
	for f := range r.ages {
		for r.ages[f].front != nil {
			r.close(r.ages[f].front)
		}
	}
}

func keyOf(d *Datagram) fragKey {
	k := fragKey{src: d.Src, dst: d.Dst, id: d.FragID, v6: d.V6}
	if !d.V6 {
		k.proto = d.Proto
	}
	if d.Src.IsLinkLocalUnicast() {
		k.iface = int32(d.Iface)
	}
	return k
}

// sourceOf returns who is charged for a datagram: in IPv6 a network of 64 bits,
// because whoever has one address there has all of them.
func sourceOf(k *fragKey) wire.Addr {
	a := k.src
	if k.v6 {
		clear(a[8:])
	}
	return a
}

// open makes a record for a new datagram; nil if there is no room for one.
func (r *Reassembler) open(now mono.Time, key fragKey) *assembly {
	who := sourceOf(&key)
	s := r.sources[who]
	if s == nil {
		s = new(fragSource)
		r.sources[who] = s
	}
	a := r.free
	if a != nil {
		r.free, r.nfree = a.age.next, r.nfree-1
		*a = assembly{frags: a.frags[:0]}
	} else {
		a = new(assembly)
	}
	a.key, a.source, a.total = key, s, unknownLen
	family := 0
	if key.v6 {
		family = 1
	}
	a.since = now
	r.index[key] = a
	r.ages[family].push(a, byAge)
	s.all.push(a, bySource)
	if !r.charge(a, recordCost) {
		return nil
	}
	return a
}

// close ends a datagram's record, for whatever reason.
func (r *Reassembler) close(a *assembly) {
	r.dropBuffer(a)
	r.refund(a, a.charged)
	family := 0
	if a.key.v6 {
		family = 1
	}
	r.ages[family].remove(a, byAge)
	a.source.all.remove(a, bySource)
	if a.source.all.front == nil {
		delete(r.sources, sourceOf(&a.key))
	}
	delete(r.index, a.key)
	a.source = nil
	if r.nfree < maxFreeRecords {
		a.age.next, r.free = r.free, a
		r.nfree++
	}
}

// charge makes room for n more bytes of a by dropping older datagrams: of its
// own source beyond the source's share, of anyone beyond the total. If a itself
// is the oldest it goes, and the result is false.
func (r *Reassembler) charge(a *assembly, n int) bool {
	for a.source.charged+n > r.c.Share { // each round ends one datagram
		if !r.evict(a.source.all.front, a) {
			return false
		}
	}
	for r.charged+n > r.c.Memory {
		if !r.evict(r.oldest(), a) {
			return false
		}
	}
	a.charged += n
	a.source.charged += n
	r.charged += n
	return true
}

// evict drops victim and reports whether a is still there.
func (r *Reassembler) evict(victim, a *assembly) bool {
	r.stats.Evicted++
	r.close(victim)
	return victim != a
}

// oldest returns the datagram that began first.
func (r *Reassembler) oldest() *assembly {
	a, b := r.ages[0].front, r.ages[1].front
	switch {
	case a == nil:
		return b
	case b == nil || a.since <= b.since:
		return a
	}
	return b
}

func (r *Reassembler) refund(a *assembly, n int) {
	a.charged -= n
	a.source.charged -= n
	r.charged -= n
}

// poison gives a datagram up but keeps its record until its time is over, so
// that the fragments still to come are dropped as well. RFC 5722 §4.
func (r *Reassembler) poison(a *assembly, why Reason) Reason {
	r.stats.Poisoned++
	a.poisoned = true
	a.frags = a.frags[:0]
	r.dropBuffer(a)
	return why
}

// dropBuffer gives the buffer back.
func (r *Reassembler) dropBuffer(a *assembly) {
	if a.buf != nil {
		r.refund(a, a.buf.Size())
		a.buf.Release()
		a.buf = nil
	}
}
