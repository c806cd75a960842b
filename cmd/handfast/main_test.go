package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/require"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden from what is printed")

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "handfast-test-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "handfast.exe")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// place is a directory to work in, with a temporary directory of its own.
type place struct {
	t        *testing.T
	dir, tmp string
}

func newPlace(t *testing.T) place {
	dir := t.TempDir()
	p := place{t, dir, filepath.Join(dir, "tmp")}
	if err := os.Mkdir(p.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

// file makes a file of n bytes and returns its name and hash.
func (p place) file(name string, n int) (path, hash string) {
	p.t.Helper()
	b := bytes.Repeat([]byte("the quick brown fox "), n/20+1)[:n]
	if err := os.WriteFile(filepath.Join(p.dir, name), b, 0o600); err != nil {
		p.t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return name, hex.EncodeToString(sum[:])
}

func (p place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+p.tmp, "TMP="+p.tmp, "TEMP="+p.tmp, "COLUMNS=80", "LC_ALL=C.UTF-8")
	return cmd
}

// run runs the program to its end.
func (p place) run(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// left returns the files in the temporary directory and beside it, without
// those given.
func (p place) left(but ...string) (files []string) {
	p.t.Helper()
	for _, pattern := range []string{"*", "tmp/*"} {
		names, err := filepath.Glob(filepath.Join(p.dir, pattern))
		if err != nil {
			p.t.Fatal(err)
		}
	next:
		for _, n := range names {
			for _, b := range append(but, "tmp") {
				if n == filepath.Join(p.dir, b) || n == b {
					continue next
				}
			}
			files = append(files, n)
		}
	}
	return files
}

// Wrong usage is 2 and points at --help; what cannot be done is 1 and says what
// was tried. Neither leaves files behind.
func TestErrors(t *testing.T) {
	p := newPlace(t)
	file, _ := p.file("some.txt", 1000)
	for _, x := range []struct {
		args string
		code int
		want string
	}{
		{"nonsense", 2, `unknown command "nonsense"`},
		{"demo --bogus", 2, "unknown flag: --bogus"},
		{"demo one two", 2, "one FILE, not 2"},
		{"demo --loss 5", 2, `write it as in "--loss 0.5%"`},
		{"demo --loss 101%", 2, "more than 100%"},
		{"demo --rate 50M", 2, `write it as in "--rate 50mbit"`},
		{"demo --delay fast", 2, `--delay "fast": not understood: write it as in "--delay 10ms"`},
		{"demo --delay 10", 2, `"10" is not a duration`},
		{"demo --delay 2h", 2, "allowed is 0 to 1h"},
		{"demo --reorder 1%,down", 2, "--reorder"},
		{"demo --mtu 100", 2, "allowed are 576 to 65535"},
		{"demo --congestion vegas", 2, `--congestion "vegas": there are reno, cubic, bbr`},
		{"demo --ipv6 --mtu 1000", 2, "allowed are 1280 to 65535"},
		{"demo --keep -o x", 2, "exclude each other"},
		{"demo -o some.txt some.txt", 2, "the file to be sent"},
		{"demo --pcap some.txt some.txt", 2, "the file to be sent"},
		{"demo --pcap x -o x", 2, "the same file"},
		{"version more", 2, "more"},
		{"demo none.txt", 1, "cannot read none.txt: no such file"},
		{"demo tmp", 1, "cannot read tmp: it is a directory"},
		{"demo -o tmp some.txt", 1, "cannot write tmp: it is a directory"},
		{"demo -o no/such some.txt", 1, "the directory must exist"},
		{"demo --pcap no/such", 1, "cannot record to no/such"},
	} {
		code, out, errs := p.run(strings.Fields(x.args)...)
		if code != x.code || !strings.Contains(errs, x.want) || out != "" {
			t.Errorf("handfast %s: exit code %d, want %d with %q\nstdout: %s\nstderr: %s", x.args, code, x.code, x.want, out, errs)
		}
		if hint := strings.Contains(errs, "--help"); hint != (x.code == 2) {
			t.Errorf("handfast %s: points at --help: %v, with exit code %d", x.args, hint, x.code)
		}
	}
	if files := p.left(file); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// Every command has help with at least two examples.
func TestHelp(t *testing.T) {
	p := newPlace(t)
	for _, args := range [][]string{{"--help"}, {"demo", "--help"}, {"version", "--help"}} {
		code, out, errs := p.run(args...)
		_, examples, ok := strings.Cut(out, "Examples:\n")
		examples, _, _ = strings.Cut(examples, "\n\n")
		if code != 0 || errs != "" || !ok || strings.Count(examples, "  handfast") < 2 {
			t.Errorf("handfast %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
		}
		for _, line := range strings.Split(out, "\n") {
			if len(line) > 110 {
				t.Errorf("handfast %s: a line of %d characters: %s", strings.Join(args, " "), len(line), line)
			}
		}
	}
}

// fast are flags for a wire on which little is waited for.
var fast = []string{"demo", "--rate", "0", "--delay", "1ms", "--loss", "0"}

// --json prints an object per line, and last the result.
func TestJSON(t *testing.T) {
	for _, flags := range [][]string{nil, {"--ipv6"}, {"--loss", "2%"}, {"--reorder", "2% 1ms-3ms"}, {"--mtu", "1280", "--seed", "9"}, {"--congestion", "bbr"}} {
		p := newPlace(t)
		file, hash := p.file("some.bin", 200_000)
		code, out, errs := p.run(append(append([]string{}, append(fast, "--json", "--pcap", "x.pcapng", file)...), flags...)...)
		if code != 0 || errs != "" {
			t.Fatalf("%v: exit code %d: %s", flags, code, errs)
		}
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		seen := map[string]bool{}
		for _, l := range lines {
			var x struct{ Event string }
			if err := json.Unmarshal([]byte(l), &x); err != nil {
				t.Fatalf("%v: %q: %v", flags, l, err)
			}
			seen[x.Event] = true
		}
		for _, event := range []string{"begin", "handshake", "progress", "close", "done"} {
			if !seen[event] {
				t.Errorf("%v: no line with the event %q", flags, event)
			}
		}
		var r struct {
			Event, File, Pcapng       string
			Bytes                     int64
			Seconds                   float64
			Segments, Retransmissions *uint64
			SHA256Sent                string `json:"sha256_sent"`
			SHA256Received            string `json:"sha256_received"`
			StateA                    string `json:"state_a"`
			StateB                    string `json:"state_b"`
		}
		last := lines[len(lines)-1]
		if err := json.Unmarshal([]byte(last), &r); err != nil {
			t.Fatal(err)
		}
		if r.Event != "done" || r.File != file || r.Bytes != 200_000 || r.Seconds <= 0 || r.Segments == nil || *r.Segments < 100 ||
			r.Retransmissions == nil || r.SHA256Sent != hash || r.SHA256Received != hash || r.StateA != "CLOSED" || r.StateB != "TIME-WAIT" {
			t.Errorf("%v: the file's hash is %s, and the last line\n%s", flags, hash, last)
		}
		if files := p.left(file, "x.pcapng"); len(files) > 0 || r.Pcapng != "x.pcapng" {
			t.Errorf("%v: recorded in %s, left behind: %v", flags, r.Pcapng, files)
		}
	}
}

// What arrives is kept where it is asked for, and only then.
func TestKeep(t *testing.T) {
	p := newPlace(t)
	file, hash := p.file("some.bin", 50_000)
	for _, x := range []struct{ flags, pattern string }{
		{"", ""}, {"-o out.bin", "out.bin"}, {"--keep", "tmp/handfast-demo-*-some.bin"},
	} {
		code, out, errs := p.run(append(append(append([]string{}, fast...), "--pcap", "x.pcapng", file), strings.Fields(x.flags)...)...)
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", x.flags, code, errs)
		}
		kept := p.left(file, "x.pcapng")
		if x.pattern == "" {
			if len(kept) > 0 || !strings.Contains(out, "The copy, until the end (--keep or -o keeps it): "+p.tmp) {
				t.Errorf("kept %v and said\n%s", kept, out)
			}
			continue
		}
		if ok, _ := filepath.Match(filepath.Join(p.dir, x.pattern), strings.Join(kept, " ")); !ok {
			t.Fatalf("%s: kept %v, want %s", x.flags, kept, x.pattern)
		}
		b, err := os.ReadFile(kept[0])
		if sum := sha256.Sum256(b); err != nil || hex.EncodeToString(sum[:]) != hash {
			t.Errorf("%s: the copy in %s is not the file (%v)", x.flags, kept[0], err)
		}
		if !strings.Contains(out, "Kept what arrived: ") {
			t.Errorf("%s: it is not said where:\n%s", x.flags, out)
		}
		os.Remove(kept[0])
	}
}

// The first interrupt ends the demo and leaves no file, finished or not.
func TestInterrupt(t *testing.T) {
	p := newPlace(t)
	cmd := p.command("demo", "--json", "--rate", "1mbit", "--keep", "--pcap", "x.pcapng")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for s := bufio.NewScanner(stdout); s.Scan(); {
		if strings.Contains(s.Text(), `"progress"`) {
			break
		}
	}
	if files := p.left(); len(files) != 2 {
		t.Errorf("while it runs there are %v, want two files that are being written", files)
	}
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Skip(err) // not on this system
	}
	stdout.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("exit code %d, want 1, and: %s", code, &errs)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if files := p.left(); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// When nobody reads the output any more, the demo ends and leaves no file.
func TestClosedOutput(t *testing.T) {
	p := newPlace(t)
	cmd := p.command("demo", "--json", "--rate", "1mbit", "--keep")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(errs.String(), "the output was closed") {
		t.Errorf("exit code %d, want 1, and: %s", code, &errs)
	}
	if files := p.left(); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// A demo that fails says so in its last line of JSON too.
func TestJSONOfFailure(t *testing.T) {
	cmd := newPlace(t).command("demo", "--json", "--loss", "100%")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	s := bufio.NewScanner(stdout)
	if !s.Scan() || !strings.Contains(s.Text(), `"event":"begin"`) || !strings.Contains(s.Text(), "loss 100%") {
		t.Fatalf("the first line is %s (%v)", s.Text(), s.Err())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Skip(err) // not on this system
	}
	s.Scan()
	var r struct{ Event, Error string }
	if err := json.Unmarshal(s.Bytes(), &r); err != nil || r.Event != "failed" || !strings.Contains(r.Error, "interrupted") {
		t.Errorf("%v: %s", err, s.Bytes())
	}
	cmd.Wait()
}

// numbers are what differs between two runs: times, rates and hashes stay out
// of the golden file.
var numbers = []struct{ pattern, with string }{
	{`(?m)^ {0,3}\d+\.\d{6}`, "  s.micros"},
	{`in \d+\.\d\d s: [0-9.]+ [kM]?bit/s`, "in S s: RATE"},
	{`(handfast-demo-)[0-9-]+`, "${1}TIME"},
	{`/\S*/tmp/`, "/tmp/"},
}

// Without a terminal, at 80 columns, this is what people see.
func TestText(t *testing.T) {
	for name, env := range map[string]string{"text": "LC_ALL=C.UTF-8", "text-ascii": "LC_ALL=C"} {
		p := newPlace(t)
		file, _ := p.file("empty.txt", 0) // with data, how many ACKs there are depends on the machine
		cmd := p.command(append(append([]string{}, fast...), file)...)
		cmd.Env = append(cmd.Env, env)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, l := range strings.Split(string(out), "\n") {
			if n := len([]rune(l)); n > 80 && !strings.Contains(l, p.dir) {
				t.Errorf("a line of %d columns: %s", n, l)
			}
		}
		got := string(out)
		for _, n := range numbers {
			got = regexp.MustCompile(n.pattern).ReplaceAllString(got, n.with)
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s (go test -update rewrites it):\n got:\n%s\nwant:\n%s", golden, got, want)
		}
		if strings.Contains(got, "\x1b") {
			t.Errorf("%s: escape sequences without a terminal: %q", name, got)
		}
	}
}

// In a terminal there are colours and a bar; with NO_COLOR no colours.
func TestTerminal(t *testing.T) {
	script := require.Tool(t, "script")
	p := newPlace(t)
	file, _ := p.file("some.bin", 100_000)
	for _, noColor := range []string{"", "1"} {
		cmd := exec.Command(script, "-qec", "stty cols 80 rows 24; "+binary+" demo --rate 2mbit --loss 0 --delay 1ms "+file, os.DevNull)
		cmd.Dir = p.dir
		cmd.Env = append(p.command().Env, "NO_COLOR="+noColor, "TERM=xterm")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		const bold = "\x1b[1m"
		if colors := bytes.Contains(out, []byte(bold)); colors != (noColor == "") {
			t.Errorf("NO_COLOR=%q: colours %v:\n%q", noColor, colors, out)
		}
		if !bytes.Contains(out, []byte("░")) || !bytes.Contains(out, []byte("  cwnd ")) {
			t.Errorf("NO_COLOR=%q: no bar in\n%q", noColor, out)
		}
	}
}

// Wireshark reads the recording without a complaint.
func TestRecording(t *testing.T) {
	tshark := require.Tool(t, "tshark")
	p := newPlace(t)
	file, _ := p.file("some.bin", 100_000)
	for _, flags := range [][]string{nil, {"--ipv6"}} {
		if code, _, errs := p.run(append(append(append([]string{}, fast...), "--pcap", "x.pcapng", file), flags...)...); code != 0 {
			t.Fatal(errs)
		}
		for filter, some := range map[string]bool{
			"tcp.flags.syn == 1": true, "tcp.flags.fin == 1": true, `frame.comment contains "handshake"`: true,
			// That a duplicate arrived is worth a warning to tshark.
			"_ws.malformed || tcp.checksum.status != 1 || _ws.expert.severity >= 0x00600000 && !tcp.options.sack.dsack": false,
		} {
			cmd := p.command()
			cmd.Path, cmd.Args = tshark, []string{tshark, "-r", "x.pcapng", "-o", "tcp.check_checksum:TRUE", "-Y", filter,
				"-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message"}
			out, err := cmd.Output()
			if err != nil || (len(out) > 0) != some {
				t.Errorf("%v: %s finds, with %v:\n%s", flags, filter, err, out)
			}
		}
	}
}

// The version is printed for people and for machines.
func TestVersion(t *testing.T) {
	p := newPlace(t)
	if code, out, _ := p.run("version"); code != 0 || !strings.HasPrefix(out, "handfast ") || strings.Count(out, "\n") != 1 {
		t.Errorf("exit code %d: %q", code, out)
	}
	code, out, _ := p.run("version", "--json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); code != 0 || err != nil || b.Version == "" || b.Go == "" || b.System == "" {
		t.Errorf("exit code %d, %v: %q", code, err, out)
	}
}
