package tcptest

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// Closed returns a TCB that was never opened.
func Closed(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	return newConn(t, opts)
}

// SynSent returns an active open whose SYN has left.
func SynSent(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := newConn(t, opts)
	at := p.SndNXT()
	p.Open()
	p.Want(fmt.Sprintf("> %v %d:%d(0)", wire.FlagSYN|p.s.ecnSYN, at, at))
	return p
}

// Open is the active OPEN of RFC 9293 §3.10.1. Its SYN leaves.
func (p *Conn) Open() {
	p.t.Helper()
	p.note("open")
	p.tcb.Open(p.now, p.cfg, &p.s.params)
	p.collect()
}

// SYN returns the line of the peer's SYN, with its options.
func (p *Conn) SYN() string {
	s := wire.Script{Flags: wire.FlagSYN | p.s.ecnSYN, Seq: uint32(p.s.irs - p.irs), HasWin: true, Win: uint32(p.s.synWindow),
		Opts: p.s.peer}
	return s.String()
}

// SYNACK returns the line of the peer's answer to our SYN, with its options.
func (p *Conn) SYNACK() string {
	s := wire.Script{Flags: wire.FlagSYN | wire.FlagACK | p.s.ecnSYNACK, Seq: uint32(p.s.irs - p.irs), Ack: p.SndNXT(), HasWin: true,
		Win: uint32(p.s.synWindow), Opts: p.s.peer}
	s.Opts.TSEcr = p.lastTS
	return s.String()
}

// ACK returns the line of an empty segment of the peer that acknowledges all
// that we have sent.
func (p *Conn) ACK() string { return p.ack(p.s.ecnACK) }

func (p *Conn) ack(ecn wire.TCPFlags) string {
	return fmt.Sprintf("< %v %d:%d(0) ack %d win %d", wire.FlagACK|ecn, p.RcvNXT(), p.RcvNXT(), p.SndNXT(), p.window)
}

// begin makes now time 0.
func (p *Conn) begin() *Conn {
	p.t.Helper()
	p.WantNothing("the factory has come to its end")
	p.zero = p.now
	p.log.add(0, "* time 0: "+p.State().String(), "")
	return p
}

// wait lets the round trip of the handshake pass.
func (p *Conn) wait() {
	p.t.Helper()
	p.until(p.now.Add(p.s.rtt))
}

// Established returns an active open after its handshake.
func Established(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := SynSent(t, opts...)
	p.wait()
	p.Recv(p.SYNACK())
	p.Want(fmt.Sprintf("> %v %d:%d(0) ack %d", wire.FlagACK|p.s.ecnFirst, p.written, p.written, p.read))
	p.WantState(tcp.Established)
	// The SYN's window is not scaled: this is the window of what follows.
	p.window = p.s.window
	if p.s.scaled {
		p.Recv(p.ACK())
	}
	return p.begin()
}

// Listen returns a listener.
func Listen(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := newConn(t, opts)
	p.phase = phaseListen
	p.change(tcp.Closed, tcp.Listen, tcp.OnPassiveOpen)
	return p
}

// HalfOpen returns a listener that has answered a SYN: the record is in
// SYN-RECEIVED.
func HalfOpen(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := Listen(t, opts...)
	p.Recv(p.SYN())
	p.Want(fmt.Sprintf("> %v %d:%d(0) ack %d", wire.FlagSYN|wire.FlagACK|p.s.ecnSYNACK, p.written-1, p.written-1, p.read))
	p.WantState(tcp.SynReceived)
	p.window = p.s.window
	return p
}

// Accepted returns a passive open after its handshake.
func Accepted(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := HalfOpen(t, opts...)
	p.wait()
	p.Recv(p.ack(p.s.ecnFirst))
	p.WantState(tcp.Established)
	return p.begin()
}

// SynReceived returns an active open that has met another: a TCB in
// SYN-RECEIVED. The record of a passive open is HalfOpen.
func SynReceived(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := SynSent(t, opts...)
	p.wait()
	p.Recv(p.SYN())
	p.Want(fmt.Sprintf("> S. %d:%d(0) ack %d", p.written-1, p.written-1, p.read))
	p.WantState(tcp.SynReceived)
	p.window = p.s.window
	return p.begin()
}

// FinWait1 returns a connection whose FIN, number 1, is not acknowledged.
func FinWait1(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := Established(t, opts...)
	p.Shutdown()
	p.Want("> F. 1:1(0) ack 1")
	p.WantState(tcp.FinWait1)
	return p
}

// FinWait2 returns a connection whose FIN, number 1, is acknowledged.
func FinWait2(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := FinWait1(t, opts...)
	p.Recv("< . 1:1(0) ack 2")
	p.WantState(tcp.FinWait2)
	return p
}

// CloseWait returns a connection whose peer has sent a FIN, number 1.
func CloseWait(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := Established(t, opts...)
	p.Recv("< F. 1:1(0) ack 1")
	p.Want("> . 1:1(0) ack 2")
	p.WantState(tcp.CloseWait)
	return p
}

// Closing returns a connection whose FIN has crossed the peer's; both have
// number 1.
func Closing(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := FinWait1(t, opts...)
	p.Recv("< F. 1:1(0) ack 1")
	p.Want("> . 2:2(0) ack 2")
	p.WantState(tcp.Closing)
	return p
}

// LastAck returns a connection that has answered the peer's FIN by its own;
// both have number 1.
func LastAck(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := CloseWait(t, opts...)
	p.Shutdown()
	p.Want("> F. 1:1(0) ack 2")
	p.WantState(tcp.LastAck)
	return p
}

// TimeWait returns a connection that has closed first and waits; both FINs have
// number 1.
func TimeWait(t testing.TB, opts ...Option) *Conn {
	t.Helper()
	p := FinWait2(t, opts...)
	p.Recv("< F. 1:1(0) ack 2")
	p.Want("> . 2:2(0) ack 2")
	p.WantState(tcp.TimeWait)
	return p
}

// In returns a connection in a state, made by the factory of that name.
func In(t testing.TB, s tcp.State, opts ...Option) *Conn {
	t.Helper()
	switch s {
	case tcp.Closed:
		return Closed(t, opts...)
	case tcp.Listen:
		return Listen(t, opts...)
	case tcp.SynSent:
		return SynSent(t, opts...)
	case tcp.SynReceived:
		return SynReceived(t, opts...)
	case tcp.Established:
		return Established(t, opts...)
	case tcp.FinWait1:
		return FinWait1(t, opts...)
	case tcp.FinWait2:
		return FinWait2(t, opts...)
	case tcp.CloseWait:
		return CloseWait(t, opts...)
	case tcp.Closing:
		return Closing(t, opts...)
	case tcp.LastAck:
		return LastAck(t, opts...)
	default:
		return TimeWait(t, opts...)
	}
}
