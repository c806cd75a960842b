package grid

import (
	"fmt"
	"time"
)

// How flows are watched that share a bottleneck: they begin at some time in the
// first 5 s, by the seed, and count from the 60th second on.
const (
	shareBegin  = 5 * time.Second
	shareSettle = 60 * time.Second
	shareWatch  = 60 * time.Second
	shareStep   = 100 * time.Millisecond // between two looks at SRTT
)

// Fairness is how flows of one kind shared a bottleneck, over all seeds.
type Fairness struct {
	// Least and Mean are Jain's index, (sum x)^2 / (n * sum x^2), in
	// thousandths: 1000 is equal shares.
	Least, Mean int
	LeastSeed   uint64
	Used        Share         // of the bottleneck's capacity, by all flows together, the mean
	Queueing    time.Duration // SRTT less the path's RTT, the mean of all flows over the time looked at
}

const leastJain = 950

// String is the text of the table.
func (f Fairness) String() string {
	return fmt.Sprintf("Jain's index least %s (seed %d) mean %d.%03d, used %v, SRTT %v above the path's",
		judgedThousandths(f.Least, leastJain), f.LeastSeed, f.Mean/1000, f.Mean%1000, f.Used, tenths(f.Queueing))
}

// judgedThousandths is judged for a number in thousandths.
func judgedThousandths(got, want int) string {
	s := fmt.Sprintf("%d.%03d", got/1000, got%1000)
	if got >= want {
		return s + met
	}
	return fmt.Sprintf("%s%s%d.%03d", s, short, want/1000, want%1000)
}

// Fair runs four flows of one kind over 100 Mbit/s, 20 ms and a queue of one
// bandwidth-delay product, once for each seed from 1 on.
func Fair(algorithm string, seeds int) (f Fairness, err error) {
	p := Path{Rate: 100_000_000, RTT: 20 * time.Millisecond, Queue: 100}
	f.Least = 1000
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		s, err := together(p, seed, 4, algorithm)
		if err != nil {
			return f, err
		}
		j := jain(s.got)
		if j <= f.Least {
			f.Least, f.LeastSeed = j, seed
		}
		f.Mean += j
		f.Queueing += s.srtt - p.RTT
		for _, n := range s.got {
			f.Used += share(n, p.capacity(shareWatch))
		}
	}
	f.Mean /= seeds
	f.Used /= Share(seeds)
	f.Queueing /= time.Duration(seeds)
	return f, nil
}

// Neighbours is how flows of two kinds shared a bottleneck, the mean over all
// seeds.
type Neighbours struct {
	Used     [2]Share // of the bottleneck's capacity, by the flows of each kind
	Queueing time.Duration
}

// Beside runs two flows of each of two kinds over one bottleneck, once for each
// seed from 1 on.
func Beside(a, b string, p Path, seeds int) (n Neighbours, err error) {
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		s, err := together(p, seed, 2, a, b)
		if err != nil {
			return n, err
		}
		for i := range n.Used {
			n.Used[i] += share(s.got[2*i]+s.got[2*i+1], p.capacity(shareWatch))
		}
		n.Queueing += s.srtt - p.RTT
	}
	for i := range n.Used {
		n.Used[i] /= Share(seeds)
	}
	n.Queueing /= time.Duration(seeds)
	return n, nil
}

// shared is what flows did while they were watched.
type shared struct {
	got  []uint64      // bytes received, by flow: those of the first algorithm first
	srtt time.Duration // the mean over time and flows
}

// together runs n flows of each algorithm over one bottleneck.
func together(p Path, seed uint64, n int, algorithms ...string) (s shared, err error) {
	b, err := newBed(p, seed, algorithms...)
	if err != nil {
		return s, err
	}
	flows := make([]*flow, n*len(algorithms))
	for i := range flows {
		at := time.Duration(mix(seed<<8|uint64(i)) % uint64(shareBegin))
		b.w.After(at, func() {
			f, err := b.senders[i/n].dial(0)
			if err != nil {
				b.w.Fail(err)
			}
			flows[i] = f
		})
	}
	if err := b.runFor(shareSettle, nil); err != nil {
		return s, fmt.Errorf("seed %d: %w", seed, err)
	}
	before := make([]uint64, len(flows))
	for i, f := range flows {
		before[i] = f.received
	}
	for range shareWatch / shareStep {
		if err := b.runFor(shareStep, nil); err != nil {
			return s, fmt.Errorf("seed %d: %w", seed, err)
		}
		for _, f := range flows {
			s.srtt += f.out.SRTT
		}
	}
	s.srtt /= time.Duration(len(flows)) * (shareWatch / shareStep)
	for i, f := range flows {
		s.got = append(s.got, f.received-before[i])
	}
	return s, b.close()
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
