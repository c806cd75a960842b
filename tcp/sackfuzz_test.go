package tcp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// sackOracle knows of each octet whether the peer has SACKed it, as RFC 2018 §5 and
// RFC 2883 §4 put it, and nothing else.
type sackOracle struct {
	una, max Seq
	sacked   map[Seq]bool
}

// ack is what an ACK means.
func (o *sackOracle) ack(s *Segment) {
	if s.ACK.Less(o.una) || o.max.Less(s.ACK) {
		return
	}
	for ; o.una != s.ACK; o.una++ {
		delete(o.sacked, o.una)
	}
	block := func(i int) (Seq, Seq) { return Seq(s.Opts.SACK[i][0]), Seq(s.Opts.SACK[i][1]) }
	for i := range int(s.Opts.NSACK) {
		from, to := block(i)
		if !from.Less(to) {
			continue
		}
		if i == 0 { // a D-SACK?
			if to.LessEq(s.ACK) {
				continue
			}
			if s.Opts.NSACK > 1 {
				if a, b := block(1); a.LessEq(from) && to.LessEq(b) {
					continue
				}
			}
		}
		if !o.una.Less(from) || o.max.Less(to) || to.Sub(o.una) <= 0 {
			continue
		}
		for q := from; q != to; q++ {
			o.sacked[q] = true
		}
	}
}

// compare looks for differences, and for what a scoreboard must never be.
func (o *sackOracle) compare(c *TCB) error {
	b := &c.out.board
	var sacked, lost uint32
	n := 0
	at := c.snd.UNA
	for i := range b.spans {
		s := &b.spans[i]
		if s.start.Less(at) || !s.start.Less(s.end) || c.snd.MAX.Less(s.end) || i > 0 && b.spans[i-1].joins(s) {
			return fmt.Errorf("span %d is %v after %d, UNA %d, MAX %d", i, *s, at, c.snd.UNA, c.snd.MAX)
		}
		at = s.end
		switch {
		case s.kind == spanSACKed:
			sacked += uint32(s.end - s.start)
			for q := s.start; q != s.end; q++ {
				if !o.sacked[q] {
					return fmt.Errorf("octet %d after UNA is SACKed", q-c.snd.UNA)
				}
				n++
			}
		case s.kind.isLost():
			lost += uint32(s.end - s.start)
		case s.kind == spanAgain && !c.out.again.has(s.record):
			return fmt.Errorf("span %v names a record that is gone", *s)
		}
	}
	if n != len(o.sacked) {
		return fmt.Errorf("%d octets are SACKed, want %d", n, len(o.sacked))
	}
	if sacked != b.sacked || lost != b.lost {
		return fmt.Errorf("%d SACKed and %d lost, counted %d and %d", sacked, lost, b.sacked, b.lost)
	}
	if b.lost > 0 && b.firstLost() == nil {
		return fmt.Errorf("%d lost, and none is found", b.lost)
	}
	return nil
}

// playSACK lets a peer say anything, 12 bytes at a time.
func playSACK(data []byte, noRACK bool) error {
	cfg := DefaultConfig(ProfileLinux)
	cfg.NoTimestamps, cfg.NoRACK, cfg.InitialWindow, cfg.NoPacing = true, noRACK, 40, true
	c, now := new(TCB), mono.Start
	var seg Segment
	c.Open(now, cfg, &Params{ID: 1, ISS: 1<<32 - 2500, MSS: 160})
	for c.Emit(now, &seg, 0) {
		continue
	}
	c.Arrive(now, &Segment{SEQ: 99, ACK: c.snd.ISS + 1, WND: 6000, Flags: wire.FlagSYN | wire.FlagACK,
		Opts: wire.TCPOptions{Has: wire.HasMSS | wire.HasSACKPermitted, MSS: 160}})
	o := &sackOracle{sacked: map[Seq]bool{}}
	for step := 0; len(data) >= 12; step++ {
		if c.Queued() < 10_000 {
			c.Queue(now, pkt.Bytes(make([]byte, 3000)))
		}
		for c.Emit(now, &seg, uint32(data[0])<<3) {
			continue
		}
		o.una, o.max = c.snd.UNA, c.snd.MAX
		if err := c.Check(now); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		in := Segment{SEQ: 100, ACK: c.snd.UNA, WND: 6000, Flags: wire.FlagACK}
		in.Opts.Has, in.Opts.NSACK = wire.HasSACK, data[1]&7%5
		if data[1]&8 != 0 { // of something, or beyond everything
			in.ACK = in.ACK.Add(int(int8(data[2])) * 40)
		}
		for i := range int(in.Opts.NSACK) {
			v := binary.BigEndian.Uint16(data[3+2*i:])
			from := c.snd.UNA.Add(int(v>>3)%7000 - 700)
			n := uint32(v&7) * 80
			switch data[11] >> i & 9 {
			case 1:
				n += 1 << 31 // reversed, or half the sequence space long
			case 8:
				n++
			}
			in.Opts.SACK[i] = [2]uint32{uint32(from), uint32(from) + n}
		}
		o.ack(&in)
		c.Arrive(now, &in)
		if err := o.compare(c); err != nil {
			return fmt.Errorf("step %d, after %v: %w", step, &in, err)
		}
		now = now.Add(time.Duration(data[2]) * time.Millisecond)
		if d := c.Deadline(); d != 0 && d <= now {
			before := c.expiries
			c.Advance(now)
			if c.expiries != before && o.sacked[c.snd.UNA] { // the peer reneges
				clear(o.sacked)
			}
			if c.state == Closed {
				return nil
			}
		}
		data = data[12:]
	}
	return nil
}

// FuzzSACK compares the scoreboard with a map of octets, whatever a peer says:
// random, overlapping, outside, reversed, empty, D-SACKs, going back on it. T-RES-07.
func FuzzSACK(f *testing.F) {
	f.Add([]byte("012345678901234567890123"), false)
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		b := make([]byte, 12*60)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, noRACK bool) {
		if len(data) > 12*2000 {
			data = data[:12*2000]
		}
		if err := playSACK(data, noRACK); err != nil {
			t.Fatal(err)
		}
	})
}

// The same with more of it.
func TestSACKAgainstOctets(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 8))
		b := make([]byte, 12*500)
		for i := range b {
			b[i] = byte(r.Uint32())
			if i%12 == 2 && r.IntN(4) > 0 {
				b[i] = byte(r.IntN(4)) // mostly little time
			}
		}
		if err := playSACK(b, seed%2 == 0); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
