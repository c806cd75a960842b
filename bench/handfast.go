package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/pipe"
	"github.com/handfast/handfast/link/tun"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

type handfastStack struct {
	h       *handfast.Host
	addr    netip.Addr
	backlog int
	count   *sentAgain // nil: nobody asked
}

// newHandfast makes a Host on a device. The configuration is the congestion
// control, then "+nopacing" if departures are not to be spread: "" (CUBIC),
// "reno", "bbr", "cubic+nopacing", "+nopacing" and so on.
func newHandfast(dev link.Device, addr netip.Addr, s Setup) (Stack, error) {
	tc := tcp.DefaultConfig(tcp.ProfileLinux)
	name, rest, _ := strings.Cut(s.Config, "+")
	if a, ok := cc.ByName(name); ok {
		tc.Congestion = a
	} else if name != "" {
		return nil, fmt.Errorf("no congestion control %q", name)
	}
	switch rest {
	case "":
	case "nopacing":
		tc.NoPacing = true
	default:
		return nil, fmt.Errorf("no handfast configuration %q", s.Config)
	}
	st := handfastStack{addr: addr, backlog: s.Backlog}
	if s.Counted {
		st.count = &sentAgain{}
		tc.Trace = st.count
	}
	var err error
	if st.h, err = handfast.New(handfast.Config{KeepAlive: -1, TCP: tc}); err != nil { // no keepalive: as the other peers
		return nil, err
	}
	_, err = st.h.Attach(dev, netip.PrefixFrom(addr, 24))
	return st, err
}

// sentAgain counts the events that Retransmits reports.
type sentAgain struct{ segments, timeouts, probes atomic.Int64 }

func (s *sentAgain) Trace(ev *trace.Event) {
	switch {
	case ev.Kind == trace.Timer && ev.Why == trace.WhyRetransmitTimeout:
		s.timeouts.Add(1)
	case ev.Kind == trace.Timer && ev.Why == trace.WhyTailLossProbe:
		s.probes.Add(1)
	case ev.Kind != trace.SegmentOut:
	case ev.Why == trace.WhyRetransmitTimeout, ev.Why == trace.WhyFastRetransmit, ev.Why == trace.WhyPartialACK:
		s.segments.Add(int64(ev.Segs))
	}
}

func (s handfastStack) Listen(port uint16) (net.Listener, error) {
	return s.h.ListenBacklog(context.Background(), "tcp", netip.AddrPortFrom(s.addr, port).String(), s.backlog)
}

func (s handfastStack) Dial(dst netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return s.h.DialContext(ctx, "tcp", dst.String())
}

func (s handfastStack) Retransmits() Retransmits {
	if s.count == nil {
		return Retransmits{-1, -1, -1}
	}
	return Retransmits{float64(s.count.segments.Load()), float64(s.count.timeouts.Load()), float64(s.count.probes.Load())}
}

// Describe tells what the connection's Info says of its congestion control.
func (s handfastStack) Describe(c net.Conn) string {
	hc, ok := c.(*handfast.Conn)
	if !ok {
		return ""
	}
	i := hc.Info()
	mss := max(i.SendMSS, 1)
	return fmt.Sprintf("cwnd %d ssthresh %d flight %d sacked %d lost %d resent %d recovery %v timeout %v srtt %.1f rttvar %.1f rto %.0f ms reo_wnd %v pacing %.1f Mbit/s unsent %d snd_wnd %d",
		i.Cwnd/mss, i.SSThresh/mss, i.InFlight/mss, i.SACKed/mss, i.Lost/mss, i.Retransmits, i.Recovery, i.Timeout,
		ms(i.SRTT), ms(i.RTTVAR), ms(i.RTO), i.ReorderWindow,
		float64(i.PacingRate)*8/1e6, i.Unsent, i.SendWindow)
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

type handfastPeer struct{}

func (handfastPeer) Links() []string { return []string{"pipe-1500", "pipe-gso"} }

// Pair joins two Hosts by a pipe, with 64 KiB super-segments or without.
func (handfastPeer) Pair(name string, s Setup) (a, b Stack, err error) {
	var da, db link.Device
	switch name {
	case "pipe-1500":
		da, db = pipe.New(pipe.Options{MTU: 1500})
	case "pipe-gso":
		da, db = pipe.New(pipe.Options{MTU: 1500, GSO: true})
	default:
		return nil, nil, fmt.Errorf("no link %q", name)
	}
	if a, err = newHandfast(da, addrA, s); err != nil {
		return nil, nil, err
	}
	b, err = newHandfast(db, addrB, s)
	return a, b, err
}

func (handfastPeer) Tuns() []string { return []string{"vnet", "plain"} }

func (handfastPeer) Tun(how string, s Setup) (Stack, error) {
	dev, err := tun.Open(tun.Config{Name: "bench0", MTU: 1500, QueueLen: 10000,
		Kernel: []netip.Prefix{netip.PrefixFrom(addrA, 24)}, NoOffload: how == "plain"})
	if err != nil {
		return nil, err
	}
	return newHandfast(dev, addrB, s)
}

func (handfastPeer) Wire(p Port, addr netip.Addr, s Setup) (Stack, error) {
	d := &portDevice{send: p.Send}
	st, err := newHandfast(d, addr, s)
	p.Recv(d.deliver)
	return st, err
}

func (handfastPeer) Flood(s Setup) (client, server Stack, inject func([]byte), err error) {
	da, db := &portDevice{}, &portDevice{}
	da.send = db.deliver
	db.send = func(p []byte) {
		if len(p) >= 20 && netip.AddrFrom4([4]byte(p[16:20])) == addrA {
			da.deliver(p)
		}
	}
	if client, err = newHandfast(da, addrA, s); err != nil {
		return nil, nil, nil, err
	}
	server, err = newHandfast(db, addrB, s)
	return client, server, db.deliver, err
}

// portBacklog is how many packets wait for a portDevice's input while it runs.
const portBacklog = 4096

// portDevice is a link of whole IP packets, MTU 1500, without offloads, that
// delivers on the goroutine that brings a packet.
type portDevice struct {
	send  func([]byte)
	pool  pkt.Pool
	mu    sync.Mutex
	input func([]*pkt.Packet)
	wait  pkt.List
	busy  bool // somebody is delivering
}

func (d *portDevice) Caps() link.Caps {
	return link.Caps{Medium: link.IP, MTU: 1500, BatchSize: 1}
}

func (d *portDevice) Queues() []link.Queue { return []link.Queue{d} }

func (d *portDevice) Close() error { return nil }

func (d *portDevice) Read([]*pkt.Packet) (int, error) { return 0, net.ErrClosed }

func (d *portDevice) SetInput(input func(batch []*pkt.Packet)) {
	d.mu.Lock()
	d.input = input
	d.mu.Unlock()
}

func (d *portDevice) Write(batch []*pkt.Packet) (int, error) {
	for _, p := range batch {
		flat := p.AppendTo(make([]byte, 0, 1500)) // one for each: delivery may come back to Write
		p.Release()
		d.send(flat)
	}
	return len(batch), nil
}

// deliver copies b and hands it to the input, or leaves it to whoever is
// delivering already, which may be a caller further up this goroutine's stack.
func (d *portDevice) deliver(b []byte) {
	c, p := d.pool.Chunk(len(b)), d.pool.Packet()
	p.SetFrame(c.Ref(c.Bytes()[:copy(c.Bytes(), b)]), len(b))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.input == nil || d.wait.Len() >= portBacklog {
		p.Release()
		return
	}
	d.wait.Push(p)
	if d.busy {
		return
	}
	d.busy = true
	for p := d.wait.Pop(); p != nil; p = d.wait.Pop() {
		d.mu.Unlock()
		d.input([]*pkt.Packet{p})
		d.mu.Lock()
	}
	d.busy = false
}
