package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// A window that shrinks leaves the sender with less than nothing, which it survives. RFC 9293 §3.8.6.
func TestR9293_M34_WindowShrinkRobust(t *testing.T) {
	p := tcptest.Established(t, tcptest.Window(5000), tcptest.NoSACK)
	p.Write(8000)
	p.Want("> . 1:4001(4000) ack 1 cut 1000")
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 1001 win 1000") // up to 2001, where it had been 5001
	p.WantNothing("SND.NXT is beyond the window")
	if i := p.Info(); i.Unacked != 3000 || i.SendWindow != 1000 {
		t.Errorf("%d unacknowledged, window %d", i.Unacked, i.SendWindow)
	}
	p.WantAt("1100ms", "> . 1001:2001(1000) ack 1") // what lies inside is sent again
	p.Recv("< . 1:1(0) ack 4001 win 4000")          // it had taken all the same
	if i := p.Info(); i.Unacked == 0 || p.Drop() == 0 {
		t.Error("nothing goes on after the window has opened")
	}
}

// A window that shrinks to zero is probed like any other. RFC 9293 §3.8.6.
func TestR9293_M35_ShrinkToZeroProbes(t *testing.T) {
	p := tcptest.Established(t, tcptest.Window(4000), tcptest.NoSACK)
	p.Write(4000)
	p.Want("> P. 1:4001(4000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 1001 win 0")
	p.WantNothing("there is no room")
	for _, at := range []string{"1s", "3s", "7s", "15s"} {
		p.At(at)
		if p.Drop() != 1 {
			t.Fatalf("no probe at %s", at)
		}
		p.Recv("< . 1:1(0) ack 1001 win 0")
		p.WantNothing("the answer to a probe is no reason to send")
	}
	p.Recv("< . 1:1(0) ack 1001 win 3000")
	if p.Drop() == 0 {
		t.Error("nothing goes on after the window has opened")
	}
	p.Recv("< . 1:1(0) ack 4001 win 3000")
	if i := p.Info(); i.Unacked != 0 {
		t.Errorf("%d unacknowledged", i.Unacked)
	}
}

// Nagle's algorithm can be switched off for each connection. RFC 9293 §3.7.4.
func TestR9293_M17_NoDelay(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(100)
	p.Want("> P. 1:101(100) ack 1")
	p.Write(100)
	p.WantNothing("Nagle: something small is on its way")
	p.Do("no delay", func(_ mono.Time, c *tcp.TCB) { c.SetNoDelay(true) })
	p.Want("> P. 101:201(100) ack 1")
	p.Write(100)
	p.Want("> P. 201:301(100) ack 1")
	p.Do("delay", func(_ mono.Time, c *tcp.TCB) { c.SetNoDelay(false) })
	p.Write(100)
	p.WantNothing("it is on again")
	p.Recv("< . 1:1(0) ack 301")
	p.Want("> P. 301:401(100) ack 1")
}
