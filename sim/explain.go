package sim

import (
	"fmt"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// report sums the run up and looks for ends of connections that nothing
// explains.
func (r *run) report() Report {
	w := r.w
	rep := Report{Reasons: map[tcp.Reason]int{}}
	for i, h := range w.hosts {
		rep.Drops += h.lost + h.scarcity()
		if i < 2 { // the others share the wire
			c, x := r.wires[0].Counters(h), r.wires[0].BoxCounters(h)
			rep.Drops += c.Drops() + c.Corrupted + x.Drops()
		}
	}
	r.happened(&rep)
	for _, c := range r.conns {
		for _, e := range c {
			rep.Bytes += e.read
			if e.ended {
				rep.Reasons[e.err]++
			}
			if w.err == nil {
				w.Fail(r.explain(e, rep.Drops))
			}
		}
		if c[0].complete() && c[1].complete() {
			rep.Clean++
		}
		rep.look(&c)
	}
	for _, e := range r.echos {
		rep.Answered += e.answered
		if w.err == nil {
			w.Fail(e.complain(rep.Drops))
		}
	}
	rep.Hash, rep.Events, rep.Packets = w.digest, w.steps, w.packets
	rep.Time = w.now.Sub(r.start)
	rep.Err = w.err
	return rep
}

// look adds what the two ends of a connection know.
func (rep *Report) look(c *[2]*end) {
	for j, e := range c {
		if e.conn == nil {
			continue
		}
		var i tcp.Info
		e.conn.Info(&i)
		rep.MarksIn += uint64(i.MarksIn)
		rep.MarkReductions += uint64(i.MarkReductions)
		if j == 0 {
			rep.Feedback[i.Feedback]++
			rep.FastOpens += b2i(i.FastOpen == tcp.FastOpenAccepted || i.FastOpen == tcp.FastOpenPartly)
		}
	}
}

// happened counts what there was of each class of faults.
func (r *run) happened(rep *Report) {
	rep.Happened = r.did
	add := func(c Class, n uint64) { rep.Happened[c.index()] += n }
	for i, h := range r.w.hosts {
		add(Batch, h.batches)
		add(Scarce, h.scarcity())
		if i > 1 {
			continue
		}
		c, x := r.wires[0].Counters(h), r.wires[0].BoxCounters(h)
		add(Loss, c.Dropped[netem.DroppedLoss])
		add(Burst, c.Dropped[netem.DroppedBurst])
		add(Reorder, c.Held)
		add(Duplicate, c.Duplicated)
		add(Corrupt, c.Corrupted)
		if r.s.Wire[i].Jitter > 0 {
			add(Jitter, c.Passed)
		}
		add(Slow, c.Dropped[netem.DroppedQueue])
		add(Partition, c.Dropped[netem.DroppedDown])
		add(Narrow, c.Dropped[netem.DroppedMTU])
		add(ACKs, x.HeldACKs+x.DroppedACKs)
		add(Marks, r.wires[0].Marked(h))
		add(Police, c.Dropped[netem.DroppedPoliced])
		add(Middlebox, x.Stripped+x.ClearedECN+x.ClearedFlags)
		add(BlackHole, x.Vanished)
	}
	for _, c := range r.conns {
		if c[0].host > 1 {
			add(Crossing, c[0].read+c[1].read)
		}
	}
}

// complete reports that all that was written arrived.
func (e *end) complete() bool { return e.ended && e.read == e.peer.spec.total() && e.done() }

// explain returns what is wrong with the way in which e ended. drops is how
// many packets the wire lost or damaged.
func (r *run) explain(e *end, drops uint64) error {
	if !e.ended || e.crashed {
		return nil // never began, or nothing may be asked
	}
	ok := true
	switch p := e.peer; e.err {
	case tcp.ReasonNone:
		if ok = e.early || p.early || p.crashed; !ok && e.read != p.wrote {
			return fmt.Errorf("sim: %v: ended without an error, the peer wrote %d", e, p.wrote)
		}
		if e.urgentSeen || p.urgentMark == 0 || e.early {
			return nil
		}
		return fmt.Errorf("sim: %v: read to the end and no urgent data seen, the peer marked byte %d", e, p.urgentMark)
	case tcp.ReasonAborted, tcp.ReasonClosed:
		ok = e.early
	case tcp.ReasonMemory:
		ok = r.w.hosts[e.host].scarcity() > 0
	case tcp.ReasonReset:
		ok = p.early || p.crashed || p.err != tcp.ReasonNone || !p.ended && p.conn == nil || drops > 0 || r.lingered(p)
	case tcp.ReasonRefused:
		ok = p.conn == nil && r.s.Faults&Crash != 0 || p.crashed || p.missed || p.early || p.err != tcp.ReasonNone || drops > 0
	case tcp.ReasonTimeout, tcp.ReasonKeepalive:
		// Nobody waits for ever for a window that does not open, once the
		// program has closed.
		if e.closed && p.spec.Read != (ReadSpec{}) {
			return nil
		}
		ok = drops >= 3 || r.slept() || p.crashed || p.missed || p.conn == nil && r.incarnation(e)
	case tcp.ReasonUserTimeout:
		// What arrives out of order may be dropped too, for its memory's sake.
		late := r.s.Faults&(Reorder|Jitter|Change|Rates|ACKs|Sleep) != 0
		ok = e.spec.UserTimeout > 0 && (drops >= 1 || late || p.crashed || p.missed || p.spec.Read != ReadSpec{})
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("sim: %v: ended with %q and nothing explains it (packets lost: %d; peer: %v, ended %t %v)",
			e, e.err, drops, e.peer, e.peer.ended, e.peer.err)
	}
	return nil
}

// slept reports that a host was suspended, for what may be longer than anybody
// waits for an answer.
func (r *run) slept() bool { return r.did[Sleep.index()] > 0 }

// lingered reports that e closed, read all, and was bound not to wait for ever
// for the peer's FIN.
func (r *run) lingered(e *end) bool {
	return e.closed && e.read == e.peer.wrote && r.cfgs[e.host].FinWait2 > 0
}

// incarnation reports that another connection has the same addresses and ports.
// Its TIME-WAIT may refuse a SYN for longer than that is sent again: without
// timestamps a sequence number is newer only for half the time in which the
// numbers come round (RFC 6191 §2), 137 s in the Linux profile.
func (r *run) incarnation(e *end) bool {
	for i := range r.conns {
		c := &r.s.Conns[i]
		for j := range r.conns {
			if r.conns[j][0] == e && i != j && c.Ports == r.s.Conns[j].Ports && c.From == r.s.Conns[j].From {
				return true
			}
		}
	}
	return false
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
