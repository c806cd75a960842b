package differential

// The ways into the states after ESTABLISHED, each with 100 bytes sent and
// acknowledged before. The peer's next number is 1, and the program's next one
// is as the name of the constant's comment says.
const (
	established = "write 100\nwait 20ms\n< . 1:1(0) ack 101\n"    // 101
	finWait1    = established + "shutdown w\nwait 5ms\n"          // 102
	finWait2    = finWait1 + "< . 1:1(0) ack 102\nwait 5ms\n"     // 102
	closeWait   = established + "< F. 1:1(0) ack 101\nwait 5ms\n" // 101
	lastAck     = closeWait + "shutdown w\nwait 5ms\n"            // 102
	closing     = finWait1 + "< F. 1:1(0) ack 101\nwait 5ms\n"    // 102
	timeWait    = finWait2 + "< F. 1:1(0) ack 102\nwait 5ms\n"    // 102
	orphanFW1   = established + "close\nwait 5ms\n"               // 102
	orphanFW2   = orphanFW1 + "< . 1:1(0) ack 102\nwait 5ms\n"    // 102
)

// stage is a connection brought to a state.
type stage struct {
	name string
	way  string
	seq  string // the peer's next number
	ack  string // what the peer would acknowledge
}

var stages = []stage{
	{"established", established, "1", "101"},
	{"fin-wait-1", finWait1, "1", "101"},
	{"fin-wait-2", finWait2, "1", "102"},
	{"close-wait", closeWait, "2", "101"},
	{"last-ack", lastAck, "2", "101"},
	{"closing", closing, "2", "101"},
	{"time-wait", timeWait, "2", "102"},
	{"orphan-fin-wait-1", orphanFW1, "1", "101"},
	{"orphan-fin-wait-2", orphanFW2, "1", "102"},
}

// visitors are segments that each state has an answer for. SEQ and ACK stand
// for what would be in order, NEXT for an octet more.
var visitors = []source{
	{"rst-exact", "< R SEQ:SEQ(0)"},
	{"rst-in-window", "< R 5000:5000(0)"},
	{"rst-left-of-window", "< R 4294967000:4294967000(0)"},
	{"rst-beyond-window", "< R 99999999:99999999(0)"},
	{"syn-in-window", "< S 5000:5000(0) <mss 1000>"},
	{"syn-exact", "< S SEQ:SEQ(0) <mss 1000>"},
	{"syn-of-old", "< S 0:0(0) <mss 1000>"},
	{"synack-again", "< S. 0:0(0) ack 1 <mss 1000>"},
	{"ack-of-unsent", "< . SEQ:SEQ(0) ack 9999"},
	{"ack-of-long-ago", "< . SEQ:SEQ(0) ack 4293967296"},
	{"data", "< P. SEQ:SEQ+100(100) ack ACK"},
	{"data-left-of-window", "< P. 4294967000:4294967100(100) ack ACK"},
	{"data-beyond-window", "< P. 99999999:100000099(100) ack ACK"},
	{"no-ack-flag", "< P SEQ:SEQ+100(100)"},
	{"fin", "< F. SEQ:SEQ(0) ack ACK"},
	{"empty-in-order", "< . SEQ:SEQ(0) ack ACK"},
}

func closeScripts() []source {
	var all []source
	for _, st := range stages {
		for _, v := range visitors {
			all = append(all, source{"state/" + st.name + "/" + v.name,
				passive(easy) + st.way + st.fill(v.text) + "\nwait 60ms\n" + "state\nread 1000\nread 1000\nwait 10ms\n"})
		}
	}
	for _, p := range closePieces {
		all = append(all, source{"close/" + p.name, p.text})
	}
	return all
}

var closePieces = []source{
	{"we-first", passive(easy) + established + "close\nwait 20ms\n< . 1:1(0) ack 102\nwait 20ms\n< F. 1:1(0) ack 102\nwait 20ms\n< F. 1:1(0) ack 102\nwait 20ms\n"},
	{"peer-first", passive(easy) + closeWait + "read 10\nread 10\nwait 60ms\nclose\nwait 20ms\n< . 2:2(0) ack 102\nwait 20ms\n< . 2:2(0) ack 102\nwait 20ms\n"},
	{"both-at-once", passive(easy) + "close\n< F. 1:1(0) ack 1\nwait 20ms\n< . 2:2(0) ack 2\nwait 20ms\n< . 2:2(0) ack 2\nwait 20ms\n"},
	{"fin-acknowledges-fin", passive(easy) + "shutdown w\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\nread 10\nstate\n"},
	{"fin-with-data-acknowledges-fin", passive(easy) + "shutdown w\nwait 20ms\n< F. 1:101(100) ack 2\nwait 20ms\nread 500\nread 10\nstate\n"},
	{"fin-behind-data", passive(easy) + "write 1500\nclose\nwait 20ms\n< . 1:1(0) ack 1501\nwait 20ms\n"},
	{"fin-on-data", passive(easy) + "write 15000\nclose\nwait 20ms\n< . 1:1(0) ack 10001\nwait 20ms\n"},
	{"fin-of-peer-with-data", passive(easy) + "< FP. 1:501(500) ack 1\nwait 60ms\nread 100\nread 1000\nread 10\nread 10\n"},
	{"fin-out-of-order", passive(easy) + "< F. 501:501(0) ack 1\nwait 20ms\nstate\n< P. 1:501(500) ack 1\nwait 20ms\nstate\nread 1000\nread 10\n"},
	{"data-behind-fin", passive(easy) + "< F. 1:101(100) ack 1\nwait 20ms\n< P. 102:202(100) ack 1\nwait 20ms\nread 1000\nread 1000\n"},
	{"data-across-fin", passive(easy) + "< F. 1:101(100) ack 1\nwait 20ms\n< P. 51:151(100) ack 1\nwait 20ms\nread 1000\nread 1000\n"},
	{"fin-twice", passive(easy) + "< F. 1:1(0) ack 1\nwait 60ms\n< F. 1:1(0) ack 1\nwait 60ms\nstate\n"},
	{"unread", passive(easy) + "< P. 1:101(100) ack 1\nwait 60ms\nclose\nwait 20ms\n"},
	{"unread-in-close-wait", passive(easy) + "< FP. 1:101(100) ack 1\nwait 60ms\nclose\nwait 20ms\n"},
	{"unread-fin-only", passive(easy) + "< F. 1:1(0) ack 1\nwait 60ms\nclose\nwait 20ms\n"},
	{"unread-out-of-order", passive(easy) + "< P. 101:201(100) ack 1\nwait 60ms\nclose\nwait 20ms\n"},
	{"unread-and-unsent", passive(easy) + "write 20000\n< P. 1:101(100) ack 1\nwait 10ms\nclose\nwait 20ms\n"},
	{"linger-zero", passive(easy) + established + "set linger 0\nclose\nwait 20ms\n< . 1:1(0) ack 101\nwait 20ms\n"},
	{"linger-zero-unsent", passive(easy) + "write 20000\nset linger 0\nclose\nwait 20ms\n"},
	{"linger-zero-close-wait", passive(easy) + closeWait + "set linger 0\nclose\nwait 20ms\n"},
	{"linger-zero-fin-wait-2", passive(easy) + finWait2 + "set linger 0\nclose\nwait 20ms\n"},
	{"linger-zero-last-ack", passive(easy) + lastAck + "set linger 0\nclose\nwait 20ms\n"},
	{"linger-zero-syn-sent", "connect\nset linger 0\nwait 20ms\nclose\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwait 20ms\n"},
	{"data-to-orphan", passive(easy) + "close\nwait 20ms\n< P. 1:101(100) ack 2\nwait 20ms\n< . 101:101(0) ack 2\nwait 20ms\n"},
	{"data-to-orphan-with-unsent", passive(easy) + "write 20000\nclose\nwait 20ms\n< P. 1:101(100) ack 10001\nwait 20ms\n"},
	{"fin-lost", passive(easy) + established + "close\nwait 800ms\n< F. 1:1(0) ack 102\nwait 20ms\n"},
	{"fin-lost-last-ack", passive(easy) + lastAck + "wait 800ms\n< . 2:2(0) ack 102\nwait 20ms\n"},
	{"fin-wait-2-ends", "knob finwait 1\n" + passive(easy) + orphanFW2 + "wait 1500ms\n< F. 1:1(0) ack 102\nwait 20ms\n"},
	{"fin-wait-2-stays-with-program", "knob finwait 1\n" + passive(easy) + finWait2 + "wait 1500ms\n< P. 1:101(100) ack 102\nwait 60ms\nread 500\n"},
	{"shutdown-write-then-read", passive(easy) + "shutdown w\nwrite 10\nwait 20ms\n< . 1:1(0) ack 2\n< P. 1:1001(1000) ack 2\n< P. 1001:2001(1000) ack 2\nwait 60ms\nread 5000\n< F. 2001:2001(0) ack 2\nwait 20ms\nread 10\n"},
	{"shutdown-read", passive(easy) + "shutdown r\nread 10\nwait 20ms\n< P. 1:101(100) ack 1\nwait 60ms\nread 500\nread 500\nwrite 100\nwait 10ms\n"},
	{"shutdown-read-with-unread", passive(easy) + "< P. 1:101(100) ack 1\nwait 60ms\nshutdown r\nread 50\nread 500\nclose\nwait 20ms\n"},
	{"shutdown-both", passive(easy) + "shutdown rw\nwait 20ms\n< . 1:1(0) ack 2\n< P. 1:101(100) ack 2\nwait 60ms\nread 500\nclose\nwait 20ms\n"},
	{"shutdown-twice", passive(easy) + "shutdown w\nshutdown w\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\nshutdown w\n"},
	{"shutdown-then-close", passive(easy) + "shutdown w\nwait 20ms\n< . 1:1(0) ack 2\nclose\nwait 20ms\n< P. 1:101(100) ack 2\nwait 20ms\n"},
	{"reset-read-write", passive(easy) + "< P. 1:101(100) ack 1\nwait 60ms\n< R 101:101(0)\nwait 10ms\nstate\nread 50\nread 500\nread 500\nread 500\nwrite 10\n"},
	{"reset-write-first", passive(easy) + "< R 1:1(0)\nwait 10ms\nwrite 10\nwrite 10\nread 10\nerror\n"},
	{"reset-error-first", passive(easy) + "< R 1:1(0)\nwait 10ms\nerror\nerror\nread 10\nwrite 10\n"},
	{"reset-in-close-wait", passive(easy) + closeWait + "< R 2:2(0)\nwait 10ms\nwrite 10\nread 10\nread 10\n"},
	{"reset-after-eof-read", passive(easy) + closeWait + "read 10\n< R 2:2(0)\nwait 10ms\nread 10\nwrite 10\nwrite 10\n"},
	{"reset-with-data", passive(easy) + "< R. 1:101(100) ack 1\nwait 10ms\nread 500\nread 10\n"},
	{"reset-with-wrong-ack", passive(easy) + "< R. 1:1(0) ack 9999\nwait 10ms\nread 10\nstate\n"},
	{"reset-at-sack-edge", passive(easy) + "< P. 101:201(100) ack 1\nwait 10ms\n< R 201:201(0)\nwait 10ms\nstate\n"},
	{"resets-in-window-limited", passive(easy) + "< R 100:100(0)\nwait 20ms\n< R 200:200(0)\nwait 20ms\n< S 300:300(0)\nwait 600ms\n< R 400:400(0)\nwait 20ms\nstate\n"},
	{"time-wait-new-syn", passive(easy) + timeWait + "< S 100000:100000(0) win 65535 " + easy + "\nwait 20ms\n< . 100001:100001(0) ack 1 win 500\nwait 20ms\naccept\n"},
	{"time-wait-old-syn", passive(easy) + timeWait + "< S 1:1(0) win 65535 " + easy + "\nwait 20ms\n"},
	{"time-wait-timestamp-newer", passive(full) + "shutdown w\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\n< S 1:1(0) win 65535 <mss 1460,sackOK,TS val 9000 ecr 0,nop,wscale 7>\nwait 20ms\n"},
	{"time-wait-timestamp-older", passive(full) + "shutdown w\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\n< S 1:1(0) win 65535 <mss 1460,sackOK,TS val 2 ecr 0,nop,wscale 7>\nwait 20ms\n"},
	{"time-wait-fin-again", passive(full) + "shutdown w\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\nstate\n"},
	{"time-wait-paws", passive(full) + "shutdown w\nwait 20ms\n< F. 1:1(0) ack 2\nwait 20ms\n< F. 1:1(0) ack 2 <TS val 1 ecr 0>\nwait 20ms\nstate\n"},
	{"time-wait-reset-twice", passive(easy) + timeWait + "< R 2:2(0)\nwait 20ms\n< F. 1:1(0) ack 102\nwait 20ms\n"},
	{"time-wait-fd-closed-unread", passive(easy) + "shutdown w\nwait 20ms\n< FP. 1:101(100) ack 2\nwait 20ms\nclose\nwait 20ms\n< F. 101:101(0) ack 2\nwait 20ms\n"},
	{"close-twice", passive(easy) + "close\nwait 20ms\nclose\nread 10\n"},
	{"closing-fin-again", passive(easy) + closing + "< F. 1:1(0) ack 101\nwait 20ms\n< . 2:2(0) ack 102\nwait 20ms\nstate\n"},
	{"half-close-of-peer", passive(easy) + "< F. 1:1(0) ack 1\nwait 60ms\nwrite 3000\nwait 20ms\n< . 2:2(0) ack 3001\nwait 20ms\nwrite 500\nwait 20ms\n< . 2:2(0) ack 3501\nclose\nwait 20ms\n< . 2:2(0) ack 3502\nwait 20ms\n"},
	{"refused-write-after-eof", passive(easy) + closeWait + "write 100\nwait 20ms\n< R 2:2(0)\nwait 10ms\nwrite 100\nread 10\n"},
	{"window-zero-close", passive(easy) + "< . 1:1(0) ack 1 win 0\nwrite 100\nclose\nwait 700ms\n< . 1:1(0) ack 1 win 500\nwait 20ms\n"},
	{"window-zero-fin-only", passive(easy) + "< . 1:1(0) ack 1 win 0\nclose\nwait 500ms\n< . 1:1(0) ack 2 win 0\nwait 20ms\n"},
}
