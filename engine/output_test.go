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
