package engine

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// UDP is a UDP socket: RFC 768. Its queue of datagrams is bounded by the bytes
// they hold.
type UDP struct {
	e       *Engine
	bind    binding
	peer    netip.AddrPort // set: connected, only its datagrams are taken
	queue   []Datagram
	head    int
	charged int
	most    int // bytes that may wait
	longest int // datagram that may be sent, in bytes
	dropped uint64
	err     error
	closed  bool
	inReady bool
	tos     uint8
	ttl     uint8

	// Owner is for whoever made the socket.
	Owner any
}

// Datagram is one received datagram. The payload belongs to its receiver.
type Datagram struct {
	From, To netip.AddrPort
	Payload  pkt.View
	Iface    int
	TOS, TTL uint8
	charge   int
}

// UDPConfig says how to open a socket.
type UDPConfig struct {
	Local  netip.AddrPort // port 0 chooses one
	Remote netip.AddrPort // set: connected
	V6Only bool
}

// OpenUDP opens a socket.
func (e *Engine) OpenUDP(now mono.Time, uc *UDPConfig) (*UDP, error) {
	if e.udpCount >= e.limits.UDPSockets {
		return nil, ErrLimit
	}
	local := toAddr(uc.Local.Addr())
	if uc.Local.Addr().Is4() && local.IsUnspecified() {
		local = wire.AddrFrom4([4]byte{})
	}
	if _, ok := e.routes.IsLocal(&local); !ok && !local.IsUnspecified() && !local.IsMulticast() {
		return nil, ErrAddrNotAvail
	}
	if uc.Remote.IsValid() {
		_, src, err := e.route(toAddr(uc.Local.Addr()), toAddr(uc.Remote.Addr()))
		if err != nil {
			return nil, err
		}
		local = src
	}
	b := binding{addr: local, port: uc.Local.Port(), proto: wire.ProtoUDP, v6only: uc.V6Only}
	if b.port == 0 {
		port, ok := e.ports.pickUnbound(func(p uint16) bool { b.port = p; return !e.binds.free(b, false) })
		if !ok {
			return nil, ErrNoPorts
		}
		b.port = port
	}
	if !e.binds.acquire(b, false) {
		return nil, ErrAddrInUse
	}
	u := &UDP{e: e, bind: b, peer: uc.Remote, most: e.limits.UDPQueueBytes, longest: maxDatagram}
	e.udp[portKey{b.addr, b.port}] = u
	e.udpCount++
	return u, nil
}

// LocalAddr returns where the socket is bound.
func (u *UDP) LocalAddr() netip.AddrPort {
	if u.bind.addr == (wire.Addr{}) {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), u.bind.port)
	}
	return netip.AddrPortFrom(u.bind.addr.Netip(), u.bind.port)
}

// RemoteAddr returns whom the socket is connected to, if it is.
func (u *UDP) RemoteAddr() netip.AddrPort { return u.peer }

// Pending returns how many datagrams wait and how many bytes they are charged;
// dropped counts those that found the queue full.
func (u *UDP) Pending() (n, charged int, dropped uint64) {
	return len(u.queue) - u.head, u.charged, u.dropped
}

// findUDP returns the socket for a datagram: the exact address first.
func (e *Engine) findUDP(dst wire.Addr, port uint16) *UDP {
	if len(e.udp) == 0 {
		return nil
	}
	if u := e.udp[portKey{dst, port}]; u != nil {
		return u
	}
	if dst.Is4() {
		if u := e.udp[portKey{wire.AddrFrom4([4]byte{}), port}]; u != nil {
			return u
		}
	}
	u := e.udp[portKey{wire.Addr{}, port}]
	if u != nil && dst.Is4() && u.bind.v6only {
		return nil
	}
	return u
}

// inputUDP checks a datagram and queues it.
func (e *Engine) inputUDP(now mono.Time, p *pkt.Packet, d *ip.Datagram) {
	head := p.Head[d.L4:min(d.End, len(p.Head))]
	h, length, ok := udpHeader(head, d.Len())
	switch {
	case !ok:
		e.drop(p, UDPShort)
		return
	case d.SrcUnspecified:
		e.drop(p, UDPShort)
		return
	case h.Checksum() == 0 && d.V6:
		e.drop(p, UDPNoChecksum) // RFC 8200 §8.1
		return
	}
	d.End = d.L4 + length
	if h.Checksum() != 0 && p.Csum == pkt.CsumUnknown && transportSum(p, d) != 0xffff {
		e.drop(p, UDPBadChecksum)
		return
	}
	from := netip.AddrPortFrom(d.Src.Netip(), h.SrcPort())
	u := e.findUDP(d.Dst, h.DstPort())
	if u == nil || u.peer.IsValid() && u.peer != from {
		e.stats.Count[UDPNoSocket]++
		if !d.Multicast && !d.Broadcast {
			e.sendICMPError(now, p, d, portUnreachable(d.V6))
		}
		p.Release()
		return
	}
	g := Datagram{From: from, To: netip.AddrPortFrom(d.Dst.Netip(), h.DstPort()), Iface: int(p.Iface), TOS: d.TOS, TTL: d.TTL}
	g.Payload = payload(p, d, wire.UDPLen)
	p.Release()
	u.push(&g)
}

// udpHeader reads a UDP header whose payload may lie elsewhere; length is what
// it says, header included, within [8, total]. RFC 768.
func udpHeader(b []byte, total int) (h wire.UDP, length int, ok bool) {
	if len(b) < wire.UDPLen {
		return nil, 0, false
	}
	length = int(b[4])<<8 | int(b[5])
	return wire.UDP(b), length, length >= wire.UDPLen && length <= total
}

// push queues a datagram, or drops it when the queue is full. A small one is
// copied into a small buffer, so that it is charged what it is.
func (u *UDP) push(g *Datagram) {
	n := g.Payload.Len()
	if c := g.Payload[0].Charge(); c > pkt.Small && n <= pkt.Small {
		ch := u.e.pool.Chunk(n)
		k := g.Payload.CopyTo(ch.Bytes())
		g.Payload.Release()
		g.Payload = pkt.View{ch.Ref(ch.Bytes()[:k])}
	}
	g.charge = g.Payload[0].Charge() + g.Payload[1].Charge()
	if u.charged+g.charge > u.most && len(u.queue) > u.head {
		u.dropped++
		u.e.stats.Count[UDPQueueFull]++
		g.Payload.Release()
		return
	}
	u.e.stats.Count[UDPIn]++
	u.charged += g.charge
	u.queue = append(u.queue, *g)
	u.notify()
}

func (u *UDP) notify() {
	if !u.inReady {
		u.inReady = true
		u.e.readyUDP = append(u.e.readyUDP, u)
	}
}

// Recv takes the oldest datagram; ok is false when there is none.
func (u *UDP) Recv() (g Datagram, ok bool) {
	if u.head == len(u.queue) {
		return g, false
	}
	g = u.queue[u.head]
	u.queue[u.head] = Datagram{}
	u.head++
	if u.head == len(u.queue) {
		u.queue, u.head = u.queue[:0], 0
	} else if u.head >= 64 && 2*u.head >= len(u.queue) {
		n := copy(u.queue, u.queue[u.head:])
		clear(u.queue[n:])
		u.queue, u.head = u.queue[:n], 0
	}
	u.charged -= g.charge
	return g, true
}

// SetBuffers bounds the bytes that may wait to be received, counted with the
// buffers that hold them and at most Limits.UDPQueueBytes, and the length of a
// datagram that may be sent. Values that are not positive leave one as it is.
// What waits already stays.
func (u *UDP) SetBuffers(send, receive int) {
	if send > 0 {
		u.longest = min(send, maxDatagram)
	}
	if receive > 0 {
		u.most = min(receive, u.e.limits.UDPQueueBytes)
	}
}

// Err returns and clears what an ICMP error said about the last sends.
func (u *UDP) Err() error { err := u.err; u.err = nil; return err }

// SetTOS and SetTTL set fields of the IP header of what is sent from now on.
func (u *UDP) SetTOS(tos uint8) { u.tos = tos }

// SetTTL sets the TTL or hop limit; 0 is the default.
func (u *UDP) SetTTL(ttl uint8) { u.ttl = ttl }

// Send sends a datagram to a destination, which may be unset on a connected
// socket. The payload is copied. A datagram larger than the path is fragmented.
func (u *UDP) Send(now mono.Time, to netip.AddrPort, b []byte) error {
	e := u.e
	if u.closed {
		return ErrClosed
	}
	if !to.IsValid() {
		to = u.peer
	}
	remote := toAddr(to.Addr())
	if !to.IsValid() || to.Port() == 0 {
		return ErrInvalidAddr
	}
	if remote.IsUnspecified() {
		remote = loopbackOf(to.Addr())
	}
	family := uint8(2)
	if remote.Is4() {
		family = 1
	}
	if u.bind.families()&family == 0 && !u.bind.addr.IsMulticast() {
		return ErrNoRoute
	}
	local := u.bind.addr
	if local.IsMulticast() {
		local = wire.Addr{}
	}
	iface, src, err := e.routeUDP(local, remote)
	if err != nil {
		return err
	}
	most := maxDatagram
	if remote.Is4() {
		most -= wire.IPv4MinLen
	}
	if len(b) > min(most, u.longest) {
		return ErrTooLong
	}
	p := e.udpPacket(u.bind.port, to.Port(), &src, &remote, b)
	hdr := ip.Header{Src: src, Dst: remote, Proto: wire.ProtoUDP, TTL: u.e.ttl(u.ttl, &remote), TOS: u.tos}
	if remote.Is4() {
		hdr.ID = e.idents.Next4(&src, &remote, wire.ProtoUDP)
	}
	ip.PutHeader(p, &hdr)
	e.stats.Count[UDPOut]++
	return e.sendDatagram(now, p, iface, &src, &remote)
}

// routeUDP is route, but broadcast and multicast destinations are allowed.
func (e *Engine) routeUDP(local, remote wire.Addr) (*Interface, wire.Addr, error) {
	iface, src, err := e.route(local, remote)
	if err == ErrInvalidAddr {
		r, _ := e.routes.Lookup(remote)
		if src.IsUnspecified() {
			src, _ = e.routes.SelectSource(remote, &r)
		}
		return e.ifaces[r.Interface], src, nil
	}
	return iface, src, err
}

func (e *Engine) udpPacket(sport, dport uint16, src, dst *wire.Addr, b []byte) *pkt.Packet {
	p := e.pool.Packet()
	c := e.pool.Chunk(len(b))
	body := c.Bytes()[:len(b)]
	acc := wire.PseudoSum(src, dst, wire.ProtoUDP, uint32(len(b)+wire.UDPLen))
	h := p.Prepend(wire.UDPLen)
	wire.PutUDP(h, sport, dport, len(b))
	acc = wire.SumCopy(body, b, wire.Sum(h, acc))
	wire.UDP(h).SetChecksum(wire.FinishUDP(acc))
	p.Body[0] = c.Ref(body)
	return p
}

// sendDatagram queues a packet that may have to be fragmented.
func (e *Engine) sendDatagram(now mono.Time, p *pkt.Packet, iface *Interface, src, dst *wire.Addr) error {
	mtu, _ := e.paths.Get(now, dst, iface.MTU)
	var out pkt.List
	id := uint32(0)
	if p.Len() > mtu && !dst.Is4() {
		id = e.idents.Next6(src, dst)
	}
	if ip.Fragment(e.pool, p, mtu, id, &out) != ip.ReasonNone {
		return ErrTooLong
	}
	for q := out.Pop(); q != nil; q = out.Pop() {
		q.Iface = uint16(iface.ID)
		e.control.Push(q)
	}
	return nil
}

// Close closes the socket and drops what nobody read.
func (u *UDP) Close() {
	if u.closed {
		return
	}
	u.closed = true
	for g, ok := u.Recv(); ok; g, ok = u.Recv() {
		g.Payload.Release()
	}
	delete(u.e.udp, portKey{u.bind.addr, u.bind.port})
	u.e.udpCount--
	u.e.binds.release(u.bind)
}

// sortedUDP returns the sockets in a fixed order.
func (e *Engine) sortedUDP() []*UDP {
	s := make([]*UDP, 0, len(e.udp))
	for _, u := range e.udp {
		s = append(s, u)
	}
	slices.SortFunc(s, func(a, b *UDP) int {
		return cmp.Or(cmp.Compare(a.bind.port, b.bind.port), slices.Compare(a.bind.addr[:], b.bind.addr[:]))
	})
	return s
}

// EachUDP calls f for every UDP socket.
func (e *Engine) EachUDP(f func(*UDP)) {
	for _, u := range e.sortedUDP() {
		f(u)
	}
}
