package system_test

import (
	"container/heap"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
)

// badWire puts a netem.Wire for each direction between the Host and a device.
// A super-segment shares one fate.
type badWire struct {
	link.Device
	queues  [1]link.Queue
	out, in *lane
	reader  sync.WaitGroup
}

// wrapIn returns what makes a badWire of a device, one direction like the other.
func (b *badWire) wrapIn(cfg netem.Config, seed uint64) func(link.Device) link.Device {
	return func(dev link.Device) link.Device {
		b.Device, b.queues[0] = dev, b
		q := dev.Queues()[0]
		b.out = newLane(cfg, seed, func(p []*pkt.Packet) { q.Write(p) })
		b.in = newLane(cfg, ^seed, nil)
		return b
	}
}

func (b *badWire) Queues() []link.Queue { return b.queues[:] }

// Read is not for a Pusher.
func (b *badWire) Read([]*pkt.Packet) (int, error) { return 0, net.ErrClosed }

// Write sends into the wire.
func (b *badWire) Write(batch []*pkt.Packet) (int, error) {
	for _, p := range batch {
		b.out.send(p)
	}
	return len(batch), nil
}

// SetInput starts the wire.
func (b *badWire) SetInput(input func([]*pkt.Packet)) {
	b.in.deliver = input
	go b.in.run()
	go b.out.run()
	q := b.Device.Queues()[0]
	b.reader.Go(func() {
		var batch [16]*pkt.Packet
		for {
			n, err := q.Read(batch[:])
			for _, p := range batch[:n] {
				b.in.send(p)
			}
			if err != nil {
				return
			}
		}
	})
}

// Close waits until nothing of the wire runs, and releases what is on its way.
func (b *badWire) Close() error {
	b.out.close()
	err := b.Device.Close()
	b.reader.Wait()
	b.in.close()
	return err
}

// lane is one direction in real time.
type lane struct {
	start   time.Time
	deliver func([]*pkt.Packet)
	kick    chan struct{}
	ended   chan struct{}

	mu     sync.Mutex
	net    *netem.Wire
	way    onTheWay
	seq    int
	closed bool
}

type travelling struct {
	at  mono.Time
	seq int
	p   *pkt.Packet
}

type onTheWay []travelling

func (w onTheWay) Len() int { return len(w) }
func (w onTheWay) Less(i, j int) bool {
	return w[i].at < w[j].at || w[i].at == w[j].at && w[i].seq < w[j].seq
}
func (w onTheWay) Swap(i, j int) { w[i], w[j] = w[j], w[i] }
func (w *onTheWay) Push(x any)   { *w = append(*w, x.(travelling)) }
func (w *onTheWay) Pop() any     { o := *w; x := o[len(o)-1]; *w = o[:len(o)-1]; return x }

func newLane(cfg netem.Config, seed uint64, deliver func([]*pkt.Packet)) *lane {
	return &lane{start: time.Now(), deliver: deliver, net: netem.New(cfg, seed),
		kick: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (l *lane) now() mono.Time { return mono.Start.Add(time.Since(l.start)) }

// send owns p. The lane does not duplicate.
func (l *lane) send(p *pkt.Packet) {
	l.mu.Lock()
	fate := l.net.Send(l.now(), p.Len())
	if fate.N == 0 || l.closed {
		l.mu.Unlock()
		p.Release()
		return
	}
	l.seq++
	heap.Push(&l.way, travelling{fate.At[0], l.seq, p})
	l.mu.Unlock()
	l.poke()
}

func (l *lane) poke() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// run delivers what has arrived, until the lane is closed.
func (l *lane) run() {
	defer close(l.ended)
	for timer := time.NewTimer(0); ; {
		var due []*pkt.Packet
		wait := time.Hour
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return
		}
		for now := l.now(); len(l.way) > 0; {
			if wait = l.way[0].at.Sub(now); wait > 0 {
				break
			}
			due = append(due, heap.Pop(&l.way).(travelling).p)
			wait = time.Hour
		}
		l.mu.Unlock()
		if len(due) > 0 {
			l.deliver(due)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.kick:
		}
	}
}

func (l *lane) close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	way := l.way
	l.way = nil
	l.mu.Unlock()
	for _, t := range way {
		t.p.Release()
	}
	l.poke()
	if l.deliver != nil {
		<-l.ended
	}
}

// drops is how many packets the lane has lost.
func (l *lane) drops() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.net.Counters()
	return c.Drops()
}

// Over wires that lose, reorder and have little room, all that either side
// sends arrives, with super-segments and without. Goodput is only told.
func TestBadWires(t *testing.T) {
	const size = 3 << 20
	for name, text := range map[string]string{
		"loss":    "rate 50mbit delay 10ms queue 125kb loss 1%",
		"burst":   "rate 50mbit delay 10ms queue 125kb burst 0.2% 25%",
		"reorder": "rate 50mbit delay 10ms queue 125kb reorder 2% 1ms-10ms",
		"shallow": "rate 20mbit delay 25ms queue 32kb",
	} {
		cfg, err := netem.ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, plain := range []bool{false, true} {
			for _, up := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/offload=%v/we send=%v", name, !plain, up), func(t *testing.T) {
					t.Parallel()
					b := &badWire{}
					l := newLab(t, setup{noOffload: plain, wrap: b.wrapIn(cfg, 12)}, plain)
					l.overBadWire(b, up, size)
				})
			}
		}
	}
}

// overBadWire sends one way and tells how it went.
func (l *lab) overBadWire(b *badWire, up bool, size int64) {
	l.Helper()
	p := l.weDial()
	from, to, lane := duplex(p.kernel), duplex(p.ours), b.in
	if up {
		from, to, lane = to, from, b.out
	}
	start := time.Now()
	err := carry(from, to, 13, size)
	took := time.Since(start)
	kernel, ours := l.kernelInfo(p.kernel), p.ours.Info()
	if err != nil {
		l.Errorf("%v; ours: %+v; the kernel's: %+v", err, ours, kernel)
	}
	resent := uint64(ours.Retransmits)
	if !up {
		resent = uint64(kernel.Total_retrans)
	}
	if lost := lane.drops(); lost > 0 && resent == 0 {
		l.Errorf("%d packets were lost, none sent again: %+v", lost, ours)
	}
	l.Logf("%.1f Mbit/s, %d packets lost, %d sent again, SRTT %v", float64(size)*8/1e6/took.Seconds(), lane.drops(), resent, ours.SRTT)
}
