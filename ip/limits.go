package ip

import "time"

// Bounds on what one packet may ask for.
const (
	// MaxHeaders is how many extension headers an IPv6 packet may have. RFC
	// 8504 §5.3 lets a host limit them.
	MaxHeaders = 8
	// MaxOptions is how many options other than padding a hop-by-hop or
	// destination options header may hold. RFC 8504 §5.3.
	MaxOptions = 8
	// MaxPadding is how many bytes of padding may stand in a row. Padding only
	// aligns to 8, so more is a waste of the reader's time. RFC 8504 §5.3.
	MaxPadding = 7
	// MaxDatagram is the length of the longest datagram, in bytes: the length
	// fields have 16 bits.
	MaxDatagram = 65535
)

// Bounds on reassembly; the last four are defaults of [ReassemblyConfig].
const (
	// MaxFragments is how many fragments one datagram may come in.
	MaxFragments = 64
	// ReassemblyMemory is how many bytes all incomplete datagrams are charged
	// in sum: buffers and records.
	ReassemblyMemory = 4 << 20
	// ReassemblyShare is how much of that one source may hold, so that one
	// that floods evicts its own datagrams first.
	ReassemblyShare = ReassemblyMemory / 4
	// ReassemblyTimeout4 is how long the rest of an IPv4 datagram is waited for.
	//
	// Deviation: RFC 1122 §3.3.2 recommends 60 to 120 s; half a minute, as in
	// Linux, halves what a flood can hold, and ids of 16 bits repeat sooner
	// than that on fast paths (RFC 4963).
	ReassemblyTimeout4 = 30 * time.Second
	// ReassemblyTimeout6 is the same for IPv6. RFC 8200 §4.5.
	ReassemblyTimeout6 = 60 * time.Second
)

// Bounds on what is remembered about interfaces, routes and paths.
const (
	// MaxInterfaces is how many interfaces a Table holds.
	MaxInterfaces = 64
	// MaxAddresses is how many addresses an interface may have.
	MaxAddresses = 64
	// MaxGroups is how many multicast groups an interface may be a member of,
	// beside those that every host is.
	MaxGroups = 64
	// MaxRoutes is how many routes a Table holds. Lookup walks them, because a
	// host has few; connections keep the result.
	MaxRoutes = 1024
	// MaxPaths is how many destinations a PathMTU remembers.
	MaxPaths = 1024
	// PathMTUExpiry is for how long a smaller path MTU is believed. RFC 1191
	// §6.3 and RFC 8201 §4 recommend ten minutes.
	PathMTUExpiry = 10 * time.Minute
	// idCounters is how many counters for fragment identifications there are.
	idCounters = 1024
)

// MTUs in bytes.
const (
	// MinMTU4 is what every IPv4 link carries. RFC 791 §3.2.
	MinMTU4 = 68
	// MinMTU6 is what every IPv6 link carries. RFC 8200 §5.
	MinMTU6 = 1280
	// PathFloor4 is the lowest path MTU a message is believed to name, as in
	// Linux: a forged one shall not make every packet tiny.
	PathFloor4 = 552
)

// DefaultTTL is the TTL or hop limit of what we send. RFC 1122 §3.2.1.7, RFC
// 1700.
const DefaultTTL = 64
