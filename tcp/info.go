package tcp

import "time"

// Info is a snapshot of a connection, in the spirit of Linux' TCP_INFO.
type Info struct {
	State          State
	Err            Reason
	SRTT, RTTVAR   time.Duration
	RTO            time.Duration // with back-off
	SendMSS        uint32        // Eff.snd.MSS
	ReceiveMSS     uint32        // what we announced
	Cwnd, SSThresh uint32        // bytes
	InFlight       uint32
	SendWindow     uint32 // the peer's, scaled
	ReceiveWindow  uint32 // ours, as advertised
	SendScale      uint8
	ReceiveScale   uint8
	Unsent         uint32 // queued, never sent
	Unacked        uint32 // sent, not acknowledged
	Unread         uint32 // in order, not taken
	OutOfOrder     uint32
	BytesIn        uint64 // payload delivered in order
	BytesOut       uint64 // payload sent, each byte once
	SegsIn         uint32
	SegsOut        uint32
	Retransmits    uint32
	Backoff        uint8
	Probes         uint8 // unanswered keepalive probes
	DupACKs        uint8
	Recovery       bool
	Persist        bool
	Timestamps     bool
	SACK           bool
	NoDelay        bool
	Congestion     string
}

// Info fills in a snapshot.
func (c *TCB) Info(i *Info) {
	*i = Info{State: c.state, Err: c.err, SRTT: c.SRTT, RTTVAR: c.RTTVAR,
		SendWindow: c.snd.WND, ReceiveWindow: c.rcv.WND(), SendScale: c.snd.scale, ReceiveScale: c.rcv.scale,
		Cwnd: c.cc.Cwnd + c.inflate, SSThresh: c.cc.SSThresh, ReceiveMSS: uint32(c.rcv.MSS),
		Unread: c.rcv.queue.n, BytesIn: c.bytesIn, BytesOut: c.bytesOut, SegsIn: c.segsIn, SegsOut: c.segsOut,
		Retransmits: c.retransmits, Backoff: c.backoff, Probes: c.keepSent, DupACKs: c.dupACKs,
		Recovery: c.has(fRecovery), Persist: c.has(fPersist), Timestamps: c.has(fTimestamps), SACK: c.has(fSACK),
		NoDelay: !c.has(fNagle)}
	if c.cfg == nil {
		return
	}
	i.RTO, i.SendMSS = c.backedOff(), c.effMSS()
	i.Congestion = c.cfg.Congestion.Name()
	i.InFlight = uint32(c.snd.NXT - c.snd.UNA)
	i.Unacked = uint32(c.snd.MAX - c.snd.UNA)
	if u := c.sndEnd().Sub(c.snd.MAX); u > 0 {
		i.Unsent = uint32(u)
	}
	if c.rcv.ooo != nil {
		i.OutOfOrder = c.rcv.ooo.bytes()
	}
}
