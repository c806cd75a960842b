package main

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// crowd is the open ends of an idle measurement.
type crowd struct {
	mu      sync.Mutex
	conns   []net.Conn
	readers bool
}

func (k *crowd) add(c net.Conn) {
	k.mu.Lock()
	k.conns = append(k.conns, c)
	k.mu.Unlock()
	if k.readers {
		go c.Read(make([]byte, 1))
	}
}

func (k *crowd) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns)
}

// await waits until want ends are open.
func (k *crowd) await(want int) error {
	for range 1000 {
		if k.count() == want {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%d of %d ends are open", k.count(), want)
}

// dial opens n connections from a to the listeners of serve at addrB.
func (k *crowd) dial(a Stack, n int) error {
	const dialers = 16
	var next atomic.Int64
	var wg sync.WaitGroup
	errc := make(chan error, dialers)
	for range dialers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				c, err := a.Dial(netip.AddrPortFrom(addrB, uint16(firstPort+i%ports)))
				if err != nil {
					errc <- err
					return
				}
				k.add(c)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errc:
		return err
	default:
		return nil
	}
}

// knock has a far end without state open n connections; it does not run more
// than half a thousand ahead of the server's Accept.
func (k *crowd) knock(far *stateless, n int) {
	const ahead = 500
	var buf [64]byte
	for i := range n {
		src := netip.AddrPortFrom(addrA, uint16(1024+i/ports))
		far.recv(rawTCP(buf[:], src, netip.AddrPortFrom(addrB, uint16(firstPort+i%ports)), 7, 0, tcpSYN))
		for tries := 0; i-k.count() > ahead && tries < 1000; tries++ {
			time.Sleep(time.Millisecond)
		}
	}
}

// idleStacks makes what a variant needs; nil is the far end without state.
func idleStacks(p Peer, s Setup, what string, far *stateless) (a, b Stack, err error) {
	switch what {
	case "both", "readers":
		return p.Pair(p.Links()[0], s)
	case "client":
		a, err = p.Wire(far, addrA, s)
	case "server":
		b, err = p.Wire(far, addrB, s)
	default:
		err = fmt.Errorf("no variant %q", what)
	}
	return a, b, err
}

func (k *crowd) open(a, b Stack, far *stateless, n int) error {
	want := n
	switch {
	case a == nil:
		k.knock(far, n)
	case b == nil:
		if err := k.dial(a, n); err != nil {
			return err
		}
	default:
		want *= 2
		if err := k.dial(a, n); err != nil {
			return err
		}
	}
	return k.await(want)
}

// idle opens n connections and lets them be. "both" has two stacks in this
// process; "readers" adds a goroutine blocked in Read at each end; "client"
// and "server" have one stack against a far end that keeps no state.
func idle(p Peer, s Setup, what string, n int) (metrics, error) {
	lim := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &lim) // where it is not allowed, the kernel peer's dial will say so
	k := &crowd{conns: make([]net.Conn, 0, 2*n), readers: what == "readers"}
	far := &stateless{}
	a, b, err := idleStacks(p, s, what, far)
	if err != nil {
		return nil, err
	}
	if b != nil {
		if err := serve(b, ports, k.add); err != nil {
			return nil, err
		}
	}
	h0, s0, k0 := memory()
	r0, g0 := rss(), runtime.NumGoroutine()
	t0 := time.Now()
	if err := k.open(a, b, far, n); err != nil {
		return nil, err
	}
	took := time.Since(t0)
	time.Sleep(2 * time.Second)
	h1, s1, k1 := memory()
	c0 := cpuSeconds()
	const watch = 2 * time.Second
	time.Sleep(watch)
	m := metrics{
		"idle_cpu_percent":  (cpuSeconds() - c0) / watch.Seconds() * 100,
		"heap_b_per_conn":   (h1 - h0) / float64(n),
		"stack_b_per_conn":  (s1 - s0) / float64(n),
		"slab_b_per_conn":   (k1 - k0) / float64(n),
		"rss_b_per_conn":    (rss() - r0) / float64(n),
		"goroutines_per_1k": float64(runtime.NumGoroutine()-g0) * 1000 / float64(n),
		"setup_per_s":       float64(n) / took.Seconds(),
	}
	runtime.KeepAlive(k)
	return m, nil
}
