// Command bench measures TCP stacks side by side. Every measurement runs in a
// child process of its own, in a fresh network namespace, so that runs share
// neither a heap nor kernel state, and nothing leaves this machine.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Result is one line of output.
type Result struct {
	run
	Err     string                `json:"err,omitempty"`
	M       metrics               `json:"m,omitempty"`
	Summary map[string][3]float64 `json:"median_min_max,omitempty"`
	Runs    int                   `json:"runs,omitempty"`
}

// options are the flags.
type options struct {
	Case, Peer, Variant string
	N                   int
	T, Timeout, Quiet   time.Duration
	Profile             string
	Seed                uint64
	Watch               time.Duration
	Jobs                int
	List, Child         bool
}

func (o *options) register(fs *flag.FlagSet) {
	fs.IntVar(&o.N, "n", 3, "rounds; runs of different peers and variants are interleaved within a round")
	fs.DurationVar(&o.T, "t", 3*time.Second, "measured time of a run (wan: 10s is customary)")
	fs.DurationVar(&o.Timeout, "timeout", 90*time.Second, "limit after which a run is killed")
	fs.DurationVar(&o.Quiet, "quiet", 0, "wait up to this long, before each run, for the rest of the machine to be idle")
	fs.Uint64Var(&o.Seed, "seed", 1, "wan: luck of the wires in the first round; each round takes the next")
	fs.IntVar(&o.Jobs, "jobs", 1, "runs at the same time; more than 1 only for slow simulated links on an idle machine")
	fs.StringVar(&o.Peer, "peer", "gvisor,kernel", "comma-separated peers, each name[/config]")
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "table" {
		var o options
		fs := flag.NewFlagSet("table", flag.ExitOnError)
		o.register(fs)
		fs.Lookup("peer").DefValue = allPeers()
		o.Peer = allPeers()
		fs.Parse(os.Args[2:])
		os.Exit(table(o))
	}
	if len(os.Args) > 1 && os.Args[1] == "wan" {
		os.Exit(wanCommand(os.Args[2:]))
	}
	var o options
	o.register(flag.CommandLine)
	flag.DurationVar(&o.Watch, "watch", 0, "wan: how often to tell on standard error how the sender does")
	flag.StringVar(&o.Case, "case", "", "bulk-mem | bulk-tun | rr | crr | idle | wan | synflood")
	flag.StringVar(&o.Variant, "variant", "*", "comma-separated globs over the variants of the case")
	flag.StringVar(&o.Profile, "cpuprofile", "", "write a CPU profile of the (last) run here")
	flag.BoolVar(&o.List, "list", false, "list the variants and stop")
	flag.BoolVar(&o.Child, "child", false, "internal: perform one run in this process")
	flag.Parse()
	if o.Child {
		child(o)
		return
	}
	runs, err := o.selected()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if o.List || len(runs) == 0 {
		for _, r := range runs {
			fmt.Println(r.Case, r.Peer, r.Variant)
		}
		return
	}
	for _, s := range o.rounds(runs, os.Stdout) {
		line, _ := json.Marshal(s)
		fmt.Println(string(line))
	}
}

func allPeers() string {
	var names []string
	for n := range peers {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// selected lists the runs of a round that the flags ask for.
func (o options) selected() ([]run, error) {
	var runs []run
	for _, spec := range strings.Split(o.Peer, ",") {
		p, _, err := findPeer(spec)
		if err != nil {
			return nil, err
		}
		vs, err := variants(o.Case, p)
		if err != nil {
			return nil, err
		}
		for _, v := range vs {
			for _, g := range strings.Split(o.Variant, ",") {
				if ok, _ := path.Match(g, v); ok || g == "*" {
					runs = append(runs, run{o.Case, spec, v})
					break
				}
			}
		}
	}
	return runs, nil
}

// rounds performs every run o.N times, writes each result to out as a line of
// JSON, and returns the summaries in the order of runs.
func (o options) rounds(runs []run, out *os.File) []Result {
	all := map[run][]Result{}
	var mu sync.Mutex // all, out
	for range o.N {
		free := make(chan struct{}, max(o.Jobs, 1))
		var wg sync.WaitGroup
		for _, j := range runs {
			free <- struct{}{}
			awaitQuiet(o.Quiet)
			wg.Go(func() {
				defer func() { <-free }()
				r := o.spawn(j)
				line, _ := json.Marshal(r)
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(out, string(line))
				all[j] = append(all[j], r)
			})
		}
		wg.Wait()
		o.Seed++
	}
	var sums []Result
	for _, j := range runs {
		sums = append(sums, summarise(j, all[j]))
	}
	return sums
}

// awaitQuiet waits up to limit until all processors together do less than a
// fifth of one's work.
func awaitQuiet(limit time.Duration) {
	const step = 250 * time.Millisecond
	for end := time.Now().Add(limit); time.Now().Before(end); {
		b := machineBusy()
		time.Sleep(step)
		if machineBusy()-b < 0.2*step.Seconds() {
			return
		}
	}
}

// spawn performs one run in a child process.
func (o options) spawn(j run) Result {
	ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-child", "-case", j.Case, "-peer", j.Peer,
		"-variant", j.Variant, "-t", o.T.String(), "-cpuprofile", o.Profile,
		"-seed", strconv.FormatUint(o.Seed, 10), "-watch", o.Watch.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	r := Result{run: j}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.Err = err.Error()
		return r
	}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if json.Unmarshal(sc.Bytes(), &r) != nil {
			fmt.Fprintln(os.Stderr, sc.Text())
		}
	}
	if err := cmd.Wait(); err != nil && r.Err == "" {
		r.Err = err.Error()
	}
	return r
}

func child(o options) {
	r := Result{run: run{o.Case, o.Peer, o.Variant}}
	if o.Profile != "" {
		if f, err := os.Create(o.Profile); err == nil {
			pprof.StartCPUProfile(f)
			defer f.Close()
			defer pprof.StopCPUProfile()
		}
	}
	debug.SetGCPercent(100)
	m, err := measure(r.run, o)
	r.M = m
	if err != nil {
		r.Err = err.Error()
	}
	line, _ := json.Marshal(r)
	fmt.Println(string(line))
}

// summarise takes median, minimum and maximum of every figure of the runs that
// worked.
func summarise(j run, rs []Result) Result {
	s := Result{run: j, Summary: map[string][3]float64{}}
	vals := map[string][]float64{}
	for _, r := range rs {
		if r.Err != "" {
			s.Err = r.Err
			continue
		}
		s.Runs++
		for k, v := range r.M {
			vals[k] = append(vals[k], v)
		}
	}
	for k, v := range vals {
		slices.Sort(v)
		s.Summary[k] = [3]float64{v[len(v)/2], v[0], v[len(v)-1]}
	}
	return s
}
