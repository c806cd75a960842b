package handfast_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast"
	linknetem "github.com/handfast/handfast/link/netem"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// bubble runs a test in virtual time, with two Hosts on a wire, and checks
// that they leave nothing behind. config is in netem's notation, for both
// directions.
func bubble(t *testing.T, config string, tc *tcp.Config, f func(w *wired)) {
	t.Helper()
	var c netem.Config
	if err := c.UnmarshalText([]byte(config)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &wired{T: t, start: time.Now()}
		w.da, w.db = linknetem.Pair(nil, c, c, 1, linknetem.Options{})
		for _, x := range []struct {
			h    **handfast.Host
			name string
			dev  *linknetem.Device
			p, q string
		}{{&w.a, "a", w.da, "10.0.0.1/24", "fd00::1/64"}, {&w.b, "b", w.db, "10.0.0.2/24", "fd00::2/64"}} {
			h, err := handfast.New(handfast.Config{Name: x.name, TCP: tc, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Attach(x.dev, netip.MustParsePrefix(x.p), netip.MustParsePrefix(x.q)); err != nil {
				t.Fatal(err)
			}
			*x.h = h
		}
		f(w)
		closeHosts(t, w.a, w.b)
	})
}

// wired are two Hosts in a bubble.
type wired struct {
	*testing.T
	a, b   *handfast.Host
	da, db *linknetem.Device
	start  time.Time
}

func (w *wired) listen() *handfast.Listener {
	w.Helper()
	l, err := w.b.Listen(context.Background(), "tcp", "10.0.0.2:443")
	if err != nil {
		w.Fatal(err)
	}
	return l.(*handfast.Listener)
}

func (w *wired) pair() (c, p *handfast.Conn) {
	w.Helper()
	l := w.listen()
	d, err := w.a.Dial("tcp", "10.0.0.2:443")
	if err != nil {
		w.Fatal(err)
	}
	p, err = l.AcceptConn()
	if err != nil {
		w.Fatal(err)
	}
	l.Close()
	return d.(*handfast.Conn), p
}

// took checks how much virtual time has passed since from.
func (w *wired) took(what string, from time.Time, least, most time.Duration) {
	w.Helper()
	if d := time.Since(from); d < least || d > most {
		w.Errorf("%s took %v, want %v to %v", what, d, least, most)
	}
}

// certificate makes a certificate for a server, valid in the bubble's year,
// and a pool that trusts it.
func certificate(t testing.TB, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.ParseIP(host)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// A wire like one to another continent.
const far = "delay 50ms loss 1% rate 100mbit"

// net/http, unchanged, with keep-alive and bodies in both directions.
func TestBubbleHTTP(t *testing.T) {
	bubble(t, far, nil, func(w *wired) {
		body := bytes.Repeat([]byte("0123456789"), 30_000)
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			if err != nil {
				w.Error("server:", err)
			}
			rw.Write(got)
		})}
		served := make(chan error, 1)
		l := w.listen()
		go func() { served <- srv.Serve(l) }()
		tr := &http.Transport{DialContext: w.a.DialContext}
		client := &http.Client{Transport: tr}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 3 {
					echo(w.T, client, "http://10.0.0.2:443/", body[:len(body)-i])
				}
			})
		}
		wg.Wait()
		w.took("12 requests", w.start, 300*time.Millisecond, time.Minute)
		tr.CloseIdleConnections()
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}

// echo posts a body and expects it back.
func echo(t *testing.T, client *http.Client, url string, body []byte) {
	r, err := client.Post(url, "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes back of %d, %v", len(got), len(body), err)
	}
}

// HTTP/2 over TLS, net/http's own, many streams on one connection. net/http
// waits on a mutex while another stream blocks in Write, which a bubble takes
// for running: the send buffer holds all that is written.
func TestBubbleHTTP2(t *testing.T) {
	tc := *tcp.DefaultConfig(tcp.ProfileLinux)
	tc.SendBuffer = 16 << 20
	bubble(t, far, &tc, func(w *wired) {
		cert, roots := certificate(t, "10.0.0.2")
		var protocols http.Protocols
		protocols.SetHTTP2(true)
		body := bytes.Repeat([]byte("0123456789"), 50_000)
		srv := &http.Server{
			Protocols: &protocols,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
			Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 {
					w.Errorf("%s, want HTTP/2", r.Proto)
				}
				got, err := io.ReadAll(r.Body)
				if err != nil {
					w.Error("server:", err)
				}
				rw.Write(got)
			}),
		}
		served := make(chan error, 1)
		l := w.listen()
		go func() { served <- srv.ServeTLS(l, "", "") }()
		tr := &http.Transport{DialContext: w.a.DialContext, Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
		client := &http.Client{Transport: tr}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { echo(w.T, client, "https://10.0.0.2:443/", body[i:]) })
		}
		wg.Wait()
		tr.CloseIdleConnections()
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
}

// crypto/tls: handshake, data both ways, close_notify as the end.
func TestBubbleTLS(t *testing.T) {
	bubble(t, far, nil, func(w *wired) {
		cert, roots := certificate(t, "10.0.0.2")
		l := tls.NewListener(w.listen(), &tls.Config{Certificates: []tls.Certificate{cert}})
		defer l.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.Copy(c, c); err != nil {
				t.Error("echo:", err)
			}
			c.Close()
		})
		raw, err := w.a.DialContext(context.Background(), "tcp", "10.0.0.2:443")
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "10.0.0.2"})
		// First, because a Read that waits for the mutex of another's handshake
		// would look as if it ran, and virtual time would stand still.
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat([]byte("tls"), 200_000)
		wg.Go(func() {
			if _, err := c.Write(data); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		})
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
		}
		c.Close()
		wg.Wait()
	})
}

// A deadline passes at its instant, not after it.
func TestBubbleDeadlines(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		c, p := w.pair()
		begin := time.Now()
		c.SetReadDeadline(begin.Add(3 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("Read: %v, want a timeout", err)
		}
		w.took("Read", begin, 3*time.Second, 3*time.Second)

		begin = time.Now()
		c.SetWriteDeadline(begin.Add(time.Minute))
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 1<<20))
		}
		if !isTimeout(err) {
			t.Errorf("Write: %v, want a timeout", err)
		}
		w.took("Write", begin, time.Minute, time.Minute)

		// Moved forward and back while a call waits.
		begin = time.Now()
		p.SetReadDeadline(begin.Add(time.Hour))
		io.CopyN(io.Discard, p, int64(p.Info().Unread))
		go func() {
			time.Sleep(time.Second)
			c.Close()
			time.Sleep(time.Second)
			p.SetReadDeadline(time.Now())
		}()
		for err = error(nil); err == nil; {
			_, err = p.Read(make([]byte, 1<<20))
		}
		w.took("Read", begin, time.Second, 3*time.Second)

		l := w.listen()
		begin = time.Now()
		l.SetDeadline(begin.Add(2 * time.Second))
		if _, err := l.Accept(); !isTimeout(err) {
			t.Errorf("Accept: %v, want a timeout", err)
		}
		w.took("Accept", begin, 2*time.Second, 2*time.Second)
		u, err := w.a.ListenPacket(context.Background(), "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		u.SetReadDeadline(begin.Add(4 * time.Second))
		if _, _, err := u.ReadFrom(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("ReadFrom: %v, want a timeout", err)
		}
		w.took("ReadFrom", begin, 4*time.Second, 4*time.Second)
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Keepalive finds out that the peer is gone: 15 s idle and nine probes 15 s
// apart, net's defaults; also for a connection that nothing was ever sent on.
func TestBubbleKeepAlive(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		c, p := w.pair()
		time.Sleep(10 * time.Minute)
		if i := c.Info(); i.State != tcp.Established || i.SegsIn < 30 {
			t.Errorf("after ten idle minutes %v, %d segments received", i.State, i.SegsIn)
		}
		var wg sync.WaitGroup
		w.da.SetConfig(netem.Config{Down: true})
		w.db.SetConfig(netem.Config{Down: true})
		begin := time.Now()
		for _, x := range []*handfast.Conn{c, p} {
			wg.Go(func() {
				_, err := x.Read(make([]byte, 1))
				if !errors.Is(err, syscall.ETIMEDOUT) || !isTimeout(err) {
					t.Errorf("Read: %v, want ETIMEDOUT", err)
				}
				w.took("keepalive", begin, 135*time.Second, 151*time.Second)
			})
		}
		wg.Wait()
	})
}

// The accepted end of a connection has its keepalive timer filed although it
// never sends: what Accept sets must not wait for traffic.
func TestBubbleKeepAliveOfAccepted(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		c, p := w.pair()
		c.SetKeepAlive(false)
		p.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 2})
		w.da.SetConfig(netem.Config{Down: true})
		begin := time.Now()
		if _, err := p.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("Read: %v, want ETIMEDOUT", err)
		}
		w.took("keepalive", begin, 4*time.Second, 6*time.Second)
	})
}

// SetUserTimeout bounds how long data may stay unacknowledged.
func TestBubbleUserTimeout(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		c, _ := w.pair()
		c.SetUserTimeout(20 * time.Second)
		w.da.SetConfig(netem.Config{Down: true})
		begin := time.Now()
		c.Write([]byte("lost"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("Read: %v, want ETIMEDOUT", err)
		}
		w.took("user timeout", begin, 20*time.Second, 27*time.Second)
	})
}

// Close with linger waits for the acknowledgement, and no longer than it was
// told; then the connection is reset.
func TestBubbleLinger(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		c, p := w.pair()
		c.SetLinger(10)
		c.Write([]byte("delivered"))
		begin := time.Now()
		c.Close()
		w.took("Close", begin, 100*time.Millisecond, 150*time.Millisecond)
		if got, err := io.ReadAll(p); string(got) != "delivered" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		p.Close()

		c, _ = w.pair()
		c.SetLinger(10)
		w.da.SetConfig(netem.Config{Down: true})
		c.Write([]byte("lost"))
		begin = time.Now()
		c.Close()
		w.took("Close", begin, 10*time.Second, 10*time.Second)
		if i := c.Info(); i.State != tcp.Closed || i.Err != tcp.ReasonAborted {
			t.Errorf("%v, %v; want CLOSED by abort", i.State, i.Err)
		}
	})
}

// Dialling into a black hole ends with its context, or when the SYNs are used
// up, and the errors say which.
func TestBubbleBlackHole(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		w.da.SetConfig(netem.Config{Down: true})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := w.a.DialContext(ctx, "tcp", "10.0.0.2:443")
		if !isTimeout(err) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial: %v, want the context's deadline", err)
		}
		cancel()
		w.took("Dial", begin, 5*time.Second, 5*time.Second)

		begin = time.Now()
		ctx, cancel = context.WithCancel(context.Background())
		time.AfterFunc(7*time.Second, cancel)
		_, err = w.a.DialContext(ctx, "tcp", "10.0.0.2:443")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Dial: %v, want context.Canceled", err)
		}
		w.took("Dial", begin, 7*time.Second, 7*time.Second)

		begin = time.Now()
		_, err = w.a.Dial("tcp", "10.0.0.2:443")
		if !errors.Is(err, syscall.ETIMEDOUT) || !isTimeout(err) {
			t.Errorf("Dial: %v, want ETIMEDOUT", err)
		}
		w.took("Dial", begin, 127*time.Second, 127*time.Second) // 1+2+4+8+16+32+64
	})
}

// A context with a deadline is shared by the addresses of a name.
func TestBubbleDialSecondAddress(t *testing.T) {
	bubble(t, "delay 50ms", nil, func(w *wired) {
		r := names{"server.test": {netip.MustParseAddr("10.0.0.77"), netip.MustParseAddr("fd00::2")}}
		da, db := linknetem.Pair(nil, netem.Config{Delay: time.Millisecond}, netem.Config{Delay: time.Millisecond}, 1, linknetem.Options{})
		h, err := handfast.New(handfast.Config{Resolver: r})
		if err != nil {
			t.Fatal(err)
		}
		h.Attach(da, netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64"))
		w.b.Attach(db, netip.MustParsePrefix("fd00::2/64"))
		l, err := w.b.Listen(context.Background(), "tcp", ":443")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		c, err := h.DialContext(ctx, "tcp", "server.test:443")
		if err != nil {
			t.Fatal(err)
		}
		w.took("Dial", begin, 5*time.Second, 6*time.Second)
		if got := c.RemoteAddr().String(); got != "[fd00::2]:443" {
			t.Errorf("connected to %s", got)
		}
		if _, err := h.DialContext(ctx, "tcp", "nobody.test:443"); err == nil {
			t.Error("an unknown name was dialled")
		}
		l.Close()
		closeHosts(t, h)
	})
}

// names is a Resolver.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a := n[host]; a != nil {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// Much goes wrong on the way, and every byte arrives.
func TestBubbleBadWires(t *testing.T) {
	for _, config := range []string{"delay 20ms loss 5%", "delay 20ms jitter 15ms unordered", "delay 5ms duplicate 10%",
		"delay 5ms corrupt 2%", "rate 1mbit delay 10ms queue 30kb", "delay 100ms rate 20mbit loss 0.1%"} {
		t.Run(config, func(t *testing.T) {
			bubble(t, config, nil, func(w *wired) {
				c, p := w.pair()
				data := make([]byte, 700_000)
				rand.Read(data)
				var wg sync.WaitGroup
				for _, x := range []*handfast.Conn{c, p} {
					wg.Go(func() {
						x.ReadFrom(bytes.NewReader(data))
						x.CloseWrite()
					})
					wg.Go(func() {
						got, err := io.ReadAll(x)
						if err != nil || !bytes.Equal(got, data) {
							t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
						}
					})
				}
				wg.Wait()
				w.took("all of it", w.start, 0, time.Minute)
			})
		})
	}
}
