package wire

import "encoding/binary"

// Types of Ethernet payloads.
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeVLAN = 0x8100 // a tag of IEEE 802.1Q follows
	EtherTypeIPv6 = 0x86dd
)

// Lengths of the Ethernet header in bytes.
const (
	EthernetLen     = 14
	EthernetVLANLen = 18 // with a tag
)

// Ethernet is a frame, without preamble and check sequence, whose length
// ParseEthernet has checked.
type Ethernet []byte

// ParseEthernet returns the view of a frame, which may have one VLAN tag;
// ErrShort if b ends within the header.
func ParseEthernet(b []byte) (Ethernet, error) {
	if len(b) < EthernetLen {
		return nil, ErrShort
	}
	if e := Ethernet(b); len(b) < e.HeaderLen() {
		return nil, ErrShort
	}
	return Ethernet(b), nil
}

// Dst returns the destination.
func (e Ethernet) Dst() MAC { return MAC(e[0:6]) }

// Src returns the source.
func (e Ethernet) Src() MAC { return MAC(e[6:12]) }

// Type returns what the payload is, behind a VLAN tag if there is one. Values
// below 0x600 are lengths of IEEE 802.3.
func (e Ethernet) Type() uint16 {
	n := e.HeaderLen()
	return binary.BigEndian.Uint16(e[n-2 : n])
}

// VLAN returns the tag's priority and identifier, ok false if there is none.
func (e Ethernet) VLAN() (tag uint16, ok bool) {
	if e.HeaderLen() != EthernetVLANLen {
		return 0, false
	}
	return binary.BigEndian.Uint16(e[14:16]), true
}

// HeaderLen returns 14, or 18 with a VLAN tag.
func (e Ethernet) HeaderLen() int {
	if e[12] == EtherTypeVLAN>>8 && e[13] == EtherTypeVLAN&0xff {
		return EthernetVLANLen
	}
	return EthernetLen
}

// Payload returns the bytes after the header; short frames may have been
// padded by the link.
func (e Ethernet) Payload() []byte { return e[e.HeaderLen():] }

// PutEthernet writes a header into the first 14 bytes of b and returns 14.
func PutEthernet(b []byte, dst, src MAC, typ uint16) int {
	b = b[:EthernetLen]
	copy(b[0:6], dst[:])
	copy(b[6:12], src[:])
	binary.BigEndian.PutUint16(b[12:14], typ)
	return EthernetLen
}

// PutEthernetVLAN writes a header with a VLAN tag into the first 18 bytes of b
// and returns 18.
func PutEthernetVLAN(b []byte, dst, src MAC, tag, typ uint16) int {
	b = b[:EthernetVLANLen]
	PutEthernet(b, dst, src, EtherTypeVLAN)
	binary.BigEndian.PutUint16(b[14:16], tag)
	binary.BigEndian.PutUint16(b[16:18], typ)
	return EthernetVLANLen
}
