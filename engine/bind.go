package engine

import "github.com/handfast/handfast/wire"

// binding is a local address that a listener, a UDP socket or a socket bound
// before it connects holds.
type binding struct {
	addr   wire.Addr // 0.0.0.0 and :: are the wildcards
	port   uint16    // not 0
	proto  uint8     // wire.ProtoTCP or wire.ProtoUDP
	v6only bool      // of :: alone: IPv4 is not taken as well
}

// normal returns the binding with v6only cleared where it means nothing, so
// that equal bindings are equal.
func (k binding) normal() binding {
	k.v6only = k.v6only && k.addr == wire.Addr{}
	return k
}

// valid reports whether the table can hold the binding.
func (k *binding) valid() bool {
	return k.port != 0 && (k.proto == wire.ProtoTCP || k.proto == wire.ProtoUDP)
}

// families returns which families' packets can reach the binding: bit 0 for
// IPv4, bit 1 for IPv6. The wildcard of IPv6 takes both, unless v6only.
func (k *binding) families() uint8 {
	switch {
	case k.addr.Is4():
		return 1
	case k.addr == wire.Addr{} && !k.v6only:
		return 3
	}
	return 2
}

// overlaps reports whether some packet could be meant for either of two
// bindings of one protocol and port.
func (k *binding) overlaps(o *binding) bool {
	if k.families()&o.families() == 0 {
		return false
	}
	return k.addr == o.addr || k.addr.IsUnspecified() || o.addr.IsUnspecified()
}

// boundRecord is a binding that is held: refs times, by holders that all agreed
// to share it or by those that inherited it.
type boundRecord struct {
	binding
	next   uint32 // the next record of the same protocol and port
	refs   uint32
	shared bool
}

// bindTable knows which local addresses are held. Two bindings that overlap
// exclude each other unless both are shared; what shared means is decided by
// the caller (SO_REUSEADDR, SO_REUSEPORT). newBindTable makes one.
//
// Ports come from the host's own programs and not from peers, so a Go map is
// enough; it is never iterated. Asking about one port is a bit in a bitmap, for
// the search of a free one.
type bindTable struct {
	records slab[boundRecord]
	first   map[uint32]uint32 // protocol and port -> the first of its records
	taken   [2]*portSet       // TCP, UDP; made at first use
}

// portSet has one bit per port.
type portSet [1 << 16 / 64]uint64

// newBindTable returns an empty table for at most max bindings.
func newBindTable(max int) *bindTable {
	return &bindTable{records: newSlab[boundRecord](max), first: make(map[uint32]uint32)}
}

// slot is the place of a valid binding in first.
func (k *binding) slot() uint32 { return uint32(k.proto)<<16 | uint32(k.port) }

// portSetOf is the place of a protocol in taken.
func portSetOf(proto uint8) int {
	if proto == wire.ProtoUDP {
		return 1
	}
	return 0
}

// find returns the record of exactly this binding, nil when it is not held.
func (b *bindTable) find(k *binding) *boundRecord {
	for i := b.first[k.slot()]; i != 0; {
		r := b.records.at(i)
		if r.binding == *k {
			return r
		}
		i = r.next
	}
	return nil
}

// free reports whether acquire would find no conflict.
func (b *bindTable) free(k binding, share bool) bool {
	k = k.normal()
	if !k.valid() {
		return false
	}
	if !b.bound(k.proto, k.port) {
		return true
	}
	for i := b.first[k.slot()]; i != 0; {
		r := b.records.at(i)
		if !(share && r.shared) && k.overlaps(&r.binding) {
			return false
		}
		i = r.next
	}
	return true
}

// acquire takes a binding, or one more reference to it when it is held and both
// holders share. It reports false, and does nothing, when a holder conflicts
// (the caller's EADDRINUSE), when the table is full, and for port 0 or another
// protocol than TCP and UDP.
func (b *bindTable) acquire(k binding, share bool) bool {
	k = k.normal()
	if !b.free(k, share) {
		return false
	}
	if r := b.find(&k); r != nil {
		r.refs++
		return true
	}
	i := b.records.alloc()
	if i == 0 {
		return false
	}
	*b.records.at(i) = boundRecord{binding: k, next: b.first[k.slot()], refs: 1, shared: share}
	b.first[k.slot()] = i
	set := &b.taken[portSetOf(k.proto)]
	if *set == nil {
		*set = new(portSet)
	}
	(*set)[k.port/64] |= 1 << (k.port % 64)
	return true
}

// retain takes one more reference to a binding that is held, without asking for
// conflicts: a connection that came through a listener keeps its port. It
// reports whether the binding is held.
func (b *bindTable) retain(k binding) bool {
	k = k.normal()
	r := b.find(&k)
	if r != nil {
		r.refs++
	}
	return r != nil
}

// share changes whether a binding that is held may be shared from now on: no
// longer once one of its holders listens, again when that one has gone. It
// reports whether the binding is held.
func (b *bindTable) share(k binding, on bool) bool {
	k = k.normal()
	r := b.find(&k)
	if r != nil {
		r.shared = on
	}
	return r != nil
}

// release gives back one reference; with the last the binding is free. It
// reports whether the binding was held.
func (b *bindTable) release(k binding) bool {
	k = k.normal()
	before := uint32(0)
	i := b.first[k.slot()]
	for i != 0 && b.records.at(i).binding != k {
		before, i = i, b.records.at(i).next
	}
	if i == 0 {
		return false
	}
	r := b.records.at(i)
	if r.refs--; r.refs > 0 {
		return true
	}
	switch {
	case before != 0:
		b.records.at(before).next = r.next
	case r.next != 0:
		b.first[k.slot()] = r.next
	default:
		delete(b.first, k.slot())
		b.taken[portSetOf(k.proto)][k.port/64] &^= 1 << (k.port % 64)
	}
	b.records.free(i)
	return true
}

// bound reports whether anything at all is bound to a port: the quick question
// for the search of an ephemeral port, which such a port is not.
func (b *bindTable) bound(proto uint8, port uint16) bool {
	set := b.taken[portSetOf(proto)]
	return set != nil && set[port/64]>>(port%64)&1 != 0
}

// len returns the number of different bindings that are held.
func (b *bindTable) len() int { return b.records.len() }
