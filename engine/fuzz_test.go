package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// fuzzer plays a peer that sends whatever its input says, to an Engine with
// connections in several states.
type fuzzer struct {
	t     *testing.T
	h     *Harness
	l     *Listener
	conns []*Conn
	peers []*peer
	u     *UDP
}

func newFuzzer(t *testing.T) *fuzzer {
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.ReceiveBuffer, cfg.SendBuffer = 20_000, 20_000
	f := &fuzzer{t: t, h: newTestHarness(t, HarnessConfig{Config: Config{TCP: cfg, Limits: Limits{HalfOpenPerListener: 3, TimeWait: 2, AcceptBacklog: 2, MemoryBytes: 1}}})}
	f.l = listen(t, f.h, "[::]:80")
	f.u = openUDP(t, f.h, "[::]:53", "")
	for i := range 3 {
		p, c := dialPeer(t, f.h, at(us4, uint16(5000+i)), at(them4, 80))
		f.peers, f.conns = append(f.peers, p), append(f.conns, c)
	}
	f.h.Shutdown(f.conns[1], false, true)
	mustDial(t, f.h, at(us4, 5003), at(them4, 80))
	return f
}

// segment sends a segment near the window of a connection, or to the listener.
func (f *fuzzer) segment(b [8]byte) {
	p := f.peers[int(b[0])%len(f.peers)]
	s := p.seg(wire.TCPFlags(b[1])|wire.TCPFlags(b[0]&1)<<8, string(make([]byte, int(b[2])*4)))
	s.SEQ += uint32(int8(b[3])) * 100
	s.ACK += uint32(int8(b[4])) * 100
	s.WND, s.UP = uint16(b[5])<<8, uint16(b[6])<<4
	switch b[7] % 8 {
	case 0:
		s.Dst, s.Src = at(us4, 80), at(them4, uint16(b[0]))
	case 1:
		s.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: uint32(b[5]), TSEcr: uint32(b[6])}
	case 2:
		s.Opts = wire.TCPOptions{Has: wire.HasSACK, NSACK: 1}
		s.Opts.SACK[0] = [2]uint32{s.ACK + uint32(b[5]), s.ACK + uint32(b[6])*100}
	case 3:
		s.Opts = wire.TCPOptions{Has: wire.HasMSS | wire.HasWScale, MSS: uint16(b[5]), WScale: b[6] % 15}
	case 4:
		s.Dst = at(us4, 5000+uint16(b[0]%5))
	}
	f.h.Inject(s.raw())
}

// call does what a program might do.
func (f *fuzzer) call(b [8]byte) {
	c := f.conns[int(b[0])%len(f.conns)]
	switch b[1] % 12 {
	case 0, 1, 2:
		f.h.Write(c, make([]byte, int(b[2])*16))
	case 3, 4:
		f.h.Read(c, make([]byte, int(b[2])*16))
	case 5:
		f.h.Shutdown(c, b[2]&1 != 0, b[2]&2 != 0)
	case 6:
		f.h.Close(c)
	case 7:
		f.h.Abort(c)
	case 8:
		f.h.SetOptions(c, Options{NoDelay: b[2]&1 != 0, KeepAlive: b[2]&2 != 0, KeepIdle: time.Second, UserTimeout: time.Duration(b[3]) * time.Second})
	case 9:
		if c, err := f.h.Dial(DialConfig{Remote: at(them4, 80)}); err == nil {
			f.conns = append(f.conns, c)
		}
	case 10:
		if c := f.h.Accept(f.l); c != nil {
			f.conns = append(f.conns, c)
		}
	case 11:
		f.h.WriteUrgent(c, make([]byte, 1+int(b[2])))
	}
}

// reflect sends back something that was sent, with source and destination
// exchanged, or as the quote of an ICMP error.
func (f *fuzzer) reflect(b [8]byte, sent []SentPacket) {
	if len(sent) == 0 {
		return
	}
	raw := sent[int(b[0])%len(sent)].Raw
	if b[1]&1 != 0 && raw[0]>>4 == 4 && len(raw) >= 28 {
		f.h.Inject(icmp4(b[2]%16, b[3]%16, uint32(b[4])<<4, raw))
		return
	}
	if q := parseIP(raw); q.Proto == wire.ProtoTCP && q.Src != q.Dst {
		s := parseTCP(f.t, raw)
		s.Src, s.Dst, s.SEQ, s.ACK = s.Dst, s.Src, s.ACK, s.SEQ+uint32(len(s.Data))
		s.Flags |= wire.TCPFlags(b[2])
		f.h.Inject(s.raw())
	}
}

// run does what the input says, eight bytes at a time, at most 400 times.
func (f *fuzzer) run(input []byte) {
	sent := f.h.Sent()
	for n := 0; len(input) >= 9 && n < 400; n++ {
		op, b := input[0], [8]byte(input[1:9])
		input = input[9:]
		switch op % 8 {
		case 0, 1, 2:
			f.segment(b)
		case 3, 4:
			f.call(b)
		case 5:
			f.h.Advance(time.Duration(b[0]) * time.Duration(b[1]) * 10 * time.Millisecond)
		case 6:
			f.reflect(b, sent)
		case 7: // anything at all
			k := min(int(b[0])+1, len(input))
			f.h.Inject(input[:k])
			f.h.Inject(ipPacket(them4, us4, b[1], b[2], b[3], input[:k]))
			f.h.Inject(ipPacket(them6, us6, b[1], b[2], b[3], input[:k]))
			input = input[k:]
		}
		if s := f.h.Sent(); len(s) > 0 {
			sent = s
		}
		f.check()
	}
}

// check looks at what must always hold.
func (f *fuzzer) check() {
	f.t.Helper()
	if err := f.h.Err(); err != nil {
		f.t.Fatal(err)
	}
	f.h.E.EachConn(func(c *Conn) bool {
		if err := c.Check(f.h.Now()); err != nil {
			f.t.Fatalf("%v: %v", c.RemoteAddr(), err)
		}
		return true
	})
	f.h.Advance(0) // an option may have moved a deadline into the past
	if d := f.h.E.Deadline(); d.Due(f.h.Now()) {
		f.t.Fatalf("the deadline %v is still there at %v", d, f.h.Now())
	}
}

// end closes everything and sees that nothing is left.
func (f *fuzzer) end() {
	f.u.Close()
	f.h.CloseListener(f.l)
	for _, c := range f.conns {
		f.h.Abort(c)
	}
	f.h.Ready()
	f.h.Advance(5 * time.Minute)
	if s := f.h.Stats(); s.Connections+s.HalfOpen+s.TimeWait != 0 {
		f.t.Errorf("%d connections, %d half-open, %d in TIME-WAIT are left", s.Connections, s.HalfOpen, s.TimeWait)
	}
	if chunks, packets := f.h.E.Pool().Outstanding(); chunks != 0 || packets != 0 {
		f.t.Errorf("%d chunks and %d packets are left", chunks, packets)
	}
	if d := f.h.E.Deadline(); d != 0 {
		f.t.Errorf("a deadline is left: %v", d)
	}
}

// FuzzEngine: whatever peers send and programs call in whatever order, every
// packet sent is well formed, every TCB is consistent, and in the end nothing
// is left.
func FuzzEngine(f *testing.F) {
	r := newTestRand(42)
	for range 30 {
		f.Add(r.bytes(1800))
	}
	f.Add([]byte{3, 0, 0, 200, 0, 0, 0, 0, 0, 6, 0, 1, 3, 4, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		z := newFuzzer(t)
		z.run(input)
		z.end()
	})
}

// Two Engines over a wire that loses, doubles and reorders still deliver every
// byte once and in order, and end in CLOSED.
func TestTwoEnginesOverABadWire(t *testing.T) {
	for seed := range uint64(20) {
		r := newTestRand(seed)
		a := newTestHarness(t, HarnessConfig{Config: Config{Secret: [16]byte{byte(seed)}}})
		b := newTestHarness(t, HarnessConfig{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
		l := listen(t, b, "10.0.0.2:80")
		c := mustDial(t, a, netip.AddrPort{}, at(them4, 80))
		data := r.bytes(60_000)
		var d *Conn
		var got []byte
		closed := false
		buf := make([]byte, 5000)
		for round := 0; round < 100_000 && (a.State(c) != tcp.Closed || d == nil || b.State(d) != tcp.Closed); round++ {
			data = data[a.Write(c, data):]
			if len(data) == 0 && !closed && c.State() >= tcp.Established {
				closed = true
				a.Shutdown(c, false, true)
			}
			carry(r, a, b)
			carry(r, b, a)
			if d == nil {
				d = b.Accept(l)
			}
			if d != nil {
				n, eof := b.Read(d, buf[:1+r.IntN(len(buf)-1)])
				got = append(got, buf[:n]...)
				if eof && d.State() == tcp.CloseWait {
					b.Shutdown(d, false, true)
				}
			}
			a.Advance(10 * time.Millisecond)
			b.Advance(10 * time.Millisecond)
		}
		want := newTestRand(seed).bytes(60_000)
		if string(got) != string(want) || d == nil || b.State(d) != tcp.Closed || a.State(c) != tcp.Closed {
			t.Errorf("seed %d: %d of %d bytes arrived; %v, %+v", seed, len(got), len(want), a.State(c), a.Info(c))
		}
	}
}

// carry takes what one side sent to the other: a tenth is lost, a tenth comes
// twice, a fifth late.
func carry(r testRand, from, to *Harness) {
	sent := from.Sent()
	for i := range sent {
		if r.IntN(5) == 0 && i+1 < len(sent) {
			sent[i], sent[i+1] = sent[i+1], sent[i]
		}
	}
	for _, s := range sent {
		for n := [10]int{0, 2, 1, 1, 1, 1, 1, 1, 1, 1}[r.IntN(10)]; n > 0; n-- {
			to.Inject(s.Raw)
		}
	}
}
