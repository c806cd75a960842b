package ip

import (
	"encoding/binary"

	"github.com/handfast/handfast/wire"
)

// IDs hands out the identifications of datagrams that may be fragmented. RFC
// 7739 §5.3 asks for a counter per destination that others cannot foresee; here
// the destination itself cannot either. A counter picked by a keyed hash of the
// two ends runs through a keyed permutation of all identifications, another
// one for each pair of ends. So for one pair nothing repeats until all 2^32
// (IPv4: 2^16) are used up, although ends that share a counter skip some, and
// what was seen tells nothing about what comes.
type IDs struct {
	key      Key
	counters [idCounters]uint32
}

// NewIDs returns a source of identifications under a secret key. The counters
// start anywhere.
func NewIDs(key Key) *IDs {
	g := &IDs{key: key}
	for i := range g.counters {
		g.counters[i] = uint32(key.sum(uint64(i), 0, 0, domainStart))
	}
	return g
}

// What a hash under the key is for: its last word says so, and a hash for one
// purpose tells nothing about those for another.
const (
	domainStart = iota + 1
	domainPair4
	domainPair6
	domainRound
)

// Next4 returns the identification for a datagram from src to dst: RFC 6864
// wants it unique per source, destination and protocol.
func (g *IDs) Next4(src, dst *wire.Addr, proto uint8) uint16 {
	ends := binary.BigEndian.Uint64(src[8:])<<32 | uint64(binary.BigEndian.Uint32(dst[12:]))
	pair := g.key.sum(ends, uint64(proto), 0, domainPair4)
	c := g.next(pair)
	l, r := uint8(c>>8), uint8(c)
	for i := range uint64(rounds) {
		l, r = r, l^uint8(g.round(pair, i, uint32(r)))
	}
	return uint16(l)<<8 | uint16(r)
}

// Next6 returns the identification for a packet from src to dst. RFC 8200 §4.5.
func (g *IDs) Next6(src, dst *wire.Addr) uint32 {
	half := g.key.sum(binary.BigEndian.Uint64(src[:8]), binary.BigEndian.Uint64(src[8:]), 0, domainPair6)
	pair := g.key.sum(binary.BigEndian.Uint64(dst[:8]), binary.BigEndian.Uint64(dst[8:]), half, domainPair6)
	c := g.next(pair)
	l, r := uint16(c>>16), uint16(c)
	for i := range uint64(rounds) {
		l, r = r, l^uint16(g.round(pair, i, uint32(r)))
	}
	return uint32(l)<<16 | uint32(r)
}

// rounds is how often the halves of a counter are mixed into each other: four
// make a Feistel network a strong permutation (Luby and Rackoff, 1988).
const rounds = 4

// round is the function of one step of the network.
func (g *IDs) round(pair, i uint64, half uint32) uint64 {
	return g.key.sum(pair, i<<32|uint64(half), 0, domainRound)
}

func (g *IDs) next(pair uint64) uint32 {
	c := &g.counters[pair%idCounters]
	*c++
	return *c
}
