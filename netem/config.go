// Package netem is a bad wire as pure data and code: one direction of a link
// with a rate, a queue, delay, loss, bursts of loss, duplicates, reordering,
// corruption, congestion marks, an MTU, a policer and an off switch.
//
// A Wire holds no packets and reads no clock. It is told that a packet of some
// size is sent now and answers with its Fate: when it arrives, how often, in
// what shape, or why it does not. Whoever drives it (the simulator under
// virtual time, link/netem in real time) keeps the packets until then.
//
// Everything is integers and one seed, so the same calls have the same fates
// on every machine.
package netem

import (
	"fmt"
	"time"
)

// Prob is a probability in parts of 2^32; Always and more are certainty.
type Prob uint64

// Always is the probability of what happens every time.
const Always Prob = 1 << 32

// Percent returns n in a hundred; below 0 is 0, above 100 is Always.
func Percent(n int) Prob { return share(n, 100) }

// PPM returns n in a million; below 0 is 0, above a million is Always.
func PPM(n int) Prob { return share(n, 1_000_000) }

// share returns n of total, rounded to the nearest part.
func share(n, total int) Prob {
	if n <= 0 {
		return 0
	}
	if n >= total {
		return Always
	}
	return (Prob(n)<<32 + Prob(total)/2) / Prob(total)
}

// Config describes one direction of a wire. The zero Config delivers
// everything at once and unharmed. Config is a plain value: it can be compared
// with == and has a text form (ParseConfig, String).
//
// A packet meets the parts in this order: Down, MTU, Policer, queue,
// transmitter (Rate), Loss, Burst, Corrupt, Delay with Jitter, Reorder,
// Duplicate. So a lost packet has used its time on the transmitter, and a
// duplicate has not.
type Config struct {
	// Rate is the speed of the transmitter in bits per second, counted over
	// the bytes that the caller of Send counts; 0 is unlimited.
	Rate int64
	// QueueBytes and QueuePackets bound what waits for the transmitter, not
	// counting the packet that is being sent; who finds no room is dropped
	// (tail drop). 0 is MaxQueueBytes and MaxQueuePackets; nobody waits longer
	// than MaxBacklog. Without a Rate nothing waits.
	QueueBytes, QueuePackets int

	// Delay is the time from the end of transmission to arrival, the least one.
	Delay time.Duration
	// Jitter is added to Delay: a uniform share of it, drawn per packet. A
	// packet waits for the one before it, so order is kept, unless Unordered.
	Jitter    time.Duration
	Unordered bool

	// Loss is the share of packets lost one by one.
	Loss Prob
	// Burst loses packets in runs.
	Burst Burst

	// Duplicate is the share of packets that arrive twice: the second copy at
	// the instant of the first or, if Unordered, with a jitter of its own.
	Duplicate Prob

	// Reorder is the share of packets held back by another MinHold to MaxHold
	// (uniform), so that packets sent later overtake them. Both holds zero
	// mean DefaultMinHold and DefaultMaxHold. A second copy is not held.
	Reorder          Prob
	MinHold, MaxHold time.Duration

	// Corrupt is the share of packets with one bit flipped, anywhere.
	Corrupt Prob

	// CE is the share of packets to be marked Congestion Experienced (RFC 3168
	// §5); CEAbove marks every packet that joins a queue and makes it hold more
	// than that many bytes, 0 is never. The driver marks only packets of an
	// ECN-capable transport.
	CE      Prob
	CEAbove int

	// MTU is the largest packet in bytes; larger ones are dropped without a
	// word, as behind a router that filters ICMP. 0 is no limit but MaxPacket.
	MTU int
	// Policer drops what exceeds a token bucket, before the queue.
	Policer Policer
	// Down is a partition: everything sent is dropped. What was sent before
	// still arrives.
	Down bool
}

// Burst is the loss model of Gilbert and Elliott: a good and a bad state, and
// before each packet a chance to change. The zero Burst is off. With Bad at
// Always a run of losses is 1/Leave packets long on average.
type Burst struct {
	Enter, Leave Prob // chance to go from good to bad, and back
	Bad, Good    Prob // share lost in each state
}

// Policer is a token bucket: what exceeds Rate (bits per second) by more than
// Burst bytes is dropped. Rate 0 is off.
type Policer struct {
	Rate  int64
	Burst int
}

// ForVirtualTime returns c with Delay at least MinDelay and, where Rate is
// unlimited, FastRate. Virtual time moves only when something has to wait, so
// two ends that answer each other at once over a wire without delay or with an
// infinite rate would never let a timer fire.
func (c Config) ForVirtualTime() Config {
	c.Delay = max(c.Delay, MinDelay)
	if c.Rate <= 0 {
		c.Rate = FastRate
	}
	return c
}

// Validate reports the first value outside its bounds: what was given and what
// is allowed. nil means that New and SetConfig use c as it stands.
func (c Config) Validate() error {
	checks := []error{
		inRange("rate", "bit/s", c.Rate, MaxRate),
		inRange("queue", "bytes", int64(c.QueueBytes), MaxQueueBytes),
		inRange("queue", "packets", int64(c.QueuePackets), MaxQueuePackets),
		durationInRange("delay", c.Delay),
		durationInRange("jitter", c.Jitter),
		probInRange("loss", c.Loss),
		probInRange("burst enter", c.Burst.Enter),
		probInRange("burst leave", c.Burst.Leave),
		probInRange("burst loss in the bad state", c.Burst.Bad),
		probInRange("burst loss in the good state", c.Burst.Good),
		probInRange("duplicate", c.Duplicate),
		probInRange("reorder", c.Reorder),
		durationInRange("reorder hold", c.MinHold),
		durationInRange("reorder hold", c.MaxHold),
		probInRange("corrupt", c.Corrupt),
		probInRange("ce", c.CE),
		inRange("ce-above", "bytes", int64(c.CEAbove), MaxQueueBytes),
		inRange("mtu", "bytes", int64(c.MTU), MaxPacket),
		inRange("police rate", "bit/s", c.Policer.Rate, MaxRate),
		inRange("police burst", "bytes", int64(c.Policer.Burst), MaxBurst),
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	if c.MinHold > c.MaxHold {
		return fmt.Errorf("netem: reorder hold from %v to %v: the first must not be longer than the second", c.MinHold, c.MaxHold)
	}
	if c.Policer.Rate > 0 && c.Policer.Burst == 0 {
		return fmt.Errorf("netem: police at %s with a burst of 0 bytes lets nothing through: allowed is a burst of 1 byte to %s",
			formatRate(c.Policer.Rate), formatSize(MaxBurst))
	}
	return nil
}

func inRange(name, unit string, v, limit int64) error {
	if v < 0 || v > limit {
		return fmt.Errorf("netem: %s %d %s: allowed is 0 to %d %s", name, v, unit, limit, unit)
	}
	return nil
}

func durationInRange(name string, d time.Duration) error {
	if d < 0 || d > MaxDelay {
		return fmt.Errorf("netem: %s %v: allowed is 0 to %v", name, d, MaxDelay)
	}
	return nil
}

func probInRange(name string, p Prob) error {
	if p > Always {
		return fmt.Errorf("netem: %s of %d/2^32: allowed is 0%% to 100%%", name, uint64(p))
	}
	return nil
}

// clamped returns c with each value brought to the nearest allowed one and
// the default holds filled in.
func (c Config) clamped() Config {
	c.Rate = clamp(c.Rate, MaxRate)
	c.QueueBytes = clamp(c.QueueBytes, MaxQueueBytes)
	c.QueuePackets = clamp(c.QueuePackets, MaxQueuePackets)
	c.Delay = clamp(c.Delay, MaxDelay)
	c.Jitter = clamp(c.Jitter, MaxDelay)
	c.MaxHold = clamp(c.MaxHold, MaxDelay)
	c.MinHold = clamp(c.MinHold, MaxDelay)
	c.MaxHold = max(c.MaxHold, c.MinHold)
	if c.MaxHold == 0 && c.Reorder > 0 {
		c.MinHold, c.MaxHold = DefaultMinHold, DefaultMaxHold
	}
	c.CEAbove = clamp(c.CEAbove, MaxQueueBytes)
	c.MTU = clamp(c.MTU, MaxPacket)
	c.Policer.Rate = clamp(c.Policer.Rate, MaxRate)
	c.Policer.Burst = clamp(c.Policer.Burst, MaxBurst)
	return c
}

func clamp[T ~int | ~int64](v, limit T) T { return min(max(v, 0), limit) }
