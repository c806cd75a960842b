package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
)

// What simulated worlds found, each as small as it gets.

// The window of a SYN-ACK is not scaled, in a simultaneous open as little as
// else. RFC 7323 §2.2.
func TestSimultaneousSYNACKWindowIsNotScaled(t *testing.T) {
	p := tcptest.SynReceived(t, tcptest.Wscale(7))
	p.Recv("< S. 0:0(0) ack 1 win 700 <mss 1000,wscale 7>")
	if w := p.Info().SendWindow; w != 700 {
		t.Errorf("the window is %d, offered were 700", w)
	}
	p.Recv("< . 1:1(0) ack 1 win 700")
	if w := p.Info().SendWindow; w != 700<<7 {
		t.Errorf("the window is %d, offered were 700<<7", w)
	}
}

// A shift that is too coarse for the buffer is not announced: the window could
// only be none or far too much.
func TestWindowScaleFitsBuffer(t *testing.T) {
	for _, c := range []struct {
		buffer uint32
		shift  string
	}{{2 << 20, "13"}, {142494, "9"}, {4096, "4"}, {255, "0"}, {1, "0"}} {
		p := tcptest.Closed(t, tcptest.Wscale(13), tcptest.ReceiveBuffer(c.buffer))
		p.Open()
		p.Want("> S 0:0(0) <mss 1000,nop,nop,sackOK,nop,wscale " + c.shift + ">")
	}
}
