package wire

import (
	"bytes"
	"testing"
)

// readAll reads b as everything it might be and looks at every part that a
// length on the wire decides about. Only a panic or an endless loop fails it.
func readAll(b []byte, opts *TCPOptions) (sum int) {
	if s, err := ParseTCP(b); err == nil {
		opts.Parse(s.Options(), true)
		sum += len(s.Payload()) + int(opts.NSACK)
	}
	if p, err := ParseIPv4(b); err == nil {
		for o := p.Options(); len(o) > 0 && err == nil; sum++ {
			_, _, o, err = NextOption(o)
		}
		sum += len(p.Payload())
	}
	if p, err := ParseIPv6(b); err == nil {
		proto, rest := p.NextHeader(), p.Payload()
		for IsExt(proto) && err == nil {
			var hdr []byte
			if proto, hdr, rest, err = NextExt(proto, rest); err == nil {
				var tlvErr error
				for o := TLVs(hdr); len(o) > 0 && tlvErr == nil; sum++ {
					_, _, o, tlvErr = NextTLV(o)
				}
			}
		}
	}
	if u, err := ParseUDP(b); err == nil {
		sum += len(u.Payload())
	}
	if a, err := ParseARP(b); err == nil {
		sum += int(a.Op())
	}
	if e, err := ParseEthernet(b); err == nil {
		sum += len(e.Payload()) + int(e.Type())
	}
	if m, err := ParseICMPv6(b); err == nil {
		for _, parse := range []func(ICMPv6) (int, error){
			func(m ICMPv6) (int, error) { v, err := ParseNS(m); return len(v), err },
			func(m ICMPv6) (int, error) { v, err := ParseNA(m); return len(v), err },
			func(m ICMPv6) (int, error) { v, err := ParseRS(m); return len(v), err },
			func(m ICMPv6) (int, error) { v, err := ParseRA(m); return len(v), err },
			func(m ICMPv6) (int, error) { v, err := ParseRedirect(m); return len(v), err },
		} {
			if n, err := parse(m); err == nil {
				sum += n
			}
		}
		for _, kind := range []uint8{NDPOptPrefixInfo, NDPOptRDNSS} {
			opt := FindNDPOption(m.Payload(), kind)
			if r, err := ParseRDNSS(opt); err == nil {
				sum += int(r.Addr(r.Len() - 1)[15])
			}
			if p, err := ParsePrefixInfo(opt); err == nil {
				sum += p.PrefixLen()
			}
		}
	}
	return sum
}

// Every prefix and every change of one byte, read as every kind of packet,
// right and wrong. T-PAR-01.
func TestEveryPrefixAndMutation(t *testing.T) {
	tagged := make([]byte, EthernetVLANLen+4)
	PutEthernetVLAN(tagged, ndpMAC, BroadcastMAC(), 5, EtherTypeIPv4)
	chain := append(goodIPv6()[:IPv6Len], ProtoDestOptions, 0, 5, 2, 0, 0, 1, 0, ProtoFragment, 0, 1, 4, 0, 0, 0, 0, ProtoTCP, 0, 0, 1, 0, 0, 0, 9)
	chain[5], chain[6] = 24, ProtoHopByHop
	packets := [][]byte{goodTCP(), goodIPv4(), goodIPv6(), chain, goodUDP(), goodARP(), tagged}
	for _, m := range ndpMessages() {
		packets = append(packets, m.b)
	}
	var opts TCPOptions
	for i, good := range packets {
		if readAll(good, &opts) == 0 {
			t.Errorf("packet %d is not read by anything: % x", i, good)
		}
		for n := range good {
			readAll(good[:n:n], &opts)
		}
		b := bytes.Clone(good)
		for at := range b {
			for v := range 256 {
				b[at] = byte(v)
				readAll(b, &opts)
			}
			b[at] = good[at]
		}
	}
}
