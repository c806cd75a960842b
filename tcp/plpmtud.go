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

// maxProbes is how often a probe of one size must be lost, and nothing else
// with it, until the size is given up: MAX_PROBES of RFC 8899 §5.1.2. Linux
// takes one for the truth.
const maxProbes = 3

// probeBehind is how many full segments must be there to follow a probe, so that
// its loss shows without a timeout: RFC 4821 §7.6.1.
const probeBehind = dupThresh + 1

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
// same path, which needs no further search before until. A connection that knows
// better ignores it.
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
	if p.tried != size {
		p.tried, p.lost = size, 0
	}
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
