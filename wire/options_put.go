package wire

import "encoding/binary"

// layout is what of a TCPOptions fits into 40 bytes. Options of fixed size
// (24 bytes at most) always do; then SACK blocks, the cookie and the AccECN
// counters take what is left, in that order.
type layout struct {
	total  int // bytes, a multiple of four
	sack   int // blocks
	accECN int // counters, -1 for no option
	cookie bool
}

func (o *TCPOptions) layout() (l layout) {
	if o.Has&HasMSS != 0 {
		l.total += 4
	}
	if o.Has&HasTimestamps != 0 {
		l.total += 12
	} else if o.Has&HasSACKPermitted != 0 {
		l.total += 4
	}
	if o.Has&HasWScale != 0 {
		l.total += 4
	}
	if o.Has&HasUTO != 0 {
		l.total += 4
	}
	if o.Has&HasSACK != 0 {
		l.sack = min(int(o.NSACK), MaxSACK, (TCPMaxOptLen-l.total-4)/8)
		if l.sack > 0 {
			l.total += 4 + 8*l.sack
		}
	}
	if o.Has&HasFastOpen != 0 {
		n := align4(2 + min(int(o.NFastOpen), MaxFastOpen))
		if l.cookie = l.total+n <= TCPMaxOptLen; l.cookie {
			l.total += n
		}
	}
	l.accECN = -1
	if room := TCPMaxOptLen - l.total; o.Has&HasAccECN != 0 && room >= 4 {
		l.accECN = min(int(o.NAccECN), MaxAccECN, (room-2)/3)
		l.total += align4(2 + 3*l.accECN)
	}
	return l
}

func align4(n int) int { return (n + 3) &^ 3 }

// Len returns how many bytes Put writes: a multiple of four, at most 40.
func (o *TCPOptions) Len() int { l := o.layout(); return l.total }

// Put writes the options o has into b, which must have room for Len bytes, and
// returns that number. The order is Linux': MSS, SACK-permitted with timestamps
// filling its two bytes of padding, window scale; then user timeout, SACK
// blocks, fast open cookie, AccECN counters. If they need more than 40 bytes,
// SACK blocks are left out from the last, then the cookie, then counters.
// Padding is by NOPs, so nothing follows an end of list (RFC 9293 MUST-69).
// Which option belongs on which segment is the caller's affair.
func (o *TCPOptions) Put(b []byte) int {
	l := o.layout()
	p := b[:0:l.total]
	if o.Has&HasMSS != 0 {
		p = append(p, TCPOptMSS, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	switch {
	case o.Has&HasTimestamps != 0:
		if o.Has&HasSACKPermitted != 0 {
			p = append(p, TCPOptSACKPermitted, 2)
		} else {
			p = append(p, TCPOptNOP, TCPOptNOP)
		}
		p = append(p, TCPOptTimestamps, 10)
		p = binary.BigEndian.AppendUint32(p, o.TSVal)
		p = binary.BigEndian.AppendUint32(p, o.TSEcr)
	case o.Has&HasSACKPermitted != 0:
		p = append(p, TCPOptNOP, TCPOptNOP, TCPOptSACKPermitted, 2)
	}
	if o.Has&HasWScale != 0 {
		p = append(p, TCPOptNOP, TCPOptWScale, 3, o.WScale)
	}
	if o.Has&HasUTO != 0 {
		p = append(p, TCPOptUTO, 4, byte(o.UTO>>8), byte(o.UTO))
	}
	if l.sack > 0 {
		p = append(p, TCPOptNOP, TCPOptNOP, TCPOptSACK, byte(2+8*l.sack))
		for i := range l.sack {
			p = binary.BigEndian.AppendUint32(p, o.SACK[i][0])
			p = binary.BigEndian.AppendUint32(p, o.SACK[i][1])
		}
	}
	if l.cookie {
		n := min(int(o.NFastOpen), MaxFastOpen)
		p = append(p, TCPOptFastOpen, byte(2+n))
		p = append(p, o.FastOpen[:n]...)
		p = padNOP(p)
	}
	if l.accECN >= 0 {
		p = append(p, TCPOptAccECN0+2*(o.AccECNOrder&1), byte(2+3*l.accECN))
		for _, c := range o.AccECN[:l.accECN] {
			p = append(p, byte(c>>16), byte(c>>8), byte(c))
		}
		p = padNOP(p)
	}
	return len(p)
}

// padNOP fills up to a multiple of four; what came before began on one.
func padNOP(p []byte) []byte {
	for len(p)%4 != 0 {
		p = append(p, TCPOptNOP)
	}
	return p
}
