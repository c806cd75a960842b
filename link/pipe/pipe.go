// Package pipe joins two Hosts in one process by a wire without delay.
//
// A batch is delivered in the goroutine that writes it, straight into the
// other Host: a request and its response then cost two wake-ups instead of
// four. With super-segments the payload is passed by reference and nothing is
// summed; without, the pipe does what a plain network card and its driver do:
// it cuts, copies and sums in one pass, and the receiver verifies.
package pipe

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
)

// Options describe both ends of a pipe.
type Options struct {
	MTU int // bytes; 0: 1500. What is out of range becomes 68 or 65535
	// GSO passes super-segments whole, up to 65,535 bytes, and trusts
	// checksums. Without it every packet is a frame of at most MTU bytes.
	GSO bool
	// Pool is where the pipe takes buffers from; nil: one of its own.
	Pool *pkt.Pool
}

const (
	defaultMTU = 1500
	minMTU     = 68    // RFC 791 §3.2
	maxMTU     = 65535 // what an IP length field can say
	batchSize  = 64
	// smallPayload is a quarter of the smallest chunk.
	smallPayload = pkt.Small / 4
)

// Device is one end. It implements link.Device, link.Pusher and link.Queue.
type Device struct {
	opt    Options
	peer   *Device
	input  atomic.Pointer[func([]*pkt.Packet)]
	closed atomic.Bool
	busy   sync.WaitGroup // deliveries under way to this end
	mu     sync.Mutex     // orders busy.Add and closing

	frames []*pkt.Packet // scratch of the one writer
	drops  atomic.Uint64
}

// New returns the two ends of a new pipe.
func New(opt Options) (a, b *Device) {
	if opt.MTU == 0 {
		opt.MTU = defaultMTU
	}
	opt.MTU = min(max(opt.MTU, minMTU), maxMTU)
	if opt.Pool == nil {
		opt.Pool = new(pkt.Pool)
	}
	a, b = &Device{opt: opt}, &Device{opt: opt}
	a.peer, b.peer = b, a
	return a, b
}

// Caps implements link.Device.
func (d *Device) Caps() link.Caps {
	c := link.Caps{Medium: link.IP, MTU: d.opt.MTU, BatchSize: batchSize}
	if d.opt.GSO {
		c.MaxGSO, c.MaxGRO = 65535, 65535
		c.Offloads = link.TxChecksum | link.RxChecksum | link.TSO4 | link.TSO6 | link.GRO
	}
	return c
}

// Queues implements link.Device.
func (d *Device) Queues() []link.Queue { return []link.Queue{d} }

// SetInput implements link.Pusher. Until it is called, what the other end
// writes is dropped.
func (d *Device) SetInput(input func([]*pkt.Packet)) { d.input.Store(&input) }

// Read implements link.Queue: a pipe pushes, so there is nothing to read.
func (d *Device) Read([]*pkt.Packet) (int, error) { return 0, net.ErrClosed }

// Dropped counts packets that found the other end closed, without an input, or
// that were longer than the MTU.
func (d *Device) Dropped() uint64 { return d.drops.Load() }

// Write implements link.Queue: it delivers the batch to the other end.
func (d *Device) Write(batch []*pkt.Packet) (int, error) {
	to := d.peer
	input := to.enter()
	if input == nil {
		d.drops.Add(uint64(len(batch)))
		for _, p := range batch {
			p.Release()
		}
		if d.closed.Load() {
			return 0, net.ErrClosed
		}
		return len(batch), nil // as a cable that leads nowhere
	}
	defer to.busy.Done()
	if d.opt.GSO {
		d.byReference(batch)
		(*input)(batch)
		return len(batch), nil
	}
	var err error
	frames := d.frames[:0]
	for _, p := range batch {
		if p.Len() > d.opt.MTU || p.Csum == pkt.CsumPartial {
			p.Release()
			d.drops.Add(1)
			err = link.ErrPacket
			continue
		}
		if p.Body.Len() > 0 { // not in one piece yet, as a real wire would have it
			frames = link.Finish(d.opt.Pool, p, frames)
		} else {
			frames = append(frames, p)
		}
	}
	n := len(frames)
	(*input)(frames)
	clear(frames)
	d.frames = frames[:0]
	return n, err
}

// byReference prepares packets that are passed on whole. Small payloads are
// copied: a reference would keep the sender's large buffer alive for a few
// bytes. A small super-segment is not: it would be cut.
func (d *Device) byReference(batch []*pkt.Packet) {
	for i, p := range batch {
		if n := p.Body.Len(); n > 0 && n < smallPayload && (p.GSO == pkt.GSONone || n <= int(p.GSOSize)) {
			p.Csum = pkt.CsumUnknown // nothing to finish
			var one [1]*pkt.Packet
			p = link.Finish(d.opt.Pool, p, one[:0])[0]
			batch[i] = p
		}
		p.Csum = pkt.CsumValid
	}
}

// enter begins a delivery to d; nil when there is nobody. The caller must call
// busy.Done after it.
func (d *Device) enter() *func([]*pkt.Packet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.input.Load()
	if in == nil || d.closed.Load() {
		return nil
	}
	d.busy.Add(1)
	return in
}

// Close implements link.Device. It waits for deliveries under way, so it must
// not be called from within input.
func (d *Device) Close() error {
	d.mu.Lock()
	d.closed.Store(true)
	d.mu.Unlock()
	d.busy.Wait()
	return nil
}
