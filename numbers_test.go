package handfast_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// mallocs is how many objects have been allocated so far, and how many bytes of
// heap are live after a collection.
func mallocs() (n uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A long transfer allocates nothing per segment.
func TestNoAllocationPerSegment(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for medium, opt := range map[string]pipe.Options{"frames": {}, "super-segments": {GSO: true}} {
		t.Run(medium, func(t *testing.T) {
			da, db := pipe.New(opt)
			w := join(t, da, db)
			c, p := w.pair()
			const size = 64 << 20
			move := func() {
				done := make(chan error)
				go func() {
					_, err := io.CopyBuffer(writerOnly{c}, io.LimitReader(endless{}, size), make([]byte, 1<<16))
					done <- err
				}()
				if _, err := io.CopyBuffer(writerOnly{io.Discard}, io.LimitReader(readerOnly{p}, size), make([]byte, 1<<16)); err != nil {
					t.Error(err)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			// Buffers grow until they suit the path, and a collection empties the
			// pools: what is fetched for that is not per segment.
			var n, segs uint64
			for range 6 {
				in, before := p.Info().SegsIn, mallocs()
				move()
				if n, segs = mallocs()-before, uint64(p.Info().SegsIn-in); segs >= 1000 && n*20 <= segs {
					break
				}
			}
			if segs < 1000 || n*20 > segs {
				t.Errorf("%d objects for %d segments, after five transfers before it", n, segs)
			}
			closeHosts(t, w.a, w.b)
		})
	}
}

type writerOnly struct{ io.Writer }
type readerOnly struct{ io.Reader }

// A request and its response allocate nothing.
func TestNoAllocationPerRequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	da, db := pipe.New(pipe.Options{})
	w := join(t, da, db)
	c, p := w.pair()
	w.run(func() {
		b := make([]byte, 1)
		for {
			if _, err := p.Read(b); err != nil {
				return
			}
			if _, err := p.Write(b); err != nil {
				return
			}
		}
	})
	b := make([]byte, 1)
	if n := testing.AllocsPerRun(2000, func() {
		c.Write(b)
		io.ReadFull(c, b)
	}); n != 0 {
		t.Errorf("%v objects per request and response", n)
	}
	c.Close()
	w.programs.Wait()
	closeHosts(t, w.a, w.b)
}

// What an idle connection costs: bytes of heap at each end, and no goroutine.
// In a bubble, because being idle takes time.
func TestIdleConnections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	synctest.Test(t, idleConnections)
}

func idleConnections(t *testing.T) {
	const conns = 10_000
	a, b := twoHosts(t, pipe.Options{})
	l, err := b.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*handfast.Conn, 0, 2*conns)
	open := func() {
		c, err := a.Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.(*handfast.Listener).AcceptConn()
		if err != nil {
			t.Fatal(err)
		}
		c.(*handfast.Conn).SetKeepAlive(false)
		p.SetKeepAlive(false)
		ends = append(ends, c.(*handfast.Conn), p)
	}
	open()
	before, routines := heap(), runtime.NumGoroutine()
	for range conns - 1 {
		open()
	}
	each := func(when string, most int) {
		n := int(heap()-before) / (2 * (conns - 1))
		t.Logf("%s: %d bytes per end", when, n)
		if n > most {
			t.Errorf("%s an end takes %d bytes, want at most %d", when, n, most)
		}
	}
	each("fresh", 704)
	buf := make([]byte, 20_000)
	for i := 0; i < len(ends); i += 2 {
		for _, x := range [][2]*handfast.Conn{{ends[i], ends[i+1]}, {ends[i+1], ends[i]}} {
			if _, err := x[0].Write(buf); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(x[1], buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(time.Minute)
	each("after traffic and idle again", 1024)
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("%d goroutines with %d connections, %d with one", n, conns, routines)
	}
	runtime.KeepAlive(ends)
	closeHosts(t, a, b)
}
