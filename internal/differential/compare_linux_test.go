package differential

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handfast/handfast/wire"
)

// packet is one that the side under test sent, as a peer sees it, with what is
// chance taken out: initial numbers, ports, the clock of timestamps.
type packet struct {
	step  int
	after time.Duration // since the step began
	key   string        // what says which packets of both sides correspond
	field map[string]string
	win   int64 // scaled
	text  string
}

// The order in which fields of a packet are compared and told.
var fieldNames = []string{"flags", "push", "early-push", "ack", "win", "syn-win", "urg", "options", "mss", "wscale", "ecr", "sack", "cookie", "data",
	"df", "ttl", "tos", "ecn", "id", "icmp"}

// normalise takes a packet apart; ok is false for one that is not to the peer.
func (p *player) normalise(raw []byte) (k packet, ok bool) {
	k.field = map[string]string{}
	var proto uint8
	var payload []byte
	if p.dut.Is4() {
		ip, err := wire.ParseIPv4(raw)
		if err != nil || ip.Dst().Netip() != p.peer {
			return k, false
		}
		proto, payload = ip.Proto(), ip.Payload()
		k.field["df"] = fmt.Sprint(ip.DF())
		k.field["id"] = "not zero"
		if ip.ID() == 0 {
			k.field["id"] = "zero"
		}
		k.ipFields(ip.TTL(), ip.TOS())
	} else {
		ip, err := wire.ParseIPv6(raw)
		if err != nil || ip.Dst().Netip() != p.peer {
			return k, false
		}
		proto, payload = ip.NextHeader(), ip.Payload()
		k.ipFields(ip.HopLimit(), ip.TrafficClass())
	}
	switch proto {
	case wire.ProtoTCP:
		t, err := wire.ParseTCP(payload)
		if err != nil {
			return k, false
		}
		p.normaliseTCP(&k, t, payload[t.HeaderLen():])
		return k, true
	case wire.ProtoICMP, wire.ProtoICMPv6:
		k.field["icmp"] = fmt.Sprintf("type %d code %d", payload[0], payload[1])
		k.key, k.text = "ICMP", "ICMP "+k.field["icmp"]
		return k, true
	}
	return k, false
}

func (k *packet) ipFields(ttl, tos uint8) {
	k.field["ttl"] = fmt.Sprint(ttl)
	k.field["tos"] = fmt.Sprint(tos >> 2)
	k.field["ecn"] = fmt.Sprint(tos & 3)
}

// flowOf finds the flow of a segment by the peer's port.
func (p *player) flowOf(t wire.TCP) *flow {
	f := p.flows[int(t.DstPort())-peerPort]
	if f == nil {
		f = &flow{dutISS: guessedISS}
	}
	return f
}

func (p *player) normaliseTCP(k *packet, t wire.TCP, data []byte) {
	f := p.flowOf(t)
	var o wire.TCPOptions
	syn := t.Flags()&wire.FlagSYN != 0
	o.Parse(t.Options(), syn)
	f.note(t, &o)
	k.win = int64(t.Window())
	if !syn && f.dutHas&f.peerHas&wire.HasWScale != 0 {
		k.win <<= f.dutScale
	}
	seq := t.Seq() - f.dutISS
	ack := t.Ack()
	if t.Flags()&wire.FlagACK != 0 {
		ack -= peerISS
	}
	const minor = wire.FlagPSH | wire.FlagURG | wire.FlagECE | wire.FlagCWR | wire.FlagAE
	s := wire.Script{Out: true, Flags: t.Flags(), Seq: seq, Len: uint32(len(data)), Ack: ack, HasWin: true, Win: uint32(k.win), Urg: t.Urgent()}
	k.text = fmt.Sprintf("%s <%s>", s.String(), optionsText(t.Options(), f))
	if f.n > 0 {
		k.text = fmt.Sprintf("flow %d: %s", f.n, k.text)
	}
	k.key = fmt.Sprintf("%d %v %d:%d", f.n, t.Flags()&^minor, int32(seq), len(data))
	if len(data) == 0 && t.Flags()&(wire.FlagSYN|wire.FlagRST) == 0 {
		k.key += fmt.Sprintf(" ack %d", ack) // nothing else tells them apart
	}
	if t.Seq() == 0 && t.Flags()&wire.FlagRST != 0 { // not of our numbers: RFC 9293 §3.10.7.1
		k.key, k.text = fmt.Sprintf("%d reset with SEQ 0", f.n), "with SEQ 0: "+k.text
	}
	k.field["flags"] = (t.Flags() &^ wire.FlagPSH).String()
	push := "push" // at the end of what was written; elsewhere it says less
	if end := seq - 1 + uint32(len(data)); len(data) > 0 && end != uint32(f.written) {
		push = "early-push"
	}
	k.field[push] = fmt.Sprint(t.Flags()&wire.FlagPSH != 0)
	k.field["ack"] = fmt.Sprint(ack)
	k.field["urg"] = fmt.Sprint(t.Urgent())
	if syn {
		k.field["syn-win"] = fmt.Sprint(k.win)
	} else {
		k.field["win"] = windowClass(k.win)
	}
	k.field["options"] = optionNames(t.Options())
	if o.Has&wire.HasMSS != 0 {
		k.field["mss"] = fmt.Sprint(o.MSS)
	}
	if o.Has&wire.HasWScale != 0 {
		k.field["wscale"] = fmt.Sprint(o.WScale)
	}
	if o.Has&wire.HasTimestamps != 0 {
		k.field["ecr"] = ecrText(o.TSEcr)
	}
	if o.Has&wire.HasFastOpen != 0 {
		k.field["cookie"] = fmt.Sprint(o.NFastOpen, " bytes")
		if o.NFastOpen > 0 {
			p.cookie = o
		}
	}
	for _, b := range o.SACK[:o.NSACK] {
		k.field["sack"] += fmt.Sprintf("%d:%d ", b[0]-peerISS, b[1]-peerISS)
	}
	k.field["data"] = "as written"
	if syn {
		seq++ // of the first octet
	}
	for i, b := range data {
		if b != dutByte(seq-1+uint32(i)) {
			k.field["data"] = "not as written"
		}
	}
}

// note keeps what the peer has to know of a segment.
func (f *flow) note(t wire.TCP, o *wire.TCPOptions) {
	if t.Flags()&wire.FlagSYN != 0 {
		f.dutISS, f.haveISS = t.Seq(), true
		f.dutPort = t.SrcPort()
		f.dutHas, f.dutScale = o.Has, o.WScale
		if !f.seenTS || o.Has&wire.HasTimestamps == 0 {
			f.firstTS = o.TSVal
		}
	}
	if o.Has&wire.HasTimestamps != 0 {
		f.lastTS, f.seenTS = o.TSVal, true
	}
}

// windowClass is all that two receivers with different buffers can agree on.
func windowClass(win int64) string {
	if win == 0 {
		return "zero"
	}
	return "open"
}

func ecrText(ecr uint32) string {
	if ecr == 0 {
		return "0"
	}
	return fmt.Sprint(ecr - peerTSBase)
}

// optionNames lists the options as they lie in the header, without values.
func optionNames(raw []byte) string {
	var names []string
	for _, o := range strings.Split(string(wire.AppendOptions(nil, raw)), ",") {
		name, rest, _ := strings.Cut(o, " ")
		if name == "opt" {
			name = o
		}
		if name == "sack" {
			name = fmt.Sprintf("sack of %d", len(strings.Fields(rest)))
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// optionsText is for people: relative where that helps.
func optionsText(raw []byte, f *flow) string {
	b := slices.Clone(raw)
	for at := 0; at < len(b); {
		kind, n := b[at], 1
		if kind == wire.TCPOptEOL {
			break
		}
		if kind != wire.TCPOptNOP {
			if at+1 >= len(b) || int(b[at+1]) < 2 || at+int(b[at+1]) > len(b) {
				break
			}
			n = int(b[at+1])
		}
		switch {
		case kind == wire.TCPOptTimestamps && n == 10:
			sub32(b[at+2:], f.firstTS)
			if binary.BigEndian.Uint32(b[at+6:]) != 0 {
				sub32(b[at+6:], peerTSBase)
			}
		case kind == wire.TCPOptSACK:
			for i := at + 2; i+4 <= at+n; i += 4 {
				sub32(b[i:], peerISS)
			}
		}
		at += n
	}
	return string(wire.AppendOptions(nil, b))
}

func sub32(b []byte, n uint32) { binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)-n) }

// difference is one thing that the two sides do not have in common.
type difference struct {
	where        string // step and field: names it within its script
	kernel, ours string
}

// timeSlack is how far apart two instants may be and still be of one class:
// with the kernel's clock ticks and a busy machine, and then some of what went
// by. What it tells apart is at once, delayed ACKs, RTO, and seconds.
func timeSlack(d time.Duration) time.Duration { return 18*time.Millisecond + d/6 }

// compare returns the differences between what the kernel and we did. Packets
// belong to the last step before them that was no wait, so that it does not
// matter on which side of a wait's beginning one comes; differences of one kind
// at one step are told as one.
func compare(s *script, kernel, ours *record) []difference {
	stimulus := make([]int, len(s.steps))
	for i := range s.steps {
		if stimulus[i] = i; i > 0 && s.steps[i].verb == "wait" {
			stimulus[i] = stimulus[i-1]
		}
	}
	var all []*difference
	find := func(step int, field string) *difference {
		where := fmt.Sprintf("%d %s", step+1, field)
		for _, d := range all {
			if d.where == where {
				return d
			}
		}
		all = append(all, &difference{where: where})
		return all[len(all)-1]
	}
	note := func(step int, field, k, o string) {
		d := find(step, field)
		d.kernel, d.ours = join(d.kernel, k), join(d.ours, o)
	}
	for i := range s.steps {
		if k, o := kernel.results[i], ours.results[i]; k != o {
			note(i, "result", k, o)
		}
	}
	for _, pair := range align(kernel.packets, ours.packets) {
		k, o := pair[0], pair[1]
		switch {
		case k == nil:
			note(stimulus[o.step], "extra", "", told(o))
		case o == nil:
			note(stimulus[k.step], "missing", told(k), "")
		default:
			step := stimulus[k.step]
			for _, name := range fieldNames {
				if k.field[name] != o.field[name] {
					note(step, name, k.field[name], o.field[name])
				}
			}
			since := kernel.begin[step]
			kAt, oAt := kernel.begin[k.step]+k.after-since, ours.begin[o.step]+o.after-since
			if d := kAt - oAt; d.Abs() > timeSlack(max(kAt, oAt)) {
				note(step, "time", roundTime(kAt), roundTime(oAt))
			}
		}
	}
	list := make([]difference, len(all))
	for i, d := range all {
		list[i] = *d
	}
	return list
}

func ofStep(r *record, i int) []packet {
	var some []packet
	for _, p := range r.packets {
		if p.step == i {
			some = append(some, p)
		}
	}
	return some
}

func told(p *packet) string { return p.text + " after " + roundTime(p.after) }

func roundTime(d time.Duration) string { return d.Round(time.Millisecond).String() }

// join lists a value once more unless it is the last one already.
func join(list, s string) string {
	if list == "" || list == s {
		return s
	}
	if strings.HasSuffix(list, "; "+s) {
		return list
	}
	return list + "; " + s
}

// align pairs the packets of both sides in their order, so that as many as
// possible correspond; nil stands for one that has no counterpart.
func align(a, b []packet) [][2]*packet {
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			n[i][j] = max(n[i+1][j], n[i][j+1])
			if a[i].key == b[j].key {
				n[i][j] = max(n[i][j], n[i+1][j+1]+1)
			}
		}
	}
	var pairs [][2]*packet
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i].key == b[j].key && n[i][j] == n[i+1][j+1]+1:
			pairs = append(pairs, [2]*packet{&a[i], &b[j]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && n[i+1][j] >= n[i][j+1]:
			pairs = append(pairs, [2]*packet{&a[i], nil})
			i++
		default:
			pairs = append(pairs, [2]*packet{nil, &b[j]})
			j++
		}
	}
	return pairs
}

// transcript is what a person looks at to understand a difference.
func transcript(s *script, r *record) string {
	var b strings.Builder
	for i, st := range s.steps {
		fmt.Fprintf(&b, "  %6s %2d %s", roundTime(r.begin[i]), i+1, st.line)
		if r.results[i] != "" {
			fmt.Fprintf(&b, " = %s", r.results[i])
		}
		b.WriteByte('\n')
		for _, p := range ofStep(r, i) {
			fmt.Fprintf(&b, "              +%s %s", roundTime(p.after), p.text)
			for _, name := range []string{"df", "ttl", "tos", "ecn", "id"} {
				if p.field[name] != "" {
					fmt.Fprintf(&b, " %s=%s", name, p.field[name])
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
