package engine

import (
	"math"
	"testing"

	"github.com/handfast/handfast/wire"
)

func testPorts(t *testing.T, lo, hi uint16) *ports {
	t.Helper()
	p := newPorts(newSipKey(countingKey()))
	if !p.setRange(lo, hi) {
		t.Fatalf("range %d to %d refused", lo, hi)
	}
	return p
}

func allFree(uint16) bool { return false }

// The range of ephemeral ports can be as wide as 1024 to 65535, and every port of it is used (RFC 6056 §3.2).
// Deviation: the default is 32768 to 60999 as on Linux, because services listen below it.
func TestR6056_3_2_WholeRange(t *testing.T) {
	p := newPorts(newSipKey(countingKey()))
	if lo, hi := p.lo, p.lo+p.n-1; lo != 32768 || hi != 60999 {
		t.Errorf("the default range is %d to %d, want 32768 to 60999", lo, hi)
	}
	for _, c := range []struct {
		lo, hi uint16
		want   bool
	}{
		{1023, 65535, false}, {0, 65535, false}, {2000, 1999, false},
		{2000, 2000, true}, {49152, 65535, true}, {1024, 65535, true},
	} {
		if got := p.setRange(c.lo, c.hi); got != c.want {
			t.Errorf("range %d to %d: %v, want %v", c.lo, c.hi, got, c.want)
		}
	}
	rnd := newTestRand(1)
	local, remote := rnd.addr4(), rnd.addr4()
	held := map[uint16]bool{}
	for range 65535 - 1024 + 1 { // the same destination until nothing is left
		port, ok := p.pick(local, remote, 80, func(port uint16) bool { return held[port] })
		if !ok || held[port] || port < 1024 {
			t.Fatalf("port %d, %v after %d", port, ok, len(held))
		}
		held[port] = true
	}
	if port, ok := p.pick(local, remote, 80, func(port uint16) bool { return held[port] }); ok {
		t.Errorf("port %d when all are held", port)
	}
}

// A keyed hash of the addresses and the remote port decides where the ports for a destination begin, then a counter moves on (RFC 6056 §3.3.3).
// The steps are 1 to 8, at random (§3.3.5), as Linux has them since 2022.
func TestR6056_3_3_3_HashThenCounter(t *testing.T) {
	p := testPorts(t, 1024, 65535)
	rnd := newTestRand(2)
	local, remote := rnd.addr4(), rnd.addr4()
	last, _ := p.pick(local, remote, 443, allFree)
	steps := map[uint32]int{}
	for range 8000 {
		port, _ := p.pick(local, remote, 443, allFree)
		step := (uint32(port) + p.n - uint32(last)) % p.n
		steps[step]++
		last = port
	}
	for step := uint32(1); step <= portNoise; step++ {
		if steps[step] < 800 || steps[step] > 1200 {
			t.Errorf("%d of 8000 steps are %d, want about 1000", steps[step], step)
		}
	}
	if len(steps) != portNoise {
		t.Errorf("steps %v, want 1 to %d only", steps, portNoise)
	}
	// Each part of the destination, and the secret, changes where it begins.
	first := func(secret [16]byte, local, remote wire.Addr, rport uint16) uint16 {
		p := newPorts(newSipKey(secret))
		p.setRange(1024, 65535)
		port, _ := p.pick(local, remote, rport, allFree)
		return port
	}
	key, otherKey := countingKey(), countingKey()
	otherKey[15] ^= 0x80
	base := first(key, local, remote, 443)
	if first(key, local, remote, 443) != base {
		t.Error("the same secret and destination begin at another port")
	}
	for what, port := range map[string]uint16{
		"secret": first(otherKey, local, remote, 443), "local address": first(key, remote, remote, 443),
		"remote address": first(key, local, local, 443), "remote port": first(key, local, remote, 444),
	} {
		if port == base {
			t.Errorf("another %s begins at the same port %d", what, port)
		}
	}
}

// Ports in use are skipped one by one, so that a port that is free is found, and none is asked about twice (RFC 6056 §3.3.4).
func TestR6056_3_3_4_LastFreePort(t *testing.T) {
	p := testPorts(t, 30000, 30099)
	rnd := newTestRand(3)
	for free := uint16(30000); free <= 30099; free++ {
		asked := map[uint16]int{}
		port, ok := p.pick(rnd.addr4(), rnd.addr4(), 80, func(port uint16) bool { asked[port]++; return port != free })
		if !ok || port != free {
			t.Errorf("port %d, %v when only %d is free", port, ok, free)
		}
		for port, n := range asked {
			if n != 1 || port < 30000 || port > 30099 {
				t.Errorf("port %d was asked about %d times", port, n)
			}
		}
	}
	for _, pick := range []func(func(uint16) bool) (uint16, bool){
		func(used func(uint16) bool) (uint16, bool) { return p.pick(rnd.addr4(), rnd.addr4(), 80, used) },
		p.pickUnbound,
	} {
		asked := 0
		if port, ok := pick(func(uint16) bool { asked++; return true }); ok || port != 0 || asked != 100 {
			t.Errorf("port %d, %v after %d questions when none is free; want none after 100", port, ok, asked)
		}
	}
}

// A port that is chosen before the peer is known comes from a random place, not from the counters of the destinations (RFC 6056 §3.5).
func TestR6056_3_5_BoundBeforeConnect(t *testing.T) {
	p := testPorts(t, 1024, 65535)
	before := p.counters
	const n = 100_000
	counts := make([]int, 1<<16)
	for range n {
		port, ok := p.pickUnbound(allFree)
		if !ok {
			t.Fatal("no port")
		}
		counts[port]++
	}
	if h := entropy(counts, n); h < 15 {
		t.Errorf("entropy %.2f bits, want at least 15", h)
	}
	if p.counters != before {
		t.Error("the counters of the destinations have moved")
	}
}

// entropy returns the entropy of counts that add up to n, in bits.
func entropy(counts []int, n int) (h float64) {
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / float64(n)
			h -= p * math.Log2(p)
		}
	}
	return h
}

// correlation returns Pearson's r.
func correlation(x, y []float64) float64 {
	n := float64(len(x))
	var sx, sy, sxx, syy, sxy float64
	for i := range x {
		sx, sy = sx+x[i], sy+y[i]
		sxx, syy, sxy = sxx+x[i]*x[i], syy+y[i]*y[i], sxy+x[i]*y[i]
	}
	return (sxy/n - sx/n*sy/n) / math.Sqrt((sxx/n-sx/n*sx/n)*(syy/n-sy/n*sy/n))
}

// The port to a destination that was not used before has at least 14 bits of
// entropy, with the full and with the default range, although the destinations
// merely count up.
func TestPortEntropy(t *testing.T) {
	const n = 1 << 20
	local := wire.AddrFrom4([4]byte{10, 0, 0, 1})
	for _, c := range []struct {
		lo, hi uint16
		want   float64
	}{{1024, 65535, 15.9}, {32768, 60999, 14.7}} {
		p := testPorts(t, c.lo, c.hi)
		counts := make([]int, 1<<16)
		for i := range n {
			port, _ := p.pick(local, wire.AddrFrom4([4]byte{192, byte(i >> 16), byte(i >> 8), byte(i)}), 443, allFree)
			counts[port]++
		}
		h := entropy(counts, n)
		t.Logf("%d to %d: %.3f bits", c.lo, c.hi, h)
		if h < c.want {
			t.Errorf("%d to %d: %.3f bits of entropy, want at least %.1f", c.lo, c.hi, h, c.want)
		}
	}
}

// The ports to two destinations, neighbours in their addresses, are not
// correlated; nor are the steps from one port to the next.
func TestPortCorrelation(t *testing.T) {
	const n = 100_000
	p := testPorts(t, 1024, 65535)
	rnd := newTestRand(4)
	local := rnd.addr4()
	var x, y []float64
	for range n {
		remote := rnd.addr4()
		a, _ := p.pick(local, remote, 443, allFree)
		remote[15] ^= 1
		b, _ := p.pick(local, remote, 443, allFree)
		x, y = append(x, float64(a)), append(y, float64(b))
	}
	if r := correlation(x, y); math.Abs(r) >= 0.01 {
		t.Errorf("ports to neighbours: r = %.4f, want less than 0.01", r)
	}
	x, y = x[:0], y[:0]
	first, second := rnd.addr4(), rnd.addr4()
	lastA, _ := p.pick(local, first, 443, allFree)
	lastB, _ := p.pick(local, second, 443, allFree)
	for range n {
		a, _ := p.pick(local, first, 443, allFree)
		b, _ := p.pick(local, second, 443, allFree)
		x = append(x, float64((uint32(a)+p.n-uint32(lastA))%p.n))
		y = append(y, float64((uint32(b)+p.n-uint32(lastB))%p.n))
		lastA, lastB = a, b
	}
	if r := correlation(x, y); math.Abs(r) >= 0.01 {
		t.Errorf("steps to two destinations: r = %.4f, want less than 0.01", r)
	}
}

func TestPortAllocs(t *testing.T) {
	skipUnderRace(t)
	p := testPorts(t, 1024, 65535)
	rnd := newTestRand(5)
	local, remote := rnd.addr4(), rnd.addr4()
	held := newBindTable(10)
	k := binding{addr: local, port: 2000, proto: wire.ProtoTCP}
	if n := testing.AllocsPerRun(1000, func() {
		p.pick(local, remote, 80, func(port uint16) bool { return held.bound(wire.ProtoTCP, port) })
		held.acquire(k, false)
		held.release(k)
	}); n != 0 {
		t.Errorf("%v allocations per port, want 0", n)
	}
}

func BenchmarkPort(b *testing.B) {
	p := newPorts(newSipKey(countingKey()))
	rnd := newTestRand(6)
	local, remote := rnd.addr4(), rnd.addr4()
	b.Run("free", func(b *testing.B) {
		for b.Loop() {
			p.pick(local, remote, 80, allFree)
		}
	})
	// What exhaustion costs: a hash and a search in the table per port.
	b.Run("exhausted", func(b *testing.B) {
		k := newSipKey(countingKey())
		tab := newTestTable(1 << 16)
		for port := uint32(portLoLinux); port <= portHiLinux; port++ {
			e := &tableConn{flow: Flow{local, remote, uint16(port), 80}}
			e.hash = k.flow13(&e.flow)
			tab.insert(e)
		}
		held := newBindTable(1)
		for b.Loop() {
			f := Flow{Local: local, Remote: remote, RPort: 80}
			if _, ok := p.pick(local, remote, 80, func(port uint16) bool {
				f.LPort = port
				return held.bound(wire.ProtoTCP, port) || tab.lookup(k.flow13(&f), &f) != nil
			}); ok {
				b.Fatal("a port is free")
			}
		}
	})
}
