package require

import (
	"fmt"
	"runtime"
	"testing"
)

// verdict stands for a test and notes how it ended.
type verdict struct {
	testing.TB
	skipped, failed string
}

func (*verdict) Helper() {}

func (v *verdict) Skipf(format string, a ...any) {
	v.skipped = fmt.Sprintf(format, a...)
	runtime.Goexit()
}

func (v *verdict) Fatalf(format string, a ...any) {
	v.failed = fmt.Sprintf(format, a...)
	runtime.Goexit()
}

func judge(f func(testing.TB)) *verdict {
	v := &verdict{}
	done := make(chan struct{})
	go func() { defer close(done); f(v) }()
	<-done
	return v
}

func TestMissingToolSkipsOrFails(t *testing.T) {
	ask := func(t testing.TB) { Tool(t, "no-such-program-anywhere") }
	const what = "missing: the program no-such-program-anywhere"

	t.Setenv(Env, "")
	if v := judge(ask); v.skipped != what || v.failed != "" {
		t.Errorf("without %s: skipped %q, failed %q", Env, v.skipped, v.failed)
	}
	t.Setenv(Env, All)
	if v := judge(ask); v.failed == "" || v.skipped != "" {
		t.Errorf("with %s=%s: skipped %q, failed %q", Env, All, v.skipped, v.failed)
	}
}

func TestPresentToolIsFound(t *testing.T) {
	v := judge(func(t testing.TB) {
		if Tool(t, "go") == "" {
			t.Fatalf("no path")
		}
	})
	if v.skipped != "" || v.failed != "" {
		t.Errorf("skipped %q, failed %q", v.skipped, v.failed)
	}
}
