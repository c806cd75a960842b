// Package icmp says when a host answers with an ICMP error and what it looks
// like, answers echoes, and reads the errors that others send: for IPv4 (RFC
// 792, RFC 1122 §3.2.2) and IPv6 (RFC 4443).
//
// An error goes out in three steps: [MayError] asks the rules, [Limiter.Allow]
// the budget, and [PutError] writes the message. An error that comes in goes
// through [ParseQuoted]; finding the connection and deciding whether the quote
// can be believed is the caller's.
//
// Everything is driven from one goroutine; time and randomness come in as
// parameters, and nothing allocates.
package icmp
