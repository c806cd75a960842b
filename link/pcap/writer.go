package pcap

import (
	"encoding/binary"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/handfast/handfast/pkt"
)

// writerBuffer is how many bytes a Writer gathers before it writes: some
// super-segments with their comments.
const writerBuffer = 256 << 10

// Writer writes a pcapng file. It gathers blocks in a buffer of 256 KiB and
// writes them when that is full, on Flush and on Close. The first error of the
// underlying writer is kept: all later calls return it, and nothing is written
// after it. A Writer is safe for concurrent use; its calls block only while the
// underlying writer does.
type Writer struct {
	mu     sync.Mutex
	w      io.Writer
	buf    []byte
	err    error
	ifaces []written
}

// written is what the Writer knows about an interface it announced.
type written struct {
	link        LinkType
	snap        int
	first, last uint64 // ns since the epoch
	packets     uint64
}

// NewWriter returns a Writer to w and begins the file's section. It does not
// close w.
func NewWriter(w io.Writer) *Writer {
	p := &Writer{w: w, buf: make([]byte, 0, writerBuffer)}
	start := p.begin(blockSection)
	p.u32(byteOrderMagic)
	p.u16(1) // version 1.0
	p.u16(0)
	p.u64(^uint64(0)) // length of the section: not given
	p.option(optSHBAppl, "handfast")
	p.endOptions()
	p.end(start)
	return p
}

// AddInterface announces an interface and returns its number, for WritePacket.
// snapLen is how many bytes of each packet are kept: 0, or more than MaxPacket,
// for MaxPacket. The errors are ErrLinkType, ErrInterface (more than
// MaxInterfaces), ErrClosed and those of the underlying writer.
func (p *Writer) AddInterface(name string, link LinkType, snapLen int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return 0, p.err
	case link != Raw && link != Ethernet:
		return 0, ErrLinkType
	case len(p.ifaces) >= MaxInterfaces:
		return 0, ErrInterface
	}
	if snapLen <= 0 || snapLen > MaxPacket {
		snapLen = MaxPacket
	}
	name = cutText(name, 255)
	p.room(len(name) + 64)
	start := p.begin(blockInterface)
	p.u16(uint16(link))
	p.u16(0)
	p.u32(uint32(snapLen))
	if name != "" {
		p.option(optIfName, name)
	}
	p.option(optIfTsresol, "\x09") // 10^-9 s
	p.endOptions()
	p.end(start)
	p.ifaces = append(p.ifaces, written{link: link, snap: snapLen})
	return len(p.ifaces) - 1, p.err
}

// WritePacket records one packet as it would be on the wire: a checksum that is
// still partial is finished in the file. The packet is only read, and stays the
// caller's. at before 1970 counts as 1970. comment, which may be empty, is cut
// to MaxComment bytes of UTF-8.
//
// A super-segment is recorded as one packet whose IP length and checksums
// cover all of it. That is what passed here, in its true order and at its true
// time, as captures of the kernel show it too; cutting it would invent instants
// and repeat one comment many times. Its comment tells the size of the cuts.
//
// The errors are ErrInterface, ErrTooBig, ErrClosed and those of the
// underlying writer.
func (p *Writer) WritePacket(at time.Time, iface int, dir Direction, q *pkt.Packet, comment string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := q.Len()
	start, err := p.packet(at, iface, dir, size, comment)
	if err != nil {
		return err
	}
	data := len(p.buf)
	p.buf = q.AppendTo(p.buf)
	finish(p.buf[data:], p.ifaces[iface].link, &q.Meta)
	p.finishPacket(start, data, iface, dir, q, comment)
	return p.err
}

// WriteBytes records one packet as it is. It is otherwise like WritePacket.
func (p *Writer) WriteBytes(at time.Time, iface int, dir Direction, b []byte, comment string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	start, err := p.packet(at, iface, dir, len(b), comment)
	if err != nil {
		return err
	}
	data := len(p.buf)
	p.buf = append(p.buf, b...)
	p.finishPacket(start, data, iface, dir, nil, comment)
	return p.err
}

// packet writes the fixed part of an Enhanced Packet Block. The captured length
// is put right by finishPacket: the whole packet must be in the buffer before
// its checksum can be finished and the rest cut off.
func (p *Writer) packet(at time.Time, iface int, dir Direction, size int, comment string) (start int, err error) {
	switch {
	case p.err != nil:
		return 0, p.err
	case iface < 0 || iface >= len(p.ifaces):
		return 0, ErrInterface
	case size > MaxPacket:
		return 0, ErrTooBig
	}
	p.room(size + min(len(comment), MaxComment) + 128)
	ns := sinceEpoch(at)
	f := &p.ifaces[iface]
	if f.packets == 0 || ns < f.first {
		f.first = ns
	}
	f.last = max(f.last, ns)
	f.packets++
	start = p.begin(blockEnhanced)
	p.u32(uint32(iface))
	p.u32(uint32(ns >> 32))
	p.u32(uint32(ns))
	p.u32(uint32(size))
	p.u32(uint32(size))
	return start, nil
}

func (p *Writer) finishPacket(start, data, iface int, dir Direction, q *pkt.Packet, comment string) {
	if snap := p.ifaces[iface].snap; len(p.buf)-data > snap {
		p.buf = p.buf[:data+snap]
		binary.LittleEndian.PutUint32(p.buf[start+20:], uint32(snap))
	}
	p.pad(len(p.buf) - data)
	p.comment(q, comment)
	if dir != Unknown {
		p.option(optEPBFlags, string([]byte{byte(dir & 3), 0, 0, 0}))
	}
	if len(p.buf) > p.optionsAt(start) {
		p.endOptions()
	}
	p.end(start)
}

// optionsAt returns where the options of the packet block at start begin.
func (p *Writer) optionsAt(start int) int {
	captured := int(binary.LittleEndian.Uint32(p.buf[start+20:]))
	return start + 28 + (captured+3)&^3
}

// comment writes the comment option: the caller's text, after what only the
// packet's Meta knows.
func (p *Writer) comment(q *pkt.Packet, text string) {
	var note [48]byte
	b := note[:0]
	if q != nil && q.Segs > 1 {
		b = appendGSO(b, &q.Meta)
		if text != "" {
			b = append(b, "; "...)
		}
	}
	text = cutText(text, MaxComment-len(b))
	if len(b)+len(text) == 0 {
		return
	}
	p.u16(optComment)
	p.u16(uint16(len(b) + len(text)))
	p.buf = append(append(p.buf, b...), text...)
	p.pad(len(b) + len(text))
}

// Flush writes what is gathered.
func (p *Writer) Flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
	return p.err
}

// Err returns the first error of the underlying writer, ErrClosed after Close,
// nil otherwise.
func (p *Writer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close writes each interface's statistics and what is gathered, and returns
// the first error. It does not close the underlying writer. A second Close
// returns ErrClosed.
func (p *Writer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.ifaces {
		p.statistics(i)
	}
	p.flush()
	err := p.err
	if err == nil {
		p.err = ErrClosed
	}
	return err
}

func (p *Writer) statistics(i int) {
	f := &p.ifaces[i]
	p.room(128)
	start := p.begin(blockStatistics)
	p.u32(uint32(i))
	p.u32(uint32(f.last >> 32))
	p.u32(uint32(f.last))
	if f.packets > 0 {
		p.timeOption(optISBStart, f.first)
		p.timeOption(optISBEnd, f.last)
	}
	p.u16(optISBRecv)
	p.u16(8)
	p.u64(f.packets)
	p.u16(optISBDrop)
	p.u16(8)
	p.u64(0)
	p.endOptions()
	p.end(start)
}

// room makes place for a block of n bytes, by writing out the ones before it.
func (p *Writer) room(n int) {
	if len(p.buf)+n > cap(p.buf) {
		p.flush()
	}
}

func (p *Writer) flush() {
	if p.err == nil && len(p.buf) > 0 {
		n, err := p.w.Write(p.buf)
		if err == nil && n < len(p.buf) {
			err = io.ErrShortWrite
		}
		p.err = err
	}
	p.buf = p.buf[:0]
}

func (p *Writer) begin(kind uint32) int {
	start := len(p.buf)
	p.u32(kind)
	p.u32(0) // total length, by end
	return start
}

func (p *Writer) end(start int) {
	n := uint32(len(p.buf) - start + 4)
	p.u32(n)
	binary.LittleEndian.PutUint32(p.buf[start+4:], n)
}

func (p *Writer) u16(v uint16) { p.buf = binary.LittleEndian.AppendUint16(p.buf, v) }
func (p *Writer) u32(v uint32) { p.buf = binary.LittleEndian.AppendUint32(p.buf, v) }
func (p *Writer) u64(v uint64) { p.buf = binary.LittleEndian.AppendUint64(p.buf, v) }

func (p *Writer) option(code uint16, value string) {
	p.u16(code)
	p.u16(uint16(len(value)))
	p.buf = append(p.buf, value...)
	p.pad(len(value))
}

func (p *Writer) timeOption(code uint16, ns uint64) {
	p.u16(code)
	p.u16(8)
	p.u32(uint32(ns >> 32))
	p.u32(uint32(ns))
}

func (p *Writer) endOptions() { p.u32(optEnd) }

// pad follows n bytes with zeros up to a multiple of four.
func (p *Writer) pad(n int) {
	for ; n&3 != 0; n++ {
		p.buf = append(p.buf, 0)
	}
}

// sinceEpoch returns t in ns since 1970; times before that are 0.
func sinceEpoch(t time.Time) uint64 {
	return uint64(max(0, t.UnixNano()))
}

// cutText returns the first n bytes of s, or fewer: no character is cut apart.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
