package reference

// Comparisons of sequence numbers modulo 2^32 (RFC 9293 section 3.4). They are
// meaningful for numbers less than 2^31 apart.

func lt(a, b uint32) bool  { return int32(a-b) < 0 }
func leq(a, b uint32) bool { return int32(a-b) <= 0 }

// between reports lo =< x < lo+n, which needs no more than one subtraction
// modulo 2^32 and has no limit of 2^31 on n.
func between(lo, x, n uint32) bool { return x-lo < n }

func one(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
