package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// storm is a server under five attacks at once, with a witness beside them. The
// clock goes by milliseconds; every way takes ten of them.
type storm struct {
	t       *testing.T
	now     mono.Time
	s, w    *Engine // the server and the witness
	l       *Listener
	files   []*stormFile // connections that the server's program has
	bots    map[uint16]*bot
	next    uint16 // port of the next bot
	later   [stormDelay][][]byte
	flood   uint32
	up      [stormDelay][]*pkt.Packet // witness to server
	down    [stormDelay][]*pkt.Packet
	queue   []*pkt.Packet // of the bottleneck before the witness
	refs    [64]pkt.Ref
	batch   [64]*pkt.Packet
	got     int // by the witness
	put     int // by the server, of what the witness sends
	most    int64
	attacks bool
}

const (
	stormDelay  = 10       // steps one way
	stormBudget = 64 << 20 // bytes
	stormRate   = 2        // packets for the witness in a step: 24 Mbit/s
	stormQueue  = 200      // packets before they are dropped
	// stormPatience is after how long without progress a server's program ends a
	// connection.
	stormPatience = 30 * time.Second
)

// stormFile is the server's side of a connection: it reads all that comes, and
// once anything has, it sends without end.
type stormFile struct {
	c     *Conn
	asked bool
	acked uint64
	since mono.Time
}

// bot is an attacker's side of a connection.
type bot struct {
	kind     botKind
	seq, ack uint32
	sent     uint32 // octets at even offsets
}

type botKind uint8

const (
	botIdle    botKind = iota // completes the handshake, sends half a request
	botPersist                // asks for the file, closes its window, answers probes
	botSlow                   // asks for the file, takes ten octets in a second
	botSmack                  // sends octets at every second offset
	numBots
)

var (
	stormServer  = at(them4, 80)
	stormWitness = us4
	stormBots    = netip.MustParseAddr("10.0.0.3")
)

func newStorm(t *testing.T) *storm {
	p := newPair(t, Config{Limits: Limits{MemoryBytes: stormBudget}}, 0)
	x := &storm{t: t, now: p.now.now, s: p.b, w: p.a, bots: map[uint16]*bot{}, next: 1024}
	var err error
	if x.l, err = x.s.Listen(x.now, &ListenConfig{Local: stormServer}); err != nil {
		t.Fatal(err)
	}
	return x
}

// step is a millisecond.
func (x *storm) step(witness *Conn) {
	x.now = x.now.Add(time.Millisecond)
	i := int(x.now/mono.Time(time.Millisecond)) % stormDelay
	for _, raw := range x.later[i] {
		x.inject(raw)
	}
	x.later[i] = x.later[i][:0]
	x.s.Input(x.now, 1, x.up[i])
	x.up[i] = x.up[i][:0]
	x.w.Input(x.now, 1, x.down[i])
	x.down[i] = x.down[i][:0]
	if x.attacks {
		x.attack(i)
	}
	x.s.Advance(x.now)
	x.w.Advance(x.now)
	x.serve()
	x.watch(witness)
	x.carry(i)
	x.most = max(x.most, x.s.memory.Held())
	if held := x.s.memory.Held(); held > stormBudget {
		x.t.Fatalf("%d bytes are held after %v", held, x.now)
	}
}

// carry moves what both Engines have to say onto the wires.
func (x *storm) carry(i int) {
	for n := x.w.Output(x.now, x.batch[:]); n > 0; n = x.w.Output(x.now, x.batch[:]) {
		for _, p := range x.batch[:n] {
			p.Csum = pkt.CsumValid
			x.up[i] = append(x.up[i], p)
		}
	}
	for n := x.s.Output(x.now, x.batch[:]); n > 0; n = x.s.Output(x.now, x.batch[:]) {
		for _, p := range x.batch[:n] {
			h := wire.IPv4(p.Head)
			dst := h.Dst()
			switch {
			case dst.Netip() == stormWitness && len(x.queue) < stormQueue:
				p.Csum = pkt.CsumValid
				x.queue = append(x.queue, p)
				continue
			case dst.Netip() == stormBots:
				x.answer(i, wire.TCP(p.Head[wire.IPv4MinLen:]), uint32(p.Body.Len()))
			}
			p.Release()
		}
	}
	n := min(len(x.queue), stormRate)
	x.down[i] = append(x.down[i], x.queue[:n]...)
	x.queue = append(x.queue[:0], x.queue[n:]...)
}

// inject hands the server a packet of an attacker.
func (x *storm) inject(raw []byte) {
	p := x.s.pool.Packet()
	c := x.s.pool.Chunk(len(raw))
	p.SetFrame(c.Ref(c.Bytes()[:copy(c.Bytes(), raw)]), len(raw))
	p.Csum = pkt.CsumValid
	x.batch[0] = p
	x.s.Input(x.now, 1, x.batch[:1])
}

// send makes a bot's segment arrive ten milliseconds later.
func (x *storm) send(i int, port uint16, b *bot, flags wire.TCPFlags, off, wnd uint32, data string) {
	s := wireSegment{Src: at(stormBots, port), Dst: stormServer, SEQ: b.seq + off, ACK: b.ack, Flags: flags, WND: uint16(wnd), Data: []byte(data)}
	if flags == wire.FlagSYN {
		s.Opts.MSS, s.Opts.Has = 1460, wire.HasMSS|wire.HasSACKPermitted
	}
	x.later[i] = append(x.later[i], s.raw())
}

// attack is what the bots do in a step of their own accord.
func (x *storm) attack(i int) {
	x.flood++ // a SYN flood
	syn := wireSegment{Src: at(netip.AddrFrom4([4]byte{11, byte(x.flood >> 16), byte(x.flood >> 8), byte(x.flood)}), 99), Dst: stormServer, Flags: wire.FlagSYN, WND: 1000}
	x.later[i] = append(x.later[i], syn.raw())
	ms := int(x.now / mono.Time(time.Millisecond))
	if ms%10 == 0 && len(x.bots) < 4000 {
		x.next++
		b := &bot{kind: botKind(x.next % uint16(numBots)), seq: 1}
		x.bots[x.next] = b
		x.send(i, x.next, b, wire.FlagSYN, 0, 64000, "")
		b.seq++
	}
	for k := range 8 { // each in its turn
		port := uint16(1025 + (8*ms+k)%4000)
		b := x.bots[port]
		if b == nil || b.ack == 0 {
			continue
		}
		switch b.kind {
		case botSmack:
			for range 4 {
				b.sent++
				x.send(i, port, b, wire.FlagACK, 2*(b.sent%30_000), 64000, "x")
			}
		case botSlow:
			x.send(i, port, b, wire.FlagACK, 0, 10, "")
		}
	}
}

// answer is what the bots do about a segment of the server's.
func (x *storm) answer(i int, h wire.TCP, n uint32) {
	b := x.bots[h.DstPort()]
	if b == nil || !x.attacks || h.Flags()&wire.FlagRST != 0 {
		delete(x.bots, h.DstPort())
		return
	}
	if h.Flags()&wire.FlagSYN != 0 {
		b.ack = h.Seq() + 1
		x.send(i, h.DstPort(), b, wire.FlagACK, 0, 64000, "GET /")
		b.seq += 5
		return
	}
	switch next := h.Seq() + n; b.kind {
	case botPersist:
		b.ack = max(b.ack, next)
		x.send(i, h.DstPort(), b, wire.FlagACK, 0, 0, "")
	case botSlow:
		b.ack = max(b.ack, next)
	}
}

// serve is the server's program.
func (x *storm) serve() {
	for c := x.l.Accept(); c != nil; c = x.l.Accept() {
		x.files = append(x.files, &stormFile{c: c, since: x.now})
	}
	keep := x.files[:0]
	for k, f := range x.files {
		if (k+int(x.now/mono.Time(time.Millisecond)))%8 != 0 && f.c.RemoteAddr().Addr() != stormWitness {
			keep = append(keep, f) // not every millisecond
			continue
		}
		n := x.take(f.c)
		f.asked = f.asked || n > 0
		if f.c.RemoteAddr().Addr() == stormWitness {
			x.put += n
		}
		for room := f.c.Room(); f.asked && room > 0; room = f.c.Room() {
			ch := x.s.pool.Chunk(min(room, pkt.Medium))
			f.c.Queue(x.now, ch.Ref(ch.Bytes()[:min(room, pkt.Medium)]))
		}
		var s tcp.Space
		if f.c.Space(&s); f.acked != uint64(s.UNA)+uint64(s.RcvNXT) {
			f.acked, f.since = uint64(s.UNA)+uint64(s.RcvNXT), x.now
		}
		if f.c.State() == tcp.Closed || x.now.Sub(f.since) > stormPatience {
			f.c.Abort(x.now)
			continue
		}
		keep = append(keep, f)
	}
	x.files = keep
}

// watch is the witness's program: it asks, reads what comes, and sends all the
// time.
func (x *storm) watch(c *Conn) {
	if c.State() != tcp.Established {
		return
	}
	x.got += x.take(c)
	if c.Queued() < 4000 {
		ch := x.w.pool.Chunk(1000)
		c.Queue(x.now, ch.Ref(ch.Bytes()[:1000]))
	}
}

func (x *storm) take(c *Conn) (n int) {
	for k := c.Take(1<<30, x.refs[:]); k > 0; k = c.Take(1<<30, x.refs[:]) {
		for _, r := range x.refs[:k] {
			n += len(r.B)
			r.Release()
		}
	}
	if n > 0 {
		c.Consumed()
	}
	return n
}

// run lets a time pass and returns what the witness got and gave in it.
func (x *storm) run(d time.Duration, c *Conn) (got, put int) {
	got, put = x.got, x.put
	for end := x.now.Add(d); x.now < end; {
		x.step(c)
	}
	return x.got - got, x.put - put
}

// T-RES-13: five attacks at once against a budget of 64 MB. It is never
// exceeded, a connection beside them keeps at least half of its goodput, and
// when the attackers are gone the memory comes back.
func TestBudgetUnderFiveAttacks(t *testing.T) {
	if testing.Short() {
		t.Skip("three virtual minutes")
	}
	x := newStorm(t)
	c, err := x.w.Dial(x.now, &DialConfig{Remote: stormServer})
	if err != nil {
		t.Fatal(err)
	}
	x.run(5*time.Second, c)
	got0, put0 := x.run(10*time.Second, c)
	x.attacks = true
	got, put := x.run(time.Minute, c)
	var st Stats
	x.s.Stats(&st)
	t.Logf("alone %d and %d bytes in 10 s, then %d and %d in 60 s; at most %d of %d bytes held, %d connections, counters %v",
		got0, put0, got, put, x.most, stormBudget, st.Connections, st.Count[MemoryPressure:MemoryStalledReset+1])
	if got < 6*got0/2 || put < 6*put0/2 {
		t.Errorf("the witness got %d bytes and gave %d in 10 s, and %d and %d in 60 s of attacks", got0, put0, got, put)
	}
	if x.most < stormBudget/2 || st.Count[MemoryPressure] == 0 {
		t.Errorf("%d bytes were held at most: that was no attack", x.most)
	}
	x.attacks = false
	c.Close(x.now)
	x.run(2*time.Minute, c)
	if held := x.s.memory.Held(); held >= 1<<20 {
		t.Errorf("%d bytes are held two minutes later", held)
	}
	x.s.Close(x.now)
	x.w.Close(x.now)
	for i := range x.up {
		for _, p := range append(x.up[i], x.down[i]...) {
			p.Release()
		}
	}
	for _, p := range x.queue {
		p.Release()
	}
	if n, m := x.s.pool.Outstanding(); n != 0 || m != 0 {
		t.Errorf("%d chunks and %d packets leaked", n, m)
	}
}
