package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

var ndpMAC = MAC{2, 0, 0, 0xaa, 0xbb, 0xcc}

// goodRA is a router advertisement with all options that are understood and
// one that is not.
func goodRA() []byte {
	b := []byte{ICMPv6RouterAdvert, 0, 0, 0, 64, 0xc0, 0x07, 0x08, 0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8}
	b = append(b, 1, 1, 2, 0, 0, 0xaa, 0xbb, 0xcc)
	b = append(b, 5, 1, 0, 0, 0, 0, 0x05, 0xdc)
	b = append(b, 99, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 3, 4, 64, 0xc0, 0, 0x27, 0x8d, 0, 0, 0x09, 0x3a, 0x80, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 25, 5, 0, 0, 0, 0, 0x0e, 0x10)
	for _, s := range []string{"2001:db8::53", "2001:db8::54"} {
		a := AddrFrom(netip.MustParseAddr(s))
		b = append(b, a[:]...)
	}
	return b
}

func TestRouterAdvertisement(t *testing.T) {
	ra, err := ParseRA(ICMPv6(goodRA()))
	if err != nil {
		t.Fatal(err)
	}
	if ra.HopLimit() != 64 || !ra.Managed() || !ra.Other() || ra.RouterLifetime() != 1800 || ra.ReachableTime() != 30000 || ra.RetransTimer() != 1000 {
		t.Errorf("% x", []byte(ra[:16]))
	}
	if mac, err := ParseLinkAddr(FindNDPOption(ra.Options(), NDPOptSourceLinkAddr)); err != nil || mac != ndpMAC {
		t.Errorf("link-layer address %v, %v", mac, err)
	}
	if mtu, err := ParseMTUOption(FindNDPOption(ra.Options(), NDPOptMTU)); err != nil || mtu != 1500 {
		t.Errorf("MTU %d, %v", mtu, err)
	}
	pi, err := ParsePrefixInfo(FindNDPOption(ra.Options(), NDPOptPrefixInfo))
	if err != nil || pi.PrefixLen() != 64 || !pi.OnLink() || !pi.Autonomous() || pi.Valid() != 2592000 || pi.Preferred() != 604800 || pi.Prefix().String() != "2001:db8:1:2::" {
		t.Errorf("prefix % x, %v", []byte(pi), err)
	}
	dns, err := ParseRDNSS(FindNDPOption(ra.Options(), NDPOptRDNSS))
	if err != nil || dns.Lifetime() != 3600 || dns.Len() != 2 || dns.Addr(0).String() != "2001:db8::53" || dns.Addr(1).String() != "2001:db8::54" {
		t.Errorf("name servers % x, %v", []byte(dns), err)
	}
	if opt := FindNDPOption(ra.Options(), NDPOptRedirected); opt != nil {
		t.Errorf("found what is not there: % x", opt)
	}
}

func TestNDPOptionLengths(t *testing.T) {
	for n := range 8 {
		opt := make([]byte, 8*n)
		if n > 0 {
			opt[1] = byte(n)
		}
		_, errLink := ParseLinkAddr(opt)
		_, errMTU := ParseMTUOption(opt)
		_, errPrefix := ParsePrefixInfo(opt)
		_, errDNS := ParseRDNSS(opt)
		for _, c := range []struct {
			name string
			err  error
			ok   bool
		}{
			{"link-layer address", errLink, n == 1}, {"MTU", errMTU, n == 1},
			{"prefix", errPrefix, n == 4}, {"name servers", errDNS, n >= 3 && n%2 == 1},
		} {
			if c.ok != (c.err == nil) || !c.ok && c.err != ErrOption {
				t.Errorf("%s of length %d: %v", c.name, n, c.err)
			}
		}
	}
	long := make([]byte, prefixInfoLen)
	long[2] = 129
	if _, err := ParsePrefixInfo(long); err != ErrLength {
		t.Errorf("a prefix of 129 bits: %v", err)
	}
}

func TestNeighbourMessagesRoundTrip(t *testing.T) {
	src, target := test6()
	dst := SolicitedNode(&target)
	for _, mac := range []*MAC{nil, &ndpMAC} {
		options := 8
		if mac == nil {
			options = 0
		}
		checkLinkAddr := func(what string, b []byte, kind uint8) {
			t.Helper()
			opt := FindNDPOption(b, kind)
			got, err := ParseLinkAddr(opt)
			if mac == nil && opt != nil || mac != nil && (err != nil || got != *mac) {
				t.Errorf("%s, address %v: option % x", what, mac, opt)
			}
		}
		b := bytes.Repeat([]byte{0xee}, 40)
		n := PutNS(b, &src, &dst, &target, mac)
		ns, err := ParseNS(ICMPv6(b[:n]))
		if err != nil || n != 24+options || ns.Target() != target || !ICMPv6(b[:n]).ChecksumOK(&src, &dst) || binary.BigEndian.Uint32(b[4:]) != 0 || b[n] != 0xee {
			t.Fatalf("solicitation: % x, %v", b, err)
		}
		checkLinkAddr("solicitation", ns.Options(), NDPOptSourceLinkAddr)

		for _, f := range []NAFlags{0, NARouter, NASolicited, NAOverride, NASolicited | NAOverride} {
			n = PutNA(b, &target, &src, &target, f, mac)
			na, err := ParseNA(ICMPv6(b[:n]))
			if err != nil || n != 24+options || na.Target() != target || na.Flags() != f || na.Router() != (f&NARouter != 0) ||
				na.Solicited() != (f&NASolicited != 0) || na.Override() != (f&NAOverride != 0) || !ICMPv6(b[:n]).ChecksumOK(&target, &src) {
				t.Fatalf("advertisement %#x: % x, %v", f, b[:n], err)
			}
			checkLinkAddr("advertisement", na.Options(), NDPOptTargetLinkAddr)
		}

		n = PutRS(b, &src, &dst, mac)
		rs, err := ParseRS(ICMPv6(b[:n]))
		if err != nil || n != 8+options || !ICMPv6(b[:n]).ChecksumOK(&src, &dst) {
			t.Fatalf("router solicitation: % x, %v", b[:n], err)
		}
		checkLinkAddr("router solicitation", rs.Options(), NDPOptSourceLinkAddr)
	}
}

// ndpMessages are one good message of each type, with an option, and their
// parsers.
func ndpMessages() []struct {
	name  string
	b     []byte
	fixed int
	parse func(ICMPv6) error
} {
	src, target := test6()
	ns, na, rs, rd := make([]byte, 32), make([]byte, 32), make([]byte, 16), make([]byte, 48)
	PutNS(ns, &src, &target, &target, &ndpMAC)
	PutNA(na, &target, &src, &target, NASolicited, &ndpMAC)
	PutRS(rs, &src, &target, &ndpMAC)
	copy(rd[8:], target[:])
	copy(rd[24:], src[:])
	putLinkAddr(rd, redirectLen, NDPOptTargetLinkAddr, &ndpMAC)
	PutICMPv6(rd, &target, &src, ICMPv6Redirect, 0, 0)
	return []struct {
		name  string
		b     []byte
		fixed int
		parse func(ICMPv6) error
	}{
		{"NS", ns, nsLen, func(m ICMPv6) error { _, err := ParseNS(m); return err }},
		{"NA", na, nsLen, func(m ICMPv6) error { _, err := ParseNA(m); return err }},
		{"RS", rs, rsLen, func(m ICMPv6) error { _, err := ParseRS(m); return err }},
		{"RA", goodRA(), raLen, func(m ICMPv6) error { _, err := ParseRA(m); return err }},
		{"Redirect", rd, redirectLen, func(m ICMPv6) error { _, err := ParseRedirect(m); return err }},
	}
}

// A wrong code, a truncation, an option of length 0 or beyond the end, or a
// bad address make a message invalid. RFC 4861 §6.1, §7.1, §8.1.
func TestNDPRefusesR4861_7_1(t *testing.T) {
	for _, c := range ndpMessages() {
		if err := c.parse(ICMPv6(c.b)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		ends := map[int]bool{c.fixed: true} // cutting between options is fine
		for b := c.b[c.fixed:]; len(b) > 0; {
			_, _, rest, err := NextNDPOption(b)
			if err != nil {
				t.Fatal(err)
			}
			b = rest
			ends[len(c.b)-len(b)] = true
		}
		for n := range len(c.b) {
			want := error(ErrOption)
			if n < c.fixed {
				want = ErrShort
			} else if ends[n] {
				want = nil
			}
			if err := c.parse(ICMPv6(c.b[:n])); err != want {
				t.Errorf("%s, first %d bytes: %v, want %v", c.name, n, err, want)
			}
		}
		change := func(i int, v byte, want error) {
			t.Helper()
			b := bytes.Clone(c.b)
			b[i] = v
			if err := c.parse(ICMPv6(b)); err != want {
				t.Errorf("%s with byte %d = %d: %v, want %v", c.name, i, v, err, want)
			}
		}
		change(0, 200, ErrType)
		change(1, 1, ErrType)
		change(c.fixed+1, 0, ErrOption)
		change(c.fixed+1, 255, ErrOption)
		switch c.name {
		case "NS", "NA":
			change(8, 0xff, ErrAddr)
		case "Redirect":
			change(24, 0xff, ErrAddr)
			change(8, 0x20, ErrAddr) // neither link-local nor the destination
		}
	}
}

// A redirect to the destination itself says that it is on the link.
func TestRedirectOnLink(t *testing.T) {
	var rd []byte
	for _, c := range ndpMessages() {
		if c.name == "Redirect" {
			rd = c.b
		}
	}
	copy(rd[8:24], rd[24:40])
	r, err := ParseRedirect(ICMPv6(rd))
	if err != nil || r.Target() != r.Dst() {
		t.Fatalf("% x: %v", rd, err)
	}
	if mac, err := ParseLinkAddr(FindNDPOption(r.Options(), NDPOptTargetLinkAddr)); err != nil || mac != ndpMAC {
		t.Errorf("link-layer address %v, %v", mac, err)
	}
}
