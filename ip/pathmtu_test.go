package ip

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

const t0 = mono.Start

// wantPath fails unless the path MTU to dst is mtu, and DF set or not.
func wantPath(t *testing.T, m *PathMTU, now mono.Time, dst wire.Addr, mtu int, df bool) {
	t.Helper()
	if got, gotDF := m.Get(now, &dst, 1500); got != mtu || gotDF != df {
		t.Errorf("at %v: path MTU to %v is %d (DF %v), want %d (DF %v)", now, dst, got, gotDF, mtu, df)
	}
}

// Fragmentation Needed lowers the estimate, never below the floor. RFC 1191 §3.
// Deviation: the floor is 552, as in Linux, unless configured to be 68; below
// it, DF is no longer set.
func TestR1191_3a_Lower(t *testing.T) {
	m := NewPathMTU(PathMTUConfig{})
	wantPath(t, m, t0, peer4, 1500, true)
	if !m.Update(t0, &peer4, 1400, 1500, 1500) {
		t.Error("1400 did not lower 1500")
	}
	wantPath(t, m, t0, peer4, 1400, true)
	if !m.Update(t0, &peer4, 68, 1400, 1500) {
		t.Error("68 did not lower 1400")
	}
	wantPath(t, m, t0, peer4, PathFloor4, false)
	rfc := NewPathMTU(PathMTUConfig{Floor4: MinMTU4})
	rfc.Update(t0, &peer4, 68, 1500, 1500)
	wantPath(t, rfc, t0, peer4, 68, true)
	rfc.Update(t0, &peer4, 40, 1500, 1500)
	wantPath(t, rfc, t0, peer4, 68, false)
}

// A message below the floor counts as news where the estimate cannot fall any
// more, at the floor or on a link below it: DF is no longer set, and who asked
// must know. RFC 1191 §3.
func TestR1191_3c_BelowTheFloor(t *testing.T) {
	for _, x := range []struct {
		link, first int // first: a message that came before, 0 for none
		mtu         int
		want        bool
		path        int
		df          bool
	}{
		{1500, PathFloor4, 296, true, PathFloor4, false},
		{1500, 296, 296, false, PathFloor4, false}, // known
		{1500, 296, 68, false, PathFloor4, false},
		{1500, PathFloor4, PathFloor4, false, PathFloor4, true},
		{PathFloor4, 0, 296, true, PathFloor4, false},
		{400, 0, 296, true, 400, false},
		{400, 0, 400, false, 400, true},
		{400, 0, 500, false, 400, true},
	} {
		m := NewPathMTU(PathMTUConfig{})
		if x.first != 0 {
			m.Update(t0, &peer4, x.first, x.link, x.link)
		}
		if got := m.Update(t0, &peer4, x.mtu, x.link, x.link); got != x.want {
			t.Errorf("%+v: news %v", x, got)
		}
		if mtu, df := m.Get(t0, &peer4, x.link); mtu != x.path || df != x.df {
			t.Errorf("%+v: path MTU %d (DF %v)", x, mtu, df)
		}
	}
}

// An estimate rises only by expiry, ten minutes after the last message. RFC 1191 §6.3.
func TestR1191_3b_Expiry(t *testing.T) {
	m := NewPathMTU(PathMTUConfig{})
	m.Update(t0, &peer4, 1400, 1500, 1500)
	later := t0.Add(4 * time.Minute)
	m.Update(later, &peer4, 1300, 1400, 1500)
	end := later.Add(PathMTUExpiry)
	if m.Deadline() != end {
		t.Errorf("deadline %v, want %v", m.Deadline(), end)
	}
	wantPath(t, m, end-1, peer4, 1300, true)
	wantPath(t, m, end, peer4, 1500, true)
	if m.Advance(end); m.Len() != 0 || m.Deadline().IsSet() {
		t.Errorf("%d paths left, deadline %v", m.Len(), m.Deadline())
	}
}

// A message without next-hop MTU lowers to the next plateau below the quoted length. RFC 1191 §5, §7.1.
func TestR1191_5_Plateaus(t *testing.T) {
	for _, c := range []struct{ quoted, link, want int }{
		{1500, 1500, 1492}, {1492, 1500, 1006}, {9000, 9000, 8166}, {1006, 1500, PathFloor4},
		{65535, 65535, 32000}, {65535, 1500, 1492}, // a lie about the length does not raise
	} {
		m := NewPathMTU(PathMTUConfig{})
		m.Update(t0, &peer4, 0, c.quoted, c.link)
		if got, _ := m.Get(t0, &peer4, c.link); got != c.want {
			t.Errorf("quoted %d on a link of %d: %d, want %d", c.quoted, c.link, got, c.want)
		}
	}
	m := NewPathMTU(PathMTUConfig{Floor4: MinMTU4})
	mtu := 1500
	for i := range 20 { // each message must lower, down to the floor
		if !m.Update(t0, &peer4, 0, mtu, 1500) {
			if mtu != MinMTU4 {
				t.Errorf("stuck at %d after %d messages", mtu, i)
			}
			return
		}
		mtu, _ = m.Get(t0, &peer4, 1500)
	}
	t.Errorf("still falling at %d", mtu)
}

// Packet Too Big below 1280 does not lower the estimate. RFC 8201 §4.
func TestR8201_4a_Below1280(t *testing.T) {
	m := NewPathMTU(PathMTUConfig{})
	for _, mtu := range []int{0, 68, 552, 1279} {
		if m.Update(t0, &peer6, mtu, 1500, 1500) {
			t.Errorf("%d was believed", mtu)
		}
	}
	wantPath(t, m, t0, peer6, 1500, true)
	if !m.Update(t0, &peer6, 1280, 1500, 1500) {
		t.Error("1280 was not believed")
	}
	wantPath(t, m, t0, peer6, 1280, true)
}

// A message never raises the estimate. RFC 8201 §4.
func TestR8201_4b_NeverRaises(t *testing.T) {
	for _, dst := range []wire.Addr{peer4, peer6} {
		m := NewPathMTU(PathMTUConfig{})
		m.Update(t0, &dst, 1300, 1500, 1500)
		for _, mtu := range []int{1300, 1301, 1500, 9000, 1 << 30} {
			if m.Update(t0.Add(time.Second), &dst, mtu, 1500, 1500) {
				t.Errorf("%v: %d lowered 1300", dst, mtu)
			}
			wantPath(t, m, t0.Add(time.Second), dst, 1300, true)
		}
		if m.Update(t0, &peer4, 1500, 1500, 1500); m.Len() > 1 {
			t.Error("a message that says nothing new takes room")
		}
	}
}

// Paths are remembered by address, never by network. RFC 4821 §5.2.
func TestR4821_5_2_ByAddress(t *testing.T) {
	m := NewPathMTU(PathMTUConfig{})
	m.Update(t0, &peer4, 1300, 1500, 1500)
	wantPath(t, m, t0, addr("192.0.2.3"), 1500, true)
	m.Forget(&peer4)
	wantPath(t, m, t0, peer4, 1500, true)
}

// However many destinations are named, only so many are remembered: the last.
func TestPathMTUBound(t *testing.T) {
	const seed, limit = 9, 16
	rng := rand.New(rand.NewPCG(seed, 0))
	m := NewPathMTU(PathMTUConfig{Paths: limit})
	last := map[wire.Addr]int{} // when it was last named
	a := peer6
	now := t0
	for i := range 5000 {
		binary.BigEndian.PutUint16(a[14:], uint16(rng.IntN(40)))
		now = now.Add(time.Millisecond)
		if cur, _ := m.Get(now, &a, 9000); m.Update(now, &a, cur-1, 9000, 9000) {
			last[a] = i
		}
		newer := 0
		for _, k := range last {
			if k > last[a] {
				newer++
			}
		}
		if m.Len() > limit || newer != 0 {
			t.Fatalf("seed %d, round %d: %d paths", seed, i, m.Len())
		}
		if i%100 == 0 { // those named among the last are there, the others are not
			for b, k := range last {
				younger := 0
				for _, k2 := range last {
					if k2 > k {
						younger++
					}
				}
				_, there := m.index[b]
				if there != (younger < limit) {
					t.Fatalf("seed %d, round %d: %v named %d destinations ago, remembered: %v", seed, i, b, younger, there)
				}
			}
		}
	}
}

func TestPathMTUAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := NewPathMTU(PathMTUConfig{})
	m.Update(t0, &peer4, 1300, 1500, 1500)
	if n := testing.AllocsPerRun(100, func() { m.Get(t0, &peer4, 1500); m.Get(t0, &peer6, 1500) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What probes have found is told to those who ask, by address, until it expires;
// it is no limit for those who know better. RFC 4821 §5.2.
func TestFound(t *testing.T) {
	m := NewPathMTU(PathMTUConfig{})
	want := func(now mono.Time, dst wire.Addr, mtu int, again mono.Time) {
		t.Helper()
		if got, at, ok := m.Found(now, &dst); got != mtu || at != again || ok != (mtu > 0) {
			t.Errorf("at %v %d bytes are known to reach %v, again at %v, %v; want %d, %v", now, got, dst, at, ok, mtu, again)
		}
	}
	want(t0, peer4, 0, 0)
	m.SetFound(t0, &peer4, 1300, t0.Add(time.Minute))
	want(t0, peer4, 1300, t0.Add(time.Minute))
	wantPath(t, m, t0, peer4, 1500, true)
	m.SetFound(t0.Add(time.Minute), &peer4, 1400, 0)
	want(t0.Add(PathMTUExpiry), peer4, 1400, 0)
	if !m.Update(t0.Add(PathMTUExpiry), &peer4, 1000, 1500, 1500) {
		t.Error("a message changes nothing")
	}
	m.SetFound(t0.Add(PathMTUExpiry), &peer4, 900, 0)
	wantPath(t, m, t0.Add(PathMTUExpiry), peer4, 1000, true)
	end := t0.Add(2 * PathMTUExpiry)
	want(end-1, peer4, 900, 0)
	want(end, peer4, 0, 0)
	if !m.Advance(end) || m.Len() != 0 {
		t.Errorf("%d paths are remembered, or nobody is told that one may be wider", m.Len())
	}
	m.SetFound(end, &peer6, 1400, 0)
	m.SetFound(end, &peer6, 0, 0)
	m.SetFound(end, &peer4, 0, 0)
	want(end, peer6, 0, 0)
	m.SetFound(end, &peer6, 1400, 0)
	if m.Advance(end.Add(PathMTUExpiry)) || m.Len() != 0 {
		t.Error("what probes found was no limit, and ends")
	}
}
