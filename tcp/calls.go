package tcp

import (
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/trace"
)

// Open is the active OPEN of RFC 9293 §3.10.1: the TCB, which must be in
// CLOSED, goes to SYN-SENT and Emit yields the SYN.
func (c *TCB) Open(now mono.Time, cfg *Config, p *Params) {
	c.init(now, cfg, p)
	c.snd.queue.init(p.ISS + 1)
	c.flags |= fSYNUnacked
	if !cfg.NoTimestamps {
		c.tsOffset = p.TSOffset
	}
	c.rcv.scale = cfg.windowScale()
	c.openFast(p.FastOpen)
	c.setState(now, SynSent, OnActiveOpen)
}

// init sets what active and passive opens have in common.
func (c *TCB) init(now mono.Time, cfg *Config, p *Params) {
	*c = TCB{cfg: cfg, id: p.ID, tsOffset: p.TSOffset}
	c.snd.ISS, c.snd.UNA, c.snd.NXT, c.snd.MAX = p.ISS, p.ISS, p.ISS, p.ISS
	c.rcv.peerMSS, c.snd.MSS = defaultMSS4, p.MSS
	if p.V6 {
		c.flags |= fV6
		c.rcv.peerMSS = defaultMSS6
	}
	c.recover = p.ISS // RFC 6582 §3.2 step 1
	c.rcv.MSS = p.MSS
	c.snd.size, c.rcv.size, c.snd.lowat = cfg.SendBuffer, cfg.ReceiveBuffer, cfg.NotSentLowat
	c.RTO = cfg.InitialRTO
	c.quick = cfg.QuickACKs
	if cfg.Nagle {
		c.flags |= fNagle
	}
	c.keepIdle = uint32(cfg.KeepIdle / time.Millisecond)
	c.keepInterval = uint32(cfg.KeepInterval / time.Millisecond)
	c.keepCount = cfg.KeepCount
	c.lastRcv = now
}

// Accept makes the TCB an ESTABLISHED connection out of a half-open record
// whose SYN-ACK was acknowledged (RFC 9293 §3.10.7.4, fifth step in
// SYN-RECEIVED). The segment that did so must be handed to Arrive next: it may
// carry data.
func (c *TCB) Accept(now mono.Time, cfg *Config, h *HalfOpen) {
	c.init(now, cfg, &Params{ID: h.ID, ISS: h.ISS, MSS: h.OurMSS, TSOffset: h.TSOffset, V6: h.V6})
	c.flags |= fPassive
	c.snd.queue.init(h.ISS + 1)
	c.snd.UNA, c.snd.NXT, c.snd.MAX = h.ISS, h.ISS+1, h.ISS+1
	c.rcv.IRS, c.rcv.NXT, c.rcv.lastACK = h.IRS, h.IRS+1, h.IRS+1
	c.rcv.edge = c.rcv.NXT.Add(int(h.offered(cfg)))
	c.negotiate(&h.peer, h.WScaleOK)
	c.acceptECN(h)
	if h.peer.Has&optTimestamps == 0 {
		c.tsOffset = 0
	}
	c.tsRecent, c.tsRecentAge = h.TSRecent, now
	c.snd.WND, c.snd.maxWND = uint32(h.WND), uint32(h.WND)
	c.snd.WL1, c.snd.WL2 = h.IRS, h.ISS
	if h.Retransmitted {
		c.flags |= fSYNLost
	} else if h.Sent.IsSet() { // a cookie does not remember
		c.progress = h.Sent
		c.flags |= fTiming
	}
	CheckEdge(Closed, Listen, OnPassiveOpen)
	CheckEdge(Listen, SynReceived, OnSYN)
	c.state = SynReceived
	c.flags |= fSYNUnacked
}

// Room returns how many bytes Queue accepts now.
func (c *TCB) Room() int {
	if !c.canQueue() {
		return 0
	}
	return max(0, c.sendRoom())
}

func (c *TCB) canQueue() bool {
	switch c.state {
	case SynSent, SynReceived, Established, CloseWait:
		return !c.has(fFINQueued)
	}
	return false
}

// Queue is the SEND call of RFC 9293 §3.10.2: it takes over r, whose bytes
// follow those queued before. Bytes queued in a state that sends no more are
// dropped.
func (c *TCB) Queue(now mono.Time, r pkt.Ref) {
	if !c.canQueue() {
		r.Release()
		return
	}
	c.snd.queue.push(r)
	c.account()
}

// Spare returns the unused rest of the chunk that holds the last bytes queued,
// as a reference of its own; ok is false when there is none. What the caller
// writes into it and hands to Queue next joins those bytes. Only one writer at
// a time may do so.
func (c *TCB) Spare() (r pkt.Ref, ok bool) {
	q := &c.snd.queue
	if len(q.pieces) == q.head {
		return r, false
	}
	last := q.pieces[len(q.pieces)-1].ref
	n := len(last.B)
	if last.Chunk() == nil || n == cap(last.B) {
		return r, false
	}
	return last.Slice(n, cap(last.B)).Retain(), true
}

// Queued returns how many bytes wait for transmission or acknowledgement.
func (c *TCB) Queued() int { return c.snd.queue.len() }

// Buffered returns how many bytes Take can return now.
func (c *TCB) Buffered() int { return int(c.rcv.queue.n) }

// Readable reports whether a RECEIVE would return at once: data, the end of
// the stream, or an error.
func (c *TCB) Readable() bool {
	return c.rcv.queue.n > 0 || c.has(fFINReceived|fRcvClosed) || c.state == Closed && c.cfg != nil
}

// Writable reports whether a SEND would return at once: room, or an error.
func (c *TCB) Writable() bool {
	if (c.state == SynSent || c.state == SynReceived) && !c.FastOpenWaits() && !c.answersEarly() {
		return false
	}
	return c.Room() > 0 || !c.canQueue()
}

// EOF reports that the peer's FIN was reached and everything before it taken.
func (c *TCB) EOF() bool { return c.rcv.queue.n == 0 && c.has(fFINReceived|fRcvClosed) }

// Take is the RECEIVE call of RFC 9293 §3.10.3: it moves up to max bytes of
// in-order data into dst and returns how many Refs it filled. The caller owns
// them, and says so with Consumed when it wants the window to follow.
func (c *TCB) Take(max int, dst []pkt.Ref) int {
	refs, _ := c.rcv.queue.take(max, dst)
	if c.rcv.urgent && c.rcv.UP.LessEq(c.nextUnread()) {
		c.rcv.urgent = false // read; or it would be ahead again 2 GiB later
	}
	c.account()
	return refs
}

// Trim gives back what a busy connection keeps for its next segments. Whoever
// drives the TCB calls it now and then, such as when a deadline that had moved
// away comes.
func (c *TCB) Trim() {
	c.snd.queue.trim()
	c.rcv.queue.trim()
	c.trimIncoming()
	if c.snd.UNA == c.snd.MAX {
		c.dropOutstanding()
		c.trimFastOpen()
	}
}

// Busy reports whether data was sent within the last RTO: then what Trim would
// give back is likely to be needed again.
func (c *TCB) Busy(now mono.Time) bool { return c.lastSnd != 0 && now.Sub(c.lastSnd) < c.RTO }

// Peek copies in-order data into dst without taking it, and returns how much.
func (c *TCB) Peek(dst []byte) int { return c.rcv.queue.peek(dst) }

// Consumed tells that taken bytes have been dealt with, which may open the
// window; Emit then yields a window update. It reports whether that is so.
func (c *TCB) Consumed() bool {
	if !c.state.canReceive() {
		return false
	}
	gain := c.newEdge().Sub(c.rcv.edge)
	left := c.rcv.WND()
	// An update of its own is worth it when the peer may soon be stopped by
	// the window: otherwise the next ACK carries it. RFC 9293 §3.8.6.2.2.
	mss := uint32(c.rcv.MSS)
	step := min(max(c.rcv.size/4, 1), 4*mss)
	least := min(max(c.rcv.size/2, 1), mss) // less does not move the edge: advertise
	if left < mss {
		step = least
	}
	step = max(step, least)
	if left > c.rcv.size/2 || gain < int(step) {
		return false
	}
	c.owe(pendACK, trace.WhyWindowUpdate)
	return true
}

// Shutdown closes the sending side after what is queued (half-close), and the
// receiving side if read is set: what arrives later is acknowledged and
// dropped.
func (c *TCB) Shutdown(now mono.Time, read, write bool) {
	if read && c.cfg != nil {
		c.flags |= fRcvClosed
		c.rcv.queue.release()
		c.account()
		c.events |= EventReadable
	}
	if write {
		c.sendFIN(now)
	}
}

// sendFIN queues our FIN, RFC 9293 §3.10.4. A second one is never sent.
func (c *TCB) sendFIN(now mono.Time) {
	if c.has(fFINQueued) {
		return
	}
	switch c.state {
	case SynSent:
		if !c.queueFIN() {
			c.end(now, OnClose, ReasonClosed)
		}
	case SynReceived:
		c.flags |= fFINQueued
		if c.answersEarly() {
			c.setState(now, FinWait1, OnClose)
		} else if c.snd.queue.len() == 0 {
			c.openCongestion(now) // the FIN does not wait for the ACK of our SYN
			c.setState(now, FinWait1, OnClose)
		} // else it is queued until ESTABLISHED
	case Established:
		c.flags |= fFINQueued
		c.setState(now, FinWait1, OnClose)
	case CloseWait:
		c.flags |= fFINQueued
		c.setState(now, LastAck, OnClose)
	default:
		return
	}
	c.events |= EventWritable
}

// Close is the CLOSE of a program that lets go of the connection: it neither
// sends nor receives any more. What is queued is still delivered, then the
// FIN. Data that was not read, or that arrives later, makes it an abort
// (RFC 9293 §3.6.1, RFC 2525 §2.17).
func (c *TCB) Close(now mono.Time) {
	if c.has(fDetached) {
		return
	}
	c.flags |= fDetached
	if c.rcv.queue.n > 0 && (c.state.synchronized() || c.answersEarly()) && c.state != TimeWait {
		c.Abort(now)
		return
	}
	c.flags |= fRcvClosed
	c.rcv.queue.release()
	c.account()
	if c.state == SynSent && !c.queueFIN() {
		c.end(now, OnClose, ReasonClosed)
		return
	}
	c.sendFIN(now)
	if c.state == FinWait2 {
		c.lingerFinWait2(now)
	}
}

// lingerFinWait2 bounds how long a connection nobody reads waits for a FIN.
func (c *TCB) lingerFinWait2(now mono.Time) {
	if c.has(fDetached) && c.cfg.FinWait2 > 0 {
		c.deadlines[dLinger] = now.Add(c.cfg.FinWait2)
	}
}

// Abort is the ABORT of RFC 9293 §3.10.5: the queues are flushed and the
// connection is CLOSED. Where the RFC wants it, Emit yields a RST.
func (c *TCB) Abort(now mono.Time) {
	c.flags |= fDetached | fRcvClosed
	switch c.state {
	case Closed, Listen:
		c.rcv.queue.release()
		c.account()
		return
	case SynReceived, Established, FinWait1, FinWait2, CloseWait:
		c.owe(pendRST, trace.WhyAborted)
	}
	c.end(now, OnAbort, ReasonAborted)
}

// SendUrgent queues bytes the last of which ends the urgent data, RFC 9293
// §3.8.5. New applications should not use urgent data (SHLD-13).
func (c *TCB) SendUrgent(now mono.Time, r pkt.Ref) {
	if !c.canQueue() || len(r.B) == 0 {
		r.Release()
		return
	}
	c.snd.queue.push(r)
	c.snd.UP = c.snd.queue.end
	c.snd.urgent = true
	c.account()
}

// Urgent reports how many bytes of urgent data are still to be read, counting
// from the next one; ok is false when there are none. RFC 9293 §3.8.5.
func (c *TCB) Urgent() (remaining int, ok bool) {
	if !c.rcv.urgent {
		return 0, false
	}
	if n := c.rcv.UP.Sub(c.nextUnread()); n > 0 {
		return n, true
	}
	return 0, false
}

// nextUnread is the number of the next byte to be read.
func (c *TCB) nextUnread() Seq {
	next := c.rcv.NXT.Add(-int(c.rcv.queue.n))
	if c.has(fFINReceived) {
		next-- // the FIN is no byte of the stream
	}
	return next
}

// SetNoDelay switches Nagle's algorithm off (true) or on, RFC 9293 §3.7.4.
func (c *TCB) SetNoDelay(on bool) {
	c.flags &^= fNagle
	if !on {
		c.flags |= fNagle
	}
}

// SetKeepalive switches keepalive probes on or off and sets their timing: after
// idle without a segment from the peer a probe every interval, up to count
// of them unanswered. Zero values keep what was set before. RFC 9293 §3.8.4.
func (c *TCB) SetKeepalive(now mono.Time, on bool, idle, interval time.Duration, count int) {
	if idle > 0 {
		c.keepIdle = uint32(max(1, idle/time.Millisecond))
	}
	if interval > 0 {
		c.keepInterval = uint32(max(1, interval/time.Millisecond))
	}
	if count > 0 {
		c.keepCount = uint8(min(count, 127))
	}
	if !on {
		c.flags &^= fKeepalive
		c.deadlines[dKeepalive] = 0
		return
	}
	c.flags |= fKeepalive
	c.armKeepalive(now)
}

// SetUserTimeout sets how long data may stay unacknowledged, or a window
// closed, before the connection ends; 0 returns to the Config's R2. RFC 9293
// §3.8.3 (MUST-21).
func (c *TCB) SetUserTimeout(d time.Duration) {
	c.userTimeout = uint32(min(d/time.Millisecond, 1<<32-1))
	if d > 0 {
		c.userTimeout = max(1, c.userTimeout)
	}
	if end := c.progress.Add(c.limit()); c.limit() > 0 && c.progress != 0 && c.deadlines[dRetransmit] > end && !c.has(fPersist) {
		c.deadlines[dRetransmit] = end
	}
}

// Outstanding reports whether seq is the number of something that was sent and
// is not yet acknowledged: what an ICMP error that can be believed quotes. RFC
// 5927 §4.
func (c *TCB) Outstanding(seq Seq) bool {
	return c.state != Closed && seq.In(c.snd.UNA, uint32(c.snd.MAX-c.snd.UNA))
}

// ICMPError tells of an ICMP error about this connection; quoted is the
// sequence number in it. In SYN-SENT a hard error ends the attempt. In
// synchronised states any error is only remembered.
//
// Deviation: RFC 9293 §3.9.2.2 (SHLD-26) wants hard errors to abort; RFC 5927
// §4 explains why that must not be so, and Linux agrees.
func (c *TCB) ICMPError(now mono.Time, why Reason, hard bool, quoted Seq) {
	if !c.Outstanding(quoted) {
		return // forged or late
	}
	if c.state == SynSent && hard {
		c.end(now, OnRST, why)
		return
	}
	c.soft = why
	c.events |= EventSoftError
}

// owe notes what must be sent and why.
func (c *TCB) owe(what uint8, why trace.Why) {
	c.pend |= what
	c.why = why
}

// negotiated options and the initial window, once both SYNs are known.
func (c *TCB) openCongestion(now mono.Time) {
	c.beginSearch()
	mss := uint32(c.effMSS())
	iw := initialWindow(c.cfg, mss)
	if c.has(fSYNLost) {
		iw = mss // RFC 5681 §3.1
	}
	c.cc = cc.State{Cwnd: iw, SSThresh: cc.Infinite}
	c.cfg.Congestion.Init(&c.cc, now, mss, uint64(c.id))
	c.growSend(0)
}

// initialWindow is IW in bytes: RFC 6928 §2 when segments are configured,
// else RFC 5681 §3.1.
func initialWindow(cfg *Config, mss uint32) uint32 {
	if n := cfg.InitialWindow; n > 0 {
		return n * mss
	}
	switch {
	case mss > 2190:
		return 2 * mss
	case mss > 1095:
		return 3 * mss
	}
	return 4 * mss
}
