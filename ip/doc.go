// Package ip is the internet layer of a host, for both families: checks on
// what arrives, headers for what leaves, reassembly, fragmentation, routes,
// choice of a source address and the MTU of paths. It does not forward.
//
// Everything here is driven from one goroutine; time and randomness come in as
// parameters. A packet's way in: [Parse] looks at the header alone,
// [Table.CheckArrival] at who we are, and the [Reassembler] collects fragments.
// The way out: [Table.Lookup], [Table.SelectSource], [PutHeader], [PathMTU]
// and, only for datagrams that may be cut, [Fragment].
//
// Read in this order: reason.go, datagram.go, parse4.go, parse6.go, table.go,
// source.go, output.go, fragment.go, reassembly.go, pathmtu.go.
//
// Deviation: source routes are neither followed, offered nor reversed (RFC 9293
// MUST-51 to MUST-53, SHLD-24; RFC 1122 §3.2.1.8 d). They let a stranger choose
// the way back, and today's networks drop them; datagrams that carry one are
// dropped here too, with a counter of their own.
package ip
