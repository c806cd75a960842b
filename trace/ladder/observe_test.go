package ladder

import (
	"strings"
	"testing"

	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// header makes the TCP header of a captured segment, with options if it is a
// SYN.
func header(flags wire.TCPFlags, seq, ackNo uint32, wnd uint16) wire.TCP {
	opts := wire.TCPOptions{}
	if flags&syn != 0 {
		opts = wire.TCPOptions{Has: wire.HasMSS | wire.HasWScale, MSS: 1460, WScale: 7}
	}
	b := make([]byte, wire.TCPMinLen+opts.Len())
	wire.PutTCP(b, 1000, 80, seq, ackNo, flags, wnd, 0)
	opts.Put(b[wire.TCPMinLen:])
	return wire.TCP(b)
}

// captured is a captured segment and the states both hosts are in behind it.
type captured struct {
	from     Side
	flags    wire.TCPFlags
	seq, ack uint32
	n        int
	states   string
	again    bool
}

// What a capture shows leads both hosts through the states of RFC 9293 §3.5,
// §3.6 and figures 6 to 14.
func TestObserver(t *testing.T) {
	for _, c := range []struct {
		name string
		segs []captured
	}{
		{"ordinary connection", []captured{
			{Left, syn, 100, 0, 0, "SYN-SENT SYN-RECEIVED", false},
			{Right, syn | ack, 300, 101, 0, "ESTABLISHED SYN-RECEIVED", false},
			{Left, ack, 101, 301, 0, "ESTABLISHED ESTABLISHED", false},
			{Left, ack | psh, 101, 301, 10, "ESTABLISHED ESTABLISHED", false},
			{Left, ack | psh, 101, 301, 10, "ESTABLISHED ESTABLISHED", true},
			{Right, ack, 301, 111, 0, "ESTABLISHED ESTABLISHED", false},
			{Left, ack | fin, 111, 301, 0, "FIN-WAIT-1 CLOSE-WAIT", false},
			{Right, ack, 301, 111, 0, "FIN-WAIT-1 CLOSE-WAIT", false},
			{Right, ack, 301, 112, 0, "FIN-WAIT-2 CLOSE-WAIT", false},
			{Right, ack | fin, 301, 112, 0, "TIME-WAIT LAST-ACK", false},
			{Right, ack | fin, 301, 112, 0, "TIME-WAIT LAST-ACK", true},
			{Left, ack, 112, 302, 0, "TIME-WAIT CLOSED", false},
		}},
		{"simultaneous open and close", []captured{
			{Left, syn, 100, 0, 0, "SYN-SENT SYN-RECEIVED", false},
			{Right, syn, 300, 0, 0, "SYN-RECEIVED SYN-RECEIVED", false},
			{Left, syn | ack, 100, 301, 0, "SYN-RECEIVED ESTABLISHED", true},
			{Right, ack, 301, 101, 0, "ESTABLISHED ESTABLISHED", false},
			{Left, ack, 101, 301, 0, "ESTABLISHED ESTABLISHED", false},
			{Left, ack | fin, 101, 301, 0, "FIN-WAIT-1 CLOSE-WAIT", false},
			{Right, ack | fin, 301, 102, 5, "TIME-WAIT LAST-ACK", false},
			{Left, ack, 102, 307, 0, "TIME-WAIT CLOSED", false},
		}},
		{"the middle of a connection, reset", []captured{
			{Right, ack, 5000, 9000, 100, "ESTABLISHED ESTABLISHED", false},
			{Left, ack, 9000, 5100, 0, "ESTABLISHED ESTABLISHED", false},
			{Right, ack, 5050, 9000, 100, "ESTABLISHED ESTABLISHED", true},
			{Left, rst, 9000, 0, 0, "CLOSED CLOSED", false},
		}},
		{"it begins with SYN and ACK, and the ports are used again", []captured{
			{Right, syn | ack, 300, 101, 0, "ESTABLISHED SYN-RECEIVED", false},
			{Left, rst | ack, 101, 301, 0, "CLOSED CLOSED", false},
			{Left, syn, 50, 0, 0, "SYN-SENT SYN-RECEIVED", false},
			{Right, rst | ack, 0, 51, 0, "CLOSED CLOSED", false},
		}},
	} {
		var o Observer
		for i, s := range c.segs {
			st := o.Add(ms(float64(i)), s.from, header(s.flags, s.seq, s.ack, 1000), s.n)
			got := trace.StateName(st.States[0]) + " " + trace.StateName(st.States[1])
			if got != s.states || st.Retransmit != s.again {
				t.Errorf("%s, segment %d: %s, again %v; want %s, %v", c.name, i, got, st.Retransmit, s.states, s.again)
			}
		}
	}
}

// Numbers are relative and windows scaled, once both sides agreed to scale.
func TestObserverNumbers(t *testing.T) {
	var o Observer
	steps := []Step{
		o.Add(ms(0), Left, header(syn, 1<<32-1, 0, 1000), 0),
		o.Add(ms(10), Right, header(syn|ack, 77, 0, 2000), 0),
		o.Add(ms(20), Left, header(ack, 0, 78, 1000), 10),
		o.Add(ms(30), Right, header(ack, 78, 10, 2000), 0),
	}
	want := []string{
		"           left         |                                         | right",
		"  0.000000 SYN-SENT     |-- S 0:0(0) win 1000 <mss 1460> -------->| SYN-RECEIVED",
		"  0.010000 ESTABLISHED  |<- S. 0:0(0) ack 1 win 2000 <mss 1460> --|",
		"  0.020000              |-- . 1:11(10) ack 1 win 128000 --------->| ESTABLISHED",
		"  0.030000              |<---------- . 1:1(0) ack 11 win 256000 --|",
	}
	got := Draw(steps, Options{ASCII: true})
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	o = Observer{Absolute: true}
	if s := o.Add(ms(0), Right, header(ack, 1234, 4321, 5), 0); s.Seq != 1234 || s.Ack != 4321 {
		t.Errorf("absolute numbers: %+v", s)
	}
}

// Any segments are taken.
func FuzzObserver(f *testing.F) {
	f.Add([]byte(header(syn, 1, 0, 5)), []byte(header(syn|ack, 7, 2, 5)), []byte(header(ack, 2, 8, 5)))
	f.Add([]byte(header(fin|ack, 1, 9, 5)), []byte(header(fin|ack, 9, 2, 5)), []byte(header(rst, 2, 8, 5)))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		var o Observer
		var steps []Step
		for i, raw := range [][]byte{a, b, c, b, a} {
			if seg, err := wire.ParseTCP(raw); err == nil {
				steps = append(steps, o.Add(ms(float64(i)), Side(i), seg, len(seg.Payload())))
			}
		}
		checkLines(t, Draw(steps, Options{}), Options{})
	})
}
