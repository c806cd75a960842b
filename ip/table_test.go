package ip

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/handfast/handfast/wire"
)

// prefix is netip.MustParsePrefix.
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// host returns a table with two links and a loopback interface.
func host(t testing.TB) *Table {
	t.Helper()
	tab := new(Table)
	for _, i := range []Interface{
		{ID: 0, Name: "lo", MTU: 65535, Loopback: true, Addrs: []Address{AddressFrom(prefix("127.0.0.1/8")), AddressFrom(prefix("::1/128"))}},
		{ID: 1, Name: "a", MTU: 1500, Addrs: []Address{AddressFrom(prefix("192.0.2.2/24")), AddressFrom(prefix("2001:db8:1::2/64")), AddressFrom(prefix("fe80::1:2/64"))}},
		{ID: 2, Name: "b", MTU: 9000, Addrs: []Address{AddressFrom(prefix("10.0.0.2/8")), AddressFrom(prefix("fd00::2/64")), AddressFrom(prefix("fe80::2:2/64"))}},
	} {
		if err := tab.AddInterface(i); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []Route{
		{Prefix: prefix("0.0.0.0/0"), Gateway: addr("192.0.2.1"), Interface: 1, Metric: 10},
		{Prefix: prefix("::/0"), Gateway: addr("fe80::1:1"), Interface: 1},
	} {
		if err := tab.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return tab
}

func TestLookup(t *testing.T) {
	tab := host(t)
	add := func(r Route) {
		t.Helper()
		if err := tab.Add(r); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
	}
	add(Route{Prefix: prefix("10.1.0.0/16"), Gateway: addr("10.0.0.9"), Interface: 2, Metric: 5})
	add(Route{Prefix: prefix("10.1.0.0/16"), Gateway: addr("10.0.0.8"), Interface: 2, Metric: 4})
	add(Route{Prefix: prefix("10.1.0.0/16"), Gateway: addr("10.0.0.7"), Interface: 2, Metric: 4})
	add(Route{Prefix: prefix("10.1.2.3/32"), Gateway: addr("10.0.0.6"), Interface: 2, Metric: 99})
	for _, c := range []struct {
		dst, hop string
		iface    int
	}{
		{"192.0.2.77", "192.0.2.77", 1}, // on the link
		{"203.0.113.5", "192.0.2.1", 1}, // default
		{"10.200.0.1", "10.200.0.1", 2}, // on the other link
		{"10.1.9.9", "10.0.0.8", 2},     // the lowest metric, of those the first
		{"10.1.2.3", "10.0.0.6", 2},     // longest prefix before metric
		{"127.9.9.9", "127.9.9.9", 0},   // loopback
		{"2001:db8:1::9", "2001:db8:1::9", 1},
		{"2001:db8:2::9", "fe80::1:1", 1},
		{"fd00::9", "fd00::9", 2},
		{"::1", "::1", 0},
	} {
		r, ok := tab.Lookup(addr(c.dst))
		if hop := r.NextHop(addr(c.dst)); !ok || hop != addr(c.hop) || r.Interface != c.iface {
			t.Errorf("%s: %v by %v on %d, want %s on %d", c.dst, ok, hop, r.Interface, c.hop, c.iface)
		}
	}
	if r, ok := tab.LookupOn(addr("fe80::99"), 2); !ok || r.Interface != 2 {
		t.Errorf("fe80::99 on interface 2: %+v %v", r, ok)
	}
	if r, ok := tab.LookupOn(addr("203.0.113.5"), 2); ok {
		t.Errorf("no default route on interface 2, got %+v", r)
	}
	if !tab.Remove(Route{Prefix: prefix("::/0"), Gateway: addr("fe80::1:1"), Interface: 1}) {
		t.Error("the default route cannot be removed")
	}
	if r, ok := tab.Lookup(addr("2001:db8:2::9")); ok {
		t.Errorf("without a default route: %+v", r)
	}
	if _, ok := tab.Lookup(addr("203.0.113.5")); !ok {
		t.Error("IPv4's default route went with IPv6's")
	}
}

// Lookup agrees with a search through all routes by netip's rules.
func TestLookupRandom(t *testing.T) {
	const seed = 3
	rng := rand.New(rand.NewPCG(seed, 0))
	tab := host(t)
	random := func(is4 bool) netip.Addr {
		if is4 {
			return netip.AddrFrom4([4]byte{10, byte(rng.IntN(4)), byte(rng.IntN(4)), byte(rng.Uint32())})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 7: byte(rng.IntN(2)), 8: byte(rng.IntN(4)), 15: byte(rng.Uint32())})
	}
	for i := range 300 {
		a := random(i%2 == 0)
		tab.Add(Route{Prefix: netip.PrefixFrom(a, rng.IntN(a.BitLen()+1)), Gateway: wire.AddrFrom(random(a.Is4())), Interface: 1, Metric: rng.IntN(3)})
	}
	all := tab.Routes(nil)
	for i := range 2000 {
		a := random(i%2 == 0)
		got, ok := tab.Lookup(wire.AddrFrom(a))
		if !ok {
			t.Fatalf("seed %d: no route to %v although there are default routes", seed, a)
		}
		for _, r := range all {
			if r.Prefix.Contains(a) && (r.Prefix.Bits() > got.Prefix.Bits() || r.Prefix.Bits() == got.Prefix.Bits() && r.Metric < got.Metric) {
				t.Fatalf("seed %d: %v goes by %+v, better is %+v", seed, a, got, r)
			}
		}
		if !got.Prefix.Contains(a) {
			t.Fatalf("seed %d: %v goes by %+v", seed, a, got)
		}
	}
}

func TestTableRefusals(t *testing.T) {
	tab := host(t)
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"same ID", tab.AddInterface(Interface{ID: 1, MTU: 1500}), ErrExists},
		{"negative ID", tab.AddInterface(Interface{ID: -1, MTU: 1500}), ErrNoInterface},
		{"no prefix", tab.Add(Route{Interface: 1}), ErrPrefix},
		{"gateway of the other family", tab.Add(Route{Prefix: prefix("10.0.0.0/8"), Gateway: addr("fe80::1"), Interface: 1}), ErrPrefix},
		{"no such interface", tab.Add(Route{Prefix: prefix("10.0.0.0/8"), Interface: 9}), ErrNoInterface},
		{"same route", tab.Add(Route{Prefix: prefix("0.0.0.0/0"), Gateway: addr("192.0.2.1"), Interface: 1, Metric: 10}), ErrExists},
		{"mapped prefix", tab.Add(Route{Prefix: netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104), Interface: 1}), ErrPrefix},
		{"address on no interface", tab.AddAddress(9, AddressFrom(prefix("10.0.0.1/8"))), ErrNoInterface},
		{"multicast address", tab.AddAddress(1, AddressFrom(prefix("224.0.0.5/24"))), ErrPrefix},
		{"prefix too long", tab.AddAddress(1, Address{Addr: self4, Bits: 33}), ErrPrefix},
		{"IPv6 on a narrow link", tab.AddInterface(Interface{ID: 6, MTU: 1279, Addrs: []Address{AddressFrom(prefix("2001:db8::1/64"))}}), ErrMTU},
		{"IPv4 on a narrow link", tab.AddInterface(Interface{ID: 7, MTU: 68, Addrs: []Address{AddressFrom(prefix("198.51.100.1/24"))}}), nil},
		{"IPv6 on the narrowest link", tab.AddInterface(Interface{ID: 8, MTU: 1280, Addrs: []Address{AddressFrom(prefix("2001:db8::1/64"))}}), nil},
		{"group that is none", tab.Join(1, self4), ErrPrefix},
		{"bad address with an interface", tab.AddInterface(Interface{ID: 5, MTU: 1500, Addrs: []Address{{}}}), ErrPrefix},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	if tab.Interface(5) != nil || tab.Interface(6) != nil {
		t.Error("an interface stayed although it was refused")
	}
	for i := 0; ; i++ {
		err := tab.Add(Route{Prefix: prefix("10.0.0.0/8"), Interface: 1, Metric: i + 1})
		if err == nil && i <= MaxRoutes {
			continue
		}
		if !errors.Is(err, ErrFull) || len(tab.Routes(nil)) != MaxRoutes {
			t.Errorf("after %d routes: %v", len(tab.Routes(nil)), err)
		}
		break
	}
}

// Each edit that may change an answer changes the generation.
func TestGeneration(t *testing.T) {
	tab := host(t)
	last := tab.Generation()
	step := func(what string, changed bool) {
		t.Helper()
		if (tab.Generation() != last) != changed {
			t.Errorf("%s: generation %d after %d, want a change: %v", what, tab.Generation(), last, changed)
		}
		last = tab.Generation()
	}
	r := Route{Prefix: prefix("198.51.100.0/24"), Interface: 1}
	tab.Lookup(self4)
	step("Lookup", false)
	tab.Add(r)
	step("Add", true)
	tab.Add(r)
	step("Add again", false)
	tab.Remove(r)
	step("Remove", true)
	tab.Remove(r)
	step("Remove again", false)
	tab.AddAddress(1, AddressFrom(prefix("192.0.2.3/24")))
	step("AddAddress", true)
	tab.AddAddress(1, Address{Addr: addr("192.0.2.3"), Bits: 24, Deprecated: true})
	step("deprecate", true)
	tab.RemoveAddress(1, addr("192.0.2.3"))
	step("RemoveAddress", true)
	tab.RemoveInterface(2)
	step("RemoveInterface", true)
}

// The route to a prefix lives as long as the last address in it.
func TestConnectedRoutes(t *testing.T) {
	tab := host(t)
	goes := func() bool { r, _ := tab.Lookup(addr("192.0.2.9")); return r.OnLink() }
	tab.AddAddress(1, AddressFrom(prefix("192.0.2.3/24")))
	tab.RemoveAddress(1, addr("192.0.2.2"))
	if !goes() {
		t.Error("the route went with the first of two addresses")
	}
	tab.RemoveAddress(1, addr("192.0.2.3"))
	if goes() {
		t.Error("the route stayed after the last address")
	}
	tab.AddAddress(1, AddressFrom(prefix("192.0.2.3/24")))
	tab.AddAddress(1, AddressFrom(prefix("192.0.2.3/30")))
	if goes() {
		t.Error("the old route stayed when the prefix shrank")
	}
	if r, ok := tab.Lookup(addr("192.0.2.1")); !ok || !r.OnLink() {
		t.Error("no route to the smaller prefix")
	}
	tab.RemoveInterface(1)
	if r, ok := tab.Lookup(addr("203.0.113.1")); ok {
		t.Errorf("a route over a removed interface: %+v", r)
	}
}

func TestBroadcast(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"192.0.2.2/24", "192.0.2.255"}, {"10.1.2.3/8", "10.255.255.255"}, {"192.0.2.5/30", "192.0.2.7"},
		{"0.0.0.0/0", "255.255.255.255"}, {"192.0.2.2/31", ""}, {"192.0.2.2/32", ""}, {"2001:db8::/64", ""},
	} {
		a, ok := Broadcast(prefix(c.prefix))
		if ok != (c.want != "") || ok && a != addr(c.want) {
			t.Errorf("%s: %v %v, want %s", c.prefix, a, ok, c.want)
		}
	}
	tab := host(t)
	for dst, want := range map[string]bool{
		"255.255.255.255": true, "192.0.2.255": true, "10.255.255.255": false, "192.0.2.2": false, "ff02::1": false,
	} {
		if a := addr(dst); tab.IsBroadcast(1, &a) != want {
			t.Errorf("IsBroadcast(1, %s) is not %v", dst, want)
		}
	}
}

func TestIsLocal(t *testing.T) {
	tab := host(t)
	for dst, want := range map[string]int{
		"192.0.2.2": 1, "10.0.0.2": 2, "127.0.0.1": 0, "127.255.0.9": 0, "::1": 0, "fe80::2:2": 2,
		"192.0.2.3": -1, "2001:db8:1::3": -1,
	} {
		a := addr(dst)
		id, ok := tab.IsLocal(&a)
		if ok != (want >= 0) || ok && id != want {
			t.Errorf("%s: %d %v, want %d", dst, id, ok, want)
		}
	}
}

func TestGroups(t *testing.T) {
	tab := host(t)
	arrives := func(iface int, dst string) bool {
		d := Datagram{Src: peer4, Dst: addr(dst), Iface: iface, Multicast: true}
		return tab.CheckArrival(&d) == ReasonNone
	}
	if arrives(1, "224.0.0.251") {
		t.Error("a group nobody joined")
	}
	if err := tab.Join(1, addr("224.0.0.251")); err != nil {
		t.Fatal(err)
	}
	if !arrives(1, "224.0.0.251") || arrives(2, "224.0.0.251") {
		t.Error("membership is of one interface")
	}
	if !tab.Leave(1, addr("224.0.0.251")) || tab.Leave(1, addr("224.0.0.251")) || arrives(1, "224.0.0.251") {
		t.Error("leaving did not work, or worked twice")
	}
	if d := (Datagram{Src: peer4, Dst: self4, Iface: 9}); tab.CheckArrival(&d) != ReasonNotLocal {
		t.Error("a packet from an unknown interface")
	}
}

// The default policy table has the labels and precedences of RFC 6724 §2.1.
func TestR6724_2_1_PolicyTable(t *testing.T) {
	for _, c := range []struct {
		a                 string
		precedence, label uint8
	}{
		{"::1", 50, 0}, {"2a00::1", 40, 1}, {"192.0.2.1", 35, 4}, {"2002:c000:201::1", 30, 2},
		{"2001::1", 5, 5}, {"2001:db8::1", 40, 1}, {"fc00::1", 3, 13}, {"fd12::1", 3, 13},
		{"::192.0.2.1", 1, 3}, {"fec0::1", 1, 11}, {"3ffe::1", 1, 12}, {"fe80::1", 40, 1},
	} {
		if p, l := Policy(addr(c.a)); p != c.precedence || l != c.label {
			t.Errorf("%s: precedence %d label %d, want %d %d", c.a, p, l, c.precedence, c.label)
		}
	}
}

// The source address is chosen by the rules of RFC 6724 §5 in their order.
func TestR6724_5_SourceRules(t *testing.T) {
	a := func(s string) Address { return AddressFrom(prefix(s)) }
	old := func(s string) Address { x := a(s); x.Deprecated = true; return x }
	tentative := func(s string) Address { x := a(s); x.Tentative = true; return x }
	for _, c := range []struct {
		name      string
		out, more []Address // of interface 1, over which the packet leaves, and of interface 2
		gateway   string
		dst, want string
	}{
		{"1: the same address", []Address{a("2001:db8::1/64")}, []Address{a("2001:db8::2/64")}, "", "2001:db8::2", "2001:db8::2"},
		{"2: global for global", []Address{a("fe80::1/64"), a("2001:db8::1/64")}, nil, "", "2001:db8:1::9", "2001:db8::1"},
		{"2: link-local for link-local", []Address{a("2001:db8::1/64"), a("fe80::1/64")}, nil, "", "fe80::9", "fe80::1"},
		{"2: the larger scope serves where the smaller does not", []Address{a("fe80::1/64")}, []Address{a("2001:db8::1/64")}, "", "2001:db8:1::9", "2001:db8::1"},
		{"2: link-local for a group of the link", []Address{a("2001:db8::1/64"), a("fe80::1/64")}, nil, "", "ff02::5", "fe80::1"},
		{"2: global for a global group", []Address{a("fe80::1/64"), a("2001:db8::1/64")}, nil, "", "ff0e::5", "2001:db8::1"},
		{"2 before 3: deprecated but of the right scope", []Address{a("fe80::1/64"), old("2001:db8::1/64")}, nil, "", "2001:db8:1::9", "2001:db8::1"},
		{"3: not deprecated", []Address{old("2001:db8:1::1/64"), a("2001:db8::1/64")}, nil, "", "2001:db8:1::9", "2001:db8::1"},
		{"3 before 5: deprecated on the way out", []Address{old("2001:db8:1::1/64")}, []Address{a("2001:db8::1/64")}, "", "2001:db8:1::9", "2001:db8::1"},
		{"5: the interface it leaves by", []Address{a("2001:db8::1/64")}, []Address{a("2001:db8:1::1/64")}, "", "2001:db8:1::9", "2001:db8::1"},
		{"5.5: the next hop's prefix", []Address{a("2001:db8:1::1/64"), a("2001:db8:2::1/64")}, nil, "2001:db8:2::ff", "2001:db8:1::9", "2001:db8:2::1"},
		{"5.5 in IPv4", []Address{a("10.0.0.1/24"), a("192.0.2.2/24")}, nil, "192.0.2.1", "10.9.9.9", "192.0.2.2"},
		{"6: the same label", []Address{a("2002:c000:201::1/64"), a("2001:db8::1/64")}, nil, "", "2400::1", "2001:db8::1"},
		{"6: ULA for ULA", []Address{a("2001:db8::1/64"), a("fd00::1/64")}, nil, "", "fd11::1", "fd00::1"},
		{"6 before 8: 6to4 for 6to4", []Address{a("2001:db8::1/64"), a("2002:c000:201::1/64")}, nil, "", "2002:ffff::1", "2002:c000:201::1"},
		{"8: the longest common prefix", []Address{a("2001:db8:1::1/64"), a("2001:db8:2::1/64")}, nil, "", "2001:db8:3::1", "2001:db8:2::1"},
		{"8 counts no further than the prefix", []Address{a("2001:db8:0:1::1/64"), a("2001:db8:0:1::8001/64")}, nil, "", "2001:db8:0:1::8009", "2001:db8:0:1::1"},
		{"tentative addresses are not ours", []Address{tentative("2001:db8:1::1/64"), a("2001:db8::1/64")}, nil, "", "2001:db8:1::9", "2001:db8::1"},
		{"link-local from this link only", []Address{a("2001:db8::1/64")}, []Address{a("fe80::1/64")}, "", "fe80::9", "2001:db8::1"},
		{"IPv4", []Address{a("2001:db8::1/64"), a("192.0.2.2/24")}, nil, "", "192.0.2.9", "192.0.2.2"},
		{"none of the family", []Address{a("2001:db8::1/64")}, nil, "", "192.0.2.9", ""},
	} {
		var tab Table
		for k, addrs := range [][]Address{c.out, c.more} {
			if err := tab.AddInterface(Interface{ID: k + 1, MTU: 1500, Addrs: addrs}); err != nil {
				t.Fatal(err)
			}
		}
		r := Route{Interface: 1}
		if c.gateway != "" {
			r.Gateway = addr(c.gateway)
		}
		src, ok := tab.SelectSource(addr(c.dst), &r)
		if ok != (c.want != "") || ok && src != addr(c.want) {
			t.Errorf("%s: to %s from %v %v, want %s", c.name, c.dst, src, ok, c.want)
		}
	}
}

// A host sends only with a source address of its own. RFC 1122 §3.2.1.3.
func TestR1122_3_2_1_3_OnlyOwnSource(t *testing.T) {
	tab := host(t)
	r, _ := tab.Lookup(addr("203.0.113.1"))
	r.Source = addr("198.51.100.1") // not ours: the route is ignored in that
	if src, ok := tab.SelectSource(addr("203.0.113.1"), &r); !ok || src != addr("192.0.2.2") {
		t.Errorf("a route with a stranger's source: %v %v", src, ok)
	}
	r.Source = addr("10.0.0.2")
	if src, ok := tab.SelectSource(addr("203.0.113.1"), &r); !ok || src != addr("10.0.0.2") {
		t.Errorf("a route with our source: %v %v", src, ok)
	}
	for _, dst := range []string{"127.0.0.1", "127.3.4.5", "::1"} {
		r, _ := tab.Lookup(addr(dst))
		if src, ok := tab.SelectSource(addr(dst), &r); !ok || src != addr(dst) {
			t.Errorf("to %s: %v %v", dst, src, ok)
		}
	}
}

func TestTableAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tab := host(t)
	d := Datagram{Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), Iface: 1}
	dst := addr("2001:db8:9::1")
	if n := testing.AllocsPerRun(100, func() {
		r, _ := tab.Lookup(dst)
		tab.SelectSource(dst, &r)
		tab.CheckArrival(&d)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheckArrival(b *testing.B) {
	tab := host(b)
	d := Datagram{Src: addr("203.0.113.1"), Dst: addr("192.0.2.2"), Iface: 1}
	for b.Loop() {
		tab.CheckArrival(&d)
	}
}

func BenchmarkLookup(b *testing.B) {
	tab := host(b)
	dst := addr("203.0.113.1")
	for b.Loop() {
		tab.Lookup(dst)
	}
}
