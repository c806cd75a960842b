package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/handfast/handfast/netem"
	"github.com/handfast/handfast/tcp"
)

// Class is a set of classes of faults.
type Class uint16

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
	AllFaults Class = 1<<iota - 1
)

var classNames = [...]string{"loss", "burst", "reorder", "duplicate", "corrupt", "jitter", "slow", "partition", "crash", "batch", "change", "narrow"}

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

// Scenario is a World as data: two hosts, a wire, connections between them, and
// what goes wrong. Run makes it happen. It prints as text that says all of it.
type Scenario struct {
	Seed   uint64
	Faults Class // classes that are on
	Hosts  [2]HostSpec
	Wire   [2]netem.Config // from host 0, from host 1
	Conns  []ConnSpec
	Echoes []EchoSpec
	Events []FaultEvent
	// Length is when, counted from the beginning, everything is repaired.
	Length time.Duration
}

// HostSpec is a host of a Scenario.
type HostSpec struct {
	Profile       tcp.Profile
	SendBuffer    uint32
	ReceiveBuffer uint32
	WindowScale   uint8
	NoWindowScale bool
	NoTimestamps  bool
	NoSACK        bool
	Nagle         bool
	MTU, MaxGSO   int
	Coalesce      time.Duration
	TimerSlack    time.Duration
	Backlog       int           // of its listeners; 0: the largest
	AcceptDelay   time.Duration // how long its listeners' programs let connections wait
}

// ConnSpec is a connection of a Scenario.
type ConnSpec struct {
	From         int // the host that dials
	V6           bool
	Start        time.Duration
	Simultaneous bool // both dial at Start
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
	Size  int // bytes of payload; beyond the MTU they travel in fragments
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
	Host int          // Crash, Restart; the sending side of PartitionOneWay, Alter
	Wire netem.Config // Alter
}

// FaultKind is a kind of FaultEvent.
type FaultKind uint8

// The kinds of FaultEvents.
const (
	Cut       FaultKind = iota // the wire, both ways
	CutOneWay                  // the wire, as Host sends
	Heal                       // the wire
	PowerOff                   // Host
	PowerOn                    // Host
	Alter                      // the wire as Host sends
	Deaf                       // Host closes its listeners
	Listens                    // Host listens again
)

var faultNames = [...]string{"cut", "cut one way", "heal", "power off", "power on", "alter", "deaf", "listens"}

// String names the kind.
func (k FaultKind) String() string { return faultNames[k] }

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
		h := s.Hosts[i]
		fmt.Fprintf(&b, "host %d: %+v\n  sends: %v\n", i, h, s.Wire[i])
	}
	for i := range s.Conns {
		c := &s.Conns[i]
		fmt.Fprintf(&b, "connection %d: from host %d at %v ports %v v6 %t simultaneous %t near wrap %d of end %d\n",
			i, c.From, c.Start, c.Ports, c.V6, c.Simultaneous, c.NearWrap, c.WrapEnd)
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
		if e.Kind == Alter {
			fmt.Fprintf(&b, ": %v", e.Wire)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Without returns the scenario with classes of faults switched off, and nothing
// else changed.
func (s *Scenario) Without(c Class) Scenario {
	t := *s
	t.Faults &^= c
	for i := range t.Wire {
		t.Wire[i] = without(t.Wire[i], c)
		if c&Batch != 0 {
			t.Hosts[i].Coalesce, t.Hosts[i].TimerSlack = 0, 0
		}
	}
	t.Events = nil
	for _, e := range s.Events {
		switch {
		case c&Partition != 0 && e.Kind <= Heal, c&Crash != 0 && e.Kind != Alter && e.Kind > Heal,
			c&Change != 0 && e.Kind == Alter && e.Wire.MTU == 0, c&Narrow != 0 && e.Kind == Alter && e.Wire.MTU != 0:
		default:
			e.Wire = without(e.Wire, c)
			t.Events = append(t.Events, e)
		}
	}
	return t
}

func without(n netem.Config, c Class) netem.Config {
	if c&Loss != 0 {
		n.Loss = 0
	}
	if c&Burst != 0 {
		n.Burst = netem.Burst{}
	}
	if c&Reorder != 0 {
		n.Reorder, n.MinHold, n.MaxHold = 0, 0, 0
	}
	if c&Duplicate != 0 {
		n.Duplicate = 0
	}
	if c&Corrupt != 0 {
		n.Corrupt = 0
	}
	if c&Jitter != 0 {
		n.Jitter, n.Unordered = 0, false
	}
	if c&Narrow != 0 {
		n.MTU = 0
	}
	if c&Slow != 0 {
		n.Rate, n.QueueBytes, n.QueuePackets = 0, 0, 0
	}
	return n
}
