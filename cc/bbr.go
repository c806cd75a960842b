package cc

import (
	"time"

	"github.com/handfast/handfast/mono"
)

// BBR is version 3 of BBR, draft-ietf-ccwg-bbr (experimental): it measures how
// fast the path delivers and how long an empty path takes, sends at that rate,
// and keeps about one bandwidth-delay product in flight. It owns the window in
// loss recovery (Owner), where it answers loss by what was delivered meanwhile,
// not by a fixed cut, and it wants its departures paced.
//
// The names are those of the draft. Rates are bytes a second, volumes bytes,
// gains percent. What one connection knows is in State.Ext, allocated by Init;
// nothing else allocates. A BBR has no fields: one serves any number of
// connections.
type BBR struct{}

// The draft's constants, §2.5 to §2.13 "State and Parameters". Percentages
// where it has fractions.
const (
	bbrPacingMargin     = 1   // PacingMarginPercent
	bbrLossThresh       = 2   // LossThresh
	bbrBeta             = 70  // Beta
	bbrHeadroom         = 15  // Headroom
	bbrFullBwGrowth     = 125 // growth of a round that says the pipe is not full
	bbrFullBwRounds     = 3
	bbrStartupLossCount = 6 // BBRStartupFullLossCnt
	bbrDrainRounds      = 3
	bbrRenoRounds       = 63 // T_reno_bound
	bbrMaxUpRounds      = 30
	bbrExtraAckedRounds = 10 // ExtraAckedFilterLen
	bbrMinPipeSegments  = 4  // MinPipeCwnd
	bbrOffloadQuanta    = 3  // quanta on their way through sender and receiver
	bbrMinQuantum       = 2  // segments
	bbrMaxQuantum       = 64 << 10

	bbrMinRTTWindow     = 10 * time.Second // MinRTTFilterLen and ProbeRTTInterval
	bbrProbeRTTDuration = 200 * time.Millisecond
	bbrProbeWaitBase    = 2 * time.Second
	bbrProbeWaitSpread  = time.Second
	bbrQuantumTime      = time.Millisecond
)

// Bounds of ours, so that no arithmetic overflows whatever a peer makes a
// sample say.
const (
	bbrMaxRate   = 1 << 40 // bytes a second, 8.8 Tbit/s
	bbrUnbounded = 1<<64 - 1
	bbrNoVolume  = 1<<32 - 1 // no bound on a volume; real ones stay below Infinite
	bbrTimerLate = 2 * time.Millisecond
	bbrMaxGap    = 10 * time.Second // the pacer never waits longer for one packet
	bbrSlowest   = time.Second      // the slowest pacing is MinPipeCwnd in this time
)

// bbrMode is a state of the draft's state machine, BBR.state.
type bbrMode uint8

const (
	bbrStartup bbrMode = iota
	bbrDrain
	bbrDown
	bbrCruise
	bbrRefill
	bbrUp
	bbrProbeRTT
	bbrNone // of undoMode alone: no transition to take back
)

// bbrGains are the pacing gain and the cwnd gain of each state in percent, from
// the table in the draft's "Summary of Control Behavior in the State Machine".
var bbrGains = [...]struct{ pacing, cwnd uint64 }{
	bbrStartup:  {277, 200},
	bbrDrain:    {50, 200},
	bbrDown:     {90, 200},
	bbrCruise:   {100, 200},
	bbrRefill:   {100, 200},
	bbrUp:       {125, 225},
	bbrProbeRTT: {100, 50},
}

// bbrNames print as the draft writes them.
var bbrNames = [...]string{"Startup", "Drain", "ProbeBW_DOWN", "ProbeBW_CRUISE", "ProbeBW_REFILL", "ProbeBW_UP", "ProbeRTT", "None"}

func (m bbrMode) String() string { return bbrNames[m] }

func (m bbrMode) probeBW() bool { return m >= bbrDown && m <= bbrUp }

// probing is IsProbingBW: the state sends more than the path is known to carry.
func (m bbrMode) probing() bool { return m == bbrStartup || m == bbrRefill || m == bbrUp }

// bbrPhase is BBR.ack_phase: what the ACKs that arrive say about a probe.
type bbrPhase uint8

const (
	bbrAcksInit bbrPhase = iota
	bbrAcksRefilling
	bbrAcksProbeStarting
	bbrAcksProbeFeedback
	bbrAcksProbeStopping
)

// bbrRecovery tells kinds of loss recovery apart: they end differently.
type bbrRecovery uint8

const (
	bbrNotInRecovery bbrRecovery = iota
	bbrFastRecovery
	bbrTimeoutRecovery
)

// bbr is what BBR knows of one connection.
type bbr struct {
	mss         uint32
	initialCwnd uint32
	random      uint64 // state of the generator
	edges       uint64 // transitions seen: bit 8*from+to

	// Of the ACK being processed, or of the last one.
	now       mono.Time
	delivered uint64 // C.delivered
	inflight  uint32 // C.inflight
	rate      uint64 // RS.delivery_rate, 0 without a sample
	limited   bool   // RS.is_app_limited
	noSACK    bool   // !C.has_selective_acks

	// What rules sending.
	pacing      uint64 // C.pacing_rate; 0 before the first RTT sample
	sendQuantum uint32
	nextSend    mono.Time // when the pacer lets the next packet go
	lastACK     mono.Time

	// Rounds, "Tracking Packet-Timed Round Trips".
	nextRoundDelivered uint64
	roundCount         uint64
	firstDelivered     uint64 // C.delivered when the first ACK came

	mode        bbrMode
	phase       bbrPhase
	roundStart  bool
	roundAgain  bool // the round began within an ACK whose sample is to come
	started     bool // an ACK has come
	idleRestart bool

	// Startup and the full pipe.
	fullBwReached     bool
	fullBwNow         bool
	fullBwCount       uint8
	lossEventsInRound uint8
	fullBw            uint64
	drainStartRound   uint64

	// The model of the path: rates.
	bw            uint64
	maxBw         uint64
	bwShortterm   uint64
	bwLatest      uint64
	maxBwFilter   [2]uint64 // this ProbeBW cycle, the one before
	inflightNow   uint32    // BBR.inflight_latest
	lossInRound   bool      // is_loss_in_round
	lossRoundOver bool      // loss_round_start
	lossRoundEnd  uint64    // loss_round_delivered

	// The model: volumes.
	inflightShortterm uint32
	inflightLongterm  uint32

	// min_rtt and ProbeRTT; minRTT 0 is the draft's Infinity.
	minRTT            time.Duration
	minRTTStamp       mono.Time
	probeRTTDone      mono.Time // probe_rtt_done_stamp
	probeRTTCwnd      uint32
	minRTTExpired     bool
	probeRTTRoundDone bool
	bubbleStart       uint64 // packets sent while C.delivered was in here count as application-limited
	bubbleEnd         uint64

	// Aggregation of ACKs.
	extraAckedStart     mono.Time
	extraAckedDelivered uint64
	extraAcked          uint32
	extraAckedRounds    [bbrExtraAckedRounds]uint32 // largest of each round, a ring

	// Probing for bandwidth.
	cycleStamp         mono.Time
	bwProbeWait        time.Duration
	roundsSinceProbeUp uint32
	bwProbeUpRounds    uint32
	bwProbeUpAcked     uint64
	probeUpAckedPerInc uint64
	bwProbeSample      bool // is_bw_probe_sample
	prevTooHigh        bool // prev_probe_too_high
	prevPrecautionary  bool // prev_probe_precautionary
	limitedThisRound   bool // cwnd was the limit in this round
	limitedLastRound   bool

	// Loss recovery.
	recovery              bbrRecovery
	undoMode              bbrMode
	canUndo               bool
	priorCwnd             uint32
	undoInflightShortterm uint32
	undoInflightLongterm  uint32
	undoBwShortterm       uint64
	timeoutDelivered      uint64 // C.delivered when the timer expired
}

// Name returns "bbr", Linux' name of it.
func (BBR) Name() string { return "bbr" }

// Init begins in Startup with the window that s has; that may be the one of
// another algorithm. Until the first RTT sample the connection paces.
// draft-ietf-ccwg-bbr "Initialization".
func (BBR) Init(s *State, now mono.Time, mss uint32, seed uint64) {
	mss = max(mss, 1)
	b := &bbr{
		mss: mss, initialCwnd: s.Cwnd, random: seed, now: now,
		sendQuantum: bbrMinQuantum * mss,
		minRTTStamp: now, probeRTTCwnd: s.Cwnd, extraAckedStart: now,
		inflightLongterm: bbrNoVolume, probeUpAckedPerInc: bbrUnbounded,
		undoMode: bbrNone,
	}
	b.resetCongestionSignals()
	b.resetShortTermModel()
	b.resetFullBw()
	s.Ext = b
}

// OnSent notices that the connection restarts from idle.
func (BBR) OnSent(s *State, now mono.Time, bytes, flight uint32) {
	b := s.Ext.(*bbr)
	if flight == 0 && b.started && now > max(b.nextSend, b.lastACK).Add(bbrTimerLate) {
		// Neither the pacer nor a missing ACK held it back: there was nothing
		// to send.
		b.restartFromIdle(s, now)
	}
	b.nextSend = max(b.nextSend, now)
	if b.pacing != 0 {
		gap := uint64(bytes) * uint64(time.Second) / b.pacing
		b.nextSend = min(b.nextSend.Add(time.Duration(gap)), now.Add(bbrMaxGap))
	}
}

// OnAck takes the sample into the model, moves the state machine, and sets
// window and pacing rate. draft-ietf-ccwg-bbr "Per-ACK Steps".
func (BBR) OnAck(s *State, r *RateSample) {
	b := s.Ext.(*bbr)
	b.beginACK(s, r)
	if r.TotalDelivered != 0 && r.PriorDelivered >= r.TotalDelivered {
		b.setCwnd(s, r) // no packet is known to have arrived: nothing was measured
		return
	}
	b.updateLatestDeliverySignals(r)
	b.updateCongestionSignals(s, r)
	b.updateACKAggregation(s, r)
	b.checkFullBwReached()
	b.checkStartupDone(r)
	b.checkDrainDone()
	b.updateProbeBWCyclePhase(s, r)
	b.updateMinRTT(r)
	b.checkProbeRTT(s, r)
	b.advanceLatestDeliverySignals(r)
	b.boundBwForModel()
	b.setPacingRate(bbrGains[b.mode].pacing)
	b.setSendQuantum()
	b.setCwnd(s, r)
}

// Control returns the window, which holds in recovery as well, and the pacing
// rate; that is 0 before the first RTT sample.
func (BBR) Control(s *State) (cwnd uint32, pacing uint64) {
	return s.Cwnd, s.Ext.(*bbr).pacing
}

// OnIdleRestart keeps the window: it is the pacing that prevents a burst.
// draft-ietf-ccwg-bbr "Restarting From Idle".
func (BBR) OnIdleRestart(s *State, now mono.Time, restart uint32) {
	if b := s.Ext.(*bbr); b.started {
		b.restartFromIdle(s, now)
	}
}

// restartFromIdle is HandleRestartFromIdle.
func (b *bbr) restartFromIdle(s *State, now mono.Time) {
	b.now = now
	b.idleRestart = true
	b.extraAckedStart = now
	b.extraAckedDelivered = 0 // it belongs to the interval that ends here
	switch {
	case b.mode.probeBW():
		b.setPacingRate(100)
	case b.mode == bbrProbeRTT:
		b.checkProbeRTTDone(s)
	}
}

// beginACK takes over what every step needs of the sample.
func (b *bbr) beginACK(s *State, r *RateSample) {
	if !b.started {
		b.started = true
		b.firstDelivered = r.TotalDelivered - min(r.TotalDelivered, uint64(r.Delivered))
	}
	b.now, b.lastACK = r.Now, r.Now
	b.count(r.TotalDelivered)
	b.inflight = r.InFlight
	if b.roundAgain {
		b.roundAgain = false
		b.startRound()
	}
	if r.MSS != 0 {
		b.mss = r.MSS
	}
	b.noSACK = r.NoSACK
	b.rate = 0
	if r.Interval > 0 {
		b.rate = min(r.Rate, bbrMaxRate)
	}
	b.limited = r.AppLimited || b.inBubble(r.PriorDelivered)
	if b.pacing == 0 {
		b.initPacingRate(r)
	}
	b.checkRecoveryOver(s, r)
}

// count takes over C.delivered. A connection that was idle may have forgotten
// it: then what is kept to compare with it means nothing any more.
func (b *bbr) count(delivered uint64) {
	if delivered < b.delivered {
		b.nextRoundDelivered, b.lossRoundEnd, b.timeoutDelivered, b.firstDelivered = 0, 0, 0, 0
		b.bubbleStart, b.bubbleEnd = 0, 0
	}
	b.delivered = delivered
}

// inBubble reports whether a packet left while ProbeRTT kept the pipe from
// being full: the draft's MarkConnectionAppLimited, for this algorithm alone.
func (b *bbr) inBubble(priorDelivered uint64) bool {
	return b.bubbleEnd != 0 && priorDelivered >= b.bubbleStart && priorDelivered <= b.bubbleEnd
}

// enter goes to a state.
func (b *bbr) enter(m bbrMode) {
	b.edges |= 1 << (8*uint(b.mode) + uint(m))
	b.mode = m
}

// minPipeCwnd is MinPipeCwnd in bytes.
func (b *bbr) minPipeCwnd() uint32 { return bbrMinPipeSegments * b.mss }

// startRound is StartRound: the round ends with the first ACK of a packet that
// is sent from here on.
func (b *bbr) startRound() { b.nextRoundDelivered = b.delivered }

// next returns a random number; the sequence is SplitMix64's.
func (b *bbr) next() uint64 {
	b.random += 0x9e3779b97f4a7c15
	z := b.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
