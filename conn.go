package handfast

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// Conn is a TCP connection: a net.Conn, with what *net.TCPConn has beside that.
// All methods may be called from any goroutine. Errors are those of package
// net: a *net.OpError around net.ErrClosed, os.ErrDeadlineExceeded or a
// syscall.Errno.
type Conn struct {
	ec      engine.Conn // first: one allocation serves Engine and program
	s       *shard
	readers *waiter
	writers *waiter
	readBy  mono.Time
	writeBy mono.Time
	onReady func()
	linger  int32 // seconds and one; 0: Close does not wait
	bits    uint8
}

// Bits of a Conn.
const (
	connClosed    = 1 << iota // Close was called
	connWriting               // one Write at a time, so that their bytes do not mix
	connErrorSeen             // why it ended has been reported once
	connCallback              // OnReady is due
	connHostGone              // its Host was closed: net.ErrClosed
	connEnded                 // the end of the stream has been read
)

// The most that Read and WriteTo take at once.
const (
	takeRefs  = 48
	takeBytes = 2 * pkt.Large
)

// LocalAddr returns our end, a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.ec.LocalAddr()) }

// RemoteAddr returns the peer's end, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.ec.RemoteAddr()) }

// fail wraps an error as package net does.
func (c *Conn) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: call(op, err)}
}

// ready is called with the lock held when the connection's readiness changed.
func (c *Conn) ready() {
	wakeAll(c.readers)
	wakeAll(c.writers)
	if c.onReady != nil && c.bits&connCallback == 0 {
		c.bits |= connCallback
		c.s.callbacks = append(c.s.callbacks, c)
		c.s.poke()
	}
}

// gone reports that the program or the Host has closed the connection.
func (c *Conn) gone() bool { return c.bits&(connClosed|connHostGone) != 0 || c.s.closed }

// late reports that a deadline has passed.
func (s *shard) late(by mono.Time) bool { return by != 0 && by <= s.h.now() }

// Read reads up to len(b) bytes, as soon as there are any. At the peer's FIN it
// returns io.EOF; after a reset ECONNRESET once, then io.EOF.
func (c *Conn) Read(b []byte) (int, error) { return c.read(b, true) }

// TryRead is Read that does not wait: when there is nothing to read its error
// is syscall.EAGAIN, not wrapped.
func (c *Conn) TryRead(b []byte) (int, error) { return c.read(b, false) }

func (c *Conn) read(b []byte, wait bool) (int, error) {
	var refs [takeRefs]pkt.Ref
	c.s.mu.Lock()
	n, err := c.take(len(b), &refs, wait)
	c.taken(n)
	if err == syscall.EAGAIN {
		return 0, err
	}
	if err != nil {
		return 0, c.fail("read", err)
	}
	total := 0
	for _, r := range refs[:n] {
		total += copy(b[total:], r.B)
		r.Release()
	}
	return total, nil
}

// take takes what there is, having waited for it if it should. The lock is
// held.
func (c *Conn) take(most int, refs *[takeRefs]pkt.Ref, wait bool) (n int, err error) {
	for {
		switch {
		case c.gone():
			return 0, net.ErrClosed
		case most == 0:
			return 0, nil
		case c.s.late(c.readBy):
			return 0, os.ErrDeadlineExceeded
		case c.ec.Buffered() > 0:
			return c.ec.Take(most, refs[:]), nil
		case c.bits&connEnded != 0 || c.ec.EOF() && c.ec.Err() == tcp.ReasonNone:
			c.bits |= connEnded
			return 0, io.EOF
		case c.ec.State() == tcp.Closed:
			return 0, c.endError()
		case c.hurry():
			continue
		case !wait:
			return 0, syscall.EAGAIN
		}
		c.s.wait(&c.readers, c.readBy, nil)
	}
}

// taken releases the lock after n references were taken. The window may open.
func (c *Conn) taken(n int) {
	if n > 0 && c.ec.Consumed() {
		c.s.unlock(c.s.h.now())
	} else {
		c.s.mu.Unlock()
	}
}

// endError is what reading an ended connection returns: the reason once, as a
// kernel's socket does, then the end of the stream.
func (c *Conn) endError() error {
	err := errno(c.ec.Err())
	c.bits |= connEnded
	if err == nil || c.bits&connErrorSeen != 0 {
		return io.EOF
	}
	c.bits |= connErrorSeen
	return err
}

// WriteTo implements io.WriterTo: it writes straight from the buffers that
// segments arrived in, until the peer's FIN.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	s := c.s
	var total int64
	for {
		var refs [takeRefs]pkt.Ref
		s.mu.Lock()
		n, err := c.take(takeBytes, &refs, true)
		c.taken(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, c.fail("writeto", c.fail("read", err))
		}
		k, err := writeRefs(w, refs[:n])
		total += k
		if err != nil {
			return total, c.fail("writeto", err)
		}
	}
}

// writeRefs writes the bytes of refs and releases them all, also when w fails
// or panics.
func writeRefs(w io.Writer, refs []pkt.Ref) (total int64, err error) {
	defer func() {
		for _, r := range refs {
			r.Release()
		}
	}()
	for _, r := range refs {
		n, err := w.Write(r.B)
		total += int64(n)
		if err == nil && n < len(r.B) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// CloseRead shuts the reading side down: what waits is dropped, and what
// arrives later is acknowledged and dropped.
func (c *Conn) CloseRead() error { return c.shutdown(true, false) }

// CloseWrite shuts the writing side down after what is queued: the peer reads
// the end of the stream, and may go on sending. RFC 9293 §3.6.
func (c *Conn) CloseWrite() error { return c.shutdown(false, true) }

func (c *Conn) shutdown(read, write bool) error {
	s := c.s
	s.mu.Lock()
	var err error
	switch {
	case c.gone():
		err = net.ErrClosed
	case c.ec.State() == tcp.Closed || c.ec.State() == tcp.TimeWait:
		err = call("shutdown", syscall.ENOTCONN)
	}
	if err != nil {
		s.mu.Unlock()
		return c.fail("close", err)
	}
	now := s.h.now()
	c.ec.Shutdown(now, read, write)
	s.unlock(now)
	return nil
}

// Close closes the connection. What is queued is still delivered, by the Host,
// unless SetLinger says otherwise; data that arrived and was not read makes it
// a reset. Blocked calls return net.ErrClosed. Close does not block, unless
// SetLinger asked for it. A second Close returns net.ErrClosed.
func (c *Conn) Close() error {
	s := c.s
	s.mu.Lock()
	if c.bits&connClosed != 0 {
		s.mu.Unlock()
		return c.fail("close", net.ErrClosed)
	}
	now := s.h.now()
	c.closeLocked(now)
	wait := c.linger > 1 && c.bits&connHostGone == 0
	s.unlock(now)
	if wait {
		c.lingering(now.Add(time.Duration(c.linger-1) * time.Second))
	}
	return nil
}

// closeLocked is Close without the waiting.
func (c *Conn) closeLocked(now mono.Time) {
	c.bits |= connClosed
	c.onReady = nil
	wakeAll(c.readers)
	wakeAll(c.writers)
	if c.linger == 1 {
		c.ec.Abort(now)
	} else {
		c.ec.Close(now)
	}
}

// lingering waits until all that was queued is acknowledged, and resets the
// connection if that takes too long.
func (c *Conn) lingering(until mono.Time) {
	s := c.s
	s.mu.Lock()
	for c.ec.Queued() > 0 && c.ec.State() != tcp.Closed && s.h.now() < until {
		s.wait(&c.writers, until, nil)
	}
	if c.ec.Queued() > 0 && c.ec.State() != tcp.Closed {
		c.ec.Abort(s.h.now())
	}
	s.unlock(s.h.now())
}

// abortLocked resets the connection because its Host closes.
func (c *Conn) abortLocked(now mono.Time) {
	c.bits |= connHostGone
	c.ec.Abort(now)
	c.ready()
}
