package handfast

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
)

// Listener accepts connections: a net.Listener.
type Listener struct {
	s       *shard
	l       *engine.Listener
	network string
	waiting *waiter
	by      mono.Time
	onReady func()
	due     bool // onReady is
	closed  bool
}

// Listen listens on an address: network "tcp", "tcp4" or "tcp6", address as
// for net.Listen; an empty host takes all addresses of the network's families,
// port 0 a free port. The context only bounds the resolving of a name. The
// result is a *Listener.
func (h *Host) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return h.ListenBacklog(ctx, network, address, 0)
}

// ListenBacklog is Listen with a bound on the completed handshakes that wait
// to be accepted, as Linux understands listen(2); 0 is the Limits'.
func (h *Host) ListenBacklog(ctx context.Context, network, address string, backlog int) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return fail(net.UnknownNetworkError(network))
	}
	local, v6only, err := h.localAddr(ctx, network, address)
	if err != nil {
		return fail(err)
	}
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fail(net.ErrClosed)
	}
	el, err := s.e.Listen(h.now(), &engine.ListenConfig{Local: local, V6Only: v6only, Backlog: backlog, ReuseAddr: true})
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(local), Err: call("bind", engineErrno(err))}
	}
	l := &Listener{s: s, l: el, network: network}
	el.Owner = l
	return l, nil
}

// localAddr reads an address to listen on. As in package net an empty host, or
// an unspecified address of either family, is [::] of both families, unless the
// network names one.
func (h *Host) localAddr(ctx context.Context, network, address string) (a netip.AddrPort, v6only bool, err error) {
	if address == "" { // as package net: anywhere
		address = ":0"
	}
	host, port, err := splitAddress(network, address)
	if err != nil {
		return a, false, err
	}
	family := network[len(network)-1]
	if host == "" {
		if family == '4' {
			return netip.AddrPortFrom(netip.IPv4Unspecified(), port), false, nil
		}
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port), family == '6', nil
	}
	addrs, err := h.resolve(ctx, network, host, nil)
	if err != nil {
		return a, false, err
	}
	if addrs[0].IsUnspecified() && family != '4' && family != '6' {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port), false, nil
	}
	return netip.AddrPortFrom(addrs[0], port), addrs[0].Is6(), nil
}

// splitAddress cuts an address in host and port. The port is a number or a
// service's name, which the system's list knows.
func splitAddress(network, address string) (host string, port uint16, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil || service == "" {
		return host, 0, err
	}
	n, err := strconv.Atoi(service)
	if err != nil {
		if n, err = net.DefaultResolver.LookupPort(context.Background(), network, service); err != nil {
			return host, 0, err
		}
	}
	if n < 0 || n > 65535 {
		return host, 0, &net.AddrError{Err: "invalid port", Addr: service}
	}
	return host, uint16(n), nil
}

// Accept waits for the next connection; it is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.accept(true)
	if err != nil {
		return nil, err // not a nil *Conn
	}
	return c, nil
}

// AcceptConn is Accept with the concrete type.
func (l *Listener) AcceptConn() (*Conn, error) { return l.accept(true) }

// TryAccept is AcceptConn that does not wait: when no connection is there its
// error is syscall.EAGAIN, not wrapped.
func (l *Listener) TryAccept() (*Conn, error) { return l.accept(false) }

// OnReady sets a function that is called whenever a connection may be there to
// accept, or nil; Conn.OnReady says how.
func (l *Listener) OnReady(f func()) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.closed {
		return
	}
	l.onReady = f
	if f != nil {
		l.ready()
	}
}

// ready is called with the lock held when there is something to accept.
func (l *Listener) ready() {
	wakeAll(l.waiting)
	if l.onReady != nil && !l.due {
		l.due = true
		l.s.callbacks = append(l.s.callbacks, l)
		l.s.poke()
	}
}

// callback runs the OnReady function, on the runner.
func (l *Listener) callback() {
	l.s.mu.Lock()
	l.due = false
	f := l.onReady
	l.s.mu.Unlock()
	if f != nil {
		f()
	}
}

func (l *Listener) accept(wait bool) (*Conn, error) {
	s := l.s
	s.mu.Lock()
	for {
		var err error
		switch {
		case l.closed:
			err = l.fail("accept", net.ErrClosed)
		case s.late(l.by):
			err = l.fail("accept", os.ErrDeadlineExceeded)
		}
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		if ec := l.l.Accept(); ec != nil {
			c := ec.Owner.(*Conn)
			c.defaults()
			s.unlock(s.h.now())
			return c, nil
		}
		if !wait {
			s.mu.Unlock()
			return nil, syscall.EAGAIN
		}
		s.wait(&l.waiting, l.by, nil)
	}
}

// defaults are package net's for new connections.
func (c *Conn) defaults() {
	c.ec.SetNoDelay(true)
	if k := c.s.h.cfg.KeepAlive; k >= 0 {
		if k == 0 {
			k = defaultKeepAlive
		}
		c.ec.SetKeepalive(c.s.h.now(), true, k, k, 9)
	}
	c.ec.Touch()
}

func (l *Listener) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: l.network, Addr: l.Addr(), Err: err}
}

// Addr returns where it listens, a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.l.Addr()) }

// SetDeadline sets the time after which Accept fails; the zero time is none.
func (l *Listener) SetDeadline(t time.Time) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.by = l.s.h.deadline(t)
	wakeAll(l.waiting)
	return nil
}

// Pending returns how many completed handshakes wait to be accepted, and how
// many are half-open.
func (l *Listener) Pending() (accept, halfOpen int) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.l.Pending()
}

// Close stops listening. Accepted connections live on; those that nobody has
// accepted are reset.
func (l *Listener) Close() error {
	s := l.s
	s.mu.Lock()
	if l.closed {
		s.mu.Unlock()
		return l.fail("close", net.ErrClosed)
	}
	now := s.h.now()
	l.onReady = nil
	l.closeLocked(now)
	s.unlock(now)
	return nil
}

func (l *Listener) closeLocked(now mono.Time) {
	l.closed = true
	l.l.Close(now)
	l.ready()
}
