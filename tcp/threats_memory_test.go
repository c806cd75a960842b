package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
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

// T-RES-06: octets at every second offset fill what may be kept out of order,
// and a hundred thousand more change nothing about it: as many ranges as the
// charge lets be, which a search by halves looks through in thirteen steps.
func TestSegmentSmack(t *testing.T) {
	const size = 6 << 20
	const most = 2*size/pkt.Small + 1 // each octet pins a chunk
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.ReceiveBuffer, cfg.NoTimestamps = size, true
	c, now := openTCB(t, cfg, &wire.TCPOptions{MSS: 1460, WScale: 7, Has: wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted})
	rnd := newRand(6)
	nxt := space(c).RcvNXT
	var pool pkt.Pool
	var seg tcp.Segment
	for i := range 110_000 {
		off := 2 * (1 + i)
		if i > 10_000 {
			off = 2 * (1 + rnd.IntN(30_000))
		}
		r := pool.Chunk(1)
		c.Arrive(now, &tcp.Segment{SEQ: nxt.Add(off), ACK: space(c).UNA, WND: 1000, Flags: wire.FlagACK,
			Data: pkt.View{r.Ref(r.Bytes()[:1])}})
		for c.Emit(now, &seg, 65000) {
			continue
		}
		var info tcp.Info
		if c.Info(&info); i%1000 == 999 {
			if info.OutOfOrder > most || space(c).Charged > 2*size+pkt.Small {
				t.Fatalf("after %d segments: %d octets out of order, %d charged", i+1, info.OutOfOrder, space(c).Charged)
			}
			if n, _ := pool.Outstanding(); n > most {
				t.Fatalf("after %d segments: %d chunks", i+1, n)
			}
		}
	}
	c.Abort(now)
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}

// One segment out of order into a queue that is full of ranges, and one in
// order as the benign case beside it.
func BenchmarkSegmentSmack(b *testing.B) {
	for name, step := range map[string]int{"hostile": 2, "benign": 1} {
		b.Run(name, func(b *testing.B) {
			cfg := tcp.DefaultConfig(tcp.ProfileLinux)
			cfg.NoTimestamps = true
			c, now := openTCB(b, cfg, &wire.TCPOptions{MSS: 1460, WScale: 7, Has: wire.HasMSS | wire.HasWScale})
			nxt := space(c).RcvNXT
			var pool pkt.Pool
			var seg tcp.Segment
			var refs [8]pkt.Ref
			i := 0
			for b.Loop() {
				off := i
				if step == 2 {
					off = 2 + 2*(i*7919%10_000)
				}
				i++
				r := pool.Chunk(1)
				c.Arrive(now, &tcp.Segment{SEQ: nxt.Add(off), ACK: space(c).UNA, WND: 1000, Flags: wire.FlagACK,
					Data: pkt.View{r.Ref(r.Bytes()[:1])}})
				for c.Emit(now, &seg, 65000) {
					continue
				}
				for _, r := range refs[:c.Take(1<<20, refs[:])] {
					r.Release()
				}
				c.Consumed()
			}
		})
	}
}
