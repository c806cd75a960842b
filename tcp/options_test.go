package tcp_test

import (
	"fmt"
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// wantMSS demands an Eff.snd.MSS.
func wantMSS(t *testing.T, p *tcptest.Conn, want uint32) {
	t.Helper()
	if got := p.Info().SendMSS; got != want {
		t.Errorf("Eff.snd.MSS is %d, want %d", got, want)
	}
}

// The options end-of-list, no-operation and MSS are understood. RFC 9293 §3.1.
func TestR9293_M04_MandatoryOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		mss  uint32
	}{
		{"MSS", []byte{2, 4, 700 >> 8, 700 & 255}, 700},
		{"no-operation before it", []byte{1, 1, 1, 1, 2, 4, 700 >> 8, 700 & 255}, 700},
		{"nothing after the end of the list", []byte{1, 0, 0, 0, 2, 4, 700 >> 8, 700 & 255}, 536},
		{"end of the list at once", []byte{0, 0, 0, 0}, 536},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tcptest.SynSent(t)
			p.RecvOptions("< S. 0:0(0) ack 1", c.raw...)
			p.Want("> . 1:1(0) ack 1")
			wantMSS(t, p, c.mss)
		})
	}
}

// An option may arrive in any segment. RFC 9293 §3.1.
func TestR9293_M05_OptionsOnDataSegment(t *testing.T) {
	p := tcptest.Established(t)
	p.RecvOptions("< P. 1:11(10) ack 1", 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0) // timestamps that were not agreed on
	p.RecvOptions("< P. 11:21(10) ack 1", 2, 4, 1, 0)                         // MSS 256, whose place is a SYN
	p.RecvOptions("< P. 21:31(10) ack 1", 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2)
	p.Read(30)
	wantMSS(t, p, 1000)
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 31")
}

// An option that is not understood is skipped by its length. RFC 9293 §3.1.
func TestR9293_M06_UnknownOptionSkipped(t *testing.T) {
	p := tcptest.SynSent(t)
	p.RecvOptions("< S. 0:0(0) ack 1", 253, 6, 2, 4, 1, 0, 200, 2, 2, 4, 700>>8, 700&255)
	p.Want("> . 1:1(0) ack 1")
	wantMSS(t, p, 700)
	p.RecvOptions("< P. 1:11(10) ack 1", 99, 4, 0, 0)
	p.Read(10)
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 11")
}

// An option of illegal length is survived. RFC 9293 §3.1.
//
// What comes before it counts, the rest of the options does not, and the
// segment is taken.
func TestR9293_M07_IllegalOptionLength(t *testing.T) {
	for _, bad := range [][]byte{{253, 0}, {253, 1}, {253, 40}, {253}, {2, 0}, {2, 3, 1}, {2, 255, 1}, {8, 9, 1}} {
		t.Run(fmt.Sprintf("% x", bad), func(t *testing.T) {
			p := tcptest.SynSent(t)
			p.RecvOptions("< S. 0:0(0) ack 1", append([]byte{2, 4, 700 >> 8, 700 & 255}, bad...)...)
			p.WantState(tcp.Established)
			p.Want("> . 1:1(0) ack 1")
			wantMSS(t, p, 700)
			p.RecvOptions("< P. 1:11(10) ack 1", bad...)
			p.Read(10)
			p.Advance("200ms")
			p.Want("> . 1:1(0) ack 11")
		})
	}
}

// The MSS option is sent on SYN and SYN-ACK, and obeyed when received. RFC 9293 §3.7.1.
func TestR9293_M14_MSSOption(t *testing.T) {
	p := tcptest.Closed(t, tcptest.OurMSS(1460), tcptest.PeerMSS(1200))
	p.Open()
	p.Want("> S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK>")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1")
	p.Write(2400)
	p.Want("> P. 1:2401(2400) ack 1 cut 1200")

	p = tcptest.Listen(t, tcptest.OurMSS(1200), tcptest.PeerMSS(1460))
	p.Recv(p.SYN())
	p.Want("> S. 0:0(0) ack 1 win 65535 <mss 1200,nop,nop,sackOK>")
	p.Recv("< . 1:1(0) ack 1")
	p.Write(2400)
	p.Want("> P. 1:2401(2400) ack 1 cut 1200") // the path carries no more
}

// Without an MSS option the peer takes 536 octets over IPv4, 1220 over IPv6. RFC 9293 §3.7.1.
func TestR9293_M15_DefaultSendMSS(t *testing.T) {
	for name, factory := range map[string]func(testing.TB, ...tcptest.Option) *tcptest.Conn{
		"active": tcptest.Established, "passive": tcptest.Accepted} {
		t.Run(name, func(t *testing.T) {
			p := factory(t, tcptest.OurMSS(1460), tcptest.PeerMSS(0))
			wantMSS(t, p, 536)
			p.Write(1000)
			p.Want("> . 1:537(536) ack 1") // the rest waits: it is small (Nagle)
			wantMSS(t, factory(t, tcptest.OurMSS(1440), tcptest.PeerMSS(0), tcptest.V6), 1220)
			wantMSS(t, factory(t, tcptest.OurMSS(400), tcptest.PeerMSS(0)), 400)
		})
	}
}

// A segment is as large as the peer and the path take, less the options it carries. RFC 9293 §3.7.1.
func TestR9293_M16_EffSndMSS(t *testing.T) {
	for _, c := range []struct {
		our, peer uint16
		opts      []tcptest.Option
		want      uint32
	}{
		{1460, 1460, nil, 1460},
		{1460, 1000, nil, 1000},
		{1000, 1460, nil, 1000},
		{1460, 1460, []tcptest.Option{tcptest.Timestamps}, 1448},
		{1460, 1000, []tcptest.Option{tcptest.Timestamps}, 988},
		{1460, 0, []tcptest.Option{tcptest.Timestamps}, 524},
		{1460, 1, nil, 48}, // as Linux does: less would cost a packet for every few octets
	} {
		opts := append([]tcptest.Option{tcptest.OurMSS(c.our), tcptest.PeerMSS(c.peer)}, c.opts...)
		wantMSS(t, tcptest.Established(t, opts...), c.want)
		wantMSS(t, tcptest.Accepted(t, opts...), c.want)
	}
	// SACK blocks take room as well.
	p := tcptest.Established(t)
	p.Recv("< P. 1001:1011(10) ack 1")
	p.Want("> . 1:1(0) ack 1 win 65535 <nop,nop,sack 1001:1011>")
	p.Write(2000)
	p.Want("> . 1:1977(1976) ack 1 win 65535 cut 988 <nop,nop,sack 1001:1011>")
	// The path may turn out to carry less.
	p = tcptest.Established(t)
	p.TCB().PathMTU(0, 65535, 600)
	wantMSS(t, p, 600)
}

// Options are read at any alignment. RFC 9293 §3.2.
func TestR9293_M64_UnalignedOptions(t *testing.T) {
	for pad := range 4 {
		raw := make([]byte, 0, 16)
		for range pad {
			raw = append(raw, 1)
		}
		raw = append(raw, 3, 3, 5, 2, 4, 700>>8, 700&255)
		p := tcptest.SynSent(t, tcptest.Wscale(7))
		p.RecvOptions("< S. 0:0(0) ack 1", raw...)
		p.Want("> . 1:1(0) ack 1")
		wantMSS(t, p, 700)
		if i := p.Info(); i.SendScale != 5 {
			t.Errorf("with %d octets before: shift %d", pad, i.SendScale)
		}
	}
}

// The MSS option is on segments with SYN only. RFC 9293 §3.2.
func TestR9293_M65_MSSOnlyOnSyn(t *testing.T) {
	p := tcptest.Closed(t)
	p.Open()
	p.Want("> S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK>")
	p.WantAt("1s", "> S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK>")
	p.Recv(p.SYNACK())
	p.Want("> . 1:1(0) ack 1 win 65535 <>")
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1 win 65535 <>")
	p.Shutdown()
	p.Want("> F. 11:11(0) ack 1 win 65535 <>")
	p.Abort()
	p.Want("> R. 12:12(0) ack 1 win 0 <>")
}

// A SYN whose MSS is 0 says nothing of sizes, as on Linux: segments are not
// made as small as can be.
func TestMSSOfZeroIsNone(t *testing.T) {
	p := tcptest.Listen(t, tcptest.OurMSS(1460), tcptest.NoSACK)
	p.Recv("< S 0:0(0) win 65535 <mss 0>")
	p.Want("> S. 0:0(0) ack 1 win 65535 <mss 1460>")
	p.Recv("< . 1:1(0) ack 1")
	wantMSS(t, p, 536)
}
