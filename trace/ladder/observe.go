package ladder

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// More state numbers, as trace.StateName has them.
const (
	stateClosed      = 0
	stateSynReceived = 3
	stateEstablished = 4
	stateFinWait2    = 6
	stateCloseWait   = 7
	stateClosing     = 8
	stateTimeWait    = 10
)

// Observer makes steps from the segments of one connection as they pass one
// point of the network, such as a capture. What it cannot see it infers: every
// segment is taken to arrive, a segment with old sequence numbers is a
// retransmission, and the states are those that RFC 9293 §3.10 leads both
// hosts to. A connection that begins before the first segment is taken to be
// ESTABLISHED.
//
// The zero Observer is ready.
type Observer struct {
	// Absolute keeps sequence numbers as on the wire; otherwise they count
	// from each side's first one.
	Absolute bool

	side [2]observed
	open bool // a segment was seen
}

// observed is what is known of one side.
type observed struct {
	state uint8
	known bool // base, max are set
	scale bool // it offered window scaling
	shift uint8
	base  uint32 // printed as 0
	max   uint32 // behind the highest sequence number it sent
	fin   bool   // it sent FIN, whose number is max-1
}

// Add returns the step of a segment that from sent; seg must be whole as far as
// its header is concerned (wire.ParseTCP), and n is the length of its payload,
// which a capture may have cut.
func (o *Observer) Add(at mono.Time, from Side, seg wire.TCP, n int) Step {
	from &= 1
	x, y := &o.side[from], &o.side[from.Other()]
	flags := seg.Flags()
	var opts wire.TCPOptions
	opts.Parse(seg.Options(), flags&wire.FlagSYN != 0)
	s := Step{
		At: at, Arrived: at, From: from, Flags: flags, Seq: seg.Seq(), Len: uint32(n),
		Window: uint32(seg.Window()),
	}
	if opts.Has&wire.HasMSS != 0 {
		s.MSS = opts.MSS
	}
	if flags&wire.FlagSYN != 0 {
		// A new connection on the same ports counts anew.
		if flags&wire.FlagACK == 0 && (x.state == stateClosed || x.state == stateTimeWait) {
			*x, *y = observed{}, observed{}
		}
		x.scale, x.shift = opts.Has&wire.HasWScale != 0, min(opts.WScale, 14) // RFC 7323 §2.3
	} else if x.scale && y.scale {
		s.Window <<= x.shift
	}
	o.sequence(&s, seg, x, y)
	if opts.Has&wire.HasSACK != 0 {
		base := y.base
		if o.Absolute {
			base = 0
		}
		s.setSACK(opts.SACK[:min(opts.NSACK, trace.MaxSACK)], base)
	}
	o.states(&s, seg, x, y)
	s.States[from], s.States[from.Other()] = x.state, y.state
	return s
}

// sequence makes the numbers relative and tells retransmissions.
func (o *Observer) sequence(s *Step, seg wire.TCP, x, y *observed) {
	end := s.end()
	if !x.known {
		x.known, x.max, x.base = true, s.Seq, s.Seq
		if s.Flags&wire.FlagSYN == 0 {
			x.base--
		}
	}
	s.Retransmit = s.Seq != end && before(s.Seq, x.max)
	if before(x.max, end) {
		x.max = end
	}
	if s.Flags&wire.FlagACK != 0 {
		s.Ack = seg.Ack()
		if !y.known {
			y.known, y.max, y.base = true, s.Ack, s.Ack-1
		}
		if !o.Absolute {
			s.Ack -= y.base
		}
	}
	if !o.Absolute {
		s.Seq -= x.base
	}
}

// states moves both hosts: x sends the segment, y receives it.
func (o *Observer) states(s *Step, seg wire.TCP, x, y *observed) {
	if !o.open {
		o.open = true
		if s.Flags&wire.FlagSYN == 0 {
			x.state, y.state = stateEstablished, stateEstablished
		} else if s.Flags&wire.FlagACK != 0 {
			y.state = stateSynSent
		}
	}
	switch {
	case s.Flags&wire.FlagRST != 0:
		x.state, y.state = stateClosed, stateClosed
		return
	case s.Flags&wire.FlagSYN != 0:
		observeSYN(s.Flags&wire.FlagACK != 0, x, y)
		return
	}
	if s.Flags&wire.FlagACK != 0 {
		observeACK(seg.Ack(), y)
	}
	if s.Flags&wire.FlagFIN == 0 {
		return
	}
	if !x.fin {
		x.fin = true
		switch x.state {
		case stateSynReceived, stateEstablished:
			x.state = stateFinWait1
		case stateCloseWait:
			x.state = stateLastAck
		}
	}
	switch y.state {
	case stateSynReceived, stateEstablished:
		y.state = stateCloseWait
	case stateFinWait1:
		y.state = stateClosing
	case stateFinWait2:
		y.state = stateTimeWait
	}
}

// observeSYN is RFC 9293 §3.5: the handshake, also when both open at once.
func observeSYN(ack bool, x, y *observed) {
	if x.state == stateClosed {
		x.state = stateSynSent
		if ack {
			x.state = stateSynReceived
		}
	}
	switch {
	case ack && (y.state == stateSynSent || y.state == stateSynReceived):
		y.state = stateEstablished
	case !ack && (y.state == stateClosed || y.state == stateSynSent):
		y.state = stateSynReceived
	}
}

// observeACK moves the receiver of an acknowledgment.
func observeACK(ack uint32, y *observed) {
	switch y.state {
	case stateSynReceived:
		y.state = stateEstablished
	case stateFinWait1, stateClosing, stateLastAck:
		if !y.fin || before(ack, y.max) {
			return
		}
		y.state = map[uint8]uint8{
			stateFinWait1: stateFinWait2, stateClosing: stateTimeWait, stateLastAck: stateClosed,
		}[y.state]
	}
}
