package engine

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// Harness drives an Engine from outside: the calls of a program, the packets
// of a network and the clock are all brought to it, and it starts nothing by
// itself. It is what a foreign test suite is put on top of, and what this
// package's own tests use. A Harness is not safe for concurrent use, and none
// of its methods blocks.
//
// Packets are raw IP packets, IPv4 or IPv6, with finished checksums. Every
// method leaves the Engine with nothing more to say at the present instant:
// what it said is in Sent. Time stands still but for AdvanceTo and Advance.
type Harness struct {
	// E is the Engine, for what the Harness has no method for. Call Flush after
	// anything that may make it send.
	E *Engine
	// Iface is the number of the outside interface.
	Iface int

	now    mono.Time
	sent   []SentPacket
	drop   bool
	check  bool
	batch  [harnessBatch]*pkt.Packet
	failed error
}

const (
	// harnessBatch is how many packets are taken from the Engine at once.
	harnessBatch = 32
	// harnessSteps bounds the deadlines that come due at one instant: beyond it
	// an Engine is turning in circles.
	harnessSteps = 1_000_000
)

// HarnessConfig says what a Harness drives. The zero value is an Engine of the
// Linux profile with the addresses 10.0.0.1 and fd00::1 on an interface of
// 1500 bytes that reaches everything.
type HarnessConfig struct {
	Config
	// Addrs are the addresses of the outside interface with their on-link
	// prefixes; nil: 10.0.0.1/24 and, if the MTU is at least 1280, fd00::1/64.
	Addrs []netip.Prefix
	// MTU of the outside interface in bytes, 68 to 65535; 0: 1500.
	MTU int
	// MaxGSO lets the Engine hand out super-segments up to this many bytes;
	// 0: none.
	MaxGSO int
	// Start is the first instant; 0: mono.Start.
	Start mono.Time
	// Unchecked switches CheckPacket off for what is sent, for speed.
	Unchecked bool
}

// SentPacket is a packet that an Engine sent.
type SentPacket struct {
	At  mono.Time
	Raw []byte // from the IP header on, checksums finished
	Cut int    // payload bytes per segment of a super-segment; 0: one segment
}

// NewHarness makes an Engine and a Harness around it. Both a default route for
// IPv4 and one for IPv6 lead to the outside interface.
func NewHarness(c HarnessConfig) *Harness {
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.Addrs == nil {
		c.Addrs = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}
		if c.MTU < ip.MinMTU6 {
			c.Addrs = c.Addrs[:1]
		}
	}
	if c.Start == 0 {
		c.Start = mono.Start
	}
	h := &Harness{E: New(c.Config), now: c.Start, check: !c.Unchecked}
	h.Iface = h.E.AddInterface(Interface{Name: "outside", MTU: c.MTU, MaxGSO: c.MaxGSO}).ID
	for _, a := range c.Addrs {
		h.fail(h.E.AddAddress(h.Iface, a))
	}
	for _, p := range []string{"0.0.0.0/0", "::/0"} {
		h.fail(h.E.AddRoute(netip.MustParsePrefix(p), netip.Addr{}, h.Iface))
	}
	return h
}

func (h *Harness) fail(err error) {
	if h.failed == nil {
		h.failed = err
	}
}

// Err returns the first thing that went wrong: an address or route that was
// refused, or what CheckPacket says about a packet that was sent.
func (h *Harness) Err() error { return h.failed }

// Now returns the present instant.
func (h *Harness) Now() mono.Time { return h.now }

// AdvanceTo moves the clock to t, which is not before Now, and stops at every
// deadline on the way, so that what is sent has exact times.
func (h *Harness) AdvanceTo(t mono.Time) {
	steps := 0
	for d := h.E.Deadline(); d.Due(t); d = h.E.Deadline() {
		if steps++; d > h.now {
			h.now, steps = d, 0
		}
		if steps > harnessSteps {
			panic(fmt.Sprintf("engine: %d deadlines are due at %v and no end in sight", steps, h.now))
		}
		h.E.Advance(h.now)
		h.Flush()
	}
	h.now = max(h.now, t)
	h.E.Advance(h.now)
	h.Flush()
}

// Advance moves the clock by d as AdvanceTo does.
func (h *Harness) Advance(d time.Duration) { h.AdvanceTo(h.now.Add(d)) }

// Inject lets packets arrive on the outside interface, all in one batch: they
// are processed before any is answered (RFC 9293 MUST-59). The bytes are
// copied.
func (h *Harness) Inject(raw ...[]byte) {
	for len(raw) > 0 {
		n := min(len(raw), harnessBatch)
		for i, b := range raw[:n] {
			c := h.E.pool.Chunk(len(b))
			p := h.E.pool.Packet()
			p.SetFrame(c.Ref(c.Bytes()[:copy(c.Bytes(), b)]), len(b))
			h.batch[i] = p
		}
		h.E.Input(h.now, h.Iface, h.batch[:n])
		raw = raw[n:]
	}
	h.Flush()
}

// Flush takes what the Engine has to send. Other methods do it by themselves.
func (h *Harness) Flush() {
	for n := h.E.Output(h.now, h.batch[:]); n > 0; n = h.E.Output(h.now, h.batch[:]) {
		for _, p := range h.batch[:n] {
			if !h.drop {
				h.take(p)
			}
			p.Release()
		}
	}
}

// take keeps a packet as it would be on the wire.
func (h *Harness) take(p *pkt.Packet) {
	raw := p.AppendTo(make([]byte, 0, p.Len()))
	if p.Csum == pkt.CsumPartial {
		at := int(p.CsumStart) + int(p.CsumOffset)
		binary.BigEndian.PutUint16(raw[at:], wire.Finish(wire.Sum(raw[p.CsumStart:], 0)))
	}
	if h.check {
		h.fail(CheckPacket(raw))
	}
	h.sent = append(h.sent, SentPacket{At: h.now, Raw: raw, Cut: int(p.GSOSize)})
}

// Sent returns the packets sent since the last call, oldest first. They are the
// caller's.
func (h *Harness) Sent() []SentPacket { s := h.sent; h.sent = nil; return s }

// Discard says whether packets that are sent are thrown away instead of kept
// for Sent: for long runs in which nobody looks.
func (h *Harness) Discard(on bool) { h.drop = on }

// Ready returns the connections whose readiness changed since the last call.
func (h *Harness) Ready() []*Conn {
	var all []*Conn
	var some [harnessBatch]*Conn
	for n := h.E.Ready(some[:]); n > 0; n = h.E.Ready(some[:]) {
		all = append(all, some[:n]...)
	}
	return all
}

// Dial begins an active open: Engine.Dial.
func (h *Harness) Dial(d DialConfig) (*Conn, error) {
	c, err := h.E.Dial(h.now, &d)
	h.Flush()
	return c, err
}

// Listen begins a passive open: Engine.Listen.
func (h *Harness) Listen(l ListenConfig) (*Listener, error) { return h.E.Listen(h.now, &l) }

// Accept takes a connection from a listener, nil if none waits.
func (h *Harness) Accept(l *Listener) *Conn { return l.Accept() }

// CloseListener ends a passive open: Listener.Close.
func (h *Harness) CloseListener(l *Listener) {
	l.Close(h.now)
	h.Flush()
}

// Write queues as much of b as there is room for and returns how much that is.
// The bytes are copied.
func (h *Harness) Write(c *Conn, b []byte) int {
	n := min(len(b), c.Room())
	for at := 0; at < n; {
		k := min(n-at, pkt.Large)
		chunk := h.E.pool.Chunk(k)
		c.Queue(h.now, chunk.Ref(chunk.Bytes()[:copy(chunk.Bytes(), b[at:at+k])]))
		at += k
	}
	h.Flush()
	return n
}

// WriteUrgent queues b, up to 64 KiB, as urgent data: tcp.TCB.SendUrgent.
func (h *Harness) WriteUrgent(c *Conn, b []byte) {
	chunk := h.E.pool.Chunk(len(b))
	c.SendUrgent(h.now, chunk.Ref(chunk.Bytes()[:copy(chunk.Bytes(), b)]))
	h.Flush()
}

// Read moves received data into b and returns how much; eof says that the
// peer's FIN comes next, or the connection's end.
func (h *Harness) Read(c *Conn, b []byte) (n int, eof bool) {
	var refs [8]pkt.Ref
	for n < len(b) {
		k := c.Take(len(b)-n, refs[:])
		if k == 0 {
			break
		}
		for _, r := range refs[:k] {
			n += copy(b[n:], r.B)
			r.Release()
		}
	}
	if n > 0 {
		c.Consumed()
		h.Flush()
	}
	return n, c.EOF() || c.Buffered() == 0 && c.State() == tcp.Closed
}

// Shutdown closes one direction, or both: tcp.TCB.Shutdown.
func (h *Harness) Shutdown(c *Conn, read, write bool) {
	c.Shutdown(h.now, read, write)
	h.Flush()
}

// Close lets go of a connection: tcp.TCB.Close.
func (h *Harness) Close(c *Conn) {
	c.Close(h.now)
	h.Flush()
}

// Abort resets a connection: tcp.TCB.Abort.
func (h *Harness) Abort(c *Conn) {
	c.Abort(h.now)
	h.Flush()
}

// Options are the settings of one connection, all set at once by SetOptions.
type Options struct {
	NoDelay      bool // no Nagle's algorithm
	KeepAlive    bool
	KeepIdle     time.Duration // 0: as it was, like the next two
	KeepInterval time.Duration
	KeepCount    int
	UserTimeout  time.Duration // 0: the Config's
	TOS          uint8         // Diffserv field; the ECN bits are ignored
	TTL          uint8         // 0: the default
}

// SetOptions changes a connection's settings.
func (h *Harness) SetOptions(c *Conn, o Options) {
	c.SetNoDelay(o.NoDelay)
	c.SetKeepalive(h.now, o.KeepAlive, o.KeepIdle, o.KeepInterval, o.KeepCount)
	c.SetUserTimeout(o.UserTimeout)
	c.SetTOS(o.TOS)
	c.SetTTL(o.TTL)
	c.Touch()
	h.Flush()
}

// State returns a connection's state. A connection in TIME-WAIT is no more than
// a record of the Engine's; when that ends it is CLOSED.
func (h *Harness) State(c *Conn) tcp.State {
	if c.State() == tcp.TimeWait && h.E.twTable.lookup(&h.E.tw, c.hash, &c.flow) == 0 {
		return tcp.Closed
	}
	return c.State()
}

// Info returns a snapshot of a connection.
func (h *Harness) Info(c *Conn) (i tcp.Info) {
	c.Info(&i)
	return i
}

// OpenUDP opens a UDP socket: Engine.OpenUDP.
func (h *Harness) OpenUDP(u UDPConfig) (*UDP, error) { return h.E.OpenUDP(h.now, &u) }

// SendUDP sends a datagram: UDP.Send.
func (h *Harness) SendUDP(u *UDP, to netip.AddrPort, b []byte) error {
	err := u.Send(h.now, to, b)
	h.Flush()
	return err
}

// RecvUDP takes the oldest datagram of a socket; ok is false when there is none.
func (h *Harness) RecvUDP(u *UDP) (b []byte, from netip.AddrPort, ok bool) {
	d, ok := u.Recv()
	b = d.Payload.AppendTo(nil)
	d.Payload.Release()
	return b, d.From, ok
}

// Stats returns a snapshot of the Engine's counters.
func (h *Harness) Stats() (s Stats) {
	h.E.Stats(&s)
	return s
}

// CheckPacket reports what is wrong with a raw IP packet that is to be sent:
// lengths that disagree, checksums that do not fit, a reserved bit that is set.
// Of fragments only the IP header is looked at.
func CheckPacket(raw []byte) error {
	if len(raw) > 0 && raw[0]>>4 == 4 {
		p, err := wire.ParseIPv4(raw)
		switch {
		case err != nil:
			return fmt.Errorf("IPv4: %w", err)
		case int(p.TotalLen()) != len(raw):
			return fmt.Errorf("IPv4: length field %d, packet %d bytes", p.TotalLen(), len(raw))
		case !p.ChecksumOK():
			return fmt.Errorf("IPv4: header checksum %#04x is wrong", p.Checksum())
		case p.TTL() == 0:
			return fmt.Errorf("IPv4: TTL is 0")
		case p.IsFragment():
			return nil
		}
		src, dst := p.Src(), p.Dst()
		return checkTransport(&src, &dst, p.Proto(), p.Payload())
	}
	p, err := wire.ParseIPv6(raw)
	switch {
	case err != nil:
		return fmt.Errorf("IPv6: %w", err)
	case int(p.PayloadLen())+wire.IPv6Len != len(raw):
		return fmt.Errorf("IPv6: length field %d, packet %d bytes", p.PayloadLen(), len(raw))
	case p.HopLimit() == 0:
		return fmt.Errorf("IPv6: hop limit is 0")
	case p.NextHeader() == wire.ProtoFragment:
		return nil
	}
	src, dst := p.Src(), p.Dst()
	return checkTransport(&src, &dst, p.NextHeader(), p.Payload())
}

func checkTransport(src, dst *wire.Addr, proto uint8, b []byte) error {
	acc := uint16(0)
	if proto != wire.ProtoICMP {
		acc = wire.PseudoSum(src, dst, proto, uint32(len(b)))
	}
	if proto == wire.ProtoUDP && len(b) >= wire.UDPLen && wire.UDP(b).Checksum() == 0 {
		return fmt.Errorf("UDP: no checksum")
	}
	if sum := wire.Sum(b, acc); sum != 0xffff {
		return fmt.Errorf("protocol %d: checksum is off by %#04x", proto, ^sum)
	}
	switch proto {
	case wire.ProtoTCP:
		t, err := wire.ParseTCP(b)
		if err != nil {
			return fmt.Errorf("TCP: %w", err)
		}
		if b[12]&0x0e != 0 {
			return fmt.Errorf("TCP: reserved bits are set: %#02x", b[12])
		}
		return checkOptions(t)
	case wire.ProtoUDP:
		if h, n, ok := udpHeader(b, len(b)); !ok || n != len(b) {
			return fmt.Errorf("UDP: length field %x, datagram %d bytes", h[4:6], len(b))
		}
	case wire.ProtoICMP, wire.ProtoICMPv6:
		if len(b) < wire.ICMPLen {
			return fmt.Errorf("ICMP: %d bytes", len(b))
		}
	default:
		return fmt.Errorf("protocol %d", proto)
	}
	return nil
}

// checkOptions verifies that the options have legal lengths and that nothing
// but zeros follows their end (RFC 9293 MUST-7, MUST-69).
func checkOptions(t wire.TCP) error {
	var o wire.TCPOptions
	o.Parse(t.Options(), t.Flags()&wire.FlagSYN != 0)
	if o.Has&wire.HasBad != 0 {
		return fmt.Errorf("TCP: options %x", t.Options())
	}
	return nil
}
