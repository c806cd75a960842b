package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/trace"
)

// Level says how scarce the memory is that connections share.
type Level uint8

// The levels. Linux has the same three, net.ipv4.tcp_mem.
const (
	LevelNormal   Level = iota
	LevelPressure       // buffers grow no more, full ones offer little, queues out of order are cut
	LevelHard           // what can come again is dropped, and nothing new begins
)

var levelNames = [...]string{"normal", "pressure", "hard"}

// String returns the level's name.
func (l Level) String() string { return levelNames[l] }

// Shares of the limit, in 24ths. The first two stand to each other as Linux'
// do; what is above the hard level is for keeping connections going.
const (
	memoryParts  = 24
	lowParts     = 12 // below it pressure ends
	pressureFrom = 16
	hardFrom     = 21
)

// memoryStep is how far, in bytes, what a Memory knows may be ahead of what its
// Budget knows.
const memoryStep = 16 << 10

// prunedUnderPressure is what a queue out of order may keep alive under
// pressure, in bytes, and more than the least buffer it is.
const prunedUnderPressure = 4

// Memory accounts for what the queues of many connections keep alive: received
// and unread, out of order, unsent and unacknowledged, with the whole of every
// buffer that a byte of theirs lies in. It is shared by connections that one
// owner drives, through their Config, and is not safe for concurrent use; the
// Budget may be shared with other Memories.
type Memory struct {
	Counts MemoryCounts
	budget *pkt.Budget
	held   int64
	told   int64 // of held, to the budget
	level  Level
	spare  []*outstanding
	event  trace.Event // handed to sinks

	// In bytes of the whole budget: below low pressure ends, above the others
	// their levels begin.
	low, pressure, hard int64
}

// MemoryCounts counts what scarcity led to.
type MemoryCounts struct {
	Pressure          uint64 // times that the normal level was left
	Hard              uint64 // times that the hard level was reached
	Pruned            uint64 // ranges out of order given up
	OutOfOrderDropped uint64 // segments
	InOrderDropped    uint64 // segments
}

// NewMemory returns a Memory that draws on b.
func NewMemory(b *pkt.Budget) *Memory {
	part := func(n int64) int64 { return b.Limit()/memoryParts*n + b.Limit()%memoryParts*n/memoryParts }
	return &Memory{budget: b, low: part(lowParts), pressure: part(pressureFrom), hard: part(hardFrom)}
}

// Levels returns from how many bytes on memory is scarce: pressure ends below
// low and begins above pressure, the hard level begins above hard.
func (m *Memory) Levels() (low, pressure, hard int64) { return m.low, m.pressure, m.hard }

// SetLevels changes them, and the limit of the whole budget with the hard one:
// an eighth of which stays for what keeps connections going. They must ascend.
func (m *Memory) SetLevels(low, pressure, hard int64) {
	m.low, m.pressure, m.hard = low, pressure, hard
	m.budget.SetLimit(hard + hard/hardFrom*(memoryParts-hardFrom))
	m.Look()
}

// Held returns the bytes that this Memory's connections keep alive.
func (m *Memory) Held() int64 { return m.held }

// Used returns the bytes of the whole budget that are in use.
func (m *Memory) Used() int64 { return m.budget.Used() + m.held - m.told }

// Limit returns the bytes of the whole budget.
func (m *Memory) Limit() int64 { return m.budget.Limit() }

// Level returns how scarce memory was when it was last looked at.
func (m *Memory) Level() Level { return m.level }

// Look finds out how scarce memory is, which others may have changed.
func (m *Memory) Look() Level {
	used, was := m.Used(), m.level
	switch {
	case used > m.hard:
		m.level = LevelHard
	case used > m.pressure, was != LevelNormal && used > m.low:
		m.level = LevelPressure
	default:
		m.level = LevelNormal
	}
	if m.level > LevelNormal && was == LevelNormal {
		m.Counts.Pressure++
	}
	if m.level == LevelHard && was != LevelHard {
		m.Counts.Hard++
	}
	return m.level
}

// add notes that connections keep n more bytes alive.
func (m *Memory) add(n int64) {
	m.held += n
	if d := m.held - m.told; d >= memoryStep || d <= -memoryStep {
		m.budget.Add(d)
		m.told = m.held
		m.Look()
	} else if m.level != LevelNormal {
		m.Look()
	}
}

// fits reports whether n more bytes are within the limit.
func (m *Memory) fits(n int) bool { return m.Used()+int64(n) <= m.budget.Limit() }

// level is how scarce memory is for this connection.
func (c *TCB) level() Level {
	if c.cfg.Memory == nil {
		return LevelNormal
	}
	return c.cfg.Memory.level
}

// Held returns what the connection's queues keep alive, in bytes.
func (c *TCB) Held() int {
	n := c.rcv.queue.charged + c.snd.queue.charged
	if c.rcv.ooo != nil {
		n += c.rcv.ooo.charged
	}
	return int(n)
}

// account tells the Memory when the queues have changed. Whatever fills or
// empties them ends with it.
func (c *TCB) account() {
	if c.cfg == nil || c.cfg.Memory == nil {
		return
	}
	if n := uint32(c.Held()); n != c.held {
		c.cfg.Memory.add(int64(n) - int64(c.held))
		c.held = n
	}
}

// admits reports whether there is memory for the text of a segment. At the hard
// level only the next text is taken, by a connection that has nothing unread:
// so all that are read go on, a segment at a time. A peer takes what is refused
// for lost, and sends it again.
func (c *TCB) admits(seg *Segment, inOrder bool) bool {
	m := c.cfg.Memory
	if m == nil || m.level != LevelHard {
		return true
	}
	if inOrder && c.rcv.queue.n == 0 && m.fits(seg.Data[0].Charge()+seg.Data[1].Charge()) {
		return true
	}
	if inOrder {
		m.Counts.InOrderDropped++
	} else {
		m.Counts.OutOfOrderDropped++
	}
	return false
}

// outOfOrderLimit is what the queue out of order may keep alive, in bytes.
func (c *TCB) outOfOrderLimit() uint32 {
	if c.level() == LevelNormal {
		return 2 * c.rcv.size
	}
	return min(2*c.rcv.size, prunedUnderPressure*c.cfg.MinBuffer)
}

// A peer whose small segments are lost one by one must not lose more by our
// bounds: when a queue of at most tightQueue bytes is half full, and until it is
// full, what is small for its buffer moves to one of its own, and costs
// tightBytes at least, about what the range itself takes. Larger queues hold
// enough as it is.
const (
	tightQueue = 512 << 10
	tightBytes = 128
)

// tighten replaces a payload that is small for its buffer by a copy.
func tighten(v *pkt.View) {
	n := v.Len()
	if n == 0 || 4*n > v[0].Charge()+v[1].Charge() {
		return
	}
	b := v.AppendTo(make([]byte, 0, max(n, tightBytes)))
	v.Release()
	v[0] = pkt.Bytes(b)
}

// Prune gives up all that arrived out of order: the peer must send it again,
// although it may have been told that it need not (RFC 2018 §8).
func (c *TCB) Prune() {
	if c.rcv.ooo == nil {
		return
	}
	if c.cfg.Memory != nil {
		c.cfg.Memory.Counts.Pruned += uint64(c.rcv.ooo.count)
	}
	c.dropOutOfOrder()
	c.account()
}

// Evict ends the connection for want of memory: the peer gets a RST, the
// program ReasonMemory.
func (c *TCB) Evict(now mono.Time) {
	if c.state == Closed || c.state == Listen {
		return
	}
	c.owe(pendRST, trace.WhyAborted)
	c.end(now, OnAbort, ReasonMemory)
	c.account()
}

// stalledProbes is how often a peer must have answered a probe of its closed
// window, or not, before Stalled.
const stalledProbes = 2

// Stalled reports that the peer keeps its window closed, probe after probe,
// while bytes wait for it. A host short of memory may end such a connection,
// RFC 6429 §3.
func (c *TCB) Stalled() bool {
	return c.has(fPersist) && c.snd.WND == 0 && c.backoff >= stalledProbes
}
