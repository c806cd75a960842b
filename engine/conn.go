package engine

import (
	"net/netip"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// Conn is a connection in an Engine: a TCB with its addresses. Its calls are
// those of tcp.TCB; those that may make it send are repeated here, because the
// Engine must know.
type Conn struct {
	tcp.TCB
	e        *Engine
	listener *Listener // that it came through and that still counts it; nil
	nextOut  *Conn
	nextRdy  *Conn
	flow     Flow
	hash     uint32
	id       uint32
	timerLink
	iface   uint16
	pathGen uint16 // of what is known of paths, as last looked at
	status  uint8
	tos     uint8
	ttl     uint8
	rcvTOS  uint8

	// Owner is for whoever made the Conn: what it belongs to.
	Owner any
}

// Bits of a Conn's status.
const (
	inOut     = 1 << iota // in the ring of connections to send for
	inReady               // in the ring of connections that are ready
	inTable               // found by packets
	orphaned              // closed by its program, and counted
	boundPort             // holds a binding of its own
	activeOpen
	holdsUnread // ended with bytes that nobody has read, and noted as such
	mayFragment // the path is narrower than we believe: DF is not set
)

func (c *Conn) key() (*Flow, uint32) { return &c.flow, c.hash }

// connRing is a queue of connections linked through one of their fields.
type connRing struct {
	head, tail *Conn
	ready      bool // which field
}

func (r *connRing) link(c *Conn) (**Conn, uint8) {
	if r.ready {
		return &c.nextRdy, inReady
	}
	return &c.nextOut, inOut
}

// push appends c unless it is there.
func (r *connRing) push(c *Conn) {
	next, bit := r.link(c)
	if c.status&bit != 0 {
		return
	}
	c.status |= bit
	*next = nil
	if r.tail == nil {
		r.head = c
	} else {
		tail, _ := r.link(r.tail)
		*tail = c
	}
	r.tail = c
}

func (r *connRing) pop() *Conn {
	c := r.head
	if c == nil {
		return nil
	}
	next, bit := r.link(c)
	r.head = *next
	if r.head == nil {
		r.tail = nil
	}
	*next = nil
	c.status &^= bit
	return c
}

// touch notes that c may have something to send or to tell.
func (e *Engine) touch(c *Conn) { e.out.push(c) }

// settle brings what the Engine knows of c up to date after Emit said that
// nothing is due: timers, tables, readiness.
func (e *Engine) settle(now mono.Time, c *Conn) {
	if c.status&inTable != 0 {
		switch c.State() {
		case tcp.Closed:
			e.forget(c)
		case tcp.TimeWait:
			e.toTimeWait(now, c)
		default:
			e.fileTimer(c)
		}
	}
	if events := c.TakeEvents(); events != 0 {
		if events&tcp.EventR1 != 0 {
			e.reroute(c)
		}
		if events&tcp.EventFastOpen != 0 {
			e.fastOpenNews(now, c)
		}
		if events&pathEvents != 0 {
			e.pathNews(now, c, events)
		}
		e.countECN(events)
		if events != tcp.EventMarked { // nobody waits for that
			e.ready.push(c)
		}
	}
}

// fileTimer makes sure that the heap wakes c in time. A deadline that moved
// away is left where it is: when it comes, it is filed anew.
func (e *Engine) fileTimer(c *Conn) {
	d := c.Deadline()
	if d == 0 {
		return
	}
	if c.index() == 0 {
		e.timers.push(d, uint64(c.id), c)
	} else if d < e.timers.time(c) {
		e.timers.update(d, c)
	}
}

// forget takes c out of all tables. The program may go on holding it.
func (e *Engine) forget(c *Conn) {
	if c.status&inTable == 0 {
		return
	}
	e.conns.remove(c)
	e.timers.remove(c)
	c.status &^= inTable
	if c.Buffered() > 0 {
		c.status |= holdsUnread
		e.unread[c] = struct{}{}
	}
	if e.perPeer != nil && c.status&activeOpen == 0 {
		if e.perPeer[c.flow.Remote]--; e.perPeer[c.flow.Remote] <= 0 {
			delete(e.perPeer, c.flow.Remote)
		}
	}
	if c.status&orphaned != 0 {
		c.status &^= orphaned
		e.orphans--
	}
	if c.status&boundPort != 0 {
		c.status &^= boundPort
		e.binds.release(binding{addr: c.flow.Local, port: c.flow.LPort, proto: wire.ProtoTCP})
	}
	if c.listener != nil {
		c.listener.gone(c)
	}
	if c.status&activeOpen != 0 && c.Err() == tcp.ReasonRefused {
		e.stats.Count[TCPRefused]++
	}
}

// outputConn makes the next packet of a connection, nil if it has none; if it
// may have more, it goes to the end of the ring.
func (e *Engine) outputConn(now mono.Time, c *Conn) *pkt.Packet {
	iface := e.ifaces[c.iface]
	if iface.held {
		iface.parked.push(c)
		return nil
	}
	if c.pathGen != e.pathGen {
		e.followPath(now, c)
	}
	df := c.status&mayFragment == 0
	room := uint32(0)
	if df && (iface.MaxGSO > iface.MTU || iface.loopback) {
		room = uint32(max(0, min(iface.MaxGSO, 65535)-120)) // IP and TCP headers with all options
	}
	if !c.Emit(now, &e.seg, room) {
		e.settle(now, c)
		return nil
	}
	p := e.tcpPacket(&c.flow, &e.seg, iface, ipFields{c.tos, c.ttl, !df})
	e.out.push(c)
	return p
}

// DialConfig says how a connection is to be opened.
type DialConfig struct {
	// Local is our end; an unset address and port 0 are chosen. Connections to
	// different ends may share a port, but not with a listener.
	Local  netip.AddrPort
	Remote netip.AddrPort
	TOS    uint8 // Diffserv field; the ECN bits are ignored
	TTL    uint8 // 0: the default
	// FastOpen lets data that is queued before the next Output travel on the
	// SYN, if the server has given us a cookie; if not, the SYN asks for one.
	// The server may get that data twice: RFC 7413 §2.1 and §6.
	FastOpen bool
	// FastOpenWait holds the SYN back for data, or tcp.TCB.Hurry, when data may
	// travel on it; tcp.TCB.FastOpenWaits says whether it is so.
	FastOpenWait bool
}

// Dial begins an active open. The connection is in SYN-SENT; Ready reports it
// when that changes.
func (e *Engine) Dial(now mono.Time, d *DialConfig) (*Conn, error) {
	remote := toAddr(d.Remote.Addr())
	if !d.Remote.IsValid() || remote.IsMulticast() || remote.IsBroadcast() || d.Remote.Port() == 0 {
		return nil, ErrInvalidAddr // RFC 9293 §3.9.1.1 (MUST-46)
	}
	if remote.IsUnspecified() { // as on every Unix: ourselves
		remote = loopbackOf(d.Remote.Addr())
	}
	if e.conns.len() >= e.limits.Connections {
		e.stats.Count[ConnectionsOverflow]++
		return nil, ErrLimit
	}
	iface, local, err := e.route(toAddr(d.Local.Addr()), remote)
	if err != nil {
		return nil, err
	}
	f := Flow{Local: local, Remote: remote, LPort: d.Local.Port(), RPort: d.Remote.Port()}
	bound, err := e.choosePort(now, &f)
	if err != nil {
		return nil, err
	}
	c := e.newConn()
	c.flow, c.hash, c.iface = f, e.key.flow13(&f), uint16(iface.ID)
	c.tos, c.ttl = d.TOS&^3, d.TTL
	c.status |= activeOpen | bound
	p := e.params(now, &f, iface)
	p.ID = c.id
	if i := e.twTable.lookup(&e.tw, c.hash, &f); i != 0 {
		p.ISS = e.tw.at(i).rec.NextISS(p.ISS)
		e.dropTimeWait(i)
		e.stats.Count[TimeWaitReused]++
	}
	p.FastOpen = e.fastOpenRequest(now, d, &f)
	c.Open(now, e.tcp, &p)
	e.conns.insert(c)
	c.status |= inTable
	e.stats.Count[TCPActiveOpens]++
	e.touch(c)
	return c, nil
}

func (e *Engine) newConn() *Conn {
	var c *Conn
	if e.cfg.NewConn != nil {
		c = e.cfg.NewConn()
	} else {
		c = new(Conn)
	}
	c.e, c.id, c.pathGen = e, e.connID(), e.pathGen-1
	return c
}

// params computes what a TCB needs to know of its flow and path.
func (e *Engine) params(now mono.Time, f *Flow, iface *Interface) tcp.Params {
	mtu := e.pathMTU(now, f, iface)
	p := tcp.Params{ISS: tcp.Seq(e.isn.isn(now, f)), MSS: mssOf(mtu, f.is4()), V6: !f.is4()}
	if !e.tcp.NoTSOffset {
		p.TSOffset = e.isn.tsOffset(f)
	}
	return p
}

// choosePort picks an ephemeral port, or takes the one asked for: then it
// returns boundPort, and the connection must give the binding back.
//
// Deviation: on Linux a second socket gets that port only if both ask for it by
// SO_REUSEADDR. Here connections share it as they do ephemeral ports, since
// both ends tell connections apart (RFC 9293 §3.3.1).
func (e *Engine) choosePort(now mono.Time, f *Flow) (bound uint8, err error) {
	used := func(port uint16) bool {
		f.LPort = port
		return e.binds.bound(wire.ProtoTCP, port) || e.flowUsed(now, f)
	}
	if f.LPort != 0 {
		b := binding{addr: f.Local, port: f.LPort, proto: wire.ProtoTCP}
		if e.flowUsed(now, f) || !e.binds.acquire(b, true) {
			return 0, ErrAddrInUse
		}
		return boundPort, nil
	}
	port, ok := e.ports.pick(f.Local, f.Remote, f.RPort, used)
	f.LPort = port
	if !ok {
		return 0, ErrNoPorts
	}
	return 0, nil
}

// flowUsed reports whether a flow cannot be opened: it exists, or it is in
// TIME-WAIT and not yet safe to use again. With timestamps a second is enough
// (RFC 6191 §2, as Linux' tcp_tw_reuse).
func (e *Engine) flowUsed(now mono.Time, f *Flow) bool {
	h := e.key.flow13(f)
	if e.conns.lookup(h, f) != nil || e.halfTable.lookup(&e.half, h, f) != 0 {
		return true
	}
	i := e.twTable.lookup(&e.tw, h, f)
	if i == 0 {
		return false
	}
	t := e.tw.at(i)
	return !t.rec.Timestamps || e.tcp.NoTimestamps || now.Sub(t.since) < timeWaitReuse || !e.policy.mayReuse(f)
}

// Flow returns the connection's addresses.
func (c *Conn) Flow() Flow { return c.flow }

// ID is the connection's number in traces.
func (c *Conn) ID() uint32 { return c.id }

// Interface returns the number of the interface it sends by.
func (c *Conn) Interface() int { return int(c.iface) }

// LocalAddr returns our end.
func (c *Conn) LocalAddr() netip.AddrPort {
	return netip.AddrPortFrom(c.flow.Local.Netip(), c.flow.LPort)
}

// RemoteAddr returns the peer's end.
func (c *Conn) RemoteAddr() netip.AddrPort {
	return netip.AddrPortFrom(c.flow.Remote.Netip(), c.flow.RPort)
}

// letGo ends the note that an ended connection holds unread bytes.
func (c *Conn) letGo() {
	if c.status&holdsUnread != 0 {
		c.status &^= holdsUnread
		delete(c.e.unread, c)
	}
}

// Queue is tcp.TCB.Queue.
func (c *Conn) Queue(now mono.Time, r pkt.Ref) { c.TCB.Queue(now, r); c.e.touch(c) }

// Hurry is tcp.TCB.Hurry.
func (c *Conn) Hurry(now mono.Time, patience time.Duration) bool {
	if !c.TCB.Hurry(now, patience) {
		return false
	}
	c.e.touch(c)
	return true
}

// Consumed is tcp.TCB.Consumed. It reports whether a window update is due.
func (c *Conn) Consumed() bool {
	if c.Buffered() == 0 {
		c.letGo()
	}
	if !c.TCB.Consumed() {
		return false
	}
	c.e.touch(c)
	return true
}

// Shutdown is tcp.TCB.Shutdown.
func (c *Conn) Shutdown(now mono.Time, read, write bool) {
	c.TCB.Shutdown(now, read, write)
	if c.Buffered() == 0 {
		c.letGo()
	}
	c.e.touch(c)
}

// Close is tcp.TCB.Close. What is still to be sent goes on in the Engine's
// care, within the bound on such orphans.
func (c *Conn) Close(now mono.Time) {
	e := c.e
	c.letGo()
	c.TCB.Close(now)
	if c.status&(inTable|orphaned) == inTable && c.State() != tcp.Closed {
		if e.orphans >= e.limits.Orphans {
			e.stats.Count[OrphansOverflow]++
			c.TCB.Abort(now)
		} else {
			c.status |= orphaned
			e.orphans++
		}
	}
	e.touch(c)
}

// Abort is tcp.TCB.Abort.
func (c *Conn) Abort(now mono.Time) { c.letGo(); c.TCB.Abort(now); c.e.touch(c) }

// SendUrgent is tcp.TCB.SendUrgent.
func (c *Conn) SendUrgent(now mono.Time, r pkt.Ref) { c.TCB.SendUrgent(now, r); c.e.touch(c) }

// SetTOS sets the Diffserv field of what is sent from now on; the ECN bits are
// ignored. A program should not change it in the middle of a connection
// without need: segments of different classes overtake each other. RFC 9293
// §3.9.1.9.
func (c *Conn) SetTOS(tos uint8) { c.tos = tos &^ 3 }

// ReceivedTOS returns the Diffserv field of the last segment that arrived, with
// its ECN bits. RFC 9293 §3.9.1.9 (MAY-9).
func (c *Conn) ReceivedTOS() uint8 { return c.rcvTOS }

// SetTTL sets the TTL or hop limit of what is sent from now on; 0 is the
// default. RFC 9293 §3.9.2.
func (c *Conn) SetTTL(ttl uint8) { c.ttl = ttl }

// SetBuffers is tcp.TCB.SetBuffers, within what net.core.wmem_max and
// net.core.rmem_max allow.
func (c *Conn) SetBuffers(send, receive int) {
	c.TCB.SetBuffers(min(send, c.e.policy.mostSend), min(receive, c.e.policy.mostReceive))
}

// SetCongestion is tcp.TCB.SetCongestion.
func (c *Conn) SetCongestion(now mono.Time, a cc.Algorithm) {
	c.TCB.SetCongestion(now, a)
	c.e.touch(c)
}

// Touch tells the Engine that a setting of the TCB changed that may let it
// send, or that moved a deadline.
func (c *Conn) Touch() { c.e.touch(c) }
