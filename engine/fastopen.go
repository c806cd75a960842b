package engine

import (
	"encoding/binary"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// The domain of the keys of Fast Open cookies, when nobody sets others.
const domainFastOpen = 0x74666f

const (
	// fastOpenCookieBytes is how long our cookies are.
	fastOpenCookieBytes = 8

	// fastOpenKeyLife is how long keys that nobody has set are used for new
	// cookies; a cookie is good for at least one and less than two of them. RFC
	// 7413 §4.1.2 wants cookies to expire.
	fastOpenKeyLife = 12 * time.Hour

	// fastOpenResetLife is how long a reset connection still counts as pending:
	// it was opened by somebody else in the name of who sent the reset, or so it
	// may be. RFC 7413 §5.1; a minute as in Linux.
	fastOpenResetLife = time.Minute
)

// fastOpen is what an Engine keeps of TCP Fast Open, RFC 7413.
type fastOpen struct {
	secret  sipKey    // the keys that nobody has set are derived from it
	keys    [2]sipKey // of new cookies, and of those that are good still
	fixed   bool      // keys were set, and do not expire
	period  int64     // of the derived keys
	pending map[*Conn]*Listener
	peers   fastOpenPeers
}

func newFastOpen(secret sipKey) fastOpen {
	return fastOpen{secret: secret.derive(domainFastOpen), period: -1, pending: map[*Conn]*Listener{}, peers: newFastOpenPeers()}
}

// SetFastOpenKeys sets the keys of the cookies that this host gives as a
// server: new ones are made with key; those made with backup are good as well,
// and replaced by new ones. Several hosts that answer for one address must share
// keys (RFC 7413 §6.3). A cookie is what Linux makes of the same keys (sysctl
// net.ipv4.tcp_fastopen_key). Keys that are set do not expire by themselves.
// Without them they are random, and change twice a day.
func (e *Engine) SetFastOpenKeys(key, backup [16]byte) {
	e.fast.keys, e.fast.fixed = [2]sipKey{newSipKey(key), newSipKey(backup)}, true
}

// currentKeys returns the keys of now and of before.
func (x *fastOpen) currentKeys(now mono.Time) *[2]sipKey {
	if p := int64(now) / int64(fastOpenKeyLife); !x.fixed && p != x.period {
		x.period = p
		x.keys = [2]sipKey{x.secret.derive(uint64(p) + 1), x.secret.derive(uint64(p))}
	}
	return &x.keys
}

// addrs24 is SipHash-2-4 of the addresses of a flow, the peer's first.
func (k sipKey) addrs24(f *Flow) uint64 {
	s := k.start()
	if f.is4() {
		a, b := f.Remote[12:], f.Local[12:]
		s = s.word2(uint64(binary.LittleEndian.Uint32(a)) | uint64(binary.LittleEndian.Uint32(b))<<32)
		return s.word2(sipLength(4+4, 0)).final4()
	}
	s = s.word2(binary.LittleEndian.Uint64(f.Remote[:8])).word2(binary.LittleEndian.Uint64(f.Remote[8:]))
	s = s.word2(binary.LittleEndian.Uint64(f.Local[:8])).word2(binary.LittleEndian.Uint64(f.Local[8:]))
	return s.word2(sipLength(16+16, 0)).final4()
}

// fastOpenCookie is the cookie for a flow's client: bound to its address and
// ours, and not to be made without the key. RFC 7413 §4.1.2.
func (k sipKey) fastOpenCookie(f *Flow) (c tcp.FastOpenCookie) {
	binary.LittleEndian.PutUint64(c.B[:], k.addrs24(f))
	c.N = fastOpenCookieBytes
	return c
}

// freshCookie makes a cookie with the key of now.
func (e *Engine) freshCookie(now mono.Time, f *Flow) tcp.FastOpenCookie {
	return e.fast.currentKeys(now)[0].fastOpenCookie(f)
}

// fastOpenVerdict is what a listener does about Fast Open on a SYN.
type fastOpenVerdict uint8

const (
	fastOpenNo     fastOpenVerdict = iota // a plain handshake
	fastOpenGive                          // a plain handshake with a cookie on the SYN-ACK
	fastOpenTake                          // the data is taken
	fastOpenRenew                         // the data is taken, and the SYN-ACK brings a new cookie
	fastOpenDrowns                        // as fastOpenNo: too many are pending
)

// SetFastOpen sets how many connections that were opened by data on their SYN
// may wait for the ACK of our SYN-ACK: RFC 7413 §4.2.2, PendingFastOpenRequests.
// 0 refuses Fast Open, as it is at the start unless ListenConfig or the Config
// say otherwise; at most Limits.AcceptBacklog.
func (l *Listener) SetFastOpen(n int) {
	l.fastOpen = min(max(n, 0), l.e.limits.AcceptBacklog)
}

// FastOpenPending returns how many connections wait so, those that were reset
// lately among them.
func (l *Listener) FastOpenPending() int { return l.pending + len(l.resets) }

// fastOpenRoom forgets the resets of long ago, and reports whether one more connection
// may wait.
func (l *Listener) fastOpenRoom(now mono.Time) bool {
	n := 0
	for n < len(l.resets) && now.Sub(l.resets[n]) >= fastOpenResetLife {
		n++
	}
	l.resets = l.resets[:copy(l.resets, l.resets[n:])]
	return l.FastOpenPending() < l.fastOpen
}

// judgeFastOpen decides about the SYN at hand.
func (e *Engine) judgeFastOpen(now mono.Time, l *Listener, f *Flow) fastOpenVerdict {
	mode := e.tcp.FastOpen
	option := e.seg.Opts.Has&wire.HasFastOpen != 0
	if l.fastOpen == 0 || mode&tcp.FastOpenServer == 0 {
		return fastOpenNo
	}
	free := mode&tcp.FastOpenServerNoCookie != 0 && e.seg.Data.Len() > 0
	switch {
	case !option && !free:
		return fastOpenNo
	case !l.fastOpenRoom(now):
		return fastOpenDrowns
	case free:
		return fastOpenTake
	case e.seg.Opts.NFastOpen == 0:
		return fastOpenGive
	}
	got := tcp.FastOpenCookie{B: e.seg.Opts.FastOpen, N: e.seg.Opts.NFastOpen}
	clear(got.B[got.N:])
	keys := e.fast.currentKeys(now)
	switch got {
	case keys[0].fastOpenCookie(f):
		return fastOpenTake
	case keys[1].fastOpenCookie(f):
		return fastOpenRenew
	}
	return fastOpenGive
}

// countFastOpen counts a verdict.
func (e *Engine) countFastOpen(v fastOpenVerdict) {
	switch {
	case v == fastOpenDrowns:
		e.stats.Count[FastOpenOverflow]++
	case v == fastOpenGive && e.seg.Opts.NFastOpen == 0:
		e.stats.Count[FastOpenCookieRequests]++
	case v == fastOpenGive:
		e.stats.Count[FastOpenRefusals]++
	case v == fastOpenRenew:
		e.stats.Count[FastOpenRenewals]++
		e.stats.Count[FastOpenPassive]++
	case v == fastOpenTake:
		e.stats.Count[FastOpenPassive]++
	}
}

// acceptFastOpen makes a connection of the SYN at hand at once. RFC 7413 §4.2.2.
func (e *Engine) acceptFastOpen(now mono.Time, l *Listener, f *Flow, hash uint32, iface *Interface, v fastOpenVerdict, old *tcp.TimeWaitRecord) {
	p := e.params(now, f, iface)
	if old != nil {
		p.ISS = old.NextISS(p.ISS)
	}
	c := e.newConn()
	p.ID = c.id
	rec := tcp.NewHalfOpen(now, e.tcp, &e.seg, &p)
	e.traceRecord(now, trace.SegmentIn, trace.WhyNone, p.ID, tcp.Listen, &e.seg, 0)
	e.traceChange(now, p.ID, tcp.Listen, tcp.SynReceived, tcp.OnSYN, trace.WhyFastOpen)
	var fresh tcp.FastOpenCookie
	if v == fastOpenRenew {
		fresh = e.freshCookie(now, f)
	}
	c.flow, c.hash, c.iface, c.rcvTOS = *f, hash, uint16(iface.ID), e.dgram.TOS
	c.TCB.AcceptFastOpen(now, e.tcp, &rec, &e.seg, fresh)
	l.pending++
	e.fast.pending[c] = l
	e.admit(c, l)
}

// fastOpenNews takes in what a connection has learnt.
func (e *Engine) fastOpenNews(now mono.Time, c *Conn) {
	n := c.TakeFastOpenNews()
	if l := e.fast.pending[c]; l != nil {
		delete(e.fast.pending, c)
		l.pending--
		if c.Err() == tcp.ReasonReset && !n.Answered && len(l.resets) < l.fastOpen {
			l.resets = append(l.resets, now)
		}
		return
	}
	if c.status&activeOpen != 0 {
		e.learnFastOpen(now, c, &n)
	}
}
