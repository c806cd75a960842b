package engine

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// effect is what a setting does, as a story; names are separated by blanks.
type effect struct {
	names string
	story func(t *testing.T)
}

// effects are those of all settings.
func effects() []effect {
	return append(append(append(tcpEffects(), lossEffects()...), engineEffects()...), pathEffects()...)
}

// Each setting does what it says.
func TestSysctlEffects(t *testing.T) {
	for _, x := range effects() {
		t.Run(strings.Join(strings.Fields(x.names), ","), x.story)
	}
}

func set(t testing.TB, e *Engine, name, value string) {
	t.Helper()
	if err := e.SetSysctl(name, value); err != nil {
		t.Fatal(err)
	}
}

// rig is a Harness with settings, each as name=value below net.ipv4.
func rig(t *testing.T, settings ...string) *Harness {
	t.Helper()
	h := newTestHarness(t, HarnessConfig{MaxGSO: 65535})
	change(t, h, settings...)
	return h
}

func change(t *testing.T, h *Harness, settings ...string) {
	t.Helper()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		if !strings.HasPrefix(name, "net.") {
			name = "net.ipv4." + name
		}
		set(t, h.E, name, value)
	}
}

// handshake is one that a peer has begun.
type handshake struct {
	syn    wireSegment
	synACK wireSegment
}

// fullOptions is what a modern peer offers.
func fullOptions() wire.TCPOptions {
	return wire.TCPOptions{MSS: 1460, WScale: 7, TSVal: 5000, Has: wire.HasMSS | wire.HasWScale | wire.HasTimestamps | wire.HasSACKPermitted}
}

// offer lets a SYN with all options arrive at port 80.
func offer(h *Harness, port uint16, flags ...wire.TCPFlags) *handshake {
	s := wireSegment{Src: at(them4, port), Dst: at(us4, 80), SEQ: 7000, Flags: wire.FlagSYN, WND: 64000, Opts: fullOptions()}
	for _, f := range flags {
		s.Flags |= f
	}
	h.Inject(s.raw())
	x := &handshake{syn: s}
	if n := len(h.sent); n > 0 {
		h1, _ := wire.ParseTCP(parseIP(h.sent[n-1].Raw).Payload)
		x.synACK = wireSegment{SEQ: h1.Seq(), ACK: h1.Ack(), Flags: h1.Flags()}
		x.synACK.Opts.Parse(h1.Options(), true)
	}
	return x
}

// complete lets the last ACK of the handshake arrive.
func (x *handshake) complete(h *Harness) {
	a := wireSegment{Src: x.syn.Src, Dst: x.syn.Dst, SEQ: x.syn.SEQ + 1, ACK: x.synACK.SEQ + 1, Flags: wire.FlagACK, WND: 500}
	if x.synACK.Opts.Has&wire.HasTimestamps != 0 {
		a.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: 5001, TSEcr: x.synACK.Opts.TSVal}
	}
	h.Inject(a.raw())
}

// connectTo opens a connection to a peer 100 ms away whose SYN-ACK has options.
func connectTo(t testing.TB, h *Harness, o wire.TCPOptions) (*peer, *Conn) {
	t.Helper()
	h.Sent()
	c, err := h.Dial(DialConfig{Remote: at(them4, 80)})
	if err != nil {
		t.Fatal(err)
	}
	syn := one(t, h)
	h.Advance(100 * time.Millisecond)
	p := &peer{t: t, h: h, us: syn.Src, them: syn.Dst, ours: syn.SEQ, seq: 9001, ack: syn.SEQ + 1, wnd: 64000}
	h.Inject((&wireSegment{Src: syn.Dst, Dst: syn.Src, SEQ: 9000, ACK: syn.SEQ + 1, Flags: wire.FlagSYN | wire.FlagACK, WND: 64000, Opts: o}).raw())
	h.Sent()
	return p, c
}

// sackOptions offers segments of 1000 octets and SACK.
func sackOptions() wire.TCPOptions {
	return wire.TCPOptions{MSS: 1000, Has: wire.HasMSS | wire.HasSACKPermitted}
}

// acknowledge lets an ACK of the first n octets arrive, with SACK blocks of
// octets counted from the stream's first.
func (p *peer) acknowledge(n uint32, blocks ...[2]uint32) {
	s := p.seg(wire.FlagACK, "")
	s.ACK = p.ours + 1 + n
	for i, b := range blocks {
		s.Opts.SACK[i] = [2]uint32{p.ours + 1 + b[0], p.ours + 1 + b[1]}
		s.Opts.NSACK, s.Opts.Has = uint8(i+1), wire.HasSACK
	}
	p.h.Inject(s.raw())
}

// octets are the ranges of the stream that left since the last look.
func (p *peer) octets() (all [][2]int) {
	for _, s := range segments(p.t, p.h) {
		if n := len(s.Data); n > 0 {
			from := int(s.SEQ - p.ours - 1)
			all = append(all, [2]int{from, from + n})
		}
	}
	return all
}

// firstAfter advances the clock until something is sent, at most for d, and
// returns when that was.
func firstAfter(h *Harness, d time.Duration) time.Duration {
	h.Sent()
	from := h.Now()
	for end := from.Add(d); h.Now() < end && len(h.sent) == 0; {
		h.AdvanceTo(min(end, max(h.E.Deadline(), h.Now()+1)))
	}
	return h.Now().Sub(from)
}

// tcpEffects are those of tcp.Config, but for loss recovery.
func tcpEffects() []effect {
	return []effect{
		{"net.ipv4.tcp_sack", func(t *testing.T) { synOption(t, "tcp_sack", wire.HasSACKPermitted) }},
		{"net.ipv4.tcp_window_scaling", func(t *testing.T) { synOption(t, "tcp_window_scaling", wire.HasWScale) }},
		{"net.ipv4.tcp_timestamps", func(t *testing.T) {
			synOption(t, "tcp_timestamps", wire.HasTimestamps)
			h := rig(t, "tcp_timestamps=2")
			listen(t, h, "10.0.0.1:80")
			a := offer(h, 1001)
			if ms := uint32(h.Now().Sub(mono.Start)/time.Millisecond) + uint32(mono.Start/mono.Time(time.Millisecond)); a.synACK.Opts.TSVal != ms {
				t.Errorf("without an offset the timestamp at %d ms is %d", ms, a.synACK.Opts.TSVal)
			}
		}},
		{"net.ipv4.tcp_dsack", func(t *testing.T) {
			for value, want := range map[string]uint8{"0": 0, "1": 1} {
				h := rig(t, "tcp_dsack="+value)
				p, _ := connectTo(t, h, sackOptions())
				s := p.seg(wire.FlagACK, "abcd")
				h.Inject(s.raw())
				h.Sent()
				h.Inject(s.raw())
				if a := one(t, h); a.Opts.NSACK != want {
					t.Errorf("value %s: what came twice is answered by %v", value, &a)
				}
			}
		}},
		{"net.ipv4.tcp_rmem net.ipv4.tcp_moderate_rcvbuf", func(t *testing.T) {
			for value, want := range map[string]uint32{"1": 200_000, "0": 20_000} {
				h := rig(t, "tcp_rmem=4096 20000 200000", "tcp_moderate_rcvbuf="+value)
				p, c := connectTo(t, h, fullOptions())
				if n := h.Info(c).ReceiveBuffer; n != 20_000 {
					t.Errorf("a buffer of %d at first", n)
				}
				got := feed(p, c, 3_000_000)
				if n := h.Info(c).ReceiveBuffer; n != want || got != 3_000_000 {
					t.Errorf("moderation %s: after %d octets in large windows it is %d, want %d", value, got, n, want)
				}
			}
		}},
		{"net.ipv4.tcp_wmem", func(t *testing.T) {
			h := rig(t, "tcp_wmem=4096 30000 50000")
			p, c := connectTo(t, h, sackOptions())
			if n := h.Write(c, make([]byte, 100_000)); n != 30_000 {
				t.Errorf("%d octets are taken at first", n)
			}
			grow(p, c, 0)
			for range 5 {
				grow(p, c, 50_000)
			}
			if n := h.Write(c, make([]byte, 100_000)); n != 50_000 {
				t.Errorf("%d octets are taken at most", n)
			}
		}},
		{"net.ipv4.tcp_notsent_lowat", func(t *testing.T) {
			for value, want := range map[string]int{"3000": 13_000, "4294967295": 40_000} {
				h := rig(t, "tcp_notsent_lowat="+value)
				_, c := connectTo(t, h, sackOptions())
				n := 0
				for range 50 { // ten segments are let out by cwnd, paced
					n += h.Write(c, make([]byte, 40_000-n))
					h.Advance(time.Millisecond)
				}
				if n != want {
					t.Errorf("value %s: %d octets are taken, want %d", value, n, want)
				}
			}
		}},
		{"net.ipv4.tcp_mem", func(t *testing.T) {
			h := rig(t, "tcp_mem=256 512 1024") // 1, 2 and 4 MiB
			var all []*Conn
			level := func() tcp.Level { s := h.Stats(); return s.Memory.Level }
			hold := func(bytes int64) {
				for h.Stats().Memory.Held < bytes {
					_, c := connectTo(t, h, sackOptions())
					h.Write(c, make([]byte, 60_000)) // which stays: nobody acknowledges
					all = append(all, c)
				}
			}
			for _, x := range []struct {
				bytes int64
				want  tcp.Level
			}{{1 << 20, tcp.LevelNormal}, {2<<20 + 65536, tcp.LevelPressure}, {2<<20 + 65536, tcp.LevelHard}} {
				if x.want == tcp.LevelHard { // at once
					change(t, h, "tcp_mem=256 512 513")
				}
				hold(x.bytes)
				if level() != x.want {
					t.Errorf("with %d octets held the level is %v, want %v", h.Stats().Memory.Held, level(), x.want)
				}
			}
			for _, c := range all {
				h.Abort(c)
			}
			if level() != tcp.LevelNormal {
				t.Errorf("with %d octets held the level is %v", h.Stats().Memory.Held, level())
			}
		}},
		{"net.ipv4.tcp_min_snd_mss", func(t *testing.T) {
			for value, want := range map[string]int{"48": 100, "500": 500} {
				h := rig(t, "tcp_min_snd_mss="+value)
				p, c := connectTo(t, h, wire.TCPOptions{MSS: 100, Has: wire.HasMSS})
				h.Write(c, make([]byte, 500))
				if got := h.sent[0].Cut; got != want && p.octets()[0][1] != want {
					t.Errorf("at %s a peer that asks for 100 octets gets segments of %d", value, got)
				}
			}
		}},
		{"net.ipv4.tcp_ecn", func(t *testing.T) {
			const ask = wire.FlagECE | wire.FlagCWR
			for value, want := range map[string][2]wire.TCPFlags{"0": {0, 0}, "1": {ask, wire.FlagECE}, "2": {0, wire.FlagECE}, "3": {ask | wire.FlagAE, wire.FlagECE}} {
				h := rig(t, "tcp_ecn="+value)
				listen(t, h, "10.0.0.1:80")
				agreed := offer(h, 1001, ask).synACK.Flags & (ask | wire.FlagAE)
				h.Sent()
				if _, err := h.Dial(DialConfig{Remote: at(them4, 80)}); err != nil {
					t.Fatal(err)
				}
				if s := one(t, h); s.Flags&(ask|wire.FlagAE) != want[0] || agreed != want[1] {
					t.Errorf("tcp_ecn %s: asks by %v, answers by %v", value, s.Flags, agreed)
				}
			}
		}},
		{"net.ipv4.tcp_ecn_fallback", func(t *testing.T) {
			for _, value := range []string{"0", "1"} {
				h := rig(t, "tcp_ecn=1", "tcp_ecn_fallback="+value)
				if _, err := h.Dial(DialConfig{Remote: at(them4, 80)}); err != nil {
					t.Fatal(err)
				}
				h.Sent()
				h.Advance(time.Second)
				if asks := one(t, h).Flags&wire.FlagECE != 0; asks != (value == "0") {
					t.Errorf("fallback %s: the second SYN asks for ECN: %v", value, asks)
				}
			}
		}},
		{"net.ipv4.tcp_congestion_control net.ipv4.tcp_available_congestion_control", func(t *testing.T) {
			h := rig(t)
			names, _ := h.E.Sysctl("net.ipv4.tcp_available_congestion_control")
			for _, name := range strings.Fields(names) {
				change(t, h, "tcp_congestion_control="+name)
				if _, c := connectTo(t, h, sackOptions()); h.Info(c).Congestion != name {
					t.Errorf("set to %s, a new connection has %s", name, h.Info(c).Congestion)
				}
			}
			if len(strings.Fields(names)) < 3 {
				t.Errorf("only %q are there", names)
			}
		}},
		{"net.ipv4.tcp_slow_start_after_idle", func(t *testing.T) {
			for value, keeps := range map[string]bool{"0": true, "1": false} {
				h := rig(t, "tcp_slow_start_after_idle="+value)
				p, c := connectTo(t, h, sackOptions())
				grow(p, c, 30_000)
				before := h.Info(c).Cwnd
				h.Advance(10 * time.Second)
				h.Write(c, make([]byte, 1000))
				after := h.Info(c).Cwnd
				if kept := after == before; kept != keeps || before <= 10_000 {
					t.Errorf("value %s: cwnd was %d and is %d after an idle time", value, before, after)
				}
			}
		}},
		{"net.ipv4.tcp_min_tso_segs", func(t *testing.T) {
			for value, want := range map[string]int{"1": 1000, "2": 2000, "5": 5000} {
				h := rig(t, "tcp_min_tso_segs="+value, "tcp_congestion_control=reno")
				p, c := connectTo(t, h, sackOptions())
				grow(p, c, 10_000) // these leave in one piece
				h.Write(c, make([]byte, 9000))
				if all := p.octets(); len(all) == 0 || all[0][1]-all[0][0] != want {
					t.Errorf("value %s: sent %v", value, all)
				}
			}
		}},
		{"net.ipv4.tcp_pacing_ss_ratio", func(t *testing.T) {
			for _, percent := range []uint64{0, 50, 200} {
				h := rig(t, "tcp_congestion_control=reno", "tcp_pacing_ss_ratio="+strconv.FormatUint(percent, 10))
				p, c := connectTo(t, h, sackOptions())
				h.Write(c, make([]byte, 5000))
				pacesAt(t, p, c, percent)
			}
		}},
		{"net.ipv4.tcp_pacing_ca_ratio", func(t *testing.T) {
			for _, percent := range []uint64{0, 70, 120} {
				h := rig(t, "tcp_congestion_control=reno", "tcp_pacing_ca_ratio="+strconv.FormatUint(percent, 10))
				p, c := connectTo(t, h, sackOptions())
				h.Write(c, make([]byte, 8000))
				h.Advance(100 * time.Millisecond)
				p.acknowledge(0, [2]uint32{1000, 8000}) // the first is lost
				h.Advance(100 * time.Millisecond)
				p.acknowledge(8000)
				h.Write(c, make([]byte, 1000))
				pacesAt(t, p, c, percent)
			}
		}},
		{"net.ipv4.tcp_stdurg", func(t *testing.T) {
			for value, want := range map[string]int{"0": 2, "1": 3} {
				h := rig(t, "tcp_stdurg="+value)
				p, c := connectTo(t, h, sackOptions())
				s := p.seg(wire.FlagACK|wire.FlagURG, "abcd")
				s.UP = 2
				h.Inject(s.raw())
				if n, ok := c.Urgent(); n != want || !ok {
					t.Errorf("value %s: a pointer of 2 means %d octets, %v", value, n, ok)
				}
			}
		}},
		{"net.ipv4.tcp_invalid_ratelimit", func(t *testing.T) {
			for value, want := range map[string]int{"0": 2, "500": 1} {
				h := rig(t, "tcp_invalid_ratelimit="+value)
				p, _ := connectTo(t, h, sackOptions())
				s := p.seg(wire.FlagRST, "")
				s.SEQ += 10
				h.Inject(s.raw())
				h.Inject(s.raw())
				if n := len(h.Sent()); n != want {
					t.Errorf("value %s: two doubtful resets got %d challenge ACKs", value, n)
				}
			}
		}},
		{"net.ipv4.tcp_challenge_ack_limit", func(t *testing.T) {
			h := rig(t)
			const many = 300 // Linux' count for the whole host was 100 when it was an oracle
			for range many {
				p, _ := connectTo(t, h, sackOptions())
				s := p.seg(wire.FlagRST, "")
				s.SEQ += 10
				h.Inject(s.raw())
				if len(h.Sent()) != 1 {
					t.Fatal("what other connections did keeps a challenge ACK back")
				}
			}
		}},
		{"net.ipv4.tcp_keepalive_time net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes", func(t *testing.T) {
			h := rig(t, "tcp_keepalive_time=5", "tcp_keepalive_intvl=3", "tcp_keepalive_probes=2")
			_, c := connectTo(t, h, sackOptions())
			c.SetKeepalive(h.Now(), true, 0, 0, 0)
			c.Touch()
			h.Flush()
			for i, want := range []time.Duration{5 * time.Second, 3 * time.Second, 3 * time.Second} {
				if d := firstAfter(h, time.Minute); d != want {
					t.Errorf("probe %d after %v, want %v", i, d, want)
				}
			}
			if c.Err() != tcp.ReasonKeepalive {
				t.Errorf("after two probes: %v", c.Err())
			}
		}},
		{"net.ipv4.tcp_fin_timeout", func(t *testing.T) {
			h := rig(t, "tcp_fin_timeout=3")
			p, c := connectTo(t, h, sackOptions())
			h.Close(c)
			p.acknowledge(1)
			if c.State() != tcp.FinWait2 {
				t.Fatal(c.State())
			}
			h.Advance(3*time.Second - 1)
			if c.State() != tcp.FinWait2 {
				t.Errorf("%v before three seconds are over", c.State())
			}
			if h.Advance(1); c.State() != tcp.Closed {
				t.Errorf("%v after three seconds", c.State())
			}
		}},
		{"net.ipv4.tcp_fastopen", func(t *testing.T) {
			for value, gives := range map[string]bool{"0": false, "1": false, "2": true, "0x402": true} {
				h := rig(t, "tcp_fastopen="+value)
				if _, err := h.Listen(ListenConfig{Local: at(us4, 80), FastOpen: 8}); err != nil {
					t.Fatal(err)
				}
				s := fastSYN(at(them4, 1000), nil, "")
				h.Inject(s.raw())
				if got := one(t, h).Opts.Has&wire.HasFastOpen != 0; got != gives {
					t.Errorf("value %s: a cookie is given: %v", value, got)
				}
			}
		}},
		{"net.ipv4.tcp_fastopen_blackhole_timeout_sec", func(t *testing.T) {
			for _, seconds := range []int{0, 60} {
				h := rig(t, "tcp_fastopen_blackhole_timeout_sec="+strconv.Itoa(seconds))
				c, s := dialFast(t, h, at(them4, 80), "x")
				a := answer(&s, s.SEQ+1, []byte("abcd"))
				h.Inject(a.raw())
				h.Abort(c)
				c, _ = dialFast(t, h, at(them4, 80), "x")
				h.Advance(8 * time.Second)
				h.Abort(c)
				wantCount(t, h, FastOpenBlackHoles, 1)
				other := netip.AddrFrom4([4]byte{10, 0, 0, 9})
				if _, s = dialFast(t, h, at(other, 80), "x"); s.Opts.Has&wire.HasFastOpen != 0 != (seconds == 0) {
					t.Errorf("%d s: after a black hole: %v", seconds, &s)
				}
				h.Advance(60 * time.Second)
				if _, s = dialFast(t, h, at(other, 81), "x"); s.Opts.Has&wire.HasFastOpen == 0 {
					t.Errorf("%d s: and a minute later: %v", seconds, &s)
				}
			}
		}},
		{"net.ipv4.tcp_fastopen_key", fastOpenKeyStory},
	}
}

// synOption checks that a setting decides about an option of our SYN, and of
// the SYN-ACK that answers one with all options.
func synOption(t *testing.T, name string, option wire.OptionSet) {
	t.Helper()
	for value, want := range map[string]bool{"0": false, "1": true} {
		h := rig(t, name+"="+value)
		listen(t, h, "10.0.0.1:80")
		answered := offer(h, 1001).synACK.Opts.Has&option != 0
		h.Sent()
		if _, err := h.Dial(DialConfig{Remote: at(them4, 80)}); err != nil {
			t.Fatal(err)
		}
		if asked := one(t, h).Opts.Has&option != 0; asked != want || answered != want {
			t.Errorf("%s %s: the option is on our SYN: %v, on our SYN-ACK: %v", name, value, asked, answered)
		}
	}
}

// grow lets a connection send n octets as fast as cwnd lets it, and acknowledges
// all.
func grow(p *peer, c *Conn, n int) {
	p.h.Write(c, make([]byte, n))
	for range 100 {
		p.h.Advance(100 * time.Millisecond)
		var s tcp.Space
		c.Space(&s)
		p.acknowledge(uint32(s.MAX - s.ISS - 1))
		if s.MAX == s.End {
			break
		}
	}
	p.h.Sent()
}

// feed lets a peer 50 ms away send n octets as fast as the window lets it, and
// the program read them. It returns how many arrived.
func feed(p *peer, c *Conn, n int) (read int) {
	h := p.h
	buf := make([]byte, 1<<20)
	ts := uint32(6000)
	for round := 0; round < 1000 && read < n; round++ {
		var echo uint32
		for _, s := range segments(p.t, h) {
			echo = s.Opts.TSVal
		}
		for w := min(int(h.Info(c).ReceiveWindow), n-read); w > 0; w -= 1000 {
			s := p.seg(wire.FlagACK, string(buf[:min(w, 1000)]))
			s.Opts = wire.TCPOptions{Has: wire.HasTimestamps, TSVal: ts, TSEcr: echo}
			h.Inject(s.raw())
			p.seq += uint32(min(w, 1000))
		}
		ts += 50
		k, _ := h.Read(c, buf)
		read += k
		h.Advance(50 * time.Millisecond)
	}
	return read
}

// pacesAt checks the pacing rate in percent of cwnd in a round trip.
func pacesAt(t *testing.T, p *peer, c *Conn, percent uint64) {
	t.Helper()
	i := p.h.Info(c)
	want := uint64(i.Cwnd) * percent / 100 * uint64(time.Second) / uint64(i.SRTT)
	if d := int64(i.PacingRate - want); d < -200 || d > 200 {
		t.Errorf("at %d percent: cwnd %d in %v is paced at %d octets a second, want %d", percent, i.Cwnd, i.SRTT, i.PacingRate, want)
	}
}

// fastOpenKeyStory: hosts with one key give one cookie, whatever their secrets;
// a backup key's cookies are good, and zeros return to keys of the host's own.
func fastOpenKeyStory(t *testing.T) {
	const first, second = "00000001-00000002-00000003-00000004", "0a0b0c0d-00000000-ffffffff-00000001"
	give := func(secret byte, key string) (*Harness, string) {
		h, _ := fastListener(t, HarnessConfig{Config: Config{Secret: [16]byte{secret}}}, 8)
		change(t, h, "tcp_fastopen_key="+key)
		if got, _ := h.E.Sysctl("net.ipv4.tcp_fastopen_key"); got != key {
			t.Errorf("the key %s reads %s", key, got)
		}
		return h, string(getCookie(t, h, them4))
	}
	_, a := give(1, first)
	_, b := give(2, first)
	h, c := give(1, second)
	if a != b || a == c {
		t.Errorf("cookies %x and %x of one key, %x of another", a, b, c)
	}
	for i, s := range []string{first + "," + second, first} {
		change(t, h, "tcp_fastopen_key="+s)
		x := fastSYN(at(them4, uint16(2000+i)), []byte(c), "data")
		h.Inject(x.raw())
		taken := one(t, h).ACK == x.SEQ+5
		if taken != (s != first) {
			t.Errorf("keys %s: data with a cookie of the second is taken: %v", s, taken)
		}
	}
	change(t, h, "tcp_fastopen_key=0-0-0-0")
	if own := string(getCookie(t, h, them4)); own == a || own == c {
		t.Error("zeros keep the key that was set")
	}
}
