package handfast

import (
	"math"
	"time"

	"github.com/handfast/handfast/mono"
)

// waiter is a goroutine that waits for a connection, listener or socket. It
// parks on a channel of its own with the shard's lock released, so that a
// synctest bubble sees it as blocked for good, and virtual time moves.
type waiter struct {
	next  *waiter
	ch    chan struct{}
	timer *time.Timer // made when first needed
}

// maxWaiters is how many spare waiters a shard keeps.
const maxWaiters = 64

// waiterList is the spare waiters of a shard. They are not shared between
// Hosts: a channel made in a synctest bubble must not leave it.
type waiterList struct {
	first *waiter
	n     int
}

func (l *waiterList) get() *waiter {
	w := l.first
	if w == nil {
		return &waiter{ch: make(chan struct{}, 1)}
	}
	l.first, w.next = w.next, nil
	l.n--
	return w
}

func (l *waiterList) put(w *waiter) {
	if l.n < maxWaiters {
		w.next, l.first = l.first, w
		l.n++
	}
}

// wakeAll wakes everyone in a list. They take themselves out of it.
func wakeAll(list *waiter) {
	for w := list; w != nil; w = w.next {
		select {
		case w.ch <- struct{}{}:
		default:
		}
	}
}

// wait parks the caller on a list until it is woken, the deadline passes or
// the channel done is closed. The shard's lock is held before and after, and
// released meanwhile. Whoever returns looks again at what he waited for.
func (s *shard) wait(list **waiter, deadline mono.Time, done <-chan struct{}) {
	w := s.waiters.get()
	w.next = *list
	*list = w
	s.mu.Unlock()
	w.park(s.h, deadline, done)
	s.mu.Lock()
	for p := list; *p != nil; p = &(*p).next {
		if *p == w {
			*p = w.next
			break
		}
	}
	select { // a wake-up that came too late for the next user
	case <-w.ch:
	default:
	}
	s.waiters.put(w)
}

// park waits without the lock.
func (w *waiter) park(h *Host, deadline mono.Time, done <-chan struct{}) {
	if deadline == 0 {
		if done == nil {
			<-w.ch
			return
		}
		select {
		case <-w.ch:
		case <-done:
		}
		return
	}
	d := deadline.Sub(h.now())
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	select {
	case <-w.ch:
	case <-done:
	case <-w.timer.C:
	}
	w.timer.Stop()
}

// deadline converts a time of package net's deadlines: zero is none, one that
// has passed is the first instant of all, and one beyond what can be counted is
// the last.
func (h *Host) deadline(t time.Time) mono.Time {
	if t.IsZero() {
		return 0
	}
	d := min(t.Sub(h.base), math.MaxInt64-time.Duration(mono.Start))
	return max(1, mono.Start.Add(d))
}
