package pkt

import "sync/atomic"

// Budget counts bytes against a limit that several owners share, such as the
// engines of a host. It refuses nothing by itself. Its methods may be called
// from any goroutine.
type Budget struct {
	used  atomic.Int64
	limit int64
}

// NewBudget returns a Budget of limit bytes, none of which are used.
func NewBudget(limit int) *Budget { return &Budget{limit: int64(limit)} }

// Limit returns how many bytes there are in all.
func (b *Budget) Limit() int64 { return b.limit }

// Used returns how many bytes are in use.
func (b *Budget) Used() int64 { return b.used.Load() }

// Add notes that n more bytes are in use, or fewer when n is negative.
func (b *Budget) Add(n int64) { b.used.Add(n) }
