package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// Each rule about what may change between two events is broken once.
func TestFollows(t *testing.T) {
	before := seen{state: tcp.Established, flight: 1000, window: 2000,
		space: tcp.Space{ISS: 100, UNA: 200, NXT: 1200, MAX: 1200, IRS: 500, RcvNXT: 600, Edge: 1600}}
	for _, c := range []struct {
		change func(*seen)
		want   string
	}{
		{func(s *seen) {}, ""},
		{func(s *seen) { s.space.UNA, s.space.MAX, s.space.RcvNXT, s.space.Edge = 300, 1500, 700, 1700 }, ""},
		{func(s *seen) { s.space.UNA-- }, "SND.UNA moved left"},
		{func(s *seen) { s.space.MAX-- }, "SND.MAX moved left"},
		{func(s *seen) { s.state = tcp.CloseWait; s.space.MAX-- }, "SND.MAX moved left"},
		{func(s *seen) { s.space.NXT = 200 }, ""}, // after a timeout
		{func(s *seen) { s.space.RcvNXT-- }, "RCV.NXT moved left"},
		{func(s *seen) { s.space.Edge-- }, "right edge moved left"},
		{func(s *seen) { s.space.IRS++ }, "IRS changed"},
		{func(s *seen) { s.flight = 2300 }, ""},
		{func(s *seen) { s.flight, s.sent, s.space.MAX = 2301, 1301, 2501 }, "in flight"},
		{func(s *seen) { s.flight = 2301 }, ""},               // the estimate rose, nothing was sent
		{func(s *seen) { s.flight, s.window = 900, 100 }, ""}, // cwnd fell, nothing was sent
	} {
		after := before
		c.change(&after)
		expect(t, after.follows(&before, 100), c.want)
	}
}

// One segment may take what is in flight beyond cwnd, a tail loss probe or the
// first of a recovery, and not again before something is acknowledged.
func TestFollowsProbe(t *testing.T) {
	at := func(una, end tcp.Seq, again uint32) seen {
		return seen{state: tcp.Established, flight: 1000 + uint32(end-5000) + 100*again, sent: uint64(end-5000) + uint64(again), again: again,
			window: 200, space: tcp.Space{ISS: 100, UNA: una, NXT: end, MAX: end, IRS: 500, RcvNXT: 600, Edge: 1600}}
	}
	before := at(200, 5000, 0)
	for _, probe := range []seen{at(200, 5100, 0), at(200, 5000, 1)} {
		expect(t, probe.follows(&before, 100), "")
		again := at(200, probe.space.MAX+100, probe.again)
		expect(t, again.follows(&probe, 100), "in flight")
		acked := probe
		acked.space.UNA++
		expect(t, acked.follows(&probe, 100), "")
		more := at(201, probe.space.MAX+100, probe.again)
		expect(t, more.follows(&acked, 100), "")
	}
	for _, two := range []seen{at(200, 5102, 0), at(200, 5002, 1), at(200, 5000, 2)} {
		expect(t, two.follows(&before, 100), "in flight")
	}
}

// Each rule about two ends of one connection is broken once.
func TestAgrees(t *testing.T) {
	a := seen{state: tcp.Established, space: tcp.Space{ISS: 100, IRS: 500, UNA: 200, MAX: 1200, RcvNXT: 600, Edge: 1600}}
	b := seen{state: tcp.Established, space: tcp.Space{ISS: 500, IRS: 100, UNA: 550, MAX: 700, RcvNXT: 900, Edge: 1500}}
	for _, c := range []struct {
		change func(a, b *seen)
		want   string
	}{
		{func(a, b *seen) {}, ""},
		{func(a, b *seen) { a.space.UNA = 901 }, "beyond what the peer has received"},
		{func(a, b *seen) { a.space.MAX = 899 }, "less than what the peer has received"},
		{func(a, b *seen) { b.space.Edge = 1199 }, ""}, // one octet is a probe
		{func(a, b *seen) { b.space.Edge = 1198 }, "beyond the peer's window"},
		{func(a, b *seen) { a.space.RcvNXT = 701 }, "outside the peer's"},
		{func(a, b *seen) { a.space.RcvNXT = 549 }, "outside the peer's"},
		{func(a, b *seen) { a.space.UNA, b.space.IRS = 901, 99 }, ""}, // another incarnation
		{func(a, b *seen) { a.space.UNA, b.state = 901, tcp.SynSent }, ""},
	} {
		x, y := a, b
		c.change(&x, &y)
		expect(t, x.agrees(&y), c.want)
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("unexpected: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%v, want %q", err, want)
	}
}

// A stream of which bytes change places is noticed, and a wire that loses
// everything explains what comes of it.
func TestRunNotices(t *testing.T) {
	s := Scenario{Seed: 1, Length: 1e9, Conns: []ConnSpec{{Ends: [2]EndSpec{
		{Steps: []StepSpec{{Write: 10000, Piece: 1000}}}, {Finish: CloseAtEOF}}}}}
	for i := range s.Hosts {
		s.Hosts[i] = HostSpec{TCP: *tcp.DefaultConfig(tcp.ProfileLinux), MTU: 1500}
		s.Wire[i] = netem.Config{Delay: 1e6}
	}
	if r := s.Run(Options{}); r.Err != nil || r.Clean != 1 || r.Bytes != 10000 || r.Reasons[tcp.ReasonNone] != 2 {
		t.Fatalf("%+v", r)
	}
	n := 0
	flip := func(w *World) error {
		if n++; n == 1 {
			w.Hosts()[1].Tap(func(_ mono.Time, out bool, p *pkt.Packet) {
				if b := p.Body[0].B; !out && len(b) > 4 { // a checksum does not see words change places
					b[0], b[1], b[2], b[3] = b[2], b[3], b[0], b[1]
				}
			})
		}
		return nil
	}
	expect(t, s.Run(Options{Rule: flip}).Err, "and should be")
	s.Wire[0].Loss = netem.Always
	if r := s.Run(Options{}); r.Err != nil || r.Reasons[tcp.ReasonNone]+r.Reasons[tcp.ReasonTimeout] == 0 {
		t.Errorf("everything lost until it is repaired: %+v", r)
	}
}

// A scenario without a class of faults has none of it, and is otherwise the
// same; the text says everything.
func TestWithout(t *testing.T) {
	for seed := uint64(1); seed < 300; seed++ {
		s := GenerateWith(seed, AllFaults)
		u := s.Without(AllFaults)
		if u.Faults != 0 || len(u.Events) != 0 || u.Box != [2]Box{} {
			t.Fatalf("seed %d: %v remains, with %d events and %+v", seed, u.Faults, len(u.Events), u.Box)
		}
		for i, c := range u.Wire {
			if want := (netem.Config{Delay: s.Wire[i].Delay}); c != want {
				t.Fatalf("seed %d: the wire is %v", seed, c)
			}
		}
		crossing := 0
		for _, c := range s.Conns {
			crossing += b2i(c.Pair > 0)
		}
		if crossing == 0 || len(u.Conns) != len(s.Conns)-crossing || !strings.Contains(s.String(), "connection 0") {
			t.Fatalf("seed %d: connections are gone", seed)
		}
	}
}

// A class of faults is on in a quarter to a half of all scenarios, and the
// other ranges are used to both ends.
func TestGenerateRanges(t *testing.T) {
	const n = 2000
	var classes [Classes]int
	small, large, v6, simultaneous, again, wraps := 0, 0, 0, 0, 0, 0
	for seed := uint64(0); seed < n; seed++ {
		s := Generate(seed)
		for i := range classNames {
			classes[i] += int(s.Faults >> i & 1)
		}
		for _, h := range s.Hosts {
			if h.MTU < 68 || h.MTU > 9000 {
				t.Fatalf("seed %d: MTU %d", seed, h.MTU)
			}
			small += b2i(h.TCP.ReceiveBuffer < 10)
			large += b2i(h.TCP.ReceiveBuffer > 500_000)
		}
		for i, c := range s.Conns {
			v6 += b2i(c.V6)
			simultaneous += b2i(c.Simultaneous)
			again += b2i(c.Ports[0] != i)
			wraps += b2i(c.NearWrap != 0)
		}
	}
	for i, k := range classes {
		if on := AllFaults>>i&1 != 0; on && (k < n/4 || k > n/2) || !on && k > 0 {
			t.Errorf("%s is on in %d of %d scenarios", classNames[i], k, n)
		}
	}
	for i, k := range []int{small, large, v6, simultaneous, again, wraps} {
		if k < n/50 {
			t.Errorf("feature %d occurs %d times in %d scenarios", i, k, n)
		}
	}
}

// A host's TCP is drawn knob by knob, each from a sequence of its own: all are
// turned, and what one draws does not depend on the others.
func TestKnobs(t *testing.T) {
	turned := map[string]map[string]bool{}
	for seed := uint64(0); seed < 300; seed++ {
		c := config(seed, int(seed&1), tcp.ProfileLinux)
		for i := range knobs {
			k := &knobs[i]
			if turned[k.name] == nil {
				turned[k.name] = map[string]bool{}
			}
			turned[k.name][fmt.Sprint(k.show(&c))] = true
		}
		if c != config(seed, int(seed&1), tcp.ProfileLinux) {
			t.Fatalf("seed %d: two configurations", seed)
		}
	}
	if len(turned) != len(knobs) {
		t.Errorf("%d names of %d knobs", len(turned), len(knobs))
	}
	for name, values := range turned {
		if len(values) < 2 {
			t.Errorf("%s is always %v", name, values)
		}
	}
	c := *tcp.DefaultConfig(tcp.ProfileRFC)
	if s := settings(&c); s != "profile 1" {
		t.Errorf("a default is described as %q", s)
	}
	c.NoSACK, c.SendBuffer = true, 7
	if s := settings(&c); s != "profile 1 sndbuf=7 nosack=true" {
		t.Errorf("a configuration is described as %q", s)
	}
}
