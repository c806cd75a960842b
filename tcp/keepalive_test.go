package tcp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

func line(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// keepalive switches it, with the timing that is given.
func keepalive(p *tcptest.Conn, on bool, idle, interval time.Duration, count int) {
	p.Do(fmt.Sprintf("keepalive %v %v %v %d", on, idle, interval, count), func(now mono.Time, c *tcp.TCB) {
		c.SetKeepalive(now, on, idle, interval, count)
	})
}

// Keepalive can be switched on and off for each connection. RFC 9293 §3.8.4.
func TestR9293_M24_KeepaliveSwitch(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, 0, 0, 0)
	p.WantDeadline("2h")
	keepalive(p, false, 0, 0, 0)
	p.WantDeadline("none")
	p.At("3h")
	p.WantNothing("it is off")
	keepalive(p, true, time.Minute, 0, 0) // long idle: at once
	p.Advance("1ns")
	p.Want("> . 0:0(0) ack 1")

	p = tcptest.SynSent(t) // it may be switched on before there is a connection
	keepalive(p, true, time.Minute, 0, 0)
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1")
	p.WantAt("1m", "> . 0:0(0) ack 1")
}

// Keepalive is off unless it is asked for. RFC 9293 §3.8.4.
func TestR9293_M25_KeepaliveDefaultOff(t *testing.T) {
	for _, profile := range []tcp.Profile{tcp.ProfileRFC, tcp.ProfileLinux} {
		p := tcptest.Established(t, tcptest.Profile(profile))
		p.WantDeadline("none")
		p.At("24h")
		p.WantNothing("an idle connection is silent")
		p.WantState(tcp.Established)
	}
}

// A probe is sent only when nothing is outstanding and nothing was heard for the interval. RFC 9293 §3.8.4.
func TestR9293_M26_KeepaliveOnlyIdle(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, 10*time.Second, time.Second, 3)
	p.At("6s")
	p.Recv("< P. 1:11(10) ack 1")
	p.Read(10)
	p.WantAt("6200ms", "> . 1:1(0) ack 11")
	p.At("15999ms")
	p.WantNothing("something was heard 9.999 s ago")
	p.WantAt("16s", "> . 0:0(0) ack 11")
	p.Recv("< . 11:11(0) ack 1")
	p.At("20s")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 11")
	p.At("45s")
	for p.Info().Unacked > 0 && p.Drop() > 0 {
	}
	if i := p.Info(); i.Probes != 0 || i.Retransmits != 4 {
		t.Errorf("data is outstanding: %d probes, %d retransmissions", i.Probes, i.Retransmits)
	}
}

// The interval can be set. RFC 9293 §3.8.4.
func TestR9293_M27_KeepaliveInterval(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, 15*time.Second, 5*time.Second, 2)
	p.WantAt("15s", "> . 0:0(0) ack 1")
	p.WantAt("20s", "> . 0:0(0) ack 1")
	p.WantAt("25s", "> R. 1:1(0) ack 1")
	p.WantErr(tcp.ReasonKeepalive)
}

// The default interval is two hours. RFC 9293 §3.8.4.
func TestR9293_M28_KeepaliveTwoHours(t *testing.T) {
	for _, profile := range []tcp.Profile{tcp.ProfileRFC, tcp.ProfileLinux} {
		p := tcptest.Established(t, tcptest.Profile(profile))
		keepalive(p, true, 0, 0, 0)
		p.At("7199999ms")
		p.WantNothing("not before")
		p.WantAt("2h", "> . 0:0(0) ack 1")
	}
}

// A probe without an answer does not end the connection. RFC 9293 §3.8.4.
func TestR9293_M29_KeepaliveLostProbe(t *testing.T) {
	p := tcptest.Established(t)
	keepalive(p, true, 0, 0, 0)
	p.At("2h")
	p.Advance("599999ms") // 75 s apart
	if n := p.Drop(); n != 8 {
		t.Errorf("%d probes, want 8", n)
	}
	p.WantState(tcp.Established)
	p.Recv("< . 1:1(0) ack 1") // the answer to the eighth
	if i := p.Info(); i.Probes != 0 {
		t.Errorf("%d probes count as unanswered", i.Probes)
	}
	p.At("4h9m59999ms") // two hours after that answer: 9 m 59.999 s + 2 h + 2 h
	p.WantState(tcp.Established)
	p.Advance("12m")
	p.WantErr(tcp.ReasonKeepalive)
	if n := p.Drop(); n != 10 {
		t.Errorf("%d segments, want nine probes and a RST", n)
	}
}

// An answered probe changes nothing, however often. RFC 9293 §3.8.4.
func TestKeepaliveAnswered(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	keepalive(p, true, time.Minute, time.Second, 1)
	for range 100 {
		p.Advance("1m")
		p.Want("> . 0:0(0) ack 1")
		p.Recv("< . 1:1(0) ack 1")
	}
	p.WantState(tcp.Established)
}
