package handfast_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// echoServer serves any number of connections from one goroutine, which is the
// Host's: it is told when something is ready.
type echoServer struct {
	l    *handfast.Listener
	open map[*handfast.Conn]*echoing
	done chan struct{}
	want int
}

// echoing is what one connection still has to send back.
type echoing struct{ rest []byte }

func (s *echoServer) accept() {
	for {
		c, err := s.l.TryAccept()
		if err != nil {
			return
		}
		e := &echoing{}
		s.open[c] = e
		c.OnReady(func() { s.serve(c, e) })
	}
}

func (s *echoServer) serve(c *handfast.Conn, e *echoing) {
	var b [4096]byte
	for {
		for len(e.rest) > 0 {
			n, err := c.TryWrite(e.rest)
			if err != nil {
				return // and told when there is room
			}
			e.rest = e.rest[n:]
		}
		n, err := c.TryRead(b[:])
		if err == syscall.EAGAIN {
			return
		}
		if err != nil {
			c.Close()
			delete(s.open, c)
			if s.want--; s.want == 0 {
				close(s.done)
			}
			return
		}
		e.rest = append(e.rest[:0], b[:n]...)
	}
}

// 1,000 connections are served by one goroutine; no wake-up is lost, although
// requests come when the server is just looking.
func TestOnReadyServesThousand(t *testing.T) {
	const conns, rounds = 1000, 5
	a, b := twoHosts(t, pipe.Options{GSO: true})
	l, err := b.Listen(context.Background(), "tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	s := &echoServer{l: l.(*handfast.Listener), open: map[*handfast.Conn]*echoing{}, done: make(chan struct{}), want: conns}
	s.l.OnReady(s.accept)
	var clients []net.Conn
	for range conns {
		c, err := a.Dial("tcp", "10.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines for %d connections, %d before", n, conns, before)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			b := make([]byte, 64<<10)
			for i := w; i < conns; i += 8 {
				clients[i].SetDeadline(time.Now().Add(30 * time.Second))
				for r := range rounds {
					n := 1 + (i*7919+r*104729)%len(b)
					if _, err := clients[i].Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
					if _, err := io.ReadFull(clients[i], b[:n]); err != nil {
						t.Errorf("connection %d, round %d: %v", i, r, err)
						return
					}
				}
				clients[i].Close()
			}
		})
	}
	wg.Wait()
	if !t.Failed() {
		<-s.done
	}
	closeHosts(t, a, b)
}

// What OnReady promises: a call right away, one when data comes, one at the
// end; none after nil and none after Close.
func TestOnReadyPromises(t *testing.T) {
	bubble(t, "delay 1ms", nil, func(w *wired) {
		c, p := w.pair()
		var calls atomic.Int32
		count := func() { calls.Add(1) }
		want := func(what string, least int32) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			if n := calls.Swap(0); n < least || least == 0 && n > 0 {
				t.Errorf("%s: %d calls, want %d or more", what, n, least)
			}
		}
		c.OnReady(count)
		want("set", 1)
		want("nothing", 0)
		p.Write([]byte("data"))
		want("data", 1)
		c.OnReady(nil)
		p.Write([]byte("data"))
		want("no function", 0)
		c.OnReady(count)
		want("set with data there", 1)
		p.CloseWrite()
		want("the end of the stream", 1)
		c.Close()
		want("Close", 0)
		c.OnReady(count)
		want("set after Close", 0)

		u, err := w.b.ListenPacket(context.Background(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		u.(*handfast.PacketConn).OnReady(count)
		want("a socket", 1)
		d, err := w.a.Dial("udp", "10.0.0.2:53")
		if err != nil {
			t.Fatal(err)
		}
		d.Write([]byte("x"))
		want("a datagram", 1)
		if n, _, err := u.(*handfast.PacketConn).TryReadFrom(make([]byte, 10)); n != 1 || err != nil {
			t.Error("TryReadFrom:", n, err)
		}
		if _, _, err := u.(*handfast.PacketConn).TryReadFrom(make([]byte, 10)); err != syscall.EAGAIN {
			t.Errorf("TryReadFrom: %v, want EAGAIN", err)
		}
		w.b.Close()
		want("the Host's end", 1)
	})
}

// TryRead and TryWrite do what can be done at once.
func TestTry(t *testing.T) {
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	c, p := w.pair()
	b := make([]byte, 1<<20)
	if _, err := c.TryRead(b); err != syscall.EAGAIN {
		t.Errorf("TryRead: %v, want EAGAIN", err)
	}
	if n, err := c.TryRead(nil); n != 0 || err != nil {
		t.Error("TryRead of nothing:", n, err)
	}
	total := 0
	var err error
	for n := 0; err == nil; n, err = c.TryWrite(b) {
		total += n
	}
	if err != syscall.EAGAIN || total < 2*64<<10 {
		t.Errorf("TryWrite: %v after %d bytes; want EAGAIN after two full buffers", err, total)
	}
	if n, err := io.CopyN(io.Discard, p, int64(total)); err != nil {
		t.Error(n, err)
	}
	c.CloseWrite()
	if _, err := c.TryWrite(b); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("TryWrite: %v, want EPIPE", err)
	}
	if _, err := p.Read(b); err != io.EOF {
		t.Error(err)
	}
	if _, err := p.TryRead(b); err != io.EOF {
		t.Errorf("TryRead: %v, want io.EOF", err)
	}
	l, _ := w.b.Listen(context.Background(), "tcp", ":80")
	if _, err := l.(*handfast.Listener).TryAccept(); err != syscall.EAGAIN {
		t.Errorf("TryAccept: %v, want EAGAIN", err)
	}
	closeHosts(t, w.a, w.b)
}

// segments notes the segments that one connection sends.
type segments struct {
	mu  sync.Mutex
	len []int
}

func (s *segments) Trace(ev *trace.Event) {
	if ev.Kind == trace.SegmentOut && ev.Len > 0 {
		s.mu.Lock()
		s.len = append(s.len, int(ev.Len))
		s.mu.Unlock()
	}
}

// 10,000 writes of 100 bytes into a closed window leave as full segments when
// it opens.
func TestSmallWritesLeaveAsFullSegments(t *testing.T) {
	var s segments
	tc := *tcp.DefaultConfig(tcp.ProfileLinux)
	tc.Trace = &s
	tc.SendBuffer, tc.ReceiveBuffer, tc.MaxReceiveBuffer = 2<<20, 20_000, 0
	bubble(t, "delay 1ms", &tc, func(w *wired) {
		c, p := w.pair()
		c.Write(make([]byte, 20_000))
		time.Sleep(100 * time.Millisecond) // the window is closed now
		for range 10_000 {
			if _, err := c.Write(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		s.mu.Lock()
		s.len = s.len[:0]
		s.mu.Unlock()
		c.CloseWrite()
		if n, err := io.Copy(io.Discard, p); n != 1_020_000 || err != nil {
			t.Fatal(n, err)
		}
		const full = 1448
		small := 0
		for _, n := range s.len {
			if n%full != 0 && n != 20_000%full {
				small++
			}
		}
		// The last, and those where the window of 20,000 ends.
		if segs := 1_000_000 / full; len(s.len) > segs*5/4 || small > len(s.len)/8 {
			t.Errorf("%d segments, %d of them not full; want about %d", len(s.len), small, segs)
		}
	})
}

// Nagle holds a small segment back while another is unacknowledged; NoDelay,
// package net's default, does not. RFC 9293 §3.7.4.
func TestNoDelay(t *testing.T) {
	for _, nodelay := range []bool{true, false} {
		bubble(t, "delay 50ms", nil, func(w *wired) {
			c, p := w.pair()
			if !c.Info().NoDelay {
				t.Error("NoDelay is not the default")
			}
			c.SetNoDelay(nodelay)
			begin := time.Now()
			c.Write([]byte("a"))
			c.Write([]byte("b"))
			io.ReadFull(p, make([]byte, 2))
			if nodelay {
				w.took("both bytes", begin, 50*time.Millisecond, 51*time.Millisecond)
			} else {
				w.took("both bytes", begin, 150*time.Millisecond, 200*time.Millisecond)
			}
		})
	}
}

// Info tells what a program may want to know.
func TestInfo(t *testing.T) {
	bubble(t, "delay 25ms", nil, func(w *wired) {
		c, p := w.pair()
		data := make([]byte, 100_000)
		c.Write(data)
		io.ReadFull(p, data[:60_000])
		time.Sleep(time.Second)
		i, j := c.Info(), p.Info()
		if i.State != tcp.Established || i.BytesOut != 100_000 || i.Unacked != 0 || i.SendMSS != 1448 || !i.Timestamps || !i.SACK {
			t.Errorf("sender: %+v", i)
		}
		if i.SRTT < 50*time.Millisecond || i.SRTT > 100*time.Millisecond {
			t.Errorf("SRTT %v, want about 50 ms", i.SRTT)
		}
		if j.BytesIn != 100_000 || j.Unread != 40_000 {
			t.Errorf("receiver: %+v", j)
		}
	})
}

// Urgent data: the reader learns how far it reaches. RFC 9293 §3.8.5.
func TestUrgent(t *testing.T) {
	bubble(t, "delay 1ms", nil, func(w *wired) {
		c, p := w.pair()
		c.Write([]byte("normal"))
		if n, err := c.SendUrgent([]byte("urgent")); n != 6 || err != nil {
			t.Fatal(n, err)
		}
		c.Write([]byte("after"))
		time.Sleep(time.Second)
		if n, ok := p.Urgent(); n != 12 || !ok {
			t.Errorf("urgent: %d bytes, %v; want 12", n, ok)
		}
		b := make([]byte, 100)
		n, err := p.Read(b)
		if string(b[:n]) != "normalurgentafter" || err != nil {
			t.Errorf("%q, %v", b[:n], err)
		}
		if n, ok := p.Urgent(); ok {
			t.Errorf("still %d bytes urgent", n)
		}
	})
}

// SetReadBuffer bounds the window, SetWriteBuffer what Write takes.
func TestBuffers(t *testing.T) {
	bubble(t, "delay 10ms", nil, func(w *wired) {
		c, p := w.pair()
		p.SetReadBuffer(30_000)
		c.SetWriteBuffer(50_000)
		c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		n, err := c.Write(make([]byte, 1<<20))
		if !isTimeout(err) {
			t.Fatal(n, err)
		}
		// What the SYN offered, 64 KiB, stands; what is read does not reopen it.
		if i := p.Info(); n < 80_000 || n > 50_000+70_000 || i.Unread > 70_000 {
			t.Errorf("%d bytes written, %d wait to be read", n, i.Unread)
		}
		io.CopyN(io.Discard, p, 65_536)
		time.Sleep(time.Second)
		if i := p.Info(); i.ReceiveWindow+i.Unread > 30_000+1024 { // a unit of the window scale
			t.Errorf("%d unread and a window of %d, want 30,000 together", i.Unread, i.ReceiveWindow)
		}
		p.SetReadBuffer(1 << 20)
		c.SetWriteBuffer(1 << 20)
		c.SetDeadline(time.Time{})
		done := make(chan error, 1)
		go func() { _, err := c.Write(make([]byte, 1_500_000)); done <- err }()
		io.CopyN(io.Discard, p, 500_000)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// SetReadBuffer of a socket bounds what waits, SetWriteBuffer the length.
func TestDatagramBuffers(t *testing.T) {
	a, b := twoHosts(t, pipe.Options{})
	s, err := b.ListenPacket(context.Background(), "udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	p := s.(*handfast.PacketConn)
	c, err := a.Dial("udp", "10.0.0.2:53")
	if err != nil {
		t.Fatal(err)
	}
	p.SetReadBuffer(4 * 2048)
	for range 100 {
		c.Write([]byte("x"))
	}
	got := 0
	for ; ; got++ {
		if _, _, err := p.TryReadFrom(make([]byte, 10)); err != nil {
			break
		}
	}
	if got != 4 {
		t.Errorf("%d datagrams waited, want 4", got)
	}
	c.(*handfast.PacketConn).SetWriteBuffer(1000)
	if _, err := c.Write(make([]byte, 1001)); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("a datagram beyond the write buffer: %v, want EMSGSIZE", err)
	}
	if n, err := c.Write(make([]byte, 1000)); n != 1000 || err != nil {
		t.Error(n, err)
	}
	closeHosts(t, a, b)
}

// oneByte reads a byte at a time.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(len(b), 1)]) }

// ReadFrom of a slow source keeps no large buffer for every few bytes.
func TestReadFromSlowSource(t *testing.T) {
	a, b := twoHosts(t, pipe.Options{})
	w := &two{T: t, a: a, b: b}
	c, p := w.pair()
	p.SetReadBuffer(1000)
	data := bytes.Repeat([]byte("slow"), 5000)
	if n, err := c.ReadFrom(oneByte{bytes.NewReader(data)}); n != int64(len(data)) || err != nil {
		t.Fatal(n, err)
	}
	if chunks, _ := a.Outstanding(); chunks > 20 {
		t.Errorf("%d chunks for %d bytes", chunks, len(data))
	}
	c.Close()
	if got, err := io.ReadAll(p); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	closeHosts(t, a, b)
}

// io.Copy from one connection to another, as a proxy does.
func TestProxy(t *testing.T) {
	da, db := pipe.New(pipe.Options{GSO: true})
	w := join(t, da, db)
	c1, p1 := w.pair()
	c2, p2 := w.pair()
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := io.Copy(c2, p1); n != 5<<20 || err != nil {
			t.Error("proxy:", n, err)
		}
		c2.CloseWrite()
	})
	data := bytes.Repeat([]byte("01234567"), 5<<17)
	wg.Go(func() { c1.Write(data); c1.CloseWrite() })
	got, err := io.ReadAll(p2)
	wg.Wait()
	if !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	closeHosts(t, w.a, w.b)
}
