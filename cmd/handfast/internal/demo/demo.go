// Package demo plays a scenario on a network inside the process: a program on
// host B serves a file, a program on host A fetches it, over a bad wire, and
// everything between the two programs is package handfast. It runs in real
// time.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace/ladder"
)

// Options say what is played.
type Options struct {
	Source Source
	Wire   netem.Config // each way
	MTU    int          // of the wire, bytes; 0: 1500
	IPv6   bool
	Seed   uint64 // of the wire's luck
	// Congestion is the congestion control of both hosts, by the name that
	// cc.ByName knows; "": the library's default.
	Congestion string
	// Received gets the bytes as they arrive at A, Capture a pcapng file of
	// what passes at B's end of the wire. Both may be nil; both are written to
	// only while Run runs.
	Received, Capture io.Writer
}

// Watcher is told how it goes. It is called by Run, one call at a time; while
// it does not return, the transfer goes on.
type Watcher interface {
	// Connected tells the steps of the handshake, once both sides are
	// ESTABLISHED; A is on the left.
	Connected(steps []ladder.Step)
	// Progress comes about ten times a second from then on, and once more, with
	// Done set, when A's program has read all.
	Progress(p Progress)
	// Repaired tells the steps of the first loss of a piece of the file, up to
	// the ACK of its retransmission, if there was one early in the transfer.
	Repaired(steps []ladder.Step)
	// Closed tells the steps of the close, once both sides have come to its
	// end.
	Closed(steps []ladder.Step)
}

// Progress is how far the transfer is.
type Progress struct {
	Bytes, Total    int64
	Elapsed         time.Duration // since A began to connect
	BitsPerSecond   int64         // that arrived at A's program, over the last second
	Cwnd            uint32        // B's congestion window, bytes
	Pacing          int64         // B's pacing rate, bits a second; 0: none
	Retransmissions uint64        // of both sides
	Done            bool
}

// Report is what came of it.
type Report struct {
	File            string        `json:"file"`
	Bytes           int64         `json:"bytes"`           // that arrived
	Took            time.Duration `json:"-"`               // until A's program had read all
	Segments        uint64        `json:"segments"`        // that both hosts sent, as on the wire
	Retransmissions uint64        `json:"retransmissions"` // of them, sent again
	Sent            Sent          `json:"sent"`            // by both, with the reasons
	Congestion      string        `json:"congestion"`      // B's congestion control
	Lost            uint64        `json:"lost"`            // packets that the wire dropped
	SHA256Sent      string        `json:"sha256_sent"`     // what B's program read from the file
	SHA256Received  string        `json:"sha256_received"` // what A's program read from its connection
	StateA          string        `json:"state_a"`         // at the end
	StateB          string        `json:"state_b"`
	// TimeWait is how long TIME-WAIT lasts, 2 MSL.
	TimeWait time.Duration `json:"-"`
}

// ErrDiffers says that what arrived is not what was sent.
var ErrDiffers = errors.New("what arrived is not what was sent")

// tickTime is the time between two calls of Watcher.Progress.
const tickTime = 100 * time.Millisecond

// Run plays it, and returns when both connections have ended: the side that
// closed first in TIME-WAIT, the other one CLOSED. When the context ends first
// its error is returned. No goroutine is left behind, and nothing more is
// written to the Options' writers.
func Run(ctx context.Context, o Options, w Watcher) (*Report, error) {
	if o.Received == nil {
		o.Received = io.Discard
	}
	n, err := newNetwork(&o)
	if err != nil {
		return nil, err
	}
	p := &play{network: n, o: o, w: w}
	report, err := p.run(ctx)
	if cerr := n.close(); cerr != nil && err == nil {
		err = fmt.Errorf("the recording: %w", cerr)
	}
	return report, err
}

// play is one run.
type play struct {
	*network
	o         Options
	w         Watcher
	began     time.Time
	got       atomic.Int64
	rate      rateMeter
	connected bool
	told      bool // the Watcher, that all has arrived
}

func (p *play) run(ctx context.Context) (*Report, error) {
	to := netip.AddrPortFrom(p.addr[1], servicePort)
	l, err := p.b.Listen(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	server, client := make(chan served, 1), make(chan fetched, 1)
	p.began = time.Now()
	go func() { server <- serve(l.(*handfast.Listener), p.o.Source) }()
	go func() { client <- fetch(ctx, p.a, to, p.o.Source.Name, p.o.Received, &p.got) }()
	s, c, took, err := p.watch(ctx, server, client)
	if err != nil {
		p.close() // both programs' calls return, so that nobody writes any more
		s, c = p.collect(s, c, server, client)
		return nil, cause(ctx, err, s, c)
	}
	if steps := firstRepair(p.beginning()); len(steps) > 0 {
		p.w.Repaired(steps)
	}
	p.w.Closed(p.closing())
	r := p.report(took)
	r.SHA256Sent, r.SHA256Received = s.hash, c.hash
	if s.hash != c.hash {
		return r, ErrDiffers
	}
	return r, nil
}

// watch waits for both programs and both connections, and keeps the Watcher
// informed. took is the time until all bytes had arrived.
func (p *play) watch(ctx context.Context, server <-chan served, client <-chan fetched) (s *served, c *fetched, took time.Duration, err error) {
	p.rate.add(p.began, 0)
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for s == nil || c == nil || !p.ended() {
		select {
		case <-ctx.Done():
			return s, c, took, ctx.Err()
		case <-p.changed:
		case <-tick.C:
			p.rate.add(time.Now(), p.got.Load())
			if p.connected && c == nil {
				p.w.Progress(p.progress())
			}
		case x := <-server:
			s = &x
			err = x.err
		case x := <-client:
			c, took = &x, time.Since(p.began)
			err = x.err
		}
		if err != nil {
			return s, c, took, err
		}
		if !p.connected && p.events[0].has(tcp.Established) && p.events[1].has(tcp.Established) {
			p.connected = true
			p.w.Connected(upToEstablished(p.beginning()))
		}
		if c != nil && p.connected && !p.told {
			p.told = true
			last := p.progress()
			last.Done, last.Elapsed = true, took
			p.w.Progress(last)
		}
	}
	return s, c, took, nil
}

// ended reports whether both connections are through: the last ACK of the close
// may be lost, so that it takes a while after both programs have ended.
func (p *play) ended() bool {
	done := func(s tcp.State) bool { return s == tcp.Closed || s == tcp.TimeWait }
	return p.connected && done(p.events[0].now()) && done(p.events[1].now())
}

// collect waits for the programs that have not ended yet.
func (p *play) collect(s *served, c *fetched, server <-chan served, client <-chan fetched) (*served, *fetched) {
	if s == nil {
		x := <-server
		s = &x
	}
	if c == nil {
		x := <-client
		c = &x
	}
	return s, c
}

// cause picks the error that explains best: an end from outside, then what
// ailed the server's file, then the connection.
func cause(ctx context.Context, err error, s *served, c *fetched) error {
	var file fileError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(s.err, &file):
		return s.err
	case c.err != nil:
		return c.err
	}
	return err
}

func (p *play) progress() Progress {
	a, _, _ := p.events[0].counts()
	b, cwnd, pacing := p.events[1].counts()
	return Progress{Bytes: p.got.Load(), Total: p.o.Source.Size, Elapsed: time.Since(p.began),
		BitsPerSecond: p.rate.bitsPerSecond(), Cwnd: cwnd, Pacing: int64(8 * pacing), Retransmissions: a.Again() + b.Again()}
}

func (p *play) report(took time.Duration) *Report {
	r := &Report{File: p.o.Source.String(), Bytes: p.got.Load(), TimeWait: timeWait(), Took: took, Lost: p.lost(),
		StateA: p.events[0].now().String(), StateB: p.events[1].now().String()}
	for _, e := range p.events {
		sent, _, _ := e.counts()
		r.Sent.add(&sent)
	}
	r.Segments, r.Retransmissions = r.Sent.Segments, r.Sent.Again()
	r.Congestion, _ = p.b.Sysctl("net.ipv4.tcp_congestion_control")
	return r
}

// timeWait is what both Hosts use, as Linux does.
func timeWait() time.Duration { return tcp.DefaultConfig(tcp.ProfileLinux).TimeWait }

// rateMeter remembers a second of progress.
type rateMeter struct {
	at [11]time.Time
	n  [11]int64
	k  int // samples so far
}

func (m *rateMeter) add(at time.Time, n int64) {
	i := m.k % len(m.at)
	m.at[i], m.n[i] = at, n
	m.k++
}

func (m *rateMeter) bitsPerSecond() int64 {
	if m.k < 2 {
		return 0
	}
	newest, oldest := (m.k-1)%len(m.at), 0
	if m.k > len(m.at) {
		oldest = m.k % len(m.at)
	}
	d := m.at[newest].Sub(m.at[oldest])
	if d <= 0 {
		return 0
	}
	return int64(float64(m.n[newest]-m.n[oldest]) * 8 / d.Seconds())
}
