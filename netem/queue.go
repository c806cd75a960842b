package netem

import "github.com/handfast/handfast/mono"

// queue knows who waits for the transmitter: a ring of the instants at which
// transmissions begin, which are never decreasing, and the sizes. It grows to
// the longest queue seen, at most MaxQueuePackets, which admit enforces.
type queue struct {
	ring  []waiting // length 0 or a power of two
	head  int
	n     int
	bytes int
}

type waiting struct {
	begin mono.Time
	size  int
}

// join appends a packet whose transmission begins at begin.
func (q *queue) join(begin mono.Time, size int) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = waiting{begin, size}
	q.n++
	q.bytes += size
}

// leave removes the packets whose transmission has begun at now.
func (q *queue) leave(now mono.Time) {
	for q.n > 0 && q.ring[q.head].begin <= now {
		q.bytes -= q.ring[q.head].size
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.n--
	}
}

func (q *queue) grow() {
	bigger := make([]waiting, max(firstRing, 2*len(q.ring)))
	n := copy(bigger, q.ring[q.head:])
	copy(bigger[n:], q.ring[:q.head])
	q.ring, q.head = bigger, 0
}
