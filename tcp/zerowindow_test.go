package tcp_test

import (
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// A closed window is probed: one octet beyond it in the RFC profile. RFC 9293 §3.8.6.1.
func TestR9293_M36_ZWP(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.Write(2500)
	p.WantNothing("the window is closed")
	p.WantAt("1s", "> . 1:2(1) ack 1")
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.WantNothing("it still is")
	p.WantAt("3s", "> . 1:2(1) ack 1")
	p.WantAt("7s", "> . 1:2(1) ack 1")  // with or without an answer
	p.Recv("< . 1:1(0) ack 2 win 0")    // the octet of the probe was taken
	p.WantAt("15s", "> . 2:3(1) ack 1") // the next is probed with
	p.Recv("< . 1:1(0) ack 2 win 2000")
	p.Want("> . 2:2002(2000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 2002 win 2000")
	p.Want("> P. 2002:2501(499) ack 1")
	p.Recv("< . 1:1(0) ack 2501 win 2000")
	p.WantDeadline("none")
}

// As long as the peer answers the probes the connection stays open. RFC 9293 §3.8.6.1.
func TestR9293_M37_ZeroWindowStaysOpen(t *testing.T) {
	for name, profile := range map[string]tcp.Profile{"Linux": tcp.ProfileLinux, "RFC": tcp.ProfileRFC} {
		t.Run(name, func(t *testing.T) {
			p := tcptest.Established(t, tcptest.Profile(profile))
			cwnd := p.Info().Cwnd
			p.Recv("< . 1:1(0) ack 1 win 0")
			p.Write(5000)
			for range 500 { // more than eight hours
				p.Advance("1m")
				for range p.Drop() {
					p.Recv("< . 1:1(0) ack 1 win 0")
					p.WantNothing("the answer to a probe is no duplicate ACK")
				}
				p.WantState(tcp.Established)
			}
			if i := p.Info(); i.Cwnd != cwnd || i.Recovery || i.DupACKs != 0 {
				t.Errorf("probing is no loss: cwnd from %d to %d, %d duplicates", cwnd, i.Cwnd, i.DupACKs)
			}
			p.Recv("< . 1:1(0) ack 1 win 65535")
			if p.Drop() == 0 {
				t.Error("the window opened and nothing was sent")
			}
		})
	}
}

// The FIN is probed for as well when it is all that is left. RFC 9293 §3.8.6.1.
func TestZeroWindowProbeIsTheFIN(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.Shutdown()
	p.WantNothing("the window is closed")
	p.WantAt("1s", "> F. 1:1(0) ack 1")
	p.Recv("< . 1:1(0) ack 2 win 0")
	p.WantState(tcp.FinWait2)
}

// Deviation: in the Linux profile the probe is an empty segment at SND.UNA-1,
// as Linux sends it: it provokes the same ACK and nothing has to be taken back.
func TestLinuxZeroWindowProbe(t *testing.T) {
	p := tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux), tcptest.RTT(100*ms))
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.Write(1000)
	p.WantAt("300ms", "> . 0:0(0) ack 1") // SRTT + max(4 RTTVAR, 200 ms)
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.WantAt("900ms", "> . 0:0(0) ack 1")
	p.Recv("< . 1:1(0) ack 1 win 1000")
	p.Want("> P. 1:1001(1000) ack 1")
}

// A user timeout ends even a connection whose peer answers probes. RFC 9293 §3.8.3, RFC 5482 §3.
func TestZeroWindowUserTimeout(t *testing.T) {
	p := tcptest.Established(t)
	p.TCB().SetUserTimeout(30 * time.Second)
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.Write(5000)
	for range 40 {
		p.Advance("1s")
		if p.State() == tcp.Closed {
			break
		}
		for range p.Drop() {
			p.Recv("< . 1:1(0) ack 1 win 0")
		}
	}
	p.WantErr(tcp.ReasonUserTimeout)
	p.Drop()
}

// The first probe goes when the window has been closed for one RTO. RFC 9293 §3.8.6.1.
func TestR9293_S29_FirstProbeRTO(t *testing.T) {
	p := tcptest.Established(t, tcptest.RTT(800*ms))
	p.Write(1000)
	p.Want("> P. 1:1001(1000) ack 1")
	p.At("800ms")
	p.Write(1000)
	p.Want("> P. 1001:2001(1000) ack 1")
	p.Write(500)
	p.Recv("< . 1:1(0) ack 2001 win 0")
	if rto := p.Info().RTO; rto != 2*time.Second { // 800 ms + 4 x 3/4 x 400 ms
		t.Fatalf("RTO is %v", rto)
	}
	p.WantAt("2800ms", "> . 2001:2002(1) ack 1")
}

// The interval between probes doubles, up to the largest RTO. RFC 9293 §3.8.6.1.
func TestR9293_S30_ProbeBackoff(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:1(0) ack 1 win 0")
	p.Write(10)
	for _, at := range []string{"1s", "3s", "7s", "15s", "31s", "63s", "123s", "183s", "243s", "303s"} {
		p.WantAt(at, "> . 1:2(1) ack 1")
		p.Recv("< . 1:1(0) ack 1 win 0") // answers do not start it anew
	}
	p.Recv("< . 1:1(0) ack 1 win 1000")
	p.Want("> P. 1:11(10) ack 1")
	p.WantAt("304s", "> P. 1:11(10) ack 1") // but an open window does
}

// A receiver may keep its window closed for ever, and answers every probe. RFC 9293 §3.8.6.1.
func TestR9293_Y08_ReceiverClosed(t *testing.T) {
	p := tcptest.Established(t, tcptest.ReceiveBuffer(1000))
	p.Recv("< . 1:1001(1000) ack 1")
	p.Advance("200ms")
	p.Want("> . 1:1(0) ack 1001 win 0")
	for range 200 {
		p.Advance("1m")
		p.Recv("< . 1001:1002(1) ack 1")
		p.Want("> . 1:1(0) ack 1001 win 0")
		p.Recv("< . 1000:1000(0) ack 1") // an empty probe, as Linux sends it
		p.Want("> . 1:1(0) ack 1001 win 0")
	}
	p.WantState(tcp.Established)
	p.WantUnread(1000)
	p.Read(1000)
	p.Want("> . 1:1(0) ack 1001 win 1000")
}
