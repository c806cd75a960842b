package sim

import (
	"time"

	"github.com/handfast/handfast/netem"
)

// boxes draws what stands in the two directions. What a firewall does to
// window scale it does to both: nothing in TCP can repair that one side scales
// windows and the other never heard of it.
func (g *generator) boxes(s *Scenario, rtt time.Duration, mtu int) {
	both := Strip(g.IntN(2)) * StripWindowScale
	for i := range s.Box {
		x := &s.Box[i]
		if s.Faults&ACKs != 0 && g.oneIn(2) {
			switch g.IntN(3) {
			case 0:
				x.DelayACKs = g.between(10*time.Microsecond, time.Second)
			case 1:
				x.GatherACKs = g.between(10*time.Microsecond, time.Second)
			default:
				x.DelayACKs, x.GatherACKs = rtt/16, g.between(10*time.Microsecond, max(rtt, time.Millisecond))
			}
		}
		if s.Faults&ACKs != 0 && (g.oneIn(2) || x.DelayACKs+x.GatherACKs == 0) {
			x.OneACKIn = 2 + g.IntN(4)*g.IntN(2)
		}
		if s.Faults&Middlebox != 0 {
			x.Strip = both | Strip(g.IntN(32))&^StripWindowScale
			x.ClearECN, x.ClearCE, x.ClearFlags, x.ClearReserved = g.oneIn(4), g.oneIn(4), g.oneIn(4), g.oneIn(2)
		}
		if s.Faults&BlackHole != 0 && g.oneIn(4) {
			x.MaxPacket = g.hole(mtu)
		}
	}
}

// hole draws the largest packet that passes a black hole, 0 if all must: below
// leastHole no connection could be made.
func (g *generator) hole(mtu int) int {
	least := minimumMTU6
	if mtu <= least {
		least = max(mtu/2, leastHole)
	}
	if mtu <= least {
		return 0
	}
	return least + g.IntN(mtu-least)
}

// leastHole is a packet of the smallest segments that timeouts lead to: IP and
// TCP headers and 48 octets of options and data (RFC 4821 §7.7).
const leastHole = 88

// crossing draws connections of other hosts over the same wire.
func (g *generator) crossing(s *Scenario, mtu int, rtt time.Duration) {
	for pair := 1; pair <= 1+g.IntN(MaxPairs-1); pair++ {
		c := g.conn(s, mtu, 2, rtt)
		c.Pair, c.NearWrap, c.Ports = pair, 0, [2]int{len(s.Conns), len(s.Conns)}
		s.Conns = append(s.Conns, c)
	}
}

// events draws what goes wrong when.
func (g *generator) events(s *Scenario, rtt time.Duration, mtu int) {
	at := func() time.Duration { return g.between(time.Microsecond, s.Length) }
	if s.Faults&Partition != 0 {
		for range 1 + g.IntN(4) {
			from := at()
			e := FaultEvent{At: from, Kind: Cut, Host: g.IntN(2)}
			if g.oneIn(3) {
				e.Kind = CutOneWay
			}
			s.Events = append(s.Events, e, FaultEvent{At: from + g.between(time.Millisecond, s.Length), Kind: Heal})
		}
	}
	if s.Faults&Crash != 0 && g.oneIn(2) {
		for range 1 + g.IntN(2) {
			g.spell(s, at(), FaultEvent{Kind: PowerOff}, FaultEvent{Kind: PowerOn})
		}
	}
	if s.Faults&Crash != 0 && g.oneIn(3) {
		g.spell(s, at(), FaultEvent{Kind: Deaf}, FaultEvent{Kind: Listens})
	}
	if s.Faults&Narrow != 0 {
		g.narrow(s, at(), mtu)
	}
	if s.Faults&Change != 0 {
		for range 1 + g.IntN(4) {
			host := g.IntN(2)
			r := min(max(rtt/4, g.between(50*time.Microsecond, 5*time.Second)), 4*rtt)
			s.Events = append(s.Events, FaultEvent{At: at(), Kind: Alter, Host: host, Wire: g.wire(s.Faults, r, mtu)})
		}
	}
	if s.Faults&Rates != 0 {
		for range 2 + g.IntN(6) {
			e := FaultEvent{At: at(), Kind: Slower, Host: g.IntN(2), N: 2 + g.IntN(9)}
			if g.oneIn(2) {
				e.Kind = Faster
			}
			s.Events = append(s.Events, e)
		}
	}
	if s.Faults&Sleep != 0 {
		for range 1 + g.IntN(2) {
			held := g.IntN(2) * int(g.number(1, maxHeldAsleep))
			g.spell(s, at(), FaultEvent{Kind: FallAsleep, N: held}, FaultEvent{Kind: WakeUp, N: g.IntN(2)})
		}
	}
	g.sizes(s, at, mtu)
}

// maxHeldAsleep is what the ring of a sleeping host's device holds at most.
const maxHeldAsleep = 512

// spell adds a fault of one host, and its end.
func (g *generator) spell(s *Scenario, from time.Duration, begin, end FaultEvent) {
	begin.At, end.At = from, from+g.between(time.Microsecond, s.Length)
	begin.Host = g.IntN(2)
	end.Host = begin.Host
	s.Events = append(s.Events, begin, end)
}

// sizes draws what happens to the largest packet.
func (g *generator) sizes(s *Scenario, at func() time.Duration, mtu int) {
	if s.Faults&Device != 0 {
		for range 1 + g.IntN(3) {
			e := FaultEvent{At: at(), Kind: Resize, Host: g.IntN(2)}
			if s.Hosts[e.Host].MTU < minimumMTU6 {
				e.N = int(g.number(68, minimumMTU6-1)) // and stays without IPv6
			} else {
				e.N = minimumMTU6 + g.IntN(9000-minimumMTU6+1) // it has IPv6 addresses
			}
			s.Events = append(s.Events, e)
		}
	}
	if s.Faults&BlackHole != 0 && g.oneIn(2) {
		host, from := g.IntN(2), at()
		s.Events = append(s.Events, FaultEvent{At: from, Kind: Swallow, Host: host, N: g.hole(mtu)})
		if g.oneIn(2) {
			s.Events = append(s.Events, FaultEvent{At: from + at(), Kind: Swallow, Host: host})
		}
	}
}

// narrow draws a path whose MTU falls below that of the hosts.
func (g *generator) narrow(s *Scenario, at time.Duration, mtu int) {
	if mtu <= minimumMTU6 || s.Hosts[0].MaxGSO > 0 || s.Hosts[1].MaxGSO > 0 {
		return
	}
	host := g.IntN(2)
	w := s.Wire[host]
	w.MTU = minimumMTU6 + g.IntN(mtu-minimumMTU6)
	s.Events = append(s.Events, FaultEvent{At: at, Kind: Alter, Host: host, Wire: w})
}

// slower returns a wire n times slower, or faster, within what lets a packet
// through in some seconds.
func slower(c netem.Config, n int, faster bool, mtu int) netem.Config {
	if faster {
		c.Rate = min(c.Rate*int64(n), netem.FastRate)
	} else {
		c.Rate = max(c.Rate/int64(n), int64(mtu)*8)
	}
	return c
}
