package sim

import (
	"hash/crc32"
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// sum is what passed one end of a bulk transfer.
type sum struct {
	n    uint64
	hash uint32
}

func (s *sum) add(b []byte) {
	s.hash = crc32.Update(s.hash, castagnoli, b)
	s.n += uint64(len(b))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bulk sends size bytes from a to b as fast as it goes.
type bulk struct {
	t        testing.TB
	w        *World
	a, b     *Host
	from, to *engine.Conn
	l        *engine.Listener
	size     uint64
	sent     sum
	got      sum
}

// Ready is called for the listener and both connections.
func (p *bulk) Ready() {
	if c := p.l.Accept(); c != nil {
		p.to = c
		c.Owner = p
	}
	for p.sent.n < p.size && p.from.Room() >= pkt.Large {
		c := p.a.pool.Chunk(pkt.Large)
		b := c.Bytes()[:min(pkt.Large, p.size-p.sent.n)]
		Stream(1).Fill(b, p.sent.n)
		p.sent.add(b)
		p.from.Queue(p.w.Now(), c.Ref(b))
	}
	if p.sent.n == p.size && p.from.State() == tcp.Established { // before, CLOSE would discard it
		p.from.Close(p.w.Now())
	}
	if p.to == nil {
		return
	}
	var refs [64]pkt.Ref
	for n := p.to.Take(1<<30, refs[:]); n > 0; n = p.to.Take(1<<30, refs[:]) {
		for _, r := range refs[:n] {
			if err := Stream(1).Check(r.B, p.got.n); err != nil {
				p.t.Fatal(err)
			}
			p.got.add(r.B)
			r.Release()
		}
		p.to.Consumed()
	}
	if p.to.EOF() {
		p.to.Close(p.w.Now())
	}
}

// send runs a bulk transfer between two hosts like h.
func send(t testing.TB, size uint64, h HostConfig, n netem.Config) *bulk {
	t.Helper()
	return sendOver(t, size, h, n, n)
}

// sendOver is send where the data and the ACKs fare differently.
func sendOver(t testing.TB, size uint64, h HostConfig, data, acks netem.Config) *bulk {
	t.Helper()
	w := New(1)
	p := &bulk{t: t, w: w, size: size}
	p.a, p.b = w.Host("a", h), w.Host("b", h)
	wire := w.Link(p.a, p.b, data, acks)
	var err error
	if p.l, err = p.b.Engine().Listen(w.Now(), &engine.ListenConfig{Local: addrPort(wire.Addr(p.b, true))}); err != nil {
		t.Fatal(err)
	}
	p.l.Owner = p
	if p.from, err = p.a.Engine().Dial(w.Now(), &engine.DialConfig{Remote: addrPort(wire.Addr(p.b, true))}); err != nil {
		t.Fatal(err)
	}
	p.from.Owner = p
	w.At(w.Now(), p.Ready)
	if err := w.RunUntil(w.Now().Add(24*time.Hour), func() bool { return p.got.n == p.size && settled(p.a) && settled(p.b) }); err != nil {
		t.Fatal(err)
	}
	if p.got != p.sent || p.got.n != size {
		t.Fatalf("%d bytes arrived with hash %#x; sent were %d with %#x of %d", p.got.n, p.got.hash, p.sent.n, p.sent.hash, size)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

func bigBuffers(p tcp.Profile) *tcp.Config {
	c := tcp.DefaultConfig(p)
	c.SendBuffer, c.ReceiveBuffer, c.WindowScale = 4<<20, 4<<20, 8
	c.MaxSendBuffer, c.MaxReceiveBuffer = 0, 0
	return c
}

// Eight gibibytes cross two wraps of the sequence space and arrive byte for
// byte, in super-segments and in large packets.
func TestTwoWraps(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("moves 8 GiB")
	}
	n := netem.Config{Delay: 20 * time.Microsecond, Rate: 100_000_000_000}
	for _, c := range []struct {
		name string
		size uint64
		host HostConfig
	}{
		{"super-segments", 8 << 30, HostConfig{MTU: 1500, MaxGSO: 65535, Engine: engine.Config{TCP: bigBuffers(tcp.ProfileLinux)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := send(t, c.size, c.host, n)
			events, packets := p.w.Counts()
			t.Logf("%d bytes, crc %#x, %d packets, %d events, %v of virtual time", p.got.n, p.got.hash, packets, events, p.w.Now())
		})
	}
}

// A few wraps' worth of numbers is not needed for loss: 64 MiB over a wire that
// loses, reorders and duplicates packets, in super-segments and without.
func TestBulkOverBadWire(t *testing.T) {
	size := uint64(64 << 20)
	if testing.Short() || raceEnabled {
		size = 4 << 20
	}
	n := netem.Config{Delay: 100 * time.Microsecond, Rate: 10_000_000_000, Loss: netem.PPM(500), Duplicate: netem.PPM(1000),
		Reorder: netem.PPM(1000), MinHold: time.Microsecond, MaxHold: 300 * time.Microsecond}
	for _, gso := range []int{0, 65535} {
		p := send(t, size, HostConfig{MaxGSO: gso, Engine: engine.Config{TCP: bigBuffers(tcp.ProfileLinux)}}, n)
		_, packets := p.w.Counts()
		t.Logf("super-segments up to %d: %d packets, %v of virtual time", gso, packets, p.w.Now())
	}
}
