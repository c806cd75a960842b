package wire

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// Script is a TCP segment as one line of text, in the notation of packetdrill
// with two additions, "cut" and the flag A:
//
//	> P. 1:5001(5000) ack 1 win 1000 urg 5 cut 1000 <nop,nop,TS val 10 ecr 7>
//
// The arrow says whether the segment leaves (>) or arrives (<); then come the
// codepoint of the IP header's ECN field in brackets, unless it is Not-ECT:
// [ect0], [ect1] or [ce]; the flags as TCPFlags.AppendTo writes them, the range of sequence numbers with
// its length in octets of data (SYN and FIN do not count), and what else there
// is in this order. Numbers are decimal and as on the wire or relative to
// whatever the reader has agreed on.
//
// Options are written as they lie in the header, padding included:
//
//	mss 1460   sackOK   TS val 10 ecr 0   nop   wscale 7   sack 1:2 5:9
//	uto 90s   uto 5m   FO   FO 0123456789abcdef   ECN e0b 1 ceb 0 e1b 1
//
// FO without digits asks for a cookie. ECN counters come in wire order, so
// "e1b 1 ceb 0 e0b 1" is the other kind; "ECN e1b" is that kind without any
// counter. "bad" stands for an illegal length and "opt 253 0a0b" for an option
// that is not understood; the latter is written but not read.
type Script struct {
	Out    bool  // leaves: ">"
	HasWin bool  // Win counts
	ECN    uint8 // NotECT, ECT1, ECT0 or CE
	Flags  TCPFlags
	Urg    uint16 // urgent pointer; written with FlagURG or when not 0
	Cut    uint16 // bytes per wire segment of a super-segment, 0 for an ordinary one
	Seq    uint32
	Len    uint32 // octets of data
	Ack    uint32 // written with FlagACK or when not 0
	Win    uint32 // may be scaled, hence beyond 65535
	Opts   TCPOptions
}

// AppendText appends the line, without an end of line, and allocates only if
// dst has no room. Options that do not fit into a header are left out, as
// TCPOptions.Put does.
func (s *Script) AppendText(dst []byte) []byte {
	if s.Out {
		dst = append(dst, "> "...)
	} else {
		dst = append(dst, "< "...)
	}
	dst = append(dst, ecnMarks[s.ECN&ECNMask]...)
	dst = s.Flags.AppendTo(dst)
	dst = appendNum(append(dst, ' '), s.Seq)
	dst = appendNum(append(dst, ':'), s.Seq+s.Len)
	dst = appendNum(append(dst, '('), s.Len)
	dst = append(dst, ')')
	if s.Flags&FlagACK != 0 || s.Ack != 0 {
		dst = appendNum(append(dst, " ack "...), s.Ack)
	}
	if s.HasWin {
		dst = appendNum(append(dst, " win "...), s.Win)
	}
	if s.Flags&FlagURG != 0 || s.Urg != 0 {
		dst = appendNum(append(dst, " urg "...), uint32(s.Urg))
	}
	if s.Cut != 0 {
		dst = appendNum(append(dst, " cut "...), uint32(s.Cut))
	}
	var raw [TCPMaxOptLen]byte
	n := s.Opts.Put(raw[:])
	if n == 0 && s.Opts.Has&HasBad == 0 {
		return dst
	}
	dst = AppendOptions(append(dst, " <"...), raw[:n])
	if s.Opts.Has&HasBad != 0 {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, "bad"...)
	}
	return append(dst, '>')
}

// ecnMarks are the codepoints as they are written.
var ecnMarks = [4]string{ECT1: "[ect1] ", ECT0: "[ect0] ", CE: "[ce] "}

// String returns the line AppendText writes.
func (s *Script) String() string {
	var b [256]byte
	return string(s.AppendText(b[:0]))
}

func appendNum(dst []byte, n uint32) []byte { return strconv.AppendUint(dst, uint64(n), 10) }

// AppendOptions appends the text form of the raw options of a TCP header, as
// Script describes it, without the angle brackets.
func AppendOptions(dst, raw []byte) []byte {
	for i := range maxOptionSteps {
		if len(raw) == 0 {
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		switch raw[0] {
		case TCPOptEOL:
			return append(dst, "eol"...)
		case TCPOptNOP:
			dst = append(dst, "nop"...)
			raw = raw[1:]
			continue
		}
		if len(raw) < 2 || raw[1] < 2 || int(raw[1]) > len(raw) {
			return append(dst, "bad"...)
		}
		n := int(raw[1])
		dst = appendOption(dst, raw[0], raw[2:n])
		raw = raw[n:]
	}
	return dst
}

// appendOption writes one option of legal length; of a kind that is not
// understood, or not with this length, its number and bytes.
func appendOption(dst []byte, kind byte, data []byte) []byte {
	n := len(data)
	switch {
	case kind == TCPOptMSS && n == 2:
		return appendNum(append(dst, "mss "...), uint32(binary.BigEndian.Uint16(data)))
	case kind == TCPOptWScale && n == 1:
		return appendNum(append(dst, "wscale "...), uint32(data[0]))
	case kind == TCPOptSACKPermitted && n == 0:
		return append(dst, "sackOK"...)
	case kind == TCPOptTimestamps && n == 8:
		dst = appendNum(append(dst, "TS val "...), binary.BigEndian.Uint32(data))
		return appendNum(append(dst, " ecr "...), binary.BigEndian.Uint32(data[4:]))
	case kind == TCPOptSACK && n > 0 && n%8 == 0:
		dst = append(dst, "sack"...)
		for ; len(data) > 0; data = data[8:] {
			dst = appendNum(append(dst, ' '), binary.BigEndian.Uint32(data))
			dst = appendNum(append(dst, ':'), binary.BigEndian.Uint32(data[4:]))
		}
		return dst
	case kind == TCPOptUTO && n == 2:
		v := binary.BigEndian.Uint16(data)
		dst = appendNum(append(dst, "uto "...), uint32(v&^utoMinutes))
		if v&utoMinutes != 0 {
			return append(dst, 'm')
		}
		return append(dst, 's')
	case kind == TCPOptFastOpen && n == 0:
		return append(dst, "FO"...)
	case kind == TCPOptFastOpen && n >= minFastOpen && n <= MaxFastOpen && n%2 == 0:
		return hex.AppendEncode(append(dst, "FO "...), data)
	case (kind == TCPOptAccECN0 || kind == TCPOptAccECN1) && n%3 == 0 && n <= 3*MaxAccECN:
		return appendAccECN(dst, int(kind-TCPOptAccECN0)/2, data)
	}
	dst = appendNum(append(dst, "opt "...), uint32(kind))
	if n > 0 {
		dst = hex.AppendEncode(append(dst, ' '), data)
	}
	return dst
}

// accECNNames are the names of the counters by order and place.
var accECNNames = [2][MaxAccECN]string{{"e0b", "ceb", "e1b"}, {"e1b", "ceb", "e0b"}}

func appendAccECN(dst []byte, order int, data []byte) []byte {
	dst = append(dst, "ECN"...)
	if len(data) == 0 && order != 0 {
		return append(append(dst, ' '), accECNNames[order][0]...)
	}
	for i := range len(data) / 3 {
		p := data[3*i : 3*i+3]
		dst = append(append(dst, ' '), accECNNames[order][i]...)
		dst = appendNum(append(dst, ' '), uint32(p[0])<<16|uint32(p[1])<<8|uint32(p[2]))
	}
	return dst
}
