package differential

import "fmt"

// chunk is a segment of the peer's stream.
func chunk(from, n, ack int) string {
	return fmt.Sprintf("< P. %d:%d(%d) ack %d\n", from, from+n, n, ack)
}

// chunks are count segments of n bytes in a row, without a pause.
func chunks(from, n, count int) (text string) {
	for i := range count {
		text += chunk(from+i*n, n, 1)
	}
	return text
}

// readAlong is chunks that the program reads one by one.
func readAlong(from, n, count int) (text string) {
	for i := range count {
		text += chunk(from+i*n, n, 1) + "read 10000\n"
	}
	return text
}

// ackAt is an acknowledgement of the peer's.
func ackAt(ack int) string { return fmt.Sprintf("< . 1:1(0) ack %d\n", ack) }

func transferScripts() []source {
	var all []source
	add := func(name, text string) { all = append(all, source{"transfer/" + name, text}) }
	for _, n := range []int{1, 999, 1000, 1001, 3000, 9999, 10000, 10001, 30000} {
		add(fmt.Sprintf("write/%d", n), passive(easy)+fmt.Sprintf("write %d\nwait 15ms\n", n)+ackAt(min(n, 10000)+1)+"wait 15ms\n")
	}
	for _, n := range []int{1, 2, 3, 4, 8} {
		add(fmt.Sprintf("receive/segments-%d", n), passive(easy)+chunks(1, 1000, n)+"wait 100ms\nread 100000\nwait 20ms\n")
	}
	for _, n := range []int{1, 100, 500, 1460} {
		add(fmt.Sprintf("receive/size-%d", n), passive(easy)+chunk(1, n, 1)+"wait 100ms\n"+chunk(1+n, n, 1)+chunk(1+2*n, n, 1)+"wait 100ms\nread 9000\n")
	}
	for _, p := range transferPieces {
		add(p.name, p.text)
	}
	return all
}

var transferPieces = []source{
	{"nagle/second-small-waits", passive(easy) + "write 100\nwrite 100\nwrite 100\nwait 20ms\n" + ackAt(101) + "wait 10ms\n"},
	{"nagle/full-then-rest", passive(easy) + "write 1500\nwrite 100\nwait 20ms\n" + ackAt(1001) + "wait 10ms\n" + ackAt(1501) + "wait 10ms\n"},
	{"nagle/grows-to-full", passive(easy) + "write 400\nwrite 400\nwrite 400\nwrite 400\nwait 20ms\n" + ackAt(401) + "wait 10ms\n"},
	{"nagle/off", passive(easy) + "set nodelay 1\nwrite 100\nwrite 100\nwrite 100\nwait 20ms\n" + ackAt(301) + "wait 10ms\n"},
	{"nagle/switched-off-later", passive(easy) + "write 100\nwrite 100\nwait 10ms\nset nodelay 1\nwait 10ms\n"},
	{"nagle/fin-takes-the-rest", passive(easy) + "write 100\nwrite 100\nwait 10ms\nclose\nwait 10ms\n"},
	{"nagle/shutdown-takes-the-rest", passive(easy) + "write 1100\nwrite 100\nwait 10ms\nshutdown w\nwait 10ms\n"},
	{"slow-start", passive(easy) + "write 40000\nwait 20ms\n" + ackAt(2001) + "wait 5ms\n" + ackAt(4001) + "wait 5ms\n" + ackAt(10001) + "wait 5ms\n"},
	{"slow-start-stretch-ack", passive(easy) + "write 40000\nwait 20ms\n" + ackAt(10001) + "wait 5ms\n" + ackAt(20001) + "wait 5ms\n"},
	{"slow-start-every-segment", passive(easy) + "write 40000\nwait 20ms\n" + ackAt(1001) + ackAt(2001) + ackAt(3001) + ackAt(4001) + "wait 5ms\n"},
	{"ack-of-half-a-segment", passive(easy) + "write 40000\nwait 20ms\n" + ackAt(501) + ackAt(1001) + ackAt(1501) + "wait 5ms\n"},
	{"idle-restart", passive(easy) + "write 20000\nwait 20ms\n" + ackAt(10001) + "wait 15ms\n" + ackAt(20001) + "wait 800ms\nwrite 40000\nwait 40ms\n"},
	{"idle-restart-off", "knob idlerestart 0\n" + passive(easy) + "write 20000\nwait 20ms\n" + ackAt(10001) + "wait 15ms\n" + ackAt(20001) + "wait 800ms\nwrite 40000\nwait 40ms\n"},
	{"idle-short", passive(easy) + "write 20000\nwait 20ms\n" + ackAt(10001) + "wait 15ms\n" + ackAt(20001) + "wait 100ms\nwrite 40000\nwait 40ms\n"},
	{"app-limited", passive(easy) + "write 1000\nwait 20ms\n" + ackAt(1001) + "write 1000\nwait 20ms\n" + ackAt(2001) + "write 1000\nwait 20ms\n" + ackAt(3001) + "write 30000\nwait 15ms\n"},
	{"connect/write-big", active(easy) + "write 30000\nwait 20ms\n" + ackAt(10001) + "wait 10ms\n"},
	{"timestamps/write-big", passive(full) + "write 30000\nwait 20ms\n" + ackAt(1449) + "wait 10ms\n" + ackAt(14481) + "wait 10ms\n"},
	{"piggyback", passive(easy) + chunk(1, 100, 1) + "read 1000\nwrite 100\nwait 60ms\n"},
	{"piggyback-late", passive(easy) + chunk(1, 100, 1) + "wait 20ms\n" + chunk(101, 100, 1) + "wait 20ms\nread 1000\nwrite 50\nwait 60ms\n"},
	{"request-response", active(easy) + "write 100\nwait 20ms\n" + chunk(1, 500, 101) + "read 1000\nwait 20ms\nwrite 100\nwait 20ms\n" + chunk(501, 500, 201) + "read 1000\nwait 80ms\nwrite 100\nwait 20ms\n" + chunk(1001, 500, 301) + "wait 80ms\n"},
	{"request-response-server", passive(easy) + chunk(1, 100, 1) + "read 1000\nwrite 500\nwait 20ms\n" + chunk(101, 100, 501) + "wait 80ms\nread 1000\nwrite 500\nwait 20ms\n" + chunk(201, 100, 1001) + "wait 80ms\n"},
	{"delayed-ack/after-the-first-segments", passive(easy) + chunks(1, 1000, 24) + "wait 100ms\nread 100000\nwait 20ms\n" + chunk(24001, 1000, 1) + "wait 100ms\n"},
	{"delayed-ack/small-after-many", passive(easy) + chunks(1, 100, 24) + "wait 100ms\nread 100000\nwait 20ms\n" + chunk(2401, 100, 1) + "wait 100ms\n"},
	{"delayed-ack/program-reads", passive(easy) + readAlong(1, 1000, 24) + "wait 100ms\n"},
	{"delayed-ack/program-reads-small", passive(easy) + readAlong(1, 100, 24) + "wait 100ms\n"},
	{"delayed-ack/program-reads-full", passive(easy) + readAlong(1, 1460, 24) + "wait 100ms\n"},
	{"delayed-ack/spaced", passive(easy) + chunk(1, 1000, 1) + "wait 30ms\n" + chunk(1001, 1000, 1) + "wait 30ms\n" + chunk(2001, 1000, 1) + "wait 30ms\n" + chunk(3001, 1000, 1) + "wait 100ms\n"},
	{"delayed-ack/read-at-once", passive(easy) + chunk(1, 1000, 1) + "read 5000\nwait 60ms\n" + chunk(1001, 1000, 1) + "read 5000\nwait 60ms\n"},
	{"delayed-ack/full-without-push", passive(easy) + "< . 1:1461(1460) ack 1\nwait 60ms\n< . 1461:2921(1460) ack 1\n< . 2921:4381(1460) ack 1\nwait 60ms\n"},
	{"delayed-ack/data-after-idle", passive(easy) + chunk(1, 1000, 1) + "wait 700ms\n" + chunk(1001, 1000, 1) + "wait 100ms\n"},
	{"window-update/small-read", passive(easy) + chunks(1, 1000, 10) + "wait 60ms\nread 500\nwait 10ms\nread 9500\nwait 10ms\n"},
	{"peek-nothing", passive(easy) + "read 100\nwait 10ms\nread 0\n"},
	{"timestamps/echo-of-the-first", passive(full) + "< P. 1:101(100) ack 1 <TS val 500 ecr 0>\n< P. 101:201(100) ack 1 <TS val 600 ecr 0>\nwait 60ms\n"},
	{"timestamps/echo-not-of-gap", passive(full) + "< P. 101:201(100) ack 1 <TS val 500 ecr 0>\nwait 10ms\n< P. 1:101(100) ack 1 <TS val 600 ecr 0>\nwait 60ms\n"},
	{"timestamps/paws", passive(full) + "< P. 1:101(100) ack 1 <TS val 900 ecr 0>\nwait 20ms\n< P. 101:201(100) ack 1 <TS val 800 ecr 0>\nwait 60ms\nread 1000\n"},
	{"timestamps/paws-pure-ack", passive(full) + "write 100\n< P. 1:101(100) ack 1 <TS val 900 ecr 0>\nwait 20ms\n< . 101:101(0) ack 101 <TS val 800 ecr 0>\nwait 60ms\nwrite 100\nwait 10ms\n"},
	{"timestamps/paws-rst", passive(full) + "< P. 1:101(100) ack 1 <TS val 900 ecr 0>\nwait 20ms\n< R 101:101(0) <TS val 800 ecr 0>\nwait 20ms\nstate\n"},
	{"timestamps/missing", passive(full) + "{nots} < P. 1:101(100) ack 1\nwait 60ms\nread 1000\n"},
	{"timestamps/uninvited", passive(easy) + "< P. 1:101(100) ack 1 <TS val 900 ecr 5>\nwait 60ms\nread 1000\n"},
	{"timestamps/ecr-of-future", passive(full) + "write 100\nwait 20ms\n< . 1:1(0) ack 101 <TS val 100 ecr 50000>\nwait 20ms\nwrite 100\nwait 10ms\n"},
	{"mss/learned-from-peer-small", passive("<mss 200>") + "write 2500\nwait 20ms\n"},
	{"mss/with-sack-blocks", passive(full) + "< P. 101:201(100) ack 1\nwait 5ms\nwrite 3000\nwait 10ms\n"},
	{"mss/with-sack-blocks-no-timestamps", passive(easy) + "< P. 101:201(100) ack 1\nwait 5ms\nwrite 3000\nwait 10ms\n"},
	{"push/many-writes", passive(easy) + "set nodelay 1\nwrite 1000\nwrite 1000\nwrite 500\nwait 20ms\n"},
	{"push/beyond-window", narrow(2560) + "write 5000\nwait 20ms\n< . 1:1(0) ack 2001 win 2560\nwait 10ms\n"},
	{"push/half-of-largest-window", narrow(4000) + "write 20000\nwait 20ms\n"},
	{"push/fin", passive(easy) + "write 2000\nshutdown w\nwait 20ms\n"},
	{"ece-without-ecn", passive(easy) + "write 30000\nwait 20ms\n< E. 1:1(0) ack 5001\nwait 10ms\n"},
	{"ce-without-ecn", passive(easy) + "{tos 3} < P. 1:101(100) ack 1\nwait 60ms\n"},
	{"tos-changed", passive(easy) + "write 100\nset tos 16\nwait 20ms\n" + ackAt(101) + "write 100\nwait 20ms\n"},
	{"ttl-changed", passive(easy) + "write 100\nset ttl 9\nwait 20ms\n" + ackAt(101) + "write 100\nwait 20ms\n"},
	{"reserved-bits", passive(easy) + "{reserved 14} < P. 1:101(100) ack 1\nwait 60ms\nread 500\n"},
	{"two-connections", "listen\n" + syns(2) + "accept\naccept\npeer 0\nwrite 100\npeer 1\nwrite 200\npeer 0\n" + chunk(1, 100, 101) + "peer 1\n" + chunk(1, 100, 201) + "wait 60ms\nread 500\n"},
}
