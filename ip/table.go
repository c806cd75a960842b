package ip

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/handfast/handfast/wire"
)

// The ways in which editing a Table fails.
var (
	ErrFull        = errors.New("ip: table is full")
	ErrExists      = errors.New("ip: already there")
	ErrNoInterface = errors.New("ip: no such interface")
	ErrPrefix      = errors.New("ip: prefix or address not usable here")
	ErrMTU         = errors.New("ip: IPv6 needs an MTU of 1280 bytes (RFC 8200 §5)")
)

// Route says where packets to a prefix go.
type Route struct {
	Prefix    netip.Prefix // bits beyond its length are ignored
	Gateway   wire.Addr    // unspecified: the destination is on the link
	Source    wire.Addr    // unspecified: SelectSource decides
	Interface int          // ID
	Metric    int          // the lowest wins among routes to one prefix
	MTU       int          // bytes; 0: the interface's
}

// OnLink reports whether the destination is a neighbour.
func (r *Route) OnLink() bool { return r.Gateway.IsUnspecified() }

// NextHop returns the neighbour to which a packet to dst goes.
func (r *Route) NextHop(dst wire.Addr) wire.Addr {
	if r.OnLink() {
		return dst
	}
	return r.Gateway
}

// entry is a route in the form in which it is compared.
type entry struct {
	Route
	hi, lo         uint64 // the prefix, in the 16 bytes of wire.Addr
	maskHi, maskLo uint64
}

// Table is what a host knows about itself and the world: its interfaces with
// their addresses, and its routes. The zero Table is empty and ready. Not safe
// for concurrent use.
type Table struct {
	ifaces     []Interface
	routes     [2][]entry // IPv4, IPv6; longest prefix first, then lowest metric
	generation uint64
}

// Generation returns a number that changes whenever an answer of Lookup or
// SelectSource may have changed, so that connections can keep answers. It is
// never 0 once there is an interface.
func (t *Table) Generation() uint64 { return t.generation }

// AddInterface adds a link. The slice of addresses is copied, and each of them
// brings a route to its prefix. ErrExists if the ID is taken, ErrFull, or what
// AddAddress says about an address; then nothing is added.
func (t *Table) AddInterface(i Interface) error {
	switch {
	case i.ID < 0 || i.MTU < MinMTU4:
		return ErrNoInterface
	case t.Interface(i.ID) != nil:
		return ErrExists
	case len(t.ifaces) == MaxInterfaces:
		return ErrFull
	}
	addrs := i.Addrs
	i.Addrs, i.groups = nil, nil
	t.ifaces = append(t.ifaces, i)
	t.generation++
	for _, a := range addrs {
		if err := t.AddAddress(i.ID, a); err != nil {
			t.RemoveInterface(i.ID)
			return err
		}
	}
	return nil
}

// RemoveInterface removes a link, its addresses and all routes over it.
func (t *Table) RemoveInterface(id int) bool {
	n := len(t.ifaces)
	t.ifaces = slices.DeleteFunc(t.ifaces, func(i Interface) bool { return i.ID == id })
	for f := range t.routes {
		t.routes[f] = slices.DeleteFunc(t.routes[f], func(e entry) bool { return e.Interface == id })
	}
	t.generation++
	return len(t.ifaces) < n
}

// SetMTU changes the MTU of a link, in bytes. ErrNoInterface if it is not there
// or the MTU is below MinMTU4, ErrMTU for less than IPv6 needs on a link with
// one of its addresses (RFC 8200 §5).
func (t *Table) SetMTU(id, mtu int) error {
	i := t.Interface(id)
	switch {
	case i == nil || mtu < MinMTU4:
		return ErrNoInterface
	case mtu < MinMTU6 && slices.ContainsFunc(i.Addrs, func(a Address) bool { return !a.Addr.Is4() }):
		return ErrMTU
	}
	i.MTU = mtu
	t.generation++
	return nil
}

// Interface returns the link with an ID, nil if there is none. It is only to
// be read, and until the next change of the Table.
func (t *Table) Interface(id int) *Interface {
	for k := range t.ifaces { // at most MaxInterfaces
		if t.ifaces[k].ID == id {
			return &t.ifaces[k]
		}
	}
	return nil
}

// Interfaces returns all links; only to be read, until the next change.
func (t *Table) Interfaces() []Interface { return t.ifaces }

// AddAddress gives an interface an address and adds a route to the prefix it is
// in. An address that is there already gets the new length and state.
// ErrNoInterface, ErrFull, ErrPrefix for an address that no host can have, or
// ErrMTU for one of IPv6 on a link that is too narrow (RFC 8200 §5).
func (t *Table) AddAddress(id int, a Address) error {
	i := t.Interface(id)
	p := a.Prefix()
	switch {
	case i == nil:
		return ErrNoInterface
	case !p.IsValid() || a.Addr.IsMulticast() || a.Addr.IsUnspecified() || a.Addr.IsBroadcast():
		return ErrPrefix
	case !a.Addr.Is4() && i.MTU < MinMTU6:
		return ErrMTU
	}
	old := i.find(&a.Addr)
	if old == nil && len(i.Addrs) == MaxAddresses {
		return ErrFull
	}
	if old == nil || old.Bits != a.Bits {
		if err := t.Add(Route{Prefix: p, Interface: id}); err != nil && err != ErrExists {
			return err
		}
	}
	if old == nil {
		i.Addrs = append(i.Addrs, a)
		t.generation++
		return nil
	}
	before := *old
	*old = a
	t.generation++
	if before.Bits != a.Bits {
		t.dropConnected(i, &before)
	}
	return nil
}

// RemoveAddress takes an address from an interface, and the route to its prefix
// unless another address is in it.
func (t *Table) RemoveAddress(id int, a wire.Addr) bool {
	i := t.Interface(id)
	if i == nil {
		return false
	}
	k := slices.IndexFunc(i.Addrs, func(x Address) bool { return x.Addr == a })
	if k < 0 {
		return false
	}
	old := i.Addrs[k]
	i.Addrs = slices.Delete(i.Addrs, k, k+1)
	t.generation++
	t.dropConnected(i, &old)
	return true
}

// dropConnected removes the route that a brought along if no address of i needs
// it any more.
func (t *Table) dropConnected(i *Interface, a *Address) {
	p := a.Prefix().Masked()
	for k := range i.Addrs {
		if i.Addrs[k].Prefix().Masked() == p {
			return
		}
	}
	t.Remove(Route{Prefix: p, Interface: i.ID})
}

// Join makes an interface a member of a multicast group. ErrNoInterface,
// ErrExists, ErrFull, or ErrPrefix for what is no group.
func (t *Table) Join(id int, group wire.Addr) error {
	i := t.Interface(id)
	switch {
	case i == nil:
		return ErrNoInterface
	case !group.IsMulticast():
		return ErrPrefix
	case slices.Contains(i.groups, group):
		return ErrExists
	case len(i.groups) == MaxGroups:
		return ErrFull
	}
	i.groups = append(i.groups, group)
	return nil
}

// Leave ends what Join began.
func (t *Table) Leave(id int, group wire.Addr) bool {
	i := t.Interface(id)
	if i == nil {
		return false
	}
	k := slices.Index(i.groups, group)
	if k < 0 {
		return false
	}
	i.groups = slices.Delete(i.groups, k, k+1)
	return true
}

// Add adds a route. ErrPrefix if the prefix is invalid or the gateway of the
// other family, ErrNoInterface, ErrExists if there is one to this prefix by the
// same gateway, interface and metric, ErrFull.
func (t *Table) Add(r Route) error {
	if !r.Prefix.IsValid() {
		return ErrPrefix
	}
	r.Prefix = netip.PrefixFrom(r.Prefix.Addr().Unmap(), r.Prefix.Bits()).Masked()
	e := newEntry(r)
	is4 := r.Prefix.IsValid() && r.Prefix.Addr().Is4()
	switch {
	case !r.Prefix.IsValid(), !r.OnLink() && r.Gateway.Is4() != is4:
		return ErrPrefix
	case t.Interface(r.Interface) == nil:
		return ErrNoInterface
	case len(t.routes[0])+len(t.routes[1]) >= MaxRoutes:
		return ErrFull
	}
	list := &t.routes[family(is4)]
	if slices.ContainsFunc(*list, func(x entry) bool { return x.same(&r) }) {
		return ErrExists
	}
	// Behind its equals: the first one added wins.
	k, _ := slices.BinarySearchFunc(*list, &e, func(x entry, y *entry) int {
		return cmp.Or(cmp.Compare(y.Prefix.Bits(), x.Prefix.Bits()), cmp.Compare(x.Metric, y.Metric), -1)
	})
	*list = slices.Insert(*list, k, e)
	t.generation++
	return nil
}

// Remove removes the route with r's prefix, gateway, interface and metric.
func (t *Table) Remove(r Route) bool {
	if !r.Prefix.IsValid() {
		return false
	}
	r.Prefix = netip.PrefixFrom(r.Prefix.Addr().Unmap(), r.Prefix.Bits()).Masked()
	if !r.Prefix.IsValid() {
		return false
	}
	list := &t.routes[family(r.Prefix.Addr().Is4())]
	k := slices.IndexFunc(*list, func(x entry) bool { return x.same(&r) })
	if k < 0 {
		return false
	}
	*list = slices.Delete(*list, k, k+1)
	t.generation++
	return true
}

// Routes appends all routes to dst, in the order in which Lookup tries them.
func (t *Table) Routes(dst []Route) []Route {
	for f := range t.routes {
		for k := range t.routes[f] {
			dst = append(dst, t.routes[f][k].Route)
		}
	}
	return dst
}

// Lookup returns the route to dst: the one with the longest prefix, among those
// the lowest metric, among those the first added.
func (t *Table) Lookup(dst wire.Addr) (Route, bool) { return t.lookup(dst, anyInterface) }

// LookupOn is Lookup among the routes over one interface: for destinations that
// mean something on one link only, such as fe80::/10.
func (t *Table) LookupOn(dst wire.Addr, id int) (Route, bool) { return t.lookup(dst, id) }

// anyInterface is no ID.
const anyInterface = -1

func (t *Table) lookup(dst wire.Addr, id int) (Route, bool) {
	hi, lo := binary.BigEndian.Uint64(dst[:8]), binary.BigEndian.Uint64(dst[8:])
	list := t.routes[family(dst.Is4())]
	for k := range list { // at most MaxRoutes
		e := &list[k]
		if hi&e.maskHi == e.hi && lo&e.maskLo == e.lo && (id < 0 || id == e.Interface) {
			return e.Route, true
		}
	}
	return Route{}, false
}

func family(is4 bool) int {
	if is4 {
		return 0
	}
	return 1
}

// newEntry prepares a route whose prefix is masked.
func newEntry(r Route) entry {
	e := entry{Route: r}
	if !r.Prefix.IsValid() {
		return e
	}
	a := wire.AddrFrom(r.Prefix.Addr())
	bits := mappedBits(&a, r.Prefix.Bits())
	e.hi, e.lo = binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	e.maskHi = ^(^uint64(0) >> min(bits, 64))
	e.maskLo = ^(^uint64(0) >> max(bits-64, 0))
	return e
}

// same reports whether e is the route that r names.
func (e *entry) same(r *Route) bool {
	return e.Prefix == r.Prefix && e.Interface == r.Interface && e.Metric == r.Metric &&
		(e.Gateway == r.Gateway || e.OnLink() && r.OnLink())
}
