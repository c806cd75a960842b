package engine

import (
	"testing"

	"github.com/handfast/handfast/wire"
)

// The addresses of the bind tests: two of this host in each family, and the
// wildcards.
func bindAddrs() (a4, b4, any4, a6, b6, any6 wire.Addr) {
	return wire.AddrFrom4([4]byte{10, 0, 0, 1}), wire.AddrFrom4([4]byte{10, 0, 0, 2}), wire.AddrFrom4([4]byte{}),
		wire.Addr{0: 0x20, 15: 1}, wire.Addr{0: 0x20, 15: 2}, wire.Addr{}
}

// Exact addresses conflict with themselves and with the wildcard of their
// family; the wildcard of IPv6 takes IPv4 as well, unless it is for IPv6 only.
func TestBindConflicts(t *testing.T) {
	a4, b4, any4, a6, b6, any6 := bindAddrs()
	const dual, v6only = false, true
	for _, c := range []struct {
		name     string
		held     wire.Addr
		heldOnly bool
		want     wire.Addr
		wantOnly bool
		free     bool
	}{
		{"the same IPv4", a4, dual, a4, dual, false},
		{"another IPv4", a4, dual, b4, dual, true},
		{"wildcard of the family held", any4, dual, a4, dual, false},
		{"wildcard of the family wanted", a4, dual, any4, dual, false},
		{"IPv4 and IPv6", a4, dual, a6, dual, true},
		{"wildcard of IPv4 and an IPv6", any4, dual, a6, dual, true},
		{"dual wildcard held, IPv4 wanted", any6, dual, a4, dual, false},
		{"IPv4 held, dual wildcard wanted", a4, dual, any6, dual, false},
		{"dual wildcard held, wildcard of IPv4 wanted", any6, dual, any4, dual, false},
		{"wildcard of IPv6 only held, IPv4 wanted", any6, v6only, a4, dual, true},
		{"both families' own wildcards", any4, dual, any6, v6only, true},
		{"dual and IPv6-only wildcard", any6, dual, any6, v6only, false},
		{"wildcard of IPv6 only held, IPv6 wanted", any6, v6only, a6, dual, false},
		{"the same IPv6, v6only has no meaning", a6, v6only, a6, dual, false},
		{"another IPv6", a6, dual, b6, dual, true},
	} {
		b := newBindTable(10)
		if !b.acquire(binding{c.held, 80, wire.ProtoTCP, c.heldOnly}, false) {
			t.Errorf("%s: the first was refused", c.name)
		}
		k := binding{c.want, 80, wire.ProtoTCP, c.wantOnly}
		if free, got := b.free(k, false), b.acquire(k, false); free != c.free || got != c.free {
			t.Errorf("%s: free %v, acquired %v; want %v", c.name, free, got, c.free)
		}
		k.proto = wire.ProtoUDP
		if !b.free(k, false) {
			t.Errorf("%s: TCP stands in the way of UDP", c.name)
		}
		k.proto, k.port = wire.ProtoTCP, 81
		if !b.free(k, false) {
			t.Errorf("%s: port 80 stands in the way of 81", c.name)
		}
	}
}

// Sharing needs both sides; a binding is free after as many releases as it was
// taken; what is not held is not released.
func TestBindSharingAndReferences(t *testing.T) {
	a4, _, any4, _, _, _ := bindAddrs()
	exact, wild := binding{a4, 80, wire.ProtoTCP, false}, binding{any4, 80, wire.ProtoTCP, false}
	b := newBindTable(10)
	for i, s := range []struct {
		what      string
		got, want bool
	}{
		{"acquire, shared", b.acquire(exact, true), true},
		{"again, not shared", b.acquire(exact, false), false},
		{"again, shared", b.acquire(exact, true), true},
		{"wildcard, shared", b.acquire(wild, true), true},
		{"a connection inherits the wildcard", b.retain(wild), true},
		{"a listener makes it exclusive", b.share(wild, false), true},
		{"another may not share it", b.free(exact, true), false},
		{"the listener goes", b.release(wild), true},
		{"the connection still has it", b.bound(wire.ProtoTCP, 80), true},
		{"and may share it again", b.share(wild, true), true},
		{"so that a new listener gets it", b.acquire(wild, true), true},
		{"one reference", b.release(wild), true},
		{"the other", b.release(wild), true},
		{"no more", b.release(wild), false},
		{"the exact one, once", b.release(exact), true},
		{"still held", b.free(wild, false), false},
		{"twice", b.release(exact), true},
		{"nothing is bound", b.bound(wire.ProtoTCP, 80), false},
		{"nothing to inherit", b.retain(exact), false},
		{"nothing to share", b.share(exact, true), false},
	} {
		if s.got != s.want {
			t.Errorf("step %d, %s: %v, want %v", i, s.what, s.got, s.want)
		}
	}
	if b.len() != 0 || len(b.first) != 0 {
		t.Errorf("%d records and %d ports left, want none", b.len(), len(b.first))
	}
}

// Port 0, other protocols and more bindings than the bound are refused.
func TestBindRefuses(t *testing.T) {
	a4, b4, _, _, _, _ := bindAddrs()
	b := newBindTable(1)
	for _, k := range []binding{{a4, 0, wire.ProtoTCP, false}, {a4, 80, wire.ProtoICMP, false}} {
		if b.free(k, true) || b.acquire(k, true) || b.release(k) {
			t.Errorf("%+v was taken", k)
		}
	}
	if !b.acquire(binding{a4, 80, wire.ProtoTCP, false}, false) || b.acquire(binding{b4, 80, wire.ProtoTCP, false}, false) {
		t.Error("want exactly one binding to fit")
	}
	if n := newBindTable(maxBindings); n.len() != 0 {
		t.Errorf("a fresh table has %d bindings", n.len())
	}
}

// takes reports whether a packet to an address of this host reaches a binding:
// the meaning of bindings, from which conflicts follow.
func takes(k binding, to wire.Addr) bool {
	switch {
	case k.addr == to:
		return true
	case k.addr == wire.AddrFrom4([4]byte{}):
		return to.Is4()
	case k.addr == wire.Addr{}:
		return !k.v6only || !to.Is4()
	}
	return false
}

// The table and a list of holders get the same random steps. In the list two
// bindings conflict when some packet would reach both.
func FuzzBindTable(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 1, 2, 3, 8, 0, 40, 41, 60, 255})
	f.Add(newTestRand(1).bytes(3000))
	f.Add(newTestRand(2).bytes(3000))
	a4, b4, any4, a6, b6, any6 := bindAddrs()
	addrs := [8]wire.Addr{a4, b4, any4, a6, b6, any6, any6, any6}
	f.Fuzz(func(t *testing.T, steps []byte) {
		type holder struct {
			binding
			share bool
		}
		b := newBindTable(1000)
		var held []holder
		for n := 0; n+1 < min(len(steps), 4000); n += 2 {
			s := steps[n]
			k := binding{addrs[s&7], 80 + uint16(s>>3&1), [2]uint8{wire.ProtoTCP, wire.ProtoUDP}[s>>4&1], s&7 == 7}
			share := s>>5&1 != 0
			if steps[n+1]&1 != 0 {
				was := false
				for i, h := range held {
					if h.binding == k {
						held, was = append(held[:i], held[i+1:]...), true
						break
					}
				}
				if got := b.release(k); got != was {
					t.Fatalf("step %d: release of %+v: %v, want %v", n, k, got, was)
				}
				continue
			}
			want := true
			for _, h := range held {
				for _, to := range addrs[:5] {
					same := h.proto == k.proto && h.port == k.port && takes(h.binding, to) && takes(k, to)
					want = want && !(same && !(share && h.share))
				}
			}
			if got := b.acquire(k, share); got != want {
				t.Fatalf("step %d: acquire of %+v, share %v: %v, want %v; held %+v", n, k, share, got, want, held)
			}
			if want {
				held = append(held, holder{k, share})
			}
		}
		for _, h := range held {
			if !b.bound(h.proto, h.port) || !b.release(h.binding) {
				t.Fatalf("%+v was lost", h)
			}
		}
		if b.len() != 0 || b.bound(wire.ProtoTCP, 80) || b.bound(wire.ProtoUDP, 81) {
			t.Fatalf("%d bindings left after all were released", b.len())
		}
	})
}
