package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/pkt"
)

// echo is the two programs of an EchoSpec.
type echo struct {
	run      *run
	spec     *EchoSpec
	number   int
	client   *engine.UDP
	sent     int
	answered int
}

const (
	echoPort  = 7
	echoFirst = 30000
	echoHead  = 8 // bytes of a datagram that number it
)

func newEcho(r *run, i int) *echo {
	e := &echo{run: r, spec: &r.s.Echoes[i], number: i}
	r.w.hosts[e.spec.From].At(r.start.Add(e.spec.Start), e.begin)
	return e
}

func (e *echo) addr(server bool) netip.AddrPort {
	if server {
		return netip.AddrPortFrom(e.run.wires[0].Addr(e.run.w.hosts[e.spec.From^1], e.spec.V6), uint16(echoPort+e.number))
	}
	return netip.AddrPortFrom(e.run.wires[0].Addr(e.run.w.hosts[e.spec.From], e.spec.V6), uint16(echoFirst+e.number))
}

// open opens the socket of one side; nil while its host is down.
func (e *echo) open(server bool) *engine.UDP {
	h := e.run.w.hosts[e.spec.From]
	if server {
		h = e.run.w.hosts[e.spec.From^1]
	}
	if h.eng == nil {
		return nil
	}
	u, err := h.eng.OpenUDP(e.run.w.now, &engine.UDPConfig{Local: e.addr(server)})
	if err != nil {
		e.run.failf("socket at %v: %w", e.addr(server), err)
		return nil
	}
	u.SetTOS(e.spec.ECN)
	return u
}

func (e *echo) begin() {
	if s := e.open(true); s != nil {
		s.Owner = &echoServer{e, s}
	}
	if e.client = e.open(false); e.client != nil {
		e.client.Owner = e
		e.next()
	}
}

// next sends one datagram and plans the one after it.
func (e *echo) next() {
	w := e.run.w
	if w.hosts[e.spec.From].eng == nil || e.sent == e.spec.Count {
		return
	}
	b := make([]byte, e.spec.Size)
	binary.BigEndian.PutUint64(b, uint64(e.sent))
	e.stream().Fill(b[echoHead:], uint64(e.sent)<<20)
	err := e.client.Send(w.now, e.addr(true), b)
	if err == engine.ErrClosed && e.run.s.Faults&Crash != 0 {
		return // the host was started anew
	}
	if err != nil && !errorsFromICMP(err) {
		e.run.failf("datagram of %d bytes to %v: %w", len(b), e.addr(true), err)
	}
	e.sent++
	w.hosts[e.spec.From].After(e.spec.Gap, e.next)
}

// errorsFromICMP reports what a socket may be told about an earlier datagram.
func errorsFromICMP(err error) bool { return err == engine.ErrRefused || err == engine.ErrUnreachable }

func (e *echo) stream() Stream { return Stream(1<<20 + e.number) }

// Ready reads answers: each must be one of the datagrams that were sent, whole.
func (e *echo) Ready() {
	for g, ok := e.client.Recv(); ok; g, ok = e.client.Recv() {
		b := g.Payload.AppendTo(nil)
		g.Payload.Release()
		err := e.verify(b, g.TOS)
		if err != nil && !e.forgivable() {
			e.run.failf("answer from %v: %w", g.From, err)
		}
		e.answered++
	}
}

func (e *echo) verify(b []byte, tos uint8) error {
	if e.spec.ECN == 0 && tos&3 != 0 && e.run.s.Faults&Corrupt == 0 { // IPv6 has no checksum over it
		return fmt.Errorf("an ECN field of %d, 0 was sent", tos&3)
	}
	if len(b) != e.spec.Size {
		return fmt.Errorf("%d bytes, %d were sent", len(b), e.spec.Size)
	}
	n := binary.BigEndian.Uint64(b)
	if n >= uint64(e.sent) {
		return fmt.Errorf("number %d of %d datagrams", n, e.sent)
	}
	return e.stream().Check(b[echoHead:], n<<20)
}

// forgivable reports that a wrong byte may have escaped the checksum: a flipped
// bit in one fragment can make up for one in another.
func (e *echo) forgivable() bool {
	return e.run.s.Faults&Corrupt != 0 && e.spec.Size > e.run.narrowest()-60
}

// echoServer sends back what comes.
type echoServer struct {
	e *echo
	u *engine.UDP
}

// Ready answers all that has come.
func (s *echoServer) Ready() {
	for g, ok := s.u.Recv(); ok; g, ok = s.u.Recv() {
		b := g.Payload.AppendTo(nil)
		g.Payload.Release()
		if err := s.e.verify(b, g.TOS); err != nil && !s.e.forgivable() {
			s.e.run.failf("datagram from %v: %w", g.From, err)
		}
		if err := s.u.Send(s.e.run.w.now, g.From, b); err != nil && !errorsFromICMP(err) {
			s.e.run.failf("answer to %v: %w", g.From, err)
		}
	}
}

// complain says what is wrong at the end: over a wire that lost nothing, every
// datagram is answered, if the hosts' queues can hold all of them at once.
func (e *echo) complain(drops uint64) error {
	charge := pkt.Small // of the buffer that holds a whole one
	if e.spec.Size > pkt.Small {
		charge = pkt.Large
	}
	fits := e.spec.Count*charge <= engine.DefaultLimits().UDPQueueBytes
	if drops == 0 && fits && e.run.s.Faults&(Crash|Narrow|Sleep|Device) == 0 && e.client != nil && e.answered < e.sent {
		return fmt.Errorf("sim: %d of %d datagrams to %v were answered, and no packet was lost", e.answered, e.sent, e.addr(true))
	}
	return nil
}

// narrowest is the least MTU that a host's device ever has.
func (r *run) narrowest() int {
	n := min(r.s.Hosts[0].MTU, r.s.Hosts[1].MTU)
	for i := range r.s.Events {
		if e := &r.s.Events[i]; e.Kind == Resize {
			n = min(n, e.N)
		}
	}
	return n
}
