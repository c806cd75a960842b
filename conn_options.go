package handfast

import (
	"net"
	"os"
	"syscall"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/tcp"
)

// SetDeadline sets the times after which Read and Write fail with
// os.ErrDeadlineExceeded; the zero time is none.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline sets the time after which Read fails.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline sets the time after which Write fails. Even then some of
// the data may have been queued.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	s := c.s
	d := s.h.deadline(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone() {
		return &net.OpError{Op: "set", Net: "tcp", Addr: c.LocalAddr(), Err: net.ErrClosed}
	}
	if read {
		c.readBy = d
		wakeAll(c.readers)
	}
	if write {
		c.writeBy = d
		wakeAll(c.writers)
	}
	return nil
}

// option runs f with the lock held, unless the connection is closed.
func (c *Conn) option(f func()) error {
	s := c.s
	s.mu.Lock()
	if c.gone() {
		s.mu.Unlock()
		return c.fail("set", net.ErrClosed)
	}
	f()
	c.ec.Touch()
	s.unlock(s.h.now())
	return nil
}

// SetLinger sets what Close does with data that is not yet acknowledged:
// negative (the default): the Host delivers it in the background; 0: it is
// dropped and the connection reset; positive: Close waits for so many seconds
// at most, then resets.
func (c *Conn) SetLinger(sec int) error {
	return c.option(func() { c.linger = int32(max(min(sec, maxLinger), -1)) + 1 })
}

// maxLinger bounds SetLinger, in seconds.
const maxLinger = 1 << 20

// SetNoDelay switches Nagle's algorithm off (true, the default as in package
// net) or on.
func (c *Conn) SetNoDelay(noDelay bool) error {
	return c.option(func() { c.ec.SetNoDelay(noDelay) })
}

// SetKeepAlive switches keepalive probes on or off.
func (c *Conn) SetKeepAlive(keepalive bool) error {
	return c.option(func() { c.ec.SetKeepalive(c.s.h.now(), keepalive, 0, 0, 0) })
}

// SetKeepAlivePeriod sets the idle time before probes and the time between
// them.
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error {
	return c.option(func() { c.ec.SetKeepalive(c.s.h.now(), true, d, d, 0) })
}

// SetKeepAliveConfig sets all of them. Zero values are package net's defaults,
// 15 s, 15 s and 9; negative ones leave a setting as it is.
func (c *Conn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	if k.Idle == 0 {
		k.Idle = defaultKeepAlive
	}
	if k.Interval == 0 {
		k.Interval = defaultKeepAlive
	}
	if k.Count == 0 {
		k.Count = 9
	}
	return c.option(func() { c.ec.SetKeepalive(c.s.h.now(), k.Enable, k.Idle, k.Interval, k.Count) })
}

// SetUserTimeout sets how long data may stay unacknowledged before the
// connection ends with ETIMEDOUT; 0 returns to the profile's R2. RFC 9293
// §3.8.3.
func (c *Conn) SetUserTimeout(d time.Duration) error {
	return c.option(func() { c.ec.SetUserTimeout(d) })
}

// SetCongestionControl changes the connection's congestion control, by the name
// that net.ipv4.tcp_available_congestion_control has for it: "reno", "cubic" or
// "bbr". The window carries over, also in the middle of a transfer. For another
// name the error is ENOENT, as setsockopt(2) has it for TCP_CONGESTION.
func (c *Conn) SetCongestionControl(name string) error {
	a, ok := cc.ByName(name)
	if !ok {
		return c.fail("set", os.NewSyscallError("setsockopt", syscall.ENOENT))
	}
	return c.option(func() { c.ec.SetCongestion(c.s.h.now(), a) })
}

// SetTOS sets the Diffserv field of what is sent from now on.
func (c *Conn) SetTOS(tos uint8) error { return c.option(func() { c.ec.SetTOS(tos) }) }

// SetTTL sets the TTL or hop limit of what is sent from now on.
func (c *Conn) SetTTL(ttl uint8) error { return c.option(func() { c.ec.SetTTL(ttl) }) }

// Info returns a snapshot of the connection.
func (c *Conn) Info() (i tcp.Info) {
	c.s.mu.Lock()
	c.ec.Info(&i)
	c.s.mu.Unlock()
	return i
}

// OnReady sets a function that is called whenever Read or Write may no longer
// block, or nil. It runs on the Host's goroutine, with no lock held, so it may
// call what does not block: TryRead, TryWrite, Close. It must not block and
// must not close the Host. It may be called when nothing is ready, is called
// once right away, and once more when the connection or the Host ends; never
// after Close.
func (c *Conn) OnReady(f func()) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.bits&connClosed != 0 {
		return
	}
	c.onReady = f
	if f != nil {
		c.ready()
	}
}

// callback runs the OnReady function, on the runner.
func (c *Conn) callback() {
	c.s.mu.Lock()
	c.bits &^= connCallback
	f := c.onReady
	c.s.mu.Unlock()
	if f != nil {
		f()
	}
}

// SendUrgent sends b as urgent data: RFC 9293 §3.8.5. New programs should not
// use it. It blocks as Write does.
func (c *Conn) SendUrgent(b []byte) (int, error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.startWrite(); err != nil {
		return 0, c.fail("write", err)
	}
	defer c.endWrite()
	for done := 0; done < len(b); {
		room, err := c.waitRoom()
		if err != nil {
			return done, c.fail("write", err)
		}
		n := min(room, len(b)-done)
		now := s.h.now()
		c.ec.SendUrgent(now, s.copied(b[done:done+n]))
		done += n
		s.unlock(now)
		s.mu.Lock()
	}
	return len(b), nil
}

// Urgent returns how many bytes of urgent data are still to be read; ok is
// false when there are none.
func (c *Conn) Urgent() (remaining int, ok bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.ec.Urgent()
}

// SetReadBuffer sets how many bytes may wait for Read, which bounds the window
// that the peer is offered; the window scale of the handshake bounds it too,
// to at least 16 and at most 65535 of its units. What was offered already is
// kept. From then on the buffer no longer grows by itself with what the program
// reads; see tcp.Config's MaxReceiveBuffer for how far it would.
func (c *Conn) SetReadBuffer(bytes int) error { return c.setBuffers(0, bytes) }

// SetWriteBuffer sets how many bytes Write may queue that the peer has not
// acknowledged. From then on the buffer no longer grows by itself with the
// congestion window.
func (c *Conn) SetWriteBuffer(bytes int) error { return c.setBuffers(bytes, 0) }

// SetNotSentLowat bounds how many bytes Write may queue that have never been
// sent, so that what is sent next is decided late; 0 or less: no bound but the
// write buffer's. Linux has it as TCP_NOTSENT_LOWAT.
func (c *Conn) SetNotSentLowat(bytes int) error {
	return c.option(func() { c.ec.SetNotSentLowat(bytes) })
}

func (c *Conn) setBuffers(send, receive int) error {
	s := c.s
	s.mu.Lock()
	if c.gone() {
		s.mu.Unlock()
		return &net.OpError{Op: "set", Net: "tcp", Addr: c.LocalAddr(), Err: net.ErrClosed}
	}
	c.ec.SetBuffers(send, receive)
	c.ec.Touch()
	s.unlock(s.h.now())
	return nil
}
