// Package term finds out what the other end of an output can show: whether it
// is a terminal, how wide it is, and whether colours and characters beyond
// ASCII are welcome.
package term

import (
	"io"
	"os"
	"strconv"
	"strings"

	xterm "golang.org/x/term"
)

// The widths in columns: what is taken when nothing is known, and what is used
// of a terminal.
const (
	DefaultWidth = 80
	MinWidth     = 60
	MaxWidth     = 120
)

// Output is what is known of an output.
type Output struct {
	Terminal bool
	Width    int // columns, in [MinWidth, MaxWidth]
	Color    bool
	ASCII    bool // 7-bit characters only
}

// Look returns what is known of w. env is os.Getenv, or a test's. Only an
// *os.File can be a terminal.
//
// Colours need a terminal that is not "dumb", and no NO_COLOR (no-color.org).
// The width is the terminal's; for anything else COLUMNS, or DefaultWidth. ASCII
// is chosen where the locale says so: its name has another encoding than UTF-8,
// or is C or POSIX. Without any locale the output is UTF-8.
func Look(w io.Writer, env func(string) string) Output {
	o := Output{Width: DefaultWidth, ASCII: asciiLocale(env)}
	if n, err := strconv.Atoi(env("COLUMNS")); err == nil && n > 0 {
		o.Width = n
	}
	if f, ok := w.(*os.File); ok && xterm.IsTerminal(int(f.Fd())) {
		o.Terminal = true
		o.Color = env("NO_COLOR") == "" && env("TERM") != "dumb"
		if cols, _, err := xterm.GetSize(int(f.Fd())); err == nil && cols > 0 {
			o.Width = cols
		}
	}
	o.Width = max(MinWidth, min(o.Width, MaxWidth))
	return o
}

// asciiLocale reads the environment variables of POSIX, chapter 8.2, in their
// order of precedence.
func asciiLocale(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		v := strings.ToLower(env(name))
		if v == "" {
			continue
		}
		return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
	}
	return false
}

// Escape sequences of ECMA-48, for Paint.
const (
	Bold   = "\x1b[1m"
	Dim    = "\x1b[2m"
	Red    = "\x1b[31m"
	Green  = "\x1b[32m"
	Yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// Paint returns text in a colour, or as it is where colours are not welcome.
func (o Output) Paint(code, text string) string {
	if !o.Color || text == "" {
		return text
	}
	return code + text + reset
}
