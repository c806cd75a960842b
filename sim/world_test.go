package sim

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/link/pcap"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// pair is two hosts and a wire, and a program that sends from a to b.
type pair struct {
	t    testing.TB
	w    *World
	a, b *Host
	wire *Wire
	from *engine.Conn
	to   *engine.Conn
	left int
	sent uint64
	got  uint64
}

func newPair(t testing.TB, seed uint64) *pair {
	p := &pair{t: t, w: New(seed)}
	p.a, p.b = p.w.Host("a", HostConfig{}), p.w.Host("b", HostConfig{})
	p.wire = p.w.Link(p.a, p.b, netem.Config{Delay: time.Millisecond, Loss: netem.Percent(5)},
		netem.Config{Delay: time.Millisecond, Loss: netem.Percent(5)})
	return p
}

// Ready is the program at both ends.
func (p *pair) Ready() {
	for p.from != nil && p.left > 0 && p.from.Room() > 0 {
		n := min(p.left, p.from.Room(), pkt.Small)
		c := p.a.pool.Chunk(n)
		Stream(1).Fill(c.Bytes()[:n], p.sent)
		p.from.Queue(p.w.Now(), c.Ref(c.Bytes()[:n]))
		p.sent += uint64(n)
		p.left -= n
	}
	if p.from != nil && p.sent > 0 && p.left == 0 && p.from.State() == tcp.Established { // before, CLOSE would discard it
		p.from.Close(p.w.Now())
	}
	if p.to == nil {
		return
	}
	var refs [16]pkt.Ref
	for n := p.to.Take(1<<20, refs[:]); n > 0; n = p.to.Take(1<<20, refs[:]) {
		for _, r := range refs[:n] {
			if err := Stream(1).Check(r.B, p.got); err != nil {
				p.t.Fatal(err)
			}
			p.got += uint64(len(r.B))
			r.Release()
		}
		p.to.Consumed()
	}
	if p.to.EOF() {
		p.to.Close(p.w.Now())
	}
}

// accept gives the listener's connections to the program.
type accept struct {
	p *pair
	l *engine.Listener
}

func (a accept) Ready() {
	a.p.to = a.l.Accept()
	a.p.to.Owner = a.p
	a.p.Ready()
}

func (p *pair) listen() netip.AddrPort {
	p.t.Helper()
	at := netip.AddrPortFrom(p.wire.Addr(p.b, true), 80)
	l, err := p.b.Engine().Listen(p.w.Now(), &engine.ListenConfig{Local: at})
	if err != nil {
		p.t.Fatal(err)
	}
	l.Owner = accept{p, l}
	return at
}

func (p *pair) dial(to netip.AddrPort) {
	p.t.Helper()
	c, err := p.a.Engine().Dial(p.w.Now(), &engine.DialConfig{Remote: to})
	if err != nil {
		p.t.Fatal(err)
	}
	p.from = c
	c.Owner = p
}

// transfer sends n bytes and waits until both ends have closed.
func (p *pair) transfer(n int) {
	p.t.Helper()
	p.left = n
	p.dial(p.listen())
	p.w.At(p.w.Now(), p.Ready)
	if err := p.w.RunUntil(p.w.Now().Add(time.Hour), func() bool { return settled(p.a) && settled(p.b) && p.got > 0 }); err != nil {
		p.t.Fatal(err)
	}
	if p.got != uint64(n) {
		p.t.Fatalf("%d bytes arrived, %d were sent", p.got, n)
	}
}

// A hundred kilobytes cross a wire that loses packets, in order and whole, and
// every buffer comes back.
func TestTransfer(t *testing.T) {
	p := newPair(t, 1)
	p.transfer(100_000)
	if c := p.wire.Counters(p.a); c.Drops() == 0 {
		t.Error("a wire that loses 5% lost nothing")
	}
	if err := p.w.Close(); err != nil {
		t.Error(err)
	}
}

// Things planned for one instant happen in the order in which they were
// planned; the clock moves to each instant and, in RunUntil, to the limit.
func TestOrderOfEvents(t *testing.T) {
	w := New(1)
	var order []int
	at := w.Now().Add(time.Second)
	for i := range 5 {
		w.At(at, func() { order = append(order, i) })
	}
	w.At(at-1, func() { order = append(order, -1) })
	w.At(at, func() { w.At(0, func() { order = append(order, 9) }) }) // the past is now
	if err := w.RunUntil(at.Add(time.Minute), nil); err != nil {
		t.Fatal(err)
	}
	if want := []int{-1, 0, 1, 2, 3, 4, 9}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if w.Now() != at.Add(time.Minute) {
		t.Errorf("the clock stands at %v", w.Now())
	}
}

// A world in which time does not move any more stops with an error.
func TestEventsAtOneInstant(t *testing.T) {
	w := New(1)
	var again func()
	again = func() { w.At(w.Now(), again) }
	again()
	if err := w.RunUntil(w.Now().Add(time.Second), nil); err == nil || !strings.Contains(err.Error(), "without time moving") {
		t.Errorf("error %v", err)
	}
}

// A rule of a test's own is checked after every event, and stops the world.
func TestRule(t *testing.T) {
	p := newPair(t, 1)
	broken := errors.New("broken")
	limit := mono.Time(0)
	p.w.Rule(func() error {
		if limit != 0 && p.w.Now() >= limit {
			return broken
		}
		return nil
	})
	p.dial(p.listen())
	limit = p.w.Now().Add(time.Millisecond)
	err := p.w.RunUntil(p.w.Now().Add(time.Minute), nil)
	if !errors.Is(err, broken) || p.w.Step() {
		t.Errorf("error %v", err)
	}
}

// What has been sent arrives through a partition, what is sent during it does
// not; afterwards TCP goes on where it was.
func TestPartition(t *testing.T) {
	p := newPair(t, 1)
	for _, h := range p.w.Hosts() {
		p.wire.SetConfig(h, netem.Config{Delay: time.Millisecond})
	}
	in := 0
	p.b.Tap(func(_ mono.Time, out bool, _ *pkt.Packet) {
		if !out {
			in++
		}
	})
	p.dial(p.listen())
	p.w.Settle()
	p.wire.Partition() // the SYN is on its way
	p.w.RunUntil(p.w.Now().Add(10*time.Second), nil)
	if in != 1 || p.from.State() != tcp.SynSent {
		t.Fatalf("%d packets arrived, %v: want the SYN alone", in, p.from.State())
	}
	p.wire.Heal()
	if err := p.w.RunUntil(p.w.Now().Add(time.Minute), func() bool { return p.from.State() == tcp.Established }); err != nil {
		t.Fatal(err)
	}
	if p.from.State() != tcp.Established {
		t.Error("not established a minute after the partition")
	}
}

// A host that crashed and came back knows nothing of its connections, and says
// so by a reset.
func TestCrash(t *testing.T) {
	p := newPair(t, 3)
	p.left = 8 << 20
	p.dial(p.listen())
	p.w.At(p.w.Now(), p.Ready)
	p.w.RunUntil(p.w.Now().Add(time.Minute), func() bool { return p.got > 0 })
	p.b.Crash()
	if p.b.Engine() != nil {
		t.Error("a crashed host has an engine")
	}
	p.to.Close(p.w.Now())
	p.to = nil
	p.w.RunUntil(p.w.Now().Add(time.Second), nil)
	p.b.Restart()
	p.w.RunUntil(p.w.Now().Add(time.Minute), func() bool { return p.from.State() == tcp.Closed })
	if p.from.Err() != tcp.ReasonReset {
		t.Errorf("%v, %v", p.from.State(), p.from.Err())
	}
	if err := p.w.Close(); err != nil {
		t.Error(err)
	}
}

// Close notices a buffer that was not given back.
func TestCloseFindsLeaks(t *testing.T) {
	p := newPair(t, 1)
	c := p.a.Engine().Pool().Chunk(10)
	if err := p.w.Close(); err == nil || !strings.Contains(err.Error(), "1 chunks") {
		t.Errorf("error %v", err)
	}
	c.Release()
}

// A recording has every packet with its instant and direction, and checksums
// that are right.
func TestPcap(t *testing.T) {
	p := newPair(t, 1)
	var file bytes.Buffer
	p.w.Pcap(&file)
	packets := 0
	count := func(mono.Time, bool, *pkt.Packet) { packets++ }
	p.a.Tap(count)
	p.b.Tap(count)
	p.transfer(20_000)
	if err := p.w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := pcap.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	n, out := 0, 0
	for {
		q, err := r.NextPacket()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("packet %d: %v", n, err)
		}
		n++
		if q.Dir == pcap.Out {
			out++
		}
	}
	if n != packets || out == 0 || out == n {
		t.Errorf("%d packets recorded, %d of them sent; %d passed", n, out, packets)
	}
}

func addrPort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 5001) }
