package netem

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handfast/handfast/link"
	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/wire"
)

// got is a packet that arrived, and when, counted from the start of the test.
type got struct {
	after time.Duration
	data  string
}

// sink collects what arrives at a device, and releases it. Its batches come
// from one goroutine; reading them needs synctest.Wait.
type sink struct {
	start time.Time
	got   []got
}

func listen(d *Device) *sink {
	s := &sink{start: time.Now()}
	d.SetInput(func(batch []*pkt.Packet) {
		for _, p := range batch {
			s.got = append(s.got, got{time.Since(s.start), string(p.AppendTo(nil))})
			p.Release()
		}
	})
	return s
}

// packet returns a packet whose payload lies in a chunk of the pool.
func packet(pool *pkt.Pool, data string) *pkt.Packet {
	c := pool.Chunk(len(data))
	p := pool.Packet()
	p.SetFrame(c.Ref(c.Bytes()[:copy(c.Bytes(), data)]), 0)
	return p
}

func write(t *testing.T, d *Device, pool *pkt.Pool, data ...string) {
	t.Helper()
	var batch []*pkt.Packet
	for _, s := range data {
		batch = append(batch, packet(pool, s))
	}
	if n, err := d.Write(batch); n != len(data) || err != nil {
		t.Fatalf("Write of %d: %d, %v", len(data), n, err)
	}
}

// finish closes both ends and checks that everything came back.
func finish(t *testing.T, pool *pkt.Pool, ends ...*Device) {
	t.Helper()
	for _, d := range ends {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if chunks, packets := pool.Outstanding(); chunks != 0 || packets != 0 {
		t.Errorf("after Close %d chunks and %d packets are not back", chunks, packets)
	}
}

func config(t testing.TB, text string) netem.Config {
	t.Helper()
	c, err := netem.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Three packets of 1000 bytes at 8 Mbit/s arrive 1 ms apart after the delay;
// the other direction has its own delay.
func TestDelayAndRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, config(t, "rate 8mbit delay 10ms"), config(t, "rate 8mbit delay 30ms"), 1, Options{})
		atB, atA := listen(b), listen(a)
		kb := string(make([]byte, 1000))
		write(t, a, &pool, kb, kb, kb)
		write(t, b, &pool, kb)
		time.Sleep(time.Second)
		synctest.Wait()
		const ms = time.Millisecond
		if want := []got{{11 * ms, kb}, {12 * ms, kb}, {13 * ms, kb}}; !slices.Equal(atB.got, want) {
			t.Errorf("at b: %v", atB.got)
		}
		if want := []got{{31 * ms, kb}}; !slices.Equal(atA.got, want) {
			t.Errorf("at a: %v", atA.got)
		}
		finish(t, &pool, a, b)
	})
}

// Packets that arrive at one instant do so in the order in which they were
// sent, however many there are.
func TestEqualInstantsKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, config(t, "rate 10tbit delay 1ms"), netem.Config{}, 1, Options{})
		s := listen(b)
		const n = 1000
		for i := range n {
			write(t, a, &pool, fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(s.got) != n {
			t.Fatalf("%d of %d arrived", len(s.got), n)
		}
		for i, g := range s.got {
			if g.data != fmt.Sprint(i) {
				t.Fatalf("packet %d is %q", i, g.data)
			}
		}
		finish(t, &pool, a, b)
	})
}

// Two ends that answer each other at once, over wires of no delay and no
// limit, still let time pass.
func TestVirtualTimeMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, netem.Config{}, netem.Config{}, 1, Options{})
		b.SetInput(func(batch []*pkt.Packet) { b.Write(batch) })
		rounds, done := 0, make(chan struct{})
		a.SetInput(func(batch []*pkt.Packet) {
			if rounds++; rounds == 1000 {
				close(done)
			}
			a.Write(batch)
		})
		start := time.Now()
		write(t, a, &pool, "ball")
		<-done
		if took := time.Since(start); took < 2*time.Millisecond || took > 3*time.Millisecond {
			t.Errorf("1000 rounds took %v, want 2ms and the time on the wire", took)
		}
		finish(t, &pool, a, b)
	})
}

// Write refuses what Caps exclude, says so, and sends the rest of the batch.
func TestRefusedPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, netem.Config{}, netem.Config{}, 1, Options{MTU: 1000})
		s := listen(b)
		super, partial := packet(&pool, "super"), packet(&pool, "partial")
		super.Segs, super.GSOSize = 2, 3
		partial.Csum = pkt.CsumPartial
		batch := []*pkt.Packet{packet(&pool, "first"), super, partial, packet(&pool, string(make([]byte, 1001))), packet(&pool, "last")}
		n, err := a.Write(batch)
		if n != 2 || !errors.Is(err, link.ErrPacket) {
			t.Errorf("Write: %d, %v; want 2 and link.ErrPacket", n, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(s.got) != 2 || s.got[0].data != "first" || s.got[1].data != "last" {
			t.Errorf("arrived: %v", s.got)
		}
		if st := a.Stats(); st.Refused != 3 || st.Delivered != 2 || st.Wire.Packets != 2 {
			t.Errorf("stats %+v", st)
		}
		finish(t, &pool, a, b)
	})
}

// Close stops delivery and returns what was on its way to this end; the other
// end still gets what was sent to it, and loses what it sends.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		slow := config(t, "delay 10ms duplicate 100%")
		a, b := Pair(&pool, slow, slow, 1, Options{})
		atA, atB := listen(a), listen(b)
		write(t, a, &pool, "to b")
		write(t, b, &pool, "to a", "to a too")
		if st := b.Stats(); st.InFlight != 4 {
			t.Errorf("%d in flight to a, want 4", st.InFlight)
		}
		for range 2 {
			if err := a.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		}
		if n, err := a.Write([]*pkt.Packet{packet(&pool, "late")}); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after Close: %d, %v", n, err)
		}
		if n, err := a.Read(make([]*pkt.Packet, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close: %d, %v", n, err)
		}
		a.SetInput(func([]*pkt.Packet) { t.Error("an input set after Close is called") })
		write(t, b, &pool, "nobody there")
		time.Sleep(time.Second)
		synctest.Wait()
		if len(atA.got) != 0 || len(atB.got) != 2 || atB.got[0].data != "to b" {
			t.Errorf("at a: %v, at b: %v", atA.got, atB.got)
		}
		if st := b.Stats(); st.Unplugged != 2 || st.InFlight != 0 {
			t.Errorf("stats of b %+v, want 2 unplugged", st)
		}
		finish(t, &pool, b)
	})
}

// Close with packets on their way, with and without an input, leaves nothing
// behind; it waits for an input under way.
func TestCloseWaitsForInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, netem.Config{}, netem.Config{}, 1, Options{})
		finished := false
		b.SetInput(func(batch []*pkt.Packet) {
			time.Sleep(time.Second)
			for _, p := range batch {
				p.Release()
			}
			finished = true
		})
		write(t, a, &pool, "x")
		write(t, b, &pool, "never read")
		time.Sleep(time.Millisecond)
		finish(t, &pool, b, a)
		if !finished {
			t.Error("Close returned before the input did")
		}
	})
}

// Without an input, Read waits for what is due; Close wakes it.
func TestRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, config(t, "delay 5ms"), netem.Config{}, 1, Options{})
		start := time.Now()
		time.AfterFunc(time.Second, func() { write(t, a, &pool, "one", "two") })
		batch := make([]*pkt.Packet, 8)
		if n, err := b.Queues()[0].Read(batch[:0]); n != 0 || err != nil {
			t.Errorf("Read of nothing: %d, %v", n, err)
		}
		for _, want := range []string{"one", "two"} {
			n, err := b.Queues()[0].Read(batch[:1])
			if n != 1 || err != nil || string(batch[0].Head) != want {
				t.Fatalf("Read: %d, %v", n, err)
			}
			batch[0].Release()
		}
		if took := time.Since(start); took < 1005*time.Millisecond || took > 1006*time.Millisecond {
			t.Errorf("read after %v, want 1.005s", took)
		}
		time.AfterFunc(time.Second, func() { b.Close() })
		if n, err := b.Read(batch); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read while Close: %d, %v", n, err)
		}
		a.SetInput(func([]*pkt.Packet) {})
		if _, err := a.Read(batch); err == nil {
			t.Error("Read after SetInput works")
		}
		finish(t, &pool, a, b)
	})
}

// A partition loses what is sent during it, not what was sent before; a change
// of delay holds from the next packet on.
func TestSetConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(nil, config(t, "delay 10ms"), netem.Config{}, 1, Options{})
		s := listen(b)
		write(t, a, &pool, "before")
		a.SetConfig(config(t, "down"))
		write(t, a, &pool, "during")
		time.Sleep(time.Second)
		a.SetConfig(config(t, "delay 20ms"))
		write(t, a, &pool, "after")
		time.Sleep(time.Second)
		synctest.Wait()
		if len(s.got) != 2 || s.got[0].data != "before" || s.got[1].data != "after" {
			t.Fatalf("arrived: %v", s.got)
		}
		if d := s.got[1].after - 1020*time.Millisecond; d < 0 || d > time.Microsecond {
			t.Errorf("after the change it took %v more than 20ms", d)
		}
		if c := a.Stats().Wire; c.Dropped[netem.DroppedDown] != 1 {
			t.Errorf("counters %+v", c)
		}
		finish(t, &pool, a, b)
	})
}

// A tap sees packets as they were sent and as they arrived.
func TestTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		var log []string
		start := time.Now()
		a, b := Pair(&pool, config(t, "rate 8mbit delay 10ms"), config(t, "loss 100%"), 1, Options{
			Tap: func(at time.Time, place Place, p *pkt.Packet) {
				log = append(log, fmt.Sprintf("%v %v %d", at.Sub(start), place, p.Len()))
			},
		})
		listen(b)
		write(t, a, &pool, string(make([]byte, 1000)))
		time.Sleep(time.Second)
		synctest.Wait()
		write(t, b, &pool, "lost")
		a.Write([]*pkt.Packet{packet(&pool, string(make([]byte, 2000)))}) // refused: never sent
		want := []string{"0s sent by a 1000", "11ms delivered to b 1000", "1s sent by b 4"}
		if !slices.Equal(log, want) {
			t.Errorf("the tap saw %q, want %q", log, want)
		}
		finish(t, &pool, a, b)
	})
}

// The same seed gives the same arrivals.
func TestSameSeedSameArrivals(t *testing.T) {
	bad := config(t, "rate 10mbit queue 20kb delay 5ms jitter 3ms unordered loss 5% duplicate 5% reorder 5% corrupt 5%")
	arrivals := func(seed uint64) (log []got) {
		synctest.Test(t, func(t *testing.T) {
			var pool pkt.Pool
			a, b := Pair(&pool, bad, bad, seed, Options{})
			s := listen(b)
			for i := range 500 {
				write(t, a, &pool, fmt.Sprintf("%0*d", 500+i, i))
				time.Sleep(700 * time.Microsecond)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			log = s.got
			finish(t, &pool, a, b)
		})
		return log
	}
	first := arrivals(7)
	if !slices.Equal(first, arrivals(7)) {
		t.Error("seed 7 gives other arrivals the second time")
	}
	if slices.Equal(first, arrivals(8)) {
		t.Error("seeds 7 and 8 give the same arrivals")
	}
}

// One direction carries MaxInFlight packets, and counts what is beyond.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pool pkt.Pool
		a, b := Pair(&pool, config(t, "delay 1s"), netem.Config{}, 1, Options{})
		batch := make([]*pkt.Packet, 1)
		for range MaxInFlight + 5 {
			p := pool.Packet()
			p.Prepend(1)[0] = 1
			batch[0] = p
			a.Write(batch)
		}
		if st := a.Stats(); st.Overflow != 5 || st.InFlight != MaxInFlight {
			t.Errorf("%d in flight, %d over, want %d and 5", st.InFlight, st.Overflow, MaxInFlight)
		}
		finish(t, &pool, a, b)
	})
}

func TestCaps(t *testing.T) {
	local := netip.MustParsePrefix("10.0.0.2/24")
	a, b := Pair(nil, netem.Config{}, netem.Config{MTU: 700}, 1, Options{
		Medium: link.Ethernet, MTU: 9000, Addrs: [2]wire.MAC{{2, 1, 1, 1, 1, 1}}, Local: [2][]netip.Prefix{1: {local}},
	})
	ca, cb := a.Caps(), b.Caps()
	if ca.Medium != link.Ethernet || ca.MTU != 9000 || ca.MaxGSO != 0 || ca.MaxGRO != 0 || ca.Offloads != 0 || ca.BatchSize < 1 {
		t.Errorf("caps of a: %+v", ca)
	}
	if ca.Addr != (wire.MAC{2, 1, 1, 1, 1, 1}) || cb.Addr == (wire.MAC{}) || cb.Addr.IsMulticast() {
		t.Errorf("addresses %v and %v", ca.Addr, cb.Addr)
	}
	if len(ca.Local) != 0 || len(cb.Local) != 1 || cb.Local[0] != local {
		t.Errorf("local addresses %v and %v", ca.Local, cb.Local)
	}
	// The MTU of the wire is meant without the Ethernet header.
	var pool pkt.Pool
	write(t, b, &pool, string(make([]byte, 714)), string(make([]byte, 715)))
	if d := b.Stats().Wire.Dropped[netem.DroppedMTU]; d != 1 {
		t.Errorf("%d dropped for their size, want 1", d)
	}
	for mtu, want := range map[int]int{0: DefaultMTU, 1: MinMTU, 1 << 20: MaxMTU} {
		if c, _ := Pair(nil, netem.Config{}, netem.Config{}, 1, Options{MTU: mtu}); c.Caps().MTU != want {
			t.Errorf("MTU %d becomes %d, want %d", mtu, c.Caps().MTU, want)
		}
	}
	finish(t, &pool, a, b)
}

// In real time packets arrive not before their delay, and Close ends all.
func TestRealTime(t *testing.T) {
	var pool pkt.Pool
	a, b := Pair(&pool, config(t, "delay 3ms"), netem.Config{}, 1, Options{})
	start, arrived := time.Now(), make(chan time.Duration, 1)
	b.SetInput(func(batch []*pkt.Packet) {
		took := time.Since(start)
		batch[0].Release()
		arrived <- took
	})
	write(t, a, &pool, "x")
	if took := <-arrived; took < 3*time.Millisecond {
		t.Errorf("arrived after %v, want 3ms at least", took)
	}
	finish(t, &pool, a, b)
}
