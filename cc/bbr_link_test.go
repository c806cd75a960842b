package cc

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

// A deterministic path for tests of BBR: flows that share one bottleneck with a
// FIFO queue, and per flow as much of a sender as BBR needs: pacing, a window,
// loss detection by three packets, rate samples as in draft-ietf-ccwg-bbr
// "Delivery Rate Samples". Every packet has a number of its own; what is lost
// goes again under a new one.

const (
	bbrTestMSS = 1000
)

type bbrTestPacket struct {
	flow             *bbrTestFlow
	id, size         uint32
	sent             mono.Time
	firstSent        mono.Time
	deliveredTime    mono.Time
	delivered        uint64
	lostAtSend       uint64
	txInFlight       uint32
	appLimited       bool
	acked, lost, new bool
}

type bbrTestEvent struct {
	at   mono.Time
	seq  uint64
	kind uint8
	flow *bbrTestFlow
	p    *bbrTestPacket
}

const (
	bbrDeparture uint8 = iota // a packet leaves the bottleneck
	bbrArrival                // its ACK arrives
	bbrPace                   // the pacer lets the next packet go
	bbrTimeout
	bbrAppWrite
	bbrDelayedACK
)

// bbrWorld is the path with its flows; its fields may change while it runs.
type bbrWorld struct {
	t      *testing.T
	seed   uint64
	now    mono.Time
	events []bbrTestEvent
	seq    uint64
	flows  []*bbrTestFlow

	rate      uint64        // of the bottleneck, bytes a second
	delay     time.Duration // there and back, without the queue
	limit     uint64        // of the queue, bytes
	queue     []*bbrTestPacket
	queued    uint64
	maxQueued uint64
	busy      bool
	random    bbr // for its generator

	lossPerMille uint64
	dropNext     int                                  // packets to drop, one in 7
	lag          func(p *bbrTestPacket) time.Duration // more delay for a packet
	holdUntil    mono.Time                            // no ACK arrives before
	aggregate    time.Duration                        // ACKs arrive at multiples of this
	delayedACK   time.Duration                        // every second packet is acknowledged, or after this
	policer      *bbrPolicer
	dropped      uint64
}

// bbrPolicer is a token bucket that drops and does not queue.
type bbrPolicer struct {
	rate, burst uint64 // bytes a second, bytes
	tokens      uint64
	last        mono.Time
}

func (p *bbrPolicer) pass(now mono.Time, n uint64) bool {
	p.tokens = min(p.tokens+mulDiv(p.rate, uint64(now.Sub(p.last)), uint64(time.Second)), p.burst)
	p.last = now
	if p.tokens < n {
		return false
	}
	p.tokens -= n
	return true
}

// newBBRWorld makes a path of rate bits a second; the queue holds tenths of a
// BDP.
func newBBRWorld(t *testing.T, seed, bits uint64, rtt time.Duration, tenths uint64) *bbrWorld {
	w := &bbrWorld{t: t, seed: seed, now: mono.Start, rate: bits / 8, delay: rtt, random: bbr{random: seed}}
	w.limit = max(w.bdp()*tenths/10, 4*bbrTestMSS)
	t.Cleanup(func() {
		if t.Failed() {
			for i, f := range w.flows {
				t.Logf("seed %d, flow %d, %v: %v\n%+v", seed, i, w.now, f.log[max(0, len(f.log)-12):], *f.b)
			}
		}
		for i, f := range w.flows {
			if bad := f.b.edges &^ bbrAllowedEdges(); bad != 0 {
				t.Errorf("seed %d, flow %d: transitions %#x are not in the draft's diagram", seed, i, bad)
			}
		}
	})
	return w
}

func (w *bbrWorld) bdp() uint64 { return mulDiv(w.rate, uint64(w.delay), uint64(time.Second)) }

func (w *bbrWorld) schedule(at mono.Time, kind uint8, f *bbrTestFlow, p *bbrTestPacket) {
	w.seq++
	w.events = append(w.events, bbrTestEvent{max(at, w.now), w.seq, kind, f, p})
	for i := len(w.events) - 1; i > 0; {
		up := (i - 1) / 2
		if !w.events[i].before(&w.events[up]) {
			break
		}
		w.events[i], w.events[up] = w.events[up], w.events[i]
		i = up
	}
}

func (e *bbrTestEvent) before(o *bbrTestEvent) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

func (w *bbrWorld) pop() bbrTestEvent {
	top := w.events[0]
	n := len(w.events) - 1
	w.events[0] = w.events[n]
	w.events = w.events[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && w.events[c+1].before(&w.events[c]) {
			c++
		}
		if !w.events[c].before(&w.events[i]) {
			break
		}
		w.events[i], w.events[c] = w.events[c], w.events[i]
		i = c
	}
	return top
}

// step runs one event.
func (w *bbrWorld) step() {
	e := w.pop()
	w.now = e.at
	switch e.kind {
	case bbrDeparture:
		w.depart()
	case bbrArrival:
		acks := append(e.flow.acks[:0], e.p)
		for len(w.events) > 0 && w.events[0].at == e.at && w.events[0].kind == bbrArrival && w.events[0].flow == e.flow {
			acks = append(acks, w.pop().p)
		}
		e.flow.acks = acks
		e.flow.arrive(acks)
	case bbrPace:
		if e.flow.paceAt == e.at {
			e.flow.paceAt = 0
			e.flow.send()
		}
	case bbrTimeout:
		e.flow.timeout()
	case bbrAppWrite:
		e.flow.write()
	case bbrDelayedACK:
		if e.flow.held == e.p {
			e.flow.held = nil
			w.schedule(w.now, bbrArrival, e.flow, e.p)
		}
	}
	e.flow.note()
}

// run runs for d.
func (w *bbrWorld) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.events) > 0 && w.events[0].at <= end {
		w.step()
	}
	w.now = end
}

// until runs until done says so, or fails after d.
func (w *bbrWorld) until(what string, d time.Duration, done func() bool) {
	w.t.Helper()
	end := w.now.Add(d)
	for !done() {
		if len(w.events) == 0 || w.events[0].at > end {
			w.t.Fatalf("seed %d: after %v more there is still no %s", w.seed, d, what)
		}
		w.step()
	}
}

// untilMode runs until the flow enters a state.
func (w *bbrWorld) untilMode(f *bbrTestFlow, m bbrMode, d time.Duration) {
	w.t.Helper()
	n := len(f.log)
	w.until(m.String(), d, func() bool {
		for _, l := range f.log[n:] {
			if l.to == m {
				return true
			}
		}
		return false
	})
}

// enqueue is a packet's arrival at the bottleneck.
func (w *bbrWorld) enqueue(p *bbrTestPacket) {
	size := uint64(p.size)
	drop := w.lossPerMille != 0 && w.random.next()%1000 < w.lossPerMille
	if w.dropNext > 0 && p.id%7 == 0 {
		w.dropNext--
		drop = true
	}
	if w.policer != nil && !w.policer.pass(w.now, size) {
		drop = true
	}
	if drop || w.queued+size > w.limit+bbrTestMSS { // one is in service
		w.dropped++
		return
	}
	w.queue = append(w.queue, p)
	w.queued += size
	w.maxQueued = max(w.maxQueued, w.queued)
	if !w.busy {
		w.serve()
	}
}

func (w *bbrWorld) serve() {
	w.busy = true
	w.schedule(w.now.Add(time.Duration(mulDiv(uint64(w.queue[0].size), uint64(time.Second), w.rate))), bbrDeparture, w.queue[0].flow, nil)
}

func (w *bbrWorld) depart() {
	p := w.queue[0]
	w.queue = w.queue[1:]
	w.queued -= uint64(p.size)
	if w.busy = len(w.queue) > 0; w.busy {
		w.serve()
	}
	at := w.now.Add(w.delay)
	if w.lag != nil {
		at = at.Add(w.lag(p))
	}
	if w.aggregate != 0 {
		at = (at + mono.Time(w.aggregate) - 1) / mono.Time(w.aggregate) * mono.Time(w.aggregate)
	}
	at = max(at, w.holdUntil)
	switch f := p.flow; {
	case w.delayedACK == 0:
		w.schedule(at, bbrArrival, f, p)
	case f.held == nil:
		f.held = p
		w.schedule(at.Add(w.delayedACK), bbrDelayedACK, f, p)
	default:
		w.schedule(at, bbrArrival, f, f.held)
		w.schedule(at, bbrArrival, f, p)
		f.held = nil
	}
}

// bbrAllowedEdges are the transitions of the draft's diagram; Startup and
// REFILL are also entered when a spurious recovery is taken back.
func bbrAllowedEdges() (edges uint64) {
	add := func(from, to bbrMode) { edges |= 1 << (8*uint(from) + uint(to)) }
	for m := bbrStartup; m <= bbrUp; m++ {
		add(m, bbrProbeRTT)
	}
	for m := bbrDrain; m <= bbrUp; m++ {
		add(m, bbrStartup)
	}
	for m := bbrDown; m <= bbrRefill; m++ {
		add(m, bbrRefill)
	}
	add(bbrStartup, bbrDrain)
	add(bbrDrain, bbrDown)
	add(bbrDown, bbrCruise)
	add(bbrRefill, bbrUp)
	add(bbrUp, bbrDown)
	add(bbrProbeRTT, bbrDown)
	add(bbrProbeRTT, bbrStartup)
	return edges
}
