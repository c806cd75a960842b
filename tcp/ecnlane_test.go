package tcp

import "testing"

// Two ends that both ask agree, and what one counts the other knows.
func TestECNBetweenTwo(t *testing.T) {
	for e, want := range map[ECN]Feedback{ECNOff: FeedbackNone, ECNOn: FeedbackClassic, ECNAccept: FeedbackNone,
		ECNAccurate: FeedbackAccurate, ECNAccurateAskClassic: FeedbackClassic, ECNAccurateAccept: FeedbackNone} {
		cfg := DefaultConfig(ProfileLinux)
		cfg.ECN, cfg.NoPacing = e, true
		l := newLane(t, cfg)
		for i := range 100 {
			l.mark = i%3 == 1
			l.send(60_000)
			l.step()
			l.run()
		}
		for range 10 { // until the last ACK, which may be delayed
			l.step()
			l.run()
			l.take(&l.b)
		}
		var a, b Info
		l.a.Info(&a)
		l.b.Info(&b)
		if a.Feedback != want || b.Feedback != want || a.ECNCapable != (want != FeedbackNone) {
			t.Errorf("%d: %v and %v, want %v; ECN-capable %v", e, a.Feedback, b.Feedback, want, a.ECNCapable)
		}
		if (a.MarkReductions > 0) != (want != FeedbackNone) || (b.MarksIn > 0) != (want != FeedbackNone) {
			t.Errorf("%v: %d reductions for %d marks", want, a.MarkReductions, b.MarksIn)
		}
		if want == FeedbackAccurate && a.MarksReported != b.MarksIn {
			t.Errorf("%d marks were reported, %d arrived", a.MarksReported, b.MarksIn)
		}
		l.a.Abort(l.now)
		l.b.Abort(l.now)
		if n, _ := l.pool.Outstanding(); n != 0 {
			t.Errorf("%v: %d chunks leaked", want, n)
		}
	}
}
