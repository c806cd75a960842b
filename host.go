// Package handfast is TCP/IP in user space: a Host is one end of a network,
// with addresses, connections, listeners and datagram sockets behind the faces
// of package net.
//
//	a, b := pipe.New(pipe.Options{})
//	h, _ := handfast.New(handfast.Config{})
//	h.Attach(a, netip.MustParsePrefix("10.0.0.1/24"))
//	c, err := h.DialContext(ctx, "tcp", "10.0.0.2:80")
//
// A Host keeps one goroutine, and one more for each queue of a device that must
// be read; none per connection. It works unchanged inside a testing/synctest
// bubble.
package handfast

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// Resolver finds the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is what a Host is made from. The zero Config is a Host as Linux would
// be, with net's defaults for connections.
type Config struct {
	// Name is for messages and traces.
	Name string
	// TCP is what connections take over; nil: tcp.DefaultConfig of the Linux
	// profile. It must not change any more. Its Trace, if set, is called with
	// the Host's lock held, by whichever goroutine sends or receives: it must
	// be quick, must not block, and must not call the Host or its connections.
	TCP *tcp.Config
	// Limits bounds what peers can make the Host hold.
	Limits engine.Limits
	// Resolver finds host names. nil: only literal addresses and localhost.
	Resolver Resolver
	// Seed, when not zero, replaces the random secret that sequence numbers,
	// ports and hash tables are keyed with. For tests only: it makes them
	// predictable.
	Seed uint64
	// Pool is where packets and buffers come from, for those who count them;
	// nil: one of the Host's own.
	Pool *pkt.Pool
	// FirstPort and LastPort are the range of ephemeral ports, 1024 at least; 0
	// and 0 stand for Linux' 32768 to 60999.
	FirstPort, LastPort uint16
	// KeepAlive is net's setting for new connections: idle time before probes;
	// 0: 15 s, negative: off.
	KeepAlive time.Duration
}

// defaultKeepAlive is what package net sets on new connections.
const defaultKeepAlive = 15 * time.Second

// Host is one end of networks. Its methods may be called from any goroutine.
type Host struct {
	cfg   Config
	base  time.Time // mono.Start
	shard shard

	mu     sync.Mutex // attaching and closing; taken before the shard's
	closed bool
	done   chan struct{}
	wg     sync.WaitGroup
}

// New makes a Host with only a loopback interface. It starts one goroutine,
// which Close ends.
func New(cfg Config) (*Host, error) {
	h := &Host{cfg: cfg, base: time.Now(), done: make(chan struct{})}
	var secret [16]byte
	if cfg.Seed != 0 {
		for i := range secret {
			secret[i] = byte(cfg.Seed >> (8 * (i & 7)))
		}
	} else if _, err := crand.Read(secret[:]); err != nil {
		return nil, err
	}
	h.shard.init(h, engine.New(engine.Config{
		Secret: secret, TCP: cfg.TCP, Limits: cfg.Limits, Pool: cfg.Pool,
		FirstPort: cfg.FirstPort, LastPort: cfg.LastPort,
		NewConn: func() *engine.Conn {
			c := &Conn{s: &h.shard}
			c.ec.Owner = c
			return &c.ec
		},
	}))
	h.wg.Go(h.shard.run)
	return h, nil
}

// now reads the clock.
func (h *Host) now() mono.Time { return mono.Start.Add(time.Since(h.base)) }

// Time converts a time of the Host's connections and traces to wall time.
func (h *Host) Time(t mono.Time) time.Time { return h.base.Add(t.Sub(mono.Start)) }

// Name returns the Config's name.
func (h *Host) Name() string { return h.cfg.Name }

// Attach gives the Host an interface on a device, with addresses; without
// any, those the device was set up with. Each address brings a route to its
// prefix; the first of each family is joined by a default route if its device
// is an IP medium with nothing else to reach by. The Host owns the device from
// here on and closes it; after an error it does not.
func (h *Host) Attach(dev link.Device, addrs ...netip.Prefix) (*Interface, error) {
	caps := dev.Caps()
	if caps.Medium != link.IP {
		return nil, &net.OpError{Op: "attach", Net: "ip", Err: errors.New("the device carries " + caps.Medium.String() +
			" frames; only devices that carry IP packets can be attached")}
	}
	if caps.MTU < ip.MinMTU4 {
		return nil, &net.OpError{Op: "attach", Net: "ip", Err: fmt.Errorf(
			"the device's MTU is %d bytes; IPv4 needs links of at least %d (RFC 791 §3.2)", caps.MTU, ip.MinMTU4)}
	}
	if len(addrs) == 0 {
		addrs = caps.Local
	}
	if len(addrs) == 0 {
		return nil, &net.OpError{Op: "attach", Net: "ip", Err: errors.New("no address: give one, such as 10.0.0.1/24")}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, &net.OpError{Op: "attach", Net: "ip", Err: net.ErrClosed}
	}
	i, err := h.shard.attach(dev, caps, addrs)
	if err != nil {
		return nil, &net.OpError{Op: "attach", Net: "ip", Err: engineErrno(err)}
	}
	return i, nil
}

// Detach takes an interface away and closes its device. Its addresses and
// routes go with it; connections over it are reset and their calls return
// ECONNABORTED; others live on. A second Detach returns net.ErrClosed.
func (h *Host) Detach(i *Interface) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || i.s != &h.shard {
		return &net.OpError{Op: "detach", Net: "ip", Err: net.ErrClosed}
	}
	if err := h.shard.detach(i); err != nil {
		return &net.OpError{Op: "detach", Net: "ip", Err: err}
	}
	return nil
}

// AddRoute adds a route by way of gateway over an interface; an invalid
// gateway means that the prefix is on the link.
func (h *Host) AddRoute(p netip.Prefix, gateway netip.Addr, i *Interface) error {
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.e.AddRoute(p, gateway, i.id)
}

// Stats fills in a snapshot of the Host's counters.
func (h *Host) Stats(st *engine.Stats) {
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	s.e.Stats(st)
}

// Outstanding returns how many chunks and packets of the Host's pool are handed
// out: 0 and 0 after Close, if nobody else holds any. A Host in this process
// that was sent super-segments over a pipe holds references until its programs
// have read them, and so does a WriteTo under way.
func (h *Host) Outstanding() (chunks, packets int64) { return h.shard.e.Pool().Outstanding() }

// Shutdown ends the Host in good order: listeners close, and so do connections
// that are still open, whatever their linger; all deliver what is queued and
// their FINs. It returns when all are done, or with the context's error when
// that comes first; then the rest is reset. TIME-WAIT is not waited for. It
// must not be called from an OnReady function.
func (h *Host) Shutdown(ctx context.Context) error {
	s := &h.shard
	s.mu.Lock()
	now := h.now()
	s.closeListeners(now)
	for _, c := range s.allConns() {
		if c.bits&connClosed == 0 {
			c.linger = 0
			c.closeLocked(now)
		}
	}
	s.unlock(now)
	err := s.drained(ctx)
	return errors.Join(err, h.Close())
}

// Close ends the Host at once: connections are reset, devices closed, every
// goroutine, timer and buffer of the Host is gone when it returns. Calls that
// were blocked return net.ErrClosed. A second Close waits for the first. It
// must not be called from an OnReady function.
func (h *Host) Close() error {
	h.mu.Lock()
	var err error
	if !h.closed {
		h.closed = true
		err = h.shard.close()
		close(h.done)
	}
	h.mu.Unlock()
	h.wg.Wait()
	return err
}
