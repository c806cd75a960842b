package wire

import (
	"bytes"
	"testing"
)

func FuzzTCP(f *testing.F) {
	f.Add(goodTCP())
	f.Add(goodTCP()[:20])
	f.Add(append(bytes.Repeat([]byte{0xff}, 12), bytes.Repeat([]byte{0xf0}, 60)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseTCP(b)
		if err != nil {
			return
		}
		if n := s.HeaderLen(); n < TCPMinLen || n > TCPMaxLen || n+len(s.Payload()) != len(b) || len(s.Options()) != n-TCPMinLen {
			t.Fatalf("% x: header %d, options %d, payload %d", b, n, len(s.Options()), len(s.Payload()))
		}
		h := make([]byte, s.HeaderLen())
		PutTCP(h, s.SrcPort(), s.DstPort(), s.Seq(), s.Ack(), s.Flags(), s.Window(), s.Urgent())
		TCP(h).SetChecksum(s.Checksum())
		h[12] |= b[12] & 0x0e // reserved bits are not ours to send
		if !bytes.Equal(h[:20], b[:20]) {
			t.Fatalf("% x comes back as % x", b[:20], h[:20])
		}
	})
}

func FuzzTCPOptions(f *testing.F) {
	f.Add(TCP(goodTCP()).Options(), false)
	f.Add([]byte{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7}, true)
	f.Add([]byte{1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4}, false)
	f.Add([]byte{34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 28, 4, 0x80, 1, 172, 8, 0, 0, 1, 0, 0, 2}, true)
	f.Add([]byte{172, 2, 174, 11, 0, 0, 1, 0, 0, 2, 0, 0, 3, 1}, false) // AccECN: the first counts
	f.Add([]byte{174, 13, 255, 255, 255, 0, 0, 2, 0, 0, 3, 9, 9, 1}, false)
	f.Add([]byte{172, 4, 9, 9, 174, 0}, true)
	f.Add([]byte("\"\n00000+\xad0"), true) // a cookie whose digits read "bad"
	f.Add([]byte{253, 0}, true)
	f.Add(bytes.Repeat([]byte{1}, 40), true)
	f.Fuzz(func(t *testing.T, raw []byte, syn bool) {
		if len(raw) > TCPMaxOptLen {
			raw = raw[:TCPMaxOptLen]
		}
		o := dirty()
		o.Parse(raw, syn)
		if _, bad := stepsReference(raw); bad && o.Has&HasBad == 0 {
			t.Fatalf("% x: the illegal length is not noticed", raw)
		}
		if !syn && o.Has&(HasMSS|HasWScale|HasSACKPermitted|HasFastOpen) != 0 {
			t.Fatalf("% x: an option of the handshake without SYN: %b", raw, o.Has)
		}
		checkRoundTrip(t, &o)
		AppendOptions(nil, raw)
	})
}

func FuzzIPv4(f *testing.F) {
	f.Add(goodIPv4())
	f.Add(append(goodIPv4(), "padding"...))
	f.Add([]byte{0x4f, 0, 0, 60, 0, 0, 0x3f, 0xff, 63: 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseIPv4(b)
		if err != nil {
			return
		}
		if len(p) != int(p.TotalLen()) || p.HeaderLen()+len(p.Payload()) != len(p) || len(p.Options()) != p.HeaderLen()-IPv4MinLen {
			t.Fatalf("% x: lengths disagree", b)
		}
		steps := 0
		for o := p.Options(); len(o) > 0; steps++ {
			_, opt, rest, err := NextOption(o)
			if err != nil {
				break
			}
			if len(opt) == 0 || len(rest) >= len(o) || steps >= IPv4MaxOptLen {
				t.Fatalf("% x: step %d of the options does not advance", b, steps)
			}
			o = rest
		}
		h := make([]byte, p.HeaderLen())
		PutIPv4(h, &IPv4Fields{TotalLen: p.TotalLen(), ID: p.ID(), FragOffset: uint16(p.FragOffset()), TOS: p.TOS(), Flags: p.Flags(),
			TTL: p.TTL(), Proto: p.Proto(), Src: p.Src(), Dst: p.Dst(), Options: p.Options()})
		if !IPv4(h).ChecksumOK() {
			t.Fatalf("% x: a wrong checksum is written", h)
		}
		h[6] |= b[6] & 0x80 // the reserved bit is not ours to send
		copy(h[10:12], b[10:12])
		if !bytes.Equal(h, p[:p.HeaderLen()]) {
			t.Fatalf("% x comes back as % x", p[:p.HeaderLen()], h)
		}
		if p.ChecksumOK() {
			p.SetTTL(p.TTL() - 1)
			p.SetTOS(p.TOS() | CE)
			p.SetTotalLen(p.TotalLen() + 1)
			if !p.ChecksumOK() {
				t.Fatalf("% x: updating broke the checksum", p[:p.HeaderLen()])
			}
		}
	})
}

func FuzzIPv6(f *testing.F) {
	f.Add(goodIPv6())
	chain := append(goodIPv6()[:IPv6Len], ProtoDestOptions, 0, 5, 2, 0, 0, 1, 0, ProtoFragment, 0, 1, 4, 0, 0, 0, 0, ProtoTCP, 0, 0, 1, 0, 0, 0, 9)
	chain[5], chain[6] = 24, ProtoHopByHop
	f.Add(chain)
	chain = bytes.Clone(chain)
	chain[6], chain[40] = ProtoAH, ProtoRouting
	f.Add(chain)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseIPv6(b)
		if err != nil {
			return
		}
		if len(p) != IPv6Len+int(p.PayloadLen()) || p.Src().Is4() || p.Dst().Is4() {
			t.Fatalf("% x: accepted", b)
		}
		var h [IPv6Len]byte
		PutIPv6(h[:], &IPv6Fields{FlowLabel: p.FlowLabel(), PayloadLen: p.PayloadLen(), TrafficClass: p.TrafficClass(),
			NextHeader: p.NextHeader(), HopLimit: p.HopLimit(), Src: p.Src(), Dst: p.Dst()})
		if !bytes.Equal(h[:], p[:IPv6Len]) {
			t.Fatalf("% x comes back as % x", p[:IPv6Len], h)
		}
		proto, rest := p.NextHeader(), p.Payload()
		for IsExt(proto) {
			next, hdr, after, err := NextExt(proto, rest)
			if err != nil {
				return
			}
			if len(hdr) < 8 || len(hdr)+len(after) != len(rest) {
				t.Fatalf("% x: header %d takes %d of %d bytes", b, proto, len(hdr), len(rest))
			}
			fuzzExt(t, proto, hdr)
			proto, rest = next, after
		}
	})
}

func fuzzExt(t *testing.T, proto uint8, hdr []byte) {
	switch proto {
	case ProtoHopByHop, ProtoDestOptions:
		for b := TLVs(hdr); len(b) > 0; {
			_, data, rest, err := NextTLV(b)
			if err != nil {
				return
			}
			if len(rest)+len(data) >= len(b) {
				t.Fatalf("% x: the options do not advance", hdr)
			}
			b = rest
		}
	case ProtoFragment:
		g, err := ParseFragment(hdr)
		if err != nil {
			t.Fatal(err)
		}
		var back [IPv6FragmentLen]byte
		PutFragment(back[:], g.NextHeader(), g.Offset(), g.More(), g.ID())
		back[1], back[3] = hdr[1], back[3]|hdr[3]&6 // reserved
		if !bytes.Equal(back[:], hdr) {
			t.Fatalf("% x comes back as % x", hdr, back)
		}
	case ProtoRouting:
		r, err := ParseRouting(hdr)
		if err != nil || r.Type() != hdr[2] || r.SegmentsLeft() != hdr[3] {
			t.Fatalf("% x: %v", hdr, err)
		}
	}
}

func FuzzUDP(f *testing.F) {
	f.Add(goodUDP())
	f.Add(append(goodUDP(), "beyond"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := ParseUDP(b)
		if err != nil {
			return
		}
		var h [UDPLen]byte
		PutUDP(h[:], u.SrcPort(), u.DstPort(), len(u.Payload()))
		UDP(h[:]).SetChecksum(u.Checksum())
		if len(u) != int(u.Length()) || !bytes.Equal(h[:], b[:UDPLen]) {
			t.Fatalf("% x comes back as % x, %d bytes", b[:UDPLen], h, len(u))
		}
	})
}

func FuzzARP(f *testing.F) {
	f.Add(goodARP())
	f.Add(append(goodARP(), make([]byte, 18)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseARP(b)
		if err != nil {
			return
		}
		var back [ARPLen]byte
		PutARP(back[:], a.Op(), a.SenderMAC(), a.SenderIP(), a.TargetMAC(), a.TargetIP())
		if !bytes.Equal(back[:], b[:ARPLen]) {
			t.Fatalf("% x comes back as % x", b[:ARPLen], back)
		}
	})
}

func FuzzICMP(f *testing.F) {
	echo := append(make([]byte, ICMPLen), "ping data"...)
	PutICMPv4Echo(echo, false, 1, 2)
	f.Add(echo)
	unreach := append(make([]byte, ICMPLen), goodIPv4()...)
	PutICMPv4(unreach, ICMPv4Unreachable, UnreachFragNeeded, 1280)
	f.Add(unreach)
	f.Fuzz(func(t *testing.T, b []byte) {
		m4, err := ParseICMPv4(b)
		if err != nil {
			return
		}
		m6, err := ParseICMPv6(b)
		if err != nil {
			t.Fatal(err)
		}
		src, dst := test6()
		rest := uint32(m4.ID())<<16 | uint32(m4.Seq())
		if rest != m6.MTU() || rest != m6.Pointer() || uint8(rest>>24) != m4.Pointer() || uint16(rest) != m4.MTU() {
			t.Fatalf("% x: the accessors disagree", b[:ICMPLen])
		}
		back := bytes.Clone(b)
		PutICMPv4(back, m4.Type(), m4.Code(), rest)
		if !ICMPv4(back).ChecksumOK() || m4.ChecksumOK() && !bytes.Equal(back, b) && !zeroSum(b, back) {
			t.Fatalf("% x comes back as % x", b, back)
		}
		PutICMPv6(back, &src, &dst, m6.Type(), m6.Code(), rest)
		if !ICMPv6(back).ChecksumOK(&src, &dst) {
			t.Fatalf("% x: a wrong checksum is written", back)
		}
		// What is quoted is parsed by who looks for the connection.
		if p, err := ParseIPv4(m4.Quoted()); err == nil {
			p.Src()
		}
		if p, err := ParseIPv6(m6.Quoted()); err == nil {
			p.Src()
		}
	})
}

// zeroSum reports whether two messages differ only in which of the two zeros
// of one's complement their checksum is.
func zeroSum(a, b []byte) bool {
	x, y := ICMPv4(a).Checksum(), ICMPv4(b).Checksum()
	return x+y == 0xffff && (x == 0 || y == 0) && bytes.Equal(a[:2], b[:2]) && bytes.Equal(a[4:], b[4:])
}

func FuzzNDP(f *testing.F) {
	for _, m := range ndpMessages() {
		f.Add(m.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseICMPv6(b)
		if err != nil {
			return
		}
		var options []byte
		switch m.Type() {
		case ICMPv6NeighSolicit:
			var ns NS
			if ns, err = ParseNS(m); err == nil {
				options = ns.Options()
			}
		case ICMPv6NeighAdvert:
			var na NA
			if na, err = ParseNA(m); err == nil {
				options = na.Options()
			}
		case ICMPv6RouterSolicit:
			var rs RS
			if rs, err = ParseRS(m); err == nil {
				options = rs.Options()
			}
		case ICMPv6RouterAdvert:
			var ra RA
			if ra, err = ParseRA(m); err == nil {
				options = ra.Options()
			}
		case ICMPv6Redirect:
			var r Redirect
			if r, err = ParseRedirect(m); err == nil {
				options = r.Options()
			}
		}
		if err != nil {
			return
		}
		for len(options) > 0 {
			kind, opt, rest, err := NextNDPOption(options)
			if err != nil || len(opt) < 8 || len(opt)+len(rest) != len(options) {
				t.Fatalf("% x: a parsed message has a bad option: %v", b, err)
			}
			if first := FindNDPOption(options, kind); &first[0] != &opt[0] {
				t.Fatalf("% x: option %d is found elsewhere", b, kind)
			}
			fuzzNDPOption(t, opt)
			options = rest
		}
	})
}

func fuzzNDPOption(t *testing.T, opt []byte) {
	if p, err := ParsePrefixInfo(opt); err == nil && p.PrefixLen() > 128 {
		t.Fatalf("% x: prefix of %d bits", opt, p.PrefixLen())
	}
	if r, err := ParseRDNSS(opt); err == nil {
		last := r.Addr(r.Len() - 1)
		if r.Len() < 1 || !bytes.Equal(last[:], opt[len(opt)-16:]) {
			t.Fatalf("% x: %d servers", opt, r.Len())
		}
	}
	if m, err := ParseLinkAddr(opt); err == nil && !bytes.Equal(m[:], opt[2:]) {
		t.Fatalf("% x: address %v", opt, m)
	}
}

func FuzzScript(f *testing.F) {
	f.Add("> P. 1:5001(5000) ack 1 win 1000 urg 5 cut 1000 <nop,nop,TS val 10 ecr 7,sack 1:2 3:4>")
	f.Add("< SEWA 0:0(0) win 65535 <mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>")
	f.Add("< S 0:0(0) <FO 0123456789abcdef,uto 5m,ECN e0b 1 ceb 0 e1b 1,bad>")
	f.Add("> - 4294967295:0(1) <ECN e1b>")
	f.Add("< [ce] .EWA 1:1001(1000) ack 5 cut 100 <ECN e1b 16777215 ceb 7 e0b 1>")
	f.Add("> [noecn]. 1:1(0) ack 1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript(text)
		if err != nil {
			if e := err.(*ScriptError); e.Pos < 0 || e.Pos > len(text) {
				t.Fatalf("%q: error at %d", text, e.Pos)
			}
			return
		}
		once := s.String()
		back, err := ParseScript(once)
		if err != nil {
			t.Fatalf("%q is written %q: %v", text, once, err)
		}
		if twice := back.String(); twice != once {
			t.Fatalf("%q is written %q, then %q", text, once, twice)
		}
		s.Opts, back.Opts = TCPOptions{}, TCPOptions{} // some may have found no room
		if s != back {
			t.Fatalf("%q becomes %+v, then %+v", text, s, back)
		}
	})
}
