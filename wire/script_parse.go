package wire

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

// ScriptError says where a line of script notation went wrong.
type ScriptError struct {
	Text string // the whole line
	Pos  int    // offset of the offending byte
	Want string // what was expected there
}

// Error returns the expectation, the place and the line.
func (e *ScriptError) Error() string {
	return "wire: script: want " + e.Want + " at byte " + strconv.Itoa(e.Pos) + " of " + strconv.Quote(e.Text)
}

// ParseScript reads a line as Script describes it. Spaces may be more than one,
// or missing where no two words meet. The length must agree with the range of
// sequence numbers, and a segment with the ACK flag needs "ack". Padding in the
// options is skipped, and no option may come twice. The error is a
// *ScriptError.
func ParseScript(text string) (Script, error) {
	var s Script
	p := scriptParser{text: text}
	if s.Out = p.accept(">"); !s.Out {
		p.expect("<")
	}
	if p.accept("[") {
		s.ECN = p.codepoint()
		p.expect("]")
	}
	s.Flags = p.flags()
	p.sequence(&s)
	p.space()
	at := p.pos
	if p.keyword("ack") {
		s.Ack = p.number(math.MaxUint32)
	} else if s.Flags&FlagACK != 0 {
		p.fail(at, `"ack", because the ACK flag is set`)
	}
	if s.HasWin = p.keyword("win"); s.HasWin {
		s.Win = p.number(math.MaxUint32)
	}
	if p.keyword("urg") {
		s.Urg = uint16(p.number(math.MaxUint16))
	}
	if p.keyword("cut") {
		s.Cut = uint16(p.number(math.MaxUint16))
	}
	if p.accept("<") && !p.accept(">") {
		p.options(&s.Opts)
	}
	p.space()
	if p.pos != len(text) {
		p.fail(p.pos, "nothing more")
	}
	if p.err != nil {
		return Script{}, p.err
	}
	return s, nil
}

// scriptParser is a cursor over a line. After the first failure nothing is
// consumed any more, so that callers need to look at err only once.
type scriptParser struct {
	text string
	pos  int
	err  *ScriptError
}

func (p *scriptParser) fail(at int, want string) {
	if p.err == nil {
		p.err = &ScriptError{Text: p.text, Pos: at, Want: want}
	}
}

func (p *scriptParser) rest() string {
	if p.err != nil {
		return ""
	}
	return p.text[p.pos:]
}

func (p *scriptParser) space() {
	for strings.HasPrefix(p.rest(), " ") || strings.HasPrefix(p.rest(), "\t") {
		p.pos++
	}
}

// accept consumes a literal if it comes next.
func (p *scriptParser) accept(lit string) bool {
	p.space()
	if p.err != nil || !strings.HasPrefix(p.rest(), lit) {
		return false
	}
	p.pos += len(lit)
	return true
}

func (p *scriptParser) expect(lit string) {
	if !p.accept(lit) {
		p.fail(p.pos, strconv.Quote(lit))
	}
}

// span returns the length of the run of letters and digits that comes next.
func (p *scriptParser) span() int {
	r := p.rest()
	for i := range len(r) {
		if c := r[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return i
		}
	}
	return len(r)
}

// word consumes a run of letters and digits, perhaps empty.
func (p *scriptParser) word() string {
	p.space()
	w := p.rest()[:p.span()]
	p.pos += len(w)
	return w
}

// keyword consumes a whole word if it comes next.
func (p *scriptParser) keyword(w string) bool {
	p.space()
	if n := p.span(); n == 0 || p.rest()[:n] != w {
		return false
	}
	p.pos += len(w)
	return true
}

// number consumes a decimal number of at most limit.
func (p *scriptParser) number(limit uint32) uint32 {
	p.space()
	at := p.pos
	r := p.rest()
	n := 0
	for n < len(r) && r[n] >= '0' && r[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(r[:n], 10, 32)
	if err != nil || v > uint64(limit) {
		p.fail(at, "a number up to "+strconv.FormatUint(uint64(limit), 10))
		return 0
	}
	p.pos += n
	return uint32(v)
}

// codepoint reads the name of an ECN field.
func (p *scriptParser) codepoint() uint8 {
	p.space()
	at := p.pos
	switch p.word() {
	case "noecn":
		return NotECT
	case "ect0":
		return ECT0
	case "ect1":
		return ECT1
	case "ce":
		return CE
	}
	p.fail(at, "ect0, ect1, ce or noecn")
	return NotECT
}

func (p *scriptParser) flags() (f TCPFlags) {
	p.space()
	if p.accept("-") {
		return 0
	}
	at := p.pos
	for range flagLetters { // each letter once
		r := p.rest()
		if r == "" {
			break
		}
		for _, l := range flagLetters {
			if r[0] == l.letter && f&l.flag == 0 {
				f |= l.flag
				p.pos++
				break
			}
		}
	}
	if p.pos == at {
		p.fail(at, "flags of SFRP.UEWA, or -")
	}
	return f
}

// sequence reads "first:end(length)".
func (p *scriptParser) sequence(s *Script) {
	s.Seq = p.number(math.MaxUint32)
	p.expect(":")
	p.space()
	at := p.pos
	end := p.number(math.MaxUint32)
	p.expect("(")
	s.Len = p.number(math.MaxUint32)
	p.expect(")")
	if end != s.Seq+s.Len {
		p.fail(at, "end "+strconv.FormatUint(uint64(s.Seq+s.Len), 10)+", which is begin and length")
	}
}

// options reads up to the closing bracket.
func (p *scriptParser) options(o *TCPOptions) {
	for range maxOptionSteps {
		p.option(o)
		if p.accept(">") {
			return
		}
		p.expect(",")
	}
	p.fail(p.pos, "no more than 40 options")
}

// once notes that o has an option, and fails if it had it.
func (p *scriptParser) once(at int, o *TCPOptions, bit OptionSet) {
	if o.Has&bit != 0 {
		p.fail(at, "another option: this one is there already")
	}
	o.Has |= bit
}

func (p *scriptParser) option(o *TCPOptions) {
	p.space()
	at := p.pos
	switch p.word() {
	case "nop", "eol":
	case "bad":
		p.once(at, o, HasBad)
	case "mss":
		p.once(at, o, HasMSS)
		o.MSS = uint16(p.number(math.MaxUint16))
	case "wscale":
		p.once(at, o, HasWScale)
		o.WScale = uint8(p.number(math.MaxUint8))
	case "sackOK":
		p.once(at, o, HasSACKPermitted)
	case "TS":
		p.once(at, o, HasTimestamps)
		p.expect("val")
		o.TSVal = p.number(math.MaxUint32)
		p.expect("ecr")
		o.TSEcr = p.number(math.MaxUint32)
	case "sack":
		p.once(at, o, HasSACK)
		p.sack(o)
	case "uto":
		p.once(at, o, HasUTO)
		o.UTO = uint16(p.number(utoMinutes - 1))
		if p.accept("m") {
			o.UTO |= utoMinutes
		} else {
			p.expect("s")
		}
	case "FO":
		p.once(at, o, HasFastOpen)
		p.cookie(o)
	case "ECN":
		p.once(at, o, HasAccECN)
		p.accECN(o)
	default:
		p.fail(at, "an option: mss, wscale, sackOK, TS, sack, uto, FO, ECN, nop, eol or bad")
	}
}

func (p *scriptParser) sack(o *TCPOptions) {
	for i := range MaxSACK {
		o.SACK[i][0] = p.number(math.MaxUint32)
		p.expect(":")
		o.SACK[i][1] = p.number(math.MaxUint32)
		o.NSACK++
		p.space()
		if r := p.rest(); r == "" || r[0] < '0' || r[0] > '9' {
			return
		}
	}
}

func (p *scriptParser) cookie(o *TCPOptions) {
	p.space()
	at := p.pos
	c, err := hex.DecodeString(p.word())
	if n := len(c); err != nil || n > MaxFastOpen || n%2 != 0 || n > 0 && n < minFastOpen {
		p.fail(at, "a cookie of 4 to 16 bytes, even, in hexadecimal")
		return
	}
	o.NFastOpen = uint8(copy(o.FastOpen[:], c))
}

func (p *scriptParser) accECN(o *TCPOptions) {
	order := 0
	if p.keyword(accECNNames[1][0]) {
		order = 1
		p.space()
		if r := p.rest(); r == "" || r[0] < '0' || r[0] > '9' {
			o.AccECNOrder = 1
			return
		}
	} else if !p.keyword(accECNNames[0][0]) {
		return
	}
	o.AccECNOrder = uint8(order)
	for i := range MaxAccECN {
		o.AccECN[i] = p.number(1<<24 - 1)
		o.NAccECN++
		if i+1 == MaxAccECN || !p.keyword(accECNNames[order][i+1]) {
			return
		}
	}
}
