package system_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/internal/oracle"
	"github.com/handfast/handfast/internal/require"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/tun"
	"golang.org/x/sys/unix"
)

// patience bounds a wait for something that happens within milliseconds on an
// idle machine; a test that waits for so long has failed.
const patience = 30 * time.Second

// pollEvery is how often a condition of the kernel's is looked at that nothing
// announces.
const pollEvery = 5 * time.Millisecond

// maxTable bounds what a failure prints of the kernel's sockets, in bytes.
const maxTable = 2000

// setup says how a lab differs from the usual one. The zero setup is a Host as
// it comes, on a device with virtio headers and an MTU of 1500.
type setup struct {
	noOffload bool
	mtu       int
	sysctl    map[string]string
	host      handfast.Config
	wrap      func(link.Device) link.Device
}

// lab is a Host, a kernel in a namespace of its own, and the wire between.
type lab struct {
	*testing.T
	ns     *oracle.Namespace
	host   *handfast.Host
	dev    *tun.Device
	v6     bool
	kernel netip.Addr
	ours   netip.Addr
}

// The two ends of the wire.
const (
	kernel4, kernel6 = "10.9.0.1/24", "fd09::1/64"
	ours4, ours6     = "10.9.0.2/24", "fd09::2/64"
)

// each runs f over IPv4 and over IPv6, each in a lab of its own.
func each(t *testing.T, s setup, f func(l *lab)) {
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) { f(newLab(t, s, v6)) })
	}
}

func family(v6 bool) string {
	if v6 {
		return "IPv6"
	}
	return "IPv4"
}

func newLab(t *testing.T, s setup, v6 bool) *lab {
	t.Helper()
	return newLab4(t, s, v6, false)
}

// newLab4 is newLab, without IPv6 if only4 is set: a link with an MTU below
// 1280 has none.
func newLab4(t *testing.T, s setup, v6, only4 bool) *lab {
	t.Helper()
	require.TUN(t)
	l := &lab{T: t, ns: oracle.New(t), v6: v6}
	for key, value := range s.sysctl {
		l.ns.Sysctl(t, key, value)
	}
	k4, k6 := netip.MustParsePrefix(kernel4), netip.MustParsePrefix(kernel6)
	o4, o6 := netip.MustParsePrefix(ours4), netip.MustParsePrefix(ours6)
	l.kernel, l.ours = k4.Addr(), o4.Addr()
	if v6 {
		l.kernel, l.ours = k6.Addr(), o6.Addr()
	}
	if s.mtu == 0 {
		s.mtu = 1500
	}
	theirs, ours := []netip.Prefix{k4, k6}, []netip.Prefix{o4, o6}
	if only4 {
		theirs, ours = theirs[:1], ours[:1]
	}
	err := l.ns.Do(func() (err error) {
		l.dev, err = tun.Open(tun.Config{Kernel: theirs, MTU: s.mtu, NoOffload: s.noOffload})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.host, err = handfast.New(s.host)
	if err != nil {
		t.Fatal(err)
	}
	var dev link.Device = l.dev
	if s.wrap != nil {
		dev = s.wrap(dev)
	}
	if _, err := l.host.Attach(dev, ours...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.end)
	return l
}

// end closes the Host and looks for what it has kept.
func (l *lab) end() {
	if err := l.host.Close(); err != nil {
		l.Errorf("closing the Host: %v", err)
	}
	if c, p := l.host.Outstanding(); c != 0 || p != 0 {
		l.Errorf("%d chunks and %d packets of the Host are still handed out", c, p)
	}
}

// nsDial is Dial with the kernel.
func (l *lab) nsDial(address string) (net.Conn, error) { return l.ns.Dial("tcp", address) }

// trySysctl sets a parameter of the namespace that this kernel may not know.
func (l *lab) trySysctl(key, value string) error {
	err := l.ns.Do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0) })
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// at is an address of the kernel's side, ourAt of ours.
func (l *lab) at(port uint16) string    { return netip.AddrPortFrom(l.kernel, port).String() }
func (l *lab) ourAt(port uint16) string { return netip.AddrPortFrom(l.ours, port).String() }

// listen listens on the Host.
func (l *lab) listen(port uint16) *handfast.Listener {
	l.Helper()
	ln, err := l.host.Listen(context.Background(), "tcp", l.ourAt(port))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { ln.Close() })
	return ln.(*handfast.Listener)
}

// kernelListens listens in the namespace.
func (l *lab) kernelListens(port uint16) *net.TCPListener {
	l.Helper()
	ln, err := l.ns.Listen("tcp", l.at(port))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// duplex is what *net.TCPConn and *handfast.Conn have in common and the tests
// need.
type duplex interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
	SetLinger(sec int) error
	SetNoDelay(noDelay bool) error
}

// pair is one connection seen from both ends.
type pair struct {
	ours   *handfast.Conn
	kernel *net.TCPConn
}

// deadline bounds what a connection of the test's may wait for.
func deadline[C net.Conn](c C) C {
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// weDial connects the Host to the kernel, theyDial the kernel to the Host.
func (l *lab) weDial() pair {
	l.Helper()
	ln := l.kernelListens(0)
	defer ln.Close()
	c, err := l.host.Dial("tcp", ln.Addr().String())
	if err != nil {
		l.Fatal(err)
	}
	ln.SetDeadline(time.Now().Add(patience))
	k, err := ln.Accept()
	if err != nil {
		l.Fatal(err)
	}
	return l.paired(c, k)
}

func (l *lab) theyDial() pair {
	l.Helper()
	ln := l.listen(0)
	defer ln.Close()
	k, err := l.ns.Dial("tcp", ln.Addr().String())
	if err != nil {
		l.Fatal(err)
	}
	ln.SetDeadline(time.Now().Add(patience))
	c, err := ln.Accept()
	if err != nil {
		l.Fatal(err)
	}
	return l.paired(c, k)
}

func (l *lab) paired(c, k net.Conn) pair {
	p := pair{deadline(c.(*handfast.Conn)), deadline(k.(*net.TCPConn))}
	l.Cleanup(func() { p.ours.Close(); p.kernel.Close() })
	return p
}

// bothDial runs f with a connection opened by either side.
func (l *lab) bothDial(f func(l *lab, p pair)) {
	for name, dial := range map[string]func(*lab) pair{"we dial": (*lab).weDial, "they dial": (*lab).theyDial} {
		t := l.T
		t.Run(name, func(t *testing.T) {
			in := *l
			in.T = t
			f(&in, dial(&in))
		})
	}
}

// ends names both ends of a connection, the one that acts first.
func (p pair) ends() map[string][2]duplex {
	return map[string][2]duplex{"ours": {p.ours, p.kernel}, "the kernel's": {p.kernel, p.ours}}
}

// await waits until cond is true, for what is not announced by anything.
func (l *lab) await(what string, cond func() bool) {
	l.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			table := l.table()
			l.Fatalf("waited %v for %s; the kernel's sockets:\n%s", patience, what, table[:min(len(table), maxTable)])
		}
	}
}

// table returns what the kernel says of its TCP sockets of the lab's family.
func (l *lab) table() string {
	l.Helper()
	name := "/proc/thread-self/net/tcp"
	if l.v6 {
		name += "6"
	}
	var b []byte
	if err := l.ns.Do(func() (err error) { b, err = os.ReadFile(name); return err }); err != nil {
		l.Fatal(err)
	}
	return string(b)
}

// states returns the state of every socket of the kernel's that has one of the
// ports, except listeners, in the order of the table.
func (l *lab) states(port uint16) (states []string) {
	l.Helper()
	names := map[string]string{"01": "ESTABLISHED", "02": "SYN-SENT", "03": "SYN-RECEIVED", "04": "FIN-WAIT-1", "05": "FIN-WAIT-2",
		"06": "TIME-WAIT", "07": "CLOSED", "08": "CLOSE-WAIT", "09": "LAST-ACK", "0B": "CLOSING", "0C": "SYN-RECEIVED"}
	want := fmt.Sprintf(":%04X", port)
	for _, line := range strings.Split(l.table(), "\n")[1:] {
		f := strings.Fields(line)
		if len(f) > 3 && (strings.HasSuffix(f[1], want) || strings.HasSuffix(f[2], want)) && f[3] != "0A" {
			states = append(states, names[f[3]])
		}
	}
	return states
}

// kernelState waits until the kernel's only socket with that port is in a
// state; "" is none at all.
func (l *lab) kernelState(port uint16, want string) {
	l.Helper()
	l.await("the kernel's socket to be in "+want, func() bool { return strings.Join(l.states(port), " ") == want })
}

func port(a net.Addr) uint16 { return a.(*net.TCPAddr).AddrPort().Port() }

// control runs f with the descriptor of a kernel's socket.
func control(c *net.TCPConn, f func(fd int) error) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if e := rc.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// exchange sends a line each way and back, to show that a connection lives.
func exchange(a, b net.Conn) error {
	for _, d := range [][2]net.Conn{{a, b}, {b, a}} {
		const text = "still here"
		if _, err := io.WriteString(d[0], text); err != nil {
			return err
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(d[1], got); err != nil {
			return err
		}
		if string(got) != text {
			return errors.New("got " + string(got))
		}
	}
	return nil
}

// siocinq asks how many bytes wait to be read, and siocoutq how many wait to
// be acknowledged.
const (
	siocinq  = unix.SIOCINQ
	siocoutq = unix.SIOCOUTQ
)

func ioctlInt(fd int, req uint) (int, error) { return unix.IoctlGetInt(fd, req) }
