package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/netem"
)

func TestEveryProfileOfTheWanCaseIsAWire(t *testing.T) {
	names := map[string]bool{}
	for _, p := range profiles {
		cfg, err := netem.ParseConfig(p.Text)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if cfg.Rate == 0 || cfg.Delay == 0 || cfg.QueueBytes == 0 {
			t.Errorf("%s is %q: a rate, a delay and a queue are wanted", p.Name, p.Text)
		}
		if names[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name] = true
	}
}

func TestTheWanCommandComparesTheSameControl(t *testing.T) {
	rows := wanRows("100M-10ms", "cubic", "*")
	if len(rows) != 1 || len(rows[0].runs) != 3 {
		t.Fatalf("rows %+v", rows)
	}
	got := map[run]Result{}
	for i, v := range []float64{80, 90, 10} {
		got[rows[0].runs[i]] = Result{Runs: 3, Summary: map[string][3]float64{
			"mbit_s": {v, v - 1, v + 1}, "resent": {v / 10}, "timeouts": {1}}}
	}
	var b strings.Builder
	if !writeWanTable(&b, rows, got) {
		t.Error("80 of 90 is less than the goal, yet nothing counts as missed")
	}
	const want = "| rate 100mbit delay 5ms queue 125kb | cubic | 80.0 (79.0 to 81.0), 8 / 1 | 90.0 (89.0 to 91.0), 9 / 1 | 10.0 (9.00 to 11.0), 1 / 1 | **0.89** |"
	if lines := strings.Split(b.String(), "\n"); lines[2] != want {
		t.Errorf("row is\n%s\nwant\n%s", lines[2], want)
	}
	if all := wanRows("", "*", "*"); len(all) != 3*tabled {
		t.Errorf("%d rows of %d wires with three controls", len(all), tabled)
	}
	if bbr := wanRows("100M-10ms", "bbr", "gvisor"); len(bbr) != 1 || len(bbr[0].runs) != 0 {
		t.Errorf("gVisor has no BBR, but %+v", bbr)
	}
}

// Two wires with one seed lose the same packets, whoever sends them.
func TestASeedDecidesTheLuckOfAWire(t *testing.T) {
	lost := func(seed uint64) (fates []bool) {
		w, err := newWire(Profile{Text: "loss 20%"}, seed)
		if err != nil {
			t.Fatal(err)
		}
		arrived := make(chan struct{}, 1)
		wireEnd{rx: w}.Recv(func([]byte) { arrived <- struct{}{} })
		for range 100 {
			before := w.counters().Passed
			w.send(make([]byte, 100))
			passed := w.counters().Passed > before
			fates = append(fates, !passed)
			if passed {
				select {
				case <-arrived:
				case <-time.After(30 * time.Second):
					t.Fatal("a packet that was not lost did not arrive")
				}
			}
		}
		return fates
	}
	a, b, c := lost(7), lost(7), lost(8)
	if !slices.Equal(a, b) {
		t.Error("the same seed lost other packets")
	}
	if slices.Equal(a, c) {
		t.Error("another seed lost the same packets")
	}
}
