package tcp

import "github.com/handfast/handfast/wire"

// incoming is what a connection knows of the data it receives beyond the
// queues. An idle one has none (Trim).
type incoming struct {
	duplicate [2]Seq // octets that came again, reported by the next segment; empty: none
	tune      tuning
	used      bool // since Trim last looked
}

// receiving returns the connection's incoming, made when there is none.
func (c *TCB) receiving() *incoming {
	if c.in == nil {
		c.in = new(incoming)
	}
	c.in.used = true
	return c.in
}

// trimIncoming gives it back when nothing has come since the last time.
func (c *TCB) trimIncoming() {
	switch {
	case c.in == nil:
	case c.in.used || c.in.hasDuplicate():
		c.in.used = false
	default:
		c.in = nil
	}
}

func (in *incoming) hasDuplicate() bool { return in.duplicate[0] != in.duplicate[1] }

// noteDuplicate remembers that the octets from to to, to excluded, came though
// they were here already, for the D-SACK block of the next segment. RFC 2883
// §4. Duplicates that follow each other before a segment leaves are one block;
// otherwise the newest one counts, as it is its segment that is answered.
func (c *TCB) noteDuplicate(from, to Seq) {
	c.quickACKs() // a retransmission: its sender measures and recovers by our ACKs
	if !c.has(fSACK) || !from.Less(to) || c.cfg.NoDSACK {
		return
	}
	in := c.receiving()
	if d := &in.duplicate; in.hasDuplicate() && from == d[1] {
		d[1] = to
	} else {
		*d = [2]Seq{from, to}
	}
}

// noteOld is noteDuplicate for a segment that begins before RCV.NXT: as much of
// it as lies there.
func (c *TCB) noteOld(seg *Segment, length uint32) {
	if length > 0 && seg.SEQ.Less(c.rcv.NXT) && !seg.Has(wire.FlagSYN) {
		end := seg.SEQ + Seq(length)
		if c.rcv.NXT.Less(end) {
			end = c.rcv.NXT
		}
		c.noteDuplicate(seg.SEQ, end)
	}
}

// sackBlocks fills dst with the blocks that a segment sent now carries and
// returns how many: what came twice first, once only (RFC 2883 §4), then what
// is out of order (RFC 2018 §4), so that a duplicate above RCV.NXT is followed
// by the block it lies in.
func (c *TCB) sackBlocks(dst [][2]uint32) int {
	n := 0
	if c.in != nil && c.in.hasDuplicate() && len(dst) > 0 {
		dst[0] = [2]uint32{uint32(c.in.duplicate[0]), uint32(c.in.duplicate[1])}
		n = 1
	}
	if c.rcv.ooo != nil {
		n += c.rcv.ooo.sackBlocks(dst[n:])
	}
	return n
}

// reported forgets a duplicate: a segment with its block has left.
func (c *TCB) reported() {
	if c.in != nil {
		c.in.duplicate = [2]Seq{}
	}
}

// overlap returns the first run of octets, of the n from seq on, that the queue
// holds already; empty when it holds none of them.
func (q *oooQueue) overlap(seq Seq, n int) (from, to Seq) {
	end := seq.Add(n)
	p := q.endsAfter(seq, false)
	if q.isEnd(p) || !q.at(p).start.Less(end) {
		return seq, seq
	}
	r := q.at(p)
	from, to = maxSeq(seq, r.start), r.end
	if end.Less(to) {
		to = end
	}
	return from, to
}
