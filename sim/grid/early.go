package grid

import (
	"fmt"
	"time"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/sim"
)

// Recovered is how transfers fared that met heavy loss at their beginning.
type Recovered struct {
	Seeds, Late int           // how many there were, and took longer than 10 s
	Longest     time.Duration // from ESTABLISHED to the last byte
	LongestSeed uint64
	Entries     int // most recoveries and timeouts in one transfer after the loss ended
	EntriesSeed uint64
}

// The scenario of EarlyLoss and what is wanted of it.
const (
	earlyLossBytes  = 10_000_000
	earlyLossTime   = 2 * time.Second
	earlyLossLimit  = 10 * time.Second
	earlyLossEvents = 10
	earlyLossGiveUp = 5 * time.Minute
)

// String is the text of the table.
func (e Recovered) String() string {
	verdict := func(ok bool, want string) string {
		if ok {
			return met
		}
		return short + want
	}
	return fmt.Sprintf("%d of %d later than %v%s, longest %v (seed %d), at most %d%s recovery entries after the loss (seed %d)",
		e.Late, e.Seeds, earlyLossLimit, verdict(e.Late == 0, "0"), e.Longest.Round(time.Millisecond), e.LongestSeed,
		e.Entries, verdict(e.Entries <= earlyLossEvents, fmt.Sprint(earlyLossEvents)), e.EntriesSeed)
}

// EarlyLoss sends 10 MB over 100 Mbit/s and 10 ms, where 30 % of the packets of
// both directions are lost in the first 2 s after ESTABLISHED (T-CC-07), once
// for each seed from the first on.
func EarlyLoss(algorithm string, from uint64, seeds int) (e Recovered, err error) {
	p := Path{Rate: 100_000_000, RTT: 10 * time.Millisecond, Queue: 100}
	e.Seeds = seeds
	for seed := from; seed < from+uint64(seeds); seed++ {
		b, err := newBed(p, seed, algorithm)
		if err != nil {
			return e, err
		}
		took, entries, err := b.earlyLoss()
		if err != nil {
			return e, fmt.Errorf("seed %d: %w", seed, err)
		}
		if took > e.Longest {
			e.Longest, e.LongestSeed = took, seed
		}
		if entries > e.Entries {
			e.Entries, e.EntriesSeed = entries, seed
		}
		if took > earlyLossLimit {
			e.Late++
		}
	}
	return e, nil
}

// earlyLoss runs one transfer and returns how long it took and how many
// recoveries and timeouts came after the loss had ended.
func (b *bed) earlyLoss() (took time.Duration, entries int, err error) {
	s := b.senders[0]
	f, err := s.open(earlyLossBytes)
	if err != nil {
		return 0, 0, err
	}
	for _, h := range []*sim.Host{s.host, b.to} {
		c := s.wire.Config(h)
		c.Loss = netem.Percent(30)
		s.wire.SetConfig(h, c)
	}
	if err := b.w.RunUntil(f.established.Add(earlyLossTime), nil); err != nil {
		return 0, 0, err
	}
	for _, h := range []*sim.Host{s.host, b.to} {
		c := s.wire.Config(h)
		c.Loss = 0
		s.wire.SetConfig(h, c)
	}
	before := s.losses
	if err := b.runFor(earlyLossGiveUp, func() bool { return f.done != 0 }); err != nil {
		return 0, 0, err
	}
	took = earlyLossGiveUp
	if f.done != 0 {
		took = f.done.Sub(f.established)
	}
	entries = s.losses.Recoveries + s.losses.Timeouts - before.Recoveries - before.Timeouts
	return took, entries, b.close()
}
