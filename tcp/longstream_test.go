package tcp

import (
	"testing"

	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// established returns an ESTABLISHED TCB without options, for tests that look
// at its fields.
func established(t *testing.T) *pair {
	cfg := DefaultConfig(ProfileRFC)
	cfg.NoTimestamps, cfg.NoSACK = true, true
	p := newPair(t, cfg)
	for p.a.State() != Established || p.b.State() != Established {
		if !p.step() {
			t.Fatal("no handshake")
		}
	}
	return p
}

// A loss long after the last one is repaired by fast retransmit, however many
// sequence numbers lie between: RFC 6582's recover must not fall behind by half
// the number space.
func TestFastRetransmitManyGigabytesAfterALoss(t *testing.T) {
	p := established(t)
	c := &p.a
	c.recover = c.snd.UNA
	step := Seq(1 << 30)
	for range 3 { // 3 GiB pass without a loss
		c.snd.NXT, c.snd.MAX = c.snd.NXT+step, c.snd.MAX+step
		c.snd.queue.end += step
		c.bytesOut += uint64(step)
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: c.snd.MAX, WND: 1000, Flags: wire.FlagACK})
	}
	c.Queue(p.now, pkt.Bytes(make([]byte, 10*1460)))
	var s Segment
	c.Emit(p.now, &s, 0)
	una := c.snd.UNA
	for range 4 {
		c.Arrive(p.now, &Segment{SEQ: c.rcv.NXT, ACK: una, WND: 1000, Flags: wire.FlagACK})
	}
	if !c.has(fRecovery) {
		t.Errorf("three duplicate ACKs 3 GiB after the last loss started no recovery")
	}
}

// Urgent data that was read long ago is not ahead again when the sequence
// numbers have gone half way round.
func TestUrgentDataStaysReadManyGigabytesLater(t *testing.T) {
	p := established(t)
	c := &p.b
	at := c.rcv.NXT
	seg := Segment{SEQ: at, ACK: c.snd.UNA, WND: 1000, UP: 1, Flags: wire.FlagACK | wire.FlagURG, Data: pkt.View{pkt.Bytes([]byte{1})}}
	c.Arrive(p.now, &seg)
	if n, ok := c.Urgent(); !ok || n != 1 {
		t.Fatalf("urgent: %d, %v", n, ok)
	}
	var refs [1]pkt.Ref
	c.Take(1, refs[:])
	c.rcv.NXT += 1<<31 + 5
	if n, ok := c.Urgent(); ok {
		t.Errorf("2 GiB later %d bytes are urgent", n)
	}
}
