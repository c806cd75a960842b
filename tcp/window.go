package tcp

import "github.com/handfast/handfast/wire"

// newEdge is where the right edge of the receive window could be: as far as
// there is room for payload, and as the buffers that pin it allow.
func (c *TCB) newEdge() Seq {
	free := int(c.rcv.size) - int(c.rcv.queue.n)
	charged := int(c.rcv.queue.charged)
	if c.rcv.ooo != nil {
		charged += int(c.rcv.ooo.charged)
	}
	// Small payloads in large buffers: the window follows the true size.
	free = min(free, max(0, 4*int(c.rcv.size)-charged))
	if 2*free < int(c.rcv.size) && c.level() != LevelNormal {
		// Whose program lags behind has nothing to gain from a large window. Linux
		// offers so much, too.
		free = min(free, 4*int(c.rcv.MSS))
	}
	if c.has(fRcvClosed) {
		free = int(c.rcv.size)
	}
	return c.rcv.NXT.Add(max(0, free))
}

// advertise returns the window field for a segment sent now and remembers the
// right edge it promises.
//
// The edge never moves left (RFC 9293 §3.8.6, SHLD-14), and right only by a
// worthwhile step (§3.8.6.2.2, MUST-39). What the scale cannot express is
// rounded down when the edge moves, and up when rounding down would shrink the
// window. But each rounding up moves the edge on, and segments smaller than the
// scale's unit would move it for ever: beyond the end of the buffers it is
// rounded down, and what was offered before is still taken (RFC 7323 §2.4).
func (c *TCB) advertise() uint16 {
	edge, end := c.rcv.edge, c.newEdge()
	if end.Sub(edge) >= int(min(max(c.rcv.size/2, 1), uint32(c.rcv.MSS))) {
		edge = end
	}
	unit := uint32(1) << c.rcv.scale
	field := uint32(max(0, edge.Sub(c.rcv.NXT))) >> c.rcv.scale
	if up := (c.rcv.WND() + unit - 1) >> c.rcv.scale; up > field && (c.rcv.NXT+Seq(up<<c.rcv.scale)).Sub(end) < int(unit) {
		field = up
	}
	field = min(field, 65535)
	if e := c.rcv.NXT + Seq(field<<c.rcv.scale); c.rcv.edge.Less(e) {
		c.rcv.edge = e
	}
	c.rcv.lastACK = c.rcv.NXT
	return uint16(field)
}

// synWindow is the window field of a SYN or SYN-ACK, which is never scaled (RFC
// 7323 §2.2): what the buffer takes of whole segments of mss bytes, as Linux
// counts them.
func synWindow(size, mss uint32) uint16 {
	if size > mss && mss > 0 {
		size -= size % mss
	}
	return uint16(min(size, 65535))
}

// sndWindow reads the window of a segment.
func (c *TCB) sndWindow(seg *Segment) uint32 {
	if seg.Flags&wire.FlagSYN != 0 || seg.unscaled {
		return uint32(seg.WND)
	}
	return uint32(seg.WND) << c.snd.scale
}

// usable is how much more the peer's window takes from SND.NXT on; negative
// when the peer took back what it had offered (RFC 9293 §3.8.6, MUST-34).
func (c *TCB) usable() int { return c.snd.UNA.Add(int(c.snd.WND)).Sub(c.snd.NXT) }
