package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// tenSegments lets ten segments be sent at once.
var tenSegments = tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 10 })

var reno = tcptest.Config(func(c *tcp.Config) { c.Congestion = cc.NewReno{} })

func ecn(e tcp.ECN) tcptest.Option { return tcptest.Config(func(c *tcp.Config) { c.ECN = e }) }

// ecnTen returns a connection with ECN and ten segments of 1000 octets in
// flight, all ECN-capable, and more queued.
func ecnTen(t *testing.T, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	p := tcptest.Established(t, append([]tcptest.Option{tcptest.ECN, tenSegments}, opts...)...)
	p.Write(30_000)
	p.Want("> [ect0] . 1:10001(10000) ack 1 cut 1000")
	return p
}

// wantECN demands a feedback mode, and whether data is ECN-capable.
func wantECN(t *testing.T, p *tcptest.Conn, f tcp.Feedback, capable bool) {
	t.Helper()
	if i := p.Info(); i.Feedback != f || i.ECNCapable != capable {
		t.Errorf("feedback %v, ECN-capable %v; want %v, %v", i.Feedback, i.ECNCapable, f, capable)
	}
}

// A setup SYN has ECE and CWR, a setup SYN-ACK ECE alone; every other combination means no. RFC 3168 §6.1.1.
func TestR3168_6_1_1a_Setup(t *testing.T) {
	for flags, yes := range map[string]bool{"SEW": true, "SEWA": true, "S": false, "SE": false, "SW": false, "SA": false} {
		p := tcptest.Listen(t)
		p.Recv("< " + flags + " 0:0(0) win 1000 <mss 1000>")
		if yes {
			p.Want("> S.E 0:0(0) ack 1")
		} else {
			p.Want("> S. 0:0(0) ack 1")
		}
		p.Recv("< . 1:1(0) ack 1 win 1000")
		want := tcp.FeedbackNone
		if yes {
			want = tcp.FeedbackClassic
		}
		wantECN(t, p, want, yes)
	}
	for flags, yes := range map[string]bool{"S.E": true, "S.EA": true, "S.": false, "S.EW": false, "S.W": false, "S.A": false, "S.EWA": false} {
		p := tcptest.Closed(t, ecn(tcp.ECNOn))
		p.Open()
		p.Want("> SEW 0:0(0)")
		p.Recv("< " + flags + " 0:0(0) ack 1 win 1000 <mss 1000>")
		p.Want("> . 1:1(0) ack 1")
		want := tcp.FeedbackNone
		if yes {
			want = tcp.FeedbackClassic
		}
		wantECN(t, p, want, yes)
	}
}

// Nothing is ECN-capable unless both ends sent setup segments and neither a plain one; SYN and SYN-ACK never are. RFC 3168 §6.1.1.
func TestR3168_6_1_1b_ECTOnlyAfterSetup(t *testing.T) {
	for _, e := range []tcp.ECN{tcp.ECNOff, tcp.ECNAccept, tcp.ECNAccurateAccept} { // whoever did not ask
		p := tcptest.Closed(t, ecn(e))
		p.Open()
		p.Want("> S 0:0(0)")
		p.Recv("< S.E 0:0(0) ack 1 win 1000 <mss 1000>")
		p.Want("> . 1:1(0) ack 1")
		p.Write(10)
		p.Want("> P. 1:11(10) ack 1")
		p.Recv("< [ce] P.E 1:11(10) ack 11")
		p.WantAt("200ms", "> . 11:11(0) ack 11")
		p.Read(10)
	}
	// A plain SYN followed the first: the SYN-ACK may answer either.
	p := tcptest.Closed(t, ecn(tcp.ECNOn))
	p.Open()
	p.Want("> SEW 0:0(0)")
	p.WantAt("1s", "> S 0:0(0)")
	p.Recv("< S.E 0:0(0) ack 1 win 1000 <mss 1000>")
	p.Want("> . 1:1(0) ack 1")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.Recv("< [ce] P. 1:11(10) ack 11") // what the peer marks is echoed all the same
	p.WantAt("1200ms", "> .E 11:11(0) ack 11")
	p.Read(10)

	p = tcptest.Listen(t)
	p.Recv("< SEW 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.E 0:0(0) ack 1")
	p.Recv("< S 0:0(0) win 1000 <mss 1000>") // the client has given up asking
	p.Want("> S. 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1 win 1000")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
}

// A peer that reflects the flags of our SYN has not agreed, a SYN that is itself marked asks for nothing, and one that gets no answer is followed by a plain one. RFC 3168 §6.1.1.1.
func TestR3168_6_1_1c_Fallback(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNOn))
	p.Open()
	p.Want("> SEW 0:0(0)")
	p.WantAt("1s", "> S 0:0(0)")
	p.WantAt("3s", "> S 0:0(0)")
	p.Recv("< S. 0:0(0) ack 1 win 1000 <mss 1000>")
	p.Want("> . 1:1(0) ack 1")
	wantECN(t, p, tcp.FeedbackNone, false)

	p = tcptest.Closed(t, ecn(tcp.ECNOn), tcptest.Config(func(c *tcp.Config) { c.NoECNFallback = true }))
	p.Open()
	p.Want("> SEW 0:0(0)")
	p.WantAt("1s", "> SEW 0:0(0)")
	p.Recv("< S.EW 0:0(0) ack 1 win 1000 <mss 1000>")
	p.Want("> . 1:1(0) ack 1")
	wantECN(t, p, tcp.FeedbackNone, false)

	for _, mark := range []string{"[ect0]", "[ect1]", "[ce]"} {
		p = tcptest.Listen(t)
		p.Recv("< " + mark + " SEW 0:0(0) win 1000 <mss 1000>")
		p.Want("> S. 0:0(0) ack 1")
	}
}

// Both ends open at once and ask: both agree. RFC 3168 §6.1.1.
func TestR3168_6_1_1d_SimultaneousOpen(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNOn))
	p.Open()
	p.Want("> SEW 0:0(0)")
	p.Recv("< SEW 0:0(0) win 10000 <mss 1000>")
	p.Want("> S.E 0:0(0) ack 1")
	p.Recv("< S.E 0:0(0) ack 1 win 10000 <mss 1000>")
	p.WantState(tcp.Established)
	wantECN(t, p, tcp.FeedbackClassic, true)
	p.Write(10)
	p.Want("> [ect0] P. 1:11(10) ack 1") // and the SYN-ACK's ECE was no echo
}

// ECE halves the window as one loss would, once for the data of a window, and lets it not grow. RFC 3168 §6.1.2.
func TestR3168_6_1_2a_ReactOncePerWindow(t *testing.T) {
	p := ecnTen(t)
	p.Recv("< .E 1:1(0) ack 1001")
	wantCwnd(t, p, 5000, 5000)
	for ack := 2001; ack <= 10001; ack += 1000 {
		p.Recv(line("< .E 1:1(0) ack %d", ack))
		wantCwnd(t, p, 5000, 5000)
	}
	p.Drop() // up to 15001
	p.Recv("< .E 1:1(0) ack 11001")
	p.Drop()
	if i := p.Info(); i.SSThresh != 2500 || i.MarkReductions != 2 {
		t.Errorf("a mark beyond the window: ssthresh %d, %d reductions", i.SSThresh, i.MarkReductions)
	}
	p.Recv("< . 1:1(0) ack 11001")
	p.Drop()
}

// ECE that answers nothing outstanding changes nothing.
func TestECEWithoutData(t *testing.T) {
	p := tcptest.Established(t, tcptest.ECN)
	before := p.Info()
	p.Recv("< .E 1:1(0) ack 1")
	if i := p.Info(); i.Cwnd != before.Cwnd || i.MarkReductions != 0 {
		t.Errorf("cwnd from %d to %d", before.Cwnd, i.Cwnd)
	}
}

// A loss among the data of a window that was reduced for a mark does not reduce it again, nor the other way round. RFC 3168 §6.1.2.
func TestR3168_6_1_2c_LossAndMarkAreOne(t *testing.T) {
	p := ecnTen(t, tcptest.NoSACK)
	p.Recv("< .E 1:1(0) ack 1001")
	wantCwnd(t, p, 5000, 5000)
	for range 3 {
		p.Recv("< .E 1:1(0) ack 1001")
	}
	p.Want("> . 1001:2001(1000) ack 1") // sent again, and not ECN-capable
	if i := p.Info(); i.SSThresh != 5000 {
		t.Errorf("ssthresh is %d after the loss", i.SSThresh)
	}
	p.Drop()

	p = ecnTen(t, tcptest.NoSACK)
	p.Recv("< . 1:1(0) ack 1001")
	p.Drop()
	for range 3 {
		p.Recv("< . 1:1(0) ack 1001")
	}
	p.Drop()
	before := p.Info().SSThresh
	p.Recv("< .E 1:1(0) ack 1001")
	p.Drop()
	if i := p.Info(); i.SSThresh != before || i.MarkReductions != 0 {
		t.Errorf("ssthresh from %d to %d, %d reductions for marks", before, i.SSThresh, i.MarkReductions)
	}
}

// A loss among later data reduces it, as ever.
func TestLossAfterMarks(t *testing.T) {
	p := ecnTen(t)
	p.Recv("< .E 1:1(0) ack 1001")
	p.Recv("< . 1:1(0) ack 10001") // all that was outstanding then
	p.Drop()
	before := p.Info().SSThresh
	for i := range 3 {
		p.Recv(line("< . 1:1(0) ack 10001 <nop,nop,sack 11001:%d>", 12001+1000*i))
	}
	p.Drop()
	if i := p.Info(); !i.Recovery || i.SSThresh >= before {
		t.Errorf("recovery %v, ssthresh from %d to %d", i.Recovery, before, i.SSThresh)
	}
}

// With cwnd at one segment a mark starts the retransmission timer anew, and new data waits for it. RFC 3168 §6.1.2.
func TestR3168_6_1_2d_OneSegment(t *testing.T) {
	p := tcptest.Established(t, tcptest.ECN, tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 1 }))
	p.Write(3000)
	p.Want("> [ect0] . 1:1001(1000) ack 1")
	p.At("100ms")
	p.Recv("< .E 1:1(0) ack 1001")
	p.WantNothing("the timer decides")
	rto := p.Info().RTO
	p.Advance((rto - 1).String())
	p.WantNothing("it has not expired")
	p.Advance("1ns")
	p.Want("> [ect0] .W 1001:2001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> [ect0] P. 2001:3001(1000) ack 1")
}

// CWR goes on the first new data after a reduction, whatever that was for, and never on a retransmission. RFC 3168 §6.1.2.
func TestR3168_6_1_2b_CWR(t *testing.T) {
	p := ecnTen(t)
	p.Recv("< .E 1:1(0) ack 1001")
	p.Recv("< .E 1:1(0) ack 6001")
	p.Want("> [ect0] .W 10001:11001(1000) ack 1")
	p.Recv("< . 1:1(0) ack 7001")
	p.Want("> [ect0] . 11001:12001(1000) ack 1")

	p = ecnTen(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1") // a timeout
	p.Recv("< . 1:1(0) ack 10001")
	p.Want("> [ect0] .W 10001:15001(5000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 15001")
	p.Want("> [ect0] . 15001:21001(6000) ack 1 cut 1000")
	p.Drop()
}

// After CE every segment has ECE until CWR comes; one with both begins anew. RFC 3168 §6.1.3.
func TestR3168_6_1_3_EchoUntilCWR(t *testing.T) {
	p := tcptest.Established(t, tcptest.ECN)
	p.Recv("< [ect0] . 1:1001(1000) ack 1")
	p.Recv("< [ce] . 1001:2001(1000) ack 1")
	p.Want("> .E 1:1(0) ack 2001")
	p.Recv("< [ect0] . 2001:3001(1000) ack 1")
	p.Recv("< [ect0] . 3001:4001(1000) ack 1")
	p.Want("> .E 1:1(0) ack 4001")
	p.Write(10)
	p.Want("> [ect0] P.E 1:11(10) ack 4001")
	p.Recv("< [ce] .W 4001:5001(1000) ack 11") // about the first mark; there is a second
	p.Recv("< [ect0] . 5001:6001(1000) ack 11")
	p.Want("> .E 11:11(0) ack 6001")
	p.Recv("< [ect0] .W 6001:7001(1000) ack 11")
	p.Recv("< [ect0] . 7001:8001(1000) ack 11")
	p.Want("> . 11:11(0) ack 8001")
	if i := p.Info(); i.MarksIn != 2 || i.EchoesOut != 4 {
		t.Errorf("%d marks, %d echoes", i.MarksIn, i.EchoesOut)
	}
	p.Read(8000)
	p.Drop()
}

// What carries no data is not ECN-capable. RFC 3168 §6.1.4.
func TestR3168_6_1_4_PureACKs(t *testing.T) {
	p := tcptest.Established(t, tcptest.ECN)
	p.Recv("< [ect0] . 1:1001(1000) ack 1")
	p.Recv("< [ect0] . 1001:2001(1000) ack 1")
	p.Want("> . 1:1(0) ack 2001")
	p.Recv("< [ect0] . 3001:4001(1000) ack 1")
	p.Want("> . 1:1(0) ack 2001 <nop,nop,sack 3001:4001>")
	p.Recv("< [ce] . 2001:2001(0) ack 1") // nor does CE on one of the peer's count
	p.Recv("< [ect0] . 2001:3001(1000) ack 1")
	p.Want("> . 1:1(0) ack 4001")
	p.Shutdown()
	p.Want("> F. 1:1(0) ack 4001")
	p.Read(4000)
	p.Drop()
}

// Retransmissions are not ECN-capable, and CE outside the window is ignored. RFC 3168 §6.1.5.
func TestR3168_6_1_5_Retransmissions(t *testing.T) {
	p := ecnTen(t)
	p.WantAt("1s", "> . 1:1001(1000) ack 1")
	p.WantAt("3s", "> . 1:1001(1000) ack 1")

	p = tcptest.Established(t, tcptest.ECN)
	p.Recv("< [ect0] . 1:1001(1000) ack 1")
	p.Recv("< [ect0] . 1001:2001(1000) ack 1")
	p.Want("> . 1:1(0) ack 2001")
	p.Recv("< [ce] . 1:1001(1000) ack 1") // a forged one, or one sent again
	p.Want("> . 1:1(0) ack 2001")
	p.Recv("< [ce] . 90001:91001(1000) ack 1")
	p.Want("> . 1:1(0) ack 2001")
	p.Read(2000)
}

// Window probes are neither ECN-capable nor do they carry CWR, which waits for real data. RFC 3168 §6.1.6.
func TestR3168_6_1_6_WindowProbes(t *testing.T) {
	for _, profile := range []tcp.Profile{tcp.ProfileRFC, tcp.ProfileLinux} {
		p := tcptest.Established(t, tcptest.ECN, tcptest.Profile(profile), tenSegments, reno)
		p.Write(20_000)
		p.Want("> [ect0] . 1:10001(10000) ack 1 cut 1000")
		p.Recv("< .E 1:1(0) ack 1001")
		p.Recv("< . 1:1(0) ack 10001 win 0")
		p.Advance("5s")
		if profile == tcp.ProfileRFC {
			p.Want("> . 10001:10002(1) ack 1")
		} else {
			p.Want("> . 10000:10000(0) ack 1")
		}
		p.Drop()
		if profile == tcp.ProfileRFC {
			p.Recv("< . 1:1(0) ack 10002 win 60000")
			p.Want("> [ect0] .W 10002:16002(6000) ack 1 cut 1000")
		} else {
			p.Recv("< . 1:1(0) ack 10001 win 60000")
			p.Want("> [ect0] .W 10001:16001(6000) ack 1 cut 1000")
		}
		p.Drop()
	}
}

// T-CC-05: a peer that says ECE for ever gets at least a segment in every round
// trip, and one that never says it gains nothing that loss would not take.
func TestECEForEver(t *testing.T) {
	for _, opts := range [][]tcptest.Option{{tcptest.ECN}, {tcptest.ECN, tcptest.NoSACK}} {
		p := tcptest.Established(t, append(opts, tenSegments)...)
		p.Write(200_000)
		p.Drop()
		for range 100 {
			before := p.SndNXT()
			p.Advance("100ms")
			p.Recv(line("< .E 1:1(0) ack %d", before))
			if p.SndNXT() == before && p.Info().Unsent > 0 {
				t.Fatalf("nothing was sent in the round trip after %d", before)
			}
			p.Drop()
		}
		if i := p.Info(); i.Cwnd < 2000 {
			t.Errorf("cwnd is %d", i.Cwnd)
		}
	}
}

// A SYN cookie keeps ECN where there are timestamps: in one of their bits.
func TestCookieECN(t *testing.T) {
	hash := func(x uint64) uint64 { return x * 0x9e3779b97f4a7c15 }
	for _, x := range []struct {
		accept   tcp.ECN
		syn, ack wire.TCPFlags
		ts       bool
		synACK   wire.TCPFlags
		want     tcp.Feedback
	}{
		{tcp.ECNAccept, wire.FlagECE | wire.FlagCWR, 0, true, wire.FlagECE, tcp.FeedbackClassic},
		{tcp.ECNAccept, wire.FlagECE | wire.FlagCWR, 0, false, 0, tcp.FeedbackNone},
		{tcp.ECNAccept, 0, wire.FlagCWR, true, 0, tcp.FeedbackNone},
		{tcp.ECNOff, wire.FlagECE | wire.FlagCWR, 0, true, 0, tcp.FeedbackNone},
		{tcp.ECNAccurate, wire.FlagAE | wire.FlagECE | wire.FlagCWR, wire.FlagCWR, false, wire.FlagCWR, tcp.FeedbackAccurate},
		{tcp.ECNAccurate, 0, 0, true, 0, tcp.FeedbackNone},
		{tcp.ECNAccurate, wire.FlagECE | wire.FlagCWR, 0, true, wire.FlagECE, tcp.FeedbackClassic},
	} {
		cfg := tcp.DefaultConfig(tcp.ProfileLinux)
		cfg.ECN = x.accept
		params := tcp.Params{MSS: 1460}
		var seg, out tcp.Segment
		seg.SEQ, seg.Flags, seg.WND = 1000, wire.FlagSYN|x.syn, 1000
		if x.ts {
			seg.Opts.Has, seg.Opts.TSVal = wire.HasTimestamps, 7
		}
		h := tcp.NewHalfOpen(mono.Start, cfg, &seg, &params)
		h.Cookie(mono.Start, cfg, hash)
		h.CookieSYNACK(mono.Start, cfg, &out)
		if got := out.Flags &^ (wire.FlagSYN | wire.FlagACK); got != x.synACK {
			t.Errorf("%+v: the SYN-ACK has %v", x, out.Flags)
		}
		seg.Reset()
		seg.SEQ, seg.ACK, seg.Flags, seg.WND = 1001, out.SEQ+1, wire.FlagACK|x.ack, 1000
		if x.ts {
			seg.Opts.Has, seg.Opts.TSVal, seg.Opts.TSEcr = wire.HasTimestamps, 8, out.Opts.TSVal
		}
		var back tcp.HalfOpen
		if !back.FromCookie(mono.Start, cfg, &seg, &params, hash) {
			t.Fatalf("%+v: the cookie is refused", x)
		}
		var c tcp.TCB
		c.Accept(mono.Start, cfg, &back)
		if c.Feedback() != x.want {
			t.Errorf("%+v: feedback is %v", x, c.Feedback())
		}
	}
}
