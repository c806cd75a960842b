// Package shards spreads a range of seeds over machines and puts their results
// together again.
//
// Of n shards the i-th, from 0, runs every n-th seed beginning with the i-th.
// It writes one Report; Merge makes one of all of them, and fails unless each
// seed of the range was run exactly once. On one machine:
//
//	go test ./sim -run TestSeeds -args -seeds=2000 -report=/tmp/all.json
//
// On three, of which the second does
//
//	go test ./sim -run TestSeeds -args -seeds=2000 -shard=1/3 -report=/tmp/1.json
//
// and in an indexed Kubernetes Job, which gives each pod JOB_COMPLETION_INDEX
// and nothing about how many there are, with SEED_SHARDS in the pod's
// environment equal to the Job's completions (or -shards=3):
//
//	go test ./sim -run TestSeeds -args -seeds=2000 -report=/out/$JOB_COMPLETION_INDEX.json
//
// A relative name of a report is one in the directory of package sim. Then, with
// the files in one place:
//
//	go run ./sim/cmd/seeds merge /tmp/*.json
package shards

import (
	"fmt"
	"iter"
	"math"
	"strconv"
)

// MaxShards bounds into how many shards seeds can be divided.
const MaxShards = 1 << 20

// Part is one shard's part of Seeds seeds from From on: From, From+1, and so
// on, modulo 2^64.
type Part struct {
	From   uint64 `json:"from"`
	Seeds  uint64 `json:"seeds"`
	Shard  uint64 `json:"shard"`  // from 0
	Shards uint64 `json:"shards"` // 1 to MaxShards
}

// Valid reports what is wrong about a Part, nil if nothing is.
func (p Part) Valid() error {
	if p.Shards == 0 || p.Shards > MaxShards || p.Shard >= p.Shards {
		return fmt.Errorf("shards: shard %d of %d: want i of n with 0 <= i < n <= %d", p.Shard, p.Shards, MaxShards)
	}
	return nil
}

// Len returns how many seeds the Part has.
func (p Part) Len() uint64 {
	if p.Shard >= p.Seeds {
		return 0
	}
	return (p.Seeds-p.Shard-1)/p.Shards + 1
}

// All yields the seeds of the Part.
func (p Part) All() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for k := uint64(0); k < p.Len(); k++ {
			if !yield(p.From + p.Shard + k*p.Shards) {
				return
			}
		}
	}
}

// The variables that Choose reads.
const (
	EnvIndex       = "JOB_COMPLETION_INDEX" // set by Kubernetes in the pods of an indexed Job
	EnvShards      = "SEED_SHARDS"          // how many shards there are
	EnvCompletions = "JOB_COMPLETIONS"      // the same, where SEED_SHARDS is not set
)

// Choose says which shard of how many this process is. A shard that is given,
// as i/n, decides alone. Else n is what is given as shards, if that is not 0,
// or EnvShards or EnvCompletions says, and i is EnvIndex. Where nothing says n,
// an index means nothing: one shard does everything. It fails if n is known,
// more than 1, and i is not, and if either is no number or out of range.
func Choose(shard string, shards uint64, env func(string) string) (i, n uint64, err error) {
	if shard != "" {
		if _, err := fmt.Sscanf(shard+"\n", "%d/%d\n", &i, &n); err != nil {
			return 0, 0, fmt.Errorf("shards: shard %q: want i/n, as in 0/3", shard)
		}
		return i, n, Part{Shard: i, Shards: n}.Valid()
	}
	n = shards
	for _, name := range [...]string{EnvShards, EnvCompletions} {
		if n == 0 {
			if n, err = number(name, env(name)); err != nil {
				return 0, 0, err
			}
		}
	}
	index := env(EnvIndex)
	switch {
	case n == 0 || n == 1 && index == "":
		return 0, 1, nil
	case index == "":
		return 0, 0, fmt.Errorf("shards: there are %d shards, and nothing says which this is: neither -shard i/n nor %s", n, EnvIndex)
	}
	if i, err = number(EnvIndex, index); err != nil {
		return 0, 0, err
	}
	return i, n, Part{Shard: i, Shards: n}.Valid()
}

// number reads a variable; "" is 0.
func number(name, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("shards: %s is %q, no number from 0 to %d", name, text, uint32(math.MaxUint32))
	}
	return n, nil
}
