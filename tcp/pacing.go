package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// pace spreads departures over time. Timers come late: what a departure was
// scheduled for counts, not when it happened, up to paceCredit.
type pace struct {
	departure mono.Time // when the next packet is due
	rate      uint64    // bytes a second; 0: no pacing
	waiting   bool      // the clock was all that the last refusal waited for
}

const (
	paceAhead  = time.Millisecond     // what may leave at once, as a time
	paceCredit = 2 * time.Millisecond // how late a timer may be without slowing a connection down
	// paceLongest is the longest that one packet puts the next off: the rate may
	// be another by then, and nothing else would tell. Linux' fq has it, too.
	paceLongest = time.Second
	// paceFree segments leave at the beginning without being spread, as with
	// Linux: RFC 6928 §2 lets the initial window out at once.
	paceFree = 10
)

// spend schedules the departure after one of n bytes.
func (p *pace) spend(now mono.Time, n uint32) {
	base := max(p.departure, now)
	if p.waiting && p.departure < now {
		base = max(p.departure, now.Add(-paceCredit))
	}
	p.departure = base
	if p.rate > 0 {
		p.departure = base.Add(min(time.Duration(uint64(n)*uint64(time.Second)/p.rate), paceLongest))
	}
	if p.departure >= now {
		p.waiting = false
	}
}

// mayDepart reports whether pacing lets a packet go now; if not, a deadline is
// set.
func (c *TCB) mayDepart(now mono.Time) bool {
	o := c.out
	if o == nil || o.pace.rate == 0 || o.pace.departure <= now.Add(paceAhead) || c.bytesOut < paceFree*uint64(c.effMSS()) {
		return true
	}
	o.pace.waiting = true
	c.deadlines[dPace] = o.pace.departure
	return false
}

// updatePacing takes the rate from the algorithm, or derives it from cwnd and
// SRTT: above 100 percent of their quotient, or the window could not grow.
func (c *TCB) updatePacing() {
	cwnd, rate := c.cfg.Congestion.Control(&c.cc)
	// On a path as short as what may leave at once nothing would ever wait.
	if rate == 0 && !c.cfg.NoPacing && c.SRTT > paceAhead {
		percent := c.cfg.PaceAvoidance
		if cwnd < c.cc.SSThresh/2 {
			percent = c.cfg.PaceSlowStart
		}
		if percent > 0 {
			rate = max(uint64(cwnd)*uint64(percent)*uint64(time.Second/100)/uint64(c.SRTT), 1)
		}
	}
	c.out.pace.rate = rate
}

// burst is the largest super-segment: what leaves in a millisecond, and the
// Config's least number of segments.
func (c *TCB) burst(room, mss int) int {
	if c.out == nil || c.out.pace.rate == 0 || room <= mss || c.bytesOut < paceFree*uint64(mss) {
		return room
	}
	return min(room, max(int(min(c.out.pace.rate/uint64(time.Second/paceAhead), 1<<30)), c.cfg.minBurst()*mss))
}

// minBurst is Config.MinBurst by default, Linux' tcp_min_tso_segs.
const minBurst = 2
