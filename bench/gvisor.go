package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const nicID = 1

// link is an endpoint whose outbound packets go to a function. With gso it
// takes 64 KiB segments whose checksums are left to the link, and trusts the
// checksums of what comes in.
type gvisorLink struct {
	mtu  uint32
	gso  bool
	out  func(*stack.PacketBuffer)
	disp atomic.Pointer[stack.NetworkDispatcher]
}

func (l *gvisorLink) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, p := range pkts.AsSlice() {
		l.out(p)
	}
	return pkts.Len(), nil
}

// deliver hands in one packet, all of it payload.
func (l *gvisorLink) deliver(b buffer.Buffer) {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: b})
	if d := l.disp.Load(); d != nil {
		(*d).DeliverNetworkPacket(header.IPv4ProtocolNumber, p)
	}
	p.DecRef()
}

func (l *gvisorLink) deliverBytes(b []byte) {
	l.deliver(buffer.MakeWithView(buffer.NewViewWithData(b)))
}

func (l *gvisorLink) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		l.disp.Store(nil)
	} else {
		l.disp.Store(&d)
	}
}

func (l *gvisorLink) Capabilities() stack.LinkEndpointCapabilities {
	if l.gso {
		return stack.CapabilityRXChecksumOffload
	}
	return 0
}

func (l *gvisorLink) SupportedGSO() stack.SupportedGSO {
	if l.gso {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

func (l *gvisorLink) GSOMaxSize() uint32                    { return 65535 }
func (l *gvisorLink) MTU() uint32                           { return l.mtu }
func (l *gvisorLink) IsAttached() bool                      { return l.disp.Load() != nil }
func (*gvisorLink) SetMTU(uint32)                           {}
func (*gvisorLink) MaxHeaderLength() uint16                 { return 0 }
func (*gvisorLink) LinkAddress() tcpip.LinkAddress          { return "" }
func (*gvisorLink) SetLinkAddress(tcpip.LinkAddress)        {}
func (*gvisorLink) Wait()                                   {}
func (*gvisorLink) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (*gvisorLink) AddHeader(*stack.PacketBuffer)           {}
func (*gvisorLink) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (*gvisorLink) Close()                                  {}
func (*gvisorLink) SetOnCloseAction(func())                 {}

type gvisorStack struct {
	s       *stack.Stack
	addr    netip.Addr
	backlog int
	dev     *os.File // kept from being collected while an endpoint uses its descriptor
}

// newGvisor makes a stack. Configurations:
//
//	"", "reno"  SACK, RACK, Reno, buffers up to 8 MiB (receive) and 6 MiB (send)
//	"ts"        as tailscale sets it: the same without RACK
//	"cubic"     the first with CUBIC
//	"stock"     whatever stack.New gives (no SACK, 4 MiB buffers), for comparison
func newGvisor(ep stack.LinkEndpoint, addr netip.Addr, set Setup) (gvisorStack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	g := gvisorStack{s: s, addr: addr, backlog: set.Backlog}
	var opts []tcpip.SettableTransportProtocolOption
	if set.Config != "stock" {
		sack := tcpip.TCPSACKEnabled(true)
		opts = append(opts, &sack,
			&tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultReceiveBufferSize, Max: 8 << 20},
			&tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultSendBufferSize, Max: 6 << 20})
	}
	switch set.Config {
	case "", "reno", "stock":
	case "ts":
		rack := tcpip.TCPRecovery(0)
		opts = append(opts, &rack)
	case "cubic":
		cc := tcpip.CongestionControlOption("cubic")
		opts = append(opts, &cc)
	default:
		return g, fmt.Errorf("no gVisor configuration %q", set.Config)
	}
	for _, o := range opts {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return g, fmt.Errorf("%T: %v", o, err)
		}
	}
	if err := s.CreateNIC(nicID, ep); err != nil {
		return g, fmt.Errorf("CreateNIC: %v", err)
	}
	pa := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddrFrom4(addr.As4()).WithPrefix()}
	if err := s.AddProtocolAddress(nicID, pa, stack.AddressProperties{}); err != nil {
		return g, fmt.Errorf("AddProtocolAddress: %v", err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nicID}})
	return g, nil
}

func (g gvisorStack) full(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFrom4(a.Addr().As4()), Port: a.Port()}
}

// Listen is gonet.ListenTCP with this program's backlog instead of its 10.
func (g gvisorStack) Listen(port uint16) (net.Listener, error) {
	var wq waiter.Queue
	ep, err := g.s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &wq)
	if err == nil {
		err = ep.Bind(g.full(netip.AddrPortFrom(g.addr, port)))
	}
	if err == nil {
		err = ep.Listen(g.backlog)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %v", err)
	}
	return gonet.NewTCPListener(g.s, &wq, ep), nil
}

func (g gvisorStack) Dial(dst netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	c, err := gonet.DialContextTCP(ctx, g.s, g.full(dst), ipv4.ProtocolNumber)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (g gvisorStack) Retransmits() Retransmits {
	st := g.s.Stats().TCP
	return Retransmits{float64(st.Retransmits.Value()), float64(st.Timeouts.Value()), -1}
}

type gvisorPeer struct{}

func (gvisorPeer) Links() []string {
	return []string{"pipe-1500", "gso-1500", "chan-1500", "pipe-65535", "chan-65535"}
}

// Pair joins two stacks by gVisor's pipe (delivery on the sender's goroutine),
// by two channel endpoints with a goroutine each way, or by the link above
// with 64 KiB segments and no checksums, delivered on the sender's goroutine.
func (gvisorPeer) Pair(name string, s Setup) (a, b Stack, err error) {
	kind, size, _ := strings.Cut(name, "-")
	mtu, err := strconv.Atoi(size)
	if err != nil {
		return nil, nil, err
	}
	var ea, eb stack.LinkEndpoint
	switch kind {
	case "pipe":
		ea, eb = pipe.New("", "", uint32(mtu))
	case "chan":
		ca, cb := channel.New(1024, uint32(mtu), ""), channel.New(1024, uint32(mtu), "")
		go pump(cb, ca)
		go pump(ca, cb)
		ea, eb = ca, cb
	case "gso":
		la, lb := &gvisorLink{mtu: uint32(mtu), gso: true}, &gvisorLink{mtu: uint32(mtu), gso: true}
		la.out = func(p *stack.PacketBuffer) { lb.deliver(p.ToBuffer()) }
		lb.out = func(p *stack.PacketBuffer) { la.deliver(p.ToBuffer()) }
		ea, eb = la, lb
	default:
		return nil, nil, fmt.Errorf("no link %q", name)
	}
	ga, err := newGvisor(ea, addrA, s)
	if err != nil {
		return nil, nil, err
	}
	gb, err := newGvisor(eb, addrB, s)
	return ga, gb, err
}

func pump(dst, src *channel.Endpoint) {
	for {
		p := src.ReadContext(context.Background())
		if p == nil {
			return
		}
		q := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: p.ToBuffer()})
		dst.InjectInbound(p.NetworkProtocolNumber, q)
		q.DecRef()
		p.DecRef()
	}
}

func (gvisorPeer) Wire(p Port, addr netip.Addr, s Setup) (Stack, error) {
	l := &gvisorLink{mtu: 1500}
	l.out = func(pkt *stack.PacketBuffer) {
		v := pkt.ToView()
		p.Send(v.AsSlice())
		v.Release()
	}
	g, err := newGvisor(l, addr, s)
	p.Recv(l.deliverBytes)
	return g, err
}

func (gvisorPeer) Flood(s Setup) (client, server Stack, inject func([]byte), err error) {
	la, lb := &gvisorLink{mtu: 1500}, &gvisorLink{mtu: 1500}
	la.out = func(p *stack.PacketBuffer) { lb.deliver(p.ToBuffer()) }
	lb.out = func(p *stack.PacketBuffer) {
		h := header.IPv4(p.NetworkHeader().Slice())
		if h.DestinationAddress() == tcpip.AddrFrom4(addrA.As4()) {
			la.deliver(p.ToBuffer())
		}
	}
	a, err := newGvisor(la, addrA, s)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := newGvisor(lb, addrB, s)
	return a, b, lb.deliverBytes, err
}
