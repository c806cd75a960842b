package differential

import (
	"slices"
	"testing"
	"time"
)

// made is a packet with a key and one field.
func made(step int, after time.Duration, key, win string) packet {
	return packet{step: step, after: after, key: key, text: key, field: map[string]string{"win": win}}
}

// A comparison finds what is missing, too much, late and different, and lets
// small distances in time pass.
func TestCompare(t *testing.T) {
	s := &script{name: "made up", steps: []step{{verb: "<"}, {verb: "wait"}, {verb: "read"}}}
	begin := []time.Duration{0, 5 * time.Millisecond, 300 * time.Millisecond}
	for _, x := range []struct {
		name         string
		kernel, ours []packet
		read         string
		want         []string
	}{
		{"the same", []packet{made(0, 0, "a", "open")}, []packet{made(0, 0, "a", "open")}, "10", nil},
		{"on either side of a wait's beginning", []packet{made(0, 4*time.Millisecond, "a", "open")}, []packet{made(1, 0, "a", "open")}, "10", nil},
		{"missing", []packet{made(0, 0, "a", "open"), made(1, 0, "b", "open")}, []packet{made(0, 0, "a", "open")}, "10", []string{"1 missing"}},
		{"too much", nil, []packet{made(2, 0, "a", "open")}, "10", []string{"3 extra"}},
		{"late", []packet{made(0, 0, "a", "open")}, []packet{made(1, 35*time.Millisecond, "a", "open")}, "10", []string{"1 time"}},
		{"an RTO a little later", []packet{made(1, 200*time.Millisecond, "a", "open")}, []packet{made(1, 225*time.Millisecond, "a", "open")}, "10", nil},
		{"another field", []packet{made(0, 0, "a", "open")}, []packet{made(0, 0, "a", "zero")}, "10", []string{"1 win"}},
		{"another order", []packet{made(0, 0, "a", "open"), made(0, 0, "b", "open")}, []packet{made(0, 0, "b", "open"), made(0, 0, "a", "open")}, "10", []string{"1 missing", "1 extra"}},
		{"another result", nil, nil, "EOF", []string{"3 result"}},
	} {
		k := &record{begin: begin, results: []string{"", "", "10"}, packets: x.kernel}
		o := &record{begin: begin, results: []string{"", "", x.read}, packets: x.ours}
		var got []string
		for _, d := range compare(s, k, o) {
			got = append(got, d.where)
		}
		slices.Sort(got)
		slices.Sort(x.want)
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: differences %q, want %q", x.name, got, x.want)
		}
	}
}

// An explanation is wanted for each difference, and a difference for each
// explanation that does not say that it is not always so.
func TestAsExplained(t *testing.T) {
	for _, x := range []struct {
		name  string
		diffs []difference
		known map[string]string
		want  bool
	}{
		{"nothing", nil, nil, true},
		{"explained", []difference{{where: "1 win"}}, map[string]string{"1 win": "x"}, true},
		{"not explained", []difference{{where: "1 win"}}, nil, false},
		{"no longer there", nil, map[string]string{"1 win": "x"}, false},
		{"not always there", nil, map[string]string{"1 win": "~x"}, true},
		{"one for another", []difference{{where: "1 win"}}, map[string]string{"2 win": "x"}, false},
	} {
		if got := asExplained(x.diffs, x.known); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

// A line that cannot be read is an error, not a step that does nothing.
func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"knob volume 11", "{tos x} < . 1:1(0) ack 1", "{tos 1 < . 1:1(0) ack 1", "< . 1:2(0) ack 1", "wait long", "wait"} {
		if s, err := parse(source{"made up", text}); err == nil {
			t.Errorf("%q: read as %+v", text, s.steps)
		}
	}
}
