package engine

import (
	"errors"
	"math/bits"
	"os"
	"strings"
	"testing"

	"github.com/handfast/handfast/tcp"
)

// An Engine of the zero Config has the defaults that its settings claim, and
// each can be set to the value that it has.
func TestSysctlDefaults(t *testing.T) {
	e := New(Config{})
	for _, s := range e.Sysctls() {
		if s.Value != s.Default {
			t.Errorf("%s = %q, and its default is said to be %q", s.Name, s.Value, s.Default)
		}
		if v, err := e.Sysctl(s.Name); err != nil || v != s.Value {
			t.Errorf("%s: %q, %v", s.Name, v, err)
		}
		if err := e.SetSysctl(s.Name, s.Value); (err != nil) != s.ReadOnly {
			t.Errorf("%s set to %q, its own value: %v", s.Name, s.Value, err)
		}
		if v, _ := e.Sysctl(strings.ReplaceAll(s.Name, ".", "/")); v != s.Value {
			t.Errorf("%s = %q after it was set to %q, by its path", s.Name, v, s.Value)
		}
		if s.Help == "" || s.Range == "" {
			t.Errorf("%s does not say what it does, or what is allowed", s.Name)
		}
	}
}

// A value that is not allowed changes nothing, and the error says what is
// allowed; a name that nobody knows is answered by the one most like it.
func TestSysctlRefused(t *testing.T) {
	e := New(Config{})
	for _, c := range []struct {
		name, value string
		err         error
		says        string
	}{
		{"net.ipv4.tcp_sack", "2", ErrInvalidSetting, `sysctl net.ipv4.tcp_sack = "2": invalid value, allowed: 0 to 1`},
		{"net.ipv4.tcp_sack", "-1", ErrInvalidSetting, "allowed: 0 to 1"},
		{"net.ipv4.tcp_sack", "", ErrInvalidSetting, "allowed: 0 to 1"},
		{"net.ipv4.tcp_sack", "on", ErrInvalidSetting, "allowed: 0 to 1"},
		{"net.ipv4.tcp_sack", "1 1", ErrInvalidSetting, "allowed: 0 to 1"},
		{"net.ipv4.tcp_sack", "18446744073709551617", ErrInvalidSetting, "allowed: 0 to 1"},
		{"net.ipv4.tcp_sack", strings.Repeat(" ", 1<<20) + "1", ErrInvalidSetting, "allowed: 0 to 1"},
		{"net.ipv4.tcp_rto_max_ms", "999", ErrInvalidSetting, "1000 to 120000 ms"},
		{"net.ipv4.tcp_congestion_control", "vegas", ErrInvalidSetting, "reno, cubic, bbr"},
		{"net.ipv4.ip_local_port_range", "1023 2000", ErrInvalidSetting, "1024 to 65535"},
		{"net.ipv4.ip_local_port_range", "3000 2000", ErrInvalidSetting, "1024 to 65535"},
		{"net.ipv4.ip_local_port_range", "3000", ErrInvalidSetting, "1024 to 65535"},
		{"net.ipv4.tcp_fastopen_key", "1-2-3", ErrInvalidSetting, "four hexadecimal numbers"},
		{"net.ipv4.tcp_fastopen_key", "1-2-3-4,5-6-7-1ffffffff", ErrInvalidSetting, "four hexadecimal numbers"},
		{"net.ipv4.tcp_fastopen", "0x603", nil, ""},
		{"net.ipv4.tcp_fastopen", "0x800", ErrInvalidSetting, "0 to 1543"},
		{"net.ipv4.tcp_rfc1337", "0", ErrReadOnlySetting, "read only"},
		{"net.ipv4.tcp_sakc", "1", ErrUnknownSetting, "the nearest is net.ipv4.tcp_sack"},
		{"tcp_fin_timeuot", "1", ErrUnknownSetting, "the nearest is net.ipv4.tcp_fin_timeout"},
		{"net.ipv4.tcp_keepalive_interval", "1", ErrUnknownSetting, "the nearest is net.ipv4.tcp_keepalive_intvl"},
		{strings.Repeat("x", 1<<20), "1", ErrUnknownSetting, "the nearest is"},
		{"", "1", ErrUnknownSetting, "the nearest is"},
	} {
		before := e.Sysctls()
		err := e.SetSysctl(c.name, c.value)
		if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40s = %.20q: %v, want %v and %q", c.name, c.value, err, c.err, c.says)
		}
		if err == nil {
			continue
		}
		if len(err.Error()) > 400 {
			t.Errorf("%.40s: an error of %d letters", c.name, len(err.Error()))
		}
		for i, s := range e.Sysctls() {
			if s != before[i] {
				t.Errorf("%.40s = %.20q was refused, and %s became %q", c.name, c.value, s.Name, s.Value)
			}
		}
	}
}

// A change gives new connections another Config; those that live keep theirs,
// and so do handshakes under way, which have promised things by it.
func TestSysctlLivingConnections(t *testing.T) {
	h := newTestHarness(t, HarnessConfig{})
	l := listen(t, h, "10.0.0.1:80")
	before := h.E.TCPConfig()
	first := *before
	half := offer(h, 1001)
	if a := one(t, h); a.Opts.WScale == 0 {
		t.Fatalf("no window scale on %v", &a)
	}
	for _, s := range []string{"net.ipv4.tcp_window_scaling", "net.ipv4.tcp_timestamps", "net.ipv4.tcp_sack"} {
		set(t, h.E, s, "0")
	}
	if *before != first {
		t.Error("the Config of living connections was written")
	}
	if h.E.TCPConfig() == before {
		t.Error("new connections take the old Config")
	}
	half.complete(h)
	c := h.Accept(l)
	if c == nil {
		t.Fatal("the handshake that was under way failed")
	}
	if i := h.Info(c); !i.SACK || !i.Timestamps || i.ReceiveScale == 0 {
		t.Errorf("what the SYN-ACK promised is not kept: %+v", i)
	}
	offer(h, 1002).complete(h)
	if i := h.Info(h.Accept(l)); i.SACK || i.Timestamps || i.ReceiveScale != 0 {
		t.Errorf("a new connection does not know of the change: %+v", i)
	}
	if c.State() != tcp.Established {
		t.Errorf("the first connection is %v", c.State())
	}
}

// docs/sysctl.md has a row for each setting, with its default and its range, and
// none that does not exist.
func TestSysctlDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/sysctl.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `net.") {
			rows[name] = rest
		}
	}
	for _, s := range New(Config{}).Sysctls() {
		row, ok := rows[s.Name]
		if !ok {
			t.Errorf("%s is not in docs/sysctl.md", s.Name)
			continue
		}
		delete(rows, s.Name)
		for _, want := range []string{strings.Join(strings.Fields(s.Default), " "), s.Range, s.Effect.String()} {
			if bits.UintSize == 32 && s.Name == "net.ipv4.tcp_mem" { // a smaller budget
				continue
			}
			if !s.ReadOnly && !strings.Contains(row, want) {
				t.Errorf("the row of %s does not say %q: %s", s.Name, want, row)
			}
		}
	}
	for name := range rows {
		t.Errorf("docs/sysctl.md has %s, which does not exist", name)
	}
}

// Every setting has a test that it does what it says.
func TestSysctlEffectsComplete(t *testing.T) {
	tested := map[string]bool{}
	for _, s := range effects() {
		for _, name := range strings.Fields(s.names) {
			tested[name] = true
		}
	}
	for _, s := range New(Config{}).Sysctls() {
		if !tested[s.Name] {
			t.Errorf("nothing tests what %s does", s.Name)
		}
	}
}
