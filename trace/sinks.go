package trace

// MaxRing bounds a Ring, to 128 MiB.
const MaxRing = 1 << 20

// Ring is a Sink that keeps the newest events in memory of fixed size. Events
// are numbered from 0 in the order of their arrival, so that a reader who comes
// back knows what it missed.
//
// A Ring belongs to one shard, like what it listens to: whoever reads it does so
// with that shard's lock held, and reading is a copy for that reason.
type Ring struct {
	events []Event
	total  uint64
}

// NewRing returns a Ring for n events; n is brought into [1, MaxRing].
func NewRing(n int) *Ring {
	return &Ring{events: make([]Event, max(1, min(n, MaxRing)))}
}

// Trace copies the event over the oldest one.
func (r *Ring) Trace(ev *Event) {
	r.events[r.total%uint64(len(r.events))] = *ev
	r.total++
}

// Total returns how many events arrived in all: the number of the next one.
func (r *Ring) Total() uint64 { return r.total }

// Cap returns how many events the ring keeps.
func (r *Ring) Cap() int { return len(r.events) }

// Snapshot appends the events that are kept, oldest first, to dst.
func (r *Ring) Snapshot(dst []Event) []Event {
	size := uint64(len(r.events))
	if r.total <= size {
		return append(dst, r.events[:r.total]...)
	}
	i := r.total % size
	dst = append(dst, r.events[i:]...)
	return append(dst, r.events[:i]...)
}

// Read copies events into dst, oldest first, beginning with number from or, if
// that one is gone, with the oldest that is kept. It returns how many it copied
// and the number to continue from; next-n-from events were missed (none, when
// from is beyond Total: then n is 0 and next is Total).
func (r *Ring) Read(from uint64, dst []Event) (n int, next uint64) {
	if from > r.total {
		return 0, r.total
	}
	size := uint64(len(r.events))
	if r.total > size {
		from = max(from, r.total-size)
	}
	for n < len(dst) && from < r.total {
		k := copy(dst[n:], r.events[from%size:min(size, from%size+r.total-from)])
		n += k
		from += uint64(k)
	}
	return n, from
}

// multi passes events on to several sinks.
type multi []Sink

func (m multi) Trace(ev *Event) {
	for _, s := range m {
		s.Trace(ev)
	}
}

// Multi returns a Sink that passes each event to every one of sinks, in order.
// Nil sinks are left out.
func Multi(sinks ...Sink) Sink {
	m := make(multi, 0, len(sinks))
	for _, s := range sinks {
		if s != nil {
			m = append(m, s)
		}
	}
	if len(m) == 1 {
		return m[0]
	}
	return m
}

// filter passes on the events of some connections.
type filter struct {
	next  Sink
	conns []uint64
}

func (f *filter) Trace(ev *Event) {
	for _, c := range f.conns {
		if c == ev.Conn {
			f.next.Trace(ev)
			return
		}
	}
}

// Filter returns a Sink that passes on to next only the events of the given
// connections. They are searched in order: it is meant for one or a few.
func Filter(next Sink, conns ...uint64) Sink {
	return &filter{next: next, conns: append([]uint64(nil), conns...)}
}

// Func makes a function a Sink; it is bound by the same rules.
type Func func(ev *Event)

// Trace calls f.
func (f Func) Trace(ev *Event) { f(ev) }
