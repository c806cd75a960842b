package ip

// Reason says why a packet was dropped; ReasonNone that it was not. Whoever
// drops counts, in an array of NumReasons counters.
type Reason uint8

// The reasons for which packets are dropped.
const (
	ReasonNone Reason = iota
	ReasonShort
	ReasonVersion
	ReasonHeaderLength
	ReasonLength
	ReasonChecksum
	ReasonSource
	ReasonDestination
	ReasonLoopback
	ReasonOwnSource
	ReasonNotLocal
	ReasonOption
	ReasonSourceRoute
	ReasonUnknownOption
	ReasonOptionCount
	ReasonHeaderCount
	ReasonHeaderOrder
	ReasonHeadersSplit
	ReasonRoutingHeader
	ReasonNoNextHeader
	ReasonProtocol
	ReasonFragmentLength
	ReasonFragmentRange
	ReasonFragmentTiny
	ReasonFragmentDuplicate
	ReasonFragmentOverlap
	ReasonFragmentCount
	ReasonFragmentMemory
	ReasonFragmentECN
	ReasonTooLong
	ReasonTooBig

	// NumReasons is not a reason: how many there are.
	NumReasons
)

// reasons holds the name of each reason, for counters, and what it means.
var reasons = [NumReasons]struct{ name, meaning string }{
	ReasonNone:              {"ip_accepted", "nothing is wrong"},
	ReasonShort:             {"ip_short", "the packet ends within the fixed header"},
	ReasonVersion:           {"ip_bad_version", "the version is neither 4 nor 6"},
	ReasonHeaderLength:      {"ip_bad_header_length", "the length of a header is impossible or beyond the packet"},
	ReasonLength:            {"ip_bad_length", "the length field is beyond the packet or below the header"},
	ReasonChecksum:          {"ip_bad_checksum", "the IPv4 header checksum is wrong"},
	ReasonSource:            {"ip_bad_source", "the source is not the address of one host"},
	ReasonDestination:       {"ip_bad_destination", "the destination is an address nobody can have"},
	ReasonLoopback:          {"ip_loopback_from_outside", "a loopback address came over a real link"},
	ReasonOwnSource:         {"ip_own_source", "a packet from outside names our own address as its source"},
	ReasonNotLocal:          {"ip_not_for_us", "the destination is none of our addresses, groups or broadcasts"},
	ReasonOption:            {"ip_bad_option", "an option has an impossible length"},
	ReasonSourceRoute:       {"ip_source_route", "an IPv4 source route, which is refused on principle"},
	ReasonUnknownOption:     {"ip_unknown_option", "an unknown IPv6 option whose type demands to drop the packet"},
	ReasonOptionCount:       {"ip_too_many_options", "more options or padding than a sane header has"},
	ReasonHeaderCount:       {"ip_too_many_headers", "more extension headers than a sane packet has"},
	ReasonHeaderOrder:       {"ip_header_order", "hop-by-hop options not first, or a second fragment header"},
	ReasonHeadersSplit:      {"ip_headers_split", "the headers do not lie in one piece of memory"},
	ReasonRoutingHeader:     {"ip_routing_header", "a routing header with segments left; we are a host"},
	ReasonNoNextHeader:      {"ip_no_next_header", "nothing follows the headers"},
	ReasonProtocol:          {"ip_unknown_protocol", "no such upper layer protocol here"},
	ReasonFragmentLength:    {"ip_fragment_length", "a fragment is empty, or not the last and no multiple of 8 bytes"},
	ReasonFragmentRange:     {"ip_fragment_range", "a fragment reaches beyond the longest datagram"},
	ReasonFragmentTiny:      {"ip_fragment_tiny", "the first fragment does not hold all headers"},
	ReasonFragmentDuplicate: {"ip_fragment_duplicate", "the same fragment again"},
	ReasonFragmentOverlap:   {"ip_fragment_overlap", "fragments overlap or disagree about the length; all of the datagram is dropped"},
	ReasonFragmentCount:     {"ip_fragment_count", "a datagram in too many fragments"},
	ReasonFragmentMemory:    {"ip_fragment_memory", "no room left for fragments"},
	ReasonFragmentECN:       {"ip_fragment_ecn", "congestion marked on fragments that cannot all carry it"},
	ReasonTooLong:           {"ip_too_long", "more bytes to send than a length field can say"},
	ReasonTooBig:            {"ip_too_big", "larger than the MTU and not to be fragmented"},
}

// String returns the name of the reason's counter, such as "ip_bad_checksum".
func (r Reason) String() string {
	if r >= NumReasons {
		return "ip_reason_unknown"
	}
	return reasons[r].name
}

// Explain returns the reason in a few words for people.
func (r Reason) Explain() string {
	if r >= NumReasons {
		return "no such reason"
	}
	return reasons[r].meaning
}
