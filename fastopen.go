package handfast

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
)

// A Dialer dials with settings that a call of Host.DialContext has no room for,
// in the manner of net.Dialer. Its methods may be called from any goroutine, as
// long as nobody changes it.
type Dialer struct {
	// Host is who dials.
	Host *Host
	// Local is our end; what is unset of it is chosen.
	Local netip.AddrPort
	// FastOpen dials with TCP Fast Open, RFC 7413: when the server has given the
	// Host a cookie before, DialContext returns at once, without a packet sent,
	// and the first Write's bytes travel on the SYN. That saves a round trip.
	// Without a cookie DialContext connects as usual and asks for one.
	//
	// The first bytes may reach the server twice, as two connections, when the
	// network duplicates a packet. So they must ask for something that may be
	// done twice: an HTTP GET, a TLS ClientHello without early data.
	//
	// A connection that is returned at once may turn out not to exist: then the
	// first Read, or a Write, says so with the error that DialContext would have
	// returned, and other addresses of the name are not tried. When somebody
	// reads and nobody writes for 10 ms, the SYN goes without data. CloseWrite
	// and Close deliver what was written before.
	FastOpen bool
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects as Host.DialContext does. It fits http.Transport, also
// with FastOpen.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.Host.dial(ctx, network, address, &dialing{local: d.Local, fastOpen: d.FastOpen, wait: d.FastOpen})
}

// DialFastOpen connects and writes b, at once: with TCP Fast Open as much of b
// travels on the SYN as fits, when the server has given the Host a cookie
// before. It returns when the connection is established and all of b is queued;
// b is not kept. What Dialer.FastOpen says of bytes that may arrive twice holds
// here as well; when the name has several addresses, b may be written to more
// than one. Only networks of TCP are possible.
func (h *Host) DialFastOpen(ctx context.Context, network, address string, b []byte) (net.Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	return h.dial(ctx, network, address, &dialing{fastOpen: true, first: b})
}

// dialing is how one connection is to be opened.
type dialing struct {
	local    netip.AddrPort
	fastOpen bool
	wait     bool   // the SYN waits for data
	first    []byte // to be written, on the SYN if possible
}

// queueFirst queues what is to travel on the SYN, and more if there is room, and
// returns how much that is. The lock is held; first is taken over.
func (c *Conn) queueFirst(now mono.Time, first pkt.Ref) int {
	n := min(len(first.B), c.ec.Room())
	first.B = first.B[:n]
	if n > 0 {
		c.ec.Queue(now, first)
	} else {
		first.Release()
	}
	return n
}

// fastOpenPatience is how long a SYN goes on waiting for data when somebody
// reads: net/http has a goroutine that does before another one writes.
const fastOpenPatience = 10 * time.Millisecond

// hurry lets a SYN go that waits for data, in a while. The lock is held, but
// released in between if hurry reports true.
func (c *Conn) hurry() bool {
	if !c.ec.FastOpenWaits() {
		return false
	}
	now := c.s.h.now()
	if !c.ec.Hurry(now, fastOpenPatience) {
		return false
	}
	c.s.unlock(now)
	c.s.mu.Lock()
	return true
}

// SetFastOpen lets clients open connections with data on their SYN, TCP Fast
// Open: Accept returns such a connection before the handshake is over, its
// first bytes can be read, and an answer leaves before the client has proved
// that it is who it claims to be. n bounds how many may be in that state at
// once; beyond it, and with n 0 as at the start, handshakes are plain ones. RFC
// 7413 §4.2.2.
//
// A request may arrive twice: the program must be able to bear that (RFC 7413
// §6).
func (l *Listener) SetFastOpen(n int) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.closed {
		return l.fail("set", net.ErrClosed)
	}
	l.l.SetFastOpen(n)
	return nil
}

// SetFastOpenKeys sets the keys of the cookies that the Host gives its clients:
// engine.Engine.SetFastOpenKeys. Hosts that answer for one address share them,
// also with Linux (sysctl net.ipv4.tcp_fastopen_key). To replace a key, make the
// old one the backup for a while.
func (h *Host) SetFastOpenKeys(key, backup [16]byte) {
	h.shard.mu.Lock()
	defer h.shard.mu.Unlock()
	h.shard.e.SetFastOpenKeys(key, backup)
}
