package differential

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/oracle"
	"github.com/handfast/handfast/wire"
	"golang.org/x/sys/unix"
)

// The addresses. Each script has a peer of its own, because the kernel
// remembers things of peers.
var (
	dut4  = netip.MustParseAddr("10.77.0.1")
	dut6  = netip.MustParseAddr("fd77::1")
	peer4 = netip.MustParsePrefix("10.77.0.0/16")
	peer6 = netip.MustParsePrefix("fd77::/64")
)

func prefixLen(a netip.Addr) int {
	if a.Is4() {
		return peer4.Bits()
	}
	return peer6.Bits()
}

// peerAddr is the peer of the nth script.
func peerAddr(n int, v6 bool) netip.Addr {
	if v6 {
		a := peer6.Addr().As16()
		a[14], a[15] = byte(1+n/200), byte(2+n%200)
		return netip.AddrFrom16(a)
	}
	a := peer4.Addr().As4()
	a[2], a[3] = byte(1+n/200), byte(2+n%200)
	return netip.AddrFrom4(a)
}

// sysctls are what the kernel is told, so that a machine's settings do not
// matter. Those that this kernel does not have are left out.
var sysctls = [][2]string{
	{"net/ipv4/tcp_ecn", "2"}, {"net/ipv4/tcp_ecn_fallback", "1"}, {"net/ipv4/tcp_ecn_option", "2"},
	{"net/ipv4/tcp_fastopen", "1"}, {"net/ipv4/tcp_fastopen_blackhole_timeout_sec", "0"},
	{"net/ipv4/tcp_rmem", "4096 131072 33554432"}, {"net/ipv4/tcp_wmem", "4096 16384 4194304"},
	{"net/ipv4/tcp_moderate_rcvbuf", "1"}, {"net/ipv4/tcp_adv_win_scale", "1"}, {"net/ipv4/tcp_app_win", "31"},
	{"net/ipv4/tcp_shrink_window", "0"}, {"net/ipv4/tcp_workaround_signed_windows", "0"},
	{"net/ipv4/tcp_early_retrans", "3"}, {"net/ipv4/tcp_recovery", "1"}, {"net/ipv4/tcp_frto", "2"},
	{"net/ipv4/tcp_reordering", "3"}, {"net/ipv4/tcp_max_reordering", "300"}, {"net/ipv4/tcp_retrans_collapse", "1"},
	{"net/ipv4/tcp_thin_linear_timeouts", "0"}, {"net/ipv4/tcp_rto_max_ms", "120000"}, {"net/ipv4/tcp_rto_min_us", "200000"},
	{"net/ipv4/tcp_sack", "1"}, {"net/ipv4/tcp_dsack", "1"}, {"net/ipv4/tcp_timestamps", "1"}, {"net/ipv4/tcp_window_scaling", "1"},
	{"net/ipv4/tcp_comp_sack_nr", "44"}, {"net/ipv4/tcp_comp_sack_delay_ns", "1000000"}, {"net/ipv4/tcp_comp_sack_slack_ns", "100000"},
	{"net/ipv4/tcp_syncookies", "1"}, {"net/ipv4/tcp_syn_retries", "6"}, {"net/ipv4/tcp_synack_retries", "5"},
	{"net/ipv4/tcp_syn_linear_timeouts", "4"}, {"net/ipv4/tcp_max_syn_backlog", "2048"}, {"net/core/somaxconn", "4096"},
	{"net/ipv4/tcp_abort_on_overflow", "0"}, {"net/ipv4/tcp_retries1", "3"}, {"net/ipv4/tcp_retries2", "15"},
	{"net/ipv4/tcp_orphan_retries", "0"}, {"net/ipv4/tcp_fin_timeout", "60"}, {"net/ipv4/tcp_tw_reuse", "2"},
	{"net/ipv4/tcp_tw_reuse_delay", "1000"}, {"net/ipv4/tcp_rfc1337", "0"}, {"net/ipv4/tcp_stdurg", "0"},
	{"net/ipv4/tcp_keepalive_time", "7200"}, {"net/ipv4/tcp_keepalive_intvl", "75"}, {"net/ipv4/tcp_keepalive_probes", "9"},
	{"net/ipv4/tcp_invalid_ratelimit", "500"}, {"net/ipv4/tcp_challenge_ack_limit", "2147483647"},
	{"net/ipv4/tcp_slow_start_after_idle", "1"}, {"net/ipv4/tcp_autocorking", "1"}, {"net/ipv4/tcp_notsent_lowat", "4294967295"},
	{"net/ipv4/tcp_limit_output_bytes", "4194304"}, {"net/ipv4/tcp_min_tso_segs", "2"}, {"net/ipv4/tcp_tso_win_divisor", "3"},
	{"net/ipv4/tcp_no_metrics_save", "1"}, {"net/ipv4/tcp_no_ssthresh_metrics_save", "1"}, {"net/ipv4/tcp_mtu_probing", "0"},
	{"net/ipv4/tcp_base_mss", "1024"}, {"net/ipv4/tcp_min_snd_mss", "48"}, {"net/ipv4/tcp_pingpong_thresh", "1"},
	{"net/ipv4/tcp_reflect_tos", "0"}, {"net/ipv4/tcp_min_rtt_wlen", "300"}, {"net/ipv4/tcp_backlog_ack_defer", "1"},
	{"net/ipv4/ip_default_ttl", "64"}, {"net/ipv4/ip_no_pmtu_disc", "0"}, {"net/ipv4/route/min_pmtu", "552"},
	{"net/ipv4/route/min_adv_mss", "256"}, {"net/ipv4/route/mtu_expires", "600"}, {"net/ipv4/ip_local_port_range", "32768 60999"},
	{"net/ipv4/icmp_ratelimit", "1000"}, {"net/ipv4/icmp_ratemask", "6168"}, {"net/ipv4/icmp_msgs_per_sec", "1000"},
	{"net/ipv4/conf/all/rp_filter", "0"}, {"net/ipv4/conf/default/rp_filter", "0"}, {"net/ipv4/ip_forward", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"}, {"net/ipv6/conf/default/hop_limit", "64"}, {"net/ipv6/conf/default/router_solicitations", "0"},
	{"net/ipv6/conf/all/forwarding", "0"}, {"net/ipv6/auto_flowlabels", "1"},
}

// knobSysctls are the settings of scripts that are the namespace's.
var knobSysctls = map[string]string{
	"sack": "net/ipv4/tcp_sack", "timestamps": "net/ipv4/tcp_timestamps", "wscale": "net/ipv4/tcp_window_scaling",
	"retries2": "net/ipv4/tcp_retries2", "synretries": "net/ipv4/tcp_syn_retries", "synackretries": "net/ipv4/tcp_synack_retries",
	"ecn": "net/ipv4/tcp_ecn", "syncookies": "net/ipv4/tcp_syncookies", "idlerestart": "net/ipv4/tcp_slow_start_after_idle",
	"finwait": "net/ipv4/tcp_fin_timeout", "fastopen": "net/ipv4/tcp_fastopen",
}

// place is a namespace with a TUN device where scripts are played, one after
// the other.
type place struct {
	ns  *oracle.Namespace
	tun int
}

// deviceName is what the device is called in each namespace.
const deviceName = "wire0"

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{ns: oracle.New(t)}
	err := p.ns.Do(func() (err error) {
		for _, kv := range sysctls {
			err := os.WriteFile(filepath.Join("/proc/sys", kv[0]), []byte(kv[1]), 0)
			if err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("%s = %s: %w", kv[0], kv[1], err)
			}
		}
		p.tun, err = openTUN()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p.tun) })
	p.ns.Run(t, "ip", "addr", "add", netip.PrefixFrom(dut4, peer4.Bits()).String(), "dev", deviceName)
	p.ns.Run(t, "ip", "link", "set", deviceName, "mtu", "1500", "txqueuelen", "1000", "up")
	p.ns.Run(t, "ip", address6()...)
	return p
}

func openTUN() (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("open", err)
	}
	ifr, err := unix.NewIfreq(deviceName)
	if err != nil {
		return -1, err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	return fd, os.NewSyscallError("TUNSETIFF", unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr))
}

// kernelSide is the kernel of a place, for one script.
type kernelSide struct {
	pl        *place
	start     time.Time
	dut, peer netip.Addr
	port      uint16
	got       []arrival
	listener  int
	socks     map[int]int
	preset    []*step
	failed    error
}

// newKernelSide sets what the script wants set; end sets it back.
func newKernelSide(pl *place, s *script, dut, peer netip.Addr, port uint16) (*kernelSide, error) {
	k := &kernelSide{pl: pl, dut: dut, peer: peer, port: port, listener: -1, socks: map[int]int{}}
	for _, name := range []string{"rcvbuf", "sndbuf"} {
		if v := s.knob(name); v != "" {
			k.preset = append(k.preset, &step{verb: "set", args: []string{name, v}})
		}
	}
	err := pl.ns.Do(func() error {
		for _, kv := range s.knobs {
			if key := knobSysctls[kv[0]]; key != "" {
				if err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(kv[1]), 0); err != nil {
					return err
				}
			}
		}
		if s.knob("mtu") != "" {
			return setMTU(s.number("mtu", 1500))
		}
		return nil
	})
	k.start = time.Now()
	return k, err
}

func setMTU(mtu int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(deviceName)
	if err != nil {
		return err
	}
	ifr.SetUint32(uint32(mtu))
	return os.NewSyscallError("SIOCSIFMTU", unix.IoctlIfreq(fd, unix.SIOCSIFMTU, ifr))
}

// end closes what the script left open, without a word to the peer that a
// later script could hear, and sets the place back.
func (k *kernelSide) end(s *script) error {
	for _, fd := range k.socks {
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
	}
	if k.listener >= 0 {
		unix.Close(k.listener)
	}
	return k.pl.ns.Do(func() error {
		for _, kv := range s.knobs {
			for _, d := range sysctls {
				if d[0] == knobSysctls[kv[0]] {
					if err := os.WriteFile(filepath.Join("/proc/sys", d[0]), []byte(d[1]), 0); err != nil {
						return err
					}
				}
			}
		}
		if s.knob("mtu") == "" {
			return nil
		}
		if err := setMTU(1500); err != nil || s.number("mtu", 1500) >= wire.IPv6MinMTU {
			return err
		}
		// Below the least MTU of IPv6 the kernel has dropped its address.
		return exec.Command("ip", address6()...).Run()
	})
}

// address6 gives the device its address of IPv6.
func address6() []string {
	return []string{"-6", "addr", "add", netip.PrefixFrom(dut6, peer6.Bits()).String(), "dev", deviceName, "nodad"}
}

func (k *kernelSide) now() time.Duration { return time.Since(k.start) }

func (k *kernelSide) begin(int) time.Duration { return k.now() }

// until receives packets as they come.
func (k *kernelSide) until(_ int, from, d time.Duration) {
	for k.receive() {
		left := from + d - k.now()
		if left <= 0 {
			return
		}
		fds := []unix.PollFd{{Fd: int32(k.pl.tun), Events: unix.POLLIN}}
		ts := unix.NsecToTimespec(left.Nanoseconds())
		unix.Ppoll(fds, &ts, nil)
	}
}

// receive takes what the device has; false after an error.
func (k *kernelSide) receive() bool {
	var b [65536]byte
	for {
		n, err := unix.Read(k.pl.tun, b[:])
		switch err {
		case nil:
			k.got = append(k.got, arrival{k.now(), append([]byte(nil), b[:n]...)})
		case unix.EINTR:
		case unix.EAGAIN:
			return true
		default:
			k.failed = err
			return false
		}
	}
}

func (k *kernelSide) inject(raw []byte) {
	if _, err := unix.Write(k.pl.tun, raw); err != nil && len(raw) > 0 {
		k.failed = err
	}
	k.receive()
}

func (k *kernelSide) take() []arrival {
	k.receive()
	all := k.got
	k.got = nil
	return all
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// socket opens a socket in the namespace with what was set beforehand.
func (k *kernelSide) socket() (fd int, err error) {
	family := unix.AF_INET
	if !k.dut.Is4() {
		family = unix.AF_INET6
	}
	err = k.pl.ns.Do(func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
		return err
	})
	if err != nil {
		return -1, err
	}
	for _, st := range k.preset {
		k.set(fd, st)
	}
	return fd, unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
}

func (k *kernelSide) call(f *flow, st *step) string {
	switch st.verb {
	case "listen":
		fd, err := k.socket()
		if err != nil {
			return errnoName(err)
		}
		k.listener = fd
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(k.dut, k.port))); err != nil {
			return errnoName(err)
		}
		backlog := st.num(0)
		if backlog == 0 {
			backlog = 4096
		}
		return errnoName(unix.Listen(fd, backlog))
	case "unlisten":
		err := unix.Close(k.listener)
		k.listener = -1
		return errnoName(err)
	case "connect", "fastopen":
		fd, err := k.socket()
		if err != nil {
			return errnoName(err)
		}
		k.socks[f.n] = fd
		if st.verb == "fastopen" {
			n, err := unix.SendmsgN(fd, f.pattern(st.num(0)), nil, sockaddr(netip.AddrPortFrom(k.peer, f.peerPort)), unix.MSG_FASTOPEN|unix.MSG_DONTWAIT)
			if err != nil {
				return errnoName(err)
			}
			return strconv.Itoa(n)
		}
		return errnoName(unix.Connect(fd, sockaddr(netip.AddrPortFrom(k.peer, f.peerPort))))
	case "accept":
		fd, from, err := unix.Accept4(k.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return errnoName(err)
		}
		port := 0
		switch a := from.(type) {
		case *unix.SockaddrInet4:
			port = a.Port
		case *unix.SockaddrInet6:
			port = a.Port
		}
		k.socks[port-peerPort] = fd
		return "flow " + strconv.Itoa(port-peerPort)
	}
	fd, ok := k.socks[f.n]
	if !ok {
		if st.verb == "set" {
			k.preset = append(k.preset, st)
			return "ok"
		}
		return "EBADF"
	}
	return k.callConn(fd, f, st)
}

// shutdowns are the arguments of a line "shutdown".
var shutdowns = map[string]int{"r": unix.SHUT_RD, "w": unix.SHUT_WR, "rw": unix.SHUT_RDWR}

func (k *kernelSide) callConn(fd int, f *flow, st *step) string {
	switch st.verb {
	case "read":
		b := make([]byte, st.num(0))
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		switch {
		case err != nil:
			return errnoName(err)
		case n == 0:
			return "EOF"
		}
		return readResult(b[:n])
	case "write", "urgent":
		flags := unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
		if st.verb == "urgent" {
			flags |= unix.MSG_OOB
		}
		n, err := unix.SendmsgN(fd, f.pattern(st.num(0)), nil, nil, flags)
		if err != nil {
			return errnoName(err)
		}
		return strconv.Itoa(n)
	case "shutdown":
		return errnoName(unix.Shutdown(fd, shutdowns[st.arg(0)]))
	case "close":
		delete(k.socks, f.n)
		k.socks[f.n] = -1
		return errnoName(unix.Close(fd))
	case "set":
		return errnoName(k.set(fd, st))
	case "error":
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && n != 0 {
			err = unix.Errno(n)
		}
		return errnoName(err)
	case "state":
		i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return errnoName(err)
		}
		return kernelStates[i.State]
	}
	return "no such call"
}

// kernelStates are the kernel's numbers of states. A socket whose connection
// is in TIME-WAIT, or that is closed, says 7.
var kernelStates = map[uint8]string{1: "ESTABLISHED", 2: "SYN-SENT", 3: "SYN-RECEIVED", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2",
	6: "CLOSED", 7: "CLOSED", 8: "CLOSE-WAIT", 9: "LAST-ACK", 10: "LISTEN", 11: "CLOSING", 12: "SYN-RECEIVED"}

func (k *kernelSide) set(fd int, st *step) error {
	option := func(level, name int) error { return unix.SetsockoptInt(fd, level, name, st.num(1)) }
	switch st.arg(0) {
	case "nodelay":
		return option(unix.IPPROTO_TCP, unix.TCP_NODELAY)
	case "keepalive":
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, min(1, st.num(1))); err != nil || st.num(1) == 0 {
			return err
		}
		for i, name := range []int{unix.TCP_KEEPIDLE, unix.TCP_KEEPINTVL, unix.TCP_KEEPCNT} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, name, st.num(1+i)); err != nil {
				return err
			}
		}
		return nil
	case "usertimeout":
		return option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	case "tos":
		if k.dut.Is4() {
			return option(unix.IPPROTO_IP, unix.IP_TOS)
		}
		return option(unix.IPPROTO_IPV6, unix.IPV6_TCLASS)
	case "ttl":
		if k.dut.Is4() {
			return option(unix.IPPROTO_IP, unix.IP_TTL)
		}
		return option(unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS)
	case "linger":
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(st.num(1))})
	case "rcvbuf":
		return option(unix.SOL_SOCKET, unix.SO_RCVBUF)
	case "sndbuf":
		return option(unix.SOL_SOCKET, unix.SO_SNDBUF)
	}
	return unix.EINVAL
}
