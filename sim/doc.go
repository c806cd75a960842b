// Package sim runs engines and bad wires under one heap of events: one seed,
// one goroutine, virtual time. The same seed and calls give the same packets at
// the same nanoseconds, on every machine.
//
// A World has Hosts, each an engine.Engine with the addresses of both families
// that Link gave it, and Wires between them, each two directions of
// package netem. Programs are Handlers in the Owner field of connections,
// listeners and sockets, and functions given to World.At:
//
//	w := sim.New(1)
//	a, b := w.Host("a", sim.HostConfig{}), w.Host("b", sim.HostConfig{})
//	wire := w.Link(a, b, netem.Config{Delay: time.Millisecond}, netem.Config{Loss: netem.Percent(2)})
//	l, _ := b.Engine().Listen(w.Now(), &engine.ListenConfig{Local: netip.AddrPortFrom(wire.Addr(b, false), 80)})
//	...
//	err := w.RunUntil(w.Now().Add(time.Minute), done)
//
// After every event the World checks what must always hold (see Check); the
// first violation stops it, and RunUntil returns it.
//
// A Wire can have a Box in each direction, which thins ACKs, strips options or
// swallows large packets, and share both directions with other Wires
// (LinkThrough). Hosts crash, sleep, and change their MTU.
//
// Scenario, Generate and Run are worlds as data: hosts, wires, connections that
// do all that TCP allows, and faults of the classes of Class, drawn from a seed,
// and a report that explains every connection's end or says what is wrong.
package sim
