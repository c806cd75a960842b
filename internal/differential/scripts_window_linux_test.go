package differential

import "fmt"

func windowScripts() []source {
	var all []source
	add := func(name, text string) { all = append(all, source{"window/" + name, text}) }
	for _, win := range []int{1, 100, 499, 500, 501, 999, 1000, 1500} {
		add(fmt.Sprintf("small/%d", win), narrow(win)+"write 5000\nwait 30ms\n")
		add(fmt.Sprintf("narrowed/%d", win), passive(plain)+fmt.Sprintf("write 2000\nwait 20ms\n< . 1:1(0) ack 2001 win %d\nwrite 5000\nwait 30ms\n", win))
		add(fmt.Sprintf("narrow-small-write/%d", win), narrow(win)+fmt.Sprintf("write %d\nwait 30ms\n", win*2/3+1))
	}
	for _, p := range windowPieces {
		add(p.name, p.text)
	}
	return all
}

var windowPieces = []source{
	{"zero/probes", passive(easy) + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 1800ms\n< . 1:1(0) ack 1 win 500\nwait 20ms\n"},
	{"zero/probes-answered", passive(easy) + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 230ms\n< . 1:1(0) ack 1 win 0\nwait 500ms\n< . 1:1(0) ack 1 win 0\nwait 500ms\n< . 1:1(0) ack 1 win 500\nwait 20ms\n"},
	{"zero/plain-probes", passive(plain) + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 700ms\n"},
	{"zero/nothing-to-send", passive(easy) + "< . 1:1(0) ack 1 win 0\nwait 500ms\n"},
	{"zero/while-in-flight", passive(easy) + "write 5000\nwait 20ms\n< . 1:1(0) ack 2001 win 0\nwait 500ms\n"},
	{"zero/after-all-acknowledged", passive(easy) + "write 5000\nwait 20ms\n< . 1:1(0) ack 5001 win 0\nwrite 1000\nwait 300ms\n< . 1:1(0) ack 5001 win 500\nwait 20ms\n"},
	{"zero/data-of-peer-arrives", passive(easy) + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 10ms\n" + "< P. 1:101(100) ack 1\nwait 60ms\n"},
	{"zero/gives-up-on-silence", "knob retries2 1\n" + passive(easy) + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 2000ms\nread 10\nstate\n"},
	{"zero/user-timeout", passive(easy) + "set usertimeout 600\n< . 1:1(0) ack 1 win 0\nwrite 100\nwait 230ms\n< . 1:1(0) ack 1 win 0\nwait 1200ms\nread 10\nstate\n"},
	{"zero/reset-of-probe", passive(easy) + "< . 1:1(0) ack 1 win 0\nwrite 100\nwait 230ms\n< R 1:1(0)\nwait 20ms\nread 10\n"},
	{"zero/urgent", passive(easy) + "< . 1:1(0) ack 1 win 0\nurgent 10\nwait 300ms\n< . 1:1(0) ack 1 win 500\nwait 20ms\n"},
	{"shrunk/below-flight", narrow(8000) + "write 8000\nwait 20ms\n< . 1:1(0) ack 1001 win 2000\nwait 10ms\n< . 1:1(0) ack 8001 win 8000\nwait 10ms\n"},
	{"shrunk/then-lost", narrow(8000) + "write 8000\nwait 20ms\n< . 1:1(0) ack 1001 win 2000\nwait 500ms\n"},
	{"shrunk/to-zero-then-lost", narrow(8000) + "write 8000\nwait 20ms\n< . 1:1(0) ack 1 win 0\nwait 800ms\n< . 1:1(0) ack 8001 win 8000\nwait 20ms\n"},
	{"update/older-segment-does-not-count", passive(easy) + "< P. 1:101(100) ack 1 win 10\nwait 60ms\n< P. 1:101(100) ack 1 win 500\nwrite 5000\nwait 20ms\n"},
	{"update/smaller-of-no-news", passive(plain) + "< . 1:1(0) ack 1 win 100\nwrite 5000\nwait 20ms\n"},
	{"update/from-future-segment", "listen\n< S 0:0(0) win 65535 " + easy + "\nwait 20ms\n< . 1:1(0) ack 1 win 8\naccept\nwrite 5000\nwait 10ms\n< P. 1001:1101(100) ack 1 win 500\nwait 20ms\n"},
	{"update/opens", narrow(1024) + "write 9000\nwait 20ms\n< . 1:1(0) ack 1 win 64000\nwait 20ms\n"},
	{"update/opens-by-little", narrow(1000) + "write 9000\nwait 20ms\n< . 1:1(0) ack 1001 win 100\nwait 20ms\n< . 1:1(0) ack 1001 win 600\nwait 20ms\n< . 1:1(0) ack 1001 win 1600\nwait 20ms\n"},
	{"receive/fills", "knob rcvbuf 8000\n" + passive(plain) + chunks(1, 1000, 12) + "wait 100ms\nread 4000\nwait 20ms\nread 8000\nwait 20ms\n"},
	{"receive/probe-of-full", "knob rcvbuf 8000\n" + passive(plain) + chunks(1, 1000, 16) + "wait 100ms\n" + "< . 0:0(0) ack 1\nwait 20ms\nread 20000\nwait 20ms\n"},
	{"receive/beyond-window", "knob rcvbuf 8000\n" + passive(plain) + "< P. 30001:30101(100) ack 1\nwait 20ms\nread 100\n"},
	{"receive/rcvbuf-set-later", passive(easy) + chunk(1, 1000, 1) + "wait 60ms\nset rcvbuf 5000\n" + chunk(1001, 1000, 1) + "wait 60ms\n"},
	{"receive/small-buffer-handshake", "knob rcvbuf 3000\n" + passive(easy) + chunk(1, 1000, 1) + "wait 60ms\nread 1000\nwait 10ms\n"},
	{"connect/small-buffer-handshake", "knob rcvbuf 3000\n" + active(easy) + chunk(1, 1000, 1) + "wait 60ms\nread 1000\nwait 10ms\n"},
	{"send/buffer-full", "knob sndbuf 10000\n" + passive(easy) + "write 5000\nwrite 500000\nwait 10ms\n"},
	{"send/room-again", passive(easy) + "write 200000\nwrite 1000\nwait 20ms\n" + ackAt(10001) + "wait 5ms\nwrite 1000\n"},
	{"scaled/large", passive("<mss 1000,sackOK,nop,wscale 14>") + "< . 1:1(0) ack 1 win 1\nwrite 40000\nwait 20ms\n" + ackAt(10001) + "wait 10ms\n"},
}
