package engine

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// fullListener listens on port 80 with all its half-open records used up.
func fullListener(t testing.TB) (*Harness, *Listener) {
	t.Helper()
	h := newTestHarness(t, HarnessConfig{Config: Config{Limits: Limits{HalfOpenPerListener: 2}}})
	l := listen(t, h, "[::]:80")
	h.Inject(syn(at(them4, 1), 1), syn(at(them4, 2), 1))
	h.Sent()
	return h, l
}

// A SYN that finds no record is answered by a cookie, and the ACK of that makes
// a connection with the MSS and, by way of the timestamp, the options of the SYN.
func TestSYNCookie(t *testing.T) {
	for _, x := range []struct {
		mss, want uint16
		options   wire.OptionSet
		scale     uint8
	}{
		{1460, 1460, wire.HasTimestamps | wire.HasWScale | wire.HasSACKPermitted, 7},
		{1460, 1460, wire.HasTimestamps | wire.HasWScale, 14},
		{1460, 1460, wire.HasTimestamps | wire.HasWScale, 0},
		{1400, 1360, wire.HasTimestamps | wire.HasSACKPermitted, 0},
		{1000, 960, wire.HasWScale | wire.HasSACKPermitted, 7}, // no timestamps: nothing to keep them in
		{10, 64, 0, 0},
		{0, 536, wire.HasTimestamps, 0},
	} {
		h, l := fullListener(t)
		p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 1000, wnd: 1000, mss: x.mss}
		s := p.seg(wire.FlagSYN, "")
		s.Opts = wire.TCPOptions{MSS: x.mss, Has: x.options, WScale: x.scale, TSVal: 5}
		if x.mss > 0 {
			s.Opts.Has |= wire.HasMSS
		}
		h.Inject(s.raw())
		a := one(t, h)
		if st := h.Stats(); st.HalfOpen != 2 || count(h, SYNCookiesSent) != 1 {
			t.Fatalf("%d half-open records", st.HalfOpen)
		}
		h.Advance(time.Minute)
		h.Sent()
		p.seq, p.ack = 1001, a.SEQ+1
		r := p.seg(wire.FlagACK|wire.FlagPSH, "hello")
		if a.Opts.Has&wire.HasTimestamps != 0 {
			r.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 6, TSEcr: a.Opts.TSVal}
		}
		h.Inject(r.raw())
		c := h.Accept(l)
		if c == nil {
			t.Fatalf("%+v: no connection", x)
		}
		var b [8]byte
		if n, _ := h.Read(c, b[:]); string(b[:n]) != "hello" {
			t.Errorf("%+v: read %q", x, b[:n])
		}
		i := h.Info(c)
		ts := x.options&wire.HasTimestamps != 0
		mss := uint32(x.want)
		if ts {
			mss -= 12
		}
		scale := uint8(0)
		if ts && x.options&wire.HasWScale != 0 {
			scale = x.scale
		}
		if i.SendMSS != mss || i.Timestamps != ts || i.SendScale != scale || i.SACK != (ts && x.options&wire.HasSACKPermitted != 0) {
			t.Errorf("%+v: MSS %d, timestamps %v, scale %d, SACK %v", x, i.SendMSS, i.Timestamps, i.SendScale, i.SACK)
		}
		if i.SendWindow != 1000<<scale {
			t.Errorf("%+v: window %d", x, i.SendWindow)
		}
	}
}

// A cookie is good for one flow, for a minute or two, and while cookies are out.
func TestSYNCookieRefused(t *testing.T) {
	h, l := fullListener(t)
	p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 1000, wnd: 1000}
	p.send(wire.FlagSYN, "")
	p.ack = one(t, h).SEQ + 1
	refused := func(why string) {
		t.Helper()
		if s := one(t, h); s.Flags != wire.FlagRST || h.Accept(l) != nil {
			t.Errorf("%s: answered by %v", why, s.String())
		}
	}
	s := p.seg(wire.FlagACK, "")
	s.Src = at(them4, 4001)
	h.Inject(s.raw())
	refused("another flow")
	s = p.seg(wire.FlagACK, "")
	s.SEQ++
	h.Inject(s.raw())
	refused("another sequence number of the peer")
	s = p.seg(wire.FlagACK, "")
	s.ACK++
	h.Inject(s.raw())
	refused("another cookie")
	h.Advance(129 * time.Second)
	h.Sent()
	p.send(wire.FlagACK, "")
	refused("too old")
	wantCount(t, h, SYNCookiesRefused, 3) // none are out any more when the last came
}

// T-RES-01: 100,000 spoofed SYNs in a second against 256 half-open records hold
// next to nothing, and every honest client connects at once. A million random
// ACKs, scaled down, get no connection out of a cookie.
func TestSYNFlood(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Unchecked: true})
	l := listen(t, h, "10.0.0.1:80")
	const seed, n, clients = 1, 100_000, 100
	r := newTestRand(seed)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	connected := 0
	for i := range n {
		h.Discard(true)
		h.Inject(spoofed(r))
		h.Advance(time.Second / n)
		if i%(n/clients) == 0 {
			h.Discard(false)
			p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, uint16(2000+i/(n/clients))), seq: 1, wnd: 1000}
			p.send(wire.FlagSYN, "")
			p.ack = one(t, h).SEQ + 1
			p.send(wire.FlagACK, "")
			if c := h.Accept(l); c != nil && c.RemoteAddr() == p.them {
				connected++
			}
			h.Sent()
		}
	}
	if connected != clients {
		t.Errorf("seed %d: %d of %d honest clients are connected", seed, connected, clients)
	}
	if s := h.Stats(); s.HalfOpen > 256 || s.Connections != clients {
		t.Errorf("seed %d: %d half-open records, %d connections", seed, s.HalfOpen, s.Connections)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 1<<20 {
		t.Errorf("seed %d: %d bytes are held", seed, held)
	}
	h.Discard(true)
	for range n {
		s := wireSegment{Src: netip.AddrPortFrom(them4, uint16(1024+r.IntN(60000))), Dst: at(us4, 80), SEQ: r.Uint32(), ACK: r.Uint32(), Flags: wire.FlagACK, WND: 1000}
		h.Inject(s.raw())
	}
	// At 24 bits of hash and 2 of 32 periods one ACK in 268 million is right.
	if c := h.Accept(l); c != nil || count(h, SYNCookiesRefused) < n*9/10 {
		t.Errorf("seed %d: random ACKs: accepted %v, refused %d", seed, c, count(h, SYNCookiesRefused))
	}
}

// What a cookie remembers of timestamps never runs ahead of the clock: the next
// segment's is not older, whatever the options.
func TestSYNCookieTimestamp(t *testing.T) {
	h, l := fullListener(t)
	for i := range 200 {
		p := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, uint16(4000+i)), seq: 1000, wnd: 1000}
		s := p.seg(wire.FlagSYN, "")
		s.Opts = wire.TCPOptions{MSS: 1460, Has: wire.HasMSS | wire.HasTimestamps | wire.HasWScale | wire.HasSACKPermitted, WScale: uint8(i % 15), TSVal: 5}
		h.Inject(s.raw())
		a := one(t, h)
		p.seq, p.ack = 1001, a.SEQ+1
		r := p.seg(wire.FlagACK|wire.FlagPSH, "x")
		r.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 5, TSEcr: a.Opts.TSVal}
		h.Inject(r.raw())
		c := h.Accept(l)
		if c == nil || c.State() != tcp.Established {
			t.Fatalf("connection %d: %v", i, c)
		}
		if b := one(t, h); int32(b.Opts.TSVal-a.Opts.TSVal) < 0 || b.Opts.TSVal-a.Opts.TSVal >= 64 {
			t.Errorf("timestamp %d after %d", b.Opts.TSVal, a.Opts.TSVal)
		}
		h.Advance(time.Millisecond)
		h.Sent()
	}
}
