package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// ace are the flags of an ACK whose ACE field has a value, in script notation.
func ace(n int) string { return (wire.FlagACK | wire.TCPFlags(n&7)<<6).String() }

// accTen returns a connection with AccECN and ten segments of 1000 octets in
// flight, but for what an option takes of the first.
func accTen(t *testing.T, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	p := tcptest.Established(t, append([]tcptest.Option{tcptest.AccECN, tenSegments, reno}, opts...)...)
	p.Write(30_000)
	p.Drop()
	if p.SndNXT() < 9900 {
		t.Fatalf("%d octets were sent", p.SndNXT()-1)
	}
	return p
}

// The SYN asks with all three flags, whatever happened to its like before, and the SYN-ACK says how it arrived. RFC 9768 §3.1.1.
func TestR9768_3_1_1a_Negotiation(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
	p.Open()
	p.Want("> SEWA 0:0(0) <mss 1000,nop,nop,sackOK>")
	for mark, answer := range map[string]string{"": "S.W", "[ect1]": "S.EW", "[ect0]": "S.A", "[ce]": "S.WA"} {
		for _, e := range []tcp.ECN{tcp.ECNAccurate, tcp.ECNAccurateAskClassic, tcp.ECNAccurateAccept} {
			p := tcptest.Listen(t, ecn(e))
			p.Recv("< " + mark + " SEWA 0:0(0) win 1000 <mss 1000>")
			p.Want("> " + answer + " 0:0(0) ack 1 <mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>")
			p.Recv("< .W 1:1(0) ack 1 win 1000")
			wantECN(t, p, tcp.FeedbackAccurate, true)
		}
	}
}

// What the SYN-ACK says decides the mode of both directions: table 2, with a server that reflects the flags taken for a plain one. RFC 9768 §3.1.2.
func TestR9768_3_1_2a_ClientFallsBack(t *testing.T) {
	for flags, want := range map[string]tcp.Feedback{
		"S.W": tcp.FeedbackAccurate, "S.EW": tcp.FeedbackAccurate, "S.A": tcp.FeedbackAccurate, "S.WA": tcp.FeedbackAccurate,
		"S.EA": tcp.FeedbackAccurate, "S.E": tcp.FeedbackClassic, "S.": tcp.FeedbackNone, "S.EWA": tcp.FeedbackNone,
	} {
		p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
		p.Open()
		p.Drop()
		p.Recv("< " + flags + " 0:0(0) ack 1 win 1000 <mss 1000>")
		p.Drop()
		if got := p.Info().Feedback; got != want {
			t.Errorf("%s: %v, want %v", flags, got, want)
		}
	}
}

// A SYN that asks for RFC 3168 gets that, and a plain one a plain answer. RFC 9768 §3.1.2.
func TestR9768_3_1_2b_ServerFallsBack(t *testing.T) {
	p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.Recv("< SEW 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.E 0:0(0) ack 1 <mss 1000>")
	p.Recv("< . 1:1(0) ack 1 win 1000")
	wantECN(t, p, tcp.FeedbackClassic, true)

	p = tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.Recv("< S 0:0(0) win 1000 <mss 1000>")
	p.Want("> S. 0:0(0) ack 1 <mss 1000>")
	p.Recv("< . 1:1(0) ack 1 win 1000")
	wantECN(t, p, tcp.FeedbackNone, false)
}

// Who asked and meets another SYN answers it as a server would. RFC 9768 §3.1.2.
func TestR9768_3_1_2c_SimultaneousOpen(t *testing.T) {
	for syn, x := range map[string]struct {
		answer, ack string
		want        tcp.Feedback
	}{
		"[ect0] SEWA": {"S.A", "S.W", tcp.FeedbackAccurate},
		"SEW":         {"S.E", "S.E", tcp.FeedbackClassic},
		"S":           {"S.", "S.", tcp.FeedbackNone},
	} {
		p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
		p.Open()
		p.Want("> SEWA 0:0(0)")
		p.Recv("< " + syn + " 0:0(0) win 10000 <mss 1000>")
		p.Want("> " + x.answer + " 0:0(0) ack 1")
		p.Recv("< " + x.ack + " 0:0(0) ack 1 win 10000 <mss 1000>")
		p.WantState(tcp.Established)
		wantECN(t, p, x.want, x.want != tcp.FeedbackNone)
		if i := p.Info(); i.MarksReported != 0 {
			t.Errorf("%s: the flags of the SYN-ACK are taken for %d marks", syn, i.MarksReported)
		}
	}
}

// A SYN with any other combination of the flags is taken for one that asks for AccECN. RFC 9768 §3.1.3.
func TestR9768_3_1_3a_UnknownSYN(t *testing.T) {
	for _, flags := range []string{"SA", "SE", "SW", "SEA", "SWA"} {
		p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
		p.Recv("< " + flags + " 0:0(0) win 1000 <mss 1000>")
		p.Want("> S.W 0:0(0) ack 1")
		p.Drop()
	}
}

// The combination in reserve on a SYN-ACK confirms AccECN and says nothing against ECN-capable data. RFC 9768 §3.1.3.
func TestR9768_3_1_3b_UnknownSYNACK(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
	p.Open()
	p.Drop()
	p.Recv("< S.EA 0:0(0) ack 1 win 1000 <mss 1000>")
	p.Drop()
	wantECN(t, p, tcp.FeedbackAccurate, true)
}

// The SYN asks again once, with the same ISN, and then no more; the first SYN-ACK decides. RFC 9768 §3.1.4.1.
func TestR9768_3_1_4_1_RetransmittedSYN(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
	p.Open()
	p.Want("> SEWA 0:0(0)")
	p.WantAt("1s", "> SEWA 0:0(0)")
	p.WantAt("3s", "> S 0:0(0)")
	p.Recv("< S.W 0:0(0) ack 1 win 1000 <mss 1000>") // to one of the first
	p.Want("> .W 1:1(0) ack 1")
	p.Recv("< S. 0:0(0) ack 1 win 1000 <mss 1000>") // to the last
	p.Drop()
	wantECN(t, p, tcp.FeedbackAccurate, true) // a client may
}

// A server keeps to what the first SYN asked for; after a plain one in between its data is not ECN-capable. RFC 9768 §3.1.5.
func TestR9768_3_1_5a_ServerKeepsItsMode(t *testing.T) {
	p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.Recv("< SEWA 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.W 0:0(0) ack 1 " + "<mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>")
	p.Recv("< [ect0] S 0:0(0) win 1000 <mss 1000>") // the SYN-ACK tells how this one arrived
	p.Want("> S.A 0:0(0) ack 1 <mss 1000>")
	p.Recv("< .W 1:1(0) ack 1 win 1000")
	wantECN(t, p, tcp.FeedbackAccurate, false)
	p.Recv("< [ce] . 1:101(100) ack 1") // and it goes on telling
	p.Want("> " + ace(6) + " 1:1(0) ack 101 <ECN e0b 1 ceb 100,nop,nop,nop,nop>")
	p.Read(100)

	p = tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.Recv("< S 0:0(0) win 1000 <mss 1000>")
	p.Want("> S. 0:0(0) ack 1")
	p.Recv("< SEWA 0:0(0) win 1000 <mss 1000>")
	p.Want("> S. 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1 win 1000")
	wantECN(t, p, tcp.FeedbackNone, false)
}

// One handshake that asks for both kinds of feedback ends in a reset. RFC 9768 §3.1.5.
func TestR9768_3_1_5b_BothKindsAreReset(t *testing.T) {
	for _, x := range [][2]string{{"SEWA", "SEW"}, {"SEW", "SEWA"}} {
		p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
		p.Recv("< " + x[0] + " 0:0(0) win 1000 <mss 1000>")
		p.Drop()
		p.Recv("< " + x[1] + " 0:0(0) win 1000 <mss 1000>")
		p.Want("> R. 700:700(0) ack 1") // which is number 0 on the wire
		p.WantState(tcp.Listen)
	}
	p := tcptest.Listen(t) // who knows one kind cannot tell
	p.Recv("< SEWA 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.E 0:0(0) ack 1")
	p.Recv("< SEW 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.E 0:0(0) ack 1")
}

// New data is ECN-capable by ECT(0), and CWR never tells of a reduction. RFC 9768 §3.1.5.
func TestR9768_3_1_5c_NoCWR(t *testing.T) {
	p := tcptest.Established(t, tcptest.AccECN, tenSegments, reno)
	p.Write(12_000)
	p.Drop()
	p.Recv("< " + ace(6) + " 1:1(0) ack 1001")
	if i := p.Info(); i.MarkReductions != 1 || i.MarksReported != 1 {
		t.Errorf("%d marks, %d reductions", i.MarksReported, i.MarkReductions)
	}
	p.Recv("< " + ace(6) + " 1:1(0) ack 9921")
	p.Want("> [ect0] .EA 9921:11921(2000) ack 1 cut 1000")
	p.Drop()
}

// Packets with CE are counted, pure ACKs among them, and bytes by codepoint; nothing counts that is not acceptable. RFC 9768 §3.2.
func TestR9768_3_2_Counters(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	p.Recv("< [ce] " + ace(5) + " 1:1(0) ack 1")            // r.cep 6
	p.Recv("< [ce] " + ace(5) + " 90001:91001(1000) ack 1") // outside the window
	p.Want("> " + ace(6) + " 1:1(0) ack 1 <>")              // no byte was counted
	p.Recv("< [ce] " + ace(5) + " 1:101(100) ack 5")        // of what was never sent
	p.Drop()
	p.Recv("< [ect0] " + ace(5) + " 1:101(100) ack 1")  // e0b 101
	p.Recv("< [ect1] " + ace(5) + " 101:151(50) ack 1") // e1b 51
	p.Recv("< [ce] " + ace(5) + " 151:171(20) ack 1")   // r.cep 7, ceb 20
	p.Want("> " + ace(7) + " 1:1(0) ack 171 <ECN e0b 101 ceb 20 e1b 51,nop>")
	p.Read(170)
	p.Drop()
}

// What glue made of several packets counts as so many. RFC 9768 §3.2, §3.3.4.
func TestR9768_3_3_4b_Glued(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	p.Recv("< [ce] " + ace(5) + " 1:4001(4000) ack 1 cut 1000")
	p.Want("> " + ace(5+4) + " 1:1(0) ack 4001 <ECN e0b 1 ceb 4000,nop,nop,nop,nop>")
	p.Read(4000)
	p.Drop()
}

// Segmentation offload would clear CWR on all pieces but the first, so that ACE would differ: with that bit set there are no super-segments. RFC 9768 §3.3.4.
func TestR9768_3_3_4a_SuperSegments(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN, tenSegments)
	p.Write(2000)
	p.Want("> [ect0] P" + ace(5) + " 1:2001(2000) ack 1 cut 1000")
	p.Recv("< [ce] " + ace(5) + " 1:1(0) ack 2001")
	p.Write(2000)
	p.Want("> [ect0] " + ace(6) + " 2001:3001(1000) ack 1")
	p.Want("> [ect0] P" + ace(6) + " 3001:4001(1000) ack 1")
}

// r.cep begins with 5, and the bytes with 1, 0 and 1. RFC 9768 §3.2.1.
func TestR9768_3_2_1_InitialValues(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	p.Write(100)
	p.Want("> [ect0] P" + ace(5) + " 1:101(100) ack 1 <>")
	p.Recv("< [ect1] " + ace(5) + " 1:11(10) ack 101")
	p.Advance("200ms")
	p.Want("> " + ace(5) + " 101:101(0) ack 11 <ECN e1b 11,nop,nop,nop>")
	p.Read(10)
}

// The client's first pure ACK tells how the SYN-ACK arrived, before any data, and so does the answer to every SYN-ACK that comes again. RFC 9768 §3.2.2.1.
func TestR9768_3_2_2_1a_ClientTellsOfSYNACK(t *testing.T) {
	for mark, flags := range map[string]string{"": ".W", "[ect1]": ".EW", "[ect0]": ".A", "[ce]": ".WA"} {
		p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
		p.Open()
		p.Drop()
		p.Write(10) // the program does not wait
		p.Recv("< " + mark + " S.W 0:0(0) ack 1 win 10000 <mss 1000>")
		p.Want("> " + flags + " 1:1(0) ack 1 <ECN e0b 1,nop,nop,nop>")
		cep := 5
		if mark == "[ce]" {
			cep = 6
		}
		p.Want("> [ect0] P" + ace(cep) + " 1:11(10) ack 1 <ECN e0b 1,nop,nop,nop>")
		p.Recv("< [ect0] S.W 0:0(0) ack 1 win 10000 <mss 1000>")
		p.Want("> .A 11:11(0) ack 1")
		p.Recv("< [ce] S.W 0:0(0) ack 1 win 10000 <mss 1000>")
		p.Advance("500ms") // challenge ACKs are rationed
		p.Drop()
		p.Recv("< [ce] S.W 0:0(0) ack 1 win 10000 <mss 1000>")
		p.Drop()
		if i := p.Info(); i.State != tcp.Established {
			t.Errorf("%v", i.State)
		}
	}
}

// The server reads that ACK by table 4: what was sent as Not-ECT and arrived as something else shows a path that rewrites the field, and zero a client that does without. RFC 9768 §3.2.2.1.
func TestR9768_3_2_2_1b_ServerReadsFirstACK(t *testing.T) {
	for value, x := range []struct{ capable, reduced, heard bool }{
		0: {false, false, false},
		1: {true, false, true},
		2: {true, false, true},
		3: {false, false, true},
		4: {false, false, true},
		5: {true, false, true},
		6: {false, true, true},
		7: {true, false, true},
	} {
		p := tcptest.HalfOpen(t, tcptest.AccECN, tenSegments)
		p.Recv("< " + ace(value) + " 1:1(0) ack 1")
		i := p.Info()
		if i.Feedback != tcp.FeedbackAccurate || i.ECNCapable != x.capable || (i.MarkReductions > 0) != x.reduced {
			t.Errorf("%d: %v, ECN-capable %v, %d reductions", value, i.Feedback, i.ECNCapable, i.MarkReductions)
		}
		p.Write(3000)
		p.Drop()
		cep := 5
		if value == 6 {
			cep = 6
		}
		p.Recv("< " + ace(cep+1) + " 1:1(0) ack 2001")
		p.Drop()
		if got := p.Info().MarkReductions > i.MarkReductions || value == 6; got != x.heard {
			t.Errorf("%d: a mark afterwards is heard: %v", value, got)
		}
		p.Recv("< [ce] " + ace(cep+1) + " 1:101(100) ack 3001") // the receiver does its duty in any case
		p.Want("> " + ace(6) + " 3001:3001(0) ack 101")
		p.Read(100)
		p.Drop()
	}
}

// With data on it the first ACK counts as any other. RFC 9768 §3.2.2.1.
func TestR9768_3_2_2_1c_FirstACKWithData(t *testing.T) {
	p := tcptest.HalfOpen(t, tcptest.AccECN)
	p.Recv("< [ect0] " + ace(6) + " 1:101(100) ack 1")
	if i := p.Info(); i.MarksReported != 1 || !i.ECNCapable {
		t.Errorf("%d marks, ECN-capable %v", i.MarksReported, i.ECNCapable)
	}
	p.Read(100)
	p.Advance("200ms")
	p.Drop()
}

// A mark on the SYN is answered on the SYN-ACK alone and counts nowhere, but the window shrinks for it. RFC 9768 §3.2.2.2.
func TestR9768_3_2_2_2a_MarkedSYN(t *testing.T) {
	p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.Recv("< [ce] SEWA 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.WA 0:0(0) ack 1")
	p.Recv("< .W 1:1(0) ack 1 win 10000")
	p.Write(10)
	p.Want("> [ect0] P" + ace(5) + " 1:11(10) ack 1")

	p = tcptest.Closed(t, ecn(tcp.ECNAccurate), tenSegments)
	p.Open()
	p.Drop()
	p.Recv("< S.WA 0:0(0) ack 1 win 60000 <mss 1000>") // CE on a SYN that was Not-ECT
	p.Drop()
	if i := p.Info(); i.MarkReductions != 1 || i.Cwnd >= 10_000 || i.ECNCapable {
		t.Errorf("%d reductions, cwnd %d, ECN-capable %v", i.MarkReductions, i.Cwnd, i.ECNCapable)
	}
	p.Write(1000)
	p.Drop()
	p.Recv(line("< %s 1:1(0) ack %d", ace(5), p.SndNXT())) // s.cep is 5 still
	p.Drop()
	if i := p.Info(); i.MarksReported != 1 {
		t.Errorf("%d marks", i.MarksReported)
	}
}

// The field is a counter modulo eight: what it grew by is new, and what is older than some we know is left alone. RFC 9768 §3.2.2.2.
func TestR9768_3_2_2_2b_Decode(t *testing.T) {
	p := accTen(t)
	marks := uint32(0)
	field := 5
	for i, x := range []struct{ ack, more int }{{1001, 0}, {2001, 1}, {3001, 1}, {4001, 3}, {5001, 0}, {6001, 7}, {7001, 1}} {
		field += x.more
		marks += uint32(x.more)
		p.Recv(line("< %s 1:1(0) ack %d", ace(field), x.ack))
		if got := p.Info().MarksReported; got != marks {
			t.Fatalf("step %d: %d marks, want %d", i, got, marks)
		}
	}
	p.Recv(line("< %s 1:1(0) ack 3001", ace(5))) // overtaken
	p.Recv(line("< %s 1:1(0) ack 7001", ace(5))) // nothing says that it is newer
	if got := p.Info().MarksReported; got != marks {
		t.Errorf("%d marks after old news, want %d", got, marks)
	}
	p.Drop()
}

// The window is reduced once for the marks of a window of data. RFC 9768 §3.1.5, RFC 3168 §6.1.2.
func TestR9768_3_1_5d_ReactOncePerWindow(t *testing.T) {
	p := accTen(t)
	for i := range 9 {
		p.Recv(line("< %s 1:1(0) ack %d", ace(6+i), 1001+1000*i))
	}
	p.Drop()
	if i := p.Info(); i.MarkReductions != 1 || i.MarksReported != 9 {
		t.Errorf("%d reductions for %d marks", i.MarkReductions, i.MarksReported)
	}
}

// What the SYN-ACK says of the SYN must be what was sent, or the field is rewritten: our data does without, and feedback is still heard. RFC 9768 §3.2.2.3.
func TestR9768_3_2_2_3a_MangledSYN(t *testing.T) {
	for _, flags := range []string{"S.EW", "S.A"} {
		p := tcptest.Closed(t, ecn(tcp.ECNAccurate), tenSegments)
		p.Open()
		p.Drop()
		p.Recv("< " + flags + " 0:0(0) ack 1 win 60000 <mss 1000>")
		p.Drop()
		wantECN(t, p, tcp.FeedbackAccurate, false)
		p.Write(2000)
		p.Drop()
		p.Recv("< " + ace(6) + " 1:1(0) ack 1001")
		if i := p.Info(); i.MarkReductions != 1 {
			t.Errorf("%s: %d reductions", flags, i.MarkReductions)
		}
		p.Drop()
	}
}

// A path on which everything is marked in the first rounds is not congested but broken: no more ECN, no more reactions. RFC 9768 §3.2.2.3.
func TestR9768_3_2_2_3b_EverythingMarked(t *testing.T) {
	p := tcptest.Established(t, tcptest.AccECN, tenSegments, reno)
	p.Write(200_000)
	p.Drop()
	field, sent := 5, 0
	for range 8 {
		p.Advance("10ms")
		next := int(p.SndNXT())
		n := (next - 1 - sent + 999) / 1000 // at most seven, or the field goes round
		for k := range n {
			field++
			p.Recv(line("< %s 1:1(0) ack %d", ace(field), min(sent+1000*(k+1)+1, next)))
		}
		sent = next - 1
	}
	p.Drop()
	i := p.Info()
	if i.ECNCapable || i.MarkReductions < 3 || i.MarkReductions > 4 {
		t.Errorf("ECN-capable %v, %d reductions", i.ECNCapable, i.MarkReductions)
	}
}

// A field that is zero right after the handshake has been zeroed: no more ECN, no reactions. RFC 9768 §3.2.2.4.
func TestR9768_3_2_2_4_ZeroedField(t *testing.T) {
	p := accTen(t)
	p.Recv("< . 1:1(0) ack 1001")
	p.Drop()
	if i := p.Info(); i.ECNCapable || i.MarkReductions != 0 {
		t.Errorf("ECN-capable %v, %d reductions", i.ECNCapable, i.MarkReductions)
	}
	p = accTen(t) // later it may be zero as it may be anything
	p.Recv("< " + ace(7) + " 1:1(0) ack 1001")
	p.Recv("< " + ace(8) + " 1:1(0) ack 2001")
	p.Drop()
	if i := p.Info(); !i.ECNCapable || i.MarksReported != 3 {
		t.Errorf("ECN-capable %v, %d marks", i.ECNCapable, i.MarksReported)
	}
}

// The first marked data after other packets is acknowledged at once. RFC 9768 §3.2.2.5.1.
func TestR9768_3_2_2_5_1a_ChangeTriggered(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	p.Recv("< [ect0] " + ace(5) + " 1:101(100) ack 1")
	p.WantNothing("delayed")
	p.Recv("< [ce] " + ace(5) + " 101:201(100) ack 1")
	p.Want("> " + ace(6) + " 1:1(0) ack 201 <ECN e0b 101 ceb 100,nop,nop,nop,nop>")
	p.Recv("< [ce] " + ace(5) + " 201:301(100) ack 1")
	p.WantNothing("no change, and one mark")
	p.Recv("< [ce] " + ace(5) + " 301:401(100) ack 1")
	p.Want("> " + ace(8) + " 1:1(0) ack 401 <ECN e0b 101 ceb 300,nop,nop,nop,nop>")
	p.Read(400)
}

// Every third mark on packets without data is acknowledged, too. RFC 9768 §3.2.2.5.1.
func TestR9768_3_2_2_5_1b_IncrementTriggered(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	p.Recv("< [ce] " + ace(5) + " 1:1(0) ack 1")
	p.Recv("< [ce] " + ace(5) + " 1:1(0) ack 1")
	p.WantNothing("two")
	p.Recv("< [ce] " + ace(5) + " 1:1(0) ack 1")
	p.Want("> " + ace(8) + " 1:1(0) ack 1 <>")
}

// Without options a field that may have gone round stands for the most marks that fit; with none in sight for none. RFC 9768 §3.2.2.5.2.
func TestR9768_3_2_2_5_2_SafeWithoutOptions(t *testing.T) {
	for _, x := range []struct {
		packets, more int
		want          uint32
	}{{5, 2, 2}, {7, 7, 7}, {8, 1, 1}, {9, 1, 9}, {10, 1, 9}, {10, 2, 10}, {10, 0, 0}} {
		p := accTen(t)
		p.Recv(line("< %s 1:1(0) ack %d", ace(5+x.more), min(1000*x.packets+1, int(p.SndNXT()))))
		p.Drop()
		if got := p.Info().MarksReported; got != x.want {
			t.Errorf("%d packets, %d more: %d marks, want %d", x.packets, x.more, got, x.want)
		}
	}
}

// With options the bytes decide how often the field has gone round, also for ACKs that had none. RFC 9768 §3.2.2.5.2.
func TestR9768_3_2_3_1_OptionDecides(t *testing.T) {
	for _, x := range []struct {
		more  int
		bytes int
		want  uint32
	}{{1, 1000, 1}, {1, 9000, 9}, {2, 2000, 2}, {2, 9500, 10}, {0, 0, 0}, {0, 8000, 8}} {
		p := accTen(t)
		p.Recv(line("< %s 1:1(0) ack %d <ECN e0b 1 ceb %d e1b 1>", ace(5+x.more), p.SndNXT(), x.bytes))
		p.Drop()
		if got := p.Info().MarksReported; got != x.want {
			t.Errorf("%d more, %d bytes: %d marks, want %d", x.more, x.bytes, got, x.want)
		}
	}
}

// Options of every length and both orders are read, and what lies beyond whole fields is ignored. RFC 9768 §3.2.3.
func TestR9768_3_2_3_Lengths(t *testing.T) {
	for _, raw := range [][]byte{
		{172, 2, 1, 1}, {174, 2, 1, 1}, {172, 5, 0, 0, 1, 1, 1, 1}, {174, 5, 0, 0, 1, 1, 1, 1},
		{172, 8, 0, 0, 1, 0, 0, 0}, {174, 8, 0, 0, 1, 0, 0, 0}, {172, 11, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1},
		{174, 11, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1}, {172, 4, 9, 9}, {174, 7, 0, 0, 1, 9, 9, 1},
		{172, 13, 0, 0, 1, 0, 0, 0, 0, 0, 1, 9, 9, 1, 1, 1},
	} {
		p := accTen(t)
		p.RecvOptions("< "+ace(6)+" 1:1(0) ack 1001", raw...)
		p.Drop()
		if i := p.Info(); i.MarksReported != 1 || !i.ECNCapable {
			t.Errorf("% x: %d marks, ECN-capable %v", raw, i.MarksReported, i.ECNCapable)
		}
	}
}

// The option goes on the SYN-ACK, on the client's first ACK and on its first data, never on a SYN. RFC 9768 §3.2.3.2.1.
func TestR9768_3_2_3_2_1_TryingThePath(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNAccurate))
	p.Open()
	p.Want("> SEWA 0:0(0) <mss 1000,nop,nop,sackOK>")
	p.Recv("< S.W 0:0(0) ack 1 win 10000 <mss 1000,ECN e0b 1 ceb 0 e1b 1>")
	p.Want("> .W 1:1(0) ack 1 <ECN e0b 1,nop,nop,nop>")
	p.Write(10)
	p.Want("> [ect0] P" + ace(5) + " 1:11(10) ack 1 <ECN e0b 1,nop,nop,nop>")
	p.Recv("< " + ace(5) + " 1:1(0) ack 11")
	p.Write(10)
	p.Want("> [ect0] P" + ace(5) + " 11:21(10) ack 1 <>")

	p = tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.RecvOptions("< SEWA 0:0(0) win 1000", 172, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) // zeros, to be ignored
	p.Want("> S.W 0:0(0) ack 1 <mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>")
	p.Recv("< .W 1:1(0) ack 1 win 10000")
	wantECN(t, p, tcp.FeedbackAccurate, true)
}

// A SYN-ACK that goes again leaves the option out, and then the flags. RFC 9768 §3.2.3.2.2.
func TestR9768_3_2_3_2_2a_RetransmittedSYNACK(t *testing.T) {
	p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept))
	p.Recv("< SEWA 0:0(0) win 1000 <mss 1000>")
	p.Want("> S.W 0:0(0) ack 1 <mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>")
	p.WantAt("1s", "> S.W 0:0(0) ack 1 <mss 1000>")
	p.WantAt("3s", "> S. 0:0(0) ack 1 <mss 1000>")
	p.Recv("< " + ace(2) + " 1:1(0) ack 1 win 10000")
	wantECN(t, p, tcp.FeedbackAccurate, false) // the client may not know: §3.1.5
}

// The client's first data goes again without the option, which then is used no more; the peer's are read all the same. RFC 9768 §3.2.3.2.2.
func TestR9768_3_2_3_2_2b_FirstDataLost(t *testing.T) {
	p := tcptest.Established(t, tcptest.AccECN)
	p.Write(10)
	p.Want("> [ect0] P" + ace(5) + " 1:11(10) ack 1 <ECN e0b 1,nop,nop,nop>")
	p.Advance("1s")
	p.Want("> P" + ace(5) + " 1:11(10) ack 1 <>")
	p.Recv("< [ce] " + ace(5) + " 1:101(100) ack 11")
	p.Want("> " + ace(6) + " 11:11(0) ack 101 <>")
	p.Read(100)
}

// Initial values of zero show that options are zeroed: they are read no more. RFC 9768 §3.2.3.2.4.
func TestR9768_3_2_3_2_4_ZeroedOption(t *testing.T) {
	p := tcptest.Closed(t, ecn(tcp.ECNAccurate), tenSegments)
	p.Open()
	p.Drop()
	p.Recv("< S.W 0:0(0) ack 1 win 60000 <mss 1000,ECN e0b 0 ceb 0 e1b 0>")
	p.Drop()
	p.Write(10_000)
	p.Drop()
	p.Recv(line("< %s 1:1(0) ack %d <ECN e0b 0 ceb 0 e1b 0>", ace(6), p.SndNXT()))
	p.Drop()
	if i := p.Info(); i.MarksReported != 9 { // as if there were none
		t.Errorf("%d marks", i.MarksReported)
	}
}

// Bytes without packets mean that the feedback is mangled: our data does without ECN. RFC 9768 §3.2.3.2.5.
func TestR9768_3_2_3_2_5_Inconsistent(t *testing.T) {
	p := accTen(t)
	p.Recv("< " + ace(5) + " 1:1(0) ack 2001 <ECN e0b 1001 ceb 1000>")
	p.Drop()
	wantECN(t, p, tcp.FeedbackAccurate, false)
}

// The option goes on every ACK after a counter of bytes has grown, with every counter that ever did. RFC 9768 §3.2.3.3.
func TestR9768_3_2_3_3a_SimpleScheme(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	for i, x := range []struct{ mark, option string }{
		{"[ect0]", "<ECN e0b 1001,nop,nop,nop>"},
		{"[ect0]", "<ECN e0b 2001,nop,nop,nop>"},
		{"", "<>"}, // nothing grew
		{"[ce]", "<ECN e0b 2001 ceb 1000,nop,nop,nop,nop>"},
		{"[ect0]", "<ECN e0b 3001 ceb 1000,nop,nop,nop,nop>"},
		{"[ect1]", "<ECN e0b 3001 ceb 1000 e1b 1001,nop>"},
	} {
		p.Recv(line("< %s %s %d:%d(1000) ack 1", x.mark, ace(5), 1000*i+1, 1000*i+1001))
		p.Advance("200ms")
		p.Want(line("> %s 1:1(0) ack %d %s", ace(5+min(i/3, 1)), 1000*i+1001, x.option))
		p.Read(1000)
		p.Drop()
	}
}

// Two SACK blocks come before the option, and the option before a third. RFC 9768 §3.2.3.3.
func TestR9768_3_2_3_3b_RoomBesideSACK(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN, tcptest.Timestamps)
	p.Recv("< [ect0] " + ace(5) + " 1001:1101(100) ack 1")
	p.Want("> " + ace(5) + " 1:1(0) ack 1 <nop,nop,TS val 1000 ecr 100000,nop,nop,sack 1001:1101,ECN e0b 101,nop,nop,nop>")
	p.Recv("< [ect0] " + ace(5) + " 2001:2101(100) ack 1")
	p.Want("> " + ace(5) + " 1:1(0) ack 1 <nop,nop,TS val 1000 ecr 100000,nop,nop,sack 2001:2101 1001:1101,ECN e0b 201,nop,nop,nop>")
	p.Recv("< [ce] " + ace(5) + " 3001:3101(100) ack 1")
	p.Want("> " + ace(6) + " 1:1(0) ack 1 <nop,nop,TS val 1000 ecr 100000,nop,nop,sack 3001:3101 2001:2101,ECN e0b 201 ceb 100>")
	p.Recv("< [ect1] " + ace(5) + " 4001:4101(100) ack 1") // all three need more: the two that grew do not lie together
	p.Want("> " + ace(6) + " 1:1(0) ack 1 <nop,nop,TS val 1000 ecr 100000,nop,nop,sack 4001:4101 3001:3101,ECN e1b 101,nop,nop,nop>")
	p.Drop()
}

// AccECN stays in TIME-WAIT, where a FIN that comes again is answered with the counter.
func TestAccECNInTimeWait(t *testing.T) {
	p := tcptest.Accepted(t, tcptest.AccECN)
	p.Shutdown()
	p.Want("> F" + ace(5) + " 1:1(0) ack 1")
	p.Recv("< F" + ace(5) + " 1:1(0) ack 2")
	p.Want("> " + ace(5) + " 2:2(0) ack 2")
	p.IntoRecord()
	p.Recv("< F" + ace(5) + " 1:1(0) ack 2")
	p.Want("> " + ace(5) + " 2:2(0) ack 2")
}

// A connection that TCP Fast Open begins before its handshake is over agrees as
// any other, its answer is ECN-capable, and a SYN that comes again tells as
// much as one that meets a record.
func TestAccECNWithFastOpen(t *testing.T) {
	const syn = " 0:10(10) win 10000 <mss 1000,FO 0102030405060708,nop,nop>"
	open := func() *tcptest.Conn {
		p := tcptest.Listen(t, ecn(tcp.ECNAccurateAccept), tcptest.TakesFastOpen(tcp.FastOpenCookie{}))
		p.Recv("< [ect0] SEWA" + syn)
		p.Want("> S.A 0:0(0) ack 11 <mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>")
		p.Read(10)
		p.Write(10)
		p.Want("> [ect0] P" + ace(5) + " 1:11(10) ack 11")
		return p
	}
	p := open()
	p.Recv("< .W 11:11(0) ack 11")
	wantECN(t, p, tcp.FeedbackAccurate, true)

	p = open()
	p.Recv("< [ce] S" + syn) // plain: the client may have given up
	p.Want("> S.WA 0:0(0) ack 11 <mss 1000,ECN e0b 1 ceb 0 e1b 1,nop>")
	p.Recv("< .W 11:11(0) ack 11")
	wantECN(t, p, tcp.FeedbackAccurate, false)

	p = open()
	p.Recv("< SEW" + syn)
	p.Want("> R. 700:700(0) ack 11")
	p.WantState(tcp.Closed)

	p = open() // and its timer falls back as a record's does
	p.WantAt("1s", "> S.A 0:0(0) ack 11 <mss 1000>")
	p.WantAt("3s", "> S. 0:0(0) ack 11 <mss 1000>")
	p.Recv("< .W 11:11(0) ack 11")
	p.Drop()
	wantECN(t, p, tcp.FeedbackAccurate, false)
}
