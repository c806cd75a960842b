package cc

import "time"

// The state machine: draft-ietf-ccwg-bbr "State Machine Operation".

func (b *bbr) resetFullBw() {
	b.fullBw, b.fullBwCount, b.fullBwNow = 0, 0, false
}

// checkFullBwReached is CheckFullBWReached: three rounds that tried for more
// and got less than 25 % more say that the pipe is full.
func (b *bbr) checkFullBwReached() {
	if b.fullBwNow || !b.roundStart || b.limited || b.rate == 0 {
		return
	}
	if b.rate*100 >= b.fullBw*bbrFullBwGrowth {
		b.resetFullBw()
		b.fullBw = b.rate
		return
	}
	b.fullBwCount++
	b.fullBwNow = b.fullBwCount >= bbrFullBwRounds
	b.fullBwReached = b.fullBwReached || b.fullBwNow
}

func (b *bbr) checkStartupDone(r *RateSample) {
	b.checkStartupHighLoss(r)
	if b.mode == bbrStartup && b.fullBwReached {
		b.enter(bbrDrain)
		b.drainStartRound = b.roundCount
	}
}

// checkStartupHighLoss is CheckStartupHighLoss.
//
// Deviation: where the draft counts discontiguous sequence ranges, ACKs that
// report loss are counted, because a packet that is lost has no number here.
// One ACK that reports several ranges counts once, which errs towards staying.
func (b *bbr) checkStartupHighLoss(r *RateSample) {
	if b.mode == bbrStartup && !b.fullBwReached && r.InRecovery &&
		(b.lossRoundOver && b.lossEventsInRound >= bbrStartupLossCount || b.noSACK && r.Lost > 0) &&
		b.tooHigh(r.SampleLost, r.TxInFlight) {
		b.undoMode = bbrStartup
		b.startupTooHigh()
	}
	if b.lossRoundOver {
		b.lossEventsInRound = 0
	}
}

// startupTooHigh ends Startup with what the path took.
func (b *bbr) startupTooHigh() {
	b.fullBwReached, b.fullBwNow = true, true
	b.inflightLongterm = max(volume(b.bdpMultiple(b.bw, 100)), b.inflightNow)
}

func (b *bbr) checkDrainDone() {
	if b.mode == bbrDrain &&
		(b.inflight <= b.inflightFor(b.bw) || b.roundCount > b.drainStartRound+bbrDrainRounds) {
		b.startDown()
	}
}

// startDown is StartProbeBW_DOWN.
func (b *bbr) startDown() {
	b.resetCongestionSignals()
	b.probeUpAckedPerInc = bbrUnbounded
	b.pickProbeWait()
	b.cycleStamp = b.now
	b.phase = bbrAcksProbeStopping
	b.startRound()
	b.enter(bbrDown)
}

// startRefill is StartProbeBW_REFILL: the short-term model is forgotten.
func (b *bbr) startRefill() {
	b.resetShortTermModel()
	b.bwProbeUpRounds = 0
	b.bwProbeUpAcked = 0
	b.prevPrecautionary = false
	b.phase = bbrAcksRefilling
	b.startRound()
	b.enter(bbrRefill)
}

// startUp is StartProbeBW_UP.
func (b *bbr) startUp(s *State) {
	b.phase = bbrAcksProbeStarting
	b.startRound()
	b.resetFullBw()
	b.fullBw = b.rate
	b.enter(bbrUp)
	b.raiseInflightLongtermSlope(s)
}

// updateProbeBWCyclePhase is UpdateProbeBWCyclePhase.
func (b *bbr) updateProbeBWCyclePhase(s *State, r *RateSample) {
	if !b.fullBwReached || b.adaptLongTermModel(s, r) {
		return
	}
	switch b.mode {
	case bbrDown:
		if b.timeToProbe(s) {
			b.startRefill()
		} else if b.inflight <= b.inflightWithHeadroom() && b.inflight <= b.inflightFor(b.maxBw) {
			b.enter(bbrCruise)
		}
	case bbrCruise:
		if b.timeToProbe(s) {
			b.startRefill()
		}
	case bbrRefill:
		if b.roundStart {
			b.bwProbeSample = true
			b.startUp(s)
		}
	case bbrUp:
		if b.timeToGoDown(s) {
			b.prevTooHigh = false // no high loss so far
			b.startDown()
		}
	}
}

// timeToProbe is IsTimeToProbeBW: after 2 to 3 s, or after as many rounds as
// Reno would take to grow its window from half of this one.
//
// Deviation: never more often than a window of MinPipeCwnd would, because a
// path of less than a packet would be probed without a rest.
func (b *bbr) timeToProbe(s *State) bool {
	rounds := max(b.targetInflight(s)/b.mss, bbrMinPipeSegments)
	return b.now > b.cycleStamp.Add(b.bwProbeWait) || b.roundsSinceProbeUp >= min(rounds, bbrRenoRounds)
}

// pickProbeWait is PickProbeWait: at random, so that flows drift apart.
func (b *bbr) pickProbeWait() {
	b.roundsSinceProbeUp = uint32(b.next() >> 63)
	b.bwProbeWait = bbrProbeWaitBase + time.Duration(b.next()%uint64(bbrProbeWaitSpread))
}

// timeToGoDown is IsTimeToGoDown.
func (b *bbr) timeToGoDown(s *State) bool {
	if b.prevTooHigh && b.inflight >= b.inflightLongterm {
		b.prevPrecautionary = true
		return true
	}
	if b.cwndLimited() && s.Cwnd >= b.inflightLongterm {
		b.resetFullBw() // inflight_longterm is the limit, not the path
		b.fullBw = b.rate
		return false
	}
	return b.fullBwNow
}

// raiseInflightLongtermSlope is RaiseInflightLongtermSlope: 1, 2, 4, ...
// segments a round.
func (b *bbr) raiseInflightLongtermSlope(s *State) {
	growth := uint32(1) << b.bwProbeUpRounds
	b.bwProbeUpRounds = min(b.bwProbeUpRounds+1, bbrMaxUpRounds)
	b.probeUpAckedPerInc = uint64(max(s.Cwnd/growth, b.mss))
}

// probeInflightLongtermUpward is ProbeInflightLongtermUpward.
func (b *bbr) probeInflightLongtermUpward(s *State, r *RateSample) {
	if !b.cwndLimited() || s.Cwnd < b.inflightLongterm {
		return // the bound is not tested
	}
	b.bwProbeUpAcked += uint64(r.Delivered)
	if b.bwProbeUpAcked >= b.probeUpAckedPerInc {
		delta := b.bwProbeUpAcked / b.probeUpAckedPerInc
		b.bwProbeUpAcked -= delta * b.probeUpAckedPerInc
		b.inflightLongterm = volume(uint64(b.inflightLongterm) + delta*uint64(b.mss))
	}
	if b.roundStart {
		b.raiseInflightLongtermSlope(s)
	}
}

// adaptLongTermModel is AdaptLongTermModel; true says that it went to another
// state.
func (b *bbr) adaptLongTermModel(s *State, r *RateSample) bool {
	if b.roundStart {
		switch b.phase {
		case bbrAcksProbeStarting:
			b.phase = bbrAcksProbeFeedback
		case bbrAcksProbeStopping:
			b.bwProbeSample = false
			b.phase = bbrAcksInit
			if !b.mode.probeBW() {
				break
			}
			if !b.limited {
				b.advanceMaxBwFilter()
			}
			if b.prevPrecautionary && !b.prevTooHigh {
				b.startRefill()
				return true
			}
		}
	}
	if b.inflightLongterm == bbrNoVolume || b.tooHigh(r.SampleLost, r.TxInFlight) {
		return false
	}
	b.inflightLongterm = max(b.inflightLongterm, volume(uint64(r.TxInFlight)))
	if b.mode == bbrUp {
		b.probeInflightLongtermUpward(s, r)
	}
	return false
}

// checkProbeRTT is CheckProbeRTT.
func (b *bbr) checkProbeRTT(s *State, r *RateSample) {
	if b.mode != bbrProbeRTT && b.minRTTExpired && !b.idleRestart {
		b.saveCwnd(s)
		b.enter(bbrProbeRTT)
		b.probeRTTDone = 0
		b.phase = bbrAcksProbeStopping
		b.startRound()
		b.bubbleStart = b.delivered
	}
	if b.mode == bbrProbeRTT {
		b.handleProbeRTT(s)
	}
	if r.Delivered > 0 {
		b.idleRestart = false
	}
}

// handleProbeRTT is HandleProbeRTT.
func (b *bbr) handleProbeRTT(s *State) {
	b.bubbleEnd = max(b.delivered+uint64(b.inflight), 1)
	switch {
	case !b.probeRTTDone.IsSet() && b.inflight <= b.probeRTTCwnd:
		b.probeRTTDone = b.now.Add(bbrProbeRTTDuration)
		b.probeRTTRoundDone = false
		b.startRound()
	case b.probeRTTDone.IsSet():
		b.probeRTTRoundDone = b.probeRTTRoundDone || b.roundStart
		if b.probeRTTRoundDone {
			b.checkProbeRTTDone(s)
		}
	}
}

// checkProbeRTTDone is CheckProbeRTTDone with ExitProbeRTT. The queue is empty
// after it: no need to stay in ProbeBW_DOWN.
func (b *bbr) checkProbeRTTDone(s *State) {
	if !b.probeRTTDone.IsSet() || b.now <= b.probeRTTDone {
		return
	}
	b.minRTTStamp = b.now
	b.restoreCwnd(s)
	b.resetShortTermModel()
	if b.fullBwReached {
		b.startDown()
		b.enter(bbrCruise)
	} else {
		b.enter(bbrStartup)
	}
}
