package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/handfast/handfast/cc"
	"github.com/handfast/handfast/icmp"
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/pkt"
	"github.com/handfast/handfast/tcp"
)

// The largest values of settings that have no natural bound.
const (
	mostSeconds      = 32767        // of keepalive, as setsockopt(2) has it
	mostSecondsTotal = 24 * 60 * 60 // of a wait that holds memory
	mostMillis       = 60_000
	mostInt          = math.MaxInt32
)

// everyFastOpen are the bits that tcp_fastopen may have.
const everyFastOpen = tcp.FastOpenClient | tcp.FastOpenServer | tcp.FastOpenClientNoCookie | tcp.FastOpenServerNoCookie | tcp.FastOpenAllListeners

// The bits of tcp_recovery.
const (
	recoveryRACK = 1 << iota
	recoveryStatic
	recoveryNoDupThresh
)

// knobs are all settings.
var knobs = [...]knob{
	fieldSwitch("net.ipv4.tcp_sack", "selective acknowledgements, RFC 2018", func(c *tcp.Config) *bool { return &c.NoSACK }),
	configKnob("net.ipv4.tcp_timestamps", 0, 2, "", "timestamps, RFC 7323; 2: without a random offset for each flow",
		func(c *tcp.Config) int64 {
			switch {
			case c.NoTimestamps:
				return 0
			case c.NoTSOffset:
				return 2
			}
			return 1
		},
		func(c *tcp.Config, v int64) { c.NoTimestamps, c.NoTSOffset = v == 0, v == 2 }),
	fieldSwitch("net.ipv4.tcp_window_scaling", "window scaling, RFC 7323 §2", func(c *tcp.Config) *bool { return &c.NoWindowScale }),
	fieldSwitch("net.ipv4.tcp_dsack", "duplicates that arrive are reported, RFC 2883", func(c *tcp.Config) *bool { return &c.NoDSACK }),
	fieldSwitch("net.ipv4.tcp_moderate_rcvbuf", "receive buffers grow from the second number of tcp_rmem to the third", func(c *tcp.Config) *bool { return &c.NoReceiveTuning }),
	bufferKnob("net.ipv4.tcp_rmem", "receive buffer: what it may hold however scarce memory is (as in tcp_wmem), at first, and at most",
		func(c *tcp.Config) (first, most *uint32) { return &c.ReceiveBuffer, &c.MaxReceiveBuffer }),
	bufferKnob("net.ipv4.tcp_wmem", "send buffer: what it may hold however scarce memory is (as in tcp_rmem), at first, and at most",
		func(c *tcp.Config) (first, most *uint32) { return &c.SendBuffer, &c.MaxSendBuffer }),
	configKnob("net.ipv4.tcp_notsent_lowat", 1, math.MaxUint32, "octets", "what may be queued and was never sent; a gibioctet or more: no bound of its own",
		func(c *tcp.Config) int64 {
			if c.NotSentLowat == 0 {
				return math.MaxUint32
			}
			return int64(c.NotSentLowat)
		},
		func(c *tcp.Config, v int64) {
			if v >= largestBuffer {
				v = 0
			}
			c.NotSentLowat = uint32(v)
		}),
	{name: "net.ipv4.tcp_mem", effect: EffectAtOnce, least: minMemoryBytes / memoryPage, most: mostInt, unit: "pages of 4096 octets",
		initially: initialMemory(), help: "what the queues of all connections keep alive: below the first there is room again, above the second buffers grow no more, above the third what can come again is dropped",
		get: func(e *Engine) string { return pages(e.memory.Levels()) },
		set: func(e *Engine, k *knob, value string) bool {
			v, ok := k.numbers(value, 3)
			if ok = ok && v[0] <= v[1] && v[1] <= v[2]; ok {
				e.memory.SetLevels(v[0]*memoryPage, v[1]*memoryPage, v[2]*memoryPage)
			}
			return ok
		}},
	fieldNumber("net.ipv4.tcp_min_snd_mss", 48, 65535, "octets", "smallest segment size that a peer can ask for",
		func(c *tcp.Config) *uint16 { return &c.MinSendMSS }),
	fieldNumber("net.ipv4.tcp_mtu_probing", 0, int64(tcp.MTUProbingAlways), "",
		"looking for the path's MTU without ICMP, RFC 4821: 0 never, 1 when full-sized segments vanish, 2 on every connection",
		func(c *tcp.Config) *tcp.MTUProbing { return &c.MTUProbing }),
	fieldNumber("net.ipv4.tcp_base_mss", 48, 65535, "octets", "segment size that the search begins with; over IPv6 1220 at least",
		func(c *tcp.Config) *uint16 { return &c.BaseMSS }),
	fieldNumber("net.ipv4.tcp_mtu_probe_floor", 48, 65535, "octets", "segment size that timeouts halve it to at least, over IPv4",
		func(c *tcp.Config) *uint16 { return &c.ProbeFloor }),
	fieldNumber("net.ipv4.tcp_probe_threshold", 1, 65535, "octets", "the search ends when less is in doubt",
		func(c *tcp.Config) *uint16 { return &c.ProbeThreshold }),
	fieldTime("net.ipv4.tcp_probe_interval", 1, mostSecondsTotal, time.Second, "until a search is repeated, RFC 8899 §5.1.1",
		func(c *tcp.Config) *time.Duration { return &c.ProbeInterval }),
	fieldNumber("net.ipv4.tcp_ecn", 0, int64(tcp.ECNAccurateAccept), "",
		"ECN: 0 never, 1 ask and agree, 2 agree; AccECN: 3 ask and agree, 4 agree and ask for RFC 3168, 5 agree",
		func(c *tcp.Config) *tcp.ECN { return &c.ECN }),
	fieldSwitch("net.ipv4.tcp_ecn_fallback", "a SYN that is lost is repeated without asking for ECN, RFC 3168 §6.1.1.1",
		func(c *tcp.Config) *bool { return &c.NoECNFallback }),
	fieldSwitch("net.ipv4.tcp_slow_start_after_idle", "cwnd falls to the initial window after an idle RTO, RFC 5681 §4.1",
		func(c *tcp.Config) *bool { return &c.NoIdleRestart }),
	configKnob("net.ipv4.tcp_frto", 0, 2, "", "F-RTO finds needless timeouts, RFC 5682; 1 and 2 are the same",
		func(c *tcp.Config) int64 { return 2 * oneIf(!c.NoFRTO) },
		func(c *tcp.Config, v int64) { c.NoFRTO = v == 0 }),
	configKnob("net.ipv4.tcp_early_retrans", 0, 4, "", "3 or 4: tail loss probes, RFC 8985 §7; less: none",
		func(c *tcp.Config) int64 { return 3 * oneIf(!c.NoTLP) },
		func(c *tcp.Config, v int64) { c.NoTLP = v < 3 }),
	configKnob("net.ipv4.tcp_recovery", 0, recoveryRACK|recoveryStatic|recoveryNoDupThresh, "",
		"sum of 1: RACK, RFC 8985, else RFC 6675; 2: its reordering window does not grow; 4: it waits for reordering however much is SACKed",
		func(c *tcp.Config) int64 {
			return oneIf(!c.NoRACK)*recoveryRACK | oneIf(c.NoReoAdapt)*recoveryStatic | oneIf(c.NoDupThresh)*recoveryNoDupThresh
		},
		func(c *tcp.Config, v int64) {
			c.NoRACK, c.NoReoAdapt, c.NoDupThresh = v&recoveryRACK == 0, v&recoveryStatic != 0, v&recoveryNoDupThresh != 0
		}),
	{name: "net.ipv4.tcp_congestion_control", help: "congestion control of new connections", words: strings.Join(cc.Names(), ", "),
		of:  func(c *tcp.Config) string { return c.Congestion.Name() },
		get: func(e *Engine) string { return e.tcp.Congestion.Name() },
		set: func(e *Engine, _ *knob, value string) bool {
			a, ok := cc.ByName(strings.TrimSpace(value))
			if ok {
				e.reconfigure(func(c *tcp.Config) { c.Congestion = a })
			}
			return ok
		}},
	fixedKnob("net.ipv4.tcp_available_congestion_control", strings.Join(cc.Names(), " "), "what tcp_congestion_control may be"),
	fieldNumber("net.ipv4.tcp_min_tso_segs", 1, 255, "segments", "what pacing lets leave together at least",
		func(c *tcp.Config) *uint8 { return &c.MinBurst }),
	fieldNumber("net.ipv4.tcp_pacing_ss_ratio", 0, 1000, "percent", "pacing rate in slow start, of cwnd in a round trip; 0: not spread",
		func(c *tcp.Config) *uint16 { return &c.PaceSlowStart }),
	fieldNumber("net.ipv4.tcp_pacing_ca_ratio", 0, 1000, "percent", "pacing rate after slow start, of cwnd in a round trip; 0: not spread",
		func(c *tcp.Config) *uint16 { return &c.PaceAvoidance }),
	fieldTime("net.ipv4.tcp_rto_min_us", 1, mostInt, time.Microsecond, "least RTO, RFC 6298 §2.4", func(c *tcp.Config) *time.Duration { return &c.MinRTO }),
	fieldTime("net.ipv4.tcp_rto_max_ms", 1000, 120_000, time.Millisecond, "largest RTO, RFC 6298 §2.5", func(c *tcp.Config) *time.Duration { return &c.MaxRTO }),
	fieldNumber("net.ipv4.tcp_syn_retries", 1, 127, "times", "a SYN is sent again before a dial fails, RFC 9293 §3.8.3",
		func(c *tcp.Config) *uint8 { return &c.SYNRetries }),
	fieldNumber("net.ipv4.tcp_synack_retries", 0, 255, "times", "a SYN-ACK is sent again before the record of its SYN goes",
		func(c *tcp.Config) *uint8 { return &c.SYNACKRetries }),
	fieldNumber("net.ipv4.tcp_retries1", 0, 255, "timeouts", "before another route is looked for: R1 of RFC 9293 §3.8.3",
		func(c *tcp.Config) *uint8 { return &c.R1 }),
	fieldNumber("net.ipv4.tcp_retries2", 1, 255, "timeouts", "before a connection ends: R2 of RFC 9293 §3.8.3",
		func(c *tcp.Config) *uint8 { return &c.Retries }),
	fieldNumber("net.ipv4.tcp_orphan_retries", 0, 255, "timeouts", "before a connection that no program holds ends; 0: 8 probes of a closed window",
		func(c *tcp.Config) *uint8 { return &c.OrphanRetries }),
	fieldTime("net.ipv4.tcp_keepalive_time", 1, mostSeconds, time.Second, "idle time before keepalive probes, where they are on and the program did not say",
		func(c *tcp.Config) *time.Duration { return &c.KeepIdle }),
	fieldTime("net.ipv4.tcp_keepalive_intvl", 1, mostSeconds, time.Second, "time between keepalive probes", func(c *tcp.Config) *time.Duration { return &c.KeepInterval }),
	fieldNumber("net.ipv4.tcp_keepalive_probes", 1, 127, "probes", "unanswered before the connection ends", func(c *tcp.Config) *uint8 { return &c.KeepCount }),
	fieldTime("net.ipv4.tcp_fin_timeout", 1, mostSecondsTotal, time.Second, "how long a connection that no program holds waits for the peer's FIN",
		func(c *tcp.Config) *time.Duration { return &c.FinWait2 }),
	fieldTime("net.ipv4.tcp_invalid_ratelimit", 0, mostMillis, time.Millisecond, "least time between two answers of one connection to what it does not accept, RFC 5961 §7",
		func(c *tcp.Config) *time.Duration { return &c.Challenge }),
	fixedKnob("net.ipv4.tcp_challenge_ack_limit", strconv.Itoa(mostInt),
		"challenge ACKs of the whole host in a second: not counted, because such a count tells strangers of each other's connections (CVE-2016-5696); each connection has tcp_invalid_ratelimit"),
	configKnob("net.ipv4.tcp_stdurg", 0, 1, "", "an urgent pointer that arrives points to the last octet of the urgent data, not behind it",
		func(c *tcp.Config) int64 { return oneIf(c.StdURG) },
		func(c *tcp.Config, v int64) { c.StdURG = v == 1 }),
	configKnob("net.ipv4.tcp_fastopen", 0, int64(everyFastOpen), "", "sum of 1: client, 2: server, 4: client without cookies, 0x200: server without, 0x400: every listener; RFC 7413",
		func(c *tcp.Config) int64 { return int64(c.FastOpen) },
		func(c *tcp.Config, v int64) { c.FastOpen = tcp.FastOpenMode(v) & everyFastOpen }),
	fieldTime("net.ipv4.tcp_fastopen_blackhole_timeout_sec", 0, mostSecondsTotal, time.Second, "how long no data travels on SYNs after a path swallowed it; doubles; 0: no pause",
		func(c *tcp.Config) *time.Duration { return &c.FastOpenPause }),
	{name: "net.ipv4.tcp_fastopen_key", effect: EffectAtOnce, initially: "00000000-00000000-00000000-00000000",
		help:  "keys of Fast Open cookies, a second one for cookies given before; zeros: random ones that change twice a day",
		words: "one key or two with a comma between, each four hexadecimal numbers of 32 bits with hyphens between",
		get:   (*Engine).fastOpenKeys, set: (*Engine).setFastOpenKeys},
	fixedKnob("net.ipv4.tcp_rfc1337", "1", "a reset never ends TIME-WAIT, RFC 1337 §3"),

	engineKnob("net.ipv4.tcp_tw_reuse", 0, 2, int64(reuseAlways), "", EffectAtOnce, "a dial may use a flow in TIME-WAIT after a second: 0 never, 1 yes, 2 on loopback",
		func(e *Engine) int64 { return int64(e.policy.reuse) }, func(e *Engine, v int64) { e.policy.reuse = reusePolicy(v) }),
	engineKnob("net.ipv4.tcp_syncookies", 0, 2, int64(cookiesOnOverflow), "", EffectAtOnce, "SYN cookies, RFC 4987 §3.6: 0 never, 1 when records run out, 2 always",
		func(e *Engine) int64 { return int64(e.policy.cookies) }, func(e *Engine, v int64) { e.policy.cookies = cookiePolicy(v) }),
	engineKnob("net.ipv4.tcp_abort_on_overflow", 0, 1, 0, "", EffectAtOnce, "a connection that finds the queue of its listener full is reset instead of waiting",
		func(e *Engine) int64 { return oneIf(e.policy.abortOnOverflow) }, func(e *Engine, v int64) { e.policy.abortOnOverflow = v == 1 }),
	engineKnob("net.ipv4.tcp_max_syn_backlog", 0, maxRecords, 256, "records", EffectAtOnce, "half-open records of one listener, RFC 4987 §2.2",
		func(e *Engine) int64 { return int64(e.limits.HalfOpenPerListener) },
		func(e *Engine, v int64) { e.limits.HalfOpenPerListener = min(int(v), e.limits.HalfOpen) }),
	engineKnob("net.ipv4.tcp_max_tw_buckets", 0, maxRecords, 16384, "records", EffectAtOnce, "connections in TIME-WAIT; beyond, the oldest goes",
		func(e *Engine) int64 { return int64(e.limits.TimeWait) },
		func(e *Engine, v int64) { e.limits.TimeWait, e.tw.max = int(v), int(v) }),
	engineKnob("net.ipv4.tcp_max_orphans", 0, maxConnections, 65536, "connections", EffectAtOnce, "connections that no program holds; beyond, closing resets",
		func(e *Engine) int64 { return int64(e.limits.Orphans) }, func(e *Engine, v int64) { e.limits.Orphans = int(v) }),
	{name: "net.ipv4.ip_local_port_range", help: "ephemeral ports, first and last", least: portMin, most: portMax, effect: EffectAtOnce,
		initially: fmt.Sprintf("%d\t%d", portLoLinux, portHiLinux),
		get:       func(e *Engine) string { return fmt.Sprintf("%d\t%d", e.ports.lo, e.ports.lo+e.ports.n-1) },
		set: func(e *Engine, k *knob, value string) bool {
			v, ok := k.numbers(value, 2)
			return ok && e.ports.setRange(uint16(v[0]), uint16(v[1]))
		}},
	engineKnob("net.ipv4.ip_default_ttl", 1, 255, ip.DefaultTTL, "", EffectAtOnce, "TTL of what is sent, where the program did not say",
		func(e *Engine) int64 { return int64(e.policy.ttl4) }, func(e *Engine, v int64) { e.policy.ttl4 = uint8(v) }),
	engineKnob("net.ipv6.conf.all.hop_limit", 1, 255, ip.DefaultTTL, "", EffectAtOnce, "hop limit of what is sent, where the program did not say",
		func(e *Engine) int64 { return int64(e.policy.ttl6) }, func(e *Engine, v int64) { e.policy.ttl6 = uint8(v) }),
	reassemblyKnob("net.ipv4.ipfrag_high_thresh", minReassembly, mostInt, ip.ReassemblyMemory, "octets", "memory for fragments of both families; a quarter of it for one source",
		func(c *ip.ReassemblyConfig) int64 { return int64(c.Memory) },
		func(c *ip.ReassemblyConfig, v int64) { c.Memory, c.Share = int(v), int(v/4) }),
	reassemblyKnob("net.ipv6.ip6frag_high_thresh", minReassembly, mostInt, ip.ReassemblyMemory, "octets", "the same memory as net.ipv4.ipfrag_high_thresh",
		func(c *ip.ReassemblyConfig) int64 { return int64(c.Memory) },
		func(c *ip.ReassemblyConfig, v int64) { c.Memory, c.Share = int(v), int(v/4) }),
	reassemblyKnob("net.ipv4.ipfrag_time", 1, mostSecondsTotal, int64(ip.ReassemblyTimeout4/time.Second), "s", "how long the rest of a datagram is waited for",
		func(c *ip.ReassemblyConfig) int64 { return int64(c.Timeout4 / time.Second) },
		func(c *ip.ReassemblyConfig, v int64) { c.Timeout4 = time.Duration(v) * time.Second }),
	reassemblyKnob("net.ipv6.ip6frag_time", 1, mostSecondsTotal, int64(ip.ReassemblyTimeout6/time.Second), "s", "how long the rest of a datagram is waited for",
		func(c *ip.ReassemblyConfig) int64 { return int64(c.Timeout6 / time.Second) },
		func(c *ip.ReassemblyConfig, v int64) { c.Timeout6 = time.Duration(v) * time.Second }),
	fixedKnob("net.ipv4.ipfrag_max_dist", "0", "how far fragments of one source may be out of order: not looked at, the memory of one source is bounded"),
	icmpKnob("net.ipv4.icmp_ratelimit", 0, mostMillis, int64(icmp.TargetInterval/time.Millisecond), "ms", "least time between ICMP errors to one address, of both families; 0: no limit",
		limitOfTarget, setLimitOfTarget),
	icmpKnob("net.ipv6.icmp.ratelimit", 0, mostMillis, int64(icmp.TargetInterval/time.Millisecond), "ms", "the same as net.ipv4.icmp_ratelimit",
		limitOfTarget, setLimitOfTarget),
	icmpKnob("net.ipv4.icmp_msgs_per_sec", 1, 1_000_000, icmp.ErrorsPerSecond, "messages", "ICMP errors in a second, to everyone together",
		func(c *icmp.LimiterConfig) int64 { return int64(c.PerSecond) }, func(c *icmp.LimiterConfig, v int64) { c.PerSecond = int(v) }),
	icmpKnob("net.ipv4.icmp_msgs_burst", 1, 1_000_000, icmpErrorBurst, "messages", "ICMP errors at once, to everyone together",
		func(c *icmp.LimiterConfig) int64 { return int64(c.Burst) }, func(c *icmp.LimiterConfig, v int64) { c.Burst = int(v) }),
	engineKnob("net.core.somaxconn", 1, maxAcceptBacklog, 4096, "connections", EffectListeners, "largest queue of connections that nobody has accepted",
		func(e *Engine) int64 { return int64(e.limits.AcceptBacklog) }, func(e *Engine, v int64) { e.limits.AcceptBacklog = int(v) }),
	engineKnob("net.core.rmem_max", 2304, largestBuffer, largestBuffer, "octets", EffectSockets, "largest receive buffer that a program can ask for",
		func(e *Engine) int64 { return int64(e.policy.mostReceive) }, func(e *Engine, v int64) { e.policy.mostReceive = int(v) }),
	engineKnob("net.core.wmem_max", 4608, largestBuffer, largestBuffer, "octets", EffectSockets, "largest send buffer that a program can ask for",
		func(e *Engine) int64 { return int64(e.policy.mostSend) }, func(e *Engine, v int64) { e.policy.mostSend = int(v) }),
}

// memoryPage is the unit of tcp_mem, in octets.
const memoryPage = 4096

// pages writes the levels of a budget in pages.
func pages(low, pressure, hard int64) string {
	return fmt.Sprintf("%d\t%d\t%d", low/memoryPage, pressure/memoryPage, hard/memoryPage)
}

// initialMemory is tcp_mem of the default budget.
func initialMemory() string {
	return pages(tcp.NewMemory(pkt.NewBudget(DefaultLimits().MemoryBytes)).Levels())
}

// minBuffer is the least that a buffer may be set to: Linux' for receiving.
const minBuffer = 2304

// bufferKnob is a setting that is three sizes of a buffer: however scarce memory
// is, at first, and at most.
func bufferKnob(name, help string, sizes func(c *tcp.Config) (first, most *uint32)) knob {
	of := func(c *tcp.Config) string {
		first, most := sizes(c)
		return fmt.Sprintf("%d\t%d\t%d", c.MinBuffer, *first, max(*first, *most))
	}
	return knob{name: name, help: help, least: minBuffer, most: largestBuffer, unit: "octets, ascending", of: of,
		get: func(e *Engine) string { return of(e.tcp) },
		set: func(e *Engine, k *knob, value string) bool {
			v, ok := k.numbers(value, 3)
			if ok = ok && v[0] <= v[1] && v[1] <= v[2]; ok {
				e.reconfigure(func(c *tcp.Config) {
					first, most := sizes(c)
					c.MinBuffer, *first, *most = uint32(v[0]), uint32(v[1]), uint32(v[2])
				})
			}
			return ok
		}}
}

// minReassembly has room for one datagram of the largest size.
const minReassembly = 1 << 18

// reassemblyKnob is a setting of the Reassembler's.
func reassemblyKnob(name string, least, most, initially int64, unit, help string, get func(*ip.ReassemblyConfig) int64, set func(*ip.ReassemblyConfig, int64)) knob {
	return engineKnob(name, least, most, initially, unit, EffectAtOnce, help,
		func(e *Engine) int64 { c := e.reass.Config(); return get(&c) },
		func(e *Engine, v int64) { c := e.reass.Config(); set(&c, v); e.reass.SetConfig(c) })
}

// icmpKnob is a setting of the limiter of ICMP errors.
func icmpKnob(name string, least, most, initially int64, unit, help string, get func(*icmp.LimiterConfig) int64, set func(*icmp.LimiterConfig, int64)) knob {
	return engineKnob(name, least, most, initially, unit, EffectAtOnce, help,
		func(e *Engine) int64 { c := e.icmpErrors.Config(); return get(&c) },
		func(e *Engine, v int64) { c := e.icmpErrors.Config(); set(&c, v); e.icmpErrors.SetConfig(c) })
}

// limitOfTarget reads the interval, of which a negative one stands for none.
func limitOfTarget(c *icmp.LimiterConfig) int64 { return int64(max(c.Interval, 0) / time.Millisecond) }

func setLimitOfTarget(c *icmp.LimiterConfig, v int64) {
	c.Interval = time.Duration(v) * time.Millisecond
	if v == 0 {
		c.Interval = -1
	}
}

// fastOpenKeys is the text of the keys that were set.
func (e *Engine) fastOpenKeys() string {
	if !e.fast.fixed {
		return sipKey{}.words()
	}
	s := e.fast.keys[0].words()
	if e.fast.keys[1] != e.fast.keys[0] {
		s += "," + e.fast.keys[1].words()
	}
	return s
}

// words writes a key as Linux does: four numbers of its bytes, the lowest first.
func (k sipKey) words() string {
	return fmt.Sprintf("%08x-%08x-%08x-%08x", uint32(k.k0), uint32(k.k0>>32), uint32(k.k1), uint32(k.k1>>32))
}

// setFastOpenKeys is Engine.SetFastOpenKeys with the keys as text; zeros return
// to keys of the Engine's own.
func (e *Engine) setFastOpenKeys(_ *knob, value string) bool {
	first, second, two := strings.Cut(strings.TrimSpace(value), ",")
	key, ok := parseKey(first)
	backup := key
	if two && ok {
		backup, ok = parseKey(second)
	}
	if !ok {
		return false
	}
	if key == (sipKey{}) && backup == key {
		e.fast.fixed, e.fast.period = false, -1
		return true
	}
	e.fast.keys, e.fast.fixed = [2]sipKey{key, backup}, true
	return true
}

// parseKey reads four hexadecimal numbers with hyphens between.
func parseKey(s string) (k sipKey, ok bool) {
	words := strings.Split(s, "-")
	if len(words) != 4 {
		return k, false
	}
	var w [4]uint64
	for i, x := range words {
		v, err := strconv.ParseUint(x, 16, 32)
		if err != nil {
			return k, false
		}
		w[i] = v
	}
	return sipKey{w[0] | w[1]<<32, w[2] | w[3]<<32}, true
}
