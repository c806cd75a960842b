package differential

// ecnPassive is a connection that a peer opens which asks for RFC 3168's ECN.
const ecnPassive = "knob ecn 2\nlisten\n< SEW 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1 win 500\naccept\n"

// ecnActive is one that the program opens, to a peer that agrees to ECN.
const ecnActive = "knob ecn 1\nconnect\nwait 20ms\n< SE. 0:0(0) ack 1 win 65535 " + easy + "\n"

func ecnScripts() []source {
	var all []source
	for _, p := range ecnPieces {
		all = append(all, source{"ecn/" + p.name, p.text})
	}
	for _, p := range fastOpenPieces {
		all = append(all, source{"fast-open/" + p.name, p.text})
	}
	return all
}

var ecnPieces = []source{
	{"connect/agreed", ecnActive + "write 2500\nwait 20ms\n" + ackAt(2501) + "wait 10ms\n"},
	{"connect/declined", "knob ecn 1\nconnect\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 2500\nwait 20ms\n"},
	{"connect/reflected", "knob ecn 1\nconnect\nwait 20ms\n< SEW. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 2500\nwait 20ms\n"},
	{"connect/no-answer-falls-back", "knob ecn 1\nconnect\nwait 1500ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwait 10ms\n"},
	{"connect/reset-of-setup", "knob ecn 1\nconnect\nwait 20ms\n< R. 0:0(0) ack 1\nwait 20ms\nerror\n"},
	{"connect/ipv6", "knob v6 1\n" + ecnActive + "write 2500\nwait 20ms\n"},
	{"connect/marked-synack", "knob ecn 1\nconnect\nwait 20ms\n{tos 3} < SE. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 500\nwait 20ms\n"},
	{"passive/agreed", ecnPassive + "write 2500\nwait 20ms\n" + ackAt(2501) + "wait 10ms\n"},
	{"passive/off", "knob ecn 0\nlisten\n< SEW 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1 win 500\naccept\nwrite 2500\nwait 20ms\n"},
	{"passive/synack-again", "knob ecn 2\nlisten\n< SEW 0:0(0) win 65535 " + easy + "\nwait 1200ms\n< . 1:1(0) ack 1 win 500\naccept\nwrite 500\nwait 20ms\n"},
	{"receiver/mark", ecnPassive + "{tos 3} < P. 1:1001(1000) ack 1\n{tos 2} < P. 1001:2001(1000) ack 1\n{tos 2} < P. 2001:3001(1000) ack 1\nwait 60ms\n"},
	{"receiver/mark-until-cwr", ecnPassive + "{tos 3} < P. 1:1001(1000) ack 1\n{tos 2} < P. 1001:2001(1000) ack 1\n{tos 2} < PW. 2001:3001(1000) ack 1\n{tos 2} < P. 3001:4001(1000) ack 1\n{tos 2} < P. 4001:5001(1000) ack 1\nwait 60ms\n"},
	{"receiver/mark-and-cwr", ecnPassive + "{tos 3} < P. 1:1001(1000) ack 1\n{tos 3} < PW. 1001:2001(1000) ack 1\n{tos 2} < P. 2001:3001(1000) ack 1\nwait 60ms\n"},
	{"receiver/mark-on-data-out-of-order", ecnPassive + "{tos 3} < P. 1001:2001(1000) ack 1\nwait 5ms\n{tos 2} < P. 1:1001(1000) ack 1\nwait 60ms\n"},
	{"receiver/mark-on-duplicate", ecnPassive + "{tos 2} < P. 1:1001(1000) ack 1\nwait 60ms\n{tos 3} < P. 1:1001(1000) ack 1\nwait 10ms\n{tos 2} < P. 1001:2001(1000) ack 1\nwait 60ms\n"},
	{"receiver/mark-on-pure-ack", ecnPassive + "write 500\n{tos 3} < . 1:1(0) ack 501\nwrite 500\nwait 20ms\n"},
	{"receiver/mark-on-fin", ecnPassive + "{tos 3} < F. 1:1(0) ack 1\nwait 60ms\nwrite 100\nwait 10ms\n"},
	{"receiver/ect-one", ecnPassive + "{tos 1} < P. 1:1001(1000) ack 1\nwait 60ms\n"},
	{"sender/echo", ecnPassive + "write 10000\nwait 20ms\n< E. 1:1(0) ack 2001\nwait 5ms\n< E. 1:1(0) ack 4001\nwrite 2000\nwait 10ms\n"},
	{"sender/echo-once-per-window", ecnPassive + "write 30000\nwait 20ms\n< E. 1:1(0) ack 2001\n< E. 1:1(0) ack 4001\n< E. 1:1(0) ack 6001\n< E. 1:1(0) ack 10001\nwait 30ms\n"},
	{"sender/echo-and-loss", ecnPassive + "write 10000\nwait 20ms\n< E. 1:1(0) ack 1 <sack 1001:5001>\nwait 30ms\n"},
	{"sender/echo-with-nothing-outstanding", ecnPassive + "write 1000\nwait 20ms\n" + ackAt(1001) + "< E. 1:1(0) ack 1001\nwrite 20000\nwait 10ms\n"},
	{"sender/retransmission-is-not-capable", ecnPassive + "write 1000\nwait 300ms\n" + ackAt(1001) + "wait 10ms\n"},
	{"sender/probe-is-not-capable", ecnPassive + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 300ms\n"},
	{"sender/fin-is-not-capable", ecnPassive + "close\nwait 10ms\n"},
	{"sender/fin-on-data", ecnPassive + "write 1500\nwait 10ms\nclose\nwait 10ms\n"},
}

// withCookie lets the peer have a cookie of the server's: from a first
// connection, which it gives up.
const withCookie = "knob fastopen 1026\nlisten\n< S 0:0(0) win 65535 <mss 1000,sackOK,FO>\nwait 10ms\n< R 1:1(0)\nwait 10ms\npeer 1\n"

var fastOpenPieces = []source{
	{"server/asked-for-a-cookie", "knob fastopen 1026\nlisten\n< S 0:0(0) win 65535 <mss 1000,sackOK,FO>\nwait 20ms\n"},
	{"server/asked-with-text", "knob fastopen 1026\nlisten\n< S 0:100(100) win 65535 <mss 1000,FO>\nwait 20ms\naccept\n< P. 1:101(100) ack 1\nwait 10ms\naccept\nread 500\n"},
	{"server/off", "knob fastopen 1\nlisten\n< S 0:100(100) win 65535 <mss 1000,FO>\nwait 20ms\naccept\n"},
	{"server/good-cookie", withCookie + "{cookie} < S 0:100(100) win 65535 " + easy + "\naccept\nread 500\nwait 20ms\n< . 101:101(0) ack 1\nwait 20ms\nstate\n"},
	{"server/good-cookie-answers-early", withCookie + "{cookie} < S 0:100(100) win 65535 " + easy + "\naccept\nread 500\nwrite 1500\nwait 20ms\n< . 101:101(0) ack 1501\nwait 20ms\n"},
	{"server/good-cookie-no-text", withCookie + "{cookie} < S 0:0(0) win 65535 " + easy + "\nwait 20ms\naccept\n< . 1:1(0) ack 1\naccept\n"},
	{"server/good-cookie-synack-lost", withCookie + "{cookie} < S 0:100(100) win 65535 " + easy + "\naccept\nwait 1200ms\n< . 101:101(0) ack 1\nstate\n"},
	{"server/good-cookie-syn-again", withCookie + "{cookie} < S 0:100(100) win 65535 " + easy + "\nwait 20ms\n{cookie} < S 0:100(100) win 65535 " + easy + "\naccept\nread 500\nwait 20ms\n"},
	{"server/good-cookie-reset", withCookie + "{cookie} < S 0:100(100) win 65535 " + easy + "\naccept\nwait 20ms\n< R 101:101(0)\nread 500\nread 500\nstate\n"},
	{"server/wrong-cookie", "knob fastopen 1026\nlisten\n< S 0:100(100) win 65535 <mss 1000,FO 0102030405060708>\nwait 20ms\naccept\n"},
	{"server/cookie-of-odd-length", "knob fastopen 1026\nlisten\n{opts 020403e822050102030101} < S 0:100(100) win 65535\nwait 20ms\naccept\n"},
	{"client/asks-for-a-cookie", "fastopen 100\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 <mss 1000,FO 0102030405060708>\nwait 20ms\n"},
	{"client/has-a-cookie", clientCookie + "fastopen 100\nwait 20ms\n< S. 0:0(0) ack 101 win 65535 <mss 1000>\nwait 20ms\n"},
	{"client/text-not-taken", clientCookie + "fastopen 100\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 <mss 1000>\nwait 20ms\n"},
	{"client/part-taken", clientCookie + "fastopen 100\nwait 20ms\n< S. 0:0(0) ack 51 win 65535 <mss 1000>\nwait 20ms\n"},
	{"client/syn-lost", clientCookie + "fastopen 100\nwait 1300ms\n< S. 0:0(0) ack 1 win 65535 <mss 1000>\nwait 20ms\n"},
	{"client/more-than-a-segment", clientCookie + "fastopen 3000\nwait 20ms\n< S. 0:0(0) ack 1453 win 65535 <mss 1460>\nwait 20ms\n"},
	{"client/no-cookie-any-more", clientCookie + "fastopen 100\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 <mss 1000,FO 1112131415161718>\nwait 20ms\n"},
	{"client/synack-with-text", clientCookie + "fastopen 100\nwait 20ms\n< S. 0:50(50) ack 101 win 65535 <mss 1000>\nread 500\nwait 60ms\n"},
}

// clientCookie lets the program have a cookie of the peer's.
const clientCookie = "fastopen 10\nwait 10ms\n< S. 0:0(0) ack 1 win 65535 <mss 1460,FO 0102030405060708>\nwait 10ms\n< R 1:1(0)\nwait 10ms\nclose\npeer 1\n"
