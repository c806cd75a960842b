package grid

import (
	"fmt"
	"math"
	"time"
)

// Windows is how large a flow's window was under random loss.
type Windows struct {
	Events   int     // loss events that it was measured over
	Mean     float64 // segments: what was delivered in an RTT
	Expected float64 // of the algorithm, by RFC 9438
}

// responseEvents is how many loss events each seed is measured over, after the
// ones in which the flow settles.
const (
	responseEvents  = 400
	responseSettle  = 20
	responseTimeout = 8 * time.Hour
)

// Response measures the mean window of an algorithm on a path that is never
// full, where loss alone decides, over 400 loss events for each seed.
func Response(algorithm string, rtt time.Duration, loss, seeds int) (w Windows, err error) {
	p := Path{Rate: 10_000_000_000, RTT: rtt, Queue: 400, Loss: loss}
	w.Expected = expected(algorithm, rtt, float64(loss)/ppm)
	for seed := range seeds {
		b, err := newBed(p, mix(uint64(seed)), algorithm)
		if err != nil {
			return w, err
		}
		f, err := b.senders[0].open(0)
		if err != nil {
			return w, err
		}
		events := func() int { return f.s.losses.Recoveries + f.s.losses.Timeouts }
		if err := b.runFor(responseTimeout, func() bool { return events() >= responseSettle }); err != nil {
			return w, err
		}
		start, before := b.w.Now(), f.received
		if err := b.runFor(responseTimeout, func() bool { return events() >= responseSettle+responseEvents }); err != nil {
			return w, err
		}
		w.Events += events() - responseSettle
		w.Mean += float64(f.received-before) / payload * float64(rtt) / float64(b.w.Now().Sub(start)) / float64(seeds)
		if err := b.close(); err != nil {
			return w, err
		}
	}
	return w, nil
}

// expected is the mean window in segments that follows from a loss each 1/p
// segments. RFC 9438 §5.1 for CUBIC (figure 6) and, in its Reno-friendly
// region, for Reno (figure 5).
func expected(algorithm string, rtt time.Duration, p float64) float64 {
	reno := math.Sqrt(1.5 / p)
	if algorithm != "cubic" {
		return reno
	}
	const c, beta = 0.4, 0.7
	seconds := float64(rtt) / float64(time.Second)
	return max(reno, math.Pow(c*(3+beta)/(4*(1-beta)), 0.25)*math.Pow(seconds, 0.75)/math.Pow(p, 0.75))
}

// responsePoints are the paths of Response in the table, and its seeds.
var responsePoints = []struct {
	rtt  time.Duration
	loss int
}{
	{10 * time.Millisecond, 1000}, {100 * time.Millisecond, 10_000}, {100 * time.Millisecond, 1000},
	{100 * time.Millisecond, 200}, {300 * time.Millisecond, 1000},
}

const responseSeeds = 4

// responseRows compare CUBIC and NewReno with RFC 9438 and with each other.
func responseRows() []Row {
	var rows []Row
	for _, at := range responsePoints {
		rows = append(rows, Row{Section: "mean window in segments under random loss, 4 seeds of 400 loss events",
			Name: fmt.Sprintf("%v loss %s", at.rtt, lossText(at.loss)), measure: func() (string, error) {
				return compareResponse(at.rtt, at.loss, responseSeeds)
			}})
	}
	return rows
}

// What is wanted of CUBIC, in thousandths of RFC 9438's response function and
// of NewReno's mean.
const (
	leastResponse = 900
	mostResponse  = 1350
	leastOfReno   = 950
)

func compareResponse(rtt time.Duration, loss, seeds int) (string, error) {
	reno, err := Response("reno", rtt, loss, seeds)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("reno %.1f, %.2f of expected %.1f", reno.Mean, reno.Mean/reno.Expected, reno.Expected)
	cubic, err := Response("cubic", rtt, loss, seeds)
	if err != nil {
		return "", err
	}
	ratio, ofReno := int(1000*cubic.Mean/cubic.Expected), int(1000*cubic.Mean/reno.Mean)
	verdict := judgedThousandths(ratio, leastResponse)
	if ratio > mostResponse {
		verdict = fmt.Sprintf("%d.%03d%s%d.%03d", ratio/1000, ratio%1000, short, mostResponse/1000, mostResponse%1000)
	}
	return fmt.Sprintf("cubic %.1f, %s of expected %.1f, %s of reno's; %s",
		cubic.Mean, verdict, cubic.Expected, judgedThousandths(ofReno, leastOfReno), text), nil
}
