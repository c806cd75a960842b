package sim

import (
	"encoding/binary"
	"io"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// capture writes a pcapng file (draft-ietf-opsawg-pcapng): one interface of
// link type RAW per host, nanoseconds, the direction of each packet. A World
// knows no devices, so link/pcap is not for it; its packets have no checksums
// left to finish.
type capture struct {
	out   io.Writer
	buf   []byte
	known map[*Host]uint32
	err   error
}

const (
	captureBuffer = 64 << 10
	linkTypeRaw   = 101
)

func newCapture(out io.Writer) *capture {
	c := &capture{out: out, known: map[*Host]uint32{}}
	start := c.begin(0x0A0D0D0A)
	c.u32(0x1A2B3C4D, 1) // byte order; version 1.0
	c.u32(0xffffffff, 0xffffffff)
	c.end(start)
	return c
}

// packet records one packet.
func (c *capture) packet(h *Host, at mono.Time, out bool, p *pkt.Packet) {
	if c == nil || c.err != nil {
		return
	}
	id, ok := c.known[h]
	if !ok {
		id = uint32(len(c.known))
		c.known[h] = id
		start := c.begin(1)
		c.u32(linkTypeRaw, 0)
		c.option(2, []byte(h.name))
		c.option(9, []byte{9}) // 10^-9 s
		c.u32(0)
		c.end(start)
	}
	n := uint32(p.Len())
	start := c.begin(6)
	c.u32(id, uint32(uint64(at)>>32), uint32(at), n, n)
	c.buf = p.AppendTo(c.buf)
	c.pad(int(n))
	direction := byte(1)
	if out {
		direction = 2
	}
	c.option(2, []byte{direction, 0, 0, 0})
	c.u32(0)
	c.end(start)
	if len(c.buf) >= captureBuffer {
		c.flush()
	}
}

// close writes what is gathered and returns the first error.
func (c *capture) close() error {
	if c == nil {
		return nil
	}
	c.flush()
	return c.err
}

func (c *capture) flush() {
	if c.err == nil && len(c.buf) > 0 {
		_, c.err = c.out.Write(c.buf)
	}
	c.buf = c.buf[:0]
}

func (c *capture) begin(kind uint32) int {
	start := len(c.buf)
	c.u32(kind, 0)
	return start
}

func (c *capture) end(start int) {
	n := uint32(len(c.buf) - start + 4)
	c.u32(n)
	binary.LittleEndian.PutUint32(c.buf[start+4:], n)
}

func (c *capture) u32(values ...uint32) {
	for _, v := range values {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, v)
	}
}

func (c *capture) option(code uint16, value []byte) {
	c.buf = binary.LittleEndian.AppendUint16(c.buf, code)
	c.buf = binary.LittleEndian.AppendUint16(c.buf, uint16(len(value)))
	c.buf = append(c.buf, value...)
	c.pad(len(value))
}

func (c *capture) pad(n int) {
	for ; n&3 != 0; n++ {
		c.buf = append(c.buf, 0)
	}
}
