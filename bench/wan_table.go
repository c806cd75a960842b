package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// wanControls are the congestion controls that the wan command compares, and
// who has them.
var wanControls = []struct {
	name  string
	peers []string
}{
	{"reno", []string{"handfast", "kernel", "gvisor"}},
	{"cubic", []string{"handfast", "kernel", "gvisor"}},
	{"bbr", []string{"handfast", "kernel"}},
}

// wanGoal is the least share of the kernel's goodput, with the same congestion
// control on the same wire, that counts as equal: what runs differ by anyway.
const wanGoal = 0.9

// A wanRow is one wire with one congestion control.
type wanRow struct {
	profile Profile
	control string
	runs    []run // of the peers that have it
}

// wanRows lists the rows of the profiles that a glob matches ("": the first
// tabled ones) and of the wanted controls and peers.
func wanRows(globs, controls, want string) (rows []wanRow) {
	for i, pr := range profiles {
		if globs == "" && i >= tabled || globs != "" && !matches(globs, pr.Name) {
			continue
		}
		for _, c := range wanControls {
			if !matches(controls, c.name) {
				continue
			}
			r := wanRow{profile: pr, control: c.name}
			for _, p := range c.peers {
				if matches(want, p) {
					r.runs = append(r.runs, run{"wan", p + "/" + c.name, pr.Name})
				}
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// matches reports whether one of the comma-separated globs matches.
func matches(globs, name string) bool {
	return slices.ContainsFunc(strings.Split(globs, ","), func(g string) bool {
		ok, _ := path.Match(g, name)
		return ok
	})
}

// wanCommand measures every stack with every congestion control on every bad
// wire, writes each result to standard error and a table to standard output. It
// returns the program's exit code: 1 if a run failed or a goal was missed.
func wanCommand(args []string) int {
	var o options
	fs := flag.NewFlagSet("wan", flag.ExitOnError)
	o.register(fs)
	o.T, o.Peer = 15*time.Second, "*"
	fs.Lookup("t").DefValue, fs.Lookup("peer").DefValue = o.T.String(), "*"
	globs := fs.String("variant", "", "comma-separated globs over the wires; none: the table's")
	controls := fs.String("control", "*", "comma-separated globs over reno, cubic and bbr")
	fs.Parse(args)
	rows := wanRows(*globs, *controls, o.Peer)
	var runs []run
	for _, r := range rows {
		runs = append(runs, r.runs...)
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
	fmt.Printf("Mbit/s from the moment of connecting, then segments resent / timeouts: median (least to most) of %d runs of %v each.\n\n", o.N, o.T)
	if missed := writeWanTable(os.Stdout, rows, got); missed || failed {
		return 1
	}
	return 0
}

// writeWanTable prints the rows as Markdown and reports whether any goal was missed.
func writeWanTable(w io.Writer, rows []wanRow, got map[run]Result) (missed bool) {
	fmt.Fprintln(w, "| wire | control | handfast | kernel | gVisor | of the kernel's |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for _, r := range rows {
		cells := map[string]string{}
		goodput := map[string]float64{}
		for _, j := range r.runs {
			if s, ok := got[j]; ok && s.Runs > 0 {
				name, _, _ := strings.Cut(j.Peer, "/")
				cells[name], goodput[name] = wanCell(s), s.Summary["mbit_s"][0]
			}
		}
		ratio := "–"
		if k, ok := goodput["kernel"]; ok && k > 0 && cells[ourPeer] != "" {
			v := goodput[ourPeer] / k
			ratio = fmt.Sprintf("%.2f", v)
			if v < wanGoal {
				ratio, missed = "**"+ratio+"**", true
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", r.profile.Text, r.control,
			orDash(cells[ourPeer]), orDash(cells["kernel"]), orDash(cells["gvisor"]), ratio)
	}
	return missed
}

// wanCell is goodput with its spread, and what was sent again.
func wanCell(s Result) string {
	g := s.Summary["mbit_s"]
	return fmt.Sprintf("%s (%s to %s), %.0f / %.0f", short(g[0]), short(g[1]), short(g[2]),
		s.Summary["resent"][0], s.Summary["timeouts"][0])
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
