package engine

// fifoLinks is embedded in a record that stands in a fifo: the indices of its
// neighbours, 0 at the ends. A record can be in one fifo at a time.
type fifoLinks struct{ prev, next uint32 }

// links gives a fifo access to the links of a record that embeds them.
func (l *fifoLinks) links() *fifoLinks { return l }

// fifoEntry is what a fifo needs of its records: that they embed fifoLinks.
type fifoEntry[T any] interface {
	*T
	links() *fifoLinks
}

// fifo is a queue of records of one slab, linked by index. When all records of
// a queue wait for the same time, the order of arrival is the order in which
// they are due, and no heap is needed: every step is O(1). The zero value is an
// empty queue.
//
// Every method that gets a slab must get the one the indices belong to.
type fifo[T any, P fifoEntry[T]] struct {
	head, tail uint32
	n          int
}

// len returns the number of records in the queue.
func (q *fifo[T, P]) len() int { return q.n }

// front returns the index of the record that has waited longest, 0 when the
// queue is empty.
func (q *fifo[T, P]) front() uint32 { return q.head }

// next returns the index of the record behind the given one, 0 at the end.
func (q *fifo[T, P]) next(s *slab[T], index uint32) uint32 {
	return P(s.at(index)).links().next
}

// pushBack appends a record that is in no fifo.
func (q *fifo[T, P]) pushBack(s *slab[T], index uint32) {
	l := P(s.at(index)).links()
	l.prev, l.next = q.tail, 0
	if q.tail != 0 {
		P(s.at(q.tail)).links().next = index
	} else {
		q.head = index
	}
	q.tail = index
	q.n++
}

// remove takes a record out, before it is freed, wherever it stands. It reports
// false, and does nothing, when the record is in no fifo.
func (q *fifo[T, P]) remove(s *slab[T], index uint32) bool {
	l := P(s.at(index)).links()
	if l.prev == 0 && q.head != index {
		return false
	}
	if l.prev != 0 {
		P(s.at(l.prev)).links().next = l.next
	} else {
		q.head = l.next
	}
	if l.next != 0 {
		P(s.at(l.next)).links().prev = l.prev
	} else {
		q.tail = l.prev
	}
	l.prev, l.next = 0, 0
	q.n--
	return true
}
