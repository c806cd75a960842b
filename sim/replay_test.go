package sim

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"testing"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// A seed repeats itself: the same packets with the same bytes at the same
// nanoseconds, the same events, the same recording.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		var r [2]Report
		var files [2]bytes.Buffer
		for i := range r {
			s := Generate(seed)
			r[i] = s.Run(Options{Pcap: &files[i]})
		}
		if r[0].Hash != r[1].Hash || r[0].Events != r[1].Events || r[0].Packets != r[1].Packets || r[0].Time != r[1].Time {
			t.Errorf("seed %d: hash %#x and %#x, %d and %d events, %d and %d packets, %v and %v", seed, r[0].Hash, r[1].Hash,
				r[0].Events, r[1].Events, r[0].Packets, r[1].Packets, r[0].Time, r[1].Time)
		}
		if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
			t.Errorf("seed %d: two recordings of %d and %d bytes differ", seed, files[0].Len(), files[1].Len())
		}
	}
}

// World.Hash covers what taps see: a digest made of every byte and instant by
// other means agrees about which runs are the same.
func TestHashCoversPackets(t *testing.T) {
	seen := map[uint64]uint64{}
	for range 2 {
		for seed := uint64(1); seed <= 5; seed++ {
			p := newPair(t, seed)
			h := fnv.New64a()
			tap := func(at mono.Time, out bool, q *pkt.Packet) {
				var b [9]byte
				binary.LittleEndian.PutUint64(b[:], uint64(at))
				if out {
					b[8] = 1
				}
				h.Write(b[:])
				h.Write(q.AppendTo(nil))
			}
			p.a.Tap(tap)
			p.b.Tap(tap)
			p.transfer(50_000)
			if was, ok := seen[p.w.Hash()]; ok && was != h.Sum64() {
				t.Errorf("seed %d: World.Hash is %#x again, the packets differ", seed, p.w.Hash())
			}
			seen[p.w.Hash()] = h.Sum64()
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d different runs of 5 seeds, each twice", len(seen))
	}
}
