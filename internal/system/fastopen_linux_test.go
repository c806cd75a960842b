package system_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
	"golang.org/x/sys/unix"
)

// infoSYNData is the bit of tcpi_options that says that data on a SYN was
// acknowledged by its SYN-ACK.
const infoSYNData = 32

// fastSetup lets the kernel use Fast Open on both sides.
func fastSetup() setup {
	return setup{sysctl: map[string]string{"net/ipv4/tcp_fastopen": "3"}}
}

// kernelFastDial connects from the kernel to the Host so that the first write's
// bytes travel on the SYN, if the kernel has a cookie.
func (l *lab) kernelFastDial(address string) *net.TCPConn {
	l.Helper()
	var c net.Conn
	err := l.ns.Do(func() (err error) {
		d := net.Dialer{Timeout: patience, Control: func(_, _ string, rc syscall.RawConn) (err error) {
			if e := rc.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1)
			}); e != nil {
				return e
			}
			return err
		}}
		c, err = d.Dial("tcp", address)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	return deadline(c.(*net.TCPConn))
}

// kernelFastListens listens in the kernel, with Fast Open.
func (l *lab) kernelFastListens() *net.TCPListener {
	l.Helper()
	ln := l.kernelListens(0)
	rc, err := ln.SyscallConn()
	if err == nil {
		rc.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 16)
		})
	}
	if err != nil {
		l.Fatal(err)
	}
	ln.SetDeadline(time.Now().Add(patience))
	return ln
}

// fastSYNs notes every SYN that is no SYN-ACK: its data and its cookie, "-" for
// no option.
type fastSYNs []string

func (f *fastSYNs) see(_ bool, p *pkt.Packet) {
	t, o, ok := synOf(p)
	if !ok || t.Flags()&wire.FlagACK != 0 {
		return
	}
	cookie := "-"
	if o.Has&wire.HasFastOpen != 0 {
		cookie = fmt.Sprintf("%d", o.NFastOpen)
	}
	*f = append(*f, fmt.Sprintf("%s+%d", cookie, p.Len()-(len(p.Head)-len(t))-t.HeaderLen()))
}

// synOf returns the TCP header of a SYN and its options.
func synOf(p *pkt.Packet) (t wire.TCP, o wire.TCPOptions, ok bool) {
	head := p.Head
	if len(head) < wire.IPv4MinLen {
		return t, o, false
	}
	n := wire.IPv6Len
	if head[0]>>4 == 4 {
		n = wire.IPv4MinLen
	}
	if len(head) < n || head[6] != wire.ProtoTCP && n == wire.IPv6Len || n == wire.IPv4MinLen && head[9] != wire.ProtoTCP {
		return t, o, false
	}
	t, err := wire.ParseTCP(head[n:])
	if err != nil || t.Flags()&wire.FlagSYN == 0 {
		return t, o, false
	}
	o.Parse(t.Options(), true)
	return t, o, true
}

// The kernel's clients get a cookie of the Host's and open connections with it:
// the request on the SYN, the answer before their ACK.
func TestFastOpenFromKernel(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) {
			var syns fastSYNs
			m := &meddler{}
			m.watch(syns.see)
			s := fastSetup()
			s.wrap = m.wrap
			l := newLab(t, s, v6)
			ln := l.listen(80)
			if err := ln.SetFastOpen(16); err != nil {
				t.Fatal(err)
			}
			request := bytes.Repeat([]byte("q"), 100)
			for i, n := range []int{0, 100, 100} { // how much travels on the SYN
				k := l.kernelFastDial(ln.Addr().String())
				if _, err := k.Write(request); err != nil {
					t.Fatal(err)
				}
				ln.SetDeadline(time.Now().Add(patience))
				nc, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				c := deadline(nc.(*handfast.Conn))
				if _, err := io.ReadFull(c, request); err != nil {
					t.Fatal(err)
				}
				want := tcp.FastOpenReceived
				if n == 0 {
					want = tcp.FastOpenUnused
				}
				if got := c.Info().FastOpen; got != want {
					t.Errorf("connection %d: %v, want %v", i, got, want)
				}
				if err := exchange(c, k); err != nil {
					t.Error(err)
				}
				if got := l.kernelInfo(k).Options&infoSYNData != 0; got != (n > 0) {
					t.Errorf("connection %d: the kernel says of the data on its SYN: %v", i, got)
				}
				k.Close()
				if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				c.Close()
			}
			m.watch(nil)
			if got := strings.Join(syns, " "); got != "0+0 8+100 8+100" {
				t.Errorf("SYNs of the kernel's (cookie and data): %s", got)
			}
		})
	}
}

// The Host gets a cookie of the kernel's and opens connections with it.
func TestFastOpenToKernel(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) {
			var syns fastSYNs
			m := &meddler{}
			m.watch(syns.see)
			s := fastSetup()
			s.wrap = m.wrap
			l := newLab(t, s, v6)
			ln := l.kernelFastListens()
			for i, want := range []tcp.FastOpenResult{tcp.FastOpenNoData, tcp.FastOpenAccepted, tcp.FastOpenAccepted} {
				c, err := l.host.DialFastOpen(context.Background(), "tcp", ln.Addr().String(), bytes.Repeat([]byte("q"), 5000))
				if err != nil {
					t.Fatal(err)
				}
				deadline(c)
				k, err := ln.AcceptTCP()
				if err != nil {
					t.Fatal(err)
				}
				deadline(k)
				if _, err := io.ReadFull(k, make([]byte, 5000)); err != nil {
					t.Fatal(err)
				}
				if got := c.(*handfast.Conn).Info().FastOpen; got != want {
					t.Errorf("connection %d: %v, want %v", i, got, want)
				}
				if err := exchange(k, c); err != nil {
					t.Error(err)
				}
				if got := l.kernelInfo(k).Options&infoSYNData != 0; got != (want == tcp.FastOpenAccepted) {
					t.Errorf("connection %d: the kernel says of the data on our SYN: %v", i, got)
				}
				c.Close()
				k.Close()
			}
			m.watch(nil)
			data := 1460 - 32 // options of 20 bytes, and 12 for the cookie
			if v6 {
				data = 1440 - 32
			}
			if got, want := strings.Join(syns, " "), fmt.Sprintf("0+0 8+%d 8+%d", data, data); got != want {
				t.Errorf("our SYNs (cookie and data): %s, want %s", got, want)
			}
		})
	}
}

// With the same keys the Host and the kernel make the same cookies.
func TestFastOpenSharedKeys(t *testing.T) {
	const text = "00112233-44556677-8899aabb-ccddeeff"
	key := [16]byte{0x33, 0x22, 0x11, 0x00, 0x77, 0x66, 0x55, 0x44, 0xbb, 0xaa, 0x99, 0x88, 0xff, 0xee, 0xdd, 0xcc}
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) {
			var cookie []byte
			m := &meddler{}
			m.watch(func(out bool, p *pkt.Packet) {
				if _, o, ok := synOf(p); ok && !out && o.NFastOpen > 0 {
					cookie = bytes.Clone(o.FastOpen[:o.NFastOpen])
				}
			})
			s := fastSetup()
			s.sysctl["net/ipv4/tcp_fastopen_key"] = text
			s.wrap = m.wrap
			l := newLab(t, s, v6)
			ln := l.kernelFastListens()
			c, err := l.host.DialFastOpen(context.Background(), "tcp", ln.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			m.watch(nil)
			if ours := cookieOf(t, key, l.kernel, l.ours); !bytes.Equal(ours, cookie) {
				t.Errorf("the kernel's cookie %x, ours %x", cookie, ours)
			}
		})
	}
}

// cookieOf is the cookie that a listener of ours at one address gives to a
// client at another.
func cookieOf(t *testing.T, key [16]byte, server, client netip.Addr) []byte {
	t.Helper()
	bits := 24
	if server.Is6() {
		bits = 64
	}
	h := engine.NewHarness(engine.HarnessConfig{Addrs: []netip.Prefix{netip.PrefixFrom(server, bits)}})
	h.E.SetFastOpenKeys(key, [16]byte{})
	if _, err := h.Listen(engine.ListenConfig{Local: netip.AddrPortFrom(server, 80), FastOpen: 1}); err != nil {
		t.Fatal(err)
	}
	h.Inject(cookieRequest(server, client))
	sent := h.Sent()
	if len(sent) != 1 {
		t.Fatalf("%d answers", len(sent))
	}
	p := &pkt.Packet{Head: sent[0].Raw}
	_, o, ok := synOf(p)
	if !ok {
		t.Fatal("no SYN-ACK")
	}
	return o.FastOpen[:o.NFastOpen]
}

// cookieRequest is a SYN that asks for a cookie.
func cookieRequest(server, client netip.Addr) []byte {
	src, dst := wire.AddrFrom(client), wire.AddrFrom(server)
	n := wire.IPv6Len
	if server.Is4() {
		n = wire.IPv4MinLen
	}
	b := make([]byte, n+wire.TCPMinLen+4)
	if server.Is4() {
		wire.PutIPv4(b, &wire.IPv4Fields{TotalLen: uint16(len(b)), TTL: 64, Proto: wire.ProtoTCP, Src: src, Dst: dst})
	} else {
		wire.PutIPv6(b, &wire.IPv6Fields{PayloadLen: uint16(len(b) - n), NextHeader: wire.ProtoTCP, HopLimit: 64, Src: src, Dst: dst})
	}
	seg := b[n:]
	wire.PutTCP(seg, 4000, 80, 1, 0, wire.FlagSYN, 1000, 0)
	seg[12] = 6 << 4
	copy(seg[wire.TCPMinLen:], []byte{wire.TCPOptFastOpen, 2, wire.TCPOptNOP, wire.TCPOptNOP})
	wire.TCP(seg).SetChecksum(0)
	wire.TCP(seg).SetChecksum(wire.Finish(wire.Sum(seg, wire.PseudoSum(&src, &dst, wire.ProtoTCP, uint32(len(seg))))))
	return b
}

// A box on the path that loses SYNs with the option costs one retransmission, one
// that takes the option out of them nothing but the saving.
func TestFastOpenMiddlebox(t *testing.T) {
	m := &meddler{}
	s := fastSetup()
	s.wrap = m.wrap
	l := newLab(t, s, false)
	ln := l.kernelFastListens()
	dial := func(want tcp.FastOpenResult, least, most time.Duration) {
		t.Helper()
		from := time.Now()
		c, err := l.host.DialFastOpen(context.Background(), "tcp", ln.Addr().String(), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		deadline(c)
		if d := time.Since(from); d < least || d > most {
			t.Errorf("connecting took %v, want %v to %v", d, least, most)
		}
		k, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		deadline(k)
		b := make([]byte, 5)
		if _, err := io.ReadFull(k, b); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		if got := c.(*handfast.Conn).Info().FastOpen; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	dial(tcp.FastOpenNoData, 0, patience)
	m.watch(func(out bool, p *pkt.Packet) { // NOPs for the option; the checksum is finished below
		t, o, ok := synOf(p)
		if ok && out && o.Has&wire.HasFastOpen != 0 && p.Csum == pkt.CsumPartial {
			b := t.Options()
			at := bytes.LastIndex(b, append([]byte{wire.TCPOptFastOpen, 2 + o.NFastOpen}, o.FastOpen[:o.NFastOpen]...))
			for i := range int(2 + o.NFastOpen) {
				b[at+i] = wire.TCPOptNOP
			}
		}
	})
	dial(tcp.FastOpenRefused, 0, patience)
	m.watch(nil)
	m.dropping(func(out bool, p *pkt.Packet) bool {
		_, o, ok := synOf(p)
		return ok && out && o.Has&wire.HasFastOpen != 0
	})
	dial(tcp.FastOpenRefused, time.Second, patience)
	var st engine.Stats
	l.host.Stats(&st)
	if st.Count[engine.FastOpenActiveRefused] != 2 {
		t.Errorf("%d times data on a SYN was sent again", st.Count[engine.FastOpenActiveRefused])
	}
	// After two failures in a row the next connection does not try.
	dial(tcp.FastOpenUnused, 0, patience)
}
