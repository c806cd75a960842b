package sim

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handfast/handfast/sim/shards"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

var (
	seeds   = flag.Int("seeds", 200, "how many worlds TestSeeds runs")
	from    = flag.Uint64("from", 1, "the first seed")
	verbose = flag.Bool("verbose", false, "TestVerbose writes down every event of the seed -from")
	shard   = flag.String("shard", "", "i/n: only every n-th seed, beginning with the i-th; else package shards says what decides")
	total   = flag.Uint64("shards", 0, "n, where JOB_COMPLETION_INDEX says which of them; 0: SEED_SHARDS")
	report  = flag.String("report", "", "a file for the results of TestSeeds, as JSON")
)

// Every world keeps the rules after each event, and every connection's end is
// explained. One world runs on one goroutine; several run side by side.
func TestSeeds(t *testing.T) {
	i, n, err := shards.Choose(*shard, *total, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	part := shards.Part{From: *from, Seeds: uint64(max(*seeds, 0)), Shard: i, Shards: n}
	if testing.Short() {
		part.Seeds = min(part.Seeds, 50)
	}
	p := newPool(t, part)
	next := make(chan uint64)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() { p.work(next) })
	}
	for s := range part.All() {
		next <- s
	}
	close(next)
	wg.Wait()
	p.conclude()
}

// pool is what the worlds of TestSeeds add up to.
type pool struct {
	t       *testing.T
	mu      sync.Mutex
	sum     Report
	reached edges
	result  shards.Report
}

func newPool(t *testing.T, part shards.Part) *pool {
	p := &pool{t: t, sum: Report{Reasons: map[tcp.Reason]int{}}}
	p.result = shards.Report{Part: part, Classes: make([]shards.Class, Classes)}
	for i := range p.result.Classes {
		p.result.Classes[i].Name = Name(i)
	}
	return p
}

// work runs seeds.
func (p *pool) work(next <-chan uint64) {
	var mine edges
	listen := Options{Trace: func(int) trace.Sink { return &mine }}
	for seed := range next {
		s := Generate(seed)
		r := runSafely(s, listen)
		p.take(seed, s.Faults, &r)
	}
	p.mu.Lock()
	p.reached.add(&mine)
	p.mu.Unlock()
}

// take adds what came of a seed.
func (p *pool) take(seed uint64, faults Class, r *Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.sum, r)
	for i := range p.result.Classes {
		p.result.Classes[i].Worlds += uint64(faults >> i & 1)
	}
	p.result.Add(seed, r.Hash, r.Err)
	switch failed := p.result.Failed; {
	case r.Err == nil:
	case failed <= 10:
		explainFailure(p.t, seed, r.Err)
	case failed == 11:
		p.t.Errorf("more seeds fail")
	}
}

// conclude looks at the sum and writes it down.
func (p *pool) conclude() {
	t, sum, part := p.t, &p.sum, p.result.Part
	all := part.Seeds >= 2000 && part.From == 1 && part.Shards == 1
	p.reached.report(t, all)
	for i, k := range sum.Happened {
		p.result.Classes[i].Happened = k
		if all && k == 0 && AllFaults>>i&1 != 0 {
			t.Errorf("%s: switched on, and it never happened", Name(i))
		}
	}
	if all && min(uint64(sum.FastOpens), sum.MarksIn, sum.MarkReductions, uint64(slices.Min(sum.Feedback[:]))) == 0 {
		t.Error("something below never happened")
	}
	t.Logf("faults: %v", happened(sum))
	t.Logf("SYNs with data: %d, connections by their feedback of marks: %d, marks in: %d, cwnd reduced for them: %d",
		sum.FastOpens, sum.Feedback, sum.MarksIn, sum.MarkReductions)
	t.Logf("%d events, %d packets (%d lost), %d bytes delivered, %d connections whole, ends: %v, failed seeds: %d, digest %016x",
		sum.Events, sum.Packets, sum.Drops, sum.Bytes, sum.Clean, sum.Reasons, p.result.Failed, uint64(p.result.Digest))
	p.result.Sums = map[string]uint64{"events": sum.Events, "packets": sum.Packets, "packets lost": sum.Drops,
		"bytes delivered": sum.Bytes, "connections whole": uint64(sum.Clean),
		"SYNs with data": uint64(sum.FastOpens), "marks that reached a TCP": sum.MarksIn, "reductions for marks": sum.MarkReductions}
	p.result.Ends = map[string]uint64{}
	for k, v := range sum.Reasons {
		p.result.Ends[k.String()] = uint64(v)
	}
	if *report == "" {
		return
	}
	f, err := os.Create(*report)
	if err == nil {
		err = errors.Join(p.result.Write(f), f.Close())
	}
	if err != nil {
		t.Errorf("-report: %v", err)
	}
}

// happened lists what happened by class.
func happened(r *Report) string {
	var b strings.Builder
	for i, k := range r.Happened {
		fmt.Fprintf(&b, " %s %d", Name(i), k)
	}
	return b.String()[1:]
}

func add(sum, r *Report) {
	for i, k := range r.Happened {
		sum.Happened[i] += k
	}
	sum.Events += r.Events
	sum.Packets += r.Packets
	sum.Bytes += r.Bytes
	sum.Drops += r.Drops
	sum.Clean += r.Clean
	sum.FastOpens += r.FastOpens
	sum.MarksIn += r.MarksIn
	sum.MarkReductions += r.MarkReductions
	for i, k := range r.Feedback {
		sum.Feedback[i] += k
	}
	for k, v := range r.Reasons {
		sum.Reasons[k] += v
	}
}

// runSafely turns a panic of the code under test into a failure of the seed.
func runSafely(s Scenario, o Options) (r Report) {
	defer func() {
		if p := recover(); p != nil {
			var b [4096]byte
			r.Err = fmt.Errorf("panic: %v\n%s", p, b[:runtime.Stack(b[:], false)])
		}
	}()
	return s.Run(o)
}

// explainFailure shrinks a failing scenario by switching classes of faults off,
// records it, and says how to run it again.
func explainFailure(t *testing.T, seed uint64, err error) {
	s := shrink(Generate(seed))
	name := filepath.Join(recordings(t), fmt.Sprintf("handfast-sim-seed-%d.pcapng", seed))
	f, ferr := os.Create(name)
	if ferr != nil {
		t.Errorf("recording: %v", ferr)
		return
	}
	small := runSafely(s, Options{Pcap: f})
	if cerr := f.Close(); cerr != nil {
		t.Errorf("recording: %v", cerr)
	}
	t.Errorf("seed %d: %v\nagain: go test ./sim -run TestSeeds -args -from=%d -seeds=1\n"+
		"shrunk: %v\n%srecorded (the shrunk one): %s", seed, err, seed, small.Err, &s, name)
}

// shrink switches off the classes of faults, and leaves out the connections,
// without which a scenario still fails.
func shrink(s Scenario) Scenario {
	for c := Class(1); c < AllFaults; c <<= 1 {
		if try := s.Without(c); runSafely(try, Options{}).Err != nil {
			s = try
		}
	}
	for i := len(s.Conns) - 1; i >= 0 && len(s.Conns) > 1; i-- {
		try := s
		try.Conns = append(append([]ConnSpec{}, s.Conns[:i]...), s.Conns[i+1:]...)
		if runSafely(try, Options{}).Err != nil {
			s = try
		}
	}
	return s
}

// Worlds in which nothing is wrong but that packets above a size vanish: no
// connection times out because of it, RFC 4821 §7.7. Readers do not stall for long,
// or connections that nobody holds any more would be given up.
func TestBlackHoles(t *testing.T) {
	sum := Report{Reasons: map[tcp.Reason]int{}}
	for seed := *from; seed < *from+100; seed++ {
		s := GenerateWith(seed, BlackHole)
		for i := range s.Conns {
			for j := range s.Conns[i].Ends {
				s.Conns[i].Ends[j].Read.StallFor = min(s.Conns[i].Ends[j].Read.StallFor, time.Second)
			}
		}
		r := runSafely(s, Options{})
		add(&sum, &r)
		if r.Err != nil || r.Reasons[tcp.ReasonTimeout] > 0 {
			t.Errorf("seed %d: %v, ends: %v\n%v", seed, r.Err, r.Reasons, &s)
		}
	}
	if sum.Happened[BlackHole.index()] == 0 {
		t.Error("nothing ever vanished")
	}
	t.Logf("faults: %v; ends: %v", happened(&sum), sum.Reasons)
}

// edges counts how often each edge of the state machine was passed.
type edges struct{ n [len(tcp.Edges)]int }

// Trace counts changes of state.
func (e *edges) Trace(ev *trace.Event) {
	if ev.Kind != trace.StateChange {
		return
	}
	for i := range tcp.Edges {
		d := &tcp.Edges[i]
		if uint8(d.From) == ev.From && uint8(d.To) == ev.To && uint8(d.On) == ev.On {
			e.n[i]++
			return
		}
	}
}

func (e *edges) add(o *edges) {
	for i, n := range o.n {
		e.n[i] += n
	}
}

// unseen are edges that no world passes visibly: listeners do not trace, and no
// program of a Scenario aborts in TIME-WAIT; SYN-RECEIVED goes back to LISTEN by
// a SYN only if a host that crashed draws a number inside the old window.
var unseen = map[tcp.Edge]bool{
	{From: tcp.Closed, To: tcp.Listen, On: tcp.OnPassiveOpen}: true,
	{From: tcp.Listen, To: tcp.Closed, On: tcp.OnClose}:       true,
	{From: tcp.TimeWait, To: tcp.Closed, On: tcp.OnAbort}:     true,
	{From: tcp.SynReceived, To: tcp.Listen, On: tcp.OnSYN}:    true,
}

// report says which edges were not passed, and fails if all ought to be.
func (e *edges) report(t *testing.T, all bool) {
	passed := 0
	for i, n := range e.n {
		d := tcp.Edges[i]
		d.RFC = ""
		switch {
		case n > 0:
			passed++
		case all && !unseen[d]:
			t.Errorf("no world went from %v to %v on %v", d.From, d.To, d.On)
		}
	}
	t.Logf("%d of %d edges of the state machine passed", passed, len(e.n))
}

// recordings is where recordings of failures outlive the test: with -artifacts
// the directory that go test keeps, else the system's for temporary files.
func recordings(t *testing.T) string {
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		return t.ArtifactDir()
	}
	return os.TempDir()
}
