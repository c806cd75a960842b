package tun

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
	"golang.org/x/sys/unix"
)

// fake returns a device on one end of a pair of sockets that keep the bounds
// of messages as a TUN device does, and the descriptor of the other end.
func fake(t testing.TB, plain bool) (*Device, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{caps: link.Caps{MTU: 1500, BatchSize: batchSize}, file: os.NewFile(uintptr(fds[0]), "fake")}
	if !plain {
		d.caps.Offloads = link.TxChecksum | link.RxChecksum | link.TSO4 | link.TSO6 | link.GRO
		d.caps.MaxGSO, d.caps.MaxGRO = maxPacket, maxPacket
	}
	if err := d.q.init(d.file, &d.caps, new(pkt.Pool)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		unix.Close(fds[1])
		if c, p := d.q.pool.Outstanding(); c != 0 || p != 0 {
			t.Errorf("%d chunks and %d packets are missing", c, p)
		}
	})
	return d, fds[1]
}

// What waits is returned together, in order; what comes later is not waited for.
func TestReadTakesWhatWaits(t *testing.T) {
	d, far := fake(t, false)
	for _, size := range []int{40, 1500, 3000, 40000} {
		frame := make([]byte, vnetLen+size)
		frame[vnetLen] = byte(size)
		if _, err := unix.Write(far, frame); err != nil {
			t.Fatal(err)
		}
	}
	batch := make([]*pkt.Packet, 3)
	charges := map[int]int{40: pkt.Small, 1500: pkt.Small, 3000: pkt.Medium, 40000: pkt.Large}
	for _, want := range [][]int{{40, 1500, 3000}, {40000}} {
		n, err := d.q.Read(batch)
		if err != nil || n != len(want) {
			t.Fatalf("Read: %d, %v; want %v", n, err, want)
		}
		for i, p := range batch[:n] {
			if p.Len() != want[i] || p.Head[0] != byte(want[i]) || p.Body[0].Charge() != charges[want[i]] {
				t.Errorf("%d bytes with %d first in a chunk of %d; want %d in %d",
					p.Len(), p.Head[0], p.Body[0].Charge(), want[i], charges[want[i]])
			}
			p.Release()
		}
	}
}

func TestReadDropsWhatContradictsItself(t *testing.T) {
	d, far := fake(t, false)
	bad := make([]byte, vnetLen+40)
	bad[vnetFlags] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	binary.NativeEndian.PutUint16(bad[vnetStart:], 39)
	good := make([]byte, vnetLen+41)
	for _, frame := range [][]byte{bad, make([]byte, vnetLen), good} {
		unix.Write(far, frame)
	}
	batch := make([]*pkt.Packet, 8)
	n, err := d.q.Read(batch)
	if err != nil || n != 1 || batch[0].Len() != 41 {
		t.Fatalf("Read: %d, %v", n, err)
	}
	batch[0].Release()
	if s := d.Stats(); s.RxInvalid != 2 || s.RxPackets != 1 || s.RxBytes != 41 {
		t.Errorf("%+v", s)
	}
}

func TestReadReportsTheEnd(t *testing.T) {
	d, far := fake(t, true)
	unix.Shutdown(far, unix.SHUT_RDWR)
	if n, err := d.q.Read(make([]*pkt.Packet, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("Read: %d, %v", n, err)
	}
}

// A device without room drops at once and says so only in the statistics.
func TestWriteDropsWithoutRoom(t *testing.T) {
	d, _ := fake(t, true)
	const most = 100000
	sent := 0
	for range most {
		n, err := d.q.Write([]*pkt.Packet{frameOf(d.q.pool, 1500)})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if s := d.Stats(); s.TxDropped != 1 || s.TxPackets != uint64(sent) || s.TxErrors != 0 {
				t.Errorf("after %d: %+v", sent, s)
			}
			return
		}
		sent++
	}
	t.Errorf("%d packets that nobody reads were sent", most)
}

func frameOf(pool *pkt.Pool, n int) *pkt.Packet {
	p, c := pool.Packet(), pool.Chunk(n)
	p.SetFrame(c.Ref(c.Bytes()[:n]), 40)
	return p
}

// superSegment is ready to be written: 40 bytes of headers and 60 segments.
func superSegment(pool *pkt.Pool) *pkt.Packet {
	c := pool.Chunk(60000)
	p := pool.Packet()
	h := p.Prepend(40)
	wire.PutTCP(h[20:], 1, 2, 3, 4, wire.FlagACK, 5, 0)
	h[0] = 0x45
	p.Body[0] = c.Ref(c.Bytes()[:60000])
	p.Meta = pkt.Meta{GSO: pkt.GSOTCPv4, GSOSize: 1000, Segs: 60, Csum: pkt.CsumPartial, CsumStart: 20, CsumOffset: 16}
	return p
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	d, far := fake(t, false)
	batch := make([]*pkt.Packet, 1)
	buf := make([]byte, 66000)
	ack := make([]byte, vnetLen+40)
	turn := func() {
		batch[0] = superSegment(d.q.pool)
		if n, err := d.q.Write(batch); n != 1 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
		n, err := unix.Read(far, buf)
		if n != vnetLen+60040 || err != nil {
			t.Fatalf("the other end read %d, %v", n, err)
		}
		unix.Write(far, buf[:n])
		unix.Write(far, ack)
		for range 2 {
			if n, err := d.q.Read(batch); n != 1 || err != nil {
				t.Fatalf("Read: %d, %v", n, err)
			}
			batch[0].Release()
		}
	}
	if n := testing.AllocsPerRun(200, turn); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWriteSuper(b *testing.B) {
	d, far := fake(b, false)
	buf := make([]byte, 66000)
	batch := make([]*pkt.Packet, 1)
	b.SetBytes(60000)
	b.ReportAllocs()
	for b.Loop() {
		batch[0] = superSegment(d.q.pool)
		d.q.Write(batch)
		unix.Read(far, buf)
	}
}

func BenchmarkReadSmall(b *testing.B) {
	d, far := fake(b, false)
	frame := make([]byte, vnetLen+1500)
	batch := make([]*pkt.Packet, 1)
	b.SetBytes(1500)
	b.ReportAllocs()
	for b.Loop() {
		unix.Write(far, frame)
		d.q.Read(batch)
		batch[0].Release()
	}
}
