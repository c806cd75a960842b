package pkt

import "sync/atomic"

// Budget counts bytes against a limit that several owners share, such as the
// engines of a host. It refuses nothing by itself. Its methods may be called
// from any goroutine.
type Budget struct {
	used  atomic.Int64
	limit atomic.Int64
}

// NewBudget returns a Budget of limit bytes, none of which are used.
func NewBudget(limit int) *Budget {
	b := new(Budget)
	b.SetLimit(int64(limit))
	return b
}

// Limit returns how many bytes there are in all.
func (b *Budget) Limit() int64 { return b.limit.Load() }

// SetLimit changes how many bytes there are; more than that may be in use by
// then.
func (b *Budget) SetLimit(n int64) { b.limit.Store(n) }

// Used returns how many bytes are in use.
func (b *Budget) Used() int64 { return b.used.Load() }

// Add notes that n more bytes are in use, or fewer when n is negative.
func (b *Budget) Add(n int64) { b.used.Add(n) }
