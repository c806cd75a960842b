package netem

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// flight holds the packets on their way: a binary heap ordered by the instant
// of arrival and, where instants are equal, by the order of sending. One timer
// over it serves the whole line, since equal timers would fire in any order.
type flight struct {
	heap []carried
	seq  uint64
}

type carried struct {
	at  mono.Time
	seq uint64
	p   *pkt.Packet
}

func (c *carried) before(d *carried) bool {
	return c.at < d.at || c.at == d.at && c.seq < d.seq
}

func (f *flight) len() int { return len(f.heap) }

// next returns the earliest arrival, 0 if nothing is on its way.
func (f *flight) next() mono.Time {
	if len(f.heap) == 0 {
		return 0
	}
	return f.heap[0].at
}

func (f *flight) push(at mono.Time, p *pkt.Packet) {
	f.seq++
	f.heap = append(f.heap, carried{at, f.seq, p})
	h := f.heap
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// pop removes and returns the earliest packet; there must be one.
func (f *flight) pop() *pkt.Packet {
	h := f.heap
	p := h[0].p
	last := len(h) - 1
	h[0] = h[last]
	h[last] = carried{}
	h = h[:last]
	f.heap = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return p
		}
		if child+1 < last && h[child+1].before(&h[child]) {
			child++
		}
		if !h[child].before(&h[i]) {
			return p
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
