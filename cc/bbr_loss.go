package cc

import "github.com/handfast/handfast/mono"

// Loss, recovery, and taking both back: draft-ietf-ccwg-bbr "Updating the Model
// Upon Packet Loss" and "Modulating cwnd in Loss Recovery".

// tooHigh is IsInflightTooHigh: more than 2 % of what was in flight were lost
// or, where only one loss a round can be seen, any.
func (b *bbr) tooHigh(lost, txInFlight uint32) bool {
	return uint64(lost)*100 > uint64(txInFlight)*bbrLossThresh || b.noSACK && lost > 0
}

// noteLoss is NoteLoss: the round in which loss is counted begins with it.
func (b *bbr) noteLoss(delivered uint64) {
	if !b.lossInRound {
		b.lossRoundEnd = delivered
	}
	b.lossInRound = true
}

// OnLost learns from each lost packet how much in flight was too much.
func (BBR) OnLost(s *State, p *LostPacket) {
	b := s.Ext.(*bbr)
	b.now = p.Now
	b.count(p.TotalDelivered)
	if b.recovery == bbrNotInRecovery {
		b.beginRecovery(s, bbrFastRecovery)
	}
	b.noteLoss(p.TotalDelivered)
	if b.bwProbeSample && b.tooHigh(p.LostSince, p.TxInFlight) {
		b.inflightTooHigh(s, inflightAtLoss(p), p.AppLimited || b.inBubble(p.PriorDelivered))
	}
}

// inflightAtLoss is InflightAtLoss: within which prefix of the packet, which
// may be a burst, loss crossed the threshold t. It solves
//
//	(lost before + prefix) / (in flight before + prefix) = t
func inflightAtLoss(p *LostPacket) uint32 {
	before := uint64(p.TxInFlight - min(p.TxInFlight, p.Bytes))
	lost := uint64(p.LostSince - min(p.LostSince, p.Bytes))
	allowed := before * bbrLossThresh
	prefix := (allowed - min(allowed, lost*100)) / (100 - bbrLossThresh)
	return volume(before + prefix)
}

// inflightTooHigh is HandleInflightTooHigh; it happens once a probe.
func (b *bbr) inflightTooHigh(s *State, inflight uint32, limited bool) {
	b.prevTooHigh = true
	b.bwProbeSample = false
	if !limited {
		b.inflightLongterm = max(inflight, percent(b.targetInflight(s), bbrBeta))
	}
	if b.mode == bbrUp {
		if b.recovery != bbrNotInRecovery {
			b.undoMode = bbrUp
		}
		b.startDown()
	}
}

// beginRecovery is SaveStateUponLoss.
//
// Deviation: the draft saves at each round's first loss, and again on entering
// recovery. Here an episode saves once, at its start, because taking back the
// whole of it is what the saved values are for.
func (b *bbr) beginRecovery(s *State, kind bbrRecovery) {
	b.saveCwnd(s)
	if b.recovery == bbrNotInRecovery {
		b.canUndo = true
		b.undoMode = bbrNone
		b.undoBwShortterm = b.bwShortterm
		b.undoInflightShortterm = b.inflightShortterm
		b.undoInflightLongterm = b.inflightLongterm
	}
	b.recovery = kind
}

// saveCwnd is SaveCwnd: the last good window, not one that recovery or ProbeRTT
// made small.
func (b *bbr) saveCwnd(s *State) {
	if b.recovery == bbrNotInRecovery && b.mode != bbrProbeRTT {
		b.priorCwnd = s.Cwnd
	} else {
		b.priorCwnd = max(b.priorCwnd, s.Cwnd)
	}
}

func (b *bbr) restoreCwnd(s *State) { s.Cwnd = max(s.Cwnd, b.priorCwnd) }

// OnLossEvent remembers what to restore; SSThresh becomes the window, which
// loss as such does not change. Two kinds of event count as loss that crossed
// the threshold: one without SACK, where no more than this can be seen, and a
// congestion mark, to which the draft demands some response and leaves open
// which.
func (BBR) OnLossEvent(s *State, l *Loss) {
	b := s.Ext.(*bbr)
	b.now = l.Now
	s.SSThresh = s.Cwnd
	if !l.ECN && b.recovery == bbrNotInRecovery {
		b.beginRecovery(s, bbrFastRecovery)
	}
	b.noteLoss(b.delivered)
	if !l.ECN && !b.noSACK {
		return // OnLost saw the packets
	}
	switch {
	case b.mode == bbrStartup && !b.fullBwReached:
		if !l.ECN {
			b.undoMode = bbrStartup
		}
		b.startupTooHigh()
	case b.bwProbeSample:
		b.inflightTooHigh(s, volume(uint64(l.Flight)), b.limited)
		b.roundAgain = true
	}
}

// OnRTO lets one segment out. OnAck raises the window again.
// draft-ietf-ccwg-bbr OnEnterRTO.
func (BBR) OnRTO(s *State, l *Loss, first bool) {
	b := s.Ext.(*bbr)
	b.now = l.Now
	b.beginRecovery(s, bbrTimeoutRecovery)
	b.timeoutDelivered = b.delivered
	s.SSThresh = b.priorCwnd
	s.Cwnd = l.MSS
}

// OnRecoveryExit restores the window from before recovery, as far as the model
// allows it.
func (BBR) OnRecoveryExit(s *State, now mono.Time) {
	b := s.Ext.(*bbr)
	b.now = now
	b.endRecovery(s)
}

func (b *bbr) endRecovery(s *State) {
	if b.recovery == bbrNotInRecovery {
		return
	}
	b.recovery = bbrNotInRecovery
	b.restoreCwnd(s)
	b.boundCwndForProbeRTT(s)
	b.boundCwndForModel(s)
}

// checkRecoveryOver ends an episode that no OnRecoveryExit ended: after a
// timeout when a whole round of what was sent since has arrived.
func (b *bbr) checkRecoveryOver(s *State, r *RateSample) {
	if r.InRecovery {
		return
	}
	switch b.recovery {
	case bbrFastRecovery:
		b.endRecovery(s)
	case bbrTimeoutRecovery:
		if r.Lost == 0 && r.PriorDelivered > b.timeoutDelivered {
			b.endRecovery(s)
		}
	}
}

// OnUndo takes back what a spurious recovery did, and returns to the probe that
// it ended. draft-ietf-ccwg-bbr HandleSpuriousLossDetection.
func (BBR) OnUndo(s *State, now mono.Time) {
	b := s.Ext.(*bbr)
	if !b.canUndo {
		return
	}
	b.now = now
	b.canUndo = false
	b.recovery = bbrNotInRecovery
	b.restoreCwnd(s)
	b.lossInRound = false
	b.resetFullBw()
	b.bwShortterm = max(b.bwShortterm, b.undoBwShortterm)
	b.inflightShortterm = max(b.inflightShortterm, b.undoInflightShortterm)
	b.inflightLongterm = max(b.inflightLongterm, b.undoInflightLongterm)
	switch b.undoMode {
	case bbrStartup:
		if b.mode != bbrStartup {
			b.fullBwReached = false
			if b.mode != bbrProbeRTT {
				b.enter(bbrStartup)
			}
		}
	case bbrUp:
		if b.mode != bbrUp && b.mode != bbrProbeRTT {
			b.startRefill()
			b.roundAgain = true
		}
	}
	b.undoMode = bbrNone
	b.boundBwForModel()
	b.boundCwndForProbeRTT(s)
	b.boundCwndForModel(s)
	b.setPacingRate(bbrGains[b.mode].pacing)
}
