package tcp

import (
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/trace"
	"github.com/handfast/handfast/wire"
)

// accECN is what AccECN counts and has found out, RFC 9768 §3.2.
type accECN struct {
	r, s   ecnCounters // what arrived here; what the peer says arrived there
	told   ecnCounters // r at the last option
	lastTS uint32      // TSval of the newest feedback
	lastSQ Seq         // SEQ of the newest feedback

	// Since the last option from the peer: whole segments acknowledged, and
	// marks that ACE showed.
	ackedSince, markedSince uint32

	proving  uint8 // rounds of data until marks on all of it are taken for a fault; 0: some were not marked
	roundEnd Seq   // of the round that counts
	clean    bool  // something in it was not marked

	synECN    uint8 // IP-ECN field of the peer's SYN or SYN-ACK, the last one that came
	lastECN   uint8 // of the last segment that arrived
	ceUnacked uint8 // marks since the last segment left

	handshake bool // the next segment acknowledges our SYN-ACK
	answering bool // the next pure ACK tells how the SYN-ACK arrived
	tested    bool // the first ACE was looked at
	optHeard  bool // options get through to us
	optBad    bool // and make no sense
	optOff    bool // ours do not get through
	optFirst  bool // one is due on the next segment
	optData   bool // one is due on the first data
	dataSent  bool // the first data went, with an option
}

// ecnCounters are the counters of RFC 9768 §3.2: packets with CE, and bytes by
// codepoint.
type ecnCounters struct{ cep, ceb, e0b, e1b uint32 }

// addBytes counts n bytes of payload that arrived with a codepoint.
func (k *ecnCounters) addBytes(ecn uint8, n int) {
	switch ecn {
	case wire.ECT0:
		k.e0b += uint32(n)
	case wire.ECT1:
		k.e1b += uint32(n)
	case wire.CE:
		k.ceb += uint32(n)
	}
}

const (
	aceShift = 6 // of the ACE field in the flags
	aceMask  = 7
	aceStart = wire.FlagAE | wire.FlagECE // the first value: 5
	ectMask  = 1<<24 - 1                  // a counter in the option
	// provingRounds is after how many rounds of data with nothing but marks the
	// marks are taken for a fault, RFC 9768 §3.2.2.3.
	provingRounds = 4
)

// init sets the initial values of RFC 9768 §3.2.1: those that must not be zeroed
// on the way are not 0. next is where our data begins.
func (a *accECN) init(next Seq) {
	a.r = ecnCounters{cep: 5, e0b: 1, e1b: 1}
	a.s, a.told = a.r, a.r
	a.proving, a.roundEnd = provingRounds+1, next // the first is over with the first ACK
}

// handshakeACE tells how a SYN or SYN-ACK arrived: RFC 9768 tables 2 and 3.
func handshakeACE(ecn uint8) wire.TCPFlags {
	return [4]wire.TCPFlags{wire.FlagCWR, wire.FlagCWR | wire.FlagECE, wire.FlagAE, wire.FlagAE | wire.FlagCWR}[ecn&wire.ECNMask]
}

// ace reads the ACE field.
func ace(f wire.TCPFlags) uint32 { return uint32(f>>aceShift) & aceMask }

// accSYNACK is the client's first look at a server that agreed. What the server
// says of our SYN must be Not-ECT, as it was sent: anything else shows that the
// field is rewritten on the way, so our data does without (RFC 9768 §3.2.2.3).
// The combination in reserve stands for "as it was sent" (§3.1.3).
func (c *TCB) accSYNACK(now mono.Time, seg *Segment) {
	e, a := c.ecn, &c.ecn.acc
	f := seg.Flags & ecnFlags
	if f != handshakeACE(wire.NotECT) && f != wire.FlagAE|wire.FlagECE {
		e.noECT = true
	}
	a.answering, a.optFirst, a.optData = true, true, true
	a.synECN = seg.ECN
	if seg.ECN == wire.CE {
		a.r.cep++
		e.ceIn++
	}
	a.r.addBytes(seg.ECN, seg.Data.Len())
	a.hearOption(&seg.Opts, true)
	if f == handshakeACE(wire.CE) {
		e.reported++
		c.ecnReact(now, seg.ACK)
	}
}

// accSYNACKAgain notes that the SYN-ACK came once more: its answer tells how it
// arrived this time, RFC 9768 §3.1.5 and §3.2.2.1. A mark counts once.
func (c *TCB) accSYNACKAgain(seg *Segment) {
	if c.ecn == nil || !c.ecn.accurate || c.has(fPassive) || seg.SEQ != c.rcv.IRS || seg.ACK != c.snd.ISS+1 ||
		!seg.Has(wire.FlagSYN|wire.FlagACK) || seg.Has(wire.FlagRST) || seg.Flags&ecnFlags == 0 {
		return
	}
	a := &c.ecn.acc
	if seg.ECN == wire.CE && a.r.cep == 5 {
		a.r.cep++
	}
	a.synECN, a.answering = seg.ECN, true
}

// accReceive counts an acceptable segment by its codepoint, and owes an ACK
// when marks begin or enough of them have come: RFC 9768 §3.2 and §3.2.2.5.1. A
// segment glued of several is as many packets.
func (c *TCB) accReceive(seg *Segment, n int) {
	a := &c.ecn.acc
	before := a.lastECN
	a.lastECN = seg.ECN
	a.r.addBytes(seg.ECN, n)
	if seg.ECN != wire.CE || seg.unscaled && a.r.cep != 5 {
		return
	}
	packets := uint32(max(1, seg.Segs))
	a.r.cep += packets
	c.ecn.ceIn += packets
	a.ceUnacked = uint8(min(uint32(a.ceUnacked)+packets, 255))
	enough := uint8(3)
	if n > 0 || c.rcv.NXT != c.rcv.lastACK {
		enough = 2
	}
	// An ACK of nothing but ACKs must carry no SACK blocks, or it would look
	// like a duplicate: with a gap open, the ACKs of that have to do.
	if n > 0 && before != wire.CE || a.ceUnacked >= enough && (n > 0 || c.rcv.ooo == nil) {
		c.owe(pendACK, trace.WhyCongestionMark)
	}
}

// accFeedback reads what the peer counted: RFC 9768 §3.2.2.2. Feedback that is
// older than some we know is left alone.
func (c *TCB) accFeedback(now mono.Time, seg *Segment, n int) {
	e, a := c.ecn, &c.ecn.acc
	if seg.unscaled {
		return // the field means something else on a SYN
	}
	if !c.accProgress(seg) {
		return
	}
	first := a.handshake
	a.handshake = false
	if first && n == 0 && seg.Opts.NSACK == 0 && !seg.Has(wire.FlagFIN) {
		c.accFirstACK(now, seg)
		return
	}
	field := ace(seg.Flags)
	if !a.tested { // the initial value is not 0: RFC 9768 §3.2.2.4
		a.tested = true
		if field == 0 {
			e.noECT, e.deaf = true, true
		}
	}
	acked := uint32(seg.ACK - c.snd.UNA)
	packets := (acked + c.effMSS() - 1) / c.effMSS()
	marks := c.accMarks((field-a.s.cep)&aceMask, packets, &seg.Opts)
	a.s.cep += marks
	c.accProve(seg.ACK, acked, marks, packets)
	if marks == 0 {
		return
	}
	e.reported += marks
	if e.deaf {
		return
	}
	e.marked = true
	c.ecnReact(now, seg.ACK)
}

// accProgress reports whether a segment's feedback is newer than all before,
// and notes how new it is: it acknowledges more, or has a later timestamp or a
// higher SEQ.
func (c *TCB) accProgress(seg *Segment) bool {
	a := &c.ecn.acc
	ts := c.has(fTimestamps) && seg.Opts.Has&wire.HasTimestamps != 0
	if !a.tested { // the first of all
		a.lastSQ = seg.SEQ
		if ts {
			a.lastTS = seg.Opts.TSVal
		}
		return !seg.ACK.Less(c.snd.UNA)
	}
	newer := c.snd.UNA.Less(seg.ACK) || a.lastSQ.Less(seg.SEQ) || ts && int32(seg.Opts.TSVal-a.lastTS) > 0
	if seg.ACK.Less(c.snd.UNA) || !newer {
		return false
	}
	a.lastSQ = maxSeq(a.lastSQ, seg.SEQ)
	if ts {
		a.lastTS = seg.Opts.TSVal
	}
	return true
}

// accFirstACK reads a pure ACK of our SYN-ACK, which does not count but tells
// how that arrived: RFC 9768 table 4. It was sent as Not-ECT.
func (c *TCB) accFirstACK(now mono.Time, seg *Segment) {
	e, a := c.ecn, &c.ecn.acc
	a.hearOption(&seg.Opts, true)
	switch f := seg.Flags & ecnFlags; f {
	case 0: // the client does without, or somebody zeroes the field
		e.noECT, e.deaf = true, true
	case handshakeACE(wire.ECT0), handshakeACE(wire.ECT1):
		e.noECT = true // rewritten on the way
	case handshakeACE(wire.CE):
		e.noECT = true
		a.s.cep++
		e.reported++
		c.ecnReact(now, seg.ACK)
	}
}

// accMarks is how many marks an ACK reports whose field grew by delta, modulo
// eight, and which acknowledges so many packets: RFC 9768 §3.2.2.5.2. When the
// field may have gone round, the option tells; without options the worst is
// assumed, unless there have been no marks lately at all.
func (c *TCB) accMarks(delta, packets uint32, o *wire.TCPOptions) uint32 {
	a := &c.ecn.acc
	a.ackedSince += packets
	marks := delta
	safest := delta
	if packets > aceMask {
		safest = packets - (packets-delta)&aceMask
	}
	bytes, told := a.hearOption(o, false)
	switch {
	case told:
		// Whatever ACKs without an option have hidden comes to light here.
		if all := (bytes + c.effMSS() - 1) / c.effMSS(); all > a.markedSince+delta {
			rounds := (all - a.markedSince - delta + aceMask) / (aceMask + 1)
			marks += min(rounds, (safest-delta)/(aceMask+1)) * (aceMask + 1)
		}
		if bytes > 0 && a.markedSince+marks == 0 && a.ackedSince <= aceMask {
			c.ecn.noECT = true // bytes but no packets: RFC 9768 §3.2.3.2.5
		}
		a.ackedSince, a.markedSince = 0, 0
		return marks
	case !a.optHeard && (delta > 0 || c.ecn.reduced):
		marks = safest
	}
	a.markedSince += marks
	return marks
}

// hearOption reads an option: by how much the bytes with CE have grown since
// the one before, and whether it says so. first says that initial values are
// looked at: they are not 0, RFC 9768 §3.2.3.2.4.
func (a *accECN) hearOption(o *wire.TCPOptions, first bool) (bytes uint32, told bool) {
	if o.Has&wire.HasAccECN == 0 || a.optBad {
		return 0, false
	}
	a.optHeard = true
	n := o.NAccECN
	v := [wire.MaxAccECN]uint32{}
	copy(v[:n], o.AccECN[:n])
	if o.AccECNOrder != 0 {
		v[0], v[2] = v[2], v[0]
	}
	e0b, e1b := n > 0 && (o.AccECNOrder == 0 || n == wire.MaxAccECN), n > 0 && (o.AccECNOrder != 0 || n == wire.MaxAccECN)
	if first && (e0b && v[0] == 0 || e1b && v[2] == 0) {
		a.optBad, a.optHeard = true, false
		return 0, false
	}
	if e0b {
		a.s.e0b += (v[0] - a.s.e0b) & ectMask
	}
	if n > 1 {
		bytes = (v[1] - a.s.ceb) & ectMask
		a.s.ceb += bytes
	}
	if e1b {
		a.s.e1b += (v[2] - a.s.e1b) & ectMask
	}
	return bytes, n > 0
}

// accProve looks out for a path that marks everything: RFC 9768 §3.2.2.3 wants
// that checked in the first rounds. Then marks mean nothing, and our data does
// without ECN.
func (c *TCB) accProve(ack Seq, acked, marks, packets uint32) {
	e, a := c.ecn, &c.ecn.acc
	if a.proving == 0 || acked == 0 || e.noECT {
		return
	}
	if marks < packets {
		a.clean = true
	}
	if ack.Less(a.roundEnd) {
		return
	}
	a.roundEnd = c.snd.MAX
	a.proving--
	switch {
	case a.clean:
		a.proving = 0
	case a.proving == 0:
		e.noECT, e.deaf = true, true
	}
}

// accSent sets the ACE field of a segment other than a SYN: r.cep, but for the
// one that tells how the SYN-ACK arrived. RFC 9768 §3.2.2.
func (c *TCB) accSent(seg *Segment) {
	a := &c.ecn.acc
	if a.answering && seg.Data.Len() == 0 && seg.Flags&(wire.FlagFIN|wire.FlagRST) == 0 && seg.Opts.NSACK == 0 {
		a.answering = false
		seg.Flags |= handshakeACE(a.synECN)
	} else {
		seg.Flags |= wire.TCPFlags(a.r.cep&aceMask) << aceShift
	}
	if seg.Data.Len() > 0 && seg.SEQ == c.snd.ISS+1 {
		if a.dataSent { // lost, perhaps for its option: RFC 9768 §3.2.3.2.2
			a.optOff = true
			seg.Opts.Has &^= wire.HasAccECN
		}
		a.dataSent = seg.Opts.Has&wire.HasAccECN != 0
		a.optData = false
	}
	if seg.Opts.Has&wire.HasAccECN != 0 {
		a.optFirst = false
		a.told = a.r
	}
	a.ceUnacked = 0
}

// accAnswers reports that a pure ACK is to go before anything else, because only
// such a one can tell how the SYN-ACK arrived: RFC 9768 §3.2.2.1.
func (c *TCB) accAnswers() bool {
	return c.ecn != nil && c.ecn.acc.answering && c.pend&pendACK != 0
}

// accWhole reports that segments must go one by one: segmentation offload keeps
// CWR on the first piece only, which RFC 3168 wants and which would change the
// ACE field of the others (RFC 9768 §3.3.4).
func (c *TCB) accWhole() bool {
	return c.ecn != nil && c.ecn.accurate && ace(wire.FlagCWR)&c.ecn.acc.r.cep != 0
}

// accOption adds the option to the segment that is being made, if a counter has
// changed since the last or the path is to be tried: RFC 9768 §3.2.3.3. It
// carries all counters that ever changed; SACK blocks beyond the second give
// way, but not these. Where there is no room for what has changed there is no
// option.
func (c *TCB) accOption(o *wire.TCPOptions) {
	if c.ecn == nil || !c.ecn.accurate || c.ecn.acc.optOff {
		return
	}
	a := &c.ecn.acc
	news := a.r.ceb != a.told.ceb || a.r.e0b != a.told.e0b || a.r.e1b != a.told.e1b
	if !news && !a.optFirst && !(a.optData && c.snd.MAX == c.snd.ISS+1 && c.snd.queue.len() > 0) {
		return
	}
	began := ecnCounters{e0b: 1, e1b: 1}
	if !c.fitOption(o, a.fields(&began)) {
		c.fitOption(o, a.fields(&a.told))
	}
}

// optionFields is a choice of counters: the first n in an order.
type optionFields struct{ order, n uint8 }

// fields are the fewest that hold what differs from some counters before. With
// nothing to say it is one.
func (a *accECN) fields(since *ecnCounters) optionFields {
	ce, e0, e1 := a.r.ceb != since.ceb, a.r.e0b != since.e0b, a.r.e1b != since.e1b
	f := optionFields{n: 1}
	if e1 && !e0 {
		f.order = 1
	}
	if ce {
		f.n = 2
	}
	if e0 && e1 {
		f.n = 3
	}
	return f
}

// fitOption adds the option with these counters if there is room in the header,
// and in the segment for an octet of data.
func (c *TCB) fitOption(o *wire.TCPOptions, f optionFields) bool {
	const leastSACK = 2
	r := &c.ecn.acc.r
	v := [wire.MaxAccECN]uint32{r.e0b & ectMask, r.ceb & ectMask, r.e1b & ectMask}
	if f.order != 0 {
		v[0], v[2] = v[2], v[0]
	}
	sack := o.NSACK
	need := (2 + 3*int(f.n) + 3) &^ 3
	o.Has &^= wire.HasAccECN
	for o.NSACK > leastSACK && o.Len()+need > wire.TCPMaxOptLen {
		o.NSACK--
	}
	if n := o.Len() + need; n > wire.TCPMaxOptLen || n >= int(c.snd.MSS) {
		o.NSACK = sack
		return false
	}
	o.AccECN, o.NAccECN, o.AccECNOrder = v, f.n, f.order
	o.Has |= wire.HasAccECN
	return true
}

// accLast is the ACE field of the ACKs from TIME-WAIT.
func (c *TCB) accLast() uint8 {
	if c.ecn == nil || !c.ecn.accurate {
		return 0
	}
	return uint8(c.ecn.acc.r.cep & aceMask)
}
