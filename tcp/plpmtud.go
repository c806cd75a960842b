package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

// MTUProbing says when a connection looks for the size of its path by itself:
// packetization layer path MTU discovery, RFC 4821 and RFC 8899. The numbers
// are those of Linux' net.ipv4.tcp_mtu_probing.
type MTUProbing uint8

const (
	// MTUProbingOff leaves it to ICMP messages.
	MTUProbingOff MTUProbing = iota
	// MTUProbingBlackHole begins when full-sized segments time out again and
	// again: a router drops them and says nothing.
	MTUProbingBlackHole
	// MTUProbingAlways begins every connection at the base size.
	MTUProbingAlways
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
	lost    uint8  // how often in a row a probe of this size was lost alone
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

// maxProbes is how often a probe of one size must be lost, and nothing else
// with it, until the size is given up: MAX_PROBES of RFC 8899 §5.1.2. Linux
// takes one for the truth.
const maxProbes = 3

// probeBehind is how many full segments must be there to follow a probe, so that
// its loss shows without a timeout: RFC 4821 §7.6.1.
const probeBehind = dupThresh + 1

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

// floorMSS is the least size that timeouts lead to: RFC 4821 §7.7. Every IPv6
// path carries 1280 bytes.
func (c *TCB) floorMSS() uint16 {
	if c.has(fV6) {
		return defaultMSS6
	}
	return max(c.cfg.ProbeFloor, c.cfg.minSendMSS())
}

// baseMSS is the initial search_low, RFC 4821 §7.2.
func (c *TCB) baseMSS() uint16 { return max(c.cfg.BaseMSS, c.floorMSS()) }

// startSearch begins a search at low, which may be SND.MSS, or ends it at once
// if there is nothing above.
func (c *TCB) startSearch(low uint16, trusted bool, next mono.Time) {
	p, most := c.needPath(), c.mostMSS()
	p.search, p.trusted, p.low, p.high, p.next = true, trusted, low, most, next
	p.lost, p.probe = 0, 0
	c.resize(most)
}

// beginSearch is for a connection whose peer's SYN is known: one that always
// searches begins at the base size.
func (c *TCB) beginSearch() {
	if c.cfg.MTUProbing == MTUProbingAlways && c.path == nil && c.baseMSS() < c.snd.MSS {
		c.startSearch(c.baseMSS(), true, 0)
	}
}

// PathFound tells of the size that another connection's search has found on the
// same path; done says that its search is over, so that there is no need to
// search again before until. A connection that knows better ignores it.
func (c *TCB) PathFound(mss uint16, until mono.Time) {
	if !c.state.synchronized() || c.cfg.MTUProbing == MTUProbingOff || c.LargestArrived() > mss || c.path != nil {
		return
	}
	if mss = max(mss, c.floorMSS()); mss < c.snd.MSS {
		c.startSearch(mss, true, until)
	}
}

// SearchResult returns what the search has found after EventPathFound, for other
// connections on the path, and when it is to be repeated; 0: it goes on.
func (c *TCB) SearchResult() (mss uint16, again mono.Time) {
	if p := c.path; p != nil && p.search && p.high-p.low < c.cfg.ProbeThreshold {
		again = p.next
	}
	return c.snd.MSS, again
}

// suspectBlackHole is RFC 4821 §7.7: segments of one size time out again and
// again. At R1 they become as small as the base size, then half as large each
// time, as with Linux.
func (c *TCB) suspectBlackHole(now mono.Time) {
	cfg := c.cfg
	floor := c.floorMSS()
	limit, to := max(cfg.R1, 1), c.baseMSS()
	if c.snd.MSS <= to {
		limit++
		to = max(c.snd.MSS/2, floor)
	}
	if cfg.MTUProbing == MTUProbingOff || c.expiries < limit || c.snd.MSS <= floor {
		return
	}
	first := min(c.sndEnd().Sub(c.snd.UNA), int(c.snd.MAX-c.snd.UNA), int(c.effMSS()))
	if first+c.optionLen() <= int(to) {
		return // what times out would pass
	}
	c.forgetArrived(to)
	c.startSearch(to, false, 0)
	c.events |= EventBlackHole
	c.traceCongestion(now, trace.WhyBlackHole)
}

// probeSize returns the size of the next probe, 0 if none is due: RFC 4821 §7.3,
// by halves.
func (c *TCB) probeSize(now mono.Time) uint16 {
	p := c.path
	if !p.search || !p.trusted || p.probe != 0 || p.repair || now < p.next {
		return 0
	}
	threshold := max(c.cfg.ProbeThreshold, 1)
	if p.high-p.low < threshold && p.high != p.most { // the search was over, and is to be repeated
		p.high = p.most
	}
	if p.high-p.low < threshold {
		return p.high // never tried, and all that there is
	}
	return p.low + (p.high-p.low+1)/2
}

// emitPathProbe sends a probe of the path if one is due and there is enough to
// follow it: one segment that is larger than others. RFC 4821 §7.4 to §7.6, RFC
// 8899 §3. hold reports that new data has to wait until the windows let a whole
// probe out: acknowledgements open them by a segment at a time.
func (c *TCB) emitPathProbe(now mono.Time, seg *Segment, avail, usable, cwnd int) (sent, hold bool) {
	if c.has(fRecovery|fLoss) || c.dupACKs > 0 || c.snd.NXT != c.snd.MAX || c.snd.urgent ||
		c.out != nil && len(c.out.board.spans) > 0 {
		return false, false
	}
	mss, size, options := int(c.snd.MSS), int(c.probeSize(now)), seg.Opts.Len()
	if size <= mss {
		return false, false
	}
	// Where a small window or little data is in the way of the size wanted, the
	// largest probe possible is better than none.
	window, _ := c.cfg.Congestion.Control(&c.cc)
	behind := probeBehind * int(c.effMSS())
	n := min(size-options, min(avail, int(min(c.snd.WND, window, 1<<30)))-behind)
	if n+options < min(mss+int(c.cfg.ProbeThreshold), size) || c.snd.queue.span(c.snd.NXT, n) < n {
		return false, false
	}
	if usable < n+behind || cwnd < n {
		return false, c.inFlight() > 0
	}
	if !c.mayDepart(now) {
		return false, true
	}
	p := c.path
	c.makeData(now, seg, n, false, trace.WhyMTUProbe)
	p.probe, p.start, p.end = uint16(n+options), seg.SEQ, c.snd.NXT
	p.probes++
	c.events |= EventMTUProbe
	return true, false
}

// pathACKed is what an ACK says of the path.
func (c *TCB) pathACKed(now mono.Time) {
	p := c.path
	if p.claimed {
		c.checkClaim(now)
	}
	if p.repair && p.end.LessEq(c.snd.UNA) {
		p.repair = false
	}
	b := &c.out.board
	switch i := b.find(p.start); {
	case p.probe == 0:
	case p.start.Less(c.snd.UNA), i < len(b.spans) && b.spans[i].kind == spanSACKed && b.spans[i].start.LessEq(p.start):
		c.probeArrived(now)
	case b.lostOnce(p.start, p.end) > 0:
		c.probeLost(now)
	}
	if size := c.out.news.size; p.search && size > p.low { // something larger arrived that was thought to be lost
		p.low = min(size, p.high)
		c.foundPath(now)
	} else if p.search && !p.trusted && size > 0 {
		c.foundPath(now)
	}
	c.dropPath()
}

// probeArrived raises SND.MSS to the size of the probe.
func (c *TCB) probeArrived(now mono.Time) {
	p := c.path
	p.low, p.probe, p.lost = max(p.low, p.probe), 0, 0
	c.foundPath(now)
}

// foundPath notes that low is sure.
func (c *TCB) foundPath(now mono.Time) {
	p := c.path
	p.trusted = true
	c.searched(now)
	c.resize(p.most)
	c.events |= EventPathFound
	c.traceCongestion(now, trace.WhyPathMTU)
}

// searched ends the search for a while when it has converged: RFC 4821 §7.3, RFC
// 8899 §5.3.3.
func (c *TCB) searched(now mono.Time) {
	p := c.path
	if p.search && p.high-p.low < max(c.cfg.ProbeThreshold, 1) && p.high < p.most {
		p.next = now.Add(c.cfg.ProbeInterval)
	}
}

// probeLost takes in that a probe is lost: too large, if nothing else was lost
// with it. That is no sign of congestion, RFC 4821 §7.6.1, RFC 8899 §3; what it
// carried is sent again.
func (c *TCB) probeLost(now mono.Time) {
	p := c.path
	size := p.probe
	p.probe, p.repair = 0, true
	p.losses++
	if c.out.board.lost > c.out.board.lostOnce(p.start, p.end) {
		return // congestion, probably: it says nothing of the size, RFC 4821 §7.6.2
	}
	c.sizeFailed(now, size)
}

// sizeFailed counts one more loss of a size, and gives it up in the end.
func (c *TCB) sizeFailed(now mono.Time, size uint16) {
	p := c.path
	if p.lost++; p.lost < maxProbes {
		return
	}
	p.lost = 0
	p.high = max(size-1, p.low)
	c.searched(now)
	if now < p.next {
		c.events |= EventPathFound
	}
}

// probeTimedOut forgets the probe at a timeout, which says nothing of its size.
func (c *TCB) probeTimedOut() {
	if p := c.path; p != nil {
		p.probe, p.repair = 0, false
	}
}

// onlyProbeLost reports that all that is lost is a probe, once.
func (c *TCB) onlyProbeLost() bool {
	p := c.path
	return p != nil && p.repair && c.out.board.lost == c.out.board.lostOnce(p.start, p.end)
}

// covers reports whether seq belongs to a probe whose fate is not known.
func (p *path) covers(seq Seq) bool {
	return p.probe != 0 && p.start.LessEq(seq) && seq.Less(p.end)
}

// cut returns the end of the part of [from, to) that is either all of a probe's
// or all of others.
func (p *path) cut(from, to Seq) Seq {
	switch {
	case p.probe == 0:
	case p.covers(from):
		return minSeq(to, p.end)
	case from.Less(p.start):
		return minSeq(to, p.start)
	}
	return to
}

// duplicateProbeLost handles the third duplicate ACK on a connection without
// SACK, when the probe is what is missing.
func (c *TCB) duplicateProbeLost(now mono.Time) bool {
	p := c.path
	if p == nil || p.probe == 0 || p.start != c.snd.UNA {
		return false
	}
	c.grounds(trace.WhyDuplicates)
	c.loseOriginals(now, p.start, p.end)
	p.losses++
	c.sizeFailed(now, p.probe)
	p.probe = 0
	c.repairPath()
	c.owe(pendRetransmit, trace.WhyFastRetransmit)
	return true
}

// pathInfo fills in what is known of the path.
func (c *TCB) pathInfo(i *Info) {
	head := uint32(40)
	if c.has(fV6) {
		head = 60
	}
	i.PathMTU = uint32(c.snd.MSS) + head
	if p := c.path; p != nil {
		i.MTUProbes, i.MTUProbesLost = p.probes, p.losses
		if p.search {
			i.Searching = true
			i.SearchLow, i.SearchHigh = uint32(p.low)+head, uint32(p.high)+head
		}
		if p.probe != 0 {
			i.MTUProbe = uint32(p.probe) + head
		}
	}
}

// Defaults of the search, those of Linux: net.ipv4.tcp_base_mss,
// tcp_mtu_probe_floor, tcp_probe_threshold and tcp_probe_interval.
const (
	defaultBaseMSS        = 1024
	defaultProbeFloor     = 48
	defaultProbeThreshold = 8
	defaultProbeInterval  = 600 * time.Second
)
