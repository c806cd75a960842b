package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/pipe"
	"github.com/handfast/handfast/link/tun"
	"github.com/handfast/handfast/pkt"
)

type handfastStack struct {
	h       *handfast.Host
	addr    netip.Addr
	backlog int
}

// newHandfast makes a Host on a device. There is one configuration, "".
func newHandfast(dev link.Device, addr netip.Addr, s Setup) (Stack, error) {
	if s.Config != "" {
		return nil, fmt.Errorf("no handfast configuration %q", s.Config)
	}
	h, err := handfast.New(handfast.Config{KeepAlive: -1}) // as the other peers
	if err != nil {
		return nil, err
	}
	_, err = h.Attach(dev, netip.PrefixFrom(addr, 24))
	return handfastStack{h, addr, s.Backlog}, err
}

func (s handfastStack) Listen(port uint16) (net.Listener, error) {
	return s.h.ListenBacklog(context.Background(), "tcp", netip.AddrPortFrom(s.addr, port).String(), s.backlog)
}

func (s handfastStack) Dial(dst netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return s.h.DialContext(ctx, "tcp", dst.String())
}

// Retransmits: DRAFT, from the Host's statistics.
func (s handfastStack) Retransmits() (segments, timeouts float64) { return 0, 0 }

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
