package shards

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// Every seed is in one part and in one only, whatever the division; also where
// numbers come round.
func TestPartsCoverRange(t *testing.T) {
	for _, c := range []struct{ from, seeds, shards uint64 }{
		{1, 2000, 1}, {1, 2000, 3}, {7, 10, 10}, {7, 10, 16}, {0, 0, 4}, {math.MaxUint64 - 2, 8, 3}, {1, 1, 2},
	} {
		seen := map[uint64]int{}
		for i := range c.shards {
			p := Part{From: c.from, Seeds: c.seeds, Shard: i, Shards: c.shards}
			n := uint64(0)
			for s := range p.All() {
				seen[s]++
				n++
			}
			if n != p.Len() {
				t.Errorf("%+v: %d seeds, Len says %d", p, n, p.Len())
			}
		}
		for k := range c.seeds {
			if seen[c.from+k] != 1 {
				t.Errorf("%+v: seed %d is run %d times", c, c.from+k, seen[c.from+k])
			}
		}
		if uint64(len(seen)) != c.seeds {
			t.Errorf("%+v: %d seeds", c, len(seen))
		}
	}
}

// What is given comes before the environment, and what makes no sense is said.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		shard  string
		shards uint64
		env    string // "NAME=value NAME=value"
		want   string // or a part of the error
	}{
		{"", 0, "", "0/1"},
		{"1/3", 0, "", "1/3"},
		{"1/3", 9, "JOB_COMPLETION_INDEX=2 SEED_SHARDS=5", "1/3"},
		{"", 3, "JOB_COMPLETION_INDEX=2", "2/3"},
		{"", 0, "JOB_COMPLETION_INDEX=2 SEED_SHARDS=5", "2/5"},
		{"", 4, "JOB_COMPLETION_INDEX=2 SEED_SHARDS=5", "2/4"},
		{"", 0, "JOB_COMPLETION_INDEX=0 JOB_COMPLETIONS=6", "0/6"},
		{"", 0, "JOB_COMPLETION_INDEX=1 JOB_COMPLETIONS=6 SEED_SHARDS=2", "1/2"},
		{"", 0, "JOB_COMPLETION_INDEX=2", "0/1"}, // a Job about something else
		{"", 1, "", "0/1"},
		{"3/3", 0, "", "shard 3 of 3"},
		{"1/0", 0, "", "shard 1 of 0"},
		{"1", 0, "", "want i/n"},
		{"1/2x", 0, "", "want i/n"},
		{"-1/2", 0, "", "want i/n"},
		{"", 3, "", "nothing says which"},
		{"", 0, "SEED_SHARDS=3", "nothing says which"},
		{"", 3, "JOB_COMPLETION_INDEX=3", "shard 3 of 3"},
		{"", 3, "JOB_COMPLETION_INDEX=two", "no number"},
		{"", 0, "JOB_COMPLETION_INDEX=0 SEED_SHARDS=many", "no number"},
		{"", MaxShards + 1, "JOB_COMPLETION_INDEX=0", "want i of n"},
	} {
		env := map[string]string{}
		for _, f := range strings.Fields(c.env) {
			name, value, _ := strings.Cut(f, "=")
			env[name] = value
		}
		i, n, err := Choose(c.shard, c.shards, func(name string) string { return env[name] })
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			var b strings.Builder
			b.WriteByte(byte('0' + i))
			b.WriteByte('/')
			b.WriteByte(byte('0' + n))
			got = b.String()
		}
		if !strings.Contains(got, c.want) || err == nil && got != c.want {
			t.Errorf("-shard=%q -shards=%d %s: %s, want %s", c.shard, c.shards, c.env, got, c.want)
		}
	}
}

// results runs seeds 10 to 29 in n shards, of which seed 17 fails.
func results(n uint64) []Report {
	var all []Report
	for i := range n {
		r := Report{Part: Part{From: 10, Seeds: 20, Shard: i, Shards: n}, Sums: map[string]uint64{}, Ends: map[string]uint64{},
			Classes: []Class{{Name: "loss"}, {Name: "burst"}}}
		for s := range r.All() {
			var err error
			if s == 17 {
				err = errors.New("stuck")
			}
			r.Add(s, s*s, err)
			r.Sums["events"] += s
			r.Ends["none"] += 2
			r.Classes[0].Worlds += s & 1
			r.Classes[1].Happened += s
		}
		all = append(all, r)
	}
	return all
}

// The total is the same however the range was divided, and in whatever order
// the reports come; they survive being written and read.
func TestMerge(t *testing.T) {
	whole, err := Merge(results(1))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Ran != 20 || whole.Failed != 1 || len(whole.Failures) != 1 || whole.Failures[0] != (Failure{17, "stuck"}) || whole.Digest == 0 {
		t.Errorf("%+v", whole)
	}
	for _, n := range []uint64{2, 3, 7, 20, 25} {
		var again []Report
		for _, r := range results(n) {
			var b bytes.Buffer
			if err := r.Write(&b); err != nil {
				t.Fatal(err)
			}
			back, err := Read(&b)
			if err != nil {
				t.Fatalf("%d shards: %v", n, err)
			}
			again = append([]Report{back}, again...)
		}
		got, err := Merge(again)
		if err != nil || !reflect.DeepEqual(got, whole) {
			t.Errorf("%d shards: %v\n%+v, want\n%+v", n, err, got, whole)
		}
	}
}

// A seed that behaves otherwise changes the digest; so does one world in
// another's place.
func TestDigest(t *testing.T) {
	digest := func(pairs ...uint64) Digest {
		var r Report
		for i := 0; i < len(pairs); i += 2 {
			r.Add(pairs[i], pairs[i+1], nil)
		}
		return r.Digest
	}
	a := digest(1, 5, 2, 6)
	if a != digest(2, 6, 1, 5) {
		t.Error("the digest depends on the order")
	}
	if a == digest(1, 5, 2, 7) || a == digest(1, 6, 2, 5) {
		t.Error("the digest does not depend on the hashes")
	}
}

// Reports that are not the whole of one range are refused, and it is said why.
func TestMergeRefuses(t *testing.T) {
	three, two := results(3), results(2)
	other := results(3)
	other[1].From = 11
	for _, c := range []struct {
		all  []Report
		want string
	}{
		{nil, "no reports"},
		{three[:2], "1 of 3 shards are missing, the first: [2]"},
		{[]Report{three[0], three[1], three[1]}, "shard 1 of 3 is there twice"},
		{[]Report{three[0], two[1]}, "in 3 shards, another of 20 from 10 in 2"},
		{other, "another of 20 from 11"},
	} {
		if _, err := Merge(c.all); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// A report that was cut off, is of something else or does not add up is
// refused.
func TestReadRefuses(t *testing.T) {
	text := func(change func(*Report)) string {
		r := results(2)[1]
		change(&r)
		var b bytes.Buffer
		r.Write(&b)
		return b.String()
	}
	if none := text(func(r *Report) { r.Failures = nil }); !strings.Contains(none, `"failures": []`) {
		t.Errorf("no list of failures: %s", none)
	}
	good := text(func(*Report) {})
	if _, err := Read(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"", "no report"},
		{good[:len(good)/2], "no report"},
		{`{"seed": 1}`, "no report"},
		{strings.Replace(good, `"digest": "`, `"digest": "z`, 1), "16 hexadecimal digits"},
		{text(func(r *Report) { r.Ran-- }), "ran 9 seeds of 10"},
		{text(func(r *Report) { r.Failures = nil }), "lists 0"},
		{text(func(r *Report) { r.Shards = 0 }), "want i of n"},
		{text(func(r *Report) { r.Classes = make([]Class, 65) }), "65 classes"},
	} {
		if _, err := Read(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// However many seeds fail, a report stays readable.
func TestManyFailures(t *testing.T) {
	r := Report{Part: Part{Seeds: 2 * MaxFailures, Shards: 1}}
	for s := uint64(2 * MaxFailures); s > 0; s-- {
		r.Add(s-1, 0, errors.New(strings.Repeat("x", 2*MaxText)))
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if back.Failed != 2*MaxFailures || len(back.Failures) != MaxFailures || back.Failures[MaxFailures-1].Seed != MaxFailures-1 {
		t.Errorf("%d failed, %d listed", back.Failed, len(back.Failures))
	}
}
