package ip

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// PathMTUConfig says how a PathMTU behaves. The zero value is the Linux profile.
type PathMTUConfig struct {
	Floor4 int           // bytes; 0: PathFloor4. The RFC profile has MinMTU4 (RFC 1191 §3)
	Expiry time.Duration // 0: PathMTUExpiry
	Paths  int           // 0: MaxPaths
}

// PathMTU remembers how large packets to a destination may be: by address,
// never by network (RFC 4821 §5.2). RFC 1191, RFC 8201. When it is full the
// path not heard of for longest is forgotten.
type PathMTU struct {
	floor4 int
	expiry time.Duration
	index  map[wire.Addr]int32
	paths  []path
	free   int32 // list of unused paths, by next
	oldest int32
	newest int32
	limit  int
}

// path is what is known about one destination; the paths are linked in the
// order in which they expire.
type path struct {
	dst        wire.Addr
	expires    mono.Time
	again      mono.Time // when what was found by probing is in doubt
	mtu        int32     // that messages named; noLimit: there was none
	found      int32     // by probing; 0: nothing
	next, prev int32
	fragment   bool // below the floor: packets of mtu bytes may be cut on the way
}

// noLimit is the path MTU where no message has named one.
const noLimit = MaxDatagram + 1

// none ends a list of paths.
const none = -1

// NewPathMTU returns an empty PathMTU.
func NewPathMTU(c PathMTUConfig) *PathMTU {
	m := &PathMTU{floor4: c.Floor4, expiry: c.Expiry, limit: c.Paths, free: none, oldest: none, newest: none}
	if m.floor4 == 0 {
		m.floor4 = PathFloor4
	}
	if m.expiry == 0 {
		m.expiry = PathMTUExpiry
	}
	if m.limit == 0 {
		m.limit = MaxPaths
	}
	m.index = make(map[wire.Addr]int32)
	return m
}

// Floor is what no message lowers an estimate below, in bytes.
func (m *PathMTU) Floor(is4 bool) int {
	if is4 {
		return m.floor4
	}
	return MinMTU6
}

// Get returns the path MTU to dst in bytes, at most linkMTU, and whether DF is
// to be set on what is sent there. linkMTU is the answer where nothing is known
// or the knowledge has expired: that is how an estimate rises again (RFC 1191
// §6.3).
func (m *PathMTU) Get(now mono.Time, dst *wire.Addr, linkMTU int) (mtu int, df bool) {
	k, ok := m.index[*dst]
	if !ok || m.paths[k].expires.Due(now) {
		return linkMTU, true
	}
	p := &m.paths[k]
	return min(int(p.mtu), linkMTU), !p.fragment
}

// Update takes in what an ICMP message says about the path to dst: that the
// next hop's MTU is mtu bytes, 0 if its router did not say, and that a packet of
// quoted bytes, by its own length field, was too big. The caller has made sure
// that the packet is one of ours (RFC 8201 §4). It reports whether an answer
// of Get changed: the estimate fell, or DF is no longer to be set. The estimate
// never rises by a message.
//
// An IPv6 message that names less than 1280 is void (RFC 8201 §4); one of IPv4
// that names less than the floor lowers to the floor, and DF is no longer set,
// so that a path that narrow still works.
//
// Deviation: the floor is 552 as in Linux, not 68 (RFC 1191 §3), unless
// configured.
func (m *PathMTU) Update(now mono.Time, dst *wire.Addr, mtu, quoted, linkMTU int) bool {
	m.Advance(now)
	current, df := m.Get(now, dst, linkMTU)
	narrow := false
	if dst.Is4() {
		if mtu == 0 {
			mtu = Plateau(min(quoted, current))
		}
		if floor := min(m.floor4, current); mtu < floor {
			mtu, narrow = floor, true
		}
	} else if mtu < MinMTU6 {
		return false
	}
	if mtu >= current && !(narrow && mtu == current) {
		return false
	}
	k, ok := m.index[*dst]
	if ok {
		m.unlink(k)
	} else {
		k = m.add(dst)
	}
	p := &m.paths[k]
	p.mtu, p.fragment, p.expires = int32(mtu), narrow, now.Add(m.expiry)
	m.link(k)
	return mtu < current || narrow && df
}

// Found returns the largest packet in bytes that is known to reach dst from
// probes of the packetization layer, for those who have not sent there yet, and
// when that is to be tried anew. ok is false if nothing is known. RFC 4821 §5.2.
func (m *PathMTU) Found(now mono.Time, dst *wire.Addr) (mtu int, again mono.Time, ok bool) {
	k, ok := m.index[*dst]
	if !ok || m.paths[k].found == 0 || m.paths[k].expires.Due(now) {
		return 0, 0, false
	}
	return int(m.paths[k].found), m.paths[k].again, true
}

// SetFound notes what probes have found, and when they are to be repeated; mtu
// 0 forgets it.
func (m *PathMTU) SetFound(now mono.Time, dst *wire.Addr, mtu int, again mono.Time) {
	m.Advance(now)
	k, ok := m.index[*dst]
	switch {
	case !ok && mtu == 0:
		return
	case !ok:
		k = m.add(dst)
		m.paths[k].mtu = noLimit
	case m.paths[k].mtu == noLimit:
		m.unlink(k)
	}
	p := &m.paths[k]
	p.found, p.again = int32(mtu), again
	if p.mtu != noLimit {
		return // what a message said expires when it would have
	}
	p.expires = now.Add(m.expiry)
	m.link(k)
	if mtu == 0 {
		m.remove(k)
	}
}

// Forget drops what is known about dst, for example because its route changed.
func (m *PathMTU) Forget(dst *wire.Addr) {
	if k, ok := m.index[*dst]; ok {
		m.remove(k)
	}
}

// Len returns how many destinations are remembered.
func (m *PathMTU) Len() int { return len(m.index) }

// Deadline returns when the next estimate expires; 0 if none will.
func (m *PathMTU) Deadline() mono.Time {
	if m.oldest == none {
		return 0
	}
	return m.paths[m.oldest].expires
}

// Advance forgets what has expired, and reports whether an answer of Get
// changed by that.
func (m *PathMTU) Advance(now mono.Time) (changed bool) {
	for m.oldest != none && m.paths[m.oldest].expires.Due(now) { // at most limit steps
		changed = changed || m.paths[m.oldest].mtu != noLimit
		m.remove(m.oldest)
	}
	return changed
}

// add makes a record for a new destination, of a forgotten one if need be. It
// is not linked yet.
func (m *PathMTU) add(dst *wire.Addr) int32 {
	if len(m.index) >= m.limit {
		m.remove(m.oldest)
	}
	k := m.free
	if k != none {
		m.free = m.paths[k].next
	} else {
		k = int32(len(m.paths))
		m.paths = append(m.paths, path{})
	}
	m.paths[k] = path{dst: *dst}
	m.index[*dst] = k
	return k
}

func (m *PathMTU) remove(k int32) {
	m.unlink(k)
	delete(m.index, m.paths[k].dst)
	m.paths[k].next, m.free = m.free, k
}

// link appends a path as the last to expire, which it is: all live equally long.
func (m *PathMTU) link(k int32) {
	p := &m.paths[k]
	p.prev, p.next = m.newest, none
	if m.newest == none {
		m.oldest = k
	} else {
		m.paths[m.newest].next = k
	}
	m.newest = k
}

func (m *PathMTU) unlink(k int32) {
	p := &m.paths[k]
	if p.prev == none {
		m.oldest = p.next
	} else {
		m.paths[p.prev].next = p.next
	}
	if p.next == none {
		m.newest = p.prev
	} else {
		m.paths[p.next].prev = p.prev
	}
}

// plateaus are the MTUs of the links that are out there. RFC 1191 §7.1.
var plateaus = [...]int{32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, MinMTU4}

// Plateau returns the largest common MTU below n bytes, 68 at least: what a
// message means that names none. RFC 1191 §5.
func Plateau(n int) int {
	for _, p := range plateaus {
		if p < n {
			return p
		}
	}
	return MinMTU4
}
