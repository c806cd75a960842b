// Package netem connects two Hosts by a bad wire in real time, or inside a
// testing/synctest bubble in the bubble's time. What the wire does to packets
// is decided by package netem at the root of the module; this package carries
// them.
//
// Like a real device it copies: a packet leaves the sender for good when Write
// returns, and the receiver gets bytes of its own. So damage on the wire
// cannot reach the sender's buffers.
package netem

import (
	"net/netip"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// The bounds of this package.
const (
	// BatchSize is the largest batch handed to an input at once.
	BatchSize = 64
	// MaxInFlight is how many packets one direction carries at a time; more
	// are dropped and counted as Overflow.
	MaxInFlight = 1 << 16
	// DefaultMTU applies when Options.MTU is 0; MinMTU (RFC 791 §3.2) and
	// MaxMTU bound it.
	DefaultMTU = 1500
	MinMTU     = 68
	MaxMTU     = 65535
)

// Options are what a pair of devices has beside its wires. The zero Options
// are good: IP packets, an MTU of DefaultMTU.
type Options struct {
	Medium link.Medium
	// MTU of both devices: IP packets in bytes. A Config may have a smaller
	// one, in the same terms: then the path has a bottleneck that the devices
	// know nothing of.
	MTU int
	// Addrs are the Ethernet addresses of a and b; zero ones are replaced by
	// locally administered addresses. Not used on other media.
	Addrs [2]wire.MAC
	// Local are the addresses of a and b, for Caps.Local.
	Local [2][]netip.Prefix
	// Tap, if set, sees every packet at the four ends of the two directions.
	Tap Tap
}

// Device is one end of a wire. It is its own only queue and delivers by
// itself (link.Pusher) or, without SetInput, by Read. It is safe for
// concurrent use; two concurrent Writes have no order.
type Device struct {
	caps    link.Caps
	out, in *line
	queues  [1]link.Queue
}

var (
	_ link.Device = (*Device)(nil)
	_ link.Pusher = (*Device)(nil)
	_ link.Queue  = (*Device)(nil)
)

// Pair returns the two ends of a wire. Packets delivered come from pool, which
// both ends share; nil is a pool of the pair's own. The seed, the Configs and
// the times of the packets decide every packet's fate.
//
// The Configs are used as netem.Config.ForVirtualTime changes them: no wire
// is without any delay, or virtual time could not move. No goroutine runs
// before SetInput.
func Pair(pool *pkt.Pool, aToB, bToA netem.Config, seed uint64, opts Options) (a, b *Device) {
	if pool == nil {
		pool = new(pkt.Pool)
	}
	if opts.MTU == 0 {
		opts.MTU = DefaultMTU
	}
	opts.MTU = min(max(opts.MTU, MinMTU), MaxMTU)
	c := newClock()
	ab := newLine(pool, c, &opts, aToB, seed, SentByA, DeliveredToB)
	ba := newLine(pool, c, &opts, bToA, ^seed, SentByB, DeliveredToA)
	return newDevice(&opts, 0, ab, ba), newDevice(&opts, 1, ba, ab)
}

func newDevice(opts *Options, end int, out, in *line) *Device {
	d := &Device{out: out, in: in, caps: link.Caps{
		Medium:    opts.Medium,
		MTU:       opts.MTU,
		BatchSize: BatchSize,
		Local:     opts.Local[end],
	}}
	if opts.Medium == link.Ethernet {
		d.caps.Addr = opts.Addrs[end]
		if d.caps.Addr == (wire.MAC{}) {
			d.caps.Addr = wire.MAC{0x02, 'h', 'f', 0, 0, byte(end + 1)}
		}
	}
	d.queues[0] = d
	return d
}

// Caps describes the device: wire segments only, with complete checksums.
func (d *Device) Caps() link.Caps { return d.caps }

// Queues returns the device itself.
func (d *Device) Queues() []link.Queue { return d.queues[:] }

// Write sends the batch into the wire and releases it. It never waits for the
// network. n counts the packets that the wire took, also those that it loses.
// The error is net.ErrClosed after Close, and wraps link.ErrPacket for
// packets that Caps exclude.
func (d *Device) Write(batch []*pkt.Packet) (n int, err error) { return d.out.send(batch) }

// Read waits for packets to arrive and returns those that are due. It fails
// with net.ErrClosed after Close, and at once after SetInput.
func (d *Device) Read(batch []*pkt.Packet) (n int, err error) { return d.in.read(batch) }

// SetInput starts the goroutine that calls input with the packets that arrive.
// nil and calls after Close do nothing; a second function replaces the first.
func (d *Device) SetInput(input func(batch []*pkt.Packet)) { d.in.setInput(input) }

// Close ends this end of the wire; later calls return nil. It waits until the
// input returns, so input must not call it. Packets on the way to this end are
// released, and those that the other end sends from now on are lost; packets
// that this end has sent still arrive there.
func (d *Device) Close() error {
	d.out.closeSender()
	d.in.closeReceiver()
	return nil
}

// SetConfig changes the direction in which this end sends, from the next
// packet on; see netem.Wire.SetConfig.
func (d *Device) SetConfig(cfg netem.Config) { d.out.setConfig(cfg) }

// Stats counts what happened to the packets that one end sent.
type Stats struct {
	Wire      netem.Counters // what the wire did to them
	Refused   uint64         // packets that Write refused: Caps exclude them
	Delivered uint64         // copies handed to the other end
	Overflow  uint64         // copies dropped: MaxInFlight were on the way
	Unplugged uint64         // copies dropped: the other end was closed
	InFlight  int            // copies on the way now
}

// Stats returns the counters of the direction in which this end sends.
func (d *Device) Stats() Stats { return d.out.snapshot() }
