package grid

import (
	"fmt"
	"strings"
	"time"

	"github.com/handfast/handfast/netem"
)

// experiments are the rows that are no cells. Each is a named function of an
// algorithm and a number of seeds, or of repetitions.
func experiments() []Row {
	var rows []Row
	for _, a := range Algorithms() {
		rows = append(rows, Row{Section: "four flows, 100M 20ms q1, 10 seeds", Name: a, measure: func() (string, error) {
			f, err := Fair(a, 10)
			return f.String(), err
		}})
	}
	for _, a := range Algorithms() {
		rows = append(rows, Row{Section: "30% loss in the first 2 s, 100M 10ms, 10 MB, 1000 seeds", Name: a, measure: func() (string, error) {
			e, err := EarlyLoss(a, 1, 1000)
			return e.String(), err
		}})
	}
	return append(rows, responseRows()...)
}

// Fairness is how flows of one kind shared a bottleneck, over all seeds.
type Fairness struct {
	// Least and Mean are Jain's index, (sum x)^2 / (n * sum x^2), in
	// thousandths: 1000 is equal shares.
	Least, Mean int
	Used        Share         // of the bottleneck's capacity, by all flows together, the mean
	Queueing    time.Duration // SRTT less the path's RTT, the mean of all flows over the time looked at
}

// String is the text of the table.
func (f Fairness) String() string {
	return fmt.Sprintf("Jain's index least %s mean %d.%03d, used %v%%, SRTT %v above the path's",
		judgedThousandths(f.Least, leastJain), f.Mean/1000, f.Mean%1000, f.Used, f.Queueing.Round(100*time.Microsecond))
}

const leastJain = 950

func judgedThousandths(got, want int) string {
	s := fmt.Sprintf("%d.%03d", got/1000, got%1000)
	if got >= want {
		return s + met
	}
	return fmt.Sprintf("%s%s%d.%03d", s, short, want/1000, want%1000)
}

// Fair runs four flows of one kind over one bottleneck for 120 s and looks at
// the last 60. A seed decides when in the first 5 s each begins.
func Fair(algorithm string, seeds int) (f Fairness, err error) {
	a, ok := algorithmOf(algorithm)
	if !ok {
		return f, errAlgorithm(algorithm)
	}
	const flows = 4
	p := Path{Rate: 100_000_000, RTT: 20 * time.Millisecond, Queue: 100}
	f.Least = 1000
	for seed := range seeds {
		b, err := newBed(p, uint64(seed+1), a, nil)
		if err != nil {
			return f, err
		}
		for i := range flows {
			b.w.After(time.Duration(mix(uint64(seed*flows+i))%uint64(5*time.Second)), func() {
				if _, err := b.dial(0); err != nil {
					b.w.Fail(err)
				}
			})
		}
		if err := b.runFor(60*time.Second, nil); err != nil {
			return f, fmt.Errorf("seed %d: %w", seed+1, err)
		}
		s, err := b.observe(60 * time.Second)
		if err != nil {
			return f, fmt.Errorf("seed %d: %w", seed+1, err)
		}
		if err := b.close(); err != nil {
			return f, fmt.Errorf("seed %d: %w", seed+1, err)
		}
		j := jain(s.got)
		f.Least = min(f.Least, j)
		f.Mean += j
		f.Queueing += s.srtt - p.RTT
		for _, n := range s.got {
			f.Used += share(n, p.capacity(60*time.Second))
		}
	}
	f.Mean /= seeds
	f.Used /= Share(seeds)
	f.Queueing /= time.Duration(seeds)
	return f, nil
}

// jain is Jain's fairness index in thousandths.
func jain(x []uint64) int {
	var sum, squares uint64
	for _, v := range x {
		v /= 1024 // a minute at 10 Gbit/s squared, four times, fits
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 0
	}
	return int(sum / uint64(len(x)) * 1000 / max(squares/sum, 1))
}

// observed is what flows did in a while.
type observed struct {
	got  []uint64      // by flow: bytes received
	srtt time.Duration // the mean over time and flows
}

// observe lets d pass and reports on it; SRTT is looked at ten times a second.
func (b *bed) observe(d time.Duration) (o observed, err error) {
	before := make([]uint64, len(b.flows))
	for i, f := range b.flows {
		before[i] = f.received
	}
	const step = 100 * time.Millisecond
	for t := step; t <= d; t += step {
		if err := b.runFor(step, nil); err != nil {
			return o, err
		}
		for _, f := range b.flows {
			o.srtt += f.out.SRTT
		}
	}
	o.srtt /= time.Duration(len(b.flows)) * (d / step)
	for i, f := range b.flows {
		o.got = append(o.got, f.received-before[i])
	}
	return o, nil
}

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
	a, ok := algorithmOf(algorithm)
	if !ok {
		return e, errAlgorithm(algorithm)
	}
	p := Path{Rate: 100_000_000, RTT: 10 * time.Millisecond, Queue: 100}
	e.Seeds = seeds
	for seed := from; seed < from+uint64(seeds); seed++ {
		b, err := newBed(p, seed, a, nil)
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
	f, err := b.dial(earlyLossBytes)
	if err != nil {
		return 0, 0, err
	}
	if err := b.runFor(time.Minute, func() bool { return f.established != 0 }); err != nil {
		return 0, 0, err
	}
	data, acks := b.wire.Config(b.from), b.wire.Config(b.to)
	good := [2]netem.Config{data, acks}
	data.Loss, acks.Loss = netem.Percent(30), netem.Percent(30)
	b.wire.SetConfig(b.from, data)
	b.wire.SetConfig(b.to, acks)
	if err := b.w.RunUntil(f.established.Add(earlyLossTime), nil); err != nil {
		return 0, 0, err
	}
	b.wire.SetConfig(b.from, good[0])
	b.wire.SetConfig(b.to, good[1])
	before := b.losses
	if err := b.runFor(earlyLossGiveUp, func() bool { return f.done != 0 }); err != nil {
		return 0, 0, err
	}
	took = earlyLossGiveUp
	if f.done != 0 {
		took = f.done.Sub(f.established)
	}
	entries = b.losses.Recoveries + b.losses.Timeouts - before.Recoveries - before.Timeouts
	return took, entries, b.close()
}

// mix spreads a number over 64 bits: the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func errAlgorithm(name string) error {
	return fmt.Errorf("grid: there is no algorithm %q, only %s", name, strings.Join(Algorithms(), ", "))
}
