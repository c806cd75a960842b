package main

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const floodTime = 8 * time.Second

// witness connects every millisecond until told to stop.
type witness struct {
	tries int
	ok    []time.Duration // how long each successful connect took
}

func (w *witness) watch(client Stack, flooding *atomic.Bool) {
	time.Sleep(100 * time.Millisecond)
	for flooding.Load() {
		t := time.Now()
		w.tries++
		c, err := client.Dial(netip.AddrPortFrom(addrB, firstPort))
		if err == nil {
			took := time.Since(t)
			c.SetDeadline(time.Now().Add(connectTimeout))
			if pingpong(c, make([]byte, 1)) == nil {
				w.ok = append(w.ok, took)
			}
			c.Close()
		}
		time.Sleep(time.Millisecond)
	}
}

// peakHeap samples the heap and the stacks, in bytes.
func peakHeap(flooding *atomic.Bool) (peak float64) {
	for flooding.Load() {
		var ms runtime.MemStats
		runtime.ReadMemStats(&ms)
		peak = max(peak, float64(ms.HeapInuse+ms.StackInuse))
		time.Sleep(50 * time.Millisecond)
	}
	return peak
}

// flood injects up to floodSYNs SYNs from random addresses, at the given rate
// a second or (0) as fast as it can, and returns how many.
func flood(inject func([]byte), rate int) int {
	var buf [64]byte
	x := uint64(88172645463325252)
	t0 := time.Now()
	for i := range floodSYNs {
		if i%64 == 0 {
			e := time.Since(t0)
			if e > floodTime {
				return i
			}
			if rate > 0 {
				time.Sleep(time.Duration(i)*time.Second/time.Duration(rate) - e)
			}
		}
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		src := netip.AddrFrom4([4]byte{byte(20 + x%60), byte(x >> 8), byte(x >> 16), byte(x >> 24)})
		inject(rawTCP(buf[:], netip.AddrPortFrom(src, uint16(1024+x>>40%60000)),
			netip.AddrPortFrom(addrB, firstPort), uint32(x>>32), 0, tcpSYN))
	}
	return floodSYNs
}

// synflood floods a listener while a client connects again and again.
func synflood(p Peer, s Setup, rate int) (metrics, error) {
	client, server, inject, err := p.Flood(s)
	if err != nil {
		return nil, err
	}
	if err := serve(server, 1, func(c net.Conn) { go echo(c) }); err != nil {
		return nil, err
	}
	h0, s0, k0 := memory()
	var flooding atomic.Bool
	flooding.Store(true)
	var peak float64
	var w witness
	var wg sync.WaitGroup
	wg.Go(func() { peak = peakHeap(&flooding) })
	wg.Go(func() { w.watch(client, &flooding) })
	t0 := time.Now()
	n := flood(inject, rate)
	took := time.Since(t0)
	flooding.Store(false)
	wg.Wait()
	h1, s1, k1 := memory()
	return metrics{
		"syns":          float64(n),
		"syn_per_s":     float64(n) / took.Seconds(),
		"legit_tries":   float64(w.tries),
		"legit_ok":      float64(len(w.ok)) / max(float64(w.tries), 1),
		"legit_p50_us":  quantile(w.ok, 0.5),
		"legit_p99_us":  quantile(w.ok, 0.99),
		"peak_heap_mb":  peak / 1e6,
		"after_gc_mb":   (h1 + s1 - h0 - s0) / 1e6,
		"after_slab_mb": (k1 - k0) / 1e6,
	}, nil
}
