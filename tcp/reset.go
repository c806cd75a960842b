package tcp

import "github.com/handfast/handfast/wire"

// ResetFor fills out with the answer to a segment for a connection that does
// not exist, RFC 9293 §3.10.7.1. It reports false when there must be none.
func ResetFor(in, out *Segment) bool {
	if in.Has(wire.FlagRST) {
		return false
	}
	out.Reset()
	if in.Has(wire.FlagACK) {
		out.SEQ, out.Flags = in.ACK, wire.FlagRST
	} else {
		out.ACK, out.Flags = in.SEQ+Seq(in.LEN()), wire.FlagRST|wire.FlagACK
	}
	return true
}
