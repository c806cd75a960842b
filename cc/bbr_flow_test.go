package cc

import (
	"fmt"
	"time"

	"github.com/handfast/handfast/mono"
)

// bbrTestFlow is one sender on a bbrWorld.
type bbrTestFlow struct {
	w   *bbrWorld
	s   State
	b   *bbr
	log []bbrTransition

	// What the program does.
	paused  bool   // writes nothing
	appRate uint64 // bytes a second; 0: as much as goes
	appLeft uint64

	out        []*bbrTestPacket // sent, neither acknowledged nor known as lost before the first
	acks       []*bbrTestPacket
	held       *bbrTestPacket // waits for the second packet of a delayed ACK
	nextID     uint32
	highest    uint32 // highest number acknowledged, plus 1
	inflight   uint32
	retransmit uint32 // bytes lost that were not sent again

	delivered     uint64
	lost          uint64
	lostSeen      uint64 // lost when the last sample was made
	deliveredTime mono.Time
	firstSent     mono.Time
	appLimited    uint64
	cwndLimited   bool

	srtt, minRTT time.Duration
	next         mono.Time // pacing
	paceAt       mono.Time
	timeoutAt    mono.Time

	inRecovery bool
	silent     bool // timeout recovery is not shown to the algorithm
	byTimeout  bool
	recoverID  uint32
	episode    int // packets marked lost in this recovery
	spurious   int // of those, how many arrived after all
	undone     int

	sample RateSample // the last one
	maxRTT time.Duration
}

type bbrTransition struct {
	at       mono.Time
	from, to bbrMode
}

func (t bbrTransition) String() string { return fmt.Sprintf("%v %v>%v", t.at, t.from, t.to) }

// addFlow starts a flow with a window of ten segments.
func (w *bbrWorld) addFlow() *bbrTestFlow {
	f := &bbrTestFlow{w: w}
	f.s = State{Cwnd: 10 * bbrTestMSS, SSThresh: Infinite}
	BBR{}.Init(&f.s, w.now, bbrTestMSS, w.seed+uint64(len(w.flows))*1000)
	f.b = f.s.Ext.(*bbr)
	f.log = append(f.log, bbrTransition{w.now, bbrNone, bbrStartup})
	w.flows = append(w.flows, f)
	w.schedule(w.now, bbrAppWrite, f, nil)
	return f
}

// note writes down changes of the state.
func (f *bbrTestFlow) note() {
	if last := f.log[len(f.log)-1].to; f.b.mode != last {
		f.log = append(f.log, bbrTransition{f.w.now, last, f.b.mode})
	}
}

// write is the program, every 5 ms.
func (f *bbrTestFlow) write() {
	f.appLeft = min(f.appLeft+f.appRate/200, 10*max(f.appRate/200, bbrTestMSS))
	f.w.schedule(f.w.now.Add(5*time.Millisecond), bbrAppWrite, f, nil)
	f.send()
}

func (f *bbrTestFlow) hasData() bool {
	return f.retransmit > 0 || !f.paused && (f.appRate == 0 || f.appLeft >= bbrTestMSS)
}

func (f *bbrTestFlow) send() {
	for {
		switch cwnd, _ := (BBR{}).Control(&f.s); {
		case !f.hasData():
			if f.inflight < cwnd {
				f.appLimited = max(f.delivered+uint64(f.inflight), 1)
			}
			return
		case f.inflight+bbrTestMSS > cwnd:
			f.cwndLimited = true
			return
		case f.w.now < f.next:
			if f.paceAt != f.next {
				f.paceAt = f.next
				f.w.schedule(f.next, bbrPace, f, nil)
			}
			return
		}
		f.transmit()
	}
}

func (f *bbrTestFlow) transmit() {
	w := f.w
	p := &bbrTestPacket{flow: f, id: f.nextID, size: bbrTestMSS, sent: w.now}
	f.nextID++
	if f.retransmit > 0 {
		f.retransmit -= p.size
	} else {
		p.new = true
		BBR{}.OnSent(&f.s, w.now, p.size, f.inflight)
		f.note()
		f.appLeft -= min(f.appLeft, uint64(p.size))
	}
	if f.inflight == 0 {
		f.firstSent, f.deliveredTime = w.now, w.now
		f.timeoutAt = 0
	}
	f.inflight += p.size
	p.firstSent, p.deliveredTime, p.delivered = f.firstSent, f.deliveredTime, f.delivered
	p.appLimited, p.txInFlight, p.lostAtSend = f.appLimited != 0, f.inflight, f.lost
	f.out = append(f.out, p)
	if _, pacing := (BBR{}).Control(&f.s); pacing != 0 {
		gap := mulDiv(uint64(p.size), uint64(time.Second), pacing)
		gap += w.random.next()%(gap/2+1) - gap/4 // or drops from a full queue would always hit the same flow
		f.next = max(f.next, w.now).Add(time.Duration(gap))
	}
	if !f.timeoutAt.IsSet() {
		f.armTimer()
		w.schedule(f.timeoutAt, bbrTimeout, f, nil)
	}
	w.enqueue(p)
}

func (f *bbrTestFlow) armTimer() {
	f.timeoutAt = f.w.now.Add(max(3*f.srtt, 300*time.Millisecond))
	if f.srtt == 0 {
		f.timeoutAt = f.w.now.Add(3 * time.Second)
	}
}

// arrive handles one ACK for the given packets.
func (f *bbrTestFlow) arrive(acks []*bbrTestPacket) {
	r := &f.sample
	*r = RateSample{Now: f.w.now, Flight: f.inflight, MSS: bbrTestMSS, Paced: true}
	var newest *bbrTestPacket
	for _, p := range acks {
		if p.acked {
			continue
		}
		p.acked = true
		f.delivered += uint64(p.size)
		f.deliveredTime = f.w.now
		r.Delivered += p.size
		if p.lost {
			f.spurious++
		} else {
			f.inflight -= p.size
		}
		f.highest = max(f.highest, p.id+1)
		if newest == nil || p.id > newest.id {
			newest = p
		}
	}
	if newest == nil {
		return
	}
	f.sampleRate(r, newest)
	f.detectLoss()
	exit := f.recovered()
	r.Acked, r.Lost, f.lostSeen = r.Delivered, uint32(f.lost-f.lostSeen), f.lost
	r.InFlight, r.TotalDelivered = f.inflight, f.delivered
	r.SampleLost = uint32(f.lost - newest.lostAtSend)
	r.CwndLimited, f.cwndLimited = f.cwndLimited, false
	r.InRecovery = f.inRecovery && !(f.byTimeout && f.silent)
	BBR{}.OnAck(&f.s, r)
	if exit && !(f.byTimeout && f.silent) {
		BBR{}.OnRecoveryExit(&f.s, f.w.now)
	}
	f.armTimer()
	f.check()
	f.send()
}

// sampleRate is UpdateRateSample and GenerateRateSample.
func (f *bbrTestFlow) sampleRate(r *RateSample, p *bbrTestPacket) {
	if f.appLimited != 0 && f.delivered > f.appLimited {
		f.appLimited = 0
	}
	r.RTT = f.w.now.Sub(p.sent)
	f.maxRTT = max(f.maxRTT, r.RTT)
	if f.srtt == 0 {
		f.srtt, f.minRTT = r.RTT, r.RTT
	}
	f.srtt += (r.RTT - f.srtt) / 8
	f.minRTT = min(f.minRTT, r.RTT)
	r.SRTT, r.MinRTT = f.srtt, f.minRTT
	r.PriorDelivered, r.TxInFlight, r.AppLimited = p.delivered, p.txInFlight, p.appLimited
	r.SampleDelivered = uint32(f.delivered - p.delivered)
	interval := max(p.sent.Sub(p.firstSent), f.deliveredTime.Sub(p.deliveredTime))
	f.firstSent = p.sent
	if interval >= f.minRTT {
		r.Interval = interval
		r.Rate = mulDiv(uint64(r.SampleDelivered), uint64(time.Second), uint64(interval))
	}
}

// detectLoss marks what three later packets overtook.
func (f *bbrTestFlow) detectLoss() {
	for _, p := range f.out {
		if p.id+3 >= f.highest {
			break
		}
		if !p.acked && !p.lost {
			f.markLost(p)
		}
	}
	for len(f.out) > 0 && (f.out[0].acked || f.out[0].lost) {
		f.out = f.out[1:]
	}
}

func (f *bbrTestFlow) markLost(p *bbrTestPacket) {
	p.lost = true
	f.lost += uint64(p.size)
	f.inflight -= p.size
	f.retransmit += p.size
	if !f.inRecovery {
		f.episode, f.spurious = 0, 0
	}
	f.episode++
	BBR{}.OnLost(&f.s, &LostPacket{
		Now: f.w.now, Bytes: p.size, TxInFlight: p.txInFlight, LostSince: uint32(f.lost - p.lostAtSend),
		TotalDelivered: f.delivered, PriorDelivered: p.delivered, MSS: bbrTestMSS, AppLimited: p.appLimited,
	})
	f.note()
	if !f.inRecovery {
		f.inRecovery, f.byTimeout, f.recoverID = true, false, f.nextID
		BBR{}.OnLossEvent(&f.s, &Loss{Now: f.w.now, Flight: f.inflight, MSS: bbrTestMSS})
	}
}

// recovered ends recovery: everything that was sent before it is accounted for,
// or all that was lost arrived after all.
func (f *bbrTestFlow) recovered() bool {
	if !f.inRecovery {
		return false
	}
	if f.spurious == f.episode {
		f.inRecovery = false
		f.retransmit = 0
		f.undone++
		BBR{}.OnUndo(&f.s, f.w.now)
		f.note()
		return false
	}
	if f.highest > f.recoverID && (len(f.out) == 0 || f.out[0].id >= f.recoverID) {
		f.inRecovery = false
		return true
	}
	return false
}

// timeout takes everything in flight for lost.
func (f *bbrTestFlow) timeout() {
	w := f.w
	if f.inflight == 0 {
		f.timeoutAt = 0
		return
	}
	if w.now < f.timeoutAt {
		w.schedule(f.timeoutAt, bbrTimeout, f, nil)
		return
	}
	BBR{}.OnRTO(&f.s, &Loss{Now: w.now, Flight: f.inflight, MSS: bbrTestMSS}, !f.byTimeout)
	if !f.inRecovery {
		f.episode, f.spurious = 0, 0
	}
	f.inRecovery, f.byTimeout, f.recoverID = true, true, f.nextID
	for _, p := range f.out {
		if !p.acked && !p.lost {
			f.markLost(p)
		}
	}
	f.out = f.out[:0]
	f.armTimer()
	w.schedule(f.timeoutAt, bbrTimeout, f, nil)
	f.send()
}

// check looks at what must hold after every ACK.
func (f *bbrTestFlow) check() {
	cwnd, pacing := BBR{}.Control(&f.s)
	if cwnd < bbrTestMSS || cwnd > Infinite || pacing == 0 || pacing > 3*bbrMaxRate {
		f.w.t.Fatalf("seed %d at %v: cwnd %d, pacing %d", f.w.seed, f.w.now, cwnd, pacing)
	}
}

// goodput returns what the flow delivered in d, as hundredths of a percent of
// the bottleneck.
func (w *bbrWorld) goodput(d time.Duration, f *bbrTestFlow) uint64 {
	before := f.delivered
	w.run(d)
	return mulDiv(f.delivered-before, 10000, mulDiv(w.rate, uint64(d), uint64(time.Second)))
}
