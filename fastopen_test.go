package handfast_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/tcp"
)

// fastServer answers every connection to b's port 443 by what it read, in upper
// case, as soon as it has read something.
func fastServer(w *wired) {
	w.Helper()
	l := w.listen()
	if err := l.SetFastOpen(16); err != nil {
		w.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 100)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					c.Write([]byte(strings.ToUpper(string(b[:n]))))
				}
			}()
		}
	}()
}

// request dials with Fast Open, writes and reads the answer; it returns the
// result and how long it took.
func request(w *wired, network string) (tcp.FastOpenResult, time.Duration) {
	w.Helper()
	d := &handfast.Dialer{Host: w.a, FastOpen: true}
	from := time.Now()
	c, err := d.Dial(network, "10.0.0.2:443")
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		w.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "HELLO" {
		w.Fatalf("%q, %v", b, err)
	}
	return c.(*handfast.Conn).Info().FastOpen, time.Since(from)
}

const fastRTT = 100 * time.Millisecond

// A request and its answer take two round trips with a handshake before them,
// and one when the request travels on the SYN.
func TestFastOpenOneRoundTrip(t *testing.T) {
	bubble(t, "rate 1gbit delay 50ms", nil, func(w *wired) {
		fastServer(w)
		for i, want := range []struct {
			r    tcp.FastOpenResult
			took time.Duration
		}{{tcp.FastOpenNoData, 2 * fastRTT}, {tcp.FastOpenAccepted, fastRTT}, {tcp.FastOpenAccepted, fastRTT}} {
			r, took := request(w, "tcp")
			if r != want.r || took < want.took || took > want.took+time.Millisecond {
				w.Errorf("connection %d: %v in %v, want %v in %v", i, r, took, want.r, want.took)
			}
		}
	})
}

// DialFastOpen returns when the connection is established, with its first bytes
// on the SYN, or behind the handshake, or beyond what a SYN or a buffer holds.
func TestDialFastOpen(t *testing.T) {
	bubble(t, "rate 1gbit delay 50ms", nil, func(w *wired) {
		l := w.listen()
		if err := l.SetFastOpen(16); err != nil {
			w.Fatal(err)
		}
		for i, n := range []int{1, 1, 100, 5000, 3 << 20, 0} {
			from := time.Now()
			got := make(chan int)
			go func() {
				c, err := l.Accept()
				if err != nil {
					w.Error(err)
					return
				}
				b, err := io.ReadAll(c)
				if err != nil {
					w.Error(err)
				}
				c.Close()
				got <- len(b)
			}()
			c, err := w.a.DialFastOpen(context.Background(), "tcp4", "10.0.0.2:443", make([]byte, n))
			if err != nil {
				w.Fatal(err)
			}
			if n < 1<<20 {
				w.took("dialling", from, fastRTT, fastRTT+time.Millisecond)
			}
			c.(*handfast.Conn).CloseWrite()
			if k := <-got; k != n {
				w.Errorf("connection %d: %d bytes arrived, want %d", i, k, n)
			}
			want := tcp.FastOpenAccepted
			if i == 0 || n == 0 {
				want = tcp.FastOpenNoData
			}
			if r := c.(*handfast.Conn).Info().FastOpen; r != want {
				w.Errorf("connection %d: %v, want %v", i, r, want)
			}
			c.Close()
		}
		if _, err := w.a.DialFastOpen(context.Background(), "udp", "10.0.0.2:443", nil); !errors.As(err, new(net.UnknownNetworkError)) {
			w.Error(err)
		}
	})
}

// A connection that is returned before anything was sent says at the first Read
// what dialling would have said; so does a Write after that.
func TestFastOpenRefusedLate(t *testing.T) {
	bubble(t, "rate 1gbit delay 50ms", nil, func(w *wired) {
		l := w.listen()
		l.SetFastOpen(16)
		c, err := w.a.DialFastOpen(context.Background(), "tcp", "10.0.0.2:443", nil) // for the cookie
		if err != nil {
			w.Fatal(err)
		}
		c.Close()
		l.Close()
		d := &handfast.Dialer{Host: w.a, FastOpen: true}
		from := time.Now()
		c, err = d.Dial("tcp", "10.0.0.2:443")
		if err != nil {
			w.Fatal(err)
		}
		w.took("dialling", from, 0, 0)
		if _, err := c.Write([]byte("hello")); err != nil {
			w.Error(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			w.Errorf("Read: %v", err)
		}
		if _, err := c.Write([]byte("hello")); !errors.Is(err, syscall.EPIPE) {
			w.Errorf("Write: %v", err)
		}
		c.Close()
	})
}

// Who reads before writing sends the SYN without data; who closes after writing
// delivers what was written; who closes without leaves no trace.
func TestFastOpenOtherOrders(t *testing.T) {
	bubble(t, "rate 1gbit delay 50ms", nil, func(w *wired) {
		l := w.listen()
		l.SetFastOpen(16)
		c, err := w.a.DialFastOpen(context.Background(), "tcp", "10.0.0.2:443", nil)
		if err != nil {
			w.Fatal(err)
		}
		c.Close()
		first, _ := l.Accept()
		first.Close()
		dial := func() net.Conn {
			c, err := (&handfast.Dialer{Host: w.a, FastOpen: true}).Dial("tcp", "10.0.0.2:443")
			if err != nil {
				w.Fatal(err)
			}
			return c
		}
		c = dial()
		go func() {
			s, err := l.Accept()
			if err == nil {
				s.Write([]byte("welcome"))
				s.Close()
			}
		}()
		if b, err := io.ReadAll(c); string(b) != "welcome" || err != nil {
			w.Errorf("%q, %v", b, err)
		}
		c.Close()

		c = dial()
		c.Write([]byte("hello"))
		c.Close()
		s, err := l.Accept()
		if err != nil {
			w.Fatal(err)
		}
		if b, err := io.ReadAll(s); string(b) != "hello" || err != nil {
			w.Errorf("%q, %v", b, err)
		}
		s.Close()

		var before, after engine.Stats
		w.b.Stats(&before)
		dial().Close()
		time.Sleep(time.Second) //tidy:allow test-sleep it runs inside a bubble
		w.b.Stats(&after)
		if n := after.Count[engine.InPackets] - before.Count[engine.InPackets]; n > 4 { // the FINs of before
			w.Errorf("%d packets of a connection that was never used", n)
		}
		c = dial()
		c.(*handfast.Conn).CloseWrite()
		s, err = l.Accept()
		if err != nil {
			w.Fatal(err)
		}
		if b, err := io.ReadAll(s); len(b) > 0 || err != nil {
			w.Errorf("%q, %v", b, err)
		}
		s.Close()
		c.Close()
	})
}

// An HTTP client saves the round trip of each new connection by its Dialer alone.
func TestFastOpenHTTP(t *testing.T) {
	bubble(t, "rate 1gbit delay 50ms", nil, func(w *wired) {
		l := w.listen()
		l.SetFastOpen(16)
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { rw.Write([]byte("page")) })}
		go srv.Serve(l)
		tr := &http.Transport{DialContext: (&handfast.Dialer{Host: w.a, FastOpen: true}).DialContext, DisableKeepAlives: true}
		for i, want := range []time.Duration{2 * fastRTT, fastRTT} {
			from := time.Now()
			resp, err := (&http.Client{Transport: tr}).Get("http://10.0.0.2:443/")
			if err != nil {
				w.Fatal(err)
			}
			w.took("request", from, want, want+time.Millisecond)
			if b, err := io.ReadAll(resp.Body); string(b) != "page" || err != nil {
				w.Errorf("request %d: %q, %v", i, b, err)
			}
			resp.Body.Close()
		}
		srv.Close()
	})
}
