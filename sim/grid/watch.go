package grid

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/trace"
)

// ParseCell reads a cell's name as String writes it: an algorithm, a rate, an
// RTT, a queue, then "loss 1%", "reorder 2%", "gro" and "plain" as they apply.
func ParseCell(s string) (c Cell, err error) {
	f := strings.Fields(s)
	if len(f) < 4 {
		return c, fmt.Errorf("grid: %q names no cell: ALGORITHM RATE RTT qQUEUE [loss N%%] [reorder N%%] [gro] [plain]", s)
	}
	c.Algorithm = f[0]
	unit := map[string]int64{"M": 1_000_000, "G": 1_000_000_000}[f[1][len(f[1])-1:]]
	n, err := strconv.ParseInt(f[1][:len(f[1])-1], 10, 64)
	if err != nil || unit == 0 || n <= 0 {
		return c, fmt.Errorf("grid: %q is no rate such as 100M", f[1])
	}
	c.Rate = n * unit
	if c.RTT, err = time.ParseDuration(f[2]); err != nil || c.RTT <= 0 || c.RTT > time.Minute {
		return c, fmt.Errorf("grid: %q is no RTT such as 10ms", f[2])
	}
	if c.Queue, err = scaled(strings.TrimPrefix(f[3], "q"), 2); err != nil {
		return c, fmt.Errorf("grid: %q is no queue such as q0.25", f[3])
	}
	for f = f[4:]; len(f) > 0; f = f[1:] {
		switch {
		case f[0] == "gro":
			c.GRO = true
		case f[0] == "plain":
			c.Plain = true
		case len(f) > 1 && f[0] == "loss":
			c.Loss, err = scaled(strings.TrimSuffix(f[1], "%"), 4)
			f = f[1:]
		case len(f) > 1 && f[0] == "reorder":
			c.Reorder, err = scaled(strings.TrimSuffix(f[1], "%"), 4)
			f = f[1:]
		default:
			err = fmt.Errorf("grid: %q means nothing in the name of a cell", f[0])
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// scaled reads a number with up to digits decimals as an integer.
func scaled(s string, digits int) (int, error) {
	whole, part, _ := strings.Cut(s, ".")
	if len(part) > digits || len(whole) > 4 {
		return 0, fmt.Errorf("grid: %q has too many digits", s)
	}
	return strconv.Atoi(whole + part + strings.Repeat("0", digits-len(part)))
}

// Watch runs a cell until the given time after ESTABLISHED and writes what the
// sender knows every step, and what it did about loss when it did.
func Watch(out io.Writer, c Cell, until, step time.Duration) error {
	b, err := newBed(c.Path, c.Seed(), c.Algorithm)
	if err != nil {
		return err
	}
	b.senders[0].losses.log = func(e *trace.Event) {
		if e.Kind == trace.Congestion || e.Kind == trace.Timer {
			out.Write(append(trace.AppendText(nil, e), '\n'))
		}
	}
	f, err := b.senders[0].open(0)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%v: BDP %d segments, queue %d\n", c, c.Segments(), c.queue())
	before, drops, again := f.received, uint64(0), uint32(0)
	for t := step; t <= until; t += step {
		if err := b.w.RunUntil(f.established.Add(t), nil); err != nil {
			return err
		}
		var i tcp.Info
		f.out.Info(&i)
		n := b.counters()
		fmt.Fprintf(out, "%12v  share %5v  cwnd %d ssthresh %s in flight %d segments, srtt %v rto %v, queue drops +%d, retransmits +%d\n",
			b.w.Now(), share(f.received-before, max(c.capacity(step), 1)), i.Cwnd/i.SendMSS, segments(i.SSThresh, i.SendMSS),
			i.InFlight/i.SendMSS, i.SRTT, i.RTO, n.Dropped[netem.DroppedQueue]-drops, i.Retransmits-again)
		before, drops, again = f.received, n.Dropped[netem.DroppedQueue], i.Retransmits
	}
	return b.close()
}

func segments(bytes, mss uint32) string {
	if bytes >= 1<<30 {
		return "-"
	}
	return fmt.Sprint(bytes / mss)
}
