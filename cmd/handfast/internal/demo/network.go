package demo

import (
	"errors"
	"io"
	"net/netip"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link"
	wires "github.com/handfast/handfast/link/netem"
	"github.com/handfast/handfast/link/pcap"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// The addresses: of the ranges for documentation, RFC 5737 and RFC 3849.
var (
	prefixes4 = [2]netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24")}
	prefixes6 = [2]netip.Prefix{netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64")}
)

// servicePort is the download protocol's most usual port.
const servicePort = 7788

// network is two Hosts and the wire between them.
type network struct {
	a, b    *handfast.Host
	events  [2]*recorder // of A and B
	wire    [2]*wires.Device
	addr    [2]netip.Addr
	capture *pcap.Writer // nil: nobody records
	changed chan struct{}
}

// newNetwork starts two Hosts. close ends them.
func newNetwork(o *Options) (*network, error) {
	n := &network{changed: make(chan struct{}, 1)}
	prefixes := prefixes4
	if o.IPv6 {
		prefixes = prefixes6
	}
	n.addr = [2]netip.Addr{prefixes[0].Addr(), prefixes[1].Addr()}
	n.wire[0], n.wire[1] = wires.Pair(nil, o.Wire, o.Wire, o.Seed, wires.Options{MTU: o.MTU})
	devices := [2]link.Device{n.wire[0], n.wire[1]}
	sinks := [2]trace.Sink{}
	for i := range n.events {
		n.events[i] = newRecorder(n.changed)
		sinks[i] = n.events[i]
	}
	if o.Capture != nil {
		if err := n.record(o.Capture, devices[:], sinks[:]); err != nil {
			return nil, err
		}
	}
	for i, name := range [2]string{"A", "B"} {
		cfg := tcp.DefaultConfig(tcp.ProfileLinux)
		cfg.Trace = sinks[i]
		h, err := handfast.New(handfast.Config{Name: name, TCP: cfg})
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		if i == 0 {
			n.a = h
		} else {
			n.b = h
		}
		if o.Congestion != "" {
			if err := h.SetSysctl("net.ipv4.tcp_congestion_control", o.Congestion); err != nil {
				return nil, errors.Join(err, n.close())
			}
		}
		if _, err := h.Attach(devices[i], prefixes[i]); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

// record puts a recorder at B's end of the wire, where every segment of the
// file is seen, with B's reasons for it: at A's end those that were lost are
// missing, and at both ends every segment would be in the file twice.
func (n *network) record(w io.Writer, devices []link.Device, sinks []trace.Sink) error {
	n.capture = pcap.NewWriter(w)
	notes := new(pcap.Notes)
	sinks[1] = trace.Multi(sinks[1], notes)
	d, err := pcap.Record(devices[1], n.capture, pcap.Options{Name: "B", Comment: notes.Comment})
	devices[1] = d
	return err
}

// close ends both Hosts and the recording, whose first error it returns. It may
// be called twice.
func (n *network) close() error {
	for _, h := range []*handfast.Host{n.a, n.b} {
		if h != nil {
			h.Close()
		}
	}
	if n.capture == nil {
		return nil
	}
	if err := n.capture.Close(); err != nil && !errors.Is(err, pcap.ErrClosed) {
		return err
	}
	return nil
}

// lost returns how many packets the wire lost, both ways.
func (n *network) lost() uint64 {
	var all uint64
	for _, d := range n.wire {
		st := d.Stats()
		all += st.Wire.Drops()
	}
	return all
}

// The queue before a transmitter: what it sends in a queuesPerSecond-th of a
// second (50 ms), but at least minQueueBytes.
const (
	queuesPerSecond = 20
	minQueueBytes   = 64 << 10
)

// WithQueue returns the wire with a bound on the queue before its transmitter,
// if it has a rate and no bound yet: 50 ms, as routers have, and not the
// seconds that an unbounded one would hold.
func WithQueue(c netem.Config) netem.Config {
	if c.Rate > 0 && c.QueueBytes == 0 && c.QueuePackets == 0 {
		c.QueueBytes = int(min(max(c.Rate/8/queuesPerSecond, minQueueBytes), netem.MaxQueueBytes))
	}
	return c
}
