package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

// path is what a connection knows of its path that one size does not say: the
// state of a search, and a message that is not believed. It exists only while
// there is a search, or a size to come back to, or such a message.
//
// All sizes count as the MSS option does (RFC 6691): the packet less IP and TCP
// headers of the least length, so TCP options are included.
type path struct {
	search  bool
	trusted bool   // something of size low has arrived, or is believed to
	low     uint16 // search_low of RFC 4821 §7.2: SND.MSS
	high    uint16 // search_high: the largest that is not known to fail
	most    uint16 // what the peer takes and the path is said to carry
	probe   uint16 // size of the probe that is on its way; 0: none
	tried   uint16 // size of the probe that was lost last
	lost    uint8  // how often in a row one of that size was lost, and nothing else with it
	repair  bool   // the octets of a lost probe are not acknowledged yet
	start   Seq    // of the last probe
	end     Seq
	next    mono.Time // no probe before
	probes  uint32    // sent
	losses  uint32    // of these, lost

	claimed bool // a message says that no more than claim passes
	sure    bool // and what it quotes is lost
	claim   uint16
	least   uint16 // what segments are made in the end
	quoted  Seq    // the octet that it quotes
}

// PathMTU tells how large a segment may be, MTU less IP and TCP header: link
// for the device it leaves by, heard for what ICMP messages say of the path.
// Both may have fallen or risen, heard never below what has arrived since the
// connection began: what somebody tells others is no reason to give that up, see
// PacketTooBig. What was too large for heard is sent again in smaller pieces;
// that is no sign of congestion (RFC 1191 §6.5).
func (c *TCB) PathMTU(now mono.Time, link, heard uint16) {
	if c.state == Closed {
		return
	}
	was := c.snd.MSS
	heard = max(heard, c.LargestArrived())
	most := max(min(link, heard), minPathMSS)
	if c.state != SynSent {
		most = min(most, c.rcv.peerMSS)
	}
	if p := c.path; p != nil && p.probe > most {
		c.dropProbe(now)
	}
	c.resize(most)
	if heard < link && c.snd.MSS < was {
		c.loseLarger(now)
	}
}

// dropProbe gives up a probe of which is known that it does not arrive.
func (c *TCB) dropProbe(now mono.Time) {
	p := c.path
	if c.out != nil {
		c.grounds(trace.WhyPathMTU)
		c.loseOriginals(now, maxSeq(p.start, c.snd.UNA), p.end)
	}
	p.probe, p.repair = 0, true
	p.losses++
	if !c.has(fSACK) {
		c.repairPath()
	}
}

// LargestArrived returns how large the largest segment was that has arrived since
// the connection began, or since its path was found to be narrower, rounded down
// to 256 octets: as the MSS counts, TCP options included.
func (c *TCB) LargestArrived() uint16 { return uint16(c.arrived) * arrivedUnit }

// arrivedUnit is how finely that is remembered: for every connection, idle ones
// too, and finely enough to tell a tunnel's MTU from a forged one.
const arrivedUnit = 256

// forgetArrived notes that nothing larger than size is known to pass any more.
func (c *TCB) forgetArrived(size uint16) { c.arrived = min(c.arrived, uint8(size/arrivedUnit)) }

// PathLost tells that what is on its way will not arrive although it is not
// too large by what is known now: everything is sent again, and that is no sign
// of congestion.
func (c *TCB) PathLost(now mono.Time) {
	if c.state.synchronized() && c.snd.UNA.Less(c.snd.MAX) {
		c.grounds(trace.WhyPathMTU)
		c.loseAll(now)
		c.repairPath()
	}
}

// mostMSS is the largest segment that the peer takes and the path is said to
// carry.
func (c *TCB) mostMSS() uint16 {
	if p := c.path; p != nil && p.search {
		return p.most
	}
	return c.snd.MSS
}

// resize makes SND.MSS what the search has found, or most, which the peer takes
// and the path is said to carry.
func (c *TCB) resize(most uint16) {
	p := c.path
	if p == nil || !p.search {
		c.snd.MSS = most
		return
	}
	p.low, p.high, p.most = min(p.low, most), min(p.high, most), most
	c.snd.MSS = p.low
	if p.low == most { // nothing left to find
		p.search = false
		c.dropPath()
	}
}

// dropPath forgets the path's state when it says nothing any more.
func (c *TCB) dropPath() {
	if p := c.path; p != nil && !p.search && !p.claimed && !p.repair && p.probe == 0 {
		c.path = nil
	}
}

// needPath allocates the path's state.
func (c *TCB) needPath() *path {
	if c.path == nil {
		c.path = new(path)
	}
	return c.path
}

// loseLarger marks what is too large by now as lost: of what was sent at once,
// all.
func (c *TCB) loseLarger(now mono.Time) {
	o := c.out
	if o == nil || !c.state.synchronized() {
		return
	}
	before := o.board.lost
	c.grounds(trace.WhyPathMTU)
	for i := o.again.head; i < len(o.again.r); i++ {
		if o.again.r[i].size > c.snd.MSS {
			c.loseAgain(now, i)
		}
	}
	o.expireRecords()
	for i := o.sent.head; i < len(o.sent.r); i++ {
		if r := &o.sent.r[i]; r.size > c.snd.MSS {
			c.loseOriginals(now, maxSeq(r.start, c.snd.UNA), r.end)
		}
	}
	if o.board.lost > before {
		c.repairPath()
	}
}

// repairPath sends what is marked lost again while the window stays.
func (c *TCB) repairPath() {
	if !c.has(fRecovery | fLoss) {
		c.flags |= fLoss
		c.recover = c.snd.MAX
	}
}

// PacketTooBig tells of an ICMP message that quotes the octet quoted, which is
// on its way, and says that no more than mss passes. It reports whether the
// message is to be believed: then PathMTU follows, for all connections on the
// path.
//
// Anybody can forge such a message who guesses numbers that are on their way.
// So, when larger segments have arrived before, it counts only if what it quotes
// is found lost as well: RFC 5927 §7.2. Then segments become that small, but not
// smaller than least, at once, and EventTooBig says so.
func (c *TCB) PacketTooBig(now mono.Time, quoted Seq, mss, least uint16) (believe bool) {
	p := c.path
	switch {
	case mss >= c.snd.MSS && (p == nil || !p.covers(quoted) || p.probe <= mss):
		return false // what was sent is no larger than what passes
	case mss >= c.LargestArrived():
		return true
	case p != nil && p.claimed && (p.claim >= mss || p.sure) && c.snd.UNA.LessEq(p.quoted):
		return false // one that asks for less waits already
	}
	p = c.needPath()
	p.claimed, p.sure, p.claim, p.least, p.quoted = true, false, mss, least, quoted
	return false
}

// TakeTooBig returns the size that a message claimed which can be believed by
// now, and forgets it; ok is false if there is none.
func (c *TCB) TakeTooBig() (mss uint16, ok bool) {
	p := c.path
	if p == nil || !p.claimed || !p.sure {
		return 0, false
	}
	mss, p.claimed = p.claim, false
	c.dropPath()
	return mss, true
}

// confirmClaim believes a message whose quoted octet is lost, and reports
// whether there is one: what arrived before counts no more.
func (c *TCB) confirmClaim(now mono.Time) bool {
	p := c.path
	if p == nil || !p.claimed || p.sure || p.quoted.Less(c.snd.UNA) {
		return false
	}
	p.sure = true
	c.forgetArrived(p.claim)
	c.events |= EventTooBig
	c.PathMTU(now, c.mostMSS(), max(p.claim, p.least))
	return true
}

// checkClaim looks what became of the octet that a message quotes.
func (c *TCB) checkClaim(now mono.Time) {
	p := c.path
	if p.sure {
		return
	}
	if p.quoted.Less(c.snd.UNA) {
		p.claimed = false
		return
	}
	b := &c.out.board
	if i := b.find(p.quoted); i < len(b.spans) && b.spans[i].start.LessEq(p.quoted) {
		switch {
		case b.spans[i].kind == spanSACKed:
			p.claimed = false
		case b.spans[i].kind.isLost():
			c.confirmClaim(now)
		}
	}
}
