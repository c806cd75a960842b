package netem

import (
	"encoding/binary"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/wire"
)

// flip inverts one bit; bit 0 is the highest of the first byte.
func flip(frame []byte, bit int) { frame[bit/8] ^= 0x80 >> (bit % 8) }

// markCE sets Congestion Experienced in the IP header of a frame if the packet
// belongs to an ECN-capable transport, and leaves it alone otherwise.
//
// Deviation: RFC 3168 §5 lets a router drop other packets where it would
// mark. Here they pass: who wants them dropped bounds the queue.
func markCE(frame []byte, medium link.Medium) {
	ip := frame
	if medium == link.Ethernet {
		e, err := wire.ParseEthernet(frame)
		if err != nil || e.Type() != wire.EtherTypeIPv4 && e.Type() != wire.EtherTypeIPv6 {
			return
		}
		ip = frame[e.HeaderLen():]
	}
	switch {
	case len(ip) >= wire.IPv4MinLen && ip[0]>>4 == 4:
		if ecn := ip[1] & wire.ECNMask; ecn == wire.NotECT || ecn == wire.CE {
			return
		}
		before := binary.BigEndian.Uint16(ip)
		ip[1] |= wire.CE
		check := binary.BigEndian.Uint16(ip[10:])
		binary.BigEndian.PutUint16(ip[10:], wire.Update(check, before, binary.BigEndian.Uint16(ip)))
	case len(ip) >= wire.IPv6Len && ip[0]>>4 == 6:
		if ip[1]>>4&wire.ECNMask != wire.NotECT { // the field lies in the upper half
			ip[1] |= wire.CE << 4
		}
	}
}
