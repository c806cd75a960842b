package engine

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// initIP makes the internet layer.
func (e *Engine) initIP(secret sipKey) {
	e.routes = new(ip.Table)
	paths := ip.PathMTUConfig{}
	if e.tcp.Profile == tcp.ProfileRFC {
		paths.Floor4 = ip.MinMTU4
	}
	e.paths = ip.NewPathMTU(paths)
	e.reass = ip.NewReassembler(e.pool, ip.ReassemblyConfig{})
	k := secret.derive(domainIdents)
	e.idents = ip.NewIDs(ip.Key{K0: k.k0, K1: k.k1})
	e.icmpErrors = e.newICMPLimiter(secret)
	e.cookieKey = secret.derive(domainCookie)
}

// Domains of keys derived for other packages, beyond those of this one.
const (
	domainIdents = 0x69647300 + iota
	domainICMP
)

// AddInterface adds an interface and gives it the next number. An MTU that is
// out of range becomes the nearest one that is not, and so does MaxGSO.
func (e *Engine) AddInterface(i Interface) *Interface {
	n := i
	n.MTU = min(max(n.MTU, ip.MinMTU4), ip.MaxDatagram)
	n.MaxGSO = min(max(n.MaxGSO, 0), ip.MaxDatagram)
	n.ID = len(e.ifaces)
	e.ifaces = append(e.ifaces, &n)
	e.routes.AddInterface(ip.Interface{ID: n.ID, Name: n.Name, MTU: n.MTU, Loopback: n.ID == 0})
	return &n
}

// RemoveInterface takes an interface with its addresses and routes out.
// Connections over it find no route and time out, unless one comes back.
func (e *Engine) RemoveInterface(id int) {
	if id > 0 && id < len(e.ifaces) {
		e.Hold(id, false)
		e.ifaces[id] = &Interface{ID: id, Name: e.ifaces[id].Name, MTU: e.ifaces[id].MTU, loopback: true}
		e.routes.RemoveInterface(id)
	}
}

// SetMTU changes the MTU of an interface in use to mtu bytes, or to the nearest
// MTU that is allowed. Connections follow before they next send. The error is
// ip.ErrNoInterface, or ip.ErrMTU for less than IPv6 needs on an interface that
// has one of its addresses (RFC 8200 §5); then nothing changes.
func (e *Engine) SetMTU(id, mtu int) error {
	i := e.Interface(id)
	if i == nil {
		return ip.ErrNoInterface
	}
	mtu = min(max(mtu, ip.MinMTU4), ip.MaxDatagram)
	if err := e.routes.SetMTU(id, mtu); err != nil {
		return err
	}
	i.MTU = mtu
	e.pathGen++
	return nil
}

// Hold stops, or resumes, what connections send by an interface whose device
// cannot take more: they keep it, and other interfaces are not held up. What
// belongs to no connection (resets, datagrams) is still handed out.
func (e *Engine) Hold(id int, on bool) {
	i := e.Interface(id)
	if i == nil {
		return
	}
	i.held = on
	if on {
		return
	}
	for c := i.parked.pop(); c != nil; c = i.parked.pop() {
		e.out.push(c)
	}
}

// Interface returns an interface by number, nil if there is none.
func (e *Engine) Interface(id int) *Interface {
	if id < 0 || id >= len(e.ifaces) {
		return nil
	}
	return e.ifaces[id]
}

// AddAddress gives an interface an address with its on-link prefix. The errors
// are those of ip.Table.AddAddress; ip.ErrMTU comes wrapped, with what can be
// done.
func (e *Engine) AddAddress(id int, p netip.Prefix) error {
	err := e.routes.AddAddress(id, ip.AddressFrom(p))
	if err == ip.ErrMTU {
		i := e.ifaces[id]
		return fmt.Errorf("cannot give %v to %s with its MTU of %d bytes: %w; raise the MTU or use IPv4 alone", p, i.Name, i.MTU, err)
	}
	return err
}

// AddRoute adds a route by way of gateway, or on the link when gateway is not
// set.
func (e *Engine) AddRoute(p netip.Prefix, gateway netip.Addr, iface int) error {
	return e.routes.Add(ip.Route{Prefix: p, Gateway: toAddr(gateway), Interface: iface})
}

// Routes gives access to addresses and routes.
func (e *Engine) Routes() *ip.Table { return e.routes }

// route finds the interface to a destination and the source address, unless
// one is given. RFC 9293 §3.9.1.1 (MUST-44).
func (e *Engine) route(local, remote wire.Addr) (*Interface, wire.Addr, error) {
	if !local.IsUnspecified() {
		if _, ok := e.routes.IsLocal(&local); !ok {
			return nil, local, ErrAddrNotAvail
		}
		if local.Is4() != remote.Is4() {
			return nil, local, ErrNoRoute
		}
	}
	if id, ok := e.routes.IsLocal(&remote); ok { // ourselves
		_ = id
		if local.IsUnspecified() {
			local = remote
		}
		return e.ifaces[0], local, nil
	}
	r, ok := e.routes.Lookup(remote)
	if !ok {
		e.stats.Count[NoRoute]++
		return nil, local, ErrNoRoute
	}
	if e.routes.IsBroadcast(r.Interface, &remote) {
		return nil, local, ErrInvalidAddr
	}
	if local.IsUnspecified() {
		if local, ok = e.routes.SelectSource(remote, &r); !ok {
			return nil, local, ErrAddrNotAvail
		}
	}
	return e.ifaces[r.Interface], local, nil
}

// reroute looks for another way to a connection's peer, because the present
// one seems dead: R1 of RFC 9293 §3.8.3 (a). The local address stays.
func (e *Engine) reroute(c *Conn) {
	if iface, _, err := e.route(c.flow.Local, c.flow.Remote); err == nil {
		c.iface = uint16(iface.ID)
	}
}

// pathMTU is the MTU to a flow's remote end.
func (e *Engine) pathMTU(now mono.Time, f *Flow, iface *Interface) int {
	mtu, _ := e.paths.Get(now, &f.Remote, iface.MTU)
	return mtu
}

// advanceIP lets reassembly and path MTUs age.
func (e *Engine) advanceIP(now mono.Time) {
	e.reass.Advance(now, func(x *ip.Expired) { e.sendTimeExceeded(now, x) })
	e.agePaths(now)
}

// loopbackOf is where a connection to the unspecified address goes.
func loopbackOf(a netip.Addr) wire.Addr {
	if a.Is4() {
		return wire.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return wire.Addr{15: 1}
}

// Close drops everything that the Engine holds: queued packets, fragments,
// datagrams nobody read. Connections are aborted; their resets are not sent.
func (e *Engine) Close(now mono.Time) {
	for _, l := range e.sortedListeners() {
		l.Close(now)
	}
	for _, u := range e.sortedUDP() {
		u.Close()
	}
	var all []*Conn
	e.conns.each(func(c *Conn) bool { all = append(all, c); return true })
	for _, c := range all {
		c.Abort(now)
		e.forget(c)
		e.ready.push(c)
	}
	ended := slices.SortedFunc(maps.Keys(e.unread), func(a, b *Conn) int { return cmp.Compare(a.id, b.id) })
	for _, c := range ended {
		c.letGo()
		c.TCB.Abort(now)
	}
	for _, i := range e.ifaces {
		e.Hold(i.ID, false)
	}
	for c := e.out.pop(); c != nil; c = e.out.pop() {
	}
	e.control.Release()
	e.loop.Release()
	e.reass.Close()
}
