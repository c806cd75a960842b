package handfast_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
	"golang.org/x/net/nettest"
)

// connected returns both ends of a connection between two Hosts, and a
// function that closes everything and checks that nothing is left.
func connected(t testing.TB, opt pipe.Options, addr string) (c1, c2 *handfast.Conn, stop func()) {
	t.Helper()
	a, b := twoHosts(t, opt)
	l, err := b.Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	d, err := a.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return d.(*handfast.Conn), c.(*handfast.Conn), func() {
		d.Close()
		c.Close()
		l.Close()
		closeHosts(t, a, b)
	}
}

// closeHosts closes Hosts and checks that every buffer came back. Programs that
// were just told of the end may still hold some for an instant.
func closeHosts(t testing.TB, hosts ...*handfast.Host) {
	t.Helper()
	for _, h := range hosts {
		if err := h.Close(); err != nil {
			t.Errorf("%s: Close: %v", h.Name(), err)
		}
	}
	for _, h := range hosts {
		chunks, packets := h.Outstanding()
		for end := time.Now().Add(2 * time.Second); chunks+packets != 0 && time.Now().Before(end); {
			runtime.Gosched()
			chunks, packets = h.Outstanding()
		}
		if chunks != 0 || packets != 0 {
			t.Errorf("%s: after Close %d chunks and %d packets are not back", h.Name(), chunks, packets)
		}
	}
}

// The same between two programs on one Host.
func TestConnOverLoopback(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:80", "[::1]:80"} {
		t.Run(addr, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				h, err := handfast.New(handfast.Config{})
				if err != nil {
					return nil, nil, nil, err
				}
				l, err := h.Listen(context.Background(), "tcp", addr)
				if err != nil {
					return nil, nil, nil, err
				}
				c1, err := h.Dial("tcp", addr)
				if err != nil {
					return nil, nil, nil, err
				}
				c2, err := l.Accept()
				return c1, c2, func() { closeHosts(t, h) }, err
			})
		})
	}
}

// What every net.Conn must do, as golang.org/x/net/nettest sees it.
func TestConnAsNettestWantsIt(t *testing.T) {
	for name, opt := range map[string]pipe.Options{"frames": {}, "super-segments": {GSO: true}} {
		for family, addr := range map[string]string{"IPv4": "10.0.0.2:80", "IPv6": "[fd00::2]:80"} {
			t.Run(name+"/"+family, func(t *testing.T) {
				nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
					c1, c2, stop := connected(t, opt, addr)
					return c1, c2, stop, nil
				})
			})
		}
	}
}
