package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// atRate is a congestion control with a pacing rate and as much window as anyone
// likes.
type atRate struct {
	steady
	rate uint64
}

func (a atRate) Control(*cc.State) (uint32, uint64) { return 1 << 30, a.rate }

// pacedTCB returns a TCB that sends at a rate to a peer with a window of 64 MiB, and has
// sent what is not paced.
func pacedTCB(t *testing.T, rate uint64) (*tcp.TCB, mono.Time) {
	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.Congestion, cfg.NoTimestamps, cfg.SendBuffer, cfg.NoTLP = atRate{rate: rate}, true, 64<<20, true
	c, now := openTCB(t, cfg, &wire.TCPOptions{MSS: 1460, WScale: 10, Has: wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted})
	v := space(c)
	c.Arrive(now, &tcp.Segment{SEQ: v.RcvNXT, ACK: v.UNA, WND: 65535, Flags: wire.FlagACK})
	for range 1000 {
		c.Queue(now, bytesView(60_000)[0])
	}
	now = now.Add(time.Millisecond)
	emitAll(c, now, 0)
	return c, now
}

// emitAll emits what is due, and returns how many octets that were and how many in
// the largest segment.
func emitAll(c *tcp.TCB, now mono.Time, room uint32) (octets, largest int) {
	var seg tcp.Segment
	for c.Emit(now, &seg, room) {
		n := seg.Data.Len()
		octets, largest = octets+n, max(largest, n)
		seg.Data.Release()
	}
	return octets, largest
}

// The rate is twice cwnd in a round trip in slow start, 1.2 times after it.
func TestPacingRate(t *testing.T) {
	p := quiet(t, tcptest.Pacing, tenSegments)
	p.Write(10_000)
	p.Drop()
	if i := p.Info(); i.PacingRate != 200_000 { // 10000 in 100 ms, twice
		t.Errorf("slow start: %d octets a second", i.PacingRate)
	}
	p.At("100ms")
	p.Recv(sackLine(0, 1, 4))
	p.Recv(sackLine(10))
	i := p.Info()
	if i.SSThresh != 5000 || i.PacingRate != uint64(i.Cwnd)*12*uint64(100*ms)/uint64(i.SRTT) {
		t.Errorf("after a loss: %d octets a second, cwnd %d, ssthresh %d, SRTT %v", i.PacingRate, i.Cwnd, i.SSThresh, i.SRTT)
	}
	p.Drop()
	p = quiet(t, tcptest.Config(func(c *tcp.Config) { c.NoPacing = true }))
	p.Write(1000)
	p.Drop()
	if i := p.Info(); i.PacingRate != 0 {
		t.Errorf("switched off: %d octets a second", i.PacingRate)
	}
}

// The first ten segments of a connection leave at once, RFC 6928; the eleventh waits for its time.
func TestPacingFirstTenFree(t *testing.T) {
	p := quiet(t, tcptest.Pacing, tcptest.Room(0), tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 20 }))
	p.Write(20_000)
	if n := p.Drop(); n != 10 {
		t.Errorf("%d segments left at once", n)
	}
	p.At("24ms") // ten segments at 400 kB/s take 25 ms, of which one may be ahead
	p.WantNothing("the ten are paid for first")
	p.At("25ms")
	p.Want("> . 10001:11001(1000) ack 1")
	p.Drop()
}

// What leaves is never more than a millisecond ahead of the rate, whatever a
// caller tries.
func TestPacingAhead(t *testing.T) {
	const rate = 10_000_000
	c, _ := pacedTCB(t, rate)
	start := c.Deadline()
	sent := 0
	for us := 0; us < 200_000; us += 50 { // a caller that asks all the time
		now := start.Add(time.Duration(us) * time.Microsecond)
		c.Advance(now)
		n, _ := emitAll(c, now, 65000)
		sent += n
		if most := rate*(us+1000)/1_000_000 + max(rate/1000, 2*1460); sent > most {
			t.Fatalf("after %d us: %d octets, at most %d", us, sent, most)
		}
	}
	if sent < rate/5*95/100 {
		t.Errorf("%d octets in 200 ms", sent)
	}
}

// A timer that is late by up to two milliseconds costs no rate; one that is later
// is not made up for by a burst.
func TestPacingLateTimers(t *testing.T) {
	const rate = 5_000_000
	for _, late := range []time.Duration{0, 500 * time.Microsecond, 1900 * time.Microsecond, 10 * time.Millisecond} {
		c, _ := pacedTCB(t, rate)
		now := c.Deadline()
		start, sent, burst := now, 0, 0
		for now.Sub(start) < 500*time.Millisecond {
			c.Advance(now)
			n, _ := emitAll(c, now, 65000)
			sent, burst = sent+n, max(burst, n)
			if d := c.Deadline(); d > now {
				now = d.Add(late)
			} else {
				t.Fatal("no deadline")
			}
		}
		got := int64(sent) * int64(time.Second) / int64(now.Sub(start))
		if late <= 2*time.Millisecond && (got < rate*95/100 || got > rate*105/100) {
			t.Errorf("%v late: %d octets a second", late, got)
		}
		if late > 2*time.Millisecond && got > rate/2 {
			t.Errorf("%v late: %d octets a second", late, got)
		}
		// Two milliseconds of credit, one ahead, and the last super-segment.
		if most := rate*3/1000 + rate/1000 + 1460; burst > most {
			t.Errorf("%v late: a burst of %d octets, at most %d", late, burst, most)
		}
	}
}

// A super-segment holds what leaves in a millisecond, and two segments at least.
func TestPacingBurst(t *testing.T) {
	for _, c := range []struct {
		rate uint64
		want int
	}{{1_000_000, 2920}, {5_000_000, 4380}, {20_000_000, 18980}, {1_000_000_000, 64240}} {
		p, _ := pacedTCB(t, c.rate)
		now := p.Deadline()
		p.Advance(now)
		if _, largest := emitAll(p, now, 65000); largest > c.want || largest < c.want-1460 {
			t.Errorf("%d octets a second: the largest super-segment holds %d, want %d", c.rate, largest, c.want)
		}
	}
}
