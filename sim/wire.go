package sim

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Wire joins two hosts. Each direction has its own netem.Config and Box.
type Wire struct {
	w     *World
	index int
	hosts [2]*Host
	// places are the wire's in the hosts' ports.
	places [2]int
	addrs  [2]addresses
	dirs   [2]*direction // by the side that sends
	n      uint64        // packets carried
}

// direction is what packets of one direction go through: of one Wire, or of
// several that cross here.
type direction struct {
	*netem.Wire
	down   bool
	box    boxState
	marked uint64 // packets that arrive with a congestion mark
}

// addresses of one end of a wire.
type addresses struct{ v4, v6 netip.Addr }

func (a *addresses) of(v6 bool) netip.Addr {
	if v6 {
		return a.v6
	}
	return a.v4
}

// Link joins a and b: each gets one more interface. The n-th wire, from 0, has
// 10.0.n.1 and fd00:0:0:n::1 at a's end, and 2 in place of the last 1 at b's.
// The configurations are used as Config.ForVirtualTime says. It panics beyond
// MaxLinks, and if a host is crashed.
func (w *World) Link(a, b *Host, aToB, bToA netem.Config) *Wire {
	var dirs [2]*direction
	for side, c := range [2]netem.Config{aToB, bToA} {
		dirs[side] = &direction{Wire: netem.New(c.ForVirtualTime(), mix(w.seed)+uint64(2*len(w.wires)+side))}
	}
	return w.join(a, b, dirs)
}

// LinkThrough joins a and b as Link does, by a Wire that shares with l all that
// happens to packets in each direction: one transmitter and queue, one Box, one
// partition. What is changed or counted for one of them is so for both.
func (w *World) LinkThrough(a, b *Host, l *Wire) *Wire { return w.join(a, b, l.dirs) }

func (w *World) join(a, b *Host, dirs [2]*direction) *Wire {
	if len(w.wires) == MaxLinks {
		panic("sim: more than MaxLinks wires")
	}
	if a.eng == nil || b.eng == nil {
		panic("sim: a wire to a crashed host")
	}
	l := &Wire{w: w, index: len(w.wires), hosts: [2]*Host{a, b}, dirs: dirs}
	w.wires = append(w.wires, l)
	for side, h := range l.hosts {
		v6 := [16]byte{0: 0xfd, 7: byte(l.index), 15: byte(side + 1)}
		l.addrs[side] = addresses{netip.AddrFrom4([4]byte{10, 0, byte(l.index), byte(side + 1)}), netip.AddrFrom16(v6)}
		l.places[side] = len(h.ports)
		h.ports = append(h.ports, port{wire: l, side: side})
		h.attach(&h.ports[len(h.ports)-1])
	}
	return l
}

// side returns which end h is at.
func (l *Wire) side(h *Host) int {
	if l.hosts[1] == h {
		return 1
	}
	return 0
}

// Addr returns the address of h, which must be at one end, on this wire.
func (l *Wire) Addr(h *Host, v6 bool) netip.Addr { return l.addrs[l.side(h)].of(v6) }

// Config returns how packets fare that from sends.
func (l *Wire) Config(from *Host) netem.Config {
	c := l.dirs[l.side(from)].Config()
	c.Down = false
	return c
}

// SetConfig changes how packets fare that from sends from now on. A partition
// stays.
func (l *Wire) SetConfig(from *Host, c netem.Config) {
	d := l.dirs[l.side(from)]
	c.Down = d.down
	d.SetConfig(c.ForVirtualTime())
}

// Partition cuts the wire in both directions; what was sent before still
// arrives.
func (l *Wire) Partition() { l.PartitionFrom(l.hosts[0]); l.PartitionFrom(l.hosts[1]) }

// PartitionFrom cuts the direction in which from sends.
func (l *Wire) PartitionFrom(from *Host) { l.cut(l.side(from), true) }

// Heal ends partitions of both directions.
func (l *Wire) Heal() { l.cut(0, false); l.cut(1, false) }

func (l *Wire) cut(side int, down bool) {
	d := l.dirs[side]
	d.down = down
	c := d.Config()
	c.Down = down
	d.SetConfig(c)
}

// SetBox puts a Box where from sends, in place of the one that is there. ACKs
// that wait at that one still leave when they were to.
func (l *Wire) SetBox(from *Host, b Box) { l.dirs[l.side(from)].box.Box = b }

// Box returns the Box that is where from sends.
func (l *Wire) Box(from *Host) Box { return l.dirs[l.side(from)].box.Box }

// BoxCounters returns what Boxes did to packets that from sent.
func (l *Wire) BoxCounters(from *Host) BoxCounters { return l.dirs[l.side(from)].box.count }

// Marked returns how many packets that from sent arrived with a congestion
// mark.
func (l *Wire) Marked(from *Host) uint64 { return l.dirs[l.side(from)].marked }

// Counters returns what happened to packets that from sent.
func (l *Wire) Counters(from *Host) netem.Counters { return l.dirs[l.side(from)].Counters() }

// send takes a packet that the host at the side sends.
func (l *Wire) send(side int, p *pkt.Packet) {
	switch v, at := l.dirs[side].box.admit(l.w.now, p); v {
	case pass:
		l.carry(side, p)
	case drop:
		p.Release()
	case hold:
		l.w.plan(event{at: at, kind: boxEvent, wire: l, iface: side, packet: p})
	}
}

// release carries a packet that the Box of a side has held.
func (l *Wire) release(side int, p *pkt.Packet) {
	l.dirs[side].box.holding--
	l.carry(side, p)
}

// carry lets a packet fare as netem says. As a device does, it copies the
// packet into one buffer: the sender's may change from here on.
func (l *Wire) carry(side int, p *pkt.Packet) {
	d := l.dirs[side]
	f := d.Send(l.w.now, p.Len())
	if f.Reason == netem.DroppedMTU {
		l.tooBig(side, p)
	}
	to := l.hosts[1-side]
	iface := to.ports[l.places[1-side]].iface
	for _, at := range f.At[:f.N] {
		q, b := l.copy(p)
		if f.CE && ecnOf(b) != 0 { // only what is ECN-capable, RFC 3168 §5
			setECN(b, ecnCE)
		}
		if d.box.edits() {
			d.box.edit(b)
		}
		if ecnOf(b) == ecnCE {
			d.marked++
		}
		if f.Corrupt {
			b[f.Bit/8] ^= 0x80 >> (f.Bit % 8)
		}
		l.w.plan(event{at: at, kind: arriveEvent, host: to, iface: iface, packet: q})
	}
	p.Release()
}

// tooBig is what a router says who must drop a packet for its size: RFC 1191
// §4, RFC 4443 §3.2. It is as far away as the other host.
func (l *Wire) tooBig(side int, p *pkt.Packet) {
	if len(p.Head) == 0 || p.Head[0]>>4 == 4 && !wire.IPv4(p.Head).DF() {
		return // a router would cut it; this one does not
	}
	c := l.dirs[side].Config()
	b := p.AppendTo(nil)
	b = b[:min(len(b), routerQuote)]
	n := wire.ICMPLen + len(b)
	chunk := l.w.pool.Chunk(wire.IPv6Len + n)
	m := chunk.Bytes()
	to := wire.AddrFrom(l.addrs[side].of(b[0]>>4 == 6))
	from := to
	from[15] = routerHost
	if b[0]>>4 == 4 {
		head := wire.PutIPv4(m, &wire.IPv4Fields{TotalLen: uint16(wire.IPv4MinLen + n), TTL: routerTTL, Proto: wire.ProtoICMP, Src: from, Dst: to})
		m = m[:head+n]
		copy(m[head+wire.ICMPLen:], b)
		wire.PutICMPv4(m[head:], wire.ICMPv4Unreachable, wire.UnreachFragNeeded, uint32(c.MTU))
	} else {
		wire.PutIPv6(m, &wire.IPv6Fields{PayloadLen: uint16(n), NextHeader: wire.ProtoICMPv6, HopLimit: routerTTL, Src: from, Dst: to})
		m = m[:wire.IPv6Len+n]
		copy(m[wire.IPv6Len+wire.ICMPLen:], b)
		wire.PutICMPv6(m[wire.IPv6Len:], &from, &to, wire.ICMPv6PacketTooBig, 0, uint32(c.MTU))
	}
	q := l.w.pool.Packet()
	q.SetFrame(chunk.Ref(m), len(m))
	h := l.hosts[side]
	l.w.plan(event{at: l.w.now.Add(2 * c.Delay), kind: arriveEvent, host: h, iface: h.ports[l.places[side]].iface, packet: q})
}

// The router of a Wire whose Config has an MTU.
const (
	routerQuote = 512 // bytes of the packet in its message
	routerHost  = 254 // last byte of its addresses
	routerTTL   = 64
)

// copy makes what a device hands up: one chunk, whose bytes it also returns,
// and the headers apart or not.
func (l *Wire) copy(p *pkt.Packet) (*pkt.Packet, []byte) {
	l.n++
	c := l.w.pool.Chunk(p.Len())
	b := p.AppendTo(c.Bytes()[:0])
	q := l.w.pool.Packet()
	head := len(p.Head)
	if p.Segs <= 1 && mix(l.w.seed^l.n)&1 == 0 {
		head = len(b)
	}
	q.SetFrame(c.Ref(b), head)
	q.Segs, q.GSOSize, q.GSO = p.Segs, p.GSOSize, p.GSO
	return q, b
}

// finishChecksum completes a transport checksum that was left to the device.
func finishChecksum(p *pkt.Packet) {
	if p.Csum != pkt.CsumPartial {
		return
	}
	p.Csum = pkt.CsumUnknown
	head := p.Head[p.CsumStart:]
	sum := wire.Sum(head, 0)
	n := len(head)
	for _, r := range p.Body {
		sum = wire.Join(sum, wire.Sum(r.B, 0), n)
		n += len(r.B)
	}
	binary.BigEndian.PutUint16(head[p.CsumOffset:], wire.Finish(sum))
}

// notePacket adds a packet that h sends to the digest.
func (w *World) notePacket(h *Host, p *pkt.Packet) {
	w.note(uint64(w.now) ^ uint64(h.index)<<56)
	w.note(digest(p.Head))
	if w.every > 0 {
		w.note(uint64(p.Body.Len()))
		return
	}
	w.note(digest(p.Body[0].B) ^ bits.RotateLeft64(digest(p.Body[1].B), 1) ^ uint64(len(p.Body[0].B)))
}

// digest is a quick hash of bytes.
func digest(b []byte) uint64 {
	h := uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^binary.LittleEndian.Uint64(b), 29) * 0x9e3779b97f4a7c15
	}
	for _, c := range b {
		h = bits.RotateLeft64(h^uint64(c), 29) * 0x9e3779b97f4a7c15
	}
	return h
}
