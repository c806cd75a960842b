package requirements

import "strings"

// group is the rows of RFC 9293 of one level.
type group struct {
	level string
	name  string // the RFC's label, "MUST"; "" where a row's ID is its label
	rows  []Row
}

// label returns what the RFC calls the row: "MUST-10" for M10.
func (g group) label(id string) string {
	if g.name == "" {
		return id
	}
	return g.name + "-" + strings.TrimLeft(id[1:], "0")
}

func groups() []group {
	return []group{
		{"MUST", "MUST", musts},
		{"SHOULD", "SHLD", shoulds},
		{"RECOMMENDED", "REC", recommendations},
		{"MAY", "MAY", mays},
		{"text", "", events},
	}
}

// find returns the row of RFC 9293 with the ID and its group.
func find(id string) (Row, group, bool) {
	for _, g := range groups() {
		for _, r := range g.rows {
			if r.ID == id {
				return r, g, true
			}
		}
	}
	return Row{}, group{}, false
}

var musts = []Row{
	{"M01", "3.1", "the window field is an unsigned number"},
	{"M02", "3.1", "every segment sent carries a checksum"},
	{"M03", "3.1", "a segment whose checksum is wrong is dropped"},
	{"M04", "3.1", "the options end-of-list, no-operation and MSS are understood"},
	{"M05", "3.1", "options are accepted on any segment"},
	{"M06", "3.1", "an unknown option is skipped by its length"},
	{"M07", "3.1", "an option with an illegal length does no harm"},
	{"M08", "3.4.1", "initial sequence numbers follow a clock"},
	{"M09", "3.4.1", "the rest of an initial sequence number cannot be computed from outside"},
	{"M10", "3.5", "two ends may open at the same time"},
	{"M11", "3.5", "SYN-RECEIVED remembers whether the open was passive or active"},
	{"M12", "3.6", "the application can tell a close from an abort"},
	{"M13", "3.6.1", "who closes first stays in TIME-WAIT for two MSL"},
	{"M14", "3.7.1", "the MSS option is sent and received"},
	{"M15", "3.7.1", "without an MSS option 536 bytes are assumed over IPv4, 1220 over IPv6"},
	{"M16", "3.7.1", "the effective send MSS allows for headers and options"},
	{"M17", "3.7.4", "the Nagle algorithm can be switched off per connection"},
	{"M18", "3.8.1", "the retransmission timeout follows RFC 6298 with Karn's rule"},
	{"M19", "3.8.2", "slow start, congestion avoidance and timer back-off are there"},
	{"M20", "3.8.3", "after R1 retransmissions IP is told, after R2 the connection ends"},
	{"M21", "3.8.3", "the application sets R2 per connection"},
	{"M22", "3.8.3", "the retransmission of a SYN is limited and reported in the same way"},
	{"M23", "3.8.3", "R2 for a SYN is at least three minutes"},
	{"M24", "3.8.4", "keep-alive is switched per connection"},
	{"M25", "3.8.4", "keep-alive is off unless asked for"},
	{"M26", "3.8.4", "keep-alive probes only an idle connection with nothing outstanding"},
	{"M27", "3.8.4", "the keep-alive interval can be set"},
	{"M28", "3.8.4", "the keep-alive interval is two hours or more by default"},
	{"M29", "3.8.4", "one keep-alive probe without an answer does not end a connection"},
	{"M30", "3.8.5", "the urgent mechanism works"},
	{"M31", "3.8.5", "urgent data may have any length"},
	{"M32", "3.8.5", "the application is told when urgent data turns up or grows"},
	{"M33", "3.8.5", "the application can learn whether urgent data is left to read"},
	{"M34", "3.8.6", "the sender survives a window that shrinks below what it has sent"},
	{"M35", "3.8.6", "a window that shrank to zero is probed as any zero window"},
	{"M36", "3.8.6.1", "zero windows are probed"},
	{"M37", "3.8.6.1", "a connection stays open while the peer answers the probes"},
	{"M38", "3.8.6.2.1", "the sender avoids silly windows"},
	{"M39", "3.8.6.2.2", "the receiver avoids silly windows"},
	{"M40", "3.8.6.3", "an ACK is delayed for less than half a second"},
	{"M41", "3.9.1.1", "a passive open leaves existing connections alone"},
	{"M42", "3.9.1.1", "a port may be listened on while a connection with it is being opened"},
	{"M43", "3.9.1.1", "an open takes a local address"},
	{"M44", "3.9.1.1", "without one, IP chooses it before the first SYN"},
	{"M45", "3.9.1.1", "a connection keeps its local address"},
	{"M46", "3.9.1.1", "an open to a broadcast or multicast address fails"},
	{"M47", "3.9.1.8", "soft errors are reported to applications that ask for them"},
	{"M48", "3.9.1.9", "the application sets the Diffserv field"},
	{"M49", "3.9.2", "the TTL can be set"},
	{"M50", "3.9.2", "IP options that mean nothing to us are ignored"},
	{"M51", "3.9.2.1", "an active open takes a source route"},
	{"M52", "3.9.2.1", "that source route wins over one received"},
	{"M53", "3.9.2.1", "a passive open answers along the source route received"},
	{"M54", "3.9.2.2", "an ICMP error reaches the connection that caused it"},
	{"M55", "3.9.2.2", "source quench is dropped without a word"},
	{"M56", "3.9.2.2", "a soft ICMP error does not end a connection"},
	{"M57", "3.9.2.3", "a segment sent to a broadcast or multicast address is dropped without a word"},
	{"M58", "3.10.7.4", "ACKs are combined where that is possible"},
	{"M59", "3.10.7.4", "all segments that wait are processed before an ACK is sent"},
	{"M60", "3.9.1.2", "where SEND knows no PUSH, data is not held back for ever"},
	{"M61", "3.9.1.2", "where SEND knows no PUSH, the last segment of the queue carries PSH"},
	{"M62", "3.8.5", "the urgent pointer points behind the urgent data"},
	{"M63", "3.9.2.3", "a SYN from an impossible source address is ignored"},
	{"M64", "3.2", "options need no alignment"},
	{"M65", "3.2", "the MSS option goes out on SYN segments only"},
	{"M66", "3.4", "RST and URG are heeded while the receive window is zero"},
	{"M67", "3.7.1", "the MSS offered is no larger than what IP can receive, less the header"},
	{"M68", "3.1", "every option but end-of-list and no-operation has a length"},
	{"M69", "3.1", "the header is padded with zeros"},
}

var shoulds = []Row{
	{"S01", "3.4.1", "an initial sequence number is a clock plus a keyed hash of the connection's ends"},
	{"S02", "3.5.3", "a RST with data is accepted"},
	{"S03", "3.6.1", "a close with data unread sends a RST"},
	{"S04", "3.6.1", "timestamps shorten TIME-WAIT, RFC 6191"},
	{"S05", "3.7.1", "the MSS option is sent when it differs from the default"},
	{"S06", "3.7.3", "with several MTUs, the MSS comes from the smallest"},
	{"S07", "3.7.4", "the Nagle algorithm is there"},
	{"S08", "3.8.2", "explicit congestion notification, RFC 3168, is there"},
	{"S09", "3.8.3", "the application is told at R1, unless it does not want to be"},
	{"S10", "3.8.3", "R1 is at least three retransmissions"},
	{"S11", "3.8.3", "R2 is at least 100 seconds"},
	{"S12", "3.8.4", "a keep-alive probe carries no data"},
	{"S13", "3.8.5", "new applications are advised against urgent data"},
	{"S14", "3.8.6", "the receiver does not shrink its window"},
	{"S15", "3.8.6", "no new data is sent into a window that shrank"},
	{"S16", "3.8.6", "old data inside a window that shrank is retransmitted"},
	{"S17", "3.8.6", "data beyond the edge of a window that shrank does not end the connection"},
	{"S18", "3.8.6.3", "ACKs are delayed"},
	{"S19", "3.8.6.3", "every second full segment is acknowledged at once"},
	{"S20", "3.9.1.8", "reports of soft errors can be switched off"},
	{"S21", "3.9.1.9", "the Diffserv field may change during a connection"},
	{"S22", "3.9.1.9", "the Diffserv field is handed to IP as it is"},
	{"S23", "3.9.2", "applications are advised to leave the Diffserv field alone"},
	{"S24", "3.9.2.1", "a source route received later replaces the one before"},
	{"S25", "3.9.2.2", "the application can see soft ICMP errors"},
	{"S26", "3.9.2.2", "a hard ICMP error ends the connection"},
	{"S27", "3.9.1.2", "pushes that follow each other are combined into the largest segment"},
	{"S28", "3.9.1.2", "segments are as large as possible"},
	{"S29", "3.8.6.1", "the first probe of a zero window follows after one RTO"},
	{"S30", "3.8.6.1", "the interval between probes grows exponentially"},
	{"S31", "3.10.7.4", "segments out of order are kept"},
}

var recommendations = []Row{
	{"C01", "3.1", "windows are calculated with 32 bits"},
}

var mays = []Row{
	{"Y01", "3.6.1", "a close may end reading as well"},
	{"Y02", "3.6.1", "a SYN with a higher number may reopen a connection in TIME-WAIT"},
	{"Y03", "3.7.1", "the MSS option may be sent always"},
	{"Y04", "3.8.1", "an identical retransmission may carry the same IP identification"},
	{"Y05", "3.8.4", "keep-alive may be there"},
	{"Y06", "3.8.4", "a keep-alive probe may carry one octet of garbage"},
	{"Y07", "3.8.6", "what lies beyond the edge of a window that shrank may be retransmitted"},
	{"Y08", "3.8.6.1", "a receiver may keep its window closed for ever"},
	{"Y09", "3.9.1.9", "the Diffserv field received may be shown to the application"},
	{"Y10", "3.9.2", "the IP timestamp option may be supported"},
	{"Y11", "3.9.2", "the IP record route option may be supported"},
	{"Y12", "3.10.7.4", "an ACK may be judged by the range of RFC 5961 against injected data"},
	{"Y13", "3.10.7.4", "a segment in the window but not at its left edge may be acknowledged at once"},
	{"Y14", "3.9.1.7", "a FLUSH call may be there"},
	{"Y15", "3.9.1.2", "SEND may know a PUSH flag"},
	{"Y16", "3.9.1.2", "data that was not pushed may be combined"},
	{"Y17", "3.9.1.3", "a PSH received may be shown to the application"},
	{"Y18", "3.8.2", "another conformant congestion control may be used"},
}

// events are the rules of section 3.10 that the RFC gives no number. The codes
// name the step: CLosed, LIsten, Syn-Sent, SeQuence, ReSet, SYn, AcK, Time-Wait,
// FiN, USer call, TimeOut, Quiet Time.
var events = []Row{
	{"CL1", "3.10.7.1", "CLOSED answers a segment without RST by a RST that the peer must believe"},
	{"CL2", "3.10.7.1", "CLOSED does not answer a RST"},
	{"LI1", "3.10.7.2", "LISTEN ignores RST, answers ACK by RST, SYN by SYN-ACK, and drops the rest"},
	{"LI2", "3.10.7.2", "data on a SYN is not delivered before the connection is established"},
	{"SS1", "3.10.7.3", "SYN-SENT answers an ACK of what it has not sent by a RST"},
	{"SS2", "3.10.7.3", "SYN-SENT is refused by a RST with an acceptable ACK only"},
	{"SS3", "3.10.7.3", "SYN-SENT becomes ESTABLISHED by SYN-ACK, SYN-RECEIVED by a bare SYN"},
	{"SQ1", "3.4", "a segment is acceptable by four cases of its length and the window"},
	{"SQ2", "3.10.7.4", "an unacceptable segment is answered by an ACK, a RST by nothing"},
	{"SQ3", "3.10.7.4", "a zero window still takes ACK, URG and RST"},
	{"SQ4", "3.10.7.4", "of a segment that overlaps the window only what lies inside is used"},
	{"SQ5", "3.10.7.4", "one sequence number below the window, the ACK still counts, so that two ends do not answer each other for ever"},
	{"RS1", "3.10.7.4", "a RST in SYN-RECEIVED goes back to LISTEN, or refuses an active open"},
	{"RS2", "3.10.7.4", "a RST at RCV.NXT resets; elsewhere in the window it is challenged, outside ignored"},
	{"SY1", "3.10.7.4", "a SYN in a synchronised state is challenged and dropped"},
	{"AK1", "3.10.7.4", "a segment without ACK is dropped once SYNs are over"},
	{"AK2", "3.10.7.4", "an ACK of what was never sent is answered by an ACK and dropped"},
	{"AK3", "3.10.7.4", "only a segment newer than the last one updates the send window"},
	{"AK4", "3.10.7.4", "the ACK of our FIN moves FIN-WAIT-1, CLOSING and LAST-ACK on"},
	{"TW1", "3.10.7.4", "TIME-WAIT acknowledges a FIN again and starts its timer anew"},
	{"FN1", "3.10.7.4", "a FIN counts one sequence number, is acknowledged, and pushes what is before it"},
	{"FN2", "3.10.7.4", "a FIN in FIN-WAIT-1 leads to TIME-WAIT if ours is acknowledged, else to CLOSING"},
	{"US1", "3.10.4", "CLOSE sends one FIN behind the data, and never a second"},
	{"US2", "3.10.5", "ABORT sends a RST where the peer may still wait, and drops what was queued"},
	{"TO1", "3.10.8", "the user timeout drops what was queued, tells the application and deletes"},
	{"QT1", "3.4.3", "after losing its sequence numbers a host keeps quiet for one MSL, or takes the risk"},
}
