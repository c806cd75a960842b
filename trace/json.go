package trace

import (
	"io"
	"strconv"
)

// JSON is a Sink that writes one JSON object per line, with AppendJSON. It
// gathers and writes like Text, and belongs to one shard like it.
type JSON struct{ out buffered }

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer) *JSON { return &JSON{newBuffered(w)} }

// Trace appends the event's line.
func (j *JSON) Trace(ev *Event) {
	j.out.room()
	j.out.buf = append(AppendJSON(j.out.buf, ev), '\n')
}

// Flush writes what is gathered and returns the first error of the writer.
func (j *JSON) Flush() error { return j.out.flush() }

// Err returns the first error of the writer; events after it are lost.
func (j *JSON) Err() error { return j.out.err }

// Close is Flush: it does not close the writer.
func (j *JSON) Close() error { return j.out.flush() }

// AppendJSON appends the event as one JSON object. The names are stable:
//
//	at        ns, always there
//	conn      the connection's number, always there
//	kind      Kind.String, always there
//	why       Why.String
//	from, to  state names, both there for a change of state
//	on        the trigger of a change of state, as package tcp numbers it,
//	          left out when 0
//	flags     letters as wire.TCPFlags prints them; seq, ack, len, win come
//	          with it, for segments and drops
//	ecn       the ECN field of the IP header, 0 to 3, left out when 0
//	sack      the blocks, an array of arrays of two numbers, left out when
//	          there are none
//	recovery  Recovery.String, left out when none
//	segs, mss, cwnd, ssthresh, flight, lost   numbers, left out when 0
//	srtt, rto                                 ns, left out when 0
//	pacing, rate                              octets a second, left out when 0
//
// An event of kind "lost" has seq and len.
//
// It allocates only to grow dst.
func AppendJSON(dst []byte, ev *Event) []byte {
	dst = append(dst, `{"at":`...)
	dst = strconv.AppendInt(dst, int64(ev.At), 10)
	dst = appendMember(dst, "conn", ev.Conn)
	dst = appendWord(dst, "kind", ev.Kind.String())
	if ev.Why != WhyNone {
		dst = appendWord(dst, "why", ev.Why.String())
	}
	if change := ev.Kind == StateChange; change || ev.From != 0 || ev.To != 0 {
		if change || ev.From != 0 {
			dst = appendWord(dst, "from", StateName(ev.From))
		}
		if change || ev.To != 0 {
			dst = appendWord(dst, "to", StateName(ev.To))
		}
	}
	dst = appendNonzero(dst, "on", int64(ev.On))
	if ev.Kind == SegmentIn || ev.Kind == SegmentOut || ev.Kind == Dropped {
		dst = append(dst, `,"flags":"`...)
		dst = append(ev.Flags.AppendTo(dst), '"')
		dst = appendMember(dst, "seq", uint64(ev.Seq))
		dst = appendMember(dst, "ack", uint64(ev.Ack))
		dst = appendMember(dst, "len", uint64(ev.Len))
		dst = appendMember(dst, "win", uint64(ev.Window))
	}
	if ev.Kind == MarkedLost {
		dst = appendMember(dst, "seq", uint64(ev.Seq))
		dst = appendMember(dst, "len", uint64(ev.Len))
	}
	dst = appendNonzero(dst, "ecn", int64(ev.ECN))
	dst = appendNonzero(dst, "segs", int64(ev.Segs))
	dst = appendNonzero(dst, "mss", int64(ev.MSS))
	dst = appendBlocks(dst, ev)
	if ev.Recovery != RecoveryNone {
		dst = appendWord(dst, "recovery", ev.Recovery.String())
	}
	dst = appendNonzero(dst, "cwnd", int64(ev.Cwnd))
	dst = appendNonzero(dst, "ssthresh", int64(ev.SSThresh))
	dst = appendNonzero(dst, "flight", int64(ev.InFlight))
	dst = appendNonzero(dst, "lost", int64(ev.Lost))
	dst = appendNonzero(dst, "srtt", ev.SRTT)
	dst = appendNonzero(dst, "rto", ev.RTO)
	dst = appendNonzero(dst, "pacing", int64(min(ev.Pacing, 1<<63-1)))
	dst = appendNonzero(dst, "rate", int64(min(ev.Rate, 1<<63-1)))
	return append(dst, '}')
}

// appendBlocks appends the SACK blocks.
func appendBlocks(dst []byte, ev *Event) []byte {
	if ev.SACKBlocks == 0 {
		return dst
	}
	dst = append(appendName(dst, "sack"), '[')
	for i := range min(ev.SACKBlocks, MaxSACK) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(append(dst, '['), uint64(ev.SACK[i][0]), 10)
		dst = strconv.AppendUint(append(dst, ','), uint64(ev.SACK[i][1]), 10)
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// Names and words come from the tables of this package, which need no escaping.

func appendName(dst []byte, name string) []byte {
	dst = append(append(dst, ',', '"'), name...)
	return append(dst, '"', ':')
}

func appendWord(dst []byte, name, word string) []byte {
	dst = append(append(appendName(dst, name), '"'), word...)
	return append(dst, '"')
}

func appendMember(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(appendName(dst, name), v, 10)
}

func appendNonzero(dst []byte, name string, v int64) []byte {
	if v == 0 {
		return dst
	}
	return strconv.AppendInt(appendName(dst, name), v, 10)
}
