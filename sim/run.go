package sim

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// Options are what Scenario.Run does beside running.
type Options struct {
	Pcap  io.Writer                 // a pcapng recording of all hosts; nil: none
	Trace func(host int) trace.Sink // called once per host; nil: none
	Rule  func(w *World) error      // one more check after every event; nil: none
}

// Report is what came of a Scenario.
type Report struct {
	Hash            uint64 // World.Hash at the end
	Events, Packets uint64
	Time            time.Duration // virtual, from the beginning to the last record's end
	// Reasons counts how connections ended, by end; ReasonNone are those that
	// ended by FINs.
	Reasons map[tcp.Reason]int
	Clean   int    // connections of which every byte arrived
	Bytes   uint64 // delivered
	Drops   uint64 // packets that the wire dropped
	// Answered counts datagrams that came back.
	Answered int
	// Happened counts, by class of faults in the order of their bits, what
	// there was of each: packets, or events.
	Happened [Classes]uint64
	// FastOpens counts connections whose SYN brought data that was taken.
	FastOpens int
	// Feedback counts connections by how congestion marks are told of, MarksIn
	// the marked packets that reached one, and MarkReductions how often cwnd was
	// reduced for marks.
	Feedback       [tcp.FeedbackAccurate + 1]int
	MarksIn        uint64
	MarkReductions uint64
	// Err is the first thing that was wrong; nil if all went as it must.
	Err error
}

// Run makes a scenario happen and reports.
func Run(s Scenario) Report { return s.Run(Options{}) }

// run is a Scenario that happens.
type run struct {
	s     *Scenario
	w     *World
	wires []*Wire // by pair of hosts, the first pair's first
	start mono.Time
	conns [][2]*end
	echos []*echo
	// listeners are all there ever were.
	listeners []*engine.Listener
	cfgs      []*tcp.Config   // by host
	did       [Classes]uint64 // events by class
	// repaired is set when nothing goes wrong any more, and programs do not
	// dawdle.
	repaired bool
}

// Bounds of a run.
const (
	firstPort   = 1000
	dialPort    = 20000
	maxEvents   = 3_000_000
	patience    = 30 * time.Minute // after repair, to which comes
	perSegment  = 3 * time.Second  // for each segment that must still be sent
	maxTimeWait = 10 * time.Minute
	redial      = 500 * time.Millisecond
	hurry       = 50 * time.Millisecond // that a SYN waits for data
)

// Run makes the scenario happen and reports.
func (s *Scenario) Run(o Options) Report {
	r := &run{s: s, w: New(s.Seed)}
	if o.Pcap != nil {
		r.w.Pcap(o.Pcap)
	}
	if o.Rule != nil {
		r.w.Rule(func() error { return o.Rule(r.w) })
	}
	r.build(&o)
	r.drive()
	rep := r.report()
	err := r.w.Close()
	if rep.Err == nil {
		rep.Err = err
	}
	return rep
}

func (r *run) failf(format string, args ...any) { r.w.Fail(fmt.Errorf("sim: "+format, args...)) }

// build makes hosts, wire and programs, and plans everything.
func (r *run) build(o *Options) {
	w := r.w
	for pair := range r.pairs() {
		r.buildPair(pair, o)
	}
	r.conns = make([][2]*end, len(r.s.Conns))
	for i := range r.s.Conns {
		c := &r.s.Conns[i]
		for j := range 2 {
			r.conns[i][j] = &end{run: r, spec: &c.Ends[j], host: 2*c.Pair + c.From ^ j, stream: Stream(2*i + j + 1)}
		}
		r.conns[i][0].peer, r.conns[i][1].peer = r.conns[i][1], r.conns[i][0]
	}
	r.setClock()
	r.start = w.now
	for i := range r.s.Conns {
		c := &r.s.Conns[i]
		if !c.Simultaneous {
			r.listen(i)
		}
		for j, e := range r.conns[i] {
			if j == 0 || c.Simultaneous {
				w.hosts[e.host].At(r.start.Add(c.Start), func() { r.dial(i, j) })
			}
		}
	}
	for i := range r.s.Echoes {
		r.echos = append(r.echos, newEcho(r, i))
	}
	for i := range r.s.Events {
		e := &r.s.Events[i]
		w.At(r.start.Add(e.At), func() { r.fault(e) })
	}
}

// pairs is how many pairs of hosts there are.
func (r *run) pairs() int {
	n := 1
	for i := range r.s.Conns {
		n = max(n, r.s.Conns[i].Pair+1)
	}
	return min(n, MaxPairs)
}

// buildPair makes two hosts and a wire, which all pairs share.
func (r *run) buildPair(pair int, o *Options) {
	w := r.w
	for i := range r.s.Hosts {
		h := &r.s.Hosts[i]
		cfg := h.TCP
		if o.Trace != nil {
			cfg.Trace = o.Trace(len(w.hosts))
		}
		r.cfgs = append(r.cfgs, &cfg)
		w.Host(string(rune('a'+len(w.hosts))), HostConfig{Engine: engine.Config{TCP: &cfg, Limits: engine.Limits{MemoryBytes: h.Memory}}, MTU: h.MTU, MaxGSO: h.MaxGSO,
			Coalesce: h.Coalesce, MaxGRO: h.MaxGRO, TimerSlack: h.TimerSlack})
	}
	a, b := w.hosts[2*pair], w.hosts[2*pair+1]
	if pair > 0 {
		r.wires = append(r.wires, w.LinkThrough(a, b, r.wires[0]))
		return
	}
	l := w.Link(a, b, r.s.Wire[0], r.s.Wire[1])
	l.SetBox(a, r.s.Box[0])
	l.SetBox(b, r.s.Box[1])
	r.wires = append(r.wires, l)
}

// setClock lets time pass until the first connection's initial sequence number
// will be where its NearWrap wants it: a number advances with the clock, RFC
// 6528 §3, so a connection that another engine with the same secret opens now
// tells how long that takes.
func (r *run) setClock() {
	if len(r.s.Conns) == 0 || r.s.Conns[0].NearWrap == 0 {
		return
	}
	c := &r.s.Conns[0]
	w := r.w
	j := c.NearWrap&1 ^ 1 // whose number
	local, remote := r.addr(0, j), r.addr(0, j^1)
	probe := New(w.seed)
	for i := range 2 {
		probe.Host(w.hosts[i].name, w.hosts[i].cfg)
	}
	probe.Link(probe.hosts[0], probe.hosts[1], netem.Config{}, netem.Config{})
	iss := func(at mono.Time) tcp.Seq {
		pc, err := probe.hosts[c.From^j].eng.Dial(at, &engine.DialConfig{Local: local, Remote: remote})
		if err != nil {
			return 0
		}
		var s tcp.Space
		pc.Space(&s)
		pc.Abort(at)
		probe.now = at
		probe.settle()
		return s.ISS
	}
	first := iss(w.now)
	second := iss(w.now.Add(time.Second))
	perSecond := uint64(second - first)
	probe.Close()
	if perSecond == 0 {
		return
	}
	// The one who listens draws its number when the SYN arrives.
	ahead := c.Start
	if j == 1 && !c.Simultaneous {
		ahead += r.s.Wire[c.From].Delay
	}
	ticks := uint64(ahead) * perSecond / uint64(time.Second)
	want := uint64(uint32(-first - tcp.Seq(c.NearWrap) - tcp.Seq(ticks)))
	w.RunUntil(w.now.Add(time.Duration(want*uint64(time.Second)/perSecond)), nil)
}

// addr is where end j of connection i is.
func (r *run) addr(i, j int) netip.AddrPort {
	c := &r.s.Conns[i]
	port := uint16(dialPort + c.Ports[0])
	if j == 1 {
		port = uint16(firstPort + c.Ports[1])
	}
	return netip.AddrPortFrom(r.wires[c.Pair].Addr(r.w.hosts[2*c.Pair+c.From^j], c.V6), port)
}

// acceptor is the program of a listener.
type acceptor struct {
	run  *run
	l    *engine.Listener
	host int
}

// Ready accepts, after the host's delay.
func (a *acceptor) Ready() {
	if d := a.run.s.Hosts[a.host&1].AcceptDelay; d > 0 && !a.run.repaired {
		a.run.w.hosts[a.host].After(d, a.accept)
		return
	}
	a.accept()
}

// accept gives each connection to the end whose peer dialled it: that one knows
// the sequence number with which it began.
func (a *acceptor) accept() {
	for c := a.l.Accept(); c != nil; c = a.l.Accept() {
		e := a.run.dialled(a.host, c)
		if e == nil {
			c.Abort(a.run.w.now) // who dialled has crashed, or this host has meanwhile
			continue
		}
		e.attach(c)
	}
}

// dialled returns the end on a host that a connection it accepted is for, nil
// if there is none.
func (r *run) dialled(host int, c *engine.Conn) *end {
	var s, d tcp.Space
	c.Space(&s)
	var found *end
	for _, e := range r.conns {
		if e[1].host != host || e[1].conn != nil || e[0].conn == nil || e[0].conn.Flow() != c.Flow().Reversed() {
			continue
		}
		// Who hung up at once may have dialled with the number that its successor
		// has: numbers change every 4 us (RFC 6528 §3).
		if e[0].conn.Space(&d); d.ISS == s.IRS && (found == nil || found.peer.ended) {
			found = e[1]
		}
	}
	return found
}

// listen makes the listener of connection i, unless it is there.
func (r *run) listen(i int) {
	host := r.conns[i][1].host
	h := r.w.hosts[host]
	l, err := h.eng.Listen(r.w.now, &engine.ListenConfig{Local: r.addr(i, 1), Backlog: r.s.Hosts[host&1].Backlog})
	switch {
	case err == nil:
		l.Owner = &acceptor{r, l, host}
		r.listeners = append(r.listeners, l)
	case !errors.Is(err, engine.ErrAddrInUse):
		r.failf("listen on %v: %w", r.addr(i, 1), err)
	}
}

// dial opens connection i from end j. An address that is in use, by an earlier
// incarnation, is tried again until it is free.
func (r *run) dial(i, j int) {
	e := r.conns[i][j]
	h := r.w.hosts[e.host]
	if h.eng == nil {
		e.missed = true
		return
	}
	c, err := h.eng.Dial(r.w.now, &engine.DialConfig{Local: r.addr(i, j), Remote: r.addr(i, j^1),
		FastOpen: j == 0 && r.s.Conns[i].FastOpen, FastOpenWait: r.s.Conns[i].FastOpenWait})
	switch {
	case err == nil:
		e.attach(c)
		if j == 0 && r.s.Conns[i].FastOpen {
			e.Ready() // before the SYN leaves
			c.Hurry(r.w.now, hurry)
		}
	case errors.Is(err, engine.ErrAddrInUse):
		h.After(redial, func() { r.dial(i, j) })
	default:
		r.failf("dial from %v to %v: %w", r.addr(i, j), r.addr(i, j^1), err)
	}
}

// ended reports whether every program is done with its connection and no
// engine has any left but in TIME-WAIT.
func (r *run) ended() bool {
	for _, c := range r.conns {
		for j, e := range c {
			switch {
			case e.ended || e.missed:
			case e.conn != nil:
				return false
			case j == 0 || c[0].conn == nil && !c[0].missed && !c[0].crashed:
				return false // is still to dial
			}
		}
	}
	return !slices.ContainsFunc(r.w.hosts, func(h *Host) bool { return !settled(h) })
}

// drive lets the scenario's time pass, repairs everything, and waits for the
// end of all connections and then of all records.
func (r *run) drive() {
	w := r.w
	w.Rule(func() error {
		if w.steps > maxEvents {
			return fmt.Errorf("sim: more than %d events", maxEvents)
		}
		return nil
	})
	if w.RunUntil(r.start.Add(r.s.Length), r.ended) != nil {
		return
	}
	w.RunUntil(max(w.now, r.lastPlanned()), nil)
	r.repair()
	limit := w.now.Add(patience + time.Duration(r.segments())*perSegment)
	if w.RunUntil(limit, r.ended) != nil {
		return
	}
	if !r.ended() {
		r.stuck()
		return
	}
	if w.RunUntil(w.now.Add(maxTimeWait), func() bool { return w.Next() == 0 }) != nil {
		return
	}
	for _, h := range w.hosts {
		if d := h.eng.Deadline(); d != 0 {
			r.failf("host %s has nothing left to do, and a deadline in %v", h.name, d.Sub(w.now))
		}
	}
}

// lastPlanned is when the last fault or dial of the scenario is due.
func (r *run) lastPlanned() mono.Time {
	t := r.start
	for i := range r.s.Conns {
		t = max(t, r.start.Add(r.s.Conns[i].Start))
	}
	for i := range r.s.Events {
		t = max(t, r.start.Add(r.s.Events[i].At))
	}
	return t
}

// repair ends all faults. Programs whose peer is gone close a while later.
func (r *run) repair() {
	w := r.w
	r.repaired = true
	r.wires[0].Heal()
	for i, h := range w.hosts {
		h.Wake(true)
		r.powerOn(i)
		r.listenAll(i)
		h.cfg.Coalesce, h.cfg.TimerSlack = 0, 0
	}
	for i, h := range w.hosts[:2] {
		r.wires[0].SetBox(h, Box{})
		r.wires[0].SetConfig(h, netem.Config{Delay: min(r.s.Wire[i].Delay, 10*time.Millisecond)})
	}
	var look func()
	look = func() {
		for _, c := range r.conns {
			for _, e := range c {
				if e.peer.gone() {
					e.giveUp()
				}
				if e.stranded() {
					e.abort()
				}
			}
		}
		if !r.ended() {
			w.After(afterPeerDied, look)
		}
	}
	w.After(afterPeerDied, look)
}

// gone reports that the end will never answer.
func (e *end) gone() bool {
	return e.crashed || e.missed || e.ended && !e.endedClean || e.closed && !e.done() || e.conn == nil
}

// stranded reports that the end waits for the FIN of a peer that is gone, in a
// profile that sets no bound to that: RFC 9293 knows none for FIN-WAIT-2.
func (e *end) stranded() bool {
	return e.closed && !e.ended && e.peer.gone() && e.conn != nil && e.conn.State() == tcp.FinWait2 &&
		e.run.cfgs[e.host].FinWait2 == 0
}

// segments is about how many segments all streams need.
func (r *run) segments() (n uint64) {
	w := r.w
	for _, c := range r.conns {
		for _, e := range c {
			to, from := e.host^1, e.host
			mtu := min(w.hosts[to].cfg.MTU, w.hosts[from].cfg.MTU)
			size := max(1, min(uint64(r.cfgs[to].ReceiveBuffer), uint64(r.cfgs[from].SendBuffer), uint64(mtu-40)))
			n += e.spec.total()/size + uint64(len(e.spec.Steps)) + 1
		}
	}
	return n
}

// stuck says who has not ended.
func (r *run) stuck() {
	text := ""
	for _, c := range r.conns {
		for _, e := range c {
			if !e.ended && !e.missed {
				text += "\n\t" + e.String()
				if e.conn != nil {
					var i tcp.Info
					e.conn.Info(&i)
					text += fmt.Sprintf(", to read %d, closed %t, EOF %t, in flight %d, unsent %d, window %d, deadline in %v",
						e.peer.spec.total()-e.read, e.closed, e.atEOF, i.InFlight, i.Unsent, i.SendWindow, e.conn.Deadline().Sub(r.w.now))
				}
			}
		}
	}
	for _, h := range r.w.hosts {
		h.eng.EachConn(func(c *engine.Conn) bool {
			text += fmt.Sprintf("\n\tengine of %s: connection %d %v %v", h.name, c.ID(), c.Flow(), c.State())
			return true
		})
		h.eng.EachHalfOpen(func(f engine.Flow, _ *tcp.HalfOpen) {
			text += fmt.Sprintf("\n\tengine of %s: half-open %v", h.name, f)
		})
	}
	r.failf("not all connections ended, though everything was repaired:%s", text)
}
