package handfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// streamConn is what the scripts need of *net.TCPConn and *handfast.Conn.
type streamConn interface {
	net.Conn
	io.ReaderFrom
	io.WriterTo
	CloseRead() error
	CloseWrite() error
	SetLinger(sec int) error
	SetNoDelay(bool) error
	SetKeepAlive(bool) error
	SetKeepAlivePeriod(time.Duration) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

// streamListener is what they need of *net.TCPListener and *handfast.Listener.
type streamListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// datagramConn is what they need of *net.UDPConn and *handfast.PacketConn.
type datagramConn interface {
	net.Conn
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
	WriteMsgUDPAddrPort(b, oob []byte, to netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

// stack is somebody's TCP/IP.
type stack interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
}

// kernel is package net.
type kernel struct {
	net.Dialer
	net.ListenConfig
}

// stage is where a script runs: a client and a server, and what happened.
type stage struct {
	*testing.T
	client, server stack
	ip4, ip6       string // where the server is
	log            strings.Builder
	names          map[string]string // of addresses, by first appearance
	cleanup        []io.Closer
}

var addresses = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])(:\d+)`)

// name replaces addresses by letters, because no two runs have the same.
func (s *stage) name(text string) string {
	return addresses.ReplaceAllStringFunc(text, func(a string) string {
		n, ok := s.names[a]
		if !ok {
			n = "<" + string(rune('A'+len(s.names))) + ">"
			s.names[a] = n
		}
		return n
	})
}

// sentinels are the errors that programs look for.
var sentinels = []struct {
	name string
	err  error
}{
	{"EOF", io.EOF}, {"ErrClosed", net.ErrClosed}, {"ErrDeadlineExceeded", os.ErrDeadlineExceeded},
	{"Canceled", context.Canceled}, {"context.DeadlineExceeded", context.DeadlineExceeded},
	{"ECONNREFUSED", syscall.ECONNREFUSED}, {"ECONNRESET", syscall.ECONNRESET}, {"EPIPE", syscall.EPIPE},
	{"EADDRINUSE", syscall.EADDRINUSE}, {"EADDRNOTAVAIL", syscall.EADDRNOTAVAIL}, {"EMSGSIZE", syscall.EMSGSIZE},
	{"ErrWriteToConnected", net.ErrWriteToConnected},
}

// saw notes what a call returned.
func (s *stage) saw(what string, err error, values ...any) {
	fmt.Fprintf(&s.log, "%s:", what)
	for _, v := range values {
		fmt.Fprintf(&s.log, " %v", s.name(fmt.Sprint(v)))
	}
	if err != nil {
		fmt.Fprintf(&s.log, " error %q", s.name(err.Error()))
		for _, x := range sentinels {
			if errors.Is(err, x.err) {
				fmt.Fprintf(&s.log, " is %s", x.name)
			}
		}
		var ne net.Error
		if errors.As(err, &ne) {
			fmt.Fprintf(&s.log, " Timeout %v", ne.Timeout())
		}
		var oe *net.OpError
		if errors.As(err, &oe) {
			fmt.Fprintf(&s.log, " Op %s Net %s", oe.Op, oe.Net)
		}
	}
	s.log.WriteByte('\n')
}

// must ends a script whose set-up fails.
func must[T any](s *stage) func(v T, err error) T {
	return func(v T, err error) T {
		s.Helper()
		if err != nil {
			s.Fatalf("set-up: %v\nso far:\n%s", err, s.log.String())
		}
		return v
	}
}

func (s *stage) keep(c io.Closer) { s.cleanup = append(s.cleanup, c) }

func (s *stage) listen(network, address string) streamListener {
	s.Helper()
	l := must[net.Listener](s)(s.server.Listen(context.Background(), network, address)).(streamListener)
	s.keep(l)
	return l
}

func (s *stage) dial(network, address string) streamConn {
	s.Helper()
	c := must[net.Conn](s)(s.client.DialContext(context.Background(), network, address)).(streamConn)
	s.keep(c)
	return c
}

// pair returns both ends of a connection; the client's first.
func (s *stage) pair() (c, p streamConn) {
	s.Helper()
	l := s.listen("tcp", s.ip4+":0")
	c = s.dial("tcp", l.Addr().String())
	p = must[net.Conn](s)(l.Accept()).(streamConn)
	s.keep(p)
	s.name(c.LocalAddr().String())
	s.name(c.RemoteAddr().String())
	return c, p
}

func (s *stage) socket(network, address string) datagramConn {
	s.Helper()
	p := must[net.PacketConn](s)(s.server.ListenPacket(context.Background(), network, address)).(datagramConn)
	s.keep(p)
	s.name(p.LocalAddr().String())
	return p
}

func (s *stage) dialUDP(address string) datagramConn {
	s.Helper()
	p := must[net.Conn](s)(s.client.DialContext(context.Background(), "udp", address)).(datagramConn)
	s.keep(p)
	s.name(p.LocalAddr().String())
	return p
}

func (s *stage) read(who string, c io.Reader, size int) {
	b := make([]byte, size)
	n, err := c.Read(b)
	s.saw(who+" reads", err, n, string(b[:n]))
}

func (s *stage) write(who string, c io.Writer, text string) {
	n, err := c.Write([]byte(text))
	s.saw(who+" writes", err, n)
}

// perform runs a script and returns what it saw.
func perform(t *testing.T, client, server stack, ip4, ip6 string, script func(*stage)) string {
	s := &stage{T: t, client: client, server: server, ip4: ip4, ip6: ip6, names: map[string]string{}}
	defer func() {
		for _, c := range s.cleanup {
			c.Close()
		}
	}()
	script(s)
	return s.log.String()
}

// differences shows the lines that are not the same.
func differences(got, want string) string {
	var b strings.Builder
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var x, y string
		if i < len(g) {
			x = g[i]
		}
		if i < len(w) {
			y = w[i]
		}
		if x != y {
			fmt.Fprintf(&b, "got  %s\nwant %s\n", x, y)
		}
	}
	return b.String()
}

// The same script is performed by package net over the kernel's loopback and by
// Hosts, over a Host's own loopback and over wires; every result and every
// error must be the same to the letter.
func TestAsPackageNet(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other kernels' errors read differently")
	}
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("missing: IPv6 on the kernel's loopback")
	} else {
		l.Close()
	}
	all := maps.Clone(scripts)
	maps.Copy(all, udpScripts)
	for name, script := range all {
		t.Run(name, func(t *testing.T) {
			want := perform(t, &kernel{}, &kernel{}, "127.0.0.1", "[::1]", script)
			if want == "" {
				t.Fatal("the script saw nothing")
			}
			one, err := handfast.New(handfast.Config{Name: "one"})
			if err != nil {
				t.Fatal(err)
			}
			fa, fb := twoHosts(t, pipe.Options{})
			ga, gb := twoHosts(t, pipe.Options{GSO: true})
			for _, w := range []struct {
				name           string
				client, server stack
				ip4, ip6       string
			}{
				{"loopback", one, one, "127.0.0.1", "[::1]"},
				{"frames", fa, fb, "10.0.0.2", "[fd00::2]"},
				{"super-segments", ga, gb, "10.0.0.2", "[fd00::2]"},
			} {
				if got := perform(t, w.client, w.server, w.ip4, w.ip6, script); got != want {
					t.Errorf("%s:\n%s", w.name, differences(got, want))
				}
			}
			closeHosts(t, one, fa, fb, ga, gb)
		})
	}
}
