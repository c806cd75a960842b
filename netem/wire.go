package netem

import (
	"math/bits"
	"time"

	"github.com/handfast/handfast/mono"
)

// bitNanos is bits per byte times nanoseconds per second: bytes times this,
// divided by bits per second, is nanoseconds.
const bitNanos = 8 * uint64(time.Second)

// Wire is one direction of a link. It remembers until when the transmitter is
// busy, who waits for it, the policer's bucket and the state of the burst
// model. A Wire is not safe for concurrent use.
type Wire struct {
	cfg   Config
	seed  uint64
	n     uint64    // packets sent so far: the current one's number
	tx    line      // the transmitter
	pol   line      // the policer: until is when its bucket is full again
	queue queue     // packets whose transmission has not begun
	last  mono.Time // latest arrival of a packet that was not held
	bad   bool      // the burst model's state
	count Counters
}

// New returns a wire. The same Config, seed and calls give the same fates.
// A seed decides the luck of the n-th packet in each respect separately: a
// change of one probability leaves the other draws as they were.
func New(cfg Config, seed uint64) *Wire {
	return &Wire{cfg: cfg.clamped(), seed: mix(seed)}
}

// Config returns the configuration in use: bounds applied, defaults filled in.
func (w *Wire) Config() Config { return w.cfg }

// SetConfig changes the wire from the next packet on. Packets sent before keep
// their fate, so those that wait leave at the old rate, and without Unordered
// the next packet still arrives after them, even if Delay became shorter.
func (w *Wire) SetConfig(cfg Config) {
	cfg = cfg.clamped()
	if cfg.Rate != w.cfg.Rate {
		w.tx.frac = 0 // counted in parts of the old rate
	}
	if cfg.Policer.Rate != w.cfg.Policer.Rate {
		w.pol = line{}
	}
	if cfg.Burst != w.cfg.Burst {
		w.bad = false
	}
	w.cfg = cfg
}

// Counters returns a copy of the counters.
func (w *Wire) Counters() Counters { return w.count }

// Queued returns how many packets and bytes wait for the transmitter at now.
func (w *Wire) Queued(now mono.Time) (packets, bytes int) {
	w.queue.leave(now)
	return w.queue.n, w.queue.bytes
}

// Fate is what becomes of a packet.
type Fate struct {
	// At[:N] are the instants of delivery, not sorted: N is 0 if the packet is
	// dropped, 2 if it is duplicated. Packets with equal instants arrive in
	// the order in which they were sent.
	At [MaxCopies]mono.Time
	N  int
	// Reason says why the packet was dropped; Delivered if N > 0.
	Reason Reason
	// Corrupt asks the driver to flip bit Bit (0 is the highest bit of the
	// first byte) in every copy delivered, in bytes that nobody else sees.
	Corrupt bool
	Bit     int
	// CE asks the driver to mark every copy Congestion Experienced if its
	// transport is ECN-capable (RFC 3168 §5).
	CE bool
	// Held reports that the first copy was held back for reordering.
	Held bool
}

// Send decides the fate of a packet of size bytes that is sent at now. now
// must not go backwards; where it does, the wire behaves as if it stood still
// wherever that matters.
func (w *Wire) Send(now mono.Time, size int) Fate {
	size = max(size, 0)
	w.n++
	w.count.Packets++
	w.count.Bytes += uint64(size)
	reason := w.admit(now, size)
	var f Fate
	if reason == Delivered {
		depart, ce := w.transmit(now, size)
		if reason = w.lose(); reason == Delivered {
			w.arrive(&f, depart)
			w.harm(&f, size, ce)
			w.count.Passed++
			return f
		}
	}
	w.count.Dropped[reason]++
	f.Reason = reason
	return f
}

// admit runs the checks before the transmitter.
func (w *Wire) admit(now mono.Time, size int) Reason {
	c := &w.cfg
	switch {
	case c.Down:
		return DroppedDown
	case size > MaxPacket, c.MTU > 0 && size > c.MTU:
		return DroppedMTU
	case c.Policer.Rate > 0 && !w.conforms(now, size):
		return DroppedPoliced
	}
	wait := w.tx.until.Sub(now)
	if wait <= 0 {
		return Delivered
	}
	w.queue.leave(now)
	if wait > MaxBacklog ||
		w.queue.bytes+size > orElse(c.QueueBytes, MaxQueueBytes) ||
		w.queue.n+1 > orElse(c.QueuePackets, MaxQueuePackets) {
		return DroppedQueue
	}
	return Delivered
}

// orElse returns the bound, or the default if there is none.
func orElse(bound, def int) int {
	if bound == 0 {
		return def
	}
	return bound
}

// conforms takes size bytes out of the policer's bucket if they are there. The
// bucket is kept as the instant at which it is full again.
func (w *Wire) conforms(now mono.Time, size int) bool {
	p := &w.cfg.Policer
	after := w.pol
	after.add(now, size, p.Rate)
	if uint64(after.until.Sub(now)) > uint64(p.Burst)*bitNanos/uint64(p.Rate) {
		return false
	}
	w.pol = after
	return true
}

// transmit puts the packet behind those that wait and returns the instant of
// its last bit, and whether the queue it joined is long enough for a mark.
func (w *Wire) transmit(now mono.Time, size int) (depart mono.Time, ce bool) {
	if w.tx.until > now {
		w.queue.join(w.tx.until, size)
		w.count.QueuePeak = max(w.count.QueuePeak, uint64(w.queue.bytes))
		ce = w.cfg.CEAbove > 0 && w.queue.bytes > w.cfg.CEAbove
	}
	w.tx.add(now, size, w.cfg.Rate)
	return w.tx.until, ce
}

// lose draws for the two kinds of loss. The burst model moves with every
// packet on the wire, also with those that are lost otherwise.
func (w *Wire) lose() Reason {
	c := &w.cfg
	if c.Burst != (Burst{}) {
		lost := c.Burst.Good
		if w.bad {
			w.bad = !w.hit(rollLeave, c.Burst.Leave)
		} else {
			w.bad = w.hit(rollEnter, c.Burst.Enter)
		}
		if w.bad {
			lost = c.Burst.Bad
		}
		if w.hit(rollBurst, lost) {
			return DroppedBurst
		}
	}
	if w.hit(rollLoss, c.Loss) {
		return DroppedLoss
	}
	return Delivered
}

// arrive fills in when the copies of a packet that departs at depart arrive.
func (w *Wire) arrive(f *Fate, depart mono.Time) {
	c := &w.cfg
	at := depart.Add(c.Delay + w.upTo(rollJitter, c.Jitter))
	if !c.Unordered {
		at = max(at, w.last)
	}
	f.N, f.At[0] = 1, at
	if w.hit(rollReorder, c.Reorder) {
		f.Held = true
		f.At[0] = at.Add(c.MinHold + w.upTo(rollHold, c.MaxHold-c.MinHold))
		w.count.Held++
	} else {
		w.last = max(w.last, at)
	}
	if w.hit(rollDuplicate, c.Duplicate) {
		if c.Unordered {
			at = depart.Add(c.Delay + w.upTo(rollCopyJitter, c.Jitter))
		}
		f.N, f.At[1] = 2, at
		w.last = max(w.last, at)
		w.count.Duplicated++
	}
}

// harm fills in what happens to the bytes.
func (w *Wire) harm(f *Fate, size int, ce bool) {
	if size > 0 && w.hit(rollCorrupt, w.cfg.Corrupt) {
		f.Corrupt = true
		f.Bit = int(w.below(rollBit, uint64(size)*8))
		w.count.Corrupted++
	}
	if ce || w.hit(rollCE, w.cfg.CE) {
		f.CE = true
		w.count.Marked++
	}
}

// line is something that takes a time per byte: it is busy until an instant,
// and a fraction of a nanosecond (frac/rate) longer. Without the fraction a
// long run of packets would be faster than the rate says.
type line struct {
	until mono.Time
	frac  uint64
}

// add appends size bytes at rate, or none of time if rate is 0.
func (l *line) add(now mono.Time, size int, rate int64) {
	if l.until < now {
		l.until, l.frac = now, 0
	}
	if rate > 0 {
		t := uint64(size)*bitNanos + l.frac
		l.until += mono.Time(t / uint64(rate))
		l.frac = t % uint64(rate)
	}
}

// The draws made for a packet. Each has its own number, so that none depends
// on which others were needed.
const (
	rollLoss = iota
	rollEnter
	rollLeave
	rollBurst
	rollJitter
	rollReorder
	rollHold
	rollDuplicate
	rollCopyJitter
	rollCorrupt
	rollBit
	rollCE
	numRolls = 16
)

// hit reports whether the current packet draws below p.
func (w *Wire) hit(roll uint64, p Prob) bool {
	return p > 0 && Prob(w.draw(roll)>>32) < p
}

// upTo draws a duration from 0 to d, both included.
func (w *Wire) upTo(roll uint64, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.below(roll, uint64(d)+1))
}

// below draws a number from 0 to n-1.
func (w *Wire) below(roll, n uint64) uint64 {
	hi, _ := bits.Mul64(w.draw(roll), n)
	return hi
}

// draw returns 64 random bits: element n*numRolls+roll of the SplitMix64
// sequence that starts at the seed, which can be read at any place.
func (w *Wire) draw(roll uint64) uint64 {
	return mix(w.seed + (w.n*numRolls+roll)*0x9e3779b97f4a7c15)
}

// mix is the finalizer of SplitMix64: it maps equal inputs to equal outputs
// and close ones to unrelated ones.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
