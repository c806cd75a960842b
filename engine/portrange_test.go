package engine

import (
	"net/netip"
	"testing"

	"github.com/handfast/handfast/mono"
)

// The ephemeral range is the one configured, and no larger: a dial that finds
// all of it taken fails at once.
func TestPortRange(t *testing.T) {
	e := New(Config{Secret: [16]byte{1}, FirstPort: 5000, LastPort: 5003})
	id := e.AddInterface(Interface{Name: "wire", MTU: 1500}).ID
	if err := e.AddAddress(id, netip.MustParsePrefix("10.0.0.1/24")); err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]bool{}
	for range 4 {
		c, err := e.Dial(mono.Start, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80")})
		if err != nil {
			t.Fatal(err)
		}
		seen[c.LocalAddr().Port()] = true
	}
	for p := uint16(5000); p <= 5003; p++ {
		if !seen[p] {
			t.Errorf("port %d was not used", p)
		}
	}
	if _, err := e.Dial(mono.Start, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80")}); err != ErrNoPorts {
		t.Errorf("a fifth dial: %v", err)
	}
}
