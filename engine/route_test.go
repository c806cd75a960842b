package engine

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/wire"
)

// Whatever MTU a device claims, an interface has one that every IPv4 link can
// carry and that a length field can say (RFC 791 §3.2, §3.1), and connections
// over it work.
func TestInterfaceMTUBounds(t *testing.T) {
	for mtu, want := range map[int]int{-1: 68, 1: 68, 68: 68, 69: 69, 65534: 65534, 65535: 65535,
		65536: 65535, 65570: 65535, 65577: 65535, 65588: 65535, 1 << 20: 65535} {
		h := newTestHarness(t, HarnessConfig{MTU: mtu})
		if got := h.E.Interface(h.Iface).MTU; got != want {
			t.Errorf("MTU %d becomes %d, want %d", mtu, got, want)
		}
		for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
			head := wire.IPv4MinLen + wire.TCPMinLen
			if !ends[0].Is4() {
				if head = wire.IPv6Len + wire.TCPMinLen; want < ip.MinMTU6 {
					continue
				}
			}
			mustDial(t, h, netip.AddrPort{}, at(ends[1], 81))
			if s := one(t, h); int(s.Opts.MSS) != want-head {
				t.Errorf("MTU %d: MSS %d to %v, want %d", mtu, s.Opts.MSS, ends[1], want-head)
			}
			l := listen(t, h, at(ends[0], 80).String())
			p := &peer{t: t, h: h, us: at(ends[0], 80), them: at(ends[1], 4000), seq: 1, wnd: 65535, mss: 65535}
			p.send(wire.FlagSYN, "")
			p.ack = one(t, h).SEQ + 1
			p.send(wire.FlagACK, "")
			c := h.Accept(l)
			h.Write(c, make([]byte, 200_000))
			longest := 0
			for _, s := range h.Sent() {
				longest = max(longest, len(s.Raw))
			}
			if longest == 0 || longest > want {
				t.Errorf("MTU %d: packets of up to %d bytes to %v, want at most %d", mtu, longest, ends[1], want)
			}
		}
	}
}

// IPv6 needs links of 1280 bytes (RFC 8200 §5): an address is refused on one
// that has less, in words that say why and what can be done.
func TestIPv6NeedsItsMTU(t *testing.T) {
	four, six := netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")
	for mtu, ok := range map[int]bool{576: false, 1279: false, 1280: true, 1500: true} {
		e := New(Config{})
		id := e.AddInterface(Interface{Name: "narrow", MTU: mtu}).ID
		if err := e.AddAddress(id, four); err != nil {
			t.Errorf("MTU %d: %v: %v", mtu, four, err)
		}
		err := e.AddAddress(id, six)
		if (err == nil) != ok {
			t.Errorf("MTU %d: %v: %v", mtu, six, err)
		}
		if ok {
			continue
		}
		if !errors.Is(err, ip.ErrMTU) {
			t.Errorf("MTU %d: %v, want one that is %v", mtu, err, ip.ErrMTU)
			continue
		}
		for _, word := range []string{six.String(), "narrow", "1280", "MTU", "IPv4"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
		if a := e.Routes().Interface(id).Addrs; len(a) != 1 {
			t.Errorf("MTU %d: %d addresses, want the one of IPv4", mtu, len(a))
		}
	}
}

// MSS is what a packet of the MTU has room for, in 16 bits whatever the MTU.
// RFC 6691 §2.
func TestMSSOf(t *testing.T) {
	for _, x := range []struct {
		mtu    int
		m4, m6 uint16
	}{{-1, 1, 1}, {0, 1, 1}, {41, 1, 1}, {68, 28, 8}, {1500, 1460, 1440}, {65535, 65495, 65475}, {65577, 65495, 65475}, {1 << 30, 65495, 65475}} {
		if a, b := mssOf(x.mtu, true), mssOf(x.mtu, false); a != x.m4 || b != x.m6 {
			t.Errorf("MTU %d: %d and %d, want %d and %d", x.mtu, a, b, x.m4, x.m6)
		}
	}
}
