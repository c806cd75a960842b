package netem

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// String returns the text form that ParseConfig reads: only what differs from
// the zero Config, "clean" if nothing does.
func (c Config) String() string {
	var b strings.Builder
	word := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, format, args...)
	}
	if c.Rate != 0 {
		word("rate %s", formatRate(c.Rate))
	}
	if c.QueueBytes != 0 || c.QueuePackets != 0 {
		word("queue")
		if c.QueueBytes != 0 {
			word("%s", formatSize(c.QueueBytes))
		}
		if c.QueuePackets != 0 {
			word("%dp", c.QueuePackets)
		}
	}
	durations := [...]struct {
		name string
		d    time.Duration
	}{{"delay", c.Delay}, {"jitter", c.Jitter}}
	for _, d := range durations {
		if d.d != 0 {
			word("%s %v", d.name, d.d)
		}
	}
	if c.Unordered {
		word("unordered")
	}
	if c.Burst != (Burst{}) {
		word("burst %v %v", c.Burst.Enter, c.Burst.Leave)
		if c.Burst.Bad != Always || c.Burst.Good != 0 {
			word("%v %v", c.Burst.Bad, c.Burst.Good)
		}
	}
	if c.Reorder != 0 || c.MaxHold != 0 || c.MinHold != 0 {
		word("reorder %v", c.Reorder)
		if c.MaxHold != 0 || c.MinHold != 0 {
			word("%v-%v", c.MinHold, c.MaxHold)
		}
	}
	probs := [...]struct {
		name string
		p    Prob
	}{{"loss", c.Loss}, {"duplicate", c.Duplicate}, {"corrupt", c.Corrupt}, {"ce", c.CE}}
	for _, p := range probs {
		if p.p != 0 {
			word("%s %v", p.name, p.p)
		}
	}
	if c.CEAbove != 0 {
		word("ce-above %s", formatSize(c.CEAbove))
	}
	if c.MTU != 0 {
		word("mtu %s", formatSize(c.MTU))
	}
	if c.Policer != (Policer{}) {
		word("police %s %s", formatRate(c.Policer.Rate), formatSize(c.Policer.Burst))
	}
	if c.Down {
		word("down")
	}
	if b.Len() == 0 {
		return "clean"
	}
	return b.String()
}

// MarshalText returns the text form, for JSON and flags.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseConfig; c is unchanged if there is an error.
func (c *Config) UnmarshalText(text []byte) error {
	v, err := ParseConfig(string(text))
	if err == nil {
		*c = v
	}
	return err
}

// String returns p as a percentage, with as few digits as ParseConfig needs to
// read the same Prob back.
func (p Prob) String() string {
	if p >= Always {
		return "100%"
	}
	for decimals := 0; ; decimals++ {
		unit := pow10(decimals)
		hi, lo := bits.Mul64(uint64(p), 100*unit)
		lo, carry := bits.Add64(lo, 1<<31, 0) // round to nearest
		v := (hi+carry)<<32 | lo>>32
		s := strconv.FormatUint(v/unit, 10)
		if decimals > 0 {
			s += fmt.Sprintf(".%0*d", decimals, v%unit)
		}
		s += "%"
		var back Prob
		if decimals == maxDecimals || parseProb(&back, s) == nil && back == p {
			return s
		}
	}
}

func formatRate(rate int64) string { return formatUnits(rate, rateUnits) }

func formatSize(size int) string { return formatUnits(int64(size), sizeUnits) }

// formatUnits writes v in the largest unit that leaves no fraction.
func formatUnits(v int64, units []unit) string {
	for _, u := range units {
		if v != 0 && v%int64(u.n) == 0 {
			return strconv.FormatInt(v/int64(u.n), 10) + u.name
		}
	}
	return strconv.FormatInt(v, 10) + units[len(units)-1].name
}
