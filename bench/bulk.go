package main

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// connect opens one connection and returns both of its ends.
func connect(client, server Stack, serverAddr netip.Addr) (c, s net.Conn, err error) {
	l, err := server.Listen(5001)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	type res struct {
		c   net.Conn
		err error
	}
	ch := make(chan res, 1)
	go func() {
		c, err := l.Accept()
		ch <- res{c, err}
	}()
	if c, err = client.Dial(netip.AddrPortFrom(serverAddr, 5001)); err != nil {
		return nil, nil, err
	}
	r := <-ch
	return c, r.c, r.err
}

// send writes to one end until told to stop; the returned counter counts what
// the other end has read.
func send(tx, rx net.Conn, stop *atomic.Bool) *atomic.Int64 {
	var got atomic.Int64
	go func() {
		buf := make([]byte, chunk)
		for !stop.Load() {
			if _, err := tx.Write(buf); err != nil {
				return
			}
		}
	}()
	go func() {
		buf := make([]byte, chunk)
		for {
			n, err := rx.Read(buf)
			got.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	return &got
}

// bulk measures one connection, dialled by a to b; up says that a sends.
func bulk(a, b Stack, up bool, d time.Duration) (metrics, error) {
	c, s, err := connect(a, b, addrB)
	if err != nil {
		return nil, err
	}
	if !up {
		c, s = s, c
	}
	var stop atomic.Bool
	got := send(c, s, &stop)
	time.Sleep(warmup)
	u0, n0 := used(), got.Load()
	time.Sleep(d)
	n1, u1 := got.Load(), used()
	stop.Store(true)
	gb := float64(n1-n0) / 1e9
	if gb == 0 {
		return nil, fmt.Errorf("nothing arrived")
	}
	return metrics{
		"gbit_s":         gb * 8 / u1.at.Sub(u0.at).Seconds(),
		"cpu_s_per_gb":   (u1.cpu - u0.cpu) / gb,
		"allocs_per_gb":  float64(u1.allocs-u0.allocs) / gb,
		"alloc_b_per_gb": float64(u1.bytes-u0.bytes) / gb,
	}.cpus(u0, u1), nil
}
