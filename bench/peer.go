package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Stack is one TCP endpoint with one address.
type Stack interface {
	// Listen listens on a port of the stack's address, with the backlog of
	// the Setup that the stack was made with.
	Listen(port uint16) (net.Listener, error)
	// Dial connects, within connectTimeout.
	Dial(dst netip.AddrPort) (net.Conn, error)
	// Retransmits counts what was sent again so far, if Setup.Counted is set.
	Retransmits() Retransmits
}

// Retransmits are a stack's counters; those that it does not have are -1.
type Retransmits struct {
	Resent     float64 // segments
	Timeouts   float64 // RTO
	TailProbes float64 // RFC 8985 §7
}

// Port is one end of a link that carries whole IP packets. Send copies the
// packet; the function given to Recv must not keep it.
type Port interface {
	Send(pkt []byte)
	Recv(func(pkt []byte))
}

// Setup is what a case asks of the stacks that it has made.
type Setup struct {
	Config  string // what follows the slash in the peer's name; "" is its usual configuration
	Backlog int    // of every listener
	Counted bool   // Retransmits will be asked for
}

// Peer makes stacks of one implementation.
type Peer interface {
	// Links lists the in-memory links, the best for latency first.
	Links() []string
	// Pair returns two stacks, at addrA and addrB, joined by such a link.
	Pair(link string, s Setup) (a, b Stack, err error)
	// Tuns lists the ways to sit on a TUN device.
	Tuns() []string
	// Tun makes the TUN device "bench0" in this process's namespace (where the
	// kernel takes addrA) and returns a stack at addrB on its user-space side.
	Tun(how string, s Setup) (Stack, error)
	// Wire returns a stack at addr on a packet port, MTU 1500.
	Wire(p Port, addr netip.Addr, s Setup) (Stack, error)
	// Flood returns a server at addrB, a client at addrA, and a function that
	// injects a packet into the server's link.
	Flood(s Setup) (client, server Stack, inject func([]byte), err error)
}

// The addresses of the two ends, and the peers by name.
var (
	addrA = netip.AddrFrom4([4]byte{10, 9, 0, 1})
	addrB = netip.AddrFrom4([4]byte{10, 9, 0, 2})

	peers = map[string]Peer{"gvisor": gvisorPeer{}, "handfast": handfastPeer{}, "kernel": kernelPeer{}}
)

// findPeer splits name[/config].
func findPeer(spec string) (Peer, string, error) {
	name, cfg, _ := strings.Cut(spec, "/")
	p := peers[name]
	if p == nil {
		return nil, "", fmt.Errorf("no peer %q", name)
	}
	return p, cfg, nil
}
