package engine

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// traceEnds are two Engines that hand each other their packets at once, and
// what the second, which listens, tells of its connections.
type traceEnds struct {
	e     [2]*Engine
	iface [2]int
	now   mono.Time
	told  []string
}

func newTraceEnds(t *testing.T) *traceEnds {
	t.Helper()
	w := &traceEnds{now: mono.Start}
	for i, addr := range []string{"10.0.0.1/24", "10.0.0.2/24"} {
		cfg := tcp.DefaultConfig(tcp.ProfileLinux)
		if i == 1 {
			cfg.Trace = trace.Func(func(ev *trace.Event) { w.told = append(w.told, tell(ev)) })
		}
		w.e[i] = New(Config{TCP: cfg})
		w.iface[i] = w.e[i].AddInterface(Interface{Name: "wire", MTU: 1500}).ID
		if err := w.e[i].AddAddress(w.iface[i], netip.MustParsePrefix(addr)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// tell is an event in short.
func tell(ev *trace.Event) string {
	from, to := trace.StateName(ev.From), trace.StateName(ev.To)
	switch ev.Kind {
	case trace.StateChange:
		return fmt.Sprintf("#%d %s -> %s on %v", ev.Conn, from, to, tcp.Trigger(ev.On))
	case trace.SegmentIn, trace.SegmentOut:
		return fmt.Sprintf("#%d %v %v in %s: %v, mss %d", ev.Conn, ev.Kind, ev.Flags, to, ev.Why, ev.MSS)
	}
	return fmt.Sprintf("#%d %v", ev.Conn, ev.Kind)
}

// run lets packets pass until nobody has any; those from a side in lost vanish.
func (w *traceEnds) run(lost [2]bool) {
	var batch [16]*pkt.Packet
	for quiet := 0; quiet < 2; {
		for i, e := range w.e {
			n := e.Output(w.now, batch[:])
			if n > 0 {
				quiet = 0
			} else {
				quiet++
			}
			if lost[i] {
				for _, p := range batch[:n] {
					p.Release()
				}
				continue
			}
			w.e[1-i].Input(w.now, w.iface[1-i], batch[:n])
		}
	}
}

// advance lets time pass, and one side notice it.
func (w *traceEnds) advance(side int, d time.Duration) {
	w.now = w.now.Add(d)
	w.e[side].Advance(w.now)
}

// want compares what was told since the last call.
func (w *traceEnds) want(t *testing.T, want ...string) {
	t.Helper()
	if !reflect.DeepEqual(w.told, want) {
		t.Errorf("told:\n%q\nwant:\n%q", w.told, want)
	}
	w.told = nil
}

// A connection's events are complete although it begins and ends as a record:
// LISTEN, SYN-RECEIVED and TIME-WAIT are there, with one number throughout.
func TestTraceOfRecords(t *testing.T) {
	w := newTraceEnds(t)
	l, err := w.e[1].Listen(w.now, &ListenConfig{Local: netip.MustParseAddrPort("10.0.0.2:80")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.e[0].Dial(w.now, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80")})
	if err != nil {
		t.Fatal(err)
	}
	w.run([2]bool{false, true}) // the SYN-ACK is lost
	w.want(t, "#1 in S in LISTEN: none, mss 1460", "#1 LISTEN -> SYN-RECEIVED on rcv SYN",
		"#1 out S. in SYN-RECEIVED: handshake, mss 1460")
	w.advance(1, time.Second)
	w.run([2]bool{})
	w.want(t, "#1 out S. in SYN-RECEIVED: retransmission timeout, mss 1460",
		"#1 in . in SYN-RECEIVED: none, mss 0", "#1 SYN-RECEIVED -> ESTABLISHED on rcv ACK")

	s := l.Accept()
	s.Close(w.now)
	w.run([2]bool{})
	w.told = nil
	c.Close(w.now)
	w.run([2]bool{false, true}) // the ACK of the other FIN is lost
	w.want(t, "#1 in F. in FIN-WAIT-2: none, mss 0", "#1 FIN-WAIT-2 -> TIME-WAIT on rcv FIN",
		"#1 out . in TIME-WAIT: ack, mss 0")
	w.advance(0, 4*time.Second) // the FIN again
	w.run([2]bool{})
	w.want(t, "#1 in F. in TIME-WAIT: none, mss 0", "#1 out . in TIME-WAIT: time-wait, mss 0")
	w.advance(1, time.Minute)
	w.want(t, "#1 TIME-WAIT -> CLOSED on timeout")
}

// A SYN that is answered by a cookie, which is no connection's, is told of, and
// so is the connection that comes of it.
func TestTraceOfCookies(t *testing.T) {
	w := newTraceEnds(t)
	w.e[1].limits.HalfOpenPerListener = 0
	l, err := w.e[1].Listen(w.now, &ListenConfig{Local: netip.MustParseAddrPort("10.0.0.2:80")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.e[0].Dial(w.now, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80")}); err != nil {
		t.Fatal(err)
	}
	w.run([2]bool{})
	id := l.Accept().ID()
	w.want(t, "#0 in S in LISTEN: none, mss 1460", "#0 out S. in LISTEN: syn cookie, mss 1460",
		fmt.Sprintf("#%d LISTEN -> SYN-RECEIVED on rcv SYN", id), fmt.Sprintf("#%d in . in SYN-RECEIVED: none, mss 0", id),
		fmt.Sprintf("#%d SYN-RECEIVED -> ESTABLISHED on rcv ACK", id))
}

// A connection that a SYN with data opens is told of from LISTEN on.
func TestTraceOfFastOpen(t *testing.T) {
	w := newTraceEnds(t)
	if _, err := w.e[1].Listen(w.now, &ListenConfig{Local: netip.MustParseAddrPort("10.0.0.2:80"), FastOpen: 1}); err != nil {
		t.Fatal(err)
	}
	dial := func() {
		c, err := w.e[0].Dial(w.now, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80"), FastOpen: true})
		if err != nil {
			t.Fatal(err)
		}
		c.Queue(w.now, pkt.Bytes([]byte("hello")))
		w.run([2]bool{})
	}
	dial()
	w.told = nil
	dial()
	w.want(t, "#3 in S in LISTEN: none, mss 1460", "#3 LISTEN -> SYN-RECEIVED on rcv SYN",
		"#3 out S. in SYN-RECEIVED: handshake, mss 1460", "#3 in . in SYN-RECEIVED: none, mss 0",
		"#3 SYN-RECEIVED -> ESTABLISHED on rcv ACK")
}

// A handshake that ends without a connection says how.
func TestTraceOfGivenUpHandshakes(t *testing.T) {
	w := newTraceEnds(t)
	if _, err := w.e[1].Listen(w.now, &ListenConfig{Local: netip.MustParseAddrPort("10.0.0.2:80")}); err != nil {
		t.Fatal(err)
	}
	c, err := w.e[0].Dial(w.now, &DialConfig{Remote: netip.MustParseAddrPort("10.0.0.2:80")})
	if err != nil {
		t.Fatal(err)
	}
	w.run([2]bool{false, true})
	c.Abort(w.now) // in SYN-SENT: nothing is sent, and the record waits in vain
	for range 10 {
		w.advance(1, time.Minute)
		w.run([2]bool{true, true})
	}
	if n := len(w.told); n == 0 || w.told[n-1] != "#1 SYN-RECEIVED -> LISTEN on timeout" {
		t.Errorf("the record's events do not end with its timeout: %q", w.told)
	}
}
