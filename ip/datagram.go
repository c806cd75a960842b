package ip

import "github.com/handfast/handfast/wire"

// Problem is an ICMP error that is owed to the source of a packet. The zero
// Problem is none. Whether it may be sent is package icmp's to say.
type Problem struct {
	Type, Code uint8
	Pointer    uint32 // of a parameter problem: offset from the start of the IP header
}

// Owed reports whether there is something to send. No error has type 0.
func (p Problem) Owed() bool { return p.Type != 0 }

// Datagram is what Parse finds out about a packet. All offsets are in bytes
// from the start of the IP header. It holds no reference to the packet.
type Datagram struct {
	Src, Dst  wire.Addr
	L4        int    // the transport header; of a fragment, its piece of the payload
	End       int    // of the payload; what is beyond is the link's padding
	FragOff   int    // where the piece belongs in the payload, bytes
	FragID    uint32 // 16 bits in IPv4
	FlowLabel uint32 // IPv6, 20 bits

	// Iface is the ID of the interface the packet came by. The caller's to set:
	// Parse leaves it alone.
	Iface int

	// Problem is the answer owed for a packet that Parse did not accept.
	Problem Problem

	Proto uint8 // upper layer; of an IPv6 fragment what its fragment header says
	TTL   uint8 // TTL or hop limit
	TOS   uint8 // TOS or traffic class; ECN in the low two bits

	V6       bool
	Fragment bool // one piece of a datagram: for the Reassembler. Atomic fragments are not (RFC 6946)
	More     bool // not the last piece

	SrcUnspecified bool // source 0.0.0.0 or ::
	Loopback       bool // source or destination must not come from outside
	Multicast      bool // destination
	Broadcast      bool // destination 255.255.255.255, or, after CheckArrival, that of a subnet

	// Where the fragment header of IPv6 starts, and where the number is that
	// announces it: the Reassembler takes it out.
	fragHdr, fragNext uint16
}

// ECN returns the ECN field, 0 to 3. RFC 3168 §5.
func (d *Datagram) ECN() uint8 { return d.TOS & wire.ECNMask }

// Len returns the length of the payload in bytes.
func (d *Datagram) Len() int { return d.End - d.L4 }

// owe notes the ICMP error for the packet and returns why it is dropped.
func (d *Datagram) owe(r Reason, typ, code uint8, pointer int) Reason {
	d.Problem = Problem{Type: typ, Code: code, Pointer: uint32(pointer)}
	return r
}

// reset clears what not every path of Parse sets.
func (d *Datagram) reset() {
	d.FragOff, d.FragID, d.FlowLabel = 0, 0, 0
	d.Problem = Problem{}
	d.V6, d.Fragment, d.More = false, false, false
	d.SrcUnspecified, d.Loopback, d.Multicast, d.Broadcast = false, false, false, false
	d.fragHdr, d.fragNext = 0, 0
}

// Parse examines the packet at b and fills d in. b starts with the IP header
// and holds at least all headers in one piece; the payload may lie elsewhere.
// total is the length of the whole packet in bytes, and may include padding.
// csumValid says that a lower layer has checked the IPv4 header's checksum.
//
// A Reason other than ReasonNone means that the packet is to be dropped; then
// d.Problem is the ICMP error owed, if any, and the addresses in d are valid if
// it is. What depends on our own addresses is left to Table.CheckArrival. b is
// neither kept nor changed. RFC 791, RFC 1122 §3.2.1, RFC 8200.
func Parse(b []byte, total int, csumValid bool, d *Datagram) Reason {
	d.reset()
	if len(b) > total {
		b = b[:total]
	}
	if len(b) == 0 {
		return ReasonShort
	}
	switch b[0] >> 4 {
	case 4:
		return parse4(b, total, csumValid, d)
	case 6:
		return parse6(b, total, d)
	}
	return ReasonVersion
}
