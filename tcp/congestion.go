package tcp

import (
	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
)

// SetCongestion changes the congestion control of a connection, also while it
// sends. cwnd and ssthresh carry over; what the old algorithm had learnt does
// not, and so the last reduction of the window cannot be taken back any more.
// The connection has a Config of its own from then on.
func (c *TCB) SetCongestion(now mono.Time, a cc.Algorithm) {
	if c.cfg == nil {
		return
	}
	owned := c.ownsRecovery()
	own := *c.cfg
	own.Congestion = a
	c.cfg = &own
	if c.cc.Cwnd == 0 {
		return // openCongestion will tell the new one
	}
	before := c.cc
	if c.has(fRecovery) && !owned && c.ownsRecovery() { // what fast recovery lets out is not the window
		before.Cwnd = max(before.SSThresh, c.effMSS())
		c.inflate = 0
	}
	c.cc = cc.State{Cwnd: before.Cwnd, SSThresh: before.SSThresh}
	a.Init(&c.cc, now, c.effMSS(), uint64(c.id))
	if c.out != nil {
		c.out.undo = undo{until: c.snd.MAX}
	}
	if c.has(fRecovery) && owned && !c.ownsRecovery() {
		c.takeRecoveryOver(now)
	}
	if c.out != nil {
		c.updatePacing()
	}
}

// takeRecoveryOver begins fast recovery anew where an algorithm governed it that
// had its own rules, and perhaps no ssthresh.
func (c *TCB) takeRecoveryOver(now mono.Time) {
	c.onLoss(c.lossOf(now, c.flight()))
	if c.has(fSACK) {
		c.out.news = news{}
		c.startPRR(0)
		return
	}
	c.cc.Cwnd = c.cc.SSThresh
}
