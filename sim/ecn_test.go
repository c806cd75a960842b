package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// Over a wire that marks and loses nothing, nothing is sent twice: the window
// follows the marks, with both kinds of feedback, every algorithm, and whether
// the receiver's device glues or not. With AccECN the sender has counted every
// mark that arrived.
func TestMarksInsteadOfLoss(t *testing.T) {
	n := netem.Config{Delay: 5 * time.Millisecond, Rate: 100_000_000, CE: netem.Percent(2)}
	for _, e := range []tcp.ECN{tcp.ECNOn, tcp.ECNAccurate} {
		for _, a := range []cc.Algorithm{cc.NewReno{}, cc.Cubic{}} {
			for _, gro := range []int{0, 65535} {
				cfg := tcp.DefaultConfig(tcp.ProfileLinux)
				cfg.ECN, cfg.Congestion = e, a
				host := HostConfig{Engine: engine.Config{TCP: cfg}, MaxGRO: gro}
				if gro > 0 {
					host.Coalesce = 200 * time.Microsecond
				}
				p := send(t, 4<<20, host, n)
				var from, to tcp.Info
				p.from.Info(&from)
				p.to.Info(&to)
				if from.Retransmits != 0 || from.MarkReductions == 0 || to.MarksIn == 0 {
					t.Errorf("%v, %s, glue %d: %d retransmissions, %d reductions, %d marks arrived", from.Feedback, a.Name(), gro,
						from.Retransmits, from.MarkReductions, to.MarksIn)
				}
				if e == tcp.ECNAccurate && from.MarksReported != to.MarksIn {
					t.Errorf("%s, glue %d: %d marks arrived, %d were reported", a.Name(), gro, to.MarksIn, from.MarksReported)
				}
			}
		}
	}
}

// Whatever the path does to the fields and flags of ECN, every byte arrives.
func TestMangledMarks(t *testing.T) {
	for _, bad := range []netem.Config{
		{Delay: time.Millisecond, Rate: 50_000_000, CE: netem.Always},
		{Delay: time.Millisecond, Rate: 50_000_000, CE: netem.Percent(50), Loss: netem.Percent(3), Reorder: netem.Percent(5), Duplicate: netem.Percent(2)},
	} {
		for _, e := range []tcp.ECN{tcp.ECNOn, tcp.ECNAccurate} {
			cfg := tcp.DefaultConfig(tcp.ProfileLinux)
			cfg.ECN = e
			send(t, 1<<20, HostConfig{Engine: engine.Config{TCP: cfg}}, bad)
		}
	}
}
