package engine

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

const (
	// maxFastOpenPeers is how many servers' cookies are kept. The one that was
	// not used for longest gives way.
	maxFastOpenPeers = 1024

	// fastOpenCookieLife is how long a cookie is kept. The server tells when it
	// is no longer good; this only bounds what is remembered of whom.
	fastOpenCookieLife = 24 * time.Hour

	// fastOpenTries is how many handshakes in a row may go wrong before a server
	// is left in peace, and fastOpenShun for how long then: twice that after
	// each further one, fastOpenShunMost times at most.
	fastOpenTries    = 2
	fastOpenShun     = 2 * time.Minute
	fastOpenShunMost = 9

	// fastOpenPauses bounds how often Config.FastOpenPause doubles.
	fastOpenPauses = 6
)

// fastOpenKey finds a server: a cookie is bound to both addresses.
type fastOpenKey struct{ local, remote wire.Addr }

// fastOpenPeer is what is known of a server: RFC 7413 §4.1.3.
type fastOpenPeer struct {
	fifoLinks
	key     fastOpenKey
	cookie  tcp.FastOpenCookie
	mss     uint16
	fails   uint8
	learned mono.Time // the cookie
	shunned mono.Time // until when nothing is tried, RFC 7413 §4.1.3.1
}

// fastOpenPeers are the servers that connections were opened to with Fast Open,
// in the order of use, and what all paths together have taught.
type fastOpenPeers struct {
	slab   slab[fastOpenPeer]
	used   fifo[fastOpenPeer, *fastOpenPeer]
	index  map[fastOpenKey]uint32
	holes  uint8     // black holes met since the last success
	paused mono.Time // no Fast Open at all before this
}

func newFastOpenPeers() fastOpenPeers {
	return fastOpenPeers{slab: newSlab[fastOpenPeer](maxFastOpenPeers), index: map[fastOpenKey]uint32{}}
}

// find returns what is known of a server, nil if nothing.
func (p *fastOpenPeers) find(k fastOpenKey) *fastOpenPeer {
	i := p.index[k]
	if i == 0 {
		return nil
	}
	p.used.remove(&p.slab, i)
	p.used.pushBack(&p.slab, i)
	return p.slab.at(i)
}

// make is find that never returns nil.
func (p *fastOpenPeers) make(k fastOpenKey) *fastOpenPeer {
	if r := p.find(k); r != nil {
		return r
	}
	if p.slab.len() >= maxFastOpenPeers {
		i := p.used.front()
		delete(p.index, p.slab.at(i).key)
		p.used.remove(&p.slab, i)
		p.slab.free(i)
	}
	i := p.slab.alloc()
	p.index[k] = i
	p.used.pushBack(&p.slab, i)
	r := p.slab.at(i)
	r.key = k
	return r
}

// fastOpenRequest returns how a connection is to be opened with Fast Open, nil
// when it is not: Fast Open is not allowed, or has failed with this server
// lately, or on too many paths.
func (e *Engine) fastOpenRequest(now mono.Time, d *DialConfig, f *Flow) *tcp.FastOpenRequest {
	mode := e.tcp.FastOpen
	p := &e.fast.peers
	if !d.FastOpen || mode&tcp.FastOpenClient == 0 || now < p.paused {
		return nil
	}
	r := &tcp.FastOpenRequest{}
	known := p.find(fastOpenKey{f.Local, f.Remote})
	if known != nil {
		if now < known.shunned {
			return nil
		}
		if now.Sub(known.learned) < fastOpenCookieLife {
			r.Cookie, r.MSS = known.cookie, known.mss
		}
	}
	if mode&tcp.FastOpenClientNoCookie != 0 {
		r.Cookie, r.NoOption = tcp.FastOpenCookie{}, true
	}
	r.Wait = d.FastOpenWait && (r.Cookie.N > 0 || r.NoOption)
	return r
}

// learnFastOpen takes in how a handshake of ours went: RFC 7413 §4.1.3 and
// §4.1.3.1.
func (e *Engine) learnFastOpen(now mono.Time, c *Conn, n *tcp.FastOpenNews) {
	p := &e.fast.peers
	if n.BlackHole {
		e.stats.Count[FastOpenBlackHoles]++
		e.pauseFastOpen(now)
	}
	if !n.Offered || !n.Answered && c.Err() != tcp.ReasonTimeout {
		return
	}
	k := fastOpenKey{c.flow.Local, c.flow.Remote}
	if n.Cookie.N > 0 {
		r := p.make(k)
		r.cookie, r.mss, r.learned = n.Cookie, n.MSS, now
	}
	switch n.Result {
	case tcp.FastOpenAccepted, tcp.FastOpenPartly:
		e.stats.Count[FastOpenActive]++
		p.holes = 0
	case tcp.FastOpenRefused:
		e.stats.Count[FastOpenActiveRefused]++
	}
	good := n.Result == tcp.FastOpenAccepted || n.Result == tcp.FastOpenPartly || n.Cookie.N > 0
	switch r := p.find(k); {
	case good && r != nil:
		r.fails, r.shunned = 0, 0
	case good || n.Result == tcp.FastOpenNoData && r != nil && r.cookie.N > 0 && !n.SYNLost:
		// a server that we have a cookie of need not send another
	default:
		r = p.make(k)
		r.fails = min(r.fails+1, fastOpenTries+fastOpenShunMost)
		if r.fails >= fastOpenTries {
			r.shunned = now.Add(fastOpenShun << (r.fails - fastOpenTries))
		}
	}
}

// pauseFastOpen gives Fast Open up for a while on all paths: something near us,
// most likely, swallows what belongs to connections that use it.
func (e *Engine) pauseFastOpen(now mono.Time) {
	p := &e.fast.peers
	if e.tcp.FastOpenPause <= 0 {
		return
	}
	p.paused = now.Add(e.tcp.FastOpenPause << p.holes)
	p.holes = min(p.holes+1, fastOpenPauses)
}
