package oracle

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/require"
	"golang.org/x/sys/unix"
)

// dialTimeout bounds a Dial, which gets its answer from this machine.
const dialTimeout = 10 * time.Second

var errLeft = errors.New("oracle: the function ended its goroutine")

// congestionControl is what the kernel's sockets use.
const congestionControl = "cubic"

// Namespace is a network namespace of the test. Its methods may be called from
// several goroutines at once.
type Namespace struct {
	file *os.File // refers to the namespace and keeps it alive
}

// New makes a namespace whose loopback interface is up, for as long as the
// test runs. It skips the test where that is not possible (package require).
func New(t testing.TB) *Namespace {
	t.Helper()
	require.Namespace(t)
	n := &Namespace{}
	err := apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		n.file = f
		if err != nil {
			return err
		}
		return loopbackUp()
	})
	if n.file != nil {
		t.Cleanup(func() { n.file.Close() })
	}
	if err != nil {
		t.Fatalf("a network namespace: %v", err)
	}
	return n
}

// apart runs f on a thread of its own and puts the thread back into the
// namespace it came from. (It must not simply end in another one: it may be the
// process's first thread, which stays and whose namespace /proc/self shows.)
func apart(f func() error) error {
	errc := make(chan error, 1)
	go func() {
		err := errLeft // what remains if f calls runtime.Goexit, as t.Fatal does
		defer func() { errc <- err }()
		runtime.LockOSThread()
		home, e := os.Open("/proc/thread-self/ns/net")
		if e != nil {
			err = e
			return
		}
		defer home.Close()
		defer func() {
			if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread() // otherwise the thread ends with this goroutine
			}
		}()
		err = f()
	}()
	return <-errc
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return os.NewSyscallError("SIOCSIFFLAGS", unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr))
}

// Do runs f on a thread inside the namespace and returns its error. Sockets and
// devices that f opens belong to the namespace for good; goroutines that f
// starts are outside. f must not end the test (t.Fatal); it may call Do.
func (n *Namespace) Do(f func() error) error {
	return apart(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("setns", err)
		}
		return f()
	})
}

// Start starts a command inside the namespace; the caller waits for it.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Run runs a program inside the namespace and returns what it printed on both
// outputs. It skips the test if the program is missing and fails it if the
// program does.
func (n *Namespace) Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := require.Tool(t, name)
	var out []byte
	err := n.Do(func() (err error) {
		out, err = exec.Command(path, args...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Sysctl sets a parameter of the namespace, such as "net/ipv4/tcp_sack".
func (n *Namespace) Sysctl(t testing.TB, key, value string) {
	t.Helper()
	err := n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", filepath.FromSlash(key)), []byte(value), 0)
	})
	if err != nil {
		t.Fatalf("sysctl %s = %s: %v", key, value, err)
	}
}

// control gives TCP sockets one congestion control everywhere: a machine's
// default may be any, and that of a new namespace cannot always be set.
func control(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestionControl)
	}); e != nil {
		return e
	}
	return os.NewSyscallError("TCP_CONGESTION", err)
}

// Listen is net.Listen with the namespace's kernel, and CUBIC. The test closes
// the listener.
func (n *Namespace) Listen(network, address string) (l net.Listener, err error) {
	err = n.Do(func() (err error) {
		lc := net.ListenConfig{Control: control}
		lc.SetMultipathTCP(false)
		l, err = lc.Listen(context.Background(), network, address)
		return err
	})
	return l, err
}

// ListenPacket is net.ListenPacket with the namespace's kernel.
func (n *Namespace) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = n.Do(func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// Dial is net.Dial with the namespace's kernel, and CUBIC, within ten seconds.
// The address must be numeric.
func (n *Namespace) Dial(network, address string) (c net.Conn, err error) {
	err = n.Do(func() (err error) {
		d := net.Dialer{Timeout: dialTimeout, Control: control}
		c, err = d.Dial(network, address)
		return err
	})
	return c, err
}
