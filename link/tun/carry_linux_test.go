package tun_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/oracle"
	"github.com/handfast/handfast/internal/require"
	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/link/tun"
	"github.com/handfast/handfast/pkt"
)

// carry moves packets from one device to another until one is closed.
func carry(to, from link.Device) {
	in, out := from.Queues()[0], to.Queues()[0]
	batch := make([]*pkt.Packet, from.Caps().BatchSize)
	for {
		n, err := in.Read(batch)
		if err != nil {
			return
		}
		if _, err := out.Write(batch[:n]); err != nil {
			return
		}
	}
}

// twoKernels joins the kernels of two namespaces by two devices and returns a
// TCP connection from one to the other, and the first one's device.
func twoKernels(t testing.TB, plain bool) (client, server net.Conn, dev *tun.Device) {
	t.Helper()
	require.TUN(t)
	var devs [2]*tun.Device
	var ns [2]*oracle.Namespace
	for i, a := range []string{"10.9.0.1/24", "10.9.0.2/24"} {
		ns[i] = oracle.New(t)
		ns[i].Sysctl(t, "net/ipv4/tcp_rmem", "4096 131072 16777216")
		ns[i].Sysctl(t, "net/ipv4/tcp_wmem", "4096 16384 12582912")
		err := ns[i].Do(func() (err error) {
			devs[i], err = tun.Open(tun.Config{Kernel: []netip.Prefix{netip.MustParsePrefix(a)}, QueueLen: 10000, NoOffload: plain})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { devs[i].Close() })
	}
	go carry(devs[0], devs[1])
	go carry(devs[1], devs[0])
	l, err := ns[1].Listen("tcp", "10.9.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = ns[0].Dial("tcp", "10.9.0.2:80"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server, devs[0]
}

// What is read from one device can be written to another as it is, with its
// super-segments and unfinished checksums.
func TestTwoKernelsThroughTwoDevices(t *testing.T) {
	for name, plain := range map[string]bool{"virtio headers": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			client, server, dev := twoKernels(t, plain)
			deadline := time.Now().Add(patience)
			client.SetDeadline(deadline)
			server.SetDeadline(deadline)
			sent := pattern(8 << 20)
			go func() {
				client.Write(sent)
				client.(*net.TCPConn).CloseWrite()
			}()
			got, err := io.ReadAll(server)
			if err != nil || string(got) != string(sent) {
				t.Fatalf("%d of %d bytes arrived, %v (%+v)", len(got), len(sent), err, dev.Stats())
			}
			s := dev.Stats()
			if size := s.RxBytes / s.RxPackets; !plain && size < 4000 || plain && size > 1500 {
				t.Errorf("packets of %d bytes on average: %+v", size, s)
			}
			if s.RxInvalid+s.TxErrors > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// BenchmarkTwoKernels is a kernel's TCP to another's, by way of two devices.
func BenchmarkTwoKernels(b *testing.B) {
	for name, plain := range map[string]bool{"virtio": false, "plain": true} {
		b.Run(name, func(b *testing.B) {
			client, server, _ := twoKernels(b, plain)
			go func() {
				sink := make([]byte, 64<<10) // io.Discard reads 8 KiB at a time
				for {
					if _, err := server.Read(sink); err != nil {
						return
					}
				}
			}()
			block := make([]byte, 64<<10)
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				if _, err := client.Write(block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
