package require

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Root asks for the rights of root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "the rights of root")
	}
}

// Namespace asks for the right to make network namespaces.
func Namespace(t testing.TB) {
	t.Helper()
	Root(t)
	if err := tryNamespace(); err != nil {
		missing(t, "network namespaces ("+err.Error()+")")
	}
}

// tryNamespace goes into a new namespace and back.
func tryNamespace() error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	errc := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			runtime.UnlockOSThread() // otherwise the thread ends with this goroutine
		}
		errc <- err
	}()
	return <-errc
}

// TUN asks for namespaces and the TUN device.
func TUN(t testing.TB) {
	t.Helper()
	Namespace(t)
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		missing(t, "/dev/net/tun ("+err.Error()+")")
	}
	unix.Close(fd)
}
