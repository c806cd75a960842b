package main

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/handfast/handfast/netem"
)

// profiles are the simulated links of the wan case. The queue is one
// bandwidth-delay product where the name says nothing else.
var profiles = []Profile{
	{"100M-10ms", "rate 100mbit delay 5ms queue 125kb"},
	{"50M-40ms-loss0.1", "rate 50mbit delay 20ms queue 250kb loss 0.1%"},
	{"100M-100ms", "rate 100mbit delay 50ms queue 1250kb"},
	{"100M-100ms-loss0.1", "rate 100mbit delay 50ms queue 1250kb loss 0.1%"},
	{"20M-100ms-loss1", "rate 20mbit delay 50ms queue 250kb loss 1%"},
	{"100M-20ms-reorder2", "rate 100mbit delay 10ms queue 250kb reorder 2% 1ms-10ms"},
	{"20M-50ms-queue0.25", "rate 20mbit delay 25ms queue 31250b"},
	{"50M-40ms-burst", "rate 50mbit delay 20ms queue 250kb burst 0.05% 25%"}, // runs of 4, 0.2 % in all
	{"1G-10ms", "rate 1gbit delay 5ms queue 1250kb"},
	{"100M-100ms-loss1", "rate 100mbit delay 50ms queue 1250kb loss 1%"},
	{"50M-40ms-reorder2", "rate 50mbit delay 20ms queue 250kb reorder 2% 1ms-10ms"},
}

// tabled is how many of the profiles the wan command measures by default.
const tabled = 8

// described is a stack that can tell how one of its connections is doing.
type described interface{ Describe(c net.Conn) string }

// wan sends from a to b over a simulated link from the moment of connecting.
// With watch, it writes to standard error how the sender does, so often.
func wan(p Peer, s Setup, pr Profile, d time.Duration, seed uint64, watch time.Duration) (metrics, error) {
	s.Counted = true
	ab, err := newWire(pr, seed)
	if err != nil {
		return nil, err
	}
	ba, err := newWire(pr, ^seed)
	if err != nil {
		return nil, err
	}
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
	if watch > 0 {
		go watchSender(a, c, ab, got, watch, &stop)
	}
	time.Sleep(d / 2)
	half := got.Load()
	time.Sleep(d - d/2)
	n, u1 := got.Load(), used()
	stop.Store(true)
	sec := u1.at.Sub(u0.at).Seconds()
	k := a.Retransmits()
	w := ab.counters()
	return metrics{
		"resent":       k.Resent,
		"timeouts":     k.Timeouts,
		"tail_probes":  k.TailProbes,
		"mbit_s":       float64(n) * 8 / 1e6 / sec,
		"mbit_s_half2": float64(n-half) * 8 / 1e6 / (sec / 2),
		"packets":      float64(w.Packets),
		"lost":         float64(w.Dropped[netem.DroppedLoss] + w.Dropped[netem.DroppedBurst]),
		"queue_drops":  float64(w.Dropped[netem.DroppedQueue]),
	}.cpus(u0, u1), nil
}

// watchSender writes a line every so often until told to stop.
func watchSender(a Stack, c net.Conn, w *wire, got *atomic.Int64, every time.Duration, stop *atomic.Bool) {
	desc, _ := a.(described)
	start, last := time.Now(), int64(0)
	for tick := time.NewTicker(every); !stop.Load(); <-tick.C {
		n, k := got.Load(), w.counters()
		text := ""
		if desc != nil {
			text = desc.Describe(c)
		}
		fmt.Fprintf(os.Stderr, "%7.3f %6.1f Mbit/s drops %d: %s\n", time.Since(start).Seconds(),
			float64(n-last)*8/1e6/every.Seconds(), k.Drops(), text)
		last = n
	}
}
