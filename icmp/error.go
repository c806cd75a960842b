package icmp

import (
	"encoding/binary"

	"github.com/handfast/handfast/wire"
)

// Lengths of errors, in bytes and from the IP header of the error on.
const (
	// MaxError4 is what every host can receive. RFC 1812 §4.3.2.3 asks to quote
	// as much as fits; RFC 1122 §3.2.2 for 8 bytes of payload at least.
	MaxError4 = 576
	// MaxError6 is the minimum MTU: as much is quoted as fits. RFC 4443 §2.4 c.
	MaxError6 = wire.IPv6MinMTU

	// MaxMessage is the longest message that PutError writes.
	MaxMessage = MaxError6 - wire.IPv6Len
)

// Cause is the packet that an error would be about.
type Cause struct {
	Src, Dst wire.Addr
	Proto    uint8 // upper layer
	// Type is the first byte of an ICMP message, if Proto is ICMP's and the
	// packet has it; HasType says so.
	Type    uint8
	HasType bool
	// NonInitial: a fragment with an offset other than zero.
	NonInitial bool
	// Broadcast: the destination is a broadcast address, of a subnet included.
	Broadcast bool
	// LinkBroadcast: it came in a broadcast or multicast frame.
	LinkBroadcast bool
}

// MayError reports whether an error of type typ and code may be sent about a
// packet, as far as the packet decides; the Limiter has a say as well. Both
// addresses are of the family of the error. RFC 1122 §3.2.2, RFC 4443 §2.4 e.
//
// Deviation: loopback sources are answered, although RFC 1122 §3.2.2 counts
// them among those that are no single host, because they come from programs on
// this host, which learn about closed ports that way. A packet from outside
// with such a source is dropped before anyone asks here.
func MayError(c *Cause, typ, code uint8) bool {
	if c.NonInitial || !isOneHost(&c.Src) {
		return false
	}
	if c.Src.Is4() {
		if c.Broadcast || c.LinkBroadcast || c.Dst.IsMulticast() || c.Dst.IsBroadcast() {
			return false
		}
		return c.Proto != wire.ProtoICMP || c.HasType && isQuery4(c.Type)
	}
	// Packet Too Big and Parameter Problem about an option are for everyone:
	// the one serves path MTU discovery of multicast, the other says that the
	// option's sender asked for it.
	always := typ == wire.ICMPv6PacketTooBig || typ == wire.ICMPv6ParamProblem && code == wire.ParamProblemOption
	if (c.LinkBroadcast || c.Dst.IsMulticast()) && !always {
		return false
	}
	return c.Proto != wire.ProtoICMPv6 || c.HasType && c.Type >= 128 && c.Type != wire.ICMPv6Redirect
}

// isQuery4 reports whether a type of ICMP for IPv4 is known not to be an error.
// Unknown types are taken for errors: one mistake there makes two hosts answer
// each other for ever, the other only withholds a courtesy.
func isQuery4(typ uint8) bool {
	switch typ {
	case wire.ICMPv4Echo, wire.ICMPv4EchoReply, wire.ICMPv4Timestamp, wire.ICMPv4TimestampReply,
		9, 10, // router discovery, RFC 1256
		15, 16, 17, 18: // information and address mask, RFC 6918
		return true
	}
	return false
}

// isOneHost reports whether an address can be that of a single host.
func isOneHost(a *wire.Addr) bool {
	if a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	return !a.Is4() || a[12] != 0 && a[12] < 0xf0
}

// Error is the message to send. Src and Dst are the addresses of the error, not
// those of the packet it is about, and tell the family.
type Error struct {
	Src, Dst   wire.Addr
	Type, Code uint8
	Pointer    uint32 // of a parameter problem, in bytes from the start of the quoted packet
}

// PutError writes the message e into b and returns its length in bytes. quote is
// the packet it is about in one or more pieces, from its IP header on and just as
// it was received (RFC 1122 §3.2.2); as much of it is copied as fits into
// MaxError4 or MaxError6 and into b, which holds at least wire.ICMPLen bytes;
// MaxMessage always suffices.
func PutError(b []byte, e *Error, quote ...[]byte) int {
	is4 := e.Dst.Is4()
	limit := MaxMessage
	if is4 {
		limit = MaxError4 - wire.IPv4MinLen
	}
	b = b[:min(len(b), limit)]
	n := wire.ICMPLen
	for _, q := range quote {
		n += copy(b[n:], q)
	}
	b = b[:n]
	if is4 {
		wire.PutICMPv4(b, e.Type, e.Code, pointer4(e))
	} else {
		wire.PutICMPv6(b, &e.Src, &e.Dst, e.Type, e.Code, e.Pointer)
	}
	return n
}

// pointer4 returns the four bytes after the checksum: the pointer is the first.
func pointer4(e *Error) uint32 {
	if e.Type != wire.ICMPv4ParamProblem {
		return 0
	}
	return e.Pointer << 24
}

// PutEchoReply makes the header of an echo reply in the first 8 bytes of b from
// the header of the request, req, whose checksum was right. The data stay as
// they are, wherever they are: the reply's checksum follows from the request's
// (RFC 1624). asked is the address the request was sent to and from the source
// of the reply: the same, unless the request went to a group (RFC 1122
// §3.2.2.6, RFC 4443 §4.2). b and req may be the same.
func PutEchoReply(b, req []byte, asked, from *wire.Addr) {
	is4 := from.Is4()
	typ := uint8(wire.ICMPv6EchoReply)
	if is4 {
		typ = wire.ICMPv4EchoReply
	}
	check := binary.BigEndian.Uint16(req[2:4])
	check = wire.Update(check, binary.BigEndian.Uint16(req[0:2]), uint16(typ)<<8)
	if !is4 {
		// The pseudo-header has source and destination swapped, which sums up
		// to the same unless the reply comes from another address.
		for i := 0; i < len(asked); i += 4 {
			check = wire.Update32(check, binary.BigEndian.Uint32(asked[i:]), binary.BigEndian.Uint32(from[i:]))
		}
	}
	copy(b[4:8], req[4:8])
	b[0], b[1] = typ, 0
	binary.BigEndian.PutUint16(b[2:4], check)
}

// IsEcho reports whether a message is an echo request that is to be answered.
// RFC 792, RFC 4443 §4.1; the code is ignored. m is the message of a packet of
// the family, its header at least.
//
// Requests to a broadcast address are not answered, as RFC 1122 §3.2.2.6 allows,
// nor those to an IPv4 group: they are how one packet made many answer.
func IsEcho(m []byte, v6, broadcast, multicast bool) bool {
	if len(m) < wire.ICMPLen {
		return false
	}
	if v6 {
		return m[0] == wire.ICMPv6Echo
	}
	return m[0] == wire.ICMPv4Echo && !broadcast && !multicast
}
