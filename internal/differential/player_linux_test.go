package differential

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"

	"github.com/handfast/handfast/wire"
	"golang.org/x/sys/unix"
)

// The peer's ports and numbers. Those of the side under test are its own.
const (
	peerPort   = 20000       // of flow 0; the others follow
	peerISS    = 0xffff_f000 // so that most scripts see the numbers wrap
	peerTSBase = 0x7fff_f000
	guessedISS = 1_000_000_000 // of a side that has sent no SYN
	defaultWin = 8192
)

// settle is how long after a step that is no wait its answers are awaited.
const settle = 3 * time.Millisecond

// side is what is under test: the kernel or the Engine.
type side interface {
	// begin returns the instant of step i, from the script's beginning on.
	begin(i int) time.Duration
	// until lets time pass up to the end of step i, which began at from and
	// takes d.
	until(i int, from, d time.Duration)
	inject(raw []byte)
	// call makes a call of the program's and returns what it says.
	call(f *flow, st *step) string
	// take returns the packets that came since the last call.
	take() []arrival
}

// arrival is a packet that the side under test sent.
type arrival struct {
	at  time.Duration
	raw []byte
}

// flow is one connection, seen by the peer.
type flow struct {
	n        int
	peerPort uint16
	dutPort  uint16
	dutISS   uint32
	haveISS  bool
	dutScale uint8
	dutHas   wire.OptionSet // of its SYN
	peerHas  wire.OptionSet // of ours
	lastTS   uint32
	firstTS  uint32
	seenTS   bool
	win      uint32
	written  int // bytes that the program has written
}

// player plays one script to one side.
type player struct {
	s         *script
	side      side
	dut, peer netip.Addr
	port      uint16 // that the side under test listens on
	flows     map[int]*flow
	cur       *flow
	cookie    wire.TCPOptions // the last one with a Fast Open cookie
	rec       record
}

// record is what came of a script.
type record struct {
	begin   []time.Duration // of each step
	results []string        // of each step, "" for those that have none
	packets []packet
}

func newPlayer(s *script, sd side, dut, peer netip.Addr, port uint16) *player {
	p := &player{s: s, side: sd, dut: dut, peer: peer, port: port, flows: map[int]*flow{}}
	p.choose(0)
	return p
}

// choose makes a flow the current one.
func (p *player) choose(n int) {
	if p.flows[n] == nil {
		p.flows[n] = &flow{n: n, peerPort: peerPort + uint16(n), dutPort: p.port, win: defaultWin, dutISS: guessedISS}
	}
	p.cur = p.flows[n]
}

// play runs the script to its end.
func (p *player) play() *record {
	for i := range p.s.steps {
		st := &p.s.steps[i]
		at := p.side.begin(i)
		p.rec.begin = append(p.rec.begin, at)
		p.rec.results = append(p.rec.results, p.do(st, at))
		d := st.wait
		if d == 0 {
			d = settle
		}
		p.collect(i, at)
		p.side.until(i, at, d)
		p.collect(i, at)
	}
	return &p.rec
}

func (p *player) collect(i int, from time.Duration) {
	for _, a := range p.side.take() {
		if k, ok := p.normalise(a.raw); ok {
			k.step, k.after = i, a.at-from
			p.rec.packets = append(p.rec.packets, k)
		}
	}
}

func (p *player) do(st *step, at time.Duration) string {
	switch st.verb {
	case "<":
		p.side.inject(p.segment(st, at))
	case "icmp":
		p.side.inject(p.icmp(st))
	case "peer":
		p.choose(st.num(0))
	case "wait":
	default:
		r := p.side.call(p.cur, st)
		if st.verb == "write" || st.verb == "urgent" || st.verb == "fastopen" {
			var n int
			if k, _ := fmt.Sscanf(r, "%d", &n); k == 1 {
				p.cur.written += n
			}
		}
		return r
	}
	return ""
}

// peerByte and dutByte are what either side sends at an offset of its stream.
func peerByte(offset uint32) byte { return byte('a' + offset%23) }
func dutByte(offset uint32) byte  { return byte('A' + offset%19) }

// pattern returns n bytes of the program's stream.
func (f *flow) pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = dutByte(uint32(f.written + i))
	}
	return b
}

// segment makes the packet of a line.
func (p *player) segment(st *step, at time.Duration) []byte {
	f, s, m := p.cur, st.seg, &st.mod
	ts := peerTSBase + uint32(at/time.Millisecond)
	o := s.Opts
	if s.Flags&wire.FlagSYN != 0 {
		f.peerHas = o.Has
	}
	both := f.peerHas & f.dutHas & wire.HasTimestamps
	switch {
	case o.Has&wire.HasTimestamps != 0:
		o.TSVal += peerTSBase
		if s.Flags&wire.FlagSYN == 0 || s.Flags&wire.FlagACK != 0 {
			if o.TSEcr == 0 {
				o.TSEcr = f.lastTS
			} else {
				o.TSEcr += f.firstTS
			}
		}
	case both != 0 && s.Flags&(wire.FlagSYN|wire.FlagRST) == 0 && !m.noTS:
		o.Has |= wire.HasTimestamps
		o.TSVal, o.TSEcr = ts, f.lastTS
	}
	if m.cookie {
		o.FastOpen, o.NFastOpen = p.cookie.FastOpen, p.cookie.NFastOpen
		o.Has |= wire.HasFastOpen
	}
	for i := range o.NSACK {
		o.SACK[i][0] += f.dutISS
		o.SACK[i][1] += f.dutISS
	}
	opts := m.opts
	if opts == nil {
		opts = make([]byte, o.Len())
		o.Put(opts)
	}
	if s.HasWin {
		f.win = s.Win
	}
	hlen := wire.TCPMinLen + (len(opts)+3)/4*4
	b := make([]byte, hlen+int(s.Len))
	ack := s.Ack
	if s.Flags&wire.FlagACK != 0 {
		ack += f.dutISS
	}
	wire.PutTCP(b[:hlen], f.peerPort, f.dutPort, peerISS+s.Seq, ack, s.Flags, uint16(f.win), s.Urg)
	copy(b[wire.TCPMinLen:hlen], opts)
	words := hlen / 4
	if m.offset != 0 {
		words = m.offset
	}
	b[12] = b[12]&1 | uint8(words)<<4 | m.reserved
	first := s.Seq
	if s.Flags&wire.FlagSYN != 0 {
		first++
	}
	for i := range b[hlen:] {
		b[hlen+i] = peerByte(first+uint32(i)) + m.fill
	}
	b = b[:len(b)-m.cut]
	src, dst := wire.AddrFrom(p.peer), wire.AddrFrom(p.dut)
	if len(b) > 18 {
		wire.TCP(b).SetChecksum(0)
		wire.TCP(b).SetChecksum(wire.Finish(wire.Sum(b, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(b))))))
		if m.badSum {
			b[16] ^= 0x55
		}
	}
	return ipPacket(p.peer, p.dut, wire.ProtoTCP, m, b)
}

// ipPacket puts an IP header before a payload.
func ipPacket(from, to netip.Addr, proto uint8, m *modifiers, payload []byte) []byte {
	src, dst, ttl := wire.AddrFrom(from), wire.AddrFrom(to), m.ttl
	if ttl == 0 {
		ttl = 64
	}
	if to.Is4() {
		n := wire.IPv4MinLen + len(m.ipOpts)
		h := make([]byte, n, n+len(payload))
		wire.PutIPv4(h, &wire.IPv4Fields{TotalLen: uint16(n + len(payload)), Flags: wire.IPv4DF,
			TOS: m.tos, TTL: ttl, Proto: proto, Src: src, Dst: dst, Options: m.ipOpts})
		return append(h, payload...)
	}
	h := make([]byte, wire.IPv6Len, wire.IPv6Len+len(payload))
	wire.PutIPv6(h, &wire.IPv6Fields{PayloadLen: uint16(len(payload)), TrafficClass: m.tos,
		NextHeader: proto, HopLimit: ttl, Src: src, Dst: dst})
	return append(h, payload...)
}

// icmpKinds are the messages of a line "icmp KIND SEQ [MTU]", by family: type
// and code.
var icmpKinds = map[string][2][2]uint8{
	"net":        {{wire.ICMPv4Unreachable, wire.UnreachNet}, {wire.ICMPv6Unreachable, wire.Unreach6NoRoute}},
	"host":       {{wire.ICMPv4Unreachable, wire.UnreachHost}, {wire.ICMPv6Unreachable, wire.Unreach6Addr}},
	"proto":      {{wire.ICMPv4Unreachable, wire.UnreachProtocol}, {wire.ICMPv6ParamProblem, wire.ParamProblemNextHeader}},
	"port":       {{wire.ICMPv4Unreachable, wire.UnreachPort}, {wire.ICMPv6Unreachable, wire.Unreach6Port}},
	"admin":      {{wire.ICMPv4Unreachable, 13}, {wire.ICMPv6Unreachable, wire.Unreach6Prohibited}},
	"srcroute":   {{wire.ICMPv4Unreachable, 5}, {wire.ICMPv6Unreachable, wire.Unreach6Policy}},
	"isolated":   {{wire.ICMPv4Unreachable, 8}, {wire.ICMPv6Unreachable, wire.Unreach6Scope}},
	"toobig":     {{wire.ICMPv4Unreachable, 4}, {wire.ICMPv6PacketTooBig, 0}},
	"ttl":        {{wire.ICMPv4TimeExceeded, 0}, {wire.ICMPv6TimeExceeded, 0}},
	"reassembly": {{wire.ICMPv4TimeExceeded, 1}, {wire.ICMPv6TimeExceeded, 1}},
	"parameter":  {{wire.ICMPv4ParamProblem, 0}, {wire.ICMPv6ParamProblem, 0}},
	"quench":     {{4, 0}, {wire.ICMPv6Unreachable, 6}},
	"redirect":   {{5, 1}, {wire.ICMPv6ParamProblem, 2}},
}

// icmp makes an error about a segment that the side under test sent, or that
// it never sent, depending on the relative number that is quoted.
func (p *player) icmp(st *step) []byte {
	f, v6 := p.cur, !p.dut.Is4()
	kind := icmpKinds[st.arg(0)]
	t := make([]byte, wire.TCPMinLen)
	wire.PutTCP(t, f.dutPort, f.peerPort, f.dutISS+uint32(st.num(1)), peerISS+1, wire.FlagACK, 1000, 0)
	quote := ipPacket(p.dut, p.peer, wire.ProtoTCP, &modifiers{}, t)
	b := append(make([]byte, wire.ICMPLen), quote...)
	mtu := uint32(st.num(2))
	if v6 {
		src, dst := wire.AddrFrom(p.peer), wire.AddrFrom(p.dut)
		wire.PutICMPv6(b, &src, &dst, kind[1][0], kind[1][1], mtu)
		return ipPacket(p.peer, p.dut, wire.ProtoICMPv6, &modifiers{}, b)
	}
	b = b[:wire.ICMPLen+wire.IPv4MinLen+8]
	wire.PutICMPv4(b, kind[0][0], kind[0][1], mtu)
	return ipPacket(p.peer, p.dut, wire.ProtoICMP, &modifiers{}, b)
}

// read describes what a program has read: how much, and a digest of it.
func readResult(b []byte) string {
	return fmt.Sprintf("%d bytes %08x", len(b), crc32.ChecksumIEEE(b))
}

// errnoName names an error as C programs know it.
func errnoName(err error) string {
	if err == nil {
		return "ok"
	}
	var e unix.Errno
	if errors.As(err, &e) {
		return unix.ErrnoName(e)
	}
	return err.Error()
}
