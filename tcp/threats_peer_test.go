package tcp_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// T-PAR-04: in every state, any urgent pointer with any length and window
// leaves the stream as it is: the conversation checks each octet that is read.
func TestUrgentPointersInEveryState(t *testing.T) {
	const n = 20
	for s := tcp.Closed; s < tcp.NumStates; s++ {
		for _, up := range []uint16{0, 1, n - 1, n, n + 1, 65535} {
			for _, room := range []uint32{0, 1, 65535} {
				for _, off := range []uint32{0, 1, 1<<32 - 1, 5} {
					t.Run(fmt.Sprintf("%v up %d room %d off %d", s, up, room, off), func(t *testing.T) {
						urgentPointer(t, s, up, room, off, n)
					})
				}
			}
		}
	}
}

func urgentPointer(t *testing.T, s tcp.State, up uint16, room, off, n uint32) {
	p := tcptest.In(t, s, tcptest.ReceiveBuffer(max(room, 1)))
	at := p.RcvNXT()
	if s < tcp.SynReceived {
		at = 1
	}
	canRead := s == tcp.Established || s == tcp.FinWait1 || s == tcp.FinWait2
	if room == 0 && canRead { // fill the one octet
		p.Recv(line("< P. 1:2(1) ack %d", p.SndNXT()))
		at++
	}
	for _, flags := range []string{"P.U", "SP.U", "FP.U", "P.U", ".U"} {
		length, seq := n, at+off
		switch {
		case flags == ".U":
			length = 0
		case flags == "SP.U" && s == tcp.SynSent:
			seq = 0 // this one opens the connection: the numbers begin with it
		}
		p.Recv(line("< %s %d:%d(%d) ack %d urg %d", flags, seq, seq+length, length, p.SndNXT(), up))
	}
	p.Recv(line("< P. %d:%d(%d) ack %d", at, at+n, n, p.SndNXT()))
	p.Recv(line("< P.U %d:%d(%d) ack %d urg %d", at+2, at+n, n-2, p.SndNXT(), up)) // it moves about
	for p.TCB().Buffered() > 0 {
		if m, ok := p.TCB().Urgent(); ok && (m <= 0 || m > 3*65535) {
			t.Errorf("%d octets are urgent", m)
		}
		p.Read(1)
	}
	p.Drop()
}

// New applications are advised against urgent data where it is sent. RFC 9293 §3.8.5, §3.9.1.2.
func TestR9293_S13_UrgentDiscouraged(t *testing.T) {
	src, err := os.ReadFile("calls.go")
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(src), "\nfunc (c *TCB) SendUrgent(")
	if !found {
		t.Fatal("there is no SendUrgent")
	}
	doc := before[strings.LastIndex(before, "\n\n"):]
	if !strings.Contains(doc, "New applications should not use urgent") {
		t.Errorf("the doc comment of SendUrgent says:%s", doc)
	}
}

// T-BLD-11: two ends that disagree by a megabyte about the numbers do not
// answer each other for ever.
func TestDesynchronisedEndsDoNotStorm(t *testing.T) {
	cfg := tcp.DefaultConfig(tcp.ProfileRFC)
	cfg.NoTimestamps, cfg.NoSACK, cfg.NoWindowScale = true, true, true
	for _, c := range []struct{ a, b uint32 }{{1 << 20, 0}, {0, 1 << 20}, {1 << 20, 1 << 20}, {1 << 31, 5}} {
		a, now := openTCB(t, cfg, &wire.TCPOptions{MSS: 1460, Has: wire.HasMSS})
		b, _ := openTCB(t, cfg, &wire.TCPOptions{MSS: 1460, Has: wire.HasMSS})
		va, vb := space(a), space(b)
		var seg tcp.Segment
		a.Queue(now, bytesView(3000)[0])
		b.Queue(now, bytesView(3000)[0])
		packets := 0
		carry := func(from, to *tcp.TCB, fv, tv *tcp.Space, skew uint32) {
			for from.Emit(now, &seg, 1460) {
				packets++
				// In the other's numbers, but for the disagreement.
				seg.SEQ += tv.RcvNXT - fv.MAX + tcp.Seq(skew)
				seg.ACK += tv.MAX - fv.RcvNXT + tcp.Seq(skew)
				to.Arrive(now, &seg)
				if packets > 1_000_000 {
					t.Fatalf("off by %d and %d: a storm", c.a, c.b)
				}
			}
		}
		for ms := range 20_000 {
			a.Advance(now)
			b.Advance(now)
			carry(a, b, &va, &vb, c.a)
			carry(b, a, &vb, &va, c.b)
			now = now.Add(time.Millisecond)
			if ms == 1000 {
				packets = 0
			}
		}
		if packets > 4*19 {
			t.Errorf("off by %d and %d: %d packets in 19 s", c.a, c.b, packets)
		}
	}
}

// T-RES-05: with the smallest MSS and a buffer of 16 MB, ACKs for a few octets
// at a time, with blocks that cut everything to pieces, cost no memory: the send
// queue keeps the pieces that were written.
func TestSmallestMSSAndHostileSACK(t *testing.T) {
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.SendBuffer = 16 << 20
	c, now := openTCB(t, cfg, &wire.TCPOptions{MSS: 1, WScale: 14, TSVal: 1,
		Has: wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted | wire.HasTimestamps})
	var i tcp.Info
	if c.Info(&i); i.SendMSS != 48-12 {
		t.Errorf("Eff.snd.MSS is %d", i.SendMSS)
	}
	rnd := newRand(5)
	v := space(c)
	var pool pkt.Pool
	for range 256 {
		r := pool.Chunk(pkt.Large)
		c.Queue(now, r.Ref(r.Bytes()))
	}
	var seg tcp.Segment
	for range 200_000 {
		if c.Emit(now, &seg, 65000) {
			seg.Data.Release()
		}
		s := space(c)
		in := tcp.Segment{SEQ: v.RcvNXT, ACK: s.UNA, WND: 65535, Flags: wire.FlagACK}
		if rnd.IntN(2) == 0 {
			in.ACK += tcp.Seq(min(7, s.MAX.Sub(s.UNA)))
		}
		in.Opts = wire.TCPOptions{Has: wire.HasTimestamps | wire.HasSACK, TSVal: 1, NSACK: 3}
		for k := range in.Opts.SACK[:3] {
			left := uint32(s.UNA) + rnd.Uint32()>>rnd.IntN(32)
			in.Opts.SACK[k] = [2]uint32{left, left + rnd.Uint32()>>rnd.IntN(32)}
		}
		c.Arrive(now, &in)
		now = now.Add(time.Microsecond)
		c.Advance(now)
	}
	if n, _ := pool.Outstanding(); n > 257 {
		t.Errorf("%d chunks for 256 pieces", n)
	}
	c.Abort(now)
	for c.Emit(now, &seg, 65000) {
		continue
	}
	if n, _ := pool.Outstanding(); n != 0 {
		t.Errorf("%d chunks leaked", n)
	}
}

// T-RES-07: blocks that are reversed, empty, outside or of the peer's own
// duplicates change nothing that is sent.
func TestHostileSACKChangesNothing(t *testing.T) {
	for _, blocks := range []string{"2001:1001", "1001:1001", "90001:91001", "4294960000:4294961000", "1:4001", "0:1",
		"1001:2001 1001:2001 1001:2001 1001:2001", "2001:3001 1001:4001 1:2 3000:3001", "1:4294967295"} {
		p := tcptest.Established(t)
		p.Write(4000)
		p.Drop()
		for range 50 {
			p.Recv("< . 1:1(0) ack 1 <nop,nop,sack " + blocks + ">")
		}
		p.Drop()
		if n := p.TCB().Queued(); n != 4000 {
			t.Errorf("%s: %d octets are queued", blocks, n)
		}
		p.Recv("< . 1:1(0) ack 1001")
		p.Drop()
		p.Advance("3s")
		if p.Drop() == 0 {
			t.Errorf("%s: what was not acknowledged is not sent again", blocks)
		}
		p.Recv("< . 1:1(0) ack 4001")
		p.WantDeadline("none")
	}
}
