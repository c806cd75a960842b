package tcp

import (
	"slices"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// readSACK takes over what the SACK blocks of an acceptable ACK say, RFC 2018
// and RFC 2883. SND.UNA is that of the ACK already. It reports whether anything
// was new.
func (c *TCB) readSACK(now mono.Time, seg *Segment) bool {
	if !c.has(fSACK) || seg.Opts.Has&wire.HasSACK == 0 || seg.Opts.NSACK == 0 || c.out == nil {
		return false
	}
	var blocks [len(seg.Opts.SACK)][2]Seq
	n := 0
	for i := range min(int(seg.Opts.NSACK), len(blocks)) {
		b := [2]Seq{Seq(seg.Opts.SACK[i][0]), Seq(seg.Opts.SACK[i][1])}
		if !b[0].Less(b[1]) {
			continue
		}
		if i == 0 && c.isDSACK(seg, b) {
			c.duplicateSACK(b)
			continue
		}
		// What is not outstanding was never sent or is acknowledged, and a
		// receiver that has the octet at SND.UNA acknowledges it: there is
		// nothing to believe (T-RES-07). Distances from SND.UNA: numbers half
		// the sequence space away would compare in a circle.
		if from, to := b[0]-c.snd.UNA, b[1]-c.snd.UNA; from == 0 || to <= from || c.snd.MAX-c.snd.UNA < to {
			continue
		}
		// In ascending order, or one ACK would look like reordering.
		k := n
		for ; k > 0 && b[0].Less(blocks[k-1][0]); k-- {
			blocks[k] = blocks[k-1]
		}
		blocks[k] = b
		n++
	}
	before := c.out.news.sacked
	for _, b := range blocks[:n] {
		c.sackRange(b[0], b[1])
	}
	return c.out.news.sacked != before
}

// isDSACK is RFC 2883 §4: a first block below the ACK, or inside the second
// block, tells of a duplicate.
func (c *TCB) isDSACK(seg *Segment, b [2]Seq) bool {
	if b[1].LessEq(seg.ACK) {
		return true
	}
	if seg.Opts.NSACK < 2 {
		return false
	}
	from, to := Seq(seg.Opts.SACK[1][0]), Seq(seg.Opts.SACK[1][1])
	return from.LessEq(b[0]) && b[1].LessEq(to)
}

// duplicateSACK notes that the peer got [from, to) twice, if that can be true.
func (c *TCB) duplicateSACK(b [2]Seq) {
	o := c.out
	low := c.snd.UNA - Seq(c.snd.maxWND)
	if from, to := b[0]-low, b[1]-low; to <= from || c.snd.MAX-low < to {
		return // neither outstanding nor sent within the last window
	}
	o.news.dsack = true
	o.dsacks++
	o.tail.dsack = o.tail.dsack || o.tail.active && b[1] == o.tail.end
	if o.undo.from.Less(b[1]) { // else it was the network that made a copy
		o.undo.unneeded(uint32(b[1] - b[0]))
	}
}

// sackRange marks [from, to) as SACKed.
func (c *TCB) sackRange(from, to Seq) {
	o := c.out
	b := &o.board
	if len(b.spans) >= maxSACKed && b.find(from) == b.find(to) {
		return // it would make one more
	}
	before := b.sacked
	pos := from
	for i := b.find(from); pos.Less(to); {
		if i == len(b.spans) || pos.Less(b.spans[i].start) {
			end := to
			if i < len(b.spans) {
				end = minSeq(end, b.spans[i].start)
			}
			if at := o.sent.find(end - 1); at < len(o.sent.r) {
				o.news.sackAt = o.sent.r[at].at
			}
			o.arrivedOriginals(pos, end)
			pos = end
			continue
		}
		end := minSeq(b.spans[i].end, to)
		o.arrivedSpan(&b.spans[i], pos, end)
		pos = end
		i++
	}
	b.assign(from, to, span{kind: spanSACKed})
	o.news.sacked += b.sacked - before
}

// renegingDelay is the least time between the ACK that shows that SACKed data was
// given up and the timeout that repairs it, as Linux has it.
const renegingDelay = 10 * time.Millisecond

// reneged reports that the peer has given up data that it had SACKed: what is
// at SND.UNA is SACKed, and yet not acknowledged. RFC 2018 §8.
func (o *outstanding) reneged(una Seq) bool {
	b := &o.board
	return len(b.spans) > 0 && b.spans[0].kind == spanSACKed && b.spans[0].start == una
}

// forgetSACKs takes SACKed octets for what they were before: RFC 2018 §8.
func (b *scoreboard) forgetSACKs() {
	b.spans = slices.DeleteFunc(b.spans, func(s span) bool { return s.kind == spanSACKed })
	b.sacked = 0
}
