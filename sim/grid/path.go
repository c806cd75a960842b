package grid

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/handfast/handfast/netem"
)

// Path is a bottleneck between a sender and a receiver. Data meets it in one
// direction; ACKs come back at the same rate and delay, and are not lost.
type Path struct {
	Rate int64         // bits per second, counted over IP packets
	RTT  time.Duration // without queueing and transmission: half of it each way
	// Queue is the room of the bottleneck in percent of the bandwidth-delay
	// product; it holds 16 packets at least.
	Queue   int
	Loss    int // parts per million of data packets lost at random
	Reorder int // parts per million of data packets held back so that others overtake them
	// GRO makes the receiver's device wait for 64 KiB and glue what it can, so
	// that one ACK answers some 45 segments.
	GRO bool
	// Plain leaves the bounds of buffers as they are by default, also where
	// they are what limits a flow.
	Plain bool
}

const (
	mtu        = 1500          // bytes of a full packet
	headers    = 20 + 20 + 12  // of IPv4 and TCP, with timestamps
	payload    = mtu - headers // bytes of data in a full packet
	minQueue   = 16            // packets
	groBytes   = 64<<10 - 1    // that a receiver glues
	maxGROWait = 50 * time.Millisecond
	ppm        = 1_000_000
)

// Segments is the bandwidth-delay product in full packets, rounded down.
func (p Path) Segments() int {
	return int(p.Rate / 8 * int64(p.RTT/time.Microsecond) / ppm / mtu)
}

// queue is the room of the bottleneck in packets. The time that a receiver's
// device waits counts as part of the round trip here.
func (p Path) queue() int {
	waiting := p.Rate / 8 * int64(p.groWait()/time.Microsecond) / ppm / mtu
	return max((p.Segments()+int(waiting))*p.Queue/100, minQueue)
}

// capacity is how many bytes of payload the bottleneck lets through in d.
func (p Path) capacity(d time.Duration) uint64 {
	return uint64(p.Rate/8) * uint64(d/time.Millisecond) / 1000 * payload / mtu
}

// wire returns the two directions.
func (p Path) wire() (data, acks netem.Config) {
	acks = netem.Config{Rate: p.Rate, Delay: p.RTT / 2}
	data = acks
	data.QueuePackets = p.queue()
	data.Loss = netem.PPM(p.Loss)
	if p.Reorder > 0 {
		data.Reorder = netem.PPM(p.Reorder)
		data.MinHold, data.MaxHold = p.RTT/20, p.RTT/5
	}
	return data, acks
}

// groWait is how long the receiver's device waits: as long as 64 KiB take.
func (p Path) groWait() time.Duration {
	if !p.GRO {
		return 0
	}
	return min(time.Duration(groBytes*8*int64(time.Second)/p.Rate), maxGROWait)
}

// maxGRO is the largest packet that the receiver's device glues, 0 for none.
func (p Path) maxGRO() int {
	if !p.GRO {
		return 0
	}
	return groBytes
}

// String names the path: "100M 20ms q1 loss 0.01% gro".
func (p Path) String() string {
	s := fmt.Sprintf("%s %v q%s", rateText(p.Rate), p.RTT, hundredths(p.Queue))
	if p.Loss > 0 {
		s += " loss " + lossText(p.Loss)
	}
	if p.Reorder > 0 {
		s += " reorder " + lossText(p.Reorder)
	}
	if p.GRO {
		s += " gro"
	}
	if p.Plain {
		s += " plain"
	}
	return s
}

// Seed is the path's luck: a function of its name, so that all algorithms meet
// the same.
func (p Path) Seed() uint64 {
	h := fnv.New64a()
	h.Write([]byte(p.String()))
	return h.Sum64()
}

func rateText(r int64) string {
	if r%1_000_000_000 == 0 {
		return fmt.Sprintf("%dG", r/1_000_000_000)
	}
	return fmt.Sprintf("%dM", r/1_000_000)
}

// lossText writes parts per million as a percentage without needless zeros.
func lossText(n int) string {
	s := fmt.Sprintf("%d.%04d", n/10_000, n%10_000)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s + "%"
}

// hundredths writes a number of hundredths without needless zeros.
func hundredths(n int) string {
	if n%100 == 0 {
		return fmt.Sprint(n / 100)
	}
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}
