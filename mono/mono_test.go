package mono

import (
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	if Time(0).IsSet() || !Start.IsSet() || Start != Time(time.Second) {
		t.Error("the origin of clocks")
	}
	u := Start.Add(1500 * time.Millisecond)
	if d := u.Sub(Start); d != 1500*time.Millisecond {
		t.Errorf("difference %v", d)
	}
	if s := u.String() + " " + Time(0).String(); s != "2.5s none" {
		t.Errorf("%q", s)
	}
	for _, c := range []struct {
		t, now Time
		due    bool
	}{{0, 5, false}, {5, 4, false}, {5, 5, true}, {5, 6, true}} {
		if c.t.Due(c.now) != c.due {
			t.Errorf("%d is due at %d: %v", c.t, c.now, !c.due)
		}
	}
	for _, c := range []struct{ a, b, want Time }{{0, 0, 0}, {0, 3, 3}, {3, 0, 3}, {2, 3, 2}, {3, 2, 2}} {
		if got := Earlier(c.a, c.b); got != c.want {
			t.Errorf("Earlier(%d, %d) = %d", c.a, c.b, got)
		}
	}
}
