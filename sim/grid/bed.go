package grid

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
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

// bed is a World with senders, a receiver and one bottleneck between them.
type bed struct {
	w        *sim.World
	path     Path
	to       *sim.Host
	config   tcp.Config // of all hosts, but for what is the sender's own
	listener *engine.Listener
	senders  []*sender
	flows    []*flow
	zeros    [pkt.Large]byte // what every flow sends: only counts matter here
}

// sender is a host that sends, with a wire that goes through the bottleneck.
type sender struct {
	b      *bed
	host   *sim.Host
	wire   *sim.Wire
	config tcp.Config
	losses losses
}

// flow is one connection that sends as fast as it may.
type flow struct {
	s           *sender
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

// newBed makes a bed with one sender for each algorithm named.
func newBed(p Path, seed uint64, algorithms ...string) (*bed, error) {
	b := &bed{w: sim.New(seed), path: p, config: *tcp.DefaultConfig(tcp.ProfileLinux)}
	b.w.CheckEvery(checkEvery)
	if !p.Plain {
		roomyBuffers(&b.config, p)
	}
	b.to = b.w.Host("receiver", sim.HostConfig{Engine: engine.Config{TCP: &b.config}, Coalesce: p.groWait(), MaxGRO: p.maxGRO()})
	var err error
	b.listener, err = b.to.Engine().Listen(b.w.Now(), &engine.ListenConfig{Local: netip.AddrPortFrom(netip.IPv4Unspecified(), port)})
	if err != nil {
		return nil, err
	}
	b.listener.Owner = b
	for _, name := range algorithms {
		if err := b.addSender(name); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bed) addSender(algorithm string) error {
	a, ok := cc.ByName(algorithm)
	if !ok {
		return fmt.Errorf("grid: there is no algorithm %q, only %s", algorithm, strings.Join(cc.Names(), ", "))
	}
	s := &sender{b: b, config: b.config}
	s.config.Congestion = a
	s.config.Trace = &s.losses
	s.host = b.w.Host(fmt.Sprintf("sender %d", len(b.senders)+1), sim.HostConfig{Engine: engine.Config{TCP: &s.config}})
	if len(b.senders) == 0 {
		data, acks := b.path.wire()
		s.wire = b.w.Link(s.host, b.to, data, acks)
	} else {
		s.wire = b.w.LinkThrough(s.host, b.to, b.senders[0].wire)
	}
	b.senders = append(b.senders, s)
	return nil
}

const (
	port       = 5001
	leastWrite = 16 << 10 // bytes of room for which a sender wakes
)

// roomyBuffers makes sure that no buffer is what limits a flow: where the
// largest that connections get by default is less than two and a half times what
// the path and its queue hold, it is more. How they grow is left as it is.
func roomyBuffers(c *tcp.Config, p Path) {
	need := uint32(min(5*(p.Segments()+p.queue())*mtu/2, 1<<30))
	c.MaxSendBuffer = max(c.MaxSendBuffer, need)
	c.MaxReceiveBuffer = max(c.MaxReceiveBuffer, need)
}

// dial opens one more flow of size bytes, 0 for one without end.
func (s *sender) dial(size uint64) (*flow, error) {
	f := &flow{s: s, size: size}
	var err error
	remote := netip.AddrPortFrom(s.wire.Addr(s.b.to, false), port)
	if f.out, err = s.host.Engine().Dial(s.b.w.Now(), &engine.DialConfig{Remote: remote}); err != nil {
		return nil, err
	}
	f.out.Owner = f
	s.b.flows = append(s.b.flows, f)
	return f, nil
}

// open opens a flow and waits until it is ESTABLISHED.
func (s *sender) open(size uint64) (*flow, error) {
	f, err := s.dial(size)
	if err != nil {
		return nil, err
	}
	err = s.b.runFor(time.Minute, func() bool { return f.established != 0 })
	if err == nil && f.established == 0 {
		err = errors.New("grid: no connection within a minute")
	}
	return f, err
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
	now := f.s.b.w.Now()
	if f.established == 0 {
		f.established = now
	}
	if s := f.out.State(); s == tcp.Closed && f.done == 0 {
		f.s.b.w.Fail(fmt.Errorf("grid: the connection ended: %v", f.out.Err()))
		return
	}
	for f.size == 0 || f.sent < f.size {
		n := f.out.Room()
		if n < leastWrite && f.out.Queued() > 0 {
			return // no small pieces, so that the queue stays short
		}
		n = min(n, len(f.s.b.zeros))
		if f.size > 0 {
			n = int(min(uint64(n), f.size-f.sent))
		}
		if n == 0 {
			return
		}
		f.out.Queue(now, pkt.Bytes(f.s.b.zeros[:n]))
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
		f.done = f.s.b.w.Now()
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
func (b *bed) counters() netem.Counters {
	return b.senders[0].wire.Counters(b.senders[0].host)
}

// losses counts what the sender did about loss.
type losses struct {
	Recoveries, Timeouts int
	Spurious             int // of both, taken back
	log                  func(*trace.Event)
}

// Trace is called for each event of the sender's connections.
func (l *losses) Trace(e *trace.Event) {
	switch {
	case e.Kind == trace.Congestion && e.Why == trace.WhyRecoveryEntered:
		l.Recoveries++
	case e.Kind == trace.Timer && e.Why == trace.WhyRetransmitTimeout:
		l.Timeouts++
	case e.Kind == trace.Congestion && e.Why == trace.WhySpurious:
		l.Spurious++
	}
	if l.log != nil {
		l.log(e)
	}
}
