package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/handfast/handfast/cmd/handfast/internal/demo"
	"github.com/handfast/handfast/cmd/handfast/internal/term"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace/ladder"
)

// hostNames are the names of the two hosts in ladders.
var hostNames = [2]string{"A", "B"}

// foldFrom is how many ordinary segments in a row a ladder shows before it
// folds them into one line.
const foldFrom = 3

// The most lines that a ladder takes, and how many of them are its end when the
// middle is left out: on a bad wire they would fill pages.
const (
	handshakeLines = 40
	ladderLines    = 20
	lastLines      = 8
)

// roomForCwnd is the width from which the congestion window is shown beside the
// bar.
const roomForCwnd = 76

// barTime is the time between two pictures of the progress bar.
const barTime = 100 * time.Millisecond

// textShow tells people how it goes.
type textShow struct {
	w      io.Writer
	out    term.Output
	o      *demo.Options
	copyAt string // where the copy lies that is removed at the end

	origin mono.Time // of both ladders
	bars   *mpb.Progress
	bar    *mpb.Bar
	status atomic.Pointer[string] // beside the bar, which another goroutine draws
	shown  int64                  // quarters, where there is no bar
}

func (t *textShow) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

func (t *textShow) title(format string, args ...any) {
	t.line("\n%s", t.out.Paint(term.Bold, fmt.Sprintf(format, args...)))
}

func (t *textShow) begin() {
	what := t.o.Source.Path
	if what == "" {
		what = fmt.Sprintf("random bytes (seed %d)", t.o.Seed)
	}
	t.line("Host B sends %s to host A: %s", size(t.o.Source.Size), what)
	family := "IPv4"
	if t.o.IPv6 {
		family = "IPv6"
	}
	t.line("The wire: %s, mtu %db, %v", family, t.o.MTU, t.o.Wire)
	t.line("Congestion control: %s", t.o.Congestion)
	if t.copyAt != "" {
		t.line("The copy, until the end (--keep or -o keeps it): %s", t.copyAt)
	}
}

// draw prints a ladder of at most the given number of lines.
func (t *textShow) draw(steps []ladder.Step, fold, lines int) {
	if t.origin == 0 && len(steps) > 0 {
		t.origin = steps[0].At
	}
	all := ladder.Draw(steps, ladder.Options{Width: t.out.Width, Names: hostNames, Origin: t.origin,
		ASCII: t.out.ASCII, Color: t.out.Color, Fold: fold})
	for i, l := range all {
		if skip := len(all) - lines; skip > 1 && i >= lines-lastLines && i < len(all)-lastLines {
			if i == lines-lastLines {
				t.line("%26s(%d lines are left out here)", "", skip)
			}
			continue
		}
		t.line("%s", l)
	}
}

func (t *textShow) Connected(steps []ladder.Step) {
	t.title("Handshake: A opens a connection to B, which listens")
	t.draw(steps, 0, handshakeLines)
	t.title("Transfer: A asks for %q, B answers with the bytes", t.o.Source.Name)
	if t.out.Terminal {
		t.startBar()
	}
}

func (t *textShow) startBar() {
	style := mpb.BarStyle().Lbound(" ").Filler("█").Tip("█").Padding("░").Rbound("  ")
	if t.out.ASCII {
		style = mpb.BarStyle().Lbound(" [").Filler("=").Tip(">").Padding("-").Rbound("]  ")
	}
	nothing := ""
	t.status.Store(&nothing)
	t.bars = mpb.New(mpb.WithOutput(t.w), mpb.WithWidth(t.out.Width-1), mpb.WithRefreshRate(barTime))
	t.bar = t.bars.New(max(1, t.o.Source.Size), style, mpb.BarFillerTrim(),
		mpb.PrependDecorators(decor.Percentage(decor.WC{W: 6})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *t.status.Load() })))
}

// stopBar takes the bar away.
func (t *textShow) stopBar() {
	if t.bar == nil {
		return
	}
	t.bar.Abort(true)
	t.bars.Wait()
	t.bar = nil
}

func (t *textShow) Progress(p demo.Progress) {
	switch {
	case p.Done:
		t.stopBar()
		seconds := max(p.Elapsed, time.Millisecond).Seconds()
		t.line(" 100 %%  %s in %.2f s: %s, %s sent again", size(p.Bytes), seconds,
			rate(int64(float64(p.Bytes)*8/seconds)), count(p.Retransmissions, "segment"))
	case t.bar != nil:
		cwnd := fmt.Sprintf("  cwnd %-8s", size(int64(p.Cwnd)))
		if t.out.Width < roomForCwnd {
			cwnd = ""
		}
		s := fmt.Sprintf("%s/%s  %-11s%s  %d sent again", strings.TrimSuffix(size(p.Bytes), " MiB"), size(p.Total),
			rate(p.BitsPerSecond), cwnd, p.Retransmissions)
		t.status.Store(&s)
		t.bar.SetCurrent(min(p.Bytes, max(1, p.Total)-1)) // complete is what stopBar says
	case p.Total > 0 && p.Bytes*4/p.Total > t.shown:
		t.shown = p.Bytes * 4 / p.Total
		t.line("%4d %%  %s of %s, %s, cwnd %s, %s%s sent again", p.Bytes*100/p.Total, size(p.Bytes), size(p.Total),
			rate(p.BitsPerSecond), size(int64(p.Cwnd)), paced(p.Pacing), count(p.Retransmissions, "segment"))
	}
}

func (t *textShow) Repaired(steps []ladder.Step) {
	t.title("The first loss, until it is repaired")
	t.draw(steps, foldFrom, ladderLines)
}

func (t *textShow) Closed(steps []ladder.Step) {
	t.title("Close: B has sent everything and closes first, then A")
	t.draw(steps, foldFrom, ladderLines)
}

func (t *textShow) stop(error) { t.stopBar() }

func (t *textShow) end(r *result) {
	t.title("SHA-256")
	t.line("  B sent      %s", r.SHA256Sent)
	t.line("  A received  %s", r.SHA256Received)
	if r.SHA256Sent == r.SHA256Received {
		t.line("  %s", t.out.Paint(term.Green, "The same."))
	} else {
		t.line("  %s", t.out.Paint(term.Red, "They differ."))
	}
	t.line("")
	t.line("%s, %d of them again%s; the wire lost %s.", count(r.Segments, "segment"), r.Retransmissions, reasons(&r.Sent), count(r.Lost, "packet"))
	if s := &r.Sent; s.WithSACK > 0 {
		t.line("%s came with SACK blocks; %d of what was sent again had arrived already (D-SACK).", count(s.WithSACK, "segment"), s.Needless)
	}
	for i, state := range []string{r.StateA, r.StateB} {
		if state == "TIME-WAIT" {
			t.line("%s would stay in TIME-WAIT for %.0f s more (2 MSL), to answer what comes late.", hostNames[i], r.TimeWait.Seconds())
		}
	}
	if r.Received != "" {
		t.line("Kept what arrived: %s", r.Received)
	}
	t.line("Recorded at B, for Wireshark: %s", r.Pcapng)
}

// reasons tells why segments were sent again.
func reasons(s *demo.Sent) string {
	var words []string
	for _, x := range []struct {
		name string
		n    uint64
	}{{"fast retransmit", s.Fast}, {"reordering timer", s.Reordering}, {"tail loss probe", s.Probe}, {"timeout", s.Timeout}, {"other reasons", s.Other}} {
		if x.n > 0 {
			words = append(words, x.name+" "+strconv.FormatUint(x.n, 10))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// paced tells a pacing rate.
func paced(bits int64) string {
	if bits == 0 {
		return ""
	}
	return "pacing " + rate(bits) + ", "
}

// count prints a number with its noun.
func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatUint(n, 10) + " " + noun + "s"
}

// size prints a number of bytes in binary units.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return tenths(n, 1<<30) + " GiB"
	case n >= 1<<20:
		return tenths(n, 1<<20) + " MiB"
	case n >= 10<<10:
		return tenths(n, 1<<10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " B"
}

// rate prints bits per second in decimal units.
func rate(n int64) string {
	switch {
	case n >= 1e9:
		return tenths(n, 1e9) + " Gbit/s"
	case n >= 1e6:
		return tenths(n, 1e6) + " Mbit/s"
	}
	return tenths(n, 1e3) + " kbit/s"
}

func tenths(n, unit int64) string {
	return strconv.FormatFloat(float64(n)/float64(unit), 'f', 1, 64)
}
