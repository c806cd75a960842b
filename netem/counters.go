package netem

import "strconv"

// Reason says why a packet was dropped.
type Reason uint8

// The reasons. Delivered, the zero Reason, is none.
const (
	Delivered      Reason = iota
	DroppedDown           // the wire was down
	DroppedMTU            // larger than the MTU or MaxPacket
	DroppedPoliced        // over the policer's rate and burst
	DroppedQueue          // the queue before the transmitter was full
	DroppedLoss           // lost by itself
	DroppedBurst          // lost by the two-state model of Burst
	NumReasons            // how many there are
)

var reasonNames = [NumReasons]string{
	"delivered", "down", "mtu", "policed", "queue", "loss", "burst",
}

// String returns the reason's short name, as counters print it.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

// Counters is what happened on a Wire so far. At every moment
// Packets = Passed + Drops().
type Counters struct {
	Packets uint64 // packets sent into the wire
	Bytes   uint64 // their bytes
	Passed  uint64 // packets that arrive at least once

	Duplicated uint64 // passed packets that arrive twice
	Held       uint64 // passed packets held back to be overtaken
	Corrupted  uint64 // passed packets with a bit flipped
	Marked     uint64 // passed packets to be marked CE

	// Dropped counts by Reason; Dropped[Delivered] stays 0.
	Dropped [NumReasons]uint64

	// QueuePeak is the most bytes that ever waited for the transmitter.
	QueuePeak uint64
}

// Drops returns the number of packets dropped for any reason.
func (c *Counters) Drops() uint64 {
	var n uint64
	for _, d := range c.Dropped {
		n += d
	}
	return n
}
