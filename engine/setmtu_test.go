package engine

import (
	"net/netip"
	"testing"

	"github.com/handfast/handfast/ip"
)

// When a device's MTU falls, what is sent from then on fits it, and so does
// what was in flight when it is sent again.
func TestSetMTU(t *testing.T) {
	p := newPair(t, Config{}, 0)
	l, err := p.b.Listen(p.now.now, &ListenConfig{Local: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := p.connect(t, l)
	p.write(p.a, c, 8000)
	largest := func() (n int) {
		for _, q := range p.batch[:p.a.Output(p.now.now, p.batch[:])] {
			n = max(n, q.Len())
			q.Release()
		}
		return n
	}
	if n := largest(); n != 1500 {
		t.Fatalf("packets of up to %d bytes over an MTU of 1500", n)
	}
	if err := p.a.SetMTU(c.Interface(), 1400); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for range 4 {
		p.now.now = p.a.Deadline()
		p.a.Advance(p.now.now)
		sent = max(sent, largest())
	}
	if sent > 1400 || sent < 1300 {
		t.Errorf("packets of up to %d bytes over an MTU that fell to 1400", sent)
	}
}

// An MTU too small for the addresses that an interface has is refused, and one
// that no interface can have becomes the nearest.
func TestSetMTURange(t *testing.T) {
	e := New(Config{Secret: [16]byte{1}})
	id := e.AddInterface(Interface{Name: "wire", MTU: 1500}).ID
	if err := e.SetMTU(id, 10); err != nil || e.Interface(id).MTU != ip.MinMTU4 {
		t.Errorf("MTU %d, %v", e.Interface(id).MTU, err)
	}
	if err := e.SetMTU(id, 1<<20); err != nil || e.Interface(id).MTU != ip.MaxDatagram {
		t.Errorf("MTU %d, %v", e.Interface(id).MTU, err)
	}
	if err := e.AddAddress(id, netip.MustParsePrefix("fd00::1/64")); err != nil {
		t.Fatal(err)
	}
	if err := e.SetMTU(id, 1279); err != ip.ErrMTU || e.Interface(id).MTU != ip.MaxDatagram {
		t.Errorf("MTU %d, %v", e.Interface(id).MTU, err)
	}
	if err := e.SetMTU(id+1, 1500); err != ip.ErrNoInterface {
		t.Errorf("error %v for an interface that is not there", err)
	}
}
