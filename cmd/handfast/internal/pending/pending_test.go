package pending

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// names returns what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range all {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

// Until Commit the final name is as it was; after it nothing else is left.
func TestCommit(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(name); string(b) != "old" {
		t.Errorf("before Commit the file holds %q", b)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	p.Discard() // must do nothing now
	if b, _ := os.ReadFile(name); string(b) != "new" {
		t.Errorf("after Commit the file holds %q", b)
	}
	if n := names(t, dir); n != "out" {
		t.Errorf("the directory holds %s", n)
	}
	if err := p.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a second Commit: %v", err)
	}
}

// Discard leaves nothing.
func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	p, err := Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	q, err := Create(filepath.Join(dir, "out")) // two at once have names of their own
	if err != nil {
		t.Fatal(err)
	}
	p.Write([]byte("half"))
	p.Discard()
	p.Discard()
	q.Discard()
	(*File)(nil).Discard()
	if n := names(t, dir); n != "" {
		t.Errorf("the directory holds %s", n)
	}
}

// What is no regular file is never replaced, and errors name the file asked
// for.
func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, os.DevNull, filepath.Join(dir, "no", "such")} {
		p, err := Create(name)
		if err == nil {
			p.Discard()
			t.Errorf("%s was accepted", name)
			continue
		}
		var pe *fs.PathError
		if !errors.As(err, &pe) || pe.Path != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := names(t, dir); n != "" {
		t.Errorf("the directory holds %s", n)
	}
}

// A Commit that fails leaves nothing half-written.
func TestCommitFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out")
	p, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(name, "full"), 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	if err := p.Commit(); err == nil {
		t.Error("a directory was replaced")
	}
	if n := names(t, dir); n != "out" {
		t.Errorf("the directory holds %s", n)
	}
}
