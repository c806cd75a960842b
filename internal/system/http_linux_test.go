package system_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/require"
)

// fileBytes is the size of what is carried.
const fileBytes = 64 << 20

// transferPatience bounds one transfer of fileBytes on a machine that does
// other work as well.
const transferPatience = 3 * time.Minute

// noise is a stream of random bytes, the same for the same seed.
func noise(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func noiseSum(seed byte, n int64) string {
	h := sha256.New()
	io.Copy(h, noise(seed, n))
	return sum(h)
}

// everyWay runs f over both families, with super-segments and without.
func everyWay(t *testing.T, f func(l *lab)) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("offload=%v", !plain), func(t *testing.T) {
			each(t, setup{noOffload: plain}, f)
		})
	}
}

// web is a server of noise at GET, that answers a PUT with its body's hash.
func web(seed byte) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /noise", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(fileBytes))
		io.Copy(w, noise(seed, fileBytes))
	})
	mux.HandleFunc("PUT /file", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, sum(h))
	})
	return &http.Server{Handler: mux}
}

// serve runs a web server until the test ends.
func (l *lab) serve(ln net.Listener, seed byte) {
	s := web(seed)
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ln) }()
	l.Cleanup(func() { s.Close(); <-done })
}

// client is an http.Client on the Host.
func (l *lab) client() *http.Client {
	tr := &http.Transport{DialContext: l.host.DialContext}
	l.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: transferPatience}
}

// curl runs curl in the namespace with the output going to w.
func (l *lab) curl(w io.Writer, args ...string) {
	l.Helper()
	var complaint bytes.Buffer
	cmd := exec.Command(require.Tool(l, "curl"), append([]string{"-sS", "--fail", "--noproxy", "*",
		"--max-time", fmt.Sprint(int(transferPatience.Seconds()))}, args...)...)
	cmd.Stdout, cmd.Stderr = w, &complaint
	if err := l.ns.Start(cmd); err != nil {
		l.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		l.Fatalf("curl %s: %v\n%s", strings.Join(args, " "), err, complaint.Bytes())
	}
}

// file writes noise to a file and returns its name.
func (l *lab) file(seed byte) string {
	l.Helper()
	name := filepath.Join(l.TempDir(), "noise")
	f, err := os.Create(name)
	if err != nil {
		l.Fatal(err)
	}
	if _, err := io.Copy(f, noise(seed, fileBytes)); err != nil {
		l.Fatal(err)
	}
	if err := f.Close(); err != nil {
		l.Fatal(err)
	}
	return name
}

func TestCurlFetchesFromUs(t *testing.T) {
	everyWay(t, func(l *lab) {
		l.serve(l.listen(80), 1)
		h := sha256.New()
		l.curl(h, "http://"+l.ourAt(80)+"/noise")
		if got, want := sum(h), noiseSum(1, fileBytes); got != want {
			l.Errorf("what curl fetched has the hash %s, what was sent %s", got, want)
		}
	})
}

func TestCurlUploadsToUs(t *testing.T) {
	everyWay(t, func(l *lab) {
		l.serve(l.listen(80), 1)
		var answer bytes.Buffer
		l.curl(&answer, "-T", l.file(2), "http://"+l.ourAt(80)+"/file")
		if got, want := answer.String(), noiseSum(2, fileBytes); got != want {
			l.Errorf("what we received has the hash %s, what curl sent %s", got, want)
		}
	})
}

func TestWeFetchFromPython(t *testing.T) {
	everyWay(t, func(l *lab) {
		dir := filepath.Dir(l.file(3))
		cmd := exec.Command(require.Tool(l, "python3"), "-u", "-m", "http.server", "--bind", l.kernel.String(), "--directory", dir, "8000")
		out, err := cmd.StdoutPipe()
		if err != nil {
			l.Fatal(err)
		}
		if err := l.ns.Start(cmd); err != nil {
			l.Fatal(err)
		}
		l.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "Serving HTTP") {
			l.Fatalf("python3 says %q, %v", line, err)
		}
		r, err := l.client().Get("http://" + l.at(8000) + "/noise")
		if err != nil {
			l.Fatal(err)
		}
		defer r.Body.Close()
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		if got, want := sum(h), noiseSum(3, fileBytes); err != nil || got != want {
			l.Errorf("fetched %d bytes (%v) with the hash %s, python3 sent %s", n, err, got, want)
		}
	})
}

func TestWeUploadToTheKernel(t *testing.T) {
	everyWay(t, func(l *lab) {
		l.serve(l.kernelListens(80), 1)
		q, err := http.NewRequest("PUT", "http://"+l.at(80)+"/file", noise(4, fileBytes))
		if err != nil {
			l.Fatal(err)
		}
		r, err := l.client().Do(q)
		if err != nil {
			l.Fatal(err)
		}
		defer r.Body.Close()
		got, err := io.ReadAll(r.Body)
		if want := noiseSum(4, fileBytes); err != nil || string(got) != want {
			l.Errorf("what the kernel received (%v) has the hash %s, what we sent %s", err, got, want)
		}
	})
}
