//go:build !linux

package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"github.com/handfast/handfast/link"
)

// Device exists on Linux only; elsewhere Open never returns one.
type Device struct{}

func unsupported() error {
	return fmt.Errorf("tun: there is no TUN device for %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Open returns an error that wraps errors.ErrUnsupported: TUN devices are for
// Linux.
func Open(Config) (*Device, error) { return nil, unsupported() }

// Name returns "".
func (*Device) Name() string { return "" }

// Caps returns the zero Caps.
func (*Device) Caps() link.Caps { return link.Caps{} }

// Queues returns nil.
func (*Device) Queues() []link.Queue { return nil }

// Stats returns zeroes.
func (*Device) Stats() Stats { return Stats{} }

// AddRoute returns an error that wraps errors.ErrUnsupported.
func (*Device) AddRoute(netip.Prefix) error { return unsupported() }

// Close returns net.ErrClosed.
func (*Device) Close() error { return net.ErrClosed }
