package handfast_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/link/pipe"
)

// What arrived and was not read outlives its connection, but not its Host:
// Close takes it back and Read says so.
func TestUnreadDataOfEndedConnections(t *testing.T) {
	for name, end := range map[string]func(ours, peer *handfast.Conn){
		"TIME-WAIT": func(ours, peer *handfast.Conn) { ours.CloseWrite(); peer.Close() },
		"closed":    func(ours, peer *handfast.Conn) { peer.CloseWrite(); ours.CloseWrite() },
		"reset":     func(ours, peer *handfast.Conn) { peer.SetLinger(0); peer.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := twoHosts(t, pipe.Options{})
				l, err := b.Listen(context.Background(), "tcp", ":80")
				if err != nil {
					t.Fatal(err)
				}
				dial := func() (ours, peer *handfast.Conn) {
					c, err := a.Dial("tcp", "10.0.0.2:80")
					if err != nil {
						t.Fatal(err)
					}
					p, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					return c.(*handfast.Conn), p.(*handfast.Conn)
				}
				ours, peer := dial()
				io.WriteString(peer, "last words")
				end(ours, peer)
				time.Sleep(time.Second)
				var buf [16]byte
				if n, err := ours.Read(buf[:]); string(buf[:n]) != "last words" || err != nil {
					t.Errorf("read %q, %v", buf[:n], err)
				}
				want := io.EOF
				if name == "reset" {
					want = syscall.ECONNRESET
				}
				if _, err := ours.Read(buf[:]); !errors.Is(err, want) {
					t.Errorf("then %v, want %v", err, want)
				}
				ours, peer = dial()
				io.WriteString(peer, "never read")
				end(ours, peer)
				time.Sleep(time.Second)
				a.Close()
				if _, err := ours.Read(buf[:]); !errors.Is(err, net.ErrClosed) {
					t.Errorf("after the Host's Close: %v", err)
				}
				b.Close()
				for _, h := range []*handfast.Host{a, b} {
					if chunks, packets := h.Outstanding(); chunks != 0 || packets != 0 {
						t.Errorf("%s: %d chunks and %d packets are not back", h.Name(), chunks, packets)
					}
				}
			})
		})
	}
}
