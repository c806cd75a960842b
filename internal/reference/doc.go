// Package reference is RFC 9293 section 3.10.7, "SEGMENT ARRIVES", as one pure
// function: what an endpoint in one of the eleven states must do with one
// arriving segment.
//
// It is written from the text of the RFC alone, one function per step of the
// text, and shares no code with the TCP of this module. Two readings of the same
// text that agree on every case of [Cases] are unlikely to be wrong in the same
// way; where they disagree, [Explain] says which rule this one followed.
//
// Reading order: types.go (what goes in and comes out), decisions.go (every
// place where the RFC leaves a choice or a later RFC decides), arrive.go
// (CLOSED, LISTEN, SYN-SENT), arrive_sync.go (the eight steps of section
// 3.10.7.4), rules.go (the table behind Explain), cases.go (the cases).
//
// What is left out, because it is not the outcome of a single segment: security
// and compartment (third step; RFC 9293 appendix A.1.2 lets others ignore it),
// options and so PAWS, the urgent pointer, timers other than 2 MSL, congestion
// control, and whatever is held back for later (text behind a gap, text or FIN
// on a SYN).
package reference
