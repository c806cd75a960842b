package sim

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// Handler is a program that reacts: as the Owner of an engine's connection,
// listener or UDP socket it is told when that becomes ready. Ready may call
// anything of the engine and the World but Step and RunUntil.
type Handler interface {
	Ready()
}

// World is hosts and wires in virtual time. It is not safe for concurrent use;
// several Worlds may run in parallel.
type World struct {
	seed    uint64
	now     mono.Time
	seq     uint64 // of the next event: equal instants happen in the order in which they were planned
	events  eventHeap
	hosts   []*Host
	seen    map[engine.Flow]*seen
	round   uint64 // of checks
	wires   []*Wire
	pool    pkt.Pool // of packets on the wires
	rules   []func() error
	err     error
	capture *capture
	digest  uint64
	packets uint64 // sent by all hosts
	steps   uint64 // events that happened
	every   uint64 // between two checks; 0: each is checked
	instant int    // events since time last moved
}

// New returns an empty World whose clock stands at mono.Start. Everything
// random in it, the luck of packets and the secrets of hosts, follows from the
// seed.
func New(seed uint64) *World {
	return &World{seed: seed, now: mono.Start, digest: mix(seed), seen: map[engine.Flow]*seen{}}
}

// Now returns the virtual time.
func (w *World) Now() mono.Time { return w.now }

// Seed returns the seed that the World was made with.
func (w *World) Seed() uint64 { return w.seed }

// Err returns the first violation of a rule, nil if there was none.
func (w *World) Err() error { return w.err }

// Fail stops the World as a violated rule does, unless it has stopped already.
// err should say what was expected and what there is.
func (w *World) Fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("at %v, event %d: %w", w.now, w.steps, err)
	}
}

// Rule adds a check that is made after every event, beside those of the World
// itself. It must not change anything.
func (w *World) Rule(check func() error) { w.rules = append(w.rules, check) }

// CheckEvery makes Step look at the rules only around every n-th event: at it
// and at the one after, so that what may happen in one event is still seen. The
// digest then leaves out payloads. It is for long runs of traffic whose rules
// shorter ones have checked; n below 2 is the default, every event.
func (w *World) CheckEvery(n int) {
	w.every = 0
	if n > 1 {
		w.every = uint64(n)
	}
}

// Hash is a digest of every packet that was sent and that arrived, with the
// time and the host: equal if, and but for a chance of 2^-64 only if, two runs
// were the same bit for bit.
func (w *World) Hash() uint64 { return w.digest }

// Counts returns how many events happened and how many packets were sent.
func (w *World) Counts() (events, packets uint64) { return w.steps, w.packets }

// At plans a call of f at t; after all that is planned for this instant, if t
// has passed.
func (w *World) At(t mono.Time, f func()) {
	w.plan(event{at: max(t, w.now), kind: callEvent, call: f})
}

// After plans a call of f when d has passed.
func (w *World) After(d time.Duration, f func()) { w.At(w.now.Add(d), f) }

func (w *World) plan(e event) {
	e.seq = w.seq
	w.seq++
	w.events.push(e)
}

// Step lets the next event happen, with all that the hosts and programs do
// about it at that instant, and checks the rules. It reports false when
// nothing is planned or a rule was violated.
func (w *World) Step() bool {
	if w.err != nil || len(w.events) == 0 {
		return false
	}
	e := w.events.pop()
	if e.at > w.now {
		w.now, w.instant = e.at, 0
	}
	w.steps++
	if w.instant++; w.instant > MaxEventsPerInstant {
		w.Fail(fmt.Errorf("sim: more than %d events without time moving", MaxEventsPerInstant))
		return false
	}
	switch e.kind {
	case callEvent:
		e.call()
	case wakeEvent:
		if e.host.wakeAt != e.at {
			return true // an earlier one was planned since
		}
		e.host.wake()
	case arriveEvent:
		e.host.arrive(e.iface, e.packet)
	case boxEvent:
		e.wire.release(e.iface, e.packet)
	}
	w.settle()
	return w.err == nil
}

// Settle lets every host do what is due at this instant and checks the rules.
// It is for calls made from outside Step; RunUntil begins with it.
func (w *World) Settle() error {
	w.settle()
	return w.err
}

func (w *World) settle() {
	for round := 0; ; round++ {
		again := false
		for _, h := range w.hosts {
			again = h.run() || again
		}
		if !again {
			break
		}
		if round == maxRounds {
			w.Fail(errors.New("sim: hosts and programs never come to rest at one instant"))
			break
		}
	}
	for _, h := range w.hosts {
		h.planWake()
	}
	if w.err == nil && (w.every == 0 || w.steps%w.every <= 1) {
		w.Fail(w.Check())
	}
}

// RunUntil lets events happen until cond, if given, is true after one of them,
// or until nothing is planned up to limit; then the clock stands at limit. It
// returns the first violation of a rule.
func (w *World) RunUntil(limit mono.Time, cond func() bool) error {
	w.settle()
	for w.err == nil {
		if cond != nil && cond() {
			return nil
		}
		if len(w.events) == 0 || w.events[0].at > limit {
			w.now = max(w.now, limit)
			w.instant = 0
			return w.err
		}
		w.Step()
	}
	return w.err
}

// Next returns when the next event is planned, the unset time if none is.
func (w *World) Next() mono.Time {
	if len(w.events) == 0 {
		return 0
	}
	return w.events[0].at
}

// Pcap records everything that hosts send and receive from now on to out, as a
// pcapng file with one interface per host. Errors of out end the recording and
// are returned by Close.
func (w *World) Pcap(out io.Writer) {
	w.capture = newCapture(out)
}

// Close takes everything down: engines are closed, packets on wires dropped.
// It returns what Err does or, failing that, an error if a buffer was not given
// back, or the recording's. Programs must have let go of their connections.
func (w *World) Close() error {
	for _, h := range w.hosts {
		h.shut()
	}
	for len(w.events) > 0 {
		if e := w.events.pop(); e.packet != nil {
			e.packet.Release()
		}
	}
	if w.err != nil {
		return w.err
	}
	if c, p := w.pool.Outstanding(); c != 0 || p != 0 {
		return fmt.Errorf("sim: %d chunks and %d packets of the wires were not given back", c, p)
	}
	for _, h := range w.hosts {
		if c, p := h.pool.Outstanding(); c != 0 || p != 0 {
			return fmt.Errorf("sim: host %s has not given back %d chunks and %d packets", h.name, c, p)
		}
	}
	return w.capture.close()
}

// note adds to the digest.
func (w *World) note(v uint64) {
	w.digest = bits.RotateLeft64(w.digest^v, 27)*0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d
}

// mix spreads a number over 64 bits: the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
