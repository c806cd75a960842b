package tcp

import (
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
)

// sndSpace is the send sequence space, RFC 9293 §3.3.1 figure 3:
//
//	     1         2          3          4
//	----------|----------|----------|----------
//	       UNA        NXT        UNA+WND
//
//	1 acknowledged   2 sent, not acknowledged   3 may be sent   4 may not yet
//
// MAX is the end of what was ever sent. NXT lies before it only where the
// same octets are to leave once more in their turn: after a probe of a closed
// window, and after a timeout of our SYN. What is lost later goes again without
// moving NXT; the scoreboard says what that is.
type sndSpace struct {
	UNA, NXT, MAX Seq
	WND           uint32 // scaled
	WL1, WL2      Seq
	UP            Seq // octet after the urgent data; valid while urgent
	ISS           Seq
	maxWND        uint32 // largest window ever offered, RFC 5961 §5.2, RFC 9293 §3.8.6.2.1
	MSS           uint16 // what a segment may carry with no options at all; before the peer's SYN, what the path carries
	scale         uint8  // shift of windows received
	urgent        bool
	size          uint32   // bytes that may be queued
	lowat         uint32   // most of them unsent; 0: as many as fit
	queue         sndQueue // UNA onwards
}

// rcvSpace is the receive sequence space, RFC 9293 §3.3.1 figure 4:
//
//	     1          2          3
//	----------|----------|----------
//	       NXT        NXT+WND
//
//	1 received and acknowledged   2 may be received   3 may not yet
//
// Kept is the right edge instead of WND, because it is what must never move
// left (RFC 9293 §3.8.6): WND = edge - NXT.
type rcvSpace struct {
	NXT, edge Seq
	UP        Seq // octet after the urgent data; valid while urgent
	IRS       Seq
	lastACK   Seq    // RCV.NXT as last sent (Last.ACK.sent, RFC 7323 §4.3)
	size      uint32 // bytes that may wait
	MSS       uint16 // what we announced
	peerMSS   uint16 // what the peer announced, or the default
	seen      uint16 // largest segment seen, an estimate of the peer's full size
	scale     uint8  // shift of windows sent
	urgent    bool
	queue     rcvQueue
	ooo       *oooQueue // nil while nothing is out of order
}

// WND is the receive window as last advertised.
func (r *rcvSpace) WND() uint32 {
	if w := r.edge.Sub(r.NXT); w > 0 {
		return uint32(w)
	}
	return 0
}

// Kinds of deadlines of a TCB.
const (
	dRetransmit = iota // retransmission, or probe when persisting
	dDelayedACK
	dKeepalive
	dLinger // FIN-WAIT-2 and TIME-WAIT
	dPace   // pacing lets the next packet go
	numDeadlines
)

// What is owed to the peer, in pend.
const (
	pendRST        = 1 << iota
	pendRetransmit // the first segment that is lost, whatever cwnd says
	pendACK
	pendProbe     // zero-window probe
	pendKeepalive // keepalive probe
	pendOverride  // a silly segment may go out, RFC 9293 §3.8.6.2.1 (4)
	pendTLP       // a tail loss probe, RFC 8985 §7.3
	pendSYN       // our SYN-ACK again, where data has followed it
)

// What dRetransmit is the deadline of, unless persisting: only one of these is
// armed at a time, RFC 8985 §8.
const (
	timerRTO     = 0
	timerProbe   = fTimerProbe   // of a tail loss probe
	timerReorder = fTimerReorder // of RACK
)

// Flags of a connection, in flags.
const (
	fPassive      = 1 << iota // began as a passive OPEN, RFC 9293 §3.5.2 (MUST-11)
	fV6                       // decides the default MSS
	fNagle                    // small segments wait
	fTimestamps               // negotiated
	fSACK                     // negotiated
	fFINQueued                // CLOSE or SHUTDOWN: a FIN follows the last byte
	fRcvClosed                // the application reads no more
	fDetached                 // the application has let go
	fPersist                  // dRetransmit is the persist timer
	fKeepalive                // switched on
	fRecovery                 // in fast recovery
	fLoss                     // a timeout is being repaired, in slow start
	fCwndLimited              // cwnd was what stopped Emit since the last ACK
	fFINReceived              // the peer's FIN was reached in sequence
	fTiming                   // the RTT of our SYN is being measured
	fSYNLost                  // a SYN was retransmitted
	fSYNUnacked               // our SYN is outstanding or not sent yet
	fPartialACK               // a partial ACK was seen in this recovery
	fNoReports                // soft errors are not reported
	fDialogue                 // requests and responses alternate
	fSendSet                  // SetBuffers has set the send buffer
	fReceiveSet               // SetBuffers has set the receive buffer
	fTimerProbe               // dRetransmit is that of a tail loss probe
	fTimerReorder             // or RACK's
	fPlainSYN     = 1 << 31   // a SYN went that does not ask for ECN, after one that did
)

// TCB is a transmission control block, RFC 9293 §3.3.1: one connection. The
// zero value is in CLOSED. A TCB is not safe for concurrent use.
type TCB struct {
	cfg  *Config
	snd  sndSpace
	rcv  rcvSpace
	cc   cc.State
	out  *outstanding // nil while nothing was sent lately
	fo   *fastOpen    // nil without TCP Fast Open
	ecn  *ecnState    // nil: not in use
	in   *incoming    // nil while nothing large was received lately
	path *path        // nil: SND.MSS says all

	deadlines [numDeadlines]mono.Time
	SRTT      time.Duration // RFC 6298; 0 before the first sample
	RTTVAR    time.Duration
	RTO       time.Duration // not backed off
	progress  mono.Time     // since when the oldest unacknowledged octet waits, our SYN too; 0: nothing does
	lastRcv   mono.Time     // last segment from the peer
	lastSnd   mono.Time     // last data sent, RFC 5681 §4.1
	challenge mono.Time     // no challenge ACK before this
	recover   Seq           // RFC 6582
	inflate   uint32        // cwnd on loan during fast recovery, RFC 5681 §3.2

	tsRecent    uint32 // TS.Recent, RFC 7323 §4.3
	tsOffset    uint32
	tsRecentAge mono.Time

	held    uint32 // what the Memory knows of
	pathRTT uint32 // µs, nothing queueing; 0: not known

	keepIdle, keepInterval uint32 // ms
	userTimeout            uint32 // ms; 0: the Config's R2
	id                     uint32

	flags     uint32
	pend      uint8
	arrived   uint8     // LargestArrived, in arrivedUnit
	why       trace.Why // of what is pending
	state     State
	err       Reason
	soft      Reason
	events    Events
	backoff   uint8 // doublings of RTO, or of the probe interval
	expiries  uint8 // timeouts since the peer was last heard
	dupACKs   uint8
	dupOwed   uint8
	keepCount uint8
	keepSent  uint8
	quick     uint8

	fastOpened FastOpenResult

	retransmits uint32
	segsIn      uint32
	segsOut     uint32
	bytesIn     uint64
	bytesOut    uint64
}

// Params are the properties of one connection that its maker knows.
type Params struct {
	ID       uint32 // names the connection in trace events
	ISS      Seq    // initial send sequence number, RFC 6528
	MSS      uint16 // announced and the most we send: the path's MTU less IP and TCP header, RFC 6691
	TSOffset uint32 // of the timestamp clock, RFC 7323 §7.1
	V6       bool
	FastOpen *FastOpenRequest // Open: TCP Fast Open is wanted; nil: it is not
}

// Events are things that happened since TakeEvents was last called.
type Events uint16

// The events.
const (
	EventUrgent    Events = 1 << iota // the urgent pointer is new or has advanced, RFC 9293 §3.8.5
	EventR1                           // R1 reached: IP should look for another gateway, RFC 9293 §3.8.3
	EventSoftError                    // SoftErr has something new
	EventReadable                     // in-order data, EOF or an error arrived
	EventWritable                     // room to queue appeared, or an error
	EventState                        // the state changed
	EventFastOpen                     // TakeFastOpenNews has something new
	EventECN                          // both ends agreed to use ECN or AccECN
	EventMarked                       // the window was reduced because of congestion marks
	EventTooBig                       // TakeTooBig has something
	EventMTUProbe                     // a probe of the path was sent, RFC 4821
	EventPathFound                    // SearchResult has something new
	EventBlackHole                    // full-sized segments seem to vanish, RFC 4821 §7.7
)

// Reason says why a connection ended, or what troubles it.
type Reason uint8

// The reasons.
const (
	ReasonNone            Reason = iota
	ReasonRefused                // RST in answer to our SYN
	ReasonReset                  // RST from the peer
	ReasonTimeout                // R2 reached, RFC 9293 §3.8.3
	ReasonUserTimeout            // the application's own limit
	ReasonKeepalive              // no answer to keepalive probes
	ReasonAborted                // ABORT, or CLOSE with data unread
	ReasonClosed                 // CLOSE before the connection existed
	ReasonUnreachable            // ICMP: network or host unreachable
	ReasonPortUnreachable        // ICMP: port unreachable
	ReasonProtoUnreachable
	ReasonTimeExceeded
	ReasonParameterProblem
	ReasonRetransmitting // soft: R1 reached
	ReasonMemory         // evicted under memory pressure
)

var reasonTexts = [...]string{"none", "connection refused", "connection reset by peer", "timed out",
	"user timeout", "keepalive timeout", "aborted", "closed", "host unreachable", "port unreachable",
	"protocol unreachable", "time to live exceeded", "parameter problem", "retransmitting", "out of memory"}

// String describes the reason in a few words.
func (r Reason) String() string { return reasonTexts[r] }

// State returns the connection's state.
func (c *TCB) State() State { return c.state }

// Err returns why the connection ended, ReasonNone as long as it did not or
// when it ended by FINs of both sides.
func (c *TCB) Err() Reason { return c.err }

// SoftErr returns the last trouble that did not end the connection, and
// forgets it. RFC 9293 §3.9.1.8.
func (c *TCB) SoftErr() Reason {
	r := c.soft
	c.soft = ReasonNone
	if c.has(fNoReports) {
		return ReasonNone
	}
	return r
}

// SetErrorReports says whether trouble that does not end the connection is
// reported, by EventSoftError and SoftErr; it is unless switched off. RFC 9293
// §3.9.1.8 (SHLD-20).
func (c *TCB) SetErrorReports(on bool) {
	c.flags &^= fNoReports
	if !on {
		c.flags |= fNoReports
	}
}

// TakeEvents returns what happened since the last call, and forgets it.
func (c *TCB) TakeEvents() Events {
	e := c.events
	c.events = 0
	if c.has(fNoReports) {
		e &^= EventSoftError
	}
	return e
}

// Deadline returns when Advance must be called next, exactly; 0 if nothing
// waits for the clock.
func (c *TCB) Deadline() mono.Time {
	d := c.deadlines[0]
	for _, e := range c.deadlines[1:] {
		if e != 0 && (d == 0 || e < d) {
			d = e
		}
	}
	return d
}

func (c *TCB) has(f uint32) bool { return c.flags&f != 0 }

// timer is what dRetransmit is for, unless persisting.
func (c *TCB) timer() uint32 { return c.flags & (fTimerProbe | fTimerReorder) }

func (c *TCB) setTimer(t uint32) { c.flags = c.flags&^(fTimerProbe|fTimerReorder) | t }

// setState moves to another state along an edge of the table.
func (c *TCB) setState(now mono.Time, to State, on Trigger) { c.change(now, to, on, trace.WhyNone) }

// change is setState with a reason, where the trigger alone does not say it.
func (c *TCB) change(now mono.Time, to State, on Trigger, why trace.Why) {
	CheckEdge(c.state, to, on)
	if c.cfg.Trace != nil {
		c.tell(&trace.Event{At: now, Conn: uint64(c.id), Kind: trace.StateChange,
			From: uint8(c.state), To: uint8(to), On: uint8(on), Why: why})
	}
	c.state = to
	c.events |= EventState
}

// end closes the connection for good: the queues are flushed, the timers
// stopped, and err is what the application will be told. A pending RST still
// goes out.
func (c *TCB) end(now mono.Time, on Trigger, err Reason) {
	c.change(now, Closed, on, c.endWhy(on, err))
	c.err = err
	c.pend &= pendRST
	c.deadlines = [numDeadlines]mono.Time{}
	c.snd.queue.release()
	if c.has(fRcvClosed) || err != ReasonNone && !c.keepsUnread(on) {
		if c.rcv.queue.n > 0 {
			c.flags &^= fFINReceived // what is dropped was not read to its end
		}
		c.rcv.queue.release()
	}
	c.dropOutOfOrder()
	c.dropOutstanding()
	c.dupOwed = 0
	c.progress = 0
	if c.fo != nil && c.has(fSYNUnacked) {
		c.events |= EventFastOpen
	}
	c.events |= EventReadable | EventWritable
	c.account()
}

func (c *TCB) dropOutOfOrder() {
	if c.rcv.ooo != nil {
		c.rcv.ooo.release()
		c.rcv.ooo = nil
	}
}

// keepsUnread reports whether what arrived in order can still be read after
// the connection ended by a reset or a timeout, as with a kernel's socket.
//
// Deviation: RFC 9293 §3.10.7.4 flushes all queues; the Linux profile does as
// Linux, because programs expect the answer that came before the reset.
func (c *TCB) keepsUnread(on Trigger) bool {
	return c.cfg.Profile == ProfileLinux && (on == OnRST || on == OnTimeout)
}

// tsNow is the timestamp clock: milliseconds, RFC 7323 §5.4.
func (c *TCB) tsNow(now mono.Time) uint32 {
	return uint32(int64(now)/int64(time.Millisecond)) + c.tsOffset
}

// optionLen is the room that options take in every segment with data.
func (c *TCB) optionLen() int {
	if c.has(fTimestamps) {
		return 12
	}
	return 0
}

// effMSS is how much data fits into one segment, Eff.snd.MSS of RFC 9293
// §3.7.1.
func (c *TCB) effMSS() uint32 { return uint32(max(int(c.snd.MSS)-c.optionLen(), 1)) }

// flight is FlightSize, RFC 5681 §2: sent and not acknowledged.
func (c *TCB) flight() uint32 { return uint32(c.snd.NXT - c.snd.UNA) }

// sndEnd is the sequence number after the last byte queued (where a FIN goes).
func (c *TCB) sndEnd() Seq { return c.snd.queue.end }

// finSent reports whether our FIN has been sent at least once.
func (c *TCB) finSent() bool { return c.has(fFINQueued) && c.sndEnd().Less(c.snd.MAX) }

// finAcked reports whether the peer has acknowledged our FIN.
func (c *TCB) finAcked() bool { return c.has(fFINQueued) && c.sndEnd().Less(c.snd.UNA) }
