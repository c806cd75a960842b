package tcp

import "github.com/handfast/handfast/mono"

// prr is the state of Proportional Rate Reduction in one episode of recovery,
// RFC 9937 §6.1.
type prr struct {
	delivered uint32 // prr_delivered
	out       uint32 // prr_out
	recoverFS uint32 // RecoverFS
	rescued   bool   // the rescue retransmission has left, RFC 6675 §4
}

// startPRR begins an episode. The ACK that shows the loss has been processed,
// so what it SACKed and acknowledged is added to what is outstanding still.
func (c *TCB) startPRR(acked uint32) {
	o := c.out
	fs := uint32(c.snd.MAX-c.snd.UNA) - o.board.sacked + o.news.sacked + acked
	o.prr = prr{recoverFS: max(fs, 1)}
}

// stepPRR sets cwnd for what may leave after an ACK: RFC 9937 §6.2.
func (c *TCB) stepPRR(advanced bool) {
	o := c.out
	p := &o.prr
	delivered := o.news.delivered
	if delivered == 0 {
		return
	}
	p.delivered += delivered
	mss := c.effMSS()
	inFlight, ssthresh := c.inFlight(), c.cc.SSThresh
	send := int64(0)
	if inFlight > ssthresh {
		// Rounded up to a whole segment, as the RFC's figures count, but never
		// beyond what has arrived: half a segment of permission lets nothing out.
		out := (uint64(p.delivered)*uint64(ssthresh) + uint64(p.recoverFS) - 1) / uint64(p.recoverFS)
		out = max(out, min((out+uint64(mss)-1)/uint64(mss)*uint64(mss), uint64(p.delivered)))
		send = int64(out) - int64(p.out)
	} else {
		send = max(int64(p.delivered)-int64(p.out), int64(delivered))
		if advanced && o.news.lost == 0 { // SafeACK
			send += int64(mss)
		}
		send = min(int64(ssthresh-inFlight), send)
	}
	if p.out == 0 && send <= 0 {
		send = int64(mss) // a fast retransmit on entering recovery
	}
	c.cc.Cwnd = inFlight + uint32(max(send, 0))
}

// undo is what is needed to find out that a recovery was spurious, and to take
// it back: RFC 4015, RFC 3522, RFC 3708, RFC 5682.
type undo struct {
	active bool // the last reduction can still be taken back
	resent bool // something was sent again
	stamp  bool // ts is set
	ts     uint32
	needed uint32 // bytes sent again of which no D-SACK has said that they were needless
	from   Seq    // before it nothing was sent again
	until  Seq    // the end of the data that may tell
	frto   frto
	// interrupted is the fast recovery that a timeout came into, which goes on if
	// the timeout was spurious.
	interrupted *interrupted
}

// interrupted is a fast recovery that a timeout ended.
type interrupted struct {
	undo    undo
	cwnd    uint32
	recover Seq
}

// frto is the state of F-RTO with SACK, RFC 5682 §3.
type frto uint8

const (
	frtoOff  frto = iota
	frtoSent      // the timeout's first retransmission is on its way
	frtoNew       // an ACK has come: new data before further retransmissions
)

// unneeded notes that n bytes arrived twice.
func (u *undo) unneeded(n uint32) { u.needed -= min(u.needed, n) }

// resend notes a retransmission.
func (c *TCB) noteResent(now mono.Time, n uint32) {
	u := &c.out.undo
	if !u.active {
		return
	}
	u.needed += n
	u.resent = true
	if !u.stamp && c.has(fTimestamps) {
		u.stamp, u.ts = true, c.tsNow(now)
	}
}

// spurious reports that this ACK shows that nothing was lost: it echoes a
// timestamp from before the first retransmission (Eifel, RFC 3522 §3.2), every
// retransmission was reported as a duplicate (RFC 3708), or after a timeout
// something arrives that was not sent again since (F-RTO, RFC 5682 §3.1).
func (c *TCB) spurious(seg *Segment, advanced bool) bool {
	o := c.out
	u := &o.undo
	if !u.active {
		return false
	}
	// The echo is that of what filled the gap at SND.UNA. If that was sent again
	// before this recovery, the echo says nothing of it.
	switch {
	case advanced && u.stamp && o.news.filled != 0 && int32(c.tsNow(o.news.filled)-u.ts) >= 0 &&
		seg.Opts.Has&optTimestamps != 0 && seg.Opts.TSEcr != 0 && int32(seg.Opts.TSEcr-u.ts) < 0:
		return true
	case o.news.dsack && u.resent && u.needed == 0:
		return true
	}
	return c.has(fLoss) && c.has(fSACK) && u.frto != frtoOff && o.news.original && !o.news.newest.end.Less(c.snd.UNA) &&
		o.news.newest.end.LessEq(c.recover)
}
