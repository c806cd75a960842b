package wire

import "testing"

// noAllocations fails if f allocates or returns an error.
func noAllocations(t *testing.T, name string, f func() error) {
	t.Helper()
	var err error
	if n := testing.AllocsPerRun(100, func() {
		if e := f(); e != nil {
			err = e
		}
	}); n != 0 {
		t.Errorf("%s allocates %v times", name, n)
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}

func TestNoAllocationsTCP(t *testing.T) {
	skipUnderRace(t)
	src, dst := test6()
	seg, buf, text := goodTCP(), make([]byte, 2048), make([]byte, 0, 256)
	syn := TCPOptions{Has: HasMSS | HasWScale | HasSACKPermitted | HasTimestamps, MSS: 1460, WScale: 7}
	script := Script{Flags: FlagSYN | FlagACK, HasWin: true, Opts: syn}
	var o TCPOptions
	noAllocations(t, "parsing", func() error {
		s, err := ParseTCP(seg)
		o.Parse(s.Options(), false)
		s.ChecksumOK(&src, &dst)
		return err
	})
	noAllocations(t, "writing", func() error {
		n := TCPMinLen + syn.Len()
		PutTCP(buf[:n], 1, 2, 3, 4, FlagSYN, 5, 6)
		syn.Put(buf[TCPMinLen:])
		TCP(buf[:n]).SetChecksum(Finish(Sum(buf[:n], PseudoSum(&src, &dst, ProtoTCP, uint32(n)))))
		return nil
	})
	noAllocations(t, "copying", func() error { SumCopy(buf, seg, 0); return nil })
	noAllocations(t, "script", func() error { text = script.AppendText(text[:0]); return nil })
	noAllocations(t, "refusing", func() error {
		if _, err := ParseTCP(seg[:19]); err != ErrShort {
			return err
		}
		return nil
	})
}

func TestNoAllocationsIP(t *testing.T) {
	skipUnderRace(t)
	src, dst := test4()
	ip4, ip6, udp, buf := goodIPv4(), goodIPv6(), goodUDP(), make([]byte, 128)
	noAllocations(t, "IPv4", func() error {
		p, err := ParseIPv4(ip4)
		if err != nil {
			return err
		}
		PutIPv4(buf, &IPv4Fields{TotalLen: p.TotalLen(), TTL: p.TTL(), Src: p.Src(), Dst: p.Dst(), Options: p.Options()})
		p.SetTTL(p.TTL() - 1)
		_, _, _, err = NextOption(p.Options())
		return err
	})
	noAllocations(t, "IPv6", func() error {
		p, err := ParseIPv6(ip6)
		if err != nil {
			return err
		}
		PutIPv6(buf, &IPv6Fields{HopLimit: p.HopLimit(), Src: p.Src(), Dst: p.Dst()})
		_, _, _, err = NextExt(p.NextHeader(), p.Payload())
		return err
	})
	noAllocations(t, "UDP", func() error {
		u, err := ParseUDP(udp)
		u.ChecksumOK(&src, &dst)
		PutUDP(buf, 1, 2, 3)
		return err
	})
	noAllocations(t, "addresses", func() error { src = AddrFrom(src.Netip()); return nil })
}

func TestNoAllocationsNeighbours(t *testing.T) {
	skipUnderRace(t)
	src, dst := test6()
	arp, ra, buf := goodARP(), goodRA(), make([]byte, 128)
	noAllocations(t, "ARP", func() error {
		a, err := ParseARP(arp)
		if err != nil {
			return err
		}
		PutARP(buf, ARPReply, a.TargetMAC(), a.TargetIP(), a.SenderMAC(), a.SenderIP())
		PutEthernet(buf, a.TargetMAC(), a.SenderMAC(), EtherTypeARP)
		return nil
	})
	noAllocations(t, "NDP", func() error {
		r, err := ParseRA(ICMPv6(ra))
		if err != nil {
			return err
		}
		d, err := ParseRDNSS(FindNDPOption(r.Options(), NDPOptRDNSS))
		if err != nil {
			return err
		}
		target := d.Addr(0)
		PutNS(buf, &src, &dst, &target, &ndpMAC)
		PutNA(buf, &src, &dst, &target, NASolicited, &ndpMAC)
		return nil
	})
	noAllocations(t, "ICMP", func() error {
		PutICMPv4Echo(buf[:64], true, 1, 2)
		PutICMPv6Echo(buf[:64], &src, &dst, true, 1, 2)
		return nil
	})
}
