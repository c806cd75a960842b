// Package tcptest scripts one TCP connection: a test says what arrives, what
// the application calls and how time passes, and what must leave. There is no
// peer but the test.
//
//	p := tcptest.Established(t, tcptest.MSS(1000), tcptest.NoSACK)
//	p.Write(2000)
//	p.Want("> P. 1:2001(2000) ack 1 cut 1000")
//	p.At("100ms")
//	p.Recv("< . 1:1(0) ack 2001")
//	p.WantNothing("all is acknowledged")
//
// Lines are in the notation of wire.Script, with sequence numbers relative to
// both ISNs: each SYN has number 0, the first octet number 1. "win" is the
// field as it is on the wire, not scaled. Of a wanted segment win and options
// count only if they are written. An arriving segment without win repeats the
// window before it; without options it carries a timestamp where timestamps
// are in use, and "<nop>" stands for none at all.
//
// Every octet of the stream has a value known from its number, so that content
// is checked on both sides without being written down. After each step it is
// also checked that all is well inside (tcp.TCB.Check: among other things, a
// deadline is set whenever something waits for the peer), that the right edge
// of the receive window never moves left, that a deadline lies ahead, and that
// a call of Advance before it changes nothing. When the test
// ends, nothing may have been sent that no Want has asked for, and after an
// Abort no chunk may be left.
//
// A failure prints the whole conversation.
package tcptest
