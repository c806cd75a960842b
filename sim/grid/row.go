package grid

import (
	"fmt"
	"strings"
	"time"
)

// Row is one line of the table: what is measured in one go.
type Row struct {
	Section string // the heading that it stands under
	Name    string // how the line begins
	columns string // above the section's first row
	measure func() (string, error)
}

// Key names the row among all.
func (r Row) Key() string { return r.Section + ": " + r.Name }

// Measure makes the row's line anew: its name, then what was found. The same
// row always yields the same line.
func (r Row) Measure() (string, error) {
	text, err := r.measure()
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.Key(), err)
	}
	return strings.TrimRight(fmt.Sprintf("%-*s%s", nameWidth, r.Name, text), " "), nil
}

const (
	nameWidth   = 28
	columnWidth = 10
)

// The values that the grid is made of.
var (
	gridRates  = []int64{10_000_000, 100_000_000, 1_000_000_000}
	gridRTTs   = []time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond}
	gridQueues = []int{25, 100, 400}
	gridLosses = []int{0, 100, 1000, 10_000, 50_000}
)

// Rows returns all rows of the table, in its order.
func Rows() []Row {
	var rows []Row
	for _, a := range Algorithms() {
		for _, rate := range gridRates {
			for _, rtt := range gridRTTs {
				for _, q := range gridQueues {
					rows = append(rows, gridRow(a, Path{Rate: rate, RTT: rtt, Queue: q}))
				}
			}
		}
		for _, p := range otherPaths() {
			rows = append(rows, otherRow(a, p))
		}
	}
	return append(rows, experiments()...)
}

// gridRow is an algorithm on one path under all rates of loss.
func gridRow(algorithm string, p Path) Row {
	r := Row{Section: algorithm + " " + rateText(p.Rate), Name: fmt.Sprintf("%v q%s", p.RTT, hundredths(p.Queue)), columns: gridColumns()}
	r.measure = func() (string, error) {
		var line strings.Builder
		for _, loss := range gridLosses {
			c := Cell{algorithm, p}
			c.Loss = loss
			res, err := Run(c)
			if err != nil {
				return "", err
			}
			if loss == 0 {
				fmt.Fprintf(&line, "%*s", columnWidth, judged(res.First, c.wantFirst()))
			}
			fmt.Fprintf(&line, "%*s", columnWidth, judged(res.Late, c.wantLate()))
		}
		return line.String(), nil
	}
	return r
}

// gridColumns are the columns of gridRow.
func gridColumns() string {
	names := []string{"first"}
	for _, l := range gridLosses {
		names = append(names, lossText(l))
	}
	return columns(names...)
}

// columns writes names above the last digits of columns of shares.
func columns(names ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%*s", nameWidth, "")
	for _, n := range names {
		fmt.Fprintf(&b, "%*s ", columnWidth-1, n)
	}
	return strings.TrimRight(b.String(), " ")
}

// otherRow is one cell beside the grid.
func otherRow(algorithm string, p Path) Row {
	return Row{Section: algorithm + ", other paths", Name: p.String(), columns: columns("first", "late"), measure: func() (string, error) {
		c := Cell{algorithm, p}
		res, err := Run(c)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%*s%*s", columnWidth, judged(res.First, c.wantFirst()), columnWidth, judged(res.Late, c.wantLate())), nil
	}}
}

// CellRow is a row that is not of the table: one cell with all that is known of
// it.
func CellRow(c Cell) Row {
	return Row{Section: "cell", Name: c.String(), measure: func() (string, error) {
		r, err := Run(c)
		return fmt.Sprintf("  first %s late %s, %d recoveries, %d timeouts, %d of both taken back, %d packets sent, %d dropped, %d events",
			judged(r.First, c.wantFirst()), judged(r.Late, c.wantLate()), r.Recoveries, r.Timeouts, r.Spurious, r.Packets, r.Dropped, r.Events), err
	}}
}

// otherPaths are faster ones, those with a receiver that glues, those that need
// larger buffers than connections get by default, and those that reorder.
func otherPaths() []Path {
	const m, g = 1_000_000, 1_000_000_000
	var ps []Path
	for _, rtt := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond} {
		for _, loss := range []int{0, 1000} {
			ps = append(ps, Path{Rate: 10 * g, RTT: rtt, Queue: 100, Loss: loss})
		}
	}
	for _, rate := range []int64{100 * m, g} {
		for _, rtt := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond} {
			for _, loss := range []int{0, 1000} {
				ps = append(ps, Path{Rate: rate, RTT: rtt, Queue: 100, Loss: loss, GRO: true})
			}
		}
	}
	for _, rtt := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond} {
		ps = append(ps, Path{Rate: g, RTT: rtt, Queue: 100, Plain: true})
	}
	for _, rate := range gridRates {
		for _, rtt := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
			ps = append(ps, Path{Rate: rate, RTT: rtt, Queue: 100, Reorder: 20_000})
		}
	}
	return ps
}

// leastJudged is the bandwidth-delay product in segments below which a cell is
// reported only: the queue has more room than the path.
const leastJudged = 16

// wantFirst is the least share wanted of the first 10 s, 0 if none is.
func (c Cell) wantFirst() Share {
	switch {
	case c.Segments() < leastJudged || c.Loss > 0 || c.Reorder > 0 || c.Queue != 100 || c.Plain:
	case c.Rate > 1_000_000_000 || c.RTT > 100*time.Millisecond || c.Rate == 1_000_000_000 && c.RTT == 100*time.Millisecond:
	default:
		return 850
	}
	return 0
}

// wantLate is the least share wanted when the flow has found its rate, 0 if
// none is.
func (c Cell) wantLate() Share {
	n := c.Segments()
	switch {
	case n < leastJudged || c.Rate > 1_000_000_000 || c.Plain:
		return 0
	case c.Reorder > 0:
		return 900
	case c.Loss == 10_000 && c.Algorithm == "bbr" && n >= 200:
		return 850
	case c.Loss > 0 || c.Queue != 100:
		return 0
	case c.Algorithm == "bbr":
		return 930
	}
	return 970
}

// judged writes a share and, if one is wanted, whether it is reached.
func judged(got, want Share) string {
	switch {
	case want == 0:
		return got.String() + " "
	case got >= want:
		return got.String() + met
	}
	return got.String() + short + want.String()
}

// The marks of what is judged.
const (
	met   = "+"
	short = "!"
)
