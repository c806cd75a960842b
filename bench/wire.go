package main

import (
	"container/heap"
	"sync"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"golang.org/x/sys/unix"
)

// Profile is a simulated link: one direction in the words of netem.ParseConfig;
// both get the same.
type Profile struct {
	Name string
	Text string
}

// wire is one direction. What becomes of a packet is decided by the module's
// own netem.Wire, for every peer alike; a seed gives the n-th packet its luck.
type wire struct {
	start time.Time // mono.Start
	mu    sync.Mutex
	net   *netem.Wire
	q     flight
	seq   int
	recv  func([]byte)
	kick  chan struct{}
	pool  sync.Pool // of *[]byte
}

type packet struct {
	at  time.Time
	seq int
	b   []byte
}

type flight []packet

func (f flight) Len() int { return len(f) }
func (f flight) Less(i, j int) bool {
	return f[i].at.Before(f[j].at) || f[i].at.Equal(f[j].at) && f[i].seq < f[j].seq
}
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flight) Push(x any)   { *f = append(*f, x.(packet)) }
func (f *flight) Pop() any     { o := *f; x := o[len(o)-1]; *f = o[:len(o)-1]; return x }

func newWire(p Profile, seed uint64) (*wire, error) {
	cfg, err := netem.ParseConfig(p.Text)
	if err != nil {
		return nil, err
	}
	w := &wire{start: time.Now(), net: netem.New(cfg, seed), kick: make(chan struct{}, 1)}
	w.pool.New = func() any { b := make([]byte, 2048); return &b }
	go w.run()
	return w, nil
}

func (w *wire) counters() netem.Counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.net.Counters()
}

func (w *wire) send(pkt []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fate := w.net.Send(mono.Start.Add(time.Since(w.start)), len(pkt))
	for _, at := range fate.At[:fate.N] {
		w.seq++
		b := *w.pool.Get().(*[]byte)
		heap.Push(&w.q, packet{w.start.Add(at.Sub(mono.Start)), w.seq, append(b[:0], pkt...)})
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *wire) run() {
	for {
		w.mu.Lock()
		if len(w.q) == 0 {
			w.mu.Unlock()
			<-w.kick
			continue
		}
		if d := time.Until(w.q[0].at); d > 0 {
			w.mu.Unlock()
			// Not time.Sleep, which an idle runtime rounds up to 1 ms. The
			// steps bound the cost, and how late a packet is that was sent
			// meanwhile and overtakes (Reorder).
			ts := unix.NsecToTimespec(int64(min(max(d, 200*time.Microsecond), time.Millisecond)))
			unix.Nanosleep(&ts, nil)
			continue
		}
		p := heap.Pop(&w.q).(packet)
		recv := w.recv
		w.mu.Unlock()
		if recv != nil {
			recv(p.b)
		}
		b := p.b[:cap(p.b)]
		w.pool.Put(&b)
	}
}

// wireEnd sends on one wire and receives from the other.
type wireEnd struct{ tx, rx *wire }

func (e wireEnd) Send(b []byte) { e.tx.send(b) }

func (e wireEnd) Recv(f func(b []byte)) {
	e.rx.mu.Lock()
	e.rx.recv = f
	e.rx.mu.Unlock()
}
