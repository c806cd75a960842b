package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// engineEffects are those of settings that are not a connection's.
func engineEffects() []effect {
	return []effect{
		{"net.ipv4.tcp_rfc1337", func(t *testing.T) {
			h := rig(t)
			p, c := toTimeWaitPeer(t, h, 4000)
			p.send(wire.FlagRST, "")
			if h.State(c) != tcp.TimeWait {
				t.Errorf("a reset in TIME-WAIT makes it %v", h.State(c))
			}
		}},
		{"net.ipv4.tcp_tw_reuse", func(t *testing.T) {
			for value, want := range map[string]error{"0": ErrAddrInUse, "1": nil, "2": ErrAddrInUse} {
				h := rig(t, "tcp_tw_reuse="+value)
				p, c := connectTo(t, h, fullOptions())
				port := p.us.Port()
				h.Shutdown(c, false, true)
				fin := p.seg(wire.FlagACK|wire.FlagFIN, "")
				fin.ACK++
				fin.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 6000}
				h.Inject(fin.raw())
				if h.State(c) != tcp.TimeWait {
					t.Fatal(h.State(c))
				}
				h.Advance(2 * time.Second)
				if _, err := h.Dial(DialConfig{Local: at(us4, port), Remote: at(them4, 80)}); err != want {
					t.Errorf("value %s: dialling from the port of a TIME-WAIT: %v", value, err)
				}
			}
			p := policy{reuse: reuseLoopback}
			if f := (Flow{Remote: toAddr(netip.MustParseAddr("127.0.0.1"))}); !p.mayReuse(&f) {
				t.Error("value 2: not on loopback either")
			}
		}},
		{"net.ipv4.tcp_syncookies", func(t *testing.T) {
			for value, want := range map[string][2]uint64{"0": {0, 1}, "1": {1, 1}, "2": {2, 0}} { // cookies, records
				h := rig(t, "tcp_syncookies="+value, "tcp_max_syn_backlog=1")
				listen(t, h, "10.0.0.1:80")
				offer(h, 1001)
				offer(h, 1002)
				if n := uint64(h.Stats().HalfOpen); n != want[1] || count(h, SYNCookiesSent) != want[0] {
					t.Errorf("value %s: two SYNs and room for one: %d records, %d cookies", value, n, count(h, SYNCookiesSent))
				}
			}
		}},
		{"net.ipv4.tcp_max_syn_backlog", func(t *testing.T) {
			h := rig(t, "tcp_max_syn_backlog=3")
			listen(t, h, "10.0.0.1:80")
			for port := range uint16(5) {
				offer(h, 1000+port)
			}
			if n := h.Stats().HalfOpen; n != 3 {
				t.Errorf("%d records", n)
			}
			wantCount(t, h, ListenHalfOpenOverflow, 2)
		}},
		{"net.ipv4.tcp_abort_on_overflow", func(t *testing.T) {
			for value, resets := range map[string]bool{"0": false, "1": true} {
				h := rig(t, "tcp_abort_on_overflow="+value)
				if _, err := h.Listen(ListenConfig{Local: at(us4, 80), Backlog: 1}); err != nil {
					t.Fatal(err)
				}
				a, b, c := offer(h, 1001), offer(h, 1002), offer(h, 1003)
				a.complete(h)
				b.complete(h)
				h.Sent()
				c.complete(h)
				sent := segments(t, h)
				got := len(sent) == 1 && sent[0].Flags&wire.FlagRST != 0 && h.Stats().HalfOpen == 0
				if got != resets || !resets && len(sent) > 0 {
					t.Errorf("value %s: the third is answered by %v", value, sent)
				}
			}
		}},
		{"net.ipv4.tcp_max_tw_buckets", func(t *testing.T) {
			for value, want := range map[string]int{"0": 0, "2": 2} {
				h := rig(t, "tcp_max_tw_buckets="+value)
				for port := range uint16(4) {
					_, c := dialPeer(t, h, at(us4, 4000+port), at(them4, 80))
					var s tcp.Space
					c.Space(&s)
					h.Shutdown(c, false, true)
					h.Inject((&wireSegment{Src: at(them4, 80), Dst: at(us4, 4000+port), SEQ: uint32(s.RcvNXT), ACK: uint32(s.MAX) + 1,
						Flags: wire.FlagACK | wire.FlagFIN, WND: 64000}).raw())
					h.Sent()
				}
				if n := h.Stats().TimeWait; n != want || h.Stats().Connections != 0 {
					t.Errorf("value %s: %d records of four, %d connections", value, n, h.Stats().Connections)
				}
				wantCount(t, h, TimeWaitOverflow, uint64(4-want))
			}
		}},
		{"net.ipv4.tcp_max_orphans", func(t *testing.T) {
			for value, resets := range map[string]bool{"0": true, "1": false} {
				h := rig(t, "tcp_max_orphans="+value)
				_, c := connectTo(t, h, sackOptions())
				h.Close(c)
				if got := one(t, h).Flags&wire.FlagRST != 0; got != resets {
					t.Errorf("value %s: closing resets: %v", value, got)
				}
			}
		}},
		{"net.ipv4.ip_local_port_range", func(t *testing.T) {
			h := rig(t, "ip_local_port_range=5000 5001")
			for range 2 {
				if p, _ := connectTo(t, h, sackOptions()); p.us.Port() != 5000 && p.us.Port() != 5001 {
					t.Errorf("port %d", p.us.Port())
				}
			}
			if _, err := h.Dial(DialConfig{Remote: at(them4, 80)}); err != ErrNoPorts {
				t.Errorf("a third connection: %v", err)
			}
		}},
		{"net.ipv4.ip_default_ttl net.ipv6.conf.all.hop_limit", func(t *testing.T) {
			h := rig(t, "ip_default_ttl=9", "net.ipv6.conf.all.hop_limit=17")
			for them, want := range map[netip.Addr]uint8{them4: 9, them6: 17} {
				c, err := h.Dial(DialConfig{Remote: at(them, 80)})
				if err != nil {
					t.Fatal(err)
				}
				u, err := h.OpenUDP(UDPConfig{Local: netip.AddrPortFrom(map[bool]netip.Addr{true: us4, false: us6}[them.Is4()], 0)})
				if err == nil {
					err = h.SendUDP(u, at(them, 53), []byte("x"))
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range h.Sent() {
					if p := parseIP(s.Raw); p.TTL != want {
						t.Errorf("to %v, protocol %d: TTL %d, want %d", them, p.Proto, p.TTL, want)
					}
				}
				c.SetTTL(33)
				h.Advance(time.Second)
				if s := one(t, h); s.TTL != 33 {
					t.Errorf("what the program asked for is not heeded: %d", s.TTL)
				}
				h.Abort(c)
			}
		}},
		{"net.core.somaxconn", func(t *testing.T) {
			h := rig(t, "net.core.somaxconn=7")
			l, err := h.Listen(ListenConfig{Local: at(us4, 80), Backlog: 100})
			if err != nil || l.Backlog() != 7 {
				t.Errorf("%v, a backlog of %d", err, l.Backlog())
			}
		}},
		{"net.core.wmem_max", func(t *testing.T) {
			h := rig(t, "net.core.wmem_max=10000")
			_, c := connectTo(t, h, sackOptions())
			c.SetBuffers(1<<20, 0)
			if n := h.Write(c, make([]byte, 1<<20)); n != 10_000 {
				t.Errorf("%d octets are taken", n)
			}
		}},
		{"net.core.rmem_max", func(t *testing.T) {
			for value, most := range map[string]int{"10000": 10_000, "100000": 100_000} {
				h := rig(t, "net.core.rmem_max="+value)
				c, err := h.Dial(DialConfig{Remote: at(them4, 80)})
				if err != nil {
					t.Fatal(err)
				}
				c.SetBuffers(0, 1<<20)
				syn := one(t, h)
				h.Inject((&wireSegment{Src: syn.Dst, Dst: syn.Src, SEQ: 9000, ACK: syn.SEQ + 1, Flags: wire.FlagSYN | wire.FlagACK, WND: 64000, Opts: fullOptions()}).raw())
				p := &peer{t: t, h: h, us: syn.Src, them: syn.Dst, ours: syn.SEQ, seq: 9001, ack: syn.SEQ + 1, wnd: 500}
				for range 70 { // 70,000 octets: what the SYN offered, and as much more as there is room
					if int(h.Info(c).ReceiveWindow) >= 1000 {
						p.send(wire.FlagACK, string(make([]byte, 1000)))
					}
				}
				got := c.Buffered() + int(h.Info(c).ReceiveWindow)
				if most < 65_535 && got > 66_000 || most > 65_535 && got < 70_000 {
					t.Errorf("value %s: %d octets are held or offered", value, got)
				}
			}
		}},
		{"net.ipv4.ipfrag_high_thresh net.ipv6.ip6frag_high_thresh", func(t *testing.T) {
			for _, name := range []string{"net.ipv4.ipfrag_high_thresh", "net.ipv6.ip6frag_high_thresh"} {
				h := rig(t, name+"=300000")
				for i := range 500 { // from as many sources, the first half of a datagram each
					from := at(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 9)
					h.Inject(fragments(udpPacket(from, at(us4, 9), make([]byte, 2000)), 1024)[0])
				}
				if n := h.E.reass.Charged(); n > 300_000 || n < 150_000 {
					t.Errorf("%s: %d octets are charged", name, n)
				}
			}
		}},
		{"net.ipv4.ipfrag_time", func(t *testing.T) {
			h := rig(t)
			h.Inject(fragments(udpPacket(at(them4, 9), at(us4, 9), make([]byte, 2000)), 1024)[0])
			change(t, h, "ipfrag_time=2") // counts for what has begun, too
			fragmentWaits(t, h, 2*time.Second)
		}},
		{"net.ipv6.ip6frag_time", func(t *testing.T) {
			h := rig(t, "net.ipv6.ip6frag_time=3")
			b := udpPacket(at(them6, 9), at(us6, 9), make([]byte, 64))
			head := append([]byte{}, b[:wire.IPv6Len]...)
			head[5] += 8
			head[6] = wire.ProtoFragment
			head = append(head, wire.ProtoUDP, 0, 0, 1, 0, 0, 0, 7) // first of more
			h.Inject(append(head, b[wire.IPv6Len:]...))
			fragmentWaits(t, h, 3*time.Second)
		}},
		{"net.ipv4.ipfrag_max_dist", func(t *testing.T) {
			h := rig(t)
			first := fragments(udpPacket(at(them4, 9), at(us4, 9), make([]byte, 2000)), 1024)
			h.Inject(first[0])
			for i := range 100 { // other datagrams of the same source in between
				other := fragments(udpPacket(at(them4, 9), at(us4, 9), make([]byte, 64)), 1024)[0]
				other[4], other[10], other[11] = byte(100+i), 0, 0
				sum := wire.Finish(wire.Sum(other[:wire.IPv4MinLen], 0))
				other[10], other[11] = byte(sum>>8), byte(sum)
				h.Inject(other)
			}
			h.Inject(first[1])
			if n := h.E.reass.Stats().Completed; n != 1 {
				t.Errorf("%d datagrams completed", n)
			}
		}},
		{"net.ipv4.icmp_ratelimit net.ipv6.icmp.ratelimit", func(t *testing.T) {
			for _, name := range []string{"net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"} {
				for value, want := range map[string]int{"0": 3, "1000": 1, "100": 2} {
					h := rig(t, name+"="+value)
					for _, wait := range []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond} {
						h.Advance(wait)
						h.Inject(udpPacket(at(them4, 9), at(us4, 9), []byte("x")))
						h.Inject(udpPacket(at(them6, 9), at(us6, 9), []byte("x")))
					}
					if n := len(h.Sent()); n != 2*want {
						t.Errorf("%s = %s: %d errors to two addresses, want %d", name, value, n, 2*want)
					}
				}
			}
		}},
		{"net.ipv4.icmp_msgs_burst net.ipv4.icmp_msgs_per_sec", func(t *testing.T) {
			h := rig(t, "icmp_ratelimit=0", "icmp_msgs_burst=4", "icmp_msgs_per_sec=2")
			flood := func() int {
				for range 100 {
					h.Inject(udpPacket(at(them4, 9), at(us4, 9), []byte("x")))
				}
				return len(h.Sent())
			}
			if n := flood(); n < 2 || n > 30 { // an error costs 0, 1 or 2
				t.Errorf("%d errors at once", n)
			}
			h.Advance(time.Second)
			if n := flood(); n < 1 || n > 20 {
				t.Errorf("%d errors a second later", n)
			}
			change(t, h, "icmp_msgs_burst=1000000", "icmp_msgs_per_sec=1000000")
			h.Advance(time.Second)
			if n := flood(); n != 100 {
				t.Errorf("%d of 100 errors within generous limits", n)
			}
		}},
	}
}

// fragmentWaits checks for how long the one fragment that is held is held.
func fragmentWaits(t *testing.T, h *Harness, d time.Duration) {
	t.Helper()
	h.Advance(d - 1)
	if n := h.E.reass.Len(); n != 1 {
		t.Fatalf("%d datagrams are incomplete before %v are over", n, d)
	}
	if h.Advance(1); h.E.reass.Len() != 0 {
		t.Errorf("still there after %v", d)
	}
}
