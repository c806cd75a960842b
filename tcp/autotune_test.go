package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

func likeLinux(opts ...tcptest.Option) []tcptest.Option {
	return append([]tcptest.Option{tcptest.Profile(tcp.ProfileLinux), tcptest.MSS(1460), tcptest.Timestamps,
		tcptest.Wscale(tcp.AutoWindowScale)}, opts...)
}

// longPath is a path of 100 ms without timestamps.
func longPath(opts ...tcptest.Option) []tcptest.Option {
	return append([]tcptest.Option{tcptest.Profile(tcp.ProfileLinux), tcptest.MSS(1460), tcptest.RTT(100e6),
		tcptest.Wscale(tcp.AutoWindowScale)}, opts...)
}

// What a SYN, a SYN-ACK and the first ACK offer is what Linux offers, in whole
// segments: with timestamps, a segment of ours is twelve octets shorter.
func TestFirstWindows(t *testing.T) {
	p := tcptest.Closed(t, likeLinux()...)
	p.Open()
	p.Want("> S 0:0(0) win 64240 <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 10>")
	p.Recv("< S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100000 ecr 1000,nop,wscale 10>")
	p.Want("> . 1:1(0) ack 1 win 63") // 64,240 in units of 1,024, rounded up
	p = tcptest.Listen(t, likeLinux()...)
	p.Recv("< S 0:0(0) win 64240 <mss 1460,sackOK,TS val 100000 ecr 0,nop,wscale 10>")
	p.Want("> S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 1000 ecr 100000,nop,wscale 10>")
	p.Recv("< . 70000:70000(0) ack 1") // unacceptable
	p.Want("> . 1:1(0) ack 1 win 64")  // no less than the SYN-ACK: RFC 7323 §2.4
	p = tcptest.Listen(t, likeLinux()...)
	p.Recv("< S 0:0(0) win 64240 <mss 1460,sackOK,nop,wscale 10>")
	p.Want("> S. 0:0(0) ack 1 win 64240 <mss 1460,nop,nop,sackOK,nop,wscale 10>")
}

// The window scale follows from the largest receive buffer, as Linux' does.
func TestAutoWindowScale(t *testing.T) {
	for most, scale := range map[uint32]string{65536: "1", 212992: "2", 6291456: "7", 32 << 20: "10", 1 << 30: "12"} { // at least 16 units in the first buffer
		p := tcptest.Closed(t, likeLinux(tcptest.Config(func(c *tcp.Config) { c.MaxReceiveBuffer = most }))...)
		p.Open()
		p.Want("> S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale " + scale + ">")
	}
}

// A buffer that the program set does not grow, and one that it did not set does,
// by what the program takes.
func TestReceiveBufferGrows(t *testing.T) {
	for _, c := range []struct {
		set, read bool
		most      uint32
		want      func(size uint32) bool
	}{
		{false, true, 32 << 20, func(size uint32) bool { return size >= 400_000 && size <= 32<<20 }},
		{false, true, 200_000, func(size uint32) bool { return size == 200_000 }},
		{false, true, 0, func(size uint32) bool { return size == 65536 }},
		{false, false, 32 << 20, func(size uint32) bool { return size == 65536 }},
		{true, true, 32 << 20, func(size uint32) bool { return size == 100_000 }},
	} {
		p := tcptest.Established(t, longPath(tcptest.Config(func(cfg *tcp.Config) { cfg.MaxReceiveBuffer = c.most }))...)
		if c.set {
			p.Do("set", func(_ mono.Time, tcb *tcp.TCB) { tcb.SetBuffers(0, 100_000) })
		}
		// The sender doubles its window in every round trip of 100 ms.
		at, edge := 1, 0
		for burst := 10; burst <= 160; burst *= 2 {
			for range burst {
				if i := p.Info(); int(i.ReceiveWindow) < 1460 {
					break
				}
				p.Recv(line("< . %d:%d(1460) ack 1", at, at+1460))
				at += 1460
				p.Drop()
				if c.read {
					p.Read(1460)
					p.Drop()
				}
				if e := at + int(p.Info().ReceiveWindow); e < edge {
					t.Fatalf("%+v: the right edge went from %d to %d", c, edge, e)
				} else {
					edge = e
				}
			}
			p.Advance("100ms")
			p.Drop()
		}
		if i := p.Info(); !c.want(i.ReceiveBuffer) {
			t.Errorf("%+v: %d bytes after %d octets", c, i.ReceiveBuffer, at-1)
		}
		p.Abort()
		p.Drop()
	}
}

// The send buffer is twice cwnd, unless the program has set it.
func TestSendBufferGrows(t *testing.T) {
	for _, set := range []bool{false, true} {
		p := tcptest.Established(t, longPath(tcptest.Window(60000),
			tcptest.Config(func(c *tcp.Config) { c.NoPacing = true }))...)
		if set {
			p.Do("set", func(_ mono.Time, c *tcp.TCB) { c.SetBuffers(65536, 0) })
		}
		acked := 1
		for range 6 {
			for p.TCB().Room() > 0 {
				p.Write(min(p.TCB().Room(), 60_000))
				p.Drop()
			}
			p.Advance("100ms")
			for acked+1460 <= int(p.SndNXT()) {
				acked += 1460
				p.Recv(line("< . 1:1(0) ack %d", acked))
				p.Drop()
			}
		}
		i := p.Info()
		if want := min(2*i.Cwnd, 32<<20); set && i.SendBuffer != 65536 || !set && (i.SendBuffer != want || want < 200_000) {
			t.Errorf("set %v: %d bytes with cwnd %d", set, i.SendBuffer, i.Cwnd)
		}
		p.Abort()
		p.Drop()
	}
}

// What may be queued unsent is bounded by itself, and the program is told when
// it may go on.
func TestNotSentLowat(t *testing.T) {
	p := tcptest.Established(t, tcptest.Window(3000), tcptest.Config(func(c *tcp.Config) { c.NotSentLowat = 4000 }))
	if n := p.TCB().Room(); n != 4000 {
		t.Fatalf("room for %d octets", n)
	}
	p.Write(4000)
	p.Drop() // the window took 3000 of them
	if n := p.TCB().Room(); n != 3000 {
		t.Errorf("room for %d octets with 1000 unsent", n)
	}
	p.Write(3000)
	p.TCB().TakeEvents()
	if p.TCB().Writable() {
		t.Error("writable with 4000 unsent")
	}
	p.Recv("< . 1:1(0) ack 3001 win 3000")
	p.Drop()
	if e := p.TCB().TakeEvents(); e&tcp.EventWritable == 0 || !p.TCB().Writable() || p.TCB().Room() != 3000 {
		t.Errorf("events %b, room for %d octets", e, p.TCB().Room())
	}
	p.Do("no bound", func(_ mono.Time, c *tcp.TCB) { c.SetNotSentLowat(0) })
	if n := p.TCB().Room(); n != 2<<20-4000 {
		t.Errorf("room for %d octets without a bound", n)
	}
	p.Abort()
	p.Drop()
}

// A bulk sender that was silent for long begins anew from a small window, and
// each segment is acknowledged at once again; in a dialogue ACKs go on waiting
// for answers.
func TestQuickACKsAfterAPause(t *testing.T) {
	p := tcptest.Established(t, likeLinux()...)
	at := 1
	segment := func() {
		p.Recv(line("< . %d:%d(1448) ack 1", at, at+1448))
		at += 1448
	}
	for range 16 {
		segment()
		p.Want(line("> . 1:1(0) ack %d", at))
	}
	segment()
	p.WantNothing("the second segment would be acknowledged, or the time")
	p.Advance("5s")
	p.Drop()
	segment()
	p.Want(line("> . 1:1(0) ack %d", at))
}

// What was not read can be given back also when the connection has ended.
func TestShutdownReadAfterTheEnd(t *testing.T) {
	p := tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux))
	p.Recv("< P. 1:101(100) ack 1")
	p.Drop()
	p.Recv("< R. 101:101(0) ack 1")
	if n := p.TCB().Buffered(); n != 100 {
		t.Fatalf("%d octets can be read", n)
	}
	p.Do("shutdown", func(now mono.Time, c *tcp.TCB) { c.Shutdown(now, true, false) })
	if n := p.TCB().Held(); n != 0 || !p.TCB().EOF() {
		t.Errorf("%d bytes are kept alive", n)
	}
}

// Small segments that arrive out of order into a small buffer stay, until the
// gap is filled.
func TestTinySegmentsOutOfOrderIntoASmallBuffer(t *testing.T) {
	p := tcptest.Established(t, tcptest.ReceiveBuffer(20_000))
	for n := 11; n < 1511; n += 15 {
		p.Recv(line("< . %d:%d(10) ack 1", n, n+10))
	}
	p.Drop()
	if i := p.Info(); i.OutOfOrder != 1000 {
		t.Fatalf("%d of 1000 octets are kept", i.OutOfOrder)
	}
	if c := charged(p); c > 2*20_000+2048 {
		t.Errorf("%d bytes are charged", c)
	}
	p.Recv("< . 1:1511(1510) ack 1")
	p.WantUnread(1510)
	p.Drop()
}
