package engine

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// timeWaitReuse is how long a flow rests before we open it again ourselves,
// with timestamps to tell the incarnations apart: more than a tick of their
// clock, RFC 6191 §2; a second as in Linux.
const timeWaitReuse = time.Second

// timeWait is a TIME-WAIT record in its tables.
type timeWait struct {
	fifoLinks
	rec   tcp.TimeWaitRecord
	flow  Flow
	hash  uint32
	id    uint32 // of the connection it was, in traces
	iface uint16
	since mono.Time
}

func (t *timeWait) key() (*Flow, uint32) { return &t.flow, t.hash }

// toTimeWait replaces a TCB that reached TIME-WAIT by a record. When all
// records are used the oldest gives way: it has waited longest.
func (e *Engine) toTimeWait(now mono.Time, c *Conn) {
	e.forget(c)
	if e.tw.len() >= e.limits.TimeWait {
		e.stats.Count[TimeWaitOverflow]++
		if e.tw.len() == 0 { // none are to be kept
			return
		}
		e.dropTimeWait(e.twQueue.front())
	}
	i := e.tw.alloc()
	if i == 0 {
		return
	}
	t := e.tw.at(i)
	t.rec, t.flow, t.hash, t.id, t.iface, t.since = c.TimeWaitRecord(), c.flow, c.hash, c.id, c.iface, now
	e.twTable.insert(&e.tw, i)
	e.twQueue.pushBack(&e.tw, i)
}

func (e *Engine) dropTimeWait(i uint32) {
	e.twQueue.remove(&e.tw, i)
	e.twTable.remove(&e.tw, i)
	e.tw.free(i)
}

// inputTimeWait handles a segment for a TIME-WAIT record. It reports whether
// the segment was dealt with; if not, it opens a new incarnation.
func (e *Engine) inputTimeWait(now mono.Time, i uint32, f *Flow, hash uint32, iface *Interface) {
	t := e.tw.at(i)
	l := e.findListener(f)
	before := t.rec.Deadline
	e.traceRecord(now, trace.SegmentIn, trace.WhyNone, t.id, tcp.TimeWait, &e.seg, 0)
	verdict := t.rec.Arrive(now, e.tcp, &e.seg)
	if verdict == tcp.TimeWaitReuse && l == nil {
		verdict = t.rec.Challenge(now, e.tcp) // nobody to open it for: RFC 5961 §4
	}
	switch verdict {
	case tcp.TimeWaitACK:
		e.stats.Count[TimeWaitACKs]++
		t.rec.ACK(now, &e.reply)
		e.traceRecord(now, trace.SegmentOut, trace.WhyTimeWait, t.id, tcp.TimeWait, &e.reply, 0)
		e.sendSegment(f, &e.reply, iface)
		if t.rec.Deadline != before { // starts anew: behind all others
			e.twQueue.remove(&e.tw, i)
			e.twQueue.pushBack(&e.tw, i)
		}
	case tcp.TimeWaitReuse:
		id := t.id
		if !e.newHalfOpen(now, l, f, hash, iface, &t.rec) {
			return // the old incarnation goes on waiting
		}
		e.traceChange(now, id, tcp.TimeWait, tcp.Closed, tcp.OnReuse, trace.WhyNone)
		e.dropTimeWait(i)
		e.stats.Count[TimeWaitReused]++
	}
}

// advanceTimeWait ends the records whose 2 MSL are over.
func (e *Engine) advanceTimeWait(now mono.Time) {
	for i := e.twQueue.front(); i != 0; i = e.twQueue.front() {
		if now < e.tw.at(i).rec.Deadline {
			return
		}
		tcp.CheckEdge(tcp.TimeWait, tcp.Closed, tcp.OnTimeout)
		e.traceChange(now, e.tw.at(i).id, tcp.TimeWait, tcp.Closed, tcp.OnTimeout, trace.WhyTimeWait)
		e.dropTimeWait(i)
	}
}
