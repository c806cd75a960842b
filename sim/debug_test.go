package sim

import (
	"os"
	"testing"

	"github.com/handfast/handfast/trace"
)

// With -verbose, the events of a seed's hosts are written down one by one.
func TestVerbose(t *testing.T) {
	if !*verbose {
		t.Skip("needs -verbose")
	}
	s := Generate(*from)
	if err := runSafely(s, Options{}).Err; err != nil {
		s = shrink(s)
	}
	out := trace.NewText(os.Stdout)
	r := runSafely(s, Options{Trace: func(host int) trace.Sink {
		return trace.Func(func(ev *trace.Event) {
			e := *ev
			e.Conn += uint64(host) * 1000
			out.Trace(&e)
		})
	}})
	out.Flush()
	t.Logf("%v\n%s", r.Err, &s)
}
