package tcp

import (
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Segment holds the "current segment variables" of RFC 9293 §3.3.1: a segment
// on its way into or out of a TCB, without ports and checksum.
type Segment struct {
	SEQ, ACK Seq
	WND, UP  uint16 // as on the wire: WND is not scaled
	Flags    wire.TCPFlags
	ECN      uint8  // the IP header's ECN field
	MSSCut   uint16 // Emit: Data is to be cut into pieces of this size; 0: it is one segment
	Segs     uint16 // Arrive: how many wire segments were glued into this one; 0 and 1 mean one
	unscaled bool   // WND came with a SYN that has been taken off: RFC 7323 §2.2
	Opts     wire.TCPOptions
	Data     pkt.View
}

// size is how large the segment is, or each but the last of a super-segment with
// n octets of data, options included: as the MSS counts.
func (s *Segment) size(n int) uint16 {
	if s.MSSCut > 0 {
		n = int(s.MSSCut)
	}
	return uint16(n + s.Opts.Len())
}

// Has reports whether all the given flags are set.
func (s *Segment) Has(f wire.TCPFlags) bool { return s.Flags&f == f }

// LEN is the number of octets the segment occupies in the sequence space,
// counting SYN and FIN, RFC 9293 §3.3.1 (SEG.LEN).
func (s *Segment) LEN() uint32 {
	n := uint32(s.Data.Len())
	if s.Flags&wire.FlagSYN != 0 {
		n++
	}
	if s.Flags&wire.FlagFIN != 0 {
		n++
	}
	return n
}

// Reset empties the segment for reuse. The data must have been moved out.
func (s *Segment) Reset() {
	s.SEQ, s.ACK, s.WND, s.UP = 0, 0, 0, 0
	s.Flags, s.ECN, s.MSSCut, s.Segs, s.unscaled = 0, 0, 0, 0, false
	s.Opts.Reset()
	s.Data = pkt.View{}
}

// Parse fills the segment from a header that wire.ParseTCP accepted; the data
// is left empty.
func (s *Segment) Parse(t wire.TCP) {
	s.SEQ, s.ACK = Seq(t.Seq()), Seq(t.Ack())
	s.WND, s.UP = t.Window(), t.Urgent()
	s.Flags = t.Flags()
	s.ECN, s.MSSCut, s.Segs, s.unscaled = 0, 0, 1, false
	s.Opts.Reset()
	if o := t.Options(); len(o) > 0 {
		s.Opts.Parse(o, s.Flags&wire.FlagSYN != 0)
	}
}

// Script returns the segment in script notation, with absolute numbers.
func (s *Segment) Script(out bool) wire.Script {
	return wire.Script{Out: out, Flags: s.Flags, Seq: uint32(s.SEQ), Len: uint32(s.Data.Len()),
		Ack: uint32(s.ACK), ECN: s.ECN, HasWin: true, Win: uint32(s.WND), Urg: s.UP, Cut: s.MSSCut, Opts: s.Opts}
}

// String prints the segment in script notation.
func (s *Segment) String() string {
	t := s.Script(true)
	return string(t.AppendText(nil)[2:])
}
