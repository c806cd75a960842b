package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/handfast/handfast/tcp"
)

// lossEffects are those of settings about timeouts and loss.
func lossEffects() []effect {
	return []effect{
		{"net.ipv4.tcp_rto_min_us", func(t *testing.T) {
			for _, us := range []int{20_000, 200_000} {
				h := rig(t, fmt.Sprintf("tcp_rto_min_us=%d", us), "tcp_early_retrans=0")
				_, c := dialPeer(t, h, at(us4, 0), at(them4, 80)) // which answers at once
				h.Write(c, []byte("x"))
				if d, least := firstAfter(h, time.Second), time.Duration(us)*time.Microsecond; d < least || d > least+time.Millisecond {
					t.Errorf("with a least RTO of %v the first comes after %v", least, d)
				}
			}
		}},
		{"net.ipv4.tcp_rto_max_ms", func(t *testing.T) {
			h := rig(t, "tcp_rto_max_ms=1500")
			if _, err := h.Dial(DialConfig{Remote: at(them4, 80)}); err != nil {
				t.Fatal(err)
			}
			for i, want := range []time.Duration{time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond} {
				if d := firstAfter(h, time.Minute); d != want {
					t.Errorf("SYN %d after %v, want %v", i+2, d, want)
				}
			}
		}},
		{"net.ipv4.tcp_syn_retries", func(t *testing.T) {
			h := rig(t, "tcp_syn_retries=2")
			c, err := h.Dial(DialConfig{Remote: at(them4, 80)})
			if err != nil {
				t.Fatal(err)
			}
			h.Advance(time.Minute)
			if n := len(h.Sent()); n != 3 || c.Err() != tcp.ReasonTimeout {
				t.Errorf("%d SYNs, then %v", n, c.Err())
			}
		}},
		{"net.ipv4.tcp_synack_retries", func(t *testing.T) {
			h := rig(t, "tcp_synack_retries=2")
			listen(t, h, "10.0.0.1:80")
			offer(h, 1001)
			h.Advance(time.Minute)
			if n := len(h.Sent()); n != 3 || h.Stats().HalfOpen != 0 {
				t.Errorf("%d SYN-ACKs, and %d records are left", n, h.Stats().HalfOpen)
			}
		}},
		{"net.ipv4.tcp_retries1", func(t *testing.T) {
			for value, told := range map[string]bool{"1": true, "3": false} {
				h := rig(t, "tcp_retries1="+value, "tcp_early_retrans=0")
				_, c := connectTo(t, h, sackOptions())
				h.Write(c, []byte("x"))
				firstAfter(h, time.Second)
				if got := c.SoftErr() == tcp.ReasonRetransmitting; got != told {
					t.Errorf("value %s: after one timeout the program is told: %v", value, got)
				}
			}
		}},
		{"net.ipv4.tcp_retries2", func(t *testing.T) {
			h := rig(t, "tcp_retries2=2", "tcp_early_retrans=0")
			_, c := connectTo(t, h, sackOptions())
			h.Write(c, []byte("x"))
			h.Advance(time.Minute)
			if n := h.Info(c).Retransmits; n != 2 || c.Err() != tcp.ReasonTimeout {
				t.Errorf("%d retransmissions, then %v", n, c.Err())
			}
		}},
		{"net.ipv4.tcp_orphan_retries", func(t *testing.T) {
			for value, want := range map[string]uint32{"0": 15, "3": 3} {
				h := rig(t, "tcp_orphan_retries="+value, "tcp_early_retrans=0")
				_, c := connectTo(t, h, sackOptions())
				h.Write(c, []byte("x"))
				h.Close(c)
				h.Advance(time.Hour)
				if n := h.Info(c).Retransmits; c.State() != tcp.Closed || n != want {
					t.Errorf("value %s: %v after %d retransmissions", value, c.State(), n)
				}
			}
		}},
		{"net.ipv4.tcp_early_retrans", func(t *testing.T) {
			for value, probes := range map[string]bool{"0": false, "2": false, "3": true, "4": true} {
				h := rig(t, "tcp_early_retrans="+value, "tcp_rto_min_us=1000000")
				_, c := connectTo(t, h, sackOptions())
				h.Write(c, make([]byte, 3000))
				d := firstAfter(h, 5*time.Second)
				if probe := d < 300*time.Millisecond; probe != probes {
					t.Errorf("value %s: something is sent again after %v", value, d)
				}
			}
		}},
		{"net.ipv4.tcp_frto", func(t *testing.T) {
			for value, newFirst := range map[string]bool{"0": false, "2": true} {
				h := rig(t, "tcp_frto="+value, "tcp_early_retrans=0", "tcp_congestion_control=reno")
				p, c := connectTo(t, h, sackOptions())
				h.Write(c, make([]byte, 20_000)) // of which ten segments leave
				h.Advance(50 * time.Millisecond)
				p.octets()
				firstAfter(h, 5*time.Second) // the timeout
				h.Advance(100 * time.Millisecond)
				p.octets()
				p.acknowledge(1000)
				sent := p.octets()
				if len(sent) == 0 || sent[0][0] >= 10_000 != newFirst {
					t.Errorf("value %s: after the ACK that follows a timeout: %v", value, sent)
				}
			}
		}},
		{"net.ipv4.tcp_recovery", recoveryStory},
	}
}

// recoveryStory: 1 switches RACK on, 2 keeps its reordering window as it is, 4
// lets it wait although much is SACKed.
func recoveryStory(t *testing.T) {
	begin := func(value int) (*Harness, *peer, *Conn) {
		h := rig(t, fmt.Sprintf("tcp_recovery=%d", value), "tcp_early_retrans=0")
		p, c := connectTo(t, h, sackOptions())
		h.Write(c, make([]byte, 8000))
		h.Advance(100 * time.Millisecond)
		p.octets()
		return h, p, c
	}
	for value, soon := range map[int]bool{0: false, 1: true} {
		h, p, _ := begin(value)
		p.acknowledge(0, [2]uint32{1000, 2000}) // one is SACKed: too little for RFC 6675
		d := firstAfter(h, time.Second)
		if got := d < 100*time.Millisecond; got != soon {
			t.Errorf("tcp_recovery %d: sent again after %v", value, d)
		}
	}
	for value, grows := range map[int]bool{1: true, 3: false} {
		h, p, c := begin(value)
		p.acknowledge(1000)
		before := h.Info(c).ReorderWindow
		p.acknowledge(2000, [2]uint32{0, 1000}) // a D-SACK
		if after := h.Info(c).ReorderWindow; after > before != grows || before == 0 {
			t.Errorf("tcp_recovery %d: after a D-SACK the window of %v is %v", value, before, after)
		}
	}
	for value, waits := range map[int]bool{1: false, 5: true} {
		h, p, _ := begin(value)
		p.acknowledge(0, [2]uint32{1000, 6000})
		got := len(p.octets()) == 0
		if got != waits {
			t.Errorf("tcp_recovery %d: waits though five segments are SACKed: %v", value, got)
		}
		if d := firstAfter(h, time.Second); waits && d > 100*time.Millisecond {
			t.Errorf("tcp_recovery %d: sent again after %v", value, d)
		}
	}
}
