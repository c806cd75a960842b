package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
)

// pathEffects are the settings of the search for the path's MTU.
func pathEffects() []effect {
	through := func(t *testing.T, passes, n int, settings ...string) tcp.Info {
		t.Helper()
		h := rig(t, settings...)
		p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
		newWay(p, c, passes).transfer(n)
		return h.Info(c)
	}
	return []effect{
		{"net.ipv4.tcp_mtu_probing net.ipv4.tcp_base_mss", func(t *testing.T) {
			for _, x := range []struct {
				probing, base string
				mtu           uint32
			}{{"1", "1024", 1500}, {"2", "1024", 1064}, {"2", "700", 740}} {
				i := through(t, 1500, 1000, "tcp_mtu_probing="+x.probing, "tcp_base_mss="+x.base)
				if i.PathMTU != x.mtu {
					t.Errorf("%+v: packets of %d bytes at first", x, i.PathMTU)
				}
			}
			h := rig(t, "tcp_mtu_probing=0")
			_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
			h.Write(c, make([]byte, 3000))
			h.Advance(time.Minute)
			if i := h.Info(c); i.PathMTU != 1500 {
				t.Errorf("switched off: packets of %d bytes after a minute", i.PathMTU)
			}
		}},
		{"net.ipv4.tcp_mtu_probe_floor", func(t *testing.T) {
			for floor, mtu := range map[string]uint32{"48": 88, "500": 540} {
				h := rig(t, "tcp_mtu_probe_floor="+floor)
				_, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
				h.Write(c, make([]byte, 3000))
				h.Advance(10 * time.Minute)
				if i := h.Info(c); i.PathMTU != mtu {
					t.Errorf("floor %s: packets of %d bytes when nothing passes", floor, i.PathMTU)
				}
			}
		}},
		{"net.ipv4.tcp_probe_threshold", func(t *testing.T) {
			for threshold, least := range map[string]uint32{"8": 1293, "100": 1201} {
				i := through(t, 1300, 1<<20, "tcp_probe_threshold="+threshold)
				if i.PathMTU < least || i.PathMTU > 1300 || threshold == "100" && i.PathMTU > 1292 {
					t.Errorf("threshold %s: packets of %d bytes on a path of 1300", threshold, i.PathMTU)
				}
			}
		}},
		{"net.ipv4.tcp_probe_interval", func(t *testing.T) {
			for interval, mtu := range map[string]uint32{"600": 1300, "60": 1500} {
				h := rig(t, "tcp_probe_interval="+interval)
				p, c := dialPeer(t, h, netip.AddrPort{}, at(them4, 80))
				w := newWay(p, c, 1300)
				w.transfer(1 << 20)
				w.passes = 1500
				h.Advance(2 * time.Minute)
				w.transfer(1 << 20)
				if i := h.Info(c); i.PathMTU > mtu || i.PathMTU < mtu-8 {
					t.Errorf("interval %s: packets of %d bytes", interval, i.PathMTU)
				}
			}
		}},
	}
}
