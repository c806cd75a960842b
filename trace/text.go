package trace

import (
	"io"
	"strconv"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

const (
	// bufferSize is how many bytes a writing sink gathers before it writes.
	bufferSize = 32 << 10
	// maxLine bounds the text of one event: numbers of fixed width and names
	// from tables.
	maxLine = 768
)

// buffered gathers lines and keeps the writer's first error.
type buffered struct {
	w   io.Writer
	buf []byte
	err error
}

func newBuffered(w io.Writer) buffered {
	return buffered{w: w, buf: make([]byte, 0, bufferSize)}
}

// room makes place for one more line, so that appending one never allocates.
func (b *buffered) room() {
	if len(b.buf)+maxLine > cap(b.buf) {
		_ = b.flush()
	}
}

// flush writes what is gathered. After an error there is no knowing what the
// writer holds, so everything later is dropped rather than written after a gap.
func (b *buffered) flush() error {
	if b.err == nil && len(b.buf) > 0 {
		n, err := b.w.Write(b.buf)
		if err == nil && n < len(b.buf) {
			err = io.ErrShortWrite
		}
		b.err = err
	}
	b.buf = b.buf[:0]
	return b.err
}

// Text is a Sink that writes one line per event in script notation, with
// AppendText. It gathers lines and writes them when a buffer of 32 KiB is full,
// on Flush and on Close; that write happens inside Trace, so w should be a file
// or memory, not a slow peer (put a Ring in between).
//
// Like the connections it listens to, a Text belongs to one shard: its methods
// are called with that shard's lock held, or by one goroutine.
type Text struct{ out buffered }

// NewText returns a Text that writes to w.
func NewText(w io.Writer) *Text { return &Text{newBuffered(w)} }

// Trace appends the event's line.
func (t *Text) Trace(ev *Event) {
	t.out.room()
	t.out.buf = append(AppendText(t.out.buf, ev), '\n')
}

// Flush writes what is gathered and returns the first error of the writer.
func (t *Text) Flush() error { return t.out.flush() }

// Err returns the first error of the writer; events after it are lost.
func (t *Text) Err() error { return t.out.err }

// Close is Flush: it does not close the writer.
func (t *Text) Close() error { return t.out.flush() }

// AppendText appends the event as one line without its end: time in seconds,
// the connection's number, what happened, and after "//" the reason and the
// numbers that explain it. A segment is in script notation (wire.Script): what
// stands between the connection's number and "//" can be parsed back.
//
//	1.000123 #3 > S 1000:1000(0) win 65535 <mss 1460> // SYN-SENT, handshake
//	1.020123 #3 * SYN-SENT -> ESTABLISHED // ack
//	1.400000 #3 * timer retransmission timeout // ESTABLISHED, rto 200000us
//	1.420000 #3 < . 1:1(0) ack 1001 win 65535 <nop,nop,sack 2001:3001>
//	1.420000 #3 * lost 1001:2001(1000) // rack
//
// Sequence numbers are as on the wire. It allocates only to grow dst.
func AppendText(dst []byte, ev *Event) []byte {
	dst = AppendTime(dst, ev.At)
	dst = append(dst, " #"...)
	dst = strconv.AppendUint(dst, ev.Conn, 10)
	dst = append(dst, ' ')
	c := comment{}
	switch ev.Kind {
	case SegmentIn, SegmentOut:
		dst = appendSegment(dst, ev)
		c.states(ev)
		c.why(ev.Why)
	case StateChange:
		dst = append(dst, "* "...)
		dst = append(dst, StateName(ev.From)...)
		dst = append(dst, " -> "...)
		dst = append(dst, StateName(ev.To)...)
		c.why(ev.Why)
	case MarkedLost:
		dst = append(dst, "* lost "...)
		dst = strconv.AppendUint(dst, uint64(ev.Seq), 10)
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(ev.Seq+ev.Len), 10)
		dst = append(dst, '(')
		dst = strconv.AppendUint(dst, uint64(ev.Len), 10)
		dst = append(dst, ')')
		c.why(ev.Why)
	case Timer, Closed:
		dst = append(dst, "* "...)
		dst = append(dst, ev.Kind.String()...)
		dst = append(dst, ' ')
		dst = append(dst, ev.Why.String()...)
		c.states(ev)
	case Dropped:
		dst = append(dst, "* dropped "...)
		dst = appendSegment(dst, ev)
		c.states(ev)
		c.why(ev.Why)
	default:
		dst = append(dst, "* "...)
		dst = append(dst, ev.Kind.String()...)
		c.why(ev.Why)
	}
	return c.appendNumbers(dst, ev)
}

// AppendTime appends t in seconds with six decimals, rounded down.
func AppendTime(dst []byte, t mono.Time) []byte {
	if t < 0 {
		dst = append(dst, '-')
	}
	u := uint64(t)
	if t < 0 {
		u = -u
	}
	dst = strconv.AppendUint(dst, u/1e9, 10)
	return appendMicros(append(dst, '.'), u%1e9/1e3)
}

// appendMicros appends us, below one million, in six digits.
func appendMicros(dst []byte, us uint64) []byte {
	for d := uint64(100_000); d > 0; d /= 10 {
		dst = append(dst, '0'+byte(us/d%10))
	}
	return dst
}

// Script fills s with the segment that a SegmentIn, SegmentOut or Dropped event
// describes. The event knows no options but the MSS of a SYN and SACK blocks.
func (ev *Event) Script(s *wire.Script) {
	*s = wire.Script{
		Out: ev.Kind == SegmentOut, ECN: ev.ECN, Flags: ev.Flags,
		Seq: ev.Seq, Len: ev.Len, Ack: ev.Ack, HasWin: true, Win: ev.Window,
	}
	switch {
	case ev.Flags&wire.FlagSYN != 0 && ev.MSS != 0:
		s.Opts.MSS = ev.MSS
		s.Opts.Has = wire.HasMSS
	case ev.Segs > 1:
		s.Cut = ev.MSS
	}
	if n := min(ev.SACKBlocks, MaxSACK); n > 0 {
		s.Opts.Has |= wire.HasSACK
		s.Opts.SACK, s.Opts.NSACK = ev.SACK, n
	}
}

func appendSegment(dst []byte, ev *Event) []byte {
	var s wire.Script
	ev.Script(&s)
	return s.AppendText(dst)
}

// comment writes the part after "//", which is left out when nothing is in it.
type comment struct{ words [3]string }

func (c *comment) why(w Why) {
	if w != WhyNone {
		c.words[1] = w.String()
	}
}

// states notes the state an event happened in. CLOSED is the zero state: an
// event that does not say its state looks like CLOSED, so that is left out.
func (c *comment) states(ev *Event) {
	switch {
	case ev.To != 0:
		c.words[0] = StateName(ev.To)
	case ev.From != 0:
		c.words[0] = StateName(ev.From)
	}
}

func (c *comment) appendNumbers(dst []byte, ev *Event) []byte {
	sep := " // "
	switch ev.Recovery {
	case RecoveryNone:
	case RecoveryFast:
		c.words[2] = "fast recovery"
	default:
		c.words[2] = "timeout recovery"
	}
	for _, w := range c.words {
		if w != "" {
			dst = append(append(dst, sep...), w...)
			sep = ", "
		}
	}
	numbers := [...]struct {
		name, unit string
		v          int64
	}{
		{"cwnd ", "", int64(ev.Cwnd)},
		{"ssthresh ", "", int64(ev.SSThresh)},
		{"flight ", "", int64(ev.InFlight)},
		{"lost ", "", int64(ev.Lost)},
		{"srtt ", "us", ev.SRTT / 1e3},
		{"rto ", "us", ev.RTO / 1e3},
		{"pacing ", "/s", int64(min(ev.Pacing, 1<<63-1))},
		{"rate ", "/s", int64(min(ev.Rate, 1<<63-1))},
	}
	for i := range numbers {
		n := &numbers[i]
		if n.v == 0 {
			continue
		}
		dst = append(append(dst, sep...), n.name...)
		dst = strconv.AppendInt(dst, n.v, 10)
		dst = append(dst, n.unit...)
		sep = ", "
	}
	return dst
}
