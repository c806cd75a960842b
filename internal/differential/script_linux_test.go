package differential

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/handfast/handfast/wire"
)

// source is a script as it is written.
type source struct{ name, text string }

// script is one exchange.
type script struct {
	name  string
	knobs [][2]string // settings of the side under test, in their order
	steps []step
}

// step is one line of a script.
type step struct {
	line string
	verb string // "<" for a segment
	args []string
	seg  wire.Script
	mod  modifiers
	wait time.Duration
}

// modifiers say how a segment differs from an ordinary one. They stand before
// it in braces: "{tos 3, sum bad} < . 1:1(0) ack 1".
type modifiers struct {
	tos, ttl uint8
	badSum   bool
	cookie   bool   // with the Fast Open cookie that was last heard of
	noTS     bool   // no timestamps, although they were negotiated
	opts     []byte // raw options instead of those of the notation
	offset   int    // data offset in words that is written instead of the true one
	fill     byte   // added to each byte of the payload
	cut      int    // bytes of the segment that are not sent
	reserved uint8  // reserved bits
	ipOpts   []byte
}

// knobNames are the settings that both sides understand.
var knobNames = []string{"v6", "mtu", "sack", "timestamps", "wscale", "rcvbuf", "sndbuf", "retries2", "synretries",
	"synackretries", "ecn", "finwait", "syncookies", "idlerestart", "fastopen"}

// parse reads a script. Empty lines and those that begin with "#" say nothing.
func parse(src source) (*script, error) {
	s := &script{name: src.name}
	for i, line := range strings.Split(src.text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "knob "); ok {
			name, value, _ := strings.Cut(rest, " ")
			if !slices.Contains(knobNames, name) {
				return nil, fmt.Errorf("%s: line %d: no knob %q", src.name, i, name)
			}
			s.knobs = append(s.knobs, [2]string{name, value})
			continue
		}
		st, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", src.name, i, err)
		}
		s.steps = append(s.steps, st)
	}
	return s, nil
}

// knob returns a setting, "" if the script does not have it.
func (s *script) knob(name string) string {
	for _, k := range s.knobs {
		if k[0] == name {
			return k[1]
		}
	}
	return ""
}

// number returns a setting as a number, byDefault if the script does not have it.
func (s *script) number(name string, byDefault int) int {
	n, err := strconv.Atoi(s.knob(name))
	if err != nil {
		return byDefault
	}
	return n
}

func (s *script) v6() bool { return s.knob("v6") != "" }

func parseStep(line string) (st step, err error) {
	st.line = line
	if strings.HasPrefix(line, "{") {
		mods, rest, ok := strings.Cut(line[1:], "}")
		if !ok {
			return st, fmt.Errorf("%q: no closing brace", line)
		}
		if st.mod, err = parseModifiers(mods); err != nil {
			return st, err
		}
		line = strings.TrimSpace(rest)
	}
	if strings.HasPrefix(line, "<") {
		st.verb = "<"
		st.seg, err = wire.ParseScript(line)
		return st, err
	}
	f := strings.Fields(line)
	st.verb, st.args = f[0], f[1:]
	if st.verb == "wait" {
		st.wait, err = time.ParseDuration(st.arg(0))
	}
	return st, err
}

func parseModifiers(text string) (m modifiers, err error) {
	for _, item := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), " ")
		n, numErr := strconv.Atoi(value)
		switch name {
		case "tos":
			m.tos, err = uint8(n), numErr
		case "ttl":
			m.ttl, err = uint8(n), numErr
		case "offset":
			m.offset, err = n, numErr
		case "fill":
			m.fill, err = byte(n), numErr
		case "cut":
			m.cut, err = n, numErr
		case "reserved":
			m.reserved, err = uint8(n), numErr
		case "badsum":
			m.badSum = true
		case "cookie":
			m.cookie = true
		case "nots":
			m.noTS = true
		case "opts":
			m.opts, err = hex.DecodeString(value)
		case "ipopts":
			m.ipOpts, err = hex.DecodeString(value)
		default:
			err = fmt.Errorf("no modifier %q", name)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// arg returns an argument of a step, "" if it is not there.
func (st *step) arg(i int) string {
	if i < len(st.args) {
		return st.args[i]
	}
	return ""
}

// num returns an argument of a step as a number, 0 if it is none.
func (st *step) num(i int) int { n, _ := strconv.Atoi(st.arg(i)); return n }

// fill puts the numbers of a stage into a visitor's line.
func (st stage) fill(text string) string {
	seq, _ := strconv.Atoi(st.seq)
	return strings.NewReplacer("SEQ+100", strconv.Itoa(seq+100), "SEQ", st.seq, "ACK", st.ack).Replace(text)
}
