package handfast

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// Dial is DialContext without a context.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// DialContext connects to an address: network "tcp", "tcp4", "tcp6", "udp",
// "udp4" or "udp6", address as for net.Dial. It fits http.Transport. A name
// with several addresses is tried in order, each with its share of the time
// that the context allows. The result is a *Conn or a *PacketConn.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.dial(ctx, network, address, &dialing{})
}

// dial is DialContext with settings.
func (h *Host) dial(ctx context.Context, network, address string, d *dialing) (net.Conn, error) {
	udp := strings.HasPrefix(network, "udp")
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	if address == "" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errMissingAddress}
	}
	host, port, err := splitAddress(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var one [1]netip.Addr
	addrs, err := h.resolve(ctx, network, host, one[:0])
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	for i, a := range addrs {
		var c net.Conn
		to := netip.AddrPortFrom(a, port)
		if udp {
			c, err = h.dialUDP(network, d.local, to)
		} else {
			c, err = h.dialShare(ctx, network, d, to, len(addrs)-i)
		}
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// dialShare is dialTCP within one of n attempts' part of the context's time:
// at least two seconds, if there are so many.
func (h *Host) dialShare(ctx context.Context, network string, d *dialing, to netip.AddrPort, n int) (*Conn, error) {
	if end, ok := ctx.Deadline(); ok && n > 1 {
		left := time.Until(end)
		part, cancel := context.WithTimeout(ctx, max(left/time.Duration(n), min(left, 2*time.Second)))
		defer cancel()
		ctx = part
	}
	return h.dialTCP(ctx, network, d, to)
}

// DialTCP connects from a local address, either part of which may be unset, to
// a remote one.
func (h *Host) DialTCP(ctx context.Context, local, remote netip.AddrPort) (*Conn, error) {
	return h.dialTCP(ctx, "tcp", &dialing{local: local}, remote)
}

func (h *Host) dialTCP(ctx context.Context, network string, d *dialing, remote netip.AddrPort) (*Conn, error) {
	fail := func(err error) (*Conn, error) {
		op := &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(remote), Err: err}
		if d.local.IsValid() {
			op.Source = net.TCPAddrFromAddrPort(d.local)
		}
		return nil, op
	}
	if err := ctx.Err(); err != nil {
		return fail(contextError(err))
	}
	s := &h.shard
	var first pkt.Ref
	if len(d.first) > 0 {
		first = s.copied(d.first[:min(len(d.first), pkt.Large)])
	}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		first.Release()
		return fail(net.ErrClosed)
	}
	now := h.now()
	ec, err := s.e.Dial(now, &engine.DialConfig{Local: d.local, Remote: remote, FastOpen: d.fastOpen, FastOpenWait: d.wait})
	if err != nil {
		s.mu.Unlock()
		first.Release()
		return fail(call("connect", engineErrno(err)))
	}
	c := ec.Owner.(*Conn)
	if c.ec.FastOpenWaits() {
		c.defaults()
		s.unlock(now)
		return c, nil
	}
	n := c.queueFirst(now, first)
	s.unlock(now)
	if err := c.established(ctx); err != nil {
		return fail(err)
	}
	if n < len(d.first) {
		if _, err := c.Write(d.first[n:]); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// established waits until a connection is, or says why it will not be.
func (c *Conn) established(ctx context.Context) error {
	s := c.s
	s.mu.Lock()
	for c.ec.State() == tcp.SynSent || c.ec.State() == tcp.SynReceived {
		if err := ctx.Err(); err != nil {
			now := s.h.now()
			c.bits |= connClosed
			c.ec.Close(now)
			c.ec.Abort(now)
			s.unlock(now)
			return contextError(err)
		}
		s.wait(&c.writers, 0, ctx.Done())
	}
	// Reset after it was established: the program learns that from Read.
	if c.ec.State() != tcp.Closed || c.ec.Err() == tcp.ReasonReset {
		c.defaults()
		s.unlock(s.h.now())
		return nil
	}
	defer s.mu.Unlock()
	err := errno(c.ec.Err())
	if c.bits&connHostGone != 0 || err == nil {
		err = net.ErrClosed
	}
	c.bits |= connClosed
	return call("connect", err)
}

// contextError is what package net makes of a context that ended.
func contextError(err error) error {
	switch err {
	case context.Canceled:
		return errCanceled
	case context.DeadlineExceeded:
		return errTimeout
	}
	return err
}

// errTimeout reads as package net's, and is both errors that programs look for.
var errTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
func (timeoutError) Is(e error) bool {
	return e == context.DeadlineExceeded || e == os.ErrDeadlineExceeded
}

// errCanceled reads as package net's, and is context.Canceled to errors.Is.
var errCanceled error = canceledError{}

type canceledError struct{}

func (canceledError) Error() string   { return "operation was canceled" }
func (canceledError) Is(e error) bool { return e == context.Canceled }

// resolve finds the addresses of a host for a network's families: a literal,
// localhost (which never leaves the Host, RFC 6761 §6.3), or a name. It appends
// them to out.
func (h *Host) resolve(ctx context.Context, network, host string, out []netip.Addr) ([]netip.Addr, error) {
	family := network[len(network)-1]
	fits := func(a netip.Addr) bool {
		return family != '4' && family != '6' || a.Unmap().Is4() == (family == '4')
	}
	if host == "" { // as package net: ourselves
		host = "localhost"
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if !fits(a) {
			return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
		}
		return append(out, a.Unmap().WithZone("")), nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	var addrs []netip.Addr
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	} else if h.cfg.Resolver == nil {
		return nil, &net.DNSError{Err: "this Host has no resolver: give handfast.Config.Resolver, or a literal address", Name: host, IsNotFound: true}
	} else {
		var err error
		lookup := "ip"
		if family == '4' || family == '6' {
			lookup += string(family)
		}
		if addrs, err = h.cfg.Resolver.LookupNetIP(ctx, lookup, host); err != nil {
			return nil, err
		}
	}
	for _, a := range addrs {
		if fits(a) {
			out = append(out, a.Unmap())
		}
	}
	if len(out) == 0 {
		return nil, &net.DNSError{Err: "no address of this family", Name: host, IsNotFound: true}
	}
	return out, nil
}
