package engine

import (
	"bytes"
	"net/netip"
	"sort"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// fastWorld is two hosts and a wire that loses, duplicates and delays packets by
// chance, and takes some SYNs with data or the option away for good.
type fastWorld struct {
	t      *testing.T
	seed   uint64
	r      testRand
	h      [2]*Harness // 10.0.0.1 dials, 10.0.0.2 listens
	l      *Listener
	flying []flyingPacket
	loss   int // percent
	filter bool
}

type flyingPacket struct {
	at  mono.Time
	n   int
	to  int
	raw []byte
}

func newFastWorld(t *testing.T, seed uint64) *fastWorld {
	w := &fastWorld{t: t, seed: seed, r: newTestRand(seed)}
	w.loss, w.filter = w.r.IntN(4)*10, w.r.IntN(4) == 0
	for i, a := range []netip.Addr{us4, them4} {
		cfg := tcp.DefaultConfig(tcp.Profile(w.r.IntN(2)))
		if i == 1 {
			cfg.ReceiveBuffer = []uint32{300, 3000, 2 << 20}[w.r.IntN(3)]
		}
		w.h[i] = newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.PrefixFrom(a, 24)},
			Config: Config{TCP: cfg, Secret: [16]byte{byte(seed), byte(i)}}})
	}
	w.l = listen(t, w.h[1], "10.0.0.2:80")
	w.l.SetFastOpen(w.r.IntN(4))
	return w
}

// send puts on the wire what both have sent.
func (w *fastWorld) send() {
	for i, h := range w.h {
		for _, p := range h.Sent() {
			s := parseTCP(w.t, p.Raw)
			if w.r.IntN(100) < w.loss || w.filter && i == 0 && (s.Opts.Has&wire.HasFastOpen != 0 || s.Flags&wire.FlagSYN != 0 && len(s.Data) > 0) {
				continue
			}
			for range 1 + (99-w.r.IntN(100))/97 {
				d := time.Millisecond + time.Duration(w.r.IntN(30))*time.Millisecond
				w.flying = append(w.flying, flyingPacket{h.Now().Add(d), len(w.flying), 1 - i, p.Raw})
			}
		}
	}
	sort.SliceStable(w.flying, func(a, b int) bool { return w.flying[a].at < w.flying[b].at })
}

// step lets the next thing happen; it reports false when nothing will.
func (w *fastWorld) step() bool {
	w.send()
	next := mono.Earlier(w.h[0].E.Deadline(), w.h[1].E.Deadline())
	if len(w.flying) > 0 {
		next = mono.Earlier(next, w.flying[0].at)
	}
	if next == 0 {
		return false
	}
	for _, h := range w.h {
		h.AdvanceTo(max(next, h.Now()))
	}
	for len(w.flying) > 0 && w.flying[0].at <= w.h[0].Now() {
		p := w.flying[0]
		w.flying = w.flying[1:]
		w.h[p.to].Inject(p.raw)
	}
	for i, h := range w.h {
		h.E.EachConn(func(c *Conn) bool {
			if err := c.Check(h.Now()); err != nil {
				w.t.Fatalf("seed %d, host %d, %v: %v", w.seed, i, c.State(), err)
			}
			return true
		})
	}
	return true
}

// stream is what one side writes and what it has read.
type stream struct {
	c    *Conn
	rest []byte
	got  []byte
	done bool
}

// work writes and reads what is possible now.
func (w *fastWorld) work(h *Harness, s *stream) {
	if s.c == nil {
		return
	}
	s.rest = s.rest[h.Write(s.c, s.rest[:min(len(s.rest), 1+w.r.IntN(5000))]):]
	if len(s.rest) == 0 && !s.done && s.c.State() != tcp.SynSent {
		s.done = true
		h.Shutdown(s.c, false, true)
	}
	var b [8192]byte
	n, _ := h.Read(s.c, b[:])
	s.got = append(s.got, b[:n]...)
}

// exchange opens a connection, sends a random amount each way, and reports
// whether all of it arrived; less is fine only when the connection was given up.
func (w *fastWorld) exchange(request, answer []byte) {
	c, err := w.h[0].E.Dial(w.h[0].Now(), &DialConfig{Remote: at(them4, 80), FastOpen: true, FastOpenWait: w.r.IntN(2) == 0})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(request) == 0 {
		c.Hurry(w.h[0].Now(), time.Millisecond)
	}
	us := &stream{c: c, rest: request}
	var them []*stream // a duplicated SYN may open a second one
	for range 100_000 {
		w.work(w.h[0], us)
		for s := w.h[1].Accept(w.l); s != nil; s = w.h[1].Accept(w.l) {
			them = append(them, &stream{c: s, rest: answer})
		}
		for _, s := range them {
			w.work(w.h[1], s)
		}
		if !w.step() || c.State() == tcp.Closed {
			break
		}
	}
	gone := c.State() == tcp.FinWait2 // the peer gave up, and its reset was lost
	if st := c.State(); st != tcp.Closed && st != tcp.TimeWait && !gone {
		w.t.Fatalf("seed %d: still %v", w.seed, st)
	}
	whole := false
	for _, s := range them {
		for s.c.Buffered() > 0 {
			w.work(w.h[1], s)
		}
		if !bytes.HasPrefix(request, s.got) {
			w.t.Errorf("seed %d: the server read %d bytes that are not the request's", w.seed, len(s.got))
		}
		whole = whole || bytes.Equal(s.got, request)
		w.h[1].Abort(s.c)
	}
	if !bytes.HasPrefix(answer, us.got) {
		w.t.Errorf("seed %d: the client read %d bytes that are not the answer's", w.seed, len(us.got))
	}
	if !gone && c.Err() == tcp.ReasonNone && (!whole || len(us.got) != len(answer)) {
		w.t.Errorf("seed %d: %d of %d bytes of the answer, request whole %v", w.seed, len(us.got), len(answer), whole)
	}
	w.h[0].Abort(c)
}

// On bad wires, with small buffers, few pending connections and boxes that drop
// what they do not know, both streams arrive, or the connection is given up; and
// nothing is left of it.
func TestFastOpenWorlds(t *testing.T) {
	worlds := 150
	if testing.Short() {
		worlds = 30
	}
	used := map[tcp.FastOpenResult]int{}
	for seed := range uint64(worlds) {
		w := newFastWorld(t, seed)
		for range 5 {
			before := w.h[0].E.stats.Count
			w.exchange(w.r.bytes(w.r.IntN(20_000)), w.r.bytes(w.r.IntN(20_000)))
			used[tcp.FastOpenAccepted] += int(w.h[0].E.stats.Count[FastOpenActive] - before[FastOpenActive])
			used[tcp.FastOpenRefused] += int(w.h[0].E.stats.Count[FastOpenActiveRefused] - before[FastOpenActiveRefused])
		}
		for w.step() && !t.Failed() {
		}
		for i, h := range w.h {
			if st := h.Stats(); st.Connections+st.HalfOpen+st.TimeWait+len(h.E.fast.pending) > 0 {
				t.Errorf("seed %d, host %d: %d connections, %d half-open, %d in TIME-WAIT, %d pending", seed, i,
					st.Connections, st.HalfOpen, st.TimeWait, len(h.E.fast.pending))
			}
			if chunks, packets := h.E.Pool().Outstanding(); chunks+packets > 0 {
				t.Errorf("seed %d, host %d: %d chunks and %d packets are left", seed, i, chunks, packets)
			}
		}
		if t.Failed() {
			return
		}
	}
	if used[tcp.FastOpenAccepted] < worlds/2 || used[tcp.FastOpenRefused] < worlds/20 {
		t.Errorf("too seldom: %v", used)
	}
	t.Logf("data on a SYN accepted %d times, refused %d times", used[tcp.FastOpenAccepted], used[tcp.FastOpenRefused])
}
