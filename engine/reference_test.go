package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/handfast/handfast/internal/reference"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// The numbers of the endpoints that are compared with the reference function.
const (
	refLPort, refRPort = 80, 4000
	refIRS             = 500_000
	refISS             = 100_000
	refBuffer          = 10_000
	refReceived        = 500
	refMaxWND          = 16_000
	refWND             = 8000
	refMSS             = 1000
)

// circumstance is how an endpoint differs from the ordinary one in its state.
type circumstance struct {
	name        string
	active      bool // SYN-RECEIVED by a simultaneous open
	window      int  // of the receiver; -1: the ordinary one
	finWaits    bool // our FIN waits behind data that the window does not let out
	quiet       bool // nothing outstanding
	alone       bool // nobody listens
	noChallenge bool // the throttle holds back challenge ACKs
	iss, irs    uint32
}

func circumstances() []circumstance {
	all := []circumstance{{name: "ordinary"}, {name: "active open", active: true}, {name: "receive window zero", window: 1},
		{name: "receive window one", window: 2}, {name: "FIN still waiting behind data", finWaits: true},
		{name: "nothing outstanding", quiet: true}, {name: "nobody listens", alone: true},
		{name: "no challenge ACK left", noChallenge: true}, {name: "sequence numbers wrap"}}
	for i := range all {
		c := &all[i]
		c.window--
		c.iss, c.irs = refISS, refIRS
	}
	wrap := &all[len(all)-1]
	wrap.iss, wrap.irs = 1<<32-1500, 1<<32-refReceived-2
	return all
}

// refEnd is an endpoint in some state, reached by an exchange of packets.
type refEnd struct {
	t     testing.TB
	h     *Harness
	p     peer
	c     *Conn
	l     *Listener
	state reference.State
	vars  reference.Vars
}

// newRefEnd brings an endpoint to a state.
func newRefEnd(t testing.TB, s reference.State, x *circumstance) *refEnd {
	cfg := plainTCP()
	cfg.ReceiveBuffer = refBuffer
	cfg.QuickACKs = 255 // nothing is owed when the case begins
	if x.window >= 0 {
		cfg.ReceiveBuffer = uint32(refReceived + x.window)
		if s == reference.SynReceived || s == reference.SynSent {
			cfg.ReceiveBuffer = uint32(x.window)
		}
		if peerFINSeen(s) {
			cfg.ReceiveBuffer++
		}
	}
	us, them := at(us4, refLPort), at(them4, refRPort)
	f := Flow{Local: toAddr(us4), Remote: toAddr(them4), LPort: refLPort, RPort: refRPort}
	h := NewHarness(HarnessConfig{Config: Config{TCP: cfg}, MTU: refMSS + 40})
	// The clock is part of the ISN: set so that the ISN comes out as wanted.
	h.now = h.now.Add(time.Duration(x.iss-h.E.isn.isn(h.now, &f)) * isnTickLinux)
	e := &refEnd{t: t, h: h, state: s}
	e.p = peer{t: t, h: h, us: us, them: them, iss: x.irs, seq: x.irs, wnd: refMaxWND, mss: refMSS, ours: x.iss, ack: x.iss + 1}
	e.vars = reference.Base(s)
	e.reach(s, x)
	h.Sent()
	e.measure(x)
	if x.noChallenge {
		e.spendChallenge()
	}
	return e
}

// peerFINSeen: the states in which the peer's FIN has been received.
func peerFINSeen(s reference.State) bool {
	return s == reference.CloseWait || s == reference.Closing || s == reference.LastAck || s == reference.TimeWait
}

// reach goes through the exchange that leads to the state.
func (e *refEnd) reach(s reference.State, x *circumstance) {
	if s == reference.Closed {
		return
	}
	passive := s == reference.SynReceived && !x.active
	if s == reference.Listen || passive {
		e.l = listen(e.t, e.h, "10.0.0.1:80")
	}
	if s == reference.Listen {
		return
	}
	p := &e.p
	if passive {
		p.wnd = refWND
		p.send(wire.FlagSYN, "")
		return
	}
	var err error
	if e.c, err = e.h.Dial(DialConfig{Local: p.us, Remote: p.them}); err != nil {
		e.t.Fatal(err)
	}
	switch s {
	case reference.SynSent:
		return
	case reference.SynReceived: // the SYNs crossed
		p.wnd = refWND
		p.send(wire.FlagSYN, "")
		return
	}
	p.send(wire.FlagSYN|wire.FlagACK, "")
	e.exchange(x)
	e.close(s, x)
	if s == reference.TimeWait && !x.alone { // a program that starts again
		e.l = listen(e.t, e.h, "10.0.0.1:80")
	}
}

// exchange sends 2000 octets, of which half is acknowledged, and receives 500.
func (e *refEnd) exchange(x *circumstance) {
	p := &e.p
	e.h.Write(e.c, make([]byte, 2*refMSS))
	p.ack += refMSS
	p.wnd = refWND
	if x.finWaits {
		p.wnd = refMSS // full with what is outstanding
	}
	p.send(wire.FlagACK, string(make([]byte, refReceived)))
	if x.finWaits {
		e.h.Write(e.c, make([]byte, 100))
	}
}

// close goes on from ESTABLISHED.
func (e *refEnd) close(s reference.State, x *circumstance) {
	p := &e.p
	all := p.ours + 1 + 2*refMSS
	if x.quiet && (s == reference.Established || s == reference.CloseWait) {
		p.ack = all
		p.send(wire.FlagACK, "")
	}
	switch s {
	case reference.FinWait1, reference.Closing:
		e.h.Shutdown(e.c, false, true)
	case reference.FinWait2, reference.TimeWait:
		e.h.Shutdown(e.c, false, true)
		if x.finWaits { // there it cannot wait: let everything through
			p.wnd = refWND
			p.ack = all
			p.send(wire.FlagACK, "")
			all += 100
		}
		p.ack = all + 1
		p.send(wire.FlagACK, "")
	}
	if peerFINSeen(s) {
		p.send(wire.FlagACK|wire.FlagFIN, "")
	}
	if s == reference.LastAck {
		e.h.Shutdown(e.c, false, true)
	}
	if s == reference.TimeWait {
		e.h.Advance(time.Second) // so that a restart of 2 MSL can be seen
	}
}

// got is what an endpoint looks like.
type refGot struct {
	state     reference.State
	vars      *refVars // nil: no TCB
	delivered uint32
	signal    reference.Signal
	deadline  mono.Time // of TIME-WAIT
}

// refVars are the variables of RFC 9293 §3.3.1, scaled. SND.NXT is the highest
// it ever was: a timeout takes it back, but what was sent stays sent.
type refVars struct {
	ISS, SndUNA, SndNXT tcp.Seq
	SndWND, MaxSndWND   uint32
	SndWL1, SndWL2      tcp.Seq
	IRS, RcvNXT         tcp.Seq
	RcvWND              uint32
	FINSent, Passive    bool
}

func varsOf(c *Conn) refVars {
	var s tcp.Space
	c.Space(&s)
	return refVars{ISS: s.ISS, SndUNA: s.UNA, SndNXT: s.MAX, SndWND: s.SendWindow, MaxSndWND: s.MaxSendWindow,
		SndWL1: s.WL1, SndWL2: s.WL2, IRS: s.IRS, RcvNXT: s.RcvNXT, RcvWND: uint32(max(0, s.Edge.Sub(s.RcvNXT))),
		FINSent: s.FINSent, Passive: s.Passive}
}

// look reads the endpoint's state out of the Engine.
func (e *refEnd) look() refGot {
	g := refGot{}
	f := Flow{Local: toAddr(us4), Remote: toAddr(them4), LPort: refLPort, RPort: refRPort}
	hash := e.h.E.key.flow13(&f)
	c := e.h.E.conns.lookup(hash, &f)
	half := e.h.E.halfTable.lookup(&e.h.E.half, hash, &f)
	tw := e.h.E.twTable.lookup(&e.h.E.tw, hash, &f)
	n := 0
	if c != nil {
		n++
		v := varsOf(c)
		g.state, g.vars = reference.State(c.State()), &v
		e.c = c
	}
	if half != 0 {
		n++
		r := &e.h.E.half.at(half).rec
		g.state = reference.SynReceived
		g.vars = &refVars{ISS: r.ISS, SndUNA: r.ISS, SndNXT: r.ISS + 1, SndWND: uint32(r.WND), MaxSndWND: uint32(r.WND),
			SndWL1: r.IRS, SndWL2: r.ISS, IRS: r.IRS, RcvNXT: r.IRS + 1, RcvWND: min(e.h.E.tcp.ReceiveBuffer, 65535), Passive: true}
	}
	if tw != 0 {
		n++
		r := &e.h.E.tw.at(tw).rec
		g.state = reference.TimeWait
		v := refVars{SndUNA: r.SndNXT, SndNXT: r.SndNXT, RcvNXT: r.RcvNXT, RcvWND: uint32(r.WND), FINSent: true}
		if e.c != nil {
			v = varsOf(e.c) // as they were when the record was made
			v.RcvNXT, v.SndNXT = r.RcvNXT, r.SndNXT
		}
		g.vars, g.deadline = &v, r.Deadline
	}
	if n > 1 {
		e.t.Fatalf("the flow is in %d tables", n)
	}
	if n == 0 && (e.state == reference.Listen || e.state == reference.SynReceived && e.l != nil) {
		g.state = reference.Listen
	}
	if e.c != nil {
		var i tcp.Info
		e.c.Info(&i)
		g.delivered = uint32(i.BytesIn)
		switch {
		case i.Err == tcp.ReasonRefused:
			g.signal = reference.SignalRefused
		case i.Err == tcp.ReasonReset:
			g.signal = reference.SignalReset
		case e.c.EOF() || e.c.Readable() && peerFINSeen(reference.State(e.c.State())):
			g.signal = reference.SignalClosing
		}
	}
	return g
}

// measure takes the endpoint's variables and makes sure that they are what the
// exchange must have made of them.
func (e *refEnd) measure(x *circumstance) {
	g := e.look()
	if g.state != e.state {
		e.t.Fatalf("%s: brought to %v, want %v", x.name, g.state, e.state)
	}
	v := &e.vars
	v.Listener = e.l != nil
	v.ChallengeBudget = !x.noChallenge
	f := Flow{Local: toAddr(us4), Remote: toAddr(them4), LPort: refLPort, RPort: refRPort}
	v.NextISS = e.h.E.isn.isn(e.h.now, &f)
	if e.state == reference.TimeWait {
		old := tcp.TimeWaitRecord{SndNXT: g.vars.SndNXT}
		v.NextISS = uint32(old.NextISS(tcp.Seq(v.NextISS)))
	}
	if g.vars == nil {
		return
	}
	a := g.vars
	v.ISS, v.SndUNA, v.SndNXT, v.SndWND, v.MaxSndWND = uint32(a.ISS), uint32(a.SndUNA), uint32(a.SndNXT), a.SndWND, a.MaxSndWND
	v.SndWL1, v.SndWL2 = uint32(a.SndWL1), uint32(a.SndWL2)
	v.FinSent, v.PassiveOpen = a.FINSent, a.Passive
	if e.state == reference.SynSent { // of the peer nothing is known; where it may begin is up to the cases
		v.RcvWND = e.h.E.tcp.ReceiveBuffer
		return
	}
	v.IRS, v.RcvNXT, v.RcvWND = uint32(a.IRS), uint32(a.RcvNXT), a.RcvWND
	if uint32(a.SndUNA) != e.p.ack && e.state > reference.SynReceived || uint32(a.RcvNXT) != e.p.seq && e.state > reference.SynSent {
		e.t.Fatalf("%s %v: SND.UNA %d and RCV.NXT %d, but the peer has sent ACK %d and SEQ %d", x.name, e.state,
			a.SndUNA, a.RcvNXT, e.p.ack, e.p.seq)
	}
	if x.window >= 0 && e.state != reference.SynSent && int(v.RcvWND) != x.window {
		e.t.Fatalf("%s %v: RCV.WND %d, want %d", x.name, e.state, v.RcvWND, x.window)
	}
}

// spendChallenge provokes a challenge ACK, so that there is none left.
func (e *refEnd) spendChallenge() {
	switch e.state {
	case reference.Closed, reference.Listen, reference.SynSent:
		return
	}
	s := e.p.seg(wire.FlagACK, "")
	s.SEQ += 1 << 20
	e.h.Inject(s.raw())
	if n := len(e.h.Sent()); n != 1 {
		e.t.Fatalf("%v: %d answers to the first unacceptable segment, want 1", e.state, n)
	}
}

// arrive lets a case's segment arrive and returns the differences from what the
// reference function says, if any.
func (e *refEnd) arrive(s reference.Seg) string { return e.arriveWith(s, 0) }

// arriveWith is arrive for a segment with more flags.
func (e *refEnd) arriveWith(s reference.Seg, more wire.TCPFlags) string {
	before := e.look()
	seg := wireSegment{Src: e.p.them, Dst: e.p.us, SEQ: s.SEQ, ACK: s.AckNo, WND: uint16(s.WND), UP: uint16(s.UP), Flags: more, Data: make([]byte, s.Len)}
	for _, f := range [...]struct {
		on   bool
		flag wire.TCPFlags
	}{{s.SYN, wire.FlagSYN}, {s.ACK, wire.FlagACK}, {s.RST, wire.FlagRST}, {s.FIN, wire.FlagFIN}, {s.URG, wire.FlagURG}, {s.PSH, wire.FlagPSH}} {
		if f.on {
			seg.Flags |= f.flag
		}
	}
	e.h.Inject(seg.raw())
	want := reference.Arrive(e.vars, s)
	deviate(e.vars, s, &want)
	after := e.look()
	replies, text := e.replies()
	diff := ""
	note := func(format string, a ...any) { diff += "; " + fmt.Sprintf(format, a...) }
	if after.state != want.State {
		note("%v, want %v", after.state, want.State)
	}
	err := want.CheckReplies(replies)
	if n := len(replies); err != nil && text && n == 2 && replies[0].ACK == replies[1].ACK {
		err = want.CheckReplies(replies[:1]) // a duplicate ACK carries no text, RFC 5681 §2: it goes by itself
	} else if text && len(want.Replies) == 0 {
		err = want.CheckReplies(replies[1:])
	}
	if err != nil {
		note("%v", err)
	}
	if d := after.delivered - before.delivered; d != want.Delivered {
		note("delivered %d, want %d", d, want.Delivered)
	}
	signal := after.signal
	if signal == before.signal {
		signal = reference.SignalNone
	}
	if signal != want.Signal {
		note("signal %v, want %v", signal, want.Signal)
	}
	if want.Free&reference.FreeTimeWait == 0 && after.state == reference.TimeWait {
		if restarted := after.deadline != before.deadline; restarted != want.TimeWaitRestarted {
			note("2 MSL restarted %v, want %v", restarted, want.TimeWaitRestarted)
		}
	}
	if after.vars != nil && want.Free&reference.FreeVariables == 0 && after.state == want.State {
		diff += diffVars(after.vars, &want, text)
	}
	return diff
}

// deviate changes what the reference function wants where this stack decides
// otherwise, on purpose; so it pins what is done instead.
func deviate(v reference.Vars, s reference.Seg, want *reference.Outcome) {
	old := v.RcvNXT - s.SEQ // octets before the window, if any
	switch {
	case v.State == reference.Listen && s.SYN && s.FIN && !s.RST && !s.ACK:
		// No honest peer sends SYN and FIN together: the segment is dropped.
		*want = reference.Outcome{Vars: v}
	case (v.State == reference.Closing || v.State == reference.LastAck) && s.RST && want.State == reference.Closed:
		// The program is told of the reset: what it wrote may not have arrived.
		want.Signal = reference.SignalReset
	case v.State == reference.SynReceived && v.RcvWND == 0 && !s.SYN && !s.RST && s.ACK && s.SEQ == v.RcvNXT && s.LEN() > 0:
		// Only a receive buffer of no size at all makes a window of zero here:
		// the handshake is not completed by a segment with text.
		*want = reference.Outcome{Vars: v, Replies: []reference.Reply{{Kind: reference.KindACK, SEQ: v.SndNXT, ACK: v.RcvNXT}}}
	case v.State == reference.SynReceived && s.SYN && s.ACK && want.State != v.State:
		want.SndWL1++ // the SYN was trimmed off: as in the next case
	case v.State >= reference.SynReceived && v.State != reference.TimeWait && !s.SYN && !s.RST && s.ACK &&
		v.RcvWND > 0 && old > 0 && old <= s.Len && s.LEN() > old:
		// "It is assumed that the segment is the idealized segment that begins
		// at RCV.NXT", also where the window is taken from it; the reference
		// function looks at SEG.SEQ as it came.
		s.SEQ, s.Len = s.SEQ+old, s.Len-old
		o := reference.Arrive(v, s)
		want.SndWND, want.SndWL1, want.SndWL2, want.MaxSndWND, want.Free = o.SndWND, o.SndWL1, o.SndWL2, o.MaxSndWND, o.Free
	}
}

// diffVars compares the variables. text says that the Engine has sent text of
// its own, which the reference function knows nothing of.
func diffVars(a *refVars, o *reference.Outcome, text bool) (diff string) {
	check := func(name string, got, want uint32) {
		if got != want {
			diff += fmt.Sprintf("; %s = %d, want %d", name, got, want)
		}
	}
	check("SND.UNA", uint32(a.SndUNA), o.SndUNA)
	if !text {
		check("SND.NXT", uint32(a.SndNXT), o.SndNXT)
	}
	if o.State == reference.SynSent {
		return diff // of the peer nothing is known
	}
	check("RCV.NXT", uint32(a.RcvNXT), o.RcvNXT)
	if o.State == reference.TimeWait {
		return diff // the record keeps no more
	}
	if o.Free&reference.FreeSndWND == 0 {
		check("SND.WND", a.SndWND, o.SndWND)
		check("MAX.SND.WND", a.MaxSndWND, o.MaxSndWND)
	}
	if o.Free&reference.FreeSndWL1 == 0 {
		check("SND.WL1", uint32(a.SndWL1), o.SndWL1)
	}
	if o.Free&reference.FreeSndWL2 == 0 {
		check("SND.WL2", uint32(a.SndWL2), o.SndWL2)
	}
	return diff
}

// replies returns what was sent as the reference function's replies; text says
// that text or a FIN of ours was among it, on which an ACK may ride.
func (e *refEnd) replies() (all []reference.Reply, text bool) {
	for _, s := range segments(e.t, e.h) {
		own := len(s.Data) > 0 || s.Flags&wire.FlagFIN != 0
		if own && text {
			continue // more of it
		}
		text = text || own
		r := reference.Reply{SEQ: s.SEQ, ACK: s.ACK}
		switch s.Flags &^ (wire.FlagPSH | wire.FlagFIN | wire.FlagECE) { // ECE of a SYN-ACK is RFC 3168's
		case wire.FlagRST:
			r.Kind = reference.KindRST
		case wire.FlagRST | wire.FlagACK:
			r.Kind = reference.KindRSTACK
		case wire.FlagACK:
			r.Kind = reference.KindACK
		case wire.FlagSYN | wire.FlagACK:
			r.Kind = reference.KindSYNACK
		default:
			e.t.Fatalf("sent %v", s.String())
		}
		all = append(all, r)
	}
	return all, text
}

// What an endpoint does with any segment in any state is what RFC 9293 §3.10.7
// says, as written down a second time by someone who has not read this code.
// Where the two differ on purpose, deviate says so.
func TestReferenceFunction(t *testing.T) {
	for _, x := range circumstances() {
		if (testing.Short() || raceEnabled) && x.name != "ordinary" {
			continue // a second each, ten under the race detector
		}
		t.Run(x.name, func(t *testing.T) { compareWithReference(t, &x) })
	}
}

// compareWithReference runs all cases, each on an endpoint of its own.
func compareWithReference(t *testing.T, x *circumstance) {
	const report = 10
	base := func(s reference.State) reference.Vars { return newRefEnd(t, s, x).vars }
	cases, failures := 0, 0
	reference.CasesFrom(base, func(v reference.Vars, s reference.Seg) bool {
		e := newRefEnd(t, v.State, x)
		if e.vars != v {
			t.Fatalf("%v: the endpoint is not what it was:\n%+v\n%+v", v.State, e.vars, v)
		}
		cases++
		d := e.arrive(s)
		if err := e.h.Err(); err != nil {
			d += "; sent a bad packet: " + err.Error()
		}
		if d != "" {
			failures++
			if failures <= report {
				t.Errorf("%v %v%s\n%s\n%+v", v.State, s, d, reference.Explain(v, s), v)
			}
		}
		return true
	})
	if failures > report {
		t.Errorf("%d cases differ", failures)
	}
	if cases != reference.NumCases {
		t.Errorf("%d cases, want %d", cases, reference.NumCases)
	}
}
