package netem

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
)

var errPushed = errors.New("netem: Read after SetInput: packets go to the input")

// clock turns the time of the machine, or of a bubble, into mono.Time.
type clock struct{ epoch time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) mono(t time.Time) mono.Time { return mono.Start.Add(t.Sub(c.epoch)) }

// line is one direction: the Wire that decides and the packets on their way.
// It belongs to its receiver, whose Close releases what it holds.
type line struct {
	clock
	pool      *pkt.Pool
	medium    link.Medium
	limit     int // bytes of the largest frame
	tap       Tap
	sentAt    Place
	arrivedAt Place

	wake  chan struct{} // holds a token when the earliest arrival changed
	done  chan struct{} // closed when the receiver is
	ended chan struct{} // closed when deliver has returned

	mu             sync.Mutex
	wire           *netem.Wire
	flight         flight
	stats          Stats
	input          func([]*pkt.Packet) // set once deliver was started
	senderClosed   bool
	receiverClosed bool
}

func newLine(pool *pkt.Pool, c clock, opts *Options, cfg netem.Config, seed uint64, sent, arrived Place) *line {
	l := &line{
		clock:     c,
		pool:      pool,
		medium:    opts.Medium,
		limit:     opts.MTU + opts.Medium.HeaderLen(),
		tap:       opts.Tap,
		sentAt:    sent,
		arrivedAt: arrived,
		wake:      make(chan struct{}, 1),
		done:      make(chan struct{}),
		ended:     make(chan struct{}),
	}
	l.wire = netem.New(l.adapt(cfg), seed)
	return l
}

// adapt makes a Config fit for a wire under a Host: time has to pass on it,
// and its MTU, given for IP, is applied to frames.
func (l *line) adapt(cfg netem.Config) netem.Config {
	if cfg.MTU > 0 {
		cfg.MTU += l.medium.HeaderLen()
	}
	return cfg.ForVirtualTime()
}

func (l *line) setConfig(cfg netem.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wire.SetConfig(l.adapt(cfg))
}

func (l *line) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Wire = l.wire.Counters()
	s.InFlight = l.flight.len()
	return s
}

// send takes the batch over, decides each packet's fate and copies those that
// will arrive.
func (l *line) send(batch []*pkt.Packet) (n int, err error) {
	now := time.Now()
	if l.tap != nil {
		for _, p := range batch {
			if l.refuse(p) == nil {
				l.tap(now, l.sentAt, p)
			}
		}
	}
	l.mu.Lock()
	if l.senderClosed {
		l.mu.Unlock()
		for _, p := range batch {
			p.Release()
		}
		return 0, net.ErrClosed
	}
	before := l.flight.next()
	for _, p := range batch {
		if e := l.refuse(p); e != nil {
			l.stats.Refused++
			if err == nil {
				err = e
			}
		} else {
			l.carry(l.mono(now), p)
			n++
		}
		p.Release()
	}
	earlier := l.flight.next() != before
	l.mu.Unlock()
	if earlier {
		select {
		case l.wake <- struct{}{}:
		default: // a token is there already
		}
	}
	return n, err
}

// refuse says why Caps exclude a packet, nil if they do not.
func (l *line) refuse(p *pkt.Packet) error {
	switch {
	case p.Segs > 1:
		return fmt.Errorf("%w: a super-segment of %d", link.ErrPacket, p.Segs)
	case p.Csum == pkt.CsumPartial:
		return fmt.Errorf("%w: its checksum is not complete", link.ErrPacket)
	case p.Len() > l.limit:
		return fmt.Errorf("%w: %d bytes, allowed are %d", link.ErrPacket, p.Len(), l.limit)
	}
	return nil
}

// carry puts as many copies of p on their way as its fate says.
func (l *line) carry(now mono.Time, p *pkt.Packet) {
	fate := l.wire.Send(now, p.Len())
	for _, at := range fate.At[:fate.N] {
		switch {
		case l.receiverClosed:
			l.stats.Unplugged++
			continue
		case l.flight.len() >= MaxInFlight:
			l.stats.Overflow++
			continue
		}
		c := l.pool.Chunk(p.Len())
		frame := p.AppendTo(c.Bytes()[:0])
		if fate.CE {
			markCE(frame, l.medium)
		}
		if fate.Corrupt {
			flip(frame, fate.Bit)
		}
		q := l.pool.Packet()
		q.SetFrame(c.Ref(frame), len(frame))
		l.flight.push(at, q)
	}
}

func (l *line) setInput(input func([]*pkt.Packet)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if input == nil || l.receiverClosed {
		return
	}
	first := l.input == nil
	l.input = input
	if first {
		go l.deliver()
	}
}

// deliver hands arriving packets to the input until the receiver closes.
func (l *line) deliver() {
	defer close(l.ended)
	timer := stoppedTimer()
	batch := make([]*pkt.Packet, BatchSize)
	for {
		n, err := l.await(batch, timer)
		if err != nil {
			return
		}
		l.mu.Lock()
		input := l.input
		l.mu.Unlock()
		input(batch[:n])
		clear(batch[:n])
	}
}

func (l *line) read(batch []*pkt.Packet) (int, error) {
	l.mu.Lock()
	pushed := l.input != nil && !l.receiverClosed
	l.mu.Unlock()
	if pushed {
		return 0, errPushed
	}
	return l.await(batch, stoppedTimer())
}

// stoppedTimer returns a timer for await. It must not run on its own: in a
// bubble even a timer that nobody waits for moves the time.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// await waits until packets are due and takes them, or for the end. The timer
// is the caller's own and set only here.
func (l *line) await(batch []*pkt.Packet, timer *time.Timer) (int, error) {
	for {
		now := time.Now()
		n, next, err := l.takeDue(batch, l.mono(now))
		if n > 0 && l.tap != nil {
			for _, p := range batch[:n] {
				l.tap(now, l.arrivedAt, p)
			}
		}
		if n > 0 || err != nil || len(batch) == 0 {
			return n, err
		}
		var due <-chan time.Time // nil blocks forever: nothing is on its way
		if next.IsSet() {
			timer.Reset(next.Sub(l.mono(now)))
			due = timer.C
		}
		select {
		case <-due:
		case <-l.wake:
		case <-l.done:
		}
		timer.Stop()
	}
}

// takeDue moves what is due at now into batch, and says when more will be.
func (l *line) takeDue(batch []*pkt.Packet, now mono.Time) (n int, next mono.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiverClosed {
		return 0, 0, net.ErrClosed
	}
	for n < len(batch) && l.flight.next().Due(now) {
		batch[n] = l.flight.pop()
		n++
	}
	l.stats.Delivered += uint64(n)
	return n, l.flight.next(), nil
}

func (l *line) closeSender() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.senderClosed = true
}

func (l *line) closeReceiver() {
	l.mu.Lock()
	if !l.receiverClosed {
		l.receiverClosed = true
		close(l.done)
		for l.flight.len() > 0 {
			l.flight.pop().Release()
		}
		l.flight = flight{}
	}
	started := l.input != nil
	l.mu.Unlock()
	if started {
		<-l.ended
	}
}
