package tcp

import (
	"testing"
	"time"
)

// The numbers of both profiles are promises: docs/deviations.md has them as a
// table with the reasons.
func TestProfiles(t *testing.T) {
	linux, rfc := DefaultConfig(ProfileLinux), DefaultConfig(ProfileRFC)
	for _, c := range []struct {
		name       string
		linux, rfc any
		wantLinux  any
		wantRFC    any
	}{
		{"initial RTO", linux.InitialRTO, rfc.InitialRTO, time.Second, time.Second},
		{"minimum RTO", linux.MinRTO, rfc.MinRTO, 200 * time.Millisecond, time.Second},
		{"maximum RTO", linux.MaxRTO, rfc.MaxRTO, 120 * time.Second, 60 * time.Second},
		{"delayed ACK", linux.DelayedACK, rfc.DelayedACK, 40 * time.Millisecond, 200 * time.Millisecond},
		{"quick ACKs", linux.QuickACKs, rfc.QuickACKs, uint8(16), uint8(0)},
		{"initial window, segments", linux.InitialWindow, rfc.InitialWindow, uint32(10), uint32(0)},
		{"TIME-WAIT", linux.TimeWait, rfc.TimeWait, time.Minute, 4 * time.Minute},
		{"FIN-WAIT-2 of an orphan", linux.FinWait2, rfc.FinWait2, time.Minute, time.Duration(0)},
		{"SYN retransmissions", linux.SYNRetries, rfc.SYNRetries, uint8(6), uint8(7)},
		{"SYN-ACK retransmissions", linux.SYNACKRetries, rfc.SYNACKRetries, uint8(5), uint8(5)},
		{"R1", linux.R1, rfc.R1, uint8(3), uint8(3)},
		{"R2, retransmissions", linux.Retries, rfc.Retries, uint8(15), uint8(0)},
		{"R2, time", linux.UserTimeout, rfc.UserTimeout, time.Duration(0), 5 * time.Minute},
		{"keepalive idle", linux.KeepIdle, rfc.KeepIdle, 2 * time.Hour, 2 * time.Hour},
		{"keepalive interval", linux.KeepInterval, rfc.KeepInterval, 75 * time.Second, 75 * time.Second},
		{"keepalive probes", linux.KeepCount, rfc.KeepCount, uint8(9), uint8(9)},
		{"challenge ACK interval", linux.Challenge, rfc.Challenge, 500 * time.Millisecond, 500 * time.Millisecond},
		{"silly window override", linux.SillyOverride, rfc.SillyOverride, 200 * time.Millisecond, 200 * time.Millisecond},
		{"Nagle", linux.Nagle, rfc.Nagle, true, true},
	} {
		if c.linux != c.wantLinux {
			t.Errorf("%s, Linux profile: %v, want %v", c.name, c.linux, c.wantLinux)
		}
		if c.rfc != c.wantRFC {
			t.Errorf("%s, RFC profile: %v, want %v", c.name, c.rfc, c.wantRFC)
		}
	}
}
