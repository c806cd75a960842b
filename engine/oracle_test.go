package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/handfast/handfast/wire"
)

// guess is a forged segment that an attacker lets arrive in the name of a client
// of a server's, to learn something from what is left for himself. right says
// whether what he guesses is true.
type guess struct {
	name  string
	right bool // what differs between the two worlds: else the connection does not exist
	forge func(p *peer, right bool) wireSegment
}

// guesses are the three steps of CVE-2016-5696: whether a connection exists, where
// its window is, what it acknowledges.
func guesses() []guess {
	return []guess{
		{name: "the connection exists", forge: func(p *peer, _ bool) wireSegment {
			return wireSegment{Src: p.them, Dst: p.us, SEQ: 77, ACK: 77, Flags: wire.FlagSYN | wire.FlagACK, WND: 1000}
		}},
		{name: "the number is in the window", right: true, forge: func(p *peer, right bool) wireSegment {
			s := wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq + 100, Flags: wire.FlagRST}
			if !right {
				s.SEQ += 1 << 31
			}
			return s
		}},
		{name: "the acknowledgment is in range", right: true, forge: func(p *peer, right bool) wireSegment {
			s := wireSegment{Src: p.them, Dst: p.us, SEQ: p.seq, ACK: p.ack, Flags: wire.FlagACK, WND: 1000, Data: []byte("x")}
			if !right {
				s.ACK += 1 << 31
			}
			return s
		}},
	}
}

// probe plays one trial: the forged segment, then everything the attacker can
// provoke from his own address, which he counts.
func probe(t *testing.T, g *guess, secret bool, seed uint16) int {
	h := newTestHarness(t, HarnessConfig{Unchecked: true, Config: Config{Secret: [16]byte{byte(seed), byte(seed >> 8), 1}}})
	l := listen(t, h, "0.0.0.0:80")
	attacker := netip.MustParseAddr("10.0.0.66")
	mine, _ := acceptPeer(t, h, l, at(us4, 80), at(attacker, 4000))
	victim := &peer{t: t, h: h, us: at(us4, 80), them: at(them4, 4000), seq: 7_000_001, ack: 1}
	if g.right || secret {
		victim, _ = acceptPeer(t, h, l, at(us4, 80), at(them4, 4000))
	}
	h.Advance(10 * time.Second)
	h.Sent()
	s := g.forge(victim, secret)
	h.Inject(s.raw())
	closed := wireSegment{Src: at(attacker, 5000), Dst: at(us4, 9), SEQ: 1, Flags: wire.FlagSYN, WND: 1000}
	inWindow := mine.seg(wire.FlagRST, "")
	inWindow.SEQ += 10
	for range 3 * resetBurst {
		h.Inject(closed.raw(), inWindow.raw())
	}
	n := 0
	for _, p := range h.Sent() {
		if parseIP(p.Raw).Dst == attacker {
			n++
		}
	}
	return n
}

// T-BLD-04: who spends whatever budget he shares with others and counts the
// answers left for him learns nothing of the numbers of a connection of somebody
// else's, because he shares none that they touch; and next to nothing about
// whether it exists, because the budget of resets, which is shared, is paid in
// random portions. CVE-2016-5696.
func TestChallengeACKIsNoOracle(t *testing.T) {
	const trials = 1000
	for _, g := range guesses() {
		var sum [2]int
		var seen [2][4 * resetBurst]int
		for i := range trials {
			secret := i & 1
			k := probe(t, &g, secret == 1, uint16(i>>1)) // each world twice, but for the secret
			sum[secret] += k
			seen[secret][k]++
		}
		if g.right {
			if sum[0] != sum[1] {
				t.Errorf("%s: the sums of %d trials differ by %d", g.name, trials, sum[0]-sum[1])
			}
			continue
		}
		// The best rule of the kind "it exists if there were more than so many".
		best, below := 0, [2]int{}
		for k := range seen[0] {
			below[0] += seen[0][k]
			below[1] += seen[1][k]
			best = max(best, below[0]+trials/2-below[1])
		}
		if best*100 > trials*57 {
			t.Errorf("%s: a count gives the secret away in %d of %d trials", g.name, best, trials)
		}
		if d := sum[1] - sum[0]; d < -2*trials || d > 2*trials {
			t.Errorf("%s: the sums of %d trials differ by %d", g.name, trials, d)
		}
	}
}
