package pcap

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"strings"
	"time"
)

// openSection reads a Section Header Block, which may change the byte order
// and ends the life of all interfaces.
func (f *Reader) openSection() error {
	f.at = f.next
	h, err := f.read(0, 12)
	if err != nil {
		return err
	}
	switch binary.LittleEndian.Uint32(h[8:]) {
	case byteOrderMagic:
		f.order = binary.LittleEndian
	case bits.ReverseBytes32(byteOrderMagic):
		f.order = binary.BigEndian
	default:
		return ErrFormat
	}
	body, err := f.body(f.order.Uint32(h[4:]), 12)
	if err != nil {
		return err
	}
	if len(body) < 12 || f.order.Uint16(body) != 1 { // major version
		return ErrFormat
	}
	f.ifaces = f.ifaces[:0]
	return nil
}

// body reads the rest of a block of total bytes, of which the first have bytes
// are in the buffer, and checks the length behind it. It returns the body
// from those bytes on.
func (f *Reader) body(total uint32, have int) ([]byte, error) {
	switch {
	case total&3 != 0 || int64(total) < int64(have)+4:
		return nil, ErrFormat
	case total > maxBlock:
		return nil, ErrTooBig
	}
	b, err := f.read(have, int(total)-have)
	if err != nil {
		return nil, short(err)
	}
	if f.order.Uint32(b[len(b)-4:]) != total {
		return nil, ErrFormat
	}
	return b[:len(b)-4], nil
}

// skip passes over a block that is not looked into, in constant memory.
func (f *Reader) skip(total uint32) error {
	if total&3 != 0 || total < 12 {
		return ErrFormat
	}
	n, err := io.CopyN(io.Discard, f.r, int64(total)-8)
	f.next += n
	if err != nil {
		return short(err)
	}
	return nil
}

// nextNG reads blocks up to the next one with a packet.
func (f *Reader) nextNG() (Packet, error) {
	for {
		f.at = f.next
		head, err := f.r.Peek(8)
		if err != nil {
			if len(head) == 0 {
				return Packet{}, err
			}
			return Packet{}, short(err)
		}
		kind := f.order.Uint32(head)
		if kind == blockSection {
			if err := f.openSection(); err != nil {
				return Packet{}, err
			}
			continue
		}
		if _, err := f.read(0, 8); err != nil {
			return Packet{}, err
		}
		p, found, err := f.oneBlock(kind, f.order.Uint32(f.block[4:]))
		if err != nil || found {
			return p, err
		}
	}
}

// oneBlock reads the block whose first eight bytes are in the buffer. Unknown
// blocks are skipped, as the format asks.
func (f *Reader) oneBlock(kind, total uint32) (p Packet, found bool, err error) {
	switch kind {
	case blockInterface, blockStatistics, blockEnhanced, blockSimple, blockPacketOld:
	default:
		return p, false, f.skip(total)
	}
	b, err := f.body(total, 8)
	if err != nil {
		return p, false, err
	}
	switch kind {
	case blockInterface:
		return p, false, f.addInterface(b)
	case blockStatistics:
		return p, false, f.statistics(b)
	case blockSimple:
		p, err = f.simple(b)
	case blockPacketOld:
		p, err = f.obsolete(b)
	default:
		p, err = f.enhanced(b)
	}
	return p, true, err
}

func (f *Reader) addInterface(b []byte) error {
	if len(b) < 8 {
		return ErrFormat
	}
	if len(f.ifaces) >= MaxInterfaces {
		return ErrInterface
	}
	i := Interface{Link: LinkType(f.order.Uint16(b)), SnapLen: int(f.order.Uint32(b[4:]) & 0x7fffffff), unit: 1e6}
	err := f.options(b[8:], func(code uint16, v []byte) bool {
		switch code {
		case optIfName:
			i.Name = text(v)
		case optIfTsresol:
			var ok bool
			i.unit, ok = resolution(v)
			return ok
		case optIfTsoffset:
			if len(v) != 8 {
				return false
			}
			i.offset = int64(f.order.Uint64(v))
		}
		return true
	})
	f.ifaces = append(f.ifaces, i)
	return err
}

// resolution returns the ticks per second: a power of ten or, with the highest
// bit set, of two. Finer than 2^-63 s or 10^-19 s cannot be held.
func resolution(v []byte) (unit uint64, ok bool) {
	if len(v) != 1 {
		return 0, false
	}
	n := v[0] & 0x7f
	if v[0]&0x80 != 0 {
		return 1 << (n & 63), n < 64
	}
	if n > 19 {
		return 0, false
	}
	unit = 1
	for range n {
		unit *= 10
	}
	return unit, true
}

// instant returns the time that a count of ticks stands for.
func (i *Interface) instant(ticks uint64) time.Time {
	sec, rest := ticks/i.unit, ticks%i.unit
	hi, lo := bits.Mul64(rest, 1e9)
	ns, _ := bits.Div64(hi, lo, i.unit) // rest < unit: the quotient is below 1e9
	if sec > math.MaxInt64/4 {
		sec = math.MaxInt64 / 4
	}
	offset := max(math.MinInt64/4, min(i.offset, math.MaxInt64/4))
	return time.Unix(int64(sec)+offset, int64(ns)).UTC()
}

func (f *Reader) statistics(b []byte) error {
	if len(b) < 12 {
		return ErrFormat
	}
	n := f.order.Uint32(b)
	if int64(n) >= int64(len(f.ifaces)) {
		return ErrInterface
	}
	i := &f.ifaces[n]
	return f.options(b[12:], func(code uint16, v []byte) bool {
		switch {
		case code == optISBRecv && len(v) == 8:
			i.Received = f.order.Uint64(v)
		case code == optISBDrop && len(v) == 8:
			i.Dropped = f.order.Uint64(v)
		}
		return true
	})
}

// enhanced reads an Enhanced Packet Block's body.
func (f *Reader) enhanced(b []byte) (Packet, error) {
	if len(b) < 20 {
		return Packet{}, ErrFormat
	}
	ticks := uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:]))
	return f.packet(f.order.Uint32(b), ticks, f.order.Uint32(b[12:]), f.order.Uint32(b[16:]), b[20:])
}

// obsolete reads a Packet Block's body: the same with a smaller interface
// number and a count of drops.
func (f *Reader) obsolete(b []byte) (Packet, error) {
	if len(b) < 20 {
		return Packet{}, ErrFormat
	}
	ticks := uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:]))
	return f.packet(uint32(f.order.Uint16(b)), ticks, f.order.Uint32(b[12:]), f.order.Uint32(b[16:]), b[20:])
}

func (f *Reader) packet(iface uint32, ticks uint64, n, orig uint32, rest []byte) (Packet, error) {
	if int64(iface) >= int64(len(f.ifaces)) {
		return Packet{}, ErrInterface
	}
	if n > MaxPacket {
		return Packet{}, ErrTooBig
	}
	padded := (int(n) + 3) &^ 3
	if padded > len(rest) {
		return Packet{}, ErrFormat
	}
	i := &f.ifaces[iface]
	p := Packet{
		At: i.instant(ticks), Interface: int(iface), Link: i.Link,
		Data: rest[:n:n], OrigLen: int(orig),
	}
	var comments []string
	err := f.options(rest[padded:], func(code uint16, v []byte) bool {
		switch code {
		case optComment:
			comments = append(comments, text(v))
		case optEPBFlags:
			if len(v) != 4 {
				return false
			}
			if d := Direction(f.order.Uint32(v) & 3); d <= Out {
				p.Dir = d
			}
		}
		return true
	})
	p.Comment = strings.Join(comments, "\n")
	return p, err
}

// simple reads a Simple Packet Block's body: no time, and the captured length
// is what the snapshot length of the first interface leaves.
func (f *Reader) simple(b []byte) (Packet, error) {
	if len(b) < 4 {
		return Packet{}, ErrFormat
	}
	if len(f.ifaces) == 0 {
		return Packet{}, ErrInterface
	}
	i := &f.ifaces[0]
	orig := f.order.Uint32(b)
	n := int64(orig)
	if i.SnapLen > 0 {
		n = min(n, int64(i.SnapLen))
	}
	n = min(n, int64(len(b)-4))
	if n > MaxPacket {
		return Packet{}, ErrTooBig
	}
	return Packet{Link: i.Link, Data: b[4 : 4+n : 4+n], OrigLen: int(orig)}, nil
}

// options calls each for the options of a block, until the end-of-options one
// or the end of the block; false from it means a value that cannot be.
func (f *Reader) options(b []byte, each func(code uint16, v []byte) bool) error {
	for range maxOptions {
		if len(b) == 0 {
			return nil
		}
		if len(b) < 4 {
			return ErrFormat
		}
		code, n := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		if code == optEnd {
			return nil
		}
		padded := (n + 3) &^ 3
		if padded > len(b)-4 {
			return ErrFormat
		}
		if !each(code, b[4:4+n]) {
			return ErrFormat
		}
		b = b[4+padded:]
	}
	return ErrFormat
}

// text returns an option's string, which may end in zeros, as valid UTF-8.
func text(v []byte) string {
	return strings.ToValidUTF8(strings.TrimRight(string(v), "\x00"), "\uFFFD")
}
