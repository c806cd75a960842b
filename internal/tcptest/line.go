package tcptest

import (
	"strings"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// line is a segment in script notation with relative numbers.
type line struct {
	wire.Script
	hasOpts bool // of one that was read: options were written
}

// parse reads a line of a test.
func parse(text string) (line, error) {
	s, err := wire.ParseScript(text)
	return line{Script: s, hasOpts: strings.Contains(text[min(1, len(text)):], "<")}, err
}

// direction of a line: whose sequence numbers it has.
type direction bool

const (
	outgoing direction = true
	incoming direction = false
)

// bases returns the ISN that counts for SEQ and the one for ACK.
func (p *Conn) bases(d direction) (seq, ack uint32) {
	if d == outgoing {
		return uint32(p.iss), uint32(p.irs)
	}
	return uint32(p.irs), uint32(p.iss)
}

// relative turns a segment into a line.
func (p *Conn) relative(seg *tcp.Segment, d direction) line {
	l := line{Script: seg.Script(bool(d)), hasOpts: true}
	seq, ack := p.bases(d)
	l.Seq -= seq
	if seg.Has(wire.FlagACK) {
		l.Ack -= ack
	}
	for i := range l.Opts.SACK[:l.Opts.NSACK] {
		l.Opts.SACK[i][0] -= ack
		l.Opts.SACK[i][1] -= ack
	}
	return l
}

// absolute turns a line into a segment without data.
func (p *Conn) absolute(l *line, seg *tcp.Segment) {
	seq, ack := p.bases(direction(l.Out))
	seg.SEQ, seg.ACK = tcp.Seq(l.Seq+seq), tcp.Seq(l.Ack)
	if l.Flags&wire.FlagACK != 0 {
		seg.ACK += tcp.Seq(ack)
	}
	seg.Flags, seg.WND, seg.UP, seg.ECN = l.Flags, uint16(l.Win), l.Urg, l.ECN
	seg.Segs = 1
	if l.Cut > 0 {
		seg.Segs = uint16((l.Len + uint32(l.Cut) - 1) / uint32(l.Cut))
	}
	seg.Opts = l.Opts
	for i := range seg.Opts.SACK[:seg.Opts.NSACK] {
		seg.Opts.SACK[i][0] += ack
		seg.Opts.SACK[i][1] += ack
	}
}

// matches reports whether got is what the line wants.
func (want *line) matches(got *line) bool {
	if want.Flags != got.Flags || want.ECN != got.ECN || want.Seq != got.Seq || want.Len != got.Len || want.Ack != got.Ack ||
		want.Urg != got.Urg || want.Cut != got.Cut || want.HasWin && want.Win != got.Win {
		return false
	}
	if !want.hasOpts {
		return true
	}
	var a, b [wire.TCPMaxOptLen]byte
	n, m := want.Opts.Put(a[:]), got.Opts.Put(b[:])
	return string(a[:n]) == string(b[:m])
}

// octet is the value of the octet with a relative number: a multiplicative
// hash, so that no shift by a few octets or by a segment's size fits.
func octet(number uint32, d direction) byte {
	b := byte(number * 2654435761 >> 24)
	if d == outgoing {
		return b
	}
	return ^b
}

func fill(b []byte, number uint32, d direction) {
	for i := range b {
		b[i] = octet(number+uint32(i), d)
	}
}

// check compares octets with the pattern.
func (p *Conn) check(b []byte, number uint32, d direction, where string) {
	p.t.Helper()
	for i := range b {
		if b[i] != octet(number+uint32(i), d) {
			p.fatalf("%s: octet %d of the stream is %#02x, want %#02x", where, number+uint32(i), b[i],
				octet(number+uint32(i), d))
		}
	}
}
