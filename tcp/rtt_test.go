package tcp

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
)

const msec = time.Millisecond

// RTO is SRTT plus four times RTTVAR, or the clock's granularity, between its
// bounds. RFC 6298 §2.2 to §2.5, §4.
func TestRTOFrom(t *testing.T) {
	for _, c := range []struct {
		profile           Profile
		srtt, rttvar, rto time.Duration
	}{
		{ProfileRFC, 100 * msec, 50 * msec, time.Second}, // the minimum
		{ProfileRFC, 500 * msec, 250 * msec, 1500 * msec},
		{ProfileRFC, 2 * time.Second, 0, 2*time.Second + msec}, // G
		{ProfileRFC, 2 * time.Second, msec / 8, 2*time.Second + msec},
		{ProfileRFC, 2 * time.Second, msec, 2*time.Second + 4*msec},
		{ProfileRFC, 50 * time.Second, 25 * time.Second, 60 * time.Second}, // the maximum
		{ProfileRFC, time.Microsecond, time.Microsecond / 2, time.Second},
		{ProfileLinux, time.Microsecond, 0, 200*msec + time.Microsecond}, // the minimum is of the variance term
		{ProfileLinux, 100 * msec, 10 * msec, 300 * msec},
		{ProfileLinux, 100 * msec, 50 * msec, 300 * msec},
		{ProfileLinux, 100 * msec, 100 * msec, 500 * msec},
		{ProfileLinux, 100 * time.Second, 50 * time.Second, 120 * time.Second},
	} {
		tcb := TCB{cfg: DefaultConfig(c.profile)}
		if got := tcb.rtoFrom(c.srtt, c.rttvar); got != c.rto {
			t.Errorf("profile %d, SRTT %v, RTTVAR %v: RTO %v, want %v", c.profile, c.srtt, c.rttvar, got, c.rto)
		}
	}
}

// RTO doubles up to its maximum, and no number of doublings is too many. RFC
// 6298 §5.5.
func TestBackedOff(t *testing.T) {
	for _, c := range []struct {
		rto     time.Duration
		backoff uint8
		want    time.Duration
	}{
		{time.Second, 0, time.Second}, {time.Second, 1, 2 * time.Second}, {time.Second, 2, 4 * time.Second},
		{time.Second, 5, 32 * time.Second}, {time.Second, 6, 60 * time.Second}, {time.Second, 7, 60 * time.Second},
		{time.Second, 255, 60 * time.Second}, {60 * time.Second, 0, 60 * time.Second}, {60 * time.Second, 30, 60 * time.Second},
		{1500 * msec, 3, 12 * time.Second},
	} {
		tcb := TCB{cfg: DefaultConfig(ProfileRFC), RTO: c.rto, backoff: c.backoff}
		if got := tcb.backedOff(); got != c.want {
			t.Errorf("%v after %d doublings is %v, want %v", c.rto, c.backoff, got, c.want)
		}
	}
}

// The estimator: the first sample sets both, later ones move RTTVAR with the
// old SRTT and then SRTT; a sample is at least a microsecond. RFC 6298 §2.
func TestSampleRTT(t *testing.T) {
	for _, c := range []struct {
		samples      []time.Duration
		srtt, rttvar time.Duration
	}{
		{[]time.Duration{800 * msec}, 800 * msec, 400 * msec},
		{[]time.Duration{800 * msec, 800 * msec}, 800 * msec, 300 * msec},
		{[]time.Duration{800 * msec, 1600 * msec}, 900 * msec, 500 * msec},
		{[]time.Duration{800 * msec, 0}, 800*msec - (800*msec-time.Microsecond)/8, 400*msec + (800*msec-time.Microsecond-400*msec)/4},
		{[]time.Duration{0}, time.Microsecond, time.Microsecond / 2},
	} {
		tcb := TCB{cfg: DefaultConfig(ProfileRFC)}
		for _, r := range c.samples {
			tcb.sampleRTT(mono.Start, r)
		}
		if tcb.SRTT != c.srtt || tcb.RTTVAR != c.rttvar {
			t.Errorf("%v: SRTT %v, RTTVAR %v; want %v, %v", c.samples, tcb.SRTT, tcb.RTTVAR, c.srtt, c.rttvar)
		}
	}
}

// Whatever is sampled, RTO stays between its bounds and above the round trip.
func TestRTOBounds(t *testing.T) {
	for _, profile := range []Profile{ProfileRFC, ProfileLinux} {
		tcb := TCB{cfg: DefaultConfig(profile)}
		r := time.Duration(1)
		for i := range 10_000 {
			r = (r*6364136223846793005 + 1442695040888963407) & (1<<37 - 1) // up to two minutes
			tcb.sampleRTT(mono.Start, r>>(i%30))
			if tcb.RTO < tcb.cfg.MinRTO || tcb.RTO > tcb.cfg.MaxRTO || tcb.SRTT <= 0 || tcb.RTTVAR < 0 ||
				tcb.RTO < min(tcb.SRTT, tcb.cfg.MaxRTO) {
				t.Fatalf("profile %d, sample %d of %v: SRTT %v, RTTVAR %v, RTO %v", profile, i, r, tcb.SRTT, tcb.RTTVAR, tcb.RTO)
			}
		}
	}
}
