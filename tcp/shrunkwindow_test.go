package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// shrunk returns a connection that has sent 4000 octets, of which the peer's
// window then holds only the first 1500. Time 0 is when they were sent.
func shrunk(t *testing.T) *tcptest.Conn {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Write(6000)
	p.Want("> . 1:4001(4000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 1 win 1500")
	return p
}

// Into a window that shrank no new data is sent. RFC 9293 §3.8.6.
func TestR9293_S15_ShrinkNoNewData(t *testing.T) {
	p := shrunk(t)
	for range 5 {
		p.Recv("< . 1:1(0) ack 1 win 1500")
	}
	// The duplicates retransmit, but nothing beyond 4001 leaves.
	p.Want("> . 1:1001(1000) ack 1")
	p.WantNothing("the window is full")
	p.Recv("< . 1:1(0) ack 2501 win 1500")
	p.Want("> . 2501:3501(1000) ack 1") // a partial ACK: old data
	p.WantNothing("the right edge is 4001, where SND.NXT is")
	p.Recv("< . 1:1(0) ack 4001 win 2000")
	p.Want("> P. 4001:6001(2000) ack 1 cut 1000")
}

// Old data inside a window that shrank is retransmitted as ever. RFC 9293 §3.8.6.
func TestR9293_S16_ShrinkRetransInside(t *testing.T) {
	p := shrunk(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 1001 win 1000")
	p.Want("> . 1001:2001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 2001 win 1000")
	p.Want("> . 2001:3001(1000) ack 1")
	p.WantNothing("what lies beyond the edge waits")
	p.Recv("< . 1:1(0) ack 3001 win 4000")
	p.Want("> . 3001:4001(1000) ack 1")
	p.Want("> P. 4001:6001(2000) ack 1 cut 1000")
}

// Data beyond the edge of a window that shrank does not time the connection out. RFC 9293 §3.8.6.
func TestR9293_S17_ShrinkNoTimeout(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Write(4000)
	p.Want("> P. 1:4001(4000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 2001 win 0") // the peer took half and takes no more
	for range 60 {
		p.Advance("1m")
		p.WantState(tcp.Established)
		for range p.Drop() {
			p.Recv("< . 1:1(0) ack 2001 win 0")
		}
	}
	p.Drop()
	p.Recv("< . 1:1(0) ack 2001 win 4000")
	p.Advance("1m")
	if p.Drop() == 0 {
		t.Error("the window is open again and nothing was sent")
	}
	p.Recv("< . 1:1(0) ack 4001 win 4000")
	p.WantDeadline("none")
}

// What lies beyond the edge of a window that shrank to nothing is sent again, as a probe. RFC 9293 §3.8.6.
func TestR9293_Y07_RetransBeyondEdge(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Write(4000)
	p.Want("> P. 1:4001(4000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	p.WantAt("3s", "> . 1:1001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 1001 win 0") // it was taken after all
	if i := p.Info(); i.Unacked != 3000 {
		t.Errorf("%d octets unacknowledged", i.Unacked)
	}
}

// The receiver never takes back window it has offered. RFC 9293 §3.8.6.
//
// Whatever arrives, in whatever chunks, and however slowly it is read: the
// conversation itself checks the right edge of every segment that leaves.
func TestR9293_S14_NeverShrink(t *testing.T) {
	for _, scale := range []uint8{0, 7} {
		p := tcptest.Established(t, tcptest.ReceiveBuffer(60_000), tcptest.Wscale(scale))
		n := 1
		for i := 1; i < 400; i++ {
			k := 1 + i*37%997
			if n+k > 60_000 {
				break
			}
			p.Recv(line("< P. %d:%d(%d) ack 1", n, n+k, k))
			n += k
			if i%3 == 0 {
				p.Read(i)
			}
			p.Advance("50ms")
		}
		if p.Drop() < 10 {
			t.Error("hardly an ACK was sent")
		}
		p.Read(p.TCB().Buffered())
		p.Drop()
	}
}

// A small segment that was lost is sent again into a window that has become
// small, although there is more to send than fits. RFC 6298 §5.4.
func TestRetransmissionIntoASmallWindow(t *testing.T) {
	p := tcptest.Established(t, tcptest.Window(5000))
	p.Recv("< . 1:1(0) ack 1 win 100")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.Write(2000)
	p.WantNothing("a small segment is on its way")
	p.WantAt("1s", "> . 1:11(10) ack 1")
	p.Recv("< . 1:1(0) ack 11 win 100")
	p.WantNothing("100 octets are a silly segment")
	p.WantAt("1200ms", "> . 11:111(100) ack 1") // until the override
}
