package engine

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// portKey finds listeners and UDP sockets.
type portKey struct {
	addr wire.Addr
	port uint16
}

// Listener is a passive open that many connections come through: LISTEN.
type Listener struct {
	e       *Engine
	key     portKey
	bind    binding
	backlog int
	half    int     // half-open records
	queue   []*Conn // completed handshakes, oldest first
	head    int
	cookies mono.Time // until when SYN cookies may come back
	closed  bool
	inReady bool

	fastOpen int         // how many connections may be pending, RFC 7413
	pending  int         // how many are
	resets   []mono.Time // when others were reset, oldest first

	// Owner is for whoever made the Listener.
	Owner any
}

// halfOpen is a half-open record in its tables.
type halfOpen struct {
	timerLink
	rec   tcp.HalfOpen
	tcp   *tcp.Config // what the SYN-ACK says was said by it
	flow  Flow
	hash  uint32
	slot  uint32
	iface uint16
	fresh bool // the SYN-ACK brings a Fast Open cookie
	l     *Listener
}

func (h *halfOpen) key() (*Flow, uint32) { return &h.flow, h.hash }

// ListenConfig says where to listen.
type ListenConfig struct {
	// Local is where: an unspecified address takes all of its family, and
	// [::] both families unless V6Only. Port 0 chooses one.
	Local  netip.AddrPort
	V6Only bool
	// Backlog bounds the queue of completed handshakes that nobody has
	// accepted, as Linux understands it; not positive: the largest.
	Backlog int
	// ReuseAddr allows a port that Dial was given for a connection, which RFC
	// 9293 §3.9.1.1 (MUST-42) wants possible; never one that is listened on.
	// The RFC profile needs no ReuseAddr; on Linux programs ask for it as well,
	// by SO_REUSEADDR.
	ReuseAddr bool
	// FastOpen is as for Listener.SetFastOpen.
	FastOpen int
}

// Listen begins a passive open. RFC 9293 §3.10.1.
func (e *Engine) Listen(now mono.Time, lc *ListenConfig) (*Listener, error) {
	addr := toAddr(lc.Local.Addr())
	if lc.Local.Addr().Is4() && addr.IsUnspecified() {
		addr = wire.AddrFrom4([4]byte{})
	}
	if _, ok := e.routes.IsLocal(&addr); !ok && !addr.IsUnspecified() {
		return nil, ErrAddrNotAvail
	}
	if len(e.listeners) >= e.limits.Listeners {
		return nil, ErrLimit
	}
	b := binding{addr: addr, port: lc.Local.Port(), proto: wire.ProtoTCP, v6only: lc.V6Only}
	if b.port == 0 {
		port, ok := e.ports.pickUnbound(func(p uint16) bool {
			b.port = p
			return !e.binds.free(b, false)
		})
		if !ok {
			return nil, ErrNoPorts
		}
		b.port = port
	}
	if !e.binds.acquire(b, lc.ReuseAddr || e.tcp.Profile == tcp.ProfileRFC) {
		return nil, ErrAddrInUse
	}
	e.binds.share(b, false) // with nobody who comes later
	backlog := lc.Backlog
	if backlog <= 0 {
		backlog = e.limits.AcceptBacklog
	}
	l := &Listener{e: e, key: portKey{addr, b.port}, bind: b, backlog: e.limits.backlog(backlog)}
	l.SetFastOpen(lc.FastOpen)
	if lc.FastOpen <= 0 && e.tcp.FastOpen&tcp.FastOpenAllListeners != 0 {
		l.SetFastOpen(l.backlog)
	}
	tcp.CheckEdge(tcp.Closed, tcp.Listen, tcp.OnPassiveOpen)
	e.listeners[l.key] = l
	return l, nil
}

// findListener returns who listens for a flow: the exact address before the
// wildcards.
func (e *Engine) findListener(f *Flow) *Listener {
	if len(e.listeners) == 0 {
		return nil
	}
	if l := e.listeners[portKey{f.Local, f.LPort}]; l != nil {
		return l
	}
	if f.is4() {
		if l := e.listeners[portKey{wire.AddrFrom4([4]byte{}), f.LPort}]; l != nil {
			return l
		}
	}
	l := e.listeners[portKey{wire.Addr{}, f.LPort}]
	if l != nil && f.is4() && l.bind.v6only {
		return nil
	}
	return l
}

// sortedListeners returns the listeners in a fixed order.
func (e *Engine) sortedListeners() []*Listener {
	s := make([]*Listener, 0, len(e.listeners))
	for _, l := range e.listeners {
		s = append(s, l)
	}
	slices.SortFunc(s, func(a, b *Listener) int {
		if c := cmp.Compare(a.key.port, b.key.port); c != 0 {
			return c
		}
		return slices.Compare(a.key.addr[:], b.key.addr[:])
	})
	return s
}

// Addr returns where it listens.
func (l *Listener) Addr() netip.AddrPort {
	if l.key.addr == (wire.Addr{}) {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), l.key.port)
	}
	return netip.AddrPortFrom(l.key.addr.Netip(), l.key.port)
}

// Pending returns how many completed handshakes wait, and how many half-open
// records there are.
func (l *Listener) Pending() (accept, half int) { return len(l.queue) - l.head, l.half }

// Backlog returns the bound on the queue of completed handshakes.
func (l *Listener) Backlog() int { return l.backlog }

// full is Linux' test: a backlog of n lets n+1 wait.
func (l *Listener) full() bool { return len(l.queue)-l.head > l.backlog }

// Accept takes the connection that has waited longest, nil if none does. The
// end of the waiting for the others' sake is reported by ReadyListeners.
func (l *Listener) Accept() *Conn {
	if l.head == len(l.queue) {
		return nil
	}
	c := l.queue[l.head]
	l.queue[l.head] = nil
	l.head++
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
	} else if l.head > 32 && l.head*2 > len(l.queue) {
		n := copy(l.queue, l.queue[l.head:])
		clear(l.queue[n:])
		l.queue, l.head = l.queue[:n], 0
	}
	c.listener = nil
	return c
}

// gone removes a connection that ended while it waited in the queue. It stays
// to be accepted, as on Linux: the program reads the error.
func (l *Listener) gone(c *Conn) { c.listener = nil }

// Close ends the passive open. Connections that were accepted live on; those
// that nobody accepted are reset, and half-open ones forgotten.
func (l *Listener) Close(now mono.Time) {
	if l.closed {
		return
	}
	l.closed = true
	e := l.e
	tcp.CheckEdge(tcp.Listen, tcp.Closed, tcp.OnClose)
	delete(e.listeners, l.key)
	e.binds.release(l.bind)
	e.binds.share(l.bind, true) // if connections have it too: as before
	for c := l.Accept(); c != nil; c = l.Accept() {
		c.Abort(now)
	}
	var gone []uint32
	e.half.each(func(i uint32) bool {
		if e.half.at(i).l == l {
			gone = append(gone, i)
		}
		return true
	})
	for _, i := range gone {
		e.dropHalfOpen(i)
	}
}

// inputListen handles a segment for a listener: RFC 9293 §3.10.7.2.
func (e *Engine) inputListen(now mono.Time, l *Listener, f *Flow, hash uint32, iface *Interface) {
	switch tcp.ArriveListen(&e.seg) {
	case tcp.ListenReset:
		if !e.inputCookie(now, l, f, hash, iface) {
			e.reset(now, f, iface)
		}
	case tcp.ListenDrop:
		e.stats.Count[ListenDropped]++
	case tcp.ListenSYN:
		e.newHalfOpen(now, l, f, hash, iface, nil)
	}
}

// newHalfOpen makes a record for a SYN and sends the SYN-ACK. old is the
// TIME-WAIT record that the SYN is to end, if any. It reports false when there
// is no room.
func (e *Engine) newHalfOpen(now mono.Time, l *Listener, f *Flow, hash uint32, iface *Interface, old *tcp.TimeWaitRecord) bool {
	if !e.mayEstablish(l, f) {
		return false
	}
	if e.policy.cookies == cookiesAlways && old == nil {
		e.sendCookie(now, l, f, iface)
		return false
	}
	i := uint32(0)
	fast := e.judgeFastOpen(now, l, f)
	if l.half >= e.limits.HalfOpenPerListener {
		e.stats.Count[ListenHalfOpenOverflow]++
	} else if e.countFastOpen(fast); fast == fastOpenTake || fast == fastOpenRenew {
		e.acceptFastOpen(now, l, f, hash, iface, fast, old)
		return true
	} else if i = e.half.alloc(); i == 0 {
		e.stats.Count[HalfOpenOverflow]++
	}
	if i == 0 {
		if old == nil && e.policy.cookies != cookiesNever {
			e.sendCookie(now, l, f, iface)
		}
		return false
	}
	h := e.half.at(i)
	p := e.params(now, f, iface)
	p.ID = e.connID()
	if old != nil {
		p.ISS = old.NextISS(p.ISS)
	}
	h.rec = tcp.NewHalfOpen(now, e.tcp, &e.seg, &p)
	h.flow, h.hash, h.slot, h.iface, h.l, h.tcp = *f, hash, i, uint16(iface.ID), l, e.tcp
	h.fresh = fast == fastOpenGive
	e.halfTable.insert(&e.half, i)
	e.halfTimer.push(h.rec.Deadline, uint64(h.rec.ID), h)
	l.half++
	e.traceRecord(now, trace.SegmentIn, trace.WhyNone, p.ID, tcp.Listen, &e.seg, 0)
	e.traceChange(now, p.ID, tcp.Listen, tcp.SynReceived, tcp.OnSYN, trace.WhyNone)
	e.sendSYNACK(now, h, trace.WhyHandshake)
	return true
}

func (e *Engine) sendSYNACK(now mono.Time, h *halfOpen, why trace.Why) {
	e.stats.Count[SYNACKsSent]++
	h.rec.SYNACK(now, h.tcp, &e.reply)
	if h.fresh {
		c := e.freshCookie(now, &h.flow)
		e.reply.Opts.Has |= wire.HasFastOpen
		e.reply.Opts.FastOpen, e.reply.Opts.NFastOpen = c.B, c.N
		if e.reply.Opts.Len() > int(h.rec.OurMSS) { // a link of 68 octets has no room for every option
			e.reply.Opts.Has &^= wire.HasFastOpen
		}
	}
	e.traceRecord(now, trace.SegmentOut, why, h.rec.ID, tcp.SynReceived, &e.reply, 0)
	e.sendSegment(&h.flow, &e.reply, e.ifaces[h.iface])
}

func (e *Engine) dropHalfOpen(i uint32) {
	h := e.half.at(i)
	e.halfTimer.remove(h)
	e.halfTable.remove(&e.half, i)
	h.l.half--
	e.half.free(i)
}

// inputHalfOpen handles a segment for a half-open record.
func (e *Engine) inputHalfOpen(now mono.Time, i uint32, f *Flow, iface *Interface) {
	h := e.half.at(i)
	verdict := h.rec.Arrive(now, h.tcp, &e.seg)
	e.traceHalfOpen(now, h, verdict)
	switch verdict {
	case tcp.HalfOpenACK:
		h.rec.ACK(now, h.tcp, &e.reply)
		_, scale := h.rec.Scales(h.tcp)
		e.traceRecord(now, trace.SegmentOut, trace.WhyChallengeACK, h.rec.ID, tcp.SynReceived, &e.reply, scale)
		e.sendSegment(f, &e.reply, iface)
	case tcp.HalfOpenSYNACK:
		e.sendSYNACK(now, h, trace.WhyDuplicateACK) // the SYN came again
	case tcp.HalfOpenReset:
		e.reset(now, f, iface)
	case tcp.HalfOpenGone:
		e.stats.Count[HalfOpenReset]++
		e.dropHalfOpen(i)
	case tcp.HalfOpenContradicted:
		e.stats.Count[HalfOpenContradicted]++
		e.dropHalfOpen(i)
		e.reset(now, f, iface)
	case tcp.HalfOpenEstablished:
		e.establish(now, i)
	}
}

// mayEstablish reports whether there is room for one more connection through a
// listener, and counts what stands in the way if not.
func (e *Engine) mayEstablish(l *Listener, f *Flow) bool {
	switch {
	case l.full():
		e.stats.Count[ListenOverflow]++
	case e.conns.len() >= e.limits.Connections:
		e.stats.Count[ConnectionsOverflow]++
	case e.perPeer[f.Remote] >= e.limits.ConnectionsPerPeer:
		e.stats.Count[PeerOverflow]++
	case e.memory.Look() == tcp.LevelHard:
		e.stats.Count[MemoryRefused]++
	default:
		return true
	}
	return false
}

// establish makes a connection of a half-open record whose SYN-ACK was
// acknowledged by the segment at hand.
func (e *Engine) establish(now mono.Time, i uint32) {
	h := e.half.at(i)
	if !e.mayEstablish(h.l, &h.flow) {
		if e.policy.abortOnOverflow && h.l.full() {
			flow, iface := h.flow, e.ifaces[h.iface]
			e.dropHalfOpen(i)
			e.reset(now, &flow, iface)
			return
		}
		if e.perPeer[h.flow.Remote] >= e.limits.ConnectionsPerPeer { // many handshakes at once
			e.dropHalfOpen(i)
		}
		return // else the SYN-ACK goes again, and so does the ACK
	}
	rec, cfg, flow, hash, l, iface := h.rec, h.tcp, h.flow, h.hash, h.l, e.ifaces[h.iface]
	e.dropHalfOpen(i)
	e.open(now, l, &rec, cfg, &flow, hash, iface)
}

// open makes a connection of a record, and hands it the segment at hand, which
// acknowledges our SYN-ACK.
func (e *Engine) open(now mono.Time, l *Listener, rec *tcp.HalfOpen, cfg *tcp.Config, f *Flow, hash uint32, iface *Interface) {
	c := e.newConn()
	c.id = rec.ID
	c.flow, c.hash, c.iface, c.rcvTOS = *f, hash, uint16(iface.ID), e.dgram.TOS
	c.TCB.Accept(now, cfg, rec)
	c.TCB.Arrive(now, &e.seg)
	if c.State() == tcp.Closed {
		return
	}
	e.admit(c, l)
}

// admit lets a connection wait to be accepted.
func (e *Engine) admit(c *Conn, l *Listener) {
	e.conns.insert(c)
	if e.perPeer != nil {
		e.perPeer[c.flow.Remote]++
	}
	c.status |= inTable
	c.listener = l
	e.stats.Count[TCPPassiveOpens]++
	l.queue = append(l.queue, c)
	if !l.inReady {
		l.inReady = true
		e.readyL = append(e.readyL, l)
	}
	e.touch(c)
}

// advanceHalfOpen sends SYN-ACKs again and gives records up.
func (e *Engine) advanceHalfOpen(now mono.Time) {
	for {
		h := e.halfTimer.popDue(now)
		if h == nil {
			return
		}
		resend, gone := h.rec.Advance(now, h.tcp)
		if gone {
			e.stats.Count[HalfOpenTimeout]++
			e.traceChange(now, h.rec.ID, tcp.SynReceived, tcp.Listen, tcp.OnTimeout, trace.WhyRetransmitTimeout)
			e.dropHalfOpen(h.slot)
			continue
		}
		e.halfTimer.push(h.rec.Deadline, uint64(h.rec.ID), h)
		if resend {
			e.sendSYNACK(now, h, trace.WhyRetransmitTimeout)
		}
	}
}
