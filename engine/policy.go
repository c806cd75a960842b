package engine

import (
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/wire"
)

// policy is what an Engine does where Linux can be told to do otherwise, beyond
// tcp.Config and Limits.
type policy struct {
	cookies         cookiePolicy
	reuse           reusePolicy
	abortOnOverflow bool // a connection that finds no place in the queue of its listener is reset
	ttl4, ttl6      uint8
	mostReceive     int // what a program may ask for by SetBuffers
	mostSend        int
}

// cookiePolicy says when SYN cookies are sent, as Linux' tcp_syncookies.
type cookiePolicy uint8

const (
	cookiesNever cookiePolicy = iota
	cookiesOnOverflow
	cookiesAlways
)

// reusePolicy says which of our flows in TIME-WAIT may be opened again before
// it ends, as Linux' tcp_tw_reuse.
type reusePolicy uint8

const (
	reuseNever reusePolicy = iota
	reuseAlways
	reuseLoopback
)

// largestBuffer bounds what SetBuffers can ask for.
const largestBuffer = 1 << 30

func defaultPolicy() policy {
	return policy{cookies: cookiesOnOverflow, reuse: reuseAlways, ttl4: ip.DefaultTTL, ttl6: ip.DefaultTTL,
		mostReceive: largestBuffer, mostSend: largestBuffer}
}

// mayReuse reports whether a flow of ours in TIME-WAIT may be opened again.
func (p *policy) mayReuse(f *Flow) bool {
	return p.reuse == reuseAlways || p.reuse == reuseLoopback && f.Remote.IsLoopback()
}

// ttl is the TTL or hop limit to use for one that was asked for, 0 if none was.
func (e *Engine) ttl(asked uint8, to *wire.Addr) uint8 {
	switch {
	case asked != 0:
		return asked
	case to.Is4():
		return e.policy.ttl4
	}
	return e.policy.ttl6
}
