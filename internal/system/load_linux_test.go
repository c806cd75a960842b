package system_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"golang.org/x/sys/unix"
)

// carry sends noise from one end to the other, closes the sending side, and
// returns nil if just that arrived.
func carry(from, to duplex, seed byte, n int64) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(from, noise(seed, n))
		sent <- errors.Join(err, from.CloseWrite())
	}()
	h := sha256.New()
	got, err := io.Copy(h, to)
	if err = errors.Join(err, <-sent); err != nil {
		return fmt.Errorf("%d of %d bytes: %w", got, n, err)
	}
	if got != n || sum(h) != noiseSum(seed, n) {
		return fmt.Errorf("%d bytes came of %d, or not the same", got, n)
	}
	return nil
}

// bothWays carries noise in both directions at once.
func bothWays(p pair, n int64) error {
	errc := make(chan error, 1)
	go func() { errc <- carry(p.ours, p.kernel, 6, n) }()
	err := carry(p.kernel, p.ours, 7, n)
	return errors.Join(err, <-errc)
}

// serveEcho sends back what each connection sends, until the listener closes.
func serveEcho(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			deadline(c)
			io.Copy(c, c)
			c.Close()
		}()
	}
}

// Two hundred connections at the same time, opened by either side.
func TestManyConnections(t *testing.T) {
	const conns, size = 200, 20_000
	each(t, setup{}, func(l *lab) {
		ours, theirs := l.listen(7), l.kernelListens(7)
		go serveEcho(ours)
		go serveEcho(theirs)
		var wg sync.WaitGroup
		for i := range conns {
			wg.Go(func() {
				dial, to := l.host.Dial, l.at(7)
				if i%2 == 0 {
					dial, to = l.ns.Dial, l.ourAt(7)
				}
				c, err := dial("tcp", to)
				if err != nil {
					l.Error(err)
					return
				}
				defer c.Close()
				d := deadline(c).(duplex)
				if err := carry(d, d, byte(i), size); err != nil {
					l.Errorf("connection %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		l.await("the connections to end", func() bool { return l.counts().Connections == 0 })
	})
}

// More callers than the backlog holds: those beyond it wait, and all are
// served when the server comes back.
func TestBacklog(t *testing.T) {
	const backlog, callers = 4, 12
	// With SYN cookies the kernel forgets callers that it has no room for, and
	// resets them when they go on.
	noCookies := map[string]string{"net/ipv4/tcp_syncookies": "0"}
	each(t, setup{sysctl: noCookies}, func(l *lab) {
		l.Parallel()
		for who, f := range map[string]struct {
			listen func() (net.Listener, error)
			dial   func(address string) (net.Conn, error)
		}{
			"ours": {
				func() (net.Listener, error) {
					return l.host.ListenBacklog(context.Background(), "tcp", l.ourAt(0), backlog)
				},
				func(address string) (net.Conn, error) { return l.ns.Dial("tcp", address) },
			},
			"the kernel's": {
				func() (net.Listener, error) {
					ln, err := l.ns.Listen("tcp", l.at(0))
					if err == nil {
						err = controlListener(ln.(*net.TCPListener), func(fd int) error { return unix.Listen(fd, backlog) })
					}
					return ln, err
				},
				func(address string) (net.Conn, error) { return l.host.Dial("tcp", address) },
			},
		} {
			ln, err := f.listen()
			if err != nil {
				l.Fatal(err)
			}
			served := make(chan error, callers)
			for i := range callers {
				go func() { served <- call(f.dial, ln.Addr().String(), byte(i)) }()
			}
			l.await("a full backlog", func() bool { return l.backlogFull(ln, backlog) })
			go serveEcho(ln)
			for range callers {
				if err := <-served; err != nil {
					l.Errorf("%s backlog: %v", who, err)
				}
			}
			ln.Close()
		}
	})
}

// call dials, sends a few bytes and wants them back.
func call(dial func(string) (net.Conn, error), address string, seed byte) error {
	c, err := dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	d := deadline(c).(duplex)
	return carry(d, d, seed, 1000)
}

// backlogFull reports whether a listener has as many connections waiting as it
// takes: one more than the backlog, as in Linux.
func (l *lab) backlogFull(ln net.Listener, backlog int) bool {
	if o, ok := ln.(*handfast.Listener); ok {
		n, _ := o.Pending()
		return n >= backlog
	}
	waiting := 0
	if err := controlListener(ln.(*net.TCPListener), func(fd int) error {
		i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			waiting = int(i.Unacked) // of a listener: the length of its queue
		}
		return err
	}); err != nil {
		l.Fatal(err)
	}
	return waiting >= backlog
}

func controlListener(ln *net.TCPListener, f func(fd int) error) error {
	rc, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	if e := rc.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// kernelInfo is TCP_INFO of a kernel's socket.
func (l *lab) kernelInfo(c *net.TCPConn) *unix.TCPInfo {
	l.Helper()
	var i *unix.TCPInfo
	if err := control(c, func(fd int) (err error) {
		i, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	}); err != nil {
		l.Fatal(err)
	}
	return i
}

// A reader that does not read closes the window; the writer probes it, and all
// arrives when the reader wakes up.
func TestZeroWindow(t *testing.T) {
	const size = 16 << 20
	each(t, setup{}, func(l *lab) {
		l.Parallel()
		for first := range (pair{}).ends() {
			l.bothDial(func(l *lab, p pair) {
				a, b := p.ends()[first][0], p.ends()[first][1]
				sent := make(chan error, 1)
				go func() {
					_, err := io.Copy(a, noise(8, size))
					sent <- errors.Join(err, a.CloseWrite())
				}()
				l.await("probes of a closed window", func() bool {
					if a == duplex(p.ours) {
						i := p.ours.Info()
						return i.Persist && i.SendWindow < i.SendMSS && i.Backoff >= 2
					}
					// Its count of probes begins anew with each answer; the back-off stays.
					k := l.kernelInfo(p.kernel)
					return k.Probes+k.Backoff >= 1
				})
				h := sha256.New()
				n, err := io.Copy(h, b)
				if err = errors.Join(err, <-sent); n != size || err != nil || sum(h) != noiseSum(8, size) {
					l.Errorf("%s writes: %d of %d bytes, %v", first, n, size, err)
				}
			})
		}
	})
}

// A writer whose deadline passes while the window is closed is told so, and
// the connection lives on.
func TestWriteDeadlineAtAClosedWindow(t *testing.T) {
	each(t, setup{}, func(l *lab) {
		p := l.weDial()
		p.ours.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := io.Copy(p.ours, noise(9, 64<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			l.Fatalf("a Write against a closed window: %v", err)
		}
		deadline(p.ours).CloseWrite()
		h := sha256.New()
		got, err := io.Copy(h, p.kernel)
		if err != nil || got != n || sum(h) != noiseSum(9, n) {
			l.Errorf("Write counted %d bytes, %d came, %v", n, got, err)
		}
	})
}

// One packet in twenty is lost, each way: all arrives all the same.
func TestLossyWire(t *testing.T) {
	const size = 1 << 20
	for _, plain := range []bool{false, true} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("offload=%v/%s", !plain, family(v6)), func(t *testing.T) {
				t.Parallel()
				m := &meddler{}
				l := newLab(t, setup{noOffload: plain, wrap: m.wrap}, v6)
				p := l.theyDial()
				m.dropping(lossy(5, 11))
				if err := bothWays(p, size); err != nil {
					t.Errorf("%v; ours: %+v", err, p.ours.Info())
				}
				if i := p.ours.Info(); i.Retransmits == 0 {
					t.Errorf("nothing was sent twice: %+v", i)
				}
			})
		}
	}
}
