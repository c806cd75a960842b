package sim

import (
	"fmt"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// seen is a connection as it was after the last event.
type seen struct {
	conn   *engine.Conn
	host   *Host
	round  uint64
	step   uint64 // of the event
	state  tcp.State
	space  tcp.Space
	flight uint32
	sent   uint64 // bytes, and segments sent again
	window uint32 // cwnd with what recovery lends
	size   int    // of the receive buffer
	again  uint32 // segments sent again
	// A segment went out beyond cwnd when SND.UNA was probe.
	probed bool
	probe  tcp.Seq
}

// Check looks at everything that must hold between two events, and returns the
// first violation. Step calls it. Of every connection with a TCB:
//
//   - SND.UNA <= SND.NXT <= SND.MAX, and none of SND.UNA, SND.MAX and RCV.NXT
//     moves left, but for SND.MAX when a SYN-ACK does not acknowledge all of a
//     SYN's data (RFC 7413 §4.2.2); nor does the right edge of the receive
//     window (RFC 9293 §3.8.6)
//   - what is in flight grows only up to cwnd, two segments of limited transmit
//     (RFC 3042) and one segment that is begun; beyond that by one segment, a
//     tail loss probe (RFC 8985 §7.3) or the first retransmission of a
//     recovery, until SND.UNA moves
//   - something unsent or unacknowledged means that a deadline is set, and the
//     engine's deadline is not after it
//   - queues hold what they count (tcp.TCB.Check), and keep alive no more than a
//     few times the receive buffer
//   - of the two ends of one connection, neither has acknowledged what the
//     other has not sent, nor sent beyond the other's window but for a probe
//
// Rules added by World.Rule come after these.
func (w *World) Check() error {
	w.round++
	for _, h := range w.hosts {
		if h.eng == nil {
			continue
		}
		if err := w.checkHost(h); err != nil {
			return fmt.Errorf("host %s: %w", h.name, err)
		}
	}
	for f, s := range w.seen {
		if s.round != w.round {
			delete(w.seen, f)
		}
	}
	for _, r := range w.rules {
		if err := r(); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) checkHost(h *Host) (err error) {
	deadline := h.eng.Deadline()
	h.eng.EachConn(func(c *engine.Conn) bool {
		if err = w.checkConn(h, c, deadline); err != nil {
			err = fmt.Errorf("connection %d %v %v: %w", c.ID(), c.Flow(), c.State(), err)
		}
		return err == nil
	})
	return err
}

func (w *World) checkConn(h *Host, c *engine.Conn, deadline mono.Time) error {
	if err := c.Check(w.now); err != nil {
		return err
	}
	if d := c.Deadline(); d != 0 && (deadline == 0 || deadline > d) {
		return fmt.Errorf("its deadline is %v, the engine's %v", d, deadline)
	}
	f := c.Flow()
	s := w.seen[f]
	fresh := s == nil || s.conn != c
	if s == nil {
		s = new(seen)
		w.seen[f] = s
	}
	before := *s
	var info tcp.Info
	c.Info(&info)
	*s = seen{conn: c, host: h, round: w.round, step: w.steps, state: c.State(), flight: info.InFlight,
		sent: info.BytesOut + uint64(info.Retransmits), again: info.Retransmits, window: info.Cwnd,
		size: int(info.ReceiveBuffer)}
	c.Space(&s.space)
	if !fresh {
		if err := s.follows(&before, info.SendMSS); err != nil {
			return err
		}
	}
	if limit := 8*s.size + chargeAllowance; s.space.Charged > limit {
		return fmt.Errorf("received bytes keep %d bytes alive, with a buffer of %d", s.space.Charged, s.size)
	}
	if peer := w.seen[f.Reversed()]; peer != nil && s.step-peer.step <= 1 {
		return s.agrees(peer)
	}
	return nil
}

// chargeAllowance is what a connection may keep alive however small its buffer:
// the largest chunk for what was on its way when the first byte was charged.
const chargeAllowance = 256 << 10

// follows compares with the state before the event.
func (s *seen) follows(p *seen, mss uint32) error {
	a, b := &p.space, &s.space
	switch {
	case b.UNA.Less(a.UNA):
		return fmt.Errorf("SND.UNA moved left, from %d to %d", a.UNA-a.ISS, b.UNA-a.ISS)
	case b.MAX.Less(a.MAX) && p.state > tcp.SynReceived: // a SYN's data that is not acknowledged was never sent, RFC 7413 §4.2.2
		return fmt.Errorf("SND.MAX moved left, from %d to %d", a.MAX-a.ISS, b.MAX-a.ISS)
	}
	if p.state > tcp.SynSent {
		switch {
		case a.IRS != b.IRS:
			return fmt.Errorf("IRS changed from %d to %d", a.IRS, b.IRS)
		case b.RcvNXT.Less(a.RcvNXT):
			return fmt.Errorf("RCV.NXT moved left, from %d to %d", a.RcvNXT-a.IRS, b.RcvNXT-a.IRS)
		case b.Edge.Less(a.Edge):
			return fmt.Errorf("the right edge moved left, from %d to %d", a.Edge-a.IRS, b.Edge-a.IRS)
		}
	}
	// What is in flight is an estimate, which an ACK may raise without anything
	// being sent: when it shows that nothing was lost.
	allowed := max(p.window, s.window) + 3*mss
	s.probed, s.probe = p.probed, p.probe
	if s.step-p.step <= 1 && s.sent != p.sent && s.state >= tcp.Established && s.flight > max(p.flight, allowed) {
		one := uint64(b.MAX-a.MAX)+uint64(s.again-p.again)*uint64(mss) <= uint64(mss)+1 // and a FIN
		if one && !(p.probed && p.probe == b.UNA) {
			s.probed, s.probe = true, b.UNA
			return nil
		}
		return fmt.Errorf("in flight went from %d to %d, cwnd %d, MSS %d", p.flight, s.flight, s.window, mss)
	}
	return nil
}

// agrees compares two ends of one connection.
func (s *seen) agrees(p *seen) error {
	a, b := &s.space, &p.space
	if a.ISS != b.IRS || a.IRS != b.ISS || s.state < tcp.Established || p.state < tcp.Established {
		return nil // another incarnation, or one end does not know the other
	}
	switch {
	case b.RcvNXT.Less(a.UNA):
		return fmt.Errorf("SND.UNA %d is beyond what the peer has received, %d", a.UNA-a.ISS, b.RcvNXT-a.ISS)
	case a.MAX.Less(b.RcvNXT):
		return fmt.Errorf("SND.MAX %d is less than what the peer has received, %d", a.MAX-a.ISS, b.RcvNXT-a.ISS)
	case (b.Edge + 1).Less(a.MAX):
		return fmt.Errorf("SND.MAX %d is beyond the peer's window, which ends at %d", a.MAX-a.ISS, b.Edge-a.ISS)
	}
	return s.agreesBack(p)
}

// agreesBack is the other direction: p's state may be newer than when it was
// looked at itself.
func (s *seen) agreesBack(p *seen) error {
	a, b := &p.space, &s.space
	if b.RcvNXT.Less(a.UNA) || a.MAX.Less(b.RcvNXT) {
		return fmt.Errorf("RCV.NXT %d lies outside the peer's SND.UNA %d to SND.MAX %d", b.RcvNXT-a.ISS, a.UNA-a.ISS, a.MAX-a.ISS)
	}
	return nil
}

// settled reports whether a host has nothing left of any connection but
// records in TIME-WAIT.
func settled(h *Host) bool {
	if h.eng == nil {
		return true
	}
	var s engine.Stats
	h.eng.Stats(&s)
	return s.Connections == 0 && s.HalfOpen == 0
}
