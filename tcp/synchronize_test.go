package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/tcp"
)

// The window field is an unsigned number. RFC 9293 §3.1.
func TestR9293_M01_WindowUnsigned(t *testing.T) {
	p := tcptest.Established(t, tcptest.Window(65535), tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 100 }))
	if w := p.Info().SendWindow; w != 65535 {
		t.Fatalf("SND.WND is %d", w)
	}
	p.Write(65_000)
	p.Write(1000)
	p.Want("> P. 1:65001(65000) ack 1 cut 1000")
	p.WantNothing("535 octets of room are no full segment")
	p.Recv("< . 1:1(0) ack 65001 win 65535")
	p.Want("> P. 65001:66001(1000) ack 1")
}

// Two ends may open at the same time. RFC 9293 §3.5.
func TestR9293_M10_SimultaneousOpen(t *testing.T) {
	for name, lines := range map[string][]string{
		"SYN, SYN-ACK":             {"S", "SA"},
		"SYN, ACK":                 {"S", "A"},
		"SYN, SYN again, SYN-ACK":  {"S", "S", "SA"},
		"SYN, SYN-ACK twice":       {"S", "SA", "SA"},
		"SYN, SYN-ACK and the ACK": {"S", "SA", "A"},
	} {
		t.Run(name, func(t *testing.T) {
			p := tcptest.SynSent(t, tcptest.Wscale(7), tcptest.Timestamps, tcptest.PeerMSS(800))
			for _, l := range lines {
				switch l {
				case "S":
					p.Recv(p.SYN())
				case "SA":
					p.Recv(p.SYNACK())
				case "A":
					p.Recv("< . 1:1(0) ack 1")
				}
			}
			p.Want("> S. 0:0(0) ack 1")
			p.Drop() // what answers a repetition
			p.WantState(tcp.Established)
			if i := p.Info(); i.SendScale != 7 || !i.Timestamps || !i.SACK || i.SendMSS != 788 {
				t.Errorf("the options were not agreed on: %+v", i)
			}
			p.Write(10)
			p.Want("> P. 1:11(10) ack 1")
			p.Recv("< P. 1:11(10) ack 11 win 100")
			p.Read(10)
			p.Advance("200ms")
			p.Want("> . 11:11(0) ack 11")
		})
	}
}

// SYN-RECEIVED remembers whether it came from a passive or an active OPEN. RFC 9293 §3.5.
func TestR9293_M11_SynRcvdOrigin(t *testing.T) {
	passive := tcptest.HalfOpen(t)
	passive.Recv("< R. 1:1(0) ack 1")
	passive.WantState(tcp.Listen)
	active := tcptest.SynReceived(t)
	active.Recv("< R. 1:1(0) ack 1")
	active.WantErr(tcp.ReasonRefused)
}

// The application can tell a normal close from an abort. RFC 9293 §3.6.
func TestR9293_M12_EOFvsReset(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< FP. 1:11(10) ack 1")
	p.Want("> . 1:1(0) ack 12")
	p.Read(10)
	p.WantEOF(true)
	if err := p.TCB().Err(); err != tcp.ReasonNone {
		t.Errorf("an error after a FIN: %v", err)
	}

	p = tcptest.Established(t)
	p.Recv("< P. 1:11(10) ack 1")
	p.Recv("< R. 11:11(0) ack 1")
	p.WantErr(tcp.ReasonReset)
	p.WantEOF(false)
	p.WantUnread(0)
	if !p.TCB().Readable() || !p.TCB().Writable() {
		t.Error("nobody learns of the reset")
	}

	p = tcptest.CloseWait(t) // a RST after the FIN is still an abort
	p.Recv("< R 2:2(0)")
	p.WantErr(tcp.ReasonReset)
}

// Who closes first waits for 2 MSL, four minutes, in TIME-WAIT. RFC 9293 §3.6.1.
func TestR9293_M13_TimeWait2MSL(t *testing.T) {
	for _, s := range []tcp.State{tcp.FinWait2, tcp.Closing} {
		p := tcptest.In(t, s)
		if s == tcp.Closing {
			p.Recv("< . 2:2(0) ack 2")
		} else {
			p.Recv("< F. 1:1(0) ack 2")
			p.Want("> . 2:2(0) ack 2")
		}
		p.WantState(tcp.TimeWait)
		p.At("239999999us")
		p.WantState(tcp.TimeWait)
		p.At("240s")
		p.WantErr(tcp.ReasonNone)
	}
}

// Deviation: in the Linux profile TIME-WAIT lasts 60 s, as there: 2 MSL of RFC
// 9293 §3.4.2 are an engineering choice of another time.
func TestLinuxTimeWait(t *testing.T) {
	p := tcptest.TimeWait(t, tcptest.Profile(tcp.ProfileLinux))
	p.WantDeadline("60s")
}
