package handfast_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// The MTU of a device falls and rises while a connection sends, super-segments
// and what was in flight included: segments fit it, and every byte arrives.
func TestSetMTUWhileSending(t *testing.T) {
	for _, gso := range []bool{false, true} {
		t.Run(map[bool]string{false: "frames", true: "super-segments"}[gso], func(t *testing.T) {
			h := make([]*handfast.Host, 2)
			faces := make([]*handfast.Interface, 2)
			da, db := pipe.New(pipe.Options{GSO: gso})
			for i, d := range []*pipe.Device{da, db} {
				var err error
				if h[i], err = handfast.New(handfast.Config{}); err != nil {
					t.Fatal(err)
				}
				if faces[i], err = h[i].Attach(d, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)); err != nil {
					t.Fatal(err)
				}
				defer h[i].Close()
			}
			l, err := h[1].Listen(context.Background(), "tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			c, err := h[0].Dial("tcp", "10.0.0.2:80")
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			const size = 8 << 20
			want := bytes.Repeat([]byte("all work and no play "), size/21)
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(want)
				sent <- errors.Join(err, c.Close())
			}()
			got := make([]byte, 0, len(want))
			buf := make([]byte, 1<<16)
			some := func() {
				for end := len(got) + len(want)/10; len(got) < end; {
					n, err := p.Read(buf)
					if err != nil {
						t.Fatalf("after %d bytes: %v", len(got), err)
					}
					got = append(got, buf[:n]...)
				}
			}
			followed := 0
			for _, mtu := range []int{700, 1500, 68, 1300} {
				some()
				if err := faces[0].SetMTU(mtu); err != nil || faces[0].MTU() != mtu {
					t.Errorf("MTU %d: %v, %d", mtu, err, faces[0].MTU())
				}
				some()
				// What was sent before may fill the buffers for a while, and what
				// has left altogether says nothing.
				i := c.(*handfast.Conn).Info()
				for int(i.PathMTU) != min(mtu, 1500) && i.Unsent > 0 {
					n, err := p.Read(buf)
					if err != nil {
						t.Fatalf("after %d bytes: %v", len(got), err)
					}
					got = append(got, buf[:n]...)
					i = c.(*handfast.Conn).Info()
				}
				if int(i.PathMTU) == mtu {
					followed++
				}
			}
			if followed == 0 {
				t.Error("the connection followed none of the changes")
			}
			rest, err := io.ReadAll(p)
			if err = errors.Join(err, <-sent); err != nil || !bytes.Equal(append(got, rest...), want) {
				t.Errorf("%d bytes of %d arrived, %v", len(got)+len(rest), len(want), err)
			}
			p.Close()
			l.Close()
		})
	}
}

// An MTU that no link has, or that the addresses do not allow, is refused, and
// so is one of an interface that is gone.
func TestSetMTUErrors(t *testing.T) {
	h, err := handfast.New(handfast.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	d, _ := pipe.New(pipe.Options{})
	i, err := h.Attach(d, netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64"))
	if err != nil {
		t.Fatal(err)
	}
	was := i.MTU()
	for _, mtu := range []int{-1, 67, 1279, 65536} {
		var op *net.OpError
		if err := i.SetMTU(mtu); !errors.As(err, &op) || i.MTU() != was {
			t.Errorf("MTU %d: %v, it is %d", mtu, err, i.MTU())
		}
	}
	if err := h.Detach(i); err != nil {
		t.Fatal(err)
	}
	if err := i.SetMTU(1400); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Detach: %v", err)
	}
}
