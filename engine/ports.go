package engine

import "github.com/handfast/handfast/wire"

// The ranges of ephemeral ports. RFC 6056 §3.2 wants the range as wide as can
// be, 1024 to 65535.
//
// Deviation: the default is Linux' range, because services listen below it;
// setRange widens it.
const (
	portMin     = 1024
	portMax     = 65535
	portLoLinux = 32768
	portHiLinux = 60999
)

const (
	// portCounters is the size of the table that RFC 6056 §3.3.4 calls
	// table[]: destinations that share an entry see each other's steps, but
	// not each other's offset.
	portCounters = 1024

	// portNoise is the number of different random increments, a power of
	// two: the smaller, the more often a port comes round; with 1 an observer
	// of one entry could count the connections that share it.
	portNoise = 8
)

// ports chooses ephemeral ports with the double-hash algorithm of RFC 6056
// §3.3.4 (algorithm 4): a keyed hash of addresses and remote port decides where
// in the range the ports for one destination begin, a second hash which counter
// moves them on. So a new connection to a destination gets a port that was not
// used there for long, and nobody else can tell which. The increments are
// random (as in §3.3.5), but ports in use are skipped one by one, so that the
// last free port of the range is found.
//
// newPorts makes one; the same secret and calls give the same ports.
type ports struct {
	offsetKey, indexKey, noiseKey sipKey
	draws                         uint64 // random numbers drawn
	lo, n                         uint32 // the range: lo to lo+n-1
	counters                      [portCounters]uint32
}

// newPorts returns a chooser over Linux' default range.
func newPorts(secret sipKey) *ports {
	return &ports{
		offsetKey: secret.derive(domainPortOffset),
		indexKey:  secret.derive(domainPortIndex),
		noiseKey:  secret.derive(domainPortNoise),
		lo:        portLoLinux,
		n:         portHiLinux - portLoLinux + 1,
	}
}

// setRange makes lo to hi, both included, the ephemeral range. It reports
// false, and changes nothing, unless 1024 <= lo <= hi.
func (p *ports) setRange(lo, hi uint16) bool {
	if lo < portMin || hi < lo {
		return false
	}
	p.lo, p.n = uint32(lo), uint32(hi-lo)+1
	return true
}

// random draws a number that is unpredictable without the secret.
func (p *ports) random() uint64 {
	p.draws++
	return p.noiseKey.sum24(p.draws, 0)
}

// pick returns a port for a connection from local to remote:rport for which
// used reports false. It asks about each port of the range at most once and
// returns false when all are used: the caller's EADDRNOTAVAIL.
func (p *ports) pick(local, remote wire.Addr, rport uint16, used func(port uint16) bool) (uint16, bool) {
	f := Flow{Local: local, Remote: remote, RPort: rport}
	counter := &p.counters[p.indexKey.flow24(&f)%portCounters]
	offset := uint32(p.offsetKey.flow24(&f) % uint64(p.n))
	port, skipped, ok := p.search((offset+*counter%p.n)%p.n, used)
	if ok {
		*counter += skipped + 1 + uint32(p.random()%portNoise)
	}
	return port, ok
}

// pickUnbound returns a port for a socket that is bound before its peer is
// known, so that there is no destination to hash (RFC 6056 §3.5): it starts at
// a random place (§3.3.1). Otherwise as pick.
func (p *ports) pickUnbound(used func(port uint16) bool) (uint16, bool) {
	port, _, ok := p.search(uint32(p.random()%uint64(p.n)), used)
	return port, ok
}

// search asks about every port of the range once, beginning start ports into
// it, and returns the first free one and how many it skipped.
func (p *ports) search(start uint32, used func(port uint16) bool) (port uint16, skipped uint32, ok bool) {
	at := start
	for skipped = range p.n {
		port = uint16(p.lo + at)
		if !used(port) {
			return port, skipped, true
		}
		if at++; at == p.n {
			at = 0
		}
	}
	return 0, p.n, false
}
