package differential

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/handfast/handfast/internal/require"
	"golang.org/x/sys/unix"
)

var (
	write  = flag.Bool("write", false, "bring testdata/explained.txt up to date")
	only   = flag.String("script", "", "play only scripts whose name matches this regular expression, and show them")
	places = flag.Int("places", 24, "how many scripts are played to the kernel side by side")
)

const (
	explainedFile = "testdata/explained.txt"
	linuxPage     = "../../docs/linux.md"

	// attempts is how often a script is played before it counts as it came out:
	// a busy machine makes packets late.
	attempts = 5

	// minScripts is how many exchanges the run is to have.
	minScripts = 200

	firstPort = 5000

	// everywhere stands for any script, with a field instead of a step.
	everywhere = "*"

	// sometimes precedes the id of what is not there each time, because it
	// depends on instants that the kernel does not repeat.
	sometimes = "~"

	// unexplained stands in the file where a person has to put an id.
	unexplained = "?"
)

// allScripts returns every script, in the order of the files.
func allScripts() []source {
	return slices.Concat(openScripts(), closeScripts(), transferScripts(), lossScripts(), windowScripts(),
		oddScripts(), icmpScripts(), timerScripts(), urgentScripts(), ecnScripts())
}

// explanations are the ids by script and difference.
type explanations map[string]map[string]string

func readExplanations(t *testing.T) explanations {
	t.Helper()
	e := explanations{}
	f, err := os.Open(explainedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if strings.HasPrefix(in.Text(), "#") {
			continue
		}
		c := strings.Split(in.Text(), "\t")
		if len(c) != 3 {
			t.Fatalf("%s: %q is not three columns", explainedFile, in.Text())
		}
		e.add(c[0], c[1], c[2])
	}
	return e
}

func (e explanations) add(script, where, id string) {
	if e[script] == nil {
		e[script] = map[string]string{}
	}
	e[script][where] = id
}

// general returns the id of what explains a difference in every script.
func (e explanations) general(d *difference) string {
	_, field, _ := strings.Cut(d.where, " ")
	return e[everywhere][field]
}

// particular returns the differences that only their script explains, and notes
// in met which general explanations the others need.
func (e explanations) particular(all []difference, met map[string]bool) (rest []difference) {
	for i := range all {
		if e.general(&all[i]) == "" {
			rest = append(rest, all[i])
			continue
		}
		_, field, _ := strings.Cut(all[i].where, " ")
		met[field] = true
	}
	return rest
}

func (e explanations) write() error {
	var b strings.Builder
	b.WriteString("# Where our Engine and the Linux kernel differ: the script, the step and what of it, and the explanation in docs/linux.md.\n")
	b.WriteString("# The first two columns are made by go test ./internal/differential -write; the third is for a person to say:\n")
	b.WriteString("# with ~ before it, it is not there each time, because it depends on instants that the kernel does not repeat.\n")
	for _, s := range slices.Sorted(maps.Keys(e)) {
		lines := make([]string, 0, len(e[s]))
		for where, id := range e[s] {
			lines = append(lines, fmt.Sprintf("%s\t%s\t%s\n", s, where, id))
		}
		slices.SortFunc(lines, byStep)
		b.WriteString(strings.Join(lines, ""))
	}
	return os.WriteFile(explainedFile, []byte(b.String()), 0o644)
}

// byStep orders lines of one script by the number of the step.
func byStep(a, b string) int {
	var i, j int
	fmt.Sscanf(strings.Split(a, "\t")[1], "%d", &i)
	fmt.Sscanf(strings.Split(b, "\t")[1], "%d", &j)
	if i != j {
		return i - j
	}
	return strings.Compare(a, b)
}

// outcome is what came of one script.
type outcome struct {
	diffs        []difference
	kernel, ours *record
	err          error
	tries        int
	met          map[string]bool // general explanations that it needed
}

// playBoth plays a script to the kernel and then to the Engine.
func playBoth(pl *place, s *script, n int) (o outcome) {
	dut, peer, port := dut4, peerAddr(n, s.v6()), uint16(firstPort+n)
	if s.v6() {
		dut = dut6
	}
	k, err := newKernelSide(pl, s, dut, peer, port)
	if err != nil {
		k.end(s)
		return outcome{err: err}
	}
	o.kernel = newPlayer(s, k, dut, peer, port).play()
	if o.err = k.end(s); o.err == nil {
		o.err = k.failed
	}
	e := newEngineSide(s, o.kernel.begin, dut, peer, port)
	o.ours = newPlayer(s, e, dut, peer, port).play()
	if o.err == nil {
		o.err = e.h.Err()
	}
	o.diffs = compare(s, o.kernel, o.ours)
	return o
}

// untilAsExplained plays a script until it differs as explained, or often
// enough to believe what is seen.
func untilAsExplained(pl *place, s *script, n int, known explanations) (o outcome) {
	for try := range attempts {
		o = playBoth(pl, s, n+try*1000)
		o.tries, o.met = try+1, map[string]bool{}
		o.diffs = known.particular(o.diffs, o.met)
		if o.err != nil || asExplained(o.diffs, known[s.name]) {
			break
		}
	}
	return o
}

func asExplained(diffs []difference, known map[string]string) bool {
	seen := map[string]bool{}
	for _, d := range diffs {
		if seen[d.where] = true; known[d.where] == "" {
			return false
		}
	}
	for where, id := range known {
		if !seen[where] && !strings.HasPrefix(id, sometimes) {
			return false
		}
	}
	return true
}

// TestAgainstLinux plays every script to both and wants each difference
// explained, and each explanation needed.
func TestAgainstLinux(t *testing.T) {
	require.TUN(t)
	require.Tool(t, "ip")
	pattern := regexp.MustCompile(*only)
	var scripts []*script
	names := map[string]bool{}
	for _, src := range allScripts() {
		s, err := parse(src)
		if err != nil {
			t.Fatal(err)
		}
		if names[s.name] {
			t.Fatalf("two scripts are called %s", s.name)
		}
		names[s.name] = true
		scripts = append(scripts, s)
	}
	if len(scripts) < minScripts {
		t.Errorf("%d scripts, want %d at least", len(scripts), minScripts)
	}
	known := readExplanations(t)
	outcomes := playAll(t, scripts, pattern, known)
	retried := 0
	for i, s := range scripts {
		if o := outcomes[i]; o != nil {
			t.Run(s.name, func(t *testing.T) { judge(t, s, o, known[s.name]) })
			if o.tries > 1 {
				retried++
			}
		}
	}
	t.Logf("%d scripts, %d played more than once; kernel %s", len(scripts), retried, kernelRelease())
	if *write {
		for i, s := range scripts {
			if outcomes[i] != nil {
				known.renew(s.name, outcomes[i].diffs)
			}
		}
		for name := range known {
			if !names[name] && name != everywhere {
				delete(known, name)
			}
		}
		if err := known.write(); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name := range known {
		if !names[name] && name != everywhere {
			t.Errorf("%s explains script %s, which is none", explainedFile, name)
		}
	}
	if *only == "" {
		for field, id := range known[everywhere] {
			if !slices.ContainsFunc(outcomes, func(o *outcome) bool { return o.met[field] }) {
				t.Errorf("%s no longer differs anywhere (%s)", field, id)
			}
		}
	}
}

// playAll plays the scripts that match at several places at once.
func playAll(t *testing.T, scripts []*script, pattern *regexp.Regexp, known explanations) []*outcome {
	t.Helper()
	outcomes := make([]*outcome, len(scripts))
	turn := make(chan int, len(scripts))
	for i, s := range scripts {
		if pattern.MatchString(s.name) {
			turn <- i
		}
	}
	close(turn)
	var wg sync.WaitGroup
	for range min(*places, len(turn)) {
		pl := newPlace(t)
		wg.Go(func() {
			for i := range turn {
				o := untilAsExplained(pl, scripts[i], i, known)
				outcomes[i] = &o
			}
		})
	}
	wg.Wait()
	return outcomes
}

func kernelRelease() string {
	var u unix.Utsname
	unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

// judge says what is wrong with the outcome of a script.
func judge(t *testing.T, s *script, o *outcome, known map[string]string) {
	if o.err != nil {
		t.Fatal(o.err)
	}
	for i, r := range o.kernel.results {
		if r == "no such call" {
			t.Errorf("step %d: no call %q", i+1, s.steps[i].line)
		}
	}
	seen := map[string]bool{}
	for _, d := range o.diffs {
		seen[d.where] = true
		if id := known[d.where]; id == "" || id == unexplained {
			t.Errorf("step %s is not explained:\n  Linux %s\n  ours  %s", d.where, d.kernel, d.ours)
		}
	}
	for where, id := range known {
		if !seen[where] && !strings.HasPrefix(id, sometimes) {
			t.Errorf("step %s (%s) no longer differs: take it out of %s (or run with -write)", where, id, explainedFile)
		}
	}
	if t.Failed() || *only != "" {
		t.Logf("Linux:\n%sours:\n%s", transcript(s, o.kernel), transcript(s, o.ours))
	}
}

// renew makes the list of a script what it should be; what is new has no
// explanation.
func (e explanations) renew(script string, diffs []difference) {
	old := e[script]
	delete(e, script)
	for where, id := range old {
		if strings.HasPrefix(id, sometimes) {
			e.add(script, where, id)
		}
	}
	for _, d := range diffs {
		id := old[d.where]
		if id == "" {
			id = unexplained
		}
		e.add(script, d.where, id)
	}
}

// tableRow is a line of the page's table: its first column is an id in
// backquotes.
var tableRow = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\|")

// TestPage wants docs/linux.md to explain what is used, and nothing else.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(linuxPage)
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, m := range tableRow.FindAllSubmatch(page, -1) {
		id := string(m[1])
		if explained[id] {
			t.Errorf("%s explains %s twice", linuxPage, id)
		}
		explained[id] = true
	}
	used := map[string]bool{}
	for script, ids := range readExplanations(t) {
		for where, id := range ids {
			id = strings.TrimPrefix(id, sometimes)
			used[id] = true
			if !explained[id] {
				t.Errorf("%s does not explain %q (script %s, step %s)", linuxPage, id, script, where)
			}
		}
	}
	for id := range explained {
		if !used[id] {
			t.Errorf("%s explains %s, which no script meets", linuxPage, id)
		}
	}
}
