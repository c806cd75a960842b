package wire

import "testing"

// Nothing on the path of a packet allocates, good packet or bad.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	src4, dst4 := test4()
	src6, dst6 := test6()
	tcp, ip4, ip6, udp, arp, ra := goodTCP(), goodIPv4(), goodIPv6(), goodUDP(), goodARP(), goodRA()
	buf := make([]byte, 2048)
	text := make([]byte, 0, 256)
	syn := TCPOptions{Has: HasMSS | HasWScale | HasSACKPermitted | HasTimestamps, MSS: 1460, WScale: 7}
	script := Script{Flags: FlagSYN | FlagACK, HasWin: true, Opts: syn}
	var o TCPOptions
	var failure error
	fail := func(err error) {
		if err != nil {
			failure = err
		}
	}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"TCP", func() {
			s, err := ParseTCP(tcp)
			fail(err)
			o.Parse(s.Options(), false)
			s.ChecksumOK(&src4, &dst4)
		}},
		{"PutTCP", func() {
			n := TCPMinLen + syn.Len()
			PutTCP(buf[:n], 1, 2, 3, 4, FlagSYN, 5, 6)
			syn.Put(buf[TCPMinLen:])
			TCP(buf[:n]).SetChecksum(Finish(Sum(buf[:n], PseudoSum(&src6, &dst6, ProtoTCP, uint32(n)))))
		}},
		{"IPv4", func() {
			p, err := ParseIPv4(ip4)
			fail(err)
			_, _, _, err = NextOption(p.Options())
			fail(err)
			PutIPv4(buf, &IPv4Fields{TotalLen: p.TotalLen(), TTL: p.TTL(), Src: p.Src(), Dst: p.Dst(), Options: p.Options()})
			p.SetTTL(p.TTL() - 1)
		}},
		{"IPv6", func() {
			p, err := ParseIPv6(ip6)
			fail(err)
			PutIPv6(buf, &IPv6Fields{HopLimit: p.HopLimit(), Src: p.Src(), Dst: p.Dst()})
			_, _, _, _ = NextExt(p.NextHeader(), p.Payload())
		}},
		{"UDP", func() {
			u, err := ParseUDP(udp)
			fail(err)
			u.ChecksumOK(&src4, &dst4)
			PutUDP(buf, 1, 2, 3)
		}},
		{"ARP", func() {
			a, err := ParseARP(arp)
			fail(err)
			PutARP(buf, ARPReply, a.TargetMAC(), a.TargetIP(), a.SenderMAC(), a.SenderIP())
			PutEthernet(buf, a.TargetMAC(), a.SenderMAC(), EtherTypeARP)
		}},
		{"NDP", func() {
			r, err := ParseRA(ICMPv6(ra))
			fail(err)
			d, err := ParseRDNSS(FindNDPOption(r.Options(), NDPOptRDNSS))
			fail(err)
			target := d.Addr(0)
			PutNS(buf, &src6, &dst6, &target, &ndpMAC)
			PutNA(buf, &src6, &dst6, &target, NASolicited, &ndpMAC)
		}},
		{"ICMP", func() {
			PutICMPv4Echo(buf[:64], true, 1, 2)
			PutICMPv6Echo(buf[:64], &src6, &dst6, true, 1, 2)
		}},
		{"errors", func() {
			if _, err := ParseTCP(tcp[:19]); err != ErrShort {
				fail(err)
			}
			if _, err := ParseIPv6(ip6[:50]); err != ErrLength {
				fail(err)
			}
		}},
		{"SumCopy", func() { SumCopy(buf, tcp, 0) }},
		{"Script.AppendText", func() { text = script.AppendText(text[:0]) }},
		{"Addr.Netip", func() { src6 = AddrFrom(src6.Netip()) }},
	} {
		if n := testing.AllocsPerRun(100, c.f); n != 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
		if failure != nil {
			t.Fatalf("%s: %v", c.name, failure)
		}
	}
}
