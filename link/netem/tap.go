package netem

import (
	"time"

	"github.com/handfast/handfast/pkt"
)

// Tap sees packets pass, to record them: each packet that Write takes, before
// the wire decides on it, and each copy that is delivered, as it arrives (with
// its mark, its flipped bit). What is sent and never delivered was dropped.
//
// A Tap must not keep or change the packet. It runs in the goroutine of the
// sender or of the delivery, without locks, at the same time for different
// places.
type Tap func(at time.Time, place Place, p *pkt.Packet)

// Place is where a Tap sees a packet. SentByA and DeliveredToA together are
// what a recorder at a's interface would see.
type Place uint8

// The places.
const (
	SentByA Place = iota
	DeliveredToB
	SentByB
	DeliveredToA
)

// String returns the place in words.
func (p Place) String() string {
	switch p {
	case SentByA:
		return "sent by a"
	case DeliveredToB:
		return "delivered to b"
	case SentByB:
		return "sent by b"
	case DeliveredToA:
		return "delivered to a"
	}
	return "unknown place"
}
