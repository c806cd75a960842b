package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// HostConfig is what a Host is made from. The zero HostConfig is usable.
type HostConfig struct {
	// Engine is the engine's configuration. A zero Secret is drawn from the
	// World's seed; Pool is the Host's own, whatever is given.
	Engine engine.Config
	// MTU of each of its interfaces in bytes; 0 is 1500. Below 1280 they have
	// no IPv6 addresses (RFC 8200 §5).
	MTU int
	// MaxGSO is the largest packet handed to a wire as a super-segment, in
	// bytes; at most MTU means none. The wire treats it as one packet.
	MaxGSO int
	// Coalesce is how long packets wait for others that arrive in the
	// meantime: a batch is handed to the engine at once. 0 hands over each.
	Coalesce time.Duration
	// MaxGRO is the largest packet, in bytes and at most 65535, that TCP
	// segments which arrived together are glued into before the engine gets
	// them; at most MTU means none.
	MaxGRO int
	// TimerSlack is how late the host wakes for a deadline.
	TimerSlack time.Duration
}

// Host is an engine in a World, and the interfaces that Link gave it.
type Host struct {
	w     *World
	name  string
	cfg   HostConfig
	index int
	life  uint64 // how often it was started
	lost  uint64 // packets that arrived while it was crashed or asleep
	pool  pkt.Pool
	eng   *engine.Engine // nil while crashed
	ports []port
	taps  []Tap

	scarce  uint64        // what came of little memory, in lives before this one
	batches uint64        // of more than one packet, for Coalesce
	rx      []*pkt.Packet // arrived, not yet handed over
	rxIface []int
	rxAt    mono.Time // when rx is handed over; 0: at once
	wakeAt  mono.Time // of the one planned wake that counts; 0: none

	asleep  bool
	keep    int      // packets that its device holds meanwhile
	waiting []func() // what its programs were to do meanwhile
}

// port is one end of a Wire at a Host.
type port struct {
	wire  *Wire
	side  int
	iface int // the engine's number
}

// Tap is shown each packet that a Host sends (out) or receives, when it does.
// It must not keep or change the packet.
type Tap func(at mono.Time, out bool, p *pkt.Packet)

// Host adds a host. It panics beyond MaxHosts.
func (w *World) Host(name string, c HostConfig) *Host {
	if len(w.hosts) == MaxHosts {
		panic("sim: more than MaxHosts hosts")
	}
	if c.MTU <= 0 {
		c.MTU = defaultMTU
	}
	h := &Host{w: w, name: name, cfg: c, index: len(w.hosts)}
	w.hosts = append(w.hosts, h)
	h.start()
	return h
}

// Hosts returns the hosts in the order in which they were added.
func (w *World) Hosts() []*Host { return w.hosts }

// start makes a new engine with the interfaces known so far.
func (h *Host) start() {
	c := h.cfg.Engine
	c.Pool = &h.pool
	if c.Secret == [16]byte{} {
		s := mix(h.w.seed ^ uint64(h.index)<<32 ^ h.life)
		binary.LittleEndian.PutUint64(c.Secret[:], s)
		binary.LittleEndian.PutUint64(c.Secret[8:], mix(s))
	}
	h.life++
	h.eng = engine.New(c)
	for i := range h.ports {
		h.attach(&h.ports[i])
	}
}

// attach gives the engine the interface of a port.
func (h *Host) attach(p *port) {
	i := h.eng.AddInterface(engine.Interface{Name: fmt.Sprintf("%s%d", h.name, p.wire.index), MTU: h.cfg.MTU, MaxGSO: h.cfg.MaxGSO})
	p.iface = i.ID
	for _, v6 := range []bool{false, true} {
		if v6 && h.cfg.MTU < minimumMTU6 {
			break
		}
		a := p.wire.addrs[p.side].of(v6)
		bits := 24
		if v6 {
			bits = 64
		}
		if err := h.eng.AddAddress(i.ID, netip.PrefixFrom(a, bits)); err != nil {
			panic("sim: an address of a wire is refused: " + err.Error())
		}
	}
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Engine returns the host's engine, nil while it is crashed.
func (h *Host) Engine() *engine.Engine { return h.eng }

// Tap adds a tap.
func (h *Host) Tap(t Tap) { h.taps = append(h.taps, t) }

// Crash takes the host down as a loss of power does: all it held is gone and
// nothing is sent. Its connections end with tcp.ReasonAborted for their
// programs' sake, which must let go of them. Packets to it vanish.
func (h *Host) Crash() {
	h.shut()
	h.wakeAt, h.rxAt = 0, 0
	h.rouse()
}

// Restart starts a crashed host anew, with the same addresses and a secret of
// its own; it has no listeners.
func (h *Host) Restart() {
	if h.eng == nil {
		h.start()
	}
}

func (h *Host) shut() {
	if h.eng != nil {
		h.scarce = h.scarcity()
		h.eng.Close(h.w.now)
		h.eng = nil
	}
	for _, p := range h.rx {
		p.Release()
	}
	h.rx, h.rxIface = h.rx[:0], h.rxIface[:0]
}

// Sleep suspends the host, as a laptop whose lid is shut or a virtual machine
// that is moved: its clock goes on, and nothing happens on it until Wake. Of
// what arrives, its device holds the first keep packets and drops the others. A
// crashed host does not sleep.
func (h *Host) Sleep(keep int) {
	if h.eng != nil {
		h.asleep, h.keep = true, keep
	}
}

// Wake ends Sleep: the clock has jumped. Either its timers come first or the
// packets that its device held.
func (h *Host) Wake(timersFirst bool) {
	if !h.asleep {
		return
	}
	h.rouse()
	if d := h.eng.Deadline(); timersFirst && d.Due(h.w.now) {
		h.eng.Advance(h.w.now)
	}
}

func (h *Host) rouse() {
	h.asleep = false
	for _, f := range h.waiting {
		h.w.At(h.w.now, f)
	}
	h.waiting = nil
}

// At plans a call of f at t, as World.At does, by a program of the host: if
// that sleeps then, f is called when it wakes.
func (h *Host) At(t mono.Time, f func()) {
	h.w.At(t, func() {
		if h.asleep {
			h.waiting = append(h.waiting, f)
			return
		}
		f()
	})
}

// After plans a call of f by a program of the host when d has passed.
func (h *Host) After(d time.Duration, f func()) { h.At(h.w.now.Add(d), f) }

// SetMTU changes the MTU of the host's interfaces in use, in bytes. The error
// is that of engine.Engine.SetMTU.
func (h *Host) SetMTU(mtu int) error {
	if h.eng != nil {
		for i := range h.ports {
			if err := h.eng.SetMTU(h.ports[i].iface, mtu); err != nil {
				return err
			}
		}
	}
	h.cfg.MTU = mtu
	return nil
}

// scarcity counts what the host's engines dropped, refused and reset because
// memory for queues was short.
func (h *Host) scarcity() uint64 {
	n := h.scarce
	if h.eng == nil {
		return n
	}
	var s engine.Stats
	h.eng.Stats(&s)
	for _, c := range [...]engine.Counter{engine.MemoryPruned, engine.MemoryOutOfOrderDropped, engine.MemoryInOrderDropped,
		engine.MemoryRefused, engine.MemoryOrphansReset, engine.MemoryStalledReset} {
		n += s.Count[c]
	}
	return n
}

// arrive takes a packet from a wire.
func (h *Host) arrive(iface int, p *pkt.Packet) {
	w := h.w
	w.note(uint64(w.now) ^ uint64(h.index)<<48 ^ uint64(p.Len()))
	for _, t := range h.taps {
		t(w.now, false, p)
	}
	w.capture.packet(h, w.now, false, p)
	if h.eng == nil || h.asleep && len(h.rx) >= h.keep {
		h.lost++
		p.Release()
		return
	}
	h.rx, h.rxIface = append(h.rx, p), append(h.rxIface, iface)
	if h.cfg.Coalesce > 0 && h.rxAt == 0 {
		h.rxAt = w.now.Add(h.cfg.Coalesce)
	}
}

// wake is the host's timer.
func (h *Host) wake() {
	h.wakeAt = 0
	if h.eng == nil || h.asleep {
		return
	}
	if d := h.eng.Deadline(); d != 0 && d.Add(h.cfg.TimerSlack) <= h.w.now {
		h.eng.Advance(h.w.now)
	}
}

// planWake makes sure that the host wakes in time. A wake that is too early is
// left where it is: it plans the next one.
func (h *Host) planWake() {
	if h.eng == nil || h.asleep {
		return
	}
	d := h.eng.Deadline()
	if d != 0 {
		d = d.Add(h.cfg.TimerSlack)
	}
	if d = mono.Earlier(d, h.rxAt); d == 0 {
		return
	}
	d = max(d, h.w.now)
	if h.wakeAt == 0 || d < h.wakeAt {
		h.wakeAt = d
		h.w.plan(event{at: d, kind: wakeEvent, host: h})
	}
}

// run does what is due at this instant: packets in, packets out, programs. It
// reports whether there was anything.
func (h *Host) run() bool {
	if h.eng == nil || h.asleep {
		return false
	}
	did := h.input()
	for h.output() {
		did = true
	}
	return h.programs() || did
}

// input hands over what has arrived, in batches of one interface.
func (h *Host) input() bool {
	if len(h.rx) == 0 || h.rxAt > h.w.now {
		return false
	}
	for i := 0; i < len(h.rx); {
		j := i + 1
		for j < len(h.rx) && j-i < inputBatch && h.rxIface[j] == h.rxIface[i] {
			j++
		}
		batch := h.rx[i:j]
		if len(batch) > 1 && h.cfg.Coalesce > 0 {
			h.batches++
		}
		if h.cfg.MaxGRO > h.cfg.MTU {
			batch = h.glue(batch)
		}
		h.eng.Input(h.w.now, h.rxIface[i], batch)
		i = j
	}
	clear(h.rx)
	h.rx, h.rxIface, h.rxAt = h.rx[:0], h.rxIface[:0], 0
	return true
}

// output sends what the engine has to send and reports whether it had.
func (h *Host) output() bool {
	var batch [outputBatch]*pkt.Packet
	n := h.eng.Output(h.w.now, batch[:])
	for _, p := range batch[:n] {
		h.send(p)
	}
	return n > 0
}

func (h *Host) send(p *pkt.Packet) {
	w := h.w
	w.packets++
	finishChecksum(p)
	w.notePacket(h, p)
	for _, t := range h.taps {
		t(w.now, true, p)
	}
	w.capture.packet(h, w.now, true, p)
	if p.Segs <= 1 && p.Len() > h.cfg.MTU {
		w.Fail(fmt.Errorf("sim: host %s sends a packet of %d bytes over an MTU of %d", h.name, p.Len(), h.cfg.MTU))
	}
	for i := range h.ports {
		if h.ports[i].iface == int(p.Iface) {
			h.ports[i].wire.send(h.ports[i].side, p)
			return
		}
	}
	w.Fail(fmt.Errorf("sim: host %s sends a packet by interface %d, which has no wire", h.name, p.Iface))
	p.Release()
}

// programs tells Handlers what became ready and reports whether there was any.
func (h *Host) programs() bool {
	var conns [16]*engine.Conn
	var listeners [16]*engine.Listener
	var sockets [16]*engine.UDP
	did := false
	tell := func(owner any) {
		did = true
		if f, ok := owner.(Handler); ok {
			f.Ready()
		}
	}
	e := h.eng
	for _, l := range listeners[:e.ReadyListeners(listeners[:])] {
		tell(l.Owner)
	}
	for _, c := range conns[:e.Ready(conns[:])] {
		tell(c.Owner)
	}
	for _, u := range sockets[:e.ReadyUDP(sockets[:])] {
		tell(u.Owner)
	}
	return did
}
