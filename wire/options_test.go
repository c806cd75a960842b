package wire

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"
)

// visible returns o with everything cleared that Has and the counts hide, so
// that two of them can be compared.
func visible(o *TCPOptions) TCPOptions {
	v := TCPOptions{Has: o.Has}
	if o.Has&HasMSS != 0 {
		v.MSS = o.MSS
	}
	if o.Has&HasWScale != 0 {
		v.WScale = o.WScale
	}
	if o.Has&HasTimestamps != 0 {
		v.TSVal, v.TSEcr = o.TSVal, o.TSEcr
	}
	if o.Has&HasSACK != 0 {
		v.NSACK = o.NSACK
		copy(v.SACK[:], o.SACK[:o.NSACK])
	}
	if o.Has&HasFastOpen != 0 {
		v.NFastOpen = o.NFastOpen
		copy(v.FastOpen[:], o.FastOpen[:o.NFastOpen])
	}
	if o.Has&HasUTO != 0 {
		v.UTO = o.UTO
	}
	if o.Has&HasAccECN != 0 {
		v.NAccECN, v.AccECNOrder = o.NAccECN, o.AccECNOrder
		copy(v.AccECN[:], o.AccECN[:o.NAccECN])
	}
	return v
}

// dirty is an option set full of what an earlier segment might have left.
func dirty() TCPOptions {
	o := TCPOptions{TSVal: 99, TSEcr: 98, MSS: 97, UTO: 96, Has: 0xffff, WScale: 95, NSACK: 4, NFastOpen: 16, NAccECN: 3, AccECNOrder: 1}
	for i := range o.SACK {
		o.SACK[i] = [2]uint32{94, 93}
	}
	return o
}

var ts = []byte{8, 10, 0, 0, 0, 1, 0, 0, 0, 2}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestOptionsParse(t *testing.T) {
	tsOnly := TCPOptions{Has: HasTimestamps, TSVal: 1, TSEcr: 2}
	withBad := func(o TCPOptions) TCPOptions { o.Has |= HasBad; return o }
	for _, c := range []struct {
		name string
		raw  []byte
		syn  bool
		want TCPOptions
	}{
		{"nothing", nil, true, TCPOptions{}},
		{"Linux SYN", cat([]byte{2, 4, 5, 0xb4, 4, 2}, ts, []byte{1, 3, 3, 7}), true, TCPOptions{
			Has: HasMSS | HasSACKPermitted | HasTimestamps | HasWScale, MSS: 1460, TSVal: 1, TSEcr: 2, WScale: 7}},
		{"the same without SYN", cat([]byte{2, 4, 5, 0xb4, 4, 2}, ts, []byte{1, 3, 3, 7}), false, tsOnly},
		{"window scale as sent", []byte{3, 3, 255, 0}, true, TCPOptions{Has: HasWScale, WScale: 255}},
		{"fast path", cat([]byte{1, 1}, ts), false, tsOnly},
		{"same length, other order", cat(ts, []byte{1, 1}), false, tsOnly},
		{"end of list, then garbage", cat(ts, []byte{0, 2}), false, tsOnly},
		{"timestamps of 0 bytes", []byte{8, 2, 1, 1}, false, TCPOptions{Has: HasBad}},
		{"timestamps of 9 bytes", append([]byte{8, 11}, make([]byte, 10)...), false, TCPOptions{Has: HasBad}},
		{"first MSS wins", []byte{2, 4, 1, 0, 2, 4, 2, 0}, true, TCPOptions{Has: HasMSS, MSS: 256}},
		{"first scale wins", []byte{3, 3, 1, 3, 3, 2}, true, TCPOptions{Has: HasWScale, WScale: 1}},
		{"first timestamps win", cat(ts, []byte{8, 10, 9, 9, 9, 9, 9, 9, 9, 9}), false, tsOnly},
		{"SACK-permitted twice", []byte{4, 2, 4, 2}, true, TCPOptions{Has: HasSACKPermitted}},
		{"SACK, one block", []byte{1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, false,
			TCPOptions{Has: HasSACK, NSACK: 1, SACK: [4][2]uint32{{1, 2}}}},
		{"first SACK wins", append([]byte{5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4), false,
			TCPOptions{Has: HasSACK, NSACK: 1, SACK: [4][2]uint32{{1, 2}}}},
		{"SACK without a block", []byte{5, 2, 1, 1}, false, TCPOptions{Has: HasBad}},
		{"SACK of half a block", []byte{5, 6, 0, 0, 0, 1, 1, 1}, false, TCPOptions{Has: HasBad}},
		{"SACK of an odd length", append([]byte{5, 11}, make([]byte, 9)...), false, TCPOptions{Has: HasBad}},
		{"MSS of 3 bytes", []byte{2, 3, 5, 1}, true, TCPOptions{Has: HasBad}},
		{"MSS of 3 bytes without SYN", []byte{2, 3, 5, 1}, false, TCPOptions{}},
		{"cookie wanted", []byte{34, 2, 1, 1}, true, TCPOptions{Has: HasFastOpen}},
		{"cookie", []byte{34, 6, 1, 2, 3, 4, 1, 1}, true, TCPOptions{Has: HasFastOpen, NFastOpen: 4, FastOpen: [16]byte{1, 2, 3, 4}}},
		{"cookie without SYN", []byte{34, 6, 1, 2, 3, 4, 1, 1}, false, TCPOptions{}},
		{"cookie of 2 bytes", cat([]byte{34, 4, 1, 2}, ts), true, tsOnly},
		{"cookie of 5 bytes", cat([]byte{34, 7, 1, 2, 3, 4, 5}, ts), true, tsOnly},
		{"cookie of 18 bytes", cat([]byte{34, 20}, make([]byte, 18), ts), true, tsOnly},
		{"user timeout", []byte{28, 4, 0x80, 5}, false, TCPOptions{Has: HasUTO, UTO: 0x8005}},
		{"user timeout of 3 bytes", []byte{28, 3, 1, 1}, false, TCPOptions{Has: HasBad}},
		{"AccECN, kind 172", []byte{172, 8, 0, 0, 1, 0xff, 0xff, 0xff}, false,
			TCPOptions{Has: HasAccECN, NAccECN: 2, AccECN: [3]uint32{1, 0xffffff}}},
		{"AccECN, kind 174", []byte{174, 11, 0, 0, 1, 0, 1, 0, 1, 0, 0}, false,
			TCPOptions{Has: HasAccECN, NAccECN: 3, AccECNOrder: 1, AccECN: [3]uint32{1, 256, 65536}}},
		{"AccECN without counters", []byte{172, 2}, true, TCPOptions{Has: HasAccECN}},
		{"AccECN of 13 bytes", append([]byte{172, 13, 0, 0, 1, 0, 0, 2, 0, 0, 3}, 9, 9), false,
			TCPOptions{Has: HasAccECN, NAccECN: 3, AccECN: [3]uint32{1, 2, 3}}},
		{"length 0 after timestamps", cat(ts, []byte{99, 0}), false, withBad(tsOnly)},
		{"40 times NOP", bytes.Repeat([]byte{1}, 40), false, TCPOptions{}},
	} {
		o := dirty()
		o.Parse(c.raw, c.syn)
		if got := visible(&o); got != c.want {
			t.Errorf("%s: % x gives\n%+v, want\n%+v", c.name, c.raw, got, c.want)
		}
	}
}

// End of list, no-operation and MSS are understood. RFC 9293 §3.2, MUST-4.
func TestOptionsMandatoryR9293M04(t *testing.T) {
	var o TCPOptions
	o.Parse([]byte{1, 1, 2, 4, 0x02, 0x18, 0, 3}, true)
	if o.Has != HasMSS || o.MSS != 536 {
		t.Errorf("%+v", o)
	}
}

// An option counts in any segment, with SYN or without. RFC 9293 MUST-5.
func TestOptionsInAnySegmentR9293M05(t *testing.T) {
	raw := cat([]byte{1, 1}, ts, []byte{1, 1, 5, 10, 0, 0, 0, 5, 0, 0, 0, 6})
	for _, syn := range []bool{false, true} {
		var o TCPOptions
		o.Parse(raw, syn)
		if o.Has != HasTimestamps|HasSACK || o.TSVal != 1 || o.SACK[0] != [2]uint32{5, 6} {
			t.Errorf("syn %v: %+v", syn, o)
		}
	}
}

// An unknown option is skipped by its length. RFC 9293 MUST-6, and MUST-68:
// every option but two has a length octet.
func TestOptionsUnknownSkippedR9293M06M68(t *testing.T) {
	known := map[byte]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 8: true, 28: true, 34: true, 172: true, 174: true}
	for kind := range 256 {
		if known[byte(kind)] {
			continue
		}
		for n := 2; n <= 30; n++ {
			unknown := append([]byte{byte(kind), byte(n)}, bytes.Repeat([]byte{8}, n-2)...)
			var o TCPOptions
			o.Parse(cat(unknown, ts), true)
			if o.Has != HasTimestamps || o.TSVal != 1 {
				t.Fatalf("kind %d, length %d: %+v", kind, n, o)
			}
		}
	}
}

// A length of 0, of 1, or beyond the end ends parsing, and what came before
// counts. RFC 9293 MUST-7.
func TestOptionsIllegalLengthR9293M07(t *testing.T) {
	for kind := 2; kind < 256; kind++ {
		for n := range 256 {
			if n >= 2 && n <= 4 {
				continue
			}
			var o TCPOptions
			o.Parse(append(cat(ts, []byte{byte(kind), byte(n)}), 0, 0), true)
			if o.Has != HasTimestamps|HasBad || o.TSVal != 1 || o.TSEcr != 2 {
				t.Fatalf("kind %d, length %d of 4: %+v", kind, n, o)
			}
		}
		var o TCPOptions
		o.Parse(append(ts[:10:10], byte(kind)), true)
		if o.Has != HasTimestamps|HasBad {
			t.Fatalf("kind %d without a length octet: %+v", kind, o)
		}
	}
}

// Options are found at any alignment. RFC 9293 MUST-64.
func TestOptionsUnalignedR9293M64(t *testing.T) {
	all := cat([]byte{2, 4, 5, 0xb4}, []byte{3, 3, 9}, []byte{4, 2}, ts)
	for lead := range 17 {
		for base := range 8 {
			buf := make([]byte, base, 64)
			buf = append(buf, bytes.Repeat([]byte{1}, lead)...)
			buf = append(buf, all...)
			var o TCPOptions
			o.Parse(buf[base:], true)
			if o.Has != HasMSS|HasWScale|HasSACKPermitted|HasTimestamps || o.MSS != 1460 || o.WScale != 9 || o.TSVal != 1 || o.TSEcr != 2 {
				t.Fatalf("%d NOPs first, at offset %d: %+v", lead, base, o)
			}
		}
	}
}

// stepsReference counts what a reading of RFC 9293 §3.1 by the letter does
// with raw: how many options and NOPs it takes, and whether it meets an
// illegal length.
func stepsReference(raw []byte) (steps int, bad bool) {
	for len(raw) > 0 && raw[0] != 0 {
		steps++
		if raw[0] == 1 {
			raw = raw[1:]
			continue
		}
		if len(raw) == 1 || raw[1] < 2 || int(raw[1]) > len(raw) {
			return steps, true
		}
		raw = raw[raw[1]:]
	}
	return steps, false
}

// All 65,536 beginnings, with and without SYN, before three kinds of rest:
// nothing panics, a step count of 40 is never passed, an illegal length is
// always noticed, and a plain timestamps option after a well-formed beginning
// is found. T-PAR-02.
func TestOptionsEveryPrefix(t *testing.T) {
	tails := [][]byte{nil, bytes.Repeat([]byte{1}, 38), cat(bytes.Repeat([]byte{1}, 2), ts)}
	for _, tail := range tails {
		raw := append(make([]byte, 2), tail...)
		for x := range 1 << 16 {
			raw[0], raw[1] = byte(x>>8), byte(x)
			steps, bad := stepsReference(raw)
			if steps > maxOptionSteps {
				t.Fatalf("% x takes %d steps", raw, steps)
			}
			for _, syn := range []bool{false, true} {
				o := dirty()
				o.Parse(raw, syn)
				if bad && o.Has&HasBad == 0 {
					t.Fatalf("% x, syn %v: the illegal length is not noticed: %+v", raw, syn, o)
				}
				if !syn && o.Has&(HasMSS|HasWScale|HasSACKPermitted|HasFastOpen) != 0 {
					t.Fatalf("% x: an option of the handshake without SYN: %+v", raw, o)
				}
				if o.NSACK > MaxSACK || o.NFastOpen > MaxFastOpen || o.NAccECN > MaxAccECN {
					t.Fatalf("% x: a count out of range: %+v", raw, o)
				}
			}
		}
	}
}

// More than 40 bytes can only come from a careless caller; even then no more
// than 40 steps are taken and no more than four blocks kept.
func TestOptionsBeyond40Bytes(t *testing.T) {
	var o TCPOptions
	o.Parse(append(bytes.Repeat([]byte{1}, 40), ts...), false)
	if o.Has != 0 {
		t.Errorf("the 41st step was taken: %+v", o)
	}
	o.Parse(append([]byte{5, 2 + 8*6}, pattern(48)...), false)
	if o.Has != HasSACK || o.NSACK != MaxSACK {
		t.Errorf("six blocks: %+v", o)
	}
}

func TestOptionsPutBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		o    TCPOptions
		want []byte
	}{
		{"nothing", TCPOptions{}, nil},
		{"Linux SYN", TCPOptions{Has: HasMSS | HasSACKPermitted | HasTimestamps | HasWScale, MSS: 1460, TSVal: 1, TSEcr: 2, WScale: 7},
			cat([]byte{2, 4, 5, 0xb4, 4, 2}, ts, []byte{1, 3, 3, 7})},
		{"SYN without timestamps", TCPOptions{Has: HasMSS | HasSACKPermitted | HasWScale, MSS: 1460, WScale: 7},
			[]byte{2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7}},
		{"established", TCPOptions{Has: HasTimestamps, TSVal: 1, TSEcr: 2}, cat([]byte{1, 1}, ts)},
		{"SACK", TCPOptions{Has: HasTimestamps | HasSACK, TSVal: 1, TSEcr: 2, NSACK: 1, SACK: [4][2]uint32{{3, 4}}},
			cat([]byte{1, 1}, ts, []byte{1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4})},
		{"SACK without blocks", TCPOptions{Has: HasSACK}, nil},
		{"cookie wanted", TCPOptions{Has: HasFastOpen}, []byte{34, 2, 1, 1}},
		{"cookie", TCPOptions{Has: HasFastOpen, NFastOpen: 4, FastOpen: [16]byte{5, 6, 7, 8}}, []byte{34, 6, 5, 6, 7, 8, 1, 1}},
		{"user timeout", TCPOptions{Has: HasUTO, UTO: 0x8005}, []byte{28, 4, 0x80, 5}},
		{"AccECN", TCPOptions{Has: HasAccECN, NAccECN: 1, AccECNOrder: 1, AccECN: [3]uint32{0x1fffffe}},
			[]byte{174, 5, 0xff, 0xff, 0xfe, 1, 1, 1}},
		{"only what is sent is told", TCPOptions{Has: HasBad}, nil},
	} {
		buf := bytes.Repeat([]byte{0xee}, 60)
		n := c.o.Put(buf)
		if n != c.o.Len() || !bytes.Equal(buf[:n], c.want) {
			t.Errorf("%s: Len %d, Put % x, want % x", c.name, c.o.Len(), buf[:n], c.want)
		}
		if !bytes.Equal(buf[n:], bytes.Repeat([]byte{0xee}, 60-n)) {
			t.Errorf("%s: written beyond Len: % x", c.name, buf)
		}
	}
}

// Every set of options with every count: a multiple of four, 40 bytes at most,
// nothing but padding and options, and Parse finds what Put wrote. With them
// goes RFC 9293 MUST-69: as padding is by NOPs, there is no end of list that
// something other than zeros could follow.
func TestOptionsRoundTripR9293M69(t *testing.T) {
	full := dirty()
	copy(full.FastOpen[:], pattern(16))
	for i := range full.SACK {
		full.SACK[i] = [2]uint32{uint32(i), uint32(i) << 30}
	}
	for set := OptionSet(0); set < HasBad; set++ {
		for sack := uint8(1); sack <= MaxSACK; sack++ {
			for _, cookie := range []uint8{0, 4, 8, 16} {
				for ecn := uint8(0); ecn <= MaxAccECN; ecn++ {
					o := full
					o.Has, o.NSACK, o.NFastOpen, o.NAccECN = set, sack, cookie, ecn
					checkRoundTrip(t, &o)
				}
			}
		}
	}
}

func checkRoundTrip(t *testing.T, o *TCPOptions) {
	t.Helper()
	var buf [TCPMaxOptLen]byte
	n := o.Put(buf[:])
	if n != o.Len() || n%4 != 0 || n > TCPMaxOptLen {
		t.Fatalf("%+v: Put %d, Len %d", o, n, o.Len())
	}
	var back TCPOptions
	back.Parse(buf[:n], true)
	want := *o
	want.Has &^= HasBad
	want.Has &^= (o.Has ^ back.Has) & (HasSACK | HasFastOpen | HasAccECN) // may have found no room
	if back.NSACK < want.NSACK {
		want.NSACK = back.NSACK
	}
	if back.NAccECN < want.NAccECN {
		want.NAccECN = back.NAccECN
	}
	if visible(&back) != visible(&want) {
		t.Fatalf("% x is\n%+v, want\n%+v", buf[:n], visible(&back), visible(&want))
	}
	if left := TCPMaxOptLen - n; left >= 20 && (o.Has^back.Has)&^HasBad != 0 {
		t.Fatalf("%d bytes are left and %b is not there: %+v", left, o.Has^back.Has, o)
	}
	text := string(AppendOptions(nil, buf[:n]))
	for _, option := range strings.Split(text, ",") { // the first word: a cookie, too, may read "bad"
		if name, _, _ := strings.Cut(option, " "); name == "eol" || name == "bad" || name == "opt" {
			t.Fatalf("% x is not well-formed: %s", buf[:n], text)
		}
	}
}

// What does not fit into 40 bytes is left out from the end: with timestamps
// there is room for three blocks (RFC 2018 §3), and a cookie gives way to them.
func TestOptionsRoom(t *testing.T) {
	for _, c := range []struct {
		set       OptionSet
		cookie    uint8
		blocks    uint8
		hasCookie bool
		counters  int
	}{
		{HasSACK, 0, 4, false, -1},
		{HasTimestamps | HasSACK, 0, 3, false, -1},
		{HasTimestamps | HasSACK | HasFastOpen | HasAccECN, 16, 3, false, -1},
		{HasTimestamps | HasFastOpen | HasAccECN, 16, 0, true, 2},
		{HasMSS | HasTimestamps | HasSACKPermitted | HasWScale | HasFastOpen, 16, 0, true, -1},
		{HasMSS | HasTimestamps | HasSACKPermitted | HasWScale | HasAccECN, 0, 0, false, 3},
	} {
		o := dirty()
		o.Has, o.NFastOpen = c.set, c.cookie
		var buf [TCPMaxOptLen]byte
		var back TCPOptions
		back.Parse(buf[:o.Put(buf[:])], true)
		counters := -1
		if back.Has&HasAccECN != 0 {
			counters = int(back.NAccECN)
		}
		if back.NSACK != c.blocks || back.Has&HasFastOpen != 0 != c.hasCookie || counters != c.counters {
			t.Errorf("%b: %d blocks, cookie %v, %d counters; want %d, %v, %d", c.set,
				back.NSACK, back.Has&HasFastOpen != 0, counters, c.blocks, c.hasCookie, c.counters)
		}
	}
}

// It lives in a scratch segment that is gone through for every packet.
func TestOptionsSize(t *testing.T) {
	if n := unsafe.Sizeof(TCPOptions{}); n > 96 {
		t.Errorf("TCPOptions has %d bytes", n)
	}
}
