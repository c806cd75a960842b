package tun

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/pkt"
	"golang.org/x/sys/unix"
)

const (
	path      = "/dev/net/tun"
	minMTU    = 68 // RFC 791 §3.2
	maxPacket = 65535
	batchSize = 32
)

// Device is a TUN interface with one queue.
type Device struct {
	name string
	caps link.Caps
	file *os.File
	q    queue
}

// Open opens or makes an interface as cfg says, in the network namespace of
// the calling thread. It vanishes with Close unless it is a persistent one.
// Errors are the system's, wrapped: fs.ErrPermission where rights are missing.
func Open(cfg Config) (*Device, error) {
	if cfg.MTU != 0 && (cfg.MTU < minMTU || cfg.MTU > maxPacket) {
		return nil, fmt.Errorf("tun: MTU %d is not within %d to %d", cfg.MTU, minMTU, maxPacket)
	}
	if cfg.QueueLen < 0 {
		return nil, fmt.Errorf("tun: a queue of %d packets", cfg.QueueLen)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	d, err := setUp(fd, &cfg)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("tun: %q: %w", cfg.Name, err)
	}
	// From here on the file owns the descriptor, and the poller knows it.
	d.file = os.NewFile(uintptr(fd), path)
	pool := cfg.Pool
	if pool == nil {
		pool = new(pkt.Pool)
	}
	if err := d.q.init(d.file, &d.caps, pool); err != nil {
		d.file.Close()
		return nil, fmt.Errorf("tun: %q: %w", d.name, err)
	}
	return d, nil
}

// setUp makes the interface behind fd what cfg wants.
func setUp(fd int, cfg *Config) (*Device, error) {
	d := &Device{caps: link.Caps{Medium: link.IP, BatchSize: batchSize}}
	d.caps.Local = append([]netip.Prefix(nil), cfg.Local...)
	var err error
	if d.name, err = attach(fd, cfg); err != nil {
		return nil, err
	}
	if !cfg.NoOffload {
		negotiate(fd, &d.caps)
	}
	if err := configure(d.name, cfg); err != nil {
		return nil, err
	}
	d.caps.MTU, err = interfaceMTU(d.name)
	return d, err
}

// attach binds fd to an interface and returns its name.
func attach(fd int, cfg *Config) (string, error) {
	ifr, err := unix.NewIfreq(cfg.Name)
	if err != nil {
		return "", err
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if !cfg.NoOffload {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return "", os.NewSyscallError("TUNSETIFF", err)
	}
	// A persistent interface may come with another length of the header.
	if !cfg.NoOffload {
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetLen); err != nil {
			return "", os.NewSyscallError("TUNSETVNETHDRSZ", err)
		}
	}
	return ifr.Name(), nil
}

// negotiate tells the kernel what may be left undone in packets for us, and
// notes the outcome. The header alone already lets us leave it undone.
func negotiate(fd int, caps *link.Caps) {
	caps.Offloads = link.TxChecksum | link.TSO4 | link.TSO6
	caps.MaxGSO = maxPacket
	if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6) == nil {
		caps.Offloads |= link.RxChecksum | link.GRO
		caps.MaxGRO = maxPacket
	} else if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM) == nil {
		caps.Offloads |= link.RxChecksum
	}
}

// Name returns the interface's name.
func (d *Device) Name() string { return d.name }

// Caps implements link.Device. The MTU is that of Open: a later change by
// others is not followed.
func (d *Device) Caps() link.Caps { return d.caps }

// Queues implements link.Device: there is one.
func (d *Device) Queues() []link.Queue { return []link.Queue{&d.q} }

// Stats returns the counters; it may be called at any time.
func (d *Device) Stats() Stats { return d.q.stats.snapshot() }

// AddRoute tells the kernel that dst is behind the interface, which must be up.
func (d *Device) AddRoute(dst netip.Prefix) error {
	if err := addRoute(d.name, dst); err != nil {
		return fmt.Errorf("tun: route to %v by %q: %w", dst, d.name, err)
	}
	return nil
}

// Close implements link.Device. It unblocks Read and waits until a Write under
// way is done.
func (d *Device) Close() error {
	if d.q.closed.Swap(true) {
		return nil
	}
	err := d.file.Close()
	d.q.drop()
	return err
}

// counters are Stats that reader and writer may change while others look.
type counters struct {
	rxPackets, rxBytes, rxInvalid            atomic.Uint64
	txPackets, txBytes, txDropped, txRefused atomic.Uint64
}

func (c *counters) snapshot() Stats {
	return Stats{
		RxPackets: c.rxPackets.Load(), RxBytes: c.rxBytes.Load(), RxInvalid: c.rxInvalid.Load(),
		TxPackets: c.txPackets.Load(), TxBytes: c.txBytes.Load(),
		TxDropped: c.txDropped.Load(), TxErrors: c.txRefused.Load(),
	}
}
