package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// The sender avoids silly windows. RFC 9293 §3.8.6.2.1.
func TestR9293_M38_SenderSWS(t *testing.T) {
	begin := func() *tcptest.Conn {
		p := tcptest.Established(t, tcptest.Window(4000), tcptest.NoSACK)
		p.Do("no Nagle", func(_ mono.Time, c *tcp.TCB) { c.SetNoDelay(true) })
		p.Write(4000)
		p.Want("> P. 1:4001(4000) ack 1 cut 1000")
		p.Write(3000)
		p.WantNothing("the window is full")
		return p
	}
	p := begin()
	p.Recv("< . 1:1(0) ack 4001 win 1000")
	p.Want("> . 4001:5001(1000) ack 1") // (1) a full segment
	p = begin()
	p.Recv("< . 1:1(0) ack 4001 win 999")
	p.WantNothing("neither full nor half of the largest window")
	p.WantAt("200ms", "> . 4001:5000(999) ack 1") // (4) the override

	p = tcptest.Established(t, tcptest.Window(500), tcptest.NoSACK)
	p.Write(3000)
	p.Want("> . 1:501(500) ack 1") // (3) all the window there ever was
	p.Recv("< . 1:1(0) ack 501 win 250")
	p.Want("> . 501:751(250) ack 1") // half of it
	p.Recv("< . 1:1(0) ack 751 win 249")
	p.WantNothing("less")
	p.WantAt("200ms", "> . 751:1000(249) ack 1")

	p = tcptest.Established(t, tcptest.Window(1500), tcptest.NoSACK)
	p.Do("no Nagle", func(_ mono.Time, c *tcp.TCB) { c.SetNoDelay(true) })
	p.Write(1200)
	p.Want("> P. 1:1201(1200) ack 1 cut 1000") // (2) all that there is, and it fits
	p.Write(400)
	p.WantNothing("300 of 400 octets fit")
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
}

// The receiver avoids silly windows. RFC 9293 §3.8.6.2.2.
func TestR9293_M39_ReceiverSWS(t *testing.T) {
	p := tcptest.Established(t, tcptest.ReceiveBuffer(4000), tcptest.NoSACK)
	p.Recv("< P. 1:4001(4000) ack 1")
	p.Want("> . 1:1(0) ack 4001 win 0")
	p.Read(999)
	p.WantNothing("less than MSS and than half of the buffer")
	p.Recv("< . 4000:4000(0) ack 1") // a probe
	p.Want("> . 1:1(0) ack 4001 win 0")
	p.Read(1)
	p.Want("> . 1:1(0) ack 4001 win 1000")
	p.Read(3000)
	p.Want("> . 1:1(0) ack 4001 win 4000")

	p = tcptest.Established(t, tcptest.ReceiveBuffer(1000), tcptest.NoSACK) // half of the buffer is less
	p.Recv("< P. 1:1001(1000) ack 1")
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 1001 win 0")
	p.Read(499)
	p.WantNothing("less than half of the buffer")
	p.Read(1)
	p.Want("> . 1:1(0) ack 1001 win 500")
}

// An ACK is delayed by less than 0.5 s. RFC 9293 §3.8.6.3.
func TestR9293_M40_DelAckUnder500ms(t *testing.T) {
	for profile, delay := range map[tcp.Profile]string{tcp.ProfileRFC: "200ms", tcp.ProfileLinux: "40ms"} {
		p := tcptest.Established(t, tcptest.Profile(profile), tcptest.Config(func(c *tcp.Config) { c.QuickACKs = 0 }))
		p.Recv("< P. 1:11(10) ack 1")
		p.WantNothing("it may travel with an answer")
		p.WantAt(delay, "> . 1:1(0) ack 11")
		p.Recv("< P. 11:21(10) ack 1")
		p.Write(1)
		p.Want("> P. 1:2(1) ack 21") // it does
		p.Recv("< . 21:21(0) ack 2")
		p.WantDeadline("none")
	}
}

// ACKs are put together where that is possible. RFC 9293 §3.10.7.4.
func TestR9293_M58_AckAggregation(t *testing.T) {
	p := tcptest.Established(t)
	for i := range 10 {
		p.Recv(line("< . %d:%d(1000) ack 1", 1+1000*i, 1001+1000*i))
	}
	for _, ack := range []int{2001, 4001, 6001, 8001, 10001} {
		p.Want(line("> . 1:1(0) ack %d", ack))
	}
	p.WantNothing("one for every second full segment")
	p.Recv("< . 10001:20001(10000) ack 1 cut 1000")
	p.Want("> . 1:1(0) ack 20001")
	p.WantNothing("one for what came together")
}

// A batch of segments is processed before any ACK is sent. RFC 9293 §3.10.7.4.
func TestR9293_M59_BatchThenAck(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.RecvBatch("< . 1:1001(1000) ack 1", "< . 1001:2001(1000) ack 1", "< . 2001:3001(1000) ack 1", "< FP. 3001:4001(1000) ack 1")
	p.Want("> . 1:1(0) ack 4002")
	p.WantNothing("one ACK for all")

	p = tcptest.Established(t, tcptest.NoSACK) // a gap that the batch itself fills is none
	p.RecvBatch("< . 1001:2001(1000) ack 1", "< . 1:1001(1000) ack 1")
	p.Want("> . 1:1(0) ack 2001")
	p.WantNothing("no duplicate ACK")

	p = tcptest.Established(t, tcptest.NoSACK) // one that stays is told as often as it was seen
	p.RecvBatch("< . 1001:2001(1000) ack 1", "< . 2001:3001(1000) ack 1", "< . 3001:4001(1000) ack 1")
	for range 3 {
		p.Want("> . 1:1(0) ack 1")
	}
	p.WantNothing("three segments out of order")
}

// Data is never held back for ever. RFC 9293 §3.9.1.2.
func TestR9293_M60_NoIndefiniteBuffering(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(100)
	p.Want("> P. 1:101(100) ack 1")
	p.Write(100)
	p.WantNothing("Nagle: something small is on its way")
	p.Recv("< . 1:1(0) ack 101")
	p.Want("> P. 101:201(100) ack 1")

	p = tcptest.Established(t)
	p.Write(1100)
	p.Want("> . 1:1001(1000) ack 1")
	p.WantNothing("the rest is small")
	p.Recv("< . 1:1(0) ack 1001")
	p.Want("> P. 1001:1101(100) ack 1")
}

// Without a PUSH call, PSH is on the last segment of what is queued. RFC 9293 §3.9.1.2.
func TestR9293_M61_PSHOnLast(t *testing.T) {
	p := tcptest.Established(t, tcptest.Room(0))
	p.Write(3000)
	p.Want("> . 1:1001(1000) ack 1")
	p.Want("> . 1001:2001(1000) ack 1")
	p.Want("> P. 2001:3001(1000) ack 1")
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> P. 2001:3001(1000) ack 1") // again, too
}
