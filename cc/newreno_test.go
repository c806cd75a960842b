package cc_test

import (
	"testing"

	"github.com/handfast/handfast/cc"
)

const mss = 1000

// ack acknowledges n bytes on a connection whose window is in use.
func ack(s *cc.State, n uint32) {
	cc.NewReno{}.OnAck(s, &cc.RateSample{Acked: n, MSS: mss, Flight: s.Cwnd, CwndLimited: true})
}

// Slow start adds what was acknowledged, eight segments for one ACK at most,
// and ends at ssthresh. RFC 5681 §3.1, RFC 9406 §4.2.
func TestSlowStart(t *testing.T) {
	for _, c := range []struct{ cwnd, ssthresh, acked, want uint32 }{
		{4000, cc.Infinite, 1000, 5000},
		{4000, cc.Infinite, 1, 4001},
		{4000, cc.Infinite, 8000, 12_000},
		{4000, cc.Infinite, 8001, 12_000},
		{4000, cc.Infinite, 1 << 30, 12_000},
		{4000, 5000, 1000, 5000},
		{4000, 4500, 1000, 4500},
		{1000, 5000, 10_000, 5000},
		{1000, 5000, 8000, 5000},
		{2_000_000_000, cc.Infinite, 1 << 30, 2_000_008_000},
	} {
		s := cc.State{Cwnd: c.cwnd, SSThresh: c.ssthresh}
		ack(&s, c.acked)
		if s.Cwnd != c.want {
			t.Errorf("cwnd %d, ssthresh %d: %d acknowledged make %d, want %d", c.cwnd, c.ssthresh, c.acked, s.Cwnd, c.want)
		}
	}
}

// Dividing one ACK into many gains nothing in either phase. RFC 3465 §2.
func TestACKDivision(t *testing.T) {
	for _, ssthresh := range []uint32{cc.Infinite, 4000} {
		one := cc.State{Cwnd: 10_000, SSThresh: ssthresh}
		many := one
		for range 20 {
			ack(&one, 1000)
			for range 1000 {
				ack(&many, 1)
			}
		}
		if many.Cwnd > one.Cwnd {
			t.Errorf("ssthresh %d: %d with whole ACKs, %d with single bytes", ssthresh, one.Cwnd, many.Cwnd)
		}
	}
}

// Congestion avoidance adds one segment for each cwnd acknowledged, and no more
// than one for an ACK. RFC 5681 §3.1.
func TestCongestionAvoidance(t *testing.T) {
	for _, step := range []uint32{1, 536, 1000, 2920, 9999, 10_000} {
		s := cc.State{Cwnd: 10_000, SSThresh: 5000}
		var acked uint32
		for s.Cwnd == 10_000 {
			ack(&s, step)
			acked += step
		}
		if s.Cwnd != 11_000 || acked < 10_000 || acked >= 10_000+step {
			t.Errorf("ACKs of %d: cwnd %d after %d", step, s.Cwnd, acked)
		}
	}
	s := cc.State{Cwnd: 10_000, SSThresh: 5000}
	ack(&s, 1<<30)
	if s.Cwnd != 11_000 {
		t.Errorf("one ACK made %d of 10000", s.Cwnd)
	}
}

// A window that is not used does not grow. RFC 7661 §4.
func TestNoGrowthWithoutUse(t *testing.T) {
	for _, ssthresh := range []uint32{cc.Infinite, 1000} {
		s := cc.State{Cwnd: 10_000, SSThresh: ssthresh}
		for range 1000 {
			cc.NewReno{}.OnAck(&s, &cc.RateSample{Acked: 1000, MSS: mss})
		}
		if s.Cwnd != 10_000 {
			t.Errorf("ssthresh %d: cwnd grew to %d", ssthresh, s.Cwnd)
		}
	}
}

// Loss halves FlightSize into ssthresh, two segments at least; a timeout takes
// cwnd to one segment, and a second one for the same segment leaves ssthresh
// alone. RFC 5681 §3.1 equation 4, §3.2.
func TestReductions(t *testing.T) {
	var r cc.NewReno
	for _, c := range []struct{ flight, ssthresh uint32 }{
		{10_000, 5000}, {4000, 2000}, {3999, 2000}, {1, 2000}, {0, 2000}, {4001, 2000}, {1 << 31, 1 << 30},
	} {
		s := cc.State{Cwnd: 20_000, SSThresh: cc.Infinite}
		r.OnLossEvent(&s, &cc.Loss{Flight: c.flight, MSS: mss})
		if s.SSThresh != c.ssthresh {
			t.Errorf("loss with %d in flight: ssthresh %d, want %d", c.flight, s.SSThresh, c.ssthresh)
		}
		s = cc.State{Cwnd: 20_000, SSThresh: cc.Infinite}
		r.OnRTO(&s, &cc.Loss{Flight: c.flight, MSS: mss}, true)
		if s.SSThresh != c.ssthresh || s.Cwnd != mss {
			t.Errorf("timeout with %d in flight: ssthresh %d, cwnd %d", c.flight, s.SSThresh, s.Cwnd)
		}
		r.OnRTO(&s, &cc.Loss{Flight: 1000, MSS: mss}, false)
		if s.SSThresh != c.ssthresh || s.Cwnd != mss {
			t.Errorf("a second timeout: ssthresh %d, cwnd %d", s.SSThresh, s.Cwnd)
		}
	}
}

// OnUndo gives back what a spurious reduction took, once. RFC 4015 §3.2.
func TestUndo(t *testing.T) {
	var r cc.NewReno
	for name, reduce := range map[string]func(*cc.State){
		"loss":    func(s *cc.State) { r.OnLossEvent(s, &cc.Loss{Flight: s.Cwnd, MSS: mss}); s.Cwnd = s.SSThresh },
		"timeout": func(s *cc.State) { r.OnRTO(s, &cc.Loss{Flight: s.Cwnd, MSS: mss}, true) },
		"two timeouts": func(s *cc.State) {
			r.OnRTO(s, &cc.Loss{Flight: s.Cwnd, MSS: mss}, true)
			r.OnRTO(s, &cc.Loss{Flight: mss, MSS: mss}, false)
		},
	} {
		s := cc.State{Cwnd: 20_000, SSThresh: 16_000}
		reduce(&s)
		r.OnUndo(&s, 1)
		if s.Cwnd != 20_000 || s.SSThresh != 16_000 {
			t.Errorf("%s: cwnd %d, ssthresh %d after the undo", name, s.Cwnd, s.SSThresh)
		}
		s.Cwnd, s.SSThresh = 1000, 2000
		r.OnUndo(&s, 1)
		if s.Cwnd != 1000 || s.SSThresh != 2000 {
			t.Errorf("%s: undone twice", name)
		}
	}
}

// After a pause cwnd is at most the restart window. RFC 5681 §4.1.
func TestIdleRestart(t *testing.T) {
	var r cc.NewReno
	for _, c := range []struct{ cwnd, restart, want uint32 }{{20_000, 4000, 4000}, {3000, 4000, 3000}, {4000, 4000, 4000}} {
		s := cc.State{Cwnd: c.cwnd, SSThresh: 7000}
		r.OnIdleRestart(&s, 1, c.restart)
		if s.Cwnd != c.want || s.SSThresh != 7000 {
			t.Errorf("%d and %d: cwnd %d, ssthresh %d", c.cwnd, c.restart, s.Cwnd, s.SSThresh)
		}
	}
}

// What the rest of the interface promises.
func TestNewRenoNamesItself(t *testing.T) {
	var a cc.Algorithm = cc.NewReno{}
	s := cc.State{Cwnd: 4000, SSThresh: cc.Infinite}
	a.Init(&s, 1, mss, 1)
	a.OnSent(&s, 1, 1000, 1000)
	if cwnd, pacing := a.Control(&s); a.Name() != "reno" || cwnd != 4000 || pacing != 0 {
		t.Errorf("%s: cwnd %d, pacing %d", a.Name(), cwnd, pacing)
	}
}

// Nothing is allocated, whatever happens.
func TestNewRenoAllocatesNothing(t *testing.T) {
	var a cc.Algorithm = cc.NewReno{}
	s := cc.State{Cwnd: 4000, SSThresh: cc.Infinite}
	sample, loss := &cc.RateSample{Acked: 1000, MSS: mss, CwndLimited: true}, &cc.Loss{Flight: 1000, MSS: mss}
	n := testing.AllocsPerRun(1000, func() {
		a.OnSent(&s, 1, 1000, 1000)
		a.OnAck(&s, sample)
		a.OnLossEvent(&s, loss)
		a.OnRTO(&s, loss, true)
		a.OnUndo(&s, 1)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNewRenoOnAck(b *testing.B) {
	s := cc.State{Cwnd: 10_000, SSThresh: 5000}
	for b.Loop() {
		ack(&s, 1000)
		s.Cwnd = 10_000
	}
}
