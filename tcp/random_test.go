package tcp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// chaos drives one TCB by calls, segments and time that make no sense together.
// Each decision comes from one byte of a script, so that a fuzzer can search.
type chaos struct {
	t      testing.TB
	c      TCB
	cfg    *Config
	pool   pkt.Pool
	now    mono.Time
	script []byte
	pos    int
	edge   Seq
	was    State
	log    []string
}

func (x *chaos) byte() int {
	if x.pos >= len(x.script) {
		return 0
	}
	x.pos++
	return int(x.script[x.pos-1])
}

func (x *chaos) note(format string, args ...any) {
	if len(x.log) > 40 {
		x.log = x.log[20:]
	}
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

func (x *chaos) fatalf(format string, args ...any) {
	x.t.Helper()
	text := ""
	for _, l := range x.log {
		text += "\n" + l
	}
	x.t.Fatalf("%s\nbyte %d of the script; the last steps:%s", fmt.Sprintf(format, args...), x.pos, text)
}

// near returns a number around a base: most mistakes are made by one.
func (x *chaos) near(base Seq) Seq {
	switch b := x.byte(); {
	case b < 100:
		return base
	case b < 200:
		return base + Seq(b) - 150
	case b < 240:
		return base + Seq(x.byte()-128)*700
	default:
		return base + Seq(x.byte())<<24
	}
}

func (x *chaos) payload(n int) pkt.View {
	if n == 0 {
		return pkt.View{}
	}
	k := x.pool.Chunk(n)
	return pkt.View{k.Ref(k.Bytes()[:n])}
}

func (x *chaos) segment() {
	c := &x.c
	s := Segment{SEQ: x.near(c.rcv.NXT), WND: uint16(x.byte() << (x.byte() % 9)), Segs: 1}
	s.ACK = x.near([]Seq{c.snd.UNA, c.snd.NXT, c.snd.MAX, c.snd.MAX}[x.byte()%4])
	s.Flags = []wire.TCPFlags{wire.FlagACK, wire.FlagACK, wire.FlagACK, wire.FlagACK | wire.FlagPSH, wire.FlagACK | wire.FlagFIN,
		wire.FlagACK | wire.FlagURG, wire.FlagSYN, wire.FlagSYN | wire.FlagACK, wire.FlagRST, wire.FlagRST | wire.FlagACK,
		wire.FlagFIN, 0}[x.byte()%12]
	if s.Flags&wire.FlagRST != 0 && x.byte() < 250 {
		s.SEQ++ // a connection that is reset at once teaches little
	}
	if s.Flags&wire.FlagURG != 0 {
		s.UP = uint16(x.byte())
	}
	if c.state == SynSent {
		s.Opts = wire.TCPOptions{MSS: uint16(x.byte() * 8), WScale: uint8(x.byte() % 16), TSVal: 1000,
			Has: wire.OptionSet(x.byte()) & (wire.HasMSS | wire.HasWScale | wire.HasTimestamps | wire.HasSACKPermitted)}
		if x.byte() < 200 { // on with it
			s.Flags, s.ACK = wire.FlagSYN|wire.FlagACK, c.snd.MAX
		}
	} else if c.has(fTimestamps) && x.byte() < 250 {
		s.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: c.tsRecent + uint32(x.byte()%4) - uint32(x.byte()/250),
			TSEcr: c.tsNow(x.now) - uint32(x.byte())}
	}
	if b := x.byte(); b < 60 {
		s.Opts.Has |= wire.HasSACK
		s.Opts.NSACK = uint8(1 + b%3)
		for i := range s.Opts.SACK[:s.Opts.NSACK] {
			s.Opts.SACK[i] = [2]uint32{uint32(x.near(c.snd.UNA)), uint32(x.near(c.snd.MAX))}
		}
	}
	s.Data = x.payload([]int{0, 0, 1, 10, 536, 1460, 1460, 4000}[x.byte()%8])
	x.note("%v arrives: %v, %d of data", c.state, &s, s.Data.Len())
	c.Arrive(x.now, &s)
}

func (x *chaos) call() {
	c := &x.c
	switch b := x.byte() % 16; b {
	case 0, 1, 2, 3, 4:
		n := []int{1, 100, 1460, 5000, 30_000}[b]
		if c.Room() >= n {
			c.Queue(x.now, x.payload(n)[0])
		}
	case 5, 6, 7, 8:
		var refs [4]pkt.Ref
		for _, r := range refs[:c.Take(1<<(4*uint(b-5)), refs[:])] {
			r.Release()
		}
		c.Consumed()
	case 9:
		c.SendUrgent(x.now, x.payload(1 + x.byte())[0])
	case 10:
		c.SetNoDelay(x.byte()%2 == 0)
	case 11:
		x.path()
	case 12:
		c.SetKeepalive(x.now, x.byte()%2 == 0, time.Duration(x.byte())*time.Second, time.Second, 3)
	case 13:
		if x.byte() < 30 {
			c.Shutdown(x.now, x.byte() < 60, true)
		}
	case 14:
		if x.byte() < 5 {
			c.Close(x.now)
		}
	case 15:
		c.ICMPError(x.now, ReasonUnreachable, x.byte()%2 == 0, x.near(c.snd.UNA))
	}
}

// path is what is heard of the path, and from whom.
func (x *chaos) path() {
	c, size := &x.c, uint16(20+x.byte()*6)
	switch b := x.byte() % 8; b {
	case 0, 1:
		c.PathMTU(x.now, uint16(20+x.byte()*37), size)
	case 2, 3, 4:
		if seq := x.near(c.snd.UNA); c.Outstanding(seq) {
			c.PacketTooBig(x.now, seq, size, 512)
		}
	case 5:
		c.PathFound(size, x.now.Add(time.Duration(x.byte())*time.Second))
	case 6:
		c.PathLost(x.now)
	case 7:
		c.TakeTooBig()
		c.SearchResult()
	}
}

// step does one thing, and demands afterwards what must always hold.
func (x *chaos) step() {
	switch b := x.byte(); {
	case b < 130:
		x.segment()
	case b < 200:
		x.call()
	case b < 240:
		x.now = x.now.Add(time.Duration(x.byte()) * time.Millisecond)
	default: // to the next deadline
		if d := x.c.Deadline(); d > x.now {
			x.now = d
		}
	}
	x.c.Advance(x.now)
	var s Segment
	for i := 0; x.c.Emit(x.now, &s, 65000); i++ {
		if n := s.size(s.Data.Len()); s.Flags&(wire.FlagSYN|wire.FlagRST) == 0 && n > max(x.c.snd.MSS, 41) && (s.MSSCut > 0 || x.c.path == nil || n != x.c.path.probe) {
			x.fatalf("%v is too large for MSS %d", &s, x.c.snd.MSS)
		}
		s.Data.Release()
		if i > 5000 {
			x.fatalf("%v: there is no end of segments", x.c.state)
		}
	}
	if err := x.c.Check(x.now); err != nil {
		x.fatalf("%v", err)
	}
	if d := x.c.Deadline(); d != 0 && d <= x.now {
		x.fatalf("a deadline lies %v behind", x.now.Sub(d))
	}
	var sp Space
	x.c.Space(&sp)
	switch {
	case x.was >= SynReceived && sp.Edge.Less(x.edge):
		x.fatalf("the right edge went from %d to %d", x.edge-sp.IRS, sp.Edge-sp.IRS)
	case sp.Charged > 8*int(max(x.c.rcv.size, x.cfg.ReceiveBuffer))+pkt.Large:
		x.fatalf("%d bytes are charged for a buffer of %d", sp.Charged, x.c.rcv.size)
	case x.cfg.Memory != nil && x.cfg.Memory.Held() != int64(x.c.Held()):
		x.fatalf("%d bytes are accounted for, %d held", x.cfg.Memory.Held(), x.c.Held())
	}
	x.edge, x.was = sp.Edge, x.c.state
}

// run plays a whole script.
func (x *chaos) run() {
	x.now = mono.Start
	x.cfg = DefaultConfig(Profile(x.byte() % 2))
	x.cfg.ReceiveBuffer = []uint32{1, 1000, 5000, 65535, 2 << 20}[x.byte()%5]
	x.cfg.SendBuffer = []uint32{1000, 10_000, 200_000}[x.byte()%3]
	if x.byte()%2 == 0 { // so little that every level is reached
		x.cfg.Memory = NewMemory(pkt.NewBudget(200_000))
	}
	x.cfg.MTUProbing = MTUProbing(x.byte() % 3)
	x.c.Open(x.now, x.cfg, &Params{ID: 1, ISS: 1<<32 - 2000, MSS: 1460})
	for x.pos < len(x.script) && x.c.state != Closed {
		x.step()
	}
	x.c.Abort(x.now)
	var s Segment
	for x.c.Emit(x.now, &s, 65000) {
		s.Data.Release()
	}
	var refs [8]pkt.Ref
	for n := x.c.Take(1<<30, refs[:]); n > 0; n = x.c.Take(1<<30, refs[:]) {
		for _, r := range refs[:n] {
			r.Release()
		}
	}
	if n, _ := x.pool.Outstanding(); n != 0 {
		x.fatalf("%d chunks leaked", n)
	}
	if m := x.cfg.Memory; m != nil && (m.Held() != 0 || m.Used() != 0) {
		x.fatalf("%d bytes are held at the end, %d used", m.Held(), m.Used())
	}
}

// Whatever arrives, is called and expires, in whatever order: what must always
// hold of a TCB holds after each step, and no chunk is lost.
func TestNonsenseKeepsInvariants(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(21, seed))
		script := make([]byte, 4000)
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { (&chaos{t: t, script: script}).run() }) {
			return
		}
	}
}

func FuzzTCB(f *testing.F) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(22, seed))
		script := make([]byte, 400)
		for i := range script {
			script[i] = byte(rnd.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) { (&chaos{t: t, script: script}).run() })
}
