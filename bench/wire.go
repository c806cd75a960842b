package main

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Profile describes one direction of a simulated link; both get the same.
type Profile struct {
	Name    string
	Rate    float64       // bit/s
	Delay   time.Duration // one way
	Loss    float64
	Reorder float64 // share of packets held back by another 1 to 10 ms
	Queue   int     // bytes waiting for the wire; beyond it packets drop
}

// bdp sets the queue to rate times round trip.
func (p Profile) bdp() Profile {
	p.Queue = int(p.Rate * 2 * p.Delay.Seconds() / 8)
	return p
}

// wire is one direction.
type wire struct {
	p     Profile
	mu    sync.Mutex
	rng   *rand.Rand
	free  time.Time // when the transmitter is done with what it has
	q     flight
	seq   int
	recv  func([]byte)
	kick  chan struct{}
	pool  sync.Pool // of *[]byte
	sent  int
	lost  int // by chance
	drops int // by the full queue
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

func newWire(p Profile, seed uint64) *wire {
	w := &wire{p: p, rng: rand.New(rand.NewPCG(seed, 1)), kick: make(chan struct{}, 1)}
	w.pool.New = func() any { b := make([]byte, 2048); return &b }
	go w.run()
	return w
}

func (w *wire) send(pkt []byte) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	if w.p.Loss > 0 && w.rng.Float64() < w.p.Loss {
		w.lost++
		return
	}
	if w.free.Before(now) {
		w.free = now
	}
	if backlog := w.free.Sub(now).Seconds() * w.p.Rate / 8; int(backlog)+len(pkt) > w.p.Queue {
		w.drops++
		return
	}
	w.free = w.free.Add(time.Duration(float64(len(pkt)) * 8 / w.p.Rate * 1e9))
	at := w.free.Add(w.p.Delay)
	if w.p.Reorder > 0 && w.rng.Float64() < w.p.Reorder {
		at = at.Add(time.Millisecond + time.Duration(w.rng.Int64N(int64(9*time.Millisecond))))
	}
	w.seq++
	b := *w.pool.Get().(*[]byte)
	heap.Push(&w.q, packet{at, w.seq, append(b[:0], pkt...)})
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
