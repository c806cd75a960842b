package handfast

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// The sizes around which Write and ReadFrom decide how to copy.
const (
	smallWrite = pkt.Small // copied with the lock held: less time than a second turn at the lock
	largeWrite = pkt.Large / 2
	wholeChunk = pkt.Large / 4 // ReadFrom gives a chunk away that is filled so far
)

// Write queues all of b, and returns when all of it is queued: it is sent and
// sent again until the peer has it. It blocks while the send buffer is full. b
// is copied once and not kept. After CloseWrite, and after the peer's reset
// was reported, the error is EPIPE.
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
		now := s.h.now()
		switch {
		case len(early.B) > 0:
			k := min(room, len(early.B))
			if k == len(early.B) {
				c.ec.Queue(now, early)
				early = pkt.Ref{}
			} else {
				c.ec.Queue(now, early.Slice(0, k).Retain())
				early.B = early.B[k:]
			}
			done += k
		case len(b)-done <= smallWrite:
			k := min(room, len(b)-done)
			c.queueSmall(now, b[done:done+k])
			done += k
		default:
			var k int
			k, now = c.queueCopy(b[done:], room)
			done += k
		}
		if done == len(b) {
			c.endWrite()
		}
		s.unlock(now)
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

// TryWrite queues as much of b as there is room for and does not wait. With no
// room, or while another Write is under way, its error is syscall.EAGAIN, not
// wrapped. The result may be less than len(b) without an error.
func (c *Conn) TryWrite(b []byte) (int, error) {
	s := c.s
	s.mu.Lock()
	if err := c.writeError(); err != nil {
		s.mu.Unlock()
		return 0, c.fail("write", err)
	}
	if c.bits&connWriting != 0 || c.ec.Room() == 0 {
		s.mu.Unlock()
		return 0, syscall.EAGAIN
	}
	c.bits |= connWriting
	done, now := 0, s.h.now()
	for room := c.ec.Room(); done < len(b) && room > 0; room = c.ec.Room() {
		var k int
		k, now = c.queueCopy(b[done:], room)
		done += k
	}
	c.endWrite()
	s.unlock(now)
	return done, nil
}

// copied copies bytes into a chunk.
func (s *shard) copied(b []byte) pkt.Ref {
	ch := s.e.Pool().Chunk(len(b))
	return ch.Ref(ch.Bytes()[:copy(ch.Bytes(), b)])
}

// startWrite makes the caller the connection's one writer.
func (c *Conn) startWrite() error {
	for {
		if err := c.writeError(); err != nil {
			return err
		}
		if c.bits&connWriting == 0 {
			c.bits |= connWriting
			return nil
		}
		c.s.wait(&c.writers, c.writeBy, nil)
	}
}

func (c *Conn) endWrite() {
	c.bits &^= connWriting
	wakeAll(c.writers)
}

// writeError is why a Write cannot go on, nil if it can.
func (c *Conn) writeError() error {
	switch {
	case c.gone():
		return net.ErrClosed
	case c.s.late(c.writeBy):
		return os.ErrDeadlineExceeded
	case c.ec.Room() > 0 || !c.ec.Writable():
		return nil
	}
	// Nothing can be sent any more. A reset that answers what was written after
	// the end of the stream was read is no news.
	if err := errno(c.ec.Err()); err != nil && c.ec.State() == tcp.Closed && c.bits&(connErrorSeen|connEnded) == 0 {
		c.bits |= connErrorSeen
		return err
	}
	return syscall.EPIPE
}

// waitRoom waits until bytes can be queued.
func (c *Conn) waitRoom() (int, error) {
	for {
		if err := c.writeError(); err != nil {
			return 0, err
		}
		if n := c.ec.Room(); n > 0 {
			return n, nil
		}
		c.s.wait(&c.writers, c.writeBy, nil)
	}
}

// queueSmall copies a few bytes behind those queued before, or into a chunk
// that later ones will fill: the larger, the more is queued.
func (c *Conn) queueSmall(now mono.Time, b []byte) {
	if r, ok := c.ec.Spare(); ok {
		k := copy(r.B, b)
		r.B = r.B[:k]
		c.ec.Queue(now, r)
		b = b[k:]
	}
	if len(b) == 0 {
		return
	}
	ch := c.s.e.Pool().Chunk(c.chunkSize(len(b)))
	c.ec.Queue(now, ch.Ref(ch.Bytes()[:copy(ch.Bytes(), b)]))
}

// chunkSize is the size of a new chunk for n bytes.
func (c *Conn) chunkSize(n int) int {
	switch q := c.ec.Queued(); {
	case q >= pkt.Medium:
		return pkt.Large
	case q >= pkt.Small:
		return max(n, pkt.Medium)
	}
	return n
}

// queueCopy copies up to room bytes without holding the lock, first into the
// rest of the last chunk, and queues them. It returns how many, and when. The
// caller is the one writer, so nobody else fills that rest meanwhile.
func (c *Conn) queueCopy(b []byte, room int) (n int, now mono.Time) {
	s := c.s
	n = min(room, len(b), pkt.Large)
	spare, _ := c.ec.Spare()
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
	now = s.h.now()
	c.ec.Queue(now, spare)
	c.ec.Queue(now, rest)
	return n, now
}

// ReadFrom implements io.ReaderFrom: it reads straight into the buffers that
// segments are sent from, until r returns io.EOF. Other writers wait meanwhile.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	s := c.s
	s.mu.Lock()
	err := c.startWrite()
	s.mu.Unlock()
	if err != nil {
		return 0, c.fail("readfrom", c.fail("write", err))
	}
	var ch *pkt.Chunk
	defer func() { // also when r panics
		if ch != nil {
			ch.Release()
		}
		s.mu.Lock()
		c.endWrite()
		s.mu.Unlock()
	}()
	var total int64
	for {
		s.mu.Lock()
		room, err := c.waitRoom()
		s.mu.Unlock()
		if err != nil {
			return total, c.fail("readfrom", c.fail("write", err))
		}
		if ch == nil {
			ch = s.e.Pool().Chunk(pkt.Large)
		}
		n, err := r.Read(ch.Bytes()[:min(room, pkt.Large)])
		if n > 0 {
			total += int64(n)
			s.mu.Lock()
			now := s.h.now()
			if n >= wholeChunk {
				c.ec.Queue(now, ch.Ref(ch.Bytes()[:n]))
				ch = nil
			} else { // a large chunk for a few bytes would wait for their ACK
				_, now = c.queueCopy(ch.Bytes()[:n], n)
			}
			s.unlock(now)
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, c.fail("readfrom", err)
		}
	}
}
