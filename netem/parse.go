package netem

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// ParseConfig reads the text form of a Config: words and values separated by
// spaces, commas or equals signs, in any order, each word once. The empty text
// and "clean" are the zero Config.
//
//	rate 50mbit         transmitter: bit, kbit, mbit, gbit, tbit (per second)
//	queue 64kb 100p     bytes (b, kb, mb, gb; kib, mib, gib) and/or packets (p)
//	delay 10ms          ns, us, ms, s, m
//	jitter 2ms          added to delay, order kept; with "unordered": not kept
//	loss 0.5%           one by one
//	burst 1% 25%        enter and leave the bad state; then the loss in the bad
//	                    state (100%) and in the good state (0%), if given
//	duplicate 0.1%
//	reorder 1% 5ms-9ms  share held back, and by how much (1ms-10ms if not given)
//	corrupt 0.01%
//	ce 1%               share marked
//	ce-above 30kb       all marked while more than that waits
//	mtu 1400b
//	police 10mbit 64kb  rate and burst
//	down
//
// k, m and g are thousands, ki, mi and gi are 1024s. The error names the part
// that was not understood, or is out of bounds, and what is allowed there.
func ParseConfig(text string) (Config, error) {
	if len(text) > maxText {
		return Config{}, fmt.Errorf("netem: description of %d bytes: allowed are %d", len(text), maxText)
	}
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == ',' || r == '='
	})
	var c Config
	var seen [len(settings)]bool
	for i := 0; i < len(words); {
		k := findSetting(words[i])
		if k < 0 {
			return Config{}, fmt.Errorf("netem: %q: no such setting: allowed are %s", words[i], settingNames())
		}
		if seen[k] {
			return Config{}, fmt.Errorf("netem: %q is given twice", words[i])
		}
		seen[k] = true
		end := i + 1
		for end < len(words) && !isWord(words[end]) {
			end++
		}
		s, values := &settings[k], words[i+1:end]
		if len(values) < s.least || len(values) > s.most {
			return Config{}, fmt.Errorf("netem: %q has %s: write it as in %q",
				s.name, plural(len(values), "value"), s.example)
		}
		if err := s.set(&c, values); err != nil {
			return Config{}, fmt.Errorf("netem: %s: %w: write it as in %q", s.name, err, s.example)
		}
		i = end
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// isWord tells settings from values: values begin with a digit, a sign or a
// point.
func isWord(s string) bool { return s[0] >= 'a' && s[0] <= 'z' }

// setting is one word of the text form.
type setting struct {
	name, example string
	least, most   int // number of values
	set           func(c *Config, values []string) error
}

var settings = [...]setting{
	{"clean", "clean", 0, 0, func(*Config, []string) error { return nil }},
	{"rate", "rate 50mbit", 1, 1, func(c *Config, v []string) error { return parseRate(&c.Rate, v[0]) }},
	{"queue", "queue 64kb 100p", 1, 2, setQueue},
	{"delay", "delay 10ms", 1, 1, func(c *Config, v []string) error { return parseDuration(&c.Delay, v[0]) }},
	{"jitter", "jitter 2ms", 1, 1, func(c *Config, v []string) error { return parseDuration(&c.Jitter, v[0]) }},
	{"unordered", "unordered", 0, 0, func(c *Config, _ []string) error { c.Unordered = true; return nil }},
	{"loss", "loss 0.5%", 1, 1, func(c *Config, v []string) error { return parseProb(&c.Loss, v[0]) }},
	{"burst", "burst 1% 25% 100% 0%", 2, 4, setBurst},
	{"duplicate", "duplicate 0.1%", 1, 1, func(c *Config, v []string) error { return parseProb(&c.Duplicate, v[0]) }},
	{"reorder", "reorder 1% 5ms-9ms", 1, 2, setReorder},
	{"corrupt", "corrupt 0.01%", 1, 1, func(c *Config, v []string) error { return parseProb(&c.Corrupt, v[0]) }},
	{"ce", "ce 1%", 1, 1, func(c *Config, v []string) error { return parseProb(&c.CE, v[0]) }},
	{"ce-above", "ce-above 30kb", 1, 1, func(c *Config, v []string) error { return parseSize(&c.CEAbove, v[0]) }},
	{"mtu", "mtu 1400b", 1, 1, func(c *Config, v []string) error { return parseSize(&c.MTU, v[0]) }},
	{"police", "police 10mbit 64kb", 2, 2, setPolice},
	{"down", "down", 0, 0, func(c *Config, _ []string) error { c.Down = true; return nil }},
}

func findSetting(word string) int {
	for i := range settings {
		if settings[i].name == word {
			return i
		}
	}
	return -1
}

func settingNames() string {
	var b strings.Builder
	for i := range settings {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(settings[i].name)
	}
	return b.String()
}

func setQueue(c *Config, values []string) error {
	var bytes, packets bool
	for _, v := range values {
		twice := &bytes
		var err error
		if n, ok := strings.CutSuffix(v, "p"); ok {
			twice = &packets
			err = parseInt(&c.QueuePackets, n, v, packetUnits)
		} else {
			err = parseSize(&c.QueueBytes, v)
		}
		if err != nil {
			return err
		}
		if *twice {
			return fmt.Errorf("%q is a second bound of the same kind", v)
		}
		*twice = true
	}
	return nil
}

func setBurst(c *Config, values []string) error {
	c.Burst.Bad = Always
	fields := [...]*Prob{&c.Burst.Enter, &c.Burst.Leave, &c.Burst.Bad, &c.Burst.Good}
	for i, v := range values {
		if err := parseProb(fields[i], v); err != nil {
			return err
		}
	}
	return nil
}

func setReorder(c *Config, values []string) error {
	if err := parseProb(&c.Reorder, values[0]); err != nil || len(values) == 1 {
		return err
	}
	from, to, isRange := strings.Cut(values[1], "-")
	if !isRange {
		to = from
	}
	if err := parseDuration(&c.MinHold, from); err != nil {
		return err
	}
	return parseDuration(&c.MaxHold, to)
}

func setPolice(c *Config, values []string) error {
	if err := parseRate(&c.Policer.Rate, values[0]); err != nil {
		return err
	}
	return parseSize(&c.Policer.Burst, values[1])
}

func parseDuration(d *time.Duration, s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration with a unit (ns, us, ms, s, m)", s)
	}
	*d = v
	return nil
}

// unit is a suffix and what it multiplies by.
type unit struct {
	name string
	n    uint64
}

// The units of each quantity, largest first, as String wants them.
var (
	rateUnits = []unit{
		{"tbit", 1e12}, {"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1},
	}
	sizeUnits = []unit{
		{"gb", 1e9}, {"gib", 1 << 30}, {"mb", 1e6}, {"mib", 1 << 20}, {"kb", 1e3}, {"kib", 1 << 10}, {"b", 1},
	}
	packetUnits = []unit{{"", 1}}
)

func parseRate(rate *int64, s string) error {
	v, err := parseNumber(strings.TrimSuffix(s, "/s"), s, rateUnits)
	*rate = int64(v)
	return err
}

func parseSize(size *int, s string) error { return parseInt(size, s, s, sizeUnits) }

func parseInt(n *int, s, shown string, units []unit) error {
	v, err := parseNumber(s, shown, units)
	if v > 1<<31-1 {
		return fmt.Errorf("%q is too large", shown)
	}
	*n = int(v)
	return err
}

// parseNumber reads a decimal number with one of the units. The result is
// whole: "1.5kb" is 1500, "1.5b" is an error. shown is how errors call s.
func parseNumber(s, shown string, units []unit) (uint64, error) {
	digits, decimals, rest, err := parseDecimal(s, shown)
	if err != nil {
		return 0, err
	}
	for _, u := range units {
		if u.name != rest {
			continue
		}
		hi, lo := bits.Mul64(digits, u.n)
		div := pow10(decimals)
		if hi >= div {
			return 0, fmt.Errorf("%q is too large", shown)
		}
		v, odd := bits.Div64(hi, lo, div)
		if v > 1<<62 {
			return 0, fmt.Errorf("%q is too large", shown)
		}
		if odd != 0 {
			return 0, fmt.Errorf("%q is not a whole number of %s", shown, units[len(units)-1].name)
		}
		return v, nil
	}
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.name
	}
	return 0, fmt.Errorf("%q is not a number with a unit (%s)", shown, strings.Join(names, ", "))
}

// parseProb reads a percentage.
func parseProb(p *Prob, s string) error {
	digits, decimals, rest, err := parseDecimal(s, s)
	if err != nil {
		return err
	}
	if rest != "%" && (rest != "" || digits != 0) {
		return fmt.Errorf("%q is not a percentage such as 0.5%%", s)
	}
	whole := 100 * pow10(decimals)
	if digits > whole {
		return fmt.Errorf("%q is more than 100%%", s)
	}
	lo, carry := bits.Add64(digits<<32, whole/2, 0)
	v, _ := bits.Div64(digits>>32+carry, lo, whole)
	*p = Prob(v)
	if v == 0 && digits > 0 {
		*p = 1 // asked for a little, not for nothing
	}
	return nil
}

// parseDecimal splits digits with at most one point from what follows:
// "1.50kb" is 150 with 2 decimals and "kb".
func parseDecimal(s, shown string) (digits uint64, decimals int, rest string, err error) {
	i, seen, point := 0, 0, false
	for ; i < len(s); i++ {
		switch ch := s[i]; {
		case ch >= '0' && ch <= '9':
			if digits > 1e15 {
				return 0, 0, "", fmt.Errorf("%q is too large or has too many digits", shown)
			}
			digits = 10*digits + uint64(ch-'0')
			seen++
			if point {
				decimals++
			}
			continue
		case ch == '.' && !point:
			point = true
			continue
		}
		break
	}
	if seen == 0 || s[i-1] == '.' {
		return 0, 0, "", fmt.Errorf("%q is not a number", shown)
	}
	if decimals > maxDecimals {
		return 0, 0, "", fmt.Errorf("%q has more than %d digits after the point", shown, maxDecimals)
	}
	return digits, decimals, s[i:], nil
}

func pow10(n int) uint64 {
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}

func plural(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
