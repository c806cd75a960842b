package pcap

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// echo is a device whose queue gives back what was written to it.
type echo struct {
	medium link.Medium
	q      echoQueue
	closed bool
}

func (e *echo) Caps() link.Caps      { return link.Caps{Medium: e.medium, MTU: 1500, BatchSize: 4} }
func (e *echo) Queues() []link.Queue { return []link.Queue{&e.q} }
func (e *echo) Close() error         { e.closed = true; return nil }

type echoQueue struct{ list pkt.List }

func (q *echoQueue) Read(batch []*pkt.Packet) (n int, err error) {
	for n < len(batch) && q.list.Len() > 0 {
		batch[n] = q.list.Pop()
		n++
	}
	if n == 0 {
		return 0, net.ErrClosed
	}
	return n, nil
}

func (q *echoQueue) Write(batch []*pkt.Packet) (int, error) {
	for _, p := range batch {
		q.list.Push(p)
	}
	return len(batch), nil
}

// pushing is an echo that delivers by itself.
type pushing struct {
	echo
	input func([]*pkt.Packet)
}

func (p *pushing) SetInput(input func(batch []*pkt.Packet)) { p.input = input }

// What passes a device in either direction is in the file, and still passes.
func TestRecordQueues(t *testing.T) {
	var file bytes.Buffer
	var pool pkt.Pool
	clock := start()
	w := NewWriter(&file)
	inner := &echo{medium: link.Ethernet}
	dev, err := Record(inner, w, Options{
		Name:    "lan",
		Now:     func() time.Time { clock = clock.Add(time.Millisecond); return clock },
		Comment: func(dir Direction, p *pkt.Packet) string { return dir.String() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := dev.(link.Pusher); ok {
		t.Error("a device that is read became one that pushes")
	}
	if dev.Caps().MTU != 1500 || len(dev.Queues()) != 1 || dev.Queues()[0] != dev.Queues()[0] {
		t.Error("the device's description or queues changed")
	}
	q := dev.Queues()[0]
	batch := []*pkt.Packet{
		tcpPacket{eth: true, flags: wire.FlagSYN, csum: pkt.CsumPartial}.build(&pool),
		tcpPacket{eth: true, flags: wire.FlagACK, payload: 10, csum: pkt.CsumPartial}.build(&pool),
	}
	if n, err := q.Write(batch); n != 2 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	var in [4]*pkt.Packet
	n, err := q.Read(in[:])
	if n != 2 || err != nil {
		t.Fatalf("Read: %d, %v", n, err)
	}
	for _, p := range in[:n] {
		p.Release()
	}
	if n, err := q.Read(in[:]); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read of a device that is gone: %d, %v", n, err)
	}
	if err := errors.Join(dev.Close(), w.Close(), dev.Close()); err != nil || !inner.closed {
		t.Errorf("Close: %v, device closed %v", err, inner.closed)
	}
	got, ifaces := readAll(t, file.Bytes())
	if len(got) != 4 || ifaces[0].Name != "lan" || ifaces[0].Link != Ethernet {
		t.Fatalf("%d packets on %+v", len(got), ifaces)
	}
	for i, p := range got {
		want, at := Out, start().Add(time.Millisecond)
		if i >= 2 {
			want, at = In, at.Add(time.Millisecond)
		}
		if p.Dir != want || p.Comment != want.String() || !p.At.Equal(at) {
			t.Errorf("packet %d: %v at %v with %q, want %v at %v", i, p.Dir, p.At, p.Comment, want, at)
		}
		checkSums(t, "recorded", Ethernet, p.Data)
	}
	if c, p := pool.Outstanding(); c != 0 || p != 0 {
		t.Errorf("%d chunks and %d packets are missing", c, p)
	}
}

func TestRecordPusher(t *testing.T) {
	var file bytes.Buffer
	var pool pkt.Pool
	w := NewWriter(&file)
	inner := &pushing{}
	dev, err := Record(inner, w, Options{})
	if err != nil {
		t.Fatal(err)
	}
	delivered := 0
	dev.(link.Pusher).SetInput(func(batch []*pkt.Packet) {
		delivered += len(batch)
		for _, p := range batch {
			p.Release()
		}
	})
	inner.input([]*pkt.Packet{tcpPacket{payload: 5}.build(&pool), tcpPacket{payload: 6}.build(&pool)})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := readAll(t, file.Bytes())
	if delivered != 2 || len(got) != 2 || got[0].Dir != In || got[0].Link != Raw {
		t.Errorf("%d delivered, recorded: %+v", delivered, got)
	}
}

// A full disk does not stop the traffic.
func TestRecordSurvivesTheWriter(t *testing.T) {
	var pool pkt.Pool
	w := NewWriter(&full{})
	dev, err := Record(&echo{}, w, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Flush()
	q := dev.Queues()[0]
	if n, err := q.Write([]*pkt.Packet{tcpPacket{}.build(&pool)}); n != 1 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	if _, err := Record(&echo{}, w, Options{}); err == nil {
		t.Error("a broken writer took another interface")
	}
	if err := dev.Close(); err == nil {
		t.Error("the writer's error was not reported at Close")
	}
}

// Notes give an outgoing segment what its connection did since the one before.
func TestNotes(t *testing.T) {
	var n Notes
	var pool pkt.Pool
	at := func(conn uint64, kind trace.Kind, seq uint32, flags wire.TCPFlags, why trace.Why) {
		n.Trace(&trace.Event{At: 1e9, Conn: conn, Kind: kind, Seq: seq, Flags: flags, Why: why, Len: 10})
	}
	at(1, trace.SegmentIn, 70, wire.FlagACK, trace.WhyNone)
	at(2, trace.Timer, 0, 0, trace.WhyKeepalive)
	at(1, trace.SegmentOut, 100, wire.FlagACK, trace.WhyNewData)
	at(1, trace.Timer, 0, 0, trace.WhyRetransmitTimeout)
	at(1, trace.SegmentOut, 200, wire.FlagACK|wire.FlagFIN, trace.WhyFIN)
	at(2, trace.SegmentOut, 900, wire.FlagACK, trace.WhyKeepalive)
	for _, c := range []struct {
		name string
		dir  Direction
		p    tcpPacket
		want []string
	}{
		{"in", In, tcpPacket{seq: 100, flags: wire.FlagACK}, nil},
		{"nobody's", Out, tcpPacket{seq: 101, flags: wire.FlagACK}, nil},
		{"another kind", Out, tcpPacket{seq: 100, flags: wire.FlagRST}, nil},
		{"UDP", Out, tcpPacket{udp: true}, nil},
		{"other connection first", Out, tcpPacket{seq: 900, flags: wire.FlagACK}, []string{"timer keepalive", "> . 900:910(10) ack 0 win 0 // keepalive"}},
		{"first", Out, tcpPacket{v6: true, seq: 100, flags: wire.FlagACK}, []string{"< . 70:80(10)", "> . 100:110(10) ack 0 win 0 // new data"}},
		{"again", Out, tcpPacket{seq: 100, flags: wire.FlagACK}, nil},
		{"first piece of a cut segment", Out, tcpPacket{eth: true, seq: 200, flags: wire.FlagACK}, []string{"timer retransmission timeout", "> F. 200:210(10)"}},
		{"its last piece", Out, tcpPacket{seq: 205, flags: wire.FlagACK | wire.FlagFIN}, nil},
	} {
		p := c.p.build(&pool)
		got := n.Comment(c.dir, p)
		p.Release()
		lines := strings.Split(got, "\n")
		if got == "" {
			lines = nil
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: %q, want %q", c.name, lines, c.want)
			continue
		}
		for i := range lines {
			if !strings.Contains(lines[i], c.want[i]) {
				t.Errorf("%s: line %d is %q, want %q", c.name, i, lines[i], c.want[i])
			}
		}
	}
}

// Events that never find their packet are forgotten, oldest first.
func TestNotesAreBounded(t *testing.T) {
	var n Notes
	var pool pkt.Pool
	for i := range uint32(10 * maxNotes) {
		n.Trace(&trace.Event{Conn: 1, Kind: trace.SegmentOut, Seq: i, Flags: wire.FlagSYN})
		if len(n.pending) > maxNotes {
			t.Fatalf("%d events are kept", len(n.pending))
		}
	}
	newest := tcpPacket{seq: 10*maxNotes - 1, flags: wire.FlagSYN}.build(&pool)
	got := n.Comment(Out, newest)
	if len(got) == 0 || len(got) > maxNoteText+200 || !strings.HasSuffix(got, "> S 5119:5119(0) win 0") {
		t.Errorf("%d bytes, ending in %q", len(got), got[max(0, len(got)-60):])
	}
}
