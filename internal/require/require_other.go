//go:build !linux

package require

import (
	"runtime"
	"testing"
)

// Root asks for the rights of root on Linux.
func Root(t testing.TB) {
	t.Helper()
	missing(t, "Linux (this is "+runtime.GOOS+")")
}

// Namespace asks for the right to make network namespaces, which Linux has.
func Namespace(t testing.TB) {
	t.Helper()
	Root(t)
}

// TUN asks for namespaces and the TUN device of Linux.
func TUN(t testing.TB) {
	t.Helper()
	Root(t)
}
