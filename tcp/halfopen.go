package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// ListenVerdict is what a listener does with a segment.
type ListenVerdict uint8

// The verdicts of ArriveListen.
const (
	ListenDrop  ListenVerdict = iota
	ListenReset               // answer with ResetFor
	ListenSYN                 // make a HalfOpen
)

// ArriveListen decides about a segment in LISTEN, RFC 9293 §3.10.7.2.
func ArriveListen(seg *Segment) ListenVerdict {
	switch {
	case seg.Has(wire.FlagRST): // first
		return ListenDrop
	case seg.Has(wire.FlagACK): // second
		return ListenReset
	case seg.Has(wire.FlagSYN): // third
		if seg.Has(wire.FlagFIN) {
			return ListenDrop // no honest peer sends it (T-PAR-06)
		}
		return ListenSYN
	}
	return ListenDrop // fourth
}

// HalfOpen is a connection in SYN-RECEIVED that began as a passive OPEN: all
// that must be known before the peer has proved that it receives what we
// send. RFC 4987 §3 calls the collection of them a SYN cache.
//
// Text on a SYN is dropped: it was not acknowledged and comes again (RFC 9293
// §3.10.7.2 lets it be queued; nobody sends it without TCP Fast Open).
type HalfOpen struct {
	ISS, IRS      Seq
	TSRecent      uint32
	TSOffset      uint32
	ID            uint32
	WND           uint16 // the SYN's, not scaled
	OurMSS        uint16 // announced
	peer          PeerOptions
	WScaleOK      bool // our SYN-ACK carried the window scale option
	V6            bool
	Retransmitted bool
	retries       uint8
	ecn           halfECN
	Sent          mono.Time // the SYN-ACK
	Deadline      mono.Time // its retransmission
	challenge     mono.Time
}

// NewHalfOpen returns the record for a SYN that ArriveListen accepted: the
// edge from LISTEN to SYN-RECEIVED.
func NewHalfOpen(now mono.Time, cfg *Config, seg *Segment, p *Params) HalfOpen {
	CheckEdge(Listen, SynReceived, OnSYN)
	h := HalfOpen{ISS: p.ISS, IRS: seg.SEQ, TSOffset: p.TSOffset, ID: p.ID, WND: seg.WND, OurMSS: p.MSS,
		peer: peerOptions(&seg.Opts), V6: p.V6, Sent: now, Deadline: now.Add(cfg.InitialRTO)}
	if seg.Opts.Has&wire.HasTimestamps != 0 {
		h.TSRecent = seg.Opts.TSVal
	}
	h.WScaleOK = h.peer.Has&wire.HasWScale != 0 && !cfg.NoWindowScale
	h.ecn = halfECN{mode: cfg.answerECN(seg), syn: seg.ECN}
	return h
}

// window is the receive window of the SYN-ACK.
func (h *HalfOpen) window(cfg *Config) uint16 {
	mss := uint32(h.OurMSS)
	if h.timestamps(cfg) {
		mss -= min(12, mss-1)
	}
	return synWindow(cfg.ReceiveBuffer, mss)
}

// offered is the receive window in octets once a scaled one has been offered,
// or may have been: rounded up, or it would be less than the SYN-ACK's (RFC
// 7323 §2.4).
func (h *HalfOpen) offered(cfg *Config) uint32 {
	_, scale := h.Scales(cfg)
	unit := uint32(1) << scale
	return (uint32(h.window(cfg)) + unit - 1) &^ (unit - 1)
}

func (h *HalfOpen) timestamps(cfg *Config) bool {
	return h.peer.Has&wire.HasTimestamps != 0 && !cfg.NoTimestamps
}

func (h *HalfOpen) tsNow(now mono.Time) uint32 {
	return uint32(int64(now)/int64(time.Millisecond)) + h.TSOffset
}

// Scales returns the shifts of the peer's windows and of ours in segments
// other than SYNs, RFC 7323 §2.2.
func (h *HalfOpen) Scales(cfg *Config) (snd, rcv uint8) {
	if !h.WScaleOK {
		return 0, 0
	}
	return h.peer.WScale, cfg.windowScale()
}

// SYNACK fills out with our SYN-ACK. An option is answered only if the SYN had
// it: RFC 7323 §2.2 and §3.2, RFC 2018 §2.
func (h *HalfOpen) SYNACK(now mono.Time, cfg *Config, out *Segment) {
	out.Reset()
	out.SEQ, out.ACK = h.ISS, h.IRS+1
	out.Flags = wire.FlagSYN | wire.FlagACK
	out.WND = h.window(cfg)
	o := &out.Opts
	o.MSS, o.Has = h.OurMSS, wire.HasMSS
	if h.WScaleOK {
		o.WScale, o.Has = cfg.windowScale(), o.Has|wire.HasWScale
	}
	if h.peer.Has&wire.HasSACKPermitted != 0 && !cfg.NoSACK {
		o.Has |= wire.HasSACKPermitted
	}
	if h.timestamps(cfg) {
		o.Has |= wire.HasTimestamps
		o.TSVal, o.TSEcr = h.tsNow(now), h.TSRecent
	}
	h.ecn.answer(cfg, out, h.retries, h.Retransmitted)
	fitSYN(o, h.OurMSS)
}

// ACK fills out with a bare ACK in SYN-RECEIVED: the answer to what is
// unacceptable.
func (h *HalfOpen) ACK(now mono.Time, cfg *Config, out *Segment) {
	out.Reset()
	out.SEQ, out.ACK = h.ISS+1, h.IRS+1
	out.Flags = wire.FlagACK
	if h.ecn.mode == FeedbackAccurate {
		out.Flags |= aceStart
	}
	_, scale := h.Scales(cfg)
	out.WND = uint16(min(h.offered(cfg)>>scale, 65535))
	if h.timestamps(cfg) {
		out.Opts.Has |= wire.HasTimestamps
		out.Opts.TSVal, out.Opts.TSEcr = h.tsNow(now), h.TSRecent
	}
}

// HalfOpenVerdict is what comes of a segment for a HalfOpen.
type HalfOpenVerdict uint8

// The verdicts of HalfOpen.Arrive.
const (
	HalfOpenDrop         HalfOpenVerdict = iota
	HalfOpenACK                          // answer with ACK
	HalfOpenSYNACK                       // the SYN came again: answer with SYNACK
	HalfOpenReset                        // answer with ResetFor
	HalfOpenGone                         // back to LISTEN: forget the record
	HalfOpenEstablished                  // TCB.Accept, then Arrive with this segment
	HalfOpenContradicted                 // answer with ResetFor, and back to LISTEN: RFC 9768 §3.1.5
)

// Arrive is RFC 9293 §3.10.7.4 for SYN-RECEIVED after a passive OPEN.
func (h *HalfOpen) Arrive(now mono.Time, cfg *Config, seg *Segment) HalfOpenVerdict {
	nxt := h.IRS + 1
	if seg.Flags&(wire.FlagSYN|wire.FlagACK|wire.FlagRST) == wire.FlagSYN && seg.SEQ == h.IRS {
		if !h.ecn.synAgain(cfg, seg) {
			CheckEdge(SynReceived, Listen, OnSYN)
			return HalfOpenContradicted
		}
		h.Retransmitted = true // Karn: which SYN-ACK will be acknowledged nobody knows
		return HalfOpenSYNACK
	}
	rst := seg.Has(wire.FlagRST)
	wnd := h.offered(cfg)
	length := seg.LEN()
	ok := seg.SEQ.In(nxt, wnd) || length > 0 && (seg.SEQ+Seq(length)-1).In(nxt, wnd)
	if wnd == 0 {
		ok = seg.SEQ == nxt && length == 0
	}
	if seg.Has(wire.FlagSYN) || rst { // text on it does not bring it into the window
		ok = seg.SEQ.In(nxt, wnd) || rst && seg.SEQ == nxt
	}
	if ok && !rst && h.timestamps(cfg) && seg.Opts.Has&wire.HasTimestamps != 0 {
		ok = int32(seg.Opts.TSVal-h.TSRecent) >= 0 // PAWS, RFC 7323 §5.3
	}
	switch {
	case !ok && rst:
		return HalfOpenDrop
	case !ok:
		return h.throttled(now, cfg)
	case rst && seg.SEQ == nxt:
		CheckEdge(SynReceived, Listen, OnRST)
		return HalfOpenGone
	case rst:
		return h.throttled(now, cfg) // RFC 5961 §3
	case seg.Has(wire.FlagSYN):
		CheckEdge(SynReceived, Listen, OnSYN)
		return HalfOpenGone
	case !seg.Has(wire.FlagACK):
		return HalfOpenDrop
	case seg.ACK != h.ISS+1:
		return HalfOpenReset
	}
	return HalfOpenEstablished
}

func (h *HalfOpen) throttled(now mono.Time, cfg *Config) HalfOpenVerdict {
	if now < h.challenge {
		return HalfOpenDrop
	}
	h.challenge = now.Add(cfg.Challenge)
	return HalfOpenACK
}

// Advance is to be called at Deadline: resend says that the SYN-ACK is due
// again, gone that its retransmissions are used up.
func (h *HalfOpen) Advance(now mono.Time, cfg *Config) (resend, gone bool) {
	if now < h.Deadline {
		return false, false
	}
	if h.retries >= cfg.SYNACKRetries {
		CheckEdge(SynReceived, Listen, OnTimeout)
		return false, true
	}
	h.retries++
	h.Retransmitted = true
	h.Deadline = now.Add(min(cfg.InitialRTO<<min(h.retries, 10), cfg.MaxRTO))
	return true, false
}

// Retries is how often the SYN-ACK was sent again.
func (h *HalfOpen) Retries() int { return int(h.retries) }
