package tcp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// edgeScripts has one way along each edge of the state machine.
var edgeScripts = map[tcptest.Change]func(*testing.T) *tcptest.Conn{
	{From: tcp.Closed, To: tcp.Listen, On: tcp.OnPassiveOpen}: func(t *testing.T) *tcptest.Conn { return tcptest.Listen(t) },
	{From: tcp.Closed, To: tcp.SynSent, On: tcp.OnActiveOpen}: func(t *testing.T) *tcptest.Conn { return tcptest.SynSent(t) },
	{From: tcp.Listen, To: tcp.SynReceived, On: tcp.OnSYN}:    func(t *testing.T) *tcptest.Conn { return tcptest.HalfOpen(t) },
	{From: tcp.Listen, To: tcp.Closed, On: tcp.OnClose}: func(t *testing.T) *tcptest.Conn {
		return then(tcptest.Listen(t), (*tcptest.Conn).Close)
	},

	{From: tcp.SynSent, To: tcp.SynReceived, On: tcp.OnSYN}:    func(t *testing.T) *tcptest.Conn { return tcptest.SynReceived(t) },
	{From: tcp.SynSent, To: tcp.Established, On: tcp.OnSYNACK}: func(t *testing.T) *tcptest.Conn { return tcptest.Established(t) },
	{From: tcp.SynSent, To: tcp.Closed, On: tcp.OnClose}: func(t *testing.T) *tcptest.Conn {
		return then(tcptest.SynSent(t), (*tcptest.Conn).Close)
	},
	{From: tcp.SynSent, To: tcp.Closed, On: tcp.OnAbort}:   aborted(tcp.SynSent),
	{From: tcp.SynSent, To: tcp.Closed, On: tcp.OnRST}:     receives(tcp.SynSent, "< R. 0:0(0) ack 1"),
	{From: tcp.SynSent, To: tcp.Closed, On: tcp.OnTimeout}: passes(tcp.SynSent, "10m"),

	{From: tcp.SynReceived, To: tcp.Established, On: tcp.OnACK}: receives(tcp.SynReceived, "< . 1:1(0) ack 1"),
	{From: tcp.SynReceived, To: tcp.FinWait1, On: tcp.OnClose}: func(t *testing.T) *tcptest.Conn {
		return then(tcptest.SynReceived(t), (*tcptest.Conn).Shutdown)
	},
	{From: tcp.SynReceived, To: tcp.Listen, On: tcp.OnRST}:     recordReceives("< R 1:1(0)"),
	{From: tcp.SynReceived, To: tcp.Listen, On: tcp.OnSYN}:     recordReceives("< S. 1:1(0) ack 1"),
	{From: tcp.SynReceived, To: tcp.Listen, On: tcp.OnTimeout}: recordExpires,
	{From: tcp.SynReceived, To: tcp.Closed, On: tcp.OnRST}:     receives(tcp.SynReceived, "< R 1:1(0)"),
	{From: tcp.SynReceived, To: tcp.Closed, On: tcp.OnAbort}:   aborted(tcp.SynReceived),
	{From: tcp.SynReceived, To: tcp.Closed, On: tcp.OnTimeout}: passes(tcp.SynReceived, "10m"),

	{From: tcp.Established, To: tcp.FinWait1, On: tcp.OnClose}: func(t *testing.T) *tcptest.Conn { return tcptest.FinWait1(t) },
	{From: tcp.Established, To: tcp.CloseWait, On: tcp.OnFIN}:  func(t *testing.T) *tcptest.Conn { return tcptest.CloseWait(t) },
	{From: tcp.Established, To: tcp.Closed, On: tcp.OnRST}:     receives(tcp.Established, "< R 1:1(0)"),
	{From: tcp.Established, To: tcp.Closed, On: tcp.OnAbort}:   aborted(tcp.Established),
	{From: tcp.Established, To: tcp.Closed, On: tcp.OnTimeout}: writesAndWaits(tcp.Established),
	{From: tcp.FinWait1, To: tcp.FinWait2, On: tcp.OnACK}:      func(t *testing.T) *tcptest.Conn { return tcptest.FinWait2(t) },
	{From: tcp.FinWait1, To: tcp.Closing, On: tcp.OnFIN}:       func(t *testing.T) *tcptest.Conn { return tcptest.Closing(t) },
	{From: tcp.FinWait1, To: tcp.Closed, On: tcp.OnRST}:        receives(tcp.FinWait1, "< R 1:1(0)"),
	{From: tcp.FinWait1, To: tcp.Closed, On: tcp.OnAbort}:      aborted(tcp.FinWait1),
	{From: tcp.FinWait1, To: tcp.Closed, On: tcp.OnTimeout}:    passes(tcp.FinWait1, "10m"),
	{From: tcp.FinWait2, To: tcp.TimeWait, On: tcp.OnFIN}:      func(t *testing.T) *tcptest.Conn { return tcptest.TimeWait(t) },
	{From: tcp.FinWait2, To: tcp.Closed, On: tcp.OnRST}:        receives(tcp.FinWait2, "< R 1:1(0)"),
	{From: tcp.FinWait2, To: tcp.Closed, On: tcp.OnAbort}:      aborted(tcp.FinWait2),
	{From: tcp.FinWait2, To: tcp.Closed, On: tcp.OnTimeout}:    finWait2Expires,
	{From: tcp.CloseWait, To: tcp.LastAck, On: tcp.OnClose}:    func(t *testing.T) *tcptest.Conn { return tcptest.LastAck(t) },
	{From: tcp.CloseWait, To: tcp.Closed, On: tcp.OnRST}:       receives(tcp.CloseWait, "< R 2:2(0)"),
	{From: tcp.CloseWait, To: tcp.Closed, On: tcp.OnAbort}:     aborted(tcp.CloseWait),
	{From: tcp.CloseWait, To: tcp.Closed, On: tcp.OnTimeout}:   writesAndWaits(tcp.CloseWait),
	{From: tcp.Closing, To: tcp.TimeWait, On: tcp.OnACK}:       receives(tcp.Closing, "< . 2:2(0) ack 2"),
	{From: tcp.Closing, To: tcp.Closed, On: tcp.OnRST}:         receives(tcp.Closing, "< R 2:2(0)"),
	{From: tcp.Closing, To: tcp.Closed, On: tcp.OnAbort}:       aborted(tcp.Closing),
	{From: tcp.Closing, To: tcp.Closed, On: tcp.OnTimeout}:     passes(tcp.Closing, "10m"),
	{From: tcp.LastAck, To: tcp.Closed, On: tcp.OnACK}:         receives(tcp.LastAck, "< . 2:2(0) ack 2"),
	{From: tcp.LastAck, To: tcp.Closed, On: tcp.OnRST}:         receives(tcp.LastAck, "< R 2:2(0)"),
	{From: tcp.LastAck, To: tcp.Closed, On: tcp.OnAbort}:       aborted(tcp.LastAck),
	{From: tcp.LastAck, To: tcp.Closed, On: tcp.OnTimeout}:     passes(tcp.LastAck, "10m"),
	{From: tcp.TimeWait, To: tcp.Closed, On: tcp.OnTimeout}:    passes(tcp.TimeWait, "240s"),
	{From: tcp.TimeWait, To: tcp.Closed, On: tcp.OnAbort}:      aborted(tcp.TimeWait),
	{From: tcp.TimeWait, To: tcp.Closed, On: tcp.OnReuse}:      receives(tcp.TimeWait, "< S 9:9(0)"),
}

func then(p *tcptest.Conn, call func(*tcptest.Conn)) *tcptest.Conn {
	call(p)
	return p
}

func receives(s tcp.State, line string) func(*testing.T) *tcptest.Conn {
	return func(t *testing.T) *tcptest.Conn {
		p := tcptest.In(t, s)
		p.Recv(line)
		return p
	}
}

func aborted(s tcp.State) func(*testing.T) *tcptest.Conn {
	return func(t *testing.T) *tcptest.Conn { return then(tcptest.In(t, s), (*tcptest.Conn).Abort) }
}

func passes(s tcp.State, time string) func(*testing.T) *tcptest.Conn {
	return func(t *testing.T) *tcptest.Conn {
		p := tcptest.In(t, s)
		p.Advance(time)
		return p
	}
}

func writesAndWaits(s tcp.State) func(*testing.T) *tcptest.Conn {
	return func(t *testing.T) *tcptest.Conn {
		p := tcptest.In(t, s)
		p.Write(1)
		p.Advance("10m")
		return p
	}
}

func recordReceives(line string) func(*testing.T) *tcptest.Conn {
	return func(t *testing.T) *tcptest.Conn {
		p := tcptest.HalfOpen(t)
		p.Recv(line)
		return p
	}
}

func recordExpires(t *testing.T) *tcptest.Conn {
	p := tcptest.HalfOpen(t)
	p.Advance("10m")
	return p
}

// Only a connection that its application has let go of waits for a bounded time,
// and only if the Config has a bound.
func finWait2Expires(t *testing.T) *tcptest.Conn {
	p := tcptest.FinWait2(t, tcptest.Config(func(c *tcp.Config) { c.FinWait2 = time.Minute }))
	p.Advance("10m")
	p.WantState(tcp.FinWait2)
	p.Do("close", func(now mono.Time, c *tcp.TCB) { c.Close(now) })
	p.Advance("60s")
	return p
}

// Every edge of the table can be gone along, and leads where the table says.
// RFC 9293 §3.3.2, figure 5.
func TestEdges(t *testing.T) {
	if len(edgeScripts) != len(tcp.Edges) {
		t.Errorf("%d scripts for %d edges", len(edgeScripts), len(tcp.Edges))
	}
	for _, e := range tcp.Edges {
		t.Run(e.From.String()+" "+e.To.String()+" "+e.On.String(), func(t *testing.T) {
			script := edgeScripts[tcptest.Change{From: e.From, To: e.To, On: e.On}]
			if script == nil {
				t.Fatal("no script")
			}
			p := script(t)
			p.Drop()
			changes := p.Changes()
			if !slices.Contains(changes, tcptest.Change{From: e.From, To: e.To, On: e.On}) {
				t.Errorf("the edge was not reached, but %v", changes)
			}
			if e.To == tcp.Closed && p.Deadline() != 0 {
				t.Errorf("CLOSED, but something waits for the clock")
			}
		})
	}
}

// The edge table has no edge twice, none that leads to where it comes from, and
// is found in full by CheckEdge; every state can be left and reached.
func TestEdgeTable(t *testing.T) {
	var from, to [tcp.NumStates]bool
	for i, e := range tcp.Edges {
		if e.From == e.To || e.RFC == "" {
			t.Errorf("edge %d: %+v", i, e)
		}
		if got := tcp.CheckEdge(e.From, e.To, e.On); got != i {
			t.Errorf("edge %d is the same as %d", i, got)
		}
		from[e.From], to[e.To] = true, true
	}
	for s := tcp.Closed; s < tcp.NumStates; s++ {
		if !from[s] || !to[s] {
			t.Errorf("%v: left %v, reached %v", s, from[s], to[s])
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an edge that does not exist went unnoticed")
		}
	}()
	tcp.CheckEdge(tcp.Closed, tcp.Established, tcp.OnACK)
}
