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
