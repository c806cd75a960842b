package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// samples keeps what the congestion control was told, in recovery too, its window
// being 20 segments.
type samples struct {
	steady
	got *[]cc.RateSample
}

func (s samples) OnAck(_ *cc.State, r *cc.RateSample) { *s.got = append(*s.got, *r) }

func (samples) OnLost(*cc.State, *cc.LostPacket) {}

// sampled returns a connection and where its samples go.
func sampled(t *testing.T, opts ...tcptest.Option) (*tcptest.Conn, func() cc.RateSample) {
	var got []cc.RateSample
	p := quiet(t, append(opts, tcptest.Config(func(c *tcp.Config) { c.Congestion = samples{got: &got} }))...)
	return p, func() cc.RateSample {
		t.Helper()
		if len(got) == 0 {
			t.Fatal("no sample")
		}
		s := got[len(got)-1]
		if s.PriorDelivered+uint64(s.SampleDelivered) != s.TotalDelivered || s.Interval != 0 && s.Interval < s.MinRTT {
			t.Errorf("%+v does not add up", s)
		}
		return s
	}
}

// A sample is what was delivered since the newest packet left, in the time since
// what was delivered before it. draft-ietf-ccwg-bbr §4.1.
func TestDeliveryRateSample(t *testing.T) {
	p, last := sampled(t)
	for range 10 { // ten segments, 10 ms apart: 100 kB/s
		p.Write(1000)
		p.Drop()
		p.Advance("10ms")
	}
	for k := 1; k <= 10; k++ {
		p.Write(1000)
		p.Drop()
		p.Recv(sackLine(k))
		if s := last(); s.Acked != 1000 || s.Delivered != 1000 || s.TotalDelivered != uint64(1000*k) || s.RTT != 100*ms {
			t.Fatalf("ACK %d: %+v", k, s)
		}
		p.Advance("10ms")
	}
	p.Recv(sackLine(11))
	p.Advance("10ms")
	p.Recv(sackLine(12)) // it left at 110 ms, after the ACK of the first came at 100
	if s := last(); s.Rate != 100_000 || s.Interval != 110*ms || s.SampleDelivered != 11_000 || s.TxInFlight != 11_000 {
		t.Errorf("%+v", s)
	}
	if i := p.Info(); i.DeliveryRate != 100_000 {
		t.Errorf("Info says %d", i.DeliveryRate)
	}
}

// ACKs that come compressed do not look like a faster path: the time in which it
// was sent counts, if it is longer.
func TestDeliveryRateOfCompressedACKs(t *testing.T) {
	// 100 kB/s for 200 ms over a path of 200 ms, which becomes one of 100 ms: what
	// left from 100 ms on arrives all at once, behind the rest.
	p, last := sampled(t)
	for range 20 {
		p.Write(1000)
		p.Drop()
		p.Advance("10ms")
	}
	for k := 1; k <= 10; k++ {
		p.Recv(sackLine(k))
		if k == 1 {
			p.Write(1000)
			p.Drop()
		}
		p.Advance("10ms")
	}
	p.Recv(sackLine(21))
	if s := last(); s.RTT != 100*ms || s.Interval != 200*ms || s.Rate != 100_000 {
		t.Errorf("%d octets a second were never sent: %+v", s.Rate, s)
	}
	// Stretched ones: the time of the ACKs counts.
	p, last = sampled(t)
	p.Write(10_000)
	p.Drop()
	for k := 1; k <= 10; k++ {
		p.At(line("%dms", 90+10*k))
		p.Recv(sackLine(k))
		if s := last(); s.Rate > 100_000 || s.Interval < 100*ms {
			t.Errorf("ACK %d: %+v", k, s)
		}
	}
}

// What leaves while the program is the limit is marked so, until it has arrived.
func TestDeliveryRateAppLimited(t *testing.T) {
	p, last := sampled(t)
	p.Write(2000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(2))
	if s := last(); s.AppLimited {
		t.Error("the first flight was limited by nothing before it")
	}
	p.Write(30_000) // this begins in the bubble, but fills cwnd
	p.Drop()
	p.At("200ms")
	p.Recv(sackLine(3))
	if s := last(); !s.AppLimited {
		t.Error("what left into the bubble is not marked")
	}
	p.Drop()
	p.At("210ms")
	p.Recv(sackLine(22))
	p.Drop()
	p.At("310ms")
	p.Recv(sackLine(24))
	if s := last(); s.AppLimited {
		t.Error("what left after the bubble is marked")
	}
	p.Drop()
	p.Recv(sackLine(32))
	if i := p.Info(); i.AppLimited {
		t.Error("Info marks it")
	}
}

// A retransmission gives a rate, from when it left again, but no RTT.
func TestDeliveryRateOfRetransmission(t *testing.T) {
	p, last := sampled(t)
	p.Write(10_000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(0, 1, 10))
	p.Want("> . 1:1001(1000) ack 1")
	lost := last
	p.At("200ms")
	p.Recv(sackLine(10))
	s := lost()
	if s.RTT != 0 || s.Interval != 100*ms || s.SampleDelivered != 1000 || s.Rate != 10_000 || s.SampleLost != 0 {
		t.Errorf("%+v", s)
	}
	// Of which transmission the ACK is nobody knows; the rate is none that was not
	// reached in any case.
	p, last = sampled(t)
	p.Write(10_000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(1, 2, 10))
	p.Drop()
	p.At("110ms")
	p.Recv(sackLine(10))
	if s := last(); s.RTT != 0 || s.Rate > 10_000 {
		t.Errorf("%+v", s)
	}
}

// Losses are counted when they are marked.
func TestDeliveryRateLosses(t *testing.T) {
	p, last := sampled(t)
	p.Write(10_000)
	p.Drop()
	p.At("100ms")
	p.Recv(sackLine(1, 6, 10)) // 1 to 5
	p.Drop()
	if s := last(); s.Lost != 5000 || !s.InRecovery || s.SampleLost != 5000 || s.Delivered != 5000 {
		t.Errorf("%+v", s)
	}
	p.At("200ms")
	p.Recv(sackLine(6, 6, 10))
	if s := last(); s.Lost != 0 {
		t.Errorf("again: %+v", s)
	}
	p.Drop()
}
