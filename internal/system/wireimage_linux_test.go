package system_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/handfast/handfast/internal/require"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/pcap"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// timestampsLen is what the timestamps option takes of each segment, padded.
const timestampsLen = 12

// headers are those of a TCP packet; the payload may lie elsewhere.
type headers struct {
	tcp    wire.TCP
	offset int // of the TCP header
	tos    uint8
	ttl    uint8
	df     bool
	id     uint16
}

// segment finds the headers of a packet if it is a whole TCP segment.
func segment(p *pkt.Packet) (h headers, ok bool) {
	b := p.Head
	switch {
	case len(b) >= wire.IPv4MinLen && b[0]>>4 == 4:
		ip := wire.IPv4(b)
		h = headers{offset: ip.HeaderLen(), tos: ip.TOS(), ttl: ip.TTL(), df: ip.DF(), id: ip.ID()}
		ok = ip.Proto() == wire.ProtoTCP && !ip.IsFragment()
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		ip := wire.IPv6(b)
		h = headers{offset: wire.IPv6Len, tos: ip.TrafficClass(), ttl: ip.HopLimit()}
		ok = ip.NextHeader() == wire.ProtoTCP
	}
	if !ok || len(b) < h.offset+wire.TCPMinLen {
		return h, false
	}
	h.tcp = wire.TCP(bytes.Clone(b[h.offset:]))
	return h, len(h.tcp) >= h.tcp.HeaderLen()
}

// image is what of a SYN is seen by those who guess the system from it.
type image struct {
	options string // in their order, with values that are the same for every connection
	window  uint16
	ttl     uint8
	tos     uint8
	df      bool
	idZero  bool
}

func imageOf(h headers) image {
	var o []string
	b := h.tcp.Options()
	for len(b) > 0 {
		kind, n := b[0], 1
		if kind > 1 && len(b) > 1 {
			n = max(2, min(int(b[1]), len(b)))
		}
		switch kind {
		case 0:
			o = append(o, "EOL")
		case 1:
			o = append(o, "NOP")
		case 2:
			o = append(o, fmt.Sprintf("MSS %d", int(b[2])<<8|int(b[3])))
		case 3:
			o = append(o, "WScale")
		case 4:
			o = append(o, "SACK-permitted")
		case 8:
			o = append(o, "Timestamps")
		default:
			o = append(o, fmt.Sprintf("option %d", kind))
		}
		b = b[n:]
	}
	return image{strings.Join(o, ", "), h.tcp.Window(), h.ttl, h.tos, h.df, h.id == 0}
}

// Our SYN and SYN-ACK carry the kernel's options in the kernel's order, with
// the same TTL, Diffserv field and DF: middleboxes know that picture.
func TestWireImageOfHandshakes(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) {
			m := &meddler{}
			l := newLab(t, setup{wrap: m.wrap}, v6)
			seen := map[string]image{}
			m.watch(func(out bool, p *pkt.Packet) {
				h, ok := segment(p)
				if !ok || h.tcp.Flags()&wire.FlagSYN == 0 {
					return
				}
				name := "SYN"
				if h.tcp.Flags()&wire.FlagACK != 0 {
					name = "SYN-ACK"
				}
				seen[fmt.Sprintf("%s, ours=%v", name, out)] = imageOf(h)
			})
			l.weDial()
			l.theyDial()
			m.watch(nil)
			for _, name := range []string{"SYN", "SYN-ACK"} {
				ours, kernel := seen[name+", ours=true"], seen[name+", ours=false"]
				t.Logf("%s: ours %+v, the kernel's %+v", name, ours, kernel)
				ours.window, kernel.window = 0, 0
				ours.idZero, kernel.idZero = false, false
				if ours != kernel || ours.options == "" {
					t.Errorf("%s:\nours         %+v\nthe kernel's %+v", name, ours, kernel)
				}
			}
		})
	}
}

// A conversation of every kind, recorded and judged by another program: no
// malformed packet, no wrong checksum, nothing to warn of.
func TestCaptureIsCleanToTshark(t *testing.T) {
	tshark := require.Tool(t, "tshark")
	for _, v6 := range []bool{false, true} {
		t.Run(family(v6), func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "run.pcapng")
			f, err := os.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			w := pcap.NewWriter(f)
			l := newLab(t, setup{noOffload: true, wrap: func(dev link.Device) link.Device {
				r, err := pcap.Record(dev, w, pcap.Options{Name: "tun"})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}}, v6)
			l.conversation()
			l.host.Close()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			// 6291456 is Warning; Window Full and Zero Window are what a slow
			// reader makes of an honest sender, D-SACK what a probe makes of a
			// busy machine.
			out, err := exec.Command(tshark, "-r", name, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
				"-Y", "_ws.expert.severity >= 6291456 && !tcp.analysis.window_full && !tcp.analysis.zero_window && !tcp.options.sack.dsack && !tcp.flags.reset == 1 && !tcp.connection.rst",
				"-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info", "-e", "_ws.expert.message").Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(out) > 0 {
				t.Errorf("tshark warns of:\n%s", out)
			}
			out, err = exec.Command(tshark, "-r", name, "-Y", "tcp", "-T", "fields", "-e", "frame.number").Output()
			if n := bytes.Count(out, []byte("\n")); err != nil || n < 500 {
				t.Errorf("tshark found %d segments, %v", n, err)
			}
		})
	}
}

// conversation has both ends do a little of everything.
func (l *lab) conversation() {
	l.Helper()
	for _, p := range []pair{l.weDial(), l.theyDial()} {
		if err := bothWays(p, 300_000); err != nil {
			l.Fatal(err)
		}
		p.ours.Close()
		p.kernel.Close()
	}
	var wg sync.WaitGroup
	ln := l.listen(7)
	go serveEcho(ln)
	for i := range 5 {
		wg.Go(func() {
			if err := call(l.nsDial, ln.Addr().String(), byte(i)); err != nil {
				l.Error(err)
			}
		})
	}
	wg.Wait()
	if c, err := l.host.DialContext(context.Background(), "tcp", l.at(9)); err == nil {
		c.Close()
		l.Error("a port that nobody has was connected to")
	}
	p := l.weDial()
	if err := exchange(p.ours, p.kernel); err != nil {
		l.Error(err)
	}
	p.ours.SetLinger(0)
	p.ours.Close()
	l.await("the connections to end", func() bool { return l.counts().Connections == 0 })
}
