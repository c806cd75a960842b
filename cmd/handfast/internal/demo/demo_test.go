package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/link/pcap"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace/ladder"
)

// viewer keeps what a Watcher is told.
type viewer struct {
	connected, repaired, closed []ladder.Step
	progress                    []Progress
}

func (v *viewer) Connected(s []ladder.Step) { v.connected = s }
func (v *viewer) Repaired(s []ladder.Step)  { v.repaired = s }
func (v *viewer) Closed(s []ladder.Step)    { v.closed = s }
func (v *viewer) Progress(p Progress)       { v.progress = append(v.progress, p) }

// path returns the states that a side goes through in some steps.
func path(steps []ladder.Step, side ladder.Side) string {
	var names []string
	for _, s := range steps {
		name := tcp.State(s.States[side]).String()
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func wireOf(t *testing.T, text string) netem.Config {
	t.Helper()
	c, err := netem.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return WithQueue(c)
}

// Whatever the wire does, the bytes arrive, both ends are told of by their
// ladders, and the capture can be read.
func TestRun(t *testing.T) {
	for _, x := range []struct {
		name string
		size int64
		wire string
		mtu  int
		ipv6 bool
	}{
		{"plain", 300_000, "clean", 0, false},
		{"plain IPv6", 300_000, "clean", 0, true},
		{"empty", 0, "delay 1ms", 0, false},
		{"one byte", 1, "delay 1ms", 0, true},
		{"loss", 300_000, "rate 200mbit delay 1ms loss 3%", 0, false},
		{"reorder", 300_000, "rate 200mbit delay 1ms reorder 5% 1ms-3ms", 0, true},
		{"everything", 200_000, "rate 100mbit delay 1ms loss 2% reorder 2% duplicate 1% corrupt 0.5%", 0, false},
		{"small packets", 100_000, "rate 200mbit delay 1ms", 576, false},
		{"least MTU of IPv6", 100_000, "rate 200mbit delay 1ms", 1280, true},
		{"large packets", 500_000, "delay 1ms", 65535, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var got, capture bytes.Buffer
			var v viewer
			o := Options{Source: Random(x.size, 7), Wire: wireOf(t, x.wire), MTU: x.mtu, IPv6: x.ipv6, Seed: 3, Received: &got, Capture: &capture}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r, err := Run(ctx, o, &v)
			if err != nil {
				t.Fatal(err)
			}
			want := sum(t, o.Source)
			if r.SHA256Sent != want || r.SHA256Received != want || int64(got.Len()) != x.size || r.Bytes != x.size {
				t.Errorf("%d bytes arrived, hashes %s and %s; want %d bytes, %s", got.Len(), r.SHA256Sent, r.SHA256Received, x.size, want)
			}
			if r.StateA != "CLOSED" || r.StateB != "TIME-WAIT" {
				t.Errorf("A is %s and B is %s, want CLOSED and TIME-WAIT", r.StateA, r.StateB)
			}
			v.check(t, x.size)
			if n := packets(t, &capture); n < 7 {
				t.Errorf("%d packets were recorded, want at least the 7 of handshake and close", n)
			}
		})
	}
}

// check looks at what every run has in common.
func (v *viewer) check(t *testing.T, size int64) {
	t.Helper()
	if p := path(v.connected, ladder.Left); p != "CLOSED SYN-SENT ESTABLISHED" {
		t.Errorf("the handshake shows A in %s", p)
	}
	if p := path(v.connected, ladder.Right); p != "LISTEN SYN-RECEIVED ESTABLISHED" {
		t.Errorf("the handshake shows B in %s", p)
	}
	if p := path(v.closed, ladder.Left); p != "ESTABLISHED CLOSE-WAIT LAST-ACK CLOSED" {
		t.Errorf("the close shows A in %s", p)
	}
	if p := path(v.closed, ladder.Right); !strings.HasPrefix(p, "ESTABLISHED FIN-WAIT-1 ") || !strings.HasSuffix(p, " TIME-WAIT") {
		t.Errorf("the close shows B in %s", p)
	}
	if last := v.closed[len(v.closed)-1]; int64(last.Seq) < size {
		t.Errorf("the last segment of the close has SEQ %d: not counted from B's SYN", last.Seq)
	}
	if n := len(v.progress); n == 0 || !v.progress[n-1].Done || v.progress[n-1].Bytes != size {
		t.Errorf("progress does not end with all %d bytes: %+v", size, v.progress)
	}
	for i := 1; i < len(v.progress); i++ {
		if v.progress[i].Bytes < v.progress[i-1].Bytes {
			t.Errorf("progress goes back from %d to %d bytes", v.progress[i-1].Bytes, v.progress[i].Bytes)
		}
	}
}

func sum(t *testing.T, src Source) string {
	t.Helper()
	f, err := src.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// packets counts those of a capture, which must be whole.
func packets(t *testing.T, r io.Reader) (n int) {
	t.Helper()
	f, err := pcap.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := f.NextPacket()
		if err == io.EOF {
			return n
		}
		if err != nil {
			t.Fatalf("packet %d of the capture: %v", n+1, err)
		}
		n++
	}
}

// The first loss is shown from the segment that is lost to the ACK of what
// replaces it.
func TestRunShowsARepair(t *testing.T) {
	var v viewer
	r, err := Run(t.Context(), Options{Source: Random(400_000, 1), Wire: wireOf(t, "rate 200mbit delay 1ms loss 4%"), Seed: 2}, &v)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.repaired) < 3 {
		t.Fatalf("of %d lost packets and %d retransmissions, %d steps are shown", r.Lost, r.Retransmissions, len(v.repaired))
	}
	first, last := v.repaired[0], v.repaired[len(v.repaired)-1]
	if !first.Lost || first.From != ladder.Right || first.Len == 0 {
		t.Errorf("it begins with %+v, want a lost piece of the file", first)
	}
	if last.From != ladder.Left || last.Ack <= first.Seq || last.Ack-first.Seq > 1<<30 {
		t.Errorf("it ends with %+v, want the ACK of %d", last, first.Seq)
	}
}

// The same file can be sent from the disk.
func TestRunFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "猫 photo.jpg")
	if err := os.WriteFile(name, bytes.Repeat([]byte("handfast"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := File(name)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	r, err := Run(t.Context(), Options{Source: src, Received: &got}, new(viewer))
	if err != nil {
		t.Fatal(err)
	}
	if r.File != name || r.SHA256Received != sum(t, src) || got.Len() != 40000 {
		t.Errorf("%+v, and %d bytes", r, got.Len())
	}
}

// What cannot be served is refused with a reason.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := File(dir); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := File(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := File(os.DevNull); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a device: %v", err)
	}
}

// failing is a file that cannot be read to its end.
type failing struct{ left int }

var errDisk = errors.New("the disk is broken")

func (f *failing) Read(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

func (f *failing) Close() error { return nil }

// full is a place that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errDisk }

// Whatever goes wrong is told as what it was, in time, and nobody is left
// behind.
func TestRunFails(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	soon, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	good := Random(3_000_000, 1)
	broken := good
	broken.Open = func() (io.ReadCloser, error) { return &failing{left: 500_000}, nil }
	missing := good
	missing.Open = func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }
	slow := wireOf(t, "rate 10mbit delay 1ms")
	before := runtime.NumGoroutine()
	for _, x := range []struct {
		name string
		ctx  context.Context
		o    Options
		want error
	}{
		{"canceled before", canceled, Options{Source: good}, context.Canceled},
		{"ended in the midst", soon, Options{Source: good, Wire: slow}, context.DeadlineExceeded},
		{"never connected", soon, Options{Source: good, Wire: wireOf(t, "down")}, context.DeadlineExceeded},
		{"file breaks off", t.Context(), Options{Source: broken}, errDisk},
		{"file went away", t.Context(), Options{Source: missing}, fs.ErrNotExist},
		{"no room for the copy", t.Context(), Options{Source: good, Received: full{}}, errDisk},
		{"no room for the capture", t.Context(), Options{Source: good, Capture: full{}}, errDisk},
	} {
		if r, err := Run(x.ctx, x.o, new(viewer)); !errors.Is(err, x.want) {
			t.Errorf("%s: %+v, %v; want %v", x.name, r, err, x.want)
		}
	}
	for range 1000 { // those that have ended may need a moment to be gone
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// The wire's queue is bounded where it has a transmitter, and only there.
func TestWithQueue(t *testing.T) {
	for text, want := range map[string]string{
		"rate 50mbit":          "rate 50mbit queue 312500b",
		"rate 1mbit":           "rate 1mbit queue 64kib",
		"rate 1mbit queue 10p": "rate 1mbit queue 10p",
		"delay 1ms":            "delay 1ms",
		"rate 10tbit":          "rate 10tbit queue 1gib",
	} {
		if got := wireOf(t, text).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Progress counts the last second.
func TestRateMeter(t *testing.T) {
	var m rateMeter
	at := time.Unix(0, 0)
	if m.bitsPerSecond() != 0 {
		t.Error("a rate of nothing")
	}
	for i := range int64(30) {
		m.add(at, i*1000)
		at = at.Add(100 * time.Millisecond)
	}
	if got := m.bitsPerSecond(); got != 80_000 {
		t.Errorf("1000 bytes in 100 ms are %d bit/s, want 80000", got)
	}
}
