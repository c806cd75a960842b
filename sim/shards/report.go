package shards

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Bounds of a Report.
const (
	MaxFailures = 1000     // that are written down; more are only counted
	MaxText     = 4 << 10  // bytes of each
	maxReport   = 16 << 20 // bytes that Read takes
	maxClasses  = 64
)

// Report is what one shard, or all of them, found.
type Report struct {
	Part
	Ran      uint64            `json:"ran"`      // seeds
	Failed   uint64            `json:"failed"`   // seeds
	Digest   Digest            `json:"digest"`   // of every seed and its World's hash, in any order
	Sums     map[string]uint64 `json:"sums"`     // what worlds had, by name
	Ends     map[string]uint64 `json:"ends"`     // how connections ended
	Classes  []Class           `json:"classes"`  // of faults
	Failures []Failure         `json:"failures"` // sorted by seed
}

// Class is what there was of a class of faults.
type Class struct {
	Name     string `json:"name"`
	Worlds   uint64 `json:"worlds"`   // in which it was switched on
	Happened uint64 `json:"happened"` // packets or events
}

// Failure is a seed that failed.
type Failure struct {
	Seed uint64 `json:"seed"`
	Text string `json:"text"`
}

// Digest is a sum over seeds that does not depend on their order. Its text is
// sixteen hexadecimal digits.
type Digest uint64

// MarshalText writes the text.
func (d Digest) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(d)), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	var v uint64
	if _, err := fmt.Sscanf(string(text)+"\n", "%016x\n", &v); err != nil || len(text) != 16 {
		return fmt.Errorf("shards: digest %q: want 16 hexadecimal digits", text)
	}
	*d = Digest(v)
	return nil
}

// Add adds a seed, what its World's hash was, and what was wrong, nil if
// nothing was.
func (r *Report) Add(seed, hash uint64, err error) {
	r.Ran++
	r.Digest += Digest(mix(mix(seed) ^ hash))
	if err == nil {
		return
	}
	r.Failed++
	text := err.Error()
	r.Failures = append(r.Failures, Failure{seed, text[:min(len(text), MaxText)]})
	r.trim()
}

// trim keeps the failures of the lowest seeds, in order.
func (r *Report) trim() {
	slices.SortFunc(r.Failures, func(a, b Failure) int { return cmp.Compare(a.Seed, b.Seed) })
	r.Failures = r.Failures[:min(len(r.Failures), MaxFailures)]
}

// Write writes r as JSON.
func (r *Report) Write(w io.Writer) error {
	c := *r
	if c.Failures == nil {
		c.Failures = []Failure{} // a list, not null
	}
	b, err := json.MarshalIndent(&c, "", "\t")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Read reads what Write wrote, and checks that it is the whole of its Part. It
// does not read beyond 16 MiB.
func Read(in io.Reader) (Report, error) {
	var r Report
	d := json.NewDecoder(io.LimitReader(in, maxReport))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("shards: no report: %w", err)
	}
	if err := r.Valid(); err != nil {
		return r, err
	}
	switch {
	case r.Ran != r.Len():
		return r, fmt.Errorf("shards: shard %d of %d ran %d seeds of %d", r.Shard, r.Shards, r.Ran, r.Len())
	case r.Failed > r.Ran || uint64(len(r.Failures)) != min(r.Failed, MaxFailures):
		return r, fmt.Errorf("shards: shard %d of %d says that %d of %d seeds failed, and lists %d", r.Shard, r.Shards, r.Failed, r.Ran, len(r.Failures))
	case len(r.Classes) > maxClasses:
		return r, fmt.Errorf("shards: %d classes of faults, allowed are %d", len(r.Classes), maxClasses)
	}
	return r, nil
}

// Merge puts the reports of all shards together. It fails if there is none, if
// they are of different ranges or divisions, or if a shard is there twice or
// not at all. The result is that of one shard that ran everything.
func Merge(all []Report) (Report, error) {
	if len(all) == 0 {
		return Report{}, errors.New("shards: no reports")
	}
	whole := Part{From: all[0].From, Seeds: all[0].Seeds, Shards: 1}
	sum := Report{Part: whole, Sums: map[string]uint64{}, Ends: map[string]uint64{}}
	seen := map[uint64]bool{}
	for i := range all {
		r := &all[i]
		switch p, first := r.Part, all[0].Part; {
		case p.From != first.From || p.Seeds != first.Seeds || p.Shards != first.Shards:
			return sum, fmt.Errorf("shards: one report is of %d seeds from %d in %d shards, another of %d from %d in %d",
				first.Seeds, first.From, first.Shards, p.Seeds, p.From, p.Shards)
		case seen[p.Shard]:
			return sum, fmt.Errorf("shards: shard %d of %d is there twice", p.Shard, p.Shards)
		}
		seen[r.Shard] = true
		sum.take(r)
	}
	var missing []uint64
	for i := range all[0].Shards {
		if !seen[i] && len(missing) < 20 {
			missing = append(missing, i)
		}
	}
	if n := all[0].Shards - uint64(len(seen)); n > 0 {
		return sum, fmt.Errorf("shards: %d of %d shards are missing, the first: %v", n, all[0].Shards, missing)
	}
	if sum.Ran != sum.Seeds {
		return sum, fmt.Errorf("shards: %d seeds were run of %d", sum.Ran, sum.Seeds)
	}
	sum.trim()
	return sum, nil
}

// take adds a report.
func (r *Report) take(o *Report) {
	r.Ran += o.Ran
	r.Failed += o.Failed
	r.Digest += o.Digest
	for k, v := range o.Sums {
		r.Sums[k] += v
	}
	for k, v := range o.Ends {
		r.Ends[k] += v
	}
	for _, c := range o.Classes {
		i := slices.IndexFunc(r.Classes, func(d Class) bool { return d.Name == c.Name })
		if i < 0 {
			r.Classes = append(r.Classes, c)
			continue
		}
		r.Classes[i].Worlds += c.Worlds
		r.Classes[i].Happened += c.Happened
	}
	r.Failures = append(r.Failures, o.Failures...)
}

// mix spreads a number over 64 bits: the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
