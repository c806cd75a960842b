package wire

import "encoding/binary"

// Kinds of TCP options, as registered with IANA.
const (
	TCPOptEOL           = 0   // end of list, RFC 9293 §3.1
	TCPOptNOP           = 1   // padding, RFC 9293 §3.1
	TCPOptMSS           = 2   // maximum segment size, RFC 9293 §3.7.1
	TCPOptWScale        = 3   // window scale, RFC 7323 §2.2
	TCPOptSACKPermitted = 4   // RFC 2018 §2
	TCPOptSACK          = 5   // RFC 2018 §3
	TCPOptTimestamps    = 8   // RFC 7323 §3.2
	TCPOptUTO           = 28  // user timeout, RFC 5482 §3
	TCPOptFastOpen      = 34  // cookie, RFC 7413 §4.1.1
	TCPOptAccECN0       = 172 // counters E0B, CEB, E1B, RFC 9768 §3.2.3
	TCPOptAccECN1       = 174 // counters E1B, CEB, E0B, RFC 9768 §3.2.3
)

// Bounds of what is kept of the options.
const (
	MaxSACK         = 4  // blocks that fit into 40 bytes
	MaxFastOpen     = 16 // bytes of a cookie, RFC 7413 §4.1.1
	minFastOpen     = 4
	MaxAccECN       = 3            // counters
	maxOptionSteps  = TCPMaxOptLen // iterations: every step takes a byte at least
	nopNopTimestamp = TCPOptNOP<<24 | TCPOptNOP<<16 | TCPOptTimestamps<<8 | 10
	utoMinutes      = 0x8000 // UTO's granularity bit
)

// OptionSet says which options a TCPOptions holds.
type OptionSet uint16

// The options that are understood.
const (
	HasMSS OptionSet = 1 << iota
	HasWScale
	HasSACKPermitted
	HasTimestamps
	HasSACK
	HasFastOpen
	HasUTO
	HasAccECN
	HasBad // an illegal length was met and parsing stopped there
)

// TCPOptions are the options of one segment. A field counts only if Has has
// its bit; everything else may be left over from an earlier segment.
type TCPOptions struct {
	TSVal, TSEcr uint32             // timestamps, raw
	SACK         [MaxSACK][2]uint32 // left edge, right edge; the first NSACK count
	AccECN       [MaxAccECN]uint32  // byte counters of 24 bits in wire order; the first NAccECN count
	MSS          uint16             // bytes
	UTO          uint16             // as on the wire: bit 15 minutes instead of seconds, then 15 bits of number
	Has          OptionSet
	WScale       uint8 // shift count as sent; above 14 the receiver uses 14, RFC 7323 §2.3
	NSACK        uint8
	NFastOpen    uint8 // bytes of the cookie: 0 asks for one, else 4 to 16
	NAccECN      uint8
	AccECNOrder  uint8             // 0: kind 172, counters E0B, CEB, E1B; 1: kind 174, counters E1B, CEB, E0B
	FastOpen     [MaxFastOpen]byte // the cookie
}

// Reset empties o without touching what the counts and bits hide.
func (o *TCPOptions) Reset() { o.Has, o.NSACK, o.NFastOpen, o.NAccECN = 0, 0, 0, 0 }

// Parse reads the options of a segment, at any alignment, and replaces what o
// held. Unknown options are skipped by their length (RFC 9293 MUST-6). A length
// of 0 or 1, one beyond the end, or one that a known option cannot have sets
// HasBad and ends parsing; what came before counts (MUST-7). Of duplicates the
// first wins. MSS, window scale, SACK-permitted and fast open cookie are
// skipped unless syn, that is, the segment has the SYN flag. SACK blocks beyond
// the fourth are ignored.
func (o *TCPOptions) Parse(b []byte, syn bool) {
	o.Reset()
	if len(b) == 12 && binary.BigEndian.Uint32(b) == nopNopTimestamp {
		// What almost every segment of an established connection has.
		o.TSVal, o.TSEcr = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
		o.Has = HasTimestamps
		return
	}
	for range maxOptionSteps {
		if len(b) == 0 || b[0] == TCPOptEOL {
			return
		}
		if b[0] == TCPOptNOP {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			o.Has |= HasBad
			return
		}
		kind, n := b[0], int(b[1])
		if !o.parseOne(kind, b[2:n], syn) {
			o.Has |= HasBad
			return
		}
		b = b[n:]
	}
}

// parseOne takes the data of one option, and reports whether its length is one
// that the kind allows.
func (o *TCPOptions) parseOne(kind byte, data []byte, syn bool) bool {
	switch kind {
	case TCPOptMSS, TCPOptWScale, TCPOptSACKPermitted, TCPOptFastOpen:
		return !syn || o.parseSYN(kind, data)
	case TCPOptTimestamps:
		if len(data) != 8 {
			return false
		}
		if o.Has&HasTimestamps == 0 {
			o.TSVal, o.TSEcr = binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
			o.Has |= HasTimestamps
		}
	case TCPOptSACK:
		if len(data) == 0 || len(data)%8 != 0 {
			return false
		}
		if o.Has&HasSACK == 0 {
			o.parseSACK(data)
		}
	case TCPOptUTO:
		if len(data) != 2 {
			return false
		}
		if o.Has&HasUTO == 0 {
			o.UTO = binary.BigEndian.Uint16(data)
			o.Has |= HasUTO
		}
	case TCPOptAccECN0, TCPOptAccECN1:
		if o.Has&HasAccECN == 0 {
			o.parseAccECN(kind, data)
		}
	}
	return true
}

// parseSYN takes an option that counts only on a SYN.
func (o *TCPOptions) parseSYN(kind byte, data []byte) bool {
	switch kind {
	case TCPOptMSS:
		if len(data) != 2 {
			return false
		}
		if o.Has&HasMSS == 0 {
			o.MSS = binary.BigEndian.Uint16(data)
			o.Has |= HasMSS
		}
	case TCPOptWScale:
		if len(data) != 1 {
			return false
		}
		if o.Has&HasWScale == 0 {
			o.WScale = data[0]
			o.Has |= HasWScale
		}
	case TCPOptSACKPermitted:
		if len(data) != 0 {
			return false
		}
		o.Has |= HasSACKPermitted
	case TCPOptFastOpen:
		// RFC 7413 §4.1.1: a cookie of invalid length is ignored, no more.
		n := len(data)
		valid := n == 0 || n >= minFastOpen && n <= MaxFastOpen && n%2 == 0
		if valid && o.Has&HasFastOpen == 0 {
			o.NFastOpen = uint8(copy(o.FastOpen[:], data))
			o.Has |= HasFastOpen
		}
	}
	return true
}

func (o *TCPOptions) parseSACK(data []byte) {
	n := min(len(data)/8, MaxSACK)
	for i := range n {
		o.SACK[i][0] = binary.BigEndian.Uint32(data[8*i:])
		o.SACK[i][1] = binary.BigEndian.Uint32(data[8*i+4:])
	}
	o.NSACK = uint8(n)
	o.Has |= HasSACK
}

// parseAccECN takes the whole counters there are; bytes beyond them belong to
// lengths that RFC 9768 §3.2.3 leaves to the future.
func (o *TCPOptions) parseAccECN(kind byte, data []byte) {
	n := min(len(data)/3, MaxAccECN)
	for i := range n {
		p := data[3*i : 3*i+3]
		o.AccECN[i] = uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
	}
	o.NAccECN = uint8(n)
	o.AccECNOrder = (kind - TCPOptAccECN0) / 2
	o.Has |= HasAccECN
}
