package system_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/internal/oracle"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/tun"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// The largest payloads of UDP datagrams.
const (
	maxUDP4 = 65535 - wire.IPv4MinLen - wire.UDPLen
	maxUDP6 = 65535 - wire.UDPLen
)

// echoPackets sends datagrams back until the socket is closed.
func echoPackets(c net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		c.WriteTo(buf[:n], from)
	}
}

// Datagrams of all sizes, fragmented where they must be, reach the other side
// and come back.
func TestDatagrams(t *testing.T) {
	everyWay(t, func(l *lab) {
		ours, err := l.host.ListenPacket(context.Background(), "udp", l.ourAt(7))
		if err != nil {
			l.Fatal(err)
		}
		defer ours.Close()
		theirs, err := l.ns.ListenPacket("udp", l.at(7))
		if err != nil {
			l.Fatal(err)
		}
		defer theirs.Close()
		go echoPackets(ours)
		go echoPackets(theirs)
		largest := maxUDP4
		if l.v6 {
			largest = maxUDP6
		}
		for who, dial := range map[string]func() (net.Conn, error){
			"we ask":          func() (net.Conn, error) { return l.host.Dial("udp", l.at(7)) },
			"the kernel asks": func() (net.Conn, error) { return l.ns.Dial("udp", l.ourAt(7)) },
		} {
			c, err := dial()
			if err != nil {
				l.Fatal(err)
			}
			defer c.Close()
			for _, n := range []int{0, 1, 1452, 1453, 1472, 1473, 3001, 20000, largest} {
				want, _ := io.ReadAll(noise(byte(n), int64(n)))
				deadline(c)
				if _, err := c.Write(want); err != nil {
					l.Errorf("%s: %d bytes: %v", who, n, err)
					continue
				}
				got := make([]byte, 1<<16)
				k, err := c.Read(got)
				if err != nil || !bytes.Equal(got[:k], want) {
					l.Errorf("%s: %d bytes came back as %d, %v", who, n, k, err)
				}
			}
		}
	})
}

// A datagram for a port that nobody has is an error at the next read.
func TestPortUnreachable(t *testing.T) {
	each(t, setup{}, func(l *lab) {
		for who, dial := range map[string]func() (net.Conn, error){
			"we ask":          func() (net.Conn, error) { return l.host.Dial("udp", l.at(9)) },
			"the kernel asks": func() (net.Conn, error) { return l.ns.Dial("udp", l.ourAt(9)) },
		} {
			c, err := dial()
			if err != nil {
				l.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience / 10))
			if _, err := c.Write([]byte("anybody there?")); err != nil {
				l.Fatal(err)
			}
			var b [10]byte
			if n, err := c.Read(b[:]); !errors.Is(err, syscall.ECONNREFUSED) {
				l.Errorf("%s: read %d, %v", who, n, err)
			}
		}
	})
}

// The kernel pings us, up to what takes many fragments each way.
func TestKernelPingsUs(t *testing.T) {
	everyWay(t, func(l *lab) {
		network, reply := "ip4:icmp", byte(wire.ICMPv4EchoReply)
		if l.v6 {
			network, reply = "ip6:ipv6-icmp", wire.ICMPv6EchoReply
		}
		c, err := l.ns.ListenPacket(network, l.kernel.String())
		if err != nil {
			l.Fatal(err)
		}
		defer c.Close()
		for seq, n := range []int{0, 1, 56, 1473, 3000, 30_001} {
			msg, _ := io.ReadAll(noise(byte(n), int64(wire.ICMPLen+n)))
			if l.v6 {
				src, dst := wire.AddrFrom(l.kernel), wire.AddrFrom(l.ours)
				wire.PutICMPv6Echo(msg, &src, &dst, false, 7, uint16(seq))
			} else {
				wire.PutICMPv4Echo(msg, false, 7, uint16(seq))
			}
			c.SetDeadline(time.Now().Add(patience / 10))
			if _, err := c.WriteTo(msg, &net.IPAddr{IP: l.ours.AsSlice()}); err != nil {
				l.Fatal(err)
			}
			got := make([]byte, 1<<16)
			for {
				k, _, err := c.ReadFrom(got)
				if err != nil {
					l.Fatalf("%d bytes: %v", n, err)
				}
				if got[0] != reply { // what the kernel hears of its own neighbours
					continue
				}
				if !bytes.Equal(got[4:k], msg[4:]) {
					l.Errorf("%d bytes came back as %d, or not the same", n, k-wire.ICMPLen)
				}
				break
			}
		}
	})
}

// shuttle carries packets of up to most bytes from one device to another until
// either is closed; larger ones vanish.
func shuttle(from, to link.Device, most int) {
	in, out := from.Queues()[0], to.Queues()[0]
	var batch [16]*pkt.Packet
	for {
		n, err := in.Read(batch[:])
		if err != nil {
			return
		}
		kept := batch[:0]
		for _, p := range batch[:n] { // what was read without offloads is one frame
			if p.Len() > most {
				p.Release()
				continue
			}
			p.Csum = pkt.CsumUnknown
			kept = append(kept, p)
		}
		if len(kept) > 0 {
			out.Write(kept)
		}
	}
}

// beyond makes a second kernel behind the lab's, which becomes a router with
// a link of mtu bytes to it, in which packets of more than hole bytes vanish. It
// returns the namespace and its address.
func (l *lab) beyond(mtu, hole int) (*oracle.Namespace, netip.Addr) {
	l.Helper()
	far := oracle.New(l)
	near4, near6 := netip.MustParsePrefix("10.8.0.1/24"), netip.MustParsePrefix("fd08::1/64")
	far4, far6 := netip.MustParsePrefix("10.8.0.2/24"), netip.MustParsePrefix("fd08::2/64")
	l.ns.Sysctl(l, "net/ipv4/ip_forward", "1")
	l.ns.Sysctl(l, "net/ipv6/conf/all/forwarding", "1")
	var a, b *tun.Device
	err := l.ns.Do(func() (err error) {
		a, err = tun.Open(tun.Config{Kernel: []netip.Prefix{near4, near6}, MTU: mtu, NoOffload: true})
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { a.Close() })
	err = far.Do(func() (err error) {
		b, err = tun.Open(tun.Config{Kernel: []netip.Prefix{far4, far6}, MTU: 1500, NoOffload: true})
		if err != nil {
			return err
		}
		return errors.Join(b.AddRoute(netip.MustParsePrefix("10.9.0.0/24")), b.AddRoute(netip.MustParsePrefix("fd09::/64")))
	})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { b.Close() })
	go shuttle(a, b, hole)
	go shuttle(b, a, hole)
	if l.v6 {
		return far, far6.Addr()
	}
	return far, far4.Addr()
}

// A router on the way has a narrower link and says so: the connection and
// datagrams that follow fit it. RFC 1191, RFC 8201.
func TestPathMTU(t *testing.T) {
	const mtu = 1300
	everyWay(t, func(l *lab) {
		far, addr := l.beyond(mtu, mtu)
		ln, err := far.Listen("tcp", netip.AddrPortFrom(addr, 80).String())
		if err != nil {
			l.Fatal(err)
		}
		defer ln.Close()
		c, err := l.host.Dial("tcp", ln.Addr().String())
		if err != nil {
			l.Fatal(err)
		}
		ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		k, err := ln.Accept()
		if err != nil {
			l.Fatal(err)
		}
		p := l.paired(c, k)
		if err := carry(p.ours, p.kernel, 12, 2<<20); err != nil {
			l.Errorf("%v: %+v", err, p.ours.Info())
		}
		want := uint32(mtu - wire.IPv4MinLen - wire.TCPMinLen - timestampsLen)
		if l.v6 {
			want = mtu - wire.IPv6Len - wire.TCPMinLen - timestampsLen
		}
		if got := p.ours.Info().SendMSS; got != want {
			l.Errorf("segments carry %d bytes, want %d", got, want)
		}
		u, err := far.ListenPacket("udp", netip.AddrPortFrom(addr, 7).String())
		if err != nil {
			l.Fatal(err)
		}
		defer u.Close()
		if err := datagramArrives(l.host, u, 1400); err != nil {
			l.Error(err)
		}
	})
}

// Behind the router packets above a size vanish in both directions, and nobody
// says so: what we send arrives, and what the kernel sends to us, which is made
// to look for the path's MTU as we do. RFC 4821 §7.7.
func TestBlackHole(t *testing.T) {
	const hole, size = 1350, 1 << 20
	each(t, setup{}, func(l *lab) {
		far, addr := l.beyond(1500, hole)
		far.Sysctl(l, "net/ipv4/tcp_mtu_probing", "1")
		ln, err := far.Listen("tcp", netip.AddrPortFrom(addr, 80).String())
		if err != nil {
			l.Fatal(err)
		}
		defer ln.Close()
		for i := range 2 {
			c, err := l.host.Dial("tcp", ln.Addr().String())
			if err != nil {
				l.Fatal(err)
			}
			ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
			k, err := ln.Accept()
			if err != nil {
				l.Fatal(err)
			}
			p := l.paired(c, k)
			start := time.Now()
			if err := carry(p.ours, p.kernel, 14, size); err != nil {
				l.Errorf("connection %d, to the kernel: %v: %+v", i, err, p.ours.Info())
			}
			info, took := p.ours.Info(), time.Since(start)
			if info.PathMTU > hole || info.PathMTU < hole-100 {
				l.Errorf("connection %d: packets of %d bytes through a hole of %d", i, info.PathMTU, hole)
			}
			if i == 1 && took > time.Second {
				l.Errorf("the second connection took %v", took)
			}
			if i == 0 {
				if err := carry(p.kernel, p.ours, 15, size); err != nil {
					l.Errorf("from the kernel: %v", err)
				}
			}
			p.ours.Close()
			p.kernel.Close()
		}
	})
}

// datagramArrives sends n bytes from the Host to a socket of a kernel's.
func datagramArrives(h *handfast.Host, to net.PacketConn, n int) error {
	c, err := h.Dial("udp", to.LocalAddr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	want, _ := io.ReadAll(noise(13, int64(n)))
	if _, err := c.Write(want); err != nil {
		return err
	}
	got := make([]byte, 1<<16)
	to.SetDeadline(time.Now().Add(patience / 10))
	k, _, err := to.ReadFrom(got)
	if err == nil && !bytes.Equal(got[:k], want) {
		err = fmt.Errorf("%d bytes came as %d", n, k)
	}
	return err
}
