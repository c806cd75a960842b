// Command grid measures what TCP makes of paths, in virtual time, and prints
// the table or writes it to the file that is kept:
//
//	go run ./sim/grid/cmd/grid -w              all rows
//	go run ./sim/grid/cmd/grid -run '^cubic 100M' -w   rows whose name matches, the others stay
//	go run ./sim/grid/cmd/grid -cell 'cubic 1G 50ms q1' -cell 'bbr 1G 50ms q1 gro'   some cells, any that have a name
//	go run ./sim/grid/cmd/grid -watch 'reno 100M 10ms q1 loss 1%'   one cell as it goes
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/handfast/handfast/sim/grid"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "grid:", err)
		os.Exit(1)
	}
}

func run() error {
	write := flag.Bool("w", false, "write the file instead of printing the table")
	file := flag.String("file", "sim/grid/testdata/grid.txt", "the table `file`")
	pattern := flag.String("run", "", "measure rows that match this `regexp` only")
	list := flag.Bool("list", false, "print the names of the rows")
	workers := flag.Int("j", runtime.GOMAXPROCS(0), "how many rows are measured at a time")
	watch := flag.String("watch", "", "run one `cell`, any that has a name, and print what the sender does")
	until := flag.Duration("until", 10*time.Second, "how long to watch")
	step := flag.Duration("step", 100*time.Millisecond, "how often to look")
	var cells []grid.Cell
	flag.Func("cell", "measure one `cell` and print all that is known of it; may be repeated", func(s string) error {
		c, err := grid.ParseCell(s)
		cells = append(cells, c)
		return err
	})
	flag.Parse()
	if len(cells) > 0 {
		return one(cells, *workers)
	}
	if *watch != "" {
		c, err := grid.ParseCell(*watch)
		if err != nil {
			return err
		}
		return grid.Watch(os.Stdout, c, *until, *step)
	}
	re, err := regexp.Compile(*pattern)
	if err != nil {
		return err
	}
	var rows []grid.Row
	for _, r := range grid.Rows() {
		if re.MatchString(r.Key()) {
			rows = append(rows, r)
		}
	}
	if *list {
		for _, r := range rows {
			fmt.Println(r.Key())
		}
		return nil
	}
	old, err := os.ReadFile(*file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	table := grid.Parse(string(old))
	save := func() error { return nil }
	if *write {
		save = func() error { return os.WriteFile(*file, []byte(table.String()), 0o644) }
	}
	if err := measure(table, rows, *workers, save); err != nil || *write {
		return errors.Join(err, save())
	}
	for _, r := range rows {
		fmt.Println(table.Line(r))
	}
	return nil
}

// one measures cells and prints their results.
func one(cells []grid.Cell, workers int) error {
	var rows []grid.Row
	for _, c := range cells {
		rows = append(rows, grid.CellRow(c))
	}
	return measure(grid.Parse(""), rows, workers, func() error { return nil })
}

// result is a row measured.
type result struct {
	row  grid.Row
	line string
	err  error
	took time.Duration
}

// measure fills the rows' lines in. Each row is worlds of its own, so several
// run side by side. After each, save is called, so that a run that is ended keeps
// what it has.
func measure(table *grid.Table, rows []grid.Row, workers int, save func() error) error {
	next := make(chan grid.Row)
	done := make(chan result)
	for range max(workers, 1) {
		go func() {
			for r := range next {
				began := time.Now()
				line, err := r.Measure()
				done <- result{r, line, err, time.Since(began)}
			}
		}()
	}
	go func() {
		for _, r := range rows {
			next <- r
		}
		close(next)
	}()
	var failed error
	for i := range rows {
		r := <-done
		if r.err != nil {
			fmt.Fprintln(os.Stderr, r.err)
			failed = fmt.Errorf("rows could not be measured, the last: %w", r.err)
			continue
		}
		table.Set(r.row, r.line)
		if err := save(); err != nil {
			failed = err
		}
		fmt.Fprintf(os.Stderr, "%d/%d %s | %s (%v)\n", i+1, len(rows), r.row.Section, r.line, r.took.Round(time.Millisecond))
	}
	return failed
}
