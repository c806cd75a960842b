package main

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// echo sends back every byte until the peer closes.
func echo(c net.Conn) {
	buf := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			break
		}
		if _, err := c.Write(buf); err != nil {
			break
		}
	}
	c.Close()
}

// serve listens on the given number of ports, beginning at firstPort, and gives
// f every connection.
func serve(s Stack, n int, f func(net.Conn)) error {
	for i := range n {
		l, err := s.Listen(uint16(firstPort + i))
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				f(c)
			}
		}()
	}
	return nil
}

// quantile is in microseconds; it sorts its argument.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[min(len(d)-1, int(q*float64(len(d))))]) / 1e3
}

// workers runs op in n goroutines for d and reports rate, latency and cost.
func workers(n int, d time.Duration, op func(worker int) error) metrics {
	var wg sync.WaitGroup
	var on, off atomic.Bool
	lat := make([][]time.Duration, n)
	var errs atomic.Int64
	for w := range n {
		wg.Go(func() {
			for !off.Load() {
				t := time.Now()
				err := op(w)
				if !on.Load() {
					continue
				}
				if err != nil {
					errs.Add(1)
					continue
				}
				lat[w] = append(lat[w], time.Since(t))
			}
		})
	}
	time.Sleep(warmup)
	on.Store(true)
	u0 := used()
	time.Sleep(d)
	off.Store(true)
	u1 := used()
	wg.Wait()
	l := slices.Concat(lat...)
	k := float64(len(l))
	return metrics{
		"per_s":         k / u1.at.Sub(u0.at).Seconds(),
		"p50_us":        quantile(l, 0.5),
		"p99_us":        quantile(l, 0.99),
		"cpu_us_per_op": (u1.cpu - u0.cpu) * 1e6 / k,
		"allocs_per_op": float64(u1.allocs-u0.allocs) / k,
		"errors":        float64(errs.Load()),
	}.cpus(u0, u1)
}

// rr sends one byte there and back, again and again, on each of conns connections.
func rr(a, b Stack, conns int, d time.Duration) (metrics, error) {
	if err := serve(b, 1, func(c net.Conn) { go echo(c) }); err != nil {
		return nil, err
	}
	cs := make([]net.Conn, conns)
	bufs := make([][]byte, conns)
	for i := range cs {
		c, err := a.Dial(netip.AddrPortFrom(addrB, firstPort))
		if err != nil {
			return nil, err
		}
		cs[i], bufs[i] = c, make([]byte, 1)
	}
	return workers(conns, d, func(w int) error { return pingpong(cs[w], bufs[w]) }), nil
}

// pingpong sends b and reads as much into it.
func pingpong(c net.Conn, b []byte) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b)
	return err
}

// crr dials, sends a byte, reads it back and closes; the client closes first.
func crr(a, b Stack, n int, d time.Duration) (metrics, error) {
	if err := serve(b, ports, func(c net.Conn) { go echo(c) }); err != nil {
		return nil, err
	}
	var seq atomic.Uint32
	return workers(n, d, func(int) error {
		c, err := a.Dial(netip.AddrPortFrom(addrB, uint16(firstPort+seq.Add(1)%ports)))
		if err != nil {
			return err
		}
		defer c.Close()
		return pingpong(c, make([]byte, 1))
	}), nil
}
