package tcp

// Seq is a sequence number: arithmetic on it is modulo 2^32, RFC 9293 §3.4.
type Seq uint32

// Add returns s moved by n octets.
func (s Seq) Add(n int) Seq { return s + Seq(uint32(n)) }

// Sub returns how many octets s is ahead of t, negative when behind. The two
// must be less than 2^31 apart.
func (s Seq) Sub(t Seq) int { return int(int32(s - t)) }

// Less reports s < t.
func (s Seq) Less(t Seq) bool { return int32(s-t) < 0 }

// LessEq reports s <= t.
func (s Seq) LessEq(t Seq) bool { return int32(s-t) <= 0 }

// In reports whether start <= s < start+size.
func (s Seq) In(start Seq, size uint32) bool { return uint32(s-start) < size }

// maxSeq returns the later of two.
func maxSeq(s, t Seq) Seq {
	if s.Less(t) {
		return t
	}
	return s
}

func minSeq(s, t Seq) Seq {
	if s.Less(t) {
		return s
	}
	return t
}
