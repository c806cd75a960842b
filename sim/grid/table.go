package grid

import (
	"fmt"
	"strings"
)

// Table is the text file: a line for each row that was measured.
type Table struct {
	lines map[string]string // by Row.Key
}

const preamble = `What TCP makes of a path, in virtual time. Made by

	go run ./sim/grid/cmd/grid -w

and the same on every machine. Numbers are percent of the payload that the
bottleneck can carry. "first" is the first 10 s after ESTABLISHED; all other
columns are 30 s to 60 s (at 10 Gbit/s 10 s to 20 s), those with a percentage
under that random loss of data packets. q is the bottleneck's queue in
bandwidth-delay products (16 packets at least). "gro" is a receiver that takes
64 KiB at a time, "reorder" the share of packets held back for 5 to 20 % of the
RTT (up to 100 Mbit/s the mean of 5 seeds). Buffers grow as they do by default,
but to 2.5 times what the path and its queue hold where that is more than the
default bound; "plain" keeps the bound.

+ is as good as wanted, !97.0 falls short of the 97.0 wanted; what has neither
is reported, not judged.
`

// Parse reads a table as String writes it. Lines of rows that are no more are
// dropped.
func Parse(text string) *Table {
	t := &Table{lines: map[string]string{}}
	known := map[string]bool{}
	for _, r := range Rows() {
		known[r.Key()] = true
	}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if s, ok := strings.CutPrefix(line, sectionMark); ok {
			section = s
			continue
		}
		name := strings.TrimRight(line[:min(nameWidth, len(line))], " ")
		if key := (Row{Section: section, Name: name}).Key(); known[key] {
			t.lines[key] = line
		}
	}
	return t
}

const sectionMark = "== "

// Set puts the line of a row, as Measure returned it.
func (t *Table) Set(r Row, line string) { t.lines[r.Key()] = line }

// Line returns the line of a row, "" if it was never measured.
func (t *Table) Line(r Row) string { return t.lines[r.Key()] }

// Short returns the keys and lines of the rows in which something falls short.
func (t *Table) Short() []string {
	var all []string
	for _, r := range Rows() {
		if l := t.Line(r); strings.Contains(l, short) {
			all = append(all, r.Section+": "+l)
		}
	}
	return all
}

// String is the file's text.
func (t *Table) String() string {
	var b strings.Builder
	b.WriteString(preamble)
	judged, missed, section := 0, 0, ""
	for _, r := range Rows() {
		line := t.Line(r)
		if line == "" {
			continue
		}
		if r.Section != section {
			section = r.Section
			fmt.Fprintf(&b, "\n%s%s\n", sectionMark, section)
			if r.columns != "" {
				fmt.Fprintln(&b, r.columns)
			}
		}
		fmt.Fprintln(&b, line)
		missed += strings.Count(line, short)
		judged += strings.Count(line, short) + strings.Count(line, met)
	}
	fmt.Fprintf(&b, "\n%d judged, %d as wanted, %d short\n", judged, judged-missed, missed)
	return b.String()
}
