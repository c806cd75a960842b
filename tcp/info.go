package tcp

import "time"

// Info is a snapshot of a connection, in the spirit of Linux' TCP_INFO.
type Info struct {
	State          State
	Err            Reason
	SRTT, RTTVAR   time.Duration
	RTO            time.Duration // with back-off
	SendMSS        uint32        // Eff.snd.MSS
	PathMTU        uint32        // the largest packet sent, in bytes
	Searching      bool          // for a larger one: packetization layer path MTU discovery, RFC 4821
	SearchLow      uint32        // bytes that are known to pass, while searching
	SearchHigh     uint32        // bytes that are not known not to
	MTUProbe       uint32        // bytes of the probe that is on its way; 0: none
	MTUProbes      uint32        // sent since the search began
	MTUProbesLost  uint32
	ReceiveMSS     uint32 // what we announced
	Cwnd, SSThresh uint32 // bytes
	InFlight       uint32 // outstanding less what is SACKed, and what is lost and not sent again
	SACKed         uint32 // by the peer
	Lost           uint32 // and not sent again
	Delivered      uint64 // bytes known to have arrived
	DeliveryRate   uint64 // bytes a second, of the last sample; 0: none
	AppLimited     bool   // that sample left while the program was the limit
	PacingRate     uint64 // bytes a second; 0: departures are not spread
	MinRTT         time.Duration
	ReorderWindow  time.Duration // what RACK grants to reordering
	Reordering     bool          // seen on this path
	SendWindow     uint32        // the peer's, scaled
	ReceiveWindow  uint32        // ours, as advertised
	SendScale      uint8
	ReceiveScale   uint8
	Unsent         uint32 // queued, never sent
	Unacked        uint32 // sent, not acknowledged
	Unread         uint32 // in order, not taken
	OutOfOrder     uint32
	SendBuffer     uint32 // bytes that may be queued
	ReceiveBuffer  uint32 // bytes that may wait to be read
	NotSentLowat   uint32 // bytes that may be queued and not yet sent; 0: no bound of its own
	Held           uint32 // bytes that the queues keep alive, with the whole of each buffer
	BytesIn        uint64 // payload delivered in order
	BytesOut       uint64 // payload sent, each byte once
	SegsIn         uint32
	SegsOut        uint32
	Retransmits    uint32
	LostSegments   uint32 // what is taken for lost and not sent again, in segments of SendMSS, rounded up
	BytesAgain     uint64 // payload in retransmissions, since the connection was last idle, as the next three
	LostBytes      uint64 // ever taken for lost, also without need
	DSACKs         uint32 // ACKs that told of a duplicate, RFC 2883
	Undos          uint32 // reductions of the window that were taken back as needless
	Backoff        uint8
	Probes         uint8 // unanswered keepalive probes
	DupACKs        uint8
	Recovery       bool // fast recovery
	Timeout        bool // a timeout is being repaired
	TailProbe      bool // a tail loss probe is outstanding
	Persist        bool
	Timestamps     bool
	SACK           bool
	Feedback       Feedback // of congestion marks: none, RFC 3168, AccECN
	ECNCapable     bool     // new data is marked ECN-capable
	MarksIn        uint32   // packets that arrived with Congestion Experienced
	MarksReported  uint32   // marks the peer reported; with RFC 3168, ACKs with ECE
	EchoesOut      uint32   // segments sent with ECE, RFC 3168
	MarkReductions uint32   // of the window, because of marks
	NoDelay        bool
	FastOpen       FastOpenResult // RFC 7413
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
		NoDelay: !c.has(fNagle), FastOpen: c.fastOpened, SendBuffer: c.snd.size, ReceiveBuffer: c.rcv.size,
		NotSentLowat: c.snd.lowat, Held: uint32(c.Held())}
	c.ecnInfo(i)
	c.pathInfo(i)
	if c.cfg == nil {
		return
	}
	i.RTO, i.SendMSS = c.backedOff(), c.effMSS()
	i.Congestion = c.cfg.Congestion.Name()
	i.InFlight = c.inFlight()
	i.Timeout = c.has(fLoss)
	c.outstandingInfo(i)
	i.Unacked = uint32(c.snd.MAX - c.snd.UNA)
	if u := c.sndEnd().Sub(c.snd.MAX); u > 0 {
		i.Unsent = uint32(u)
	}
	if c.rcv.ooo != nil {
		i.OutOfOrder = c.rcv.ooo.bytes()
	}
}

// outstandingInfo fills in what is known only while data is sent.
func (c *TCB) outstandingInfo(i *Info) {
	o := c.out
	if o == nil {
		return
	}
	i.SACKed, i.Lost = o.board.sacked, o.board.lost
	i.LostSegments = (i.Lost + c.effMSS() - 1) / c.effMSS()
	i.BytesAgain, i.LostBytes, i.DSACKs, i.Undos = o.bytesAgain, o.lost, o.dsacks, o.undos
	i.Delivered, i.DeliveryRate, i.AppLimited = o.delivered, o.sample.Rate, o.sample.AppLimited
	i.PacingRate, i.MinRTT = o.pace.rate, o.minRTT
	i.ReorderWindow, i.Reordering = c.reoWindow(), o.rack.reordering
	i.TailProbe = o.tail.active
}
