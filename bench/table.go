package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// A row of the table is one figure of one case: handfast's against that of
// the others, of which the least counts, since every figure is a cost.
type row struct {
	title  string
	figure string
	scale  float64 // the figure is multiplied by it
	unit   string
	runs   []run  // in the order of printing; a peer may have several
	goals  []goal // what handfast must reach
}

// goal bounds handfast's figure by a multiple of a peer's.
type goal struct {
	peer  string
	most  float64
	label string // of the bound
}

const ourPeer = "handfast"

// rows is the first table to hold: the cost of bytes, of a segment, of a
// wake-up, of a connection and of a connection that does nothing. A run that
// serves two rows is performed once a round.
func rows() []row {
	bulk := func(specs ...string) []run { return runsOf("bulk-mem", specs) }
	const third, sixth = 1.0 / 3, 1.0 / 6
	all := []row{
		{"bulk, MTU 1500, no offloads", "cpu_s_per_gb", 1, "CPU s/GB",
			bulk("gvisor chan-1500", "gvisor pipe-1500", "kernel veth-1500-nooff", "handfast pipe-1500"),
			[]goal{{"gvisor", third, "1/3"}}},
		{"bulk, 64 KiB segments", "cpu_s_per_gb", 1, "CPU s/GB",
			bulk("gvisor gso-1500", "kernel lo", "handfast pipe-gso"),
			[]goal{{"gvisor", 0.7, "0.7"}, {"kernel", 0.7, "0.7"}}},
		{"request and response, 1 connection", "p50_us", 1, "µs p50",
			runsOf("rr", []string{"gvisor pipe-1500/1", "kernel lo/1", "handfast pipe-1500/1"}),
			[]goal{{"kernel", 0.5, "1/2"}}},
	}
	for _, n := range []string{"1", "16"} {
		all = append(all, row{"connect, 1 byte, close, by " + n, "cpu_us_per_op", 1, "CPU µs",
			runsOf("crr", []string{"gvisor pipe-1500/" + n, "kernel lo/" + n, "handfast pipe-1500/" + n}),
			[]goal{{"gvisor", third, "1/3"}}})
	}
	return append(all, row{"idle end of a connection", "heap_b_per_conn", 0.5, "B of heap",
		runsOf("idle", []string{"gvisor both/10000", "handfast both/10000"}),
		[]goal{{"gvisor", sixth, "1/6"}}})
}

func runsOf(c string, specs []string) (rs []run) {
	for _, s := range specs {
		peer, variant, _ := strings.Cut(s, " ")
		rs = append(rs, run{c, peer, variant})
	}
	return rs
}

// table performs the runs of all rows, interleaved, writes each result to
// standard error and the table to standard output. It returns the program's
// exit code: 1 if a run failed or a target was missed.
func table(o options) int {
	var runs []run
	want := strings.Split(o.Peer, ",")
	for _, r := range rows() {
		for _, j := range r.runs {
			if peers[j.Peer] != nil && slices.Contains(want, j.Peer) {
				runs = append(runs, j)
			}
		}
	}
	got := map[run]Result{}
	failed := false
	for _, s := range o.rounds(runs, os.Stderr) {
		got[s.run] = s
		if s.Err != "" {
			fmt.Fprintf(os.Stderr, "%s %s %s: %s\n", s.Case, s.Peer, s.Variant, s.Err)
			failed = true
		}
	}
	fmt.Printf("Median (least to most) of %d runs of %v each.\n\n", o.N, o.T)
	if missed := writeTable(os.Stdout, rows(), got); missed || failed {
		return 1
	}
	return 0
}

// value is a row's figure of one run.
func (r row) value(got map[run]Result, j run) (mid, lo, hi float64, ok bool) {
	s, ok := got[j].Summary[r.figure]
	return s[0] * r.scale, s[1] * r.scale, s[2] * r.scale, ok
}

// best is the least median among a peer's runs.
func (r row) best(got map[run]Result, peer string) (least float64, ok bool) {
	for _, j := range r.runs {
		if v, _, _, have := r.value(got, j); have && j.Peer == peer && (!ok || v < least) {
			least, ok = v, true
		}
	}
	return least, ok
}

// writeTable prints the rows as Markdown and reports whether any target was missed.
func writeTable(w io.Writer, rows []row, got map[run]Result) (missed bool) {
	fmt.Fprintln(w, "| case | handfast | gVisor | kernel | ratio and target |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s, %s | %s | %s | %s |", r.title, r.unit,
			r.cell(got, ourPeer), r.cell(got, "gvisor"), r.cell(got, "kernel"))
		ours, haveOurs := r.best(got, ourPeer)
		for i, g := range r.goals {
			sep := " "
			if i > 0 {
				sep = "; "
			}
			theirs, have := r.best(got, g.peer)
			name := strings.Replace(g.peer, "gvisor", "gVisor", 1)
			switch {
			case !have || !haveOurs || theirs == 0:
				fmt.Fprintf(w, "%s≤ %s of %s", sep, g.label, name)
			case ours <= g.most*theirs:
				fmt.Fprintf(w, "%s%.2f of %s ≤ %s: met", sep, ours/theirs, name, g.label)
			default:
				missed = true
				fmt.Fprintf(w, "%s%.2f of %s > %s: **missed**", sep, ours/theirs, name, g.label)
			}
		}
		fmt.Fprintln(w, " |")
	}
	return missed
}

// cell prints a peer's runs, the best first.
func (r row) cell(got map[run]Result, peer string) string {
	type entry struct {
		mid  float64
		text string
	}
	var es []entry
	for _, j := range r.runs {
		mid, lo, hi, ok := r.value(got, j)
		if j.Peer == peer && ok {
			es = append(es, entry{mid, fmt.Sprintf("%s (%s to %s) %s", short(mid), short(lo), short(hi), j.Variant)})
		}
	}
	if len(es) == 0 {
		return "–"
	}
	slices.SortStableFunc(es, func(a, b entry) int { return cmp.Compare(a.mid, b.mid) })
	var out []string
	for _, e := range es {
		out = append(out, e.text)
	}
	return strings.Join(out, "; ")
}

// short prints three significant digits.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
