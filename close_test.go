package handfast_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link"
	linknetem "github.com/handfast/handfast/link/netem"
	"github.com/handfast/handfast/link/pipe"
	"github.com/handfast/handfast/netem"
)

// two are two Hosts and what joins them.
type two struct {
	*testing.T
	a, b     *handfast.Host
	da, db   link.Device
	programs sync.WaitGroup // goroutines of the test, to end by themselves
}

// run starts a program.
func (w *two) run(f func()) { w.programs.Go(f) }

func (w *two) pair() (c, p *handfast.Conn) {
	w.Helper()
	l, err := w.b.Listen(context.Background(), "tcp", "10.0.0.2:0")
	if err != nil {
		w.Fatal(err)
	}
	defer l.Close()
	d, err := w.a.Dial("tcp", l.Addr().String())
	if err != nil {
		w.Fatal(err)
	}
	p, err = l.(*handfast.Listener).AcceptConn()
	if err != nil {
		w.Fatal(err)
	}
	return d.(*handfast.Conn), p
}

// closed checks the error of a call that its Host's end interrupted.
func (w *two) closed(what string, err error) {
	if !errors.Is(err, net.ErrClosed) {
		w.Errorf("%s: %v, want net.ErrClosed", what, err)
	}
}

// join makes two Hosts on two devices.
func join(t *testing.T, da, db link.Device) *two {
	t.Helper()
	w := &two{T: t, da: da, db: db}
	for _, x := range []struct {
		h    **handfast.Host
		name string
		dev  link.Device
		p, q string
	}{{&w.a, "a", da, "10.0.0.1/24", "fd00::1/64"}, {&w.b, "b", db, "10.0.0.2/24", "fd00::2/64"}} {
		h, err := handfast.New(handfast.Config{Name: x.name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Attach(x.dev, netip.MustParsePrefix(x.p), netip.MustParsePrefix(x.q)); err != nil {
			t.Fatal(err)
		}
		*x.h = h
	}
	return w
}

// situations are what Close may find. Calls that a program of a is blocked in
// must return net.ErrClosed.
var situations = map[string]func(w *two){
	"nothing": func(w *two) {},
	"a blocked Read": func(w *two) {
		c, _ := w.pair()
		w.run(func() { _, err := c.Read(make([]byte, 1)); w.ended("Read", err) })
	},
	"a blocked Write": func(w *two) {
		c, _ := w.pair()
		w.run(func() {
			var err error
			for err == nil {
				_, err = c.Write(make([]byte, 1<<20))
			}
			w.ended("Write", err)
		})
	},
	"a blocked ReadFrom of a Conn": func(w *two) {
		c, p := w.pair()
		w.run(func() { _, err := c.ReadFrom(endless{}); w.ended("ReadFrom", err) })
		io.CopyN(io.Discard, p, 10<<20)
	},
	"a blocked Accept": func(w *two) {
		l, err := w.a.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			w.Fatal(err)
		}
		w.run(func() { _, err := l.Accept(); w.closed("Accept", err) })
	},
	"a blocked Dial": func(w *two) {
		w.run(func() { _, err := w.a.Dial("tcp", "10.0.0.99:80"); w.closed("Dial", err) })
	},
	"a blocked ReadFrom of a PacketConn": func(w *two) {
		p, err := w.a.ListenPacket(context.Background(), "udp", ":53")
		if err != nil {
			w.Fatal(err)
		}
		w.run(func() { _, _, err := p.ReadFrom(make([]byte, 1)); w.closed("ReadFrom", err) })
	},
	"data in both directions that nobody reads": func(w *two) {
		for range 8 {
			c, p := w.pair()
			for _, x := range []*handfast.Conn{c, p} {
				x.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
				for err := error(nil); err == nil; {
					_, err = x.Write(make([]byte, 100_000))
				}
			}
		}
	},
	"many small writes that nobody reads": func(w *two) {
		c, p := w.pair()
		c.SetWriteBuffer(1 << 20)
		p.SetWriteBuffer(1 << 20)
		for range 10_000 {
			c.Write(make([]byte, 7))
			p.Write(make([]byte, 11))
		}
	},
	"data behind a Close": func(w *two) {
		c, _ := w.pair()
		c.SetWriteBuffer(1 << 20)
		c.Write(make([]byte, 1<<20))
		c.Close()
	},
	"TIME-WAIT at both": func(w *two) {
		for range 4 {
			c, p := w.pair()
			c.Close()
			p.Read(make([]byte, 1))
			p.Close()
			c, p = w.pair()
			p.Close()
			c.Read(make([]byte, 1))
			c.Close()
		}
	},
	"half-closed": func(w *two) {
		c, p := w.pair()
		c.CloseWrite()
		p.Read(make([]byte, 1))
		_, p = w.pair()
		p.CloseWrite()
	},
	"connections that nobody accepted": func(w *two) {
		l, err := w.b.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			w.Fatal(err)
		}
		for range 5 {
			c, err := w.a.Dial("tcp", "10.0.0.2:80")
			if err != nil {
				w.Fatal(err)
			}
			c.(*handfast.Conn).SetWriteBuffer(1 << 20)
			c.Write(make([]byte, 100_000))
		}
		if n, _ := l.(*handfast.Listener).Pending(); n != 5 {
			w.Errorf("%d connections wait, want 5", n)
		}
	},
	"datagrams that nobody reads": func(w *two) {
		w.b.ListenPacket(context.Background(), "udp", ":53")
		c, err := w.a.Dial("udp", "10.0.0.2:53")
		if err != nil {
			w.Fatal(err)
		}
		for i := range 200 {
			c.Write(make([]byte, i*50))
		}
	},
	"fragments that wait for others": func(w *two) {
		c, err := w.a.Dial("udp", "10.0.0.2:53")
		if err != nil {
			w.Fatal(err)
		}
		for range 10 {
			c.Write(make([]byte, 20_000))
		}
	},
	"full speed in both directions": func(w *two) {
		for range 4 {
			c, p := w.pair()
			for _, x := range []*handfast.Conn{c, p} {
				w.run(func() { io.Copy(x, endless{}) })
				w.run(func() { io.Copy(io.Discard, x) })
			}
			for p.Info().BytesIn < 1<<20 {
				runtime.Gosched()
			}
		}
	},
	"new connections all the time": func(w *two) {
		l, err := w.b.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			w.Fatal(err)
		}
		w.run(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Write([]byte("hello"))
				c.Close()
			}
		})
		begun := make(chan struct{})
		w.run(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			for i := 0; ; i++ {
				c, err := w.a.DialContext(ctx, "tcp", "10.0.0.2:80")
				if i == 20 {
					close(begun)
				}
				if err != nil {
					return
				}
				io.Copy(io.Discard, c)
				c.Close()
			}
		})
		<-begun
	},
	"the device is gone": func(w *two) {
		c, _ := w.pair()
		c.SetWriteBuffer(1 << 20)
		c.Write(make([]byte, 100_000))
		w.da.Close()
		c.Write(make([]byte, 100_000))
	},
	"functions to be called": func(w *two) {
		c, p := w.pair()
		ended := make(chan struct{})
		c.OnReady(func() {
			for {
				_, err := c.TryRead(make([]byte, 100))
				if err == syscall.EAGAIN {
					return
				}
				if err != nil {
					close(ended)
					c.Close()
					return
				}
			}
		})
		p.Write(make([]byte, 1000))
		w.run(func() { <-ended })
	},
}

// ended checks the error of a call on a connection whose Host, or whose peer,
// was closed, whichever came first.
func (w *two) ended(what string, err error) {
	var oe *net.OpError
	if !errors.As(err, &oe) {
		w.Errorf("%s: %v, want an error of the connection's end", what, err)
	}
}

// endless is a source without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// goroutines checks that no more of them run than before.
func goroutines(t testing.TB, before int) {
	t.Helper()
	end := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(end) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}

// Whatever Close finds, when it returns no goroutine of the Host runs, no
// buffer of its is held, and no call is blocked.
func TestCloseLeavesNothing(t *testing.T) {
	orders := map[string]func(w *two){
		"a first": func(w *two) { w.a.Close(); w.b.Close() },
		"b first": func(w *two) { w.b.Close(); w.a.Close() },
		"both at once": func(w *two) {
			var wg sync.WaitGroup
			for _, h := range []*handfast.Host{w.a, w.b, w.a, w.b} {
				wg.Go(func() { h.Close() })
			}
			wg.Wait()
		},
	}
	if raceEnabled { // which makes all of them slow
		maps.DeleteFunc(orders, func(order string, _ func(*two)) bool { return order != "both at once" })
	}
	for name, set := range situations {
		for medium, opt := range map[string]pipe.Options{"frames": {}, "super-segments": {GSO: true}} {
			for order, closing := range orders {
				t.Run(name+"/"+medium+"/"+order, func(t *testing.T) {
					before := runtime.NumGoroutine()
					da, db := pipe.New(opt)
					w := join(t, da, db)
					set(w)
					closing(w)
					w.programs.Wait()
					closeHosts(t, w.a, w.b)
					goroutines(t, before)
				})
			}
		}
	}
}

// Half-open records, and a SYN that nobody answers.
func TestCloseHalfOpen(t *testing.T) {
	before := runtime.NumGoroutine()
	da, db := linknetem.Pair(nil, netem.Config{}, netem.Config{Down: true}, 1, linknetem.Options{})
	w := join(t, da, db)
	l, err := w.b.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	w.run(func() { _, err := w.a.Dial("tcp", "10.0.0.2:80"); w.closed("Dial", err) })
	for end := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		if _, half := l.(*handfast.Listener).Pending(); half == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no half-open record")
		}
	}
	w.b.Close()
	w.a.Close()
	w.programs.Wait()
	closeHosts(t, w.a, w.b)
	goroutines(t, before)
}

// After Close of the Host: calls on what it had fail at once with
// net.ErrClosed, and so do calls that would open something.
func TestCallsAfterHostClose(t *testing.T) {
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	c, _ := w.pair()
	l, _ := w.a.Listen(context.Background(), "tcp", ":80")
	p, _ := w.a.ListenPacket(context.Background(), "udp", ":53")
	i, err := w.a.Attach(mustPipe())
	if err == nil {
		t.Error("a device without addresses was attached")
	}
	if i, err = w.a.Attach(mustPipe(), netip.MustParsePrefix("10.1.0.1/24")); err != nil {
		t.Fatal(err)
	}
	if err := w.a.Close(); err != nil {
		t.Error(err)
	}
	if err := w.a.Close(); err != nil {
		t.Error("the second Close:", err)
	}
	b := make([]byte, 1)
	for what, call := range map[string]func() error{
		"Read":         func() error { _, err := c.Read(b); return err },
		"TryRead":      func() error { _, err := c.TryRead(b); return err },
		"Write":        func() error { _, err := c.Write(b); return err },
		"TryWrite":     func() error { _, err := c.TryWrite(b); return err },
		"SendUrgent":   func() error { _, err := c.SendUrgent(b); return err },
		"ReadFrom":     func() error { _, err := c.ReadFrom(endless{}); return err },
		"WriteTo":      func() error { _, err := c.WriteTo(io.Discard); return err },
		"CloseWrite":   c.CloseWrite,
		"SetDeadline":  func() error { return c.SetDeadline(time.Now()) },
		"SetNoDelay":   func() error { return c.SetNoDelay(true) },
		"Accept":       func() error { _, err := l.Accept(); return err },
		"ReadPacket":   func() error { _, _, err := p.ReadFrom(b); return err },
		"WritePacket":  func() error { _, err := p.WriteTo(b, p.LocalAddr()); return err },
		"Dial":         func() error { _, err := w.a.Dial("tcp", "10.0.0.2:80"); return err },
		"Dial udp":     func() error { _, err := w.a.Dial("udp", "10.0.0.2:80"); return err },
		"Listen":       func() error { _, err := w.a.Listen(context.Background(), "tcp", ":81"); return err },
		"ListenPacket": func() error { _, err := w.a.ListenPacket(context.Background(), "udp", ":54"); return err },
		"Detach":       func() error { return w.a.Detach(i) },
		"Attach":       func() error { _, err := w.a.Attach(mustPipe(), netip.MustParsePrefix("10.1.0.2/24")); return err },
	} {
		if err := call(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want net.ErrClosed", what, err)
		}
	}
	closeHosts(t, w.a, w.b)
}

func mustPipe() *pipe.Device { d, _ := pipe.New(pipe.Options{}); return d }

// A device that cannot be attached stays its maker's, and the Host is as before.
func TestAttachFails(t *testing.T) {
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	narrow, other := pipe.New(pipe.Options{MTU: 576})
	if _, err := w.a.Attach(narrow, netip.MustParsePrefix("10.3.0.1/24"), netip.MustParsePrefix("fd03::1/64")); err == nil {
		t.Fatal("an IPv6 address on a link of 576 bytes")
	}
	if _, err := w.a.Listen(context.Background(), "tcp", "10.3.0.1:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("Listen on the address that was refused: %v, want EADDRNOTAVAIL", err)
	}
	c, p := w.pair()
	c.Write([]byte("alive"))
	if n, err := p.Read(make([]byte, 10)); n != 5 || err != nil {
		t.Error(n, err)
	}
	closeHosts(t, w.a, w.b)
	h, err := handfast.New(handfast.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Attach(narrow, netip.MustParsePrefix("10.3.0.1/24")); err != nil {
		t.Error(err)
	}
	if _, err := other.Write(nil); err != nil {
		t.Error("the device was closed:", err)
	}
	closeHosts(t, h)
}

// Shutdown delivers what was written, and ends before its context does.
func TestShutdownDelivers(t *testing.T) {
	for medium, opt := range map[string]pipe.Options{"frames": {}, "super-segments": {GSO: true}} {
		t.Run(medium, func(t *testing.T) {
			before := runtime.NumGoroutine()
			da, db := pipe.New(opt)
			w := join(t, da, db)
			const conns, size = 10, 1_500_000
			got := make(chan int64, conns)
			for i := range conns {
				c, p := w.pair()
				c.SetWriteBuffer(2 << 20)
				c.Write(make([]byte, size))
				c.SetLinger(i) // in vain: 0 would drop what is queued, others would wait one by one
				if i%2 == 0 {
					c.SetLinger(-1)
					c.Close()
				}
				w.run(func() { n, _ := io.Copy(io.Discard, p); p.Close(); got <- n })
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := w.a.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			w.programs.Wait()
			for range conns {
				if n := <-got; n != size {
					t.Errorf("%d bytes arrived, want %d", n, size)
				}
			}
			closeHosts(t, w.a, w.b)
			goroutines(t, before)
		})
	}
}

// Shutdown with peers that do not read ends with its context.
func TestShutdownGivesUp(t *testing.T) {
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	c, _ := w.pair()
	c.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = c.Write(make([]byte, 100_000))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := w.a.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want the context's error", err)
	}
	closeHosts(t, w.a, w.b)
}

// What was written before Close arrives, though nobody waits for it.
func TestCloseDelivers(t *testing.T) {
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	c, p := w.pair()
	c.SetWriteBuffer(2 << 20)
	const size = 1_900_000
	if n, err := c.Write(make([]byte, size)); n != size || err != nil {
		t.Fatal(n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, p); n != size || err != nil {
		t.Errorf("%d bytes, %v; want %d", n, err, size)
	}
	p.Close()
	closeHosts(t, w.a, w.b)
}

// Detach resets the connections over one interface; those over another live on.
func TestDetach(t *testing.T) {
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	da2, db2 := pipe.New(pipe.Options{})
	second, err := w.a.Attach(da2, netip.MustParsePrefix("10.2.0.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.b.Attach(db2, netip.MustParsePrefix("10.2.0.2/24")); err != nil {
		t.Fatal(err)
	}
	c, p := w.pair()
	l, err := w.b.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	c2, err := w.a.Dial("tcp", "10.2.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	p2, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	w.run(func() {
		if _, err := c2.Read(make([]byte, 1)); !isAborted(err) {
			t.Errorf("Read over the detached interface: %v, want ECONNABORTED", err)
		}
	})
	if err := w.a.Detach(second); err != nil {
		t.Error(err)
	}
	w.programs.Wait()
	if _, err := p2.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("the peer reads %v, want ECONNRESET", err)
	}
	if err := w.a.Detach(second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Detach: %v, want net.ErrClosed", err)
	}
	if _, err := w.a.Listen(context.Background(), "tcp", "10.2.0.1:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("Listen on the detached interface's address: %v, want EADDRNOTAVAIL", err)
	}
	c.Write([]byte("alive"))
	if n, err := p.Read(make([]byte, 10)); n != 5 || err != nil {
		t.Error("the other connection:", n, err)
	}
	closeHosts(t, w.a, w.b)
}

func isAborted(err error) bool { return errors.Is(err, syscall.ECONNABORTED) }
func isReset(err error) bool   { return errors.Is(err, syscall.ECONNRESET) }
