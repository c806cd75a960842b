package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// FastOpenMode says what of TCP Fast Open, RFC 7413, is allowed. The bits are
// those of Linux' sysctl net.ipv4.tcp_fastopen. A bit only permits: a
// connection or listener must ask for Fast Open all the same, but for
// FastOpenAllListeners.
type FastOpenMode uint16

// The bits of a FastOpenMode.
const (
	FastOpenClient         FastOpenMode = 0x1   // data may travel on our SYN
	FastOpenServer         FastOpenMode = 0x2   // data on a SYN with a good cookie is taken
	FastOpenClientNoCookie FastOpenMode = 0x4   // data travels on our SYN with or without a cookie, and without the option
	FastOpenServerNoCookie FastOpenMode = 0x200 // data on a SYN is taken without looking for a cookie
	FastOpenAllListeners   FastOpenMode = 0x400 // every listener takes it, not only those that ask
)

// FastOpenCookie is what a server gives a client to prove its address by, RFC
// 7413 §4.1.2. The zero value is none.
type FastOpenCookie struct {
	B [wire.MaxFastOpen]byte
	N uint8 // bytes of B: 0, or 4 to 16 and even
}

// FastOpenRequest asks Open for TCP Fast Open.
type FastOpenRequest struct {
	// Cookie is the server's. Without one the SYN asks for it and carries no
	// data (RFC 7413 §4.2.1), unless NoOption.
	Cookie FastOpenCookie
	// NoOption puts data on the SYN without a cookie: both ends know that they
	// may.
	NoOption bool
	// MSS is what the server announced when it gave the cookie; 0 when that is
	// not known. It bounds the data on the SYN, RFC 7413 §4.1.3.
	MSS uint16
	// Wait holds the SYN back until there is data for it; TCB.Hurry limits that.
	Wait bool
}

// FastOpenResult says what came of TCP Fast Open on a connection.
type FastOpenResult uint8

// The results.
const (
	FastOpenUnused   FastOpenResult = iota // nobody asked for it
	FastOpenPending                        // our SYN is not answered yet
	FastOpenNoData                         // our SYN carried no data: it asked for a cookie, or there was nothing to send
	FastOpenAccepted                       // the data on our SYN was acknowledged by the SYN-ACK
	FastOpenPartly                         // a part of it was; the rest was sent again
	FastOpenRefused                        // none of it was; it was sent again
	FastOpenReceived                       // we were opened by a SYN whose data was taken
)

var fastOpenTexts = [...]string{"unused", "pending", "no data", "accepted", "partly accepted", "refused", "received"}

// String describes the result in a word or two.
func (r FastOpenResult) String() string { return fastOpenTexts[r] }

// FastOpenNews is what a handshake taught of TCP Fast Open, for those who keep
// cookies and count.
type FastOpenNews struct {
	Result    FastOpenResult
	Cookie    FastOpenCookie // new from the server
	MSS       uint16         // the server announced; 0: it did not
	Offered   bool           // our SYN carried the option, or data
	SYNLost   bool           // a plain SYN had to follow: RFC 7413 §4.1.3.1
	BlackHole bool           // nothing has come through since: the third timeout in a row
	Answered  bool           // the handshake is over; before that the rest may still change
}

// fastOpen is what a connection keeps of TCP Fast Open.
type fastOpen struct {
	cookie    FastOpenCookie // a client's: to show, then what the server gave; a server's: to give
	limit     uint16         // data on the SYN is at most this, with all options
	peerMSS   uint16
	data      uint16 // sent on the SYN
	option    bool
	noOption  bool
	fresh     bool // cookie is the server's answer
	wait      bool
	blackHole bool // found, and not told yet
	told      bool // how the handshake went
}

// blackHoleTimeouts is how many timeouts in a row make a path suspicious, as in
// Linux.
const blackHoleTimeouts = 3

// openFast prepares an active open with TCP Fast Open.
func (c *TCB) openFast(r *FastOpenRequest) {
	if r == nil {
		return
	}
	f := &fastOpen{cookie: r.Cookie, option: !r.NoOption, noOption: r.NoOption, wait: r.Wait}
	mss := r.MSS
	if mss == 0 { // RFC 7413 §4.1.3: the default
		mss = c.rcv.peerMSS
	}
	f.limit = min(max(mss, c.cfg.minSendMSS()), c.rcv.MSS)
	c.fo = f
	c.fastOpened = FastOpenPending
}

// AcceptFastOpen makes the TCB a connection in SYN-RECEIVED out of a SYN whose
// cookie was found good: the data of seg, which it takes over, can be read at
// once, and answers may leave before the peer has acknowledged our SYN-ACK. RFC
// 7413 §4.2.2. h is NewHalfOpen's record for that SYN; fresh, when not empty,
// is a cookie for the SYN-ACK to bring.
func (c *TCB) AcceptFastOpen(now mono.Time, cfg *Config, h *HalfOpen, seg *Segment, fresh FastOpenCookie) {
	c.Accept(now, cfg, h)
	c.snd.NXT, c.snd.MAX = h.ISS, h.ISS // the SYN-ACK is the TCB's own to send
	c.flags &^= fTiming
	c.fo = &fastOpen{cookie: fresh, option: fresh.N > 0}
	c.fastOpened = FastOpenReceived
	c.segsIn++
	n := min(seg.Data.Len(), int(c.rcv.WND()))
	seg.Data.Truncate(n)
	v := seg.Data.Move()
	c.rcv.queue.push(v[0])
	c.rcv.queue.push(v[1])
	c.account()
	c.rcv.NXT += Seq(n)
	c.rcv.lastACK = c.rcv.NXT
	c.rcv.seen = uint16(min(n, int(c.rcv.MSS)))
	c.bytesIn = uint64(n)
	c.openCongestion(now)
	c.events |= EventReadable | EventWritable | EventState
}

// answersEarly reports whether the peer's SYN was accepted with its data and
// our SYN-ACK is not acknowledged: data may be sent all the same, but nothing
// is retransmitted except the SYN-ACK.
func (c *TCB) answersEarly() bool {
	return c.fo != nil && c.flags&(fPassive|fSYNUnacked) == fPassive|fSYNUnacked
}

// onlySYNACK reports whether our SYN-ACK is all that has been sent: Nagle's
// algorithm does not wait for its ACK, since it is no data.
func (c *TCB) onlySYNACK() bool { return c.answersEarly() && c.snd.NXT == c.snd.ISS+1 }

// FastOpenWaits reports whether an active open holds its SYN back for data.
func (c *TCB) FastOpenWaits() bool { return c.state == SynSent && c.fo != nil && c.fo.wait }

// Hurry lets a SYN that waits for data go without, unless there is some within
// patience. Only the first call counts: it reports whether it was that.
func (c *TCB) Hurry(now mono.Time, patience time.Duration) bool {
	if !c.FastOpenWaits() || c.deadlines[dRetransmit] != 0 {
		return false
	}
	c.deadlines[dRetransmit] = now.Add(patience)
	return true
}

// releaseSYN ends the waiting for data.
func (c *TCB) releaseSYN() {
	if c.FastOpenWaits() {
		c.fo.wait = false
		c.deadlines[dRetransmit] = 0 // Hurry's
	}
}

// holdsSYN decides about the SYN that is due: it stays while there is no data
// for it.
func (c *TCB) holdsSYN() bool {
	if c.snd.queue.len() > 0 {
		c.releaseSYN()
	}
	return c.FastOpenWaits()
}

// synWND is the window field of our SYN, when it is not known whether there
// will be timestamps, or of our SYN-ACK: what the data of the peer's SYN has
// left, and what our SYN has offered.
func (c *TCB) synWND() uint16 {
	offered := uint16(min(c.rcv.WND(), 65535))
	if c.answersEarly() {
		return offered
	}
	w := synWindow(c.rcv.size, uint32(c.rcv.MSS))
	if c.state != SynSent {
		w = max(w, offered)
	}
	return w
}

// synFastOpen adds the cookie and the data to our SYN, or a fresh cookie to our
// SYN-ACK.
//
// A SYN that has to be sent again goes without: what loses the one may let the
// other pass (RFC 7413). So does one that has become a SYN-ACK, when both
// ends opened at once.
func (c *TCB) synFastOpen(seg *Segment) {
	f := c.fo
	if f == nil || !c.has(fPassive) && c.snd.MAX != c.snd.ISS {
		return
	}
	if f.option {
		seg.Opts.Has |= wire.HasFastOpen
		seg.Opts.NFastOpen, seg.Opts.FastOpen = f.cookie.N, f.cookie.B
		if seg.Opts.Len() > int(c.rcv.MSS) { // a link of 68 octets has no room for every option
			seg.Opts.Has &^= wire.HasFastOpen
			f.option = false
			return
		}
	}
	n := min(int(min(f.limit, c.snd.MSS))-seg.Opts.Len(), c.snd.queue.len())
	if c.has(fPassive) || n <= 0 || c.snd.urgent || f.cookie.N == 0 && !f.noOption { // an urgent pointer follows on data
		return
	}
	seg.Data = c.snd.queue.view(c.snd.ISS+1, n)
	f.data = uint16(seg.Data.Len())
	c.snd.NXT += Seq(f.data)
}

// fastOpenAcked is part of synAcked. What of the SYN's data the SYN-ACK does
// not acknowledge counts as never sent, so that it leaves at once: RFC 7413
// §4.2.2. It may be more than the server could take, or all, when the cookie
// was not good or the data lost its way.
func (c *TCB) fastOpenAcked(now mono.Time, seg *Segment) {
	f := c.fo
	if f == nil {
		return
	}
	c.events |= EventFastOpen
	if c.has(fPassive) {
		if c.has(fSYNLost) { // what left behind the SYN-ACK was lost with it, most likely
			c.grounds(trace.WhyRetransmitTimeout)
			c.loseAll(now)
		}
		return
	}
	f.peerMSS = 0
	if seg.Opts.Has&wire.HasMSS != 0 {
		f.peerMSS = seg.Opts.MSS
	}
	if seg.Opts.Has&wire.HasFastOpen != 0 && seg.Opts.NFastOpen > 0 && f.option {
		f.cookie, f.fresh = FastOpenCookie{seg.Opts.FastOpen, seg.Opts.NFastOpen}, true
	}
	n := min(max(seg.ACK.Sub(c.snd.UNA), 0), int(f.data))
	c.snd.queue.ackTo(c.snd.UNA.Add(n))
	c.snd.UNA = c.snd.UNA.Add(n)
	c.snd.NXT, c.snd.MAX = c.snd.UNA, c.snd.UNA
	c.bytesOut += uint64(n)
	switch {
	case f.data == 0:
		c.fastOpened = FastOpenNoData
	case n == int(f.data):
		c.fastOpened = FastOpenAccepted
	case n > 0:
		c.fastOpened = FastOpenPartly
	default:
		c.fastOpened = FastOpenRefused
	}
}

// repeatedSYN recognises the SYN that we have answered early: the SYN-ACK is
// lost, or late. It is owed again.
func (c *TCB) repeatedSYN(seg *Segment) bool {
	if !c.answersEarly() || seg.Flags&(wire.FlagSYN|wire.FlagACK|wire.FlagRST) != wire.FlagSYN || seg.SEQ != c.rcv.IRS {
		return false
	}
	c.flags &^= fTiming // Karn: which SYN-ACK will be acknowledged nobody knows
	c.owe(pendSYN, trace.WhyDuplicateACK)
	return true
}

// fastOpenRTO ends the patience of Hurry, and is the retransmission timeout while
// we answer early: the SYN-ACK
// alone goes again, whatever followed it. Until that is acknowledged the peer
// may be somebody who never sent a SYN, RFC 7413 §5.2.
func (c *TCB) fastOpenRTO(now mono.Time) bool {
	if c.FastOpenWaits() {
		c.releaseSYN()
		return true
	}
	if !c.answersEarly() {
		return false
	}
	c.traceTimer(now, trace.WhyRetransmitTimeout)
	c.why = trace.WhyRetransmitTimeout
	if c.gaveUp(now) {
		return true
	}
	c.expiries++
	c.flags |= fSYNLost
	c.flags &^= fTiming
	c.backoff = min(c.backoff+1, 30)
	c.owe(pendSYN, trace.WhyRetransmitTimeout)
	c.armRTO(now)
	return true
}

// fastOpenTimeout looks for paths that swallow everything once they have seen
// TCP Fast Open: RFC 7413 §7.1. It is called at each timeout of a connection
// that used it.
func (c *TCB) fastOpenTimeout() {
	f := c.fo
	tried := f.data > 0 || f.option && f.cookie.N > 0 && !f.fresh
	if c.has(fPassive) || !tried || c.expiries != blackHoleTimeouts || c.bytesIn > 0 {
		return
	}
	f.blackHole = true
	c.events |= EventFastOpen
}

// synRetries is R2 for our SYN, or our SYN-ACK.
func (c *TCB) synRetries() uint8 {
	if c.answersEarly() {
		return c.cfg.SYNACKRetries
	}
	return c.cfg.SYNRetries
}

// queueFIN lets CLOSE wait for ESTABLISHED while an active open with TCP Fast
// Open has data queued, or its program goes on reading. It reports false when
// the connection is to end at once.
//
// Deviation: RFC 9293 §3.10.4 deletes the TCB in SYN-SENT, and with it what was
// written. A program that was promised that its first bytes travel with the SYN
// has reason to believe that they are delivered.
func (c *TCB) queueFIN() bool {
	if c.fo == nil || c.state != SynSent || c.snd.queue.len() == 0 && c.has(fDetached) {
		return false
	}
	c.releaseSYN()
	c.flags |= fFINQueued
	return true
}

// TakeFastOpenNews returns what is new of TCP Fast Open after EventFastOpen, each
// thing once.
func (c *TCB) TakeFastOpenNews() (n FastOpenNews) {
	f := c.fo
	n.Result = c.fastOpened
	if f == nil {
		return n
	}
	n.SYNLost, n.BlackHole = c.has(fSYNLost), f.blackHole
	n.Answered = !c.has(fSYNUnacked) && !f.told
	n.Offered, n.MSS = f.option || f.data > 0, f.peerMSS
	if f.fresh {
		n.Cookie = f.cookie
	}
	f.blackHole, f.told = false, f.told || n.Answered
	return n
}

// trimFastOpen forgets the cookie of a connection that works.
func (c *TCB) trimFastOpen() {
	if !c.has(fSYNUnacked) && c.bytesIn > 0 && c.events&EventFastOpen == 0 {
		c.fo = nil
	}
}
