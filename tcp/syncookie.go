package tcp

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// A SYN cookie is an initial sequence number that holds what a half-open
// record would: RFC 4987 §3.6. 32 bits have room for little, so that the
// options travel in the low bits of our timestamp, which the peer sends back;
// without timestamps there is neither window scaling nor SACK nor the ECN of RFC
// 3168. AccECN needs no place: the ACK tells that it was agreed on, RFC 9768 §5.1.
//
//	cookie     5 bits of the time  3 bits of the MSS  24 bits of a keyed hash
//	timestamp  ... 1 bit of ECN  1 bit of SACK  4 bits of window scale, 15 for none
const (
	cookieMSSBits    = 3
	cookieHashBits   = 24
	cookieOptionBits = 6
	cookieNoScale    = 15
	cookieSACK       = 1 << 4
	cookieECN        = 1 << 5

	// CookiePeriod is the unit of time in a cookie; one is good for at least
	// one and less than two of them.
	CookiePeriod = 64 * time.Second
	// cookiePeriods is after how many of them the count wraps around.
	cookiePeriods = 1 << (32 - cookieHashBits - cookieMSSBits)
)

// cookieMSS are the segment sizes that a cookie can say, by common links.
var cookieMSS = [1 << cookieMSSBits]uint16{64, defaultMSS4, 960, defaultMSS6, 1360, 1440, 1460, 8960}

// Cookie makes the initial sequence number for a record of a SYN and reduces
// the record to what the cookie and a timestamp can hold. hash is a keyed one
// of the flow and of what it is given.
func (h *HalfOpen) Cookie(now mono.Time, cfg *Config, hash func(uint64) uint64) {
	mss := h.peer.MSS
	if h.peer.Has&wire.HasMSS == 0 {
		mss = defaultMSS4
		if h.V6 {
			mss = defaultMSS6
		}
	}
	k := len(cookieMSS) - 1
	for k > 0 && cookieMSS[k] > mss {
		k--
	}
	h.peer.MSS, h.peer.Has = cookieMSS[k], h.peer.Has|wire.HasMSS
	if !h.timestamps(cfg) {
		h.peer.Has &^= wire.HasWScale | wire.HasSACKPermitted
		h.WScaleOK = false
		if h.ecn.mode == FeedbackClassic {
			h.ecn.mode = FeedbackNone
		}
	}
	h.ISS = cookie(h.IRS, uint32(int64(now)/int64(CookiePeriod)), uint32(k), hash)
}

func cookie(irs Seq, period, k uint32, hash func(uint64) uint64) Seq {
	top := period%cookiePeriods<<cookieMSSBits | k
	sum := uint32(hash(uint64(irs) | uint64(top)<<32))
	return Seq(top<<cookieHashBits | sum&(1<<cookieHashBits-1))
}

// CookieSYNACK is SYNACK for a record whose ISS is a cookie, with the options
// in the timestamp. It never runs ahead of the clock, and lags by less than
// 64 ms.
func (h *HalfOpen) CookieSYNACK(now mono.Time, cfg *Config, out *Segment) {
	h.SYNACK(now, cfg, out)
	if out.Opts.Has&wire.HasTimestamps == 0 {
		return
	}
	say := uint32(cookieNoScale)
	if h.WScaleOK {
		say = uint32(h.peer.WScale)
	}
	if out.Opts.Has&wire.HasSACKPermitted != 0 {
		say |= cookieSACK
	}
	if h.ecn.mode == FeedbackClassic {
		say |= cookieECN
	}
	const mask = 1<<cookieOptionBits - 1
	ts := out.Opts.TSVal&^mask | say
	if int32(ts-out.Opts.TSVal) > 0 {
		ts -= mask + 1
	}
	out.Opts.TSVal = ts
}

// FromCookie rebuilds the record from the ACK of a SYN-ACK that was a cookie; p
// is as for NewHalfOpen, with any ISS. It reports false when the cookie is not
// one of ours, for this flow, and fresh.
func (h *HalfOpen) FromCookie(now mono.Time, cfg *Config, seg *Segment, p *Params, hash func(uint64) uint64) bool {
	iss, irs := seg.ACK-1, seg.SEQ-1
	top := uint32(iss) >> cookieHashBits
	k, period := top%(1<<cookieMSSBits), uint32(int64(now)/int64(CookiePeriod))
	if age := (period - top>>cookieMSSBits) % cookiePeriods; age > 1 || iss != cookie(irs, top>>cookieMSSBits, k, hash) {
		return false
	}
	*h = HalfOpen{ISS: iss, IRS: irs, TSOffset: p.TSOffset, ID: p.ID, OurMSS: p.MSS, V6: p.V6, WND: seg.WND,
		peer: PeerOptions{MSS: cookieMSS[k], Has: wire.HasMSS}}
	if seg.Opts.Has&wire.HasTimestamps != 0 && !cfg.NoTimestamps {
		h.TSRecent = seg.Opts.TSVal
		h.peer.Has |= wire.HasTimestamps
		said := seg.Opts.TSEcr
		if scale := said & 15; scale != cookieNoScale && !cfg.NoWindowScale {
			h.peer.WScale, h.peer.Has, h.WScaleOK = uint8(scale), h.peer.Has|wire.HasWScale, true
		}
		if said&cookieSACK != 0 {
			h.peer.Has |= wire.HasSACKPermitted
		}
		if said&cookieECN != 0 && cfg.ECN.accept() != FeedbackNone {
			h.ecn.mode = FeedbackClassic
		}
	}
	h.ecnFromACK(cfg, seg)
	CheckEdge(Listen, SynReceived, OnSYN)
	return true
}
