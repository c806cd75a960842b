package tcp

import (
	"fmt"

	"github.com/handfast/handfast/mono"
)

// Space is a snapshot of both sequence spaces of a TCB, RFC 9293 §3.3.1, for
// whoever checks a connection from outside. The numbers of the receive space
// mean something only once the peer's SYN is known.
type Space struct {
	ISS, UNA, NXT, MAX Seq
	End                Seq    // after the last byte queued: the place of the FIN
	WL1, WL2           Seq    // the segment that SendWindow is from
	SendWindow         uint32 // scaled
	MaxSendWindow      uint32 // the largest the peer ever offered
	FINQueued          bool
	FINSent            bool // the octet before MAX
	FINAcked           bool
	Passive            bool // began as a passive OPEN

	IRS, RcvNXT Seq
	Edge        Seq // RCV.NXT+RCV.WND as last advertised: it never moves left
	FINReceived bool

	// Charged is what the received bytes that nobody has taken keep alive, in
	// bytes: in order and out of order.
	Charged int
	Urgent  bool // an urgent pointer is known
	UP      Seq
}

// Space fills in a snapshot.
func (c *TCB) Space(s *Space) {
	*s = Space{ISS: c.snd.ISS, UNA: c.snd.UNA, NXT: c.snd.NXT, MAX: c.snd.MAX, End: c.sndEnd(),
		WL1: c.snd.WL1, WL2: c.snd.WL2, SendWindow: c.snd.WND, MaxSendWindow: c.snd.maxWND,
		FINQueued: c.has(fFINQueued), FINSent: c.finSent(), FINAcked: c.finAcked(), Passive: c.has(fPassive),
		IRS: c.rcv.IRS, RcvNXT: c.rcv.NXT, Edge: c.rcv.edge, FINReceived: c.has(fFINReceived),
		Charged: int(c.rcv.queue.charged), Urgent: c.rcv.urgent, UP: c.rcv.UP}
	if c.rcv.ooo != nil {
		s.Charged += int(c.rcv.ooo.charged)
	}
}

// Waiting reports whether something is unsent or unacknowledged, SYN and FIN
// included. Then Deadline is set, once Emit has reported false.
func (c *TCB) Waiting() bool {
	switch c.state {
	case Closed, Listen, TimeWait:
		return false
	}
	return c.snd.UNA != c.snd.MAX || c.snd.queue.len() > 0 || c.has(fFINQueued) && !c.finAcked()
}

// Check looks for what must never be, whatever the peer does, and returns the
// first it finds. It may be called whenever Emit has reported false; it costs
// time in proportion to what the queues hold.
func (c *TCB) Check(now mono.Time) error {
	if c.cfg == nil {
		return nil
	}
	s := &c.snd
	switch {
	case !s.UNA.LessEq(s.NXT) || !s.NXT.LessEq(s.MAX):
		return fmt.Errorf("tcp: UNA %d <= NXT %d <= MAX %d does not hold", s.UNA-s.ISS, s.NXT-s.ISS, s.MAX-s.ISS)
	case c.Waiting() && c.deadlines[dRetransmit] == 0:
		return fmt.Errorf("tcp: %v, UNA %d NXT %d MAX %d end %d: something waits and no deadline is set",
			c.state, s.UNA-s.ISS, s.NXT-s.ISS, s.MAX-s.ISS, c.sndEnd()-s.ISS)
	case c.state == Closed && c.Deadline() != 0:
		return fmt.Errorf("tcp: CLOSED with a deadline in %v", c.Deadline().Sub(now))
	case c.state == TimeWait && c.deadlines[dLinger] == 0:
		return fmt.Errorf("tcp: TIME-WAIT without a deadline")
	case c.pend&pendRST != 0:
		return fmt.Errorf("tcp: a RST was owed and Emit said that nothing is due")
	}
	if n := c.Held(); c.cfg.Memory != nil && n != int(c.held) {
		return fmt.Errorf("tcp: the queues keep %d bytes alive, %d are accounted for", n, c.held)
	}
	if err := c.checkSendQueue(); err != nil {
		return err
	}
	if p := c.path; p != nil && p.search && (p.low != s.MSS || p.low > p.high || p.high > p.most || p.probe > p.most || p.low >= p.most) {
		return fmt.Errorf("tcp: MSS %d, the search is from %d to %d of %d, with a probe of %d", s.MSS, p.low, p.high, p.most, p.probe)
	}
	return c.checkReceiveQueues()
}

// checkSendQueue compares the queue's pieces with its ends, and both with the
// send sequence space.
func (c *TCB) checkSendQueue() error {
	s, q := &c.snd, &c.snd.queue
	last := s.queue.end
	if c.has(fFINQueued) {
		last++
	}
	if c.state != Closed && c.state != TimeWait && last.Less(s.MAX) && s.MAX != s.ISS+1 {
		return fmt.Errorf("tcp: %v: MAX %d is beyond what was queued, %d", c.state, s.MAX-s.ISS, last-s.ISS)
	}
	at, charged := q.start, 0
	for i := q.head; i < len(q.pieces); i++ {
		p := &q.pieces[i]
		if p.end.Sub(at) != len(p.ref.B) {
			return fmt.Errorf("tcp: piece %d of the send queue ends at %d and has %d bytes, not the %d after the one before",
				i-q.head, p.end-s.ISS, len(p.ref.B), p.end.Sub(at))
		}
		at = p.end
		charged += p.ref.Charge()
	}
	if int(q.charged) != charged {
		return fmt.Errorf("tcp: the send queue counts %d bytes charged and holds %d", q.charged, charged)
	}
	if at != q.end {
		return fmt.Errorf("tcp: the send queue ends at %d, its pieces at %d", q.end-s.ISS, at-s.ISS)
	}
	return nil
}

// checkReceiveQueues compares the queues' sums with what they hold.
func (c *TCB) checkReceiveQueues() error {
	n, charged := 0, 0
	for _, r := range c.rcv.queue.refs[min(c.rcv.queue.head, len(c.rcv.queue.refs)):] {
		n += len(r.B)
		charged += r.Charge()
	}
	if q := &c.rcv.queue; int(q.n) != n || int(q.charged) != charged {
		return fmt.Errorf("tcp: the receive queue counts %d bytes charged %d and holds %d charged %d", q.n, q.charged, n, charged)
	}
	if c.state.synchronized() && c.state.canReceive() && c.rcv.edge.Less(c.rcv.NXT) {
		return fmt.Errorf("tcp: the right edge %d is left of RCV.NXT %d", c.rcv.edge-c.rcv.IRS, c.rcv.NXT-c.rcv.IRS)
	}
	q := c.rcv.ooo
	if q == nil {
		return nil
	}
	left, charged := c.rcv.NXT, 0
	i := -1
	for p := (place{}); !q.isEnd(p); p = q.next(p) {
		r := q.at(p)
		i++
		n := 0
		for _, ref := range r.refs {
			n += len(ref.B)
			charged += ref.Charge()
		}
		if !left.Less(r.start) || !r.start.Less(r.end) {
			return fmt.Errorf("tcp: out of order: range %d is %d to %d, the one before ends at %d",
				i, r.start-c.rcv.IRS, r.end-c.rcv.IRS, left-c.rcv.IRS)
		}
		if n != r.end.Sub(r.start) {
			return fmt.Errorf("tcp: out of order: range %d is %d to %d and holds %d bytes", i, r.start-c.rcv.IRS, r.end-c.rcv.IRS, n)
		}
		left = r.end
	}
	switch {
	case q.empty():
		return fmt.Errorf("tcp: an empty queue out of order is kept")
	case i+1 != q.count:
		return fmt.Errorf("tcp: out of order: %d ranges, %d by the count", i+1, q.count)
	case int(q.charged) != charged:
		return fmt.Errorf("tcp: out of order: charged %d, holds %d", q.charged, charged)
	case c.rcv.edge.Less(left):
		return fmt.Errorf("tcp: out of order: bytes up to %d, the right edge is %d", left-c.rcv.IRS, c.rcv.edge-c.rcv.IRS)
	}
	return nil
}
