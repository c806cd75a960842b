package system_test

import (
	"math/rand/v2"
	"sync"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
)

// meddler is a device between the Host and the TUN device that can look at
// packets, lose them and hold them back.
type meddler struct {
	link.Device
	queue meddledQueue
}

// wrap puts a meddler around the device that it is given.
func (m *meddler) wrap(dev link.Device) link.Device {
	m.Device = dev
	m.queue.Queue = dev.Queues()[0]
	return m
}

func (m *meddler) Queues() []link.Queue { return []link.Queue{&m.queue} }

type meddledQueue struct {
	link.Queue
	mu   sync.Mutex
	see  func(out bool, p *pkt.Packet)      // called with mu held
	lose func(out bool, p *pkt.Packet) bool // called with mu held
	hold bool
	held []*pkt.Packet
}

// Read returns what is not lost.
func (q *meddledQueue) Read(batch []*pkt.Packet) (int, error) {
	for {
		n, err := q.Queue.Read(batch)
		if kept := q.sort(false, batch[:n]); len(kept) > 0 || err != nil {
			return len(kept), err
		}
	}
}

// Write passes on what is neither lost nor held back.
func (q *meddledQueue) Write(batch []*pkt.Packet) (int, error) {
	kept := q.sort(true, batch)
	q.mu.Lock()
	if q.hold {
		q.held = append(q.held, kept...)
		q.mu.Unlock()
		return len(kept), nil
	}
	q.mu.Unlock()
	if len(kept) == 0 {
		return 0, nil
	}
	return q.Queue.Write(kept)
}

// sort releases what is lost and returns the rest, in the same array.
func (q *meddledQueue) sort(out bool, batch []*pkt.Packet) []*pkt.Packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := batch[:0]
	for _, p := range batch {
		if q.see != nil {
			q.see(out, p)
		}
		if q.lose != nil && q.lose(out, p) {
			p.Release()
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// watch has f see every packet from now on.
func (m *meddler) watch(f func(out bool, p *pkt.Packet)) {
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	m.queue.see = f
}

// dropping loses what f says from now on; nil loses nothing.
func (m *meddler) dropping(f func(out bool, p *pkt.Packet) bool) {
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	m.queue.lose = f
}

// holdBack keeps what the Host sends until release.
func (m *meddler) holdBack() {
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	m.queue.hold = true
}

// heldBack returns how many packets wait.
func (m *meddler) heldBack() int {
	m.queue.mu.Lock()
	defer m.queue.mu.Unlock()
	return len(m.queue.held)
}

// release sends what was held back. The Host must be silent meanwhile.
func (m *meddler) release() error {
	m.queue.mu.Lock()
	held := m.queue.held
	m.queue.hold, m.queue.held = false, nil
	m.queue.mu.Unlock()
	_, err := m.queue.Queue.Write(held)
	return err
}

// lossy loses a share of all packets, in percent, both ways: of those with
// text every so manyth, beginning with the third, so that a few of them are
// enough; of the others by chance.
func lossy(percent int, seed uint64) func(bool, *pkt.Packet) bool {
	const headers = 100 // no packet without text is longer
	r := rand.New(rand.NewPCG(seed, seed))
	texts := map[bool]int{}
	return func(out bool, p *pkt.Packet) bool {
		if p.Len() <= headers {
			return r.IntN(100) < percent
		}
		texts[out]++
		return texts[out]%(100/percent) == 3
	}
}
