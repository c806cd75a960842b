package wire

import "encoding/binary"

// Lengths of the TCP header in bytes. RFC 9293 §3.1.
const (
	TCPMinLen    = 20                    // without options
	TCPMaxLen    = 60                    // data offset 15
	TCPMaxOptLen = TCPMaxLen - TCPMinLen // room for options
)

// TCPFlags are the nine control bits of RFC 9293 §3.1 and RFC 9768 §3.1.
type TCPFlags uint16

// The control bits.
const (
	FlagFIN TCPFlags = 1 << iota // no more data from the sender
	FlagSYN                      // synchronise sequence numbers
	FlagRST                      // reset the connection
	FlagPSH                      // push
	FlagACK                      // the acknowledgment field is significant
	FlagURG                      // the urgent pointer is significant
	FlagECE                      // ECN echo, RFC 3168
	FlagCWR                      // congestion window reduced, RFC 3168
	FlagAE                       // accurate ECN, RFC 9768
)

// flagMask covers the nine bits; the three above them are reserved.
const flagMask TCPFlags = 0x1ff

// flagLetters are the flags in the order and the letters of script notation.
var flagLetters = [...]struct {
	flag   TCPFlags
	letter byte
}{
	{FlagSYN, 'S'}, {FlagFIN, 'F'}, {FlagRST, 'R'}, {FlagPSH, 'P'}, {FlagACK, '.'},
	{FlagURG, 'U'}, {FlagECE, 'E'}, {FlagCWR, 'W'}, {FlagAE, 'A'},
}

// AppendTo appends the letters of script notation: S F R P . U E W A for SYN,
// FIN, RST, PSH, ACK, URG, ECE, CWR and AE, or "-" if no flag is set.
func (f TCPFlags) AppendTo(dst []byte) []byte {
	if f&flagMask == 0 {
		return append(dst, '-')
	}
	for i := range flagLetters {
		if f&flagLetters[i].flag != 0 {
			dst = append(dst, flagLetters[i].letter)
		}
	}
	return dst
}

// String returns the flags as AppendTo writes them, such as "S." for SYN and
// ACK.
func (f TCPFlags) String() string {
	var b [len(flagLetters)]byte
	return string(f.AppendTo(b[:0]))
}

// TCP is a segment with a header whose lengths ParseTCP has checked, or the
// header alone.
type TCP []byte

// ParseTCP returns the view of a segment: header, options and payload, which
// reaches to the end of b. It fails with ErrShort below 20 bytes and with
// ErrHeader if the data offset is below 5 words or beyond b. The checksum is
// not looked at: see ChecksumOK.
func ParseTCP(b []byte) (TCP, error) {
	if len(b) < TCPMinLen {
		return nil, ErrShort
	}
	if n := int(b[12]>>4) * 4; n < TCPMinLen || n > len(b) {
		return nil, ErrHeader
	}
	return TCP(b), nil
}

// SrcPort returns the source port.
func (t TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(t[0:2]) }

// DstPort returns the destination port.
func (t TCP) DstPort() uint16 { return binary.BigEndian.Uint16(t[2:4]) }

// Seq returns the sequence number of the first octet, or of the SYN.
func (t TCP) Seq() uint32 { return binary.BigEndian.Uint32(t[4:8]) }

// Ack returns the acknowledgment number, significant with FlagACK.
func (t TCP) Ack() uint32 { return binary.BigEndian.Uint32(t[8:12]) }

// HeaderLen returns the length of header and options in bytes, 20 to 60.
func (t TCP) HeaderLen() int { return int(t[12]>>4) * 4 }

// Flags returns the nine control bits.
func (t TCP) Flags() TCPFlags { return TCPFlags(binary.BigEndian.Uint16(t[12:14])) & flagMask }

// Window returns the window field, unscaled and unsigned. RFC 9293 MUST-1.
func (t TCP) Window() uint16 { return binary.BigEndian.Uint16(t[14:16]) }

// Checksum returns the stored checksum.
func (t TCP) Checksum() uint16 { return binary.BigEndian.Uint16(t[16:18]) }

// Urgent returns the urgent pointer, significant with FlagURG.
func (t TCP) Urgent() uint16 { return binary.BigEndian.Uint16(t[18:20]) }

// Options returns the bytes of the options, a multiple of four.
func (t TCP) Options() []byte { return t[TCPMinLen:t.HeaderLen()] }

// Payload returns the bytes after the header.
func (t TCP) Payload() []byte { return t[t.HeaderLen():] }

// ChecksumOK reports whether the checksum is right for a whole segment between
// two addresses. RFC 9293 MUST-3.
func (t TCP) ChecksumOK(src, dst *Addr) bool {
	return Sum(t, PseudoSum(src, dst, ProtoTCP, uint32(len(t)))) == 0xffff
}

// SetChecksum stores a checksum, as Finish returns it.
func (t TCP) SetChecksum(c uint16) { binary.BigEndian.PutUint16(t[16:18], c) }

// SetSeq stores the sequence number and leaves the checksum alone.
func (t TCP) SetSeq(seq uint32) { binary.BigEndian.PutUint32(t[4:8], seq) }

// SetAck stores the acknowledgment number and leaves the checksum alone.
func (t TCP) SetAck(ack uint32) { binary.BigEndian.PutUint32(t[8:12], ack) }

// SetWindow stores the window field and leaves the checksum alone.
func (t TCP) SetWindow(wnd uint16) { binary.BigEndian.PutUint16(t[14:16], wnd) }

// SetFlags stores the nine control bits and leaves the checksum alone.
func (t TCP) SetFlags(f TCPFlags) {
	t[12] = t[12]&^1 | byte(f&flagMask>>8)
	t[13] = byte(f)
}

// PutTCP writes the fixed part of a header. b is the whole header with the
// room for options, 20 to 60 bytes and a multiple of four: its length becomes
// the data offset. The checksum is set to 0, reserved bits are 0, and the
// options are left to TCPOptions.Put.
func PutTCP(b []byte, src, dst uint16, seq, ack uint32, flags TCPFlags, wnd, urg uint16) {
	_ = b[TCPMinLen-1]
	binary.BigEndian.PutUint16(b[0:2], src)
	binary.BigEndian.PutUint16(b[2:4], dst)
	binary.BigEndian.PutUint32(b[4:8], seq)
	binary.BigEndian.PutUint32(b[8:12], ack)
	binary.BigEndian.PutUint16(b[12:14], uint16(len(b)/4)<<12|uint16(flags&flagMask))
	binary.BigEndian.PutUint16(b[14:16], wnd)
	binary.BigEndian.PutUint16(b[16:18], 0)
	binary.BigEndian.PutUint16(b[18:20], urg)
}
