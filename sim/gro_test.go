package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// A receiver whose device glues acknowledges far less often, and every byte
// arrives (bulk looks at each), also when packets are lost, overtake each other
// or are corrupted on the way.
func TestGlue(t *testing.T) {
	const size = 4 << 20
	clean := netem.Config{Delay: 100 * time.Microsecond, Rate: 10_000_000_000}
	bad := clean
	bad.Loss, bad.Reorder, bad.Corrupt, bad.Duplicate = netem.PPM(1000), netem.PPM(5000), netem.PPM(2000), netem.PPM(1000)
	bad.MinHold, bad.MaxHold = time.Microsecond, 50*time.Microsecond
	host := HostConfig{Engine: engine.Config{TCP: bigBuffers(tcp.ProfileLinux)}}
	for _, n := range []netem.Config{clean, bad} {
		host.Coalesce, host.MaxGRO = 0, 0
		plain := send(t, size, host, n)
		host.Coalesce, host.MaxGRO = 50*time.Microsecond, 65535
		glued := send(t, size, host, n)
		_, a := plain.w.Counts()
		_, b := glued.w.Counts()
		if b >= a {
			t.Errorf("%v: %d packets with glue, %d without", n, b, a)
		}
	}
}

// What is glued is what a TCP would have sent as one segment, and what must
// stay apart stays.
func TestGlueOf(t *testing.T) {
	const data = 100
	type seg struct {
		seq    uint32
		n      int
		flags  wire.TCPFlags
		port   uint16
		broken bool
	}
	ack, psh := wire.FlagACK, wire.FlagACK|wire.FlagPSH
	for _, c := range []struct {
		name string
		in   []seg
		want []int // segments in each packet that comes out
	}{
		{"a run", []seg{{1, data, ack, 9, false}, {101, data, ack, 9, false}, {201, 50, psh, 9, false}}, []int{3}},
		{"nothing after PSH", []seg{{1, data, psh, 9, false}, {101, data, ack, 9, false}}, []int{1, 1}},
		{"nothing after a shorter one", []seg{{1, data, ack, 9, false}, {101, 50, ack, 9, false}, {151, 50, ack, 9, false}}, []int{2, 1}},
		{"a gap", []seg{{1, data, ack, 9, false}, {201, data, ack, 9, false}}, []int{1, 1}},
		{"two connections", []seg{{1, data, ack, 9, false}, {101, data, ack, 8, false}}, []int{1, 1}},
		{"a FIN", []seg{{1, data, ack, 9, false}, {101, data, ack | wire.FlagFIN, 9, false}}, []int{1, 1}},
		{"pure ACKs", []seg{{1, 0, ack, 9, false}, {1, 0, ack, 9, false}}, []int{1, 1}},
		{"a counter of AccECN", []seg{{1, data, ack | wire.FlagAE, 9, false}, {101, data, psh | wire.FlagAE, 9, false}}, []int{2}},
		{"that moves", []seg{{1, data, ack | wire.FlagAE, 9, false}, {101, data, ack | wire.FlagAE | wire.FlagECE, 9, false}}, []int{1, 1}},
		{"CWR on the first", []seg{{1, data, ack | wire.FlagCWR, 9, false}, {101, data, ack, 9, false}, {201, data, ack, 9, false}}, []int{1, 2}},
		{"a wrong checksum", []seg{{1, data, ack, 9, false}, {101, data, ack, 9, true}, {201, data, ack, 9, false}}, []int{1, 1, 1}},
	} {
		for _, v6 := range []bool{false, true} {
			w := New(1)
			h := w.Host("a", HostConfig{MaxGRO: 65535})
			var batch []*pkt.Packet
			for _, s := range c.in {
				batch = append(batch, rawSegment(w, v6, s.seq, s.n, s.flags, s.port, s.broken))
			}
			out := h.glue(batch)
			if len(out) != len(c.want) {
				t.Fatalf("%s, IPv6 %t: %d packets, not %d", c.name, v6, len(out), len(c.want))
			}
			for i, p := range out {
				if int(max(p.Segs, 1)) != c.want[i] {
					t.Errorf("%s, IPv6 %t: packet %d has %d segments, not %d", c.name, v6, i, p.Segs, c.want[i])
				}
				if g := parseGlue(p); p.Segs > 1 && (g != gluable{} || p.Len() != len(p.AppendTo(nil))) {
					t.Errorf("%s, IPv6 %t: packet %d would be glued again", c.name, v6, i)
				}
				p.Release()
			}
			if err := w.Close(); err != nil {
				t.Errorf("%s, IPv6 %t: %v", c.name, v6, err)
			}
		}
	}
}

// rawSegment makes a packet as a wire hands it up.
func rawSegment(w *World, v6 bool, seq uint32, n int, flags wire.TCPFlags, port uint16, broken bool) *pkt.Packet {
	src, dst := wire.AddrFrom4([4]byte{10, 0, 0, 1}), wire.AddrFrom4([4]byte{10, 0, 0, 2})
	l4 := wire.IPv4MinLen
	if v6 {
		src, dst, l4 = wire.Addr{0: 0xfd, 15: 1}, wire.Addr{0: 0xfd, 15: 2}, wire.IPv6Len
	}
	c := w.pool.Chunk(l4 + wire.TCPMinLen + n)
	b := c.Bytes()[:l4+wire.TCPMinLen+n]
	clear(b)
	if v6 {
		wire.PutIPv6(b, &wire.IPv6Fields{PayloadLen: uint16(len(b) - l4), NextHeader: wire.ProtoTCP, HopLimit: 64, Src: src, Dst: dst})
	} else {
		wire.PutIPv4(b, &wire.IPv4Fields{TotalLen: uint16(len(b)), TTL: 64, Proto: wire.ProtoTCP, Src: src, Dst: dst})
	}
	wire.PutTCP(b[l4:l4+wire.TCPMinLen], port, 80, seq, 7, flags, 1000, 0)
	sum := wire.Sum(b[l4:], wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(b)-l4)))
	if broken {
		sum ^= 1
	}
	wire.TCP(b[l4:]).SetChecksum(wire.Finish(sum))
	p := w.pool.Packet()
	p.SetFrame(c.Ref(b), l4+wire.TCPMinLen)
	return p
}

// With checks around every n-th event a violation is found soon after it
// begins, though not at once; a run is the same with and without.
func TestCheckEvery(t *testing.T) {
	run := func(n int) (*World, error) {
		w := New(1)
		w.CheckEvery(n)
		w.Rule(func() error {
			if w.Now() > mono.Start.Add(500*time.Millisecond) {
				return errLate
			}
			return nil
		})
		for i := range 1000 {
			w.After(time.Duration(i)*time.Millisecond, func() {})
		}
		err := w.RunUntil(mono.Start.Add(time.Second), nil)
		return w, err
	}
	always, err := run(0)
	if err == nil || always.Now() != mono.Start.Add(501*time.Millisecond) {
		t.Errorf("every event: stopped at %v with %v", always.Now(), err)
	}
	sometimes, err := run(100)
	if err == nil || sometimes.Now() != mono.Start.Add(599*time.Millisecond) {
		t.Errorf("every 100th: stopped at %v with %v", sometimes.Now(), err)
	}
}

const errLate = sentinel("late")

type sentinel string

func (s sentinel) Error() string { return string(s) }

// Segments are glued only with those that bear the same mark: a packet of
// several is marked as each of them was.
func TestGlueKeepsMarks(t *testing.T) {
	w := New(1)
	h := w.Host("a", HostConfig{MaxGRO: 65535})
	var batch []*pkt.Packet
	for i, ecn := range []byte{wire.ECT0, wire.ECT0, wire.CE, wire.CE, wire.CE, wire.ECT0} {
		p := rawSegment(w, true, uint32(1+100*i), 100, wire.FlagACK, 9, false)
		p.Head[1] |= ecn << 4
		batch = append(batch, p)
	}
	var got []string
	for _, p := range h.glue(batch) {
		got = append(got, fmt.Sprint(max(p.Segs, 1), " of ", wire.IPv6(p.Head).TrafficClass()))
		p.Release()
	}
	if want := "[2 of 2 3 of 3 1 of 2]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
