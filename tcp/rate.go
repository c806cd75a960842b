package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// sampleRate makes the sample of an ACK for the congestion control: how much
// was delivered in what time, from the newest packet that the ACK says arrived.
// draft-ietf-ccwg-bbr, delivery rate estimation. acked is by how much SND.UNA
// moved, flight what was outstanding and prior what was in flight before.
func (c *TCB) sampleRate(now mono.Time, acked, flight, prior uint32) {
	o := c.out
	n := &o.news
	if n.delivered > 0 {
		o.delivered += uint64(n.delivered)
		o.deliveredAt = now
	}
	if o.appLimited != 0 && o.delivered > o.appLimited {
		o.appLimited = 0
	}
	s := &o.sample
	s.Now, s.Acked, s.Delivered = now, acked, n.delivered
	s.Lost = uint32(o.lost - o.lostBefore)
	o.lostBefore = o.lost
	s.Flight, s.InFlight = prior, c.inFlight()
	s.SRTT, s.MinRTT, s.MSS = c.SRTT, o.minRTT, c.effMSS()
	s.TotalDelivered = o.delivered
	s.CwndLimited = c.has(fCwndLimited|fLoss) || 2*flight >= c.cc.Cwnd
	s.InRecovery = c.has(fRecovery | fLoss)
	s.Paced, s.NoSACK = o.pace.rate > 0, !c.has(fSACK)
	s.RTT, s.Interval, s.Rate = 0, 0, 0
	if !n.have {
		s.PriorDelivered = o.delivered
		return
	}
	p := &n.newest
	if !n.again {
		s.RTT = max(now.Sub(p.at), minRTTSample)
	}
	s.SampleDelivered = uint32(o.delivered) - p.delivered
	s.SampleLost = uint32(o.lost) - p.lost
	s.PriorDelivered = o.delivered - uint64(s.SampleDelivered)
	s.TxInFlight, s.AppLimited = p.inFlight, p.appLimited
	o.firstSent = p.at
	interval := max(p.at.Sub(p.firstSent), now.Sub(p.deliveredAt))
	if interval > 0 && interval >= o.minRTT { // what is shorter is a compressed ACK
		s.Interval = interval
		s.Rate = uint64(s.SampleDelivered) * uint64(time.Second) / uint64(interval)
	}
}

// noteAppLimited marks what is sent from here on as limited by the program,
// when there is less than a segment to send and cwnd and the losses would let
// it out.
func (c *TCB) noteAppLimited() {
	o := c.out
	if o == nil || c.snd.NXT.Add(int(c.effMSS())).LessEq(c.sndEnd()) || o.board.lost > 0 {
		return
	}
	if f := c.inFlight(); f < c.cc.Cwnd {
		o.appLimited = max(o.delivered+uint64(f), 1)
	}
}
