package sim

import "github.com/handfast/handfast/netem"

// Without returns the scenario with classes of faults switched off, and nothing
// else changed.
func (s *Scenario) Without(c Class) Scenario {
	t := *s
	t.Faults &^= c
	for i := range t.Wire {
		t.Wire[i] = without(t.Wire[i], c, t.Faults)
		t.Box[i] = t.Box[i].without(c)
		if c&Batch != 0 {
			t.Hosts[i].Coalesce, t.Hosts[i].TimerSlack, t.Hosts[i].MaxGRO = 0, 0, 0
		}
		if c&Scarce != 0 {
			t.Hosts[i].Memory = 0
		}
	}
	t.Events = nil
	for _, e := range s.Events {
		if e.class()&c == 0 {
			e.Wire = without(e.Wire, c, t.Faults)
			t.Events = append(t.Events, e)
		}
	}
	if c&Crossing != 0 {
		t.Conns = nil
		for _, n := range s.Conns {
			if n.Pair == 0 {
				t.Conns = append(t.Conns, n)
			}
		}
	}
	return t
}

// without switches classes off in one direction; left are those still on.
func without(n netem.Config, c, left Class) netem.Config {
	if c&Loss != 0 {
		n.Loss = 0
	}
	if c&Burst != 0 {
		n.Burst = netem.Burst{}
	}
	if c&Reorder != 0 {
		n.Reorder, n.MinHold, n.MaxHold = 0, 0, 0
	}
	if c&Duplicate != 0 {
		n.Duplicate = 0
	}
	if c&Corrupt != 0 {
		n.Corrupt = 0
	}
	if c&Jitter != 0 {
		n.Jitter, n.Unordered = 0, false
	}
	if c&Narrow != 0 {
		n.MTU = 0
	}
	if c&Marks != 0 {
		n.CE, n.CEAbove = 0, 0
	}
	if c&Police != 0 {
		n.Policer = netem.Policer{}
	}
	if left&limitsRate == 0 {
		n.Rate, n.QueueBytes, n.QueuePackets = 0, 0, 0
	}
	return n
}

// limitsRate are the classes that need a transmitter with a rate; narrows those
// that need packets no larger than the MTU of a device.
const (
	limitsRate = Slow | Rates | Crossing
	narrows    = limitsRate | Police | BlackHole | Narrow
)

// without switches classes off.
func (x Box) without(c Class) Box {
	if c&ACKs != 0 {
		x.DelayACKs, x.GatherACKs, x.OneACKIn = 0, 0, 0
	}
	if c&BlackHole != 0 {
		x.MaxPacket = 0
	}
	if c&Middlebox != 0 {
		x = Box{DelayACKs: x.DelayACKs, GatherACKs: x.GatherACKs, OneACKIn: x.OneACKIn, MaxPacket: x.MaxPacket}
	}
	return x
}
