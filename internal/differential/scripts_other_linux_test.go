package differential

import (
	"fmt"
	"maps"
	"slices"
)

// oddScripts are packets that are not what they should be.
func oddScripts() []source {
	var all []source
	for _, p := range oddPieces {
		all = append(all, source{"odd/" + p.name, passive(easy) + p.text + "wait 60ms\nread 1000\nstate\n"})
	}
	return all
}

var oddPieces = []source{
	{"checksum", "{badsum} < P. 1:101(100) ack 1\n"},
	{"offset-too-small", "{offset 4} < P. 1:101(100) ack 1\n"},
	{"offset-beyond-packet", "{offset 15} < P. 1:11(10) ack 1\n"},
	{"header-cut", "{cut 10} < . 1:1(0) ack 1\n"},
	{"option-length-zero", "{opts 08000000} < P. 1:101(100) ack 1\n"},
	{"option-beyond-header", "{opts 010108ff} < P. 1:101(100) ack 1\n"},
	{"options-of-end-only", "{opts 00000000} < P. 1:101(100) ack 1\n"},
	{"options-forty-nops", "{opts 01010101010101010101010101010101010101010101010101010101010101010101010101010101} < P. 1:101(100) ack 1\n"},
	{"mss-after-handshake", "{opts 020400c8} < P. 1:101(100) ack 1\nwrite 1500\n"},
	{"wscale-after-handshake", "{opts 03030e01} < P. 1:101(100) ack 1\nwrite 1500\n"},
	{"sack-of-zero-length", "{opts 01010502} < . 1:1(0) ack 1\n"},
	{"sack-of-odd-length", "{opts 0101050b0000000100000002000000} < . 1:1(0) ack 1\n"},
	{"unknown-option", "{opts fd041234} < P. 1:101(100) ack 1\n"},
	{"md5-option", "{opts 1312000102030405060708090a0b0c0d0e0f0101} < P. 1:101(100) ack 1\n"},
	{"ip-option-nop", "{ipopts 01010101} < P. 1:101(100) ack 1\n"},
	{"ip-option-router-alert", "{ipopts 94040000} < P. 1:101(100) ack 1\n"},
	{"ip-option-record-route", "{ipopts 0707040a4d000100} < P. 1:101(100) ack 1\n"},
	{"ttl-one", "{ttl 1} < P. 1:101(100) ack 1\n"},
	{"no-flags", "< - 1:101(100)\n"},
	{"fin-without-ack", "< F 1:1(0)\n"},
	{"psh-only", "< P 1:101(100)\n"},
	{"syn-fin-rst", "< SFR. 1:1(0) ack 1\n"},
	{"rst-with-syn", "< SR 1:1(0)\n"},
	{"everything", "< SFRPUEW. 1:101(100) ack 1 urg 1\n"},
	{"ack-wraps", "< . 1:1(0) ack 2147483648\n"},
	{"ack-just-out-of-window", "< . 1:1(0) ack 4294900000\n"},
	{"old-acks-limited", "< . 4294960000:4294960000(0) ack 1\nwait 20ms\n< . 4294960001:4294960001(0) ack 1\nwait 20ms\n< P. 4294960001:4294960011(10) ack 1\nwait 600ms\n< . 4294960002:4294960002(0) ack 1\n"},
	{"unsent-acks-limited", "< . 1:1(0) ack 5000\nwait 20ms\n< . 1:1(0) ack 5001\nwait 20ms\n< . 1:1(0) ack 5002\n"},
	{"keepalive-of-peer", "< . 0:0(0) ack 1\n"},
	{"keepalive-of-peer-with-octet", "< . 0:1(1) ack 1\n"},
	{"keepalives-limited", "< . 0:0(0) ack 1\nwait 20ms\n< . 0:0(0) ack 1\nwait 20ms\n< . 0:0(0) ack 1\nwait 600ms\n< . 0:0(0) ack 1\n"},
	{"cwr-without-ecn", "< PW. 1:101(100) ack 1\n"},
	{"window-full-segment", "< P. 1:1461(1460) ack 1\n"},
	{"larger-than-mss", "< P. 1:3001(3000) ack 1\n"},
}

// icmpScripts are errors about a SYN, a half-open connection, and one that is
// open and has data outstanding, or not.
func icmpScripts() []source {
	var all []source
	add := func(name, text string) { all = append(all, source{"icmp/" + name, text}) }
	for _, kind := range slices.Sorted(maps.Keys(icmpKinds)) {
		if kind == "toobig" {
			continue
		}
		add("syn-sent/"+kind, "connect\nwait 20ms\nicmp "+kind+" 0\nwait 20ms\nerror\nstate\nread 10\n")
		add("established/"+kind, passive(easy)+"write 1000\nwait 10ms\nicmp "+kind+" 1\nwait 20ms\nerror\nstate\nread 10\n"+ackAt(1001)+"wait 10ms\n")
		if kind != "redirect" && kind != "quench" {
			add("v6/syn-sent/"+kind, "knob v6 1\nconnect\nwait 20ms\nicmp "+kind+" 0\nwait 20ms\nerror\nstate\nread 10\n")
		}
	}
	for _, kind := range []string{"port", "host"} {
		add("syn-received/"+kind, "listen\n< S 0:0(0) win 65535 "+easy+"\nwait 20ms\nicmp "+kind+" 0\nwait 20ms\n< . 1:1(0) ack 1\naccept\n")
		add("syn-sent-wrong-number/"+kind, "connect\nwait 20ms\nicmp "+kind+" 5000\nwait 20ms\nerror\nstate\n")
		add("established-then-gives-up/"+kind, "knob retries2 1\n"+passive(easy)+"write 1000\nwait 10ms\nicmp "+kind+" 1\nwait 2500ms\nread 10\nread 10\nstate\n")
		add("time-wait/"+kind, passive(easy)+timeWait+"icmp "+kind+" 101\nwait 20ms\n< F. 1:1(0) ack 102\nwait 20ms\n")
	}
	for _, mtu := range []int{0, 68, 551, 552, 600, 1000, 1040, 1499, 1500, 9000} {
		add(fmt.Sprintf("toobig/%d", mtu), passive("<mss 1460,sackOK,nop,wscale 7>")+
			fmt.Sprintf("write 6000\nwait 10ms\nicmp toobig 1 %d\nwait 20ms\n", mtu)+ackAt(6001)+"wait 5ms\nwrite 3000\nwait 10ms\n")
	}
	for _, mtu := range []int{0, 1000, 1279, 1280, 1400, 1500} {
		add(fmt.Sprintf("v6/toobig/%d", mtu), "knob v6 1\n"+passive("<mss 1440,sackOK,nop,wscale 7>")+
			fmt.Sprintf("write 6000\nwait 10ms\nicmp toobig 1 %d\nwait 20ms\n", mtu)+ackAt(6001)+"wait 5ms\nwrite 3000\nwait 10ms\n")
	}
	add("toobig/wrong-number", passive(easy)+"write 6000\nwait 10ms\nicmp toobig 90001 600\nwait 20ms\n"+ackAt(6001)+"write 3000\nwait 10ms\n")
	add("toobig/nothing-outstanding", passive(easy)+"write 100\nwait 10ms\n"+ackAt(101)+"icmp toobig 1 600\nwait 20ms\nwrite 3000\nwait 10ms\n")
	add("toobig/syn-sent", "connect\nwait 20ms\nicmp toobig 0 600\nwait 20ms\nstate\n< S. 0:0(0) ack 1 win 65535 "+easy+"\nwrite 3000\nwait 10ms\n")
	add("toobig/next-connection", passive("<mss 1460>")+"write 3000\nwait 10ms\nicmp toobig 1 1000\nwait 20ms\npeer 1\n< S 0:0(0) win 65535 <mss 1460>\nwait 10ms\n< . 1:1(0) ack 1\naccept\nwrite 3000\nwait 10ms\n")
	return all
}

// timerScripts are what happens while nothing arrives.
func timerScripts() []source {
	var all []source
	for _, p := range timerPieces {
		all = append(all, source{"timer/" + p.name, p.text})
	}
	return all
}

var timerPieces = []source{
	{"keepalive/answered", passive(easy) + "set keepalive 1 1 2\nwait 1100ms\n" + ackAt(1) + "wait 1100ms\n" + ackAt(1) + "wait 50ms\nstate\n"},
	{"keepalive/unanswered", passive(easy) + "set keepalive 1 1 2\nwait 3500ms\nread 10\nread 10\nstate\n"},
	{"keepalive/data-defers", passive(easy) + "set keepalive 1 1 2\nwait 600ms\n" + chunk(1, 100, 1) + "wait 600ms\nwait 600ms\n"},
	{"keepalive/reset-answer", passive(easy) + "set keepalive 1 1 2\nwait 1100ms\n< R 1:1(0)\nwait 20ms\nread 10\n"},
	{"keepalive/timestamps", passive(full) + "set keepalive 1 1 3\nwait 2300ms\n"},
	{"keepalive/in-close-wait", passive(easy) + closeWait + "set keepalive 1 1 2\nwait 1200ms\n"},
	{"keepalive/in-fin-wait-2", passive(easy) + finWait2 + "set keepalive 1 1 2\nwait 1200ms\n"},
	{"keepalive/with-outstanding", passive(easy) + "set keepalive 1 1 2\nwrite 100\nwait 1500ms\n"},
	{"keepalive/user-timeout", passive(easy) + "set keepalive 1 1 9\nset usertimeout 1500\nwait 3300ms\nread 10\nstate\n"},
	{"keepalive/off-again", passive(easy) + "set keepalive 1 1 2\nwait 300ms\nset keepalive 0\nwait 1200ms\n"},
	{"keepalive/set-before-listen", "set keepalive 1 1 2\n" + passive(easy) + "wait 1200ms\n"},
	{"keepalive/connect", "set keepalive 1 1 2\n" + active(easy) + "wait 1200ms\n"},
	{"rtt/rto-follows", passive(easy) + "write 100\nwait 150ms\n" + ackAt(101) + "write 100\nwait 150ms\n" + ackAt(201) + "write 100\nwait 1000ms\n"},
	{"rtt/karn", passive(easy) + "write 100\nwait 300ms\n" + ackAt(101) + "write 100\nwait 800ms\n"},
	{"rtt/timestamps-after-rto", passive(full) + "write 100\nwait 300ms\n" + ackAt(101) + "write 100\nwait 800ms\n"},
	{"rtt/long-handshake", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 400ms\n< . 1:1(0) ack 1 win 500\naccept\nwrite 100\nwait 1500ms\n"},
	{"rtt/connect-long-handshake", "connect\nwait 400ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 100\nwait 1500ms\n"},
	{"user-timeout/syn-sent", "set usertimeout 1500\nconnect\nwait 3500ms\nerror\nstate\n"},
	{"user-timeout/restarts", passive(easy) + "set usertimeout 400\nwrite 100\nwait 250ms\n" + ackAt(101) + "write 100\nwait 250ms\n" + ackAt(201) + "wait 50ms\nstate\n"},
	{"r2/syn-received-after-simultaneous", "knob synretries 1\nconnect\nwait 20ms\n< S 0:0(0) win 65535 " + easy + "\nwait 3500ms\nstate\n"},
}

// urgentScripts are RFC 9293 section 3.8.5, RFC 6093.
func urgentScripts() []source {
	var all []source
	for _, p := range urgentPieces {
		all = append(all, source{"urgent/" + p.name, passive(easy) + p.text})
	}
	return all
}

var urgentPieces = []source{
	{"send-one", "urgent 1\nwait 20ms\n" + ackAt(2) + "wait 10ms\n"},
	{"send-ten", "urgent 10\nwait 20ms\n" + ackAt(11) + "write 100\nwait 10ms\n"},
	{"send-behind-data", "write 2500\nurgent 1\nwait 20ms\n" + ackAt(2502) + "wait 10ms\n"},
	{"send-before-data", "urgent 1\nwrite 2500\nwait 20ms\n" + ackAt(2) + "wait 10ms\n"},
	{"send-twice", "urgent 5\nurgent 5\nwait 20ms\n" + ackAt(6) + "wait 20ms\n"},
	{"send-large", "urgent 3000\nwait 20ms\n" + ackAt(3001) + "wait 20ms\n"},
	{"send-retransmitted", "urgent 10\nwait 300ms\n" + ackAt(11) + "wait 10ms\n"},
	{"send-far-ahead", "write 9000\nurgent 2000\nwait 20ms\n"},
	{"receive-one", "< PU. 1:2(1) ack 1 urg 1\nwait 60ms\nread 10\n"},
	{"receive-pointer-ahead", "< U. 1:1(0) ack 1 urg 10\nwait 20ms\n" + chunk(1, 20, 1) + "wait 60ms\nread 100\nread 100\n"},
	{"receive-pointer-zero", "< PU. 1:11(10) ack 1 urg 0\nwait 60ms\nread 100\n"},
	{"receive-pointer-without-flag", "< P. 1:11(10) ack 1 urg 5\nwait 60ms\nread 100\n"},
	{"receive-within-text", "< PU. 1:101(100) ack 1 urg 50\nwait 60ms\nread 1000\nread 1000\n"},
	{"receive-out-of-order", "< PU. 101:201(100) ack 1 urg 50\nwait 20ms\n" + chunk(1, 100, 1) + "wait 60ms\nread 1000\nread 1000\n"},
	{"receive-old-pointer", chunk(1, 100, 1) + "wait 60ms\nread 1000\n< PU. 51:101(50) ack 1 urg 10\nwait 60ms\nread 1000\n"},
}
