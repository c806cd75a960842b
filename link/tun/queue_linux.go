package tun

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
	"golang.org/x/sys/unix"
)

// maxInterrupts bounds how often one packet's system call is repeated because
// a signal came first.
const maxInterrupts = 16

// queue is the device's only queue. The functions for the poller are made once
// and work on the fields beside them, because a closure per call would be an
// allocation per call.
type queue struct {
	rc     syscall.RawConn
	pool   *pkt.Pool
	caps   *link.Caps
	vnet   bool
	closed atomic.Bool
	stats  counters
	rx     receiver
	tx     transmitter
}

type receiver struct {
	mu     sync.Mutex // held by Read, and by Close for the chunk
	step   func(fd uintptr) bool
	chunk  *pkt.Chunk // of pkt.Large, where the next frame goes; nil: to be got
	head   [vnetLen]byte
	iov    [2][]byte
	batch  []*pkt.Packet
	n      int
	err    error
	waited bool
}

type transmitter struct {
	step  func(fd uintptr) bool
	head  [vnetLen]byte
	iov   [4][]byte // virtio header, Head, two pieces of Body
	batch []*pkt.Packet
	done  bool
	n     int
	err   error
}

func (q *queue) init(f *os.File, caps *link.Caps, pool *pkt.Pool) (err error) {
	q.caps, q.pool = caps, pool
	q.vnet = caps.Offloads.Has(link.TxChecksum)
	q.rx.step, q.tx.step = q.readStep, q.writeStep
	q.rc, err = f.SyscallConn()
	return err
}

// Read implements link.Queue. After waiting it returns one packet at once,
// since most often there is no other and asking would cost a system call; what
// has come before Read is returned together.
func (q *queue) Read(batch []*pkt.Packet) (int, error) {
	r := &q.rx
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	if q.closed.Load() {
		return 0, net.ErrClosed
	}
	r.batch, r.n, r.err, r.waited = batch, 0, nil, false
	err := q.rc.Read(r.step)
	r.batch = nil
	switch {
	case r.n > 0:
		return r.n, nil // an error comes back with the next call
	case q.closed.Load():
		return 0, net.ErrClosed
	case r.err != nil:
		return 0, r.err
	}
	return 0, err
}

// readStep reads what is there; false asks the poller to wait and call again.
// Each turn takes one frame from the kernel's bounded queue, and no more than
// fit the batch are kept.
func (q *queue) readStep(fd uintptr) bool {
	r := &q.rx
	for r.n < len(r.batch) {
		p, err := q.readPacket(int(fd))
		switch {
		case errors.Is(err, unix.EAGAIN):
			r.waited = true
			return r.n > 0
		case err != nil:
			r.err = err
			return true
		case p == nil:
			q.stats.rxInvalid.Add(1)
			if q.closed.Load() {
				return true
			}
			continue
		}
		r.batch[r.n] = p
		r.n++
		if r.waited {
			return true
		}
	}
	return true
}

// readPacket reads one frame. It returns nil without an error for a frame that
// cannot be right.
func (q *queue) readPacket(fd int) (*pkt.Packet, error) {
	r := &q.rx
	if r.chunk == nil {
		r.chunk = q.pool.Chunk(pkt.Large)
	}
	n, err := q.receive(fd)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	head := 0
	if q.vnet {
		head = vnetLen
	}
	size := n - head
	if size <= 0 {
		return nil, nil
	}
	var m pkt.Meta
	if q.vnet && !decode(&r.head, r.chunk.Bytes()[:size], &m) {
		return nil, nil
	}
	p := q.pool.Packet()
	p.Meta = m
	p.SetFrame(q.take(size), size)
	q.stats.rxPackets.Add(1)
	q.stats.rxBytes.Add(uint64(size))
	return p, nil
}

// take returns the first size bytes of the receiver's chunk. What fits a
// smaller chunk is copied into one: a queue full of small packets would
// otherwise hold 64 KiB for each of them.
func (q *queue) take(size int) pkt.Ref {
	r := &q.rx
	c := r.chunk
	if size <= pkt.Medium {
		c = q.pool.Chunk(size)
		copy(c.Bytes(), r.chunk.Bytes()[:size])
	} else {
		r.chunk = nil
	}
	return c.Ref(c.Bytes()[:size])
}

// receive reads one frame into the receiver's header and chunk.
func (q *queue) receive(fd int) (n int, err error) {
	r := &q.rx
	for range maxInterrupts {
		if q.vnet {
			r.iov[0], r.iov[1] = r.head[:], r.chunk.Bytes()
			n, err = unix.Readv(fd, r.iov[:])
		} else {
			n, err = unix.Read(fd, r.chunk.Bytes())
		}
		if err != unix.EINTR {
			break
		}
	}
	if err != nil && err != unix.EAGAIN {
		err = os.NewSyscallError("read", err)
	}
	return n, err
}

// drop releases what the queue holds, after Close.
func (q *queue) drop() {
	q.rx.mu.Lock()
	defer q.rx.mu.Unlock()
	if q.rx.chunk != nil {
		q.rx.chunk.Release()
		q.rx.chunk = nil
	}
}

// Write implements link.Queue. It does not wait: packets for which the kernel
// has no room are dropped and counted in Stats.TxDropped, without an error.
func (q *queue) Write(batch []*pkt.Packet) (int, error) {
	t := &q.tx
	t.batch, t.n, t.err, t.done = batch, 0, nil, false
	err := q.rc.Write(t.step)
	if !t.done { // the file is closed
		for _, p := range batch {
			p.Release()
		}
	}
	t.batch = nil
	switch {
	case !t.done && q.closed.Load():
		return 0, net.ErrClosed
	case t.err != nil:
		err = t.err
	}
	return t.n, err
}

// writeStep writes and releases the whole batch, and never asks to wait.
func (q *queue) writeStep(fd uintptr) bool {
	t := &q.tx
	t.done = true
	for _, p := range t.batch {
		err := q.writePacket(int(fd), p)
		switch {
		case err == nil:
			t.n++
			q.stats.txPackets.Add(1)
			q.stats.txBytes.Add(uint64(p.Len()))
		case err == unix.EAGAIN || err == unix.ENOBUFS || err == unix.ENOMEM:
			q.stats.txDropped.Add(1)
		default:
			q.stats.txRefused.Add(1)
			if t.err == nil {
				t.err = err
			}
		}
		p.Release()
	}
	return true
}

// writePacket writes one packet. An error for want of room is bare.
func (q *queue) writePacket(fd int, p *pkt.Packet) error {
	t := &q.tx
	if err := q.prepare(p); err != nil {
		return err
	}
	iov := t.iov[:0]
	if q.vnet {
		iov = append(iov, t.head[:])
	}
	for _, b := range [...][]byte{p.Head, p.Body[0].B, p.Body[1].B} {
		if len(b) > 0 {
			iov = append(iov, b)
		}
	}
	var err error
	for range maxInterrupts {
		if _, err = unix.Writev(fd, iov); err != unix.EINTR {
			break
		}
	}
	clear(iov)
	if err != nil && err != unix.EAGAIN && err != unix.ENOBUFS && err != unix.ENOMEM {
		return os.NewSyscallError("write", err)
	}
	return err
}

// prepare checks p against what the device can carry, and fills the virtio
// header or finishes the checksum.
func (q *queue) prepare(p *pkt.Packet) error {
	n, most := p.Len(), q.caps.MTU
	super := isSuper(p)
	if super {
		most = q.caps.MaxGSO
	}
	if n == 0 || n > most {
		return link.ErrPacket
	}
	if q.vnet {
		return encode(&q.tx.head, p, super)
	}
	if p.Csum == pkt.CsumPartial {
		return finish(p)
	}
	return nil
}
