package sim

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// Class is a set of classes of faults.
type Class uint32

// The classes of faults that a Scenario may have.
const (
	Loss      Class = 1 << iota // packets lost one by one
	Burst                       // packets lost in runs
	Reorder                     // packets held back
	Duplicate                   // packets that come twice
	Corrupt                     // a bit flipped
	Jitter                      // delays that vary
	Slow                        // a narrow wire with a short queue
	Partition                   // wires cut for a while, one or both ways
	Crash                       // hosts lose power and start again, or close their listeners for a while
	Batch                       // packets handed over late and together, late timers
	Change                      // delay and loss change on the way
	Narrow                      // the path's MTU falls, and ICMP says so
	ACKs                        // ACKs that wait, that are gathered, of which few pass
	Marks                       // congestion marks, at random and above a length of the queue
	Rates                       // the wire becomes up to ten times slower and faster
	Device                      // the MTU of a host's device changes
	Police                      // a token bucket
	Middlebox                   // options stripped, ECN and reserved bits cleared
	Sleep                       // hosts suspended for a while: their clock jumps
	Crossing                    // two or four more hosts talk over the same wire
	Scarce                      // hosts with little memory for the queues of all connections
	BlackHole                   // packets above a size vanish, and nothing says so
	AllFaults Class = 1<<iota - 1
)

var classNames = [...]string{"loss", "burst", "reorder", "duplicate", "corrupt", "jitter", "slow", "partition", "crash", "batch",
	"change", "narrow", "acks", "marks", "rates", "device", "police", "middlebox", "sleep", "crossing", "scarce", "black hole"}

// Classes is how many classes there are.
const Classes = len(classNames)

// String lists the classes, "none" if there is none.
func (c Class) String() string {
	var s []string
	for i, n := range classNames {
		if c>>i&1 != 0 {
			s = append(s, n)
		}
	}
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ",")
}

// index is the place of a single class.
func (c Class) index() int { return bits.TrailingZeros32(uint32(c)) }

// Name returns the name of the class whose bit is the i-th, 0 <= i < Classes.
func Name(i int) string { return classNames[i] }

// Scenario is a World as data: two hosts, a wire, connections between them, and
// what goes wrong. Run makes it happen. It prints as text that says all of it.
type Scenario struct {
	Seed   uint64
	Faults Class // classes that are on
	Hosts  [2]HostSpec
	Wire   [2]netem.Config // from host 0, from host 1
	Box    [2]Box          // where host 0 sends, where host 1 does
	Conns  []ConnSpec
	Echoes []EchoSpec
	Events []FaultEvent
	// Length is when, counted from the beginning, everything is repaired.
	Length time.Duration
}

// HostSpec is a host of a Scenario.
type HostSpec struct {
	TCP         tcp.Config
	MTU, MaxGSO int
	Coalesce    time.Duration
	MaxGRO      int
	Memory      int // engine.Limits.MemoryBytes
	TimerSlack  time.Duration
	Backlog     int           // of its listeners; 0: the largest
	AcceptDelay time.Duration // how long its listeners' programs let connections wait
}

// MaxPairs bounds the pairs of hosts of a Scenario.
const MaxPairs = 3

// ConnSpec is a connection of a Scenario.
type ConnSpec struct {
	From int // the host that dials
	// Pair, below MaxPairs, is which pair of hosts it is between. Those beyond
	// the first pair are like the first two, have no faults of their own, and
	// share the wire.
	Pair         int
	V6           bool
	Start        time.Duration
	Simultaneous bool // both dial at Start
	FastOpen     bool // who dials asks for RFC 7413, and writes at once if it writes early
	FastOpenWait bool // and its SYN waits for data
	// Ports are numbers for the ports of who dials and who listens: connections
	// with the same one share the listener, and with both the same the second
	// is an incarnation of the first, opened as soon as that is allowed.
	Ports [2]int
	// NearWrap, if not 0, is about how many bytes before the end of the
	// sequence space the initial sequence number of end WrapEnd shall be, for
	// the first connection of a Scenario.
	NearWrap, WrapEnd int
	Ends              [2]EndSpec // who dials, who listens
}

// EndSpec is what the program at one end of a connection does.
type EndSpec struct {
	Steps       []StepSpec
	Read        ReadSpec
	Finish      Finish
	FinishAt    time.Duration // not before this, counted from the beginning
	NoDelay     bool
	Early       bool // writes before the connection is established
	Spare       bool // small writes share a buffer
	Keepalive   time.Duration
	UserTimeout time.Duration
	Patience    time.Duration // a dial that has not succeeded by then is closed; 0: never
}

// StepSpec is one thing that a program writes.
type StepSpec struct {
	After  uint64        // bytes that must have been read before
	Delay  time.Duration // to wait then
	Write  uint64        // bytes
	Piece  int           // bytes given to the connection at once
	Urgent bool          // the last byte ends urgent data
}

// ReadSpec is how a program reads.
type ReadSpec struct {
	Max      int           // bytes at once; 0: all there is
	Gap      time.Duration // between two reads
	StallAt  uint64        // bytes after which it stops
	StallFor time.Duration // for how long
	ShutAt   uint64        // bytes after which it shuts down reading; 0: never
}

// EchoSpec is datagrams that a program sends over UDP and another sends back.
type EchoSpec struct {
	From  int // the host that begins
	V6    bool
	Start time.Duration
	Gap   time.Duration
	Count int
	Size  int   // bytes of payload; beyond the MTU they travel in fragments
	ECN   uint8 // the ECN field that both sides set: 0, or 1 and 2 for a transport that takes marks
}

// Finish is how a program ends its connection.
type Finish uint8

// The ways to end a connection.
const (
	HalfClose   Finish = iota // SHUTDOWN when all is written, CLOSE when all is read
	CloseAtEOF                // CLOSE when the peer has closed and all is written
	CloseAtOnce               // CLOSE when all is written and all that is known to come is read
	CloseEarly                // CLOSE when all is written, whatever is still to come
	AbortAtEnd                // ABORT when all is written
)

var finishNames = [...]string{"half-close", "close at EOF", "close at once", "close early", "abort"}

// String describes the way.
func (f Finish) String() string { return finishNames[f] }

// FaultEvent is something that goes wrong at an instant, counted from the
// beginning.
type FaultEvent struct {
	At   time.Duration
	Kind FaultKind
	Host int          // which, or the one that sends
	Wire netem.Config // Alter
	N    int          // what Kind says
}

// FaultKind is a kind of FaultEvent.
type FaultKind uint8

// The kinds of FaultEvents.
const (
	Cut        FaultKind = iota // the wire, both ways
	CutOneWay                   // the wire, as Host sends
	Heal                        // the wire
	PowerOff                    // Host
	PowerOn                     // Host
	Deaf                        // Host closes its listeners
	Listens                     // Host listens again
	Alter                       // the wire as Host sends
	Slower                      // N times, as Host sends
	Faster                      // N times, as Host sends
	Resize                      // the MTU of Host's device is N
	Swallow                     // packets of more than N bytes that Host sends vanish; 0: none
	FallAsleep                  // Host, whose device holds N packets
	WakeUp                      // Host; N is 1 if timers come before packets
)

var faultNames = [...]string{"cut", "cut one way", "heal", "power off", "power on", "deaf", "listens", "alter",
	"slower", "faster", "resize", "swallow", "fall asleep", "wake up"}

// String names the kind.
func (k FaultKind) String() string { return faultNames[k] }

// class is the class of faults that an event belongs to.
func (e *FaultEvent) class() Class {
	switch {
	case e.Kind <= Heal:
		return Partition
	case e.Kind <= Listens:
		return Crash
	case e.Kind == Alter && e.Wire.MTU == 0:
		return Change
	case e.Kind == Alter:
		return Narrow
	case e.Kind <= Faster:
		return Rates
	case e.Kind == Resize:
		return Device
	case e.Kind == Swallow:
		return BlackHole
	}
	return Sleep
}

// total is how many bytes an end writes.
func (e *EndSpec) total() (n uint64) {
	for i := range e.Steps {
		n += e.Steps[i].Write
	}
	return n
}

// String prints the whole scenario.
func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, faults %v, repaired after %v\n", s.Seed, s.Faults, s.Length)
	for i := range s.Hosts {
		h := &s.Hosts[i]
		fmt.Fprintf(&b, "host %d: MTU %d GSO %d coalesce %v GRO %d memory %d slack %v backlog %d accepts after %v\n  TCP: %s\n  sends: %v\n",
			i, h.MTU, h.MaxGSO, h.Coalesce, h.MaxGRO, h.Memory, h.TimerSlack, h.Backlog, h.AcceptDelay, settings(&h.TCP), s.Wire[i])
		if s.Box[i] != (Box{}) {
			fmt.Fprintf(&b, "  box: %+v\n", s.Box[i])
		}
	}
	for i := range s.Conns {
		c := &s.Conns[i]
		fmt.Fprintf(&b, "connection %d: pair %d from host %d at %v ports %v v6 %t simultaneous %t fast open %t,%t near wrap %d of end %d\n",
			i, c.Pair, c.From, c.Start, c.Ports, c.V6, c.Simultaneous, c.FastOpen, c.FastOpenWait, c.NearWrap, c.WrapEnd)
		for j := range c.Ends {
			e := &c.Ends[j]
			fmt.Fprintf(&b, "  end %d: read %+v, %v (from %v on), nodelay %t early %t spare %t keepalive %v user timeout %v patience %v\n",
				j, e.Read, e.Finish, e.FinishAt, e.NoDelay, e.Early, e.Spare, e.Keepalive, e.UserTimeout, e.Patience)
			for _, t := range e.Steps {
				fmt.Fprintf(&b, "    %+v\n", t)
			}
		}
	}
	for _, e := range s.Echoes {
		fmt.Fprintf(&b, "datagrams: %+v\n", e)
	}
	for _, e := range s.Events {
		fmt.Fprintf(&b, "at %v: %v, host %d", e.At, e.Kind, e.Host)
		switch {
		case e.Kind == Alter:
			fmt.Fprintf(&b, ": %v", e.Wire)
		case e.Kind > Alter:
			fmt.Fprintf(&b, " (%d)", e.N)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
