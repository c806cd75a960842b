package tcp_test

import (
	"testing"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// noDelay switches Nagle's algorithm off.
func noDelay(p *tcptest.Conn) {
	p.Do("no delay", func(_ mono.Time, c *tcp.TCB) { c.SetNoDelay(true) })
}

// Nagle: while something is unacknowledged, what does not fill a segment waits. RFC 9293 §3.7.4.
func TestR9293_S07_Nagle(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(100)
	p.Want("> P. 1:101(100) ack 1")
	for range 8 {
		p.Write(100)
	}
	p.WantNothing("800 octets do not fill a segment")
	p.Write(300)
	p.Want("> . 101:1101(1000) ack 1") // a full one may go
	p.WantNothing("100 are left")
	p.Recv("< . 1:1(0) ack 101")
	p.WantNothing("1000 are unacknowledged")
	p.Recv("< . 1:1(0) ack 1101")
	p.Want("> P. 1101:1201(100) ack 1")

	p = tcptest.Established(t) // the FIN takes the rest along
	p.Write(100)
	p.Write(100)
	p.Want("> P. 1:101(100) ack 1")
	p.Shutdown()
	p.Want("> FP. 101:201(100) ack 1")
}

// In the Linux profile a small segment waits for other small ones only: the
// end of a large write goes at once, what is written next waits.
func TestNagleWaitsForSmallSegmentsOnly(t *testing.T) {
	p := tcptest.Established(t, tcptest.Profile(tcp.ProfileLinux))
	p.Write(2500)
	p.Want("> P. 1:2501(2500) ack 1 cut 1000")
	p.Write(100)
	p.WantNothing("the end of what was written before is on its way")
	p.Recv("< . 1:1(0) ack 2001")
	p.WantNothing("it still is")
	p.Write(950)
	p.Want("> . 2501:3501(1000) ack 1") // a full one may go
	p.WantNothing("50 are left")
	p.Recv("< . 1:1(0) ack 2501")
	p.Want("> P. 3501:3551(50) ack 1") // though 1000 are unacknowledged
	p.Write(50)
	p.WantNothing("50 are on their way")
	p.Recv("< . 1:1(0) ack 3551")
	p.Want("> P. 3551:3601(50) ack 1")
}

// Successive pushes become one, in the largest segment. RFC 9293 §3.9.1.2.
func TestR9293_S27_CollapsePSH(t *testing.T) {
	p := tcptest.Established(t, tcptest.Room(0))
	p.Write(100)
	p.Want("> P. 1:101(100) ack 1")
	for range 15 { // each SEND is a push
		p.Write(100)
	}
	p.Want("> P. 101:1101(1000) ack 1") // one push of ten
	p.Recv("< . 1:1(0) ack 1101")
	p.Want("> P. 1101:1601(500) ack 1") // one of five
}

// Segments are as large as they may be. RFC 9293 §3.9.1.2.
func TestR9293_S28_MaxSegments(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:1(0) ack 1 win 0")
	for range 200 {
		p.Write(50) // two hundred sends
	}
	p.Recv("< . 1:1(0) ack 1 win 65535")
	p.Want("> . 1:4001(4000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 4001")
	p.Want("> P. 4001:10001(6000) ack 1 cut 1000")
}

// Data that was not pushed may be put together. RFC 9293 §3.9.1.2.
func TestR9293_Y16_Aggregate(t *testing.T) {
	p := tcptest.SynSent(t)
	for range 30 {
		p.Write(10)
	}
	p.Recv(p.SYNACK())
	p.Want("> P. 1:301(300) ack 1") // the ACK of the handshake with it
	// On the way again it may be cut otherwise.
	p = tcptest.Established(t)
	noDelay(p)
	p.Write(10)
	p.Write(10)
	p.Write(10)
	p.Want("> P. 1:11(10) ack 1")
	p.Want("> P. 11:21(10) ack 1")
	p.Want("> P. 21:31(10) ack 1")
	p.WantAt("1s", "> P. 1:31(30) ack 1")
}

// SEND may have a PUSH flag. RFC 9293 §3.9.1.2.
//
// It has none, as no sockets interface has: data leaves as soon as the rules
// allow, and PSH is on the last segment.
func TestR9293_Y15_NoPushFlag(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(2500)
	p.Want("> . 1:2001(2000) ack 1 cut 1000")
	p.Recv("< . 1:1(0) ack 2001")
	p.Want("> P. 2001:2501(500) ack 1")
}

// A FLUSH call may be there. RFC 9293 §3.9.1.7.
//
// It is not: what is queued leaves as windows allow, and nothing else holds it.
func TestR9293_Y14_NoFlush(t *testing.T) {
	if _, ok := any(new(tcp.TCB)).(interface{ Flush() }); ok {
		t.Error("there is a FLUSH: test what it does")
	}
	p := tcptest.Established(t)
	p.Write(100)
	p.Want("> P. 1:101(100) ack 1")
}

// A PSH that was received may be shown to the application. RFC 9293 §3.9.1.3.
//
// It is not: data can be read as soon as it is in order, pushed or not.
func TestR9293_Y17_PSHNotExposed(t *testing.T) {
	p := tcptest.Established(t)
	p.Recv("< . 1:101(100) ack 1")
	if !p.TCB().Readable() {
		t.Error("without PSH it cannot be read")
	}
	p.Recv("< P. 101:201(100) ack 1")
	p.Recv("< . 201:301(100) ack 1")
	p.Read(300)
	p.Advance("200ms")
	p.Drop()
}

// The MSS option is on every SYN, also when it is the default. RFC 9293 §3.7.1.
func TestR9293_Y03_AlwaysMSS(t *testing.T) {
	p := tcptest.Closed(t, tcptest.OurMSS(536), tcptest.Config(func(c *tcp.Config) { c.NoSACK = true }))
	p.Open()
	p.Want("> S 0:0(0) <mss 536>")
	p.WantAt("1s", "> S 0:0(0) <mss 536>")
	p = tcptest.Listen(t, tcptest.OurMSS(536))
	p.Recv("< S 0:0(0) win 1000")
	p.Want("> S. 0:0(0) ack 1 <mss 536>")
	p = tcptest.SynSent(t, tcptest.OurMSS(536)) // and where two SYNs meet
	p.Recv("< S 0:0(0) win 1000")
	p.Want("> S. 0:0(0) ack 1 <mss 536>")
}

// Every option but end-of-list and no-operation has a length octet. RFC 9293 §3.1.
//
// What is sent is read back octet by octet, as a stranger would read it.
func TestR9293_M68_OptionLengthOctet(t *testing.T) {
	eachHeader(t, func(raw []byte) {
		for len(raw) > 0 {
			switch {
			case raw[0] == 0:
				return
			case raw[0] == 1:
				raw = raw[1:]
			case len(raw) < 2 || raw[1] < 2 || int(raw[1]) > len(raw):
				t.Fatalf("an option without a good length: % x", raw)
			default:
				raw = raw[raw[1]:]
			}
		}
	})
}

// A header is filled up with zeros behind the end of the option list. RFC 9293 §3.1.
//
// Here no-operations fill it from the front, so that there is no end of list;
// whole words it must be all the same.
func TestR9293_M69_ZeroPadding(t *testing.T) {
	n := 0
	eachHeader(t, func(raw []byte) {
		n++
		if len(raw)%4 != 0 || len(raw) > 40 {
			t.Errorf("%d octets of options: % x", len(raw), raw)
		}
		for i := 0; i < len(raw); {
			switch raw[i] {
			case 0:
				for _, b := range raw[i:] {
					if b != 0 {
						t.Errorf("behind the end of the list: % x", raw[i:])
					}
				}
				return
			case 1:
				i++
			default:
				i += int(raw[i+1])
			}
		}
	})
	if n < 20 {
		t.Errorf("only %d headers were seen", n)
	}
}

// eachHeader shows the options of many kinds of segments as they lie in the
// header.
func eachHeader(t *testing.T, show func(raw []byte)) {
	for i := range 16 {
		cfg := tcp.DefaultConfig(tcp.ProfileRFC)
		cfg.NoSACK, cfg.NoTimestamps, cfg.NoWindowScale = i&1 != 0, i&2 != 0, i&4 != 0
		peer := wire.TCPOptions{MSS: 1000, WScale: 3, TSVal: 5}
		peer.Has = wire.HasMSS | wire.HasWScale | wire.HasSACKPermitted | wire.HasTimestamps
		if i&8 != 0 {
			peer.Has = 0
		}
		var c tcp.TCB
		now := mono.Start
		emit := func() {
			var seg tcp.Segment
			for c.Emit(now, &seg, 65000) {
				var raw [wire.TCPMaxOptLen]byte
				show(raw[:seg.Opts.Put(raw[:])])
			}
		}
		c.Open(now, cfg, &tcp.Params{ISS: 100, MSS: 1460})
		emit()
		c.Arrive(now, &tcp.Segment{SEQ: 500, ACK: 101, WND: 1000, Flags: wire.FlagSYN | wire.FlagACK, Opts: peer})
		emit()
		for k := range 5 { // 0 to 5 blocks
			opts := wire.TCPOptions{TSVal: 5, Has: peer.Has & wire.HasTimestamps}
			c.Arrive(now, &tcp.Segment{SEQ: tcp.Seq(600 + 20*k), ACK: 101, WND: 1000, Flags: wire.FlagACK, Opts: opts, Data: bytesView(10)})
			emit()
		}
		c.Queue(now, bytesView(3000)[0])
		emit()
		c.Abort(now)
		emit()
	}
}
