package handfast_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/pipe"
)

// narrow is a device that says its MTU is 60 bytes.
type narrow struct{ *pipe.Device }

func (d narrow) Caps() link.Caps { c := d.Device.Caps(); c.MTU = 60; return c }

// A device too narrow for IP is refused with a line that says so; a port that a
// connection of ours was given can be listened on (RFC 9293 §3.9.1.1, MUST-42).
func TestAttachAndListenAsTheRFCsWant(t *testing.T) {
	h, err := handfast.New(handfast.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	d, _ := pipe.New(pipe.Options{})
	if _, err := h.Attach(narrow{d}, netip.MustParsePrefix("10.0.0.1/24")); err == nil || !strings.Contains(err.Error(), "MTU is 60 bytes") {
		t.Errorf("a device with an MTU of 60: %v", err)
	}
	a, b := twoHosts(t, pipe.Options{})
	l, err := b.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := a.DialTCP(context.Background(), netip.MustParseAddrPort("10.0.0.1:5000"), netip.MustParseAddrPort("10.0.0.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	again, err := a.Listen(context.Background(), "tcp", "10.0.0.1:5000")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
