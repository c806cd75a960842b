// Package pcap records packets to a file that Wireshark, tshark and tcpdump
// open, and reads such files back.
//
// A Writer makes a pcapng file: nanosecond timestamps, the direction of each
// packet, and what the stack had to say about it as the packet's comment.
// Record wraps a link.Device so that everything that passes is written down. A
// Reader takes pcapng and the older pcap format, of either byte order.
//
// The format is draft-ietf-opsawg-pcapng; the older one is
// draft-ietf-opsawg-pcap.
package pcap

import "strconv"

// LinkType says what a captured packet begins with. The numbers are those of
// the registry of link types; a Reader passes on any, a Writer takes those two
// whose checksums it can finish.
type LinkType uint16

// The link types that handfast's devices have.
const (
	Ethernet LinkType = 1
	Raw      LinkType = 101 // an IPv4 or IPv6 header, told apart by the version
)

// String returns the registry's name of the link types above, the number of
// others.
func (l LinkType) String() string {
	switch l {
	case Ethernet:
		return "ETHERNET"
	case Raw:
		return "RAW"
	}
	return "LINKTYPE_" + strconv.Itoa(int(l))
}

// Direction says which way a packet went, seen from the host that captured it.
type Direction uint8

// The directions, at the values of the epb_flags option.
const (
	Unknown Direction = iota
	In
	Out
)

// String returns "in", "out" or "unknown".
func (d Direction) String() string {
	switch d {
	case In:
		return "in"
	case Out:
		return "out"
	}
	return "unknown"
}

// Error is what is wrong with a file or a call; errors that a Reader returns
// wrap one of these and say where in the file.
type Error uint8

// The errors.
const (
	ErrFormat    Error = iota + 1 // the bytes are not of either format
	ErrTooBig                     // a block or packet above MaxPacket
	ErrInterface                  // an interface number that was not announced, or too many of them
	ErrLinkType                   // a link type that the Writer does not take
	ErrClosed                     // the Writer was closed
)

// Error returns the error's text.
func (e Error) Error() string {
	switch e {
	case ErrFormat:
		return "pcap: malformed capture file"
	case ErrTooBig:
		return "pcap: block or packet too big"
	case ErrInterface:
		return "pcap: unknown or too many interfaces"
	case ErrLinkType:
		return "pcap: link type must be RAW or ETHERNET"
	case ErrClosed:
		return "pcap: writer is closed"
	}
	return "pcap: error"
}

const (
	// MaxPacket bounds a captured packet, in bytes. It is above the largest
	// super-segment with all its headers (64 KiB) and at the largest snapshot
	// length that capture programs use by default.
	MaxPacket = 256 << 10
	// MaxInterfaces bounds the interfaces of one section of a file.
	MaxInterfaces = 1024
	// MaxComment bounds a comment, in bytes: an option's length has 16 bits and
	// is padded to 4.
	MaxComment = 65532
	// maxBlock bounds a block that the Reader takes apart: a packet, and its
	// options. Blocks of other types are skipped, whatever their size.
	maxBlock = MaxPacket + 256<<10
	// maxOptions bounds the options of one block.
	maxOptions = 256
)

// Block types and options of pcapng. All blocks are: type, total length, body
// padded to four bytes, total length again.
const (
	blockSection    = 0x0A0D0D0A
	blockInterface  = 1
	blockPacketOld  = 2 // obsolete, but found in old files
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6

	byteOrderMagic = 0x1A2B3C4D

	optEnd        = 0
	optComment    = 1
	optSHBAppl    = 4
	optIfName     = 2
	optIfTsresol  = 9
	optIfTsoffset = 14
	optEPBFlags   = 2
	optISBStart   = 2
	optISBEnd     = 3
	optISBRecv    = 4
	optISBDrop    = 5
)

// Magic numbers of the older format, as its writer's own byte order shows them.
const (
	magicMicros = 0xA1B2C3D4
	magicNanos  = 0xA1B23C4D
)
