package tcp_test

import (
	"strings"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// SACK-permitted goes out on SYN segments only. RFC 2018 §2.
func TestR2018_2_SACKPermittedOnSYN(t *testing.T) {
	p := tcptest.Closed(t)
	p.Open()
	p.Want("> S 0:0(0) <mss 1000,nop,nop,sackOK>")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1 <>")
	p.Recv("< . 1001:2001(1000) ack 1 <sackOK>") // nor does it mean anything later
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 1001:2001>")

	// A SYN-ACK has it only in answer to a SYN that had it.
	p = tcptest.Listen(t)
	p.Recv(p.SYN())
	p.Want("> S. 0:0(0) ack 1 <mss 1000,nop,nop,sackOK>")
	p = tcptest.Listen(t, tcptest.NoSACK)
	p.Recv(p.SYN())
	p.Want("> S. 0:0(0) ack 1 <mss 1000>")
}

// An option holds four blocks at most, and three beside timestamps. RFC 2018 §3.
func TestR2018_3_FourBlocks(t *testing.T) {
	for _, c := range []struct {
		opts []tcptest.Option
		want string
	}{
		{nil, "<nop,nop,sack 9001:9101 7001:7101 5001:5101 3001:3101>"},
		{[]tcptest.Option{tcptest.Timestamps}, "<nop,nop,TS val 1000 ecr 100000,nop,nop,sack 9001:9101 7001:7101 5001:5101>"},
	} {
		p := tcptest.Established(t, c.opts...)
		for _, n := range []int{1001, 3001, 5001, 7001} {
			p.Recv(line("< . %d:%d(100) ack 1", n, n+100))
		}
		p.Drop()
		p.Recv("< . 9001:9101(100) ack 1")
		p.Want("> . 1:1(0) ack 1 " + c.want)
	}
}

// Without SACK-permitted from the peer, no SACK option goes out. RFC 2018 §4.
func TestR2018_4a_OnlyIfPermitted(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{
		"the peer did not permit it": {tcptest.NoSACK},
		"switched off here":          {tcptest.Config(func(c *tcp.Config) { c.NoSACK = true })},
	} {
		t.Run(name, func(t *testing.T) {
			for _, factory := range []func(testing.TB, ...tcptest.Option) *tcptest.Conn{tcptest.Established, tcptest.Accepted} {
				p := factory(t, opts...)
				p.Recv("< . 1001:2001(1000) ack 1")
				p.Want("> . 1:1(0) ack 1 <>")
			}
		})
	}
}

// Every ACK that does not cover the highest octet received has blocks, data segments included. RFC 2018 §4.
func TestR2018_4b_OnEveryACK(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 2001:3001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 2001:3001>")
	p.Recv("< . 1:1001(1000) ack 1") // part of the gap
	p.Want("> . 1:1(0) ack 1001 <nop,nop,sack 2001:3001>")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1001 <nop,nop,sack 2001:3001>")
	p.WantAt("1s", "> P. 1:11(10) ack 1001 <nop,nop,sack 2001:3001>")
	p.Recv("< . 0:0(0) ack 11") // a keepalive
	p.Want("> . 11:11(0) ack 1001 <nop,nop,sack 2001:3001>")
	p.Recv("< . 1001:2001(1000) ack 11")
	p.Want("> . 11:11(0) ack 3001 <>")
}

// The first block holds the segment that caused the ACK, even if it was known. RFC 2018 §4.
func TestR2018_4c_NewestFirst(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1001:2001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 1001:2001>")
	p.Recv("< . 5001:6001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 5001:6001 1001:2001>")
	p.Recv("< . 3001:4001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 3001:4001 5001:6001 1001:2001>")
	p.Recv("< . 1001:2001(1000) ack 1") // for the second time
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 1001:2001 1001:2001 3001:4001 5001:6001>")
	p.Recv("< . 5501:6501(1000) ack 1") // half of it
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 5501:6001 5001:6501 1001:2001 3001:4001>")
	p.Recv("< . 4001:5001(1000) ack 1") // joins two
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 3001:6501 1001:2001>")
	p.Recv("< . 3001:3101(100) ack 1") // inside
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 3001:3101 3001:6501 1001:2001>")
}

// Behind it come the blocks that were reported last, each at least three times in all. RFC 2018 §4.
func TestR2018_4d_Repeated(t *testing.T) {
	p := tcptest.Established(t)
	seen := map[string]int{}
	for i := range 20 {
		n := 1001 + 2000*i
		p.Recv(line("< . %d:%d(100) ack 1", n, n+100))
		want := "> . 1:1(0) ack 1 <nop,nop,sack"
		for k := i; k >= 0 && k > i-4; k-- {
			block := line(" %d:%d", 1001+2000*k, 1101+2000*k)
			want += block
			seen[block]++
		}
		p.Want(want + ">")
	}
	for block, n := range seen {
		if n < 3 && !strings.Contains(" 37001:37101 39001:39101", block) {
			t.Errorf("block%s was reported %d times", block, n)
		}
	}
}

// What was SACKed stays in the send queue until it is acknowledged. RFC 2018 §5.
func TestR2018_5b_KeptUntilAcked(t *testing.T) {
	p := tcptest.Established(t, tcptest.Config(func(c *tcp.Config) { c.NoRACK = true }))
	p.Write(3000)
	p.Want("> P. 1:3001(3000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 1 <nop,nop,sack 1001:3001>")
	if n := p.TCB().Queued(); n != 3000 {
		t.Errorf("%d octets are queued, want 3000", n)
	}
	// The peer thought better of it: all of it can still be sent.
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 1001")
	p.WantAt("1.01s", "> . 1001:2001(1000) ack 1") // as soon as it is clear
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> P. 2001:3001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 3001")
	if n := p.TCB().Queued(); n != 0 {
		t.Errorf("%d octets are queued at the end", n)
	}
}

// A receiver may renege; it then still reports the newest segment. RFC 2018 §8.
//
// Only memory is a reason to: when small segments pin more than twice the
// receive buffer, the range farthest ahead goes, and RCV.NXT never moves back.
func TestR2018_8_Reneging(t *testing.T) {
	p := tcptest.Established(t, tcptest.ReceiveBuffer(20_000))
	n := 1 + 1000
	for n < 19_000 { // each octet pins a chunk of 2 KiB, or costs as much as what knows of it
		p.Recv(line("< . %d:%d(1) ack 1", n, n+1))
		n += 50
	}
	p.Drop()
	var s tcp.Space
	p.TCB().Space(&s)
	if s.Charged > 2*20_000+pkt.Small {
		t.Errorf("%d octets are charged for a buffer of 20000", s.Charged)
	}
	p.Recv("< . 501:502(1) ack 1")
	p.Want(line("> . 1:1(0) ack 1 <nop,nop,sack 501:502 %s>", "9051:9052 9001:9002 8951:8952"))
}

// A retransmission with SACK blocks is no longer than the path takes. RFC 9293 §3.7.1, RFC 2018 §3.
func TestRetransmissionWithSACKFits(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(4000)
	p.Want("> P. 1:4001(4000) ack 1 cut 1000")
	p.Recv("< . 1001:2001(1000) ack 1")
	p.Want("> . 4001:4001(0) ack 1 <nop,nop,sack 1001:2001>")
	for _, to := range []int{2001, 3001, 4001} {
		p.Recv(line("< . 1:1(0) ack 1 <nop,nop,sack 1001:%d>", to))
	}
	p.Want("> . 1:989(988) ack 1 <nop,nop,sack 1001:2001>")
	p.Want("> . 989:1001(12) ack 1 <nop,nop,sack 1001:2001>")
	p.WantAt("1s", "> . 1:989(988) ack 1 <nop,nop,sack 1001:2001>")
	p.Abort()
	p.Drop()
}
