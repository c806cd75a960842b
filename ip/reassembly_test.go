package ip

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// reasm is a Reassembler under test.
type reasm struct {
	t    testing.TB
	pool pkt.Pool
	r    *Reassembler
	now  mono.Time
}

func newReasm(t testing.TB, c ReassemblyConfig) *reasm {
	x := &reasm{t: t, now: t0}
	x.r = NewReassembler(&x.pool, c)
	return x
}

// add takes one fragment in. It returns the whole packet when there is one.
func (x *reasm) add(b []byte) (whole []byte, d Datagram, r Reason) {
	x.t.Helper()
	d, r = parse(b)
	if r != ReasonNone || !d.Fragment {
		x.t.Fatalf("not a fragment: %v %+v\n%x", r, d, b)
	}
	p := received(&x.pool, b, d.L4)
	done, r := x.r.Add(x.now, &d, p)
	if x.r.Charged() > x.r.c.Memory {
		x.t.Fatalf("%d bytes charged, the cap is %d", x.r.Charged(), x.r.c.Memory)
	}
	if done != nil {
		if done.L3 != 0 || r == ReasonNone && (int(done.L4) != d.L4 || d.Fragment || len(done.Head) < d.L4) {
			x.t.Errorf("a whole packet with L3 %d L4 %d and %d bytes of Head: %+v", done.L3, done.L4, len(done.Head), d)
		}
		whole = done.AppendTo(nil)
		done.Release()
	}
	return whole, d, r
}

// end closes the Reassembler and fails on anything left.
func (x *reasm) end() {
	x.t.Helper()
	x.r.Close()
	if x.r.Charged() != 0 || x.r.Len() != 0 || len(x.r.sources) != 0 || x.r.Deadline().IsSet() {
		x.t.Errorf("after Close: %d bytes, %d datagrams, %d sources, deadline %v", x.r.Charged(), x.r.Len(), len(x.r.sources), x.r.Deadline())
	}
	if c, p := x.pool.Outstanding(); c != 0 || p != 0 {
		x.t.Errorf("%d chunks and %d packets leaked", c, p)
	}
}

// frag4 and frag6 return a fragment: bytes off to end of payload.
func frag4(payload []byte, off, end int, more bool) []byte {
	f := v4{id: 9, off: off, payload: payload[off:end]}
	if more {
		f.flags = wire.IPv4MF
	}
	return f.bytes()
}

func frag6(payload []byte, off, end int, more bool) []byte {
	return v6{exts: []ext{options(60), fragHeader(off, more, 9)}, payload: payload[off:end]}.bytes()
}

var families = []struct {
	name string
	v6   bool
	frag func(payload []byte, off, end int, more bool) []byte
}{{"IPv4", false, frag4}, {"IPv6", true, frag6}}

// Fragments make the datagram in any order of arrival, and with duplicates. RFC 815.
func TestR815_1_AnyOrder(t *testing.T) {
	payload := pattern(67)
	cuts := [][2]int{{0, 16}, {16, 40}, {40, 64}, {64, 67}}
	for _, f := range families {
		permute(4, func(order []int) {
			x := newReasm(t, ReassemblyConfig{})
			for k, i := range order {
				b := f.frag(payload, cuts[i][0], cuts[i][1], i < 3)
				whole, d, r := x.add(b)
				if r != ReasonNone || (whole != nil) != (k == 3) {
					t.Fatalf("%s, order %v, fragment %d: %v, whole: %v", f.name, order, k, r, whole != nil)
				}
				if k < 3 {
					if whole, _, r = x.add(b); whole != nil || r != ReasonFragmentDuplicate {
						t.Fatalf("%s, order %v: a duplicate is %v", f.name, order, r)
					}
					continue
				}
				if !bytes.Equal(whole[d.L4:], payload) || d.Len() != len(payload) || d.Proto != wire.ProtoUDP {
					t.Fatalf("%s, order %v: %+v\n%x", f.name, order, d, whole)
				}
				if d2, r := parse(whole); r != ReasonNone || d2 != d {
					t.Fatalf("%s: the whole does not parse: %v\n%+v\n%+v", f.name, r, d2, d)
				}
			}
			x.end()
		})
	}
}

// What Fragment cuts the Reassembler puts together, whatever the order, and the
// transport checksum is right in the end.
func TestFragmentAndReassemble(t *testing.T) {
	const seed = 29
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 200 {
		is4, n, mtu := i%2 == 0, rng.IntN(40_000), MinMTU6+rng.IntN(300)
		x := newReasm(t, ReassemblyConfig{})
		frags := cut(t, &x.pool, is4, n, mtu, i%3 == 0)
		if len(frags) < 2 {
			continue
		}
		rng.Shuffle(len(frags), func(a, b int) { frags[a], frags[b] = frags[b], frags[a] })
		for k, b := range frags {
			whole, d, r := x.add(b)
			if (whole != nil) != (k == len(frags)-1) || r != ReasonNone {
				t.Fatalf("seed %d round %d: %d bytes in MTU %d, fragment %d of %d: %v", seed, i, n, mtu, k, len(frags), r)
			}
			if whole != nil && wire.Sum(whole[d.L4:], wire.PseudoSum(&d.Src, &d.Dst, d.Proto, uint32(d.Len()))) != 0xffff {
				t.Fatalf("seed %d round %d: the UDP checksum is wrong", seed, i)
			}
		}
		x.end()
	}
}

// A datagram that would be longer with the first fragment's header than a length
// field can say is dropped once both are known.
func TestReassembledTooLong(t *testing.T) {
	opts := bytes.Repeat([]byte{1}, 40)
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		x := newReasm(t, ReassemblyConfig{})
		frags := [][]byte{
			v4{flags: wire.IPv4MF, opts: opts, payload: pattern(8)}.bytes(),
			v4{off: 65504, payload: pattern(8)}.bytes(), // ends at 65512: too much for a header of 60
		}
		x.add(frags[order[0]])
		if _, _, r := x.add(frags[order[1]]); r != ReasonFragmentRange {
			t.Errorf("order %v: %v, want %v", order, r, ReasonFragmentRange)
		}
		x.end()
	}
}

// The datagram that began first goes first, although the families' timeouts differ.
func TestEvictsOldestOfBothFamilies(t *testing.T) {
	const one = recordCost + pieceCost + pkt.Small
	payload := pattern(64)
	for _, six := range []bool{true, false} { // which family is older
		x := newReasm(t, ReassemblyConfig{Memory: 2*one + one/2})
		old, young := frag4(payload, 8, 16, true), frag6(payload, 8, 16, true)
		if six {
			old, young = young, old
		}
		x.add(old)
		x.now = x.now.Add(time.Second)
		x.add(young)
		x.now = x.now.Add(time.Second)
		x.add(v4{id: 77, off: 8, flags: wire.IPv4MF, payload: pattern(8)}.bytes())
		if _, _, r := x.add(young); r != ReasonFragmentDuplicate || x.r.Stats().Evicted != 1 {
			t.Errorf("IPv6 older %v: the younger one is gone: %v, %+v", six, r, x.r.Stats())
		}
		x.end()
	}
}

// permute calls f with all orders of n things.
func permute(n int, f func([]int)) {
	order := make([]int, 0, n)
	var step func(used int)
	step = func(used int) {
		if len(order) == n {
			f(order)
			return
		}
		for i := range n {
			if used&(1<<i) == 0 {
				order = append(order, i)
				step(used | 1<<i)
				order = order[:len(order)-1]
			}
		}
	}
	step(0)
}

// The last fragment fixes the length; fragments that disagree drop the datagram. RFC 815 §3.
func TestR815_1_TwoLengths(t *testing.T) {
	payload := pattern(64)
	for _, f := range families {
		for name, seq := range map[string][]struct {
			off, end int
			more     bool
		}{
			"two ends":             {{32, 40, false}, {40, 48, false}},
			"shorter end":          {{32, 40, false}, {24, 30, false}},
			"beyond the end":       {{32, 40, false}, {48, 56, true}},
			"end before the known": {{32, 40, true}, {8, 16, false}},
		} {
			x := newReasm(t, ReassemblyConfig{})
			x.add(f.frag(payload, seq[0].off, seq[0].end, seq[0].more))
			if _, _, r := x.add(f.frag(payload, seq[1].off, seq[1].end, seq[1].more)); r != ReasonFragmentOverlap {
				t.Errorf("%s, %s: %v, want %v", f.name, name, r, ReasonFragmentOverlap)
			}
			x.end()
		}
	}
}

// An overlap drops the whole datagram in silence, with the fragments still to come. RFC 8200 §4.5, RFC 5722 §4.
// Deviation: for IPv4 as well, although RFC 791 lets the newer bytes win.
func TestR8200_4_5d_Overlap(t *testing.T) {
	payload := pattern(64)
	for _, f := range families {
		for _, over := range [][2]int{{8, 24}, {0, 24}, {8, 16}, {0, 8}, {16, 40}, {8, 48}} {
			x := newReasm(t, ReassemblyConfig{})
			x.add(f.frag(payload, 0, 16, true))
			x.add(f.frag(payload, 32, 64, false))
			_, _, r := x.add(f.frag(payload, over[0], over[1], true))
			if r != ReasonFragmentOverlap {
				t.Errorf("%s: %v overlaps: %v", f.name, over, r)
			}
			for _, rest := range [][2]int{{16, 32}, {0, 16}, {32, 64}} { // all of it, again
				if whole, _, r := x.add(f.frag(payload, rest[0], rest[1], rest[1] < 64)); whole != nil || r != ReasonFragmentOverlap {
					t.Errorf("%s: after an overlap %v is %v", f.name, rest, r)
				}
			}
			x.r.Advance(x.now.Add(time.Minute), func(e *Expired) { t.Errorf("%s: an error is owed about an overlap", f.name) })
			if x.r.Len() != 0 || x.r.Stats().Poisoned != 1 {
				t.Errorf("%s: %d left, %+v", f.name, x.r.Len(), x.r.Stats())
			}
			x.end()
		}
		// A fragment with the same bounds and other bytes is no duplicate.
		x := newReasm(t, ReassemblyConfig{})
		x.add(f.frag(payload, 8, 16, true))
		if _, _, r := x.add(f.frag(bytes.Repeat([]byte{1}, 64), 8, 16, true)); r != ReasonFragmentOverlap {
			t.Errorf("%s: other bytes in the same place: %v", f.name, r)
		}
		x.end()
	}
}

// timeout checks when an incomplete datagram is given up and what is owed.
func timeout(t *testing.T, is6 bool, after time.Duration) {
	t.Helper()
	f := families[0]
	if is6 {
		f = families[1]
	}
	payload := pattern(64)
	for _, first := range []bool{true, false} {
		x := newReasm(t, ReassemblyConfig{})
		var b []byte
		if first {
			x.add(f.frag(payload, 40, 48, true))
			x.now = x.now.Add(after / 2) // a later fragment does not prolong
			b = f.frag(payload, 0, 16, true)
		} else {
			b = f.frag(payload, 16, 32, true)
		}
		x.add(b)
		end := t0.Add(after)
		if x.r.Deadline() != end {
			t.Errorf("deadline %v, want %v", x.r.Deadline(), end)
		}
		var owed []byte
		calls := 0
		note := func(e *Expired) {
			calls++
			owed = append([]byte(nil), e.First...)
			d, _ := parse(b)
			if e.Src != d.Src || e.Dst != d.Dst || e.V6 != is6 {
				t.Errorf("owed to %v from %v", e.Src, e.Dst)
			}
		}
		if x.r.Advance(end-1, note); x.r.Len() != 1 || calls != 0 {
			t.Errorf("gone before its time")
		}
		x.r.Advance(end, note)
		if x.r.Len() != 0 || x.r.Stats().TimedOut != 1 {
			t.Errorf("still there after its time")
		}
		if first && (calls != 1 || !bytes.Equal(owed, b)) {
			t.Errorf("%d errors owed, quoting\n%x, want\n%x", calls, owed, b)
		}
		if !first && calls != 0 {
			t.Errorf("an error is owed although the first fragment never came")
		}
		x.end()
	}
}

// An incomplete datagram is dropped after a fixed time, and Time Exceeded is owed if fragment 0 came. RFC 1122 §3.3.2.
// Deviation: after 30 s as in Linux, not 60 to 120.
func TestR1122_3_3_2a_Timeout(t *testing.T) { timeout(t, false, 30*time.Second) }

// An incomplete packet is dropped after 60 s, and Time Exceeded is owed if the first fragment came. RFC 8200 §4.5.
func TestR8200_4_5b_Timeout(t *testing.T) { timeout(t, true, 60*time.Second) }

// A host reassembles packets of 1500 bytes at least. RFC 8200 §5.
func TestR8200_5a_Reassembles1500(t *testing.T) {
	for _, f := range families {
		for _, n := range []int{1500, 1501, 9000, 65535 - 20 - 8} {
			payload, x := pattern(n), newReasm(t, ReassemblyConfig{})
			var whole []byte
			var d Datagram
			for off := 0; off < n; off += 1024 {
				whole, d, _ = x.add(f.frag(payload, off, min(n, off+1024), off+1024 < n))
			}
			if whole == nil || !bytes.Equal(whole[d.L4:], payload) {
				t.Errorf("%s: %d bytes were not put together", f.name, n)
			}
			x.end()
		}
	}
}

// An atomic fragment never meets other fragments of the same identification. RFC 6946 §4.
func TestR6946_1_AtomicFragmentIsAlone(t *testing.T) {
	x, payload := newReasm(t, ReassemblyConfig{}), pattern(64)
	x.add(frag6(payload, 0, 16, true))
	if d := mustAccept(t, "atomic", frag6(payload, 0, 32, false)); d.Fragment {
		t.Fatal("it would go to the Reassembler")
	}
	if whole, _, r := x.add(frag6(payload, 16, 64, false)); whole == nil || r != ReasonNone {
		t.Errorf("the others: %v", r)
	}
	x.end()
}

// Congestion marked on one fragment is marked on the whole, unless another could not carry it. RFC 3168 §5.3.
func TestR3168_5_3_ECN(t *testing.T) {
	for _, is6 := range []bool{false, true} {
		for _, c := range []struct {
			a, b, want uint8
			r          Reason
		}{
			{0, 0, 0, ReasonNone}, {1, 1, 1, ReasonNone}, {2, 2, 2, ReasonNone}, {3, 3, 3, ReasonNone},
			{2, 3, 3, ReasonNone}, {3, 1, 3, ReasonNone}, {0, 3, 0, ReasonFragmentECN}, {3, 0, 0, ReasonFragmentECN},
			{2, 0, 2, ReasonNone},
		} {
			x := newReasm(t, ReassemblyConfig{})
			one := v4{tos: 0xb8 | c.a, flags: wire.IPv4MF, payload: pattern(8)}.bytes()
			two := v4{tos: 0xb8 | c.b, off: 8, payload: pattern(8)}.bytes()
			if is6 {
				one = v6{tc: 0xb8 | c.a, exts: []ext{fragHeader(0, true, 1)}, payload: pattern(8)}.bytes()
				two = v6{tc: 0xb8 | c.b, exts: []ext{fragHeader(8, false, 1)}, payload: pattern(8)}.bytes()
			}
			x.add(one)
			whole, d, r := x.add(two)
			if r != c.r || (whole != nil) != (r == ReasonNone) || whole != nil && d.TOS != 0xb8|c.want {
				t.Errorf("v6 %v: ECN %d and %d: %v, TOS %#x; want %v, ECN %d", is6, c.a, c.b, r, d.TOS, c.r, c.want)
			}
			x.end()
		}
	}
}

// What stands behind the fragment header is examined once the packet is whole.
func TestReassembledHeaders(t *testing.T) {
	x := newReasm(t, ReassemblyConfig{})
	body := v6{proto: wire.ProtoUDP, exts: []ext{options(60, 0x80, 0)}, payload: pattern(16)}.bytes()[40:]
	mk := func(off, end int, more bool) []byte {
		return v6{proto: 60, exts: []ext{routing(2, 0), fragHeader(off, more, 3)}, payload: body[off:end]}.bytes()
	}
	if _, _, r := x.add(mk(0, 16, true)); r != ReasonNone {
		t.Fatal(r)
	}
	whole, d, r := x.add(mk(16, 24, false))
	if whole == nil || r != ReasonUnknownOption || d.Problem != problem6(wire.ParamProblemOption, 50) {
		t.Errorf("%v owing %+v, whole: %v", r, d.Problem, whole != nil)
	}
	x.end()
}

// So is a routing header there: the first fragment alone is not judged by it.
func TestReassembledRoutingHeader(t *testing.T) {
	x := newReasm(t, ReassemblyConfig{})
	body := v6{exts: []ext{routing(0, 1)}, payload: pattern(16)}.bytes()[40:]
	mk := func(off, end int, more bool) []byte {
		return v6{proto: wire.ProtoRouting, exts: []ext{fragHeader(off, more, 3)}, payload: body[off:end]}.bytes()
	}
	x.add(mk(0, 16, true))
	if _, d, r := x.add(mk(16, 24, false)); r != ReasonRoutingHeader || d.Problem != problem6(wire.ParamProblemHeader, 42) {
		t.Errorf("%v owing %+v", r, d.Problem)
	}
	x.end()
}

func TestReassemblyKeys(t *testing.T) {
	payload := pattern(16)
	base := v4{id: 1, flags: wire.IPv4MF, payload: payload[:8]}
	for name, last := range map[string]v4{
		"id":       {id: 2},
		"source":   {id: 1, src: addr("192.0.2.9")},
		"dest":     {id: 1, dst: addr("192.0.2.9")},
		"protocol": {id: 1, proto: wire.ProtoICMP},
	} {
		x := newReasm(t, ReassemblyConfig{})
		x.add(base.bytes())
		last.off, last.payload = 8, payload[8:]
		if whole, _, _ := x.add(last.bytes()); whole != nil || x.r.Len() != 2 {
			t.Errorf("fragments that differ in %s were put together", name)
		}
		x.end()
	}
}

func TestTooManyFragments(t *testing.T) {
	for _, f := range families {
		payload, x := pattern(8*(MaxFragments+1)), newReasm(t, ReassemblyConfig{})
		for i := range MaxFragments {
			if _, _, r := x.add(f.frag(payload, 8*i, 8*i+8, true)); r != ReasonNone {
				t.Fatalf("%s: fragment %d: %v", f.name, i, r)
			}
		}
		if whole, _, r := x.add(f.frag(payload, 8*MaxFragments, len(payload), false)); whole != nil || r != ReasonFragmentCount {
			t.Errorf("%s: one more: %v", f.name, r)
		}
		x.end()
	}
}

// A packet shorter than its own header says is refused, not read beyond.
func TestAddShortPacket(t *testing.T) {
	x := newReasm(t, ReassemblyConfig{})
	b := frag4(pattern(64), 0, 64, true)
	d, _ := parse(b)
	if _, r := x.r.Add(x.now, &d, received(&x.pool, b[:40], 20)); r != ReasonLength {
		t.Errorf("got %v", r)
	}
	x.end()
}
