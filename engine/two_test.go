package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// pair is two Engines joined by a wire that takes no time, with one clock.
// Packets pass as they are, so that nothing but the Engines is measured.
type pair struct {
	a, b  *Engine // 10.0.0.1 and 10.0.0.2
	now   *Harness
	batch [32]*pkt.Packet
}

// newPair makes both. maxGSO is as in Interface.
func newPair(t testing.TB, c Config, maxGSO int) *pair {
	t.Helper()
	h := NewHarness(HarnessConfig{})
	p := &pair{now: h}
	p.a, p.b = New(c), New(c)
	for i, e := range []*Engine{p.a, p.b} {
		e.AddInterface(Interface{Name: "wire", MTU: 1500, MaxGSO: maxGSO, TxChecksum: true})
		if err := e.AddAddress(1, netip.PrefixFrom([]netip.Addr{us4, them4}[i], 24)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// step carries what both have to say until both are silent, and reports
// whether there was anything.
func (p *pair) step() bool {
	any := false
	for quiet := 0; quiet < 2; {
		for _, x := range [2][2]*Engine{{p.a, p.b}, {p.b, p.a}} {
			n := x[0].Output(p.now.now, p.batch[:])
			if n == 0 {
				quiet++
				continue
			}
			any, quiet = true, 0
			for _, q := range p.batch[:n] {
				q.Csum = pkt.CsumValid
			}
			x[1].Input(p.now.now, 1, p.batch[:n])
		}
	}
	return any
}

// advance moves the clock and lets deadlines take effect.
func (p *pair) advance(d time.Duration) {
	p.now.now = p.now.now.Add(d)
	p.a.Advance(p.now.now)
	p.b.Advance(p.now.now)
	p.step()
}

// connect opens a connection from a to b.
func (p *pair) connect(t testing.TB, l *Listener) (ca, cb *Conn) {
	t.Helper()
	ca, err := p.a.Dial(p.now.now, &DialConfig{Remote: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	p.step()
	cb = l.Accept()
	if cb == nil || ca.State() != tcp.Established {
		t.Fatalf("not connected: %v", ca.State())
	}
	return ca, cb
}

// write queues n bytes.
func (p *pair) write(e *Engine, c *Conn, n int) {
	ch := e.pool.Chunk(n)
	c.Queue(p.now.now, ch.Ref(ch.Bytes()[:n]))
}

// read takes everything and returns how much.
func (p *pair) read(c *Conn, refs []pkt.Ref) (n int) {
	for k := c.Take(1<<30, refs); k > 0; k = c.Take(1<<30, refs) {
		for i, r := range refs[:k] {
			n += len(r.B)
			r.Release()
			refs[i] = pkt.Ref{}
		}
	}
	if n > 0 {
		c.Consumed()
	}
	return n
}

func drainReady(e *Engine, some []*Conn) {
	for e.Ready(some) > 0 {
	}
}

// Nothing is allocated per segment between two Engines once they run: neither
// in bulk, with wire segments and with super-segments, nor for requests and
// responses.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	skipUnderRace(t)
	for name, gso := range map[string]int{"segments": 0, "super-segments": 65535} {
		p := newPair(t, Config{}, gso)
		l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
		if err != nil {
			t.Fatal(err)
		}
		ca, cb := p.connect(t, l)
		var refs [64]pkt.Ref
		some := make([]*Conn, 8)
		bulk := func() {
			for range 4 {
				p.write(p.a, ca, 64<<10)
			}
			p.step()
			p.read(cb, refs[:])
			p.advance(time.Millisecond)
			drainReady(p.a, some)
			drainReady(p.b, some)
		}
		echo := func() {
			p.write(p.a, ca, 100)
			p.step()
			p.read(cb, refs[:])
			p.write(p.b, cb, 100)
			p.step()
			p.read(ca, refs[:])
			p.advance(time.Millisecond)
			drainReady(p.a, some)
			drainReady(p.b, some)
		}
		for kind, f := range map[string]func(){"bulk": bulk, "request and response": echo} {
			for range 200 {
				f()
			}
			in := p.b.stats.Count[InPackets]
			if n := testing.AllocsPerRun(200, f); n != 0 {
				t.Errorf("%s, %s: %v allocations per round", name, kind, n)
			}
			if p.b.stats.Count[InPackets] < in+200 {
				t.Errorf("%s, %s: hardly a packet was sent", name, kind)
			}
		}
	}
}
