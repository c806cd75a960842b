package engine

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// floodSYNs lets SYNs of n clients arrive and forgets the answers.
func floodSYNs(h *Harness, n int) {
	for i := range n {
		h.Inject(syn(at(them4, uint16(1+i)), 1))
	}
	h.Sent()
}

// cookieACK answers a SYN-ACK, as the client that sent its SYN with these options.
func cookieACK(a *wireSegment, peerSEQ uint32) wireSegment {
	s := wireSegment{Src: a.Dst, Dst: a.Src, SEQ: peerSEQ + 1, ACK: a.SEQ + 1, Flags: wire.FlagACK, WND: 1000}
	if a.Opts.Has&wire.HasTimestamps != 0 {
		s.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 6, TSEcr: a.Opts.TSVal}
	}
	return s
}

// What is half-open is bounded for each listener; a SYN beyond the bound is answered by a cookie, and holds nothing. RFC 4987 §3.
func TestR4987_a_Bound(t *testing.T) {
	const most = 16
	h := newTestHarness(t, HarnessConfig{Config: Config{Limits: Limits{HalfOpenPerListener: most}}})
	l, other := listen(t, h, "0.0.0.0:80"), listen(t, h, "0.0.0.0:81")
	floodSYNs(h, 1000)
	if _, half := l.Pending(); half != most {
		t.Errorf("%d half-open records, want %d", half, most)
	}
	wantCount(t, h, SYNCookiesSent, 1000-most)
	wantCount(t, h, ListenHalfOpenOverflow, 1000-most)
	s := wireSegment{Src: at(them4, 5000), Dst: at(us4, 81), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}
	h.Inject(s.raw())
	if _, half := other.Pending(); half != 1 {
		t.Errorf("another listener has %d half-open records", half)
	}
}

// A cookie is a sequence number that holds a time, a segment size and a keyed hash of the flow; it is good for one to two of its periods, and no state is kept until its ACK. RFC 4987 §3.6.
func TestR4987_b_Cookie(t *testing.T) {
	for _, x := range []struct {
		age  time.Duration
		good bool
	}{{0, true}, {tcp.CookiePeriod, true}, {2*tcp.CookiePeriod - time.Second, false}, {2 * tcp.CookiePeriod, false}} {
		h, l := fullListener(t)
		h.AdvanceTo(mono.Time(3*tcp.CookiePeriod - time.Second)) // the next period is a second away
		floodSYNs(h, 2)
		p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 1000, wnd: 1000, mss: 1460}
		p.send(wire.FlagSYN, "")
		a := one(t, h)
		if st := h.Stats(); st.HalfOpen != 2 || st.Connections != 0 {
			t.Fatalf("%d half-open records, %d connections", st.HalfOpen, st.Connections)
		}
		h.Advance(x.age)
		floodSYNs(h, 2) // cookies stay out
		ack := cookieACK(&a, 1000)
		h.Inject(ack.raw())
		if c := h.Accept(l); (c != nil) != x.good {
			t.Errorf("after %v: %v", x.age, c != nil)
		}
	}
	// Another flow's cookie is another one, and so is another key's.
	seen := map[uint32]bool{}
	h, _ := fullListener(t)
	for i := range 64 {
		s := wireSegment{Src: at(them4, uint16(3000+i)), Dst: at(us4, 80), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}
		h.Inject(s.raw())
		seen[one(t, h).SEQ&(1<<24-1)] = true
	}
	if len(seen) < 63 {
		t.Errorf("64 flows have %d different hashes", len(seen))
	}
}

// Options other than the segment size survive a cookie only by the timestamp that the client sends back. RFC 4987 §3.6.
func TestR4987_c_Options(t *testing.T) {
	for _, ts := range []bool{true, false} {
		h, l := fullListener(t)
		s := wireSegment{Src: at(them4, 4000), Dst: at(us4, 80), SEQ: 1000, Flags: wire.FlagSYN, WND: 1000}
		s.Opts = wire.TCPOptions{MSS: 1460, WScale: 9, Has: wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted}
		if ts {
			s.Opts.Has |= wire.HasTimestamps
		}
		h.Inject(s.raw())
		a := one(t, h)
		if got := a.Opts.Has&(wire.HasWScale|wire.HasSACKPermitted) == wire.HasWScale|wire.HasSACKPermitted; got != ts {
			t.Errorf("timestamps %v: offered %v", ts, &a)
		}
		ack := cookieACK(&a, 1000)
		h.Inject(ack.raw())
		c := h.Accept(l)
		if c == nil {
			t.Fatalf("timestamps %v: no connection", ts)
		}
		if i := h.Info(c); i.SACK != ts || i.Timestamps != ts || (i.SendScale == 9) != ts {
			t.Errorf("timestamps %v: %+v", ts, i)
		}
	}
}

// A SYN-ACK is sent again a limited number of times. RFC 4987 §3.
func TestR4987_d_SYNACKRetransmissions(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	listen(t, h, "0.0.0.0:80")
	h.Inject(syn(at(them4, 1), 1))
	from := h.Now()
	h.Advance(time.Hour)
	all := h.Sent()
	if want := 1 + int(h.E.tcp.SYNACKRetries); len(all) != want {
		t.Errorf("%d SYN-ACKs, want %d", len(all), want)
	}
	if d := all[len(all)-1].At.Sub(from); d != 31*time.Second {
		t.Errorf("the last after %v", d)
	}
	if h.Stats().HalfOpen != 0 {
		t.Error("the record is still there")
	}
}

// A cookie is accepted only while the listener has given some lately. RFC 4987 §3.6.
func TestR4987_e_OnlyAfterOverflow(t *testing.T) {
	h, l := fullListener(t)
	p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 1000, wnd: 1000, mss: 1460}
	p.send(wire.FlagSYN, "")
	a := one(t, h)
	l.cookies = h.Now() // as if none had been given
	ack := cookieACK(&a, 1000)
	h.Inject(ack.raw())
	if s := one(t, h); s.Flags != wire.FlagRST || h.Accept(l) != nil {
		t.Errorf("answered by %v", &s)
	}
	wantCount(t, h, SYNCookiesRefused, 0) // not even looked at
}
