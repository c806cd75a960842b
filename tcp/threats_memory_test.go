package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// charged is what the receive queues of p keep alive, in bytes.
func charged(p *tcptest.Conn) int {
	var s tcp.Space
	p.TCB().Space(&s)
	return s.Charged
}

// Octets that arrive one by one, the last first, pin a chunk each and make one
// range of all of them: that, too, is bounded by twice the buffer.
func TestChargedMemoryOfOneRangeIsBounded(t *testing.T) {
	const size = 60_000
	p := tcptest.Established(t, tcptest.ReceiveBuffer(size))
	for n := 2000; n > 1; n-- {
		p.Recv(line("< . %d:%d(1) ack 1", n, n+1))
		p.Drop()
		if c := charged(p); c > 2*size+pkt.Small {
			t.Fatalf("%d bytes are charged for a buffer of %d", c, size)
		}
	}
	p.Recv("< . 1:2(1) ack 1") // what was kept is of use, and nothing is wrong with it
	p.Drop()
	if got := p.TCB().Buffered(); got < 2 {
		t.Errorf("%d octets in order", got)
	}
	p.Read(p.TCB().Buffered())
	p.Drop()
}
