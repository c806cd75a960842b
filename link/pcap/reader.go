package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// Interface is what a file says about one interface.
type Interface struct {
	Name     string
	Link     LinkType
	SnapLen  int    // bytes kept of each packet; 0: no limit
	Received uint64 // packets, from its statistics at the end of the section
	Dropped  uint64 // by the interface, from the same place

	unit   uint64 // ticks of the clock per second
	offset int64  // seconds to add
}

// Packet is one packet of a file.
type Packet struct {
	At        time.Time // UTC, to the resolution of the file; zero when not recorded
	Interface int       // number in its section
	Link      LinkType
	Dir       Direction
	Data      []byte // valid until the next call of NextPacket
	OrigLen   int    // bytes on the wire; more than len(Data) when it was cut
	Comment   string // all comments of the packet, one per line
}

// Reader reads a pcapng file or one of the older pcap format, in either byte
// order. Files may be damaged or hostile: a Reader never panics and holds one
// block in memory at most. It is not safe for concurrent use.
type Reader struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	ifaces []Interface
	block  []byte
	at     int64 // offset in the file, of the block being read
	next   int64 // offset behind it
	ng     bool
	err    error
}

// NewReader reads the beginning of a file. It returns ErrFormat if it is
// neither format, and the error of r.
func NewReader(r io.Reader) (*Reader, error) {
	f := &Reader{r: bufio.NewReaderSize(r, 64<<10), order: binary.LittleEndian}
	magic, err := f.r.Peek(4)
	if err != nil {
		return nil, f.fail(short(err))
	}
	f.ng = binary.LittleEndian.Uint32(magic) == blockSection
	if f.ng {
		err = f.openSection()
	} else {
		err = f.openClassic(binary.LittleEndian.Uint32(magic))
	}
	if err != nil {
		return nil, f.fail(err)
	}
	return f, nil
}

// Interfaces returns the interfaces of the current section, as far as they are
// known: in pcapng they may be announced, and their statistics given, later.
// The slice is valid until the next call of NextPacket.
func (f *Reader) Interfaces() []Interface { return f.ifaces }

// NextPacket returns the next packet. At the end of the file the error is
// io.EOF; in the midst of a block it is io.ErrUnexpectedEOF, else ErrFormat,
// ErrTooBig, ErrInterface or the underlying reader's, wrapped with the place.
// After an error every call returns the same.
func (f *Reader) NextPacket() (Packet, error) {
	if f.err != nil {
		return Packet{}, f.err
	}
	var p Packet
	var err error
	if f.ng {
		p, err = f.nextNG()
	} else {
		p, err = f.nextClassic()
	}
	if err != nil {
		return Packet{}, f.fail(err)
	}
	return p, nil
}

// fail keeps the error with its place; the ordinary end needs none.
func (f *Reader) fail(err error) error {
	f.err = err
	if err != io.EOF {
		f.err = fmt.Errorf("%w (at byte %d)", err, f.at)
	}
	return f.err
}

// short makes an end within something what it is.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// read returns the next n bytes, in the Reader's one buffer, behind the keep
// bytes that are there already.
func (f *Reader) read(keep, n int) ([]byte, error) {
	if keep+n > cap(f.block) {
		grown := make([]byte, keep+n)
		copy(grown, f.block[:keep])
		f.block = grown
	}
	f.block = f.block[:keep+n]
	m, err := io.ReadFull(f.r, f.block[keep:])
	f.next += int64(m)
	if err != nil {
		if keep == 0 && err == io.EOF {
			return nil, io.EOF
		}
		return nil, short(err)
	}
	return f.block[keep:], nil
}

// openClassic reads the 24 bytes of the older format's header.
func (f *Reader) openClassic(magic uint32) error {
	unit := uint64(1e6)
	switch magic {
	case magicMicros:
	case magicNanos:
		unit = 1e9
	case bits.ReverseBytes32(magicMicros):
		f.order = binary.BigEndian
	case bits.ReverseBytes32(magicNanos):
		f.order, unit = binary.BigEndian, 1e9
	default:
		return ErrFormat
	}
	h, err := f.read(0, 24)
	if err != nil {
		return short(err)
	}
	if f.order.Uint16(h[4:]) != 2 {
		return ErrFormat
	}
	// The upper bits of the link type tell of frame check sequences.
	f.ifaces = []Interface{{
		Link:    LinkType(f.order.Uint32(h[20:]) & 0xffff),
		SnapLen: int(f.order.Uint32(h[16:]) & 0x7fffffff),
		unit:    unit,
	}}
	return nil
}

// nextClassic reads a record: seconds, fraction, captured and original length.
func (f *Reader) nextClassic() (Packet, error) {
	f.at = f.next
	h, err := f.read(0, 16)
	if err != nil {
		return Packet{}, err
	}
	sec, frac := f.order.Uint32(h), f.order.Uint32(h[4:])
	n, orig := f.order.Uint32(h[8:]), f.order.Uint32(h[12:])
	if n > MaxPacket {
		return Packet{}, ErrTooBig
	}
	data, err := f.read(16, int(n))
	if err != nil {
		return Packet{}, short(err)
	}
	ns := uint64(frac) * (1e9 / f.ifaces[0].unit)
	return Packet{
		At: time.Unix(int64(sec), int64(ns)).UTC(), Link: f.ifaces[0].Link,
		Data: data, OrigLen: int(orig),
	}, nil
}
