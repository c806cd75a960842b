// Package wire holds the codecs of handfast: Ethernet, ARP, IPv4, IPv6, ICMP,
// neighbour discovery, UDP, TCP and its options, and the checksum they share.
//
// A header is a view: a slice of the packet's own bytes with accessors on it.
// Its Parse function checks every length once and cuts the slice to what the
// header itself says, so that accessors cannot fail. A Put function writes a
// header into room the caller provides; room that is too small is a mistake of
// the program and panics as any index out of range does, because it never
// depends on what came from the network.
//
// Nothing here keeps state, allocates or holds on to a slice: views and the
// slices that accessors return are the caller's bytes, valid as long as those
// are. Only String methods and ParseScript allocate. Numbers are in host order
// in Go and in network order in the bytes. Nothing blocks.
package wire
