package grid

import (
	"fmt"
	"time"
)

// experiments are the rows that are no cells. Each is a named function of
// algorithms and a number of seeds.
func experiments() []Row {
	var rows []Row
	for _, a := range Algorithms() {
		rows = append(rows, Row{Section: "four flows, 100M 20ms q1, last 60 of 120 s, 10 seeds", Name: a, measure: func() (string, error) {
			f, err := Fair(a, 10)
			return f.String(), err
		}})
	}
	rows = append(rows, besideRows()...)
	rows = append(rows, responseRows()...)
	for _, a := range Algorithms() {
		rows = append(rows, Row{Section: "30% loss in the first 2 s, 100M 10ms, 10 MB, 1000 seeds", Name: a, measure: func() (string, error) {
			e, err := EarlyLoss(a, 1, 1000)
			return e.String(), err
		}})
	}
	return rows
}

// besideRows are pairs of algorithms in one queue: CUBIC with NewReno where RFC
// 9438 §4.3 wants it as fair as Reno, and BBR with CUBIC.
func besideRows() []Row {
	var rows []Row
	for _, r := range []struct {
		a, b string
		p    Path
	}{
		{"cubic", "reno", Path{Rate: 10_000_000, RTT: 20 * time.Millisecond, Queue: 100}},
		{"cubic", "reno", Path{Rate: 100_000_000, RTT: 10 * time.Millisecond, Queue: 100}},
		{"cubic", "reno", Path{Rate: 100_000_000, RTT: 100 * time.Millisecond, Queue: 100}},
		{"bbr", "cubic", Path{Rate: 100_000_000, RTT: 20 * time.Millisecond, Queue: 100}},
		{"bbr", "cubic", Path{Rate: 100_000_000, RTT: 20 * time.Millisecond, Queue: 400}},
	} {
		rows = append(rows, Row{Section: "two flows each, last 60 of 120 s, 5 seeds", Name: r.a + " " + r.b + " " + r.p.String(),
			measure: func() (string, error) {
				s, err := Beside(r.a, r.b, r.p, 5)
				return fmt.Sprintf("%s %v, %s %v, SRTT %v above the path's", r.a, s.Used[0], r.b, s.Used[1], tenths(s.Queueing)), err
			}})
	}
	return rows
}

// tenths rounds for the table.
func tenths(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// mix spreads a number over 64 bits: the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
