package sim_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/sim"
	"github.com/handfast/handfast/tcp"
)

// greeter accepts a connection and sees it through.
type greeter struct {
	w *sim.World
	l *engine.Listener
	c *engine.Conn
}

// Ready is called when the listener or the connection has something.
func (g *greeter) Ready() {
	if c := g.l.Accept(); c != nil {
		c.Owner, g.c = g, c
	}
	if g.c != nil && g.c.EOF() {
		g.c.Close(g.w.Now())
	}
}

// Two hosts, a wire of a millisecond each way, a connection opened and closed.
func Example() {
	w := sim.New(1)
	a, b := w.Host("a", sim.HostConfig{}), w.Host("b", sim.HostConfig{})
	delay := netem.Config{Delay: time.Millisecond, Rate: 1_000_000_000}
	wire := w.Link(a, b, delay, delay)

	at := netip.AddrPortFrom(wire.Addr(b, false), 80)
	l, err := b.Engine().Listen(w.Now(), &engine.ListenConfig{Local: at})
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Owner = &greeter{w: w, l: l}
	start := w.Now()
	c, err := a.Engine().Dial(w.Now(), &engine.DialConfig{Remote: at})
	if err != nil {
		fmt.Println(err)
		return
	}
	is := func(s tcp.State) func() bool { return func() bool { return c.State() == s } }
	err = w.RunUntil(start.Add(time.Minute), is(tcp.Established))
	fmt.Println(c.State(), w.Now().Sub(start).Round(time.Millisecond), err)
	c.Close(w.Now())
	err = w.RunUntil(start.Add(time.Minute), is(tcp.TimeWait))
	fmt.Println(c.State(), w.Now().Sub(start).Round(time.Millisecond), err)
	fmt.Println(w.Close())
	// Output:
	// ESTABLISHED 2ms <nil>
	// TIME-WAIT 4ms <nil>
	// <nil>
}
