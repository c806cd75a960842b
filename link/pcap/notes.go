package pcap

import (
	"encoding/binary"
	"sync"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// maxNotes bounds the events that Notes keeps until their packet passes. The
// oldest go first.
const maxNotes = 512

// maxNoteText bounds the text of one packet's events, in bytes.
const maxNoteText = 8 << 10

// Notes makes packet comments of trace events: it is a trace.Sink for an
// engine, and its Comment is the one of Options for the device below. The
// comment of an outgoing segment is what happened to its connection since the
// segment before (what arrived, which timer fired, which state was entered),
// one event per line, and last the event of the segment itself, with its
// reason. Incoming packets get none: they pass before the engine sees them, and
// what they cause is found at the next packet out.
//
// The zero Notes is ready. It is safe for concurrent use, and remembers 512
// events at most.
type Notes struct {
	mu      sync.Mutex
	pending []trace.Event
	text    []byte
}

// Trace keeps a copy of the event.
func (n *Notes) Trace(ev *trace.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == maxNotes {
		// Half at once: moving all of them for each event would be quadratic.
		n.pending = append(n.pending[:0], n.pending[maxNotes/2:]...)
	}
	n.pending = append(n.pending, *ev)
}

// Comment returns, and forgets, the events that belong to an outgoing TCP
// segment; "" for other packets and when there is none. Of a super-segment
// that was cut, the first piece gets them.
func (n *Notes) Comment(dir Direction, p *pkt.Packet) string {
	if dir != Out {
		return ""
	}
	seg, ok := segment(p)
	if !ok {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	last := -1
	for i := range n.pending {
		ev := &n.pending[i]
		if ev.Kind == trace.SegmentOut && ev.Seq == seg.seq && sameKind(ev, seg) {
			last = i
			break
		}
	}
	if last < 0 {
		return ""
	}
	return n.take(last)
}

// take returns the text of the events up to number last of its connection, and
// removes them.
func (n *Notes) take(last int) string {
	conn := n.pending[last].Conn
	n.text = n.text[:0]
	kept := n.pending[:0]
	for i := range n.pending {
		if i > last || n.pending[i].Conn != conn {
			kept = append(kept, n.pending[i])
			continue
		}
		if i != last && len(n.text) > maxNoteText {
			continue
		}
		if len(n.text) > 0 {
			n.text = append(n.text, '\n')
		}
		n.text = trace.AppendText(n.text, &n.pending[i])
	}
	n.pending = kept
	return string(n.text)
}

// sent is what is compared of a segment: enough to tell segments of different
// connections apart, as events know no ports.
type sent struct {
	seq, ack uint32
	flags    wire.TCPFlags
}

// sameKind compares what stays the same when a super-segment is cut: FIN and
// PSH go with the last piece, CWR with the first.
func sameKind(ev *trace.Event, s sent) bool {
	const kept = wire.FlagSYN | wire.FlagRST | wire.FlagACK
	return ev.Flags&kept == s.flags&kept && (ev.Ack == s.ack || s.flags&wire.FlagACK == 0)
}

// segment finds the TCP header of a packet, at the offset that the stack noted
// in Meta when it made the packet.
func segment(p *pkt.Packet) (sent, bool) {
	l4 := int(p.L4)
	if l4 == 0 {
		l4 = int(p.CsumStart)
	}
	if l4 < wire.IPv4MinLen || l4+wire.TCPMinLen > len(p.Head) || !isTCP(p, l4) {
		return sent{}, false
	}
	h := p.Head[l4:]
	return sent{
		seq: binary.BigEndian.Uint32(h[4:]), ack: binary.BigEndian.Uint32(h[8:]),
		flags: wire.TCP(h).Flags(),
	}, true
}

// isTCP looks at the protocol of the IP header before l4. An IPv6 header with
// extensions is passed over: the events' sequence numbers decide.
func isTCP(p *pkt.Packet, l4 int) bool {
	l3 := int(p.L3)
	if l3 >= l4 {
		return false
	}
	ip := p.Head[l3:l4]
	switch {
	case ip[0]>>4 == 4 && len(ip) >= wire.IPv4MinLen:
		return ip[9] == wire.ProtoTCP
	case ip[0]>>4 == 6 && len(ip) >= wire.IPv6Len:
		return ip[6] == wire.ProtoTCP || wire.IsExt(ip[6])
	}
	return false
}
