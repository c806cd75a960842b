package handfast_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/netip"
	"testing"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// twoHosts joins two Hosts, at 10.0.0.1 and 10.0.0.2, by a pipe.
func twoHosts(t testing.TB, opt pipe.Options) (a, b *handfast.Host) {
	t.Helper()
	da, db := pipe.New(opt)
	a, err := handfast.New(handfast.Config{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	b, err = handfast.New(handfast.Config{Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		h *handfast.Host
		d *pipe.Device
		p string
		q string
	}{{a, da, "10.0.0.1/24", "fd00::1/64"}, {b, db, "10.0.0.2/24", "fd00::2/64"}} {
		addrs := []netip.Prefix{netip.MustParsePrefix(x.p), netip.MustParsePrefix(x.q)}
		if opt.MTU > 0 && opt.MTU < 1280 {
			addrs = addrs[:1] // IPv6 links carry at least 1280 bytes
		}
		if _, err := x.h.Attach(x.d, addrs...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestBytesCrossAPipe(t *testing.T) {
	for name, opt := range map[string]pipe.Options{"frames": {}, "super-segments": {GSO: true}, "small": {MTU: 576}} {
		for _, addr := range []string{"10.0.0.2:80", "[fd00::2]:80"} {
			if opt.MTU == 576 && addr[0] == '[' {
				continue
			}
			t.Run(name+addr, func(t *testing.T) {
				a, b := twoHosts(t, opt)
				l, err := b.Listen(context.Background(), "tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				data := make([]byte, 5<<20)
				rand.Read(data)
				go func() {
					c, err := l.Accept()
					if err != nil {
						t.Error(err)
						return
					}
					c.Write(data)
					c.Close()
				}()
				c, err := a.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(c)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, data) {
					t.Fatalf("%d bytes arrived of %d, or not the same", len(got), len(data))
				}
				c.Close()
			})
		}
	}
}
