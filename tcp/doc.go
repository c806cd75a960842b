// Package tcp is the Transmission Control Protocol of RFC 9293 as a plain
// struct: no goroutine, lock, channel, clock, device or IP header. A TCB is
// driven by four verbs,
//
//	Arrive   a segment came in
//	Advance  the clock moved
//	Emit     what is due to be sent? (until it says no, after any other call)
//	Deadline when must Advance be called next?
//
// and by the user calls of RFC 9293 §3.10.1 to §3.10.6 (Open, Accept, Queue,
// Take, Consumed, Shutdown, Close, Abort), none of which blocks.
//
// Reading order: seq.go and segment.go (the words), state.go (the state
// machine as a table), tcb.go (the sequence spaces), arrive.go and
// arrive_sync.go (RFC 9293 §3.10.7, step by step), ack.go, emit.go (what is
// sent, and why), timers.go. Records that exist before and after a TCB are in
// halfopen.go and timewait.go; reset.go answers for connections that do not
// exist.
package tcp
