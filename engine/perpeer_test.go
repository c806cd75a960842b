package engine

import (
	"net/netip"
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// joined returns two engines, at 10.0.0.1 and 10.0.0.2, and a function that
// carries packets between them until both are silent.
func joined(t *testing.T, server Limits) (a, b *Engine, carry func(now mono.Time)) {
	t.Helper()
	a, b = New(Config{Secret: [16]byte{1}}), New(Config{Secret: [16]byte{2}, Limits: server})
	for i, e := range []*Engine{a, b} {
		id := e.AddInterface(Interface{Name: "wire", MTU: 1500}).ID
		if err := e.AddAddress(id, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b, func(now mono.Time) {
		var batch [16]*pkt.Packet
		for quiet := 0; quiet < 2; {
			for _, d := range [][2]*Engine{{a, b}, {b, a}} {
				n := d[0].Output(now, batch[:])
				d[1].Input(now, 1, batch[:n])
				quiet++
				if n > 0 {
					quiet = 0
				}
			}
		}
	}
}

// One address gets no more connections than Limits.ConnectionsPerPeer, and gets
// another one when one of them ends (T-RES-02).
func TestConnectionsPerPeer(t *testing.T) {
	now := mono.Start
	a, b, carry := joined(t, Limits{ConnectionsPerPeer: 2})
	l, err := b.Listen(now, &ListenConfig{Local: netip.MustParseAddrPort("10.0.0.2:80")})
	if err != nil {
		t.Fatal(err)
	}
	dial := func() *Conn {
		c, err := a.Dial(now, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80")})
		if err != nil {
			t.Fatal(err)
		}
		carry(now)
		return c
	}
	first := dial()
	if second, third := dial(), dial(); second.State() != tcp.Established || third.State() != tcp.SynSent {
		t.Fatalf("the second is %v, the third %v", second.State(), third.State())
	}
	var s Stats
	if b.Stats(&s); s.Count[PeerOverflow] != 1 {
		t.Errorf("%d refusals are counted", s.Count[PeerOverflow])
	}
	first.Abort(now)
	carry(now)
	if fourth := dial(); fourth.State() != tcp.Established {
		t.Errorf("after one ended, the next is %v", fourth.State())
	}
	if n, _ := l.Pending(); n != 3 { // the one that ended waits to be accepted, too
		t.Errorf("%d connections wait", n)
	}
}
