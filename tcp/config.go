package tcp

import (
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/trace"
)

// Config holds what many connections share: the profile's values and the
// defaults of options. It must not change while a TCB uses it.
type Config struct {
	Profile Profile

	SendBuffer       uint32 // bytes that may be queued and not yet acknowledged, at first
	MaxSendBuffer    uint32 // what SendBuffer grows to with cwnd; not more than it: it does not grow
	ReceiveBuffer    uint32 // bytes of payload that may wait for the application, at first
	MaxReceiveBuffer uint32 // what ReceiveBuffer grows to with what the application reads; not more than it: it does not grow
	NoReceiveTuning  bool   // ReceiveBuffer does not grow
	MinBuffer        uint32 // bytes that either may hold however scarce memory is
	NotSentLowat     uint32 // bytes that may be queued and not yet sent; 0: no bound of its own
	WindowScale      uint8  // shift announced, at most 14, or AutoWindowScale; enough for the buffer or the window is cut
	NoWindowScale    bool   // do not use RFC 7323 window scaling
	NoTimestamps     bool   // do not use RFC 7323 timestamps
	NoSACK           bool   // do not use RFC 2018 selective acknowledgements
	NoRACK           bool   // with SACK, find losses as RFC 6675 does instead of RFC 8985
	NoTLP            bool   // no tail loss probes, RFC 8985 §7
	NoFRTO           bool   // after a timeout nothing finds out whether it was needless, RFC 5682
	NoIdleRestart    bool   // cwnd survives idle times, against RFC 5681 §4.1
	NoReoAdapt       bool   // RACK's reordering window does not grow with what was needless, RFC 8985 §6.2
	NoDupThresh      bool   // RACK waits for reordering however much is SACKed, RFC 8985 §6.2
	NoDSACK          bool   // duplicates are not reported, RFC 2883
	NoPacing         bool   // departures are spread only if the congestion control says how
	NoECNFallback    bool   // go on asking for ECN, and agreeing to AccECN, however many SYNs and SYN-ACKs are lost
	NoTSOffset       bool   // timestamps are the time since the clock began, with no offset for each flow
	StdURG           bool   // an urgent pointer that arrives points to the last octet of the urgent data, as RFC 793 had it
	ECN              ECN    // what to ask for and to agree to, RFC 3168 and RFC 9768
	Nagle            bool   // a connection's Nagle switch, initially
	Congestion       cc.Algorithm

	InitialRTO    time.Duration // RFC 6298 §2.1
	MinRTO        time.Duration // RFC 6298 §2.4
	MaxRTO        time.Duration // RFC 6298 §2.5
	DelayedACK    time.Duration // longest that an ACK waits, below 500 ms (RFC 9293 §3.8.6.3)
	QuickACKs     uint8         // segments acknowledged at once at the start of a connection
	SillyOverride time.Duration // RFC 9293 §3.8.6.2.1: 0.1 to 1 s
	TimeWait      time.Duration // 2 MSL
	FinWait2      time.Duration // how long a closed connection waits for the peer's FIN; 0: for ever
	UserTimeout   time.Duration // R2 in time: unacknowledged for so long ends the connection; 0: Retries counts
	R1            uint8         // retransmissions before IP is advised and the application told
	Retries       uint8         // R2 as a count of retransmissions; 0: UserTimeout alone decides
	SYNRetries    uint8         // R2 for SYN
	SYNACKRetries uint8         // of a half-open record
	OrphanRetries uint8         // timeouts, or probes of a closed window, after which a connection that no program holds ends; 0: 8 probes
	MinSendMSS    uint16        // least segment size that a peer's MSS option is believed to mean; 0: 48
	MinBurst      uint8         // segments that pacing lets leave together at least; 0: 2
	PaceSlowStart uint16        // pacing rate in slow start in percent of cwnd/SRTT; 0: not spread then
	PaceAvoidance uint16        // pacing rate later
	KeepIdle      time.Duration
	KeepInterval  time.Duration
	KeepCount     uint8
	InitialWindow uint32        // segments, RFC 6928; 0: RFC 5681 §3.1
	FastOpen      FastOpenMode  // what of TCP Fast Open connections and listeners may ask for, RFC 7413
	FastOpenPause time.Duration // how long no data travels on SYNs after a path swallowed all of a connection that did so; doubles; 0: none
	Challenge     time.Duration // least time between two answers to unacceptable segments, RFC 5961 §7

	MTUProbing     MTUProbing    // when to look for the path's MTU without ICMP, RFC 4821
	BaseMSS        uint16        // where the search begins, RFC 4821 §7.2: octets as the MSS option counts
	ProbeFloor     uint16        // what timeouts halve it to at least, over IPv4
	ProbeThreshold uint16        // the search ends when so few octets are in doubt
	ProbeInterval  time.Duration // until it is repeated, RFC 8899 §5.1.1 PMTU_RAISE_TIMER

	Trace  trace.Sink // nil: nobody listens
	Memory *Memory    // what connections share; nil: each has only its own bounds
}

// Profile selects behaviour where the RFCs leave a choice or Linux deviates.
type Profile uint8

const (
	// ProfileLinux behaves as the Linux kernel does by default.
	ProfileLinux Profile = iota
	// ProfileRFC takes the values and the choices of the RFCs.
	ProfileRFC
)

// The profiles' numbers. See the table of both in docs/deviations.md.
const (
	maxWindowScale    = 14 // RFC 7323 §2.3
	maxBuffer         = 1 << 30
	minPeerMSS        = 48  // Config.MinSendMSS by default; smaller ones are raised (T-RES-05)
	minPathMSS        = 28  // of the least IPv4 MTU, 68 octets (RFC 791 §3.2)
	defaultMSS4       = 536 // RFC 9293 §3.7.1
	defaultMSS6       = 1220
	maxPAWSIdle       = 24 * 24 * time.Hour // RFC 7323 §5.5
	minRTTSample      = time.Microsecond
	limitUnpaced      = 8       // segments that one ACK may grow cwnd by in slow start, RFC 9406 §4.2
	maxOutOfOrder     = 1 << 15 // ranges kept out of order, beside what their bytes are charged
	maxDuplicatesOwed = 64      // duplicate ACKs owed for one batch
)

// minSendMSS is the least segment size that a peer can ask for.
func (cfg *Config) minSendMSS() uint16 { return max(cfg.MinSendMSS, minPeerMSS) }

// minBurst is how many segments pacing lets leave together at least.
func (cfg *Config) minBurst() int {
	if cfg.MinBurst > 0 {
		return int(cfg.MinBurst)
	}
	return minBurst
}

// orphanProbes is how often a connection that no program holds probes a closed
// window.
func (cfg *Config) orphanProbes() uint8 {
	if cfg.OrphanRetries > 0 {
		return cfg.OrphanRetries
	}
	return orphanProbes
}

// DefaultConfig returns the default of a profile: CUBIC with Linux' values, NewReno with the RFCs'.
func DefaultConfig(p Profile) *Config {
	c := &Config{
		Profile: p, Nagle: true,
		SendBuffer: 64 << 10, MaxSendBuffer: 32 << 20, MinBuffer: 4096,
		ReceiveBuffer: 64 << 10, MaxReceiveBuffer: 32 << 20, WindowScale: AutoWindowScale,
		Congestion: cc.Cubic{}, ECN: ECNAccept,
		InitialRTO: time.Second, MinRTO: 200 * time.Millisecond, MaxRTO: 120 * time.Second,
		DelayedACK: 40 * time.Millisecond, QuickACKs: 16, SillyOverride: 200 * time.Millisecond,
		TimeWait: 60 * time.Second, FinWait2: 60 * time.Second,
		R1: 3, Retries: 15, SYNRetries: 6, SYNACKRetries: 5,
		KeepIdle: 2 * time.Hour, KeepInterval: 75 * time.Second, KeepCount: 9,
		InitialWindow: 10, Challenge: 500 * time.Millisecond,
		FastOpen: FastOpenClient | FastOpenServer, FastOpenPause: time.Hour,
		MinSendMSS: minPeerMSS, MinBurst: minBurst, PaceSlowStart: 200, PaceAvoidance: 120,
		MTUProbing: MTUProbingBlackHole, BaseMSS: defaultBaseMSS, ProbeFloor: defaultProbeFloor,
		ProbeThreshold: defaultProbeThreshold, ProbeInterval: defaultProbeInterval,
	}
	if p == ProfileRFC {
		c.Congestion = cc.NewReno{}
		c.SendBuffer, c.ReceiveBuffer, c.WindowScale = 2<<20, 2<<20, 7
		c.MaxSendBuffer, c.MaxReceiveBuffer = 0, 0
		c.MinRTO, c.MaxRTO = time.Second, 60*time.Second
		c.DelayedACK, c.QuickACKs = 200*time.Millisecond, 0
		c.TimeWait, c.FinWait2 = 240*time.Second, 0
		c.UserTimeout, c.Retries = 5*time.Minute, 0 // RFC 9293 §3.9.1.1
		c.SYNRetries = 7                            // gives up after 183 s, RFC 9293 §3.8.3
		c.InitialWindow = 0
	}
	return c
}
