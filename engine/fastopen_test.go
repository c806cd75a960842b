package engine

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// fastListener listens on port 80 and lets n connections be pending.
func fastListener(t testing.TB, c HarnessConfig, n int) (*Harness, *Listener) {
	t.Helper()
	h := newTestHarness(t, c)
	l, err := h.Listen(ListenConfig{Local: netip.MustParseAddrPort("[::]:80"), FastOpen: n})
	if err != nil {
		t.Fatal(err)
	}
	return h, l
}

// fastSYN is a SYN with a cookie, an empty one to ask for one, and data.
func fastSYN(from netip.AddrPort, cookie []byte, data string) wireSegment {
	us := at(us4, 80)
	if from.Addr().Is6() {
		us = at(us6, 80)
	}
	s := wireSegment{Src: from, Dst: us, SEQ: 1000, Flags: wire.FlagSYN, WND: 64000, Data: []byte(data)}
	s.Opts = wire.TCPOptions{MSS: 1460, Has: wire.HasMSS | wire.HasFastOpen}
	s.Opts.NFastOpen = uint8(copy(s.Opts.FastOpen[:], cookie))
	return s
}

// getCookie asks a listener for a cookie, and lets go of the handshake.
func getCookie(t testing.TB, h *Harness, from netip.Addr) []byte {
	t.Helper()
	h.Sent()
	s := fastSYN(at(from, 999), nil, "")
	h.Inject(s.raw())
	a := one(t, h)
	h.Inject((&wireSegment{Src: s.Src, Dst: s.Dst, SEQ: a.ACK, Flags: wire.FlagRST}).raw())
	if a.Opts.Has&wire.HasFastOpen == 0 || a.Opts.NFastOpen != fastOpenCookieBytes || a.ACK != 1001 {
		t.Fatalf("no cookie on %v", &a)
	}
	return bytes.Clone(a.Opts.FastOpen[:a.Opts.NFastOpen])
}

// readAll reads what a connection holds.
func readAll(h *Harness, c *Conn) string {
	var b [4096]byte
	n, _ := h.Read(c, b[:])
	return string(b[:n])
}

// A cookie option counts only on a SYN, and with an even length of 4 to 16 bytes; else it is ignored. RFC 7413 §4.1.1.
func TestR7413_4_1_1_Option(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{}, 8)
	for n := range 20 { // the option as bytes: lengths that a codec would not write
		s := fastSYN(at(them4, uint16(1000+n)), nil, "data")
		s.Opts = wire.TCPOptions{MSS: 1460, Has: wire.HasMSS, SACK: [4][2]uint32{}, NSACK: 2}
		s.Opts.Has |= wire.HasSACK | wire.HasWScale // 4 + 20 + 4 bytes: overwritten below
		raw := s.raw()
		o := raw[wire.IPv4MinLen+wire.TCPMinLen:][:28]
		for i := range o {
			o[i] = wire.TCPOptNOP
		}
		o[0], o[1] = wire.TCPOptFastOpen, byte(n+2)
		fixChecksum(raw)
		h.Inject(raw)
		a := one(t, h)
		counts := n == 0 || n >= 4 && n <= 16 && n%2 == 0
		if got := a.Opts.Has&wire.HasFastOpen != 0; got != counts || a.ACK != 1001 {
			t.Errorf("a cookie of %d bytes: answered by %v", n, &a)
		}
	}
	cookie := getCookie(t, h, them4)
	s := fastSYN(at(them4, 2000), cookie, "")
	s.Flags = wire.FlagACK
	h.Inject(s.raw())
	if a := one(t, h); a.Flags != wire.FlagRST || h.Accept(l) != nil {
		t.Errorf("a cookie on an ACK: answered by %v", &a)
	}
}

// fixChecksum makes a segment's checksum right.
func fixChecksum(raw []byte) {
	h := wire.TCP(raw[wire.IPv4MinLen:])
	h.SetChecksum(0)
	p := wire.IPv4(raw)
	src, dst := p.Src(), p.Dst()
	h.SetChecksum(wire.Finish(wire.Sum(h, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(h))))))
}

// A cookie is bound to the client's address, cannot be made without the key, and expires with it. RFC 7413 §4.1.2.
func TestR7413_4_1_2_Cookie(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{}, 8)
	mine, again := getCookie(t, h, them4), getCookie(t, h, them4)
	other := getCookie(t, h, netip.MustParseAddr("10.0.0.3"))
	six := getCookie(t, h, them6)
	if !bytes.Equal(mine, again) || bytes.Equal(mine, other) || bytes.Equal(mine, six) {
		t.Fatalf("cookies %x and %x, of another address %x, of IPv6 %x", mine, again, other, six)
	}
	port := uint16(2000)
	show := func(from netip.Addr, cookie []byte, taken, fresh bool) {
		t.Helper()
		port++
		s := fastSYN(at(from, port), cookie, "hello")
		h.Inject(s.raw())
		a := one(t, h)
		if got := a.ACK == 1006; got != taken || (a.Opts.Has&wire.HasFastOpen != 0) != fresh {
			t.Errorf("%x from %v: answered by %v", cookie, from, &a)
		}
		c := h.Accept(l)
		if (c != nil) != taken {
			t.Errorf("%x from %v: connection %v", cookie, from, c)
		}
		if c != nil {
			h.Abort(c)
			h.Sent()
		}
	}
	show(them4, mine, true, false)
	show(them6, six, true, false)
	show(them4, other, false, true)
	show(them4, mine[:6], false, true)
	show(them4, append(bytes.Clone(mine), 0, 0), false, true)

	// The key changes: the old cookie is still good, and is replaced.
	h.AdvanceTo(mono.Start.Add(fastOpenKeyLife))
	h.Sent()
	show(them4, mine, true, true)
	next := getCookie(t, h, them4)
	show(them4, next, true, false)
	h.Advance(fastOpenKeyLife)
	h.Sent()
	show(them4, mine, false, true)
	show(them4, next, true, true)

	// Keys of one's own do not expire.
	h.E.SetFastOpenKeys([16]byte{1}, [16]byte{2})
	show(them4, next, false, true)
	fixed := getCookie(t, h, them4)
	h.Advance(10 * fastOpenKeyLife)
	h.Sent()
	show(them4, fixed, true, false)
	h.E.SetFastOpenKeys([16]byte{3}, [16]byte{1})
	show(them4, fixed, true, true)
}

// A million forged cookies open nothing.
func TestFastOpenForgedCookies(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{Unchecked: true, Config: Config{Limits: Limits{HalfOpenPerListener: 1 << 16}}}, 8)
	h.Discard(true)
	const seed, n = 7, 1_000_000
	r := newTestRand(seed)
	from := at(them4, 2000)
	s := fastSYN(from, make([]byte, 8), "x")
	raw := s.raw()
	at := bytes.LastIndex(raw, []byte{wire.TCPOptFastOpen, 10})
	for i := range n {
		for k := range 8 {
			raw[at+2+k] = byte(r.Uint32())
		}
		fixChecksum(raw)
		h.Inject(raw)
		// Back to LISTEN, so that the next one finds no record.
		if i == 0 || i == n-1 {
			if h.Stats().HalfOpen != 1 {
				t.Fatalf("try %d: %d half-open records", i, h.Stats().HalfOpen)
			}
		}
		h.E.half.each(func(i uint32) bool { h.E.dropHalfOpen(i); return true })
	}
	if c := h.Accept(l); c != nil || count(h, FastOpenPassive) != 0 {
		t.Errorf("seed %d: a forged cookie opened a connection", seed)
	}
	wantCount(t, h, FastOpenRefusals, n)
}

// answer answers a SYN of ours.
func answer(syn *wireSegment, ack uint32, cookie []byte) wireSegment {
	a := wireSegment{Src: syn.Dst, Dst: syn.Src, SEQ: 9000, ACK: ack, Flags: wire.FlagSYN | wire.FlagACK, WND: 64000}
	a.Opts = wire.TCPOptions{MSS: 700, Has: wire.HasMSS}
	if cookie != nil {
		a.Opts.Has |= wire.HasFastOpen
		a.Opts.NFastOpen = uint8(copy(a.Opts.FastOpen[:], cookie))
	}
	return a
}

// dialFast opens a connection with Fast Open and writes to it before its SYN
// leaves; it returns the SYN.
func dialFast(t testing.TB, h *Harness, to netip.AddrPort, data string) (*Conn, wireSegment) {
	t.Helper()
	h.Sent()
	c, err := h.E.Dial(h.Now(), &DialConfig{Remote: to, FastOpen: true})
	if err != nil {
		t.Fatal(err)
	}
	h.Write(c, []byte(data))
	return c, one(t, h)
}

// The client keeps a server's cookie and MSS, and remembers where Fast Open does not work. RFC 7413 §4.1.3 and §4.1.3.1.
func TestR7413_4_1_3_Cache(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	cookie := []byte("abcdefgh")
	asks := func(s wireSegment) bool {
		return s.Opts.Has&wire.HasFastOpen != 0 && s.Opts.NFastOpen == 0 && len(s.Data) == 0
	}
	shows := func(s wireSegment) bool {
		return s.Opts.Has&wire.HasFastOpen != 0 && string(s.Opts.FastOpen[:s.Opts.NFastOpen]) == string(cookie)
	}
	long := strings.Repeat("x", 3000)

	c, s := dialFast(t, h, at(them4, 80), long)
	if !asks(s) {
		t.Fatalf("the first SYN does not ask for a cookie: %v", &s)
	}
	a := answer(&s, s.SEQ+1, cookie)
	h.Inject(a.raw())
	h.Abort(c)

	// Another port of the same server: the cookie is good, 700 bytes of MSS.
	c, s = dialFast(t, h, at(them4, 443), long)
	if !shows(s) || len(s.Data) != 700-s.Opts.Len() {
		t.Fatalf("the second SYN: %d bytes of data, %v", len(s.Data), &s)
	}
	a = answer(&s, s.SEQ+1+uint32(len(s.Data)), nil)
	h.Inject(a.raw())
	if i := h.Info(c); i.FastOpen != tcp.FastOpenAccepted || count(h, FastOpenActive) != 1 {
		t.Errorf("%v", i.FastOpen)
	}
	h.Abort(c)

	// Another server knows nothing of it.
	if _, s = dialFast(t, h, at(netip.MustParseAddr("10.0.0.3"), 80), "x"); !asks(s) {
		t.Errorf("the cookie of another server: %v", &s)
	}

	// Twice in a row the data is not taken: after that it is not tried for a
	// while, and then for longer.
	for _, pause := range []time.Duration{fastOpenShun, 2 * fastOpenShun} {
		for tries := 0; ; tries++ {
			c, s = dialFast(t, h, at(them4, 80), long)
			if s.Opts.Has&wire.HasFastOpen == 0 {
				if len(s.Data) != 0 || tries == 0 {
					t.Errorf("after %d tries: %v", tries, &s)
				}
				h.Abort(c)
				break
			}
			a = answer(&s, s.SEQ+1, nil)
			h.Inject(a.raw())
			if r := h.Info(c).FastOpen; r != tcp.FastOpenRefused {
				t.Errorf("%v", r)
			}
			h.Abort(c)
		}
		h.Advance(pause - 1)
		if c, s = dialFast(t, h, at(them4, 80), long); s.Opts.Has&wire.HasFastOpen != 0 {
			t.Errorf("tried again before %v were over", pause)
		}
		h.Abort(c)
		h.Advance(1)
	}
	c, s = dialFast(t, h, at(them4, 80), long)
	if !shows(s) {
		t.Errorf("not tried again: %v", &s)
	}
	h.Abort(c)

	// A cookie is not kept for ever.
	h.Advance(fastOpenCookieLife)
	if c, s = dialFast(t, h, at(them4, 80), long); !asks(s) {
		t.Errorf("a day later: %v", &s)
	}
	h.Abort(c)
}

// The servers that are remembered are bounded; the one not used for longest is
// forgotten.
func TestFastOpenCacheBound(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{Unchecked: true})
	server := func(i int) netip.AddrPort {
		return at(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80)
	}
	visit := func(i int) (asked bool) {
		c, s := dialFast(t, h, server(i), "x")
		asked = s.Opts.NFastOpen == 0
		a := answer(&s, s.SEQ+1+uint32(len(s.Data)), []byte("abcd"))
		h.Inject(a.raw())
		h.Abort(c)
		return asked
	}
	for i := range maxFastOpenPeers {
		visit(i)
	}
	if visit(0) {
		t.Error("forgotten with room for all")
	}
	visit(maxFastOpenPeers)
	if n := h.E.fast.peers.slab.len(); n != maxFastOpenPeers || len(h.E.fast.peers.index) != n {
		t.Errorf("%d servers are kept", n)
	}
	if visit(0) {
		t.Error("the one used last but one was forgotten")
	}
	if !visit(1) {
		t.Error("the one not used for longest was kept")
	}
}

// Fast Open is off until a program asks for it. RFC 7413 §4.2.
func TestR7413_4_2a_OptIn(t *testing.T) {
	for name, x := range map[string]struct {
		mode           tcp.FastOpenMode
		queue          int
		dial           bool
		gives, request bool
	}{
		"nobody asks":        {mode: tcp.FastOpenClient | tcp.FastOpenServer},
		"both ask":           {mode: tcp.FastOpenClient | tcp.FastOpenServer, queue: 1, dial: true, gives: true, request: true},
		"all listeners":      {mode: tcp.FastOpenServer | tcp.FastOpenAllListeners, gives: true},
		"nothing is allowed": {queue: 1, dial: true},
		"only clients":       {mode: tcp.FastOpenClient, queue: 1, dial: true, request: true},
		"only servers":       {mode: tcp.FastOpenServer, queue: 1, dial: true, gives: true},
	} {
		cfg := tcp.DefaultConfig(tcp.ProfileLinux)
		cfg.FastOpen = x.mode
		h, _ := fastListener(t, HarnessConfig{Config: Config{TCP: cfg}}, x.queue)
		s := fastSYN(at(them4, 999), nil, "data")
		h.Inject(s.raw())
		if a := one(t, h); (a.Opts.Has&wire.HasFastOpen != 0) != x.gives || a.ACK != 1001 {
			t.Errorf("%s: answered by %v", name, &a)
		}
		if _, err := h.Dial(DialConfig{Remote: at(them4, 80), FastOpen: x.dial}); err != nil {
			t.Fatal(err)
		}
		if s := one(t, h); (s.Opts.Has&wire.HasFastOpen != 0) != x.request {
			t.Errorf("%s: sent %v", name, &s)
		}
	}
	if d := tcp.DefaultConfig(tcp.ProfileRFC).FastOpen; d != tcp.FastOpenClient|tcp.FastOpenServer {
		t.Errorf("the default allows %#x", d)
	}
}

// How many connections wait for the ACK of our SYN-ACK is bounded; beyond it the handshake is a plain one. RFC 7413 §4.2.2.
func TestR7413_4_2b_PendingBound(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{}, 2)
	cookie := getCookie(t, h, them4)
	open := func(port uint16) wireSegment {
		t.Helper()
		s := fastSYN(at(them4, port), cookie, "hello")
		h.Inject(s.raw())
		return one(t, h)
	}
	taken := func(a wireSegment) bool { return a.ACK == 1006 }
	first, second := open(1), open(2)
	if !taken(first) || !taken(second) || l.FastOpenPending() != 2 {
		t.Fatalf("%d are pending", l.FastOpenPending())
	}
	if a := open(3); taken(a) || a.Opts.Has&wire.HasFastOpen != 0 {
		t.Errorf("the third: %v", &a)
	}
	wantCount(t, h, FastOpenOverflow, 1)
	if _, half := l.Pending(); half != 1 {
		t.Errorf("%d half-open records", half)
	}
	// The ACK of our SYN-ACK makes room, whether or not anybody has accepted.
	ack := func(a wireSegment, flags wire.TCPFlags) {
		h.Inject((&wireSegment{Src: a.Dst, Dst: a.Src, SEQ: a.ACK, ACK: a.SEQ + 1, Flags: flags, WND: 1000}).raw())
		h.Sent()
	}
	ack(first, wire.FlagACK)
	if l.FastOpenPending() != 1 || !taken(open(4)) {
		t.Errorf("%d are pending", l.FastOpenPending())
	}
	for c := h.Accept(l); c != nil; c = h.Accept(l) {
		if got := readAll(h, c); got != "hello" {
			t.Errorf("read %q", got)
		}
	}
	h.Sent()
	// A reset makes room, too, but only after a minute: who sent it may have been
	// the victim of somebody who uses his address. RFC 7413 §5.1.
	ack(second, wire.FlagRST|wire.FlagACK)
	if l.FastOpenPending() != 2 || taken(open(5)) {
		t.Errorf("%d are pending after a reset", l.FastOpenPending())
	}
	h.Advance(fastOpenResetLife - time.Second)
	h.Sent()
	if n := l.FastOpenPending(); n < 1 || n > 2 {
		t.Errorf("%d are pending", n)
	}
	h.Advance(time.Minute)
	h.Sent()
	if !taken(open(6)) {
		t.Error("no room after a minute")
	}
	h.CloseListener(l)
	h.Sent()
	if len(h.E.fast.pending) != 0 {
		t.Errorf("%d are pending without a listener", len(h.E.fast.pending))
	}
}

// The data of a SYN whose cookie is not good is not delivered: the SYN-ACK covers the SYN alone, and brings a good cookie. RFC 7413 §4.2.2.
func TestR7413_4_2c_BadCookie(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{}, 8)
	s := fastSYN(at(them4, 4000), []byte("nonsense"), "hello")
	h.Inject(s.raw())
	a := one(t, h)
	good := a.Opts.FastOpen[:a.Opts.NFastOpen]
	if a.ACK != 1001 || len(good) != 8 || h.Accept(l) != nil || count(h, FastOpenRefusals) != 1 {
		t.Fatalf("answered by %v", &a)
	}
	cookie := bytes.Clone(good)
	h.Inject((&wireSegment{Src: s.Src, Dst: s.Dst, SEQ: 1001, ACK: a.SEQ + 1, Flags: wire.FlagACK | wire.FlagPSH, WND: 1000, Data: []byte("hello")}).raw())
	if c := h.Accept(l); c == nil || readAll(h, c) != "hello" {
		t.Error("the plain handshake did not bring what was on the SYN")
	}
	h.Sent()
	s = fastSYN(at(them4, 4001), cookie, "world")
	h.Inject(s.raw())
	if a := one(t, h); a.ACK != 1006 || readAll(h, h.Accept(l)) != "world" {
		t.Errorf("the new cookie is not good: %v", &a)
	}
}

// A SYN that the network duplicates may deliver its data twice, when the first connection is gone: only requests that may be repeated belong there. RFC 7413 §6.
func TestR7413_6_Twice(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{}, 8)
	s := fastSYN(at(them4, 4000), getCookie(t, h, them4), "hello")
	for range 2 {
		h.Inject(s.raw())
		a := one(t, h)
		c := h.Accept(l)
		if c == nil || readAll(h, c) != "hello" {
			t.Fatalf("answered by %v", &a)
		}
		h.Abort(c)
		h.Sent()
	}
}

// Without half-open records a listener falls back on SYN cookies, and those know
// no Fast Open.
func TestFastOpenUnderFlood(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{Config: Config{Limits: Limits{HalfOpenPerListener: 2}}}, 8)
	cookie := getCookie(t, h, them4)
	h.Inject(syn(at(them4, 1), 1), syn(at(them4, 2), 1))
	h.Sent()
	s := fastSYN(at(them4, 4000), cookie, "hello")
	h.Inject(s.raw())
	if a := one(t, h); a.ACK != 1001 || a.Opts.Has&wire.HasFastOpen != 0 || h.Accept(l) != nil {
		t.Errorf("answered by %v", &a)
	}
	wantCount(t, h, SYNCookiesSent, 1)
}

// Data without a cookie is taken only where both sides were told so.
func TestFastOpenWithoutCookie(t *testing.T) {
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.FastOpen = tcp.FastOpenClient | tcp.FastOpenServer | tcp.FastOpenClientNoCookie | tcp.FastOpenServerNoCookie
	p := newPair(t, Config{TCP: cfg}, 0)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80), FastOpen: 4})
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.a.Dial(p.now.now, &DialConfig{Remote: at(them4, 80), FastOpen: true})
	if err != nil {
		t.Fatal(err)
	}
	p.write(p.a, c, 1000)
	p.step()
	if i := (&Harness{}).Info(c); i.FastOpen != tcp.FastOpenAccepted {
		t.Errorf("%v", i.FastOpen)
	}
	var refs [4]pkt.Ref
	if n := p.read(l.Accept(), refs[:]); n != 1000 {
		t.Errorf("read %d bytes", n)
	}
}

// Two Engines: the first connection fetches the cookie, the second is one round
// trip for a request and its answer.
func TestFastOpenPair(t *testing.T) {
	p := newPair(t, Config{}, 65535)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80), FastOpen: 4})
	if err != nil {
		t.Fatal(err)
	}
	var refs [64]pkt.Ref
	for i, want := range []tcp.FastOpenResult{tcp.FastOpenNoData, tcp.FastOpenAccepted} {
		c, err := p.a.Dial(p.now.now, &DialConfig{Remote: at(them4, 80), FastOpen: true})
		if err != nil {
			t.Fatal(err)
		}
		p.write(p.a, c, 1000)
		if i == 1 {
			pass(p, p.a, p.b) // the SYN, no more
			s := l.Accept()
			if s == nil || s.State() != tcp.SynReceived || p.read(s, refs[:]) != 1000 {
				t.Fatalf("the server's end is %v", s.State())
			}
			p.write(p.b, s, 7*1448)
			pass(p, p.b, p.a) // SYN-ACK and answer
			if n := p.read(c, refs[:]); n != 7*1448 {
				t.Errorf("after one round trip %d bytes were there", n)
			}
		}
		p.step()
		if got := (&Harness{}).Info(c).FastOpen; got != want || c.State() != tcp.Established {
			t.Errorf("connection %d: %v, %v", i, got, c.State())
		}
		if i == 0 {
			l.Accept().Abort(p.now.now)
		}
		c.Abort(p.now.now)
		p.step()
	}
	if n := l.FastOpenPending(); n != 0 {
		t.Errorf("%d are pending", n)
	}
}

// pass carries what one side has to say now.
func pass(p *pair, from, to *Engine) {
	for n := from.Output(p.now.now, p.batch[:]); n > 0; n = from.Output(p.now.now, p.batch[:]) {
		for _, q := range p.batch[:n] {
			q.Csum = pkt.CsumValid
		}
		to.Input(p.now.now, 1, p.batch[:n])
	}
}

// A path that swallows SYNs with the option costs one retransmission: the plain
// SYN gets through, and after the second time nothing is tried for a while.
func TestFastOpenDroppedByPath(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	for i := range 3 {
		h.Sent()
		c, err := h.E.Dial(h.Now(), &DialConfig{Remote: at(them4, 80), FastOpen: true})
		if err != nil {
			t.Fatal(err)
		}
		h.Write(c, []byte("hello"))
		s := one(t, h)
		if tries := s.Opts.Has&wire.HasFastOpen != 0; tries != (i < fastOpenTries) {
			t.Fatalf("connection %d: %v", i, &s)
		} else if tries {
			h.Advance(time.Second)
			if s = one(t, h); s.Opts.Has&wire.HasFastOpen != 0 || len(s.Data) > 0 {
				t.Errorf("connection %d: sent again as %v", i, &s)
			}
		}
		a := answer(&s, s.SEQ+1, nil)
		h.Inject(a.raw())
		if d := one(t, h); string(d.Data) != "hello" {
			t.Errorf("connection %d: %v", i, &d)
		}
		h.Abort(c)
	}
}

// Three timeouts in a row stop Fast Open on all paths, for twice as long each
// time; data that is taken from a SYN ends the series.
func TestFastOpenPause(t *testing.T) {
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.FastOpenPause = time.Hour
	h := newTestHarness(t, HarnessConfig{Config: Config{TCP: cfg}})
	server := func(i int) netip.AddrPort { return at(netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}), 80) }
	learn := func(i int) bool {
		c, s := dialFast(t, h, server(i), "x")
		tried := s.Opts.Has&wire.HasFastOpen != 0
		a := answer(&s, s.SEQ+1+uint32(len(s.Data)), []byte("abcd"))
		h.Inject(a.raw())
		h.Abort(c)
		return tried
	}
	for i := range 5 {
		learn(i)
	}
	blackHole := func(i int) {
		c, s := dialFast(t, h, server(i), "x")
		if len(s.Data) != 1 {
			t.Fatalf("no data on %v", &s)
		}
		h.Advance(8 * time.Second)
		h.Abort(c)
	}
	for i, pause := range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour} {
		from := h.Now()
		blackHole(i)
		wantCount(t, h, FastOpenBlackHoles, uint64(i+1))
		if learn(9) {
			t.Errorf("black hole %d: the path to another server is tried", i)
		}
		h.AdvanceTo(from.Add(7*time.Second + pause - 1))
		if learn(10) {
			t.Errorf("black hole %d: tried again within %v", i, pause)
		}
		h.Advance(time.Second)
	}
	if !learn(4) { // its data is taken
		t.Error("not tried again")
	}
	from := h.Now()
	blackHole(4)
	h.AdvanceTo(from.Add(7*time.Second + time.Hour + 1))
	if !learn(11) {
		t.Error("a success did not end the series")
	}
}

// A SYN with data over and over, and with as much data as a packet holds, makes
// no second connection, holds one buffer, and is answered by a SYN-ACK each.
func TestFastOpenRepeatedData(t *testing.T) {
	h, l := fastListener(t, HarnessConfig{MTU: 65535}, 8)
	s := fastSYN(at(them4, 4000), getCookie(t, h, them4), strings.Repeat("x", 65000))
	raw := s.raw()
	for range 1000 {
		h.Inject(raw)
	}
	all := segments(t, h)
	if len(all) != 1000 {
		t.Errorf("%d answers", len(all))
	}
	for _, a := range all {
		if a.Flags != wire.FlagSYN|wire.FlagACK || a.ACK != 1001+65000 || len(a.Data) > 0 {
			t.Fatalf("answered by %v", &a)
		}
	}
	c := h.Accept(l)
	if c == nil || h.Accept(l) != nil || c.Buffered() != 65000 || h.Stats().Connections != 1 {
		t.Fatal("not one connection with its data")
	}
	if chunks, _ := h.E.Pool().Outstanding(); chunks > 2 {
		t.Errorf("%d chunks are held", chunks)
	}
	h.Abort(c)
}

// FuzzFastOpenSYN: whatever the option and the data, a listener answers a SYN by
// one SYN-ACK at most, covers the data only for a good cookie, and is left as it
// was after a reset.
func FuzzFastOpenSYN(f *testing.F) {
	f.Add([]byte{34, 2}, []byte("x"), uint16(0))
	f.Add([]byte{34, 10, 1, 2, 3, 4, 5, 6, 7, 8}, []byte("hello"), uint16(1))
	f.Add([]byte{254, 4, 0xf9, 0x89}, []byte(""), uint16(2))
	f.Add([]byte{34, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 34, 2}, bytes.Repeat([]byte{1}, 1400), uint16(3))
	f.Fuzz(func(t *testing.T, options, data []byte, flags uint16) {
		h, l := fastListener(t, HarnessConfig{Unchecked: true}, 2)
		good := getCookie(t, h, them4)
		options, data = options[:min(len(options), wire.TCPMaxOptLen)], data[:min(len(data), 60000)]
		s := fastSYN(at(them4, 4000), good, string(data))
		s.Flags |= wire.TCPFlags(flags) & 0xff
		raw := s.raw()
		o := raw[wire.IPv4MinLen+wire.TCPMinLen:][:s.Opts.Len()]
		if flags&0x100 == 0 {
			copy(o, options)
		}
		fixChecksum(raw)
		h.Inject(raw)
		var got wire.TCPOptions
		got.Parse(o, true)
		shown := got.NFastOpen == 8 && bytes.Equal(got.FastOpen[:8], good) && got.Has&wire.HasFastOpen != 0
		for i, a := range segments(t, h) {
			if i > 0 || len(a.Data) > 0 {
				t.Fatalf("answer %d: %v", i, &a)
			}
			if a.Flags&wire.FlagSYN != 0 && a.ACK != 1001 && !shown {
				t.Fatalf("data was taken without a cookie: %v", &a)
			}
		}
		for c := h.Accept(l); c != nil; c = h.Accept(l) {
			h.Abort(c)
		}
		h.CloseListener(l)
		if st := h.Stats(); st.HalfOpen+st.Connections+len(h.E.fast.pending) != 0 {
			t.Fatalf("left behind: %d half-open, %d connections, %d pending", st.HalfOpen, st.Connections, len(h.E.fast.pending))
		}
	})
}

// Over a link of 68 octets a SYN-ACK with every other option has no room for a
// cookie.
func TestFastOpenLeastMTU(t *testing.T) {
	h, _ := fastListener(t, HarnessConfig{MTU: 68}, 1)
	s := fastSYN(at(them4, 999), nil, "")
	s.Opts.Has |= wire.HasTimestamps | wire.HasSACKPermitted | wire.HasWScale
	h.Inject(s.raw())
	if a := one(t, h); len(a.raw()) > 68 || a.Opts.Has&wire.HasFastOpen != 0 || a.Opts.Has&wire.HasTimestamps == 0 {
		t.Errorf("%d octets: %v", len(a.raw()), &a)
	}
}
