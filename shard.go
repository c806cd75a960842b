package handfast

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// The bounds of a shard.
const (
	outputBatch   = 64      // packets taken from the Engine at once
	maxOutbox     = 256     // packets waiting for a device before the Engine keeps the rest
	maxFlush      = 16      // batches that one caller writes before the runner takes over
	readBatch     = 64      // packets read from a device at once
	maxInterfaces = 4096    // ever attached to one Host, those detached since included
	maxFarewell   = 1 << 16 // turns at writing resets before Close gives the rest up
)

// shard is an Engine with the lock that guards it. While holding mu: never
// block, no device I/O, no user code.
type shard struct {
	h       *Host
	mu      sync.Mutex
	e       *engine.Engine
	ifaces  []*Interface // by number; nil: loopback. Replaced, never changed
	armed   mono.Time    // when the timer will fire; 0: not set
	timer   *time.Timer
	kick    chan struct{}
	closing bool            // nothing new is opened
	closed  bool            // nothing is sent or received
	empty   []chan struct{} // told when no connection is left
	readers sync.WaitGroup  // of devices

	// held is how many interfaces have a full outbox, so that the Engine keeps
	// back what connections send by them. Whoever writes one asks for it when
	// there is room.
	held    atomic.Int32
	senders *waiter // of datagrams, while any is held

	batch     [outputBatch]*pkt.Packet
	conns     [outputBatch]*engine.Conn
	listeners [outputBatch]*engine.Listener
	sockets   [outputBatch]*engine.UDP
	callbacks []notified // whose OnReady is due
	called    []notified // the runner's, while it calls them
	waiters   waiterList // spare ones
}

// notified is what has an OnReady function: a Conn, Listener or PacketConn.
type notified interface{ callback() }

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
	s.output(now)
	s.wake()
	s.arm(now)
	ifaces := s.ifaces
	s.mu.Unlock()
	s.flush(ifaces)
}

// refill is unlock without releasing the lock or writing.
func (s *shard) refill(now mono.Time) {
	s.output(now)
	s.wake()
	s.arm(now)
}

// output moves what the Engine has to send to the outboxes. Of an interface
// whose outbox is full, the Engine keeps the rest.
func (s *shard) output(now mono.Time) {
	for n := len(s.batch); n == len(s.batch) && !s.closed; {
		n = s.e.Output(now, s.batch[:])
		for k, p := range s.batch[:n] {
			s.batch[k] = nil
			i := s.ifaces[p.Iface]
			if i.put(p) && !i.held.Load() {
				i.held.Store(true)
				s.held.Add(1)
				s.e.Hold(i.id, true)
			}
		}
	}
}

// letGo ends the holding back for an interface whose outbox has room again, or
// that is gone.
func (s *shard) letGo(i *Interface) {
	if i.held.Load() {
		i.held.Store(false)
		s.held.Add(-1)
		s.e.Hold(i.id, false)
		wakeAll(s.senders)
	}
}

// arm sets the timer for the Engine's next deadline.
func (s *shard) arm(now mono.Time) {
	if d := s.e.Wake(); d != 0 && (s.armed == 0 || d < s.armed) && !s.closed {
		s.armed = d
		s.timer.Reset(d.Sub(now))
	}
}

// wake tells everyone whose connection, listener or socket became ready.
func (s *shard) wake() {
	for n := s.e.Ready(s.conns[:]); n > 0; n = s.e.Ready(s.conns[:]) {
		for i, c := range s.conns[:n] {
			c.Owner.(*Conn).ready()
			s.conns[i] = nil
		}
	}
	for n := s.e.ReadyListeners(s.listeners[:]); n > 0; n = s.e.ReadyListeners(s.listeners[:]) {
		for i, l := range s.listeners[:n] {
			l.Owner.(*Listener).ready()
			s.listeners[i] = nil
		}
	}
	for n := s.e.ReadyUDP(s.sockets[:]); n > 0; n = s.e.ReadyUDP(s.sockets[:]) {
		for i, u := range s.sockets[:n] {
			u.Owner.(*PacketConn).ready()
			s.sockets[i] = nil
		}
	}
	if len(s.empty) > 0 {
		s.tellEmpty()
	}
}

// flush writes the outboxes, with mu released.
func (s *shard) flush(ifaces []*Interface) {
	for _, i := range ifaces[1:] {
		if i.held.Load() || i.waiting.Load() {
			i.flush()
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
// callbacks. At the end it drops what is left.
func (s *shard) run() {
	for {
		select {
		case <-s.timer.C:
		case <-s.kick:
		case <-s.h.done:
			s.timer.Stop()
			s.finish()
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
		s.refill(now)
		s.swapCallbacks()
		ifaces := s.ifaces
		s.mu.Unlock()
		s.flush(ifaces)
		s.call()
	}
}

// swapCallbacks takes the callbacks that are due, so that they can be called
// without the lock.
func (s *shard) swapCallbacks() { s.callbacks, s.called = s.called[:0], s.callbacks }

// call runs the OnReady functions that are due.
func (s *shard) call() {
	for i, n := range s.called {
		s.called[i] = nil
		n.callback()
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
		ch <- struct{}{} // made with room for the one value
	}
	s.empty = nil
}

// closeListeners ends all passive opens, and keeps new calls from succeeding.
func (s *shard) closeListeners(now mono.Time) {
	s.closing = true
	s.e.EachListener(func(l *engine.Listener) { l.Owner.(*Listener).closeLocked(now) })
}

// allConns lists the connections that the Engine knows.
func (s *shard) allConns() (all []*Conn) {
	s.e.EachConn(func(c *engine.Conn) bool { all = append(all, c.Owner.(*Conn)); return true })
	return all
}

// close resets what is open, closes the devices and waits for everyone who
// reads or writes them.
func (s *shard) close() error {
	s.mu.Lock()
	now := s.h.now()
	s.closeListeners(now)
	s.e.EachUDP(func(u *engine.UDP) { u.Owner.(*PacketConn).closeLocked() })
	for _, c := range s.allConns() {
		c.abortLocked(now)
	}
	wakeAll(s.senders)
	s.unlock(now)
	s.farewell()
	s.mu.Lock()
	s.closed = true
	ifaces := s.ifaces[1:]
	s.mu.Unlock()
	var errs []error
	for _, i := range ifaces {
		if !i.gone { // only Attach and Detach, which Host.mu excludes, change that
			errs = append(errs, i.dev.Close())
		}
		i.idle()
	}
	s.readers.Wait()
	return errors.Join(errs...)
}

// farewell waits until the resets have been handed to the devices.
func (s *shard) farewell() {
	for range maxFarewell {
		s.mu.Lock()
		s.refill(s.h.now())
		ifaces, held := s.ifaces, s.held.Load() > 0
		s.mu.Unlock()
		for _, i := range ifaces[1:] {
			i.flush()
			i.idle() // or it was somebody else who writes
		}
		if !held {
			return
		}
	}
}

// finish drops what is left when no other goroutine of the Host runs any more.
func (s *shard) finish() {
	s.mu.Lock()
	s.e.Close(s.h.now())
	s.wake()
	for _, i := range s.ifaces[1:] {
		i.drop()
	}
	s.waiters = waiterList{}
	s.swapCallbacks()
	s.mu.Unlock()
	s.call()
}
