package sim

import (
	"encoding/binary"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Box is what stands in one direction of a Wire and looks into packets:
// something that thins or gathers acknowledgements, a firewall that edits
// segments, a tunnel too narrow whose router says nothing. The zero Box lets
// everything through as it is.
//
// ACKs here are pure ones: no data, no flag but ACK, PSH and those of ECN.
type Box struct {
	DelayACKs  time.Duration // ACKs wait so long; data overtakes them
	GatherACKs time.Duration // then they leave together, at the multiples of this
	// OneACKIn lets one of so many ACKs through and drops the others; 0 and 1
	// drop none.
	OneACKIn int
	// MaxPacket is the largest packet in bytes that passes; larger ones vanish
	// without a word. 0: no limit.
	MaxPacket int

	Strip         Strip // options that become NOPs
	ClearECN      bool  // the ECN field of IP becomes 0
	ClearCE       bool  // a congestion mark becomes ECT(0): the wire's own, too
	ClearFlags    bool  // ECE, CWR and AE become 0
	ClearReserved bool  // the four bits after the data offset become 0: AE is one
}

// Strip is a set of TCP options that a Box takes out.
type Strip uint8

// The options. All but StripUnknown concern SYNs only.
const (
	StripMSS Strip = 1 << iota
	StripWindowScale
	StripSACKPermitted
	StripTimestamps
	StripUnknown // every kind beyond those of RFC 9293, 2018 and 7323, on all segments
)

// BoxCounters is what a Box did so far.
type BoxCounters struct {
	HeldACKs     uint64 // ACKs that waited
	DroppedACKs  uint64 // by OneACKIn
	Vanished     uint64 // packets beyond MaxPacket
	Stripped     uint64 // options taken out
	ClearedECN   uint64 // packets whose ECN field was changed
	ClearedFlags uint64 // segments of which a flag or a reserved bit was cleared
}

// Drops returns how many packets ended here.
func (c *BoxCounters) Drops() uint64 { return c.DroppedACKs + c.Vanished }

// maxHeldACKs bounds how many packets one Box holds; more pass at once.
const maxHeldACKs = 4096

// boxState is a Box at work.
type boxState struct {
	Box
	count   BoxCounters
	acks    uint64
	holding int
}

// verdict is what becomes of a packet at a Box.
type verdict uint8

const (
	pass verdict = iota
	drop
	hold // until the instant that comes with it
)

// admit decides about a packet.
func (x *boxState) admit(now mono.Time, p *pkt.Packet) (verdict, mono.Time) {
	if x.MaxPacket > 0 && p.Len() > x.MaxPacket {
		x.count.Vanished++
		return drop, 0
	}
	if x.DelayACKs == 0 && x.GatherACKs == 0 && x.OneACKIn <= 1 || !pureACK(p) {
		return pass, 0
	}
	x.acks++
	if x.OneACKIn > 1 && x.acks%uint64(x.OneACKIn) != 0 {
		x.count.DroppedACKs++
		return drop, 0
	}
	at := now.Add(x.DelayACKs)
	if g := mono.Time(x.GatherACKs); g > 0 {
		at = (at + g - 1) / g * g
	}
	if at == now || x.holding == maxHeldACKs {
		return pass, 0
	}
	x.holding++
	x.count.HeldACKs++
	return hold, at
}

// edits reports whether the Box changes bytes.
func (x *boxState) edits() bool {
	return x.Strip != 0 || x.ClearECN || x.ClearCE || x.ClearFlags || x.ClearReserved
}

// edit changes a packet in place.
func (x *boxState) edit(b []byte) {
	x.editECN(b)
	t := segmentIn(b)
	if t == nil {
		return
	}
	var old [wire.TCPMaxLen]byte
	n := copy(old[:], t[:t.HeaderLen()])
	if x.Strip != 0 {
		x.strip(t)
	}
	if x.ClearReserved {
		t[12] &= 0xf0
	}
	if x.ClearFlags {
		t.SetFlags(t.Flags() &^ (wire.FlagECE | wire.FlagCWR | wire.FlagAE))
	}
	if old[12] != t[12] || old[13] != t[13] {
		x.count.ClearedFlags++
	}
	sum := t.Checksum()
	for i := 0; i < n; i += 2 {
		was, is := binary.BigEndian.Uint16(old[i:]), binary.BigEndian.Uint16(t[i:])
		if was != is {
			sum = wire.Update(sum, was, is)
		}
	}
	t.SetChecksum(sum)
}

// editECN changes the ECN field of an IP header.
func (x *boxState) editECN(b []byte) {
	was := ecnOf(b)
	is := was
	if x.ClearCE && was == ecnCE {
		is = ecnECT0
	}
	if x.ClearECN {
		is = 0
	}
	if is != was {
		setECN(b, is)
		x.count.ClearedECN++
	}
}

// strip takes options out of a segment. What cannot be parsed stays.
func (x *boxState) strip(t wire.TCP) {
	syn := t.Flags()&wire.FlagSYN != 0
	for b := t.Options(); len(b) > 0 && b[0] != wire.TCPOptEOL; {
		if b[0] == wire.TCPOptNOP {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return
		}
		n := int(b[1])
		if s := stripOf(b[0]); x.Strip&s != 0 && (syn || s == StripUnknown) {
			for i := range b[:n] {
				b[i] = wire.TCPOptNOP
			}
			x.count.Stripped++
		}
		b = b[n:]
	}
}

// stripOf is the member of a Strip for a kind of options, 0 for SACK blocks.
func stripOf(kind byte) Strip {
	switch kind {
	case wire.TCPOptMSS:
		return StripMSS
	case wire.TCPOptWScale:
		return StripWindowScale
	case wire.TCPOptSACKPermitted:
		return StripSACKPermitted
	case wire.TCPOptTimestamps:
		return StripTimestamps
	case wire.TCPOptSACK:
		return 0
	}
	return StripUnknown
}

// pureACK reports whether a packet is an acknowledgement and nothing else.
func pureACK(p *pkt.Packet) bool {
	t := segmentIn(p.Head)
	const others = wire.FlagSYN | wire.FlagFIN | wire.FlagRST | wire.FlagURG
	return t != nil && t.Flags()&(others|wire.FlagACK) == wire.FlagACK && len(t.Payload()) == 0 && p.Len() == len(p.Head)
}

// segmentIn returns the TCP segment, or its header alone, in a packet or its
// headers; nil for anything else, fragments too.
func segmentIn(b []byte) wire.TCP {
	if len(b) == 0 {
		return nil
	}
	switch b[0] >> 4 {
	case 4:
		if len(b) < wire.IPv4MinLen || int(b[0]&15)*4 > len(b) {
			return nil
		}
		p := wire.IPv4(b)
		if p.Proto() != wire.ProtoTCP || p.IsFragment() {
			return nil
		}
		b = b[p.HeaderLen():]
	case 6:
		if len(b) < wire.IPv6Len || b[6] != wire.ProtoTCP {
			return nil
		}
		b = b[wire.IPv6Len:]
	default:
		return nil
	}
	t, err := wire.ParseTCP(b)
	if err != nil {
		return nil
	}
	return t
}

// Codepoints of the ECN field, RFC 3168 §5.
const (
	ecnECT0 = 2
	ecnCE   = 3
)

// ecnOf returns the ECN field of a packet, 0 if it is not one.
func ecnOf(b []byte) uint8 {
	switch {
	case len(b) >= wire.IPv4MinLen && b[0]>>4 == 4:
		return wire.IPv4(b).TOS() & 3
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		return wire.IPv6(b).TrafficClass() & 3
	}
	return 0
}

// setECN changes it. b is a packet.
func setECN(b []byte, ecn uint8) {
	if b[0]>>4 == 4 {
		p := wire.IPv4(b)
		p.SetTOS(p.TOS()&^3 | ecn)
		return
	}
	p := wire.IPv6(b)
	p.SetTrafficClass(p.TrafficClass()&^3 | ecn)
}
