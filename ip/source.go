package ip

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/handfast/handfast/wire"
)

// Scopes of addresses, as multicast addresses of IPv6 carry them. RFC 4291
// §2.7, RFC 6724 §3.1.
const (
	scopeInterface = 1
	scopeLink      = 2
	scopeSite      = 5
	scopeGlobal    = 14
)

// scope returns the scope of an address; loopback counts as link-local, and so
// do 127.0.0.0/8 and 169.254.0.0/16 (RFC 6724 §3.1, §3.2).
func scope(a *wire.Addr) int {
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return scopeLink
	case a.Is4() && a.IsMulticast():
		if a[12] == 224 && a[13] == 0 && a[14] == 0 {
			return scopeLink // RFC 5771 §4
		}
		return scopeGlobal
	case a.IsMulticast():
		return int(a[1] & 15)
	case a[0] == 0xfe && a[1]&0xc0 == 0xc0:
		return scopeSite // deprecated, RFC 3879
	}
	return scopeGlobal
}

// policies is the default policy table of RFC 6724 §2.1, longest prefix first.
var policies = [...]struct {
	prefix     netip.Prefix
	precedence uint8
	label      uint8
}{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::ffff:0:0/96"), 35, 4},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

// Policy returns precedence and label of an address by the default policy table
// of RFC 6724 §2.1.
func Policy(a wire.Addr) (precedence, label uint8) {
	n := netip.AddrFrom16(a) // not unmapped: the table has a row for mapped addresses
	for k := range policies {
		if policies[k].prefix.Contains(n) {
			return policies[k].precedence, policies[k].label
		}
	}
	return 0, 0 // ::/0 holds everything
}

// commonBits returns how many leading bits of two addresses are equal, 0 to
// 128, counted in their 16 bytes.
func commonBits(a, b *wire.Addr) int {
	if x := binary.BigEndian.Uint64(a[:8]) ^ binary.BigEndian.Uint64(b[:8]); x != 0 {
		return bits.LeadingZeros64(x)
	}
	return 64 + bits.LeadingZeros64(binary.BigEndian.Uint64(a[8:])^binary.BigEndian.Uint64(b[8:]))
}

// SelectSource returns the source address for packets to dst over route r, by
// the rules of RFC 6724 §5 for a host that neither moves nor uses temporary
// addresses; ok is false if there is none of the family. A route's own Source
// goes first. Candidates are the addresses of all interfaces; for a
// destination that means something on one link only, those of r's interface
// (RFC 6724 §4). IPv4 goes by the same rules.
func (t *Table) SelectSource(dst wire.Addr, r *Route) (src wire.Addr, ok bool) {
	if !r.Source.IsUnspecified() {
		if _, ours := t.IsLocal(&r.Source); ours && r.Source.Is4() == dst.Is4() {
			return r.Source, true
		}
	}
	if _, ours := t.IsLocal(&dst); ours { // rule 1, with the unlisted loopback addresses
		return dst, true
	}
	to := target{dst: dst, hop: r.NextHop(dst), scope: scope(&dst), iface: r.Interface}
	_, to.label = Policy(dst)
	narrow := dst.IsMulticast() || to.scope <= scopeLink
	var best *Address
	var bestIface int
	for k := range t.ifaces {
		i := &t.ifaces[k]
		if i.ID != r.Interface && (narrow || i.Loopback) {
			continue
		}
		for j := range i.Addrs {
			a := &i.Addrs[j]
			if a.Tentative || a.Addr.Is4() != dst.Is4() {
				continue
			}
			if best == nil || to.prefers(a, i.ID, best, bestIface) {
				best, bestIface = a, i.ID
			}
		}
	}
	if best == nil {
		return wire.Addr{}, false
	}
	return best.Addr, true
}

// target is the destination that candidates are compared for.
type target struct {
	dst, hop wire.Addr
	scope    int
	iface    int
	label    uint8
}

// prefers reports whether a, on interface i, is better than b, on interface j.
// Each step is a rule of RFC 6724 §5; an equal pair goes on to the next one, and
// the earlier address stays in the end.
func (t *target) prefers(a *Address, i int, b *Address, j int) bool {
	if sa, sb := scope(&a.Addr), scope(&b.Addr); sa != sb { // rule 2: appropriate scope
		if sa < sb {
			return sa >= t.scope
		}
		return sb < t.scope
	}
	if a.Deprecated != b.Deprecated { // rule 3
		return b.Deprecated
	}
	if (i == t.iface) != (j == t.iface) { // rule 5: outgoing interface
		return i == t.iface
	}
	if ha, hb := a.holds(&t.hop), b.holds(&t.hop); ha != hb { // rule 5.5: the next hop's prefix
		return ha
	}
	_, la := Policy(a.Addr)
	_, lb := Policy(b.Addr)
	if (la == t.label) != (lb == t.label) { // rule 6
		return la == t.label
	}
	return t.common(a) > t.common(b) // rule 8
}

// common is CommonPrefixLen of RFC 6724 §2.2: never longer than the prefix of
// the address.
func (t *target) common(a *Address) int {
	return min(commonBits(&a.Addr, &t.dst), mappedBits(&a.Addr, a.Bits))
}
