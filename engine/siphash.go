package engine

import (
	"encoding/binary"
	"math/bits"
)

// sipKey is a 128-bit secret for SipHash (Aumasson and Bernstein, 2012), a
// pseudo-random function made for short inputs: whoever does not know the key
// can neither predict a sum nor search for inputs whose sums collide.
//
// SipHash-2-4 is used where a sum, or part of it, leaves the host (initial
// sequence numbers, ports, timestamp offsets); the faster SipHash-1-3 only
// where the sum stays inside and nothing but collisions could hurt.
type sipKey struct{ k0, k1 uint64 }

// The domains of derived keys. Each use of the host's secret has a key of its
// own, so that what one use shows says nothing about another.
const (
	domainISN uint64 = iota + 1
	domainTimestamp
	domainPortOffset
	domainPortIndex
	domainPortNoise
	domainTable
	domainReset
)

// newSipKey takes a key from 16 secret bytes in SipHash's byte order.
func newSipKey(secret [16]byte) sipKey {
	return sipKey{binary.LittleEndian.Uint64(secret[:8]), binary.LittleEndian.Uint64(secret[8:])}
}

// derive returns the key of a domain. The two halves are outputs of the
// function itself, which is as good a source of keys as it is a hash.
func (k sipKey) derive(domain uint64) sipKey {
	return sipKey{k.sum24(domain, 0), k.sum24(domain, 1)}
}

// sip is the running state of one computation.
type sip struct{ v0, v1, v2, v3 uint64 }

// start is the state before the first word.
func (k sipKey) start() sip {
	return sip{
		k.k0 ^ 0x736f6d6570736575, k.k1 ^ 0x646f72616e646f6d,
		k.k0 ^ 0x6c7967656e657261, k.k1 ^ 0x7465646279746573,
	}
}

// odd and even are the two halves of a SipRound. A whole round is just too much
// for the compiler to inline.
func (s sip) odd() sip {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	return s
}

func (s sip) even() sip {
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
	return s
}

// word1 takes in one word with one round: the 1 of SipHash-1-3.
func (s sip) word1(m uint64) sip {
	s.v3 ^= m
	s = s.odd().even()
	s.v0 ^= m
	return s
}

// word2 takes in one word with two rounds: the 2 of SipHash-2-4.
func (s sip) word2(m uint64) sip {
	s.v3 ^= m
	s = s.odd().even().odd().even()
	s.v0 ^= m
	return s
}

// final3 ends SipHash-1-3, final4 SipHash-2-4.
func (s sip) final3() uint64 {
	s.v2 ^= 0xff
	s = s.odd().even().odd().even().odd().even()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s sip) final4() uint64 {
	s.v2 ^= 0xff
	s = s.odd().even().odd().even().odd().even().odd().even()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// sipLength is the last word of an input of n bytes: its length modulo 256 in
// the top byte, the n%8 bytes that fill no word below it.
func sipLength(n uint64, rest uint64) uint64 { return n<<56 | rest }

// The numbers of bytes of a flow that are hashed: addresses and ports.
const (
	flow4Bytes = 4 + 4 + 4
	flow6Bytes = 16 + 16 + 4
)

// sum24 is SipHash-2-4 of two words, least significant byte first.
func (k sipKey) sum24(a, b uint64) uint64 {
	return k.start().word2(a).word2(b).word2(sipLength(16, 0)).final4()
}

// flow24 is SipHash-2-4 of a flow: of its 12 significant bytes when both
// addresses are IPv4, of 36 otherwise. The length is part of the input, so the
// two forms cannot collide by construction.
func (k sipKey) flow24(f *Flow) uint64 {
	s := k.start()
	if f.is4() {
		return s.word2(f.word4()).word2(sipLength(flow4Bytes, f.ports())).final4()
	}
	s = s.word2(binary.LittleEndian.Uint64(f.Local[:8]))
	s = s.word2(binary.LittleEndian.Uint64(f.Local[8:]))
	s = s.word2(binary.LittleEndian.Uint64(f.Remote[:8]))
	s = s.word2(binary.LittleEndian.Uint64(f.Remote[8:]))
	return s.word2(sipLength(flow6Bytes, f.ports())).final4()
}

// flow13 is the low half of SipHash-1-3 of a flow, taken in as by flow24: the
// hash of the tables that find connections.
func (k sipKey) flow13(f *Flow) uint32 {
	s := k.start()
	if f.is4() {
		return uint32(s.word1(f.word4()).word1(sipLength(flow4Bytes, f.ports())).final3())
	}
	s = s.word1(binary.LittleEndian.Uint64(f.Local[:8]))
	s = s.word1(binary.LittleEndian.Uint64(f.Local[8:]))
	s = s.word1(binary.LittleEndian.Uint64(f.Remote[:8]))
	s = s.word1(binary.LittleEndian.Uint64(f.Remote[8:]))
	return uint32(s.word1(sipLength(flow6Bytes, f.ports())).final3())
}
