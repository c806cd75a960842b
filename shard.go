package handfast

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// The bounds of a shard.
const (
	outputBatch = 64  // packets taken from the Engine at once
	maxOutbox   = 256 // packets waiting for a device before the Engine keeps the rest
	maxFlush    = 16  // batches that one caller writes before the runner takes over
	readBatch   = 64  // packets read from a device at once
)

// shard is an Engine with the lock that guards it. While holding mu: never
// block, no device I/O, no user code.
type shard struct {
	h      *Host
	mu     sync.Mutex
	e      *engine.Engine
	ifaces []*Interface // by number; nil: loopback
	armed  mono.Time    // when the timer will fire; 0: not set
	timer  *time.Timer
	kick   chan struct{}
	closed bool
	empty  []chan struct{} // told when no connection is left

	batch     [outputBatch]*pkt.Packet
	conns     [outputBatch]*engine.Conn
	listeners [outputBatch]*engine.Listener
	sockets   [outputBatch]*engine.UDP
	callbacks []*Conn // whose OnReady is due
	waiters   *waiter // spare ones
	spare     int     // how many
}

func (s *shard) init(h *Host, e *engine.Engine) {
	s.h, s.e = h, e
	s.kick = make(chan struct{}, 1)
	s.timer = time.NewTimer(time.Hour)
	s.timer.Stop()
	s.ifaces = []*Interface{nil}
}

// unlock ends a section under mu in which anything may have happened: packets
// go to the devices' outboxes, sleepers are woken, the timer is set; then, with
// the lock released, the outboxes are written.
func (s *shard) unlock(now mono.Time) {
	full := s.collect(now)
	s.mu.Unlock()
	s.flush(full)
}

// collect moves what the Engine has to say. It reports whether an outbox is
// full, so that the Engine kept something back.
func (s *shard) collect(now mono.Time) (full bool) {
	for {
		n := s.e.Output(now, s.batch[:])
		for i, p := range s.batch[:n] {
			s.batch[i] = nil
			if s.ifaces[p.Iface].put(p) {
				full = true
			}
		}
		if n < len(s.batch) || full {
			break
		}
	}
	s.wake()
	if d := s.e.Wake(); d != 0 && (s.armed == 0 || d < s.armed) && !s.closed {
		s.armed = d
		s.timer.Reset(d.Sub(now))
	}
	return full
}

// wake tells everyone whose connection, listener or socket became ready.
func (s *shard) wake() {
	for n := s.e.Ready(s.conns[:]); n > 0; n = s.e.Ready(s.conns[:]) {
		for _, c := range s.conns[:n] {
			c.Owner.(*Conn).ready()
		}
	}
	for n := s.e.ReadyListeners(s.listeners[:]); n > 0; n = s.e.ReadyListeners(s.listeners[:]) {
		for _, l := range s.listeners[:n] {
			wakeAll(l.Owner.(*Listener).waiting)
		}
	}
	for n := s.e.ReadyUDP(s.sockets[:]); n > 0; n = s.e.ReadyUDP(s.sockets[:]) {
		for _, u := range s.sockets[:n] {
			wakeAll(u.Owner.(*PacketConn).waiting)
		}
	}
	if len(s.empty) > 0 {
		s.tellEmpty()
	}
}

// flush writes the outboxes, with mu released.
func (s *shard) flush(full bool) {
	for _, i := range s.ifaces[1:] {
		if i.waiting.Load() {
			i.flush(full)
		}
	}
}

// input is where devices deliver.
func (s *shard) input(i *Interface, batch []*pkt.Packet) {
	s.mu.Lock()
	now := s.h.now()
	if s.closed {
		s.mu.Unlock()
		for _, p := range batch {
			p.Release()
		}
		return
	}
	s.e.Input(now, i.id, batch)
	s.unlock(now)
}

// poke makes the runner look.
func (s *shard) poke() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run is the Host's one goroutine: deadlines, what others left to write,
// callbacks.
func (s *shard) run() {
	for {
		select {
		case <-s.timer.C:
		case <-s.kick:
		case <-s.h.done:
			s.timer.Stop()
			return
		}
		s.mu.Lock()
		now := s.h.now()
		if s.armed.Due(now) {
			s.armed = 0
		}
		if !s.closed {
			s.e.Advance(now)
		}
		due := s.callbacks
		s.callbacks = nil
		full := s.collect(now)
		s.mu.Unlock()
		s.flush(full)
		for _, c := range due {
			c.callback()
		}
	}
}

// drained waits until no connection is left in the tables.
func (s *shard) drained(ctx context.Context) error {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	if s.noConns() {
		s.mu.Unlock()
		return nil
	}
	s.empty = append(s.empty, ch)
	s.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shard) noConns() bool {
	none := true
	s.e.EachConn(func(*engine.Conn) bool { none = false; return false })
	return none
}

func (s *shard) tellEmpty() {
	if !s.noConns() {
		return
	}
	for _, ch := range s.empty {
		ch <- struct{}{}
	}
	s.empty = nil
}

// close resets what is open and closes the devices.
func (s *shard) close() error {
	s.mu.Lock()
	now := s.h.now()
	s.e.EachListener(func(l *engine.Listener) { l.Owner.(*Listener).closeLocked(now) })
	s.e.EachUDP(func(u *engine.UDP) { u.Owner.(*PacketConn).closeLocked() })
	s.e.EachConn(func(c *engine.Conn) bool { c.Owner.(*Conn).abortLocked(now); return true })
	full := s.collect(now) // the resets
	s.closed = true
	ifaces := s.ifaces[1:]
	s.mu.Unlock()
	s.flush(full)
	var errs []error
	for _, i := range ifaces {
		errs = append(errs, i.dev.Close())
	}
	return errors.Join(errs...)
}

// finish drops what is left when no goroutine of the Host runs any more.
func (s *shard) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.e.Close(s.h.now())
	s.wake()
	for _, i := range s.ifaces[1:] {
		i.drop()
	}
	s.waiters = nil
}

// Interface is a Host's end of a device.
type Interface struct {
	s    *shard
	id   int
	dev  link.Device
	q    link.Queue
	caps link.Caps

	mu       sync.Mutex // a leaf: outbox and flushing
	box      []*pkt.Packet
	spare    []*pkt.Packet
	frames   []*pkt.Packet
	flushing bool
	waiting  atomic.Bool // box is not empty
	errors   atomic.Uint64
}

// ID returns the interface's number in the Host.
func (i *Interface) ID() int { return i.id }

// MTU returns the device's MTU in bytes.
func (i *Interface) MTU() int { return i.caps.MTU }

// Errors returns how many writes to the device failed.
func (i *Interface) Errors() uint64 { return i.errors.Load() }

// attach adds an interface to the Engine and starts reading its device.
func (s *shard) attach(dev link.Device, caps link.Caps, addrs []netip.Prefix) (*Interface, error) {
	i := &Interface{s: s, dev: dev, q: dev.Queues()[0], caps: caps}
	s.mu.Lock()
	ei := s.e.AddInterface(engine.Interface{Name: "if", MTU: caps.MTU, MaxGSO: 65535, TxChecksum: true})
	i.id = ei.ID
	for _, a := range addrs {
		if err := s.e.AddAddress(i.id, a); err != nil {
			s.e.RemoveInterface(i.id)
			s.ifaces = append(s.ifaces, i)
			s.mu.Unlock()
			return nil, err
		}
	}
	for _, p := range defaultRoutes(addrs) {
		s.e.AddRoute(p, netip.Addr{}, i.id)
	}
	// A new slice: flush walks the old one without the lock.
	s.ifaces = append(append([]*Interface(nil), s.ifaces...), i)
	s.mu.Unlock()
	if p, ok := dev.(link.Pusher); ok {
		p.SetInput(func(batch []*pkt.Packet) { s.input(i, batch) })
		return i, nil
	}
	for _, q := range dev.Queues() {
		s.h.wg.Go(func() { i.read(q) })
	}
	return i, nil
}

// defaultRoutes are the default routes of an interface: on a point-to-point
// medium everything else is behind it too.
func defaultRoutes(addrs []netip.Prefix) (routes []netip.Prefix) {
	var v4, v6 bool
	for _, a := range addrs {
		if a.Addr().Unmap().Is4() && !v4 {
			v4 = true
			routes = append(routes, netip.PrefixFrom(netip.IPv4Unspecified(), 0))
		} else if !a.Addr().Unmap().Is4() && !v6 {
			v6 = true
			routes = append(routes, netip.PrefixFrom(netip.IPv6Unspecified(), 0))
		}
	}
	return routes
}

// read delivers what the device receives, until it is closed.
func (i *Interface) read(q link.Queue) {
	var batch [readBatch]*pkt.Packet
	for {
		n, err := q.Read(batch[:])
		if err != nil {
			return
		}
		i.s.input(i, batch[:n])
	}
}

// put adds a packet to the outbox and reports whether that is full now.
func (i *Interface) put(p *pkt.Packet) bool {
	i.mu.Lock()
	i.box = append(i.box, p)
	n := len(i.box)
	i.mu.Unlock()
	i.waiting.Store(true)
	return n >= maxOutbox
}

// flush writes the outbox, unless somebody does already: he will find what was
// added. So packets keep their order without a lock held while writing.
func (i *Interface) flush(full bool) {
	i.mu.Lock()
	if i.flushing {
		i.mu.Unlock()
		return
	}
	i.flushing = true
	for round := 0; len(i.box) > 0; round++ {
		if round == maxFlush {
			i.flushing = false
			i.mu.Unlock()
			i.s.poke()
			return
		}
		box := i.box
		i.box, i.spare = i.spare[:0], nil
		i.waiting.Store(false)
		i.mu.Unlock()
		i.write(box)
		if full { // the Engine has kept something back
			i.s.mu.Lock()
			full = i.s.collect(i.s.h.now())
			i.s.mu.Unlock()
		}
		i.mu.Lock()
		i.spare = box[:0]
	}
	i.flushing = false
	i.mu.Unlock()
}

// write hands packets to the device, having done what it cannot do itself.
func (i *Interface) write(box []*pkt.Packet) {
	frames := i.frames[:0]
	o := i.caps.Offloads
	for _, p := range box {
		gso := p.GSO == pkt.GSONone || p.GSO == pkt.GSOTCPv4 && o.Has(link.TSO4) || p.GSO == pkt.GSOTCPv6 && o.Has(link.TSO6)
		if gso && (p.Csum != pkt.CsumPartial || o.Has(link.TxChecksum)) {
			frames = append(frames, p)
		} else {
			frames = link.Finish(i.s.e.Pool(), p, frames)
		}
	}
	if _, err := i.q.Write(frames); err != nil {
		i.errors.Add(1)
	}
	clear(box)
	clear(frames)
	i.frames = frames[:0]
}

// drop releases what was never written.
func (i *Interface) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.box {
		p.Release()
	}
	i.box = nil
}
