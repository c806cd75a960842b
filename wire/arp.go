package wire

import "encoding/binary"

// ARPLen is the length of an ARP packet for IPv4 on Ethernet, in bytes.
const ARPLen = 28

// Operations of ARP. RFC 826.
const (
	ARPRequest = 1
	ARPReply   = 2
)

// What ParseARP insists on, in the order of the packet: hardware type
// Ethernet, protocol type IPv4 and the lengths of their addresses.
const arpFormat = 1<<48 | EtherTypeIPv4<<32 | 6<<24 | 4<<16

// ARP is a packet whose format and length ParseARP has checked.
type ARP []byte

// ParseARP returns the view of a packet, cut to 28 bytes. It fails with
// ErrShort below that and with ErrType unless types and lengths are those of
// IPv4 on Ethernet: 1, 0x0800, 6, 4. The operation may be any.
func ParseARP(b []byte) (ARP, error) {
	if len(b) < ARPLen {
		return nil, ErrShort
	}
	if binary.BigEndian.Uint64(b[0:8])&^0xffff != arpFormat {
		return nil, ErrType
	}
	return ARP(b[:ARPLen:ARPLen]), nil
}

// Op returns the operation.
func (a ARP) Op() uint16 { return binary.BigEndian.Uint16(a[6:8]) }

// SenderMAC returns the sender's hardware address.
func (a ARP) SenderMAC() MAC { return MAC(a[8:14]) }

// SenderIP returns the sender's address; 0.0.0.0 in a probe, RFC 5227 §1.1.
func (a ARP) SenderIP() Addr { return AddrFrom4([4]byte(a[14:18])) }

// TargetMAC returns the target's hardware address, meaningless in a request.
func (a ARP) TargetMAC() MAC { return MAC(a[18:24]) }

// TargetIP returns the address asked for, or answered to.
func (a ARP) TargetIP() Addr { return AddrFrom4([4]byte(a[24:28])) }

// PutARP writes a packet into the first 28 bytes of b and returns 28. The
// addresses are IPv4.
func PutARP(b []byte, op uint16, senderMAC MAC, senderIP Addr, targetMAC MAC, targetIP Addr) int {
	b = b[:ARPLen]
	binary.BigEndian.PutUint64(b[0:8], arpFormat|uint64(op))
	copy(b[8:14], senderMAC[:])
	copy(b[14:18], senderIP[12:])
	copy(b[18:24], targetMAC[:])
	copy(b[24:28], targetIP[12:])
	return ARPLen
}
