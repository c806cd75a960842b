package pcap

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// Wireshark's own dissectors are the second opinion on our files: they find all
// packets and comments, no wrong checksum and nothing to warn about.
func TestTsharkAgrees(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("HANDFAST_REQUIRE") == "all" {
			t.Fatal("tshark is not installed, and HANDFAST_REQUIRE=all")
		}
		t.Skip("tshark is not installed (Debian: apt-get install tshark)")
	}
	file := filepath.Join(t.TempDir(), "talk.pcapng")
	want := writeTalk(t, file)

	fields := run(t, tshark, "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction",
		"-e", "tcp.checksum.status", "-e", "udp.checksum.status", "-e", "ip.checksum.status", "-e", "frame.time_epoch", "-e", "frame.comment")
	lines := strings.Split(strings.TrimRight(fields, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("tshark sees %d packets, want %d:\n%s", len(lines), len(want), fields)
	}
	for i, line := range lines {
		f := strings.SplitN(line, "|", 8)
		const good = "1"
		if f[3] != good && f[4] != good {
			t.Errorf("packet %d: TCP or UDP checksum not good: %s", i+1, line)
		}
		if f[5] != good && i%4 < 2 {
			t.Errorf("packet %d: IPv4 checksum not good: %s", i+1, line)
		}
		if name := []string{"tun0", "lan"}[i%2]; f[1] != name {
			t.Errorf("packet %d: interface %q, want %q", i+1, f[1], name)
		}
		at := start().Add(time.Duration(i) * time.Millisecond)
		if ns := fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()); f[6] != ns {
			t.Errorf("packet %d: time %s, want %s", i+1, f[6], ns)
		}
		if f[7] != want[i].comment {
			t.Errorf("packet %d: comment %q, want %q", i+1, f[7], want[i].comment)
		}
		if dir := fmt.Sprintf("0x%08x", uint8(want[i].dir)); f[2] != dir {
			t.Errorf("packet %d: direction %s, want %s", i+1, f[2], dir)
		}
	}
	// 0x00600000 is the severity "warning"; malformed packets are errors above it.
	if bad := run(t, tshark, "-r", file, "-o", "tcp.check_checksum:TRUE", "-Y", "_ws.malformed || _ws.expert.severity >= 0x00600000",
		"-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message"); bad != "" {
		t.Errorf("tshark complains about packets:\n%s", bad)
	}
}

// recorded is what must be found of a packet.
type recorded struct {
	comment string
	dir     Direction
}

// writeTalk records a whole connection, packet i on interface i%2 (RAW,
// Ethernet), every second pair in IPv6, with super-segments and one UDP packet
// of each family.
func writeTalk(t *testing.T, name string) (talk []recorded) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(f)
	tun, err1 := w.AddInterface("tun0", Raw, 0)
	lan, err2 := w.AddInterface("lan", Ethernet, 0)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	const ack = wire.FlagACK
	steps := []tcpPacket{
		{flags: wire.FlagSYN, seq: 1000},
		{flags: wire.FlagSYN | ack, seq: 5000, ack: 1001, reverse: true},
		{flags: ack, seq: 1001, ack: 5001},
		{flags: ack | wire.FlagPSH, seq: 1001, ack: 5001, payload: 8 * 110, cut: 110},
		{flags: ack, seq: 5001, ack: 1881, reverse: true},
		{flags: ack | wire.FlagFIN, seq: 1881, ack: 5001},
		{flags: ack | wire.FlagFIN, seq: 5001, ack: 1882, reverse: true},
		{flags: ack, seq: 1882, ack: 5002},
		{udp: true, payload: 333},
	}
	var pool pkt.Pool
	for _, step := range steps {
		for variant := range 4 {
			d := step
			d.eth, d.v6 = variant%2 == 1, variant >= 2
			d.csum, d.port = pkt.CsumPartial, uint16(40000+variant)
			dir, iface := Out, tun
			if d.reverse {
				dir, d.csum = In, pkt.CsumValid
			}
			if d.eth {
				iface = lan
			}
			comment := "step says \"äöü\" <tag>; " + d.flags.String()
			p := d.build(&pool)
			at := start().Add(time.Duration(len(talk)) * time.Millisecond)
			if err := w.WritePacket(at, iface, dir, p, comment); err != nil {
				t.Fatal(err)
			}
			p.Release()
			if d.cut > 0 {
				comment = "8 segments of 110 bytes; " + comment
			}
			talk = append(talk, recorded{comment, dir})
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return talk
}

// run returns a program's standard output; a failure or complaint of it fails
// the test.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	return string(out)
}
