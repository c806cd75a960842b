package grid

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// cells are those that every change is measured by: 24 of at most 100 Mbit/s,
// some of several seeds.
func cells() []Cell {
	const m = 1_000_000
	ms := time.Millisecond
	paths := []Path{
		{Rate: 10 * m, RTT: 50 * ms, Queue: 100},
		{Rate: 10 * m, RTT: 100 * ms, Queue: 100},
		{Rate: 100 * m, RTT: 10 * ms, Queue: 100},
		{Rate: 100 * m, RTT: 50 * ms, Queue: 100},
		{Rate: 100 * m, RTT: 100 * ms, Queue: 100},
		{Rate: 100 * m, RTT: 50 * ms, Queue: 100, Reorder: 20_000},
		{Rate: 100 * m, RTT: 100 * ms, Queue: 100, Loss: 10_000},
		{Rate: 100 * m, RTT: 100 * ms, Queue: 100, GRO: true},
	}
	var all []Cell
	for _, a := range Algorithms() {
		for _, p := range paths {
			all = append(all, Cell{a, p})
		}
	}
	return all
}

// shortfalls are what the cells above do not reach; the table has all.
func shortfalls() map[string]bool {
	return map[string]bool{}
}

// Every cell reaches what is wanted of it, but for those that are known to
// fall short.
func TestCells(t *testing.T) {
	known := shortfalls()
	for _, c := range cells() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r, err := Run(c)
			if err != nil {
				t.Fatal(err)
			}
			ok := r.First >= c.wantFirst() && r.Late >= c.wantLate()
			switch {
			case !ok && !known[c.String()]:
				t.Errorf("first %v, wanted %v; late %v, wanted %v; %+v", r.First, c.wantFirst(), r.Late, c.wantLate(), r)
			case ok && known[c.String()]:
				t.Log("no longer falls short: take it off the list")
			}
		})
	}
}

// The same cell yields the same to the last packet.
func TestRepeatable(t *testing.T) {
	c := Cell{"reno", Path{Rate: 10_000_000, RTT: 50 * time.Millisecond, Queue: 25, Loss: 1000, Reorder: 1000, GRO: true}}
	a, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("%v: first %+v, then %+v", c, a, b)
	}
}

// On a path that loses packets and keeps their order every loss is a loss: none
// is taken for reordering, whatever retransmissions of one recovery are still on
// their way in the next. RFC 3522 §3.2 compares with the retransmission that is
// acknowledged.
func TestNoLossTakenBack(t *testing.T) {
	for _, a := range Algorithms() {
		for _, loss := range []int{1000, 10_000, 50_000} {
			c := Cell{a, Path{Rate: 100_000_000, RTT: 50 * time.Millisecond, Queue: 100, Loss: loss}}
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				r, err := Run(c)
				if err != nil {
					t.Fatal(err)
				}
				if r.Spurious > 0 || r.Recoveries == 0 {
					t.Errorf("%d of %d recoveries and %d timeouts were taken back", r.Spurious, r.Recoveries, r.Timeouts)
				}
			})
		}
	}
}

func readTable(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/grid.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The file is in the order and form in which the command writes it; rows that
// were never measured are named.
func TestTable(t *testing.T) {
	text := readTable(t)
	table := Parse(text)
	for _, r := range Rows() {
		if table.Line(r) == "" {
			t.Logf("%s: not measured; run go run ./sim/grid/cmd/grid -w", r.Key())
		}
	}
	if table.String() != text {
		t.Error("the file is not what the command would write; run go run ./sim/grid/cmd/grid -run '^$' -w")
	}
}

// Rows have names of their own, or lines would replace each other.
func TestRowKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows() {
		if seen[r.Key()] || strings.Contains(r.Key(), "\n") {
			t.Errorf("two rows are called %q", r.Key())
		}
		seen[r.Key()] = true
		if len(r.Name) >= nameWidth {
			t.Errorf("%q leaves no room behind the name of %d bytes", r.Name, nameWidth)
		}
	}
}

// What a path is made of, with numbers computed by hand.
func TestPath(t *testing.T) {
	for _, c := range []struct {
		p        Path
		segments int
		queue    int
		name     string
	}{
		{Path{Rate: 10_000_000, RTT: time.Millisecond, Queue: 100}, 0, 16, "10M 1ms q1"},
		{Path{Rate: 10_000_000, RTT: 10 * time.Millisecond, Queue: 400}, 8, 32, "10M 10ms q4"},
		{Path{Rate: 1_000_000_000, RTT: 300 * time.Millisecond, Queue: 25, Loss: 100}, 25000, 6250, "1G 300ms q0.25 loss 0.01%"},
		{Path{Rate: 1_000_000_000, RTT: 100 * time.Millisecond, Queue: 100, Plain: true}, 8333, 8333, "1G 100ms q1 plain"},
		{Path{Rate: 100_000_000, RTT: 50 * time.Millisecond, Queue: 100, Reorder: 20_000, GRO: true}, 416, 459, "100M 50ms q1 reorder 2% gro"},
	} {
		if c.p.Segments() != c.segments || c.p.queue() != c.queue || c.p.String() != c.name {
			t.Errorf("%v: BDP %d segments, queue %d; wanted %s, %d, %d", c.p, c.p.Segments(), c.p.queue(), c.name, c.segments, c.queue)
		}
		cell := Cell{"reno", c.p}
		if back, err := ParseCell(cell.String()); err != nil || back != cell {
			t.Errorf("ParseCell(%q) = %+v, %v", cell, back, err)
		}
	}
	for _, r := range []string{"", "reno", "reno 10 1ms q1", "reno 0M 1ms q1", "reno 10M 1 q1", "reno 10M 1ms q0.123", "reno 10M 1ms q1 loss", "reno 10M 1ms q1 lost 1%"} {
		if c, err := ParseCell(r); err == nil {
			t.Errorf("ParseCell(%q) = %v", r, c)
		}
	}
	p := Path{Rate: 100_000_000, RTT: time.Millisecond, Queue: 100}
	if got, want := p.capacity(10*time.Second), uint64(125_000_000)*1448/1500; got != want {
		t.Errorf("capacity of 10 s at 100 Mbit/s: %d bytes, not %d", got, want)
	}
}

// Jain's index of known shares.
func TestJain(t *testing.T) {
	const k = 1024
	for _, c := range []struct {
		x    []uint64
		want int
	}{{[]uint64{5000 * k, 5000 * k, 5000 * k, 5000 * k}, 1000}, {[]uint64{8000 * k, 0, 0, 0}, 250}, {[]uint64{3000 * k, 1000 * k}, 800}, {[]uint64{0, 0}, 0}} {
		if got := jain(c.x); got != c.want {
			t.Errorf("jain(%v) = %d, want %d", c.x, got, c.want)
		}
	}
}

// Four flows of one kind share a bottleneck.
func TestFair(t *testing.T) {
	for _, a := range Algorithms() {
		t.Run(a, func(t *testing.T) {
			t.Parallel()
			f, err := Fair(a, 1)
			if err != nil {
				t.Fatal(err)
			}
			if f.Least < leastJain {
				t.Error(f)
			}
		})
	}
}

// CUBIC beside NewReno where RFC 9438 §4.3 wants it as fair as Reno: the path is
// full, and neither starves.
func TestBeside(t *testing.T) {
	t.Parallel()
	n, err := Beside("cubic", "reno", Path{Rate: 10_000_000, RTT: 20 * time.Millisecond, Queue: 100}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n.Used[0]+n.Used[1] < 970 || min(n.Used[0], n.Used[1]) < 300 {
		t.Errorf("cubic has %v %%, reno %v %%", n.Used[0], n.Used[1])
	}
}

// Under random loss CUBIC's mean window is what RFC 9438 §5 says, and not less
// than NewReno's: 0.9 to 1.35 and 0.95, over 400 loss events of each seed.
func TestResponse(t *testing.T) {
	for _, at := range []struct {
		rtt  time.Duration
		loss int
	}{{10 * time.Millisecond, 2000}, {100 * time.Millisecond, 10_000}} {
		t.Run(fmt.Sprintf("%v %s", at.rtt, lossText(at.loss)), func(t *testing.T) {
			t.Parallel()
			text, err := compareResponse(at.rtt, at.loss, 2)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, short) {
				t.Error(text)
			}
		})
	}
}

// RFC 9438 §5 gives the response function in numbers, too: with RTT 0.1 s and a
// loss rate of 10^-4 CUBIC's window is 187 segments, at 10^-6 5926; Reno's, as in
// RFC 3649, is 1.2/sqrt(p).
func TestExpected(t *testing.T) {
	for _, c := range []struct {
		algorithm string
		p         float64
		want      float64
	}{{"cubic", 1e-4, 187}, {"cubic", 1e-6, 5926}, {"cubic", 1e-2, 12.2}, {"reno", 1e-4, 122}} {
		if got := expected(c.algorithm, 100*time.Millisecond, c.p); got < 0.99*c.want || got > 1.01*c.want {
			t.Errorf("%s, loss %g: %.1f segments, not %.1f", c.algorithm, c.p, got, c.want)
		}
	}
}

// 30 % loss in the first 2 s leaves no mark on what follows. T-CC-07.
func TestEarlyLoss(t *testing.T) {
	for _, a := range Algorithms() {
		t.Run(a, func(t *testing.T) {
			t.Parallel()
			e, err := EarlyLoss(a, 1, 50)
			if err != nil {
				t.Fatal(err)
			}
			if e.Late > 0 || e.Entries > earlyLossEvents {
				t.Error(e)
			}
		})
	}
}

func BenchmarkCell(b *testing.B) {
	c := Cell{"reno", Path{Rate: 100_000_000, RTT: 10 * time.Millisecond, Queue: 100}}
	packets := uint64(0)
	for range b.N {
		r, err := Run(c)
		if err != nil {
			b.Fatal(err)
		}
		packets += r.Packets
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
}
