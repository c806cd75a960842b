package tcp

import (
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// ECN says which kinds of Explicit Congestion Notification a connection asks
// for and which it agrees to when asked: RFC 3168, and RFC 9768 (AccECN), which
// tells the sender of every mark instead of one in a round trip. The numbers
// are those of Linux' net.ipv4.tcp_ecn.
type ECN uint8

// The kinds. Who agrees to AccECN agrees to RFC 3168 as well.
const (
	ECNOff                ECN = iota // neither asked for nor agreed to
	ECNOn                            // RFC 3168: asked for and agreed to
	ECNAccept                        // RFC 3168: agreed to
	ECNAccurate                      // AccECN: asked for and agreed to
	ECNAccurateAskClassic            // AccECN agreed to, RFC 3168 asked for
	ECNAccurateAccept                // AccECN agreed to
)

// ask is what our SYN asks for.
func (e ECN) ask() Feedback {
	switch e {
	case ECNOn, ECNAccurateAskClassic:
		return FeedbackClassic
	case ECNAccurate:
		return FeedbackAccurate
	}
	return FeedbackNone
}

// accept is the best that a peer may ask for.
func (e ECN) accept() Feedback {
	switch e {
	case ECNOn, ECNAccept:
		return FeedbackClassic
	case ECNAccurate, ECNAccurateAskClassic, ECNAccurateAccept:
		return FeedbackAccurate
	}
	return FeedbackNone
}

// Feedback is how both ends tell each other of congestion marks, the feedback
// mode of RFC 9768 §3.1.
type Feedback uint8

// The modes.
const (
	FeedbackNone     Feedback = iota // not at all: ECN is not in use
	FeedbackClassic                  // RFC 3168: once in a round trip, by ECE and CWR
	FeedbackAccurate                 // RFC 9768: a counter in ACE, and bytes in an option
)

var feedbackTexts = [...]string{"none", "RFC 3168", "AccECN"}

// String names the mode.
func (f Feedback) String() string { return feedbackTexts[f] }

// The three flags that ECN uses, and their combinations on SYN and SYN-ACK.
const (
	ecnFlags    = wire.FlagAE | wire.FlagCWR | wire.FlagECE
	classicSYN  = wire.FlagCWR | wire.FlagECE // ECN-setup SYN, RFC 3168 §6.1.1
	classicOK   = wire.FlagECE                // ECN-setup SYN-ACK
	accurateSYN = ecnFlags
)

// ecnState is what a connection that uses ECN knows about it; one that does not
// has none.
type ecnState struct {
	recover Seq       // what was outstanding at the last reduction ends here; valid while reduced
	hold    mono.Time // no new data before this, RFC 3168 §6.1.2; 0: none

	accurate bool // RFC 9768, else RFC 3168
	noECT    bool // our data is not ECN-capable
	deaf     bool // the peer's feedback makes no sense and is ignored
	reduced  bool // the window was reduced, and something of what was outstanding then still is
	byMark   bool // that was because of marks, and no loss has come since
	marked   bool // the segment at hand reports new marks
	echo     bool // RFC 3168: ECE goes on every segment until CWR comes
	cwr      bool // RFC 3168: CWR goes on the next new data

	ceIn       uint32  // packets that arrived with CE
	reported   uint32  // marks the peer reported: with RFC 3168, segments with ECE
	echoes     uint32  // segments sent with ECE, RFC 3168
	reductions uint32  // of the window, because of marks
	loss       cc.Loss // handed to the algorithm: here, because once a round trip is too often to allocate

	acc accECN
}

// answerECN decides what a server agrees to, RFC 3168 §6.1.1 and RFC 9768 §3.1.2
// and §3.1.3: any other combination than the two that RFC 3168 knows is for
// AccECN to understand.
func (cfg *Config) answerECN(syn *Segment) Feedback {
	best := cfg.ECN.accept()
	switch f := syn.Flags & ecnFlags; {
	case f == 0 || best == FeedbackNone:
		return FeedbackNone
	case f == classicSYN:
		if syn.ECN != wire.NotECT {
			return FeedbackNone // such a SYN never is: somebody rewrites the field (as Linux)
		}
		return FeedbackClassic
	case best == FeedbackAccurate:
		return FeedbackAccurate
	case f == accurateSYN:
		return FeedbackClassic // the third flag is a reserved bit for RFC 3168
	}
	return FeedbackNone
}

// startECN begins to use ECN.
func (c *TCB) startECN(f Feedback) {
	if f == FeedbackNone {
		return
	}
	c.ecn = &ecnState{accurate: f == FeedbackAccurate}
	c.ecn.acc.init(c.snd.MAX)
	c.events |= EventECN
}

// Feedback returns how the connection tells and is told of congestion marks.
func (c *TCB) Feedback() Feedback {
	switch {
	case c.ecn == nil:
		return FeedbackNone
	case c.ecn.accurate:
		return FeedbackAccurate
	}
	return FeedbackClassic
}

// ecnSYN sets the flags of our SYN, or of the SYN-ACK of a simultaneous open,
// which is what a server's would be (RFC 9768 §3.1.2). A SYN that was lost may
// have been dropped for what it asked, so later ones do not ask: the first
// again for RFC 3168 (§6.1.1.1, as Linux), the second for AccECN (RFC 9768
// §3.1.4.1).
func (c *TCB) ecnSYN(seg *Segment) {
	if c.state != SynSent {
		if e := c.ecn; e != nil {
			h := halfECN{c.Feedback(), e.acc.synECN, e.noECT}
			h.answer(c.cfg, seg, c.expiries, c.has(fSYNLost))
			e.noECT = h.plain
		}
		return
	}
	flags, tries := wire.TCPFlags(0), uint8(0)
	switch c.cfg.ECN.ask() {
	case FeedbackNone:
		return
	case FeedbackClassic:
		flags, tries = classicSYN, 1
	case FeedbackAccurate:
		flags, tries = accurateSYN, 2
	}
	if c.expiries >= tries && !c.cfg.NoECNFallback {
		c.flags |= fPlainSYN
		return
	}
	seg.Flags |= flags
}

// ecnAnswered reads the peer's answer to our SYN: its SYN-ACK, or its SYN when
// both opened at once. RFC 3168 §6.1.1, RFC 9768 §3.1.2 table 2.
func (c *TCB) ecnAnswered(seg *Segment) {
	ask, f := c.cfg.ECN.ask(), seg.Flags&ecnFlags
	switch {
	case ask == FeedbackNone:
	case !seg.Has(wire.FlagACK): // both opened: as a server
		c.startECN(c.cfg.answerECN(seg))
		if c.ecn != nil {
			c.ecn.noECT = c.has(fPlainSYN)
			c.ecn.acc.synECN = seg.ECN
		}
	case f == ecnFlags || f == 0: // a server that reflects what it does not know, or plain TCP
	case f == classicOK || ask == FeedbackClassic && f&^wire.FlagAE == classicOK:
		c.startECN(FeedbackClassic)
		c.ecn.noECT = c.has(fPlainSYN) // RFC 3168 §6.1.1: not after a SYN that did not ask
	case ask == FeedbackAccurate:
		c.startECN(FeedbackAccurate)
	}
}

// ecnSYNACK goes on where ecnAnswered ended, once the connection is
// ESTABLISHED.
func (c *TCB) ecnSYNACK(now mono.Time, seg *Segment) {
	if c.ecn != nil && c.ecn.accurate {
		c.accSYNACK(now, seg)
	}
}

// ecnArrived handles the marks of an acceptable segment, and what it says of
// ours. It is called before the segment's ACK is processed. n is the length of
// its text, as it arrived.
func (c *TCB) ecnArrived(now mono.Time, seg *Segment, n int) {
	e := c.ecn
	e.marked = false
	if e.accurate {
		c.accReceive(seg, n)
		c.accFeedback(now, seg, n)
		return
	}
	if seg.unscaled {
		return // its flags are those of the handshake
	}
	if seg.Flags&wire.FlagCWR != 0 {
		e.echo = false
	}
	if seg.ECN == wire.CE && n > 0 { // RFC 3168 §6.1.3: until CWR comes
		e.echo = true
		e.ceIn += uint32(max(1, seg.Segs))
	}
	if seg.Flags&wire.FlagECE != 0 && c.snd.UNA != c.snd.MAX && c.snd.UNA.LessEq(seg.ACK) {
		e.reported++
		e.marked = true
		c.ecnReact(now, seg.ACK)
	}
}

// ecnReact reduces the window because of marks, as for a loss but once for the
// data of a window whatever it suffers: RFC 3168 §6.1.2. ack is what the
// segment with the news acknowledges.
func (c *TCB) ecnReact(now mono.Time, ack Seq) {
	e := c.ecn
	if e.reduced && ack.LessEq(e.recover) {
		return
	}
	mss := c.effMSS()
	flight := uint32(c.snd.MAX - c.snd.UNA)
	if flight == 0 {
		flight = c.cc.Cwnd // a mark on the handshake: what would have been sent
	}
	if c.cc.Cwnd <= mss {
		// As slow as the window goes: from here on it is the timer that paces.
		e.hold = now.Add(c.backedOff())
		if c.snd.UNA != c.snd.MAX {
			c.armRetransmit(now)
		}
	}
	e.loss = cc.Loss{Now: now, Flight: min(flight, max(c.cc.Cwnd, 2*mss)), MSS: mss, ECN: true}
	c.cfg.Congestion.OnLossEvent(&c.cc, &e.loss)
	if !c.ownsRecovery() {
		c.cc.Cwnd = min(c.cc.Cwnd, c.cc.SSThresh)
	}
	if c.out != nil {
		c.out.undo.active = false // it would give back what the marks took
	}
	e.reductions++
	c.ecnReduced()
	e.byMark = true
	c.events |= EventMarked
	c.traceCongestion(now, trace.WhyCongestionMark)
}

// ecnReduced notes that the window has shrunk, for whatever reason: marks on
// what is outstanding now are no news any more, and the peer is to know.
func (c *TCB) ecnReduced() {
	if e := c.ecn; e != nil {
		e.reduced, e.byMark, e.recover = true, false, c.snd.MAX
		e.cwr = !e.accurate
	}
}

// ecnCovers reports that the window was reduced because of marks on data that
// is outstanding still: a loss among it is the same congestion, RFC 3168
// §6.1.2.
func (c *TCB) ecnCovers() bool {
	return c.ecn != nil && c.ecn.reduced && c.ecn.byMark && c.snd.UNA.Less(c.ecn.recover)
}

// onLoss reduces the window for a loss, unless marks have done so already. An
// algorithm that governs recovery itself is always told.
func (c *TCB) onLoss(l *cc.Loss) {
	if c.ecnCovers() && !c.ownsRecovery() {
		c.needOutstanding(l.Now).undo.active = false // as above
	} else {
		c.cfg.Congestion.OnLossEvent(&c.cc, l)
	}
	c.ecnReduced()
}

// ecnGrowth reports whether the ACK at hand may let the window grow: not when
// it brings news of marks, RFC 3168 §6.1.2. It also ends the time in which
// marks are no news, so that no old number comes round again.
func (c *TCB) ecnGrowth() bool {
	e := c.ecn
	if e == nil {
		return true
	}
	if e.reduced && e.recover.Less(c.snd.UNA) {
		e.reduced = false
	}
	grow := !e.marked
	e.marked = false
	return grow
}

// ecnWait is how long new data has to wait although the window has room, 0 for
// not at all: RFC 3168 §6.1.2.
func (c *TCB) ecnWait(now mono.Time) time.Duration {
	if c.ecn == nil || c.ecn.hold <= now {
		return 0
	}
	return c.ecn.hold.Sub(now)
}

// ecnData marks a segment of n bytes from seg.SEQ on, before SND.MAX knows of
// it: new data is ECN-capable, by ECT(0) (RFC 8311 §4.1), and tells of a
// reduction; what was sent before is and does not, RFC 3168 §6.1.5.
func (c *TCB) ecnData(seg *Segment, n int) {
	e := c.ecn
	if e == nil || n == 0 || seg.SEQ.Less(c.snd.MAX) {
		return
	}
	if !e.noECT {
		seg.ECN = wire.ECT0
	}
	if e.cwr {
		seg.Flags |= wire.FlagCWR
		e.cwr = false
	}
}

// ecnSent sets the flags of any segment but a SYN: ECE of RFC 3168 §6.1.3, the
// ACE field of RFC 9768 §3.2.2.
func (c *TCB) ecnSent(seg *Segment) {
	switch e := c.ecn; {
	case e == nil:
	case e.accurate:
		c.accSent(seg)
	case e.echo && !seg.Has(wire.FlagRST):
		seg.Flags |= wire.FlagECE
		e.echoes++
	}
}

// ecnInfo fills in its share of a snapshot.
func (c *TCB) ecnInfo(i *Info) {
	e := c.ecn
	if e == nil {
		return
	}
	i.Feedback, i.ECNCapable = c.Feedback(), !e.noECT
	i.MarksIn, i.MarksReported, i.EchoesOut, i.MarkReductions = e.ceIn, e.reported, e.echoes, e.reductions
}

// halfECN is what a half-open record knows about ECN.
type halfECN struct {
	mode  Feedback
	syn   uint8 // IP-ECN field of the last SYN
	plain bool  // a SYN that did not ask came, or a SYN-ACK that did not agree went
}

// synAgain reads a SYN that came again. What was agreed on stays, but data is
// not ECN-capable if the client may not know of it. It reports false for a
// client that asks for both kinds of feedback in one handshake: then nobody
// would know which is in use. RFC 3168 §6.1.1, RFC 9768 §3.1.5.
func (h *halfECN) synAgain(cfg *Config, seg *Segment) bool {
	f := seg.Flags & ecnFlags
	accurate := f != 0 && f != classicSYN && cfg.ECN.accept() == FeedbackAccurate
	switch {
	case h.mode == FeedbackNone:
	case f == 0:
		h.plain = true
	case h.mode == FeedbackAccurate && f == classicSYN, h.mode == FeedbackClassic && accurate:
		return false
	}
	h.syn = seg.ECN
	return true
}

// answer sets what a SYN-ACK says of ECN; retries is how often the timer has
// sent it again, and again says that anybody has. With AccECN it tells how the SYN
// arrived, and tries the option; when it has to go again, first the option is
// left out and then the flags, since somebody may drop either (RFC 9768
// §3.2.3.2.2).
func (h *halfECN) answer(cfg *Config, out *Segment, retries uint8, again bool) {
	switch {
	case h.mode == FeedbackClassic && !h.plain:
		out.Flags |= classicOK
	case h.mode != FeedbackAccurate:
	case retries > 1 && !cfg.NoECNFallback:
		h.plain = true
	default:
		out.Flags |= handshakeACE(h.syn)
		if !again {
			out.Opts.Has |= wire.HasAccECN
			out.Opts.AccECN, out.Opts.NAccECN, out.Opts.AccECNOrder = [wire.MaxAccECN]uint32{1, 0, 1}, wire.MaxAccECN, 0
		}
	}
}

// ecnFromACK finds out from the ACK of a cookie whether AccECN was agreed on:
// what an AccECN client writes into ACE there, nobody else does. RFC 9768 §5.1.
func (h *HalfOpen) ecnFromACK(cfg *Config, seg *Segment) {
	if cfg.ECN.accept() == FeedbackAccurate && ace(seg.Flags) > 1 && seg.Data.Len() == 0 && seg.Opts.NSACK == 0 &&
		!seg.Has(wire.FlagFIN) {
		h.ecn.mode = FeedbackAccurate
	}
}

// acceptECN takes over what a half-open record has agreed on.
func (c *TCB) acceptECN(h *HalfOpen) {
	c.startECN(h.ecn.mode)
	if e := c.ecn; e != nil {
		e.noECT = h.ecn.plain
		e.acc.handshake = true
		e.acc.synECN = h.ecn.syn
	}
}

// ecnRepeatedSYN is synAgain for a connection that TCP Fast Open began before
// its handshake was over. It reports true when the segment is to be answered by
// a reset, because the connection has ended.
func (c *TCB) ecnRepeatedSYN(now mono.Time, seg *Segment) (reset bool) {
	e := c.ecn
	if e == nil {
		return false
	}
	h := halfECN{c.Feedback(), e.acc.synECN, e.noECT}
	if !h.synAgain(c.cfg, seg) {
		c.end(now, OnAbort, ReasonAborted)
		seg.SEQ = seg.SEQ.Add(seg.Data.Len()) // ResetFor acknowledges the text, too
		return true
	}
	e.acc.synECN, e.noECT = h.syn, h.plain
	return false
}
