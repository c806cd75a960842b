package wire

import (
	"strings"
	"testing"
)

func TestScriptRoundTrip(t *testing.T) {
	ack := func(s Script) Script { s.Flags |= FlagACK; return s }
	for _, c := range []struct {
		text string
		want Script
	}{
		{"< S 0:0(0) win 65535", Script{Flags: FlagSYN, HasWin: true, Win: 65535}},
		{"> R 5:5(0)", Script{Out: true, Flags: FlagRST, Seq: 5}},
		{"> - 0:0(0)", Script{Out: true}},
		{"> [ect0] . 1:2(1) ack 1", ack(Script{Out: true, ECN: ECT0, Seq: 1, Len: 1, Ack: 1})},
		{"< [ect1] . 1:2(1) ack 1", ack(Script{ECN: ECT1, Seq: 1, Len: 1, Ack: 1})},
		{"< [ce] .E 1:2(1) ack 1", ack(Script{ECN: CE, Flags: FlagECE, Seq: 1, Len: 1, Ack: 1})},
		{"> . 1:1(0) ack 1 win 0", ack(Script{Out: true, Seq: 1, Ack: 1, HasWin: true})},
		{"> P. 1:5001(5000) ack 1 win 1000 cut 1000", ack(Script{Out: true, Flags: FlagPSH, Seq: 1, Len: 5000, Ack: 1, HasWin: true, Win: 1000, Cut: 1000})},
		{"< .U 1:11(10) ack 0 win 100000 urg 5", ack(Script{Flags: FlagURG, Seq: 1, Len: 10, HasWin: true, Win: 100000, Urg: 5})},
		{"< .U 1:11(10) ack 0 urg 0", ack(Script{Flags: FlagURG, Seq: 1, Len: 10})},
		{"< F 1:1(0) ack 9 urg 7", Script{Flags: FlagFIN, Seq: 1, Ack: 9, Urg: 7}},
		{"< . 4294967295:9(10) ack 4294967295", ack(Script{Seq: 1<<32 - 1, Len: 10, Ack: 1<<32 - 1})},
		{"< SEWA 0:0(0) win 8000 <mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>", Script{Flags: FlagSYN | FlagECE | FlagCWR | FlagAE, HasWin: true, Win: 8000,
			Opts: TCPOptions{Has: HasMSS | HasSACKPermitted | HasTimestamps | HasWScale, MSS: 1460, TSVal: 10, WScale: 7}}},
		{"> . 1:1(0) ack 1 <nop,nop,TS val 1 ecr 2,nop,nop,sack 4000:4001 1:4294967295>", ack(Script{Out: true, Seq: 1, Ack: 1,
			Opts: TCPOptions{Has: HasTimestamps | HasSACK, TSVal: 1, TSEcr: 2, NSACK: 2, SACK: [4][2]uint32{{4000, 4001}, {1, 1<<32 - 1}}}})},
		{"< S 0:0(0) <nop,nop,sackOK>", Script{Flags: FlagSYN, Opts: TCPOptions{Has: HasSACKPermitted}}},
		{"< S 0:0(0) <FO,nop,nop>", Script{Flags: FlagSYN, Opts: TCPOptions{Has: HasFastOpen}}},
		{"< S 0:0(0) <FO 0123456789ab>", Script{Flags: FlagSYN, Opts: TCPOptions{Has: HasFastOpen, NFastOpen: 6, FastOpen: [16]byte{1, 0x23, 0x45, 0x67, 0x89, 0xab}}}},
		{"< . 1:1(0) ack 1 <uto 90s>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasUTO, UTO: 90}})},
		{"< . 1:1(0) ack 1 <uto 32767m>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasUTO, UTO: 0xffff}})},
		{"< . 1:1(0) ack 1 <ECN e0b 1 ceb 2 e1b 16777215,nop>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasAccECN, NAccECN: 3, AccECN: [3]uint32{1, 2, 1<<24 - 1}}})},
		{"< . 1:1(0) ack 1 <ECN e1b 7,nop,nop,nop>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasAccECN, NAccECN: 1, AccECNOrder: 1, AccECN: [3]uint32{7}}})},
		{"< . 1:1(0) ack 1 <ECN e1b,nop,nop>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasAccECN, AccECNOrder: 1}})},
		{"< . 1:1(0) ack 1 <ECN,nop,nop>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasAccECN}})},
		{"< . 1:1(0) ack 1 <bad>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasBad}})},
		{"< . 1:1(0) ack 1 <nop,nop,TS val 1 ecr 2,bad>", ack(Script{Seq: 1, Ack: 1, Opts: TCPOptions{Has: HasBad | HasTimestamps, TSVal: 1, TSEcr: 2}})},
	} {
		got, err := ParseScript(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got != c.want {
			t.Errorf("%q is\n%+v, want\n%+v", c.text, got, c.want)
		}
		if back := c.want.String(); back != c.text {
			t.Errorf("%q is written\n%q", c.text, back)
		}
	}
}

func TestScriptSpaces(t *testing.T) {
	want := "< P. 1:3(2) ack 4 win 5 <nop,nop,TS val 6 ecr 7,nop,nop,sack 8:9 10:11>"
	for _, text := range []string{
		" <  P.\t1 : 3 ( 2 )  ack  4 win 5 < nop , nop , TS  val 6 ecr 7 , sack  8 : 9  10 : 11 > ",
		"<P. 1:3(2)ack 4win 5<sack 8:9 10:11,TS val 6 ecr 7>",
	} {
		s, err := ParseScript(text)
		if err != nil || s.String() != want {
			t.Errorf("%q is %q, %v", text, s.String(), err)
		}
	}
	if s, err := ParseScript("< S 0:0(0) <>"); err != nil || s.Opts.Has != 0 {
		t.Errorf("empty brackets: %v, %v", s, err)
	}
}

func TestScriptErrorsSayWhere(t *testing.T) {
	for _, c := range []struct {
		text string
		pos  int
		want string
	}{
		{"", 0, `"<"`},
		{"P. 1:1(0)", 0, `"<"`},
		{"> X 1:1(0)", 2, "flags"},
		{"> SS 1:1(0)", 3, "number"},
		{"> S 1-1(0)", 5, `":"`},
		{"> S 1:2(0)", 6, "end 1"},
		{"> S 1:1(0", 9, `")"`},
		{"> S 4294967296:1(0)", 4, "number up to 4294967295"},
		{"> . 1:1(0)", 10, `"ack"`},
		{"> . 1:1(0) ack", 14, "number"},
		{"> . 1:1(0) ack 1 win -1", 21, "number"},
		{"> . 1:1(0) ack 1 urg 65536", 21, "number up to 65535"},
		{"> . 1:1(0) ack 1 cut 65536", 21, "number up to 65535"},
		{"> . 1:1(0) ack 1 what", 17, "nothing more"},
		{"> . 1:1(0) win 1 ack 1", 11, `"ack"`},
		{"> S 0:0(0) <mss 65536>", 16, "number up to 65535"},
		{"> S 0:0(0) <mss 1,mss 2>", 18, "another"},
		{"> S 0:0(0) <wscale 256>", 19, "number up to 255"},
		{"> S 0:0(0) <mss 1", 17, `","`},
		{"> S 0:0(0) <mss 1,>", 18, "an option"},
		{"> S 0:0(0) <what>", 12, "an option"},
		{"> S 0:0(0) <TS 1 2>", 15, `"val"`},
		{"> S 0:0(0) <FO 01>", 15, "cookie"},
		{"> S 0:0(0) <FO 0102030x>", 15, "cookie"},
		{"> S 0:0(0) <FO 0102030405>", 15, "cookie"},
		{"> S 0:0(0) <uto 1>", 17, `"s"`},
		{"> S 0:0(0) <uto 32768s>", 16, "number up to 32767"},
		{"> S 0:0(0) <ECN e0b 16777216>", 20, "number up to 16777215"},
		{"> S 0:0(0) <ECN e0b 1 e1b 1>", 22, `","`},
		{"> S 0:0(0) <sack 1:2 3:4 5:6 7:8 9:10>", 33, `","`},
		{"> S 0:0(0) <nop" + strings.Repeat(",nop", 40) + ">", 12 + 4*40, "40 options"},
	} {
		_, err := ParseScript(c.text)
		e, ok := err.(*ScriptError)
		if !ok || e.Pos != c.pos || !strings.Contains(e.Want, c.want) || e.Text != c.text || !strings.Contains(err.Error(), e.Want) {
			t.Errorf("%q: %v; want %q at %d", c.text, err, c.want, c.pos)
		}
	}
}

// What cannot be in a TCPOptions is still shown.
func TestAppendOptionsOfAnyBytes(t *testing.T) {
	for _, c := range []struct {
		raw  []byte
		want string
	}{
		{nil, ""},
		{[]byte{1, 0, 1, 1}, "nop,eol"},
		{[]byte{253, 4, 0xab, 0xcd}, "opt 253 abcd"},
		{[]byte{253, 2, 1}, "opt 253,nop"},
		{[]byte{2, 3, 7, 1}, "opt 2 07,nop"},
		{[]byte{34, 4, 1, 2}, "opt 34 0102"},
		{[]byte{172, 4, 1, 2}, "opt 172 0102"},
		{[]byte{5, 2, 1, 1}, "opt 5,nop,nop"},
		{[]byte{1, 2, 0}, "nop,bad"},
		{[]byte{9}, "bad"},
		{[]byte{9, 5, 1}, "bad"},
	} {
		if got := string(AppendOptions(nil, c.raw)); got != c.want {
			t.Errorf("% x is %q, want %q", c.raw, got, c.want)
		}
	}
}
