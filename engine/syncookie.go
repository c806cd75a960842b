package engine

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// domainCookie is that of the key of SYN cookies.
const domainCookie = 0x636f6f6b

// cookieHash returns the hash that makes a flow's cookies unforgeable.
func (e *Engine) cookieHash(f *Flow) func(uint64) uint64 {
	flow := e.cookieKey.flow24(f)
	return func(x uint64) uint64 { return e.cookieKey.sum24(flow, x) }
}

// sendCookie answers a SYN for which there is no half-open record left: by a
// SYN-ACK whose sequence number says what the record would. RFC 4987 §3.6.
func (e *Engine) sendCookie(now mono.Time, l *Listener, f *Flow, iface *Interface) {
	p := e.params(now, f, iface)
	rec := tcp.NewHalfOpen(now, e.tcp, &e.seg, &p)
	rec.Cookie(now, e.tcp, e.cookieHash(f))
	rec.CookieSYNACK(now, e.tcp, &e.reply)
	// There is no connection and no record, so the events have no number.
	e.traceRecord(now, trace.SegmentIn, trace.WhyNone, 0, tcp.Listen, &e.seg, 0)
	e.traceRecord(now, trace.SegmentOut, trace.WhySYNCookie, 0, tcp.Listen, &e.reply, 0)
	l.cookies = now.Add(2 * tcp.CookiePeriod)
	e.stats.Count[SYNCookiesSent]++
	e.sendSegment(f, &e.reply, iface)
}

// inputCookie handles an ACK that no connection or record wants, if it may
// acknowledge a cookie of a listener: then it becomes a connection. It reports
// false when the segment is to be answered as LISTEN does.
func (e *Engine) inputCookie(now mono.Time, l *Listener, f *Flow, hash uint32, iface *Interface) bool {
	if now >= l.cookies || e.seg.Flags&(wire.FlagSYN|wire.FlagRST|wire.FlagACK) != wire.FlagACK {
		return false
	}
	p := e.params(now, f, iface)
	var rec tcp.HalfOpen
	if !rec.FromCookie(now, e.tcp, &e.seg, &p, e.cookieHash(f)) {
		e.stats.Count[SYNCookiesRefused]++
		return false
	}
	if !e.mayEstablish(l, f) {
		return true // it sends again, and the cookie is still good
	}
	rec.ID = e.connID()
	e.stats.Count[SYNCookiesAccepted]++
	e.traceChange(now, rec.ID, tcp.Listen, tcp.SynReceived, tcp.OnSYN, trace.WhySYNCookie)
	e.open(now, l, &rec, e.tcp, f, hash, iface)
	return true
}
