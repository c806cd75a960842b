package tcp_test

import (
	"bytes"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// pathMTU tells of a path that carries mss octets.
func pathMTU(p *tcptest.Conn, mss uint16) {
	p.Do("path MTU", func(now mono.Time, c *tcp.TCB) { c.PathMTU(now, 65535, mss) })
}

// What is on its way when the path turns out narrower is sent again in smaller segments, and that is no sign of congestion. RFC 1191 §6.5.
func TestR1191_6_5_Resegment(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(3500)
	p.Want("> . 1:3001(3000) ack 1 cut 1000")
	before := p.Info()
	p.At("100ms")
	pathMTU(p, 600)
	p.Want("> . 1:3001(3000) ack 1 cut 600")
	if i := p.Info(); i.Cwnd != before.Cwnd || i.SSThresh != before.SSThresh || i.RTO != before.RTO {
		t.Errorf("cwnd %d, ssthresh %d, RTO %v; before %d, %d, %v", i.Cwnd, i.SSThresh, i.RTO, before.Cwnd, before.SSThresh, before.RTO)
	}
	p.At("150ms")
	p.Recv("< . 1:1(0) ack 3001")
	p.Want("> P. 3001:3501(500) ack 1")
	if i := p.Info(); i.SRTT != before.SRTT {
		t.Errorf("a sample of what was sent twice: SRTT %v", i.SRTT)
	}
	p.Recv("< . 1:1(0) ack 3501")
	pathMTU(p, 800)
	p.WantNothing("nothing is on its way")
	p.Write(1600)
	p.Want("> P. 3501:5101(1600) ack 1 cut 800")
}

// The rest of the last chunk queued can be filled by the next write, and joins
// what is there; nobody else's bytes can.
func TestSpare(t *testing.T) {
	c, now := plainTCB(t)
	if _, ok := c.Spare(); ok {
		t.Error("an empty queue has room")
	}
	c.Queue(now, bytesView(10)[0])
	if _, ok := c.Spare(); ok {
		t.Error("bytes of the garbage collector have room")
	}
	var pool pkt.Pool
	k := pool.Chunk(pkt.Small)
	c.Queue(now, k.Ref(k.Bytes()[:100]))
	r, ok := c.Spare()
	if !ok || len(r.B) != pkt.Small-100 || &r.B[0] != &k.Bytes()[100] {
		t.Fatalf("the rest is %d bytes, %v", len(r.B), ok)
	}
	rest := r.Slice(0, 50)
	copy(rest.B, bytes.Repeat([]byte{7}, 50))
	c.Queue(now, rest)
	if r, ok = c.Spare(); !ok || len(r.B) != pkt.Small-150 {
		t.Errorf("the rest is %d bytes, %v", len(r.B), ok)
	}
	r.Release()
	if c.Queued() != 160 {
		t.Errorf("%d bytes are queued", c.Queued())
	}
	c.Abort(now)
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}

// What a call cannot take it gives back: SEND in a state that sends no more.
func TestQueueInOtherStates(t *testing.T) {
	for _, s := range []tcp.State{tcp.Closed, tcp.FinWait1, tcp.FinWait2, tcp.Closing, tcp.LastAck, tcp.TimeWait} {
		p := tcptest.In(t, s)
		var pool pkt.Pool
		for range 2 {
			k := pool.Chunk(10)
			p.TCB().Queue(0, k.Ref(k.Bytes()[:10]))
			k = pool.Chunk(10)
			p.TCB().SendUrgent(0, k.Ref(k.Bytes()[:10]))
		}
		if n, _ := pool.Outstanding(); n != 0 || p.TCB().Queued() != 0 || p.TCB().Room() != 0 {
			t.Errorf("%v: %d chunks are kept, room %d", s, n, p.TCB().Room())
		}
	}
}

// Peek leaves what it shows.
func TestPeek(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< P. 1:101(100) ack 1")
	p.Recv("< P. 101:201(100) ack 1")
	var a, b [150]byte
	if n := p.TCB().Peek(a[:]); n != 150 {
		t.Errorf("%d octets", n)
	}
	p.TCB().Peek(b[:])
	if a != b {
		t.Error("not the same twice")
	}
	p.Read(200)
	if n := p.TCB().Peek(a[:]); n != 0 {
		t.Errorf("%d octets of nothing", n)
	}
	p.Drop()
}

// Readable and Writable say when a call would not wait.
func TestReadiness(t *testing.T) {
	want := func(p *tcptest.Conn, readable, writable bool) {
		t.Helper()
		if c := p.TCB(); c.Readable() != readable || c.Writable() != writable {
			t.Errorf("%v: readable %v, writable %v; want %v, %v", p.State(), c.Readable(), c.Writable(), readable, writable)
		}
	}
	p := tcptest.SynSent(t, tcptest.Config(func(c *tcp.Config) { c.SendBuffer = 5000 }))
	want(p, false, false)
	p.Recv(p.SYNACK())
	p.Drop()
	want(p, false, true)
	p.Write(5000)
	p.Drop()
	want(p, false, false) // the buffer is full
	p.TCB().TakeEvents()
	p.Recv("< . 1:1(0) ack 1001")
	want(p, false, true)
	if p.TCB().TakeEvents()&tcp.EventWritable == 0 {
		t.Error("nobody is told of the room")
	}
	p.Recv("< P. 1:11(10) ack 1001")
	want(p, true, true)
	if p.TCB().TakeEvents()&tcp.EventReadable == 0 {
		t.Error("nobody is told of the data")
	}
	p.Read(10)
	want(p, false, true)
	p.Recv("< F. 11:11(0) ack 1001")
	want(p, true, true) // the end of the stream
	p.Shutdown()
	want(p, true, true) // a write fails at once
	p.Abort()
	p.Drop()
	want(p, true, true)
}
