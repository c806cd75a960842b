package grid

import (
	"fmt"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/netem"
)

// Cell is one measurement: an algorithm on a path.
type Cell struct {
	Algorithm string // as sysctl net.ipv4.tcp_congestion_control calls it
	Path
}

// String is the cell's name.
func (c Cell) String() string { return c.Algorithm + " " + c.Path.String() }

// Share is a part of the path's payload capacity in thousandths.
type Share int

// String is the share in percent.
func (s Share) String() string { return fmt.Sprintf("%d.%d", s/10, s%10) }

// Result is what a Cell yields. Times count from the sender's ESTABLISHED.
type Result struct {
	First Share // in the first 10 s
	Late  Share // from 30 s to 60 s, at 10 Gbit/s from 10 s to 20 s

	Recoveries, Timeouts int    // of the sender
	Spurious             int    // of both, those that it took back
	Packets, Dropped     uint64 // at the bottleneck: all that was sent, and what its queue refused
	Events               uint64 // of the simulation
}

const first = 10 * time.Second

// late returns when the second look begins and ends.
func (p Path) late() (from, to time.Duration) {
	if p.Rate >= 10_000_000_000 {
		return 10 * time.Second, 20 * time.Second
	}
	return 30 * time.Second, 60 * time.Second
}

// Run measures a cell. The same cell always yields the same. Shares are means,
// and all else sums, over the seeds that the path takes.
func Run(c Cell) (r Result, err error) {
	n := c.seeds()
	for i := range n {
		one, err := runSeed(c, c.Seed()+uint64(i))
		if err != nil {
			return r, fmt.Errorf("%v, seed %d: %w", c, i, err)
		}
		r.First += one.First
		r.Late += one.Late
		r.Recoveries += one.Recoveries
		r.Timeouts += one.Timeouts
		r.Spurious += one.Spurious
		r.Packets += one.Packets
		r.Dropped += one.Dropped
		r.Events += one.Events
	}
	r.First /= Share(n)
	r.Late /= Share(n)
	return r, nil
}

// seeds is how many runs a cell takes: where packets overtake each other, one
// run says more about its luck than about TCP.
func (p Path) seeds() int {
	if p.Reorder > 0 && p.Rate <= 100_000_000 {
		return 5
	}
	return 1
}

func runSeed(c Cell, seed uint64) (r Result, err error) {
	b, err := newBed(c.Path, seed, c.Algorithm)
	if err != nil {
		return r, err
	}
	f, err := b.senders[0].open(0)
	if err != nil {
		return r, err
	}
	start := f.established
	until := func(d time.Duration) (uint64, error) {
		err := b.w.RunUntil(start.Add(d), nil)
		return f.received, err
	}
	var at [3]uint64
	from, to := c.late()
	for i, d := range []time.Duration{first, from, to} {
		if at[i], err = until(d); err != nil {
			return r, err
		}
	}
	n := b.counters()
	r = Result{First: share(at[0], c.capacity(first)), Late: share(at[2]-at[1], c.capacity(to-from)),
		Recoveries: f.s.losses.Recoveries, Timeouts: f.s.losses.Timeouts, Spurious: f.s.losses.Spurious,
		Packets: n.Packets, Dropped: n.Dropped[netem.DroppedQueue]}
	r.Events, _ = b.w.Counts()
	return r, b.close()
}

// share rounds down: what is shown as 97.0 is at least that.
func share(got, of uint64) Share { return Share(got * 1000 / of) }

// Algorithms returns the names of the algorithms that are measured.
func Algorithms() []string { return cc.Names() }
