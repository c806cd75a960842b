package engine

import (
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// The bounds of the search for connections that can be ended when memory is
// short.
const (
	// reliefConns is how many connections are looked at in one search.
	reliefConns = 4096
	// reliefInterval is the least time between two searches, so that a full
	// table costs a bounded share of the time.
	reliefInterval = 10 * time.Millisecond
)

// relief is what an Engine remembers of its searches for memory.
type relief struct {
	next    mono.Time // no search before
	segment int       // of the table: where the next one begins
	stalled bool      // connections whose peers keep their windows closed go, too
}

// MemoryStats is how much the queues of all connections keep alive.
type MemoryStats struct {
	Level tcp.Level
	Held  int64 // bytes, by this Engine's connections
	Used  int64 // bytes, by all that share the budget
	Limit int64
}

// relieve gives memory back when the hard level is reached: what arrived out of
// order, of all connections in turn; then the connections that no program holds
// any more; then, if a whole round of that was not enough, those whose peers
// keep their windows closed and whom RFC 6429 §3 lets a host in need end.
// Connections that their programs do not read are bounded by their windows.
func (e *Engine) relieve(now mono.Time) {
	if e.memory.Look() != tcp.LevelHard {
		e.relief.segment, e.relief.stalled = 0, false
		return
	}
	if now < e.relief.next {
		return
	}
	e.relief.next = now.Add(reliefInterval)
	for looked := 0; looked < reliefConns && e.memory.Level() == tcp.LevelHard; {
		looked += e.relieveSegment(now, &e.conns.segments[e.relief.segment])
		if e.relief.segment++; e.relief.segment == tableSegments {
			e.relief.segment = 0
			if e.relief.stalled {
				return // all that can be done has been
			}
			e.relief.stalled = true
		}
	}
}

// relieveSegment looks at the connections of a part of the table and returns
// how many those were, one at least.
func (e *Engine) relieveSegment(now mono.Time, s *segment[Conn, *Conn]) int {
	for _, c := range s.slots {
		if c == nil || c.Held() == 0 {
			continue
		}
		c.Prune()
		switch {
		case c.status&orphaned != 0:
			e.stats.Count[MemoryOrphansReset]++
		case e.relief.stalled && c.Stalled():
			e.stats.Count[MemoryStalledReset]++
		default:
			continue
		}
		c.Evict(now)
		e.touch(c)
		if e.memory.Level() != tcp.LevelHard {
			break
		}
	}
	return len(s.slots) + 1
}

// memoryStats fills in what the counters and the Memory know.
func (e *Engine) memoryStats(s *Stats) {
	m := e.memory
	s.Memory = MemoryStats{Level: m.Look(), Held: m.Held(), Used: m.Used(), Limit: m.Limit()}
	s.Count[MemoryPressure], s.Count[MemoryHard] = m.Counts.Pressure, m.Counts.Hard
	s.Count[MemoryPruned] = m.Counts.Pruned
	s.Count[MemoryOutOfOrderDropped] = m.Counts.OutOfOrderDropped
	s.Count[MemoryInOrderDropped] = m.Counts.InOrderDropped
}
