package differential

import "fmt"

// dup is a duplicate acknowledgement, with SACK blocks if any are given.
func dup(ack int, blocks string) string {
	if blocks != "" {
		blocks = " <sack " + blocks + ">"
	}
	return fmt.Sprintf("< . 1:1(0) ack %d%s\n", ack, blocks)
}

// flight is 10 segments sent, the acknowledgements 20 ms away.
func flight(opts string) string { return passive(opts) + "write 10000\nwait 20ms\n" }

func lossScripts() []source {
	var all []source
	add := func(name, text string) { all = append(all, source{"loss/" + name, text}) }
	for _, p := range lossPieces {
		add(p.name, p.text)
	}
	for _, p := range reassemblyPieces {
		all = append(all, source{"reassembly/" + p.name, passive(easy) + p.text + "wait 60ms\nread 10000\n"})
		all = append(all, source{"reassembly/timestamps/" + p.name, passive(full) + p.text + "wait 60ms\nread 10000\n"})
	}
	for _, p := range reassemblyPieces[:6] {
		all = append(all, source{"reassembly/plain/" + p.name, passive(plain) + p.text + "wait 60ms\nread 10000\n"})
	}
	return all
}

var lossPieces = []source{
	{"rto/one-segment", passive(easy) + "write 1000\nwait 700ms\n" + ackAt(1001) + "wait 20ms\nwrite 5000\nwait 10ms\n"},
	{"rto/two-segments", passive(easy) + "write 2000\nwait 700ms\n" + ackAt(2001) + "wait 20ms\n"},
	{"rto/small-segments-merge", passive(easy) + "set nodelay 1\nwrite 100\nwrite 100\nwrite 100\nwait 700ms\n" + ackAt(301) + "wait 20ms\n"},
	{"rto/backoff", passive(easy) + "write 1000\nwait 3500ms\n" + ackAt(1001) + "wait 20ms\n"},
	{"rto/partial-ack", flight(easy) + "wait 500ms\n" + ackAt(1001) + "wait 10ms\n" + ackAt(2001) + "wait 10ms\n" + ackAt(10001) + "wait 20ms\n"},
	{"rto/plain", passive(plain) + "write 10000\nwait 600ms\n" + ackAt(1001) + "wait 10ms\n" + ackAt(10001) + "wait 20ms\n"},
	{"rto/spurious-ack-of-all", flight(easy) + "wait 300ms\n" + ackAt(10001) + "write 25000\nwait 40ms\n"},
	{"rto/timestamps-spurious", passive(full) + "write 14480\nwait 300ms\n< . 1:1(0) ack 14481 <TS val 400 ecr 26>\nwrite 25000\nwait 40ms\n"},
	{"rto/gives-up", "knob retries2 2\n" + passive(easy) + "write 1000\nwait 4000ms\nread 10\nread 10\nwrite 10\nstate\n"},
	{"rto/orphan-gives-up", "knob retries2 1\n" + passive(easy) + "write 1000\nclose\nwait 2500ms\n" + ackAt(1001) + "wait 20ms\n"},
	{"rto/user-timeout", passive(easy) + "set usertimeout 500\nwrite 1000\nwait 1200ms\nread 10\nread 10\nstate\n"},
	{"tlp/two-segments", passive(easy) + "write 2000\nwait 20ms\n" + ackAt(1001) + "wait 150ms\n" + ackAt(2001) + "wait 20ms\n"},
	{"tlp/ten-segments", flight(easy) + ackAt(9001) + "wait 150ms\n" + ackAt(10001) + "wait 20ms\n"},
	{"tlp/new-data", passive(easy) + "write 1000\nwait 20ms\n" + ackAt(1001) + "< . 1:1(0) ack 1001 win 500\nwrite 3000\nwrite 500\nwait 150ms\n"},
	{"tlp/repaired-tail", flight(easy) + ackAt(8001) + "wait 100ms\n" + dup(8001, "9001:10001") + "wait 20ms\n" + ackAt(10001) + "wait 20ms\n"},
	{"tlp/dsack-shows-it-was-needless", flight(easy) + ackAt(9001) + "wait 100ms\n" + dup(10001, "9001:10001") + "write 25000\nwait 40ms\n"},
	{"tlp/then-rto", flight(easy) + ackAt(9001) + "wait 750ms\n" + ackAt(10001) + "wait 20ms\n"},
	{"tlp/plain", passive(plain) + "write 10000\nwait 20ms\n" + ackAt(9001) + "wait 150ms\n"},
	{"fast/three-duplicates", passive(plain) + "write 10000\nwait 20ms\n" + dup(1, "") + dup(1, "") + "wait 5ms\n" + dup(1, "") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"fast/duplicates-lend-window", passive(plain) + "write 20000\nwait 20ms\n" + dup(1, "") + dup(1, "") + dup(1, "") + dup(1, "") + dup(1, "") + dup(1, "") + dup(1, "") + dup(1, "") + dup(1, "") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"fast/partial-ack", passive(plain) + "write 10000\nwait 20ms\n" + dup(1, "") + dup(1, "") + dup(1, "") + "wait 10ms\n" + ackAt(4001) + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"fast/limited-transmit", passive(plain) + "write 20000\nwait 20ms\n" + dup(1, "") + "wait 2ms\n" + dup(1, "") + "wait 2ms\n"},
	{"fast/duplicate-with-data-is-none", passive(plain) + "write 10000\nwait 20ms\n" + chunk(1, 10, 1) + chunk(11, 10, 1) + chunk(21, 10, 1) + chunk(31, 10, 1) + "wait 10ms\n"},
	{"fast/window-change-is-none", passive(plain) + "write 10000\nwait 20ms\n< . 1:1(0) ack 1 win 20001\n< . 1:1(0) ack 1 win 20002\n< . 1:1(0) ack 1 win 20003\n< . 1:1(0) ack 1 win 20004\nwait 10ms\n"},
	{"sack/three-behind-gap", flight(easy) + dup(1, "1001:2001") + dup(1, "1001:3001") + "wait 2ms\n" + dup(1, "1001:4001") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/one-block-of-three", flight(easy) + dup(1, "1001:4001") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/reordering-window", flight(easy) + dup(1, "1001:2001") + "wait 15ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/two-gaps", flight(easy) + dup(1, "1001:3001") + dup(1, "1001:3001 4001:6001") + dup(1, "1001:3001 4001:10001") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/first-and-last-missing", flight(easy) + dup(1, "1001:9001") + "wait 10ms\n" + ackAt(9001) + "wait 120ms\n"},
	{"sack/retransmission-lost", flight(easy) + dup(1, "1001:5001") + "wait 20ms\n" + dup(1, "1001:10001") + "wait 20ms\n" + dup(1, "1001:10001") + "wait 400ms\n"},
	{"sack/new-data-while-recovering", passive(easy) + "write 25000\nwait 20ms\n" + dup(1, "1001:2001") + dup(1, "1001:3001") + dup(1, "1001:4001") + "wait 2ms\n" + dup(1, "1001:5001") + dup(1, "1001:6001") + dup(1, "1001:7001") + dup(1, "1001:8001") + dup(1, "1001:9001") + dup(1, "1001:10001") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/partial-ack", flight(easy) + dup(1, "1001:4001 5001:10001") + "wait 20ms\n" + dup(4001, "5001:10001") + "wait 10ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/tail-of-flight", flight(easy) + dup(7001, "8001:10001") + "wait 30ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/dsack-undo", flight(easy) + dup(1, "1001:5001") + "wait 10ms\n" + ackAt(10001) + dup(10001, "1:1001") + "write 25000\nwait 40ms\n"},
	{"sack/reneging", flight(easy) + dup(1, "1001:5001") + "wait 10ms\n" + ackAt(1001) + "wait 400ms\n"},
	{"sack/block-beyond-sent", flight(easy) + dup(1, "90001:91001") + dup(1, "90001:92001") + dup(1, "90001:93001") + "wait 10ms\n"},
	{"sack/block-below-una", flight(easy) + ackAt(5001) + dup(5001, "1001:2001") + dup(5001, "2001:3001") + dup(5001, "3001:4001") + "wait 10ms\n"},
	{"sack/block-backwards", flight(easy) + dup(1, "4001:1001") + dup(1, "5001:1001") + dup(1, "6001:1001") + "wait 10ms\n"},
	{"sack/unaligned-block", flight(easy) + dup(1, "1501:4501") + "wait 20ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/rto-keeps-scoreboard", flight(easy) + dup(1, "3001:5001") + "wait 400ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"sack/after-negotiated-away", passive(plain) + "write 10000\nwait 20ms\n" + dup(1, "1001:4001") + "wait 20ms\n"},
	{"sack/fin-lost", passive(easy) + "write 3000\nclose\nwait 20ms\n" + ackAt(3001) + "wait 150ms\n< F. 1:1(0) ack 3002\nwait 20ms\n"},
	{"ack/acknowledges-all-late", flight(easy) + "wait 8ms\n" + ackAt(10001) + "wait 10ms\nwrite 1000\nwait 10ms\n"},
	{"ack/old-acks-ignored", flight(easy) + ackAt(5001) + ackAt(3001) + ackAt(1001) + ackAt(1) + "wait 10ms\n"},
	{"ecn/congestion-before-established", passive(easy) + "write 10000\nwait 20ms\n< E. 1:1(0) ack 5001\n< E. 1:1(0) ack 10001\nwrite 25000\nwait 40ms\n"},
}

// reassemblyPieces are what the peer sends out of order.
var reassemblyPieces = []source{
	{"gap-then-filled", chunk(101, 100, 1) + "wait 5ms\n" + chunk(1, 100, 1)},
	{"two-gaps", chunk(101, 100, 1) + chunk(301, 100, 1) + "wait 5ms\n" + chunk(1, 100, 1) + chunk(201, 100, 1)},
	{"duplicate", chunk(1, 100, 1) + "wait 60ms\n" + chunk(1, 100, 1)},
	{"duplicate-of-out-of-order", chunk(101, 100, 1) + "wait 5ms\n" + chunk(101, 100, 1)},
	{"overlap-on-the-left", chunk(1, 100, 1) + "wait 60ms\n" + chunk(51, 100, 1)},
	{"overlap-on-both", chunk(101, 100, 1) + "wait 5ms\n" + chunk(51, 200, 1)},
	{"overlap-different-text", chunk(101, 100, 1) + "wait 5ms\n{fill 1} " + chunk(51, 200, 1) + chunk(1, 50, 1)},
	{"merge-of-neighbours", chunk(101, 100, 1) + chunk(301, 100, 1) + chunk(201, 100, 1)},
	{"five-gaps", chunk(101, 100, 1) + chunk(301, 100, 1) + chunk(501, 100, 1) + chunk(701, 100, 1) + chunk(901, 100, 1)},
	{"blocks-in-order-of-arrival", chunk(901, 100, 1) + chunk(501, 100, 1) + chunk(101, 100, 1) + chunk(502, 50, 1)},
	{"old-below-window", chunk(1, 200, 1) + "wait 60ms\n" + chunk(1, 50, 1)},
	{"old-and-new", chunk(1, 100, 1) + chunk(301, 100, 1) + "wait 5ms\n" + chunk(51, 100, 1)},
	{"one-byte-gaps", chunk(2, 1, 1) + chunk(4, 1, 1) + chunk(6, 1, 1) + chunk(1, 1, 1) + chunk(3, 1, 1)},
	{"covered-by-larger", chunk(201, 50, 1) + chunk(101, 300, 1) + chunk(1, 100, 1)},
	{"empty-beyond", "< . 501:501(0) ack 1\n"},
	{"fin-in-gap", "< F. 101:201(100) ack 1\nwait 5ms\n" + chunk(201, 100, 1) + chunk(1, 100, 1)},
	{"reads-between", chunk(1, 100, 1) + "read 1000\n" + chunk(201, 100, 1) + "read 1000\n" + chunk(101, 100, 1) + "read 1000\n"},
}
