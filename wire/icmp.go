package wire

import "encoding/binary"

// ICMPLen is the length in bytes of the header of the ICMP messages of either
// family that are understood: type, code, checksum and four bytes by type.
const ICMPLen = 8

// Types of ICMP for IPv4. RFC 792.
const (
	ICMPv4EchoReply      = 0
	ICMPv4Unreachable    = 3
	ICMPv4SourceQuench   = 4 // dead, RFC 6633
	ICMPv4Redirect       = 5
	ICMPv4Echo           = 8
	ICMPv4TimeExceeded   = 11
	ICMPv4ParamProblem   = 12
	ICMPv4Timestamp      = 13
	ICMPv4TimestampReply = 14
)

// Codes of ICMPv4Unreachable. RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
const (
	UnreachNet           = 0
	UnreachHost          = 1
	UnreachProtocol      = 2
	UnreachPort          = 3
	UnreachFragNeeded    = 4 // and DF set; the MTU field counts
	UnreachSourceRoute   = 5
	UnreachNetUnknown    = 6
	UnreachHostUnknown   = 7
	UnreachNetProhibited = 9
	UnreachProhibited    = 10
	UnreachFiltered      = 13
)

// Codes of time exceeded, of both families.
const (
	TimeExceededTTL        = 0 // in transit
	TimeExceededReassembly = 1
)

// Types of ICMP for IPv6; errors are below 128. RFC 4443 §2.1, RFC 4861 §4.
const (
	ICMPv6Unreachable   = 1
	ICMPv6PacketTooBig  = 2
	ICMPv6TimeExceeded  = 3
	ICMPv6ParamProblem  = 4
	ICMPv6Echo          = 128
	ICMPv6EchoReply     = 129
	ICMPv6MLDQuery      = 130 // RFC 2710
	ICMPv6MLDReport     = 131 // RFC 2710
	ICMPv6MLDDone       = 132 // RFC 2710
	ICMPv6RouterSolicit = 133
	ICMPv6RouterAdvert  = 134
	ICMPv6NeighSolicit  = 135
	ICMPv6NeighAdvert   = 136
	ICMPv6Redirect      = 137
	ICMPv6MLDv2Report   = 143 // RFC 3810
)

// Codes of ICMPv6Unreachable. RFC 4443 §3.1.
const (
	Unreach6NoRoute    = 0
	Unreach6Prohibited = 1
	Unreach6Scope      = 2
	Unreach6Addr       = 3
	Unreach6Port       = 4
	Unreach6Policy     = 5
	Unreach6Reject     = 6
)

// Codes of ICMPv6ParamProblem. RFC 4443 §3.4, RFC 7112.
const (
	ParamProblemHeader     = 0
	ParamProblemNextHeader = 1
	ParamProblemOption     = 2
	ParamProblemFirstFrag  = 3
)

// ICMPv4 is a message whose length ParseICMPv4 has checked. Which accessors
// make sense depends on the type; none can fail.
type ICMPv4 []byte

// ParseICMPv4 returns the view of a message, to the end of b; ErrShort below 8
// bytes. The checksum is not looked at: see ChecksumOK.
func ParseICMPv4(b []byte) (ICMPv4, error) {
	if len(b) < ICMPLen {
		return nil, ErrShort
	}
	return ICMPv4(b), nil
}

// Type returns the type.
func (m ICMPv4) Type() uint8 { return m[0] }

// Code returns the code.
func (m ICMPv4) Code() uint8 { return m[1] }

// Checksum returns the stored checksum.
func (m ICMPv4) Checksum() uint16 { return binary.BigEndian.Uint16(m[2:4]) }

// ID returns the identifier of an echo.
func (m ICMPv4) ID() uint16 { return binary.BigEndian.Uint16(m[4:6]) }

// Seq returns the sequence number of an echo.
func (m ICMPv4) Seq() uint16 { return binary.BigEndian.Uint16(m[6:8]) }

// MTU returns the next hop's MTU in bytes of "fragmentation needed", 0 from a
// router older than RFC 1191.
func (m ICMPv4) MTU() uint16 { return binary.BigEndian.Uint16(m[6:8]) }

// Pointer returns the offset in the quoted packet that a parameter problem is
// about.
func (m ICMPv4) Pointer() uint8 { return m[4] }

// Gateway returns the router that a redirect names.
func (m ICMPv4) Gateway() Addr { return AddrFrom4([4]byte(m[4:8])) }

// IsError reports whether the type is one that quotes a packet. No error is
// sent about such a message. RFC 1122 §3.2.2.
func (m ICMPv4) IsError() bool {
	switch m[0] {
	case ICMPv4Unreachable, ICMPv4SourceQuench, ICMPv4Redirect, ICMPv4TimeExceeded, ICMPv4ParamProblem:
		return true
	}
	return false
}

// Payload returns the bytes after the header: the data of an echo.
func (m ICMPv4) Payload() []byte { return m[ICMPLen:] }

// Quoted returns the packet an error is about, as much of it as was sent back:
// for one of IPv4 only the header and 8 bytes are certain.
func (m ICMPv4) Quoted() []byte { return m[ICMPLen:] }

// ChecksumOK reports whether the checksum is right.
func (m ICMPv4) ChecksumOK() bool { return Sum(m, 0) == 0xffff }

// PutICMPv4 writes type, code, the four bytes rest that depend on the type,
// and the checksum over all of b, which has at least 8 bytes: what follows the
// header is in place already.
func PutICMPv4(b []byte, typ, code uint8, rest uint32) {
	putICMP(b, typ, code, rest, 0)
}

// PutICMPv4Echo makes b an echo or, with reply, the answer to one: the header
// before the data, which is in place already, and the checksum.
func PutICMPv4Echo(b []byte, reply bool, id, seq uint16) {
	typ := uint8(ICMPv4Echo)
	if reply {
		typ = ICMPv4EchoReply
	}
	putICMP(b, typ, 0, uint32(id)<<16|uint32(seq), 0)
}

// putICMP writes the header and the checksum over b on top of acc.
func putICMP(b []byte, typ, code uint8, rest uint32, acc uint16) {
	_ = b[ICMPLen-1]
	b[0], b[1], b[2], b[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(b[4:8], rest)
	binary.BigEndian.PutUint16(b[2:4], Finish(Sum(b, acc)))
}

// ICMPv6 is a message whose length ParseICMPv6 has checked. Which accessors
// make sense depends on the type; none can fail.
type ICMPv6 []byte

// ParseICMPv6 returns the view of a message, to the end of b; ErrShort below 8
// bytes, which is what the smallest defined message has. The checksum is not
// looked at: see ChecksumOK.
func ParseICMPv6(b []byte) (ICMPv6, error) {
	if len(b) < ICMPLen {
		return nil, ErrShort
	}
	return ICMPv6(b), nil
}

// Type returns the type.
func (m ICMPv6) Type() uint8 { return m[0] }

// Code returns the code.
func (m ICMPv6) Code() uint8 { return m[1] }

// Checksum returns the stored checksum.
func (m ICMPv6) Checksum() uint16 { return binary.BigEndian.Uint16(m[2:4]) }

// ID returns the identifier of an echo.
func (m ICMPv6) ID() uint16 { return binary.BigEndian.Uint16(m[4:6]) }

// Seq returns the sequence number of an echo.
func (m ICMPv6) Seq() uint16 { return binary.BigEndian.Uint16(m[6:8]) }

// MTU returns the next hop's MTU in bytes of Packet Too Big.
func (m ICMPv6) MTU() uint32 { return binary.BigEndian.Uint32(m[4:8]) }

// Pointer returns the offset in the quoted packet that a parameter problem is
// about; it may be beyond what is quoted.
func (m ICMPv6) Pointer() uint32 { return binary.BigEndian.Uint32(m[4:8]) }

// IsError reports whether the type is one of the errors, known or not. RFC
// 4443 §2.1.
func (m ICMPv6) IsError() bool { return m[0] < 128 }

// Payload returns the bytes after the header: the data of an echo.
func (m ICMPv6) Payload() []byte { return m[ICMPLen:] }

// Quoted returns the packet an error is about, as much of it as was sent back.
func (m ICMPv6) Quoted() []byte { return m[ICMPLen:] }

// ChecksumOK reports whether the checksum is right for a message between two
// addresses. RFC 4443 §2.3.
func (m ICMPv6) ChecksumOK(src, dst *Addr) bool {
	return Sum(m, PseudoSum(src, dst, ProtoICMPv6, uint32(len(m)))) == 0xffff
}

// PutICMPv6 writes type, code, the four bytes rest that depend on the type,
// and the checksum over all of b, which has at least 8 bytes: what follows the
// header is in place already.
func PutICMPv6(b []byte, src, dst *Addr, typ, code uint8, rest uint32) {
	putICMP(b, typ, code, rest, PseudoSum(src, dst, ProtoICMPv6, uint32(len(b))))
}

// PutICMPv6Echo makes b an echo or, with reply, the answer to one: the header
// before the data, which is in place already, and the checksum.
func PutICMPv6Echo(b []byte, src, dst *Addr, reply bool, id, seq uint16) {
	typ := uint8(ICMPv6Echo)
	if reply {
		typ = ICMPv6EchoReply
	}
	PutICMPv6(b, src, dst, typ, 0, uint32(id)<<16|uint32(seq))
}
