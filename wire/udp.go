package wire

import "encoding/binary"

// UDPLen is the length of the UDP header in bytes. RFC 768.
const UDPLen = 8

// UDP is a datagram whose length ParseUDP has checked.
type UDP []byte

// ParseUDP returns the view of a datagram, cut to its length field: the
// payload of IP beyond that is ignored. It fails with ErrShort below 8 bytes
// and with ErrLength if the field is below 8 or beyond b. A length of 0, which
// RFC 2675 §4 gives to jumbograms, fails too. The checksum is not looked at:
// see ChecksumOK.
func ParseUDP(b []byte) (UDP, error) {
	if len(b) < UDPLen {
		return nil, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[4:6]))
	if n < UDPLen || n > len(b) {
		return nil, ErrLength
	}
	return UDP(b[:n:n]), nil
}

// SrcPort returns the source port, 0 if there is none to answer to.
func (u UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(u[0:2]) }

// DstPort returns the destination port.
func (u UDP) DstPort() uint16 { return binary.BigEndian.Uint16(u[2:4]) }

// Length returns the length field: header and payload, in bytes.
func (u UDP) Length() uint16 { return binary.BigEndian.Uint16(u[4:6]) }

// Checksum returns the stored checksum; 0 means that the sender computed none.
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[6:8]) }

// Payload returns the bytes after the header.
func (u UDP) Payload() []byte { return u[UDPLen:] }

// ChecksumOK reports whether the datagram may be accepted between two
// addresses: the checksum is right, or there is none and both addresses are
// IPv4. RFC 768, RFC 8200 §8.1.
func (u UDP) ChecksumOK(src, dst *Addr) bool {
	if u.Checksum() == 0 {
		return src.Is4() && dst.Is4()
	}
	return Sum(u, PseudoSum(src, dst, ProtoUDP, uint32(len(u)))) == 0xffff
}

// SetChecksum stores a checksum, as FinishUDP returns it.
func (u UDP) SetChecksum(c uint16) { binary.BigEndian.PutUint16(u[6:8], c) }

// PutUDP writes a header for n bytes of payload, at most 65527, into the first
// 8 bytes of b and returns 8. The checksum is set to 0.
func PutUDP(b []byte, src, dst uint16, n int) int {
	b = b[:UDPLen]
	binary.BigEndian.PutUint16(b[0:2], src)
	binary.BigEndian.PutUint16(b[2:4], dst)
	binary.BigEndian.PutUint16(b[4:6], uint16(UDPLen+n))
	binary.BigEndian.PutUint16(b[6:8], 0)
	return UDPLen
}
