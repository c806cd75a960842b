package icmp

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// The defaults of LimiterConfig, as in Linux.
const (
	// ErrorsPerSecond is how many errors are sent to everyone together.
	ErrorsPerSecond = 1000
	// ErrorBurst is how many of them may come at once.
	ErrorBurst = 50
	// TargetInterval is the least time between two errors to one target.
	TargetInterval = time.Second
	// limiterSlots is how many targets are remembered.
	limiterSlots = 512
	// limiterWays is how many slots a target may be in.
	limiterWays = 4
	// maxRate bounds both sides of the bucket, so that times do not overflow.
	maxRate = 1000000
	// maxSpend is one more than the most that an error may cost: a random 0, 1
	// or 2 tokens, 1 on average.
	maxSpend = 3
)

// LimiterConfig says how many errors are sent. A zero field means the default;
// a negative Interval, that single targets are not limited.
type LimiterConfig struct {
	PerSecond int           // at most 1,000,000
	Burst     int           // at most 1,000,000
	Interval  time.Duration // per target
}

// Limiter is the budget for ICMP errors, which RFC 4443 §2.4 f demands for IPv6
// and RFC 1812 §4.3.2.8 suggests for IPv4: a token bucket for everyone, and one
// error per interval for each target.
//
// The bucket is no oracle (SAD DNS, CVE-2020-25705): an error costs a random
// number of tokens, so that one who counts the errors that are left learns
// nothing about what another one got; and a target that has had its own share
// costs nothing. Targets are found by a keyed hash; when too many fall together
// the one served longest ago is forgotten, which can only send more, within the
// bucket's bounds.
type Limiter struct {
	c      LimiterConfig
	random func() uint64
	k0, k1 uint64
	tokens int       // at most Burst; -1 if the last error cost more than there was
	filled mono.Time // up to when tokens have been added
	slots  [limiterSlots]targetSlot
}

// targetSlot is one target; at 0 it is empty.
type targetSlot struct {
	tag uint64
	at  mono.Time
}

// NewLimiter returns a Limiter with a full bucket. random returns unpredictable
// numbers; it is called once per error sent.
func NewLimiter(c LimiterConfig, random func() uint64) *Limiter {
	c = c.filled()
	return &Limiter{c: c, random: random, k0: random(), k1: random() | 1, tokens: c.Burst}
}

// filled returns c with defaults where a field is 0 and no field out of bounds.
func (c LimiterConfig) filled() LimiterConfig {
	if c.PerSecond == 0 {
		c.PerSecond = ErrorsPerSecond
	}
	if c.Burst == 0 {
		c.Burst = ErrorBurst
	}
	if c.Interval == 0 {
		c.Interval = TargetInterval
	}
	c.PerSecond = max(1, min(c.PerSecond, maxRate))
	c.Burst = max(1, min(c.Burst, maxRate))
	return c
}

// Config returns the bounds in force.
func (l *Limiter) Config() LimiterConfig { return l.c }

// SetConfig changes the bounds; what has been sent already counts.
func (l *Limiter) SetConfig(c LimiterConfig) {
	l.c = c.filled()
	l.tokens = min(l.tokens, l.c.Burst)
}

// Allow reports whether an error may be sent to target now, and if so takes it
// off the budget.
func (l *Limiter) Allow(now mono.Time, target *wire.Addr) bool {
	slot, tag := l.find(target)
	if slot.tag == tag && slot.at.IsSet() && now.Sub(slot.at) < l.c.Interval {
		return false
	}
	l.fill(now)
	if l.tokens <= 0 {
		return false
	}
	l.tokens -= int(l.random() % maxSpend)
	*slot = targetSlot{tag: tag, at: now}
	return true
}

// fill adds the tokens that the time since the last call is worth.
func (l *Limiter) fill(now mono.Time) {
	if !l.filled.IsSet() {
		l.filled = now
	}
	every := time.Second / time.Duration(l.c.PerSecond)
	elapsed := now.Sub(l.filled)
	if elapsed < every {
		return
	}
	if elapsed >= every*time.Duration(l.c.Burst) {
		l.tokens, l.filled = l.c.Burst, now
		return
	}
	n := int(elapsed / every)
	l.tokens = min(l.c.Burst, l.tokens+n)
	l.filled = l.filled.Add(every * time.Duration(n))
}

// find returns the target's slot, or the one of its set to use for it, and the
// tag that a slot of the target has.
func (l *Limiter) find(target *wire.Addr) (*targetSlot, uint64) {
	tag := l.hash(target)
	set := l.slots[tag%(limiterSlots/limiterWays)*limiterWays:][:limiterWays]
	oldest := &set[0]
	for k := range set {
		if set[k].tag == tag {
			return &set[k], tag
		}
		if set[k].at < oldest.at {
			oldest = &set[k]
		}
	}
	return oldest, tag
}

// hash mixes an address with the key, folding 128-bit products: it need not
// withstand more, since nobody sees its results.
func (l *Limiter) hash(a *wire.Addr) uint64 {
	hi, lo := bits.Mul64(binary.BigEndian.Uint64(a[:8])^l.k0, binary.BigEndian.Uint64(a[8:])^l.k1)
	hi, lo = bits.Mul64(hi^lo^l.k0, l.k1)
	return hi ^ lo
}
