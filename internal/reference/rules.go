package reference

import "strings"

// rule is one sentence of the texts, by the requirement row it belongs to.
type rule struct {
	row     string // R9293-..., or empty where no row exists
	section string
	text    string
}

type ruleID uint8

const (
	ruleCL1 ruleID = iota
	ruleCL2
	ruleLI1RST
	ruleLI1ACK
	ruleLI1SYN
	ruleLI1Drop
	ruleSS1RST
	ruleSS1Drop
	ruleSS2Refused
	ruleSS2Drop
	ruleSS3Established
	ruleSS3SynReceived
	ruleSS3Drop
	ruleSQ2
	ruleSQ3
	ruleSQ5
	ruleSQ5Open
	ruleSQ4SYN
	ruleRS1Listen
	ruleRS1Refused
	ruleRS2Drop
	ruleRS2Challenge
	ruleRS2Reset
	ruleRS2Delete
	rule1337
	ruleSY1
	ruleSY1Listen
	rule6191Open
	rule6191Drop
	ruleAK1
	ruleAK2
	ruleAKSynReceived
	ruleAKReset
	ruleAKNew
	ruleAKDuplicate
	ruleAK3
	ruleAK4FinWait2
	ruleAK4TimeWait
	ruleAK4Ignore
	ruleAK4Closed
	ruleTW1
	ruleTW1NoFIN
	ruleText
	ruleTextHeld
	ruleTextIgnored
	ruleFN1CloseWait
	ruleFN1Held
	ruleFN1Again
	ruleFN1AgainTimeWait
	ruleFN2TimeWait
	ruleFN2Closing
	ruleFN2FromFinWait2
	numRules
)

const (
	sClosed = "RFC 9293 §3.10.7.1"
	sListen = "RFC 9293 §3.10.7.2"
	sSent   = "RFC 9293 §3.10.7.3"
	sOther  = "RFC 9293 §3.10.7.4"
)

var rules = [numRules]rule{
	ruleCL1:              {"R9293-CL1", sClosed, "no TCB: a segment without RST is answered by a RST its sender will accept"},
	ruleCL2:              {"R9293-CL2", sClosed, "no TCB: a RST is discarded"},
	ruleLI1RST:           {"R9293-LI1", sListen + " first", "a RST cannot be meant for LISTEN: ignored"},
	ruleLI1ACK:           {"R9293-LI1", sListen + " second", "an ACK cannot be meant for LISTEN: RST with SEQ=SEG.ACK"},
	ruleLI1SYN:           {"R9293-LI1", sListen + " third", "SYN: SYN-RECEIVED, answered by SYN,ACK; text and FIN wait for ESTABLISHED"},
	ruleLI1Drop:          {"R9293-LI1", sListen + " fourth", "no RST, ACK or SYN: dropped"},
	ruleSS1RST:           {"R9293-SS1", sSent + " first", "ACK outside (ISS, SND.NXT]: RST with SEQ=SEG.ACK"},
	ruleSS1Drop:          {"R9293-SS1", sSent + " first", "ACK outside (ISS, SND.NXT] on a RST: dropped"},
	ruleSS2Refused:       {"R9293-SS2", sSent + " second", "RST with an acceptable ACK: refused, CLOSED (RCV.NXT is unknown, so SEG.SEQ is not checked)"},
	ruleSS2Drop:          {"R9293-SS2", sSent + " second", "RST without ACK: dropped"},
	ruleSS3Established:   {"R9293-SS3", sSent + " fourth", "SYN and our SYN acknowledged: ESTABLISHED, ACK at once"},
	ruleSS3SynReceived:   {"R9293-SS3", sSent + " fourth", "SYN alone: SYN-RECEIVED, our SYN again as SYN,ACK"},
	ruleSS3Drop:          {"R9293-SS3", sSent + " fifth", "neither SYN nor RST: dropped"},
	ruleSQ2:              {"R9293-SQ2", sOther + " first", "not acceptable by table 6: ACK, dropped"},
	ruleSQ3:              {"R9293-SQ3", sOther + " first", "RCV.WND is zero: a segment at RCV.NXT has its ACK field processed, then ACK, dropped"},
	ruleSQ5:              {"R9293-SQ5", "RFC 9293 §A.2", "not acceptable, but the ACK field of a segment at RCV.NXT-1 or of the FIN again in TIME-WAIT is processed, then ACK, dropped"},
	ruleSQ5Open:          {"R9293-SQ5", "RFC 9293 §3.5 figure 7, §A.2", "the SYN,ACK of a simultaneous open at SEQ=IRS has its ACK field processed; its SYN is trimmed off"},
	ruleSQ4SYN:           {"R9293-SQ4", sOther + " first", "SYN-RECEIVED and a SYN outside the window: the segment counts as unacceptable whatever its length: ACK, dropped"},
	ruleRS1Listen:        {"R9293-RS1", sOther + " second", "RST at RCV.NXT in SYN-RECEIVED of a passive OPEN: back to LISTEN, silently"},
	ruleRS1Refused:       {"R9293-RS1", sOther + " second", "RST at RCV.NXT in SYN-RECEIVED of an active OPEN: refused, CLOSED"},
	ruleRS2Drop:          {"R9293-RS2", sOther + " second, RFC 5961 §3.2", "RST outside the window: dropped silently"},
	ruleRS2Challenge:     {"R9293-RS2", sOther + " second, RFC 5961 §3.2", "RST in the window, not at RCV.NXT: challenge ACK, dropped"},
	ruleRS2Reset:         {"R9293-RS2", sOther + " second", "RST at RCV.NXT: reset, CLOSED"},
	ruleRS2Delete:        {"R9293-RS2", sOther + " second", "RST at RCV.NXT in CLOSING or LAST-ACK: CLOSED"},
	rule1337:             {"R1337-F1", "RFC 1337 §3", "RST in TIME-WAIT: ignored"},
	ruleSY1:              {"R9293-SY1", sOther + " fourth, RFC 5961 §4.2", "SYN in a synchronized state, or in SYN-RECEIVED of an active OPEN: challenge ACK, dropped"},
	ruleSY1Listen:        {"R9293-SY1", sOther + " fourth", "SYN in the window in SYN-RECEIVED of a passive OPEN: back to LISTEN, silently"},
	rule6191Open:         {"R6191-2b", "RFC 6191 §2, RFC 9293 §3.6.1", "connection request above RCV.NXT in TIME-WAIT: a new connection, as from LISTEN"},
	rule6191Drop:         {"R6191-2c", "RFC 6191 §2", "connection request not above RCV.NXT in TIME-WAIT: dropped; the challenge ACK of RFC 5961 §4.2 is allowed"},
	ruleAK1:              {"R9293-AK1", sOther + " fifth", "no ACK bit: dropped"},
	ruleAK2:              {"R9293-AK2", sOther + " fifth, RFC 5961 §5.2", "SEG.ACK outside [SND.UNA-MAX.SND.WND, SND.NXT]: ACK, dropped"},
	ruleAKSynReceived:    {"", sOther + " fifth", "SYN-RECEIVED and SND.UNA < SEG.ACK =< SND.NXT: ESTABLISHED, the send window set"},
	ruleAKReset:          {"", sOther + " fifth, §3.5.2 (2)", "SYN-RECEIVED and any other SEG.ACK: RST with SEQ=SEG.ACK, dropped"},
	ruleAKNew:            {"", sOther + " fifth", "SND.UNA < SEG.ACK =< SND.NXT: SND.UNA advances"},
	ruleAKDuplicate:      {"", sOther + " fifth", "SEG.ACK =< SND.UNA: a duplicate, ignored"},
	ruleAK3:              {"R9293-AK3", sOther + " fifth", "not older than the last window update: SND.WND, SND.WL1, SND.WL2 set"},
	ruleAK4FinWait2:      {"R9293-AK4", sOther + " fifth", "FIN-WAIT-1 and our FIN acknowledged: FIN-WAIT-2"},
	ruleAK4TimeWait:      {"R9293-AK4", sOther + " fifth", "CLOSING and our FIN acknowledged: TIME-WAIT"},
	ruleAK4Ignore:        {"R9293-AK4", sOther + " fifth", "CLOSING and our FIN not acknowledged: the rest of the segment is ignored"},
	ruleAK4Closed:        {"R9293-AK4", sOther + " fifth", "LAST-ACK and our FIN acknowledged: CLOSED"},
	ruleTW1:              {"R9293-TW1", sOther + " fifth", "TIME-WAIT and the peer's FIN again: ACK, 2 MSL starts over"},
	ruleTW1NoFIN:         {"R9293-TW1", sOther + " fifth", "TIME-WAIT and not the peer's FIN again: this step neither answers nor restarts 2 MSL"},
	ruleText:             {"R9293-SQ4", sOther + " seventh", "text at RCV.NXT inside the window: delivered, RCV.NXT advances, ACK owed"},
	ruleTextHeld:         {"", sOther + " seventh, MAY-13, RFC 5681 §4.2", "text behind a gap: held, ACK at once"},
	ruleTextIgnored:      {"", sOther + " seventh", "text after the peer's FIN: ignored"},
	ruleFN1CloseWait:     {"R9293-FN1", sOther + " eighth", "FIN at RCV.NXT: closing, CLOSE-WAIT, ACK owed"},
	ruleFN1Held:          {"R9293-FN1", sOther + " eighth", "FIN not at RCV.NXT or outside the window: not processed now"},
	ruleFN1Again:         {"R9293-FN1", sOther + " eighth", "a FIN after the peer's FIN: ACK, the state and RCV.NXT stay"},
	ruleFN1AgainTimeWait: {"R9293-FN1", sOther + " eighth", "a FIN after the peer's FIN in TIME-WAIT: ACK, 2 MSL starts over"},
	ruleFN2TimeWait:      {"R9293-FN2", sOther + " eighth", "FIN in FIN-WAIT-1, our FIN acknowledged by the same segment: TIME-WAIT"},
	ruleFN2Closing:       {"R9293-FN2", sOther + " eighth", "FIN in FIN-WAIT-1, our FIN not acknowledged: CLOSING"},
	ruleFN2FromFinWait2:  {"R9293-FN2", sOther + " eighth", "FIN in FIN-WAIT-2: TIME-WAIT"},
}

func (r rule) String() string {
	if r.row == "" {
		return r.section + ": " + r.text
	}
	return r.section + " (" + r.row + "): " + r.text
}

// Explain gives the rules that decided Arrive(v, s), with their sections, in the
// order in which they applied; the last one ended the processing. It is meant
// for the message of a failing comparison.
func Explain(v Vars, s Seg) string {
	a := newArrival(v, s)
	a.run()
	if len(a.trail) == 0 {
		return sOther + ": acceptable, nothing to do"
	}
	lines := make([]string, len(a.trail))
	for i, id := range a.trail {
		lines[i] = rules[id].String()
	}
	return strings.Join(lines, "; ")
}
