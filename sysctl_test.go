package handfast

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/link/pipe"
)

// A Host's settings are those of its engine: errors are Linux', and what begins
// later obeys, while other goroutines use the Host.
func TestHostSysctl(t *testing.T) {
	left, right := pipe.New(pipe.Options{})
	a, b := newSettingsHost(t), newSettingsHost(t)
	if _, err := a.Attach(left, netip.MustParsePrefix("10.0.0.1/24")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Attach(right, netip.MustParsePrefix("10.0.0.2/24")); err != nil {
		t.Fatal(err)
	}
	l, err := b.Listen(context.Background(), "tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go io.Copy(c, c)
		}
	}()
	for _, name := range []string{"bbr", "reno", "cubic"} {
		if err := a.SetSysctl("net/ipv4/tcp_congestion_control", name); err != nil {
			t.Fatal(err)
		}
		c, err := a.DialContext(context.Background(), "tcp", "10.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.(*Conn).Info().Congestion; got != name {
			t.Errorf("set to %s, a new connection has %s", name, got)
		}
		other := map[string]string{"bbr": "reno", "reno": "cubic", "cubic": "bbr"}[name]
		if err := c.(*Conn).SetCongestionControl(other); err != nil || c.(*Conn).Info().Congestion != other {
			t.Errorf("%s becomes %s: %v, %s", name, other, err, c.(*Conn).Info().Congestion)
		}
		if err := c.(*Conn).SetCongestionControl("vegas"); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("vegas: %v", err)
		}
		if n, err := c.Write([]byte("x")); n != 1 || err != nil {
			t.Errorf("after the change: %d, %v", n, err)
		}
		c.Close()
	}
	for _, c := range []struct {
		name, value string
		want        error
	}{
		{"net.ipv4.tcp_sack", "7", syscall.EINVAL},
		{"net.ipv4.tcp_rfc1337", "0", syscall.EACCES},
		{"net.ipv4.tcp_sax", "1", syscall.ENOENT},
		{"net.ipv4.tcp_sack", "0", nil},
	} {
		err := a.SetSysctl(c.name, c.value)
		var detail *engine.SettingError
		if !errors.Is(err, c.want) || err != nil && !errors.As(err, &detail) {
			t.Errorf("%s = %s: %v, want %v", c.name, c.value, err, c.want)
		}
	}
	if v, err := a.Sysctl("net.ipv4.tcp_sack"); v != "0" || err != nil {
		t.Errorf("tcp_sack is %q, %v", v, err)
	}
	if _, err := a.Sysctl("net.ipv4.nothing"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a setting that does not exist: %v", err)
	}
	changed := 0
	for _, s := range a.Sysctls() {
		if s.Value != s.Default {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d settings are not at their defaults, want tcp_sack alone", changed)
	}
}

func newSettingsHost(t *testing.T) *Host {
	t.Helper()
	h, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}
