package wire

// Error says why a packet is not what its header claims. It is one byte,
// comparable with == and free of allocation, so that a flood of bad packets
// costs nothing but a counter; String forms are for people.
type Error uint8

// The reasons for which parsing fails.
const (
	ErrShort    Error = iota + 1 // the bytes end before the header does
	ErrLength                    // a length field points beyond the packet, or below what it must cover
	ErrVersion                   // the version of IP is another one
	ErrHeader                    // the header length is below the minimum or beyond the packet
	ErrChecksum                  // the checksum does not match
	ErrOption                    // an option has an illegal length
	ErrType                      // a type, code or protocol field is not the one expected
	ErrAddr                      // an address is not allowed in its place
)

// Error returns the reason in words.
func (e Error) Error() string {
	switch e {
	case ErrShort:
		return "wire: truncated packet"
	case ErrLength:
		return "wire: length field does not fit the packet"
	case ErrVersion:
		return "wire: wrong IP version"
	case ErrHeader:
		return "wire: impossible header length"
	case ErrChecksum:
		return "wire: wrong checksum"
	case ErrOption:
		return "wire: illegal option length"
	case ErrType:
		return "wire: unexpected type"
	case ErrAddr:
		return "wire: address not allowed here"
	}
	return "wire: unknown error"
}
