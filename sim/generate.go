package sim

import (
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// Generate draws a Scenario from a seed: wide ranges; half of all scenarios
// have about half of AllFaults, the others a quarter. The same seed gives the
// same scenario.
func Generate(seed uint64) Scenario {
	g := &generator{rand.New(rand.NewPCG(seed, 0x68616e6466617374))}
	faults := g.Uint64()
	if g.oneIn(2) {
		faults &= faults >> 32
	}
	if g.oneIn(8) {
		faults &^= uint64(narrows) // else super-segments would hardly be seen
	}
	return GenerateWith(seed, Class(faults)&AllFaults)
}

// GenerateWith draws a Scenario with these classes of faults.
func GenerateWith(seed uint64, faults Class) Scenario {
	g := &generator{rand.New(rand.NewPCG(seed, 0x77697468))}
	s := Scenario{Seed: seed, Faults: faults}
	s.Length = g.between(time.Second, 20*time.Minute)
	for i := range s.Hosts {
		s.Hosts[i] = g.host(s.Faults)
		s.Hosts[i].TCP = config(seed, i, tcp.Profile(g.IntN(2)))
	}
	if g.oneIn(2) { // one MTU for both, or one each
		s.Hosts[1].MTU = s.Hosts[0].MTU
	}
	rtt := g.between(50*time.Microsecond, 5*time.Second)
	mtu := min(s.Hosts[0].MTU, s.Hosts[1].MTU)
	for i := range s.Wire {
		s.Wire[i] = g.wire(s.Faults, rtt, mtu)
		if s.Faults&narrows == 0 && g.oneIn(2) {
			s.Hosts[i].MaxGSO = 65535
		}
	}
	g.boxes(&s, rtt, mtu)
	n := 1 + g.IntN(4)
	for range n {
		s.Conns = append(s.Conns, g.conn(&s, mtu, n, rtt))
	}
	g.ports(&s)
	if s.Faults&Crossing != 0 {
		g.crossing(&s, mtu, rtt)
	}
	for range g.IntN(3) {
		s.Echoes = append(s.Echoes, g.echo(&s, mtu))
	}
	g.events(&s, rtt, mtu)
	return s
}

// generator draws.
type generator struct{ *rand.Rand }

func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

// number draws from [low, high] so that each order of magnitude is as likely.
func (g *generator) number(low, high uint64) uint64 {
	a, b := bits.Len64(low), bits.Len64(high)
	k := a + g.IntN(b-a+1)
	v := uint64(1)<<max(k-1, 0) + g.Uint64N(uint64(1)<<max(k-1, 0))
	return min(max(v, low), high)
}

func (g *generator) between(low, high time.Duration) time.Duration {
	return time.Duration(g.number(uint64(low), uint64(high)))
}

// host draws a host, but for its TCP.
func (g *generator) host(faults Class) HostSpec {
	var h HostSpec
	switch g.IntN(4) {
	case 0:
		h.MTU = int(g.number(68, 9000))
	case 1:
		h.MTU = minimumMTU6 + g.IntN(9000-minimumMTU6+1)
	case 2:
		h.MTU = 1500
	default:
		h.MTU = int(g.number(576, 9000))
	}
	if g.oneIn(6) {
		h.Backlog, h.AcceptDelay = 1, g.between(time.Microsecond, 20*time.Second)
	}
	if faults&Batch != 0 {
		h.Coalesce = time.Duration(g.IntN(2)) * g.between(time.Microsecond, 2*time.Millisecond)
		if h.Coalesce > 0 && g.oneIn(2) {
			h.MaxGRO = 65535
		}
		h.TimerSlack = time.Duration(g.IntN(2)) * g.between(time.Microsecond, 2*time.Millisecond)
	}
	if faults&Scarce != 0 {
		h.Memory = int(g.number(1, 4<<20)) // the least that an engine takes is 1 MiB
	}
	return h
}

// wire draws one direction.
func (g *generator) wire(faults Class, rtt time.Duration, mtu int) netem.Config {
	c := netem.Config{Delay: rtt / 2}
	if faults&Loss != 0 {
		c.Loss = netem.PPM(int(g.number(100, 400_000)))
	}
	if faults&Burst != 0 {
		c.Burst = netem.Burst{Enter: netem.PPM(int(g.number(100, 50_000))), Leave: netem.PPM(int(g.number(50_000, 900_000))), Bad: netem.Percent(50 + g.IntN(51))}
	}
	if faults&Reorder != 0 {
		c.Reorder = netem.PPM(int(g.number(1000, 300_000)))
		c.MinHold = g.between(time.Microsecond, rtt)
		c.MaxHold = c.MinHold + g.between(time.Microsecond, 2*rtt)
	}
	if faults&Duplicate != 0 {
		c.Duplicate = netem.PPM(int(g.number(1000, 300_000)))
	}
	if faults&Corrupt != 0 {
		c.Corrupt = netem.PPM(int(g.number(100, 100_000)))
	}
	if faults&Jitter != 0 {
		c.Jitter, c.Unordered = g.between(time.Microsecond, rtt), g.oneIn(2)
	}
	if faults&Marks != 0 {
		c.CE = netem.PPM(int(g.number(100, 300_000)))
	}
	if faults&Police != 0 {
		c.Policer.Rate = int64(g.number(uint64(mtu)*80, 1_000_000_000))
		c.Policer.Burst = mtu + int(g.number(uint64(mtu), 1<<20))
	}
	if faults&limitsRate != 0 {
		// A full queue lasts up to five seconds.
		c.Rate = int64(g.number(uint64(mtu)*80, 1_000_000_000))
		c.QueueBytes = min(int(c.Rate/8*5), int(g.number(uint64(mtu), 1<<20)))
		c.QueueBytes = max(c.QueueBytes, mtu)
		if faults&Marks != 0 && g.oneIn(2) {
			c.CE, c.CEAbove = 0, int(g.number(1, uint64(c.QueueBytes)))
		}
	}
	return c
}

// conn draws a connection of a scenario with n of them.
func (g *generator) conn(s *Scenario, mtu, n int, rtt time.Duration) ConnSpec {
	c := ConnSpec{From: g.IntN(2), V6: mtu >= minimumMTU6 && g.oneIn(2), Simultaneous: g.oneIn(8)}
	if g.oneIn(2) {
		c.Start = g.between(time.Microsecond, max(s.Length/2, 2*time.Microsecond))
	}
	if g.oneIn(3) {
		c.NearWrap, c.WrapEnd = 1+g.IntN(20000), g.IntN(2)
	}
	size := [2]uint64{}
	for j := range size { // how much a segment of each direction can carry
		to, from := &s.Hosts[c.From^j^1], &s.Hosts[c.From^j]
		size[j] = max(1, min(uint64(to.TCP.ReceiveBuffer), uint64(from.TCP.SendBuffer), uint64(max(mtu-60, 1))))
	}
	segments := g.number(1, 400)
	if n == 1 && g.oneIn(4) {
		segments *= 16
	}
	switch g.IntN(5) {
	case 0: // one way
		j := g.IntN(2)
		c.Ends[j].Steps = []StepSpec{g.step(segments * size[j])}
	case 1, 2: // both ways at once
		for j := range c.Ends {
			c.Ends[j].Steps = []StepSpec{g.step(g.number(1, segments*size[j]))}
		}
	default:
		g.dialogue(&c, segments, size, s)
	}
	for j := range c.Ends {
		g.end(&c.Ends[j], &c.Ends[j^1], size[j^1], s, rtt)
	}
	g.finish(&c, s)
	c.FastOpen, c.FastOpenWait = g.oneIn(3), g.oneIn(2)
	return c
}

// ports lets some connections share a listener or even both ports.
func (g *generator) ports(s *Scenario) {
	for i := range s.Conns {
		c := &s.Conns[i]
		c.Ports = [2]int{i, i}
		if c.Simultaneous || i == 0 {
			continue
		}
		if b := &s.Conns[g.IntN(i)]; b.From == c.From && b.V6 == c.V6 && !b.Simultaneous {
			switch g.IntN(3) {
			case 0:
				c.Ports[1] = b.Ports[1]
			case 1:
				c.Ports, c.Start = b.Ports, max(c.Start, b.Start+time.Nanosecond)
			}
		}
	}
}

// echo draws an exchange of datagrams, of up to some forty fragments each.
func (g *generator) echo(s *Scenario, mtu int) EchoSpec {
	e := EchoSpec{From: g.IntN(2), V6: mtu >= minimumMTU6 && g.oneIn(2), Count: 1 + g.IntN(20)}
	e.Start, e.Gap = g.between(time.Microsecond, s.Length), g.between(time.Microsecond, time.Second)
	e.Size = echoHead + int(g.number(0, uint64(min(40*(mtu-60), 60_000))))
	e.ECN = uint8(g.IntN(3))
	return e
}

func (g *generator) step(n uint64) StepSpec {
	t := StepSpec{Write: n, Piece: 1 << 16, Urgent: g.oneIn(16)}
	if g.oneIn(2) {
		t.Piece = int(g.number(max(1, n/2000), max(2, n)))
	}
	return t
}

// dialogue is requests and responses.
func (g *generator) dialogue(c *ConnSpec, segments uint64, size [2]uint64, s *Scenario) {
	rounds := 1 + g.IntN(int(min(segments, 40)))
	sent := [2]uint64{}
	for range rounds {
		for j := range c.Ends {
			t := g.step(g.number(1, max(1, segments/uint64(rounds)*size[j])))
			t.After = sent[j^1]
			if g.oneIn(4) {
				t.Delay = g.between(time.Microsecond, s.Length/time.Duration(rounds)+time.Millisecond)
			}
			c.Ends[j].Steps = append(c.Ends[j].Steps, t)
			sent[j] += t.Write
		}
	}
}

// end draws how a program reads, and its options; it reads what from writes, in
// segments of up to size.
func (g *generator) end(e, from *EndSpec, size uint64, s *Scenario, rtt time.Duration) {
	e.NoDelay, e.Early, e.Spare = g.oneIn(3), g.oneIn(3), g.oneIn(2)
	total := 0
	for _, t := range from.Steps {
		total += int(t.Write)
	}
	if g.oneIn(4) {
		e.Read.Max = int(g.number(max(1, uint64(total)/500), uint64(total)+2))
		e.Read.Gap = g.between(time.Microsecond, s.Length/time.Duration(total/e.Read.Max+1)+time.Microsecond)
	}
	if g.oneIn(5) {
		e.Read.StallAt = g.Uint64N(uint64(total) + 1)
		e.Read.StallFor = g.between(time.Millisecond, 10*time.Minute)
	}
	if g.oneIn(20) {
		e.Read.ShutAt = 1 + g.Uint64N(uint64(total)+1)
	}
	if g.oneIn(4) {
		e.Keepalive = max(g.between(time.Millisecond, 5*time.Minute), 4*rtt+10*time.Second)
	}
	if g.oneIn(12) {
		e.Patience = g.between(time.Microsecond, 2*rtt)
	}
	if g.oneIn(12) {
		e.UserTimeout = g.between(30*time.Second, 10*time.Minute) + 20*rtt
	}
}

// finish draws how the two programs end their connection, so that one of them
// begins.
func (g *generator) finish(c *ConnSpec, s *Scenario) {
	a := g.IntN(2)
	x, y := &c.Ends[a], &c.Ends[a^1]
	x.Finish, y.Finish = HalfClose, CloseAtEOF
	switch g.IntN(8) {
	case 0, 1:
		y.Finish = HalfClose
	case 2:
		x.Finish = CloseAtOnce
	case 3:
		x.Finish, y.Finish = CloseAtOnce, CloseAtOnce
	case 4:
		x.Finish = CloseEarly
	case 5:
		x.Finish = AbortAtEnd
	}
	if g.oneIn(2) {
		x.FinishAt = g.between(time.Millisecond, s.Length)
		y.FinishAt = x.FinishAt
	}
}
