package tcptest

import (
	"time"

	"github.com/handfast/handfast/tcp"
	"github.com/handfast/handfast/wire"
)

// Option changes how a conversation begins. Without any: the RFC profile, MSS
// 1000 and SACK on both sides, no window scaling, no timestamps, a peer whose
// window is 65535, a handshake that takes no time, and neither tail loss probes
// nor pacing, so that a story is about one thing.
type Option func(*setup)

// setup is what the options describe.
type setup struct {
	profile    tcp.Profile
	change     []func(*tcp.Config)
	params     tcp.Params
	irs        tcp.Seq
	absolute   bool            // numbers of the script are those on the wire
	peer       wire.TCPOptions // of the peer's SYN
	ecnSYN     wire.TCPFlags   // of either side's SYN
	ecnSYNACK  wire.TCPFlags   // of either side's SYN-ACK
	ecnFirst   wire.TCPFlags   // of the ACK of that
	ecnACK     wire.TCPFlags   // of every ACK after it
	synWindow  uint16          // of the peer's SYN
	window     uint16          // of the peer after its SYN, as on the wire
	windowSet  bool
	timestamps bool
	scale      uint8
	scaled     bool
	rtt        time.Duration
	probes     bool
	pacing     bool
	searches   tcp.MTUProbing
	room       uint32
	taken      *tcp.FastOpenCookie // a listener takes data on SYNs with a cookie; not empty: and gives this one
}

// Both default ISNs are close to the end of the sequence space, so that every
// test of more than a few octets crosses it.
const (
	defaultISS = tcp.Seq(1<<32 - 700)
	defaultIRS = tcp.Seq(1<<32 - 300)
	// scaledWindow is the peer's window field when scaling is on.
	scaledWindow = 1000
	// peerClock is the peer's timestamp clock at time 0, in milliseconds.
	peerClock = 100_000
	allRoom   = 65_000
)

func newSetup(opts []Option) *setup {
	s := &setup{profile: tcp.ProfileRFC, irs: defaultIRS, synWindow: 65535, window: 65535, room: allRoom,
		params: tcp.Params{ID: 1, ISS: defaultISS, MSS: 1000}}
	s.peer.MSS, s.peer.Has = 1000, wire.HasMSS|wire.HasSACKPermitted
	for _, o := range opts {
		o(s)
	}
	if s.scaled && !s.windowSet {
		s.window = scaledWindow
	}
	return s
}

// config makes the connection's Config.
func (s *setup) config() *tcp.Config {
	cfg := tcp.DefaultConfig(s.profile)
	cfg.NoTimestamps = !s.timestamps
	cfg.NoWindowScale = !s.scaled
	cfg.WindowScale = s.scale
	cfg.NoTLP, cfg.NoPacing, cfg.MTUProbing = !s.probes, !s.pacing, s.searches
	for _, change := range s.change {
		change(cfg)
	}
	return cfg
}

// Profile selects the profile.
func Profile(p tcp.Profile) Option { return func(s *setup) { s.profile = p } }

// Config lets the test change the Config after everything else.
func Config(change func(*tcp.Config)) Option {
	return func(s *setup) { s.change = append(s.change, change) }
}

// MSS sets what either side announces.
func MSS(n uint16) Option {
	return func(s *setup) { s.params.MSS, s.peer.MSS = n, n }
}

// OurMSS sets what this side announces, and what the path carries.
func OurMSS(n uint16) Option { return func(s *setup) { s.params.MSS = n } }

// PeerMSS sets what the peer announces; 0 means that its SYN has no MSS option.
func PeerMSS(n uint16) Option {
	return func(s *setup) {
		s.peer.MSS = n
		s.peer.Has |= wire.HasMSS
		if n == 0 {
			s.peer.Has &^= wire.HasMSS
		}
	}
}

// TailLossProbes lets the connection send them, RFC 8985 §7.
func TailLossProbes(s *setup) { s.probes = true }

// MTUProbing says when the connection looks for the size of its path, RFC 4821;
// without it, never.
func MTUProbing(m tcp.MTUProbing) Option { return func(s *setup) { s.searches = m } }

// Pacing lets the connection spread its departures.
func Pacing(s *setup) { s.pacing = true }

// NoSACK leaves the peer without SACK.
func NoSACK(s *setup) { s.peer.Has &^= wire.HasSACKPermitted }

// Timestamps lets both sides use timestamps.
func Timestamps(s *setup) {
	s.timestamps = true
	s.peer.Has |= wire.HasTimestamps
	s.peer.TSVal = peerClock
}

// Wscale lets both sides use window scaling with this shift. The peer's window
// field is 1000 then.
func Wscale(shift uint8) Option {
	return func(s *setup) {
		s.scale, s.scaled = shift, true
		s.peer.WScale = shift
		s.peer.Has |= wire.HasWScale
	}
}

// Window sets the peer's window field, also that of its SYN.
func Window(n uint16) Option {
	return func(s *setup) { s.window, s.synWindow, s.windowSet = n, n, true }
}

// ReceiveBuffer sets our receive buffer in bytes.
func ReceiveBuffer(n uint32) Option {
	return Config(func(c *tcp.Config) { c.ReceiveBuffer = n })
}

// ISN sets both initial sequence numbers.
func ISN(iss, irs tcp.Seq) Option {
	return func(s *setup) { s.params.ISS, s.irs = iss, irs }
}

// Absolute sets both initial sequence numbers and makes the script's numbers
// those on the wire, to play the figures of an RFC.
func Absolute(iss, irs tcp.Seq) Option {
	return func(s *setup) { s.params.ISS, s.irs, s.absolute = iss, irs, true }
}

// RTT sets how long our SYN or SYN-ACK waits for its answer. Time 0 is when the
// handshake is over.
func RTT(d time.Duration) Option { return func(s *setup) { s.rtt = d } }

// Room sets the most payload that one Emit may return; 0 means one segment.
func Room(n uint32) Option { return func(s *setup) { s.room = n } }

// FastOpen lets OPEN use TCP Fast Open, RFC 7413.
func FastOpen(r tcp.FastOpenRequest) Option {
	return func(s *setup) { s.params.FastOpen = &r }
}

// TakesFastOpen lets a listener take the data of SYNs that show any cookie, or
// have no option at all; fresh, if it is not empty, goes on the SYN-ACK.
func TakesFastOpen(fresh tcp.FastOpenCookie) Option {
	return func(s *setup) { s.taken = &fresh }
}

// V6 makes the path an IPv6 one.
func V6(s *setup) { s.params.V6 = true }

// ECN lets both sides use ECN as RFC 3168 has it.
func ECN(s *setup) {
	s.change = append(s.change, func(c *tcp.Config) { c.ECN = tcp.ECNOn })
	s.ecnSYN, s.ecnSYNACK = wire.FlagECE|wire.FlagCWR, wire.FlagECE
}

// AccECN lets both sides use AccECN, RFC 9768. Nothing in the handshake is
// marked, and the peer sends no options.
func AccECN(s *setup) {
	s.change = append(s.change, func(c *tcp.Config) { c.ECN = tcp.ECNAccurate })
	s.ecnSYN, s.ecnSYNACK = wire.FlagAE|wire.FlagCWR|wire.FlagECE, wire.FlagCWR
	s.ecnFirst, s.ecnACK = wire.FlagCWR, wire.FlagAE|wire.FlagECE
}
