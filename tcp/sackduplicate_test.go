package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// withSACK returns a connection that has 10 segments of 1000 octets
// outstanding and whose peer sends SACK blocks.
func withSACK(t *testing.T) *tcptest.Conn {
	p := tcptest.Established(t, tcptest.MSS(1000), tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 }))
	p.Write(30_000)
	p.Want("> . 1:10001(10000) ack 1 cut 1000")
	return p
}

// An ACK whose SACK block has news is a duplicate also when its window is
// another, as it is when the peer tunes its buffer. RFC 6675 §2.
func TestSACKWithAnotherWindowIsADuplicate(t *testing.T) {
	p := withSACK(t)
	p.Recv("< . 1:1(0) ack 1 win 40000 <nop,nop,sack 1001:2001>")
	p.Recv("< . 1:1(0) ack 1 win 42000 <nop,nop,sack 1001:3001>")
	p.Drop() // limited transmit
	p.Recv("< . 1:1(0) ack 1 win 44000 <nop,nop,sack 1001:4001>")
	p.Want("> . 1:1001(1000) ack 1")
}

// Without news it is a window update, however often it comes.
func TestWindowUpdateWithOldSACKIsNoDuplicate(t *testing.T) {
	for name, block := range map[string]string{"seen": "1001:2001", "of old data": "0:1", "not yet sent": "50001:51001"} {
		t.Run(name, func(t *testing.T) {
			p := withSACK(t)
			p.Recv("< . 1:1(0) ack 1 win 40000 <nop,nop,sack 1001:2001>")
			p.Drop()
			for _, win := range []string{"41000", "42000", "43000", "44000"} {
				p.Recv("< . 1:1(0) ack 1 win " + win + " <nop,nop,sack " + block + ">")
			}
			p.WantNothing("window updates")
		})
	}
}
