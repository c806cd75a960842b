// Package differential plays the same exchanges to the Linux kernel and to our
// Engine and compares what a peer on the wire, and a program, sees of both. It
// has tests only.
//
// A script is a list of lines. A line that begins with "<" is a segment that
// the peer sends, in the notation of wire.Script with numbers relative to both
// sides' initial ones; any other line is a call of the program on the side
// under test, a message of ICMP, a setting, or a wait. What the side under test
// sends is not in the script: it is recorded on both sides and compared.
//
// The kernel is played to first, in real time, by way of a TUN device in a
// network namespace of its own; then the Engine, in virtual time, with the same
// packets at the same instants. A difference fails the test unless
// testdata/explained.txt names an explanation for it, one of those of
// docs/linux.md; so does an explanation of what does not differ.
//
//	go test ./internal/differential -write   brings explained.txt up to date
package differential
