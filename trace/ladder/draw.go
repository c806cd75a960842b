package ladder

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

const (
	timeWidth  = 10 // seconds with six decimals, up to 999 s; later ones lose decimals
	narrowTime = 8  // where room is short: with three or four
	narrow     = 72 // lines below this width are short of room
	stateWidth = 12 // SYN-RECEIVED
	// rails is what a line needs beside time, states and the way between:
	// two spaces and a rail, and a rail and a space.
	rails = 5
	// decoration is what an arrow needs beside its text: two strokes, a space
	// on each side, one stroke and the head.
	decoration = 6
	// offWay is the part of the way that an arrow leaves blank when it does not
	// reach, or does not come from, the other side.
	offWay = 6
)

// glyphs are the characters of a style. Each is one column wide.
type glyphs struct {
	rail, line, again, gap, left, right, lost, more, dot, cut string
}

func style(ascii bool) *glyphs {
	if ascii {
		return &glyphs{rail: "|", line: "-", again: "=", gap: " ", left: "<", right: ">", lost: "X", more: ":", dot: "*", cut: "~"}
	}
	return &glyphs{rail: "│", line: "─", again: "═", gap: " ", left: "◀", right: "▶", lost: "✕", more: "⋮", dot: "·", cut: "…"}
}

// Escape sequences of ECMA-48.
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
)

// Drawer draws a ladder line by line, for those who watch a connection while it
// lives. It remembers the states it drew last, because only changes are shown.
type Drawer struct {
	o      Options
	g      *glyphs
	time   int // columns for the time
	way    int // columns between the rails
	states [2]uint8
}

// NewDrawer returns a Drawer. Fold is not its business.
func NewDrawer(o Options) *Drawer {
	if o.Width == 0 {
		o.Width = DefaultWidth
	}
	o.Width = max(MinWidth, min(o.Width, MaxWidth))
	for i, name := range [2]string{"left", "right"} {
		if o.Names[i] == "" {
			o.Names[i] = name
		}
	}
	d := &Drawer{o: o, g: style(o.ASCII), time: timeWidth, states: [2]uint8{Unknown, Unknown}}
	if o.Width < narrow {
		d.time = narrowTime
	}
	d.way = o.Width - d.time - 2*stateWidth - rails
	return d
}

// Head returns the line with the names.
func (d *Drawer) Head() string {
	left, right := d.fit(d.clean(d.o.Names[0]), stateWidth), d.fit(d.clean(d.o.Names[1]), stateWidth)
	return d.row("", d.paint(bold, padRight(left, stateWidth)), strings.Repeat(" ", d.way), d.paint(bold, right))
}

// Step returns the line for the next step.
func (d *Drawer) Step(s *Step) string {
	var names [2]string
	for i, state := range s.States {
		if state == d.states[i] || state == Unknown {
			continue
		}
		names[i] = trace.StateName(state)
		d.states[i] = state
	}
	at := s.At
	if d.o.Origin == 0 {
		d.o.Origin = at
	}
	when := string(trace.AppendTime(nil, at-d.o.Origin))
	return d.row(when, d.paint(bold, padRight(names[0], stateWidth)), d.middle(s), d.paint(bold, names[1]))
}

// Folded returns one line that stands for ordinary steps.
func (d *Drawer) Folded(steps []Step) string {
	var count, size [2]uint64
	for i := range steps {
		s := &steps[i]
		count[s.From&1]++
		size[s.From&1] += uint64(s.Len)
	}
	var b []byte
	for side := Left; side <= Right; side++ {
		if count[side] == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(append(b, [2]string{d.g.right, d.g.left}[side]...), count[side], 10)
		if size[side] > 0 {
			b = strconv.AppendUint(append(b, " ("...), size[side], 10)
			b = append(b, " B)"...)
		}
	}
	text := d.fit(d.g.more+" "+string(b)+" "+d.g.more, d.way)
	side := (d.way - width(text)) / 2
	return d.row("", strings.Repeat(" ", stateWidth), d.paint(dim, padRight(strings.Repeat(" ", side)+text, d.way)), "")
}

// row puts a line together; left is already as wide as its column. Nothing
// follows the last visible character.
func (d *Drawer) row(when, left, middle, right string) string {
	if len(when) > d.time {
		when = strings.TrimSuffix(when[:d.time], ".")
	}
	when = padLeft(when, d.time)
	line := d.paint(dim, when) + " " + left + " " + d.g.rail + middle + d.g.rail
	if right != "" {
		line += " " + right
	}
	return line
}

func (d *Drawer) paint(code, text string) string {
	if !d.o.Color || code == "" || strings.TrimSpace(text) == "" {
		return text
	}
	return code + text + reset
}

// middle returns what is drawn between the rails.
func (d *Drawer) middle(s *Step) string {
	if s.Form == Local {
		return d.note(s)
	}
	stroke := d.g.line
	if s.Retransmit {
		stroke = d.g.again
	}
	room := d.way - decoration
	if s.Lost || s.Form != Whole {
		room -= offWay
	}
	text := d.text(s, room)
	var arrow string
	if s.From == Left {
		arrow = d.toRight(s, text, stroke)
	} else {
		arrow = d.toLeft(s, text, stroke)
	}
	return d.paint(color(s), arrow)
}

func color(s *Step) string {
	switch {
	case s.Lost || s.Flags&wire.FlagRST != 0:
		return red
	case s.Retransmit:
		return yellow
	case s.Flags&(wire.FlagSYN|wire.FlagFIN) != 0:
		return cyan
	}
	return ""
}

// toRight draws an arrow that starts at the left rail, with its text at its
// tail.
func (d *Drawer) toRight(s *Step, text, stroke string) string {
	head := strings.Repeat(stroke, 2) + " " + text + " "
	left := d.way - width(head)
	switch {
	case s.Lost:
		return head + d.broken(left, stroke)
	case s.Form == Departure:
		return padRight(head+strings.Repeat(stroke, left-offWay-1)+d.g.right+" "+d.g.cut, d.way)
	case s.Form == Arrival:
		return padRight("   "+d.g.cut, offWay) + head + strings.Repeat(stroke, left-offWay-1) + d.g.right
	}
	return head + strings.Repeat(stroke, left-1) + d.g.right
}

// toLeft draws the mirror image of toRight; its text reads the same way.
func (d *Drawer) toLeft(s *Step, text, stroke string) string {
	tail := " " + text + " " + strings.Repeat(stroke, 2)
	left := d.way - width(tail)
	switch {
	case s.Lost:
		return reverse(d.broken(left, stroke)) + tail
	case s.Form == Departure:
		return padLeft(d.g.cut+" "+d.g.left+strings.Repeat(stroke, left-offWay-1)+tail, d.way)
	case s.Form == Arrival:
		return d.g.left + strings.Repeat(stroke, left-offWay-1) + tail + padLeft(d.g.cut+"   ", offWay)
	}
	return d.g.left + strings.Repeat(stroke, left-1) + tail
}

// broken draws what follows the text of a lost segment in n columns: strokes
// with gaps up to two thirds of the way, and the mark of loss.
func (d *Drawer) broken(n int, stroke string) string {
	end := max(1, n*2/3)
	var b strings.Builder
	for i := range end - 1 {
		if (end-i)%2 == 0 { // so that the last one is a gap
			b.WriteString(d.g.gap)
		} else {
			b.WriteString(stroke)
		}
	}
	return padRight(b.String()+d.g.lost, n)
}

// note draws a step without a segment, near the rail where it happened.
func (d *Drawer) note(s *Step) string {
	text := d.clean(s.Note)
	if text == "" {
		return strings.Repeat(" ", d.way)
	}
	text = d.fit(text, d.way-4)
	if s.From == Left {
		return d.paint(dim, padRight(" "+d.g.dot+" "+text, d.way))
	}
	return d.paint(dim, padLeft(text+" "+d.g.dot+" ", d.way))
}

// text returns the segment in script notation, and what there is to say about
// it, in at most room columns: less important things are left out first.
func (d *Drawer) text(s *Step, room int) string {
	long, short := d.remarks(s)
	for _, t := range []string{
		segment(s, detailMSS) + sack(s, trace.MaxSACK) + long,
		segment(s, detailWindow) + sack(s, trace.MaxSACK) + long,
		segment(s, detailAck) + sack(s, trace.MaxSACK) + long,
		segment(s, detailAck) + sack(s, 1) + long,
		segment(s, detailRange) + sack(s, 1) + long,
		segment(s, detailAck) + long,
		segment(s, detailRange) + long,
		segment(s, detailAck) + short,
		segment(s, detailRange) + short,
	} {
		if width(t) <= room && (s.Note == "" || strings.HasSuffix(t, long)) {
			return t
		}
	}
	b := s.Flags.AppendTo(nil)
	if s.Len > 0 {
		b = strconv.AppendUint(append(b, " ("...), uint64(s.Len), 10)
		b = append(b, ')')
	}
	if s.Note != "" {
		short = long // what somebody had to say counts for more than numbers
	}
	return d.fit(string(b)+short, room)
}

// remarks returns what follows the segment: in words, and in brief.
func (d *Drawer) remarks(s *Step) (long, short string) {
	var words []string
	if s.Retransmit {
		short = " R"
		switch {
		case s.Why == trace.WhyRetransmitTimeout:
			words = append(words, "RTO") // its name in RFC 6298, and short
		case s.Why == trace.WhyTailLossProbe:
			words = append(words, "TLP") // RFC 8985
		case s.Why == trace.WhyReordering:
			words = append(words, "RACK") // its timer, RFC 8985
		case s.Why.Retransmission():
			words = append(words, s.Why.String())
		default:
			words = append(words, "retransmission")
		}
	} else if s.Why == trace.WhyTailLossProbe { // with new data
		words = append(words, "TLP")
	}
	if s.Note != "" {
		words = append(words, d.clean(s.Note))
	}
	if len(words) > 0 {
		long = " (" + strings.Join(words, ", ") + ")"
	}
	return long, short
}

// sack returns the first most SACK blocks of a segment, with dots when there
// are more.
func sack(s *Step, most uint8) string {
	if s.NSACK == 0 {
		return ""
	}
	b := []byte(" sack")
	for _, x := range s.SACK[:min(s.NSACK, most)] {
		b = strconv.AppendUint(append(b, ' '), uint64(x[0]), 10)
		b = strconv.AppendUint(append(b, ':'), uint64(x[1]), 10)
	}
	if s.NSACK > most {
		b = append(b, " ..."...)
	}
	return string(b)
}

// How much of a segment is written.
const (
	detailRange = iota
	detailAck
	detailWindow
	detailMSS
)

// segment returns the segment in script notation, without the direction.
func segment(s *Step, detail int) string {
	sc := wire.Script{Flags: s.Flags, Seq: s.Seq, Len: s.Len, Cut: s.Cut, HasWin: detail >= detailWindow, Win: s.Window}
	if s.Flags&wire.FlagACK != 0 {
		sc.Ack = s.Ack
	}
	if detail >= detailMSS && s.MSS != 0 {
		sc.Opts.MSS = s.MSS
		sc.Opts.Has = wire.HasMSS
	}
	if detail < detailAck {
		sc.Cut = 0
	}
	text := string(sc.AppendText(nil))[len("< "):]
	if detail < detailAck {
		text, _, _ = strings.Cut(text, " ack ")
	}
	return text
}

// clean makes text that comes from elsewhere safe for a terminal.
func (d *Drawer) clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) || d.o.ASCII && r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, s)
}

// fit shortens text to n columns and marks that.
func (d *Drawer) fit(s string, n int) string {
	if width(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:max(0, n-1)]) + d.g.cut
}

func width(s string) int { return utf8.RuneCountInString(s) }

func padRight(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

func padLeft(s string, n int) string { return strings.Repeat(" ", max(0, n-width(s))) + s }

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}
