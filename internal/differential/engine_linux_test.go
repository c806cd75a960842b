package differential

import (
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/handfast/handfast/engine"
	"github.com/handfast/handfast/mono"
	"github.com/handfast/handfast/tcp"
	"golang.org/x/sys/unix"
)

// engineSide is our Engine in virtual time, with calls that answer as a
// socket's do. (A Host has such calls, but real time and goroutines, too.)
type engineSide struct {
	h        *engine.Harness
	begins   []time.Duration // of the steps, as the kernel had them
	dut      netip.Addr
	peer     netip.Addr
	port     uint16
	listener *engine.Listener
	socks    map[int]*sock
	preset   []*step // settings made before there was a connection
}

// sock is a connection with what a socket keeps beside it.
type sock struct {
	c         *engine.Conn
	opts      engine.Options
	linger0   bool
	errorSeen bool
	ended     bool
	closed    bool
}

// engineConfig is the Engine for a script.
func engineConfig(s *script, dut netip.Addr) engine.HarnessConfig {
	c := tcp.DefaultConfig(tcp.ProfileLinux)
	c.NoSACK = s.knob("sack") == "0"
	c.NoTimestamps = s.knob("timestamps") == "0"
	c.NoWindowScale = s.knob("wscale") == "0"
	c.Retries = uint8(s.number("retries2", int(c.Retries)))
	c.SYNRetries = uint8(s.number("synretries", int(c.SYNRetries)))
	c.SYNACKRetries = uint8(s.number("synackretries", int(c.SYNACKRetries)))
	if n := s.number("finwait", 0); n > 0 {
		c.FinWait2 = time.Duration(n) * time.Second
	}
	c.ECN = tcp.ECN(s.number("ecn", int(c.ECN)))
	c.FastOpen = tcp.FastOpenMode(s.number("fastopen", int(c.FastOpen)))
	if n := uint32(s.number("rcvbuf", 0)); n > 0 {
		c.ReceiveBuffer, c.MaxReceiveBuffer = n, n
	}
	if n := uint32(s.number("sndbuf", 0)); n > 0 {
		c.SendBuffer, c.MaxSendBuffer = n, n
	}
	hc := engine.HarnessConfig{MTU: s.number("mtu", 1500), Addrs: []netip.Prefix{netip.PrefixFrom(dut, prefixLen(dut))}}
	hc.Secret[0] = 7
	hc.TCP = c
	return hc
}

func newEngineSide(s *script, begins []time.Duration, dut, peer netip.Addr, port uint16) *engineSide {
	return &engineSide{h: engine.NewHarness(engineConfig(s, dut)), begins: begins, dut: dut, peer: peer, port: port, socks: map[int]*sock{}}
}

func instant(d time.Duration) mono.Time { return mono.Start.Add(time.Second + d) }

func (e *engineSide) begin(i int) time.Duration {
	e.h.AdvanceTo(instant(e.begins[i]))
	return e.begins[i]
}

// until goes to where the next step began on the other side.
func (e *engineSide) until(i int, from, d time.Duration) {
	to := from + d
	if i+1 < len(e.begins) {
		to = e.begins[i+1] - 1
	}
	e.h.AdvanceTo(instant(to))
}

func (e *engineSide) inject(raw []byte) { e.h.Inject(raw) }

func (e *engineSide) take() (all []arrival) {
	for _, p := range e.h.Sent() {
		all = append(all, arrival{p.At.Sub(instant(0)), p.Raw})
	}
	return all
}

// reasons are what a kernel's socket reports for them.
var reasons = map[tcp.Reason]error{
	tcp.ReasonNone: nil, tcp.ReasonRefused: unix.ECONNREFUSED, tcp.ReasonPortUnreachable: unix.ECONNREFUSED,
	tcp.ReasonReset: unix.ECONNRESET, tcp.ReasonTimeout: unix.ETIMEDOUT, tcp.ReasonUserTimeout: unix.ETIMEDOUT,
	tcp.ReasonKeepalive: unix.ETIMEDOUT, tcp.ReasonUnreachable: unix.EHOSTUNREACH, tcp.ReasonTimeExceeded: unix.EHOSTUNREACH,
	tcp.ReasonProtoUnreachable: unix.ENOPROTOOPT, tcp.ReasonParameterProblem: unix.EPROTO, tcp.ReasonMemory: unix.ENOBUFS,
}

func engineError(err error) error {
	switch {
	case errors.Is(err, engine.ErrAddrInUse):
		return unix.EADDRINUSE
	case errors.Is(err, engine.ErrNoRoute):
		return unix.ENETUNREACH
	}
	return err
}

func (e *engineSide) call(f *flow, st *step) string {
	switch st.verb {
	case "listen":
		l, err := e.h.Listen(engine.ListenConfig{Local: netip.AddrPortFrom(e.dut, e.port), Backlog: st.num(0)})
		e.listener = l
		return errnoName(engineError(err))
	case "unlisten":
		e.h.CloseListener(e.listener)
		return "ok"
	case "connect":
		return e.connect(f)
	case "fastopen":
		return e.fastOpen(f, st)
	case "accept":
		return e.accept(f)
	}
	s := e.socks[f.n]
	if s == nil {
		if st.verb == "set" {
			e.preset = append(e.preset, st)
			return "ok"
		}
		return "EBADF"
	}
	return e.callConn(s, f, st)
}

func (e *engineSide) connect(f *flow) string {
	d := engine.DialConfig{Remote: netip.AddrPortFrom(e.peer, f.peerPort)}
	for _, st := range e.preset {
		switch st.arg(0) {
		case "tos":
			d.TOS = uint8(st.num(1))
		case "ttl":
			d.TTL = uint8(st.num(1))
		}
	}
	c, err := e.h.Dial(d)
	if err != nil {
		return errnoName(engineError(err))
	}
	e.socks[f.n] = &sock{c: c}
	e.preparing(e.socks[f.n])
	return "EINPROGRESS"
}

// fastOpen dials with data for the SYN, which goes if there is a cookie.
func (e *engineSide) fastOpen(f *flow, st *step) string {
	c, err := e.h.E.Dial(e.h.Now(), &engine.DialConfig{Remote: netip.AddrPortFrom(e.peer, f.peerPort), FastOpen: true, FastOpenWait: true})
	if err != nil {
		return errnoName(engineError(err))
	}
	e.socks[f.n] = &sock{c: c}
	if !c.FastOpenWaits() { // no cookie: a socket says that it has begun, and takes nothing
		e.h.Flush()
		return "EINPROGRESS"
	}
	return strconv.Itoa(e.h.Write(c, f.pattern(st.num(0))))
}

func (e *engineSide) preparing(s *sock) {
	for _, st := range e.preset {
		e.set(s, st)
	}
}

func (e *engineSide) accept(f *flow) string {
	c := e.h.Accept(e.listener)
	if c == nil {
		return "EAGAIN"
	}
	n := int(c.RemoteAddr().Port()) - peerPort
	e.socks[n] = &sock{c: c}
	e.preparing(e.socks[n])
	return "flow " + strconv.Itoa(n)
}

func (e *engineSide) callConn(s *sock, f *flow, st *step) string {
	c := s.c
	if s.closed {
		return "EBADF"
	}
	switch st.verb {
	case "read":
		return e.read(s, st.num(0))
	case "write", "urgent":
		return e.write(s, f, st)
	case "shutdown":
		if c.State() == tcp.Closed || c.State() == tcp.TimeWait {
			return "ENOTCONN"
		}
		how := st.arg(0)
		e.h.Shutdown(c, how != "w", how != "r")
		return "ok"
	case "close":
		s.closed = true
		if s.linger0 {
			e.h.Abort(c)
		} else {
			e.h.Close(c)
		}
		return "ok"
	case "set":
		e.set(s, st)
		return "ok"
	case "error":
		err := reasons[c.Err()]
		if s.errorSeen || c.State() != tcp.Closed {
			err = nil
		}
		s.errorSeen = s.errorSeen || err != nil
		if err == nil {
			err = reasons[c.SoftErr()]
		}
		return errnoName(err)
	case "state":
		if st := e.h.State(c); st != tcp.TimeWait {
			return st.String()
		}
		return tcp.Closed.String()
	}
	return "no such call"
}

func (e *engineSide) read(s *sock, n int) string {
	c := s.c
	switch {
	case c.Buffered() > 0:
		b := make([]byte, n)
		k, _ := e.h.Read(c, b)
		return readResult(b[:k])
	case s.ended || c.EOF() && c.Err() == tcp.ReasonNone:
		s.ended = true
		return "EOF"
	case c.State() == tcp.Closed:
		s.ended = true
		if err := reasons[c.Err()]; err != nil && !s.errorSeen {
			s.errorSeen = true
			return errnoName(err)
		}
		return "EOF"
	}
	return "EAGAIN"
}

func (e *engineSide) write(s *sock, f *flow, st *step) string {
	c := s.c
	if c.Room() == 0 {
		if c.Writable() {
			if err := reasons[c.Err()]; err != nil && c.State() == tcp.Closed && !s.errorSeen && !s.ended {
				s.errorSeen = true
				return errnoName(err)
			}
			return "EPIPE"
		}
		return "EAGAIN"
	}
	b := f.pattern(st.num(0))
	if st.verb == "urgent" {
		e.h.WriteUrgent(c, b)
		return strconv.Itoa(len(b))
	}
	if c.State() == tcp.SynSent { // a Host has no connection there that could be written to
		return "EAGAIN"
	}
	n := 0
	if r, ok := c.Spare(); ok { // small writes share a buffer, as a Host's do
		n = copy(r.B[:min(len(r.B), c.Room())], b)
		r.B = r.B[:n]
		c.Queue(e.h.Now(), r)
	}
	return strconv.Itoa(n + e.h.Write(c, b[n:]))
}

func (e *engineSide) set(s *sock, st *step) {
	o := &s.opts
	switch st.arg(0) {
	case "nodelay":
		o.NoDelay = st.num(1) != 0
	case "keepalive":
		o.KeepAlive = st.num(1) != 0
		o.KeepIdle = time.Duration(st.num(1)) * time.Second
		o.KeepInterval = time.Duration(st.num(2)) * time.Second
		o.KeepCount = st.num(3)
	case "usertimeout":
		o.UserTimeout = time.Duration(st.num(1)) * time.Millisecond
	case "tos":
		o.TOS = uint8(st.num(1))
	case "ttl":
		o.TTL = uint8(st.num(1))
	case "linger":
		s.linger0 = st.num(1) == 0
		return
	case "rcvbuf":
		s.c.SetBuffers(0, st.num(1))
		s.c.Touch()
		e.h.Flush()
		return
	case "sndbuf":
		s.c.SetBuffers(st.num(1), 0)
		return
	}
	e.h.SetOptions(s.c, *o)
}
