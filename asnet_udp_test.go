package handfast_test

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// udpScripts are what TestAsPackageNet performs with datagrams.
var udpScripts = map[string]func(*stage){
	"UDP: request and response": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		c := s.dialUDP(p.LocalAddr().String())
		s.write("client", c, "ping")
		b := make([]byte, 10)
		n, from, err := p.ReadFrom(b)
		s.saw("server", err, string(b[:n]), from.Network(), from.String() == c.LocalAddr().String())
		n, err = p.WriteTo([]byte("pong"), from)
		s.saw("server", err, n)
		s.read("client", c, 10)
		s.saw("addresses", nil, c.RemoteAddr().String() == p.LocalAddr().String(), p.RemoteAddr() == nil)
	},
	"UDP: what does not fit is lost": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		c := s.dialUDP(p.LocalAddr().String())
		s.write("client", c, "abcdef")
		s.write("client", c, "second")
		s.read("server", p, 3)
		s.read("server", p, 10)
	},
	"UDP: an empty datagram": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		c := s.dialUDP(p.LocalAddr().String())
		s.write("client", c, "")
		s.write("client", c, "x")
		s.read("server", p, 10)
		s.read("server", p, 10)
	},
	"UDP: only the peer's": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		other := s.socket("udp", s.ip4+":0")
		c := s.dialUDP(p.LocalAddr().String())
		to := netip.MustParseAddrPort(c.LocalAddr().String())
		n, err := other.WriteToUDPAddrPort([]byte("stranger"), to)
		s.saw("other", err, n)
		n, err = p.WriteToUDPAddrPort([]byte("peer"), to)
		s.saw("peer", err, n)
		s.read("client", c, 10)
	},
	"UDP: nobody there": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		to := p.LocalAddr().String()
		p.Close()
		c := s.dialUDP(to)
		s.write("client", c, "x")
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		s.read("client", c, 10)
		c.SetReadDeadline(soon()) // told once
		s.read("client", c, 10)
	},
	"UDP: an unconnected socket does not hear of it": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		to := netip.MustParseAddrPort(p.LocalAddr().String())
		p.Close()
		q := s.socket("udp", s.ip4+":0")
		n, err := q.WriteToUDPAddrPort([]byte("x"), to)
		s.saw("write", err, n)
		q.SetReadDeadline(soon())
		s.read("read", q, 10)
	},
	"UDP: whom to": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		c := s.dialUDP(p.LocalAddr().String())
		_, err := p.Write([]byte("x"))
		s.saw("Write, not connected", err)
		_, err = p.WriteTo([]byte("x"), nil)
		s.saw("WriteTo nobody", err)
		_, err = p.WriteTo([]byte("x"), (*net.UDPAddr)(nil))
		s.saw("WriteTo nil", err)
		_, err = p.WriteTo([]byte("x"), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
		s.saw("WriteTo TCP", err)
		_, err = c.WriteTo([]byte("x"), p.LocalAddr())
		s.saw("WriteTo, connected", err)
		_, err = c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(p.LocalAddr().String()))
		s.saw("WriteToUDPAddrPort, connected", err)
	},
	"UDP: the messages that QUIC uses": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		q := s.socket("udp", s.ip4+":0")
		n, oobn, err := q.WriteMsgUDPAddrPort([]byte("hello"), nil, netip.MustParseAddrPort(p.LocalAddr().String()))
		s.saw("write", err, n, oobn)
		b := make([]byte, 10)
		n, oobn, flags, from, err := p.ReadMsgUDP(b, nil)
		s.saw("read", err, n, oobn, flags, from)
		q.WriteMsgUDPAddrPort([]byte("again"), nil, netip.MustParseAddrPort(p.LocalAddr().String()))
		n, ap, err := p.ReadFromUDPAddrPort(b)
		s.saw("read", err, n, ap)
	},
	"UDP: too long": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		c := s.dialUDP(p.LocalAddr().String())
		n, err := c.Write(make([]byte, 65508))
		s.saw("write", err, n)
		n, err = c.Write(make([]byte, 60000))
		s.saw("write", err, n)
		p.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err = p.Read(make([]byte, 65536))
		s.saw("read", err, n)
	},
	"UDP: deadlines": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		s.saw("set", p.SetReadDeadline(past))
		_, _, err := p.ReadFrom(make([]byte, 10))
		s.saw("ReadFrom", err)
		s.saw("set", p.SetDeadline(soon()))
		_, _, err = p.ReadFrom(make([]byte, 10))
		s.saw("ReadFrom", err)
		p.SetWriteDeadline(past)
		_, err = p.WriteTo([]byte("x"), p.LocalAddr())
		s.saw("WriteTo", err)
		p.SetDeadline(time.Time{})
		_, err = p.WriteTo([]byte("x"), p.LocalAddr())
		s.saw("WriteTo", err)
		s.read("itself", p, 10)
	},
	"UDP: calls after Close": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		s.saw("Close", p.Close())
		s.saw("Close again", p.Close())
		_, _, err := p.ReadFrom(make([]byte, 10))
		s.saw("ReadFrom", err)
		_, err = p.WriteTo([]byte("x"), p.LocalAddr())
		s.saw("WriteTo", err)
		s.saw("SetDeadline", p.SetDeadline(soon()))
		s.saw("SetReadBuffer", p.SetReadBuffer(1<<16))
		s.saw("SetWriteBuffer", p.SetWriteBuffer(1<<16))
		c := s.dialUDP(s.ip4 + ":9")
		s.name(c.RemoteAddr().String())
		c.Close()
		s.read("connected", c, 10)
		s.write("connected", c, "x")
		s.saw("Close again", c.Close())
	},
	"UDP: Close ends a blocked ReadFrom": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		done := make(chan struct{})
		go func() { _, _, err := p.ReadFrom(make([]byte, 10)); s.saw("ReadFrom", err); close(done) }()
		p.Close()
		<-done
	},
	"UDP: a port in use": func(s *stage) {
		p := s.socket("udp", s.ip4+":0")
		_, err := s.server.ListenPacket(context.Background(), "udp", p.LocalAddr().String())
		s.saw("listen", err)
		p.Close()
		q := s.socket("udp", p.LocalAddr().String())
		s.saw("again", nil, q.LocalAddr())
	},
	"UDP: both families": func(s *stage) {
		for _, address := range []string{":0", "[::]:0", "0.0.0.0:0"} {
			p := s.socket("udp", address)
			host, port, err := net.SplitHostPort(p.LocalAddr().String())
			s.saw("listen "+address, err, host)
			for _, ip := range []string{s.ip4, s.ip6} {
				c := s.dialUDP(ip + ":" + port)
				s.write("client", c, "question")
				b := make([]byte, 50)
				n, from, err := p.ReadFrom(b)
				s.saw("server", err, n > 0, from.String() == c.LocalAddr().String())
				_, err = p.WriteTo([]byte("answer"), from)
				s.saw("server", err)
				s.read("client", c, 10)
			}
		}
	},
	"UDP: listen nonsense": func(s *stage) {
		for _, x := range [][2]string{{"udp", "127.0.0.1"}, {"udp", ":65536"}, {"udp4", "[::1]:0"}, {"sctp", ":0"}, {"udp", "198.51.100.77:0"}} {
			_, err := s.server.ListenPacket(context.Background(), x[0], x[1])
			s.saw("listen "+x[0]+" "+x[1], err)
		}
	},
}
