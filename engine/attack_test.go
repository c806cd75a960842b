package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/reference"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// T-PAR-05: a segment with any one bit changed has no effect.
func TestEverySingleBitFlip(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	listen(t, h, "10.0.0.1:81")
	p, c := dialPeer(t, h, at(us4, 0), at(them4, 80))
	before := h.Info(c)
	rst := p.seg(wire.FlagRST, "")
	data := p.seg(wire.FlagACK|wire.FlagPSH, "some text that must not arrive changed")
	syn := wireSegment{Src: at(them4, 99), Dst: at(us4, 81), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}
	flips := 0
	for _, s := range []wireSegment{rst, data, syn} {
		raw := s.raw()
		for bit := range len(raw) * 8 {
			raw[bit/8] ^= 1 << (bit % 8)
			h.Inject(raw)
			raw[bit/8] ^= 1 << (bit % 8)
			flips++
		}
	}
	if after := h.Info(c); after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	if s := h.Stats(); s.HalfOpen != 0 || s.Connections != 1 {
		t.Errorf("%d half-open, %d connections", s.HalfOpen, s.Connections)
	}
	for _, s := range h.Sent() { // a version or protocol field may earn an ICMP error
		if parseIP(s.Raw).Proto == wire.ProtoTCP {
			t.Errorf("a damaged segment is answered by %x", s.Raw)
		}
	}
	t.Logf("%d damaged packets", flips)
}

// T-PAR-06: the flags that §3.10.7 does not ask about change nothing: all 512
// combinations in all states, left of, in and right of the window.
func TestAllFlagCombinations(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine; a minute under the race detector")
	}
	x := circumstances()[0]
	for s := range reference.NumStates {
		v := newRefEnd(t, reference.State(s), &x).vars
		for flags := range wire.TCPFlags(512) {
			for _, seq := range []uint32{v.RcvNXT - 1000, v.RcvNXT, v.RcvNXT + v.RcvWND/2, v.RcvNXT + v.RcvWND} {
				e := newRefEnd(t, reference.State(s), &x)
				seg := reference.Seg{SEQ: seq, AckNo: v.SndUNA, WND: 4000, UP: 1, Len: 1,
					SYN: flags&wire.FlagSYN != 0, ACK: flags&wire.FlagACK != 0, RST: flags&wire.FlagRST != 0,
					FIN: flags&wire.FlagFIN != 0, URG: flags&wire.FlagURG != 0, PSH: flags&wire.FlagPSH != 0}
				if d := e.arriveWith(seg, flags&(wire.FlagECE|wire.FlagCWR|wire.FlagAE)); d != "" {
					t.Errorf("%v %v with %v%s", v.State, seg, flags, d)
				}
			}
		}
	}
}

// T-PAR-06: a segment from our own address and port gets no answer and leaves
// no state.
func TestLand(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	listen(t, h, "[::]:80")
	for _, a := range []netip.Addr{us4, us6} {
		for _, f := range []wire.TCPFlags{wire.FlagSYN, wire.FlagACK, wire.FlagSYN | wire.FlagACK, wire.FlagRST} {
			h.Inject((&wireSegment{Src: at(a, 80), Dst: at(a, 80), SEQ: 1, Flags: f, WND: 1000}).raw())
			nothing(t, h, "land")
		}
	}
	if s := h.Stats(); s.HalfOpen != 0 || s.Connections != 0 {
		t.Errorf("%d half-open, %d connections", s.HalfOpen, s.Connections)
	}
}

// spoofed makes a SYN from some address on the Internet.
func spoofed(r testRand) []byte {
	from := netip.AddrFrom4([4]byte{byte(11 + r.IntN(100)), byte(r.IntN(256)), byte(r.IntN(256)), byte(1 + r.IntN(254))})
	return syn(at(from, uint16(1024+r.IntN(60000))), r.Uint32())
}

// T-RES-12: what arrives unasked is answered by one packet at most, no longer
// than it by more than an MSS option or the header of an ICMP error, and a SYN
// by six packets in all.
func TestNoAmplification(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	listen(t, h, "0.0.0.0:80")
	bounds := map[string]struct {
		raw   []byte
		extra int // bytes
		all   int // packets, retransmissions included
	}{
		"SYN":                {syn(at(them4, 4000), 1), 4, 6},
		"SYN to nobody":      {(&wireSegment{Src: at(them4, 1), Dst: at(us4, 9), SEQ: 1, Flags: wire.FlagSYN}).raw(), 0, 1},
		"SYN with text":      {(&wireSegment{Src: at(them4, 2), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagSYN, Data: []byte("GET / HTTP/1.0\r\n\r\n")}).raw(), 0, 6},
		"ACK":                {(&wireSegment{Src: at(them4, 3), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagACK}).raw(), 0, 1},
		"text without a SYN": {(&wireSegment{Src: at(them4, 3), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagACK | wire.FlagPSH, Data: make([]byte, 100)}).raw(), 0, 1},
		"RST":                {(&wireSegment{Src: at(them4, 4), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagRST}).raw(), 0, 0},
		"ping":               {ping(them4, us4, make([]byte, 100)), 0, 1},
		"UDP to nobody":      {udpPacket(at(them4, 5), at(us4, 9), make([]byte, 1000)), 28, 1},
		"unknown protocol":   {ipPacket(netip.MustParseAddr("10.0.0.3"), us4, 200, 0, 0, nil), 28, 1},
	}
	for name, b := range bounds {
		h.Inject(b.raw)
		s := h.Sent()
		if len(s) > 1 || len(s) == 1 && len(s[0].Raw) > len(b.raw)+b.extra {
			t.Errorf("%s of %d bytes: %d packets at once, %d bytes", name, len(b.raw), len(s), len(s[0].Raw))
		}
		h.Advance(10 * time.Minute)
		if all := len(s) + len(h.Sent()); all != b.all {
			t.Errorf("%s: %d packets in all, want %d", name, all, b.all)
		}
	}
}

// T-RES-12: resets and ICMP errors are limited, whoever asks for them.
func TestAnswersAreLimited(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	const seed, n = 12, 10_000
	r := newTestRand(seed)
	from := func() netip.Addr { return netip.AddrFrom4([4]byte{11, byte(r.IntN(256)), byte(r.IntN(256)), 1}) }
	for range n { // within one second
		h.Inject((&wireSegment{Src: at(from(), 1), Dst: at(us4, 9), SEQ: 1, Flags: wire.FlagSYN}).raw(),
			udpPacket(at(from(), 5), at(us4, 9), nil))
		h.Advance(time.Second / n)
	}
	resets, errors := 0, 0
	for _, s := range h.Sent() {
		if parseIP(s.Raw).Proto == wire.ProtoTCP {
			resets++
		} else {
			errors++
		}
	}
	if resets > 1300 || resets < 850 || // what one costs is random
		errors > 1100*3/2 || errors < 500 {
		t.Errorf("seed %d: %d resets and %d ICMP errors in a second", seed, resets, errors)
	}
	if count(h, TCPResetsLimited)+uint64(resets) != n {
		t.Errorf("%d resets are counted as held back", count(h, TCPResetsLimited))
	}
	// One target gets one ICMP error a second.
	h.Advance(2 * time.Second)
	h.Sent()
	for range 100 {
		h.Inject(udpPacket(at(them4, 5), at(us4, 9), nil))
	}
	if s := h.Sent(); len(s) != 1 {
		t.Errorf("%d ICMP errors to one target at once", len(s))
	}
}

// T-BLD-02: SYNs for a connection, forged or not, never reset it and are
// answered at most twice a second.
func TestBlindSYN(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	p, c := dialPeer(t, h, at(us4, 0), at(them4, 80))
	const seed = 2
	r := newTestRand(seed)
	for range 20_000 { // two seconds
		s := p.seg(wire.FlagSYN, "")
		s.SEQ = r.Uint32()
		h.Inject(s.raw())
		h.Advance(100 * time.Microsecond)
	}
	if n := len(h.Sent()); n > 5 || c.State() != tcp.Established {
		t.Errorf("seed %d: %v, %d answers in two seconds", seed, c.State(), n)
	}
}
