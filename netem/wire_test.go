package netem

import (
	"fmt"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

const us = time.Microsecond

// sent is a packet of a test: when, how big, and its fate.
type sent struct {
	at   mono.Time
	size int
	Fate
}

// run sends n packets of one size, a fixed time apart.
func run(w *Wire, n, size int, gap time.Duration) []sent {
	out := make([]sent, n)
	for i := range out {
		at := mono.Start.Add(time.Duration(i) * gap)
		out[i] = sent{at, size, w.Send(at, size)}
	}
	return out
}

func parse(t testing.TB, text string) Config {
	t.Helper()
	c, err := ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// arrivals returns the first deliveries of those that arrive.
func arrivals(packets []sent) []mono.Time {
	var at []mono.Time
	for _, p := range packets {
		if p.N > 0 {
			at = append(at, p.At[0])
		}
	}
	return at
}

func inOrder(at []mono.Time) bool {
	for i := 1; i < len(at); i++ {
		if at[i] < at[i-1] {
			return false
		}
	}
	return true
}

// near fails unless got is within a tolerance in parts per thousand of want.
func near(t *testing.T, what string, got, want, perMille int) {
	t.Helper()
	if d := got - want; d*1000 > want*perMille || -d*1000 > want*perMille {
		t.Errorf("%s: got %d, want %d give or take %d per mille", what, got, want, perMille)
	}
}

// The zero wire delivers everything at once.
func TestCleanWire(t *testing.T) {
	w := New(Config{}, 1)
	for _, p := range run(w, 100, 1500, us) {
		if want := (Fate{At: [2]mono.Time{p.at}, N: 1}); p.Fate != want {
			t.Fatalf("sent at %v: %+v, want %+v", p.at, p.Fate, want)
		}
	}
	if c := w.Counters(); c.Packets != 100 || c.Bytes != 150_000 || c.Passed != 100 || c.Drops() != 0 {
		t.Errorf("counters %+v", c)
	}
}

// n packets sent at once take exactly n times their bits divided by the rate,
// to the nanosecond, also at rates where one packet's time is not whole.
func TestRateIsExact(t *testing.T) {
	tests := []struct {
		rate    string
		n, size int
		want    time.Duration // until the last one is there
	}{
		{"8mbit", 10, 1000, 10 * time.Millisecond},
		{"1gbit", 1000, 1500, 12 * time.Millisecond},
		{"3bit", 3, 1, 8 * time.Second},
		{"7mbit", 7000, 1000, 8 * time.Second},
		{"10gbit", 10_000, 64, 512 * us},
		{"10tbit", 10_000, 1, 8},
		{"100mbit", 1, 0, 0},
	}
	for _, tt := range tests {
		w := New(parse(t, "delay 5ms rate "+tt.rate), 1)
		p := run(w, tt.n, tt.size, 0)
		if got := p[tt.n-1].At[0].Sub(mono.Start); got != tt.want+5*time.Millisecond {
			t.Errorf("%d packets of %d bytes at %s: last after %v, want %v and the delay of 5ms", tt.n, tt.size, tt.rate, got, tt.want)
		}
	}
}

// A transmitter that was idle starts afresh: no credit is saved up.
func TestRateSavesNoCredit(t *testing.T) {
	w := New(Config{Rate: 8e6}, 1)
	for _, p := range run(w, 50, 1000, 3*time.Millisecond) {
		if got := p.At[0].Sub(p.at); got != time.Millisecond {
			t.Fatalf("sent at %v: took %v, want 1ms", p.at, got)
		}
	}
}

// A new rate holds for the packets sent after it.
func TestSetConfigChangesTheRate(t *testing.T) {
	const ms = time.Millisecond
	w := New(Config{Rate: 8e6}, 1)
	p := run(w, 2, 1000, 0)
	w.SetConfig(Config{Rate: 80e6})
	p = append(p, run(w, 1, 1000, 0)...)
	w.SetConfig(Config{})
	p = append(p, run(w, 1, 1000, 0)...)
	for i, want := range []time.Duration{ms, 2 * ms, 2*ms + 100*us, 2*ms + 100*us} {
		if got := p[i].At[0].Sub(mono.Start); got != want {
			t.Errorf("packet %d arrives after %v, want %v", i, got, want)
		}
	}
}

// The queue holds what its bound says beside the packet being sent, and has
// room again as transmissions begin.
func TestQueueBound(t *testing.T) {
	for _, text := range []string{"rate 8mbit queue 4p", "rate 8mbit queue 4kb", "rate 8mbit queue 4999b 9p"} {
		w := New(parse(t, text), 1)
		for i, p := range run(w, 8, 1000, 0) {
			if dropped := p.Reason == DroppedQueue; dropped != (i >= 5) || dropped != (p.N == 0) {
				t.Errorf("%s: packet %d: %+v; want five to pass: one sent, four waiting", text, i, p.Fate)
			}
		}
		if n, bytes := w.Queued(mono.Start); n != 4 || bytes != 4000 {
			t.Errorf("%s: %d packets, %d bytes wait, want 4 and 4000", text, n, bytes)
		}
		// After 1 ms the second one is being sent.
		now := mono.Start.Add(time.Millisecond)
		if n, _ := w.Queued(now); n != 3 {
			t.Errorf("%s: after 1ms %d wait, want 3", text, n)
		}
		if f := w.Send(now, 1000); f.N != 1 || f.At[0] != mono.Start.Add(6*time.Millisecond) {
			t.Errorf("%s: after 1ms: %+v, want delivery at 1.006s", text, f)
		}
		if f := w.Send(now, 1000); f.Reason != DroppedQueue {
			t.Errorf("%s: after 1ms, the second: %+v, want a drop", text, f)
		}
		if c := w.Counters(); c.Dropped[DroppedQueue] != 4 || c.QueuePeak != 4000 {
			t.Errorf("%s: counters %+v, want 4 drops and a peak of 4000", text, c)
		}
	}
}

// Without a bound of its own a queue ends at the package's bounds.
func TestQueueHardBounds(t *testing.T) {
	w := New(Config{Rate: 8e6}, 1)
	run(w, MaxQueuePackets+10, 1000, 0)
	if n, bytes := w.Queued(mono.Start); n != MaxQueuePackets || bytes != 1000*MaxQueuePackets {
		t.Errorf("%d packets, %d bytes wait, want %d packets", n, bytes, MaxQueuePackets)
	}
	if d := w.Counters().Dropped[DroppedQueue]; d != 9 {
		t.Errorf("%d dropped, want 9", d)
	}
	w = New(Config{Rate: 1e9}, 1)
	run(w, 2000, MaxPacket, 0)
	if _, bytes := w.Queued(mono.Start); bytes != MaxQueueBytes {
		t.Errorf("%d bytes wait, want %d", bytes, MaxQueueBytes)
	}
	w = New(Config{Rate: 1}, 1)
	p := run(w, 1000, 100, 0) // 800 s each
	for i := range p {
		if want := i*800 <= 3600; (p[i].N == 1) != want {
			t.Fatalf("packet %d at 1 bit/s: %+v, want arrival %v", i, p[i].Fate, want)
		}
	}
}

func TestMTUAndDown(t *testing.T) {
	w := New(Config{MTU: 1400}, 1)
	if f := w.Send(mono.Start, 1400); f.N != 1 {
		t.Errorf("1400 bytes: %+v", f)
	}
	if f := w.Send(mono.Start, 1401); f.Reason != DroppedMTU || f.N != 0 {
		t.Errorf("1401 bytes: %+v", f)
	}
	w.SetConfig(Config{Down: true})
	if f := w.Send(mono.Start, 100); f.Reason != DroppedDown {
		t.Errorf("down: %+v", f)
	}
	w.SetConfig(Config{})
	if f := w.Send(mono.Start, 100); f.N != 1 {
		t.Errorf("up again: %+v", f)
	}
	if f := w.Send(mono.Start, MaxPacket+1); f.Reason != DroppedMTU {
		t.Errorf("over MaxPacket: %+v", f)
	}
	if f := w.Send(mono.Start, -5); f.N != 1 {
		t.Errorf("a negative size: %+v", f)
	}
	if c := w.Counters(); c.Dropped[DroppedMTU] != 2 || c.Dropped[DroppedDown] != 1 || c.Bytes != 1400+1401+200+MaxPacket+1 {
		t.Errorf("counters %+v", c)
	}
}

// The policer passes its burst at once, then its rate, over any length.
func TestPolicer(t *testing.T) {
	w := New(parse(t, "police 8mbit 10kb"), 1)
	passed := len(arrivals(run(w, 50, 1000, 0)))
	if passed != 10 {
		t.Errorf("at once: %d of 1000 bytes passed, want 10", passed)
	}
	// 1000 bytes refill in 1 ms; offered is twice that for one second.
	w = New(parse(t, "police 8mbit 10kb"), 1)
	passed = len(arrivals(run(w, 2000, 1000, 500*us)))
	if want := 10 + 999; passed != want {
		t.Errorf("in a second: %d passed, want %d", passed, want)
	}
	if d := w.Counters().Dropped[DroppedPoliced]; int(d) != 2000-passed {
		t.Errorf("%d counted as policed, want %d", d, 2000-passed)
	}
}

// The share lost is the share asked for, whatever the seed: within five
// standard deviations of the binomial distribution.
func TestLossShare(t *testing.T) {
	const n = 60_000
	tests := []struct {
		text       string
		want, devs int // per n; five standard deviations
	}{
		{"loss 0.5%", 300, 87},
		{"loss 1%", 600, 122},
		{"loss 50%", 30_000, 613},
		{"loss 100%", n, 0},
		{"loss 0%", 0, 0},
	}
	for _, tt := range tests {
		for seed := range uint64(10) {
			w := New(parse(t, tt.text), seed)
			got := n - len(arrivals(run(w, n, 100, us)))
			if got < tt.want-tt.devs || got > tt.want+tt.devs {
				t.Errorf("%s, seed %d: lost %d of %d, want %d give or take %d", tt.text, seed, got, n, tt.want, tt.devs)
			}
			if c := w.Counters(); int(c.Dropped[DroppedLoss]) != got || int(c.Passed) != n-got {
				t.Errorf("%s, seed %d: counters %+v, %d lost", tt.text, seed, c, got)
			}
		}
	}
}

// With enter 1% and leave 25% runs of losses are 4 packets long on average,
// and 1 in 26 packets is lost. Independent losses come in runs of about 1.
func TestBurstLength(t *testing.T) {
	const n = 200_000
	for seed := range uint64(3) {
		losses, runs := lossRuns(run(New(parse(t, "burst 1% 25%"), seed), n, 100, us))
		near(t, fmt.Sprintf("seed %d: mean run x 1000", seed), 1000*losses/runs, 4000, 50)
		near(t, fmt.Sprintf("seed %d: losses", seed), losses, n/26, 60)
		losses, runs = lossRuns(run(New(parse(t, "loss 4%"), seed), n, 100, us))
		near(t, fmt.Sprintf("seed %d: single losses, mean run x 1000", seed), 1000*losses/runs, 1042, 20)
	}
	// Losses in both states: always bad after the first packet, 30% lost.
	losses, _ := lossRuns(run(New(parse(t, "burst 100% 0% 30% 90%"), 7), n, 100, us))
	near(t, "losses in the bad state", losses, n*3/10, 20)
	losses, _ = lossRuns(run(New(parse(t, "burst 0% 0% 30% 10%"), 7), n, 100, us))
	near(t, "losses in the good state", losses, n/10, 30)
}

func lossRuns(packets []sent) (losses, runs int) {
	for i, p := range packets {
		if p.N > 0 {
			continue
		}
		losses++
		if i == 0 || packets[i-1].N > 0 {
			runs++
		}
	}
	return losses, runs
}

// Jitter spreads arrivals over all of its width. A wire keeps its order unless
// it is told not to.
func TestJitterAndOrder(t *testing.T) {
	const n = 20_000
	for seed := range uint64(3) {
		kept := run(New(parse(t, "delay 10ms jitter 4ms"), seed), n, 100, 100*us)
		if !inOrder(arrivals(kept)) {
			t.Errorf("seed %d: order is not kept", seed)
		}
		free := run(New(parse(t, "delay 10ms jitter 4ms unordered"), seed), n, 100, 100*us)
		if inOrder(arrivals(free)) {
			t.Errorf("seed %d: order is kept", seed)
		}
		var low, high, sum time.Duration = time.Hour, 0, 0
		for i, p := range free {
			took := p.At[0].Sub(p.at)
			low, high, sum = min(low, took), max(high, took), sum+took
			if k := kept[i].At[0].Sub(p.at); k < took || k > 14*time.Millisecond {
				t.Fatalf("seed %d, packet %d: %v in order, %v without", seed, i, k, took)
			}
		}
		if low < 10*time.Millisecond || low > 10010*us || high > 14*time.Millisecond || high < 13990*us {
			t.Errorf("seed %d: transit from %v to %v, want 10ms to 14ms", seed, low, high)
		}
		near(t, fmt.Sprintf("seed %d: mean transit in µs", seed), int(sum/n/us), 12_000, 10)
	}
}

// A shorter delay does not let a packet pass those sent before, unless
// unordered.
func TestSetConfigKeepsOrder(t *testing.T) {
	for _, unordered := range []bool{false, true} {
		w := New(Config{Delay: time.Second}, 1)
		first := w.Send(mono.Start, 100)
		w.SetConfig(Config{Delay: time.Millisecond, Unordered: unordered})
		second := w.Send(mono.Start, 100)
		if passed := second.At[0] < first.At[0]; passed != unordered {
			t.Errorf("unordered %v: first at %v, second at %v", unordered, first.At[0], second.At[0])
		}
	}
}

// The held share arrives between MinHold and MaxHold late, the others on time
// and in order.
func TestReorder(t *testing.T) {
	const n, ms = 50_000, time.Millisecond
	for seed := range uint64(3) {
		w := New(parse(t, "delay 10ms reorder 2% 5ms-9ms"), seed)
		held := 0
		for i, p := range run(w, n, 100, 100*us) {
			late := p.At[0].Sub(p.at) - 10*ms
			if p.Held {
				held++
				if late < 5*ms || late > 9*ms {
					t.Fatalf("seed %d, packet %d: held by %v, want 5ms to 9ms", seed, i, late)
				}
			} else if late != 0 {
				t.Fatalf("seed %d, packet %d: not held, but late by %v", seed, i, late)
			}
		}
		near(t, fmt.Sprintf("seed %d: held", seed), held, n/50, 150)
		if c := w.Counters(); int(c.Held) != held {
			t.Errorf("seed %d: %d counted as held, want %d", seed, c.Held, held)
		}
	}
}

// A duplicate arrives with its original; unordered, at a time of its own;
// and it is not held with its original.
func TestDuplicate(t *testing.T) {
	const n = 50_000
	w := New(parse(t, "delay 10ms jitter 1ms duplicate 3%"), 1)
	twice := 0
	for i, p := range run(w, n, 100, 100*us) {
		if p.N == 2 {
			twice++
			if p.At[0] != p.At[1] {
				t.Fatalf("packet %d: copies at %v and %v", i, p.At[0], p.At[1])
			}
		}
	}
	near(t, "duplicates", twice, n*3/100, 150)
	if c := w.Counters(); int(c.Duplicated) != twice || c.Passed != n {
		t.Errorf("counters %+v, want %d duplicates", c, twice)
	}
	apart := 0
	for _, p := range run(New(parse(t, "jitter 1ms unordered duplicate 100%"), 1), 100, 100, 0) {
		if p.N == 2 && p.At[0] != p.At[1] {
			apart++
		}
	}
	if apart < 90 {
		t.Errorf("unordered: %d of 100 pairs arrive apart", apart)
	}
	f := New(parse(t, "delay 1ms reorder 100% 2ms duplicate 100%"), 1).Send(mono.Start, 100)
	if f.At[0].Sub(mono.Start) != 3*time.Millisecond || f.At[1].Sub(mono.Start) != time.Millisecond {
		t.Errorf("held with a duplicate: %+v", f)
	}
}

// Corruption names a bit inside the packet, each part of it as likely.
func TestCorrupt(t *testing.T) {
	const n, size = 50_000, 100
	w := New(parse(t, "corrupt 10%"), 1)
	hits, firstHalf := 0, 0
	for i, p := range run(w, n, size, us) {
		if p.Corrupt {
			hits++
			if p.Bit < 0 || p.Bit >= 8*size {
				t.Fatalf("packet %d: bit %d of %d", i, p.Bit, 8*size)
			}
			if p.Bit < 4*size {
				firstHalf++
			}
		}
	}
	near(t, "corrupted", hits, n/10, 100)
	near(t, "in the first half", firstHalf, hits/2, 100)
	if f := New(Config{Corrupt: Always}, 1).Send(mono.Start, 0); f.Corrupt {
		t.Errorf("an empty packet: %+v", f)
	}
}

// A queue over its threshold marks, one under it does not.
func TestCE(t *testing.T) {
	w := New(parse(t, "rate 8mbit ce-above 3kb"), 1)
	for i, p := range run(w, 8, 1000, 0) {
		if want := i > 3; p.CE != want {
			t.Errorf("packet %d: CE %v, want %v: from the fourth on more than 3 kB wait", i, p.CE, want)
		}
	}
	w = New(parse(t, "ce 5%"), 1)
	marks := 0
	for _, p := range run(w, 50_000, 100, us) {
		if p.CE {
			marks++
		}
	}
	near(t, "marks", marks, 2500, 100)
	if c := w.Counters(); int(c.Marked) != marks {
		t.Errorf("%d counted as marked, want %d", c.Marked, marks)
	}
}

const everything = "rate 100mbit queue 64kb delay 10ms jitter 3ms loss 1% burst 1% 25% " +
	"duplicate 2% reorder 2% corrupt 2% ce 2% ce-above 30kb mtu 1400b police 90mbit 100kb"

// The same seed gives the same fates; another seed gives others.
func TestDeterminism(t *testing.T) {
	a := run(New(parse(t, everything), 42), 5000, 1000, 80*us)
	b := run(New(parse(t, everything), 42), 5000, 1000, 80*us)
	c := run(New(parse(t, everything), 43), 5000, 1000, 80*us)
	differ := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("packet %d: %+v, the second time %+v", i, a[i].Fate, b[i].Fate)
		}
		if a[i] != c[i] {
			differ++
		}
	}
	if differ < 1000 {
		t.Errorf("another seed changes only %d of 5000 fates", differ)
	}
}

// These fates must never change, on any machine: recorded seeds depend on them.
func TestFatesAreFixed(t *testing.T) {
	w := New(parse(t, everything), 1)
	var sum uint64
	for i := range 20_000 {
		f := w.Send(mono.Start.Add(time.Duration(i)*70*us), 200+i%1300)
		sum = mix(sum ^ uint64(f.At[0]) ^ uint64(f.At[1])<<1 ^ uint64(f.Reason)<<60 ^ uint64(f.Bit)<<40)
	}
	if want := uint64(0xf514be75885034f0); sum != want {
		t.Errorf("the fates of seed 1 sum up to %#x, want %#x; counters %+v", sum, want, w.Counters())
	}
}

// A change of one probability leaves the luck in other respects alone.
func TestDrawsAreIndependent(t *testing.T) {
	a := run(New(parse(t, "loss 5%"), 9), 5000, 100, us)
	b := run(New(parse(t, "loss 5% jitter 1ms unordered corrupt 50% reorder 50% duplicate 50%"), 9), 5000, 100, us)
	for i := range a {
		if a[i].Reason != b[i].Reason {
			t.Fatalf("packet %d: %v alone, %v with other impairments", i, a[i].Reason, b[i].Reason)
		}
	}
}

// Every packet is either passed or dropped for a reason.
func TestCountersAddUp(t *testing.T) {
	w := New(parse(t, everything), 5)
	for i := range 20_000 {
		w.Send(mono.Start.Add(time.Duration(i)*70*us), 200+i%1300)
	}
	c := w.Counters()
	if c.Packets != 20_000 || c.Passed+c.Drops() != c.Packets || c.Dropped[Delivered] != 0 {
		t.Errorf("counters do not add up: %+v", c)
	}
	for r := DroppedMTU; r < NumReasons; r++ {
		if c.Dropped[r] == 0 {
			t.Errorf("nothing was dropped for %v: %+v", r, c)
		}
	}
	if Reason(200).String() != "reason 200" || DroppedQueue.String() != "queue" {
		t.Error("names of reasons are wrong")
	}
}
