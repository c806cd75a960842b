package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unsafe"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// story is one event of every kind, with its lines of text and JSON.
var story = []struct {
	ev   Event
	text string
	json string
}{
	{
		Event{At: 1_000_123_456, Conn: 3, Kind: SegmentOut, Why: WhyHandshake, To: 2,
			Flags: wire.FlagSYN, Seq: 1000, Window: 65535, MSS: 1460, Cwnd: 14600},
		"1.000123 #3 > S 1000:1000(0) win 65535 <mss 1460> // SYN-SENT, handshake, cwnd 14600",
		`{"at":1000123456,"conn":3,"kind":"out","why":"handshake","to":"SYN-SENT","flags":"S","seq":1000,"ack":0,"len":0,"win":65535,"mss":1460,"cwnd":14600}`,
	},
	{
		Event{At: 1_020_000_000, Conn: 3, Kind: SegmentIn, Flags: wire.FlagSYN | wire.FlagACK, Seq: 4294967295, Ack: 1001, Window: 1000},
		"1.020000 #3 < S. 4294967295:4294967295(0) ack 1001 win 1000",
		`{"at":1020000000,"conn":3,"kind":"in","flags":"S.","seq":4294967295,"ack":1001,"len":0,"win":1000}`,
	},
	{
		Event{At: 1_020_000_000, Conn: 3, Kind: StateChange, From: 2, To: 4, On: 7},
		"1.020000 #3 * SYN-SENT -> ESTABLISHED",
		`{"at":1020000000,"conn":3,"kind":"state","from":"SYN-SENT","to":"ESTABLISHED","on":7}`,
	},
	{
		Event{At: 1_020_001_000, Conn: 3, Kind: SegmentOut, Why: WhyNewData, From: 4, Flags: wire.FlagACK | wire.FlagPSH,
			Seq: 1001, Ack: 0, Len: 3000, Segs: 3, MSS: 1000, Window: 500, InFlight: 3000, Pacing: 125_000_000},
		"1.020001 #3 > P. 1001:4001(3000) ack 0 win 500 cut 1000 // ESTABLISHED, new data, flight 3000, pacing 125000000/s",
		`{"at":1020001000,"conn":3,"kind":"out","why":"new data","from":"ESTABLISHED","flags":"P.","seq":1001,"ack":0,"len":3000,"win":500,"segs":3,"mss":1000,"flight":3000,"pacing":125000000}`,
	},
	{
		Event{At: 1_020_001_000, Conn: 3, Kind: SegmentIn, To: 4, Recovery: RecoveryFast, Flags: wire.FlagACK, Seq: 1, Ack: 1001, Window: 500,
			SACKBlocks: 2, SACK: [MaxSACK][2]uint32{{501, 601}, {2001, 4294967295}}, InFlight: 3000, Lost: 1000, Rate: 900_000},
		"1.020001 #3 < . 1:1(0) ack 1001 win 500 <nop,nop,sack 501:601 2001:4294967295> // ESTABLISHED, fast recovery, flight 3000, lost 1000, rate 900000/s",
		`{"at":1020001000,"conn":3,"kind":"in","to":"ESTABLISHED","flags":".","seq":1,"ack":1001,"len":0,"win":500,"sack":[[501,601],[2001,4294967295]],"recovery":"fast","flight":3000,"lost":1000,"rate":900000}`,
	},
	{
		Event{At: 1_020_001_000, Conn: 3, Kind: MarkedLost, Why: WhyRACK, From: 4, To: 4, Recovery: RecoveryTimeout, Seq: 4294967290, Len: 1000},
		"1.020001 #3 * lost 4294967290:994(1000) // rack, timeout recovery",
		`{"at":1020001000,"conn":3,"kind":"lost","why":"rack","from":"ESTABLISHED","to":"ESTABLISHED","seq":4294967290,"len":1000,"recovery":"timeout"}`,
	},
	{
		Event{At: 1_020_001_000, Conn: 3, Kind: SegmentIn, From: 4, ECN: wire.CE, Flags: wire.FlagACK | wire.FlagECE,
			Seq: 1, Ack: 2, Len: 10, Window: 500},
		"1.020001 #3 < [ce] .E 1:11(10) ack 2 win 500 // ESTABLISHED",
		`{"at":1020001000,"conn":3,"kind":"in","from":"ESTABLISHED","flags":".E","seq":1,"ack":2,"len":10,"win":500,"ecn":3}`,
	},
	{
		Event{At: 1_030_000_000, Conn: 3, Kind: Congestion, Why: WhyCongestionMark, Cwnd: 7000, SSThresh: 7000},
		"1.030000 #3 * congestion // congestion mark, cwnd 7000, ssthresh 7000",
		`{"at":1030000000,"conn":3,"kind":"congestion","why":"congestion mark","cwnd":7000,"ssthresh":7000}`,
	},
	{
		Event{At: 1_400_000_000, Conn: 3, Kind: Timer, Why: WhyRetransmitTimeout, To: 4, SRTT: 20_000_000, RTO: 200_000_000},
		"1.400000 #3 * timer retransmission timeout // ESTABLISHED, srtt 20000us, rto 200000us",
		`{"at":1400000000,"conn":3,"kind":"timer","why":"retransmission timeout","to":"ESTABLISHED","srtt":20000000,"rto":200000000}`,
	},
	{
		Event{At: 1_400_000_000, Conn: 3, Kind: Congestion, Why: WhyRetransmitTimeout, Cwnd: 1000, SSThresh: 2000},
		"1.400000 #3 * congestion // retransmission timeout, cwnd 1000, ssthresh 2000",
		`{"at":1400000000,"conn":3,"kind":"congestion","why":"retransmission timeout","cwnd":1000,"ssthresh":2000}`,
	},
	{
		Event{At: 2_000_000_000, Conn: 3, Kind: Dropped, Why: WhyPAWS, From: 4, Flags: wire.FlagACK, Seq: 7, Ack: 8, Len: 10},
		"2.000000 #3 * dropped < . 7:17(10) ack 8 win 0 // ESTABLISHED, paws",
		`{"at":2000000000,"conn":3,"kind":"dropped","why":"paws","from":"ESTABLISHED","flags":".","seq":7,"ack":8,"len":10,"win":0}`,
	},
	{
		Event{At: 2_000_000_000, Conn: 3, Kind: StateChange, From: 4, To: 0, Why: WhyPeerReset},
		"2.000000 #3 * ESTABLISHED -> CLOSED // reset by peer",
		`{"at":2000000000,"conn":3,"kind":"state","why":"reset by peer","from":"ESTABLISHED","to":"CLOSED"}`,
	},
	{
		Event{At: 2_000_000_000, Conn: 3, Kind: Closed, Why: WhyPeerReset},
		"2.000000 #3 * closed reset by peer",
		`{"at":2000000000,"conn":3,"kind":"closed","why":"reset by peer"}`,
	},
	{
		Event{Kind: 200, Why: 200},
		"0.000000 #0 * ? // ?",
		`{"at":0,"conn":0,"kind":"?","why":"?"}`,
	},
}

// Every kind of event has its line, and both writing sinks produce it.
func TestTextAndJSON(t *testing.T) {
	var text, js bytes.Buffer
	st, sj := NewText(&text), NewJSON(&js)
	both := Multi(st, nil, sj)
	for i := range story {
		both.Trace(&story[i].ev)
	}
	if text.Len()+js.Len() != 0 {
		t.Error("lines were written one by one, not gathered")
	}
	if err := errors.Join(st.Close(), sj.Close(), st.Err(), sj.Err()); err != nil {
		t.Fatal(err)
	}
	lines, objects := strings.Split(text.String(), "\n"), strings.Split(js.String(), "\n")
	if len(lines) != len(story)+1 || len(objects) != len(story)+1 {
		t.Fatalf("%d lines and %d objects for %d events", len(lines)-1, len(objects)-1, len(story))
	}
	for i, s := range story {
		if lines[i] != s.text {
			t.Errorf("event %d:\n got %s\nwant %s", i, lines[i], s.text)
		}
		if objects[i] != s.json {
			t.Errorf("event %d:\n got %s\nwant %s", i, objects[i], s.json)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(objects[i]), &v); err != nil {
			t.Errorf("event %d is not JSON: %v", i, err)
		}
	}
}

// What stands between the connection's number and "//" is a segment in script
// notation that parses back to the event.
func TestTextParsesBack(t *testing.T) {
	for _, s := range story {
		if s.ev.Kind != SegmentIn && s.ev.Kind != SegmentOut {
			continue
		}
		_, line, _ := strings.Cut(s.text, " #3 ")
		line, _, _ = strings.Cut(line, " //")
		got, err := wire.ParseScript(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if got.Seq != s.ev.Seq || got.Ack != s.ev.Ack || got.Len != s.ev.Len || got.Win != s.ev.Window ||
			got.Flags != s.ev.Flags || got.ECN != s.ev.ECN || got.Out != (s.ev.Kind == SegmentOut) {
			t.Errorf("%q parsed to %+v, from %+v", line, got, s.ev)
		}
	}
}

// RFC 9293 §3.3.2 names the states; their numbers are shared with package tcp.
func TestStateNames(t *testing.T) {
	want := strings.Fields("CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT ?")
	for i, name := range want {
		if got := StateName(uint8(i)); got != name {
			t.Errorf("state %d is %q, want %q", i, got, name)
		}
	}
	if got := StateName(255); got != "?" {
		t.Errorf("state 255 is %q", got)
	}
}

// A new Why or Kind without a word, or with another's, is noticed here.
func TestEveryReasonAndKindHasItsOwnWord(t *testing.T) {
	seen := map[string]bool{"?": true}
	for w := WhyNone; w < WhyEnd; w++ {
		if s := w.String(); seen[s] || s == "" || strings.ToLower(s) != s {
			t.Errorf("reason %d prints %q", w, s)
		}
		seen[w.String()] = true
	}
	seen = map[string]bool{"?": true}
	for k := SegmentIn; k <= MarkedLost; k++ {
		if s := k.String(); seen[s] || s == "" || strings.ToLower(s) != s {
			t.Errorf("kind %d prints %q", k, s)
		}
		seen[k.String()] = true
	}
	for _, s := range []string{Kind(0).String(), (MarkedLost + 1).String(), WhyEnd.String(), Why(255).String(), Recovery(255).String()} {
		if s != "?" {
			t.Errorf("a number that means nothing prints %q", s)
		}
	}
}

func TestAppendTime(t *testing.T) {
	for _, c := range []struct {
		t    mono.Time
		want string
	}{
		{0, "0.000000"}, {999, "0.000000"}, {1000, "0.000001"}, {mono.Start, "1.000000"},
		{-1_500_000_000, "-1.500000"}, {1<<63 - 1, "9223372036.854775"}, {-1 << 63, "-9223372036.854775"},
	} {
		if got := string(AppendTime(nil, c.t)); got != c.want {
			t.Errorf("%d ns print %s, want %s", int64(c.t), got, c.want)
		}
	}
}

// No event has a line that outgrows the room kept for it: otherwise a writing
// sink would allocate.
func TestLongestLine(t *testing.T) {
	ev := Event{At: -1 << 63, Conn: 1<<64 - 1, Why: WhyRetransmitTimeout, From: 3, To: 3, On: 255, SACKBlocks: 255,
		Flags: 0x1ff, Segs: 65535, MSS: 65535, Seq: 1<<32 - 1, Ack: 1<<32 - 1, Len: 1<<32 - 1, Window: 1<<32 - 1,
		Cwnd: 1<<32 - 1, SSThresh: 1<<32 - 1, InFlight: 1<<32 - 1, Lost: 1<<32 - 1, SRTT: -1 << 63, RTO: -1 << 63,
		Pacing: 1<<64 - 1, Rate: 1<<64 - 1, Recovery: RecoveryTimeout, ECN: 3}
	for i := range ev.SACK {
		ev.SACK[i] = [2]uint32{1<<32 - 1, 1<<32 - 1}
	}
	for ev.Kind = 0; ev.Kind <= MarkedLost+1; ev.Kind++ {
		text, js := len(AppendText(nil, &ev)), len(AppendJSON(nil, &ev))
		if text >= maxLine || js >= maxLine {
			t.Errorf("kind %v: %d bytes of text, %d of JSON", ev.Kind, text, js)
		}
	}
}

// An Event is small and of fixed size: rings hold many.
func TestEventSize(t *testing.T) {
	if n := unsafe.Sizeof(Event{}); n != EventSize {
		t.Errorf("an Event has %d octets, not %d", n, EventSize)
	}
}

// failing takes some bytes and then fails.
type failing struct {
	room int
	got  []byte
}

func (f *failing) Write(b []byte) (int, error) {
	n := min(f.room, len(b))
	f.room -= n
	f.got = append(f.got, b[:n]...)
	if n < len(b) {
		return n, io.ErrNoProgress
	}
	return n, nil
}

// The first error of the writer is kept, and nothing is written after it.
func TestWriterErrors(t *testing.T) {
	w := &failing{room: 20}
	s := NewText(w)
	s.Trace(&story[0].ev)
	if err := s.Flush(); err != io.ErrNoProgress {
		t.Errorf("Flush: %v", err)
	}
	w.room = 1000
	s.Trace(&story[1].ev)
	if err := s.Close(); err != io.ErrNoProgress || s.Err() != err {
		t.Errorf("Close: %v, Err: %v", err, s.Err())
	}
	if len(w.got) != 20 {
		t.Errorf("%q was written after an error", w.got[20:])
	}
}

// lazy says that it wrote all, and did not.
type lazy struct{}

func (lazy) Write(b []byte) (int, error) { return len(b) - 1, nil }

func TestShortWrite(t *testing.T) {
	s := NewJSON(lazy{})
	s.Trace(&story[0].ev)
	if err := s.Flush(); err != io.ErrShortWrite {
		t.Errorf("a short write was taken for success: %v", err)
	}
}

// A Ring of n keeps the newest n, in order, whatever came before.
func TestRing(t *testing.T) {
	for size := 1; size <= 5; size++ {
		r := NewRing(size)
		for total := 0; total <= 12; total++ {
			oldest := max(0, total-size)
			snap := r.Snapshot(nil)
			if len(snap) != total-oldest || r.Total() != uint64(total) {
				t.Fatalf("size %d, %d events: %d kept", size, total, len(snap))
			}
			for i, ev := range snap {
				if ev.Conn != uint64(oldest+i) {
					t.Fatalf("size %d, %d events: number %d is event %d, want %d", size, total, i, ev.Conn, oldest+i)
				}
			}
			for from := 0; from <= total+1; from++ {
				checkRead(t, r, from, oldest, total)
			}
			r.Trace(&Event{Conn: uint64(total)})
		}
	}
	if c := NewRing(0).Cap(); c != 1 {
		t.Errorf("NewRing(0) keeps %d", c)
	}
	if c := NewRing(-5).Cap(); c != 1 {
		t.Errorf("NewRing(-5) keeps %d", c)
	}
}

func checkRead(t *testing.T, r *Ring, from, oldest, total int) {
	t.Helper()
	for room := range 4 {
		dst := make([]Event, room)
		n, next := r.Read(uint64(from), dst)
		first := max(from, oldest)
		wantN := max(0, min(room, total-first))
		wantNext := min(first+wantN, total)
		if n != wantN || next != uint64(wantNext) {
			t.Fatalf("ring of %d, %d events: Read(%d, %d) = %d, %d; want %d, %d", r.Cap(), total, from, room, n, next, wantN, wantNext)
		}
		for i := range n {
			if dst[i].Conn != uint64(first+i) {
				t.Fatalf("ring of %d, %d events: Read(%d, %d) gives event %d at %d", r.Cap(), total, from, room, dst[i].Conn, i)
			}
		}
	}
}

func TestFilterAndMulti(t *testing.T) {
	var all, some []uint64
	s := Multi(
		Func(func(ev *Event) { all = append(all, ev.Conn) }),
		Filter(Func(func(ev *Event) { some = append(some, ev.Conn) }), 2, 4),
	)
	for c := range uint64(6) {
		s.Trace(&Event{Conn: c})
	}
	if len(all) != 6 || len(some) != 2 || some[0] != 2 || some[1] != 4 {
		t.Errorf("all %v, filtered %v", all, some)
	}
	Multi().Trace(&Event{}) // a sink without anyone behind it is fine
}

// Tracing happens on the path of every segment.
func TestSinksDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, s := range []struct {
		name string
		sink Sink
	}{
		{"Text", NewText(io.Discard)}, {"JSON", NewJSON(io.Discard)}, {"Ring", NewRing(16)},
		{"Filter", Filter(NewRing(1), 1, 2, 3)}, {"Multi", Multi(NewRing(1), NewRing(2))},
	} {
		n := testing.AllocsPerRun(2000, func() {
			for i := range story {
				s.sink.Trace(&story[i].ev)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for %d events", s.name, n, len(story))
		}
	}
}

func BenchmarkText(b *testing.B) {
	s := NewText(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		s.Trace(&story[3].ev)
	}
}

func BenchmarkJSON(b *testing.B) {
	s := NewJSON(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		s.Trace(&story[3].ev)
	}
}

func BenchmarkRing(b *testing.B) {
	s := NewRing(1024)
	b.ReportAllocs()
	for b.Loop() {
		s.Trace(&story[3].ev)
	}
}
