package tcp

import (
	"slices"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// outstanding is what a connection knows of the data it has sent: when each
// piece left, what became of it, and how much arrives how fast. An idle
// connection has none (Trim).
//
// There is one record for each segment or super-segment handed out. First
// transmissions are in order of sequence and of time at once, so they need no
// index; retransmissions are in order of time, and the scoreboard says by their
// numbers where they are in the sequence space.
type outstanding struct {
	sent  records // first transmissions
	again records // retransmissions
	board scoreboard

	delivered   uint64 // bytes known to have arrived, since the beginning
	lost        uint64 // bytes marked lost, since the beginning
	deliveredAt mono.Time
	firstSent   mono.Time // departure of the packet that the last sample was from
	appLimited  uint64    // delivered will be this when what was sent while the program was the limit has arrived; 0: it is not
	lostBefore  uint64    // lost at the last sample
	bytesAgain  uint64    // payload in retransmissions
	dsacks      uint32    // reports of duplicates
	undos       uint32    // reductions taken back
	grounds     trace.Why // on which losses are looked for
	lostWhy     trace.Why // on which the last one was found
	small       Seq       // end of the last segment that was not full, RFC 9293 §3.7.4

	sample cc.RateSample // of the ACK that is being processed
	news   news

	rack     rack
	tail     tailProbe
	prr      prr
	undo     undo
	rtt      rttRound
	pace     pace
	minRTT   time.Duration // smallest of the last minutes; 0: none
	minRTTAt mono.Time

	// Handed to the algorithm: here, because an argument of an interface's method
	// would be allocated each time.
	loss cc.Loss
	gone cc.LostPacket

	first [2]record // room for the records of a short exchange
}

// record is one transmission. Counters are the lowest 32 bits: what is
// outstanding is far less.
type record struct {
	start, end  Seq
	at          mono.Time // departure
	deliveredAt mono.Time // outstanding.deliveredAt at departure
	firstSent   mono.Time // outstanding.firstSent at departure
	delivered   uint32    // outstanding.delivered at departure
	lost        uint32    // outstanding.lost at departure
	inFlight    uint32    // with this packet
	size        uint16    // of the largest segment in it, with its options
	appLimited  bool
	paced       bool
}

// records is a queue of transmissions, each with a number.
type records struct {
	r    []record
	head int
	base uint32 // number of r[0]
}

func (q *records) len() int { return len(q.r) - q.head }

// next is the number that the next one pushed will have.
func (q *records) next() uint32 { return q.base + uint32(len(q.r)) }

func (q *records) push(r record) {
	if len(q.r) == cap(q.r) && q.head > len(q.r)/2 {
		n := copy(q.r, q.r[q.head:])
		q.r = q.r[:n]
		q.base += uint32(q.head)
		q.head = 0
	}
	q.r = append(q.r, r)
}

func (q *records) pop() {
	q.head++
	if q.head == len(q.r) {
		q.base += uint32(q.head)
		q.r, q.head = q.r[:0], 0
	}
}

// number returns the record with a number, which must not have been popped.
func (q *records) number(n uint32) *record { return &q.r[n-q.base] }

// has reports whether the record with a number is still there.
func (q *records) has(n uint32) bool {
	i := int(n - q.base)
	return i >= q.head && i < len(q.r)
}

// find returns the index of the first record that ends after seq, for records
// in order of sequence.
func (q *records) find(seq Seq) int {
	if q.head < len(q.r) && seq.Less(q.r[q.head].end) {
		return q.head
	}
	i, _ := slices.BinarySearchFunc(q.r[q.head:], seq, func(r record, s Seq) int {
		if r.end.LessEq(s) {
			return -1
		}
		return 1
	})
	return q.head + i
}

// news is what one ACK says.
type news struct {
	delivered uint32    // bytes newly acknowledged or SACKed
	sacked    uint32    // of these, SACKed
	size      uint16    // of the largest segment among them, with its options
	lost      uint32    // bytes that it shows to be lost
	newest    record    // of what was delivered, the last that left
	fresh     record    // and the last of first transmissions; set if original and again are
	have      bool      // newest is set
	again     bool      // newest was a retransmission
	resent    bool      // something acknowledged had been retransmitted
	filled    mono.Time // when what was missing at SND.UNA was sent again, if it was, once
	original  bool      // something arrived that was sent before the timeout and not since
	oldest    mono.Time
	sackAt    mono.Time // departure of the last that was SACKed, never retransmitted
	dsack     bool
}

// needOutstanding allocates what sending needs.
func (c *TCB) needOutstanding(now mono.Time) *outstanding {
	if c.out == nil {
		o := c.cfg.Memory.spareOutstanding()
		if o == nil {
			o = new(outstanding)
		}
		o.sent.r = o.first[:0]
		o.small = c.snd.UNA
		o.deliveredAt, o.firstSent = now, now
		o.rack.mult = 1
		o.pace.departure = now
		c.out = o
	}
	return c.out
}

// dropOutstanding forgets what was known of data that is acknowledged or will
// never be.
func (c *TCB) dropOutstanding() {
	if c.out != nil {
		c.cfg.Memory.keepOutstanding(c.out)
		c.out = nil
	}
}

// maxSpare is how many of them a Memory keeps for connections to come, so that a
// short connection allocates none.
const maxSpare = 64

func (m *Memory) spareOutstanding() *outstanding {
	if m == nil || len(m.spare) == 0 {
		return nil
	}
	n := len(m.spare) - 1
	o := m.spare[n]
	m.spare[n] = nil
	m.spare = m.spare[:n]
	return o
}

func (m *Memory) keepOutstanding(o *outstanding) {
	if m != nil && len(m.spare) < maxSpare {
		*o = outstanding{}
		m.spare = append(m.spare, o)
	}
}

// inFlight estimates how much is in the network: what is outstanding less what
// is SACKed and less what is lost and was not sent again. RFC 9937 §6.2.
func (c *TCB) inFlight() uint32 {
	f := c.flight()
	if c.out != nil {
		f -= min(f, c.out.board.sacked+c.out.board.lost)
	}
	return f
}

// departed notes that [from, to) left now, for the first time or again, in
// segments of up to size octets, options included.
func (c *TCB) departed(now mono.Time, from, to Seq, size uint16, again bool) {
	o := c.needOutstanding(now)
	n := uint32(to - from)
	if c.flight() == 0 { // the first packet of a flight begins a new interval
		o.firstSent, o.deliveredAt = now, now
	}
	r := record{start: from, end: to, at: now, deliveredAt: o.deliveredAt, firstSent: o.firstSent,
		delivered: uint32(o.delivered), lost: uint32(o.lost), size: size, appLimited: o.appLimited != 0, paced: o.pace.rate > 0}
	r.inFlight = c.inFlight() + n // before SND.NXT and the scoreboard say so
	if again {
		o.board.assign(from, to, span{kind: spanAgain, record: o.again.next()})
		o.again.push(r)
	} else {
		o.sent.push(r)
	}
	o.prr.out += n
	o.pace.spend(now, n)
}

// arrived notes that n bytes, which were part of a transmission, are now known
// to have arrived.
func (o *outstanding) arrived(n uint32, end Seq, r *record, again bool) {
	o.news.delivered += n
	o.news.noteSize(n, r)
	if w := &o.news.newest; !o.news.have || w.at < r.at || w.at == r.at && w.end.Less(end) {
		*w = *r
		w.end = end
		o.news.have, o.news.again = true, again
	}
	if !again {
		if w := &o.news.fresh; w.at < r.at || w.at == r.at && w.end.Less(end) {
			*w = *r
			w.end = end
		}
		o.rack.delivered(end)
	}
}

// noteSize takes the size of a segment that has arrived, when n octets of a
// transmission are enough to be one of its largest.
func (w *news) noteSize(n uint32, r *record) {
	if r.size > w.size && n+wire.TCPMaxOptLen >= uint32(r.size) {
		w.size = r.size
	}
}

// arrivedOriginals is arrived for [from, to) of first transmissions.
func (o *outstanding) arrivedOriginals(from, to Seq) {
	for i := o.sent.find(from); i < len(o.sent.r) && from.Less(to); i++ {
		r := &o.sent.r[i]
		if from.Less(r.start) {
			from = r.start
			if !from.Less(to) {
				break
			}
		}
		end := minSeq(r.end, to)
		o.arrived(uint32(end-from), end, r, false)
		o.news.original = true
		from = end
	}
	if from.Less(to) { // of which there is no record: a probe of a closed window
		o.news.delivered += uint32(to - from)
	}
}

// acknowledged notes that everything before ack has arrived. SND.UNA still has
// its old value.
func (o *outstanding) acknowledged(una, ack Seq) {
	if len(o.board.spans) == 0 {
		o.acknowledgedInOrder(una, ack)
		return
	}
	pos := una
	if s := &o.board.spans[0]; s.kind == spanAgain && s.start.LessEq(una) {
		o.news.filled = o.again.number(s.record).at
	}
	for i := o.board.find(pos); pos.Less(ack); {
		if i == len(o.board.spans) || pos.Less(o.board.spans[i].start) {
			end := ack
			if i < len(o.board.spans) {
				end = minSeq(end, o.board.spans[i].start)
			}
			o.noteOldest(pos)
			o.arrivedOriginals(pos, end)
			pos = end
			continue
		}
		s := &o.board.spans[i]
		end := minSeq(s.end, ack)
		o.arrivedSpan(s, pos, end)
		pos = end
		i++
	}
	o.board.dropBefore(ack)
	for o.sent.len() > 0 && o.sent.r[o.sent.head].end.LessEq(ack) {
		o.sent.pop()
	}
	o.expireRecords()
}

// arrivedSpan is arrived for [from, to) of one span of the scoreboard.
func (o *outstanding) arrivedSpan(s *span, from, to Seq) {
	switch s.kind {
	case spanSACKed: // known
	case spanLost:
		o.arrivedOriginals(from, to)
	case spanLostAgain: // which of several transmissions arrived nobody knows
		o.news.delivered += uint32(to - from)
		o.news.resent = true
	case spanAgain:
		o.arrived(uint32(to-from), to, o.again.number(s.record), true)
		o.news.resent = true
	}
}

// acknowledgedInOrder is acknowledged while nothing is SACKed, lost or sent
// again.
func (o *outstanding) acknowledgedInOrder(una, ack Seq) {
	o.news.delivered += uint32(ack - una)
	q := &o.sent
	if q.len() == 0 {
		return
	}
	n := &o.news
	n.oldest, n.original = q.r[q.head].at, true
	last := q.head
	for last+1 < len(q.r) && q.r[last].end.Less(ack) {
		n.size = max(n.size, q.r[last].size)
		last++
	}
	n.noteSize(uint32(minSeq(q.r[last].end, ack)-maxSeq(q.r[last].start, una)), &q.r[last])
	n.newest, n.have = q.r[last], true
	n.newest.end = minSeq(n.newest.end, ack)
	for q.len() > 0 && q.r[q.head].end.LessEq(ack) {
		q.pop()
	}
	o.rack.delivered(n.newest.end)
}

// noteOldest takes the departure of the first transmission of seq for an RTT
// sample, unless an older one is known.
func (o *outstanding) noteOldest(seq Seq) {
	if o.news.oldest != 0 {
		return
	}
	if i := o.sent.find(seq); i < len(o.sent.r) && o.sent.r[i].start.LessEq(seq) {
		o.news.oldest = o.sent.r[i].at
	}
}

// expireRecords drops records of retransmissions that the scoreboard does not
// name any more, from the oldest on.
func (o *outstanding) expireRecords() {
	if len(o.board.spans) == 0 {
		o.again.base = o.again.next()
		o.again.r, o.again.head = o.again.r[:0], 0
		return
	}
	for o.again.len() > 0 {
		r := &o.again.r[o.again.head]
		if o.board.names(r.start, r.end, o.again.base+uint32(o.again.head)) {
			return
		}
		o.again.pop()
	}
}
