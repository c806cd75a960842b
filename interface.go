package handfast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
)

// Interface is a Host's end of a device.
type Interface struct {
	s    *shard
	id   int
	mtu  atomic.Int32
	dev  link.Device
	q    link.Queue
	caps link.Caps
	gone bool // under the shard's lock: not the Host's to close any more

	mu       sync.Mutex // a leaf: outbox and flushing
	box      []*pkt.Packet
	spare    []*pkt.Packet
	frames   []*pkt.Packet
	flushing bool
	rest     sync.Cond   // flushing ended
	waiting  atomic.Bool // box is not empty
	held     atomic.Bool // the Engine keeps back what connections send; changed under the shard's lock
	errors   atomic.Uint64
	dropped  atomic.Uint64
}

// ID returns the interface's number in the Host.
func (i *Interface) ID() int { return i.id }

// MTU returns the device's MTU in bytes.
func (i *Interface) MTU() int { return int(i.mtu.Load()) }

// SetMTU tells that the device's MTU has become mtu bytes, 68 to 65535, and 1280
// at least if the interface has an IPv6 address: a device does not say so by
// itself. Connections follow before they next send, upwards as far as their
// peers take more. The error is a *net.OpError; it wraps net.ErrClosed after
// Detach. SetMTU does not block.
func (i *Interface) SetMTU(mtu int) error {
	s := i.s
	s.mu.Lock()
	err := net.ErrClosed
	if !i.gone {
		err = i.setMTU(mtu)
	}
	s.unlock(s.h.now())
	if err != nil {
		return &net.OpError{Op: "set", Net: "ip", Err: err}
	}
	return nil
}

// setMTU is SetMTU with the shard's lock held.
func (i *Interface) setMTU(mtu int) error {
	if mtu < ip.MinMTU4 || mtu > ip.MaxDatagram {
		return fmt.Errorf("an MTU is %d to %d bytes, not %d (RFC 791 §3.2)", ip.MinMTU4, ip.MaxDatagram, mtu)
	}
	if err := i.s.e.SetMTU(i.id, mtu); err != nil {
		return err
	}
	i.mtu.Store(int32(mtu))
	return nil
}

// Errors returns how many writes to the device failed.
func (i *Interface) Errors() uint64 { return i.errors.Load() }

// errInterfaces is returned by Attach when maxInterfaces are used up.
var errInterfaces = errors.New("too many interfaces")

// attach adds an interface to the Engine and starts reading its device.
func (s *shard) attach(dev link.Device, caps link.Caps, addrs []netip.Prefix) (*Interface, error) {
	i := &Interface{s: s, dev: dev, q: dev.Queues()[0], caps: caps}
	i.rest.L = &i.mu
	s.mu.Lock()
	if len(s.ifaces) >= maxInterfaces {
		s.mu.Unlock()
		return nil, errInterfaces
	}
	ei := s.e.AddInterface(engine.Interface{Name: "if" + strconv.Itoa(len(s.ifaces)), MTU: caps.MTU,
		MaxGSO: maxGSO(caps), TxChecksum: true})
	i.mtu.Store(int32(ei.MTU))
	i.id = ei.ID
	// A new slice: flush walks the old one without the lock.
	s.ifaces = append(append([]*Interface(nil), s.ifaces...), i)
	err := s.address(i.id, addrs)
	if err != nil {
		s.e.RemoveInterface(i.id)
		i.gone = true
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if p, ok := dev.(link.Pusher); ok {
		p.SetInput(func(batch []*pkt.Packet) { s.input(i, batch) })
		return i, nil
	}
	for _, q := range dev.Queues() {
		s.readers.Go(func() { i.read(q) })
	}
	return i, nil
}

// maxGSO is the largest super-segment for a device: what it takes, or what is
// cut for it in software.
func maxGSO(caps link.Caps) int {
	if caps.Offloads&(link.TSO4|link.TSO6) != 0 && caps.MaxGSO > 0 {
		return min(caps.MaxGSO, 65535)
	}
	return 65535
}

// address gives an interface its addresses and default routes.
func (s *shard) address(id int, addrs []netip.Prefix) error {
	for _, a := range addrs {
		if err := s.e.AddAddress(id, a); err != nil {
			return err
		}
	}
	for _, p := range defaultRoutes(addrs) {
		if err := s.e.AddRoute(p, netip.Addr{}, id); err != nil {
			return err
		}
	}
	return nil
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

// detach is Host.Detach.
func (s *shard) detach(i *Interface) error {
	s.mu.Lock()
	if i.gone {
		s.mu.Unlock()
		return net.ErrClosed
	}
	i.gone = true
	now := s.h.now()
	for _, c := range s.allConns() {
		if c.ec.Interface() == i.id {
			c.ec.Abort(now)
		}
	}
	s.unlock(now)
	i.idle() // the resets have left
	s.mu.Lock()
	s.letGo(i)
	s.e.RemoveInterface(i.id)
	s.mu.Unlock()
	err := i.dev.Close()
	i.idle()
	return err
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

// Dropped returns how many packets found no room in the outbox of a device
// that did not take any: resets and the like, which nothing keeps back.
func (i *Interface) Dropped() uint64 { return i.dropped.Load() }

// put adds a packet to the outbox and reports whether that is full now. When
// it is more than full, the packet is dropped.
func (i *Interface) put(p *pkt.Packet) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.box) >= 4*maxOutbox {
		p.Release()
		i.dropped.Add(1)
		return true
	}
	i.box = append(i.box, p)
	i.waiting.Store(true)
	return len(i.box) >= maxOutbox
}

// flush writes the outbox, unless somebody does already: he will find what was
// added. So packets keep their order without a lock held while writing.
func (i *Interface) flush() {
	i.mu.Lock()
	if i.flushing {
		i.mu.Unlock()
		return
	}
	i.flushing = true
	for round := 0; ; round++ {
		if round == maxFlush {
			i.s.poke()
			break
		}
		if len(i.box) == 0 && !i.refilled() {
			break
		}
		box := i.box
		i.box, i.spare = i.spare[:0], nil
		i.waiting.Store(false)
		i.mu.Unlock()
		i.write(box)
		i.mu.Lock()
		i.spare = box[:0]
	}
	i.flushing = false
	i.rest.Broadcast()
	i.mu.Unlock()
}

// refilled gets what the Engine kept back while an outbox was full, and
// reports whether some of it is for this interface. It releases and takes the
// lock again.
func (i *Interface) refilled() bool {
	s := i.s
	if !i.held.Load() {
		return false
	}
	i.mu.Unlock()
	s.mu.Lock()
	s.letGo(i)
	s.refill(s.h.now())
	ifaces := s.ifaces
	s.mu.Unlock()
	for _, o := range ifaces[1:] {
		if o != i && o.waiting.Load() {
			o.flush()
		}
	}
	i.mu.Lock()
	return len(i.box) > 0
}

// idle waits until nobody writes the outbox.
func (i *Interface) idle() {
	i.mu.Lock()
	for i.flushing {
		i.rest.Wait()
	}
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
	i.waiting.Store(false)
}
