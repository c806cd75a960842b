// Package require lets a test say what it needs of the machine. Where that is
// missing the test is skipped with a line that names it, or fails if the
// environment says HANDFAST_REQUIRE=all: a machine that is meant to run
// everything must not pass by skipping.
package require

import (
	"os"
	"os/exec"
	"testing"
)

// Env is the environment variable that turns skips into failures when its
// value is All.
const (
	Env = "HANDFAST_REQUIRE"
	All = "all"
)

// missing ends the test: it lacks what.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(Env) == All {
		t.Fatalf("missing: %s (and %s=%s forbids skipping)", what, Env, All)
	}
	t.Skipf("missing: %s", what)
}

// Tool returns the path of a program that the test runs.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "the program "+name)
	}
	return path
}
