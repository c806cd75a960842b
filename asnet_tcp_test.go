package handfast_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

var past = time.Unix(1, 0)

// soon is a deadline that passes while a call waits.
func soon() time.Time { return time.Now().Add(20 * time.Millisecond) }

// scripts are what TestAsPackageNet performs.
var scripts = map[string]func(*stage){
	"request and response": func(s *stage) {
		c, p := s.pair()
		s.write("client", c, "ping")
		s.read("server", p, 10)
		s.write("server", p, "pong")
		s.read("client", c, 10)
		s.saw("close", c.Close())
		s.read("server", p, 10)
		s.read("server", p, 10)
	},
	"a short buffer reads the rest later": func(s *stage) {
		c, p := s.pair()
		s.write("client", c, "abcdef")
		s.read("server", p, 2)
		s.read("server", p, 3)
		s.read("server", p, 3)
	},
	"addresses": func(s *stage) {
		c, p := s.pair()
		s.saw("local", nil, c.LocalAddr().Network(), c.LocalAddr().String() == p.RemoteAddr().String())
		s.saw("remote", nil, c.RemoteAddr().Network(), c.RemoteAddr().String() == p.LocalAddr().String())
		_, ok := c.LocalAddr().(*net.TCPAddr)
		s.saw("*net.TCPAddr", nil, ok)
		c.Close()
		s.saw("after Close", nil, c.LocalAddr(), c.RemoteAddr())
	},
	"nothing read, nothing written": func(s *stage) {
		c, p := s.pair()
		s.read("client", c, 0)
		s.write("client", c, "")
		c.SetDeadline(past)
		s.read("client, late,", c, 0)
		s.write("client, late,", c, "")
		p.Close()
		c.SetDeadline(time.Time{})
		s.read("client", c, 1)
		s.read("client, at the end,", c, 0)
		c.CloseWrite()
		s.write("client, its side closed,", c, "")
		c.Close()
		s.read("client, closed,", c, 0)
		s.write("client, closed,", c, "")
	},
	"calls after Close": func(s *stage) {
		c, _ := s.pair()
		s.saw("close", c.Close())
		s.saw("close again", c.Close())
		s.read("client", c, 10)
		s.write("client", c, "x")
		s.saw("SetDeadline", c.SetDeadline(soon()))
		s.saw("SetReadDeadline", c.SetReadDeadline(soon()))
		s.saw("SetWriteDeadline", c.SetWriteDeadline(soon()))
		s.saw("SetLinger", c.SetLinger(0))
		s.saw("SetNoDelay", c.SetNoDelay(true))
		s.saw("SetKeepAlive", c.SetKeepAlive(true))
		s.saw("SetKeepAlivePeriod", c.SetKeepAlivePeriod(time.Second))
		s.saw("CloseRead", c.CloseRead())
		s.saw("CloseWrite", c.CloseWrite())
		s.saw("SetReadBuffer", c.SetReadBuffer(1<<20))
		s.saw("SetWriteBuffer", c.SetWriteBuffer(1<<20))
	},
	"options on an open connection": func(s *stage) {
		c, _ := s.pair()
		s.saw("SetLinger", c.SetLinger(3))
		s.saw("SetLinger", c.SetLinger(-1))
		s.saw("SetNoDelay", c.SetNoDelay(false))
		s.saw("SetKeepAlive", c.SetKeepAlive(false))
		s.saw("SetKeepAlivePeriod", c.SetKeepAlivePeriod(time.Minute))
		s.saw("SetKeepAliveConfig", c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second}))
		s.saw("SetReadBuffer", c.SetReadBuffer(1<<16))
		s.saw("SetWriteBuffer", c.SetWriteBuffer(1<<16))
	},
	"a deadline that has passed": func(s *stage) {
		c, p := s.pair()
		s.write("server", p, "late")
		c.SetReadDeadline(past)
		s.read("client", c, 10)
		s.write("client", c, "x")
		c.SetReadDeadline(time.Time{})
		s.read("client", c, 10)
		c.SetWriteDeadline(past)
		s.write("client", c, "x")
		c.SetDeadline(time.Time{})
		s.write("client", c, "x")
	},
	"a deadline that passes": func(s *stage) {
		c, p := s.pair()
		s.saw("set", c.SetReadDeadline(soon()))
		s.read("client", c, 10)
		s.read("client", c, 10)
		s.saw("set", c.SetReadDeadline(time.Now().Add(time.Hour)))
		s.write("server", p, "now")
		s.read("client", c, 10)
		c.SetWriteDeadline(soon())
		var err error
		for err == nil {
			_, err = c.Write(make([]byte, 1<<20))
		}
		s.saw("writes until the buffers are full", err)
	},
	"a deadline in centuries": func(s *stage) {
		c, p := s.pair()
		s.saw("set", c.SetDeadline(time.Unix(1<<40, 0)))
		s.write("server", p, "here")
		s.read("client", c, 10)
	},
	"a deadline set meanwhile": func(s *stage) {
		c, _ := s.pair()
		done := make(chan struct{})
		go func() { s.read("client", c, 10); close(done) }()
		c.SetReadDeadline(past)
		<-done
	},
	"Close ends a blocked Read": func(s *stage) {
		c, _ := s.pair()
		done := make(chan struct{})
		go func() { s.read("client", c, 10); close(done) }()
		c.Close()
		<-done
	},
	"Close ends a blocked Write": func(s *stage) {
		c, _ := s.pair()
		done := make(chan error)
		begun := make(chan struct{})
		go func() {
			var err error
			for i := 0; err == nil; i++ {
				if i == 1 {
					close(begun)
				}
				_, err = c.Write(make([]byte, 1<<14))
			}
			done <- err
		}()
		<-begun
		c.Close()
		s.saw("blocked Write", <-done)
	},
	"half-close": func(s *stage) {
		c, p := s.pair()
		s.write("client", c, "question")
		s.saw("CloseWrite", c.CloseWrite())
		s.write("client", c, "more")
		all, err := io.ReadAll(p)
		s.saw("server reads all", err, string(all))
		s.write("server", p, "answer")
		s.write("server", p, " and more")
		p.Close()
		all, err = io.ReadAll(c)
		s.saw("client reads all", err, string(all))
		s.saw("CloseWrite again", c.CloseWrite())
	},
	"CloseRead": func(s *stage) {
		c, p := s.pair()
		s.saw("CloseRead", c.CloseRead())
		s.read("client", c, 10)
		s.write("client", c, "still works")
		s.read("server", p, 20)
		s.saw("CloseRead again", c.CloseRead())
	},
	"both halves, then Close": func(s *stage) {
		c, p := s.pair()
		s.saw("CloseRead", c.CloseRead())
		s.saw("CloseWrite", c.CloseWrite())
		s.read("server", p, 10)
		s.saw("Close", c.Close())
		s.write("client", c, "x")
	},
	"a reset is reported once": func(s *stage) {
		c, p := s.pair()
		s.saw("linger", p.SetLinger(0))
		s.saw("close", p.Close())
		s.read("client", c, 10)
		s.read("client", c, 10)
		s.write("client", c, "x")
		s.write("client", c, "x")
		s.saw("CloseWrite", c.CloseWrite())
		s.saw("CloseRead", c.CloseRead())
		s.saw("Close", c.Close())
	},
	"a reset ends a blocked Read": func(s *stage) {
		c, p := s.pair()
		done := make(chan struct{})
		go func() { s.read("client", c, 10); close(done) }()
		p.SetLinger(0)
		p.Close()
		<-done
	},
	"Close with data unread resets": func(s *stage) {
		c, p := s.pair()
		s.write("client", c, "unread")
		p.SetReadDeadline(time.Now().Add(10 * time.Second))
		s.read("server", p, 2)
		p.Close()
		s.read("client", c, 10)
		s.read("client", c, 10)
	},
	"writing to who has gone": func(s *stage) {
		c, p := s.pair()
		p.Close()
		s.read("client", c, 10)
		var err error
		for err == nil {
			_, err = c.Write([]byte("anybody there"))
		}
		s.saw("Write", err)
		s.write("client", c, "x")
		s.read("client", c, 10)
	},
	"refused": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		l.Close()
		_, err := s.client.DialContext(context.Background(), "tcp", l.Addr().String())
		s.saw("dial", err)
		_, err = s.client.DialContext(context.Background(), "tcp4", l.Addr().String())
		s.saw("dial tcp4", err)
	},
	"dial with a context that has ended": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		s.name(l.Addr().String())
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := s.client.DialContext(ctx, "tcp", l.Addr().String())
		s.saw("dial", err)
		ctx, cancel = context.WithDeadline(context.Background(), past)
		defer cancel()
		// Package net's error is one or the other, as it comes; ours is both.
		_, err = s.client.DialContext(ctx, "tcp", l.Addr().String())
		var ne net.Error
		s.saw("dial", nil, err, errors.As(err, &ne) && ne.Timeout(),
			errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded))
	},
	"dial nonsense": func(s *stage) {
		for _, x := range [][2]string{{"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:notaport"}, {"tcp", "127.0.0.1:65536"},
			{"tcp", "127.0.0.1:-1"}, {"tcp", ""}, {"tcp4", "[::1]:80"}, {"tcp6", "127.0.0.1:80"}, {"sctp", "127.0.0.1:80"},
			{"", "127.0.0.1:80"}, {"tcp", "[::1:80"}, {"udp", "127.0.0.1"}, {"tcp", "1:2:3"}} {
			_, err := s.client.DialContext(context.Background(), x[0], x[1])
			s.saw(fmt.Sprintf("dial %q %q", x[0], x[1]), err)
		}
	},
	"listen nonsense": func(s *stage) {
		for _, x := range [][2]string{{"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:notaport"}, {"tcp", ":65536"},
			{"tcp4", "[::1]:0"}, {"tcp6", "127.0.0.1:0"}, {"sctp", ":0"}, {"tcp", "198.51.100.77:0"}} {
			_, err := s.server.Listen(context.Background(), x[0], x[1])
			s.saw(fmt.Sprintf("listen %q %q", x[0], x[1]), err)
		}
	},
	"a port in use": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		_, err := s.server.Listen(context.Background(), "tcp", l.Addr().String())
		s.saw("listen", err)
		l.Close()
		l2 := s.listen("tcp", l.Addr().String())
		s.saw("listen again", nil, l2.Addr().String() == l.Addr().String())
	},
	"a closed listener": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		s.saw("close", l.Close())
		s.saw("close again", l.Close())
		_, err := l.Accept()
		s.saw("accept", err)
		s.saw("SetDeadline", l.SetDeadline(soon()))
		s.saw("address", nil, l.Addr().Network(), l.Addr())
	},
	"Accept and its deadline": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		s.saw("set", l.SetDeadline(past))
		_, err := l.Accept()
		s.saw("accept", err)
		l.SetDeadline(soon())
		_, err = l.Accept()
		s.saw("accept", err)
		l.SetDeadline(time.Time{})
		s.dial("tcp", l.Addr().String())
		c, err := l.Accept()
		s.saw("accept", err)
		s.keep(c)
	},
	"Close ends a blocked Accept": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		done := make(chan struct{})
		go func() { _, err := l.Accept(); s.saw("accept", err); close(done) }()
		l.Close()
		<-done
	},
	"Close of a listener resets who waits": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		c := s.dial("tcp", l.Addr().String())
		s.name(c.LocalAddr().String())
		l.Close()
		s.read("client", c, 10)
		s.read("client", c, 10)
	},
	"what was accepted outlives the listener": func(s *stage) {
		l := s.listen("tcp", s.ip4+":0")
		c := s.dial("tcp", l.Addr().String())
		p := must[net.Conn](s)(l.Accept())
		s.keep(p)
		l.Close()
		s.write("client", c, "hello")
		s.read("server", p, 10)
	},
	"a listener for both families": func(s *stage) {
		for _, address := range []string{":0", "[::]:0", "0.0.0.0:0"} {
			l := s.listen("tcp", address)
			host, port, err := net.SplitHostPort(l.Addr().String())
			s.saw("listen "+address, err, host)
			for _, ip := range []string{s.ip4, s.ip6} {
				c := s.dial("tcp", ip+":"+port)
				p := must[net.Conn](s)(l.Accept())
				s.keep(p)
				s.saw("accepted", nil, p.RemoteAddr().String() == c.LocalAddr().String(),
					p.LocalAddr().String() == c.RemoteAddr().String())
			}
		}
	},
	"a listener for one family": func(s *stage) {
		for _, network := range []string{"tcp4", "tcp6"} {
			l := s.listen(network, ":0")
			host, port, err := net.SplitHostPort(l.Addr().String())
			s.saw("listen", err, host, l.Addr().Network())
			for _, ip := range []string{s.ip4, s.ip6} {
				c, err := s.client.DialContext(context.Background(), "tcp", ip+":"+port)
				s.saw("dial "+network, err)
				if err == nil {
					s.keep(c)
				}
			}
			l.Close()
			_, err = l.Accept()
			s.saw("accept", err)
		}
	},
	"io.Copy both ways": func(s *stage) {
		c, p := s.pair()
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		var wg sync.WaitGroup
		wg.Go(func() { // echo
			n, err := io.Copy(p, p)
			s.saw("echo", err, n)
			p.CloseWrite()
		})
		var back bytes.Buffer
		got := make(chan error)
		go func() { _, err := io.Copy(&back, c); got <- err }()
		n, err := io.Copy(c, bytes.NewReader(data))
		c.CloseWrite()
		wg.Wait()
		s.saw("sent", err, n)
		s.saw("back", <-got, bytes.Equal(back.Bytes(), data))
	},
	"io.Copy to who has closed": func(s *stage) {
		c, p := s.pair()
		c.Close()
		n, err := c.ReadFrom(strings.NewReader("data"))
		s.saw("ReadFrom", err, n)
		n, err = c.WriteTo(io.Discard)
		s.saw("WriteTo", err, n)
		p.CloseWrite()
		n, err = p.ReadFrom(strings.NewReader("data"))
		s.saw("ReadFrom, its side closed,", err, n)
	},
	"io.Copy from what fails": func(s *stage) {
		c, p := s.pair()
		n, err := c.ReadFrom(io.MultiReader(strings.NewReader("data"), broken{}))
		s.saw("ReadFrom", err, n)
		s.read("server", p, 10)
		c.Close()
		n, err = p.WriteTo(broken{})
		s.saw("WriteTo", err, n)
	},
	"WriteTo what fails": func(s *stage) {
		c, p := s.pair()
		s.write("client", c, "data")
		n, err := p.WriteTo(broken{})
		s.saw("WriteTo", err, n)
		p.SetReadDeadline(past)
		n, err = p.WriteTo(io.Discard)
		s.saw("WriteTo", err, n)
	},
	"four writers, four readers": func(s *stage) {
		c, p := s.pair()
		var wg, rg sync.WaitGroup
		var mu sync.Mutex
		var total int64
		for range 4 {
			wg.Go(func() {
				for range 64 {
					c.Write(make([]byte, 4096))
				}
			})
			rg.Go(func() {
				b := make([]byte, 1000)
				for {
					n, err := p.Read(b)
					mu.Lock()
					total += int64(n)
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		c.CloseWrite()
		rg.Wait()
		s.saw("all read", nil, total)
	},
	"localhost": func(s *stage) {
		l, err := s.client.Listen(context.Background(), "tcp", "localhost:0")
		s.saw("listen", err)
		s.keep(l)
		s.saw("address", nil, netip.MustParseAddrPort(l.Addr().String()).Addr().IsLoopback())
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for _, host := range []string{"localhost", "", "LOCALHOST"} {
			c, err := s.client.DialContext(context.Background(), "tcp4", net.JoinHostPort(host, port))
			s.saw("dial "+host, err)
			if err == nil {
				s.keep(c)
			}
		}
	},
	"oneself": func(s *stage) {
		l, err := s.client.Listen(context.Background(), "tcp", "[::1]:0")
		s.saw("listen", err)
		s.keep(l)
		c, err := s.client.DialContext(context.Background(), "tcp", l.Addr().String())
		s.saw("dial", err)
		s.keep(c)
		p, err := l.Accept()
		s.saw("accept", err)
		s.keep(p)
		s.write("client", c, "me")
		s.read("server", p, 10)
	},
}

// broken fails at everything.
type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, io.ErrNoProgress }
func (broken) Write([]byte) (int, error) { return 0, io.ErrNoProgress }
