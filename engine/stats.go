package engine

import (
	"github.com/handfast/handfast/ip"
	"github.com/handfast/handfast/tcp"
)

// Counter numbers something that is counted.
type Counter uint8

// The counters. Each has a name and an explanation in counterTable.
const (
	InPackets Counter = iota
	OutPackets
	NoInterface
	NoRoute
	TCPShort
	TCPBadChecksum
	TCPBadOptions
	TCPMulticast
	TCPLand
	TCPNoConnection
	TCPResetsSent
	TCPResetsLimited
	TCPActiveOpens
	TCPPassiveOpens
	TCPRefused
	TCPMarked
	TCPAgreedECN
	TCPReducedForMarks
	TCPMTUProbes
	TCPPathsFound
	TCPBlackHoles
	ListenDropped
	ListenOverflow
	ListenHalfOpenOverflow
	HalfOpenOverflow
	HalfOpenTimeout
	HalfOpenReset
	HalfOpenContradicted
	SYNACKsSent
	SYNCookiesSent
	SYNCookiesAccepted
	SYNCookiesRefused
	FastOpenCookieRequests
	FastOpenPassive
	FastOpenRefusals
	FastOpenRenewals
	FastOpenOverflow
	FastOpenActive
	FastOpenActiveRefused
	FastOpenBlackHoles
	ConnectionsOverflow
	PeerOverflow
	OrphansOverflow
	MemoryPressure
	MemoryHard
	MemoryPruned
	MemoryOutOfOrderDropped
	MemoryInOrderDropped
	MemoryRefused
	MemoryOrphansReset
	MemoryStalledReset
	TimeWaitOverflow
	TimeWaitReused
	TimeWaitACKs
	UDPShort
	UDPBadChecksum
	UDPNoChecksum
	UDPNoSocket
	UDPQueueFull
	UDPIn
	UDPOut
	ICMPShort
	ICMPBadChecksum
	ICMPEchoes
	ICMPErrorsIn
	ICMPErrorsForged
	ICMPTooBigDoubted
	ICMPErrorsSent
	ICMPErrorsLimited
	ICMPUnknown
	ICMPSourceQuench
	NumCounters
)

// counterTable names and explains the counters.
var counterTable = [NumCounters]struct{ name, help string }{
	InPackets:              {"in_packets", "packets that were handed in; a super-segment is one"},
	OutPackets:             {"out_packets", "packets that were handed out; a super-segment is one"},
	NoInterface:            {"no_interface", "dropped: came by an interface that is not there"},
	NoRoute:                {"no_route", "not sent: no route to the destination"},
	TCPShort:               {"tcp_short", "dropped: TCP header is cut off or its length lies"},
	TCPBadChecksum:         {"tcp_bad_checksum", "dropped: TCP checksum is wrong (RFC 9293 §3.1)"},
	TCPBadOptions:          {"tcp_bad_options", "an option had an illegal length; parsing stopped there and the segment was used"},
	TCPMulticast:           {"tcp_multicast", "dropped: a segment to or from an address that is not one host's (RFC 9293 §3.9.2.3)"},
	TCPLand:                {"tcp_land", "dropped: source and destination are the same, from outside"},
	TCPNoConnection:        {"tcp_no_connection", "segments for no connection and no listener"},
	TCPResetsSent:          {"tcp_resets_sent", "resets sent for segments of no connection, or that no connection accepts"},
	TCPResetsLimited:       {"tcp_resets_limited", "resets not sent because too many were due"},
	TCPActiveOpens:         {"tcp_active_opens", "connections begun by us"},
	TCPPassiveOpens:        {"tcp_passive_opens", "connections established from a listener"},
	TCPRefused:             {"tcp_refused", "connections of ours that ended before they were established"},
	TCPMarked:              {"tcp_marked", "segments that arrived with Congestion Experienced; a super-segment is one (RFC 3168)"},
	TCPAgreedECN:           {"tcp_agreed_ecn", "connections whose ends agreed to use ECN or AccECN (RFC 3168, RFC 9768)"},
	TCPReducedForMarks:     {"tcp_reduced_for_marks", "times that a window was reduced because of congestion marks (RFC 3168 §6.1.2)"},
	TCPMTUProbes:           {"tcp_mtu_probes", "segments larger than others that were sent to find the path's MTU (RFC 4821)"},
	TCPPathsFound:          {"tcp_paths_found", "times that probing found out how large packets to a peer may be (RFC 4821 §7)"},
	TCPBlackHoles:          {"tcp_black_holes", "times that full-sized segments timed out so often that smaller ones were tried (RFC 4821 §7.7)"},
	ListenDropped:          {"listen_dropped", "dropped: a segment that LISTEN has no use for"},
	ListenOverflow:         {"listen_overflow", "dropped: the queue of completed handshakes is full"},
	ListenHalfOpenOverflow: {"listen_half_open_overflow", "SYNs when the listener's half-open records are used up; cookies answer"},
	HalfOpenOverflow:       {"half_open_overflow", "SYNs when all half-open records are used up; cookies answer"},
	HalfOpenTimeout:        {"half_open_timeout", "half-open records given up after the last SYN-ACK"},
	HalfOpenReset:          {"half_open_reset", "half-open records ended by a RST or SYN of the peer"},
	HalfOpenContradicted:   {"half_open_contradicted", "half-open records ended because SYNs of one handshake asked for RFC 3168 and for AccECN (RFC 9768 §3.1.5)"},
	SYNACKsSent:            {"syn_acks_sent", "SYN-ACKs sent from half-open records, repeated ones included"},
	SYNCookiesSent:         {"syn_cookies_sent", "SYN-ACKs sent without a record (RFC 4987 §3.6)"},
	SYNCookiesAccepted:     {"syn_cookies_accepted", "connections established from a cookie"},
	SYNCookiesRefused:      {"syn_cookies_refused", "ACKs that acknowledge no cookie of ours while cookies are out"},
	FastOpenCookieRequests: {"fast_open_cookie_requests", "SYNs that asked a listener for a Fast Open cookie (RFC 7413)"},
	FastOpenPassive:        {"fast_open_passive", "connections opened by a SYN whose data was taken"},
	FastOpenRefusals:       {"fast_open_refusals", "SYNs whose Fast Open cookie was not good; their data was not taken"},
	FastOpenRenewals:       {"fast_open_renewals", "SYNs whose cookie was of the backup key, and was replaced"},
	FastOpenOverflow:       {"fast_open_overflow", "plain handshakes instead of Fast Open because too many were pending"},
	FastOpenActive:         {"fast_open_active", "connections of ours whose SYN had its data acknowledged"},
	FastOpenActiveRefused:  {"fast_open_active_refused", "connections of ours whose data on the SYN had to be sent again"},
	FastOpenBlackHoles:     {"fast_open_black_holes", "paths that swallowed all of a connection with Fast Open"},
	ConnectionsOverflow:    {"connections_overflow", "refused: all connections are used up"},
	PeerOverflow:           {"peer_overflow", "refused: the peer has all the connections one may have"},
	OrphansOverflow:        {"orphans_overflow", "reset: too many closed connections still had something to send"},
	TimeWaitOverflow:       {"time_wait_overflow", "TIME-WAIT records that gave way to newer ones"},
	TimeWaitReused:         {"time_wait_reused", "TIME-WAIT records ended by a new incarnation (RFC 6191)"},
	TimeWaitACKs:           {"time_wait_acks", "segments answered in TIME-WAIT"},
	UDPShort:               {"udp_short", "dropped: UDP header is cut off or its length lies"},
	UDPBadChecksum:         {"udp_bad_checksum", "dropped: UDP checksum is wrong"},
	UDPNoChecksum:          {"udp_no_checksum", "dropped: UDP over IPv6 without a checksum (RFC 8200 §8.1)"},
	UDPNoSocket:            {"udp_no_socket", "datagrams for a port that nobody has"},
	UDPQueueFull:           {"udp_queue_full", "dropped: the socket's queue is full"},
	UDPIn:                  {"udp_in", "datagrams delivered to sockets"},
	UDPOut:                 {"udp_out", "datagrams sent"},
	ICMPShort:              {"icmp_short", "dropped: ICMP message is cut off"},
	ICMPBadChecksum:        {"icmp_bad_checksum", "dropped: ICMP checksum is wrong"},
	ICMPEchoes:             {"icmp_echoes", "echo requests answered"},
	ICMPErrorsIn:           {"icmp_errors_in", "ICMP errors handed to what they concern"},
	ICMPErrorsForged:       {"icmp_errors_forged", "ICMP errors that quote nothing we sent"},
	ICMPTooBigDoubted:      {"icmp_too_big_doubted", "messages about the path's MTU that name more than was sent, or less than has arrived before (RFC 5927 §7.2)"},
	ICMPErrorsSent:         {"icmp_errors_sent", "ICMP errors sent"},
	ICMPErrorsLimited:      {"icmp_errors_limited", "ICMP errors not sent because too many were due"},
	ICMPUnknown:            {"icmp_unknown", "ICMP messages of no use to a host"},
	ICMPSourceQuench:       {"icmp_source_quench", "Source Quench, silently discarded (RFC 9293 §3.9.2.2)"},

	MemoryPressure:          {"memory_pressure", "times that the memory of all queues left its normal level"},
	MemoryHard:              {"memory_hard", "times that it reached the hard level"},
	MemoryPruned:            {"memory_pruned", "ranges out of order given up to save memory"},
	MemoryOutOfOrderDropped: {"memory_out_of_order_dropped", "dropped: segments out of order, memory is short"},
	MemoryInOrderDropped:    {"memory_in_order_dropped", "dropped: segments in order, memory is short and bytes wait to be read"},
	MemoryRefused:           {"memory_refused", "refused: connections, memory is short"},
	MemoryOrphansReset:      {"memory_orphans_reset", "reset: closed connections with something to send, memory is short"},
	MemoryStalledReset:      {"memory_stalled_reset", "reset: connections whose peers keep their windows closed, memory is short (RFC 6429)"},
}

// countECN counts what a connection tells of ECN.
func (e *Engine) countECN(events tcp.Events) {
	if events&tcp.EventECN != 0 {
		e.stats.Count[TCPAgreedECN]++
	}
	if events&tcp.EventMarked != 0 {
		e.stats.Count[TCPReducedForMarks]++
	}
}

// String returns the counter's name.
func (c Counter) String() string { return counterTable[c].name }

// Help explains the counter in a sentence.
func (c Counter) Help() string { return counterTable[c].help }

// Stats is a snapshot of all counters, those of the internet layer by the
// reason it dropped something for.
type Stats struct {
	Count [NumCounters]uint64
	IP    [ip.NumReasons]uint64
	// What exists now.
	Connections, HalfOpen, TimeWait, Listeners, UDPSockets int
	Memory                                                 MemoryStats
}

// Each calls f for every counter with its name and explanation.
func (s *Stats) Each(f func(name, help string, n uint64)) {
	for i, n := range s.Count {
		f(counterTable[i].name, counterTable[i].help, n)
	}
	for i, n := range s.IP {
		if r := ip.Reason(i); r != ip.ReasonNone {
			f(r.String(), r.Explain(), n)
		}
	}
}

// Stats fills in a snapshot.
func (e *Engine) Stats(s *Stats) {
	*s = e.stats
	s.Connections, s.HalfOpen, s.TimeWait = e.conns.len(), e.half.len(), e.tw.len()
	s.Listeners, s.UDPSockets = len(e.listeners), e.udpCount
	e.memoryStats(s)
}
