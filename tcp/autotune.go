package tcp

import (
	"math/bits"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/wire"
)

// AutoWindowScale as Config.WindowScale stands for the shift that Linux would
// announce for the largest receive buffer.
const AutoWindowScale = 255

// tuning is what the receive buffer's size is chosen by: how much the program
// takes in a round trip. The sender's window may double in each, so the buffer
// must be ahead of it; but a program that does not read needs none.
type tuning struct {
	rtt     time.Duration // smoothed, as a receiver can know it; 0: not known
	least   time.Duration // the path's own: the smallest since leastAt
	since   mono.Time     // the present measurement began
	last    mono.Time     // text arrived
	marked  mono.Time     // mark was set
	leastAt mono.Time
	mark    Seq    // without timestamps: to be reached a round trip later
	echo    uint32 // TSecr of the last RTT sample
	taken   uint32 // octets that the program had taken at since
	space   uint32 // most octets that it took in a round trip
}

// The numbers of buffer tuning; the first two are Linux'.
const (
	tuneSegments = 10 // taken in a round trip before the buffer grows
	tuneSlack    = 16 // segments of room beside what is in flight

	// leastWindow is how long the smallest RTT is believed in.
	leastWindow = 10 * time.Second
	// localBuffer is about what a processor's cache holds, in bytes. Buffers grow
	// up to it readily, and beyond it only for what the path itself holds: where
	// ends wait for each other, all that a larger one does is to make every copy
	// slower.
	localBuffer = 2 << 20
	// sendDecay is the part of what a send buffer has too much that one ACK
	// takes away.
	sendDecay = 128
	// pathRTTShift says after how many ACKs, 2 to the power of it, a path that
	// has become longer is believed.
	pathRTTShift = 15
)

// maxReceive is the largest receive buffer that a connection gets unasked.
func (cfg *Config) maxReceive() uint32 { return max(cfg.ReceiveBuffer, cfg.MaxReceiveBuffer) }

// windowScale is the shift to announce: the one configured, but none that is too
// coarse for the buffer. A window below one unit would be none at all, for ever.
func (cfg *Config) windowScale() uint8 {
	s := min(cfg.WindowScale, maxWindowScale)
	if cfg.WindowScale == AutoWindowScale {
		s = uint8(min(max(bits.Len32(cfg.maxReceive())-16, 0), maxWindowScale))
	}
	for s > 0 && cfg.ReceiveBuffer>>s < minWindowUnits {
		s--
	}
	return s
}

// minWindowUnits is how finely the window field must divide the buffer.
const minWindowUnits = 16

// tuneReceive learns from the arrival of n octets of text how large the receive
// buffer should be. Small segments of a dialogue cost it nothing.
func (c *TCB) tuneReceive(now mono.Time, seg *Segment, n uint32) {
	if c.in == nil && 2*n < uint32(c.rcv.MSS) {
		return
	}
	t := &c.receiving().tune
	taken := uint32(c.bytesIn) - c.rcv.queue.n
	if t.last == 0 {
		t.rtt, t.since, t.taken = c.SRTT, now, taken-min(n, taken)
		t.least, t.leastAt = c.SRTT, now
		t.space = tuneSegments * uint32(c.rcv.MSS)
	} else if now.Sub(t.last) > c.RTO && !c.has(fDialogue) {
		c.quickACKs() // the sender begins anew, from a small window
	}
	t.last = now
	c.sampleReceiverRTT(now, seg, t)
	took := now.Sub(t.since)
	if t.rtt == 0 || took < t.rtt {
		return
	}
	// A pause is no round trip, nor is the time that bytes lie at either end.
	part := uint64(taken-t.taken) * uint64(t.least/time.Microsecond) / max(uint64(took/time.Microsecond), 1)
	copied := uint32(min(part, maxBuffer))
	if copied > t.space {
		c.growReceive(copied, t.space)
		t.space = copied
	}
	if 2*(taken-t.taken) > c.rcv.size && c.rcv.size < localBuffer && c.mayGrowReceive() {
		c.rcv.size = min(2*c.rcv.size, localBuffer, c.cfg.maxReceive(), 65535<<c.rcv.scale)
	}
	t.since, t.taken = now, taken
}

func (c *TCB) mayGrowReceive() bool {
	return !c.has(fReceiveSet) && !c.cfg.NoReceiveTuning && c.level() == LevelNormal
}

// sampleReceiverRTT measures the round trip of one who only receives: by the
// timestamp of an ACK of ours that the peer echoes, or else by how long a
// window's worth of text takes to come, which is at least as long.
func (c *TCB) sampleReceiverRTT(now mono.Time, seg *Segment, t *tuning) {
	if !c.has(fTimestamps) || seg.Opts.Has&wire.HasTimestamps == 0 {
		if t.marked != 0 && c.rcv.NXT.Less(t.mark) {
			return
		}
		if r := max(now.Sub(t.marked), minRTTSample); t.marked != 0 && (t.rtt == 0 || r < t.rtt) {
			t.rtt, t.least = r, r
		}
		t.mark, t.marked = c.rcv.edge, now
		return
	}
	ms := int32(c.tsNow(now) - seg.Opts.TSEcr)
	if seg.Opts.TSEcr == t.echo || seg.Opts.TSEcr == 0 || ms < 0 {
		return
	}
	t.echo = seg.Opts.TSEcr
	r := time.Duration(ms) * time.Millisecond
	if r <= time.Millisecond { // too short for the timestamp clock
		r = time.Millisecond
		if c.SRTT != 0 {
			r = min(c.SRTT, r)
		}
	}
	if r > c.cfg.MaxRTO {
		return // a lie
	}
	if t.rtt == 0 {
		t.rtt = r
	}
	t.rtt += (r - t.rtt) / 8
	if t.least == 0 || r < t.least || now.Sub(t.leastAt) > leastWindow {
		t.least, t.leastAt = r, now
	}
}

// growReceive makes the receive buffer large enough for a program that took
// copied octets in a round trip and before that at most space: for twice as
// much, because the sender's window may double, and for more the faster it
// grows.
func (c *TCB) growReceive(copied, space uint32) {
	if !c.mayGrowReceive() {
		return
	}
	w := 2*uint64(copied) + tuneSlack*uint64(c.rcv.MSS)
	w += 2 * w * uint64(copied-space) / uint64(max(space, 1))
	most := uint64(min(c.cfg.maxReceive(), 65535<<c.rcv.scale))
	c.rcv.size = max(c.rcv.size, uint32(min(w, most)))
}

// growSend keeps the send buffer at twice cwnd, so that while a window is on its
// way the program can bring the next. Beyond localBuffer it is at most four
// times what was outstanding, flight octets, and four times what cwnd would be
// if nothing queued up on the path; with these it becomes less again.
func (c *TCB) growSend(flight uint32) {
	if c.has(fSendSet) || c.cfg.MaxSendBuffer <= c.cfg.SendBuffer {
		return
	}
	if c.pathRTT == 0 && c.SRTT > 0 { // of the handshake
		c.pathRTT = uint32(min(c.SRTT/time.Microsecond, 1<<31)) + 1
	}
	w := 2 * uint64(c.cc.Cwnd)
	if us := uint64(max(c.SRTT, 1) / time.Microsecond); w > localBuffer {
		w = min(w, 4*uint64(flight), 2*w*uint64(c.followPathRTT())/max(us, 1))
		w = max(w, localBuffer)
	}
	w = min(w, uint64(c.cfg.MaxSendBuffer))
	switch size := uint64(c.snd.size); {
	case w > size && c.level() == LevelNormal:
		c.snd.size = uint32(w)
	case w < size && size > localBuffer:
		c.snd.size -= uint32((size - max(w, localBuffer)) / sendDecay)
	}
}

// followPathRTT returns about how long the round trip takes when nothing queues
// up, in microseconds. The smallest RTT of a busy connection alone does not
// tell: it may have been busy for as long as it is remembered.
func (c *TCB) followPathRTT() uint32 {
	if c.out != nil && c.out.minRTT != 0 {
		r := uint32(min(c.out.minRTT/time.Microsecond, 1<<31)) + 1
		if c.pathRTT == 0 || r < c.pathRTT {
			c.pathRTT = r
		} else {
			c.pathRTT += (r - c.pathRTT + 1<<pathRTTShift - 1) >> pathRTTShift
		}
	}
	return c.pathRTT
}

// sendRoom is how many more octets the send queue may take; negative when it
// holds more than it should.
func (c *TCB) sendRoom() int {
	n := int(c.snd.size) - c.snd.queue.len()
	if c.snd.lowat > 0 {
		n = min(n, int(c.snd.lowat)-c.unsent())
	}
	if l := c.level(); l != LevelNormal {
		most := c.cfg.MinBuffer
		if l == LevelPressure { // a peer that takes nothing is sent nothing
			most = max(most, 2*min(c.cc.Cwnd, c.snd.WND))
		}
		n = min(n, int(most)-c.snd.queue.len())
	}
	return n
}

// unsent is how many octets have never been sent.
func (c *TCB) unsent() int { return max(0, c.sndEnd().Sub(maxSeq(c.snd.MAX, c.snd.ISS+1))) }

// drained tells the program that octets left which had used up its allowance of
// unsent ones; n left just now.
func (c *TCB) drained(n int) {
	if c.snd.lowat == 0 {
		return
	}
	if k := c.unsent(); k < int(c.snd.lowat) && k+n >= int(c.snd.lowat) {
		c.events |= EventWritable
	}
}

// SetBuffers sets how many bytes may be queued to send, and how many received
// ones may wait, and keeps them from growing by themselves; values that are not
// positive leave one as it is. A smaller receive buffer takes nothing back of
// the window that was offered (RFC 9293 §3.8.6), and a larger one is cut to what
// the window scale can express.
func (c *TCB) SetBuffers(send, receive int) {
	if send > 0 {
		c.flags |= fSendSet
		c.snd.size = uint32(min(send, maxBuffer))
		c.events |= EventWritable
	}
	if receive > 0 {
		c.flags |= fReceiveSet
		c.rcv.size = min(uint32(min(receive, maxBuffer)), 65535<<c.rcv.scale)
		if c.rcv.scale > 0 { // below one unit of the scale no window could be offered
			c.rcv.size = max(c.rcv.size, minWindowUnits<<c.rcv.scale)
		}
	}
}

// SetNotSentLowat bounds how many bytes may be queued that have never been
// sent; 0 or less: no bound but the buffer's. A low one keeps what a program
// may still change its mind about out of the queue.
func (c *TCB) SetNotSentLowat(n int) {
	c.snd.lowat = uint32(min(max(n, 0), maxBuffer))
	c.events |= EventWritable
}
