package handfast_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/pipe"
	"github.com/handfast/handfast/pkt"
)

// slow is a device that takes packets only while its gate is open.
type slow struct {
	*pipe.Device
	mu   sync.Mutex
	gate chan struct{} // closed: open
}

func newSlow(d *pipe.Device) *slow {
	s := &slow{Device: d}
	s.open()
	return s
}

func (s *slow) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate == nil {
		s.gate = make(chan struct{})
	}
	close(s.gate)
}

func (s *slow) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
}

func (s *slow) Queues() []link.Queue { return []link.Queue{s} }

func (s *slow) Write(batch []*pkt.Packet) (int, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	<-gate
	return s.Device.Write(batch)
}

// While a device is busy, more is to be sent than its outbox holds: the Engine
// keeps the rest, and whoever writes comes back for it. Nothing is forgotten
// until a timer would find it.
func TestFullOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns, size = 600, 14_000
		da, db := pipe.New(pipe.Options{GSO: true})
		s := newSlow(da)
		w := join(t, s, db)
		var cs, ps []*handfast.Conn
		for range conns {
			c, p := w.pair()
			cs, ps = append(cs, c), append(ps, p)
		}
		s.shut()
		begin := time.Now()
		for _, c := range cs {
			w.run(func() {
				if _, err := c.Write(make([]byte, size)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one is writing, the outbox is full
		if _, packets := w.a.Outstanding(); packets > 400 {
			t.Errorf("%d packets wait, want few more than the outbox holds", packets)
		}
		s.open()
		for _, p := range ps {
			if _, err := io.ReadFull(p, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		w.programs.Wait()
		if d := time.Since(begin); d != 0 {
			t.Errorf("it took %v until all was there: something waited for a timer", d)
		}
		for _, c := range cs {
			if n := c.Info().Retransmits; n > 0 {
				t.Errorf("%d segments were sent again", n)
			}
		}
		closeHosts(t, w.a, w.b)
	})
}

// A program that sends datagrams faster than the device takes them waits, to
// its deadline or until there is room.
func TestDatagramsWaitForTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		da, db := pipe.New(pipe.Options{})
		s := newSlow(da)
		w := join(t, s, db)
		sock, err := w.a.ListenPacket(context.Background(), "udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		to := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9}
		s.shut()
		w.run(func() { sock.WriteTo(make([]byte, 100), to) }) // writes the device
		synctest.Wait()
		sock.SetWriteDeadline(time.Now().Add(time.Second))
		sent := 0
		for ; err == nil; sent++ {
			_, err = sock.WriteTo(make([]byte, 100), to)
		}
		if !isTimeout(err) || sent < 200 || sent > 400 {
			t.Errorf("%v after %d datagrams, want a timeout when the outbox is full", err, sent)
		}
		sock.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		w.run(func() { _, err := sock.WriteTo(make([]byte, 100), to); done <- err })
		synctest.Wait()
		s.open()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.shut()
		w.run(func() {
			var err error
			for err == nil {
				_, err = sock.WriteTo(make([]byte, 100), to)
			}
			w.closed("WriteTo", err)
		})
		w.run(func() {
			var err error
			for err == nil {
				_, err = sock.WriteTo(make([]byte, 100), to)
			}
			w.closed("WriteTo", err)
		})
		synctest.Wait()
		closed := make(chan error, 1)
		w.run(func() { closed <- w.a.Close() })
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while the device was being written")
		default:
		}
		s.open()
		if err := <-closed; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		w.programs.Wait()
		closeHosts(t, w.a, w.b)
	})
}

// A device that takes nothing stops what goes by it, and nothing else: not the
// loopback, not another device.
func TestAStuckDeviceStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		da, db := pipe.New(pipe.Options{GSO: true})
		s := newSlow(da)
		w := join(t, s, db)
		var cs []*handfast.Conn
		for range 400 {
			c, _ := w.pair()
			cs = append(cs, c)
		}
		s.shut()
		for _, c := range cs {
			w.run(func() { c.Write(make([]byte, 14_000)) })
		}
		synctest.Wait() // one is writing, the outbox is full

		l, err := w.a.Listen(context.Background(), "tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		ea, eb := pipe.New(pipe.Options{})
		other, err := handfast.New(handfast.Config{Name: "other"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.a.Attach(ea, netip.MustParsePrefix("10.1.0.1/24")); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Attach(eb, netip.MustParsePrefix("10.1.0.2/24")); err != nil {
			t.Fatal(err)
		}
		ol, err := other.Listen(context.Background(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		for addr, l := range map[string]net.Listener{"127.0.0.1:80": l, "10.1.0.2:80": ol} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			c, err := w.a.DialContext(ctx, "tcp", addr)
			cancel()
			if err != nil {
				t.Errorf("%s, while another device is stuck: %v", addr, err)
				continue
			}
			p, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "still here")
			var buf [16]byte
			if n, err := p.Read(buf[:]); string(buf[:n]) != "still here" || err != nil {
				t.Errorf("%s: %q, %v", addr, buf[:n], err)
			}
		}
		s.open()
		w.programs.Wait()
		other.Close()
		closeHosts(t, w.a, w.b)
	})
}
