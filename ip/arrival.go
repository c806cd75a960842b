package ip

import (
	"encoding/binary"

	"github.com/handfast/handfast/wire"
)

// IsLocal returns the ID of the interface that has an address, and whether one
// has. Tentative addresses are nobody's. On a Loopback interface all of
// 127.0.0.0/8 and ::1 are there without being added (RFC 1122 §3.2.1.3 g).
func (t *Table) IsLocal(a *wire.Addr) (id int, ok bool) {
	loopback := a.IsLoopback()
	for k := range t.ifaces {
		i := &t.ifaces[k]
		if loopback && i.Loopback {
			return i.ID, true
		}
		if x := i.find(a); x != nil && !x.Tentative {
			return i.ID, true
		}
	}
	return 0, false
}

// IsBroadcast reports whether a packet to dst on an interface is for all hosts
// there: 255.255.255.255 or the broadcast address of a prefix on it.
func (t *Table) IsBroadcast(id int, dst *wire.Addr) bool {
	if !dst.Is4() {
		return false
	}
	if dst.IsBroadcast() {
		return true
	}
	i := t.Interface(id)
	return i != nil && i.isBroadcast(dst)
}

func (i *Interface) isBroadcast(dst *wire.Addr) bool {
	d := binary.BigEndian.Uint32(dst[12:])
	for k := range i.Addrs {
		if i.Addrs[k].isBroadcast(d) {
			return true
		}
	}
	return false
}

// CheckArrival judges the addresses of a packet that came by interface d.Iface
// by who we are, and sets d.Broadcast for the broadcast of a subnet. An address
// counts on whichever interface its packets arrive: the weak model of RFC 1122
// §3.3.4.2. An interface that is not in the Table gets ReasonNotLocal.
func (t *Table) CheckArrival(d *Datagram) Reason {
	i := t.Interface(d.Iface)
	if i == nil {
		return ReasonNotLocal
	}
	if !i.Loopback {
		if d.Loopback {
			return ReasonLoopback
		}
		if r := t.checkSource(i, d); r != ReasonNone {
			return r
		}
	}
	if d.Multicast {
		if i.inGroup(&d.Dst) {
			return ReasonNone
		}
		return ReasonNotLocal
	}
	if _, ok := t.IsLocal(&d.Dst); ok {
		return ReasonNone
	}
	if !d.V6 && (d.Broadcast || i.isBroadcast(&d.Dst)) {
		d.Broadcast = true
		return ReasonNone
	}
	return ReasonNotLocal
}

// checkSource refuses sources that are not one other host. RFC 1122 §3.2.1.3.
// The unspecified address is right for those who look for an address only: in
// IPv4 by broadcast (RFC 2131 §4.1), in IPv6 by multicast (RFC 4861 §4.3).
func (t *Table) checkSource(i *Interface, d *Datagram) Reason {
	switch {
	case d.SrcUnspecified && !d.Multicast && !d.Broadcast:
		return ReasonSource
	case d.SrcUnspecified:
		return ReasonNone
	case !d.V6 && i.isBroadcast(&d.Src):
		return ReasonSource
	}
	if _, ours := t.IsLocal(&d.Src); ours {
		return ReasonOwnSource
	}
	return ReasonNone
}
