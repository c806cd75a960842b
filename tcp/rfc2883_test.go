package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
)

// The first block reports what came twice, with exact edges, and one segment only does so. RFC 2883 §4.
func TestR2883_4a_OnceWithExactEdges(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:2001(2000) ack 1")
	p.Drop()
	p.Recv("< . 501:1501(1000) ack 1") // all of it is old
	p.Want("> . 1:1(0) ack 2001 <nop,nop,sack 501:1501>")
	p.Recv("< . 0:0(0) ack 1") // asks for an ACK, and brings nothing
	p.Want("> . 1:1(0) ack 2001 <>")
	p.Recv("< . 1501:2501(1000) ack 1") // half of it is old
	p.WantAt("200ms", "> . 1:1(0) ack 2501 <nop,nop,sack 1501:2001>")
	p.Recv("< F. 2501:2501(0) ack 1")
	p.Want("> . 1:1(0) ack 2502 <>")
	p.Recv("< F. 2501:2501(0) ack 1") // a FIN takes a number, so it can come twice
	p.Want("> . 1:1(0) ack 2502 <nop,nop,sack 2501:2502>")
}

// Of a duplicate above RCV.NXT the second block is the one that it lies in. RFC 2883 §4.
func TestR2883_4b_AboveCumulativeACK(t *testing.T) {
	p := tcptest.Established(t)
	p.RecvBatch("< . 1001:2001(1000) ack 1", "< . 5001:7001(2000) ack 1", "< . 3001:4001(1000) ack 1")
	p.Drop()
	p.Recv("< . 5501:6001(500) ack 1")
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 5501:6001 5001:7001 3001:4001 1001:2001>")
	p.Recv("< . 1:1(0) ack 1 win 7") // no reason to say anything
	p.WantNothing("the duplicate was reported")
	p.Recv("< . 501:1501(1000) ack 1") // its second half is known
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 1001:1501 501:2001 5001:7001 3001:4001>")
	p.Recv("< . 1501:3501(2000) ack 1") // of two runs that are known, the first
	p.Want("> . 1:1(0) ack 1 <nop,nop,sack 1501:2001 501:4001 5001:7001>")
	p.Recv("< . 1:1001(1000) ack 1") // fills the gap, and comes in part for the second time
	p.Want("> . 1:1(0) ack 4001 <nop,nop,sack 501:1001 5001:7001>")
	p.Recv("< . 4001:5001(1000) ack 1")
	p.Want("> . 1:1(0) ack 7001 <>")
}

// What PAWS refuses is reported as well. RFC 2883 §4.3.
func TestR2883_4_3_AfterPAWS(t *testing.T) {
	p := tcptest.Established(t, tcptest.Timestamps)
	p.At("100ms")
	p.Recv("< . 1:1001(1000) ack 1")
	p.WantAt("300ms", "> . 1:1(0) ack 1001 <nop,nop,TS val 1300 ecr 100100>")
	p.Recv("< . 1:501(500) ack 1 <nop,nop,TS val 100050 ecr 1000>")
	p.Want("> . 1:1(0) ack 1001 <nop,nop,TS val 1300 ecr 100100,nop,nop,sack 1:501>")
}

// Who did not offer SACK learns nothing of duplicates. RFC 2018 §4.
func TestNoDuplicateBlockWithoutSACK(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Recv("< . 1:1001(1000) ack 1")
	p.Drop()
	p.Recv("< . 1:1001(1000) ack 1")
	p.Want("> . 1:1(0) ack 1001 <>")
}

// Of segments that come again in one batch, the ACK for all of them reports all.
func TestDuplicatesOfABatchAreOneBlock(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:3001(3000) ack 1")
	p.Drop()
	p.RecvBatch("< . 1:1001(1000) ack 1", "< . 1001:2001(1000) ack 1")
	p.Want("> . 1:1(0) ack 3001 <nop,nop,sack 1:2001>")
}
