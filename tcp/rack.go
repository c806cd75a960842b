package tcp

import (
	"slices"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

// rack is the state of RACK, RFC 8985 §5.2: a transmission is lost if one that
// left later has arrived, and the time that reordering may take has passed.
type rack struct {
	at          mono.Time // RACK.xmit_ts: departure of the newest that has arrived
	end         Seq       // RACK.end_seq
	rtt         time.Duration
	fack        Seq // the highest octet that has arrived, in first transmissions
	judged      Seq // first transmissions below it have been judged
	have        bool
	haveFACK    bool
	reordering  bool  // RACK.reordering_seen
	mult        uint8 // RACK.reo_wnd_mult
	persist     uint8 // recoveries until mult is 1 again
	inDSACKRnd  bool
	dsackRound  Seq // no second increase of mult before this is acknowledged
	judgedIsSet bool
}

// Numbers of RFC 8985.
const (
	rackPersist   = 16 // recoveries that keep a widened reordering window, §6.2
	minRTTWindow  = 5 * time.Minute
	maxReoMult    = 255
	tlpAckDelay   = 200 * time.Millisecond // worst delayed ACK allowed for, §7.2 TLP.max_ack_delay
	tlpWithoutRTT = time.Second            // §7.2
	tlpSlack      = 2 * time.Millisecond   // Linux adds two ticks of its clock
)

// delivered notes that a first transmission up to end has arrived. One below
// what arrived before means reordering: RFC 8985 §6.2 step 3.
func (r *rack) delivered(end Seq) {
	switch {
	case !r.haveFACK || r.fack.Less(end):
		r.fack, r.haveFACK = end, true
	case end.Less(r.fack):
		r.reordering = true
	}
}

// updateRACK is RFC 8985 §6.2 steps 1 and 2.
func (c *TCB) updateRACK(now mono.Time, seg *Segment) {
	n := &c.out.news
	switch {
	case !n.have:
		return
	case !n.again:
		c.advanceRACK(now, &n.newest, false)
		return
	case n.original:
		c.advanceRACK(now, &n.fresh, false)
	}
	if r := &n.newest; now.Sub(r.at) < c.out.minRTT || r.end.LessEq(c.snd.UNA) && c.echoesOlder(seg, r.at) {
		return // the ACK is for an earlier transmission of the same octets
	}
	c.advanceRACK(now, &n.newest, true)
}

// advanceRACK notes that a transmission has arrived.
func (c *TCB) advanceRACK(now mono.Time, r *record, again bool) {
	k := &c.out.rack
	k.rtt = now.Sub(r.at)
	if !again {
		c.noteMinRTT(now, k.rtt)
	}
	if !k.have || k.at < r.at || k.at == r.at && k.end.Less(r.end) {
		k.at, k.end, k.have = r.at, r.end, true
	}
}

// echoesOlder reports that an ACK echoes a timestamp from before a departure.
// That says nothing of what is SACKed: the echo is of the last segment in order.
func (c *TCB) echoesOlder(seg *Segment, at mono.Time) bool {
	return c.has(fTimestamps) && seg.Opts.Has&optTimestamps != 0 && seg.Opts.TSEcr != 0 &&
		int32(seg.Opts.TSEcr-c.tsNow(at)) < 0
}

// noteMinRTT keeps the smallest RTT of the last minutes. While losses are
// repaired it only becomes less: what is acknowledged then may have arrived long
// ago, and a retransmission that takes less time than the smallest RTT says
// nothing to RACK, so that one wrong sample would outlast the repair.
func (c *TCB) noteMinRTT(now mono.Time, rtt time.Duration) {
	o := c.out
	rtt = max(rtt, minRTTSample)
	if o.minRTT == 0 || rtt <= o.minRTT || now.Sub(o.minRTTAt) > minRTTWindow && !c.has(fRecovery|fLoss) {
		o.minRTT, o.minRTTAt = rtt, now
	}
}

// reoWindow is RACK_update_reo_wnd, RFC 8985 §6.2 step 4.
func (c *TCB) reoWindow() time.Duration {
	o := c.out
	k := &o.rack
	if !k.reordering && (c.has(fRecovery|fLoss) || !c.cfg.NoDupThresh && c.manySACKed()) {
		return 0
	}
	return min(time.Duration(k.mult)*o.minRTT/4, c.SRTT)
}

// manySACKed is the DupThresh rule in terms of octets and ranges.
func (c *TCB) manySACKed() bool {
	if c.dupACKs >= dupThresh {
		return true
	}
	_, ok := c.out.board.lostBelow(c.effMSS())
	return ok
}

// adaptReoWindow widens the reordering window when a D-SACK says that it was
// too narrow, once in a round trip: RFC 8985 §6.2 step 4.
func (c *TCB) adaptReoWindow() {
	k := &c.out.rack
	if k.inDSACKRnd && !c.snd.UNA.Less(k.dsackRound) {
		k.inDSACKRnd = false
	}
	if c.out.news.dsack {
		c.widenReoWindow()
	}
}

// widenReoWindow makes the reordering window wider, once in a round trip.
func (c *TCB) widenReoWindow() {
	if k := &c.out.rack; !k.inDSACKRnd && !c.cfg.NoReoAdapt {
		k.inDSACKRnd, k.dsackRound = true, c.snd.MAX
		k.mult = min(k.mult, maxReoMult-1) + 1
		k.persist = rackPersist
	}
}

// recoveryEnded counts towards forgetting a widened reordering window.
func (k *rack) recoveryEnded() {
	if k.persist > 0 {
		if k.persist--; k.persist == 0 {
			k.mult = 1
		}
	}
}

// detectLoss is RACK_detect_loss, RFC 8985 §6.2 step 5: it marks what is lost
// and returns how long to wait before looking again; 0: no need to.
func (c *TCB) detectLoss(now mono.Time) (wait time.Duration) {
	o := c.out
	k := &o.rack
	if !k.have {
		return 0
	}
	limit := k.rtt + c.reoWindow()
	if !k.judgedIsSet || k.judged.Less(c.snd.UNA) {
		k.judged, k.judgedIsSet = c.snd.UNA, true
	}
	i := o.sent.find(k.judged)
	for ; i < len(o.sent.r); i++ {
		r := &o.sent.r[i]
		end := k.outran(r)
		if end.LessEq(maxSeq(r.start, k.judged)) || r.at.Add(limit) > now {
			break
		}
		c.loseOriginals(now, k.judged, end)
		k.judged = end
	}
	if r := o.lastOutran(i); r != nil {
		wait = r.at.Add(limit).Sub(now)
	}
	return max(wait, c.detectLostAgain(now, limit))
}

// outran returns up to where what has arrived left after a first transmission:
// its beginning if it did not. What left together is in order of the sequence
// numbers.
func (k *rack) outran(r *record) Seq {
	switch {
	case r.at < k.at:
		return r.end
	case r.at > k.at:
		return r.start
	}
	return maxSeq(r.start, minSeq(r.end, k.end))
}

// lastOutran returns the last of the first transmissions from index i on, none of
// which is overdue, that something outran and that is neither SACKed nor marked;
// nil if there is none.
func (o *outstanding) lastOutran(i int) *record {
	k := &o.rack
	n, _ := slices.BinarySearchFunc(o.sent.r[i:], k, func(r record, k *rack) int {
		if k.outran(&r) == r.start {
			return 1
		}
		return -1
	})
	if n == 0 {
		return nil
	}
	end := k.outran(&o.sent.r[i+n-1])
	b := &o.board
	for j := b.find(end - 1); k.judged.Less(end); j-- {
		if j < 0 || j == len(b.spans) || !b.spans[j].start.Less(end) || b.spans[j].end.Less(end) {
			return &o.sent.r[o.sent.find(end-1)]
		}
		end = b.spans[j].start
	}
	return nil
}

// detectLostAgain is detectLoss for retransmissions, which are in order of
// time.
func (c *TCB) detectLostAgain(now mono.Time, limit time.Duration) (wait time.Duration) {
	o := c.out
	k := &o.rack
	for i := o.again.head; i < len(o.again.r); i++ {
		r := &o.again.r[i]
		if r.at > k.at || r.at == k.at && !r.end.Less(k.end) {
			break
		}
		n := o.again.base + uint32(i)
		if left := r.at.Add(limit).Sub(now); left > 0 {
			if o.board.names(r.start, r.end, n) {
				wait = max(wait, left)
			}
			continue
		}
		c.loseAgain(now, i)
	}
	o.expireRecords()
	return wait
}

// loseOriginals marks the first transmissions in [from, to) as lost, but for
// what is SACKed, marked or sent again.
func (c *TCB) loseOriginals(now mono.Time, from, to Seq) {
	b := &c.out.board
	for from.Less(to) {
		i := b.find(from)
		end := to
		if i < len(b.spans) {
			if b.spans[i].start.LessEq(from) {
				from = b.spans[i].end
				continue
			}
			end = minSeq(end, b.spans[i].start)
		}
		if c.path != nil {
			end = c.path.cut(from, end)
		}
		b.assign(from, end, span{kind: spanLost})
		if c.path != nil && c.path.covers(from) {
			c.noteLost(now, from, end) // a probe of the path: it says nothing of congestion
		} else {
			c.tellLost(now, &c.out.sent, c.out.sent.find(from), from, end)
		}
		from = end
	}
}

// loseAgain marks what is left of a retransmission as lost.
func (c *TCB) loseAgain(now mono.Time, i int) {
	o := c.out
	r := o.again.r[i]
	n := o.again.base + uint32(i)
	for from := r.start; from.Less(r.end); {
		j := o.board.find(from)
		if j == len(o.board.spans) || !o.board.spans[j].start.Less(r.end) {
			return
		}
		s := o.board.spans[j]
		if s.kind == spanAgain && s.record == n {
			o.board.assign(s.start, s.end, span{kind: spanLostAgain})
			c.tellLost(now, &o.again, i, s.start, s.end)
		}
		from = s.end
	}
}

// tellLost counts [from, to) as lost and tells an algorithm that wants to know,
// record by record from index i on.
func (c *TCB) tellLost(now mono.Time, q *records, i int, from, to Seq) {
	o := c.out
	c.noteLost(now, from, to)
	o.news.lost += uint32(to - from)
	owner, ok := c.cfg.Congestion.(cc.Owner)
	if !ok {
		o.lost += uint64(to - from)
		return
	}
	for ; i < len(q.r) && from.Less(to); i++ {
		r := &q.r[i]
		from = maxSeq(from, r.start)
		end := minSeq(r.end, to)
		if !from.Less(end) {
			break
		}
		n := uint32(end - from)
		o.lost += uint64(n)
		o.gone = cc.LostPacket{Now: now, Bytes: n, TxInFlight: r.inFlight, LostSince: uint32(o.lost) - r.lost,
			TotalDelivered: o.delivered, PriorDelivered: o.delivered - uint64(uint32(o.delivered)-r.delivered),
			MSS: c.effMSS(), AppLimited: r.appLimited}
		owner.OnLost(&c.cc, &o.gone)
		from = end
	}
}

// loseAll marks everything in flight as lost, SACKed octets excepted: what a
// timeout means without RACK, and what a path means that turned out narrower. A
// SYN is sent again by the handshake's timer.
func (c *TCB) loseAll(now mono.Time) {
	if c.out == nil {
		return
	}
	for i := c.out.again.head; i < len(c.out.again.r); i++ {
		c.loseAgain(now, i)
	}
	c.out.expireRecords()
	from := c.snd.UNA
	if c.has(fSYNUnacked) {
		from++
	}
	c.loseOriginals(now, from, c.snd.NXT)
	c.out.rack.judged = c.snd.NXT
}

// loseExpired is RACK_mark_losses_on_RTO, RFC 8985 §6.3: the first segment, and
// all that are older than a round trip.
func (c *TCB) loseExpired(now mono.Time) {
	o := c.out
	k := &o.rack
	limit := k.rtt + c.reoWindow()
	for i := o.again.head; i < len(o.again.r) && o.again.r[i].at.Add(limit) <= now; i++ {
		c.loseAgain(now, i)
	}
	to := c.snd.UNA
	for i := o.sent.head; i < len(o.sent.r) && o.sent.r[i].at.Add(limit) <= now; i++ {
		to = o.sent.r[i].end
	}
	first := minSeq(c.snd.UNA.Add(int(c.effMSS())), c.snd.NXT)
	c.loseOriginals(now, c.snd.UNA, maxSeq(to, first))
	if s := &o.board; len(s.spans) > 0 && s.spans[0].kind == spanAgain && s.spans[0].start == c.snd.UNA {
		n := s.spans[0]
		s.assign(n.start, n.end, span{kind: spanLostAgain})
	}
	o.expireRecords()
}

// tailProbe is the state of TLP, RFC 8985 §7.
type tailProbe struct {
	end    Seq  // TLP.end_seq
	active bool // a probe is outstanding
	resent bool // TLP.is_retrans
	dsack  bool // the probe was a duplicate
	stale  bool // no RTT was measured since the last probe left
}

// reset ends the episode.
func (t *tailProbe) reset() { *t = tailProbe{stale: t.stale} }

// mayProbeTail reports whether the timer is to be that of a loss probe: RFC
// 8985 §7.2.
func (c *TCB) mayProbeTail() bool {
	o := c.out
	return o != nil && c.has(fSACK) && !c.cfg.NoRACK && !c.cfg.NoTLP && c.state.synchronized() && !c.has(fRecovery|fLoss|fSYNUnacked) &&
		c.backoff == 0 && !o.tail.active && !o.tail.stale && o.board.sacked == 0 && o.board.lost == 0 && c.snd.NXT == c.snd.MAX && c.flight() > 0
}

// probeTimeout is TLP_calc_PTO, RFC 8985 §7.2.
func (c *TCB) probeTimeout() time.Duration {
	if c.SRTT == 0 {
		return tlpWithoutRTT
	}
	d := 2 * c.SRTT
	if c.flight() <= c.effMSS() {
		d += max(c.cfg.DelayedACK, tlpAckDelay)
	} else if c.cfg.Profile == ProfileLinux {
		d += tlpSlack
	}
	return d
}

// onProbeTimeout is RFC 8985 §7.3: a probe leaves, and the next timeout is an
// RTO.
func (c *TCB) onProbeTimeout(now mono.Time) {
	if !c.mayProbeTail() || c.confirmClaim(now) {
		c.armRTO(now)
		return
	}
	c.traceTimer(now, trace.WhyTailLossProbe)
	c.owe(pendTLP, trace.WhyTailLossProbe)
}

// tailProbeAcked is TLP_process_ack, RFC 8985 §7.4.2. It reports that the probe
// repaired a loss that nothing else has shown.
func (c *TCB) tailProbeAcked(seg *Segment, advanced bool) (repaired bool) {
	t := &c.out.tail
	if !t.active || seg.ACK.Less(t.end) {
		return false
	}
	switch {
	case !t.resent, t.dsack: // new data was delivered, or the probe was needless
	case t.end.Less(seg.ACK):
		repaired = true
	case !advanced && seg.Opts.NSACK == 0: // a duplicate: both copies arrived
	default:
		return false
	}
	t.reset()
	return repaired
}
