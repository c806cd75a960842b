// Command seeds puts the results of simulated worlds together that several
// machines ran:
//
//	go run ./sim/cmd/seeds merge FILE...
//
// The files are what TestSeeds of package sim writes with -report. The total
// goes to standard output; package shards says how to run the parts. The exit
// status is 0 if every seed of the range was run once and none failed, 1 if
// seeds failed, and 2 if the files are not the whole of one range, cannot be
// read, or the arguments are wrong.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/handfast/handfast/sim/shards"
)

const (
	exitFailed = 1
	exitBroken = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does all and returns the exit status.
func run(args []string, out, complaints io.Writer) int {
	if len(args) < 2 || args[0] != "merge" {
		fmt.Fprintln(complaints, "usage: seeds merge FILE...")
		return exitBroken
	}
	var all []shards.Report
	for _, name := range args[1:] {
		r, err := read(name)
		if err != nil {
			fmt.Fprintf(complaints, "%s: %v\n", name, err)
			return exitBroken
		}
		all = append(all, r)
	}
	sum, err := shards.Merge(all)
	if err != nil {
		fmt.Fprintln(complaints, err)
		return exitBroken
	}
	tell(out, &sum, len(all))
	if sum.Failed > 0 {
		return exitFailed
	}
	return 0
}

func read(name string) (shards.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return shards.Report{}, err
	}
	defer f.Close()
	return shards.Read(f)
}

// tell prints the total.
func tell(out io.Writer, r *shards.Report, files int) {
	fmt.Fprintf(out, "%d seeds from %d in %d shards: %d failed, digest %016x\n", r.Ran, r.From, files, r.Failed, uint64(r.Digest))
	for _, name := range slices.Sorted(maps.Keys(r.Sums)) {
		fmt.Fprintf(out, "  %-24s %d\n", name, r.Sums[name])
	}
	fmt.Fprintln(out, "ends of connections:")
	for _, name := range slices.Sorted(maps.Keys(r.Ends)) {
		fmt.Fprintf(out, "  %-24s %d\n", name, r.Ends[name])
	}
	fmt.Fprintln(out, "classes of faults: worlds, what happened")
	for _, c := range r.Classes {
		fmt.Fprintf(out, "  %-24s %d, %d\n", c.Name, c.Worlds, c.Happened)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(out, "seed %d: %s\n", f.Seed, f.Text)
	}
	if n := r.Failed - uint64(len(r.Failures)); n > 0 {
		fmt.Fprintf(out, "%d more seeds failed\n", n)
	}
}
