package sim

// fault lets something go wrong.
func (r *run) fault(f *FaultEvent) {
	h, wire := r.w.hosts[f.Host], r.wires[0]
	r.did[f.class().index()]++
	switch f.Kind {
	case Cut:
		wire.Partition()
	case CutOneWay:
		wire.PartitionFrom(h)
	case Heal:
		wire.Heal()
	case Alter:
		wire.SetConfig(h, f.Wire)
	case PowerOff:
		h.Crash()
		for _, c := range r.conns {
			for _, e := range c {
				if e.host == f.Host && (e.conn != nil || e.missed) {
					e.crash()
				}
			}
		}
	case PowerOn:
		r.powerOn(f.Host)
	case Deaf:
		h.After(0, func() { r.deafen(f.Host) })
	case Listens:
		h.After(0, func() { r.listenAll(f.Host) })
	case Slower, Faster:
		wire.SetConfig(h, slower(wire.Config(h), f.N, f.Kind == Faster, h.cfg.MTU))
	case Resize:
		h.After(0, func() { r.w.Fail(h.SetMTU(f.N)) })
	case Swallow:
		x := wire.Box(h)
		x.MaxPacket = f.N
		wire.SetBox(h, x)
	case FallAsleep:
		h.Sleep(f.N)
	case WakeUp:
		h.Wake(f.N == 1)
	}
}

// deafen closes the listeners of a host.
func (r *run) deafen(host int) {
	for _, l := range r.listeners {
		if l.Owner.(*acceptor).host == host {
			l.Close(r.w.now)
		}
	}
}

func (r *run) powerOn(host int) {
	if r.w.hosts[host].eng != nil {
		return
	}
	r.w.hosts[host].Restart()
	r.listenAll(host)
}

// listenAll opens the listeners of a host, but for those that are open.
func (r *run) listenAll(host int) {
	if r.w.hosts[host].eng == nil {
		return
	}
	for i, c := range r.conns {
		if c[1].host == host && !r.s.Conns[i].Simultaneous {
			r.listen(i)
		}
	}
}
