package engine

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/handfast/handfast/wire"
)

// tableConn is an entry as a connection will be one.
type tableConn struct {
	flow Flow
	hash uint32
}

func (c *tableConn) key() (*Flow, uint32) { return &c.flow, c.hash }

func newTestTable(max int) table[tableConn, *tableConn] { return newTable[tableConn](max) }

// checkTable fails unless every entry is where a search finds it, the count is
// right and the table is neither too full nor too empty.
func checkTable(t *testing.T, tab *table[tableConn, *tableConn], want map[Flow]*tableConn) {
	t.Helper()
	n := 0
	for i := range tab.segments {
		s := &tab.segments[i]
		here := 0
		for _, e := range s.slots {
			if e == nil {
				continue
			}
			here++
			if got := tab.lookup(e.hash, &e.flow); got != e {
				t.Fatalf("%v stands in the table but a search gives %p, not %p", e.flow, got, e)
			}
			if want[e.flow] != e {
				t.Fatalf("%v stands in the table but should not", e.flow)
			}
		}
		if here != s.n || 4*here > 3*len(s.slots) {
			t.Fatalf("segment %d: %d entries, counted as %d, in %d slots", i, here, s.n, len(s.slots))
		}
		if len(s.slots) > segmentMinSlots && 8*here < len(s.slots) {
			t.Fatalf("segment %d: %d entries in %d slots: emptier than 1/8", i, here, len(s.slots))
		}
		n += here
	}
	if n != tab.len() || n != len(want) {
		t.Fatalf("%d entries, len %d, want %d", n, tab.len(), len(want))
	}
}

// tableSlots counts the slots of all segments.
func tableSlots(tab *table[tableConn, *tableConn]) (n int) {
	for i := range tab.segments {
		n += len(tab.segments[i].slots)
	}
	return n
}

// A table and a Go map get the same random insertions and removals, and stay
// the same. Hashes have few bits, so that runs are long and wrap around the
// end of the array.
func TestTableAgainstMap(t *testing.T) {
	for _, mask := range []uint32{0, 7, 63, 1<<32 - 1, 0xffff_ffc0} {
		t.Run(fmt.Sprintf("hash mask %#x", mask), func(t *testing.T) {
			rnd := newTestRand(uint64(mask))
			k := newSipKey(countingKey())
			tab, model := newTestTable(400), map[Flow]*tableConn{}
			var all []*tableConn
			for step := range 6000 {
				growing := step/1000%2 == 0
				if i := rnd.IntN(len(all) + 1); i < len(all) && rnd.IntN(4) > 0 != growing {
					e := all[i]
					all = slices.Delete(all, i, i+1)
					delete(model, e.flow)
					if !tab.remove(e) || tab.remove(e) {
						t.Fatalf("step %d: remove of %v: want true once", step, e.flow)
					}
				} else if len(all) < 400 {
					e := &tableConn{flow: rnd.flow4()}
					e.hash = k.flow13(&e.flow) & mask
					all, model[e.flow] = append(all, e), e
					if !tab.insert(e) {
						t.Fatalf("step %d: insert of %v refused", step, e.flow)
					}
				}
				if step%50 == 0 {
					checkTable(t, &tab, model)
				}
			}
			checkTable(t, &tab, model)
		})
	}
}

// What is not in the table is not found, also in the empty and the zero table.
func TestTableLookupMisses(t *testing.T) {
	f := newTestRand(1).flow4()
	var zero table[tableConn, *tableConn]
	if zero.lookup(1, &f) != nil || zero.remove(&tableConn{flow: f}) || zero.insert(&tableConn{flow: f}) {
		t.Error("the zero table is not empty and closed")
	}
	tab := newTestTable(10)
	tab.insert(&tableConn{flow: f, hash: 5})
	other := f
	other.LPort++
	if tab.lookup(5, &other) != nil {
		t.Error("a flow with the same hash is taken for another")
	}
	if tab.lookup(6, &f) != nil {
		t.Error("found under another hash")
	}
}

// A second entry of a flow, and one beyond the bound, are refused; removing
// an entry that merely equals the one in the table does nothing.
func TestTableRefuses(t *testing.T) {
	rnd := newTestRand(2)
	tab := newTestTable(2)
	a, b, c := &tableConn{flow: rnd.flow4()}, &tableConn{flow: rnd.flow4()}, &tableConn{flow: rnd.flow4()}
	twin := &tableConn{flow: a.flow}
	for _, s := range []struct {
		what string
		got  bool
		want bool
	}{
		{"insert a", tab.insert(a), true},
		{"insert a again", tab.insert(a), false},
		{"insert another of its flow", tab.insert(twin), false},
		{"insert b", tab.insert(b), true},
		{"insert c beyond the bound", tab.insert(c), false},
		{"remove the twin", tab.remove(twin), false},
		{"remove a", tab.remove(a), true},
		{"insert c", tab.insert(c), true},
	} {
		if s.got != s.want {
			t.Errorf("%s: %v, want %v", s.what, s.got, s.want)
		}
	}
}

// A table that was large gives its memory back.
func TestTableShrinks(t *testing.T) {
	rnd, k := newTestRand(3), newSipKey(countingKey())
	tab := newTestTable(1 << 20)
	var all []*tableConn
	for range 50_000 {
		e := &tableConn{flow: rnd.flow4()}
		e.hash = k.flow13(&e.flow)
		tab.insert(e)
		all = append(all, e)
	}
	if got := tableSlots(&tab); got < 50_000*4/3 || got > 1<<17 {
		t.Errorf("%d slots for 50,000 entries, want 66,667 to %d", got, 1<<17)
	}
	for _, e := range all {
		tab.remove(e)
	}
	if got, want := tableSlots(&tab), tableSegments*segmentMinSlots; got != want {
		t.Errorf("%d slots for no entries, want %d", got, want)
	}
}

// Two tables with the same history give their entries in the same order, and
// iteration ends when told.
func TestTableEachOrder(t *testing.T) {
	order := func() (flows []Flow) {
		rnd, k := newTestRand(4), newSipKey(countingKey())
		tab := newTestTable(1000)
		for i := range 500 {
			e := &tableConn{flow: rnd.flow4()}
			e.hash = k.flow13(&e.flow)
			tab.insert(e)
			if i%3 == 0 {
				tab.remove(e)
			}
		}
		tab.each(func(e *tableConn) bool { flows = append(flows, e.flow); return len(flows) < 300 })
		return flows
	}
	a, b := order(), order()
	if len(a) != 300 || !slices.Equal(a, b) {
		t.Errorf("%d and %d flows, equal: %v; want 300 twice and equal", len(a), len(b), slices.Equal(a, b))
	}
}

// fnv1a is the hash that an attacker knows.
func fnv1a(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// collidingFlows returns n flows to one local address and port, as different
// peers could open them, whose FNV-1a hashes agree in the low bits.
func collidingFlows(t *testing.T, n int, bitsEqual int) []Flow {
	t.Helper()
	mask := uint32(1)<<bitsEqual - 1
	flows := make([]Flow, 0, n)
	const prime = 16777619
	inverse := uint32(prime) // of prime, modulo 2^32, by Newton's steps
	for range 5 {
		inverse *= 2 - prime*inverse
	}
	in := []byte{10, 0, 0, 1, 10, 0, 0, 0, 80, 0, 0, 0} // LPort 80; what is 0 varies
	for prefix := uint32(0); len(flows) < n; prefix++ {
		in[5], in[6], in[7] = byte(prefix>>16), byte(prefix>>8), byte(prefix)
		h := fnv1a(in[:10])
		for last := range uint32(256) { // backwards from the sum to the byte before
			b := (h ^ ((0x1234*inverse)^last)*inverse) & mask
			if b < 256 {
				in[10], in[11] = byte(b), byte(last)
				flows = append(flows, flowOfBytes(in))
				break
			}
		}
	}
	return flows[:n]
}

// probes counts the slots that a search for an entry looks at.
func probes(tab *table[tableConn, *tableConn], e *tableConn) int {
	slots := tab.segment(e.hash).slots
	mask := uint32(len(slots) - 1)
	i, n := e.hash&mask, 1
	for slots[i] != e {
		i = (i + 1) & mask
		n++
	}
	return n
}

// 100,000 flows that all collide under an unkeyed hash, so that a table with
// that hash would be one run, cost at most 1.5 times the probes of random ones.
func TestTableCollidingFlows(t *testing.T) {
	const n = 100_000
	rnd, k := newTestRand(5), newSipKey(countingKey())
	random := make([]Flow, n)
	for i := range random {
		random[i] = rnd.flow4()
	}
	evil := collidingFlows(t, n, 18)
	total := func(flows []Flow, hash func(*Flow) uint32) (sum, most int) {
		tab := newTestTable(n)
		entries := make([]*tableConn, 0, len(flows))
		for _, f := range flows {
			e := &tableConn{flow: f, hash: hash(&f)}
			if !tab.insert(e) {
				t.Fatalf("%v twice", f)
			}
			entries = append(entries, e)
		}
		for _, e := range entries {
			p := probes(&tab, e)
			sum, most = sum+p, max(most, p)
		}
		return sum, most
	}
	good, _ := total(random, k.flow13)
	bad, most := total(evil, k.flow13)
	t.Logf("probes per search: random %.3f, built to collide %.3f (longest %d)", float64(good)/n, float64(bad)/n, most)
	if 2*bad > 3*good {
		t.Errorf("flows built to collide cost %d probes, random ones %d: more than 1.5 times", bad, good)
	}
	if most > 200 {
		t.Errorf("the longest search takes %d probes, want at most 200", most)
	}
	for _, f := range evil {
		var b [12]byte
		copy(b[:], f.Local[12:])
		copy(b[4:], f.Remote[12:])
		b[8], b[9], b[10], b[11] = byte(f.LPort), byte(f.LPort>>8), byte(f.RPort), byte(f.RPort>>8)
		if h := fnv1a(b[:]); h&(1<<18-1) != 0x1234 {
			t.Fatalf("%v does not collide under FNV-1a (%#x), so the test shows nothing", f, h)
		}
	}
}

// tableRec is a record of a slab that a table32 finds and a fifo queues.
type tableRec struct {
	fifoLinks
	flow Flow
	hash uint32
}

func (r *tableRec) key() (*Flow, uint32) { return &r.flow, r.hash }

// A table of slab records and a Go map get the same steps and stay the same.
func TestTable32AgainstMap(t *testing.T) {
	for _, mask := range []uint32{0, 31, 1<<32 - 1, 0xffff_ffc0} {
		t.Run(fmt.Sprintf("hash mask %#x", mask), func(t *testing.T) {
			rnd, k := newTestRand(uint64(mask)), newSipKey(countingKey())
			s, model := newSlab[tableRec](300), map[Flow]uint32{}
			var tab table32[tableRec, *tableRec]
			var all []uint32
			for step := range 6000 {
				growing := step/1000%2 == 0
				if i := rnd.IntN(len(all) + 1); i < len(all) && rnd.IntN(4) > 0 != growing {
					index := all[i]
					all = slices.Delete(all, i, i+1)
					delete(model, s.at(index).flow)
					if !tab.remove(&s, index) || tab.remove(&s, index) {
						t.Fatalf("step %d: remove of %d: want true once", step, index)
					}
					s.free(index)
				} else if index := s.alloc(); index != 0 {
					r := s.at(index)
					r.flow = rnd.flow4()
					r.hash = k.flow13(&r.flow) & mask
					all, model[r.flow] = append(all, index), index
					if !tab.insert(&s, index) || tab.insert(&s, index) {
						t.Fatalf("step %d: insert of %v: want true once", step, r.flow)
					}
				}
				if step%50 == 0 {
					checkTable32(t, &tab, &s, model)
				}
			}
			checkTable32(t, &tab, &s, model)
		})
	}
}

func checkTable32(t *testing.T, tab *table32[tableRec, *tableRec], s *slab[tableRec], want map[Flow]uint32) {
	t.Helper()
	got := map[Flow]uint32{}
	tab.each(func(index uint32) bool {
		r := s.at(index)
		got[r.flow] = index
		if found := tab.lookup(s, r.hash, &r.flow); found != index {
			t.Fatalf("%v stands in the table as %d but a search gives %d", r.flow, index, found)
		}
		return true
	})
	if tab.len() != len(want) || !maps.Equal(got, want) {
		t.Fatalf("the table has %d records (len %d), the map %d", len(got), tab.len(), len(want))
	}
	if n := len(tab.slots); 4*tab.len() > 3*n || n > table32MinSlots && 8*tab.len() < n {
		t.Fatalf("%d records in %d slots", tab.len(), n)
	}
	missing := Flow{Local: wire.Addr{0: 0x20}, LPort: 9}
	if found := tab.lookup(s, 0, &missing); found != 0 {
		t.Fatalf("a flow that is not there is found as %d", found)
	}
}

func TestTableAllocs(t *testing.T) {
	skipUnderRace(t)
	rnd, k := newTestRand(6), newSipKey(countingKey())
	tab := newTestTable(1000)
	var all []*tableConn
	for range 500 {
		e := &tableConn{flow: rnd.flow4()}
		e.hash = k.flow13(&e.flow)
		tab.insert(e)
		all = append(all, e)
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		e := all[i%len(all)]
		tab.remove(e)
		tab.insert(e)
		tab.lookup(e.hash, &e.flow)
		i++
	}); n != 0 {
		t.Errorf("%v allocations per step, want 0", n)
	}
}

func BenchmarkTable(b *testing.B) {
	for _, n := range []int{1000, 98_000, 780_000} { // the last two: nearly 3/4 full
		rnd, k := newTestRand(7), newSipKey(countingKey())
		tab := newTestTable(n)
		entries := make([]tableConn, n)
		others := make([]tableConn, 1<<14)
		for i := range entries {
			entries[i].flow = rnd.flow4()
			entries[i].hash = k.flow13(&entries[i].flow)
			tab.insert(&entries[i])
		}
		for i := range others {
			others[i].flow = rnd.flow4()
			others[i].hash = k.flow13(&others[i].flow)
		}
		b.Run(fmt.Sprintf("hit/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				e := &entries[i]
				if i += 7919; i >= n {
					i %= n
				}
				if tab.lookup(e.hash, &e.flow) != e {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("miss/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				e := &others[i&(1<<14-1)]
				i++
				if tab.lookup(e.hash, &e.flow) != nil {
					b.Fatal("found")
				}
			}
		})
		b.Run(fmt.Sprintf("resize/%d", n), func(b *testing.B) { // one segment
			for b.Loop() {
				tab.segments[0].resize(len(tab.segments[0].slots))
			}
		})
	}
}
