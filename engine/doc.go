// Package engine is a host's worth of connections without the host: many
// tcp.TCBs with demultiplexing, the internet layer, listeners, UDP sockets,
// ephemeral ports and timers. It is single-threaded and deterministic: the
// caller brings packets, time and exclusion, and takes packets away.
//
//	Input     packets came in
//	Advance   the clock moved
//	Output    packets to send, until it yields none
//	Deadline  when must Advance be called next?
//	Ready     connections whose readiness changed
//
// A packet's way in: input.go, where its owner is found, then package tcp. Its way
// out: output.go. Connections are in conn.go, listeners with their half-open
// records in listener.go, TIME-WAIT records in timewait.go, UDP in udp.go,
// ICMP in icmp.go. harness.go drives an Engine from outside with raw packets.
package engine
