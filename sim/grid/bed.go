package grid

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/sim"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// bed is a World with a sender, a receiver and one bottleneck between them.
type bed struct {
	w        *sim.World
	wire     *sim.Wire
	from, to *sim.Host
	listener *engine.Listener
	flows    []*flow
	zeros    [pkt.Large]byte // what every flow sends: only counts matter here
	losses   losses
}

// flow is one connection that sends as fast as it may.
type flow struct {
	b           *bed
	out, in     *engine.Conn
	size        uint64 // bytes to send; 0: without end
	sent        uint64
	received    uint64
	established mono.Time
	done        mono.Time // when the receiver had all
}

// checkEvery is how many events pass between two looks at the rules of a World:
// package sim's own tests look after each.
const checkEvery = 10_007

// newBed makes a bed. config may change what the connections of both hosts are
// made from; nil leaves it.
func newBed(p Path, seed uint64, a cc.Algorithm, config func(*tcp.Config)) (*bed, error) {
	b := &bed{w: sim.New(seed)}
	b.w.CheckEvery(checkEvery)
	t := tcp.DefaultConfig(tcp.ProfileLinux)
	t.Congestion = a
	bigBuffers(t, p)
	sending := *t
	sending.Trace = &b.losses
	if config != nil {
		config(&sending)
	}
	b.from = b.w.Host("sender", sim.HostConfig{Engine: engine.Config{TCP: &sending}})
	b.to = b.w.Host("receiver", sim.HostConfig{Engine: engine.Config{TCP: t}, Coalesce: p.groWait(), MaxGRO: groBytes * boolInt(p.GRO)})
	data, acks := p.wire()
	b.wire = b.w.Link(b.from, b.to, data, acks)
	var err error
	b.listener, err = b.to.Engine().Listen(b.w.Now(), &engine.ListenConfig{Local: netip.AddrPortFrom(b.wire.Addr(b.to, false), port)})
	if err != nil {
		return nil, err
	}
	b.listener.Owner = b
	return b, nil
}

const port = 5001

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// bigBuffers makes sure that no buffer is what limits a flow: two and a half
// times what the path and a queue of four times that can hold.
func bigBuffers(c *tcp.Config, p Path) {
	hold := (p.Segments() + p.queue() + minQueue) * mtu
	c.SendBuffer = uint32(min(max(5*hold/2, 4<<20), 1<<30))
	c.ReceiveBuffer = c.SendBuffer
	c.WindowScale = 14
}

// dial opens one more flow of size bytes, 0 for one without end.
func (b *bed) dial(size uint64) (*flow, error) {
	f := &flow{b: b, size: size}
	var err error
	f.out, err = b.from.Engine().Dial(b.w.Now(), &engine.DialConfig{Remote: netip.AddrPortFrom(b.wire.Addr(b.to, false), port)})
	if err != nil {
		return nil, err
	}
	f.out.Owner = f
	b.flows = append(b.flows, f)
	return f, nil
}

// Ready accepts what the sender dialed.
func (b *bed) Ready() {
	for c := b.listener.Accept(); c != nil; c = b.listener.Accept() {
		for _, f := range b.flows {
			if f.out.LocalAddr() == c.RemoteAddr() {
				f.in = c
				c.Owner = f
				f.read()
			}
		}
	}
}

// Ready is called for both ends.
func (f *flow) Ready() {
	if f.out.State() != tcp.SynSent {
		f.write()
	}
	if f.in != nil {
		f.read()
	}
}

func (f *flow) write() {
	now := f.b.w.Now()
	if f.established == 0 {
		f.established = now
	}
	if s := f.out.State(); s == tcp.Closed && f.done == 0 {
		f.b.w.Fail(fmt.Errorf("grid: the connection ended: %v", f.out.Err()))
		return
	}
	for f.size == 0 || f.sent < f.size {
		n := f.out.Room()
		if n < len(f.b.zeros) && f.out.Queued() > 0 {
			return // whole pieces, so that the queue stays short
		}
		n = min(n, len(f.b.zeros))
		if f.size > 0 {
			n = int(min(uint64(n), f.size-f.sent))
		}
		if n == 0 {
			return
		}
		f.out.Queue(now, pkt.Bytes(f.b.zeros[:n]))
		f.sent += uint64(n)
	}
}

func (f *flow) read() {
	var refs [64]pkt.Ref
	for {
		n := f.in.Take(1<<30, refs[:])
		if n == 0 {
			break
		}
		for i := range refs[:n] {
			f.received += uint64(len(refs[i].B))
			refs[i].Release()
		}
		f.in.Consumed()
	}
	if f.size > 0 && f.received >= f.size && f.done == 0 {
		f.done = f.b.w.Now()
	}
}

// runFor lets d pass, or less when until, if given, becomes true.
func (b *bed) runFor(d time.Duration, until func() bool) error {
	return b.w.RunUntil(b.w.Now().Add(d), until)
}

// close ends all flows.
func (b *bed) close() error {
	for _, f := range b.flows {
		f.out.Abort(b.w.Now())
		if f.in != nil {
			f.in.Abort(b.w.Now())
		}
	}
	return b.w.Close()
}

// counters tells what happened to data packets at the bottleneck.
func (b *bed) counters() netem.Counters { return b.wire.Counters(b.from) }

// losses counts what the sender did about loss.
type losses struct {
	Recoveries, Timeouts int
	Retransmits          int
	log                  func(*trace.Event)
}

// Trace is called for each event of the sender's connections.
func (l *losses) Trace(e *trace.Event) {
	switch {
	case e.Kind == trace.Congestion && e.Why == trace.WhyRecoveryEntered:
		l.Recoveries++
	case e.Kind == trace.Timer && e.Why == trace.WhyRetransmitTimeout:
		l.Timeouts++
	}
	if l.log != nil {
		l.log(e)
	}
}
