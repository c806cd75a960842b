package engine

import (
	"net/netip"
	"testing"

	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// A segment that no IP length field can say is dropped, counted and released,
// whoever it is from: no packet leaves without an IP header.
func TestSegmentTooLong(t *testing.T) {
	for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
		most := ip.MaxDatagram - wire.TCPMinLen // payload
		if ends[0].Is4() {
			most -= wire.IPv4MinLen
		}
		h := newTestHarness(t, HarnessConfig{})
		f := Flow{Local: toAddr(ends[0]), Remote: toAddr(ends[1]), LPort: 1, RPort: 2}
		for n, want := range map[int]int{most: 1, most + 1: 0} {
			a, b := h.E.pool.Chunk(pkt.Large), h.E.pool.Chunk(pkt.Large)
			seg := tcp.Segment{Flags: wire.FlagACK, Data: pkt.View{a.Ref(a.Bytes()[:60000]), b.Ref(b.Bytes()[:n-60000])}}
			h.E.sendSegment(&f, &seg, h.E.Interface(h.Iface))
			h.Flush()
			if sent := h.Sent(); len(sent) != want {
				t.Errorf("%v: %d packets with %d bytes of payload, want %d", ends[1], len(sent), n, want)
			}
		}
		if s := h.Stats(); s.IP[ip.ReasonTooLong] != 1 || s.Count[OutPackets] != 1 {
			t.Errorf("%v: %d counted as too long, %d as sent, want one each", ends[1], s.IP[ip.ReasonTooLong], s.Count[OutPackets])
		}
		if chunks, packets := h.E.pool.Outstanding(); chunks != 0 || packets != 0 {
			t.Errorf("%v: %d chunks and %d packets are lost", ends[1], chunks, packets)
		}
	}
}

// No super-segment is longer than the interface takes, headers included, and
// what takes none gets none: whoever cuts or sends them relies on it.
func TestSuperSegmentsWithinMaxGSO(t *testing.T) {
	for _, ends := range [][2]netip.Addr{{us4, them4}, {us6, them6}} {
		for _, x := range []struct {
			maxGSO int
			super  bool
		}{{-1, false}, {0, false}, {1500, false}, {1501, false}, {3200, true}, {16000, true}, {65535, true}, {1 << 20, true}} {
			h := newTestHarness(t, HarnessConfig{MaxGSO: x.maxGSO})
			p, c := dialPeer(t, h, at(ends[0], 0), at(ends[1], 80))
			longest, super := 0, false
			for range 12 { // until the congestion window is no bound any more
				h.Write(c, make([]byte, 1<<20))
				for _, s := range h.Sent() {
					longest = max(longest, len(s.Raw))
					super = super || s.Cut > 0
					p.ack += uint32(len(parseTCP(t, s.Raw).Data))
				}
				p.send(wire.FlagACK, "")
			}
			most := max(1500, min(x.maxGSO, ip.MaxDatagram))
			if longest > most || super != x.super || super && longest < most/2 {
				t.Errorf("%v: MaxGSO %d: the longest packet has %d bytes, super-segments: %v", ends[1], x.maxGSO, longest, super)
			}
		}
	}
}
