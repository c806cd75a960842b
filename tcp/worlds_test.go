package tcp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// What simulated worlds found, each as small as it gets.

// The window of a SYN-ACK is not scaled, in a simultaneous open as little as
// else. RFC 7323 §2.2.
func TestSimultaneousSYNACKWindowIsNotScaled(t *testing.T) {
	p := tcptest.SynReceived(t, tcptest.Wscale(7))
	p.Recv("< S. 0:0(0) ack 1 win 700 <mss 1000,wscale 7>")
	if w := p.Info().SendWindow; w != 700 {
		t.Errorf("the window is %d, offered were 700", w)
	}
	p.Recv("< . 1:1(0) ack 1 win 700")
	if w := p.Info().SendWindow; w != 700<<7 {
		t.Errorf("the window is %d, offered were 700<<7", w)
	}
}

// A shift that is too coarse for the buffer is not announced: the window could
// only be none or far too much.
func TestWindowScaleFitsBuffer(t *testing.T) {
	for _, c := range []struct {
		buffer uint32
		shift  string
	}{{2 << 20, "13"}, {142494, "13"}, {4096, "8"}, {31, "0"}, {1, "0"}} {
		p := tcptest.Closed(t, tcptest.Wscale(13), tcptest.ReceiveBuffer(c.buffer))
		p.Open()
		p.Want("> S 0:0(0) <mss 1000,nop,nop,sackOK,nop,wscale " + c.shift + ">")
	}
}

// Urgent data that arrives together with the FIN is still urgent. RFC 9293
// §3.8.5.
func TestUrgentWithFIN(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< FP.U 1:3(2) ack 1 urg 2")
	for n := 2; n > 0; n-- {
		if k, ok := p.TCB().Urgent(); k != n || !ok {
			t.Errorf("%d bytes of urgent data (%t), %d are unread", k, ok, n)
		}
		p.Read(1)
	}
	if n, ok := p.TCB().Urgent(); ok {
		t.Errorf("%d bytes of urgent data after all was read", n)
	}
	p.Drop()
}

// An ACK that moves SND.UNA brings its window along, even if its SEQ is older
// than the last one: else the old window, counted from the new SND.UNA, would
// reach beyond what the peer offered. RFC 9293 §3.10.7.4.
func TestNewACKWithOldSEQUpdatesWindow(t *testing.T) {
	p := tcptest.Established(t, tcptest.NoSACK)
	p.Write(3000)
	p.Want("> P. 1:3001(3000) ack 1 cut 1000")
	p.Recv("< . 0:0(0) ack 3001 win 100") // a zero-window probe
	if w := p.Info().SendWindow; w != 100 {
		t.Errorf("the window is %d, offered were 100", w)
	}
	p.Drop()
}

// On a path of 68 octets, the least an IPv4 link may carry, there is no room for
// three SACK blocks beside timestamps.
func TestSACKBlocksFitSmallestMTU(t *testing.T) {
	for _, c := range []struct {
		opts    []tcptest.Option
		options string
	}{
		{[]tcptest.Option{tcptest.OurMSS(28), tcptest.Timestamps}, "nop,nop,TS val 1000 ecr 100000,nop,nop,sack 21:25"},
		{[]tcptest.Option{tcptest.OurMSS(28)}, "nop,nop,sack 21:25 11:15"},
	} {
		p := tcptest.Established(t, c.opts...)
		p.Recv("< . 11:15(4) ack 1")
		p.Drop()
		p.Recv("< . 21:25(4) ack 1")
		p.Want("> . 1:1(0) ack 1 <" + c.options + ">")
	}
}

// A reset that discards what was not read leaves no end of stream behind: a
// program that looks for it first would believe that it has read all.
func TestResetIsNoEOF(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< FP. 1:101(100) ack 1")
	p.Want("> . 1:1(0) ack 102")
	p.Recv("< R 102:102(0)")
	p.WantErr(tcp.ReasonReset)
	p.WantEOF(false)
}

// Of a burst that left in two packets a part of the first has arrived: the rest
// of it is not lost yet, although the second is not outrun either. RFC 8985 §6.2.
func TestBurstIsJudgedInOrder(t *testing.T) {
	p := tcptest.Established(t, tcptest.RTT(10*time.Millisecond), tcptest.Config(func(c *tcp.Config) { c.InitialWindow = 20 }))
	p.Write(6000)
	p.Write(6000)
	p.Drop()
	for i := range 3 {
		p.At([]string{"10ms", "10500us", "11ms"}[i])
		p.Recv(fmt.Sprintf("< . 1:1(0) ack 1 <nop,nop,sack 1001:%d>", 2001+1000*i))
	}
	p.Want("> . 1:1001(1000) ack 1")
	p.WantNothing("only the first is lost")
	if i := p.Info(); i.SACKed != 3000 || i.Lost != 0 || i.Retransmits != 1 {
		t.Errorf("%d SACKed, %d lost, %d retransmissions", i.SACKed, i.Lost, i.Retransmits)
	}
	p.At("20ms")
	p.Recv("< . 1:1(0) ack 12001")
}

// The least MTU that a device can have, 68 octets, bounds segments also when it
// comes while the connection lives. RFC 791 §3.2.
func TestPathMTUFallsToLeast(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(60)
	p.Want("> P. 1:61(60) ack 1")
	p.At("100ms")
	pathMTU(p, 28)
	p.Want("> P. 1:61(60) ack 1 cut 28")
}

// A path that loses what is on its way before the SYN is acknowledged, when
// CLOSE has already sent a FIN behind it: what is sent again begins after the
// SYN, which has a timer of its own. RFC 9293 §3.10.4.
func TestPathLostWithSYNAndFINUnacknowledged(t *testing.T) {
	p := tcptest.SynReceived(t)
	p.Close()
	p.Want("> F. 1:1(0) ack 1")
	pathMTU(p, 500)
	p.WantNothing("a FIN fits into any path")
	p.Do("path lost", func(now mono.Time, c *tcp.TCB) { c.PathLost(now) })
	p.Want("> F. 1:1(0) ack 1")
	p.WantNothing("the SYN waits for its timer")
	p.WantState(tcp.FinWait1)
}

// Over a link of 68 octets a SYN-ACK with all other options has no room for the
// counters of AccECN, neither that of a record nor that of a simultaneous open.
func TestSYNACKFitsSmallestMTU(t *testing.T) {
	accurate := tcptest.Config(func(c *tcp.Config) { c.ECN = tcp.ECNAccurate })
	p := tcptest.Closed(t, accurate, tcptest.OurMSS(28), tcptest.Timestamps, tcptest.Wscale(7))
	p.Open()
	p.Want("> SEWA 0:0(0) <mss 28,sackOK,TS val 1000 ecr 0,nop,wscale 7>")
	p.Recv("< SEWA 0:0(0) win 65535 <mss 1000,sackOK,TS val 100000 ecr 0,nop,wscale 7>")
	p.Want("> S.W 0:0(0) ack 1 <mss 28,sackOK,TS val 1000 ecr 100000,nop,wscale 7>")
	p.Drop()

	cfg := tcp.DefaultConfig(tcp.ProfileLinux)
	cfg.ECN = tcp.ECNAccurate
	for _, mss := range []uint16{28, 1460} {
		var syn, out tcp.Segment
		syn.Flags = wire.FlagSYN | wire.FlagECE | wire.FlagCWR | wire.FlagAE
		syn.Opts = wire.TCPOptions{MSS: 1460, Has: wire.HasMSS | wire.HasTimestamps | wire.HasSACKPermitted | wire.HasWScale}
		h := tcp.NewHalfOpen(mono.Start, cfg, &syn, &tcp.Params{MSS: mss})
		h.SYNACK(mono.Start, cfg, &out)
		if n, has := out.Opts.Len(), out.Opts.Has&wire.HasAccECN != 0; n > int(mss) || has != (mss > 28) {
			t.Errorf("MSS %d: %d octets of options, AccECN %t", mss, n, has)
		}
	}
}
