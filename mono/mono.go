// Package mono is the clock's type for everything below the Host: a plain
// number of nanoseconds that the caller passes in. Nothing here reads a clock,
// so that the same code runs in real time, inside a synctest bubble, in a
// simulation and under a fuzzer.
package mono

import "time"

// Time is an instant on a monotonic clock, in nanoseconds since an arbitrary
// origin. The zero Time means "not set": a clock that hands out Times starts
// at Start, never at 0, so that a set instant is never mistaken for none.
type Time int64

// Start is the first instant of every clock: one second, so that subtracting
// small durations from it stays positive.
const Start = Time(time.Second)

// Add returns t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// IsSet reports whether t is an instant rather than "none".
func (t Time) IsSet() bool { return t != 0 }

// Due reports whether t is set and not after now.
func (t Time) Due(now Time) bool { return t != 0 && t <= now }

// Earlier returns the earlier of two instants, either of which may be unset;
// unset only if both are.
func Earlier(t, u Time) Time {
	if t == 0 || u != 0 && u < t {
		return u
	}
	return t
}

// String prints t as seconds with microseconds, "none" when not set.
func (t Time) String() string {
	if t == 0 {
		return "none"
	}
	return time.Duration(t).String()
}
