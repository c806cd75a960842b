package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	connectTimeout = 5 * time.Second
	warmup         = 500 * time.Millisecond
	chunk          = 64 << 10 // what the application reads and writes at once
	ports          = 8        // listeners, so that short connections do not run out of ports
	firstPort      = 6000     // of those listeners
	usualBacklog   = 4096     // what net.Listen takes by default
	floodSYNs      = 2_000_000
)

// run names one measurement.
type run struct {
	Case    string `json:"case"`
	Peer    string `json:"peer"`
	Variant string `json:"variant"`
}

func cross(a, b []string) (out []string) {
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+"/"+y)
		}
	}
	return out
}

// variants lists what can be measured of a case with a peer.
func variants(c string, p Peer) ([]string, error) {
	switch c {
	case "bulk-mem":
		return p.Links(), nil
	case "bulk-tun":
		return cross(p.Tuns(), []string{"tx", "rx"}), nil
	case "rr":
		return cross(p.Links(), []string{"1", "64"}), nil
	case "crr":
		return cross(p.Links(), []string{"1", "16"}), nil
	case "idle":
		return cross([]string{"both", "readers", "client", "server"}, []string{"10000", "100000"}), nil
	case "wan":
		var out []string
		for _, pr := range profiles {
			out = append(out, pr.Name)
		}
		return out, nil
	case "synflood":
		return []string{"max/4096", "max/10", "20000/4096"}, nil // SYNs a second, backlog
	}
	return nil, fmt.Errorf("no case %q", c)
}

// measure performs one run in this process.
func measure(r run, o options) (metrics, error) {
	d := o.T
	p, cfg, err := findPeer(r.Peer)
	if err != nil {
		return nil, err
	}
	s := Setup{Config: cfg, Backlog: usualBacklog}
	v, arg, _ := strings.Cut(r.Variant, "/")
	n, _ := strconv.Atoi(arg)
	switch r.Case {
	case "bulk-mem", "rr", "crr":
		a, b, err := p.Pair(v, s)
		if err != nil {
			return nil, err
		}
		switch r.Case {
		case "bulk-mem":
			return bulk(a, b, true, d)
		case "rr":
			return rr(a, b, n, d)
		}
		return crr(a, b, n, d)
	case "bulk-tun":
		b, err := p.Tun(v, s)
		if err != nil {
			return nil, err
		}
		if err := (*netns)(nil).sysctls(s.Backlog); err != nil {
			return nil, err
		}
		return bulk(kernelStack{addr: addrA, backlog: s.Backlog}, b, arg == "rx", d)
	case "idle":
		return idle(p, s, v, n)
	case "wan":
		i := slices.IndexFunc(profiles, func(p Profile) bool { return p.Name == r.Variant })
		if i < 0 {
			return nil, fmt.Errorf("no profile %q", r.Variant)
		}
		return wan(p, s, profiles[i], d, o.Seed, o.Watch)
	case "synflood":
		s.Backlog = n
		rate, _ := strconv.Atoi(v) // "max" is 0
		return synflood(p, s, rate)
	}
	return nil, fmt.Errorf("no case %q", r.Case)
}
