package sim

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// Kinds of events.
const (
	callEvent   = iota + 1 // a function is called
	wakeEvent              // an engine's deadline
	arriveEvent            // a packet reaches a host
	boxEvent               // a packet leaves the Box that held it
)

// event is something that happens at an instant.
type event struct {
	at     mono.Time
	seq    uint64
	kind   uint8
	iface  int // of the host; the side of the wire that sends
	host   *Host
	wire   *Wire
	packet *pkt.Packet
	call   func()
}

// eventHeap is a binary heap by time and, at equal times, by the order of
// planning. It is bounded by the packets that wires hold (package netem), one
// wake per host and deadline moved, and what programs plan.
type eventHeap []event

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

func (h *eventHeap) push(e event) {
	s := append(*h, e)
	i := len(s) - 1
	for i > 0 {
		p := (i - 1) / 2
		if !e.before(&s[p]) {
			break
		}
		s[i] = s[p]
		i = p
	}
	s[i] = e
	*h = s
}

func (h *eventHeap) pop() event {
	s := *h
	top := s[0]
	n := len(s) - 1
	e := s[n]
	s[n] = event{}
	s = s[:n]
	*h = s
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && s[c+1].before(&s[c]) {
			c++
		}
		if !s[c].before(&e) {
			break
		}
		s[i] = s[c]
		i = c
	}
	if n > 0 {
		s[i] = e
	}
	return top
}
