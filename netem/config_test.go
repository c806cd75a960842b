package netem

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseConfig(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		text string
		want Config
		back string // what String says; text itself if empty
	}{
		{"", Config{}, "clean"},
		{"clean", Config{}, ""},
		{"rate 50mbit", Config{Rate: 50e6}, ""},
		{"rate 1.5mbit/s", Config{Rate: 1.5e6}, "rate 1500kbit"},
		{"RATE=10Gbit", Config{Rate: 10e9}, "rate 10gbit"},
		{"rate 1bit", Config{Rate: 1}, ""},
		{"queue 64kb", Config{QueueBytes: 64000}, ""},
		{"queue 64kib 100p", Config{QueueBytes: 65536, QueuePackets: 100}, ""},
		{"queue 5p 1500b", Config{QueueBytes: 1500, QueuePackets: 5}, "queue 1500b 5p"},
		{"delay 10ms jitter 2ms unordered", Config{Delay: 10 * ms, Jitter: 2 * ms, Unordered: true}, ""},
		{"delay 1.5s", Config{Delay: 1500 * ms}, ""},
		{"loss 0.5%", Config{Loss: PPM(5000)}, ""},
		{"loss 100%", Config{Loss: Always}, ""},
		{"loss 0", Config{}, "clean"},
		{"burst 1% 25%", Config{Burst: Burst{Percent(1), Percent(25), Always, 0}}, ""},
		{"burst 1% 25% 50%", Config{Burst: Burst{Percent(1), Percent(25), Percent(50), 0}}, "burst 1% 25% 50% 0%"},
		{"burst 1% 25% 50% 2%", Config{Burst: Burst{Percent(1), Percent(25), Percent(50), Percent(2)}}, ""},
		{"duplicate 0.1%", Config{Duplicate: PPM(1000)}, ""},
		{"reorder 1%", Config{Reorder: Percent(1)}, ""},
		{"reorder 1% 5ms-9ms", Config{Reorder: Percent(1), MinHold: 5 * ms, MaxHold: 9 * ms}, ""},
		{"reorder 1% 5ms", Config{Reorder: Percent(1), MinHold: 5 * ms, MaxHold: 5 * ms}, "reorder 1% 5ms-5ms"},
		{"corrupt 0.0001%", Config{Corrupt: PPM(1)}, ""},
		{"ce 3% ce-above 30kb", Config{CE: Percent(3), CEAbove: 30000}, ""},
		{"mtu 1400b", Config{MTU: 1400}, ""},
		{"police 10mbit 64kb", Config{Policer: Policer{10e6, 64000}}, ""},
		{"down", Config{Down: true}, ""},
		{
			"rate 50mbit, delay 10ms, loss 0.5%, reorder 1%, queue 64kb",
			Config{Rate: 50e6, Delay: 10 * ms, Loss: PPM(5000), Reorder: Percent(1), QueueBytes: 64000},
			"rate 50mbit queue 64kb delay 10ms reorder 1% loss 0.5%",
		},
	}
	for _, tt := range tests {
		got, err := ParseConfig(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("ParseConfig(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
			continue
		}
		back := tt.back
		if back == "" {
			back = tt.text
		}
		if s := got.String(); s != back {
			t.Errorf("ParseConfig(%q).String() = %q, want %q", tt.text, s, back)
		}
	}
}

// An error names what was given and what would be right.
func TestParseConfigErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"speed 5mbit", `"speed": no such setting: allowed are clean, rate, queue`},
		{"5mbit", `"5mbit": no such setting`},
		{"rate 5", `rate: "5" is not a number with a unit (tbit, gbit, mbit, kbit, bit): write it as in "rate 50mbit"`},
		{"rate 5mbps", `"5mbps" is not a number with a unit`},
		{"rate", `"rate" has no value: write it as in "rate 50mbit"`},
		{"rate 1mbit 2mbit", `"rate" has 2 values`},
		{"rate -1mbit", `"-1mbit" is not a number`},
		{"rate 0.5bit", `"0.5bit" is not a whole number of bit`},
		{"rate 11tbit", `rate 11000000000000 bit/s: allowed is 0 to 10000000000000 bit/s`},
		{"rate 99999999999999999999bit", `too large or has too many digits`},
		{"rate 9000000000000000tbit", `is too large`},
		{"queue 9gb", `"9gb" is too large`},
		{"queue 5p 6p", `"6p" is a second bound of the same kind`},
		{"delay 10", `"10" is not a duration with a unit`},
		{"delay -10ms", `delay -10ms: allowed is 0 to 1h0m0s`},
		{"jitter 2h", `jitter 2h0m0s: allowed is 0 to 1h0m0s`},
		{"loss 5", `"5" is not a percentage such as 0.5%: write it as in "loss 0.5%"`},
		{"loss 101%", `"101%" is more than 100%`},
		{"loss 1.%", `"1.%" is not a number`},
		{"loss 0.0000000001%", `more than 9 digits after the point`},
		{"loss 1% loss 2%", `"loss" is given twice`},
		{"burst 1%", `"burst" has 1 value: write it as in "burst 1% 25% 100% 0%"`},
		{"reorder 1% 9ms-5ms", `reorder hold from 9ms to 5ms: the first must not be longer than the second`},
		{"mtu 2mib", `mtu 2097152 bytes: allowed is 0 to 1048576 bytes`},
		{"police 1mbit 0b", `lets nothing through`},
		{"down 5", `"down" has 1 value`},
		{strings.Repeat("x", maxText+1), `description of 1025 bytes: allowed are 1024`},
	}
	for _, tt := range tests {
		_, err := ParseConfig(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseConfig(%.60q) error is %v, want it to contain %q", tt.text, err, tt.want)
		}
	}
}

// Every example in an error message must itself be right.
func TestSettingExamples(t *testing.T) {
	for _, s := range settings {
		if _, err := ParseConfig(s.example); err != nil {
			t.Errorf("example of %s: %v", s.name, err)
		}
	}
}

func TestProb(t *testing.T) {
	if Percent(-1) != 0 || Percent(100) != Always || Percent(1000) != Always || PPM(2_000_000) != Always {
		t.Error("shares are not limited to 0 to Always")
	}
	if Percent(50) != Always/2 || PPM(250_000) != Always/4 {
		t.Errorf("Percent(50) = %d, PPM(250000) = %d", Percent(50), PPM(250_000))
	}
	tests := []struct {
		p    Prob
		want string
	}{
		{0, "0%"}, {Always, "100%"}, {Always + 5, "100%"}, {Percent(1), "1%"}, {PPM(5000), "0.5%"},
		{PPM(1), "0.0001%"}, {Percent(33), "33%"}, {1, "0.00000002%"},
	}
	for _, tt := range tests {
		if got := tt.p.String(); got != tt.want {
			t.Errorf("Prob(%d) prints %s, want %s", uint64(tt.p), got, tt.want)
		}
	}
	// All others come back as they were.
	for i := uint64(0); i < 20000; i++ {
		p, back := Prob(mix(i)>>32), Prob(0)
		if err := parseProb(&back, p.String()); err != nil || back != p {
			t.Fatalf("Prob(%d) prints %v, reads back as %d, %v", uint64(p), p, uint64(back), err)
		}
	}
}

func TestConfigAsJSON(t *testing.T) {
	var v struct{ Up, Down Config }
	if err := json.Unmarshal([]byte(`{"Up":"rate 1mbit","Down":"delay 5ms"}`), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if want := `{"Up":"rate 1mbit","Down":"delay 5ms"}`; err != nil || string(out) != want {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
	if err := v.Up.UnmarshalText([]byte("loss 5")); err == nil || v.Up.Rate != 1e6 {
		t.Errorf("after a bad text the config is %v, error %v", v.Up, err)
	}
}

// What Validate refuses, New uses as the nearest allowed value.
func TestOutOfBounds(t *testing.T) {
	bad := Config{
		Rate: -1, QueueBytes: 1 << 30, QueuePackets: 1 << 20, Delay: -time.Second, Jitter: 2 * time.Hour,
		Loss: 2 * Always, Reorder: 1, MinHold: -1, MTU: -3, CEAbove: -1, Policer: Policer{1 << 50, -2},
	}
	if bad.Validate() == nil {
		t.Fatal("Validate finds nothing wrong")
	}
	got := New(bad, 1).Config()
	want := Config{
		QueueBytes: 1 << 30, QueuePackets: MaxQueuePackets, Jitter: MaxDelay, Loss: 2 * Always,
		Reorder: 1, MinHold: DefaultMinHold, MaxHold: DefaultMaxHold, Policer: Policer{MaxRate, 0},
	}
	if got != want {
		t.Errorf("New uses %+v, want %+v", got, want)
	}
	if c := (Config{}).ForVirtualTime(); c.Delay != MinDelay || c.Rate != FastRate {
		t.Errorf("ForVirtualTime gives %v", c)
	}
	if c := (Config{Rate: 5, Delay: time.Second}); c.ForVirtualTime() != c {
		t.Errorf("ForVirtualTime changes %v to %v", c, c.ForVirtualTime())
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, s := range settings {
		f.Add(s.example)
	}
	f.Add("rate 50mbit delay 10ms loss 0.5% reorder 1% queue 64kb")
	f.Add("loss 0.000000001% burst 0% 0% 0% 0%, rate=1tbit/s queue .5kb")
	f.Add("reorder 1% 5ms- police 0bit 0b")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig(text)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("ParseConfig(%q) accepts what Validate refuses: %v", text, err)
		}
		back, err := ParseConfig(c.String())
		if err != nil || back != c {
			t.Fatalf("%q is %+v, prints %q, reads back as %+v, %v", text, c, c.String(), back, err)
		}
	})
}
