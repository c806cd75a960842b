package engine

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/handfast/handfast/tcp"
)

// The errors of Sysctl and SetSysctl, inside a *SettingError.
var (
	ErrUnknownSetting  = errors.New("no such setting")
	ErrInvalidSetting  = errors.New("invalid value")
	ErrReadOnlySetting = errors.New("read only")
)

// SettingError says which setting could not be read or changed, and why.
type SettingError struct {
	Name    string
	Value   string // what was tried; "" for an unknown name
	Allowed string // what is allowed, as in Setting.Range; "" for an unknown name
	Nearest string // of an unknown name: the setting whose name is most like it
	Err     error  // one of this package's three
}

// Error says what was tried and what is allowed.
func (e *SettingError) Error() string {
	switch {
	case e.Nearest != "":
		return fmt.Sprintf("sysctl %s: %v; the nearest is %s", e.Name, e.Err, e.Nearest)
	case errors.Is(e.Err, ErrReadOnlySetting):
		return fmt.Sprintf("sysctl %s = %q: %v", e.Name, e.Value, e.Err)
	}
	return fmt.Sprintf("sysctl %s = %q: %v, allowed: %s", e.Name, e.Value, e.Err, e.Allowed)
}

// Unwrap returns Err.
func (e *SettingError) Unwrap() error { return e.Err }

// Effect says what a change of a setting applies to.
type Effect uint8

// The effects.
const (
	EffectConnections Effect = iota // connections and half-open records that begin later
	EffectListeners                 // listeners that are opened later
	EffectSockets                   // later calls that set a buffer, or open a UDP socket
	EffectAtOnce                    // everything, from now on
)

var effectTexts = [...]string{"new connections", "new listeners", "later calls", "at once"}

// String says it in two words.
func (f Effect) String() string { return effectTexts[f] }

// Setting is one thing about an Engine that can be changed while it runs, under
// the name that Linux has for it, in Linux' units and format.
type Setting struct {
	Name     string // such as net.ipv4.tcp_sack
	Value    string // numbers are separated by a tab, words by a space
	Default  string // of an Engine made from the zero Config
	Range    string // what is allowed
	Help     string // what it does
	Effect   Effect
	ReadOnly bool
}

// Sysctls returns all settings. The slice is the caller's.
func (e *Engine) Sysctls() []Setting {
	all := make([]Setting, 0, len(knobs))
	linux := tcp.DefaultConfig(tcp.ProfileLinux)
	for i := range knobs {
		k := &knobs[i]
		s := Setting{Name: k.name, Value: k.get(e), Default: k.initially, Range: k.allowed(), Help: k.help,
			Effect: k.effect, ReadOnly: k.set == nil}
		if k.of != nil {
			s.Default = k.of(linux)
		}
		all = append(all, s)
	}
	return all
}

// Sysctl returns the value of a setting. The name may be written with slashes
// instead of dots, as a path. The error is a *SettingError.
func (e *Engine) Sysctl(name string) (string, error) {
	k, err := findKnob(name)
	if err != nil {
		return "", err
	}
	return k.get(e), nil
}

// SetSysctl changes a setting. Numbers are decimal, or hexadecimal behind 0x;
// blanks around them do not matter. Nothing is changed when the error, a
// *SettingError, is not nil.
func (e *Engine) SetSysctl(name, value string) error {
	k, err := findKnob(name)
	if err != nil {
		return err
	}
	bad := SettingError{Name: k.name, Value: shorten(value), Allowed: k.allowed(), Err: ErrInvalidSetting}
	if k.set == nil {
		bad.Err = ErrReadOnlySetting
		return &bad
	}
	if len(value) > maxSettingValue || !k.set(e, k, value) {
		return &bad
	}
	return nil
}

const (
	// maxSettingValue is the length of the longest value that is looked at.
	maxSettingValue = 256
	// maxSettingName is how much of an unknown name is compared with others.
	maxSettingName = 64
	// maxSettingNumbers is how many numbers a value has at most.
	maxSettingNumbers = 3
)

// shorten cuts what would make an error unreadable.
func shorten(s string) string { return s[:min(len(s), maxSettingName)] }

// findKnob finds a setting by its name.
func findKnob(name string) (*knob, error) {
	plain := strings.ReplaceAll(strings.TrimSpace(name), "/", ".")
	best, least := &knobs[0], math.MaxInt
	for i := range knobs {
		k := &knobs[i]
		if k.name == plain {
			return k, nil
		}
		full := k.name
		if !strings.HasPrefix(plain, "net.") { // only the last part was given
			full = full[strings.LastIndexByte(full, '.')+1:]
		}
		if d := distance(shorten(plain), full); d < least {
			best, least = k, d
		}
	}
	return nil, &SettingError{Name: shorten(name), Nearest: best.name, Err: ErrUnknownSetting}
}

// distance is how many letters must be put in, taken out or replaced to make b
// of a, both at most maxSettingName long.
func distance(a, b string) int {
	var row [maxSettingName + 1]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// knob is a setting in the table.
type knob struct {
	name, help  string
	unit        string // of the numbers
	least, most int64  // of each number
	words       string // what is allowed, if it is not a range
	initially   string // Setting.Default, unless of knows it
	effect      Effect
	of          func(c *tcp.Config) string // the value in a Config
	get         func(e *Engine) string
	set         func(e *Engine, k *knob, value string) bool // nil: read only; reports whether value is allowed
}

// allowed is Setting.Range.
func (k *knob) allowed() string {
	switch {
	case k.words != "":
		return k.words
	case k.set == nil:
		return "read only"
	}
	s := strconv.FormatInt(k.least, 10) + " to " + strconv.FormatInt(k.most, 10)
	if k.unit != "" {
		s += " " + k.unit
	}
	return s
}

// numbers reads n numbers in range; ok is false if value is anything else.
func (k *knob) numbers(value string, n int) (v [maxSettingNumbers]int64, ok bool) {
	words := strings.Fields(value)
	if len(words) != n {
		return v, false
	}
	for i, w := range words {
		base := 10
		if digits, hex := strings.CutPrefix(w, "0x"); hex {
			w, base = digits, 16
		}
		x, err := strconv.ParseInt(w, base, 64)
		if err != nil || x < k.least || x > k.most {
			return v, false
		}
		v[i] = x
	}
	return v, true
}

// reconfigure gives new connections another Config. Living ones keep theirs,
// which must not change under them.
func (e *Engine) reconfigure(change func(c *tcp.Config)) {
	c := *e.tcp
	change(&c)
	e.tcp = &c
}

// fieldNumber is a setting that is a number in tcp.Config.
func fieldNumber[T ~uint8 | ~uint16 | ~uint32](name string, least, most int64, unit, help string, field func(c *tcp.Config) *T) knob {
	return configKnob(name, least, most, unit, help,
		func(c *tcp.Config) int64 { return int64(*field(c)) },
		func(c *tcp.Config, v int64) { *field(c) = T(v) })
}

// fieldTime is a setting that is a time in tcp.Config.
func fieldTime(name string, least, most int64, unit time.Duration, help string, field func(c *tcp.Config) *time.Duration) knob {
	return configKnob(name, least, most, unitNames[unit], help,
		func(c *tcp.Config) int64 { return int64(*field(c) / unit) },
		func(c *tcp.Config, v int64) { *field(c) = time.Duration(v) * unit })
}

var unitNames = map[time.Duration]string{time.Second: "s", time.Millisecond: "ms", time.Microsecond: "µs"}

// fieldSwitch is a setting that is on while a field of tcp.Config is not.
func fieldSwitch(name, help string, off func(c *tcp.Config) *bool) knob {
	return configKnob(name, 0, 1, "", help,
		func(c *tcp.Config) int64 { return oneIf(!*off(c)) },
		func(c *tcp.Config, v int64) { *off(c) = v == 0 })
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// configKnob is a setting that is a number made of tcp.Config.
func configKnob(name string, least, most int64, unit, help string, get func(c *tcp.Config) int64, set func(c *tcp.Config, v int64)) knob {
	of := func(c *tcp.Config) string { return strconv.FormatInt(get(c), 10) }
	return knob{name: name, least: least, most: most, unit: unit, help: help, of: of,
		get: func(e *Engine) string { return of(e.tcp) },
		set: func(e *Engine, k *knob, value string) bool {
			v, ok := k.numbers(value, 1)
			if ok {
				e.reconfigure(func(c *tcp.Config) { set(c, v[0]) })
			}
			return ok
		}}
}

// engineKnob is a setting that is a number of the Engine's own.
func engineKnob(name string, least, most, initially int64, unit string, effect Effect, help string, get func(e *Engine) int64, set func(e *Engine, v int64)) knob {
	return knob{name: name, least: least, most: most, unit: unit, help: help, effect: effect, initially: strconv.FormatInt(initially, 10),
		get: func(e *Engine) string { return strconv.FormatInt(get(e), 10) },
		set: func(e *Engine, k *knob, value string) bool {
			v, ok := k.numbers(value, 1)
			if ok {
				set(e, v[0])
			}
			return ok
		}}
}

// fixedKnob is a setting that Linux has and that is always the same here.
func fixedKnob(name, value, help string) knob {
	return knob{name: name, initially: value, help: help, effect: EffectAtOnce, get: func(*Engine) string { return value }}
}
