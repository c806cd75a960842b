package system_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// counts returns what the Host has now.
func (l *lab) counts() (st engine.Stats) { l.host.Stats(&st); return st }

// ourEnd waits until the Host has so many connections and TIME-WAIT records.
func (l *lab) ourEnd(connections, timeWait int) {
	l.Helper()
	var st engine.Stats
	l.await("the Host's connections to end", func() bool {
		st = l.counts()
		return st.Connections == connections && st.TimeWait == timeWait
	})
}

// pass sends text from one end to the other.
func pass(from, to net.Conn, text string) error {
	if _, err := io.WriteString(from, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("got " + string(got))
	}
	return nil
}

// atEOF reads the end of the stream.
func (l *lab) atEOF(c net.Conn) {
	l.Helper()
	var b [16]byte
	if n, err := c.Read(b[:]); n != 0 || err != io.EOF {
		l.Fatalf("read %d bytes, %v; want the end of the stream", n, err)
	}
}

// Who closes first ends in TIME-WAIT, and the other's end is gone.
func TestOrderOfClose(t *testing.T) {
	each(t, setup{}, func(l *lab) {
		l.bothDial(func(l *lab, p pair) {
			local := port(p.kernel.LocalAddr())
			before := l.counts().TimeWait
			if err := exchange(p.ours, p.kernel); err != nil {
				l.Fatal(err)
			}
			p.ours.Close()
			l.atEOF(p.kernel)
			l.kernelState(port(p.ours.LocalAddr()), "CLOSE-WAIT")
			p.kernel.Close()
			l.kernelState(local, "")
			l.ourEnd(0, before+1)
		})
		l.bothDial(func(l *lab, p pair) {
			before := l.counts().TimeWait
			p.kernel.Close()
			l.atEOF(p.ours)
			if s := p.ours.Info().State; s != tcp.CloseWait {
				l.Errorf("we are in %v", s)
			}
			l.kernelState(port(p.ours.LocalAddr()), "FIN-WAIT-2")
			p.ours.Close()
			l.kernelState(port(p.ours.LocalAddr()), "TIME-WAIT")
			l.ourEnd(0, before)
		})
	})
}

// Both close before either hears of it: both go through CLOSING and end in
// TIME-WAIT. RFC 9293 figure 13.
func TestSimultaneousClose(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) {
			m := &meddler{}
			l := newLab(t, setup{wrap: m.wrap}, v6)
			p := l.weDial()
			if err := exchange(p.ours, p.kernel); err != nil {
				t.Fatal(err)
			}
			l.await("our last ACK", func() bool { return p.ours.Info().Unacked == 0 })
			m.holdBack()
			p.ours.Close()
			l.await("our FIN", func() bool { return m.heldBack() == 1 })
			p.kernel.Close()
			l.await("CLOSING", func() bool { return p.ours.Info().State == tcp.Closing })
			l.kernelState(port(p.ours.LocalAddr()), "FIN-WAIT-1")
			if err := m.release(); err != nil {
				t.Fatal(err)
			}
			l.ourEnd(0, 1)
			l.kernelState(port(p.ours.LocalAddr()), "TIME-WAIT")
		})
	}
}

// One end says that it is done and goes on reading; the other has a lot left.
func TestHalfClose(t *testing.T) {
	const left = 4 << 20
	each(t, setup{}, func(l *lab) {
		for first := range (pair{}).ends() {
			l.bothDial(func(l *lab, p pair) {
				a, b := p.ends()[first][0], p.ends()[first][1]
				if err := pass(a, b, "a question"); err != nil {
					l.Fatal(err)
				}
				if err := a.CloseWrite(); err != nil {
					l.Fatal(err)
				}
				l.atEOF(b)
				if _, err := a.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
					l.Errorf("%s writes after its FIN: %v", first, err)
				}
				sent := make(chan error, 1)
				go func() {
					_, err := io.Copy(b, noise(5, left))
					b.Close()
					sent <- err
				}()
				h := sha256.New()
				n, err := io.Copy(h, a)
				if werr := <-sent; n != left || err != nil || werr != nil || sum(h) != noiseSum(5, left) {
					l.Errorf("after the half-close %d of %d bytes came (%v, %v)", n, left, err, werr)
				}
				a.Close()
				l.ourEnd(0, l.counts().TimeWait)
			})
		}
	})
}

func TestConnectionRefused(t *testing.T) {
	each(t, setup{}, func(l *lab) {
		for what, dial := range map[string]func() (net.Conn, error){
			"we dial": func() (net.Conn, error) {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				return l.host.DialContext(ctx, "tcp", l.at(9))
			},
			"the kernel dials": func() (net.Conn, error) { return l.ns.Dial("tcp", l.ourAt(9)) },
		} {
			if c, err := dial(); !errors.Is(err, syscall.ECONNREFUSED) {
				l.Errorf("%s a port that nobody has: %v, %v", what, c, err)
			}
		}
		l.ourEnd(0, 0)
	})
}

// A close with SO_LINGER 0, and one with data unread, is a reset; the other
// end reads it as one, and nobody keeps anything.
func TestReset(t *testing.T) {
	reset := map[string]func(l *lab, a, b duplex){
		"linger 0": func(l *lab, a, b duplex) { a.SetLinger(0) },
		"data unread": func(l *lab, a, b duplex) {
			if _, err := b.Write([]byte("unread")); err != nil {
				l.Fatal(err)
			}
			l.await("the data", func() bool { return l.unread(a) == len("unread") })
		},
	}
	each(t, setup{}, func(l *lab) {
		for first := range (pair{}).ends() {
			for how, prepare := range reset {
				l.bothDial(func(l *lab, p pair) {
					a, b := p.ends()[first][0], p.ends()[first][1]
					if err := exchange(a, b); err != nil {
						l.Fatal(err)
					}
					prepare(l, a, b)
					a.Close()
					var buf [16]byte
					if n, err := b.Read(buf[:]); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
						l.Errorf("%s: after the reset of %s: read %d, %v", how, first, n, err)
					}
					if n, err := b.Read(buf[:]); n != 0 || err != io.EOF {
						l.Errorf("%s: the second read gives %d, %v", how, n, err)
					}
					if _, err := b.Write(buf[:]); !errors.Is(err, syscall.EPIPE) {
						l.Errorf("%s: a write gives %v", how, err)
					}
					l.kernelState(port(p.ours.LocalAddr()), "")
					l.ourEnd(0, 0)
				})
			}
		}
	})
}

// unread returns how many bytes wait at an end.
func (l *lab) unread(c duplex) int {
	switch c := c.(type) {
	case *handfast.Conn:
		return int(c.Info().Unread)
	case *net.TCPConn:
		n := 0
		if err := control(c, func(fd int) (err error) { n, err = ioctlInt(fd, siocinq); return err }); err != nil {
			l.Fatal(err)
		}
		return n
	}
	return -1
}

// What arrived before a reset and was not read is still handed out, by a
// kernel's socket and by ours; then comes the reset.
func TestDataBeforeAReset(t *testing.T) {
	each(t, setup{}, func(l *lab) {
		for first := range (pair{}).ends() {
			l.bothDial(func(l *lab, p pair) {
				a, b := p.ends()[first][0], p.ends()[first][1]
				if _, err := a.Write([]byte("last words")); err != nil {
					l.Fatal(err)
				}
				l.await("the data", func() bool { return l.unread(b) > 0 })
				a.SetLinger(0)
				a.Close()
				l.kernelState(port(p.ours.LocalAddr()), "")
				l.ourEnd(0, 0)
				var buf [16]byte
				n, err := b.Read(buf[:])
				if string(buf[:n]) != "last words" || err != nil {
					l.Errorf("the first read gives %q, %v", buf[:n], err)
				}
				if n, err = b.Read(buf[:]); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
					l.Errorf("the second read gives %d bytes, %v", n, err)
				}
			})
		}
	})
}

// A keepalive probe is answered; a peer that answers none is given up.
func TestKeepalive(t *testing.T) {
	const probes = 3
	// The kernel answers out-of-window segments, as a probe is, twice a second
	// unless told otherwise.
	often := map[string]string{"net/ipv4/tcp_invalid_ratelimit": "0"}
	each(t, setup{sysctl: often}, func(l *lab) {
		l.Parallel()
		p := l.theyDial()
		k := net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: probes}
		if err := p.kernel.SetKeepAliveConfig(k); err != nil {
			l.Fatal(err)
		}
		in := p.ours.Info().SegsIn
		l.await("the kernel's probes", func() bool { return p.ours.Info().SegsIn >= in+probes+1 })
		if err := exchange(p.ours, p.kernel); err != nil {
			l.Fatalf("after the kernel's probes: %v", err)
		}
		p.kernel.SetKeepAlive(false)
		p.ours.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 50 * time.Millisecond, Interval: 50 * time.Millisecond, Count: probes})
		in = p.ours.Info().SegsIn
		l.await("answers to our probes", func() bool { return p.ours.Info().SegsIn >= in+2*probes })
		if err := exchange(p.ours, p.kernel); err != nil {
			l.Fatalf("after our probes: %v", err)
		}
	})
}

func TestKeepaliveGivesUp(t *testing.T) {
	m := &meddler{}
	l := newLab(t, setup{wrap: m.wrap}, false)
	p := l.weDial()
	k := net.KeepAliveConfig{Enable: true, Idle: 50 * time.Millisecond, Interval: 50 * time.Millisecond, Count: 3}
	if err := p.ours.SetKeepAliveConfig(k); err != nil {
		t.Fatal(err)
	}
	m.dropping(func(out bool, _ *pkt.Packet) bool { return !out })
	var buf [1]byte
	if _, err := p.ours.Read(buf[:]); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("a peer that answers no probe: %v", err)
	}
	m.dropping(nil)
}
