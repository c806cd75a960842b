package wire

import (
	"net/netip"
	"testing"
)

func TestAddrClasses(t *testing.T) {
	const unspec, multi, loop, link, bcast = 1, 2, 4, 8, 16
	for _, c := range []struct {
		text  string
		is4   bool
		class int
	}{
		{"0.0.0.0", true, unspec}, {"::", false, unspec},
		{"224.0.0.1", true, multi}, {"239.255.255.255", true, multi}, {"ff02::1", false, multi},
		{"240.0.0.1", true, 0}, {"223.255.255.255", true, 0}, {"fe00::1", false, 0},
		{"127.0.0.1", true, loop}, {"127.255.255.254", true, loop}, {"::1", false, loop}, {"::2", false, 0},
		{"128.0.0.1", true, 0},
		{"169.254.0.1", true, link}, {"169.253.0.1", true, 0}, {"fe80::1", false, link}, {"febf::1", false, link},
		{"fec0::1", false, 0},
		{"255.255.255.255", true, bcast}, {"255.255.255.254", true, 0},
		{"10.1.2.3", true, 0}, {"2001:db8::1", false, 0},
	} {
		n := netip.MustParseAddr(c.text)
		a := AddrFrom(n)
		got := 0
		for i, f := range []bool{a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsBroadcast()} {
			if f {
				got |= 1 << i
			}
		}
		if got != c.class || a.Is4() != c.is4 {
			t.Errorf("%s: class %05b, Is4 %v; want %05b, %v", c.text, got, a.Is4(), c.class, c.is4)
		}
		if a.Netip() != n || a.String() != c.text {
			t.Errorf("%s comes back as %v, prints %q", c.text, a.Netip(), a.String())
		}
		if c.is4 && (AddrFrom4(n.As4()) != a || a.As4() != n.As4()) {
			t.Errorf("%s: AddrFrom4 and AddrFrom disagree", c.text)
		}
		if !c.is4 && AddrFrom16(n.As16()) != a {
			t.Errorf("%s: AddrFrom16 and AddrFrom disagree", c.text)
		}
	}
}

func TestAddrFromNetip(t *testing.T) {
	if a := AddrFrom(netip.MustParseAddr("fe80::1%eth0")); a.String() != "fe80::1" {
		t.Errorf("zone is kept: %v", a)
	}
	if a := AddrFrom(netip.MustParseAddr("::ffff:10.0.0.1")); !a.Is4() || a.String() != "10.0.0.1" {
		t.Errorf("4in6 is not IPv4: %v", a)
	}
	if a := AddrFrom(netip.Addr{}); a != (Addr{}) {
		t.Errorf("the invalid address became %v", a)
	}
}

func TestMAC(t *testing.T) {
	m := MAC{0x02, 0x00, 0x5e, 0xab, 0x0c, 0xff}
	if m.String() != "02:00:5e:ab:0c:ff" {
		t.Errorf("String: %s", m)
	}
	if m.IsMulticast() || m.IsBroadcast() || !BroadcastMAC().IsBroadcast() || !BroadcastMAC().IsMulticast() {
		t.Error("unicast and broadcast are mixed up")
	}
	for _, c := range []struct{ addr, mac string }{
		{"224.1.2.3", "01:00:5e:01:02:03"},
		{"239.129.2.3", "01:00:5e:01:02:03"}, // the top bit of the 24 is not carried, RFC 1112 §6.4
		{"ff02::1:ff12:3456", "33:33:ff:12:34:56"},
	} {
		a := AddrFrom(netip.MustParseAddr(c.addr))
		if got := MulticastMAC(&a); got.String() != c.mac || !got.IsMulticast() {
			t.Errorf("MulticastMAC(%s) = %s, want %s", c.addr, got, c.mac)
		}
	}
	a := AddrFrom(netip.MustParseAddr("2001:db8::12:3456"))
	if s := SolicitedNode(&a); s.String() != "ff02::1:ff12:3456" {
		t.Errorf("SolicitedNode = %s", s)
	}
}

func TestErrorsAreDistinctAndNamed(t *testing.T) {
	seen := map[string]Error{}
	for e := ErrShort; e <= ErrAddr; e++ {
		s := e.Error()
		if before, ok := seen[s]; ok || s == Error(0).Error() {
			t.Errorf("error %d prints %q, as %d does", e, s, before)
		}
		seen[s] = e
	}
}
