package tcp_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/tcptest"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
)

// searching is a connection of MSS 1460 with a window and a queue that leave
// room for probes.
func searching(t *testing.T, m tcp.MTUProbing, opts ...tcptest.Option) *tcptest.Conn {
	t.Helper()
	opts = append([]tcptest.Option{tcptest.MSS(1460), tcptest.MTUProbing(m), tcptest.Config(func(c *tcp.Config) {
		c.InitialWindow, c.Nagle = 20, false
	})}, opts...)
	return tcptest.Established(t, opts...)
}

// wantSearch compares the search with what is expected, in octets of MSS.
func wantSearch(t *testing.T, p *tcptest.Conn, mss, low, high uint32) {
	t.Helper()
	i := p.Info()
	if got := [3]uint32{i.PathMTU - 40, i.SearchLow - 40, i.SearchHigh - 40}; got != [3]uint32{mss, low, high} || !i.Searching {
		t.Errorf("MSS %d, searching %v from %d to %d; want %d, from %d to %d", got[0], i.Searching, got[1], got[2], mss, low, high)
	}
}

// The search begins at about 1024 octets, or where the link ends. RFC 4821 §7.2.
func TestR4821_7_2_SearchLow(t *testing.T) {
	p := searching(t, tcp.MTUProbingAlways)
	wantSearch(t, p, 1024, 1024, 1460)
	p.Write(2000)
	p.Want("> P. 1:2001(2000) ack 1 cut 1024")
	p = searching(t, tcp.MTUProbingAlways, tcptest.V6)
	if i := p.Info(); i.SendMSS != 1220 || i.SearchLow != 1280 {
		t.Errorf("over IPv6 MSS %d, the search from %d bytes", i.SendMSS, i.SearchLow)
	}
	p = tcptest.Established(t, tcptest.MTUProbing(tcp.MTUProbingAlways))
	if i := p.Info(); i.Searching || i.SendMSS != 1000 {
		t.Errorf("searching %v below a link's 1000 octets: MSS %d", i.Searching, i.SendMSS)
	}
}

// The search goes by halves, converges and stops, and is repeated when the
// interval has passed. RFC 4821 §7.3.
func TestR4821_7_3_Search(t *testing.T) {
	f := newFar(searching(t, tcp.MTUProbingAlways), 1300)
	f.write(1_000_000)
	want := []int{1242, 1351, 1351, 1351, 1296, 1323, 1323, 1323, 1309, 1309, 1309, 1302, 1302, 1302}
	if !slices.Equal(f.probes, want) {
		t.Fatalf("probes %v, want %v", f.probes, want)
	}
	wantSearch(t, f.Conn, 1296, 1296, 1301)
	if i := f.Info(); i.MTUProbes != uint32(len(want)) || i.MTUProbesLost != 12 {
		t.Errorf("%d probes, %d lost", i.MTUProbes, i.MTUProbesLost)
	}
	f.Advance("601s") // what was idle for so long begins with a small window
	f.probes, f.passes = nil, 1460
	f.write(1_000_000)
	if i := f.Info(); i.Searching || i.SendMSS != 1460 || len(f.probes) == 0 || f.probes[0] <= 1301 {
		t.Errorf("after the interval: probes %v, searching %v, MSS %d", f.probes, i.Searching, i.SendMSS)
	}
}

// far is a peer with SACK behind a path that drops segments above a size.
type far struct {
	*tcptest.Conn
	passes int
	have   map[int]bool // octets beyond next
	next   int          // expected
	left   int          // not written yet
	probes []int        // sizes of single segments that were larger than MSS
}

func newFar(p *tcptest.Conn, passes int) *far {
	return &far{Conn: p, passes: passes, have: map[int]bool{}, next: 1}
}

// fill queues what there is room for.
func (f *far) fill() {
	for f.left > 0 && f.TCB().Room() >= 10_000 {
		n := min(f.left, 10_000)
		f.left -= n
		f.Write(n)
	}
}

// write sends n octets more, and lets the peer answer every 10 ms until all have
// arrived.
func (f *far) write(n int) {
	f.left = n
	n += f.next - 1
	for range 10_000 {
		f.fill()
		mss := int(f.Info().SendMSS)
		sent := f.TakeData()
		if len(sent) == 0 {
			f.Advance("10ms")
			if f.next > n {
				return
			}
			continue
		}
		f.Advance("10ms")
		for _, d := range sent {
			if d.Cut == 0 && d.Len > mss {
				f.probes = append(f.probes, d.Len)
			}
			for at := d.Seq; at < d.Seq+d.Len; {
				k := min(d.Seq+d.Len-at, max(d.Cut, 1))
				if d.Cut == 0 {
					k = d.Len
				}
				f.arrive(at, k)
				at += k
			}
		}
	}
}

// arrive is one segment on the path, and the ACK of it.
func (f *far) arrive(at, n int) {
	if n > f.passes || at+n <= f.next {
		return
	}
	for i := max(at, f.next); i < at+n; i++ {
		f.have[i] = true
	}
	for ; f.have[f.next]; f.next++ {
		delete(f.have, f.next)
	}
	text := fmt.Sprintf("< . 1:1(0) ack %d", f.next)
	if len(f.have) > 0 { // the range of what has just arrived
		from, to := at, at+n
		for f.have[from-1] {
			from--
		}
		for f.have[to] {
			to++
		}
		text += fmt.Sprintf(" <nop,nop,sack %d:%d>", from, to)
	}
	f.Recv(text)
}

// The loss of a probe alone is no sign of congestion: cwnd stays, and what it
// carried is sent again at once, in segments that pass. RFC 4821 §7.6.
func TestR4821_7_6_ProbeLoss(t *testing.T) {
	for name, opts := range map[string][]tcptest.Option{"SACK": nil, "no SACK": {tcptest.NoSACK},
		"RFC 6675": {tcptest.Config(func(c *tcp.Config) { c.NoRACK = true })}} {
		t.Run(name, func(t *testing.T) {
			p := searching(t, tcp.MTUProbingAlways, opts...)
			p.Write(20_000)
			p.Want("> . 1:1243(1242) ack 1")
			before := p.Info()
			p.Want("> P. 1243:20001(18758) ack 1 cut 1024")
			if before.MTUProbe != 1282 {
				t.Errorf("a probe of %d bytes is on its way", before.MTUProbe)
			}
			p.At("100ms")
			sack := func(to string) string {
				if name == "no SACK" {
					return ""
				}
				return " <nop,nop,sack 1243:" + to + ">"
			}
			p.Recv("< . 1:1(0) ack 1" + sack("2267"))
			p.Recv("< . 1:1(0) ack 1" + sack("3291"))
			p.WantNothing("two are not enough")
			p.Recv("< . 1:1(0) ack 1" + sack("4315"))
			if name == "no SACK" {
				p.Want("> . 1:1025(1024) ack 1")
				p.Want("> . 1025:1243(218) ack 1")
			} else {
				p.Want("> . 1:1243(1242) ack 1 cut 1024")
			}
			if i := p.Info(); i.Cwnd != before.Cwnd || i.SSThresh != before.SSThresh || i.Recovery || i.MTUProbesLost != 1 || i.SendMSS != 1024 {
				t.Errorf("cwnd %d, ssthresh %d, recovery %v, probes lost %d, MSS %d; before cwnd %d", i.Cwnd, i.SSThresh, i.Recovery, i.MTUProbesLost, i.SendMSS, before.Cwnd)
			}
			p.At("200ms")
			p.Recv("< . 1:1(0) ack 20001")
			if i := p.Info(); i.Timeout || i.Recovery || i.Unacked != 0 {
				t.Errorf("%+v", i)
			}
		})
	}
}

// A probe that is lost with others says nothing of its size, and the loss is one
// of congestion. RFC 4821 §7.6.
func TestR4821_7_6_ProbeLostWithOthers(t *testing.T) {
	p := searching(t, tcp.MTUProbingAlways)
	p.Write(20_000)
	p.Want("> . 1:1243(1242) ack 1")
	before := p.Info()
	p.Want("> P. 1243:20001(18758) ack 1 cut 1024")
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 1 <nop,nop,sack 2267:3291>")
	p.Recv("< . 1:1(0) ack 1 <nop,nop,sack 2267:4315>")
	p.Recv("< . 1:1(0) ack 1 <nop,nop,sack 2267:5339>")
	p.Drop()
	if i := p.Info(); !i.Recovery || i.SSThresh >= before.Cwnd {
		t.Errorf("recovery %v, ssthresh %d; cwnd was %d", i.Recovery, i.SSThresh, before.Cwnd)
	}
	wantSearch(t, p, 1024, 1024, 1460)
}

// Full-sized segments that time out again and again go back to the size at which
// a search begins, then are halved. RFC 4821 §7.7.
func TestR4821_7_7_FullStop(t *testing.T) {
	for _, x := range []struct {
		opts []tcptest.Option
		want []string
	}{
		{nil, []string{"> . 1:1461(1460) ack 1", "> . 1:1461(1460) ack 1", "> . 1:1025(1024) ack 1", "> . 1:513(512) ack 1",
			"> . 1:257(256) ack 1", "> . 1:129(128) ack 1", "> . 1:65(64) ack 1", "> . 1:49(48) ack 1", "> . 1:49(48) ack 1"}},
		{[]tcptest.Option{tcptest.V6}, []string{"> . 1:1461(1460) ack 1", "> . 1:1461(1460) ack 1", "> . 1:1221(1220) ack 1", "> . 1:1221(1220) ack 1"}},
		{[]tcptest.Option{tcptest.MSS(1000)}, []string{"> . 1:1001(1000) ack 1", "> . 1:1001(1000) ack 1", "> . 1:1001(1000) ack 1", "> . 1:501(500) ack 1"}},
	} {
		p := searching(t, tcp.MTUProbingBlackHole, x.opts...)
		p.Write(5000)
		p.Drop()
		for i, want := range x.want {
			p.WantAt([]string{"1s", "3s", "7s", "15s", "31s", "63s", "123s", "183s", "243s"}[i], want)
			p.Drop()
		}
	}
}

// What times out is not always large: a few octets that get no answer say
// nothing of the path. RFC 4821 §7.7.
func TestR4821_7_7_SmallSegments(t *testing.T) {
	p := searching(t, tcp.MTUProbingBlackHole)
	p.Write(1000)
	p.Drop()
	p.Advance("100s")
	p.Drop()
	if i := p.Info(); i.Searching || i.SendMSS != 1460 || i.Backoff < 4 {
		t.Errorf("%+v", i)
	}
}

// After a black hole the search begins as soon as the smaller size gets
// through, and ends where the hole begins.
func TestBlackHoleIsSurvived(t *testing.T) {
	for _, x := range []struct{ passes, octets, least int }{{1260, 1_000_000, 1253}, {900, 1_000_000, 893}, {60, 30_000, 48}} {
		f := newFar(searching(t, tcp.MTUProbingBlackHole, tcptest.Profile(tcp.ProfileLinux)), x.passes)
		f.write(x.octets)
		if i := f.Info(); f.next != x.octets+1 || !i.Searching || int(i.SendMSS) > x.passes || int(i.SendMSS) < x.least {
			t.Errorf("%d octets of %d arrived through a hole of %d, MSS %d; probes %v", f.next-1, x.octets, x.passes, i.SendMSS, f.probes)
		}
	}
}

// Only an outage: what was sent before it arrives late, and so its size is known
// to pass. Nothing is left of the search.
func TestOutageIsNoBlackHole(t *testing.T) {
	p := searching(t, tcp.MTUProbingBlackHole)
	p.Write(3000)
	p.Want("> P. 1:3001(3000) ack 1 cut 1460")
	p.WantAt("1s", "> . 1:1461(1460) ack 1")
	p.WantAt("3s", "> . 1:1461(1460) ack 1")
	p.WantAt("7s", "> . 1:1025(1024) ack 1")
	wantSearch(t, p, 1024, 1024, 1460)
	p.At("8s")
	p.Recv("< . 1:1(0) ack 3001")
	if i := p.Info(); i.Searching || i.SendMSS != 1460 {
		t.Errorf("%+v", i)
	}
}

// tooBig tells of an ICMP message that quotes an octet of ours.
func tooBig(p *tcptest.Conn, octet uint32, mss uint16) (believe bool) {
	p.Do("packet too big", func(now mono.Time, c *tcp.TCB) {
		var s tcp.Space
		c.Space(&s)
		believe = c.PacketTooBig(now, s.ISS.Add(int(octet)), mss, 300)
	})
	return believe
}

// believed returns what the connection believes by now.
func believed(p *tcptest.Conn) (mss uint16, ok bool) {
	p.Do("look", func(_ mono.Time, c *tcp.TCB) { mss, ok = c.TakeTooBig() })
	return mss, ok
}

// A message that names less than has arrived counts only when what it quotes is
// lost: shown by SACK, by a probe timeout or by a retransmission timeout. RFC
// 5927 §7.2.
func TestTooBigIsDoubted(t *testing.T) {
	begin := func(opts ...tcptest.Option) *tcptest.Conn {
		p := searching(t, tcp.MTUProbingBlackHole, opts...)
		p.Write(2920)
		p.Drop()
		p.At("50ms")
		p.Recv("< . 1:1(0) ack 2921")
		p.Write(7300)
		p.Drop()
		return p
	}
	p := begin()
	if tooBig(p, 2921, 1460) || tooBig(p, 2921, 500) {
		t.Error("believed, although larger segments have arrived")
	}
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 4381")
	p.Advance("10s")
	p.Drop()
	if mss, ok := believed(p); ok {
		t.Errorf("%d octets of a message that quotes what has arrived", mss)
	}
	for name, x := range map[string]struct {
		opts []tcptest.Option
		ack  string
		wait string
		want string
	}{
		"SACK":            {nil, "< . 1:1(0) ack 2921 <nop,nop,sack 4381:8761>", "", "> . 2921:4381(1460) ack 1 cut 500"},
		"tail loss probe": {[]tcptest.Option{tcptest.TailLossProbes, tcptest.RTT(50 * time.Millisecond)}, "", "150ms", "> P. 2921:10221(7300) ack 1 cut 500"},
		"timeout":         {[]tcptest.Option{tcptest.NoSACK}, "", "1100ms", "> P. 2921:10221(7300) ack 1 cut 500"},
	} {
		p := begin(x.opts...)
		before := p.Info()
		tooBig(p, 2921, 500)
		p.WantNothing("it is doubted")
		if x.ack != "" {
			p.At("100ms")
			p.Recv(x.ack)
		} else {
			p.Advance(x.wait)
		}
		p.Want(x.want)
		p.Drop()
		if mss, ok := believed(p); !ok || mss != 500 {
			t.Errorf("%s: %d, %v is to be told to others", name, mss, ok)
		}
		if i := p.Info(); i.Cwnd != before.Cwnd || i.SSThresh != before.SSThresh || i.SendMSS != 500 {
			t.Errorf("%s: cwnd %d, ssthresh %d, MSS %d; before %d, %d", name, i.Cwnd, i.SSThresh, i.SendMSS, before.Cwnd, before.SSThresh)
		}
	}
	p = begin() // the rest of the window was as large and is lost, too
	tooBig(p, 2921, 100)
	p.Advance("1100ms")
	p.Want("> P. 2921:10221(7300) ack 1 cut 300")
	if mss, ok := believed(p); !ok || mss != 100 {
		t.Errorf("%d, %v below the floor", mss, ok)
	}
}

// Of several messages that are doubted the one that asks for least is kept, so
// that a forged one cannot make the path narrower than a true one says.
func TestDoubtedMessages(t *testing.T) {
	p := searching(t, tcp.MTUProbingBlackHole)
	p.Write(2920)
	p.Drop()
	p.Recv("< . 1:1(0) ack 2921")
	p.Write(2920)
	p.Drop()
	for _, mss := range []uint16{100, 1200, 500} {
		if tooBig(p, 2921, mss) {
			t.Errorf("%d is believed", mss)
		}
	}
	p.Advance("1s")
	p.Drop()
	if mss, ok := believed(p); !ok || mss != 1200 {
		t.Errorf("%d, %v", mss, ok)
	}
}

// While the handshake runs, what is learnt of the path is kept for what comes
// after it: the peer's SYN does not widen it again. RFC 1191 §6.5.
func TestR1191_6_5_InSynSent(t *testing.T) {
	p := tcptest.SynSent(t, tcptest.MSS(1460))
	pathMTU(p, 600)
	p.Recv(p.SYNACK())
	p.Drop()
	wantMSS(t, p, 600)
}

// An estimate that has expired, or a device whose MTU has risen, lets segments
// grow up to what the peer takes. RFC 1191 §6.3.
func TestR1191_3b_SegmentsGrow(t *testing.T) {
	p := tcptest.Established(t, tcptest.OurMSS(1460), tcptest.PeerMSS(8960))
	pathMTU(p, 600)
	wantMSS(t, p, 600)
	pathMTU(p, 1460)
	wantMSS(t, p, 1460)
	p.Do("the device takes 9000", func(now mono.Time, c *tcp.TCB) { c.PathMTU(now, 9960, 9960) })
	wantMSS(t, p, 8960)
	p.Write(8960)
	p.Want("> P. 1:8961(8960) ack 1")
}

// A device whose MTU falls bounds segments at once; what is on its way is not
// thought to be lost by that.
func TestDeviceShrinks(t *testing.T) {
	p := tcptest.Established(t)
	p.Write(3000)
	p.Want("> P. 1:3001(3000) ack 1 cut 1000")
	p.Do("the device takes 540", func(now mono.Time, c *tcp.TCB) { c.PathMTU(now, 500, 500) })
	p.WantNothing("it has left")
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 3001")
	p.Write(1000)
	p.Want("> P. 3001:4001(1000) ack 1 cut 500")
}

// The rows of RFC 8899 that are of TCP's making.

// Only probes are larger than what is known to pass, one at a time, with a round
// trip between two. RFC 8899 §3.
func TestR8899_3_OnlyProbesAreLarger(t *testing.T) {
	p := searching(t, tcp.MTUProbingAlways)
	p.Write(60_000)
	p.Want("> . 1:1243(1242) ack 1")
	p.Want("> . 1243:19675(18432) ack 1 cut 1024")
	p.At("100ms")
	p.Recv("< . 1:1(0) ack 19675")
	p.Want("> . 19675:21026(1351) ack 1")
	p.Want("> . 21026:49592(28566) ack 1 cut 1242")
}

// A message about a probe moves the end of the search, and segments stay as
// they are; what names less than passes for sure is another matter, what names
// as much as the probe none. RFC 8899 §4.6.
func TestR8899_4_6_TooBigForProbe(t *testing.T) {
	p := searching(t, tcp.MTUProbingAlways)
	p.Write(60_000)
	p.Drop()
	if tooBig(p, 1, 1242) || tooBig(p, 1, 1400) {
		t.Error("a probe as small as that is not too big")
	}
	if tooBig(p, 1300, 1100) {
		t.Error("what was no probe is not too big for 1100")
	}
	if !tooBig(p, 1, 1100) {
		t.Error("not believed")
	}
	pathMTU(p, 1100)
	p.Want("> . 1:1243(1242) ack 1 cut 1024")
	wantSearch(t, p, 1024, 1024, 1100)
}

// The numbers: three probes of a size, 600 s until the search is repeated. RFC
// 8899 §5.1. Deviation: probes are repeated when their loss shows, because TCP
// needs no timer of 15 s to see it, and the base over IPv4 is the 1024 octets of
// MSS that RFC 4821 §7.2 and Linux begin with.
func TestR8899_5_1_Numbers_Deviation(t *testing.T) {
	for _, profile := range []tcp.Profile{tcp.ProfileLinux, tcp.ProfileRFC} {
		c := tcp.DefaultConfig(profile)
		if c.MTUProbing != tcp.MTUProbingBlackHole || c.BaseMSS != 1024 || c.ProbeFloor != 48 || c.ProbeThreshold != 8 || c.ProbeInterval != 600*time.Second {
			t.Errorf("profile %d: %+v", profile, c)
		}
	}
	f := newFar(searching(t, tcp.MTUProbingAlways), 1024)
	f.write(200_000)
	if len(f.probes) < 4 || f.probes[0] != 1242 || f.probes[2] != 1242 || f.probes[3] >= 1242 {
		t.Errorf("probes %v", f.probes)
	}
}

// TCP acknowledges, so no timer confirms a size that nothing larger was sent
// than: an idle connection sends nothing. RFC 8899 §5.1.1.
func TestR8899_5_1_1_NoConfirmationTimer(t *testing.T) {
	p := searching(t, tcp.MTUProbingAlways)
	p.Write(2000)
	p.Want("> P. 1:2001(2000) ack 1 cut 1024")
	p.Recv("< . 1:1(0) ack 2001")
	p.WantDeadline("none")
}

// Where little is written or the window is small, probes are as large as they
// can be, and segments grow step by step.
func TestSmallWindowProbes(t *testing.T) {
	f := newFar(searching(t, tcp.MTUProbingAlways, tcptest.Config(func(c *tcp.Config) { c.BaseMSS = 48 }), tcptest.Window(2000)), 1460)
	f.write(40_000)
	if i := f.Info(); f.next != 40_001 || i.SendMSS < 300 {
		t.Errorf("%d octets arrived, MSS %d with a window of 2000", f.next-1, i.SendMSS)
	}
}
