package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

// scheduleACK decides when in-order text is acknowledged: at once for every
// second full segment and in the quick phase, else within DelayedACK. RFC 9293
// §3.8.6.3, RFC 5681 §4.2.
func (c *TCB) scheduleACK(now mono.Time, atOnce bool) {
	if c.quick > 0 {
		c.quick--
		atOnce = true
	}
	owed := uint32(c.rcv.NXT - c.rcv.lastACK)
	if atOnce || owed >= 2*uint32(max(c.rcv.seen, 1)) && owed >= c.fullEnough() {
		c.owe(pendACK, trace.WhyACK)
	} else if c.deadlines[dDelayedACK] == 0 {
		c.deadlines[dDelayedACK] = now.Add(c.cfg.DelayedACK)
	}
}

// fullEnough keeps a peer that only ever sends tiny segments from getting an
// ACK for every two of them.
func (c *TCB) fullEnough() uint32 { return min(uint32(c.rcv.MSS), minPeerMSS*4) }

// quickACKs begins a phase in which nothing waits for a second segment: the
// sender is in slow start, or repairs a loss, and each ACK helps it on.
func (c *TCB) quickACKs() {
	c.flags &^= fDialogue
	c.quick = c.cfg.QuickACKs
}
