package sim

import (
	"fmt"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// end is the program at one end of a connection. But for its own pauses it acts
// only when the engine says that something became ready: a signal that is
// forgotten makes it wait for ever, and the run fail.
type end struct {
	run    *run
	spec   *EndSpec
	peer   *end
	host   int
	conn   *engine.Conn
	stream Stream // what it writes

	step         int
	left         uint64 // of the step, to be written
	begun        bool   // the step has begun
	wrote, read  uint64
	urgentMark   uint64 // offset after the last urgent byte written
	urgentSeen   bool
	reading      bool // waits before it reads on
	pausing      bool // waits before a step
	stalled      bool // has stalled once
	atEOF        bool
	readShut     bool // reads no more
	shut, closed bool
	early        bool // closed, aborted or given up before all was read
	crashed      bool // its host was
	missed       bool // was to dial while its host was down, or could not
	ended        bool
	endedClean   bool // by FINs of both sides
	err          tcp.Reason
}

// attach gives the end its connection.
func (e *end) attach(c *engine.Conn) {
	e.conn = c
	c.Owner = e
	w := e.run.w
	if e.spec.NoDelay {
		c.SetNoDelay(true)
	}
	if e.spec.UserTimeout > 0 {
		c.SetUserTimeout(e.spec.UserTimeout)
	}
	if k := e.spec.Keepalive; k > 0 {
		c.SetKeepalive(w.now, true, k, k, 5)
		c.Touch()
	}
	if e.spec.Patience > 0 {
		w.hosts[e.host].After(e.spec.Patience, e.hangUp)
	}
	w.hosts[e.host].After(0, e.Ready)
}

// hangUp is what a program does whose dial takes too long.
func (e *end) hangUp() {
	if e.conn.State() == tcp.SynSent {
		e.giveUp()
	}
}

// Ready is called when the connection became ready, and after pauses.
func (e *end) Ready() {
	if e.conn == nil || e.ended {
		return
	}
	e.lookAtUrgent()
	e.readSome()
	e.writeSome()
	e.finish()
	e.lookAtEnd()
}

// pause calls Ready after d, and clears flag before.
func (e *end) pause(flag *bool, d time.Duration) {
	*flag = true
	c := e.conn
	e.run.w.hosts[e.host].After(d, func() {
		*flag = false
		if e.conn == c {
			e.Ready()
		}
	})
}

// lookAtUrgent checks that an urgent pointer never points beyond what the peer
// marked.
func (e *end) lookAtUrgent() {
	n, ok := e.conn.Urgent()
	if !ok {
		return
	}
	e.urgentSeen = true
	if at := e.read + uint64(n); at > e.peer.urgentMark {
		e.run.failf("%v: urgent data up to byte %d, the peer marked %d", e, at, e.peer.urgentMark)
	}
}

// readSome reads as its specification says, and checks each byte.
func (e *end) readSome() {
	if e.reading || e.closed || e.readShut {
		return
	}
	r := &e.spec.Read
	for {
		if r.ShutAt > 0 && e.read >= r.ShutAt {
			e.readShut, e.early = true, true
			e.conn.Shutdown(e.run.w.now, true, false)
			return
		}
		if r.StallFor > 0 && !e.stalled && e.read >= r.StallAt {
			e.stalled = true
			e.pause(&e.reading, r.StallFor)
			return
		}
		most := 1 << 30
		if r.Max > 0 {
			most = r.Max
		}
		if r.ShutAt > 0 {
			most = min(most, int(r.ShutAt-e.read))
		}
		if r.StallFor > 0 && !e.stalled {
			most = min(most, int(r.StallAt-e.read))
		}
		if e.take(most) == 0 {
			break
		}
		if r.Gap > 0 && !e.run.repaired {
			e.pause(&e.reading, r.Gap)
			return
		}
	}
	if e.conn.EOF() && !e.atEOF {
		e.atEOF = true
		if e.read != e.peer.wrote || !e.peer.shut {
			e.run.failf("%v: end of stream after %d bytes, the peer wrote %d (closed: %t)", e, e.read, e.peer.wrote, e.peer.shut)
		}
	}
}

// take reads up to most bytes and returns how many.
func (e *end) take(most int) (n int) {
	var refs [sharePerRead]pkt.Ref
	k := e.conn.Take(most, refs[:])
	for _, r := range refs[:k] {
		if err := e.peer.stream.Check(r.B, e.read); err != nil {
			e.run.failf("%v: %w", e, err)
		}
		e.read += uint64(len(r.B))
		n += len(r.B)
		r.Release()
	}
	if e.read > e.peer.wrote {
		e.run.failf("%v: read %d bytes, the peer wrote %d", e, e.read, e.peer.wrote)
	}
	if n > 0 {
		e.conn.Consumed()
	}
	return n
}

// writeSome does the steps that are due, as far as there is room.
func (e *end) writeSome() {
	if s := e.conn.State(); (s == tcp.SynSent || s == tcp.SynReceived) && !e.spec.Early {
		return
	}
	for e.step < len(e.spec.Steps) && !e.closed && !e.pausing {
		s := &e.spec.Steps[e.step]
		if !e.begun {
			if e.read < s.After && !e.readShut {
				return
			}
			e.begun, e.left = true, s.Write
			if s.Delay > 0 {
				e.pause(&e.pausing, s.Delay)
				return
			}
		}
		for e.left > 0 {
			room := e.conn.Room()
			if room == 0 {
				return
			}
			e.write(min(uint64(room), e.left, uint64(s.Piece)), s.Urgent)
		}
		e.begun = false
		e.step++
	}
}

// write queues n bytes.
func (e *end) write(n uint64, urgent bool) {
	w := e.run.w
	var r pkt.Ref
	ok := false
	if e.spec.Spare {
		if r, ok = e.conn.Spare(); ok {
			n = min(n, uint64(len(r.B)))
			r = r.Slice(0, int(n))
		}
	}
	if !ok {
		n = min(n, pkt.Large)
		c := w.hosts[e.host].pool.Chunk(int(n))
		r = c.Ref(c.Bytes()[:n])
	}
	e.stream.Fill(r.B, e.wrote)
	e.wrote += n
	e.left -= n
	if urgent && e.left == 0 {
		e.urgentMark = e.wrote
		e.conn.SendUrgent(w.now, r)
	} else {
		e.conn.Queue(w.now, r)
	}
}

// done reports whether all is written.
func (e *end) done() bool { return e.step == len(e.spec.Steps) }

// finish ends the connection when its time has come.
func (e *end) finish() {
	w := e.run.w
	s := e.conn.State()
	if e.closed || !e.done() || s == tcp.Closed || s == tcp.SynSent { // CLOSE would discard what is queued
		return
	}
	if at := e.run.start.Add(e.spec.FinishAt); w.now < at {
		if !e.pausing {
			e.pause(&e.pausing, at.Sub(w.now))
		}
		return
	}
	switch e.spec.Finish {
	case HalfClose:
		if !e.shut {
			e.shut = true
			e.conn.Shutdown(w.now, false, true)
		}
		if e.atEOF || e.readShut {
			e.close()
		}
	case CloseAtEOF:
		if e.atEOF || e.readShut {
			e.close()
		}
	case CloseAtOnce:
		if e.read == e.peer.spec.total() || e.readShut {
			e.close()
		}
	case CloseEarly:
		e.early = e.early || e.read < e.peer.spec.total()
		e.close()
	case AbortAtEnd:
		e.abort()
	}
}

func (e *end) close() {
	if !e.closed {
		e.closed, e.shut = true, true
		e.conn.Close(e.run.w.now)
	}
}

func (e *end) abort() {
	e.closed, e.early = true, true
	e.conn.Abort(e.run.w.now)
}

// giveUp is what a program does that has waited for a dead peer long enough.
func (e *end) giveUp() {
	if e.conn == nil || e.ended || e.closed {
		return
	}
	e.early = true
	e.close()
	e.lookAtEnd()
}

// crash is the end of the host: it must have crashed already.
func (e *end) crash() {
	e.crashed = true
	if e.conn != nil && !e.ended {
		e.closed, e.ended, e.err = true, true, e.conn.Err()
		e.conn.Close(e.run.w.now)
	}
}

// lookAtEnd notes that the connection has ended.
func (e *end) lookAtEnd() {
	switch s := e.conn.State(); {
	case s != tcp.Closed && s != tcp.TimeWait:
		return
	case !e.closed && !e.readShut && e.conn.Buffered() > 0:
		return // it still reads
	case !e.closed && s == tcp.TimeWait && !e.atEOF && !e.readShut:
		return
	}
	e.ended, e.err = true, e.conn.Err()
	e.endedClean = e.err == tcp.ReasonNone
	if !e.closed {
		e.closed = true
		e.conn.Close(e.run.w.now)
	}
}

// String names the end in messages.
func (e *end) String() string {
	if e.conn == nil {
		return fmt.Sprintf("stream %d, no connection", uint64(e.stream))
	}
	return fmt.Sprintf("stream %d, connection %d of %s, %v, wrote %d read %d", uint64(e.stream), e.conn.ID(),
		e.run.w.hosts[e.host].name, e.conn.State(), e.wrote, e.read)
}
