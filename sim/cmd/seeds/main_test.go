package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/handfast/handfast/sim/shards"
)

// files writes the reports of n shards of 30 seeds, of which one fails if
// failing is not 0.
func files(t *testing.T, n, failing uint64) []string {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i := range n {
		r := shards.Report{Part: shards.Part{From: 1, Seeds: 30, Shard: i, Shards: n}, Sums: map[string]uint64{"events": i}}
		for s := range r.All() {
			var err error
			if s == failing {
				err = errors.New("bytes are lost")
			}
			r.Add(s, s, err)
		}
		name := filepath.Join(dir, strconv.FormatUint(i, 10)+".json")
		f, err := os.Create(name)
		if err == nil {
			err = errors.Join(r.Write(f), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// The exit status says whether all is well, seeds failed, or the files are not
// a whole range.
func TestExitStatus(t *testing.T) {
	good, bad := files(t, 3, 0), files(t, 3, 17)
	for _, c := range []struct {
		args []string
		want int
		text string
	}{
		{append([]string{"merge"}, good...), 0, "30 seeds from 1 in 3 shards: 0 failed, digest "},
		{append([]string{"merge"}, bad...), 1, "seed 17: bytes are lost"},
		{append([]string{"merge"}, good[:2]...), 2, "1 of 3 shards are missing"},
		{append([]string{"merge"}, good[0], good[1], good[1]), 2, "twice"},
		{[]string{"merge", filepath.Join(t.TempDir(), "none")}, 2, "no such file"},
		{[]string{"merge"}, 2, "usage"},
		{[]string{"split", "a"}, 2, "usage"},
	} {
		var out strings.Builder
		if got := run(c.args, &out, &out); got != c.want || !strings.Contains(out.String(), c.text) {
			t.Errorf("%v: status %d, want %d with %q:\n%s", c.args, got, c.want, c.text, &out)
		}
	}
}
