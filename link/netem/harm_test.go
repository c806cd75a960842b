package netem

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// A corrupted packet differs in one bit, and only at the receiver; both copies
// of a duplicate have memory of their own.
func TestCorruptionCopiesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, config(t, "corrupt 100% duplicate 100%"), netem.Config{}, 1, Options{})
		var arrived []*pkt.Packet
		b.SetInput(func(batch []*pkt.Packet) { arrived = append(arrived, batch...) })

		original := bytes.Repeat([]byte{0x5a}, 500)
		p := packet(&pool, string(original))
		kept := p.Body[0].Retain() // as a retransmission queue would
		a.Write([]*pkt.Packet{p})
		time.Sleep(time.Second)
		synctest.Wait()

		if !bytes.Equal(kept.B, original) {
			t.Error("the sender's bytes changed")
		}
		if len(arrived) != 2 {
			t.Fatalf("%d packets arrived, want 2", len(arrived))
		}
		for i, q := range arrived {
			if d := bitsApart(q.AppendTo(nil), original); d != 1 {
				t.Errorf("copy %d differs in %d bits, want 1", i, d)
			}
			if len(q.Head) != len(original) || q.Body[0].Chunk() == nil || q.Csum != pkt.CsumUnknown {
				t.Errorf("copy %d: %d bytes in Head, chunk %p, checksum state %d", i, len(q.Head), q.Body[0].Chunk(), q.Csum)
			}
		}
		if arrived[0].Body[0].Chunk() == arrived[1].Body[0].Chunk() {
			t.Error("both copies lie in one chunk")
		}
		kept.Release()
		arrived[0].Release()
		arrived[1].Release()
		finish(t, &pool, a, b)
	})
}

func bitsApart(a, b []byte) int {
	if len(a) != len(b) {
		return -1
	}
	n := 0
	for i := range a {
		for d := a[i] ^ b[i]; d != 0; d &= d - 1 {
			n++
		}
	}
	return n
}

// A mark is set where the transport is ECN-capable, under a right checksum.
func TestMarkCE(t *testing.T) {
	tests := []struct{ before, after uint8 }{{0xb8, 0xb8}, {0xb9, 0xbb}, {0xba, 0xbb}, {0xbb, 0xbb}}
	for _, tt := range tests {
		v4 := make([]byte, 28)
		copy(v4, []byte{0x45, tt.before, 0, 28, 1, 2, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
		binary.BigEndian.PutUint16(v4[10:], wire.Finish(wire.Sum(v4[:20], 0)))
		markCE(v4, link.IP)
		if ip, err := wire.ParseIPv4(v4); err != nil || ip.TOS() != tt.after || !ip.ChecksumOK() {
			t.Errorf("IPv4 with TOS %#x: now %#x, error %v", tt.before, v4[1], err)
		}
		for _, tagged := range []bool{false, true} {
			frame := make([]byte, 100)
			n := wire.PutEthernet(frame, wire.MAC{}, wire.MAC{}, wire.EtherTypeIPv6)
			if tagged {
				n = wire.PutEthernetVLAN(frame, wire.MAC{}, wire.MAC{}, 5, wire.EtherTypeIPv6)
			}
			wire.PutIPv6(frame[n:], &wire.IPv6Fields{TrafficClass: tt.before, FlowLabel: 0xfffff})
			markCE(frame, link.Ethernet)
			want := uint32(6<<28) | uint32(tt.after)<<20 | 0xfffff
			if got := binary.BigEndian.Uint32(frame[n:]); got != want {
				t.Errorf("IPv6 with class %#x, tag %v: now %#x, want %#x", tt.before, tagged, got, want)
			}
		}
	}
	// What is no IP packet stays as it is.
	for _, s := range []string{"", "E", "\x45\x01", "\x60\x10\x00", "\x00\x01 not IP at all, but long enough for headers"} {
		for _, medium := range []link.Medium{link.IP, link.Ethernet} {
			b := []byte(s)
			if markCE(b, medium); string(b) != s {
				t.Errorf("%q on %v becomes %q", s, medium, b)
			}
		}
	}
}
