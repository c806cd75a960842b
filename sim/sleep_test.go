package sim

import (
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// A host that sleeps sends nothing and its programs do nothing; when it wakes,
// its connections go on, whether the device held what came or not.
func TestSleep(t *testing.T) {
	for _, keep := range []int{0, 50} {
		for _, timersFirst := range []bool{false, true} {
			p := cleanPair(t)
			p.left = 4 << 20
			p.dial(p.listen())
			p.w.At(p.w.Now(), p.Ready)
			p.w.RunUntil(p.w.Now().Add(time.Minute), func() bool { return p.got > 100_000 })
			sent, woke, called := 0, false, mono.Time(0)
			p.b.Tap(func(_ mono.Time, out bool, _ *pkt.Packet) { sent += b2i(out && !woke) })
			slept := p.w.Now()
			p.b.Sleep(keep)
			p.b.After(time.Second, func() { called = p.w.Now() })
			p.w.RunUntil(slept.Add(2*time.Minute), nil)
			woke = true
			if sent > 0 || called != 0 || p.b.lost == 0 || len(p.b.rx) != keep {
				t.Errorf("asleep: %d packets sent, called at %v, %d packets lost, %d kept of %d", sent, called, p.b.lost, len(p.b.rx), keep)
			}
			p.b.Wake(timersFirst)
			if err := p.w.RunUntil(p.w.Now().Add(time.Hour), func() bool { return p.got == 4<<20 && settled(p.a) && settled(p.b) }); err != nil {
				t.Fatal(err)
			}
			if p.got != 4<<20 || called.Sub(slept) != 2*time.Minute {
				t.Errorf("%d bytes arrived; what was due after 1 s was called after %v", p.got, called.Sub(slept))
			}
			if err := p.w.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Whoever loses power in his sleep does not wake by himself.
func TestCrashAsleep(t *testing.T) {
	p := cleanPair(t)
	p.dial(p.listen())
	p.w.RunUntil(p.w.Now().Add(time.Second), nil)
	p.b.Sleep(10)
	p.b.Crash()
	p.b.Wake(true)
	p.b.Sleep(10)
	if p.b.Engine() != nil || p.b.asleep {
		t.Error("a crashed host sleeps or wakes")
	}
	p.to.Close(p.w.Now())
	p.to = nil
	p.from.Abort(p.w.Now())
	if err := p.w.Close(); err != nil {
		t.Error(err)
	}
}

// The MTU of a device in use bounds packets from then on, in both directions of
// change, and every byte arrives.
func TestDeviceMTU(t *testing.T) {
	p := cleanPair(t)
	p.left = 1 << 20
	p.dial(p.listen())
	p.w.At(p.w.Now(), p.Ready)
	p.w.RunUntil(p.w.Now().Add(time.Minute), func() bool { return p.got > 100_000 })
	if err := p.a.SetMTU(1300); err != nil {
		t.Fatal(err)
	}
	largest := 0
	p.a.Tap(func(_ mono.Time, out bool, q *pkt.Packet) {
		if out {
			largest = max(largest, q.Len())
		}
	})
	p.w.RunUntil(p.w.Now().Add(time.Minute), func() bool { return p.got > 300_000 })
	if largest != 1300 {
		t.Errorf("packets of up to %d bytes over an MTU that became 1300", largest)
	}
	if err := p.a.SetMTU(1000); err == nil {
		t.Error("an MTU of 1000 with IPv6 addresses")
	}
	if err := p.a.SetMTU(9000); err != nil {
		t.Fatal(err)
	}
	if err := p.w.RunUntil(p.w.Now().Add(time.Hour), func() bool { return p.got == 1<<20 }); err != nil || p.got != 1<<20 {
		t.Fatalf("%d bytes arrived, %v", p.got, err)
	}
}

// A scenario's faults change what they say they change.
func TestFaultEvents(t *testing.T) {
	s := Scenario{Seed: 1, Length: time.Second}
	for i := range s.Hosts {
		s.Hosts[i] = HostSpec{TCP: *tcp.DefaultConfig(tcp.ProfileLinux), MTU: 1500}
		s.Wire[i] = netem.Config{Delay: time.Millisecond, Rate: 8_000_000}
	}
	r := &run{s: &s, w: New(1)}
	r.build(&Options{})
	h := r.w.hosts[0]
	now := func(f FaultEvent) {
		r.fault(&f)
		if err := r.w.RunUntil(r.w.now, nil); err != nil {
			t.Fatal(err)
		}
	}
	now(FaultEvent{Kind: Slower, N: 10})
	if c := r.wires[0].Config(h); c.Rate != 800_000 {
		t.Errorf("10 times slower than 8 Mbit/s: %d bit/s", c.Rate)
	}
	now(FaultEvent{Kind: Slower, N: 1_000_000})
	if c := r.wires[0].Config(h); c.Rate != 1500*8 {
		t.Errorf("as slow as it gets: %d bit/s", c.Rate)
	}
	now(FaultEvent{Kind: Faster, N: 10})
	if c := r.wires[0].Config(h); c.Rate != 120_000 {
		t.Errorf("10 times faster: %d bit/s", c.Rate)
	}
	now(FaultEvent{Kind: Swallow, N: 700})
	if x := r.wires[0].Box(h); x.MaxPacket != 700 {
		t.Errorf("%+v", x)
	}
	now(FaultEvent{Kind: FallAsleep, N: 3})
	now(FaultEvent{Kind: Resize, N: 1400})
	if h.cfg.MTU != 1500 || !h.asleep {
		t.Error("a device is changed while its host sleeps")
	}
	now(FaultEvent{Kind: WakeUp})
	if h.cfg.MTU != 1400 || h.asleep {
		t.Errorf("awake: MTU %d", h.cfg.MTU)
	}
	for _, k := range []Class{Rates, BlackHole, Sleep, Device} {
		if r.did[k.index()] == 0 {
			t.Errorf("%v was not counted", k)
		}
	}
}
