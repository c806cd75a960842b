package engine

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// tokenBucket lets through at most burst events at once and perSecond of them
// in the long run. It is kept as one instant, the time at which the bucket will
// be full again, so that there is nothing to refill and no rounding adds up.
// The zero value lets nothing through.
type tokenBucket struct {
	interval time.Duration // one token
	depth    time.Duration // the time that filling takes, but for one token
	full     mono.Time
}

// newTokenBucket returns a full bucket. perSecond is at most a billion (more
// counts as that), burst at most 1<<20; when either is 0 nothing passes.
func newTokenBucket(perSecond, burst uint32) tokenBucket {
	const maxBurst = 1 << 20 // keeps depth below 13 days
	if perSecond == 0 || burst == 0 {
		return tokenBucket{}
	}
	interval := time.Second / time.Duration(min(perSecond, uint32(time.Second)))
	return tokenBucket{interval: interval, depth: interval * time.Duration(min(burst, maxBurst)-1)}
}

// allow reports whether one more event may pass at now, and if so counts it. A
// refused event costs nothing. A clock that stands still or steps back lets
// nothing extra through.
func (b *tokenBucket) allow(now mono.Time) bool { return b.allowFor(now, 1) }

// allowFor is allow for an event that costs more or less than one token. The
// price is not looked at: the bucket may be overdrawn by what the last event
// costs too much.
func (b *tokenBucket) allowFor(now mono.Time, tokens uint32) bool {
	if b.interval == 0 || b.full.Sub(now) > b.depth {
		return false
	}
	b.full = max(b.full, now).Add(b.interval * time.Duration(tokens))
	return true
}
