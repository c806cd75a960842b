package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	wgtun "github.com/tailscale/wireguard-go/tun"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
)

// Tuns: "fdbased" is gVisor's endpoint on a TUN fd, as tun2socks uses it (it
// takes no GSO there: its GSO needs a socket). "fdbased-gro" adds its GRO
// option, which needs the receive checksum offload (a merged packet keeps the
// first one's checksum). "vnet" is the link of gvisor.go on IFF_VNET_HDR: 64 KiB segments
// both ways, checksums left to the kernel. "wg" is the tailscale pipeline:
// wireguard-go's TUN device, GSO split before the write and gVisor's GRO after
// the read, checksums verified in software.
func (gvisorPeer) Tuns() []string { return []string{"vnet", "wg", "fdbased", "fdbased-gro"} }

func (gvisorPeer) Tun(how string, s Setup) (Stack, error) {
	switch how {
	case "fdbased", "fdbased-gro":
		f, err := openTUN("bench0", addrA, 1500, false)
		if err != nil {
			return nil, err
		}
		ep, err := fdbased.New(&fdbased.Options{FDs: []int{int(f.Fd())}, MTU: 1500,
			PacketDispatchMode: fdbased.Readv,
			GRO:                how == "fdbased-gro", RXChecksumOffload: how == "fdbased-gro"})
		if err != nil {
			return nil, err
		}
		g, err := newGvisor(ep, addrB, s)
		g.dev = f
		return g, err
	case "vnet":
		f, err := openTUN("bench0", addrA, 1500, true)
		if err != nil {
			return nil, err
		}
		return vnetTUN(f, s)
	case "wg":
		return wgTUN(s)
	}
	return nil, fmt.Errorf("no TUN variant %q", how)
}

const vnetLen = 10

// vnetTUN puts the link of gvisor.go on a TUN device with virtio headers.
func vnetTUN(f *os.File, s Setup) (Stack, error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &gvisorLink{mtu: 1500, gso: true}
	l.out = func(p *stack.PacketBuffer) {
		var vh [vnetLen]byte
		if g := p.GSOOptions; g.Type != stack.GSONone {
			if g.NeedsCsum {
				vh[0] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
				binary.NativeEndian.PutUint16(vh[6:], g.L3HdrLen)
				binary.NativeEndian.PutUint16(vh[8:], g.CsumOffset)
			}
			if p.Data().Size() > int(g.MSS) {
				vh[1] = unix.VIRTIO_NET_HDR_GSO_TCPV4
				binary.NativeEndian.PutUint16(vh[2:], uint16(p.HeaderSize()))
				binary.NativeEndian.PutUint16(vh[4:], g.MSS)
			}
		}
		iov := append(make([][]byte, 0, 16), vh[:])
		iov = append(iov, p.AsSlices()...)
		rc.Write(func(fd uintptr) bool {
			_, err := unix.Writev(int(fd), iov)
			return err != unix.EAGAIN
		})
	}
	g, err := newGvisor(l, addrB, s)
	if err != nil {
		return nil, err
	}
	go func() {
		var vh [vnetLen]byte
		for {
			v := buffer.NewViewSize(65535)
			n := 0
			err := rc.Read(func(fd uintptr) bool {
				m, err := unix.Readv(int(fd), [][]byte{vh[:], v.AsSlice()})
				n = m
				return err != unix.EAGAIN
			})
			if err != nil || n <= vnetLen {
				return
			}
			v.CapLength(n - vnetLen)
			l.deliver(buffer.MakeWithView(v))
		}
	}()
	return g, nil
}

const (
	wgBatch = 128
	wgOff   = 16 // what the device wants free in front of a packet
	wgRoom  = wgOff + 65535
)

func wgBuffers() (bufs [][]byte, sizes []int) {
	bufs, sizes = make([][]byte, wgBatch), make([]int, wgBatch)
	for i := range bufs {
		bufs[i] = make([]byte, wgRoom)
	}
	return bufs, sizes
}

func wgTUN(s Setup) (Stack, error) {
	dev, err := wgtun.CreateTUN("bench0", 1500)
	if err != nil {
		return nil, err
	}
	if err := upTUN("bench0", addrA, 1500); err != nil {
		return nil, err
	}
	q := make(chan *stack.PacketBuffer, 512)
	l := &gvisorLink{mtu: 1500, gso: true}
	l.out = func(p *stack.PacketBuffer) { q <- p.IncRef() }
	g, err := newGvisor(l, addrB, s)
	if err != nil {
		return nil, err
	}
	go wgWrite(dev, q)
	go wgRead(dev, *l.disp.Load())
	return g, nil
}

// wgWrite cuts what the stack sends into wire segments and writes them.
func wgWrite(dev wgtun.Device, q chan *stack.PacketBuffer) {
	flat := make([]byte, 65535)
	bufs, sizes := wgBuffers()
	for p := range q {
		pkt := flat[:0]
		for _, s := range p.AsSlices() {
			pkt = append(pkt, s...)
		}
		o := wgtun.GSOOptions{GSOType: wgtun.GSONone, NeedsCsum: p.GSOOptions.NeedsCsum,
			CsumStart: p.GSOOptions.L3HdrLen, CsumOffset: p.GSOOptions.CsumOffset, GSOSize: p.GSOOptions.MSS}
		if p.GSOOptions.Type == stack.GSOTCPv4 {
			o.GSOType, o.HdrLen = wgtun.GSOTCPv4, uint16(p.HeaderSize())
		}
		p.DecRef()
		n, err := wgtun.GSOSplit(pkt, o, bufs, sizes, wgOff)
		if err != nil {
			fmt.Fprintln(os.Stderr, "wireguard-go GSOSplit:", err)
			return
		}
		for i := range n {
			bufs[i] = bufs[i][:wgOff+sizes[i]]
		}
		dev.Write(bufs[:n], wgOff)
		for i := range n {
			bufs[i] = bufs[i][:wgRoom]
		}
	}
}

// wgRead verifies and merges what the device delivers.
func wgRead(dev wgtun.Device, disp stack.NetworkDispatcher) {
	var gr gro.GRO
	gr.Init(true)
	gr.Dispatcher = disp
	bufs, sizes := wgBuffers()
	for {
		n, err := dev.Read(bufs, sizes, wgOff)
		if err != nil {
			return
		}
		for i := range n {
			b := bufs[i][wgOff : wgOff+sizes[i]]
			if len(b) < header.IPv4MinimumSize || b[0]>>4 != 4 || !checksumsOK(b) {
				continue
			}
			p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(bytes.Clone(b))})
			p.NetworkProtocolNumber = header.IPv4ProtocolNumber
			p.RXChecksumValidated = true
			gr.Enqueue(p)
			p.DecRef()
		}
		gr.Flush()
	}
}

// checksumsOK checks an IPv4 packet's header and TCP checksums.
func checksumsOK(b []byte) bool {
	h := header.IPv4(b)
	hl := int(h.HeaderLength())
	if len(b) < hl || ^wgtun.Checksum(b[:hl], 0) != 0 {
		return false
	}
	if h.Protocol() != uint8(header.TCPProtocolNumber) {
		return true
	}
	ps := wgtun.PseudoHeaderChecksum(h.Protocol(), h.SourceAddressSlice(), h.DestinationAddressSlice(), uint16(len(b)-hl))
	return ^wgtun.Checksum(b[hl:], ps) == 0
}
