package differential

import (
	"fmt"
	"strings"
)

// What the peer's SYN offers. The first has a size of segments that is easy to
// count in, and nothing that moves with time.
const (
	easy  = "<mss 1000,sackOK,nop,wscale 7>"
	plain = "<mss 1000>"
	full  = "<mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>"
)

// wideWin is a window of some 64,000 bytes, with options or without.
func wideWin(opts string) string {
	if strings.Contains(opts, "wscale") {
		return " win 500\n"
	}
	return " win 64000\n"
}

// passive is a connection that the peer opens, 20 ms away.
func passive(opts string) string {
	return "listen\n< S 0:0(0) win 65535 " + opts + "\nwait 20ms\n< . 1:1(0) ack 1" + wideWin(opts) + "accept\n"
}

// narrow is passive with a window of so many bytes, which is not scaled.
func narrow(win int) string {
	return fmt.Sprintf("listen\n< S 0:0(0) win %d %s\nwait 20ms\n< . 1:1(0) ack 1 win %d\naccept\n", win, plain, win)
}

// active is a connection that the program opens, to a peer 20 ms away.
func active(opts string) string {
	return "connect\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + opts + "\n"
}

// both is the exchange that shows what a handshake has agreed on: segments of
// both sides, and their end.
const bothWays = `
write 2500
wait 20ms
< . 1:1(0) ack 2501
< P. 1:101(100) ack 2501
read 1000
wait 60ms
`

// optionSets are all combinations of what a SYN may offer.
func optionSets() []string {
	var sets []string
	for i := range 16 {
		var o []string
		for bit, text := range []string{"mss 1200", "sackOK", "TS val 1 ecr 0", "nop,wscale 5"} {
			if i>>bit&1 != 0 {
				o = append(o, text)
			}
		}
		sets = append(sets, strings.Join(o, ","))
	}
	return sets
}

// nameOf makes a part of a script's name of options.
func nameOf(opts string) string {
	if opts == "" {
		return "none"
	}
	return strings.NewReplacer(" val 1 ecr 0", "", "nop,", "", " ", "", ",", "+").Replace(opts)
}

func bracket(opts string) string {
	if opts == "" {
		return ""
	}
	return "<" + opts + ">"
}

func openScripts() []source {
	var all []source
	add := func(name, text string) { all = append(all, source{"open/" + name, text}) }
	for _, o := range optionSets() {
		add("listen/"+nameOf(o), passive(bracket(o))+bothWays)
		add("connect/"+nameOf(o), active(bracket(o))+bothWays)
	}
	for _, k := range []string{"sack", "timestamps", "wscale"} {
		knob := "knob " + k + " 0\n"
		add("listen/without-"+k, knob+passive(full)+bothWays)
		add("connect/without-"+k, knob+active(full)+bothWays)
	}
	for _, o := range []string{full, ""} {
		name := nameOf(strings.Trim(o, "<>"))
		add("listen/v6/"+name, "knob v6 1\n"+passive(o)+bothWays)
		add("connect/v6/"+name, "knob v6 1\n"+active(o)+bothWays)
	}
	for _, mss := range []int{0, 1, 47, 48, 88, 536, 9000, 65535} {
		add(fmt.Sprintf("listen/mss/%d", mss), passive(fmt.Sprintf("<mss %d>", mss))+"write 1400\nwait 20ms\n")
	}
	for _, shift := range []int{0, 14, 15, 255} {
		add(fmt.Sprintf("listen/wscale/%d", shift), passive(fmt.Sprintf("<mss 1000,nop,wscale %d>", shift))+
			"write 5000\nwait 10ms\n< . 1:1(0) ack 1001 win 1\nwait 10ms\n")
	}
	for _, mtu := range []int{576, 1280, 9000, 65535} {
		add(fmt.Sprintf("listen/mtu/%d", mtu), fmt.Sprintf("knob mtu %d\n", mtu)+passive("<mss 65000,sackOK,nop,wscale 9>")+"write 3000\nwait 20ms\n")
		add(fmt.Sprintf("connect/mtu/%d", mtu), fmt.Sprintf("knob mtu %d\n", mtu)+active("<mss 65000,sackOK,nop,wscale 9>")+"write 3000\nwait 20ms\n")
	}
	for _, p := range openPieces {
		add(p.name, p.text)
	}
	for _, seg := range strangers {
		add("closed-port/"+seg.name, seg.text+"\nwait 20ms\n")
		add("listener/"+seg.name, "listen\n"+seg.text+"\nwait 20ms\naccept\n")
		add("syn-received/"+seg.name, "listen\n< S 0:0(0) win 65535 "+easy+"\nwait 20ms\n"+seg.text+"\nwait 30ms\naccept\n< . 1:1(0) ack 1\nwait 20ms\naccept\n")
		add("syn-sent/"+seg.name, "connect\nwait 20ms\n"+seg.text+"\nwait 30ms\nerror\nstate\n")
	}
	return all
}

// strangers are segments that do not belong to what they meet.
var strangers = []source{
	{"ack", "< . 500:500(0) ack 700"},
	{"data", "< P. 500:600(100) ack 700"},
	{"rst", "< R 500:500(0)"},
	{"rst-ack", "< R. 500:500(0) ack 1"},
	{"fin", "< F 500:500(0)"},
	{"fin-ack", "< F. 500:500(0) ack 700"},
	{"null", "< - 500:500(0)"},
	{"null-data", "< P 500:510(10)"},
	{"xmas", "< FPU 500:501(1) urg 1"},
	{"syn-fin", "< SF 500:500(0) <mss 1000>"},
	{"syn-rst", "< SR 500:500(0)"},
	{"syn-ack-wrong", "< S. 500:500(0) ack 700 <mss 1000>"},
	{"syn-data", "< S 500:600(100) <mss 1000>"},
	{"syn-push-urgent", "< SPU 500:501(1) urg 1 <mss 1000>"},
}

// openPieces are the openings that belong to no family.
var openPieces = []source{
	{"listen/duplicate-syn", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\naccept\n"},
	{"listen/syn-other-options", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< S 0:0(0) win 1000 <mss 500>\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1200\nwait 10ms\n"},
	{"listen/ack-with-data", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< P. 1:101(100) ack 1\naccept\nread 500\nwait 60ms\n"},
	{"listen/ack-with-fin", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< F. 1:101(100) ack 1\naccept\nread 500\nread 500\nstate\nwait 60ms\n"},
	{"listen/data-before-ack", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< P. 101:201(100) ack 1\naccept\nwait 10ms\n< P. 1:101(100) ack 1\nread 500\nwait 60ms\n"},
	{"listen/ack-of-future", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 2\nwait 20ms\n< . 1:1(0) ack 1\naccept\n"},
	{"listen/ack-of-past", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 0\nwait 20ms\n< . 1:1(0) ack 1\naccept\n"},
	{"listen/rst-exact", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< R 1:1(0)\nwait 20ms\n< . 1:1(0) ack 1\nwait 20ms\naccept\n"},
	{"listen/rst-in-window", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< R 100:100(0)\nwait 20ms\n< . 1:1(0) ack 1\nwait 20ms\naccept\n"},
	{"listen/synack-again", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 3200ms\n< . 1:1(0) ack 1\naccept\nwrite 12500\nwait 10ms\n"},
	{"listen/accept-early", "listen\naccept\n< S 0:0(0) win 65535 " + easy + "\naccept\nwait 20ms\n< . 1:1(0) ack 1\naccept\naccept\n"},
	{"listen/closed-while-half-open", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\nunlisten\nwait 20ms\n< . 1:1(0) ack 1\nwait 20ms\n"},
	{"listen/closed-while-waiting", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\nunlisten\nwait 20ms\n"},
	{"listen/reset-while-waiting", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\nwait 10ms\n< R 1:1(0)\nwait 10ms\naccept\nread 10\n"},
	{"listen/fin-while-waiting", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< P. 1:101(100) ack 1\n< F. 101:101(0) ack 1\nwait 60ms\naccept\nread 500\nread 500\n"},
	{"listen/backlog", "listen 1\n" + syns(4) + "accept\naccept\naccept\nwait 1200ms\naccept\n"},
	{"listen/ecn-setup", "listen\n< SEW 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 100\nwait 10ms\n"},
	{"listen/accecn-setup", "listen\n< SEWA 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 100\nwait 10ms\n"},
	{"listen/ecn-setup-ect", "listen\n{tos 2} < SEW 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 100\nwait 10ms\n"},
	{"listen/ece-alone", "listen\n< SE 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 100\nwait 10ms\n"},
	{"listen/tos-of-syn", "listen\n{tos 32} < S 0:0(0) win 65535 " + easy + "\nwait 20ms\n{tos 32} < . 1:1(0) ack 1\naccept\nwrite 100\nwait 10ms\n"},
	{"listen/ttl-set", "set ttl 33\n" + passive(easy) + "write 100\nwait 10ms\n"},
	{"connect/ttl-set", "set ttl 33\n" + active(easy) + "write 100\nwait 10ms\n"},
	{"connect/tos-set", "set tos 48\n" + active(easy) + "write 100\nwait 10ms\n"},
	{"connect/tclass-set", "knob v6 1\nset tos 48\n" + active(easy) + "write 100\nwait 10ms\n"},
	{"connect/simultaneous", "connect\nwait 20ms\n< S 0:0(0) win 65535 " + easy + "\nstate\nwait 20ms\n< . 1:1(0) ack 1\nstate\nwrite 100\nwait 10ms\n"},
	{"connect/simultaneous-synack", "connect\nwait 20ms\n< S 0:0(0) win 65535 " + easy + "\nstate\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nstate\nwrite 100\nwait 10ms\n"},
	{"connect/simultaneous-rst", "connect\nwait 20ms\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< R 1:1(0)\nstate\nerror\n"},
	{"connect/refused", "connect\nwait 20ms\n< R. 0:0(0) ack 1\nerror\nstate\nwrite 10\nread 10\n"},
	{"connect/rst-without-ack", "connect\nwait 20ms\n< R 0:0(0)\nwait 30ms\nerror\nstate\n"},
	{"connect/rst-wrong-ack", "connect\nwait 20ms\n< R. 0:0(0) ack 5\nwait 30ms\nerror\nstate\n"},
	{"connect/rst-ack-zero", "connect\nwait 20ms\n< R. 0:0(0) ack 0\nwait 30ms\nerror\nstate\n"},
	{"connect/synack-with-data", "connect\nwait 20ms\n< SP. 0:100(100) ack 1 win 65535 " + easy + "\nread 500\nwait 60ms\n"},
	{"connect/synack-with-fin", "connect\nwait 20ms\n< SF. 0:0(0) ack 1 win 65535 " + easy + "\nstate\nread 500\nwait 60ms\n"},
	{"connect/synack-again", active(easy) + "wait 10ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwait 20ms\nstate\n"},
	{"connect/synack-zero-window", "connect\nwait 20ms\n< S. 0:0(0) ack 1 win 0 " + easy + "\nwrite 100\nwait 20ms\n< . 1:1(0) ack 1 win 500\nwait 20ms\n"},
	{"connect/synack-wrong-timestamp", "connect\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 77777,nop,wscale 7>\nwait 20ms\nstate\n"},
	{"connect/synack-ecn", "connect\nwait 20ms\n< SE. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 100\nwait 20ms\n"},
	{"connect/write-and-read-early", "connect\nwrite 100\nread 100\nstate\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 100\nwait 20ms\n"},
	{"connect/close-early", "connect\nwait 20ms\nclose\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwait 20ms\n"},
	{"connect/shutdown-early", "connect\nwait 20ms\nshutdown w\nstate\nwait 20ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwait 20ms\nstate\n"},
	{"connect/syn-again", "connect\nwait 3300ms\n< S. 0:0(0) ack 1 win 65535 " + easy + "\nwrite 12500\nwait 20ms\n"},
	{"connect/gives-up", "knob synretries 1\nconnect\nwait 3500ms\nerror\nstate\n"},
	{"listen/synack-gives-up", "knob synackretries 1\nlisten\n< S 0:0(0) win 65535 " + easy + "\nwait 3500ms\n< . 1:1(0) ack 1\nwait 20ms\naccept\n"},
	{"listen/unknown-option", "listen\n{opts 020403e8fe041122} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/option-beyond-header", "listen\n{opts 020403e8080a0000} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/option-length-zero", "listen\n{opts 020403e808000000} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/option-length-one", "listen\n{opts 020403e804010402} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/options-after-end", "listen\n{opts 00020403e8000000} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/mss-of-wrong-length", "listen\n{opts 0203030103030700} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/mss-twice", "listen\n{opts 020403e8020402bc} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/sack-blocks-on-syn", "listen\n{opts 020403e801010402050a0000000100000002} < S 0:0(0) win 65535\nwait 20ms\n< . 1:1(0) ack 1\naccept\nwrite 1500\nwait 10ms\n"},
	{"listen/timestamps-zero", "listen\n{opts 020403e80402080a00000000000000000000} < S 0:0(0) win 65535\nwait 20ms\n"},
	{"listen/synack-with-ack-of-nothing", "listen\n< S 0:0(0) ack 99 win 65535 " + easy + "\nwait 20ms\n"},
	{"listen/fastopen-request", "listen\n< S 0:0(0) win 65535 <mss 1000,FO>\nwait 20ms\n"},
	{"listen/fastopen-cookie", "listen\n< S 0:100(100) win 65535 <mss 1000,FO 0102030405060708>\nwait 20ms\n"},
	{"listen/window-zero", "listen\n< S 0:0(0) win 0 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1 win 0\naccept\nwrite 100\nwait 500ms\n"},
	{"listen/window-tiny", "listen\n< S 0:0(0) win 10 " + plain + "\nwait 20ms\n< . 1:1(0) ack 1 win 10\naccept\nwrite 100\nwait 300ms\n"},
}

// syns are handshakes of n flows.
func syns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "peer %d\n< S 0:0(0) win 65535 %s\nwait 10ms\n< . 1:1(0) ack 1\nwait 10ms\n", i, easy)
	}
	return b.String()
}
