package system_test

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/handfast/handfast"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

const sysctlECN = "net/ipv4/tcp_ecn"

// ecnHost is a Host's configuration that asks for and agrees to some ECN.
func ecnHost(e tcp.ECN) handfast.Config {
	c := tcp.DefaultConfig(tcp.ProfileLinux)
	c.ECN = e
	return handfast.Config{TCP: c}
}

// mark sets the ECN field of a packet to CE if its transport is ECN-capable,
// and returns how many wire segments were marked so.
func mark(p *pkt.Packet) uint32 {
	b := p.Head
	switch {
	case b[0]>>4 == 4 && b[1]&wire.ECNMask != wire.NotECT:
		before := binary.BigEndian.Uint16(b)
		b[1] |= wire.CE
		binary.BigEndian.PutUint16(b[10:], wire.Update(binary.BigEndian.Uint16(b[10:]), before, binary.BigEndian.Uint16(b)))
	case b[0]>>4 == 6 && b[1]>>4&wire.ECNMask != wire.NotECT:
		b[1] |= wire.CE << 4
	default:
		return 0
	}
	return uint32(max(1, p.Segs))
}

// marker marks every so manyth ECN-capable packet in each direction.
type marker struct {
	every   int
	packets [2]int
	marked  [2]atomic.Uint32 // wire segments: 0 of the kernel's, 1 of ours
}

func (m *marker) see(out bool, p *pkt.Packet) {
	i := 0
	if out {
		i = 1
	}
	s, ok := segment(p)
	if !ok || s.tos&wire.ECNMask == wire.NotECT {
		return
	}
	m.packets[i]++
	if m.packets[i]%m.every == m.every-1 {
		m.marked[i].Add(mark(p))
	}
}

// ecnCase is what both sides are set to and what comes of it, by who opens.
type ecnCase struct {
	ours             tcp.ECN
	kernel           string
	weDial, theyDial tcp.Feedback
}

func (x *ecnCase) String() string { return fmt.Sprintf("we %d, the kernel %s", x.ours, x.kernel) }

// The kernel and we agree to what both know, and both hear of marks on the way.
func TestECNWithKernel(t *testing.T) {
	const none, classic = tcp.FeedbackNone, tcp.FeedbackClassic
	withMarks(t, []ecnCase{
		{tcp.ECNOff, "1", none, none},
		{tcp.ECNOn, "0", none, none},
		{tcp.ECNOn, "1", classic, classic},
		{tcp.ECNAccept, "1", none, classic},
		{tcp.ECNOn, "2", classic, none},
		{tcp.ECNAccurate, "1", classic, classic},
		{tcp.ECNAccurate, "0", none, none},
	})
}

// With AccECN either of us has counted every mark that the other saw. A kernel
// that does not know it yet skips this.
func TestAccECNWithKernel(t *testing.T) {
	if err := newLab(t, setup{}, false).trySysctl(sysctlECN, "3"); err != nil {
		t.Skipf("%s=3: %v: this kernel has no AccECN", sysctlECN, err)
	}
	const none, classic, accurate = tcp.FeedbackNone, tcp.FeedbackClassic, tcp.FeedbackAccurate
	withMarks(t, []ecnCase{
		{tcp.ECNAccurate, "3", accurate, accurate},
		{tcp.ECNAccept, "3", none, classic},
		{tcp.ECNOn, "3", classic, classic},
		{tcp.ECNAccurateAccept, "3", none, accurate},
		{tcp.ECNAccurate, "5", accurate, none},
	})
}

func withMarks(t *testing.T, cases []ecnCase) {
	for _, x := range cases {
		t.Run(x.String(), func(t *testing.T) {
			m := &meddler{}
			each(t, setup{wrap: m.wrap, host: ecnHost(x.ours), sysctl: map[string]string{sysctlECN: x.kernel}}, func(l *lab) {
				for name, dial := range map[string]func(*lab) pair{"we dial": (*lab).weDial, "they dial": (*lab).theyDial} {
					want := x.weDial
					if name == "they dial" {
						want = x.theyDial
					}
					k := &marker{every: 10}
					m.watch(k.see)
					p := dial(l)
					if err := bothWays(p, 6<<20); err != nil {
						l.Fatalf("%s: %v", name, err)
					}
					m.watch(nil)
					checkECN(l, name, p, want, k)
				}
			})
		})
	}
}

// checkECN compares what the two ends know with what was marked.
func checkECN(l *lab, name string, p pair, want tcp.Feedback, k *marker) {
	l.Helper()
	o, i := p.ours.Info(), l.kernelInfo(p.kernel)
	theirs, ours := k.marked[0].Load(), k.marked[1].Load()
	if o.Feedback != want || (i.Options&infoECN != 0) != (want != tcp.FeedbackNone) {
		l.Errorf("%s: feedback is %v, want %v; the kernel's options are %05b", name, o.Feedback, want, i.Options)
		return
	}
	if want == tcp.FeedbackNone {
		if ours+theirs > 0 {
			l.Errorf("%s: %d and %d packets could be marked", name, ours, theirs)
		}
		return
	}
	if ours == 0 || theirs == 0 || o.MarksIn != theirs || o.MarkReductions == 0 || !o.ECNCapable {
		l.Errorf("%s: %d of ours and %d of theirs were marked; we saw %d, %d reductions, ECN-capable %v", name, ours, theirs,
			o.MarksIn, o.MarkReductions, o.ECNCapable)
	}
	if want == tcp.FeedbackAccurate && (o.MarksReported != ours || i.Delivered_ce != theirs) {
		l.Errorf("%s: the kernel saw %d marks and reported %d; we saw %d, and it knows of %d", name, ours, o.MarksReported, theirs, i.Delivered_ce)
	}
	if want == tcp.FeedbackClassic && i.Delivered_ce == 0 {
		l.Errorf("%s: the kernel does not know of its %d marks", name, theirs)
	}
}
