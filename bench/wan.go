package main

import (
	"sync/atomic"
	"time"
)

// profiles are the simulated links of the wan case.
var profiles = []Profile{
	Profile{Name: "100M-100ms", Rate: 100e6, Delay: 50 * time.Millisecond}.bdp(),
	Profile{Name: "100M-100ms-loss0.1", Rate: 100e6, Delay: 50 * time.Millisecond, Loss: 0.001}.bdp(),
	Profile{Name: "100M-100ms-loss1", Rate: 100e6, Delay: 50 * time.Millisecond, Loss: 0.01}.bdp(),
	Profile{Name: "1G-10ms", Rate: 1e9, Delay: 5 * time.Millisecond}.bdp(),
	Profile{Name: "50M-40ms-reorder2", Rate: 50e6, Delay: 20 * time.Millisecond, Reorder: 0.02}.bdp(),
}

// wan sends from a to b over a simulated link from the moment of connecting.
func wan(p Peer, s Setup, pr Profile, d time.Duration) (metrics, error) {
	seed := uint64(time.Now().UnixNano())
	ab, ba := newWire(pr, seed), newWire(pr, seed+1)
	a, err := p.Wire(wireEnd{ab, ba}, addrA, s)
	if err != nil {
		return nil, err
	}
	b, err := p.Wire(wireEnd{ba, ab}, addrB, s)
	if err != nil {
		return nil, err
	}
	c, r, err := connect(a, b, addrB)
	if err != nil {
		return nil, err
	}
	u0 := used()
	var stop atomic.Bool
	got := send(c, r, &stop)
	time.Sleep(d / 2)
	half := got.Load()
	time.Sleep(d - d/2)
	n, u1 := got.Load(), used()
	stop.Store(true)
	ab.mu.Lock()
	defer ab.mu.Unlock()
	sec := u1.at.Sub(u0.at).Seconds()
	resent, timeouts := a.Retransmits()
	return metrics{
		"resent":       resent,
		"timeouts":     timeouts,
		"mbit_s":       float64(n) * 8 / 1e6 / sec,
		"mbit_s_half2": float64(n-half) * 8 / 1e6 / (sec / 2),
		"packets":      float64(ab.sent),
		"lost":         float64(ab.lost),
		"queue_drops":  float64(ab.drops),
	}.cpus(u0, u1), nil
}
