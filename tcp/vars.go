package tcp

// Vars are the variables of RFC 9293 §3.3.1 as they are now, for tests and for
// those who want to watch a connection. Windows are scaled.
type Vars struct {
	ISS, SndUNA, SndNXT Seq
	SndWND, MaxSndWND   uint32
	SndWL1, SndWL2      Seq
	IRS, RcvNXT         Seq
	RcvWND              uint32 // as last advertised
	FINSent             bool   // our FIN is the octet before SND.NXT
	Passive             bool   // began as a passive OPEN
}

// Vars returns the connection's variables. SND.NXT is the highest it ever was:
// a timeout takes it back, but what was sent before stays sent.
func (c *TCB) Vars() Vars {
	return Vars{ISS: c.snd.ISS, SndUNA: c.snd.UNA, SndNXT: c.snd.MAX, SndWND: c.snd.WND, MaxSndWND: c.snd.maxWND,
		SndWL1: c.snd.WL1, SndWL2: c.snd.WL2, IRS: c.rcv.IRS, RcvNXT: c.rcv.NXT, RcvWND: c.rcv.WND(),
		FINSent: c.finSent(), Passive: c.has(fPassive)}
}
