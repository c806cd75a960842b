package system_test

import (
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
	"golang.org/x/sys/unix"
)

// The bits of TCP_INFO's tcpi_options.
const (
	infoTimestamps = 1
	infoSACK       = 2
	infoScale      = 4
	infoECN        = 8
)

// Each option that one side does without is in use at neither, and data goes
// both ways.
func TestOptionsSwitchedOff(t *testing.T) {
	cfg := func(f func(c *tcp.Config)) handfast.Config {
		c := tcp.DefaultConfig(tcp.ProfileLinux)
		f(c)
		return handfast.Config{TCP: c}
	}
	const all = infoTimestamps | infoSACK | infoScale
	for name, x := range map[string]struct {
		setup setup
		want  uint8
	}{
		"all in use":               {setup{}, all},
		"the kernel: no scaling":   {setup{sysctl: map[string]string{"net/ipv4/tcp_window_scaling": "0"}}, all &^ infoScale},
		"the kernel: no timestamp": {setup{sysctl: map[string]string{"net/ipv4/tcp_timestamps": "0"}}, all &^ infoTimestamps},
		"the kernel: no SACK":      {setup{sysctl: map[string]string{"net/ipv4/tcp_sack": "0"}}, all &^ infoSACK},
		"the kernel: none": {setup{sysctl: map[string]string{"net/ipv4/tcp_sack": "0",
			"net/ipv4/tcp_timestamps": "0", "net/ipv4/tcp_window_scaling": "0"}}, 0},
		"we: no scaling":   {setup{host: cfg(func(c *tcp.Config) { c.NoWindowScale = true })}, all &^ infoScale},
		"we: no timestamp": {setup{host: cfg(func(c *tcp.Config) { c.NoTimestamps = true })}, all &^ infoTimestamps},
		"we: no SACK":      {setup{host: cfg(func(c *tcp.Config) { c.NoSACK = true })}, all &^ infoSACK},
		"the RFC profile":  {setup{host: handfast.Config{TCP: tcp.DefaultConfig(tcp.ProfileRFC)}}, all},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, x.setup, func(l *lab) {
				l.bothDial(func(l *lab, p pair) {
					if err := bothWays(p, 3<<20); err != nil {
						l.Error(err)
					}
					i := l.kernelInfo(p.kernel)
					if i.Options&(all|infoECN) != x.want {
						l.Errorf("the kernel uses options %04b, want %04b", i.Options, x.want)
					}
					o := p.ours.Info()
					if o.Timestamps != (x.want&infoTimestamps != 0) || o.SACK != (x.want&infoSACK != 0) ||
						(o.SendScale != 0) != (x.want&infoScale != 0) {
						l.Errorf("we use %+v, want %04b", o, x.want)
					}
				})
			})
		})
	}
}

// A kernel's socket that asks for small segments gets no larger ones.
func TestSmallMSS(t *testing.T) {
	const size = 300_000
	for _, mss := range []int{88, 100, 536, 1000} {
		t.Run(fmt.Sprint(mss), func(t *testing.T) {
			for _, v6 := range []bool{false, true} {
				t.Run(family(v6), func(t *testing.T) {
					m := &meddler{}
					l := newLab(t, setup{wrap: m.wrap}, v6)
					largest := 0
					m.watch(func(out bool, p *pkt.Packet) {
						if n := cut(p); out && n > largest {
							largest = n
						}
					})
					ln := l.kernelListens(0)
					if err := controlListener(ln, func(fd int) error {
						return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, mss)
					}); err != nil {
						t.Fatal(err)
					}
					c, err := l.host.Dial("tcp", ln.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					k, err := ln.Accept()
					if err != nil {
						t.Fatal(err)
					}
					p := l.paired(c, k)
					if err := bothWays(p, size); err != nil {
						t.Error(err)
					}
					m.watch(nil)
					if want := mss - timestampsLen; largest != want {
						t.Errorf("our largest segment carries %d bytes, want %d", largest, want)
					}
				})
			}
		})
	}
}

// cut is the payload of each wire segment that a TCP packet stands for.
func cut(p *pkt.Packet) int {
	if p.GSOSize > 0 {
		return int(p.GSOSize)
	}
	if s, ok := segment(p); ok {
		return p.Len() - s.offset - s.tcp.HeaderLen()
	}
	return 0
}

// Small links: both ends cut to the MTU.
func TestSmallMTU(t *testing.T) {
	for _, x := range []struct {
		mtu int
		v6  bool
	}{{68, false}, {128, false}, {576, false}, {1280, false}, {1280, true}, {9000, true}, {65535, false}, {65535, true}} {
		t.Run(fmt.Sprintf("%d/%s", x.mtu, family(x.v6)), func(t *testing.T) {
			for _, plain := range []bool{false, true} {
				l := newLab4(t, setup{mtu: x.mtu, noOffload: plain}, x.v6, x.mtu < 1280)
				p := l.weDial()
				if err := bothWays(p, 1<<20); err != nil {
					t.Errorf("plain=%v: %v", plain, err)
				}
			}
		})
	}
}

// urgentRead reads the byte that a kernel's socket keeps apart.
func urgentRead(c *net.TCPConn) (byte, error) {
	var b [1]byte
	err := control(c, func(fd int) error {
		_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_OOB)
		return err
	})
	return b[0], err
}

// Our urgent data, as the kernel's application sees it: its last octet, taken
// out of the stream. RFC 6093 §2.2: the pointer is to the octet after it.
// With tcp_stdurg the kernel takes the pointer to be to the octet itself, as
// RFC 1122 has it and RFC 6093 §4 abolished: then it is the next one.
func TestOurUrgentData(t *testing.T) {
	for stdurg, want := range map[string]struct {
		urgent byte
		stream string
	}{"0": {'!', "abcdef"}, "1": {'d', "abc!ef"}} {
		t.Run("tcp_stdurg="+stdurg, func(t *testing.T) {
			each(t, setup{sysctl: map[string]string{"net/ipv4/tcp_stdurg": stdurg}}, func(l *lab) {
				p := l.weDial()
				p.ours.Write([]byte("abc"))
				if n, err := p.ours.SendUrgent([]byte("!")); n != 1 || err != nil {
					l.Fatalf("SendUrgent: %d, %v", n, err)
				}
				p.ours.Write([]byte("def"))
				p.ours.CloseWrite()
				l.await("the FIN", func() bool { return p.ours.Info().State == tcp.FinWait2 })
				if b, err := urgentRead(p.kernel); b != want.urgent || err != nil {
					l.Errorf("the urgent octet is %q, %v; want %q", b, err, want.urgent)
				}
				if got, err := readAll(p.kernel); got != want.stream || err != nil {
					l.Errorf("the stream is %q, %v; want %q", got, err, want.stream)
				}
			})
		})
	}
}

// The kernel's urgent data: it stays in the stream, and the mark tells how far
// it goes. What tcp_stdurg says does not change what the kernel sends.
func TestTheKernelsUrgentData(t *testing.T) {
	for _, stdurg := range []string{"0", "1"} {
		t.Run("tcp_stdurg="+stdurg, func(t *testing.T) {
			each(t, setup{sysctl: map[string]string{"net/ipv4/tcp_stdurg": stdurg}}, func(l *lab) {
				p := l.weDial()
				p.kernel.Write([]byte("abc"))
				if err := control(p.kernel, func(fd int) error { return unix.Sendto(fd, []byte("!"), unix.MSG_OOB, nil) }); err != nil {
					l.Fatal(err)
				}
				l.await("the urgent octet", func() bool { return p.ours.Info().Unread == 4 })
				if n, ok := p.ours.Urgent(); n != 4 || !ok {
					l.Errorf("%d octets to the end of the urgent data, %v; want 4", n, ok)
				}
				p.kernel.Write([]byte("def"))
				p.kernel.CloseWrite()
				if got, err := readAll(p.ours); got != "abc!def" || err != nil {
					l.Errorf("the stream is %q, %v", got, err)
				}
				if n, ok := p.ours.Urgent(); ok {
					l.Errorf("still %d urgent octets after all is read", n)
				}
			})
		})
	}
}

func readAll(c net.Conn) (string, error) {
	var all []byte
	var b [100]byte
	for {
		n, err := c.Read(b[:])
		all = append(all, b[:n]...)
		if err != nil {
			if err.Error() == "EOF" {
				err = nil
			}
			return string(all), err
		}
	}
}

// The kernel asks for ECN, and for accurate ECN if it knows that; a Host that
// has it switched off declines, and no packet of either side is marked.
func TestECNDeclined(t *testing.T) {
	for _, ecn := range []string{"1", "3"} {
		t.Run("tcp_ecn="+ecn, func(t *testing.T) {
			for _, v6 := range []bool{false, true} {
				t.Run(family(v6), func(t *testing.T) {
					m := &meddler{}
					l := newLab(t, setup{wrap: m.wrap, host: ecnHost(tcp.ECNOff)}, v6)
					if err := l.trySysctl("net/ipv4/tcp_ecn", ecn); err == syscall.EINVAL {
						t.Logf("this kernel has no tcp_ecn=%s", ecn)
						return
					}
					var asked, answered, marked int
					m.watch(func(out bool, p *pkt.Packet) {
						s, ok := segment(p)
						switch ece := ok && s.tcp.Flags()&(wire.FlagECE|wire.FlagCWR) != 0; {
						case !ok:
						case !out && s.tcp.Flags()&wire.FlagSYN != 0:
							if ece {
								asked++
							}
						case out && ece:
							answered++
						case s.tos&3 != 0:
							marked++
						}
					})
					p := l.theyDial()
					if err := bothWays(p, 1<<20); err != nil {
						t.Error(err)
					}
					m.watch(nil)
					if asked != 1 || answered != 0 || marked != 0 {
						t.Errorf("%d SYNs ask, %d of our segments answer, %d packets are marked", asked, answered, marked)
					}
				})
			}
		})
	}
}
