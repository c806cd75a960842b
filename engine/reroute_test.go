package engine

import (
	"net/netip"
	"testing"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// At R1 IP is asked for another way: a connection whose route has changed
// moves to the interface of the new one. RFC 9293 §3.8.3 (MUST-20 a).
func TestRerouteAtR1(t *testing.T) {
	e := New(Config{Secret: [16]byte{1}})
	for i := range 2 {
		id := e.AddInterface(Interface{Name: "wire", MTU: 1500}).ID
		if err := e.AddAddress(id, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 1}), 24)); err != nil {
			t.Fatal(err)
		}
		if err := e.Routes().Add(ip.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: id, Metric: i}); err != nil {
			t.Fatal(err)
		}
	}
	now := mono.Start
	c, err := e.Dial(now, &DialConfig{Remote: netip.MustParseAddrPort("192.0.2.1:80")})
	if err != nil {
		t.Fatal(err)
	}
	out := func() (iface int) {
		var batch [8]*pkt.Packet
		for _, p := range batch[:e.Output(now, batch[:])] {
			iface = int(p.Iface)
			p.Release()
		}
		return iface
	}
	if i := out(); i != 1 {
		t.Fatalf("the SYN leaves by interface %d", i)
	}
	e.Routes().Remove(ip.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: 1})
	var ways []int
	for range 5 {
		now = e.Deadline()
		e.Advance(now)
		ways = append(ways, out())
	}
	if ways[0] != 1 || ways[4] != 2 {
		t.Errorf("after the route changed the SYN goes by interfaces %v", ways)
	}
	if c.Interface() != 2 {
		t.Errorf("the connection is on interface %d", c.Interface())
	}
}
