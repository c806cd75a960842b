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
// All methods may be called from any goroutine.
type Conn struct {
	engine.Conn // first: one allocation serves Engine and program
	s           *shard
	readers     *waiter
	writers     *waiter
	readBy      mono.Time
	writeBy     mono.Time
	onReady     func()
	linger      int32 // seconds; noLinger
	bits        uint8
}

// Bits of a Conn.
const (
	connClosed    = 1 << iota // Close was called
	connWriting               // one Write at a time, so that their bytes do not mix
	connResetSeen             // the peer's reset has been reported once
	connCallback              // OnReady is due
	connKernel                // Close by the Host: net.ErrClosed
)

// noLinger is the linger time of a connection whose program did not set one.
const noLinger = -1

// The most that Read takes at once, and the sizes around which Write decides
// how to copy.
const (
	takeRefs   = 48
	smallWrite = pkt.Small // copied with the lock held: less time than a second turn at the lock
	largeWrite = pkt.Large / 2
)

// LocalAddr returns our end, a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.Conn.LocalAddr()) }

// RemoteAddr returns the peer's end, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.Conn.RemoteAddr()) }

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

// Read reads up to len(b) bytes, as soon as there are any. At the peer's FIN it
// returns io.EOF; after a reset ECONNRESET, once.
func (c *Conn) Read(b []byte) (int, error) {
	s := c.s
	var refs [takeRefs]pkt.Ref
	s.mu.Lock()
	n, err := c.take(len(b), &refs)
	if n == 0 {
		s.mu.Unlock()
		return 0, c.fail("read", err)
	}
	if c.Consumed() {
		s.unlock(s.h.now())
	} else {
		s.mu.Unlock()
	}
	total := 0
	for _, r := range refs[:n] {
		total += copy(b[total:], r.B)
		r.Release()
	}
	return total, nil
}

// take waits until there is something to take, and takes it. The lock is held.
func (c *Conn) take(most int, refs *[takeRefs]pkt.Ref) (n int, err error) {
	for {
		switch {
		case c.bits&connClosed != 0:
			return 0, net.ErrClosed
		case c.readBy != 0 && c.readBy <= c.s.h.now():
			return 0, os.ErrDeadlineExceeded
		case c.Buffered() > 0:
			if most == 0 {
				return 0, nil
			}
			return c.Take(most, refs[:]), nil
		case c.EOF() && c.Err() == tcp.ReasonNone:
			return 0, io.EOF
		case c.State() == tcp.Closed:
			return 0, c.endError()
		case most == 0:
			return 0, nil
		}
		c.s.wait(&c.readers, c.readBy, nil)
	}
}

// endError is what a call on an ended connection returns: the reason once, as
// a kernel's socket does, then the end of the stream.
func (c *Conn) endError() error {
	if c.bits&connKernel != 0 {
		return net.ErrClosed
	}
	if c.bits&connResetSeen != 0 {
		return io.EOF
	}
	c.bits |= connResetSeen
	if err := errno(c.Err()); err != nil {
		return err
	}
	return io.EOF
}

// Write queues all of b, and returns when all of it is queued: it is sent and
// sent again until the peer has it. b is copied once.
func (c *Conn) Write(b []byte) (int, error) {
	s := c.s
	var early pkt.Ref // copied before the lock is needed
	if len(b) > largeWrite {
		early = s.copied(b[:min(len(b), pkt.Large)])
	}
	s.mu.Lock()
	if err := c.startWrite(); err != nil {
		s.mu.Unlock()
		early.Release()
		return 0, c.fail("write", err)
	}
	done := 0
	for done < len(b) {
		room, err := c.waitRoom()
		if err != nil {
			c.endWrite()
			s.mu.Unlock()
			early.Release()
			return done, c.fail("write", err)
		}
		switch {
		case len(early.B) > 0:
			k := min(room, len(early.B))
			if k == len(early.B) {
				c.Queue(s.h.now(), early)
				early = pkt.Ref{}
			} else {
				c.Queue(s.h.now(), early.Slice(0, k).Retain())
				early.B = early.B[k:]
			}
			done += k
		case len(b)-done <= smallWrite:
			k := min(room, len(b)-done)
			c.queueSmall(b[done : done+k])
			done += k
		default:
			done += c.queueCopy(b[done:], room)
		}
		if done == len(b) {
			c.endWrite()
		}
		s.unlock(s.h.now())
		if done == len(b) {
			return done, nil
		}
		if len(early.B) == 0 && len(b)-done > largeWrite {
			early = s.copied(b[done:min(len(b), done+pkt.Large)])
		}
		s.mu.Lock()
	}
	c.endWrite() // an empty Write
	s.mu.Unlock()
	return 0, nil
}

// copied copies bytes into a chunk.
func (s *shard) copied(b []byte) pkt.Ref {
	ch := s.e.Pool().Chunk(len(b))
	return ch.Ref(ch.Bytes()[:copy(ch.Bytes(), b)])
}

// startWrite makes the caller the connection's one writer.
func (c *Conn) startWrite() error {
	for c.bits&connWriting != 0 {
		if err := c.writeError(); err != nil {
			return err
		}
		c.s.wait(&c.writers, c.writeBy, nil)
	}
	if err := c.writeError(); err != nil {
		return err
	}
	c.bits |= connWriting
	return nil
}

func (c *Conn) endWrite() {
	c.bits &^= connWriting
	wakeAll(c.writers)
}

// writeError is why a Write cannot go on, nil if it can.
func (c *Conn) writeError() error {
	switch {
	case c.bits&connClosed != 0 || c.bits&connKernel != 0:
		return net.ErrClosed
	case c.writeBy != 0 && c.writeBy <= c.s.h.now():
		return os.ErrDeadlineExceeded
	case c.Room() > 0:
		return nil
	case c.State() == tcp.Closed && c.bits&connResetSeen == 0 && errno(c.Err()) != nil:
		c.bits |= connResetSeen
		return errno(c.Err())
	case c.Writable(): // and no room: nothing can be sent any more
		return syscall.EPIPE
	}
	return nil
}

// waitRoom waits until bytes can be queued.
func (c *Conn) waitRoom() (int, error) {
	for {
		if err := c.writeError(); err != nil {
			return 0, err
		}
		if n := c.Room(); n > 0 {
			return n, nil
		}
		c.s.wait(&c.writers, c.writeBy, nil)
	}
}

// queueSmall copies a few bytes behind those queued before, or into a chunk
// that later ones will fill: the larger, the more is queued.
func (c *Conn) queueSmall(b []byte) {
	now := c.s.h.now()
	if r, ok := c.Spare(); ok {
		k := copy(r.B, b)
		r.B = r.B[:k]
		c.Queue(now, r)
		b = b[k:]
	}
	if len(b) == 0 {
		return
	}
	ch := c.s.e.Pool().Chunk(c.chunkSize(len(b)))
	c.Queue(now, ch.Ref(ch.Bytes()[:copy(ch.Bytes(), b)]))
}

// chunkSize is the size of a new chunk for n bytes.
func (c *Conn) chunkSize(n int) int {
	switch q := c.Queued(); {
	case q >= pkt.Medium:
		return pkt.Large
	case q >= pkt.Small:
		return max(n, pkt.Medium)
	}
	return n
}

// queueCopy copies up to room bytes without holding the lock, first into the
// rest of the last chunk, and queues them. It returns how many. The caller is
// the one writer, so nobody else fills that rest meanwhile.
func (c *Conn) queueCopy(b []byte, room int) int {
	s := c.s
	n := min(room, len(b), pkt.Large)
	spare, _ := c.Spare()
	size := c.chunkSize(max(n-len(spare.B), 0))
	s.mu.Unlock()
	k := copy(spare.B, b[:n])
	spare.B = spare.B[:k]
	var rest pkt.Ref
	if n > k {
		ch := s.e.Pool().Chunk(max(size, n-k))
		rest = ch.Ref(ch.Bytes()[:copy(ch.Bytes(), b[k:n])])
	}
	s.mu.Lock()
	now := s.h.now()
	c.Queue(now, spare)
	c.Queue(now, rest)
	return n
}

// ReadFrom implements io.ReaderFrom: it reads straight into the buffers that
// segments are sent from.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	s := c.s
	var total int64
	s.mu.Lock()
	if err := c.startWrite(); err != nil {
		s.mu.Unlock()
		return 0, c.fail("readfrom", err)
	}
	defer func() {
		c.endWrite()
		s.mu.Unlock()
	}()
	for {
		room, err := c.waitRoom()
		if err != nil {
			return total, c.fail("readfrom", err)
		}
		s.mu.Unlock()
		ch := s.e.Pool().Chunk(pkt.Large)
		n, rerr := r.Read(ch.Bytes()[:min(room, pkt.Large)])
		s.mu.Lock()
		now := s.h.now()
		c.Queue(now, ch.Ref(ch.Bytes()[:n]))
		total += int64(n)
		s.unlock(now)
		s.mu.Lock()
		if rerr == io.EOF {
			return total, nil
		}
		if rerr != nil {
			return total, rerr
		}
	}
}

// WriteTo implements io.WriterTo: it writes straight from the buffers that
// segments arrived in, until the peer's FIN.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	s := c.s
	var total int64
	for {
		var refs [takeRefs]pkt.Ref
		s.mu.Lock()
		n, err := c.take(pkt.Large*2, &refs)
		if n > 0 && c.Consumed() {
			s.unlock(s.h.now())
		} else {
			s.mu.Unlock()
		}
		if n == 0 {
			if err == io.EOF {
				return total, nil
			}
			return total, c.fail("writeto", err)
		}
		for i, r := range refs[:n] {
			if err == nil {
				var k int
				k, err = w.Write(r.B)
				total += int64(k)
			}
			refs[i].Release()
		}
		if err != nil {
			return total, err
		}
	}
}

// CloseRead shuts the reading side down: what arrives later is acknowledged
// and dropped.
func (c *Conn) CloseRead() error { return c.shutdown(true, false) }

// CloseWrite shuts the writing side down after what is queued: the peer reads
// the end of the stream, and may go on sending.
func (c *Conn) CloseWrite() error { return c.shutdown(false, true) }

func (c *Conn) shutdown(read, write bool) error {
	s := c.s
	s.mu.Lock()
	if c.bits&(connClosed|connKernel) != 0 {
		s.mu.Unlock()
		return c.fail("shutdown", net.ErrClosed)
	}
	if c.State() == tcp.Closed {
		s.mu.Unlock()
		return c.fail("shutdown", syscall.ENOTCONN)
	}
	now := s.h.now()
	c.Shutdown(now, read, write)
	s.unlock(now)
	return nil
}

// Close closes the connection. What is queued is still delivered, by the Host,
// unless SetLinger says otherwise; data that arrived and was not read makes it
// a reset. Blocked calls return net.ErrClosed.
func (c *Conn) Close() error {
	s := c.s
	s.mu.Lock()
	if c.bits&connClosed != 0 {
		s.mu.Unlock()
		return c.fail("close", net.ErrClosed)
	}
	c.bits |= connClosed
	now := s.h.now()
	wakeAll(c.readers)
	wakeAll(c.writers)
	if c.linger == 0 && c.hasLinger() {
		c.Abort(now)
	} else {
		c.Conn.Close(now)
	}
	wait := c.linger > 0
	s.unlock(now)
	if wait {
		c.lingering(now.Add(time.Duration(c.linger) * time.Second))
	}
	return nil
}

func (c *Conn) hasLinger() bool { return c.bits&connLinger != 0 }

const connLinger = 1 << 7 // SetLinger was called

// lingering waits until all that was queued is acknowledged, and resets the
// connection if that takes too long.
func (c *Conn) lingering(until mono.Time) {
	s := c.s
	s.mu.Lock()
	for c.Queued() > 0 && c.State() != tcp.Closed && s.h.now() < until {
		s.wait(&c.writers, until, nil)
	}
	now := s.h.now()
	if c.Queued() > 0 && c.State() != tcp.Closed {
		c.Abort(now)
	}
	s.unlock(now)
}

// abortLocked resets the connection because its Host closes.
func (c *Conn) abortLocked(now mono.Time) {
	c.bits |= connKernel
	c.Abort(now)
	wakeAll(c.readers)
	wakeAll(c.writers)
}
