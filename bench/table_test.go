package main

import (
	"strings"
	"testing"
)

func TestTableComparesWithTheBestVariant(t *testing.T) {
	rs := []row{{"bulk", "cpu", 1, "s",
		runsOf("c", []string{"gvisor a", "gvisor b", "kernel k", "handfast h"}),
		[]goal{{"gvisor", 0.5, "1/2"}, {"kernel", 0.5, "1/2"}}}}
	got := map[run]Result{}
	for i, v := range []float64{9, 4, 8, 3} {
		got[rs[0].runs[i]] = Result{Summary: map[string][3]float64{"cpu": {v, v - 1, v + 1}}}
	}
	var b strings.Builder
	if !writeTable(&b, rs, got) {
		t.Error("3 of the better 4 is more than 1/2, yet no target counts as missed")
	}
	const want = "| bulk, s | 3.00 (2.00 to 4.00) h | 4.00 (3.00 to 5.00) b; 9.00 (8.00 to 10.0) a | 8.00 (7.00 to 9.00) k " +
		"| 0.75 of gVisor > 1/2: **missed**; 0.38 of kernel ≤ 1/2: met |"
	if lines := strings.Split(b.String(), "\n"); lines[2] != want {
		t.Errorf("row is\n%s\nwant\n%s", lines[2], want)
	}
}

func TestTableWithoutOurPeerMissesNothing(t *testing.T) {
	rs := rows()
	got := map[run]Result{}
	for _, r := range rs {
		for _, j := range r.runs {
			if j.Peer != ourPeer {
				got[j] = Result{Summary: map[string][3]float64{r.figure: {2, 1, 3}}}
			}
		}
	}
	var b strings.Builder
	if writeTable(&b, rs, got) {
		t.Errorf("a target is missed without a figure:\n%s", &b)
	}
}

func TestEveryRunOfTheTableIsAVariant(t *testing.T) {
	for _, r := range rows() {
		for _, j := range r.runs {
			p := peers[j.Peer]
			if p == nil {
				continue
			}
			vs, err := variants(j.Case, p)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, v := range vs {
				found = found || v == j.Variant
			}
			if !found {
				t.Errorf("%v: %s has only %v", j, j.Peer, vs)
			}
		}
	}
}

func TestSummariseLeavesFailedRunsOut(t *testing.T) {
	s := summarise(run{"c", "p", "v"}, []Result{
		{M: metrics{"x": 3}}, {M: metrics{"x": 1}}, {M: metrics{"x": 99}, Err: "broken"}, {M: metrics{"x": 2}}})
	if s.Runs != 3 || s.Err != "broken" || s.Summary["x"] != [3]float64{2, 1, 3} {
		t.Errorf("summary %+v", s)
	}
}
