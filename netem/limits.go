package netem

import "time"

// Every bound of this package. Config.Validate reports a value beyond its
// bound; New and SetConfig use the nearest allowed one instead.
const (
	// MaxCopies is how many deliveries one packet can have.
	MaxCopies = 2
	// MaxPacket is the largest packet a Wire carries, in bytes, whatever its
	// MTU says: a super-segment with headers fits.
	MaxPacket = 1 << 20
	// MaxRate is the fastest transmitter and policer, in bits per second.
	MaxRate = 10_000_000_000_000
	// MaxDelay bounds Delay, Jitter, MinHold and MaxHold each.
	MaxDelay = time.Hour
	// MaxBacklog bounds the time a packet waits for the transmitter. Whoever
	// would wait longer is dropped as by a full queue.
	MaxBacklog = time.Hour
	// MaxQueuePackets and MaxQueueBytes bound what waits for the transmitter,
	// also when the Config has no bounds of its own, and CEAbove.
	MaxQueuePackets = 1 << 16
	MaxQueueBytes   = 1 << 30
	// MaxBurst bounds the depth of the policer's bucket, in bytes.
	MaxBurst = 1 << 27

	// MinDelay and FastRate are what ForVirtualTime puts in place of nothing.
	MinDelay = time.Microsecond
	FastRate = 100_000_000_000

	// DefaultMinHold and DefaultMaxHold apply when Reorder is set and both
	// holds are zero.
	DefaultMinHold = time.Millisecond
	DefaultMaxHold = 10 * time.Millisecond

	maxText     = 1 << 10 // bytes that ParseConfig looks at
	maxDecimals = 9       // digits after the point in a number
	firstRing   = 64      // entries of the first ring of waiting packets
)
