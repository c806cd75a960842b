package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// netns is a second network namespace, held by one locked thread.
// A nil *netns is the process's own.
type netns struct {
	tid int
	do  chan func()
}

func newNetns() (*netns, error) {
	n := &netns{do: make(chan func())}
	errc := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.tid = unix.Gettid()
		errc <- err
		for f := range n.do {
			f()
		}
	}()
	return n, <-errc
}

// Do runs f in the namespace.
func (n *netns) Do(f func() error) error {
	if n == nil {
		return f()
	}
	errc := make(chan error)
	n.do <- func() { errc <- f() }
	return <-errc
}

// sh runs commands, one a line, in the namespace.
func (n *netns) sh(script string) error {
	return n.Do(func() error {
		for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
			a := strings.Fields(line)
			if out, err := exec.Command(a[0], a[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %v: %s", strings.TrimSpace(line), err, out)
			}
		}
		return nil
	})
}

// sysctls sets the buffers that autotuning may reach, and room for many
// connections.
func (n *netns) sysctls(backlog int) error {
	return n.Do(func() error {
		for _, kv := range [][2]string{
			{"ipv4/tcp_rmem", "4096 131072 16777216"},
			{"ipv4/tcp_wmem", "4096 16384 12582912"},
			{"ipv4/ip_local_port_range", "1024 65535"},
			{"ipv4/tcp_no_metrics_save", "1"},
			{"ipv4/conf/all/rp_filter", "0"},
			{"ipv4/conf/default/rp_filter", "0"},
			{"core/somaxconn", strconv.Itoa(backlog)},
			{"ipv4/tcp_max_syn_backlog", strconv.Itoa(max(backlog, 128))},
		} {
			if err := os.WriteFile("/proc/sys/net/"+kv[0], []byte(kv[1]), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

type kernelStack struct {
	ns      *netns
	addr    netip.Addr
	cc      string // "" is cubic, whatever the machine's default
	backlog int
}

// stack is a kernel in a namespace as the setup wants it.
func (s Setup) stack(ns *netns, addr netip.Addr) kernelStack {
	return kernelStack{ns, addr, s.Config, s.Backlog}
}

// control sets the congestion control, since the machine's default may be any.
func (k kernelStack) control(_, _ string, c syscall.RawConn) (err error) {
	cc := k.cc
	if cc == "" {
		cc = "cubic"
	}
	c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, cc)
	})
	return err
}

func (k kernelStack) Listen(port uint16) (l net.Listener, err error) {
	err = k.ns.Do(func() error {
		lc := net.ListenConfig{Control: k.control, KeepAlive: -1}
		lc.SetMultipathTCP(false)
		l, err = lc.Listen(context.Background(), "tcp4", netip.AddrPortFrom(k.addr, port).String())
		if err == nil { // net.Listen read the somaxconn of the process's first namespace
			var rc syscall.RawConn
			if rc, err = l.(*net.TCPListener).SyscallConn(); err == nil {
				rc.Control(func(fd uintptr) { err = unix.Listen(int(fd), k.backlog) })
			}
		}
		return err
	})
	return l, err
}

func (k kernelStack) Dial(dst netip.AddrPort) (c net.Conn, err error) {
	err = k.ns.Do(func() error {
		d := net.Dialer{Control: k.control, KeepAlive: -1, Timeout: connectTimeout}
		c, err = d.Dial("tcp4", dst.String())
		return err
	})
	return c, err
}

func (k kernelStack) Retransmits() (r Retransmits) {
	k.ns.Do(func() error {
		r = Retransmits{counter("snmp", "RetransSegs"), counter("netstat", "TCPTimeouts"), counter("netstat", "TCPLossProbes")}
		return nil
	})
	return r
}

// Describe tells what "ss -ti" would.
func (k kernelStack) Describe(c net.Conn) string {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return ""
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return err.Error()
	}
	text := ""
	rc.Control(func(fd uintptr) {
		i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			text = err.Error()
			return
		}
		text = fmt.Sprintf("cwnd %d ssthresh %d unacked %d sacked %d lost %d resent %d state %d srtt %.1f rttvar %.1f rto %.0f ms reord %d pacing %.1f Mbit/s unsent %d snd_wnd %d",
			i.Snd_cwnd, i.Snd_ssthresh, i.Unacked, i.Sacked, i.Lost, i.Total_retrans, i.Ca_state,
			float64(i.Rtt)/1e3, float64(i.Rttvar)/1e3, float64(i.Rto)/1e3, i.Reordering,
			float64(i.Pacing_rate)*8/1e6, i.Notsent_bytes, i.Snd_wnd)
	})
	return text
}

// counter reads /proc/thread-self/net/file, lines of names before lines of values.
func counter(file, name string) float64 {
	b, _ := os.ReadFile("/proc/thread-self/net/" + file)
	l := strings.Split(string(b), "\n")
	for i := 0; i+1 < len(l); i += 2 {
		if j := slices.Index(strings.Fields(l[i]), name); j >= 0 {
			v, _ := strconv.ParseFloat(strings.Fields(l[i+1])[j], 64)
			return v
		}
	}
	return -1
}

// openTUN makes a TUN device in the current namespace and brings it up.
func openTUN(name string, addr netip.Addr, mtu int, vnet bool) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ifr, _ := unix.NewIfreq(name)
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if vnet {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return nil, err
	}
	if vnet {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6); err != nil {
			return nil, err
		}
	}
	if err := upTUN(name, addr, mtu); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

func upTUN(name string, addr netip.Addr, mtu int) error {
	return (*netns)(nil).sh(fmt.Sprintf("ip link set %s mtu %d txqueuelen 10000 up\nip addr add %s/24 dev %s",
		name, mtu, addr, name))
}

type kernelPeer struct{}

func (kernelPeer) Links() []string { return []string{"lo", "veth-1500", "veth-1500-nooff"} }
func (kernelPeer) Tuns() []string  { return []string{"vnet", "plain"} }

func (kernelPeer) Pair(link string, s Setup) (a, b Stack, err error) {
	var own *netns
	if err := own.sysctls(s.Backlog); err != nil {
		return nil, nil, err
	}
	if err := own.sh("ip link set lo up"); err != nil {
		return nil, nil, err
	}
	if link == "lo" {
		err := own.sh(fmt.Sprintf("ip addr add %s/32 dev lo\nip addr add %s/32 dev lo", addrA, addrB))
		return s.stack(nil, addrA), s.stack(nil, addrB), err
	}
	ns, err := vethPair(link == "veth-1500", s.Backlog)
	return s.stack(nil, addrA), s.stack(ns, addrB), err
}

func vethPair(offload bool, backlog int) (*netns, error) {
	var own *netns
	ns, err := newNetns()
	if err != nil {
		return nil, err
	}
	if err := ns.sysctls(backlog); err != nil {
		return nil, err
	}
	if err := own.sh(fmt.Sprintf(`ip link add va type veth peer name vb netns %d
		ip addr add %s/24 dev va
		ip link set va mtu 1500 up`, ns.tid, addrA)); err != nil {
		return nil, err
	}
	if err := ns.sh(fmt.Sprintf("ip link set lo up\nip addr add %s/24 dev vb\nip link set vb mtu 1500 up", addrB)); err != nil {
		return nil, err
	}
	if !offload {
		for n, dev := range map[*netns]string{nil: "va", ns: "vb"} {
			if err := n.sh("ethtool -K " + dev + " tso off gso off gro off tx off rx off sg off"); err != nil {
				return nil, err
			}
		}
	}
	return ns, nil
}

// Tun for the kernel puts a second namespace's kernel behind the TUN, with
// this process carrying the packets between two devices.
func (kernelPeer) Tun(how string, s Setup) (Stack, error) {
	fa, err := openTUN("bench0", addrA, 1500, how == "vnet")
	if err != nil {
		return nil, err
	}
	ns, err := newNetns()
	if err != nil {
		return nil, err
	}
	var fb *os.File
	err = ns.Do(func() error {
		fb, err = openTUN("bench1", addrB, 1500, how == "vnet")
		return err
	})
	if err == nil {
		err = ns.sysctls(s.Backlog)
	}
	if err != nil {
		return nil, err
	}
	carry := func(dst, src *os.File) {
		buf := make([]byte, 66000)
		for {
			n, err := src.Read(buf)
			if err != nil {
				return
			}
			dst.Write(buf[:n])
		}
	}
	go carry(fa, fb)
	go carry(fb, fa)
	return s.stack(ns, addrB), nil
}

func (kernelPeer) Wire(p Port, addr netip.Addr, s Setup) (Stack, error) {
	ns, err := newNetns()
	if err != nil {
		return nil, err
	}
	var f *os.File
	err = ns.Do(func() error {
		f, err = openTUN("wire0", addr, 1500, false)
		return err
	})
	if err == nil {
		err = ns.sysctls(s.Backlog)
	}
	if err != nil {
		return nil, err
	}
	p.Recv(func(pkt []byte) { f.Write(pkt) })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			p.Send(buf[:n])
		}
	}()
	return s.stack(ns, addr), nil
}

func (kernelPeer) Flood(s Setup) (client, server Stack, inject func([]byte), err error) {
	if err := (*netns)(nil).sysctls(s.Backlog); err != nil {
		return nil, nil, nil, err
	}
	ns, err := vethPair(true, s.Backlog)
	if err != nil {
		return nil, nil, nil, err
	}
	var f *os.File
	err = ns.Do(func() error {
		f, err = openTUN("flood0", netip.MustParseAddr("10.99.0.1"), 1500, false)
		return err
	})
	if err == nil {
		err = ns.sh("ip route add default dev flood0")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	go func() { // the answers to the flood
		buf := make([]byte, 2048)
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}
		}
	}()
	return s.stack(nil, addrA), s.stack(ns, addrB), func(p []byte) { f.Write(p) }, nil
}
