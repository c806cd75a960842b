package handfast

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
)

// PacketConn is a UDP socket: a net.PacketConn, and a net.Conn when connected,
// with the methods of *net.UDPConn that QUIC and DNS libraries call. All
// methods may be called from any goroutine.
type PacketConn struct {
	s       *shard
	u       *engine.UDP
	network string
	waiting *waiter
	readBy  mono.Time
	writeBy mono.Time
	onReady func()
	due     bool // onReady is
	closed  bool
}

// ListenPacket opens a UDP socket on an address: network "udp", "udp4" or
// "udp6", address as for net.ListenPacket. The result is a *PacketConn.
func (h *Host) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	fail := func(err error) (net.PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	switch network {
	case "udp", "udp4", "udp6":
	default:
		return fail(net.UnknownNetworkError(network))
	}
	local, v6only, err := h.localAddr(ctx, network, address)
	if err != nil {
		return fail(err)
	}
	p, err := h.openUDP(network, &engine.UDPConfig{Local: local, V6Only: v6only})
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(local), Err: call("bind", engineErrno(err))}
	}
	return p, nil
}

func (h *Host) dialUDP(network string, local, remote netip.AddrPort) (net.Conn, error) {
	p, err := h.openUDP(network, &engine.UDPConfig{Local: local, Remote: remote})
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.UDPAddrFromAddrPort(remote), Err: call("connect", engineErrno(err))}
	}
	return p, nil
}

func (h *Host) openUDP(network string, uc *engine.UDPConfig) (*PacketConn, error) {
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, engine.ErrClosed
	}
	u, err := s.e.OpenUDP(h.now(), uc)
	if err != nil {
		return nil, err
	}
	p := &PacketConn{s: s, u: u, network: network}
	u.Owner = p
	return p, nil
}

// LocalAddr returns where the socket is bound, a *net.UDPAddr.
func (p *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.u.LocalAddr()) }

// RemoteAddr returns whom it is connected to, a *net.UDPAddr, or nil.
func (p *PacketConn) RemoteAddr() net.Addr {
	if a := p.u.RemoteAddr(); a.IsValid() {
		return net.UDPAddrFromAddrPort(a)
	}
	return nil
}

func (p *PacketConn) fail(op string, to netip.AddrPort, err error) error {
	e := &net.OpError{Op: op, Net: p.network, Source: p.LocalAddr(), Err: err}
	if to.IsValid() {
		e.Addr = net.UDPAddrFromAddrPort(to)
	} else {
		e.Addr = p.RemoteAddr()
	}
	return e
}

// receive takes the next datagram, having waited for it if it should.
func (p *PacketConn) receive(wait bool) (engine.Datagram, error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case p.closed:
			return engine.Datagram{}, p.fail("read", netip.AddrPort{}, net.ErrClosed)
		case s.late(p.readBy):
			return engine.Datagram{}, p.fail("read", netip.AddrPort{}, os.ErrDeadlineExceeded)
		}
		if err := p.u.Err(); err != nil {
			return engine.Datagram{}, p.fail("read", netip.AddrPort{}, call(p.readCall(), engineErrno(err)))
		}
		if g, ok := p.u.Recv(); ok {
			return g, nil
		}
		if !wait {
			return engine.Datagram{}, syscall.EAGAIN
		}
		s.wait(&p.waiting, p.readBy, nil)
	}
}

// readCall is the name of the system call that package net would have made.
func (p *PacketConn) readCall() string {
	if p.u.RemoteAddr().IsValid() {
		return "read"
	}
	return "recvfrom"
}

// OnReady sets a function that is called whenever a datagram or an error may
// be there to read, or nil; Conn.OnReady says how.
func (p *PacketConn) OnReady(f func()) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.closed {
		return
	}
	p.onReady = f
	if f != nil {
		p.ready()
	}
}

// ready is called with the lock held when there is something to read.
func (p *PacketConn) ready() {
	wakeAll(p.waiting)
	if p.onReady != nil && !p.due {
		p.due = true
		p.s.callbacks = append(p.s.callbacks, p)
		p.s.poke()
	}
}

// callback runs the OnReady function, on the runner.
func (p *PacketConn) callback() {
	p.s.mu.Lock()
	p.due = false
	f := p.onReady
	p.s.mu.Unlock()
	if f != nil {
		f()
	}
}

// TryReadFrom is ReadFromUDPAddrPort that does not wait: when there is nothing
// to read its error is syscall.EAGAIN, not wrapped.
func (p *PacketConn) TryReadFrom(b []byte) (n int, from netip.AddrPort, err error) {
	return p.read(b, false)
}

// ReadFromUDPAddrPort reads a datagram, as soon as there is one; what does not
// fit into b is dropped. On a connected socket ECONNREFUSED tells, once, that
// nobody listens at the other end (RFC 1122 §4.1.3.3).
func (p *PacketConn) ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error) {
	return p.read(b, true)
}

func (p *PacketConn) read(b []byte, wait bool) (n int, from netip.AddrPort, err error) {
	g, err := p.receive(wait)
	if err != nil {
		return 0, from, err
	}
	n = g.Payload.CopyTo(b)
	g.Payload.Release()
	return n, g.From, nil
}

// ReadMsgUDPAddrPort is ReadFromUDPAddrPort with the signature of
// *net.UDPConn's; there is no out-of-band data, and flags are 0.
func (p *PacketConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	n, from, err = p.ReadFromUDPAddrPort(b)
	return n, 0, 0, from, err
}

// ReadMsgUDP is ReadMsgUDPAddrPort with an address of the older kind.
func (p *PacketConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, a, err := p.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	return n, 0, 0, net.UDPAddrFromAddrPort(a), nil
}

// ReadFrom implements net.PacketConn; the address is a *net.UDPAddr.
func (p *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// Read implements net.Conn for a connected socket.
func (p *PacketConn) Read(b []byte) (int, error) {
	n, _, err := p.ReadFromUDPAddrPort(b)
	return n, err
}

// WriteToUDPAddrPort sends a datagram; to must be unset on a connected socket.
// It waits only while a device is busy with what was sent before. What the path
// cannot take is lost, as datagrams are.
func (p *PacketConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if to.IsValid() {
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	}
	s := p.s
	s.mu.Lock()
	if err := p.waitSend(to); err != nil {
		s.mu.Unlock()
		return 0, p.fail("write", to, err)
	}
	now := s.h.now()
	err := p.u.Send(now, to, b)
	s.unlock(now)
	if err != nil {
		return 0, p.fail("write", to, call(p.sendCall(), engineErrno(err)))
	}
	return len(b), nil
}

// waitSend says why a datagram cannot be sent, or waits until it can be.
func (p *PacketConn) waitSend(to netip.AddrPort) error {
	for {
		connected := p.u.RemoteAddr().IsValid()
		switch {
		case p.closed:
			return net.ErrClosed
		case p.s.late(p.writeBy):
			return os.ErrDeadlineExceeded
		case connected && to.IsValid():
			return net.ErrWriteToConnected
		case !connected && !to.IsValid():
			return call("write", syscall.EDESTADDRREQ)
		}
		if err := p.u.Err(); err != nil {
			return call(p.sendCall(), engineErrno(err))
		}
		if p.s.held.Load() == 0 {
			return nil
		}
		p.s.wait(&p.s.senders, p.writeBy, nil)
	}
}

// sendCall is the name of the system call that package net would have made.
func (p *PacketConn) sendCall() string {
	if p.u.RemoteAddr().IsValid() {
		return "write"
	}
	return "sendto"
}

// WriteMsgUDPAddrPort is WriteToUDPAddrPort with the signature of
// *net.UDPConn's; oob must be empty.
func (p *PacketConn) WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	n, err = p.WriteToUDPAddrPort(b, to)
	return n, 0, err
}

// WriteTo implements net.PacketConn. The address must be a *net.UDPAddr.
func (p *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	switch {
	case !ok:
		return 0, &net.OpError{Op: "write", Net: p.network, Source: p.LocalAddr(), Addr: to, Err: syscall.EINVAL}
	case a == nil:
		return 0, p.fail("write", netip.AddrPort{}, errMissingAddress)
	}
	return p.WriteToUDPAddrPort(b, a.AddrPort())
}

// Write implements net.Conn for a connected socket.
func (p *PacketConn) Write(b []byte) (int, error) {
	return p.WriteToUDPAddrPort(b, netip.AddrPort{})
}

// SetDeadline sets the times after which reads and writes fail.
func (p *PacketConn) SetDeadline(t time.Time) error { return p.setDeadlines(t, true, true) }

// SetReadDeadline sets the time after which reads fail.
func (p *PacketConn) SetReadDeadline(t time.Time) error { return p.setDeadlines(t, true, false) }

// SetWriteDeadline sets the time after which writes fail.
func (p *PacketConn) SetWriteDeadline(t time.Time) error { return p.setDeadlines(t, false, true) }

func (p *PacketConn) setDeadlines(t time.Time, read, write bool) error {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.closed {
		return &net.OpError{Op: "set", Net: p.network, Addr: p.LocalAddr(), Err: net.ErrClosed}
	}
	d := s.h.deadline(t)
	if read {
		p.readBy = d
		wakeAll(p.waiting)
	}
	if write {
		p.writeBy = d
		wakeAll(s.senders)
	}
	return nil
}

// SetReadBuffer bounds the datagrams that wait to be read, in bytes of the
// buffers that hold them (2 KiB for an ordinary one), at most the Host's
// Limits.UDPQueueBytes. One datagram always fits.
func (p *PacketConn) SetReadBuffer(bytes int) error { return p.setBuffers(0, bytes) }

// SetWriteBuffer bounds the length of a datagram: a longer one fails with
// EMSGSIZE, as on a kernel's socket. Nothing else waits to be sent.
func (p *PacketConn) SetWriteBuffer(bytes int) error { return p.setBuffers(bytes, 0) }

func (p *PacketConn) setBuffers(send, receive int) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.closed {
		return &net.OpError{Op: "set", Net: p.network, Addr: p.LocalAddr(), Err: net.ErrClosed}
	}
	p.u.SetBuffers(send, receive)
	return nil
}

// Close closes the socket.
func (p *PacketConn) Close() error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.closed {
		return p.fail("close", netip.AddrPort{}, net.ErrClosed)
	}
	p.onReady = nil
	p.closeLocked()
	return nil
}

func (p *PacketConn) closeLocked() {
	p.closed = true
	p.u.Close()
	wakeAll(p.s.senders)
	p.ready()
}
